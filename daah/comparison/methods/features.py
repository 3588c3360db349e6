"""Feature matrices for the shallow methods: LBP histograms, pixels by PCA, a network's features.

Axes: N = images, D = features. Each is fitted on training faces (N, 32, 32, 3) uint8 and gives
float32 rows centred on the training mean and scaled to unit length.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from skimage.color import rgb2gray
from skimage.feature import local_binary_pattern
from sklearn.decomposition import PCA


class Features(Protocol):
    """A descriptor of aligned faces."""

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Learn what the descriptor needs from training faces (N, 32, 32, 3) uint8."""

    def transform(self, images: np.ndarray) -> np.ndarray:
        """Faces (N, 32, 32, 3) uint8 to (N, D) float32."""


class UnitRows:
    """Centre on the training mean, then scale each row to unit length."""

    def fit(self, rows: np.ndarray) -> UnitRows:
        self.mean = rows.mean(0)
        return self

    @classmethod
    def restore(cls, mean: np.ndarray) -> UnitRows:
        """Fitted rows from their training mean (D,)."""
        unit = cls()
        unit.mean = mean
        return unit

    def __call__(self, rows: np.ndarray) -> np.ndarray:
        rows = rows - self.mean
        length = np.linalg.norm(rows, axis=1, keepdims=True)
        return (rows / np.maximum(length, 1e-12)).astype(np.float32)


def lbp_histograms(images: np.ndarray, grid: int = 4) -> np.ndarray:
    """Uniform LBP histograms of a face in grid x grid cells: (N, grid * grid * 59) float32.

    Source: Ahonen, Hadid and Pietikainen, "Face description with local binary patterns", TPAMI
    2006: eight neighbours, 58 uniform patterns and one bin for the rest, one histogram a region,
    each summing to 1. Deviation: radius 1 and 4 x 4 regions, as the faces are 32 pixels wide and
    not 130. images: (N, S, S, 3) uint8, S a multiple of grid.
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
    """Ahonen's distance of histograms, sum of (a - b)^2 / (a + b): (N, D), (M, D) to (N, M)."""
    distance = np.empty((len(a), len(b)), np.float32)
    for i, row in enumerate(a):
        distance[i] = ((row - b) ** 2 / np.maximum(row + b, 1e-12)).sum(1)
    return distance


class LBP:
    """LBP histograms as features; square roots, so that Euclid's distance is Hellinger's."""

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        self.unit = UnitRows().fit(np.sqrt(lbp_histograms(images)))

    def transform(self, images: np.ndarray) -> np.ndarray:
        return self.unit(np.sqrt(lbp_histograms(images)))


class Pixels:
    """RGB pixels cut to their first principal components ("eigenfaces", Turk and Pentland 1991)."""

    def __init__(self, components: int = 128) -> None:
        self.components = components

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        flat = _flat(images)
        count = min(self.components, *flat.shape)
        self.pca = PCA(count, svd_solver="randomized", random_state=0).fit(flat)
        self.unit = UnitRows().fit(self.pca.transform(flat))

    def transform(self, images: np.ndarray) -> np.ndarray:
        return self.unit(self.pca.transform(_flat(images)))


def _flat(images: np.ndarray) -> np.ndarray:
    return images.reshape(len(images), -1).astype(np.float32) / 255
