"""SpherH: spherical hashing."""

from __future__ import annotations

import numpy as np
from sklearn.metrics import pairwise_distances

from daah.comparison.methods.base import HashingMethod, check_features


class SpherH(HashingMethod):
    """Spherical hashing: bit k says whether x lies in sphere k, |x - p_k| <= t_k.

    Source: Heo, Lee, He, Chang and Yoon, "Spherical hashing: binary code embedding with
    hyperspheres", TPAMI 2015, algorithm 1. Every sphere holds half of the data (t_k is the median
    distance), and two spheres share a quarter: centres i, j with o_ij shared points push or pull
    each other by 1/2 (o_ij - n/4) / (n/4) (p_i - p_j), until the mean of |o_ij - n/4| is within
    10% of n/4 and the spread of o_ij within 15%.

    Deviation: ranked by the Hamming distance that all methods here are ranked by; the paper's own
    spherical distance, |a xor b| / |a and b|, is `spherical_distance`.
    """

    rounds = 100

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        rng = np.random.default_rng(self.seed)
        x = np.asarray(x, np.float64)
        # Each centre starts as the mean of a few random points, near the middle of the data.
        few = min(5, len(x))
        self.centres = np.stack(
            [x[rng.choice(len(x), few, replace=False)].mean(0) for _ in range(self.bits)]
        )
        quarter = len(x) / 4
        pairs = np.triu_indices(self.bits, 1)
        for _ in range(self.rounds):
            inside = self._place(x)
            shared = inside.T @ inside  # (K, K): points in both spheres
            if not len(pairs[0]):
                break
            apart = shared[pairs]
            if np.abs(apart - quarter).mean() <= 0.10 * quarter and apart.std() <= 0.15 * quarter:
                break
            pull = 0.5 * (shared - quarter) / quarter  # (K, K)
            np.fill_diagonal(pull, 0.0)
            # sum over j of pull_ij (p_i - p_j), averaged over the K spheres
            force = pull.sum(1, keepdims=True) * self.centres - pull @ self.centres
            self.centres = self.centres + force / self.bits
        self._place(x)

    def _place(self, x: np.ndarray) -> np.ndarray:
        """Set the radii to the median distances; return which points are inside, (N, K) 0/1."""
        distance = pairwise_distances(x, self.centres)
        self.radii = np.median(distance, axis=0)
        return (distance <= self.radii).astype(np.float64)

    def encode(self, x: np.ndarray) -> np.ndarray:
        distance = pairwise_distances(np.asarray(x, np.float64), self.centres)
        return (self.radii - distance).astype(np.float32)


def spherical_distance(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The paper's spherical Hamming distance |a xor b| / |a and b|.

    For codes without a common set bit |a xor b| is divided by 0.1, so that they are further apart
    than any others.

    Args:
        a: bits (N, K).
        b: bits (M, K).

    Returns:
        (N, M) float64.
    """
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    both = a @ b.T
    differ = a.sum(1)[:, None] + b.sum(1)[None, :] - 2 * both
    return differ / np.maximum(both, 0.1)
