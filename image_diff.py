#!/usr/bin/env python3
"""Find where two pictures differ, and show it.

    read -> align -> gray -> SSIM map -> threshold -> mask -> regions -> boxes -> windows, text

    python image_diff.py --first original.png --second modified.png
    python image_diff.py --first original.png --second modified.png --no-window
    python image_diff.py --help

`compare_images` composes the stages and is the summary of the program: start there. What stands
above it computes; what stands below it draws, shows and prints.

Exit status: 0 compared; 2 trouble (bad usage, a picture that cannot be read); 130 after Ctrl+C.

Papers:
    Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural
    similarity. IEEE Trans. Image Processing 13(4), 2004. https://doi.org/10.1109/TIP.2003.819861
    Otsu: A threshold selection method from gray-level histograms. IEEE Trans. Systems, Man, and
    Cybernetics 9(1), 1979. https://doi.org/10.1109/TSMC.1979.4310076
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import math
import os
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import IntEnum
from itertools import count, pairwise, product
from typing import TYPE_CHECKING, Any

# OpenCV reads both while it is imported. 2^28 pixels decode to 0.8 GB a picture.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our messages name the file and the remedy

try:
    import cv2
    import numpy as np
except ImportError as missing:
    requirements = os.path.join(os.path.dirname(os.path.abspath(__file__)), "requirements.txt")
    if ".so" in str(missing):
        remedy = "on Debian or Ubuntu: apt-get install -y libgl1 libglib2.0-0"
    else:
        remedy = f"{sys.executable} -m pip install -r {requirements}"
    if os.path.splitext(os.path.basename(sys.argv[0]))[0] not in ("image_diff", "image-diff"):
        raise ImportError(f"{missing}; {remedy}") from missing  # a program that imports us decides
    print(f"error: cannot import OpenCV: {missing}; {remedy}", file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    PathLike = str | os.PathLike[str]
    Image = NDArray[Any]  # (H, W, 3) BGR or (H, W) gray; uint8, uint16 or float32
    SsimMap = NDArray[Any]  # (H, W) float32 in [-1, 1], 1 = same
    Gray8 = NDArray[Any]  # (H, W) uint8

# --- Words ---------------------------------------------------------------------------------------


class ImageDiffError(Exception):
    """What the user can mend: the text says what is wrong with what, and the remedy."""


class ExitStatus(IntEnum):
    """What the process tells its caller."""

    COMPARED = 0
    TROUBLE = 2
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@dataclass(frozen=True)
class Options:
    """How to compare and what to do with the result; the defaults are the command line's."""

    window: bool = True


@dataclass(frozen=True)
class Region:
    """A connected patch of the mask: its bounding box, in pixels, and what is in it."""

    x: int
    y: int
    width: int
    height: int
    area: int  # different pixels
    ssim: float  # their mean SSIM


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two pictures and where they differ. The arrays share one height and width."""

    first: Image
    second: Image
    score: float  # mean SSIM, in [-1, 1]
    ssim_map: SsimMap
    diff: Gray8  # the SSIM map in 8 bits: 255 = same, dark = differs
    threshold: float  # SSIM in [0, 1]; a pixel at or below it differs
    mask: Gray8  # 255 = differs, 0 = same
    regions: tuple[Region, ...]  # top to bottom, then left to right

    @property
    def different_pixels(self) -> int:
        """The count of different pixels, in all regions together."""
        return sum(region.area for region in self.regions)

    @property
    def different_fraction(self) -> float:
        """The share of the picture that differs, in [0, 1]."""
        return self.different_pixels / self.mask.size


# --- Load ----------------------------------------------------------------------------------------

# Tells a damaged picture from a foreign file; OpenCV finds the format by itself.
FORMATS = {b"\x89PNG": "PNG", b"\xff\xd8": "JPEG", b"RIFF": "WebP", b"II*": "TIFF", b"MM": "TIFF"}
REMEDIES: dict[type[Exception], str] = {
    IsADirectoryError: "name a picture in it",
    PermissionError: "change its permissions",
}


def read_images(first: PathLike, second: PathLike) -> tuple[Image, Image]:
    """Read both pictures at the same time, as decoding releases the GIL; raise as `read_image`."""
    with quiet_codecs(), ThreadPoolExecutor(2) as executor:
        one, other = executor.map(read_image, (first, second))
        return one, other


@contextlib.contextmanager
def quiet_codecs() -> Iterator[None]:
    """Keep off stderr what the C decoders write there, which names no file and no remedy."""
    with open(os.devnull, "wb") as nowhere:
        stderr = os.dup(2)
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def read_image(path: PathLike) -> Image:
    """Read one picture as the eye sees it: upright, and blended over white where it has alpha.

    Returns (H, W, 3) BGR in the file's depth: uint8, uint16, or float32 for any other.
    Raises ImageDiffError, naming the path, where that cannot be done.
    """
    name = os.fspath(path)
    try:
        # Bytes, as cv2.imread does not open every path on Windows, nor tell why it failed.
        with open(path, "rb") as file:
            data = file.read()
    except (OSError, ValueError) as problem:
        remedy = REMEDIES.get(type(problem), "check the path")
        fault = getattr(problem, "strerror", None) or problem
        raise ImageDiffError(f"{name} cannot be read: {fault}; {remedy}") from problem
    if not data:
        raise ImageDiffError(f"{name} is empty; save the picture again")
    try:
        return decode(data)
    except cv2.error as problem:
        if "MAX_IMAGE" in str(problem):
            limit = f"OPENCV_IO_MAX_IMAGE_PIXELS={os.environ['OPENCV_IO_MAX_IMAGE_PIXELS']}"
            fault = f"has more pixels than {limit} allows; set that environment variable higher"
        elif kind := next((FORMATS[start] for start in FORMATS if data.startswith(start)), None):
            fault = f"is a damaged or truncated {kind}; save or copy it again"
        else:
            fault = "is not a picture of a format that OpenCV reads; convert it to PNG"
        raise ImageDiffError(f"{name} {fault}") from problem


def decode(data: bytes) -> Image:
    """Decode the bytes of a picture file as `read_image` says; cv2.error where OpenCV cannot."""
    if data.startswith(b"\xff\xd8"):  # JPEG has no alpha, but often an EXIF orientation
        return imdecode(data, cv2.IMREAD_COLOR)
    image = imdecode(data, cv2.IMREAD_UNCHANGED)  # this flag alone keeps alpha and float
    if image.dtype not in (np.uint8, np.uint16):
        image = image.astype(np.float32)
    if image.ndim == 3 and image.shape[2] == 4:
        # libtiff's 8-bit interface has multiplied the colours by alpha already.
        premultiplied = image.dtype == np.uint8 and data.startswith((b"II*", b"MM"))
        return over_white(image, premultiplied)
    if any(tag in part for tag in (b"eXIf", b"EXIF") for part in (data[:65536], data[-65536:])):
        return imdecode(data, cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH)  # turned upright
    return to_bgr(image)


def imdecode(data: bytes, flags: int) -> Image:
    """cv2.imdecode, with cv2.error in place of None."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if image is None:
        raise cv2.error("cannot decode")
    return image


def to_bgr(image: Image) -> Image:
    """(H, W) gray to (H, W, 3) BGR; BGR stays as it is."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


def over_white(image: Image, premultiplied: bool) -> Image:
    """Blend (H, W, 4) BGRA over white: (H, W, 3) BGR of the same depth."""
    white = float(np.iinfo(image.dtype).max) if image.dtype.kind == "u" else 1.0
    result = np.ascontiguousarray(image[..., :3])
    if image[..., 3].min() == white:  # most screenshots
        return result
    for strip, out in zip(np.array_split(image, 64), np.array_split(result, 64), strict=True):
        alpha = strip[..., 3:] / white
        blended = strip[..., :3] * (1 if premultiplied else alpha) + white * (1 - alpha)
        out[:] = np.rint(blended) if image.dtype.kind == "u" else blended
    return result


# --- Align ---------------------------------------------------------------------------------------

WINDOW = 7  # side of the SSIM window, as scikit-image and the article have it


def align(first: Image, second: Image) -> tuple[Image, Image]:
    """Two (H, W, 3) images of one size and depth, or ImageDiffError that tells both."""
    first, second = to_bgr(first), to_bgr(second)
    sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (first, second)]
    problem = None
    if sizes[0] != sizes[1]:
        problem = f"{sizes[0]} and {sizes[1]} pixels; scale or crop one to the size of the other"
    elif min(first.shape[:2]) < WINDOW:
        problem = f"{sizes[0]} pixels, and SSIM needs {WINDOW} a side; use larger pictures"
    elif first.dtype != second.dtype:
        problem = f"{first.dtype} and {second.dtype}; convert one to the depth of the other"
    if problem:
        raise ImageDiffError(f"the first and the second picture are {problem}")
    return first, second


# --- Similarity ----------------------------------------------------------------------------------

MARGIN = WINDOW // 2
# Small enough for the caches; large enough that two threads seldom wait for the GIL between calls:
# 128x256 takes 1.2 x, 64x512 1.3 x and 512x512 1.4 x the time.
TILE = 128, 512


def similarity(first: Image, second: Image) -> tuple[float, SsimMap, Gray8]:
    """Compare two images of one size and depth by SSIM, tile by tile on all cores.

    Returns the score (the mean of the map without its border of 3 pixels, as scikit-image has it),
    the (H, W) float32 SSIM map in [-1, 1], and the map as an 8-bit picture, negatives clipped to 0.
    """
    height, width = first.shape[:2]
    low, high = value_range(first, second)
    ssim_map = np.empty((height, width), np.float32)
    diff = np.empty((height, width), np.uint8)

    def compare_tile(spans: tuple[tuple[int, int], tuple[int, int]]) -> float:
        """Fill one tile of both maps; return the sum of SSIM - 1 over its pixels that count."""
        (top, bottom), (left, right) = spans
        whole = np.s_[top:bottom, left:right]
        y, x = max(top - MARGIN, 0), max(left - MARGIN, 0)
        a, b = (image[y : bottom + MARGIN, x : right + MARGIN] for image in (first, second))
        rows = 0
        if cv2.norm(a, b, cv2.NORM_INF) > 0:
            a, b = gray(a), gray(b)
            column, row, columns, rows = cv2.boundingRect((a != b).view(np.uint8))
        if not rows:
            ssim_map[whole], diff[whole] = 1, 255
            return 0.0
        # Shrink the tile to the windows that hold a different pixel: in all others SSIM is 1.
        top, bottom = max(top, y + row - MARGIN), min(bottom, y + row + rows + MARGIN)
        left, right = max(left, x + column - MARGIN), min(right, x + column + columns + MARGIN)
        tile = np.s_[top:bottom, left:right]
        if tile != whole:
            ssim_map[whole], diff[whole] = 1, 255
        above, before = min(top, MARGIN), min(left, MARGIN)
        halo = np.s_[top - above - y : bottom + MARGIN - y, left - before - x : right + MARGIN - x]
        ssim = tile_ssim(a[halo], b[halo], high - low)
        ssim = ssim[above : above + bottom - top, before : before + right - left]
        ssim_map[tile] = ssim
        scaled = ssim_map[tile] * 255
        diff[tile] = cv2.threshold(scaled, 0, 0, cv2.THRESH_TOZERO, dst=scaled)[1]
        counted = ssim[
            max(MARGIN - top, 0) : max(height - MARGIN - top, 0),
            max(MARGIN - left, 0) : max(width - MARGIN - left, 0),
        ]
        return float(counted.sum()) - counted.size

    keep_freed_memory()
    tiles = product(spans(height, TILE[0]), spans(width, TILE[1]))
    with ThreadPoolExecutor(cv2.getNumThreads()) as executor:
        missing = math.fsum(executor.map(compare_tile, tiles))
    counted_pixels = (height - 2 * MARGIN) * (width - 2 * MARGIN)
    return 1 + missing / counted_pixels, ssim_map, diff


def keep_freed_memory() -> None:
    """Have glibc keep what one tile frees for the next, rather than fault it in anew every time.

    The default costs a 37-megapixel pair 231,000 page faults in place of 7,000, and 0.3 s of 0.4 s.
    """
    if sys.platform == "linux":
        with contextlib.suppress(AttributeError):  # another C library
            mallopt = ctypes.CDLL(None).mallopt
            mallopt(-3, 8 << 20)  # M_MMAP_THRESHOLD: a tile's buffers come from the heap
            mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD: and the heap keeps them


def value_range(first: Image, second: Image) -> tuple[float, float]:
    """Black and white: by the depth, or of float pictures the least and the largest value."""
    if first.dtype.kind == "u":
        return 0.0, float(np.iinfo(first.dtype).max)
    low, high = float(min(first.min(), second.min())), float(max(first.max(), second.max()))
    if not math.isfinite(high - low):
        raise ImageDiffError("a picture has values that are not finite; replace NaN and infinity")
    return low, high if high > low else low + 1


def spans(length: int, step: int) -> list[tuple[int, int]]:
    """Cut a length into equal spans of about a step: (start, stop) pairs."""
    parts = max(1, round(length / step))
    return list(pairwise(length * i // parts for i in range(parts + 1)))


def gray(image: Image) -> Image:
    """(H, W, 3) BGR to (H, W) luma of the same depth; gray stays as it is."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def tile_ssim(x: Image, y: Image, data_range: float) -> NDArray[Any]:
    """SSIM of two gray (H, W) tiles, each pixel over its 7x7 window, as float64 (H, W).

    Wang et al. 2004, equation 13, with scikit-image's sample covariance and constants, multiplied
    by N^2 and N(N-1). So the sums of an 8-bit pair are whole numbers that float64 holds without
    rounding, and where the windows are equal the quotient is exactly 1. As
    Sx^2 + Sy^2 = 2 Sx Sy + (Sx - Sy)^2, the sums of x, y, xy and (x - y)^2 are enough.
    """
    if x.dtype != np.uint8:
        from skimage.metrics import structural_similarity

        x, y = x.astype(np.float64), y.astype(np.float64)
        full: tuple[float, NDArray[Any]] = structural_similarity(
            x, y, win_size=WINDOW, data_range=data_range, full=True
        )
        return full[1]

    n = WINDOW**2
    c1 = n * n * (0.01 * data_range) ** 2
    c2 = n * (n - 1) * (0.03 * data_range) ** 2
    sum_x, sum_y = window_sum(x), window_sum(y)
    x, y = x.astype(np.uint16), y.astype(np.uint16)
    sum_xy = window_sum(x * y)
    x -= y  # wraps where negative, and the square of that wraps back to the true one
    x *= x
    sum_dd = window_sum(x)
    # In place from here on: fresh memory costs more than the arithmetic.
    luminance: NDArray[Any] = cv2.multiply(sum_x, sum_y, scale=2)
    luminance += c1
    structure: NDArray[Any]  # 2 (n Sxy - Sx Sy) + c2
    structure = cv2.addWeighted(sum_xy, 2 * n, luminance, -1, c1 + c2, dst=sum_xy)
    sum_x -= sum_y
    sum_x *= sum_x
    variance_of_d: NDArray[Any] = cv2.addWeighted(sum_dd, n, sum_x, -1, 0, dst=sum_dd)
    ssim: NDArray[Any] = np.multiply(luminance, structure, out=sum_y)
    luminance += sum_x
    structure += variance_of_d
    luminance *= structure
    ssim /= luminance
    return ssim


def window_sum(values: Image) -> NDArray[Any]:
    """Sum over the 7x7 window around each pixel, mirrored at the edges as scipy's `reflect`."""
    return cv2.boxFilter(
        values, cv2.CV_64F, (WINDOW, WINDOW), normalize=False, borderType=cv2.BORDER_REFLECT
    )


# --- Threshold and regions -----------------------------------------------------------------------


def find_threshold(diff: Gray8) -> tuple[float, Gray8]:
    """Otsu's threshold (1979) of the 8-bit diff, as SSIM in [0, 1], and the (H, W) mask."""
    level, mask = cv2.threshold(diff, 0, 255, cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU)
    return level / 255, mask


def find_regions(mask: Gray8, ssim_map: SsimMap) -> tuple[Region, ...]:
    """Box the outer contours of the mask; what lies inside a ring belongs to the ring."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    regions = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        box = np.s_[y : y + height, x : x + width]
        inside = np.zeros((height, width), np.uint8)
        cv2.drawContours(inside, [contour], -1, 255, cv2.FILLED, offset=(-x, -y))
        inside &= mask[box]
        area = cv2.countNonZero(inside)
        regions.append(Region(x, y, width, height, area, cv2.mean(ssim_map[box], inside)[0]))
    return tuple(sorted(regions, key=lambda region: (region.y, region.x)))


# --- Compare -------------------------------------------------------------------------------------


def compare_images(first: Image, second: Image, options: Options = Options()) -> Comparison:
    """Find where two pictures differ.

    first, second: (H, W, 3) BGR or (H, W) gray, of one size and depth, uint8, uint16 or float32.
    Raises ImageDiffError where they cannot be compared.
    """
    first, second = align(first, second)
    score, ssim_map, diff = similarity(first, second)
    threshold, mask = find_threshold(diff)
    regions = find_regions(mask, ssim_map)
    return Comparison(first, second, score, ssim_map, diff, threshold, mask, regions)


def compare_files(first: PathLike, second: PathLike, options: Options = Options()) -> Comparison:
    """`compare_images` on two picture files; ImageDiffError names the file that cannot be read."""
    one, other = read_images(first, second)
    return compare_images(one, other, options)


# --- Draw ----------------------------------------------------------------------------------------

RED = 0, 0, 255


def draw(comparison: Comparison) -> dict[str, Image]:
    """The four pictures of a comparison by title, (H, W, 3) BGR or (H, W) gray, all uint8."""
    low, high = value_range(comparison.first, comparison.second)
    return {
        "Original": draw_boxes(to_8_bits(comparison.first, low, high), comparison.regions),
        "Modified": draw_boxes(to_8_bits(comparison.second, low, high), comparison.regions),
        "Diff": comparison.diff,
        "Thresh": comparison.mask,
    }


def to_8_bits(image: Image, low: float, high: float) -> Image:
    """Show the values from low to high as 0 to 255; (H, W, 3) uint8 BGR."""
    if image.dtype != np.uint8:
        image = np.rint((image - low) * np.float32(255 / (high - low))).astype(np.uint8)
    return image


def draw_boxes(image: Image, regions: Sequence[Region]) -> Image:
    """A copy of an (H, W, 3) uint8 BGR picture with a red box around every region."""
    picture = image.copy()
    thickness = max(2, round(max(picture.shape) / 800))  # still seen when scaled down to a screen
    for region in regions:
        cv2.rectangle(picture, (region.x, region.y, region.width, region.height), RED, thickness)
    return picture


# --- Show, save, report --------------------------------------------------------------------------

FRAME = 12, 44  # what a window manager adds to a picture: borders, title bar; pixels
PLACINGS = 10  # 0.5 s of moves: a window manager still busy with a new window undoes the first


def report(comparison: Comparison) -> str:
    """The result as text: the score, a line that counts the regions, a line a region."""
    regions = comparison.regions
    found = f"{len(regions)} region{'' if len(regions) == 1 else 's'}"
    lines = [
        f"SSIM: {comparison.score}",
        f"{found}, {100 * comparison.different_fraction:.3g} % of the picture",
    ]
    for region in regions:
        lines.append(
            f"  x {region.x}, y {region.y}, {region.width}x{region.height} pixels, "
            f"{region.area} different, SSIM {region.ssim:.3f}"
        )
    return "\n".join(lines)


def show(comparison: Comparison) -> None:
    """Show the four pictures side by side until a key is pressed or all windows are closed.

    Raises ImageDiffError where no window can be opened.
    """
    screen = screen_size()
    import imutils

    os.environ["QT_QPA_PLATFORM"] = "xcb"  # the wheel has no other plugin: Qt would abort
    os.environ["QT_LOGGING_RULES"] = "*.warning=false"  # "Cannot find font directory", a window
    pictures = draw(comparison)
    height, width = comparison.mask.shape
    scale, columns = fit(screen, width, height)
    for title, picture in pictures.items():
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
        small = picture if scale == 1 else imutils.resize(picture, width=round(width * scale))
        cv2.imshow(title, small)
    # Not waitKey(0): outside Qt it waits for ever once the last window is closed with the mouse.
    for tick in count():
        if tick < PLACINGS:
            for index, title in enumerate(pictures):
                row, column = divmod(index, columns)
                x, y = column * (small.shape[1] + FRAME[0]), row * (small.shape[0] + FRAME[1])
                cv2.moveWindow(title, x, y)
        if cv2.waitKey(50) != -1 or not any(map(is_open, pictures)):
            break
    cv2.destroyAllWindows()


def screen_size() -> tuple[int, int]:
    """Width and height of the screen in pixels; ImageDiffError where no window can be opened."""
    if not cv2.currentUIFramework():
        raise ImageDiffError("this OpenCV has no windows; install opencv-python, not -headless")
    if sys.platform == "win32":
        user32 = ctypes.windll.user32
        return user32.GetSystemMetrics(0), user32.GetSystemMetrics(1)
    if sys.platform == "darwin":
        return 1440, 900  # the smallest in use; macOS tells its size only to Cocoa programs
    # Ask the X server itself: with none there Qt aborts the process, and no `except` can help.
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError as problem:
        raise ImageDiffError(f"no window can be opened: {problem}") from problem
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not display:
        raise ImageDiffError(f"no display answers (DISPLAY={os.environ.get('DISPLAY', '')})")
    width, height = x11.XDisplayWidth(display, 0), x11.XDisplayHeight(display, 0)
    x11.XCloseDisplay(display)
    return min(width, height * 16 // 9), height  # not across two monitors


def fit(screen: tuple[int, int], width: int, height: int) -> tuple[float, int]:
    """The scale, at most 1, and the columns at which four pictures fit the screen best."""
    x, y = screen
    scale, columns = max(
        (min(1.0, (x / columns - FRAME[0]) / width, (y * columns / 4 - FRAME[1]) / height), columns)
        for columns in (1, 2, 4)
    )
    return max(scale, 1 / min(width, height)), columns  # no side shrinks to nothing


def is_open(title: str) -> bool:
    """Whether the window is still there; OpenCV raises once the last one is closed."""
    try:
        return cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1
    except cv2.error:
        return False


# --- Command line --------------------------------------------------------------------------------


def run(first: str, second: str, options: Options) -> ExitStatus:
    """Compare, print, show."""
    comparison = compare_files(first, second, options)
    print(report(comparison), flush=True)
    if options.window:
        try:
            show(comparison)
        except ImageDiffError as problem:
            print(f"no windows: {problem}", file=sys.stderr)
    return ExitStatus.COMPARED


def make_parser() -> argparse.ArgumentParser:
    """The options, with the defaults of `Options`."""
    parser = argparse.ArgumentParser(
        description="Find where two pictures differ, and show it.",
        epilog="exit status: 0 compared; 2 trouble; 130 stopped with Ctrl+C",
    )
    parser.add_argument(
        "-f", "--first", required=True, metavar="PICTURE", help="the original picture"
    )
    parser.add_argument(
        "-s", "--second", required=True, metavar="PICTURE", help="the picture to compare with it"
    )
    parser.add_argument(
        "--no-window", dest="window", action="store_false", help="print only, open no window"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = vars(make_parser().parse_args(argv))
    try:
        return run(arguments.pop("first"), arguments.pop("second"), Options(**arguments))
    except ImageDiffError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return ExitStatus.TROUBLE
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
