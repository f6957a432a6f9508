"""How many real changes are found, and how much else, on pictures of known truth.

    python tests/tools/detection.py [--half dev|held-out] [--short]
                                    [--gray | --geometry | --boards | --parts]

base -> edited (boxes known) -> disturbed (noise, JPEG, ...) -> boxes found -> scores

Rules and constants are tuned on the `dev` half of the bases only, and the tests measure
that half alone: a half that is looked at on every run is not held out. The `held-out`
half is run for tests/RESULTS.md, when the program is done, and for nothing else. Every
picture follows from the names of its base, edit and nuisance alone.
"""

import argparse
import math
import os
import zlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import checkout
import image_diff
from article import article as tutorial
from line_art import DEFECTS, FINE, LineArt, Point, board, line_art, part, plan

ROOT = checkout.ROOT

Picture = NDArray[np.uint8]  # (H, W, 3) BGR
Random = np.random.Generator


class Box(NamedTuple):
    """A rectangle in pixels."""

    x: int
    y: int
    width: int
    height: int

    @property
    def area(self) -> int:
        """Pixels inside."""
        return self.width * self.height

    @property
    def window(self) -> tuple[slice, slice]:
        """The index of the box's pixels in a picture."""
        return slice(self.y, self.y + self.height), slice(self.x, self.x + self.width)

    def grown(self, margin: int) -> "Box":
        """The box with `margin` pixels more a side (cut at the picture's origin)."""
        x, y = max(0, self.x - margin), max(0, self.y - margin)
        return Box(
            x, y, self.x + self.width + margin - x, self.y + self.height + margin - y
        )

    def touches(self, other: "Box") -> bool:
        """Whether the two share a pixel."""
        return (
            self.x < other.x + other.width
            and other.x < self.x + self.width
            and self.y < other.y + other.height
            and other.y < self.y + self.height
        )


Detector = Callable[[Picture, Picture], Sequence[Box]]


def random_of(*names: object) -> Random:
    """The generator that belongs to these names: the same on every machine and run."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, names)).encode()))


# -------------------------------------------------------------------------------- bases

TEXT = (
    "the quick report of all parts was sent on Monday with 12 figures and one table; "
    "prices from 4.50 to 1,299.00 are valid until 31 March. "
    "Please check every page, sign below and return it"
)
# Height and width that bases are cut down to, so that a run takes minutes.
LARGEST = 512, 640


def photo(name: str) -> Picture:
    """The middle of one of the pictures that come inside the scikit-image wheel."""
    return middle(Path(skimage.__file__).parent / "data" / name)


def sample(name: str) -> Picture:
    """The middle of one of this project's samples."""
    return middle(ROOT / "images" / name)


def middle(path: Path) -> Picture:
    """The picture in a file, cut around its centre to `LARGEST` at most."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(path)
    top, left = (max(0, (picture.shape[i] - LARGEST[i]) // 2) for i in (0, 1))
    return picture[top : top + LARGEST[0], left : left + LARGEST[1]].astype(np.uint8)


def text(
    draw: ImageDraw.ImageDraw, box: Box, size: int, ink: str, random: Random
) -> None:
    """Fill a box with lines of words in Pillow's own font."""
    font = ImageFont.load_default(size)
    for y in range(box.y, box.y + box.height - size, size * 3 // 2):
        line = ""
        while draw.textlength(line, font) < box.width - 4 * size:
            line += str(random.choice(TEXT.split())) + " "
        draw.text((box.x, y), line, ink, font)


def document(columns: int, size: int) -> Picture:
    """A printed page: a heading and columns of black text on white."""
    random = random_of("document", columns, size)
    page = Image.new("RGB", (560, 500), "white")
    draw = ImageDraw.Draw(page)
    draw.text((30, 24), "Quarterly report", "black", ImageFont.load_default(30))
    draw.line((30, 66, 530, 66), "black", 2)
    width = 500 // columns
    for column in range(columns):
        text(draw, Box(30 + column * width, 80, width - 14, 400), size, "black", random)
    return np.asarray(page)[:, :, ::-1].copy()


def screen(paper: str, panel: str, ink: str, accent: str) -> Picture:
    """A program's window: title bar, side bar, buttons, cards and a table."""
    random = random_of("screen", paper)
    page = Image.new("RGB", (640, 480), paper)
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 639, 35), accent)
    draw.text((14, 8), "Dashboard", "white", ImageFont.load_default(18))
    draw.rectangle((0, 36, 149, 479), panel)
    for row in range(8):
        draw.ellipse((12, 56 + 40 * row, 28, 72 + 40 * row), accent)
        text(draw, Box(38, 56 + 40 * row, 105, 20), 14, ink, random)
    for column in range(3):
        left = 170 + 155 * column
        draw.rounded_rectangle((left, 52, left + 140, 150), 8, panel, accent)
        text(draw, Box(left + 12, 62, 120, 30), 13, ink, random)
        draw.text(
            (left + 12, 100),
            str(random.integers(10, 999)),
            accent,
            ImageFont.load_default(32),
        )
    for row in range(9):
        if row % 2:
            draw.rectangle((170, 168 + 28 * row, 625, 195 + 28 * row), panel)
        text(draw, Box(180, 172 + 28 * row, 440, 24), 14, ink, random)
    for column, name in enumerate(("Cancel", "Apply", "OK")):
        left = 350 + 95 * column
        draw.rounded_rectangle((left, 436, left + 80, 466), 6, accent)
        draw.text((left + 16, 442), name, "white", ImageFont.load_default(15))
    return np.asarray(page)[:, :, ::-1].copy()


BASES: dict[str, dict[str, Callable[[], Picture]]] = {
    "dev": {
        "astronaut": lambda: photo("astronaut.png"),
        "brick": lambda: photo("brick.png"),
        "camera": lambda: photo("camera.png"),
        "coins": lambda: photo("coins.png"),
        "grass": lambda: photo("grass.png"),
        "hubble": lambda: photo("hubble_deep_field.jpg"),
        "moon": lambda: photo("moon.png"),
        "motorcycle": lambda: photo("motorcycle_left.png"),
        "page": lambda: photo("page.png"),
        "rocket": lambda: photo("rocket.jpg"),
        "letter": lambda: document(columns=1, size=14),
        "light screen": lambda: screen("white", "#eef1f5", "#222222", "#2a6fdb"),
        "sample 1": lambda: sample("original_01.png"),
    },
    "held-out": {
        "cell": lambda: photo("cell.png"),
        "chelsea": lambda: photo("chelsea.png"),
        "clock": lambda: photo("clock_motion.png"),
        "coffee": lambda: photo("coffee.png"),
        "colour": lambda: photo("color.png"),
        "gravel": lambda: photo("gravel.png"),
        "ihc": lambda: photo("ihc.png"),
        "retina": lambda: photo("retina.jpg"),
        "text": lambda: photo("text.png"),
        "newspaper": lambda: document(columns=3, size=11),
        "dark screen": lambda: screen("#1c2128", "#2d333b", "#cdd9e5", "#c2571a"),
        "sample 2": lambda: sample("original_02.png"),
        "sample 3": lambda: sample("original_03.png"),
    },
}

# -------------------------------------------------------------------------------- edits


def rounded(values: NDArray[Any]) -> Picture:
    """Values as 8-bit levels."""
    return np.asarray(np.clip(np.rint(values), 0, 255), np.uint8)


def luma(picture: Picture) -> NDArray[Any]:
    """The gray picture (BT.601) as `int16`, so that it can be subtracted."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).astype(np.int16)


def chroma(picture: Picture) -> NDArray[Any]:
    """Cr and Cb as `int16`."""
    return cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb)[:, :, 1:].astype(np.int16)


def remove(picture: Picture, box: Box, random: Random) -> None:
    """An object is gone: an ellipse is filled in from its surroundings."""
    around = picture[box.grown(8).window]
    mask = np.zeros(around.shape[:2], np.uint8)
    centre = (
        box.x - box.grown(8).x + box.width // 2,
        box.y - box.grown(8).y + box.height // 2,
    )
    cv2.ellipse(mask, centre, (box.width // 2, box.height // 2), 0, 0, 360, 255, -1)
    around[:] = cv2.inpaint(np.ascontiguousarray(around), mask, 3, cv2.INPAINT_TELEA)


def paste(picture: Picture, box: Box, random: Random) -> None:
    """A piece from elsewhere in the picture."""
    x = int(random.integers(picture.shape[1] - box.width))
    y = int(random.integers(picture.shape[0] - box.height))
    picture[box.window] = picture[box._replace(x=x, y=y).window].copy()


def write(picture: Picture, box: Box, random: Random) -> None:
    """A word in black or white, whichever stands out."""
    patch = Image.fromarray(picture[box.window][:, :, ::-1])
    ink = "black" if luma(picture)[box.window].mean() > 127 else "white"
    font = ImageFont.load_default(box.height * 0.8)
    ImageDraw.Draw(patch).text(
        (1, 1), str(random.choice(["SOLD", "2,750", "draft"])), ink, font
    )
    picture[box.window] = np.asarray(patch)[:, :, ::-1]


def blur(picture: Picture, box: Box, random: Random) -> None:
    """Out of focus."""
    picture[box.window] = cv2.GaussianBlur(picture[box.window], (0, 0), 4)


def turn_hue(picture: Picture, box: Box, random: Random) -> None:
    """Hue turned by 60 degrees at equal gray; outside the gamut saturation is lost."""
    blue, green, red = np.moveaxis(picture[box.window].astype(np.float64), 2, 0)
    gray = 0.299 * red + 0.587 * green + 0.114 * blue
    cr, cb = (red - gray) * 0.713, (blue - gray) * 0.564
    cos, sin = np.cos(np.pi / 3), np.sin(np.pi / 3)
    cr, cb = cos * cr - sin * cb, sin * cr + cos * cb
    red, blue = cr / 0.713, cb / 0.564
    away = np.stack([blue, -(0.299 * red + 0.114 * blue) / 0.587, red], axis=2)
    room = np.where(away > 0, 255 - gray[:, :, None], gray[:, :, None])
    fits = np.minimum(
        1, (room / np.maximum(np.abs(away), 1e-9)).min(axis=2, keepdims=True)
    )
    picture[box.window] = np.rint(gray[:, :, None] + fits * away)


def dot(picture: Picture, box: Box, random: Random) -> None:
    """A filled circle, 128 levels of gray away from what was there."""
    across, down = np.meshgrid(np.arange(box.width), np.arange(box.height))
    inside = (across - 2.5) ** 2 + (down - 2.5) ** 2 < 9
    picture[box.window][inside] = (int(luma(picture)[box.window].mean()) + 128) % 256


def brighten(picture: Picture, box: Box, random: Random) -> None:
    """A patch 25 levels brighter."""
    picture[box.window] = rounded(picture[box.window] + 25.0)


class Edit(NamedTuple):
    """A kind of edit; `visible`: the least mean change, in levels, of its quarters."""

    draw: Callable[[Picture, Box, Random], None]
    width: tuple[int, int]
    height: tuple[int, int]
    visible: int
    in_gray: bool = True


# 8 levels in the mean: twice what noise of sigma 5 does to a pixel, and seen at a
# glance when the two pictures are blinked.
EDITS = {
    "removed": Edit(remove, (24, 56), (24, 56), 8),
    "pasted": Edit(paste, (20, 56), (20, 56), 8),
    "text": Edit(write, (50, 90), (18, 30), 8),
    "blurred": Edit(blur, (28, 60), (28, 60), 8),
    "hue": Edit(turn_hue, (20, 56), (20, 56), 15, in_gray=False),
    "dot": Edit(dot, (6, 6), (6, 6), 50),
    "brighter": Edit(brighten, (20, 56), (20, 56), 22),
}
EDITED_PICTURES = 3  # of every base, with three edits each: no kind is left out
APART = 24  # pixels between two edits, so that a box of sane size belongs to one
TRIES = 300


@dataclass
class Truth:
    """An edited picture and where it differs from its base."""

    picture: Picture
    edits: list[tuple[str, Box]]


def changed(first: Picture, second: Picture, place: Box) -> Box:
    """The box, inside a place, around all pixels that differ."""
    change = cv2.absdiff(first[place.window], second[place.window]).max(axis=2)
    x, y, width, height = cv2.boundingRect(change)
    return Box(place.x + x, place.y + y, width, height)


def least_change(first: Picture, second: Picture, box: Box, in_gray: bool) -> float:
    """The mean change, in levels, of the least changed quarter of a box."""
    seen = luma if in_gray else chroma
    change = np.abs(seen(second[box.window]) - seen(first[box.window]))
    change = change if in_gray else np.hypot(change[:, :, 0], change[:, :, 1])
    halves = np.array_split(change, 2, axis=0)
    return min(
        float(part.mean())
        for half in halves
        for part in np.array_split(half, 2, axis=1)
    )


def edited(name: str, base: Picture, number: int) -> Truth:
    """A base with three visible edits: hue if it has any, and other kinds in turn."""
    random = random_of(name, "edits", number)
    in_gray = [kind for kind, edit in EDITS.items() if edit.in_gray]
    start = 2 * number % len(in_gray)
    truth = Truth(base.copy(), [])
    for kind in ["hue", *in_gray[start:], *in_gray[:start]]:
        edit = EDITS[kind]
        for _ in range(TRIES):
            width = int(random.integers(edit.width[0], edit.width[1] + 1))
            height = int(random.integers(edit.height[0], edit.height[1] + 1))
            x = int(random.integers(8, base.shape[1] - width - 8))
            y = int(random.integers(8, base.shape[0] - height - 8))
            place = Box(x, y, width, height)
            if any(place.grown(APART).touches(other) for _, other in truth.edits):
                continue
            before = truth.picture[place.window].copy()
            edit.draw(truth.picture, place, random)
            box = changed(base, truth.picture, place)
            if (
                min(box.width, box.height) >= 6
                and least_change(base, truth.picture, box, edit.in_gray) >= edit.visible
            ):
                truth.edits.append((kind, box))
                break
            truth.picture[place.window] = before
        if len(truth.edits) == 3:
            break
    return truth


# ---------------------------------------------------------------------------- nuisances


def noise(picture: Picture, sigma: float, random: Random) -> Picture:
    """Gaussian noise, independent in every channel; a gray picture stays gray."""
    is_gray = bool((picture == picture[:, :, :1]).all())
    shape = (*picture.shape[:2], 1 if is_gray else 3)
    return rounded(picture + random.normal(0, sigma, shape))


def coded(picture: Picture, extension: str, setting: int, quality: int) -> Picture:
    """Encoded and decoded."""
    data = cv2.imencode(extension, picture, [setting, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def shifted(picture: Picture, x: float, y: float) -> Picture:
    """Moved by a fraction of a pixel."""
    size = picture.shape[1], picture.shape[0]
    matrix = np.array([[1, 0, x], [0, 1, y]])
    moved = cv2.warpAffine(
        picture, matrix, size, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT
    )
    return moved.astype(np.uint8)


Nuisance = Callable[[Picture, Random], Picture]

NUISANCES: dict[str, Nuisance] = {
    "none": lambda picture, random: picture,
    "noise 2": lambda picture, random: noise(picture, 2, random),
    "noise 3": lambda picture, random: noise(picture, 3, random),
    "noise 5": lambda picture, random: noise(picture, 5, random),
    "JPEG 95": lambda picture, random: coded(
        picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95
    ),
    "JPEG 85": lambda picture, random: coded(
        picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 85
    ),
    "JPEG 70": lambda picture, random: coded(
        picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 70
    ),
    "WebP 80": lambda picture, random: coded(
        picture, ".webp", cv2.IMWRITE_WEBP_QUALITY, 80
    ),
    "brightness +5": lambda picture, random: rounded(picture + 5.0),
    "brightness +10": lambda picture, random: rounded(picture + 10.0),
    "gamma 1.05": lambda picture, random: rounded(255 * (picture / 255) ** (1 / 1.05)),
    "half a pixel": lambda picture, random: shifted(picture, 0.5, 0.5),
}

# ----------------------------------------------------------------------------- geometry

# (3, 3), maps (x, y, 1) of the first picture's pixels to the second's.
Matrix = NDArray[np.float64]
Size = tuple[int, int]  # width, height
DRIFT_SIGMA = 30  # pixels over which a smooth warp varies


@dataclass(frozen=True)
class Warp:
    """How the second picture lies: its size, and where its pixels come from."""

    size: Size
    matrix: Matrix | None = None  # of a rigid one
    # (H, W, 2) of a smooth one: what to add to x and y.
    field: NDArray[np.float32] | None = None

    def render(
        self, picture: NDArray[np.uint8], plain: Any, fine: int = 1
    ) -> NDArray[np.uint8]:
        """The picture warped at `fine` times its size, if it is rigid on plain ground.

        A pixel at the picture's rim is mixed with the background by the share that each
        covers.
        """
        size = fine * self.size[0], fine * self.size[1]
        across, down = ((np.arange(side) + 0.5) / fine - 0.5 for side in size)
        places = np.stack([*np.meshgrid(across, down), np.ones(size[::-1])], axis=2)
        if self.matrix is not None:
            places = places @ np.linalg.inv(self.matrix).T
        x, y = np.moveaxis(places[:, :, :2] / places[:, :, 2:], 2, 0)
        if self.field is not None:
            field = cv2.resize(self.field, size, interpolation=cv2.INTER_CUBIC)
            x, y = x + field[:, :, 0], y + field[:, :, 1]
        x, y = fine * (x + 0.5) - 0.5, fine * (y + 0.5) - 0.5
        how = cv2.INTER_LANCZOS4 if fine == 1 else cv2.INTER_LINEAR
        maps = x.astype(np.float32), y.astype(np.float32)
        seen = cv2.remap(picture, *maps, how, borderMode=cv2.BORDER_REPLICATE)
        if self.field is not None:
            return seen.astype(np.uint8)
        height, width = picture.shape[:2]
        share = np.clip(np.minimum(x + 1, width - x), 0, 1)
        share *= np.clip(np.minimum(y + 1, height - y), 0, 1)
        share = share.reshape(*share.shape, *[1] * (seen.ndim - 2))
        return rounded(share * seen + (1 - share) * plain)

    def shows(self, box: Box) -> bool:
        """Whether the second picture has all of a box of the first one."""
        if self.matrix is None:
            return True
        edges = (
            (box.x - 0.5, box.x + box.width - 0.5),
            (box.y - 0.5, box.y + box.height - 0.5),
        )
        places = mapped(self.matrix, [*product(*edges)]) + 0.5
        return bool((places >= 0).all() and (places <= self.size).all())


def mapped(matrix: Matrix, points: Sequence[Point]) -> NDArray[Any]:
    """Points through a projective transform: (N, 2)."""
    return np.asarray(
        cv2.perspectiveTransform(np.array([points], np.float64), matrix)[0]
    )


def about_centre(size: Size, angle: float, scale: float) -> Warp:
    """Turned by degrees and scaled about the centre, on a canvas of the same size."""
    centre = (size[0] - 1) / 2, (size[1] - 1) / 2
    return Warp(
        size, np.vstack([cv2.getRotationMatrix2D(centre, angle, scale), [0, 0, 1]])
    )


def moved(size: Size, x: float, y: float, canvas: Size | None = None) -> Warp:
    """Shifted, on a canvas of the same or another size."""
    return Warp(canvas or size, np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]]))


def tilted(size: Size, random: Random) -> Warp:
    """Seen from a slant: every corner off by up to 4 % of the sides."""
    corners = np.array([*product((0, size[0] - 1), (0, size[1] - 1))], np.float32)
    off = random.choice([-1, 1], (4, 2)) * random.uniform(0.02, 0.04, (4, 2)) * size
    matrix = cv2.getPerspectiveTransform(corners, corners + off.astype(np.float32))
    return Warp(size, np.asarray(matrix, np.float64))


def framed(size: Size, random: Random, share: float) -> Warp:
    """On a canvas that is larger or smaller by a share of the sides, anywhere on it."""
    canvas = round(size[0] * (1 + share)), round(size[1] * (1 + share))
    room = canvas[0] - size[0], canvas[1] - size[1]
    x, y = (side * float(random.uniform(0.2, 0.8)) for side in room)
    return moved(size, round(x), round(y), canvas)


def smooth(size: Size, random: Random, most: float) -> Warp:
    """Gaussian noise blurred over `DRIFT_SIGMA`, and scaled to `most` at the most."""
    noises = random.normal(size=(2, size[1], size[0]))
    field = np.stack(
        [cv2.GaussianBlur(noise, (0, 0), DRIFT_SIGMA) for noise in noises], axis=2
    )
    field *= most / np.linalg.norm(field, axis=2).max()
    return Warp(size, field=field.astype(np.float32))


Geometry = Callable[[Size, Random], Warp]

RIGID: dict[str, Geometry] = {
    "none": lambda size, random: moved(size, 0, 0),
    "shift 1": lambda size, random: moved(size, 1, 0),
    "shift 3": lambda size, random: moved(size, 0, -3),
    "half a pixel": lambda size, random: moved(size, 0.5, 0.5),
    "rotation 0.5": lambda size, random: about_centre(size, 0.5, 1),
    "rotation 2": lambda size, random: about_centre(size, -2, 1),
    "scale 1.01": lambda size, random: about_centre(size, 0, 1.01),
    "scale 1.1": lambda size, random: about_centre(size, 0, 1.1),
    "tilt": tilted,
    "larger canvas": lambda size, random: framed(size, random, 0.15),
    "smaller canvas": lambda size, random: framed(size, random, -0.1),
}
DRIFTS = 1, 2, 3  # pixels
SMOOTH: dict[str, Geometry] = {
    f"warp {most}": partial(smooth, most=most) for most in DRIFTS
}


@dataclass(frozen=True)
class Subject:
    """A base to be moved: what it is, what becomes of it, how a warp shows that."""

    first: Picture
    truths: list[Truth]
    see: Callable[[Truth, Warp], Picture]


def pictured(half: str, name: str, count: int) -> Subject:
    """A photo, page or screen with its edits, on white or on the colour of its rim."""
    base = BASES[half][name]()
    rim = np.median(
        np.concatenate([base[0], base[-1], base[:, 0], base[:, -1]]), axis=0
    )
    plain = rim if random_of(name, "plain").integers(2) else np.full(3, 255.0)
    truths = [edited(name, base, i) for i in range(count)]
    return Subject(
        base, [Truth(base, []), *truths], lambda t, warp: warp.render(t.picture, plain)
    )


LINE_ART: dict[str, dict[str, Callable[[], LineArt]]] = {
    "dev": {
        "drilled board": lambda: copper("one", 26, 7, drilled=True, binary=True),
        "flat board": lambda: copper("two", 24, 8, drilled=False, binary=False),
        "wide board": lambda: copper(
            "three", 32, 11, drilled=True, binary=True, negative=True
        ),
        "plan": lambda: line_art(plan(random_of("plan", 1)), binary=True),
        "part": lambda: line_art(part(random_of("part", 1)), binary=False),
    },
    "held-out": {
        "drilled board 2": lambda: copper(
            "four", 28, 8, drilled=True, binary=False, negative=True
        ),
        "flat board 2": lambda: copper(
            "five", 26, 9, drilled=False, binary=True, negative=True
        ),
        "wide board 2": lambda: copper("six", 30, 10, drilled=False, binary=True),
        "plan 2": lambda: line_art(plan(random_of("plan", 2)), binary=False),
        "part 2": lambda: line_art(part(random_of("part", 2)), binary=True),
    },
}
DEFECT_SIDES = 10, 40  # pixels that the longer side of a defect has


def copper(
    name: str, pitch: int, width: float, *, drilled: bool, **paper: bool
) -> LineArt:
    """A circuit board."""
    return line_art(board(random_of("board", name), pitch, width, drilled), **paper)


def spoiled(name: str, art: LineArt, number: int, count: int) -> Truth:
    """Line art with so many defects, of all kinds in turn; the picture is its ink."""
    random = random_of(name, "defects", number)
    first, truth = art.scan(art.ink), Truth(art.ink.copy(), [])
    kinds = [str(kind) for kind in random.permutation(list(DEFECTS))]
    for attempt in range(20 * TRIES):
        kind = kinds[(len(truth.edits) + attempt // TRIES) % len(kinds)]
        drop = DEFECTS[kind](art, random)
        if not drop:
            continue
        place = Box(*cv2.boundingRect(drop[0].astype(np.float32))).grown(3)
        fits = place.x >= 8 and place.x + place.width <= first.shape[1] - 8
        fits = fits and place.y >= 8 and place.y + place.height <= first.shape[0] - 8
        if not fits or any(
            place.grown(APART).touches(other) for _, other in truth.edits
        ):
            continue
        window = Box(*(FINE * value for value in place)).window
        before = truth.picture[window].copy()
        corners = np.rint(FINE * drop[0]).astype(np.int32)
        cv2.fillPoly(truth.picture, [corners], drop[1])
        second = first.copy()
        second[place.window] = art.scan(np.ascontiguousarray(truth.picture[window]))
        box = changed(first, second, place)
        if DEFECT_SIDES[0] <= max(box.width, box.height) <= DEFECT_SIDES[1]:
            truth.edits.append((kind, box))
            if len(truth.edits) == count:
                break
        else:
            truth.picture[window] = before
    return truth


def drawn(half: str, name: str, counts: Sequence[int]) -> Subject:
    """Line art with so many defects each, on bare paper."""
    art = LINE_ART[half][name]()
    truths = [spoiled(name, art, number, count) for number, count in enumerate(counts)]

    def see(truth: Truth, warp: Warp) -> Picture:
        return art.scan(warp.render(truth.picture, 0, FINE))

    return Subject(art.scan(art.ink), [Truth(art.ink, []), *truths], see)


# ---------------------------------------------------------------------------- detectors


def article(first: Picture, second: Picture) -> list[Box]:
    """The boxes of the tutorial's pipeline."""
    return [Box(*box) for box in tutorial(first, second).boxes]


def ours(gray: bool = False) -> Detector:
    """The boxes of `image_diff`, all options but `--gray` left alone."""
    options = image_diff.Options(gray=gray)

    def find(first: Picture, second: Picture) -> list[Box]:
        regions = image_diff.compare_images(first, second, options).regions
        return [
            Box(region.x, region.y, region.width, region.height) for region in regions
        ]

    return find


# ------------------------------------------------------------------------------- scores

HALF_WINDOW = 3  # by which a 7x7 window spreads a change
SANE = 4  # times the edit's grown box: a larger box says nothing of where the edit is


@dataclass
class Score:
    """Counts over pictures; `edits` and `found` by kind."""

    pictures: int = 0
    false_boxes: int = 0
    edits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(
        self,
        boxes: Sequence[Box],
        edits: Sequence[tuple[str, Box]],
        lost: Sequence[tuple[str, Box]] = (),
    ) -> None:
        """Count one picture; lost: edits that are out of sight, wholly or in part."""
        self.pictures += 1
        grown = [box.grown(HALF_WINDOW) for _, box in [*edits, *lost]]
        self.false_boxes += sum(
            not any(box.touches(edit) for edit in grown) for box in boxes
        )
        for kind, edit in edits:
            self.edits[kind] += 1
            self.found[kind] += is_found(edit, boxes)

    def false_rate(self) -> float:
        """False boxes a picture."""
        return self.false_boxes / max(1, self.pictures)

    def recall(self, kinds: Sequence[str]) -> float:
        """The share found of the edits of these kinds; NaN where there are none."""
        edits = sum(self.edits[kind] for kind in kinds)
        return (
            sum(self.found[kind] for kind in kinds) / edits if edits else float("nan")
        )


def is_found(edit: Box, boxes: Sequence[Box]) -> bool:
    """Whether at least half of the edit is covered by boxes of sane size."""
    covered = np.zeros((edit.y + edit.height, edit.x + edit.width), np.bool_)
    for box in boxes:
        if box.area <= SANE * edit.grown(HALF_WINDOW).area:
            covered[box.window] = True
    return bool(covered[edit.window].sum() * 2 >= edit.area)


def pairs(
    half: str, short: bool = False, nuisances: dict[str, Nuisance] = NUISANCES
) -> Iterator[tuple[str, Picture, Picture, Truth]]:
    """Every (nuisance, first, second, truth): each base unedited, edited, disturbed."""
    names = list(BASES[half])[:: 4 if short else 1]
    for name in names:
        base = BASES[half][name]()
        truths = [edited(name, base, i) for i in range(1 if short else EDITED_PICTURES)]
        for number, truth in enumerate([Truth(base, []), *truths]):
            for nuisance, disturb in nuisances.items():
                second = disturb(truth.picture, random_of(name, number, nuisance))
                yield nuisance, base, second, truth


def measure(
    detectors: dict[str, Detector], half: str, short: bool = False
) -> dict[tuple[str, str], Score]:
    """The score of every (detector, nuisance)."""
    scores: dict[tuple[str, str], Score] = defaultdict(Score)
    for nuisance, first, second, truth in pairs(half, short):
        for name, detector in detectors.items():
            scores[name, nuisance].add(detector(first, second), truth.edits)
    return scores


def tables(scores: dict[tuple[str, str], Score]) -> str:
    """The scores as text: a row a nuisance, then a row a kind of edit."""
    detectors = list(dict.fromkeys(detector for detector, _ in scores))
    nuisances = list(dict.fromkeys(nuisance for _, nuisance in scores))
    gray_kinds = [kind for kind, edit in EDITS.items() if edit.in_gray]
    wide = f"{'':15}" + "".join(f"{name:^34}" for name in detectors)
    lines = [
        wide,
        f"{'nuisance':15}" + "   false boxes  in gray   all edits" * len(detectors),
    ]
    for nuisance in nuisances:
        cells = ""
        for detector in detectors:
            score = scores[detector, nuisance]
            recalls = score.recall(gray_kinds), score.recall(list(EDITS))
            cells += f"{score.false_rate():14.2f}" + "".join(
                f"{value:10.3f}" for value in recalls
            )
        lines.append(f"{nuisance:15}{cells}")
    lines += [
        "",
        wide,
        f"{'kind of edit':15}" + f"{'none':>14}{'others':>20}" * len(detectors),
    ]
    for kind in EDITS:
        cells = ""
        for detector in detectors:
            alone = scores[detector, "none"]
            found = [scores[detector, name] for name in nuisances if name != "none"]
            edits, hits = (
                sum(s.edits[kind] for s in found),
                sum(s.found[kind] for s in found),
            )
            cells += f"{alone.recall([kind]):14.3f}{hits / max(1, edits):20.3f}"
        lines.append(f"{kind:15}{cells}")
    return "\n".join(lines)


# -------------------------------------------------------- scores of pictures that moved

PERSPECTIVE: dict[str, Any] = {"align": "perspective"}
ELASTIC: dict[str, Any] = {"align": "elastic", "tolerance": 2}
BOARDS: dict[str, Any] = {**ELASTIC, "threshold": 0.65, "merge": 6}
GRAY_KINDS = [*(kind for kind, edit in EDITS.items() if edit.in_gray), *DEFECTS]


def registered(
    first: Picture, second: Picture, recipe: dict[str, Any]
) -> tuple[list[Box], Matrix | None]:
    """The boxes of `image_diff` with these options, and its transform or None."""
    try:
        comparison = image_diff.compare_images(
            first, second, image_diff.Options(**recipe)
        )
    except image_diff.ImageDiffError:
        return [], None
    boxes = [
        Box(region.x, region.y, region.width, region.height)
        for region in comparison.regions
    ]
    alignment = comparison.alignment
    return boxes, None if alignment is None else np.array(alignment.transform)


def resized(picture: Picture, size: Size) -> Picture:
    """Scaled to a size, as the tutorial needs it of pictures of different sizes."""
    if picture.shape[1::-1] == size:
        return picture
    how = cv2.INTER_AREA if picture.shape[1] > size[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, size, interpolation=how).astype(np.uint8)


def transform_error(found: Matrix, matrix: Matrix, size: Size) -> float:
    """The RMS, in pixels, of how far from them the first picture's corners come back.

    found: of the second picture's pixels to the first's; matrix: the truth, the other
    way.
    """
    corners = [*product((0.0, size[0] - 1.0), (0.0, size[1] - 1.0))]
    return float(
        np.sqrt(((mapped(found @ matrix, corners) - corners) ** 2).sum(axis=1).mean())
    )


@dataclass
class Moved(Score):
    """A score, and what moved pictures have; `untouched`: boxes of unedited ones."""

    untouched: int = 0
    refused: int = 0
    errors: list[float] = field(default_factory=list)

    def __add__(self, other: "Moved") -> "Moved":
        """The counts of both."""
        total = Moved(
            **{name: getattr(self, name) + getattr(other, name) for name in SUMS}
        )
        for kind in {**self.edits, **other.edits}:
            total.edits[kind] = self.edits[kind] + other.edits[kind]
            total.found[kind] = self.found[kind] + other.found[kind]
        return total


SUMS = "pictures", "false_boxes", "untouched", "refused", "errors"
MovedScores = dict[tuple[str, str], Moved]  # by detector and row


class Job(NamedTuple):
    """The part of the measure that one process takes: a base in all rows of a table."""

    half: str
    name: str
    edited: int  # pictures
    rows: str  # a key of TABLES


TABLES: dict[
    str, tuple[dict[str, Geometry], dict[str, Any], bool]
] = {  # geometry, options, drawn
    "rigid, photos and pages": (RIGID, PERSPECTIVE, False),
    "rigid, line art": (RIGID, PERSPECTIVE, True),
    "smooth, photos and pages": ({"warp 3": SMOOTH["warp 3"]}, ELASTIC, False),
    "smooth, line art": ({"warp 3": SMOOTH["warp 3"]}, ELASTIC, True),
}


def measure_moved(job: Job) -> MovedScores:
    """The scores of one base; "still" is ours where nothing moved, unregistered."""
    geometries, recipe, is_drawn = TABLES[job.rows]
    if is_drawn:
        subject = drawn(job.half, job.name, [3] * job.edited)
    else:
        subject = pictured(job.half, job.name, job.edited)
    size = subject.first.shape[1], subject.first.shape[0]
    scores: MovedScores = defaultdict(Moved)
    for number, truth in enumerate(subject.truths):
        still = subject.see(truth, moved(size, 0, 0))
        scores["still", ""].add(ours()(subject.first, still), truth.edits)
        for name, geometry in geometries.items():
            warp = geometry(size, random_of(job.name, number, name))
            clean = subject.see(truth, warp)
            edits = [
                (kind, box)
                for kind, box in truth.edits
                if warp.shows(box.grown(HALF_WINDOW))
            ]
            lost = [edit for edit in truth.edits if edit not in edits]
            jpeg = coded(clean, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 85)
            for row, second in ((name, clean), (f"{name}, JPEG 85", jpeg)):
                boxes, transform = registered(subject.first, second, recipe)
                score = scores["ours", row]
                score.add(boxes, edits, lost)
                score.refused += transform is None
                score.untouched += 0 if truth.edits else len(boxes)
                if transform is not None and warp.matrix is not None:
                    score.errors.append(transform_error(transform, warp.matrix, size))
                scores["article", row].add(
                    article(subject.first, resized(second, size)), edits, lost
                )
    return dict(scores)


def in_processes(
    work: Callable[[Any], Any], jobs: Sequence[Any], processes: int
) -> list[Any]:
    """The result of every job, in their order, each computed in one thread."""
    if processes == 1:
        return [work(job) for job in jobs]
    with ProcessPoolExecutor(
        processes, initializer=cv2.setNumThreads, initargs=(1,)
    ) as executor:
        return list(executor.map(work, jobs))


def add_up(
    results: Sequence[dict[Any, Any]], zero: Callable[[], Any]
) -> dict[Any, Any]:
    """One result in place of several: what stands under each key, added in order."""
    totals: dict[Any, Any] = defaultdict(zero)
    for result in results:
        for key, value in result.items():
            totals[key] += value
    return totals


def total_moved(table: str, half: str, short: bool, processes: int) -> MovedScores:
    """The scores of a table over all its bases."""
    names = list((LINE_ART if TABLES[table][2] else BASES)[half])[:: 12 if short else 1]
    jobs = [Job(half, name, 1 if short else EDITED_PICTURES, table) for name in names]
    return add_up(in_processes(measure_moved, jobs, processes), Moved)


def geometry_tables(half: str, short: bool, processes: int) -> Iterator[str]:
    """The scores of each table as text, as soon as it is measured: a row a nuisance."""
    for table, (_, recipe, _) in TABLES.items():
        scores = total_moved(table, half, short, processes)
        still = scores["still", ""].recall(GRAY_KINDS)
        options = " ".join(f"--{name} {value}" for name, value in recipe.items())
        lines = [
            f"{table}; ours: {options}; "
            f"where nothing moved and without: recall {still:.3f}"
        ]
        lines += [f"{'':24}{'article':^16}{'ours':^54}"]
        lines += [
            f"{'nuisance':24}   false  recall   false  untouched  recall   ratio"
            "  RMS px median     max  refused"
        ]
        for detector, row in scores:
            if detector != "ours":
                continue
            theirs, score = scores["article", row], scores["ours", row]
            errors = score.errors or [math.nan]
            recall = score.recall(GRAY_KINDS)
            lines.append(
                f"{row:24}{theirs.false_rate():8.2f}{theirs.recall(GRAY_KINDS):8.3f}"
                f"{score.false_rate():8.2f}{score.untouched:11}"
                f"{recall:8.3f}{recall / still:8.3f}"
                f"{np.median(errors):15.3f}{max(errors):8.3f}{score.refused:9}"
            )
        yield "\n".join([*lines, ""])


# -------------------------------------------------------- scores of boards with defects

LOOSE = 6  # pixels by which people draw a box larger than the defect
LEAST_OVERLAP = 0.33
DEFECT_COUNT = 3, 10
SPOILED_PICTURES = 4  # of every piece of line art


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0, across) * max(0, down)
    return shared / (one.area + other.area - shared)


def pair_off(found: Sequence[Box], true: Sequence[Box]) -> list[int]:
    """The numbers of the true boxes that are found: one to one, best overlaps first."""
    overlaps = [
        (overlap(found[i], true[j]), i, j) for i, j in np.ndindex(len(found), len(true))
    ]
    pairs: dict[int, int] = {}
    for share, i, j in sorted(overlaps, reverse=True):
        if share > LEAST_OVERLAP and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return sorted(pairs.values())


@dataclass
class Detection:
    """Counts of boxes: `true` and `hits` by kind of defect."""

    found: int = 0
    true: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)

    def add(self, found: Sequence[Box], defects: Sequence[tuple[str, Box]]) -> None:
        """Count one picture."""
        self.found += len(found)
        self.true.update(kind for kind, _ in defects)
        hits = pair_off(found, [box.grown(LOOSE) for _, box in defects])
        self.hits.update(defects[number][0] for number in hits)

    def __add__(self, other: "Detection") -> "Detection":
        """The counts of both."""
        return Detection(
            self.found + other.found, self.true + other.true, self.hits + other.hits
        )

    @property
    def precision(self) -> float:
        """The share of the boxes found that are true."""
        return self.hits.total() / max(1, self.found)

    @property
    def recall(self) -> float:
        """The share of the true boxes that are found."""
        return self.hits.total() / max(1, self.true.total())

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.hits.total() / max(1, self.found + self.true.total())


Detections = dict[tuple[str, str], Detection]  # by detector and row


def inspect(first: Picture, second: Picture) -> list[Box]:
    """The boxes of `image_diff` with the recipe for boards."""
    return registered(first, second, BOARDS)[0]


INSPECTORS: dict[str, Detector] = {"article": article, "ours": inspect}


def measure_boards(
    job: tuple[str, str, int], detectors: dict[str, Detector] = INSPECTORS
) -> Detections:
    """The detections on so many spoiled copies of one piece of line art."""
    half, name, copies = job
    kind = "boards" if "board" in name else "drawings"
    least, most = DEFECT_COUNT
    counts = random_of(name, "counts").integers(least, most + 1, copies)
    subject = drawn(half, name, [int(count) for count in counts])
    size = subject.first.shape[1], subject.first.shape[0]
    scores: Detections = defaultdict(Detection)
    for number, truth in enumerate(subject.truths[1:]):
        for drift, warp in SMOOTH.items():
            second = subject.see(truth, warp(size, random_of(name, number, drift)))
            row = f"{kind}, {drift}"
            for detector, find in detectors.items():
                scores[detector, row].add(find(subject.first, second), truth.edits)
    return dict(scores)


def board_tables(half: str, short: bool, processes: int) -> str:
    """The detections as text: a row a kind of art and drift, then a kind of defect."""
    names = list(LINE_ART[half])[:: 4 if short else 1]
    jobs = [(half, name, 1 if short else SPOILED_PICTURES) for name in names]
    scores: Detections = add_up(
        in_processes(measure_boards, jobs, processes), Detection
    )
    rows = list(dict.fromkeys(row for _, row in scores))
    for detector in INSPECTORS:
        for group in ("boards", "drawings", ""):
            within = (scores[detector, row] for row in rows if row.startswith(group))
            scores[detector, f"{group or 'both'}, all"] = sum(within, Detection())
    lines = [f"{'':20}" + "".join(f"{name:^27}" for name in INSPECTORS)]
    lines += [f"{'':20}" + "  precision   recall     F1" * 2]
    for row in (*rows, "boards, all", "drawings, all", "both, all"):
        cells = ""
        for detector in INSPECTORS:
            score = scores[detector, row]
            cells += f"{score.precision:11.3f}{score.recall:9.3f}{score.f1:7.3f}"
        lines.append(f"{row:20}{cells}")
    lines += ["", f"{'recall of':20}{'article':>11}{'ours':>9}{'of':>7}"]
    for kind in DEFECTS:
        both = [scores[name, "both, all"] for name in INSPECTORS]
        shares = [score.hits[kind] / max(1, score.true[kind]) for score in both]
        lines.append(
            f"{kind:20}{shares[0]:11.3f}{shares[1]:9.3f}{both[0].true[kind]:7}"
        )
    return "\n".join(lines)


# ---------------------------------------------------- parts that moved, taken for drift

PART_SIZES = 10, 20, 40, 80, 160  # pixels a side
PART_STEPS = 2, 4, 6  # pixels by which a part has moved
PARTS = 3  # of every fourth base, of every size and step
# Whether boxed, by size, step and tolerance.
Parts = dict[tuple[int, int, float], Counter[bool]]


def measure_parts(job: tuple[str, str, int]) -> Parts:
    """Squares of one base that moved sideways, and whether elastic shows them."""
    half, name, parts = job
    base = BASES[half][name]()
    found: Parts = defaultdict(Counter)
    for size in PART_SIZES:
        for step in PART_STEPS:
            random = random_of(name, "parts", size, step)
            for _ in range(parts if size + 40 < min(base.shape[:2]) else 0):
                x = int(random.integers(20, base.shape[1] - size - 19))
                y = int(random.integers(20, base.shape[0] - size - 19))
                part = Box(x, y, size, size)
                moved = base.copy()
                moved[part.window] = base[part._replace(x=x - step).window]
                if cv2.absdiff(moved, base)[part.window].mean() < 8:
                    continue  # nothing that an eye would see
                for tolerance in (0, 2):
                    recipe = {"align": "elastic", "tolerance": tolerance}
                    boxes, _ = registered(base, moved, recipe)
                    seen = any(box.touches(part) for box in boxes)
                    found[size, step, tolerance][seen] += 1
    return dict(found)


def part_tables(half: str, short: bool, processes: int) -> str:
    """The shares found as text: a row a size, a column a step and tolerance."""
    names = list(BASES[half])[:: 12 if short else 4]
    jobs = [(half, name, 1 if short else PARTS) for name in names]
    found: Parts = add_up(in_processes(measure_parts, jobs, processes), Counter)
    columns = [(step, tolerance) for tolerance in (0, 2) for step in PART_STEPS]
    heads = "".join(
        f"{f'moved {step}, tolerance {reach}':>22}" for step, reach in columns
    )
    lines = [f"{'size of the part':18}{heads}"]
    for size in PART_SIZES:
        cells = ""
        for step, tolerance in columns:
            counts = found[size, step, tolerance]
            cells += (
                f"{counts[True] / max(1, counts.total()):16.2f} of {counts.total():2}"
            )
        lines.append(f"{f'{size} x {size}':18}{cells}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description="Recall and false boxes on pictures of known truth."
    )
    parser.add_argument("--half", choices=list(BASES), default="dev")
    parser.add_argument(
        "--short", action="store_true", help="few pictures: seconds, not minutes"
    )
    measures = parser.add_mutually_exclusive_group()
    measures.add_argument("--gray", action="store_true", help="ours with --gray")
    measures.add_argument(
        "--geometry", action="store_true", help="moved and warped pictures"
    )
    measures.add_argument(
        "--boards", action="store_true", help="line art with small defects"
    )
    measures.add_argument(
        "--parts", action="store_true", help="what elastic takes for drift"
    )
    options = parser.parse_args(argv)
    if options.parts:
        print(part_tables(options.half, options.short, os.cpu_count() or 1))
        return 0
    if options.geometry:
        for table in geometry_tables(options.half, options.short, os.cpu_count() or 1):
            print(table, flush=True)
        return 0
    if options.boards:
        print(board_tables(options.half, options.short, os.cpu_count() or 1))
        return 0
    name = "ours --gray" if options.gray else "ours"
    detectors = {"article": article, name: ours(options.gray)}
    print(tables(measure(detectors, options.half, options.short)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
