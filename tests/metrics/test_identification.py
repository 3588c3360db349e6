"""Identification rates against brute force."""

from __future__ import annotations

import numpy as np
import pytest

from daah import metrics


def test_identification_rates_by_brute_force():
    rng = np.random.default_rng(7)
    nearest, strangers = rng.integers(0, 10, 40), rng.integers(3, 15, 30)
    correct = rng.random(40)
    curve = metrics.identification_rates(nearest, correct, strangers)
    for t, fpir, fnir in zip(curve.threshold, curve.fpir, curve.fnir, strict=True):
        assert fpir == pytest.approx((strangers <= t).mean())
        assert fnir == pytest.approx(1 - (correct * (nearest <= t)).mean())
    with pytest.raises(ValueError, match="both kinds"):
        metrics.identification_rates(nearest, correct, np.array([]))


def test_the_threshold_is_the_largest_that_keeps_the_rate():
    rng = np.random.default_rng(1)
    for strangers in (rng.integers(3, 15, 30), rng.random(30)):
        for level in (0.0, 0.05, 0.3, 1.0):
            limit = metrics.threshold_at(strangers, level)
            assert (strangers <= limit).mean() <= level
            if level < 1:
                further = strangers[strangers > limit].min()
                assert (strangers <= further).mean() > level
    assert metrics.threshold_at(np.array([4.0]), 1) == np.inf


def test_intervals_are_those_of_samples_drawn_one_by_one():
    rng = np.random.default_rng(2)
    nearest, hit = rng.integers(0, 10, 60), rng.random(60)
    strangers = rng.integers(3, 15, 50)
    people, others = np.repeat(np.arange(20), 3), np.arange(50) // 2
    low, high = metrics.fnir_intervals(nearest, hit, people, strangers, others, (0.3, 0.05), 400)
    draws = np.random.default_rng(0)
    drawn = [draws.multinomial(n, np.full(n, 1 / n), size=400) for n in (25, 20)]
    fnir = []
    for away, asked in zip(*drawn, strict=True):
        near = np.repeat(strangers, away[others])
        rows = np.repeat(np.arange(60), asked[people])
        limits = [metrics.threshold_at(near, level) for level in (0.3, 0.05)]
        fnir.append([1 - (hit[rows] * (nearest[rows] <= limit)).mean() for limit in limits])
    np.testing.assert_allclose([low, high], np.quantile(fnir, [0.025, 0.975], axis=0))
