"""How often the picture that a copy was made of is ranked first, and by what.

    python tests/tools/ranking.py [--half dev|held-out] [--short]

pictures -> copies, each changed in one way -> likeness to all pictures -> recall at 1
and mean average precision

Logos are those of the icon sets devicon and simple-icons, which npm brings and Chromium
draws; photographs are parts of those in scikit-image; boards and sheets are drawn.
Of each copy there is a plain and a hard one. Pages hold a logo each: login forms on
plain ground or a photograph, and the bar of a site. Beside the network SSIM, pHash and
SIFT are measured; pHash needs `pip install imagehash`. At the end stand the likeness
that unrelated pictures reach, and what a picture and a query cost. Constants are chosen
on the `dev` half alone. --short: a few boards and photographs, by SSIM and the network.
"""

import argparse
import hashlib
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import checkout
import image_diff
import truth
from image_diff import View
from line_art import board, line_art, part, plan
from truth import Picture, Random, random_of

Colour = tuple[int, int, int]
Likeness = NDArray[Any]  # (copies, pictures), higher = more alike
Method = Callable[[Sequence[Picture], Sequence[Picture]], Likeness]  # pictures, copies
ICONS = "devicon@2.17.0", "simple-icons@16.37.0"
EACH = 192  # icons of either set, a half
BOARDS = 40  # boards, plans and parts, a half
PAGES = 60  # with a logo each, a half
CELL = 160  # pixels of an icon
PHOTOS = {  # of which parts are cut
    "dev": ("astronaut", "chelsea", "coins", "ihc", "motorcycle_left", "page"),
    "held-out": ("camera", "coffee", "hubble_deep_field", "moon", "retina", "rocket"),
}
PART = 128  # pixels of a side, at least

# ----------------------------------------------------------------------------- pictures


def svg_of(folder: Path) -> Iterator[tuple[str, str]]:
    """The icons of both sets as HTML, by name; of a brand in both devicon's."""
    names = json.loads((folder / "devicon/devicon.json").read_text())
    for icon in names:
        file = folder / f"devicon/icons/{icon['name']}/{icon['name']}-original.svg"
        if file.is_file():
            yield icon["name"], f'<img src="{file.as_uri()}">'
    known = {icon["name"] for icon in names}
    for icon in json.loads(
        (folder / "simple-icons/data/simple-icons.json").read_text()
    ):
        file = folder / f"simple-icons/icons/{icon.get('slug', '')}.svg"
        if file.is_file() and icon["slug"] not in known:
            colour = f'<svg fill="#{icon["hex"]}" '
            yield f"simple {icon['slug']}", file.read_text().replace("<svg ", colour)


def drawn_icons(icons: Sequence[str], folder: Path) -> Iterator[Picture]:
    """Icons, each as HTML, as Chromium draws them on white."""
    columns = 16
    size = columns * CELL, -(-len(icons) // columns) * CELL
    style = f"body {{ margin: 0; width: {size[0]}px; line-height: 0 }}"
    style += (
        f"img, svg {{ width: {CELL - 32}px; height: {CELL - 32}px; padding: 16px }}"
    )
    page, sheet = folder / "sheet.html", folder / "sheet.png"
    page.write_text(f"<style>{style}</style>{''.join(icons)}")
    command = ["chromium", "--headless=new", "--no-sandbox", "--hide-scrollbars"]
    command += [f"--window-size={size[0]},{size[1] + 200}", f"--screenshot={sheet}"]
    subprocess.run([*command, page.as_uri()], check=True, capture_output=True)
    picture = cv2.imread(str(sheet), cv2.IMREAD_COLOR)
    assert picture is not None
    for number in range(len(icons)):
        y, x = (CELL * place for place in divmod(number, columns))
        yield picture[y : y + CELL, x : x + CELL].astype(np.uint8)


def logos(half: str) -> list[Picture]:
    """Half of so many icons of both sets, one after the other by chance."""
    with tempfile.TemporaryDirectory() as folder:
        command = ["npm", "install", "--ignore-scripts", "--prefix", folder, *ICONS]
        subprocess.run(command, check=True, capture_output=True, cwd=checkout.ROOT)
        icons = list(svg_of(Path(folder, "node_modules")))
        chosen = []
        for is_simple in (False, True):
            names = [
                icon for icon in icons if icon[0].startswith("simple ") == is_simple
            ]
            order = random_of("logos", is_simple).permutation(len(names))
            start = EACH * (half == "held-out")
            chosen += [names[i][1] for i in order[start : start + EACH]]
        return list(drawn_icons(chosen, Path(folder)))


def whole_photographs(half: str) -> list[Picture]:
    """Photographs that come with scikit-image."""
    pictures = []
    for name in PHOTOS[half]:
        (file,) = Path(skimage.__file__).parent.glob(f"data/{name}.*")
        picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
        assert picture is not None
        pictures.append(picture.astype(np.uint8))
    return pictures


def photographs(half: str) -> list[Picture]:
    """Parts of photographs that share no pixel, some hundred pixels a side."""
    parts = []
    for picture in whole_photographs(half):
        side = max(PART, int((picture.shape[0] * picture.shape[1] / 24) ** 0.5))
        for y in range(0, picture.shape[0] - side + 1, side):
            for x in range(0, picture.shape[1] - side + 1, side):
                parts.append(picture[y : y + side, x : x + side])
    return parts


def boards(half: str, count: int) -> list[Picture]:
    """Circuit boards, floor plans and machine parts, in ink on paper."""
    pictures = []
    for number in range(count):
        random = random_of("ranking", half, number)
        kind = number % 4
        if kind < 2:
            pitch = int(random.integers(22, 34))
            pen = board(random, pitch, pitch * 0.3, drilled=bool(number % 8 < 4))
        else:
            pen = plan(random) if kind == 2 else part(random)
        art = line_art(pen, binary=bool(kind % 2), negative=number % 8 == 0)
        pictures.append(art.scan(art.ink))
    return pictures


def colour_of(random: Random, low: int, high: int) -> Colour:
    """A colour whose channels are from low to high."""
    blue, green, red = (int(level) for level in random.integers(low, high, 3))
    return blue, green, red


def rim_of(picture: Picture) -> NDArray[Any]:
    """The colour of most of a picture's rim, BGR."""
    rim = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    return np.asarray(np.median(rim, axis=0))


def as_pillow(picture: Picture) -> Image.Image:
    """The same for Pillow."""
    return Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1]))


def on_ground(picture: Picture, colour: Any) -> Picture:
    """A picture with a colour, BGR, in the place of the rim's, and of near ones."""
    distance = np.abs(picture.astype(float) - rim_of(picture)).max(
        axis=2, keepdims=True
    )
    weight = np.clip(distance / 60, 0, 1)
    return truth.rounded(weight * picture + (1 - weight) * colour)


PAGE = 1280, 800  # width and height


def put(page: Image.Image, logo: Picture, x: int, y: int, colour: Colour) -> None:
    """Put a logo on a page, in a place of a colour, RGB."""
    page.paste(as_pillow(on_ground(logo, colour[::-1])), (x, y))


def scaled(picture: Picture, width: int, height: int) -> Picture:
    """Scaled to a size."""
    return image_diff.resize(picture, width, height)[0].astype(np.uint8)


def form(logo: Picture, random: Random, photograph: Picture | None) -> Picture:
    """A card with a logo, a heading, two fields, a button, and some words below."""
    page = Image.new("RGB", PAGE, colour_of(random, 200, 256))
    if photograph is not None:
        page.paste(as_pillow(scaled(photograph, *PAGE)))
    draw = ImageDraw.Draw(page)
    left = int(random.choice([PAGE[0] // 2 - 180, 60, PAGE[0] - 420]))
    card = colour_of(random, 225, 256)
    bottom = PAGE[1] - 60
    draw.rounded_rectangle((left, 40, left + 360, bottom), 8, card, "#cccccc")
    side = int(random.integers(60, 251))
    x = left + int(random.choice([24, 180 - side // 2]))
    put(page, scaled(logo, side, side), x, 56, card)
    y = 70 + side
    draw.text((left + 24, y), "Sign in", "#222222", ImageFont.load_default(24))
    for label in ("E-mail", "Password"):
        y += 46
        draw.text((left + 24, y), label, "#555555", ImageFont.load_default(14))
        draw.rectangle((left + 24, y + 18, left + 336, y + 42), "white", "#999999")
    accent = colour_of(random, 20, 180)
    draw.rounded_rectangle((left + 24, y + 62, left + 336, y + 98), 4, accent)
    draw.text((left + 150, y + 70), "Continue", "white", ImageFont.load_default(16))
    box = truth.Box(left + 24, y + 116, 312, bottom - 20 - y - 116)
    truth.text(draw, box, 12, "#777777", random)
    return np.asarray(page)[:, :, ::-1].copy()


def site(logo: Picture, random: Random, photograph: Picture) -> Picture:
    """A bar with a logo and a menu, a wide photograph, and three cards of text."""
    width, height = PAGE
    page = Image.new("RGB", PAGE, "white")
    draw = ImageDraw.Draw(page)
    side = int(random.integers(60, 121))
    bar = colour_of(random, 225, 256)
    draw.rectangle((0, 0, width, side + 16), bar)
    put(page, scaled(logo, side, side), int(random.integers(16, 160)), 8, bar)
    for place, word in enumerate(("Home", "Products", "Prices", "Help", "Sign in")):
        at = 700 + 110 * place, side // 2
        draw.text(at, word, "#333333", ImageFont.load_default(18))
    page.paste(as_pillow(scaled(photograph, width, 330)), (0, side + 17))
    words = "Work that is done on time"
    draw.text((60, side + 137), words, "white", ImageFont.load_default(44))
    top = side + 377
    for x in (40, 450, 860):
        draw.rounded_rectangle((x, top, x + 380, height - 20), 8, "white", "#cccccc")
        word = str(random.choice(truth.TEXT.split()))
        draw.text((x + 20, top + 16), word, "#222222", ImageFont.load_default(22))
        box = truth.Box(x + 20, top + 50, 340, height - 80 - top)
        truth.text(draw, box, 13, "#666666", random)
    return np.asarray(page)[:, :, ::-1].copy()


def pages(half: str, known: Sequence[Picture]) -> list[tuple[str, int, Picture]]:
    """Pages of three kinds in turn, each with the logo of its number."""
    photographs = whole_photographs(half)
    shown = []
    for number in range(PAGES):
        kind = ("form", "on photograph", "site")[number % 3]
        random = random_of(half, kind, number)
        photograph = photographs[number // 3 % len(photographs)]
        if kind == "site":
            page = site(known[number], random, photograph)
        else:
            page = form(known[number], random, None if kind == "form" else photograph)
        shown.append((kind, number, page))
    return shown


# ------------------------------------------------------------------------------- copies


def cropped(picture: Picture, strength: float, random: Random) -> Picture:
    """What is left when up to a quarter of either side is cut off."""
    height, width = picture.shape[:2]
    share = 1 - strength * random.uniform(0.1, 0.25, 2)
    y, x = (
        int(random.integers(0, max(1, int(side * (1 - part)))))
        for side, part in zip((height, width), share, strict=True)
    )
    return picture[y : y + int(height * share[0]), x : x + int(width * share[1])]


def bordered(picture: Picture, width: int, colour: Any) -> Picture:
    """With so many pixels of a colour around it."""
    height, length = picture.shape[:2]
    frame = np.empty((height + 2 * width, length + 2 * width, 3), np.uint8)
    frame[:] = colour
    frame[width : width + height, width : width + length] = picture
    return frame


def framed(picture: Picture, strength: float, random: Random) -> Picture:
    """With more of its own ground around it, and a frame of any colour around that."""
    side = strength * picture.shape[1]
    ground = bordered(picture, int(side * random.uniform(0, 0.15)), rim_of(picture))
    edge = int(side * random.uniform(0.02, 0.08))
    return bordered(ground, edge, colour_of(random, 0, 256))


def edited(picture: Picture, strength: float, random: Random) -> Picture:
    """With a part written over by a letter."""
    copy = as_pillow(picture)
    height, width = picture.shape[:2]
    size = int(min(height, width) * strength * random.uniform(0.25, 0.4))
    x, y = (int(random.integers(0, side - size)) for side in (width, height))
    draw = ImageDraw.Draw(copy)
    ground = tuple(int(level) for level in rim_of(picture)[::-1])
    draw.rectangle((x, y, x + size, y + size), ground)
    letter = "ABEGKMRSX"[int(random.integers(9))]
    draw.text((x, y), letter, colour_of(random, 0, 200), ImageFont.load_default(size))
    return np.asarray(copy)[:, :, ::-1].copy()


def on_other_ground(picture: Picture, strength: float, random: Random) -> Picture:
    """With another colour in the place of the rim's, and near it, or around it all."""
    rim = rim_of(picture)
    colour = (1 - strength) * rim + strength * np.array(colour_of(random, 60, 256))
    return on_ground(picture, colour)


def dark(picture: Picture, strength: float, random: Random) -> Picture:
    """Dark where it was light, in the same hues, as a dark mode does."""
    lab = cv2.cvtColor(picture, cv2.COLOR_BGR2LAB)
    lab[..., 0] = 255 - lab[..., 0]
    return cv2.cvtColor(lab, cv2.COLOR_LAB2BGR).astype(np.uint8)


def turned(picture: Picture, strength: float, random: Random) -> Picture:
    """Turned by up to 20 degrees."""
    height, width = picture.shape[:2]
    angle = float(random.choice([-1, 1]) * strength * random.uniform(5, 20))
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1)
    ground = rim_of(picture).tolist()
    copy = cv2.warpAffine(picture, matrix, (width, height), borderValue=ground)
    return copy.astype(np.uint8)


def recompressed(picture: Picture, strength: float, random: Random) -> Picture:
    """Reduced to a half at most, and stored as JPEG of low quality."""
    scale = 1 - strength * random.uniform(0, 0.5)
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    quality = int(random.integers(20, 50))
    return truth.coded(
        small.astype(np.uint8), ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality
    )


COPIES = {
    "crop": cropped,
    "frame": framed,
    "edit": edited,
    "ground": on_other_ground,
    "dark": dark,
    "turn": turned,
    "JPEG": recompressed,
}
# How much is cut, framed, written over, mixed into the ground, turned and reduced. With
# half of it SSIM, pHash and SIFT find 75, 67 and 77 % of the development half, in the
# mean over logos, photographs and boards; it was chosen by these three alone.
STRENGTHS = {"plain": 0.5, "hard": 1.0}

# ------------------------------------------------------------------------------ methods


def levels_of(pictures: Sequence[Picture], side: int) -> NDArray[Any]:
    """Their brightness, each stretched to a square: (pictures, side, side) float32."""
    return np.stack(
        [
            cv2.resize(truth.luma(picture).astype(np.float32), (side, side))
            for picture in pictures
        ]
    )


def by_ssim(pictures: Sequence[Picture], copies: Sequence[Picture]) -> Likeness:
    """Mean SSIM of all stretched to 64 x 64 pixels."""

    def means(values: NDArray[Any]) -> NDArray[Any]:
        """The means of all windows of 7 x 7 pixels."""
        planes = [cv2.blur(plane, (7, 7))[3:-3, 3:-3] for plane in values]
        return np.stack(planes)

    known = levels_of(pictures, 64)
    mean, spread = means(known), means(known**2) - means(known) ** 2
    rows = []
    for copy in levels_of(copies, 64):
        own = means(copy[np.newaxis])
        own_spread = means(copy[np.newaxis] ** 2) - own**2
        shared = means(known * copy) - mean * own
        top = (2 * mean * own + 6.5) * (2 * shared + 58.5)
        bottom = (mean**2 + own**2 + 6.5) * (spread + own_spread + 58.5)
        rows.append((top / bottom).mean(axis=(1, 2)))
    return np.stack(rows)


def by_hash(pictures: Sequence[Picture], copies: Sequence[Picture]) -> Likeness:
    """Equal bits of a perceptual hash of 64."""
    import imagehash

    known, asked = (
        np.stack(
            [
                imagehash.phash(Image.fromarray(one[:, :, ::-1])).hash.ravel()
                for one in of
            ]
        )
        for of in (pictures, copies)
    )
    return np.asarray((asked[:, np.newaxis] == known).mean(axis=2))


def by_sift(pictures: Sequence[Picture], copies: Sequence[Picture]) -> Likeness:
    """How many of the 64 strongest SIFT features have a match that is not ambiguous."""
    count = 64
    sift = cv2.SIFT.create(count)

    def described(picture: Picture) -> NDArray[Any]:
        """So many descriptors of length 1; those that are missing are 0."""
        scale = 256 / max(picture.shape[:2])
        image = cv2.resize(picture, None, fx=scale, fy=scale)
        found = sift.detectAndCompute(image, None)[1]
        vectors = np.zeros((count, 128), np.float32)
        if found is not None:
            vectors[: len(found)] = image_diff.unit(found)[:count]
        return vectors

    known = np.stack([described(picture) for picture in pictures]).reshape(-1, 128)
    rows = []
    for copy in copies:
        cosines = (described(copy) @ known.T).reshape(count, -1, count).clip(-1, 1)
        nearest = cosines.max(axis=2, keepdims=True)
        is_nearest = cosines == nearest
        second = np.where(is_nearest, -1, cosines).max(axis=2, keepdims=True)
        is_clear = 1 - nearest < 0.8**2 * (1 - second)  # 2 - 2 cosine: distance squared
        best = np.maximum(cosines.max(axis=0), 1e-6)  # each feature is matched once
        is_mutual = (cosines == best) & is_nearest
        rows.append((is_clear & is_mutual).sum(axis=(0, 2)))
    return np.stack(rows)


SEEN: dict[tuple[bytes, str], NDArray[Any]] = {}  # what several methods ask for


def seen(pictures: Sequence[Picture], parts: str) -> NDArray[Any]:
    """The features of parts of pictures: (pictures, parts, n)."""
    rows = []
    for picture in pictures:
        key = hashlib.sha256(picture.tobytes()).digest(), parts
        if key not in SEEN:
            SEEN[key] = image_diff.features_of(picture, View(None, parts))
        rows.append(SEEN[key])
    return np.stack(rows)


def cosines_of(
    pictures: Sequence[Picture],
    copies: Sequence[Picture],
    parts: str = "whole",
    learned: bool = False,
) -> NDArray[Any]:
    """How alike copies, and their negatives, are to each: (copies, 2, pictures)."""
    known = seen(pictures, parts)
    negatives = [255 - copy for copy in copies]
    asked = np.stack([seen(copies, parts), seen(negatives, parts)], axis=1)
    if learned:
        turned = image_diff.learn(seen(pictures, "copies"))
        known, asked = image_diff.unit(known @ turned), image_diff.unit(asked @ turned)
    return np.stack([image_diff.likenesses(known, one) for one in asked])


def by_features(pictures: Sequence[Picture], copies: Sequence[Picture]) -> Likeness:
    """By what the network sees alone."""
    return np.asarray(cosines_of(pictures, copies).max(axis=1))


def by_network(
    pictures: Sequence[Picture],
    copies: Sequence[Picture],
    parts: str = "whole",
    learned: bool = False,
) -> Likeness:
    """As the program ranks."""
    likeness = cosines_of(pictures, copies, parts, learned).max(axis=1)
    described = image_diff.described_in_full_contrast
    known = [described(picture) for picture in pictures]
    return np.stack(
        [
            image_diff.verified(
                each, [described(copy), described(255 - copy)], known.__getitem__
            )
            for each, copy in zip(likeness, copies, strict=True)
        ]
    )


METHODS: dict[str, Method] = {
    "SSIM": by_ssim,
    "pHash": by_hash,
    "SIFT": by_sift,
    "features alone": by_features,
    "network": by_network,
    "`--learn`": partial(by_network, learned=True),
}
INSIDE: dict[str, Method] = {
    "SSIM": by_ssim,
    "SIFT": by_sift,
    "network": by_network,
    "`--inside`": partial(by_network, parts="inside"),
    "`--inside --learn`": partial(by_network, parts="inside", learned=True),
}

# ----------------------------------------------------------------------------- measures


def ranks(likeness: Likeness, right: Sequence[int]) -> NDArray[Any]:
    """How many pictures are before the right one, or tie with it, of each copy."""
    own = likeness[np.arange(len(right)), right][:, np.newaxis]
    return np.asarray((likeness >= own).sum(axis=1) - 1)


def measure(
    title: str,
    pictures: Sequence[Picture],
    copies: Sequence[tuple[str, int, Picture]],
    methods: dict[str, Method],
) -> None:
    """Print how well each method finds the pictures that copies were made of."""
    kinds = list(dict.fromkeys(kind for kind, _, _ in copies))
    print(f"\n{title}: {len(pictures)} pictures, {len(copies)} copies\n")
    print(f"| by | recall at 1 | mAP | {' | '.join(kinds)} |")
    print("|---" * (3 + len(kinds)) + "|")
    for name, method in methods.items():
        likeness = method(pictures, [copy for _, _, copy in copies])
        place = ranks(likeness, [right for _, right, _ in copies])
        figures = [(place == 0).mean(), (1 / (1 + place)).mean()]
        for kind in kinds:
            of_kind = [other == kind for other, _, _ in copies]
            figures.append((place[of_kind] == 0).mean())
        shares = " | ".join(f"{100 * figure:.1f}" for figure in figures)
        print(f"| {name} | {shares} |", flush=True)


def copies_of(
    half: str, name: str, pictures: Sequence[Picture], strength: float
) -> list[tuple[str, int, Picture]]:
    """A copy a kind of each picture."""
    return [
        (kind, number, copied(picture, strength, random_of(half, name, number, kind)))
        for number, picture in enumerate(pictures)
        if number % 4 == 0 or len(pictures) < 2 * EACH  # of logos every fourth one
        for kind, copied in COPIES.items()
    ]


def thresholds(groups: Sequence[Sequence[Picture]]) -> None:
    """Print the likeness that 1 % and 10 % of unrelated pictures are above."""
    print("\nlikeness of 1 % and of 10 % of unrelated pictures, at least:")
    pictures = [picture for group in groups for picture in group[::5]]
    for parts in ("whole", "inside"):
        for learned in (False, True):
            likeness = by_network(pictures, pictures, parts, learned)
            others = likeness[~np.eye(len(pictures), dtype=bool)]
            limits = np.percentile(others, [99, 90])
            name = f"{parts}, learned" if learned else parts
            print(f"{name}: {limits[0]:.3f}, {limits[1]:.3f}", flush=True)


def speed(pictures: Sequence[Picture]) -> None:
    """Print the processor time a picture takes, and a query among 100,000."""
    for parts in image_diff.PARTS:
        start = time.process_time()
        for picture in pictures[:20]:
            image_diff.features_of(picture, View(None, parts))
        seconds = (time.process_time() - start) / 20
        print(f"{parts}: {1000 * seconds:.0f} ms of processor time a picture")
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(1)
        kinds = [("state", "U24"), ("features", "<f4", (1, 1280))]
        table = np.zeros(100_000, kinds)
        for row in table["features"]:
            row[:] = random.random(1280, np.float32)
        image_diff.keep_features(folder, table)
        for _ in range(3):
            known = image_diff.kept_features(folder)["features"]
            start = time.perf_counter()
            image_diff.likenesses(known, known[5:7])
            print(f"100,000 known pictures: {time.perf_counter() - start:.3f} s")


def main() -> None:
    """Draw the pictures, and measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--half", choices=PHOTOS, default="dev")
    parser.add_argument("--short", action="store_true")
    arguments = parser.parse_args()
    half = arguments.half
    groups = {
        "photographs": photographs(half),
        "boards": boards(half, 3 if arguments.short else BOARDS),
    }
    if arguments.short:
        for name, group in groups.items():
            methods = {by: METHODS[by] for by in ("SSIM", "network")}
            copies = copies_of(half, name, group[:3], STRENGTHS["plain"])
            measure(name, group[:3], copies, methods)
        return
    groups["logos"] = logos(half)
    for hardness, strength in STRENGTHS.items():
        for name, pictures in groups.items():
            copies = copies_of(half, name, pictures, strength)
            measure(f"{name}, {hardness}", pictures, copies, METHODS)
    known = groups["logos"][::4]
    shown = pages(half, known)
    screens = [page for _, _, page in shown]
    asked = [(kind, number, known[number]) for kind, number, _ in shown]
    measure("logos, found by pages", known, shown, INSIDE)
    measure("pages, found by logos", screens, asked, INSIDE)
    thresholds([*groups.values(), screens])
    speed(groups["photographs"])


if __name__ == "__main__":
    main()
