"""Which pictures are laid over one another, how well, and which are refused."""

import threading
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import image_diff
import processes
import truth
from image_diff import Alignment, ImageDiffError
from registration import Pair, again, card, error_of, form, frames

# Pairs that a share of the matches, or of the corners, let in when it was asked alone.
ALIKE = [
    ("perspective", form("dev 1", 0), form("dev 0", 1)),
    ("perspective", frames("dev 1", 0), frames("dev 0", 1)),
    ("perspective", card("dev 0", 0), card("dev 1", 1)),
    ("elastic", card("dev 0", 0), card("dev 1", 1)),
    # A word in the title, and another at the foot, outvoted all else.
    ("perspective", card("fresh7 3", 0), card("more 2", 1)),
    ("elastic", frames("fresh7 2", 0), frames("more 1", 1)),
]


@pytest.mark.parametrize(("align", "first", "second"), ALIKE)
def test_different_pictures_that_are_alike_in_parts_are_refused(
    align: str, first: NDArray[Any], second: NDArray[Any]
) -> None:
    text = "cannot be registered: .*; they must show the same thing"
    with pytest.raises(ImageDiffError, match=text):
        image_diff.register(first, second, align)


PHOTOGRAPHED = {
    "a form": (form("dev 0", 0), form("dev 0", 0)),
    "a form, filled in otherwise": (form("dev 2", 0), form("dev 2", 1)),
    "a card": (card("dev 0", 0), card("dev 0", 0)),
    "a photo": (truth.photo("astronaut.png"), truth.photo("astronaut.png")),
}


ALIGNS = ["perspective", pytest.param("elastic", marks=pytest.mark.slow)]


@pytest.mark.parametrize("align", ALIGNS)
@pytest.mark.parametrize("name", PHOTOGRAPHED)
def test_a_photograph_is_laid_over_what_it_shows(name: str, align: str) -> None:
    first, shown = PHOTOGRAPHED[name]
    pair = again("photographed", name, first, shown)
    error = error_of(pair, align)
    assert error is not None
    assert error < 3  # pixels at the worst corner; a card has few corners to go by


def discs(name: str, count: int) -> NDArray[Any]:
    """A plain picture with some discs, which have no features."""
    random = truth.random_of(name)
    picture = np.full((300, 400, 3), 240, np.uint8)
    for _ in range(count):
        x, y = random.integers(50, (350, 250)).tolist()
        colour = random.integers(0, 200, 3).tolist()
        radius = int(random.integers(10, 40))
        cv2.circle(picture, (x, y), radius, colour, -1, cv2.LINE_AA)
    return picture


SMOOTH = cv2.resize(
    truth.random_of("smooth").integers(0, 255, (5, 6, 3)).astype(np.uint8), (400, 300)
)


@pytest.mark.parametrize(
    ("name", "first"), [("discs", discs("discs", 3)), ("smooth", SMOOTH)]
)
def test_what_has_no_features_is_registered_by_corners_that_are_near(
    name: str, first: NDArray[Any]
) -> None:
    second = np.roll(first, (3, 9), (0, 1)).astype(np.uint8)
    second[100:120, 200:230] = 255 - second[100:120, 200:230]
    second = truth.noise(second, 1, truth.random_of(name))
    matrix = np.array([[1, 0, 9], [0, 1, 3], [0, 0, 1.0]])
    error = error_of(Pair(name, "", first, second, matrix), "perspective")
    assert error is not None
    assert error < 0.5


@pytest.mark.parametrize("number", range(4))
def test_other_things_without_features_are_refused(number: int) -> None:
    first, second = discs(f"first {number}", 3), discs(f"second {number}", 3)
    with pytest.raises(ImageDiffError, match="they must show the same thing"):
        image_diff.register(first, second, "perspective")


@pytest.mark.parametrize("align", ALIGNS)
def test_a_picture_taken_in_the_dark_is_registered(align: str) -> None:
    first = truth.photo("coffee.png")
    dark = np.roll(first, (3, 9), (0, 1)) * 0.12
    second = truth.noise(truth.rounded(dark), 3, truth.random_of("dark"))
    matrix = np.array([[1, 0, 9], [0, 1, 3], [0, 0, 1.0]])
    error = error_of(Pair("dark", "", first, second, matrix), align)
    assert error is not None
    assert error < 1


@pytest.mark.slow
def test_a_screen_is_registered_on_a_wall_that_perspective_folds() -> None:
    first = truth.screen("white", "#eef1f5", "#222222", "#2a6fdb")
    height, width = first.shape[:2]
    corners = [[0, 0], [width, 0], [width, height], [0, height]]
    seen = [[300, 500], [900, 200], [900, 1400], [300, 1000]]
    matrix = np.array(cv2.findHomography(np.array(corners), np.array(seen))[0], float)
    wall = cv2.warpPerspective(first, matrix, (2400, 1600), borderValue=(90,) * 3)
    pair = Pair("screen", "", first, wall.astype(np.uint8), matrix)
    error = error_of(pair, "perspective")
    assert error is not None
    assert error < 0.5


@pytest.mark.slow
def test_a_photograph_that_perspective_reduces_is_laid_without_its_noise() -> None:
    size = 1000, 800
    first = cv2.resize(truth.photo("coffee.png"), size).astype(np.uint8)
    corners = np.array([[0, 0], [1000, 0], [1000, 800], [0, 800]], np.float32)
    seen = np.array([[1300, 400], [2700, 400], [3300, 2300], [700, 2300]], np.float32)
    matrix = cv2.getPerspectiveTransform(corners, seen)
    photo = cv2.warpPerspective(first, matrix, (4000, 2700), flags=cv2.INTER_CUBIC)
    second = truth.noise(photo.astype(np.uint8), 8, truth.random_of("reduced"))
    moved, _, _ = image_diff.register(first, second, "perspective")
    inner = np.s_[100:-100, 100:-100]
    # In the middle 2 x 2 pixels become one; taken one by one they would leave 6.7.
    assert (moved[inner].astype(float) - first[inner]).std() < 4


@pytest.mark.slow
def test_large_pictures_are_registered_to_hundredths_of_a_pixel() -> None:
    size = 1800, 1300
    first = cv2.resize(truth.photo("brick.png"), size).astype(np.uint8)
    matrix = np.array([[1.01, 0.02, -9], [-0.02, 1.01, 12], [0, 0, 1]])
    moved = cv2.warpPerspective(first, matrix, size, flags=cv2.INTER_CUBIC)
    second = truth.noise(moved.astype(np.uint8), 2, truth.random_of("large"))
    pair = Pair("large", "", first, second, matrix)
    error = error_of(pair, "perspective")
    assert error is not None
    assert error < 0.05


@pytest.mark.parametrize(
    ("matches", "text"),
    [
        (26, "registered by 26 matches only: check how it lies, 99 % covered"),
        (50, "50 matches agree, 99 % covered"),
    ],
)
def test_where_few_matches_agree_the_text_says_so(matches: int, text: str) -> None:
    alignment = Alignment("perspective", np.eye(3).tolist(), matches, 0.99)
    assert image_diff.registration(alignment) == f"alignment perspective: {text}"


@pytest.mark.parametrize("terminal", [True, False])
def test_what_takes_long_is_told_on_a_terminal(
    terminal: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    came = threading.Event()

    def tell(text: str) -> None:
        told.append(text)
        came.set()

    monkeypatch.setattr(image_diff, "SILENCE", 0.05)
    monkeypatch.setattr(image_diff, "is_terminal", lambda stream: terminal)
    monkeypatch.setattr(image_diff, "tell", tell)
    with image_diff.told_if_slow("comparing a and b"):
        came.wait(processes.PATIENCE if terminal else 0.3)
    assert told == ["comparing a and b"] * terminal


def test_what_takes_long_is_told_once_no_decoder_is_heard(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    came = threading.Event()
    monkeypatch.setattr(image_diff, "SILENCE", 0.01)
    monkeypatch.setattr(image_diff, "is_terminal", lambda stream: True)
    monkeypatch.setattr(image_diff, "tell", lambda text: came.set())
    with image_diff.told_if_slow("comparing a and b"):
        with image_diff.hear_decoders():
            assert not came.wait(0.1)
        assert came.wait(processes.PATIENCE)


def test_what_is_quick_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither meanwhile nor afterwards, however slow the machine is."""
    monkeypatch.setattr(image_diff, "SILENCE", processes.PATIENCE)
    monkeypatch.setattr(image_diff, "is_terminal", lambda stream: True)
    before = set(threading.enumerate())
    with image_diff.told_if_slow("comparing a and b"):
        (timer,) = set(threading.enumerate()) - before
    assert isinstance(timer, threading.Timer)
    assert timer.finished.is_set()  # it has not come, and no longer comes
