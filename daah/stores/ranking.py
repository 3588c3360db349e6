"""Ranking of results by arithmetic that all stores share, so that they give the same answer."""

from __future__ import annotations

import numpy as np

from daah.codes import sign, unpack
from daah.stores.base import Neighbours


def asymmetric_each(logits: np.ndarray, packed: np.ndarray) -> np.ndarray:
    """Asymmetric distance of each query to its own candidates.

    It is the sum of |logit| over the bits that disagree, as in `daah.codes.asymmetric`. That
    function uses a matrix product, whose last digits depend on the position of a row. Here equal
    codes get equal numbers, so that duplicates are ordered by id, whatever the number of
    candidates.

    Args:
        logits: (Q, K) float32.
        packed: codes (Q, C, B) uint8 of at least K bits.

    Returns:
        (Q, C) float32.

    Raises:
        ValueError: the codes have fewer than K bits.
    """
    bits = logits.shape[1]
    disagree = unpack(packed, bits) != sign(logits)[:, None, :]  # (Q, C, K)
    return (disagree * np.abs(logits)[:, None, :]).sum(axis=2, dtype=np.float32)


def order(*keys: np.ndarray) -> np.ndarray:
    """Sort each row by the first key, ties by the next ones.

    Args:
        keys: arrays (Q, C), the most significant first.

    Returns:
        Column indices (Q, C) int64.
    """
    return np.lexsort(keys[::-1], axis=-1)


def neighbours(
    queries: int, asked: np.ndarray, ids: np.ndarray, distances: np.ndarray
) -> Neighbours:
    """Order the rows that a search by radius found.

    Args:
        queries: number of queries.
        asked: (M,) int, by which query each row was found.
        ids: (M,) int64.
        distances: (M,) int.

    Returns:
        The rows of each query, nearest first, ties by id.
    """
    by = np.lexsort((ids, distances, asked))
    starts = np.zeros(queries + 1, np.int64)
    np.cumsum(np.bincount(asked, minlength=queries), out=starts[1:])
    return Neighbours(starts, ids[by].astype(np.int64), distances[by].astype(np.int32))
