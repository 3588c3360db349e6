"""Verification: true and false accept rates of pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# -------------------------------------------------------------------------------- verification


@dataclass(frozen=True)
class Operating:
    """An operating point of verification: pairs at `threshold` or nearer are accepted.

    Attributes:
        threshold: a distance, or -inf when no distance keeps the target.
        tar: true accept rate in [0, 1].
        far: false accept rate in [0, 1].
    """

    threshold: float
    tar: float
    far: float


def tar_at_far(genuine: np.ndarray, impostor: np.ndarray, far: float) -> Operating:
    """True accept rate at a false accept rate of at most `far`.

    The threshold is the largest distance among the pairs whose false accept rate does not exceed
    the target. Discrete distances cannot meet a target exactly, and interpolation would report a
    rate that no threshold has. If even the smallest distance accepts too many, nothing is accepted:
    the threshold is -inf and both rates are 0.

    Args:
        genuine: distances of same-person pairs, any shape.
        impostor: distances of different-person pairs, any shape.
        far: target in [0, 1).

    Returns:
        The operating point, with the false accept rate that the threshold has.

    Raises:
        ValueError: there are no pairs of one kind, or `far` is out of range.

    Example:
        >>> tar_at_far(np.array([1, 2, 2, 5]), np.array([3, 4, 4, 6]), far=0.25)
        Operating(threshold=3.0, tar=0.75, far=0.25)
    """
    genuine, impostor = checked_pairs(genuine, impostor)
    if not 0 <= far < 1:
        raise ValueError(f"tar_at_far: expected a rate in [0, 1), got {far}")
    allowed = min(int(np.floor(far * len(impostor) * (1 + 1e-12))), len(impostor) - 1)
    # The first distance that would let in one impostor too many; everything nearer is accepted.
    barrier = np.partition(impostor, allowed)[allowed]
    nearer = genuine[genuine < barrier]
    let_in = impostor[impostor < barrier]
    threshold = max(
        float(nearer.max()) if len(nearer) else -np.inf,
        float(let_in.max()) if len(let_in) else -np.inf,
    )
    return Operating(threshold, len(nearer) / len(genuine), len(let_in) / len(impostor))


@dataclass(frozen=True, eq=False)
class Roc:
    """Rates at every distance that occurs.

    Attributes:
        threshold: (T,) float64, ascending; pairs at the threshold or nearer are accepted.
        far: (T,) float64, false accept rate.
        tar: (T,) float64, true accept rate.
    """

    threshold: np.ndarray
    far: np.ndarray
    tar: np.ndarray


def roc(genuine: np.ndarray, impostor: np.ndarray) -> Roc:
    """Receiver operating characteristic over every distance that occurs.

    Args:
        genuine: distances of same-person pairs, any shape.
        impostor: distances of different-person pairs, any shape.

    Returns:
        The curve.

    Raises:
        ValueError: there are no pairs of one kind.

    Example:
        >>> curve = roc(np.array([1, 2]), np.array([2, 3]))
        >>> curve.threshold.tolist(), curve.far.tolist(), curve.tar.tolist()
        ([1.0, 2.0, 3.0], [0.0, 0.5, 1.0], [0.5, 1.0, 1.0])
    """
    genuine, impostor = checked_pairs(genuine, impostor)
    same, same_count = np.unique(genuine, return_counts=True)
    other, other_count = np.unique(impostor, return_counts=True)
    threshold = np.union1d(same, other)

    def rate(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        below = np.concatenate([[0], np.cumsum(counts)])
        return below[np.searchsorted(values, threshold, side="right")] / counts.sum()

    return Roc(threshold.astype(np.float64), rate(other, other_count), rate(same, same_count))


def checked_pairs(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flatten the distances of pairs, and check that there are pairs of both kinds.

    Args:
        genuine: distances of same-person pairs, any shape.
        impostor: distances of different-person pairs, any shape.

    Returns:
        Both as (any,).

    Raises:
        ValueError: there are no pairs of one kind.
    """
    genuine, impostor = np.ravel(genuine), np.ravel(impostor)
    if not len(genuine) or not len(impostor):
        raise ValueError(
            f"expected pairs of both kinds, got {len(genuine)} of the same person "
            f"and {len(impostor)} of different people"
        )
    return genuine, impostor
