"""Quality of faces: what is measured, what it is called, and what it changes."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from daah.errors import CheckpointError
from daah.evaluation.corruptions import BOX_WIDTH, blur
from daah.models.calibration import Calibration
from daah.models.quality import (
    Measures,
    QualityModel,
    Shift,
    assess,
    complaint,
    measure,
)
from daah.types import ALIGNED_SIZE, Code, EncodedFace, FaceQuality
from tests.doubles.calibration import fitted
from tests.doubles.encoder import face

MODEL = QualityModel(
    weights=(0.0, 0.5, 0.0, 6.0, 10.0),
    intercept=5.0,
    limits={"small": 38.0, "blurred": 0.04, "turned": 0.3, "partly hidden": 0.2},
    shifts={"small": {64: Shift(0, 9)}, "turned": {64: Shift(2, 1), 128: Shift(1, 1)}},
    photos=200,
    people=90,
)
GOOD = Measures(width=90, sharpness=0.15, turn=0.05, hidden=0.05, certainty=0.8)


def _encoded(shown=None, width: float = 100.0, mask: float = 1.0, side: int = 14) -> EncodedFace:
    own = face(1, width)
    if shown is not None:
        own = dataclasses.replace(own, aligned=shown)
    logits = np.array([-0.5, 1.5], np.float32)
    grid = np.full((side, side), mask, np.float32)
    return EncodedFace(own, Code(logits > 0, logits), grid, own.aligned)


def _sharp() -> np.ndarray:
    noise = np.random.default_rng(0).uniform(0, 255, (ALIGNED_SIZE, ALIGNED_SIZE, 3))
    return noise.astype(np.uint8)


def test_width_is_that_of_the_face_in_the_photo() -> None:
    # The invented photo shows the aligned frame `width` pixels wide.
    assert measure(_encoded(width=112)).width == pytest.approx(BOX_WIDTH / 2)
    assert measure(_encoded(width=448)).width == pytest.approx(BOX_WIDTH * 2)


def test_blur_takes_sharpness_and_contrast_does_not() -> None:
    sharp = measure(_encoded(_sharp())).sharpness
    assert measure(_encoded(blur(3)(_sharp()))).sharpness < sharp / 10
    pale = (100 + _sharp() / 2).astype(np.uint8)
    assert measure(_encoded(pale)).sharpness == pytest.approx(sharp, rel=0.2)


def test_a_nose_beside_the_middle_of_the_eyes_is_a_turned_head() -> None:
    frontal = _encoded()
    assert measure(frontal).turn < 0.05
    points = frontal.face.landmarks.copy()
    points[2] += 0.4 * (points[1] - points[0])
    turned = dataclasses.replace(frontal, face=dataclasses.replace(frontal.face, landmarks=points))
    assert measure(turned).turn == pytest.approx(0.4, abs=0.05)


@pytest.mark.parametrize("side", [14, 28, 224])
def test_what_the_mask_leaves_out_is_hidden_whatever_its_size(side: int) -> None:
    assert measure(_encoded(mask=1.0, side=side)).hidden == pytest.approx(0)
    assert measure(_encoded(mask=0.25, side=side)).hidden == pytest.approx(0.75)
    half = _encoded(side=side)
    half.mask[:, : side // 2] = 0
    assert measure(half).hidden == pytest.approx(0.5, abs=0.02)
    around = _encoded(side=side)
    around.mask[: side // 4] = 0  # above the forehead
    assert measure(around).hidden == pytest.approx(0, abs=0.01)


def test_certainty_is_the_mean_distance_of_the_logits_from_zero() -> None:
    assert measure(_encoded()).certainty == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("change", "flaws"),
    [
        ({}, ()),
        ({"width": 37.0}, ("small",)),
        ({"sharpness": 0.03}, ("blurred",)),
        ({"width": 30.0, "sharpness": 0.01}, ("small",)),
        ({"turn": 0.31}, ("turned",)),
        ({"hidden": 0.3, "turn": 0.4, "width": 20.0}, ("small", "turned", "partly hidden")),
    ],
)
def test_flaws_are_named_beyond_their_limits(change: dict, flaws: tuple[str, ...]) -> None:
    assert MODEL.flaws(dataclasses.replace(GOOD, **change)) == flaws


def test_the_score_falls_with_every_measure_that_has_a_weight() -> None:
    best = MODEL.score(GOOD)
    for change in ({"sharpness": 0.01}, {"hidden": 0.5}, {"certainty": 0.7}):
        assert MODEL.score(dataclasses.replace(GOOD, **change)) < best
    assert MODEL.score(dataclasses.replace(GOOD, turn=0.5)) == best
    assert 0 < MODEL.score(dataclasses.replace(GOOD, certainty=-1e9)) < 1


def test_several_flaws_shift_by_the_most_of_any() -> None:
    assert MODEL.shift(("small", "turned"), 64) == Shift(2, 9)
    assert MODEL.shift(("turned",), 128) == Shift(1, 1)
    assert MODEL.shift(("small",), 128) == MODEL.shift((), 64) == Shift()


def test_without_a_fit_only_size_and_pose_are_told() -> None:
    assert assess(_encoded(width=40.0), None) == FaceQuality(None, ("small",))
    assert assess(_encoded(width=100.0, mask=0.0), None) == FaceQuality(None)


def test_a_complaint_says_the_score_and_why() -> None:
    poor = FaceQuality(0.052, ("small", "turned", "partly hidden"))
    assert complaint(poor, 0.1) == (
        "quality 0.05 is under 0.1: the face is small, turned and partly hidden"
    )
    assert complaint(FaceQuality(0.05), 0.1) == "quality 0.05 is under 0.1: its code is undecided"
    assert complaint(poor, 0) == complaint(FaceQuality(None, ("small",))) == ""
    assert poor.describe() == {"score": 0.052, "reasons": ["small", "turned", "partly hidden"]}


def test_plain_json_brings_the_same_model_back_and_older_calibrations_have_none() -> None:
    calibration = dataclasses.replace(fitted(), quality=MODEL)
    values = json.loads(json.dumps(calibration.to_dict()))
    assert Calibration.from_dict(values) == calibration
    del values["quality"]
    assert Calibration.from_dict(values).quality is None
    assert "quality" not in fitted().to_dict()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"weights": [1, 2]},
        {"weights": [1, 1, 1, 1, -1]},
        {"intercept": float("nan")},
        {"limits": {"small": 38}},
        {"shifts": {"ugly": {}}},
        {"shifts": {"small": {"64": [-1, 0]}}},
        {"shifts": {"small": {"64": 3}}},
        {"photos": 0},
        {"people": "many"},
    ],
)
def test_a_damaged_model_is_a_named_error(change: dict) -> None:
    values = dataclasses.replace(fitted(), quality=MODEL).to_dict()
    values["quality"] |= change
    with pytest.raises(CheckpointError, match="calibration is damaged"):
        Calibration.from_dict(values)
