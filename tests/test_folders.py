"""Folders: what is paired, told and saved, and what interruption and death leave."""

import contextlib
import errno
import fcntl
import io
import json
import multiprocessing
import os
import pty
import random
import re
import resource
import shutil
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

import image_diff
import processes
from files import ROOT, SCRIPT
from image_diff import SMALL, Options, compare_files, find_pairs, main
from processes import PATIENCE, SIGNALS
from test_command import refusal
from test_image_diff import random_picture

Record = dict[str, Any]
COUNT = 60  # pairs of `many`
ALL_NAMES = [f"{number:03}.png" for number in range(COUNT)]
NAMES = "page 1.png", "nested/deep/über uns.png", "nested/same.png"


def write(path: Path, picture: Any = None) -> Path:
    """Write a picture, by default a small one, whatever the name of the file."""
    picture = random_picture(1, 40, 60, 3) if picture is None else picture
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
    return path


def changed(picture: Any) -> Any:
    """With a black square."""
    picture = picture.copy()
    picture[10:30, 20:40] = 0
    return picture


def pairs_of(
    first: Path, second: Path, skip: Sequence[str] = ()
) -> list[image_diff.Pair]:
    """The pairs of two folders, without what is left out."""
    found = find_pairs(str(first), str(second), skip)
    return [one for one in found if isinstance(one, image_diff.Pair)]


def found(folder: Path, *apart: Path) -> dict[str, tuple[str | None, str | None]]:
    """The pairs of `first` and `second` in a folder, by name, with relative paths."""
    roots = folder / "first", folder / "second"
    pairs = pairs_of(*roots, [os.path.realpath(path) for path in apart])
    assert len({pair.name for pair in pairs}) == len(pairs)
    assert all(pair.error is None for pair in pairs)
    return {
        pair.name: tuple(  # type: ignore[misc]
            path and os.path.relpath(path, root)
            for path, root in zip((pair.first, pair.second), roots, strict=True)
        )
        for pair in pairs
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Folders `first` and `second` with every status, and pictures of 60x40 pixels."""
    first, second = tmp_path / "first", tmp_path / "second"
    for seed, name in enumerate(NAMES):
        picture = random_picture(seed, 40, 60, 3)
        write(first / name, picture)
        write(second / name, picture if "same" in name else changed(picture))
    write(first / "only.png")
    write(second / "nested/lonely.png")
    write(first / "other.png")
    write(second / "other.webp", changed(random_picture(1, 40, 60, 3)))
    write(first / "tiny.png", random_picture(0, 5, 60, 3))
    write(second / "tiny.png", random_picture(1, 5, 60, 3))
    write(first / "cut.png")
    data = write(second / "cut.png").read_bytes()
    (second / "cut.png").write_bytes(data[: len(data) // 2])
    write(first / "choice.png")
    write(second / "choice.gif")
    write(second / "choice.jpg")
    (first / "notes.txt").write_text("no picture")
    return tmp_path


STATUSES = {
    "choice.gif": "only_second",
    "choice.jpg": "only_second",
    "choice.png": "only_first",
    "cut.png": "error",
    "only.png": "only_first",
    "other.png": "different",
    "page 1.png": "different",
    "tiny.png": "error",
    "nested/lonely.png": "only_second",
    "nested/same.png": "same",
    "nested/deep/über uns.png": "different",
}


def folders(tree: Path) -> list[str]:
    """The options that name the two folders."""
    return ["-f", str(tree / "first"), "-s", str(tree / "second")]


def records_of(text: str) -> list[Record]:
    """JSON Lines."""
    return [json.loads(line) for line in text.splitlines()]


def kept_in(output: Path) -> list[Record]:
    """The records in results.jsonl."""
    return records_of((output / "results.jsonl").read_text())


def run_json(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 0
) -> list[Record]:
    """The records that a run in this process prints."""
    assert main([*map(str, arguments), "--json"]) == status
    return records_of(capsys.readouterr().out)


def process(*arguments: str | Path, **options: Any) -> subprocess.Popen[str]:
    """The script in a process group of its own, as a shell starts it.

    Its pipes are short: a run of `many` waits for a reader, and does not end before.
    """
    command = [sys.executable, SCRIPT, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "pipesize": 4096}
    defaults = {"text": True, "start_new_session": True}
    return processes.start(command, **(pipes | defaults | options))


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """Folders of 60 pairs that differ, of grain: half a second of work."""
    picture = np.random.default_rng(1).integers(0, 256, (180, 240, 3), dtype=np.uint8)
    one, other = write(tmp_path / "first/000.png", picture), tmp_path / "second/000.png"
    write(other, changed(picture))
    for name in ALL_NAMES[1:]:
        for path in (one, other):
            os.link(path, path.with_name(name))
    return tmp_path


@pytest.fixture(autouse=True)
def _one_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run in this process asks for one worker."""
    monkeypatch.setattr(cv2, "getNumberOfCPUs", lambda: 1)


@pytest.fixture(autouse=True)
def _nothing_stays_blocked() -> Iterator[None]:
    """A run in this process leaves handlers as they were, and no signal blocked."""
    before = [signal.getsignal(number) for number in SIGNALS]
    yield
    assert [signal.getsignal(number) for number in SIGNALS] == before
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, ()) & set(SIGNALS)


def end_of(run: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The status of a run that ends, and what is left on its stdout and stderr."""
    out, err = run.communicate(timeout=PATIENCE)
    return run.returncode, out, err


def lines_of(run: subprocess.Popen[str], count: int) -> None:
    """Wait for lines on stdout."""
    assert run.stdout is not None
    for _ in range(count):
        assert run.stdout.readline()


def family(pid: int) -> set[int]:
    """The processes below a process."""
    below = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if parent == pid:
            child = int(path.parent.name)
            below |= {child} | family(child)
    return below


def workers_of(pid: int) -> list[int]:
    """The processes below a process that compare pairs."""
    workers = []
    for child in family(pid):
        with contextlib.suppress(OSError):  # it may end meanwhile
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                workers.append(child)
    return workers


def has_ended(pid: int) -> bool:
    """Whether a process has ended, be it that its parent has not yet asked how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state == "Z"


def wait_until_gone(pids: set[int]) -> None:
    """Wait until processes have ended."""
    processes.wait_for(lambda: all(map(has_ended, pids)), "all end")


def assert_whole(output: Path, done: int) -> None:
    """All that a run of `many` has left is whole, and the overview tells of it."""
    records = kept_in(output)
    assert len(records) == done
    assert sorted(names_in(output)) == sorted(record["name"] for record in records)
    page = (output / "index.html").read_text()
    assert (f"; the run was stopped, {COUNT - done} left" in page) == (done < COUNT)
    for record in records:
        assert record["status"] == "different"
        assert record == json.loads(
            (output / "pairs" / record["name"] / "result.json").read_text()
        )
    assert_nothing_half_written(output)


def rows_in(output: Path) -> list[Record]:
    """What an overview knows of each pair."""
    page = (output / "index.html").read_text()
    text = page.split('id="rows">')[1].split("</script>")[0]
    rows: list[Record] = json.loads(text)[1:]
    return rows


def names_in(output: Path) -> list[str]:
    """The names of the pairs in an overview."""
    return [row["name"] for row in rows_in(output)]


def assert_nothing_half_written(output: Path) -> None:
    """What waits for its place is gone."""
    assert not list(output.rglob(".image_diff-*"))
    assert not list(output.rglob("*.part"))


# --- Pairs ----------------------------------------------------------------------------


def test_pairs_come_by_relative_path_in_a_set_order(tree: Path) -> None:
    pairs = found(tree)
    assert list(pairs) == list(STATUSES)
    assert pairs["nested/deep/über uns.png"] == (NAMES[1], NAMES[1])
    assert pairs["only.png"] == ("only.png", None)
    assert pairs["nested/lonely.png"] == (None, "nested/lonely.png")


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ("a.png", "a.jpg", {"a.png": "a.jpg"}),
        ("a.PNG", "a.png", {"a.PNG": "a.png"}),
        ("a.png b.jpg", "a.jpg b.jpg", {"a.png": "a.jpg", "b.jpg": "b.jpg"}),
        ("a.png a.jpg", "a.png", {"a.png": "a.png", "a.jpg": None}),
        ("a.png a.jpg", "a.webp", {"a.png": None, "a.jpg": None, "a.webp": "a.webp"}),
        (
            "a.png",
            "a.jpg a.webp",
            {"a.png": None, "a.jpg": "a.jpg", "a.webp": "a.webp"},
        ),
        ("a.png a.jpg", "a.png a.webp", {"a.png": "a.png", "a.jpg": "a.webp"}),
        ("a/b.png", "a/b.bmp", {"a/b.png": "a/b.bmp"}),
        ("a/b.png", "b.png", {"a/b.png": None, "b.png": "b.png"}),
        ("a.b.png", "a.c.png", {"a.b.png": None, "a.c.png": "a.c.png"}),
        (".png", ".png", {}),
        ("a.png/b.png", "a.png", {"a.png/b.png": None, "a.png": "a.png"}),
    ],
)
def test_a_stem_that_leaves_no_choice_pairs(
    tmp_path: Path, first: str, second: str, expected: dict[str, str | None]
) -> None:
    for folder, names in (("first", first), ("second", second)):
        for name in names.split():
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).touch()
    assert {name: pair[1] for name, pair in found(tmp_path).items()} == expected


EXTENSIONS = (
    *("APNG", "AVIF", "BMP", "DIB", "GIF", "HDR", "HEIC", "HEIF", "ICO", "J2K", "JFIF"),
    *("JP2", "JPE", "JPEG", "JPG", "PBM", "PDF", "PFM", "PGM", "PIC", "PNG", "PNM"),
    *("PPM", "RAS", "SGI", "SR", "TIF", "TIFF", "WEBP", "png", "tiff", "\n.png"),
)


def test_pictures_are_known_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    for name in ("a.txt", "png", ".png", "a.pngs", "apng", "a.png.txt"):
        (tmp_path / "first" / name).touch()
    pictures = {f"a {number}.{end}" for number, end in enumerate(EXTENSIONS)}
    for name in pictures:
        (tmp_path / "first" / name).touch()
    assert found(tmp_path).keys() == pictures


def test_links_are_followed_within_the_folder_alone(tree: Path) -> None:
    first, outside = tree / "first", write(tree / "outside/secret.png")
    before = found(tree)
    (first / "out.png").symlink_to(outside)
    (first / "out").symlink_to(outside.parent)
    (first / "up").symlink_to("..")
    (first / "loop").symlink_to(".")
    (first / "nested/loop").symlink_to("..")
    assert found(tree) == before
    # What another folder has at the place of such a link is not paired with what lies
    # outside.
    write(tree / "second/out/secret.png")
    assert found(tree) == before | {"out/secret.png": (None, "out/secret.png")}
    (first / "link.png").symlink_to("nested/same.png")
    (first / "twin").symlink_to("nested/deep")
    assert found(tree) == before | {
        "out/secret.png": (None, "out/secret.png"),
        "link.png": ("link.png", None),
        "twin/über uns.png": ("twin/über uns.png", None),
    }


def test_what_cannot_be_read_is_an_error_of_its_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Rather than a picture that only the other folder has; no pipe is waited for."""
    first = tmp_path / "first"
    first.mkdir()
    (first / "broken.png").symlink_to("/none.png")
    (first / "loop.png").symlink_to("loop.png")
    os.mkfifo(first / "pipe.png")
    os.mkfifo(write(first / "masked.png").with_suffix(".ignore.png"))
    for name in ("broken.png", "loop.png", "masked.png", "pipe.png"):
        write(tmp_path / "second" / name)
    records = run_json(capsys, *folders(tmp_path), status=2)
    errors = [record["error"] for record in records]
    remedy = "name a picture that is there and may be read"
    assert errors == [
        f"{first}/broken.png cannot be read: No such file or directory; {remedy}",
        f"{first}/loop.png cannot be read: Too many levels of symbolic links; {remedy}",
        f"{first}/masked.ignore.png can be read but once; use a file",
        f"{first}/pipe.png can be read but once; use a file",
    ]


def test_no_link_leads_into_the_output(tree: Path) -> None:
    write(tree / "first/out/pairs/a.png/first.png")
    (tree / "first/shown.png").symlink_to("out/pairs/a.png/first.png")
    (tree / "first/linked").symlink_to("out/pairs")
    assert list(found(tree, tree / "first/out")) == list(STATUSES)


def test_masks_belong_to_the_pair_beside_which_they_lie(tree: Path) -> None:
    for name in ("page 1.ignore.png", "nested/same.IGNORE.Png", "none.ignore.png"):
        write(tree / "first" / name)
    for name in ("page 1.ignore.png", "other.IGNORE.PNG"):
        write(tree / "second" / name)
    pairs = pairs_of(tree / "first", tree / "second")
    assert {pair.name: pair.masks for pair in pairs if pair.masks} == {
        "page 1.png": (
            f"{tree}/first/page 1.ignore.png",
            f"{tree}/second/page 1.ignore.png",
        ),
        "nested/same.png": (f"{tree}/first/nested/same.IGNORE.Png",),
        "other.png": (f"{tree}/second/other.IGNORE.PNG",),
    }
    assert [pair.name for pair in pairs] == list(STATUSES)


def test_what_the_mask_of_a_pair_paints_white_is_left_out(tmp_path: Path) -> None:
    picture = np.full((40, 60, 3), 255, np.uint8)
    for name in ("masked.png", "bare.png"):
        write(tmp_path / "first" / name, picture)
        write(tmp_path / "second" / name, changed(picture))
    differs = (changed(picture) != picture).any(axis=2)
    mask = np.where(differs, np.uint8(255), np.uint8(0))
    write(tmp_path / "first/masked.ignore.png", cv2.dilate(mask, np.ones((9, 9))))
    pairs = pairs_of(tmp_path / "first", tmp_path / "second")
    assert {
        pair.name: image_diff.compare_pair(pair, Options(), None, None).record["status"]
        for pair in pairs
    } == {"bare.png": "different", "masked.png": "same"}


def half_masked(tmp_path: Path) -> tuple[Path, Path]:
    """A pair that differs, and a mask in each folder for a half of what differs."""
    picture = np.full((40, 60, 3), 255, np.uint8)
    halves = slice(0, 30), slice(30, 60)
    paths = []
    for folder, columns in zip(("first", "second"), halves, strict=True):
        shown = picture if folder == "first" else changed(picture)
        write(tmp_path / folder / "a.png", shown)
        mask = np.zeros((40, 60), np.uint8)
        mask[:, columns] = 255
        mask[0] = 0
        paths.append(write(tmp_path / folder / "a.ignore.png", mask))
    return paths[0], paths[1]


def test_what_the_mask_of_either_folder_paints_white_is_left_out(
    tmp_path: Path,
) -> None:
    masks = half_masked(tmp_path)
    statuses = []
    for left in ((), masks[:1], masks[1:]):
        pair = pairs_of(tmp_path / "first", tmp_path / "second")[0]
        pair = pair._replace(masks=tuple(set(pair.masks) - set(map(str, left))))
        outcome = image_diff.compare_pair(pair, Options(), None, None)
        statuses.append(outcome.record["status"])
    assert statuses == ["same", "different", "different"]


@pytest.mark.parametrize("number", [0, 1])
def test_a_pair_is_compared_again_when_a_mask_of_either_folder_has_changed(
    tmp_path: Path, number: int, capsys: pytest.CaptureFixture[str]
) -> None:
    masks = half_masked(tmp_path)
    arguments = [*folders(tmp_path), "-o", str(tmp_path / "out")]
    assert [record["status"] for record in run_json(capsys, *arguments)] == ["same"]
    write(masks[number], np.zeros((40, 60), np.uint8))
    again = run_json(capsys, *arguments)
    assert [record["status"] for record in again] == ["different"]


def test_masks_are_told_and_those_that_belong_to_no_picture_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    black = np.zeros((40, 60), np.uint8)
    for folder in (first, second):
        write(folder / "home.png")
        write(folder / "home.ignore.png", black)
    write(first / "bare.png")
    for name in ("hmoe", "home.png", "deep/home"):
        write(second / f"{name}.ignore.png", black)
    assert main(folders(tmp_path)) == 0
    lone = (f"{second}/{name}.ignore.png" for name in ("hmoe", "home.png", "deep/home"))
    line = f"masks: 1 pair; without a picture: {', '.join(lone)}\n"
    assert capsys.readouterr().err == line


def test_of_many_masks_without_a_picture_few_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = tmp_path / "first"
    for number in range(5):
        write(first / f"{number}.ignore.png")
    write(first / "a.png")
    write(tmp_path / "second/a.png")
    assert main(folders(tmp_path)) == 0
    named = ", ".join(f"{first}/{number}.ignore.png" for number in range(3))
    line = f"masks: 0 pairs; without a picture: {named} and 2 more\n"
    assert capsys.readouterr().err == line


def test_links_that_are_not_followed_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless what they lead to is found in another place."""
    first, second = tmp_path / "first", tmp_path / "second"
    write(tmp_path / "store/a.png")
    for name in ("a.png", "deep/b.png"):
        write(second / name)
    write(first / "deep/b.png")
    (first / "a.png").symlink_to("../store/a.png")
    (first / "more").symlink_to("../store")
    (first / "notes").symlink_to("/etc/hostname")
    (first / "up").symlink_to(".")
    (first / "deep/c.png").symlink_to("b.png")
    (first / "linked").symlink_to("deep")
    assert main(folders(tmp_path)) == 0
    out, inner = capsys.readouterr().err.splitlines()
    assert out == f"links out of their folder are left out: {first}/a.png, {first}/more"
    assert inner == f"links in a linked folder are left out: {first}/linked/c.png"


def test_a_folder_with_too_long_a_path_is_an_error_of_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux takes paths of up to 4096 bytes; deeper ones can be made step by step."""
    write(tmp_path / "first/a.png")
    monkeypatch.chdir(tmp_path / "first")
    for _ in range(17):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    (pair, error) = pairs_of(tmp_path / "first", tmp_path / "second")
    assert (pair.name, pair.error) == ("a.png", None)
    assert error.name.startswith("d" * 250)
    assert error.error is not None
    assert error.error.endswith("File name too long; compare the folders in it")


def test_a_folder_in_the_other_is_no_part_of_it(tree: Path) -> None:
    write(tree / "first/out/page 1.png/first.png")
    assert "out/page 1.png/first.png" in found(tree)
    assert list(found(tree, tree / "first/out")) == list(STATUSES)


def test_a_folder_that_cannot_be_read_is_an_error_of_its_name(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scandir = os.scandir

    def refusing(path: str) -> Iterator[os.DirEntry[str]]:
        if path.endswith("second/nested"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refusing)
    pairs = pairs_of(tree / "first", tree / "second")
    fault = (
        f"{tree}/second/nested cannot be read: Permission denied; allow it to be read"
    )
    assert pairs[-1] == image_diff.Pair("nested", None, None, fault)
    assert [pair.name for pair in pairs[:-1]] == [
        name for name in STATUSES if "/" not in name
    ]
    record = image_diff.compare_pair(pairs[-1], Options(), None, None).record
    assert (record["status"], record["error"]) == ("error", fault)


# --- Results --------------------------------------------------------------------------


WITHOUT_VALUE = dict.fromkeys(("ssim", "width", "different_fraction"))
VALUES: dict[str, Record] = {  # what the record of a pair of each status tells
    "same": {
        "ssim": 1.0,
        **dict.fromkeys(("unequal_pixels", "largest_difference"), 0),
        **dict.fromkeys(("different_pixels", "different_fraction"), 0),
        "error": None,
        "regions": [],
    },
    "only_first": WITHOUT_VALUE | {"second": None, "error": None, "regions": []},
    "only_second": WITHOUT_VALUE | {"first": None, "error": None, "regions": []},
    "error": WITHOUT_VALUE | {"regions": []},
}


def test_every_pair_has_its_record_in_text_json_and_files(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tree / "out"
    assert main([*folders(tree), "--json", "-o", str(output)]) == 2
    out, err = capsys.readouterr()
    assert (output / "results.jsonl").read_text() == out
    records = records_of(out)
    assert [(each["name"], each["status"]) for each in records] == [*STATUSES.items()]
    for record in records:
        assert list(record) == list(image_diff.EMPTY_RECORD)
        first, second, name = record["first"], record["second"], record["name"]
        assert first in (None, f"{tree}/first/{name}")
        expected = VALUES.get(record["status"])
        if expected is None:
            alone = image_diff.as_record(compare_files(first, second))
            assert alone["regions"]
            expected = alone | {"name": name}
        assert record == record | expected
    errors = [record["error"] for record in records if record["error"]]
    assert errors[0] == (
        f"{tree}/second/cut.png is a damaged or truncated PNG; save or copy it again"
    )
    assert errors[1].startswith(
        "the first and the second picture are 60x5 and 60x5 pixels, and SSIM needs 7 "
    )
    summary, last = err.splitlines()
    assert summary.startswith(
        "11 pairs: 1 same, 3 different, 5 without a partner, 2 with errors; "
    )
    assert summary.endswith(" pairs a second")
    assert last == "error: 2 of 11 pairs could not be compared; their lines say why"


def test_the_folder_of_a_pair_holds_what_a_run_of_it_alone_saves(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And three small pictures."""
    pages, pair = tree / "out/pairs", tree / "pair"
    records = run_json(capsys, *folders(tree), "-o", tree / "out", status=2)
    first = str(tree / "first/only.png")
    assert main(["-f", first, "-s", first, "--no-window", "-o", str(pair)]) == 0
    names = {*(path.name for path in pair.iterdir()), *SMALL.values()}
    different = [each for each in records if each["status"] == "different"]
    saved = {str(path.parent.relative_to(pages)) for path in pages.rglob("index.html")}
    assert saved == {record["name"] for record in different}
    for record in different:
        folder = pages / record["name"]
        assert {path.name for path in folder.iterdir()} == names
        assert json.loads((folder / "result.json").read_text()) == record
        for thumbnail in SMALL.values():
            small = cv2.imread(str(folder / thumbnail))
            assert small is not None
            assert small.shape == (40, 60, 3)


def test_thumbnails_show_even_the_smallest_box() -> None:
    picture = np.full((1200, 3200, 3), 128, np.uint8)
    region = image_diff.Region(1600, 600, 9, 9, 49, 0.0)
    small = image_diff.thumbnail(picture, [region])
    assert small.shape == (120, 320, 3)
    marked = (small != 128).any(axis=2).astype(np.uint8)
    assert cv2.boundingRect(marked) == (159, 59, 7, 7)
    assert image_diff.thumbnail(picture[:, :1], []).shape == (240, 1, 3)
    assert (image_diff.thumbnail(picture[:50, :60], []) == picture[:50, :60]).all()


def test_thumbnails_tint_and_hatch_what_one_picture_has() -> None:
    second = np.full((60, 80, 3), 255, np.uint8)
    comparison = image_diff.compare_images(second[:40], second, align="none")
    record = image_diff.as_record(comparison) | {"name": "a.png"}
    files = image_diff.files_of(comparison, record)
    hatched, tinted = (
        np.asarray(Image.open(io.BytesIO(files[SMALL[which]]())))[45:55, 5:75]
        for which in ("first", "second")
    )
    assert hatched.min() < 140
    assert hatched.max() > 240
    assert abs(tinted.mean((0, 1)) - (201, 231, 211)).max() < 5


def test_a_line_of_text_a_pair_and_a_summary(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tree / "second/tiny.png").unlink()
    (tree / "second/cut.png").unlink()
    assert main(folders(tree)) == 0
    out, err = capsys.readouterr()
    *lines, summary = out.splitlines()
    assert err == ""
    assert (lines[0], lines[3]) == ("only second  choice.gif", "only first   cut.png")
    record = compare_files(tree / "first/page 1.png", tree / "second/page 1.png")
    facts = f"SSIM {record.score}, 1 region, {100 * record.different_fraction:.3g} %"
    assert lines[6] == f"different    page 1.png: {facts} of the picture"
    assert lines[9] == "same         nested/same.png: SSIM 1.0"
    assert len(lines) == len(STATUSES)
    counts = "1 same, 3 different, 7 without a partner, 0 with errors"
    assert summary.startswith(f"11 pairs: {counts}; ")


@pytest.mark.parametrize(
    ("remaining", "status", "plain"),
    [
        (["nested/same.png"], 0, 0),
        (["nested/same.png", "page 1.png"], 1, 0),
        (["nested/same.png", "only.png"], 1, 0),
        (["nested/same.png", "page 1.png", "cut.png"], 2, 2),
    ],
)
def test_exit_code(tree: Path, remaining: list[str], status: int, plain: int) -> None:
    for path in [path for path in tree.rglob("*") if path.is_file()]:
        if "/".join(path.relative_to(tree).parts[1:]) not in remaining:
            path.unlink()
    assert main([*folders(tree), "--exit-code"]) == status
    assert main(folders(tree)) == plain


def test_equal_pictures_are_the_same_without_decoding(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And what is no picture is none, however equal."""
    contents = {
        "cut.png": write(tmp_path / "whole.png").read_bytes()[:-20],
        "empty.png": b"",
        "text.png": b"no picture",
    }
    for folder in ("first", "second"):
        (tmp_path / folder).mkdir()
        for name, data in contents.items():
            (tmp_path / folder / name).write_bytes(data)
    records = run_json(capsys, *folders(tmp_path), status=2)
    assert [record["status"] for record in records] == ["same", "error", "error"]
    assert records[1]["error"] == (
        f"{tmp_path}/first/empty.png is empty; save the picture again"
    )


def test_junit(tree: Path) -> None:
    escape = "\x1b.png"
    write(tree / "first" / escape)
    (tree / "first/tiny.png").unlink()
    file = tree / "out/junit.xml"
    assert main([*folders(tree), "--junit", str(file)]) == 2
    suite = ElementTree.parse(file).getroot()
    counts = [suite.get(key) for key in ("tests", "failures", "errors")]
    assert counts == ["12", "10", "1"]
    cases = {case.get("name"): case for case in suite}
    assert cases.keys() == {*STATUSES, "\\x1b.png"}
    assert list(cases["nested/same.png"]) == []
    for name, kind, text in (
        ("page 1.png", "failure", ", 1 region, "),
        ("only.png", "failure", "only first"),
        ("cut.png", "error", "second/cut.png is a damaged or truncated PNG; "),
    ):
        (told,) = cases[name]
        assert (told.tag, told.get("type")) == (kind, STATUSES[name])
        assert text in str(told.get("message"))
    (told,) = cases["page 1.png"]
    comparison = compare_files(tree / "first/page 1.png", tree / "second/page 1.png")
    lines = image_diff.as_text(comparison).splitlines()
    assert str(told.text).splitlines() == [line for line in lines if "  x " in line]
    assert list(file.parent.iterdir()) == [file]


def test_junit_never_replaces_a_file_of_the_run(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tree / "out/index.html"
    assert main([*folders(tree), "-o", str(tree / "out"), "--junit", str(page)]) == 2
    fault = f"{page} is there, and is no JUnit XML; name another file for --junit"
    assert capsys.readouterr().err == f"error: {fault}\n"
    assert page.read_text().endswith("</html>\n")


@pytest.mark.usefixtures("own_workers")
@pytest.mark.slow
def test_the_number_of_jobs_changes_nothing(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = []
    for jobs in ("1", "3"):
        output = tree / jobs
        assert main([*folders(tree), "--json", "--jobs", jobs, "-o", str(output)]) == 2
        runs.append((capsys.readouterr().out, contents_of(output)))
    assert runs[0] == runs[1]


def contents_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_no_name_of_a_pair_is_that_of_a_file_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parts = "index.html", "index.html.part", "results.jsonl", "run.json", "pairs", "x"
    for number, side in enumerate(("first", "second")):
        for part in parts:
            name = f"{part}/result.json/x.png"
            write(tmp_path / side / name, random_picture(number, 40, 60, 3))
    output = tmp_path / "out"
    for _ in range(2):
        assert main([*folders(tmp_path), "-o", str(output)]) == 0
        assert "6 pairs: 0 same, 6 different, " in capsys.readouterr().out
        expected = [f"{part}/result.json/x.png" for part in parts]
        assert sorted(names_in(output)) == sorted(expected)


def test_options_hold_for_every_pair(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = "--ignore 0,0,100,39 --threshold 0.3 --gray --min-area 9"
    records = run_json(capsys, *folders(tree), *options.split(), status=2)
    (record,) = (each for each in records if each["name"] == "page 1.png")
    told = record["status"], record["threshold"], record["width"]
    assert told == ("same", 0.3, 60)


@pytest.mark.slow
def test_names_of_any_bytes(tmp_path: Path) -> None:
    texts = b"line\nbreak", b"not utf-8 \xff", b"\x1b[31mred", b"-f", b"%41#?"
    names = [f"{os.fsdecode(text)}.png" for text in texts]
    for name in names:
        picture = random_picture(2, 40, 60, 3)
        write(tmp_path / "first" / name, changed(picture))
        write(tmp_path / "second" / name, picture)
    output = tmp_path / "out"
    for environment in ({}, {"PYTHONIOENCODING": "ascii"}):
        run = process(*folders(tmp_path), "-o", output, env=os.environ | environment)
        out, err = run.communicate(timeout=PATIENCE)
        assert (run.returncode, err) == (0, "")
        lines = out.splitlines()
        assert len(lines) == len(names) + 1
        assert sum(line.startswith("different ") for line in lines) == len(names)
        assert "\x1b" not in out
    assert {record["name"] for record in kept_in(output)} == set(names)


def test_threads_that_read_at_once_hear_of_their_own_pictures(
    tree: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """As the threads of a cluster's worker do."""
    wrong = tree / "crc.png"  # libpng warns of it
    right = tree / "first/only.png"
    data = bytearray(write(wrong).read_bytes())
    data[-1] ^= 1
    wrong.write_bytes(data[:-12] + b"\0\0\0\1tEXtx\0\0\0\0" + data[-12:])

    def read(pair: tuple[Path, Path]) -> str:
        try:
            one, _ = image_diff.read_images([(path, 1) for path in pair])
        except image_diff.ImageDiffError as problem:
            return str(problem)
        return str(one.pixels.shape)

    with ThreadPoolExecutor(8) as executor:
        told = list(executor.map(read, [(right, wrong), (right, right)] * 20))
    assert set(told[1::2]) == {"(40, 60, 3)"}
    fault = f"{wrong} is damaged: libpng warning: tEXt"
    assert all(text.startswith(fault) for text in told[::2])
    assert capfd.readouterr().err == ""
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


# --- Refusals -------------------------------------------------------------------------


CLUSTER = "--scheduler", "tcp://a:1"
PICTURE = "first/only.png"
BOTH = f"{PICTURE} {PICTURE}"
FOR_MANY = "is for folders and documents; leave it out; see --help"
NO_JUNIT = "is there, and is no JUnit XML; name another file for --junit"
IS_INPUT = "is an input; name another folder for the output"
REFUSALS = [  # the words, paths being of the tree, and what the message begins with
    ("empty empty -o out", "nothing to compare: empty and empty hold no pictures; "),
    (
        f"first {PICTURE}",
        f"first is a folder and {PICTURE} is no folder; "
        "give two folders, or the picture first",
    ),
    ("first none", "first is a folder and none is not there; give two folders"),
    ("none second", "none cannot be read: No such file or directory; "),
    ("first second --ignore none.png", "none.png cannot be read: No such file or "),
    ("first second --ignore empty", "empty cannot be read: Is a directory; "),
    ("first/notes.txt second", "first/notes.txt is not a picture"),
    ("first second -o first", f"first {IS_INPUT}"),
    ("first second -o second", f"second {IS_INPUT}"),
    ("first second -o first/nested/..", f"first/nested/.. {IS_INPUT}"),
    (
        f"first second -o {PICTURE}",
        f"cannot write to {PICTURE}: File exists; make it writable, or name another ",
    ),
    (
        "first second --jobs 2 --scheduler tcp://a:1",
        "argument --scheduler: not allowed with argument --jobs; see --help",
    ),
    (
        "first second --window",
        "--window is for two pictures; leave it out; see --help",
    ),
    (f"{BOTH} --jobs 2", f"--jobs {FOR_MANY}"),
    (f"{BOTH} --junit junit.xml", f"--junit {FOR_MANY}"),
    (f"{BOTH} --scheduler tcp://a:1", f"--scheduler {FOR_MANY}"),
    (
        "first second --junit empty",
        "empty is no file; name another file for --junit",
    ),
    (f"first second --junit {PICTURE}", f"{PICTURE} {NO_JUNIT}"),
    ("first second --junit first/notes.txt", f"first/notes.txt {NO_JUNIT}"),
    ("first second --junit empty/pom.xml", f"empty/pom.xml {NO_JUNIT}"),
    (
        "made/pairs second -o made",
        "made/pairs is of an earlier run; name another folder for the output",
    ),
]


@pytest.mark.parametrize(("words", "message"), REFUSALS)
def test_what_cannot_be_run_is_refused_with_the_remedy(
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    message: str,
) -> None:
    (tree / "empty").mkdir()
    (tree / "empty/notes.txt").touch()
    (tree / "empty/pom.xml").write_text('<?xml version="1.0"?>\n<project/>\n')
    (tree / "made/pairs").mkdir(parents=True)
    monkeypatch.chdir(tree)
    assert refusal(capsys, *words.split()).startswith(message)
    assert not (tree / "out").exists()


def test_a_current_folder_that_is_gone(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "gone").mkdir()
    monkeypatch.chdir(tree / "gone")
    (tree / "gone").rmdir()
    message = "the current folder is gone; go to another"
    assert refusal(capsys, *folders(tree)) == message
    assert refusal(capsys, *folders(tree), "-o", "out") == message


def test_a_cluster_without_the_package_tells_how_to_install_it(
    tree: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    message = refusal(capsys, *folders(tree), *CLUSTER)
    assert message.startswith(
        "no worker at tcp://a:1 can compare: import of distributed halted; "
    )
    remedy = f"{sys.executable} -m pip install distributed"
    assert message.endswith(f"; {remedy}; dask scheduler; dask worker tcp://a:1")


def test_the_output_may_lie_in_a_folder_that_is_compared(tree: Path) -> None:
    output = tree / "first/out"
    for _ in range(2):
        main([*folders(tree), "-o", str(output)])
        records = kept_in(output)
        assert sorted(record["name"] for record in records) == sorted(STATUSES)
    # A run into another folder does not list it either.
    found = pairs_of(tree / "first", tree / "second")
    assert sorted(pair.name for pair in found) == sorted(STATUSES)


@pytest.mark.parametrize("page", [None, "<title>mine</title>"])
def test_a_folder_that_no_run_has_written_is_compared(
    tmp_path: Path, page: str | None
) -> None:
    (tmp_path / "mine").mkdir()
    for name in ("run.json", "a.png"):
        (tmp_path / "mine" / name).touch()
    if page is not None:
        (tmp_path / "mine/index.html").write_text(page)
    (pair,) = pairs_of(tmp_path, tmp_path)
    assert pair.name == "mine/a.png"


def test_what_is_saved_of_a_pair_is_not_listed(tree: Path) -> None:
    """But for what lies beside it, and where just that is to be compared."""
    output = tree / "first/mine"
    write(output / "a.png")
    expected = {*STATUSES, "mine/a.png"}
    assert main([str(tree / PICTURE), str(tree / PICTURE), "-o", str(output)]) == 0
    pairs = pairs_of(tree / "first", tree / "second")
    assert {pair.name for pair in pairs} == expected
    pairs = pairs_of(output, output)
    assert {pair.name for pair in pairs} == {
        "a.png",
        *(name for name in image_diff.SAVED if name.endswith(".png")),
    }


OF_MANY = "index.html", "results.jsonl", "run.json"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        *(("first second", name) for name in OF_MANY),
        *((BOTH, name) for name in image_diff.SAVED),
        *((f"{PICTURE} second", name) for name in OF_MANY),
    ],
)
def test_what_no_run_has_written_stays(
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    words: str,
    name: str,
) -> None:
    """It is refused before anything is compared."""
    monkeypatch.setattr(image_diff, "compare_images", None)
    monkeypatch.chdir(tree)
    mine = tree / name
    mine.write_text("mine")
    before = sorted(tree.iterdir())
    assert refusal(capsys, *words.split(), "-o", ".") == (
        f"./{name} is not of an earlier run; name another folder for the output"
    )
    assert (mine.read_text(), sorted(tree.iterdir())) == ("mine", before)


@pytest.mark.parametrize("name", ["results.jsonl", "run.json"])
def test_beside_the_page_of_a_pair_what_is_not_of_many_stays(
    tree: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    output = tree / "out"
    image_diff.compare_files(tree / PICTURE, tree / PICTURE).save(output)
    (output / name).write_text("mine")
    message = refusal(capsys, *folders(tree), "-o", output)
    assert message.startswith(f"{output}/{name} is not of an earlier run; ")


# --- What the system refuses ----------------------------------------------------------


def refuse_processes(
    patch: pytest.MonkeyPatch, allowed: int, *, deadly: bool = False
) -> list[Any]:
    """Have the system start so many processes alone; those that it has started.

    deadly: it kills them at once.
    """
    process_class = multiprocessing.get_context("spawn").Process
    start = process_class.start
    started: list[Any] = []

    def refusing(self: Any) -> None:
        if len(started) == allowed:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        started.append(self)
        start(self)
        if deadly:
            self.kill()

    patch.setattr(process_class, "start", refusing)
    return started


REFUSED = "the system refuses: {}; free its memory, files or processes"
NO_PROCESS = REFUSED.format("[Errno 11] Resource temporarily unavailable")


@pytest.mark.usefixtures("own_workers")
@pytest.mark.parametrize(
    ("allowed", "jobs", "deadly"), [(0, "2", False), (1, "2", False), (1, "1", True)]
)
def test_a_refused_process_ends_the_run(
    many: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    allowed: int,
    jobs: str,
    deadly: bool,
) -> None:
    """At the start, and in the place of one that died."""
    started = refuse_processes(monkeypatch, allowed, deadly=deadly)
    output = many / "out"
    arguments = [*folders(many), "--jobs", jobs, "--output", str(output)]
    assert refusal(capsys, *arguments) == NO_PROCESS
    assert len(started) == allowed
    assert all(worker.exitcode is not None for worker in started)
    assert_whole(output, 0)


@pytest.mark.usefixtures("own_workers")
@pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnhandledThreadExceptionWarning"  # of the pool's own thread
)
@pytest.mark.parametrize(
    ("allowed", "message"),
    [
        (0, REFUSED.format("can't start new thread")),
        (1, "no process starts within 1 s; free the system's memory or processes"),
    ],
)
def test_a_refused_thread_ends_the_run(
    many: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    allowed: int,
    message: str,
) -> None:
    start = threading.Thread.start
    started: list[threading.Thread] = []

    def refusing(self: threading.Thread) -> None:
        if len(started) == allowed:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    monkeypatch.setattr(image_diff, "PATIENCE", 1)
    output = many / "out"
    arguments = [*folders(many), "--jobs", "2", "--output", str(output)]
    assert refusal(capsys, *arguments) == message
    assert_nothing_half_written(output)


@pytest.mark.slow
def test_a_limit_of_processes_ends_the_run() -> None:
    """As another user, as root has no such limit; the modules are imported before."""
    with TemporaryDirectory() as name:
        tree = Path(name)
        tree.chmod(0o755)
        for number, side in enumerate(("first", "second")):
            for stem in "ab":
                path = tree / side / f"{stem}.png"
                write(path, random_picture(number, 40, 60, 3))
        (tree / "out").mkdir()
        (tree / "out").chmod(0o777)
        code = f"""
import os, resource, signal
import image_diff
image_diff.main({[*folders(tree), "-o", f"{tree}/before"]})
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
if os.geteuid() == 0:
    os.setuid(65534)
status = image_diff.main({[*folders(tree), "-o", f"{tree}/out"]})
print(status, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""
        result = processes.run([sys.executable, "-c", code], cwd=ROOT)
        assert result.stderr == f"error: {NO_PROCESS}\n"
        assert result.stdout.splitlines()[-1] == "2 set()"
        assert (tree / "out/results.jsonl").read_text() == ""
        assert_nothing_half_written(tree / "out")


# --- How it is started ----------------------------------------------------------------


def test_a_program_that_starts_it_from_stdin_or_an_archive_is_told(tree: Path) -> None:
    archive = tree / "image_diff.pyz"
    with zipfile.ZipFile(archive, "w") as opened:
        opened.write(SCRIPT, "__main__.py")
    message = (
        "error: folders are compared by processes that read the program anew; "
        "run image_diff.py as a file, not from stdin or an archive\n"
    )
    for command, data in (("-", SCRIPT.read_text()), (str(archive), None)):
        run = processes.run([sys.executable, command, *folders(tree)], input=data)
        assert (run.returncode, run.stdout, run.stderr) == (2, "", message)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kept"), [("image_diff", True), ("a-b", True), ("a.b", False)]
)
def test_the_bytecode_of_a_script_is_kept_for_its_processes(
    tree: Path, name: str, kept: bool
) -> None:
    """Of a name with dots Python imports nothing."""
    script = tree / f"{name}.py"
    shutil.copyfile(SCRIPT, script)
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": ""}
    command = [sys.executable, script, *folders(tree), "--jobs", "1"]
    run = processes.run(command, env=environment)
    assert (run.returncode, len(run.stdout.splitlines())) == (2, len(STATUSES) + 1)
    assert bool(list(tree.glob(f"__pycache__/{name}.*.pyc"))) == kept


CALLS = {
    "from image_diff import main; raise SystemExit(main({}))": False,
    "if __name__ == '__main__': import image_diff; image_diff.main({})": True,
    "import image_diff; image_diff.main({})": True,
}


@pytest.mark.slow
@pytest.mark.parametrize(("code", "as_file"), CALLS.items())
def test_programs_that_call_main(tree: Path, code: str, as_file: bool) -> None:
    """As the console script does; one that is not guarded is told so in one line."""
    code = code.format([*folders(tree), "-o", str(tree / "out")])
    (tree / "program.py").write_text(code)
    command = [str(tree / "program.py")] if as_file else ["-c", code]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = processes.run([sys.executable, *command], env=environment)
    if code.startswith("import"):
        assert run.stdout == ""
        assert run.stderr == (
            "error: processes end as soon as they start; free some memory, or, in "
            'Python, a program calls main below `if __name__ == "__main__":`\n'
        )
    else:
        assert len(run.stdout.splitlines()) == 12
        assert run.stderr.startswith("error: 2 of 11 pairs could not be compared")


# --- Readers --------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["", "--json"])
@pytest.mark.slow
def test_a_reader_that_goes_away_ends_nothing(many: Path, form: str) -> None:
    output = many / "out"
    run = process(*folders(many), "--exit-code", "-o", output, *form.split())
    lines_of(run, 1)
    assert run.stdout is not None
    assert run.stderr is not None
    run.stdout.close()
    assert run.wait(timeout=PATIENCE) == 1  # as they differ
    told = run.stderr.read()
    run.stderr.close()
    if form:
        assert told.startswith(f"{COUNT} pairs: 0 same, {COUNT} different, ")
        assert told.count("\n") == 1
    else:
        assert told == ""
    assert_whole(output, COUNT)


@pytest.mark.slow
def test_a_full_stdout_ends_the_run(many: Path) -> None:
    output = many / "out"
    with open("/dev/full", "w") as full:
        run = process(*folders(many), "-o", output, stdout=full)
        status, _, err = end_of(run)
    assert status == 2
    fault = "No space left on device; send it to another place"
    assert err == f"error: cannot write the result: {fault}\n"
    assert_whole(output, len(kept_in(output)))


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.slow
def test_closed_streams(tree: Path, closed: str) -> None:
    for name in ("cut.png", "tiny.png"):
        (tree / "second" / name).unlink()
    output = tree / "out"
    command = [sys.executable, str(SCRIPT), *folders(tree), "-o", str(output)]
    result = processes.run(["sh", "-c", f'exec "$@" {closed}', "sh", *command])
    assert (result.returncode, result.stderr) == (0, "")
    assert (result.stdout == "") == (">&- " in f"{closed} ".replace("2>&- ", ""))
    assert len(kept_in(output)) == len(STATUSES)
    assert_nothing_half_written(output)


# --- Another run ----------------------------------------------------------------------


class Runs:
    """Runs of one tree into one output, and which pairs each has computed."""

    def __init__(self, tree: Path) -> None:
        """Compare `first` and `second` of a tree."""
        self.tree, self.output = tree, tree / "out"

    def __call__(self, *options: str) -> set[str]:
        """Run; the names of the pairs that were computed, but for known errors."""
        sent: list[str] = []
        compare_pairs = image_diff.compare_pairs

        def listening(pairs: Sequence[image_diff.Pair], *others: Any) -> Any:
            sent.extend(pair.name for pair in pairs)
            return compare_pairs(pairs, *others)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(image_diff, "compare_pairs", listening)
            main([*folders(self.tree), "-o", str(self.output), *options])
        return {name for name in sent if STATUSES.get(name) != "error"}

    def records(self) -> dict[str, Record]:
        """What results.jsonl holds, by name."""
        return {record["name"]: record for record in kept_in(self.output)}


@pytest.fixture
def runs(tree: Path) -> Runs:
    return Runs(tree)


COMPARED = {name for name, status in STATUSES.items() if status != "error"}


def test_what_holds_is_not_computed_again(
    runs: Runs, capsys: pytest.CaptureFixture[str]
) -> None:
    assert runs() == COMPARED
    records, files = runs.records(), contents_of(runs.output)
    times = {path: path.stat().st_mtime_ns for path in runs.output.rglob("result.json")}
    capsys.readouterr()
    assert runs("--json") == set()
    assert runs.records() == records
    assert {path: path.stat().st_mtime_ns for path in times} == times
    out, err = capsys.readouterr()
    assert f" s, as an earlier run told {len(COMPARED)} of them\n" in err
    told = records_of(out)
    assert {record["name"]: record for record in told} == records
    assert {record["name"] for record in told[:-2]} == COMPARED
    assert sorted(names_in(runs.output)) == sorted(records)
    assert len(contents_of(runs.output)) == len(files)


@pytest.mark.slow
def test_what_has_changed_is_computed_again(runs: Runs) -> None:
    runs()
    name = "nested/same.png"
    os.utime(runs.tree / "first" / name)
    assert runs() == {name}
    picture = random_picture(7, 40, 60, 3)
    older = write(runs.tree / "older.png", picture)
    os.utime(older, (1, 1))
    # It keeps the time of its last change.
    os.replace(older, runs.tree / "second" / name)
    assert runs() == {name}
    assert runs.records()[name]["status"] == "different"
    page = runs.output / "pairs/page 1.png"
    shutil.rmtree(page)
    assert runs() == {"page 1.png"}
    assert (page / "index.html").exists()
    (page / "result.json").write_text("{}")
    assert runs() == {"page 1.png"}


@pytest.mark.slow
def test_a_page_is_always_of_this_run(runs: Runs) -> None:
    runs()
    pages = runs.output / "pairs"
    assert {*os.listdir(pages)} == {"nested", "other.png", "page 1.png"}
    shutil.copyfile(runs.tree / "first/page 1.png", runs.tree / "second/page 1.png")
    (runs.tree / "second/other.webp").write_text("no picture")
    for side in ("first", "second"):
        shutil.rmtree(runs.tree / side / "nested/deep")
    assert runs() == {"page 1.png", "other.png"}
    assert [path for path in pages.rglob("*") if path.is_file()] == []


def put_link(tree: Path) -> None:
    """Have the link to the second folder lead to another version."""
    os.symlink("v2", tree / "new")
    os.replace(tree / "new", tree / "second")


def put_folder(tree: Path) -> None:
    """Put another version in the place of the second folder."""
    (tree / "second").unlink()
    os.rename(tree / "v2", tree / "second")


@pytest.mark.parametrize("swap", [put_link, put_folder])
@pytest.mark.slow
def test_another_folder_in_its_place_is_compared(
    runs: Runs, swap: Callable[[Path], None]
) -> None:
    """Though nothing in either has changed since before the first run."""
    tree = runs.tree
    shutil.copytree(tree / "second", tree / "v2")
    shutil.copyfile(tree / "v2/page 1.png", tree / "v2/nested/same.png")
    os.rename(tree / "second", tree / "v1")
    os.symlink("v1", tree / "second")
    assert runs() == COMPARED
    assert runs() == set()
    swap(tree)
    alone = {name for name, status in STATUSES.items() if status == "only_first"}
    assert runs() == COMPARED - alone
    assert runs.records()["nested/same.png"]["status"] == "different"


@pytest.mark.slow
def test_other_options_or_folders_compute_all_again(runs: Runs, tmp_path: Path) -> None:
    runs()
    assert runs("--threshold", "0.5") == COMPARED
    assert runs("--threshold", "0.5", "--json", "--exit-code", "--jobs", "1") == set()
    assert runs("--threshold", "0.5", "--ignore", "0,0,2,2") == COMPARED
    assert {r["threshold"] for r in runs.records().values() if r["width"]} == {0.5}
    mask = tmp_path / "mask.png"
    for seed in range(2):
        write(mask, random_picture(seed, 40, 60, 3))
        assert runs("--ignore", str(mask)) == COMPARED
        assert runs("--ignore", str(mask)) == set()
    shutil.copytree(runs.tree / "first", tmp_path / "elsewhere" / "first")
    shutil.copytree(runs.tree / "second", tmp_path / "elsewhere" / "second")
    runs.tree = tmp_path / "elsewhere"
    assert runs("--threshold", "0.5", "--ignore", "0,0,2,2") == COMPARED
    assert all(
        str(runs.tree) in str(r["first"]) + str(r["second"])
        for r in runs.records().values()
    )


@pytest.mark.slow
def test_pairs_that_are_gone_are_no_longer_told(runs: Runs) -> None:
    runs()
    (runs.tree / "first/page 1.png").unlink()
    write(runs.tree / "second/other.png", random_picture(1, 40, 60, 3))
    assert runs() == {"other.png", "other.webp", "page 1.png"}
    records = runs.records()
    assert records["page 1.png"]["status"] == "only_second"
    assert records["other.png"]["status"] == "same"
    assert records["other.webp"]["status"] == "only_second"
    shutil.rmtree(runs.tree / "second/nested")
    shutil.rmtree(runs.tree / "first/nested")
    runs()
    assert not any("nested" in name for name in runs.records())


@pytest.mark.parametrize(
    "words",
    ["first/other.png second/other.webp", "first second", "first/other.png second"],
)
def test_a_folder_that_another_run_holds_is_refused_at_once(
    tree: Path, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    output = tree / "out"
    output.mkdir()
    inputs = [str(tree / word) for word in words.split()]
    arguments = [*inputs, "--no-window", "--output", str(output)]
    with contextlib.ExitStack() as stack:
        held = os.open(output, os.O_RDONLY)
        stack.callback(os.close, held)
        fcntl.flock(held, fcntl.LOCK_EX)
        fault = f"another run is writing to {output}"
        message = f"{fault}; wait for it, or name another folder"
        assert main(arguments) == 2
        assert capsys.readouterr().err == f"error: {message}\n"
        assert os.listdir(output) == []
    main(arguments)
    assert re.search("^different", capsys.readouterr().out, re.MULTILINE)
    assert (output / "index.html").exists()


@pytest.mark.slow
def test_of_runs_that_begin_at_once_one_writes_and_the_others_are_refused(
    many: Path,
) -> None:
    output = many / "out"
    begun = [process(*folders(many), "--json", "-o", output) for _ in range(3)]
    told = [run.communicate(timeout=PATIENCE) for run in begun]
    statuses = [run.returncode for run in begun]
    assert 0 in statuses
    assert set(statuses) <= {0, 2}
    refused = f"error: another run is writing to {output}; "
    for status, (out, err) in zip(statuses, told, strict=True):
        assert err.startswith(refused if status else f"{COUNT} pairs: ")
        assert out.count("\n") == (0 if status else COUNT)
        assert err.count("\n") == 1
    assert_whole(output, COUNT)


@pytest.mark.parametrize(
    "state",
    ['{"states": {"a.png"', '{"settings": 1}', "null", "\0\udcff", "[" * 10**5, ""],
)
def test_of_states_that_are_not_whole_none_is_known(tmp_path: Path, state: str) -> None:
    file = tmp_path / "run.json"
    file.write_text('{"states": {"a.png": "b"}}')
    assert image_diff.earlier_states(str(tmp_path)) == {"a.png": "b"}
    file.write_bytes(state.encode(errors="surrogateescape"))
    assert image_diff.earlier_states(str(tmp_path)) == {}


def test_no_name_in_the_results_of_another_leads_out_of_the_output(
    runs: Runs,
) -> None:
    runs()
    expected, lines = runs.records(), runs.output / "results.jsonl"
    record = expected["page 1.png"]
    mine = write(runs.tree / "mine/a.png")
    with lines.open("a") as file:
        for name in ("../../mine", str(mine.parent), ".", "", "a\0b", "nested/../.."):
            file.write(f"{image_diff.to_json(record | {'name': name})}\n")
    assert runs() == set()
    assert runs.records() == expected
    assert mine.exists()


def test_a_line_that_is_not_whole_is_computed_again(runs: Runs) -> None:
    runs()
    expected, lines = runs.records(), runs.output / "results.jsonl"
    name = list(runs.records())[-1]
    lines.write_bytes(lines.read_bytes()[:-40])
    assert runs() == {name}
    assert runs.records() == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": 5},
        {"name": None},
        {"status": "equal"},
        {"status": ["same"]},
        {"ssim": "1.0"},
        {"first": 7},
        {"likeness": "much"},
        {"relation": 3},
        {"status": "different", "alignment": "rows", "different_fraction": 0.5},
        {"status": "different", "regions": None, "different_fraction": 0.5},
        {"more": 1},
    ],
)
def test_a_line_that_no_run_has_written_is_not_known(
    tmp_path: Path, wrong: Record
) -> None:
    record = image_diff.uncompared(image_diff.Pair("a", "b", "c"), **image_diff.EQUAL)
    for values, known in (({}, 1), (wrong, 0)):
        line = image_diff.to_json(record.record | values)
        (tmp_path / "results.jsonl").write_text(f"{line}\n")
        assert len([*image_diff.earlier_lines(str(tmp_path))]) == known


# --- Documents ------------------------------------------------------------------------


def pages(*seeds: int) -> list[Image.Image]:
    """Pages with words of chance; a seed below 0: the page of that, and a spot."""
    drawn = []
    for seed in seeds:
        page = Image.new("L", (200, 280), 255)
        draw = ImageDraw.Draw(page)
        chance = random.Random(abs(seed))
        for line in range(20, 260, 12):
            end = chance.randrange(40, 180)
            draw.line((20, line, end, line), 0, 5)
        if seed < 0:
            draw.rectangle((80, 120, 100, 140), 0)
        drawn.append(page)
    return drawn


def save_pages(path: Path, *seeds: int) -> Path:
    """Save `pages` as a document of the kind that the name of the file says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = pages(*seeds)
    first.save(path, save_all=True, append_images=others)
    return path


Numbers = list[tuple[int | None, int | None]]
INSERTED: Numbers = [(1, 1), (None, 2), (2, 3), (3, 4)]
ALIGNED: list[tuple[str, str, Numbers]] = [
    ("1 2 3", "1 2 3", [(1, 1), (2, 2), (3, 3)]),
    ("1 2 3", "1 9 2 3", INSERTED),
    ("1 9 2 3", "1 2 3", [(two, one) for one, two in INSERTED]),
    ("1 2 3", "1 9 -2 3", INSERTED),
    ("1 2 3", "1 9 3", [(1, 1), (2, 2), (3, 3)]),
    ("1 2 3", "7 8 9", [(1, 1), (2, 2), (3, 3)]),
    ("1 1 1", "1 1 1 1", [(1, 1), (2, 2), (3, 3), (None, 4)]),
    ("1 2", "2", [(1, None), (2, 1)]),
    ("1", "2 1", [(None, 1), (1, 2)]),
    ("1 2 3 4", "9 1 2 3", [(None, 1), (1, 2), (2, 3), (3, 4), (4, None)]),
]


@pytest.mark.parametrize(("first", "second", "expected"), ALIGNED)
def test_pages_are_paired_by_likeness_in_order(
    tmp_path: Path,
    first: str,
    second: str,
    expected: Numbers,
) -> None:
    one = str(save_pages(tmp_path / "old.tif", *map(int, first.split())))
    two = str(save_pages(tmp_path / "new.tif", *map(int, second.split())))
    pairs = list(image_diff.pair_pages(image_diff.Pair("old.tif", one, two), 150))
    assert [(pair.first_page, pair.second_page) for pair in pairs] == expected
    for pair in pairs:
        assert pair.first == (one if pair.first_page else None)
        assert pair.second == (two if pair.second_page else None)
        assert pair.name == (
            f"old.tif, page {pair.first_page}"
            if pair.first_page
            else f"new.tif, page {pair.second_page}"
        )


@pytest.mark.parametrize("extension", ["tif", "gif"])
def test_all_pages_of_equal_documents_are_known_to_be_equal(
    tmp_path: Path, extension: str
) -> None:
    old = str(save_pages(tmp_path / f"old.{extension}", 1, 2, 3))
    new = str(save_pages(tmp_path / f"new.{extension}", 1, 2, 3))
    matches = image_diff.match_pages(old, new, 150)
    assert matches == [(number, number, True) for number in (1, 2, 3)]


@pytest.mark.parametrize(("extension", "tail"), [("tif", 9), ("gif", 0)])
def test_pages_that_are_equal_at_the_ends_are_known_to_be(
    tmp_path: Path, extension: str, tail: int
) -> None:
    """Not of an animation at its end: there each frame needs those before it."""
    numbers = [*range(1, 23)]
    old = str(save_pages(tmp_path / f"old.{extension}", *numbers))
    numbers[12] *= -1
    numbers.insert(11, 99)
    new = str(save_pages(tmp_path / f"new.{extension}", *numbers))
    pair = image_diff.Pair(old, old, new)
    pages = [*image_diff.pair_pages(pair, 150)]
    assert [page.second_page for page in pages if page.first_page is None] == [12]
    known = [(page.first_page, page.second_page) for page in pages if page.equal]
    tails = [(number, number + 1) for number in range(23 - tail, 23)]
    assert known == [(number, number) for number in range(1, 12)] + tails
    outcome = image_diff.compare_pair(pages[0], Options(), None, None)
    assert outcome.record["status"] == "same"


@pytest.mark.parametrize(
    ("name", "count", "expected"),
    [
        ("a.png", 1, True),
        ("a.jpg", 1, True),
        ("a.bmp", 1, True),
        ("a.png", 2, False),
        ("a.tif", 1, False),  # it has to be counted
    ],
)
def test_that_a_file_has_one_page_is_seen_at_its_beginning(
    tmp_path: Path, name: str, count: int, expected: bool
) -> None:
    page, *others = pages(*range(count))
    more: Any = {"save_all": True, "append_images": others} if others else {}
    page.save(tmp_path / name, **more)
    assert image_diff.has_one_page(str(tmp_path / name)) == expected


def test_scans_are_paired_though_noisy_moved_and_of_other_exposure() -> None:
    rng = np.random.default_rng(2)

    def seen(page: Image.Image, step: int) -> Any:
        moved = np.roll(np.asarray(page), (step, step), (0, 1))
        noisy = moved * rng.uniform(0.8, 1) + rng.normal(0, 8, moved.shape)
        small = cv2.resize(noisy.clip(0, 255).astype(np.uint8), (32, 32), None, 0, 0, 3)
        return small.ravel()

    ours = [seen(page, 0) for page in pages(1, 2, 3, 4, 5, 6)]
    theirs = [seen(page, 3) for page in pages(1, 2, 9, 3, 4, 6)]
    pairs = list(image_diff.align_pages(image_diff.unlikeness(ours, theirs)))
    assert pairs[:4] == [(1, 1), (2, 2), (None, 3), (3, 4)]
    assert pairs[4:] == [(4, 5), (5, None), (6, 6)]


@pytest.mark.parametrize(
    "extension", ["tif", pytest.param("pdf", marks=pytest.mark.slow)]
)
def test_two_documents_are_a_folder_of_pages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], extension: str
) -> None:
    first = save_pages(tmp_path / f"old.{extension}", 1, 2, 3)
    second = save_pages(tmp_path / f"new.{extension}", 1, 4, 2, -3)
    output = tmp_path / "out"
    words: list[str | Path] = [first, second, "-o", output]
    for _ in range(2):
        records = run_json(capsys, *words, "--exit-code", status=1)
        fields = "name", "status", "first", "second", "first_page", "second_page"
        told = {tuple(map(record.get, fields)) for record in records}
        one, two = str(first), str(second)
        assert told == {
            (f"{first.name}, page 1", "same", one, two, 1, 1),
            (f"{second.name}, page 2", "only_second", None, two, None, 2),
            (f"{first.name}, page 2", "same", one, two, 2, 3),
            (f"{first.name}, page 3", "different", one, two, 3, 4),
        }
    inserted = output / "pairs" / f"{second.name}, page 2"
    changed_page = output / "pairs" / f"{first.name}, page 3"
    assert set((output / "pairs").iterdir()) == {inserted, changed_page}
    assert os.listdir(inserted) == [SMALL["second"]]
    document = f"../new.{extension}"
    shown = {
        row["name"]: [*map(unquote, (row["page"], *row["pictures"].values()))]
        for row in rows_in(output)
    }
    small = [f"pairs/{changed_page.name}/{file}" for file in SMALL.values()]
    assert shown == {
        f"{first.name}, page 1": [document],
        inserted.name: [document, f"pairs/{inserted.name}/{SMALL['second']}"],
        f"{first.name}, page 2": [document],
        changed_page.name: [f"pairs/{changed_page.name}/index.html", *small],
    }
    report = (changed_page / "index.html").read_text()
    assert f"<title>{second}, page 4 compared with {first}, page 3</title>" in report
    save_pages(second, 1, 2, -3)
    run_json(capsys, *words)
    assert list((output / "pairs").iterdir()) == [changed_page]


@pytest.mark.slow
def test_what_is_known_of_pages_is_not_computed_again(tmp_path: Path) -> None:
    runs = Runs(tmp_path)
    save_pages(tmp_path / "first/a.tif", 1, 2)
    save_pages(tmp_path / "second/a.tif", 1, -2, 3)
    both = {"a.tif, page 1", "a.tif, page 2"}
    alone = "a.tif, page 3 of the second"
    assert runs() == both | {alone}
    assert runs() == set()
    (runs.output / "pairs" / alone / SMALL["second"]).unlink()
    assert runs() == {alone}
    assert runs("--dpi", "100") == both | {alone}
    save_pages(tmp_path / "second/a.tif", -1, 2)
    assert runs("--dpi", "100") == both
    statuses = {name: runs.records()[name]["status"] for name in sorted(both)}
    assert list(statuses.values()) == ["different", "same"]


def test_documents_in_folders_are_compared_page_by_page(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Masks are for every page; of one name a page is told apart by whose it is."""
    save_pages(tmp_path / "first/deep/a.tif", 1, 2)
    save_pages(tmp_path / "second/deep/a.tif", 1, 3, -2)
    save_pages(tmp_path / "first/b.gif", 1, 2)
    save_pages(tmp_path / "second/b.webp", 5, 1, 2)
    save_pages(tmp_path / "first/equal.tif", 1, 2)
    save_pages(tmp_path / "second/equal.tif", 1, 2)
    save_pages(tmp_path / "first/alone.tif", 1, 2)
    mask = np.zeros((280, 200), np.uint8)
    mask[110:150, 70:110] = 255
    write(tmp_path / "first/deep/a.ignore.png", mask)
    file = tmp_path / "junit.xml"
    records = run_json(capsys, *folders(tmp_path), "--junit", file)
    assert [(record["name"], record["status"]) for record in records] == [
        ("alone.tif", "only_first"),
        ("b.webp, page 1", "only_second"),
        ("b.gif, page 1", "same"),
        ("b.gif, page 2", "same"),
        ("equal.tif, page 1", "same"),
        ("equal.tif, page 2", "same"),
        ("deep/a.tif, page 1", "same"),
        ("deep/a.tif, page 2 of the second", "only_second"),
        ("deep/a.tif, page 2", "same"),
    ]
    names = [case.get("name") for case in ElementTree.parse(file).getroot()]
    assert names == [record["name"] for record in records]


def test_a_page_that_cannot_be_read_is_an_error_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = save_pages(tmp_path / "old.tif", 1, 2, 3)
    second = tmp_path / "new.tif"
    whole, *others = pages(1, 2, 3)
    packed: dict[str, Any] = {"save_all": True, "compression": "tiff_adobe_deflate"}
    whole.save(second, append_images=others, **packed)
    with tifffile.TiffFile(second) as document:
        place = document.pages[1].dataoffsets[0]
    data = second.read_bytes()
    second.write_bytes(data[:place] + bytes(60) + data[place + 60 :])
    records = run_json(capsys, first, second, status=2)
    assert [record["status"] for record in records] == ["same", "error", "same"]
    assert records[1]["error"] == f"{second} has no page 2 that is whole; name another"


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (b"%PDF-1.7\n", "is a damaged or truncated PDF; save or copy it again"),
        (b"", "is empty; save the picture again"),
        (None, "cannot be read: No such file or directory; name a picture that is"),
    ],
)
def test_a_document_that_cannot_be_read(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    second: bytes | None,
    message: str,
) -> None:
    first = save_pages(tmp_path / "old.pdf", 1, 2)
    other = tmp_path / "new.pdf"
    if second is not None:
        other.write_bytes(second)
    assert refusal(capsys, first, other).startswith(f"{other} {message}")


def test_one_page_against_one_page_is_a_pair(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = save_pages(tmp_path / "old.pdf", 1)
    second = save_pages(tmp_path / "new.pdf", -1)
    for dpi, size in (("72", (200, 280)), ("144", (400, 560))):
        (record,) = run_json(capsys, first, second, "--dpi", dpi)
        assert (record["name"], record["status"]) == (None, "different")
        assert (record["width"], record["height"]) == size
        assert record["first_page"] is record["second_page"] is None


def test_what_a_run_left_that_was_killed_as_it_began_is_replaced(runs: Runs) -> None:
    runs.output.mkdir()
    for name in ("results.jsonl", ".image_diff-run.json", ".image_diff-1"):
        (runs.output / name).touch()
    assert runs() == COMPARED
    assert {path.name for path in runs.output.iterdir()} == {*OF_MANY, "pairs"}


# --- Links and pipes in the output ----------------------------------------------------


def test_links_in_the_place_of_files_of_the_run_are_replaced(runs: Runs) -> None:
    runs.output.mkdir()
    victims = {name: runs.tree / f"victim {name}" for name in OF_MANY}
    for name, victim in victims.items():
        victim.write_text("mine")
        (runs.output / name).symlink_to(victim)
        (runs.output / f".image_diff-{name}").symlink_to(victim)
    (runs.tree / "mine").mkdir()
    (runs.tree / "mine/a.png").write_text("mine")
    (runs.output / ".image_diff-1").symlink_to(runs.tree / "mine")
    assert runs() == COMPARED
    assert {victim.read_text() for victim in victims.values()} == {"mine"}
    assert (runs.tree / "mine/a.png").read_text() == "mine"
    assert {path.name for path in runs.output.iterdir()} == {*OF_MANY, "pairs"}
    assert not any((runs.output / name).is_symlink() for name in OF_MANY)


def test_a_folder_of_pages_that_leads_elsewhere_is_refused(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, victim = tree / "out", tree / "victim"
    output.mkdir()
    victim.mkdir()
    (output / "pairs").symlink_to(victim)
    (output / "run.json").touch()
    message = f"{output}/pairs is a link; name another folder for the output"
    assert refusal(capsys, *folders(tree), "-o", output) == message
    assert list(victim.iterdir()) == []


def test_pages_that_no_run_has_written_stay(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tree / "out/pairs/page 1.png/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.touch()
    message = refusal(capsys, *folders(tree), "-o", tree / "out")
    assert message.startswith(f"{tree}/out/pairs is not of an earlier run; ")
    assert mine.exists()


def test_the_page_of_a_pair_never_goes_where_a_link_leads(runs: Runs) -> None:
    runs()
    victim = runs.tree / "victim"
    victim.mkdir()
    (victim / "index.html").write_text("mine")
    for name in ("page 1.png", "nested"):
        shutil.rmtree(runs.output / "pairs" / name)
        (runs.output / "pairs" / name).symlink_to(victim)
    runs()
    for name in ("page 1.png", "nested/deep/über uns.png"):
        error = runs.records()[name]["error"]
        place = runs.output / "pairs" / name
        assert error == f"a link leads from {place} to another place; remove it"
    assert [path.name for path in victim.iterdir()] == ["index.html"]
    assert (victim / "index.html").read_text() == "mine"


@pytest.mark.parametrize("name", OF_MANY)
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_what_is_no_file_in_the_place_of_one_is_refused(
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    make: Callable[[Path], None],
    name: str,
) -> None:
    (tree / "out").mkdir()
    make(tree / "out" / name)
    message = f"{tree}/out/{name} is no file; name another folder for the output"
    assert refusal(capsys, *folders(tree), "-o", tree / "out") == message


def test_pipes_behind_links_and_in_pages_are_not_opened(runs: Runs) -> None:
    runs()
    os.mkfifo(runs.tree / "pipe")
    for name in ("results.jsonl", "pairs/page 1.png/result.json"):
        (runs.output / name).unlink()
        (runs.output / name).symlink_to(runs.tree / "pipe")
    assert runs() == COMPARED
    assert runs() == set()


# --- Ctrl+C and other ends ------------------------------------------------------------


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_done_and_another_run_goes_on(many: Path) -> None:
    output = many / "out"
    arguments: list[str | Path] = [*folders(many), "--json", "-o", output]
    done = 0
    for _ in range(2):
        run = process(*arguments)
        lines_of(run, done + 9)
        workers = family(run.pid)
        os.killpg(run.pid, signal.SIGINT)  # to all, as a terminal does
        _, err = run.communicate(timeout=PATIENCE)
        assert run.returncode == 130
        wait_until_gone(workers)
        whole = (output / "results.jsonl").read_text()
        records = records_of(whole)
        assert whole.endswith("\n")
        done = len(records)
        assert 9 <= done < COUNT
        assert err.splitlines()[-1] == (
            f"stopped: {COUNT - done} of {COUNT} pairs left; "
            "the same --output again goes on from here"
        )
        assert err.startswith(f"{done} pairs: 0 same, {done} different, ")
        assert err.count("\n") == 2
        assert_whole(output, done)
    run = process(*arguments)
    status, out, err = end_of(run)
    assert status == 0
    assert err.startswith(f"{COUNT} pairs: 0 same, {COUNT} different, ")
    assert sorted(record["name"] for record in records_of(out)) == ALL_NAMES
    assert (output / "results.jsonl").read_text() == out
    assert_whole(output, COUNT)


@pytest.mark.slow
def test_ctrl_c_while_the_workers_start(many: Path) -> None:
    run = process(*folders(many), "-o", many / "out")
    while not (many / "out/results.jsonl").exists():
        assert run.poll() is None
    time.sleep(0.1)
    workers = family(run.pid)
    os.killpg(run.pid, signal.SIGINT)
    status, _, err = end_of(run)
    assert status == 130
    wait_until_gone(workers)
    assert err.startswith("stopped: ")
    assert f" of {COUNT} pairs left; " in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.slow
def test_signals_at_random_moments(many: Path, number: signal.Signals) -> None:
    """From the start of Python on; what is begun is whole or not there.

    A terminal sends to the workers, too, and `kill` to the run alone.
    """
    kill = os.kill if number == signal.SIGTERM else os.killpg
    chance = random.Random(number)
    ends = set()
    for turn in range(2):
        output = many / f"out {turn}"
        pipe = 4096 if turn == 0 else -1
        run = process(*folders(many), "--json", "-o", output, pipesize=pipe)
        if turn == 0:  # one at least is in the midst of it, as nobody reads
            processes.wait_for((output / "pairs").exists, "a pair is done")
        else:
            time.sleep(chance.random())
        workers = family(run.pid)
        kill(run.pid, number)
        _, _, err = end_of(run)
        wait_until_gone(workers)
        ends.add(run.returncode)
        # By Python's own ways, before the program has set its handlers.
        assert run.returncode in (0, 128 + number, -number)
        assert "Traceback" not in err
        assert err.count("\n") <= 2
        if (output / "index.html").exists():
            assert_whole(output, len(kept_in(output)))
        if output.exists():
            assert_nothing_half_written(output)
    assert 128 + number in ends


@pytest.mark.slow
def test_a_second_signal_ends_even_a_run_whose_reader_has_stopped(many: Path) -> None:
    output = many / "out"
    run = process(*folders(many), "--json", "--jobs", "2", "-o", output)
    lines_of(run, 1)

    def waits_for_its_reader() -> bool:
        return "pipe" in Path(f"/proc/{run.pid}/wchan").read_text()

    processes.wait_for(waits_for_its_reader, "nobody reads")
    workers = family(run.pid)
    os.killpg(run.pid, signal.SIGINT)
    time.sleep(0.2)
    assert run.poll() is None
    os.killpg(run.pid, signal.SIGTERM)
    assert run.wait(timeout=PATIENCE) == 143
    _, err = run.communicate()
    assert err == ""
    wait_until_gone(workers)
    assert_whole(output, len(kept_in(output)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_so(many: Path, number: signal.Signals) -> None:
    """As in a shell's background, and after nohup."""
    trap = ["sh", "-c", f"trap '' {number.name[3:]}; exec \"$@\"", "sh"]
    command = [*trap, sys.executable, SCRIPT, *folders(many), "--jobs", "2"]
    run = processes.start(
        command, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    lines_of(run, 2)
    os.killpg(run.pid, number)
    out, _ = run.communicate(timeout=PATIENCE)
    assert run.returncode == 0
    assert f"{COUNT} pairs: 0 same, {COUNT} different" in out


@pytest.mark.usefixtures("own_workers")
def test_a_worker_that_hangs_is_killed() -> None:
    with image_diff.process_pool(1) as pool:
        worker = pool.submit(os.getpid).result()
        os.kill(worker, signal.SIGSTOP)
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.slow
def test_the_death_of_workers_loses_nothing(many: Path) -> None:
    """What a terminal sends is the run's to act on; a pair so lost is compared anew."""
    output = many / "out"
    run = process(*folders(many), "--json", "--jobs", "2", "-o", output)
    lines_of(run, 5)
    workers = workers_of(run.pid)
    for worker in workers:
        os.kill(worker, signal.SIGINT)
        os.kill(worker, signal.SIGHUP)
    lines_of(run, 5)
    assert set(workers) <= family(run.pid)
    os.kill(workers[0], signal.SIGTERM)
    processes.wait_for(lambda: workers_of(run.pid) != workers, "another has begun")
    lines_of(run, 9)
    for worker in workers_of(run.pid):
        os.kill(worker, signal.SIGKILL)
    status, _, err = end_of(run)
    assert (status, err.count("\n")) == (0, 1)
    records = kept_in(output)
    assert sorted(record["name"] for record in records) == ALL_NAMES
    assert_whole(output, COUNT)


def test_a_line_is_appended_whole_or_not_at_all(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with open(tmp_path / "lines", "ab", buffering=0) as file:
        image_diff.append_whole(file, "one\n")
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (6, limits[1]))
            with pytest.raises(OSError, match="File too large"):
                image_diff.append_whole(file, "two\n")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            signal.signal(signal.SIGXFSZ, ignored)
        image_diff.append_whole(file, "two\n")
    assert (tmp_path / "lines").read_text() == "one\ntwo\n"


def test_a_file_that_is_not_replaced_stays(tmp_path: Path) -> None:
    path = tmp_path / "page"
    path.write_text("before")

    def pieces() -> Iterator[str]:
        yield "half"
        raise image_diff.Stopped(15)

    with pytest.raises(image_diff.Stopped):
        image_diff.replace_file(str(path), pieces())
    assert [entry.name for entry in tmp_path.iterdir()] == ["page"]
    assert path.read_text() == "before"


@pytest.mark.slow
def test_a_pair_that_kills_its_process_is_an_error_of_its_own(tree: Path) -> None:
    """As decoders that crash and pictures too large for the memory do."""
    (tree / "sitecustomize.py").write_text(
        "import os\n"
        "getsize = os.path.getsize\n"
        "def deadly(path):\n"
        "    if path.endswith('page 1.png'):\n"
        "        os.kill(os.getpid(), 9)\n"
        "    return getsize(path)\n"
        "os.path.getsize = deadly\n"
    )
    run = process(*folders(tree), "--json", env=os.environ | {"PYTHONPATH": str(tree)})
    status, out, err = end_of(run)
    assert status == 2
    records = {record["name"]: record for record in records_of(out)}
    assert records["page 1.png"]["error"] == (
        "its process died, perhaps for want of memory; scale the pictures down"
    )
    statuses = {name: record["status"] for name, record in records.items()}
    assert statuses == STATUSES | {"page 1.png": "error"}
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_run_that_is_killed_leaves_no_worker_and_the_next_one_goes_on(
    many: Path,
) -> None:
    output = many / "out"
    for turn in range(1, 3):
        run = process(*folders(many), "--json", "-o", output)
        lines_of(run, 9 * turn)
        workers = family(run.pid)
        run.kill()
        run.communicate()
        wait_until_gone(workers)
        assert len(kept_in(output)) >= 9 * turn
    (output / ".image_diff-1/a").mkdir(parents=True)
    (output / ".image_diff-1/a/first.png").touch()
    run = process(*folders(many), "--json", "-o", output)
    status, out, err = end_of(run)
    assert (status, err.count("\n")) == (0, 1)
    assert sorted(record["name"] for record in records_of(out)) == ALL_NAMES
    assert_whole(output, COUNT)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
@pytest.mark.slow
def test_a_full_disk_keeps_whole_lines(many: Path) -> None:
    output = many / "out"
    output.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "none", output]
    processes.run(mount, check=True)
    try:
        run = process(*folders(many), "--json", "-o", output)
        out, err = run.communicate(timeout=PATIENCE)
        assert run.returncode == 2
        assert "Traceback" not in err
        assert (
            "No space left on device; free space, or name another folder" in out + err
        )
        told = (output / "results.jsonl").read_text()
        assert out.startswith(told)
        assert told == "" or told.endswith("\n")
        assert_nothing_half_written(output)
        page = output / "index.html"
        assert not page.exists() or page.read_text().endswith("</html>\n")
    finally:
        processes.run(["umount", output], check=True)


# --- Terminal -------------------------------------------------------------------------


def on_a_terminal(command: list[str], stdout: bool) -> tuple[int, str, str]:
    """The exit status, what a terminal of 100 columns shows, and a piped stdout."""
    terminal, inside = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    out = inside if stdout else subprocess.PIPE
    run = processes.start(command, stdout=out, stderr=inside)
    os.close(inside)
    shown = b""
    piped: list[bytes] = []
    reader = threading.Thread(
        target=lambda: piped.append(run.stdout.read() if run.stdout else b"")
    )
    reader.start()
    while True:
        try:
            data = os.read(terminal, 65536)
        except OSError:  # Linux's way to tell the end
            break
        if not data:
            break
        shown += data
    reader.join()
    os.close(terminal)
    status = run.wait()
    if run.stdout:
        run.stdout.close()
    return status, shown.decode(), piped[0].decode()


@pytest.mark.slow
def test_the_progress_is_shown_on_a_terminal_alone(tree: Path) -> None:
    command = [sys.executable, str(SCRIPT), *folders(tree)]
    status, shown, _ = on_a_terminal(command, stdout=True)
    assert status == 2
    assert "11/11" in shown
    assert re.search(r"\r11/11 .*different=3", shown)
    assert re.search(r"\r11/11 .*same=1", shown)
    for line in ("only first   only.png", "same         nested/same.png: SSIM 1.0"):
        # At the start of a line, the bar being wiped off.
        assert f"\r{line}\r\n" in shown
    status, shown, piped = on_a_terminal(command, stdout=False)
    assert status == 2
    assert "11/11" in shown
    assert "only.png" not in shown
    assert len(piped.splitlines()) == 12
    run = process(*folders(tree))
    _, err = run.communicate(timeout=PATIENCE)
    assert err == "error: 2 of 11 pairs could not be compared; their lines say why\n"


# --- A cluster ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Dask scheduler and two workers of two threads, in processes of their own."""
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from distributed import LocalCluster

        with LocalCluster(
            n_workers=2, threads_per_worker=2, processes=True, dashboard_address=None
        ) as cluster:
            yield cluster


@pytest.mark.usefixtures("own_workers")
@pytest.mark.filterwarnings("ignore")
@pytest.mark.slow
def test_a_cluster_gives_what_this_machine_gives(
    tree: Path,
    cluster: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tree)
    write(tree / "mask.png", np.zeros((40, 60), np.uint8))
    arguments = ["-f", "first", "-s", "second", "--json", "--ignore", "mask.png"]
    mask = ["--ignore", str(tree / "mask.png")]
    assert main([*folders(tree), "--json", "-o", "local", *mask]) == 2
    expected = capsys.readouterr()
    address = ["--scheduler", cluster.scheduler_address]
    assert main([*arguments, *address, "-o", "clustered"]) == 2
    result = capsys.readouterr()
    assert result.out == expected.out
    assert result.err.splitlines()[-1] == expected.err.splitlines()[-1]
    local, clustered = contents_of(tree / "local"), contents_of(tree / "clustered")
    assert local.keys() == clustered.keys()
    for name, data in local.items():
        assert clustered[name] == data


@pytest.mark.slow
def test_the_death_of_a_clusters_worker_loses_nothing(many: Path, cluster: Any) -> None:
    address = cluster.scheduler_address
    run = process(*folders(many), "--json", "--scheduler", address, "-o", many / "out")
    lines_of(run, 5)
    os.kill(next(iter(cluster.workers.values())).process.process.pid, signal.SIGKILL)
    _, err = run.communicate(timeout=PATIENCE)
    records = kept_in(many / "out")
    assert [record["error"] for record in records if record["error"]] == []
    assert (run.returncode, err.count("\n")) == (0, 1)
    assert [record["name"] for record in records] == ALL_NAMES
    assert_whole(many / "out", COUNT)


@pytest.mark.slow
def test_ctrl_c_on_a_cluster(many: Path, cluster: Any) -> None:
    address = cluster.scheduler_address
    run = process(*folders(many), "--scheduler", address, "-o", many / "out")
    lines_of(run, 5)
    os.killpg(run.pid, signal.SIGINT)
    status, _, err = end_of(run)
    assert status == 130
    assert err.startswith("stopped: ")
    assert err.count("\n") == 1
    time.sleep(0.5)  # its workers go on with what is under way
    assert_nothing_half_written(many / "out")


@pytest.mark.slow
def test_a_cluster_without_workers_is_given_up(
    many: Path,
    cluster: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When the last has gone in the midst of a run."""
    monkeypatch.setattr(image_diff, "LONELY", 1)
    address = cluster.scheduler_address
    keep = image_diff.keep_outcome

    def keep_and_close(*arguments: Any) -> Any:
        cluster.scale(0)
        return keep(*arguments)

    monkeypatch.setattr(image_diff, "keep_outcome", keep_and_close)
    arguments = [*folders(many), "--scheduler", address, "-o", str(many / "out")]
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    remedy = "start one, and run again"
    assert err == f"error: {address} has no worker left; {remedy}\n"
    assert_whole(many / "out", len(out.splitlines()))


@contextlib.contextmanager
def dask(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A part of a cluster in a process of its own, which is killed at the end."""
    command = [sys.executable, "-m", "distributed.cli.dask_" + arguments[0]]
    silent = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with processes.start([*command, *arguments[1:]], **silent) as part:
        try:
            yield part
        finally:
            part.kill()


@pytest.mark.slow
def test_a_scheduler_that_is_killed_keeps_what_is_done(many: Path) -> None:
    """And another run goes on, here on this machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = str(server.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    output = many / "out"
    alone = "--nthreads=1", "--no-nanny", "--no-dashboard"
    with (
        dask("scheduler", "--port", port, "--no-dashboard") as scheduler,
        dask("worker", address, *alone),
    ):
        run = process(*folders(many), "--json", "--scheduler", address, "-o", output)
        lines_of(run, 5)
        scheduler.kill()
        status, _, err = end_of(run)
    assert status == 2
    assert err == f"error: {address} is gone; start it, and run again\n"
    done = len(kept_in(output))
    assert 5 <= done < COUNT
    assert_whole(output, done)
    run = process(*folders(many), "--json", "-o", output)
    run.communicate(timeout=PATIENCE)
    assert_whole(output, COUNT)


@pytest.mark.parametrize("problem", [ValueError("too many values"), OSError("gone")])
def test_what_a_cluster_loses_on_the_way_is_compared_here(
    tree: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    problem: Exception,
) -> None:
    wrong = ["nested/same.png", "cut.png"]

    def send(batch: Sequence[image_diff.Pair]) -> Future[Any]:
        (pair,) = batch
        future: Future[Any] = Future()
        if pair.name in wrong:
            wrong.remove(pair.name)
            future.set_exception(problem)
        else:
            future.set_result([image_diff.compare_pair(pair, Options(), None, None)])
        return future

    @contextlib.contextmanager
    def connected(*arguments: Any) -> Iterator[image_diff.Workers]:
        yield image_diff.Workers(send, lambda futures: None)

    monkeypatch.setattr(image_diff, "cluster_workers", connected)
    records = run_json(capsys, *folders(tree), *CLUSTER, status=2)
    assert {record["name"]: record["status"] for record in records} == STATUSES
    assert wrong == []


@pytest.mark.slow
def test_a_scheduler_that_does_not_answer(
    tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    message = refusal(capsys, *folders(tree), "--scheduler", "nonsense")
    assert message == (
        "no worker at nonsense can compare: missing port number in address 'nonsense'; "
        "correct the address, or start them: dask scheduler; dask worker nonsense"
    )
