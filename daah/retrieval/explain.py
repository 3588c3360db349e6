"""Explanations of a code: heatmaps of the mask, and the face regions that each bit depends on."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from daah.images import enlarged
from daah.models.encoder import FaceEncoder
from daah.types import ALIGNED_SIZE, EncodedFace

#: Perceptually uniform and readable with any colour vision (van der Walt and Smith, 2015); its
#: greens and blues stand out from skin.
COLOUR_MAP = "viridis"

#: Standard deviation in pixels of the blur that occludes a region. It removes every facial feature,
#: and introduces no edge, as a grey patch would.
BLUR = 18.0

#: Width in pixels of the fade-out at the border of a heatmap on a photo.
_FEATHER = 12.0


def overlay(rgb: np.ndarray, mask: np.ndarray, strength: float = 0.5) -> np.ndarray:
    """Blend a heatmap into an image.

    Args:
        rgb: (S, S, 3) uint8.
        mask: (G, G) float in [0, 1]; it is enlarged smoothly.
        strength: weight of the heatmap, from 0 (image only) to 1 (heatmap only).

    Returns:
        (S, S, 3) uint8.

    Raises:
        ValueError: the image is not square, or `strength` is out of range.
    """
    if rgb.shape[0] != rgb.shape[1]:
        raise ValueError(f"overlay: expected a square image, got {rgb.shape}")
    heat = colours(enlarged(mask, len(rgb)))
    return _mix(rgb, heat, np.full(rgb.shape[:2], _strength(strength), np.float32))


def overlay_photo(
    rgb: np.ndarray, encoded_faces: Sequence[EncodedFace], strength: float = 0.5
) -> np.ndarray:
    """Blend each face's mask into the photo, at the face's position.

    Where frames overlap, the smaller face is drawn over the larger.

    Args:
        rgb: (H, W, 3) uint8.
        encoded_faces: faces of this photo.
        strength: weight of the heatmap, from 0 to 1.

    Returns:
        (H, W, 3) uint8, a copy.

    Raises:
        ValueError: `strength` is out of range.
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
        # Pillow takes the inverse transform: from pixels of the result to the aligned frame.
        to_photo = (size, Image.Transform.AFFINE, tuple(matrix.ravel()), Image.Resampling.BILINEAR)
        colour = Image.fromarray(colours(enlarged(encoded.mask, ALIGNED_SIZE))).transform(*to_photo)
        photo.paste(colour, (left, top), feather.transform(*to_photo))
    return np.array(photo)


def colours(values: np.ndarray) -> np.ndarray:
    """Map values to colours.

    Args:
        values: (...) in [0, 1]; values outside are clipped.

    Returns:
        (..., 3) uint8 RGB.
    """
    return _table()[np.clip(np.rint(values * 255), 0, 255).astype(np.uint8)]


def colour_key(width: int = 256, height: int = 16) -> np.ndarray:
    """The colour scale from 0 (left) to 1 (right).

    Args:
        width: in pixels.
        height: in pixels.

    Returns:
        (height, width, 3) uint8 RGB.
    """
    return np.broadcast_to(colours(np.linspace(0, 1, width)), (height, width, 3)).copy()


def bit_regions(encoder: FaceEncoder, encoded: EncodedFace, grid: int = 10) -> np.ndarray:
    """Change of each bit's logit when each cell of a grid is occluded.

    Occlusion sensitivity (Zeiler and Fergus, ECCV 2014) with a soft-edged blur. The attention mask
    is kept, so that only the visible pixels change.

    Args:
        encoder: the encoder that the face was encoded by.
        encoded: the face.
        grid: cells per side, 2 to 30.

    Returns:
        (K, grid, grid) float32 in units of the logit. Positive values push the bit towards
        flipping; it flips where the value reaches |logit|.

    Raises:
        ValueError: `grid` is out of range.
    """
    aligned = encoded.face.aligned.astype(np.float32)
    hidden = gaussian_filter(aligned, (BLUR, BLUR, 0), mode="nearest")
    windows = _windows(grid)[..., None]  # (cells, 224, 224, 1)
    occluded = np.rint(aligned * (1 - windows) + hidden * windows).astype(np.uint8)
    faces = np.concatenate([encoded.face.aligned[None], occluded])
    masks = np.repeat(encoded.mask[None], len(faces), axis=0)
    logits, _ = encoder.encode(faces, masks)
    side = np.where(encoded.code.bits, 1.0, -1.0).astype(np.float32)  # (K,)
    moved = (logits[0] - logits[1:]) * side  # (cells, K)
    return np.ascontiguousarray(moved.T.reshape(-1, grid, grid))


def code_regions(regions: np.ndarray, logits: np.ndarray, length: int | None = None) -> np.ndarray:
    """Share of a code's bits that flip when each cell of a grid is occluded.

    Args:
        regions: (K, grid, grid) of `bit_regions`.
        logits: (K,) of the face.
        length: length of the prefix; None takes all bits.

    Returns:
        (grid, grid) float32 in [0, 1].
    """
    length = len(logits) if length is None else length
    flips = regions[:length] >= np.abs(logits[:length])[:, None, None]
    return flips.mean(0, dtype=np.float32)


def pair_regions(
    regions: np.ndarray, bits: np.ndarray, others: np.ndarray, length: int | None = None
) -> np.ndarray:
    """Regions of a face that the bits shared with another face depend on.

    Args:
        regions: (K, grid, grid) of `bit_regions`.
        bits: (K,) bool, code of the face.
        others: (K,) bool, code of the other face.
        length: length of the prefix that is compared; None compares all bits.

    Returns:
        As of `subset_regions`.
    """
    length = len(bits) if length is None else length
    return subset_regions(regions[:length], bits[:length] == others[:length])


def subset_regions(regions: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Regions of a face that some of its bits depend on.

    The value of a cell is the sum over these bits of how far occluding it pushes them towards
    flipping.

    Args:
        regions: (K, grid, grid) of `bit_regions`.
        which: (K,) bool, the bits.

    Returns:
        (grid, grid) float32, scaled to a maximum of 1; all 0 without bits.
    """
    total = np.maximum(regions[which], 0).sum(0, dtype=np.float32)
    return total / max(float(total.max(initial=0)), 1e-9)


def region_mask(region: np.ndarray) -> np.ndarray:
    """Interpolate a grid to a smooth mask.

    Args:
        region: (grid, grid); values below 0 count as 0.

    Returns:
        (224, 224) float32 in [0, 1], scaled to a maximum of 1 on the grid.
    """
    positive = np.maximum(region, 0).astype(np.float32)
    positive /= max(float(positive.max()), 1e-9)
    return enlarged(positive, ALIGNED_SIZE)


@functools.lru_cache(maxsize=4)
def _windows(grid: int) -> np.ndarray:
    """Weight of each cell's occlusion at each pixel: (grid * grid, 224, 224) float32."""
    if not 2 <= grid <= 30:
        raise ValueError(f"grid: expected 2 to 30 cells a side, got {grid}")
    edges = np.linspace(0, ALIGNED_SIZE, grid + 1)
    centre = np.arange(ALIGNED_SIZE) + 0.5
    soft = ALIGNED_SIZE / grid / 4
    inside = (centre >= edges[:-1, None]) & (centre < edges[1:, None])  # (grid, 224)
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
    """1 inside of the aligned frame, falling to 0 at its border: (224, 224) float32."""
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
