"""Decoding of photos: untrusted bytes to an upright RGB array, within fixed limits.

The format is detected from the content, never from the file name. The cost of decoding is checked
before it begins (`daah.formats`). All metadata but the EXIF orientation is dropped.
"""

from __future__ import annotations

import functools
import io
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import AvifImagePlugin, Image

from daah.errors import ImageError
from daah.formats import MAX_PIXELS, Contents, check_size, contents, damaged

MAX_BYTES = 10 * 2**20

# Pillow warns of photos over 89 megapixels and still opens them; also where others call it.
warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
# A broken EXIF block does not concern the operator, and Pillow's warning contains a path.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")

# A photo has the processor's time of one thread, as every limit on it is measured.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_ORIENTATION = 0x0112  # the EXIF tag

#: Pixels that are converted at a time, so that no second copy of a 40 megapixel photo is made.
_STRIP_PIXELS = 1_000_000

#: Allocates the array that a photo is decoded into, from its shape (H, W, 3).
Empty = Callable[[tuple[int, int, int]], np.ndarray]


def read_image(source: bytes | str | Path, most_pixels: int = MAX_PIXELS) -> np.ndarray:
    """Decode a JPEG, PNG, WebP, AVIF or HEIC file and turn it upright.

    Transparent pixels are composited on white. Of an animation the first frame is decoded. HEIC
    needs the package `pillow-heif`.

    Args:
        source: the file's bytes, or its path; a str is a path.
        most_pixels: upper limit of width times height.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the file cannot be decoded within the limits of `MAX_BYTES` and `daah.formats`.
            The text contains no path.
        TypeError: `source` is neither bytes nor a path.
    """
    return read_into(_empty, source, most_pixels)


def read_into(
    empty: Empty, source: bytes | str | Path, most_pixels: int = MAX_PIXELS
) -> np.ndarray:
    """As `read_image`, into an array that the caller allocates.

    Args:
        empty: called with the shape (H, W, 3); returns an uninitialised uint8 array of it.
        source: as of `read_image`.
        most_pixels: as of `read_image`.

    Returns:
        The array of `empty`, filled.

    Raises:
        ImageError: as of `read_image`.
        TypeError: as of `read_image`.
    """
    found = contents(_bytes(source))
    check_size(found.width, found.height, most_pixels)
    return _decoded(found, empty)


def upright_rgb(image: Image.Image) -> np.ndarray:
    """Convert a PIL image to RGB and turn it upright by its EXIF orientation.

    Args:
        image: an image of any mode, loaded or not.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        ImageError: the image has too many pixels, or cannot be decoded.
    """
    check_size(*image.size)
    try:
        image.load()
        return _rgb(image, _orientation(image.getexif), _empty)
    except Exception as error:  # decoders raise nearly every kind of exception on hostile bytes
        raise damaged() from error


def shrink(rgb: np.ndarray, max_side: int = 1600) -> np.ndarray:
    """Downscale an image whose longer side exceeds `max_side`.

    Args:
        rgb: (H, W, 3) uint8.
        max_side: longest side of the result in pixels.

    Returns:
        A resized copy, (H', W', 3) uint8 of the same aspect ratio, or rgb itself if it fits.
    """
    height, width = rgb.shape[:2]
    longer = max(height, width)
    if longer <= max_side:
        return rgb
    size = tuple(max(1, round(side * max_side / longer)) for side in (width, height))
    # reducing_gap averages whole blocks first: as sharp to the eye, and several times faster.
    small = Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    return np.array(small)


def _decoded(found: Contents, empty: Empty) -> np.ndarray:
    if found.kind == "HEIF":
        open_heic()
    try:
        with Image.open(io.BytesIO(found.data), formats=[found.kind]) as image:
            if not _is_as_said(image.size, found):
                raise damaged()
            image.load()
            if not _is_as_said(image.size, found):  # decoders of HEIC go by the coded image
                raise damaged()
            # Of AVIF, Pillow gives what the image's properties say as EXIF.
            boxed = found.kind in ("AVIF", "HEIF")
            exif = image.getexif if boxed else lambda: _exif(found.exif)
            return _rgb(image, _orientation(exif), empty)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(
            "The photo takes more memory to read than it may. Save it again as an ordinary JPEG."
        ) from None
    except Exception as error:  # see upright_rgb
        raise damaged() from error


def _is_as_said(size: tuple[int, int], found: Contents) -> bool:
    """Whether an image has the size that its file says. HEIC comes turned and cropped already."""
    if found.kind != "HEIF":
        return size == (found.width, found.height)
    fits = zip(sorted(size), sorted((found.width, found.height)), strict=True)
    return all(0 < side <= said for side, said in fits)


@functools.cache
def open_heic() -> None:
    """Let Pillow read HEIC files.

    Raises:
        ImageError: the package `pillow-heif` is missing.
    """
    try:
        import pillow_heif
    except ImportError:
        raise ImageError(
            "HEIC photos cannot be read here, because the package pillow-heif is missing. Save the "
            "photo as JPEG."
        ) from None
    pillow_heif.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )


def _rgb(image: Image.Image, orientation: int, empty: Empty) -> np.ndarray:
    """The pixels of a loaded image, turned upright."""
    width, height = image.size
    upright = empty((width, height, 3) if orientation >= 5 else (height, width, 3))
    stored = _as_stored(upright, orientation)
    rows = max(1, _STRIP_PIXELS // width)
    for top in range(0, height, rows):
        bottom = min(top + rows, height)
        stored[top:bottom] = _strip_rgb(image.crop((0, top, width, bottom)))
    return upright


def _empty(shape: tuple[int, int, int]) -> np.ndarray:
    return np.empty(shape, np.uint8)


def _bytes(source: bytes | str | Path) -> bytes:
    if isinstance(source, str | Path):
        source = _read(Path(source))
    elif not isinstance(source, bytes):
        raise TypeError(
            f"source: expected the bytes of a photo or its path, got {type(source).__name__}"
        )
    if len(source) > MAX_BYTES:
        raise ImageError(
            f"The file is larger than {MAX_BYTES // 2**20} MiB; choose or export a smaller one."
        )
    return source


def _read(path: Path) -> bytes:
    try:
        if not path.is_file():  # also keeps pipes and devices from blocking the reader
            raise ImageError("The photo could not be opened: there is no such file.")
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except (OSError, ValueError):
        raise ImageError("The photo could not be opened.") from None


def _strip_rgb(strip: Image.Image) -> np.ndarray | Image.Image:
    """An image of any mode to what numpy converts to (h, w, 3) uint8."""
    if strip.mode.startswith("I"):  # 16-bit grey: Pillow's own conversion clips instead of scaling
        grey = np.clip(np.asarray(strip), 0, 65535).astype(np.uint16) >> 8
        return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2)
    if strip.has_transparency_data:
        strip = strip if strip.mode == "RGBA" else strip.convert("RGBA")
        white = Image.new("RGB", strip.size, "white")
        white.paste(strip, mask=strip)
        return white
    return strip if strip.mode == "RGB" else strip.convert("RGB")


def _exif(block: bytes) -> Image.Exif:
    exif = Image.Exif()
    exif.load(block)
    return exif


def _orientation(exif: Callable[[], Image.Exif]) -> int:
    """The EXIF orientation, 1 to 8; 1 when it is missing or invalid."""
    try:
        value = int(exif().get(_ORIENTATION, 1))
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


def enlarged(mask: np.ndarray, size: int) -> np.ndarray:
    """Enlarge a mask smoothly.

    Args:
        mask: (G, G) in [0, 1].
        size: side in pixels.

    Returns:
        (size, size) float32 in [0, 1].
    """
    mask = np.asarray(mask, np.float32)
    if len(mask) == size:
        return mask
    smooth = Image.fromarray(mask).resize((size, size), Image.Resampling.BICUBIC)
    return np.clip(np.asarray(smooth), 0, 1)
