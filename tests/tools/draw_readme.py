"""Draw the pictures of the README.

    python tests/tools/draw_readme.py

writes to images/: result.png, what the program shows for the second sample pair;
light.jpg, digit.png and page.png, three pairs as the tutorial's script boxes them and
as the program does; peers.png, times from the table in tests/RESULTS.md; and
report.png, the report in Chromium.
"""

import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import checkout
import image_diff
import truth
from article import article

IMAGES = checkout.ROOT / "images"
RESULTS = checkout.ROOT / "tests" / "RESULTS.md"
INK, LINE, ACCENT = "#24292f", "#8c959f", "#c8102e"

Picture = NDArray[Any]  # (H, W, 3) or (H, W) uint8, BGR or gray


# ------------------------------------------------------------------------------- panels


def panel(title: str, picture: Picture, width: int, height: int) -> Image.Image:
    """A picture of at most this size in pixels, framed, below its title."""
    colour = cv2.COLOR_BGR2RGB if picture.ndim == 3 else cv2.COLOR_GRAY2RGB
    scale = width / picture.shape[1]
    size = width, round(picture.shape[0] * scale)
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    shown = cv2.resize(cv2.cvtColor(picture, colour), size, interpolation=how)
    result = Image.new("RGB", (width + 2, height + 42), "white")
    ImageDraw.Draw(result).text(
        (2, 20), title, INK, ImageFont.load_default(24), anchor="lm"
    )
    framed = (0, 40, width + 1, 41 + size[1])
    result.paste(LINE, (framed[0], framed[1], framed[2] + 1, framed[3] + 1))
    result.paste(Image.fromarray(shown.astype(np.uint8)), (1, 41))
    return result


def arranged(panels: Sequence[Image.Image], columns: int) -> Image.Image:
    """Panels of one size in rows, with gaps between them and below."""
    gap = 16
    width, height = panels[0].size
    rows = -(-len(panels) // columns)
    size = columns * (width + gap) - gap, rows * (height + gap)
    result = Image.new("RGB", size, "white")
    for index, each in enumerate(panels):
        row, column = divmod(index, columns)
        result.paste(each, (column * (width + gap), row * (height + gap)))
    return result


def save(picture: Image.Image, name: str) -> None:
    """Write a picture, as PNG with at most 256 colours."""
    picture = picture.convert("RGB")
    if name.endswith(".png"):
        picture = picture.quantize(256, dither=Image.Dither.NONE)
    picture.save(IMAGES / name, optimize=True, quality=85)


def draw_result() -> None:
    """Write result.png."""
    comparison = image_diff.compare_files(
        IMAGES / "original_02.png", IMAGES / "modified_02.png"
    )
    panels = []
    for title in image_diff.TITLES:
        picture = image_diff.draw(comparison, title)
        height = round(picture.shape[0] * 640 / picture.shape[1])
        panels.append(panel(title, picture, 640, height))
    save(arranged(panels, 2), "result.png")


# -------------------------------------------------------- beside the tutorial's script


class Pair(NamedTuple):
    """Two pictures of which one thing is known."""

    title: str
    first: Picture
    second: Picture


def light() -> Pair:
    """A photograph in another light, with noise, and a crumb on the saucer."""
    random = truth.random_of("README", "light")
    photo = truth.photo("coffee.png")[40:373]
    first = cv2.resize(photo, (540, 300), interpolation=cv2.INTER_AREA)
    second = first.copy()
    crumb = (150, 190, 220)
    cv2.ellipse(second, (112, 184), (12, 8), 20, 0, 360, crumb, -1, cv2.LINE_AA)
    gain = np.linspace(0.8, 1.2, second.shape[1])[:, np.newaxis]
    lit = truth.rounded(second * gain)
    pair = truth.noise(first.astype(np.uint8), 4, random), truth.noise(lit, 4, random)
    return Pair("Another light, and a crumb", *pair)


def sheet(height: int) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    """A white picture to draw on."""
    page = Image.new("RGB", (270, height), "white")
    return page, ImageDraw.Draw(page)


def totals(value: str, bars: int) -> Picture:
    """Two lines of an invoice above a chart."""
    page, draw = sheet(150)
    font = ImageFont.load_default(14)
    for y, name, number in (16, "Paper and toner", "412.60"), (36, "Total", value):
        draw.text((10, y), name, INK, font, anchor="lm")
        draw.text((260, y), number, INK, font, anchor="rm")
    random = truth.random_of("bars", bars)
    for left in range(10, 260, 18):
        top = 142 - int(random.integers(12, 80))
        draw.rectangle((left, top, left + 11, 142), "#2a6fdb")
    return np.asarray(page)[:, :, ::-1].copy()


def departures(rows: Sequence[tuple[str, str]]) -> Picture:
    """A page with a table of these rows."""
    page, draw = sheet(30 + 24 * len(rows))
    draw.rectangle((0, 0, 269, 25), "#24405e")
    font = ImageFont.load_default(13)
    draw.text((10, 13), "Departures", "white", font, anchor="lm")
    for index, (time, place) in enumerate(rows):
        y = 38 + 24 * index
        draw.text((10, y), time, INK, font, anchor="lm")
        draw.text((80, y), place, INK, font, anchor="lm")
        draw.line((10, y + 12, 260, y + 12), "#d0d7de")
    return np.asarray(page)[:, :, ::-1].copy()


def grown() -> Pair:
    """A page with a row more, and one digit that changed below it."""
    rows = [
        ("09:12", "Harwick, platform 4"),
        ("09:40", "Ostley via Marn, platform 2"),
        ("10:05", "Tarnwick, platform 1"),
        ("10:31", "Lower Quay, platform 7"),
    ]
    late = [("09:26", "Penmouth, platform 3")]
    changed = [("10:05", "Tarnwick, platform 5")]
    after = rows[:1] + late + rows[1:2] + changed + rows[3:]
    return Pair("A page that grew", departures(rows), departures(after))


def digit() -> Pair:
    """A chart that is another one altogether, and one digit above it."""
    first, second = totals("1,384.20", 0), totals("1,334.20", 1)
    return Pair("Another chart, and a digit", first, second)


def counted(number: int) -> str:
    """A number of boxes in words."""
    return f"{number} box" if number == 1 else f"{number} boxes"


def draw_pair(name: str, pair: Pair) -> None:
    """Write a picture of a pair, and of what either program boxes in it."""
    height, width = pair.first.shape[:2]
    comparison = image_diff.compare_images(pair.first, pair.second)
    scaled = cv2.resize(pair.second, (width, height), interpolation=cv2.INTER_AREA)
    boxes = article(pair.first, scaled).boxes
    for x, y, box_width, box_height in boxes:
        right, bottom = x + box_width - 1, y + box_height - 1
        cv2.rectangle(scaled, (x, y), (right, bottom), (0, 0, 255), 2)
    ours = counted(len(comparison.regions))
    if comparison.bands:
        ours += ", and the new row tinted"
    how = ", scaled to fit" if len(pair.second) != height else "'s script"
    panels = [
        panel(pair.title, pair.first, 540, 300),
        panel(f"The tutorial{how}: {counted(len(boxes))}", scaled, 540, 300),
        panel(f"image_diff: {ours}", image_diff.draw(comparison, "Modified"), 540, 300),
    ]
    save(arranged(panels, 1), name)


# -------------------------------------------------------------------- beside the others


def seconds(cell: str) -> float | None:
    """The median in a cell of the table of times, such as `**1.08 s** (955 ms)`."""
    found = re.match(r"\**([\d.]+) (ms|s)\b", cell)
    if found is None:
        return None
    return float(found[1]) / (1000 if found[2] == "ms" else 1)


def times(column: str) -> dict[str, float]:
    """By program the seconds in a column of the table in RESULTS.md."""
    section = RESULTS.read_text().split("\n## Beside other programs\n")[1]
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in section.split("\n## ")[0].splitlines()
        if line.startswith("|")
    ]
    place = rows[0].index(column)
    found = {row[0]: seconds(row[place]) for row in rows[2:]}
    return {name: value for name, value in found.items() if value is not None}


def peers() -> dict[str, float]:
    """By program, the quickest first, its seconds for one large page."""
    found = times("37 MP page, 15 % of its tiles changed")
    # What is not a program that somebody would take instead; and FLIP takes more than
    # twice as long as the last one here.
    left_out = "image_diff --output", "the floor", "NVIDIA FLIP"
    return {
        name.replace("article", "tutorial"): value
        for name, value in sorted(found.items(), key=lambda item: item[1])
        if not name.startswith(left_out)
    }


def draw_peers() -> None:
    """Write peers.png: a bar for each of them."""
    shown = peers()
    step, left, width = 42, 490, 400
    picture = Image.new("RGB", (left + width + 110, step * len(shown) + 8), "white")
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(26)
    for index, (name, value) in enumerate(shown.items()):
        y = step * index + step // 2 + 4
        right = left + width * value / max(shown.values())
        colour = ACCENT if name.startswith("image_diff") else LINE
        draw.text((left - 14, y), name, INK, font, anchor="rm")
        draw.rectangle((left, y - 13, right, y + 13), colour)
        draw.text((right + 12, y), f"{value:.1f} s", INK, font, anchor="lm")
    save(picture, "peers.png")


# --------------------------------------------------------------------------- the report


def draw_report() -> None:
    """Write report.png: the report of the third sample pair."""
    script = [sys.executable, str(checkout.ROOT / "image_diff.py"), "--no-window"]
    pair = ["images/original_03.png", "images/modified_03.png"]
    chromium = ["chromium", "--headless", "--no-sandbox", "--disable-gpu"]
    shot = ["--window-size=1100,672", f"--screenshot={IMAGES / 'report.png'}"]
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [*script, *pair, "--output", folder], cwd=checkout.ROOT, check=True
        )
        page = f"file://{folder}/index.html"
        subprocess.run([*chromium, "--hide-scrollbars", *shot, page], check=True)


def main() -> int:
    """Write all pictures."""
    draw_result()
    draw_pair("light.jpg", light())
    draw_pair("digit.png", digit())
    draw_pair("page.png", grown())
    draw_peers()
    draw_report()
    return 0


if __name__ == "__main__":
    sys.exit(main())
