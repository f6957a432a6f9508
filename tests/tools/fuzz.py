"""Feed the command damaged picture files, and count what comes of it.

    python tests/tools/fuzz.py --files 20000 --seed 0
    python tests/tools/fuzz.py --files 20000 --seed 0 --mutator structure

Every sample of samples.py is damaged in a way that chance chooses, or, with the second
mutator, put together wrongly from chunks, segments and tags that are right in
themselves. Each is compared with the sample by `main`, thousands of files in one
process, whose memory is capped. Each file must end well:

    right    it was read, and its pixels are the sample's
    refused  status 2, one line `error: ...` on stderr, and nothing on stdout
    other    it was read and shows something else, where nobody could know: the damage
             hit contents or a header of a format without checksums, and the codec read
             what it found there

Everything else is a failure, and the file is kept: a crash, a hang, an exception, too
much memory, a cut file that shows something else, a PNG that does, or pixels that come
from memory that was never written to.
"""

import argparse
import contextlib
import ctypes
import io
import json
import os
import random
import resource
import select
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

import checkout
import image_diff
from samples import HEIGHT, WIDTH, Picture, Sample, chunk, samples

MEMORY = 3 << 30  # bytes of address space beyond those that a process starts with
PATIENCE = 10.0  # seconds a file, of processors: the machine may be busy otherwise
KNOWN = "right", "refused", "other"
MUTATORS = "chance", "structure"
Random = random.Random


# --- Damage ---------------------------------------------------------------------------


def cut(data: bytes, rng: Random) -> bytes:
    """The file without its end."""
    return data[
        : rng.choice((rng.randrange(len(data)), len(data) - rng.randrange(1, 40)))
    ]


def flip(data: bytes, rng: Random) -> bytes:
    """Some bytes changed, most often in the first 200, where the headers are."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8, 64))):
        end = len(data) if rng.random() < 0.6 else min(200, len(data))
        place = rng.randrange(end)
        result[place] = rng.choice((0, 255, 127, result[place] ^ 1 << rng.randrange(8)))
    return bytes(result)


def blank(data: bytes, rng: Random) -> bytes:
    """A run of zeros, as a disk leaves it."""
    start = rng.randrange(len(data))
    end = min(len(data), start + rng.choice((4, 64, 512, 4096)))
    return data[:start] + bytes(end - start) + data[end:]


def swap(data: bytes, rng: Random) -> bytes:
    """Two chunks in each other's place."""
    parts = pieces(data)
    a, b = rng.sample(range(len(parts)), 2)
    parts[a], parts[b] = parts[b], parts[a]
    return b"".join(parts)


def drop_or_repeat(data: bytes, rng: Random) -> bytes:
    """A chunk left out, or there twice."""
    parts = pieces(data)
    place = rng.randrange(len(parts))
    parts[place] = rng.choice((b"", parts[place] * 2))
    return b"".join(parts)


def splice(data: bytes, rng: Random) -> bytes:
    """The head of the file, and the tail of another of the same format or any."""
    other = rng.choice(list(samples().values())).data
    return data[: rng.randrange(len(data))] + other[rng.randrange(len(other)) :]


def more(data: bytes, rng: Random) -> bytes:
    """Something behind the end."""
    return data + rng.randbytes(rng.choice((1, 100, 5000)))


def nothing(data: bytes, rng: Random) -> bytes:
    """No damage, as the name is wrong, or an empty file."""
    return b"" if rng.random() < 0.1 else data


def claim(data: bytes, rng: Random) -> bytes:
    """A header that claims a larger width or height, with the right checksum."""
    sizes = 100, 1000, 2**14 - 1, 2**15, 2**16 - 1, 2**20, 2**31 - 1, WIDTH * 2
    wider, higher = (rng.choice(sizes), HEIGHT), (WIDTH, rng.choice(sizes))
    width, height = rng.choice((wider, higher))
    if rng.random() < 0.2:
        width, height = rng.choice(sizes), rng.choice(sizes)
    for starts, rewrite in CLAIMS.items():
        if data.startswith(starts):
            return rewrite(data, width, height)
    return claim_webp(data, width, height)


def claim_png(data: bytes, width: int, height: int) -> bytes:
    """A PNG with another size in its header."""
    header = struct.pack(">II", width, height) + data[24:29]
    checksum = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    return data[:16] + header + checksum + data[33:]


def claim_pnm(data: bytes, width: int, height: int) -> bytes:
    """A PNM or PFM with another size in its header."""
    return data.replace(b"%d %d" % (WIDTH, HEIGHT), b"%d %d" % (width, height), 1)


def claim_hdr(data: bytes, width: int, height: int) -> bytes:
    """A Radiance picture with another size in its header."""
    return data.replace(
        b"-Y %d +X %d" % (HEIGHT, WIDTH), b"-Y %d +X %d" % (height, width)
    )


def claim_tiff(data: bytes, width: int, height: int) -> bytes:
    """A TIFF with another size in its tags, however wide those are."""
    order = "<" if data.startswith(b"II") else ">"
    tags = (256, width), (257, height)
    for (tag, size), (kind, code) in product(tags, ((3, "H"), (4, "I"))):  # SHORT, LONG
        place = data.find(struct.pack(f"{order}HH", tag, kind))
        place += 12 if data[2:3] in b"+" else 8
        if place > 20:
            limit = 256 ** struct.calcsize(code) - 1
            value = struct.pack(f"{order}{code}", min(size, limit))
            data = data[:place] + value + data[place + len(value) :]
    return data


def claim_webp(data: bytes, width: int, height: int) -> bytes:
    """A lossless WebP with another size in its header; other formats by their bytes."""
    place = data.find(b"VP8L")
    if place < 0:
        return claim_anywhere(data, width, height)
    bits = int.from_bytes(data[place + 9 : place + 13], "little") >> 28 << 28
    bits |= min(width, 2**14) - 1 | min(height, 2**14) - 1 << 14
    return data[: place + 9] + struct.pack("<I", bits) + data[place + 13 :]


def claim_anywhere(data: bytes, width: int, height: int) -> bytes:
    """Another size wherever width and height stand side by side."""
    for code in ("<I", ">I", "<H", ">H"):
        limit = 256 ** struct.calcsize(code) - 1
        new = [struct.pack(code, min(size, limit)) for size in (width, height)]
        old = [struct.pack(code, size) for size in (WIDTH, HEIGHT)]
        data = data.replace(b"".join(old), b"".join(new))
        data = data.replace(b"".join(old[::-1]), b"".join(new[::-1]))
    return data


CLAIMS: dict[tuple[bytes, ...], Callable[[bytes, int, int], bytes]] = {
    (b"\x89PNG",): claim_png,
    (b"P1", b"P2", b"P3", b"P5", b"P6", b"PF"): claim_pnm,
    (b"#?",): claim_hdr,
    (b"II", b"MM"): claim_tiff,
}
DAMAGES: dict[str, Callable[[bytes, Random], bytes]] = {
    damage.__name__: damage
    for damage in (cut, flip, blank, swap, drop_or_repeat, splice, more, nothing, claim)
}
# Damage after which nobody can know that the picture was another: contents of the right
# form.
CONTENTS = {"flip", "blank", "swap", "drop_or_repeat", "splice", "structure"}


def pieces(data: bytes) -> list[bytes]:
    """The chunks, segments or boxes of a file; 16 equal parts where it has none."""
    starts = [0]
    if data.startswith(b"\x89PNG"):
        place = 8
        while place < len(data):
            starts.append(place)
            place += 12 + int.from_bytes(data[place : place + 4], "big")
    elif data.startswith(b"RIFF"):
        place = 12
        while place < len(data):
            starts.append(place)
            place += (
                8 + (int.from_bytes(data[place + 4 : place + 8], "little") + 1) // 2 * 2
            )
    elif data.startswith(b"\xff\xd8"):
        place = 2
        while data[place] == 0xFF and data[place + 1] != 0xDA:
            starts.append(place)
            place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        starts.append(place)
    elif data[4:8] in (b"ftyp", b"jP  "):
        place = 0
        while place < len(data):
            starts.append(place)
            place += int.from_bytes(data[place : place + 4], "big") or len(data)
    if len(starts) < 3:
        starts = list(range(0, len(data), max(1, len(data) // 16)))
    return [data[a:b] for a, b in zip(starts, [*starts[1:], len(data)], strict=True)]


def damaged(seed: int, number: int, mutator: str) -> tuple[Sample, str, str, bytes]:
    """The file of this number: its sample, the damage's name, its suffix and bytes."""
    rng = random.Random(f"{seed} {number}")
    if mutator == "structure":
        return restructured(rng)
    sample = rng.choice(list(samples().values()))
    damage = rng.choice(list(DAMAGES))
    suffix = Path(sample.name).suffix
    if damage == "nothing" or rng.random() < 0.05:
        suffix = rng.choice((".png", ".jpg", ".tif", ".txt", ""))
    data = DAMAGES[damage](sample.data, rng)
    if damage != "nothing" and rng.random() < 0.1:
        data = rng.choice((flip, cut))(data or b"x", rng)
        damage = "several"
    return sample, damage, suffix, data


# --- Structure ------------------------------------------------------------------------

SMALL_NUMBERS = 0, 1, 2, 3, 7, 8, 16, 255, 256, 65535
HUGE_NUMBERS = 2**24, 2**31 - 1, 2**31, 2**32 - 1


@cache
def bomb() -> bytes:
    """A name as a profile or a text has it, and 100 MB of zeros in 100 kB."""
    return b"name\0\0" + zlib.compress(bytes(100 << 20), 9)


def made_chunk(rng: Random, chunks: list[bytes]) -> bytes:
    """A chunk of a PNG that is right in itself, but may not fit."""
    kind = rng.choice(
        (
            b"tRNS",
            b"PLTE",
            b"iCCP",
            b"zTXt",
            b"eXIf",
            b"acTL",
            b"fcTL",
            b"fdAT",
            b"IDAT",
        )
    )
    if kind in (b"iCCP", b"zTXt") and rng.random() < 0.3:
        return chunk(kind, bomb())
    if kind == b"IDAT":
        body = rng.choice((b"", zlib.compress(bytes(9999)), rng.randbytes(50)))
        return chunk(kind, body)
    return chunk(kind, rng.randbytes(rng.choice((0, 1, 2, 3, 6, 8, 26, 256, 768))))


def restructure_png(data: bytes, rng: Random) -> bytes:
    """Chunks added, dropped, moved, with a wrong checksum, or another header."""
    start, *chunks = pieces(data)
    place = rng.randrange(len(chunks))
    action = rng.randrange(6)
    if action == 0:
        chunks.insert(place, made_chunk(rng, chunks))
    elif action == 1:
        rng.shuffle(chunks)
    elif action == 2:
        del chunks[place]
    elif action == 3:
        chunks[place] = chunks[place][:-4] + rng.randbytes(4)
    elif action == 4:
        chunks.insert(place, rng.choice(chunks))
    else:
        header = bytearray(chunks[0][8:-4])
        header[8] = rng.choice((1, 2, 4, 8, 16, 3))
        header[9] = rng.choice((0, 2, 3, 4, 6, 1))
        header[12] = rng.choice((0, 1, 2))
        chunks[0] = chunk(b"IHDR", bytes(header))
    return start + b"".join(chunks)


def restructure_jpeg(data: bytes, rng: Random) -> bytes:
    """Segments added, dropped, moved or changed; restarts dropped or exchanged."""
    start, *segments = pieces(data)
    place = rng.randrange(len(segments))
    action = rng.randrange(6)
    if action == 0:  # restarts that are not there, or at other places
        interval = struct.pack(">H", rng.choice(SMALL_NUMBERS))
        segments.insert(place, b"\xff\xdd\0\x04" + interval)
    elif action == 1:
        segments.insert(place, rng.choice(segments))
    elif action == 2:
        del segments[place]
    elif action == 3:
        changed = bytearray(segments[place])
        changed[rng.randrange(len(changed))] = rng.choice((0, 1, 4, 17, 34, 255))
        segments[place] = bytes(changed)
    elif action == 4:
        body = b"ICC_PROFILE\0\x01\x01" + rng.choice(
            (b"", bytes(128), rng.randbytes(999))
        )
        segments.insert(0, b"\xff\xe2" + struct.pack(">H", len(body) + 2) + body)
    else:
        marks = [bytes([255, 208 + number]) for number in range(8)]
        old, new = rng.choice(marks), rng.choice([*marks, b"", b"\xff\xd9"])
        segments[-1] = segments[-1].replace(old, new, rng.choice((1, 9)))
    return start + b"".join(segments)


def restructure_tiff(data: bytes, rng: Random) -> bytes:
    """Entries of the first directory with other kinds, counts, values or offsets."""
    order = "<" if data.startswith(b"II") else ">"
    if data[2:3] in b"+\0":  # a big one: its own parts are wider
        return flip(data, rng)
    result = bytearray(data)
    (start,) = struct.unpack_from(f"{order}I", data, 4)
    (count,) = struct.unpack_from(f"{order}H", data, start)
    for _ in range(rng.choice((1, 1, 2, 3))):
        entry = start + 2 + 12 * rng.randrange(count)
        field = rng.choice(("tag", "kind", "count", "value", "value", "value", "next"))
        number = rng.choice((*SMALL_NUMBERS, *HUGE_NUMBERS, start, len(data) - 1))
        if field == "tag":
            known = 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 320, 322, 338, 339
            struct.pack_into(f"{order}H", result, entry, rng.choice(known))
        elif field == "kind":
            struct.pack_into(f"{order}H", result, entry + 2, rng.randrange(19))
        elif field == "count":
            struct.pack_into(f"{order}I", result, entry + 4, number)
        elif field == "value" and rng.random() < 0.5:
            struct.pack_into(f"{order}H", result, entry + 8, number & 65535)
        elif field == "value":
            struct.pack_into(f"{order}I", result, entry + 8, number)
        else:  # the directory that follows, which may be this one again
            struct.pack_into(f"{order}I", result, start + 2 + 12 * count, number)
    return bytes(result)


STRUCTURES: dict[bytes, Callable[[bytes, Random], bytes]] = {
    b"\x89PNG": restructure_png,
    b"\xff\xd8": restructure_jpeg,
    b"II": restructure_tiff,
    b"MM": restructure_tiff,
}


def restructured(rng: Random) -> tuple[Sample, str, str, bytes]:
    """A PNG, JPEG or TIFF whose parts are right in themselves, but do not fit."""
    starts = tuple(STRUCTURES)
    known = [s for s in samples().values() if s.data.startswith(starts)]
    sample = rng.choice(known)
    data = sample.data
    for start, change in STRUCTURES.items():
        if sample.data.startswith(start):
            data = change(data, rng)
    return sample, "structure", Path(sample.name).suffix, data


# --- Verdict --------------------------------------------------------------------------


def is_right(image: Picture, sample: Sample) -> bool:
    """Whether this is what the sample shows."""
    if image.shape != sample.expected.shape or image.dtype != sample.expected.dtype:
        return False
    with np.errstate(invalid="ignore"):
        return bool(
            np.abs(image.astype(float) - sample.expected).max() <= sample.tolerance
        )


def written_to(path: Path) -> bool:
    """Whether every pixel was decoded: whatever fresh memory holds, nothing changes."""
    images = []
    for filler in (1, 0x5A) if sys.platform == "linux" else ():
        ctypes.CDLL(None).mallopt(-6, filler)  # M_PERTURB
        images.append(image_diff.read_image(path).pixels)
    if images:
        ctypes.CDLL(None).mallopt(-6, 0)
    return all(image.tobytes() == images[0].tobytes() for image in images)


def comparison_fault(path: Path, original: Path) -> str | None:
    """What is told of two files that cannot be compared; of documents the first pages.

    Raises AssertionError where anything is told that should not be.
    """
    fault: str | None = None
    notes: tuple[str, ...] = ()
    err = io.StringIO()
    with contextlib.redirect_stderr(err):
        try:
            comparison = image_diff.compare_files(path, original)
        except Exception as problem:
            fault = image_diff.fault_of(problem)
            if fault is None:
                raise
        else:
            notes = comparison.notes
            image_diff.to_json(image_diff.as_record(comparison))
    told = [*err.getvalue().splitlines(), *(fault or "").splitlines()[1:]]
    known = (
        image_diff.OTHER_ALPHA,
        "first pages compared; ",
        f"{path}: ",
        f"{original}: ",
    )
    told += [note for note in notes if not note.startswith(known)]
    assert not told, told
    return fault


def verdict(path: Path, original: Path, sample: Sample, damage: str) -> str:
    """One of KNOWN, or what is wrong."""
    fault = comparison_fault(path, original)
    if fault is not None and not fault.startswith("the first and the second "):
        return "refused"
    try:
        image = image_diff.read_image(path).pixels
    except image_diff.ImageDiffError:
        return "refused once, and read once"
    if is_right(image, sample):
        return "right"
    if not written_to(path):
        return "pixels that were never written to"
    foreign = damage == "structure" or (
        damage == "splice" and not path.read_bytes().startswith(b"\x89PNG")
    )
    # Of JPEG 2000 every part is optional, and what is not there is black; AVIF is
    # scaled to it; and lossy WebP goes on with what its last bytes give.
    optional = damage == "claim" and sample.name.endswith(
        (".jp2", ".j2k", ".avif", ".webp")
    )
    if damage not in CONTENTS and damage != "several" and not optional:
        return f"another picture was accepted after {damage}"
    if sample.data.startswith(b"\x89PNG") and not foreign and not is_any_sample(image):
        return f"another PNG was accepted after {damage}"
    return "other"


def is_any_sample(image: Picture) -> bool:
    """Whether this is what another sample shows."""
    return any(is_right(image, sample) for sample in samples().values())


# --- Processes ------------------------------------------------------------------------


def work(seed: int, start: int, stop: int, keep: Path, mutator: str) -> None:
    """Judge files, telling one line before each and one after it."""
    with TemporaryDirectory() as folder:
        originals = {}
        for sample in samples().values():
            originals[sample.name] = Path(folder, sample.name)
            originals[sample.name].write_bytes(sample.data)
        first = next(iter(originals.values()))
        with contextlib.redirect_stdout(io.StringIO()):
            image_diff.main(
                ["-f", str(first), "-s", str(first), "--no-window", "--json"]
            )
        taken = (
            int(Path("/proc/self/statm").read_text().split()[0])
            * resource.getpagesize()
        )
        resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, taken + MEMORY))
        for number in range(start, stop):
            sample, damage, suffix, data = damaged(seed, number, mutator)
            path = Path(folder, f"damaged{suffix}")
            path.write_bytes(data)
            print("begin", number, flush=True)
            began, used = time.monotonic(), time.process_time()
            try:
                text = verdict(path, originals[sample.name], sample, damage)
            except BaseException as problem:
                text = f"{type(problem).__name__}: {problem}".replace("\n", " ")
            seconds = time.process_time() - used, time.monotonic() - began
            if text not in KNOWN:
                (keep / f"{seed}_{number}{suffix}").write_bytes(data)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            print(
                "end",
                json.dumps([number, sample.name, damage, text, seconds, peak]),
                flush=True,
            )
            path.unlink()


@dataclass
class Report:
    """What came of a run."""

    # By format and verdict.
    verdicts: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    # Seconds of processors, of the clock, which file.
    longest: tuple[float, float, str] = (0.0, 0.0, "")
    peak: tuple[int, str] = 0, ""  # kilobytes, the first file that took so much

    def count(self, number: int, name: str, damage: str, text: str) -> None:
        """Count a verdict."""
        kind = Path(name).suffix.removeprefix(".")
        self.verdicts[kind, text if text in KNOWN else "failed"] += 1
        if text not in KNOWN:
            self.failures.append(f"{number}: {name}, {damage}: {text}")


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """What a process has used so far."""
    with contextlib.suppress(OSError):
        fields = (
            Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        )
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def lines_of(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """The lines that a process prints, until it ends, or hangs and is killed."""
    assert process.stdout is not None
    buffer, since, used = b"", time.monotonic(), 0.0
    while True:
        if select.select([process.stdout], [], [], 1)[0]:
            data = os.read(process.stdout.fileno(), 65536)
            *lines, buffer = (buffer + data).split(b"\n")
            yield from (line.decode() for line in lines)
            if not data:
                return
            since, used = time.monotonic(), processor_seconds(process)
        elif (
            processor_seconds(process) - used > PATIENCE
            or time.monotonic() - since > 90
        ):
            process.kill()


def fuzz(
    files: int, seed: int, keep: Path, start: int = 0, mutator: str = "chance"
) -> Report:
    """Judge so many files, in one process as long as it lives."""
    report, number, stop = Report(), start, start + files
    keep.mkdir(parents=True, exist_ok=True)
    while number < stop:
        command = [
            sys.executable,
            __file__,
            "--work",
            str(seed),
            str(number),
            str(stop),
            str(keep),
            mutator,
        ]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            begun = False
            for line in lines_of(process):
                kind, _, rest = line.partition(" ")
                begun = kind == "begin"
                if begun:
                    number = int(rest)
                    continue
                number, name, damage, text, seconds, peak = json.loads(rest)
                report.count(number, name, damage, text)
                which = f"file {number}, {name}, {damage}"
                report.longest = max(report.longest, (*seconds, which))
                if peak > report.peak[0]:
                    report.peak = peak, which
        if number + 1 >= stop and not begun:
            break
        if not begun:
            raise RuntimeError(
                f"the process ended with {process.returncode} between two files"
            )
        sample, damage, suffix, data = damaged(seed, number, mutator)
        (keep / f"{seed}_{number}{suffix}").write_bytes(data)
        what = (
            "hung" if process.returncode == -9 else f"ended with {process.returncode}"
        )
        report.count(number, sample.name, damage, f"the process {what}")
        number += 1
    return report


def main() -> int:
    """Run, print a table, and return 1 where a file failed."""
    if sys.argv[1:2] == ["--work"]:
        seed, start, stop = map(int, sys.argv[2:5])
        work(seed, start, stop, Path(sys.argv[5]), sys.argv[6])
        return 0
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first file")
    parser.add_argument(
        "--keep",
        type=Path,
        default=checkout.ROOT / "failed",
        help="where failed files go",
    )
    parser.add_argument("--mutator", choices=MUTATORS, default="chance")
    chosen = parser.parse_args()
    report = fuzz(chosen.files, chosen.seed, chosen.keep, chosen.start, chosen.mutator)
    print(
        "| format | files | right | refused | other | failed |\n"
        "|---|---|---|---|---|---|"
    )
    for kind in sorted({kind for kind, _ in report.verdicts}):
        counts = [report.verdicts[kind, text] for text in (*KNOWN, "failed")]
        print(f"| {kind} | {sum(counts)} | {' | '.join(map(str, counts))} |")
    used, clock, which = report.longest
    print(f"longest: {used:.2f} s of processors, {clock:.2f} s on the clock, {which}")
    print(f"peak memory: {report.peak[0] / 1000:.0f} MB, {report.peak[1]}")
    print(*report.failures, sep="\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
