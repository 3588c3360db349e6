"""Faces to logits in batches, and the checks that every protocol makes first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from daah.errors import ConfigError, DataError
from daah.metrics.leave_one_out import queries_with_mates
from daah.models.encoder import Encoder
from daah.parallel import Progress, in_order

#: Faces encoded at once; larger batches are no faster on one core.
BATCH = 64


def encode_faces(
    encoder: Encoder, aligned: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """Aligned faces (N, 150, 150, 3) uint8 to logits (N, K) float32.

    Two batches are encoded at a time, so the encoder must hold no state.
    """
    batches = [aligned[start : start + BATCH] for start in range(0, len(aligned), BATCH)]

    def encode(batch: np.ndarray) -> np.ndarray:
        return encoder.encode(batch)[0]

    return np.concatenate(list(in_order(encode, batches, "Encoding", progress)))


def count_queries(labels: np.ndarray) -> int:
    """Faces of people with two or more; DataError when there are none, or nobody else."""
    person, rows = queries_with_mates(labels)
    people = len(set(person.tolist()))
    if not len(rows) or people < 2:
        raise DataError(
            f"{len(labels)} faces of {people} people: a search needs somebody with two faces, "
            "and somebody else to be told from"
        )
    return len(rows)


def check_lengths(encoder: Encoder, bits: Sequence[int]) -> tuple[int, ...]:
    lengths = tuple(dict.fromkeys(bits)) or encoder.lengths
    unknown = [length for length in lengths if length not in encoder.lengths]
    if unknown:
        raise ConfigError(
            f"{encoder.name} has no codes of {unknown} bits; its lengths are {encoder.lengths}"
        )
    return lengths
