"""What photos suffer, done to aligned faces: each damage maps (150, 150, 3) uint8 to the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from daah.types import ALIGNED_SIZE

#: Width in the aligned frame of the box that MTCNN draws around a face: the median of LFW, where
#: nine boxes in ten are between 113 and 126 pixels wide.
BOX_WIDTH = 119

#: Luma (ITU-R BT.601), the brightness that a grey copy of a photo has.
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Corruption = Callable[[np.ndarray], np.ndarray]


def blur(spread: float) -> Corruption:
    """A Gaussian blur with a spread in pixels of the aligned frame."""

    def damage(face: np.ndarray) -> np.ndarray:
        soft = gaussian_filter(face.astype(np.float32), (spread, spread, 0), mode="nearest")
        return np.round(soft).astype(np.uint8)

    return damage


def resize_face(width: int) -> Corruption:
    """As if the face were `width` pixels wide in the photo: shrunk by averaging, enlarged again."""
    side = max(1, round(ALIGNED_SIZE * width / BOX_WIDTH))

    def damage(face: np.ndarray) -> np.ndarray:
        if side >= ALIGNED_SIZE:
            return face
        small = Image.fromarray(face).resize((side, side), Image.Resampling.BOX)
        return np.asarray(small.resize((ALIGNED_SIZE, ALIGNED_SIZE), Image.Resampling.BICUBIC))

    return damage


def rotate(degrees: float) -> Corruption:
    """Turned about the middle of the frame, as when landmarks are off; the edge is repeated."""

    def damage(face: np.ndarray) -> np.ndarray:
        margin = ALIGNED_SIZE // 2
        wide = np.pad(face, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        turned = Image.fromarray(wide).rotate(degrees, Image.Resampling.BICUBIC)
        inner = slice(margin, margin + ALIGNED_SIZE)
        return np.asarray(turned)[inner, inner]

    return damage


def grey(face: np.ndarray) -> np.ndarray:
    """Luma in all three channels."""
    luma = np.round(face.astype(np.float32) @ LUMA).astype(np.uint8)
    return np.repeat(luma[:, :, None], 3, axis=2)


def cover(top: int, bottom: int, left: int, right: int, level: int) -> Corruption:
    """A band of the aligned frame in one grey level: dark glasses, a mask over the mouth."""

    def damage(face: np.ndarray) -> np.ndarray:
        covered = face.copy()
        covered[top:bottom, left:right] = level
        return covered

    return damage
