"""Open-set identification rates (ISO/IEC 19795-1): FPIR and FNIR."""

from __future__ import annotations

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
