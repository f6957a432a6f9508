"""What computes, from top to bottom: each section of the program in its order.

Load has test_load.py and test_formats.py, Align also test_align.py and
test_registration.py, Kinds test_kinds.py; what prints and saves has test_command.py.
"""

import ast
import io
import json
import math
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import combinations, product
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from skimage.metrics import structural_similarity

import image_diff
import processes
from article import article
from draw_samples import draw_all
from files import PAIRS, ROOT, SCRIPT
from image_diff import (
    Box,
    Comparison,
    ImageDiffError,
    Light,
    Options,
    Region,
    are_recompressed,
    at_most,
    clip_to_range,
    compare_files,
    compare_images,
    find_mask,
    find_regions,
    find_threshold,
    grain_of,
    is_of_camera,
    measure,
    merge_boxes,
    noise_by_activity,
    outlined,
    ranges_of,
    read_image,
    sample,
    spread_of,
    ssim_of,
    window_terms,
    with_threshold,
)
from samples import ALPHA, DEEP, GRAY, REAL, RGB, bgr, over_white

Picture = NDArray[Any]


def random_picture(seed: int, *shape: int) -> Picture:
    """Blobs of many gray levels: structure at the scale of the SSIM window."""
    rng = np.random.default_rng(seed)
    height, width = shape[:2]
    small = rng.integers(
        0, 256, (height // 5 + 2, width // 5 + 2, *shape[2:]), dtype=np.uint8
    )
    return cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)


def photo(name: str) -> Picture:
    """One of scikit-image's bundled photos, BGR."""
    picture: Picture = getattr(skimage.data, name)()
    return cv2.cvtColor(
        picture, cv2.COLOR_GRAY2BGR if picture.ndim == 2 else cv2.COLOR_RGB2BGR
    )


def edited(picture: Picture) -> Picture:
    """Three edits: a patch pasted, a blur, a line of text."""
    height, width = picture.shape[:2]
    result = picture.copy()
    result[20:60, 30:90] = picture[height - 60 : height - 20, width - 90 : width - 30]
    result[height // 2 :, : width // 4] = cv2.blur(
        result[height // 2 :, : width // 4], (9, 9)
    )
    place = width // 2, height // 2
    cv2.putText(
        result, "edited", place, cv2.FONT_HERSHEY_SIMPLEX, 1, (255, 255, 255), 2
    )
    return result


def drawn(comparison: Comparison) -> dict[str, Picture]:
    """The four pictures by title."""
    return {title: image_diff.draw(comparison, title) for title in image_diff.TITLES}


def test_no_name_of_the_program_is_given_twice() -> None:
    names: list[str] = []
    for node in ast.parse(SCRIPT.read_text(encoding="utf-8")).body:
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
                names.append(name)
            case ast.Assign(targets=[ast.Name(id=name)]):
                names.append(name)
            case ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
    twice = [name for name, times in Counter(names).items() if times > 1]
    assert names
    assert twice == []


# --- Words ----------------------------------------------------------------------------

# Values that make no sense: as options, the words for them on the command line where
# there are any, and what is said of them.
SSIM = "give an SSIM (0.5 for 50 % or 128 of 255) from 0 to 1"
PIXELS = "give a number of pixels from 0 to 100"
WHOLE = "give a whole number of pixels from 0 to"
SIDES = "give X, Y, WIDTH and HEIGHT in pixels, sides above 0"
METHODS = "give one of auto, none, rows, perspective, elastic"
LIGHTS = "give one of auto, ignore, compare"
RESIZE = "exclude each other; leave one of them out"
REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"align": "foo"}, "", f"align is 'foo'; {METHODS}"),
    ({"light": "off"}, "", f"light is 'off'; {LIGHTS}"),
    ({"noise": "ignore"}, "", "noise is 'ignore'; give one of auto, compare"),
    ({"gray": "yes"}, "", "gray is 'yes'; give one of True, False"),
    ({"align": None}, "", f"align is None; {METHODS}"),
    ({"light": np.array([1, 2])}, "", f"light is array([1, 2]); {LIGHTS}"),
    ({"threshold": np.array([1, 2])}, "", f"threshold is array([1, 2]); {SSIM}"),
    ({"threshold": 7}, "--threshold 7", f"threshold is 7; {SSIM}"),
    ({"threshold": -0.1}, "--threshold -0.1", f"threshold is -0.1; {SSIM}"),
    ({"threshold": "x"}, "--threshold x", f"threshold is 'x'; {SSIM}"),
    ({"threshold": "5%"}, "--threshold 5%", f"threshold is '5%'; {SSIM}"),
    ({"threshold": True}, "", f"threshold is True; {SSIM}"),
    ({"threshold": math.nan}, "--threshold nan", f"threshold is nan; {SSIM}"),
    ({"threshold": 1j}, "", f"threshold is 1j; {SSIM}"),
    ({"min_area": 2.5}, "--min-area 2.5", f"min-area is 2.5; {WHOLE} 268435456"),
    ({"min_area": -1}, "--min-area -1", f"min-area is -1; {WHOLE} 268435456"),
    (
        {"min_area": 2**28 + 1},
        "--min-area 268435457",
        f"min-area is 268435457; {WHOLE} 268435456",
    ),
    ({"min_area": None}, "", f"min-area is None; {WHOLE} 268435456"),
    ({"merge": 1.0}, "--merge 1.0", f"merge is 1.0; {WHOLE} 1048576"),
    ({"merge": -1}, "--merge -1", f"merge is -1; {WHOLE} 1048576"),
    ({"merge": "3"}, "", f"merge is '3'; {WHOLE} 1048576"),
    ({"tolerance": -0.5}, "--tolerance -0.5", f"tolerance is -0.5; {PIXELS}"),
    ({"tolerance": 101}, "--tolerance 101", f"tolerance is 101; {PIXELS}"),
    ({"tolerance": math.inf}, "--tolerance inf", f"tolerance is inf; {PIXELS}"),
    (
        {"tolerance": 10**400},
        f"--tolerance {10**400}",
        f"tolerance is {10**400}; {PIXELS}",
    ),
    ({"tolerance": None}, "", f"tolerance is None; {PIXELS}"),
    (
        {"resize": True, "align": "elastic"},
        "--resize --align elastic",
        f"resize and align elastic {RESIZE}",
    ),
    ({"ignore": [(1, 2, 3)]}, "", f"(1, 2, 3) is no part to ignore; {SIDES}"),
    ({"ignore": [(1, 2, 0, 4)]}, "", f"(1, 2, 0, 4) is no part to ignore; {SIDES}"),
    (
        {"ignore": [[1, 2, 3, -4]]},
        "",
        f"[1, 2, 3, -4] is no part to ignore; {SIDES}",
    ),
    ({"ignore": [(1.5, 2, 3, 4)]}, "", f"(1.5, 2, 3, 4) is no part to ignore; {SIDES}"),
    *(
        (
            {"ignore": [text]},
            f"--ignore={text}",
            f"{text!r} is no part to ignore; {SIDES}",
        )
        for text in ("1,2,3", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "1.5,2,3,4", "")
    ),
    ({"ignore": (1, 2, 3, 4)}, "", f"1 is no part to ignore; {SIDES}"),
    ({"ignore": 7}, "", f"7 is no part to ignore; {SIDES}"),
    ({"ignore": None}, "", f"None is no part to ignore; {SIDES}"),
]


def refused_id(row: tuple[dict[str, Any], str, str]) -> str:
    return str(row[0])[:40]


@pytest.mark.parametrize("row", REFUSED, ids=refused_id)
def test_options_that_make_no_sense(row: tuple[dict[str, Any], str, str]) -> None:
    values, _, message = row
    picture = np.zeros((9, 9), np.uint8)
    for make in (Options, lambda **given: compare_images(picture, picture, **given)):
        with pytest.raises(ImageDiffError) as caught:
            make(**values)
        assert str(caught.value) == message


@pytest.mark.parametrize(
    "values",
    [
        {"threshold": 0},
        {"threshold": 1},
        {"threshold": None},
        {"min_area": 0},
        {"min_area": 2**28},
        {"merge": 2**20},
        {"tolerance": 0.5},
        {"tolerance": 100},
        {"align": "elastic"},
        {"ignore": ((-5, -5, 1, 1), [2**31, 0, 9, 9], "-5,0,10,10")},
    ],
)
def test_options_up_to_their_limits(values: dict[str, Any]) -> None:
    Options(**values)


def test_options_take_numpys_numbers_and_the_record_stays_json() -> None:
    options = Options(
        threshold=np.float32(0.5),  # type: ignore[arg-type]
        min_area=np.int64(3),  # type: ignore[arg-type]
        merge=np.uint8(2),  # type: ignore[arg-type]
        tolerance=np.float64(1),
        ignore=np.array([[1, 2, 3, 4]]),  # type: ignore[arg-type]
    )
    assert options == Options(
        threshold=0.5, min_area=3, merge=2, tolerance=1, ignore=((1, 2, 3, 4),)
    )
    kinds = [type(value) for value in vars(options).values()]
    assert kinds == [bool, str, str, str, bool, float, float, int, int, tuple, int]
    assert {type(number) for number in options.ignore[0]} == {int}
    comparison = compare_images(random_picture(1, 40, 60), GRAY[:40, :60], options)
    json.dumps(image_diff.as_record(comparison))


@pytest.mark.parametrize("threshold", [0, 1, 0.25])
def test_a_threshold_is_kept_as_a_float(threshold: float) -> None:
    kept = Options(threshold=threshold).threshold
    assert (kept, type(kept)) == (threshold, float)


STATE = """
import gc, logging, os, random, signal, sys, threading, warnings
import cv2, numpy
sys.path.insert(0, sys.argv[1])

def state():
    variables = {"OPENCV_IO_MAX_IMAGE_PIXELS", "OPENCV_LOG_LEVEL"}
    return {
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "logging": (list(logging.root.handlers), logging.root.level),
        "loggers": set(logging.root.manager.loggerDict),
        "streams": (sys.stdin, sys.stdout, sys.stderr),
        "hooks": (sys.excepthook, sys.displayhook, threading.excepthook),
        "environment": {k: v for k, v in os.environ.items() if k not in variables},
        "threads": (threading.enumerate(), len(os.listdir("/proc/self/task"))),
        "descriptors": os.listdir("/proc/self/fd"),
        "gc": (gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.callbacks[:]),
        "frozen": gc.get_freeze_count(),
        "opencv": (cv2.getNumThreads(), cv2.utils.logging.getLogLevel()),
        "numpy": (numpy.geterr(), str(numpy.random.get_state())),
        "random": random.getstate(),
        "warnings": warnings.filters[:],
        "path": (sys.path[:], os.getcwd()),
    }

before = state()
import image_diff
after = state()
print([key for key in before if before[key] != after[key]])
"""


def test_importing_has_no_side_effect() -> None:
    result = processes.run([sys.executable, "-c", STATE, str(ROOT)])
    assert (result.stdout, result.stderr) == ("[]\n", "")


# --- Align ----------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(1, 1), (6, 6), (6, 100), (100, 6)])
def test_sides_below_the_window(height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    size = f"{width}x{height}"
    fault = f"are {size} and {size} pixels, and SSIM needs 7 a side; use larger"
    with pytest.raises(ImageDiffError, match=fault):
        compare_images(picture, picture)


def test_depths_that_differ_are_both_named() -> None:
    picture = random_picture(1, 40, 60, 3)
    with pytest.raises(ImageDiffError, match="are uint8 and float32; convert one"):
        compare_images(picture, picture.astype(np.float32))


def test_8_bits_beside_16_are_compared_at_16() -> None:
    picture = random_picture(1, 40, 60, 3)
    deep = picture.astype(np.uint16) * 257
    for first, second in ((picture, deep), (deep, picture)):
        comparison = compare_images(first, second)
        assert (comparison.score, comparison.unequal_pixels) == (1, 0)
        assert comparison.first.dtype == comparison.second.dtype == np.uint16
    faint = compare_images(picture, deep + np.uint16(100))
    assert faint.unequal_pixels == picture[..., 0].size


def test_resize_scales_the_second_picture_by_area_down_and_by_cubics_up() -> None:
    large = cv2.GaussianBlur(random_picture(1, 120, 180, 3), (0, 0), 3)
    small = cv2.resize(large, (90, 60), interpolation=cv2.INTER_AREA)
    down = compare_images(small, large, Options(resize=True))
    assert np.array_equal(down.second, small)
    assert (down.score, down.regions) == (1, ())
    up = compare_images(large, small, Options(resize=True))
    assert np.array_equal(
        up.second, cv2.resize(small, (180, 120), interpolation=cv2.INTER_CUBIC)
    )
    assert up.alignment is not None
    assert up.alignment == image_diff.Alignment(
        "resize", [[2, 0, 0.5], [0, 2, 0.5], [0, 0, 1]], None, 1.0
    )
    same = compare_images(small, small, Options(resize=True))
    assert (same.alignment, same.unequal_pixels) == (None, 0)


def moved(picture: Picture, transform: Picture, width: int, height: int) -> Picture:
    """The picture under a 3x3 transform, white where it ends."""
    return cv2.warpPerspective(
        picture,
        transform,
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderValue=(255, 255, 255),
    ).astype(np.uint8)


def corners_off(found: Any, truth: Picture, width: int, height: int) -> float:
    """By how many pixels a transform is off, RMS over the four corners."""
    corners = np.array([[[0, 0], [width, 0], [0, height], [width, height]]], np.float64)
    away = (
        cv2.perspectiveTransform(corners, np.array(found) @ np.linalg.inv(truth))
        - corners
    )
    return float((away**2).sum(axis=2).mean() ** 0.5)


def test_a_whole_shift_is_undone_and_what_it_uncovers_is_known() -> None:
    first = edited(photo("astronaut"))[:300, :400]
    shift = np.array([[1, 0, 7], [0, 1, -4], [0, 0, 1.0]])
    second = moved(first, shift, 400, 300)
    comparison = compare_images(first, second, Options(align="perspective"))
    assert comparison.alignment is not None
    truth = np.linalg.inv(shift)
    assert corners_off(comparison.alignment.transform, truth, 400, 300) < 0.05
    covered = np.zeros((300, 400), np.uint8)
    covered[4:, :393] = 255
    assert comparison.ignored is not None
    assert np.array_equal(comparison.ignored, 255 - covered)
    assert comparison.alignment.covered == pytest.approx(
        cv2.countNonZero(covered) / covered.size
    )
    assert (comparison.second[comparison.ignored > 0] == 255).all()
    away = cv2.absdiff(comparison.second, first)[covered > 0]
    assert away.mean() < 0.1
    assert away.max() <= 12
    assert comparison.score > 0.9999
    assert comparison.regions == ()


TRANSFORMS = {
    "half a pixel": [[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]],
    "2 degrees": np.vstack([cv2.getRotationMatrix2D((256, 256), 2, 1), [0, 0, 1]]),
    "180 degrees": np.vstack([cv2.getRotationMatrix2D((256, 256), 180, 1), [0, 0, 1]]),
    "larger": [[1.6, 0, 0], [0, 1.6, 0], [0, 0, 1]],
    "smaller": [[0.6, 0, 20], [0, 0.6, 30], [0, 0, 1]],
    "tilt": [[1.02, 0.03, 4], [-0.02, 0.99, 9], [0.00005, 0.00004, 1]],
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    "both", ["there", pytest.param("back", marks=pytest.mark.slow)]
)
def test_a_moved_picture_is_registered_and_its_edit_found(name: str, both: str) -> None:
    truth: Picture = np.array(TRANSFORMS[name], np.float64)
    side = 820 if name == "larger" else 512
    original, changed = photo("astronaut"), photo("astronaut")
    changed[300:330, 250:300] = (40, 200, 40)
    place: Picture = np.array(
        [[[250, 300], [299, 300], [250, 329], [299, 329]]], np.float64
    )
    if both == "there":
        first, second = original, moved(changed, truth, side, side)
        truth = np.linalg.inv(truth)
    else:
        first, second = moved(changed, truth, side, side), original
        place = cv2.perspectiveTransform(place, truth)
    comparison = compare_images(first, second, Options(align="perspective"))
    assert comparison.alignment is not None
    height, width = first.shape[:2]
    assert corners_off(comparison.alignment.transform, truth, width, height) < 0.1
    assert comparison.first.shape == comparison.second.shape == first.shape
    (region,) = [region for region in comparison.regions if region.area > 100]
    x, y, wide, high = cv2.boundingRect(place.astype(np.float32))
    found = region.x, region.y, region.x + region.width, region.y + region.height
    assert np.abs(np.array(found) - (x, y, x + wide, y + high)).max() <= 6


def test_a_smooth_warp_is_taken_out_and_a_local_change_is_not() -> None:
    first = photo("camera")
    changed = first.copy()
    changed[200:230, 300:330] = 255 - changed[200:230, 300:330]
    across, down = np.meshgrid(
        np.arange(512, dtype=np.float32), np.arange(512, dtype=np.float32)
    )
    x, y = across + 1.5 * np.sin(down / 60), down + 1.5 * np.cos(across / 70)
    second = cv2.remap(changed, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    assert len(compare_images(first, second).regions) > 5
    options = Options(align="elastic", tolerance=2)
    (region,) = compare_images(first, second.astype(np.uint8), options).regions
    assert np.abs(np.array([region.x, region.y]) - (300, 200)).max() <= 8
    assert np.abs(np.array([region.width, region.height]) - 30).max() <= 14


@pytest.mark.slow
def test_pictures_of_different_things_are_not_registered() -> None:
    pairs = [
        (photo("astronaut"), photo("camera"), r"\d of \d+ matches agree"),
        (photo("camera"), np.full((512, 512, 3), 90, np.uint8), "0 of 0 matches agree"),
        (
            np.zeros((512, 512, 3), np.uint8),
            photo("camera"),
            "what they share has no corners",
        ),
        (photo("camera"), np.zeros((1, 1, 3), np.uint8), "0 of 0 matches agree"),
    ]
    for first, second, text in pairs:
        with pytest.raises(
            ImageDiffError, match=f"registered: {text}; they must show the same"
        ):
            compare_images(first, second, Options(align="perspective"))


@pytest.mark.parametrize(
    ("transform", "fault"),
    [
        ([[0.2, 0, 0], [0, 0.2, 0], [0, 0, 1]], "scales the second beyond 1/4 to 4"),
        ([[5, 0, 0], [0, 5, 0], [0, 0, 1]], "scales the second beyond 1/4 to 4"),
        ([[-1, 0, 100], [0, 1, 0], [0, 0, 1]], "folds or mirrors the second"),
        ([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1]], "scales the second beyond 1/4 to 4"),
        ([[1, 0, 0], [0, 0, 0], [0, 0, 1]], "folds or mirrors the second"),
    ],
)
def test_a_transform_that_is_not_sane_is_refused(
    transform: list[list[float]], fault: str
) -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(
        ImageDiffError, match=f"40 matches agree on a transform that {fault}"
    ):
        image_diff.check_transform(np.array(transform, float), picture, picture, 40)


@pytest.mark.parametrize(
    "transform",
    [
        [[0.26, 0, 0], [0, 0.26, 0], [0, 0, 1]],
        # It folds what the second shows beyond the first.
        [[1, 0, 0], [0, 1, 0], [-0.012, 0, 1]],
    ],
)
def test_a_transform_that_is_sane_over_one_picture_passes(
    transform: list[list[float]],
) -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    image_diff.check_transform(np.array(transform), picture, picture, 40)


def test_a_side_that_opencv_cannot_register() -> None:
    long = np.zeros((8, 40000, 3), np.uint8)
    with pytest.raises(
        ImageDiffError, match="up to 32767 pixels a side; scale or crop"
    ):
        compare_images(long, long, Options(align="perspective"))


def test_deep_pictures_are_registered_at_their_depth() -> None:
    first = photo("camera").astype(np.uint16) * 257
    second = np.roll(first, 3, axis=1)
    second[100:140, 100:140] ^= 0x8080
    comparison = compare_images(first, second, Options(align="perspective"))
    assert comparison.second.dtype == np.uint16
    (region,) = comparison.regions
    assert np.abs(np.array([region.x, region.y]) - (97, 100)).max() <= 6


# --- SSIM -----------------------------------------------------------------------------


def gray_of(picture: Picture) -> Picture:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture


def colour_of(picture: Picture) -> Picture:
    return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR) if picture.ndim == 2 else picture


def plain(first: Picture, second: Picture) -> tuple[float, Picture]:
    """Score and diff of SSIM alone, tile by tile."""
    measured = measure(colour_of(first), colour_of(second), None, gray_alone=True)
    return measured.score, 255 - measured.ssim_loss


def ssim_map_of(first: Picture, second: Picture) -> Picture:
    """The SSIM map of two 8-bit pictures at once, (H, W) float64."""
    return ssim_of(window_terms(gray_of(first), gray_of(second), 255))


def assert_is_scikit_image(first: Picture, second: Picture) -> None:
    """Compare score and maps with scikit-image's; exact 1 where equal."""
    score, diff = plain(first, second)
    ssim_map = ssim_map_of(first, second)
    a, b = gray_of(first), gray_of(second)
    expected_score, expected = structural_similarity(
        a, b, win_size=7, data_range=255, full=True
    )
    assert score == pytest.approx(expected_score, abs=1e-9)
    assert np.abs(ssim_map - expected).max() < 1e-9
    expected_diff = (np.clip(expected, 0, 1) * 255).astype(int)
    assert np.abs(diff - expected_diff).max() <= 1
    equal_windows = cv2.erode((a == b).astype(np.uint8), np.ones((7, 7), np.uint8)) == 1
    assert (ssim_map[equal_windows] == 1).all()
    assert (diff[equal_windows] == 255).all()


def test_ssim_worked_out_by_hand() -> None:
    """One window only: 49 pixels of 100 against 48 of 100 and one of 149.

    Means 100 and 101, covariance 0, variances 0 and 49 * (1/49)(48/49) 49^2 / 48 = 49.
    (2 * 100 * 101 + 6.5025) / (100^2 + 101^2 + 6.5025) * 58.5225 / (49 + 58.5225).
    """
    first = np.full((7, 7), 100, np.uint8)
    second = first.copy()
    second[3, 3] = 149
    score, diff = plain(first, second)
    by_hand = (20206.5025 / 20207.5025) * (58.5225 / 107.5225)
    assert score == pytest.approx(by_hand, abs=1e-14)
    assert ssim_map_of(first, second)[3, 3] == pytest.approx(by_hand, abs=1e-14)
    assert diff[3, 3] == int(by_hand * 255) == 138


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (7, 7),
        (7, 1000),
        (1000, 7),
        (8, 13),
        (128, 512),
        (191, 767),  # the largest tile
        (193, 769),  # the smallest four
        (600, 1100),
    ],
)
def test_ssim_is_scikit_images_at_any_size(height: int, width: int) -> None:
    first = random_picture(8, height, width)
    second = random_picture(9, height, width)
    second[:, width // 3 : width // 2] = first[:, width // 3 : width // 2]
    assert_is_scikit_image(first, second)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_ssim_of_the_samples(first: Path, second: Path) -> None:
    assert_is_scikit_image(read_image(first).pixels, read_image(second).pixels)


@pytest.mark.parametrize(
    "name", ["astronaut", "camera", "coffee", "page", "text", "rocket"]
)
def test_ssim_of_photos(name: str) -> None:
    assert_is_scikit_image(photo(name), edited(photo(name)))


@pytest.mark.parametrize(
    ("black", "white"), [(0, 255), (0, 0), (255, 255), (254, 255), (0, 1)]
)
def test_ssim_of_flat_pictures(black: int, white: int) -> None:
    shape = 40, 60
    assert_is_scikit_image(
        np.full(shape, black, np.uint8), np.full(shape, white, np.uint8)
    )


@settings(max_examples=60)
@given(data=st.data(), height=st.integers(7, 40), width=st.integers(7, 40))
def test_ssim_of_any_picture(data: st.DataObject, height: int, width: int) -> None:
    levels = data.draw(st.sampled_from([2, 3, 16, 256]))
    seed = data.draw(st.integers(0, 2**32 - 1))
    first, second = np.random.default_rng(seed).integers(0, levels, (2, height, width))
    scale = data.draw(st.integers(1, 255 // (levels - 1)))
    kept = data.draw(st.integers(0, width))
    second[:, :kept] = first[:, :kept]
    assert_is_scikit_image(
        (first * scale).astype(np.uint8), (second * scale).astype(np.uint8)
    )


def test_negative_ssim_is_dark_in_the_diff() -> None:
    first = random_picture(10, 60, 60)
    score, diff = plain(first, 255 - first)
    ssim_map = ssim_map_of(first, 255 - first)
    assert score < 0
    assert ssim_map.min() < -0.5
    assert (diff[ssim_map <= 0] == 0).all()


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("ignore", [(), ((5, 8, 20, 30),)])
@pytest.mark.parametrize("changes", [{}, {"gray": True}, {"tolerance": 1.5}])
def test_evidence_of_equal_pictures_is_what_their_windows_would_tell(
    dtype: Any, ignore: tuple[Any, ...], changes: Any
) -> None:
    image = random_picture(13, 90, 70).astype(dtype)
    options = Options(ignore=ignore, **changes)
    laid = image_diff.align(image, image.copy(), options)
    ignored = image_diff.ignored_in(ignore, 90, 70)
    told = image_diff.evidence_of(laid, ignored, options)
    other = image_diff.find_evidence(*laid[:3], ignored, laid.alignment, options)
    assert told[1] == other[1]
    for one, two in zip(told[0], other[0], strict=True):
        assert np.array_equal(np.asarray(one), np.asarray(two))
        assert type(one) is type(two)


def test_an_equal_pair_scores_exactly_1() -> None:
    picture = random_picture(11, 300, 700, 3)
    score, diff = plain(picture, picture.copy())
    assert score == 1
    assert diff.min() == 255
    assert ssim_map_of(picture, picture).min() == 1


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pictures_are_compared_at_full_depth(dtype: type) -> None:
    first = random_picture(12, 300, 600).astype(dtype) * dtype(150)
    second = first.copy()
    second[100:140, 200:280] += dtype(200)
    data_range = 65535 if dtype is np.uint16 else float(second.max() - first.min())
    score, diff = plain(first, second)
    expected_score, expected = structural_similarity(
        first.astype(float),
        second.astype(float),
        win_size=7,
        data_range=data_range,
        full=True,
    )
    assert score < 1
    assert score == pytest.approx(expected_score, abs=1e-9)
    assert np.abs(diff - (np.clip(expected, 0, 1) * 255).astype(int)).max() <= 1


# --- Evidence -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    picture = np.ones((40, 60, 3), np.float32)
    picture[3, 3] = value
    with pytest.raises(ImageDiffError, match="not finite; replace NaN and infinity"):
        compare_images(picture, picture)


def noisy(picture: Picture, sigma: float, seed: int = 0) -> Picture:
    """A picture with the noise of a sensor, in levels of 255."""
    grain = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)


def as_jpeg(picture: Picture, quality: int) -> Picture:
    """What a JPEG keeps of a picture."""
    data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def as_webp(picture: Picture, quality: int) -> Picture:
    """What a WebP keeps of a picture."""
    data = cv2.imencode(".webp", picture, [cv2.IMWRITE_WEBP_QUALITY, quality])[1]
    decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert decoded is not None
    return decoded


def times(picture: Picture, gain: float) -> Picture:
    return cv2.convertScaleAbs(picture, alpha=gain)


PAGE_LINES = [
    f"{41 * n % 97} of the quick brown foxes jump over {n} dogs" for n in range(9)
]
WORD = 4  # the line of a page that changes; it begins with 67


def page(
    lines: Sequence[str] = PAGE_LINES,
    size: int = 13,
    ink: int | tuple[int, int, int] = 34,
    ground: int | tuple[int, int, int] = 240,
) -> Picture:
    """Lines of text as a screen shows them, BGR."""
    inks = [(x, x, x) if isinstance(x, int) else x for x in (ink, ground)]
    shown = Image.new("RGB", (360, 240), inks[1])
    pen = ImageDraw.Draw(shown)
    font = ImageFont.load_default(size)
    for number, line in enumerate(lines):
        pen.text((16, 12 + 24 * number), line, inks[0], font)
    return bgr(np.asarray(shown)).copy()


def reworded(old: str, new: str) -> list[str]:
    """The lines of a page, of which one is worded otherwise."""
    lines = PAGE_LINES.copy()
    lines[WORD] = lines[WORD].replace(old, new)
    assert lines != PAGE_LINES
    return lines


def with_colour_noise(picture: Picture) -> Picture:
    """A picture with noise that leaves its brightness as it is."""
    luma, *colours = cv2.split(cv2.cvtColor(picture, cv2.COLOR_BGR2YCrCb))
    grain = np.random.default_rng(1).normal(0, 6, (2, *luma.shape))
    noisy_colours = [
        np.clip(colour + cv2.GaussianBlur(noise, (0, 0), 1), 0, 255).astype(np.uint8)
        for colour, noise in zip(colours, grain, strict=True)
    ]
    return cv2.cvtColor(cv2.merge([luma, *noisy_colours]), cv2.COLOR_YCrCb2BGR)


def with_picture(picture: Picture, lines: Sequence[str] = PAGE_LINES) -> Picture:
    """A picture as wide as a page, and two of its lines below."""
    return np.vstack([picture, page(lines[WORD : WORD + 2])[:72]])


def with_caption(picture: Picture) -> Picture:
    """A picture with the name of its camera, as the camera writes it."""
    shown = picture.copy()
    face = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(shown, "CAMERA 3", (10, 20), face, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return shown


PAGE = page()
CUP = photo("coffee")[80:320, 120:480]
CAT = photo("chelsea")[20:260, 60:420]
GRAINED = noisy(CUP, 3, 1)
WALL = np.full((480, 640, 3), 120, np.uint8)

# Pairs, and whether both pictures have noise of their own.
ORIGINS: dict[str, tuple[Picture, Picture, bool]] = {
    "another number": (PAGE, page(reworded("67", "61")), False),
    "other lines": (PAGE, page(PAGE_LINES[::-1]), False),
    "another ink": (PAGE, page(ink=(20, 20, 180)), False),
    "another ground": (PAGE, page(ground=225), False),
    "an edited photograph": (CUP, edited(CUP), False),
    "a darker photograph": (CUP, times(CUP, 0.8), False),
    "noise in one": (CUP, noisy(CUP, 1), True),
    "noise in both": (GRAINED, noisy(CUP, 3, 2), True),
    "noise and another light": (GRAINED, times(noisy(CUP, 3, 2), 0.8), True),
    "noise and edits": (GRAINED, edited(noisy(CUP, 3, 2)), True),
    "a page with noise": (noisy(PAGE, 4, 1), noisy(PAGE, 4, 2), True),
    "a page as JPEG 70": (PAGE, as_jpeg(PAGE, 70), True),
    "a photograph as JPEG 98": (CUP, as_jpeg(CUP, 98), True),
    "two photographs as JPEG 20": (
        as_jpeg(GRAINED, 20),
        as_jpeg(noisy(CUP, 3, 2), 20),
        True,
    ),
    "noise in the dark": (GRAINED, times(noisy(CUP, 3, 2), 0.3), True),
    "another picture on a page": (with_picture(CUP), with_picture(CAT), False),
    "a plain wall": (
        with_caption(noisy(WALL, 3, 1)),
        with_caption(noisy(WALL, 3, 2)),
        True,
    ),
    "another focus": (CUP, cv2.GaussianBlur(CUP, (0, 0), 1.5), False),
    "noise of colours": (CUP, with_colour_noise(CUP), True),
}


@pytest.mark.parametrize("name", ORIGINS)
def test_a_pair_is_digital_or_has_noise_of_its_own(name: str) -> None:
    first, second, expected = ORIGINS[name]
    x, y = (gray_of(picture).astype(np.float32) for picture in (first, second))
    forward, backward = sample(first, second, None), sample(second, first, None)
    assert forward
    assert backward
    told = is_of_camera(forward, spread_of(x, y))
    swapped = is_of_camera(backward, spread_of(y, x))
    assert told == swapped == expected
    assert (compare_images(first, second).noise is not None) == expected


def form(number: str) -> Picture:
    """Fields with their names and numbers, one of which is given, BGR."""
    shown = Image.new("RGB", (640, 480), (250, 250, 250))
    pen = ImageDraw.Draw(shown)
    names = ["Date of birth", "Amount", "City", "Reference"]
    small, large = ImageFont.load_default(14), ImageFont.load_default(15)
    for row, column in product(range(9), range(2)):
        x, y = 16 + 310 * column, 12 + 52 * row
        pen.text((x, y), names[(row + column) % 4], (90, 90, 90), small)
        pen.rectangle((x, y + 20, x + 270, y + 42), (252, 252, 255), (170, 170, 190))
        other = f"{(7 * row + column) * 9973 % 99991}.{row}{column}"
        text = number if (row, column) == (2, 1) else other
        pen.text((x + 6, y + 24), text, (20, 20, 70), large)
    return bgr(np.asarray(shown)).copy()


def test_what_compression_does_behind_a_change_is_no_difference() -> None:
    first, second = (
        cv2.imdecode(
            cv2.imencode(".webp", form(number), [cv2.IMWRITE_WEBP_QUALITY, 90])[1],
            cv2.IMREAD_COLOR,
        )
        for number in ("9779.12", "9179.12")
    )
    (region,) = compare_images(first, second).regions
    assert 325 < region.x < region.x + region.width < 400
    assert 135 < region.y < region.y + region.height < 165


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda x: x + np.random.default_rng(2).normal(0, 0.6, x.shape), True),
        (lambda x: x + np.random.default_rng(2).normal(0, 0.1, x.shape), False),
        (lambda x: 0.98 * x, False),
        (lambda x: 255 - 1.02 * (255 - x), False),
        (lambda x: x, False),
    ],
)
def test_compression_follows_no_values(
    change: Callable[[NDArray[Any]], NDArray[Any]], expected: bool
) -> None:
    x = gray_of(form("0")).astype(np.float32)
    y = np.rint(change(x)).clip(0, 255).astype(np.float32)
    spread = spread_of(x, y)
    assert are_recompressed(spread, spread.least() > 4) == expected


@pytest.mark.parametrize("sigma", [2, 4, 8])
def test_noise_is_known_by_its_sigma_though_a_part_has_changed(sigma: float) -> None:
    second = noisy(edited(CUP), sigma, 2)
    noise = compare_images(noisy(CUP, sigma, 1), second).noise
    luma = (0.299**2 + 0.587**2 + 0.114**2) ** 0.5  # of three channels' own noise
    assert noise == pytest.approx(sigma * luma * 2**0.5, rel=0.15)


COFFEE = photo("coffee")


def saved_by_pillow(picture: Picture, quality: int, subsampling: str) -> Picture:
    """The picture, stored as JPEG of so many colours."""
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(picture[..., ::-1]))
    image.save(file, "JPEG", quality=quality, subsampling=subsampling)
    return bgr(np.asarray(Image.open(file).convert("RGB"))).copy()


@pytest.mark.parametrize("quality", [50, 75, 92])
def test_a_jpeg_saved_again_is_the_same_but_for_what_was_edited(quality: int) -> None:
    first = as_jpeg(COFFEE, quality)
    assert (first != as_jpeg(first, quality)).any()
    assert not compare_images(first, as_jpeg(first, quality)).regions
    edited = first.copy()
    edited[200:216, 300:330] = 255 - edited[200:216, 300:330]
    (region,) = compare_images(first, as_jpeg(edited, quality)).regions
    assert abs(region.x - 297) <= 8
    assert abs(region.y - 197) <= 8


def test_small_edits_of_a_jpeg_that_was_not_saved_again_are_found() -> None:
    first = as_jpeg(COFFEE, 80)
    second = first.copy()
    places = [(40 * n + 9, 60 + 29 * (n % 9)) for n in range(12)]
    for x, y in places:
        second[y : y + 5, x : x + 5] ^= 96
    assert len(compare_images(first, second).regions) == len(places)


@pytest.mark.parametrize("quality", [60, 80])
def test_colours_of_another_resolution_are_no_difference(quality: int) -> None:
    full = saved_by_pillow(COFFEE, quality, "4:4:4")
    quarter = saved_by_pillow(full, quality, "4:2:0")
    assert not compare_images(full, quarter).regions
    quarter[200:240, 300:330, 2] //= 2
    assert len(compare_images(full, quarter).regions) == 1


def icon(letter: str, side: int) -> Picture:
    """A letter that fills a small picture."""
    shown = Image.new("L", (side, side), 250)
    font = ImageFont.load_default(0.8 * side)
    ImageDraw.Draw(shown).text((side / 5, 0), letter, 30, font)
    return bgr(np.asarray(shown.convert("RGB"))).copy()


@pytest.mark.parametrize("letter", "AHSg")
@pytest.mark.parametrize("side", [40, 64, 96])
@pytest.mark.parametrize("stored", [as_jpeg, as_webp])
def test_a_line_across_a_small_picture_is_no_noise(
    letter: str, side: int, stored: Callable[[Picture, int], Picture]
) -> None:
    first = icon(letter, side)
    second = first.copy()
    second[2:-2, side // 4] = 255 - second[2:-2, side // 4]
    assert compare_images(stored(first, 80), stored(second, 80)).regions


@pytest.mark.parametrize("side", [24, 32, 56])
def test_a_small_picture_tells_its_noise_and_its_changes(side: int) -> None:
    small = CUP[60 : 60 + side, 150 : 150 + side]
    assert not compare_images(noisy(small, 3, 1), noisy(small, 3, 2)).regions
    changed = small.copy()
    changed[side // 2, side // 2] = (0, 255, 255)
    assert compare_images(small, changed).regions


def test_noise_that_grows_with_activity_does_not_fall() -> None:
    x, y = (gray_of(z).astype(np.float32) for z in (CUP, as_jpeg(CUP, 70)))
    variances, sigma = noise_by_activity(y - x, ranges_of(x, y), np.ones(x.shape, bool))
    assert variances.shape == (256,)
    assert (np.diff(variances) >= 0).all()
    assert variances[0] < sigma**2 < variances[-1]


def test_edges_that_drifted_are_not_all_taken_for_noise() -> None:
    x = np.full((400, 400), 255, np.float32)
    for left in range(20, 400, 48):
        cv2.line(x, (left, 0), (left, 399), 0, 8)
    y = np.roll(x, 2, axis=1)
    variances, _ = noise_by_activity(y - x, ranges_of(x, y), np.ones(x.shape, bool))
    of_an_edge = 255**2 * 2 / 7 * 5 / 7  # two columns of a window differ
    assert variances[0] == 0
    assert variances[-1] < of_an_edge / 3


def test_the_mean_of_a_window_is_off_by_three_deviations_at_most() -> None:
    random = np.random.default_rng(4)
    cells = np.kron(random.normal(0, 9, (20, 20)), np.ones((8, 8)))
    fine = random.normal(0, 0.5, cells.shape)
    counted = np.ones((20, 20), bool)
    assert grain_of(cells + fine, counted) == 6
    assert grain_of(fine, counted) == pytest.approx(1, abs=0.2)


Ink = tuple[int, int, int]


def disc(ink: Ink) -> Picture:
    """A disc on plain paper, BGR."""
    shown = Image.new("RGB", (320, 240), (244, 244, 240))
    ImageDraw.Draw(shown).ellipse((100, 60, 220, 180), ink)
    return bgr(np.asarray(shown)).copy()


@pytest.mark.parametrize("sigma", [1, 3])
@pytest.mark.parametrize(
    "inks", [((60, 140, 175), (200, 75, 140)), ((130, 190, 195), (160, 135, 60))]
)
def test_a_thing_in_another_colour_is_no_other_light(
    sigma: float, inks: tuple[Ink, Ink]
) -> None:
    first, second = (disc(ink) for ink in inks)
    (region,) = compare_images(noisy(first, sigma, 1), noisy(second, sigma, 2)).regions
    assert region[:4] == pytest.approx((98, 58, 125, 125), abs=3)


def pale(picture: Picture, levels: int) -> Picture:
    """A picture with a patch of 60x50 pixels that is a little lighter."""
    second = picture.copy()
    patch = second[60:110, 200:260].astype(int) + levels
    second[60:110, 200:260] = patch.clip(0, 255)
    return second


def test_a_pale_patch_in_noise_is_found_if_it_is_wide() -> None:
    first, second = noisy(CUP, 4, 1), noisy(pale(CUP, 8), 4, 2)
    (region,) = compare_images(first, second).regions
    assert region[:4] == pytest.approx((198, 58, 64, 54), abs=8)
    assert not compare_images(first, second, tolerance=1).regions


def test_four_windows_of_what_is_likely_are_a_patch_and_what_is_known_is_none() -> None:
    evidence = np.full((60, 60), 255, np.uint8)
    evidence[2:16, 2:16] = 216  # 14x14, an SSIM of 0.85
    evidence[2:16, 30:43] = 216  # 14x13
    evidence[30:50, 2:22] = 216
    mask = np.zeros_like(evidence)
    mask[40, 10] = 255
    wider = image_diff.with_wide(mask, evidence)
    expected = mask.copy()
    expected[2:16, 2:16] = 255
    assert wider.tolist() == expected.tolist()


def lit_beside(gain: float) -> tuple[Picture, Picture]:
    """The cup with noise, and again in another light."""
    brighter = np.clip(CUP * gain, 0, 255).astype(np.uint8)
    return noisy(CUP, 2, 1), noisy(brighter, 2, 2)


def test_in_another_light_the_rim_of_what_is_ignored_is_no_difference() -> None:
    first, second = lit_beside(1.15)
    assert compare_images(first, second).light is not None
    second[60:150, 100:220] = 255 - second[60:150, 100:220]
    ignored = [(100, 60, 120, 90)]
    for tolerance in (0, 1):
        comparison = compare_images(first, second, ignore=ignored, tolerance=tolerance)
        assert comparison.light is not None
        assert boxes_of(comparison.regions) == set()


def test_in_another_light_the_rim_of_a_strip_is_no_difference() -> None:
    first, second = lit_beside(1.15)
    wider = np.pad(second, ((0, 0), (0, 40), (0, 0)), mode="reflect")
    comparison = compare_images(first, wider)
    assert boxes_of(comparison.regions) == {(CUP.shape[1], 0, 40, CUP.shape[0])}


def test_in_another_light_the_rim_of_what_is_not_covered_is_no_difference() -> None:
    first, second = lit_beside(1.15)
    turn = np.array([[0.999, 0.035, 12.3], [-0.035, 0.999, 9.4]], np.float32)
    turned = cv2.warpAffine(second, turn, second.shape[1::-1])
    comparison = compare_images(first, turned, align="perspective")
    assert comparison.light is not None
    assert not comparison.regions


@pytest.mark.parametrize("ignored", [[(0, 0, 420, 100)], [(0, 150, 420, 170)]])
def test_one_tone_of_a_page_is_told_beside_what_is_ignored(
    ignored: list[tuple[int, int, int, int]],
) -> None:
    shifted = np.clip(PAGE.astype(int) - 5, 0, 255).astype(np.uint8)
    comparison = compare_images(PAGE, shifted, ignore=ignored)
    assert comparison.light == (False, (1.0, 1.0), -5)
    assert not comparison.regions


def test_one_tone_of_a_page_is_told_beside_a_strip() -> None:
    shifted = np.clip(PAGE.astype(int) - 5, 0, 255).astype(np.uint8)
    wider = np.pad(shifted, ((0, 0), (0, 40), (0, 0)), mode="edge")
    height, width = PAGE.shape[:2]
    assert boxes_of(compare_images(PAGE, wider).regions) == {(width, 0, 40, height)}


@pytest.mark.parametrize("left", [0, 2, 3])
def test_what_little_a_mask_leaves_of_a_registered_pair_is_compared(left: int) -> None:
    mask = np.full(CUP.shape[:2], 255, np.uint8)
    mask[:left, :left] = 0
    step = np.array([[1, 0, 2], [0, 1, 1]], np.float32)
    second = cv2.warpAffine(CUP, step, CUP.shape[1::-1])
    comparison = compare_images(CUP, second, align="perspective", ignored=(mask, None))
    assert not comparison.regions


@pytest.mark.parametrize("size", [(12, 1200), (1200, 12), (8, 2000), (15, 700)])
def test_a_picture_of_a_row_of_cells_tells_its_noise(size: tuple[int, int]) -> None:
    height, width = size
    ramp = np.linspace(40, 200, width) + np.linspace(0, 30, height)[:, None]
    still = np.dstack([ramp] * 3).astype(np.uint8)
    comparison = compare_images(noisy(still, 3, 1), noisy(still, 3, 2))
    assert comparison.noise is not None
    assert not comparison.regions


def test_of_a_large_picture_activity_is_that_of_what_lies_around() -> None:
    flat, busy = np.full((1600, 1600), 128, np.float32), np.zeros((1600, 1600))
    busy[::32] = 127  # no line is in a band of the sample
    bands = image_diff.sampled_bands(1600, 1600)
    assert [band.top for band in bands[:2]] == [0, 32]
    first = (flat + busy).astype(np.uint8)
    ranges = image_diff.ranges_around(first, first, bands[3], lambda z: z, None)
    assert (ranges[0][0] == 127).all()


def test_what_is_ignored_is_no_part_of_the_noise() -> None:
    first, second = noisy(CUP, 5, 1), noisy(CUP, 5, 2)
    second[:, :180] = noisy(CUP, 20, 3)[:, :180]
    comparison = compare_images(first, second, ignore=[(0, 0, 180, 240)])
    right = compare_images(first[:, 180:], second[:, 180:])
    assert comparison.noise == pytest.approx(right.noise, rel=0.1)
    assert comparison.regions == ()


def coarsely_noisy(picture: Picture, seed: int) -> Picture:
    """A picture with noise of 5 levels that is wider than a pixel, as of film."""
    noise = np.random.default_rng(seed).normal(0, 1, picture.shape)
    grain: NDArray[Any] = cv2.GaussianBlur(noise, (0, 0), 2)
    result = picture + 5 * grain / grain.std()
    return np.asarray(np.clip(result, 0, 255), np.uint8)


def test_noise_wider_than_a_pixel_is_noise_and_an_edit_in_it_is_found() -> None:
    first, second = coarsely_noisy(CUP, 1), coarsely_noisy(CUP, 2)
    assert compare_images(first, second).regions == ()
    second[60:100, 200:260] = coarsely_noisy(CUP, 3)[180:220, 60:120]
    (region,) = compare_images(first, second).regions
    assert 60 * 40 * 0.8 < region.area < 70 * 50


def test_a_pair_of_one_texture_has_noise_though_what_stands_out_has_changed() -> None:
    texture = np.random.default_rng(0).normal(128, 30, (320, 320, 3))
    grass = np.clip(texture, 0, 255).astype(np.uint8)
    first, second = noisy(grass, 2, 1), noisy(grass, 2, 2)
    stripes = (255 * (np.arange(40) // 4 % 2)).astype(np.uint8)
    first[96:128, 64:104] = stripes[None, :, None]
    second[96:128, 64:104] = 255 - stripes[None, :, None]
    (region,) = compare_images(first, second).regions
    assert np.abs(np.subtract(region[:4], (61, 93, 46, 38))).max() <= 4


@pytest.mark.parametrize(("sigma", "regions"), [(0, 1), (3, 0)])
def test_one_pixel_counts_but_where_there_is_noise(sigma: float, regions: int) -> None:
    first, second = noisy(CUP, sigma, 1), noisy(CUP, sigma, 2)
    second[100, 100] = 255 if first[100, 100].mean() < 128 else 0
    assert len(compare_images(first, second).regions) == regions


def deep_noisy(picture: Picture, kind: type, most: float, seed: int) -> Picture:
    """A picture of another depth, with noise of 3 levels that uses all of its bits."""
    grain = np.random.default_rng(seed).normal(0, 3, picture.shape)
    return (np.clip((picture + grain) / 255, 0, 1) * most).astype(kind)


@pytest.mark.parametrize(
    ("kind", "most"),
    [
        *((np.uint16, most) for most in (65535, 4095, 255)),
        *((np.float32, most) for most in (1, 3000)),
    ],
)
def test_noise_of_deep_pictures_is_not_boxed_and_a_change_is(
    kind: type, most: float
) -> None:
    first, second = (deep_noisy(CUP, kind, most, seed) for seed in (1, 2))
    comparison = compare_images(first, second)
    assert comparison.regions == ()
    assert comparison.noise == pytest.approx(3 * 0.668 * 2**0.5, abs=0.3)
    second[100:130, 200:240] = second[20:50, 20:60]
    (region,) = compare_images(first, second).regions
    off = np.subtract(region[:4], (197, 97, 46, 36))
    assert np.abs(off).max() <= 3


@pytest.mark.parametrize("sigma", [6, 10, 20])
def test_strong_noise_is_not_boxed_and_a_change_is(sigma: float) -> None:
    first, second = noisy(CUP, sigma, 1), noisy(CUP, sigma, 2)
    assert compare_images(first, second).regions == ()
    second[100:130, 200:240] = second[20:50, 20:60]
    (region,) = compare_images(first, second).regions
    off = np.subtract(region[:4], (197, 97, 46, 36))
    assert np.abs(off).max() <= 4


@pytest.mark.parametrize("gray", [False, True])
@pytest.mark.parametrize("quality", [40, 70, 90])
def test_a_page_beside_its_jpeg_is_the_same_but_for_a_digit(
    quality: int, gray: bool
) -> None:
    assert compare_images(PAGE, as_jpeg(PAGE, quality), gray=gray).regions == ()
    second = page(reworded("67", "61"))
    (truth,) = compare_images(PAGE, second).regions
    (region,) = compare_images(PAGE, as_jpeg(second, quality), gray=gray).regions
    assert np.abs(np.subtract(region[:4], truth[:4])).max() <= 8


def test_a_digital_pair_is_forgiven_nothing_that_is_seen() -> None:
    first = np.full((60, 80, 3), 200, np.uint8)
    for channel in range(3):
        second = first.copy()
        second[30, 40, channel] -= 3
        assert compare_images(first, second).regions == ()
        second[30, 40, channel] -= 1
        for pair in ((first, second), (second, first)):
            (region,) = compare_images(*pair).regions
            assert region[:5] == (37, 27, 7, 7, 49)


def test_texture_hides_a_difference() -> None:
    rough = random_picture(5, 60, 80, 3)
    second = rough.copy()
    second[30, 40] = np.where(rough[30, 40] < 128, rough[30, 40] + 5, rough[30, 40] - 5)
    assert compare_images(rough, second).regions == ()
    second[30, 40] = 255 - rough[30, 40]
    (region,) = compare_images(rough, second).regions
    assert region[:5] == (37, 27, 7, 7, 49)


RECOLOURED: dict[str, Picture] = {
    "ground alone": page(ground=230),
    "ink alone": page(ink=60),
    "ivory": page(ground=(240, 240, 225)),
    "ground and ink apart": page(ink=60, ground=230),
}


@pytest.mark.parametrize("name", RECOLOURED)
@pytest.mark.parametrize("light", ["auto", "compare"])
def test_a_recoloured_page_has_changed(name: str, light: str) -> None:
    for pair in ((PAGE, RECOLOURED[name]), (RECOLOURED[name], PAGE)):
        comparison = compare_images(*pair, light=light)
        assert comparison.regions
        assert (comparison.light, comparison.noise) == (None, None)


@pytest.mark.parametrize("shift", [-10, -5, 1, 5, 10])
@pytest.mark.parametrize("ground", [240, 255])
def test_a_uniform_shift_is_told_and_boxed_where_it_is_asked_for(
    shift: int, ground: int
) -> None:
    first = page(ground=ground)
    second = np.clip(first.astype(int) + shift, 0, 255).astype(np.uint8)
    # White stays white, and the texture of small text hides 10 levels.
    ground_is_seen_to_shift = abs(int(second[0, 0, 0]) - ground) > 3
    for pair, offset in (((first, second), shift), ((second, first), -shift)):
        comparison = compare_images(*pair)
        assert comparison.regions == ()
        assert comparison.light == Light(False, (1.0, 1.0), offset)
        assert comparison.noise is None
        counted = compare_images(*pair, light="compare")
        assert counted.light is None
        assert bool(counted.regions) == ground_is_seen_to_shift
    second[100:120, 50:90] = 255 - second[100:120, 50:90]
    (region,) = compare_images(first, second).regions
    assert np.abs(np.subtract(region[:4], (47, 97, 46, 26))).max() <= 3


def shaded(picture: Picture) -> Picture:
    """A picture that is darker to the right, down to 0.7."""
    gain = np.linspace(1, 0.7, picture.shape[1])[:, None]
    return np.rint(picture * gain).astype(np.uint8)


@pytest.mark.parametrize("tolerance", [0, 1, 2])
def test_another_shade_below_letters_counts_with_tolerance(tolerance: float) -> None:
    """Beside what a shift makes of the letters it is slight."""
    first, second = (
        np.vstack([PAGE[:100], page(ink=255, ground=ground)[:60]])
        for ground in ((166, 86, 36), (171, 92, 42))
    )
    (region,) = compare_images(first, second, tolerance=tolerance).regions
    assert np.abs(np.subtract(region[:4], (0, 100, 360, 60))).max() <= 4


def test_an_ink_alone_on_white_that_is_another_is_a_change() -> None:
    first = np.full((300, 400, 3), 255, np.uint8)
    first[50:150, 40:200] = 36, 86, 166
    second = first.copy()
    second[50:150, 40:200] += 14
    (region,) = compare_images(first, second).regions
    assert np.abs(np.subtract(region[:4], (40, 50, 160, 100))).max() <= 6


@pytest.mark.parametrize(
    "lit",
    [*(partial(times, gain=gain) for gain in (0.8, 1.1, 1.25)), shaded],
    ids=["x0.8", "x1.1", "x1.25", "shaded"],
)
def test_another_light_on_a_photograph_is_no_difference_and_an_edit_is(
    lit: Callable[[Picture], Picture],
) -> None:
    second = noisy(CUP, 3, 2)
    comparison = compare_images(GRAINED, lit(second))
    assert comparison.regions == ()
    assert comparison.light is not None
    assert comparison.light.camera
    assert compare_images(GRAINED, lit(second), light="compare").regions
    second[100:130, 200:240] = second[20:50, 20:60]
    (region,) = compare_images(GRAINED, lit(second)).regions
    assert np.abs(np.subtract(region[:4], (197, 97, 46, 36))).max() <= 4


BLOBS = random_picture(3, 240, 360, 3)
# Pairs that differ nearly everywhere, in which nothing is noise or light.
UNLIKE: dict[str, tuple[Picture, Picture]] = {
    "a page that moved by a row": (PAGE, np.roll(PAGE, 1, axis=0)),
    "a page that moved by 3 rows": (PAGE, np.roll(PAGE, 3, axis=0)),
    "a page that moved aside": (PAGE, np.roll(PAGE, 1, axis=1)),
    "inverted": (CUP, 255 - CUP),
    "a page inverted": (PAGE, 255 - PAGE),
    "mirrored": (CUP, np.ascontiguousarray(CUP[:, ::-1])),
    "blurred": (BLOBS, cv2.GaussianBlur(BLOBS, (0, 0), 3).astype(np.uint8)),
    "another picture": (CUP, photo("chelsea")[:240, :360]),
}


@pytest.mark.parametrize("name", UNLIKE)
def test_what_is_unlike_is_not_taken_for_noise_or_light(name: str) -> None:
    first, second = UNLIKE[name]
    for pair in ((first, second), (second, first)):
        assert compare_images(*pair).different_fraction > 0.1


def test_a_drawing_that_is_scaled_alone_is_not_lit_otherwise() -> None:
    first = np.full((100, 160, 3), 200, np.uint8)
    second = np.full((50, 80, 3), (200, 20, 10), np.uint8)
    comparison = compare_images(first, second, resize=True)
    assert comparison.light is None
    assert comparison.mask.all()


def test_light_on_a_drawn_page_is_ignored_where_it_is_asked_for() -> None:
    second = shaded(PAGE)
    assert compare_images(PAGE, second).regions
    comparison = compare_images(PAGE, second, light="ignore")
    assert comparison.regions == ()
    assert comparison.light is not None


def test_noise_that_is_compared_is_boxed() -> None:
    second = noisy(CUP, 3, 2)
    comparison = compare_images(GRAINED, second, noise="compare")
    assert comparison.noise is None
    assert comparison.different_fraction > 0.9


@pytest.mark.parametrize(
    "disturb",
    [
        lambda picture: noisy(picture, 2),
        lambda picture: noisy(picture, 3),
        lambda picture: as_jpeg(picture, 85),
        lambda picture: cv2.convertScaleAbs(picture, alpha=1, beta=5),
    ],
    ids=["noise 2", "noise 3", "JPEG 85", "brightness +5"],
)
@pytest.mark.parametrize("gray", [False, True])
def test_invisible_noise_is_not_boxed_and_edits_are(
    disturb: Callable[[Picture], Picture], gray: bool
) -> None:
    first = photo("astronaut")
    options = Options(gray=gray)
    assert compare_images(first, disturb(first), options).regions == ()
    second = first.copy()
    second[100:130, 200:240] = second[300:330, 200:240]
    (region,) = compare_images(first, disturb(second), options).regions
    assert 190 <= region.x <= 203
    assert 90 <= region.y <= 103


def test_a_brighter_flat_patch_is_boxed_though_ssim_is_blind_to_it() -> None:
    first = np.full((200, 300, 3), 200, np.uint8)
    second = first.copy()
    second[80:120, 100:160] += 25
    comparison = compare_images(first, second)
    assert image_diff.draw(comparison, "Diff")[100, 130] >= 252
    (region,) = comparison.regions
    assert abs(region.x - 100) <= 3
    assert abs(region.y - 80) <= 3


def test_a_hue_of_equal_brightness_counts_but_for_gray() -> None:
    first = np.full((200, 300, 3), (90, 130, 170), np.uint8)
    second = first.copy()
    second[80:120, 100:160] = (170, 129, 140)
    assert gray_of(first)[100, 130] == gray_of(second)[100, 130]
    assert compare_images(first, second, gray=True).regions == ()
    (region,) = compare_images(first, second).regions
    assert abs(region.x - 100) <= 3
    assert abs(region.y + region.height - 120) <= 3
    deep = first.astype(np.uint16) * 257, second.astype(np.uint16) * 257
    assert len(compare_images(deep[0], deep[1]).regions) == 1


@settings(max_examples=20)
@given(seed=st.integers(0, 999), sigma=st.integers(0, 4), offset=st.integers(-9, 9))
@pytest.mark.slow
def test_weighing_is_symmetric(seed: int, sigma: int, offset: int) -> None:
    first = random_picture(seed, 90, 120, 3) // 2 + 40
    second = noisy(first, sigma, seed)
    second[20:50, 30:60] = 255 - second[20:50, 30:60]
    second = np.clip(second.astype(int) + offset, 0, 255).astype(np.uint8)
    for options in (Options(), Options(gray=True)):
        one = compare_images(first, second, options)
        other = compare_images(second, first, options)
        assert one.score == other.score
        boxes = np.array([region[:4] for region in one.regions])
        swapped = np.array([region[:4] for region in other.regions])
        assert boxes.shape == swapped.shape
        # A light is fitted from the first picture to the second.
        most = 0 if one.light is None and other.light is None else 2
        assert np.abs(boxes - swapped).max(initial=0) <= most


def test_clipping_worked_out_by_hand() -> None:
    other = np.array([[10, 10, 10, 50, 10, 10]], np.uint8).repeat(6, axis=0)
    image = np.full((6, 6), 60, np.uint8)

    def row(image: Picture, reach: float) -> Any:
        return clip_to_range(image, other, reach)[2].tolist()

    assert row(image, 0) == [10, 10, 10, 50, 10, 10]
    assert row(image, 1) == [10, 10, 50, 50, 50, 10]
    assert row(image, 2) == [10, 50, 50, 50, 50, 50]
    assert row(image, 0.5) == [10, 10, 30, 50, 30, 10]
    assert row(image // 2, 1) == [10, 10, 30, 30, 30, 10]


@pytest.mark.parametrize("shift", [(0, 0), (0.5, -0.125), (-1, 1), (1.75, 0.25)])
def test_a_shift_by_parts_of_a_pixel_is_as_opencv_warps(
    shift: tuple[float, float],
) -> None:
    image = gray_of(random_picture(4, 30, 40, 3)).astype(np.float32)
    move = np.array([[1, 0, shift[0]], [0, 1, shift[1]]], float)
    edge = cv2.BORDER_REPLICATE
    expected = cv2.warpAffine(image, move, (40, 30), None, cv2.INTER_CUBIC, edge)
    assert image_diff.shifted(image, *shift) == pytest.approx(expected, abs=0.01)


def test_differences_are_explained_alone_as_beside_others_far_off() -> None:
    first, second = page(size=13), page(size=13)
    second[12:36] = np.roll(first[12:36], 1, axis=1)
    second[200:216, 100:116] = 0
    alone = first.copy()
    alone[200:216, 100:116] = 0
    both = compare_images(first, second, tolerance=1)
    assert both.regions == compare_images(first, alone, tolerance=1).regions


@given(seed=st.integers(0, 999), x=st.integers(-2, 2), y=st.integers(-2, 2))
@settings(max_examples=30)
def test_tolerance_explains_every_shift_up_to_it(seed: int, x: int, y: int) -> None:
    first = random_picture(seed, 60, 80, 3)
    second = np.roll(first, (y, x), axis=(0, 1))
    second[:2], second[-2:], second[:, :2], second[:, -2:] = first[:2], first[-2:], 0, 0
    first[:, :2] = first[:, -2:] = 0
    comparison = compare_images(first, second, Options(tolerance=2))
    inner = comparison.mask[14:-14, 14:-14]  # at the rim other pixels came in
    assert not inner.any()


def test_a_thin_line_that_is_gone_counts_and_one_that_moved_does_not() -> None:
    first = np.full((200, 300, 3), 255, np.uint8)
    cv2.line(first, (20, 50), (280, 50), (0, 0, 0), 1)
    cv2.line(first, (20, 150), (280, 150), (0, 0, 0), 1)
    second = np.roll(first, 2, axis=0)
    second[152, 100:140] = 255
    for pair in ((first, second), (second, first)):
        assert len(compare_images(*pair).regions) >= 2
        (region,) = compare_images(*pair, Options(tolerance=2)).regions
        assert np.abs(np.array([region.x, region.width]) - (100, 40)).max() <= 8
        assert region.y <= 150 <= region.y + region.height


SIZES = [11, 13, 16]  # of letters, in pixels


@pytest.mark.parametrize("tolerance", [4, 6, 8, 12, 30, 100])
@pytest.mark.parametrize("moved", [1, 3.5])
def test_a_larger_tolerance_explains_no_less(tolerance: float, moved: float) -> None:
    first = page()
    step = np.array([[1, 0, moved], [0, 1, 0]], np.float32)
    second = cv2.warpAffine(
        first, step, first.shape[1::-1], borderMode=cv2.BORDER_REPLICATE
    )
    changed = second.copy()
    changed[222:232, 300:320] = 0
    assert not compare_images(first, second, tolerance=tolerance).regions
    assert compare_images(first, changed, tolerance=tolerance).regions


@pytest.mark.parametrize("size", SIZES)
def test_tolerance_explains_a_line_that_moved(size: int) -> None:
    first = page(size=size)
    top = 12 + 24 * WORD
    second = first.copy()
    second[top : top + 24] = np.roll(first[top : top + 24], 1, axis=1)
    assert compare_images(first, second).regions
    assert compare_images(first, second, tolerance=1).regions == ()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("old", "new"), [("67", "87"), ("67", "61"), ("4 d", "1 d")])
def test_tolerance_explains_no_changed_digit(size: int, old: str, new: str) -> None:
    first, second = page(size=size), page(reworded(old, new), size)
    for pair in ((first, second), (second, first)):
        truth = compare_images(*pair).regions
        (region,) = compare_images(*pair, tolerance=1).regions
        assert region[:4] in [one[:4] for one in truth]


@pytest.mark.parametrize("tolerance", [0.5, 1, 2])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (20, 1), (1, 9), (6, 6)])
def test_tolerance_explains_nothing_that_is_gone_or_new(
    width: int, height: int, tolerance: float
) -> None:
    first = np.full((60, 80, 3), 200, np.uint8)
    second = first.copy()
    second[25 : 25 + height, 30 : 30 + width] = 60
    for pair in ((first, second), (second, first)):
        (region,) = compare_images(*pair, tolerance=tolerance).regions
        assert region[:4] == (27, 22, width + 6, height + 6)


DEPTHS: dict[str, tuple[Any, int]] = {
    "8 bits": (np.uint8, 255),
    "16 bits": (np.uint16, 65535),
    "float": (np.float32, 40),
}


@settings(max_examples=40)
@given(
    size=st.sampled_from([(7, 7), (30, 40), (200, 800), (300, 1100)]),
    depth=st.sampled_from(list(DEPTHS)),
    changes=st.integers(0, 60),
    ignore=st.none()
    | st.tuples(
        st.integers(-5, 6), st.integers(-5, 6), st.integers(6, 900), st.integers(6, 250)
    ),
    gray=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@example(size=(300, 1100), depth="8 bits", changes=0, ignore=None, gray=False, seed=0)
@example(
    size=(200, 800), depth="float", changes=9, ignore=(0, 0, 9, 9), gray=True, seed=0
)
@pytest.mark.slow
def test_unequal_pixels_and_the_largest_difference_are_numpys(
    size: tuple[int, int],
    depth: str,
    changes: int,
    ignore: tuple[int, int, int, int] | None,
    gray: bool,
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    kind, most = DEPTHS[depth]
    first: Picture = (rng.random((*size, 3)) * most).astype(kind)
    second = first.copy()
    rows = rng.integers(0, size[0], changes)
    columns = rng.integers(0, size[1], changes)
    channels = rng.integers(0, 3, changes)
    second[rows, columns, channels] = (rng.random(changes) * most).astype(kind)
    counted = np.ones(size, bool)
    if ignore is not None:
        x, y, width, height = ignore
        counted[max(y, 0) : y + height, max(x, 0) : x + width] = False
    assume(counted.any())
    away = np.abs(first.astype(np.float64) - second)[counted]
    low, high = (0, most) if kind is not np.float32 else (None, None)
    if low is None or high is None:
        low, high = min(first.min(), second.min()), max(first.max(), second.max())
    rectangles = () if ignore is None else (ignore,)
    comparison = compare_images(first, second, gray=gray, ignore=rectangles)
    assert comparison.unequal_pixels == np.count_nonzero(away.any(axis=1))
    largest = away.max(initial=0) * 255 / (float(high) - float(low))
    assert comparison.largest_difference == pytest.approx(largest, rel=1e-6)


def test_one_step_of_one_channel_is_not_identical() -> None:
    first = random_picture(1, 300, 700, 3)
    second = first.copy()
    second[250, 600, 1] ^= 1
    comparison = compare_images(first, second)
    assert (comparison.unequal_pixels, comparison.largest_difference) == (1, 1)
    assert comparison.regions == ()


# --- Threshold and regions ------------------------------------------------------------


FAINT_LEVEL = 165  # of evidence: the ceiling, 0.65 of 255


def boxes_of(regions: tuple[Region, ...]) -> set[tuple[int, int, int, int]]:
    return {(region.x, region.y, region.width, region.height) for region in regions}


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_boxes_of_the_samples_are_the_articles(first: Path, second: Path) -> None:
    comparison = compare_files(first, second)
    oracle = article(comparison.first, comparison.second)
    assert comparison.score == pytest.approx(oracle.score, abs=1e-9)
    assert boxes_of(comparison.regions) == oracle.boxes
    in_gray = compare_files(first, second, gray=True)
    assert boxes_of(in_gray.regions) == oracle.boxes


@pytest.mark.parametrize(
    "name", ["astronaut", "camera", "chelsea", "coffee", "coins", "rocket"]
)
def test_threshold_mask_and_boxes_of_plain_ssim_are_the_articles(name: str) -> None:
    """Of SSIM alone, at Otsu's threshold alone, the tutorial's pipeline is left.

    A pixel whose SSIM times 255 is a whole number but for the last bits may fall to
    either side.
    """
    first, second = photo(name), edited(photo(name))
    oracle = article(first, second)
    evidence = measure(first, second, None, gray_alone=True).evidence
    level, _ = cv2.threshold(evidence, 0, 255, cv2.THRESH_OTSU)
    threshold, faint_threshold = find_threshold(evidence, Options())
    assert level == oracle.level
    assert round(threshold * 255) == min(level, FAINT_LEVEL)
    assert faint_threshold == FAINT_LEVEL / 255
    found = find_mask(evidence, oracle.level / 255, None, 0)
    assert np.count_nonzero(found.mask != oracle.mask) <= 2
    regions = find_regions(found, 255 - evidence, merge=0)
    assert boxes_of(regions) == oracle.boxes


# What changes beside a black card of 150x150, and its box.
FAINT: dict[str, tuple[Callable[[Picture], Any], tuple[int, int, int, int]]] = {
    "another shade": (
        lambda z: cv2.rectangle(z, (240, 40, 60, 30), (247,) * 3, -1),
        (237, 37, 66, 36),
    ),
    "a hairline": (
        lambda z: cv2.line(z, (240, 60), (339, 60), (248,) * 3),
        (237, 57, 106, 7),
    ),
    "a pixel": (
        lambda z: cv2.rectangle(z, (300, 100, 1, 1), (250,) * 3, -1),
        (297, 97, 7, 7),
    ),
}


@pytest.mark.parametrize("name", FAINT)
def test_a_large_change_hides_no_faint_one(name: str) -> None:
    change, box = FAINT[name]
    first = np.full((200, 400, 3), 255, np.uint8)
    second = first.copy()
    change(second)
    assert boxes_of(compare_images(first, second).regions) == {box}
    second[20:170, 20:170] = 0
    comparison = compare_images(first, second)
    assert boxes_of(comparison.regions) == {(17, 17, 156, 156), box}
    assert comparison.threshold < FAINT_LEVEL / 255 == comparison.faint_threshold
    strong = compare_images(first, second, threshold=comparison.threshold)
    assert boxes_of(strong.regions) == {(17, 17, 156, 156)}
    assert strong.faint_threshold is None


@pytest.mark.parametrize("gray", [False, True])
def test_a_colour_that_saturates_in_some_channels_changes_with_the_rest(
    gray: bool,
) -> None:
    random = np.random.default_rng(3)
    first = random.integers(40, 200, (120, 160, 3)).repeat(2, 0).repeat(2, 1)
    first[60:90, 100:140] = 60, 255, 255
    second = np.clip(first + 10, 0, 255)
    pair = first.astype(np.uint8), second.astype(np.uint8)
    comparison = compare_images(*pair, gray=gray)
    assert comparison.light
    assert (comparison.light.offset, comparison.regions) == (10, ())


def test_what_is_faint_and_holds_nothing_strong_is_added_to_the_mask() -> None:
    evidence = np.array([[255, 160, 20, 160, 255, 160, 160, 170, 255]], np.uint8)
    strong = [[0, 0, 255, 0, 0, 0, 0, 0, 0]]
    both = [[0, 0, 255, 0, 0, 255, 255, 0, 0]]
    assert find_mask(evidence, 0.5, None, 1).mask.tolist() == strong
    assert find_mask(evidence, 0.5, 165 / 255, 1).mask.tolist() == both
    all_alike = [[0, 255, 255, 255, 0, 255, 255, 0, 0]]
    assert find_mask(evidence, 165 / 255, 165 / 255, 1).mask.tolist() == all_alike
    # One strong pixel is no region of two: what is around it is not lost for it.
    assert find_mask(evidence, 0.5, 165 / 255, 2).mask.tolist() == all_alike
    # Nor are two that lie apart.
    specks = np.array([[255, 20, 160, 20, 255]], np.uint8)
    assert find_mask(specks, 0.5, 165 / 255, 2).mask.tolist() == [[0, 255, 255, 255, 0]]


def test_strong_parts_of_a_patch_are_one_if_one_lies_in_the_bounds_of_the_other() -> (
    None
):
    strong, faint, equal = 20, 160, 255
    corner = np.full((5, 6), faint, np.uint8)
    corner[0], corner[:, 0], corner[:, 5] = strong, strong, equal
    beside = corner.copy()
    corner[3, 3] = beside[4, 5] = strong
    corner_mask = find_mask(corner, 0.5, 165 / 255, 1).mask
    assert (corner_mask > 0).tolist() == (corner < equal).tolist()
    beside_mask = find_mask(beside, 0.5, 165 / 255, 1).mask
    assert (beside_mask > 0).tolist() == (beside == strong).tolist()


def test_a_mask_is_extended_by_what_is_likely_beside_it_and_no_further() -> None:
    evidence = np.full((1, 30), 255, np.uint8)
    evidence[0, 2:5] = 216  # an SSIM of 0.85
    evidence[0, 10:20] = 216
    evidence[0, 20:26] = 218
    mask = np.zeros_like(evidence)
    mask[0, 10] = mask[0, 28] = 255
    extended = image_diff.extended(mask, evidence)
    assert np.flatnonzero(extended).tolist() == [*range(10, 18), 28]


def test_a_change_that_noise_hides_in_part_is_seen_in_more_than_its_core() -> None:
    random = np.random.default_rng(8)
    texture = cv2.GaussianBlur(random.normal(0, 200, (160, 240)), (0, 0), 1.5)
    changed = texture.copy()
    changed[60:100, 80:140] = 0.6 * texture[60:100, 80:140]
    first, second = (
        np.clip(120 + picture + random.normal(0, 4, picture.shape), 0, 255)
        for picture in (texture, changed)
    )
    noisy = compare_images(first.astype(np.uint8), second.astype(np.uint8))
    core = with_threshold(noisy, noisy.faint_threshold, noisy.options.min_area)
    assert not (core.mask & ~noisy.mask).any()
    assert np.count_nonzero(noisy.mask) > np.count_nonzero(core.mask)
    around = np.zeros_like(noisy.mask)
    around[53:107, 73:147] = 255  # a window further
    assert not (noisy.mask & ~around).any()


@pytest.mark.parametrize(
    ("size", "values"),
    [
        (12, ("1,384.20", "1,884.20")),
        (18, ("1,304.20", "1,384.20")),
        (24, ("1,354.20", "1,364.20")),
    ],
)
def test_a_digit_counts_beside_a_chart_that_has_changed(
    size: int, values: tuple[str, str]
) -> None:
    def report(value: str, seed: int) -> Picture:
        image = Image.new("RGB", (500, 300), "white")
        draw = ImageDraw.Draw(image)
        for index, height in enumerate(
            np.random.default_rng(seed).integers(20, 180, 16)
        ):
            draw.rectangle(
                (20 + index * 30, 290 - height, 38 + index * 30, 290), "blue"
            )
        font = ImageFont.load_default(size)
        draw.text((18, 40), f"Total {value}", "#222222", font, anchor="lm")
        return bgr(np.asarray(image))

    before, after = values
    comparison = compare_images(report(before, 0), report(after, 1))
    assert len([region for region in comparison.regions if region.y < 60]) == 1


def test_a_picture_that_was_replaced_and_a_digit_below_it_are_two_regions() -> None:
    first, second = with_picture(CUP), with_picture(CAT, reworded("67", "61"))
    of_picture, of_digit = compare_images(first, second).regions
    assert np.abs(np.subtract(of_picture[:4], (0, 0, 360, 240))).max() <= 4
    assert of_digit.y > 245
    assert of_digit.area < 15 * 20


def test_a_threshold_that_is_asked_for_is_the_only_one() -> None:
    evidence = random_picture(1, 30, 40)
    assert find_threshold(evidence, Options(threshold=0.9)) == (0.9, None)


def test_a_picture_that_differs_everywhere_alike_is_one_region() -> None:
    first = np.zeros((7, 7, 3), np.uint8)
    second = first.copy()
    second[3, 3] = 255
    comparison = compare_images(first, second)
    assert np.unique(comparison.evidence).tolist() == [2]
    assert comparison.threshold == 2 / 255
    assert boxes_of(comparison.regions) == {(0, 0, 7, 7)}
    flat = np.full((90, 80, 3), 200, np.uint8)
    assert boxes_of(compare_images(flat, flat // 2).regions) == {(0, 0, 80, 90)}


def test_a_region_is_the_change_grown_by_half_the_window() -> None:
    first = np.full((100, 120, 3), 200, np.uint8)
    second = first.copy()
    second[40:50, 60:80] = 0
    (region,) = compare_images(first, second).regions
    assert (region.x, region.y, region.width, region.height) == (57, 37, 26, 16)
    comparison = compare_images(first, second)
    assert (
        region.area == comparison.different_pixels == np.count_nonzero(comparison.mask)
    )
    ssim_map = ssim_map_of(first, second)
    assert region.ssim == pytest.approx(
        ssim_map[comparison.mask > 0].mean(), abs=1 / 255
    )
    assert comparison.different_fraction == region.area / 12000


@pytest.mark.parametrize("x", [0, 1, 2, 30, 58, 59])
@pytest.mark.parametrize("y", [0, 1, 2, 30, 58, 59])
def test_one_pixel_is_a_region_wherever_it_is(x: int, y: int) -> None:
    second = np.full((60, 60, 3), 255, np.uint8)
    second[y, x] = 0
    (region,) = compare_images(np.full_like(second, 255), second).regions
    assert (region.x, region.y) == (max(0, x - 3), max(0, y - 3))


def test_what_lies_inside_a_ring_belongs_to_the_ring() -> None:
    mask = np.zeros((50, 50), np.uint8)
    cv2.rectangle(mask, (5, 5, 40, 40), 255, 2)
    mask[20:24, 20:24] = 255
    pixels = np.count_nonzero(mask)
    (region,) = find_regions(outlined(mask), np.zeros((50, 50), np.uint8), merge=0)
    assert region.area == pixels


def test_regions_come_top_to_bottom_then_left_to_right() -> None:
    mask = np.zeros((60, 60), np.uint8)
    for x, y in [(40, 10), (5, 10), (20, 2), (3, 50)]:
        mask[y : y + 4, x : x + 4] = 255
    regions = find_regions(outlined(mask), np.zeros((60, 60), np.uint8), merge=0)
    assert [(region.x, region.y) for region in regions] == [
        (20, 2),
        (5, 10),
        (40, 10),
        (3, 50),
    ]


def squares(*places: tuple[int, int]) -> Picture:
    """A mask of squares of 6 pixels at x, y."""
    mask = np.zeros((100, 200), np.uint8)
    for x, y in places:
        mask[y : y + 6, x : x + 6] = 255
    return mask


@pytest.mark.parametrize(
    ("gap", "boxes"),
    [
        (0, {(10, 10, 6, 6), (20, 10, 6, 6), (31, 18, 6, 6), (90, 60, 6, 6)}),
        (3, {(10, 10, 6, 6), (20, 10, 6, 6), (31, 18, 6, 6), (90, 60, 6, 6)}),
        (4, {(10, 10, 16, 6), (31, 18, 6, 6), (90, 60, 6, 6)}),
        (5, {(10, 10, 27, 14), (90, 60, 6, 6)}),
        (60, {(10, 10, 86, 56)}),
    ],
)
def test_merge_joins_what_is_at_most_so_far_apart(
    gap: int, boxes: set[tuple[int, int, int, int]]
) -> None:
    mask = squares((10, 10), (20, 10), (31, 18), (90, 60))
    ssim_loss = np.full(mask.shape, 192, np.uint8)
    regions = find_regions(outlined(mask), ssim_loss, merge=gap)
    assert boxes_of(regions) == boxes
    assert sum(region.area for region in regions) == 4 * 36
    assert all(region.ssim == pytest.approx(63 / 255) for region in regions)


def test_ignore_leaves_rectangles_out() -> None:
    first = np.full((100, 200, 3), 200, np.uint8)
    second = first.copy()
    second[20:30, 20:30] = 0
    second[60:70, 150:160] = 0
    both = compare_images(first, second)
    assert boxes_of(both.regions) == {(17, 17, 16, 16), (147, 57, 16, 16)}
    comparison = compare_images(first, second, Options(ignore=((140, 50, 100, 30),)))
    assert boxes_of(comparison.regions) == {(17, 17, 16, 16)}
    assert comparison.ignored is not None
    assert np.count_nonzero(comparison.ignored) == 60 * 30  # clipped to the picture
    assert comparison.different_fraction == comparison.different_pixels / (20000 - 1800)
    assert comparison.score == both.score


def test_ignore_must_leave_something_to_compare() -> None:
    first = np.full((100, 200, 3), 200, np.uint8)
    halves = (-5, -5, 999, 55), (0, 50, 200, 50)
    with pytest.raises(ImageDiffError) as caught:
        compare_images(first, 255 - first, ignore=halves)
    fault = "the parts to ignore leave nothing of the pictures to compare"
    assert str(caught.value) == f"{fault}; make them smaller"
    taller = np.full((130, 200, 3), 200, np.uint8)
    strip = compare_images(first, taller, align="none", ignore=halves)
    assert boxes_of(strip.regions) == {(0, 100, 200, 30)}
    without_values = np.ones((100, 200), bool)
    assert (
        compare_images(first, 255 - first, ignored=(without_values, None)).status
        == "same"
    )


@pytest.mark.parametrize("tolerance", [0, 1])
def test_a_change_inside_of_what_is_ignored_leaves_no_region_around_it(
    tolerance: float,
) -> None:
    first = np.full((100, 200, 3), 200, np.uint8)
    second = first.copy()
    second[20:40, 20:40] = 0
    options = Options(ignore=((20, 20, 20, 20),), tolerance=tolerance)
    comparison = compare_images(first, second, options)
    assert comparison.unequal_pixels == 0
    assert comparison.regions == ()


@pytest.mark.parametrize(
    "place", [(200, 0, 5, 5), (0, 100, 5, 5), (-5, 0, 5, 5), (0, -9, 5, 9)]
)
def test_ignore_outside_of_the_picture(place: tuple[int, int, int, int]) -> None:
    picture = np.full((100, 200, 3), 200, np.uint8)
    text = f"--ignore {','.join(map(str, place))} lies outside of the 200x100 pixels"
    with pytest.raises(ImageDiffError, match=text):
        compare_images(picture, picture, Options(ignore=(place,)))


@settings(max_examples=30)
@given(
    seed=st.integers(0, 99),
    x=st.integers(-20, 119),
    y=st.integers(-20, 79),
    width=st.integers(21, 60),
    height=st.integers(21, 60),
)
@pytest.mark.slow
def test_an_ignored_rectangle_never_holds_a_different_pixel(
    seed: int, x: int, y: int, width: int, height: int
) -> None:
    first, second = (
        random_picture(seed, 80, 120, 3),
        random_picture(seed + 100, 80, 120, 3),
    )
    comparison = compare_images(first, second, Options(ignore=((x, y, width, height),)))
    assert comparison.ignored is not None
    assert not comparison.mask[max(y, 0) : y + height, max(x, 0) : x + width].any()
    for region in comparison.regions:
        box = np.s_[
            region.y : region.y + region.height, region.x : region.x + region.width
        ]
        assert (comparison.ignored[box] == 0).any()


@pytest.mark.parametrize(
    ("threshold", "differs"),
    [
        (0, [0]),
        (1 / 255, [0, 1]),
        (0.499, [0, 1, 127]),
        (0.5, [0, 1, 127, 128]),  # 127.5
        (1, [0, 1, 127, 128, 254]),
    ],
)
def test_evidence_at_or_below_the_threshold_differs(
    threshold: float, differs: list[int]
) -> None:
    evidence = np.array([[0, 1, 127, 128, 254, 255]], np.uint8)
    mask = at_most(evidence, threshold)
    assert evidence[mask > 0].tolist() == differs


def test_a_level_of_evidence_stays_itself_as_an_ssim() -> None:
    evidence = np.arange(256, dtype=np.uint8)[None]
    counts = [cv2.countNonZero(at_most(evidence, level / 255)) for level in range(255)]
    assert counts == list(range(1, 256))


def near(one: Box, other: Box, gap: int) -> bool:
    """Whether two boxes are at most so many pixels apart, across and down."""
    across = max(one.left, other.left) - min(one.right, other.right)
    down = max(one.top, other.top) - min(one.bottom, other.bottom)
    return across <= gap and down <= gap


def around(one: Box, other: Box) -> Box:
    """The box around two, with the sums of both."""
    return Box(
        *(min(pair) for pair in zip(one[:2], other[:2], strict=True)),
        *(max(pair) for pair in zip(one[2:4], other[2:4], strict=True)),
        *(sum(pair) for pair in zip(one[4:], other[4:], strict=True)),
    )


def merged_slowly(boxes: Sequence[Box], gap: int) -> list[Box]:
    """Join any two that are near, until none are."""
    left = list(boxes)
    while True:
        pairs = (pair for pair in combinations(left, 2) if near(*pair, gap))
        pair = next(pairs, None)
        if pair is None:
            return left
        left.remove(pair[0])
        left.remove(pair[1])
        left.append(around(*pair))


BOXES = st.lists(
    st.builds(
        lambda x, y, width, height, area: Box(x, y, x + width, y + height, area, area),
        *(st.integers(0, 90), st.integers(0, 90)),
        *(st.integers(1, 25), st.integers(1, 25)),
        st.integers(1, 99),
    ),
    max_size=40,
)


@settings(max_examples=300)
@given(boxes=BOXES, gap=st.integers(0, 15))
def test_merging_is_joining_any_two_until_none_are_near(
    boxes: list[Box], gap: int
) -> None:
    assert sorted(merge_boxes(boxes, gap)) == sorted(merged_slowly(boxes, gap))


def test_boxes_that_do_not_merge_are_swept_once_and_never_joined(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    boxes = [
        Box(10 * x, 10 * y, 10 * x + 6, 10 * y + 6, 36, 0.0)
        for x in range(200)
        for y in range(200)
    ]
    sweeps = []
    sweep = image_diff.sweep

    def counted(boxes: Sequence[Box], gap: int) -> list[Box]:
        sweeps.append(gap)
        return sweep(boxes, gap)

    def joined(*boxes: Box) -> None:
        raise AssertionError(boxes)

    monkeypatch.setattr(image_diff, "sweep", counted)
    monkeypatch.setattr(Box, "joined", joined)
    assert sorted(merge_boxes(boxes, 3)) == sorted(boxes)
    assert sweeps == [3]


# --- Compare --------------------------------------------------------------------------


@settings(max_examples=25)
@given(
    x=st.integers(0, 80),
    y=st.integers(0, 60),
    side=st.integers(4, 30),
    seed=st.integers(0, 99),
)
def test_swapping_the_pictures_gives_the_same_regions(
    x: int, y: int, side: int, seed: int
) -> None:
    first = random_picture(seed, 80, 100, 3)
    second = first.copy()
    second[y : y + side, x : x + side] //= 2
    one, other = compare_images(first, second), compare_images(second, first)
    assert one.score == other.score
    assert [r[:6] for r in one.regions] == [r[:6] for r in other.regions]
    for region in one.regions:
        assert 0 <= region.x <= region.x + region.width <= 100
        assert 0 <= region.y <= region.y + region.height <= 80


@pytest.mark.parametrize("align", ["none", "perspective", "elastic"])
@pytest.mark.slow
def test_the_number_of_threads_changes_nothing(align: str) -> None:
    first, second = photo("coffee"), edited(photo("coffee"))
    if align != "none":
        turn = np.vstack([cv2.getRotationMatrix2D((300, 200), 2, 1), [0, 0, 1]])
        second = moved(second, turn, second.shape[1], second.shape[0])
    threads = cv2.getNumThreads()
    results = set()
    for count in (1, 2, 8):
        cv2.setNumThreads(count)
        comparison = compare_images(first, second, Options(align=align))
        transform = comparison.alignment and str(comparison.alignment.transform)
        results.add((comparison.score, transform, comparison.mask.tobytes()))
    cv2.setNumThreads(threads)
    assert len(results) == 1


# What Python has pictures in, and the (H, W, 3) BGR picture that is compared.
PALETTE = Image.fromarray(RGB).quantize(64)


def clear_palette() -> tuple[Image.Image, Picture]:
    """A palette picture whose colour 0 is transparent, and what shows."""
    picture = PALETTE.copy()
    picture.info["transparency"] = 0
    clear = np.asarray(PALETTE)[..., None] == 0
    return picture, np.where(clear, 255, bgr(np.asarray(PALETTE.convert("RGB"))))


def clear_gray() -> tuple[Image.Image, Picture]:
    """A gray picture of which one level is transparent, and what shows."""
    picture = Image.fromarray(GRAY)
    level = int(GRAY[20, 30])
    picture.info["transparency"] = level
    return picture, np.where(bgr(GRAY) == level, 255, bgr(GRAY))


def with_alpha(mode: str, rgb: Picture) -> tuple[Image.Image, Picture]:
    """A picture of Pillow's with alpha, and what shows."""
    picture = Image.fromarray(rgb)
    picture.putalpha(Image.fromarray(ALPHA))
    assert picture.mode == mode
    return picture, over_white(rgb, ALPHA)


def converted(mode: str) -> tuple[Image.Image, Picture]:
    """A picture of another mode, and what Pillow says it shows."""
    picture = Image.fromarray(RGB).convert(mode)
    return picture, bgr(np.asarray(picture.convert("RGB")))


BITS = Image.fromarray(GRAY).convert("1")
WHOLE_NUMBERS: Picture = GRAY.astype(np.int32)
PILLOW: dict[str, tuple[Image.Image, Picture]] = {
    "1": (BITS, bgr(np.asarray(BITS) * np.uint8(255))),
    "L": (Image.fromarray(GRAY), bgr(GRAY)),
    "L with a transparent level": clear_gray(),
    "LA": with_alpha("LA", GRAY),
    "La": (with_alpha("LA", GRAY)[0].convert("La"), over_white(GRAY, ALPHA)),
    "PA": (PALETTE.convert("PA"), bgr(np.asarray(PALETTE.convert("RGB")))),
    "P": (PALETTE, bgr(np.asarray(PALETTE.convert("RGB")))),
    "P with a transparent colour": clear_palette(),
    "RGB": (Image.fromarray(RGB), bgr(RGB)),
    "RGBA": with_alpha("RGBA", RGB),
    "RGBX": (Image.fromarray(RGB).convert("RGBX"), bgr(RGB)),
    "CMYK": converted("CMYK"),
    "YCbCr": converted("YCbCr"),
    "HSV": converted("HSV"),
    "I": (Image.fromarray(WHOLE_NUMBERS), bgr(GRAY)),
    "I;16": (Image.fromarray(DEEP[..., 0]), bgr(DEEP[..., 0])),
    "I;16B": (
        Image.frombytes("I;16B", (68, 48), DEEP[..., 0].astype(">u2").tobytes()),
        bgr(DEEP[..., 0]),
    ),
    "F": (Image.fromarray(REAL[..., 0]), bgr(REAL[..., 0])),
}
BGR = np.ascontiguousarray(bgr(RGB))
LONG: Any = np.longdouble
ARRAYS: dict[str, tuple[Any, Picture]] = {
    "uint8": (BGR, BGR),
    "gray": (GRAY, bgr(GRAY)),
    "one channel": (GRAY[..., None], bgr(GRAY)),
    "alpha": (np.dstack([BGR, ALPHA]), over_white(RGB, ALPHA)),
    "alpha of 16 bits": (
        np.dstack([bgr(DEEP), ALPHA.astype(np.uint16) * 257]),
        over_white(DEEP, ALPHA.astype(np.uint16) * 257),
    ),
    "uint16": (bgr(DEEP), bgr(DEEP)),
    "float32": (REAL, REAL),
    "float64": (REAL.astype(np.float64), REAL),
    "long double": (REAL.astype(LONG), REAL),
    "float16": (REAL.astype(np.float16), REAL.astype(np.float16).astype(np.float32)),
    "int64 from 0 to 255": (BGR.astype(np.int64), BGR),
    "int8": (BGR.astype(np.int8) & 127, BGR & 127),
    "bool": (GRAY > 99, bgr((GRAY > 99) * np.uint8(255))),
    "big-endian uint16": (DEEP.astype(">u2"), DEEP),
    "big-endian float32": (REAL.astype(">f4"), REAL),
    "big-endian float64": (REAL.astype(">f8"), REAL),
    "every other, backwards": (BGR[::-2, ::2], BGR[::-2, ::2]),
    "Fortran's order": (np.asfortranarray(BGR), BGR),
    "lists": (BGR.tolist(), BGR),
    "tuples of gray": (tuple(map(tuple, GRAY.tolist())), bgr(GRAY)),
    "memory": (BGR.data, BGR),
}


@pytest.mark.parametrize("name", [*PILLOW, *ARRAYS])
def test_what_pictures_may_be_given_as(name: str) -> None:
    picture, expected = (PILLOW | ARRAYS)[name]
    before = np.array(picture)
    comparison = compare_images(picture, picture)
    for image in (comparison.first, comparison.second):
        assert image.dtype == expected.dtype
        # Rounded once more: what Pillow multiplied by alpha, and 16 bits in float32.
        away = np.abs(image.astype(float) - expected).max()
        assert away <= (1 if name in ("La", "alpha of 16 bits") else 0)
    assert np.array_equal(np.array(picture), before)


@pytest.mark.parametrize("name", ["uint8", "gray", "alpha", "uint16", "float32"])
def test_inputs_are_never_changed(name: str) -> None:
    first: Picture = np.ascontiguousarray(ARRAYS[name][0])
    second = first.copy()
    second[10:30, 10:30] = first[15:35, 30:50]
    kept = first.copy(), second.copy()
    first.flags.writeable = second.flags.writeable = False
    for options in ({"ignore": [(0, 0, 9, 9)]}, {"resize": True}, {"tolerance": 1}):
        comparison = compare_images(first, second, **options)
        drawn(comparison)
    assert np.array_equal(first, kept[0])
    assert np.array_equal(second, kept[1])


PASS = "pass (H, W, 3) BGR or (H, W) gray of uint8, uint16 or float32"
CONVERT = "convert them to uint8, uint16 or float32"
UNFIT: dict[str, tuple[Any, str]] = {
    "channels first": (RGB.transpose(2, 0, 1), f"has the shape (3, 48, 68); {PASS}"),
    "two channels": (RGB[..., :2], f"has the shape (48, 68, 2); {PASS}"),
    "a row": (np.zeros(9, np.uint8), f"has the shape (9,); {PASS}"),
    "four sides": (RGB[None], f"has the shape (1, 48, 68, 3); {PASS}"),
    "nothing": (None, f"is None, as of a file that was not read; {PASS}"),
    "a number": (7, f"has the shape (); {PASS}"),
    "bytes": (b"picture", f"has the shape (); {PASS}"),
    "rows of two lengths": ([[1, 2], [3]], "is no array: "),
    "a path": ("a.png", "is a path, 'a.png'; compare_files compares files"),
    "a Path": (Path("a.png"), "is a path, 'a.png'; compare_files compares files"),
    "objects": (GRAY.astype(object), f"has values of object; {PASS}"),
    "complex": (GRAY * 1j, f"has values of complex128; {PASS}"),
    "text": (np.full((9, 9), "a"), f"has values of <U1; {PASS}"),
    "dates": (np.zeros((9, 9), "M8[s]"), f"has values of datetime64[s]; {PASS}"),
    "int64 beyond": (
        GRAY.astype(np.int64) * 2 - 9,
        f"has int64 values from {2 * int(GRAY.min()) - 9} to "
        f"{2 * int(GRAY.max()) - 9}; {CONVERT}",
    ),
    "Pillow's I beyond": (
        Image.fromarray(WHOLE_NUMBERS * 300),
        f"has int32 values from 0 to {300 * int(GRAY.max())}; {CONVERT}",
    ),
}


@pytest.mark.parametrize("name", UNFIT)
@pytest.mark.parametrize("which", ["first", "second"])
def test_what_is_no_picture_is_refused_with_what_to_pass(name: str, which: str) -> None:
    thing, message = UNFIT[name]
    pair = (thing, BGR) if which == "first" else (BGR, thing)
    with pytest.raises(ImageDiffError) as caught:
        compare_images(*pair)
    assert str(caught.value).startswith(f"the {which} picture {message}")
    assert str(caught.value).partition("; ")[2]


@pytest.mark.parametrize(
    "shape", [(0, 0), (0, 0, 3), (0, 9, 3), (9, 0), (9, 0, 4), (0, 0, 1)]
)
def test_empty_pictures(shape: tuple[int, ...]) -> None:
    empty = np.zeros(shape, np.uint8)
    for first, second in ((empty, BGR), (BGR, empty)):
        which = "first" if first is empty else "second"
        message = rf"the {which} picture has the shape \(\d, \d(, \d)?\); pass "
        for resize in (False, True):
            with pytest.raises(ImageDiffError, match=message):
                compare_images(first, second, resize=resize)


def test_float64_that_float32_cannot_hold() -> None:
    wide = REAL.astype(np.float64)
    wide[3, 3] = 1e300
    with pytest.raises(ImageDiffError, match="not finite; replace NaN and infinity"):
        compare_images(wide, wide)


def test_options_may_be_given_by_name() -> None:
    first = photo("coffee")[200:320, 200:360]
    second = edited(first)
    options = Options(tolerance=1, gray=True)
    expected = compare_images(first, second, options)
    for comparison in (
        compare_images(first, second, tolerance=1, gray=True),
        compare_images(first, second, Options(gray=True), tolerance=1),
        compare_images(first, second, Options(gray=True, tolerance=9), tolerance=1),
    ):
        assert comparison.options == options
        assert comparison.regions == expected.regions
    assert compare_files(*PAIRS[0], gray=True).options == Options(gray=True)
    with pytest.raises(TypeError, match="tolerence"):
        compare_images(first, second, tolerence=1)


def test_a_comparison_is_one_line_in_an_interpreter() -> None:
    comparison = compare_files(*PAIRS[1])
    height, width = comparison.mask.shape
    text = f"Comparison(score={comparison.score:.4f}, regions=3, size={width}x{height})"
    assert repr(comparison) == text


def test_a_notebook_shows_both_boxed_pictures_side_by_side() -> None:
    comparison = compare_files(*PAIRS[1])
    data = np.frombuffer(comparison._repr_png_(), np.uint8)
    picture = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    assert picture is not None
    width = comparison.mask.shape[1]
    assert np.array_equal(picture[:, :width], comparison.draw("Original"))
    assert np.array_equal(picture[:, -width:], comparison.draw("Modified"))
    assert (picture[:, width:-width] == 255).all()


def regions_and_mask(comparison: Comparison) -> tuple[Any, bytes, float]:
    return comparison.regions, comparison.mask.tobytes(), comparison.threshold


@settings(max_examples=25)
@given(threshold=st.floats(0, 1), min_area=st.integers(0, 2000))
@pytest.mark.slow
def test_another_threshold_is_as_comparing_anew(
    threshold: float, min_area: int
) -> None:
    first = random_picture(1, 150, 200, 3)
    options = Options(merge=4, ignore=((0, 0, 30, 30),))
    comparison = compare_images(first, edited(first), options)
    before = regions_and_mask(comparison), comparison.evidence.tobytes()
    shown = with_threshold(comparison, threshold, min_area)
    chosen = Options(
        merge=4, ignore=options.ignore, threshold=threshold, min_area=min_area
    )
    anew = compare_images(first, edited(first), chosen)
    assert shown.options == anew.options
    assert regions_and_mask(shown) == regions_and_mask(anew)
    assert (shown.score, shown.unequal_pixels) == (anew.score, anew.unequal_pixels)
    assert (regions_and_mask(comparison), comparison.evidence.tobytes()) == before
    assert comparison.options == options


# --- Draw -----------------------------------------------------------------------------


def test_boxes_are_drawn_red_on_copies() -> None:
    first, second = (read_image(path).pixels for path in PAIRS[1])
    kept = first.copy(), second.copy()
    comparison = compare_images(first, second)
    pictures = drawn(comparison)
    assert list(pictures) == ["Original", "Modified", "Diff", "Thresh"]
    assert np.array_equal(first, kept[0])
    assert np.array_equal(second, kept[1])
    for region in comparison.regions:
        edge = np.s_[region.y, region.x : region.x + region.width]
        assert (pictures["Original"][edge] == (0, 0, 255)).all()
        assert (pictures["Modified"][edge] == (0, 0, 255)).all()


@pytest.mark.parametrize(("width", "thickness"), [(500, 2), (1600, 2), (4000, 5)])
def test_boxes_are_thicker_on_large_pictures(width: int, thickness: int) -> None:
    region = Region(100, 20, 60, 30, 1, 0.5)
    picture = image_diff.draw_boxes(np.zeros((70, width, 3), np.uint8), [region])
    upper_edge = np.count_nonzero(picture[:35, 130, 2])
    assert thickness <= upper_edge <= thickness + 2  # as OpenCV rounds thick lines


def test_ignored_areas_are_hatched_in_every_picture() -> None:
    first, second = (read_image(path).pixels for path in PAIRS[1])
    plain = drawn(compare_images(first, second))
    options = Options(ignore=((300, 200, 100, 60),))
    for title, picture in drawn(compare_images(first, second, options)).items():
        inside = (picture[200:260, 300:400] == 128).reshape(60, 100, -1).all(axis=2)
        assert inside.mean() == pytest.approx(0.25, abs=0.02)
        assert np.array_equal(picture[:190], plain[title][:190])


def test_deep_pictures_are_drawn_in_8_bits() -> None:
    deep = np.array([[[0] * 3, [32768] * 3, [65535] * 3]], np.uint16)
    assert image_diff.to_8_bits(deep, 0, 65535)[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("title", ["diff", "", "thresh.png"])
def test_a_picture_that_there_is_not(title: str) -> None:
    comparison = compare_images(BGR, BGR)
    titles = "give one of Original, Modified, Diff, Thresh"
    with pytest.raises(ImageDiffError, match=f"no picture '{title}'; {titles}"):
        comparison.draw(title)


def test_drawing_gives_a_new_picture_each_time() -> None:
    comparison = compare_images(BGR, BGR)
    for title in image_diff.TITLES:
        comparison.draw(title)[:] = 77
    assert np.array_equal(comparison.first, BGR)
    assert (comparison.diff.min(), comparison.mask.max()) == (255, 0)


@pytest.mark.slow
@pytest.mark.parametrize("align", ["none", "perspective", "elastic"])
def test_what_is_ignored_changes_no_map_outside_of_it(align: str) -> None:
    first, second = photo("camera"), edited(photo("camera"))
    if align != "none":
        shift = np.array([[1, 0, 7], [0, 1, -4], [0, 0, 1.0]])
        second = moved(second, shift, 512, 512)
    place = 250, 240, 200, 60
    with_all = compare_images(first, second, align=align)
    without = compare_images(first, second, align=align, ignore=(place,))
    outside = np.ones((512, 512), bool)
    outside[240:300, 250:450] = False
    one, other = with_all.draw("Diff"), without.draw("Diff")
    assert np.array_equal(one[outside], other[outside])
    assert not np.array_equal(one, other)  # it is hatched
    assert with_all.score == without.score


# --- The samples ----------------------------------------------------------------------


@pytest.mark.slow
def test_the_samples_are_what_their_script_draws() -> None:
    for name, picture in draw_all().items():
        committed = np.asarray(
            Image.open(ROOT / "images" / name).convert("RGB"), np.int16
        )
        drawn = np.asarray(picture.convert("RGB"), np.int16)
        assert committed.shape == drawn.shape
        # Another version of Pillow's font engine may place an edge a fraction of a
        # pixel away.
        assert np.abs(committed - drawn).mean() < 1
