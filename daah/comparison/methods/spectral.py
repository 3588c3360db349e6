"""SH: spectral hashing."""

from __future__ import annotations

import numpy as np
from sklearn.decomposition import PCA

from daah.comparison.methods.base import HashingMethod, check_features


class SH(HashingMethod):
    """Spectral hashing: thresholded Laplacian eigenfunctions of a box along the PCA axes.

    Source: Weiss, Torralba and Fergus, "Spectral hashing", NIPS 2008, section 3. On a box with
    sides b_i - a_i the eigenfunctions are sin(pi/2 + k pi / (b_i - a_i) (x_i - a_i)) for k = 1, 2,
    and so on, with eigenvalues that grow with k / (b_i - a_i). The K smallest over all axes make
    the code. It is deterministic: `seed` has no effect.
    """

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        self.pca = PCA(min(self.bits, x.shape[1]), svd_solver="full").fit(x)
        projected = self.pca.transform(x)
        self.low = projected.min(0)
        side = projected.max(0) - self.low
        if side.max() <= 0:
            raise ValueError("SH: all rows are the same")
        side = np.maximum(side, 1e-9 * side.max())
        # An axis can contribute K modes at most; the smallest frequencies of all axes win, and
        # the earlier axis wins a tie.
        frequency = np.arange(1, self.bits + 1)[:, None] * np.pi / side  # (K, axes)
        chosen = np.argsort(frequency.ravel(), kind="stable")[: self.bits]
        self.axis = chosen % frequency.shape[1]
        self.frequency = frequency.ravel()[chosen]

    def encode(self, x: np.ndarray) -> np.ndarray:
        projected = self.pca.transform(x) - self.low
        phase = projected[:, self.axis] * self.frequency  # (M, K)
        return np.cos(phase).astype(np.float32)
