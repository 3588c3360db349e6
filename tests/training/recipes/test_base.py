"""Batches of an epoch."""

import numpy as np

from daah.training.recipes import base


def test_batches_cover_everything_once_and_never_hold_one_image() -> None:
    batches = list(base.shuffled_batches(9, 4, np.random.default_rng(0)))
    assert [len(b) for b in batches] == [4, 4]
    assert sorted(np.concatenate(list(base.shuffled_batches(8, 4, np.random.default_rng(0))))) == (
        list(range(8))
    )
