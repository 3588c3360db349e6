"""Interface of every method of the comparison: fit on labelled training faces, encode others.

Axes: N = training images, M = images to encode, D = features, K = hash bits, C = identities.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True)
class Budget:
    """Training budget, the same for every deep method.

    A batch has `people` times `each` images, so that losses on pairs find positive pairs; methods
    on single images take the same batches.

    Attributes:
        epochs: passes over the training images.
        people: identities per batch.
        each: images per identity in a batch.
        weight_decay: weight decay of Adam.
        augment: strength of `daah.data.augmentation.Augmentation`; 0 disables it.
        bfloat16: whether to use autocast, where the processor is fast at it.

    Raises:
        ValueError: `epochs`, `people` or `each` is below 1.
    """

    epochs: int = 10
    people: int = 32
    each: int = 4
    weight_decay: float = 1e-4
    augment: float = 0.5
    bfloat16: bool = True

    def __post_init__(self) -> None:
        if min(self.epochs, self.people, self.each) < 1:
            raise ValueError(f"expected at least one epoch, person and image, got {self}")


class HashingMethod(ABC):
    """One hashing method with one code length.

    Settings of a method are numbers among its class attributes, with their defaults.

    Attributes:
        inputs: what `fit` and `encode` take. "features": a matrix (N, D) float32, centred and with
            rows of unit length, as of `daah.comparison.methods.features`. "images": aligned faces
            (N, 32, 32, 3) uint8 RGB.
    """

    inputs: Literal["features", "images"] = "features"

    def __init__(
        self, bits: int, seed: int = 0, budget: Budget | None = None, **settings: float
    ) -> None:
        """Construct a method, not fitted yet.

        Args:
            bits: code length K.
            seed: seed of all random numbers.
            budget: training budget of a deep method; shallow ones ignore it.
            settings: values other than the class's.

        Raises:
            TypeError: the method has no such setting.
        """
        unknown = sorted(set(settings) - self.settings())
        if unknown:
            raise TypeError(
                f"{type(self).__name__} has no settings {unknown}; it has {sorted(self.settings())}"
            )
        self.bits, self.seed, self.budget = bits, seed, budget or Budget()
        vars(self).update(settings)

    @classmethod
    def settings(cls) -> set[str]:
        """Names of the settings of this method."""
        return {
            name
            for parent in cls.__mro__
            for name, value in vars(parent).items()
            if isinstance(value, int | float) and not name.startswith("_")
        }

    @abstractmethod
    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Fit the method on training images or features.

        Args:
            x: features (N, D) or images (N, 32, 32, 3), see `inputs`.
            labels: (N,) int64 in [0, C); unsupervised methods ignore them.

        Raises:
            ValueError: x has another shape or dtype, or too few rows or features.
        """

    @abstractmethod
    def encode(self, x: np.ndarray) -> np.ndarray:
        """Encode images or features. A row does not depend on the other rows.

        Args:
            x: features (M, D) or images (M, 32, 32, 3), see `inputs`.

        Returns:
            Hash logits (M, K) float32; `daah.codes.sign` of them is the code.

        Raises:
            ValueError: x has another shape or dtype.
        """

    def database(self, x: np.ndarray) -> np.ndarray:
        """Codes of the training set. Some methods learn them directly; others `encode(x)`.

        Args:
            x: the rows that `fit` was given, in the same order.

        Returns:
            Hash logits (N, K) float32.
        """
        return self.encode(x)


class StoredMethod(HashingMethod):
    """A method that can be stored once it is fitted, as the small models of the app are."""

    @abstractmethod
    def state(self) -> dict[str, np.ndarray]:
        """Arrays of the fitted method, from which `restore` reconstructs it.

        Returns:
            The arrays by name.
        """

    @classmethod
    @abstractmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> StoredMethod:
        """Reconstruct a fitted method.

        Args:
            bits: code length K.
            state: arrays of `state`.

        Returns:
            The method, ready to encode.

        Raises:
            KeyError: an array is missing.
            ValueError: an array has another shape, or is none of this method.
        """


def one_hot(labels: np.ndarray) -> np.ndarray:
    """One-hot encoding of labels.

    Args:
        labels: (N,) int64 in [0, C).

    Returns:
        (N, C) float64 of zeros and ones.
    """
    return np.eye(int(labels.max()) + 1)[labels]


def check_features(x: np.ndarray, bits: int) -> None:
    """Validate a feature matrix.

    Args:
        x: (N, D) features.
        bits: code length; N must be larger.

    Raises:
        ValueError: x is not a finite matrix with more than `bits` rows.
    """
    if x.ndim != 2 or len(x) <= bits or not np.isfinite(x).all():
        raise ValueError(f"expected finite features (N, D) with N > {bits} rows, got {x.shape}")


def check_images(x: np.ndarray) -> None:
    """Validate images.

    Args:
        x: (N, 32, 32, 3) uint8.

    Raises:
        ValueError: the shape or dtype is another.
    """
    if x.dtype != np.uint8 or x.shape[1:] != (32, 32, 3):
        raise ValueError(f"expected images uint8 (N, 32, 32, 3), got {x.dtype} {x.shape}")
