"""Order of results, the same arithmetic for every store so that all give the same answer."""

from __future__ import annotations

import numpy as np

from daah.codes import sign, unpack


def asymmetric_each(logits: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Asymmetric distance of each query to its own candidates.

    logits (Q, K) float32 and packed (Q, C, B) uint8 give (Q, C) float32: the sum of |logit| over
    the bits that disagree, as `daah.codes.asymmetric`. That one uses a matrix product, whose last
    digits depend on where a row lies; here equal codes get equal numbers, so that the order of
    duplicates is their ids' and does not change with the number of candidates.
    """
    bits = logits.shape[1]
    disagree = unpack(packed, bits) != sign(logits)[:, None, :]  # (Q, C, K)
    return (disagree * np.abs(logits)[:, None, :]).sum(axis=2, dtype=np.float32)


def order(*keys: np.ndarray) -> np.ndarray:
    """Columns (Q, C) that sort each row by the first of `keys` (Q, C), then the next."""
    return np.lexsort(keys[::-1], axis=-1)
