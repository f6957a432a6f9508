"""The measure of what is found and what is boxed for nothing, in its short form.

The figures of the README come from the long form: python tests/detection.py --half held-out
"""

import numpy as np
import pytest
from detection import BASES, EDITS, HALF_WINDOW, NUISANCES, Box, article, is_found, measure, ours

VISIBLE_IN_GRAY = [kind for kind, edit in EDITS.items() if edit.in_gray]
RESAMPLED = {"half a pixel"}  # for the options that register pictures


def test_no_base_is_in_both_halves() -> None:
    assert not set(BASES["dev"]) & set(BASES["held-out"])


def test_an_edit_is_found_by_boxes_over_half_of_it_and_of_sane_size() -> None:
    edit = Box(100, 100, 40, 20)
    assert is_found(edit, [edit.grown(HALF_WINDOW)])
    assert is_found(edit, [Box(90, 90, 20, 40), Box(120, 100, 10, 20)])
    assert not is_found(edit, [Box(100, 100, 19, 20)])
    assert not is_found(edit, [Box(0, 0, 500, 500)])
    assert not is_found(edit, [])


@pytest.mark.parametrize("half", ["dev", "held-out"])
@pytest.mark.parametrize("color", [False, True])
def test_no_false_boxes_and_the_edits_found(half: str, color: bool) -> None:
    scores = measure({"ours": ours(color)}, half, short=True)
    kinds = list(EDITS) if color else VISIBLE_IN_GRAY
    rows = [scores["ours", nuisance] for nuisance in NUISANCES if nuisance not in RESAMPLED]
    assert [row.false_boxes for row in rows] == [0] * len(rows)
    assert min(row.recall(kinds) for row in rows) >= 0.8  # one of ten edits missed is 0.1
    assert np.mean([row.recall(kinds) for row in rows]) >= 0.9


def test_the_tutorial_boxes_noise() -> None:
    """The measure is able to fail: what it says of the tutorial's pipeline is bad."""
    scores = measure({"article": article}, "dev", short=True)
    assert scores["article", "noise 5"].false_rate() > 10
    assert scores["article", "noise 5"].recall(VISIBLE_IN_GRAY) < 0.9
