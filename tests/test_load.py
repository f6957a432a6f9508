"""How inputs are opened and read: once, pipes too, in any state of the streams."""

import contextlib
import io
import json
import os
import resource
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, PngImagePlugin

import image_diff
import processes
from files import ROOT, SCRIPT, stored
from image_diff import (
    ImageDiffError,
    compare_files,
    compare_images,
    main,
    read_image,
    read_images,
)
from samples import RGB, bgr, pillow, png, samples

SAMPLES = samples()
JPEG = SAMPLES["baseline.jpg"].data
DAMAGED = JPEG[:1200] + bytes(range(1, 60)) + JPEG[1259:]
linux = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and memfd")


def refused(*paths: str | os.PathLike[str]) -> str:
    """The message with which pictures are refused, in one line."""
    with pytest.raises(ImageDiffError) as caught:
        read_images([(path, 1) for path in paths])
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Callable[[str, bytes], Path]]:
    """Make a named pipe through which bytes come, once."""
    writers = []

    def make(name: str, data: bytes) -> Path:
        path = tmp_path / name
        os.mkfifo(path)
        writer = threading.Thread(target=path.write_bytes, args=(data,), daemon=True)
        writer.start()
        writers.append(writer)
        return path

    yield make
    for writer in writers:
        writer.join(processes.PATIENCE)
        assert not writer.is_alive()


@pytest.fixture(autouse=True)
def limited_time() -> Iterator[None]:
    """A test that hangs is ended, and fails."""

    def end(number: int, frame: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, end)
    signal.alarm(int(processes.PATIENCE))
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def run_code(code: str, *arguments: object, shell: str = "") -> tuple[int, str]:
    """The status and stdout of Python code in a process of its own."""
    program = f"import sys, os\nsys.path.insert(0, {str(ROOT)!r})\n{code}"
    command = ["bash", "-c", f'"$@" {shell}', "bash", sys.executable, "-c", program]
    command += [str(argument) for argument in arguments]
    result = processes.run(command)
    return result.returncode, result.stdout


def run(first: Path | str, second: Path, **environment: str) -> CompletedProcess[str]:
    """Compare two files by the command, in a process of its own."""
    command = [sys.executable, SCRIPT, "-f", first, "-s", second, "--no-window"]
    return processes.run(command, env=os.environ | environment)


READ = """
import image_diff
def told(*paths):
    try:
        return str(len(image_diff.read_images([(path, 1) for path in paths])))
    except image_diff.ImageDiffError as problem:
        return str(problem)
"""


# --- Pipes ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_a_pipe_gives_what_its_file_gives(
    tmp_path: Path, pipe: Callable[[str, bytes], Path], name: str
) -> None:
    data = SAMPLES[name].data
    expected = read_image(stored(tmp_path, name, data))
    picture = read_image(pipe("pipe", data))
    assert np.array_equal(picture.pixels, expected.pixels)
    assert picture.pixels.dtype == expected.pixels.dtype
    assert picture.pages == expected.pages
    assert picture.file.path == str(tmp_path / "pipe")


@linux
@pytest.mark.parametrize("good", ["file", "pipe"])
@pytest.mark.parametrize("bad", ["file", "pipe"])
@pytest.mark.parametrize("place", [0, 1])
def test_the_damaged_one_of_two_is_named(
    tmp_path: Path, pipe: Callable[[str, bytes], Path], good: str, bad: str, place: int
) -> None:
    kinds: dict[str, Callable[[str, bytes], Path]] = {
        "file": partial(stored, tmp_path),
        "pipe": pipe,
    }
    paths = [kinds[good]("good", JPEG)]
    damaged = kinds[bad]("bad", DAMAGED)
    paths.insert(place, damaged)
    assert refused(*paths).startswith(f"{damaged} is damaged: Corrupt JPEG data: ")


def test_both_through_pipes_that_fill(pipe: Callable[[str, bytes], Path]) -> None:
    noise = np.random.default_rng(3).integers(0, 256, (300, 400, 3), np.uint8)
    data = png(noise, 8, False, 2)
    assert len(data) > 2**16  # more than a pipe holds
    first, second = read_images([(pipe("a", data), 1), (pipe("b", JPEG), None)])
    assert np.array_equal(first.pixels, noise[..., ::-1])
    assert second.pixels.shape == (48, 68, 3)


def test_an_empty_pipe(pipe: Callable[[str, bytes], Path]) -> None:
    assert refused(pipe("pipe", b"")).endswith("pipe is empty; save the picture again")


def test_process_substitution(tmp_path: Path) -> None:
    first = stored(tmp_path, "a.png", SAMPLES["colour8.png"].data)
    code = f"{READ}\nprint(told(*sys.argv[1:]))"
    status, out = run_code(code, shell=f"<(cat {first}) /dev/stdin < <(cat {first})")
    assert (status, out) == (0, "2\n")


class Ended(BaseException):
    """What a signal handler raises."""


@pytest.mark.parametrize("opened", [False, True])
@pytest.mark.parametrize("place", [0, 1])
def test_a_silent_pipe_is_ended_by_a_signal(
    tmp_path: Path, opened: bool, place: int
) -> None:
    """Whether nobody has opened the other end yet, or has and writes nothing."""
    silent = tmp_path / "silent"
    os.mkfifo(silent)
    paths = [stored(tmp_path, "a.png", SAMPLES["colour8.png"].data)]
    paths.insert(place, silent)
    writer = os.open(silent, os.O_RDWR) if opened else None

    def end(number: int, frame: object) -> None:
        raise Ended

    threads = set(threading.enumerate())
    before = signal.signal(signal.SIGUSR1, end)
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGUSR1))
    timer.start()
    try:
        with pytest.raises(Ended):
            read_images([(path, 1) for path in paths])
        timer.join()
        others = set(threading.enumerate()) - threads
        assert [thread for thread in others if not thread.daemon] == []
    finally:
        signal.signal(signal.SIGUSR1, before)
        if writer is not None:
            os.close(writer)


# --- Once -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["colour8.png", "baseline.jpg", "pages.tif", "bad"])
def test_every_path_is_opened_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    data = DAMAGED if name == "bad" else SAMPLES[name].data
    paths = stored(tmp_path, "a", data), stored(tmp_path, "b", JPEG)
    opened: Counter[str] = Counter()

    def counted(function: Any) -> Any:
        def call(path: Any, *arguments: Any, **options: Any) -> Any:
            opened[str(path)] += 1
            return function(path, *arguments, **options)

        return call

    monkeypatch.setattr("builtins.open", counted(open))
    monkeypatch.setattr(io, "FileIO", counted(io.FileIO))
    monkeypatch.setattr(os, "open", counted(os.open))
    monkeypatch.setattr(cv2, "imread", counted(cv2.imread))
    with contextlib.suppress(ImageDiffError):
        image_diff.compare_files(*paths)
    assert [opened[str(path)] for path in paths] == [1, 1]


@linux
def test_a_file_that_is_replaced_while_it_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, "a.tif", SAMPLES["pages.tif"].data)
    other = stored(tmp_path, "b.tif", SAMPLES["colour8.tif"].data)
    before, decode = path.stat(), image_diff.decode

    def replace_and_decode(wanted: Any) -> Any:
        os.replace(other, path)
        return decode(wanted)

    monkeypatch.setattr(image_diff, "decode", replace_and_decode)
    picture = read_image(path)
    assert picture.pages == 5
    assert os.path.samestat(picture.file.stat, before)
    assert not os.path.samestat(picture.file.stat, path.stat())


@linux
@pytest.mark.parametrize(
    "name", ["a", "größer", "図面 一.png", "\udcff.jpg", "two  spaces .gif", "-f.png"]
)
@pytest.mark.parametrize("kind", ["colour8.png", "colour.hdr", "animated.gif"])
def test_any_name_is_read_alike(tmp_path: Path, name: str, kind: str) -> None:
    sample = SAMPLES[kind]
    picture = read_image(stored(tmp_path, name, sample.data))
    expected = read_image(stored(tmp_path, kind, sample.data))
    assert np.array_equal(picture.pixels, expected.pixels)
    assert picture.pages == sample.pages


def test_which_file_may_be_copied(tmp_path: Path) -> None:
    plain = {
        name
        for name, sample in SAMPLES.items()
        if read_image(stored(tmp_path, name, sample.data)).file.plain
    }
    assert plain == {"colour8.png", "colour8_interlaced.png"}
    path = tmp_path / "colour8.png"
    file = read_image(path).file
    assert (file.path, file.stat.st_ino) == (str(path), path.stat().st_ino)
    assert file.stat.st_mtime_ns == path.stat().st_mtime_ns
    transparent = pillow(RGB, "PNG", transparency=(1, 2, 3))
    assert not read_image(stored(tmp_path, "t.png", transparent)).file.plain


# --- Streams, threads, memory ---------------------------------------------------------


@linux
@pytest.mark.parametrize("closed", ["2>&-", "<&- 2>&-"])
def test_a_closed_stderr(tmp_path: Path, closed: str) -> None:
    good = stored(tmp_path, "good.jpg", JPEG)
    bad = stored(tmp_path, "bad.jpg", DAMAGED)
    code = f"{READ}\nprint(told(*sys.argv[1:]), told(sys.argv[1]), flush=True)"
    assert run_code(code, good, good, shell=closed) == (0, "2 1\n")
    status, out = run_code(code, bad, good, shell=closed)
    assert status == 0
    assert out.startswith(f"{bad} is damaged: Corrupt JPEG data")


@linux
def test_nothing_is_written_into_a_file_that_took_the_place_of_stderr(
    tmp_path: Path,
) -> None:
    bad = stored(tmp_path, "bad.jpg", DAMAGED)
    own = stored(tmp_path, "own.txt", b"mine")
    code = f"""{READ}
file = os.open(sys.argv[2], os.O_RDWR)
text = told(sys.argv[1])
print(file, os.path.sameopenfile(file, os.open(sys.argv[2], os.O_RDONLY)), text)
"""
    status, out = run_code(code, bad, own, shell="2>&-")
    assert status == 0
    assert out.startswith(f"2 True {bad} is damaged: Corrupt JPEG data")
    assert own.read_bytes() == b"mine"


def test_files_are_closed(tmp_path: Path, pipe: Callable[[str, bytes], Path]) -> None:
    bad = stored(tmp_path, "bad.jpg", DAMAGED)
    read_image(stored(tmp_path, "good.jpg", JPEG))
    before = len(os.listdir("/dev/fd"))
    for number in range(3):
        read_image(tmp_path / "good.jpg")
        read_image(pipe(f"pipe{number}", JPEG))
        refused(tmp_path / "good.jpg", bad)
        refused(bad, tmp_path / "none")
        refused(tmp_path)
    assert len(os.listdir("/dev/fd")) == before


def failed(code: int) -> cv2.error:
    """What OpenCV raises, with its number."""
    problem = cv2.error("Failed to allocate")
    problem.code = code
    return problem


@pytest.mark.parametrize(
    "problem",
    [
        MemoryError(),
        SystemError("returned NULL without setting an exception"),
        cv2.error("std::bad_alloc"),
        failed(-4),
    ],
    ids=["MemoryError", "SystemError", "bad_alloc", "-4"],
)
def test_memory_that_runs_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise problem

    monkeypatch.setattr(cv2, "imdecode", fail)
    path = stored(tmp_path, "a.jpg", JPEG)
    expected = f"{path} needs more memory than there is; scale it down"
    assert refused(path) == expected


@linux
def test_no_descriptors_left(tmp_path: Path) -> None:
    path = stored(tmp_path, "a.jpg", JPEG)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        message = refused(path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "a.jpg cannot be read: Too many open files; " in message


# --- Messages -------------------------------------------------------------------------

NAME_ONE = "name a picture that is there and may be read"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.png", f" cannot be read: No such file or directory; {NAME_ONE}"),
        ("a\0b.png", f" cannot be read: embedded null byte; {NAME_ONE}"),
        (".", f" cannot be read: Is a directory; {NAME_ONE}"),
    ],
)
def test_names_that_lead_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    good = stored(tmp_path, "good.png", SAMPLES["colour8.png"].data)
    for paths in ((name, good), (good, name)):
        assert refused(*paths) == f"{name}{message}"


@pytest.mark.parametrize("name", ["-", "a*b?.png", "~", "~/x", "a:/b"])
def test_names_that_elsewhere_mean_something_else_are_of_files_that_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).parent.mkdir(exist_ok=True)
    stored(tmp_path, name, SAMPLES["colour8.png"].data)
    assert np.array_equal(read_image(name).pixels, bgr(RGB))
    name = name.replace(":/", "://")
    assert main([f"--first={name}", f"--second={name}", "--no-window"]) == 0


CUT_AVIF = "is a damaged or truncated AVIF; save or copy it again"
HEIC = "is a HEIF that another package reads; pip install pillow-heif"
PDF = "is a PDF that another package reads; pip install pypdfium2"
OTHER = "is not a picture of a format that is read; convert it to PNG"
SVG = "is an SVG; render it to PNG first"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", PDF),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', SVG),
        (b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- by hand -->\n<svg width="9">', SVG),
        (b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN">\n<svg>', SVG),
        (b"<!DOCTYPE html><html><body><svg></svg>", OTHER),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", HEIC),
        (b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic", HEIC),
        (b"\0\0\0\x18ftypheix\0\0\0\0mif1heix", HEIC),
        (b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf", CUT_AVIF),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", OTHER),
        (b"no picture", OTHER),
        (pillow(RGB, "TGA"), OTHER),
        (b"", "is empty; save the picture again"),
    ],
)
def test_formats_that_are_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, data: bytes, message: str
) -> None:
    for package in ("pillow_heif", "pypdfium2"):
        monkeypatch.setitem(sys.modules, package, None)  # is not installed
    path = stored(tmp_path, "picture.png", data)
    assert refused(path) == f"{path} {message}"


def test_a_file_that_may_not_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(tmp_path, "good.jpg", JPEG)
    path.chmod(0)
    # Root reads everything: let the open fail as it does for others.
    if os.access(path, os.R_OK):

        def denied(*arguments: object) -> None:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("io.FileIO", denied)
    assert refused(path) == f"{path} cannot be read: Permission denied; {NAME_ONE}"


@pytest.mark.parametrize("share", [0.05, 0.3, 0.5, 0.7, 0.95, 0.999])
@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "RGB", {}),
        ("JPEG", "RGB", {"quality": 90}),
        ("JPEG", "RGB", {"quality": 90, "progressive": True}),
        ("JPEG", "L", {}),
        ("JPEG", "CMYK", {}),
        ("WEBP", "RGB", {}),
        ("TIFF", "RGB", {}),
        ("GIF", "P", {}),
        ("AVIF", "RGB", {}),
        ("BMP", "RGB", {}),
        ("PPM", "RGB", {}),
        ("SGI", "RGB", {}),
        ("JPEG2000", "RGB", {}),
        ("JPEG2000", "RGB", {"irreversible": True, "quality_layers": [40, 20]}),
    ],
)
def test_truncated_picture(
    tmp_path: Path, kind: str, mode: str, options: dict[str, Any], share: float
) -> None:
    large = Image.fromarray(RGB).convert(mode).resize((400, 300))
    data = pillow(large, kind, **options)
    path = stored(tmp_path, "cut", data[: round(len(data) * share)])
    message = f"is a damaged or truncated {kind}; save or copy it again"
    assert refused(path) == f"{path} {message}"


def test_more_pixels_than_allowed(tmp_path: Path) -> None:
    path = stored(tmp_path, "good.png", SAMPLES["colour8.png"].data)  # 68x48
    result = run(path, path, OPENCV_IO_MAX_IMAGE_PIXELS="3263")
    assert result.stderr == (
        f"error: {path} has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS=3263 allows; "
        "set that environment variable higher\n"
    )
    assert result.returncode == 2
    assert run(path, path, OPENCV_IO_MAX_IMAGE_PIXELS="3264").returncode == 0


def test_default_limit_of_pixels(tmp_path: Path) -> None:
    bomb = pillow(Image.new("1", (2**14 + 1, 2**14)), "PNG")
    path = stored(tmp_path, "bomb.png", bomb)
    result = run(path, path)
    limit = "bomb.png has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS=268435456"
    assert limit in result.stderr
    assert result.returncode == 2


# --- Kinds ----------------------------------------------------------------------------


@pytest.mark.parametrize("start", [b"MMxx", b"no picture", b"RIFF\0\0\0\0WAVE", b"IIx"])
def test_of_what_is_no_picture_the_beginning_alone_is_read(
    tmp_path: Path, start: bytes
) -> None:
    path = stored(tmp_path, "huge", start)
    os.truncate(path, 2**40)
    assert refused(path) == f"{path} {OTHER}"


def test_words_of_an_animation_in_a_text(tmp_path: Path) -> None:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", "an acTL chunk, an eXIf chunk and IEND")
    picture = read_image(stored(tmp_path, "a.png", pillow(RGB, "PNG", pnginfo=info)))
    assert np.array_equal(picture.pixels, bgr(RGB))
    assert picture.pages == 1
    assert picture.file.plain


def test_pillows_own_limit_is_lifted_and_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    path = stored(tmp_path, "a.gif", SAMPLES["still.gif"].data)
    first, second = read_images([(path, 1), (path, None)])
    assert first.pixels.shape == second.pixels.shape == (48, 68, 3)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize("name", ["still.gif", "colour16_big.tif", "gray16.jp2"])
def test_the_limit_of_pixels_is_one_for_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(image_diff, "MOST_PIXELS", 68 * 48 - 1)
    path = stored(tmp_path, name, SAMPLES[name].data)
    limit = "has more pixels than OPENCV_IO_MAX_IMAGE_PIXELS=3263 allows"
    assert refused(path).startswith(f"{path} {limit}; ")


def test_a_plain_pair_imports_no_other_decoder(tmp_path: Path) -> None:
    names = "colour8.png", "alpha8.png", "turned6.jpg"
    paths = [stored(tmp_path, name, SAMPLES[name].data) for name in names]
    code = """
import image_diff
for path in sys.argv[1:]:
    assert image_diff.count_pages(path) == 1
    image_diff.compare_files(path, path)
    print(sorted({"PIL", "tifffile", "imagecodecs", "skimage"} & set(sys.modules)))
"""
    assert run_code(code, *paths) == (0, "[]\n" * 3)


@pytest.mark.parametrize("picture", [RGB, RGB[..., 1]])
def test_a_large_plain_png_is_decoded_by_imagecodecs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, picture: Any
) -> None:
    large = np.tile(picture, (30, 25) if picture.ndim == 2 else (30, 25, 1))
    seen = []

    def png_decode(data: bytes) -> Any:
        seen.append(len(data))
        return large

    stub = SimpleNamespace(png_decode=png_decode)
    monkeypatch.setitem(sys.modules, "imagecodecs", stub)
    data = pillow(large, "PNG", compress_level=1)
    path = stored(tmp_path, "large.png", data)
    assert np.array_equal(read_image(path).pixels, bgr(large))
    small = stored(tmp_path, "small.png", pillow(picture, "PNG"))
    assert np.array_equal(read_image(small).pixels, bgr(picture))
    assert seen == [len(data)]


def test_a_heic_is_read_where_pillow_heif_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The package gives Pillow a reader; here it is that of TIFF."""
    reader = Image.OPEN["TIFF"][0]
    register = partial(Image.register_open, "HEIF", reader)
    stub = SimpleNamespace(register_heif_opener=register)
    monkeypatch.setitem(sys.modules, "pillow_heif", stub)
    monkeypatch.setattr(Image, "OPEN", dict(Image.OPEN))
    data = SAMPLES["pages.tif"].data
    heif = next(kind for kind in image_diff.FORMATS if kind.name == "HEIF")
    monkeypatch.setattr(image_diff, "FORMATS", (heif._replace(begins=b"II"),))
    second = read_image(stored(tmp_path, "a.heic", data), page=2)
    assert np.array_equal(second.pixels, bgr(np.roll(RGB, 9, axis=1)))
    assert second.pages == 5


# --- Masks ----------------------------------------------------------------------------


def masked(folder: Path, mask: Any) -> tuple[Path, Path, Path]:
    """Two pictures that differ in a square, and a mask."""
    changed = RGB.copy()
    changed[10:30, 20:50] = 255 - changed[10:30, 20:50]
    return (
        stored(folder, "a.png", pillow(RGB, "PNG")),
        stored(folder, "b.png", pillow(changed, "PNG")),
        stored(folder, "mask.png", pillow(mask, "PNG")),
    )


def square(mode: str = "L") -> Image.Image:
    """A mask that is white where the pictures differ."""
    mask = np.zeros(RGB.shape[:2], np.uint8)
    mask[8:32, 18:52] = 255
    return Image.fromarray(mask).convert(mode)


@pytest.mark.parametrize("mode", ["L", "RGB", "1", "P"])
def test_what_a_mask_paints_white_is_left_out(tmp_path: Path, mode: str) -> None:
    first, second, mask = masked(tmp_path, square(mode))
    assert compare_files(first, second).status == "different"
    comparison = compare_files(first, second, ignore=[mask])
    assert comparison.status == "same"
    assert comparison.unequal_pixels == 0
    assert comparison.options.ignore == (str(mask),)
    assert comparison.ignored is not None
    assert np.array_equal(comparison.ignored, np.asarray(square()))


def test_a_mask_and_rectangles(tmp_path: Path) -> None:
    first, second, mask = masked(tmp_path, square())
    command = [sys.executable, SCRIPT, first, second, "--no-window", "--json"]
    options = ["--ignore", mask, "--ignore", "0,0,5,5"]
    result = processes.run([*command, *options])
    assert json.loads(result.stdout)["status"] == "same"
    arrays = [read_image(path).pixels for path in (first, second)]
    ignored = np.asarray(square()) > 0
    comparison = compare_images(
        arrays[0], arrays[1], ignore=[(0, 0, 5, 5)], ignored=(ignored, None)
    )
    assert comparison.ignored is not None
    assert np.count_nonzero(comparison.ignored) == 24 * 34 + 25


def test_a_mask_of_the_second_picture_is_laid_over_the_first(tmp_path: Path) -> None:
    first, second, _ = masked(tmp_path, square())
    arrays = [read_image(path).pixels for path in (first, second)]
    small = cv2.resize(arrays[1], (34, 24), interpolation=cv2.INTER_AREA)
    mask = np.asarray(square())[::2, ::2]
    comparison = compare_images(arrays[0], small, resize=True, ignored=(None, mask))
    assert comparison.ignored is not None
    expected = np.asarray(square())
    assert np.count_nonzero(comparison.ignored != expected) <= 2 * (24 + 34)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (
            Image.new("L", (70, 48)),
            "{mask} and {first} are 70x48 and 68x48 pixels; "
            "make the mask as large as the first picture",
        ),
        (
            Image.new("L", (68, 48), 255),
            "{mask} is white all over and leaves out everything; "
            "paint black what is compared",
        ),
    ],
)
def test_masks_that_are_refused(
    tmp_path: Path, mask: Image.Image, message: str
) -> None:
    first, second, path = masked(tmp_path, mask)
    with pytest.raises(ImageDiffError) as caught:
        compare_files(first, second, ignore=path)
    assert str(caught.value) == message.format(mask=path, first=first)


def test_masks_that_are_none(tmp_path: Path) -> None:
    picture = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(
        ImageDiffError, match="is the path of a mask, and compare_files"
    ):
        compare_images(picture, picture, ignore=["mask.png"])
    with pytest.raises(
        ImageDiffError, match=r"the shape \(9, 9\), its picture \(40, 60"
    ):
        compare_images(picture, picture, ignored=(np.zeros((9, 9)), None))
    path = stored(tmp_path, "a.png", pillow(picture, "PNG"))
    with pytest.raises(ImageDiffError, match=r"none\.png cannot be read: No such file"):
        compare_files(path, path, ignore="none.png")


# --- Transparency ---------------------------------------------------------------------


def test_over_white_leaves_its_argument() -> None:
    image = np.full((9, 9, 4), 100, np.uint8)
    result, _ = image_diff.over_white(image)
    assert (image == 100).all()
    assert (result == round(100 * 100 / 255 + 155)).all()


def transparent(folder: Path, name: str, rgb: Any, alpha: Any) -> Path:
    """The path of a new PNG."""
    return stored(folder, name, pillow(np.dstack([rgb, alpha]), "PNG"))


def test_colour_hidden_under_full_transparency_is_no_difference(
    tmp_path: Path,
) -> None:
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    alpha[10:30, 10:30] = 0
    other = RGB.copy()
    other[10:30, 10:30] = 255 - other[10:30, 10:30]
    first = transparent(tmp_path, "a.png", RGB, alpha)
    second = transparent(tmp_path, "b.png", other, alpha)
    comparison = compare_files(first, second)
    assert (comparison.score, comparison.unequal_pixels) == (1, 0)
    assert comparison.regions == ()


IDENTICAL = "same: the pictures are identical"


@pytest.mark.parametrize("bits", [8, 16])
def test_white_that_becomes_transparent_is_identical_over_white_alone(
    tmp_path: Path, bits: int
) -> None:
    opaque = np.full((40, 60, 4), 2**bits - 1, np.uint8 if bits == 8 else np.uint16)
    erased = opaque.copy()
    erased[10:30, 10:30, 3] = 0
    for first, second, end in (
        (opaque, erased, " over white"),
        (erased, opaque, " over white"),
        (erased, erased, ""),
        (opaque, opaque, ""),
        (opaque[..., :3], opaque, ""),
    ):
        for name, picture in (("a.png", first), ("b.png", second)):
            cv2.imwrite(str(tmp_path / name), picture)
        of_files = compare_files(tmp_path / "a.png", tmp_path / "b.png")
        of_arrays = compare_images(first, second)
        for comparison in (of_files, of_arrays):
            assert image_diff.verdict(comparison) == f"{IDENTICAL}{end}"
            assert comparison.notes == ((image_diff.OTHER_ALPHA,) if end else ())


def test_a_level_of_gray_that_is_transparent_is_no_white(tmp_path: Path) -> None:
    level = np.full((40, 60), 255, np.uint8)
    level[10:30, 10:30] = 7
    white = stored(tmp_path, "white.png", pillow(np.full_like(level, 255), "PNG"))
    clear = stored(tmp_path, "clear.png", pillow(level, "PNG", transparency=7))
    verdict = image_diff.verdict(compare_files(white, clear))
    assert verdict == f"{IDENTICAL} over white"


def test_pages_that_only_look_equal_over_white_are_not_equal(tmp_path: Path) -> None:
    opaque = Image.new("RGBA", (60, 40), "white")
    erased = Image.new("RGBA", (60, 40))
    paths = []
    for name, pages in (("a.tif", [opaque, erased]), ("b.tif", [erased, erased])):
        data = pillow(pages[0], "TIFF", save_all=True, append_images=pages[1:])
        paths.append(str(stored(tmp_path, name, data)))
    matches = image_diff.match_pages(paths[0], paths[1], 150)
    assert matches == [(1, 1, False), (2, 2, True)]


def test_transparency_of_other_sizes_is_not_told_to_differ(tmp_path: Path) -> None:
    page = np.zeros((100, 60, 4), np.uint8)
    page[::3, ::5] = 255
    comparison = compare_images(page, np.vstack([page, page[:20]]))
    assert comparison.notes == ()


def test_a_change_of_alpha_alone_is_a_difference(tmp_path: Path) -> None:
    alpha = np.full(RGB.shape[:2], 255, np.uint8)
    first = transparent(tmp_path, "a.png", RGB, alpha)
    alpha[10:30, 10:30] = 60
    second = transparent(tmp_path, "b.png", RGB, alpha)
    assert len(compare_files(first, second).regions) == 1
