"""Verdicts of a search."""

from __future__ import annotations

import pytest

from daah.models.calibration import FPIR_LEVELS, SIZES, Calibration, SearchLimits
from daah.retrieval.verdict import SearchVerdict

#: Of 32 bits: in a gallery of 2^k people a match is within 10 - k / 4 bits, whatever the rate adds.
LIMITS = SearchLimits(
    tuple(
        tuple(max(-1.0, 10 - k / 4 + row - FPIR_LEVELS.index(0.01)) for k in range(SIZES))
        for row in range(len(FPIR_LEVELS))
    ),
    mated=12.0,
    people=500,
    searches=900,
)
JUDGE = SearchVerdict(Calibration(0.01, {}, {"hamming": {32: LIMITS}}))


@pytest.mark.parametrize(("people", "limit"), [(1, 10), (16, 9), (2**20, 5)])
def test_the_limit_of_a_match_falls_with_the_number_of_people(people: int, limit: int) -> None:
    found = [JUDGE.verdict(distance, 32, people) for distance in range(15)]
    assert found == ["match"] * (limit + 1) + ["unclear"] * (12 - limit) + ["no match"] * 2
    assert JUDGE.limit(32, people) == limit


def test_how_often_a_stranger_comes_so_near_is_the_smallest_rate_that_is_kept() -> None:
    rates = [JUDGE.rate(distance, 32, 1) for distance in (8, 9, 10, 11, 13, 14)]
    assert rates == [0.001, 0.003, 0.01, 0.03, 0.3, 1.0]


def test_without_limits_everything_is_unclear() -> None:
    for judge, bits in ((SearchVerdict(None), 32), (JUDGE, 16)):
        assert judge.verdict(0, bits, 40) == "unclear"
        assert judge.rate(0, bits, 40) is None
        assert judge.limit(bits, 40) is None


def test_an_empty_gallery_is_judged_as_one_of_one_person() -> None:
    assert JUDGE.verdict(10, 32, 0) == JUDGE.verdict(10, 32, 1)
