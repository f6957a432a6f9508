"""How many real changes are found, and how much else, on pictures of known truth.

    python tests/tools/detection.py [--half dev|held-out] [--short]
                                    [--gray | --geometry | --boards | --parts |
                                     --changes]
    python tests/tools/detection.py --kind light digits [--half dev|held-out]
                                    [--list | --beside]

base -> edited (boxes known) -> disturbed (noise, JPEG, ...) -> boxes found -> scores

Rules and constants are tuned on the `dev` half of the bases only, and the tests measure
that half alone: a half that is looked at on every run is not held out. The `held-out`
half is run for tests/RESULTS.md, when the program is done, and for nothing else. Every
picture follows from the names of its base, edit and nuisance alone.
"""

import argparse
import math
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

import cv2
import numpy as np

import changes
import checkout
import image_diff
import kinds
import peers
from article import article as tutorial
from cases import MissingFontError
from geometry import RIGID, SMOOTH, Geometry, Matrix, Size, Warp, mapped, moved
from line_art import DEFECTS, FINE, LineArt, board, line_art, part, plan
from truth import (
    APART,
    BASES,
    EDITED_PICTURES,
    EDITS,
    HALF_WINDOW,
    NUISANCES,
    TRIES,
    Box,
    Detector,
    Nuisance,
    Picture,
    Truth,
    changed,
    coded,
    edited,
    is_found,
    random_of,
)

# ------------------------------------------------------------------ what is to be moved


@dataclass(frozen=True)
class Subject:
    """A base to be moved: what it is, what becomes of it, how a warp shows that."""

    first: Picture
    truths: list[Truth]
    see: Callable[[Truth, Warp], Picture]


def pictured(half: str, name: str, count: int) -> Subject:
    """A photo, page or screen with its edits, on white or on the colour of its rim."""
    base = BASES[half][name]()
    rim = np.median(
        np.concatenate([base[0], base[-1], base[:, 0], base[:, -1]]), axis=0
    )
    plain = rim if random_of(name, "plain").integers(2) else np.full(3, 255.0)
    truths = [edited(name, base, i) for i in range(count)]
    return Subject(
        base, [Truth(base, []), *truths], lambda t, warp: warp.render(t.picture, plain)
    )


LINE_ART: dict[str, dict[str, Callable[[], LineArt]]] = {
    "dev": {
        "drilled board": lambda: copper("one", 26, 7, drilled=True, binary=True),
        "flat board": lambda: copper("two", 24, 8, drilled=False, binary=False),
        "wide board": lambda: copper(
            "three", 32, 11, drilled=True, binary=True, negative=True
        ),
        "plan": lambda: line_art(plan(random_of("plan", 1)), binary=True),
        "part": lambda: line_art(part(random_of("part", 1)), binary=False),
    },
    "held-out": {
        "drilled board 2": lambda: copper(
            "four", 28, 8, drilled=True, binary=False, negative=True
        ),
        "flat board 2": lambda: copper(
            "five", 26, 9, drilled=False, binary=True, negative=True
        ),
        "wide board 2": lambda: copper("six", 30, 10, drilled=False, binary=True),
        "plan 2": lambda: line_art(plan(random_of("plan", 2)), binary=False),
        "part 2": lambda: line_art(part(random_of("part", 2)), binary=True),
    },
}
DEFECT_SIDES = 10, 40  # pixels that the longer side of a defect has


def copper(
    name: str, pitch: int, width: float, *, drilled: bool, **paper: bool
) -> LineArt:
    """A circuit board."""
    return line_art(board(random_of("board", name), pitch, width, drilled), **paper)


def spoiled(name: str, art: LineArt, number: int, count: int) -> Truth:
    """Line art with so many defects, of all kinds in turn; the picture is its ink."""
    random = random_of(name, "defects", number)
    first, truth = art.scan(art.ink), Truth(art.ink.copy(), [])
    kinds = [str(kind) for kind in random.permutation(list(DEFECTS))]
    for attempt in range(20 * TRIES):
        kind = kinds[(len(truth.edits) + attempt // TRIES) % len(kinds)]
        drop = DEFECTS[kind](art, random)
        if not drop:
            continue
        place = Box(*cv2.boundingRect(drop[0].astype(np.float32))).grown(3)
        fits = place.x >= 8 and place.x + place.width <= first.shape[1] - 8
        fits = fits and place.y >= 8 and place.y + place.height <= first.shape[0] - 8
        if not fits or any(
            place.grown(APART).touches(other) for _, other in truth.edits
        ):
            continue
        window = Box(*(FINE * value for value in place)).window
        before = truth.picture[window].copy()
        corners = np.rint(FINE * drop[0]).astype(np.int32)
        cv2.fillPoly(truth.picture, [corners], drop[1])
        second = first.copy()
        second[place.window] = art.scan(np.ascontiguousarray(truth.picture[window]))
        box = changed(first, second, place)
        if DEFECT_SIDES[0] <= max(box.width, box.height) <= DEFECT_SIDES[1]:
            truth.edits.append((kind, box))
            if len(truth.edits) == count:
                break
        else:
            truth.picture[window] = before
    return truth


def drawn(half: str, name: str, counts: Sequence[int]) -> Subject:
    """Line art with so many defects each, on bare paper."""
    art = LINE_ART[half][name]()
    truths = [spoiled(name, art, number, count) for number, count in enumerate(counts)]

    def see(truth: Truth, warp: Warp) -> Picture:
        return art.scan(warp.render(truth.picture, 0, FINE))

    return Subject(art.scan(art.ink), [Truth(art.ink, []), *truths], see)


# ---------------------------------------------------------------------------- detectors


def article(first: Picture, second: Picture) -> list[Box]:
    """The boxes of the tutorial's pipeline."""
    return [Box(*box) for box in tutorial(first, second).boxes]


def ours(gray: bool = False) -> Detector:
    """The boxes of `image_diff`, all options but `--gray` left alone."""
    options = image_diff.Options(gray=gray)

    def find(first: Picture, second: Picture) -> list[Box]:
        regions = image_diff.compare_images(first, second, options).regions
        return [
            Box(region.x, region.y, region.width, region.height) for region in regions
        ]

    return find


# ------------------------------------------------------------------------------- scores


@dataclass
class Score:
    """Counts over pictures; `edits` and `found` by kind."""

    pictures: int = 0
    false_boxes: int = 0
    edits: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    found: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def add(
        self,
        boxes: Sequence[Box],
        edits: Sequence[tuple[str, Box]],
        lost: Sequence[tuple[str, Box]] = (),
    ) -> None:
        """Count one picture; lost: edits that are out of sight, wholly or in part."""
        self.pictures += 1
        grown = [box.grown(HALF_WINDOW) for _, box in [*edits, *lost]]
        self.false_boxes += sum(
            not any(box.touches(edit) for edit in grown) for box in boxes
        )
        for kind, edit in edits:
            self.edits[kind] += 1
            self.found[kind] += is_found(edit, boxes)

    def false_rate(self) -> float:
        """False boxes a picture."""
        return self.false_boxes / max(1, self.pictures)

    def recall(self, kinds: Sequence[str]) -> float:
        """The share found of the edits of these kinds; NaN where there are none."""
        edits = sum(self.edits[kind] for kind in kinds)
        return (
            sum(self.found[kind] for kind in kinds) / edits if edits else float("nan")
        )


def pairs(
    half: str, short: bool = False, nuisances: dict[str, Nuisance] = NUISANCES
) -> Iterator[tuple[str, Picture, Picture, Truth]]:
    """Every (nuisance, first, second, truth): each base unedited, edited, disturbed."""
    names = list(BASES[half])[:: 4 if short else 1]
    for name in names:
        base = BASES[half][name]()
        truths = [edited(name, base, i) for i in range(1 if short else EDITED_PICTURES)]
        for number, truth in enumerate([Truth(base, []), *truths]):
            for nuisance, disturb in nuisances.items():
                second = disturb(truth.picture, random_of(name, number, nuisance))
                yield nuisance, base, second, truth


def measure(
    detectors: dict[str, Detector], half: str, short: bool = False
) -> dict[tuple[str, str], Score]:
    """The score of every (detector, nuisance)."""
    scores: dict[tuple[str, str], Score] = defaultdict(Score)
    for nuisance, first, second, truth in pairs(half, short):
        for name, detector in detectors.items():
            scores[name, nuisance].add(detector(first, second), truth.edits)
    return scores


def tables(scores: dict[tuple[str, str], Score]) -> str:
    """The scores as text: a row a nuisance, then a row a kind of edit."""
    detectors = list(dict.fromkeys(detector for detector, _ in scores))
    nuisances = list(dict.fromkeys(nuisance for _, nuisance in scores))
    gray_kinds = [kind for kind, edit in EDITS.items() if edit.in_gray]
    wide = f"{'':15}" + "".join(f"{name:^34}" for name in detectors)
    lines = [
        wide,
        f"{'nuisance':15}" + "   false boxes  in gray   all edits" * len(detectors),
    ]
    for nuisance in nuisances:
        cells = ""
        for detector in detectors:
            score = scores[detector, nuisance]
            recalls = score.recall(gray_kinds), score.recall(list(EDITS))
            cells += f"{score.false_rate():14.2f}" + "".join(
                f"{value:10.3f}" for value in recalls
            )
        lines.append(f"{nuisance:15}{cells}")
    lines += [
        "",
        wide,
        f"{'kind of edit':15}" + f"{'none':>14}{'others':>20}" * len(detectors),
    ]
    for kind in EDITS:
        cells = ""
        for detector in detectors:
            alone = scores[detector, "none"]
            found = [scores[detector, name] for name in nuisances if name != "none"]
            edits, hits = (
                sum(s.edits[kind] for s in found),
                sum(s.found[kind] for s in found),
            )
            cells += f"{alone.recall([kind]):14.3f}{hits / max(1, edits):20.3f}"
        lines.append(f"{kind:15}{cells}")
    return "\n".join(lines)


# -------------------------------------------------------- scores of pictures that moved

PERSPECTIVE: dict[str, Any] = {"align": "perspective"}
ELASTIC: dict[str, Any] = {"align": "elastic", "tolerance": 2}
BOARDS: dict[str, Any] = {**ELASTIC, "threshold": 0.55, "min_area": 60, "merge": 6}
GRAY_KINDS = [*(kind for kind, edit in EDITS.items() if edit.in_gray), *DEFECTS]


def registered(
    first: Picture, second: Picture, recipe: dict[str, Any]
) -> tuple[list[Box], Matrix | None]:
    """The boxes of `image_diff` with these options, and its transform or None."""
    try:
        comparison = image_diff.compare_images(
            first, second, image_diff.Options(**recipe)
        )
    except image_diff.ImageDiffError:
        return [], None
    boxes = [
        Box(region.x, region.y, region.width, region.height)
        for region in comparison.regions
    ]
    alignment = comparison.alignment
    return boxes, None if alignment is None else np.array(alignment.transform)


def resized(picture: Picture, size: Size) -> Picture:
    """Scaled to a size, as the tutorial needs it of pictures of different sizes."""
    if picture.shape[1::-1] == size:
        return picture
    how = cv2.INTER_AREA if picture.shape[1] > size[0] else cv2.INTER_CUBIC
    return cv2.resize(picture, size, interpolation=how).astype(np.uint8)


def transform_error(found: Matrix, matrix: Matrix, size: Size) -> float:
    """The RMS, in pixels, of how far from them the first picture's corners come back.

    found: of the second picture's pixels to the first's; matrix: the truth, the other
    way.
    """
    corners = [*product((0.0, size[0] - 1.0), (0.0, size[1] - 1.0))]
    return float(
        np.sqrt(((mapped(found @ matrix, corners) - corners) ** 2).sum(axis=1).mean())
    )


@dataclass
class Moved(Score):
    """A score, and what moved pictures have; `untouched`: boxes of unedited ones."""

    untouched: int = 0
    refused: int = 0
    errors: list[float] = field(default_factory=list)

    def __add__(self, other: "Moved") -> "Moved":
        """The counts of both."""
        total = Moved(
            **{name: getattr(self, name) + getattr(other, name) for name in SUMS}
        )
        for kind in {**self.edits, **other.edits}:
            total.edits[kind] = self.edits[kind] + other.edits[kind]
            total.found[kind] = self.found[kind] + other.found[kind]
        return total


SUMS = "pictures", "false_boxes", "untouched", "refused", "errors"
MovedScores = dict[tuple[str, str], Moved]  # by detector and row


class Job(NamedTuple):
    """The part of the measure that one process takes: a base in all rows of a table."""

    half: str
    name: str
    edited: int  # pictures
    rows: str  # a key of TABLES


TABLES: dict[
    str, tuple[dict[str, Geometry], dict[str, Any], bool]
] = {  # geometry, options, drawn
    "rigid, photos and pages": (RIGID, PERSPECTIVE, False),
    "rigid, line art": (RIGID, PERSPECTIVE, True),
    "smooth, photos and pages": ({"warp 3": SMOOTH["warp 3"]}, ELASTIC, False),
    "smooth, line art": ({"warp 3": SMOOTH["warp 3"]}, ELASTIC, True),
}


def measure_moved(job: Job) -> MovedScores:
    """The scores of one base; "still" is ours where nothing moved, unregistered."""
    geometries, recipe, is_drawn = TABLES[job.rows]
    if is_drawn:
        subject = drawn(job.half, job.name, [3] * job.edited)
    else:
        subject = pictured(job.half, job.name, job.edited)
    size = subject.first.shape[1], subject.first.shape[0]
    scores: MovedScores = defaultdict(Moved)
    for number, truth in enumerate(subject.truths):
        still = subject.see(truth, moved(size, 0, 0))
        scores["still", ""].add(ours()(subject.first, still), truth.edits)
        for name, geometry in geometries.items():
            warp = geometry(size, random_of(job.name, number, name))
            clean = subject.see(truth, warp)
            edits = [
                (kind, box)
                for kind, box in truth.edits
                if warp.shows(box.grown(HALF_WINDOW))
            ]
            lost = [edit for edit in truth.edits if edit not in edits]
            jpeg = coded(clean, ".jpg", cv2.IMWRITE_JPEG_QUALITY, 85)
            for row, second in ((name, clean), (f"{name}, JPEG 85", jpeg)):
                boxes, transform = registered(subject.first, second, recipe)
                score = scores["ours", row]
                score.add(boxes, edits, lost)
                score.refused += transform is None
                score.untouched += 0 if truth.edits else len(boxes)
                if transform is not None and warp.matrix is not None:
                    score.errors.append(transform_error(transform, warp.matrix, size))
                scores["article", row].add(
                    article(subject.first, resized(second, size)), edits, lost
                )
    return dict(scores)


def in_processes(
    work: Callable[[Any], Any], jobs: Sequence[Any], processes: int
) -> list[Any]:
    """The result of every job, in their order, each computed in one thread."""
    if processes == 1:
        return [work(job) for job in jobs]
    with ProcessPoolExecutor(
        processes, initializer=cv2.setNumThreads, initargs=(1,)
    ) as executor:
        return list(executor.map(work, jobs))


def add_up(
    results: Sequence[dict[Any, Any]], zero: Callable[[], Any]
) -> dict[Any, Any]:
    """One result in place of several: what stands under each key, added in order."""
    totals: dict[Any, Any] = defaultdict(zero)
    for result in results:
        for key, value in result.items():
            totals[key] += value
    return totals


def total_moved(table: str, half: str, short: bool, processes: int) -> MovedScores:
    """The scores of a table over all its bases."""
    names = list((LINE_ART if TABLES[table][2] else BASES)[half])[:: 12 if short else 1]
    jobs = [Job(half, name, 1 if short else EDITED_PICTURES, table) for name in names]
    return add_up(in_processes(measure_moved, jobs, processes), Moved)


def geometry_tables(half: str, short: bool, processes: int) -> Iterator[str]:
    """The scores of each table as text, as soon as it is measured: a row a nuisance."""
    for table, (_, recipe, _) in TABLES.items():
        scores = total_moved(table, half, short, processes)
        still = scores["still", ""].recall(GRAY_KINDS)
        options = " ".join(f"--{name} {value}" for name, value in recipe.items())
        lines = [
            f"{table}; ours: {options}; "
            f"where nothing moved and without: recall {still:.3f}"
        ]
        lines += [f"{'':24}{'article':^16}{'ours':^54}"]
        lines += [
            f"{'nuisance':24}   false  recall   false  untouched  recall   ratio"
            "  RMS px median     max  refused"
        ]
        for detector, row in scores:
            if detector != "ours":
                continue
            theirs, score = scores["article", row], scores["ours", row]
            errors = score.errors or [math.nan]
            recall = score.recall(GRAY_KINDS)
            lines.append(
                f"{row:24}{theirs.false_rate():8.2f}{theirs.recall(GRAY_KINDS):8.3f}"
                f"{score.false_rate():8.2f}{score.untouched:11}"
                f"{recall:8.3f}{recall / still:8.3f}"
                f"{np.median(errors):15.3f}{max(errors):8.3f}{score.refused:9}"
            )
        yield "\n".join([*lines, ""])


# -------------------------------------------------------- scores of boards with defects

LOOSE = 6  # pixels by which people draw a box larger than the defect
LEAST_OVERLAP = 0.33
DEFECT_COUNT = 3, 10
SPOILED_PICTURES = 4  # of every piece of line art


def overlap(one: Box, other: Box) -> float:
    """Intersection over union."""
    across = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    down = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    shared = max(0, across) * max(0, down)
    return shared / (one.area + other.area - shared)


def pair_off(found: Sequence[Box], true: Sequence[Box]) -> list[int]:
    """The numbers of the true boxes that are found: one to one, best overlaps first."""
    overlaps = [
        (overlap(found[i], true[j]), i, j) for i, j in np.ndindex(len(found), len(true))
    ]
    pairs: dict[int, int] = {}
    for share, i, j in sorted(overlaps, reverse=True):
        if share > LEAST_OVERLAP and i not in pairs and j not in pairs.values():
            pairs[i] = j
    return sorted(pairs.values())


@dataclass
class Detection:
    """Counts of boxes: `true` and `hits` by kind of defect."""

    found: int = 0
    true: Counter[str] = field(default_factory=Counter)
    hits: Counter[str] = field(default_factory=Counter)

    def add(self, found: Sequence[Box], defects: Sequence[tuple[str, Box]]) -> None:
        """Count one picture."""
        self.found += len(found)
        self.true.update(kind for kind, _ in defects)
        hits = pair_off(found, [box.grown(LOOSE) for _, box in defects])
        self.hits.update(defects[number][0] for number in hits)

    def __add__(self, other: "Detection") -> "Detection":
        """The counts of both."""
        return Detection(
            self.found + other.found, self.true + other.true, self.hits + other.hits
        )

    @property
    def precision(self) -> float:
        """The share of the boxes found that are true."""
        return self.hits.total() / max(1, self.found)

    @property
    def recall(self) -> float:
        """The share of the true boxes that are found."""
        return self.hits.total() / max(1, self.true.total())

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.hits.total() / max(1, self.found + self.true.total())


Detections = dict[tuple[str, str], Detection]  # by detector and row


def inspect(first: Picture, second: Picture) -> list[Box]:
    """The boxes of `image_diff` with the recipe for boards."""
    return registered(first, second, BOARDS)[0]


INSPECTORS: dict[str, Detector] = {"article": article, "ours": inspect}


def measure_boards(
    job: tuple[str, str, int], detectors: dict[str, Detector] = INSPECTORS
) -> Detections:
    """The detections on so many spoiled copies of one piece of line art."""
    half, name, copies = job
    kind = "boards" if "board" in name else "drawings"
    least, most = DEFECT_COUNT
    counts = random_of(name, "counts").integers(least, most + 1, copies)
    subject = drawn(half, name, [int(count) for count in counts])
    size = subject.first.shape[1], subject.first.shape[0]
    scores: Detections = defaultdict(Detection)
    for number, truth in enumerate(subject.truths[1:]):
        for drift, warp in SMOOTH.items():
            second = subject.see(truth, warp(size, random_of(name, number, drift)))
            row = f"{kind}, {drift}"
            for detector, find in detectors.items():
                scores[detector, row].add(find(subject.first, second), truth.edits)
    return dict(scores)


def board_tables(half: str, short: bool, processes: int) -> str:
    """The detections as text: a row a kind of art and drift, then a kind of defect."""
    names = list(LINE_ART[half])[:: 4 if short else 1]
    jobs = [(half, name, 1 if short else SPOILED_PICTURES) for name in names]
    scores: Detections = add_up(
        in_processes(measure_boards, jobs, processes), Detection
    )
    rows = list(dict.fromkeys(row for _, row in scores))
    for detector in INSPECTORS:
        for group in ("boards", "drawings", ""):
            within = (scores[detector, row] for row in rows if row.startswith(group))
            scores[detector, f"{group or 'both'}, all"] = sum(within, Detection())
    lines = [f"{'':20}" + "".join(f"{name:^27}" for name in INSPECTORS)]
    lines += [f"{'':20}" + "  precision   recall     F1" * 2]
    for row in (*rows, "boards, all", "drawings, all", "both, all"):
        cells = ""
        for detector in INSPECTORS:
            score = scores[detector, row]
            cells += f"{score.precision:11.3f}{score.recall:9.3f}{score.f1:7.3f}"
        lines.append(f"{row:20}{cells}")
    lines += ["", f"{'recall of':20}{'article':>11}{'ours':>9}{'of':>7}"]
    for kind in DEFECTS:
        both = [scores[name, "both, all"] for name in INSPECTORS]
        shares = [score.hits[kind] / max(1, score.true[kind]) for score in both]
        lines.append(
            f"{kind:20}{shares[0]:11.3f}{shares[1]:9.3f}{both[0].true[kind]:7}"
        )
    return "\n".join(lines)


# ---------------------------------------------------- parts that moved, taken for drift

PART_SIZES = 10, 20, 40, 80, 160  # pixels a side
PART_STEPS = 2, 4, 6  # pixels by which a part has moved
PARTS = 3  # of every fourth base, of every size and step
# Whether boxed, by size, step and tolerance.
Parts = dict[tuple[int, int, float], Counter[bool]]


def measure_parts(job: tuple[str, str, int]) -> Parts:
    """Squares of one base that moved sideways, and whether elastic shows them."""
    half, name, parts = job
    base = BASES[half][name]()
    found: Parts = defaultdict(Counter)
    for size in PART_SIZES:
        for step in PART_STEPS:
            random = random_of(name, "parts", size, step)
            for _ in range(parts if size + 40 < min(base.shape[:2]) else 0):
                x = int(random.integers(20, base.shape[1] - size - 19))
                y = int(random.integers(20, base.shape[0] - size - 19))
                part = Box(x, y, size, size)
                moved = base.copy()
                moved[part.window] = base[part._replace(x=x - step).window]
                if cv2.absdiff(moved, base)[part.window].mean() < 8:
                    continue  # nothing that an eye would see
                for tolerance in (0, 2):
                    recipe = {"align": "elastic", "tolerance": tolerance}
                    boxes, _ = registered(base, moved, recipe)
                    seen = any(box.touches(part) for box in boxes)
                    found[size, step, tolerance][seen] += 1
    return dict(found)


def part_tables(half: str, short: bool, processes: int) -> str:
    """The shares found as text: a row a size, a column a step and tolerance."""
    names = list(BASES[half])[:: 12 if short else 4]
    jobs = [(half, name, 1 if short else PARTS) for name in names]
    found: Parts = add_up(in_processes(measure_parts, jobs, processes), Counter)
    columns = [(step, tolerance) for tolerance in (0, 2) for step in PART_STEPS]
    heads = "".join(
        f"{f'moved {step}, tolerance {reach}':>22}" for step, reach in columns
    )
    lines = [f"{'size of the part':18}{heads}"]
    for size in PART_SIZES:
        cells = ""
        for step, tolerance in columns:
            counts = found[size, step, tolerance]
            cells += (
                f"{counts[True] / max(1, counts.total()):16.2f} of {counts.total():2}"
            )
        lines.append(f"{f'{size} x {size}':18}{cells}")
    return "\n".join(lines)


def add_kinds(parser: argparse.ArgumentParser) -> None:
    """The options for cases that are right or wrong."""
    group = parser.add_argument_group("kinds of cases, each right or wrong")
    group.add_argument(
        "--kind", nargs="+", choices=[*kinds.KINDS, "all"], help="measure these alone"
    )
    group.add_argument(
        "--script",
        default=str(checkout.ROOT / "image_diff.py"),
        help="another image_diff.py to be measured",
    )
    group.add_argument(
        "--only", default="", metavar="TEXT", help="cases with this in row/name"
    )
    group.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    group.add_argument(
        "--list", action="store_true", help="each case that is wrong, and why"
    )
    group.add_argument("--save", metavar="DIR", help="draw each case that is wrong")
    group.add_argument(
        "--beside",
        action="store_true",
        help="beside other programs: how often each is right about where, and whether",
    )


def beside(kinds_asked: Sequence[str], task: kinds.Task, jobs: int) -> Iterator[str]:
    """The table of the programs that are installed, line by line."""
    shares = [slice(i, None, jobs) for i in range(jobs)]
    tasks = [
        task._replace(kind=kind, share=share)
        for kind in kinds_asked
        for share in shares
    ]
    return peers.table(add_up(in_processes(peers.measure, tasks, jobs), int))


def of_kinds(options: argparse.Namespace) -> Iterator[str]:
    """The tables of the kinds that are asked for, line by line."""
    chosen = list(kinds.KINDS) if "all" in options.kind else options.kind
    task = kinds.Task(
        kind="",
        half=options.half,
        only=options.only,
        script=options.script,
        gray=options.gray,
        save=options.save,
        short=options.short,
        share=slice(None),
    )
    try:
        if options.beside:
            yield from beside(chosen, task, options.jobs)
        else:
            yield from kinds.reports(chosen, task, options.jobs, options.list)
    except MissingFontError as problem:
        raise SystemExit(f"error: {problem}") from problem


def main(argv: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description="Recall and false boxes on pictures of known truth."
    )
    parser.add_argument("--half", choices=list(BASES), default="dev")
    parser.add_argument(
        "--short", action="store_true", help="few pictures: seconds, not minutes"
    )
    measures = parser.add_mutually_exclusive_group()
    measures.add_argument("--gray", action="store_true", help="ours with --gray")
    measures.add_argument(
        "--geometry", action="store_true", help="moved and warped pictures"
    )
    measures.add_argument(
        "--boards", action="store_true", help="line art with small defects"
    )
    measures.add_argument(
        "--parts", action="store_true", help="what elastic takes for drift"
    )
    measures.add_argument(
        "--changes", action="store_true", help="what regions are said to show"
    )
    add_kinds(parser)
    options = parser.parse_args(argv)
    is_other = options.script != parser.get_default("script")
    if is_other and not (options.changes or options.kind):
        parser.error("--script is for --kind and --changes")
    if options.changes:
        task = options.half, options.short, options.only, options.script
        for line in changes.tables(changes.measure(*task, options.jobs)):
            print(line)
        return 0
    if options.kind:
        for line in of_kinds(options):
            print(line, flush=True)
        return 0
    if options.parts:
        print(part_tables(options.half, options.short, os.cpu_count() or 1))
        return 0
    if options.geometry:
        for table in geometry_tables(options.half, options.short, os.cpu_count() or 1):
            print(table, flush=True)
        return 0
    if options.boards:
        print(board_tables(options.half, options.short, os.cpu_count() or 1))
        return 0
    name = "ours --gray" if options.gray else "ours"
    detectors = {"article": article, name: ours(options.gray)}
    print(tables(measure(detectors, options.half, options.short)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
