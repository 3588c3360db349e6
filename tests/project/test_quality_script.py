"""benchmarks/quality.py: every protocol at once, on fakes here and on ORL's faces when run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import quality
from daah import codes
from daah.data.labelled_faces import detect_faces
from daah.evaluation.calibrate import fit_calibration
from daah.evaluation.dlib_itq import peers
from daah.metrics.leave_one_out import pair_distances
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """One run with a calibrated fake and peers from an invented cache."""
    faces = detect_faces(
        write_tree(tmp_path_factory.mktemp("t"), [3, 2, 1] * 4), FramedFaceDetector()
    )
    encoder = CentreEncoder()
    logits = encoder.encode(faces.aligned)[0]
    encoder.calibration = fit_calibration(
        {
            bits: pair_distances(codes.from_logits(logits, bits), faces.labels)
            for bits in encoder.lengths
        }
    )
    rng = np.random.default_rng(0)
    cache = tmp_path_factory.mktemp("c") / "cache.npz"
    names = [f"lfw/P{i // 2}/{i}.jpg" for i in range(200)]
    np.savez(cache, name=names, embedding=rng.normal(size=(200, 16)))
    out = tmp_path_factory.mktemp("out") / "results"
    rival = peers(cache, bits=(8, 16))
    quality.measure(encoder, faces, "invented faces", out, "try-", sample=2, rival=rival)
    quality.draw_examples(encoder, faces, out / "retrieval.png")
    return out


def test_every_protocol_leaves_its_figures(measured):
    names = ("open-set", "peers", "identification", "attention", "slices")
    for name in names:
        values = json.loads((measured / f"try-{name}.json").read_text())
        assert values["data"] == "invented faces"
    assert {path.stem for path in measured.glob("*.json")} == {f"try-{name}" for name in names}
    found = json.loads((measured / "try-identification.json").read_text())["results"]
    ways = {(row["bits"], row["distance"], row["template"]) for row in found}
    assert len(ways) == len(found) == 2 * 2 * 2
    assert {bits for bits, _, _ in ways} == {16, 64}
    attention = json.loads((measured / "try-attention.json").read_text())
    assert attention["occluder_mass_ratio"] >= 0
    assert set(attention["details"]) != set(attention["occlusion"])


@pytest.mark.slow
def test_every_plot_is_drawn(measured):
    drawn = {path.stem.removeprefix("try-") for path in measured.glob("*.png")}
    assert drawn == {
        "accuracy",
        "attention",
        "distances",
        "precision-recall",
        "reliability",
        "retrieval",
        "roc",
        "slices-damage",
        "slices-groups",
        "identification",
    }


@pytest.mark.slow
def test_no_figure_names_a_place_on_the_machine(measured):
    for path in measured.glob("*.json"):
        assert str(measured.parent) not in path.read_text()
        assert "/tmp" not in path.read_text()


def test_orl_is_written_as_a_tree_like_any_other(tmp_path):
    folder = quality.write_orl(tmp_path)
    assert len(list(folder.glob("s*/*.png"))) == 400
