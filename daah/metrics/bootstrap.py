"""Bootstrap confidence intervals that resample identities instead of photos."""

from __future__ import annotations

import numpy as np

# ------------------------------------------------------------------------------------ intervals


def bootstrap_people(
    values: np.ndarray,
    people: np.ndarray,
    weights: np.ndarray | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, resampling identities with replacement.

    Photos of one person are correlated, so resampling photos would make the interval too narrow.
    With one identity there is nothing to resample, and both ends are the mean.

    Args:
        values: (N,) values of the photos.
        people: (N,) identity labels.
        weights: (N,) non-negative weights of the mean; None weights all equally.
        samples: number of bootstrap samples.
        level: confidence level in (0, 1).
        seed: seed of the resampling.

    Returns:
        Lower and upper end of the interval.

    Raises:
        ValueError: there are no values, or their number differs from that of the labels.

    Example:
        >>> bootstrap_people(np.array([0.0, 1.0]), np.array(["a", "a"]))
        (0.5, 0.5)
    """
    values = np.asarray(values, np.float64)
    if not len(values) or len(people) != len(values):
        raise ValueError(f"bootstrap_people: {len(values)} values for {len(people)} labels")
    weights = np.ones(len(values)) if weights is None else np.asarray(weights, np.float64)
    _, place = np.unique(people, return_inverse=True)
    total = np.bincount(place, weights=weights * values)  # (P,)
    count = np.bincount(place, weights=weights)
    rng = np.random.default_rng(seed)
    drawn = rng.multinomial(len(total), np.full(len(total), 1 / len(total)), size=samples)  # (B, P)
    denominator = drawn @ count
    means = (drawn @ total)[denominator > 0] / denominator[denominator > 0]
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
