"""A small picture in every format that OpenCV's wheel reads, and what it must show.

What is expected does not come from OpenCV: it is the drawing itself where the format
keeps it, and otherwise what Pillow decodes.
"""

import io
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, features

Picture = NDArray[Any]
HEIGHT, WIDTH = 48, 68


@dataclass(frozen=True, eq=False)
class Sample:
    """A file: its bytes, the (H, W, 3) BGR picture it shows, and its tolerance."""

    name: str  # with the suffix
    data: bytes
    expected: Picture
    tolerance: float = 0.0
    pages: int = 1


def drawing() -> Picture:
    """Blobs of colour, (HEIGHT, WIDTH, 3) uint8 RGB."""
    small = np.random.default_rng(7).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


RGB = drawing()
GRAY: Picture = RGB[..., 1].copy()
DEEP: Picture = RGB.astype(np.uint16) * 256 + RGB[::-1]  # every low byte is used
ALPHA: Picture = RGB[..., 2].copy()
ALPHA[:, :20], ALPHA[:, 40:] = 0, 255
REAL: Picture = (DEEP / np.float32(4096)).astype(np.float32)


def bgr(rgb: Picture) -> Picture:
    """(H, W) gray or (H, W, 3) RGB to (H, W, 3) BGR."""
    return np.dstack([rgb] * 3) if rgb.ndim == 2 else rgb[..., ::-1]


def over_white(rgb: Picture, alpha: Picture) -> Picture:
    """What the eye sees of a transparent picture, (H, W, 3) BGR."""
    white = np.iinfo(rgb.dtype).max
    weight = alpha[..., None] / white
    return np.rint(bgr(rgb) * weight + white * (1 - weight)).astype(rgb.dtype)


def pillow(image: Image.Image | Picture, kind: str, **options: Any) -> bytes:
    """The bytes of a file that Pillow writes."""
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


def opencv(picture: Picture, suffix: str, *flags: int) -> bytes:
    """The bytes of a file that OpenCV writes of an RGB or gray picture."""
    picture = picture[..., ::-1] if picture.ndim == 3 else picture
    return cv2.imencode(suffix, np.ascontiguousarray(picture), flags)[1].tobytes()


def tiff(picture: Picture, **options: Any) -> bytes:
    """The bytes of a file that tifffile writes."""
    file = io.BytesIO()
    tifffile.imwrite(file, picture, **options)
    return file.getvalue()


def seen_by_pillow(data: bytes) -> Picture:
    """The first page as Pillow decodes it, (H, W, 3) BGR."""
    return bgr(np.asarray(Image.open(io.BytesIO(data)).convert("RGB")))


def chunk(kind: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return (
        struct.pack(">I", len(body))
        + kind
        + body
        + struct.pack(">I", zlib.crc32(kind + body))
    )


WHOLE = ((0, 0, 1, 1),)  # x and y of the first pixel, and the steps right and down
ADAM7 = (
    *((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4)),
    *((0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)),
)


def png(
    picture: Picture,
    bits: int,
    interlaced: bool = False,
    kind: int = 0,
    rest: bytes = b"",
) -> bytes:
    """A PNG by the standard's words of (H, W) or (H, W, channels) samples.

    kind: the colour type, 0 gray, 2 colour, 3 palette. rest: the chunks before the
    pixels.
    """
    raw = bytearray()
    for x, y, right, down in ADAM7 if interlaced else WHOLE:
        for row in picture[y::down, x::right]:
            raw.append(0)  # no filter
            if bits == 16:
                raw += row.astype(">u2").tobytes()
            else:
                places = np.unpackbits(row.astype(np.uint8).reshape(-1, 1), axis=1)[
                    :, 8 - bits :
                ]
                raw += np.packbits(places.ravel()).tobytes()
    header = struct.pack(
        ">IIBBBBB", picture.shape[1], picture.shape[0], bits, kind, 0, 0, interlaced
    )
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rest
    return start + chunk(b"IDAT", zlib.compress(bytes(raw))) + chunk(b"IEND", b"")


def pngs() -> Iterator[Sample]:
    """PNG of all depths, gray, palette, alpha, interlaced, turned, animated."""
    for bits in (1, 2, 4, 8, 16):
        levels = DEEP[..., 1] >> (16 - bits)
        for interlaced in (False, True):
            name = f"gray{bits}{'_interlaced' * interlaced}.png"
            # OpenCV gives 16 bits as they are, and fewer as 8.
            shown = (
                levels
                if bits == 16
                else (levels * (255 // (2**bits - 1))).astype(np.uint8)
            )
            yield Sample(name, png(levels, bits, interlaced), bgr(shown))
    for bits in (1, 2, 4, 8):
        indexes = GRAY >> (8 - bits)
        palette = np.random.default_rng(8).integers(
            0, 256, (2**bits, 3), dtype=np.uint8
        )
        rest = chunk(b"PLTE", palette.tobytes())
        yield Sample(
            f"palette{bits}.png",
            png(indexes, bits, False, 3, rest),
            bgr(palette[indexes]),
        )
        faint = np.full(2**bits, 128, np.uint8)
        seen = over_white(palette[indexes], faint[indexes])
        data = png(indexes, bits, True, 3, rest + chunk(b"tRNS", faint.tobytes()))
        yield Sample(f"palette{bits}_transparent.png", data, seen)
    yield Sample("colour8.png", pillow(RGB, "PNG"), bgr(RGB))
    yield Sample("colour8_interlaced.png", png(RGB, 8, True, 2), bgr(RGB))
    yield Sample("colour16.png", png(DEEP, 16, False, 2), bgr(DEEP))
    yield Sample("colour16_interlaced.png", png(DEEP, 16, True, 2), bgr(DEEP))
    rgba = np.dstack([RGB, ALPHA])
    yield Sample("alpha8.png", pillow(rgba, "PNG"), over_white(RGB, ALPHA))
    deep_alpha = ALPHA.astype(np.uint16) * 257
    data = png(np.dstack([DEEP, deep_alpha]), 16, False, 6)
    yield Sample("alpha16.png", data, over_white(DEEP, deep_alpha), 1)  # float32
    data = png(np.dstack([GRAY, ALPHA]), 8, False, 4)
    yield Sample("gray_alpha8.png", data, over_white(GRAY, ALPHA))
    image = Image.fromarray(RGB)
    for orientation in range(1, 9):
        data = pillow(image, "PNG", exif=exif(orientation))
        yield Sample(f"turned{orientation}.png", data, UPRIGHT[orientation](bgr(RGB)))
    data = pillow(image, "PNG", save_all=True, append_images=others(2))
    yield Sample("animated.png", data, bgr(RGB), pages=3)


def exif(orientation: int) -> Image.Exif:
    """EXIF that tells an orientation alone."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


UPRIGHT: dict[
    int, Callable[[Picture], Picture]
] = {  # how a viewer turns each EXIF orientation
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda stored: np.rot90(stored),
}


def others(count: int) -> list[Image.Image]:
    """Further pages."""
    return [Image.fromarray(np.roll(RGB, 9 * n, axis=1)) for n in range(1, count + 1)]


def jpegs() -> Iterator[Sample]:
    """JPEG baseline, progressive, gray, CMYK, RGB, with restarts, turned."""
    image = Image.fromarray(RGB)
    flavours: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "baseline": (image, {"quality": 90}),
        "full_chroma": (image, {"quality": 90, "subsampling": 0}),
        "progressive": (image, {"quality": 90, "progressive": True}),
        "gray": (Image.fromarray(GRAY), {"quality": 90}),
        "gray_progressive": (
            Image.fromarray(GRAY),
            {"quality": 90, "progressive": True},
        ),
        "rgb": (image, {"quality": 90, "keep_rgb": True}),
        "cmyk": (image.convert("CMYK"), {"quality": 95}),
    }
    for name, (picture, options) in flavours.items():
        data = pillow(picture, "JPEG", **options)
        # Decoders smooth halved chroma in their own ways; CMYK has no colours of its
        # own.
        yield Sample(f"{name}.jpg", data, seen_by_pillow(data), 3)
    flags = cv2.IMWRITE_JPEG_RST_INTERVAL, 2
    data = opencv(RGB, ".jpg", *flags)
    yield Sample("restarts.jpg", data, seen_by_pillow(data), 3)
    stored = seen_by_pillow(pillow(image, "JPEG", quality=90))
    for orientation in range(1, 9):
        data = pillow(image, "JPEG", quality=90, exif=exif(orientation))
        yield Sample(f"turned{orientation}.jpg", data, UPRIGHT[orientation](stored), 3)


def webps() -> Iterator[Sample]:
    """WebP lossy, lossless, with alpha, turned, animated."""
    image, rgba = Image.fromarray(RGB), Image.fromarray(np.dstack([RGB, ALPHA]))
    data = pillow(image, "WEBP", quality=90)
    yield Sample("lossy.webp", data, seen_by_pillow(data), 3)
    yield Sample("lossless.webp", pillow(image, "WEBP", lossless=True), bgr(RGB))
    data = pillow(rgba, "WEBP", lossless=True)
    yield Sample("alpha_lossless.webp", data, over_white(RGB, ALPHA))
    data = pillow(rgba, "WEBP", quality=90)
    seen = np.asarray(Image.open(io.BytesIO(data)))
    yield Sample("alpha_lossy.webp", data, over_white(seen[..., :3], seen[..., 3]), 3)
    for orientation in range(1, 9):
        data = pillow(image, "WEBP", lossless=True, exif=exif(orientation))
        yield Sample(f"turned{orientation}.webp", data, UPRIGHT[orientation](bgr(RGB)))
    data = pillow(image, "WEBP", lossless=True, save_all=True, append_images=others(3))
    yield Sample("animated.webp", data, bgr(RGB), pages=4)


def tiffs() -> Iterator[Sample]:
    """TIFF of all depths, tiled, planar, compressed, with pages, turned."""
    image = Image.fromarray(RGB)
    yield Sample("colour8.tif", pillow(image, "TIFF"), bgr(RGB))
    for name in ("lzw", "adobe_deflate", "packbits"):
        yield Sample(
            f"{name}.tif", pillow(image, "TIFF", compression=f"tiff_{name}"), bgr(RGB)
        )
    yield Sample("gray8.tif", tiff(GRAY, rowsperstrip=10), bgr(GRAY))
    yield Sample(
        "white_is_0.tif", tiff(GRAY, photometric="miniswhite"), bgr(255 - GRAY)
    )
    bits = Image.fromarray(GRAY).convert("1")
    shown = bgr(np.asarray(bits) * np.uint8(255))
    yield Sample("bilevel.tif", pillow(bits, "TIFF"), shown)
    yield Sample("fax.tif", pillow(bits, "TIFF", compression="group4"), shown)
    palette = Image.fromarray(RGB).quantize(64)
    data = pillow(palette, "TIFF")
    yield Sample("palette.tif", data, seen_by_pillow(data), 1)
    rgba = np.dstack([RGB, ALPHA])
    data = tiff(rgba, photometric="rgb", extrasamples=["unassalpha"])
    seen = over_white(RGB, ALPHA)
    yield Sample("alpha.tif", data, seen, 2)  # libtiff rounds once more
    yield Sample("tiled.tif", tiff(RGB, photometric="rgb", tile=(32, 32)), bgr(RGB))
    planar = np.ascontiguousarray(RGB.transpose(2, 0, 1))
    data = tiff(planar, photometric="rgb", planarconfig="separate")
    yield Sample("planar.tif", data, bgr(RGB))
    for order, kind in (("<", "little"), (">", "big")):
        data = tiff(DEEP, photometric="rgb", byteorder=order)
        yield Sample(f"colour16_{kind}.tif", data, bgr(DEEP))
    yield Sample("gray16.tif", tiff(DEEP[..., 0]), bgr(DEEP[..., 0]))
    data = tiff(DEEP, photometric="rgb", tile=(16, 32))
    yield Sample("colour16_tiled.tif", data, bgr(DEEP))
    yield Sample(
        "colour16_deflate.tif",
        tiff(DEEP, photometric="rgb", compression="zlib"),
        bgr(DEEP),
    )
    yield Sample("big.tif", tiff(RGB, photometric="rgb", bigtiff=True), bgr(RGB))
    yield Sample("float32.tif", tiff(REAL, photometric="rgb"), bgr(REAL))
    yield Sample("gray_float32.tif", tiff(REAL[..., 0]), bgr(REAL[..., 0]))
    yield Sample(
        "float64.tif", tiff(REAL.astype(np.float64), photometric="rgb"), bgr(REAL)
    )
    whole = DEEP[..., 0].astype(np.int32) * 100
    yield Sample("int32.tif", pillow(whole, "TIFF"), bgr(whole.astype(np.float32)))
    for orientation in range(1, 9):
        data = pillow(image, "TIFF", tiffinfo={0x0112: orientation})
        yield Sample(f"turned{orientation}.tif", data, UPRIGHT[orientation](bgr(RGB)))
    for orientation in (1, 3, 6, 8):
        tag = (0x0112, 3, 1, orientation, True)
        data = tiff(DEEP, photometric="rgb", extratags=[tag])
        yield Sample(
            f"turned{orientation}_16.tif", data, UPRIGHT[orientation](bgr(DEEP))
        )
    data = pillow(image, "TIFF", save_all=True, append_images=others(4))
    yield Sample("pages.tif", data, bgr(RGB), pages=5)


def plain() -> Iterator[Sample]:
    """BMP, PNM, PFM, Sun raster, SGI, icons, Radiance HDR."""
    image, gray = Image.fromarray(RGB), Image.fromarray(GRAY)
    bits = gray.convert("1")
    black = bgr(np.asarray(bits) * np.uint8(255))
    palette = image.quantize(64)
    yield Sample("colour.bmp", pillow(image, "BMP"), bgr(RGB))
    yield Sample("gray.bmp", pillow(gray, "BMP"), bgr(GRAY))
    yield Sample("bilevel.bmp", pillow(bits, "BMP"), black)
    yield Sample(
        "palette.bmp", pillow(palette, "BMP"), bgr(np.asarray(palette.convert("RGB")))
    )
    yield Sample("binary.ppm", pillow(image, "PPM"), bgr(RGB))
    yield Sample("binary.pgm", pillow(gray, "PPM"), bgr(GRAY))
    yield Sample("binary.pbm", pillow(bits, "PPM"), black)
    size = f"{WIDTH} {HEIGHT}\n"

    def text(kind: str, values: Picture) -> bytes:
        limit = "" if kind == "P1" else "255\n"
        rows = (" ".join(map(str, row.ravel())) for row in values)
        return f"{kind}\n# by hand\n{size}{limit}{chr(10).join(rows)}\n".encode()

    yield Sample("text.ppm", text("P3", RGB), bgr(RGB))
    yield Sample("text.pgm", text("P2", GRAY), bgr(GRAY))
    yield Sample("text.pbm", text("P1", 1 - np.asarray(bits).astype(np.uint8)), black)
    header = f"P6\n{size}65535\n".encode()
    yield Sample("colour16.ppm", header + DEEP.astype(">u2").tobytes(), bgr(DEEP))
    header = f"P5\n{size}65535\n".encode()
    yield Sample(
        "gray16.pgm", header + DEEP[..., 1].astype(">u2").tobytes(), bgr(DEEP[..., 1])
    )
    header = f"PF\n{WIDTH} {HEIGHT}\n-1.0\n".encode()
    yield Sample("colour.pfm", header + REAL[::-1].astype("<f4").tobytes(), bgr(REAL))
    header = struct.pack(
        ">8I", 0x59A66A95, WIDTH, HEIGHT, 24, 3 * WIDTH * HEIGHT, 1, 0, 0
    )
    yield Sample("colour.ras", header + RGB[..., ::-1].tobytes(), bgr(RGB))
    yield Sample("colour.sgi", pillow(image, "SGI"), bgr(RGB))
    yield Sample("gray.sgi", pillow(gray, "SGI"), bgr(GRAY))
    rgba = Image.fromarray(np.dstack([RGB, ALPHA]))
    icon = pillow(rgba, "ICO", sizes=[(WIDTH, HEIGHT)])
    yield Sample("colour.ico", icon, over_white(RGB, ALPHA))
    data = opencv(REAL, ".hdr")
    # One exponent for three mantissas of 8 bits.
    yield Sample("colour.hdr", data, bgr(REAL), 0.1)


def others_of_opencv() -> Iterator[Sample]:
    """JPEG 2000, AVIF, GIF."""
    image, gray = Image.fromarray(RGB), Image.fromarray(GRAY)
    yield Sample("colour.jp2", pillow(image, "JPEG2000"), bgr(RGB))
    yield Sample("gray.jp2", pillow(gray, "JPEG2000"), bgr(GRAY))
    yield Sample("stream.j2k", pillow(image, "JPEG2000", no_jp2=True), bgr(RGB))
    yield Sample("gray16.jp2", pillow(DEEP[..., 1], "JPEG2000"), bgr(DEEP[..., 1]))
    data = pillow(
        image, "JPEG2000", irreversible=True, quality_mode="dB", quality_layers=[45]
    )
    yield Sample("lossy.jp2", data, seen_by_pillow(data), 2)
    if features.check("avif"):
        data = pillow(image, "AVIF", quality=90)
        yield Sample("lossy.avif", data, seen_by_pillow(data), 3)
        data = pillow(Image.fromarray(np.dstack([RGB, ALPHA])), "AVIF", quality=90)
        seen = np.asarray(Image.open(io.BytesIO(data)))
        yield Sample("alpha.avif", data, over_white(seen[..., :3], seen[..., 3]), 3)
        data = pillow(image, "AVIF", quality=90, save_all=True, append_images=others(2))
        yield Sample("animated.avif", data, seen_by_pillow(data), 3, pages=3)
    palette = image.quantize(64)
    shown = bgr(np.asarray(palette.convert("RGB")))
    yield Sample("still.gif", pillow(palette, "GIF"), shown)
    yield Sample("interlaced.gif", pillow(palette, "GIF", interlace=True), shown)
    yield Sample("not_interlaced.gif", pillow(palette, "GIF", interlace=False), shown)
    data = pillow(palette, "GIF", transparency=3)
    seen = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
    yield Sample("transparent.gif", data, over_white(seen[..., :3], seen[..., 3]))
    pages = [page.quantize(64) for page in others(4)]
    data = pillow(palette, "GIF", save_all=True, append_images=pages)
    yield Sample("animated.gif", data, shown, pages=5)


@cache
def samples() -> dict[str, Sample]:
    """All samples by their names."""
    makers = pngs, jpegs, webps, tiffs, plain, others_of_opencv
    return {sample.name: sample for maker in makers for sample in maker()}
