"""What the benchmark draws, runs and prints; not how fast anything is."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import benchmark


def test_the_asked_share_of_tiles_is_changed() -> None:
    paper = np.full((1024, 2048, 3), 200, np.uint8)  # 16 tiles
    second = benchmark.changed(paper, 0.25)
    tile = (256 - 20) * (512 - 20)
    assert np.count_nonzero((paper != second).any(axis=2)) == 4 * tile
    assert set(np.unique(second)) == {200, 255 - 200}


@pytest.mark.parametrize(
    ("draw", "shape"),
    [(benchmark.card, (314, 500, 3)), (benchmark.photo, (667, 1000, 3))],
)
def test_pairs_have_the_size_that_their_name_says_and_differ(
    draw: Callable[[], tuple[benchmark.Picture, benchmark.Picture]],
    shape: tuple[int, ...],
) -> None:
    first, second = draw()
    assert first.shape == second.shape == shape
    assert (first != second).any()


def test_in_folders_every_other_pair_is_the_same_and_no_two_pictures_are(
    tmp_path: Path,
) -> None:
    first, second = benchmark.write_folders(tmp_path, "folders", 6, benchmark.card())
    names = sorted(os.listdir(first))
    assert (
        names == sorted(os.listdir(second)) == [f"{index:05}.png" for index in range(6)]
    )
    same = [
        (first / name).read_bytes() == (second / name).read_bytes() for name in names
    ]
    assert same == [False, True] * 3
    assert len({(first / name).read_bytes() for name in names}) == 6


@pytest.mark.slow
def test_a_process_is_measured_from_start_to_end_with_its_own_memory() -> None:
    held = np.ones(300 << 20, np.uint8)  # this process's memory is not the other's
    code = (
        "import time; time.sleep(0.3); data = b'x' * (100 << 20); raise SystemExit(7)"
    )
    sample = benchmark.measure([sys.executable, "-c", code])
    assert held.nbytes > sample.peak > 100 << 20
    assert sample.seconds > 0.3
    assert sample.status == 7


def test_a_contestant_that_fails_has_no_figure(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    # Emptied each time, so that a folder can be made in it again.
    out = tmp_path / "out"
    commands = {
        "well": (
            [sys.executable, "-c", f"import os; os.mkdir({str(out / 'new')!r})"],
            (0,),
        ),
        "ill": ([sys.executable, "-c", "raise SystemExit(3)"], (0,)),
    }
    samples = benchmark.race(commands, 3, {}, out)
    assert {name: len(of) for name, of in samples.items()} == {"well": 3, "ill": 0}
    assert capfd.readouterr().err == "ill fails with status 3\n"


@pytest.mark.slow
def test_the_table_shows_each_contestant_and_how_to_install_the_missing(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("NODE_PATH", str(tmp_path))
    names = ["image_diff", "the floor", "odiff"]
    options = [
        "--rounds",
        "1",
        "--cases",
        "card",
        "--tables",
        "peers",
        "--contestants",
        *names,
    ]
    assert benchmark.main(options) == 0
    lines = capfd.readouterr().out.splitlines()
    assert f"OpenCV {cv2.__version__}" in lines[0]
    (ours,) = (line for line in lines if line.startswith("| image_diff: "))
    (floor,) = (line for line in lines if line.startswith("| the floor: "))
    assert "<br>x 1.00<br>" in ours
    assert "s** (" in floor  # milliseconds, or seconds on a busy machine
    assert not any(line.startswith("| odiff") for line in lines)
    install = benchmark.NPM.format("odiff-bin")
    assert f"odiff is not installed: `{install}`" in lines


def test_a_row_tells_whether_the_aim_is_met(capsys: pytest.CaptureFixture[str]) -> None:
    benchmark.row("small", "11 ms", "10 ms", 1.1, "<=1.1")
    benchmark.row("fast", "11 ms", "100 ms", 9.09, ">=20")
    assert capsys.readouterr().out.splitlines() == [
        "| small | 11 ms | 10 ms | 1.10 | at most 1.1 | yes |",
        "| fast | 11 ms | 100 ms | 9.09 | at least 20 | **no** |",
    ]
