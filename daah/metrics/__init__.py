"""Retrieval, verification, identification and calibration metrics: pure functions of arrays.

Hamming distances are small whole numbers, so most of a ranking is ties. Nothing here breaks a tie
by the order of the database: every ranking metric is the expectation over all orders of each tie
group, in closed form (McSherry and Najork, "Computing information retrieval performance measures
efficiently in the presence of tied scores", ECIR 2008).

Axes: Q queries, M database rows, G tie groups, P people, B bootstrap samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# ------------------------------------------------------------------------------------ rankings


@dataclass(frozen=True, eq=False)
class TieGroups:
    """Rankings as runs of equal distance, nearest first within a query; all arrays are (G,).

    query: row of the query, ascending. distance: the distance that the group shares, float64.
    size, relevant: rows in the group, and how many of them are relevant, int64.
    before, relevant_before: the same counts for all nearer groups of that query, int64.
    queries: Q. Build it with `tie_groups`.
    """

    query: np.ndarray
    distance: np.ndarray
    size: np.ndarray
    relevant: np.ndarray
    before: np.ndarray
    relevant_before: np.ndarray
    queries: int

    def per_query(self, values: np.ndarray) -> np.ndarray:
        """Sum values (G,) over the groups of each query: (Q,) float64."""
        return np.bincount(self.query, weights=values, minlength=self.queries)


def tie_groups(
    distances: np.ndarray, relevant: np.ndarray, valid: np.ndarray | None = None
) -> TieGroups:
    """Rank the database of each query and group what is tied.

    distances: (Q, M) finite numbers, smaller is nearer. relevant: (Q, M) bool.
    valid: (Q, M) bool, False for rows that are not in this query's database, which is how a query
    excludes itself; None keeps all. Raises ValueError for shapes or values that do not fit.

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
    """Expected average precision over all orders of the ties: (Q,) float64, NaN if none relevant.

    In a group of n rows, r relevant, after N rows with R relevant, place i holds a relevant row
    with chance r / n, and then finds R + 1 + (i - 1)(r - 1) / (n - 1) relevant up to it. Summed
    over i = 1 to n and divided by N + i, that is a difference of two harmonic numbers.

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
    """Chance that the first row is relevant: (Q,) float64; 0 with an empty database.

    >>> rank1(tie_groups(np.array([[2, 2, 5]]), np.array([[True, False, True]]))).tolist()
    [0.5]
    """
    return precision_at(groups, 1)


def precision_at(groups: TieGroups, k: int) -> np.ndarray:
    """Expected share of relevant rows among the first k: (Q,) float64.

    It is divided by k even when a query has fewer than k relevant rows, so it can stay below 1.

    >>> groups = tie_groups(np.array([[0, 2, 2, 2]]), np.array([[True, True, False, False]]))
    >>> precision_at(groups, 2).round(3).tolist()  # the sure one, and a third of another
    [0.667]
    """
    if k < 1:
        raise ValueError(f"precision_at: expected k of at least 1, got {k}")
    taken = np.clip(k - groups.before, 0, groups.size)
    return groups.per_query(groups.relevant * taken / groups.size) / k


def precision_within(groups: TieGroups, radius: float = 2) -> np.ndarray:
    """Share of relevant rows among those within `radius`: (Q,) float64.

    A query that finds nothing counts as 0, as in Liu et al., "Supervised hashing with kernels",
    CVPR 2012.

    >>> groups = tie_groups(np.array([[0, 2, 3]]), np.array([[True, False, True]]))
    >>> precision_within(groups, radius=2).tolist()
    [0.5]
    """
    near = groups.distance <= radius
    found = groups.per_query(groups.size * near)
    return groups.per_query(groups.relevant * near) / np.maximum(found, 1)


@dataclass(frozen=True, eq=False)
class PrecisionRecall:
    """Precision and recall of "everything within `distance`", each (T,) float64, by distance."""

    distance: np.ndarray
    precision: np.ndarray
    recall: np.ndarray


def precision_recall(groups: TieGroups) -> PrecisionRecall:
    """Precision and recall at every distance that occurs, pooled over the queries.

    >>> curve = precision_recall(tie_groups(np.array([[0, 2, 2]]), np.array([[True, True, False]])))
    >>> curve.distance.tolist(), curve.recall.tolist(), curve.precision.round(2).tolist()
    ([0.0, 2.0], [0.5, 1.0], [1.0, 0.67])
    """
    distance, place = np.unique(groups.distance, return_inverse=True)
    found = np.cumsum(np.bincount(place, weights=groups.size, minlength=len(distance)))
    hits = np.cumsum(np.bincount(place, weights=groups.relevant, minlength=len(distance)))
    return PrecisionRecall(distance, hits / found, hits / max(groups.relevant.sum(), 1))


def _last(groups: TieGroups) -> int:
    return int((groups.before + groups.size).max(initial=0))


# -------------------------------------------------------------------------------- verification


@dataclass(frozen=True)
class Operating:
    """A verification threshold: pairs at `threshold` or nearer are accepted.

    threshold: a distance, or -inf when no distance keeps the target. tar, far: shares in [0, 1].
    """

    threshold: float
    tar: float
    far: float


def tar_at_far(genuine: np.ndarray, impostor: np.ndarray, far: float) -> Operating:
    """True accept rate at a false accept rate of at most `far`.

    genuine, impostor: distances of same-person and different-person pairs, (any,).
    The threshold is the largest distance that occurs among the pairs and whose own false accept
    rate does not exceed the target: discrete distances cannot meet a target exactly, and
    interpolating between two of them would report a rate that no threshold has. If even the
    smallest distance accepts too many, nothing is accepted: threshold -inf, both rates 0.

    >>> tar_at_far(np.array([1, 2, 2, 5]), np.array([3, 4, 4, 6]), far=0.25)
    Operating(threshold=3.0, tar=0.75, far=0.25)
    """
    genuine, impostor = _pairs(genuine, impostor)
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
    """Rates at every distance that occurs, ascending: threshold, far and tar, each (T,) float64."""

    threshold: np.ndarray
    far: np.ndarray
    tar: np.ndarray


def roc(genuine: np.ndarray, impostor: np.ndarray) -> Roc:
    """Receiver operating characteristic: accept at each distance that occurs, or nearer.

    >>> curve = roc(np.array([1, 2]), np.array([2, 3]))
    >>> curve.threshold.tolist(), curve.far.tolist(), curve.tar.tolist()
    ([1.0, 2.0, 3.0], [0.0, 0.5, 1.0], [0.5, 1.0, 1.0])
    """
    genuine, impostor = _pairs(genuine, impostor)
    same, same_count = np.unique(genuine, return_counts=True)
    other, other_count = np.unique(impostor, return_counts=True)
    threshold = np.union1d(same, other)

    def rate(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
        below = np.concatenate([[0], np.cumsum(counts)])
        return below[np.searchsorted(values, threshold, side="right")] / counts.sum()

    return Roc(threshold.astype(np.float64), rate(other, other_count), rate(same, same_count))


def _pairs(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    genuine, impostor = np.ravel(genuine), np.ravel(impostor)
    if not len(genuine) or not len(impostor):
        raise ValueError(
            f"expected pairs of both kinds, got {len(genuine)} of the same person "
            f"and {len(impostor)} of different people"
        )
    return genuine, impostor


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


def identification(
    nearest: np.ndarray, correct: np.ndarray, stranger_nearest: np.ndarray
) -> Identification:
    """False positive against false negative identification rate (ISO/IEC 19795-1, at rank 1).

    nearest: (E,) distance from each search for an enrolled person to the nearest gallery row.
    correct: (E,) chance in [0, 1] that this row is the right person, as `rank1` gives it.
    stranger_nearest: (S,) the nearest distance of each search for a person who is not enrolled.

    >>> c = identification(np.array([1, 4]), np.array([1.0, 0.0]), np.array([3, 9]))
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


# --------------------------------------------------------------------------------- calibration


@dataclass(frozen=True, eq=False)
class Reliability:
    """What was said against what happened, in bins of equal width; empty bins are left out.

    confidence, accuracy: mean stated probability and share that came true, (bins,) float64.
    weight: the bin's share of all pairs, (bins,) float64, summing to 1.
    """

    confidence: np.ndarray
    accuracy: np.ndarray
    weight: np.ndarray

    @property
    def error(self) -> float:
        """Expected calibration error: the weighted mean of |accuracy - confidence|."""
        return float(np.sum(self.weight * np.abs(self.accuracy - self.confidence)))


def reliability(
    probability: np.ndarray, outcome: np.ndarray, bins: int = 15, weight: np.ndarray | None = None
) -> Reliability:
    """Bins of a reliability diagram (Guo et al., "On calibration of modern neural networks", 2017).

    probability: (N,) in [0, 1]. outcome: (N,) bool. weight: (N,) non-negative, default 1 each;
    pairs of two kinds in another proportion than a stated prior are weighted back to it.

    >>> reliability(np.array([0.9, 0.9, 0.1]), np.array([True, False, False])).error
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
    """Mean gap between stated probability and what happened; see `reliability`.

    >>> expected_calibration_error(np.array([1.0, 0.0]), np.array([True, False]))
    0.0
    """
    return reliability(probability, outcome, bins, weight).error


# ------------------------------------------------------------------------------------ intervals


def bootstrap_people(
    values: np.ndarray,
    people: np.ndarray,
    weights: np.ndarray | None = None,
    samples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mean, drawing whole people with replacement.

    Photos of one person rise and fall together, so drawing photos would make the interval too
    narrow. values: (N,). people: (N,) labels. weights: (N,), default 1 each: the mean is weighted.
    With one person there is nothing to draw, and the interval is the mean itself twice.

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
