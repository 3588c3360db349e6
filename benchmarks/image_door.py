"""Processor seconds and memory of the worst photos that are read, of each kind of file.

    python -m benchmarks.image_door --out docs/results/image_door.json
    python -m benchmarks.image_door --only AVIF HEIC --out docs/results/image_door_boxed.json

Each file is made to be as much work as its limit allows (`daah.formats`): the most pixels, the
filters and entropy codes that take longest, all the scans there may be. Each is read in a new
process, as the command line reads it, and by a reading process of the server, whose memory is
limited. Then come files that are refused, among them those that once blocked the server; what
reading in another process adds to the time of an ordinary photo; and the search for faces where
there are more candidates than any photo has.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import PIL
from PIL import Image
from tqdm import tqdm

from benchmarks.report import processor, write
from daah.data import sources
from daah.detection.detector import FaceDetector
from daah.errors import ImageError
from daah.images import MAX_BYTES, open_heic, read_image
from daah.parallel import one_thread
from daah.reading import Reader

#: What one photo may take, as SECURITY.md promises.
SECONDS, MEGABYTES = 2.0, 300

open_heic()  # Pillow writes it then, too

#: Side of a square of 39.7 megapixels.
SIDE = 6300


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """A file of the format `kind` as bytes."""
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def noise(side: int, coarse: int = 8) -> Image.Image:
    """A square of coloured noise, in spots of `coarse` pixels, so that it fits into 10 MiB."""
    spots = np.random.default_rng(0).integers(0, 256, (side // coarse, side // coarse, 3), np.uint8)
    return Image.fromarray(spots).resize((side, side), Image.Resampling.BICUBIC)


def with_scans(jpeg: bytes, times: int) -> bytes:
    """The same file with its last scan so many times more."""
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:-2] + times * jpeg[last:-2] + jpeg[-2:]


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, interlaced: int = 0
) -> bytes:
    """A PNG of these rows, each behind its filter byte."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlaced)
    palette = chunk(b"PLTE", bytes(768)) + chunk(b"tRNS", bytes(256)) if colour == 3 else b""
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + palette
        + chunk(b"IDAT", zlib.compress(rows, 1))
        + chunk(b"IEND", b"")
    )


def rows(width: int, height: int, bits: int) -> bytes:
    """Rows of `bits` a pixel under Paeth's filter, the slowest, with as much noise as may fit."""
    stride = 1 + (width * bits + 7) // 8
    content = np.zeros(height * stride, np.uint8)
    rng = np.random.default_rng(0)
    places = rng.integers(0, content.size, min(1_500_000, content.size // 80))
    content[places] = rng.integers(1, 256, len(places))
    content[::stride] = 4
    return content.tobytes()


def interlaced_rows(side: int, bits: int) -> bytes:
    """The seven passes of an interlaced square (PNG's specification, 8.1)."""
    passes = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2),
              (0, 1, 1, 2))  # fmt: skip
    return b"".join(
        rows(-(-(side - x) // dx), -(-(side - y) // dy), bits) for x, y, dx, dy in passes
    )


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WebP of these chunks."""
    body = b"".join(n + struct.pack("<I", len(d)) + d + bytes(len(d) % 2) for n, d in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def many_huffman_groups(side: int = 4096, groups: int = 65_536) -> bytes:
    """A lossless WebP with as many sets of prefix codes as it can have (RFC 9649, section 3.7).

    Each takes 6 kilobytes of the decoder's memory.
    """
    bits = _Bits()
    for value, count in ((0x2F, 8), (side - 1, 14), (side - 1, 14), (0, 1 + 3), (0, 1), (0, 1)):
        bits.add(value, count)
    bits.add(1, 1)  # sets of codes by place, in blocks of 16 pixels
    bits.add(2, 3)
    bits.add(0, 1)
    for rest in (24, 0):  # green and red of the picture of sets: 256 codes of 8 bits
        bits.add(0, 1)
        bits.add(8, 4)
        for symbol in (17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8):
            bits.add(symbol in (18, 8), 3)
        bits.add(0, 1)
        for _ in range(256):
            bits.add(0, 1)
        if rest:
            bits.add(1, 1)
            bits.add(rest - 11, 7)
    for _ in range(3):
        bits.add(0b0001, 4)
    for i in range((side // 16) ** 2):
        bits.add(i % groups, 16)
    for _ in range(groups):
        for last in (255, 255, 255, 255, 1):
            bits.add(0b111 | last << 11, 19)
    coded = (bits.bytes() + bytes(side * side // 2))[: MAX_BYTES - 2000]
    return riff((b"VP8L", coded))


class _Bits:
    """Bits, the lowest first."""

    def __init__(self) -> None:
        self._done, self._value, self._count = bytearray(), 0, 0

    def add(self, value: int, count: int) -> None:
        self._value |= int(value) << self._count
        self._count += count
        while self._count >= 8:
            self._done.append(self._value & 0xFF)
            self._value >>= 8
            self._count -= 8

    def bytes(self) -> bytes:
        return bytes(self._done) + bytes([self._value])


def _webp_alpha() -> bytes:
    picture = noise(4096, 4)
    picture.putalpha(noise(4096, 16).getchannel(0))
    return encoded(picture, "WEBP", quality=30, method=0)


def _webp_lossless() -> bytes:
    pixels = np.zeros((4096, 4096, 4), np.uint8)
    rng = np.random.default_rng(0)
    pixels.reshape(-1, 4)[rng.integers(0, 4096**2, 1_500_000)] = rng.integers(
        0, 256, (1_500_000, 4)
    )
    return encoded(Image.fromarray(pixels), "WEBP", lossless=True, method=4, quality=50)


def _covered(image: Image.Image) -> Image.Image:
    """An image that is transparent by its red channel."""
    return Image.merge("RGBA", (*image.split(), image.split()[0]))


def _webp_animated() -> bytes:
    frames = [noise(4096, 4), *(Image.new("RGB", (4096, 4096), (i, 0, 0)) for i in range(3))]
    more = {"save_all": True, "append_images": frames[1:], "minimize_size": False}
    return encoded(frames[0], "WEBP", quality=60, method=0, **more)


#: The most work that each kind of file may ask for, by what it is; and how it is made.
WORST: dict[str, Callable[[], bytes]] = {
    "JPEG, baseline, 4:4:4": lambda: encoded(noise(SIDE), "JPEG", quality=30, subsampling=0),
    "JPEG, baseline, four channels": lambda: encoded(
        noise(SIDE).convert("CMYK"), "JPEG", quality=20
    ),
    "JPEG, progressive, 4:2:0": lambda: with_scans(
        encoded(noise(SIDE), "JPEG", quality=30, progressive=True), 6
    ),
    "JPEG, progressive, 4:4:4": lambda: with_scans(
        encoded(noise(5290), "JPEG", quality=30, subsampling=0, progressive=True), 7
    ),
    "JPEG, progressive, empty scans": lambda: with_scans(
        encoded(Image.new("RGB", (SIDE, SIDE), "white"), "JPEG", progressive=True), 7
    ),
    "JPEG, progressive, 100 scans": lambda: with_scans(
        encoded(noise(2400, 16), "JPEG", quality=20, progressive=True), 88
    ),
    "PNG, 1 bit": lambda: png(SIDE, SIDE, 1, 0, rows(SIDE, SIDE, 1)),
    "PNG, palette": lambda: png(SIDE, SIDE, 8, 3, rows(SIDE, SIDE, 8)),
    "PNG, 8 bits, RGB": lambda: png(SIDE, SIDE, 8, 2, rows(SIDE, SIDE, 24)),
    "PNG, 8 bits, RGB, tall": lambda: png(1333, 30_000, 8, 2, rows(1333, 30_000, 24)),
    "PNG, 8 bits, RGB, wide": lambda: png(30_000, 1333, 8, 2, rows(30_000, 1333, 24)),
    "PNG, 8 bits, alpha": lambda: png(5470, 5470, 8, 6, rows(5470, 5470, 32)),
    "PNG, 16 bits, grey": lambda: png(SIDE, SIDE, 16, 0, rows(SIDE, SIDE, 16)),
    "PNG, 16 bits, RGB": lambda: png(4470, 4470, 16, 2, rows(4470, 4470, 48)),
    "PNG, 16 bits, alpha": lambda: png(3870, 3870, 16, 6, rows(3870, 3870, 64)),
    "PNG, interlaced, 1 bit": lambda: png(SIDE, SIDE, 1, 0, interlaced_rows(SIDE, 1), 1),
    "PNG, interlaced, 8 bits, RGB": lambda: png(5770, 5770, 8, 2, interlaced_rows(5770, 24), 1),
    "PNG, interlaced, 16 bits, alpha": lambda: png(3530, 3530, 16, 6, interlaced_rows(3530, 64), 1),
    "WebP, lossy": lambda: encoded(noise(4096, 4), "WEBP", quality=60, method=0),
    "WebP, lossy, alpha": _webp_alpha,
    "WebP, lossless": _webp_lossless,
    "WebP, animated": _webp_animated,
    "WebP, 65,536 sets of codes": many_huffman_groups,
    "AVIF, 4:2:0": lambda: encoded(noise(5000), "AVIF", quality=75, speed=10),
    "AVIF, 4:4:4, alpha": lambda: encoded(
        _covered(noise(5000)), "AVIF", quality=60, speed=10, subsampling="4:4:4"
    ),
    "HEIC": lambda: encoded(noise(5000), "HEIF", quality=55),
    "HEIC, tiles of 512": lambda: encoded(noise(5000), "HEIF", quality=55, tile_size=512),
    "HEIC, alpha": lambda: encoded(_covered(noise(5000)), "HEIF", quality=45),
}

#: Files that are refused for the work that they ask for.
REFUSED: dict[str, Callable[[], bytes]] = {
    "JPEG, 6300x6300, 1,000 scans more": lambda: with_scans(
        encoded(Image.new("RGB", (SIDE, SIDE), "white"), "JPEG", progressive=True), 1000
    ),
    "JPEG, 2,500,000 comments": lambda: b"\xff\xd8" + 2_500_000 * b"\xff\xfe\0\2",
    "JPEG, 5,000,000 markers": lambda: b"\xff\xd8\xff\xe0\0\2" + 5_000_000 * b"\xff\xd0",
    "PNG, 1x40,000,000": lambda: png(1, 40_000_000, 8, 2, rows(1, 40_000_000, 24)),
    "PNG, 40,000,000x1": lambda: png(40_000_000, 1, 8, 2, rows(40_000_000, 1, 24)),
    "WebP, 500,000 chunks": lambda: riff(*[(b"JUNK", bytes(4))] * 500_000),
}

#: Sides of ordinary photos, for what another process adds: of a web page, of a phone.
ORDINARY = ((800, 600), (1600, 1200), (4000, 3000))

#: Reads a file as the command line does, after whatever is loaded once. Prints seconds of the
#: processor, megabytes, and the shape or the sentence.
_ALONE = """
import re, sys, time
from pathlib import Path
from daah.data import sources
from daah.errors import ImageError
from daah.detection.detector import FaceDetector
from daah.images import read_image

def peak():  # VmHWM is of this program alone; Linux keeps ru_maxrss of the parent
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1024

read_image(sys.argv[2])
base, start = peak(), time.process_time()
try:
    said = read_image(sys.argv[1]).shape
except ImageError as error:
    said = error
print(round(time.process_time() - start, 2), round(peak() - base), said)
"""


def alone(path: Path, first: Path) -> dict[str, object]:
    """A file read in a new process that has read the photo `first` before."""
    done = subprocess.run(
        [sys.executable, "-c", _ALONE, str(path), str(first)],
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, megabytes, said = done.stdout.strip().split(" ", 2)
    return {"processor_seconds": float(seconds), "megabytes": int(megabytes), "outcome": said}


def apart(path: Path, first: Path) -> dict[str, object]:
    """A file read by a new reading process of the server."""
    reader = Reader(1)
    reader.read(first)
    (worker,) = reader._workers
    before = _spent(worker.pid)
    try:
        said = str(reader.read(path).shape)
    except ImageError as problem:
        said = str(problem)
    seconds = _spent(worker.pid) - before
    reader.close()
    return {"processor_seconds": round(seconds, 2), "outcome": said}


def _spent(pid: int) -> float:
    user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def added(repeats: int) -> dict[str, dict[str, dict[str, float]]]:
    """Median milliseconds, and of the processor's, of ordinary photos here and apart, in turn."""
    reader = Reader(1)
    found = {}
    for width, height in ORDINARY:
        photo = encoded(noise(4000, 16).crop((0, 0, width, height)), "JPEG", quality=85)
        for _ in range(2):  # the first ones also load
            read_image(photo)
            reader.read(photo)
        (worker,) = reader._workers
        walls: dict[str, list[float]] = {"here": [], "apart": []}
        spent = {"here": 0.0, "apart": 0.0}
        for name, read in (("here", read_image), ("apart", reader.read)) * repeats:
            wall, before = time.perf_counter(), time.process_time() + _spent(worker.pid)
            read(photo)[::64, ::64].sum()
            spent[name] += time.process_time() + _spent(worker.pid) - before
            walls[name].append(time.perf_counter() - wall)
        found[f"{width}x{height}"] = {
            name: {
                "wall_ms": round(1000 * statistics.median(walls[name]), 1),
                "processor_ms": round(1000 * spent[name] / repeats, 1),
            }
            for name in walls
        }
    reader.close()
    return found


def crowds() -> dict[str, dict[str, object]]:
    """Seconds of the processor and faces: a mosaic of 1,320 faces; windows that all look like one.

    For the second the networks' thresholds are taken away, which no photo can do.
    """
    people = itertools.cycle(photo.rgb for photo in sources.orl())
    mosaic = Image.new("RGB", (1600, 1600))
    for y, x in itertools.product(range(0, 1552, 48), range(0, 1600, 40)):
        mosaic.paste(Image.fromarray(next(people)).resize((40, 48)), (x, y))
    spots = np.random.default_rng(0).integers(0, 256, (1100, 1100, 3), np.uint8)
    with one_thread():
        return {
            "mosaic of 1,320 faces": _found(FaceDetector(), np.array(mosaic)),
            "every window a candidate": _found(FaceDetector(thresholds=(0, -1, -1)), spots),
        }


def _found(detector: FaceDetector, rgb: np.ndarray) -> dict[str, object]:
    detector.find(rgb[:200, :200])  # what is loaded once
    start = time.process_time()
    found = detector.find(rgb)
    seconds = round(time.process_time() - start, 2)
    return {"processor_seconds": seconds, "faces": len(found.faces), "left_out": found.left_out}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repeats", type=int, default=15, help="timed readings of ordinary photos")
    parser.add_argument("--out", type=Path, help="write the report here, not to stdout")
    parser.add_argument(
        "--only",
        nargs="+",
        default=(),
        help="measure only files whose names begin with one of these",
    )
    given = parser.parse_args()
    read, refused = {}, {}
    files = {**WORST, **REFUSED}
    if given.only:
        files = {name: make for name, make in files.items() if name.startswith(tuple(given.only))}
    with tempfile.TemporaryDirectory() as folder:
        path, first = Path(folder) / "photo", Path(folder) / "first"
        first.write_bytes(encoded(noise(80), "JPEG"))
        for name, make in tqdm(files.items(), file=sys.stderr):
            path.write_bytes(make())
            size = {"kilobytes": round(path.stat().st_size / 1000)}
            if name in REFUSED:
                refused[name] = {**size, **alone(path, first)}
            else:
                read[name] = {**size, "alone": alone(path, first), "server": apart(path, first)}
    report = {
        "processor": processor(),
        "pillow": PIL.__version__,
        "limits": {"processor_seconds": SECONDS, "megabytes": MEGABYTES},
        "read": read,
        "refused": refused,
    }
    if not given.only:
        report |= {"ordinary_jpegs": added(given.repeats), "faces": crowds()}
    write(report, given.out)


if __name__ == "__main__":
    main()
