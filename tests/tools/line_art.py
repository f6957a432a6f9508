"""Circuit boards and technical drawings in black and white, and their defects.

    random numbers -> strokes of a pen, at four times the size -> scan; defects are
    drops on the ink

Measures are in pixels of the scan, points are (x, y). All follows from the random
numbers given.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

FINE = 4  # ink is drawn at so many times its size, and reduced as a scanner does
SIZE = 640, 512  # width and height
WORDS = (
    "steel",
    "bolt",
    "hub",
    "flange",
    "checked",
    "drawn",
    "scale",
    "sheet",
    "finish",
    "turned",
)

Ink = NDArray[np.uint8]  # (FINE * H, FINE * W), 255 = ink, 0 = paper
Point = tuple[float, float]
Random = np.random.Generator

# --------------------------------------------------------------------------------- pens


def along(start: Point, end: Point, distance: float) -> Point:
    """The point so far from the start of a line, not beyond its end."""
    share = min(1, distance / max(1e-9, math.dist(start, end)))
    return start[0] + share * (end[0] - start[0]), start[1] + share * (
        end[1] - start[1]
    )


def steps(points: Sequence[Point], step: float) -> Iterator[Point]:
    """The points of a path, so far apart."""
    for start, end in pairwise(points):
        for distance in np.arange(0, math.dist(start, end) + step, step):
            yield along(start, end, distance)


class Pen:
    """Draws ink on paper, and remembers the strokes that a defect may be put on."""

    def __init__(self) -> None:
        """Bare paper."""
        self.page = Image.new("L", (FINE * SIZE[0], FINE * SIZE[1]))
        self.draw = ImageDraw.Draw(self.page)
        self.strokes: list[tuple[Point, Point, float]] = []  # from, to, width

    def disc(self, centre: Point, radius: float, ink: int = 255) -> None:
        """A filled circle, of paper where ink is 0."""
        self.draw.circle([FINE * value for value in centre], FINE * radius, ink)

    def bar(
        self, x: float, y: float, width: float, height: float, ink: int = 255
    ) -> None:
        """A filled rectangle."""
        self.draw.rectangle(
            [FINE * value for value in (x, y, x + width, y + height)], ink
        )

    def thin(self, width: float, *points: Point) -> None:
        """A path that no defect is put on."""
        scaled = [(FINE * x, FINE * y) for x, y in points]
        self.draw.line(scaled, 255, round(FINE * width), joint="curve")
        for point in points if width > 4 else ():
            self.disc(point, width / 2)

    def line(self, width: float, *points: Point) -> None:
        """A path, with round ends and bends where it is wide."""
        self.thin(width, *points)
        self.strokes += [
            (*ends, width) for ends in pairwise(points) if math.dist(*ends) > 24
        ]

    def frame(self, width: float, x: float, y: float, wide: float, high: float) -> None:
        """The outline of a rectangle."""
        right, bottom = x + wide, y + high
        self.line(width, (x, y), (right, y), (right, bottom), (x, bottom), (x, y))

    def arc(
        self, centre: Point, radius: float, width: float, turn: Point = (0, 360)
    ) -> None:
        """A circle or a part of it, in degrees clockwise from the right."""
        x, y, r = (FINE * value for value in (*centre, radius))
        self.draw.arc((x - r, y - r, x + r, y + r), *turn, 255, round(FINE * width))

    def axis(self, start: Point, end: Point) -> None:
        """A dashed line."""
        for distance in np.arange(0, math.dist(start, end), 21):
            self.thin(
                1.5, along(start, end, distance), along(start, end, distance + 16)
            )

    def hatch(self, x: float, y: float, wide: float, high: float, pitch: float) -> None:
        """A rectangle of thin lines at 45 degrees."""
        for at in np.arange(pitch, wide + high, pitch):
            start = (x + at, y) if at < wide else (x + wide, y + at - wide)
            end = (x, y + at) if at < high else (x + at - high, y + high)
            self.thin(1.5, start, end)

    def words(self, x: float, y: float, words: str, size: int) -> None:
        """A line of text."""
        self.draw.text(
            (FINE * x, FINE * y), words, 255, ImageFont.load_default(FINE * size)
        )

    def measure(self, start: Point, end: Point, arrows: bool) -> None:
        """A dimension line across or down, with arrows or ticks, and its length."""
        length = math.dist(start, end)
        right, down = (end[0] - start[0]) / length, (end[1] - start[1]) / length
        self.line(1.5, start, end)
        for (x, y), sign in ((start, 1), (end, -1)):
            self.line(1.5, (x - 7 * down, y - 7 * right), (x + 7 * down, y + 7 * right))
            for back in range(1, 9) if arrows else ():
                at, half = (x + sign * back * right, y + sign * back * down), back / 4
                sides = [
                    (at[0] + s * half * down, at[1] + s * half * right) for s in (1, -1)
                ]
                self.thin(1.3, *sides)
            if not arrows:
                self.thin(2.5, (x - 4, y + 4), (x + 4, y - 4))
        x, y = along(start, end, length / 2)
        self.words(
            x - 14 - 20 * down, y - 17 * right - 6 * down, f"{10 * length:.0f}", 12
        )


# ------------------------------------------------------------------------------- boards

CLEAR = 5  # pixels of paper between two pieces of copper at least
PART_TRIES, TRACE_TRIES = 400, 9000


class Floor:
    """Who owns a pixel and its clearance: 0 nobody, pads by number, -1 all others."""

    def __init__(self, reach: int) -> None:
        """A bare board; reach: the clearance and half a trace."""
        self.reach = reach
        self.owner = np.full(SIZE[::-1], -1, np.int16)
        self.owner[40:-12, 12:-12] = 0

    def claim(self, centre: Point, half: Point, owner: int = -1) -> None:
        """Take a rectangle of half such a size."""
        (x, y), (wide, high) = centre, (half[0] + self.reach, half[1] + self.reach)
        rows = slice(max(0, round(y - high)), round(y + high) + 1)
        self.owner[rows, max(0, round(x - wide)) : round(x + wide) + 1] = owner

    def is_free(self, path: Sequence[Point], owners: Sequence[int]) -> bool:
        """Whether a trace that joins these owners may run there."""
        right, bottom = SIZE[0] - 1, SIZE[1] - 1
        return all(
            0 <= x <= right
            and 0 <= y <= bottom
            and self.owner[round(y), round(x)] in (0, *owners)
            for x, y in steps(path, 1)
        )


def routes(start: Point, end: Point) -> Iterator[list[Point]]:
    """The ways between two points by straight pieces and one at 45 degrees."""
    right, down = end[0] - start[0], end[1] - start[1]
    slant = min(abs(right), abs(down))
    slant_x, slant_y = math.copysign(slant, right), math.copysign(slant, down)
    for share in (0.5, 1, 0):
        x, y = start[0] + share * (right - slant_x), start[1] + share * (down - slant_y)
        yield [start, (x, y), (x + slant_x, y + slant_y), end]


@dataclass(frozen=True)
class Style:
    """How the copper of a board looks."""

    pitch: int  # from pad to pad
    width: float  # of a trace
    drilled: bool


def board(random: Random, pitch: int, width: float, drilled: bool) -> Pen:
    """Copper: a rail, rows of pads `pitch` apart, traces with bends, vias, names."""
    style = Style(pitch, width, drilled)
    pen, floor = Pen(), Floor(math.ceil(width / 2 + CLEAR))
    pen.bar(8, 8, SIZE[0] - 16, 24)
    pads: list[Point] = []
    for _ in range(PART_TRIES):
        pads += component(random, style, pen, floor, len(pads))
    vias = traces(random, style, pen, floor, pads)
    for centre in (*vias, *(pads if drilled else ())):
        pen.disc(centre, pitch * 0.13, 0)
    return pen


def component(
    random: Random, style: Style, pen: Pen, floor: Floor, number: int
) -> list[Point]:
    """Two rows of pads with a name, where there is room; the pads' centres."""
    pitch = style.pitch
    count, gap = int(random.integers(3, 8)), int(random.integers(3, 5)) * pitch
    turn = -1 if random.integers(2) else 1  # of a part, which lies or stands
    wide, high = ((count - 1) * pitch, gap)[::turn]
    x = float(random.integers(34, SIZE[0] - wide - 34))
    y = float(random.integers(64, SIZE[1] - high - 34))
    rows = slice(round(y - pitch), round(y + high + pitch))
    if floor.owner[rows, round(x - pitch) : round(x + wide + pitch)].any():
        return []
    centre = x + wide / 2, y + high / 2
    name = f"{random.choice([*'URJC'])}{number}"
    pen.words(centre[0] - 14, centre[1] - 9, name, 15)
    floor.claim(centre, (14, 7))
    half = (pitch * 0.27, pitch * 0.4)[::turn]
    if style.drilled:
        half = pitch * 0.32, pitch * 0.32
    pads: list[Point] = []
    for row, column in product(range(2), range(count)):
        right, down = (column * pitch, row * gap)[::turn]
        pad = x + right, y + down
        pads.append(pad)
        floor.claim(pad, (half[0], half[1]), number + len(pads))
        if style.drilled:
            pen.disc(pad, half[0])
        else:
            pen.bar(pad[0] - half[0], pad[1] - half[1], 2 * half[0], 2 * half[1])
    return pads


def traces(
    random: Random, style: Style, pen: Pen, floor: Floor, pads: Sequence[Point]
) -> list[Point]:
    """Traces between pads that are near, then far ones, then to vias; the vias."""
    joined: set[int] = set()
    vias: list[Point] = []
    for attempt in range(TRACE_TRIES):
        one, other = (int(number) for number in random.integers(1, len(pads) + 1, 2))
        start, end, owners, far = pads[one - 1], pads[other - 1], [one, other], 420
        if attempt < TRACE_TRIES // 3:
            far = 140
        elif attempt > TRACE_TRIES * 2 // 3:
            away = random.uniform((24, 52), (SIZE[0] - 24, SIZE[1] - 24))
            end, owners, far = (float(away[0]), float(away[1])), [one], 120
        if one == other or joined.intersection(owners) or math.dist(start, end) > far:
            continue
        if not laid(style, pen, floor, routes(start, end), owners):
            continue
        joined.update(owners)
        if len(owners) == 1:
            floor.claim(end, (9, 9))
            pen.disc(end, 9)
            vias.append(end)
    return vias


def laid(
    style: Style,
    pen: Pen,
    floor: Floor,
    ways: Iterator[list[Point]],
    owners: Sequence[int],
) -> bool:
    """Lay a trace on the first way that is free; whether there is one."""
    for way in ways:
        if floor.is_free(way, owners):
            pen.line(style.width, *way)
            for point in steps(way, 2):
                floor.claim(point, (style.width / 2, style.width / 2))
            return True
    return False


# ----------------------------------------------------------------------------- drawings


def plan(random: Random) -> Pen:
    """The plan of a flat: walls, hatched outside, doors, windows, furniture, sizes."""
    pen, thick = Pen(), 16
    left, top, right, bottom = 60, 50, 560, 420
    wide, high = right - left, bottom - top
    for y in (top, bottom - thick):
        pen.hatch(left, y, wide, thick, 7)
    for x in (left, right - thick):
        pen.hatch(x, top + thick, thick, high - 2 * thick, 7)
    pen.frame(3, left, top, wide, high)
    pen.frame(3, left + thick, top + thick, wide - 2 * thick, high - 2 * thick)
    cuts = [
        left,
        *(left + 165 * i + int(random.integers(-25, 26)) for i in (1, 2)),
        right,
    ]
    cross = (top + bottom) // 2 + int(random.integers(-30, 31))
    for x in cuts[1:-1]:
        door = int(random.integers(top + 40, cross - 70))
        pen.line(8, (x, top + thick), (x, door))
        pen.line(8, (x, door + 44), (x, bottom - thick))
        pen.line(2, (x, door), (x + 44, door))
        pen.arc((x, door), 44, 1.5, (0, 90))
    for start, end in pairwise(cuts):
        door = int(random.integers(start + 30, end - 70))
        pen.line(8, (start + 4, cross), (door, cross))
        pen.line(8, (door + 40, cross), (end - 4, cross))
        pen.line(2, (door, cross), (door, cross - 40))
        pen.arc((door, cross), 40, 1.5, (270, 360))
        pen.measure((start, bottom + 30), (end, bottom + 30), arrows=False)
        room = str(random.choice(["Kitchen", "Hall", "Office", "Store"]))
        pen.words(start + 26, cross + 16, room, 15)
        x, y = (start + end) // 2, (cross + bottom) // 2 + 18
        pen.bar(x - 30, top - 1, 60, thick + 2, 0)
        for inset in (0, thick / 2, thick):
            pen.line(2, (x - 30, top + inset), (x + 30, top + inset))
        kind = random.integers(3)
        if kind == 0:  # a table and chairs
            pen.arc((x, y), 26, 2)
            for angle in np.arange(0, 2 * np.pi, np.pi / 3):
                pen.arc((x + 38 * np.cos(angle), y + 38 * np.sin(angle)), 8, 1.5)
        elif kind == 1:  # stairs
            for step in range(-44, 45, 11):
                pen.line(2, (x + step, y - 24), (x + step, y + 24))
            pen.line(2, (x - 44, y), (x + 44, y))
        else:  # a bath
            pen.frame(2, x - 44, y - 24, 88, 48)
            pen.line(
                1.5,
                (x + 20, y - 17),
                (x - 36, y - 17),
                (x - 36, y + 17),
                (x + 20, y + 17),
            )
            pen.arc((x + 20, y), 17, 1.5, (270, 450))
    pen.measure((right + 50, top), (right + 50, bottom), arrows=False)
    pen.words(left, 470, f"Ground floor 1:{random.choice([50, 100])}", 20)
    return pen


def part(random: Random) -> Pen:
    """A turned part: front view with bolts, hatched section, sizes, notes, title."""
    pen, x, y = Pen(), 170, 200
    pen.frame(2.5, 12, 12, 616, 488)
    spans = (120, 136), (84, 96), (46, 56), (60, 84), (5, 9)
    outer, bolts, hub, deep, count = (int(random.integers(*span)) for span in spans)
    for radius in (outer, hub, hub - 18):
        pen.arc((x, y), radius, 3)
    for angle in 2 * np.pi * np.arange(count) / count:
        pen.arc((x + bolts * np.cos(angle), y + bolts * np.sin(angle)), 13, 2.5)
    for turn in range(0, 360, 15):
        pen.arc((x, y), bolts, 1.5, (turn, turn + 9))
    pen.axis((x - outer - 14, y), (x + outer + 14, y))
    pen.axis((x, y - outer - 14), (x, y + outer + 14))

    left, step, far = 380, 380 + deep, 450 + deep
    above = [y - outer, y - bolts - 13, y - bolts + 13, y - hub, y - hub + 18]
    levels = [*above, *(2 * y - level for level in above[::-1])]
    for upper, lower in pairwise(levels):
        pen.line(3, (left, upper), (far if abs(upper - y) <= hub else step, upper))
        if upper in (levels[0], levels[2], levels[6], levels[8]):
            pen.hatch(left, upper, deep, lower - upper, 9)
        elif upper in (levels[3], levels[5]):
            pen.hatch(left, upper, far - left, 18, 9)
    pen.line(
        3, (left, levels[0]), (left, levels[9]), (step, levels[9]), (step, levels[6])
    )
    pen.line(3, (step, levels[0]), (step, levels[3]))
    pen.line(3, (far, levels[3]), (far, levels[6]), (left, levels[6]))
    pen.axis((left - 16, y), (far + 20, y))

    pen.measure((x - outer, 360), (x + outer, 360), arrows=True)
    pen.measure((left, 360), (step, 360), arrows=True)
    pen.measure((600, levels[3]), (600, levels[6]), arrows=True)
    pen.line(1.5, (x + 60, y - 60), (x + outer, 46), (x + outer + 50, 46))
    pen.words(x + outer + 4, 28, f"{count} x D26", 13)
    for column, row in product((330, 440, 540), (410, 440, 470)):
        pen.line(2, (column, 500), (column, row), (628, row))
        pen.words(column + 8, row + 6, str(random.choice(WORDS)), 14)
    for row in range(410, 490, 20):
        pen.words(28, row, " ".join(map(str, random.choice(WORDS, 6))), 11)
    return pen


# -------------------------------------------------------------------------------- scans


@dataclass(frozen=True)
class LineArt:
    """Ink on paper; `binary`: its scan has no gray; `negative`: white ink on black."""

    ink: Ink
    strokes: list[tuple[Point, Point, float]]  # from, to, width
    binary: bool
    negative: bool

    def scan(self, ink: Ink) -> NDArray[np.uint8]:
        """Ink on such paper as a picture: (H, W, 3) BGR."""
        size = ink.shape[1] // FINE, ink.shape[0] // FINE
        level = cv2.resize(ink, size, interpolation=cv2.INTER_AREA)
        level = (
            cv2.threshold(level, 127, 255, cv2.THRESH_BINARY)[1]
            if self.binary
            else level
        )
        return cv2.merge([level if self.negative else 255 - level] * 3).astype(np.uint8)


def line_art(pen: Pen, binary: bool, negative: bool = False) -> LineArt:
    """What a pen has drawn, on such paper."""
    return LineArt(np.asarray(pen.page), pen.strokes, binary, negative)


# ------------------------------------------------------------------------------ defects

Drop = tuple[NDArray[Any], int]  # the corners of a polygon, (N, 2), and its ink


class Spot(NamedTuple):
    """A place on a stroke: its angle, and the unit step off to one of its sides."""

    middle: Point
    angle: float
    aside: Point
    width: float

    def off(self, distance: float) -> Point:
        """The point so far off the middle of the stroke."""
        return self.middle[0] + distance * self.aside[0], self.middle[
            1
        ] + distance * self.aside[1]

    def blob(self, off: float, radii: Point, random: Random) -> NDArray[Any]:
        """The corners of a rough ellipse so far off: along the stroke and across."""
        return blob(self.off(off), self.angle, radii, random)


def blob(centre: Point, angle: float, radii: Point, random: Random) -> NDArray[Any]:
    """The corners of an ellipse with a rough outline: (N, 2)."""
    turns = np.linspace(0, 2 * np.pi, 14, endpoint=False)
    rough = random.uniform(0.8, 1.15, turns.size)
    x, y = radii[0] * rough * np.cos(turns), radii[1] * rough * np.sin(turns)
    cos, sin = np.cos(angle), np.sin(angle)
    return np.stack(
        [centre[0] + cos * x - sin * y, centre[1] + sin * x + cos * y], axis=1
    )


def pick_spot(art: LineArt, random: Random) -> Spot:
    """A spot on any stroke, away from its ends."""
    start, end, width = art.strokes[random.integers(len(art.strokes))]
    length, side = math.dist(start, end), random.choice([-1, 1])
    middle = along(start, end, float(random.uniform(10, length - 10)))
    right, down = (
        side * (end[0] - start[0]) / length,
        side * (end[1] - start[1]) / length,
    )
    return Spot(middle, math.atan2(down, right), (-down, right), width)


def has_ink(art: LineArt, point: Point) -> bool:
    """Whether there is ink at a point; there is none outside."""
    x, y = (int(FINE * value) for value in point)
    return bool(0 <= x < FINE * SIZE[0] and 0 <= y < FINE * SIZE[1] and art.ink[y, x])


def interrupt(art: LineArt, random: Random) -> Drop:
    """Open: a stroke is interrupted."""
    spot = pick_spot(art, random)
    return spot.blob(0, (random.uniform(5, 9), spot.width / 2 + 4), random), 0


def bridge(art: LineArt, random: Random) -> Drop | None:
    """Short: a stroke is joined with the next ink beside it."""
    spot = pick_spot(art, random)
    edge = spot.width / 2
    for gap in range(3, 32):
        if has_ink(art, spot.off(edge + gap)):
            radii = random.uniform(3, 6), gap / 2 + 3
            return (spot.blob(edge + gap / 2, radii, random), 255) if gap > 6 else None
    return None


def stick_out(art: LineArt, random: Random) -> Drop | None:
    """Spur: a bit sticks out of a stroke."""
    spot, length = pick_spot(art, random), random.uniform(12, 20)
    if has_ink(art, spot.off(spot.width / 2 + length)):
        return None
    off = spot.width / 2 + length / 2 - 3
    return spot.blob(off, (random.uniform(3, 6), length / 2), random), 255


def bite(art: LineArt, random: Random) -> Drop | None:
    """Mouse bite: a bit is missing at the edge of a wide stroke."""
    spot, deep = pick_spot(art, random), random.uniform(0.5, 0.7)
    if spot.width < 7:
        return None
    radii = random.uniform(5, 9), deep * spot.width
    return spot.blob(spot.width / 2, radii, random), 0


def speck(art: LineArt, random: Random, hole: bool) -> Drop | None:
    """A pin hole in ink, or spurious ink on bare paper."""
    radius = random.uniform(5, 6.5 if hole else 12)
    centre = (
        float(random.uniform(16, SIZE[0] - 16)),
        float(random.uniform(16, SIZE[1] - 16)),
    )
    around = [centre, *blob(centre, 0, (radius + 3, radius + 3), random)]
    if any(has_ink(art, point) != hole for point in around):
        return None
    return blob(centre, 0, (radius, radius), random), 0 if hole else 255


DEFECTS: dict[str, Callable[[LineArt, Random], Drop | None]] = {
    "open": interrupt,
    "short": bridge,
    "spur": stick_out,
    "mouse bite": bite,
    "pin hole": lambda art, random: speck(art, random, hole=True),
    "spurious": lambda art, random: speck(art, random, hole=False),
}
