#!/usr/bin/env python3
"""Find where two pictures differ, and show it.

    read -> align -> gray -> SSIM -> evidence -> threshold -> mask -> regions -> boxes -> output

    python image_diff.py --first original.png --second modified.png
    python image_diff.py --first original.png --second modified.png --output result --no-window
    python image_diff.py --help

`compare_images` composes the stages and is the summary of the program: start there. What stands
above it computes; what stands below it draws, shows and prints.

Exit status: 0 compared; 1 different, with --exit-code only; 2 trouble (bad usage, a picture or
pair that cannot be compared, a failed write); 130 after Ctrl+C, 143 after SIGTERM.

Papers:
    SSIM: Wang, Bovik, Sheikh, Simoncelli 2004, https://doi.org/10.1109/TIP.2003.819861
    Threshold: Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076
    Features: Lowe 2004 (SIFT), https://doi.org/10.1023/B:VISI.0000029664.99615.94
    Homography: Barath et al. 2020 (MAGSAC++), https://doi.org/10.1109/CVPR42600.2020.00138
    Tracking: Lucas, Kanade 1981, https://hal.science/hal-03697340
"""

from __future__ import annotations

import os
import signal
import sys

AS_PROGRAM = os.path.splitext(os.path.basename(sys.argv[0]))[0] in ("image_diff", "image-diff")
if AS_PROGRAM:  # before the slow imports, as Python's own way to end by Ctrl+C shows a traceback
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))
    # A closed stdin, stdout or stderr would be taken by the next file to open, and written to.
    while (opened := os.open(os.devnull, os.O_RDWR)) < 3:
        pass
    os.close(opened)
    sys.stdout, sys.stderr = sys.stdout or os.fdopen(1, "w"), sys.stderr or os.fdopen(2, "w")
    # NumPy's linear algebra has little to do here, yet its threads spin for 70 ms at the start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import contextlib
import ctypes
import errno
import gc
import io
import math
import re
import threading
import time
from collections import Counter, deque
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, replace
from enum import IntEnum
from functools import partial
from itertools import count, groupby, islice, pairwise, product
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, TextIO

# OpenCV reads both while it is imported. 2^28 pixels decode to 0.8 GB a picture.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our messages name the file and the remedy

gc.disable()  # it finds nothing while these two are imported, and takes 5 % of a short run
try:
    import cv2
    import numpy as np

    gc.enable()
except ImportError as missing:
    if not AS_PROGRAM:
        raise
    packages = f"{sys.executable} -m pip install -r {os.path.dirname(__file__)}/requirements.txt"
    libraries = "on Debian or Ubuntu: apt-get install -y libgl1 libglib2.0-0"
    remedy = libraries if ".so" in str(missing) else packages
    print(f"error: cannot import OpenCV: {missing}; {remedy}", file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Iterator, Sequence
    from sqlite3 import Connection as Database

    from numpy.typing import NDArray

    PathLike = str | os.PathLike[str]
    Rectangle = tuple[int, int, int, int]  # x, y, width, height in pixels
    Image = NDArray[Any]  # (H, W, 3) BGR or (H, W) gray; uint8, uint16 or float32
    SsimMap = NDArray[Any]  # (H, W) float32 in [-1, 1], 1 = same
    Gray8 = NDArray[Any]  # (H, W) uint8
    Places = NDArray[Any]  # (n, 2) floats, x and y in pixels
    Matrix = NDArray[Any]  # (3, 3) float64, a projective transform of pixels (x, y, 1)
    Record = dict[str, Any]  # a result as JSON: `as_record`
    Submit = Callable[[Any], Future[Record]]  # sends a pair to a worker
    Noise = tuple[float, float]  # offset and sigma of luma, in levels of 255

# --- Words ---------------------------------------------------------------------------------------


class ImageDiffError(Exception):
    """What the user can mend: the text says what is wrong with what, and the remedy."""


class ExitStatus(IntEnum):
    """What the process tells its caller."""

    COMPARED = 0
    DIFFERENT = 1  # only where the caller asks for it
    TROUBLE = 2
    INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@dataclass(frozen=True)
class Options:
    """How to compare and what to do with the result; the defaults are the command line's."""

    color: bool = False  # compare chroma too, not luma alone
    align: str = "none"  # or "perspective" or "elastic": register the second picture to the first
    resize: bool = False  # scale the second picture to the size of the first
    tolerance: float = 0  # pixels; what a shift of at most so many explains does not count
    threshold: float | None = None  # SSIM in [0, 1]; None: Otsu's, with a ceiling
    min_area: int = 25  # different pixels that a region has at least; one that differs marks 49
    merge: int = 0  # join regions at most so many pixels apart
    ignore: tuple[Rectangle, ...] = ()  # what is left out
    output: str | None = None  # folder; None: nothing is written
    json: bool = False
    window: bool = True
    exit_code: bool = False
    jobs: int | None = None  # pairs of folders compared at once; None: one a core
    scheduler: str | None = None  # address of a Dask cluster in place of this machine


@dataclass(frozen=True)
class Alignment:
    """How the second picture was laid over the first."""

    method: str  # "resize", "perspective" or "elastic"
    transform: list[list[float]]  # 3x3, from pixels (x, y, 1) of the second to the first's
    matches: int | None  # pairs of features that agree with it
    covered: float  # share of the first picture that the second covers, in [0, 1]


@dataclass(frozen=True)
class Region:
    """A connected patch of the mask: its bounding box, in pixels, and what is in it."""

    x: int
    y: int
    width: int
    height: int
    area: int  # different pixels
    ssim: float  # the mean of their evidence, SSIM less noise, 0 to 1


@dataclass(frozen=True, eq=False)
class Comparison:
    """Two pictures and where they differ. The arrays share one height and width."""

    first: Image
    second: Image
    score: float  # mean SSIM, in [-1, 1]
    evidence: Gray8  # what is thresholded: SSIM less noise, or less for another mean; 255 = same
    ignored: Gray8 | None  # 255 = left out, or not covered by the second; no part of any share
    threshold: float  # SSIM in [0, 1]; evidence at or below it differs
    mask: Gray8  # 255 = differs, 0 = same
    regions: tuple[Region, ...]  # top to bottom, then left to right
    alignment: Alignment | None = None  # how second became what it is here

    @property
    def different_pixels(self) -> int:
        """The count of different pixels, in all regions together."""
        return sum(region.area for region in self.regions)

    @property
    def different_fraction(self) -> float:
        """The share of the picture that differs, in [0, 1]; ignored pixels are not part of it."""
        ignored = 0 if self.ignored is None else cv2.countNonZero(self.ignored)
        return self.different_pixels / max(1, self.mask.size - ignored)


# --- Load ----------------------------------------------------------------------------------------

# Tells a damaged picture from a foreign file; OpenCV finds the format by itself.
FORMATS = rb"(?P<PNG>\x89PNG)|(?P<JPEG>\xff\xd8)|(?P<WebP>RIFF)|(?P<TIFF>II[*+]|MM)|(?P<GIF>GIF8)"
FORMATS += rb"|(?P<HDR>#\?)"
# What decoders say of a picture that they make up in part; not of a tag beside the pixels.
DAMAGE = rb".*(Corrupt JPEG data|CRC error|ADLER32|Truncated compressed|Fax.Decode"
DAMAGE += rb'|(count for|Bogus) "(Strip|Tile)|TIFF_Error(?!.*_TIFFVSetField)).*'
DECODING = threading.Lock()  # stderr is the process's: what is heard is of one pair


@contextlib.contextmanager
def hear_decoders() -> Iterator[BinaryIO]:
    """Take what the C decoders write to stderr, and nowhere else, into a file; Linux only."""
    # No pipe: a full one would stop the decoder or, unblocked, OpenCV's messages for good.
    place = os.memfd_create("heard") if sys.platform == "linux" else os.devnull
    with DECODING, open(place, "w+b") as heard:
        stderr, log_level = os.dup(2), cv2.utils.logging.setLogLevel(3)  # libtiff's warnings
        os.dup2(heard.fileno(), 2)
        try:
            yield heard
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            cv2.utils.logging.setLogLevel(log_level)


def png_chunks(file: BinaryIO) -> dict[bytes, bytes]:
    """The first 10 bytes in each chunk of a PNG by name; none of a file that is no whole PNG."""
    chunks: dict[bytes, bytes] = {}
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    place = 8 if file.read(4) == b"\x89PNG" else size
    while place < size and b"IEND" not in chunks:
        file.seek(place)
        head = file.read(18)
        place += 12 + int.from_bytes(head[:4], "big")
        chunks.setdefault(head[4:8], head[8:])
    file.seek(0)
    return chunks if place <= size else {}  # OpenCV would allocate 4 GB for one that claims it


def to_bgr(image: Image) -> Image:
    """(H, W) gray to (H, W, 3) BGR; BGR stays as it is."""
    return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image


def over_white(image: Image, premultiplied: bool) -> Image:
    """Blend (H, W, 4) BGRA over white, in place: (H, W, 3) BGR of the same depth."""
    whole = image.dtype.kind == "u"
    white = float(np.iinfo(image.dtype).max) if whole else 1.0
    for strip in np.array_split(image, 64):  # at once they would need 64 bytes a pixel
        if (strip[..., 3] != white).any():
            alpha = strip[..., 3:] / white
            blended = strip[..., :3] * (1 if premultiplied else alpha) + white * (1 - alpha)
            strip[..., :3] = np.rint(blended) if whole else blended
    return cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)


def decode(file: BinaryIO, kind: str | None, name: str) -> Image:
    """Decode an open file as `read_image` says; cv2.error where OpenCV cannot, or not rightly."""
    chunks = png_chunks(file)
    if kind == "PNG" and b"IEND" not in chunks:
        raise cv2.error("cut short")
    if b"acTL" in chunks:  # OpenCV reads animated ones unchecked: make it still
        head, _, tail = file.read().partition(b"acTL")
        file = io.BytesIO(head[:-4] + tail[12:])
    # Bytes, as cv2.imread accepts a truncated JPEG and cannot open every path; yet it reads a PNG
    # piece by piece, which spares 12 % of the time of a large pair, and leaves no file of an HDR.
    named = kind in ("PNG", "HDR") and name.isascii() and not isinstance(file, io.BytesIO)
    data = b"" if named else file.read()
    buffer = np.frombuffer(data, np.uint8)
    # Without a dst it is copied once decoded: a page of 37 megapixels takes 15 % more time, 106 MB.
    read: Any = partial(cv2.imread, name, dst=None) if named else partial(cv2.imdecode, buffer)
    # IMREAD_UNCHANGED alone keeps alpha and float, and alone does not turn the picture upright.
    upright = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH
    image = read(flags=upright if kind == "JPEG" else cv2.IMREAD_UNCHANGED)
    alpha = image is not None and image.shape[2:] == (4,)
    if not alpha and (b"eXIf" in chunks or (kind == "WebP" and b"EXIF" in data)):
        image = read(flags=upright)
    # OpenCV swaps red and blue of a PAM, and leaves most of a deep TIFF that lost its tag
    # SamplesPerPixel, 277 of type SHORT, as the memory was.
    deep = image is not None and image.ndim == 3 and image.dtype != np.uint8
    lost = kind == "TIFF" and deep and not re.search(rb"\x15\x01\x03\0|\x01\x15\0\x03", data)
    if image is None or lost or image.shape[2:] == (2,) or data.startswith(b"P7"):
        raise cv2.error("not as the file has it")
    if image.dtype not in (np.uint8, np.uint16):
        with np.errstate(over="ignore"):  # to infinity, which is refused
            image = image.astype(np.float32, copy=False)
    # libtiff's 8-bit interface has multiplied the colours by alpha already.
    return over_white(image, kind == "TIFF" and image.dtype == np.uint8) if alpha else to_bgr(image)


def read_image(path: PathLike) -> Image:
    """Read one picture as the eye sees it: upright, and blended over white where it has alpha.

    Returns (H, W, 3) BGR in the file's depth: uint8, uint16, or float32 for any other. Raises
    ImageDiffError, naming the path, where that cannot be done.
    """
    name, head, kind = os.fspath(path), b"", None
    try:
        with open(path, "rb") as opened:
            file = opened if opened.seekable() else io.BytesIO(opened.read())  # a pipe
            head = file.read(4)
            kind = (known := re.match(FORMATS, head)) and known.lastgroup
            return decode(file, kind, name)
    except (OSError, ValueError, MemoryError, cv2.error) as problem:
        if isinstance(problem, OSError | ValueError):
            reason = getattr(problem, "strerror", None) or problem
            fault = f"cannot be read: {reason}; name a picture that is there and may be read"
        elif "MAX_IMAGE" in str(problem):
            limit = f"OPENCV_IO_MAX_IMAGE_PIXELS={os.environ['OPENCV_IO_MAX_IMAGE_PIXELS']}"
            fault = f"has more pixels than {limit} allows; set that environment variable higher"
        elif isinstance(problem, MemoryError) or problem.code == -4:
            fault = "needs more memory than there is; scale it down"
        elif kind:
            fault = f"is a damaged or truncated {kind}; save or copy it again"
        else:
            foreign = "is not a picture of a format that OpenCV reads; convert it to PNG"
            fault = foreign if head else "is empty; save the picture again"
        raise ImageDiffError(f"{name} {fault}") from problem


def read_images(*paths: PathLike) -> list[Image]:
    """Read pictures at once, as `read_image`, and refuse what a decoder says it made up in part."""
    with hear_decoders() as heard, ThreadPoolExecutor(2) as executor:
        images = list(executor.map(read_image, paths))
        heard.seek(0)
        damage = re.search(DAMAGE, heard.read())
    if damage and len(paths) > 1:
        return [read_images(path)[0] for path in paths]  # to learn which it is
    if damage:
        text = damage[0].decode(errors="replace").strip().rpartition("TIFF_")[2]
        raise ImageDiffError(f"{os.fspath(paths[0])} is damaged: {text}; save or copy it again")
    return images


def pages_left_out(path: PathLike) -> int:
    """How many pages or frames follow the first in a picture file that was read."""
    name = os.fspath(path)
    with contextlib.suppress(cv2.error, UnicodeEncodeError), hear_decoders():
        if os.path.isfile(name.encode()):  # no pipe, read already, nor a name that imcount dies of
            return max(0, cv2.imcount(name) - 1)
    return 0


# --- Align ---------------------------------------------------------------------------------------


def value_range(first: Image, second: Image) -> tuple[float, float]:
    """Black and white: by the depth, or of float pictures the least and the largest value."""
    if first.dtype.kind == "u":
        return 0.0, float(np.iinfo(first.dtype).max)
    low = float(np.minimum(first.min(), second.min()))  # Python's own `min` would drop a NaN
    high = float(np.maximum(first.max(), second.max()))
    if not high - low < 3e38:  # what float32 holds; NaN is not less, either
        raise ImageDiffError("a picture has values that are not finite; replace NaN and infinity")
    return low, high if high > low else low + 1


def gray(image: Image) -> Image:
    """(H, W, 3) BGR to (H, W) luma of the same depth; gray stays as it is."""
    return image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def to_8_bits(image: Image, low: float, high: float) -> Image:
    """The values from low to high as 0 to 255; the same shape, uint8."""
    if image.dtype != np.uint8:
        image = np.rint((image - low) * np.float32(255 / (high - low))).astype(np.uint8)
    return image


WINDOW = 7  # side of the SSIM window, as scikit-image and the article have it


def resize(image: Image, width: int, height: int) -> tuple[Image, Matrix]:
    """A picture scaled by area down, by cubics up, and the transform of its pixels' centres."""
    x, y = width / image.shape[1], height / image.shape[0]
    kind = cv2.INTER_AREA if x * y < 1 else cv2.INTER_CUBIC
    transform = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return cv2.resize(image, (width, height), interpolation=kind), transform


def reduce(image: Image, pixels: float) -> tuple[Image, Matrix]:
    """The same to so many pixels, unless it has fewer."""
    scale = min(1.0, (pixels / (image.shape[0] * image.shape[1])) ** 0.5)
    return resize(image, *(max(1, round(side * scale)) for side in image.shape[1::-1]))


def shrink(mask: Gray8, pixels: int) -> Gray8:
    """An (H, W) mask less so many pixels along its borders, and along the picture's."""
    square = np.ones((2 * pixels + 1, 2 * pixels + 1))
    return cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)


FRINGE = 2  # pixels into which interpolation mixes what is beyond a border; 1: 4 false boxes


def completed(first: Image, second: Image, uncovered: Gray8) -> tuple[Image, NDArray[Any]]:
    """The second picture, but the first where it is not covered or nearly so; and (H, W): where."""
    covered = shrink(~uncovered, FRINGE) > 0
    return np.where(covered[..., None], second, first), covered


def track(
    pair: tuple[Gray8, Gray8], mask: Gray8 | None, most: int, apart: float, side: int, levels: int
) -> tuple[Places, Places]:
    """Where corners of the first of a pair are in the second, and in the first.

    By windows of side x side pixels (Lucas and Kanade 1981). One that, tracked back, ends more than
    half a pixel from where it began has changed, or says nothing: it is left out.
    """
    corners = cv2.goodFeaturesToTrack(pair[0], most, 0.002, apart, mask=mask)
    if corners is None:
        return np.zeros((0, 2)), np.zeros((0, 2))
    follow = partial(cv2.calcOpticalFlowPyrLK, winSize=(side, side), maxLevel=levels)
    places, found, _ = follow(*pair, corners, corners.copy())
    back, again, _ = follow(*pair[::-1], places, places.copy())
    near = np.linalg.norm(back - corners, axis=2) < 0.5
    good = near & (found > 0) & (again > 0)
    return places[good], corners[good]


def matches_of(first: Gray8, second: Gray8) -> Iterator[tuple[Places, Places]]:
    """Places in second and in first that look alike: of features, then of corners.

    SIFT (Lowe 2004): nearer to its match than 0.8 of the next best, and no two to the same one.
    Corners, for pictures without features, may have moved by some 30 pixels.
    """
    sift = cv2.SIFT.create(5000, contrastThreshold=0.005)
    there, descriptors = sift.detectAndCompute(first, None)
    here, others = sift.detectAndCompute(second, None)
    enough = len(there) > 1 and len(here)
    nearest = cv2.BFMatcher().knnMatch(others, descriptors, k=2) if enough else ()
    near = [one for one, next_best in nearest if one.distance < 0.8 * next_best.distance]
    near.sort(key=lambda pair: -pair.distance)
    pairs = {pair.trainIdx: pair.queryIdx for pair in near}  # the nearest comes last
    places = np.array([(here[query].pt, there[train].pt) for train, query in pairs.items()])
    yield places.reshape(-1, 2, 2)[:, 0], places.reshape(-1, 2, 2)[:, 1]
    scaled, scale = resize(second, *first.shape[::-1])
    source, target = track((first, scaled), None, 1000, 8, 31, 4)
    yield (source - scale[:2, 2]) / scale.diagonal()[:2], target


def match(first: Gray8, second: Gray8, reach: float) -> tuple[Matrix, int]:
    """The transform of second to first to about a pixel, and how many matches agree with it.

    MAGSAC++ (Barath et al. 2020) over matches on copies of 1.5 megapixels, which agree within
    `reach` of their pixels. Raises ImageDiffError where 8 and 30 % of them do not: of pictures of
    different things at most 7 did.
    """
    (small, scale), (other, other_scale) = reduce(first, 1.5e6), reduce(second, 1.5e6)
    counts = []
    for source, target in matches_of(small, other):
        matches = 0
        if len(source) >= 4:
            transform, agree = cv2.findHomography(source, target, cv2.USAC_MAGSAC, reach)
            matches = 0 if transform is None else cv2.countNonZero(agree)
        if matches > 8 + 0.3 * len(source):
            return np.linalg.inv(scale) @ transform @ other_scale, matches
        counts.append(f"{matches} of {len(source)} matches agree")
    raise ImageDiffError(
        f"the pictures cannot be registered: {counts[0]}; they must show the same thing"
    )


def fitting(first: Gray8, second: Gray8, transform: Matrix) -> tuple[Gray8, Gray8]:
    """The second picture in the place of the first, and the (H, W) mask of what it covers."""
    warp = partial(cv2.warpPerspective, M=transform, dsize=first.shape[::-1])
    moved = warp(second, flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return moved, warp(np.full_like(second, 255), flags=cv2.INTER_NEAREST)


def refine(first: Gray8, second: Gray8, transform: Matrix, drifts: bool) -> Matrix:
    """The transform to some hundredths of a pixel; ECC was off by 0.2 to 2 where this is by 0.01.

    The least median of squares of up to 4000 corners, three times, so that half of them may have
    changed. Where the picture drifts it is the least squares of all within 8 pixels: the best half
    would be one end of the picture, and the transform off by three times the drift at the other.
    """
    fit, reach = (cv2.RANSAC, 8.0) if drifts else (cv2.LMEDS, 0.0)
    apart = max(3.0, (first.size / 4000) ** 0.5 / 3)
    for levels in (1, 0, 0):
        moved, covered = fitting(first, second, transform)
        source, target = track((first, moved), shrink(covered, 7), 4000, apart, 15, levels)
        step = cv2.findHomography(source, target, fit, reach)[0] if len(source) >= 20 else None
        if step is None:
            break
        transform = step @ transform
        transform = transform / transform[2, 2]
    return transform


def check_transform(transform: Matrix, second: Image, matches: int) -> None:
    """Raise ImageDiffError for a transform that folds the picture, or scales it beyond 1/4 to 4."""
    height, width = second.shape[:2]
    depth = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ transform[2]
    scale = np.linalg.det(transform) / depth**3  # of areas, at each corner
    if depth.min() <= 0 or scale.min() < 1 / 16 or scale.max() > 16:
        text = f"cannot be registered: {matches} matches agree on a transform that"
        fault = "folds or mirrors it" if min(*depth, *scale) <= 0 else "scales it beyond 1/4 to 4"
        raise ImageDiffError(f"the second picture {text} {fault}; photograph it from nearer by")


STIFFNESS = 15.0  # pixels, sigma of the Gaussian that displacements are averaged by


def drift(first: Gray8, second: Gray8, transform: Matrix) -> Image:
    """What the transform leaves: the smooth (H, W, 2) float32 displacement, in pixels of first.

    Steps of up to 8000 corners on copies of 4 megapixels, averaged around every pixel, fade to 0
    far from all. Dense flow (DIS), weighted by the gradient's energy, was measured: F1 0.86 on
    boards with small defects, where this has 0.97.
    """
    (small, scale), (other, other_scale) = reduce(first, 4e6), reduce(second, 4e6)
    fitted, covered = fitting(small, other, scale @ transform @ np.linalg.inv(other_scale))
    y, x = np.indices(small.shape, np.float32)
    shift = np.zeros((*small.shape, 2), np.float32)
    # Wide first, as drift goes on where there are no corners, along plain paper or a long edge.
    for stiffness in (4 * STIFFNESS, STIFFNESS, STIFFNESS):
        at = x + shift[..., 0], y + shift[..., 1]
        moved = cv2.remap(fitted, *at, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        source, target = track((small, moved), covered, 8000, 3, 21, 1)
        near = np.linalg.norm(source - target, axis=1) < 8
        column, row = target[near].astype(int).T
        sums = np.zeros((*small.shape, 3), np.float32)
        sums[row, column] = np.insert((source - target)[near], 2, 1, axis=1)
        # In quarter size, which is as smooth, and in 0.07 s of 5 on 4 megapixels.
        sums = cv2.resize(sums, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA)
        sums = cv2.resize(cv2.GaussianBlur(sums, (0, 0), stiffness / 4), small.shape[::-1])
        one = 1 / (2 * np.pi * stiffness**2)  # what a corner weighs where it is
        shift += sums[..., :2] / (sums[..., 2:] + np.float32(0.1 * one))
    shift /= scale.diagonal()[:2].astype(np.float32)
    return cv2.resize(shift, first.shape[::-1])


def register(first: Image, second: Image, method: str) -> tuple[Image, Gray8, Alignment]:
    """The second picture as it lies over the first, white where it ends; where that is; and how.

    (H, W, 3) of the first's size, warped once; (H, W) uint8, 255 = not covered. Raises
    ImageDiffError where the pictures do not share enough.
    """
    if max(*first.shape, *second.shape) >= 2**15:
        raise ImageDiffError("OpenCV registers up to 32767 pixels a side; scale or crop them")
    low, high = value_range(first, second)
    a, b = (gray(to_8_bits(image, low, high)) for image in (first, second))
    elastic = method == "elastic"
    transform, matches = match(a, b, 8.0 if elastic else 2.0)
    transform = refine(a, b, transform, elastic)
    check_transform(transform, second, matches)
    down, across = np.indices(a.shape, np.float32)
    grid = np.dstack([across, down])
    if elastic:
        grid += drift(a, b, transform)
    places = cv2.perspectiveTransform(grid, np.linalg.inv(transform))
    height, width = b.shape
    uncovered = cv2.bitwise_not(cv2.inRange(places, (-0.5, -0.5), (width - 0.5, height - 0.5)))
    reduction = abs(np.linalg.det(transform[:2, :2])) ** -0.5
    if reduction > 1.25:  # the cubic's four pixels a side would leave some out
        second = cv2.GaussianBlur(second, (0, 0), 0.5 * (reduction**2 - 1) ** 0.5)
    x, y = cv2.split(places)
    moved = cv2.remap(second, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    moved[uncovered > 0] = high
    share = 1 - cv2.countNonZero(uncovered) / uncovered.size
    return moved, uncovered, Alignment(method, transform.tolist(), matches, share)


def align(
    first: Image, second: Image, options: Options
) -> tuple[Image, Image, Gray8 | None, Alignment | None]:
    """Two (H, W, 3) images of one size and depth, what the second does not cover, and how it lies.

    Raises ImageDiffError, with both sizes or depths, where the options do not lead there.
    """
    first, second = to_bgr(first), to_bgr(second)
    size, other = ("{1}x{0}".format(*image.shape) for image in (first, second))
    problem = ""
    if first.dtype != second.dtype:
        problem = f"{first.dtype} and {second.dtype}; convert one to the depth of the other"
    elif min(first.shape[:2]) < WINDOW:
        problem = f"{size} pixels, and SSIM needs {WINDOW} a side; use larger pictures"
    elif size != other and options.align == "none" and not options.resize:
        problem = f"{size} and {other} pixels; --resize scales, --align perspective registers"
    if problem:
        raise ImageDiffError(f"the first and the second picture are {problem}")
    if options.align != "none":
        return first, *register(first, second, options.align)
    if size == other:
        return first, second, None, None
    second, transform = resize(second, *first.shape[1::-1])
    return first, second, None, Alignment("resize", transform.tolist(), None, 1.0)


# --- Similarity ----------------------------------------------------------------------------------

N = WINDOW**2
MARGIN = WINDOW // 2

# What noise may be and a change must exceed, in levels of 255 and chosen by tests/detection.py on
# its development half; beside each what the next value that was tried would cost.
LARGEST_OFFSET = 16  # a choice: +10 is another exposure, +30 a change
LARGEST_SIGMA = 6.0  # 4: 52 false boxes in JPEG 70; more: a large change would pass for noise
SCATTER = 0.5  # standard deviations of d that its mean is uncertain by; 0.25: noise is boxed
SPREAD = 3.0  # times its variance that noise may have in a window; 2: 9 false boxes in JPEG 70
LEVELS = 20.0  # a mean off by so many of 255 is as far as SSIM 0; 16: 2 boxes too many at +10


def estimate_noise(first: Image, second: Image) -> Noise:
    """The offset and the sigma of luma that most pixels share; 0 of pictures beyond 8 bits.

    From the histogram of d = x - y on a lattice of 300,000 pixels or so: its median, unless too
    large for a matter of exposure, and the 90 % quantile of what is left, as that of normal noise.
    The median of what is left would not do: of a text page in JPEG it is 0.
    """
    if first.dtype != np.uint8:
        return 0.0, 0.0
    step = max(1, round((first.size / 9e5) ** 0.5)) | 1  # odd: not in step with JPEG's blocks
    x, y = (gray(image[::step])[:, ::step].astype(np.int16) for image in (first, second))
    histogram = np.bincount((x - y + 255).ravel(), minlength=511)
    total = histogram.sum()
    middle = np.searchsorted(histogram.cumsum(), ((total - 1) // 2, total // 2), side="right")
    offset = float(middle.mean()) - 255
    offset = offset if abs(offset) <= LARGEST_OFFSET else 0.0
    halves = np.abs(2 * np.arange(-255, 256) - round(2 * offset))  # away from the offset
    quantile = np.searchsorted(np.bincount(halves, histogram).cumsum(), 0.9 * total) / 2
    return offset, min(float(quantile) / 1.6449, LARGEST_SIGMA)


def window_sum(values: Image) -> Image:
    """Sum over the 7x7 window around each pixel, mirrored at the edges as scipy's `reflect`."""
    edge = cv2.BORDER_REFLECT
    return cv2.boxFilter(values, cv2.CV_64F, (WINDOW, WINDOW), normalize=False, borderType=edge)


def positive(values: Image) -> Image:
    """The values in place, less those below 0; three times as fast as NumPy's maximum."""
    return cv2.threshold(values, 0, 0, cv2.THRESH_TOZERO, dst=values)[1]


def weigh_mean(sum_d: Image, variance: Image) -> Image:
    """1 where the mean of d is within its scatter, 0 where it exceeds that by LEVELS."""
    scatter = SCATTER / (N * (N - 1)) ** 0.5 / LEVELS
    return cv2.addWeighted(sum_d, -1 / (N * LEVELS), cv2.sqrt(variance), scatter, 1)


def weigh_chroma(a: Image, b: Image) -> Image:
    """The same of the mean of Cr and Cb between two (H, W, 3) uint8 BGR tiles."""
    planes = (cv2.split(cv2.cvtColor(tile, cv2.COLOR_BGR2YCrCb))[1:] for tile in (a, b))
    ds = [cv2.subtract(x, y, dtype=cv2.CV_16S) for x, y in zip(*planes, strict=True)]
    square = np.add(*(window_sum(d) ** 2 for d in ds))
    variance = N * np.add(*(window_sum((d * d).view(np.uint16)) for d in ds)) - square
    return weigh_mean(cv2.sqrt(square).astype(np.float32), variance.astype(np.float32))


def weigh(ssim: Image, terms: Sequence[Image], noise: Noise | None) -> Image:
    """SSIM of a tile without what the pair's noise explains, and with what SSIM is blind to.

    An offset may explain any mean of d between it and 0, as dark and saturated pixels move less;
    sigma comes off the mean, and off the variance. terms: Sd, N times the variance of d, and the
    two factors below `tile_ssim`'s quotient. (H, W) float64 all; the result is float32.
    """
    if noise is None:
        return ssim.astype(np.float32)
    offset, sigma = noise
    sum_d, variance = (term.astype(np.float32) for term in terms[:2])
    mean = positive(np.abs(sum_d - N * offset / 2) - N * abs(offset) / 2)
    weighed = weigh_mean(mean, variance)
    if offset or sigma:
        square = positive(mean - N * sigma)
        spread = positive(variance - SPREAD * N * (N - 1) * sigma**2)
        if not (cv2.hasNonZero(square) or cv2.hasNonZero(spread)):  # as in most tiles
            return cv2.threshold(weighed, 1, 0, cv2.THRESH_TRUNC, dst=weighed)[1]
        square *= square
        sum_d *= sum_d
        luminance = cv2.scaleAdd(sum_d, -0.5, terms[2].astype(np.float32))
        structure = cv2.scaleAdd(variance, -0.5, terms[3].astype(np.float32))
        ssim = cv2.scaleAdd(square, -0.5, luminance) * cv2.scaleAdd(spread, -0.5, structure)
        ssim /= cv2.scaleAdd(square, 0.5, luminance) * cv2.scaleAdd(spread, 0.5, structure)
    return cv2.min(weighed, ssim.astype(np.float32, copy=False))


def tile_ssim(x: Image, y: Image, data_range: float, noise: Noise | None) -> tuple[Image, Image]:
    """SSIM of two gray (H, W) tiles, each pixel over its 7x7 window: float64, and weighed float32.

    Wang et al. 2004, equation 13, with scikit-image's sample covariance and constants, multiplied
    by N^2 and N(N-1). So the sums of an 8-bit pair are whole numbers that float64 holds without
    rounding, and where the windows are equal the quotient is exactly 1. With d = x - y and
    Sx^2 + Sy^2 = 2 Sx Sy + Sd^2, the sums of x, y, xy and d^2 are enough.
    """
    if x.dtype != np.uint8:
        from skimage.metrics import structural_similarity

        x, y = x.astype(np.float64), y.astype(np.float64)
        ssim = structural_similarity(x, y, win_size=WINDOW, data_range=data_range, full=True)[1]
        return ssim, ssim.astype(np.float32)

    c1 = N * N * (0.01 * data_range) ** 2
    c2 = N * (N - 1) * (0.03 * data_range) ** 2
    sum_x, sum_y = window_sum(x), window_sum(y)
    x, y = x.astype(np.uint16), y.astype(np.uint16)
    sum_xy = window_sum(x * y)
    x -= y  # wraps where negative, and the square of that wraps back to the true one
    sum_dd = window_sum(x * x)
    # In place from here on: fresh memory costs more than the arithmetic.
    luminance: Image = cv2.multiply(sum_x, sum_y, scale=2)
    luminance += c1
    structure: Image = cv2.addWeighted(sum_xy, 2 * N, luminance, -1, c1 + c2, dst=sum_xy)
    sum_d = np.subtract(sum_x, sum_y, out=sum_x)
    square = np.multiply(sum_d, sum_d, out=sum_y)
    variance: Image = cv2.addWeighted(sum_dd, N, square, -1, 0, dst=sum_dd)
    ssim = luminance * structure
    luminance += square
    structure += variance
    ssim /= np.multiply(luminance, structure, out=square)
    return ssim, weigh(ssim, (sum_d, variance, luminance, structure), noise)


def keep_freed_memory() -> None:
    """Have glibc keep what one tile frees for the next, rather than fault it in anew every time.

    The default costs a 37-megapixel pair 231,000 page faults in place of 7,000, and 0.3 s of 0.4 s.
    """
    with contextlib.suppress(AttributeError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 8 << 20)  # M_MMAP_THRESHOLD: a tile's buffers come from the heap
        mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD: and the heap keeps them


# Small enough for the caches; large enough that two threads seldom wait for the GIL between calls:
# 128x256 and 64x512 take 1.4 x, 512x512 1.5 x the time.
TILE = 128, 512


def similarity(
    first: Image,
    second: Image,
    noise: Noise | None = None,
    color: bool = False,
    ssim_map: SsimMap | None = None,
) -> tuple[float, Gray8]:
    """Compare two images of one size and depth by SSIM, tile by tile on all cores.

    Returns the score (the mean of the map without its border of 3 pixels, as scikit-image has it)
    and the (H, W) evidence in 8 bits, negatives clipped to 0: of an 8-bit pair with its noise what
    `weigh` makes of the map, otherwise the SSIM map itself. Fills `ssim_map` with the (H, W)
    float32 map in [-1, 1] if one is given: it would be a third of the memory.
    """
    height, width = first.shape[:2]
    low, high = value_range(first, second)
    evidence = np.full((height, width), 255, np.uint8)
    if ssim_map is not None:
        ssim_map[:] = 1

    def compare_tile(spans: tuple[tuple[int, int], tuple[int, int]]) -> float:
        """Fill one tile of the maps; return the sum of SSIM - 1 over its pixels that count."""
        (top, bottom), (left, right) = spans
        y, x = max(top - MARGIN, 0), max(left - MARGIN, 0)
        a, b = (image[y : bottom + MARGIN, x : right + MARGIN] for image in (first, second))
        if cv2.norm(a, b, cv2.NORM_INF) == 0:
            return 0.0
        # Shrink the tile to the windows that hold a different pixel: in all others SSIM is 1.
        different = (a != b).view(np.uint8)
        depth = different[0, 0].size
        column, row, columns, rows = cv2.boundingRect(different.reshape(len(a), -1))
        top, bottom = max(top, y + row - MARGIN), min(bottom, y + row + rows + MARGIN)
        left = max(left, x + column // depth - MARGIN)
        right = min(right, x + (column + columns - 1) // depth + 1 + MARGIN)
        y, x = max(top - MARGIN, 0), max(left - MARGIN, 0)
        a, b = (image[y : bottom + MARGIN, x : right + MARGIN] for image in (first, second))
        ssim, weighed = tile_ssim(gray(a), gray(b), high - low, noise)
        if color:
            chroma = weigh_chroma(to_8_bits(a, low, high), to_8_bits(b, low, high))
            weighed = cv2.min(weighed, chroma)
        inner = np.s_[top - y : bottom - y, left - x : right - x]
        evidence[top:bottom, left:right] = positive(weighed[inner] * 255)
        if ssim_map is not None:
            ssim_map[top:bottom, left:right] = ssim[inner]
        top, bottom = max(top, MARGIN) - y, min(bottom, height - MARGIN) - y
        left, right = max(left, MARGIN) - x, min(right, width - MARGIN) - x
        counted = ssim[top : max(bottom, 0), left : max(right, 0)]
        return float(counted.sum()) - counted.size

    keep_freed_memory()
    rows, columns = (
        np.linspace(0, length, max(1, round(length / step)) + 1, dtype=int).tolist()
        for length, step in zip((height, width), TILE, strict=True)
    )
    with ThreadPoolExecutor(cv2.getNumThreads()) as executor:
        missing = math.fsum(executor.map(compare_tile, product(pairwise(rows), pairwise(columns))))
    return 1 + missing / ((height - 2 * MARGIN) * (width - 2 * MARGIN)), evidence


RESAMPLED = 1.0  # pixels that resampling may move an edge by; 0.5: 5 false boxes in line art
GROWTH = 6  # pixels beyond the tolerance; 2: recall 0.88 in place of 0.94, 10: more false boxes


def within(image: Image, other: Image, reach: float) -> Image:
    """The image with every value clipped to the local range of the other, of the same shape.

    The range is that from erosion to dilation by `reach` pixels, a part of a pixel in proportion.
    """
    whole, part = int(reach), reach % 1

    def spread(extend: Callable[..., Image]) -> Image:
        near = extend(other, np.ones((2 * whole + 1, 2 * whole + 1)))
        return cv2.addWeighted(near, 1 - part, extend(near, np.ones((3, 3))), part, 0)

    return cv2.min(cv2.max(image, spread(cv2.erode)), spread(cv2.dilate))


def tolerate(
    first: Image, second: Image, evidence: Gray8, noise: Noise, reach: float, color: bool
) -> Gray8:
    """The (H, W) evidence less what a shift of at most `reach` pixels explains.

    Each picture is compared with what of it lies within the other's local range: both, as where a
    thin line is gone the other's white is within the range of the line and the white around it.
    A change loses its rim by this, and in a texture most of its inside. So it is what remains, but
    for specks below 3x3 pixels, with what differs in the plain evidence around it.
    """
    remains = np.full_like(evidence, 255)
    for x, y in ((first, within(first, second, reach)), (within(second, first, reach), second)):
        # The offset is the pair's: here it is within the range where there is texture.
        clipped = noise[0], estimate_noise(x, y)[1]
        remains = cv2.min(remains, similarity(x, y, clipped, color)[1])
    side = 2 * (math.ceil(reach) + GROWTH) + 1
    near = cv2.erode(cv2.dilate(remains, np.ones((3, 3))), np.ones((side, side)))
    return cv2.max(evidence, near)


def find_evidence(
    first: Image, second: Image, uncovered: Gray8 | None, resampled: bool, options: Options
) -> tuple[float, Gray8]:
    """The score of two (H, W, 3) images that `align` gave, and the evidence: as `similarity`.

    What the second does not cover is no part of the score, and 255 in the evidence. resampled:
    whether `align` interpolated.
    """
    covered = None
    if uncovered is not None:
        second, covered = completed(first, second, uncovered)
    pair = first, second
    if resampled:  # interpolation loses lines of one pixel and one apart: take them from both
        pair = cv2.GaussianBlur(first, (3, 3), 0), cv2.GaussianBlur(second, (3, 3), 0)
    noise = estimate_noise(*pair)
    score, evidence = similarity(*pair, noise, options.color)
    if resampled:
        score, _ = similarity(first, second)
    if covered is not None:
        counted = covered[MARGIN:-MARGIN, MARGIN:-MARGIN]
        score = 1 - (1 - score) * counted.size / max(1, int(counted.sum()))
    if reach := max(options.tolerance, RESAMPLED * resampled):
        evidence = tolerate(*pair, evidence, noise, reach, options.color)
    return score, evidence


# --- Threshold and regions -----------------------------------------------------------------------

CEILING = 0.65  # of Otsu's threshold, which always splits; 0.7: 0.6 false boxes a picture at +10


def find_threshold(evidence: Gray8, ceiling: float, options: Options) -> tuple[float, Gray8]:
    """The threshold given, or Otsu's (1979) up to a ceiling, and the (H, W) mask at or below it.

    It is an SSIM in [0, 1], and works in steps of 1/255; where windows are equal nothing differs.
    """
    threshold = options.threshold
    if threshold is None:
        otsu, _ = cv2.threshold(evidence, 0, 255, cv2.THRESH_OTSU | cv2.THRESH_DRYRUN)
        # Of values that are all alike Otsu's is 0, whatever they are.
        threshold = int(min(otsu or evidence.min() % 255, ceiling * 255)) / 255
    level = min(int(threshold * 255 + 0.5), 254)
    return threshold, cv2.threshold(evidence, level, 255, cv2.THRESH_BINARY_INV)[1]


def merge_boxes(boxes: NDArray[Any], gap: int) -> NDArray[Any]:
    """Join boxes at most so many pixels apart, across and down, until none are left.

    (n, 6) int64: left, top, right and bottom of each, and two sums over what is in it.
    """
    apart = boxes[:0]
    for box in boxes:
        near = np.ones(1, bool)
        while near.any():
            between = np.maximum(apart[:, :2], box[:2]) - np.minimum(apart[:, 2:4], box[2:4])
            near = between.max(axis=1) <= gap
            joined, apart = np.vstack([apart[near], box]), apart[~near]
            box = np.hstack([joined[:, :2].min(0), joined[:, 2:4].max(0), joined[:, 4:].sum(0)])
        apart = np.vstack([apart, box])
    return apart


def find_regions(
    mask: Gray8, evidence: Gray8, options: Options
) -> tuple[Gray8, tuple[Region, ...]]:
    """Box the outer contours of the mask; what lies inside a ring belongs to the ring.

    Returns the mask, from which the regions below the smallest area are taken in place, and the
    other regions.
    """
    boxes, specks = [], []
    for contour in cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)[0]:
        x, y, width, height = cv2.boundingRect(contour)
        if width * height >= options.min_area:  # else the rest would take twice the time of all
            box = np.s_[y : y + height, x : x + width]
            inside = np.zeros((height, width), np.uint8)
            cv2.drawContours(inside, [contour], -1, 255, cv2.FILLED, offset=(-x, -y))
            inside &= mask[box]
            area = cv2.countNonZero(inside)
            if area >= options.min_area:
                total = round(area * cv2.mean(evidence[box], inside)[0])
                boxes.append((x, y, x + width, y + height, area, total))
                continue
        specks.append(contour)
    cv2.drawContours(mask, specks, -1, 0, cv2.FILLED)
    rows = np.reshape(boxes, (-1, 6))
    rows = merge_boxes(rows, options.merge) if options.merge else rows
    regions = [  # evidence is rounded down
        Region(x, y, right - x, bottom - y, area, (total / area + 0.5) / 255)
        for x, y, right, bottom, area, total in rows.tolist()
    ]
    return mask, tuple(sorted(regions, key=lambda region: (region.y, region.x)))


def mask_of(
    rectangles: Sequence[Rectangle], uncovered: Gray8 | None, height: int, width: int
) -> Gray8 | None:
    """The (H, W) mask of the rectangles and of what is not covered, 255; None where there is none.

    Raises ImageDiffError for a rectangle that is wholly outside.
    """
    if not rectangles:
        return uncovered
    ignored = np.zeros((height, width), np.uint8) if uncovered is None else uncovered.copy()
    for x, y, wide, high in rectangles:
        part = ignored[max(y, 0) : max(y + high, 0), max(x, 0) : max(x + wide, 0)]
        if not part.size:
            text = f"{x},{y},{wide},{high} lies outside of the {width}x{height} pixels"
            raise ImageDiffError(f"--ignore {text}; give X,Y,WIDTH,HEIGHT of a part to leave out")
        part[:] = 255
    return ignored


# --- Compare -------------------------------------------------------------------------------------


def compare_images(first: Image, second: Image, options: Options = Options()) -> Comparison:
    """Find where two pictures differ.

    first, second: (H, W, 3) BGR or (H, W) gray, of one size and depth, uint8, uint16 or float32.
    Raises ImageDiffError where they cannot be compared.
    """
    first, second, uncovered, alignment = align(first, second, options)
    resampled = alignment is not None
    score, evidence = find_evidence(first, second, uncovered, resampled, options)
    ignored = mask_of(options.ignore, uncovered, *evidence.shape)
    evidence = evidence if ignored is None else evidence | ignored
    ceiling = CEILING if first.dtype == np.uint8 else 1.0
    threshold, mask = find_threshold(evidence, ceiling, options)
    mask, regions = find_regions(mask, evidence, options)
    return Comparison(first, second, score, evidence, ignored, threshold, mask, regions, alignment)


def compare_files(first: PathLike, second: PathLike, options: Options = Options()) -> Comparison:
    """`compare_images` on two picture files; ImageDiffError names the file that cannot be read."""
    one, other = read_images(first, second)
    return compare_images(one, other, options)


# --- Draw ----------------------------------------------------------------------------------------

RED = 0, 0, 255
TITLES = "Original", "Modified", "Diff", "Thresh"


def clean_pictures(comparison: Comparison) -> tuple[Image, Image]:
    """First and second as they were compared, (H, W, 3) uint8 BGR."""
    low, high = value_range(comparison.first, comparison.second)
    return to_8_bits(comparison.first, low, high), to_8_bits(comparison.second, low, high)


def draw_boxes(image: Image, regions: Sequence[Region]) -> Image:
    """A copy of an (H, W, 3) uint8 BGR picture with a red box around every region."""
    picture = image.copy()
    thickness = max(2, round(max(picture.shape) / 800))  # still seen when scaled down to a screen
    for region in regions:
        cv2.rectangle(picture, (region.x, region.y, region.width, region.height), RED, thickness)
    return picture


def hatch(image: Image, ignored: Gray8) -> Image:
    """A copy of a uint8 picture with gray stripes where the (H, W) mask is set."""
    down, across = (np.arange(side).astype(np.uint8) for side in ignored.shape)  # wraps at 256
    picture = image.copy()
    picture[(np.add.outer(down, across) % 8 < 2) & (ignored > 0)] = 128
    return picture


def thumbnail(image: Image, regions: Sequence[Region]) -> Image:
    """A copy of an (H, W, 3) uint8 BGR picture, at most 320x240, with boxes that are still seen."""
    scale = min(1.0, 320 / image.shape[1], 240 / image.shape[0])
    small, _ = resize(image, *(max(1, round(side * scale)) for side in image.shape[1::-1]))
    for region in regions:
        x, y = int(region.x * scale), int(region.y * scale)
        width, height = (max(5, round(side * scale)) for side in (region.width, region.height))
        cv2.rectangle(small, (x, y, width, height), RED, 2)
    return small


def draw(comparison: Comparison, title: str) -> Image:
    """A picture of the comparison by its title: (H, W, 3) BGR or (H, W) gray, uint8."""
    if title == "Diff":
        second = comparison.second
        if comparison.alignment and comparison.ignored is not None:
            second, _ = completed(comparison.first, second, comparison.ignored)
        _, image = similarity(comparison.first, second)  # the SSIM map as it is
    elif title == "Thresh":
        image = comparison.mask
    else:
        image = draw_boxes(clean_pictures(comparison)[title == "Modified"], comparison.regions)
    return image if comparison.ignored is None else hatch(image, comparison.ignored)


# --- Show, save, report --------------------------------------------------------------------------


def tell(text: str) -> None:
    """Print one line on stderr, whatever characters a name brings, and whether it is read."""
    line = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


FIELDS = "schema status name first second width height ssim threshold different_pixels "
FIELDS += "different_fraction regions alignment error"  # of the JSON, in order
EMPTY: Record = dict.fromkeys(FIELDS.split()) | {"schema": 1, "regions": []}


def as_record(comparison: Comparison, first: PathLike, second: PathLike) -> Record:
    """The result as the JSON object that --json prints and result.json holds."""
    height, width = comparison.mask.shape
    return EMPTY | {
        "status": "different" if comparison.regions else "same",
        "first": os.fspath(first),
        "second": os.fspath(second),
        "width": width,
        "height": height,
        "ssim": comparison.score,
        "threshold": comparison.threshold,
        "different_pixels": comparison.different_pixels,
        "different_fraction": comparison.different_fraction,
        "regions": [asdict(region) for region in comparison.regions],
        "alignment": comparison.alignment and asdict(comparison.alignment),
    }


def summary(regions: Sequence[object], fraction: float) -> str:
    """How many regions, and what share of the picture: three digits, never rounded to zero."""
    plural = "" if len(regions) == 1 else "s"
    return f"{len(regions)} region{plural}, {100 * fraction:.3g} % of the picture"


def registration(alignment: Alignment) -> str:
    """How the second picture was laid over the first, in words."""
    matches = "" if alignment.matches is None else f"{alignment.matches} matches agree, "
    return f"alignment {alignment.method}: {matches}{100 * alignment.covered:.4g} % covered"


def as_text(comparison: Comparison, options: Options) -> str:
    """The result as text: score, count of the regions, a line a region, and the threshold."""
    lines = [
        f"SSIM: {comparison.score}",
        summary(comparison.regions, comparison.different_fraction),
    ]
    level = 256
    for region in comparison.regions:
        line = "  x {x}, y {y}, {width}x{height} pixels, {area} different, SSIM {ssim:.3f}"
        lines.append(line.format(**vars(region)))
        # Below this level it has fewer pixels than it needs.
        box = np.s_[region.y : region.y + region.height, region.x : region.x + region.width]
        evidence, mask = comparison.evidence[box], comparison.mask[box]
        counts = cv2.calcHist([evidence], [0], mask, [256], [0, 256]).cumsum()
        level = min(level, int(np.searchsorted(counts, max(options.min_area, 1))))
    if comparison.alignment:
        rows = (" ".join(f"{x:.6g}" for x in row) for row in comparison.alignment.transform)
        lines.append(f"{registration(comparison.alignment)}, transform {'; '.join(rows)}")
    passing = f"; {(level - 1) / 255:.4f} leaves no region" if level else "; even 0 leaves a region"
    lines.append(f"threshold {comparison.threshold:.4f}{passing if comparison.regions else ''}")
    return "\n".join(lines)


def is_plain_png(path: str) -> bool:
    """Whether a file, not a pipe, is an 8-bit RGB PNG that is shown as it is stored."""
    with open(path if os.path.isfile(path) else os.devnull, "rb") as file:
        chunks = png_chunks(file)
    plain = chunks.get(b"IHDR", b"")[8:] == b"\x08\x02"  # depth and colour type
    return plain and not chunks.keys() & {b"tRNS", b"eXIf", b"acTL"}


@contextlib.contextmanager
def writing(folder: PathLike) -> Iterator[None]:
    """Raise ImageDiffError, naming the folder, where it cannot be written to."""
    try:
        yield
    except OSError as problem:
        busy = isinstance(problem, BlockingIOError)  # of a lock
        fault = "another run writes there" if busy else problem.strerror
        remedy = "free or name another folder"
        raise ImageDiffError(f"cannot write to {os.fspath(folder)}: {fault}; {remedy}") from problem


@contextlib.contextmanager
def staging(folder: PathLike) -> Iterator[str]:
    """A folder inside of another, which is locked, for files to be moved out when all are whole.

    SIGINT and SIGTERM wait for its end. What SIGKILL left of it the next run removes.
    """
    import shutil
    from glob import glob
    from tempfile import TemporaryDirectory as Temporary

    os.makedirs(folder, exist_ok=True)
    late: list[int] = []
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(ImportError, OSError):  # Windows has none, nor have some networks
            import fcntl

            stack.callback(os.close, lock := os.open(folder, os.O_RDONLY))
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left in glob(".image_diff-*", root_dir=folder):
                shutil.rmtree(os.path.join(folder, left), ignore_errors=True)
        stack.callback(lambda: list(map(signal.raise_signal, late)))
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                before = signal.signal(number, lambda number, _: late.append(number))
                stack.callback(signal.signal, number, before or signal.SIG_DFL)
        beside = Temporary(prefix=".image_diff-", dir=folder, ignore_cleanup_errors=True)
        yield stack.enter_context(beside)


# Run lengths of the difference to the row above: of a page 12 % faster and smaller than OpenCV's
# default; no compression at all takes twice as long, as it writes six times the bytes.
PNG = [cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
PNG += [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP]

SMALL = {"original_small.jpg": "first", "modified_small.jpg": "second"}  # for a folder's overview


def save(comparison: Comparison, record: Record, folder: PathLike) -> None:
    """Write the pictures, result.json and index.html into a folder, all or none: ImageDiffError."""
    import json

    clean = dict(zip(("first", "second"), clean_pictures(comparison), strict=True))
    # A large one beside one that need not be drawn.
    names = "result.json index.html original.png first.png modified.png second.png diff.png"
    files = [*names.split(), "thresh.png", *(SMALL if record["name"] else ())]

    def contents(name: str) -> Any:
        stem, suffix = os.path.splitext(name)
        if suffix == ".json":
            return f"{json.dumps(record)}\n".encode()
        if suffix == ".html":
            return page(comparison, record).encode(errors="backslashreplace")
        if name in SMALL:
            return cv2.imencode(suffix, thumbnail(clean[SMALL[name]], comparison.regions))[1]
        as_it_was = stem == "first" or (stem == "second" and not comparison.alignment)
        if as_it_was and is_plain_png(record[stem]):
            return np.fromfile(record[stem], np.uint8)  # half of the encoding spared
        picture = clean[stem] if stem in clean else draw(comparison, stem.capitalize())
        return cv2.imencode(suffix, picture, PNG)[1]

    def write(path: str) -> None:
        with open(path, "wb") as file:
            file.write(contents(os.path.basename(path)))

    with writing(folder):
        for target in filter(os.path.exists, (os.path.join(folder, name) for name in files)):
            is_folder = os.path.isdir(target)
            if is_folder or any(os.path.samefile(target, record[which]) for which in clean):
                fault = f"{target} is {'a folder' if is_folder else 'an input'}"
                raise ImageDiffError(f"{fault}; name another folder for the output")
        with staging(folder) as beside, ThreadPoolExecutor(cv2.getNumThreads()) as executor:
            list(executor.map(write, [os.path.join(beside, name) for name in files]))
            for name in files:
                os.replace(os.path.join(beside, name), os.path.join(folder, name))


# What both pages share. Only the script with this hash runs, whatever a name holds.
HEAD = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src 'self' file:;
 style-src 'unsafe-inline'; script-src '$hash'; base-uri 'none'; form-action 'none'">
<style>
:root { color-scheme: light dark; --line: #8886; --soft: #8882; --mark: #f0142f; --pick: #1f6bd0; }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
header, nav, main, section { padding: 12px max(12px, 2vw); } h1, p { margin: 4px 0; }
h1 { font-size: 20px; overflow-wrap: anywhere; }
nav { position: sticky; top: 0; z-index: 1; background: Canvas; outline: 1px solid var(--line); }
nav, fieldset { display: flex; flex-wrap: wrap; gap: 6px; align-items: center; }
fieldset { border: 0; padding: 0; margin: 0 12px 0 0; }
label { padding: 4px 10px; border-radius: 6px; cursor: pointer; background: var(--soft); }
label:has(:checked) { background: var(--pick); color: #fff; }
label:focus-within { outline: 2px solid; outline-offset: 1px; }
label input { position: absolute; opacity: 0; pointer-events: none; }
"""
# Over all pictures lie the boxes, the swipe's slider and the toggle's switch: mouse, touch and
# keyboard are the browser's. `body:has`, as `:has` alone takes 4 times as long with 2000 regions.
PAGE = """\
main { display: grid; gap: 0 16px; justify-items: center; isolation: isolate; }
figure { position: relative; grid-area: 1 / 1; margin: 32px 0 0; line-height: 0; }
figure::before { content: attr(class); position: absolute; inset: auto 0 calc(100% + 1px);
  line-height: 24px; background: Canvas; }
figure > :not(img) { position: absolute; inset: 0; z-index: 1; width: 100%; height: 100%; }
img { max-width: 100%; height: auto; outline: 1px solid var(--line); }
figure:has(:focus-visible) img { outline: 2px solid var(--pick); }
svg { fill: none; stroke: var(--mark); stroke-width: 2; pointer-events: none; }
rect { vector-effect: non-scaling-stroke; } polygon { fill: url(#hatch); stroke: none; }
body:has(#boxes:not(:checked)) :is(#all, use) { visibility: hidden; }
.second, .diff, .thresh, #at, #other { display: none; }
body:has(#side:checked) { main { grid-template-columns: repeat(auto-fit, minmax(280px, 1fr)); }
  .second { display: block; grid-area: auto; } }
body:has(#swipe:checked, #blend:checked) { .second, #at { display: block; }
  .second::before { left: auto; } }
body:has(#swipe:checked) { .second { clip-path: inset(-28px 0 0 var(--at)); }
  .first svg { background: linear-gradient(var(--pick) 0 0) var(--at) / 2px no-repeat; }
  #at { left: -12px; width: calc(100% + 24px); margin: 0; opacity: 0; cursor: ew-resize;
    appearance: none; &::-webkit-slider-thumb { appearance: none; width: 24px; height: 100%; } } }
body:has(#blend:checked) { .second { opacity: var(--at); }
  #at { position: sticky; top: 92px; width: 0; min-width: 50%; height: 24px;
    margin: -27px auto 3px; } }
body:has(#toggle:checked) { #other, &:has(#other:checked) .second { display: block; } }
#other { margin: 0; opacity: 0; cursor: pointer; }
body:has(#diff:checked) .diff, body:has(#thresh:checked) .thresh { display: block; }
table { border-collapse: collapse; margin: 12px 0; font-size: clamp(13px, 3.4vw, 16px); }
th, td { padding: 4px .4em; text-align: right; border-bottom: 1px solid var(--line); }
tbody tr { position: relative; } tbody tr:is(:hover, :focus-within) { background: var(--soft); }
td a::after { content: ""; position: absolute; inset: 0; } section { overflow-x: auto; }
</style>
<header><h1>$title</h1>$back<p><b>SSIM $ssim</b>, threshold $threshold
<p>$summary, $width x $height<p>$registration</header>
<nav><fieldset aria-label="view">$views</fieldset>
<label><input type="checkbox" id="boxes" checked>boxes</label></nav>
<main><figure class="first">
<input type="range" id="at" step="any" aria-label="place of the swipe and the blend">
<img src="first.png" alt="first"><svg viewBox="0 0 $width $height" aria-hidden="true">
<pattern id="hatch" width="8" height="8" patternUnits="userSpaceOnUse"><path d="M0 8L8 0"
stroke="#888"/></pattern><g id="all">$shapes</g><use class="flash"/></svg>
<input type="checkbox" id="other" aria-label="second"></figure>
<figure class="second"><img src="second.png" alt="second"><svg viewBox="0 0 $width $height"
aria-hidden="true"><use href="#all"/><use class="flash"/></svg></figure>
<figure class="diff"><img src="diff.png" alt="diff"></figure>
<figure class="thresh"><img src="thresh.png" alt="thresh"></figure></main>
<section><p>Keys: 1 to 6 choose the view, left and right move the swipe and the blend, space
toggles, b shows and hides the boxes. A click on a region shows where it is.
<table><thead><tr><th>region<th>x<th>y<th>width<th>height<th>different<th>SSIM<tbody>$rows</table>
</section><script>$script</script></html>
"""
SCRIPT = """
const [at, boxes, other] = ["at", "boxes", "other"].map(id => document.getElementById(id));
const views = document.getElementsByName("view");
onpageshow = at.oninput = () => document.body.style.setProperty("--at", at.value + "%");
onclick = event => {
  const region = event.target.hash;
  if (!region) return;
  event.preventDefault();  // the focus stays in the table
  boxes.checked = true;
  document.querySelector(region).scrollIntoView({ block: "center", behavior: "smooth" });
  for (const use of document.querySelectorAll(".flash")) {
    use.setAttribute("href", region);
    use.animate({ stroke: "#1f6bd0", strokeWidth: 8, fill: "#1f6bd055", offset: .5 },
      { duration: 500, iterations: 4 });
  }
};
onkeydown = event => {
  const key = event.key, step = { ArrowLeft: -2, ArrowRight: 2 }[key];
  const input = views[key - 1] ?? { b: boxes, " ": other }[key];
  const switching = key == " " && event.target.type == "checkbox";
  if (event.ctrlKey || event.metaKey || event.altKey || switching) return;
  if (input?.offsetParent) input.click();
  else if (step && at.offsetParent) at.value = +at.value + step;
  else return;
  at.oninput();
  event.preventDefault();
};
"""


def fill(page: str, script: str, values: dict[str, Any]) -> str:
    """A whole page, with its script and its values in their places."""
    import base64
    import hashlib
    from string import Template

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Template(HEAD + page).substitute(values, script=script, hash=f"sha256-{digest}")


def page(comparison: Comparison, record: Record) -> str:
    """The report: one HTML page that shows the pictures beside it, and asks for nothing else."""
    from html import escape

    up = "../" * (1 + record["name"].count(os.sep)) if record["name"] else ""
    view = '<label><input type="radio" name="view" id="{0}">{0}</label>'
    views = map(view.format, ("side", "swipe", "blend", "toggle", "diff", "thresh"))
    rect = '<rect id="r{}" x="{x}" y="{y}" width="{width}" height="{height}"/>'
    row = '<tr><td><a href="#r{0}">{0}</a><td>{x}<td>{y}<td>{width}<td>{height}'
    row += "<td>{area}<td>{ssim:.3f}\n"
    regions = list(enumerate(record["regions"], 1))
    shapes = [rect.format(number, **region) for number, region in regions]
    if comparison.ignored is not None:
        way = cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
        for outline in cv2.findContours(comparison.ignored, *way)[0]:
            shapes.append(f'<polygon points="{" ".join(map(str, outline.ravel()))}"/>')
    values = record | {
        "title": escape(f"{record['second']} compared with {record['first']}"),
        "back": f'<p><a href="{up}index.html">all pairs</a>' if up else "",
        "threshold": f"{record['threshold']:.4f}",
        "summary": summary(comparison.regions, comparison.different_fraction),
        "registration": registration(comparison.alignment) if comparison.alignment else "",
        "views": "".join(views).replace('"side"', '"side" checked'),
        "shapes": "".join(shapes),
        "rows": "".join(row.format(number, **region) for number, region in regions),
    }
    return fill(PAGE, SCRIPT, values)


FRAME = 12, 44  # what a window manager adds to a picture: borders, title bar; pixels
SLIDERS = "threshold", "min area"  # under Thresh
BELOW = 100  # their height, pixels
PLACINGS = 50  # 0.5 s of moves: a window manager still busy with a new window undoes the first
BLINK = 40  # ticks of 10 ms for which each picture is shown
KEYS = "b blink, s save, h keys, any other key closes"
FONTS = "dejavu", "truetype/dejavu", "TTF", "dejavu-sans-fonts", "truetype/liberation"


def screen_size() -> tuple[int, int]:
    """Width and height of the screen in pixels; ImageDiffError where no window can be opened."""
    if not cv2.currentUIFramework():
        raise ImageDiffError("this OpenCV has no windows; install opencv-python, not -headless")
    if sys.platform in ("win32", "darwin"):
        return 1440, 900  # a small one: these tell the size by calls of their own only
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


def fit(height: int, width: int) -> tuple[float, list[tuple[int, int]]]:
    """The scale, at most 1, at which four pictures fit the screen best, and their places there."""
    x, y = screen_size()
    room = [(n, x / n - FRAME[0], (y - BELOW) * n / 4 - FRAME[1]) for n in (1, 2, 4)]
    scale, columns = max((min(1.0, wide / width, high / height), n) for n, wide, high in room)
    scale = max(scale, 1 / min(width, height))  # no side shrinks to nothing
    x, y = round(width * scale) + FRAME[0], round(height * scale) + FRAME[1]
    return scale, [(index % columns * x, index // columns * y) for index in range(4)]


def show(comparison: Comparison, options: Options, keep: Callable[[Comparison], None]) -> Options:
    """Show the four pictures side by side until a key is pressed or all windows are closed.

    Two sliders choose the threshold and the smallest area anew; returns the options as chosen.
    `keep` saves what is shown. Raises ImageDiffError where no window can be opened.
    """
    scale, places = fit(*comparison.mask.shape)
    fonts = (f"/usr/share/fonts/{name}" for name in FONTS)  # the wheel has none for the sliders
    os.environ["QT_QPA_FONTDIR"] = next(filter(os.path.isdir, fonts), "")
    os.environ["QT_QPA_PLATFORM"] = "xcb"  # the wheel has no other plugin: Qt would abort
    os.environ["QT_LOGGING_RULES"] = "*.warning=false"
    import imutils

    for title in TITLES:
        cv2.namedWindow(title, cv2.WINDOW_AUTOSIZE | cv2.WINDOW_GUI_NORMAL)
    chosen = [min(round(255 * comparison.threshold), 254), options.min_area]
    largest = max(500, options.min_area, comparison.mask.size // 1000)
    for slider, value, most in zip(SLIDERS, chosen, (254, largest), strict=True):
        cv2.createTrackbar(slider, "Thresh", value, most, lambda _: None)
    clean, blinking, opened, stale = clean_pictures(comparison), False, {*TITLES}, {*TITLES}
    for tick in count():
        for title in opened & stale:  # imshow would open a closed one anew
            blinks = blinking and title == "Original"
            picture = clean[tick // BLINK % 2] if blinks else draw(comparison, title)
            if scale < 1:
                picture = imutils.resize(picture, width=round(picture.shape[1] * scale))
            cv2.imshow(title, picture)
        stale = {"Original"} if blinking and (tick + 1) % BLINK == 0 else set()
        for title, place in zip(TITLES, places, strict=True) if tick < PLACINGS else ():
            cv2.moveWindow(title, *place)
        # Not waitKey(0): outside Qt that waits for ever once the mouse has closed the last window.
        key, opened, moved = cv2.waitKey(10), set(), chosen
        with contextlib.suppress(cv2.error):  # of a window that is closed
            opened = {t for t in TITLES if cv2.getWindowProperty(t, cv2.WND_PROP_VISIBLE) >= 1}
            moved = [cv2.getTrackbarPos(slider, "Thresh") for slider in SLIDERS]
        if moved != chosen and "Thresh" in opened:
            chosen, stale = moved, {"Original", "Modified", "Thresh"}
            options = replace(options, threshold=round(moved[0] / 255, 4), min_area=moved[1])
            threshold, mask = find_threshold(comparison.evidence, CEILING, options)
            mask, regions = find_regions(mask, comparison.evidence, options)
            comparison = replace(comparison, threshold=threshold, mask=mask, regions=regions)
            cv2.setWindowTitle(
                "Thresh", f"Thresh: {summary(comparison.regions, comparison.different_fraction)}"
            )
        if key == ord("s"):
            keep(comparison)
        elif key == ord("b"):
            blinking = not blinking
            stale.add("Original")
        elif key == ord("h"):
            tell(KEYS)
            if "Thresh" in opened:
                cv2.setWindowTitle("Thresh", KEYS)
        elif key != -1 or not opened:
            break
    cv2.destroyAllWindows()
    return options


# --- Folders -------------------------------------------------------------------------------------

# What OpenCV's wheels decode; imutils.paths.list_images knows six of them and follows all links.
EXTENSIONS = ".apng .avif .bmp .dib .gif .hdr .jfif .jp2 .jpe .jpeg .jpg .pam .pbm .pfm .pgm .pic"
EXTENSIONS += " .png .pnm .ppm .ras .sr .tif .tiff .webp"


class Pair(NamedTuple):
    """Two pictures to compare, or what stands in the place of one."""

    name: str  # relative path, the first picture's where there is one
    first: str | None  # path; None: only the other folder has it
    second: str | None
    error: str | None = None


def inside(path: str, folder: str) -> bool:
    """Whether a real path is that of a folder or of something in it."""
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def list_folder(root: str, place: str, skip: Collection[str]) -> tuple[dict[str, str], set[str]]:
    """The pictures at a place under a root, by name, and the names of the folders; OSError.

    Without the folders whose real paths are to skip, and links that leave the root, loop, or lie in
    a linked folder.
    """
    path = os.path.join(root, place)
    here, top = os.path.realpath(path), os.path.realpath(root)
    linked = here != os.path.normpath(os.path.join(top, place))
    pictures, folders = {}, set()
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        for entry in os.scandir(path) if inside(here, top) else ():
            name, target = os.path.join(place, entry.name), os.path.join(here, entry.name)
            if entry.is_symlink():
                target = os.path.realpath(target)
                if linked or not inside(target, top) or inside(here, target):
                    continue
            if os.path.isdir(target) and target not in skip:
                folders.add(name)
            elif os.path.splitext(name)[1].lower() in EXTENSIONS.split() and os.path.isfile(target):
                pictures[name] = entry.path
    return pictures, folders


def find_pairs(first: str, second: str, skip: Collection[str] = ()) -> Iterator[Pair]:
    """Pair the pictures of two folders by relative path, or else by a stem that leaves no choice.

    A picture as `first` is paired with every one of the folder. The order is always the same.
    """
    places, ranked = [""], os.path.isfile(first)
    while places:
        place = places.pop()
        try:
            ours, folders = list_folder(first, place, skip)
            theirs, others = list_folder(second, place, skip)
        except OSError as problem:
            fault = f"{problem.filename} cannot be read: {problem.strerror}; allow it to be read"
            yield Pair(place or ".", None, None, fault)
            continue
        places += sorted(folders | others, reverse=True)
        alone = sorted(ours.keys() ^ theirs.keys(), key=os.path.splitext)
        for _, group in groupby(alone, lambda name: os.path.splitext(name)[0]):
            one, *other = sorted(group, key=theirs.__contains__)
            if len(other) == 1 and one in ours and other[0] in theirs:
                theirs[one] = theirs.pop(other[0])
        for name in sorted(ours | theirs, key=os.path.splitext):
            yield Pair(name, first if ranked else ours.get(name), theirs.get(name))


def compare_pair(pair: Pair, options: Options) -> Record:
    """The record of a pair, whatever happens to it, saved where it differs; runs in a worker."""
    import filecmp

    record = EMPTY | pair._asdict()
    (name, first, second, fault), output = pair, options.output
    folder = None if output is None else os.path.join(output, name)
    try:
        if fault:
            raise ImageDiffError(fault)
        if first is None or second is None:
            return record | {"status": "only_first" if first else "only_second"}
        saved = folder and os.path.exists(os.path.join(folder, "result.json"))
        with contextlib.suppress(OSError):  # which decoding tells better
            if not saved and filecmp.cmp(first, second, shallow=False):
                equal = {"ssim": 1.0, "different_pixels": 0, "different_fraction": 0.0}
                return record | equal | {"status": "same"}
        comparison = compare_files(first, second, options)
        result = as_record(comparison, first, second) | {"name": name}
        if folder and (comparison.regions or saved):
            save(comparison, result, folder)
        return result
    except Exception as problem:  # MemoryError, say: one pair's failure must not end the others
        kind = "" if isinstance(problem, ImageDiffError) else f"{type(problem).__name__}: "
        return record | {"status": "error", "error": f"{kind}{problem}".replace("\n", " ")}


def work(pipe: Any, options: Options, threads: int) -> None:
    """Compare the pairs that come through a pipe until its other end is gone; runs in a process."""
    cv2.setNumThreads(threads)
    with contextlib.suppress(EOFError, OSError):
        while True:
            pipe.send(compare_pair(pipe.recv(), options))


@contextlib.contextmanager
def local_workers(jobs: int, options: Options) -> Iterator[Submit]:
    """What sends a pair to one of the processes of this machine, each led by a thread.

    Threads alone take 1.4 times as long for 300 pairs of 500x314: each is some hundred short calls
    that wait for the GIL. Spawned, for 0.2 s: a fork hangs where OpenCV's threads have run. When a
    process of a ProcessPoolExecutor dies it ends all, and tells not which pair was to blame.
    """
    import multiprocessing

    context, processes = multiprocessing.get_context("spawn"), []
    threads = max(1, cv2.getNumberOfCPUs() // jobs)
    context.Lock()  # its tracker starts, which lets Ctrl+C through again where it was blocked
    set_mask: Callable[..., object] = getattr(signal, "pthread_sigmask", lambda *_: None)

    def start() -> Any:
        pipe, other = context.Pipe()
        process = context.Process(target=work, args=(other, options, threads), daemon=True)
        set_mask(signal.SIG_BLOCK, {signal.SIGINT})  # is inherited: Ctrl+C may come while it starts
        process.start()
        set_mask(signal.SIG_UNBLOCK, {signal.SIGINT})
        processes.append(process)
        other.close()
        return pipe

    def compare(pair: Pair) -> Any:
        pipe = idle.pop() or start()
        try:
            pipe.send(pair)
            return pipe.recv()
        except (EOFError, OSError):
            pipe = None  # the next pair gets another process
            raise
        finally:
            idle.append(pipe)

    idle = [start() for _ in range(jobs)]
    executor = ThreadPoolExecutor(jobs)
    try:
        yield lambda pair: executor.submit(compare, pair)
    finally:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()  # not kill: what is half written is removed
            process.join()


@contextlib.contextmanager
def cluster_workers(options: Options) -> Iterator[Submit]:
    """What sends a pair to the workers of a Dask cluster, which are sent this file."""
    import logging

    def compare(pair: Any, options: Any) -> Any:
        """Sent as it is, and with plain values, as the scheduler need not have OpenCV."""
        import cv2

        import image_diff

        cv2.setNumThreads(1)  # as a worker takes a pair for each of its own threads
        return image_diff.compare_pair(image_diff.Pair(*pair), image_diff.Options(**options))

    with contextlib.ExitStack() as stack:
        logging.disable()  # what goes wrong is told once, by us
        stack.callback(logging.disable, logging.NOTSET)
        try:
            from distributed import Client, UploadFile

            client = stack.enter_context(Client(options.scheduler, timeout=10))
            client.wait_for_workers(1, timeout=10)
            client.register_plugin(UploadFile(os.path.abspath(__file__)), name="image_diff")
        except (ImportError, OSError, ValueError) as problem:
            fault = f"no worker at {options.scheduler} can compare: {problem}"
            remedy = f"{sys.executable} -m pip install distributed; dask scheduler; dask worker"
            raise ImageDiffError(f"{fault}; {remedy} {options.scheduler}") from problem
        executor = client.get_executor()
        yield lambda pair: executor.submit(compare, tuple(pair), vars(options))


def compare_pairs(
    pairs: Iterator[Pair], jobs: int, options: Options, stopped: threading.Event
) -> Iterator[Record]:
    """The records of the pairs, in order, with some under way at once; once stopped, those made.

    A pair whose worker dies is compared again, alone, as all may have wanted too much memory.
    """

    def done(*futures: Future[Record]) -> bool:
        """Wait until they are done, or a lost scheduler has cancelled some; not once stopped."""
        while not stopped.is_set():
            if not wait(futures, 0.1).not_done or any(other.cancelled() for _, other in window):
                return True
        return False

    workers = cluster_workers(options) if options.scheduler else local_workers(jobs, options)
    # So many that a large pair seldom holds up those behind it, nor a cluster's distance.
    ahead = 500 if options.scheduler else 8 * jobs + 8
    window: deque[tuple[Pair, Future[Record]]] = deque()
    with workers as submit:
        while True:
            window.extend((pair, submit(pair)) for pair in islice(pairs, ahead - len(window)))
            if not (window and done(window[0][1])):
                break
            pair, future = window[0]
            if future.cancelled() or not future.done():
                raise ImageDiffError(f"{options.scheduler} is gone; start it, and run again")
            if future.exception():
                with local_workers(1, options) as submit_alone:
                    if not done(*(other for _, other in window)):
                        break
                    future = submit_alone(pair)
                    if not done(future):
                        break
            window.popleft()
            if future.exception():
                fault = "its process died, perhaps for want of memory; scale the pictures down"
                yield compare_pair(pair._replace(error=fault), options)
            else:
                yield future.result()
        for _, future in window:
            if future.done() and not (future.cancelled() or future.exception()):
                yield future.result()


def as_facts(record: Record) -> str:
    """What is to be told of a pair beside its name and status: likeness, difference or error."""
    facts = [] if record["ssim"] is None else [f"SSIM {record['ssim']}"]
    if record["regions"]:
        facts.append(summary(record["regions"], record["different_fraction"]))
    return record["error"] or ", ".join(facts)


OVERVIEW = """\
input, select { font: inherit; padding: 4px 8px; min-width: 0; } #name { flex: 1 1 9em; }
#list { padding: 0 max(12px, 2vw) 24px; }
.pair { display: flex; flex-wrap: wrap; gap: 4px 12px; align-items: center; padding: 8px;
  border: 0 solid var(--line); border-width: 0 0 1px 4px; color: inherit; text-decoration: none;
  content-visibility: auto; contain-intrinsic-size: auto 137px; }
.pair i { flex: 1 1 130px; max-width: 160px; height: 120px; background: var(--soft);
  display: grid; place-items: center; }
.pair p { flex: 1 1 12em; min-width: 0; overflow-wrap: anywhere; }
.pair img { max-width: 100%; max-height: 120px; }
[href] b { text-decoration: underline; } [href]:hover { background: var(--soft); }
.different { border-left-color: var(--mark); } .error { border-left-color: #e08a00; }
.only_first, .only_second { border-left-color: var(--pick); }
@media (max-width: 640px) { nav { position: static; } }
</style>
<header><h1>$title</h1><p role="status"><span id="told"></span>$left</header>
<nav><fieldset id="statuses" aria-label="status">$statuses</fieldset>
<input type="search" id="name" placeholder="search by name" aria-label="search by name">
<select id="order" aria-label="order"><option value="share">most different first
<option value="name">by name<option value="low">SSIM, lowest first
<option value="high"$ranked>SSIM, highest first</select></nav>
<main id="list">$rows</main><script>$script</script></html>
"""
LIST = """
const by = id => document.getElementById(id), list = by("list"), rows = [...list.children];
const name = row => row.querySelector("b").textContent.toLowerCase();
function show() {
  const css = document.querySelector(":checked").value, text = by("name").value.toLowerCase();
  const shown = rows.filter(row => row.matches(css) && name(row).includes(text));
  const key = row => +row.dataset[by("order").value] || 0;
  const fragment = new DocumentFragment();  // at once: row by row takes 6 times as long
  shown.sort((a, b) => key(b) - key(a)).forEach(row => fragment.append(row));
  list.replaceChildren(fragment);
  by("told").textContent = `${shown.length} of ${rows.length} pairs`;
}
list.addEventListener("error", event => { event.target.hidden = true; }, true);  // no torn icon
rows.sort((a, b) => name(a).localeCompare(name(b), undefined, { numeric: true }));
for (const radio of document.getElementsByName("status")) {
  const count = rows.filter(row => row.matches(radio.value)).length;
  radio.parentNode.hidden = !count;
  radio.parentNode.append(" " + count);
}
by("statuses").onchange = by("order").onchange = by("name").oninput = onpageshow = show;
"""


def write_overview(first: str, second: str, folder: str, left: int) -> None:
    """Write index.html, a row for each pair of results.jsonl; `left` pairs are not there."""
    import json
    from html import escape
    from urllib.parse import quote

    def link(*parts: str) -> str:
        return quote(os.fsencode(os.path.join(*parts).replace(os.sep, "/")))

    statuses = "all", "different", "same", "only_first", "only_second", "error"
    label = '<label><input type="radio" name="status" value=".{}">{}</label>'
    labels = "".join(label.format(status, status.replace("_", " ")) for status in statuses)
    values = {
        "title": escape(f"{second} compared with {first}"),
        "left": f"; the run was stopped, {left} left" if left else "",
        "statuses": labels.replace('".all"', '".all" checked'),
        "ranked": "" if os.path.isdir(first) else " selected",
        "rows": "\0",
    }
    head, tail = fill(OVERVIEW, LIST, values).split("\0")
    weights = {"error": 4, "only_first": 3, "only_second": 2}
    results, part = (os.path.join(folder, name) for name in ("results.jsonl", "index.html.part"))
    with open(results) as lines, open(part, "w", -1, "utf-8", "backslashreplace") as page:
        page.write(head)
        for record in map(json.loads, lines):
            name, status, ssim = record["name"], record["status"], record["ssim"]
            share = weights.get(status, record["different_fraction"])
            low, high = (-2, -2) if ssim is None else (-ssim, ssim)
            href = f'href="{link(name, "index.html")}"' if status == "different" else ""
            page.write(f'<a class="all pair {status}" {href} data-share="{share}" ')
            page.write(f'data-low="{low}" data-high="{high}">')
            for small, which in SMALL.items():
                path = record[which] and os.path.relpath(record[which], folder)
                url = link(name, small) if href else path and link(path)
                page.write(f'<i><img loading="lazy" alt="" src="{url}"></i>' if url else "<i></i>")
            text = f"{status.replace('_', ' ')}: {as_facts(record)}".removesuffix(": ")
            page.write(f"<p><b>{escape(name)}</b><br>{escape(text)}</p></a>\n")
        page.write(tail)
    os.replace(part, part.removesuffix(".part"))


def read_earlier(folder: str, state: TextIO, settings: str, database: Database) -> None:
    """Put beside the pairs what an earlier run with the same settings found and still holds."""
    import json
    from pathlib import Path

    # There may be none, or what is no record of ours, or a last line that is not whole.
    with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
        run = json.load(state)
        with open(os.path.join(folder, "results.jsonl")) as lines:
            for line in lines if run["settings"] == settings else ():
                record = json.loads(line)
                page = Path(folder, record["name"], "result.json")
                with contextlib.suppress(OSError, TypeError):  # a picture is gone, or None
                    stats = os.stat(record["first"]), os.stat(record["second"])
                    # Of the inode too: an older file that is moved there keeps its mtime.
                    changed = max(max(stat.st_mtime, stat.st_ctime) for stat in stats)
                    saved = record["status"] == "same" or page.read_text() == line
                    if changed < run["started"] and saved:
                        pair = json.dumps([record[key] for key in Pair._fields])
                        database.execute("UPDATE pairs SET line = ? WHERE pair = ?", (line, pair))


@contextlib.contextmanager
def open_database() -> Iterator[Database]:
    """Tables of pairs and lines, as JSON, in a file that vanishes: a million need no memory."""
    import sqlite3

    try:
        with contextlib.closing(sqlite3.connect("")) as database:
            database.execute("CREATE TABLE pairs (pair PRIMARY KEY, line)")
            database.execute("CREATE TABLE ranking (ssim, line)")
            yield database
    except sqlite3.Error as problem:
        fault = f"the folder for temporary files cannot be written to: {problem}"
        raise ImageDiffError(f"{fault}; free some space there") from problem


def list_pairs(first: str, second: str, options: Options, database: Database) -> int:
    """Fill the table of pairs; how many there are."""
    import json

    left_out = [os.path.realpath(path) for path in (first, second, options.output) if path]
    found = ([json.dumps(pair)] for pair in find_pairs(first, second, left_out))
    total = database.executemany("INSERT INTO pairs (pair) VALUES (?)", found).rowcount
    if total < 1:
        fault = f"nothing to compare: {first} and {second} hold no pictures"
        raise ImageDiffError(f"{fault}; they end with {EXTENSIONS.replace(' ', ', ')}")
    return total


def compare_folders(
    first: str, second: str, options: Options, database: Database, stopped: threading.Event
) -> Generator[Record, None, None]:
    """The records of the pairs in a table, those that an earlier run knows first; written too."""
    import json

    plain = replace(options, output=None, json=False, window=True, exit_code=False)
    chosen = replace(plain, jobs=None, scheduler=None)
    settings = repr([os.path.abspath(first), os.path.abspath(second), chosen])
    begun, folder, left = time.time(), options.output, 0
    known = "SELECT line FROM pairs WHERE line IS NOT NULL ORDER BY rowid"
    with contextlib.ExitStack() as stack:
        if folder is not None:
            stack.enter_context(writing(folder))
            os.makedirs(folder, exist_ok=True)
            state = stack.enter_context(open(os.path.join(folder, "run.json"), "a+"))
            with contextlib.suppress(ImportError):  # Windows has none
                import fcntl

                fcntl.flock(state, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Made first, lest the page of a pair in a folder called index.html take its place.
            open(os.path.join(folder, "index.html"), "a").close()
            state.seek(0)
            read_earlier(folder, state, settings, database)
            results = os.path.join(folder, "results.jsonl")
            with open(f"{results}.part", "w") as part:
                part.writelines(line for (line,) in database.execute(known))
            os.replace(part.name, results)  # first, as what holds now has held earlier, too
            state.truncate(0)
            json.dump({"started": begun, "settings": settings}, state)
            state.flush()
            lines = stack.enter_context(open(results, "ab", buffering=0))
            stack.callback(lambda: write_overview(first, second, str(folder), left))
        left = database.execute("SELECT count(*) - count(line) FROM pairs").fetchone()[0]
        for (text,) in database.execute(known):
            if stopped.is_set():
                return
            yield json.loads(text)
        rows = database.execute("SELECT pair FROM pairs WHERE line IS NULL ORDER BY rowid")
        pairs = (Pair(*json.loads(pair)) for (pair,) in rows)
        jobs = min(left, options.jobs or cv2.getNumberOfCPUs())
        for record in compare_pairs(pairs, jobs, options, stopped) if left else ():
            if folder is not None:
                start, line = lines.tell(), f"{json.dumps(record)}\n".encode()
                if lines.write(line) < len(line):  # not the half of a line on a full disk
                    lines.truncate(start)
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left -= 1
            yield record


# --- Command line --------------------------------------------------------------------------------


def write_out(text: str) -> None:
    """Print on stdout; BrokenPipeError where its reader has gone, as `head` has."""
    try:
        print(text, flush=True)
    except OSError as problem:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # takes what Python flushes at its end
        if isinstance(problem, BrokenPipeError):
            raise
        fault = f"cannot write the result: {problem.strerror}"
        raise ImageDiffError(f"{fault}; send it to another place") from problem


def as_line(record: Record) -> str:
    """A pair of a folder run as one line of text."""
    name = record["name"] if record["name"].isprintable() else ascii(record["name"])
    line, facts = f"{record['status'].replace('_', ' '):12} {name}", as_facts(record)
    return f"{line}: {facts}" if facts else line


def check_folders(first: str, second: str, options: Options) -> tuple[str, str, Options]:
    """The inputs and the options as a folder run takes them; ImageDiffError where it cannot."""
    if not os.path.isdir(first):
        read_image(first)  # once, in place of an error a pair
        options = replace(options, resize=True)
    elif not os.path.isdir(second):
        fault = "is no folder" if os.path.exists(second) else "is not there"
        remedy = "give two folders, or the picture as --first"
        raise ImageDiffError(f"{first} is a folder and {second} {fault}; {remedy}")
    if options.scheduler:  # its workers stand in other folders
        if options.jobs:
            raise ImageDiffError("--jobs is for this machine; with --scheduler the workers decide")
        output = options.output and os.path.abspath(options.output)
        first, second = os.path.abspath(first), os.path.abspath(second)
        options = replace(options, output=output)
    inputs = os.path.realpath(first), os.path.realpath(second)
    if options.output and os.path.realpath(options.output) in inputs:
        raise ImageDiffError(f"{options.output} is an input; name another folder for the output")
    return first, second, options


def sum_up(counts: Counter[str], total: int, seconds: float, options: Options) -> ExitStatus:
    """Print how many of all pairs have which status; what that is to the caller."""
    done, alone = counts.total(), counts["only_first"] + counts["only_second"]
    text = f"{done} pair{'' if done == 1 else 's'}: {counts['same']} same, "
    text += f"{counts['different']} different, {alone} only in one folder, "
    text += f"{counts['error']} with errors; {seconds:.1f} s, {done / seconds:.1f} pairs a second"
    (tell if options.json else write_out)(text)
    if done < total:
        remedy = "; the same --output again goes on from here" if options.output else ""
        tell(f"stopped: {total - done} of {total} pairs left{remedy}")
        return ExitStatus.INTERRUPTED
    if counts["error"]:
        fault = f"{counts['error']} of {done} pairs could not be compared"
        raise ImageDiffError(f"{fault}; their lines say why")
    unequal = options.exit_code and counts["same"] < done
    return ExitStatus.DIFFERENT if unequal else ExitStatus.COMPARED


def run_folders(first: str, second: str, options: Options) -> ExitStatus:
    """Compare two folders, or rank a folder by likeness to a picture: print, sum up."""
    import json

    first, second, options = check_folders(first, second, options)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name of any bytes can be told
    counts: Counter[str] = Counter()
    begun, bar, say, ranked = time.monotonic(), None, write_out, not os.path.isdir(first)
    stopped, before = threading.Event(), signal.getsignal(signal.SIGINT)

    def stop(*_: object) -> None:
        stopped.set()
        signal.signal(signal.SIGINT, before)  # a second Ctrl+C ends at once

    with contextlib.ExitStack() as stack:
        database = stack.enter_context(open_database())
        total = list_pairs(first, second, options, database)
        if sys.stderr.isatty():
            from tqdm import tqdm

            shape = "{n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}{postfix}"
            bar = stack.enter_context(tqdm(total=total, bar_format=shape))
            say = bar.write if sys.stdout.isatty() else say
        if threading.current_thread() is threading.main_thread() and before != signal.SIG_IGN:
            signal.signal(signal.SIGINT, stop)
            stack.callback(signal.signal, signal.SIGINT, before)
        records = compare_folders(first, second, options, database, stopped)
        for record in stack.enter_context(contextlib.closing(records)):
            counts[record["status"]] += 1
            line = json.dumps(record) if options.json else as_line(record)
            if ranked:
                database.execute("INSERT INTO ranking VALUES (?, ?)", (record["ssim"], line))
            else:
                say(line)
            if bar:
                bar.set_postfix(counts, refresh=False)
                bar.update()
        for (line,) in database.execute("SELECT line FROM ranking ORDER BY ssim DESC"):
            say(line)
    return sum_up(counts, total, time.monotonic() - begun, options)


def run(first: str, second: str, options: Options) -> ExitStatus:
    """Compare two pictures, or two folders: print, save, show."""
    if os.path.isdir(first) or os.path.isdir(second):
        return run_folders(first, second, options)
    if options.scheduler:
        raise ImageDiffError("--scheduler is for two folders; leave it out for two pictures")
    comparison = compare_files(first, second, options)
    record = as_record(comparison, first, second)
    with contextlib.suppress(BrokenPipeError):  # it may still be saved and shown
        if options.json:
            import json

            write_out(json.dumps(record))
        else:
            write_out(as_text(comparison, options))
    left_out = {path: pages_left_out(path) for path in (first, second)}
    if any(left_out.values()):
        counts = ", ".join(f"{count} of {path}" for path, count in left_out.items() if count)
        tell(f"first pages compared; pages left out: {counts}")
    if options.output is not None:
        save(comparison, record, options.output)

    def keep(shown: Comparison) -> None:
        """Save what the windows show to the output, or beside the second picture."""
        stem = f"{os.path.splitext(second)[0]}_diff"
        names = (stem if number == 1 else f"{stem}{number}" for number in count(1))
        folder = options.output or next(name for name in names if not os.path.lexists(name))
        try:
            save(shown, as_record(shown, first, second), folder)
            tell(f"saved to {folder}")
        except ImageDiffError as problem:
            tell(f"error: {problem}")

    try:
        chosen = show(comparison, options, keep) if options.window else options
        if chosen != options:
            tell(f"chosen: --threshold {chosen.threshold} --min-area {chosen.min_area}")
    except ImageDiffError as problem:
        tell(f"no windows: {problem}; --output DIR saves the pictures")
    return ExitStatus.DIFFERENT if options.exit_code and comparison.regions else ExitStatus.COMPARED


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """An argparse type: a number in a range, which the message names."""

    def parse(text: str) -> float:
        with contextlib.suppress(ValueError):
            if low <= kind(text) <= high:
                return kind(text)
        raise argparse.ArgumentTypeError(f"{text} is not a number from {low} to {high}")

    return parse


def rectangle(text: str) -> Rectangle:
    """An argparse type: X,Y,WIDTH,HEIGHT in pixels."""
    with contextlib.suppress(ValueError):
        x, y, width, height = map(int, text.split(","))
        if width > 0 and height > 0:
            return x, y, width, height
    raise argparse.ArgumentTypeError(f"{text} is not X,Y,WIDTH,HEIGHT with sides above 0")


def make_parser() -> argparse.ArgumentParser:
    """The options, with the defaults of `Options`."""
    parser = argparse.ArgumentParser(
        description="Find where two pictures differ, and show it.",
        epilog="exit status: 0 compared; 1 different, with --exit-code only; 2 trouble; "
        "130 stopped with Ctrl+C, 143 by SIGTERM",
        # A set width spares the import of shutil, which asks the terminal for its own.
        formatter_class=lambda prog: argparse.HelpFormatter(prog, width=90),
    )
    parser.set_defaults(**vars(Options()))
    add = parser.add_argument
    add("-f", "--first", required=True, metavar="PICTURE", help="the original picture, or a folder")
    add("-s", "--second", required=True, metavar="PICTURE", help="what to compare with it")
    add("--color", action="store_true", help="compare colour too, not brightness alone")
    either = parser.add_mutually_exclusive_group().add_argument
    text = "register the second picture to the first: projective, or slow warps too [%(default)s]"
    either("--align", choices=["none", "perspective", "elastic"], help=text)
    either("--resize", action="store_true", help="scale the second picture to the first one's size")
    for flag, kind, high, text in (
        ("--tolerance PX", float, 100, "ignore what a shift of up to PX explains [%(default)s]"),
        ("--threshold S", float, 1, "SSIM at or below which pixels differ [Otsu's, up to 0.65]"),
        ("--min-area PX", int, 2**28, "smallest region kept, in different pixels [%(default)s]"),
        ("--merge PX", int, 2**20, "join regions that are up to PX apart [%(default)s]"),
    ):
        name, unit = flag.split()
        add(name, metavar=unit, type=number(kind, 0, high), help=text)
    shape, text = "X,Y,WIDTH,HEIGHT", "leave a rectangle out; repeatable"
    add("--ignore", type=rectangle, action="append", default=[], metavar=shape, help=text)
    add("-o", "--output", metavar="DIR", help="save the pictures, result.json and index.html there")
    add("--json", action="store_true", help="print JSON in place of text")
    add("--no-window", dest="window", action="store_false", help="open no window")
    add("--exit-code", action="store_true", help="exit with 1 when the pictures differ")
    add("--jobs", metavar="N", type=number(int, 1, 1024), help="pairs at once [one a core]")
    add("--scheduler", metavar="ADDRESS", help="a Dask cluster for folders: tcp://HOST:8786")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    arguments = vars(make_parser().parse_args(argv))
    arguments["ignore"] = tuple(arguments["ignore"])
    try:
        return run(arguments.pop("first"), arguments.pop("second"), Options(**arguments))
    except ImageDiffError as problem:
        tell(f"error: {problem}")
    except MemoryError:
        tell("error: the pictures need more memory than there is; scale them down")
    except BrokenPipeError:  # nobody reads the lines of a folder run any more
        pass
    except OSError as problem:
        tell(f"error: the system refuses: {problem}; free its memory, files or processes")
    except KeyboardInterrupt:
        return ExitStatus.INTERRUPTED
    return ExitStatus.TROUBLE


if __name__ == "__main__":
    os._exit(main())  # all is flushed, and to take the interpreter apart costs 16 ms
