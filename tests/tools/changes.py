"""Changes whose kind is known, and how often a region is called what it is.

A thing is put on ground, taken away, moved, painted in other colours, or replaced. What
a region shows follows from where the things in it are in either picture. The halves
share no picture, no face and no random number.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

import pages
from cases import SCENES, font, scene
from draw_samples import SCENES as SAMPLES
from kinds import program
from line_art import board, line_art, part, plan
from truth import BASES, TRIES, Box, Picture, Random, coded, random_of, rounded

KINDS = "added", "removed", "moved", "recoloured", "changed"
APART = 30  # pixels between two things
LEAST = 9  # pixels of a thing that make it a part of a region
LIKE_GROUND = 60  # levels that the ground may be other where a thing has moved to
BESIDE = 4  # pixels beside a thing where it may be said to have gone
VISIBLE = 30  # levels by which a thing stands out from its ground, in the mean

# ------------------------------------------------------------------------------- things


class Thing(NamedTuple):
    """What lies on the ground: its colours, and how dense it is, 0 to 1."""

    pixels: NDArray[Any]  # (h, w, 3) float
    alpha: NDArray[Any]  # (h, w) float


def put(picture: Picture, thing: Thing, x: int, y: int) -> Picture:
    """A copy of the picture with a thing on it, (x, y) its upper left corner."""
    height, width = thing.alpha.shape
    window = Box(x, y, width, height).window
    alpha = thing.alpha[:, :, None]
    laid = picture.copy()
    laid[window] = rounded(alpha * thing.pixels + (1 - alpha) * picture[window])
    return laid


def ellipse(width: int, height: int) -> NDArray[Any]:
    """The density of an ellipse that fills its box, with a soft edge."""
    across, down = np.meshgrid(
        (np.arange(width) + 0.5) * 2 / width - 1,
        (np.arange(height) + 0.5) * 2 / height - 1,
    )
    reach = (1 - np.hypot(across, down)) * min(width, height) / 2
    return np.asarray(np.clip(reach + 0.5, 0, 1))


def word(half: str, random: Random, ink: NDArray[Any]) -> Thing:
    """A word, number or sign of 10 to 30 pixels."""
    text = str(random.choice(["SOLD", "2,750", "draft", "No. 7", "closed", "OK", "8"]))
    face = font(half, int(random.integers(3)), int(random.integers(10, 31)))
    left, top, right, bottom = face.getbbox(text)
    mask = Image.new("L", (int(right - left) + 2, int(bottom - top) + 2))
    ImageDraw.Draw(mask).text((1 - left, 1 - top), text, 255, face)
    alpha = np.asarray(mask) / 255
    return Thing(np.broadcast_to(ink, (*alpha.shape, 3)), alpha)


def block(half: str, random: Random, ink: NDArray[Any]) -> Thing:
    """A lit ball, or a plain or striped block, in a colour of its own."""
    width, height = (int(side) for side in random.integers(12, 56, 2))
    colour = random.uniform(20, 235, 3)
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    form = random.integers(3)
    light: NDArray[Any] = np.ones(across.shape)
    alpha: NDArray[Any] = np.ones(across.shape)
    if form == 0:
        alpha = ellipse(width, height)
        light = 1.1 - 0.4 * np.hypot(across + 0.3, down + 0.3)
    elif form == 1:
        light = 0.8 + 0.3 * (np.sin(across * random.uniform(4, 12)) > 0)
    return Thing(np.clip(light[:, :, None] * colour, 0, 255), alpha)


def piece(half: str, random: Random, ink: NDArray[Any]) -> Thing:
    """A piece of a photograph, round or square."""
    name = str(random.choice(SCENES[half]))
    picture = scene(half, name)
    width, height = (int(side) for side in random.integers(18, 60, 2))
    for _ in range(TRIES):
        x = int(random.integers(picture.shape[1] - width))
        y = int(random.integers(picture.shape[0] - height))
        cut = picture[y : y + height, x : x + width].astype(np.float64)
        if cut.std() > 20:
            break
    alpha = ellipse(width, height) if random.integers(2) else np.ones((height, width))
    return Thing(cut, alpha)


def button(half: str, random: Random, ink: NDArray[Any]) -> Thing:
    """A rounded button with a word on it, or an icon."""
    colour = tuple(int(level) for level in random.uniform(20, 220, 3))
    if random.integers(2):
        side = int(random.integers(12, 26))
        image = Image.new("RGBA", (side, side), (*colour, 0))
        draw = ImageDraw.Draw(image)
        box = (0, 0, side - 1, side - 1)
        if random.integers(2):
            draw.ellipse(box, (*colour, 255))
            draw.line((side // 4, side // 2, side * 3 // 4, side // 2), "white", 2)
        else:
            draw.ellipse(box, outline=(*colour, 255), width=2)
    else:
        image = Image.new("RGBA", (int(random.integers(60, 96)), 28), (*colour, 0))
        draw = ImageDraw.Draw(image)
        draw.rounded_rectangle((0, 0, image.width - 1, 27), 5, (*colour, 255))
        text = str(random.choice(["Apply", "Send", "Cancel", "Next"]))
        draw.text((10, 5), text, "white", font(half, int(random.integers(3)), 14))
    pixels = np.asarray(image).astype(np.float64)
    return Thing(pixels[:, :, 2::-1], pixels[:, :, 3] / 255)


def copper(half: str, random: Random, ink: NDArray[Any]) -> Thing:
    """A pad, a ring, a bar or a chip of a board, in its ink."""
    width, height = (int(side) for side in random.integers(9, 34, 2))
    form = random.integers(4)
    if form == 0:
        alpha = ellipse(width, width)
    elif form == 1:
        alpha = ellipse(width + 8, width + 8)
        alpha[4:-4, 4:-4] -= ellipse(width, width)
    elif form == 2:
        alpha = np.ones((int(random.integers(4, 9)), width + 14))
    else:
        alpha = np.zeros((height + 8, width + 8))
        alpha[3:-3, ::4] = alpha[3:-3, 1::4] = 1
        alpha[6:-6] = 1
    return Thing(np.broadcast_to(ink, (*alpha.shape, 3)), alpha)


def other_colours(thing: Thing, random: Random) -> Thing:
    """The thing in another hue, or by a quarter to a half brighter or darker."""
    pixels = thing.pixels.astype(np.float64)
    if random.integers(2) and np.ptp(pixels.reshape(-1, 3).mean(axis=0)) > 25:
        pixels = np.roll(pixels, 1 + int(random.integers(2)), axis=2)
    elif pixels[thing.alpha > 0.5].mean() > 110:
        pixels = pixels * random.uniform(0.5, 0.75)
    else:
        pixels = pixels + random.uniform(45, 80)
    return thing._replace(pixels=np.clip(pixels, 0, 255))


# -------------------------------------------------------------------------------- cases


@dataclass(frozen=True)
class Change:
    """What happened to a thing, and where that is in either picture, (H, W) bool."""

    kind: str
    first: NDArray[np.bool_]
    second: NDArray[np.bool_]


@dataclass(frozen=True)
class Pair:
    """Two pictures and all that happened between them."""

    first: Picture
    second: Picture
    changes: tuple[Change, ...] = ()


def kind_in(box: Box, changes: Sequence[Change]) -> str | None:
    """What a region shows; None where there is no thing in it."""
    seen = []
    for change in changes:
        before, after = (
            int(np.count_nonzero(where[box.window])) >= LEAST
            for where in (change.first, change.second)
        )
        if not before and not after:
            continue
        kind = change.kind
        if kind == "changed" and before != after:
            kind = "removed" if before else "added"
        if kind == "moved" and before and after:
            kind = "changed"  # both ends in one region
        seen.append(kind)
    if len(set(seen)) > 1 or seen.count("recoloured") > 1:
        return "changed"
    return seen[0] if seen else None


def histogram(picture: Picture) -> NDArray[Any]:
    """The shares of 16 levels of gray, smoothed, and of 4x4x4 colours."""
    levels = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY).ravel() // 16
    coarse = (picture.reshape(-1, 3) // 64).astype(np.int64) @ np.array([1, 4, 16])
    shares = np.convolve(np.bincount(levels, minlength=16), [0.25, 0.5, 0.25], "same")
    both = np.concatenate([shares, np.bincount(coarse, minlength=64)])
    return np.asarray(both / picture.shape[0] / picture.shape[1])


def is_ground(picture: Picture, box: Box, plain: bool) -> bool:
    """Whether a place is plain, or looks as what lies at three of its four sides."""
    around = box.grown(6)
    inside = picture[around.window]
    if np.ptp(inside.reshape(-1, 3), axis=0).max() <= 10:
        return True
    coarse = cv2.resize(inside, (3, 3), interpolation=cv2.INTER_AREA)
    if plain or np.ptp(coarse.reshape(-1, 3), axis=0).max() > 30:
        return False
    own, alike = histogram(picture[box.window]), 0
    for right, down in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        x, y = box.x + right * box.width, box.y + down * box.height
        if x < 0 or y < 0:
            continue
        beside = picture[box._replace(x=x, y=y).window]
        if beside.shape[:2] == (box.height, box.width):
            alike += int(np.minimum(own, histogram(beside)).sum() > 1.3)
    return alike >= 3


class Material(NamedTuple):
    """Pictures of a kind, and the things that there are on them."""

    picture: Callable[[], Picture]
    things: tuple[Callable[[str, Random, NDArray[Any]], Thing], ...]
    real: bool = False  # its own parts are things, too
    plain: bool = False  # its ground is


def stands_out(picture: Picture, thing: Thing, box: Box) -> bool:
    """Whether a person sees the thing on its ground."""
    solid = thing.alpha > 0.5
    ground = picture[box.window][solid].mean(axis=0)
    change = np.abs(thing.pixels[solid] - ground).max(axis=1)
    return solid.sum() >= 20 and float(change.mean()) >= VISIBLE


def hole_filled(picture: Picture, thing: Thing, box: Box) -> Picture:
    """A copy of the picture with what lies around in the place of a thing."""
    around = box.grown(8).window
    hole = np.zeros(picture.shape[:2], np.uint8)
    hole[box.window][thing.alpha > 0] = 255
    part, missing = (np.ascontiguousarray(image[around]) for image in (picture, hole))
    filled = picture.copy()
    filled[around] = cv2.inpaint(part, missing, 3, cv2.INPAINT_TELEA)
    return filled


class Lying(NamedTuple):
    """A thing in its place, and the pair with ground there."""

    thing: Thing
    box: Box
    bare: Pair

    def mask(self, other: Thing | None = None) -> NDArray[np.bool_]:
        """Where the thing is, or another one in its place: (H, W)."""
        mask = np.zeros(self.bare.first.shape[:2], np.bool_)
        mask[self.box.window] = (other or self.thing).alpha > 0.3
        return mask

    def pictures(self, before: Thing | None, after: Thing | None) -> list[Picture]:
        """Both pictures with a thing in this place, or none."""
        bare = self.bare.first, self.bare.second
        return [
            put(picture, thing, self.box.x, self.box.y) if thing else picture
            for picture, thing in zip(bare, (before, after), strict=True)
        ]


@dataclass(frozen=True)
class Site:
    """Where things are to change: the pair so far, and what is free in it."""

    pair: Pair
    material: Material
    half: str
    taken: tuple[Box, ...]
    random: Random

    @property
    def is_gray(self) -> bool:
        """Whether the picture has no colours."""
        first = self.pair.first
        return bool((first == first[:, :, :1]).all())

    def made(self) -> Thing:
        """A new thing, in an ink that can be read on most of the picture."""
        light = self.pair.first.mean() > 110
        ink = self.random.uniform(*((0, 90) if light else (170, 255)), 3)
        makers = self.material.things
        thing = makers[int(self.random.integers(len(makers)))](
            self.half, self.random, ink
        )
        if not self.is_gray:
            return thing
        gray = thing.pixels.mean(axis=2, keepdims=True)
        return thing._replace(pixels=np.repeat(gray, 3, axis=2))

    def is_free(self, box: Box) -> bool:
        """Whether a place is apart from all that are taken."""
        return not any(box.grown(APART).touches(other) for other in self.taken)

    def place_for(self, thing: Thing) -> Box | None:
        """A free place on ground where a person sees the thing, or None."""
        picture = self.pair.first
        height, width = thing.alpha.shape
        across, down = picture.shape[1] - width - 8, picture.shape[0] - height - 8
        for _ in range(TRIES if min(across, down) > 8 else 0):
            x, y = (
                int(self.random.integers(8, across)),
                int(self.random.integers(8, down)),
            )
            box = Box(x, y, width, height)
            if self.is_free(box) and is_ground(picture, box, self.material.plain):
                return box if stands_out(picture, thing, box) else None
        return None

    def real(self) -> Lying | None:
        """A part of the photograph that is no ground, with ground in its place."""
        picture = self.pair.first
        for _ in range(TRIES):
            width, height = (int(side) for side in self.random.integers(20, 56, 2))
            x = int(self.random.integers(10, picture.shape[1] - width - 10))
            y = int(self.random.integers(10, picture.shape[0] - height - 10))
            box = Box(x, y, width, height)
            pixels = picture[box.window].astype(np.float64)
            thing = Thing(pixels, ellipse(width, height))
            if (
                not self.is_free(box)
                or pixels[thing.alpha > 0.5].std(axis=0).max() < 25
            ):
                continue
            first, second = (
                hole_filled(each, thing, box) for each in (picture, self.pair.second)
            )
            if is_ground(first, box, False) and stands_out(first, thing, box):
                return Lying(thing, box, replace(self.pair, first=first, second=second))
        return None

    def lying(self, kind: str) -> Lying | None:
        """A thing that is to change, real or made, or None where there is no room."""
        may_be_real = self.material.real and kind not in ("added", "changed")
        if may_be_real and self.random.integers(2):
            return self.real()
        thing = self.made()
        box = self.place_for(thing)
        return Lying(thing, box, self.pair) if box else None


Made = tuple[Sequence[Picture], NDArray[np.bool_], NDArray[np.bool_], tuple[Box, ...]]


def moved_away(site: Site, lying: Lying) -> Made | None:
    """The thing lies elsewhere in the second picture, on ground that is not unlike."""
    free = replace(site, taken=(*site.taken, lying.box))
    box = free.place_for(lying.thing)
    if box is None:
        return None
    grounds = [
        lying.bare.second[place.window].mean(axis=(0, 1)) for place in (lying.box, box)
    ]
    if np.abs(grounds[0] - grounds[1]).max() > LIKE_GROUND:
        return None
    there = lying._replace(box=box)
    first, _ = lying.pictures(lying.thing, None)
    _, second = there.pictures(None, lying.thing)
    return (first, second), lying.mask(), there.mask(), (lying.box, box)


def in_other_colours(site: Site, lying: Lying) -> Made | None:
    """The thing has another hue or brightness in the second picture."""
    thing = lying.thing
    if site.is_gray:
        other = thing._replace(pixels=thing.pixels * 0.6 + 20)
    else:
        other = other_colours(thing, site.random)
    change = np.abs(other.pixels - thing.pixels).max(axis=2)[thing.alpha > 0.5]
    if change.mean() < VISIBLE or not stands_out(lying.bare.first, other, lying.box):
        return None
    return lying.pictures(thing, other), lying.mask(), lying.mask(), (lying.box,)


def another_thing(site: Site, lying: Lying) -> Made | None:
    """Another thing, of the same size, is in the place of the thing."""
    thing, made = lying.thing, site.made()
    size = lying.box.width, lying.box.height
    pixels = cv2.resize(np.ascontiguousarray(made.pixels), size)
    other = Thing(pixels, np.clip(cv2.resize(made.alpha, size), 0, 1))
    levels = [
        np.where(each.alpha > 0.5, each.pixels.mean(axis=2), 999)
        for each in (thing, other)
    ]
    differ = np.abs(levels[0] - levels[1]) > VISIBLE
    if not stands_out(lying.bare.first, other, lying.box) or differ.mean() < 0.2:
        return None
    uneven = max(
        each.pixels[each.alpha > 0.5].std(axis=0).max() for each in (thing, other)
    )
    if uneven < 25 and np.abs(other.alpha - thing.alpha).mean() < 0.15:
        return None  # it could as well be in other colours
    return lying.pictures(thing, other), lying.mask(), lying.mask(other), (lying.box,)


def put_on_ground(site: Site, lying: Lying) -> Made | None:
    """The thing is in the second picture alone."""
    none = np.zeros_like(lying.mask())
    return lying.pictures(None, lying.thing), none, lying.mask(), (lying.box,)


def taken_away(site: Site, lying: Lying) -> Made | None:
    """The thing is in the first picture alone."""
    none = np.zeros_like(lying.mask())
    return lying.pictures(lying.thing, None), lying.mask(), none, (lying.box,)


CHANGES: dict[str, Callable[[Site, Lying], Made | None]] = {
    "added": put_on_ground,
    "removed": taken_away,
    "moved": moved_away,
    "recoloured": in_other_colours,
    "changed": another_thing,
}


def changed_once_more(site: Site, kind: str) -> Site:
    """The site with one thing more that changed, if there is room for it."""
    for _ in range(24):
        lying = site.lying(kind)
        made = CHANGES[kind](site, lying) if lying else None
        if made:
            (first, second), before, after, places = made
            change = Change(kind, before, after)
            pair = Pair(first, second, (*site.pair.changes, change))
            return replace(site, pair=pair, taken=(*site.taken, *places))
    return site


def pair_of(material: Material, half: str, name: str, number: int) -> Pair:
    """A picture with up to three changes, whose kinds come in turn."""
    picture = material.picture()
    random = random_of(half, name, "changes", number)
    site = Site(Pair(picture, picture), material, half, (), random)
    for i in range(3):
        site = changed_once_more(site, KINDS[(number + 2 * i) % len(KINDS)])
    return site.pair


# -------------------------------------------------------------------------------- texts


def text_pair(half: str, face: int, size: int, count: int, kind: str) -> Pair:
    """A number in a page of text that is added, removed, moved, ..."""
    text = pages.text_of(half, face, size, count, f"changes {kind}")
    random = random_of(half, face, size, count, kind)
    bare = np.asarray(pages.without_number(text))[:, :, ::-1].copy()
    number = text.words[text.number][2]
    full = pages.written(text, number)
    first, second = full, full
    if kind == "added":
        first = bare
    elif kind == "removed":
        second = bare
    elif kind == "one digit":
        second = pages.written(text, pages.with_digit(number, random))
    elif kind == "number":
        second = pages.written(text, pages.other_number(number, random))
    else:
        inks = {"#000000": "#c00020", "#ffffff": "#ffd020"}
        other = replace(text, ink=inks.get(text.ink, "#2060e0"))
        red = pages.written(other, number)
        where = (bare != full).any(axis=2)
        second = np.where(where[:, :, None], red, full)
    masks = [(picture != bare).any(axis=2) for picture in (first, second)]
    kind = kind if kind in KINDS else "changed"
    return Pair(first, second, (Change(kind, *masks),))


# ------------------------------------------------------------------------------ measure


def photo(half: str, name: str) -> Material:
    """A photograph with words, balls, and pieces of others on it."""
    return Material(partial(scene, half, name), (word, block, piece), True)


def texture(half: str, name: str) -> Material:
    """A ground that is the same all over."""
    return Material(BASES[half][name], (word, block, piece))


def page(half: str, number: int) -> Material:
    """A page with words, buttons, icons and photographs."""
    return Material(
        lambda: pages.picture_of(pages.pages(half)[number]),
        (word, button, piece),
        plain=True,
    )


@cache
def drawn(half: str, kind: str) -> Picture:
    """A board or a drawing."""
    random = random_of(half, kind, "changes")
    pitch, width = {"dev": (26, 8), "held-out": (30, 9)}[half]
    pens = {
        "board": lambda: board(random, pitch, width, drilled=half == "dev"),
        "plan": lambda: plan(random),
        "part": lambda: part(random),
    }
    art = line_art(pens[kind](), binary=False, negative=half == "held-out")
    return np.asarray(art.scan(art.ink), np.uint8)


@cache
def card(name: str) -> Picture:
    """A sample."""
    return np.asarray(SAMPLES[name](False).convert("RGB"))[:, :, ::-1].copy()


TEXTURES = {"dev": ("brick", "grass", "moon"), "held-out": ("gravel", "retina", "cell")}
CARDS = {"dev": ("01", "03"), "held-out": ("02",)}


def materials(half: str) -> Iterator[tuple[str, str, Material]]:
    """Rows, names and materials."""
    for name in SCENES[half]:
        yield "photographs", name, photo(half, name)
    for name in TEXTURES[half]:
        yield "textures", name, texture(half, name)
    for number in range(len(pages.PAGES[half])):
        yield "pages", f"page {number}", page(half, number)
    for name in CARDS[half]:
        yield "cards", name, Material(partial(card, name), (word, block, button))
    for kind in ("board", "plan", "part"):
        yield (
            "boards",
            kind,
            Material(partial(drawn, half, kind), (copper, word), plain=True),
        )


PER_PICTURE = {
    "photographs": 15,
    "textures": 15,
    "pages": 15,
    "cards": 20,
    "boards": 10,
}
TEXT_KINDS = "added", "removed", "recoloured", "one digit", "number"
CODINGS: dict[str, Callable[[Picture], Picture]] = {
    "clean": lambda picture: picture,
    "JPEG 85": lambda picture: coded(picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 85),
}


class Recipe(NamedTuple):
    """A pair that is not drawn yet: its row and its name."""

    row: str
    name: str
    draw: Callable[[], Pair]


def recipes(half: str, short: bool) -> Iterator[Recipe]:
    """All pairs of a half."""
    for row, name, material in materials(half):
        for number in range(5 if short else PER_PICTURE[row]):
            draw = partial(pair_of, material, half, name, number)
            yield Recipe(row, f"{name} {number}", draw)
    for face in range(3):
        for size in (11, 13, 16, 24):
            for count, kind in enumerate(TEXT_KINDS * (1 if short else 3)):
                draw = partial(text_pair, half, face, size, count, kind)
                yield Recipe("text", f"face {face}, {size} px, {count} {kind}", draw)


class Named(NamedTuple):
    """What a region was called."""

    row: str
    coding: str
    name: str
    box: Box
    true: str
    said: str
    partner: bool  # of one that moved it is the right one
    theirs: str


Namer = Callable[[Picture, Picture, Sequence[Any]], list[str]]


def named(recipe: Recipe, script: str, others: Namer | None = None) -> list[Named]:
    """What every region of a pair was called, clean and coded."""
    module, pair, results = program(script), recipe.draw(), []
    for coding, code in CODINGS.items():
        first, second = code(pair.first), code(pair.second)
        regions = module.compare_images(first, second).regions
        theirs = others(first, second, regions) if others else [""] * len(regions)
        for region, their in zip(regions, theirs, strict=True):
            box = Box(region.x, region.y, region.width, region.height)
            true = kind_in(box, pair.changes)
            if true:
                right = True
                if true == region.kind == "moved":
                    right = is_partner(region, box, pair.changes)
                results.append(
                    Named(
                        recipe.row,
                        coding,
                        recipe.name,
                        box,
                        true,
                        region.kind,
                        right,
                        their,
                    )
                )
    return results


def is_partner(region: Any, box: Box, changes: Sequence[Change]) -> bool:
    """Whether the corner that a region names is where its thing went or came from."""
    x, y, onward = region.moved
    for change in changes:
        here = change.first[box.window].any(), change.second[box.window].any()
        if change.kind == "moved" and any(here):
            there = change.second if here[0] else change.first
            place = Box(*cv2.boundingRect(there.astype(np.uint8)))
            is_there = place.grown(BESIDE).touches(Box(x, y, 1, 1))
            return is_there and onward == here[0]
    return False


def share(half: str, short: bool, only: str, script: str, part: slice) -> list[Named]:
    """What the regions of some pairs were called."""
    chosen = [r for r in recipes(half, short) if only in f"{r.row}/{r.name}"]
    return [result for recipe in chosen[part] for result in named(recipe, script)]


def measure(half: str, short: bool, only: str, script: str, jobs: int) -> list[Named]:
    """What the regions of all pairs were called, computed in so many processes."""
    work = partial(share, half, short, only, script)
    parts = [slice(i, None, jobs) for i in range(jobs)]
    if jobs == 1:
        return work(parts[0])
    with ProcessPoolExecutor(
        jobs, initializer=cv2.setNumThreads, initargs=(1,)
    ) as executor:
        return [result for found in executor.map(work, parts) for result in found]


def line(title: str, results: Sequence[Named]) -> str:
    """The counts of a row."""
    count = Counter(
        "right"
        if r.said == r.true and r.partner
        else "doubt"
        if r.said == "changed"
        else "wrong"
        for r in results
    )
    total = max(1, len(results))
    return (
        f"{title:24}{len(results):7}{count['right'] / total:8.3f}"
        f"{count['doubt'] / total:12.3f}{count['wrong'] / total:8.3f}"
    )


def tables(results: Sequence[Named]) -> Iterator[str]:
    """Rows by material and coding, by kind, and what was said of what."""
    yield f"{'':24}regions   right  'changed'   wrong"
    for coding in CODINGS:
        for row in dict.fromkeys(r.row for r in results):
            chosen = [r for r in results if (r.row, r.coding) == (row, coding)]
            yield line(f"{row}, {coding}", chosen)
    for kind in KINDS:
        yield line(kind, [r for r in results if r.true == kind])
    for coding in CODINGS:
        yield line(f"all, {coding}", [r for r in results if r.coding == coding])
    yield line("all", results)
    yield ""
    yield f"{'true, said':12}" + "".join(f"{kind:>12}" for kind in KINDS)
    for kind in KINDS:
        said = Counter(r.said for r in results if r.true == kind)
        yield f"{kind:12}" + "".join(f"{said[other]:12}" for other in KINDS)
