"""Structure of photos' files: what the decoder is given, and whether it is too much.

A decoder does whatever a file asks for. A scan of 61 bytes costs it a pass over all pixels, a chunk
of a kilobyte a megabyte of text. So the structure of a file is parsed first, in a bounded number of
steps. Its size and kind are read, and what is not needed for pixels is left out. A file that would
take too much time or memory is refused before anything is decoded.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from daah import box_formats
from daah.errors import ImageError

#: Photos that are read, in words.
KINDS = "JPEG, PNG, WebP, AVIF or HEIC"

MAX_PIXELS = 40_000_000

#: libwebp's animation decoder, which Pillow uses for every WebP, takes 16 bytes per pixel, where
#: JPEG and PNG take 4. This limit keeps the memory of one photo under 300 MB.
MAX_PIXELS_WEBP = 4096 * 4096

#: Pixels of a HEIC or AVIF photo, which its decoder holds two or three times, and of all the coded
#: images that it is made of: tiles, which may overlap its borders, and transparency.
MAX_PIXELS_BOXED, MAX_CODED = 25_000_000, 62_500_000

#: Pixels per side: Pillow keeps a pointer per row, and works row by row.
MAX_SIDE = 30_000

#: Bytes that a PNG's rows may unpack to: the largest photo of 8 bits per channel. Reversing their
#: filters takes most of the time, 9 ms per megabyte, and a sixth more for an interlaced PNG.
MAX_ROWS, MAX_ROWS_INTERLACED = 120_000_000, 100_000_000

#: Bytes of pixels, at 4 each, and of coefficients, at 2 each, that a JPEG of several scans may
#: hold in memory: it is decoded only when its last scan has been read.
MAX_COEFFICIENTS = 280_000_000

#: Scans of a JPEG. Ten is what encoders write, eighteen with four channels.
MAX_SCANS = 100

#: Samples that all scans of a JPEG together may visit, each those of its channels. 40 million take
#: 43 ms; ten scans of the largest photo are 320 million.
MAX_PASSED = 600_000_000

#: Segments of a JPEG and chunks of a WebP that are parsed.
MAX_SEGMENTS = 2_000

#: Chunks of a PNG, whose pixels may come in pieces of a kilobyte.
MAX_CHUNKS = 20_000

#: Bytes of an EXIF block that are read. The orientation is at its beginning, and a larger block can
#: refer to itself so often that parsing takes minutes.
MAX_EXIF = 16_384

#: Chunks that a PNG's pixels depend on; text, profiles and further frames are not among them.
_PNG_NEEDED = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}

#: Chunks that a WebP's pixels depend on, in their order in the file, and flags of the first one.
_WEBP_NEEDED = (b"VP8X", b"ANIM", b"ANMF", b"ALPH", b"VP8 ", b"VP8L")
_WEBP_ALPHA, _WEBP_ANIMATION = 0x10, 0x02

# Codes of JPEG's markers (ITU-T T.81, table B.1).
_SOF = (0xC0, 0xC1, 0xC2)  # sequential, and progressive
_PROGRESSIVE = 0xC2
_RARE = (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)  # lossless, arithmetic, ...
_DHT, _EOI, _SOS, _DQT, _DNL, _DRI, _COM = 0xC4, 0xD9, 0xDA, 0xDB, 0xDC, 0xDD, 0xFE
_APP0, _APP1, _APP14, _APP15 = 0xE0, 0xE1, 0xEE, 0xEF
_TEM, _RST0, _RST7 = 0x01, 0xD0, 0xD7
#: Colours depend on two of the APP segments.
_JPEG_NEEDED = {*_SOF, _DHT, _SOS, _DQT, _DRI, _APP0, _APP14}
_JPEG_KNOWN = {*_JPEG_NEEDED, *_RARE, _DNL, _COM, *range(_APP0, _APP15 + 1)}


@dataclass(frozen=True)
class Contents:
    """A photo's file as the decoder gets it.

    Attributes:
        kind: JPEG, PNG, WEBP, AVIF or HEIF.
        width: width in pixels, as stored.
        height: height in pixels, as stored.
        data: the file without what is not needed for its pixels.
        exif: the TIFF block that was taken out of the file; empty without one.
    """

    kind: str
    width: int
    height: int
    data: bytes
    exif: bytes


def contents(data: bytes) -> Contents:
    """Parse a photo's file.

    Args:
        data: the file's bytes.

    Returns:
        The part of the file that the decoder needs.

    Raises:
        ImageError: the file is of none of these kinds, is damaged, or exceeds a limit.
    """
    if not data:
        raise ImageError("The file is empty.")
    for magic, offset, walk in _KINDS:
        if data[offset : offset + len(magic)] == magic:
            try:
                return walk(data)
            except (struct.error, IndexError):  # a part ends within what it should hold
                raise damaged() from None
    if box_formats.is_boxed(data):
        return _boxed(data)
    raise ImageError(f"The file is not a photo that can be read; use {KINDS}.")


def damaged() -> ImageError:
    """The error of a file whose parts do not fit together."""
    return ImageError("The photo is damaged or cut off and cannot be read; try another copy of it.")


def check_size(width: int, height: int, most: int = MAX_PIXELS, of: str = "a photo") -> None:
    """Check the size of an image against the limits.

    Args:
        width: in pixels.
        height: in pixels.
        most: upper limit of width times height.
        of: the kind of image that the limit is for, as the error calls it.

    Raises:
        ImageError: a side or the number of pixels is not above 0, or exceeds its limit.
    """
    if width <= 0 or height <= 0:
        raise damaged()
    if width * height > most:
        raise ImageError(
            f"The photo has {_megapixels(width * height, most)}; at most {most // 10_000 / 100:g} "
            f"can be read of {of}. Choose or export a smaller one."
        )
    if max(width, height) > MAX_SIDE:
        raise ImageError(
            f"A side of the photo has {max(width, height):,} pixels; at most {MAX_SIDE:,} can be "
            "read. Choose or export a smaller one."
        )


def _megapixels(pixels: int, most: int) -> str:
    """Pixels as megapixels, with as many digits as show that they exceed `most`."""
    digits = next(n for n in range(1, 7) if n == 6 or float(f"{pixels / 1e6:.{n}f}") > most / 1e6)
    return f"{pixels / 1e6:,.{digits}f} megapixels"


def _too_many(what: str, most: int) -> ImageError:
    return ImageError(
        f"The file has more than {most:,} {what}, which no camera or program needs for a photo. "
        "Open it and save it again as a new JPEG."
    )


# --- JPEG ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """A JPEG's frame header. shares: samples per pixel of each channel, by channel number."""

    width: int
    height: int
    progressive: bool
    shares: dict[int, float]


def _jpeg(data: bytes) -> Contents:
    kept, exif, frame, scans, passed = [data[:2]], b"", None, 0, 0.0
    for code, start, body, end in _segments(data):
        head = data[start + 4 : body]
        if code in _RARE:
            raise ImageError(
                "JPEG files of this rare kind (lossless, hierarchical or with arithmetic coding) "
                "cannot be read. Open the photo and save it again as an ordinary JPEG."
            )
        if code == _APP1 and head.startswith(b"Exif\0\0"):
            exif = exif or head[6 : 6 + MAX_EXIF]
        if code in _SOF:
            if frame is not None:
                raise damaged()
            frame = _frame(code, head)
        if code == _SOS:
            channels = [share for _, share in _scan(frame, head)]
            if frame.progressive or len(channels) < len(frame.shares):
                _check_coefficients(frame)
            scans, passed = scans + 1, passed + frame.width * frame.height * sum(channels)
            if scans > MAX_SCANS or passed > MAX_PASSED:
                raise ImageError(
                    f"This JPEG goes over its pixels {scans} times and more, which no photo of its "
                    "size needs. Open it and save it again as a new JPEG."
                )
        if code in _JPEG_NEEDED or code == _EOI:
            kept.append(data[start:end])
    if frame is None or not scans:
        raise damaged()
    return Contents("JPEG", frame.width, frame.height, b"".join(kept), exif)


def _segments(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """(marker code, start, end of the parameters, end) of each segment, as byte offsets.

    A scan's segment includes its entropy-coded data. Bytes outside of segments are skipped, as
    decoders do.
    """
    array = np.frombuffer(data, np.uint8)
    places = np.flatnonzero(array[:-1] == 0xFF)
    codes = array[places + 1]
    # 0xFF 0xFF is padding, 0xFF 0 is an escaped 0xFF, and the others occur within scan data.
    alone = (codes == 0) | (codes == 0xFF) | (codes == _TEM) | (codes >= _RST0) & (codes <= _RST7)
    places = places[~alone]
    position = 2
    for _ in range(MAX_SEGMENTS):
        start = _next(places, position, len(data))
        if start == len(data):
            return
        code = data[start + 1]
        if code == _EOI:
            yield code, start, start + 2, start + 2
            return
        if code not in _JPEG_KNOWN:
            raise damaged()
        body = start + 2 + struct.unpack_from(">H", data, start + 2)[0]
        if not start + 4 <= body <= len(data):
            raise damaged()
        position = _next(places, body, len(data)) if code == _SOS else body
        yield code, start, body, position
    raise _too_many("segments", MAX_SEGMENTS)


def _next(places: np.ndarray, position: int, end: int) -> int:
    """The first of the ascending `places` from `position` on, or `end`."""
    i = int(np.searchsorted(places, position))
    return int(places[i]) if i < len(places) else end


def _frame(code: int, head: bytes) -> _Frame:
    height, width, count = struct.unpack_from(">xHHB", head)
    channels = [struct.unpack_from(">BBx", head, 6 + 3 * i) for i in range(count)]
    areas = {number: (factors >> 4) * (factors & 15) for number, factors in channels}
    highest = max((factors >> 4 for _, factors in channels), default=0)
    widest = max((factors & 15 for _, factors in channels), default=0)
    if len(areas) < count or not all(areas.values()):
        raise damaged()
    check_size(width, height, of="a JPEG or PNG")
    shares = {number: area / (highest * widest) for number, area in areas.items()}
    return _Frame(width, height, code == _PROGRESSIVE, shares)


def _scan(frame: _Frame | None, head: bytes) -> list[tuple[int, float]]:
    """Numbers and shares of the channels that a scan goes over."""
    numbers = [head[1 + 2 * i] for i in range(head[0])]
    if frame is None or not numbers or not frame.shares.keys() >= set(numbers):
        raise damaged()
    return [(number, frame.shares[number]) for number in numbers]


def _check_coefficients(frame: _Frame) -> None:
    most = int(MAX_COEFFICIENTS / (4 + 2 * sum(frame.shares.values())))
    kind = "a progressive JPEG with colours as fine as these"
    check_size(frame.width, frame.height, min(most, MAX_PIXELS), kind)


# --- PNG (its specification, third edition) -------------------------------------------------------


def _png(data: bytes) -> Contents:
    kept, exif, seen, position = [data[:8]], b"", set(), 8
    for _ in range(MAX_CHUNKS):
        if position >= len(data):
            break
        length, name = struct.unpack_from(">I4s", data, position)
        start, position = position, position + 12 + length
        if (name == b"IHDR") != (start == 8):
            raise damaged()
        if name == b"eXIf":
            exif = exif or data[start + 8 : min(position - 4, start + 8 + MAX_EXIF)]
        if name == b"IDAT" or (name in _PNG_NEEDED and name not in seen):
            kept.append(data[start:position])
        seen.add(name)
        if name == b"IEND":
            break
    else:
        raise _too_many("chunks", MAX_CHUNKS)
    width, height, depth, colour, interlaced = struct.unpack_from(">IIBBxxB", data, 16)
    bits = depth * _PNG_CHANNELS.get(colour, 4)
    rows = MAX_ROWS_INTERLACED if interlaced else MAX_ROWS
    check_size(width, height, of="a JPEG or PNG")
    kind = f"{'an interlaced' if interlaced else 'a'} PNG of {bits} bits a pixel"
    check_size(width, height, min(MAX_PIXELS, 8 * rows // max(bits, 1)), kind)
    return Contents("PNG", width, height, b"".join(kept), exif)


# --- WebP (RFC 9649) ------------------------------------------------------------------------------


def _webp(data: bytes) -> Contents:
    end = 8 + struct.unpack_from("<I", data, 4)[0]
    if end > len(data):
        raise damaged()
    chunks: dict[bytes, bytes] = {}  # the first of each kind: of an animation the first frame
    position = 12
    for _ in range(MAX_SEGMENTS):
        if position + 8 > end:
            break
        name, length = struct.unpack_from("<4sI", data, position)
        start, position = position + 8, position + 8 + length + length % 2
        if start + length > end:
            raise damaged()
        if name not in chunks:
            chunks[name] = data[start : start + (length if name in _WEBP_NEEDED else MAX_EXIF)]
    else:
        raise _too_many("chunks", MAX_SEGMENTS)
    width, height = _webp_size(chunks)
    check_size(width, height, MAX_PIXELS_WEBP, "a WebP")
    exif = chunks.get(b"EXIF", b"").removeprefix(b"Exif\0\0")
    if b"VP8X" in chunks:  # without the flags of what is left out
        flags = chunks[b"VP8X"][0] & (_WEBP_ALPHA | _WEBP_ANIMATION)
        chunks[b"VP8X"] = bytes([flags]) + chunks[b"VP8X"][1:]
    body = b"WEBP" + b"".join(
        name + struct.pack("<I", len(chunks[name])) + chunks[name] + bytes(len(chunks[name]) % 2)
        for name in _WEBP_NEEDED
        if name in chunks
    )
    return Contents("WEBP", width, height, b"RIFF" + struct.pack("<I", len(body)) + body, exif)


def _webp_size(chunks: dict[bytes, bytes]) -> tuple[int, int]:
    if b"VP8X" in chunks:
        low_width, high_width, low_height, high_height = struct.unpack_from(
            "<xxxxHBHB", chunks[b"VP8X"]
        )
        return 1 + low_width + (high_width << 16), 1 + low_height + (high_height << 16)
    if b"VP8L" in chunks:
        (sides,) = struct.unpack_from("<xI", chunks[b"VP8L"])
        return 1 + (sides & 0x3FFF), 1 + (sides >> 14 & 0x3FFF)
    if b"VP8 " in chunks:
        width, height = struct.unpack_from("<xxxxxxHH", chunks[b"VP8 "])
        return width & 0x3FFF, height & 0x3FFF
    raise damaged()


# --- HEIC and AVIF --------------------------------------------------------------------------------


def _boxed(data: bytes) -> Contents:
    try:
        found = box_formats.parse(data)
    except (struct.error, LookupError):
        raise damaged() from None
    if found is None:
        raise ImageError(f"The file is a video or another file without a photo; use {KINDS}.")
    kind = "an AVIF" if found.kind == "AVIF" else "a HEIC"
    check_size(found.width, found.height, MAX_PIXELS_BOXED, kind)
    if not 0 < found.coded <= MAX_CODED:
        raise ImageError(
            f"The tiles of this photo have {_megapixels(found.coded, MAX_CODED)}; at most "
            f"{MAX_CODED / 1e6:g} can be read. Open it and save it again as an ordinary JPEG."
        )
    return Contents(found.kind, found.width, found.height, found.data, b"")


#: Magic bytes of each format, their offset, and the parser of the rest.
_KINDS = (
    (b"\xff\xd8\xff", 0, _jpeg),
    (b"\x89PNG\r\n\x1a\n", 0, _png),
    (b"WEBP", 8, _webp),
)
