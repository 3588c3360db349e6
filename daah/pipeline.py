"""The step in front of every search, after the detector's: faces to codes. No state, no store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from daah import codes
from daah.detection.detector import TEMPLATE
from daah.errors import ConfigError
from daah.models.encoder import FaceEncoder
from daah.parallel import in_order
from daah.types import ALIGNED_SIZE, Code, EncodedFace, Face

#: Where the model may look: its own mask, everywhere, or a painted mask (150, 150) float32 in
#: [0, 1] (or one for each face, (N, 150, 150)).
Attention = Literal["model", "off"] | np.ndarray

#: Faces that one of two threads takes at a time.
_PART = 16


def encode(
    encoder: FaceEncoder, faces: Sequence[Face], attention: Attention = "model"
) -> list[EncodedFace]:
    """Code and mask of each face, one after another: a code does not depend on other faces.

    Raises ConfigError for an unknown attention, ValueError for a painted mask of another shape or
    outside [0, 1].
    """
    given = _attention(attention, len(faces))
    encoded: list[EncodedFace] = []
    for i, face in enumerate(faces):
        look = given if isinstance(given, str) else given[i : i + 1]
        (logits,), (mask,) = encoder.encode(face.aligned[None], look)
        encoded.append(EncodedFace(face, Code(codes.sign(logits), logits), mask))
    return encoded


def encode_many(encoder: FaceEncoder, faces: Sequence[Face]) -> list[EncodedFace]:
    """As `encode`, on two threads: for the many faces of a gallery, not for one visitor's."""
    parts = [faces[start : start + _PART] for start in range(0, len(faces), _PART)]
    coded = in_order(lambda part: encode(encoder, part), parts, "Encoding")
    return [face for part in coded for face in part]


def aligned_face(aligned: np.ndarray) -> Face:
    """A Face around an aligned image (150, 150, 3) uint8 whose photo is not at hand.

    The aligned image stands for the photo: the box is all of it, the matrix is the identity, and
    the landmarks are the template's.
    """
    side = np.float32(ALIGNED_SIZE)
    return Face(
        box=np.array([0, 0, side, side], np.float32),
        landmarks=TEMPLATE.astype(np.float32),
        score=1.0,
        aligned=aligned,
        matrix=np.eye(2, 3, dtype=np.float32),
    )


def _attention(attention: Attention, count: int) -> str | np.ndarray:
    """Check an attention and give a painted mask to every face: (N, 150, 150) float32."""
    if isinstance(attention, str):
        if attention not in ("model", "off"):
            raise ConfigError(f"attention: expected 'model', 'off' or a mask, got {attention!r}")
        return attention
    mask = np.asarray(attention, np.float32)
    if mask.ndim not in (2, 3) or mask.shape[-2:] != (ALIGNED_SIZE, ALIGNED_SIZE):
        raise ValueError(f"painted mask: expected (150, 150), got {mask.shape}")
    if not np.all((mask >= 0) & (mask <= 1)):  # also refuses NaN
        raise ValueError("painted mask: expected values in [0, 1]")
    return np.array(np.broadcast_to(mask, (count, ALIGNED_SIZE, ALIGNED_SIZE)))
