"""Open-set identification rates (ISO/IEC 19795-1): FPIR and FNIR."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# ------------------------------------------------------------------------------ identification


@dataclass(frozen=True, eq=False)
class Identification:
    """Open-set identification at every threshold that occurs, ascending, each (T,) float64.

    fpir: share of strangers' searches that return anybody. fnir: share of enrolled people's
    searches whose first place is not the right person within the threshold.
    """

    threshold: np.ndarray
    fpir: np.ndarray
    fnir: np.ndarray


def identification_rates(
    nearest: np.ndarray, correct: np.ndarray, stranger_nearest: np.ndarray
) -> Identification:
    """False positive against false negative identification rate (ISO/IEC 19795-1, at rank 1).

    nearest: (E,) distance from each search for an enrolled person to the nearest gallery row.
    correct: (E,) chance in [0, 1] that this row is the right person, as `rank1` gives it.
    stranger_nearest: (S,) the nearest distance of each search for a person who is not enrolled.

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
