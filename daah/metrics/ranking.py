"""Ranking metrics as expectations over all orders of ties.

The expectation is in closed form (McSherry and Najork, "Computing information retrieval performance
measures efficiently in the presence of tied scores", ECIR 2008).

Axes: Q = queries, M = database rows, G = tie groups.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# ------------------------------------------------------------------------------------ rankings


@dataclass(frozen=True, eq=False)
class TieGroups:
    """Rankings as groups of equal distance, nearest first within a query; see `tie_groups`.

    Attributes:
        query: (G,) int64, row of the query, ascending.
        distance: (G,) float64, the distance that the group shares.
        size: (G,) int64, rows in the group.
        relevant: (G,) int64, relevant rows in the group.
        before: (G,) int64, rows in all nearer groups of the query.
        relevant_before: (G,) int64, relevant rows in all nearer groups of the query.
        queries: number of queries Q.
    """

    query: np.ndarray
    distance: np.ndarray
    size: np.ndarray
    relevant: np.ndarray
    before: np.ndarray
    relevant_before: np.ndarray
    queries: int

    def per_query(self, values: np.ndarray) -> np.ndarray:
        """Sum values over the groups of each query.

        Args:
            values: (G,).

        Returns:
            (Q,) float64.
        """
        return np.bincount(self.query, weights=values, minlength=self.queries)


def tie_groups(
    distances: np.ndarray, relevant: np.ndarray, valid: np.ndarray | None = None
) -> TieGroups:
    """Rank the database of each query and group ties.

    Args:
        distances: (Q, M) finite numbers; smaller is nearer.
        relevant: (Q, M) bool.
        valid: (Q, M) bool, False for rows that are not in the query's database, such as the query
            itself; None keeps all.

    Returns:
        The groups of all queries.

    Raises:
        ValueError: shapes or dtypes do not fit, or a distance is not finite.

    Example:
        >>> groups = tie_groups(np.array([[1, 0, 1]]), np.array([[True, False, False]]))
        >>> groups.distance.tolist(), groups.size.tolist(), groups.relevant.tolist()
        ([0.0, 1.0], [1, 2], [0, 1])
    """
    distances, relevant = np.asarray(distances), np.asarray(relevant)
    if distances.ndim != 2 or relevant.shape != distances.shape or relevant.dtype != np.bool_:
        raise ValueError(
            f"tie_groups: expected distances (Q, M) and bool relevant of the same shape, "
            f"got {distances.shape} and {relevant.dtype} {relevant.shape}"
        )
    if valid is not None and (valid.shape != distances.shape or valid.dtype != np.bool_):
        raise ValueError(f"tie_groups: expected bool valid {distances.shape}, got {valid.shape}")
    if not np.isfinite(distances).all():
        raise ValueError("tie_groups: distances must be finite")
    queries, rows = distances.shape
    # float32 holds every Hamming distance exactly and sorts twice as fast as float64.
    exact = distances.dtype == np.float32 or distances.dtype.kind in "biu"
    keys = distances.astype(np.float32 if exact else np.float64)
    if valid is not None:
        keys[~valid] = np.inf
    order = np.argsort(keys, axis=1)
    keys = np.take_along_axis(keys, order, axis=1)
    hits = np.take_along_axis(relevant, order, axis=1)
    new = np.ones(keys.shape, bool)
    new[:, 1:] = keys[:, 1:] != keys[:, :-1]
    start = np.flatnonzero(new)
    size = np.diff(start, append=queries * rows)
    count = np.add.reduceat(hits.ravel().astype(np.int64), start) if len(start) else size
    query, before = np.divmod(start, max(rows, 1))
    total = np.cumsum(count) - count
    # What came before within the same query: subtract the running total where its row began.
    relevant_before = total - total[np.searchsorted(query, query)] if len(start) else total
    distance = keys.ravel()[start].astype(np.float64)
    keep = np.isfinite(distance)
    return TieGroups(
        query[keep],
        distance[keep],
        size[keep],
        count[keep],
        before[keep],
        relevant_before[keep],
        queries,
    )


def average_precision(groups: TieGroups) -> np.ndarray:
    """Expected average precision over all orders of the ties.

    In a group of n rows, r relevant, after N rows with R relevant, place i holds a relevant row
    with probability r / n, and then R + 1 + (i - 1)(r - 1) / (n - 1) relevant rows are expected up
    to it. Summed over i = 1 to n and divided by N + i, that is a difference of two harmonic
    numbers.

    Args:
        groups: of `tie_groups`.

    Returns:
        (Q,) float64; NaN for a query without relevant rows.

    Example:
        Two rows tie and one is relevant: it comes first (precision 1) or second (precision 1/2).

        >>> average_precision(tie_groups(np.array([[3, 3]]), np.array([[True, False]]))).tolist()
        [0.75]
    """
    n, r = groups.size, groups.relevant
    slope = np.where(n > 1, (r - 1) / np.maximum(n - 1, 1), 0.0)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, _last(groups) + 1))])
    places = harmonic[groups.before + n] - harmonic[groups.before]
    inside = slope * n + (groups.relevant_before + 1 - slope * (groups.before + 1)) * places
    with np.errstate(invalid="ignore"):
        return groups.per_query(r / n * inside) / groups.per_query(r)


def rank1(groups: TieGroups) -> np.ndarray:
    """Probability that the first row is relevant.

    Args:
        groups: of `tie_groups`.

    Returns:
        (Q,) float64; 0 for an empty database.

    Example:
        >>> rank1(tie_groups(np.array([[2, 2, 5]]), np.array([[True, False, True]]))).tolist()
        [0.5]
    """
    return precision_at(groups, 1)


def precision_at(groups: TieGroups, k: int) -> np.ndarray:
    """Expected precision at k: the share of relevant rows among the first k.

    Args:
        groups: of `tie_groups`.
        k: number of rows, at least 1. It is the divisor even when a query has fewer relevant rows.

    Returns:
        (Q,) float64.

    Raises:
        ValueError: `k` is below 1.

    Example:
        >>> groups = tie_groups(np.array([[0, 2, 2, 2]]), np.array([[True, True, False, False]]))
        >>> precision_at(groups, 2).round(3).tolist()  # the sure one, and a third of another
        [0.667]
    """
    if k < 1:
        raise ValueError(f"precision_at: expected k of at least 1, got {k}")
    taken = np.clip(k - groups.before, 0, groups.size)
    return groups.per_query(groups.relevant * taken / groups.size) / k


def precision_within(groups: TieGroups, radius: float = 2) -> np.ndarray:
    """Precision within a radius: the share of relevant rows among those at `radius` or nearer.

    Args:
        groups: of `tie_groups`.
        radius: largest distance that is counted.

    Returns:
        (Q,) float64. A query without results counts as 0, as in Liu et al., "Supervised hashing
        with kernels", CVPR 2012.

    Example:
        >>> groups = tie_groups(np.array([[0, 2, 3]]), np.array([[True, False, True]]))
        >>> precision_within(groups, radius=2).tolist()
        [0.5]
    """
    near = groups.distance <= radius
    found = groups.per_query(groups.size * near)
    return groups.per_query(groups.relevant * near) / np.maximum(found, 1)


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision and recall of the rows within each distance.

    Attributes:
        distance: (T,) float64, ascending.
        precision: (T,) float64.
        recall: (T,) float64.
    """

    distance: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def precision_recall(groups: TieGroups) -> PrecisionRecall:
    """Precision and recall at every distance that occurs, pooled over the queries.

    Args:
        groups: of `tie_groups`.

    Returns:
        The curve.

    Example:
        >>> groups = tie_groups(np.array([[0, 2, 2]]), np.array([[True, True, False]]))
        >>> curve = precision_recall(groups)
        >>> curve.distance.tolist(), curve.recall.tolist(), curve.precision.round(2).tolist()
        ([0.0, 2.0], [0.5, 1.0], [1.0, 0.67])
    """
    distance, place = np.unique(groups.distance, return_inverse=True)
    found = np.cumsum(np.bincount(place, weights=groups.size, minlength=len(distance)))
    hits = np.cumsum(np.bincount(place, weights=groups.relevant, minlength=len(distance)))
    return PrecisionRecall(distance, hits / found, hits / max(groups.relevant.sum(), 1))


def _last(groups: TieGroups) -> int:
    return int((groups.before + groups.size).max(initial=0))
