"""How fast and how large: ratios measured within one run, so that they hold on any machine.

    python tests/benchmark.py [--rounds N]

floor: a process that imports cv2 and decodes both files at the same time, and does nothing else.
Everything is measured in a process of its own, as the command is used: SSIM too, of which the first
call pays for its memory. Measurements alternate, so that a slow moment of the machine meets both
sides; shown are medians, and the ratio of the medians.
"""

import argparse
import dataclasses
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import image_diff  # noqa: E402  (stands beside this folder, wherever this is started from)

Picture = NDArray[np.uint8]

FLOOR = """
import sys
from concurrent.futures import ThreadPoolExecutor
import os
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(2**28)
import cv2
with ThreadPoolExecutor(2) as executor:
    list(executor.map(cv2.imread, sys.argv[1:]))
"""


def small_pair() -> tuple[Picture, Picture]:
    """A 500x314 card with two edits."""
    card = cv2.imread(str(ROOT / "images/original_02.png"))
    assert card is not None
    first = cv2.resize(card, (500, 314), interpolation=cv2.INTER_AREA).astype(np.uint8)
    second = first.copy()
    second[100:140, 200:260] = 0
    second[30:50, 30:100] = 255
    return first, second


def gray_4k() -> tuple[Picture, Picture, Picture]:
    """A 3840x2160 gray picture, one that differs from it everywhere, one that does in six spots."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (270, 480), dtype=np.uint8)
    first = cv2.resize(small, (3840, 2160), interpolation=cv2.INTER_CUBIC).astype(np.uint8)
    everywhere = np.clip(first.astype(int) + rng.integers(-9, 10, first.shape), 0, 255)
    spots = first.copy()
    for index in range(6):
        spots[100 + 300 * index : 130 + 300 * index, 500 * index + 100 : 500 * index + 150] //= 2
    return first, everywhere.astype(np.uint8), spots


def large_pair(photos: int, grain: int) -> tuple[Picture, Picture]:
    """A 3446x10728 page of text and photos; 15 % of its 256x512 tiles are inverted."""
    rng = np.random.default_rng(1)
    width, height = 3446, 10728
    page = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(page)
    font = ImageFont.load_default(34)
    for y in range(60, height - 60, 48):
        letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz     "), 170)
        draw.text((120, y), "".join(letters), fill=(20, 20, 40), font=font)
    first = np.array(page)[..., ::-1].copy()
    colours = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    photo = cv2.resize(colours, (width - 240, 1500), interpolation=cv2.INTER_CUBIC).astype(int)
    for top in range(800, 800 + 3000 * photos, 3000):
        noise = rng.integers(-grain, grain + 1, photo.shape)
        first[top : top + 1500, 120:-120] = np.clip(photo + noise, 0, 255)
    second = first.copy()
    tiles = [(y, x) for y in range(0, height, 256) for x in range(0, width, 512)]
    for y, x in rng.permutation(tiles)[: round(0.15 * len(tiles))]:
        second[y + 10 : y + 246, x + 10 : x + 502] ^= 255
    return first, second


def whole_process(*arguments: str | Path) -> Callable[[], float]:
    """Seconds that a Python process takes from its start to its end."""
    command = [sys.executable, *map(str, arguments)]

    def measure() -> float:
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - start

    return measure


def ssim_alone(module: str, call: str, first: Path, second: Path) -> Callable[[], float]:
    """Seconds that one call on two arrays takes, the first call in a new Python process."""
    code = (
        f"import sys, time, numpy; sys.path.insert(0, {str(ROOT)!r}); import {module}\n"
        f"a, b = numpy.load({str(first)!r}), numpy.load({str(second)!r})\n"
        f"start = time.perf_counter(); {module}.{call}; print(time.perf_counter() - start)"
    )
    command = [sys.executable, "-c", code]
    return lambda: float(subprocess.run(command, check=True, capture_output=True).stdout)


def medians(
    rounds: int, ours: Callable[[], float], other: Callable[[], float]
) -> tuple[float, float]:
    """Median seconds of both, measured in turns after one warm-up."""
    ours(), other()
    times = [(ours(), other()) for _ in range(rounds)]
    return statistics.median(t for t, _ in times), statistics.median(t for _, t in times)


def peak_bytes(*arguments: str | Path) -> int:
    """The largest resident memory of a Python process."""
    code = "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=-3)\n"
    code += "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    command = [sys.executable, "-c", code, sys.executable, *map(str, arguments)]
    unit = 1 if sys.platform == "darwin" else 1024
    return int(subprocess.run(command, check=True, capture_output=True).stdout) * unit


def row(name: str, ours: float, other: float, ratio: float, limit: str) -> None:
    """Print one line of the table."""
    met = ratio <= float(limit[2:]) if limit.startswith("<=") else ratio >= float(limit[2:])
    verdict = "" if met else "  MISSED"
    print(
        f"{name:58} {ours * 1e3:9.1f} {other * 1e3:9.1f} {ratio:7.2f}  {limit}{verdict}", flush=True
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="Measure image_diff as ratios within one run.")
    parser.add_argument("--rounds", type=int, default=11, help="of each measurement [%(default)s]")
    rounds = parser.parse_args(argv).rounds
    print(f"OpenCV {cv2.__version__}, {cv2.getNumberOfCPUs()} cores, medians of {rounds}\n")
    print(f"{'':58} {'ours, ms':>9} {'other, ms':>9} {'ratio':>7}  required")

    with tempfile.TemporaryDirectory() as folder:
        script = ROOT / "image_diff.py"
        floor = Path(folder, "floor.py")
        floor.write_text(FLOOR)
        for name, pair, limit in (
            ("500x314 PNG pair, whole process / floor", small_pair(), "<=1.2"),
            ("37 megapixels of text and photos, the same", large_pair(3, 6), "<=1.5"),
            ("37 megapixels of text and one smooth photo, the same", large_pair(1, 2), "<=1.5"),
        ):
            files = [Path(folder, f"{letter}.png") for letter in "ab"]
            for file, picture in zip(files, pair, strict=True):
                cv2.imwrite(str(file), picture)
            command = script, "-f", files[0], "-s", files[1], "--no-window"
            ours, other = medians(rounds, whole_process(*command), whole_process(floor, *files))
            row(name, ours, other, ours / other, limit)
            if "megapixels" in name:
                saving = *command, "--output", str(Path(folder, "out"))
                ours, other = medians(rounds, whole_process(*saving), whole_process(*command))
                ours -= other
                row("... saving all its pictures / comparing it", ours, other, ours / other, "<=1")
        pixels = pair[0].shape[0] * pair[0].shape[1]
        extra = peak_bytes(*command) - peak_bytes("-c", "import cv2")
        print(f"{'... peak memory to compare it, bytes a pixel':58} {extra / pixels:27.2f}  <=15")

        arrays = [Path(folder, f"{name}.npy") for name in ("first", "everywhere", "spots")]
        for file, array in zip(arrays, gray_4k(), strict=True):
            np.save(file, array)
        for name, second, limit in (
            ("4K gray pair that differs everywhere, scikit-image / ours", arrays[1], ">=20"),
            ("4K gray pair that differs in six spots, scikit-image / ours", arrays[2], ">=60"),
        ):
            ours, other = medians(
                rounds,
                ssim_alone("image_diff", "similarity(a, b)", arrays[0], second),
                ssim_alone(
                    "skimage.metrics", "structural_similarity(a, b, full=True)", arrays[0], second
                ),
            )
            row(name, ours, other, other / ours, limit)
    print(f"{'a slider moved on 2 megapixels, ms':58} {slider_milliseconds():9.1f} {'':18}  <=50")
    return 0


def slider_milliseconds() -> float:
    """The median time of what one move of a slider costs but for the drawing by the desktop."""
    rng = np.random.default_rng(2)
    first = cv2.resize(rng.integers(0, 256, (150, 200, 3), dtype=np.uint8), (1733, 1155))
    second = cv2.GaussianBlur(first, (0, 0), 3)
    second[::40] = first[::40]
    comparison = image_diff.compare_images(first, second)

    def move(level: int) -> float:
        start = time.perf_counter()
        options = image_diff.Options(threshold=level / 255, min_area=50)
        threshold, mask = image_diff.find_threshold(comparison.evidence, 1, options)
        mask, regions = image_diff.find_regions(mask, comparison.evidence, options)
        shown = dataclasses.replace(comparison, threshold=threshold, mask=mask, regions=regions)
        for title in ("Original", "Modified", "Thresh"):
            picture = image_diff.draw(shown, title)
            cv2.resize(picture, (866, 577), interpolation=cv2.INTER_AREA)
        return 1e3 * (time.perf_counter() - start)

    return statistics.median(map(move, range(40, 220, 10)))


if __name__ == "__main__":
    sys.exit(main())
