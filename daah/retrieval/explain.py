"""What the model looks at, drawn: heatmaps, and which region of a face moves which bit."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from daah.models.encoder import FaceEncoder
from daah.types import ALIGNED_SIZE, EncodedFace

#: Perceptually uniform and readable with any colour vision (van der Walt and Smith, 2015); its
#: greens and blues stand out from skin.
COLOUR_MAP = "viridis"

#: Blur in pixels of the aligned frame that stands for "this region is hidden": no feature of a
#: face survives it, and no edge comes into being as with a grey patch.
BLUR = 12.0

#: Pixels over which a heatmap fades out at the border of its frame on a photo.
_FEATHER = 8.0


def overlay(rgb: np.ndarray, mask: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """Lay a heatmap over an image: rgb (H, W, 3) uint8 and mask (H, W) float in [0, 1].

    strength: share of the colour in the mixture, from 0 (photo only) to 1 (heatmap only).
    Returns (H, W, 3) uint8. Raises ValueError when the sizes differ or strength is out of range.
    """
    if rgb.shape[:2] != mask.shape:
        raise ValueError(f"overlay: image {rgb.shape[:2]} and mask {mask.shape} differ in size")
    return _mix(rgb, colours(mask), np.full(mask.shape, _strength(strength), np.float32))


def overlay_photo(
    rgb: np.ndarray, encoded_faces: Sequence[EncodedFace], strength: float = 0.5
) -> np.ndarray:
    """Draw each face's mask back where it lies on the photo (H, W, 3) uint8; returns a copy.

    Where frames overlap, the smaller face is drawn over the larger.
    """
    feather = Image.fromarray(np.rint(255 * _strength(strength) * _fade()).astype(np.uint8))
    photo = Image.fromarray(rgb)
    for encoded in sorted(encoded_faces, key=lambda encoded: -encoded.face.width):
        area = _frame_on_photo(encoded.face.matrix, rgb.shape)
        if area is None:
            continue
        left, top, right, bottom = area
        size = (right - left, bottom - top)
        matrix = encoded.face.matrix.astype(np.float64)
        matrix[:, 2] += matrix[:, :2] @ [left, top]
        # Pillow asks, for each pixel of the result, where in the aligned frame it comes from.
        to_photo = (size, Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR)
        colour = Image.fromarray(colours(encoded.mask)).transform(*to_photo)
        photo.paste(colour, (left, top), feather.transform(*to_photo))
    return np.array(photo)


def colours(values: np.ndarray) -> np.ndarray:
    """Values (...,) in [0, 1] as colours (..., 3) uint8; values outside are clipped."""
    return _table()[np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)]


def colour_key(width: int = 256, height: int = 16) -> np.ndarray:
    """The colours from 0 (left) to 1 (right): (height, width, 3) uint8."""
    return np.broadcast_to(colours(np.linspace(0, 1, width)), (height, width, 3)).copy()


def bit_regions(encoder: FaceEncoder, encoded: EncodedFace, grid: int = 10) -> np.ndarray:
    """How hiding each of grid x grid cells moves each bit's logit: (K, grid, grid) float32.

    Occlusion (Zeiler and Fergus, ECCV 2014) with a soft-edged blur. Values are in units of the
    logit: positive where hiding the cell pushes the bit towards flipping, and it flips where the
    value reaches |logit|. The attention mask is held as it was, so that only what is seen changes.
    """
    aligned = encoded.face.aligned.astype(np.float32)
    hidden = gaussian_filter(aligned, (BLUR, BLUR, 0), mode="nearest")
    windows = _windows(grid)[..., None]  # (cells, 150, 150, 1)
    occluded = np.rint(aligned * (1 - windows) + hidden * windows).astype(np.uint8)
    faces = np.concatenate([encoded.face.aligned[None], occluded])
    masks = np.repeat(encoded.mask[None], len(faces), axis=0)
    logits, _ = encoder.encode(faces, masks)
    side = np.where(encoded.code.bits, 1.0, -1.0).astype(np.float32)  # (K,)
    moved = (logits[0] - logits[1:]) * side  # (cells, K)
    return np.ascontiguousarray(moved.T.reshape(-1, grid, grid))


def pair_regions(
    regions: np.ndarray, bits: np.ndarray, others: np.ndarray, length: int | None = None
) -> np.ndarray:
    """Which regions of a face hold the bits that it shares with another: (grid, grid) float32.

    regions: (K, grid, grid) from `bit_regions`. bits, others: (K,) bool codes of both faces.
    length: how many bits count (default: all). A cell's value is how much hiding it pushes shared
    bits towards flipping, summed, and scaled so that the largest is 1; all 0 without shared bits.
    """
    length = len(bits) if length is None else length
    shared = np.flatnonzero(bits[:length] == others[:length])
    total = np.maximum(regions[shared], 0).sum(0, dtype=np.float32)
    return total / max(float(total.max(initial=0)), 1e-9)


def region_mask(region: np.ndarray) -> np.ndarray:
    """A map (grid, grid) of non-negative pushes as a smooth mask (150, 150) float32 in [0, 1].

    Cells below 0 count as 0; the largest is 1.
    """
    positive = np.maximum(region, 0).astype(np.float32)
    positive /= max(float(positive.max()), 1e-9)
    size = (ALIGNED_SIZE, ALIGNED_SIZE)
    smooth = Image.fromarray(positive).resize(size, Image.Resampling.BICUBIC)
    return np.clip(np.asarray(smooth), 0, 1)


@functools.lru_cache(maxsize=4)
def _windows(grid: int) -> np.ndarray:
    """How much each cell's occlusion hides of each pixel: (grid * grid, 150, 150) float32."""
    if not 2 <= grid <= 30:
        raise ValueError(f"grid: expected 2 to 30 cells a side, got {grid}")
    edges = np.linspace(0, ALIGNED_SIZE, grid + 1)
    centre = np.arange(ALIGNED_SIZE) + 0.5
    soft = ALIGNED_SIZE / grid / 4
    inside = (centre >= edges[:-1, None]) & (centre < edges[1:, None])  # (grid, 150)
    line = gaussian_filter(inside.astype(np.float32), (0, soft), mode="nearest")
    line /= line.max(1, keepdims=True)
    return np.einsum("ry,cx->rcyx", line, line).reshape(-1, ALIGNED_SIZE, ALIGNED_SIZE)


@functools.cache
def _table() -> np.ndarray:
    import matplotlib  # imported late: only drawing needs it

    steps = matplotlib.colormaps[COLOUR_MAP](np.arange(256))[:, :3]
    return np.rint(steps * 255).astype(np.uint8)  # (256, 3)


@functools.cache
def _fade() -> np.ndarray:
    """1 inside of the aligned frame, falling to 0 at its border: (150, 150) float32."""
    line = np.minimum(np.arange(ALIGNED_SIZE), np.arange(ALIGNED_SIZE)[::-1]) / _FEATHER
    return np.minimum(np.minimum(line[:, None], line[None]), 1).astype(np.float32)


def _mix(rgb: np.ndarray, colour: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    share = alpha[..., None]
    return np.rint(rgb * (1 - share) + colour * share).astype(np.uint8)


def _strength(strength: float) -> float:
    if not 0 <= strength <= 1:
        raise ValueError(f"strength: expected 0 to 1, got {strength}")
    return strength


def _frame_on_photo(matrix: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int, int, int] | None:
    """The part of the photo (left, top, right, bottom) that the frame covers; None if none."""
    square = np.array([(0, 0), (1, 0), (0, 1), (1, 1)], np.float64) * ALIGNED_SIZE
    corners = np.linalg.solve(matrix[:, :2].astype(np.float64), (square - matrix[:, 2]).T)  # (2, 4)
    left, top = np.floor(corners.min(1)).astype(int)
    right, bottom = np.ceil(corners.max(1)).astype(int)
    left, top = max(left, 0), max(top, 0)
    right, bottom = min(right, shape[1]), min(bottom, shape[0])
    return (left, top, right, bottom) if left < right and top < bottom else None
