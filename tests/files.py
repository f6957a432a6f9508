"""Files of the tests: the program, its sample pairs, and what a comparison saves."""

from pathlib import Path

import image_diff

SCRIPT = Path(image_diff.__file__)
ROOT = SCRIPT.parent
PAIRS = [
    (ROOT / f"images/original_{number}.png", ROOT / f"images/modified_{number}.png")
    for number in ("01", "02", "03")
]
SAVED = {  # of a pair given alone
    "original.png",
    "modified.png",
    "first.png",
    "second.png",
    "diff.png",
    "thresh.png",
    "result.json",
    "index.html",
}


def stored(folder: Path, name: str, data: bytes) -> Path:
    """The path of a new file."""
    path = folder / name
    path.write_bytes(data)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    """The files of a folder by name; there is nothing else in it."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}
