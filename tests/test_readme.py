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
import draw_readme
import geometry
import image_diff
import processes
import truth
from chromium import MISSING
from files import PAIRS, ROOT, SCRIPT
from image_diff import parse
from line_art import FINE

README = (ROOT / "README.md").read_text()
# A command that goes on in the next line is one line here.
LINES = [
    line.removeprefix("    ")
    for line in re.sub(r"\\\n +", "", README).splitlines()
    if line.startswith("    ")
]
COMMANDS = [line for line in LINES if line.startswith("python image_diff.py ")]
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

    for index in range(2):
        write(f"baseline/page {index}.png", screen)
        write(f"screenshots/page {index}.png", screen)
    edited = screen.copy()
    truth.write(edited, truth.Box(200, 380, 150, 30), random)
    write("baseline/home.png", screen)
    write("screenshots/home.png", edited)
    write("contract.png", page)
    write("scan.png", scanned(changed, drift))
    photo = truth.photo("coffee.png")
    after = photo.copy()
    truth.turn_hue(after, truth.Box(180, 120, 60, 60), random)
    tilt = geometry.tilted((photo.shape[1], photo.shape[0]), random)
    write("before.jpg", photo)
    write("after.jpg", scanned(after, tilt))
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


def test_the_first_commands_install_and_print_what_is_shown(clone: Path) -> None:
    fetch, environment, install, command = LINES[:4]
    assert fetch == "git clone URL image_diff && cd image_diff"
    assert environment == "python3 -m venv .venv && . .venv/bin/activate"
    assert install == "python -m pip install -r requirements.txt"
    result = run(command, clone)
    assert result.returncode == 0
    # The last digit of the score is the sum's rounding, in the order of the machine's
    # vectors; two lines that are wider than the page are left out of it.
    score, verdict, _, *regions, _ = result.stdout.splitlines()
    shown = LINES[4:9]
    assert shown[0][:20] == score[:20]
    assert shown[1:] == [verdict, *regions]


def test_no_line_of_code_is_wider_than_a_terminal() -> None:
    fenced = re.findall(r"^```\w+\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    indented = re.findall(r"^    .*", README, re.MULTILINE)
    assert [
        line for line in "".join(fenced).splitlines() + indented if len(line) > 80
    ] == []


def test_what_is_linked_is_there() -> None:
    links = re.findall(r"(?:\]\(|src=\")(?!https)([^)\"]*)", README)
    headings = re.findall(r"^#+ (.*)$", RESULTS, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", text).lower() for text in headings}
    for link in links:
        path, _, anchor = link.partition("#")
        assert (ROOT / path).exists(), link
        assert not anchor or anchor.replace("-", " ") in anchors, link


def test_the_packages_that_it_names_are_the_extras() -> None:
    extras = (ROOT / "pyproject.toml").read_text().split("optional-dependencies]")[1]
    named = re.findall(r"pip install ([a-z][\w-]+)", README)
    assert {f'["{name}' in extras for name in named} == {True}


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
}


@pytest.mark.parametrize(
    "command", [line for line in COMMANDS[1:] if "--scheduler" not in line]
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


def test_a_job_runs_what_is_told_and_a_picture_is_accepted(tmp_path: Path) -> None:
    job = README.split("```yaml\n")[1].split("```")[0]
    steps = re.findall(r"^- run: (.*)$", job, re.MULTILINE)
    assert steps[0] == "pipx install git+URL"
    command = steps[1].replace("image-diff", "python image_diff.py")
    assert command in COMMANDS
    (accept,) = (line for line in LINES if line.startswith("cp "))
    for folder, picture in ("baseline", PAIRS[0][0]), ("screenshots", PAIRS[0][1]):
        (tmp_path / folder).mkdir()
        shutil.copy(picture, tmp_path / folder / "home.png")
    (tmp_path / "image_diff.py").symlink_to(SCRIPT)
    assert run(accept, tmp_path).returncode == 0
    assert run(command, tmp_path).returncode == 0


@pytest.mark.slow
def test_the_three_commands_of_a_cluster(folder: Path) -> None:
    commands = [
        line for line in LINES if line.startswith("dask ") or "--scheduler" in line
    ]
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
    lines = [line for line in LINES if line.startswith("git config ")]
    assert len(lines) == 2

    def git(command: str) -> str:
        project, home = tmp_path / "a project", str(tmp_path)
        result = run(command, project, HOME=home, GIT_CONFIG_NOSYSTEM="1")
        assert result.returncode == 0, result.stderr
        return result.stdout + result.stderr

    installed = tmp_path / "image_diff" / ".venv" / "bin" / "image-diff"
    installed.parent.mkdir(parents=True)
    installed.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SCRIPT}" "$@"\n')
    installed.chmod(0o755)
    (tmp_path / "a project").mkdir()
    git("git init -q && git config user.email a@b.c && git config user.name tester")
    (tmp_path / "a project" / "card.png").write_bytes(PAIRS[1][0].read_bytes())
    git("git add . && git commit -qm first")
    (tmp_path / "a project" / "card.png").write_bytes(PAIRS[1][1].read_bytes())
    for line in lines:
        git(line)
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


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading of the README, without its head."""
    section = README.split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = re.findall(r"^\|(.*)\|$", section, re.MULTILINE)
    return [[cell.strip() for cell in line.split(" | ")] for line in lines[2:]]


def told(heading: str) -> list[str]:
    """The words in code in the first column of the table below a heading."""
    return re.findall(r"`([^`]*)`", " ".join(row[0] for row in rows(heading)))


def test_every_option_is_told_once() -> None:
    flags = [words.split()[0] for words in told("## Options") if words[0] == "-"]
    actions = image_diff.make_parser()._actions[1:]  # the first is --help
    told_there = [action for action in actions if action.help != argparse.SUPPRESS]
    assert flags == [flag for action in told_there for flag in action.option_strings]


def test_every_key_of_the_json_is_told_once() -> None:
    assert told("### JSON") == list(image_diff.EMPTY_RECORD)


def test_every_key_inside_of_a_key_is_told() -> None:
    comparison = image_diff.compare_images(*draw_readme.grown()[1:])
    record = image_diff.as_record(comparison)
    (region,), (band,) = record["regions"], record["alignment"].pop("bands")
    light = image_diff.Light._fields
    told_there = {row[0].strip("`"): row[1] for row in rows("### JSON")}
    for key, names in (
        ("regions", [*region, "picture"]),
        ("alignment", [*record["alignment"], "bands", *band]),
        ("light", light),
    ):
        words = re.findall(r"`(\w+)`", told_there[key])
        assert set(names) <= set(words), key


def test_every_exit_status_is_told_once() -> None:
    statuses = re.findall(r"\d+", " ".join(row[0] for row in rows("### Exit status")))
    assert [int(status) for status in statuses] == list(image_diff.ExitStatus)


def test_its_figures_are_those_of_the_results() -> None:
    shown = rows("## How well, and how fast")
    assert len(shown) == 5
    for name, *figures in shown:
        (line,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", RESULTS, re.MULTILINE)
        cells = [cell.strip() for cell in line.split("|")]
        pairs = (cells[0], cells[4]), (cells[1], cells[5])
        assert figures == [f"{theirs}, **{ours}**" for theirs, ours in pairs], name
    picture = README.split('images/peers.png"')[1].split(">")[0]
    told_there = set(map(float, re.findall(r"([\d.]+) s\b", picture)))
    measured = {round(value, 1) for value in draw_readme.peers().values()}
    assert told_there == measured


SHORT = {
    "benchmark.py": "--cases card --contestants image_diff --rounds 1",
    "detection.py": "--short",
    "draw_pages.py": "--short",
    "fuzz.py": "--files 20",
    "ranking.py": "--short",
    "registration.py": "--short",
}
# Of these the short form takes a minute in all; test_detection.py measures boards,
# test_registration.py with elastic, too.
LONG = "--boards", "--elastic", "--geometry", "--parts"
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
