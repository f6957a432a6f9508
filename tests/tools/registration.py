"""How many pairs are registered rightly, wrongly, or not at all, where that is known.

    python tests/tools/registration.py [--half dev|held-out] [--elastic] [--short]
    python tests/tools/registration.py --speed

pictures -> photographed, or paired with others -> registered -> right, wrong, refused

A pair of the same thing is to be registered within `NEAR` pixels, one of different
things refused. Of two forms or cards of one layout either is right, and a transform
that lays the layouts elsewhere is wrong. With --elastic the second picture drifts by
`DRIFT` pixels on top, which the transform may be off by. Constants are chosen on the
`dev` half alone. Every picture follows from its names.
"""

import argparse
import itertools
import math
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import detection
import geometry
import image_diff
import truth
from geometry import Matrix, Size, Warp
from truth import Picture, Random

NEAR = 3.0  # pixels, RMS at the corners: beyond, edges come out as differences
DRIFT = 3.0  # pixels, at most
SHEET = 560, 720  # width and height of forms
CARD = 600, 380
LAYOUTS = 4  # of forms, cards and sheets of frames, a half
COPIES = 3  # pictures with one layout


class Pair(NamedTuple):
    """Two pictures, and how the second was made of the first."""

    kind: str
    name: str
    first: Picture
    second: Picture
    matrix: Matrix | None  # of the first's pixels to the second's; None: of nothing


# ----------------------------------------------------------------------------- pictures


def words(random: Random, count: int) -> str:
    """So many words at random."""
    return " ".join(str(word) for word in random.choice(truth.TEXT.split(), count))


def form(layout: str, number: int) -> Picture:
    """A printed form, filled in by hand: boxes and labels follow from the layout."""
    random = truth.random_of("form", layout)
    hand = truth.random_of("form", layout, number)
    page = Image.new("RGB", SHEET, "white")
    draw = ImageDraw.Draw(page)
    title, small = ImageFont.load_default(26), ImageFont.load_default(11)
    draw.text((30, 24), words(random, 3).title(), "black", title)
    y = 80
    while y < SHEET[1] - 60:
        height = int(random.integers(30, 60))
        columns = int(random.integers(1, 4))
        width = (SHEET[0] - 60) // columns
        for column in range(columns):
            x = 30 + column * width
            draw.rectangle((x, y, x + width, y + height), outline="black")
            draw.text((x + 4, y + 2), words(random, 2), "black", small)
            ink = ImageFont.load_default(int(hand.integers(14, 20)))
            draw.text((x + 12, y + 12), words(hand, columns % 3 + 1), "#203080", ink)
        y += height
    return np.asarray(page)[:, :, ::-1].copy()


def card(layout: str, number: int) -> Picture:
    """A card of a game: the frame follows from the layout, what is on it does not."""
    frame = truth.random_of("card", layout)
    random = truth.random_of("card", layout, number)
    paper, edge, bar = (f"#{value:06x}" for value in frame.integers(0, 2**24, 3))
    page = Image.new("RGB", CARD, paper)
    draw = ImageDraw.Draw(page)
    draw.rounded_rectangle((8, 8, CARD[0] - 9, CARD[1] - 9), 16, None, edge, 4)
    draw.rectangle((24, 24, CARD[0] - 25, 64), bar)
    draw.text((34, 30), words(random, 2).title(), "white", ImageFont.load_default(26))
    box = truth.Box(330, 90, 240, 200)
    truth.text(draw, box, 15, "white", random)
    draw.text((34, 340), words(frame, 4), edge, ImageFont.load_default(16))
    shapes = random.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    picture = np.asarray(page)[:, :, ::-1].copy()
    size = 280, 220
    picture[90:310, 30:310] = cv2.resize(shapes, size, interpolation=cv2.INTER_CUBIC)
    return picture


def frames(layout: str, number: int) -> Picture:
    """Equal frames in rows and columns, with other words in each.

    No two layouts have as many columns.
    """
    inside = truth.random_of("frames", layout, number)
    across = 3 + int(layout.split()[-1])
    down = int(truth.random_of("frames", layout).integers(3, 7))
    page = Image.new("RGB", (640, 480), "#f4f4f0")
    draw = ImageDraw.Draw(page)
    width, height = 640 // across, 480 // down
    for row, column in itertools.product(range(down), range(across)):
        x, y = column * width, row * height
        draw.rounded_rectangle(
            (x + 6, y + 6, x + width - 6, y + height - 6), 8, "white", "#446688", 2
        )
        draw.rectangle((x + 14, y + 14, x + width - 14, y + 26), "#446688")
        draw.text(
            (x + 14, y + 32), words(inside, 1), "black", ImageFont.load_default(13)
        )
    return np.asarray(page)[:, :, ::-1].copy()


Layout = Callable[[str, int], Picture]
LAYOUT_KINDS: dict[str, Layout] = {"forms": form, "cards": card, "frames": frames}


def single_pictures(half: str) -> dict[str, Picture]:
    """Photos, pages, screens and line art, by name."""
    pictures = {name: base() for name, base in truth.BASES[half].items()}
    for name, draw in detection.LINE_ART[half].items():
        art = draw()
        pictures[name] = art.scan(art.ink)
    return pictures


# --------------------------------------------------------------------------- seen again


def seen_from(size: Size, random: Random) -> Warp:
    """By hand from anywhere: turned, nearer or farther, with the corners off."""
    scale = float(np.exp(random.uniform(-0.6, 0.6)))
    angle = float(random.normal(0, 12)) + 90 * int(random.choice([0, 0, 0, 1, 2]))
    turned = geometry.about_centre(size, angle, scale).matrix
    tilted = geometry.tilted(size, random).matrix
    assert turned is not None
    assert tilted is not None
    canvas = round(1.2 * scale * size[0]), round(1.2 * scale * size[1])
    centre = np.eye(3)
    centre[:2, 2] = (canvas[0] - size[0]) / 2, (canvas[1] - size[1]) / 2
    return Warp(canvas, centre @ turned @ tilted)


def photographed(picture: Picture, warp: Warp, random: Random) -> Picture:
    """Under a light from one side, a little out of focus, with noise, as JPEG."""
    ground = np.full(3, float(random.integers(60, 200)))
    seen = warp.render(picture, ground)
    blurred = cv2.GaussianBlur(seen, (0, 0), float(random.uniform(0.3, 1.2)))
    left, right = (float(level) for level in random.uniform(0.7, 1.1, 2))
    light = np.linspace(left, right, seen.shape[1])
    lit = truth.rounded(blurred * light[None, :, None])
    noisy = truth.noise(lit, random.uniform(1, 4), random)
    quality = int(random.integers(70, 96))
    return truth.coded(noisy, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)


def again(kind: str, name: str, first: Picture, other: Picture) -> Pair:
    """A pair of the first picture, and another on its layout photographed."""
    random = truth.random_of(kind, name)
    warp = seen_from((first.shape[1], first.shape[0]), random)
    return Pair(kind, name, first, photographed(other, warp, random), warp.matrix)


def drifted(pair: Pair) -> Pair:
    """The pair with a second picture that drifts on top."""
    height, width = pair.second.shape[:2]
    random = truth.random_of("drift", pair.kind, pair.name)
    warp = geometry.smooth((width, height), random, DRIFT)
    return pair._replace(second=warp.render(pair.second, 255))


def pairs(half: str, short: bool = False) -> Iterator[Pair]:
    """All pairs of a half, and every fourth of those of different pictures.

    In short those of a few pictures.
    """
    every, count = (16, 1) if short else (1, LAYOUTS)
    singles = dict(itertools.islice(single_pictures(half).items(), 0, None, every))
    for name, picture in singles.items():
        changed = truth.edited(name, picture, 0).picture
        yield again("the same, photographed", name, picture, changed)
    names = itertools.combinations(singles, 2)
    for one, other in itertools.islice(names, 0, None, 4):
        name = f"{one}, {other}"
        yield Pair("different", name, singles[one], singles[other], None)
    for kind, draw in LAYOUT_KINDS.items():
        layouts = [f"{half} {number}" for number in range(count)]
        for layout in layouts:
            first = draw(layout, 0)
            yield again(f"the same {kind}", layout, first, first)
            for number in range(1, COPIES):
                name = f"{layout}, {number}"
                yield again(f"{kind} of one layout", name, first, draw(layout, number))
        for one, other in itertools.permutations(layouts, 2):
            name = f"{one}, {other}"
            yield Pair(f"different {kind}", name, draw(one, 0), draw(other, 1), None)


# ------------------------------------------------------------------------------- scores


@dataclass
class Score:
    """What became of the pairs of a kind."""

    right: int = 0
    refused: int = 0
    wrong: int = 0
    errors: list[float] = field(default_factory=list)  # of those accepted, in pixels


def error_of(pair: Pair, align: str) -> float | None:
    """By how many pixels a pair is registered wrongly; None where it is refused."""
    height, width = pair.first.shape[:2]
    first, second = image_diff.to_bgr(pair.first), image_diff.to_bgr(pair.second)
    try:
        _, _, alignment = image_diff.register(first, second, align)
    except image_diff.ImageDiffError:
        return None
    if pair.matrix is None:
        return math.inf
    found = np.array(alignment.transform)
    return detection.transform_error(found, pair.matrix, (width, height))


def measure(half: str, elastic: bool, short: bool) -> dict[str, Score]:
    """The scores of a half by kind of pair."""
    scores: dict[str, Score] = defaultdict(Score)
    align = "elastic" if elastic else "perspective"
    near = NEAR + DRIFT if elastic else NEAR
    for pair in pairs(half, short):
        is_seen_again = pair.matrix is not None
        error = error_of(drifted(pair) if elastic and is_seen_again else pair, align)
        score = scores[pair.kind]
        if error is None:
            score.refused += 1
        elif error < near:
            score.right += 1
            score.errors.append(error)
        else:
            score.wrong += 1
    return scores


def table(scores: dict[str, Score]) -> str:
    """The scores as text."""
    lines = [f"{'pairs':28}{'right':>8}{'refused':>9}{'wrong':>7}{'median error':>14}"]
    for kind, score in scores.items():
        error = f"{np.median(score.errors):14.3f}" if score.errors else ""
        counts = f"{score.right:8}{score.refused:9}{score.wrong:7}"
        lines.append(f"{kind:28}{counts}{error}")
    return "\n".join(lines)


# -------------------------------------------------------------------------------- speed

LARGE = 3840, 2160  # pixels
ROUNDS = 3


def large_pair() -> Pair:
    """All pictures of the half side by side on 4K, and seen again with noise."""
    random = truth.random_of("large")
    pictures = itertools.cycle(single_pictures("dev").values())
    sheet = np.full((LARGE[1], LARGE[0], 3), 255, np.uint8)
    for top, left in itertools.product(
        range(0, LARGE[1], 540), range(0, LARGE[0], 640)
    ):
        picture = next(pictures)[:540, :640]
        height, width = picture.shape[:2]
        part = sheet[top : top + height, left : left + width]
        part[:] = picture[: part.shape[0], : part.shape[1]]
    matrix = np.array([[1.01, 0.02, -20], [-0.015, 0.99, 15], [3e-6, -2e-6, 1]])
    seen = cv2.warpPerspective(sheet, matrix, LARGE, flags=cv2.INTER_CUBIC)
    noisy = truth.noise(seen.astype(np.uint8), 2, random)
    return Pair("large", "", sheet, noisy, matrix)


def speed(short: bool) -> str:
    """The least processor time of a whole process, and by how much it is off.

    In short of a corner of the pictures, once.
    """
    pair, rounds = large_pair(), 1 if short else ROUNDS
    if short:
        corner = slice(540), slice(960)
        pair = pair._replace(first=pair.first[corner], second=pair.second[corner])
    lines = [f"{'--align':14}{'seconds':>10}{'error in pixels':>18}"]
    with tempfile.TemporaryDirectory() as folder:
        paths = [f"{folder}/{name}.png" for name in ("first", "second")]
        for path, picture in zip(paths, (pair.first, pair.second), strict=True):
            cv2.imwrite(path, picture)
        for align in ("none", "perspective", "elastic"):
            program = str(truth.ROOT / "image_diff.py")
            command = [sys.executable, program, *paths, "--align", align, "--no-window"]
            spent = []
            for _ in range(rounds):
                before = os.times()
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                after = os.times()
                user = after.children_user - before.children_user
                spent.append(user + after.children_system - before.children_system)
            error = None if align == "none" else error_of(pair, align)
            told = "" if error is None else f"{error:18.4f}"
            lines.append(f"{align:14}{min(spent):10.2f}{told}")
    return "\n".join(lines)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description="Registration, right or refused.")
    parser.add_argument("--half", choices=list(truth.BASES), default="dev")
    parser.add_argument("--elastic", action="store_true", help="--align elastic")
    parser.add_argument("--short", action="store_true", help="of a few pictures")
    parser.add_argument("--speed", action="store_true", help="of a 4K pair")
    options = parser.parse_args()
    if options.speed:
        print(speed(options.short))
        return 0
    print(table(measure(options.half, options.elastic, options.short)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
