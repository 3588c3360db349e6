"""The image pyramid of P-Net: reduced copies of a photo, levels, and sheets of levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

CELL = 12  # side in pixels of P-Net's windows
STRIDE = 2  # pixels between neighbouring windows
_FACTOR = 0.709  # scale from one level of the pyramid to the next, so that areas halve


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


@dataclass(frozen=True)
class Tile:
    """A level of the pyramid and its position on a sheet.

    Attributes:
        width: in pixels.
        height: in pixels.
        x: left edge on the sheet in pixels, a multiple of STRIDE.
        y: top edge on the sheet in pixels, a multiple of STRIDE.
    """

    width: int
    height: int
    x: int = 0
    y: int = 0

    def windows(self) -> tuple[slice, slice]:
        """Part of P-Net's output whose windows are within this level.

        Returns:
            Slices of the output's rows and columns.
        """
        rows, columns = ((side - CELL) // STRIDE + 1 for side in (self.height, self.width))
        y, x = self.y // STRIDE, self.x // STRIDE
        return slice(y, y + rows), slice(x, x + columns)


def sheets(sizes: list[tuple[int, int]]) -> list[list[Tile]]:
    """Arrange the levels on sheets: the first by itself, all others side by side on a second.

    Two calls of the network instead of ten: on several threads every layer of every call
    synchronises them. Two rows of tiles take a seventh more area than the levels have.

    Args:
        sizes: (width, height) of the levels, largest first.

    Returns:
        The tiles of each sheet.
    """
    if not sizes:
        return []
    (width, height), others = sizes[0], sizes[1:]
    tiles, x, y, below = [], 0, 0, 0
    for w, h in others:
        if x and x + w > 1.25 * width:
            x, y = 0, below
        tiles.append(Tile(w, h, x, y))
        x += w + w % STRIDE  # so that windows begin where tiles do
        below = max(below, y + h + h % STRIDE)
    first = [Tile(width, height)]
    return [first, tiles] if tiles else [first]
