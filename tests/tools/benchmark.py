"""How fast and how large, beside other programs and beside what is required.

    python tests/tools/benchmark.py     # all: two tables in Markdown, on stdout
    python tests/tools/benchmark.py --cases card 4k --contestants odiff "NVIDIA FLIP"
    python tests/tools/benchmark.py --tables required --rounds 9
    python tests/tools/benchmark.py --plot images/scaling.png     # growth
    python tests/tools/benchmark.py --script "old/image_diff.py --color" image_diff.py

Every figure is of a whole process, as a command is used, from its start to its end,
with its largest resident memory. Each runs once to warm up; then all contestants of a
case take turns, so that a slow moment of the machine meets them all. Medians, and
ratios within one run: those hold on any machine. What takes seconds runs fewer times.
Unix alone tells the memory; 11 MB or less, which is what the measuring itself takes,
show as 11.

With `--script` only versions of the program are run, each with options of its own, and
each once more with `--output`. Medians of wall time and of processor time, and their
ratios to the first version: of the two, processor time is the less noisy.

The floor is a process that imports cv2 and decodes both files at the same time, and
does no more. A contestant that is not installed is left out, and how to install it is
printed.
"""

import argparse
import datetime
import importlib
import importlib.metadata
import importlib.util
import json
import math
import os
import platform
import py_compile
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

import checkout

ROOT = checkout.ROOT
SCRIPT = ROOT / "image_diff.py"

Picture = NDArray[np.uint8]
Pair = tuple[Path, Path]
Command = Sequence[str | Path]

# --- Pictures -------------------------------------------------------------------------


def card() -> tuple[Picture, Picture]:
    """A 500x314 card with two edits."""
    sample = cv2.imread(str(ROOT / "images/original_02.png"))
    assert sample is not None
    first = cv2.resize(sample, (500, 314), interpolation=cv2.INTER_AREA).astype(
        np.uint8
    )
    second = first.copy()
    second[100:140, 200:260] = 0
    second[30:50, 30:100] = 255
    return first, second


def photo() -> tuple[Picture, Picture]:
    """A 1000x667 photo with two edits, made from one in the scikit-image wheel."""
    import skimage

    coffee = cv2.imread(str(Path(skimage.__file__).parent / "data/coffee.png"))
    assert coffee is not None
    first = cv2.resize(coffee, (1000, 667), interpolation=cv2.INTER_CUBIC).astype(
        np.uint8
    )
    second = first.copy()
    second[100:180, 150:260] = first[400:480, 600:710]
    cv2.circle(second, (700, 300), 40, (30, 60, 200), cv2.FILLED)
    return first, second


def noisy_4k() -> tuple[Picture, Picture]:
    """A 3840x2160 scene taken twice with a camera's noise: all differs; six edits."""
    rng = np.random.default_rng(0)
    scene = cv2.resize(rng.integers(0, 256, (54, 96, 3), dtype=np.uint8), (3840, 2160))
    noise = rng.normal(0, 2, (2, *scene.shape))
    first, second = np.clip(scene + noise, 0, 255).astype(np.uint8)
    edit_spots(second)
    return first, second


def gray_4k() -> tuple[Picture, Picture, Picture]:
    """A 3840x2160 gray picture, one that differs everywhere, one in six spots."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (270, 480), dtype=np.uint8)
    first = cv2.resize(small, (3840, 2160), interpolation=cv2.INTER_CUBIC).astype(
        np.uint8
    )
    everywhere = np.clip(first.astype(int) + rng.integers(-9, 10, first.shape), 0, 255)
    spots = first.copy()
    edit_spots(spots)
    return first, everywhere.astype(np.uint8), spots


def edit_spots(picture: Picture) -> None:
    """Darken six spots of a 3840x2160 picture."""
    for index in range(6):
        picture[
            100 + 300 * index : 130 + 300 * index, 500 * index + 100 : 500 * index + 150
        ] //= 2


PAGE = 10728, 3446  # height and width of 37 megapixels
BLOCK = 256, 512  # height and width of what changes at once


def page(photos: int, grain: int) -> Picture:
    """A page of 37 megapixels, of text and photos, like that of a long web page."""
    rng = np.random.default_rng(1)
    height, width = PAGE
    paper = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(paper)
    font = ImageFont.load_default(34)
    for y in range(60, height - 60, 48):
        letters = rng.choice(list("abcdefghijklmnopqrstuvwxyz     "), 170)
        draw.text((120, y), "".join(letters), fill=(20, 20, 40), font=font)
    picture = np.array(paper)[..., ::-1].copy()
    colours = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    scene = cv2.resize(
        colours, (width - 240, 1500), interpolation=cv2.INTER_CUBIC
    ).astype(int)
    for top in range(800, 800 + 3000 * photos, 3000):
        noise = rng.integers(-grain, grain + 1, scene.shape)
        picture[top : top + 1500, 120:-120] = np.clip(scene + noise, 0, 255)
    return picture


def changed(picture: Picture, share: float) -> Picture:
    """A copy, inverted in a share of its tiles by chance, but for their edges."""
    second = picture.copy()
    (height, width), (high, wide) = picture.shape[:2], BLOCK
    tiles = [(y, x) for y in range(0, height, high) for x in range(0, width, wide)]
    for y, x in np.random.default_rng(1).permutation(tiles)[
        : round(share * len(tiles))
    ]:
        second[y + 10 : y + high - 10, x + 10 : x + wide - 10] ^= 255
    return second


def write_pair(
    folder: Path, name: str, pair: tuple[Picture, Picture], suffix: str = ".png"
) -> Pair:
    """Write two pictures; return where they are."""
    first, second = (
        folder / f"{name}_{which}{suffix}" for which in ("first", "second")
    )
    for path, picture in zip((first, second), pair, strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), picture):
            raise OSError(f"cannot write {path}")
    return first, second


def write_folders(
    folder: Path, name: str, count: int, pair: tuple[Picture, Picture]
) -> Pair:
    """Write two folders of pictures, no two alike; every other pair is the same."""
    first, second = folder / name / "first", folder / name / "second"
    for index in range(count):
        for path, picture in zip((first, second), pair, strict=True):
            path.mkdir(parents=True, exist_ok=True)
            kept = pair[0] if index % 2 else picture
            cv2.imwrite(str(path / f"{index:05}.png"), np.roll(kept, 7 * index, axis=1))
    return first, second


TEXT = "payment shall be made within thirty days of the notice by either party"


def text_pdf(pages: Iterable[Sequence[str]]) -> bytes:
    """A PDF of A4 pages of lines of text."""
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"",  # the list of the pages, once their numbers are known
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>",
    ]
    kids = []
    for lines in pages:
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        text = f"BT /F1 11 Tf 60 780 Td 14 TL {shown} ET"
        objects.append(f"<< /Length {len(text)} >>\nstream\n{text}\nendstream".encode())
        contents = f"/Contents {len(objects)} 0 R /MediaBox [0 0 595 842]"
        font = "/Resources << /Font << /F1 3 0 R >> >>"
        page = f"<< /Type /Page /Parent 2 0 R {contents} {font} >>"
        objects.append(page.encode())
        kids.append(f"{len(objects)} 0 R")
    listed = f"<< /Type /Pages /Count {len(kids)} /Kids [{' '.join(kids)}] >>"
    objects[1] = listed.encode()
    data, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, content in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(data)
        data += b"%d 0 obj\n%s\nendobj\n" % (number, content)
    size = len(objects) + 1
    trailer = b"trailer << /Size %d /Root 1 0 R >>\n" % size
    start = b"startxref\n%d\n%%%%EOF\n" % len(data)
    return b"%sxref\n0 %d\n%s%s%s" % (data, size, table, trailer, start)


def write_documents(folder: Path) -> Pair:
    """Write two PDFs of 200 pages; page 57 is inserted, of page 120 a word changed."""
    rng = np.random.default_rng(5)
    pages = [
        [" ".join(rng.choice(TEXT.split(), 14)) for _ in range(50)] for _ in range(201)
    ]
    first, second = folder / "old.pdf", folder / "new.pdf"
    first.write_bytes(text_pdf(pages[:56] + pages[57:]))
    pages[119] = [*pages[119][:20], f"CHANGED {pages[119][20]}", *pages[119][21:]]
    second.write_bytes(text_pdf(pages))
    return first, second


CASES: Mapping[str, tuple[str, Callable[[Path], Pair]]] = {
    "card": ("500x314 card, PNG", lambda folder: write_pair(folder, "card", card())),
    "photo": (
        "1000x667 photo, JPEG",
        lambda folder: write_pair(folder, "photo", photo(), ".jpg"),
    ),
    "4k": ("4K with noise, PNG", lambda folder: write_pair(folder, "4k", noisy_4k())),
    "page": (
        "37 MP page, 15 % of its tiles changed",
        lambda folder: write_pair(
            folder, "page", (page(3, 6), changed(page(3, 6), 0.15))
        ),
    ),
    "page-all": (
        "37 MP page, every tile changed",
        lambda folder: write_pair(
            folder, "page-all", (page(3, 6), changed(page(3, 6), 1))
        ),
    ),
    "folders": (
        "300 pairs of 500x314 in folders",
        lambda folder: write_folders(folder, "folders", 300, card()),
    ),
}

# --- Contestants ----------------------------------------------------------------------

# Python programs of a few lines, each as its user would write it.
FLOOR = """
import os, sys
from concurrent.futures import ThreadPoolExecutor
os.environ["OPENCV_IO_MAX_IMAGE_PIXELS"] = str(2**28)
import cv2
files = sys.argv[1:]
if os.path.isdir(files[0]):
    files = [entry.path for folder in files for entry in os.scandir(folder)]
with ThreadPoolExecutor(os.cpu_count()) as executor:
    for image in executor.map(cv2.imread, files[2:]):
        del image
    pair = list(executor.map(cv2.imread, files[:2]))
"""
# What pip makes, as a file `image-diff`: unlike a script, it keeps what was compiled.
ENTRY_POINT = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from image_diff import run
sys.exit(run())
"""
ARTICLE = """
import sys
import cv2
import imutils
from skimage.metrics import structural_similarity
first, second = map(cv2.imread, sys.argv[1:])
grays = [cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in (first, second)]
score, diff = structural_similarity(*grays, full=True)
diff = (diff * 255).astype("uint8")
print(f"SSIM: {score}")
kind = cv2.THRESH_BINARY_INV | cv2.THRESH_OTSU
thresh = cv2.threshold(diff, 0, 255, kind)[1]
found = cv2.findContours(thresh.copy(), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
for contour in imutils.grab_contours(found):
    x, y, width, height = cv2.boundingRect(contour)
    for image in (first, second):
        cv2.rectangle(image, (x, y), (x + width, y + height), (0, 0, 255), 2)
"""
RENDERING = """
import sys
import pypdfium2
for file in sys.argv[1:]:
    document = pypdfium2.PdfDocument(file)
    for page in document:
        page.render(scale=150 / 72)
"""
SKIMAGE = """
import sys
import cv2
from skimage.metrics import structural_similarity
first, second = (cv2.imread(file, 0) for file in sys.argv[1:])
print(structural_similarity(first, second, full=True)[0])
"""
BLAZEDIFF = """
import sys
import blazediff
print(blazediff.compare(*sys.argv[1:]).diff_count)
"""
LOOKS_SAME = """
require("looks-same")(...process.argv.slice(1), {shouldCluster: true})
  .then(result => console.log(result.diffClusters.length));
"""
# Debian's limits on memory refuse a page of 37 megapixels.
LIMITS = "".join(
    f'<policy domain="resource" name="{name}" value="16GiB"/>'
    for name in ("memory", "map", "disk")
)

NPM = "npm install --prefix ~/peers {} && export NODE_PATH=~/peers/node_modules"


class Contestant(NamedTuple):
    """A program to run beside ours."""

    name: str
    does: str  # what is asked of it
    install: str
    version: Callable[[], str | None]  # None: not installed
    # Of the first picture, the second, and a folder to write to.
    command: Callable[[Path, Path, Path], Command]
    cases: Sequence[str] = ("card", "photo", "4k", "page", "page-all")
    # Which are success; some programs tell by others that pictures differ.
    statuses: Sequence[int] = (0,)


def pypi(package: str) -> Callable[[], str | None]:
    """The version of a Python package in this interpreter."""

    def version() -> str | None:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return None

    return version


def node_modules() -> Path:
    """Where npm's packages are, as Node itself is told."""
    return Path(os.environ.get("NODE_PATH", "node_modules")).absolute()


def npm(package: str) -> Callable[[], str | None]:
    """The version of an npm package."""

    def version() -> str | None:
        manifest = node_modules() / package / "package.json"
        installed = manifest.is_file() and shutil.which("node")
        return str(json.loads(manifest.read_text())["version"]) if installed else None

    return version


def program(name: str, word: int) -> Callable[[], str | None]:
    """The version of a program on the path: one word of what it prints of itself."""

    def version() -> str | None:
        if not shutil.which(name):
            return None
        asked = subprocess.run(
            [name, "--version"], capture_output=True, text=True, check=False
        )
        return asked.stdout.split()[word]

    return version


def python(code: str, *arguments: str | Path) -> Command:
    """A command that runs Python code in this interpreter."""
    return [sys.executable, "-c", code, *arguments]


def odiff(first: Path, second: Path) -> Command:
    """The program itself: npm's wrapper of it in Node takes 40 ms to start."""
    native = [
        path for path in node_modules().glob("@odiff/*/odiff*") if path.suffix != ".js"
    ]
    return [native[0] if native else node_modules() / ".bin/odiff", first, second]


def image_diff(first: Path, second: Path) -> Command:
    """Our own command."""
    return [sys.executable, SCRIPT, "-f", first, "-s", second, "--no-window"]


PNG_ONLY = "card", "4k", "page", "page-all"
ALL = "card", "photo", "4k", "page", "page-all", "folders"
OURS = "image_diff"
CONTESTANTS = (
    Contestant(
        OURS,
        "SSIM, regions, noise",
        "",
        lambda: "this",
        lambda first, second, out: image_diff(first, second),
        ALL,
    ),
    Contestant(
        "image_diff --output",
        "and saves pictures and report",
        "",
        lambda: "this",
        lambda first, second, out: [
            *image_diff(first, second),
            "--output",
            out / "ours",
        ],
        ALL,
    ),
    Contestant(
        "the floor",
        "decodes, no more",
        "",
        lambda: f"OpenCV {cv2.__version__}",
        lambda first, second, out: python(FLOOR, first, second),
        ALL,
    ),
    Contestant(
        "the article's script",
        "SSIM, Otsu, boxes",
        "python -m pip install -r requirements.txt",
        lambda: "this" if pypi("imutils")() else None,
        lambda first, second, out: python(ARTICLE, first, second),
    ),
    Contestant(
        "scikit-image",
        "SSIM alone",
        "python -m pip install scikit-image",
        pypi("scikit-image"),
        lambda first, second, out: python(SKIMAGE, first, second),
    ),
    Contestant(
        "odiff",
        "counts pixels",
        NPM.format("odiff-bin"),
        npm("odiff-bin"),
        lambda first, second, out: odiff(first, second),
        statuses=(0, 22),
    ),
    Contestant(
        "BlazeDiff",
        "counts pixels",
        "python -m pip install blazediff",
        pypi("blazediff"),
        lambda first, second, out: python(BLAZEDIFF, first, second),
    ),
    Contestant(
        "pixelmatch",
        "counts pixels",
        NPM.format("pixelmatch pngjs"),
        npm("pixelmatch"),
        lambda first, second, out: [node_modules() / ".bin/pixelmatch", first, second],
        PNG_ONLY,
        (0, 66),
    ),
    Contestant(
        "looks-same",
        "clusters of pixels",
        NPM.format("looks-same"),
        npm("looks-same"),
        lambda first, second, out: ["node", "-e", LOOKS_SAME, first, second],
        PNG_ONLY,
    ),
    Contestant(
        "ImageMagick compare",
        "counts pixels",
        "apt-get install imagemagick",
        program("compare", 2),
        lambda first, second, out: ["compare", "-metric", "AE", first, second, "null:"],
        statuses=(0, 1),
    ),
    Contestant(
        "OpenImageIO idiff",
        "counts pixels",
        "apt-get install openimageio-tools",
        program("idiff", 0),
        lambda first, second, out: ["idiff", first, second],
        statuses=(0, 2),
    ),
    Contestant(
        "NVIDIA FLIP",
        "a map of what the eye sees",
        "python -m pip install flip-evaluator",
        pypi("flip-evaluator"),
        lambda first, second, out: [
            *(sys.executable, "-m", "flip_evaluator.flip_python_api"),
            *("-r", first, "-t", second, "-v", "1", "--no-error-map"),
        ],
        PNG_ONLY,
    ),
    Contestant(
        "reg-cli",
        "counts pixels, saves a report",
        NPM.format("reg-cli"),
        npm("reg-cli"),
        lambda first, second, out: [
            *(
                node_modules() / ".bin/reg-cli",
                second,
                first,
                out / "reg",
                "--ignoreChange",
            ),
            *("--json", out / "reg.json", "--report", out / "reg.html"),
            *("--concurrency", str(os.cpu_count())),
        ],
        ("folders",),
    ),
)

# --- Measuring ------------------------------------------------------------------------

# A process begins as a copy of the one that starts it, and that counts as its memory:
# so a small one starts it.
MEASURE = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=-3, stderr=-3)
_, status, usage = os.wait4(process.pid, 0)
seconds = time.perf_counter() - start
peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
processor = usage.ru_utime + usage.ru_stime
print(json.dumps([seconds, peak, os.waitstatus_to_exitcode(status), processor]))
"""


# The memory of a run over folders: of its main process, and for each core of its
# largest worker.
PEAK = f"""
import contextlib, os, resource, sys
sys.path.insert(0, {str(ROOT)!r})
import image_diff
with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
    image_diff.main(["-f", sys.argv[1], "-s", sys.argv[2], "--no-window"])
own, worker = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
unit = 1 if sys.platform == "darwin" else 1024
print((own.ru_maxrss + os.cpu_count() * worker.ru_maxrss) * unit)
"""


class Sample(NamedTuple):
    """One run of a command."""

    seconds: float
    peak: int  # bytes held at most, by the process or the largest of its own
    status: int
    processor: float  # seconds of processors, of the user and of the system


def measure(command: Command, environment: Mapping[str, str] | None = None) -> Sample:
    """Run a command from its start to its end."""
    outer = [sys.executable, "-S", "-E", "-c", MEASURE, *map(str, command)]
    env = {**os.environ, **(environment or {})}
    result = subprocess.run(outer, check=True, capture_output=True, env=env)
    return Sample(*json.loads(result.stdout))


def seconds_of(command: Command) -> Callable[[], float]:
    """What a command takes that succeeds."""

    def take() -> float:
        sample = measure(command)
        if sample.status:
            raise RuntimeError(
                f"status {sample.status} of: {' '.join(map(str, command))}"
            )
        return sample.seconds

    return take


def race(
    commands: Mapping[str, tuple[Command, Sequence[int]]],
    rounds: int,
    environment: Mapping[str, str],
    out: Path,
) -> dict[str, list[Sample]]:
    """Run each command once to warm up, then all in turns; those that fail have none.

    What takes seconds runs fewer times, but twice; beyond 20 seconds the first run
    counts. The folder they write to is emptied before each, as folders are not compared
    again.
    """

    def run(command: Command) -> Sample:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        return measure(command, environment)

    samples: dict[str, list[Sample]] = {name: [] for name in commands}
    often = dict.fromkeys(commands, 0)
    for name, (command, statuses) in commands.items():
        sample = run(command)
        if sample.status not in statuses:
            print(f"{name} fails with status {sample.status}", file=sys.stderr)
        elif sample.seconds > 20:
            samples[name] = [sample]
        else:
            often[name] = min(rounds, max(2, int(20 / sample.seconds)))
    for number in range(rounds):
        for name, (command, _) in commands.items():
            if number < often[name]:
                samples[name].append(run(command))
    return samples


def processor_of(command: Command) -> float:
    """The seconds of processors that a command takes, the least of three."""
    return min(measure(command).processor for _ in range(3))


def medians(
    rounds: int, ours: Callable[[], float], other: Callable[[], float]
) -> tuple[float, float]:
    """Median seconds of both, measured in turns after one warm-up."""
    ours(), other()
    times = [(ours(), other()) for _ in range(rounds)]
    return statistics.median(t for t, _ in times), statistics.median(
        t for _, t in times
    )


# --- The table of peers ---------------------------------------------------------------


def milliseconds(seconds: float) -> str:
    """Three digits."""
    return f"{seconds * 1e3:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"


def cell(samples: Sequence[Sample], ours: Sequence[Sample]) -> str:
    """Median, minimum, ratio to ours, and memory."""
    if not samples:
        return "-"
    median = statistics.median(sample.seconds for sample in samples)
    least = min(sample.seconds for sample in samples)
    parts = [f"**{milliseconds(median)}** ({milliseconds(least)})"]
    if ours:
        parts.append(
            f"x {median / statistics.median(sample.seconds for sample in ours):.2f}"
        )
    parts.append(f"{max(sample.peak for sample in samples) / 2**20:.0f} MB")
    return "<br>".join(parts)


def print_peers(
    cases: Iterable[str], names: Iterable[str], rounds: int, folder: Path
) -> None:
    """Run the contestants on the cases; print the table, and what to install."""
    chosen = [contestant for contestant in CONTESTANTS if contestant.name in names]
    versions = {contestant.name: contestant.version() for contestant in chosen}
    present = [contestant for contestant in chosen if versions[contestant.name]]
    (folder / "policy.xml").write_text(f"<policymap>{LIMITS}</policymap>")
    environment = {"MAGICK_CONFIGURE_PATH": str(folder)}
    columns, out = {}, folder / "out"
    for case in cases:
        pair = CASES[case][1](folder)
        commands = {
            contestant.name: (contestant.command(*pair, out), contestant.statuses)
            for contestant in present
            if case in contestant.cases
        }
        columns[case] = race(commands, rounds, environment, out)
        for name, samples in columns[case].items():
            print(f"{case}: {name}: {cell(samples, [])}", file=sys.stderr, flush=True)

    print("| |", *(f"{CASES[case][0]} |" for case in columns))
    print("|---|", *("---|" for _ in columns))
    for contestant in present:
        if not any(contestant.name in samples for samples in columns.values()):
            continue  # none of the chosen cases is for it
        cells = (
            cell(samples.get(contestant.name, []), samples.get(OURS, []))
            for samples in columns.values()
        )
        print(
            f"| {contestant.name}: {contestant.does} |",
            *(f"{text} |" for text in cells),
        )
    peers = [
        f"{c.name} {versions[c.name]}" for c in present if versions[c.name] != "this"
    ]
    print(f"\nMedian (least), ratio to image_diff, largest memory. {', '.join(peers)}.")
    for contestant in chosen:
        if not versions[contestant.name]:
            print(f"\n{contestant.name} is not installed: `{contestant.install}`")
    print(flush=True)


# --- The table of scripts -------------------------------------------------------------


def script_commands(
    scripts: Sequence[str], first: Path, second: Path, out: Path
) -> dict[str, tuple[Command, Sequence[int]]]:
    """What each script is run as, with its own options, and what of it is success."""
    rest: list[str | Path] = ["-f", first, "-s", second, "--no-window"]
    commands: dict[str, tuple[Command, Sequence[int]]] = {}
    for number, script in enumerate(scripts, 1):
        command = [sys.executable, *shlex.split(script), *rest]
        commands[f"{number}. {script}"] = command, (0,)
        saving = [*command, "--output", out / str(number)]
        commands[f"{number}. {script} --output"] = saving, (0,)
    return commands


def ratio(
    samples: Sequence[Sample], others: Sequence[Sample], what: Callable[[Sample], float]
) -> str:
    """The ratio of the medians of something, where both were measured."""
    if not samples or not others:
        return "-"
    own, other = (statistics.median(map(what, group)) for group in (samples, others))
    return f"{own / other:.3f}"


def print_scripts(
    cases: Iterable[str], scripts: Sequence[str], rounds: int, folder: Path
) -> None:
    """Run versions of the program in turns, each also saving; print one row a run."""
    print("| case | script | wall time | ratio | processor time | ratio | memory |")
    print("|---|---|---|---|---|---|---|")
    for case in cases:
        out = folder / "out"
        commands = script_commands(scripts, *CASES[case][1](folder), out)
        runs = race(commands, rounds, {}, out)
        names = list(runs)
        for index, name in enumerate(names):
            samples, base = runs[name], runs[names[index % 2]]
            if not samples:
                continue  # it failed, and that is told
            wall = statistics.median(sample.seconds for sample in samples)
            processor = statistics.median(sample.processor for sample in samples)
            cells = [
                *(CASES[case][0], f"`{name}`"),
                *(milliseconds(wall), ratio(samples, base, lambda s: s.seconds)),
                *(milliseconds(processor), ratio(samples, base, lambda s: s.processor)),
                f"{max(sample.peak for sample in samples) / 2**20:.0f} MB",
            ]
            print(f"| {' | '.join(cells)} |", flush=True)


# --- The table of what is required ----------------------------------------------------


def row(name: str, ours: str, other: str, ratio: float, limit: str) -> None:
    """Print one line of the table; limit: "<=" or ">=" and a number."""
    bound = float(limit[2:])
    met = ratio <= bound if limit.startswith("<=") else ratio >= bound
    required = f"at {'most' if limit.startswith('<=') else 'least'} {limit[2:]}"
    print(
        f"| {name} | {ours} | {other} | {ratio:.2f} | {required} | "
        f"{'yes' if met else '**no**'} |"
    )
    sys.stdout.flush()


def ssim_alone(
    module: str, call: str, first: Path, second: Path
) -> Callable[[], float]:
    """Seconds that one call on two arrays takes, the first in a new Python process."""
    code = (
        f"import sys, time, numpy; sys.path.insert(0, {str(ROOT)!r}); import {module}\n"
        f"a, b = numpy.load({str(first)!r}), numpy.load({str(second)!r})\n"
        f"start = time.perf_counter(); {module}.{call}\n"
        "print(time.perf_counter() - start)"
    )
    return lambda: float(
        subprocess.run(python(code), check=True, capture_output=True).stdout
    )


def compared(
    name: str,
    rounds: int,
    ours: Callable[[], float],
    other: Callable[[], float],
    limit: str,
) -> None:
    """One row: the times of ours and of another, and the limit of their ratio."""
    a, b = medians(rounds, ours, other)
    ratio = a / b if limit.startswith("<=") else b / a
    row(name, milliseconds(a), milliseconds(b), ratio, limit)


def print_required(cases: Iterable[str], rounds: int, folder: Path) -> None:
    """Print the table of what is required of us, case by case."""
    py_compile.compile(str(SCRIPT))  # as pip does for the installed command
    print(
        "| measured | ours | other | ratio | required | met |\n"
        "|---|---|---|---|---|---|"
    )
    pairs = {
        "card": ("500x314 PNG, whole process / floor", "<=1.12", card),
        "4k": ("4K PNG with noise, the same", "<=1.45", noisy_4k),
        "page": (
            "37 MP of text and photos, the same",
            "<=1.35",
            lambda: (page(3, 6), changed(page(3, 6), 0.15)),
        ),
        "smooth": (
            "37 MP of text and one smooth photo, the same",
            "<=1.35",
            lambda: (page(1, 2), changed(page(1, 2), 0.15)),
        ),
    }
    for case, (name, limit, draw) in pairs.items():
        if case not in cases and (case, "page" in cases) != ("smooth", True):
            continue
        first, second = write_pair(folder, case, draw())
        command, floor = image_diff(first, second), python(FLOOR, first, second)
        compared(name, rounds, seconds_of(command), seconds_of(floor), limit)
        installed = folder / "image-diff"
        installed.write_text(ENTRY_POINT)
        entry: Command = [sys.executable, installed, *command[2:]]
        name = "... as the installed command / floor"
        compared(name, rounds, seconds_of(entry), seconds_of(floor), limit)
        if case in ("page", "smooth"):
            saving = seconds_of([*command, "--output", folder / "out"])
            a, b = medians(max(2, rounds // 2), saving, seconds_of(command))
            name = "... saving all its pictures / comparing it"
            row(name, milliseconds(a - b), milliseconds(b), (a - b) / b, "<=1")
            extra = measure(command).peak - measure(python("import cv2")).peak
            name = "... memory to compare it, bytes a pixel"
            row(name, f"{extra / 2**20:.0f} MB", "", extra / math.prod(PAGE), "<=15")
    if "4k" in cases:
        arrays = [folder / f"{name}.npy" for name in ("first", "everywhere", "spots")]
        for file, array in zip(arrays, gray_4k(), strict=True):
            np.save(file, array)
        skimage = "skimage.metrics", "structural_similarity(a, b, full=True)"
        # As `compare_images` does, before it measures.
        own = "image_diff", "keep_freed_memory(), image_diff.measure(a, b, None, True)"
        for text, second, limit in (
            (
                "4K gray pair that differs everywhere, scikit-image / ours",
                arrays[1],
                ">=20",
            ),
            ("4K gray pair that differs in six spots, the same", arrays[2], ">=60"),
        ):
            ours = ssim_alone(*own, arrays[0], second)
            other = ssim_alone(*skimage, arrays[0], second)
            compared(text, rounds, ours, other, limit)
    if "photo" in cases:
        slider = slider_milliseconds()
        row(
            "a slider moved on 2 megapixels, ms", f"{slider:.1f} ms", "", slider, "<=50"
        )
    if "folders" in cases:
        print_folders(rounds, folder)
    print(flush=True)


def print_folders(rounds: int, folder: Path) -> None:
    """The rows of folders of pictures."""
    first, second = write_folders(folder, "folders", 300, card())
    ours, floor = (
        seconds_of(image_diff(first, second)),
        seconds_of(python(FLOOR, first, second)),
    )
    # Start-up is a run of two pairs, as it begins and ends whatever compares pairs at
    # once.
    two = write_folders(folder, "two", 2, card())
    starts = seconds_of(image_diff(*two)), seconds_of(python("import cv2"))
    whole, decoding = medians(rounds, ours, floor)
    startup, importing = medians(rounds, *starts)
    name = "300 pairs in folders / decoding all 600, both after start-up"
    a, b = whole - startup, decoding - importing
    row(name, milliseconds(a), milliseconds(b), a / b, "<=1")
    names = [f"{index:05}.png" for index in range(0, 300, 37)]
    times = [
        seconds_of(python(ARTICLE, first / name, second / name))() for name in names
    ]
    article = 300 * statistics.median(times)
    name = "the article's script run 300 times / 300 pairs in folders"
    row(name, milliseconds(whole), milliseconds(article), article / whole, ">=80")
    tiny = card()[0][:32, :48], card()[1][20:52, 20:68]
    peaks = [
        float(
            subprocess.run(python(PEAK, *pair), check=True, capture_output=True).stdout
        )
        / 2**20
        for pair in (
            write_folders(folder, f"folders_{count}", count, tiny)
            for count in (10_000, 100)
        )
    ]
    name = "10,000 pairs in folders, memory beyond that of 100, MB"
    row(name, f"{peaks[0]:.0f} MB", f"{peaks[1]:.0f} MB", peaks[0] - peaks[1], "<=50")
    documents = write_documents(folder)
    a = processor_of(image_diff(*documents))
    b = processor_of(python(RENDERING, *documents))
    name = "200 pages of PDF, two changed / rendering both, processor time"
    row(name, milliseconds(a), milliseconds(b), a / b, "<=1.5")


def slider_milliseconds() -> float:
    """What one move of a slider costs, median, but for the drawing by the desktop."""
    image_diff = importlib.import_module("image_diff")
    rng = np.random.default_rng(2)
    first = cv2.resize(
        rng.integers(0, 256, (150, 200, 3), dtype=np.uint8), (1733, 1155)
    )
    second = cv2.GaussianBlur(first, (0, 0), 3)
    second[::40] = first[::40]
    comparison = image_diff.compare_images(first, second)

    def move(level: int) -> float:
        start = time.perf_counter()
        shown = image_diff.with_threshold(comparison, level / 255, 50)
        for title in ("Original", "Modified", "Thresh"):
            picture = image_diff.draw(shown, title)
            cv2.resize(picture, (866, 577), interpolation=cv2.INTER_AREA)
        return 1e3 * (time.perf_counter() - start)

    return statistics.median(map(move, range(40, 220, 10)))


# --- Growth ---------------------------------------------------------------------------

MEGAPIXELS = 1, 5, 10, 15, 20, 25, 30, 37
SHARES = 0, 0.15, 0.3, 0.45, 0.6, 0.8, 1


def grow(
    rounds: int, folder: Path
) -> tuple[dict[float, list[float]], dict[float, list[float]]]:
    """Seconds of ours and of the floor by megapixels, and by the changed share of 37.

    The least of the rounds: what the work takes when nothing disturbs it.
    """
    whole = page(3, 6)
    height, width = PAGE
    heights = [min(height, round(n * 1e6 / width)) for n in MEGAPIXELS]
    pairs: dict[tuple[str, float], Pair] = {}
    for n, rows in zip(MEGAPIXELS, heights, strict=True):
        pair = whole[:rows], changed(whole[:rows], 0.15)
        pairs["pixels", rows * width / 1e6] = write_pair(folder, f"pixels_{n}", pair)
    for share in SHARES:
        pair = whole, changed(whole, share)
        pairs["share", 100 * share] = write_pair(folder, f"share_{share}", pair)
    commands = {
        key: (image_diff(*pair), python(FLOOR, *pair)) for key, pair in pairs.items()
    }
    least = {key: [math.inf, math.inf] for key in pairs}
    for number in range(rounds):
        for key, both in commands.items():
            seconds = [seconds_of(command)() for command in both]
            least[key] = [
                min(old, new) for old, new in zip(least[key], seconds, strict=True)
            ]
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    by_pixels = {x: times for (kind, x), times in least.items() if kind == "pixels"}
    return by_pixels, {
        x: times for (kind, x), times in least.items() if kind == "share"
    }


def plot(path: Path, rounds: int, folder: Path) -> None:
    """Draw the growth; print it, and how far from a straight line it is."""
    pyplot = importlib.import_module("matplotlib.pyplot")
    figure, axes = pyplot.subplots(
        1, 2, figsize=(10, 3.8), layout="constrained", sharey=True
    )
    labels = (
        "megapixels, 15 % of the tiles changed",
        "% of the tiles of 37 megapixels changed",
    )
    for axis, label, growth in zip(axes, labels, grow(rounds, folder), strict=True):
        x = np.array(list(growth))
        print(f"\n| {label} | {' | '.join(f'{value:.3g}' for value in x)} |")
        print("|---|" + "---|" * len(x))
        for index, (name, colour) in enumerate(
            (("image_diff", "#c8102e"), ("floor", "#8a8f98"))
        ):
            y = np.array([times[index] for times in growth.values()])
            slope, start = np.polyfit(x, y, 1)
            off = float(np.abs(y - slope * x - start).max() / y.max())
            axis.plot(x, slope * x + start, color=colour, linewidth=1.2)
            axis.plot(x, y, "o", color=colour, markersize=5, label=name)
            print(f"| {name}, s | {' | '.join(f'{value:.3f}' for value in y)} |")
            print(
                f"{name} is at most {100 * off:.1f} % off a straight line",
                file=sys.stderr,
            )
        axis.set_xlabel(label)
        axis.set_xlim(left=0)
        axis.grid(color="#e4e6ea", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
    axes[0].set_ylim(bottom=0)  # of both, once all is drawn
    axes[0].set_ylabel("seconds, whole process")
    axes[0].legend(frameon=False, loc="upper left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=160)


# --- Command line ---------------------------------------------------------------------


def machine() -> str:
    """Date, processor and versions: what the figures hold for."""
    cpu = platform.processor() or platform.machine()
    with_names = Path("/proc/cpuinfo")
    if with_names.is_file():
        names = [
            line for line in with_names.read_text().splitlines() if "model name" in line
        ]
        cpu = names[0].split(":")[1].strip() if names else cpu
    packages = f"OpenCV {cv2.__version__}, NumPy {np.__version__}"
    return (
        f"{datetime.date.today():%d %B %Y}, {os.cpu_count()} cores of {cpu}, "
        f"{platform.system()}, Python {platform.python_version()}, {packages}"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print the tables, or draw the plot."""
    parser = argparse.ArgumentParser(description="Measure image_diff beside others.")
    names = [contestant.name for contestant in CONTESTANTS]
    add = parser.add_argument
    add("--cases", nargs="+", choices=CASES, default=list(CASES))
    add("--contestants", nargs="+", choices=names, default=names)
    add(
        "--tables",
        nargs="+",
        choices=("peers", "required"),
        default=["peers", "required"],
    )
    add("--rounds", type=int, default=5, help="of each measurement [%(default)s]")
    add(
        "--plot",
        type=Path,
        metavar="FILE",
        help="draw the growth in place of the tables",
    )
    add(
        "--script",
        nargs="+",
        metavar="'PATH [OPTION ...]'",
        help="measure versions of the program beside the first of them, in turns, "
        "in place of the tables",
    )
    options = parser.parse_args(argv)
    print(f"{machine()}, medians of {options.rounds}.\n")
    with tempfile.TemporaryDirectory() as folder:
        if options.plot:
            if not importlib.util.find_spec("matplotlib"):
                parser.error(
                    "--plot needs matplotlib: python -m pip install matplotlib"
                )
            plot(options.plot, options.rounds, Path(folder))
            return 0
        if options.script:
            print_scripts(options.cases, options.script, options.rounds, Path(folder))
            return 0
        if "peers" in options.tables:
            print_peers(
                options.cases, options.contestants, options.rounds, Path(folder)
            )
        if "required" in options.tables:
            print_required(options.cases, options.rounds, Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
