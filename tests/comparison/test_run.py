"""The comparison: every method on ORL end to end, resuming, the report, and protocol 2 itself."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from daah import codes
from daah.cli import app
from daah.comparison import data as comparison_data
from daah.comparison import report as comparison_report
from daah.comparison import run as comparison_run
from daah.comparison.data import ClosedData
from daah.comparison.jobs import ComparisonSettings, Job, jobs
from daah.comparison.methods import ABLATION, METHODS, Method
from daah.comparison.methods.base import SymmetricHasher
from daah.comparison.methods.deep import Budget
from daah.comparison.run import Comparison, compare
from daah.data.face_set import FaceSet, load_faces
from daah.errors import ConfigError, DataError
from daah.evaluation.closed_set import evaluate_closed
from daah.metrics.query_database import AT, score_codes
from daah.models.encoder import FaceEncoder

CONTRACT = {"method", "bits", "seed", "map", "precision_radius2", "train_seconds", "encode_ms"}


@pytest.fixture(scope="module")
def small() -> ClosedData:
    """Twelve people of ORL: quick to learn, hard enough to tell methods apart."""
    whole = comparison_data.orl_data()
    keep = [i for i, n in enumerate(whole.train.names) if int(n.split("/")[1][1:]) <= 12]
    asked = [i for i, n in enumerate(whole.query.names) if int(n.split("/")[1][1:]) <= 12]
    return ClosedData(
        "twelve of ORL", whole.train.subset(np.array(keep)), whole.query.subset(np.array(asked))
    )


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing takes longer than the small comparisons do."""
    monkeypatch.setattr(comparison_report, "draw", lambda report: {})


def quick_settings(**changes) -> ComparisonSettings:
    settings = ComparisonSettings(
        methods=("ITQ", "KSH", "DDAH"),
        bits=(8,),
        seeds=1,
        budget=Budget(epochs=1, people=8, each=2),
        start_epochs=1,
        tuning=0.0,
        features=False,
        ablation=False,
    )
    return replace(settings, **changes)


# ------------------------------------------------------------------------------- end to end


@pytest.mark.slow
def test_quick_compares_every_method_on_orl(tmp_path: Path) -> None:
    """The command itself, with one short code and few epochs."""
    out = tmp_path / "out"
    arguments = [
        "compare",
        "--quick",
        "--bits",
        "16",
        "--epochs",
        "1",
        "--start-epochs",
        "4",
        "--out",
    ]
    result = CliRunner().invoke(app, [*arguments, str(out)])
    assert result.exit_code == 0, result.output
    report = json.loads((out / "compare.json").read_text())
    assert [row["method"] for row in report["rows"]] == list(METHODS)
    assert not report["pending"]
    assert report["data"]["people"] == 40
    assert (report["data"]["database"], report["data"]["queries"]) == (320, 80)
    figures = {row["method"]: row["map"] for row in report["rows"]}
    for row in report["rows"]:
        assert set(row) >= CONTRACT
        assert 0 < row["map"] <= 1
        assert row["train_seconds"] >= 0
        assert row["encode_ms"] > 0
    chance = 1 / 40
    assert min(figures.values()) > chance
    assert figures["SDH"] > figures["ITQ"] > figures["LSH"]
    text = (out / "compare.md").read_text()
    assert all(f"| {name} |" in text for name in METHODS)
    for name in ("map", "precision-recall", "precision-at-k"):
        with Image.open(out / f"compare-{name}.png") as figure:
            assert figure.width > 400


# ------------------------------------------------------------------------------------- jobs


def test_jobs_hold_every_method_at_every_length_and_three_seeds_at_48() -> None:
    listed = jobs(ComparisonSettings())
    assert len({job.name for job in listed}) == len(listed)
    rows = [j for j in listed if j.stage == "row"]
    for name in METHODS:
        own = [(j.bits, j.seed) for j in rows if j.method == name]
        assert sorted(own) == [(12, 0), (24, 0), (36, 0), (48, 0), (48, 1), (48, 2)]
    assert {j.variant for j in listed if j.stage == "ablation"} == set(ABLATION)
    tries = [j.method for j in listed if j.stage == "tune"]
    assert {tries.count(name) for name in tries} == {2}
    assert {j.variant for j in listed if j.stage == "feature"} == {"pixels", "trunk"}


def test_unknown_methods_are_told() -> None:
    with pytest.raises(ConfigError, match="unknown methods"):
        ComparisonSettings(methods=("DDHA",))


@pytest.mark.usefixtures("no_figures")
def test_a_stopped_comparison_goes_on(tmp_path: Path, small: ClosedData, monkeypatch) -> None:
    settings = quick_settings(methods=("ITQ", "KSH", "LSH"))
    listed = jobs(settings)
    first = Comparison(small, settings, tmp_path / "work")
    before = first.run(listed[0])
    ran = []
    row = Comparison._row
    monkeypatch.setattr(
        Comparison,
        "_row",
        lambda self, job, report: (ran.append(job.method), row(self, job, None))[1],
    )
    report = compare(
        small, settings, tmp_path / "work", tmp_path / "out", "the command", quiet=True
    )
    assert ran == ["KSH", "LSH"]
    assert report["rows"][0] == before
    assert report["command"] == "the command"
    again = compare(small, settings, tmp_path / "work", tmp_path / "out", quiet=True)
    assert ran == ["KSH", "LSH"]
    assert again["rows"] == report["rows"]


def test_another_budget_or_data_needs_another_folder(tmp_path: Path, small: ClosedData) -> None:
    Comparison(small, quick_settings(), tmp_path)
    Comparison(small, quick_settings(methods=("SH",), bits=(4,)), tmp_path)  # more of the same
    with pytest.raises(DataError, match="another folder"):
        Comparison(small, quick_settings(budget=Budget(epochs=2, people=8, each=2)), tmp_path)
    other = ClosedData("same name", small.query, small.query)
    with pytest.raises(DataError, match="another folder"):
        Comparison(other, quick_settings(), tmp_path)


def test_tuning_looks_only_at_training_images(tmp_path: Path, small: ClosedData) -> None:
    """Queries made of noise change no choice, and the two parts share no image."""
    noise = np.random.default_rng(0).integers(0, 256, small.query.images.shape, np.uint8)
    noisy = ClosedData("noise", small.train, replace(small.query, images=noise))
    settings = quick_settings(methods=("KSH",), tuning=1.0)
    chosen = [
        Comparison(data, settings, tmp_path / str(i)).chosen("KSH")
        for i, data in enumerate((small, noisy))
    ]
    assert chosen[0] == chosen[1]
    parts = Comparison(small, settings, tmp_path / "0").tuning_data
    assert set(parts.train.names) | set(parts.query.names) == set(small.train.names)
    assert not set(parts.train.names) & set(parts.query.names)


def test_tuning_chooses_the_better_try(tmp_path: Path, small: ClosedData, monkeypatch) -> None:
    method = Method(METHODS["KSH"].build, "shallow", ({"width": 1e-3}, {"width": 1.0}))
    monkeypatch.setitem(METHODS, "KSH", method)
    chosen = Comparison(small, quick_settings(tuning=1.0), tmp_path).chosen("KSH")
    assert chosen == {"width": 1.0}


def test_the_same_seed_gives_the_same_row(tmp_path: Path, small: ClosedData) -> None:
    job = Job("row", "DDAH", 8, 0)
    rows = [Comparison(small, quick_settings(), tmp_path / str(i)).run(job) for i in range(2)]
    timeless = [
        {k: v for k, v in r.items() if k not in ("train_seconds", "encode_ms")} for r in rows
    ]
    assert timeless[0] == timeless[1]


@pytest.mark.usefixtures("no_figures")
@pytest.mark.slow
def test_ablation_and_other_features_run_and_are_reported(
    tmp_path: Path, small: ClosedData, monkeypatch
) -> None:
    for variant in ("without channel attention", "margin 0.3", "margin 1"):
        monkeypatch.delitem(ABLATION, variant)
    settings = quick_settings(methods=("ITQ", "DDAH"), features=True, ablation=True)
    report = compare(small, settings, tmp_path / "work", tmp_path / "out", quiet=True)
    assert [r["variant"] for r in report["ablation"]] == list(ABLATION)
    assert len({r["map"] for r in report["ablation"]}) == 3  # the switches do something
    assert [r["feature"] for r in report["features"]] == ["pixels", "trunk"]
    assert len(report["references"]) == 2
    text = (tmp_path / "out" / "compare.md").read_text()
    for part in ("Ablation of DDAH", "| without fusing |", "| ITQ | trunk |"):
        assert part in text


@pytest.mark.usefixtures("no_figures")
def test_a_method_can_be_added(tmp_path: Path, small: ClosedData, monkeypatch) -> None:
    """What docs/COMPARISON.md says: a class, and a line in METHODS."""
    text = Path("docs/COMPARISON.md").read_text()
    written = next(b for b in re.findall(r"```python\n(.*?)```", text, re.S) if "class " in b)
    scope: dict = {}
    exec(written, scope)
    added = next(
        v
        for v in scope.values()
        if isinstance(v, type) and issubclass(v, SymmetricHasher) and v is not SymmetricHasher
    )
    monkeypatch.setitem(METHODS, "added", Method(added, "shallow"))
    settings = quick_settings(methods=("ITQ", "added"))
    report = compare(small, settings, tmp_path / "work", tmp_path / "out", quiet=True)
    assert report["rows"][1]["method"] == "added"
    assert report["rows"][1]["map"] > 1 / 12
    assert "| added |" in (tmp_path / "out" / "compare.md").read_text()


# ----------------------------------------------------------------------------------- report


def row(method: str, bits: int, seed: int, value: float) -> dict:
    return {
        "method": method,
        "bits": bits,
        "seed": seed,
        "map": value,
        "precision_radius2": value / 2,
        "precision_at": dict.fromkeys(map(str, AT), value),
        "train_seconds": 2.0,
        "encode_ms": 0.5,
        "curve": {"distance": [0, 1], "precision": [1.0, 0.5], "recall": [0.1, 1.0]},
    }


def test_the_report_gives_mean_and_spread() -> None:
    rows = [row("ITQ", 48, s, v) for s, v in enumerate((0.1, 0.2, 0.3))] + [row("ITQ", 12, 0, 0.4)]
    report = {
        "rows": rows,
        "data": {"name": "d", "people": 2, "database": 3, "queries": 4},
        "command": "c",
        "features": [],
        "ablation": [],
        "references": [],
        "tuning": [],
        "starts": [],
        "pending": ["one"],
    }
    text = comparison_report.markdown(report)
    assert "| ITQ | 0.400 | 0.200 ± 0.100 (3) |" in text
    assert "Not done yet: 1" in text
    assert "0.200 ± 0.100 (3)" in comparison_report.progress_table(report)
    curve = comparison_report.draw(report)["precision-recall"].axes[0].lines[0]
    assert curve.get_ydata().tolist() == [1.0, 0.5]


# -------------------------------------------------------------------------------- protocol 2


def test_scores_by_hand() -> None:
    """Query 1: right, wrong, right at distances 0, 2, 3. Query 2: nothing within two bits."""
    database = np.array([[1, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, -1]], np.float32)
    query = np.array([[1, 1, 1, 1], [-1, 1, 1, 1]], np.float32)
    query[1] = -database[0]
    scores = score_codes(query, database, np.array([0, 0]), np.array([0, 1, 0]))
    # The second query is at 4, 2 and 1 bits of the three.
    first, second = (1 + 2 / 3) / 2, (1 + 2 / 3) / 2
    assert scores.map == pytest.approx((first + second) / 2)
    assert scores.precision_radius2 == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert scores.precision_at[1] == 1.0
    assert scores.precision_at[5] == pytest.approx(2 / 5)


def test_orl_is_split_without_a_face_on_both_sides() -> None:
    data = comparison_data.orl_data()
    assert not set(data.train.names) & set(data.query.names)
    assert np.bincount(data.train.labels).tolist() == [8] * 40
    assert np.bincount(data.query.labels).tolist() == [2] * 40
    with pytest.raises(DataError, match="different people"):
        ClosedData("x", data.train, replace(data.query, people=("a",)))


def test_evaluate_closed_scores_a_checkpoint(tmp_path: Path, encoder: FaceEncoder) -> None:
    """Noise around two base pictures: a person's images agree in all bits but a few."""
    rng = np.random.default_rng(0)
    for person in ("A", "B"):
        base = rng.integers(0, 256, (150, 150, 3))
        for i in range(5):
            face = np.clip(base + rng.integers(-8, 9, base.shape), 0, 255).astype(np.uint8)
            path = tmp_path / person / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(face).save(path)
    report = evaluate_closed(encoder, [tmp_path], bits=(16, 64), minimum=5).to_dict()
    assert (report["people"], report["database"], report["queries"]) == (2, 6, 4)
    assert [r["bits"] for r in report["results"]] == [16, 64]
    faces = load_faces([tmp_path])
    logits, _ = encoder.encode(faces.images)
    split = comparison_run.split_faces(faces, minimum=5)
    assert sorted(split[0].names + split[1].names) == sorted(faces.names)
    packed = codes.pack(codes.sign(logits))
    own = faces.labels
    nearest = codes.hamming(packed, packed) + 1000 * np.eye(10, dtype=int)
    if (own[nearest.argmin(1)] == own).all():
        assert report["results"][1]["rank1"] == 1.0
    with pytest.raises(ConfigError, match="20"):
        evaluate_closed(encoder, [tmp_path], bits=(20,), minimum=5)


def test_compare_wants_data_or_quick(tmp_path: Path) -> None:
    for arguments in ([], ["--quick", "--data", str(tmp_path)]):
        result = CliRunner().invoke(app, ["compare", *arguments])
        assert result.exit_code == 1
        assert "--quick" in result.output


def test_compare_reads_batches(tmp_path: Path, small: ClosedData) -> None:
    for name, part in (("train", small.train), ("test", small.query)):
        np.savez(tmp_path / f"{name}.npz", images=part.images, labels=part.labels)
    data = comparison_data.published_data("batches", [tmp_path])
    np.testing.assert_array_equal(data.train.images, small.train.images)
    assert isinstance(data.query, FaceSet)
    with pytest.raises(ConfigError, match="one folder"):
        comparison_data.published_data("facescrub", [tmp_path, tmp_path])
