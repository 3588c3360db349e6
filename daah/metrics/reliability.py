"""Reliability diagrams and the expected calibration error (ECE)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# --------------------------------------------------------------------------------- calibration


@dataclass(frozen=True, eq=False)
class Reliability:
    """Reliability diagram: predicted probability and observed frequency in equal-width bins.

    Empty bins are left out.

    Attributes:
        confidence: (bins,) float64, mean predicted probability.
        accuracy: (bins,) float64, observed frequency.
        weight: (bins,) float64, share of all pairs; sums to 1.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    weight: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the weighted mean of |accuracy - confidence|."""
        return float(np.sum(self.weight * np.abs(self.accuracy - self.confidence)))


def reliability_bins(
    probability: np.ndarray, outcome: np.ndarray, bins: int = 15, weight: np.ndarray | None = None
) -> Reliability:
    """Bins of a reliability diagram (Guo et al., "On calibration of modern neural networks", 2017).

    Args:
        probability: (N,) predicted probabilities in [0, 1].
        outcome: (N,) bool.
        bins: number of equal-width bins.
        weight: (N,) non-negative; None weights all equally. Weights correct for genuine and
            impostor pairs that are not in the proportion of the stated prior.

    Returns:
        The bins that are not empty.

    Raises:
        ValueError: there are no probabilities, or one is out of range.

    Example:
        >>> reliability_bins(np.array([0.9, 0.9, 0.1]), np.array([True, False, False])).error
        0.3
    """
    probability = np.asarray(probability, np.float64)
    weight = np.ones(len(probability)) if weight is None else np.asarray(weight, np.float64)
    if not len(probability) or probability.min() < 0 or probability.max() > 1:
        raise ValueError("reliability: expected at least one probability, all in [0, 1]")
    place = np.minimum((probability * bins).astype(int), bins - 1)
    total = np.bincount(place, weights=weight, minlength=bins)
    said = np.bincount(place, weights=weight * probability, minlength=bins)
    true = np.bincount(place, weights=weight * np.asarray(outcome, bool), minlength=bins)
    used = total > 0
    return Reliability(
        said[used] / total[used], true[used] / total[used], total[used] / total.sum()
    )


def expected_calibration_error(
    probability: np.ndarray, outcome: np.ndarray, bins: int = 15, weight: np.ndarray | None = None
) -> float:
    """Expected calibration error: the weighted mean of |accuracy - confidence| over the bins.

    Args:
        probability: as of `reliability_bins`.
        outcome: as of `reliability_bins`.
        bins: as of `reliability_bins`.
        weight: as of `reliability_bins`.

    Returns:
        The error in [0, 1].

    Raises:
        ValueError: as of `reliability_bins`.

    Example:
        >>> expected_calibration_error(np.array([1.0, 0.0]), np.array([True, False]))
        0.0
    """
    return reliability_bins(probability, outcome, bins, weight).error
