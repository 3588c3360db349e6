"""Limits of searches: kept on other people, for small and large galleries, and tables that hold."""

from __future__ import annotations

import numpy as np
import pytest

from daah.evaluation.search_limits import fit_search_limits, search_distances
from daah.models.calibration import FPIR_LEVELS, SIZES

BITS = 64


def people(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits of people with one to four photos whose numbers are correlated, as faces' are."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), rng.integers(1, 5, count))
    mixing = np.random.default_rng(99).normal(size=(24, BITS))
    logits = (rng.normal(size=(count, 24)) @ mixing)[labels]
    return logits + 2.5 * rng.normal(size=logits.shape), labels


@pytest.mark.parametrize("distance", ["hamming", "asymmetric"])
@pytest.mark.parametrize("size", [20, 400])
def test_strangers_of_another_set_are_matched_as_rarely_as_promised(
    distance: str, size: int
) -> None:
    limits = fit_search_limits(*people(500, seed=1), BITS, distance)
    logits, labels = people(1500, seed=2)
    _, first = np.unique(labels, return_index=True)
    found = search_distances(logits[first[size:]], logits[first[:size]], BITS, distance).min(1)
    for level in (0.03, 0.1, 0.3):
        rate = (found <= limits.limit(size, level)).mean()
        assert 0.2 * level <= rate <= 2 * level, level


def test_a_gallery_beyond_the_sets_size_gets_what_simulation_gives() -> None:
    limits = fit_search_limits(*people(300, seed=3), BITS)
    logits, labels = people(6000, seed=4)
    _, first = np.unique(labels, return_index=True)
    found = search_distances(logits[first[4000:]], logits[first[:4000]], BITS, "hamming").min(1)
    rate = (found <= limits.limit(4000, 0.1)).mean()
    assert 0.03 <= rate <= 0.2


def test_limits_fall_with_people_and_rise_with_the_rate() -> None:
    limits = fit_search_limits(*people(300, seed=5), BITS)
    sizes = [1, 3, 40, 1000, 10**6, 2**30, 2**40]
    for level in FPIR_LEVELS:
        row = [limits.limit(size, level) for size in sizes]
        assert row == sorted(row, reverse=True)
    for size in sizes:
        column = [limits.limit(size, level) for level in FPIR_LEVELS]
        assert column == sorted(column)
    assert len(limits.limits[0]) == SIZES


def test_the_mated_limit_is_what_one_in_twenty_mates_exceeds() -> None:
    logits, labels = people(800, seed=6)
    limits = fit_search_limits(logits, labels, BITS)
    _, first, person = np.unique(labels, return_index=True, return_inverse=True)
    mated = np.setdiff1d(np.arange(len(labels)), first)
    found = search_distances(logits, logits[first], BITS, "hamming")[mated, person[mated]]
    assert (found > limits.mated).mean() == pytest.approx(0.05, abs=0.02)


def test_without_two_people_or_two_photos_there_is_nothing_to_fit() -> None:
    logits = np.random.default_rng(0).normal(size=(4, BITS))
    for labels in (["a"] * 4, ["a", "b", "c", "d"]):
        with pytest.raises(ValueError, match="two people or more"):
            fit_search_limits(logits, np.array(labels), BITS)
