"""Corruptions of aligned faces; each maps (224, 224, 3) uint8 to the same."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from daah.types import ALIGNED_SIZE

#: Width of MTCNN's box in pixels of the aligned frame: the median on LFW, where nine boxes in ten
#: are between 151 and 169 pixels wide.
BOX_WIDTH = 159

#: Weights of luma (ITU-R BT.601).
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

Corruption = Callable[[np.ndarray], np.ndarray]


def blur(spread: float) -> Corruption:
    """Gaussian blur.

    Args:
        spread: standard deviation in pixels of the aligned frame.

    Returns:
        The corruption.
    """

    def damage(face: np.ndarray) -> np.ndarray:
        soft = gaussian_filter(face.astype(np.float32), (spread, spread, 0), mode="nearest")
        return np.round(soft).astype(np.uint8)

    return damage


def resize_face(width: int) -> Corruption:
    """Low resolution: as if the face were `width` pixels wide in the photo.

    Args:
        width: width of the face's box in pixels.

    Returns:
        The corruption: downscaling by area averaging, then bicubic upscaling.
    """
    side = max(1, round(ALIGNED_SIZE * width / BOX_WIDTH))

    def damage(face: np.ndarray) -> np.ndarray:
        if side >= ALIGNED_SIZE:
            return face
        small = Image.fromarray(face).resize((side, side), Image.Resampling.BOX)
        return np.asarray(small.resize((ALIGNED_SIZE, ALIGNED_SIZE), Image.Resampling.BICUBIC))

    return damage


def rotate(degrees: float) -> Corruption:
    """Rotation about the centre of the frame, as from inaccurate landmarks; edges are repeated.

    Args:
        degrees: counter-clockwise angle.

    Returns:
        The corruption.
    """

    def damage(face: np.ndarray) -> np.ndarray:
        margin = ALIGNED_SIZE // 2
        wide = np.pad(face, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        turned = Image.fromarray(wide).rotate(degrees, Image.Resampling.BICUBIC)
        inner = slice(margin, margin + ALIGNED_SIZE)
        return np.asarray(turned)[inner, inner]

    return damage


def grey(face: np.ndarray) -> np.ndarray:
    """Convert to greyscale: luma in all three channels.

    Args:
        face: (224, 224, 3) uint8.

    Returns:
        (224, 224, 3) uint8.
    """
    luma = np.round(face.astype(np.float32) @ LUMA).astype(np.uint8)
    return np.repeat(luma[:, :, None], 3, axis=2)


def cover(top: int, bottom: int, left: int, right: int, level: int) -> Corruption:
    """Occlusion of a box by one grey level, such as dark glasses or a mask over the mouth.

    Args:
        top: first row, in pixels of the aligned frame.
        bottom: row after the last.
        left: first column.
        right: column after the last.
        level: grey level, 0 to 255.

    Returns:
        The corruption.
    """

    def damage(face: np.ndarray) -> np.ndarray:
        covered = face.copy()
        covered[top:bottom, left:right] = level
        return covered

    return damage
