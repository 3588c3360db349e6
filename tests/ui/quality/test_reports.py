"""Figures come from reports about the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daah.retrieval.retriever import FaceRetriever
from daah.ui.quality import html as quality_html
from daah.ui.quality import reports
from tests.doubles.retriever import photo


def saved(path: Path, rgb: np.ndarray) -> str:
    """A photo as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return str(path)


# ----------------------------------------------------------------------------------- what is known


def test_figures_come_from_reports_about_this_checkpoint_alone(
    fake: FaceRetriever, tmp_path: Path
) -> None:
    def report(sha: str, score: float) -> dict[str, Any]:
        return {
            "protocol": "open-set", "images": 10, "people": 5, "queries": 8, "undetected": 0,
            "checkpoint": {"name": "x", "recipe": "demo", "sha256": sha},
            "results": [{"bits": 64, "rerank": False, "map": score, "map_ci95": [0.1, 0.9],
                         "rank1": 0.5, "precision_at_10": 0.4, "tar_at_far_1e-2": 0.3,
                         "tar_at_far_1e-3": 0.2}],
        }  # fmt: skip

    (tmp_path / "open-set.json").write_text(
        json.dumps(report(fake.encoder.fingerprint, 0.777) | {"data": "Some photos"})
    )
    (tmp_path / "peers.json").write_text(
        json.dumps({"rows": [{"representation": "floats", "bytes": 512, "map": 0.955}]})
    )
    (tmp_path / "old-open-set.json").write_text(json.dumps(report("0" * 64, 0.111)))
    (tmp_path / "old-slices.json").write_text(
        json.dumps({"damage": [{"kind": "blur", "value": 2, "map": 0.222}]})
    )
    (tmp_path / "slices.json").write_text(
        json.dumps({
            "bits": 64,
            "damage": [{"kind": "blur", "value": 2, "map": 0.333, "map_ci95": [0.3, 0.4]}],
            "groups": [{"attribute": "face_width", "low": 10, "high": 40, "map": 0.444}],
        })
    )  # fmt: skip
    (tmp_path / "clustering.json").write_text(
        json.dumps({
            "images": 7, "people": 3,
            "results": [{"bits": 64, "radius": 11, "f": 0.666, "f_ci95": [0.6, 0.7],
                         "precision": 0.9, "recall": 0.5, "clusters": 2, "alone": 1}],
        })
    )  # fmt: skip
    (tmp_path / "protection.json").write_text(
        json.dumps({"accuracy": [{"bits": 64, "map": 0.8, "map_keyed": 0.8, "map_rotated": 0.79}]})
    )
    (tmp_path / "attention.json").write_text(json.dumps({"deletion": 0.3, "insertion": 0.1}))
    (tmp_path / "identification.json").write_text(
        json.dumps(
            {
                "enrolled": 5,
                "mated": 7,
                "non_mated": 9,
                "results": [
                    {
                        "bits": 64,
                        "distance": "hamming",
                        "template": "one",
                        "threshold": 9.5,
                        "fnir_at_fpir": {"0.1": 0.2, "0.01": 0.3456, "0.003": 0.4},
                        "fpir": 0.0123,
                        "by_people": {
                            "77": {
                                "fnir_at_fpir": {"0.01": 0.25},
                                "fnir_ci95": {"0.01": [0.2, 0.3]},
                            }
                        },
                    }
                ],
                "slice_bits": 64,
                "slices": [
                    {
                        "attribute": "skin_luma",
                        "group": "5 to 6",
                        "photos": 8,
                        "fmr": 0.0456,
                        "fmr_ci95": [0.01, 0.09],
                        "fnmr": None,
                        "fnmr_ci95": None,
                    }
                ],
            }
        )
    )
    code = {"distance": "symmetric", "fitted_on": "logits", "map": 0.1, "times_hamming": 4.25}
    (tmp_path / "equal-bytes.json").write_text(
        json.dumps({
            "images": 7, "people": 3, "fitted_images": 12, "stored": 99,
            "rows": [code | {"method": "this project", "bytes": 8, "map": 0.888},
                     code | {"method": "PQ", "bytes": 8, "fnir_at_fpir": {"0.01": 0.515}},
                     code | {"method": "floats", "bytes": 1024}],
        })
    )  # fmt: skip
    table = "## mAP\n\n| method | 48 bits |\n|---|---|\n| ITQ | 0.512 |\n\n## Other\n"
    (tmp_path / "compare.md").write_text(table)
    (tmp_path / "bench.json").write_text("{")
    saved(tmp_path / "accuracy.png", photo())
    saved(tmp_path / "old-roc.png", photo())
    saved(tmp_path / "compare-map.png", photo())
    html = "".join(
        quality_html.section(section, str) for section in reports.sections([fake.encoder], tmp_path)
    )
    for shown in (
        "0.777 (0.100 to 0.900)",
        "floats",
        "0.955",
        "Some photos",
        "blur 2",
        "0.333 (0.300 to 0.400)",
        "face width, 10 to 40",
        "0.666 (0.600 to 0.700)",
        "7 faces of 3 people",
        "0.012",
        "0.346",
        "8 bytes per face",
        "0.888",
        "0.515",
        "floats, 1024 bytes",
        "4.25",
        "0.250 (0.200 to 0.300)",
        "skin luma, 5 to 6",
        "0.046 (0.010 to 0.090)",
        "ITQ",
    ):
        assert shown in html, shown  # fmt: skip
    assert "0.111" not in html
    assert "0.222" not in html
    assert html.count("<figure") == 2
    assert html.count("Not measured yet for this checkpoint") == 1
    assert "Limits are fitted on validation people" in html
    assert ".json" not in html


def test_without_any_report_every_question_says_so(fake: FaceRetriever, tmp_path: Path) -> None:
    fake.encoder.calibration = None
    found = reports.sections([fake.encoder], tmp_path / "nothing")
    assert all("Not measured yet" in quality_html.section(section, str) for section in found)
    assert ("Name", "fake") in reports.about_checkpoint(fake.encoder).rows


def test_what_a_code_gives_away_is_told_in_tables(fake: FaceRetriever, tmp_path: Path) -> None:
    sha = fake.encoder.fingerprint
    checkpoint = {"name": "x", "recipe": "demo", "sha256": sha}
    attack = {"from": "code", "bits": 64, "type1": 0.5, "type2": 0.25}
    kept = {
        "open-set": {"protocol": "open-set", "checkpoint": checkpoint, "results": []},
        "inversion": {
            "data": "people", "attacked": 7, "checkpoint": checkpoint,
            "results": [
                attack | {"key": "no key"},
                attack | {"key": "key, unknown to the attacker", "type1": 0.0, "type2": 0.0},
            ],
            "another_photo": [{"bits": 64, "match": 0.75, "stranger": 0.001}],
            "properties": [{"property": "pose", "auc_best_bit": 0.6, "auc_median_bit": 0.5,
                            "auc_of_all": {"128": 0.8, "256": 0.9}}],
        },
        "protection": {
            "data": "people", "checkpoint": checkpoint,
            "unlinkability": {"d_sys": [{"bits": 64, "same_photo": True, "none, codes": 1.0,
                                         "keys, codes": 0.01, "keys known, codes": 1.0}]},
            "accuracy": [{"bits": 64, "map": 0.8, "map_keyed": 0.8, "map_rotated": 0.79}],
        },
    }  # fmt: skip
    for name, values in kept.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(values))
    found = {one.title: one for one in reports.sections([fake.encoder], tmp_path)}
    tables = found["What your code gives away"].tables
    assert [table.rows for table in tables] == [
        (("64", "0.500", "0.250", "0.000", "0.000", "0.750", "0.001"),),
        (("pose", "0.600", "0.500", "0.800", "0.900"),),
        (("64", "yes", "1.000", "0.010", "1.000"),),
        (("64", "0.800", "0.800", "0.790"),),
    ]
