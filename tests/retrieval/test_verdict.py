"""Verdicts of a search."""

from __future__ import annotations

import pytest

from daah.models.calibration import Calibration, LengthCalibration
from daah.retrieval.verdict import PairLimit

#: Of 8 bits: alike up to 2, perhaps one person up to 4.
CALIBRATION = Calibration(
    0.01,
    {8: LengthCalibration((0.99, 0.98, 0.9, 0.8, 0.5, 0.4, 0.2, 0.1, 0.01), 2, 0.01, 0.8, 9, 99)},
)


@pytest.mark.parametrize("people", [1, 40, 10**6])
def test_the_threshold_and_even_odds_divide_three_bands(people: int) -> None:
    judge = PairLimit(CALIBRATION)
    found = [judge.verdict(distance, 8, people) for distance in range(9)]
    assert found == ["match"] * 3 + ["unclear"] * 2 + ["no match"] * 4


def test_without_a_calibration_everything_is_unclear() -> None:
    assert PairLimit(None).verdict(0, 8, 40) == "unclear"
    assert PairLimit(CALIBRATION).verdict(0, 16, 40) == "unclear"
