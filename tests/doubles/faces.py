"""Faces, a detector and an encoder without weights, for tests of what is built on them.

A fake person is a smooth random picture, a fake photo of them that picture with noise, and the
fake encoder a fixed random projection of the picture: photos of one person get near codes.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from daah.detection.alignment import TEMPLATE
from daah.types import ALIGNED_SIZE, Face

#: Cells a side of the picture that a fake person is.
CELLS = 7

#: Cells per side of a mask.
GRID = 14


def person_face(person: int, photo: int, noise: float = 25.0) -> np.ndarray:
    """The aligned face (224, 224, 3) uint8 of a fake person in one of their photos."""
    own = np.random.default_rng(person).uniform(40, 215, (CELLS, CELLS))
    moved = own + np.random.default_rng((person, photo)).normal(0, noise, own.shape)
    picture = Image.fromarray(np.clip(moved, 0, 255).astype(np.uint8))
    large = picture.resize((ALIGNED_SIZE, ALIGNED_SIZE), Image.Resampling.BILINEAR)
    return np.repeat(np.asarray(large)[:, :, None], 3, axis=2)


def write_tree(folder: Path, counts: list[int], framed: bool = True, noise: float = 25.0) -> Path:
    """folder/pNN/photoN.png for so many photos of each person; framed puts a border around."""
    for person, count in enumerate(counts):
        (folder / f"p{person:02}").mkdir(parents=True)
        for photo in range(count):
            face = person_face(person, photo, noise)
            if framed:
                face = np.pad(face, ((40, 40), (60, 60), (0, 0)))
            Image.fromarray(face).save(folder / f"p{person:02}" / f"photo{photo}.png")
    return folder


class FramedFaceDetector:
    """Finds the face that `write_tree` framed; none in a photo that is black in the middle."""

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """One face at the middle of rgb (H, W, 3) uint8, or []."""
        height, width = rgb.shape[:2]
        top, left = (height - ALIGNED_SIZE) // 2, (width - ALIGNED_SIZE) // 2
        aligned = rgb[top : top + ALIGNED_SIZE, left : left + ALIGNED_SIZE].copy()
        if aligned.shape[:2] != (ALIGNED_SIZE, ALIGNED_SIZE) or not aligned.any():
            return []
        matrix = np.array([[1, 0, -left], [0, 1, -top]], np.float32)
        box = np.array([left + 32, top + 30, left + 192, top + 204], np.float32)
        return [Face(box, TEMPLATE + np.float32([left, top]), 0.99, aligned, matrix)]


class CentreEncoder:
    """Projects the middle of the face on fixed random directions; attends to the same middle.

    mask: "middle" is 1 inside of a centred disc and 0 outside, which is all that the code sees;
    "flat" is 1 everywhere, with the code still made from the middle.
    """

    name, recipe = "fake", "fake"

    def __init__(self, lengths: tuple[int, ...] = (16, 64), mask: str = "middle") -> None:
        self.lengths, self.bits, self.mask = lengths, max(lengths), mask
        self.fingerprint = hashlib.sha256(repr((lengths, mask)).encode()).hexdigest()
        self.directions = np.random.default_rng(99).normal(size=(CELLS * CELLS, self.bits))
        axis = np.arange(GRID) - (GRID - 1) / 2
        self.disc = (np.hypot(axis[:, None], axis[None]) < 0.3 * GRID).astype(np.float32)

    def encode(
        self, aligned: np.ndarray, attention: str | np.ndarray = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """(N, 224, 224, 3) uint8 to logits (N, K) and masks (N, 14, 14)."""
        grey = aligned.mean(3, dtype=np.float32) - 128
        cell = ALIGNED_SIZE // GRID
        masks = np.ones((len(aligned), GRID, GRID), np.float32)
        if isinstance(attention, np.ndarray):
            masks = attention
        elif attention == "model":
            masks = masks * self.disc
        seen = grey * masks.repeat(cell, 1).repeat(cell, 2)
        side = ALIGNED_SIZE // CELLS
        cells = seen.reshape(-1, CELLS, side, CELLS, side).mean((2, 4)).reshape(len(aligned), -1)
        if self.mask == "flat":
            masks = np.ones_like(masks)
        return (cells @ self.directions).astype(np.float32), masks

    def encode_with_pictures(
        self, aligned: np.ndarray, attention: str | np.ndarray = "model"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The same, and the faces, black where the mask is 0."""
        logits, masks = self.encode(aligned, attention)
        cell = ALIGNED_SIZE // masks.shape[1]
        shown = aligned * masks.repeat(cell, 1).repeat(cell, 2)[..., None]
        return logits, masks, shown.astype(np.uint8)
