"""Pictures of known truth: bases in two halves that share none, edits, nuisances.

Every picture follows from the names of its base, edit and nuisance alone.
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import checkout

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
            around = place.grown(8).window  # an ellipse reaches a pixel over its box
            before = truth.picture[around].copy()
            edit.draw(truth.picture, place, random)
            box = changed(base, truth.picture, place)
            if (
                min(box.width, box.height) >= 6
                and least_change(base, truth.picture, box, edit.in_gray) >= edit.visible
            ):
                truth.edits.append((kind, box))
                break
            truth.picture[around] = before
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

# ------------------------------------------------------------------------------- found

HALF_WINDOW = 3  # by which a 7x7 window spreads a change
SANE = 4  # times the edit's grown box: a larger box says nothing of where the edit is


def is_found(edit: Box, boxes: Sequence[Box]) -> bool:
    """Whether at least half of the edit is covered by boxes of sane size."""
    covered = np.zeros((edit.y + edit.height, edit.x + edit.width), np.bool_)
    for box in boxes:
        if box.area <= SANE * edit.grown(HALF_WINDOW).area:
            covered[box.window] = True
    return bool(covered[edit.window].sum() * 2 >= edit.area)
