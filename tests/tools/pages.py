"""Cases as screens make them: pages without noise, drawn again with something other."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw

from cases import FACES, SCENES, Case, Recipe, covered, font, scene
from truth import TEXT, TRIES, Box, Picture, Random, changed, random_of, rounded

# -------------------------------------------------------------------------------- pages

Place = tuple[float, float]  # x and y
WORDS = TEXT.replace(";", "").replace(",", "").split()


class Colours(NamedTuple):
    """What a page is painted with, each as #rrggbb."""

    ground: str
    panel: str  # of side bar and footer
    card: str
    ink: str
    accent: str  # of header, button and icons
    border: str


@dataclass(frozen=True)
class Page:
    """A page to be drawn: the same fields give the same pixels."""

    half: str
    number: int  # what its words are
    face: int
    size: int  # pixels of its text
    width: int
    height: int
    colours: Colours
    photo: str
    renewed: tuple[str, ...] = ()  # elements that have other words or another picture
    moved: tuple[tuple[str, int, int], ...] = ()  # elements, and by how much


@dataclass
class Sheet:
    """A page on its way: the picture, and where its elements are."""

    page: Page
    image: Image.Image
    places: dict[str, Box]

    @property
    def draw(self) -> ImageDraw.ImageDraw:
        """What draws on it."""
        return ImageDraw.Draw(self.image)

    def random(self, element: str) -> Random:
        """What the words of an element follow from."""
        page = self.page
        return random_of(
            page.half, page.number, element, element in page.renewed and "renewed"
        )

    def put(self, element: str, x: int, y: int, width: int, height: int) -> Box:
        """The place of an element, moved if it is to be."""
        for name, right, down in self.page.moved:
            if name == element:
                x, y = x + right, y + down
        self.places[element] = Box(x, y, width, height)
        return self.places[element]


def words_between(random: Random, width: float, sheet: Sheet, size: float) -> str:
    """So many words as have room."""
    face, line = font(sheet.page.half, sheet.page.face, size), ""
    while True:
        longer = f"{line} {WORDS[random.integers(len(WORDS))]}".strip()
        if face.getlength(longer) > width:
            return line
        line = longer


def write_line(
    sheet: Sheet, x: float, y: float, words: str, size: int, ink: str
) -> None:
    """A line of text, (x, y) its upper left corner."""
    sheet.draw.text((x, y), words, ink, font(sheet.page.half, sheet.page.face, size))


def header(sheet: Sheet) -> None:
    """The bar on top, with a title."""
    page = sheet.page
    box = sheet.put("header", 0, 0, page.width, 38)
    sheet.draw.rectangle((0, 0, page.width - 1, 37), page.colours.accent)
    title = words_between(sheet.random("header"), page.width / 3, sheet, 18)
    write_line(sheet, box.x + 14, box.y + 8, title, 18, "white")


def side_bar(sheet: Sheet) -> None:
    """Icons and words on the left."""
    page = sheet.page
    box = sheet.put("side bar", 0, 38, 124, page.height - 38)
    sheet.draw.rectangle((0, 38, 123, page.height - 1), page.colours.panel)
    random = sheet.random("side bar")
    for row in range(6):
        y = box.y + 18 + 34 * row
        icon = sheet.put(f"icon {row}", 10, y, 14, 14)
        sheet.draw.ellipse(
            (icon.x, icon.y, icon.x + 13, icon.y + 13),
            outline=page.colours.accent,
            width=2,
        )
        words = words_between(random, 84, sheet, page.size)
        write_line(sheet, 32, y - 2, words, page.size, page.colours.ink)


def hero(sheet: Sheet) -> None:
    """A photograph."""
    page = sheet.page
    box = sheet.put("hero", 140, 54, page.width * 2 // 5 - 20, 132)
    names = [*SCENES[page.half]]
    shown = names[(names.index(page.photo) + ("hero" in page.renewed)) % len(names)]
    picture = scene(page.half, shown)[60 : 60 + box.height, 60 : 60 + box.width]
    sheet.image.paste(Image.fromarray(picture[:, :, ::-1]), (box.x, box.y))


def card(sheet: Sheet) -> None:
    """A framed card with a number and a button."""
    page = sheet.page
    left = 140 + page.width * 2 // 5
    box = sheet.put("card", left, 54, page.width - left - 16, 132)
    right, bottom = box.x + box.width - 1, box.y + box.height - 1
    sheet.draw.rectangle(
        (box.x, box.y, right, bottom), page.colours.card, page.colours.border
    )
    random = sheet.random("card")
    words = words_between(random, box.width - 24, sheet, page.size)
    write_line(sheet, box.x + 12, box.y + 12, words, page.size, page.colours.ink)
    number = f"{random.integers(100, 999)},{random.integers(100, 999)}"
    write_line(sheet, box.x + 12, box.y + 40, number, 28, page.colours.accent)
    box = sheet.put("button", left + 12, 142, 84, 30)
    corners = (box.x, box.y, box.x + box.width - 1, box.y + box.height - 1)
    sheet.draw.rounded_rectangle(corners, 5, page.colours.accent)
    write_line(sheet, box.x + 20, box.y + 5, "Apply", 15, "white")


def paragraph(sheet: Sheet) -> None:
    """Four lines of text."""
    page = sheet.page
    step = page.size * 3 // 2
    box = sheet.put("paragraph", 140, 204, page.width - 156, 4 * step)
    random = sheet.random("paragraph")
    for row in range(4):
        words = words_between(random, box.width, sheet, page.size)
        write_line(sheet, box.x, box.y + row * step, words, page.size, page.colours.ink)


def table(sheet: Sheet) -> None:
    """Rows of words and numbers, with rules."""
    page = sheet.page
    top, step = 220 + 4 * (page.size * 3 // 2), page.size * 2
    rows = (page.height - 62 - top) // step
    box = sheet.put("table", 140, top, page.width - 156, rows * step)
    random = sheet.random("table")
    for row in range(rows):
        y = box.y + row * step
        sheet.draw.line((box.x, y, box.x + box.width - 1, y), page.colours.border)
        words = words_between(random, box.width // 3, sheet, page.size)
        write_line(
            sheet, box.x + 4, y + page.size // 3, words, page.size, page.colours.ink
        )
        number = f"{random.integers(1, 99)},{random.integers(100, 999)}.50"
        place = sheet.put(f"number {row}", box.x + box.width - 90, y, 86, step)
        write_line(
            sheet,
            place.x,
            place.y + page.size // 3,
            number,
            page.size,
            page.colours.ink,
        )


def footer(sheet: Sheet) -> None:
    """The bar below; renewed, it has another colour as well."""
    page = sheet.page
    box = sheet.put("footer", 124, page.height - 46, page.width - 124, 46)
    colour = page.colours.accent if "footer" in page.renewed else page.colours.panel
    sheet.draw.rectangle((box.x, box.y, page.width - 1, page.height - 1), colour)
    words = words_between(sheet.random("footer"), box.width - 40, sheet, page.size)
    write_line(sheet, box.x + 16, box.y + 14, words, page.size, page.colours.ink)


def drawn_sheet(page: Page) -> Sheet:
    """A page with all its elements."""
    sheet = Sheet(
        page, Image.new("RGB", (page.width, page.height), page.colours.ground), {}
    )
    for draw in (header, side_bar, hero, card, paragraph, table, footer):
        draw(sheet)
    return sheet


@cache
def picture_of(page: Page) -> Picture:
    """A page's pixels."""
    return np.asarray(drawn_sheet(page).image)[:, :, ::-1].copy()


def place_of(page: Page, element: str) -> Box:
    """Where an element is."""
    return drawn_sheet(page).places[element]


LIGHT = Colours("#ffffff", "#eef1f5", "#ffffff", "#222222", "#2a6fdb", "#cccccc")
CREAM = Colours("#faf6ee", "#efe6d5", "#fffdf8", "#3b3024", "#a8432f", "#d8c9ae")
DARK = Colours("#121212", "#1c1f24", "#1a1a1a", "#d0d0d0", "#3d8b5f", "#383838")
SLATE = Colours("#20262e", "#2a323c", "#2e3742", "#dfe6ee", "#c2571a", "#46525f")
PALE = Colours("#f4f7f4", "#e2ebe4", "#ffffff", "#20302a", "#2f7d6b", "#c4d2c9")
# By half: colours, face, size of text, width and height; two themes are shared, as
# white and #121212 are what people change.
PAGES = {
    "dev": (
        (LIGHT, 0, 13, 600, 440),
        (CREAM, 2, 14, 640, 460),
        (DARK, 1, 13, 600, 440),
        (LIGHT, 1, 12, 560, 420),
        (DARK, 2, 15, 660, 480),
    ),
    "held-out": (
        (LIGHT, 1, 14, 620, 450),
        (PALE, 2, 13, 580, 430),
        (SLATE, 0, 14, 640, 470),
        (DARK, 0, 12, 560, 420),
        (LIGHT, 2, 15, 660, 490),
    ),
}


def pages(half: str) -> list[Page]:
    """The pages of a half, each with another photograph."""
    return [
        Page(half, number, face, size, width, height, colours, SCENES[half][number])
        for number, (colours, face, size, width, height) in enumerate(PAGES[half])
    ]


# --------------------------------------------------------------------------------- text

INKS = (  # ground and ink
    ("#ffffff", "#000000"),
    ("#ffffff", "#444444"),
    ("#faf6ee", "#3b3024"),
    ("#121212", "#d0d0d0"),
    ("#2a6fdb", "#ffffff"),
    ("#f4f4f4", "#6b6b6b"),
)
NUMBERS = "1,299.00", "12:45", "2024-03-17", "48", "3,450", "99.5%", "No. 6803"
TEXT_PAGE = {"dev": (360, 200), "held-out": (390, 184)}


@cache
def advance(half: str, face: int, size: int, words: str) -> float:
    """The pixels that words take."""
    return font(half, face, size).getlength(words)


@dataclass(frozen=True)
class Text:
    """Lines of words, each at its place, in one face; one of them is a number."""

    half: str
    face: int
    size: int
    ground: str
    ink: str
    words: tuple[tuple[float, float, str], ...]  # x, y of the upper left corner
    number: int  # which word is one
    room: tuple[int, int]  # width and height of the page


def text_of(
    half: str, face: int, size: int, count: int, key: str, scale: float = 1
) -> Text:
    """A page full of words; the `count`th has the `count`th colours and number."""
    random = random_of(half, face, size, count, key)
    width, height = (round(scale * side) for side in TEXT_PAGE[half])
    step = size * 3 // 2
    rows = (height - 16) // step
    words: list[tuple[float, float, str]] = []
    number = -1
    for row in range(rows):
        x, y = 10.0, 8.0 + row * step
        while True:
            word = WORDS[random.integers(len(WORDS))]
            if row == rows // 2 and number < 0 and x > 0.4 * width - 2 * size:
                word, number = NUMBERS[count % len(NUMBERS)], len(words)
            if x + advance(half, face, size, word) > width - 10:
                break
            words.append((x, y, word))
            x += advance(half, face, size, word + " ")
    colours, room = INKS[count % len(INKS)], (width, height)
    return Text(half, face, size, *colours, tuple(words), number, room)


@cache
def without_number(text: Text) -> Image.Image:
    """The text with a gap where its number is."""
    kind = font(text.half, text.face, text.size)
    image = Image.new("RGB", text.room, text.ground)
    for i, (x, y, word) in enumerate(text.words):
        if i != text.number:
            ImageDraw.Draw(image).text((x, y), word, text.ink, kind)
    return image


def written(text: Text, number: str) -> Picture:
    """The text with this in place of its number, every character where it was."""
    image = without_number(text).copy()
    x, y, first = text.words[text.number]
    for i, character in enumerate(number):
        place = x + advance(text.half, text.face, text.size, first[:i]), y
        kind = font(text.half, text.face, text.size)
        ImageDraw.Draw(image).text(place, character, text.ink, kind)
    return np.asarray(image)[:, :, ::-1].copy()


def with_digit(number: str, random: Random) -> str:
    """A number with one of its digits changed."""
    places = [i for i, character in enumerate(number) if character.isdigit()]
    place = int(random.choice(places))
    others = [digit for digit in "0123456789" if digit != number[place]]
    return number[:place] + str(random.choice(others)) + number[place + 1 :]


def other_number(number: str, random: Random) -> str:
    """A number with all of its digits changed."""
    return "".join(
        str((int(c) + int(random.integers(1, 10))) % 10) if c.isdigit() else c
        for c in number
    )


# ----------------------------------------------------------------------------- recolour


def levels(colour: str) -> tuple[int, int, int]:
    """Red, green and blue of #rrggbb."""
    red, green, blue = bytes.fromhex(colour[1:])
    return red, green, blue


def as_hex(colour: Sequence[float]) -> str:
    """Red, green and blue as #rrggbb."""
    return "#" + bytes(int(np.clip(round(level), 0, 255)) for level in colour).hex()


def stepped(colour: str, step: int) -> str:
    """A colour by so many levels lighter, or darker where there is no room."""
    way = -1 if min(levels(colour)) > 127 else 1
    return as_hex([level + way * step for level in levels(colour)])


def luma_of(colour: Sequence[float]) -> int:
    """The level of gray (BT.601), as OpenCV rounds it."""
    pixel = np.array([[colour[::-1]]], np.uint8)
    return int(cv2.cvtColor(pixel, cv2.COLOR_BGR2GRAY)[0, 0])


def of_equal_luma(colour: str, toward: tuple[int, int, int]) -> str:
    """The colour in the direction of another one that has the first's level of gray."""
    wanted, best = luma_of(levels(colour)), None
    for scale in np.arange(0, 4, 0.005):
        other = [min(255, round(scale * level)) for level in toward]
        if best is None or abs(luma_of(other) - wanted) < abs(luma_of(best) - wanted):
            best = other
    assert best is not None
    return as_hex(best)


def repainted(page: Page, **colours: str) -> Case:
    """A page beside itself in other colours; all that differs is one change."""
    other = replace(page, colours=page.colours._replace(**colours))
    first, second = picture_of(page), picture_of(other)
    whole = Box(0, 0, page.width, page.height)
    return Case(first, second, [changed(first, second, whole)], covered)


def accented(page: Page, colour: str, toward: tuple[int, int, int]) -> Case:
    """The accents (header, button, icons) in another colour of the same luma."""
    page = replace(page, colours=page.colours._replace(accent=colour))
    return repainted(page, accent=of_equal_luma(colour, toward))


def tinted(page: Page, share: float, step: int) -> Case:
    """More than half of a picture, all that is in it, lighter or darker by a step."""
    first = picture_of(page)
    box = Box(0, 0, page.width, round(share * page.height))
    second = first.copy()
    way = -step if first[box.window].mean() > 127 else step
    second[box.window] = rounded(first[box.window].astype(np.float64) + way)
    return Case(first, second, [box], covered)


def uniform(first: Picture, step: int) -> Case:
    """All of a picture, ground and text alike, by a step: no change. None is cut."""
    first = rounded(16 + first.astype(np.float64) * (222 / 255))
    return Case(first, rounded(first.astype(np.float64) + step))


def repapered(half: str, face: int, ground: str, other: str) -> Case:
    """A page of text on other paper: nearly all of it is ground."""
    size = {"dev": 13, "held-out": 14}[half]
    ink = "#d0d0d0" if max(levels(ground)) < 128 else "#222222"
    text = replace(text_of(half, face, size, 0, "paper"), ground=ground, ink=ink)
    number = text.words[text.number][2]
    first, second = written(text, number), written(replace(text, ground=other), number)
    whole = Box(0, 0, first.shape[1], first.shape[0])
    return Case(first, second, [changed(first, second, whole)], covered)


def recolour_recipes(half: str) -> Iterator[Recipe]:
    """Every page recoloured: ground, panel, card, ink, accent, border."""
    steps = {"dev": (4, 8, 16), "held-out": (5, 10, 14)}[half]
    for page in pages(half):
        name = f"page {page.number}"
        for step in steps:
            for field in ("ground", "panel"):
                colour = stepped(getattr(page.colours, field), step)
                draw = partial(repainted, page, **{field: colour})
                yield Recipe(f"{field} by {step}", name, draw)
            share = 0.55 + 0.08 * page.number
            draw = partial(tinted, page, share, step)
            yield Recipe("more than half", f"{name}, {share:.0%} by {step}", draw)
        light = replace(page, colours=LIGHT)
        draw = partial(repainted, light, ground="#fffff0")
        yield Recipe("white to ivory", name, draw)
        draw = partial(repainted, replace(page, colours=DARK), ground="#1e1e1e")
        yield Recipe("#121212 to #1e1e1e", name, draw)
        red, blue = {"dev": ("#d62728", "#2a6fdb"), "held-out": ("#c0392b", "#1f4fa8")}[
            half
        ]
        draw = partial(accented, light, red, (40, 200, 60))
        yield Recipe("red to green of equal luma", name, draw)
        draw = partial(accented, light, blue, (90, 90, 235))
        yield Recipe("blue to blue of equal luma", name, draw)
        draw = partial(repainted, light, ink="#3c3c3c")
        yield Recipe("text #222 to #3c3c3c", name, draw)
        draw = partial(repainted, light, border="#dddddd")
        yield Recipe("border #ccc to #ddd", name, draw)
        for step in (-10, -5, 5, 10):
            draw = partial(uniform, picture_of(page), step)
            yield Recipe("uniform shift", f"{name} by {step}", draw)
    for face in range(3):
        for ground, other in (("#ffffff", "#fffff0"), ("#121212", "#1e1e1e")):
            draw = partial(repapered, half, face, ground, other)
            yield Recipe("page of text", f"face {face}, {ground} to {other}", draw)
        for step in steps:
            other = stepped("#ffffff", step)
            draw = partial(repapered, half, face, "#ffffff", other)
            yield Recipe("page of text", f"face {face}, white by {step}", draw)
    for photo in SCENES[half][::2]:
        for step in (5, 10):
            draw = partial(uniform, scene(half, photo), step)
            yield Recipe("uniform shift", f"{photo} by {step}", draw)


# ------------------------------------------------------------------------------ masking

LARGE = "footer", "hero", "paragraph"


def quiet_place(page: Page) -> Box:
    """A place of flat colour in the side bar, far from all that is large."""
    side = place_of(page, "side bar")
    return Box(8, side.y + 234, 108, 26)


def one_pixel(page: Page, first: Picture, second: Picture, random: Random) -> Box:
    """One pixel of the side bar in the colour of ink."""
    place = quiet_place(page)
    x, y = place.x + int(random.integers(80)), place.y + int(random.integers(20))
    second[y, x] = levels(page.colours.ink)[::-1]
    return Box(x, y, 1, 1)


def hairline(page: Page, first: Picture, second: Picture, random: Random) -> Box:
    """A line of one pixel in the colour of borders, in the side bar."""
    place = quiet_place(page)
    box = Box(place.x, place.y + int(random.integers(20)), place.width, 1)
    second[box.window] = levels(page.colours.border)[::-1]
    return box


def small_icon(page: Page, first: Picture, second: Picture, random: Random) -> Box:
    """An icon of the side bar is filled."""
    icon = place_of(page, f"icon {random.integers(4)}")
    centre = icon.x + icon.width // 2, icon.y + icon.height // 2
    cv2.circle(second, centre, 4, levels(page.colours.accent)[::-1], -1)
    return changed(first, second, icon)


def one_digit(page: Page, first: Picture, second: Picture, random: Random) -> Box:
    """A number in the corner of the card, another one in the second picture."""
    card = place_of(page, "card")
    place = Box(card.x + card.width - 60, card.y + 100, 50, 22)
    face = font(page.half, page.face, page.size)
    old, new = random.permutation(10)[:2]
    for picture, digit in ((first, old), (second, new)):
        patch = Image.fromarray(picture[place.window][:, :, ::-1])
        draw, at = ImageDraw.Draw(patch), face.getlength("4")
        for x, text in ((2, "4"), (2 + at, str(digit)), (2 + 2 * at, "7")):
            draw.text((x, 1), text, page.colours.ink, face)
        picture[place.window] = np.asarray(patch)[:, :, ::-1]
    return changed(first, second, place)


def lighter_card(page: Page, first: Picture, second: Picture, random: Random) -> Box:
    """The card's ground by 8 levels, 255 to 247 where it is white."""
    card, before = (
        place_of(page, "card"),
        np.array(levels(page.colours.card)[::-1], np.uint8),
    )
    shown = second[card.window]
    shown[(shown == before).all(axis=2)] = levels(stepped(page.colours.card, 8))[::-1]
    return changed(first, second, card)


SMALL: dict[str, Callable[[Page, Picture, Picture, Random], Box]] = {
    "card by 8": lighter_card,
    "pixel": one_pixel,
    "hairline": hairline,
    "icon": small_icon,
    "digit": one_digit,
}


def masked(page: Page, large: str, small: str) -> Case:
    """A small change beside a large one."""
    random = random_of(page.half, page.number, large, small)
    first = picture_of(page).copy()
    second = picture_of(replace(page, renewed=(large,))).copy()
    place = changed(first, second, place_of(page, large))
    return Case(first, second, [place, SMALL[small](page, first, second, random)])


def masking_recipes(half: str) -> Iterator[Recipe]:
    """Every small change beside every large one on every page."""
    for small in SMALL:
        for large in LARGE:
            for page in pages(half):
                draw = partial(masked, page, large, small)
                yield Recipe(f"{small}, beside {large}", f"page {page.number}", draw)


# ------------------------------------------------------------------------------- digits

DIGIT_SIZES = 9, 10, 11, 12, 13, 14, 15, 16, 20  # pixels
DIGITS = 15  # pairs of every face and size
SEEN = 40  # levels of gray that a digit differs by, in one pixel at least


def digit_pair(half: str, face: int, size: int, count: int, tolerance: int) -> Case:
    """One digit changed in the middle of a page of text."""
    text = text_of(half, face, size, count, "digit")
    random, number = random_of(half, face, size, count), text.words[text.number][2]
    first = written(text, number)
    for _ in range(TRIES):
        second = written(text, with_digit(number, random))
        if cv2.absdiff(first, second).max() >= SEEN:
            break
    whole = Box(0, 0, first.shape[1], first.shape[0])
    place = changed(first, second, whole)
    return Case(first, second, [place], options={"tolerance": tolerance})


def digit_recipes(half: str) -> Iterator[Recipe]:
    """Pairs of every face and size, without tolerance and with one of a pixel."""
    for tolerance in (0, 1):
        for size in DIGIT_SIZES:
            group = "11 px up" if size >= 11 else "below 11 px"
            for face, (_, file) in enumerate(FACES[half]):
                row = f"tolerance {tolerance}, {group}, {Path(file).stem} {size} px"
                for count in range(DIGITS):
                    draw = partial(digit_pair, half, face, size, count, tolerance)
                    yield Recipe(row, f"pair {count}", draw)
