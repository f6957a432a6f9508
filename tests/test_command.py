"""What is printed and saved, and the command line: the text, the JSON, the statuses."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import image_diff
import processes
from files import PAIRS, ROOT, SAVED, SCRIPT, contents
from image_diff import (
    ImageDiffError,
    Options,
    as_record,
    as_text,
    compare_files,
    compare_images,
    main,
    parse,
    read_image,
    region_records,
)
from test_image_diff import (
    REFUSED,
    Picture,
    boxes_of,
    drawn,
    photo,
    random_picture,
    refused_id,
)


def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the script as a user does, in a process of its own, with no display."""
    variables = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
    command = [sys.executable, SCRIPT, *arguments]
    return processes.run(command, env=variables | environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a picture `good.png` of 60x40 pixels to compare with."""
    cv2.imwrite(str(tmp_path / "good.png"), random_picture(1, 40, 60, 3))
    return tmp_path


def refusal(capsys: pytest.CaptureFixture[str], *words: str | Path) -> str:
    """The one line with which a command is refused, without the word before it."""
    assert main([*map(str, words)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err.removeprefix("error: ").rstrip("\n")


# --- Text and JSON --------------------------------------------------------------------


FLAT = np.full((100, 200, 3), 200, np.uint8)


def with_spots(*spots: tuple[int, int, int, int]) -> Picture:
    """The flat picture with some pixels of other levels: x, y, side, level."""
    picture = FLAT.copy()
    for x, y, side, level in spots:
        picture[y : y + side, x : x + side] = level
    return picture


HUE = FLAT.copy()
HUE[20:60, 20:60] = (230, 195, 198)  # of the same luma
THRESHOLD = (
    r"threshold: an SSIM of 0\.\d{4} or less differs"
    r"(, and of 0\.6471 in parts that are faint throughout)?"
)
VERDICTS: dict[str, tuple[Picture, dict[str, Any], str]] = {
    "one region": (
        with_spots((50, 40, 10, 0)),
        {},
        "different: 1 region, 1.28 % of the picture",
    ),
    "regions": (
        with_spots((50, 40, 10, 0), (150, 40, 10, 0)),
        {},
        "different: 2 regions, 2.56 % of the picture",
    ),
    "identical": (FLAT, {}, "same: the pictures are identical"),
    "identical but for what is ignored": (
        with_spots((50, 40, 10, 0)),
        {"ignore": [(47, 37, 16, 16)]},
        "same: the pictures are identical outside of what is ignored",
    ),
    "one pixel": (
        with_spots((50, 40, 1, 201)),
        {},
        "same: no region, but 1 pixel is not equal, by at most 1 of 255",
    ),
    "pixels": (
        with_spots((50, 40, 2, 190)),
        {"min_area": 999},
        "same: no region, but 4 pixels are not equal, by at most 10 of 255",
    ),
    "pixels beside what is ignored": (
        with_spots((50, 40, 1, 201), (90, 40, 9, 0)),
        {"ignore": [(87, 37, 15, 15)]},
        "same: no region, but 1 pixel is not equal, by at most 1 of 255",
    ),
    "colour alone": (
        HUE,
        {"gray": True},
        "same: no region, but 1600 pixels are not equal, by at most 30 of 255, "
        "in colour alone; without --gray that counts",
    ),
    "brightness in gray": (
        with_spots((50, 40, 1, 201)),
        {"gray": True},
        "same: no region, but 1 pixel is not equal, by at most 1 of 255",
    ),
    "resampled": (
        cv2.resize(FLAT, (100, 50)).astype(np.uint8),
        {"resize": True},
        "same: no region",
    ),
}


@pytest.mark.parametrize("name", VERDICTS)
def test_the_verdict_is_in_plain_words(name: str) -> None:
    second, options, expected = VERDICTS[name]
    comparison = compare_images(FLAT, second, **options)
    lines = as_text(comparison).splitlines()
    assert lines[:2] == [f"SSIM: {comparison.score}", expected]
    tells_threshold = re.fullmatch(THRESHOLD, lines[-1]) is not None
    assert tells_threshold == (comparison.unequal_pixels != 0)


def in_gray(picture: Picture) -> Picture:
    """The brightness of a picture in three channels."""
    return cv2.merge([cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)] * 3).astype(np.uint8)


@pytest.mark.parametrize(
    ("which", "options", "told"),
    [
        ("first", {}, True),
        ("second", {}, True),
        ("second", {"gray": True}, False),
        ("neither", {}, False),
        ("both", {}, False),
    ],
)
def test_a_picture_without_colour_beside_one_in_colour_is_told(
    which: str, options: dict[str, Any], told: bool
) -> None:
    colourful = np.tile(np.array([40, 90, 200], np.uint8), (60, 80, 1))
    first, second = colourful, colourful.copy()
    second[20:40, 20:40] = 255
    if which in ("first", "both"):
        first = in_gray(first)
    if which in ("second", "both"):
        second = in_gray(second)
    line = f"the {which} picture has no colour; --gray compares brightness alone"
    text = as_text(compare_images(first, second, **options))
    assert (line in text.splitlines()) == told


def test_one_part_in_colour_makes_no_picture_one_in_colour() -> None:
    second = FLAT.copy()
    second[20:30, 20:30] = 0, 0, 255
    assert "has no colour" not in as_text(compare_images(FLAT, second))


def test_a_region_is_a_line() -> None:
    comparison = compare_images(FLAT, with_spots((50, 40, 10, 0)))
    (region,) = comparison.regions
    facts = f"added, 256 different, SSIM {region.ssim:.3f}"
    assert as_text(comparison).splitlines()[2:-1] == [
        f"  x 47, y 37, 16x16 pixels: {facts}"
    ]


def test_the_20_largest_regions_come_in_reading_order_then_how_many_more() -> None:
    sides = np.random.default_rng(0).permutation(23) + 4
    first = np.full((400, 600), 200, np.uint8)
    second = first.copy()
    for number, side in enumerate(sides.tolist()):
        y, x = 10 + 100 * (number // 6), 10 + 100 * (number % 6)
        second[y : y + side, x : x + side] = 0
    comparison = compare_images(first, second)
    assert len(comparison.regions) == 23
    smallest = sorted(region.area for region in comparison.regions)[:3]
    kept = [region for region in comparison.regions if region.area not in smallest]
    lines = as_text(comparison).splitlines()
    assert [line.partition(" pixels")[0] for line in lines[3:23]] == [
        f"  x {region.x}, y {region.y}, {region.width}x{region.height}"
        for region in kept
    ]
    assert lines[2] == "23 regions: 23 added"
    assert lines[23] == "  ... and 3 more"
    assert lines[24].startswith("threshold: ")


BLOBS = random_picture(3, 100, 200, 3) // 2 + 40


def grain(sigma: float, seed: int) -> Picture:
    """A coffee cup with the noise of a sensor."""
    cup = photo("coffee")[100:300, 100:400]
    noise = np.random.default_rng(seed).normal(0, sigma, cup.shape)
    return np.clip(np.rint(cup + noise), 0, 255).astype(np.uint8)


EXPLAINED: dict[str, tuple[Picture, Picture, str]] = {
    "+6": (BLOBS, BLOBS + 6, r"brightness \+6 of 255 throughout"),
    "-6": (BLOBS + 6, BLOBS, "brightness -6 of 255 throughout"),
    "noise": (grain(3, 1), grain(3, 2), r"noise of sigma 2\.[789] of 255"),
    "light": (
        grain(3, 1),
        cv2.convertScaleAbs(grain(3, 2), alpha=0.8),
        r"noise of sigma [23](\.\d)? of 255 and light x0\.[78]\d to x0\.[89]\d",
    ),
}


def test_a_shift_of_the_brighter_levels_alone_is_told() -> None:
    levels = np.arange(256)
    brighter = np.where((levels > 127) & (levels < 255), levels + 1, levels)
    tone = image_diff.Tone(brighter.astype(np.uint8), levels.astype(np.uint8))
    light = image_diff.told_light(image_diff.Explanation(tone=tone))
    assert light == image_diff.Light(False, (1.0, 1.0), 1)


@pytest.mark.parametrize("name", EXPLAINED)
def test_what_is_explained_is_told(name: str) -> None:
    first, second, explained = EXPLAINED[name]
    comparison = compare_images(first, second)
    lines = as_text(comparison).splitlines()
    assert lines[1].startswith("same: no region, but ")
    assert re.fullmatch(f"not counted: {explained}", lines[2])
    record = as_record(comparison)
    has_noise, has_light = "noise" in explained, explained != EXPLAINED["noise"][2]
    assert (record["noise"] is not None, record["light"] is not None) == (
        has_noise,
        has_light,
    )
    if has_light:
        least, most = record["light"]["gain"]
        assert list(record["light"]) == ["camera", "gain", "offset"]
        assert record["light"]["camera"] is has_noise
        assert record["light"]["offset"] == (0 if has_noise else int(name))
        assert (0.75 < least <= most < 0.95) if has_noise else least == most == 1
    json.dumps(record)


@pytest.mark.parametrize("option", ["light", "noise"])
def test_what_is_explained_can_be_compared(
    option: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(tmp_path / "first.png"), str(tmp_path / "second.png")]
    pair = EXPLAINED["noise"] if option == "noise" else EXPLAINED["+6"]
    for name, picture in zip(names, pair[:2], strict=True):
        cv2.imwrite(name, picture)
    for word, status in (("auto", 0), ("compare", 1)):
        words = [*names, f"--{option}", word, "--exit-code"]
        assert main(words) == status
    assert "not counted" in capsys.readouterr().out


def test_a_tiny_share_is_not_rounded_to_zero() -> None:
    first = np.full((3000, 4000), 200, np.uint8)
    second = first.copy()
    second[1000, 1000] = 0
    comparison = compare_images(first, second)
    text = "\ndifferent: 1 region, 0.000408 % of the picture\n"
    assert text in as_text(comparison)
    assert as_record(comparison)["different_fraction"] == 49 / 12_000_000


SCHEMA: dict[str, tuple[type, ...]] = {
    "schema": (int,),
    "status": (str,),
    "name": (type(None),),
    "first": (str,),
    "second": (str,),
    "first_page": (type(None),),
    "second_page": (type(None),),
    "width": (int,),
    "height": (int,),
    "second_width": (int,),
    "second_height": (int,),
    "ssim": (float,),
    "threshold": (float,),
    "faint_threshold": (float,),
    "unequal_pixels": (int,),
    "largest_difference": (float,),
    "different_pixels": (int,),
    "different_fraction": (float,),
    "regions": (list,),
    "alignment": (type(None),),
    "light": (type(None),),
    "noise": (float, type(None)),
    "likeness": (type(None),),
    "relation": (type(None),),
    "error": (type(None),),
}
REGION_SCHEMA = dict.fromkeys(("x", "y", "width", "height", "area"), int) | {
    "ssim": float,
    "kind": str,
    "strength": float,
    "moved": type(None),
    "colours": type(None),
    "second_y": int,
}


def assert_is_a_record(record: dict[str, Any]) -> None:
    """Hold a record against the schema: keys in their order, types, and ranges."""
    assert list(record) == list(SCHEMA)
    assert all(type(record[key]) in SCHEMA[key] for key in SCHEMA)
    assert record["schema"] == 2
    assert record["status"] == ("different" if record["regions"] else "same")
    assert -1 <= record["ssim"] <= 1
    assert 0 <= record["threshold"] <= record["faint_threshold"] <= 1
    assert 0 <= record["largest_difference"] <= 255
    assert (record["unequal_pixels"] == 0) == (record["largest_difference"] == 0)
    assert record["different_pixels"] == sum(
        region["area"] for region in record["regions"]
    )
    size = record["width"] * record["height"]
    assert record["different_fraction"] == record["different_pixels"] / size
    for region in record["regions"]:
        assert list(region) == list(REGION_SCHEMA)
        assert all(type(region[key]) is REGION_SCHEMA[key] for key in REGION_SCHEMA)
        assert 0 <= region["x"] < region["x"] + region["width"] <= record["width"]
        assert 0 <= region["y"] < region["y"] + region["height"] <= record["height"]
        assert 0 < region["area"] <= region["width"] * region["height"]


@pytest.mark.parametrize(("first", "second"), [*PAIRS, (PAIRS[0][0], PAIRS[0][0])])
def test_json_is_one_object_and_nothing_else(
    first: Path, second: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["-f", str(first), "-s", str(second), "--json", "--no-window"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("\n") == 1
    record = json.loads(captured.out)
    assert_is_a_record(record)
    comparison = compare_files(first, second)
    assert (record["first"], record["second"]) == (str(first), str(second))
    assert record["ssim"] == comparison.score
    assert record["threshold"] == comparison.threshold
    assert record["faint_threshold"] == comparison.faint_threshold
    assert record["noise"] is comparison.noise is None
    assert all(region["second_y"] == region["y"] for region in record["regions"])
    assert record["regions"] == region_records(comparison)


@pytest.mark.parametrize("options", [{"resize": True}, {"align": "perspective"}])
def test_the_record_of_a_resampled_pair(options: dict[str, Any]) -> None:
    first = photo("camera")[:200, :260]
    second = cv2.resize(first, (312, 240), interpolation=cv2.INTER_CUBIC)
    record = as_record(compare_images(first, second, **options))
    assert list(record) == list(SCHEMA)
    assert (record["width"], record["height"]) == (260, 200)
    assert (record["second_width"], record["second_height"]) == (312, 240)
    assert record["unequal_pixels"] is record["largest_difference"] is None
    assert (record["first"], record["second"]) == (None, None)
    method = options.get("align", "resize")
    assert record["alignment"]["method"] == method
    json.dumps(record)


# --- Save -----------------------------------------------------------------------------


def saved(folder: Path, *arguments: str) -> dict[str, Any]:
    """Save the comparison of the second sample pair; what result.json holds."""
    first, second = map(str, PAIRS[1])
    assert (
        main(["-f", first, "-s", second, "--no-window", "-o", str(folder), *arguments])
        == 0
    )
    assert {path.name for path in folder.iterdir()} == SAVED
    record: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return record


def picture_in(path: Path) -> Picture:
    picture = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    assert picture is not None
    return picture


def test_output_holds_the_pictures(tmp_path: Path) -> None:
    saved(tmp_path / "new" / "folder")
    comparison = compare_files(*PAIRS[1])
    for title, picture in drawn(comparison).items():
        name = f"{title.lower()}.png"
        assert np.array_equal(picture_in(tmp_path / "new" / "folder" / name), picture)
    for name, picture in (("first", comparison.first), ("second", comparison.second)):
        assert np.array_equal(
            picture_in(tmp_path / "new" / "folder" / f"{name}.png"), picture
        )


def test_saved_boxes_are_the_red_ones_of_the_picture(tmp_path: Path) -> None:
    first, second = map(str, PAIRS[2])
    assert main(["-f", first, "-s", second, "--no-window", "-o", str(tmp_path)]) == 0
    original = picture_in(tmp_path / "original.png")
    red = (original == (0, 0, 255)).all(axis=2).astype(np.uint8)
    contours, _ = cv2.findContours(red, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    found = []
    for contour in contours:
        x, y, width, height = cv2.boundingRect(contour)
        # Half of the line is outside.
        found.append((x + 1, y + 1, width - 2, height - 2))
    regions = json.loads((tmp_path / "result.json").read_text())["regions"]
    boxes = [(r["x"], r["y"], r["width"], r["height"]) for r in regions]
    assert sorted(found) == sorted(boxes)


def test_deep_and_transparent_pictures_are_saved_as_compared(folder: Path) -> None:
    colour = random_picture(4, 40, 60, 3)
    cv2.imwrite(str(folder / "deep.png"), colour.astype(np.uint16) * 257)
    alpha = np.dstack([colour, random_picture(5, 40, 60)])
    cv2.imwrite(str(folder / "alpha.png"), alpha)
    for name in ("deep.png", "alpha.png"):
        path = str(folder / name)
        assert (
            main(["-f", path, "-s", path, "--no-window", "-o", str(folder / "out")])
            == 0
        )
        expected = colour if name == "deep.png" else read_image(path).pixels
        assert np.array_equal(picture_in(folder / "out" / "first.png"), expected)


@pytest.mark.parametrize("option", [["--align", "perspective"], ["--resize"]])
@pytest.mark.slow
def test_what_is_saved_of_a_registered_png_is_the_registered_picture(
    folder: Path, option: list[str]
) -> None:
    first = photo("astronaut")
    second = cv2.resize(first, (640, 600), interpolation=cv2.INTER_CUBIC)
    cv2.imwrite(str(folder / "a.png"), first)
    cv2.imwrite(str(folder / "b.png"), second)
    arguments = [
        "-f",
        str(folder / "a.png"),
        "-s",
        str(folder / "b.png"),
        "--no-window",
        *option,
    ]
    assert main([*arguments, "-o", str(folder / "o")]) == 0
    assert np.array_equal(picture_in(folder / "o/first.png"), first)
    assert cv2.absdiff(picture_in(folder / "o/second.png"), first).mean() < 3
    assert picture_in(folder / "o/modified.png").shape == first.shape


def test_result_json_is_what_json_prints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(tmp_path, "--json")
    assert (tmp_path / "result.json").read_text() == capsys.readouterr().out


def test_running_again_replaces(tmp_path: Path) -> None:
    before = saved(tmp_path)
    assert saved(tmp_path, "--threshold", "0.1") != before


def test_output_that_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "file"
    path.write_text("kept")
    first, second = map(str, PAIRS[1])
    assert main(["-f", first, "-s", second, "--no-window", "-o", str(path)]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot write to {path}: File exists; "
        "make it writable, or name another folder\n"
    )
    assert path.read_text() == "kept"


def test_output_that_would_overwrite_an_input(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, source in zip(("first.png", "other.png"), PAIRS[1], strict=True):
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / "index.html").write_bytes(image_diff.OWN_MARKS["index.html"])
    before = contents(tmp_path)
    first, second = str(tmp_path / "first.png"), str(tmp_path / "other.png")
    assert main(["-f", first, "-s", second, "--no-window", "-o", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {first} is an input; name another folder for the output\n"
    )
    assert contents(tmp_path) == before


def test_output_that_would_overwrite_a_mask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mask = tmp_path / "thresh.png"
    picture = cv2.imread(str(PAIRS[1][0]))
    assert cv2.imwrite(str(mask), np.zeros_like(picture))
    (tmp_path / "index.html").write_bytes(image_diff.OWN_MARKS["index.html"])
    before = contents(tmp_path)
    pair = list(map(str, PAIRS[1]))
    options = ["--ignore", str(mask), "--no-window", "-o", str(tmp_path)]
    assert main([*pair, *options]) == 2
    assert f"{mask} is an input" in capsys.readouterr().err
    assert contents(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB, which a result of the samples does not fit twice."""
    mounted = tmp_path / "disk"
    mounted.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1000k", "none", mounted]
    processes.run(mount, check=True)
    yield mounted
    processes.run(["umount", mounted], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_full_disk_leaves_what_was_there(
    small_disk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = saved(small_disk / "out")
    whole = contents(small_disk / "out")
    first, second = map(str, PAIRS[1])
    arguments = ["-f", first, "-s", second, "--no-window", "--threshold", "0.1"]
    capsys.readouterr()
    assert main([*arguments, "-o", str(small_disk / "out")]) == 2
    assert capsys.readouterr().err == (
        f"error: cannot write to {small_disk}/out: No space left on device; "
        "free space, or name another folder\n"
    )
    assert contents(small_disk / "out") == whole
    assert json.loads(whole["result.json"]) == before


# --- Command line ---------------------------------------------------------------------

# How two inputs may be given: always old.png and new.png.
GIVEN = [
    "old.png new.png",
    "--first old.png --second new.png",
    "-s new.png -f old.png",
    "--first=old.png new.png",
    "new.png --first old.png",
    "old.png -s new.png",
    "-s new.png old.png",
    "--gray old.png new.png",
    "old.png --gray new.png",
    "old.png new.png --gray",
    "old.png --threshold 0.5 new.png --min-area 9",
    "--ignore 1,2,3,4 old.png --json new.png",
    "old.png --no-window --output out new.png",
    "-- old.png new.png",
    "--gray -- old.png new.png",
]


@pytest.mark.parametrize("words", GIVEN)
def test_two_inputs_in_any_order_with_the_options(words: str) -> None:
    command, options = parse(words.split())
    assert (command.first, command.second) == ("old.png", "new.png")
    assert options.gray == ("--gray" in words)
    assert options.threshold == (0.5 if "--threshold" in words else None)
    assert command.json == ("--json" in words)


@pytest.mark.parametrize(
    "words", ["-- -old.png -new.png", "--first=-old.png -s=-new.png"]
)
def test_inputs_that_begin_with_a_dash(words: str) -> None:
    command, _ = parse(words.split())
    assert (command.first, command.second) == ("-old.png", "-new.png")


def test_an_input_before_the_options_and_one_behind_two_dashes() -> None:
    command, _ = parse(["old.png", "--gray", "--", "-new.png"])
    assert (command.first, command.second) == ("old.png", "-new.png")


def test_all_options_reach_their_records() -> None:
    words = (
        "a b --gray --tolerance 1.5 --threshold 0.5 --min-area 9 --merge 4 "
        "--ignore 1,2,3,4 --ignore -5,0,9,9 --align elastic -o out --json --window "
        "--exit-code"
    )
    assert parse(words.split()) == (
        image_diff.Command("a", "b", "out", json=True, window=True, exit_code=True),
        Options(
            gray=True,
            align="elastic",
            tolerance=1.5,
            threshold=0.5,
            min_area=9,
            merge=4,
            ignore=((1, 2, 3, 4), (-5, 0, 9, 9)),
        ),
    )


def test_defaults_are_those_of_the_records() -> None:
    assert parse(["a", "b"]) == (image_diff.Command("a", "b"), Options())
    assert parse(["a", "b", "--resize"])[1] == Options(resize=True)


TWO = "two pictures or folders are needed, A and B"
USAGE: list[tuple[str, str]] = [
    ("", TWO),
    ("a.png", TWO),
    ("--first a.png", TWO),
    ("--second b.png", TWO),
    ("a.png b.png c.png", "c.png is one too many; two pictures or two folders are"),
    ("a.png --gray b.png c.png", "c.png is one too many; "),
    ("a.png b.png --first c.png", "b.png is one too many; "),
    ("-f a.png -s b.png c.png", "c.png is one too many; "),
    ("a b --tol", "there is no option --tol (did you mean --tolerance?)"),
    ("a b --tol 3", "there is no option --tol (did you mean --tolerance?)"),
    ("a b --tol=3", "there is no option --tol (did you mean --tolerance?)"),
    ("a b --treshold 1", "there is no option --treshold (did you mean --threshold?)"),
    ("a b --no-windows", "there is no option --no-windows (did you mean --no-window?)"),
    ("a b --colour", "there is no option --colour"),
    ("a b --xyz", "there is no option --xyz"),
    ("a b -x", "there is no option -x"),
    (
        "a b --color",
        "there is no option --color: colour counts by default; leave it out",
    ),
    ("a b --tolerance", "argument --tolerance: expected one argument"),
    ("a b --light off", "argument --light: invalid choice: 'off' (choose from "),
    ("a b --align=", "argument --align: invalid choice: '' (choose from "),
    ("a b --jobs 0", "jobs is 0; give a whole number of pairs from 1 to 1024"),
    ("a b --jobs 1025", "jobs is 1025; give a whole number of pairs from 1 to"),
    ("a b --jobs 2.5", "jobs is 2.5; give a whole number of pairs from 1 to"),
    ("a b --top 0", "top is 0; give a whole number of pictures from 1 to 1000000000"),
    ("a b --top x", "top is 'x'; give a whole number of pictures from 1 to"),
    ("a b --dpi 150.5", "dpi is 150.5; give a whole number of dots an inch from 10"),
]


@pytest.mark.parametrize(("words", "message"), USAGE)
def test_bad_usage_is_one_line_that_leads_to_the_help(
    words: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refusal(capsys, *words.split())
    assert error.startswith(message)
    assert error.endswith("; see --help")
    if message.startswith("there is no option") and "?" not in message:
        assert error == f"{message}; see --help"


@pytest.mark.parametrize("row", [row for row in REFUSED if row[1]], ids=refused_id)
def test_options_that_make_no_sense_are_told_alike(
    row: tuple[dict[str, Any], str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, words, message = row
    error = refusal(capsys, "a.png", "b.png", *words.split())
    assert error == f"{message}; see --help"


NO_FILE = "is no file; name a file, or /dev/stdin for a pipe"
NO_MATCH = "is a pattern that matched nothing; name a picture that is there, or two"
NO_HOME = "is not there, as ~ was not expanded; write the path in full, or leave the"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("-", NO_FILE),
        ("shots/*.png", NO_MATCH),
        ("~/x", NO_HOME),
        ("https://example.com/a.png", "is an address; download it first"),
        ("FTP://example.com/a.png", "is an address; download it first"),
    ],
)
def test_names_that_lead_nowhere_have_status_2(
    folder: Path, name: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ((name, folder / "good.png"), (folder / "good.png", name)):
        error = refusal(capsys, *words, "--exit-code")
        assert error.startswith(f"{name} {message}")
        assert not error.endswith("see --help")


def test_a_picture_that_git_has_on_one_side_only_is_told(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    there = folder / "good.png"
    for words in ((os.devnull, there), (there, os.devnull)):
        fault = f"only {there} is there, as the other is {os.devnull}"
        remedy = "there is nothing to compare it with"
        assert refusal(capsys, *words) == f"{fault}; {remedy}"


def test_what_the_first_page_sends_to_is_there() -> None:
    names = re.findall(r"`(\w+)`", image_diff.__doc__ or "")
    assert len(names) > 10
    assert [name for name in names if not hasattr(image_diff, name)] == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"image_diff {image_diff.__version__}\n"


def help_text(capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["--help"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return out


def test_help_has_groups_and_three_examples(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_text(capsys)
    groups = re.findall(r"^([a-z ]+):$", text, re.MULTILINE)
    names = ["inputs", "what counts", "alignment", "output", "many pictures"]
    names += ["a picture and a folder to rank", "examples"]
    assert [group for group in groups if group != "options"] == names
    examples = re.findall(r"^  image_diff\.py (.*)$", text, re.MULTILINE)
    assert len(examples) == 3
    for example in examples:
        parse(example.split())
    assert max(map(len, text.splitlines())) <= 88
    assert "--color" not in text


def test_help_tells_every_exit_status(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_text(capsys).partition("exit status: ")[2]
    statuses = map(int, re.findall(r"\d+", text))
    assert list(statuses) == list(image_diff.ExitStatus)


def test_text_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    first, second = map(str, PAIRS[1])
    assert main(["--first", first, "--second", second, "--no-window"]) == 0
    captured = capsys.readouterr()
    comparison = compare_files(first, second)
    lines = captured.out.splitlines()
    used = f"threshold: an SSIM of {comparison.threshold:.4f} or less differs"
    faint = (
        f"and of {comparison.faint_threshold:.4f} in parts that are faint throughout"
    )
    assert lines[-1] == f"{used}, {faint}"
    assert lines[0] == f"SSIM: {comparison.score}"
    assert float(lines[0].removeprefix("SSIM: ")) == comparison.score
    share = f"{100 * comparison.different_fraction:.3g} % of the picture"
    assert lines[1] == f"different: 3 regions, {share}"
    assert len(lines) == 2 + 1 + 3 + 1
    assert captured.err == ""


def explained(out: str) -> str:
    """The line about the alignment."""
    (line,) = (line for line in out.splitlines() if line.startswith("alignment "))
    return line


@pytest.mark.slow
def test_text_and_json_tell_how_the_pictures_were_registered(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = photo("camera")
    cv2.imwrite(str(folder / "a.png"), first)
    cv2.imwrite(str(folder / "b.png"), np.roll(first, 5, axis=1)[:, 5:])
    pair = ["-f", str(folder / "a.png"), "-s", str(folder / "b.png"), "--no-window"]
    assert main([*pair, "--align", "perspective", "--json"]) == 0
    alignment = json.loads(capsys.readouterr().out)["alignment"]
    keys = ["method", "transform", "matches", "covered", "bands"]
    assert (list(alignment), alignment["bands"]) == (keys, [])
    assert alignment["method"] == "perspective"
    assert alignment["matches"] > 100
    assert alignment["covered"] == pytest.approx(507 / 512)
    assert np.allclose(alignment["transform"], np.eye(3), atol=0.02)
    assert main([*pair, "--align", "perspective"]) == 0
    line = explained(capsys.readouterr().out)
    assert line.startswith(
        f"alignment perspective: {alignment['matches']} matches agree, 99.02 % "
    )
    assert re.search(r" covered, transform (1|1\.0\d*|0\.9\d*) ", line)
    assert main([*pair, "--resize"]) == 0
    line = explained(capsys.readouterr().out)
    text = "100 % covered, transform 1.00986 0 0.00493097; 0 1 0; 0 0 1"
    assert line == f"alignment resize: {text}"
    assert main([*pair, "--output", str(folder / "o"), "--align", "perspective"]) == 0
    assert "alignment perspective: " in (folder / "o/index.html").read_text()


@pytest.mark.parametrize(
    ("words", "opened"),
    [
        ("", True),
        ("--window", True),
        ("--no-window", False),
        ("--json", False),
        ("--exit-code", False),
        ("--json --exit-code", False),
        ("--json --window", True),
        ("--exit-code --window", True),
    ],
)
def test_when_windows_open(
    words: str, opened: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, shown = [], []

    def show(comparison: image_diff.Comparison, keep: object) -> Options:
        shown.append(comparison)
        return comparison.options

    def screen_size() -> tuple[int, int]:
        asked.append(True)
        return 800, 600

    monkeypatch.setattr(image_diff, "screen_size", screen_size)
    monkeypatch.setattr(image_diff, "show", show)
    status = main([*map(str, PAIRS[1]), *words.split()])
    assert status == ("--exit-code" in words)
    assert (len(shown), bool(asked)) == (int(opened), opened)


def test_a_window_with_no_display_is_an_error_where_it_is_asked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def screen_size() -> tuple[int, int]:
        raise ImageDiffError("no display answers (DISPLAY=)")

    monkeypatch.setattr(image_diff, "screen_size", screen_size)
    pair = [str(folder / "good.png")] * 2
    assert main(pair) == 0
    told = "no windows: no display answers (DISPLAY=); --output DIR saves the pictures"
    assert capsys.readouterr().err == f"{told}\n"
    assert main([*pair, "--window"]) == 2
    captured = capsys.readouterr()
    assert captured.out.startswith("SSIM: 1.0\n")
    assert captured.err == (
        "error: no display answers (DISPLAY=); leave --window out\n"
    )


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        (PAIRS[0][0], PAIRS[0][1], 1),
        (PAIRS[0][0], PAIRS[0][0], 0),
        (PAIRS[0][0], ROOT / "none.png", 2),
    ],
)
def test_exit_code(first: Path, second: Path, status: int) -> None:
    arguments = ["-f", str(first), "-s", str(second), "--no-window"]
    assert main([*arguments, "--exit-code"]) == status
    assert main(arguments) == (2 if status == 2 else 0)


def test_threshold_and_smallest_area() -> None:
    first = np.full((100, 200, 3), 200, np.uint8)
    second = first.copy()
    second[20:24, 20:24] = 0
    second[60:80, 100:140] = 150
    options = Options(threshold=0.999)
    boxes = {(17, 17, 10, 10), (97, 57, 46, 26)}
    assert boxes_of(compare_images(first, second, options).regions) == boxes
    options = Options(threshold=0.999, min_area=101)
    comparison = compare_images(first, second, options)
    assert boxes_of(comparison.regions) == {(97, 57, 46, 26)}
    assert comparison.different_pixels == np.count_nonzero(comparison.mask)
    assert compare_images(first, first, Options(threshold=1)).regions == ()


def test_the_short_path_imports_no_slow_library() -> None:
    arguments = ["-f", str(PAIRS[0][0]), "-s", str(PAIRS[0][1]), "--no-window"]
    slow = {"PIL", "imutils", "json", "numpy.ma", "scipy", "skimage"}
    code = (
        "import sys, image_diff\n"
        f"status = image_diff.main({arguments!r})\n"
        f"print(status, sorted({slow} & set(sys.modules)))\n"
    )
    result = processes.run([sys.executable, "-c", code], cwd=ROOT)
    assert result.stdout.splitlines()[-1] == "0 []"


@pytest.mark.parametrize("option", [[], ["--exit-code"], ["--json"]])
@pytest.mark.parametrize(
    "problem", [RuntimeError("a bug"), KeyError("a bug"), cv2.error("a bug")], ids=repr
)
def test_a_bug_shows_a_traceback_and_has_status_2(
    problem: Exception,
    option: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise problem

    monkeypatch.setattr(image_diff, "compare_files", fail)
    assert main(["a.png", "b.png", *option]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Traceback (most recent call last):\n")
    assert "a bug" in captured.err.splitlines()[-1]


def test_ctrl_c_ends_with_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(image_diff, "compare_files", interrupted)
    assert main(["-f", "a.png", "-s", "b.png"]) == 130
    assert capsys.readouterr() == ("", "")


NO_GL = "libGL.so.1: cannot open shared object file: No such file or directory"
NO_CV2 = "No module named 'cv2'"
INSTALL = f"{sys.executable} -m pip install -r {ROOT}/requirements.txt"


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """What pip makes of the project: a module, and a command that imports it."""
    shutil.copy(SCRIPT, tmp_path)
    project = (ROOT / "pyproject.toml").read_text()
    (entry,) = re.findall(r'^image-diff = "image_diff:(\w+)"$', project, re.MULTILINE)
    command = tmp_path / "image-diff"
    command.write_text(
        f"#!{sys.executable}\n"
        "import sys\n"
        f"from image_diff import {entry}\n"
        'if __name__ == "__main__":\n'
        f"    sys.exit({entry}())\n"
    )
    command.chmod(0o755)
    return command


def test_the_installed_command_compares(installed: Path) -> None:
    first, second = PAIRS[0]
    options = "--no-window", "--exit-code"
    result = processes.run([installed, first, second, *options])
    expected = run(first, second, *options)
    assert (result.stdout, result.stderr) == (expected.stdout, "")
    assert result.returncode == expected.returncode == 1
    assert (
        processes.run([installed, "--version"]).stdout
        == f"image_diff {image_diff.__version__}\n"
    )


def test_ctrl_c_while_the_installed_command_starts(installed: Path) -> None:
    code = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    (installed.parent / "cv2.py").write_text(code)
    result = processes.run([installed, "a.png", "b.png"])
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


def test_opencv_that_the_installed_command_cannot_import(installed: Path) -> None:
    failure = f"raise ModuleNotFoundError({NO_CV2!r})\n"
    (installed.parent / "cv2.py").write_text(failure)
    result = processes.run([installed, "a.png", "b.png"])
    remedy = f"{sys.executable} -m pip install opencv-python"
    assert result.stderr == f"error: cannot import OpenCV: {NO_CV2}; {remedy}\n"
    assert result.returncode == 2


def test_opencv_that_a_program_cannot_import_is_its_affair(installed: Path) -> None:
    failure = f"raise ModuleNotFoundError({NO_CV2!r})\n"
    (installed.parent / "cv2.py").write_text(failure)
    program = installed.rename(installed.parent / "program")
    result = processes.run([program, "a.png", "b.png"])
    assert result.stderr.endswith(f"ModuleNotFoundError: {NO_CV2}\n")
    assert result.returncode == 1


@pytest.mark.parametrize(
    ("failure", "remedy"),
    [
        (
            f"ImportError({NO_GL!r})",
            f"{NO_GL}; on Debian or Ubuntu: apt-get install -y libgl1 libglib2.0-0",
        ),
        (f"ModuleNotFoundError({NO_CV2!r})", f"{NO_CV2}; {INSTALL}"),
    ],
)
def test_opencv_that_cannot_be_imported(
    tmp_path: Path, failure: str, remedy: str
) -> None:
    (tmp_path / "cv2.py").write_text(f"raise {failure}\n")
    result = run("-f", "a.png", "-s", "b.png", PYTHONPATH=str(tmp_path))
    assert result.stderr == f"error: cannot import OpenCV: {remedy}\n"
    assert result.returncode == 2
