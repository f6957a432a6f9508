"""Cases as a camera makes them: other light, noise, compression and deep pixels."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cases import LONGER_SIDE, SCENES, Case, Recipe, added, scene
from geometry import Warp, tilted
from pages import other_number, pages, picture_of, text_of, written
from truth import (
    BASES,
    HALF_WINDOW,
    Box,
    Picture,
    Random,
    changed,
    coded,
    document,
    random_of,
    rounded,
)

Values = NDArray[np.float64]  # (H, W, 3), 0 to 255 and beyond

# ------------------------------------------------------------------------------- light


def placed(shape: Sequence[int]) -> tuple[Values, Values]:
    """The x and y of every pixel, from -1 to 1."""
    height, width = shape[0], shape[1]
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    return across, down


def gradient(values: Values, random: Random) -> Values:
    """Lit from one side: a gain that falls by a quarter to a half across."""
    across, down = placed(values.shape)
    angle, fall = random.uniform(0, 2 * np.pi), random.uniform(0.12, 0.22)
    way = (np.cos(angle) * across + np.sin(angle) * down) / np.sqrt(2)
    gain = random.uniform(0.85, 0.98) + fall * way
    return np.asarray(values * gain[:, :, None])


def vignette(values: Values, random: Random) -> Values:
    """The corners darker by a quarter to 45 %."""
    across, down = placed(values.shape)
    x, y = random.uniform(-0.15, 0.15, 2)
    gain = 1 - random.uniform(0.12, 0.22) * ((across - x) ** 2 + (down - y) ** 2)
    return np.asarray(values * gain[:, :, None])


def soft_shadow(values: Values, random: Random) -> Values:
    """Somebody stands in the light: a wide ellipse, darker by a fifth to 40 %."""
    height, width = values.shape[0], values.shape[1]
    shadow = np.zeros((height, width), np.float32)
    centre = (
        int(width * random.uniform(0.1, 0.9)),
        int(height * random.uniform(0.1, 0.9)),
    )
    axes = (
        int(width * random.uniform(0.2, 0.4)),
        int(height * random.uniform(0.25, 0.5)),
    )
    cv2.ellipse(shadow, centre, axes, random.uniform(0, 180), 0, 360, 1.0, -1)
    soft = cv2.GaussianBlur(shadow, (0, 0), random.uniform(16, 32))
    return np.asarray(values * (1 - random.uniform(0.2, 0.4) * soft[:, :, None]))


def white_balance(values: Values, random: Random) -> Values:
    """Warmer or colder; a gray picture becomes brighter or darker."""
    if (values == values[:, :, :1]).all():
        return np.asarray(values * random.uniform(0.92, 1.08))
    warm = random.uniform(0.06, 0.12) * random.choice([-1, 1])
    return np.asarray(values * np.array([1 - warm, 1, 1 + warm]))


def exposed(values: Values, random: Random, gain: float) -> Values:
    """All brighter or darker."""
    return gain * values


def curved(values: Values, random: Random, gamma: float) -> Values:
    """Another tone curve."""
    return np.asarray(255 * (values / 255) ** gamma)


def contrasted(values: Values, random: Random, gain: float) -> Values:
    """Farther from middle gray, or nearer to it."""
    return 128 + gain * (values - 128)


Light = Callable[[Values, Random], Values]

LIGHTS: dict[str, Light] = {
    "exposure x0.9": partial(exposed, gain=0.9),
    "exposure x0.8": partial(exposed, gain=0.8),
    "exposure x1.1": partial(exposed, gain=1.1),
    "exposure x1.25": partial(exposed, gain=1.25),
    "gamma 0.8": partial(curved, gamma=0.8),
    "gamma 1.25": partial(curved, gamma=1.25),
    "contrast x0.8": partial(contrasted, gain=0.8),
    "contrast x1.25": partial(contrasted, gain=1.25),
    "gradient": gradient,
    "vignette": vignette,
    "soft shadow": soft_shadow,
    "white balance": white_balance,
    "same light": partial(exposed, gain=1),
}

# ------------------------------------------------------------------------------ sensors


def noisy(values: Values, random: Random, sigma: Any) -> Values:
    """Gaussian noise, alike in the channels of a gray picture, else independent."""
    is_gray = bool((values == values[:, :, :1]).all())
    noise = random.normal(size=(*values.shape[:2], 1 if is_gray else 3))
    return np.asarray(values + sigma * noise)


def shot_noise(values: Values, random: Random, scale: float) -> Values:
    """Noise whose sigma grows with the root of brightness, to `scale` at white."""
    sigma = np.sqrt(0.5 + scale**2 * np.clip(values, 0, 255) / 255)
    return noisy(values, random, sigma)


def grain(values: Values, random: Random, sigma: float) -> Values:
    """Noise that neighbours share: blurred over 0.8 pixels, of this sigma after it."""
    plain = noisy(np.zeros_like(values), random, 1)
    blurred = cv2.GaussianBlur(plain, (0, 0), 0.8)
    return np.asarray(values + sigma / blurred.std() * blurred)


def developed(values: Values, random: Random) -> Values:
    """Noise of sigma 2.5, and the JPEG 92 that a camera makes of it."""
    seen = rounded(noisy(values, random, 2.5))
    return coded(seen, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 92).astype(np.float64)


Sensor = Callable[[Values, Random], Values]

SENSORS: dict[str, Sensor] = {
    "sigma 2": partial(noisy, sigma=2),
    "sigma 3": partial(noisy, sigma=3),
    "sigma 4": partial(noisy, sigma=4),
    "shot noise": partial(shot_noise, scale=5),
    "noise, JPEG 92": developed,
}


def noiseless(values: Values, random: Random) -> Values:
    """As drawn."""
    return values


def photograph(
    half: str,
    base: Picture,
    key: str,
    light: Light,
    sensors: tuple[Sensor, Sensor],
    changes: bool,
    visible: float = 12,
) -> Case:
    """A scene taken twice, the second time in another light, and maybe changed."""
    random = random_of(half, key, changes)

    def lit(picture: Picture) -> Values:
        turn = random_of(half, key, changes, "light")
        return np.clip(light(picture.astype(np.float64), turn), 0, 255)

    edited, boxes = base, []
    if changes:
        edited, box = added(
            base, half, random, visible, lambda picture: rounded(lit(picture))
        )
        boxes = [box]
    first = sensors[0](base.astype(np.float64), random)
    return Case(rounded(first), rounded(sensors[1](lit(edited), random)), boxes)


CHANGED = {False: "nothing", True: "patch"}


def light_recipes(half: str) -> Iterator[Recipe]:
    """Every light on every scene, the sensors in turn; then paper, and no noise."""
    names = list(SENSORS)
    for i, (row, light) in enumerate(LIGHTS.items()):
        for j, photo in enumerate(SCENES[half]):
            sensor = names[(i + j) % len(names)]
            for changes, what in CHANGED.items():
                name = f"{photo}, {sensor}, {what}"
                draw = partial(
                    lit_scene, half, photo, f"{row} {name}", light, sensor, changes
                )
                yield Recipe(row, name, draw)
    for row in ("exposure x0.8", "gradient", "vignette", "soft shadow"):
        for columns in (1, 2):
            for changes, what in CHANGED.items():
                name = f"{columns} columns, {row}, {what}"
                draw = partial(lit_paper, half, columns, name, LIGHTS[row], changes)
                yield Recipe("paper", name, draw)
    for row in ("exposure x0.9", "soft shadow"):
        for photo in SCENES[half][::2]:
            for changes, what in CHANGED.items():
                name = f"{photo}, {row}, {what}"
                draw = partial(lit_scene, half, photo, name, LIGHTS[row], "", changes)
                yield Recipe("noiseless", name, draw)


def lit_scene(
    half: str, photo: str, key: str, light: Light, sensor: str, changes: bool
) -> Case:
    """A photograph in another light; without a sensor's name, noiseless."""
    seen = SENSORS.get(sensor, noiseless)
    return photograph(half, scene(half, photo), key, light, (seen, seen), changes)


def paper_sheet(half: str, columns: int) -> Picture:
    """A printed page as a camera sees it: not quite white or black, and not sharp."""
    page = document(columns + (half == "held-out"), {"dev": 15, "held-out": 13}[half])
    ink_on_paper = 40 + page[:420, :540].astype(np.float64) * (190 / 255)
    return rounded(cv2.GaussianBlur(ink_on_paper, (0, 0), 0.7))


def lit_paper(half: str, columns: int, key: str, light: Light, changes: bool) -> Case:
    """A printed page in another light, photographed twice from the same place."""
    seen = SENSORS["sigma 3"]
    sheet = paper_sheet(half, columns)
    return photograph(half, sheet, key, light, (seen, seen), changes)


# -------------------------------------------------------------------------------- noise

NOISES: dict[str, Sensor] = {
    **{
        f"sigma {sigma}": partial(noisy, sigma=sigma)
        for sigma in (0.5, 1, 2, 3, 5, 7, 10, 15)
    },
    "shot noise 4": partial(shot_noise, scale=4),
    "shot noise 8": partial(shot_noise, scale=8),
    "shot noise 14": partial(shot_noise, scale=14),
    "grain 3": partial(grain, sigma=3),
    "grain 6": partial(grain, sigma=6),
}
# Gray levels that a quarter of a change differs by at least: what is seen at a glance
# in such noise.
VISIBLE = {"sigma 7": 20, "sigma 10": 28, "sigma 15": 40, "shot noise 14": 32}
PAPERS = {"dev": ("letter", "light screen"), "held-out": ("newspaper", "dark screen")}
QUALITIES = {"dev": (50, 60, 70, 80, 90, 95), "held-out": (50, 65, 75, 85, 92, 98)}


def sky(half: str) -> Picture:
    """A smooth sky over a dark hill: hardly any texture, and no two pixels flat."""
    random = random_of(half, "sky")
    across, down = placed((300, LONGER_SIDE[half]))
    clouds = cv2.GaussianBlur(random.normal(size=down.shape), (0, 0), 40)
    light = 150 - 50 * down + 25 * clouds / np.abs(clouds).max()
    hill = down > 0.6 + 0.15 * np.sin(4 * across + random.uniform(0, 6))
    light[hill] = 30 + 6 * across[hill]
    tint = np.array([1.15, 1, 0.9])
    return rounded(cv2.GaussianBlur(light[:, :, None] * tint, (0, 0), 1))


def base_of(half: str, name: str) -> Picture:
    """A scene, a page by its number, or a drawn page by its name in `BASES`."""
    if name == "sky":
        return sky(half)
    if name in SCENES[half]:
        return scene(half, name)
    if name.startswith("page "):
        return picture_of(pages(half)[int(name[5:])])
    return BASES[half][name]()


def seen_with_noise(half: str, name: str, row: str, sides: str, changes: bool) -> Case:
    """A picture and itself, with noise on the second or on both."""
    seen = NOISES[row]
    first = seen if sides == "both" else noiseless
    key = f"{row} {name} {sides}"
    still = LIGHTS["same light"]
    visible = VISIBLE.get(row, 12)
    base = base_of(half, name)
    return photograph(half, base, key, still, (first, seen), changes, visible)


def jpeg(picture: Picture, quality: int) -> Picture:
    """Encoded as JPEG and decoded."""
    return coded(picture, ".jpg", cv2.IMWRITE_JPEG_QUALITY, quality)


def compressed(half: str, name: str, qualities: tuple[int, int], changes: bool) -> Case:
    """A page beside its JPEG, or two JPEGs of it; 100 stands for none."""
    random = random_of(half, name, qualities, changes)
    base = base_of(half, name)
    second, boxes = base, []
    if changes:
        second, box = added(base, half, random, 40)
        boxes = [box]
    coded_pair = [
        jpeg(picture, quality) if quality < 100 else picture
        for picture, quality in zip((base, second), qualities, strict=True)
    ]
    return Case(coded_pair[0], coded_pair[1], boxes)


def noise_recipes(half: str) -> Iterator[Recipe]:
    """Noise of every kind on scenes and pages; pages as JPEG."""
    names = (*SCENES[half][::2], "sky", *PAPERS[half])
    for row in NOISES:
        for i, name in enumerate(names):
            sides = "one side" if i % 2 else "both"
            for changes, what in CHANGED.items():
                draw = partial(seen_with_noise, half, name, row, sides, changes)
                yield Recipe(row, f"{name}, {sides}, {what}", draw)
    for quality in QUALITIES[half]:
        for name in (*PAPERS[half], "page 0", "page 2"):
            for before in (100, min(quality + 7, 99)):
                beside = "page" if before == 100 else f"JPEG {before}"
                for changes, what in CHANGED.items():
                    pair = before, quality
                    draw = partial(compressed, half, name, pair, changes)
                    yield Recipe(
                        f"JPEG {quality}", f"{name} beside {beside}, {what}", draw
                    )


# --------------------------------------------------------------------------------- deep

Deepen = Callable[[Values], NDArray[Any]]


def whole(values: Values, most: int) -> NDArray[np.uint16]:
    """Of 0 to 255, 16-bit values from 0 to the most."""
    return np.clip(np.rint(values * (most / 255)), 0, most).astype(np.uint16)


DEPTHS: dict[str, Deepen] = {
    "16 bit": lambda values: whole(values, 65535),
    "12 in 16 bit": lambda values: whole(values, 4095),
    "8 in 16 bit x257": lambda values: whole(values, 255) * np.uint16(257),
    "8 in 16 bit x1": lambda values: whole(values, 255),
    "float 0 to 1": lambda values: np.clip(values / 255, 0, 1).astype(np.float32),
    "float 0 to 255": lambda values: np.clip(values, 0, 255).astype(np.float32),
}
DEEP_SENSORS: dict[str, Sensor] = {
    "noiseless": noiseless,
    "sigma 1.5": partial(noisy, sigma=1.5),
    "sigma 4": partial(noisy, sigma=4),
    "shot noise": partial(shot_noise, scale=6),
}


def deep(half: str, name: str, depth: str, sensor: str, changes: bool) -> Case:
    """A scene in deep pixels, taken twice."""
    random = random_of(half, name, depth, sensor, changes)
    base = scene(half, name)
    edited, boxes = base, []
    if changes:
        edited, box = added(base, half, random, 16)
        boxes = [box]
    is_gray = bool((base == base[:, :, :1]).all())
    first, second = (
        DEPTHS[depth](DEEP_SENSORS[sensor](picture.astype(np.float64), random))
        for picture in (base, edited)
    )
    if is_gray:
        first, second = first[:, :, 0].copy(), second[:, :, 0].copy()
    return Case(first, second, boxes)


def deep_recipes(half: str) -> Iterator[Recipe]:
    """Every depth with every noise on three scenes."""
    for depth in DEPTHS:
        for sensor in DEEP_SENSORS:
            for name in SCENES[half][::2]:
                for changes, what in CHANGED.items():
                    draw = partial(deep, half, name, depth, sensor, changes)
                    yield Recipe(f"{depth}, {sensor}", f"{name}, {what}", draw)


# ---------------------------------------------------------------------------- documents

SHADES = {  # how a document is lit
    "even": LIGHTS["same light"],
    "gradient": gradient,
    "vignette": vignette,
    "soft shadow": soft_shadow,
}


def on_paper(page: Picture) -> Picture:
    """Print as a camera sees it: neither quite black nor quite white."""
    return rounded(40 + page.astype(np.float64) * (190 / 255))


def shot(page: Picture, warp: Warp, light: Light, random: Random) -> Picture:
    """A photograph of a page: from a slant, lit, not quite sharp, with noise, JPEG."""
    desk = random.uniform(60, 120, 3)
    seen = cv2.GaussianBlur(warp.render(on_paper(page), desk), (0, 0), 0.6)
    lit = np.clip(light(seen.astype(np.float64), random), 0, 255)
    return jpeg(rounded(noisy(lit, random, 2.5)), 92)


def document_pair(half: str, face: int, shade: str, what: str, scanned: bool) -> Case:
    """A page beside a photograph of it (or a scan beside it), registered."""
    size = {"dev": 15, "held-out": 16}[half]
    text = text_of(half, face, size, 0, f"document {shade}", 1.6)
    number, random = text.words[text.number][2], random_of(half, face, shade, what)
    first, boxes = written(text, number), []
    second, warp = first, tilted(text.room, random)
    if what == "number":
        second = written(text, other_number(number, random))
        boxes = [changed(first, second, Box(0, 0, *text.room))]
    elif what == "patch":
        second, box = added(first, half, random, 40)
        while not warp.shows(box.grown(HALF_WINDOW)):
            second, box = added(first, half, random, 40)
        boxes = [box]
    if scanned:
        first = rounded(noisy(on_paper(first).astype(np.float64), random, 2))
    photo = shot(second, warp, SHADES[shade], random)
    return Case(first, photo, boxes, options={"align": "perspective"})


def document_recipes(half: str) -> Iterator[Recipe]:
    """Printed pages beside photographs of them, taken from a slant."""
    for scanned, beside in ((False, "page"), (True, "scan")):
        for i, shade in enumerate(SHADES):
            for j, what in enumerate(("nothing", "patch", "number")):
                for face in {(i + j) % 3, (i + j + scanned + 1) % 3}:
                    about = half, face, shade, what, scanned
                    draw = partial(document_pair, *about)
                    yield Recipe(f"{beside}, {shade}", f"face {face}, {what}", draw)
