"""Templates of people: the photos of a person fused into one code.

A template is the signs of the mean of the logits of all photos of a person. Bits are independent of
one another, so the prefix of a template is the template of the prefixes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from daah.codes import from_logits, unpack


def person_id(person: str) -> int:
    """Number of a person in a store: 63 bits of the SHA-256 hash of the identifier.

    Args:
        person: identifier of the person.

    Returns:
        0 to 2**63 - 1.
    """
    digest = hashlib.sha256(person.encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def code_logits(packed: np.ndarray, bits: int) -> np.ndarray:
    """Logits of codes whose own are not known: every bit weighs the same.

    Args:
        packed: codes (N, B) uint8.
        bits: code length.

    Returns:
        (N, bits) float32 of -1 and 1.
    """
    return np.where(unpack(packed, bits), np.float32(1), np.float32(-1))


def template(logits: np.ndarray) -> np.ndarray:
    """The template of one person.

    Args:
        logits: (N, K) float32, those of the person's photos by ascending id.

    Returns:
        Code (B,) uint8, packed.

    Example:
        >>> template(np.float32([[2, -1, 1], [-1, -1, 3], [-2, 3, 0]])).tolist()
        [96]
    """
    # In float64 a sum of float32 numbers is exact or nearly so: no mean has a sign of rounding.
    return from_logits(np.asarray(logits, np.float64).sum(0))


def sums(people: Sequence[str], logits: np.ndarray) -> Iterator[tuple[str, np.ndarray, slice]]:
    """The sums whose signs are the templates, of rows that are sorted by person.

    Args:
        people: N identifiers; rows of one person are adjacent, by ascending id.
        logits: (N, K) float32.

    Yields:
        Each person in turn: identifier, sum of the logits (K,) float64, and which rows they are.
    """
    start = 0
    for person, rows in groupby(people):
        own = slice(start, start + sum(1 for _ in rows))
        yield person, logits[own].sum(0, dtype=np.float64), own
        start = own.stop
