"""The fit of a calibration: monotone, never certain, honest about its threshold."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daah import metrics
from daah.evaluation.calibrate import calibration_error, fit_calibration
from daah.models.calibration import PRIOR
from tests.doubles.calibration import BITS, fitted, pairs


def test_probability_falls_with_distance_and_is_never_certain():
    calibration = fitted()
    said = [calibration.probability(d, BITS) for d in range(BITS + 1)]
    assert all(0 < p < 1 for p in said)
    assert all(a >= b for a, b in itertools.pairwise(said))
    assert said[0] > 0.99
    assert said[BITS // 2] < 0.2
    np.testing.assert_array_equal(calibration.probabilities(np.arange(BITS + 1), BITS), said)


def test_probability_holds_on_pairs_that_the_fit_has_not_seen():
    genuine, impostor = pairs(1)
    assert calibration_error(fitted(), BITS, genuine, impostor).error < 0.02


def test_probability_is_the_one_of_the_stated_even_prior():
    # Every distance is equally likely for both, so knowing it leaves the prior as it was, however
    # many more pairs of different people there are.
    rng = np.random.default_rng(2)
    even = fit_calibration({8: (rng.integers(0, 9, 4000), rng.integers(0, 9, 400_000))})
    assert even.probability(4, 8) == pytest.approx(PRIOR, abs=0.05)


def test_threshold_is_the_largest_distance_that_keeps_the_false_accept_rate():
    genuine, impostor = pairs(0)
    calibration = fitted()
    threshold = calibration.threshold(BITS)
    assert (impostor <= threshold).mean() <= 1e-3 < (impostor <= threshold + 1).mean()
    entry = calibration.by_bits[BITS]
    at = metrics.tar_at_far(genuine, impostor, 1e-3)
    assert (entry.tar, entry.far) == (pytest.approx(at.tar), pytest.approx(at.far))
    assert (entry.genuine, entry.impostor) == (3000, 60_000)


def test_a_length_that_cannot_keep_the_rate_accepts_nobody():
    hopeless = fit_calibration({4: (np.array([0, 1, 2]), np.array([0, 0, 1, 3]))})
    assert hopeless.threshold(4) == -1
    assert hopeless.by_bits[4].tar == 0.0


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=20),
    st.lists(st.integers(0, 12), min_size=1, max_size=20),
)
@settings(max_examples=60)
def test_any_pairs_give_a_falling_uncertain_curve(genuine, impostor):
    calibration = fit_calibration({12: (np.array(genuine), np.array(impostor))})
    said = calibration.probabilities(np.arange(13), 12)
    assert ((said > 0) & (said < 1)).all()
    assert (np.diff(said) <= 0).all()


def test_the_fit_refuses_pairs_of_one_kind_and_distances_beyond_the_length():
    with pytest.raises(ValueError, match="both kinds"):
        fit_calibration({BITS: (np.array([1]), np.array([], int))})
    with pytest.raises(ValueError, match="larger than 8"):
        fit_calibration({8: (np.array([1]), np.array([9]))})
