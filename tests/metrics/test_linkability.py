"""D_sys on scores whose linkability is known."""

from __future__ import annotations

import numpy as np
import pytest

from daah.metrics import linkability


def test_scores_of_one_distribution_say_nothing() -> None:
    rng = np.random.default_rng(0)
    found = linkability(rng.normal(size=100_000), rng.normal(size=100_000), bins=20)
    assert found.system < 0.02


def test_scores_that_never_meet_say_everything() -> None:
    found = linkability(np.arange(10), np.arange(20, 30))
    assert found.system == 1.0
    assert found.local[found.mated > 0].tolist() == [1.0] * int((found.mated > 0).sum())


def test_by_hand() -> None:
    """Shares 3/4 and 1/4 against 1/4 and 3/4: D = 2 * 3/4 - 1 in the first bin, 0 in the other."""
    found = linkability(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), bins=2)
    assert found.local.tolist() == [0.5, 0.0]
    assert found.system == 0.75 * 0.5
    assert found.mated.tolist() == [0.75, 0.25]
    assert found.non_mated.tolist() == [0.25, 0.75]


def test_prior_odds_count_and_scores_that_are_all_equal_do_not() -> None:
    likely = linkability(np.array([0, 0, 0, 1]), np.array([0, 1, 1, 1]), bins=2, odds=3)
    assert likely.local.tolist() == [0.8, 0.0]
    assert linkability(np.ones(3), np.ones(3)).system == 0.0
    with pytest.raises(ValueError, match="mated"):
        linkability(np.ones(0), np.ones(3))
