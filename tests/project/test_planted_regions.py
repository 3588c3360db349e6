"""benchmarks/planted_regions.py: Grad-CAM and random weights of the shipped network."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import planted_regions
from daah.data.labelled_faces import read_aligned
from daah.detection.alignment import TEMPLATE
from daah.evaluation import planted
from daah.evaluation.planted import auc
from daah.models.checkpoint import load_checkpoint
from daah.models.encoder import encode, load_encoder
from daah.paths import PATHS
from daah.retrieval import explain
from daah.types import ALIGNED_SIZE, Face
from tests.doubles.faces import CentreEncoder, person_face, write_tree

CHECKPOINT = PATHS.checkpoints / "demo.safetensors"

pytestmark = pytest.mark.slow


def encoded(encoder, image):
    box = np.array([0, 0, ALIGNED_SIZE, ALIGNED_SIZE], np.float32)
    face = Face(box, TEMPLATE, 1.0, image, np.eye(2, 3, dtype=np.float32))
    return encode(encoder, [face])[0]


def test_maps_of_a_pair_point_at_what_was_planted(monkeypatch) -> None:
    """The encoder is a projection of what is in the middle, so the planted middle is the answer."""
    monkeypatch.setattr(planted_regions, "RISE_MASKS", 100)
    encoder, middle = CentreEncoder(), np.zeros((224, 224), bool)
    middle[96:144, 64:160] = True
    before = person_face(1, 0)
    after = np.where(middle[..., None], person_face(2, 0), before)
    one, face = encoded(encoder, before), encoded(encoder, after)
    regions = explain.bit_regions(encoder, face)
    assert auc(planted_regions.pair_map(regions, one, face, False), middle) > 0.8
    assert auc(planted_regions.Rise(encoder, 0)(one, face), middle) > 0.6


def test_grad_cam_is_a_map_of_the_difference() -> None:
    encoder = load_encoder(CHECKPOINT)
    one, other = (encoded(encoder, person_face(person, 0)) for person in (1, 2))
    draw = planted_regions.GradCam(load_checkpoint(CHECKPOINT).model)
    drawn = draw(one, other)
    assert drawn.shape == (224, 224)
    assert drawn.min() >= 0
    assert drawn.max() > 0
    # Nothing makes a face differ from itself.
    assert np.abs(draw(one, one)).max() < 1e-3 * drawn.max()


def test_random_weights_know_nothing_of_a_face_and_are_the_same_again() -> None:
    shipped, random = load_encoder(CHECKPOINT), planted_regions.randomised(CHECKPOINT, 0)
    face = person_face(1, 0)[None]
    logits = random.encode(face)[0]
    assert np.isfinite(logits).all()
    assert ((logits > 0) != (shipped.encode(face)[0] > 0)).mean() > 0.3
    assert (planted_regions.randomised(CHECKPOINT, 0).encode(face)[0] == logits).all()


def test_the_command_writes_a_report(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(planted_regions, "RISE_MASKS", 4)
    monkeypatch.setattr(planted, "_FRONTAL", 1e9)
    faces = write_tree(tmp_path / "t", [1, 1], framed=False)
    monkeypatch.setattr(
        planted_regions, "detect_faces", lambda folder, progress, fold: read_aligned(folder)
    )
    planted_regions.main(["--images", str(faces), "--pairs", "1", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "planted-regions.json").read_text())
    assert report["checkpoint"]["name"] == "demo"
    assert {"Grad-CAM", "RISE", "mask"} < set(report["auc"])
