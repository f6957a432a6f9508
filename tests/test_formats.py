"""Every format and depth, pages, damage of all kinds, and extreme shapes."""

import json
import os
import struct
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import cv2
import numpy as np
import pytest

import fuzz
import image_diff
import processes
from image_diff import (
    ImageDiffError,
    compare_files,
    compare_images,
    main,
    read_image,
)
from samples import (
    DEEP,
    GRAY,
    RGB,
    Sample,
    chunk,
    opencv,
    pillow,
    png,
    samples,
    tiff,
)

SAMPLES = samples()
PAGED = [sample for sample in SAMPLES.values() if sample.pages > 1]
SCRIPT = Path(image_diff.__file__)
# The peak of a process's memory in kilobytes; getrusage would count its parent's,
# before exec.
PEAK = "int(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])"


def stored(folder: Path, name: str, data: bytes) -> Path:
    """The path of a new file."""
    path = folder / name
    path.write_bytes(data)
    return path


def refused(path: Path) -> str:
    """The message with which a file is refused."""
    with pytest.raises(ImageDiffError) as caught:
        read_image(path)
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


@pytest.mark.parametrize("sample", PAGED, ids=ids)
def test_what_is_left_out_is_told_in_one_line(
    tmp_path: Path, sample: Sample, capsys: pytest.CaptureFixture[str]
) -> None:
    first = stored(tmp_path, sample.name, sample.data)
    second = stored(tmp_path, "still.png", pillow(RGB, "PNG"))
    assert main(["-f", str(first), "-s", str(second), "--no-window", "--json"]) == 0
    captured = capsys.readouterr()
    pages = f"{sample.pages - 1} of {first}"
    assert captured.err == f"first pages compared; pages left out: {pages}\n"
    assert json.loads(captured.out)["first"] == str(first)
    assert main(["-f", str(first), "-s", str(first), "--no-window"]) == 0
    assert main(["-f", str(second), "-s", str(second), "--no-window"]) == 0
    assert capsys.readouterr().err == f"first pages compared; pages left out: {pages}\n"


def test_pages_of_both_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [
        stored(tmp_path, name, SAMPLES[name].data)
        for name in ("pages.tif", "animated.webp")
    ]
    assert main(["-f", str(paths[0]), "-s", str(paths[1]), "--no-window"]) == 0
    expected = (
        f"first pages compared; pages left out: 4 of {paths[0]}, 3 of {paths[1]}\n"
    )
    assert capsys.readouterr().err == expected


def test_pages_of_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    path = stored(tmp_path, "\udcff.gif", SAMPLES["animated.gif"].data)
    command = [sys.executable, SCRIPT, "-f", path, "-s", path, "--no-window"]
    result = processes.run(command)
    pages = f"first pages compared; pages left out: 4 of {tmp_path}/\\udcff.gif\n"
    assert (result.returncode, result.stderr) == (0, pages)


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
    assert capsys.readouterr().out.startswith("SSIM: 1.0\nsame: ")
    saved = read_image(tmp_path / "out/first.png").pixels
    assert np.array_equal(saved, RGB[..., ::-1])


# --- Depth ----------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["png", "tif", "ppm"])
def test_a_change_of_200_in_65535_is_boxed(tmp_path: Path, suffix: str) -> None:
    first = cv2.resize(DEEP // 4 + 20000, (160, 120), interpolation=cv2.INTER_CUBIC)
    second = first.copy()
    second[40:70, 50:100] += 200
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path, picture in zip(paths, (first, second), strict=True):
        path.write_bytes(cv2.imencode(path.suffix, picture)[1].tobytes())
    regions = compare_files(paths[0], paths[1]).regions
    assert [(r.x, r.y, r.width, r.height) for r in regions] == [(47, 37, 56, 36)]


def test_a_change_of_200_in_65535_of_float_is_boxed(tmp_path: Path) -> None:
    first = (cv2.resize(DEEP[..., 0], (160, 120)) / 65535).astype(np.float32)
    second = first.copy()
    second[40:70, 50:100] += 200 / 65535
    paths = [
        stored(tmp_path, f"{n}.tif", tiff(p)) for n, p in (("a", first), ("b", second))
    ]
    regions = compare_files(paths[0], paths[1]).regions
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


@pytest.mark.parametrize("deep", [0, 1])
def test_8_bits_beside_16_are_compared_at_16(tmp_path: Path, deep: int) -> None:
    pictures = [RGB, RGB]
    pictures[deep] = RGB.astype(np.uint16) * 257
    paths = [
        stored(tmp_path, f"{number}.png", opencv(picture, ".png"))
        for number, picture in enumerate(pictures)
    ]
    comparison = compare_files(paths[0], paths[1])
    assert comparison.first.dtype == comparison.second.dtype == np.uint16
    assert (comparison.score, comparison.unequal_pixels) == (1, 0)
    faint = pictures[deep] + np.uint16(100)
    faint_path = stored(tmp_path, "faint.png", opencv(faint, ".png"))
    assert compare_files(paths[1 - deep], faint_path).unequal_pixels == RGB[..., 0].size


def test_floats_beside_whole_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = stored(tmp_path, "a.tif", SAMPLES["float32.tif"].data)
    second = stored(tmp_path, "b.png", SAMPLES["colour8.png"].data)
    assert main(["-f", str(first), "-s", str(second), "--no-window"]) == 2
    assert capsys.readouterr().err == (
        "error: the first and the second picture are float32 and uint8; "
        "convert one to the depth of the other\n"
    )


def test_gray_against_colour(tmp_path: Path) -> None:
    first = stored(tmp_path, "a.png", pillow(GRAY, "PNG"))
    second = stored(tmp_path, "b.png", pillow(np.dstack([GRAY] * 3), "PNG"))
    assert compare_files(first, second).score == 1


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
        " is a damaged or truncated",
    ),
    "rows of fax": (lambda: resized("fax.tif", 68, 100), " is a damaged or truncated"),
    "rows of png": (
        lambda: resized("colour8.png", 68, 100),
        " is a damaged or truncated PNG",
    ),
    "rows of animation": (
        lambda: resized("animated.png", 68, 100),
        " is a damaged or truncated",
    ),
    "rows of jpeg": (
        lambda: resized("baseline.jpg", 68, 100),
        " is damaged: Corrupt JPEG data",
    ),
    "rows of webp": (
        lambda: resized("lossless.webp", 68, 100),
        " is a damaged or truncated WebP",
    ),
    "rows of bmp": (lambda: resized("colour.bmp", 68, 100), " is "),
    "rows of ppm": (lambda: resized("binary.ppm", 68, 100), " is "),
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


@pytest.mark.parametrize("place", [0, 1])
def test_the_damaged_one_of_two_is_named(
    tmp_path: Path, place: int, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = [stored(tmp_path, "good.jpg", SAMPLES["baseline.jpg"].data)]
    bad = stored(tmp_path, "bad.jpg", DAMAGED["jpeg"][0]())
    paths.insert(place, bad)
    assert main(["-f", str(paths[0]), "-s", str(paths[1]), "--no-window"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"error: {bad} is damaged: Corrupt JPEG data: ")
    assert captured.err.endswith("; save or copy it again\n")
    assert captured.err.count("\n") == 1


@pytest.mark.slow
def test_a_decoder_that_says_very_much_is_heard_and_the_next_one_too(
    tmp_path: Path,
) -> None:
    tags = [(40000 + number, 3, 1, 7, True) for number in range(2000)]
    many = stored(tmp_path, "many.tif", tiff(RGB, photometric="rgb", extratags=tags))
    lzw = stored(tmp_path, "lzw.tif", DAMAGED["lzw"][0]())
    for _ in range(2):
        assert np.array_equal(read_image(many).pixels, RGB[..., ::-1])
        assert " is damaged: Error " in refused(lzw)


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
    result = processes.run([sys.executable, "-c", code], cwd=SCRIPT.parent)
    status, kilobytes = map(int, result.stdout.split())
    assert status == 2
    assert kilobytes < 300_000


@pytest.mark.slow
def test_pictures_that_need_more_memory_than_there_is(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    assert cv2.imwrite(str(path), np.zeros((12000, 20000), np.uint8))
    arguments = ["-f", str(path), "-s", str(path), "--no-window"]
    code = (
        "import resource, sys, image_diff\n"
        "resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))\n"
        f"sys.exit(image_diff.main({arguments!r}))\n"
    )
    result = processes.run([sys.executable, "-c", code], cwd=SCRIPT.parent)
    assert result.returncode == 2
    assert "more memory than there is; scale" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.slow
def test_files_that_chance_damages(tmp_path: Path) -> None:
    report = fuzz.fuzz(files=400, seed=2, keep=tmp_path)
    assert report.failures == []
    counts = dict.fromkeys(fuzz.KNOWN, 0)
    for (_, text), number in report.verdicts.items():
        counts[text] += number
    assert sum(counts.values()) == 400
    assert min(counts.values()) > 20


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


@pytest.mark.parametrize("side", [1, 6])
def test_too_small_files(
    tmp_path: Path, side: int, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stored(tmp_path, "a.png", pillow(RGB[:side, :side], "PNG"))
    assert main(["-f", str(path), "-s", str(path), "--no-window"]) == 2
    assert (
        f"are {side}x{side} pixels, and SSIM needs 7 a side" in capsys.readouterr().err
    )


def test_black_against_white(tmp_path: Path) -> None:
    black = np.zeros((60, 80, 3), np.uint8)
    first = stored(tmp_path, "a.png", pillow(black, "PNG"))
    second = stored(tmp_path, "b.png", pillow(255 - black, "PNG"))
    regions = compare_files(first, second).regions
    assert [(r.x, r.y, r.width, r.height, r.area) for r in regions] == [
        (0, 0, 80, 60, 4800)
    ]


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
    result = processes.run([sys.executable, "-c", code], cwd=SCRIPT.parent)
    assert "1 region, " in result.stdout
    assert float(result.stdout.splitlines()[-1]) <= 15
