"""Whether every picture of a folder is read as Pillow shows it.

    git clone --depth 1 https://github.com/python-pillow/Pillow
    python tests/tools/viewer.py Pillow/Tests/images

Pillow's own pictures of its tests, with `exif_transpose`, the profile to sRGB, and over
white. Prints the files whose mean is off by more than `NEAR` levels, and those of which
a second reading gives something else. The memory that is freed is filled between both,
so that what is never written to is seen.
"""

import argparse
import contextlib
import ctypes
import io
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

import checkout
import image_diff

NEAR = 4.0  # levels of 255
FILL = -6  # an option of mallopt: what memory is filled with
SRGB = ImageCms.createProfile("sRGB")

Pixels = NDArray[np.float64]  # (H, W, 3) RGB, in levels, or as stored if not of 8 bits


def in_srgb(picture: Any, profile: bytes | None) -> Any:
    """The colours of a Pillow image in sRGB, as far as its profile is sound."""
    if profile:
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            return ImageCms.profileToProfile(picture, own, SRGB, outputMode="RGB")
    return picture.convert("RGB")


def by_pillow(path: Path) -> tuple[Pixels, str]:
    """What Pillow alone shows, and the mode; raises what Pillow does."""
    opened = Image.open(path)
    opened.load()
    picture: Any = ImageOps.exif_transpose(opened)
    mode = picture.mode
    if mode in ("I", "F") or mode.startswith("I;16"):
        return np.dstack([np.asarray(picture, float)] * 3), mode
    profile = picture.info.get("icc_profile")
    if mode == "La":
        picture = picture.convert("LA")
    plain = picture
    if mode not in ("L", "RGB", "CMYK"):
        plain = picture.convert("L" if mode in ("1", "LA", "La") else "RGB")
    shown = np.asarray(in_srgb(plain, profile), float)
    if picture.has_transparency_data:
        alpha = np.asarray(picture.convert("RGBA"), float)[..., 3:] / 255
        shown = shown * alpha + 255 * (1 - alpha)
    return shown, mode


def by_us(path: Path, mode: str) -> Pixels:
    """What we read, on the scale of what Pillow gives; raises ImageDiffError."""
    pixels = image_diff.read_image(path).pixels
    shown: Pixels = pixels[..., ::-1].astype(float)
    is_stored = mode in ("I", "F") or mode.startswith("I;16")
    if pixels.dtype == np.uint16 and not is_stored:
        return shown / 257
    if pixels.dtype == np.float32 and not is_stored:
        return shown * 255
    return shown


def verdict(path: Path) -> str:
    """What comes of a file: who reads it, and where both do, whether they agree."""
    mode, expected = "", None
    with contextlib.suppress(Exception):  # Pillow raises what it likes
        expected, mode = by_pillow(path)
    try:
        ours = by_us(path, mode)
        ctypes.CDLL(None).mallopt(FILL, 0x5A)
        again = by_us(path, mode)
    except image_diff.ImageDiffError:
        return "neither" if expected is None else "Pillow alone"
    finally:
        ctypes.CDLL(None).mallopt(FILL, 0)
    if not np.array_equal(ours, again):
        return f"{path.name} is another picture each time"
    if expected is None:
        return "we alone"
    if ours.shape != expected.shape:
        return f"{path.name} is {ours.shape}, for Pillow {expected.shape}"
    off = np.abs(ours - expected).mean() * (255 / 65535 if "I" in mode[:1] else 1)
    return (
        "agree" if off <= NEAR else f"{path.name} is off by {off:.1f} levels ({mode})"
    )


def main() -> int:
    """Read a folder both ways, print what came of it, and return 1 if any differ."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    samples = checkout.ROOT / "images"
    parser.add_argument("folder", type=Path, nargs="?", default=samples)
    warnings.simplefilter("ignore")
    files = [path for path in parser.parse_args().folder.rglob("*") if path.is_file()]
    verdicts = Counter(verdict(path) for path in sorted(files))
    for words, count in sorted(verdicts.items()):
        print(f"{count:5} {words}")
    return int(any(path.name in words for words in verdicts for path in files))


if __name__ == "__main__":
    raise SystemExit(main())
