"""The jobs of a comparison."""

from __future__ import annotations

import pytest

from daah.comparison.jobs import ComparisonSettings, jobs
from daah.comparison.methods import ABLATION, METHODS
from daah.errors import ConfigError


def test_jobs_hold_every_method_at_every_length_and_three_seeds_at_48() -> None:
    listed = jobs(ComparisonSettings())
    assert len({job.name for job in listed}) == len(listed)
    rows = [j for j in listed if j.stage == "row"]
    for name in METHODS:
        own = [(j.bits, j.seed) for j in rows if j.method == name]
        assert sorted(own) == [(12, 0), (24, 0), (36, 0), (48, 0), (48, 1), (48, 2)]
    assert {j.variant for j in listed if j.stage == "ablation"} == set(ABLATION)
    tries = [j.method for j in listed if j.stage == "tune"]
    assert {tries.count(name) for name in tries} == {2}
    assert {j.variant for j in listed if j.stage == "feature"} == {"pixels", "trunk"}


def test_unknown_methods_are_told() -> None:
    with pytest.raises(ConfigError, match="unknown methods"):
        ComparisonSettings(methods=("DDHA",))
