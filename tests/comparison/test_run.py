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

from daah.cli import app
from daah.comparison import report as comparison_report
from daah.comparison.data import ClosedData
from daah.comparison.jobs import ComparisonSettings, Job, jobs
from daah.comparison.methods import ABLATION, METHODS, Method
from daah.comparison.methods.base import Budget
from daah.comparison.run import Comparison, compare
from daah.errors import DataError

ROOT = Path(__file__).resolve().parents[2]

CONTRACT = {"method", "bits", "seed", "map", "precision_radius2", "train_seconds", "encode_ms"}


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
    text = (ROOT / "docs" / "COMPARISON.md").read_text(encoding="utf-8")
    (written,) = (b for b in re.findall(r"```python\n(.*?)```", text, re.S) if "class " in b)
    (line,) = re.findall(r"```text\n(.*?)```", text, re.S)
    scope: dict = {"Method": Method}
    exec(written, scope)
    ((name, added),) = eval(f"{{{line}}}", scope).items()
    monkeypatch.setitem(METHODS, name, added)
    settings = quick_settings(methods=("ITQ", name))
    report = compare(small, settings, tmp_path / "work", tmp_path / "out", quiet=True)
    assert report["rows"][1]["method"] == name
    assert report["rows"][1]["map"] > 1 / 12
    assert f"| {name} |" in (tmp_path / "out" / "compare.md").read_text()


def test_compare_wants_data_or_quick(tmp_path: Path) -> None:
    for arguments in ([], ["--quick", "--data", str(tmp_path)]):
        result = CliRunner().invoke(app, ["compare", *arguments])
        assert result.exit_code == 1
        assert "--quick" in result.output
