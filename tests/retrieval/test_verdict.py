"""Verdicts of a search."""

from __future__ import annotations

import pytest

from daah.models.calibration import FPIR_LEVELS, SIZES, Calibration, SearchLimits
from daah.models.quality import QualityModel, Shift
from daah.retrieval.verdict import SearchVerdict
from daah.types import FaceQuality

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


def test_a_hard_face_needs_to_be_nearer_for_a_match_and_further_for_no_match() -> None:
    model = QualityModel(
        (0.0,) * 5,
        0.0,
        {"small": 38.0, "blurred": 0.04, "turned": 0.3, "partly hidden": 0.2},
        {"small": {32: Shift(3, 4)}},
    )
    judge = SearchVerdict(Calibration(0.01, {}, {"hamming": {32: LIMITS}}, model))
    hard, good = FaceQuality(0.2, ("small",)), FaceQuality(0.9)
    found = [judge.verdict(distance, 32, 1, hard) for distance in range(18)]
    assert found == ["match"] * 8 + ["unclear"] * 9 + ["no match"]
    assert [judge.verdict(d, 32, 1, good) for d in range(15)] == [
        JUDGE.verdict(d, 32, 1) for d in range(15)
    ]
    assert judge.limit(32, 1, hard) == 7
    assert judge.rate(7, 32, 1, hard) == JUDGE.rate(10, 32, 1) == 0.01
    assert judge.rate(8, 32, 1, hard) > 0.01
