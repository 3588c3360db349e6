"""Quality of faces is fitted on searches that fail, and says how often others will."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import face_quality as face_quality_report
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.errors import ConfigError, DataError
from daah.evaluation import face_quality
from daah.evaluation.calibrate import calibrate
from daah.evaluation.face_quality import (
    Outcome,
    Searches,
    fit_shifts,
    outcome,
    search_faces,
)
from daah.evaluation.search_limits import fit_search_limits
from daah.models.quality import Measures, QualityModel, Shift
from daah.types import FLAWS
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree

MEASURES = Measures(90.0, 0.2, 0.0, 0.0, 1.0)
LIMITS = {"small": 38.0, "blurred": 0.04, "turned": 0.3, "partly hidden": 0.2}


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> LabelledFaces:
    """Forty people with two noisy photos each, and ten with one."""
    folder = write_tree(tmp_path_factory.mktemp("people"), [2] * 40 + [1] * 10, noise=30)
    return detect_faces(folder, FramedFaceDetector())


@pytest.fixture(scope="module")
def encoder() -> CentreEncoder:
    return CentreEncoder((16, 64), mask="flat")


def test_a_small_copy_is_as_wide_as_it_was_drawn(
    encoder: CentreEncoder, faces: LabelledFaces
) -> None:
    found = search_faces(encoder, faces, np.arange(20), "small")
    widths = np.array([own.width for own in found.measures])
    assert widths.min() >= 11.5
    assert widths.max() <= 64.5
    assert len(set(np.round(widths))) > 5
    again = search_faces(encoder, faces, np.arange(20), "small")
    assert again.measures == found.measures
    plain = search_faces(encoder, faces, np.arange(20))
    assert all(own.width > 150 for own in plain.measures)
    turns = [own.turn for own in plain.measures]
    assert [own.turn for own in found.measures] == pytest.approx(turns, abs=1e-4)


def test_a_blurred_copy_is_less_sharp(encoder: CentreEncoder, faces: LabelledFaces) -> None:
    plain = search_faces(encoder, faces, np.arange(20))
    found = search_faces(encoder, faces, np.arange(20), "blurred")
    assert all(
        b.sharpness < a.sharpness for a, b in zip(plain.measures, found.measures, strict=True)
    )


def test_people_are_searched_by_their_other_photos() -> None:
    # Of 16 bits: person a has three photos, which agree but for one bit; b has one photo.
    logits = np.ones((4, 16), np.float32)
    logits[2, 0] = -5  # alone it decides the mean of the others
    logits[3] = -1
    searches = Searches(np.arange(4), (MEASURES,) * 4, logits)
    found = outcome(searches, logits, np.array(["a", "a", "a", "b"]), 16)
    assert found.own.tolist() == [1, 1, 1, np.inf]
    assert found.others.tolist() == [16, 16, 15, 15]
    assert found.mated.tolist() == [True, True, True, False]
    assert found.missed(1).tolist() == [False, False, False, True]
    assert found.missed(0).tolist() == [True] * 4
    assert Outcome(np.array([3.0]), np.array([3.0])).missed(9).tolist() == [True]  # not first


def test_searches_that_never_fail_teach_nothing(
    encoder: CentreEncoder, faces: LabelledFaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = search_faces(encoder, faces, np.arange(len(faces)))
    limits = {64: fit_search_limits(plain.logits, faces.labels, 64)}
    monkeypatch.setattr(Outcome, "missed", lambda self, _limit: np.zeros(len(self.own), bool))
    with pytest.raises(DataError, match="quality: 80 searches of which 0% fail"):
        face_quality.fit_quality(encoder, faces, limits)


def test_weights_are_never_negative_and_follow_what_fails() -> None:
    rng = np.random.default_rng(0)
    terms = rng.normal(size=(4000, 2))
    failed = rng.random(4000) < 1 / (1 + np.exp(-(2 * terms[:, 0] - 1)))
    (first, second), intercept = face_quality._logistic(terms, failed)
    assert first == pytest.approx(2, abs=0.25)
    assert second < 0.1
    assert intercept == pytest.approx(-1, abs=0.2)
    (turned,), _ = face_quality._logistic(-terms[:, :1], failed)
    assert turned == 0


def test_a_flaw_whose_strangers_come_nearer_gets_a_stricter_match() -> None:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(100), 2).astype(str)
    own = rng.normal(size=(100, 64)).astype(np.float32)
    logits = np.repeat(own, 2, axis=0) + rng.normal(0, 0.3, (200, 64)).astype(np.float32)
    limits = {64: fit_search_limits(logits, labels, 64)}
    model = QualityModel((0.0,) * 5, 0.0, LIMITS)
    rows = np.arange(200)
    # Turned faces look like whoever is next in the set; small ones like nobody.
    near = logits[(rows + 2) % 200] + rng.normal(0, 0.5, (200, 64)).astype(np.float32)
    turned = Measures(90.0, 0.2, 0.5, 0.0, 1.0)
    small = Measures(20.0, 0.2, 0.0, 0.0, 1.0)
    searched = Searches(
        np.concatenate([rows, rows]),
        (turned,) * 200 + (small,) * 200,
        np.concatenate([near, rng.normal(size=(200, 64)).astype(np.float32)]),
    )
    fitted = fit_shifts(model, searched, logits, labels, limits)
    assert fitted.shifts["turned"][64].match > 3
    assert fitted.shifts["small"][64].match <= 1
    assert fitted.shifts["small"][64].mated > 10
    assert set(fitted.shifts) == {"small", "turned"}  # nothing is known of the others
    assert fitted.shift(("blurred",), 64) == Shift()


def test_calibration_fits_quality_when_photos_for_it_are_given(
    encoder: CentreEncoder, faces: LabelledFaces, tmp_path: Path
) -> None:
    others = detect_faces(write_tree(tmp_path / "others", [2] * 30, noise=20), FramedFaceDetector())
    fitted = calibrate(encoder, faces, kept_out=others, sample=40)
    assert fitted.quality is not None
    assert fitted.quality.people == 30
    assert fitted.quality.photos == 60 + 3 * 120
    report, figure = face_quality_report.measure(encoder, fitted, faces, sample=20)
    assert report["searches"] == len(faces) + 3 * 20
    assert {row["faces"] for row in report["rates"]} >= {"all photos", *FLAWS}
    for row in report["rates"]:
        if row["searches"]:
            assert row["fpir_own_limit"] <= row["fpir"]
    every = next(r for r in report["rates"] if (r["faces"], r["bits"]) == ("all photos", 64))
    assert report["discard"]["photos"][0] == every["fnir"]
    assert len(figure.axes) == 2
    with pytest.raises(ConfigError, match="--quality"):
        face_quality_report.measure(encoder, None, faces, sample=20)
    assert calibrate(encoder, faces).quality is None
    assert calibrate(encoder, faces).searches == fitted.searches
