"""Draw the README's row of pictures: what the program shows for the second sample pair.

python tests/tools/draw_readme.py
"""

import subprocess
import sys
import tempfile

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

import checkout
import image_diff

ROOT = checkout.ROOT

WIDTH, GAP, CAPTION = 440, 16, 40


def main() -> int:
    """Write images/result.png."""
    first, second = ROOT / "images/original_02.png", ROOT / "images/modified_02.png"
    comparison = image_diff.compare_files(first, second)
    pictures = {
        title: image_diff.draw(comparison, title) for title in image_diff.TITLES
    }
    font = ImageFont.load_default(20)
    panels = []
    for title, picture in pictures.items():
        height = round(picture.shape[0] * WIDTH / picture.shape[1])
        small = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
        rgb = cv2.cvtColor(
            small, cv2.COLOR_BGR2RGB if small.ndim == 3 else cv2.COLOR_GRAY2RGB
        )
        panel = Image.new("RGB", (WIDTH + 2, height + CAPTION + 2), "white")
        panel.paste("#8c959f", (0, CAPTION, WIDTH + 2, height + CAPTION + 2))
        panel.paste(Image.fromarray(rgb.astype(np.uint8)), (1, CAPTION + 1))
        ImageDraw.Draw(panel).text(
            (2, CAPTION // 2), title, "#24292f", font, anchor="lm"
        )
        panels.append(panel)
    width = len(panels) * (WIDTH + 2 + GAP) - GAP
    row = Image.new("RGB", (width, panels[0].height), "white")
    for index, panel in enumerate(panels):
        row.paste(panel, (index * (WIDTH + 2 + GAP), 0))
    row.quantize(256, dither=Image.Dither.NONE).save(
        ROOT / "images" / "result.png", optimize=True
    )
    draw_report()
    return 0


def draw_report() -> None:
    """Write images/report.png: the report of the third sample pair."""
    with tempfile.TemporaryDirectory() as folder:
        script = [
            sys.executable,
            str(ROOT / "image_diff.py"),
            "--no-window",
            "-o",
            folder,
        ]
        pair = ["-f", "images/original_03.png", "-s", "images/modified_03.png"]
        subprocess.run([*script, *pair], cwd=ROOT, check=True)
        window = "--window-size=1280,700"
        flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            window,
        ]
        shot = f"--screenshot={ROOT / 'images/report.png'}"
        subprocess.run(
            ["chromium", *flags, shot, f"file://{folder}/index.html"], check=True
        )
    picture = Image.open(ROOT / "images" / "report.png").convert("RGB")
    picture.quantize(256).save(ROOT / "images" / "report.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
