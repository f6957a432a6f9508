"""The windows on a real screen: what is seen, and what keys, mouse and signals do."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from desktop import MISSING, SIZE, Desktop, desktop

import image_diff

ROOT = Path(image_diff.__file__).parent
PAIR = "-f", ROOT / "images/original_02.png", "-s", ROOT / "images/modified_02.png"
ALL = {"Original", "Modified", "Diff", "Thresh"}
needs_screen = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def running_desktop() -> Iterator[Desktop]:
    with desktop() as running:
        yield running


@pytest.fixture
def screen(running_desktop: Desktop) -> Iterator[Desktop]:
    yield running_desktop
    running_desktop.clear()


def opened(screen: Desktop, *arguments: str | Path) -> subprocess.Popen[str]:
    """Start the script and wait until its windows stand still."""
    process = screen.start(*arguments)
    screen.wait_for(lambda: set(screen.windows()) == ALL or process.poll() is not None)
    assert process.poll() is None, process.communicate()
    screen.wait_for_stillness()
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit status, stdout and stderr of the script, which must end by itself."""
    out, err = process.communicate(timeout=20)
    return process.returncode, out, err


@needs_screen
def test_four_windows_show_the_pictures_side_by_side(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    windows = screen.windows()
    shot = screen.screenshot()
    comparison = image_diff.compare_files(PAIR[1], PAIR[3])
    scale = min(width for _, _, width, _ in windows.values()) / 560
    assert 0.5 < scale <= 1
    for title, picture in image_diff.draw(comparison).items():
        x, y, width, height = windows[title]
        seen = shot[y : y + height, x : x + width]
        expected = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        expected = expected if expected.ndim == 3 else np.dstack([expected] * 3)
        assert np.abs(seen.astype(int) - expected).mean() < 3, title
    screen.type_into("Diff", "q")
    status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert out.startswith(f"SSIM: {comparison.score}\n")


@needs_screen
@pytest.mark.parametrize("shape", [(314, 500), (270, 600), (900, 300), (300, 2500), (3000, 4000)])
def test_windows_fit_the_screen_and_do_not_cover_one_another(
    screen: Desktop, tmp_path: Path, shape: tuple[int, int]
) -> None:
    picture = np.full((*shape, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    process = opened(screen, "-f", tmp_path / "a.png", "-s", tmp_path / "a.png")
    windows = list(screen.windows().values())
    for x, y, width, height in windows:
        assert x >= 0
        assert y >= 0
        assert x + width <= SIZE[0]
        assert y + height <= SIZE[1]
        assert width <= shape[1]  # never scaled up
        assert width / height == pytest.approx(shape[1] / shape[0], rel=0.02)
    for index, (x, y, width, height) in enumerate(windows):
        for left, top, wide, high in windows[:index]:
            apart_in_x = x + width <= left or left + wide <= x
            assert apart_in_x or y + height <= top or top + high <= y
    screen.type_into("Thresh", "space")
    assert ended(process)[0] == 0


@needs_screen
def test_the_program_ends_when_the_last_window_is_closed_with_the_mouse(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    for title in ("Modified", "Original", "Thresh"):
        screen.close(title)
        assert process.poll() is None
    screen.close("Diff")
    status, _, err = ended(process)
    assert (status, err) == (0, "")


@needs_screen
def test_ctrl_c_closes_the_windows_with_status_130(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    process.send_signal(signal.SIGINT)
    status, out, err = ended(process)
    assert (status, err) == (130, "")
    assert out.startswith("SSIM: ")


@needs_screen
def test_no_window_opens_none(screen: Desktop) -> None:
    process = screen.start(*PAIR, "--no-window")
    while process.poll() is None:
        assert screen.windows() == {}
    assert process.returncode == 0


@needs_screen
def test_a_foreign_qt_platform_does_not_abort(screen: Desktop) -> None:
    screen.environment["QT_QPA_PLATFORM"] = "offscreen"
    process = opened(screen, *PAIR)
    screen.type_into("Diff", "q")
    assert ended(process)[0] == 0
    del screen.environment["QT_QPA_PLATFORM"]


@pytest.mark.parametrize("display", [None, "", ":987", "nowhere.invalid:0"])
def test_without_a_display_the_result_is_still_printed(display: str | None) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    if display is not None:
        environment["DISPLAY"] = display
    result = subprocess.run(
        [sys.executable, "image_diff.py", *map(str, PAIR)],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0
    assert result.stdout.startswith("SSIM: ")
    assert result.stderr == f"no windows: no display answers (DISPLAY={display or ''})\n"


def test_an_opencv_without_windows_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    assert image_diff.main(list(map(str, PAIR))) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("SSIM: ")
    assert captured.err == (
        "no windows: this OpenCV has no windows; install opencv-python, not -headless\n"
    )
