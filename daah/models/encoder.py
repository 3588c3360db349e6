"""The door to a trained network: aligned faces in, logits and masks out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from daah import codes
from daah.errors import ConfigError
from daah.models.calibration import Calibration
from daah.models.checkpoint import Checkpoint, load_checkpoint
from daah.models.precision import bfloat16_is_fast, bfloat16_is_possible
from daah.parallel import in_order
from daah.types import ALIGNED_SIZE, Code, EncodedFace, Face

#: How the mask is made: the model's own, none (all ones), or one given for each face.
Attention = Literal["model", "off"] | np.ndarray

#: Faces that one of two threads takes at a time.
_PART = 16


class Encoder(Protocol):
    """What the project asks of a model that encodes faces: `FaceEncoder`, or a stand-in in tests.

    It holds no state between calls, so that several threads may encode at a time.

    Attributes:
        name: what reports and galleries call it by.
        recipe: how it was trained.
        fingerprint: sha256 that galleries carry, in hexadecimal.
        bits: length of the whole code.
        lengths: prefixes that are codes.
    """

    name: str
    recipe: str
    fingerprint: str
    bits: int
    lengths: tuple[int, ...]

    def encode(
        self, aligned: np.ndarray, attention: Attention = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode faces.

        Args:
            aligned: (N, 150, 150, 3) uint8 RGB.
            attention: "model", "off", or masks (N, 150, 150) float32 in [0, 1].

        Returns:
            Logits (N, K) float32, and the masks (N, 150, 150) float32 that gated the input.
        """


class FaceEncoder:
    """A checkpoint ready to encode, on the CPU. Holds nothing of a request.

    `name`, `recipe`, `bits`, `lengths` and `fingerprint` are as of `Encoder`; `card` holds the
    training summary and validation metrics; `calibration` is None when the checkpoint has none.

    Args:
        checkpoint: as `load_checkpoint` returns it.
        bfloat16: whether the trunk's convolutions use it; None where the processor is fast at it.
            Codes with and without it agree on 99.5% of the bits or more, so that galleries may be
            carried from one kind of processor to another.

    Raises:
        ConfigError: bfloat16 is asked for on a processor without it.
    """

    def __init__(self, checkpoint: Checkpoint, bfloat16: bool | None = None) -> None:
        if bfloat16 and not bfloat16_is_possible():
            raise ConfigError(
                "bfloat16: this processor has no operators for it (x86 needs AVX-512); "
                "leave it out, and the encoder computes in float32"
            )
        self.model = checkpoint.model.to(memory_format=torch.channels_last)
        if bfloat16_is_fast() if bfloat16 is None else bfloat16:
            self.model.to_bfloat16()
        self.name = checkpoint.name
        self.recipe = checkpoint.config.recipe
        self.bits = checkpoint.config.bits
        self.lengths = checkpoint.config.lengths
        self.fingerprint = checkpoint.fingerprint
        self.card: dict[str, Any] = {
            "training": checkpoint.training,
            "metrics": checkpoint.metrics,
        }
        self.calibration = (
            Calibration.from_dict(checkpoint.calibration) if checkpoint.calibration else None
        )

    def encode(
        self, aligned: np.ndarray, attention: Attention = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode faces.

        The network sees one face at a time, so that a face's logits do not depend on the others, to
        the last bit; several at a time would be no faster on a CPU.

        Args:
            aligned: (N, 150, 150, 3) uint8 RGB.
            attention: "model", "off", or masks (N, 150, 150) float32 in [0, 1].

        Returns:
            Logits (N, K) float32, and the masks (N, 150, 150) float32 that gated the input.

        Raises:
            ValueError: another shape, dtype, range or name.
        """
        if aligned.dtype != np.uint8 or aligned.shape[1:] != (ALIGNED_SIZE, ALIGNED_SIZE, 3):
            raise ValueError(
                f"encode: expected uint8 (N, {ALIGNED_SIZE}, {ALIGNED_SIZE}, 3), "
                f"got {aligned.dtype} {aligned.shape}"
            )
        masks = self._given_masks(attention, len(aligned))
        logits = np.empty((len(aligned), self.bits), np.float32)
        shown = np.empty((len(aligned), ALIGNED_SIZE, ALIGNED_SIZE), np.float32)
        with torch.inference_mode():
            for i in range(len(aligned)):
                encoding = self.model(
                    self._faces(aligned[i : i + 1]), None if masks is None else masks[i : i + 1]
                )
                logits[i] = encoding.logits[0].numpy()
                shown[i] = _resize(encoding.mask, ALIGNED_SIZE)[0, 0].numpy()
        return logits, shown

    def _faces(self, aligned: np.ndarray) -> Tensor:
        """(B, 150, 150, 3) uint8 to (B, 3, S, S) float32, S being the network's own side."""
        faces = torch.from_numpy(np.ascontiguousarray(aligned)).permute(0, 3, 1, 2).float()
        if self.model.input_size != ALIGNED_SIZE:
            faces = _resize(faces, self.model.input_size)
        return faces.contiguous(memory_format=torch.channels_last)

    def _given_masks(self, attention: Attention, count: int) -> Tensor | None:
        size = self.model.input_size
        if isinstance(attention, str):
            if attention not in ("model", "off"):
                raise ValueError(f"attention: expected 'model', 'off' or masks, got {attention!r}")
            return torch.ones(count, 1, size, size) if attention == "off" else None
        masks = np.asarray(attention, np.float32)
        if masks.shape != (count, ALIGNED_SIZE, ALIGNED_SIZE):
            raise ValueError(
                f"attention: expected masks ({count}, {ALIGNED_SIZE}, {ALIGNED_SIZE}), "
                f"got {masks.shape}"
            )
        if not (masks.min(initial=0) >= 0 and masks.max(initial=0) <= 1):
            raise ValueError("attention: expected masks in [0, 1]")
        return _resize(torch.from_numpy(masks)[:, None], size)


def load_encoder(path: Path, bfloat16: bool | None = None) -> FaceEncoder:
    """Load a checkpoint file for encoding.

    Args:
        path: a file of `save_checkpoint`.
        bfloat16: as of `FaceEncoder`.

    Returns:
        The encoder.

    Raises:
        CheckpointError: the file is missing, damaged or of another version.
        ConfigError: bfloat16 is asked for on a processor without it.
    """
    return FaceEncoder(load_checkpoint(path), bfloat16)


def _resize(x: Tensor, size: int) -> Tensor:
    """(B, C, S, S) to side `size`, averaging when it shrinks."""
    if x.shape[-1] == size:
        return x
    return F.interpolate(
        x, size=(size, size), mode="bilinear", align_corners=False, antialias=size < x.shape[-1]
    )


def encode(
    encoder: FaceEncoder, faces: Sequence[Face], attention: Attention = "model"
) -> list[EncodedFace]:
    """Code and mask of each face, one after another: a code does not depend on other faces.

    Args:
        encoder: the network.
        faces: as the detector returns them.
        attention: as in `FaceEncoder.encode`; one painted mask (150, 150) is given to every face.

    Returns:
        As many encoded faces, in the same order.

    Raises:
        ConfigError: an unknown attention.
        ValueError: a painted mask of another shape or outside [0, 1].
    """
    given = _attention(attention, len(faces))
    encoded: list[EncodedFace] = []
    for i, face in enumerate(faces):
        look = given if isinstance(given, str) else given[i : i + 1]
        (logits,), (mask,) = encoder.encode(face.aligned[None], look)
        encoded.append(EncodedFace(face, Code(codes.sign(logits), logits), mask))
    return encoded


def encode_many(encoder: FaceEncoder, faces: Sequence[Face]) -> list[EncodedFace]:
    """As `encode`, on two threads: for the many faces of a gallery, not for one visitor's.

    Args:
        encoder: the network.
        faces: as the detector returns them.

    Returns:
        As many encoded faces, in the same order.
    """
    parts = [faces[start : start + _PART] for start in range(0, len(faces), _PART)]
    coded = in_order(lambda part: encode(encoder, part), parts, "Encoding")
    return [face for part in coded for face in part]


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
