"""Open-set identification rates (ISO/IEC 19795-1): FPIR and FNIR."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

# ------------------------------------------------------------------------------ identification


@dataclass(frozen=True, eq=False)
class Identification:
    """Open-set identification rates at every distance that occurs.

    Attributes:
        threshold: (T,) float64, ascending distances; rows at the threshold or nearer are accepted.
        fpir: (T,) float64, share of non-mated searches that return any candidate.
        fnir: (T,) float64, share of mated searches whose rank-1 candidate is not the mate within
            the threshold.
    """

    threshold: np.ndarray
    fpir: np.ndarray
    fnir: np.ndarray


def identification_rates(
    nearest: np.ndarray, correct: np.ndarray, stranger_nearest: np.ndarray
) -> Identification:
    """FPIR and FNIR at rank 1 (ISO/IEC 19795-1).

    Args:
        nearest: (E,) distance of each mated search to its nearest gallery row.
        correct: (E,) probability in [0, 1] that this row is the mate, as `rank1` gives it.
        stranger_nearest: (S,) distance of each non-mated search to its nearest gallery row.

    Returns:
        The rates at every distance that occurs.

    Raises:
        ValueError: there are no mated or no non-mated searches.

    Example:
        >>> c = identification_rates(np.array([1, 4]), np.array([1.0, 0.0]), np.array([3, 9]))
        >>> c.threshold.tolist(), c.fpir.tolist(), c.fnir.tolist()
        ([1.0, 3.0, 4.0, 9.0], [0.0, 0.5, 0.5, 1.0], [0.5, 0.5, 0.5, 0.5])
    """
    nearest, stranger_nearest = np.ravel(nearest), np.ravel(stranger_nearest)
    if not len(nearest) or not len(stranger_nearest):
        raise ValueError(
            f"identification: expected searches of both kinds, got {len(nearest)} for enrolled "
            f"people and {len(stranger_nearest)} for strangers"
        )
    threshold = np.union1d(nearest, stranger_nearest)
    order = np.argsort(nearest)
    hits = np.concatenate([[0.0], np.cumsum(np.asarray(correct, np.float64)[order])])
    found = hits[np.searchsorted(nearest[order], threshold, side="right")]
    alarms = np.searchsorted(np.sort(stranger_nearest), threshold, side="right")
    return Identification(
        threshold.astype(np.float64),
        alarms / len(stranger_nearest),
        1.0 - found / len(nearest),
    )


def threshold_at(stranger_nearest: np.ndarray, level: float) -> float:
    """The threshold that keeps a false positive identification rate.

    Args:
        stranger_nearest: (S,) distance of each non-mated search to its nearest gallery row.
        level: the rate, in [0, 1].

    Returns:
        Just below the distance at which more than this share of non-mated searches find anybody;
        infinite where no distance is.

    Example:
        >>> round(threshold_at(np.array([3, 5, 7, 9]), 0.5), 3)
        7.0
    """
    values = np.unique(stranger_nearest).astype(np.float64)
    share = np.searchsorted(np.sort(stranger_nearest), values, side="right") / len(stranger_nearest)
    over = values[share > level]
    return float(np.nextafter(over[0], -np.inf)) if len(over) else float("inf")


def fnir_intervals(
    nearest: np.ndarray,
    correct: np.ndarray,
    people: np.ndarray,
    stranger_nearest: np.ndarray,
    strangers: np.ndarray,
    levels: np.ndarray | Sequence[float],
    samples: int = 1000,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """95% intervals of FNIR at false positive identification rates, by bootstrap over people.

    Enrolled people and strangers are both resampled, and every sample has a threshold of its own:
    at a small rate, that a handful of strangers decide, most of the uncertainty is the threshold's.

    Args:
        nearest: (E,) distance of each mated search to its nearest gallery row.
        correct: (E,) probability in [0, 1] that this row is the mate.
        people: (E,) identity labels of the mated searches.
        stranger_nearest: (S,) distance of each non-mated search to its nearest gallery row.
        strangers: (S,) identity labels of the non-mated searches.
        levels: (L,) the rates.
        samples: number of bootstrap samples.
        seed: seed of the resampling.

    Returns:
        Lower and upper ends, (L,) each.
    """
    rng = np.random.default_rng(seed)
    values = np.unique(stranger_nearest)  # (T,)
    found, searched = _drawn(
        np.searchsorted(values, stranger_nearest), np.ones(len(strangers)), strangers,
        len(values), samples, rng,
    )  # fmt: skip
    share = found / searched[:, None]  # (B, T): FPIR at each distance
    # A mated search whose nearest is in place t is found by every threshold above values[t - 1].
    hits, asked = _drawn(
        np.searchsorted(values, nearest, side="right"), correct, people, len(values) + 1,
        samples, rng,
    )  # fmt: skip
    rows = np.arange(samples)
    ends = []
    for level in levels:
        over = (share <= level).sum(1)  # (B,) the first distance that is too far
        fnir = 1 - hits[rows, over] / asked
        ends.append(np.quantile(fnir, [0.025, 0.975]))
    low, high = np.transpose(ends)
    return low, high


def _drawn(
    place: np.ndarray,
    weights: np.ndarray,
    people: np.ndarray,
    places: int,
    samples: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Weight up to each place (B, T), and number of searches (B,), of people drawn B times."""
    _, person = np.unique(people, return_inverse=True)
    count = np.bincount(person)
    table = np.zeros((len(count), places))
    np.add.at(table, (person, place), weights)
    drawn = rng.multinomial(len(count), np.full(len(count), 1 / len(count)), size=samples)
    return drawn @ table.cumsum(1), drawn @ count
