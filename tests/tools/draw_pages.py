"""Web pages that grew, drawn in Chromium, and how well `--align rows` follows them.

    random numbers -> blocks -> edits -> two pages -> Chromium -> pictures and truth

    python tests/tools/draw_pages.py [--half development|held-out] [--folder pages]

What moved and what changed is known from the document: every block and every slot (a
place whose content changes and whose size does not) tells its bounds. The pictures and
their truth stay in the folder, if one is named, and are drawn only once. The held-out
half has other words, fonts, sizes, widths and random numbers.
"""

from __future__ import annotations

import argparse
import base64
import json
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from html import escape
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from selenium import webdriver

import camera
import chromium
import image_diff
import truth

Random = np.random.Generator
Picture = NDArray[Any]
Place = tuple[float, float, float, float]  # left, top, right, bottom in pixels

# ------------------------------------------------------------------------------- blocks


class Style(NamedTuple):
    """How the pages of a half may look; one of each is drawn by lot."""

    words: str
    fonts: tuple[str, ...]
    sizes: tuple[float, ...]  # of the letters, in CSS pixels
    leadings: tuple[float, ...]  # height of a line in sizes
    widths: tuple[int, ...]  # of the page, in CSS pixels
    scales: tuple[float, ...]  # pixels a CSS pixel


HALVES = {
    "development": Style(
        "the harbour was quiet when a late ferry came in with its lamps still lit and "
        "people on deck spoke of rain weather tickets prices bread letters engines "
        "winter repairs coast islands morning maps routes small company records new "
        "owner changed every table old page",
        ("DejaVu Sans", "Nimbus Roman", "DejaVu Sans Mono"),
        (14, 15, 16, 17),
        (1.4, 1.5, 1.6),
        (800, 1000, 1140, 1280),
        (1, 1, 1, 1.25),
    ),
    "held-out": Style(
        "der Garten liegt hinter dem Haus und im Herbst werden dort Birnen geerntet "
        "Leiter Korb Nachbarn Wolken Regen Brunnen Schlüssel Fenster Werkstatt Holz "
        "Farbe neue Rechnung wird morgen bezahlt sobald alle Zahlen stimmen Straße "
        "Zug Bahnhof Abfahrt",
        ("Nimbus Sans", "DejaVu Serif", "P052", "C059"),
        (13, 14.5, 16.5, 18),
        (1.35, 1.45, 1.7),
        (720, 960, 1366, 1440),
        (1, 1, 1.5, 2),
    ),
}
KINDS = "article", "dashboard", "form", "list", "chat", "docs"
EDITS = (
    "banner",
    "removed",
    "grown",
    "wrapped",
    "changed",
    "mixed",
    "side",
    "moved",
    "jpeg",
    "equal",
)
PAGES = 3  # of every kind and edit
COLOURS = "#b3261e", "#2e6f40", "#1d5fa8", "#8a5a00", "#6b3fa0", "#00727a"


@dataclass(frozen=True)
class Block:
    """A piece of a page that stands by itself."""

    key: str  # of the page's own
    html: str
    slots: tuple[str, ...] = ()


class Author:
    """Writes blocks; what it writes follows from its random numbers."""

    def __init__(self, random: Random, words: str) -> None:
        """Write with these words."""
        self.random = random
        self.vocabulary = words.split()
        self.written = 0

    def next_key(self, kind: str) -> str:
        """A key that no other block or slot of the page has."""
        self.written += 1
        return f"{kind}{self.written}"

    def words(self, least: int, most: int) -> str:
        """So many words as a sentence."""
        number = int(self.random.integers(least, most + 1))
        return " ".join(self.random.choice(self.vocabulary, number)).capitalize()

    def number(self) -> str:
        """An amount."""
        return f"{self.random.integers(100, 99999) / 100:.2f}"

    def colour(self) -> str:
        """One of the colours."""
        return str(self.random.choice(COLOURS))

    def drawing(self) -> str:
        """What is inside of a picture: shapes of a view box of 100 x 100."""
        shapes = [f'<rect width="100" height="100" fill="{self.colour()}22"/>']
        for _ in range(int(self.random.integers(5, 12))):
            x, y, size = self.random.integers(0, 90, 3)
            shapes.append(
                f'<circle cx="{x}" cy="{y}" r="{size / 4 + 2}" fill="{self.colour()}" '
                'opacity=".7"/>'
            )
        points = " ".join(f"{10 * i},{self.random.integers(5, 95)}" for i in range(11))
        line = f'<polyline points="{points}" fill="none" stroke="{self.colour()}"/>'
        return "".join([*shapes, line])

    def slot(self, text: str, width: float = 6) -> tuple[str, str]:
        """A slot of fixed width with a text in it, and its key."""
        key = self.next_key("slot")
        html = f'<b class="slot" data-slot="{key}" style="width:{width}em">{text}</b>'
        return html, key

    def picture(self, height: int, width: str = "100%") -> tuple[str, str]:
        """A slot that holds a picture, and its key."""
        key = self.next_key("slot")
        return (
            f'<svg data-slot="{key}" viewBox="0 0 100 100" preserveAspectRatio="none" '
            f'style="width:{width};height:{height}px">{self.drawing()}</svg>'
        ), key

    def block(self, kind: str, html: str, *slots: str) -> Block:
        """A block of a class of the style sheet."""
        key = self.next_key("block")
        return Block(key, f'<div class="{kind}" data-key="{key}">{html}</div>', slots)

    def heading(self) -> Block:
        """A line in large letters."""
        return self.block("heading", self.words(2, 6))

    def paragraph(self) -> Block:
        """A text with an amount in it."""
        slot, key = self.slot(self.number())
        text = f"{self.words(20, 60)} {slot} {self.words(3, 30)}."
        return self.block("text", text, key)

    def figure(self) -> Block:
        """A picture with its caption."""
        picture, key = self.picture(int(self.random.integers(120, 300)))
        return self.block("figure", f"{picture}<i>{self.words(4, 9)}</i>", key)

    def cards(self) -> Block:
        """Three cards side by side, with an amount and a chart each."""
        cards, keys = "", []
        for _ in range(3):
            slot, key = self.slot(self.number())
            picture, other = self.picture(90)
            cards += f"<div><i>{self.words(1, 3)}</i><br>{slot}{picture}</div>"
            keys += [key, other]
        return self.block("cards", cards, *keys)

    def row(self) -> Block:
        """A row of a table."""
        slots = [self.slot(self.number()) for _ in range(3)]
        html = f"<span>{self.words(1, 3)}</span>" + "".join(slot for slot, _ in slots)
        return self.block("row", html, *(key for _, key in slots))

    def field(self) -> Block:
        """A field of a form, with label and hint."""
        slot, key = self.slot(self.words(1, 1), 12)
        hint = f"<i>{self.words(4, 10)}</i>"
        html = f"<label>{self.words(1, 3)}</label><div>{slot}</div>{hint}"
        return self.block("field", html, key)

    def item(self) -> Block:
        """An item of a list of goods."""
        picture, key = self.picture(84, "110px")
        slot, other = self.slot(self.number())
        text = f"<b>{self.words(2, 5)}</b><br>{self.words(8, 24)}<br>{slot}"
        return self.block("item", f"{picture}<div>{text}</div>", key, other)

    def bubble(self) -> Block:
        """What one side of a chat says."""
        slot, key = self.slot(f"{self.random.integers(0, 24)}:{self.written % 60:02}")
        side = "mine" if self.random.random() < 0.5 else "theirs"
        html = f"<div>{self.words(2, 34)}<br>{slot}</div>"
        return self.block(f"bubble {side}", html, key)

    def code(self) -> Block:
        """Lines of code."""
        lines = "\n".join(
            "  " * int(self.random.integers(0, 4)) + self.words(1, 6).lower()
            for _ in range(int(self.random.integers(3, 11)))
        )
        slot, key = self.slot(self.number())
        return self.block("code", f"<pre>{lines}\nreturn {slot}</pre>", key)

    def link(self) -> Block:
        """An entry of a menu."""
        return self.block("link", self.words(1, 3))

    def banner(self) -> Block:
        """A notice across the page."""
        return self.block("banner", self.words(8, 30))


# -------------------------------------------------------------------------------- pages


@dataclass(frozen=True)
class Page:
    """The blocks of a page from top to bottom."""

    main: tuple[Block, ...]
    side: tuple[Block, ...]  # beside the main ones; none where there are none
    css: str
    foot: str


CSS = """
* { box-sizing: border-box; }
body { margin: 0; background: Canvas; color: CanvasText; }
header, footer { background: #4472; padding: 1.1em 2em; border: solid #8885;
  border-width: 0 0 1px; }
footer { border-width: 1px 0 0; padding: 2em; }
.columns { display: flex; gap: 2em; padding: 1.3em 2em; align-items: flex-start; }
aside { flex: 0 0 15em; border: 1px solid #8885; padding: 0 .8em; }
main { flex: 1; min-width: 0; }
.slot { display: inline-block; overflow: hidden; white-space: nowrap;
  vertical-align: bottom; }
svg { display: block; }
.heading { font-size: 1.5em; font-weight: bold; margin: 1em 0 .5em; }
.text, .figure, .code, .cards { margin: 0 0 1.1em; }
.cards { display: grid; grid-template-columns: 1fr 1fr 1fr; gap: 1em; }
.cards > div { border: 1px solid #8886; border-radius: 8px; padding: .7em; }
.row { display: grid; grid-template-columns: 2fr 1fr 1fr 1fr; padding: .45em 0;
  border-bottom: 1px solid #8886; }
.field { margin: .9em 0; }
.field div { border: 1px solid #888; border-radius: 4px; padding: .4em .6em; }
.field i { font-size: .8em; opacity: .7; }
.item { display: flex; gap: 1em; padding: 1em 0; border-bottom: 1px solid #8884; }
.bubble { display: flex; margin: .6em 0; }
.bubble div { max-width: 65%; padding: .6em 1em; border-radius: 1em;
  background: #8882; }
.mine { justify-content: flex-end; }
.mine div { background: #1d5fa833; }
.code { background: #8882; padding: .1em 1em; border-radius: 6px; }
.link { padding: .5em 0; border-bottom: 1px solid #8882; }
.banner { background: #ffd24d; color: #222; padding: .9em 1.2em; margin: 0 0 1.1em; }
"""
PARTS = {  # the kinds of blocks that a page of a kind has, in turn
    "article": "heading paragraph paragraph figure paragraph paragraph",
    "dashboard": "heading cards row row row row row row row row",
    "form": "heading field field field field field",
    "list": "item item item item item",
    "chat": "bubble bubble bubble bubble bubble bubble bubble",
    "docs": "heading paragraph code paragraph paragraph code",
}
REPEATED = {"dashboard": "row", "form": "field", "list": "item", "chat": "bubble"}


def page_of(kind: str, style: Style, author: Author, sided: bool) -> Page:
    """A page of a kind, with a column beside it where that is asked for."""
    random = author.random
    parts = PARTS[kind].split() * int(random.integers(3, 5))
    main = [getattr(author, part)() for part in parts]
    side: list[Block] = []
    if sided:
        links = int(random.integers(12, 34))
        side = [author.heading(), *(author.link() for _ in range(links))]
    scheme = "dark" if random.random() < 0.2 else "light"
    size, leading = random.choice(style.sizes), random.choice(style.leadings)
    css = (
        f"{CSS} html {{ color-scheme: {scheme}; }} body {{ font: "
        f"{size}px/{leading} '{random.choice(style.fonts)}'; }}"
    )
    return Page(tuple(main), tuple(side), css, author.words(10, 30))


def html_of(page: Page) -> str:
    """The page as a document."""
    main = "".join(block.html for block in page.main)
    side = "".join(block.html for block in page.side)
    aside = f"<aside>{side}</aside>" if side else ""
    return (
        f'<!doctype html><meta charset="utf-8"><style>{page.css}</style>'
        f'<header data-key="head">{escape(page.foot[:30])}</header>'
        f'<div class="columns">{aside}<main>{main}</main></div>'
        f'<footer data-key="foot">{escape(page.foot)}</footer>'
    )


# -------------------------------------------------------------------------------- edits


def inserted(
    blocks: Sequence[Block], new: Sequence[Block], place: int
) -> tuple[Block, ...]:
    """The blocks with new ones before the one at a place."""
    return (*blocks[:place], *new, *blocks[place:])


def without_blocks(
    blocks: Sequence[Block], place: int, number: int
) -> tuple[Block, ...]:
    """The blocks less so many from a place on."""
    return (*blocks[:place], *blocks[place + number :])


def changed_in_place(
    page: Page, author: Author, number: int, kept: set[str]
) -> tuple[Page, list[str]]:
    """The page with other contents in so many of its slots, and the slots' keys.

    Only slots of blocks with one of the keys `kept` are changed.
    """
    slots = [slot for block in page.main if block.key in kept for slot in block.slots]
    chosen = author.random.choice(slots, min(number, len(slots)), replace=False)
    main = list(page.main)
    for slot in chosen.tolist():
        index = next(i for i, block in enumerate(main) if slot in block.slots)
        html = main[index].html
        start = html.index(">", html.index(f'data-slot="{slot}"')) + 1
        if html.startswith("<rect", start):
            stop, content = html.index("</svg>", start), author.drawing()
        else:
            stop, content = html.index("</b>", start), author.number()
            if author.random.random() < 0.3:
                content = f'<span style="background:{author.colour()}">{content}</span>'
        main[index] = replace(main[index], html=html[:start] + content + html[stop:])
    return replace(page, main=tuple(main)), chosen.tolist()


def wrapped(page: Page, author: Author) -> tuple[Page, str]:
    """The page with a dozen more words in one text, and the key of its block."""
    texts = [i for i, block in enumerate(page.main) if "<i>" in block.html]
    texts += [i for i, block in enumerate(page.main) if 'class="text"' in block.html]
    texts += [i for i, block in enumerate(page.main) if "bubble" in block.html]
    texts += [i for i, block in enumerate(page.main) if 'class="item"' in block.html]
    index = int(author.random.choice(texts or [0]))
    block = page.main[index]
    start = block.html.rindex("<b class") if "<b class" in block.html else -6
    words = author.words(24, 30).lower()
    html = f"{block.html[:start]} {words} {block.html[start:]}"
    main = list(page.main)
    main[index] = replace(block, html=html)
    return replace(page, main=tuple(main)), block.key


def edited(
    kind: str, edit: str, page: Page, author: Author
) -> tuple[Page, list[str], list[str]]:
    """The page after an edit, the slots that changed, and the texts that grew."""
    random = author.random
    main = page.main
    middle = int(random.integers(len(main) // 3, 2 * len(main) // 3))
    changes = 0
    grown: list[str] = []
    if edit in ("banner", "mixed", "jpeg"):
        place = 0 if edit == "banner" else int(random.integers(0, len(main) // 4))
        page = replace(page, main=inserted(main, [author.banner()], place))
    if edit in ("removed", "mixed", "jpeg"):
        number = int(random.integers(1, 3))
        page = replace(page, main=without_blocks(page.main, middle, number))
    if edit == "grown":
        part = REPEATED.get(kind, "paragraph")
        new = [getattr(author, part)() for _ in range(int(random.integers(1, 4)))]
        page = replace(page, main=inserted(main, new, middle))
    if edit == "side":
        new_links = [author.link() for _ in range(int(random.integers(1, 4)))]
        part = REPEATED.get(kind, "paragraph")
        new = [getattr(author, part)() for _ in range(int(random.integers(1, 4)))]
        place = int(random.integers(1, 6))
        if random.random() < 0.5:
            page = replace(page, side=inserted(page.side, new_links, place))
        else:
            page = replace(page, main=inserted(main, new, place))
    if edit == "moved":
        block = main[middle]
        copy = replace(block, key="moved", html=block.html.replace(block.key, "moved"))
        less = without_blocks(main, middle, 1)
        page = replace(page, main=inserted(less, [copy], middle // 3))
    if edit == "wrapped":
        page, key = wrapped(page, author)
        grown = [key]
    if edit in ("changed", "mixed", "jpeg"):
        changes = 3
    kept = {block.key for block in main} - set(grown)
    page, slots = changed_in_place(page, author, changes, kept)
    return page, slots, grown


# ----------------------------------------------------------------------------- Chromium

FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--force-color-profile=srgb",
)
BOUNDS = """
const bounds = name => Object.fromEntries(
  [...document.querySelectorAll(`[data-${name}]`)].map(element => {
    const box = element.getBoundingClientRect();
    return [element.dataset[name], [box.left, box.top, box.right, box.bottom]];
  }));
return [bounds("key"), bounds("slot"), document.documentElement.scrollHeight];
"""


class Drawn(NamedTuple):
    """A page as a picture, with the bounds of what is on it."""

    picture: Picture  # (H, W, 3) uint8 BGR
    blocks: dict[str, Place]
    slots: dict[str, Place]


def open_browser() -> AbstractContextManager[webdriver.Chrome]:
    """A browser that draws alike everywhere."""
    return chromium.browser(webdriver.ChromeOptions(), FLAGS)


def draw(driver: webdriver.Chrome, page: Page, width: int, scale: float) -> Drawn:
    """The page in a browser of this width."""
    metrics = {"width": width, "height": 800, "deviceScaleFactor": scale}
    driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {**metrics, "mobile": False}
    )
    driver.execute_cdp_cmd(
        "Page.setDocumentContent",
        {
            "frameId": driver.execute_cdp_cmd("Page.getFrameTree", {})["frameTree"][
                "frame"
            ]["id"],
            "html": html_of(page),
        },
    )
    blocks, slots, height = driver.execute_script(BOUNDS)
    shot = driver.execute_cdp_cmd(
        "Page.captureScreenshot",
        {
            "captureBeyondViewport": True,
            "clip": {"x": 0, "y": 0, "width": width, "height": height, "scale": 1},
        },
    )
    data = np.frombuffer(base64.b64decode(shot["data"]), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture is not None

    def in_pixels(places: dict[str, list[float]]) -> dict[str, Place]:
        return {
            key: (b[0] * scale, b[1] * scale, b[2] * scale, b[3] * scale)
            for key, b in places.items()
        }

    return Drawn(picture, in_pixels(blocks), in_pixels(slots))


# -------------------------------------------------------------------------------- truth

REACH = 3  # rows that a band may be off by


class Band(NamedTuple):
    """Rows that only one page has, and where they may be said to begin."""

    kind: str  # "inserted" or "removed"
    x: float  # a column of pixels that the band must hold
    height: float
    least: float  # row in the second picture if inserted, else in the first
    most: float


def slid(picture: Picture, x: tuple[int, int], band: Band) -> Band:
    """The band with all places at which cutting its rows out leaves the same picture.

    But for two rows, as a height of half pixels puts lines now above, now below.
    """
    column = picture[:, x[0] : x[1]]
    reach = [round(band.least), round(band.most)]
    for height in {int(band.height), int(band.height) + 1}:
        unequal = (column[:-height] != column[height:]).any(axis=(1, 2)).tolist()
        for end, step in enumerate((-1, 1)):
            place, left = reach[end], 2
            while left >= 0 and 0 <= place < len(unequal):
                reach[end] = (min, max)[end](reach[end], place)
                place += step
                if 0 <= place < len(unequal):
                    left -= unequal[place if step < 0 else place - 1]
    return band._replace(least=reach[0], most=reach[1])


def bands_of(keys: Sequence[str], first: Drawn, second: Drawn) -> list[Band]:
    """The true bands of one column, whose blocks in either page have these keys.

    keys: those of both pages in the order of the page.
    """
    bands = []
    above = "head"
    only: list[str] = []
    for key in keys:
        if key not in first.blocks or key not in second.blocks:
            only.append(key)
            continue
        one, other = first.blocks[key], second.blocks[key]
        growth = other[1] - second.blocks[above][3]
        growth -= one[1] - first.blocks[above][3]
        if abs(growth) >= REACH and only:
            kind = "inserted" if growth > 0 else "removed"
            page = second if growth > 0 else first
            bottom = page.blocks[above][3]
            start = page.blocks[only[0]][1]
            bands.append(Band(kind, (one[0] + one[2]) / 2, abs(growth), bottom, start))
        taller = (other[3] - other[1]) - (one[3] - one[1])
        if abs(taller) >= REACH and key not in ("head", "foot"):
            kind = "inserted" if taller > 0 else "removed"
            block = other if taller > 0 else one
            middle = (one[0] + one[2]) / 2
            last = block[3] - abs(taller)
            bands.append(Band(kind, middle, abs(taller), block[1], last))
        above, only = key, []
    return bands


def merged_keys(first: Sequence[Block], second: Sequence[Block]) -> list[str]:
    """The keys of both pages, each after the one that it follows in its own page."""
    keys = [block.key for block in first]
    previous = ""
    for block in second:
        if block.key not in keys:
            keys.insert(keys.index(previous) + 1 if previous else 0, block.key)
        previous = block.key
    return keys


class Case(NamedTuple):
    """A pair of pages."""

    half: str
    kind: str
    edit: str
    number: int

    @property
    def name(self) -> str:
        """As files are called."""
        return f"{self.half}_{self.kind}_{self.edit}_{self.number}"


def cases(half: str, short: bool) -> list[Case]:
    """The pairs of a half: every edit of every kind of page; in short a few of them."""
    pages = [Case(half, *case) for case in product(KINDS, EDITS, range(PAGES))]
    return pages[:: len(pages) // 8] if short else pages


def draw_case(driver: webdriver.Chrome, case: Case, folder: Path) -> None:
    """Write both pictures of a pair and its truth into the folder."""
    style = HALVES[case.half]
    random = truth.random_of(case.name)
    author = Author(random, style.words)
    sided = case.kind in ("dashboard", "docs") or case.edit == "side"
    page = page_of(case.kind, style, author, sided)
    width, scale = int(random.choice(style.widths)), float(random.choice(style.scales))
    first = draw(driver, page, width, scale)
    other, slots, grown = edited(case.kind, case.edit, page, author)
    second = draw(driver, other, width, scale)

    bands = []
    for one, two in ((page.main, other.main), (page.side, other.side)):
        keys = [*merged_keys(one, two), "foot"]
        for band in bands_of(keys, first, second):
            places = second.blocks if band.kind == "inserted" else first.blocks
            inside = [places[k] for k in keys[:-1] if k in places]
            x = round(min(p[0] for p in inside)), round(max(p[2] for p in inside))
            picture = second.picture if band.kind == "inserted" else first.picture
            bands.append(slid(picture, x, band))
    known = {
        "bands": bands,
        "changes": [[*first.slots[slot], second.slots[slot][1]] for slot in slots],
        "grown": [[*first.blocks[key], second.blocks[key][3]] for key in grown],
    }
    last = second.picture
    if case.edit == "jpeg":
        last = camera.jpeg(last, 80)
    for which, picture in (("first", first.picture), ("second", last)):
        cv2.imwrite(str(folder / f"{case.name}_{which}.png"), picture)
    (folder / f"{case.name}.json").write_text(json.dumps(known))


def draw_missing(pages: Sequence[Case], folder: Path) -> None:
    """Draw the pairs that are not in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [case for case in pages if not (folder / f"{case.name}.json").exists()]
    if not missing:
        return
    with open_browser() as driver:
        for case in missing:
            draw_case(driver, case, folder)


# ------------------------------------------------------------------------------ measure


def matches(found: image_diff.Band, true: Band) -> bool:
    """Whether a band that was found is a true one, within REACH rows."""
    row = found.second_y if found.kind == "inserted" else found.first_y
    begins = true.least - REACH <= row <= true.most + REACH
    return (
        found.kind == true.kind and begins and abs(found.height - true.height) <= REACH
    )


def boxes_of(comparison: image_diff.Comparison) -> list[Place]:
    """The regions in pixels of the first picture."""
    boxes = []
    for region in image_diff.as_record(comparison)["regions"]:
        x, y = region["x"], region["y"]
        boxes.append((x, y, x + region["width"], y + region["height"]))
    return boxes


def touch(one: Sequence[float], other: Sequence[float], reach: float) -> bool:
    """Whether two places are at most so many pixels apart."""
    left, right = max(one[0], other[0]), min(one[2], other[2])
    top, bottom = max(one[1], other[1]), min(one[3], other[3])
    return left <= right + reach and top <= bottom + reach


def measure(case: Case, folder: Path) -> Counter[str]:
    """What is found of a pair, and what is found that is not there."""
    paths = [folder / f"{case.name}_{which}.png" for which in ("first", "second")]
    true = json.loads((folder / f"{case.name}.json").read_text())
    comparison = image_diff.compare_files(paths[0], paths[1], align="rows")
    counts: Counter[str] = Counter(pairs=1)
    left = list(comparison.bands)
    bands = [Band(*band) for band in true["bands"]]
    for band in bands:
        counts["bands"] += 1
        fitting = [
            found
            for found in left
            if matches(found, band) and found.x <= band.x <= found.x + found.width
        ]
        if fitting:
            counts["bands found"] += 1
            left.remove(fitting[0])
    # A band across several columns is found once in each.
    counts["false bands"] = sum(
        not any(matches(found, band) for band in bands) for found in left
    )
    boxes = boxes_of(comparison)
    for change in true["changes"]:
        counts["changes"] += 1
        counts["changes found"] += any(touch(box, change, 0) for box in boxes)
    known = [*true["changes"], *true["grown"]]
    if case.edit != "jpeg":
        counts["digital pairs"] += 1
        counts["false boxes"] += sum(
            not any(touch(box, place, 8) for place in known) for box in boxes
        )
    return counts


def table(pages: Sequence[Case], folder: Path) -> str:
    """What is found as text: a row an edit."""
    heads = (
        "pairs",
        "bands",
        "bands found",
        "false bands",
        "changes",
        "changes found",
        "digital pairs",
        "false boxes",
    )
    totals: dict[str, Counter[str]] = {}
    for case in pages:
        counts = measure(case, folder)
        for row in (case.edit, "all"):
            totals[row] = totals.get(row, Counter()) + counts
    totals["all"] = totals.pop("all")
    lines = ["".join([f"{'edit':10}", *(f"{head:>15}" for head in heads)])]
    for row, counts in totals.items():
        lines.append("".join([f"{row:10}", *(f"{counts[head]:15}" for head in heads)]))
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw what is missing, and print the table."""
    parser = argparse.ArgumentParser(
        description="Pages that grew, and how --align rows follows them."
    )
    parser.add_argument("--half", choices=list(HALVES), default="development")
    parser.add_argument("--folder", type=Path, help="where the pages are kept")
    parser.add_argument("--short", action="store_true", help="of a few pages")
    options = parser.parse_args(argv)
    pages = cases(options.half, options.short)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        draw_missing(pages, folder)
        print(table(pages, folder))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
