"""Alignment of a face: the template, and the similarity transform onto it.

Coordinates are those of `detection.detector`.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

from daah.detection.graphs import graph
from daah.types import ALIGNED_SIZE, Face

#: Where the five landmarks (left eye, right eye, nose tip, mouth corners as seen in the photo)
#: belong in the aligned frame: the 112x112 template of ArcFace (Deng et al., CVPR 2019), by which
#: most published sets of face crops are aligned, at this project's size.
TEMPLATE = (
    np.array(
        [(38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655),
         (70.7299, 92.2041)],
        np.float32,
    )
    * (ALIGNED_SIZE / 112)
).astype(np.float32)  # fmt: skip


def align(rgb: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Warp one face into the aligned frame.

    Args:
        rgb: (H, W, 3) uint8.
        landmarks: (5, 2) in the order of TEMPLATE, in pixels of rgb; they may be outside of it.

    Returns:
        The aligned face (224, 224, 3) uint8 and the matrix (2, 3) float32 photo -> aligned. Edge
        pixels are repeated where the frame exceeds the photo.

    Raises:
        ValueError: the landmarks are not five finite points, or coincide.
    """
    matrix = _similarity(np.asarray(landmarks, np.float64), TEMPLATE.astype(np.float64))
    return _warp(rgb, matrix), matrix.astype(np.float32)


class CroppedFaces:
    """A detector for images that are face crops already, aligned as ArcFace does."""

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Take the whole image as one face, and warp it into the aligned frame.

        Args:
            rgb: square crop (S, S, 3) uint8.

        Returns:
            The one face, in pixels of rgb.
        """
        height, width = rgb.shape[:2]
        landmarks = TEMPLATE * np.float32(width / ALIGNED_SIZE)
        aligned, matrix = align(rgb, landmarks)
        box = np.array([0, 0, width, height], np.float32)
        return [Face(box=box, landmarks=landmarks, score=1.0, aligned=aligned, matrix=matrix)]


def _similarity(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The (2, 3) similarity transform source -> target (N, 2) with the least squared error.

    With points as complex numbers it is w = a z + b, an ordinary least-squares fit. The result is
    that of Umeyama (PAMI 1991) where that one contains no reflection.
    """
    if source.shape != target.shape or not np.isfinite(source).all():
        raise ValueError(f"landmarks: expected {target.shape} finite, got {source.shape}")
    z, w = source @ [1, 1j], target @ [1, 1j]
    spread = z - z.mean()
    size = np.vdot(spread, spread).real
    a = np.vdot(spread, w - w.mean()) / size if size > 1e-12 else 0
    if abs(a) < 1e-12:
        raise ValueError("landmarks: the points coincide or have no common direction")
    b = w.mean() - a * z.mean()
    return np.array([[a.real, -a.imag, b.real], [a.imag, a.real, b.imag]])


def _warp(rgb: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Warp rgb by `matrix` (2, 3) photo -> frame: (224, 224, 3) uint8.

    A face larger than the frame is first reduced to its scale with an antialiased resize. The
    bicubic sampling after that only rotates, shifts and enlarges.
    """
    inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    side = ALIGNED_SIZE
    corners = np.array([(0, 0, 1), (side, 0, 1), (0, side, 1), (side, side, 1)]) @ inverse.T
    height, width = rgb.shape[:2]
    scale = min(1.0, math.sqrt(abs(np.linalg.det(matrix[:, :2]))))
    margin = 3 / scale  # the support of bicubic sampling
    x0, y0 = np.clip(np.floor(corners.min(0) - margin), 0, [width - 1, height - 1]).astype(int)
    x1, y1 = np.clip(np.ceil(corners.max(0) + margin), [x0 + 1, y0 + 1], [width, height]).astype(
        int
    )
    region = rgb[y0:y1, x0:x1]
    if scale < 1:
        size = (max(1, round((x1 - x0) * scale)), max(1, round((y1 - y0) * scale)))
        shrunk = Image.fromarray(region).resize(size, Image.Resampling.BICUBIC)
        region = np.array(shrunk)
    centres = np.arange(side) + 0.5
    x, y = np.meshgrid(centres, centres)
    photo = np.stack([x, y, np.ones_like(x)], -1) @ inverse.T  # (224, 224, 2)
    grid = (photo - [x0, y0]) / [x1 - x0, y1 - y0] * 2 - 1
    (aligned,) = graph("warp")(region=region, grid=grid[None].astype(np.float32))
    return aligned


def aligned_face(aligned: np.ndarray) -> Face:
    """A Face around an aligned image whose photo is not available.

    The box is the whole image, the landmarks are the template's, and the matrix is the identity.

    Args:
        aligned: (224, 224, 3) uint8 RGB.

    Returns:
        The face, with score 1.
    """
    side = np.float32(ALIGNED_SIZE)
    return Face(
        box=np.array([0, 0, side, side], np.float32),
        landmarks=TEMPLATE.astype(np.float32),
        score=1.0,
        aligned=aligned,
        matrix=np.eye(2, 3, dtype=np.float32),
    )
