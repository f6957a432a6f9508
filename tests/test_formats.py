"""Every format and depth, pages, damage of all kinds, and extreme shapes."""

import contextlib
import io
import json
import os
import struct
import sys
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms, ImageOps, PngImagePlugin

import fuzz
import image_diff
import processes
from files import ROOT, SCRIPT, stored
from image_diff import (
    ImageDiffError,
    compare_files,
    compare_images,
    count_pages,
    main,
    read_image,
    read_images,
)
from samples import (
    DEEP,
    GRAY,
    HEIGHT,
    RGB,
    WIDTH,
    Picture,
    Sample,
    bgr,
    chunk,
    exif,
    opencv,
    others,
    over_white,
    pillow,
    png,
    samples,
    tiff,
)

SAMPLES = samples()
PAGED = [sample for sample in SAMPLES.values() if sample.pages > 1]
# The peak of a process's memory in kilobytes; getrusage would count its parent's,
# before exec.
PEAK = "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def refused(path: Path, **options: Any) -> str:
    """The message with which a file is refused."""
    with pytest.raises(ImageDiffError) as caught:
        read_image(path, **options)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message.removeprefix(str(path))


def ids(sample: Sample) -> str:
    return sample.name


# --- Formats --------------------------------------------------------------------------


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=ids)
def test_every_format_shows_what_it_must(tmp_path: Path, sample: Sample) -> None:
    path = stored(tmp_path, sample.name, sample.data)
    picture = read_image(path)
    pixels = picture.pixels
    assert pixels.shape == sample.expected.shape
    assert pixels.dtype == sample.expected.dtype
    assert np.abs(pixels.astype(float) - sample.expected).max() <= sample.tolerance
    assert picture.pages == sample.pages


def test_a_wrong_suffix_does_not_matter(tmp_path: Path) -> None:
    for number, sample in enumerate(SAMPLES.values()):
        path = stored(tmp_path, f"{number}.txt", sample.data)
        assert fuzz.is_right(read_image(path).pixels, sample), sample.name


LEFT_OUT = "first pages compared; pages left out:"


@pytest.mark.parametrize("sample", PAGED, ids=ids)
def test_pages_that_are_left_out_are_told(tmp_path: Path, sample: Sample) -> None:
    first = stored(tmp_path, sample.name, sample.data)
    second = stored(tmp_path, "still.png", pillow(RGB, "PNG"))
    note = f"{LEFT_OUT} {sample.pages - 1} of {first}"
    assert compare_files(first, second).notes == (note,)
    assert compare_files(first, first).notes == (note,)
    assert compare_files(second, first, first_page=1).notes == (note,)
    assert compare_files(second, second).notes == ()
    named = compare_files(first, second, first_page=2, second_page=1)
    assert named.notes == ()
    record = image_diff.as_record(named)
    assert (record["first_page"], record["second_page"]) == (2, 1)
    assert named.unequal_pixels


def test_pages_of_both_pictures_are_told(tmp_path: Path) -> None:
    names = "pages.tif", "animated.webp"
    paths = [stored(tmp_path, name, SAMPLES[name].data) for name in names]
    counts = f"4 of {paths[0]}, 3 of {paths[1]}"
    assert compare_files(paths[0], paths[1]).notes == (f"{LEFT_OUT} {counts}",)


def test_pages_of_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = stored(tmp_path, "\udcff.gif", SAMPLES["animated.gif"].data)
    result = processes.run([sys.executable, SCRIPT, path, path])
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()[:-1]
    assert lines == [
        f"same         \\udcff.gif, page {number}: SSIM 1.0" for number in range(1, 6)
    ]


def test_what_came_through_a_pipe_is_saved(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe, data = tmp_path / "pipe", SAMPLES["pages.tif"].data
    os.mkfifo(pipe)
    writer = Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    second = stored(tmp_path, "b.png", SAMPLES["colour8.png"].data)
    output = str(tmp_path / "out")
    assert main(["-f", str(pipe), "-s", str(second), "--no-window", "-o", output]) == 0
    writer.join()
    captured = capsys.readouterr()
    assert captured.out.startswith("SSIM: 1.0\nsame: ")
    assert captured.err == f"{LEFT_OUT} 4 of {pipe}\n"
    saved = read_image(tmp_path / "out/first.png").pixels
    assert np.array_equal(saved, RGB[..., ::-1])


# --- Depth ----------------------------------------------------------------------------


# By how much a part changes, of 65535, and the threshold at which that is a difference:
# 200 is less than a level of 255, which nobody sees.
DEEP_CHANGES = [(9000, None), (200, 1.0)]


@pytest.mark.parametrize(("change", "threshold"), DEEP_CHANGES)
@pytest.mark.parametrize(
    ("suffix", "unit"), [("png", None), ("tif", None), ("ppm", None), ("tif", 65535)]
)
def test_a_small_change_of_16_bits_or_floats_is_boxed(
    tmp_path: Path, suffix: str, unit: int | None, change: int, threshold: float | None
) -> None:
    first = cv2.resize(DEEP // 4 + 20000, (160, 120), interpolation=cv2.INTER_CUBIC)
    second = first.copy()
    second[40:70, 50:100] += change
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path, picture in zip(paths, (first, second), strict=True):
        values = picture if unit is None else (picture / unit).astype(np.float32)
        path.write_bytes(cv2.imencode(path.suffix, values)[1].tobytes())
    regions = compare_files(paths[0], paths[1], threshold=threshold).regions
    assert [(r.x, r.y, r.width, r.height) for r in regions] == [(47, 37, 56, 36)]


MEND = "replace NaN and infinity"


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which", [0, 1])
def test_values_that_are_not_finite(tmp_path: Path, value: float, which: int) -> None:
    pictures = [np.full((40, 60), 0.5, np.float32) for _ in "ab"]
    pictures[which][20, 30] = value
    paths = [
        stored(tmp_path, f"{n}.tif", tiff(p))
        for n, p in zip("ab", pictures, strict=True)
    ]
    path = paths[which]
    message = f"{path} has pixels that are not finite, 1 of 2400; {MEND}"
    with pytest.raises(ImageDiffError) as caught:
        compare_files(paths[0], paths[1])
    assert str(caught.value) == message


def test_values_that_float32_cannot_hold(tmp_path: Path) -> None:
    wide = np.zeros((40, 60))
    wide[3, 3] = 1e300
    path = stored(tmp_path, "wide.tif", tiff(wide))
    with pytest.raises(ImageDiffError, match="not finite"):
        compare_files(path, path)
    wide[3, 3], wide[4, 4] = 3e38, -3e38
    with pytest.raises(ImageDiffError, match="not finite"):
        compare_images(wide.astype(np.float32), wide.astype(np.float32))


# --- As Pillow shows it ---------------------------------------------------------------


def converted(picture: Image.Image, own: Any, other: Any, mode: str) -> Image.Image:
    """A picture in another profile."""
    seen = ImageCms.profileToProfile(picture, own, other, outputMode=mode)
    assert seen is not None
    return seen


def shown_by_pillow(data: bytes) -> Picture:
    """What a viewer shows: upright, in sRGB, over white; (H, W, 3) float BGR."""
    opened = Image.open(io.BytesIO(data))
    opened.load()
    picture = ImageOps.exif_transpose(opened)
    colours = picture.convert("RGB")
    if profile := picture.info.get("icc_profile"):
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        srgb = ImageCms.createProfile("sRGB")
        with contextlib.suppress(ImageCms.PyCMSError):  # of other colours
            colours = converted(colours, own, srgb, "RGB")
    rgb = np.asarray(colours, float)
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA"))[..., 3:] / 255
        rgb = rgb * alpha + 255 * (1 - alpha)
    shown: Picture = rgb[..., ::-1]
    return shown


def bmp(header: bytes, palette: bytes, rows: bytes) -> bytes:
    """A BMP of a header after its own size, a palette, and rows from below."""
    start = 14 + 4 + len(header) + len(palette)
    head = struct.pack("<IIII", start + len(rows), 0, start, 4 + len(header))
    return b"BM" + head + header + palette + rows


def bmp_header(bits: int, compression: int, size: int = 0) -> bytes:
    """The rest of a header of 40 bytes."""
    header = WIDTH, HEIGHT, 1, bits, compression, size, 2835, 2835, 0, 0
    return struct.pack("<iiHHIIiiII", *header)


MASKS = struct.pack("<III", 0xFF0000, 0xFF00, 0xFF)
BGRX: Picture = np.dstack([RGB[..., ::-1], np.zeros_like(GRAY)])[::-1]


def bmp_555() -> bytes:
    """16 bits, of which 5 are each colour."""
    red, green, blue = (RGB[::-1, :, n].astype(np.uint16) >> 3 for n in range(3))
    values = (red << 10 | green << 5 | blue).astype("<u2")
    return bmp(bmp_header(16, 0), b"", values.tobytes())


def bmp_os2() -> bytes:
    """OS/2's first kind, with a palette of three bytes a colour."""
    palette = np.random.default_rng(1).integers(0, 256, (256, 3), np.uint8)
    header = struct.pack("<HHHH", WIDTH, HEIGHT, 1, 8)
    return bmp(header, palette.tobytes(), GRAY[::-1].tobytes())


def bmp_rle(bits: int) -> bytes:
    """Runs of one to some pixels, an end of line after each row but the last."""
    palette = np.random.default_rng(2).integers(0, 256, (2**bits, 4), np.uint8)
    rows = []
    for row in GRAY[::-1] >> (8 - bits):
        changes = np.flatnonzero(np.diff(row)) + 1
        runs = np.split(row, changes)
        factor = 17 if bits == 4 else 1
        rows.append(b"".join(bytes([len(run), run[0] * factor]) for run in runs))
    data = b"\0\0".join(rows) + b"\0\1"
    return bmp(bmp_header(bits, 3 - bits // 4, len(data)), palette.tobytes(), data)


def small_first_frame() -> bytes:
    """A GIF whose canvas is larger than its first frame."""
    data = pillow(Image.fromarray(RGB).quantize(64), "GIF", transparency=0)
    return data[:6] + struct.pack("<HH", WIDTH + 20, HEIGHT + 9) + data[10:]


def webp_with_prefix() -> bytes:
    """A WebP whose EXIF begins as in a JPEG."""
    data = pillow(Image.fromarray(RGB), "WEBP", lossless=True, exif=exif(6))
    place = data.index(b"EXIF") + 4
    length = int.from_bytes(data[place : place + 4], "little") + 6
    body = struct.pack("<I", length) + b"Exif\0\0" + data[place + 4 :]
    whole = data[:place] + body
    return whole[:4] + struct.pack("<I", len(whole) - 8) + whole[8:]


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><a tiff:Orientation="6"/></x:xmpmeta>'


def png_with_text(key: str, text: str, compressed: bool = False) -> bytes:
    """A PNG with a text."""
    info = PngImagePlugin.PngInfo()
    info.add_text(key, text, compressed)
    return pillow(Image.fromarray(RGB), "PNG", pnginfo=info)


def png_with_xmp() -> bytes:
    """A PNG that XMP alone turns."""
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    return pillow(Image.fromarray(RGB), "PNG", pnginfo=info)


def raw_profile() -> str:
    """EXIF as ImageMagick puts it into a text."""
    body = exif(6).tobytes()
    return f"\nexif\n{len(body):8}\n{body.hex()}\n"


def clear_gray(bits: int, interlaced: bool = False) -> bytes:
    """A gray PNG, one level of which is transparent."""
    levels = DEEP[..., 1] >> (16 - bits)
    level = struct.pack(">H", int(levels[20, 30]))
    return png(levels, bits, interlaced, 0, chunk(b"tRNS", level))


def palette_of_one_bit() -> bytes:
    """A TIFF of two colours."""
    data = np.packbits(GRAY > 127, axis=1).tobytes()
    colours = struct.pack("<6H", 65535, 0, 0, 65535, 32768, 0)
    tags = [
        *((256, 3, 1, WIDTH), (257, 3, 1, HEIGHT), (258, 3, 1, 1), (259, 3, 1, 1)),
        *((262, 3, 1, 3), (273, 4, 1, 200), (277, 3, 1, 1), (278, 3, 1, HEIGHT)),
        *((279, 4, 1, len(data)), (320, 3, 6, 150)),
    ]
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + directory + bytes(4)
    return head.ljust(150, b"\0") + colours + bytes(38) + data


def sycc() -> bytes:
    """A JPEG 2000 that says its colours are YCC."""
    data = pillow(Image.fromarray(RGB).convert("YCbCr"), "JPEG2000", mct=0)
    place = data.index(b"colr") + 7
    return data[:place] + struct.pack(">I", 18) + data[place + 4 :]


def planar_tiled() -> bytes:
    """A TIFF of tiles, each of one colour."""
    planes = np.ascontiguousarray(RGB.transpose(2, 0, 1))
    options: Any = {"planarconfig": "separate", "tile": (32, 32)}
    return tiff(planes, photometric="rgb", **options)


def swapped_profile() -> bytes:
    """A profile whose red is sRGB's blue, and the other way round."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    red, blue = profile.index(b"rXYZ"), profile.index(b"bXYZ")
    swapped = bytearray(profile)
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    return bytes(swapped)


def profiled(kind: str, mode: str = "RGB", **options: Any) -> bytes:
    """A picture whose red and blue are swapped, in the profile that swaps them."""
    image = Image.fromarray(RGB[..., ::-1]).convert(mode)
    return pillow(image, kind, icc_profile=swapped_profile(), **options)


COLOUR = Image.fromarray(RGB)


def lab() -> bytes:
    """A TIFF of CIELAB."""
    srgb, target = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    return pillow(converted(COLOUR, srgb, target, "LAB"), "TIFF")


SHOWN: dict[str, tuple[Callable[[], bytes], float]] = {  # and the levels it may be off
    "BITFIELDS, header of 40": (
        lambda: bmp(bmp_header(32, 3), MASKS, BGRX.tobytes()),
        0,
    ),
    "BITFIELDS, header of 52": (
        lambda: bmp(bmp_header(32, 3) + MASKS, b"", BGRX.tobytes()),
        0,
    ),
    "RLE8": (lambda: bmp_rle(8), 0),
    "RLE4": (lambda: bmp_rle(4), 0),
    "16-bit BMP": (bmp_555, 0),
    "OS/2 BMP": (bmp_os2, 0),
    "palette of one bit": (palette_of_one_bit, 0),
    "planar tiled TIFF": (planar_tiled, 0),
    "Lab TIFF": (lab, 0),
    "CMYK TIFF": (lambda: pillow(COLOUR.convert("CMYK"), "TIFF"), 0),
    "small first frame": (small_first_frame, 0),
    "frame that is disposed of": (
        lambda: pillow(
            COLOUR.quantize(64),
            "GIF",
            save_all=True,
            append_images=others(1),
            disposal=2,
        ),
        0,
    ),
    "WebP with Exif and zeros": (webp_with_prefix, 0),
    "JPEG turned by XMP": (lambda: pillow(COLOUR, "JPEG", quality=90, xmp=XMP), 3),
    "PNG turned by XMP": (png_with_xmp, 0),
    "PNG turned by a text": (
        lambda: png_with_text("Raw profile type exif", raw_profile()),
        0,
    ),
    "PNG turned by a compressed text": (
        lambda: png_with_text("Raw profile type exif", raw_profile(), True),
        0,
    ),
    **{
        f"AVIF turned {n}": (partial(pillow, COLOUR, "AVIF", exif=exif(n)), 0)
        for n in range(1, 9)
    },
    "gray AVIF of limited range": (
        lambda: pillow(Image.fromarray(GRAY), "AVIF", range="limited"),
        0,
    ),
    "sYCC": (sycc, 0),
    "profile in a PNG": (lambda: profiled("PNG"), 0),
    "profile in a PNG with alpha": (lambda: profiled("PNG", "RGBA"), 0),
    "profile in a PNG with a palette": (lambda: profiled("PNG", "P"), 0),
    "profile in a turned PNG": (lambda: profiled("PNG", exif=exif(6)), 0),
    "profile in a JPEG": (lambda: profiled("JPEG", quality=95), 3),
    "profile in a turned JPEG": (lambda: profiled("JPEG", exif=exif(8)), 3),
    "profile in a gray JPEG": (lambda: profiled("JPEG", "L"), 3),
    "profile in a WebP": (lambda: profiled("WEBP", lossless=True), 0),
    "profile in a TIFF": (lambda: profiled("TIFF"), 0),
    "profile in an AVIF": (lambda: profiled("AVIF"), 0),
}


@pytest.mark.parametrize("name", SHOWN)
def test_a_picture_is_shown_as_pillow_shows_it(tmp_path: Path, name: str) -> None:
    make, most = SHOWN[name]
    data = make()
    pixels = read_image(stored(tmp_path, "picture", data)).pixels
    expected = shown_by_pillow(data)
    assert pixels.shape == expected.shape
    assert np.abs(pixels - expected).max() <= most + 0.5


def test_what_the_drawings_of_profiles_show(tmp_path: Path) -> None:
    """One look in two profiles is the same; one set of numbers in two is not."""
    plain = stored(tmp_path, "plain.png", pillow(RGB, "PNG"))
    look = stored(tmp_path, "look.png", profiled("PNG"))
    numbers = pillow(RGB, "PNG", icc_profile=swapped_profile())
    other = stored(tmp_path, "numbers.png", numbers)
    largest = compare_files(plain, look).largest_difference
    assert largest is not None
    assert largest <= 1
    assert compare_files(plain, other).status == "different"


def test_a_profile_that_is_srgb_changes_nothing(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    path = stored(tmp_path, "a.png", pillow(RGB, "PNG", icc_profile=profile))
    assert np.array_equal(read_image(path).pixels, bgr(RGB))


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_a_profile_of_gray_beside_alpha(tmp_path: Path, kind: str) -> None:
    """Brighter by a gamma of 1.2 in place of 2.4."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    profile = srgb[:16] + b"GRAY" + srgb[20:].replace(b"rTRC", b"kTRC")
    profile = profile.replace(b"\0\2\x66\x66", b"\0\1\x33\x33")
    gray = Image.fromarray(GRAY)
    opaque = Image.merge("LA", [gray, Image.new("L", gray.size, 255)])
    plain, alone, beside = (
        read_image(stored(tmp_path, "a", pillow(image, kind, **options))).pixels
        for image, options in (
            (gray, {}),
            (gray, {"icc_profile": profile}),
            (opaque, {"icc_profile": profile}),
        )
    )
    assert alone.mean() > plain.mean() + 20
    assert np.array_equal(alone, beside)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_gray_level_that_is_transparent(
    tmp_path: Path, bits: int, interlaced: bool
) -> None:
    """By the standard's words: Pillow misses a level of 2 or 4 bits."""
    levels = DEEP[..., 1] >> (16 - bits)
    clear = levels == levels[20, 30]
    pixels = read_image(stored(tmp_path, "a.png", clear_gray(bits, interlaced))).pixels
    white = 65535 if bits == 16 else 255
    expected = np.where(clear, white, levels.astype(int) * (white // (2**bits - 1)))
    assert np.array_equal(pixels, bgr(expected))


def test_a_png_longer_than_libpng_reads(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.png", png(np.zeros((7, 1_000_001), np.uint8), 1))
    limit = "libpng reads at most 1000000 a side; cut it into parts"
    assert refused(path) == f" is 1000001x7 pixels, and {limit}"


@pytest.mark.parametrize("name", ["turned6.png", "turned6.jpg", "profile.png"])
def test_a_picture_is_decoded_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = profiled("PNG") if name == "profile.png" else SAMPLES[name].data
    calls = []

    def counted(function: Any) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            calls.append(function)
            return function(*arguments, **options)

        return call

    monkeypatch.setattr(cv2, "imread", counted(cv2.imread))
    monkeypatch.setattr(cv2, "imdecode", counted(cv2.imdecode))
    monkeypatch.setattr(PngImagePlugin.PngImageFile, "load_prepare", None)
    read_image(stored(tmp_path, name, data))
    assert len(calls) == 1


# --- Depth that does not fill its type ------------------------------------------------


def pnm(kind: str, white: int, values: Picture) -> bytes:
    """A PGM or PPM with any value of white."""
    header = f"{kind}\n# white\n{WIDTH} {HEIGHT}\n{white}\n".encode()
    return header + values.astype(">u2" if white > 255 else "u1").tobytes()


def jpeg2000(bits: int) -> bytes:
    """A stream of fewer bits than the 16 that Pillow writes.

    Its values lie around the middle of what their bits can hold, so those of fewer bits
    are written as far below the middle of 16.
    """
    values = (DEEP[..., 1] >> (16 - bits)) + 2**15 - 2 ** (bits - 1)
    data = pillow(values.astype(np.uint16), "JPEG2000", no_jp2=True)
    place = data.index(b"\xff\x4f\xff\x51") + 42
    return data[:place] + bytes([bits - 1]) + data[place + 1 :]


def avif(bits: int) -> bytes:
    """An AVIF without loss."""
    flags = cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100
    return opencv(DEEP >> (16 - bits), ".avif", *flags)


@pytest.mark.parametrize("white", [1, 15, 1023])
@pytest.mark.parametrize("kind", ["P5", "P6"])
def test_values_below_the_white_of_a_pnm(tmp_path: Path, kind: str, white: int) -> None:
    values = np.rint((GRAY if kind == "P5" else RGB) / 255 * white)
    pixels = read_image(stored(tmp_path, "a", pnm(kind, white, values))).pixels
    most = 65535 if white > 255 else 255
    assert pixels.dtype == (np.uint16 if white > 255 else np.uint8)
    assert np.abs(pixels - bgr(values) / white * most).max() <= 0.5


@pytest.mark.parametrize("bits", [10, 12])
@pytest.mark.parametrize(("make", "most"), [(jpeg2000, 0), (avif, 12)])
def test_pictures_of_10_and_12_bits(
    tmp_path: Path, make: Callable[[int], bytes], most: int, bits: int
) -> None:
    pixels = read_image(stored(tmp_path, "a", make(bits))).pixels
    values = DEEP[..., [1]] if make is jpeg2000 else bgr(DEEP)
    expected = (values >> (16 - bits)) * (65535 / (2**bits - 1))
    assert pixels.dtype == np.uint16
    assert np.abs(pixels - expected).max() <= most * 65535 / (2**bits - 1) + 0.51


@pytest.mark.parametrize("bits", [10, 12])
def test_a_gray_avif_of_limited_range(tmp_path: Path, bits: int) -> None:
    flags = cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100
    values = DEEP[..., 1] >> (16 - bits)
    data = bytearray(opencv(values, ".avif", *flags))
    full_range = data.index(b"colrnclx") + 14
    assert data[full_range] == 128
    data[full_range] = 0
    black, white = 16 << (bits - 8), 235 << (bits - 8)
    expected = (values.clip(black, white) - black) * (65535 / (white - black))
    pixels = read_image(stored(tmp_path, "a.avif", bytes(data))).pixels
    assert np.abs(pixels - bgr(expected)).max() <= 0.51


def lengthened(data: bytes, name: bytes, more: int) -> bytes:
    """An AVIF, a box of which says that it is longer by so many bytes."""
    place = data.index(name) - 4
    (length,) = struct.unpack_from(">I", data, place)
    return data[:place] + struct.pack(">I", length + more) + data[place + 4 :]


@pytest.mark.parametrize("bits", [8, 10])
def test_that_an_avif_is_not_cropped_is_told(tmp_path: Path, bits: int) -> None:
    data = pillow(COLOUR, "AVIF") if bits == 8 else avif(bits)
    plain = read_image(stored(tmp_path, "a.avif", data))
    crop = struct.pack(">I4s8I", 40, b"clap", 40, 1, 30, 1, 0, 1, 0, 1)
    start, end = data.index(b"mdat") + 4, data.index(b"ipma") - 4
    data = data.replace(struct.pack(">I", start), struct.pack(">I", start + len(crop)))
    for name in (b"meta", b"iprp", b"ipco"):
        data = lengthened(data, name, len(crop))
    data = data[:end] + crop + data[end:]
    picture = read_image(stored(tmp_path, "b.avif", data))
    assert np.array_equal(picture.pixels, plain.pixels)
    assert picture.notes == ("the crop that its header asks for (clap) is not applied",)


def test_a_deep_jpeg2000_of_ycc_is_read_in_8_bits(tmp_path: Path) -> None:
    ycc = cv2.cvtColor(DEEP, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    data = opencv(ycc, ".jp2", cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000)
    data = data.replace(b"colr\1\0\0\0\0\0\x10", b"colr\1\0\0\0\0\0\x12", 1)
    pixels = read_image(stored(tmp_path, "a.jp2", data)).pixels
    assert pixels.dtype == np.uint8
    assert np.abs(pixels - bgr(DEEP) / 257).max() <= 2


def test_a_tiff_of_12_bits_without_imagecodecs(tmp_path: Path) -> None:
    values = DEEP[..., 1] >> 4
    left, right = values[:, ::2], values[:, 1::2]
    packed = np.dstack([left >> 4, (left << 4 & 255) | right >> 8, right & 255])
    data = tiff(packed.astype(np.uint8).reshape(HEIGHT, -1), rowsperstrip=HEIGHT)
    for tag, old, new in ((256, WIDTH * 3 // 2, WIDTH), (258, 8, 12)):
        entry = struct.pack("<HHI", tag, 4 if tag == 256 else 3, 1)
        place = data.index(entry) + 8
        assert data[place] == old
        data = data[:place] + bytes([new]) + data[place + 1 :]
    pixels = read_image(stored(tmp_path, "a.tif", data)).pixels
    assert np.abs(pixels - bgr(values) * (65535 / 4095)).max() <= 0.51


# --- TIFF -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["uint16", "uint32", "int16", "float32", "float64"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
def test_planes_of_a_deep_tiff(
    tmp_path: Path, kind: str, tile: tuple[int, int] | None
) -> None:
    values = (DEEP // 4).astype(kind)
    planes = np.ascontiguousarray(values.transpose(2, 0, 1))
    options: Any = {"planarconfig": "separate", "tile": tile}
    path = stored(tmp_path, "a.tif", tiff(planes, photometric="rgb", **options))
    pixels = read_image(path).pixels
    assert pixels.dtype == (np.uint16 if kind == "uint16" else np.float32)
    assert np.array_equal(pixels, bgr(values))


@pytest.mark.parametrize(
    ("extra", "seen"),
    [("unassalpha", over_white(DEEP, DEEP[..., 0])), ("unspecified", bgr(DEEP))],
)
def test_a_fourth_channel_is_alpha_where_the_file_says_so(
    tmp_path: Path, extra: str, seen: Picture
) -> None:
    values = np.dstack([DEEP, DEEP[..., 0]])
    data = tiff(values, photometric="rgb", extrasamples=[extra])
    pixels = read_image(stored(tmp_path, "a.tif", data)).pixels
    assert np.abs(pixels.astype(int) - seen).max() <= 1


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("bands", [5, 8])
def test_a_tiff_of_many_bands(tmp_path: Path, kind: type[Any], bands: int) -> None:
    values = np.zeros((40, 60, bands), kind)
    data = tiff(values, photometric="minisblack", planarconfig="contig")
    message = refused(stored(tmp_path, "a.tif", data))
    assert message == f" has {bands} bands; extract the three to compare"


@pytest.mark.parametrize(
    ("colours", "kind"),
    [("cielab", np.uint16), ("icclab", np.uint16), ("icclab", np.uint8)],
)
def test_a_tiff_of_colours_that_are_not_read(
    tmp_path: Path, colours: str, kind: type[Any]
) -> None:
    data = tiff(RGB.astype(kind), photometric=colours)
    expected = " has CIELAB colours of a kind that is not read; convert it to RGB"
    assert refused(stored(tmp_path, "a.tif", data)) == expected


def test_a_deep_tiff_that_tifffile_cannot_decompress(tmp_path: Path) -> None:
    flags = cv2.IMWRITE_TIFF_COMPRESSION, 5  # LZW
    path = stored(tmp_path, "a.tif", opencv(DEEP, ".tif", *flags))
    assert np.array_equal(read_image(path).pixels, bgr(DEEP))


@pytest.mark.parametrize(
    "problem",
    [
        ValueError("<COMPRESSION.LZW: 5> requires the 'imagecodecs' package"),
        NotImplementedError("packints_decode requires the 'imagecodecs' package"),
        ModuleNotFoundError("No module named 'compression'"),
    ],
)
def test_planes_that_need_imagecodecs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fail(page: Any) -> None:
        raise problem

    monkeypatch.setattr(tifffile.TiffPage, "asarray", fail)
    planes = np.ascontiguousarray(DEEP.transpose(2, 0, 1))
    data = tiff(planes, photometric="rgb", planarconfig="separate")
    message = " is a TIFF that another package reads; pip install imagecodecs"
    assert refused(stored(tmp_path, "a.tif", data)) == message


@pytest.mark.parametrize(
    ("tag", "old", "new"),
    [(259, 1, 34887), (259, 1, 34712), (259, 1, 50001), (258, 8, 6)],
    ids=["LERC", "JPEG 2000", "WebP", "6 bits"],
)
def test_a_shallow_tiff_that_needs_imagecodecs(
    tmp_path: Path, tag: int, old: int, new: int
) -> None:
    data = tiff(GRAY)
    entry = struct.pack("<HHIH", tag, 3, 1, old)
    assert entry in data
    other = data.replace(entry, struct.pack("<HHIH", tag, 3, 1, new))
    message = " is a TIFF that another package reads; pip install imagecodecs"
    assert refused(stored(tmp_path, "a.tif", other)) == message


def nodata_tag(text: str) -> tuple[int, int, int, str, bool]:
    """The tag by which a GeoTIFF says which value stands for none."""
    return 42113, 2, len(text) + 1, text, True


@pytest.mark.parametrize(
    ("kind", "nodata"),
    [(np.float32, "nan"), (np.float32, "-9999"), (np.uint16, "7"), (np.uint8, "0")],
)
def test_what_a_geotiff_has_no_value_for_is_left_out(
    tmp_path: Path, kind: type[Any], nodata: str
) -> None:
    values = np.full((60, 80), 100, kind)
    values[10:30, 20:50] = float(nodata)
    data = tiff(values, extratags=[nodata_tag(nodata)])
    gap = stored(tmp_path, "gap.tif", data)
    whole = stored(tmp_path, "whole.tif", tiff(np.full((60, 80), 100, kind)))
    for first, second in ((gap, whole), (whole, gap)):
        comparison = compare_files(first, second)
        assert comparison.status == "same"
        assert comparison.ignored is not None
        expected = np.zeros((60, 80), np.uint8)
        expected[10:30, 20:50] = 255
        assert np.array_equal(comparison.ignored, expected)
        left_out = "600 pixels are left out, as the file says they have no value"
        assert comparison.notes == (f"{gap}: {left_out}",)


@pytest.mark.parametrize("nodata", ["-9999", "nan", "300", "0.5", "none", "-1e400"])
def test_a_value_for_none_that_pixels_cannot_have(tmp_path: Path, nodata: str) -> None:
    values = np.full((60, 80), 100, np.uint8)
    values[10:30, 20:50] = 0
    data = tiff(values, extratags=[nodata_tag(nodata)])
    picture = read_image(stored(tmp_path, "a.tif", data))
    assert (picture.ignored, picture.notes) == (None, ())


def test_a_value_for_none_that_no_pixel_has_is_not_told(tmp_path: Path) -> None:
    data = tiff(GRAY.clip(1), extratags=[nodata_tag("0")])
    picture = read_image(stored(tmp_path, "a.tif", data))
    assert (picture.ignored, picture.notes) == (None, ())


@pytest.mark.parametrize("nodata", ["nan", "-9999", "-1.7976931348623157e+308"])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_a_tiff_without_any_value(tmp_path: Path, kind: type[Any], nodata: str) -> None:
    with np.errstate(over="ignore"):
        values = np.full((40, 50), float(nodata)).astype(kind)
    data = tiff(values, extratags=[nodata_tag(nodata)])
    path = stored(tmp_path, "a.tif", data)
    picture = read_image(path)
    assert picture.ignored is not None
    assert picture.ignored.all()
    assert compare_files(path, path).status == "same"


CHESS = np.arange(60)[:, None] // 20 + np.arange(80) // 20 & 1  # 0 at the upper left


def ignored_in(path: Path) -> Picture:
    """Where a picture says that it has no value, as booleans."""
    ignored = read_image(path).ignored
    assert ignored is not None
    return ignored > 0


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}, {"tile": (16, 16)}])
@pytest.mark.parametrize("nodata", ["0", "1"])
def test_a_palettes_value_for_none_is_an_index(
    tmp_path: Path, nodata: str, options: dict[str, Any]
) -> None:
    palette = np.zeros((3, 256), np.uint16)
    palette[1, 0] = 65535  # 0 is green, and 1 is black, as 0 would be
    indices = CHESS.astype(np.uint8)
    tags = [nodata_tag(nodata)]
    data = tiff(
        indices, photometric="palette", colormap=palette, extratags=tags, **options
    )
    ignored = ignored_in(stored(tmp_path, "a.tif", data))
    assert np.array_equal(ignored, indices == int(nodata))


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.bool_])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
@pytest.mark.parametrize("nodata", ["0", "1"])
def test_a_value_for_none_is_as_stored(
    tmp_path: Path, kind: type[Any], photometric: str, nodata: str
) -> None:
    values = CHESS.astype(kind)
    tags = [nodata_tag(nodata)]
    data = tiff(values, photometric=photometric, extratags=tags)
    ignored = ignored_in(stored(tmp_path, "a.tif", data))
    assert np.array_equal(ignored, int(nodata) == CHESS)


@pytest.mark.parametrize("white", [0, 1])
@pytest.mark.parametrize("bits", [2, 4])
def test_a_value_for_none_of_few_bits(tmp_path: Path, bits: int, white: int) -> None:
    values = np.arange(48 * 64, dtype=np.uint8).reshape(48, 64) // 5 % 2**bits
    parts = values.reshape(48, -1, 8 // bits)
    packed = np.zeros(parts.shape[:2], np.uint8)
    for column in range(8 // bits):
        packed = packed << bits | parts[..., column]
    data = tiff(packed, photometric="minisblack", extratags=[nodata_tag("3")])
    for tag, old, new in ((256, packed.shape[1], 64), (258, 8, bits), (262, 1, white)):
        entry = struct.pack("<HHI", tag, 3 if tag > 256 else 4, 1)
        found = data.index(entry) + len(entry)
        assert data[found : found + 2] == struct.pack("<H", old)
        data = data[:found] + struct.pack("<H", new) + data[found + 2 :]
    ignored = ignored_in(stored(tmp_path, "a.tif", data))
    assert np.array_equal(ignored, values == 3)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_a_value_for_none_where_there_is_alpha(tmp_path: Path, kind: type[Any]) -> None:
    values = np.ones((60, 80, 4), kind)
    values[..., :3] = CHESS[..., None]
    tags = [nodata_tag("0")]
    data = tiff(values, photometric="rgb", extrasamples=["unassalpha"], extratags=tags)
    ignored = ignored_in(stored(tmp_path, "a.tif", data))
    assert np.array_equal(ignored, CHESS == 0)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [np.uint8, np.uint16])
def test_what_has_no_value_is_turned_with_the_picture(
    tmp_path: Path, kind: type[Any], orientation: int
) -> None:
    values = np.full((60, 80), 200, kind)
    values[5:20, 10:50] = 7
    tags = [(274, 3, 1, orientation, True)]
    plain = read_image(stored(tmp_path, "a.tif", tiff(values, extratags=tags)))
    data = tiff(values, extratags=[*tags, nodata_tag("7")])
    ignored = ignored_in(stored(tmp_path, "b.tif", data))
    assert np.array_equal(ignored, plain.pixels[..., 0] < plain.pixels.max())


# --- Pages ----------------------------------------------------------------------------


@pytest.mark.parametrize("sample", PAGED, ids=ids)
def test_every_page_is_read(tmp_path: Path, sample: Sample) -> None:
    path = stored(tmp_path, sample.name, sample.data)
    frames = Image.open(io.BytesIO(sample.data))
    assert count_pages(path) == sample.pages
    for number in range(1, sample.pages + 1):
        picture = read_image(path, page=number)
        assert picture.pages == sample.pages
        frames.seek(number - 1)
        expected = bgr(np.asarray(frames.convert("RGB")))
        difference = np.abs(picture.pixels.astype(float) - expected).max()
        assert difference <= sample.tolerance, number


ANIMATED = {"gif": "GIF", "webp": "WEBP", "avif": "AVIF", "png": "PNG"}


@pytest.mark.parametrize("suffix", ANIMATED)
def test_frames_are_not_decoded_from_the_first_one_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = stored(tmp_path, "a", SAMPLES[f"animated.{suffix}"].data)
    shown = [read_image(path, page=page).pixels for page in (1, 2, 3)]
    reader, accepts = Image.OPEN[ANIMATED[suffix]]
    opened = []

    def counted(*arguments: Any) -> Any:
        opened.append(arguments)
        return reader(*arguments)

    monkeypatch.setitem(Image.OPEN, ANIMATED[suffix], (counted, accepts))
    for page in (1, 2, 3, 2):
        assert np.array_equal(read_image(path, page=page).pixels, shown[page - 1])
    assert opened == []
    os.utime(path, (0, 0))  # it may be another file now
    assert np.array_equal(read_image(path, page=3).pixels, shown[2])
    assert opened != []


def test_two_frames_of_one_file(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.gif", SAMPLES["animated.gif"].data)
    for first, second in ((1, 3), (3, 3), (5, 2)):
        comparison = compare_files(path, path, first_page=first, second_page=second)
        assert (comparison.unequal_pixels == 0) == (first == second)


@pytest.mark.parametrize("page", [0, -1, "1", 2.0, True])
@pytest.mark.parametrize("which", ["first_page", "second_page"])
def test_what_is_no_number_of_a_page_is_refused(
    tmp_path: Path, which: str, page: Any
) -> None:
    path = stored(tmp_path, "a.gif", SAMPLES["animated.gif"].data)
    pages: Any = {which: page}
    with pytest.raises(ImageDiffError, match=f"^page is {page!r}; give the number of"):
        compare_files(path, path, **pages)


def test_only_the_last_two_documents_stay_open(tmp_path: Path) -> None:
    names = "animated.gif", "animated.webp", "pages.tif", "colour8.png"
    for name in names:
        read_image(stored(tmp_path, name, SAMPLES[name].data))
    kept = [Path(source.path).name for source in image_diff.KEPT.values()]
    assert kept == ["animated.webp", "pages.tif"]


def test_a_profile_is_that_of_its_page_alone(tmp_path: Path) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for profile in (None, swapped_profile(), None):
            writer.write(RGB, photometric="rgb", iccprofile=profile)
    path = stored(tmp_path, "a.tif", file.getvalue())
    for page, expected in enumerate((RGB, RGB[..., ::-1], RGB), 1):
        pixels = read_image(path, page=page).pixels
        assert np.abs(pixels - bgr(expected).astype(int)).max() <= 1


def test_a_page_of_a_deep_tiff(tmp_path: Path) -> None:
    pages = np.stack([DEEP, DEEP // 2, DEEP // 3])
    path = stored(tmp_path, "a.tif", tiff(pages, photometric="rgb"))
    for number in (1, 2, 3):
        assert np.array_equal(read_image(path, page=number).pixels, bgr(DEEP // number))


def pdf(*colours: str, **options: Any) -> bytes:
    """A PDF of a page of 200x100 pixels for each colour, at 100 dots an inch."""
    pages = [Image.new("1", (200, 100), colour) for colour in colours]
    options |= {"save_all": True, "append_images": pages[1:], "resolution": 100}
    return pillow(pages[0], "PDF", **options)


@pytest.mark.parametrize("name", ["pipe", ".", "none", "a.png"])
def test_what_has_one_page(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    stored(tmp_path, "a.png", SAMPLES["colour8.png"].data)
    assert count_pages(tmp_path / name) == 1


@pytest.mark.parametrize("kind", [1, 4, 5])  # reduced, mask, and both
def test_small_copies_and_masks_are_no_pages(tmp_path: Path, kind: int) -> None:
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as writer:
        for number, subfile in enumerate((0, kind, 2, kind, 2), 1):
            lines = np.arange(40)[:, None] < np.full((40, 64), number)
            writer.write(lines, photometric="minisblack", subfiletype=subfile)
    path = stored(tmp_path, "a.tif", file.getvalue())
    assert count_pages(path) == 3
    shown = [read_image(path, page=page).pixels[:, 9, 0] for page in (1, 2, 3)]
    assert [np.count_nonzero(column) for column in shown] == [1, 3, 5]


@pytest.mark.parametrize(("dpi", "width"), [(100, 200), (150, 300), (31, 62)])
def test_pages_of_a_pdf_are_rendered(tmp_path: Path, dpi: int, width: int) -> None:
    path = stored(tmp_path, "a.pdf", pdf("white", "black", "white"))
    assert count_pages(path) == 3
    for page, level in ((1, 255), (2, 0), (3, 255)):
        picture = read_image(path, page=page, dpi=dpi)
        assert picture.pixels.shape == (width // 2, width, 3)
        assert (picture.pixels[1:-1, 1:-1] == level).all()
        assert picture.pages == 3


def locked_pdf() -> bytes:
    """A PDF that says it is encrypted with a password."""
    key = b"<%b>" % (b"55" * 32)
    encrypt = b"/Encrypt<</Filter/Standard/V 1/R 2/O%b/U%b/P -4>>" % (key, key)
    trailer = b"trailer\n<<\n/ID[%b%b]%b" % (key, key, encrypt)
    return pdf("white").replace(b"trailer\n<<", trailer)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (locked_pdf(), "is a PDF that is locked with a password; save it without"),
        (pdf("white")[:-100], "is a damaged or truncated PDF; save or copy it again"),
        (b"%PDF-1.7 %%EOF", "is a damaged or truncated PDF; save or copy it again"),
    ],
)
def test_pdfs_that_are_refused(tmp_path: Path, data: bytes, message: str) -> None:
    path = stored(tmp_path, "a.pdf", data)
    for function in read_image, count_pages:
        with pytest.raises(ImageDiffError) as caught:
            function(path)
        assert str(caught.value) == f"{path} {message}"


def test_a_pdf_of_more_pixels_than_allowed(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.pdf", pdf("white"))
    assert "has more pixels than OPENCV_IO_MAX" in refused(path, dpi=1e6)


def test_pdfs_are_read_at_once(tmp_path: Path) -> None:
    """PDFium itself is not made for threads."""
    path = stored(tmp_path, "a.pdf", pdf("black") + b"%" * 2**20 + b"\n%%EOF")
    for pictures in range(2, 6):
        for picture in read_images([(path, 1)] * pictures):
            assert not picture.pixels[1:-1, 1:-1].any()


@pytest.mark.parametrize("name", ["colour8.png", "pages.tif", "baseline.jpg", "pdf"])
def test_a_page_that_is_not_there(tmp_path: Path, name: str) -> None:
    data = pdf("white") if name == "pdf" else SAMPLES[name].data
    path = stored(tmp_path, name, data)
    assert refused(path, page=9) == " has no page 9 that is whole; name another"


# --- Damage ---------------------------------------------------------------------------


def corrupted(name: str, place: int, data: bytes) -> bytes:
    """A sample with other bytes at a place, from its end where negative."""
    whole = SAMPLES[name].data
    place %= len(whole)
    return whole[:place] + data + whole[place + len(data) :]


def flipped(name: str, tag: bytes, offset: int) -> bytes:
    """A sample with one bit flipped behind a tag."""
    place = SAMPLES[name].data.index(tag) + offset
    return corrupted(name, place, bytes([SAMPLES[name].data[place] ^ 16]))


def resized(name: str, width: int, height: int) -> bytes:
    """A sample whose header claims another size, as the fuzzer has it."""

    class Chosen(fuzz.Random):
        def choice(self, sequence: Any) -> Any:
            return (width, height)

        def random(self) -> float:
            return 1.0

    return fuzz.claim(SAMPLES[name].data, Chosen())


JPEG_NOISE = bytes(range(1, 60))
DAMAGED: dict[str, tuple[Callable[[], bytes], str]] = {
    # Decoders complete these with gray, black or what they like, and say so on stderr
    # alone.
    "jpeg": (
        lambda: corrupted("baseline.jpg", 1200, JPEG_NOISE),
        " is damaged: Corrupt JPEG data",
    ),
    "jpeg progressive": (
        lambda: corrupted("progressive.jpg", -300, JPEG_NOISE),
        " is damaged: Corrupt JPEG data",
    ),
    "transparency": (
        lambda: flipped("palette8_transparent.png", b"tRNS", 9),
        " is damaged: libpng warning: tRNS: CRC error",
    ),
    "orientation": (
        lambda: flipped("turned6.png", b"eXIf", 9),
        " is a damaged or truncated PNG",
    ),
    "pixels": (
        lambda: flipped("colour8.png", b"IDAT", 900),
        " is a damaged or truncated PNG",
    ),
    "animation": (
        lambda: flipped("animated.png", b"IDAT", 900),
        " is a damaged or truncated PNG",
    ),
    "lzw": (
        lambda: corrupted("lzw.tif", 3000, b"\xff" * 40),
        " is a damaged or truncated TIFF",
    ),
    "deflate": (
        lambda: corrupted("adobe_deflate.tif", 3000, b"\xff" * 40),
        " is a damaged or truncated TIFF",
    ),
    "fax": (lambda: corrupted("fax.tif", 200, bytes(range(40))), " is damaged: "),
    "planes": (
        lambda: SAMPLES["planar.tif"].data[:5000],
        " is a damaged or truncated TIFF",
    ),
    # Headers that claim more than there is.
    "strips": (
        lambda: resized("colour16_big.tif", 68, 1000),
        " is a damaged or truncated TIFF",
    ),
    "tiles": (
        lambda: resized("colour16_tiled.tif", 68, 1000),
        " is a damaged or truncated TIFF",
    ),
    "one strip": (
        lambda: resized("colour8.tif", 68, 100),
        " is a damaged or truncated TIFF",
    ),
    "rows of fax": (
        lambda: resized("fax.tif", 68, 100),
        " is a damaged or truncated TIFF",
    ),
    "rows of png": (
        lambda: resized("colour8.png", 68, 100),
        " is a damaged or truncated PNG",
    ),
    "rows of animation": (
        lambda: resized("animated.png", 68, 100),
        " is a damaged or truncated PNG",
    ),
    "rows of jpeg": (
        lambda: resized("baseline.jpg", 68, 100),
        " is damaged: Corrupt JPEG data",
    ),
    "rows of webp": (
        lambda: resized("lossless.webp", 68, 100),
        " is a damaged or truncated WEBP",
    ),
    "rows of bmp": (
        lambda: resized("colour.bmp", 68, 100),
        " is a damaged or truncated BMP",
    ),
    "rows of ppm": (
        lambda: resized("binary.ppm", 68, 100),
        " is a damaged or truncated PPM",
    ),
    "text": (
        lambda: SAMPLES["text.ppm"].data[:-2],
        " is a damaged or truncated PPM",
    ),
    "rows of gif": (
        lambda: resized("still.gif", 68, 100),
        " is a damaged or truncated GIF",
    ),
    # Channels that mean something else to OpenCV, or nothing.
    "pam": (
        lambda: (
            b"P7\nWIDTH 68\nHEIGHT 48\nDEPTH 3\nMAXVAL 255\nTUPLTYPE RGB\nENDHDR\n"
            + RGB.tobytes()
        ),
        " is not a picture of a format that is read; convert it to PNG",
    ),
    "a lost tag": (
        lambda: SAMPLES["colour16_little.tif"].data.replace(
            b"\x15\x01\x03\0", b"\x15\0\x03\0", 1
        ),
        " is a damaged or truncated TIFF",
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_picture_that_a_decoder_would_make_up_is_refused(
    tmp_path: Path, name: str
) -> None:
    make, message = DAMAGED[name]
    assert refused(stored(tmp_path, "damaged", make())).startswith(message)


def test_damage_is_told_in_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    bad = stored(tmp_path, "bad.jpg", DAMAGED["jpeg"][0]())
    assert main(["-f", str(bad), "-s", str(bad), "--no-window"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {bad} is damaged: Corrupt JPEG data: ")
    assert captured.err.endswith("; save or copy it again\n")
    assert captured.err.count("\n") == 1


def test_a_decoder_that_says_very_much_is_heard(tmp_path: Path) -> None:
    """More than a pipe holds; and the next one is heard, too."""
    data = SAMPLES["colour8.png"].data
    wrong = chunk(b"tEXt", b"key\0word")[:-4] + b"oops"
    many = stored(tmp_path, "many.png", data[:33] + wrong * 5000 + data[33:])
    fax = stored(tmp_path, "fax.tif", DAMAGED["fax"][0]())
    for _ in range(2):
        assert refused(many).startswith(" is damaged: libpng warning: tEXt: CRC error")
        assert refused(fax).startswith(" is damaged: ")


def test_what_is_harmless_is_read(tmp_path: Path) -> None:
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(b"no profile"))
    files = {
        "profile.png": png(RGB, 8, False, 2, profile),
        "tag.tif": tiff(RGB, photometric="rgb", extratags=[(65000, 3, 1, 7, True)]),
        "unit.tif": tiff(RGB, photometric="rgb", resolutionunit=1),
        "revision.jpg": corrupted("baseline.jpg", 11, b"\x07"),
    }
    unit = struct.pack("<HHI", 296, 3, 1)
    files["unit.tif"] = files["unit.tif"].replace(unit + b"\1\0", unit + b"\x63\0")
    for name, data in files.items():
        shape = read_image(stored(tmp_path, name, data)).pixels.shape
        assert shape == (48, 68, 3), name


def test_a_chunk_that_claims_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    data = SAMPLES["colour8.png"].data
    place = data.index(b"IDAT") - 4
    path = stored(tmp_path, "claim.png", data[:place] + b"\xff" + data[place + 1 :])
    arguments = ["-f", str(path), "-s", str(path), "--no-window"]
    code = (
        "import image_diff\n"
        f"status = image_diff.main({arguments!r})\n"
        f"print(status, {PEAK})\n"
    )
    result = processes.run([sys.executable, "-c", code], cwd=ROOT)
    status, kilobytes = map(int, result.stdout.split())
    assert status == 2
    assert kilobytes < 300_000


@pytest.mark.slow
def test_pictures_that_need_more_memory_than_there_is(tmp_path: Path) -> None:
    """OpenCV itself says so: 120 MB of pixels, where there are 60 MB beyond imports."""
    path = tmp_path / "large.png"
    assert cv2.imwrite(str(path), np.zeros((5000, 8000), np.uint8))
    arguments = ["-f", str(path), "-s", str(path), "--no-window"]
    code = (
        "import resource, sys, image_diff\n"
        "status = open('/proc/self/status').read()\n"
        "used = int(status.split('VmSize:')[1].split()[0]) << 10\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + (60 << 20),) * 2)\n"
        f"sys.exit(image_diff.main({arguments!r}))\n"
    )
    result = processes.run([sys.executable, "-c", code], cwd=ROOT)
    assert result.returncode == 2
    assert "more memory than there is; scale" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("mutator", fuzz.MUTATORS)
def test_files_that_are_damaged(tmp_path: Path, mutator: str) -> None:
    report = fuzz.fuzz(files=400, seed=2, keep=tmp_path, mutator=mutator)
    assert report.failures == []
    counts = dict.fromkeys(fuzz.KNOWN, 0)
    for (_, text), number in report.verdicts.items():
        counts[text] += number
    assert sum(counts.values()) == 400
    assert min(counts.values()) > 10


# --- Shapes ---------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(7, 7), (7, 100_000), (100_000, 7)])
@pytest.mark.parametrize("level", [0, 255])
def test_extreme_shapes(tmp_path: Path, height: int, width: int, level: int) -> None:
    picture = np.full((height, width, 3), level, np.uint8)
    first = stored(tmp_path, "a.png", cv2.imencode(".png", picture)[1].tobytes())
    comparison = compare_files(first, first)
    assert (comparison.score, comparison.regions) == (1, ())
    picture[: height // 2 + 1, : width // 2 + 1] = 255 - level
    second = stored(tmp_path, "b.png", cv2.imencode(".png", picture)[1].tobytes())
    pair = [
        "-f",
        str(first),
        "-s",
        str(second),
        "--no-window",
        "-o",
        str(tmp_path / "out"),
    ]
    assert main(pair) == 0
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (record["width"], record["height"]) == (width, height)
    assert len(record["regions"]) == 1


@pytest.mark.slow
def test_37_megapixels_take_at_most_15_bytes_a_pixel(tmp_path: Path) -> None:
    picture = np.zeros((3446, 10728, 3), np.uint8)
    for text in range(20, 3400, 40):
        place = (text % 97, text)
        cv2.putText(
            picture, "words " * 99, place, cv2.FONT_HERSHEY_SIMPLEX, 1, (255,) * 3, 2
        )
    paths = [tmp_path / "a.png", tmp_path / "b.png"]
    cv2.imwrite(str(paths[0]), picture)
    picture[1000:2000, 3000:4000] = 200
    cv2.imwrite(str(paths[1]), picture)
    arguments = ["-f", str(paths[0]), "-s", str(paths[1]), "--no-window"]
    code = (
        "import image_diff\n"
        f"start = {PEAK}\n"
        f"image_diff.main({arguments!r})\n"
        f"print(1024 * ({PEAK} - start) / (3446 * 10728))\n"
    )
    result = processes.run([sys.executable, "-c", code], cwd=ROOT)
    assert "1 region, " in result.stdout
    assert float(result.stdout.splitlines()[-1]) <= 15
