"""benchmarks/protection.py and benchmarks/code_inversion.py, on people without weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import code_inversion, protection
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.evaluation import inversion
from daah.evaluation.encoding import encode_faces
from tests.doubles.encoder import ProjectionEncoder
from tests.doubles.faces import FramedFaceDetector, write_tree

ENCODER = ProjectionEncoder()


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> LabelledFaces:
    tree = write_tree(tmp_path_factory.mktemp("tree"), [3, 2, 2, 1, 2])
    return detect_faces(tree, FramedFaceDetector())


def test_the_report_of_protection_is_complete(faces: LabelledFaces, tmp_path: Path) -> None:
    logits = encode_faces(ENCODER, faces.aligned)
    protection.write(ENCODER, logits, np.asarray(faces.labels), "people", tmp_path)
    report = json.loads((tmp_path / "protection.json").read_text())
    assert (report["images"], report["people"]) == (10, 5)
    assert [row["bits"] for row in report["accuracy"]] == list(ENCODER.lengths)
    for row in report["accuracy"]:
        assert row["map_loss"] == pytest.approx(0)
        assert (row["fmr"], row["fnmr"]) == (row["fmr_keyed"], row["fnmr_keyed"])
    assert {row["bits"] for row in report["unlinkability"]["d_sys"]} == {16, 64, 128}
    for row in report["renewability"]:
        assert row["mated_before"] == pytest.approx(row["mated_after"])
    assert report["known_photos"][-1]["enrolled"] > report["known_photos"][0]["enrolled"]
    assert (tmp_path / "protection.png").stat().st_size > 1000


def test_attacks_and_properties_are_reported(
    faces: LabelledFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_inversion, "LENGTHS", ENCODER.lengths)
    logits = encode_faces(ENCODER, faces.aligned)
    found = code_inversion.attack(ENCODER, faces, logits, inversion.Decoder(ENCODER.bits).eval())
    assert found["attacked"] == 4
    assert {row["key"] for row in found["results"]} == {
        "no key", "key, unknown to the attacker", "key, known to the attacker",
    }  # fmt: skip
    for row in found["results"]:
        assert all(0 <= value <= 1 for name, value in row.items() if name.startswith("type"))
    assert [row["bits"] for row in found["another_photo"]] == list(ENCODER.lengths)
    light = code_inversion.luminance(faces.aligned, faces.aligned_landmarks)
    dark = code_inversion.luminance(faces.aligned // 2, faces.aligned_landmarks)
    assert (light > dark).all()


def test_people_of_the_portraits_are_not_trained_on() -> None:
    assert code_inversion.short_name("John F. Kerry") == code_inversion.short_name("John Kerry")
    assert code_inversion.short_name("Robert P. Casey, Jr.") == "robert casey"
