"""Cases of fine things: thin and faint changes, other rendering, parts and pieces."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from camera import noisy
from cases import SCENES, Case, Recipe, add_object, font, one_each, scene
from pages import (
    WORDS,
    Page,
    Text,
    hairline,
    levels,
    luma_of,
    one_digit,
    other_number,
    pages,
    picture_of,
    place_of,
    repainted,
    stepped,
    text_of,
    with_digit,
    written,
)
from truth import (
    TRIES,
    Box,
    Picture,
    Random,
    changed,
    least_change,
    luma,
    random_of,
    remove,
    rounded,
)

# ----------------------------------------------------------------------- thin and faint


def whole_of(picture: NDArray[Any]) -> Box:
    """All of a picture."""
    return Box(0, 0, picture.shape[1], picture.shape[0])


def flat_place(picture: Picture, width: int, height: int, random: Random) -> Box:
    """A place anywhere that is of one colour, with four pixels around it."""
    for _ in range(20 * TRIES):
        x = int(random.integers(6, picture.shape[1] - width - 6))
        y = int(random.integers(6, picture.shape[0] - height - 6))
        box = Box(x, y, width, height)
        around = picture[box.grown(4).window]
        if (around == around[0, 0]).all():
            return box
    raise RuntimeError(f"no flat place of {width}x{height}")


def shaded(picture: Picture, box: Box, step: int) -> Case:
    """A place lighter by a step, or darker where it is light."""
    second = picture.copy()
    way = -step if picture[box.window].mean() > 127 else step
    second[box.window] = rounded(picture[box.window].astype(np.float64) + way)
    return Case(picture, second, [box])


def thin_mark(page: Page, width: int, height: int, step: int) -> Case:
    """A mark of a few levels on flat ground."""
    picture = picture_of(page)
    random = random_of(page.half, page.number, width, height, step)
    return shaded(picture, flat_place(picture, width, height, random), step)


def missing_row(page: Page, line: int) -> Case:
    """A line of the paragraph without that row of its print that has most ink."""
    first = picture_of(page)
    paragraph, step = place_of(page, "paragraph"), page.size * 3 // 2
    place = paragraph._replace(y=paragraph.y + line * step, height=step)
    ground = levels(page.colours.ground)[::-1]
    away = np.abs(luma(first)[place.window] - luma_of(ground[::-1]))
    row = place.y + int((away > 64).sum(axis=1).argmax())
    second = first.copy()
    second[row, place.x : place.x + place.width] = ground
    return Case(first, second, [changed(first, second, place)])


def moved_border(page: Page, side: str) -> Case:
    """One side of the card's border is a pixel farther in."""
    first, card = picture_of(page), place_of(page, "card")
    second = first.copy()
    left, top = card.x, card.y
    right, bottom = left + card.width - 1, top + card.height - 1
    ground = levels(page.colours.ground)[::-1]
    border = levels(page.colours.border)[::-1]
    if side == "left":
        second[top : bottom + 1, left] = ground
        second[top : bottom + 1, left + 1] = border
    elif side == "right":
        second[top : bottom + 1, right] = ground
        second[top : bottom + 1, right - 1] = border
    elif side == "top":
        second[top, left : right + 1] = ground
        second[top + 1, left : right + 1] = border
    else:
        second[bottom, left : right + 1] = ground
        second[bottom - 1, left : right + 1] = border
    return Case(first, second, [changed(first, second, card)])


def scratched(half: str, photo: str, step: int, length: int) -> Case:
    """A scratch of one pixel on a photograph."""
    picture = scene(half, photo)
    random = random_of(half, photo, step, length)
    second = picture.copy()
    x = int(random.integers(20, picture.shape[1] - length - 20))
    y = int(random.integers(40, picture.shape[0] - 40))
    end = x + length, y + int(random.integers(-20, 21))
    inside = np.zeros(picture.shape[:2], np.uint8)
    cv2.line(inside, (x, y), end, 255, 1)
    light = luma(picture)[inside > 0].mean() > 127
    ink = picture[inside > 0].astype(np.float64) + (-step if light else step)
    second[inside > 0] = rounded(ink)
    return Case(picture, second, [changed(picture, second, whole_of(picture))])


def thin_recipes(half: str) -> Iterator[Recipe]:
    """On every page: marks of few pixels and few levels, borders, faint ink."""
    steps = {"dev": (8, 16, 32), "held-out": (10, 20, 40)}[half]
    lengths = {"dev": (20, 90), "held-out": (24, 70)}[half]
    for page in pages(half):
        name = f"page {page.number}"
        for line in (0, 2):
            draw = partial(missing_row, page, line)
            yield Recipe("row of print missing", f"{name}, line {line}", draw)
        for step in steps:
            for length in lengths:
                draw = partial(thin_mark, page, length, 1, step)
                yield Recipe(f"hairline by {step}", f"{name}, {length} across", draw)
            draw = partial(thin_mark, page, 1, 24, step)
            yield Recipe(f"hairline by {step}", f"{name}, 24 down", draw)
            draw = partial(thin_mark, page, 2, 2, step)
            yield Recipe(f"2 x 2 pixels by {step}", name, draw)
            draw = partial(thin_mark, page, 1, 1, 2 * step)
            yield Recipe(f"one pixel by {2 * step}", name, draw)
        for side in ("left", "right", "top", "bottom"):
            draw = partial(moved_border, page, side)
            yield Recipe("border moved by 1 px", f"{name}, {side}", draw)
        for step in (26, 40):  # less is masked by the contrast of print
            draw = partial(repainted, page, ink=stepped(page.colours.ink, step))
            yield Recipe(f"ink by {step}", name, draw)
        for step in (10, *steps[1:]):
            draw = partial(repainted, page, border=stepped(page.colours.border, step))
            yield Recipe(f"border by {step}", name, draw)
    for photo in SCENES[half]:
        for step in (60, 90):
            draw = partial(scratched, half, photo, step, lengths[1])
            yield Recipe(f"scratch by {step}", photo, draw)


# ---------------------------------------------------------------------------- rendering

FINE = 8  # times the size at which letters are drawn, unhinted, and averaged
LCD_FILTER = np.array([8, 77, 86, 77, 8]) / 256  # FreeType's own, in thirds of a pixel


@dataclass(frozen=True)
class Raster:
    """How a machine draws letters."""

    words: float = 0  # pixels by which words are off at most
    letters: float = 0  # the same of letters
    weight: float = 1  # exponent of coverage: below 1 bolder
    lcd: bool = False  # in thirds of a pixel
    hinted: bool = False  # stems and heights on whole pixels, as Pillow draws


@cache
def fine_advance(text: Text, letters: str) -> float:
    """The pixels that letters take, unhinted."""
    return font(text.half, text.face, FINE * text.size).getlength(letters) / FINE


def letters_of(
    text: Text, number: str, raster: Raster, key: str
) -> Iterator[tuple[float, float, str]]:
    """Every letter and where it stands."""
    for i, (x, y, word) in enumerate(text.words):
        random = random_of(text.half, key, i)
        shown = number if i == text.number else word
        start = x + random.uniform(-raster.words, raster.words)
        off = random.uniform(-raster.letters, raster.letters, len(shown))
        for j, letter in enumerate(shown):
            yield start + fine_advance(text, word[:j]) + off[j], y, letter


def coverage(text: Text, number: str, raster: Raster, key: str) -> NDArray[Any]:
    """(H, W, 3) BGR: by how much ink covers a pixel, from 0 to 1."""
    width, height = text.room
    fine = 1 if raster.hinted else FINE
    image = Image.new("L", (fine * width, fine * height))
    draw, kind = ImageDraw.Draw(image), font(text.half, text.face, fine * text.size)
    for x, y, letter in letters_of(text, number, raster, key):
        draw.text((fine * x, fine * y), letter, 255, kind)
    thirds = 3 if raster.lcd else 1
    size = thirds * width, height
    ink: NDArray[Any] = cv2.resize(
        np.asarray(image), size, interpolation=cv2.INTER_AREA
    ).astype(np.float64)
    if raster.lcd:
        ink = cv2.filter2D(ink, -1, LCD_FILTER[None, :])
        ink = ink.reshape(height, width, 3)[:, :, ::-1]
    else:
        ink = np.repeat(ink[:, :, None], 3, axis=2)
    return np.asarray((ink / 255).clip(0, 1) ** raster.weight)


@cache
def rastered(text: Text, number: str, raster: Raster, key: str) -> Picture:
    """The text with this number as such a machine draws it."""
    share = coverage(text, number, raster, key)
    ground, ink = (np.array(levels(c)[::-1]) for c in (text.ground, text.ink))
    return rounded(ground + share * (ink.astype(np.float64) - ground))


RASTERS = {  # first and second machine
    "letters off by 0.3 px": (Raster(), Raster(letters=0.3)),
    "words off by 0.5 px": (Raster(), Raster(words=0.5)),
    "gray beside LCD": (Raster(), Raster(lcd=True)),
    "bolder": (Raster(), Raster(weight=0.75)),
    "hinted": (Raster(), Raster(hinted=True)),
    "another machine": (
        Raster(hinted=True),
        Raster(words=0.3, letters=0.2, weight=0.8),
    ),
}


def rendered(half: str, face: int, size: int, row: str, count: int, what: str) -> Case:
    """One text as two machines draw it, with tolerance."""
    text = text_of(half, face, size, count, "rendering")
    key = f"{row} {face} {size} {count}"
    before, after = RASTERS[row]
    number, random = text.words[text.number][2], random_of(half, key, what)
    new = {
        "nothing": number,
        "number": other_number(number, random),
        "digit": with_digit(number, random),
    }[what]
    first = rastered(text, number, before, "")
    second = rastered(text, new, after, key)
    boxes = []
    if new != number:
        same = rastered(text, number, after, key)
        boxes = [changed(same, second, whole_of(same))]
    return Case(first, second, boxes, options={"tolerance": 1})


MOVED = {  # what is moved, and by how many pixels right and down, in turn
    "word": "number 1",
    "button": "button",
    "text": "paragraph",
    "photo": "hero",
    "icon": "icon 2",
    "card": "card",
}
WAYS = (1, 0), (0, 1), (-1, 0), (0, -1), (1, 1)


def moved_part(page: Page, element: str, way: tuple[int, int], change: bool) -> Case:
    """An element moved by a pixel, and maybe a digit changed elsewhere."""
    other = replace(page, moved=((element, *way),))
    first, second = picture_of(page).copy(), picture_of(other).copy()
    boxes = []
    if change:
        random = random_of(page.half, page.number, element, way)
        boxes = [one_digit(page, first, second, random)]
    return Case(first, second, boxes, options={"tolerance": 1})


def moved_rule(page: Page, way: int, change: bool) -> Case:
    """A hairline moved by a pixel, and maybe a digit changed elsewhere."""
    first, random = picture_of(page).copy(), random_of(page.half, page.number, "rule")
    second = first.copy()
    line = hairline(page, first, first, random)
    below = line._replace(y=line.y + way)
    second[below.window] = first[line.window]
    boxes = [one_digit(page, first, second, random)] if change else []
    return Case(first, second, boxes, options={"tolerance": 1})


def moved_far(page: Page, element: str, step: int) -> Case:
    """An element moved by more than the tolerance: that is a change."""
    other = replace(page, moved=((element, step, 0),))
    first, second = picture_of(page), picture_of(other)
    box = changed(first, second, whole_of(first))
    return Case(first, second, [box], options={"tolerance": 1})


def rendering_recipes(half: str) -> Iterator[Recipe]:
    """Text of two machines, and what moved by a pixel, with a tolerance of one."""
    sizes = {"dev": (12, 15), "held-out": (13, 16)}[half]
    for row in RASTERS:
        for what in ("nothing", "number", "digit"):
            for face in range(3):
                for i, size in enumerate(sizes):
                    about = half, face, size, row, 2 * face + i, what
                    draw = partial(rendered, *about)
                    name = f"face {face}, {size} px"
                    yield Recipe(f"{row}, {what}", name, draw)
    for page in pages(half):
        name, way = f"page {page.number}", WAYS[page.number]
        for change, what in ((False, "nothing"), (True, "digit")):
            for row, element in MOVED.items():
                if row == "card" and change:
                    continue  # the digit is on it
                draw = partial(moved_part, page, element, way, change)
                yield Recipe(f"{row} moved by 1 px", f"{name}, {way}, {what}", draw)
            draw = partial(moved_rule, page, (-1) ** page.number, change)
            yield Recipe("rule moved by 1 px", f"{name}, {what}", draw)
        for row in ("word", "button", "text", "icon"):
            draw = partial(moved_far, page, MOVED[row], 3)
            yield Recipe("moved by 3 px", f"{name}, {row}", draw)


# --------------------------------------------------------------------- parts and pieces


def seen_by(first: Picture, second: Picture, is_photo: bool, random: Random) -> Case:
    """The pair, with camera noise if it is a photograph; each change is an object."""
    if is_photo:
        first, second = (
            rounded(noisy(picture.astype(np.float64), random, 2))
            for picture in (first, second)
        )
    return Case(first, second, judge=one_each)


Ground = tuple[str, int]  # "page" or "photo", and its number


def ground_of(half: str, ground: Ground) -> Picture:
    """A page or a photograph."""
    kind, number = ground
    if kind == "photo":
        return scene(half, SCENES[half][number])
    return picture_of(pages(half)[number])


def with_objects(
    half: str, ground: Ground, layout: Callable[[Random], list[Box]], key: str
) -> Case:
    """Objects that are new in the second picture, as they lie beside one another."""
    first, random = ground_of(half, ground), random_of(half, ground, key)
    for _ in range(20 * TRIES):
        boxes = layout(random)
        frame = bounds(boxes)
        x = int(random.integers(8, max(9, first.shape[1] - frame.width - 8)))
        y = int(random.integers(8, max(9, first.shape[0] - frame.height - 8)))
        placed = [box._replace(x=box.x + x, y=box.y + y) for box in boxes]
        second = first.copy()
        for box in placed:
            add_object(second, box, half, random)
        if all(
            changed(first, second, box)[2:] == box[2:]
            and least_change(first, second, box, True) >= 30
            for box in placed
        ):
            case = seen_by(first, second, ground[0] == "photo", random)
            return replace(case, changes=placed)
    raise RuntimeError("no place for these objects")


def bounds(boxes: Sequence[Box]) -> Box:
    """The box around boxes."""
    x, y = min(box.x for box in boxes), min(box.y for box in boxes)
    right = max(box.x + box.width for box in boxes)
    bottom = max(box.y + box.height for box in boxes)
    return Box(x, y, right - x, bottom - y)


def side_by_side(random: Random, gap: int) -> list[Box]:
    """Two objects of similar size."""
    a, b, c, d = (int(side) for side in random.integers(20, 56, 4))
    if random.integers(2):
        return [Box(0, 0, a, b), Box(a + gap, int(random.integers(8)), c, d)]
    return [Box(0, 0, a, b), Box(int(random.integers(8)), b + gap, c, d)]


def three_in_a_row(random: Random) -> list[Box]:
    """Three objects with gaps of 18."""
    sides = [int(side) for side in random.integers(22, 48, 3)]
    return [
        Box(sum(sides[:i]) + 18 * i, 0, side, int(random.integers(22, 48)))
        for i, side in enumerate(sides)
    ]


def small_by_large(random: Random) -> list[Box]:
    """A small object beside a large one, 14 pixels from it."""
    return [Box(0, 0, 90, 70), Box(104, int(random.integers(50)), 12, 12)]


def new_object(
    half: str, ground: Ground, paint: Callable[[Picture, Box, Random], None], key: str
) -> Case:
    """One object that has gaps, on a flat place of a page."""
    first, random = ground_of(half, ground), random_of(half, ground, key)
    width, height = int(random.integers(60, 86)), int(random.integers(18, 25))
    if key == "icon":
        width = height
    place = flat_place(first, width, height, random)
    second = first.copy()
    paint(second, place, random)
    case = seen_by(first, second, False, random)
    return replace(case, changes=[changed(first, second, place)])


def ink_on(picture: Picture, box: Box) -> tuple[int, int, int]:
    """Black or white, whichever stands out."""
    return (20, 20, 20) if picture[box.window].mean() > 127 else (235, 235, 235)


def paint_stripes(picture: Picture, box: Box, random: Random) -> None:
    """Stripes of ink and of ground, each 4 to 7 pixels."""
    ink, wide = ink_on(picture, box), int(random.integers(4, 8))
    across = np.arange(box.width) // wide % 2 == 0
    picture[box.window][:, across] = ink


def paint_frame(picture: Picture, box: Box, random: Random) -> None:
    """A hollow frame."""
    ink = ink_on(picture, box)
    corner = box.x + box.width - 1, box.y + box.height - 1
    cv2.rectangle(picture, (box.x, box.y), corner, ink, 1)


def paint_bars(picture: Picture, box: Box, random: Random) -> None:
    """The three bars, or dots, of a menu."""
    ink, dots = ink_on(picture, box), bool(random.integers(2))
    for i in range(3):
        y = box.y + 2 + i * (box.height - 6) // 2
        width = 3 if dots else box.width
        x = box.x + (box.width - width) // 2
        picture[y : y + 3, x : x + width] = ink


def paint_word(half: str, picture: Picture, box: Box, random: Random) -> None:
    """Widely set capitals."""
    patch = Image.fromarray(picture[box.window][:, :, ::-1])
    draw, face = ImageDraw.Draw(patch), font(half, int(random.integers(3)), box.height)
    ink = ink_on(picture, box)
    for i, letter in enumerate("TOTAL"):
        draw.text((2 + i * (box.width - 2) / 5, -4), letter, ink, face)
    picture[box.window] = np.asarray(patch)[:, :, ::-1]


def strip_of(
    words: Sequence[tuple[float, float, str]], members: Sequence[int], height: int
) -> Box:
    """The part of a line that these neighbours take."""
    first, after = members[0], members[-1] + 1
    x, y = int(words[first][0]) - 2, int(words[first][1])
    right = 1000
    if after < len(words) and words[after][1] == words[first][1]:
        right = int(words[after][0]) - 2
    return Box(x, y, right - x, height)


def line_of(text: Text, word: int) -> list[int]:
    """The words of the line in which a word is."""
    return [i for i, (_, y, _) in enumerate(text.words) if y == text.words[word][1]]


def renewed_words(half: str, face: int, count: int, which: str) -> Case:
    """Words of a page of text are other ones; what reads as one thing is one change."""
    text = text_of(half, face, {"dev": 13, "held-out": 14}[half], count, "renewed")
    random = random_of(half, face, count, which)
    middle = line_of(text, text.number)
    next_but_one = middle[-1] + len(line_of(text, middle[-1] + 1)) + 1
    changes = {
        "number": [[text.number]],
        "line": [middle],
        "two words": [middle[:1], middle[-1:]],
        "two lines": [middle, line_of(text, next_but_one)],
    }[which]
    number, words = text.words[text.number][2], list(text.words)
    new = other_number(number, random) if text.number in changes[0] else number
    for i in (i for change in changes for i in change if i != text.number):
        x, y, word = words[i]
        others = [w for w in WORDS if len(w) == len(word) and w != word]
        words[i] = x, y, others[int(random.integers(len(others)))]
    first = written(text, number)
    second = written(replace(text, words=tuple(words)), new)
    step = text.size * 3 // 2
    boxes = [
        changed(first, second, strip_of(words, change, step)) for change in changes
    ]
    return Case(first, second, boxes, one_each)


def removed_object(half: str, photo: str, count: int) -> Case:
    """A thing on a photograph is gone: where it was like its ground, all is equal."""
    first, random = scene(half, photo), random_of(half, photo, "removed", count)
    for _ in range(TRIES):
        width, height = (int(side) for side in random.integers(30, 70, 2))
        x = int(random.integers(8, first.shape[1] - width - 8))
        y = int(random.integers(8, first.shape[0] - height - 8))
        place, second = Box(x, y, width, height), first.copy()
        remove(second, place, random)
        box = changed(first, second, place)
        if box.area > place.area // 2 and least_change(first, second, box, True) >= 12:
            break
    return replace(seen_by(first, second, True, random), changes=[box])


LAYOUTS: dict[str, Callable[[Random], list[Box]]] = {
    "two, 12 px apart": partial(side_by_side, gap=12),
    "two, 20 px apart": partial(side_by_side, gap=20),
    "two, 32 px apart": partial(side_by_side, gap=32),
    "three in a row": three_in_a_row,
    "small by large": small_by_large,
}
OBJECTS: dict[str, Callable[[str], Callable[[Picture, Box, Random], None]]] = {
    "stripes": lambda half: paint_stripes,
    "frame": lambda half: paint_frame,
    "icon": lambda half: paint_bars,
    "word": lambda half: partial(paint_word, half),
}


def one_thing_recipes(half: str) -> Iterator[Recipe]:
    """One thing in pieces: signs, words, and what is gone from a photograph."""
    for row, painter in OBJECTS.items():
        for number in range(5):
            draw = partial(new_object, half, ("page", number), painter(half), row)
            yield Recipe(f"one {row}", f"page {number}", draw)
    for which in ("number", "line", "two words", "two lines"):
        for face in range(3):
            for count in range(2):
                draw = partial(renewed_words, half, face, count, which)
                yield Recipe(f"text: {which}", f"face {face}, {count}", draw)
    for photo in SCENES[half]:
        for count in range(2):
            draw = partial(removed_object, half, photo, count)
            yield Recipe("one thing removed", f"{photo} {count}", draw)


def parts_recipes(half: str) -> Iterator[Recipe]:
    """Neighbours that are two, and one thing in pieces that is one."""
    for row, layout in LAYOUTS.items():
        for kind in ("page", "photo"):
            for number in range(5):
                draw = partial(with_objects, half, (kind, number), layout, row)
                yield Recipe(row, f"{kind} {number}", draw)
    yield from one_thing_recipes(half)
