"""Retrieval with queries and a database of the same people: scores from codes or distances.

Axes: Q = queries, N = database images, K = hash bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daah import codes
from daah.metrics import ranking

#: Numbers of results at which precision is reported.
AT = (1, 5, 10, 20, 50)


@dataclass(frozen=True, eq=False)
class ClosedSetScores:
    """Means over the queries, each the expectation over the orders of ties.

    precision_radius2: among results within two bits, a query that finds none counting as 0.
    precision_at: by number of results. curve: precision and recall at every distance.
    """

    map: float
    precision_radius2: float
    precision_at: dict[int, float]
    curve: ranking.PrecisionRecall

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "map": self.map,
            "rank1": self.precision_at[1],
            "precision_radius2": self.precision_radius2,
            "precision_at": {str(k): v for k, v in self.precision_at.items()},
        }


def score_codes(
    query: np.ndarray, database: np.ndarray, own: np.ndarray, theirs: np.ndarray
) -> ClosedSetScores:
    """Rank database logits (N, K) for query logits (Q, K) by the Hamming distance of their signs.

    own (Q,), theirs (N,): who is on each image, in the same numbering.
    """
    packed = [codes.from_logits(logits) for logits in (query, database)]
    return score_distances(codes.hamming(*packed), own, theirs)


def score_distances(distance: np.ndarray, own: np.ndarray, theirs: np.ndarray) -> ClosedSetScores:
    """The same for any distance (Q, N); radius 2 has no meaning for floats."""
    groups = ranking.tie_groups(distance, own[:, None] == theirs[None, :])
    return ClosedSetScores(
        float(ranking.average_precision(groups).mean()),
        float(ranking.precision_within(groups, 2).mean()),
        {k: float(ranking.precision_at(groups, k).mean()) for k in AT},
        ranking.precision_recall(groups),
    )
