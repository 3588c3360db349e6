"""Hash centres: one fixed binary target code per identity, far from those of the others.

Axes: C = identities, K = hash bits.
"""

from __future__ import annotations

import numpy as np
from scipy.linalg import hadamard

#: Draws of which the one with the largest least distance between two centres is kept.
_DRAWS = 20


def central_codes(classes: int, bits: int, seed: int) -> np.ndarray:
    """Centres of central similarity quantization.

    Source: Yuan et al., CVPR 2020, algorithm 1. If K is a power of two and C is at most 2K, the
    rows of Sylvester's Hadamard matrix and of its negative, so that two centres differ in at least
    K / 2 bits. Otherwise random codes with half of the bits set.

    Args:
        classes: number of centres C.
        bits: code length K.
        seed: seed of the draws.

    Returns:
        (C, K) float32 in {-1, 1}.
    """
    if bits & (bits - 1) == 0 and classes <= 2 * bits:
        matrix = hadamard(bits)
        return np.concatenate([matrix, -matrix])[:classes].astype(np.float32)
    half = np.where(np.arange(bits) < bits // 2, 1.0, -1.0)

    def draw(rng: np.random.Generator) -> np.ndarray:
        return rng.permuted(np.tile(half, (classes, 1)), axis=1)

    return _farthest([draw(np.random.default_rng([seed, i])) for i in range(_DRAWS)])


def random_codes(classes: int, bits: int, seed: int) -> np.ndarray:
    """Centres whose bits are drawn independently, with equal probability.

    Args:
        classes: number of centres C.
        bits: code length K.
        seed: seed of the draws.

    Returns:
        (C, K) float32 in {-1, 1}.
    """

    def draw(rng: np.random.Generator) -> np.ndarray:
        return np.where(rng.random((classes, bits)) < 0.5, -1.0, 1.0)

    return _farthest([draw(np.random.default_rng([seed, i])) for i in range(_DRAWS)])


def least_distance(centres: np.ndarray) -> int:
    """The smallest Hamming distance between two centres.

    Args:
        centres: (C, K) in {-1, 1}; C is at least 2.

    Returns:
        The distance in bits.
    """
    products = centres @ centres.T
    np.fill_diagonal(products, -np.inf)
    return int((centres.shape[1] - products.max()) // 2)


def _farthest(draws: list[np.ndarray]) -> np.ndarray:
    if len(draws[0]) < 2:
        return draws[0].astype(np.float32)
    return max(draws, key=least_distance).astype(np.float32)
