"""How many cases of each kind an `image_diff.py` has right, and what it has wrong."""

import importlib.util
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

import camera
import fine
import pages
from cases import Case, Recipe, Verdict
from truth import Box

KINDS: dict[str, Callable[[str], Iterable[Recipe]]] = {
    "light": camera.light_recipes,
    "recolour": pages.recolour_recipes,
    "masking": pages.masking_recipes,
    "digits": pages.digit_recipes,
    "deep": camera.deep_recipes,
    "noise": camera.noise_recipes,
    "documents": camera.document_recipes,
    "thin": fine.thin_recipes,
    "rendering": fine.rendering_recipes,
    "parts": fine.parts_recipes,
}


class Task(NamedTuple):
    """A share of the cases of a kind, for one process."""

    kind: str
    half: str
    only: str  # what is in the names of the cases to be measured
    script: str  # a path of an image_diff.py
    gray: bool
    save: str | None  # a folder for the cases that are not right
    short: bool  # few cases alone
    share: slice  # of the recipes


@dataclass(frozen=True)
class Result:
    """What was found in one case."""

    row: str
    name: str
    changes: int
    verdict: Verdict
    error: str | None  # in place of an answer


@cache
def program(script: str) -> Any:
    """The module in a file, which need not be this project's."""
    name = "measured_image_diff"
    spec = importlib.util.spec_from_file_location(name, script)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


def recipes(task: Task) -> list[Recipe]:
    """The recipes of a task, its share of them."""
    every = [
        recipe
        for recipe in KINDS[task.kind](task.half)
        if task.only in f"{recipe.row}/{recipe.name}"
    ]
    return every[:: 11 if task.short else 1][task.share]


def found(case: Case, task: Task) -> tuple[list[Box], str | None]:
    """The boxes of a case, and the error in place of an answer."""
    module = program(task.script)
    options = {**case.options, **({"gray": True} if task.gray else {})}
    try:
        comparison = module.compare_images(
            case.first, case.second, module.Options(**options)
        )
    except module.ImageDiffError as problem:
        return [], str(problem)
    return [Box(r.x, r.y, r.width, r.height) for r in comparison.regions], None


def judged(recipe: Recipe, task: Task) -> Result:
    """The result of one case; a picture of it is saved if it is wrong."""
    case = recipe.draw()
    boxes, error = found(case, task)
    verdict = case.judge(case, boxes)
    if task.save and (error or not verdict.right):
        save(case, boxes, Path(task.save), f"{task.kind} {recipe.row} {recipe.name}")
    return Result(recipe.row, recipe.name, len(case.changes), verdict, error)


def save(case: Case, boxes: Sequence[Box], folder: Path, title: str) -> None:
    """Both pictures, and beside them a picture with changes (green) and boxes (red)."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = "".join(c if c.isalnum() or c in "-+%" else "_" for c in title)
    extension = ".tiff" if case.first.dtype == np.float32 else ".png"
    for which, picture in (("a", case.first), ("b", case.second)):
        if not cv2.imwrite(str(folder / f"{kept}_{which}{extension}"), picture):
            raise OSError(f"{folder}: cannot write {kept}")
    most = max(float(case.first.max()), float(case.second.max()), 1e-9)
    scale = 1 if case.first.dtype == np.uint8 else 255 / most
    shown = (scale * case.second.astype(np.float64)).clip(0, 255).astype(np.uint8)
    if shown.ndim == 2:
        shown = np.repeat(shown[:, :, None], 3, axis=2)
    for group, colour in ((case.changes, (0, 200, 0)), (boxes, (0, 0, 255))):
        for box in group:
            corner = box.x + box.width, box.y + box.height
            cv2.rectangle(shown, (box.x - 1, box.y - 1), corner, colour, 1)
    cv2.imwrite(str(folder / f"{kept}_boxes.png"), shown)


def results(task: Task) -> list[Result]:
    """The results of a task's share."""
    return [judged(recipe, task) for recipe in recipes(task)]


def measure_kind(task: Task, jobs: int) -> list[Result]:
    """The results of all cases of a kind, in so many processes, in their order."""
    if jobs == 1:
        return results(task)
    tasks = [task._replace(share=slice(i, None, jobs)) for i in range(jobs)]
    with ProcessPoolExecutor(
        jobs, initializer=cv2.setNumThreads, initargs=(1,)
    ) as executor:
        shares = list(executor.map(results, tasks))
    every = [Result("", "", 0, Verdict([], []), None)] * sum(map(len, shares))
    for i, share in enumerate(shares):
        every[i::jobs] = share
    return every


def groups(row: str) -> list[str]:
    """The rows that a row counts in: itself, and what stands before each comma."""
    parts = row.split(", ")
    return [", ".join(parts[: i + 1]) for i in range(len(parts))]


def table(kind: str, found: Sequence[Result]) -> Iterator[str]:
    """Lines: of each row and group of rows the cases that are right, and the rest."""
    counts: dict[str, Counter[str]] = {}
    for result in found:
        for row in ("all", *groups(result.row)):
            counts.setdefault(row, Counter()).update(
                cases=1,
                right=result.verdict.right and result.error is None,
                changes=result.changes,
                missed=len(result.verdict.missed),
                elsewhere=len(result.verdict.elsewhere),
            )
    wide = max(map(len, counts))
    yield f"{kind:{wide}}   right of cases  missed of changes  false boxes"
    for row, count in sorted(counts.items(), key=lambda item: item[0] == "all"):
        yield (
            f"{row:{wide}}{count['right']:8} of {count['cases']:5}"
            f"{count['missed']:8} of {count['changes']:7}{count['elsewhere']:13}"
            f"   {count['right'] / count['cases']:.3f}"
        )


def complaint(kind: str, result: Result) -> str:
    """What is wrong with a case, in a line."""
    missed = "; ".join(",".join(map(str, box)) for box in result.verdict.missed)
    shown = ["; ".join(",".join(map(str, box)) for box in result.verdict.elsewhere[:4])]
    if len(result.verdict.elsewhere) > 4:
        shown.append(f"and {len(result.verdict.elsewhere) - 4} more")
    facts = [
        f"error: {result.error}" if result.error else "",
        f"missed {missed}" if missed else "",
        f"boxes elsewhere {' '.join(shown)}" if result.verdict.elsewhere else "",
    ]
    return f"{kind}/{result.row}/{result.name}: " + "; ".join(filter(None, facts))


def report(task: Task, jobs: int, listed: bool) -> Iterator[str]:
    """The table of a kind and, if asked, a line for each case that is not right."""
    started = time.monotonic()
    found = measure_kind(task, jobs)
    if listed:
        for result in found:
            if result.error or not result.verdict.right:
                yield complaint(task.kind, result)
    yield from table(task.kind, found)
    yield f"{time.monotonic() - started:.0f} s"


def reports(kinds: Sequence[str], task: Task, jobs: int, listed: bool) -> Iterator[str]:
    """The reports of several kinds, one after another."""
    return chain.from_iterable(
        report(task._replace(kind=kind), jobs, listed) for kind in kinds
    )
