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
from numpy.typing import NDArray

import image_diff
import processes
from desktop import MISSING, SIZE, Desktop, desktop
from files import PAIRS, ROOT

PAIR = "-f", PAIRS[1][0], "-s", PAIRS[1][1]
SAVES = "--output DIR saves the pictures\n"
ALL = {"Original", "Modified", "Diff", "Thresh"}
needs_screen = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")


@pytest.fixture(scope="module")
def running_desktop() -> Iterator[Desktop]:
    with desktop() as running:
        yield running


@pytest.fixture
def screen(running_desktop: Desktop) -> Iterator[Desktop]:
    environment = dict(running_desktop.environment)
    yield running_desktop
    running_desktop.environment = environment
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


def windows_until_the_end(screen: Desktop, process: subprocess.Popen[str]) -> set[str]:
    """The titles of the windows that the script opens before it ends by itself."""
    titles: set[str] = set()

    def is_over() -> bool:
        titles.update(screen.windows())
        return process.poll() is not None

    processes.wait_for(is_over, "the script ends")
    return titles


def tells(screen: Desktop, text: str) -> bool:
    """Whether a title holds a text."""
    return text in screen.titles()


def seen(screen: Desktop, title: str) -> NDArray[np.uint8]:
    """What a window shows, (H, W, 3) BGR, with its bars."""
    x, y, width, height = screen.windows()[title]
    return screen.screenshot()[y : y + height, x : x + width]


# --- Keys and the screen --------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "character"),
    [
        (-1, ""),
        (ord("n"), "n"),
        (ord("+"), "+"),
        (27, "\x1b"),
        (0x100071, "q"),  # with Num Lock, on GTK
        (0xE9, "é"),
        (0xFFE1, ""),  # Shift
        (0xFF51, ""),  # Left
        (0xFFBE, ""),  # F1
        (0xFE03, ""),  # AltGr
        (0x250000, ""),  # Left on Windows
        (0xF702, ""),  # Left on macOS
    ],
)
def test_keys_that_type_something(key: int, character: str) -> None:
    assert image_diff.typed(key) == character


SCREENS = (1920, 1080), (1366, 768), (960, 540), (683, 384)
SHAPES = (500, 314), (3840, 2160), (300, 9000), (1280, 6000), (32, 32), (2500, 300)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", SCREENS)
def test_a_layout_fits_the_screen(
    size: tuple[int, int], shape: tuple[int, int]
) -> None:
    layout = image_diff.lay_out(*shape, size)
    width, height = layout.room
    assert width >= image_diff.LEAST_WIDTH
    assert width >= layout.scale * shape[0] - 1
    assert height >= layout.scale * shape[1] - 1
    assert len(set(layout.places)) == 4
    down = height + image_diff.BARS + image_diff.FRAME_HEIGHT
    assert {left % (width + image_diff.FRAME_WIDTH) for left, _ in layout.places} == {0}
    assert {top % down for _, top in layout.places} == {0}
    left, top = layout.places[-1]
    assert left + width <= size[0]
    assert top + down + image_diff.BELOW <= size[1]
    assert layout.scale < 1 or layout.scale == round(layout.scale)


REGIONS = tuple(image_diff.Region(x, 40, 10, 10, 100, 0.0) for x in (20, 80, 140))


@pytest.mark.parametrize(
    ("keys", "scale", "number"),
    [
        ("n", 13, 1),
        ("nnnn", 13, 1),
        ("p", 13, 3),
        ("pp", 13, 2),
        ("np", 13, 3),
        ("n+", 26, 1),
        ("n++", 32, 1),
        ("n-", 6.5, 1),
        ("n---", 2, 1),
        ("+", 4, 0),
        ("-", 2, 0),
        ("n+0", 2, 0),
    ],
)
def test_where_keys_lead(keys: str, scale: float, number: int) -> None:
    layout = image_diff.Layout(2, (400, 400), [])
    look = image_diff.Look(layout.scale)
    for key in keys:
        look = image_diff.look_on(key, look, REGIONS, layout)
    assert look == (scale, number)
    assert image_diff.look_on("n", look, (), layout) == (2, 0)


# --- Windows --------------------------------------------------------------------------


def written(
    folder: Path, shape: tuple[int, int], *boxes: tuple[int, int]
) -> tuple[Path, Path]:
    """Write a gray picture, and one with magenta boxes of 10x10 pixels."""
    first = np.full((*shape[::-1], 3), 200, np.uint8)
    second = first.copy()
    for x, y in boxes:
        second[y : y + 10, x : x + 10] = 255, 0, 255
    paths = folder / "a.png", folder / "b.png"
    for path, picture in zip(paths, (first, second), strict=True):
        cv2.imwrite(str(path), picture)
    return paths


@pytest.mark.slow
@needs_screen
def test_four_windows_show_the_pictures_side_by_side(
    screen: Desktop, tmp_path: Path
) -> None:
    pair = written(tmp_path, (320, 180), (40, 50), (200, 120))
    process = opened(screen, *pair)
    comparison = image_diff.compare_files(*pair)

    def shows(title: str) -> bool:
        picture = image_diff.to_bgr(image_diff.draw(comparison, title))
        window = seen(screen, title)
        return bool(
            cv2.matchTemplate(window, picture, cv2.TM_CCOEFF_NORMED).max() > 0.99
        )

    for title in image_diff.TITLES:
        # A window is painted when the desktop has time.
        processes.wait_for(partial(shows, title))
    share = 100 * comparison.different_fraction
    told = image_diff.HINTS | {"Thresh": f"2 regions, {share:.3g} %"}
    for title, text in told.items():
        assert f'"{title}: {text}"' in screen.titles()
    dead = "Shift_L", "Alt_L", "Super_L", "Caps_Lock", "Caps_Lock", "Left", "Up", "F5"
    screen.type_into("Diff", *dead)
    assert set(screen.windows()) == ALL
    screen.type_into("Diff", "q")
    status, out, err = ended(process)
    assert (status, err) == (0, "")
    assert out.startswith(f"SSIM: {comparison.score}\n")


TITLE_BAR = 19  # pixels above a window


def covered(windows: list[tuple[int, int, int, int]]) -> bool:
    """Whether a window or its title is off the screen or covered by another."""
    for index, (x, y, width, height) in enumerate(windows):
        if x < 0 or y < TITLE_BAR or x + width > SIZE[0] or y + height > SIZE[1]:
            return True
        for left, top, wide, high in windows[:index]:
            apart_in_x = x + width <= left or left + wide <= x
            apart_in_y = y + height <= top - TITLE_BAR or top + high <= y - TITLE_BAR
            if not apart_in_x and not apart_in_y:
                return True
    return False


@pytest.mark.slow
@needs_screen
@pytest.mark.parametrize(
    ("shape", "scaled", "key"),
    [
        ((500, 314), "1", "Return"),
        ((300, 9000), "1", "7"),
        ((3840, 2160), "2", "Escape"),
        ((32, 32), "1", "space"),
    ],
)
def test_windows_fit_the_screen_and_do_not_cover_one_another(
    screen: Desktop, tmp_path: Path, shape: tuple[int, int], scaled: str, key: str
) -> None:
    screen.environment["QT_SCALE_FACTOR"] = scaled
    process = opened(screen, *written(tmp_path, shape))

    def are_apart() -> bool:
        return not covered(list(screen.windows().values()))

    processes.wait_for(are_apart, "no window covers another")
    screen.type_into("Thresh", key)
    assert ended(process)[0] == 0


@pytest.mark.slow
@needs_screen
def test_windows_find_their_places_under_a_slow_window_manager(
    screen: Desktop, tmp_path: Path
) -> None:
    assert screen.manager
    screen.manager.send_signal(signal.SIGSTOP)
    screen.start(*written(tmp_path, (320, 180)))
    processes.wait_for(lambda: set(screen.windows()) == ALL)
    time.sleep(2.5)  # so slow it is
    screen.manager.send_signal(signal.SIGCONT)
    layout = image_diff.lay_out(320, 180, SIZE)
    width, height = layout.room

    def is_placed() -> bool:
        windows = screen.windows()
        place = windows["Original"]
        size = width, height + image_diff.BARS
        return place[2:] == size and not covered(list(windows.values()))

    processes.wait_for(is_placed, "the windows stand side by side")


@pytest.mark.slow
@needs_screen
def test_keys_lead_from_region_to_region_in_all_windows(
    screen: Desktop, tmp_path: Path
) -> None:
    process = opened(screen, *written(tmp_path, (2000, 1000), (100, 500), (1500, 900)))

    def magenta() -> int:
        return int((seen(screen, "Modified") == (255, 0, 255)).all(axis=2).sum())

    processes.wait_for(lambda: 0 < magenta() < 200, "the whole is seen")
    before = {title: seen(screen, title) for title in ALL}
    for number in (1, 2):
        screen.type_into("Diff", "n")
        told = f'"Modified: region {number} of 2"'
        processes.wait_for(partial(tells, screen, told))
        processes.wait_for(lambda: magenta() > 2000, f"region {number} is seen")

    def has_moved(title: str) -> bool:
        return int((seen(screen, title) != before[title]).any(axis=2).sum()) > 1000

    for title in ALL:  # a window is painted when the desktop has time
        processes.wait_for(partial(has_moved, title), f"{title} has moved")
    close = magenta()
    screen.type_into("Diff", "minus")
    processes.wait_for(lambda: magenta() < close / 3)
    screen.type_into("Diff", "plus")
    processes.wait_for(lambda: magenta() == close)
    screen.type_into("Diff", "0")
    processes.wait_for(
        lambda: all(np.array_equal(seen(screen, t), before[t]) for t in ALL - {"Diff"})
    )
    screen.type_into("Diff", "Escape")
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
def test_ctrl_c_closes_the_windows_with_its_status(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    process.send_signal(signal.SIGINT)
    status, out, err = ended(process)
    assert (status, err) == (130, "")
    assert out.startswith("SSIM: ")
    processes.wait_for(lambda: screen.windows() == {}, "the windows are closed")


@pytest.mark.slow
@needs_screen
@pytest.mark.parametrize(
    ("options", "status"),
    [("--no-window", 0), ("--json --exit-code", 1)],
)
def test_what_a_program_asks_for_opens_no_window(
    screen: Desktop, options: str, status: int
) -> None:
    process = screen.start(*PAIR, *options.split())
    assert windows_until_the_end(screen, process) == set()
    told, out, err = ended(process)
    assert (told, err) == (status, "")
    assert out.startswith('{"schema": 2, ' if "--json" in options else "SSIM: ")


@pytest.mark.slow
@needs_screen
def test_windows_that_are_asked_for_open_all_the_same(screen: Desktop) -> None:
    process = opened(screen, *PAIR, "--json", "--exit-code", "--window")
    screen.type_into("Diff", "q")
    status, _, err = ended(process)
    assert (status, err) == (1, "")


@pytest.mark.slow
@needs_screen
def test_folders_open_no_window(screen: Desktop) -> None:
    process = screen.start(ROOT / "images", ROOT / "images")
    assert windows_until_the_end(screen, process) == set()
    assert ended(process)[0] == 0


@pytest.mark.slow
@needs_screen
def test_a_foreign_qt_platform_does_not_abort(screen: Desktop) -> None:
    screen.environment["QT_QPA_PLATFORM"] = "offscreen"
    process = opened(screen, *PAIR)
    screen.type_into("Diff", "q")
    assert ended(process)[0] == 0


# Of the two sliders under Thresh: where they begin, and how far above the lower edge.
SLIDERS = {"threshold": (162, 62), "min area": (146, 38)}


def drag(screen: Desktop, slider: str, start: float, stop: float) -> None:
    """Drag a slider from one share of its way to another."""
    x, y, width, height = screen.windows()["Thresh"]
    label, above = SLIDERS[slider]
    row = str(y + height - above)
    handle = 14
    for step in range(11):
        share = start + (stop - start) * step / 10
        at = round(x + label + handle / 2 + (width - label - handle) * share)
        screen.do("xdotool", "mousemove", str(at), row)
        if step == 0:
            screen.do("xdotool", "mousedown", "1")
    screen.do("xdotool", "mouseup", "1")


def slide(screen: Desktop, slider: str, start: float, stop: float) -> str:
    """Drag a slider, again where a busy machine missed it; what the title tells."""
    row = slice(-SLIDERS[slider][1], None)
    before = seen(screen, "Thresh")[row]
    for _ in range(10):
        drag(screen, slider, start, stop)
        for _ in range(50):
            if not np.array_equal(before, seen(screen, "Thresh")[row]):
                screen.wait_for_stillness()
                return summary(screen)
            time.sleep(0.1)
    raise AssertionError(f"the slider {slider} does not move")


def summary(screen: Desktop) -> str:
    """What the title of Thresh tells."""
    titles: list[str] = re.findall('"Thresh: ([^"]*)"', screen.titles())
    return titles[0]


# Where the handles stand: Otsu's 0.529, and 25 of 500 pixels.
THRESHOLD, MIN_AREA = 0.529, 25 / 500


@pytest.mark.slow
@needs_screen
def test_sliders_redraw_and_are_printed_as_options(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    before = screen.screenshot()
    slide(screen, "min area", MIN_AREA, 0.9)
    title = slide(screen, "threshold", THRESHOLD, 0.9)
    assert np.count_nonzero((before != screen.screenshot()).any(axis=2)) > 1000
    screen.type_into("Diff", "q")
    status, out, err = ended(process)
    assert status == 0
    chosen = err.removeprefix("chosen: ").split()
    assert chosen[::2] == ["--threshold", "--min-area"]
    again = screen.start(*PAIR, "--no-window", *chosen)
    lines = ended(again)[1].splitlines()
    assert lines[1] == f"different: {title} of the picture"
    assert lines != out.splitlines()


@pytest.mark.slow
@needs_screen
def test_b_blinks_first_and_second_in_place(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    screen.type_into("Original")
    boxed = seen(screen, "Original").tobytes()
    screen.type_into("Original", "b")
    pictures = {boxed}

    def has_blinked() -> bool:
        pictures.add(seen(screen, "Original").tobytes())
        return len(pictures) == 3

    processes.wait_for(has_blinked)
    screen.type_into("Original", "b")
    processes.wait_for(lambda: seen(screen, "Original").tobytes() == boxed)
    screen.type_into("Original", "q")
    assert ended(process)[0] == 0


@pytest.mark.slow
@needs_screen
def test_h_shows_the_keys(screen: Desktop) -> None:
    process = opened(screen, *PAIR)
    screen.type_into("Diff", "h")
    told = '"Thresh: other keys close"'
    processes.wait_for(partial(tells, screen, told))
    screen.type_into("Diff", "q")
    status, _, err = ended(process)
    assert (status, err) == (0, ", ".join(image_diff.HINTS.values()) + "\n")


@pytest.mark.slow
@needs_screen
def test_s_saves_beside_the_second_picture_and_says_where(
    screen: Desktop, tmp_path: Path
) -> None:
    pair = tmp_path / "first.png", tmp_path / "new version.png"
    for path, sample in zip(pair, PAIR[1::2], strict=True):
        path.write_bytes(Path(sample).read_bytes())
    process = opened(screen, "-f", pair[0], "-s", pair[1])
    folders = tmp_path / "new version_diff", tmp_path / "new version_diff2"
    for folder in folders:
        screen.type_into("Diff", "s")
        processes.wait_for((folder / "result.json").exists, "it is saved")
    screen.type_into("Diff", "q")
    status, _, err = ended(process)
    assert (status, err) == (0, "".join(f"saved to {folder}\n" for folder in folders))
    for folder in folders:
        assert (folder / "index.html").exists()


@pytest.mark.slow
@needs_screen
def test_s_saves_to_the_output_folder(screen: Desktop, tmp_path: Path) -> None:
    process = opened(screen, *PAIR, "--output", tmp_path / "out")
    before = (tmp_path / "out/result.json").read_bytes()
    slide(screen, "threshold", THRESHOLD, 0.9)
    screen.type_into("Diff", "s")
    processes.wait_for(
        lambda: (tmp_path / "out/result.json").read_bytes() != before, "it is saved"
    )
    screen.type_into("Diff", "q")
    _, _, err = ended(process)
    # A slider that stands still is no option.
    assert re.fullmatch(f"saved to {tmp_path}/out\nchosen: --threshold 0.\\d+\n", err)


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
