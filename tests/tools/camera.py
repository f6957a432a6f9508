"""Cases as a camera makes them: other light, noise, compression and deep pixels."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from cases import SCENES, Case, Recipe, added, scene
from truth import Picture, Random, coded, document, random_of, rounded

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


def noisy(values: Values, sigma: Any, random: Random) -> Values:
    """Gaussian noise, alike in the channels of a gray picture, else independent."""
    is_gray = bool((values == values[:, :, :1]).all())
    noise = random.normal(size=(*values.shape[:2], 1 if is_gray else 3))
    return np.asarray(values + sigma * noise)


def shot_noise(values: Values, scale: float, random: Random) -> Values:
    """Noise whose sigma grows with the root of brightness, to `scale` at white."""
    sigma = np.sqrt(0.5 + scale**2 * np.clip(values, 0, 255) / 255)
    return noisy(values, sigma, random)


def grain(values: Values, sigma: float, random: Random) -> Values:
    """Noise that neighbours share: blurred over 0.8 pixels, of this sigma after it."""
    plain = noisy(np.zeros_like(values), 1, random)
    blurred = cv2.GaussianBlur(plain, (0, 0), 0.8)
    return np.asarray(values + sigma / blurred.std() * blurred)


def developed(values: Values, random: Random) -> Values:
    """Noise of sigma 2.5, and the JPEG 92 that a camera makes of it."""
    seen = rounded(noisy(values, 2.5, random))
    return coded(seen, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 92).astype(np.float64)


Sensor = Callable[[Values, Random], Values]

SENSORS: dict[str, Sensor] = {
    "sigma 2": lambda values, random: noisy(values, 2, random),
    "sigma 3": lambda values, random: noisy(values, 3, random),
    "sigma 4": lambda values, random: noisy(values, 4, random),
    "shot noise": lambda values, random: shot_noise(values, 5, random),
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
    edited, boxes = base, []
    if changes:
        edited, box = added(base, half, random, visible)
        boxes = [box]
    first = sensors[0](base.astype(np.float64), random)
    lit = light(edited.astype(np.float64), random)
    second = sensors[1](np.clip(lit, 0, 255), random)
    return Case(rounded(first), rounded(second), boxes)


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
