#!/usr/bin/env python3
"""Draw the samples of images/: two bank cards and a cheque, each with a changed copy.

Everything on them is invented: the banks, the people, the card scheme and the numbers
(the card numbers fail the check digit on purpose).  The drawing is the same every time
it is run, and a changed copy is the very same scene drawn with a flag, so that nothing

    python tests/tools/draw_samples.py            # writes the six pictures to images/
    python tests/tools/draw_samples.py somewhere  # writes them to another folder
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageFont

import checkout

Shape: TypeAlias = Image.Image  # a picture in gray: white where the shape is
Point: TypeAlias = tuple[float, float]
Points: TypeAlias = Sequence[Point] | NDArray[np.float64]
Box: TypeAlias = tuple[float, float, float, float]
Colour: TypeAlias = tuple[int, int, int]
Floats: TypeAlias = NDArray[np.float32]

SCALE = 4  # every scene is drawn so many times larger, then reduced, and so is smooth
IMAGES = checkout.ROOT / "images"
WHITE, BLACK = (255, 255, 255), (0, 0, 0)
SILVER = ((250, 250, 252), (196, 200, 208), (236, 238, 242))
GOLD = (
    (250, 236, 182),
    (214, 172, 84),
    (246, 222, 146),
    (190, 142, 58),
    (226, 188, 104),
)
FOIL = (
    (255, 190, 220),
    (255, 236, 170),
    (176, 240, 200),
    (160, 214, 255),
    (206, 180, 255),
)

# ------------------------- tools: lengths and places are in pixels of the final picture


@dataclass(frozen=True)
class Gradient:
    """A colour that runs through `stops` from one point to another."""

    stops: Sequence[Colour]
    start: Point
    end: Point

    def within(self, left: int, top: int, right: int, bottom: int) -> Floats:
        """Return the colours of a part of the scene."""
        dx, dy = self.end[0] - self.start[0], self.end[1] - self.start[1]
        x = np.arange(left, right, dtype=np.float32)[None, :] / SCALE - self.start[0]
        y = np.arange(top, bottom, dtype=np.float32)[:, None] / SCALE - self.start[1]
        along = np.clip((x * dx + y * dy) / (dx * dx + dy * dy), 0, 1)
        fine, coarse = np.linspace(0, 1, 1024), np.linspace(0, 1, len(self.stops))
        table = [
            np.interp(fine, coarse, channel)
            for channel in zip(*self.stops, strict=True)
        ]
        return np.stack(table, axis=-1).astype(np.float32)[
            (along * 1023).astype(np.intp)
        ]


class Layer:
    """A shape in the making."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Begin with nothing."""
        self.shape: Shape = Image.new("L", size)
        self.draw = ImageDraw.Draw(self.shape)

    def rounded(self, box: Box, radius: float) -> Layer:
        """Add a filled rectangle with rounded corners."""
        self.draw.rounded_rectangle(
            [round(v * SCALE) for v in box], round(radius * SCALE), 255
        )
        return self

    def polygon(self, points: Points) -> Layer:
        """Add a filled polygon."""
        self.draw.polygon([(x * SCALE, y * SCALE) for x, y in points], 255)
        return self

    def dot(self, x: float, y: float, width: float) -> Layer:
        """Add a filled circle."""
        half = width / 2
        self.draw.ellipse(
            [v * SCALE for v in (x - half, y - half, x + half, y + half)], 255
        )
        return self

    def line(self, points: Points, width: float, tone: int = 255) -> Layer:
        """Add a line of even width."""
        path = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.line(path, tone, max(1, round(width * SCALE)))
        return self

    def stroke(self, points: Points, width: float) -> Layer:
        """Add a line of even width with round ends and bends."""
        path = [(x * SCALE, y * SCALE) for x, y in points]
        self.draw.line(path, 255, round(width * SCALE), "curve")
        for x, y in (points[0], points[-1]):
            self.dot(x, y, width - 1 / SCALE)
        return self

    def pen(self, points: Points, width: float) -> Layer:
        """Add a pen stroke: thin on the way up, thick on the way down, tapered."""
        path, thick = spline(points), width
        for i, ((x0, y0), (x1, y1)) in enumerate(pairwise(path)):
            length = math.hypot(x1 - x0, y1 - y0) or 1.0
            ends = min(1.0, 0.45 + min(i, len(path) - i) / 14)
            thick += (width * (0.85 + 0.4 * (y1 - y0) / length) * ends - thick) * 0.22
            for t in np.arange(0, 1, 1 / math.ceil(length * SCALE)):
                self.dot(x0 + (x1 - x0) * t, y0 + (y1 - y0) * t, thick)
        return self

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        anchor: str,
        gap: float,
        bold: float = 0,
    ) -> Layer:
        """Add a line of text that begins, is centred or ends (l, m, r) at its foot."""
        font = ImageFont.load_default(size * SCALE)
        steps = [font.getlength(letter) + gap * SCALE for letter in text]
        place = (
            x * SCALE
            - (sum(steps) - gap * SCALE) * {"l": 0.0, "m": 0.5, "r": 1.0}[anchor]
        )
        for letter, step in zip(text, steps, strict=True):
            foot = (round(place), round(y * SCALE))
            self.draw.text(
                foot, letter, 255, font, "ls", stroke_width=round(bold * SCALE)
            )
            place += step
        return self


class Scene:
    """A large picture that shapes are painted on."""

    def __init__(self, width: int, height: int, outline: Box, radius: float) -> None:
        """Lay a blank sheet with a shadow on a light table; later paint stays on it."""
        self.size = (width * SCALE, height * SCALE)
        self.pixels: Floats = np.zeros((height * SCALE, width * SCALE, 3), np.float32)
        self.clip: Shape = Image.new("L", self.size, 255)
        table = Gradient(((247, 247, 247), (225, 226, 229)), (200, 0), (330, height))
        self.paint(self.clip, table)
        sheet = self.layer().rounded(outline, radius).shape
        for blur, down, opacity in ((6, 5, 0.5), (1.2, 1, 0.4)):
            self.paint(moved(soft(sheet, blur), 0, down), (40, 44, 56), opacity)
        self.clip = sheet

    def layer(self) -> Layer:
        """Return an empty layer of the size of the scene."""
        return Layer(self.size)

    def paint(
        self, shape: Shape, colour: Colour | Gradient, opacity: float = 1.0
    ) -> None:
        """Lay a colour over the scene where the shape is."""
        shape = ImageChops.multiply(shape, self.clip)
        box = shape.getbbox()
        if box is None:
            return
        left, top, right, bottom = box
        area = self.pixels[top:bottom, left:right]
        alpha = np.asarray(shape.crop(box), np.float32)[..., None] * np.float32(
            opacity / 255
        )
        flat = (
            np.array(colour, np.float32)
            if isinstance(colour, tuple)
            else colour.within(*box)
        )
        area += (flat - area) * alpha

    def emboss(self, shape: Shape, face: Gradient) -> None:
        """Raise a shape: a soft shadow, a shaded and a lit edge, a face of metal."""
        self.paint(moved(soft(shape, 0.7), 1.1), BLACK, 0.55)
        self.paint(moved(shape, 0.5), BLACK, 0.6)
        self.paint(moved(shape, -0.4), WHITE, 0.45)
        self.paint(shape, face)
        self.paint(ImageChops.subtract(shape, moved(shape, 0.45)), WHITE, 0.85)
        self.paint(ImageChops.subtract(shape, moved(shape, -0.5)), (60, 60, 72), 0.55)

    def finish(self, grain: float) -> Image.Image:
        """Reduce the scene to its final size, with a grain that is always the same."""
        height, width = (n // SCALE for n in self.pixels.shape[:2])
        small = self.pixels.reshape(height, SCALE, width, SCALE, 3).mean((1, 3))
        sheet = np.asarray(self.clip, np.float32)[::SCALE, ::SCALE, None] / 255
        noise = np.random.default_rng(1).random((height, width, 1)) - 0.5
        small = (small + noise * sheet * np.float32(grain)).round().clip(0, 255)
        return Image.fromarray(small.astype(np.uint8))


def moved(shape: Shape, right: float, down: float | None = None) -> Shape:
    """Return the shape moved, by default as far down as to the right."""
    down = right if down is None else down
    return ImageChops.offset(shape, round(right * SCALE), round(down * SCALE))


def soft(shape: Shape, radius: float) -> Shape:
    """Return the shape with blurred edges."""
    left, top, right, bottom = shape.getbbox() or (0, 0, 1, 1)
    wide = round(3 * radius * SCALE)
    part = shape.crop((left - wide, top - wide, right + wide, bottom + wide))
    blurred = Image.new("L", shape.size)
    blurred.paste(
        part.filter(ImageFilter.GaussianBlur(radius * SCALE)), (left - wide, top - wide)
    )
    return blurred


def spline(points: Points) -> list[Point]:
    """Return a smooth curve through the points (Catmull-Rom)."""
    p = np.array([points[0], *points, points[-1]], float)
    a, b, c, d = (p[i : len(p) - 3 + i, None] for i in range(4))
    t = np.arange(0, 1, 1 / 12)[None, :, None]
    curve = (
        2 * b
        + (c - a) * t
        + (2 * a - 5 * b + 4 * c - d) * t**2
        + (3 * (b - c) + d - a) * t**3
    )
    return [(x, y) for x, y in (*(curve / 2).reshape(-1, 2).tolist(), points[-1])]


def bent(points: Sequence[Point], radius: float) -> list[Point]:
    """Return the path with its corners rounded."""
    path = [points[0]]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        near = [min(0.5, radius / math.dist(end, corner)) for end in (before, after)]
        for t in np.linspace(0, 1, 9).tolist():
            u, v = near[0] * (1 - t) ** 2, near[1] * t**2
            path.append((
                corner[0] + (before[0] - corner[0]) * u + (after[0] - corner[0]) * v,
                corner[1] + (before[1] - corner[1]) * u + (after[1] - corner[1]) * v,
            ))  # fmt: skip
    return [*path, points[-1]]


def curve(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the points of a curve given by its two coordinates."""
    return np.stack((x, y), axis=1)


def around(
    x: float, y: float, radius: NDArray[np.float64], angle: NDArray[np.float64]
) -> Points:
    """Return the points of a curve around a centre."""
    return curve(x + radius * np.cos(angle), y + radius * np.sin(angle))


def glyphs(table: str) -> dict[str, tuple[float, list[list[Point]]]]:
    """Read lines of: sign, width, then strokes parted by `;`, each a run of x and y."""
    found = {}
    for line in table.strip().splitlines():
        sign, width, *rest = line.split(maxsplit=2)
        runs = [[float(v) for v in run.split()] for run in "".join(rest).split(";")]
        found[sign] = (
            float(width),
            [list(zip(r[::2], r[1::2], strict=True)) for r in runs if r],
        )
    return found


# - writing: the numbers of machines (4 wide, 6 high) and a hand (small letters 10 high)

DIGITS = glyphs("""
0 4  2 0 4 0 4 6 0 6 0 0 2 0
1 4  0.8 1.3 2.2 0 2.2 6; 0.7 6 3.7 6
2 4  0.1 0.5 0.3 0 3.9 0 3.9 2.9 0 2.9 0 6 4 6
3 4  0.3 0 3.8 0 3.8 2.8 1.2 2.8; 1.2 2.8 4 2.8 4 6 0 6
4 4  0.4 0 0.1 4 4 4; 3 2 3 6
5 4  3.8 0 0.3 0; 0.3 0 0.3 2.4; 0.3 2.4 4 2.4 4 6 0 6
6 4  3.4 0 0 0 0 6 4 6 4 2.7 0 2.7 0 4
7 4  0 0.9 0 0 4 0 1.7 3.6 1.7 6
8 4  2 0 3.7 0 3.7 2.8 0.3 2.8 0.3 0 2 0; 2 2.8 4 2.8 4 6 0 6 0 2.8 2 2.8
9 4  0.6 6 4 6 4 0 0 0 0 3.3 4 3.3 4 2
/ 4  0.4 6.4 3.6 -0.4
""")
HAND = glyphs("""
a 12 6.5 9.3 3.5 9.6 1 5.5 1.8 1 4.2 0.3 7 4.5 8.3 9.6 8 4 8.6 0.8 10.2 0.4 12 3
d 12 6.5 9.2 3.5 9.5 1 5.5 1.8 1 4.2 0.3 7 4.5 8.4 13 8.8 21 \
  8.3 12 8.2 4 8.8 0.8 10.4 0.4 12 3
e 9  2 3.5 5 6.4 5.8 9 4 10 2 7.4 2 2.6 4.2 0.2 7 1 9 3.5
h 13 1.5 3 5 12 6.8 20 5.7 22.5 4 19 3.2 10 3 0 \
  3.6 4.5 6 9 8 9.6 9 7 9 3 9.8 0.5 11.4 0.8 13 3
l 8  1.5 3 5 12 6.6 20 5.4 22.5 3.6 18 3 8 3.6 1.5 5.4 0.2 8 3
n 13 1.2 6 2.7 9.6 3.5 8.3 3.2 4 3 0 3.6 4.5 6 9 8 9.6 9 7.4 9 3 9.8 0.5 11.4 0.8 13 3
o 10 4.8 9.7 1.7 7.4 1.2 2.6 4 0.2 6.9 3 6.9 7.4 4.8 9.7 6 7.9 8 7.6 10 8.6
r 10 1.5 6 3 10.6 4 10.8 4.8 9.2 6.8 9.2 7.2 7.6 6.5 4 6.9 0.9 8.4 0.5 10 3
t 8  1.5 4 4 11 5 18 4.4 10 4 4 4.6 0.8 6.2 0.4 8 3; 0.6 12.4 4 13 8.8 13.4
u 13 1.5 5 3 9.8 2.8 4 3.6 0.8 5.4 0.4 8 4 9.2 9.8 9 4 9.6 0.8 11.2 0.5 13 3
y 12 1.5 5 3 9.8 2.8 4.5 3.8 1.6 5.6 1.6 8 5 9 9.8 9 2 8 -7 5 -11 3 -9 5 -4.6 9 0 12 3
A 17 0 1.5 2.4 0.2 7.5 9 13 22.5 13.2 12 13.4 3.5 14.6 0.6 17 3; 4.8 8 9.6 9.4 15.4 8.6
H 19 0.5 19 3 22 4 20 4 10 2.6 1 0.4 -0.6; 16 23 13 14 12 4 13 0 16 2; \
  -0.6 9 5 11 12 11 18 13
O 18 9 22 4 19 1 11 3 2 8 -0.3 13.6 5 14.6 14 11 21 7.5 20 9.4 17 14 18.2 18 20.5
T 13 0 19 1.5 21.6 6 21.2 12 21 17 23; 9.4 21 8.6 11 7.2 2.5 4.4 -0.3 1.6 1.8
0 12 6 17 2.4 14 1 7.4 3 1.2 6.6 0.4 9.6 6 9.2 13 6 17 4 16
1 8  1.6 14 4.6 18 4.4 9 4 0
2 12 1.2 14 3 17.4 6.8 17.4 8.2 13.4 5 6 0.8 0.8 4.4 1.4 10 0.6
3 11 1.6 15.5 4.6 18 7.8 15.4 6.4 11 3.8 9.4 7.8 8 8.8 3.6 5 -0.2 0.8 2
4 12 5 18 3.4 12 1 6.4 5 6.6 10.4 7; 8 12 7.4 6 7 -1
. 6  2 0.2 2.6 0.6 2.8 0
/ 10 8 20 4.4 9 1 -3
£ 12 10.4 14.5 8.6 17.6 4.6 17.2 3.2 12.5 4.4 7.5 3.6 3.5 0.4 0.6; \
  0 1 5 0.8 11 0.6; 0 8.4 8 8.4
~ 30 -4 1 1 4 7 7 14 8 20 6 14 2 -20 -6 -70 -10 -115 -10.5
""")
JOINED = "adehlnortuy"


def embossed_number(layer: Layer, x: float, y: float, text: str, height: float) -> None:
    """Add a card's raised number, from the foot of its first digit."""
    unit = height / 6
    for i, sign in enumerate(text):
        for run in DIGITS[sign][1] if sign != " " else []:
            path = [(x + (i * 5.85 + px) * unit, y + (py - 6) * unit) for px, py in run]
            layer.stroke(bent(path, 1.15 * unit), height * 0.15)


def magnetic_number(layer: Layer, x: float, y: float, text: str, height: float) -> None:
    """Add a line in the style of magnetic ink; `:` and `|` are signs of that style."""
    unit = height / 6
    bars = {
        ":": ((0.3, 0.2, 1.3, 5.8), (2.4, 0.4, 3.8, 2.2), (2.4, 3.8, 3.8, 5.6)),
        "|": ((0.2, 2.2, 1, 5.8), (1.7, 2.2, 2.5, 5.8), (3.1, 0.4, 4.3, 3.2)),
    }
    for i, sign in enumerate(text):
        left, top = x + i * 6.55 * unit, y - height
        for a, b, c, d in bars.get(sign, ()):
            layer.rounded(
                (left + a * unit, top + b * unit, left + c * unit, top + d * unit), 0
            )
        for run in DIGITS[sign][1] if sign in DIGITS else []:
            layer.stroke(
                bent([(left + a * unit, top + b * unit) for a, b in run], 0.5 * unit),
                1.4,
            )
            for (a, b), (c, d) in pairwise(run):
                if a == c > 2 and max(b, d) > 3:  # the heavy part, low on the right
                    low, high = top + max(3, min(b, d)) * unit, top + max(b, d) * unit
                    layer.line([(left + (a - 0.4) * unit, v) for v in (low, high)], 3.4)


def handwriting(
    layer: Layer, x: float, y: float, text: str, size: float, slant: float, pen: float
) -> None:
    """Write by hand, small letters joined; `size` is the height of those."""
    joined: list[Point] = []
    for i, sign in enumerate(text + " "):
        width, strokes = HAND.get(sign, (9.0, []))
        # No two letters are quite the same.
        unit = size / 10 * (1 + 0.04 * math.sin(i * 2.3))
        foot = y + size * 0.05 * math.sin(i * 1.7)
        placed = [
            [(x + (a + b * slant) * unit, foot - b * unit) for a, b in s]
            for s in strokes
        ]
        if joined and (sign not in JOINED or text[i - 1] in "HOT"):
            layer.pen(joined, pen)
            joined = []
        if sign in "A" + JOINED:  # after an o, which ends high, the way up is left out
            first = placed.pop(0)
            joined += first[1:] if joined and text[i - 1] == "o" else first
        for run in placed:
            layer.pen(run, pen)
        x += width * unit


# ------------------------------------------------------------------ the parts of a card


def chip(scene: Scene, x: float, y: float) -> None:
    """Paint the gold contact plate, 54 by 42."""
    plate = scene.layer().rounded((x, y, x + 54, y + 42), 7.5).shape
    face = scene.layer().rounded((x + 0.6, y + 0.6, x + 53.4, y + 41.4), 7).shape
    scene.paint(moved(soft(plate, 1), 0.8), BLACK, 0.5)
    scene.paint(plate, (128, 92, 36))
    scene.paint(face, Gradient(GOLD, (x, y), (x + 48, y + 48)))
    cuts, middle, centre = scene.layer(), x + 27, y + 21
    for side in (-1, 1):
        for row in (-7, 0, 7):
            cuts.line(
                [
                    (middle + side * 27, centre + row),
                    (middle + side * 10, centre + row),
                ],
                0.9,
            )
        # A quarter of the middle pad, and the cut from its corner outwards.
        for end in (-1, 1):
            corner = (middle + side * 10, centre + end * 12)
            cuts.line(bent([(corner[0], centre), corner, (middle, corner[1])], 4), 0.9)
            slope = (corner[0] - side * 1.2, corner[1] - end * 1.2)
            cuts.line([slope, (middle + side * 17, centre + end * 21)], 0.9)
    lines = ImageChops.multiply(cuts.shape, face)
    scene.paint(ImageChops.multiply(moved(lines, 0.6), face), (255, 248, 214), 0.75)
    scene.paint(lines, (110, 76, 24), 0.9)
    scene.paint(ImageChops.subtract(face, moved(face, 0.7)), (255, 250, 224), 0.8)


def contactless(scene: Scene, x: float, y: float) -> None:
    """Paint the four waves that stand for paying without contact."""
    waves, angle = scene.layer(), np.linspace(-0.62, 0.62, 24)
    for radius in (5.0, 9.6, 14.2, 18.8):
        waves.stroke(around(x, y, np.full(24, radius), angle), 2.1)
    scene.paint(waves.shape, WHITE, 0.88)


def diamonds(
    scene: Scene,
    x: float,
    y: float,
    size: float,
    colours: Sequence[Colour],
    opacity: float,
) -> None:
    """Paint the sign of the (invented) card scheme."""
    for middle, colour in zip(
        (x - size * 0.95, x, x + size * 0.95), colours, strict=True
    ):
        side = (middle - size / 2, y - size / 2)
        corners = [
            (middle, y - size),
            (middle + size, y),
            (middle, y + size),
            (middle - size, y),
        ]
        path = bent([side, *corners, side], size * 0.35)
        scene.paint(scene.layer().polygon(path).shape, colour, opacity)


def hologram(scene: Scene, x: float, y: float) -> None:
    """Paint a shining foil, 70 by 46, with the sign of the scheme."""
    foil = scene.layer().rounded((x, y, x + 70, y + 46), 8).shape
    scene.paint(moved(soft(foil, 1), 0.6), BLACK, 0.4)
    scene.paint(foil, Gradient((*FOIL, *FOIL, WHITE), (x, y), (x + 70, y + 46)))
    rays = scene.layer()
    for angle in np.arange(0, 2 * np.pi, np.pi / 20):
        rays.line(around(x + 35, y + 23, np.array([0, 60.0]), np.full(2, angle)), 0.5)
    scene.paint(ImageChops.multiply(rays.shape, foil), (120, 90, 190), 0.3)
    diamonds(
        scene, x + 35, y + 23, 14, ((104, 74, 168), (84, 92, 186), (40, 120, 190)), 0.72
    )


def card_text(
    scene: Scene, number: str, valid: str, name: str, metal: Sequence[Colour]
) -> None:
    """Paint the raised number, the last month of use and the name (or none)."""
    labels, big, small = scene.layer(), scene.layer(), scene.layer()
    for i, word in enumerate(("VALID", "THRU")):
        labels.text(172, 250 + i * 7.5, word, 6.6, "r", 0.3, 0.12)
    scene.paint(labels.shape, WHITE, 0.85)
    embossed_number(big, 54, 224, number, 22)
    embossed_number(small, 182, 260, valid, 14)
    scene.emboss(big.shape, Gradient(metal, (0, 202), (0, 224)))
    scene.emboss(small.shape, Gradient(metal, (0, 246), (0, 260)))
    letters = scene.layer().text(54, 304, name, 19, "l", 2, 0.25)
    scene.emboss(letters.shape, Gradient(metal, (0, 290), (0, 304)))


def card(stops: Sequence[Colour]) -> Scene:
    """Return a blank card with the lit edge of plastic."""
    left, top, right, bottom = outline = (24.0, 13.0, 536.0, 336.0)
    scene = Scene(560, 353, outline, 19)
    scene.paint(scene.clip, Gradient(stops, (40, 0), (520, 353)))
    inside = (left + 0.8, top + 0.9, right - 0.8, bottom - 0.9)
    face = scene.layer().rounded(inside, 18.2).shape
    light = Gradient(((210, 210, 220), (30, 26, 44)), (280, top), (280, bottom))
    scene.paint(ImageChops.subtract(scene.clip, face), light, 0.38)
    scene.clip = face
    return scene


def draw_card_logo(modified: bool) -> Image.Image:
    """Draw a blue card; in the changed copy the logo of the card scheme is gone."""
    scene = card(
        ((10, 24, 62), (16, 60, 112), (18, 116, 138), (22, 52, 104), (38, 24, 84))
    )
    u = np.linspace(0, 1, 160)
    first = 268 - 96 * u + 50 * np.sin(5.2 * u + 0.9)
    second = 92 + 110 * u + 82 * np.sin(6.4 * u + 2.9)
    # A woven ribbon: the curves turn slowly from one wave into another.
    for half in (0, 1):
        woven = scene.layer()
        for t in np.arange(half, 48, 2) / 47:
            woven.line(curve(20 + 520 * u, first * (1 - t) + second * t), 0.75)
        scene.paint(woven.shape, (150, 232, 240), 0.22)
    gloss = scene.layer().polygon([(24, 13), (300, 13), (110, 336), (24, 336)]).shape
    scene.paint(soft(gloss, 1), WHITE, 0.05)
    quill = [(59, 69), (61, 52), (70, 42), (85, 37), (82, 51), (73, 60), (59, 69)]
    mark = scene.layer().polygon(spline(quill)).shape
    scene.paint(mark, Gradient((WHITE, (130, 220, 232)), (62, 40), (78, 68)))
    shaft = scene.layer().stroke(spline([(57, 72), (64, 60), (78, 45)]), 1.3).shape
    scene.paint(shaft, (24, 58, 110))
    scene.paint(scene.layer().text(94, 66, "Quillmere", 27, "l", 0.2, 0.2).shape, WHITE)
    scene.paint(scene.layer().text(506, 62, "PLATINUM", 12, "r", 3.2).shape, WHITE, 0.9)
    chip(scene, 56, 112)
    contactless(scene, 124, 133)
    card_text(scene, "0000 4127 9038 5561", "09/31", "ISOLDE MARCHBANK", SILVER)
    if not modified:
        diamonds(
            scene,
            461,
            274,
            20,
            ((255, 205, 92), (104, 222, 176), (112, 178, 255)),
            0.88,
        )
        scene.paint(
            scene.layer().text(461, 309, "trigona", 15, "m", 0.8, 0.2).shape, WHITE
        )
    return scene.finish(grain=2)


def draw_card_chip(modified: bool) -> Image.Image:
    """Draw a sunset card; in the changed copy chip and holder's name are gone."""
    scene = card(((255, 206, 138), (244, 138, 104), (196, 78, 112), (112, 40, 104)))
    sun = scene.layer().dot(306, 116, 148).shape
    scene.paint(soft(sun, 16), (255, 236, 190), 0.35)
    scene.paint(
        sun, Gradient(((255, 240, 196), (250, 150, 120)), (306, 42), (306, 190)), 0.8
    )
    u = np.linspace(0, 1, 160)
    sands = (
        (238, 130, 108),
        (206, 83, 105),
        (150, 51, 103),
        (94, 33, 92),
        (48, 20, 66),
    )
    for i, shades in enumerate(pairwise(sands)):
        wave = np.sin(u * (5.6 - i * 0.5) + i * 2.2 - 0.9) + 0.35 * np.sin(
            u * (9.1 - i) + i
        )
        crest = curve(20 + 520 * u, 142 + i * 45 - (20 - 2 * i) * wave)
        dune = scene.layer().polygon([*crest, (540, 340), (20, 340)]).shape
        scene.paint(dune, Gradient(shades, (200, 120 + i * 45), (240, 230 + i * 45)))
        ripples = scene.layer()
        for n in range(16):  # fading away from the crest
            ripples.line(
                crest + np.array((0, 1 + n * (2.4 + n * 0.1))), 1, 255 - 16 * n
            )
        scene.paint(ImageChops.multiply(ripples.shape, dune), (255, 226, 190), 0.16)
    scene.paint(
        scene.layer().text(506, 66, "Emberfield", 27, "r", 0.2, 0.2).shape, WHITE
    )
    scene.paint(scene.layer().text(505, 84, "debit", 13, "r", 0.8).shape, WHITE, 0.95)
    contactless(scene, 124, 133)
    if not modified:
        chip(scene, 56, 112)
    name = "" if modified else "CASPAR THISTLEWOOD"
    card_text(scene, "0000 7350 2816 4492", "04/32", name, GOLD[:3])
    hologram(scene, 436, 246)
    scene.paint(scene.layer().text(471, 310, "trigona", 15, "m", 0.8, 0.2).shape, WHITE)
    return scene.finish(grain=2)


# ---------------------------------------------------------------- the parts of a cheque


def security_print(scene: Scene) -> None:
    """Paint the pale lines that are hard to copy, and the woven border."""
    waves, flower, braid = scene.layer(), scene.layer(), scene.layer()
    u = np.linspace(0, 1, 900)
    for i in range(52):
        wave = 11 * np.sin(19 * u + i * 0.12) + 5 * np.sin(41 * u - i * 0.3)
        waves.line(curve(8 + 584 * u, i * 5.6 - 10 + wave), 0.5)
    for turn in np.arange(0, 2 * np.pi, np.pi / 6):
        for radius, petals in ((92, 12), (48, 7)):
            r = radius * (0.62 + 0.38 * np.cos(petals * 2 * np.pi * u + turn))
            flower.line(around(300, 132, r, 2 * np.pi * u), 0.5)
    scene.paint(waves.shape, (86, 156, 160), 0.34)
    scene.paint(flower.shape, (206, 126, 140), 0.3)

    left, top, right, bottom = (14.0, 12.0, 586.0, 253.0)
    outer, thin, inner = (
        scene.layer().rounded((left + d, top + d, right - d, bottom - d), 1).shape
        for d in (0, 0.6, 9)
    )
    scene.paint(ImageChops.subtract(outer, inner), (214, 232, 230))
    for phase in np.arange(4) * np.pi / 2:
        across, down = (3.6 * np.sin(2 * np.pi * n * u + phase) for n in (36, 14))
        for y in (top + 4.5, bottom - 4.5):
            braid.line(curve(left + (right - left) * u, y + across), 0.5)
        for x in (left + 4.5, right - 4.5):
            braid.line(curve(x + down, top + (bottom - top) * u), 0.5)
    for x in (left, right - 9):
        for y in (top, bottom - 9):
            braid.rounded((x, y, x + 9, y + 9), 1)
    scene.paint(braid.shape, (38, 104, 112), 0.8)
    scene.paint(ImageChops.subtract(outer, thin), (38, 104, 112), 0.8)


def date_symbol(scene: Scene, x: float, y: float, modified: bool) -> None:
    """Paint the sign beside the date: a star, or in the changed copy a flower."""
    angle = np.arange(160) * np.pi / 80
    spikes = np.abs(angle * 4 / np.pi % 1 - 0.5) * 2
    radius = 4.6 + 2.2 * np.cos(5 * angle - np.pi / 2) if modified else 3 + 4 * spikes
    scene.paint(scene.layer().polygon(around(x, y, radius, angle)).shape, (176, 58, 72))


def draw_cheque(modified: bool) -> Image.Image:
    """Draw a cheque; the copy has another name, number, sign by the date, signature."""
    scene = Scene(600, 270, (8, 6, 592, 259), 2.5)
    tints = ((224, 240, 236), (246, 243, 230), (226, 236, 247))
    scene.paint(scene.clip, Gradient(tints, (0, 0), (600, 200)))
    security_print(scene)
    amount = scene.layer().rounded((448.9, 93.9, 561.1, 117.1), 1.4).shape
    scene.paint(scene.layer().rounded((448, 93, 562, 118), 2).shape, (84, 120, 128))
    scene.paint(amount, (250, 252, 250))
    gate = scene.layer().polygon([(228, 40), (242, 32), (256, 40)])  # the bank's sign
    for x in (233, 242, 251):
        gate.rounded((x - 2.2, 42, x + 2.2, 54), 0.5)
    scene.paint(gate.rounded((228, 55.5, 256, 58), 0.5).shape, (28, 98, 108))
    date_symbol(scene, 406, 75, modified)

    large, small, rules, ink = (scene.layer() for _ in range(4))
    large.text(
        38, 46, "ADA M. HOLLAND" if modified else "ADA M. HOLDEN", 13, "l", 0.7, 0.2
    )
    large.text(262, 47, "Bank of Tarnwick", 17, "l", 0.1, 0.2)
    large.text(562, 46, "000471" if modified else "000417", 15, "r", 1.6, 0.1)
    handwriting(large, 456, 112, "£", 8.6, 0, 1.6)
    magnetic_number(large, 120, 239, ":000417:  402718|  55190362|", 11.5)
    for x, y, text, size, anchor, gap in (
        (38, 58, "17 Larkspur Quay", 8.6, "l", 0.25),
        (38, 69, "Tarnwick TK9 4QZ", 8.6, "l", 0.25),
        (262, 58, "2 Exchange Row, Tarnwick", 8.2, "l", 0.25),
        (496, 46, "No.", 10, "r", 0.4),
        (443, 78, "DATE", 7.4, "r", 0.6),
        (38, 104, "PAY TO THE", 7.4, "l", 0.5),
        (38, 113, "ORDER OF", 7.4, "l", 0.5),
        (562, 148, "POUNDS", 7.4, "r", 0.6),
        (38, 191, "FOR", 7.4, "l", 0.6),
        (457, 212.5, "AUTHORISED SIGNATURE", 6.2, "m", 0.8),
    ):
        small.text(x, y, text, size, anchor, gap)
    for left, right, y in (
        (450, 562, 81), (92, 432, 115), (38, 518, 149), (60, 226, 193), (352, 562, 197)
    ):  # fmt: skip
        rules.line([(left, y), (right, y)], 0.75)
    for layer, opacity in ((large, 0.92), (small, 0.9), (rules, 0.65)):
        scene.paint(layer.shape, (38, 54, 66), opacity)

    handwriting(ink, 456, 77, "13/04/2024", 7, 0.2, 1.2)
    handwriting(ink, 104, 111, "Otto Thornley", 9.6, 0.32, 1.35)
    handwriting(ink, 478, 112, "310.00", 8.6, 0.18, 1.4)
    handwriting(ink, 50, 145.5, "Three hundred and ten only", 9.6, 0.32, 1.35)
    handwriting(ink, 76, 189, "rent", 9.6, 0.32, 1.3)
    handwriting(ink, 360, 190, "Ada", 13, 0.5, 1.6)
    handwriting(ink, 428, 190, "Holland" if modified else "Holden", 13, 0.5, 1.6)
    handwriting(ink, 532, 191, "~", 13, 0, 1.2)  # the flourish
    scene.paint(ink.shape, (24, 46, 132), 0.9)
    return scene.finish(grain=3)


# -------------------------------------------------------------------------- all of them

SCENES: dict[str, Callable[[bool], Image.Image]] = {
    "01": draw_card_logo,
    "02": draw_card_chip,
    "03": draw_cheque,
}


def draw_all() -> dict[str, Image.Image]:
    """Return every sample picture under the name of its file."""
    return {
        f"{kind}_{number}.png": draw(kind == "modified")
        for number, draw in SCENES.items()
        for kind in ("original", "modified")
    }


def main() -> None:
    """Write the pictures."""
    parser = argparse.ArgumentParser(description="Draw the sample pictures.")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=IMAGES, help="default: images/"
    )
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in draw_all().items():
        picture.save(folder / name, optimize=True)


if __name__ == "__main__":
    main()
