"""A retriever without a network: real search and gallery, faces and codes that a test decides.

A photo's faces are its marks: squares of one colour on a white ground. The code of a face depends
on nothing but its colour, so that a test knows which faces are alike.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import find_objects, label

from daah.detection.alignment import TEMPLATE
from daah.evaluation.calibrate import fit_calibration
from daah.gallery import Gallery
from daah.models.calibration import FPIR, FPIR_LEVELS, SIZES, Calibration, SearchLimits
from daah.retrieval.retriever import FaceRetriever
from daah.types import ALIGNED_SIZE, Code, Detection, EncodedFace, Face

BITS = 128
LENGTHS = (16, 24, 32, 48, 64, 96, 128)

#: People of the fake gallery by the colour of their face.
PEOPLE = {"red": (200, 20, 20), "green": (20, 160, 20), "blue": (20, 20, 200)}


def photo(*marks: tuple[tuple[int, int, int], int], size: int = 400) -> np.ndarray:
    """A white photo with one square a mark (colour, width), side by side from the left."""
    rgb = np.full((size, size * max(1, len(marks)), 3), 255, np.uint8)
    for i, (colour, width) in enumerate(marks):
        left = i * size + 20
        rgb[20 : 20 + width, left : left + width] = colour
    return rgb


class SquareDetector:
    """Finds the squares of `photo`, largest first."""

    calls = 0

    def find(self, rgb: np.ndarray, min_face: float | None = None) -> Detection:
        """As `detect`."""
        return Detection(tuple(self.detect(rgb, min_face)))

    def detect(self, rgb: np.ndarray, min_face: float | None = None) -> list[Face]:
        """Faces of the photo."""
        self.calls += 1
        found = find_objects(label((rgb < 250).any(2))[0])
        faces = []
        for rows, columns in found:
            if rows.stop - rows.start < 8:
                continue
            colour = rgb[(rows.start + rows.stop) // 2, (columns.start + columns.stop) // 2]
            box = np.array([columns.start, rows.start, columns.stop, rows.stop], np.float32)
            faces.append(face(tuple(int(v) for v in colour), box))
        return sorted(faces, key=lambda f: -f.width)


def face(colour: tuple[int, ...], box: np.ndarray | None = None) -> Face:
    """A face of one colour."""
    box = np.array([0, 0, 224, 224], np.float32) if box is None else box
    scale = ALIGNED_SIZE / float(box[2] - box[0])
    matrix = np.array([[scale, 0, -scale * box[0]], [0, scale, -scale * box[1]]], np.float32)
    landmarks = ((TEMPLATE - matrix[:, 2]) / scale).astype(np.float32)
    aligned = np.empty((ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8)
    aligned[:] = colour
    return Face(box, landmarks, 0.99, aligned, matrix)


@functools.cache
def _calibration() -> Calibration:
    noise = np.random.default_rng(1)
    pairs = fit_calibration(
        {n: (noise.binomial(n, 0.08, 500), noise.binomial(n, 0.5, 5000)) for n in LENGTHS}
    )
    return dataclasses.replace(pairs, searches={"hamming": {n: _limits(n) for n in LENGTHS}})


def _limits(bits: int) -> SearchLimits:
    """A match differs in 14% of the bits, less in a large gallery; one person in up to 25%."""
    own = FPIR_LEVELS.index(FPIR)
    rows = (
        tuple(max(-1.0, bits * (0.14 - 0.004 * k) + row - own) for k in range(SIZES))
        for row in range(len(FPIR_LEVELS))
    )
    return SearchLimits(tuple(rows), mated=bits / 4, people=100, searches=100)


class SquareEncoder:
    """Codes that follow the mean colour and the area that attention leaves: a bright middle."""

    name, recipe, fingerprint = "fake", "demo", "f" * 64
    bits, lengths = BITS, LENGTHS

    def __init__(self) -> None:
        self.card: dict[str, Any] = {"training": {}, "metrics": {}}
        self.calls = 0
        noise = np.random.default_rng(0)
        self._directions = noise.normal(size=(4, BITS)).astype(np.float32)
        self.calibration = _calibration()

    def encode(self, aligned: np.ndarray, attention: Any = "model") -> tuple:
        """Logits (N, 128) and masks (N, S, S)."""
        self.calls += len(aligned)
        masks = np.ones((len(aligned), ALIGNED_SIZE, ALIGNED_SIZE), np.float32)
        if isinstance(attention, np.ndarray):
            masks = attention.astype(np.float32)
        elif attention == "model":
            line = np.exp(-((np.arange(ALIGNED_SIZE) - ALIGNED_SIZE / 2) ** 2) / 4500).astype(
                np.float32
            )
            masks = masks * line[:, None] * line[None]
        area = masks.mean((1, 2))[:, None]  # (N, 1)
        seen = (aligned.astype(np.float32) / 255 * masks[..., None]).mean((1, 2))
        colour = seen / np.maximum(area, 1e-6)
        features = np.concatenate([colour - colour.mean(1, keepdims=True), area - 0.25], axis=1)
        return (features @ self._directions).astype(np.float32), masks.astype(np.float32)

    def encode_with_pictures(
        self, aligned: np.ndarray, attention: Any = "model"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, and the faces, black where the mask is 0."""
        logits, masks = self.encode(aligned, attention)
        return logits, masks, (aligned * masks[..., None]).astype(np.uint8)


def encoded(colour: tuple[int, int, int]) -> EncodedFace:
    """A face of one colour, encoded."""
    (logits,), (mask,), (seen,) = SquareEncoder().encode_with_pictures(face(colour).aligned[None])
    return EncodedFace(face(colour), Code(logits > 0, logits), mask, seen)


def retriever(folder: Path, people: dict[str, tuple[int, int, int]] = PEOPLE) -> FaceRetriever:
    """A retriever over a gallery in `folder` with two photos a person."""
    encoder = SquareEncoder()
    gallery = Gallery.open(folder, encoder, source="fake", credit="Painted squares")
    for name, colour in people.items():
        for number, shift in enumerate((0, 12)):
            shade = tuple(min(255, v + shift) for v in colour)
            gallery.add(name, f"{name}/{number}", encoded(shade))
    gallery.flush()
    found = FaceRetriever(SquareDetector(), encoder, gallery)
    encoder.calls = 0
    return found
