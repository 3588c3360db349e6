"""The image pyramid of P-Net: reduced copies of a photo, levels, and strips of levels."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from PIL import Image

CELL = 12  # side in pixels of P-Net's windows
STRIDE = 2  # pixels between neighbouring windows
_FACTOR = 0.709  # scale from one level of the pyramid to the next, so that areas halve

#: Pixels that a strip of a level has at most, unless it has no more than so many rows of windows:
#: the strip below it computes ten rows of pixels again.
_STRIP_PIXELS, _LEAST_ROWS = 20_000, 8


class ReducedPhoto:
    """A photo with its halved copies, from which levels and crops are resized without aliasing.

    Args:
        rgb: (H, W, 3) uint8.
    """

    def __init__(self, rgb: np.ndarray) -> None:
        self.height, self.width = rgb.shape[:2]
        self._copies = [Image.fromarray(rgb)]

    def resized(self, width: int, height: int) -> np.ndarray:
        """Resize the whole photo by area averaging.

        Args:
            width: in pixels.
            height: in pixels.

        Returns:
            (height, width, 3) uint8.
        """
        copy, scale = self._copy(self.width / width, spare=1.5)
        box = (0, 0, self.width * scale, self.height * scale)
        return np.array(copy.resize((width, height), Image.Resampling.BOX, box=box))

    def crops(self, boxes: np.ndarray, side: int) -> np.ndarray:
        """Crop square boxes and resize them; pixels beyond the photo are grey.

        Grey is the networks' zero. The package resizes the part inside of the photo to the square
        instead, which moves the landmarks of a face at the border by a tenth of its width.

        Args:
            boxes: (N, 4), x0 y0 x1 y1 in pixels of the photo, square.
            side: side of the crops in pixels.

        Returns:
            (N, side, side, 3) uint8.
        """
        out = np.empty((len(boxes), side, side, 3), np.uint8)
        for crop, box in zip(out, boxes, strict=True):
            copy, scale = self._copy((box[2] - box[0]) / side, spare=2)
            box = box * scale
            if min(box) < 0 or box[2] > copy.width or box[3] > copy.height:
                x, y = np.floor(box[:2]).astype(int)
                copy = _padded(copy, x, y, *np.ceil(box[2:]).astype(int))
                box = box - [x, y, x, y]
            crop[:] = copy.resize((side, side), Image.Resampling.BOX, box=tuple(box))
        return out

    def _copy(self, reduction: float, spare: float) -> tuple[Image.Image, float]:
        """The smallest halved copy with `spare` pixels per requested pixel, and its scale."""
        halvings = max(0, math.floor(math.log2(reduction / spare)))
        while len(self._copies) <= halvings:
            self._copies.append(self._copies[-1].reduce(2))
        return self._copies[halvings], 0.5**halvings


def _padded(image: Image.Image, x0: int, y0: int, x1: int, y1: int) -> Image.Image:
    """The part of an image from (x0, y0) to (x1, y1), grey where that is outside of it."""
    part = Image.new("RGB", (x1 - x0, y1 - y0), (127, 127, 127))
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1, image.width), min(y1, image.height)
    if left < right and top < bottom:
        part.paste(image.crop((left, top, right, bottom)), (left - x0, top - y0))
    return part


def smallest_face(height: int, width: int) -> float:
    """Default size of the smallest face: at most a fortieth of the photo's longer side.

    It is the largest of MTCNN's own window sizes, 20 / 0.709**k, within that; never below 20.

    Args:
        height: of the photo in pixels.
        width: of the photo in pixels.

    Returns:
        Side of the face in pixels.
    """
    steps = math.log(max(height, width) / 40 / 20) / math.log(1 / _FACTOR)
    return 20 / _FACTOR ** max(0, math.floor(steps))


def levels(width: int, height: int, smallest: float) -> list[tuple[int, int]]:
    """Sizes of the pyramid's levels, whose windows of P-Net cover faces of `smallest` and up.

    Args:
        width: of the photo in pixels.
        height: of the photo in pixels.
        smallest: side of the smallest face in pixels.

    Returns:
        (width, height) of each level, largest first; [] when the photo is too small.
    """
    scale, sizes = CELL / smallest, []
    while min(width, height) * scale >= CELL:
        sizes.append((int(width * scale + 1), int(height * scale + 1)))
        scale *= _FACTOR
    return sizes


def strips(shape: tuple[int, ...]) -> Iterator[tuple[slice, slice]]:
    """Divide a level into strips that P-Net reads one after another, from top to bottom.

    P-Net's intermediate results are twenty times as large as its input. Those of a strip fit the
    processor's cache, which is a third faster than a whole level of a large photo, and memory does
    not grow with the photo.

    Args:
        shape: (H, W, ...) of the level.

    Yields:
        Slices of rows and columns; each window of the level is in exactly one strip.
    """
    rows, columns = ((side - CELL) // STRIDE + 1 for side in shape[:2])  # of windows
    width = (columns - 1) * STRIDE + CELL
    most = max(_LEAST_ROWS, (_STRIP_PIXELS // width - CELL) // STRIDE + 1)
    count = math.ceil(rows / most)
    for i in range(count):
        first, after = rows * i // count, rows * (i + 1) // count
        yield slice(first * STRIDE, (after - 1) * STRIDE + CELL), slice(0, width)
