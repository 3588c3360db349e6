"""Intervals by drawing people."""

from __future__ import annotations

import numpy as np
import pytest

from daah import metrics


def test_bootstrap_draws_people_not_photos():
    rng = np.random.default_rng(9)
    each = rng.random(100)
    people = np.repeat(np.arange(100), 20)  # twenty photos that all agree say no more than one
    low, high = metrics.bootstrap_people(np.repeat(each, 20), people)
    assert low < each.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * each.std() / 10, rel=0.15)
    assert metrics.bootstrap_people(np.repeat(each, 20), people) == (low, high)
    assert metrics.bootstrap_people(np.repeat(each, 20), people, seed=1) != (low, high)


def test_bootstrap_takes_weights_and_refuses_mismatched_labels():
    assert metrics.bootstrap_people(
        np.array([0.0, 1.0]), np.array(["a", "a"]), weights=np.array([1.0, 3.0])
    ) == (0.75, 0.75)
    with pytest.raises(ValueError, match="bootstrap_people"):
        metrics.bootstrap_people(np.array([1.0]), np.array(["a", "b"]))
