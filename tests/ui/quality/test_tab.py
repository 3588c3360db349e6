"""The "How good is it" tab shows everything that the project's commands write, and whose it is."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from PIL import Image

from benchmarks import quality as script
from daah import codes
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.evaluation.calibrate import fit_calibration
from daah.evaluation.unseen_people import evaluate
from daah.metrics.leave_one_out import pair_distances
from daah.ui.quality import html as quality_html
from daah.ui.quality import reports as quality_reports
from daah.ui.quality.reports import RESULTS
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> LabelledFaces:
    """Invented people, some with one photo."""
    return detect_faces(
        write_tree(tmp_path_factory.mktemp("tree"), [3, 2, 1] * 2), FramedFaceDetector()
    )


@pytest.fixture(scope="module")
def encoder(faces: LabelledFaces) -> CentreEncoder:
    """A calibrated stand-in for the shipped network."""
    made = CentreEncoder((64,))
    logits = made.encode(faces.aligned)[0]
    packed = codes.from_logits(logits)
    made.calibration = fit_calibration({64: pair_distances(packed, faces.labels)})
    made.card = {"training": {}, "metrics": {}}
    return made


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, encoder: CentreEncoder, faces: LabelledFaces
) -> Path:
    """What `benchmarks/quality.py` writes, and reports of other commands beside it."""
    out = tmp_path_factory.mktemp("results")
    script.measure(encoder, faces, "invented faces", out, "orl-", sample=1)
    for name in ("masks.png", "retrieval.png", "stores.png", "compare-map.png"):
        Image.new("RGB", (8, 8)).save(out / name)
    reports = {
        "stores": {"matches": 10, "sqlite": [{"size": 1000, "bits": 64, "load_seconds": 0.123}]},
        "live": {"title": "Live", "rows": [{"what": "Frames a second", "value": 12.3,
                                            "unit": "", "promise": "at least 8"}]},
        "start-up": {"title": "Start", "rows": [{"what": "To the first answer", "value": 7.25,
                                                 "unit": "s", "promise": "under 20 s"}]},
        "detection": {"photo": "1600x1200", "threads": 1, "recall": {"found_by_package": 5},
                      "speed": {"detect": {"wall_ms": 61.5, "processor_ms": 60},
                                "package_detect": {"wall_ms": 333, "processor_ms": 330}}},
    }  # fmt: skip
    for name, values in reports.items():
        (out / f"{name}.json").write_text(json.dumps(values))
    return out


def drawn(encoders: list, folder: Path) -> str:
    """The whole tab."""
    return "".join(
        quality_html.section(section, str) for section in quality_reports.sections(encoders, folder)
    )


def test_every_report_and_every_figure_is_there(encoder: CentreEncoder, results: Path) -> None:
    found = quality_reports.sections([encoder], results)
    sources = {table.source for section in found for table in section.tables}
    assert {path.name for path in results.glob("*.json")} <= sources
    shown = [picture.path for section in found for picture in section.pictures]
    assert sorted(shown) == sorted(results.glob("*.png"))
    assert all(picture.alt for section in found for picture in section.pictures)
    html = drawn([encoder], results)
    for text in ("0.123", "12.3", "at least 8", "7.25 s", "61.5 ms", "invented faces"):
        assert text in html, text
    assert "(ORL)" in html
    for missing in ("Accuracy", "The limit", "People who", "Can the heatmap", "Small,", "Speed"):
        section = next(s for s in found if s.title.startswith(missing))
        assert section.tables, missing
        assert "Not measured" not in quality_html.section(section, str)


@pytest.mark.slow
def test_every_figure_says_at_which_code_length(encoder: CentreEncoder, results: Path) -> None:
    """In its table or its caption, and as the commands that measure it have it."""
    assert quality_reports.FIGURE_BITS == script.BITS
    for section in quality_reports.sections([encoder], results):
        for table in section.tables:
            text = " ".join((*table.columns, table.note, table.title))
            measured = "mAP" in text or "TAR" in text or "Limit" in text
            assert not measured or "bits" in text.lower(), table
    captions = [p.alt for s in quality_reports.sections([encoder], results) for p in s.pictures]
    of_one = [caption for caption in captions if caption.startswith(("Distances", "Accuracy at"))]
    assert of_one
    assert all(f"{script.BITS} bits" in caption for caption in of_one)


def test_both_masks_stand_side_by_side_where_the_heatmap_is_judged(
    encoder: CentreEncoder, results: Path
) -> None:
    section = next(s for s in quality_reports.sections([encoder], results) if "heatmap" in s.title)
    assert section.pictures[0].path.name == "masks.png"
    assert "the paper" in section.pictures[0].alt
    assert "the demo" in section.pictures[0].alt


@pytest.mark.slow
def test_a_report_of_another_served_model_says_whose_it_is(
    encoder: CentreEncoder, results: Path, faces: LabelledFaces, tmp_path: Path
) -> None:
    paper = SimpleNamespace(name="paper", recipe="paper", fingerprint="9" * 64, calibration=None)
    closed = {
        "checkpoint": {"name": "paper", "recipe": "paper", "sha256": paper.fingerprint},
        "protocol": "closed-set", "people": 3, "database": 9, "queries": 6,
        "results": [{"bits": 48, "map": 0.654, "rank1": 0.7, "precision_radius2": 0.1}],
    }  # fmt: skip
    (tmp_path / "paper-closed-set.json").write_text(json.dumps(closed))
    mine = evaluate(encoder, faces).to_dict()
    (tmp_path / "open-set.json").write_text(json.dumps(mine))
    html = drawn([encoder, paper], tmp_path)
    assert "0.654" in html
    assert "Training people, model paper" in html
    assert "model fake" not in html
    alone = drawn([encoder], tmp_path)
    assert "0.654" not in alone
    assert "leave-one-out searches" in alone


def test_the_committed_results_are_shown(encoder: CentreEncoder) -> None:
    """Whatever is committed: no file is left out, unless it is of a checkpoint not shipped here."""
    shipped = [stand_in(path) for path in RESULTS.glob("*.json")]
    found = quality_reports.sections([encoder, *[one for one in shipped if one]], RESULTS)
    sources = {table.source for section in found for table in section.tables}
    reports = {path.name for path in RESULTS.glob("*.json")} - {"compare.json"}
    assert reports <= sources
    assert "compare.md" in sources
    html = "".join(quality_html.section(section, str) for section in found)
    ids = re.findall(r'<h2 id="([^"]+)"', html)
    assert len(ids) == len(set(ids)) >= 7


def stand_in(path: Path) -> SimpleNamespace | None:
    """A stand-in for the checkpoint that a report names."""
    named = json.loads(path.read_text()).get("checkpoint")
    if not isinstance(named, dict):
        return None
    return SimpleNamespace(name=named["name"], fingerprint=named["sha256"], calibration=None)


def test_a_damaged_or_strange_report_is_passed_over(encoder: CentreEncoder, tmp_path: Path) -> None:
    for name, text in (("a.json", "{"), ("b.json", "[1, 2]"), ("c.json", '{"rows": "none"}')):
        (tmp_path / name).write_text(text)
    (tmp_path / "detection.json").write_text('{"speed": 3}')
    (tmp_path / "compare.md").write_bytes(b"\xff\xfe| x |")
    html = drawn([encoder], tmp_path)
    assert "none" in html
    assert html.count("<section") == 11
    assert quality_reports.comparison(tmp_path).tables == ()
