"""The report of a pair in a real browser: what is seen, and what people do with it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import Keys

import image_diff
from chromium import DESKTOP, MISSING, PHONE, Page, Picture
from files import PAIRS
from image_diff import Light, Move, Region
from test_image_diff import random_picture

VIEWS = tuple(image_diff.VIEWS)
in_browser = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


def written(
    folder: Path,
    first: Picture,
    second: Picture,
    *names: str,
    options: Sequence[str] = (),
) -> Path:
    """Write two pictures, compare their brightness; the folder of the report."""
    paths = [folder / name for name in names or ("a.png", "b.png")]
    for path, picture in zip(paths, (first, second), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    output = folder / "report"
    pair = ["-f", str(paths[0]), "-s", str(paths[1])]
    words = ["--gray", "--no-window", "-o", str(output), *options]
    assert image_diff.main([*pair, *words]) == 0
    return output


def pair(
    height: int, width: int, *boxes: tuple[int, int, int, int]
) -> tuple[Picture, Picture]:
    """Two pictures of one luma, gray and tinted: with --gray the boxes alone differ."""
    rng = np.random.default_rng(1)
    small = rng.integers(70, 170, (height // 8 + 2, width // 8 + 2), dtype=np.uint8)
    first = np.dstack([cv2.resize(small, (width, height))] * 3)
    second = (first + np.array([63, 0, -24])).astype(np.uint8)
    for x, y, wide, high in boxes:
        second[y : y + high, x : x + wide] = 255
    return first, second


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a pair with three regions."""
    boxes = (30, 30, 90, 60), (200, 120, 12, 150), (330, 230, 100, 40)
    return written(tmp_path_factory.mktemp("pair"), *pair(320, 480, *boxes))


def look(page: Page) -> tuple[float, float, float]:
    """The scale, and left and top of the first picture in its pane."""
    left, top, right, _ = page.exact_place(".one .sheet")
    pane = page.exact_place(".one .pane")
    width = page.run("return document.querySelector('.one svg').viewBox.baseVal.width")
    return (right - left) / width, left - pane[0], top - pane[1]


def shows(page: Page, view: str, at: float = 0.5, other: bool = False) -> bool:
    """Whether this view of the clean pictures is seen at 1:1, and nothing else."""
    first, second = page.picture("first"), page.picture("second")
    left, _, right, _ = page.exact_place(".one .pane")
    edge = left + at * (right - left) - page.exact_place(".one .sheet")[0]
    columns = np.arange(first.shape[1])[:, None] < edge
    faded = 0.4 * cv2.cvtColor(first.astype(np.uint8), cv2.COLOR_BGR2GRAY) + 153
    differs = page.picture("thresh")[..., 0] > 0
    rest = np.where(differs, 0, faded)
    expected = {
        "side": first,
        "swipe": np.where(columns, first, second),
        "blend": first + at * (second - first),
        "toggle": second if other else first,
        "overlay": np.dstack([rest, rest, faded]),
        "diff": page.picture("diff"),
        "thresh": page.picture("thresh"),
    }
    close = np.abs(page.seen(".one .sheet") - expected[view]).max(axis=2) < 4
    if view in ("swipe", "blend"):
        return bool(np.mean(~close) < 0.08)  # the line and the slider
    if view == "side" and not np.array_equal(page.seen(".two .sheet"), second):
        return False
    return bool(close.all())


def at_real_size(page: Page, folder: Path) -> None:
    """Open a report without boxes, each pixel a pixel of the screen."""
    page.open(folder)
    page.press("0", "b")


# --- Views ----------------------------------------------------------------------------


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("way", ["mouse", "keyboard"])
def test_every_view_shows_its_pictures_and_tells_what_they_are(
    page: Page, folder: Path, way: str
) -> None:
    at_real_size(page, folder)
    for number, view in enumerate(VIEWS, 1):
        if way == "mouse":
            page.click(view)
        else:
            page.press(str(number))
        assert page.text("#legend") == image_diff.VIEWS[view]
        assert shows(page, view), view
        names = [caption.text for caption in page.find("figcaption")]
        number_of_names = {"side": 2, "swipe": 2, "blend": 2, "diff": 0, "thresh": 0}
        assert (
            names == ["first: a.png", "second: b.png"][: number_of_names.get(view, 1)]
        )


@pytest.mark.slow
@in_browser
def test_the_swipe_and_the_blend_follow_the_grip_and_the_arrows(
    page: Page, folder: Path
) -> None:
    at_real_size(page, folder)
    page.press("2", *[Keys.RIGHT] * 5)
    assert shows(page, "swipe", 0.6)
    left, top, right, bottom = page.exact_place(".one .pane")
    middle = (top + bottom) / 2

    def across(share: float) -> float:
        return left + share * (right - left)

    page.drag((across(0.6), middle), (across(0.35), middle))
    assert shows(page, "swipe", 0.35)
    assert look(page)[0] == 1
    page.press("3")
    assert shows(page, "blend", 0.35)
    page.press(*[Keys.LEFT] * 5)
    assert shows(page, "blend", 0.25)


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_names_stay_in_sight_and_cover_no_picture(
    page: Page, folder: Path, size: tuple[int, int]
) -> None:
    page.open(folder, size)
    for view, edge in (("1", 0), ("2", Keys.END), ("2", Keys.HOME), ("3", Keys.END)):
        page.press(view)
        if edge:
            page.run("document.querySelector('#at').focus()")
            page.press(str(edge))
        names = [caption.text for caption in page.find("figcaption")]
        assert names == ["first: a.png", "second: b.png"]
        for which in (".one", ".two"):
            left, top, right, bottom = page.place(f"{which} figcaption")
            assert bottom <= page.place(f"{which} .pane")[1]
            assert (page.screen()[top:bottom, left:right] < 100).any()


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("view", ["2", "3"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_the_slider_covers_no_picture(
    page: Page, folder: Path, size: tuple[int, int], view: str
) -> None:
    page.open(folder, size)
    page.press(view)
    assert page.place("#at")[1] >= page.place(".one .pane")[3]


@pytest.mark.slow
@in_browser
def test_labels_of_many_small_regions_are_seen_from_near(
    page: Page, tmp_path: Path
) -> None:
    """And that of the region that is chosen."""
    places = [(x, y) for x in range(40, 1900, 180) for y in range(40, 1100, 300)]
    page.open(written(tmp_path, *pair(1200, 2000, *((*at, 9, 9) for at in places))))
    assert len(page.record()["regions"]) == len(places) > 30
    script = """return [...document.querySelectorAll(".one .box")].map(
        box => getComputedStyle(box, "::before").display).filter(s => s != "none")"""
    assert len(page.run(script)) == 0
    page.press("n")
    assert len(page.run(script)) == len(places)  # which are large now
    page.press("f")
    assert len(page.run(script)) == 1


@pytest.mark.slow
@in_browser
def test_on_a_phone_the_regions_are_as_wide_as_the_page(
    page: Page, folder: Path
) -> None:
    page.open(folder, PHONE)
    left, _, right, _ = page.place("#regions li")
    assert (left, right) == (8, PHONE[0] - 8)


@pytest.mark.slow
@in_browser
def test_a_region_stays_in_the_middle_when_it_is_enlarged_and_in_other_views(
    page: Page, folder: Path
) -> None:
    page.open(folder)
    page.press("n", "+", "+")
    for view in map(str, range(1, len(VIEWS) + 1)):
        page.press(view)
        left, top, right, bottom = page.exact_place(".one .box")
        pane = page.exact_place(".one .pane")
        middle = (pane[0] + pane[2]) / 2, (pane[1] + pane[3]) / 2
        assert ((left + right) / 2, (top + bottom) / 2) == pytest.approx(middle, abs=1)


@pytest.mark.slow
@in_browser
def test_space_and_a_click_toggle_the_pictures(page: Page, folder: Path) -> None:
    at_real_size(page, folder)
    page.press("4")
    for other in (True, False):
        page.press(Keys.SPACE)
        assert shows(page, "toggle", other=other)
    for other in (True, False):
        page.find("#stage")[0].click()
        assert shows(page, "toggle", other=other)
    page.click("second")
    assert shows(page, "toggle", other=True)


# --- Zoom and pan ---------------------------------------------------------------------


@pytest.mark.slow
@in_browser
def test_the_wheel_zooms_where_the_pointer_is_and_a_drag_pans_both(
    page: Page, folder: Path
) -> None:
    page.open(folder)
    left, top, *_ = page.exact_place(".one .pane")
    x, y = 300, 250
    scale, dx, dy = look(page)
    spot = (x - dx) / scale, (y - dy) / scale
    page.wheel(left + x, top + y, -600)
    page.wait_for(lambda: look(page)[0] == pytest.approx(4 * scale, rel=0.01))
    near, dx, dy = look(page)
    assert ((x - dx) / near, (y - dy) / near) == pytest.approx(spot, abs=0.5)
    rendering = "getComputedStyle(document.images[0]).imageRendering"
    assert page.run(f"return {rendering}") == "pixelated"
    page.drag((left + x, top + y), (left + x - 70, top + y - 40))
    assert look(page) == pytest.approx((near, dx - 70, dy - 40), abs=1.5)
    one, two = page.exact_place(".one .pane"), page.exact_place(".two .pane")
    sheets = page.exact_place(".one .sheet"), page.exact_place(".two .sheet")
    assert sheets[0][0] - one[0] == pytest.approx(sheets[1][0] - two[0], abs=0.1)
    assert sheets[0][1] == sheets[1][1]
    page.press("-", "-")
    assert look(page)[0] == pytest.approx(near / 4)
    page.press("0")
    assert look(page)[0] == pytest.approx(1)
    page.press("+", "f")
    assert look(page)[0] == 1  # fits without being enlarged
    assert page.run(f"return {rendering}") == "auto"


@pytest.mark.slow
@in_browser
def test_two_fingers_zoom_on_a_phone(page: Page, folder: Path) -> None:
    page.open(folder, PHONE)
    left, top, right, bottom = page.exact_place(".one .pane")
    x, y = (left + right) / 2, (top + bottom) / 2
    scale = look(page)[0]
    page.touch("Start", (x - 30, y), (x + 30, y))
    for reach in (50, 70, 90):
        page.touch("Move", (x - reach, y), (x + reach, y))
    page.touch("End")
    page.wait_for(lambda: look(page)[0] == pytest.approx(3 * scale, rel=0.05))


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize(
    ("shape", "box", "scale"),
    [
        ((32, 32), (8, 8, 9, 9), 16),
        ((2160, 3840), (3000, 900, 8, 8), 0.138),
        ((9000, 300), (40, 4500, 30, 30), 1),
    ],
)
def test_pictures_of_any_size_are_seen_at_once_and_their_regions_found(
    page: Page, tmp_path: Path, shape: tuple[int, int], box: Any, scale: float
) -> None:
    page.open(written(tmp_path, *pair(*shape, box)))
    assert look(page)[0] == pytest.approx(scale, rel=0.01)
    ring = "return getComputedStyle(document.querySelector('.box'), '::after').width"
    assert page.run(ring) == ("28px" if scale < 0.5 else "auto")
    page.press("n")
    left, top, right, bottom = page.exact_place(".one .box")
    pane = page.exact_place(".one .pane")
    assert pane[0] < left < right < pane[2]
    assert pane[1] < top < bottom < pane[3]
    assert max(right - left, bottom - top) > 50


# --- Regions --------------------------------------------------------------------------


@pytest.mark.slow
@in_browser
def test_boxes_are_drawn_around_the_regions_and_can_be_taken_away(
    page: Page, folder: Path
) -> None:
    page.open(folder)
    for css in (".one .sheet", ".two .sheet"):
        boxed = page.seen(css)
        page.press("b")
        changed = (boxed != page.seen(css)).any(axis=2)
        page.press("b")
        for region in page.record()["regions"]:
            x, y, wide, high = (region[k] for k in ("x", "y", "width", "height"))
            assert not changed[y : y + high, x : x + wide].any()
            outline = np.zeros_like(changed)
            outline[y - 2 : y + high + 2, x - 2 : x + wide + 2] = True
            outline[y : y + high, x : x + wide] = False
            assert changed[outline].all()
            label = 30  # pixels, which a narrow box's number with its sign may take
            changed[y - 20 : y + high + 3, x - 3 : x + max(wide + 3, label)] = False
        assert not changed.any()


def chosen(page: Page) -> tuple[str, str, str]:
    """What is told of the chosen region, its row's number and its box's."""
    rows = page.run(
        "return [...document.querySelectorAll('#regions li')].map("
        "row => row.ariaCurrent ? row.innerText.trim()[0] : '').join('')"
    )
    boxes = page.run(
        "return [...document.querySelectorAll('.two .box')].map("
        "(box, index) => box.ariaCurrent ? index + 1 : '').join('')"
    )
    return page.text("#place"), rows, boxes


@pytest.mark.slow
@in_browser
def test_regions_are_gone_through_by_keys_rows_and_boxes(
    page: Page, folder: Path
) -> None:
    page.open(folder)
    assert chosen(page) == ("- of 3", "", "")
    for key, number in [("n", 1), ("n", 2), ("p", 1), ("p", 3), ("n", 1)]:
        page.press(key)
        assert chosen(page) == (f"{number} of 3", str(number), str(number))
    page.find(".row")[2].click()
    assert chosen(page) == ("3 of 3", "3", "3")
    left, _, right, _ = page.exact_place(".one .box:nth-of-type(3)")
    pane = page.exact_place(".one .pane")
    assert (left + right) / 2 == pytest.approx((pane[0] + pane[2]) / 2, abs=60)
    assert right - left > 150
    page.press("f")
    left, top, *_ = page.exact_place(".two .box:nth-of-type(2)")
    page.mouse("Pressed", left + 5, top + 50)
    page.mouse("Released", left + 5, top + 50)
    assert chosen(page) == ("2 of 3", "2", "2")
    assert look(page)[0] == 1
    page.press(Keys.TAB)
    page.run("document.querySelector('.row').focus()")
    page.press(Keys.ENTER)
    assert chosen(page) == ("1 of 3", "1", "1")


@pytest.mark.slow
@in_browser
def test_a_row_shows_its_region_in_both_pictures(page: Page, folder: Path) -> None:
    page.open(folder)
    region = page.record()["regions"][0]
    sign = image_diff.MARKS[region["kind"]].sign
    strength = f"strength {region['strength']:.2g}"
    text = f"1 {sign} {image_diff.region_text(region)}, {strength}"
    assert page.text(".row").split() == text.split()
    before, after = (page.seen(f".row .crop:nth-of-type({n})") for n in (1, 2))
    assert (after[30:42, 60:70] > 250).all()
    assert not (before[20:52, 45:85] > 250).any()


@pytest.mark.slow
@in_browser
def test_rows_that_one_picture_has_are_gone_through_too(
    page: Page, tmp_path: Path
) -> None:
    first, _ = pair(600, 300, (30, 30, 90, 60))
    second = np.vstack([first[:400], 255 - pair(40, 300)[0], first[400:]])
    second[30:60, 30:60] = 255
    page.open(written(tmp_path, first, second, options=("--align", "rows")))
    assert page.text("#verdict").startswith("different 1 region, 1 band, ")
    page.press("n", "n")
    assert chosen(page) == ("2 of 2", "2", "2")
    assert page.find(".row")[1].text == "2 + 40 rows added at y 400"
    top, bottom = (page.exact_place(".two .box:nth-child(2)")[i] for i in (1, 3))
    pane = page.exact_place(".two .pane")
    assert pane[1] < top < bottom < pane[3]


@pytest.mark.slow
@in_browser
def test_regions_are_filtered_by_kind_and_the_strongest_come_first(
    page: Page, tmp_path: Path
) -> None:
    first = np.full((600, 480, 3), 120, np.uint8)
    first[:, :20] = pair(600, 20)[0]  # by which the rows are aligned
    second = first.copy()
    first[120:150, 200:260] = random_picture(1, 30, 60, 3)
    second[30:60, 330:350] = random_picture(2, 30, 20, 3)
    second[200:260, 30:120] = random_picture(3, 60, 90, 3)
    second = np.vstack([second[:400], 255 - pair(40, 480)[0], second[400:]])
    page.open(written(tmp_path, first, second, options=("--align", "rows")))

    def seen() -> tuple[str, int]:
        """The numbers of the rows from the top, and how many boxes there are."""
        rows = "".join(row.text[0] for row in page.find(".row"))
        return rows, len(page.find(".two .box"))

    kinds = [label.text for label in page.find("#kinds label")]
    assert kinds == ["all 4", "added + 3", "removed \N{MINUS SIGN} 1"]
    assert seen() == ("1234", 4)
    strengths = [region["strength"] for region in page.record()["regions"]]
    assert strengths[2] > strengths[1] > strengths[0]
    page.click("strongest first")
    assert seen() == ("4321", 4)  # nothing is as strong as a band
    page.click("added + 3")
    assert seen() == ("431", 3)
    for key, number in [("p", 1), ("p", 3), ("n", 1), ("n", 4)]:
        page.press(key)
        assert chosen(page) == (f"{number} of 4", str(number), str(number))
    page.press("f")
    left, top, right, bottom = page.exact_place(".two .box:nth-child(3)")
    page.mouse("Pressed", (left + right) / 2, (top + bottom) / 2)
    page.mouse("Released", (left + right) / 2, (top + bottom) / 2)
    assert chosen(page) == ("3 of 4", "3", "3")
    page.click("strongest first")
    page.click("removed \N{MINUS SIGN} 1")
    assert seen() == ("2", 1)
    page.press("n")
    assert chosen(page) == ("2 of 4", "2", "2")
    page.click("all 4")
    page.press("f")
    assert seen() == ("1234", 4)


@pytest.mark.slow
@in_browser
def test_an_arrow_leads_to_where_a_thing_moved(page: Page, tmp_path: Path) -> None:
    first, second = np.full((2, 300, 400, 3), 200, np.uint8)
    for picture, centre in ((first, (80, 80)), (second, (280, 220))):
        cv2.circle(picture, centre, 15, (0, 0, 0), -1)
        cv2.circle(picture, centre, 6, (90, 90, 90), -1)
    second[20:30, 300:390] = 0
    page.open(written(tmp_path, first, second))
    page.press("0")
    middle = page.seen(".one .sheet")[148:153, 178:183]
    assert (middle[..., 0] - middle[..., 2] > 100).any()
    for label, there in [("added + 1", False), ("moved \N{RIGHTWARDS ARROW} 2", True)]:
        page.click(label)
        middle = page.seen(".one .sheet")[140:160, 170:190]
        assert (middle != 200).any() == there
    page.press("b")
    assert (page.seen(".one .sheet")[140:160, 170:190] == 200).all()


@pytest.mark.parametrize(("x", "path"), [(100, "M10 5L100 5L"), (6, "M5 5L11 5L")])
def test_an_arrow_ends_at_boxes_that_are_apart(x: int, path: str) -> None:
    region = Region(0, 0, 10, 10, 36, 0.5, moved=Move(x, 0, onward=True))
    assert image_diff.arrow(region).startswith(path)


@pytest.mark.slow
@in_browser
def test_two_thousand_regions_still_respond(page: Page, tmp_path: Path) -> None:
    dots = [(x, y, 2, 2) for y in range(8, 800, 20) for x in range(8, 1000, 20)]
    page.open(written(tmp_path, *pair(800, 1000, *dots)))
    assert len(dots) == len(page.record()["regions"]) == 2000
    for number in range(1, len(VIEWS) + 1):
        page.press(str(number), "b", "b", "+")
    page.press("p")
    assert chosen(page)[0] == "2000 of 2000"


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"kind": "added"}, "added"),
        (
            {"kind": "moved", "moved": {"x": 5, "y": 6, "picture": "second"}},
            "moved to 5, 6",
        ),
        (
            {"kind": "moved", "moved": {"x": 5, "y": 6, "picture": "first"}},
            "moved from 5, 6",
        ),
        (
            {"kind": "recoloured", "colours": ["#aa0000", "#00aa00"]},
            "recoloured from #aa0000 to #00aa00",
        ),
    ],
)
def test_what_is_told_of_a_region(values: dict[str, Any], text: str) -> None:
    place = {"x": 1, "y": 2, "second_y": 2, "width": 8, "height": 9}
    measured = {"area": 49, "ssim": 0.1234}
    region = {"moved": None, "colours": None, **place, **measured, **values}
    told = f"x 1, y 2, 8x9 pixels: {text}, 49 different, SSIM 0.123"
    assert image_diff.region_text(region) == told


# --- Head -----------------------------------------------------------------------------


def written_at(page: Page) -> int:
    """When the report was written, in whole seconds: the page itself tells no date."""
    return int(page.folder.joinpath("index.html").stat().st_mtime)


@pytest.mark.slow
@in_browser
def test_the_head_tells_the_result_and_how_to_repeat_it(
    page: Page, folder: Path
) -> None:
    page.open(folder)
    record = page.record()
    share = f"{100 * record['different_fraction']:.3g} % of the picture"
    assert page.text("#verdict") == f"different 3 regions, {share}"
    facts = {
        fact.text: fact.get_attribute("title") for fact in page.find("#facts span")
    }
    ssim = int(1e4 * record["ssim"]) / 1e4
    assert facts[f"SSIM {ssim:.4f}"] == str(record["ssim"])
    assert f"unequal pixels {record['unequal_pixels']}" in facts
    assert "size 480 x 320" in facts
    seconds = written_at(page)
    told = page.run("return new Date(1000 * arguments[0]).toLocaleString()", seconds)
    assert page.text("#facts").endswith(told)
    assert "options --gray" in facts
    command = page.text("#command")
    pair = f"{folder.parent}/a.png {folder.parent}/b.png"
    assert command == f"python image_diff.py {pair} --gray"
    permissions = {"permissions": ["clipboardReadWrite", "clipboardSanitizedWrite"]}
    page.driver.execute_cdp_cmd("Browser.grantPermissions", permissions)
    page.click("copy")
    read = "navigator.clipboard.readText().then(arguments[0])"
    assert page.driver.execute_async_script(read) == command


@pytest.mark.parametrize(
    ("values", "fact"),
    [
        ({"noise": 1.234}, ["not counted: noise of sigma 1.2 of 255", "", ""]),
        (
            {"light": Light(True, (0.912, 1.1), 0)},
            ["not counted: light x0.91 to x1.10", "", ""],
        ),
        (
            {"light": Light(False, (1.0, 1.0), -8)},
            ["not counted: brightness -8 of 255 throughout", "", ""],
        ),
        ({"faint_threshold": 0.95}, ["faint threshold", "0.9500"]),
    ],
)
def test_what_is_known_of_a_pair_is_a_fact_of_the_head(
    values: dict[str, Any], fact: list[str]
) -> None:
    comparison = image_diff.compare_files(*PAIRS[0])
    known = replace(comparison, **values)
    nothing: dict[str, Any] = dict.fromkeys(values)
    unknown = replace(comparison, **nothing)
    record = image_diff.as_record(comparison)
    assert fact in image_diff.head_facts(known, record)
    assert fact not in image_diff.head_facts(unknown, record)


@pytest.mark.parametrize("meaning", [[], ["similar"]])
def test_the_likeness_of_a_pair_is_a_fact_of_the_head(meaning: list[str]) -> None:
    comparison = image_diff.compare_files(*PAIRS[0])
    ranked = {"likeness": 0.5, "relation": meaning[0] if meaning else None}
    record = image_diff.as_record(comparison) | ranked
    assert ["likeness", "0.5000", *meaning] in image_diff.head_facts(comparison, record)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, []),
        ({"gray": True, "threshold": 0.5}, ["--gray", "--threshold", "0.5"]),
        (
            {"ignore": ((1, 2, 3, 4), "a mask.png")},
            ["--ignore", "1,2,3,4", "--ignore", "a mask.png"],
        ),
    ],
)
def test_options_as_words(changes: dict[str, Any], words: list[str]) -> None:
    options = image_diff.Options(**changes)
    assert image_diff.option_words(options, image_diff.Options()) == words


@pytest.mark.slow
@in_browser
def test_an_identical_pair_says_so_and_has_no_list(page: Page, tmp_path: Path) -> None:
    first, _ = pair(100, 480)
    page.open(written(tmp_path, first, first))
    assert page.text("#verdict") == "identical"
    assert not page.find("#regions, .box, #n, #p, #place")
    page.press("n", "p", "0", "b")
    for number, view in enumerate(VIEWS, 1):
        page.press(str(number))
        assert shows(page, view), view


def test_the_overlay_fades_every_level_of_gray() -> None:
    levels = np.arange(256, dtype=np.uint8)[None]
    first = cv2.merge([levels] * 3)
    faded = image_diff.overlay(first, np.zeros_like(levels))
    assert np.abs(faded - (0.4 * first + 153)).max() <= 0.5


@pytest.mark.parametrize(
    ("grown", "ignore", "word"),
    [
        (False, (), '"identical"'),
        (False, [(90, 40, 40, 40)], '"same"'),
        (True, (), '"same"'),
    ],
)
def test_identical_is_the_word_only_where_all_of_both_is(
    grown: bool, ignore: Any, word: str
) -> None:
    first = np.full((100, 200, 3), 255, np.uint8)
    first[20:30, 20:180] = 0
    second = first.copy()
    if ignore:
        second[50:60, 100:110] = 0
    if grown:  # by a blank row, which browsers leave
        second = np.vstack([second, second[-1:]])
    comparison = image_diff.compare_images(first, second, ignore=ignore)
    html = image_diff.report_page(comparison, image_diff.as_record(comparison))
    assert f'"word": {word}' in html


@pytest.mark.slow
@in_browser
def test_a_missing_picture_says_so_in_its_place(page: Page, tmp_path: Path) -> None:
    folder = written(tmp_path, *pair(100, 480, (30, 30, 9, 9)))
    (folder / "second.png").unlink()
    (folder / "diff.png").write_bytes(b"no picture")
    page.open(folder)
    assert page.text(".two p") == "second cannot be shown here"
    assert not page.find(".one p")
    page.press("6")
    assert page.text(".one p") == "diff cannot be shown here"
    page.complaints()  # of the file that is missing


# --- What is left out -----------------------------------------------------------------


@pytest.mark.slow
@in_browser
def test_what_is_left_out_is_striped_in_every_view(page: Page, tmp_path: Path) -> None:
    first, second = pair(200, 300, (20, 40, 60, 60))
    second[100:160, 160:240] = 0
    options = "--ignore", "160,100,80,60", "--ignore", "30,150,40,1"
    page.open(written(tmp_path, first, second, options=options))
    page.press("0")
    for number, view in enumerate(VIEWS, 1):
        page.press(str(number))
        striped = page.seen(".one .sheet")
        page.run(
            "document.querySelectorAll('svg').forEach(svg => svg.style.opacity = 0)"
        )
        changed = (striped != page.seen(".one .sheet")).any(axis=2)
        page.run(
            "document.querySelectorAll('svg').forEach(svg => svg.style.opacity = 1)"
        )
        assert 0.2 < changed[102:158, 162:238].mean() < 0.8, view
        left_out = np.zeros_like(changed)
        left_out[100:160, 160:240] = left_out[150, 30:70] = True
        assert not changed[~left_out].any(), view
        assert changed[[100, 159]].any(axis=1).all(), view
        assert changed[:, [160, 239]].any(axis=0).all(), view
        assert changed[150, 30:70].any(), view
        assert "striped: left out" in page.text("#legend")


def test_what_is_left_out_around_a_hole_keeps_the_hole() -> None:
    ignored = np.full((50, 60), 255, np.uint8)
    ignored[10:40, 10:50] = 0
    path = image_diff.ignored_outlines(ignored)
    assert path.count("M") == path.count("z") == 2
    assert path.startswith("M0 0 0 49 59 49 59 0z")


# --- Safety ---------------------------------------------------------------------------


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize(
    "name",
    [
        "</script><img src=x onerror=alert(1)>.png".replace("/", "\N{DIVISION SLASH}"),
        "\"><script>alert(1)<!--'.png",
        "' onmouseover='alert(1)' &amp; &lt; $title ${x} $$ {y} %s.png",
        "two\nlines.png",
        "not unicode \udcff.png",
    ],
)
def test_hostile_file_names_are_shown_and_do_nothing(
    page: Page, tmp_path: Path, name: str
) -> None:
    folder = written(tmp_path, *pair(40, 60, (9, 9, 9, 9)), name, f"second {name}")
    page.open(folder)
    paths = [str(tmp_path / name), str(tmp_path / f"second {name}")]
    assert [page.record()[key] for key in ("first", "second")] == paths
    for css in ("h1", "title", "#command"):
        text = page.run(f"return document.querySelector('{css}').textContent")
        shown = name.encode(errors="backslashreplace").decode()
        assert css == "#command" or text.count(shown) == 2
    counts = "[document.images.length, document.scripts.length]"
    assert page.run(f"return {counts}") == [4, 2]
    page.act().move_to_element(page.find("h1")[0]).perform()
    with pytest.raises(NoAlertPresentException):
        _ = page.driver.switch_to.alert.text
    assert page.find(".row")


@pytest.mark.slow
@in_browser
def test_the_policy_refuses_what_the_page_did_not_bring(
    page: Page, folder: Path
) -> None:
    page.open(folder)
    page.run("""
        window.refused = [];
        const note = event => refused.push(event.effectiveDirective);
        addEventListener("securitypolicyviolation", note);
        const add = (tag, values) =>
            document.body.append(Object.assign(document.createElement(tag), values));
        add("img", { src: "http://127.0.0.1:9/a.png" });
        add("img", { src: "data:image/gif;base64,R0lGODlhAQABAAAAACw=" });
        add("script", { src: "http://127.0.0.1:9/a.js" });
        add("script", { src: "result.json" });
        add("script", { src: "data:text/javascript,window.injected = 1" });
        add("script", { textContent: "window.injected = 1" });
        add("link", { rel: "stylesheet", href: "http://127.0.0.1:9/a.css" });
        add("iframe", { src: "http://127.0.0.1:9/" });
        add("video", { src: "http://127.0.0.1:9/a.webm" });
        const hostile = "<img src='' onerror='window.injected = 1'>";
        document.body.insertAdjacentHTML("beforeend", hostile);
        fetch("http://127.0.0.1:9/").catch(() => {});
    """)
    scripts = ["script-src-attr", *["script-src-elem"] * 4]
    others = ["connect-src", "frame-src", "img-src", "img-src", "media-src"]
    expected = sorted([*scripts, *others, "style-src-elem"])
    page.wait_for(lambda: len(page.run("return refused")) >= len(expected))
    assert sorted(page.run("return refused")) == expected
    assert page.run("return window.injected") is None
    complaints = page.complaints()
    assert len(complaints) >= len(expected)
    assert all("Content Security Policy" in complaint for complaint in complaints)


# --- Look -----------------------------------------------------------------------------


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_nobody_is_kept_out(
    page: Page, folder: Path, size: tuple[int, int], scheme: str
) -> None:
    page.open(folder, size, scheme)
    page.press("n")
    for view in ("1", "2", "4", "5"):
        page.press(view)
        assert page.faults() == [], view
        assert page.fits_sideways(), view
    assert (page.screen()[0, 0].mean() > 230) == (scheme == "light")
    for control in page.find("label, button"):
        assert control.size["height"] >= 24, control.text


@pytest.mark.slow
@in_browser
def test_every_control_has_a_name_and_the_focus_is_seen(
    page: Page, folder: Path
) -> None:
    page.open(folder)
    page.press("2")
    names = page.controls()
    assert names["radio"] == list(VIEWS)
    assert names["checkbox"] == ["boxes", "strongest first"]
    assert names["image"][:1] == ["first"]
    assert names["slider"] == ["line"]
    assert all(names["button"])
    before = page.screen()
    page.press(Keys.TAB)
    focus = page.run("return document.activeElement.id")
    assert focus
    assert (before != page.screen()).any(axis=2).sum() > 50


@pytest.mark.slow
@in_browser
def test_a_long_name_does_not_widen_a_phone(page: Page, tmp_path: Path) -> None:
    names = "first.png", f"{'long' * 40}.png"
    page.open(written(tmp_path, *pair(90, 120, (9, 40, 20, 20)), *names), PHONE)
    assert page.fits_sideways()
    one, two = page.place(".one .pane"), page.place(".two .pane")
    assert one[0] == two[0]
    assert one[3] <= two[1]
    data = json.loads(page.run("return document.querySelector('#data').textContent"))
    assert data["second"] == names[1]
