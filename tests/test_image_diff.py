"""The program from top to bottom: each section in its order, then the command."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage.data
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.metrics import structural_similarity

import image_diff
import processes
from article import article
from draw_samples import draw_all
from image_diff import (
    ImageDiffError,
    Options,
    Region,
    compare_files,
    compare_images,
    main,
    read_image,
    within,
)
from samples import UPRIGHT

ROOT = Path(image_diff.__file__).parent
SCRIPT = ROOT / "image_diff.py"
PAIRS = [
    (ROOT / f"images/original_{number}.png", ROOT / f"images/modified_{number}.png")
    for number in ("01", "02", "03")
]
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


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a user does, in a process of its own, with no display."""
    variables = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    command = [sys.executable, SCRIPT, *arguments]
    return processes.run(command, env=variables | environment)


def drawn(comparison: image_diff.Comparison) -> dict[str, Picture]:
    """The four pictures by title."""
    return {title: image_diff.draw(comparison, title) for title in image_diff.TITLES}


# --- Load -----------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture `good.png` of 60x40 pixels to compare with."""
    cv2.imwrite(str(tmp_path / "good.png"), random_picture(1, 40, 60, 3))
    return tmp_path


def refused(path: Path) -> str:
    """The message with which a file is refused."""
    with pytest.raises(ImageDiffError) as caught:
        read_image(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def cut(path: Path, share: float) -> Path:
    """Cut the file short."""
    data = path.read_bytes()
    path.write_bytes(data[: round(len(data) * share)])
    return path


def test_missing_file(folder: Path) -> None:
    message = refused(folder / "none.png")
    assert message.endswith(
        "cannot be read: No such file or directory; "
        "name a picture that is there and may be read"
    )


def test_folder_in_place_of_a_file(folder: Path) -> None:
    assert refused(folder).endswith(
        "cannot be read: Is a directory; name a picture that is there and may be read"
    )


def test_unreadable_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "good.png"
    path.chmod(0)
    # Root reads everything: let the open fail as it does for others.
    if os.access(path, os.R_OK):

        def denied(*arguments: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("builtins.open", denied)
    message = refused(path)
    assert message.endswith(
        "cannot be read: Permission denied; "
        "name a picture that is there and may be read"
    )


def test_path_that_no_file_can_have(folder: Path) -> None:
    with pytest.raises(ImageDiffError, match="embedded null byte"):
        read_image(str(folder / "a\0b.png"))


def test_empty_file(folder: Path) -> None:
    path = folder / "empty.png"
    path.touch()
    assert refused(path).endswith("is empty; save the picture again")


def test_not_a_picture(folder: Path) -> None:
    path = folder / "text.png"
    path.write_text("no picture, only a name like one")
    assert refused(path).endswith(
        "is not a picture of a format that OpenCV reads; convert it to PNG"
    )


def test_unsupported_format(folder: Path) -> None:
    path = folder / "picture.tga"
    Image.new("RGB", (60, 40)).save(path)
    assert "is not a picture of a format that OpenCV reads" in refused(path)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95, 0.999])
@pytest.mark.parametrize(
    ("suffix", "kind", "options"),
    [
        ("png", "PNG", {}),
        ("jpg", "JPEG", {"quality": 90}),
        ("jpg", "JPEG", {"quality": 90, "progressive": True}),
        ("webp", "WebP", {}),
        ("tif", "TIFF", {}),
    ],
)
def test_truncated_picture(
    folder: Path, suffix: str, kind: str, options: dict[str, Any], share: float
) -> None:
    path = folder / f"cut.{suffix}"
    Image.fromarray(random_picture(2, 300, 400, 3)).save(path, **options)
    assert f"is a damaged or truncated {kind}; save or copy it again" in refused(
        cut(path, share)
    )


def test_truncated_gray_jpeg(folder: Path) -> None:
    path = folder / "gray.jpg"
    Image.fromarray(random_picture(2, 300, 400)).save(path)
    assert "damaged or truncated JPEG" in refused(cut(path, 0.6))


def test_nothing_of_the_decoders_reaches_stderr(folder: Path) -> None:
    Image.fromarray(random_picture(2, 300, 400, 3)).save(folder / "cut.png")
    result = run(
        "--first", cut(folder / "cut.png", 0.5), "--second", folder / "good.png"
    )
    assert result.stderr.splitlines() == [
        f"error: {folder}/cut.png is a damaged or truncated PNG; save or copy it again"
    ]
    assert result.stdout == ""
    assert result.returncode == 2


def test_more_pixels_than_allowed(folder: Path) -> None:
    good = folder / "good.png"
    result = run(
        "-f", good, "-s", good, "--no-window", OPENCV_IO_MAX_IMAGE_PIXELS="2399"
    )
    assert result.stderr == (
        f"error: {good} has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS=2399 allows; "
        "set that environment variable higher\n"
    )
    assert result.returncode == 2
    assert (
        run("-f", good, "-s", good, OPENCV_IO_MAX_IMAGE_PIXELS="2400").returncode == 0
    )


def test_default_limit_of_pixels(folder: Path) -> None:
    path = folder / "bomb.png"
    Image.new("1", (2**14 + 1, 2**14)).save(path)
    result = run("-f", path, "-s", path)
    assert (
        "bomb.png has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS=268435456"
        in result.stderr
    )
    assert result.returncode == 2


@pytest.mark.parametrize(
    "name", ["Übergröße ñ.png", "図面 一.png", "two  spaces .png", "-f.png"]
)
def test_any_name_is_read(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / "good.png").read_bytes())
    assert np.array_equal(read_image(folder / name), read_image(folder / "good.png"))


def test_name_that_is_not_utf8(folder: Path) -> None:
    path = os.fsencode(folder) + b"/\xff\xfe.png"
    with open(path, "wb") as file:
        file.write(b"no picture")
    result = run("-f", os.fsdecode(path), "-s", folder / "good.png", "--no-window")
    assert result.returncode == 2
    assert result.stderr.startswith(
        f"error: {folder}/\\udcff\\udcfe.png is not a picture"
    )


@pytest.mark.parametrize("suffix", ["jpg", "tif", "png"])
@pytest.mark.parametrize("orientation", UPRIGHT)
def test_pictures_are_turned_upright(
    folder: Path, suffix: str, orientation: int
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(cv2.GaussianBlur(random_picture(3, 40, 64, 3), (0, 0), 2))
    stored.save(folder / f"turned.{suffix}", exif=exif)
    stored.save(folder / f"stored.{suffix}")
    turned = read_image(folder / f"turned.{suffix}")
    expected = UPRIGHT[orientation](read_image(folder / f"stored.{suffix}"))
    assert turned.shape == expected.shape
    # A decoder may smooth the colour of a JPEG's rows and columns in another order.
    assert np.abs(turned.astype(int) - expected).max() <= (0 if suffix != "jpg" else 2)


@pytest.mark.parametrize("name", ["large.png", "größer.png", "\udcff.png"])
def test_large_pngs_are_read_alike_by_any_name(folder: Path, name: str) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (700, 800, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(colour[..., ::-1]).save(folder / name, exif=exif)
    assert (folder / name).stat().st_size > 2**20
    assert np.array_equal(read_image(folder / name), np.rot90(colour, -1))
    alpha = random_picture(5, 700, 800)
    Image.fromarray(np.dstack([colour[..., ::-1], alpha])).save(folder / name)
    weight = alpha[..., None] / 255
    expected = np.rint(colour * weight + 255 * (1 - weight))
    assert np.array_equal(read_image(folder / name), expected)
    assert "is a damaged or truncated PNG" in refused(cut(folder / name, 0.7))


def rgba(colour: Picture, alpha: Picture) -> Picture:
    return np.dstack([colour, alpha])


def test_alpha_is_blended_over_white(folder: Path) -> None:
    colour = random_picture(4, 40, 60, 3)
    alpha = random_picture(5, 40, 60)
    cv2.imwrite(str(folder / "alpha.png"), rgba(colour, alpha))
    weight = alpha[..., None] / 255
    expected = np.rint(colour * weight + 255 * (1 - weight))
    assert np.array_equal(read_image(folder / "alpha.png"), expected)


def test_alpha_of_16_bits(folder: Path) -> None:
    colour = random_picture(4, 40, 60, 3).astype(np.uint16) * 257
    alpha = random_picture(5, 40, 60).astype(np.uint16) * 257
    cv2.imwrite(str(folder / "alpha.png"), rgba(colour, alpha))
    weight = alpha[..., None] / 65535
    expected = np.rint(colour * weight + 65535 * (1 - weight))
    image = read_image(folder / "alpha.png")
    assert image.dtype == np.uint16
    assert np.array_equal(image, expected)


@pytest.mark.parametrize("suffix", ["tif", "webp"])
def test_alpha_of_other_formats_looks_as_in_png(folder: Path, suffix: str) -> None:
    picture = Image.fromarray(
        rgba(random_picture(4, 40, 60, 3), random_picture(5, 40, 60))
    )
    picture.save(folder / "alpha.png")
    picture.save(folder / f"alpha.{suffix}", lossless=True)
    other = read_image(folder / f"alpha.{suffix}").astype(int)
    # libtiff rounds once more.
    assert np.abs(other - read_image(folder / "alpha.png")).max() <= 2


def test_palette_with_a_transparent_colour(folder: Path) -> None:
    picture = Image.new("P", (60, 40), 0)
    picture.putpalette([10, 20, 30, 40, 50, 60])
    picture.paste(1, (0, 0, 30, 40))
    picture.save(folder / "palette.png", transparency=0)
    image = read_image(folder / "palette.png")
    assert (image[:, :30] == (60, 50, 40)).all()
    assert (image[:, 30:] == 255).all()


def test_colour_hidden_under_full_transparency_is_no_difference(folder: Path) -> None:
    alpha = np.full((40, 60), 255, np.uint8)
    alpha[10:30, 10:30] = 0
    colour = random_picture(6, 40, 60, 3)
    cv2.imwrite(str(folder / "a.png"), rgba(colour, alpha))
    colour[10:30, 10:30] = 255 - colour[10:30, 10:30]
    cv2.imwrite(str(folder / "b.png"), rgba(colour, alpha))
    comparison = compare_files(folder / "a.png", folder / "b.png")
    assert comparison.score == 1
    assert comparison.regions == ()


def test_a_change_of_the_alpha_of_a_coloured_pixel_is_a_difference(
    folder: Path,
) -> None:
    alpha = np.full((40, 60), 255, np.uint8)
    colour = random_picture(6, 40, 60, 3)
    cv2.imwrite(str(folder / "a.png"), rgba(colour, alpha))
    alpha[10:30, 10:30] = 60
    cv2.imwrite(str(folder / "b.png"), rgba(colour, alpha))
    assert len(compare_files(folder / "a.png", folder / "b.png").regions) == 1


def test_gray_files_and_float_files(folder: Path) -> None:
    gray = random_picture(7, 40, 60)
    cv2.imwrite(str(folder / "gray.png"), gray)
    assert np.array_equal(read_image(folder / "gray.png"), np.dstack([gray] * 3))
    real = gray.astype(np.float32) / 7
    Image.fromarray(real).save(folder / "real.tif")
    assert np.array_equal(read_image(folder / "real.tif"), np.dstack([real] * 3))
    Image.fromarray(gray.astype(np.int32) * 1000).save(folder / "whole.tif")
    image = read_image(folder / "whole.tif")
    assert image.dtype == np.float32
    assert np.array_equal(image[..., 0], gray.astype(np.float32) * 1000)


# --- Align ----------------------------------------------------------------------------


def test_sizes_that_differ_are_both_named() -> None:
    options = "--resize scales, --align perspective registers"
    with pytest.raises(ImageDiffError, match=f"are 60x40 and 60x41 pixels; {options}"):
        compare_images(random_picture(1, 40, 60, 3), random_picture(1, 41, 60, 3))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (6, 6), (6, 100), (100, 6)])
def test_sides_below_the_window(height: int, width: int) -> None:
    picture = np.zeros((height, width, 3), np.uint8)
    with pytest.raises(
        ImageDiffError, match=f"are {width}x{height} pixels, and SSIM needs 7 a"
    ):
        compare_images(picture, picture)


def test_depths_that_differ_are_both_named() -> None:
    picture = random_picture(1, 40, 60, 3)
    with pytest.raises(ImageDiffError, match="are uint8 and uint16; convert one"):
        compare_images(picture, picture.astype(np.uint16))


def test_gray_and_colour_arrays_are_compared() -> None:
    gray = random_picture(1, 40, 60)
    assert compare_images(gray, np.dstack([gray] * 3)).score == 1


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
    assert same.alignment is None


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
@pytest.mark.parametrize("both", ["there", "back"])
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
    assert len(compare_images(first, second).regions) > 20
    options = Options(align="elastic", tolerance=2)
    (region,) = compare_images(first, second.astype(np.uint8), options).regions
    assert np.abs(np.array([region.x, region.y]) - (300, 200)).max() <= 8
    assert np.abs(np.array([region.width, region.height]) - 30).max() <= 10


@pytest.mark.slow
def test_pictures_of_different_things_are_not_registered() -> None:
    pairs = [
        (photo("astronaut"), photo("camera"), r"\d of \d+ matches agree"),
        (photo("camera"), np.full((512, 512, 3), 90, np.uint8), "0 of 0 matches agree"),
        (np.zeros((512, 512, 3), np.uint8), photo("camera"), "0 of 0 matches agree"),
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
        ([[0.2, 0, 0], [0, 0.2, 0], [0, 0, 1]], "scales it beyond 1/4 to 4"),
        ([[5, 0, 0], [0, 5, 0], [0, 0, 1]], "scales it beyond 1/4 to 4"),
        ([[-1, 0, 100], [0, 1, 0], [0, 0, 1]], "folds or mirrors it"),
        ([[1, 0, 0], [0, 1, 0], [-0.02, 0, 1]], "folds or mirrors it"),
        ([[1, 0, 0], [0, 0, 0], [0, 0, 1]], "folds or mirrors it"),
    ],
)
def test_a_transform_that_is_not_sane_is_refused(
    transform: list[list[float]], fault: str
) -> None:
    picture = np.zeros((100, 100, 3), np.uint8)
    with pytest.raises(
        ImageDiffError, match=f"40 matches agree on a transform that {fault}"
    ):
        image_diff.check_transform(np.array(transform, np.float64), picture, 40)
    image_diff.check_transform(np.diag([0.26, 0.26, 1.0]), picture, 40)


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


# --- Similarity -----------------------------------------------------------------------


def gray_of(picture: Picture) -> Picture:
    return cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY) if picture.ndim == 3 else picture


def full_similarity(first: Picture, second: Picture) -> tuple[float, Picture, Picture]:
    """Score, float map and 8-bit map."""
    ssim_map = np.empty(first.shape[:2], np.float32)
    score, diff = image_diff.similarity(first, second, ssim_map=ssim_map)
    return score, ssim_map, diff


def assert_is_scikit_image(first: Picture, second: Picture) -> None:
    """Compare score and map with scikit-image's; exact 1 where equal."""
    score, ssim_map, diff = full_similarity(first, second)
    a, b = gray_of(first), gray_of(second)
    expected_score, expected = structural_similarity(
        a, b, win_size=7, data_range=255, full=True
    )
    assert score == pytest.approx(expected_score, abs=1e-9)
    assert np.abs(ssim_map - expected).max() < 1e-6
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
    score, ssim_map, diff = full_similarity(first, second)
    by_hand = (20206.5025 / 20207.5025) * (58.5225 / 107.5225)
    assert score == pytest.approx(by_hand, abs=1e-14)
    assert ssim_map[3, 3] == np.float32(by_hand)
    assert diff[3, 3] == int(by_hand * 255) == 138


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (7, 7),
        (7, 1000),
        (1000, 7),
        (8, 13),
        (256, 512),
        (257, 513),
        (384, 769),
        (600, 1100),
    ],
)
def test_similarity_is_scikit_images_at_any_size(height: int, width: int) -> None:
    first = random_picture(8, height, width)
    second = random_picture(9, height, width)
    second[:, width // 3 : width // 2] = first[:, width // 3 : width // 2]
    assert_is_scikit_image(first, second)


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_similarity_of_the_samples(first: Path, second: Path) -> None:
    assert_is_scikit_image(read_image(first), read_image(second))


@pytest.mark.parametrize(
    "name", ["astronaut", "camera", "coffee", "page", "text", "rocket"]
)
def test_similarity_of_photos(name: str) -> None:
    assert_is_scikit_image(photo(name), edited(photo(name)))


@pytest.mark.parametrize(
    ("black", "white"), [(0, 255), (0, 0), (255, 255), (254, 255), (0, 1)]
)
def test_similarity_of_flat_pictures(black: int, white: int) -> None:
    shape = 40, 60
    assert_is_scikit_image(
        np.full(shape, black, np.uint8), np.full(shape, white, np.uint8)
    )


@settings(max_examples=60, deadline=None)
@given(data=st.data(), height=st.integers(7, 40), width=st.integers(7, 40))
def test_similarity_of_any_picture(
    data: st.DataObject, height: int, width: int
) -> None:
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
    score, ssim_map, diff = full_similarity(first, 255 - first)
    assert score < 0
    assert ssim_map.min() < -0.5
    assert (diff[ssim_map <= 0] == 0).all()


def test_an_equal_pair_scores_exactly_1() -> None:
    picture = random_picture(11, 300, 700, 3)
    score, ssim_map, diff = full_similarity(picture, picture.copy())
    assert score == 1
    assert ssim_map.min() == 1
    assert diff.min() == 255


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pictures_are_compared_at_full_depth(dtype: type) -> None:
    first = random_picture(12, 300, 600).astype(dtype) * dtype(150)
    second = first.copy()
    second[100:140, 200:280] += dtype(200)
    data_range = 65535 if dtype is np.uint16 else float(second.max() - first.min())
    score, ssim_map, _ = full_similarity(first, second)
    expected_score, expected = structural_similarity(
        first.astype(float),
        second.astype(float),
        win_size=7,
        data_range=data_range,
        full=True,
    )
    assert score < 1
    assert score == pytest.approx(expected_score, abs=1e-9)
    assert np.abs(ssim_map - expected).max() < 1e-6


def test_a_small_change_of_16_bits_is_boxed() -> None:
    first = random_picture(12, 300, 600, 3).astype(np.uint16) * 150
    second = first.copy()
    second[100:140, 200:280] += 200
    regions = compare_images(first, second).regions
    assert regions
    assert all(r.x >= 197 and r.x + r.width <= 283 for r in regions)
    assert all(r.y >= 97 and r.y + r.height <= 143 for r in regions)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused(value: float) -> None:
    picture = np.ones((40, 60, 3), np.float32)
    picture[3, 3] = value
    with pytest.raises(ImageDiffError, match="not finite; replace NaN and infinity"):
        compare_images(picture, picture)


def noisy(picture: Picture, sigma: float, seed: int = 0) -> Picture:
    grain = np.random.default_rng(seed).normal(0, sigma, picture.shape)
    return np.clip(np.rint(picture + grain), 0, 255).astype(np.uint8)


def test_noise_of_a_pair() -> None:
    gray = np.full((400, 500, 3), 120, np.uint8)
    assert image_diff.estimate_noise(gray, gray) == (0, 0)
    assert image_diff.estimate_noise(gray, gray + 9) == (-9, 0)
    # A change, not an exposure.
    assert image_diff.estimate_noise(gray, gray + 40) == (0, 6)
    assert image_diff.estimate_noise(
        gray.astype(np.uint16), gray.astype(np.uint16)
    ) == (0, 0)
    grain = noisy(gray[..., 0], 4)
    offset, sigma = image_diff.estimate_noise(gray, np.dstack([grain] * 3))
    assert offset == 0
    assert sigma == pytest.approx(4, abs=0.3)
    with_edit = gray.copy()
    with_edit[:100] = 0  # less than a tenth of a picture does not pass for noise
    with_edit = np.vstack([with_edit, *[gray] * 2])
    assert image_diff.estimate_noise(with_edit, np.vstack([gray] * 3)) == (0, 0)


@pytest.mark.slow
def test_noise_of_a_large_pair_is_estimated_on_a_lattice() -> None:
    first = random_picture(20, 2200, 3000, 3)
    _, sigma = image_diff.estimate_noise(first, noisy(first, 3))
    assert sigma == pytest.approx(3 * (0.299**2 + 0.587**2 + 0.114**2) ** 0.5, abs=0.4)


@pytest.mark.parametrize(
    "disturb",
    [
        lambda picture: noisy(picture, 2),
        lambda picture: noisy(picture, 3),
        lambda picture: cv2.imdecode(
            cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1],
            cv2.IMREAD_COLOR,
        ),
        lambda picture: cv2.convertScaleAbs(picture, alpha=1, beta=5),
    ],
    ids=["noise 2", "noise 3", "JPEG 85", "brightness +5"],
)
@pytest.mark.parametrize("color", [False, True])
def test_invisible_noise_is_not_boxed_and_edits_are(
    disturb: Callable[[Picture], Picture], color: bool
) -> None:
    first = photo("astronaut")
    options = Options(color=color)
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


def test_color_finds_a_hue_of_equal_brightness() -> None:
    first = np.full((200, 300, 3), (90, 130, 170), np.uint8)
    second = first.copy()
    second[80:120, 100:160] = (170, 129, 140)
    assert gray_of(first)[100, 130] == gray_of(second)[100, 130]
    assert compare_images(first, second).regions == ()
    (region,) = compare_images(first, second, Options(color=True)).regions
    assert abs(region.x - 100) <= 3
    assert abs(region.y + region.height - 120) <= 3
    deep = first.astype(np.uint16) * 257, second.astype(np.uint16) * 257
    assert len(compare_images(deep[0], deep[1], Options(color=True)).regions) == 1


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 999), sigma=st.integers(0, 4), offset=st.integers(-9, 9))
def test_weighing_is_symmetric(seed: int, sigma: int, offset: int) -> None:
    first = random_picture(seed, 90, 120, 3) // 2 + 40
    second = noisy(first, sigma, seed)
    second[20:50, 30:60] = 255 - second[20:50, 30:60]
    second = np.clip(second.astype(int) + offset, 0, 255).astype(np.uint8)
    for options in (Options(), Options(color=True)):
        one = compare_images(first, second, options)
        other = compare_images(second, first, options)
        assert one.score == other.score
        assert one.regions == other.regions


def test_within_worked_out_by_hand() -> None:
    other = np.array([[10, 10, 10, 50, 10, 10]], np.uint8).repeat(6, axis=0)
    image = np.full((6, 6), 60, np.uint8)
    assert within(image, other, 0).tolist()[2] == [10, 10, 10, 50, 10, 10]
    assert within(image, other, 1).tolist()[2] == [10, 10, 50, 50, 50, 10]
    assert within(image, other, 2).tolist()[2] == [10, 50, 50, 50, 50, 50]
    assert within(image, other, 0.5).tolist()[2] == [10, 10, 30, 50, 30, 10]
    assert within(image // 2, other, 1).tolist()[2] == [10, 10, 30, 30, 30, 10]


@given(seed=st.integers(0, 999), x=st.integers(-2, 2), y=st.integers(-2, 2))
@settings(max_examples=30, deadline=None)
def test_tolerance_explains_every_shift_up_to_it(seed: int, x: int, y: int) -> None:
    first = random_picture(seed, 60, 80, 3)
    second = np.roll(first, (y, x), axis=(0, 1))
    second[:2], second[-2:], second[:, :2], second[:, -2:] = first[:2], first[-2:], 0, 0
    first[:, :2] = first[:, -2:] = 0
    comparison = compare_images(first, second, Options(tolerance=2))
    inner = comparison.mask[6:-6, 6:-6]
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


# --- Threshold and regions ------------------------------------------------------------


def boxes_of(regions: tuple[Region, ...]) -> set[tuple[int, int, int, int]]:
    return {(region.x, region.y, region.width, region.height) for region in regions}


@pytest.mark.parametrize(("first", "second"), PAIRS)
def test_boxes_of_the_samples_are_the_articles(first: Path, second: Path) -> None:
    comparison = compare_files(first, second)
    oracle = article(comparison.first, comparison.second)
    assert comparison.score == pytest.approx(oracle.score, abs=1e-9)
    assert boxes_of(comparison.regions) == oracle.boxes
    assert (
        boxes_of(compare_files(first, second, Options(color=True)).regions)
        == oracle.boxes
    )


@pytest.mark.parametrize(
    "name", ["astronaut", "camera", "chelsea", "coffee", "coins", "rocket"]
)
def test_threshold_mask_and_boxes_of_plain_ssim_are_the_articles(name: str) -> None:
    """Without noise, ceiling and smallest area, the tutorial's pipeline is left.

    A pixel whose SSIM times 255 is a whole number but for the last bits may fall to
    either side.
    """
    first, second = photo(name), edited(photo(name))
    oracle = article(first, second)
    _, evidence = image_diff.similarity(first, second)
    threshold, mask = image_diff.find_threshold(evidence, 1, Options())
    assert round(threshold * 255) == oracle.level
    assert np.count_nonzero(mask != oracle.mask) <= 2
    _, regions = image_diff.find_regions(mask, evidence, Options(min_area=0))
    assert boxes_of(regions) == oracle.boxes


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
    ssim_map = full_similarity(first, second)[1]
    assert region.ssim == pytest.approx(
        ssim_map[comparison.mask > 0].mean(), abs=1 / 255
    )
    assert comparison.different_fraction == region.area / 12000


def test_what_lies_inside_a_ring_belongs_to_the_ring() -> None:
    mask = np.zeros((50, 50), np.uint8)
    cv2.rectangle(mask, (5, 5, 40, 40), 255, 2)
    mask[20:24, 20:24] = 255
    pixels = np.count_nonzero(mask)
    (region,) = image_diff.find_regions(
        mask, np.full((50, 50), 255, np.uint8), Options()
    )[1]
    assert region.area == pixels


def test_regions_come_top_to_bottom_then_left_to_right() -> None:
    mask = np.zeros((60, 60), np.uint8)
    for x, y in [(40, 10), (5, 10), (20, 2), (3, 50)]:
        mask[y : y + 4, x : x + 4] = 255
    _, regions = image_diff.find_regions(
        mask, np.zeros((60, 60), np.uint8), Options(min_area=0)
    )
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
    diff = np.full(mask.shape, 63, np.uint8)
    _, regions = image_diff.find_regions(mask, diff, Options(merge=gap))
    assert boxes_of(regions) == boxes
    assert sum(region.area for region in regions) == 4 * 36
    assert all(region.ssim == pytest.approx(63.5 / 255) for region in regions)


@settings(max_examples=40, deadline=None)
@given(
    places=st.lists(st.tuples(st.integers(0, 190), st.integers(0, 90)), max_size=12),
    gap=st.integers(1, 60),
)
def test_merging_is_idempotent(places: list[tuple[int, int]], gap: int) -> None:
    options = Options(merge=gap, min_area=0)
    mask = squares(*places)
    _, regions = image_diff.find_regions(mask, np.zeros(mask.shape, np.uint8), options)
    boxes = np.zeros(mask.shape, np.uint8)
    for region in regions:
        boxes[
            region.y : region.y + region.height, region.x : region.x + region.width
        ] = 255
    _, again = image_diff.find_regions(boxes, np.zeros(mask.shape, np.uint8), options)
    assert boxes_of(again) == boxes_of(regions)


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
    everything = compare_images(first, second, Options(ignore=((-5, -5, 999, 999),)))
    assert everything.regions == ()
    assert everything.different_fraction == 0


@pytest.mark.parametrize(
    "place", [(200, 0, 5, 5), (0, 100, 5, 5), (-5, 0, 5, 5), (0, -9, 5, 9)]
)
def test_ignore_outside_of_the_picture(place: tuple[int, int, int, int]) -> None:
    picture = np.full((100, 200, 3), 200, np.uint8)
    text = f"--ignore {','.join(map(str, place))} lies outside of the 200x100 pixels"
    with pytest.raises(ImageDiffError, match=text):
        compare_images(picture, picture, Options(ignore=(place,)))


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 99),
    x=st.integers(-20, 119),
    y=st.integers(-20, 79),
    width=st.integers(21, 60),
    height=st.integers(21, 60),
)
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


# --- Compare --------------------------------------------------------------------------


def test_an_untouched_copy_has_no_region() -> None:
    comparison = compare_files(PAIRS[0][0], PAIRS[0][0])
    assert comparison.regions == ()
    assert comparison.different_fraction == 0


@settings(max_examples=25, deadline=None)
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
    assert one.regions == other.regions
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


# --- Draw -----------------------------------------------------------------------------


def test_boxes_are_drawn_red_on_copies() -> None:
    first, second = (read_image(path) for path in PAIRS[1])
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
    first, second = (read_image(path) for path in PAIRS[1])
    plain = drawn(compare_images(first, second))
    options = Options(ignore=((300, 200, 100, 60),))
    for title, picture in drawn(compare_images(first, second, options)).items():
        inside = (picture[200:260, 300:400] == 128).reshape(60, 100, -1).all(axis=2)
        assert inside.mean() == pytest.approx(0.25, abs=0.02)
        assert np.array_equal(picture[:190], plain[title][:190])


def test_deep_pictures_are_drawn_in_8_bits() -> None:
    deep = np.array([[[0] * 3, [32768] * 3, [65535] * 3]], np.uint16)
    assert image_diff.to_8_bits(deep, 0, 65535)[0, :, 0].tolist() == [0, 128, 255]


# --- Show, save, report ---------------------------------------------------------------

FILES = {
    *(
        "original.png",
        "modified.png",
        "diff.png",
        "thresh.png",
        "first.png",
        "second.png",
    ),
    *("result.json", "index.html"),
}


def saved(folder: Path, *arguments: str) -> dict[str, Any]:
    """Save the comparison of the second sample pair; what result.json holds."""
    first, second = map(str, PAIRS[1])
    assert (
        main(["-f", first, "-s", second, "--no-window", "-o", str(folder), *arguments])
        == 0
    )
    assert {path.name for path in folder.iterdir()} == FILES
    record: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return record


def picture_in(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


def test_output_holds_the_pictures(tmp_path: Path) -> None:
    saved(tmp_path / "new" / "folder")
    comparison = compare_files(*PAIRS[1])
    for title, picture in drawn(comparison).items():
        name = f"{title.lower()}.png"
        assert np.array_equal(picture_in(tmp_path / "new" / "folder" / name), picture)
    for name, picture in (("first", comparison.first), ("second", comparison.second)):
        assert np.array_equal(
            picture_in(tmp_path / "new" / "folder" / f"{name}.png"), picture
        )


def test_saved_boxes_are_the_red_ones_of_the_picture(tmp_path: Path) -> None:
    first, second = map(str, PAIRS[2])
    assert main(["-f", first, "-s", second, "--no-window", "-o", str(tmp_path)]) == 0
    original = picture_in(tmp_path / "original.png")
    red = (original == (0, 0, 255)).all(axis=2).astype(np.uint8)
    contours, _ = cv2.findContours(red, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        # Half of the line is outside.
        found.append((x + 1, y + 1, width - 2, height - 2))
    regions = json.loads((tmp_path / "result.json").read_text())["regions"]
    boxes = [(r["x"], r["y"], r["width"], r["height"]) for r in regions]
    assert sorted(found) == sorted(boxes)


def test_a_plain_png_is_copied_and_any_other_drawn_anew(folder: Path) -> None:
    colour = random_picture(4, 40, 60, 3)
    plain, exif, palette = (
        folder / f"{name}.png" for name in ("plain", "exif", "palette")
    )
    Image.fromarray(colour).save(plain)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(colour).save(exif, exif=turned)
    Image.fromarray(colour).quantize(16).save(palette)
    for path in (plain, exif, palette):
        main(
            ["-f", str(path), "-s", str(path), "--no-window", "-o", str(folder / "out")]
        )
        copied = (folder / "out/first.png").read_bytes() == path.read_bytes()
        assert copied == (path == plain)
        assert np.array_equal(picture_in(folder / "out/second.png"), read_image(path))


def test_deep_and_transparent_pictures_are_saved_as_compared(folder: Path) -> None:
    colour = random_picture(4, 40, 60, 3)
    cv2.imwrite(str(folder / "deep.png"), colour.astype(np.uint16) * 257)
    cv2.imwrite(str(folder / "alpha.png"), rgba(colour, random_picture(5, 40, 60)))
    for name in ("deep.png", "alpha.png"):
        path = str(folder / name)
        assert (
            main(["-f", path, "-s", path, "--no-window", "-o", str(folder / "out")])
            == 0
        )
        expected = colour if name == "deep.png" else read_image(path)
        assert np.array_equal(picture_in(folder / "out" / "first.png"), expected)


SCHEMA: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "status": (str,),
    "name": (type(None),),
    "first": (str,),
    "second": (str,),
    "width": (int,),
    "height": (int,),
    "ssim": (float,),
    "threshold": (float,),
    "different_pixels": (int,),
    "different_fraction": (float,),
    "regions": (list,),
    "alignment": (type(None),),
    "error": (type(None),),
}
REGION_SCHEMA = dict.fromkeys(("x", "y", "width", "height", "area"), int) | {
    "ssim": float
}


def assert_is_a_record(record: dict[str, Any]) -> None:
    """Hold a record against the schema: keys in their order, types, and ranges."""
    assert list(record) == list(SCHEMA)
    assert all(type(record[key]) in SCHEMA[key] for key in SCHEMA)
    assert record["schema"] == 1
    assert record["status"] == ("different" if record["regions"] else "same")
    assert -1 <= record["ssim"] <= 1
    assert 0 <= record["threshold"] <= 1
    assert record["different_pixels"] == sum(
        region["area"] for region in record["regions"]
    )
    size = record["width"] * record["height"]
    assert record["different_fraction"] == record["different_pixels"] / size
    for region in record["regions"]:
        assert list(region) == list(REGION_SCHEMA)
        assert all(type(region[key]) is REGION_SCHEMA[key] for key in REGION_SCHEMA)
        assert 0 <= region["x"] < region["x"] + region["width"] <= record["width"]
        assert 0 <= region["y"] < region["y"] + region["height"] <= record["height"]
        assert 0 < region["area"] <= region["width"] * region["height"]


@pytest.mark.parametrize(("first", "second"), [*PAIRS, (PAIRS[0][0], PAIRS[0][0])])
def test_json_is_one_object_and_nothing_else(
    first: Path, second: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-f", str(first), "-s", str(second), "--json", "--no-window"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1
    record = json.loads(captured.out)
    assert_is_a_record(record)
    comparison = compare_files(first, second)
    assert (record["first"], record["second"]) == (str(first), str(second))
    assert record["ssim"] == comparison.score
    assert record["threshold"] == comparison.threshold
    assert tuple(Region(**region) for region in record["regions"]) == comparison.regions


def test_result_json_is_what_json_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, "--json")
    assert (tmp_path / "result.json").read_text() == capsys.readouterr().out


def test_a_tiny_share_is_not_rounded_to_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = np.full((3000, 4000, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    picture[1000, 1000] = 0
    cv2.imwrite(str(tmp_path / "b.png"), picture)
    arguments = [
        "-f",
        str(tmp_path / "a.png"),
        "-s",
        str(tmp_path / "b.png"),
        "--no-window",
    ]
    assert main(arguments) == 0
    assert "1 region, 0.000408 % of the picture" in capsys.readouterr().out
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["different_fraction"] == 49 / 12_000_000


def test_running_again_replaces(tmp_path: Path) -> None:
    before = saved(tmp_path)
    assert saved(tmp_path, "--threshold", "0.1") != before


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_output_that_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    first, second = map(str, PAIRS[1])
    assert main(["-f", first, "-s", second, "--no-window", "-o", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot write to {path}: File exists; free or name another folder\n"
    )
    assert path.read_text() == "kept"


def test_output_that_would_overwrite_an_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, source in zip(("first.png", "other.png"), PAIRS[1], strict=True):
        (tmp_path / name).write_bytes(source.read_bytes())
    before = contents(tmp_path)
    first, second = str(tmp_path / "first.png"), str(tmp_path / "other.png")
    assert main(["-f", first, "-s", second, "--no-window", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {first} is an input; name another folder for the output\n"
    )
    assert contents(tmp_path) == before


def test_read_only_output_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Linux's /proc/self/fdinfo takes no new folder, not even from root."""
    first, second = map(str, PAIRS[1])
    folder = Path("/proc/self/fdinfo/new") if os.geteuid() == 0 else tmp_path / "new"
    tmp_path.chmod(0o555)
    assert main(["-f", first, "-s", second, "--no-window", "-o", str(folder)]) == 2
    assert capsys.readouterr().err.startswith(f"error: cannot write to {folder}: ")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, which a result of the samples does not fit twice."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1000k", "none", mounted]
    processes.run(mount, check=True)
    yield mounted
    processes.run(["umount", mounted], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_full_disk_leaves_what_was_there(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saved(small_disk / "out")
    whole = contents(small_disk / "out")
    first, second = map(str, PAIRS[1])
    arguments = ["-f", first, "-s", second, "--no-window", "--threshold", "0.1"]
    capsys.readouterr()
    assert main([*arguments, "-o", str(small_disk / "out")]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot write to {small_disk}/out: No space left on device; "
        "free or name another folder\n"
    )
    assert contents(small_disk / "out") == whole
    assert json.loads(whole["result.json"]) == before


# --- Command line ---------------------------------------------------------------------


def test_text_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(str, PAIRS[1])
    assert main(["--first", first, "--second", second, "--no-window"]) == 0
    captured = capsys.readouterr()
    comparison = compare_files(first, second)
    lines = captured.out.splitlines()
    assert lines[-1] == "threshold 0.5412; even 0 leaves a region"
    assert lines[0] == f"SSIM: {comparison.score}"
    assert float(lines[0].removeprefix("SSIM: ")) == comparison.score
    assert (
        lines[1]
        == f"3 regions, {100 * comparison.different_fraction:.3g} % of the picture"
    )
    assert len(lines) == 2 + 3 + 1
    assert captured.err == ""


def test_an_equal_pair_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-f", str(PAIRS[0][0]), "-s", str(PAIRS[0][0]), "--no-window"]) == 0
    out = capsys.readouterr().out
    assert out == "SSIM: 1.0\n0 regions, 0 % of the picture\nthreshold 0.0000\n"


def test_errors_go_to_stderr_with_status_2(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = folder / "none.png"
    assert main(["-f", str(path), "-s", str(folder / "good.png")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == (
        f"error: {path} cannot be read: No such file or directory; "
        "name a picture that is there and may be read\n"
    )


def test_bad_usage_has_status_2() -> None:
    result = run("--first", "a.png")
    assert result.returncode == 2
    assert "the following arguments are required: -s/--second" in result.stderr


@pytest.mark.slow
def test_text_and_json_tell_how_the_pictures_were_registered(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = photo("camera")
    cv2.imwrite(str(folder / "a.png"), first)
    cv2.imwrite(str(folder / "b.png"), np.roll(first, 5, axis=1)[:, 5:])
    pair = ["-f", str(folder / "a.png"), "-s", str(folder / "b.png"), "--no-window"]
    assert main([*pair, "--align", "perspective", "--json"]) == 0
    alignment = json.loads(capsys.readouterr().out)["alignment"]
    assert list(alignment) == ["method", "transform", "matches", "covered"]
    assert alignment["method"] == "perspective"
    assert alignment["matches"] > 100
    assert alignment["covered"] == pytest.approx(507 / 512)
    assert np.allclose(alignment["transform"], np.eye(3), atol=0.02)
    assert main([*pair, "--align", "perspective"]) == 0
    line = capsys.readouterr().out.splitlines()[-2]
    assert line.startswith(
        f"alignment perspective: {alignment['matches']} matches agree, 99.02 % "
    )
    assert " covered, transform 1 " in line or " covered, transform 0.9" in line
    assert main([*pair, "--resize"]) == 0
    line = capsys.readouterr().out.splitlines()[-2]
    text = "100 % covered, transform 1.00986 0 0.00493097; 0 1 0; 0 0 1"
    assert line == f"alignment resize: {text}"
    assert main([*pair, "--output", str(folder / "o"), "--align", "perspective"]) == 0
    assert "alignment perspective: " in (folder / "o/index.html").read_text()


@pytest.mark.parametrize("option", [["--align", "perspective"], ["--resize"]])
@pytest.mark.slow
def test_what_is_saved_of_a_registered_png_is_the_registered_picture(
    folder: Path, option: list[str]
) -> None:
    first = photo("astronaut")
    second = cv2.resize(first, (640, 600), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / "a.png"), first)
    cv2.imwrite(str(folder / "b.png"), second)
    arguments = [
        "-f",
        str(folder / "a.png"),
        "-s",
        str(folder / "b.png"),
        "--no-window",
        *option,
    ]
    assert main([*arguments, "-o", str(folder / "o")]) == 0
    assert np.array_equal(picture_in(folder / "o/first.png"), first)
    assert cv2.absdiff(picture_in(folder / "o/second.png"), first).mean() < 3
    assert picture_in(folder / "o/modified.png").shape == first.shape


def test_resize_and_align_contradict_each_other(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["-f", "a.png", "-s", "b.png", "--resize", "--align", "elastic"])
    assert "not allowed with argument" in capsys.readouterr().err


def test_help_tells_the_exit_statuses() -> None:
    result = run("--help")
    assert result.returncode == 0
    assert (
        "exit status: 0 compared; 1 different, with --exit-code only; "
        "2 trouble; 130 stopped" in " ".join(result.stdout.split())
    )


def test_the_short_path_imports_no_slow_library() -> None:
    arguments = ["-f", str(PAIRS[0][0]), "-s", str(PAIRS[0][1]), "--no-window"]
    code = (
        "import sys, image_diff\n"
        f"status = image_diff.main({arguments!r})\n"
        "print(status, sorted({'skimage', 'scipy', 'imutils'} & set(sys.modules)))\n"
    )
    result = processes.run([sys.executable, "-c", code], cwd=ROOT)
    assert result.stdout.splitlines()[-1] == "0 []"


NO_GL = "libGL.so.1: cannot open shared object file: No such file or directory"
NO_CV2 = "No module named 'cv2'"
INSTALL = f"{sys.executable} -m pip install -r {ROOT}/requirements.txt"


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (
            f"ImportError({NO_GL!r})",
            f"{NO_GL}; on Debian or Ubuntu: apt-get install -y libgl1 libglib2.0-0",
        ),
        (f"ModuleNotFoundError({NO_CV2!r})", f"{NO_CV2}; {INSTALL}"),
    ],
)
def test_opencv_that_cannot_be_imported(
    tmp_path: Path, failure: str, remedy: str
) -> None:
    (tmp_path / "cv2.py").write_text(f"raise {failure}\n")
    result = run("-f", "a.png", "-s", "b.png", PYTHONPATH=str(tmp_path))
    assert result.stderr == f"error: cannot import OpenCV: {remedy}\n"
    assert result.returncode == 2


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (PAIRS[0][0], PAIRS[0][1], 1),
        (PAIRS[0][0], PAIRS[0][0], 0),
        (PAIRS[0][0], ROOT / "none.png", 2),
    ],
)
def test_exit_code(first: Path, second: Path, status: int) -> None:
    arguments = ["-f", str(first), "-s", str(second), "--no-window"]
    assert main([*arguments, "--exit-code"]) == status
    assert main(arguments) == (2 if status == 2 else 0)


def test_threshold_and_smallest_area(capsys: pytest.CaptureFixture[str]) -> None:
    first = np.full((100, 200, 3), 200, np.uint8)
    second = first.copy()
    second[20:24, 20:24] = 0
    second[60:80, 100:140] = 150
    options = Options(threshold=0.999)
    boxes = {(17, 17, 10, 10), (97, 57, 46, 26)}
    assert boxes_of(compare_images(first, second, options).regions) == boxes
    options = Options(threshold=0.999, min_area=101)
    comparison = compare_images(first, second, options)
    assert boxes_of(comparison.regions) == {(97, 57, 46, 26)}
    assert comparison.different_pixels == np.count_nonzero(comparison.mask)
    assert compare_images(first, first, Options(threshold=1)).regions == ()
    for arguments in (
        ["--threshold", "1.5"],
        ["--threshold", "x"],
        ["--min-area", "-1"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(["-f", "a.png", "-s", "b.png", *arguments])
        assert caught.value.code == 2
        limit = "1" if arguments[0] == "--threshold" else "268435456"
        assert (
            f"{arguments[1]} is not a number from 0 to {limit}"
            in capsys.readouterr().err
        )


def test_the_threshold_that_would_leave_no_region_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), photo("coffee"))
    picture = photo("coffee")
    picture[100:140, 100:160] = cv2.blur(picture, (5, 5))[100:140, 100:160]
    cv2.imwrite(str(tmp_path / "b.png"), picture)
    arguments = [
        "-f",
        str(tmp_path / "a.png"),
        "-s",
        str(tmp_path / "b.png"),
        "--no-window",
    ]
    assert main(arguments) == 0
    used, passing = capsys.readouterr().out.splitlines()[-1].split("; ")
    assert used.startswith("threshold 0.")
    assert passing.endswith(" leaves no region")
    assert main([*arguments, "--threshold", passing.split()[0]]) == 0
    assert "\n0 regions, 0 % of the picture\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    "text", ["1,2,3", "a,b,c,d", "1,2,0,4", "1,2,3,-4", "1.5,2,3,4"]
)
def test_ignore_that_is_no_rectangle(
    text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["-f", "a.png", "-s", "b.png", "--ignore", text])
    assert (
        f"{text} is not X,Y,WIDTH,HEIGHT with sides above 0" in capsys.readouterr().err
    )


def test_ignore_is_repeatable(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["-f", str(PAIRS[1][0]), "-s", str(PAIRS[1][1]), "--no-window"]
    assert (
        main([*arguments, "--ignore", "40,100,90,80", "--ignore", "40,280,280,40"]) == 0
    )
    assert "\n0 regions, 0 % of the picture\n" in capsys.readouterr().out


@settings(max_examples=25, deadline=None)
@given(low=st.integers(0, 255), high=st.integers(0, 255), seed=st.integers(0, 99))
def test_raising_the_threshold_never_removes_area(
    low: int, high: int, seed: int
) -> None:
    low, high = sorted((low, high))
    diff = random_picture(seed, 60, 80)
    _, smaller = image_diff.find_threshold(diff, 1, Options(threshold=low / 255))
    _, larger = image_diff.find_threshold(diff, 1, Options(threshold=high / 255))
    assert (larger >= smaller).all()


def test_ctrl_c_ends_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(image_diff, "compare_files", interrupted)
    assert main(["-f", "a.png", "-s", "b.png"]) == 130
    assert capsys.readouterr() == ("", "")


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
