"""An encoder whose codes are those of one gallery with a key (see `daah.keys`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from daah import codes
from daah.keys import GalleryKey, keyed_fingerprint

if TYPE_CHECKING:  # what codes faces asks for a key itself
    from daah.models.encoder import Attention, Encoder


class KeyedEncoder:
    """The network of another encoder, and its logits arranged by a key.

    name, recipe, bits, lengths, calibration: those of the other encoder. Distances are those
    without a key, so the calibration holds.

    Args:
        plain: the encoder without a key.
        key: the gallery's.

    Attributes:
        plain: the encoder without a key.
        fingerprint: of these codes, which differ from those of every other key.
    """

    def __init__(self, plain: Encoder, key: GalleryKey) -> None:
        self.plain = plain
        self.name, self.recipe = plain.name, plain.recipe
        self.bits, self.lengths = plain.bits, plain.lengths
        self.calibration = plain.calibration
        self.fingerprint = keyed_fingerprint(plain.fingerprint, key.record)
        self._arrangement = key.arrangement((*plain.lengths, plain.bits))

    def encode(
        self, aligned: np.ndarray, attention: Attention = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `FaceEncoder.encode`, with logits as the gallery keeps them.

        Args:
            aligned: (N, 224, 224, 3) uint8 RGB.
            attention: as of `FaceEncoder.encode`.

        Returns:
            Logits (N, K) float32 and masks.
        """
        logits, masks = self.plain.encode(aligned, attention)
        return self.template(logits), masks

    def template(self, logits: np.ndarray) -> np.ndarray:
        """What is kept of logits of the encoder without a key.

        Args:
            logits: (N, K).

        Returns:
            (N, K) float32 of `Arrangement.template`.
        """
        return self._arrangement.template(logits)

    def code(self, packed: np.ndarray) -> np.ndarray:
        """What a code of the encoder without a key is with it.

        Args:
            packed: (B,) uint8; a prefix of one of the model's lengths, filled up with zeros.

        Returns:
            (B,) uint8, whose prefix of that length is the code with the key.
        """
        signs = np.where(codes.unpack(packed, self.bits), 1, -1)
        return codes.from_logits(self._arrangement.template(signs[None])[0])


def unkeyed(encoder: Encoder) -> Encoder:
    """The model of an encoder: what reports, cards and other galleries know it by.

    Args:
        encoder: with or without a key.

    Returns:
        The encoder without a key.
    """
    return encoder.plain if isinstance(encoder, KeyedEncoder) else encoder
