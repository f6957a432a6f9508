"""What happens around a comparison: writes, names, two runs at once, signals."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import pytest

import image_diff
import processes
from image_diff import main

ROOT = Path(image_diff.__file__).parent
SCRIPT = ROOT / "image_diff.py"
FIRST, SECOND = ROOT / "images/original_02.png", ROOT / "images/modified_02.png"
PAIR = ["--first", str(FIRST), "--second", str(SECOND), "--no-window"]
FILES = {
    *(
        "original.png",
        "modified.png",
        "first.png",
        "second.png",
        "diff.png",
        "thresh.png",
    ),
    *("result.json", "index.html"),
}
ENVIRONMENT = {key: value for key, value in os.environ.items() if key != "DISPLAY"}


def shell(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a line of shell in which $run stands for the command on the sample pair."""
    variables = {"run": f"{sys.executable} {SCRIPT} {' '.join(PAIR)}", **variables}
    return processes.run(["bash", "-c", command], env=ENVIRONMENT | variables)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def write_png(path: Path, picture: object) -> Path:
    """Write a picture and return its path."""
    path.write_bytes(cv2.imencode(".png", np.asarray(picture, np.uint8))[1].tobytes())
    return path


# --- Writes ---------------------------------------------------------------------------


def test_a_reader_that_has_gone_is_no_trouble(tmp_path: Path) -> None:
    for form in ("", "--json"):
        folder = tmp_path / f"out{form}"
        result = shell(
            f'$run {form} -o "$folder" | true; echo ${{PIPESTATUS[0]}}',
            folder=str(folder),
        )
        assert (result.stdout, result.stderr) == ("0\n", "")
        assert set(contents(folder)) == FILES


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
    assert set(contents(tmp_path / "out")) == FILES
    assert shell(f"$run -f none {closed}").returncode == 2
    folders = shell(
        f'$run -f "$images" -s "$images" {closed}', images=os.path.dirname(PAIR[1])
    )
    assert (folders.returncode, folders.stderr) == (0, "")


def test_a_file_that_grows_too_large_leaves_what_was_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*PAIR, "-o", str(tmp_path)]) == 0
    before = contents(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
        assert main([*PAIR, "--threshold", "0.1", "-o", str(tmp_path)]) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert capsys.readouterr().err == (
        f"error: cannot write to {tmp_path}: File too large; "
        "free or name another folder\n"
    )
    assert contents(tmp_path) == before


def test_a_folder_that_is_removed_in_the_middle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import shutil

    folder, draw = tmp_path / "out", image_diff.draw

    def remove_and_draw(*arguments: object) -> object:
        shutil.rmtree(folder, ignore_errors=True)
        return draw(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(image_diff, "draw", remove_and_draw)
    assert main([*PAIR, "-o", str(folder)]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot write to {folder}: No such file or directory; "
        "free or name another folder\n"
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
            "free or name another folder\n"
        )
        assert result.returncode == 2
        assert list(folder.iterdir()) == []


def test_a_folder_in_the_place_of_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thresh.png").mkdir()
    assert main([*PAIR, "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path}/thresh.png is a folder; "
        "name another folder for the output\n"
    )
    assert [path.name for path in tmp_path.iterdir()] == ["thresh.png"]


def test_one_picture_as_both(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair = ["-f", str(FIRST), "-s", str(FIRST), "--no-window", "--exit-code"]
    assert main([*pair, "-o", str(tmp_path)]) == 0
    assert capsys.readouterr().out.startswith("SSIM: 1.0\n0 regions")
    files = contents(tmp_path)
    assert files["first.png"] == files["second.png"] == FIRST.read_bytes()


# --- Names ----------------------------------------------------------------------------

NAMES = [
    *(
        "a\nb.png",
        "\x1b[31mred.png",
        "'quoted\" `id` $(id).png",
        "-f.png",
        "--help",
        "%s%n%d.png",
    ),
    *(
        "n" * 251 + ".png",
        "\udcff\udcfe.png",
        "图.png",
        " .png",
        "a;b&c|d>e<f.png",
        "<b>&amp;.png",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name(tmp_path: Path, name: str) -> None:
    """Read and reported, also in a folder of such a name; nothing is run."""
    folder = tmp_path / "here"
    folder.mkdir()
    for path, source in ((folder / name, FIRST), (folder / "other.png", SECOND)):
        path.write_bytes(source.read_bytes())
    output = "out" + name[:200]
    command = [sys.executable, str(SCRIPT), f"--first={name}", "--second", "other.png"]
    command += ["--json", "--no-window", f"--output={output}"]
    result = processes.run(command, cwd=folder, env=ENVIRONMENT, text=False)
    assert (result.returncode, result.stderr) == (0, b"")
    record = json.loads(result.stdout)
    assert record["first"] == name
    assert set(contents(folder / output)) == FILES
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        {name, "other.png", output}
    )
    page = (folder / output / "index.html").read_text()
    assert "<b>" not in page.split("<header>")[1].split("</h1>")[0].replace("<h1>", "")


@pytest.mark.parametrize("name", NAMES)
def test_any_name_in_a_message(tmp_path: Path, name: str) -> None:
    command = [sys.executable, str(SCRIPT), f"--first={name}", "--second", "none.png"]
    result = processes.run(command, cwd=tmp_path, env=ENVIRONMENT, text=False)
    assert result.returncode == 2
    assert result.stdout == b""
    assert result.stderr.endswith(b"name a picture that is there and may be read\n")
    assert result.stderr.count(b"\n") == 1
    assert b"\x1b" not in result.stderr


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


# --- Two runs at once -----------------------------------------------------------------


@pytest.mark.slow
def test_two_runs_into_one_folder_leave_a_whole_result_of_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    commands, wholes = [], []
    for threshold in ("0.1", "0.9"):
        options = ["--threshold", threshold, "--output"]
        command = [sys.executable, str(SCRIPT), *PAIR, *options]
        processes.run([*command, str(tmp_path / threshold)], check=True)
        wholes.append(contents(tmp_path / threshold))
        commands.append([*command, str(folder)])
    assert wholes[0].keys() == wholes[1].keys() == FILES
    for _ in range(2):
        streams = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
        started = [
            processes.start(command, **streams) for command in [*commands, *commands]
        ]
        for process in started:
            assert process.communicate(timeout=processes.PATIENCE)[1] == b""
            assert process.returncode == 0
        assert contents(folder) in wholes


def test_two_saves_at_the_same_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each file is moved a little later than the one before: others could come in."""
    move = os.replace

    def slowly(source: str, target: str) -> None:
        time.sleep(0.01)
        move(source, target)

    monkeypatch.setattr(os, "replace", slowly)
    comparisons = [
        image_diff.compare_files(FIRST, SECOND, image_diff.Options(threshold=threshold))
        for threshold in (0.1, 0.9)
    ]
    records = [
        image_diff.as_record(comparison, FIRST, SECOND) for comparison in comparisons
    ]
    wholes = []
    for comparison, record in zip(comparisons, records, strict=True):
        image_diff.save(comparison, record, tmp_path / "alone")
        wholes.append(contents(tmp_path / "alone"))
    with ThreadPoolExecutor(4) as executor:
        folders = [tmp_path / "out"] * 4
        list(executor.map(image_diff.save, comparisons * 2, records * 2, folders))
    assert contents(tmp_path / "out") in wholes


def test_what_a_killed_run_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / ".image_diff-1").mkdir()
    (tmp_path / ".image_diff-1" / "diff.png").touch()
    (tmp_path / "mine.txt").touch()
    assert main([*PAIR, "-o", str(tmp_path)]) == 0
    assert set(contents(tmp_path)) == {*FILES, "mine.txt"}


# --- Signals --------------------------------------------------------------------------


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


STATUS = {signal.SIGINT: 130, signal.SIGTERM: -signal.SIGTERM}


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_signals_at_random_moments(
    tmp_path: Path, large: list[str], number: signal.Signals
) -> None:
    """25 times each: what is there is whole, nothing is left over, nothing is said."""
    command = [sys.executable, str(SCRIPT), *large]
    began = time.monotonic()
    with begun([*command, str(tmp_path / "whole")]) as process:
        process.communicate(timeout=processes.PATIENCE)
    seconds = time.monotonic() - began
    expected, rng, ends = contents(tmp_path / "whole"), random.Random(number), set()
    assert set(expected) == FILES
    for turn in range(25):
        folder = tmp_path / str(turn)
        with begun([*command, str(folder)]) as process:
            if (
                turn
            ):  # the first is sent at once, so that one at least does not come late
                time.sleep(rng.random() * seconds)
            process.send_signal(number)
            out, err = process.communicate(timeout=processes.PATIENCE)
        ends.add(process.returncode)
        assert process.returncode in (0, STATUS[number])
        assert err == b""
        assert out == b"" or out.endswith((b"leaves a region\n", b"no region\n"))
        left = contents(folder) if folder.exists() else {}
        assert all(expected[name] == data for name, data in left.items())
        assert set(left) <= FILES
        assert process.returncode != 0 or set(left) == FILES
    assert STATUS[number] in ends


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.slow
def test_signals_while_saving(
    tmp_path: Path, large: list[str], number: signal.Signals
) -> None:
    """What was begun is ended first: all is there and whole, also over an older one."""
    command = [sys.executable, str(SCRIPT), *large, str(tmp_path / "out")]
    wholes = []
    ends = set()
    for _ in range(5):
        with begun(command) as process:

            def is_saving(process: subprocess.Popen[bytes] = process) -> bool:
                saving = any(tmp_path.glob("out/.image_diff-*/*"))
                return saving or process.poll() is not None

            processes.wait_for(is_saving, "files are written")
            process.send_signal(number)
            _, err = process.communicate(timeout=processes.PATIENCE)
        assert err == b""
        ends.add(process.returncode)
        wholes.append(contents(tmp_path / "out"))
    assert ends <= {STATUS[number], 0}  # 0: the machine was busy with something else
    processes.run([*command[:-1], str(tmp_path / "calm")], check=True)
    assert set(wholes[0]) == FILES
    assert wholes == [contents(tmp_path / "calm")] * 5


@pytest.mark.slow
def test_the_shell_sees_130_and_143(tmp_path: Path) -> None:
    # It is read for ever, so that the signal never comes too late.
    os.mkfifo(tmp_path / "silent")
    # With job control, as otherwise a shell has its background ignore SIGINT. The pipe
    # opens when its other side does.
    line = "set -m; $run & pid=$!; exec 3>$silent; kill -{} $pid; wait $pid"
    silent = tmp_path / "silent"
    command = f"{sys.executable} {SCRIPT} -f {silent} -s {silent} --no-window"
    for name, status in (("INT", 130), ("TERM", 143)):
        script = tmp_path / "script.sh"
        run_line = line.format(name).replace("$run", command)
        run_line = run_line.replace("$silent", str(silent))
        script.write_text(f'{run_line}; echo "status $?"')
        result = processes.run(["bash", script], env=ENVIRONMENT)
        assert f"status {status}" in result.stdout


@pytest.mark.usefixtures("interruptible")
def test_a_program_that_imports_us_gets_its_own_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = signal.getsignal(signal.SIGINT)
    comparison = image_diff.compare_files(FIRST, SECOND)
    record = image_diff.as_record(comparison, FIRST, SECOND)
    page = image_diff.page

    def interrupt(source: str, target: str) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        image_diff.save(comparison, record, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []
    assert signal.getsignal(signal.SIGINT) is handler
    assert image_diff.page is page


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
