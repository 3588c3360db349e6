"""The image pyramid under P-Net: reduced copies of a photo, levels, and sheets of levels."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from PIL import Image

CELL = 12  # P-Net looks at windows of 12x12 pixels
STRIDE = 2  # that lie 2 pixels apart
_FACTOR = 0.709  # from one level of the pyramid to the next, so that areas halve


class ReducedPhoto:
    """A photo with its halved copies, from which levels and crops are cut without aliasing."""

    def __init__(self, rgb: np.ndarray) -> None:
        self.height, self.width = rgb.shape[:2]
        self._copies = [Image.fromarray(rgb)]

    def resized(self, width: int, height: int) -> np.ndarray:
        """The whole photo as (height, width, 3) uint8, by averaging areas."""
        copy, scale = self._copy(self.width / width, spare=1.5)
        box = (0, 0, self.width * scale, self.height * scale)
        return np.array(copy.resize((width, height), Image.Resampling.BOX, box=box))

    def crops(self, boxes: np.ndarray, side: int) -> np.ndarray:
        """The square boxes (N, 4) as (N, side, side, 3) uint8; grey beyond the photo's border.

        Grey is the networks' zero. The package squeezes what is inside of the photo into the square
        instead, which moves the landmarks of a face at the border by a tenth of its width.
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
        """The smallest halved copy with `spare` pixels for each one asked for, and its scale."""
        halvings = max(0, math.floor(math.log2(reduction / spare)))
        while len(self._copies) <= halvings:
            self._copies.append(self._copies[-1].reduce(2))
        return self._copies[halvings], 0.5**halvings


def _padded(image: Image.Image, x0: int, y0: int, x1: int, y1: int) -> Image.Image:
    """The part of an image from (x0, y0) to (x1, y1), grey where that lies outside of it."""
    part = Image.new("RGB", (x1 - x0, y1 - y0), (127, 127, 127))
    left, top = max(x0, 0), max(y0, 0)
    right, bottom = min(x1, image.width), min(y1, image.height)
    if left < right and top < bottom:
        part.paste(image.crop((left, top, right, bottom)), (left - x0, top - y0))
    return part


def smallest_face(height: int, width: int) -> float:
    """The largest of MTCNN's own window sizes, 20 / 0.709**k, within a fortieth of the photo."""
    steps = math.log(max(height, width) / 40 / 20) / math.log(1 / _FACTOR)
    return 20 / _FACTOR ** max(0, math.floor(steps))


def levels(width: int, height: int, smallest: float) -> list[tuple[int, int]]:
    """Sizes (width, height) of the pyramid, in which P-Net's windows cover `smallest` and up."""
    scale, sizes = CELL / smallest, []
    while min(width, height) * scale >= CELL:
        sizes.append((int(width * scale + 1), int(height * scale + 1)))
        scale *= _FACTOR
    return sizes


@dataclass(frozen=True)
class Tile:
    """A level of the pyramid and where on a sheet it lies."""

    width: int
    height: int
    x: int = 0
    y: int = 0

    def windows(self) -> tuple[slice, slice]:
        """Rows and columns of P-Net's output that look at this level and nothing else."""
        rows, columns = ((side - CELL) // STRIDE + 1 for side in (self.height, self.width))
        y, x = self.y // STRIDE, self.x // STRIDE
        return slice(y, y + rows), slice(x, x + columns)


def sheets(sizes: list[tuple[int, int]]) -> list[list[Tile]]:
    """The first level (width, height) by itself and all the others side by side on one sheet.

    Two calls of the network instead of ten: on several threads each layer of each call has them
    wait for one another. Two rows of tiles take a seventh more area than the levels have.
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
