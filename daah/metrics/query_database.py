"""Closed-set retrieval: queries and a database of the same identities, from codes or distances.

Axes: Q = queries, N = database images, K = hash bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from daah import codes
from daah.metrics import ranking

#: Values of k at which precision is reported.
AT = (1, 5, 10, 20, 50)


@dataclass(frozen=True, eq=False)
class ClosedSetScores:
    """Means over the queries; ties are averaged over their orders.

    Attributes:
        map: mean average precision in [0, 1].
        precision_radius2: precision within Hamming radius 2; a query without results counts as 0.
        precision_at: precision at k, by k.
        curve: precision and recall at every distance.
    """

    map: float
    precision_radius2: float
    precision_at: dict[int, float]
    curve: ranking.PrecisionRecall

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values, without the curve."""
        return {
            "map": self.map,
            "rank1": self.precision_at[1],
            "precision_radius2": self.precision_radius2,
            "precision_at": {str(k): v for k, v in self.precision_at.items()},
        }


def score_codes(
    query: np.ndarray, database: np.ndarray, own: np.ndarray, theirs: np.ndarray
) -> ClosedSetScores:
    """Score retrieval by the Hamming distance of the logits' signs.

    Args:
        query: logits (Q, K).
        database: logits (N, K).
        own: (Q,) identity of each query.
        theirs: (N,) identity of each database image, in the same numbering.

    Returns:
        The scores.
    """
    packed = [codes.from_logits(logits) for logits in (query, database)]
    return score_distances(codes.hamming(*packed), own, theirs)


def score_distances(distance: np.ndarray, own: np.ndarray, theirs: np.ndarray) -> ClosedSetScores:
    """Score retrieval by given distances.

    Args:
        distance: (Q, N); for float distances `precision_radius2` has no meaning.
        own: (Q,) identity of each query.
        theirs: (N,) identity of each database image, in the same numbering.

    Returns:
        The scores.

    Raises:
        ValueError: a distance is not finite, or the shapes do not fit.
    """
    groups = ranking.tie_groups(distance, own[:, None] == theirs[None, :])
    return ClosedSetScores(
        float(ranking.average_precision(groups).mean()),
        float(ranking.precision_within(groups, 2).mean()),
        {k: float(ranking.precision_at(groups, k).mean()) for k in AT},
        ranking.precision_recall(groups),
    )
