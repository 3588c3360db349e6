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
