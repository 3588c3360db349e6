"""Files that people and attackers upload, made on the spot, each with what should become of it.

The page's and the API's tests send the same corpus through their own doors.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.image_door import WORST, with_scans
from daah.formats import MAX_CHUNKS, MAX_SCANS, MAX_SEGMENTS
from daah.images import MAX_BYTES, open_heic

open_heic()  # Pillow writes it then, too

WIDTH, HEIGHT = 64, 48

#: Words of the sentences that refuse a file.
EMPTY, LARGE, PIXELS, SIDE, FOREIGN, VIDEO, TILES, RARE, PASSES, PARTS, DAMAGED = (
    "empty",
    "larger than",
    "megapixels",
    "A side of the photo",
    "use JPEG, PNG, WebP",
    "video",
    "tiles of this photo",
    "rare kind",
    "goes over its pixels",
    "no camera or program needs",
    "damaged",
)


@dataclass(frozen=True)
class Upload:
    """A file to send. word: of the sentence that refuses it, or None when it should be read.

    shape: (H, W) of the upright photo when it is read.
    """

    name: str
    data: bytes
    word: str | None = None
    shape: tuple[int, int] | None = None


def picture(width: int = WIDTH, height: int = HEIGHT) -> np.ndarray:
    """A colourful picture (height, width, 3) uint8 with no symmetry."""
    y, x = np.mgrid[:height, :width]
    red, green, blue = 255 * x / width, 255 * y / height, 40 + 3 * ((x // 5 + 2 * (y // 7)) % 9)
    return np.stack([red, green, blue], -1).astype(np.uint8)


def encoded(image: Image.Image | np.ndarray, kind: str, **options) -> bytes:
    """A file of the format `kind` as bytes."""
    stream = io.BytesIO()
    image = image if isinstance(image, Image.Image) else Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_orientation(upright: np.ndarray, orientation: int) -> tuple[np.ndarray, bytes]:
    """(stored pixels, EXIF block) of a camera held so that EXIF calls it `orientation`.

    Written from the tag's table (Exif 2.32, tag 274), not with the code under test.
    """
    stored = {
        1: upright,
        2: np.fliplr(upright),
        3: np.rot90(upright, 2),
        4: np.flipud(upright),
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    return np.ascontiguousarray(stored), exif.tobytes()


def corpus() -> list[Upload]:
    """Every small case; names are unique."""
    cases = [
        *_foreign(),
        *_truncated(),
        *_colour_modes(),
        *_animated(),
        *_rotated(),
        *_broken_exif(),
        *_sizes(),
        *_forged(),
        *_boxed(),
        *_laborious(),
    ]
    assert len({case.name for case in cases}) == len(cases)
    return cases


def heavy() -> list[Upload]:
    """Files at the limits that are read in full, of which each takes most memory of its kind.

    The others are in `benchmarks.image_door`.
    """
    white = np.full((6300, 6300, 3), 255, np.uint8)
    _, exif = with_orientation(white[:1], 6)
    made = (
        ("heavy-progressive.jpg", "JPEG, progressive, 4:4:4", 5290),
        ("heavy-alpha.png", "PNG, 8 bits, alpha", 5470),
        ("heavy.webp", "WebP, lossy", 4096),
    )
    return [
        Upload("heavy.png", encoded(white, "PNG", exif=exif, compress_level=1), None, (6300, 6300)),
        Upload("heavy.jpg", encoded(white, "JPEG", exif=exif), None, (6300, 6300)),
        *(Upload(name, WORST[kind](), None, (side, side)) for name, kind, side in made),
    ]


def _foreign() -> list[Upload]:
    photo = Image.fromarray(picture())
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("photo.jpg", encoded(photo, "JPEG"))
    svg = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script/></svg>'
    box = struct.pack(">I", 24) + b"ftyp"
    return [
        Upload("empty.jpg", b"", EMPTY),
        Upload("one-byte.jpg", b"\xff", FOREIGN),
        Upload("text.jpg", b"This is a letter, not a photo.\n" * 9, FOREIGN),
        Upload("zeros.png", bytes(5000), FOREIGN),
        Upload("vector.svg", svg, FOREIGN),
        Upload("vector.jpg", b"\xef\xbb\xbf<?xml version='1.0'?>" + svg, FOREIGN),
        Upload("page.html", b"<!doctype html><img src=x onerror=alert(1)>", FOREIGN),
        Upload("archive.png", archive.getvalue(), FOREIGN),
        Upload("document.jpg", b"%PDF-1.7\n" + bytes(99), FOREIGN),
        Upload("pickle.png", b"\x80\x04\x95\x00\x00\x00cos\nsystem\n.", FOREIGN),
        Upload("postscript.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage\n", FOREIGN),
        Upload("still.gif", encoded(photo, "GIF"), FOREIGN),
        Upload("gif-named.png", encoded(photo, "GIF"), FOREIGN),
        Upload("picture.bmp", encoded(photo, "BMP"), FOREIGN),
        Upload("picture.tiff", encoded(photo, "TIFF"), FOREIGN),
        Upload("picture.ico", encoded(photo, "ICO"), FOREIGN),
        Upload("picture.ppm", encoded(photo, "PPM"), FOREIGN),
        Upload("riff.webp", b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(40), FOREIGN),
        Upload("phone.heic", box + b"heic\0\0\0\0mif1heic" + bytes(300), DAMAGED),
        Upload("phone.avif", box + b"avif\0\0\0\0mif1avif" + bytes(300), DAMAGED),
        Upload("clip.mp4", box + b"isom\0\0\0\0isomavc1" + _box(b"mdat", bytes(300)), VIDEO),
        Upload("jpeg-named.png", encoded(photo, "JPEG"), None, (HEIGHT, WIDTH)),
        Upload("png-named.txt", encoded(photo, "PNG"), None, (HEIGHT, WIDTH)),
        Upload("webp-named.jpg", encoded(photo, "WEBP"), None, (HEIGHT, WIDTH)),
    ]


def _truncated() -> list[Upload]:
    cases = []
    endings = {"JPEG": "jpg", "PNG": "png", "WEBP": "webp", "AVIF": "avif", "HEIF": "heic"}
    for kind, ending in endings.items():
        data = encoded(picture(), kind)
        for tenth in range(1, 10):
            cut = data[: len(data) * tenth // 10]
            cases.append(Upload(f"truncated-{tenth}.{ending}", cut, DAMAGED))
    return cases


def _colour_modes() -> list[Upload]:
    rgb = Image.fromarray(picture())
    grey16 = Image.fromarray(picture()[..., 0].astype(np.uint16) * 257)
    rgba = rgb.copy()
    rgba.putalpha(Image.fromarray(picture()[..., 1]))
    palette = rgb.quantize(16)
    files = {
        "grey.jpg": encoded(rgb.convert("L"), "JPEG"),
        "cmyk.jpg": encoded(rgb.convert("CMYK"), "JPEG"),
        "progressive.jpg": encoded(rgb, "JPEG", progressive=True),
        "interlaced.png": _png(WIDTH, HEIGHT, 8, 2, _interlaced(picture()), interlaced=True),
        "multi-picture.jpg": encoded(rgb, "MPO", save_all=True, append_images=[rgb]),
        "grey.png": encoded(rgb.convert("L"), "PNG"),
        "one-bit.png": encoded(rgb.convert("1"), "PNG"),
        "grey-16-bit.png": encoded(grey16, "PNG"),
        "colour-16-bit.png": _png(WIDTH, HEIGHT, 16, 2, _scanlines(picture().astype(">u2") * 257)),
        "palette.png": encoded(palette, "PNG"),
        "palette-clear.png": encoded(palette, "PNG", transparency=3),
        "colour-clear.png": encoded(rgb, "PNG", transparency=(0, 0, 40)),
        "alpha.png": encoded(rgba, "PNG"),
        "grey-alpha.png": encoded(rgba.convert("LA"), "PNG"),
        "alpha.webp": encoded(rgba, "WEBP"),
        "lossless.webp": encoded(rgb, "WEBP", lossless=True),
    }
    return [Upload(name, data, None, (HEIGHT, WIDTH)) for name, data in files.items()]


def _animated() -> list[Upload]:
    frames = [Image.fromarray(picture()), Image.new("RGB", (WIDTH, HEIGHT), "red")]
    options = {"save_all": True, "append_images": frames[1:], "duration": 50}
    return [
        Upload("animated.png", encoded(frames[0], "PNG", **options), None, (HEIGHT, WIDTH)),
        Upload(
            "animated.webp",
            encoded(frames[0], "WEBP", lossless=True, **options),
            None,
            (HEIGHT, WIDTH),
        ),
        Upload("animated.gif", encoded(frames[0], "GIF", **options), FOREIGN),
    ]


def _rotated() -> list[Upload]:
    cases = []
    for orientation in range(1, 9):
        stored, exif = with_orientation(picture(), orientation)
        for kind, ending in (("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")):
            data = encoded(stored, kind, exif=exif)
            name = f"orientation-{orientation}.{ending}"
            cases.append(Upload(name, data, None, (HEIGHT, WIDTH)))
    return cases


def _broken_exif() -> list[Upload]:
    tiff = b"Exif\0\0MM\0\x2a\0\0\0\x08"
    entry = struct.Struct(">HHI4s")
    orientation = b"\0\x01" + entry.pack(0x0112, 3, 1, b"\0\x09\0\0") + bytes(4)
    blocks = {
        "garbage": b"Exif\0\0" + bytes(range(256)),
        "cut-off": tiff[:9],
        "no-directory": tiff,
        "endless-directory": tiff + b"\xff\xff" + b"\1" * 40,
        "orientation-9": tiff + orientation,
        "orientation-0": tiff + orientation.replace(b"\0\x09", b"\0\0"),
        "orientation-text": tiff + b"\0\x01" + entry.pack(0x0112, 2, 4, b"up\0\0") + bytes(4),
        "far-offset": tiff + b"\0\x01" + entry.pack(0x0112, 3, 0x7FFFFFFF, b"\xff" * 4),
        "loop": tiff[:-1] + b"\x08" + b"\0\0" + struct.pack(">I", 8),
    }
    return [
        Upload(f"exif-{name}.jpg", encoded(picture(), "JPEG", exif=block), None, (HEIGHT, WIDTH))
        for name, block in blocks.items()
    ]


def _sizes() -> list[Upload]:
    thin = np.full((20000, 1, 3), 90, np.uint8)
    fine = encoded(picture(), "JPEG", progressive=True, subsampling=0)
    photo = encoded(picture(), "JPEG")
    return [
        Upload("dot.png", encoded(picture(1, 1), "PNG"), None, (1, 1)),
        Upload("two.jpg", encoded(picture(2, 2), "JPEG"), None, (2, 2)),
        Upload("tall.png", encoded(thin, "PNG"), None, (20000, 1)),
        Upload("wide.png", encoded(thin.transpose(1, 0, 2), "PNG"), None, (1, 20000)),
        Upload("tall.jpg", encoded(thin, "JPEG"), None, (20000, 1)),
        Upload("longest.png", encoded(thin[:1].repeat(30_000, 0), "PNG"), None, (30_000, 1)),
        Upload("longer.png", encoded(thin[:1].repeat(30_001, 0), "PNG"), SIDE),
        Upload("longer.jpg", encoded(thin[:1].repeat(30_001, 0), "JPEG"), SIDE),
        Upload("thread.png", _png(1, 40_000_000, 8, 2, bytes(50)), SIDE),
        Upload("thread-lying.png", _png(40_000_000, 1, 8, 2, bytes(50)), SIDE),
        Upload("too-deep.png", _png(4000, 3751, 16, 6, bytes(50)), PIXELS),
        Upload("too-deep-interlaced.png", _png(4000, 3126, 16, 6, bytes(50), True), PIXELS),
        Upload("too-many-progressive.jpg", _with_jpeg_size(fine, 7000, 4001), PIXELS),
        Upload("wide.webp", encoded(thin[:16383].transpose(1, 0, 2), "WEBP"), None, (1, 16383)),
        Upload("at-most-bytes.jpg", photo + bytes(MAX_BYTES - len(photo)), None, (HEIGHT, WIDTH)),
        Upload("too-many-bytes.jpg", photo + bytes(MAX_BYTES - len(photo) + 1), LARGE),
        Upload("too-many-pixels.png", _png(8000, 5001, 8, 2, bytes(50)), PIXELS),
        Upload("bomb-warned-of.png", _png(10000, 10000, 8, 2, bytes(50)), PIXELS),
        Upload("bomb.png", _png(60000, 60000, 8, 2, bytes(50)), PIXELS),
        Upload("bomb-one-bit.png", _png(65000, 65000, 1, 0, bytes(50)), PIXELS),
        Upload("endless.png", _png(2**31 - 1, 2**31 - 1, 8, 6, bytes(50)), PIXELS),
        Upload("bomb.jpg", _with_jpeg_size(photo, 65500, 65500), PIXELS),
        Upload("too-many-pixels.jpg", _with_jpeg_size(photo, 8000, 5001), PIXELS),
        Upload("bomb.webp", encoded(np.zeros((5000, 4000, 3), np.uint8), "WEBP", method=0), PIXELS),
    ]


def _forged() -> list[Upload]:
    photo = encoded(picture(), "JPEG")
    png = encoded(picture(), "PNG")
    webp = encoded(picture(), "WEBP")
    shape = (HEIGHT, WIDTH)
    bomb = zlib.compress(bytes(30_000_000), 9)
    flipped = bytearray(png)
    flipped[png.index(b"IDAT") + 20] ^= 0xFF
    header = png[:33]
    return [
        Upload("signature-only.png", png[:8], DAMAGED),
        Upload("signature-only.jpg", photo[:3], DAMAGED),
        Upload("signature-only.webp", webp[:12], DAMAGED),
        Upload("no-pixels.png", _png(0, 0, 8, 2, b""), DAMAGED),
        Upload("no-data.png", header + _chunk(b"IEND", b""), DAMAGED),
        Upload("unknown-depth.png", _png(WIDTH, HEIGHT, 7, 2, bytes(50)), DAMAGED),
        Upload("flipped-byte.png", bytes(flipped), DAMAGED),
        Upload("wrong-data.png", header + _chunk(b"IDAT", b"not zlib"), DAMAGED),
        Upload(
            "text-bombs.png", header + 20 * _chunk(b"zTXt", b"a\0\0" + bomb) + png[33:], None, shape
        ),
        Upload(
            "profile-bombs.png",
            header + 20 * _chunk(b"iCCP", b"a\0\0" + bomb) + png[33:],
            None,
            shape,
        ),
        Upload("two-headers.png", header + header[8:] + png[33:], DAMAGED),
        Upload("two-frames.jpg", photo[:-2] + photo[2:], DAMAGED),
        Upload("no-scan.jpg", photo[: photo.index(b"\xff\xda")] + b"\xff\xd9", DAMAGED),
        Upload("arithmetic.jpg", photo.replace(b"\xff\xc0", b"\xff\xc9"), RARE),
        Upload("lossless.jpg", photo.replace(b"\xff\xc0", b"\xff\xc3"), RARE),
        Upload("junk.jpg", photo[:20] + bytes(5000) + photo[20:], None, shape),
        Upload("filled-up.jpg", photo[:2] + b"\xff" * 5000 + photo[2:], None, shape),
        Upload("tail.jpg", photo + b"PK\3\4" + bytes(500), None, shape),
        Upload("tail.png", png + b"<script>alert(1)</script>", None, shape),
        Upload("comment.jpg", _with_segment(photo, 0xFE, b"x" * 65000), None, shape),
        Upload(
            "bad-profile.jpg",
            _with_segment(photo, 0xE2, b"ICC_PROFILE\0\1\1" + b"?" * 99),
            None,
            shape,
        ),
        Upload("no-frame.jpg", b"\xff\xd8\xff\xe0\0\x10JFIF\0" + bytes(9) + b"\xff\xd9", DAMAGED),
        Upload("markers.jpg", b"\xff\xd8" + b"\xff" * 3000, DAMAGED),
        Upload("zero-size.jpg", _with_jpeg_size(photo, 0, 0), DAMAGED),
        Upload("wrong-length.webp", webp[:4] + b"\xff\xff\xff\x7f" + webp[8:], DAMAGED),
        Upload("wrong-chunk.webp", webp[:12] + b"JUNK" + webp[16:], DAMAGED),
    ]


def _boxed() -> list[Upload]:
    """HEIC and AVIF files: whole ones, and forged ones."""
    small, shape = picture(), (HEIGHT, WIDTH)
    heic, avif = (encoded(small, kind) for kind in ("HEIF", "AVIF"))
    cover = np.dstack([small, small[..., 0]])
    grid = encoded(picture(600, 400), "HEIF", tile_size=128)
    frames = {"save_all": True, "append_images": [Image.new("RGB", (WIDTH, HEIGHT), "red")]}
    cases = [
        Upload("photo.heic", heic, None, shape),
        Upload("photo.avif", avif, None, shape),
        Upload("avif-named.jpg", avif, None, shape),
        Upload("cover.heic", encoded(cover, "HEIF"), None, shape),
        Upload("cover.avif", encoded(cover, "AVIF"), None, shape),
        Upload("grey.avif", encoded(Image.fromarray(small).convert("L"), "AVIF"), None, shape),
        Upload("grid.heic", grid, None, (400, 600)),
        Upload("animated.heic", encoded(Image.fromarray(small), "HEIF", **frames), None, shape),
        Upload("animated.avif", encoded(Image.fromarray(small), "AVIF", **frames), None, shape),
        Upload("boxes.avif", avif + 2001 * _box(b"free", b""), PARTS),
        Upload("endless.avif", avif + struct.pack(">I4sQ", 1, b"free", 8), DAMAGED),
        Upload("codec.avif", avif.replace(b"av01", b"vvc1"), RARE),
        Upload("codec.heic", heic.replace(b"hvc1", b"jpeg"), RARE),
        Upload("tiles.heic", _with_extent(grid, 4096, 4096, old=(128, 128)), TILES),
        Upload("canvas.heic", _with_extent(grid, 608, 400, old=(600, 400)), DAMAGED),
        Upload("rows.heic", grid.replace(_tiling(600, 400), _tiling(600, 400, rows=9)), DAMAGED),
        Upload("output.heic", grid.replace(_tiling(600, 400), _tiling(9000, 9000)), DAMAGED),
    ]
    for name, data in (("heic", heic), ("avif", avif)):
        cases += [
            Upload(f"million.{name}", _with_extent(data, 10**6, 10**6), PIXELS),
            Upload(f"over-25-megapixels.{name}", _with_extent(data, 5001, 5001), PIXELS),
            Upload(f"wide.{name}", _with_extent(data, 40_000, 10), SIDE),
            Upload(f"nothing.{name}", _with_extent(data, 0, 48), DAMAGED),
        ]
    return cases


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _with_extent(data: bytes, width: int, height: int, old: tuple[int, int] | None = None) -> bytes:
    """A HEIC or AVIF file whose images claim to have another size; of old: those of that size."""
    pattern = b"ispe\0\0\0\0" + (b".{8}" if old is None else re.escape(struct.pack(">II", *old)))
    changed, count = re.subn(
        pattern, b"ispe" + struct.pack(">III", 0, width, height), data, flags=re.DOTALL
    )
    assert count
    return changed


def _tiling(width: int, height: int, rows: int = 4, columns: int = 5) -> bytes:
    """What a grid says of itself."""
    return struct.pack(">BBBBHH", 0, 0, rows - 1, columns - 1, width, height)


def _laborious() -> list[Upload]:
    """Small files that ask for much work."""
    shape = (HEIGHT, WIDTH)
    photo = encoded(picture(), "JPEG", progressive=True)
    large = _with_jpeg_size(photo, 6300, 6300)
    png, webp = encoded(picture(), "PNG"), encoded(picture(), "WEBP")
    # Every entry of the block is all of the block.
    entries = b"".join(struct.pack(">HHII", i, 7, 10**6, 8) for i in range(1, 60_001))
    exif = b"MM\0\x2a\0\0\0\x08" + struct.pack(">H", 60_000) + entries
    exif += bytes(10**6 + 8 - len(exif))
    frame = b"ANMF" + struct.pack("<I", 16 + len(webp) - 12) + bytes(16) + webp[12:]
    return [
        Upload("scans.jpg", with_scans(photo, 20), None, shape),
        Upload("too-many-scans.jpg", with_scans(photo, MAX_SCANS), PASSES),
        Upload("a-thousand-scans-of-large.jpg", with_scans(large, 1000), PASSES),
        Upload("twenty-scans-of-large.jpg", with_scans(large, 20), PASSES),
        Upload("comments.jpg", photo[:2] + MAX_SEGMENTS * b"\xff\xfe\0\2" + photo[2:], PARTS),
        Upload("pieces.png", png[:33] + MAX_CHUNKS * _chunk(b"IDAT", b"") + png[33:], PARTS),
        Upload("frames.webp", _riff(webp[12:] + MAX_SEGMENTS * frame), PARTS),
        Upload("exif-of-exif.png", png[:33] + _chunk(b"eXIf", exif) + png[33:], None, shape),
        Upload("exif-of-exif.webp", _riff(webp[12:] + _riff_chunk(b"EXIF", exif)), None, shape),
    ]


def _riff(body: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def _riff_chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def _png(
    width: int, height: int, depth: int, colour: int, rows: bytes, interlaced: bool = False
) -> bytes:
    """A PNG whose header says what it is told to, true or not."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", header)
        + _chunk(b"IDAT", zlib.compress(rows))
        + _chunk(b"IEND", b"")
    )


def _scanlines(pixels: np.ndarray) -> bytes:
    """Rows of a PNG, each behind its filter byte 0."""
    return b"".join(b"\0" + row.tobytes() for row in pixels)


def _interlaced(pixels: np.ndarray) -> bytes:
    """Rows of an interlaced PNG (its specification, 8.1)."""
    passes = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2),
              (1, 0, 2, 1))  # fmt: skip
    return b"".join(_scanlines(pixels[y::dy, x::dx]) for y, x, dy, dx in passes)


def _with_segment(jpeg: bytes, marker: int, data: bytes) -> bytes:
    return jpeg[:2] + bytes([0xFF, marker]) + struct.pack(">H", len(data) + 2) + data + jpeg[2:]


def _with_jpeg_size(jpeg: bytes, width: int, height: int) -> bytes:
    """The same file with another size in its frame header (marker FFC0 or FFC2)."""
    at = re.search(rb"\xff[\xc0\xc2]", jpeg).start() + 5
    return jpeg[:at] + struct.pack(">HH", height, width) + jpeg[at + 4 :]


@dataclass(frozen=True)
class Scene:
    """A photo that is read. least, most: how many faces are found on it."""

    name: str
    data: bytes
    least: int
    most: int


def scenes(portrait: np.ndarray, faces: list[np.ndarray]) -> list[Scene]:
    """Photos that are odd by what is on them.

    portrait: (512, 512, 3) uint8, one face in its upper middle. faces: fifty small photos of one
    size, each of a face.
    """
    photo = Image.fromarray(portrait)
    tiny = Image.new("RGB", (800, 600), (90, 110, 130))
    tiny.paste(photo.resize((64, 64), Image.Resampling.BOX), (360, 280))
    height, width = faces[0].shape[:2]
    crowd = Image.new("RGB", (10 * width, 5 * height))
    for i, face in enumerate(faces):
        crowd.paste(Image.fromarray(face), (i % 10 * width, i // 10 * height))
    mosaic = Image.new("RGB", (800, 800))
    for i in range(20 * 16):
        face = Image.fromarray(faces[i % len(faces)]).resize((40, 48))
        mosaic.paste(face, (i % 20 * 40, i // 20 * 48))
    noise = np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8)
    everyone = encoded(crowd, "PNG")
    return [
        Scene("portrait.png", encoded(photo, "PNG"), 1, 1),
        Scene("grey-face.jpg", encoded(photo.convert("L"), "JPEG"), 1, 1),
        Scene("one-bit-face.png", encoded(photo.convert("1"), "PNG"), 0, 1),
        Scene("upside-down.png", encoded(photo.transpose(Image.Transpose.ROTATE_180), "PNG"), 0, 1),
        Scene("half-at-the-border.png", encoded(photo.crop((222, 0, 512, 300)), "PNG"), 0, 1),
        Scene("quarter-at-the-border.png", encoded(photo.crop((222, 120, 512, 400)), "PNG"), 0, 1),
        Scene("nothing-but-a-face.png", encoded(photo.crop((170, 70, 280, 190)), "PNG"), 1, 1),
        Scene("face-under-20-pixels.png", encoded(tiny, "PNG"), 0, 0),
        Scene("fifty-faces.png", everyone, 40, 50),
        Scene("three-hundred-faces.png", encoded(mosaic, "PNG"), 50, 50),
        Scene("cartoon.png", encoded(_cartoon(), "PNG"), 0, 1),
        Scene("noise.png", encoded(noise, "PNG"), 0, 0),
        Scene("black.png", encoded(np.zeros((400, 400, 3), np.uint8), "PNG"), 0, 0),
        Scene("one-pixel.png", encoded(picture(1, 1), "PNG"), 0, 0),
        Scene("tall.png", encoded(np.full((20000, 1, 3), 90, np.uint8), "PNG"), 0, 0),
        Scene("wide.png", encoded(np.full((1, 20000, 3), 90, np.uint8), "PNG"), 0, 0),
    ]


def _cartoon() -> Image.Image:
    """A round yellow face with two dots and a smile."""
    image = Image.new("RGB", (300, 300), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((40, 40, 260, 260), "yellow", "black", 5)
    for left in (100, 180):
        draw.ellipse((left, 110, left + 22, 140), "black")
    draw.arc((100, 130, 200, 210), 20, 160, "black", 5)
    return image
