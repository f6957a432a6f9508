"""The cases of `kinds`, right or wrong, as other programs answer them.

Each program is given the same two files with the options that it has by default, and
asked whether they differ, and where: its answer is judged as that of `image_diff` is.
"""

import importlib
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

import benchmark
import kinds
from article import article
from cases import Case
from truth import HALF_WINDOW, Box

# ------------------------------------------------------------------------------ answers


class Answer(NamedTuple):
    """What a program says of a pair."""

    differs: bool | None  # None: it refuses the pair
    boxes: list[Box]


def boxes_of(mask: NDArray[Any]) -> list[Box]:
    """The boxes of the parts of a mask: gaps that a window of SSIM spans are closed."""
    # Of 26 cases of `parts`, odiff has 14 right with no gap closed, 16 with gaps of 2
    # pixels, 25 with 6 and with 10, 20 with 14. Small parts stay: without those below
    # 25 pixels it has 12 of 35 `thin` right, with them 20.
    window = np.ones((2 * HALF_WINDOW + 1, 2 * HALF_WINDOW + 1), np.uint8)
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, window)
    parts = cv2.connectedComponentsWithStats(closed)[2][1:]
    return [Box(*(int(value) for value in part[:4])) for part in parts]


def painted(path: Path) -> list[Box]:
    """The boxes of what is pure red in a picture of differences."""
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise FileNotFoundError(path)
    return boxes_of((picture == (0, 0, 255)).all(axis=2))


def run(command: benchmark.Command, different: int, out: Path) -> Answer:
    """The answer of a command with this status for pictures that differ."""
    status = subprocess.run(command, capture_output=True, check=False).returncode
    if status not in (0, different):
        raise RuntimeError(f"status {status} of: {' '.join(map(str, command))}")
    return Answer(status == different, painted(out) if status else [])


# ----------------------------------------------------------------------------- programs

# Of the first file, the second, one to write, and whether letters are drawn anew.
Program = Callable[[Path, Path, Path, bool], Answer]


def tutorial(first: Path, second: Path, out: Path, redrawn: bool) -> Answer:
    """The tutorial's script, which draws boxes of its own."""
    found = article(*(np.asarray(cv2.imread(str(path))) for path in (first, second)))
    return Answer(bool(found.boxes), [Box(*box) for box in found.boxes])


def odiff(first: Path, second: Path, out: Path, redrawn: bool) -> Answer:
    """It counts antialiased pixels, unless it is told not to."""
    options = ["--diff-mask", *(["--aa"] if redrawn else [])]
    return run([*benchmark.odiff(first, second), out, *options], 22, out)


def pixelmatch(first: Path, second: Path, out: Path, redrawn: bool) -> Answer:
    """It does not count antialiased pixels: those are yellow."""
    command = benchmark.node_modules() / ".bin/pixelmatch"
    return run([command, first, second, out], 66, out)


def blazediff(first: Path, second: Path, out: Path, redrawn: bool) -> Answer:
    """It counts antialiased pixels, unless it is told to see them, in yellow."""
    compare = importlib.import_module("blazediff").compare
    options = {"diff_mask": True, "antialiasing": redrawn}
    result = compare(*map(str, (first, second, out)), **options)
    return Answer(not result.match_result, [] if result.match_result else painted(out))


OURS = benchmark.OURS
PROGRAMS: Mapping[str, Program] = {  # by their names in the benchmark
    "the article's script": tutorial,
    "odiff": odiff,
    "pixelmatch": pixelmatch,
    "BlazeDiff": blazediff,
}


def contestants() -> Iterator[tuple[benchmark.Contestant, str | None]]:
    """Each program of the benchmark that is asked, and its version if installed."""
    for contestant in benchmark.CONTESTANTS:
        if contestant.name in PROGRAMS:
            yield contestant, contestant.version()


# ------------------------------------------------------------------------------- counts


def ask(case: Case, names: list[str], redrawn: bool) -> dict[str, Answer]:
    """The answers of programs to a case; none where it is not for them."""
    if case.first.dtype != np.uint8 or "align" in case.options:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        first, second = benchmark.write_pair(
            Path(folder), "pair", (case.first, case.second)
        )
        return {
            name: PROGRAMS[name](first, second, Path(folder) / f"{name}.png", redrawn)
            for name in names
        }


Counts = dict[tuple[str, str, str], int]  # by row, by program, and by what is counted


def counted(kind: str, case: Case, answers: Mapping[str, Answer]) -> Counts:
    """How often each program is right about one case: where, and whether at all."""
    row = f"{kind}, {'changed' if case.changes else 'nothing changed'}"
    counts = {(row, "", "cases"): 1}
    for name, answer in answers.items():
        right = answer.differs is not None and case.judge(case, answer.boxes).right
        counts[row, name, "where"] = right
        counts[row, name, "whether"] = answer.differs is bool(case.changes)
    return counts


def measure(task: kinds.Task) -> Counts:
    """The counts of a share of the cases of a kind, with those of `image_diff`."""
    names = [contestant.name for contestant, version in contestants() if version]
    counts = Counter[tuple[str, str, str]]()
    for recipe in kinds.recipes(task):
        case = recipe.draw()
        boxes, error = kinds.found(case, task)
        ours = Answer(None if error else bool(boxes), boxes)
        others = ask(case, names, redrawn=task.kind == "rendering")
        counts.update(counted(task.kind, case, {OURS: ours, **others}))
    return dict(counts)


def table(counts: Counts) -> Iterator[str]:
    """Lines in Markdown: a row of cases in a line, a program in a column."""
    found = list(contestants())
    names = [OURS, *(contestant.name for contestant, _ in found)]
    yield f"{benchmark.machine()}; right about where, and about whether.\n"
    yield f"| | cases | {' | '.join(names)} |"
    yield f"|---|---|{'---|' * len(names)}"
    for row in dict.fromkeys(row for row, _, _ in counts):
        cells = [
            f"{counts[row, name, 'where']}, {counts[row, name, 'whether']}"
            if (row, name, "where") in counts
            else "-"
            for name in names
        ]
        yield f"| {row} | {counts[row, '', 'cases']} | {' | '.join(cells)} |"
    yield ""
    for contestant, version in found:
        missing = f"is not installed: `{contestant.install}`"
        yield f"{contestant.name} {version or missing}"
