"""Accept rates against their definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daah import metrics


@given(
    st.lists(st.integers(0, 12), min_size=1, max_size=30),
    st.lists(st.integers(0, 12), min_size=1, max_size=30),
    st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5]),
)
@settings(max_examples=150)
def test_tar_at_far_takes_the_largest_threshold_that_keeps_the_target(genuine, impostor, far):
    genuine, impostor = np.array(genuine), np.array(impostor)
    at = metrics.tar_at_far(genuine, impostor, far)
    best = max(t for t in range(-1, 14) if (impostor <= t).mean() <= far)
    assert at.tar == pytest.approx((genuine <= best).mean())
    assert at.far == pytest.approx((impostor <= best).mean())
    assert at.threshold <= best
    accepted = np.concatenate([genuine, impostor])
    assert (accepted <= best).sum() == (accepted <= at.threshold).sum()


def test_rates_need_pairs_of_both_kinds():
    with pytest.raises(ValueError, match="pairs of both kinds"):
        metrics.tar_at_far(np.array([1]), np.array([]), 0.1)


def test_roc_gives_both_rates_at_every_distance():
    rng = np.random.default_rng(6)
    genuine, impostor = rng.integers(0, 9, 50), rng.integers(4, 20, 80)
    curve = metrics.roc(genuine, impostor)
    for threshold, far, tar in zip(curve.threshold, curve.far, curve.tar, strict=True):
        assert far == pytest.approx((impostor <= threshold).mean())
        assert tar == pytest.approx((genuine <= threshold).mean())
    assert (curve.far[-1], curve.tar[-1]) == (1.0, 1.0)
