"""Protocol 3: who is enrolled, what is missed, who is found wrongly, and the shipped limit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from daah import codes
from daah.data.labelled_faces import detect_faces
from daah.errors import DataError
from daah.evaluation.calibrate import fit_calibration
from daah.evaluation.det import det_figure
from daah.evaluation.open_set import GRID, enrol, evaluate_identification, identify
from daah.evaluation.search_limits import fit_search_limits
from daah.evaluation.slices import read_slices
from daah.metrics.leave_one_out import pair_distances
from daah.models.calibration import Calibration
from daah.models.quality import Shift
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


def people(count: int = 60, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (N, 32) of people with one to five photos, and their names."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(count), rng.integers(1, 6, count))
    logits = rng.normal(size=(count, 32))[labels] + 0.6 * rng.normal(size=(len(labels), 32))
    return logits.astype(np.float32), np.array([f"p{i:03}" for i in labels])


def calibrated(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    pairs = fit_calibration({32: pair_distances(codes.from_logits(logits), labels)})
    limits = {
        distance: {32: fit_search_limits(logits, labels, 32, distance)}
        for distance in ("hamming", "asymmetric")
    }
    return Calibration(pairs.target_far, pairs.by_bits, limits)


@pytest.mark.parametrize("template", ["one", "fused"])
def test_rates_are_those_of_searches_written_out(template: str) -> None:
    logits, labels = people()
    calibration = calibrated(*people(200, seed=1))
    result = identify(
        logits, labels, enrol(logits, labels, template), 32, "hamming", template, calibration
    )
    stored, mated, strangers = {}, [], []
    for name in np.unique(labels):
        own = logits[labels == name]
        if len(own) == 1:
            strangers.append(own[0])
        elif template == "one":
            stored[name] = own[0] > 0
            mated += [(name, probe) for probe in own[1:]]
        else:
            stored[name] = own[:-1].mean(0) > 0
            mated.append((name, own[-1]))
    limit = calibration.search_limits(32).limit(len(stored))
    misses = rank1 = 0.0
    for name, probe in mated:
        distance = {other: int((code != (probe > 0)).sum()) for other, code in stored.items()}
        first = [other for other in stored if distance[other] == min(distance.values())]
        hit = (name in first) / len(first)
        rank1 += hit
        misses += 1 - hit * (distance[first[0]] <= limit)
    nearest = [min((code != (p > 0)).sum() for code in stored.values()) for p in strangers]
    assert result.rank1_miss == pytest.approx(1 - rank1 / len(mated))
    assert result.threshold == limit
    assert result.fnir == pytest.approx(misses / len(mated))
    assert result.fpir == pytest.approx(np.mean([d <= limit for d in nearest]))


def test_fnir_is_read_off_the_curve_where_fpir_is_kept() -> None:
    logits, labels = people(300)
    result = identify(logits, labels, enrol(logits, labels, "one"), 32, "asymmetric", "one")
    for level, fnir in result.fnir_at_fpir.items():
        kept = result.curve.fpir <= float(level)
        assert fnir == pytest.approx(result.curve.fnir[kept].min())
        low, high = result.fnir_ci95[level]
        assert low <= fnir <= high
    assert (result.threshold, result.fpir, result.fnir) == (None, None, None)


def test_smaller_galleries_are_measured_beside_the_whole_one() -> None:
    logits, labels = people(300)
    enrolled = enrol(logits, labels, "one")
    result = identify(logits, labels, enrolled, 32, "hamming", "one")
    size = len(enrolled.templates)
    assert list(result.by_people) == [str(size // part) for part in (8, 4, 2, 1)]
    small, whole = result.by_people[str(size // 8)], result.by_people[str(size)]
    assert whole.fnir_at_fpir == result.fnir_at_fpir
    assert whole.rank1_miss == pytest.approx(result.rank1_miss)
    assert small.fnir_at_fpir["0.01"] < whole.fnir_at_fpir["0.01"]
    for rates in (small, whole):
        assert len(rates.fnir) == len(rates.fnir_low) == len(rates.fnir_high) == len(GRID)
        assert list(rates.fnir) == sorted(rates.fnir, reverse=True)
        assert all(np.array(rates.fnir_low) <= np.array(rates.fnir_high))


def test_what_the_app_decides_is_told_by_the_faces_own_limits() -> None:
    logits, labels = people()
    calibration = calibrated(*people(200, seed=1))
    enrolled = enrol(logits, labels, "one")
    limits = calibration.search_limits(32)
    arguments = (logits, labels, enrolled, 32, "hamming", "one", calibration)
    plain = identify(*arguments).rule
    assert (plain.fpir, plain.fnir) == (identify(*arguments).fpir, identify(*arguments).fnir)
    shifts = [Shift(2, 3) if row % 2 else Shift() for row in range(len(labels))]
    rule = identify(*arguments, shifts).rule
    said = {"mated": [], "non_mated": []}
    for kind, found in said.items():
        for row in getattr(enrolled, kind):
            nearest = ((enrolled.templates > 0) != (logits[row] > 0)).sum(1).min()
            found.append(limits.verdict(nearest, len(enrolled.templates), shifts[row]))
    assert rule.fpir == said["non_mated"].count("match") / len(said["non_mated"])
    assert rule.unclear_mated == said["mated"].count("unclear") / len(said["mated"])
    assert rule.no_match_mated == said["mated"].count("no match") / len(said["mated"])
    assert rule.fnir >= plain.fnir
    low, high = rule.fnir_ci95
    assert low <= rule.fnir <= high


def test_a_report_has_slices_of_the_shipped_thresholds(tmp_path: Path) -> None:
    folder = write_tree(tmp_path / "t", [3, 2, 1] * 4)
    faces = detect_faces(folder, FramedFaceDetector())
    encoder = CentreEncoder((16, 32))
    logits = encoder.encode(faces.aligned)[0]
    encoder.calibration = calibrated(logits, faces.labels)
    (tmp_path / "g.csv").write_text("person,team\np00,red\np01,blue\np02,red\n")
    report = evaluate_identification(
        encoder, faces, (32,), slices=read_slices(tmp_path / "g.csv", faces)
    )
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["slice_bits"] == 32
    assert {row["attribute"] for row in values["slices"]} >= {"skin_luma", "face_width", "team"}
    assert [row["group"] for row in values["slices"] if row["attribute"] == "team"] == [
        "blue", "red",
    ]  # fmt: skip
    assert isinstance(det_figure(report), Figure)


def test_without_a_calibration_there_are_neither_limits_nor_slices(tmp_path: Path) -> None:
    faces = detect_faces(write_tree(tmp_path / "t", [2, 1, 2, 1]), FramedFaceDetector())
    encoder = CentreEncoder()
    encoder.calibration = None
    report = evaluate_identification(encoder, faces)
    assert report.slices == ()
    assert {scores.rule for scores in report.results} == {None}
    assert isinstance(det_figure(report), Figure)


def test_where_everybody_has_several_photos_half_of_the_people_are_strangers() -> None:
    labels = np.repeat(["a", "b", "c", "d"], 3)
    logits = np.random.default_rng(0).normal(size=(12, 32)).astype(np.float32)
    found = enrol(logits, labels, "one")
    assert (len(found.templates), len(found.mated), len(found.non_mated)) == (2, 4, 6)
    assert not set(labels[found.mated]) & set(labels[found.non_mated])


@pytest.mark.parametrize("labels", [["a", "b", "c"], ["a", "a"]])
def test_too_few_people_are_refused(labels: list[str]) -> None:
    with pytest.raises(DataError, match="identification needs"):
        enrol(np.ones((len(labels), 32), np.float32), np.array(labels), "one")


def test_the_scores_are_json() -> None:
    logits, labels = people()
    result = identify(
        logits,
        labels,
        enrol(logits, labels, "one"),
        32,
        "hamming",
        "one",
        calibrated(logits, labels),
    )
    values = json.loads(json.dumps(result.to_dict(), allow_nan=False))
    assert len(values["curve"]["fpir"]) == len(values["curve"]["threshold"]) > 2
    assert set(values["fnir_at_fpir"]) == {"0.1", "0.01", "0.003"}
