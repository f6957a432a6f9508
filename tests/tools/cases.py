"""A case: two pictures, what is changed between them, and when an answer is right.

Faces and scenes come in two halves that share none, as the bases of `truth` do.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from truth import (
    HALF_WINDOW,
    SANE,
    TRIES,
    Box,
    Picture,
    Random,
    changed,
    least_change,
    rounded,
)

# ------------------------------------------------------------------------------- answer


class Verdict(NamedTuple):
    """What is wrong with the boxes of a case; right where both are empty."""

    missed: list[Box]  # changes
    elsewhere: list[Box]  # boxes that show no change

    @property
    def right(self) -> bool:
        """Whether every change is found, and nothing else."""
        return not self.missed and not self.elsewhere


def hit(case: "Case", boxes: Sequence[Box]) -> Verdict:
    """Every change is touched by a box of sane size, and every box touches a change."""
    grown = [change.grown(HALF_WINDOW) for change in case.changes]
    missed = [
        change
        for change, wide in zip(case.changes, grown, strict=True)
        if not any(box.touches(wide) and box.area <= SANE * wide.area for box in boxes)
    ]
    elsewhere = [
        box
        for box in boxes
        if box.area > SANE * sum(wide.area for wide in grown if box.touches(wide))
    ]
    return Verdict(missed, elsewhere)


def covered(case: "Case", boxes: Sequence[Box]) -> Verdict:
    """Half of each change's pixels are in boxes, and every box has changed pixels.

    For changes that are no compact thing, as a ground or a border, in pictures that are
    equal everywhere else.
    """
    change = (case.first != case.second).reshape(*case.first.shape[:2], -1).any(axis=2)
    boxed = np.zeros(change.shape, np.bool_)
    for box in boxes:
        boxed[box.window] = True
    missed = [
        box
        for box in case.changes
        if 2 * (change & boxed)[box.window].sum() < change[box.window].sum()
    ]
    elsewhere = [
        box for box in boxes if not change[box.grown(HALF_WINDOW).window].any()
    ]
    return Verdict(missed, elsewhere)


def one_each(case: "Case", boxes: Sequence[Box]) -> Verdict:
    """As many boxes as changes: each change has one box, and each box one change."""
    touching = [[box.touches(change) for change in case.changes] for box in boxes]
    missed = [
        change
        for number, change in enumerate(case.changes)
        if sum(row[number] for row in touching) != 1
    ]
    elsewhere = [box for box, row in zip(boxes, touching, strict=True) if sum(row) != 1]
    return Verdict(missed, elsewhere)


Judge = Callable[["Case", Sequence[Box]], Verdict]


@dataclass(frozen=True)
class Case:
    """Two pictures of any depth; the boxes of all that is really changed."""

    first: NDArray[Any]
    second: NDArray[Any]
    changes: Sequence[Box] = ()
    judge: Judge = hit
    options: dict[str, Any] = field(default_factory=dict)  # of image_diff


class Recipe(NamedTuple):
    """A case that is not drawn yet: the row of the table it counts in, and its name."""

    row: str
    name: str
    draw: Callable[[], Case]


# ------------------------------------------------------------------------------- halves

FACES = {  # by half: package and file; two without serifs and one with them
    "dev": (
        ("font-roboto", "Roboto-Regular.ttf"),
        ("font-source-sans-pro", "SourceSansPro-Regular.ttf"),
        ("font-source-serif-pro", "SourceSerifPro-Regular.ttf"),
    ),
    "held-out": (
        ("ttf-opensans", "OpenSans-Regular.ttf"),
        ("font-lato", "Lato-Regular.ttf"),
        ("font-caladea", "Caladea-Regular.ttf"),
    ),
}
SCENES = {  # by half: photographs that come inside the scikit-image wheel
    "dev": (
        "astronaut.png",
        "camera.png",
        "coins.png",
        "motorcycle_left.png",
        "rocket.jpg",
    ),
    "held-out": (
        "chelsea.png",
        "clock_motion.png",
        "coffee.png",
        "ihc.png",
        "retina.jpg",
    ),
}
LONGER_SIDE = {"dev": 480, "held-out": 440}  # pixels of a scene


class MissingFontError(Exception):
    """A package with a face is not installed."""


@cache
def face_file(package: str, file: str) -> Path:
    """The path of a face that a package from PyPI has; MissingFontError without it."""
    spec = importlib.util.find_spec(package.replace("-", "_"))
    for folder in (spec and spec.submodule_search_locations) or ():
        for path in Path(folder).rglob(file):
            return path
    every = " ".join(name for half in FACES.values() for name, _ in half)
    raise MissingFontError(
        f"{file} is missing; the cases are drawn in faces of these packages: "
        f"pip install {every}"
    )


@cache
def font(half: str, face: int, size: float) -> ImageFont.FreeTypeFont:
    """One of the three faces of a half."""
    return ImageFont.truetype(face_file(*FACES[half][face]), size)


@cache
def scene(half: str, name: str) -> Picture:
    """A photograph, reduced (averaging) to the size of its half."""
    path = Path(skimage.__file__).parent / "data" / name
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(path)
    scale = min(1, LONGER_SIDE[half] / max(picture.shape[:2]))
    return rounded(
        cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    )


# ------------------------------------------------------------------- something is added


def add_word(picture: Picture, box: Box, half: str, random: Random) -> None:
    """A word in black or white, whichever stands out."""
    patch = Image.fromarray(picture[box.window][:, :, ::-1])
    ink = "black" if picture[box.window].mean() > 127 else "white"
    word = str(random.choice(["SOLD", "2,750", "draft", "No. 7", "closed"]))
    face = font(half, int(random.integers(3)), box.height * 0.75)
    ImageDraw.Draw(patch).text((1, 0), word, ink, face)
    picture[box.window] = np.asarray(patch)[:, :, ::-1]


def add_object(picture: Picture, box: Box, half: str, random: Random) -> None:
    """A lit ball or a striped block in a colour of its own."""
    across, down = np.meshgrid(
        np.linspace(-1, 1, box.width), np.linspace(-1, 1, box.height)
    )
    colour = random.uniform(20, 235, 3)
    inside = np.ones(across.shape, np.bool_)
    if random.integers(2):
        inside = across**2 + down**2 <= 1
        light: NDArray[Any] = 1.1 - 0.4 * np.hypot(across + 0.3, down + 0.3)
    else:
        light = 0.8 + 0.2 * (np.sin(across * random.uniform(4, 12)) > 0)
    shaded = rounded(light[:, :, None] * colour)
    picture[box.window][inside] = shaded[inside]


def add_piece(picture: Picture, box: Box, half: str, random: Random) -> None:
    """A piece from elsewhere in the picture."""
    x = int(random.integers(picture.shape[1] - box.width))
    y = int(random.integers(picture.shape[0] - box.height))
    picture[box.window] = picture[box._replace(x=x, y=y).window].copy()


ADDED = add_word, add_object, add_piece


def as_drawn(picture: Picture) -> Picture:
    """The picture itself."""
    return picture


def added(
    picture: Picture,
    half: str,
    random: Random,
    visible: float = 12,
    seen: Callable[[Picture], Picture] = as_drawn,
) -> tuple[Picture, Box]:
    """The picture with something new in it, and where.

    visible: the least mean change, in levels of gray, of each quarter of its box, as
    drawn and as it is seen in the end. A gray picture stays gray.
    """
    is_gray = bool((picture == picture[:, :, :1]).all())
    start = int(random.integers(len(ADDED)))
    for attempt in range(TRIES):
        width, height = (int(side) for side in random.integers((28, 20), (64, 44)))
        x = int(random.integers(8, picture.shape[1] - width - 8))
        y = int(random.integers(8, picture.shape[0] - height - 8))
        place = Box(x, y, width, height)
        second = picture.copy()
        ADDED[(start + attempt // 20) % len(ADDED)](second, place, half, random)
        if is_gray:
            second[:] = cv2.cvtColor(second, cv2.COLOR_BGR2GRAY)[:, :, None]
        box = changed(picture, second, place)
        if (
            min(box.width, box.height) >= 10
            and least_change(picture, second, box, True) >= visible
            and least_change(seen(picture), seen(second), box, True) >= visible
        ):
            return second, box
    raise RuntimeError("nothing that is visible can be added to this picture")
