"""The windows on a real screen: what is seen, and what keys, mouse and signals do."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

import image_diff
import processes
from desktop import MISSING, SIZE, Desktop, desktop

ROOT = Path(image_diff.__file__).parent
PAIR = "-f", ROOT / "images/original_02.png", "-s", ROOT / "images/modified_02.png"
SAVES = "--output DIR saves the pictures\n"
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
    processes.wait_for(
        lambda: set(screen.windows()) == ALL or process.poll() is not None
    )
    assert process.poll() is None, process.communicate()
    screen.wait_for_stillness()
    return process


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """The exit status, stdout and stderr of the script, which must end by itself."""
    out, err = process.communicate(timeout=processes.PATIENCE)
    return process.returncode, out, err


@pytest.mark.slow
@needs_screen
def test_four_windows_show_the_pictures_side_by_side(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    comparison = image_diff.compare_files(PAIR[1], PAIR[3])
    windows = screen.windows()
    scale = min(width for _, _, width, _ in windows.values()) / 560
    assert 0.5 < scale <= 1

    def shows(title: str) -> bool:
        picture = image_diff.draw(comparison, title)
        x, y, width, height = windows[title]
        height = min(height, windows["Diff"][3])  # below it Thresh has its sliders
        seen = screen.screenshot()[y : y + height, x : x + width]
        expected = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        expected = expected if expected.ndim == 3 else np.dstack([expected] * 3)
        return bool(np.abs(seen.astype(int) - expected).mean() < 3)

    for title in image_diff.TITLES:
        # A window is painted when the desktop has time.
        processes.wait_for(partial(shows, title))
    screen.type_into("Diff", "q")
    status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert out.startswith(f"SSIM: {comparison.score}\n")


@pytest.mark.slow
@needs_screen
@pytest.mark.parametrize(
    "shape", [(314, 500), (270, 600), (900, 300), (300, 2500), (3000, 4000)]
)
def test_windows_fit_the_screen_and_do_not_cover_one_another(
    screen: Desktop, tmp_path: Path, shape: tuple[int, int]
) -> None:
    picture = np.full((*shape, 3), 200, np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), picture)
    process = opened(screen, "-f", tmp_path / "a.png", "-s", tmp_path / "a.png")
    windows = list(screen.windows().values())
    lowest = min(height for _, _, _, height in windows)
    for x, y, width, height in windows:
        assert x >= 0
        assert y >= 0
        assert x + width <= SIZE[0]
        assert y + height <= SIZE[1]
        assert width <= shape[1]  # never scaled up
        if height == lowest:  # Thresh has sliders below its picture
            assert width / height == pytest.approx(shape[1] / shape[0], rel=0.02)
    for index, (x, y, width, height) in enumerate(windows):
        for left, top, wide, high in windows[:index]:
            apart_in_x = x + width <= left or left + wide <= x
            assert apart_in_x or y + height <= top or top + high <= y
    screen.type_into("Thresh", "space")
    assert ended(process)[0] == 0


@pytest.mark.slow
@needs_screen
def test_the_program_ends_when_the_last_window_is_closed_with_the_mouse(
    screen: Desktop,
) -> None:
    process = opened(screen, *PAIR)
    for title in ("Modified", "Original", "Thresh"):
        screen.close(title)
        assert process.poll() is None
    screen.close("Diff")
    status, _, err = ended(process)
    assert (status, err) == (0, "")


@pytest.mark.slow
@needs_screen
@pytest.mark.parametrize("number", processes.SIGNALS)
def test_a_signal_closes_the_windows_with_its_status(
    screen: Desktop, number: signal.Signals
) -> None:
    process = opened(screen, *PAIR)
    process.send_signal(number)
    status, out, err = ended(process)
    assert (status, err) == (128 + number, "")
    assert out.startswith("SSIM: ")
    processes.wait_for(lambda: screen.windows() == {}, "the windows are closed")


@pytest.mark.slow
@needs_screen
@pytest.mark.parametrize(
    ("options", "status"),
    [
        ("--no-window", 0),
        ("--json", 0),
        ("--exit-code", 1),
        ("--json --exit-code", 1),
        ("--no-window --exit-code", 1),
    ],
)
def test_what_a_program_asks_for_opens_no_window(
    screen: Desktop, options: str, status: int
) -> None:
    process = screen.start(*PAIR, *options.split())
    while process.poll() is None:
        assert screen.windows() == {}
    told, out, err = ended(process)
    assert (told, err) == (status, "")
    assert out.startswith('{"schema": 2, ' if "--json" in options else "SSIM: ")


@pytest.mark.slow
@needs_screen
@pytest.mark.parametrize(("option", "status"), [("--json", 0), ("--exit-code", 1)])
def test_windows_that_are_asked_for_open_all_the_same(
    screen: Desktop, option: str, status: int
) -> None:
    process = opened(screen, *PAIR, option, "--window")
    screen.type_into("Diff", "q")
    told, _, err = ended(process)
    assert (told, err) == (status, "")


@pytest.mark.slow
@needs_screen
def test_folders_open_no_window(screen: Desktop) -> None:
    process = screen.start(ROOT / "images", ROOT / "images")
    while process.poll() is None:
        assert screen.windows() == {}
    assert ended(process)[0] == 0


@pytest.mark.slow
@needs_screen
def test_a_foreign_qt_platform_does_not_abort(screen: Desktop) -> None:
    screen.environment["QT_QPA_PLATFORM"] = "offscreen"
    process = opened(screen, *PAIR)
    screen.type_into("Diff", "q")
    assert ended(process)[0] == 0
    del screen.environment["QT_QPA_PLATFORM"]


def drag(screen: Desktop, slider: int, start: float, stop: float) -> None:
    """Drag the first or second slider under Thresh from one share of its way on."""
    x, y, width, height = screen.windows()["Thresh"]
    row = y + screen.windows()["Diff"][3] + 11 + 22 * slider
    assert row < y + height
    label, handle = 148, 14
    way = width - label - handle
    for step in range(11):
        at = label + handle / 2 + way * (start + (stop - start) * step / 10)
        screen.do("xdotool", "mousemove", str(round(x + at)), str(row))
        if step == 0:
            screen.do("xdotool", "mousedown", "1")
    screen.do("xdotool", "mouseup", "1")


def slide(screen: Desktop, slider: int, start: float, stop: float) -> None:
    """Drag a slider, again where a busy machine missed it: the title tells."""
    for _ in range(10):
        drag(screen, slider, start, stop)
        for _ in range(50):
            if "Thresh: " in screen.titles():
                return
            time.sleep(0.1)


# Where the handles stand: Otsu's level of 135 of 254, and 25 of 500 pixels.
THRESHOLD, MIN_AREA = 135 / 254, 25 / 500


@pytest.mark.slow
@needs_screen
def test_sliders_redraw_and_are_printed_as_options(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    before = screen.screenshot()
    slide(screen, 1, MIN_AREA, 0.9)
    processes.wait_for(lambda: '"Thresh: ' in screen.titles())
    slide(screen, 0, THRESHOLD, 0.9)
    screen.wait_for_stillness()
    (title,) = re.findall('"Thresh: ([^"]*)"', screen.titles())
    assert np.count_nonzero((before != screen.screenshot()).any(axis=2)) > 1000
    screen.type_into("Diff", "q")
    status, out, err = ended(process)
    assert status == 0
    assert err.startswith("chosen: --threshold 0.")
    chosen = err.removeprefix("chosen: ").split()
    again = screen.start(*PAIR, "--no-window", *chosen)
    lines = ended(again)[1].splitlines()
    assert lines[1] == f"different: {title}"
    assert lines != out.splitlines()


@pytest.mark.slow
@needs_screen
def test_b_blinks_first_and_second_in_place(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    x, y, width, height = screen.windows()["Original"]

    def seen() -> bytes:
        return screen.screenshot()[y : y + height, x : x + width].tobytes()

    boxed = seen()
    screen.type_into("Original", "b")
    pictures = {boxed}

    def has_blinked() -> bool:
        pictures.add(seen())
        return len(pictures) == 3

    processes.wait_for(has_blinked)
    screen.type_into("Original", "b")
    processes.wait_for(lambda: seen() == boxed)
    screen.type_into("Original", "q")
    assert ended(process)[0] == 0


@pytest.mark.slow
@needs_screen
def test_h_shows_the_keys(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    screen.type_into("Diff", "h")
    processes.wait_for(lambda: image_diff.KEYS in screen.titles())
    screen.type_into("Diff", "q")
    status, _, err = ended(process)
    assert (status, err) == (0, image_diff.KEYS + "\n")


@pytest.mark.slow
@needs_screen
def test_s_saves_beside_the_second_picture_and_says_where(
    screen: Desktop, tmp_path: Path
) -> None:
    pair = tmp_path / "first.png", tmp_path / "new version.png"
    for path, sample in zip(pair, PAIR[1::2], strict=True):
        path.write_bytes(Path(sample).read_bytes())
    process = opened(screen, "-f", pair[0], "-s", pair[1])
    screen.type_into("Diff", "s", "s", "q")
    status, _, err = ended(process)
    folders = tmp_path / "new version_diff", tmp_path / "new version_diff2"
    assert (status, err) == (0, "".join(f"saved to {folder}\n" for folder in folders))
    for folder in folders:
        assert (folder / "index.html").exists()


@pytest.mark.slow
@needs_screen
def test_s_saves_to_the_output_folder(screen: Desktop, tmp_path: Path) -> None:
    process = opened(screen, *PAIR, "--output", tmp_path / "out")
    before = (tmp_path / "out/result.json").read_bytes()
    slide(screen, 0, THRESHOLD, 0.9)
    screen.type_into("Diff", "s", "q")
    _, _, err = ended(process)
    assert err.startswith(f"saved to {tmp_path}/out\nchosen: ")
    assert (tmp_path / "out/result.json").read_bytes() != before


@pytest.mark.parametrize("display", [None, "", ":987", "nowhere.invalid:0"])
def test_without_a_display_the_result_is_still_printed(display: str | None) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    if display is not None:
        environment["DISPLAY"] = display
    command = [sys.executable, "image_diff.py", *PAIR]
    result = processes.run(command, env=environment, cwd=ROOT)
    assert result.returncode == 0
    assert result.stdout.startswith("SSIM: ")
    assert (
        result.stderr
        == f"no windows: no display answers (DISPLAY={display or ''}); {SAVES}"
    )


def test_an_opencv_without_windows_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    assert image_diff.main(list(map(str, PAIR))) == 0
    captured = capsys.readouterr()
    assert captured.out.startswith("SSIM: ")
    remedy = "install opencv-python, not -headless"
    assert captured.err == f"no windows: this OpenCV has no windows; {remedy}; {SAVES}"
