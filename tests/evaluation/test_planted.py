"""Planted regions: heatmaps whose answer is known, on faces without weights."""

from __future__ import annotations

import json

import numpy as np
import pytest

from daah.data.labelled_faces import detect_faces
from daah.errors import DataError
from daah.evaluation import planted
from daah.evaluation.planted import REGIONS, auc, evaluate_planted, plant
from daah.types import ALIGNED_SIZE
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    tree = write_tree(tmp_path_factory.mktemp("tree"), [2, 2, 1])
    return detect_faces(tree, FramedFaceDetector())


def test_the_area_is_the_chance_that_a_pixel_of_the_region_is_hotter():
    region = np.array([[True, True], [False, False]])
    assert auc(np.array([[3.0, 2.0], [1.0, 0.0]]), region) == 1
    assert auc(np.array([[0.0, 1.0], [2.0, 3.0]]), region) == 0
    assert auc(np.ones((2, 2)), region) == 0.5
    assert auc(np.array([[3.0, 1.0], [2.0, 0.0]]), region) == 0.75


def test_only_the_region_comes_from_the_other_person(faces):
    made = plant(faces, 3, np.random.default_rng(0))
    assert [one.kind for one in made] == [*REGIONS] * 3
    for one in made:
        changed = (one.before != one.after).any(2)
        assert 0.01 < one.region.mean() < 0.35
        assert changed[one.region].mean() > 0.9
        far = ~planted.gaussian_filter(one.region.astype(np.float32), 12.0).astype(bool)
        assert not changed[far].any()
    again = plant(faces, 3, np.random.default_rng(0))
    assert all((a.after == b.after).all() for a, b in zip(made, again, strict=True))


def test_the_report_has_every_map_and_its_intervals(faces):
    left = -np.tile(np.arange(ALIGNED_SIZE), (ALIGNED_SIZE, 1))
    heatmaps = {
        "left": lambda *_: left,
        "change": lambda one, face: (one.face.aligned != face.face.aligned).any(2).astype(float),
    }
    report = evaluate_planted(CentreEncoder(), faces, heatmaps, 3, 0)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["protocol"] == "planted-regions"
    # The encoder sees a centred disc alone, in which the nose is.
    assert values["flipped"]["nose"] > 0.05
    assert set(values["auc"]) == {"left", "change", "random", "centred Gaussian"}
    for by_kind in values["auc"].values():
        assert set(by_kind) == {*REGIONS, "all"}
        assert all(0 <= low <= mean <= high <= 1 for mean, low, high in by_kind.values())
    assert values["auc"]["change"]["all"][0] > 0.9
    assert values["located"]["change"][0] == 1
    # Eyes, nose and mouth are as far left as right.
    assert values["auc"]["left"]["nose"][0] == pytest.approx(0.5, abs=0.06)
    assert values["auc"]["centred Gaussian"]["nose"][0] > 0.9
    assert values["located"]["centred Gaussian"][0] == pytest.approx(1 / 3)


def test_one_person_is_not_enough(tmp_path):
    alone = detect_faces(write_tree(tmp_path / "t", [2]), FramedFaceDetector())
    with pytest.raises(DataError, match="two people"):
        plant(alone, 1, np.random.default_rng(0))
