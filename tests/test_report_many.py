"""The overview of many pairs in a real browser."""

import json
import os
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from selenium.webdriver import Keys
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

import image_diff
import test_folders
from chromium import DESKTOP, MISSING, PHONE, Page
from image_diff import Options, main
from test_folders import STATUSES, changed, folders, write
from test_image_diff import random_picture

Record = dict[str, Any]
tree = test_folders.tree
in_browser = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
HOSTILE = [
    "</script><img src=x onerror=alert(1)>.png".replace("/", "\N{DIVISION SLASH}"),
    "<!--<script>.png",
    "%41 #1? &amp; 'single' \"double\".png",
    "line\nbreak \\ backslash.png",
    "javascript:alert(1).png",
    "\udcff not utf-8.png",
    "日本 — ü.png",
]


def told(page: Page) -> str:
    """How many pairs are shown of how many."""
    return page.text("[role=status]")


def names(page: Page) -> list[str]:
    """The names of the rows that are built, from the top."""
    shown = "return [...document.querySelectorAll('li b')]"
    result: list[str] = page.run(f"{shown}.map(b => b.textContent)")
    return result


def order(page: Page, text: str) -> None:
    """Choose an order."""
    Select(page.find("select")[0]).select_by_visible_text(text)


def search(page: Page, text: str) -> None:
    """Type into the search."""
    field = page.find("input[type=search]")[0]
    field.clear()
    field.send_keys(text)


def wait_for_pair(page: Page) -> None:
    """Wait until the report of a pair is seen."""
    page.wait_for(lambda: len(page.find("figure")) == 2)


def wait_for_pictures(page: Page, width: int) -> None:
    """Scroll to each picture and wait until it is there, as wide as it should be."""
    loaded = (
        "img => { img.loading = 'eager'; return img.naturalWidth == arguments[0]; }"
    )
    every = f"return [...document.images].every({loaded})"
    page.wait_for(lambda: bool(page.run(every, width)))


def run(tree: Path, *options: str) -> Path:
    """The overview of the tree."""
    main([*folders(tree), "-o", str(tree / "out"), *options])
    return tree / "out"


def record(
    name: str, status: str, ssim: float | None = None, share: float | None = None
) -> Record:
    """A record as in results.jsonl."""
    pair = image_diff.Pair(name, "none.png", "none.png", "is no picture")
    result = image_diff.compare_pair(pair, Options(), None, None).record | {
        "error": None,
        "status": status,
    }
    if status == "only_first":
        result["second"] = None
    if ssim is not None:
        result |= {"ssim": ssim, "different_fraction": share}
    return result


@pytest.mark.slow
@in_browser
def test_the_overview_tells_of_every_pair_and_each_row_opens(
    page: Page,
    tree: Path,
) -> None:
    page.open(run(tree, "--tolerance", "1"), root=tree)
    verdict = "different 3 of 11 differ, 2 removed, 3 new, 2 could not be compared"
    assert page.text("#verdict") == verdict
    assert "options --tolerance 1" in page.text("#facts")
    assert told(page) == "11 of 11 pairs"
    page.wait_for(lambda: sorted(names(page)) == sorted(STATUSES))
    labels = [label.text for label in page.find("#statuses label")]
    assert labels == [
        "all 11",
        "different 3",
        "same 1",
        "only first (removed) 2",
        "only second (new) 3",
        "error 2",
    ]
    rows = {row.find_element(By.TAG_NAME, "b").text: row for row in page.find("li")}
    for name, status in STATUSES.items():
        links = rows[name].find_elements(By.TAG_NAME, "a")
        pictures = [link.text.rpartition("\n")[2] for link in links[:-1]]
        expected = ["first", "second", "overlay"]
        if status == "only_second":
            expected = ["second"]
        elif status != "different":
            expected = expected[: 1 if status == "only_first" else 2]
        assert pictures == expected, name
        if status != "error":
            for link in links:
                path = link.get_attribute("href") or ""
                assert path.startswith(tree.as_uri()), name
        page.run("arguments[0].scrollIntoView()", rows[name])
    result = json.loads((tree / "out/pairs/page 1.png/result.json").read_text())
    text = rows["page 1.png"].text
    assert f"SSIM {int(result['ssim'] * 1e4) / 1e4:.4f}" in text
    assert f"{100 * result['different_fraction']:.3g} %" in text
    assert "is a damaged or truncated PNG" in rows["cut.png"].text
    controls = page.controls()
    assert controls["searchbox"] == ["search by name"]
    assert controls["combobox"] == ["order"]
    page.complaints()  # of the damaged picture


@pytest.mark.slow
@in_browser
def test_the_overview_enlarges_icons(page: Page, tmp_path: Path) -> None:
    write(tmp_path / "first/icon.png", random_picture(1, 20, 24, 3))
    write(tmp_path / "second/large.png", random_picture(1, 200, 240, 3))
    page.open(run(tmp_path), root=tmp_path)

    def sizes() -> dict[str, tuple[int, int]]:
        shown = {}
        for row in page.find("li"):
            size = row.find_element(By.TAG_NAME, "img").size
            name = row.find_element(By.TAG_NAME, "b").text
            shown[name] = size["width"], size["height"]
        return shown

    # With a border of one pixel.
    page.wait_for(lambda: sizes() == {"icon.png": (98, 82), "large.png": (112, 94)})


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize("form", ["list", "grid"])
def test_a_row_without_a_report_shows_its_pictures_large(
    page: Page, tree: Path, form: str
) -> None:
    write(tree / "first/nested/same.png", random_picture(1, 300, 400, 3))
    write(tree / "second/nested/same.png", random_picture(1, 300, 400, 3))
    page.open(run(tree), root=tree)
    page.click(form)
    search(page, "nested/same")
    page.wait_for(lambda: names(page) == ["nested/same.png"])
    wait_for_pictures(page, 400)

    def heights() -> list[int]:
        return [image.size["height"] for image in page.find("li img")]

    assert max(heights()) <= 94
    name = page.find("li > p > a")[0]
    name.click()
    assert min(heights()) >= 300
    name.send_keys(Keys.ENTER)
    assert max(heights()) <= 94
    page.find("li > a")[1].click()  # the picture itself
    page.wait_for(lambda: "/second/nested/same.png" in page.driver.current_url)


@pytest.mark.slow
@in_browser
def test_from_pair_to_pair_and_back_to_the_same_place(
    page: Page,
    tree: Path,
) -> None:
    page.open(run(tree), root=tree)
    page.click("grid")
    page.click("different 3")
    order(page, "by name")
    page.wait_for(lambda: len(names(page)) == 3)
    pairs = names(page)
    page.find("li b")[0].click()
    wait_for_pair(page)
    for key, number in [("]", 2), ("]", 3), ("]", 1), ("[", 3), ("[", 2)]:
        page.press(key)
        told = f"{number} of 3 that differ"
        page.wait_for(lambda told=told: told in page.text("#pairs"))  # type: ignore[misc]
        assert f"/second/{pairs[number - 1].rpartition('.')[0]}." in page.driver.title
    page.click_link("all pairs")
    page.wait_for(lambda: bool(page.find("#forms")))
    page.wait_for(lambda: names(page) == pairs)
    assert page.run("return document.querySelector('main').className") == "grid"
    assert Select(page.find("select")[0]).first_selected_option.text == "by name"
    page.open(page.folder / "pairs" / pairs[1], root=tree)  # not by way of the overview
    page.press("]")
    page.wait_for(lambda: " of 3 that differ" in page.text("#pairs"))


@pytest.mark.slow
@in_browser
def test_names_are_shown_as_they_are_and_lead_to_their_pages(
    page: Page, tmp_path: Path
) -> None:
    for name in HOSTILE:
        write(tmp_path / "first #1%" / name)
        write(tmp_path / "second" / name, changed(random_picture(1, 40, 60, 3)))
    output = tmp_path / "out"
    pair = [str(tmp_path / "first #1%"), str(tmp_path / "second")]
    main([*pair, "-o", str(output)])
    page.open(output, root=tmp_path)
    order(page, "by name")
    shown = {name.replace("\udcff", "\\udcff") for name in HOSTILE}
    page.wait_for(lambda: set(names(page)) == shown)
    wait_for_pictures(page, 60)
    page.find("li b")[0].click()
    for _ in HOSTILE:
        wait_for_pair(page)
        wait_for_pictures(page, 60)
        url = page.driver.current_url
        page.press("]")
        page.wait_for(lambda url=url: page.driver.current_url != url)  # type: ignore[misc]


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The overview of 10,000 pairs, every tenth of them different."""
    output = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    with open(output / "results.jsonl", "w") as lines:
        for number in range(10_000):
            name = f"chapter {number // 100}/page {number}.png"
            if number == 5:
                result = record(name, "error")
            elif number == 6:
                result = record(name, "only_first")
            elif number % 10 == 0:
                share = float(rng.random())
                result = record(name, "different", 1 - share * share, share)
            else:
                result = record(name, "same", 1.0, 0.0)
            lines.write(f"{json.dumps(result)}\n")
    plan = image_diff.Plan(str(output), "new", Options())
    image_diff.write_overview(plan, str(output), 10_007)
    return output


@pytest.mark.slow
@in_browser
def test_10_000_pairs_are_filtered_searched_and_sorted(page: Page, large: Path) -> None:
    page.open(large, root=Path("/"))
    text = (large / "results.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    different = [line for line in lines if line["status"] == "different"]
    verdict = "1000 of 10000 differ, 1 removed, 1 could not be compared"
    assert verdict in page.text("#verdict")
    assert "; the run was stopped, 7 left" in page.text("#verdict")
    page.wait_for(lambda: "picture cannot be shown here" in page.text("li"))
    by_share = sorted(different, key=lambda line: -line["different_fraction"])
    shown = names(page)
    assert shown[:2] == ["chapter 0/page 5.png", "chapter 0/page 6.png"]
    assert shown[2:40] == [line["name"] for line in by_share[:38]]
    page.click("different 1000")
    assert told(page) == "1000 of 10000 pairs"
    for text, expected in (
        ("least alike first", sorted(different, key=lambda line: line["ssim"])),
        ("most alike first", sorted(different, key=lambda line: -line["ssim"])),
        ("most different first", by_share),
        ("by name", different),
    ):
        order(page, text)
        page.wait_for(lambda: bool(page.find("li")))
        assert names(page)[:40] == [line["name"] for line in expected[:40]], text
    search(page, "PAGE 990")
    expected = [line["name"] for line in different if "page 990" in line["name"]]
    assert told(page) == f"{len(expected)} of 10000 pairs"
    page.wait_for(lambda: names(page) == expected)
    search(page, "no such name")
    assert (told(page), names(page)) == ("0 of 10000 pairs", [])
    search(page, "")
    page.click("all 10000")
    # Scrolling down reaches the last pair.
    page.find("body")[0].send_keys(Keys.TAB)
    last = lines[-1]["name"]

    def at_the_end() -> bool:
        page.run("scrollTo(0, document.body.scrollHeight)")
        return names(page)[-1:] == [last]

    page.wait_for(at_the_end)
    page.driver.get("about:blank")
    middle = "chapter 50/page 5000.png"
    where = "#order=name&from=chapter+50%2Fpage+5000.png"
    page.driver.get((large / "index.html").as_uri() + where)
    tops = "li => [li.querySelector('b').textContent, li.getBoundingClientRect().top]"
    places = dict(page.run(f"return [...document.querySelectorAll('li')].map({tops})"))
    assert 0 < places[middle] < DESKTOP[1]
    page.complaints()  # of the pictures that are not there


@pytest.mark.slow
@in_browser
@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
def test_nobody_is_kept_out_of_the_overview(
    page: Page,
    tree: Path,
    size: tuple[int, int],
    scheme: str,
) -> None:
    write(tree / f"first/{'long' * 40}.png")
    page.open(run(tree), size, scheme, root=tree)
    for form in ("grid", "list"):
        page.click(form)
        assert page.faults() == []
        assert page.fits_sideways()
    assert (page.screen()[0, 0].mean() > 230) == (scheme == "light")
    for control in page.find("label, [type=search], select"):
        assert control.size["height"] >= 24


@pytest.mark.slow
@in_browser
def test_the_overview_of_a_ranking_begins_with_the_likest(
    page: Page, tmp_path: Path
) -> None:
    logo = random_picture(3, 90, 120, 3)
    write(tmp_path / "logo.png", logo)
    write(tmp_path / "second/a.png", random_picture(4, 90, 120, 3))
    write(tmp_path / "second/b.png", changed(logo))
    write(tmp_path / "second/c.png", logo)
    pair = ["-f", str(tmp_path / "logo.png"), "-s", str(tmp_path / "second")]
    assert main([*pair, "-o", str(tmp_path / "out")]) == 0
    page.open(tmp_path / "out", root=tmp_path)
    lines = (tmp_path / "out/results.jsonl").read_text().splitlines()
    likest = sorted(map(json.loads, lines), key=itemgetter("likeness"), reverse=True)
    assert likest[0]["name"] == "c.png"
    page.wait_for(lambda: names(page) == [record["name"] for record in likest])


def test_what_the_overview_knows_of_a_pair() -> None:
    same = record("a/b.png", "same", 1.0, 0.0)
    row = image_diff.overview_row(same | {"likeness": 0.25}, "out")
    assert row == {
        "name": "a/b.png",
        "status": "same",
        "text": "same: likeness 0.250, SSIM 1.0000",
        "share": 0.0,
        "alike": 0.25,
        "least": -0.25,
        "page": "../none.png",
        "pictures": {"first": "../none.png", "second": "../none.png"},
    }


@pytest.mark.parametrize(
    ("name", "shown"),
    [("a.PNG", True), ("a.gif", True), ("a.pdf", False), ("a.tif", False)],
)
def test_the_overview_shows_as_pictures_what_browsers_show(
    name: str, shown: bool
) -> None:
    same = record(name, "same", 1.0, 0.0) | {"first": name, "second": name}
    row = image_diff.overview_row(same, "out")
    expected = {"first": f"../{name}", "second": f"../{name}"}
    assert row["pictures"] == (expected if shown else {})
    assert row["page"] == f"../{name}"


def test_the_overview_neither_shows_nor_leads_to_a_pipe(tmp_path: Path) -> None:
    (tmp_path / "second.png").touch()
    os.mkfifo(tmp_path / "first.png")
    paths = {which: str(tmp_path / f"{which}.png") for which in ("first", "second")}
    failed = record("a.png", "error", None, None)
    row = image_diff.overview_row(failed | paths, str(tmp_path))
    assert (row["page"], row["pictures"]) == ("second.png", {"second": "second.png"})
    row = image_diff.overview_row(failed | paths | {"second": None}, str(tmp_path))
    assert (row["page"], row["pictures"]) == ("", {})


@pytest.mark.parametrize(
    ("counts", "left", "word"),
    [
        ({"same": 3}, 0, "same"),
        ({"same": 3, "error": 2}, 0, "error"),
        ({"same": 3, "error": 2, "only_first": 1}, 0, "different"),
        ({"different": 1}, 7, "different"),
        ({"same": 3}, 7, "unfinished"),
        ({}, 7, "unfinished"),
    ],
)
def test_the_badge_of_the_overview(
    counts: dict[str, int], left: int, word: str
) -> None:
    statuses = [status for status, number in counts.items() for _ in range(number)]
    results = [record("a.png", status, 1.0, 0.0) for status in statuses]
    page = image_diff.overview_page(("a", "b"), Options(), "out", results, left, False)
    assert f'"word": "{word}"' in "".join(page)
