"""Metrics against brute force: every order of the ties, every threshold, every pair."""

from __future__ import annotations

import doctest
import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daah import metrics
from daah.metrics import bootstrap, identification, ranking, reliability, tie_groups, verification


def every_order(distances: np.ndarray, relevant: np.ndarray) -> list[np.ndarray]:
    """Relevance (M,) in each order of the database that the distances allow, equally likely."""
    shuffles = itertools.permutations(range(len(distances)))
    return [relevant[sorted(p, key=lambda i: distances[i])] for p in shuffles]


def plain_average_precision(ranked: np.ndarray) -> float:
    """The textbook sum over one order without ties."""
    hits = np.flatnonzero(ranked)
    return float(np.mean([(i + 1) / (place + 1) for i, place in enumerate(hits)]))


rankings = st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=1, max_size=6)


def test_doctests_of_the_package_run():
    modules = (bootstrap, identification, ranking, reliability, verification)
    results = [doctest.testmod(module) for module in modules]
    assert all(result.attempted >= 1 for result in results)
    assert sum(result.attempted for result in results) >= 12
    assert sum(result.failed for result in results) == 0


@given(rankings)
@settings(max_examples=60)
def test_ranking_metrics_are_the_mean_over_every_order_of_the_ties(rows):
    distances = np.array([d for d, _ in rows])
    relevant = np.array([r for _, r in rows])
    orders = every_order(distances, relevant)
    groups = tie_groups(distances[None], relevant[None])

    assert metrics.rank1(groups)[0] == pytest.approx(np.mean([o[0] for o in orders]))
    for k in (2, 4, 9):
        expected = np.mean([o[:k].sum() / k for o in orders])
        assert metrics.precision_at(groups, k)[0] == pytest.approx(expected)
    if relevant.any():
        expected = np.mean([plain_average_precision(o) for o in orders])
        assert metrics.average_precision(groups)[0] == pytest.approx(expected)
    else:
        assert np.isnan(metrics.average_precision(groups)[0])


def test_average_precision_is_the_limit_of_shuffling_on_hamming_sized_ties():
    rng = np.random.default_rng(1)
    distances, relevant = rng.integers(0, 17, 300), rng.random(300) < 0.05
    shuffled = []
    for _ in range(3000):
        order = rng.permutation(300)
        order = order[np.argsort(distances[order], kind="stable")]
        shuffled.append(plain_average_precision(relevant[order]))
    exact = metrics.average_precision(tie_groups(distances[None], relevant[None]))[0]
    error = np.std(shuffled) / np.sqrt(len(shuffled))
    assert abs(np.mean(shuffled) - exact) < 4 * error


def test_many_queries_at_once_equal_each_query_alone_and_ignore_invalid_rows():
    rng = np.random.default_rng(2)
    distances = rng.integers(0, 9, (40, 60))
    relevant, valid = rng.random((40, 60)) < 0.3, rng.random((40, 60)) < 0.7
    together = tie_groups(distances, relevant, valid)
    for q in range(40):
        alone = tie_groups(distances[q, valid[q]][None], relevant[q, valid[q]][None])
        for metric in (
            metrics.average_precision,
            metrics.rank1,
            metrics.precision_within,
            lambda g: metrics.precision_at(g, 10),
        ):
            np.testing.assert_allclose(metric(together)[q], metric(alone)[0])


def test_ranking_does_not_depend_on_the_order_of_the_database():
    rng = np.random.default_rng(3)
    distances, relevant = rng.integers(0, 5, (20, 50)), rng.random((20, 50)) < 0.2
    order = rng.permutation(50)
    np.testing.assert_allclose(
        metrics.average_precision(tie_groups(distances, relevant)),
        metrics.average_precision(tie_groups(distances[:, order], relevant[:, order])),
    )


def test_a_query_with_an_empty_database_scores_zero_or_nothing():
    groups = tie_groups(np.array([[1, 2]]), np.array([[True, True]]), np.array([[False, False]]))
    assert metrics.rank1(groups).tolist() == [0.0]
    assert np.isnan(metrics.average_precision(groups)).all()


@pytest.mark.parametrize(
    ("distances", "relevant"),
    [
        (np.zeros(3), np.zeros(3, bool)),
        (np.zeros((2, 3)), np.zeros((3, 2), bool)),
        (np.zeros((2, 3)), np.zeros((2, 3), int)),
        (np.full((1, 2), np.nan), np.zeros((1, 2), bool)),
    ],
)
def test_rankings_of_the_wrong_shape_or_content_are_refused(distances, relevant):
    with pytest.raises(ValueError, match="tie_groups"):
        tie_groups(distances, relevant)


def test_precision_within_a_radius_counts_an_empty_ball_as_zero():
    groups = tie_groups(np.array([[0, 2, 3], [3, 4, 5]]), np.array([[True, False, True]] * 2))
    assert metrics.precision_within(groups, 2).tolist() == [0.5, 0.0]


def test_precision_and_recall_pool_the_queries_at_every_distance():
    rng = np.random.default_rng(5)
    distances, relevant = rng.integers(0, 6, (7, 30)), rng.random((7, 30)) < 0.3
    curve = metrics.precision_recall(tie_groups(distances, relevant))
    for distance, precision, recall in zip(
        curve.distance, curve.precision, curve.recall, strict=True
    ):
        near = distances <= distance
        assert precision == pytest.approx(relevant[near].mean())
        assert recall == pytest.approx(relevant[near].sum() / relevant.sum())
