"""The jobs of a comparison."""

from __future__ import annotations

import pytest

from daah.comparison.jobs import ComparisonSettings, jobs
from daah.comparison.methods import ABLATION, METHODS
from daah.errors import ConfigError
from daah.metrics.query_database import AT

# ------------------------------------------------------------------------------------- jobs


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


# ----------------------------------------------------------------------------------- report


def row(method: str, bits: int, seed: int, value: float) -> dict:
    return {
        "method": method,
        "bits": bits,
        "seed": seed,
        "map": value,
        "precision_radius2": value / 2,
        "precision_at": dict.fromkeys(map(str, AT), value),
        "train_seconds": 2.0,
        "encode_ms": 0.5,
        "curve": {"distance": [0, 1], "precision": [1.0, 0.5], "recall": [0.1, 1.0]},
    }
