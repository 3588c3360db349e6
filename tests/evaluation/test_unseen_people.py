"""The report of a folder of photos: figures, counts, errors, and the whole on real faces."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from daah.data.labelled_faces import detect_faces, read_faces
from daah.errors import ConfigError, DataError
from daah.evaluation.attention import evaluate_attention
from daah.evaluation.encoding import encode_faces
from daah.evaluation.unseen_people import evaluate
from daah.metrics.leave_one_out import leave_one_out
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """Twelve people with one to three photos, of which one shows no face."""
    folder = write_tree(tmp_path_factory.mktemp("tree"), [3, 1, 2] * 4)
    Image.new("RGB", (300, 300)).save(folder / "p00" / "photo2.png")
    return folder


def test_the_report_is_the_json_of_the_contract(tree):
    encoder = CentreEncoder()
    report = evaluate(encoder, detect_faces(tree, FramedFaceDetector()))
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert {k: v for k, v in values.items() if k != "results"} == {
        "protocol": "open-set",
        "images": 24,
        "people": 12,
        "queries": 19,
        "undetected": 1,
        "checkpoint": {"name": "fake", "recipe": "fake", "sha256": encoder.fingerprint},
    }
    assert [(r["bits"], r["distance"], r["rerank"]) for r in values["results"]] == [
        (bits, distance, rerank)
        for bits in (16, 64)
        for distance, rerank in (("hamming", False), ("hamming", True), ("asymmetric", False))
    ]
    for result in values["results"]:
        low, high = result["map_ci95"]
        assert 0 <= low <= result["map"] <= high <= 1
    assert values["results"][3]["map"] > 0.8
    assert [path.name for path, _ in report.skipped] == ["photo2.png"]


def test_figures_are_those_of_the_logits(tree):
    encoder = CentreEncoder()
    faces = detect_faces(tree, FramedFaceDetector())
    report = evaluate(encoder, faces, bits=[16])
    logits, _ = encoder.encode(faces.aligned)
    assert report.results == (
        leave_one_out(logits, faces.labels, 16),
        leave_one_out(logits, faces.labels, 16, rerank=True),
        leave_one_out(logits, faces.labels, 16, distance="asymmetric"),
    )


def test_aligned_crops_give_what_their_photos_give(tree, tmp_path):
    photos = write_tree(tmp_path / "photos", [2, 2, 1])
    crops = write_tree(tmp_path / "crops", [2, 2, 1], framed=False)
    from_photos = evaluate(CentreEncoder(), read_faces(photos, detector=FramedFaceDetector()))
    from_crops = evaluate(CentreEncoder(), read_faces(crops, aligned=True))
    assert from_crops.results == from_photos.results


def test_faces_are_encoded_in_order_in_batches():
    faces = np.random.default_rng(0).integers(0, 256, (130, 224, 224, 3), dtype=np.uint8)
    steps = []
    logits = encode_faces(CentreEncoder(), faces, lambda *step: steps.append(step))
    np.testing.assert_allclose(logits, CentreEncoder().encode(faces)[0], rtol=1e-3, atol=1e-2)
    assert [step[2] for step in steps] == ["Encoding"] * 3


def test_an_unknown_length_is_refused(tree):
    faces = detect_faces(tree, FramedFaceDetector())
    with pytest.raises(ConfigError, match=r"no codes of \[20\] bits; its lengths are \(16, 64\)"):
        evaluate(CentreEncoder(), faces, bits=[16, 20])


@pytest.mark.parametrize("counts", [[1, 1, 1], [3]])
def test_a_tree_without_a_search_is_refused(tmp_path, counts):
    write_tree(tmp_path, counts)
    faces = detect_faces(tmp_path, FramedFaceDetector())
    with pytest.raises(DataError, match="somebody with two faces"):
        evaluate(CentreEncoder(), faces)


@pytest.fixture(scope="module")
def orl_tree(tmp_path_factory, orl_photos):
    """The first ten people of ORL as files, 100 photos."""
    folder = tmp_path_factory.mktemp("orl")
    for photo in orl_photos[:100]:
        path = folder / photo.person / (photo.name.replace("/", "-") + ".png")
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(photo.rgb).save(path, compress_level=1)
    return folder


@pytest.fixture(scope="module")
def orl_faces(orl_tree, detector):
    """What the real detector finds in them."""
    return detect_faces(orl_tree, detector)


def test_the_real_detector_finds_the_faces_of_orl(orl_faces):
    assert orl_faces.photos == 100
    assert len(orl_faces.skipped) <= 2
    assert orl_faces.people == 10
    assert 40 < np.median(orl_faces.width) < 92  # the photos are 92 pixels wide


def test_the_shipped_model_knows_people_of_orl_from_one_another(orl_faces, encoder):
    report = evaluate(encoder, orl_faces, bits=[16, 64, 128])
    by_length = {r.bits: r for r in report.results if r.distance == "hamming" and not r.rerank}
    assert report.to_dict()["checkpoint"]["sha256"] == encoder.fingerprint
    assert by_length[128].rank1 > 0.95
    assert by_length[64].map > 0.8
    assert by_length[16].map > 1.5 * 9 / 99  # well above chance, even in two bytes


@pytest.mark.slow
def test_the_shipped_models_masks_are_measured_on_orl(orl_faces, encoder):
    report = evaluate_attention(encoder, orl_faces, sample=2)
    assert report.inside_mass_ratio > 1
    assert report.mask_spread_within > 0.05
    assert report.mask_spread_between > 0.02
