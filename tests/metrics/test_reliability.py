"""Calibration error of truth and of a boast."""

from __future__ import annotations

import numpy as np
import pytest

from daah import metrics


def test_calibration_error_is_zero_for_truth_and_the_gap_for_a_boast():
    rng = np.random.default_rng(8)
    probability = rng.random(200_000)
    outcome = rng.random(200_000) < probability
    assert metrics.expected_calibration_error(probability, outcome) < 0.005
    half = np.repeat([True, False], 100)
    assert metrics.expected_calibration_error(np.full(200, 0.9), half) == pytest.approx(0.4)
    weighted = metrics.reliability_bins(np.full(200, 0.9), half, weight=np.where(half, 9.0, 1.0))
    assert weighted.error == pytest.approx(0.0)
    assert weighted.weight.sum() == pytest.approx(1.0)
    with pytest.raises(ValueError, match="probability"):
        metrics.reliability_bins(np.array([1.2]), np.array([True]))
