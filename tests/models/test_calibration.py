"""Calibration: monotone, never certain, honest about its threshold, strict when read."""

from __future__ import annotations

import json

import pytest

from daah.errors import CheckpointError, ConfigError
from daah.evaluation.calibrate import fit_calibration
from daah.models.calibration import Calibration
from tests.doubles.calibration import BITS, fitted, pairs


def test_plain_json_brings_the_same_calibration_back():
    calibration = fit_calibration({BITS: pairs(0), 16: tuple(d // 3 for d in pairs(0))})
    again = Calibration.from_dict(json.loads(json.dumps(calibration.to_dict())))
    assert again == calibration
    assert again.lengths == (16, BITS)


def damaged(change) -> dict:
    values = json.loads(json.dumps(fitted().to_dict()))
    change(values)
    return values


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("target_far"),
        lambda v: v.update(extra=1),
        lambda v: v.update(prior=0.1),
        lambda v: v.update(lengths=[1]),
        lambda v: v["lengths"].update({"16": v["lengths"]["48"]}),
        lambda v: v["lengths"]["48"].update(threshold=49),
        lambda v: v["lengths"]["48"].update(threshold="near"),
        lambda v: v["lengths"]["48"].update(extra=1),
        lambda v: v["lengths"]["48"].update(far=1.5),
        lambda v: v["lengths"]["48"].update(genuine=0),
        lambda v: v["lengths"]["48"]["probability"].reverse(),
        lambda v: v["lengths"]["48"]["probability"].__setitem__(0, 1.0),
        lambda v: v["lengths"]["48"]["probability"].pop(),
    ],
)
def test_a_damaged_calibration_is_a_named_error(change):
    with pytest.raises(CheckpointError, match="calibration is damaged"):
        Calibration.from_dict(damaged(change))


def test_an_unknown_length_or_distance_is_refused_with_the_valid_ones():
    calibration = fitted()
    with pytest.raises(ConfigError, match=r"20 bits are not calibrated; calibrated are \(48,\)"):
        calibration.threshold(20)
    with pytest.raises(ValueError, match="0 to 48"):
        calibration.probability(49, BITS)
