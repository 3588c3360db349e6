"""The door for photos: untrusted bytes to an upright RGB array, within fixed limits.

Formats are told by content, never by name. The size of the file and the number of pixels are
checked before anything is decoded. Metadata other than the EXIF orientation is dropped.
"""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import numpy as np
from PIL import Image

from daah.errors import ImageError

MAX_BYTES = 10 * 2**20
MAX_PIXELS = 40_000_000

#: libwebp's animation decoder, which Pillow uses for every WebP, takes 16 bytes a pixel where JPEG
#: and PNG take 4; this keeps the memory of one photo under 300 MB all the same.
MAX_PIXELS_WEBP = 4096 * 4096

#: The first bytes of each accepted format, by the name that Pillow's `formats=` list takes.
_SIGNATURES = {"JPEG": (b"\xff\xd8\xff", 0), "PNG": (b"\x89PNG\r\n\x1a\n", 0), "WEBP": (b"WEBP", 8)}

# Pillow warns of photos over 89 megapixels and still opens them; also where others call it.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# A broken EXIF block is no news to whoever runs this, and Pillow's text names a path.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")

_ORIENTATION = 0x0112  # the EXIF tag

#: Rows that are converted at a time: a second whole copy of a 40 megapixel photo is never made.
_STRIP_PIXELS = 1_000_000


def read_image(source: bytes | Path) -> np.ndarray:
    """A JPEG, PNG or WebP file, as bytes or as a path, to (H, W, 3) uint8 RGB, upright.

    Transparent pixels are laid on white; of an animation the first frame is taken. Raises
    ImageError, whose text names no path, for anything that cannot be read within MAX_BYTES and
    MAX_PIXELS.
    """
    data = _read(source) if isinstance(source, Path) else source
    if not data:
        raise ImageError("The file is empty.")
    if len(data) > MAX_BYTES:
        raise ImageError(
            f"The file is larger than {MAX_BYTES // 2**20} MiB; choose or export a smaller one."
        )
    kind = _kind(data)
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            return upright_rgb(image)
    except ImageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise ImageError(
            f"The photo has far more than {_mega(MAX_PIXELS)} megapixels, the most that can be "
            "read. Choose or export a smaller one."
        ) from None
    except Exception as error:  # decoders raise nearly every kind of exception on hostile bytes
        raise _damaged() from error


def upright_rgb(image: Image.Image) -> np.ndarray:
    """A PIL image of any mode, loaded or not, to (H, W, 3) uint8 RGB, turned upright by its EXIF.

    Raises ImageError when the pixels are too many or cannot be decoded.
    """
    width, height = image.size
    most = MAX_PIXELS_WEBP if image.format == "WEBP" else MAX_PIXELS
    if width * height > most:
        raise ImageError(
            f"The photo has {_mega(width * height)} megapixels; at most {_mega(most)} can be read. "
            "Choose or export a smaller one."
        )
    try:
        image.load()
        orientation = _orientation(image)  # after the pixels: PNG may carry its EXIF behind them
        shape = (width, height, 3) if orientation >= 5 else (height, width, 3)
        upright = np.empty(shape, np.uint8)
        stored = _as_stored(upright, orientation)
        rows = max(1, _STRIP_PIXELS // width)
        for top in range(0, height, rows):
            bottom = min(top + rows, height)
            stored[top:bottom] = _strip_rgb(image.crop((0, top, width, bottom)))
    except Exception as error:  # see read_image
        raise _damaged() from error
    return upright


def shrink(rgb: np.ndarray, max_side: int = 1600) -> np.ndarray:
    """A copy of rgb (H, W, 3) uint8 whose longer side is `max_side`, or rgb itself if it fits."""
    height, width = rgb.shape[:2]
    longer = max(height, width)
    if longer <= max_side:
        return rgb
    size = tuple(max(1, round(side * max_side / longer)) for side in (width, height))
    # reducing_gap averages whole blocks first: as sharp to the eye, and several times faster.
    small = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.array(small)


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # also keeps pipes and devices from blocking the reader
            raise ImageError("The photo could not be opened: there is no such file.")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        raise ImageError("The photo could not be opened.") from None


def _kind(data: bytes) -> str:
    for kind, (magic, offset) in _SIGNATURES.items():
        if data[offset : offset + len(magic)] == magic:
            return kind
    if data[4:8] == b"ftyp":
        raise ImageError(
            "HEIC, AVIF and video files cannot be read; save the photo as JPEG, PNG or WebP."
        )
    raise ImageError("The file is not a photo that can be read; use JPEG, PNG or WebP.")


def _strip_rgb(strip: Image.Image) -> np.ndarray | Image.Image:
    """An image of any mode to something that numpy reads as (h, w, 3) uint8."""
    if strip.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips instead of scaling
        grey = np.clip(np.asarray(strip), 0, 65535).astype(np.uint16) >> 8
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    if strip.has_transparency_data:
        strip = strip.convert("RGBA")
        white = Image.new("RGBA", strip.size, "white")
        return Image.alpha_composite(white, strip).convert("RGB")
    return strip if strip.mode == "RGB" else strip.convert("RGB")


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1 where there is none that makes sense."""
    try:
        value = int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a photo is worth showing even when its EXIF block is broken
        return 1
    return value if 1 <= value <= 8 else 1


def _as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """The view of `upright` whose rows and columns run as the file stores them.

    Exif 2.32, tag 274: the value says where row 0 and column 0 of the stored picture belong, such
    as 6 for "row 0 is the right side, column 0 the top".
    """
    stored = upright.transpose(1, 0, 2) if orientation >= 5 else upright
    if orientation in (3, 4, 6, 7):
        stored = stored[::-1]
    if orientation in (2, 3, 7, 8):
        stored = stored[:, ::-1]
    return stored


def _mega(pixels: int) -> str:
    return f"{pixels / 1e6:.3g}"


def _damaged() -> ImageError:
    return ImageError("The photo is damaged or cut off and cannot be read; try another copy of it.")
