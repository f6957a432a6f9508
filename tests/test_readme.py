"""The README: every command in it runs as it stands, and nothing is left untold."""

import argparse
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import detection
import geometry
import image_diff
import processes
import truth
from chromium import MISSING
from image_diff import parse
from line_art import FINE
from test_image_diff import PAIRS, ROOT, SCRIPT

README = (ROOT / "README.md").read_text()
COMMANDS = re.findall(r"^    (python image_diff\.py .*)$", README, re.MULTILINE)
RESULTS = (ROOT / "tests/RESULTS.md").read_text()
MEASURES = sorted(set(re.findall(r"`(python tests/tools/[^`]*)`", RESULTS)))


def scanned(page: truth.Picture, warp: geometry.Warp) -> truth.Picture:
    """A page as a scanner or a camera sees it: moved, with noise."""
    return truth.noise(warp.render(page, 255), 2, truth.random_of("scan"))


def one_among_many() -> dict[str, truth.Picture]:
    """A picture, the same in a folder, and a page that it is a part of."""
    logo = truth.photo("chelsea.png")[60:240, 100:280]
    page = np.pad(logo, ((30, 300), (30, 180), (0, 0)), constant_values=255)
    return {"logo.png": logo, "pictures/a.png": logo, "page.png": page}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A newcomer's folder: the script, and the pictures beside it."""
    folder = tmp_path_factory.mktemp("newcomer")
    for name in ("image_diff.py", "images"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def folder(clone: Path) -> Path:
    """The same, with pictures as the recipes name them."""

    def write(name: str, picture: truth.Picture) -> None:
        (clone / name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(clone / name), picture)

    random = truth.random_of("README")
    page = truth.document(columns=2, size=13)
    size = page.shape[1], page.shape[0]
    changed = page.copy()
    truth.remove(changed, truth.Box(60, 200, 120, 20), random)
    screen = truth.BASES["dev"]["light screen"]()
    board = detection.LINE_ART["dev"]["drilled board"]()
    spoiled = detection.spoiled("README", board, 0, 4)
    drift = geometry.smooth(size, random, 2)
    board_size = board.ink.shape[1] // FINE, board.ink.shape[0] // FINE
    warp = geometry.smooth(board_size, random, 2)

    for index in range(3):
        write(f"baseline/page {index}.png", screen)
        write(f"screenshots/page {index}.png", truth.noise(screen, 2, random))
    edited = screen.copy()
    truth.write(edited, truth.Box(200, 380, 150, 30), random)
    write("screenshots/page 1.png", edited)
    write("contract.png", page)
    write("scan.png", scanned(changed, drift))
    photo = truth.photo("coffee.png")
    after = photo.copy()
    truth.turn_hue(after, truth.Box(180, 120, 60, 60), random)
    tilt = geometry.tilted((photo.shape[1], photo.shape[0]), random)
    for names, (first, second) in {
        ("before.jpg", "after.jpg"): (photo, scanned(after, tilt)),
        ("original.png", "photo.jpg"): (photo, scanned(photo, tilt)),
    }.items():
        write(names[0], first)
        write(names[1], second)
    write("master.png", board.scan(board.ink))
    write("print.png", board.scan(warp.render(spoiled.picture, 0, FINE)))
    for name, picture in one_among_many().items():
        write(name, picture)
    write("pictures/b.png", screen)
    for name, other in ("old.pdf", page), ("new.pdf", changed):
        sheets = [Image.fromarray(sheet) for sheet in (screen, other)]
        sheets[0].save(clone / name, save_all=True, append_images=sheets[1:])
    shutil.copytree(clone / "baseline", clone / "old")
    shutil.copytree(clone / "screenshots", clone / "new")
    return clone


def run(
    command: str, folder: Path, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a line of the README, with no screen."""
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    environment |= variables
    environment["PATH"] = (
        f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    )
    return processes.run(command, shell=True, cwd=folder, env=environment)


def test_the_first_command_prints_what_the_readme_shows(clone: Path) -> None:
    install, command = re.findall(
        r"^    (python -m pip .*) && (.*)$", README, re.MULTILINE
    )[0]
    assert install == "python -m pip install -r requirements.txt"
    result = run(command, clone)
    assert result.returncode == 0
    # The last digit of the score is the sum's rounding, in the order of the machine's
    # vectors.
    shown = README[README.index("    SSIM: 0.") :].splitlines()
    score, *lines = result.stdout.splitlines()
    assert shown[0][:20] == f"    {score}"[:20]
    assert shown[1 : 1 + len(lines)] == [f"    {line}" for line in lines]


EXPECTED = {  # by the first picture: the status, and a line that is printed
    "baseline": (
        1,
        r"3 pairs: 2 same, 1 different, 0 without a partner, 0 with errors; .*",
    ),
    "contract.png": (0, r"different: 1 region, .*"),
    "before.jpg": (0, r"different: 1 region, .*"),
    "master.png": (0, r"different: 4 regions, .*"),
    "old": (0, r"3 pairs: 2 same, 1 different, .*"),
    "old.pdf": (0, r"2 pairs: 1 same, 1 different, .*"),
    "logo.png": (0, r"same +a\.png: likeness 1\.000, a copy or an edit, SSIM 1\.0"),
    "page.png": (0, r"different +a\.png: likeness 0\.[89]\d+, .*, SSIM .*"),
    "original.png": (0, r"alignment perspective: \d+ matches agree, .*"),
}


@pytest.mark.parametrize(
    "command", [line for line in COMMANDS if "--scheduler" not in line]
)
@pytest.mark.slow
def test_each_recipe_finds_what_there_is(command: str, folder: Path) -> None:
    first = parse(shlex.split(command)[2:])[0].first
    status, line = EXPECTED[first]
    result = run(command, folder)
    assert result.returncode == status, result.stderr
    assert any(re.fullmatch(line, printed) for printed in result.stdout.splitlines()), (
        result.stdout
    )


@pytest.mark.slow
def test_the_three_commands_of_a_cluster(folder: Path) -> None:
    commands = re.findall(
        r"^    (dask .*|python .* --scheduler .*)$", README, re.MULTILINE
    )
    assert [command.split()[1] for command in commands] == [
        "scheduler",
        "worker",
        "image_diff.py",
    ]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    scheduler, worker, command = (
        line.replace("HOST:8786", address) for line in commands
    )
    scheduler += f" --host tcp://{address} --dashboard-address 127.0.0.1:0"
    cluster = [
        processes.start(
            [Path(sys.executable).parent / "dask", *shlex.split(line)[1:]],
            cwd=folder,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        for line in (scheduler, f"{worker} --dashboard-address 127.0.0.1:0")
    ]
    try:
        processes.wait_for(
            lambda: not run(command, folder).returncode, "all have begun"
        )
        result = run(command, folder)
        assert "3 pairs: 2 same, 1 different" in result.stdout, result.stderr
    finally:
        for process in cluster:
            # With its children; a worker that is asked to end may wait.
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_git_difftool_shows_pictures(tmp_path: Path) -> None:
    lines = re.findall(r"^    (git config .*)$", README, re.MULTILINE)
    assert len(lines) == 2

    def git(command: str) -> str:
        project, home = tmp_path / "a project", str(tmp_path)
        result = run(command, project, HOME=home, GIT_CONFIG_NOSYSTEM="1")
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    (tmp_path / "a project").mkdir()
    git("git init -q && git config user.email a@b.c && git config user.name tester")
    (tmp_path / "a project" / "card.png").write_bytes(PAIRS[1][0].read_bytes())
    git("git add . && git commit -qm first")
    (tmp_path / "a project" / "card.png").write_bytes(PAIRS[1][1].read_bytes())
    for line in lines:
        git(line.replace("/path/to/image_diff.py", str(SCRIPT)))
    output = git("git difftool --no-prompt")
    assert output.startswith("SSIM: 0.9636648778788")
    assert "\ndifferent: 3 regions, " in output


def test_the_python_in_it_runs(clone: Path) -> None:
    code = README.split("```python\n")[1].split("```")[0]
    result = processes.run([sys.executable, "-c", code], cwd=clone)
    assert result.returncode == 0
    shown = re.findall(r"^print\(.*\)  # (.*)$", code, re.MULTILINE)
    assert shown
    assert [line for line in result.stdout.splitlines() if line in shown] == shown


def told(heading: str) -> list[str]:
    """The names in the first column of the table below a heading."""
    section = README.split(f"\n{heading}\n")[1].split("\n#")[0]
    first = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    return re.findall(r"`(?:(?!`).)*`", " ".join(first))


def test_every_option_is_told_once() -> None:
    flags = [flag.strip("`").split()[0].rstrip(",") for flag in told("## Options")]
    actions = image_diff.make_parser()._actions[1:]  # the first is --help
    told_there = [action for action in actions if action.help != argparse.SUPPRESS]
    assert flags == [flag for action in told_there for flag in action.option_strings]


def test_every_key_of_the_json_is_told_once() -> None:
    section = README.split("\nThe JSON object has")[1].split("\n\n## ")[0]
    first = re.findall(r"^\| (`[^|]*) \|", section, re.MULTILINE)
    assert re.findall(r"`(\w+)`", " ".join(first)) == list(image_diff.EMPTY_RECORD)


def test_every_exit_status_is_told_once() -> None:
    section = README.split("\n### Exit status\n")[1].split("\n## ")[0]
    first = re.findall(r"^\| (\d[^|]*) \|", section, re.MULTILINE)
    statuses = re.findall(r"\d+", " ".join(first))
    assert [int(status) for status in statuses] == list(image_diff.ExitStatus)


SHORT = {
    "benchmark.py": "--cases card --contestants image_diff --rounds 1",
    "detection.py": "--short",
    "draw_pages.py": "--short",
    "fuzz.py": "--files 20",
    "ranking.py": "--short",
    "registration.py": "--short",
}
# Of these the short form takes half a minute and more; test_detection.py and
# test_registration.py measure the same.
LONG = "--elastic", "--geometry", "--parts"
SHOWN = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


def in_short(command: str) -> str:
    """A command of a few cases, and of the half that may be looked at each time."""
    words = re.sub(" --half [a-z-]+", "", command)
    return f"{words} {SHORT[Path(words.split()[1]).name]}"


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, marks=SHOWN if "draw_pages" in command else ())
        for command in dict.fromkeys(map(in_short, MEASURES))
        if not set(LONG) & set(command.split())
    ],
)
def test_what_measures_the_figures_runs(command: str) -> None:
    """The last of two values of an option is the one that counts."""
    result = run(command, ROOT)
    assert result.returncode == 0, result.stderr
    assert np.count_nonzero([*map(str.isdigit, result.stdout)]) > 5
