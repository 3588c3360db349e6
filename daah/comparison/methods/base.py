"""What every method of the comparison offers: fit on labelled training faces, encode others.

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
    """What every deep method gets alike.

    epochs: passes over the training images. people x each: images of a batch, so that losses on
    pairs find pairs; methods on single images take the same batches. augment: strength of
    `daah.data.augmentation.Augmentation`. bfloat16: autocast, where the processor is fast at it.
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

    inputs: what `fit` and `encode` take. "features": a matrix (N, D) float32, centred and with
    rows of unit length, as `daah.comparison.methods.features` makes them. "images": aligned faces
    (N, 32, 32, 3) uint8 RGB.
    """

    inputs: Literal["features", "images"] = "features"

    def __init__(
        self, bits: int, seed: int = 0, budget: Budget | None = None, **settings: float
    ) -> None:
        """A method that is not fitted yet.

        Args:
            bits: length of its codes.
            seed: seed of whatever it draws.
            budget: what a deep method may spend; shallow ones ignore it.
            settings: other values than the class's.

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
        """Learn from training images or features; labels (N,) int64 in [0, C).

        Unsupervised methods do not look at the labels. Raises ValueError for what they cannot use.
        """

    @abstractmethod
    def encode(self, x: np.ndarray) -> np.ndarray:
        """Hash logits (M, K) float32; `daah.codes.sign` of them is the code.

        A row does not depend on the other rows.
        """

    def database(self, x: np.ndarray) -> np.ndarray:
        """Logits (N, K) of the very rows that `fit` was given, in the same order.

        They are `encode(x)`, but for methods that learn the codes of the database directly.
        """
        return self.encode(x)

    def state(self) -> dict[str, np.ndarray]:
        """The arrays of a fitted method by which `restore` makes it again, to be shipped."""
        raise NotImplementedError(f"{type(self).__name__} is not made to be shipped")

    @classmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> HashingMethod:
        """The method that `state` was taken of, ready to encode.

        Raises:
            KeyError, ValueError, RuntimeError: an array is missing, or its shape does not fit.
        """
        raise NotImplementedError(f"{cls.__name__} is not made to be shipped")


def one_hot(labels: np.ndarray) -> np.ndarray:
    """Labels (N,) int64 in [0, C) as (N, C) float64 of zeros and ones."""
    return np.eye(int(labels.max()) + 1)[labels]


def check_features(x: np.ndarray, bits: int) -> None:
    """Raise ValueError unless x is a finite matrix (N, D) with more rows than bits."""
    if x.ndim != 2 or len(x) <= bits or not np.isfinite(x).all():
        raise ValueError(f"expected finite features (N, D) with N > {bits} rows, got {x.shape}")
