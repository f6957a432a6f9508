"""Pictures that lie otherwise: shifted, turned, scaled, tilted, framed or warped."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from line_art import Point
from truth import Box, Random, rounded

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
