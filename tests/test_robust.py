"""What happens around a comparison: writes, names, want of memory, signals."""

import contextlib
import inspect
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import cv2
import numpy as np
import pytest

import image_diff
import processes
from files import PAIRS, ROOT, SAVED, SCRIPT, contents
from image_diff import main
from processes import SIGNALS

FIRST, SECOND = PAIRS[1]
PAIR = ["--first", str(FIRST), "--second", str(SECOND), "--no-window"]
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "DISPLAY"}


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which $run stands for the command on the sample pair."""
    variables = {"run": f"{sys.executable} {SCRIPT} {' '.join(PAIR)}", **variables}
    return processes.run(["bash", "-c", command], env=ENVIRONMENT | variables)


def write_png(path: Path, picture: object) -> Path:
    """Write a picture and return its path."""
    path.write_bytes(cv2.imencode(".png", np.asarray(picture, np.uint8))[1].tobytes())
    return path


# --- Writes ---------------------------------------------------------------------------


@pytest.mark.parametrize("reader", ["true", "head -1 > /dev/null"])
@pytest.mark.parametrize("form", ["", "--json"])
@pytest.mark.slow
def test_a_reader_that_has_gone_is_no_trouble(
    tmp_path: Path, form: str, reader: str
) -> None:
    for exit_code, status in (("", 0), ("--exit-code", 1)):
        folder = tmp_path / f"out{exit_code}"
        command = f'$run {form} {exit_code} -o "$folder" | {reader}'
        result = shell(f"set -o pipefail; {command}", folder=str(folder))
        told = result.returncode, result.stdout, result.stderr
        assert told == (status, "", "")
        assert set(contents(folder)) == SAVED


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_stdout_on_a_full_disk() -> None:
    result = shell("$run > /dev/full")
    assert result.returncode == 2
    assert result.stderr == (
        "error: cannot write the result: No space left on device; "
        "send it to another place\n"
    )
    assert shell("$run -f none 2> /dev/full").returncode == 2


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.slow
def test_closed_streams(tmp_path: Path, closed: str) -> None:
    result = shell(
        f'$run --exit-code -o "$folder" {closed}', folder=str(tmp_path / "out")
    )
    assert result.returncode == 1
    assert result.stderr == ""
    assert result.stdout.startswith("SSIM: 0.96") or ">&-" in closed.split("2")[0]
    assert set(contents(tmp_path / "out")) == SAVED
    assert shell(f"$run -f none {closed}").returncode == 2


def test_a_folder_that_is_removed_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, draw = tmp_path / "out", image_diff.draw

    def remove_and_draw(*arguments: object) -> object:
        shutil.rmtree(folder, ignore_errors=True)
        return draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(image_diff, "draw", remove_and_draw)
    assert main([*PAIR, "-o", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot write to {folder}: No such file or directory; "
        "make it writable, or name another folder\n"
    )
    assert not folder.exists()


def test_no_permission() -> None:
    """As another user, as root may write everywhere."""
    with TemporaryDirectory() as name:
        folder = Path(name, "out")
        folder.mkdir(mode=0o555)
        Path(name).chmod(0o755)
        pair = [
            str(write_png(Path(name, f"{stem}.png"), np.zeros((9, 9)))) for stem in "ab"
        ]
        arguments = ["-f", pair[0], "-s", pair[1], "--no-window", "-o"]
        # Once as root, so that every module is imported, should the other user not see
        # them.
        code = f"""
import image_diff, os
image_diff.main({[*arguments, name + "/before"]})
if os.geteuid() == 0:
    os.setuid(65534)
raise SystemExit(image_diff.main({[*arguments, str(folder)]}))
"""
        result = processes.run([sys.executable, "-c", code], cwd=ROOT)
        assert result.stderr == (
            f"error: cannot write to {folder}: Permission denied; "
            "make it writable, or name another folder\n"
        )
        assert result.returncode == 2
        assert list(folder.iterdir()) == []


def test_a_folder_in_the_place_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thresh.png").mkdir()
    assert main([*PAIR, "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/thresh.png is no file; name another folder for the output\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thresh.png"]


def test_one_picture_as_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ["-f", str(FIRST), "-s", str(FIRST), "--no-window", "--exit-code"]
    assert main([*pair, "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "SSIM: 1.0\nsame: the pictures are identical\n"
    files = contents(tmp_path)
    assert files["first.png"] == files["second.png"] == FIRST.read_bytes()


# --- Names ----------------------------------------------------------------------------

NAMES = [
    "a\nb.png",
    "\x1b[31mred.png",
    "'quoted\" `id` $(id).png",
    "-f.png",
    "--help",
    "%s%n%d.png",
    "n" * 251 + ".png",
    "\udcff\udcfe.png",
    "图.png",
    " .png",
    "a;b&c|d>e<f.png",
    "<b>&amp;.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    """Read and reported, also in a folder of such a name; nothing is run."""
    monkeypatch.chdir(tmp_path)
    for path, source in ((name, FIRST), ("other.png", SECOND)):
        Path(path).write_bytes(source.read_bytes())
    output = "out" + name[:200]
    words = [f"--first={name}", "--second", "other.png", "--json", "--no-window"]
    assert main([*words, f"--output={output}"]) == 0
    captured = capfd.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out)["first"] == name
    assert set(contents(Path(output))) == SAVED
    assert set(os.listdir()) == {name, "other.png", output}
    page = Path(output, "index.html").read_text()
    assert "<b>" not in page.split("<header>")[1].split("</h1>")[0].replace("<h1>", "")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_in_a_message(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    name: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([f"--first={name}", "--second", "none.png"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.endswith("name a picture that is there and may be read\n")
    assert captured.err.count("\n") == 1
    assert "\x1b" not in captured.err


def test_a_name_that_is_no_text_in_a_process_of_its_own(tmp_path: Path) -> None:
    name = "\udcff\udcfe.png"
    (tmp_path / name).write_bytes(FIRST.read_bytes())
    command = [sys.executable, str(SCRIPT), name, str(SECOND), "--json", "--no-window"]
    result = processes.run(command, cwd=tmp_path, env=ENVIRONMENT)
    assert (result.returncode, result.stderr) == (0, "")
    assert json.loads(result.stdout)["first"] == name
    result = processes.run([*command[:3], "none.png"], cwd=tmp_path, env=ENVIRONMENT)
    assert result.returncode == 2
    assert result.stderr.startswith("error: none.png cannot be read: ")


def test_links_in_a_loop(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    loop = tmp_path / "loop.png"
    loop.symlink_to(loop)
    assert main(["-f", str(loop), "-s", str(SECOND), "--no-window"]) == 2
    assert (
        "loop.png cannot be read: Too many levels of symbolic links"
        in capsys.readouterr().err
    )
    assert main([*PAIR, "-o", str(loop)]) == 2
    assert f"cannot write to {loop}: " in capsys.readouterr().err
    assert main([*PAIR, "-o", str(loop / "out")]) == 2
    assert f"cannot write to {loop}/out: " in capsys.readouterr().err


def test_an_output_that_links_to_an_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    picture.write_bytes(FIRST.read_bytes())
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "diff.png").symlink_to(picture)
    arguments = ["-f", str(picture), "-s", str(SECOND), "--no-window"]
    assert main([*arguments, "-o", str(tmp_path / "out")]) == 2
    assert "diff.png is an input; name another folder" in capsys.readouterr().err
    assert picture.read_bytes() == FIRST.read_bytes()


# --- What is saved --------------------------------------------------------------------


def test_the_page_takes_its_place_first_and_result_json_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are whole by then: none is written once the first has been moved."""
    moved: list[str] = []
    replace = os.replace

    def listening(source: str, target: str) -> None:
        left = {path.name for path in Path(source).parent.iterdir()}
        assert left == SAVED - set(moved)
        replace(source, target)
        moved.append(os.path.basename(target))

    monkeypatch.setattr(os, "replace", listening)
    assert main([*PAIR, "-o", str(tmp_path / "out")]) == 0
    assert set(moved) == SAVED
    assert (moved[0], moved[-1]) == ("index.html", "result.json")


def write_anew(path: Path) -> None:
    """Change the pixels in place; the size stays."""
    picture = decoded(path.read_bytes())
    size = path.stat().st_size
    write_png(path, np.roll(picture, 1, axis=1)[::-1])
    os.truncate(path, size)


def put_another(path: Path) -> None:
    """Move another picture to its place, with its times."""
    shutil.copyfile(SECOND, path.with_name("other.png"))
    stat = path.stat()
    times = stat.st_atime_ns, stat.st_mtime_ns
    os.utime(path.with_name("other.png"), ns=times)
    os.replace(path.with_name("other.png"), path)


@pytest.mark.parametrize(
    "change", [write_anew, put_another, Path.touch, Path.unlink, None]
)
def test_a_plain_png_that_changes_before_it_is_saved_is_saved_as_it_was_compared(
    tmp_path: Path, change: Callable[[Path], None] | None
) -> None:
    """And copied byte by byte where it does not change."""
    path = tmp_path / "first.png"
    path.write_bytes(FIRST.read_bytes())
    comparison = image_diff.compare_files(path, SECOND)
    if change:
        change(path)
    image_diff.save(comparison, tmp_path / "out")
    saved = contents(tmp_path / "out")
    assert (saved["first.png"] == FIRST.read_bytes()) == (change is None)
    assert saved["second.png"] == SECOND.read_bytes()
    assert np.array_equal(decoded(saved["first.png"]), comparison.first)


def decoded(data: bytes) -> Any:
    """The pixels of a picture's bytes."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


def test_arrays_are_not_saved_over_a_page_of_others(tmp_path: Path) -> None:
    page = tmp_path / "index.html"
    page.write_text("mine")
    comparison = image_diff.compare_images(np.zeros((9, 9)), np.ones((9, 9)))
    with pytest.raises(image_diff.ImageDiffError, match="is not of an earlier run"):
        comparison.save(tmp_path)
    assert page.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [page]


def test_arrays_are_saved_without_paths(tmp_path: Path) -> None:
    first, second = (image_diff.read_image(path).pixels for path in (FIRST, SECOND))
    comparison = image_diff.compare_images(first, second)
    record = image_diff.save(comparison, tmp_path / "arrays")
    assert (record["name"], record["first"], record["second"]) == (None, None, None)
    image_diff.compare_files(FIRST, SECOND).save(str(tmp_path / "files"))
    arrays, files = contents(tmp_path / "arrays"), contents(tmp_path / "files")
    assert json.loads(arrays["result.json"]) == record
    paths = {"first": str(FIRST), "second": str(SECOND)}
    assert json.loads(files["result.json"]) == record | paths
    assert b"<title>second compared with first</title>" in arrays["index.html"]
    for name in SAVED - {"index.html", "result.json"}:
        assert np.array_equal(decoded(arrays[name]), decoded(files[name])), name


# --- Two runs at once -----------------------------------------------------------------


def refusal_of(folder: Path) -> str:
    """What is told of a folder that another run holds."""
    return f"another run is writing to {folder}; wait for it, or name another folder"


@pytest.mark.slow
def test_of_runs_into_one_folder_at_once_each_saves_whole_or_is_refused(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "out"
    commands, wholes = [], []
    for threshold in ("0.1", "0.9"):
        options = ["--threshold", threshold, "--output"]
        command = [sys.executable, str(SCRIPT), *PAIR, *options]
        processes.run([*command, str(tmp_path / threshold)], check=True)
        wholes.append(contents(tmp_path / threshold))
        commands.append([*command, str(folder)])
    assert wholes[0].keys() == wholes[1].keys() == SAVED
    streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    started = [
        processes.start(command, text=True, **streams) for command in commands * 2
    ]
    ends = {
        (process.communicate(timeout=processes.PATIENCE)[1], process.returncode)
        for process in started
    }
    assert ("", 0) in ends
    assert ends <= {("", 0), (f"error: {refusal_of(folder)}\n", 2)}
    assert contents(folder) in wholes


def test_of_saves_at_the_same_moment_one_is_whole_and_the_others_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first waits in the middle of its moves until the others have ended."""
    folder = tmp_path / "out"
    comparisons = [
        image_diff.compare_files(FIRST, SECOND, threshold=threshold)
        for threshold in (0.1, 0.9)
    ]
    image_diff.save(comparisons[0], tmp_path / "alone")
    replace = os.replace
    refused: list[str] = []

    def save_meanwhile(source: str, target: str) -> None:
        if target.endswith("thresh.png"):
            for _ in range(3):
                with pytest.raises(image_diff.ImageDiffError) as caught:
                    image_diff.save(comparisons[1], folder)
                refused.append(str(caught.value))
        replace(source, target)

    monkeypatch.setattr(os, "replace", save_meanwhile)
    image_diff.save(comparisons[0], folder)
    assert refused == [refusal_of(folder)] * 3
    assert contents(folder) == contents(tmp_path / "alone")


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".image_diff-1").mkdir()
    (tmp_path / ".image_diff-1" / "diff.png").touch()
    (tmp_path / "mine.txt").touch()
    assert main([*PAIR, "-o", str(tmp_path)]) == 0
    assert set(contents(tmp_path)) == {*SAVED, "mine.txt"}


# --- Memory and threads ---------------------------------------------------------------


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A pair of 3 megapixels."""
    folder = tmp_path_factory.mktemp("photographs")
    grain = np.random.default_rng(0).integers(0, 256, (250, 375, 3), dtype=np.uint8)
    picture = cv2.resize(grain, (2000, 1500), interpolation=cv2.INTER_CUBIC)
    first = write_png(folder / "a.png", picture)
    picture[1000:1100, 1000:1300] = 0
    return [str(first), str(write_png(folder / "b.png", picture)), "--no-window"]


def with_memory(kilobytes: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the script with so much memory, in addresses, as on a machine of two cores.

    Each thread takes some.
    """
    limits = f"ulimit -c 0; ulimit -v {kilobytes}"
    command = ["bash", "-c", f'{limits}; exec "$@"', "bash", sys.executable]
    environment = ENVIRONMENT | {"OPENCV_FOR_THREADS_NUM": "2"}
    return processes.run([*command, str(SCRIPT), *arguments], env=environment)


def assert_compared_or_told(result: subprocess.CompletedProcess[str]) -> None:
    """It has ended well, or with one line; or the loader of libraries has ended it."""
    if result.returncode == 0:
        assert result.stderr == ""
    elif result.returncode == 127:  # glibc asks nobody, and may not even tell
        assert result.stderr == "" or "thread-local data: ABORT" in result.stderr
    else:
        assert result.returncode == 2, result.stderr
        assert result.stderr.startswith("error: ")
        assert result.stderr.count("\n") == 1


MEMORY_OPTIONS = [
    "",
    "--gray",
    "--align perspective",
    "--align elastic",
    "--tolerance 2 --output out",
]


@pytest.mark.skipif(sys.platform != "linux", reason="needs ulimit -v")
@pytest.mark.parametrize("options", MEMORY_OPTIONS)
@pytest.mark.slow
def test_memory_that_runs_out(
    tmp_path: Path, photographs: list[str], options: str
) -> None:
    """From what OpenCV's import needs, some 330 MB, to what each of these needs."""
    folder = tmp_path / "out"
    words = options.replace(" out", f" {folder}").split()
    ends = set()
    for megabytes in range(350, 1101, 125):
        result = with_memory(1000 * megabytes, *photographs, *words)
        assert_compared_or_told(result)
        ends.add(result.returncode)
        if "--output" in words:
            left = contents(folder) if folder.exists() else {}
            assert set(left) == (set() if result.returncode else SAVED)
            shutil.rmtree(folder, ignore_errors=True)
    assert ends == {0, 2}


def memory_of_the_imports() -> int:
    """How many kilobytes, in addresses, NumPy and OpenCV alone take."""
    code = "import cv2; print(open('/proc/self/status').read())"
    environment = ENVIRONMENT | {"OPENBLAS_NUM_THREADS": "1"}
    result = processes.run([sys.executable, "-c", code], env=environment)
    (line,) = (line for line in result.stdout.splitlines() if "VmPeak" in line)
    return int(line.split()[1])


@pytest.mark.skipif(sys.platform != "linux", reason="needs ulimit -v")
@pytest.mark.slow
def test_memory_that_runs_out_while_importing() -> None:
    """Below 100 MB NumPy's OpenBLAS ends the process itself: this begins at a half."""
    most = memory_of_the_imports()
    limits = [*range(most // 2, most - 4000, 20_000), *range(most - 4000, most, 500)]
    for kilobytes in limits:
        result = with_memory(kilobytes, str(FIRST), str(SECOND), "--no-window")
        assert_compared_or_told(result)
        assert "apt-get" not in result.stderr or "failed to map" not in result.stderr


@contextlib.contextmanager
def refused_threads(allowed: int) -> Iterator[list[threading.Thread]]:
    """Have the system start so many threads alone; those that it has started."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def refusing(self: threading.Thread) -> None:
        if len(started) >= allowed:
            raise RuntimeError("can't start new thread")
        started.append(self)
        start(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refusing)
        yield started


NO_THREAD = (
    "error: the system refuses: can't start new thread; "
    "free its memory, files or processes\n"
)


@pytest.mark.slow
def test_threads_that_the_system_refuses(
    tmp_path: Path, large: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """None at all, then one more each time, until there are enough."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(4)
    folder = tmp_path / "out"
    ends: list[int] = []
    try:
        while 0 not in ends:
            with refused_threads(len(ends)):
                ends.append(main([*large, str(folder)]))
            assert capsys.readouterr().err == (NO_THREAD if ends[-1] else "")
            assert not folder.exists() or set(contents(folder)) in (set(), SAVED)
    finally:
        cv2.setNumThreads(before)
    assert ends[:-1] == [2] * (len(ends) - 1)


def test_addresses_are_asked_for_as_many_threads_as_begin(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[int] = []
    monkeypatch.setattr(image_diff, "check_addresses", asked.append)
    monkeypatch.setattr(cv2, "getNumThreads", lambda: 64)
    assert image_diff.map_on_cores(abs, [-1, 2, -3], large=True) == [1, 2, 3]
    assert asked == [3]


@pytest.mark.slow
def test_a_limit_of_threads() -> None:
    """As another user, as root has no such limit; the modules are imported before."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        paths = [Path(name, f"{stem}.png") for stem in "ab"]
        rng = np.random.default_rng(0)
        for path in paths:
            write_png(path, rng.integers(0, 256, (1200, 1600, 3), dtype=np.uint8))
        arguments = [*map(str, paths), "--no-window"]
        code = f"""
import os, resource, signal
import image_diff
image_diff.main({arguments})
resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
if os.geteuid() == 0:
    os.setuid(65534)
status = image_diff.main({arguments})
print(status, signal.pthread_sigmask(signal.SIG_BLOCK, ()))
"""
        result = processes.run([sys.executable, "-c", code], cwd=ROOT)
        assert result.stderr == NO_THREAD
        assert result.stdout.splitlines()[-1] == "2 set()"


# --- Signals --------------------------------------------------------------------------

# What ends it before its own handlers are set: for SIGINT one that looks alike.
EARLY = {signal.SIGINT: 130, signal.SIGTERM: -15, signal.SIGHUP: -1}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """A pair that takes longer to save than to start."""
    folder = tmp_path_factory.mktemp("large")
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (1200, 1600, 3), dtype=np.uint8)
    first = write_png(folder / "a.png", picture)
    picture[100:200, 100:300] = 0
    second = write_png(folder / "b.png", picture)
    return ["--first", str(first), "--second", str(second), "--no-window", "--output"]


def begun(command: list[str]) -> subprocess.Popen[bytes]:
    """A process whose Python has started, and come to the script's slow imports."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = processes.start(command, env=ENVIRONMENT, **streams)
    maps = Path(f"/proc/{process.pid}/maps")
    processes.wait_for(lambda: b"numpy" in maps.read_bytes(), "numpy is loaded")
    return process


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.slow
def test_signals_at_random_moments(
    tmp_path: Path, large: list[str], number: signal.Signals
) -> None:
    """15 times each: what is there is whole, nothing is left over, nothing is said."""
    command = [sys.executable, str(SCRIPT), *large]
    began = time.monotonic()
    with begun([*command, str(tmp_path / "whole")]) as process:
        process.communicate(timeout=processes.PATIENCE)
    seconds = time.monotonic() - began
    expected, chance, ends = contents(tmp_path / "whole"), random.Random(number), set()
    assert set(expected) == SAVED
    for turn in range(15):
        folder = tmp_path / str(turn)
        with begun([*command, str(folder)]) as process:
            if turn:  # the first is sent at once, so that one at least is not late
                time.sleep(chance.random() * seconds)
            process.send_signal(number)
            out, err = process.communicate(timeout=processes.PATIENCE)
        ends.add(process.returncode)
        assert process.returncode in (0, EARLY[number], 128 + number)
        assert err == b""
        assert out == b"" or b"\nthreshold: " in out
        left = contents(folder) if folder.exists() else {}
        assert all(expected[name] == data for name, data in left.items())
        assert set(left) <= SAVED
        assert ("result.json" in left) == (set(left) == SAVED)
        assert process.returncode != 0 or set(left) == SAVED
    assert ends & {EARLY[number], 128 + number}


@pytest.fixture(scope="module")
def thresholds(
    large: list[str], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """Folders with the results of the large pair, by the threshold."""
    folder = tmp_path_factory.mktemp("thresholds")
    results = {threshold: folder / threshold for threshold in ("0.1", "0.9")}
    for threshold, result in results.items():
        assert main([*large, str(result), "--threshold", threshold]) == 0
    return results


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.slow
def test_several_signals_while_saving(
    tmp_path: Path,
    large: list[str],
    thresholds: dict[str, Path],
    number: signal.Signals,
) -> None:
    """Over an older result: each file is the old or the new one, and nothing else."""
    command = [sys.executable, str(SCRIPT), *large]
    old, new = map(contents, thresholds.values())
    output = tmp_path / "out"
    ends = set()
    for _ in range(3):
        shutil.rmtree(output, ignore_errors=True)
        shutil.copytree(thresholds["0.1"], output)
        with begun([*command, str(output), "--threshold", "0.9"]) as process:

            def is_saving(process: subprocess.Popen[bytes] = process) -> bool:
                saving = any(output.glob(".image_diff-*/*"))
                return saving or process.poll() is not None

            processes.wait_for(is_saving, "files are written")
            for _ in range(3):  # as one who is impatient does
                process.send_signal(number)
            _, err = process.communicate(timeout=processes.PATIENCE)
        assert err == b""
        ends.add(process.returncode)
        left = contents(output)
        assert left.keys() == SAVED
        assert all(data in (old[name], new[name]) for name, data in left.items())
        if left["result.json"] == new["result.json"]:
            assert left == new
    # 0: the machine was busy with something else. EARLY: so it was between two of the
    # signals, and one came when all was put away; a shell sees the same status.
    assert ends <= {128 + number, EARLY[number], 0}


def stopped_at(moment: int, action: Callable[[], object]) -> str | None:
    """Have a signal end something at its so manieth step; where, None: it has fewer."""
    left = moment
    place = None

    def stop(number: int, frame: FrameType | None) -> None:
        raise image_diff.Stopped(number)

    def step(frame: FrameType, event: str, argument: Any) -> Any:
        nonlocal left, place
        if event == "return" and frame.f_code.co_flags & inspect.CO_GENERATOR:
            return step  # at a yield there is no such moment
        left -= 1
        if left == 0:
            place = f"{frame.f_code.co_filename}:{frame.f_lineno}, {event}"
            signal.raise_signal(signal.SIGTERM)
        return step

    before = signal.signal(signal.SIGTERM, stop)
    with contextlib.suppress(image_diff.Stopped):
        sys.settrace(step)
        try:
            action()
        finally:
            sys.settrace(None)
    signal.signal(signal.SIGTERM, before)
    return place


def faults_of(
    action: Callable[[], object], folder: Path, stride: int
) -> dict[int, str]:
    """What else a signal leaves of what an action writes into a folder, by its step.

    It comes at the first step, and at every so manieth from there on. Each file is to
    be there as the action alone writes it, as it was, or not at all.
    """
    before = contents(folder)
    action()
    whole = contents(folder)
    faults = {}
    for moment in range(1, 100_000, stride):
        shutil.rmtree(folder)
        folder.mkdir()
        for name, data in before.items():
            (folder / name).write_bytes(data)
        place = None
        try:
            place = stopped_at(moment, action)
        except Exception as problem:
            faults[moment] = repr(problem)
        for path in folder.iterdir():
            name = path.name
            known = name in whole and path.read_bytes() in (
                before.get(name),
                whole[name],
            )
            if not known:
                faults[moment] = f"{name} at {place}"
        if place is None and moment not in faults:
            break
    assert contents(folder) == whole
    return faults


FEW = "index.html", "first.png", "result.json"


def faults_of_a_writer(which: str, folder: Path) -> dict[int, str]:
    """`faults_of` a save of its first file, its last and another, or of less."""
    picture = np.zeros((9, 9), np.uint8)
    comparison = image_diff.compare_images(picture, picture)
    path = str(folder / "index.html")
    files_of = image_diff.files_of

    def few_files(*arguments: Any) -> dict[str, Callable[[], bytes]]:
        files = files_of(*arguments)
        return {name: files[name] for name in FEW}

    def append() -> None:
        with open(path, "ab", buffering=0) as file:
            image_diff.append_whole(file, "line")

    writers: dict[str, Callable[[], object]] = {
        "save": lambda: image_diff.save(comparison, folder),
        "threads": lambda: image_diff.save(comparison, folder),
        "replace": lambda: image_diff.replace_file(path, iter(["half", "whole"])),
        "append": append,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(image_diff, "files_of", few_files)
        stride = 1
        if which == "threads":
            patch.setattr(image_diff, "LARGE_PICTURE", 0)
            stride = 3  # all of them take 15 s
        image_diff.save(comparison, folder)  # what it imports is imported
        (folder / "result.json").write_text("older")
        return faults_of(writers[which], folder, stride)


@pytest.mark.parametrize("which", ["save", "threads", "replace", "append"])
@pytest.mark.slow
def test_a_signal_at_any_step_leaves_nothing_half_written(
    tmp_path: Path, which: str
) -> None:
    """Python runs the handler of a signal between two steps of the main thread.

    In a process of its own, which can be ended where a lock stays locked.
    """
    code = f"""
from pathlib import Path
import test_robust
print(test_robust.faults_of_a_writer({which!r}, Path({str(tmp_path)!r})))
"""
    places = [ROOT, ROOT / "tests", ROOT / "tests/tools"]
    variables = {"PYTHONPATH": os.pathsep.join(map(str, places))}
    result = processes.run([sys.executable, "-c", code], env=ENVIRONMENT | variables)
    assert (result.stdout, result.stderr) == ("{}\n", "")


@pytest.mark.slow
def test_the_shell_sees_130_143_and_129(tmp_path: Path) -> None:
    # It is read for ever, so that the signal never comes too late.
    silent = tmp_path / "silent"
    os.mkfifo(silent)
    # With job control, as otherwise a shell has its background ignore SIGINT. The pipe
    # opens when its other side does.
    command = f"{sys.executable} {SCRIPT} -f {silent} -s {silent} --no-window"
    script = tmp_path / "script.sh"
    for name, status in (("INT", 130), ("TERM", 143), ("HUP", 129)):
        wait = f"exec 3>{silent}; kill -{name} $pid; wait $pid"
        script.write_text(f'set -m; {command} & pid=$!; {wait}; echo "status $?"')
        result = processes.run(["bash", script], env=ENVIRONMENT)
        assert f"status {status}" in result.stdout


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP"])
@pytest.mark.slow
def test_a_signal_that_is_ignored_stays_so(tmp_path: Path, name: str) -> None:
    """As in a shell's background, and after nohup."""
    slow = tmp_path / "slow"
    os.mkfifo(slow)
    command = [sys.executable, str(SCRIPT), str(slow), str(SECOND), "--no-window"]
    trap = ["sh", "-c", f"trap '' {name}; exec \"$@\"", "sh"]
    process = processes.start(
        [*trap, *command], stdout=subprocess.PIPE, text=True, env=ENVIRONMENT
    )
    with open(slow, "wb") as pipe:  # once it is read
        process.send_signal(signal.Signals[f"SIG{name}"])
        pipe.write(FIRST.read_bytes())
    out, _ = process.communicate(timeout=processes.PATIENCE)
    assert process.returncode == 0
    assert out.startswith("SSIM: 0.96")


RUNS = {
    "a pair": (PAIR, 0),
    "a picture that is not there": (["none.png", str(SECOND)], 2),
    "bad usage": (["--none"], 2),
    "folders": ([str(ROOT / "images")] * 2, 0),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_program_that_calls_main_keeps_its_handlers(name: str) -> None:
    arguments, status = RUNS[name]

    def own(number: int, frame: FrameType | None) -> None:
        """Do nothing."""

    before = {number: signal.signal(number, own) for number in SIGNALS}
    try:
        assert main(arguments) == status
        assert [signal.getsignal(number) for number in SIGNALS] == [own] * len(SIGNALS)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_main_in_another_thread_sets_no_handlers() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with ThreadPoolExecutor(1) as executor:
        assert executor.submit(main, PAIR).result() == 0
    assert [signal.getsignal(number) for number in SIGNALS] == before


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_status_of_main_and_no_more(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: signal.Signals,
) -> None:
    """And those that come on the way out change nothing."""

    def interrupt(source: str, target: str) -> None:
        try:
            signal.raise_signal(number)
        finally:
            for other in SIGNALS:
                signal.raise_signal(other)

    before = signal.signal(number, signal.SIG_DFL)
    monkeypatch.setattr(os, "replace", interrupt)
    try:
        assert main([*PAIR, "-o", str(tmp_path / "out")]) == 128 + number
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert contents(tmp_path / "out") == {}
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("interruptible")
def test_a_program_that_imports_us_gets_its_own_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    comparison = image_diff.compare_files(FIRST, SECOND)

    def interrupt(source: str, target: str) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        comparison.save(tmp_path / "out")
    assert contents(tmp_path / "out") == {}
    assert signal.getsignal(signal.SIGINT) is handler


# --- Repetition -----------------------------------------------------------------------


def test_the_same_bytes_on_any_number_of_threads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before, results = cv2.getNumThreads(), []
    try:
        for threads in (1, 2, 8, 8):
            cv2.setNumThreads(threads)
            assert main([*PAIR, "--json", "-o", str(tmp_path / "out")]) == 0
            results.append((capsys.readouterr().out, contents(tmp_path / "out")))
    finally:
        cv2.setNumThreads(before)
    assert all(result == results[0] for result in results)
