"""Pages that grew, and sizes that differ: on what canvas they lie, and what is told."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import draw_pages
import image_diff
from chromium import MISSING
from image_diff import (
    Comparison,
    ImageDiffError,
    as_record,
    compare_images,
    main,
)

Picture = NDArray[Any]
SIZE = 400, 320  # width and height of the page
LINE = 16  # rows of a line of letters and the ground below it


def lines(seed: int, number: int, width: int = SIZE[0]) -> Picture:
    """So many lines of letters: dark boxes of random widths on white, 16 rows each."""
    random = np.random.default_rng(seed)
    page = np.full((number * LINE, width, 3), 255, np.uint8)
    for line in range(number):
        x = 8
        while x < width - 30:
            wide, tone = int(random.integers(3, 22)), int(random.integers(0, 120))
            page[line * LINE + 3 : line * LINE + 12, x : x + wide] = tone
            x += wide + int(random.integers(2, 9))
    return page


def smooth(seed: int, height: int) -> Picture:
    """A picture without a ground: levels at random, blurred."""
    levels = np.random.default_rng(seed).integers(70, 170, (height // 8, 38))
    return cv2.merge([cv2.resize(levels.astype(np.uint8), (300, height))] * 3)


PAGE = lines(0, SIZE[1] // LINE)
SMOOTH = smooth(3, 200)
NEW = lines(1, 4)  # of 64 rows
GROUND = np.full((1, SIZE[0], 3), 255, np.uint8)


def told(comparison: Comparison) -> list[tuple[str, int, int, int]]:
    """Kind, row in the first, row in the second and height of each band."""
    return [
        (band.kind, band.first_y, band.second_y, band.height)
        for band in comparison.bands
    ]


def text_of(first: Picture, second: Picture, **options: Any) -> list[str]:
    """The lines below the score."""
    comparison = compare_images(first, second, **options)
    return image_diff.as_text(comparison).splitlines()[1:]


def grown(page: Picture, row: int, new: Picture) -> Picture:
    """The page with new rows before one of its own."""
    return np.vstack([page[:row], new, page[row:]])


# Where a page is cut, and what is told. A band begins below the last letters above it,
# which end 4 rows above a line.
ROWS: dict[str, tuple[Picture, Picture, list[tuple[str, int, int, int]]]] = {
    "inserted": (PAGE, grown(PAGE, 160, NEW), [("inserted", 156, 156, 64)]),
    "removed": (grown(PAGE, 160, NEW), PAGE, [("removed", 156, 156, 64)]),
    "on top": (PAGE, np.vstack([NEW, PAGE]), [("inserted", 0, 0, 64)]),
    "at the end": (PAGE, np.vstack([PAGE, NEW]), [("inserted", 316, 316, 64)]),
    "cut at the end": (PAGE, PAGE[:240], [("removed", 236, 236, 80)]),
    "both": (
        PAGE,
        np.vstack([PAGE[:64], NEW, PAGE[64:240], PAGE[272:]]),
        [("inserted", 60, 60, 64), ("removed", 236, 300, 32)],
    ),
    "moved": (
        PAGE,
        np.vstack([PAGE[:64], PAGE[208:256], PAGE[64:208], PAGE[256:]]),
        [("inserted", 60, 60, 48), ("removed", 204, 252, 48)],
    ),
    "in a picture without a ground": (
        SMOOTH,
        grown(SMOOTH, 100, smooth(4, 40)),
        [("inserted", 100, 100, 40)],
    ),
    "cut off by a screen": (
        PAGE,
        grown(PAGE, 96, NEW)[: SIZE[1]],
        [("inserted", 92, 92, 64), ("removed", 252, 316, 64)],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_bands_are_told_to_the_row(name: str) -> None:
    first, second, bands = ROWS[name]
    comparison = compare_images(first, second, align="rows")
    assert (told(comparison), comparison.regions) == (bands, ())
    assert comparison.status == "different"
    assert comparison.score == pytest.approx(1, abs=2e-2)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_every_depth_is_aligned(depth: Any, channels: int) -> None:
    first, second, bands = ROWS["both"]
    scale = {np.uint8: 1.0, np.uint16: 257.0, np.float32: 1 / 255}[depth]

    def of_depth(page: Picture) -> Picture:
        deep: Picture = (page * scale).astype(depth)
        return deep if channels == 3 else deep[..., 0]

    comparison = compare_images(of_depth(first), of_depth(second), align="rows")
    assert told(comparison) == bands


@pytest.mark.parametrize("darker", [0, 7])
def test_jpeg_and_another_brightness_leave_the_bands(darker: int) -> None:
    first, second, bands = ROWS["both"]
    data = cv2.imencode(".jpg", second - np.minimum(second, darker))[1]
    copy = cv2.imdecode(data, cv2.IMREAD_COLOR)
    found = told(compare_images(first, copy, align="rows"))
    assert [band[0] for band in found] == [band[0] for band in bands]
    assert np.abs(np.array([b[1:] for b in found]) - [b[1:] for b in bands]).max() <= 3


def test_a_change_in_place_is_a_region_in_pixels_of_either_picture() -> None:
    first, second, _ = ROWS["both"]
    second = second.copy()
    second[195:209, 100:140] = 60  # a line of letters, 64 rows higher in the first
    comparison = compare_images(first, second, align="rows")
    (record,) = as_record(comparison)["regions"]
    (region,) = comparison.regions
    assert record["second_y"] - record["y"] == 64
    assert (record["second_y"], record["height"]) == (region.y, region.height)
    assert 192 <= region.y <= 195
    assert 209 <= region.y + region.height <= 212


def test_a_footer_of_another_colour_is_a_change_in_place() -> None:
    foot = np.full((60, SIZE[0], 3), 90, np.uint8)
    first = np.vstack([PAGE, foot])
    second = np.vstack([NEW, PAGE, foot + 80])
    comparison = compare_images(first, second)
    assert told(comparison) == [("inserted", 0, 0, 64)]
    (region,) = comparison.regions
    assert (region.y, region.height) == (381, 63)  # of 60 rows from 384 on


def test_equal_pictures_have_no_band() -> None:
    comparison = compare_images(PAGE, PAGE, align="rows")
    assert (comparison.status, comparison.bands, comparison.score) == ("same", (), 1)
    assert np.array_equal(comparison.first, PAGE)


def test_small_gaps_that_make_another_height_are_told() -> None:
    parts = [PAGE[start : start + 80] for start in range(0, SIZE[1], 80)]
    comparison = compare_images(PAGE, np.vstack([grown(x, 80, GROUND) for x in parts]))
    assert comparison.status == "different"
    assert told(comparison) == [
        ("inserted", row, row + place, 1)
        for place, row in enumerate((76, 156, 236, 316))
    ]


def test_rows_that_are_drawn_anew_in_place_are_no_band() -> None:
    second = PAGE.copy()
    second[64:128] = NEW
    comparison = compare_images(PAGE, second, align="rows")
    assert comparison.bands == ()
    assert comparison.regions


def test_of_two_columns_one_may_move() -> None:
    side, page = lines(2, 40, 160), lines(3, 40, 240)
    head = lines(5, 3)
    first = np.vstack([head, np.hstack([side, page]), head])
    moved = np.hstack([side, grown(page, 320, NEW[:, :240])[:640]])
    second = np.vstack([head, moved, head])
    comparison = compare_images(first, second, align="rows")
    assert told(comparison) == [("inserted", 364, 364, 64), ("removed", 620, 684, 64)]
    assert comparison.regions == ()
    for band in comparison.bands:  # the cut lies on the ground between both
        assert 130 <= band.x <= 168
        assert band.x + band.width == 400
    for canvas in comparison.first, comparison.second:
        assert np.array_equal(canvas[: len(head)], head)
        assert np.array_equal(canvas[-len(head) :], head)


@pytest.mark.parametrize(
    ("rows", "columns", "level", "blank"),
    [
        (slice(12, 16), slice(64, 68), 225, True),  # a ring of JPEG around a letter
        (slice(0, 3), slice(0, 80), 0, True),  # what stands at the edge of the band
        (slice(12, 14), slice(0, 80), 0, True),  # a line that was snapped
        (slice(12, 20), slice(64, 70), 0, False),  # a letter
    ],
)
def test_the_ground_beside_a_column_that_grew_is_blank(
    rows: slice, columns: slice, level: int, blank: bool
) -> None:
    ground = np.full((40, 80, 3), 250, np.uint8)
    ground[rows, columns] = level
    assert image_diff.is_blank(ground) == blank


@pytest.mark.parametrize("panel", [255, 235, 100])
def test_lines_that_were_snapped_by_a_row_are_no_difference(panel: int) -> None:
    parts = np.split(lines(4, 60), 20)
    head = np.full((40, SIZE[0], 3), 255, np.uint8)
    other_head = head.copy()
    other_head[10:30, 100:300] = panel
    other_parts = [parts[0], NEW, *(grown(part, 48, GROUND) for part in parts[1:])]
    first, second = np.vstack([head, *parts]), np.vstack([other_head, *other_parts])
    comparison = compare_images(first, second)
    assert told(comparison) == [("inserted", 84, 84, 64)]
    boxes = [(97, 7, 206, 26)] if panel < 255 else []
    assert [region[:4] for region in comparison.regions] == boxes
    text = image_diff.as_text(comparison)
    assert "spacing differs by up to 2 rows in 19 places" in text


def test_share_and_score_count_bands_and_what_both_have() -> None:
    first, second, _ = ROWS["inserted"]
    comparison = compare_images(first, second)
    record = as_record(comparison)
    assert (record["width"], record["height"]) == SIZE
    assert (record["second_width"], record["second_height"]) == (400, 384)
    assert record["different_pixels"] == 64 * 400
    assert record["different_fraction"] == 64 / 384
    assert record["ssim"] == 1
    assert record["unequal_pixels"] == 0
    assert record["alignment"] == {
        "method": "rows",
        "transform": None,
        "matches": None,
        "covered": 1.0,
        "bands": [
            {
                "kind": "inserted",
                "x": 0,
                "width": 400,
                "height": 64,
                "first_y": 156,
                "second_y": 156,
            }
        ],
    }
    json.dumps(record)


def test_what_is_ignored_lies_in_the_first_picture() -> None:
    first, second, _ = ROWS["inserted"]
    second = second.copy()
    second[300:310, 200:240] = 128  # row 236 of the first
    everything = compare_images(first, second)
    assert len(everything.regions) == 1
    without = compare_images(first, second, ignore=[(190, 230, 60, 20)])
    assert without.regions == ()
    assert told(without) == told(everything)


def test_the_sliders_keep_the_bands() -> None:
    first, second, bands = ROWS["both"]
    comparison = compare_images(first, second, align="rows")
    chosen = image_diff.with_threshold(comparison, 0.3, 5)
    assert told(chosen) == bands
    assert chosen.different_pixels == comparison.different_pixels


Edits = list[tuple[bool, int, int]]


@settings(max_examples=30)
@given(
    edits=st.lists(
        st.tuples(st.booleans(), st.integers(0, 300), st.integers(1, 120)), max_size=4
    ),
    columns=st.booleans(),
    seed=st.integers(0, 3),
)
def test_the_canvas_has_every_row_of_both_pictures(
    edits: Edits, columns: bool, seed: int
) -> None:
    first = lines(seed, 20, 200)
    second = first
    for insert, row, height in edits:
        if insert:
            new = lines(seed + 9, 8, 200)[:height]
            second = grown(second, min(row, len(second)), new)
        elif len(second) - height >= 7:
            second = np.delete(second, slice(row, row + height), axis=0)
    if columns and len(second) == len(first):
        second = np.hstack([first[:, :80], second[:, 80:]])
    if len(second) < 7:
        return
    comparison = compare_images(first, second, align="rows")
    canvas = comparison.first.shape
    assert comparison.second.shape == canvas
    for lane in comparison.lanes:
        part = slice(lane.left, lane.right)
        assert len(lane.in_first) == len(lane.in_second) == canvas[0]
        assert np.array_equal(comparison.first[lane.in_first, part], first[:, part])
        assert np.array_equal(comparison.second[lane.in_second, part], second[:, part])
    for band in comparison.bands:
        page = second if band.kind == "inserted" else first
        row = band.second_y if band.kind == "inserted" else band.first_y
        shown = comparison.second if band.kind == "inserted" else comparison.first
        assert np.array_equal(
            image_diff.band_of(band, shown),
            page[row : row + band.height, band.x : band.x + band.width],
        )


@pytest.mark.parametrize("height", [7, 8, 9, 15, 17])
@pytest.mark.parametrize("other", [7, 8, 16, 40])
def test_pictures_of_a_few_rows_are_aligned(height: int, other: int) -> None:
    random = np.random.default_rng(height)
    first = random.integers(0, 256, (height, 30, 3), dtype=np.uint8)
    second = random.integers(0, 256, (other, 30, 3), dtype=np.uint8)
    comparison = compare_images(first, second, align="rows")
    changes = {"inserted": 1, "removed": -1}
    assert len(comparison.first) >= max(height, other)
    if abs(other - height) >= image_diff.SPACING:
        assert other - height == sum(
            changes[band.kind] * band.height for band in comparison.bands
        )


# ------------------------------------------------------------------ sizes that differ

RIGHT, BELOW = (60, 0, 20, 40), (0, 40, 60, 15)  # x, y, width and height of strips
WIDER = np.zeros((40, 80, 3), np.uint8), np.zeros((40, 60, 3), np.uint8)


def test_auto_aligns_rows_where_only_the_heights_differ() -> None:
    first, second, bands = ROWS["inserted"]
    assert told(compare_images(first, second)) == bands
    assert compare_images(first, first).alignment is None
    assert compare_images(first, second[:, 1:]).bands == ()


@pytest.mark.parametrize("align", ["auto", "none", "rows"])
@pytest.mark.parametrize(("rows", "other"), [(40, (3, 30)), (6, (40, 30))])
def test_what_both_have_is_seven_pixels_a_side(
    rows: int, other: tuple[int, int], align: str
) -> None:
    """Or else windows reach beyond it, and SSIM is no longer in [-1, 1]."""
    pair = np.zeros((rows, 30), np.uint8), np.full(other, 90, np.uint8)
    sizes = f"are 30x{rows} and 30x{other[0]} pixels, and SSIM needs 7 a side; "
    remedy = "--resize scales the second" if rows > 6 else "use larger pictures"
    with pytest.raises(ImageDiffError, match=sizes + remedy):
        compare_images(*pair, align=align)


def test_a_picture_that_is_scaled_may_be_smaller() -> None:
    comparison = compare_images(WIDER[0], WIDER[1][:3, :3], resize=True)
    assert (comparison.score, comparison.regions) == (1, ())


def test_the_score_of_a_small_part_stays_above_minus_1() -> None:
    lines = np.zeros((200, 200), np.uint8)
    lines[::2] = 255
    assert compare_images(lines, 255 - lines[:7, :7]).score == -1


STRIPS: list[
    tuple[tuple[int, int], tuple[int, int], list[tuple[str, Sequence[int]]]]
] = [
    ((80, 40), (60, 40), [("removed", RIGHT)]),
    ((60, 40), (80, 40), [("inserted", RIGHT)]),
    ((60, 55), (60, 40), [("removed", BELOW)]),
    ((80, 55), (60, 40), [("removed", (60, 0, 20, 55)), ("removed", BELOW)]),
    ((80, 40), (60, 55), [("removed", RIGHT), ("inserted", BELOW)]),
]


@pytest.mark.parametrize(("size", "other", "strips"), STRIPS)
def test_what_only_one_picture_has_beyond_the_edge_is_a_region(
    size: tuple[int, int],
    other: tuple[int, int],
    strips: list[tuple[str, Sequence[int]]],
) -> None:
    random = np.random.default_rng(5)
    whole = random.integers(0, 256, (60, 90, 3), dtype=np.uint8)
    first, second = whole[: size[1], : size[0]], whole[: other[1], : other[0]]
    comparison = compare_images(first, second, align="none")
    assert [
        (band.kind, (band.x, band.y, band.width, band.height))
        for band in comparison.strips
    ] == strips
    regions = {(*region[:4], region.area, region.ssim) for region in comparison.regions}
    assert regions == {(*box, box[2] * box[3], 0.0) for _, box in strips}
    assert comparison.status == "different"
    assert (comparison.score, comparison.unequal_pixels) == (1, 0)
    record = as_record(comparison)
    assert (record["width"], record["height"]) == size
    assert (record["second_width"], record["second_height"]) == other
    assert record["alignment"] is None
    one, two = (
        image_diff.clean_picture(comparison, title) for title in image_diff.TITLES[:2]
    )
    assert np.array_equal(one[: size[1], : size[0]], first)
    assert np.array_equal(two[: other[1], : other[0]], second)


def test_a_change_in_the_common_part_is_a_region_of_its_own() -> None:
    first = np.full((60, 80, 3), 200, np.uint8)
    second = np.full((60, 100, 3), 200, np.uint8)
    second[10:20, 10:20] = 0
    comparison = compare_images(first, second)
    assert [region[:4] for region in comparison.regions] == [
        (80, 0, 20, 60),
        (7, 7, 16, 16),
    ]
    chosen = image_diff.with_threshold(comparison, 0.3, 5)
    assert chosen.regions[0] == comparison.regions[0]


@pytest.mark.parametrize("pair", [WIDER, WIDER[::-1]], ids=["first", "second"])
def test_a_strip_that_is_ignored_is_no_difference(
    pair: tuple[Picture, Picture],
) -> None:
    """It may lie beyond the edge of the first picture."""
    left = compare_images(*pair, ignore=[(60, 0, 20, 40)])
    assert (left.status, left.different_pixels) == ("same", 0)
    mask = np.zeros((40, pair[0].shape[1]), np.uint8)
    assert compare_images(*pair, ignored=(mask, None)).different_pixels == 800


@pytest.mark.parametrize(
    ("first", "second", "options", "text"),
    [
        (
            np.zeros((8, 20000), np.uint8),
            np.zeros((20000, 8), np.uint8),
            {},
            "^20000x8 and 8x20000 pixels do not fit one canvas; --resize scales",
        ),
        (*WIDER, {"align": "rows"}, "are 80x40 and 60x40 pixels; --align rows needs"),
        (*WIDER, {"align": "rows", "resize": True}, "resize and align rows exclude"),
    ],
)
def test_what_cannot_be_laid_is_refused(
    first: Picture, second: Picture, options: dict[str, Any], text: str
) -> None:
    with pytest.raises(ImageDiffError, match=text):
        compare_images(first, second, **options)


# --------------------------------------------------------------------- what is told


SIZES = "rows aligned, {}; --align none compares from the top left"
TEXTS: dict[str, tuple[Picture, Picture, list[str]]] = {
    "two bands": (
        *ROWS["both"][:2],
        [
            "different: 0 regions, 2 bands, 25 % of the picture",
            "2 bands: 64 rows added at y 60; 32 rows removed at y 236",
            "sizes 400x320 and 400x352: " + SIZES.format("+64 -32"),
        ],
    ),
    "of one size": (
        *ROWS["moved"][:2],
        [
            "different: 0 regions, 2 bands, 26.1 % of the picture",
            "2 bands: 48 rows added at y 60; 48 rows removed at y 204",
            "rows aligned, +48 -48",
        ],
    ),
    "a blank row more": (
        PAGE,
        grown(PAGE, 160, GROUND),
        [
            "same: the rows that both have are identical",
            "sizes 400x320 and 400x321: rows aligned; "
            "--align none compares from the top left",
            "spacing differs by up to 2 rows in 1 place",
        ],
    ),
    "wider": (
        *WIDER,
        [
            "different: 1 region, 25 % of the picture",
            "  x 60, y 0, 20x40 pixels: removed, 800 different, SSIM 0.000",
            "sizes 80x40 and 60x40: compared from the top left",
        ],
    ),
    "much wider": (
        WIDER[0],
        WIDER[0][:, :30],
        [
            "different: 1 region, 62.5 % of the picture",
            "  x 30, y 0, 50x40 pixels: removed, 2000 different, SSIM 0.000",
            "sizes 80x40 and 30x40: compared from the top left; "
            "try --align perspective or --resize",
        ],
    ),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_tells_how_both_were_laid(name: str) -> None:
    first, second, lines_told = TEXTS[name]
    align = "rows" if first.shape == second.shape else "auto"
    assert text_of(first, second, align=align)[: len(lines_told)] == lines_told


def by(step: tuple[int, int], page: Picture) -> Picture:
    """The page moved right and down over white."""
    across, down = step
    matrix = np.array([[1.0, 0, across], [0, 1, down]])
    return cv2.warpAffine(page, matrix, page.shape[1::-1], borderValue=(255,) * 3)


def turned(degrees: float, scale: float, page: Picture) -> Picture:
    """The page turned and scaled about its centre, with its borders going on."""
    height, width = page.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
    edge = cv2.BORDER_REPLICATE
    return cv2.warpAffine(page, matrix, (width, height), borderMode=edge)


def with_panel(x: int) -> Picture:
    """A page on a third of which a panel lies."""
    page = PAGE.copy()
    page[80:240, x : x + 200] = lines(5, 10, 200)
    return page


def noisy(seed: int, page: Picture) -> Picture:
    """The page with a camera's noise."""
    noise = np.random.default_rng(seed).normal(0, 3, page.shape)
    return np.clip(page + noise + 0.5, 0, 255).astype(np.uint8)


SQUARE = cv2.resize(SMOOTH, (240, 240))
PERSPECTIVE = "moved, by up to {}; try --align perspective"
# What is told of two pictures of one size: of one that moved, and of what did not.
MOVED: dict[str, tuple[Picture, Picture, str]] = {
    "by a pixel": (PAGE, by((1, 0), PAGE), PERSPECTIVE.format("1 pixel")),
    "by some": (PAGE, by((-9, 12), PAGE), PERSPECTIVE.format("15 pixels")),
    "down": (PAGE, by((0, 20), PAGE), "moved, by up to 20 pixels; try --align rows"),
    "turned": (PAGE, turned(2, 1, PAGE), PERSPECTIVE.format("9 pixels")),
    "scaled": (PAGE, turned(0, 1.04, PAGE), PERSPECTIVE.format("10 pixels")),
    "in noise": (
        noisy(1, SMOOTH),
        noisy(2, by((6, 8), SMOOTH)),
        PERSPECTIVE.format("10 pixels"),
    ),
    "in other light": (
        PAGE,
        cv2.convertScaleAbs(turned(-2, 1, PAGE), alpha=0.8, beta=20),
        PERSPECTIVE.format("9 pixels"),
    ),
    "deep": (
        PAGE.astype(np.uint16) * 257,
        by((3, 4), PAGE).astype(np.uint16) * 257,
        PERSPECTIVE.format("5 pixels"),
    ),
    "upside down": (
        SMOOTH,
        SMOOTH[::-1, ::-1],
        "turned by 180 degrees; try --align perspective",
    ),
    "on its side": (
        SQUARE,
        cv2.rotate(SQUARE, cv2.ROTATE_90_CLOCKWISE),
        "turned by 90 degrees; try --align perspective",
    ),
    "inverted": (PAGE, 255 - PAGE, ""),
    "another ground": (PAGE, np.minimum(PAGE, (120, 240, 255)).astype(np.uint8), ""),
    "another page": (PAGE, lines(9, SIZE[1] // LINE), ""),
    "another picture": (SMOOTH, smooth(4, 200), ""),
    "mirrored": (SMOOTH, SMOOTH[:, ::-1], ""),
    "blurred": (PAGE, cv2.GaussianBlur(PAGE, (0, 0), 2), ""),
    "rows inserted": (PAGE, grown(PAGE, 160, NEW)[: len(PAGE)], ""),
    "a panel moved": (with_panel(40), with_panel(52), ""),
    "blank": (PAGE, np.full_like(PAGE, 255), ""),
    "one colour": (np.full_like(PAGE, 9), np.full_like(PAGE, 200), ""),
    "an icon": (SMOOTH[:24, :24], SMOOTH[100:124, 50:74], ""),
    "a word": (PAGE, np.vstack([lines(6, 1)[:, :100], PAGE[16:, :100]]), ""),
}


def movement_told(first: Picture, second: Picture, **options: Any) -> str:
    """What the text says of a movement; "" for nothing."""
    start = "the second picture seems to "
    told = [line for line in text_of(first, second, **options) if start in line]
    return told[0].removeprefix(start) if told else ""


@pytest.mark.parametrize("name", MOVED)
def test_that_the_second_picture_moved_is_told_where_it_did(name: str) -> None:
    first, second, words = MOVED[name]
    told = movement_told(first, second)
    assert told.removeprefix("have ").removeprefix("be ") == words


@pytest.mark.parametrize("name", ["by some", "down", "turned", "in other light"])
def test_what_is_told_of_a_movement_takes_most_of_it_out(name: str) -> None:
    first, second, words = MOVED[name]
    before = compare_images(first, second)
    after = compare_images(first, second, align=words.split()[-1])
    assert after.different_fraction < before.different_fraction / 2


def test_a_movement_is_sought_where_the_picture_is_not_ignored() -> None:
    first = np.vstack([PAGE, lines(5, 40)])
    second = np.vstack([by((5, 0), PAGE), lines(6, 40)])
    assert movement_told(first, second) == ""
    rest = ((0, 320, 400, 640),)
    assert PERSPECTIVE.format("5 pixels") in movement_told(first, second, ignore=rest)


def test_of_a_movement_nothing_is_told_where_none_is_to_be_thought_of() -> None:
    first, second, _ = MOVED["by some"]
    assert movement_told(first, second, align="none") == ""
    assert movement_told(first, second, align="perspective") == ""


def test_of_columns_side_by_side_the_one_that_grew_most_is_told() -> None:
    left, right = lines(2, 40, 160), lines(3, 40, 240)
    first = np.hstack([left, right])
    foot = np.full((16, 160, 3), 255, np.uint8)
    grown_left = np.vstack([grown(left, 160, lines(7, 3, 160)), foot])
    second = np.hstack([grown_left, grown(right, 320, lines(8, 4, 240))])
    line = "sizes 400x640 and 400x704: " + SIZES.format("+64 -0")
    assert line in text_of(first, second)


def test_a_band_of_one_column_is_told_with_its_columns() -> None:
    band = {"kind": "removed", "x": 100, "width": 50, "height": 9, "first_y": 7}
    assert image_diff.band_text(band, 50) == "9 rows removed at y 7"
    assert image_diff.band_text(band, 400) == "9 rows removed at y 7, x 100 to 149"


@pytest.mark.parametrize(
    ("size", "other", "may_be"),
    [
        ((512, 512), (256, 256), True),
        ((640, 427), (960, 640), True),
        ((960, 640), (640, 427), True),
        ((640, 427), (960, 700), False),
        ((640, 427), (640, 427 * 2), False),
        ((640, 427), (640, 427 * 2 + 1), True),
        ((640, 427), (636, 425), False),  # cropped rather than scaled
    ],
)
def test_sizes_tell_whether_a_picture_may_be_scaled(
    size: tuple[int, int], other: tuple[int, int], may_be: bool
) -> None:
    assert image_diff.may_be_scaled(size, other) == may_be


def test_pictures_show_what_one_has_tinted_and_hatched_on_the_other() -> None:
    first, second, _ = ROWS["inserted"]
    comparison = compare_images(first, second)
    original, modified = comparison.draw("Original"), comparison.draw("Modified")
    place = slice(156, 220)
    hatched = np.unique(original[place].reshape(-1, 3), axis=0)
    assert hatched.tolist() == [[image_diff.HATCH] * 3, [255] * 3]
    ground = modified[158, 2].tolist()
    assert ground == [round(0.75 * 255 + 0.25 * t) for t in (80, 160, 40)]
    for picture, page in ((original, first), (modified, second)):
        assert np.array_equal(picture[:156], page[:156])
        assert np.array_equal(picture[220:], page[-164:])
    assert comparison.draw("Thresh")[place].min() == 255


def test_saved_pictures_and_report_are_the_canvas(tmp_path: Path) -> None:
    first, second, _ = ROWS["both"]
    for name, page in (("a.png", first), ("b.png", second)):
        cv2.imwrite(str(tmp_path / name), page)
    pair = [str(tmp_path / name) for name in ("a.png", "b.png")]
    assert main([*pair, "--no-window", "-o", str(tmp_path / "o"), "--exit-code"]) == 1
    for name in ("first", "second", "original", "modified", "diff", "thresh"):
        saved = cv2.imread(str(tmp_path / f"o/{name}.png"))
        assert saved is not None
        assert saved.shape == (384, 400, 3), name
    html = (tmp_path / "o/index.html").read_text()
    assert '"size": [400, 384]' in html
    inserted, removed = "M0 60h400v64h-400z", "M0 300h400v32h-400z"
    assert f'"had": {{"first": "{removed}", "second": "{inserted}"}}' in html
    assert f'"lacking": {{"first": "{inserted}", "second": "{removed}"}}' in html
    assert "rows aligned, +64 -32" in html


def test_of_folders_a_page_that_grew_is_different(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, _ = ROWS["inserted"]
    for name, page in (("old/page.png", first), ("new/page.png", second)):
        (tmp_path / name).parent.mkdir()
        cv2.imwrite(str(tmp_path / name), page)
    pair = [str(tmp_path / name) for name in ("old", "new")]
    assert main([*pair, "-o", str(tmp_path / "o"), "--exit-code"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == (
        "different    page.png: SSIM 1.0, 0 regions, 1 band, 16.7 % of the picture"
    )
    assert (tmp_path / "o/pairs/page.png/index.html").exists()


# ------------------------------------------------------------------------- web pages

NUMBERS = [f"invoice {7 * n % 1000:03}: {31 * n % 8999:04}.{n:02}" for n in range(24)]


def invoices(numbers: Sequence[str], x: int = 0, y: int = 0) -> Picture:
    """Numbers of 16 pixels on a page, so far to the right and down."""
    shown = Image.new("RGB", (640, 640), (250, 250, 250))
    font = ImageFont.load_default(16)
    for row, number in enumerate(numbers):
        place = 40 + x + 180 * (row % 3), 60 + y + 64 * (row // 3)
        ImageDraw.Draw(shown).text(place, number, (20, 20, 20), font)
    return np.asarray(shown)[..., ::-1].copy()


@pytest.mark.parametrize(("x", "y"), [(6, -4), (-1, 0), (0, 13)])
def test_a_page_that_was_shifted_by_whole_pixels_is_not_interpolated(
    x: int, y: int
) -> None:
    first = invoices(NUMBERS)
    same = compare_images(first, invoices(NUMBERS, x, y), align="perspective")
    assert same.unequal_pixels == 0
    assert (
        image_diff.as_text(same).splitlines()[1]
        == "same: what both pictures show is identical"
    )
    assert same.alignment is not None
    assert same.alignment.transform == [[1, 0, -x], [0, 1, -y], [0, 0, 1]]
    changed = NUMBERS.copy()
    changed[8] = changed[8][:-1] + "9"
    assert changed != NUMBERS
    other = compare_images(first, invoices(changed, x, y), align="perspective")
    (region,) = other.regions
    assert 380 < region.x < 580
    assert 180 < region.y < 220


DRAWN = [("docs", "mixed"), ("article", "wrapped"), ("list", "jpeg"), ("form", "side")]


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")
def test_bands_of_web_pages_are_found(tmp_path: Path) -> None:
    cases = [draw_pages.Case("development", *drawn, 0) for drawn in DRAWN]
    with draw_pages.open_browser() as driver:
        for case in cases:
            draw_pages.draw_case(driver, case, tmp_path)
    counts = sum((draw_pages.measure(case, tmp_path) for case in cases), Counter())
    assert counts["bands"] == counts["bands found"] == 6
    assert counts["changes"] == counts["changes found"] == 6
    assert counts["false bands"] == 0
    assert counts["false boxes"] <= 15
