"""Feature matrices for the shallow methods: LBP histograms, pixels by PCA, a network's features.

Axes: N = images, D = features. Each is fitted on training faces (N, 32, 32, 3) uint8 and gives
float32 rows, centred on the training mean and scaled to unit length.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from skimage.color import rgb2gray
from skimage.feature import local_binary_pattern


class Features(Protocol):
    """A descriptor of aligned faces."""

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Fit the descriptor on training faces.

        Args:
            images: (N, 32, 32, 3) uint8 RGB.
            labels: (N,) int64, identities.
        """

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Compute the features of faces.

        Args:
            images: (N, 32, 32, 3) uint8 RGB.

        Returns:
            (N, D) float32, centred, with rows of unit length.
        """


class UnitRows:
    """Normalisation: centre on the training mean, then scale each row to unit length."""

    def fit(self, rows: np.ndarray) -> UnitRows:
        """Compute the training mean.

        Args:
            rows: (N, D).

        Returns:
            Itself.
        """
        self.mean = rows.mean(0)
        return self

    @classmethod
    def restore(cls, mean: np.ndarray) -> UnitRows:
        """Reconstruct a fitted normalisation.

        Args:
            mean: training mean (D,).

        Returns:
            The normalisation.
        """
        unit = cls()
        unit.mean = mean
        return unit

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        rows = rows - self.mean
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.maximum(length, 1e-12)).astype(np.float32)


def lbp_histograms(images: np.ndarray, grid: int = 4) -> np.ndarray:
    """Uniform LBP histograms of the cells of a grid.

    Source: Ahonen, Hadid and Pietikainen, "Face description with local binary patterns", TPAMI
    2006: eight neighbours, 58 uniform patterns and one bin for the rest, one histogram per region,
    each summing to 1. Deviation: radius 1 and 4 x 4 regions, because the faces are 32 pixels wide
    instead of 130.

    Args:
        images: (N, S, S, 3) uint8 RGB, S a multiple of `grid`.
        grid: cells per side.

    Returns:
        (N, grid * grid * 59) float32.
    """
    side = images.shape[1]
    cell = side // grid
    place = np.arange(side) // cell
    offset = 59 * (place[:, None] * grid + place[None, :])  # (S, S): first bin of a pixel's cell
    rows = np.empty((len(images), grid * grid * 59), np.float32)
    for i, image in enumerate(images):
        grey = np.round(255 * rgb2gray(image)).astype(np.uint8)
        pattern = local_binary_pattern(grey, 8, 1, method="nri_uniform").astype(np.int64)
        rows[i] = np.bincount((pattern + offset).ravel(), minlength=rows.shape[1])
    return rows / (cell * cell)


def chi_square(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Chi-square distance of histograms (Ahonen et al., 2006): sum of (a - b)^2 / (a + b).

    Args:
        a: (N, D), non-negative.
        b: (M, D), non-negative.

    Returns:
        (N, M) float32.
    """
    distance = np.empty((len(a), len(b)), np.float32)
    for i, row in enumerate(a):
        distance[i] = ((row - b) ** 2 / np.maximum(row + b, 1e-12)).sum(1)
    return distance


class LBP:
    """Square roots of LBP histograms: their Euclidean distance is the Hellinger distance."""

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        """See `Features.fit`."""
        self.unit = UnitRows().fit(np.sqrt(lbp_histograms(images)))

    def transform(self, images: np.ndarray) -> np.ndarray:
        """See `Features.transform`."""
        return self.unit(np.sqrt(lbp_histograms(images)))


class Pixels:
    """Principal components of RGB pixels ("eigenfaces", Turk and Pentland 1991).

    Args:
        components: maximum number of components D.
    """

    def __init__(self, components: int = 128) -> None:
        self.components = components

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        """See `Features.fit`."""
        from sklearn.decomposition import PCA  # imported late: seconds, at the app's start

        flat = _flat(images)
        count = min(self.components, *flat.shape)
        self.pca = PCA(count, svd_solver="randomized", random_state=0).fit(flat)
        self.unit = UnitRows().fit(self.pca.transform(flat))

    def transform(self, images: np.ndarray) -> np.ndarray:
        """See `Features.transform`."""
        return self.unit(self.pca.transform(_flat(images)))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
