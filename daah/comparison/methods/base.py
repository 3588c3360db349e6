"""What every method of the comparison offers: fit on labelled training faces, encode others.

Axes: N = training images, M = images to encode, D = features, K = hash bits, C = identities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, Protocol

import numpy as np


class Hasher(Protocol):
    """One hashing method with one code length.

    inputs: what `fit` and `encode` take. "features": a matrix (N, D) float32, centred and with
    rows of unit length, as `daah.comparison.methods.features` makes them. "images": aligned faces
    (N, 32, 32, 3) uint8 RGB.
    """

    inputs: Literal["features", "images"]
    bits: int

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Learn from training images or features; labels (N,) int64 in [0, C).

        Unsupervised methods do not look at the labels. Raises ValueError for what they cannot use.
        """

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Hash logits (M, K) float32; `daah.codes.sign` of them is the code.

        A row does not depend on the other rows.
        """

    def database(self, x: np.ndarray) -> np.ndarray:
        """Logits (N, K) of the very rows that `fit` was given, in the same order.

        They are `encode(x)`, but for methods that learn the codes of the database directly.
        """


class SymmetricHasher(ABC):
    """Database and queries are encoded alike: what all methods but the asymmetric ones do."""

    @abstractmethod
    def encode(self, x: np.ndarray) -> np.ndarray:
        """As `Hasher.encode`."""

    def database(self, x: np.ndarray) -> np.ndarray:
        return self.encode(x)


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Labels (N,) int64 in [0, C) as (N, C) float64 of zeros and ones."""
    return np.eye(int(labels.max()) + 1)[labels]


def check_features(x: np.ndarray, bits: int) -> None:
    """Raise ValueError unless x is a finite matrix (N, D) with more rows than bits."""
    if x.ndim != 2 or len(x) <= bits or not np.isfinite(x).all():
        raise ValueError(f"expected finite features (N, D) with N > {bits} rows, got {x.shape}")
