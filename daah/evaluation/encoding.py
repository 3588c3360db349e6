"""Batched encoding of faces, and the input checks that all protocols share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daah.errors import ConfigError, DataError
from daah.metrics.leave_one_out import queries_with_mates
from daah.models.encoder import Encoder
from daah.parallel import Progress, in_order

#: Batch size; larger batches are no faster on one core.
BATCH = 64


def encode_faces(
    encoder: Encoder, aligned: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """Encode aligned faces in batches.

    Two batches are encoded at a time, so the encoder must not keep state between calls.

    Args:
        encoder: the encoder.
        aligned: (N, 224, 224, 3) uint8.
        progress: called with batches done, their number, and the step.

    Returns:
        Logits (N, K) float32.
    """
    batches = [aligned[start : start + BATCH] for start in range(0, len(aligned), BATCH)]

    def encode(batch: np.ndarray) -> np.ndarray:
        return encoder.encode(batch)[0]

    return np.concatenate(list(in_order(encode, batches, "Encoding", progress)))


def count_queries(labels: np.ndarray) -> int:
    """Number of faces that have a mate, checked to be enough for an evaluation.

    Args:
        labels: (N,) identity of each face.

    Returns:
        Number of queries.

    Raises:
        DataError: no identity has two faces, or there is only one identity.
    """
    person, rows = queries_with_mates(labels)
    people = len(set(person.tolist()))
    if not len(rows) or people < 2:
        raise DataError(
            f"{len(labels)} faces of {people} people: a search needs somebody with two faces, "
            "and somebody else to be told from"
        )
    return len(rows)


def check_lengths(encoder: Encoder, bits: Sequence[int]) -> tuple[int, ...]:
    """Code lengths of an evaluation, checked against the encoder's.

    Args:
        encoder: the encoder.
        bits: requested code lengths; () takes all of the encoder's.

    Returns:
        The lengths without duplicates.

    Raises:
        ConfigError: the encoder has no codes of one of the lengths.
    """
    lengths = tuple(dict.fromkeys(bits)) or encoder.lengths
    unknown = [length for length in lengths if length not in encoder.lengths]
    if unknown:
        raise ConfigError(
            f"{encoder.name} has no codes of {unknown} bits; its lengths are {encoder.lengths}"
        )
    return lengths
