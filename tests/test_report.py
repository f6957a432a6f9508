"""The report in a real browser: what is seen, and what keys, mouse and names do."""

import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from selenium import webdriver
from selenium.common.exceptions import NoAlertPresentException
from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement

import image_diff
import processes

PROGRAMS = "chromium", "chromedriver"
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run "
    "--disable-sync --disable-background-networking --disable-component-update"
)
VIEWS = "side", "swipe", "blend", "toggle", "diff", "thresh"
DESKTOP, PHONE = (1100, 800), (390, 844)
Picture = NDArray[Any]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}"),
]


class Report:
    """An open report; every method acts as a person at the screen would."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        """Act in this browser."""
        self.driver = driver
        self.folder = Path()

    def open(
        self, folder: Path, size: tuple[int, int] = DESKTOP, scheme: str = "light"
    ) -> None:
        """Show the report of a folder on a screen of this size, in light or dark."""
        self.folder = folder
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1}
        metrics["mobile"] = size == PHONE
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd(
            "Emulation.setEmulatedMedia", {"features": features}
        )
        self.driver.get(folder.joinpath("index.html").as_uri())

    def record(self) -> dict[str, Any]:
        """What result.json tells."""
        result: dict[str, Any] = json.loads((self.folder / "result.json").read_text())
        return result

    def picture(self, name: str) -> Picture:
        """A picture of the folder, (H, W, 3) BGR."""
        picture = cv2.imread(str(self.folder / f"{name}.png"))
        assert picture is not None
        return picture.astype(int)

    def act(self) -> ActionChains:
        """Mouse and keyboard."""
        return ActionChains(self.driver, duration=20)

    def press(self, *keys: str) -> None:
        """Press keys one after the other, wherever the focus is."""
        self.act().send_keys(*keys).perform()

    def find(self, css: str) -> list[WebElement]:
        """The elements that can be seen."""
        return [
            e
            for e in self.driver.find_elements(By.CSS_SELECTOR, css)
            if e.is_displayed()
        ]

    def click(self, label: str) -> None:
        """Click on a label with the mouse."""
        next(element for element in self.find("label") if element.text == label).click()

    def mouse(self, kind: str, x: float, y: float) -> None:
        """Press, move or release the left button at a place of the screen."""
        event = {
            "type": f"mouse{kind}",
            "x": x,
            "y": y,
            "button": "left",
            "clickCount": 1,
        }
        event["buttons"] = int(kind != "Released")
        self.driver.execute_cdp_cmd("Input.dispatchMouseEvent", event)

    def run(self, script: str, *arguments: object) -> Any:
        """What a script returns."""
        return self.driver.execute_script(script, *arguments)

    def place(self, element: WebElement) -> tuple[int, int, int, int]:
        """Left, top, right and bottom on the screen."""
        place = self.run(
            "return arguments[0].getBoundingClientRect().toJSON()", element
        )
        keys = "left", "top", "right", "bottom"
        left, top, right, bottom = (math.floor(place[key] + 0.5) for key in keys)
        return left, top, right, bottom

    def screen(self) -> Picture:
        """What is on the screen, (H, W, 3) BGR."""
        data = np.frombuffer(self.driver.get_screenshot_as_png(), np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
        assert picture is not None
        return picture.astype(int)

    def seen(self, css: str = "img") -> Picture:
        """The pixels at the place of the first such element that can be seen."""
        left, top, right, bottom = self.place(self.find(css)[0])
        return self.screen()[top:bottom, left:right]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds."""
        processes.wait_for(condition)

    def controls(self) -> dict[str, list[str]]:
        """The names of the page's elements by role, as a screen reader has them."""
        tree = self.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
        names: dict[str, list[str]] = {}
        for node in tree:
            if "name" in node:
                names.setdefault(node["role"]["value"], []).append(
                    node["name"]["value"]
                )
        return names

    def log(self, kind: str) -> list[dict[str, Any]]:
        """What the browser has logged since it was last asked."""
        entries: list[dict[str, Any]] = self.driver.get_log(kind)  # type: ignore[no-untyped-call]
        return entries

    def complaints(self) -> list[str]:
        """What the console has told since it was last asked."""
        return [entry["message"] for entry in self.log("browser")]

    def requests(self) -> set[str]:
        """The addresses asked for since the last time, without those refused."""
        events = [
            json.loads(entry["message"])["message"] for entry in self.log("performance")
        ]
        asked = {}
        for method, event in ((event["method"], event["params"]) for event in events):
            if method == "Network.requestWillBeSent":
                asked[event["requestId"]] = event["request"]["url"]
            elif (
                method == "Network.loadingFailed"
                and event.get("blockedReason") == "csp"
            ):
                asked.pop(event["requestId"], None)
        return set(asked.values())


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in [
        *FLAGS.split(),
        f"--user-data-dir={tmp_path_factory.mktemp('profile')}",
    ]:
        options.add_argument(flag)
    options.set_capability(
        "goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"}
    )
    driver = webdriver.Chrome(options, Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


@pytest.fixture
def report(browser: webdriver.Chrome) -> Iterator[Report]:
    """A browser that must not complain, nor ask for anything outside the folder."""
    report = Report(browser)
    browser.get("about:blank")
    report.requests(), report.complaints()
    yield report
    assert report.complaints() == []
    for url in report.requests():
        assert url.startswith((report.folder.as_uri() + "/", "data:"))


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
    boxes = (30, 20, 90, 60), (200, 120, 12, 150), (330, 230, 100, 40)
    return written(tmp_path_factory.mktemp("pair"), *pair(320, 480, *boxes))


def shows(report: Report, view: str, at: float = 0.5, other: bool = False) -> bool:
    """Whether this view of the clean pictures is seen, and nothing else."""
    first, second = report.picture("first"), report.picture("second")
    columns = np.arange(first.shape[1])[:, None] < at * first.shape[1]
    expected = {
        "side": first,
        "swipe": np.where(columns, first, second),
        "blend": first + at * (second - first),
        "toggle": second if other else first,
    }
    alone = view not in expected
    seen = report.seen()
    close = (
        np.abs(seen - (report.picture(view) if alone else expected[view])).max(axis=2)
        < 3
    )
    right = bool(close.mean() > 0.99)
    if view == "side":
        right = right and len(report.find("img")) == 2
        right = right and np.array_equal(report.seen(".second img"), second)
    return right


def with_and_without_boxes(
    report: Report, switch: Callable[[], None]
) -> tuple[Picture, Picture]:
    """What is seen before and after the boxes are switched off."""
    before = report.seen()
    switch()
    return before, report.seen()


def boxes_lie_at_the_regions(report: Report, before: Picture, after: Picture) -> bool:
    """Whether two sights of a picture differ along the outlines, and only there."""
    scale = before.shape[1] / report.record()["width"]
    outlines = np.zeros(before.shape[:2], np.uint8)
    for region in report.record()["regions"]:
        x, y, width, height = (
            round(scale * region[key]) for key in ("x", "y", "width", "height")
        )
        cv2.rectangle(outlines, (x, y), (x + width, y + height), 1)
    changed = (before != after).any(axis=2).astype(np.uint8)
    near = np.ones((5, 5), np.uint8)
    strays = changed.astype(bool) & (cv2.dilate(outlines, near) == 0)
    gaps = outlines.astype(bool) & (cv2.dilate(changed, near) == 0)
    return bool(changed.any()) and not strays.any() and not gaps.any()


def contrast(picture: Picture) -> float:
    """The contrast of the lightest and the darkest pixel, as WCAG has it: 1 to 21."""
    light = picture / 255
    light = np.where(light <= 0.04045, light / 12.92, ((light + 0.055) / 1.055) ** 2.4)
    luminance = light @ [0.0722, 0.7152, 0.2126]
    return float((luminance.max() + 0.05) / (luminance.min() + 0.05))


# --- Views ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["mouse", "digit", "arrow"])
def test_every_view_shows_its_pictures_and_the_boxes_over_them(
    report: Report, folder: Path, way: str
) -> None:
    report.open(folder)
    for number, view in enumerate(VIEWS, 1):
        if way == "mouse":
            report.click(view)
        elif way == "digit":
            report.press(str(number))
        else:
            report.press(Keys.TAB if view == "side" else Keys.DOWN)
        sights = with_and_without_boxes(report, lambda: report.press("b"))
        assert boxes_lie_at_the_regions(report, *sights), view
        assert shows(report, view), view
        report.press("b")
        assert np.array_equal(report.seen(), sights[0])


def test_the_boxes_are_switched_by_mouse_and_by_keyboard_in_every_view(
    report: Report, folder: Path
) -> None:
    report.open(folder)
    for view in VIEWS:
        report.click(view)
        sights = with_and_without_boxes(report, lambda: report.click("boxes"))
        assert boxes_lie_at_the_regions(report, *sights), view
        assert shows(report, view), view
        report.press(Keys.SPACE)  # the checkbox has the focus
        assert np.array_equal(report.seen(), sights[0]), view


def test_the_overlay_has_one_rectangle_a_region_in_pixels_of_the_picture(
    report: Report, folder: Path
) -> None:
    report.open(folder)
    regions = report.record()["regions"]
    assert len(regions) == 3
    keys = "x", "y", "width", "height"
    rectangles = report.run(
        """
        const values = rect => arguments[0].map(key => +rect.getAttribute(key));
        return [...document.querySelectorAll("rect")].map(values);
        """,
        keys,
    )
    assert rectangles == [[region[key] for key in keys] for region in regions]


def test_arrows_and_the_slider_move_the_swipe_and_the_blend(
    report: Report, folder: Path
) -> None:
    report.open(folder)
    report.press("b")
    for view in ("swipe", "blend"):
        report.click(view)
        report.press(*[Keys.RIGHT] * 5)
        assert shows(report, view, at=0.6)
        report.press(*[Keys.LEFT] * 10)
        assert shows(report, view, at=0.4)
        slider = report.driver.find_element(By.ID, "at")  # over the picture, unseen
        report.act().move_to_element_with_offset(
            slider, slider.size["width"] // 4, 0
        ).click().perform()
        at = float(slider.get_property("value")) / 100  # type: ignore[arg-type]
        assert at == pytest.approx(0.75, abs=0.06)
        assert shows(report, view, at=at)
        report.press(Keys.HOME)
        assert shows(report, view, at=0)
        report.press(Keys.END)
        assert shows(report, view, at=1)
        report.press(*[Keys.LEFT] * 25)
        assert shows(report, view, at=0.5)


def test_dragging_on_the_picture_swipes_until_the_button_is_released(
    report: Report, folder: Path
) -> None:
    report.open(folder)
    report.press("b", "2")
    left, top, right, bottom = report.place(report.find("img")[0])
    x, y, width = left + (right - left) / 4, (top + bottom) / 2, right - left
    report.mouse("Pressed", x, y)
    assert shows(report, "swipe", at=0.25)
    for at, beyond in ((0.5, 0), (0.4, 0), (0.8, 0), (1, 100)):
        report.mouse("Moved", left + at * width + beyond, y + 10)
        assert shows(report, "swipe", at=at)
    report.mouse("Released", right + 100, y + 10)
    report.mouse("Moved", x, y)
    assert shows(report, "swipe", at=1)
    report.press("1", "2")
    assert shows(report, "swipe", at=1)


def test_space_and_a_click_toggle_the_two_pictures(
    report: Report, folder: Path
) -> None:
    report.open(folder)
    report.press("b", "4")
    for other in (True, False):
        report.press(Keys.SPACE)
        assert shows(report, "toggle", other=other)
    for other in (True, False):
        report.act().move_to_element(report.find("img")[0]).click().perform()
        assert shows(report, "toggle", other=other)


def test_what_is_left_out_is_hatched_over_both_pictures(
    report: Report, tmp_path: Path
) -> None:
    options = "--ignore", "160,100,80,60"
    report.open(written(tmp_path, *pair(200, 300, (20, 20, 60, 60)), options=options))
    for view, css in [
        ("side", ".first img"),
        ("side", ".second img"),
        ("swipe", ".first img"),
    ]:
        report.click(view)
        hatched = report.seen(css)
        report.press("b")
        changed = (hatched != report.seen(css)).any(axis=2)
        report.press("b")
        assert 0.2 < changed[102:158, 162:238].mean() < 0.8, (view, css)
        assert not changed[90:98].any()
        assert not changed[100:160, 243:].any()


# --- Table ----------------------------------------------------------------------------


def test_header_and_table_tell_the_result(report: Report, folder: Path) -> None:
    report.open(folder)
    record, header = report.record(), report.find("header")[0].text
    for name in ("ssim", "threshold"):
        number = re.findall(rf"(?i){name}\W+([\d.]+)", header)[0]
        assert float(number) == pytest.approx(record[name], abs=1e-3)
    share = f"{100 * record['different_fraction']:.3g} % of the picture"
    assert f"different: 3 regions, {share}, 480 x 320" in header
    rows = [row.text.split() for row in report.find("tbody tr")]
    keys = "x", "y", "width", "height", "area"
    for number, (row, region) in enumerate(
        zip(rows, record["regions"], strict=True), 1
    ):
        expected = [number, *(region[key] for key in keys), f"{region['ssim']:.3f}"]
        assert row == list(map(str, expected))


def test_the_header_of_a_registered_pair_tells_how_it_was_registered(
    report: Report, tmp_path: Path
) -> None:
    rng = np.random.default_rng(2)
    first = cv2.resize(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8), (500, 400))
    options = "--align", "perspective"
    report.open(
        written(tmp_path, first, np.roll(first, 5, axis=1)[:, 5:], options=options)
    )
    matches = report.record()["alignment"]["matches"]
    line = f"alignment perspective: {matches} matches agree, 99 % covered"
    assert line in report.find("header")[0].text.splitlines()


def test_a_row_scrolls_to_its_box_and_flashes_it(
    report: Report, tmp_path: Path
) -> None:
    report.open(
        written(tmp_path, *pair(6000, 400, (40, 50, 90, 70), (250, 5000, 90, 70)))
    )
    regions = report.record()["regions"]
    clean = report.picture("first")

    def coloured(region: dict[str, int]) -> bool:
        """Whether the middle of a box is seen, in a colour that it does not have."""
        left, top, _, _ = report.place(report.find(".first img")[0])
        x, y = (
            region[k] + region[size] // 2
            for k, size in (("x", "width"), ("y", "height"))
        )
        controls = report.place(report.find("nav")[0])[3]
        if not (
            controls <= top + region["y"] and top + y + region["height"] < DESKTOP[1]
        ):
            return False
        return bool(np.abs(report.screen()[top + y, left + x] - clean[y, x]).max() > 20)

    def flashes(region: dict[str, int]) -> None:
        """Hold the flash in the middle to look at it, and wait for its end."""
        flash = "for (const flash of document.getAnimations()) flash."
        report.run(f"{flash}pause()")
        report.run(f"{flash}currentTime = 250")
        report.wait_for(lambda: coloured(region))
        report.run(f"{flash}play()")
        report.wait_for(lambda: not coloured(region))

    report.press("b")  # a box that is to be seen is switched on
    for _ in range(2):
        report.find("tbody tr")[0].click()
        flashes(regions[0])
    report.press(Keys.TAB)
    assert report.find("tr:focus-within td")[0].text == "2"
    report.press(Keys.ENTER)
    flashes(regions[1])
    report.press("4")
    report.find("tbody tr")[0].click()
    flashes(regions[0])


def test_same_pictures_have_no_region_and_an_empty_table(
    report: Report, tmp_path: Path
) -> None:
    first, _ = pair(100, 480)
    report.open(written(tmp_path, first, first))
    assert (
        "same: the pictures are identical, 480 x 100" in report.find("header")[0].text
    )
    assert not report.find("tbody tr, rect")
    for view in VIEWS:
        report.click(view)
        assert shows(report, view)


def test_two_thousand_regions_still_respond(report: Report, tmp_path: Path) -> None:
    dots = [(x, y, 2, 2) for y in range(8, 800, 20) for x in range(8, 1000, 20)]
    report.open(written(tmp_path, *pair(800, 1000, *dots)))
    assert len(dots) == len(report.record()["regions"]) == 2000
    frame = "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done))"
    for number, view in enumerate(VIEWS, 1):
        report.press(str(number), "b", "b")
        report.driver.execute_async_script(frame)
        assert report.run("return document.querySelector(':checked').id") == view
    last = report.driver.find_elements(By.CSS_SELECTOR, "tbody tr")[-1]
    last.click()
    report.wait_for(lambda: report.run("return document.getAnimations().length > 0"))


# --- Safety ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "<img src=x onerror=alert(1)>.png",
        "\"><script>alert(1)</script>'.png",
        "' onmouseover='alert(1)' &amp; &lt; </title> $title ${x} $$ {y} %s.png",
        "two\nlines.png",
        "not unicode \udcff.png",
    ],
)
def test_hostile_file_names_are_shown_and_do_nothing(
    report: Report, tmp_path: Path, name: str
) -> None:
    try:
        folder = written(tmp_path, *pair(40, 60, (9, 9, 9, 9)), name, f"second {name}")
    except OSError as problem:
        pytest.skip(f"this file system has no such name: {problem}")
    report.open(folder)
    paths = [str(tmp_path / name), str(tmp_path / f"second {name}")]
    assert [report.record()[key] for key in ("first", "second")] == paths
    for element in ("h1", "title"):
        text = report.run(f"return document.querySelector('{element}').textContent")
        for path in paths:
            assert path.encode(errors="backslashreplace").decode() in text
    assert report.run("return [document.images.length, document.scripts.length]") == [
        4,
        1,
    ]
    report.act().move_to_element(report.find("h1")[0]).perform()
    with pytest.raises(NoAlertPresentException):
        _ = report.driver.switch_to.alert.text
    assert report.find("tbody tr")


def test_the_policy_refuses_what_the_page_did_not_bring(
    report: Report, folder: Path
) -> None:
    report.open(folder)
    report.run("""
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
    others = [
        "connect-src",
        "frame-src",
        "img-src",
        "img-src",
        "media-src",
        "style-src-elem",
    ]
    report.wait_for(lambda: len(report.run("return refused")) >= len(scripts + others))
    assert sorted(report.run("return refused")) == sorted(scripts + others)
    assert report.run("return window.injected") is None
    complaints = report.complaints()
    assert len(complaints) >= len(scripts + others)
    assert all("Content Security Policy" in complaint for complaint in complaints)


# --- Look -----------------------------------------------------------------------------


def test_light_and_dark_follow_the_system_and_can_be_read(
    report: Report, folder: Path
) -> None:
    backgrounds = {}
    for scheme in ("light", "dark"):
        report.open(folder, scheme=scheme)
        screen = report.screen()
        backgrounds[scheme] = screen[0, 0].mean()
        elements = report.find("header h1, header p, nav label, section p, th, td")
        for element in elements:
            left, top, right, bottom = report.place(element)
            text = screen[top + 3 : bottom - 3, left + 3 : right - 3]
            assert contrast(text) >= 4.5, (scheme, element.text)
    assert backgrounds["light"] > 230
    assert backgrounds["dark"] < 40


def test_a_phone_shows_all_without_scrolling_sideways(
    report: Report, tmp_path: Path
) -> None:
    boxes = (100, 1000, 900, 90), (1100, 1200, 2000, 900)
    folder = written(
        tmp_path, *pair(2300, 3200, *boxes), "first.png", f"{'long' * 20}.png"
    )
    report.open(folder, PHONE)
    for view in VIEWS:
        report.click(view)
        for width in ("scrollWidth", "clientWidth"):
            assert report.run(f"return document.documentElement.{width}") == PHONE[0], (
                view
            )
        report.run("document.querySelector('main').scrollIntoView({ block: 'end' })")
        for picture in report.find("img"):
            left, top, right, bottom = report.place(picture)
            assert 0 <= left < right <= PHONE[0], view
            assert (right - left) / (bottom - top) == pytest.approx(
                3200 / 2300, rel=0.01
            )
        assert right - left > 0.9 * PHONE[0]
        sights = with_and_without_boxes(report, lambda: report.click("boxes"))
        assert boxes_lie_at_the_regions(report, *sights), view
        report.press("b")
    report.click("side")
    first, second = (report.place(picture) for picture in report.find("img"))
    assert first[0] == second[0]
    assert first[3] <= second[1]
    for label in report.find("label"):
        assert label.size["height"] >= 24, label.text


def test_every_control_has_a_name_and_a_role(report: Report, folder: Path) -> None:
    report.open(folder)
    report.press("2")
    names = report.controls()
    assert names["group"] == ["view"]
    assert names["radio"] == list(VIEWS)
    assert names["checkbox"] == ["boxes"]
    assert names["image"] == ["first", "second"]
    assert len(names["slider"]) == 1
    assert all(names["slider"])
