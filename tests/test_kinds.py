"""What is said to have happened in a region."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import skimage
from numpy.typing import NDArray

import image_diff
from files import PAIRS
from image_diff import compare_images
from test_image_diff import as_jpeg

Picture = NDArray[Any]

# -------------------------------------------------------- pictures and what is drawn


def plain() -> Picture:
    """Gray paper."""
    return np.full((180, 240, 3), 200, np.uint8)


def gradient() -> Picture:
    """From dark blue to light orange."""
    share = (
        np.linspace(0, 1, 240)[None, :, None] + np.linspace(0, 0.3, 180)[:, None, None]
    )
    return (np.array([120, 60, 40]) + share * [20, 90, 130]).astype(np.uint8)


def texture() -> Picture:
    """Grain of some pixels."""
    noise = np.random.default_rng(4).normal(0, 60, (180, 240, 1))
    grain = cv2.GaussianBlur(noise, (0, 0), 1.5)[..., None]
    levels = (grain + np.array([110, 130, 120])).clip(0, 255)
    return np.asarray(levels, np.uint8)


GROUNDS = plain, gradient, texture


def ball(picture: Picture, x: int, y: int, colour: tuple[int, int, int]) -> None:
    """A disc with a ring on it."""
    cv2.circle(picture, (x, y), 14, colour, -1, cv2.LINE_AA)
    cv2.circle(picture, (x, y), 7, tuple(c // 2 for c in colour), 2, cv2.LINE_AA)


def word(
    picture: Picture, x: int, y: int, text: str, ink: tuple[int, int, int]
) -> None:
    """Text with its lower left corner there."""
    cv2.putText(picture, text, (x, y), 0, 0.6, ink, 1, cv2.LINE_AA)


BLUE, RED = (200, 60, 20), (20, 40, 210)


def draw(kind: str, first: Picture, second: Picture) -> None:
    """What happens, in both pictures."""
    if kind != "added":
        ball(first, 60, 60, BLUE)
    if kind == "added":
        ball(second, 60, 60, BLUE)
    if kind == "moved":
        ball(second, 170, 120, BLUE)
    if kind == "recoloured":
        ball(second, 60, 60, RED)
    if kind == "changed":
        word(second, 46, 66, "Six", RED)


def pair_of(kind: str, ground: Callable[[], Picture]) -> tuple[Picture, Picture]:
    """A pair in which this has happened on that ground."""
    first, second = ground(), ground()
    draw(kind, first, second)
    return first, second


def kinds(first: Picture, second: Picture, **options: Any) -> list[str]:
    """What is said of each region."""
    return [r.kind for r in compare_images(first, second, **options).regions]


def deep(picture: Picture) -> Picture:
    """In 16 bits, of which 12 are filled."""
    return picture.astype(np.uint16) * np.uint16(16)


def floating(picture: Picture) -> Picture:
    """From -1 to 1."""
    return (picture / 127.5 - 1).astype(np.float32)


def gray(picture: Picture) -> Picture:
    """Without colours."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def jpeg(picture: Picture) -> Picture:
    """Coded and decoded."""
    return as_jpeg(picture, 85)


# -------------------------------------------------------------------- kinds


@pytest.mark.parametrize("kind", image_diff.KINDS)
@pytest.mark.parametrize("ground", GROUNDS)
def test_a_region_says_what_happened(kind: str, ground: Callable[[], Picture]) -> None:
    assert kinds(*pair_of(kind, ground)) == [kind] * (2 if kind == "moved" else 1)


@pytest.mark.parametrize("kind", image_diff.KINDS)
@pytest.mark.parametrize("form", [deep, floating, gray, jpeg])
def test_in_every_form(kind: str, form: Callable[[Picture], Picture]) -> None:
    first, second = pair_of(kind, plain)
    assert set(kinds(form(first), form(second))) == {kind}


def test_the_samples_as_a_person_would_say_it() -> None:
    said = []
    for first, second in PAIRS:
        regions = image_diff.compare_files(first, second).regions
        said.append([region.kind for region in regions])
    assert said == [["removed"], ["removed"] * 3, ["changed"] * 4]


def test_two_regions_that_moved_name_each_other() -> None:
    first, second = compare_images(*pair_of("moved", plain)).regions
    assert first.moved == (second.x, second.y, True)
    assert second.moved == (first.x, first.y, False)
    assert (second.x - first.x, second.y - first.y) == (110, 60)


def test_of_two_that_are_alike_nobody_knows_which_has_moved() -> None:
    first, second = pair_of("moved", plain)
    ball(second, 60, 140, BLUE)
    assert kinds(first, second) == ["changed"] * 3


def sticker(picture: Picture, x: int, y: int, part: slice = slice(None)) -> None:
    """Some columns of a piece of a photograph, 50x40 pixels."""
    piece = skimage.data.camera()[130:170, 290:340, None]
    picture[y : y + 40, x : x + 50][:, part] = piece[:, part]


def test_a_part_of_what_moved_is_neither_added_nor_removed() -> None:
    first, second = plain(), plain()
    sticker(first, 30, 30)
    sticker(second, 150, 110, slice(0, 24))
    assert kinds(first, second) == ["changed", "changed"]
    ball(second, 120, 40, RED)
    assert Counter(kinds(first, second)) == {"changed": 2, "added": 1}


@pytest.mark.parametrize("ground", GROUNDS)
def test_what_is_hidden_in_part_by_its_own_colour_has_moved(
    ground: Callable[[], Picture],
) -> None:
    first, second = pair_of("moved", ground)
    for picture in (first, second):
        picture[:, 170:] = BLUE
    ball(second, 170, 120, BLUE)
    here, there = compare_images(first, second).regions
    assert there.width < here.width
    assert (here.moved, there.moved) == ((153, 103, True), (43, 43, False))


@pytest.mark.parametrize("ground", GROUNDS)
def test_in_a_jpeg_it_is_told_where_the_thing_is(ground: Callable[[], Picture]) -> None:
    first, second = pair_of("moved", ground)
    here, there = compare_images(jpeg(first), jpeg(second)).regions
    assert here.moved == pytest.approx((153, 103, True), abs=2)
    assert there.moved == pytest.approx((43, 43, False), abs=2)


def test_pieces_that_went_to_several_places_are_in_doubt() -> None:
    first, second = plain(), plain()
    sticker(first, 30, 30)
    sticker(second, 150, 20, slice(0, 28))
    sticker(second, 120, 120, slice(28, 50))
    assert kinds(first, second) == kinds(second, first) == ["changed"] * 3


def test_a_disc_is_no_part_of_a_square_of_its_size() -> None:
    first, second = plain(), plain()
    cv2.circle(first, (50, 50), 20, BLUE, -1)
    cv2.rectangle(second, (120, 90, 41, 41), BLUE, -1)
    assert kinds(first, second) == ["removed", "added"]


@pytest.mark.parametrize("colour", [BLUE, (250, 250, 250), (30, 30, 30)])
@pytest.mark.parametrize("form", [lambda p: p, jpeg])
def test_a_plain_thing_is_not_a_part_of_any_larger_one(
    colour: tuple[int, int, int], form: Callable[[Picture], Picture]
) -> None:
    first, second = plain(), plain()
    cv2.rectangle(first, (20, 20, 40, 40), colour, -1)
    cv2.rectangle(second, (100, 60, 110, 90), colour, -1)
    assert kinds(form(first), form(second)) == ["removed", "added"]
    assert kinds(form(second), form(first)) == ["added", "removed"]
    cv2.rectangle(second, (100, 60, 110, 90), (200, 200, 200), -1)
    cv2.rectangle(second, (140, 90, 40, 40), colour, -1)
    assert kinds(form(first), form(second)) == ["moved", "moved"]


def test_what_was_turned_or_replaced_has_not_moved() -> None:
    first, second = plain(), plain()
    word(first, 40, 60, "removed", RED)
    word(second, 120, 130, "devomer", RED)
    assert sorted(set(kinds(first, second))) == ["added", "removed"]


@pytest.mark.parametrize("text", ["1,299.00", "1,239.00", "Total"])
def test_text_that_was_replaced_is_changed(text: str) -> None:
    first, second = plain(), plain()
    word(first, 60, 90, "1,290.00", (0, 0, 0))
    word(second, 60, 90, text, (0, 0, 0))
    assert set(kinds(first, second, merge=6)) == {"changed"}


def test_text_that_was_recoloured_tells_its_colours() -> None:
    first, second = plain(), plain()
    cv2.rectangle(first, (60, 60, 60, 30), (160, 80, 40), -1)
    cv2.rectangle(second, (60, 60, 60, 30), (40, 80, 160), -1)
    region = compare_images(first, second).regions[0]
    assert (region.kind, region.colours) == ("recoloured", ("#2850a0", "#a05028"))


def ruled() -> Picture:
    """Paper with thick black rules, as the traces of a board."""
    picture = plain()
    picture[:, 20::40] = picture[:, 21::40] = picture[:, 22::40] = 0
    picture[30:150, 100:140] = 60
    return picture


@pytest.mark.parametrize("kind", ["added", "removed"])
@pytest.mark.parametrize(("x", "y"), [(60, 60), (120, 90), (100, 150)])
def test_on_ground_with_parts_of_its_own(kind: str, x: int, y: int) -> None:
    first, second = ruled(), ruled()
    ball({"added": second, "removed": first}[kind], x, y, RED)
    assert kinds(first, second) == [kind]


def test_what_is_cut_is_not_recoloured() -> None:
    first, second = ruled(), ruled()
    second[80:110, 100:140] = 200
    assert "recoloured" not in kinds(first, second)


def test_what_replaces_a_smaller_thing_is_changed() -> None:
    first, second = plain(), plain()
    ball(first, 60, 60, BLUE)
    second[30:90, 20:130] = RED
    assert kinds(first, second) == ["changed"]


def test_a_dark_mode_is_recoloured() -> None:
    first = plain()
    for y in range(30, 180, 24):
        word(first, 10, y, "Orders placed today", (20, 20, 20))
    assert set(kinds(first, 255 - first)) == {"recoloured"}
    second = first.copy()
    second[60:130, 40:180] = 255 - second[60:130, 40:180]
    assert kinds(first, second) == ["recoloured"]


def test_a_button_in_another_colour_is_recoloured_around_its_text() -> None:
    pictures = ruled(), ruled()
    for picture, colour in zip(pictures, (BLUE, RED), strict=True):
        cv2.rectangle(picture, (25, 100, 90, 34), colour, -1)
        word(picture, 40, 122, "Send", (255, 255, 255))
    assert kinds(*pictures) == ["recoloured"]


def test_gray_looks_at_brightness_alone() -> None:
    first, second = plain(), plain()
    cv2.rectangle(first, (60, 60, 60, 30), (0, 0, 200), -1)
    cv2.rectangle(second, (60, 60, 60, 30), (200, 60, 0), -1)
    second[70:80, 80:90] = (0, 0, 0)
    assert kinds(first, second) == ["recoloured"]
    assert kinds(first, second, gray=True) == ["added"]
    second[60:90, 60:120] = (0, 200, 0)
    region = compare_images(first, second, gray=True).regions[0]
    assert (region.kind, region.colours) == ("recoloured", ("#3c3c3c", "#757575"))


def test_several_things_in_one_region_are_changed() -> None:
    first, second = pair_of("removed", plain)
    word(second, 84, 66, "new", RED)
    assert kinds(first, second, merge=20) == ["changed"]


@pytest.mark.parametrize("at", [(0, 90), (239, 0), (120, 179)])
def test_at_the_edge_of_the_picture(at: tuple[int, int]) -> None:
    first, second = gradient(), gradient()
    cv2.circle(second, at, 20, (250, 250, 250), -1)
    assert kinds(first, second) == ["added"]
    assert kinds(second, first) == ["removed"]


def test_where_all_is_other_nothing_is_ground() -> None:
    photograph = skimage.data.camera()[100:380, 100:400]
    assert set(kinds(photograph, np.rot90(photograph, 2))) == {"changed"}
    assert kinds(plain()[:8, :8], plain()[:8, :8] // 4) == ["recoloured"]


def test_what_one_picture_has_alone_is_added_or_removed() -> None:
    wide, high = plain(), plain()
    assert kinds(wide[:, :200], high[:150]) == ["added", "removed"]


def test_under_another_light_a_thing_is_added_and_nothing_is_recoloured() -> None:
    first = cv2.cvtColor(skimage.data.camera()[:400, :400], cv2.COLOR_GRAY2BGR)
    second = first.copy()
    ball(second, 330, 60, BLUE)
    random = np.random.default_rng(1)
    shade = np.linspace(0.75, 0.95, 400)[None, :, None]
    lit = [
        (picture * light + random.normal(0, 2, first.shape)).clip(0, 255)
        for picture, light in ((first, 1), (second, shade))
    ]
    comparison = compare_images(*(picture.astype(np.uint8) for picture in lit))
    assert comparison.light is not None
    assert [region.kind for region in comparison.regions] == ["added"]


def test_what_is_ignored_is_no_ground() -> None:
    first, second = pair_of("added", plain)
    for picture, level in ((first, 0), (second, 255)):
        picture[:, 84:] = level
    assert kinds(first, second, ignore=[(78, 0, 162, 180)]) == ["added"]


def test_a_resampled_pair() -> None:
    paper = texture()
    for i in range(40):
        word(paper, 7 * i % 200, 12 + 41 * i % 160, chr(65 + i % 26), (0, 0, 0))
    second = paper.copy()
    ball(second, 120, 90, RED)
    turned = cv2.warpAffine(
        second,
        cv2.getRotationMatrix2D((120, 90), 2, 1),
        (240, 180),
        borderValue=(200,) * 3,
    )
    comparison = compare_images(paper, turned, align="perspective", tolerance=1)
    found = [r for r in comparison.regions if r.x < 120 < r.x + r.width]
    assert [region.kind for region in found] == ["added"]


def test_kinds_follow_the_sliders() -> None:
    comparison = compare_images(*pair_of("moved", plain))
    again = image_diff.with_threshold(comparison, 0.6, 30)
    assert [region.kind for region in again.regions] == ["moved", "moved"]


def test_the_largest_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_diff, "MOST_LOOKS", 2)
    first, second = plain(), plain()
    for x, size in ((20, 30), (80, 10), (120, 20)):
        cv2.rectangle(second, (x, 60, size, size), RED, -1)
    regions = compare_images(first, second).regions
    assert [region.kind for region in regions] == ["added", "changed", "added"]
    strengths = [region.strength for region in regions]
    assert 0 < strengths[1] < strengths[2] < strengths[0]


def test_things_are_compared_with_few(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Counter[str]()
    monkeypatch.setattr(image_diff, "find_match", lambda *_: calls.update(["one"]))
    edges = np.zeros((30, 30), np.bool_)
    edges[10:20, 10:20] = True
    pixels = edges[..., None] * np.array([1, 2, 3], np.float32)
    change = edges.astype(np.float32)
    second = pixels + change[..., None]
    corner = np.zeros(2, np.int64)
    patch = image_diff.Patch(corner, 1, pixels, second, change, edges, ~edges)
    patches = dict.fromkeys(range(300), patch)
    image_diff.find_matches(["added", "removed"] * 150, patches, lambda _: patch)
    assert calls["one"] == 150 * image_diff.LIKELIEST


# -------------------------------------------------------------------- strength


def strength(size: int, level: int) -> float:
    """That of a square of so many pixels in so many levels on paper of 200."""
    second = plain()
    second[40 : 40 + size, 40 : 40 + size] = level
    return compare_images(plain(), second).regions[0].strength


def test_what_is_larger_or_stands_out_more_is_stronger() -> None:
    values = strength(10, 190), strength(10, 100), strength(40, 100), strength(100, 0)
    assert list(values) == sorted(set(values))
    assert values[0] > 0
    assert values[-1] < 1


# -------------------------------------------------------------------- how that is told


def test_text_and_json_tell_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(tmp_path / name) for name in ("a.png", "b.png")]
    for path, picture in zip(paths, pair_of("moved", plain), strict=True):
        cv2.imwrite(path, picture)
    assert image_diff.main([*paths, "--no-window"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[2] == "2 regions: moved from 43, 43 to 153, 103 (35x35)"
    assert lines[3].startswith("  x 43, y 43, 35x35 pixels: moved to 153, 103, ")
    assert lines[4].startswith("  x 153, y 103, 35x35 pixels: moved from 43, 43, ")
    assert image_diff.main([*paths, "--json", "--no-window"]) == 0
    regions = json.loads(capsys.readouterr().out)["regions"]
    assert [region["moved"] for region in regions] == [
        {"x": 153, "y": 103, "picture": "second"},
        {"x": 43, "y": 43, "picture": "first"},
    ]
    assert {region["kind"] for region in regions} == {"moved"}
    assert all(0 < region["strength"] < 1 for region in regions)
    assert [region["colours"] for region in regions] == [None, None]


def test_the_sentence_counts_where_there_are_many() -> None:
    comparison = compare_images(*pair_of("recoloured", plain))
    record = image_diff.region_records(comparison)[0]
    added = record | {"kind": "added"}
    came = record | {"kind": "moved", "moved": {"x": 0, "y": 0, "picture": "first"}}
    regions = [record] * 5 + [added] * 3 + [came]
    sentence = image_diff.events_sentence(
        image_diff.EMPTY_RECORD | {"regions": regions}
    )
    assert sentence == "9 regions: 3 added; 1 moved; 5 recoloured"


def test_what_keeps_its_colour_in_the_middle_is_not_said_to_be_recoloured() -> None:
    texture = (
        np.kron(np.indices((10, 10)).sum(axis=0) % 2 * 2 - 1, np.ones((4, 4))) * 60
    )
    first, second = (np.full((120, 160, 3), 128, np.uint8) for _ in range(2))
    first[40:80, 60:100] = (128 + texture)[..., None]
    second[40:80, 60:100] = (128 - texture)[..., None]
    (region,) = compare_images(first, second).regions
    assert region.kind == "changed"
    assert region.colours is None


def test_after_rows_that_moved_down_partners_are_in_pixels_of_their_pictures() -> None:
    first, second = pair_of("moved", plain)
    for picture in (first, second):
        for y in range(8, 176, 12):
            picture[y, 4 : 30 + y % 50] = 0
    grown = np.vstack([second[:30], np.full((40, 240, 3), 90, np.uint8), second[30:]])
    comparison = compare_images(first, grown)
    assert comparison.alignment is not None
    records = image_diff.region_records(comparison)
    was, went = (record for record in records if record["kind"] == "moved")
    assert was["moved"] == {"x": went["x"], "y": went["second_y"], "picture": "second"}
    assert went["moved"] == {"x": was["x"], "y": 43, "picture": "first"}
    assert went["second_y"] - went["y"] == 40
    told = image_diff.as_text(comparison).splitlines()
    assert told[2] == (
        "2 regions, 1 band: moved from 43, 46 to 153, 143 (35x32); "
        "40 rows added at y 30"
    )
    assert told[4].startswith("  x 153, y 103 (143 in the second), 35x35 pixels: moved")
    assert sum("40 rows" in line for line in told) == 1


def test_an_arrow_leads_to_where_it_went() -> None:
    comparison = compare_images(*pair_of("moved", plain))
    drawn = comparison.draw("Original")
    middle = drawn[88:93, 112:119].reshape(-1, 3)
    assert (middle[:, 2].astype(int) - middle[:, 1] > 100).any()
    assert (comparison.first == pair_of("moved", plain)[0]).all()
    for x, y, width, height, *_ in comparison.regions:  # nothing crosses what they hold
        inside = np.s_[y + 4 : y + height - 4, x + 4 : x + width - 4]
        assert (drawn[inside] == comparison.first[inside]).all()


def test_every_mark_has_its_own_look() -> None:
    assert tuple(image_diff.MARKS) == image_diff.KINDS
    for look in zip(*image_diff.MARKS.values(), strict=True):
        assert len(set(look)) >= 4  # of line, the last is as the first
