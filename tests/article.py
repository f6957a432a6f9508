"""The tutorial's pipeline in its own words: the oracle for threshold, mask and boxes.

Two things are mended: negative SSIM is clipped to 0, where the tutorial's cast to uint8
wraps it, and the drift of scikit-image's running sums, which makes 254 of 255 in
places, is rounded off.
"""

from typing import Any, NamedTuple

import cv2
import imutils
import numpy as np
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

Picture = NDArray[Any]  # (H, W, 3) uint8 BGR


class Article(NamedTuple):
    """What the tutorial's script computes on its way."""

    score: float
    ssim_map: NDArray[Any]  # (H, W) float64 in [-1, 1]
    diff: NDArray[Any]  # (H, W) uint8
    level: int  # Otsu's threshold of the diff
    mask: NDArray[Any]  # (H, W) uint8
    boxes: set[tuple[int, int, int, int]]  # x, y, width, height


def article(first: Picture, second: Picture) -> Article:
    """Compare two pictures of one size as the tutorial does."""
    gray_a = cv2.cvtColor(first, cv2.COLOR_BGR2GRAY)
    gray_b = cv2.cvtColor(second, cv2.COLOR_BGR2GRAY)
    score, ssim_map = structural_similarity(gray_a, gray_b, full=True)
    diff = (np.clip(ssim_map.round(9), 0, 1) * 255).astype("uint8")
    level, mask = cv2.threshold(diff, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    contours = cv2.findContours(mask.copy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    boxes = set()
    for contour in imutils.grab_contours(contours):
        x, y, width, height = cv2.boundingRect(contour)
        boxes.add((x, y, width, height))
    return Article(float(score), ssim_map, diff, round(level), mask, boxes)
