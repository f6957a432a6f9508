"""The measure of what is found and what is boxed for nothing, in its short form.

The figures of tests/RESULTS.md come from the long form and from the other half, which
is drawn here once, to see that it is another one, and never measured.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

import peers
from camera import LIGHTS
from cases import FACES, SCENES, Case, Verdict, covered, hit, one_each
from detection import (
    DEFECT_SIDES,
    LINE_ART,
    Detection,
    Moved,
    Score,
    article,
    drawn,
    measure,
    measure_boards,
    ours,
    overlap,
    pair_off,
    pictured,
    resized,
    spoiled,
    transform_error,
)
from geometry import DRIFTS, RIGID, SMOOTH, Matrix, mapped, moved
from kinds import groups
from line_art import DEFECTS
from truth import (
    BASES,
    EDITS,
    HALF_WINDOW,
    NUISANCES,
    Box,
    Picture,
    is_found,
    random_of,
)

VISIBLE_IN_GRAY = [kind for kind, edit in EDITS.items() if edit.in_gray]
RESAMPLED = {"half a pixel"}  # for the options that register pictures


@pytest.mark.slow
def test_no_base_is_in_both_halves() -> None:
    assert not set(BASES["dev"]) & set(BASES["held-out"])
    assert not set(LINE_ART["dev"]) & set(LINE_ART["held-out"])
    draws = [draw for half in LINE_ART.values() for draw in half.values()]
    assert len({draw().ink.tobytes() for draw in draws}) == len(draws)


def test_an_edit_is_found_by_boxes_over_half_of_it_and_of_sane_size() -> None:
    edit = Box(100, 100, 40, 20)
    assert is_found(edit, [edit.grown(HALF_WINDOW)])
    assert is_found(edit, [Box(90, 90, 20, 40), Box(120, 100, 10, 20)])
    assert not is_found(edit, [Box(100, 100, 19, 20)])
    assert not is_found(edit, [Box(0, 0, 500, 500)])
    assert not is_found(edit, [])


@pytest.fixture(scope="module")
def scores() -> dict[tuple[str, str], Score]:
    """Of the development half, whose pictures are drawn once for all."""
    detectors = {"colour": ours(False), "gray": ours(True), "article": article}
    return measure(detectors, "dev", short=True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "kinds"), [("colour", list(EDITS)), ("gray", VISIBLE_IN_GRAY)]
)
def test_no_false_boxes_and_the_edits_found(
    name: str, kinds: list[str], scores: dict[tuple[str, str], Score]
) -> None:
    rows = [
        scores[name, nuisance] for nuisance in NUISANCES if nuisance not in RESAMPLED
    ]
    assert [row.false_boxes for row in rows] == [0] * len(rows)
    # One of ten edits missed is 0.1.
    assert min(row.recall(kinds) for row in rows) >= 0.8
    assert np.mean([row.recall(kinds) for row in rows]) >= 0.9


@pytest.mark.slow
def test_the_tutorial_boxes_noise(scores: dict[tuple[str, str], Score]) -> None:
    """The measure is able to fail: what it says of the tutorial's pipeline is bad."""
    assert scores["article", "noise 5"].false_rate() > 10
    assert scores["article", "noise 5"].recall(VISIBLE_IN_GRAY) < 0.9


# ----------------------------------------------------------------------------- geometry

SIZE = 200, 150
SPOTS = [(60.0, 40.0), (140.0, 50.0), (75.0, 100.0), (130.0, 95.0)]


def spots() -> Picture:
    """White discs on black."""
    picture = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    for x, y in SPOTS:
        cv2.circle(picture, (int(x), int(y)), 6, (255, 255, 255), -1)
    return cv2.GaussianBlur(picture, (0, 0), 2).astype(np.uint8)


def centre(picture: Picture, near: Sequence[float]) -> NDArray[Any]:
    """The centre of gravity of the light near a point."""
    left, top = (max(0, round(value) - 20) for value in near)
    light = picture[top : top + 41, left : left + 41, 0].astype(np.float64)
    y, x = np.indices(light.shape)
    return np.array(
        [left + (x * light).sum() / light.sum(), top + (y * light).sum() / light.sum()]
    )


@pytest.mark.parametrize("name", RIGID)
@pytest.mark.parametrize("fine", [1, 4])
def test_the_matrix_says_where_the_picture_goes(name: str, fine: int) -> None:
    warp = RIGID[name](SIZE, random_of(name))
    picture = cv2.resize(spots(), (fine * SIZE[0], fine * SIZE[1])).astype(np.uint8)
    second = warp.render(picture, np.zeros(3), fine)
    assert second.shape[1::-1] == (fine * warp.size[0], fine * warp.size[1])
    second = resized(second, warp.size)
    assert warp.matrix is not None
    for point, (x, y) in zip(SPOTS, mapped(warp.matrix, SPOTS), strict=True):
        assert centre(second, (x, y)) == pytest.approx((x, y), abs=0.1), point


@pytest.mark.parametrize("most", DRIFTS)
def test_a_smooth_warp_moves_the_picture_by_its_field(most: int) -> None:
    warp = SMOOTH[f"warp {most}"](SIZE, random_of(most))
    assert warp.field is not None
    assert np.linalg.norm(warp.field, axis=2).max() == pytest.approx(most)
    second = warp.render(spots(), None)
    for x, y in SPOTS:
        to = centre(second, (x, y))
        away = warp.field[round(to[1]), round(to[0])]
        assert to + away == pytest.approx((x, y), abs=0.15)


def test_what_the_picture_does_not_reach_is_plain_and_its_rim_mixed() -> None:
    white = np.full((20, 30, 3), 200, np.uint8)
    second = moved((30, 20), 2.5, 0).render(white, np.array([0, 100, 0]))
    assert np.array_equal(second[:, :2], np.tile([0, 100, 0], (20, 2, 1)))
    assert np.array_equal(second[:, 2], np.tile([100, 150, 100], (20, 1)))
    assert (second[:, 3:] == 200).all()


@pytest.mark.slow
def test_where_nothing_moves_nothing_changes() -> None:
    for subject in (pictured("dev", "coins", 0), drawn("dev", "flat board", [])):
        size = subject.first.shape[1], subject.first.shape[0]
        still = subject.see(subject.truths[0], moved(size, 0, 0))
        assert np.array_equal(still, subject.first)


def test_an_edit_out_of_sight_is_not_missed() -> None:
    warp = moved((100, 80), -10, 5)
    assert warp.shows(Box(10, 0, 90, 75))
    assert not warp.shows(Box(9, 0, 20, 20))
    assert not warp.shows(Box(20, 60, 20, 16))
    score = Moved()
    score.add([Box(0, 0, 8, 8), Box(50, 50, 5, 5)], [], lost=[("dot", Box(2, 2, 6, 6))])
    assert (score.false_boxes, sum(score.edits.values())) == (1, 0)


def test_the_error_of_a_transform_is_that_of_the_corners() -> None:
    true: Matrix = np.array([[1.1, 0.02, 5], [-0.03, 0.9, -4], [1e-4, -1e-4, 1]])
    back: Matrix = np.linalg.inv(true).astype(np.float64)
    assert transform_error(back, true, (640, 512)) == pytest.approx(0, abs=1e-9)
    off: Matrix = np.array([[1, 0, 0.3], [0, 1, 0.4], [0, 0, 1]])
    assert transform_error(off @ back, true, (640, 512)) == pytest.approx(0.5)


# ------------------------------------------------------------------------------- boards


@pytest.mark.slow
def test_defects_are_all_that_changes_and_of_all_kinds() -> None:
    kinds = set()
    for name, draw in LINE_ART["dev"].items():
        art = draw()
        first = art.scan(art.ink)
        assert set(np.unique(first)) == {0, 255} or not art.binary
        truth = spoiled(name, art, 0, 6)
        assert len(truth.edits) == 6
        change = (art.scan(truth.picture) != first).any(axis=2)
        for kind, box in truth.edits:
            x, y, width, height = cv2.boundingRect(change[box.window].astype(np.uint8))
            assert (x, y, width, height) == (0, 0, box.width, box.height)
            assert DEFECT_SIDES[0] <= max(width, height) <= DEFECT_SIDES[1]
            change[box.window] = False
            kinds.add(kind)
        assert not change.any()
    assert kinds == set(DEFECTS)


def test_overlap_is_shared_area_of_the_joint_one() -> None:
    assert overlap(Box(0, 0, 10, 10), Box(0, 0, 10, 10)) == 1
    assert overlap(Box(0, 0, 10, 10), Box(5, 0, 10, 10)) == 50 / 150
    assert overlap(Box(0, 0, 10, 10), Box(2, 3, 5, 4)) == 0.2
    assert overlap(Box(0, 0, 10, 10), Box(10, 0, 5, 5)) == 0
    assert overlap(Box(0, 0, 10, 10), Box(20, 20, 5, 5)) == 0


def test_boxes_are_paired_one_to_one_and_the_best_first() -> None:
    true = [Box(0, 0, 10, 10), Box(100, 0, 10, 10), Box(200, 0, 10, 10)]
    assert pair_off(
        [Box(0, 0, 10, 9), Box(0, 0, 10, 8), Box(102, 0, 10, 10)], true
    ) == [0, 1]
    # Overlaps of 0.43 and 0.333, then of 0.25.
    assert pair_off([Box(204, 0, 10, 10), Box(205, 0, 10, 10)], true) == [2]
    assert pair_off([Box(206, 0, 10, 10)], true) == []
    assert pair_off([], true) == pair_off(true, []) == []
    # The first box overlaps both, yet better the second: the other box gets the first.
    assert pair_off(
        [Box(4, 0, 10, 10), Box(0, 0, 8, 10)], [Box(0, 0, 10, 10), Box(5, 0, 10, 10)]
    )


def test_f1_of_a_case_by_hand() -> None:
    score = Detection()
    defects = [("open", Box(20, 20, 10, 10)), ("short", Box(60, 20, 10, 10))]
    # Loosely drawn, the first is 22x22 at 14, 14: found by 11x22 of it, missed by 7x22.
    score.add([Box(14, 14, 11, 22), Box(54, 14, 7, 22), Box(200, 200, 9, 9)], defects)
    assert (score.precision, score.recall, score.f1) == (1 / 3, 1 / 2, 2 / 5)
    score += Detection(found=1, true=Counter(spur=1), hits=Counter(spur=1))
    assert (score.precision, score.recall, score.f1) == (2 / 4, 2 / 3, 4 / 7)
    assert Detection().f1 == 0


@pytest.mark.slow
def test_the_tutorial_fails_on_boards_that_drift() -> None:
    scores = measure_boards(("dev", "drilled board", 1), {"article": article})
    assert [row for _, row in scores] == [
        "boards, warp 1",
        "boards, warp 2",
        "boards, warp 3",
    ]
    assert all(score.f1 < 0.1 for score in scores.values())
    assert all(3 <= score.true.total() <= 10 for score in scores.values())


# ----------------------------------------------------------------------- kinds of cases

BLANK = np.full((100, 200, 3), 200, np.uint8)


def with_marks(*marks: Box) -> Picture:
    """A blank picture with black marks."""
    picture = BLANK.copy()
    for mark in marks:
        picture[mark.window] = 0
    return picture


def test_a_change_is_hit_by_a_box_of_sane_size_and_no_other_box_is_right() -> None:
    mark = Box(50, 40, 10, 10)
    case = Case(BLANK, with_marks(mark), [mark])
    around = mark.grown(HALF_WINDOW)
    assert hit(case, [around]).right
    assert hit(case, []) == Verdict([mark], [])
    assert hit(case, [around, Box(0, 0, 9, 9)]) == Verdict([], [Box(0, 0, 9, 9)])
    all_of_it = Box(0, 0, 200, 100)
    assert hit(case, [all_of_it]) == Verdict([mark], [all_of_it])
    assert hit(Case(BLANK, BLANK), []).right
    assert not hit(Case(BLANK, BLANK), [around]).right


def test_a_change_is_covered_by_boxes_over_half_of_its_pixels() -> None:
    bar = Box(20, 10, 100, 4)
    case = Case(BLANK, with_marks(bar), [bar], covered)
    left = Box(20, 10, 50, 4)
    assert covered(case, [left]).right
    assert covered(case, [left._replace(width=49)]) == Verdict([bar], [])
    assert covered(case, [left, Box(20, 60, 5, 5)]).elsewhere == [Box(20, 60, 5, 5)]
    assert covered(case, [left, Box(0, 0, 18, 8)]).right


def test_each_change_has_one_box_and_each_box_one_change() -> None:
    one, two = Box(20, 20, 20, 20), Box(60, 20, 20, 20)
    case = Case(BLANK, with_marks(one, two), [one, two], one_each)
    assert one_each(case, [one, two]).right
    both = Box(20, 20, 60, 20)
    assert one_each(case, [both]) == Verdict([], [both])
    pieces = [Box(20, 20, 20, 5), Box(20, 30, 20, 5)]
    assert one_each(case, [*pieces, two]) == Verdict([one], [])


def test_the_halves_of_the_kinds_share_no_face_and_no_scene() -> None:
    for halves in (FACES, SCENES):
        assert not set(halves["dev"]) & set(halves["held-out"])


def test_a_row_counts_in_what_stands_before_its_commas() -> None:
    assert groups("tolerance 1, 9 px") == ["tolerance 1", "tolerance 1, 9 px"]


def test_lights_are_gains_that_vary_slowly() -> None:
    values = BLANK.astype(np.float64)
    random = random_of("light")
    assert (LIGHTS["exposure x0.8"](values, random) == 160).all()
    assert (LIGHTS["contrast x0.8"](values, random) == 128 + 0.8 * 72).all()
    for light in ("gradient", "vignette", "soft shadow"):
        lit = LIGHTS[light](values, random)
        assert np.ptp(lit) > 20
        assert np.abs(np.diff(lit, axis=1)).max() < 3


# ----------------------------------------------------------------------- other programs

MARK = Box(50, 40, 10, 10)


def test_parts_that_a_window_spans_are_one_and_yellow_is_no_difference(
    tmp_path: Path,
) -> None:
    picture = BLANK.copy()
    picture[:5] = 0, 255, 255
    for x in (20, 36, 53):  # 6 pixels apart, and 7
        picture[30:40, x : x + 10] = 0, 0, 255
    cv2.imwrite(str(tmp_path / "out.png"), picture)
    boxes = peers.painted(tmp_path / "out.png")
    assert sorted(boxes) == [Box(20, 30, 26, 10), Box(53, 30, 10, 10)]
    with pytest.raises(FileNotFoundError):
        peers.painted(tmp_path / "missing.png")


def test_a_status_that_says_neither_is_no_answer(tmp_path: Path) -> None:
    def ends(status: int) -> list[str | Path]:
        return [sys.executable, "-S", "-c", f"raise SystemExit({status})"]

    assert peers.run(ends(0), 22, tmp_path) == peers.Answer(False, [])
    with pytest.raises(RuntimeError, match="status 3 of: "):
        peers.run(ends(3), 22, tmp_path)


@pytest.mark.parametrize(
    ("changes", "answer", "where", "whether"),
    [
        ([MARK], peers.Answer(True, [MARK]), True, True),
        ([MARK], peers.Answer(True, [Box(0, 0, 9, 9)]), False, True),
        ([MARK], peers.Answer(False, []), False, False),
        ([], peers.Answer(False, []), True, True),
        ([], peers.Answer(True, [MARK]), False, False),
        ([], peers.Answer(None, []), False, False),
    ],
)
def test_an_answer_is_right_about_where_and_about_whether(
    changes: list[Box], answer: peers.Answer, where: bool, whether: bool
) -> None:
    case = Case(BLANK, with_marks(*changes), changes)
    row = f"light, {'changed' if changes else 'nothing changed'}"
    assert peers.counted("light", case, {"odiff": answer}) == {
        (row, "", "cases"): 1,
        (row, "odiff", "where"): where,
        (row, "odiff", "whether"): whether,
    }


def test_others_are_given_files_of_8_bits_and_nothing_to_register() -> None:
    case = Case(BLANK, with_marks(MARK), [MARK])
    (answer,) = peers.ask(case, ["the article's script"], redrawn=False).values()
    assert answer.differs
    assert hit(case, answer.boxes).right
    deep = Case(BLANK.astype(np.uint16), BLANK.astype(np.uint16))
    slanted = Case(BLANK, BLANK, options={"align": "perspective"})
    for other in (deep, slanted):
        assert peers.ask(other, ["the article's script"], redrawn=False) == {}


def test_the_table_has_a_dash_where_a_program_was_not_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NODE_PATH", str(tmp_path))
    counts = {("deep", "", "cases"): 3}
    counts |= {("deep", "image_diff", "where"): 1, ("deep", "image_diff", "whether"): 2}
    lines = list(peers.table(counts))
    assert "| deep | 3 | 1, 2 | - | - | - | - |" in lines
    assert any(line.startswith("odiff is not installed: `npm ") for line in lines)
