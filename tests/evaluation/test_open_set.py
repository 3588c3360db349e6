"""Protocol 3: strangers, the shipped threshold, and probabilities on people not fitted on."""

from __future__ import annotations

import json

import numpy as np
import pytest

from daah import codes
from daah.errors import ConfigError
from daah.evaluation.calibrate import fit_calibration
from daah.evaluation.open_set import open_set_identification
from daah.metrics.leave_one_out import pair_distances
from daah.models.calibration import Calibration


def people(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, 32) of people with one to five images, and their names."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), rng.integers(1, 6, count))
    logits = rng.normal(size=(count, 32))[labels] + 0.6 * rng.normal(size=(len(labels), 32))
    return logits.astype(np.float32), np.array([f"p{i}" for i in labels])


def calibrated(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    return fit_calibration({32: pair_distances(codes.pack(logits > 0), labels)})


def test_rates_at_the_threshold_are_those_of_searches_written_out():
    logits, labels = people()
    calibration = calibrated(*people(seed=1))
    result = open_set_identification(logits, labels, 32, calibration, seed=5)
    half = set(np.random.default_rng(5).permutation(np.unique(labels))[:30])
    enrolled = np.array([label in half for label in labels])
    bits, threshold = logits > 0, calibration.threshold(32)
    misses, searches, alarms = 0.0, 0, 0
    for i, own in enumerate(labels):
        gallery = np.flatnonzero(enrolled & (np.arange(len(labels)) != i))
        distance = (bits[gallery] != bits[i]).sum(1)
        if not enrolled[i]:
            alarms += distance.min() <= threshold
        elif (labels[gallery] == own).any():
            searches += 1
            first = labels[gallery][distance == distance.min()] == own
            misses += 1 - first.mean() * (distance.min() <= threshold)
    assert (result.enrolled, result.strangers) == (30, 30)
    assert result.enrolled_searches == searches
    assert result.stranger_searches == (~enrolled).sum()
    assert result.fnir == pytest.approx(misses / searches)
    assert result.fpir == pytest.approx(alarms / (~enrolled).sum())


def test_the_shipped_threshold_lies_on_the_curve():
    logits, labels = people()
    result = open_set_identification(logits, labels, 32, calibrated(*people(seed=1)))
    at = np.searchsorted(result.curve.threshold, result.threshold, side="right") - 1
    assert result.fpir == pytest.approx(result.curve.fpir[at])
    assert result.fnir == pytest.approx(result.curve.fnir[at])


def test_probabilities_hold_on_people_that_they_were_not_fitted_on():
    logits, labels = people(300)
    result = open_set_identification(logits, labels, 32, calibrated(*people(300, seed=1)))
    assert result.reliability.error < 0.05
    assert result.held_out.error < 0.05


def test_the_json_carries_the_curve():
    logits, labels = people()
    result = open_set_identification(logits, labels, 32, calibrated(logits, labels))
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert values["calibration_error"] == pytest.approx(result.reliability.error)
    assert len(values["curve"]["fpir"]) == len(values["curve"]["threshold"])


def test_a_length_without_calibration_is_refused():
    logits, labels = people()
    with pytest.raises(ConfigError, match="16 bits are not calibrated"):
        open_set_identification(logits, labels, 16, calibrated(logits, labels))
