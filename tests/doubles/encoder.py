"""A small encoder and invented faces: everything but the network is real around them."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.ndimage import zoom

from daah.codes import sign
from daah.detection.alignment import TEMPLATE
from daah.evaluation.calibrate import fit_calibration
from daah.models.calibration import Calibration
from daah.types import ALIGNED_SIZE, Code, EncodedFace, Face

CELLS = 14


class ProjectionEncoder:
    """Random projection of 14x14 cells of the masked face; the mask is the face's own brightness.

    Two are different models when their seeds differ.
    """

    recipe = "demo"
    bits = 128
    lengths = (16, 24, 32, 48, 64, 96, 128)

    def __init__(self, seed: int = 0, calibrated: bool = True) -> None:
        self.name = f"fake{seed}"
        self.fingerprint = f"{seed:x}" * 64
        self.card: dict[str, Any] = {"training": {}, "metrics": {}}
        self._weight = np.random.default_rng(seed).normal(size=(CELLS**2, self.bits))
        self.calibration = _calibration(self.lengths) if calibrated else None

    def encode(
        self, aligned: np.ndarray, attention: str | np.ndarray = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """As FaceEncoder.encode."""
        assert aligned.dtype == np.uint8
        assert aligned.shape[1:] == (ALIGNED_SIZE, ALIGNED_SIZE, 3)
        grey = cells(aligned.mean(3) / 255)  # (N, 14, 14)
        masks = grey if isinstance(attention, str) else cells(attention)
        if isinstance(attention, str) and attention == "off":
            masks = np.ones_like(grey)
        masks = np.clip(masks, 0, 1).astype(np.float32)
        seen = (grey - grey.mean((1, 2), keepdims=True)) * masks
        logits = 10 * seen.reshape(len(seen), CELLS**2) @ self._weight
        return logits.astype(np.float32), masks

    def encode_with_pictures(
        self, aligned: np.ndarray, attention: str | np.ndarray = "model"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, and the faces, black where the mask is 0."""
        logits, masks = self.encode(aligned, attention)
        side = ALIGNED_SIZE // CELLS
        shown = aligned * masks.repeat(side, 1).repeat(side, 2)[..., None]
        return logits, masks, shown.astype(np.uint8)


def cells(images: np.ndarray) -> np.ndarray:
    """Images (N, S, S), S a multiple of 14, averaged to (N, 14, 14)."""
    side = images.shape[1] // CELLS
    return images.reshape(-1, CELLS, side, CELLS, side).mean((2, 4))


def face(seed: int, width: float = 100.0) -> Face:
    """An invented face: smooth coloured noise that only the seed decides."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 6, 3))
    aligned = np.clip(
        zoom(coarse, (ALIGNED_SIZE / 6, ALIGNED_SIZE / 6, 1), order=1), 0, 255
    ).astype(np.uint8)
    scale = ALIGNED_SIZE / width
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
    box = np.array([0, 0, width, width], np.float32)
    return Face(box, (TEMPLATE / scale).astype(np.float32), 0.99, aligned, matrix)


def encoded(encoder: ProjectionEncoder, seed: int) -> EncodedFace:
    """An invented face with the fake encoder's code."""
    invented = face(seed)
    (logits,), (mask,), (seen,) = encoder.encode_with_pictures(invented.aligned[None])
    return EncodedFace(invented, Code(sign(logits), logits), mask, seen)


def _calibration(lengths: tuple[int, ...]) -> Calibration:
    rng = np.random.default_rng(0)
    return fit_calibration(
        {n: (rng.binomial(n, 0.15, 2000), rng.binomial(n, 0.45, 20000)) for n in lengths}
    )
