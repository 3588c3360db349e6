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

CELLS = 15


class ProjectionEncoder:
    """Random projection of 15x15 cells of the masked face; the mask is the face's own brightness.

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
        grey = aligned.mean(3) / 255  # (N, 150, 150)
        masks = grey if isinstance(attention, str) else attention
        if isinstance(attention, str) and attention == "off":
            masks = np.ones_like(grey)
        masks = np.clip(masks, 0, 1).astype(np.float32)
        logits = np.empty((len(aligned), self.bits), np.float32)
        for i, (face, mask) in enumerate(zip(grey, masks, strict=True)):
            cells = ((face - face.mean()) * mask).reshape(CELLS, 10, CELLS, 10).mean((1, 3))
            logits[i] = 10 * cells.ravel() @ self._weight
        return logits, masks


def face(seed: int, width: float = 100.0) -> Face:
    """An invented face: smooth coloured noise that only the seed decides."""
    coarse = np.random.default_rng(seed).uniform(0, 255, (6, 6, 3))
    aligned = np.clip(zoom(coarse, (25, 25, 1), order=1), 0, 255).astype(np.uint8)
    scale = ALIGNED_SIZE / width
    matrix = np.array([[scale, 0, 0], [0, scale, 0]], np.float32)
    box = np.array([0, 0, width, width], np.float32)
    return Face(box, (TEMPLATE / scale).astype(np.float32), 0.99, aligned, matrix)


def encoded(encoder: ProjectionEncoder, seed: int) -> EncodedFace:
    """An invented face with the fake encoder's code."""
    invented = face(seed)
    logits, masks = encoder.encode(invented.aligned[None])
    return EncodedFace(invented, Code(sign(logits[0]), logits[0]), masks[0])


def _calibration(lengths: tuple[int, ...]) -> Calibration:
    rng = np.random.default_rng(0)
    return fit_calibration(
        {n: (rng.binomial(n, 0.15, 2000), rng.binomial(n, 0.45, 20000)) for n in lengths}
    )
