"""A model's repository: its files, and a card whose figures are those of the reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard
from typer.testing import CliRunner

from daah.cli import app
from daah.errors import DataError
from daah.evaluation.hub_card import DOI, REPORTS, write_repository
from daah.models.encoder import load_encoder
from daah.paths import PATHS

ROOT = Path(__file__).resolve().parents[2]


def report(name: str) -> dict[str, Any]:
    return json.loads((PATHS.results / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository") / "demo"
    write_repository(PATHS.checkpoints / "demo.onnx", folder)
    return folder


@pytest.fixture(scope="module")
def card(repository: Path) -> ModelCard:
    """Read by the Hub's own class, which refuses results of another form."""
    return ModelCard.load(repository / "README.md", ignore_metadata_errors=False)


def test_the_repository_holds_the_shipped_files(repository: Path) -> None:
    names = {path.name for path in repository.iterdir()}
    assert names == {"model.onnx", "model.safetensors", "MOBILEFACE_LICENSE", "README.md"}
    for suffix in (".onnx", ".safetensors"):
        shipped = (PATHS.checkpoints / f"demo{suffix}").read_bytes()
        assert (repository / f"model{suffix}").read_bytes() == shipped


def test_metadata_are_those_of_the_model_card(card: ModelCard) -> None:
    data = card.data
    document = (ROOT / "docs" / "MODEL_CARD.md").read_text(encoding="utf-8")
    matter = yaml.safe_load(document.split("---\n")[1])
    for key in ("library_name", "pipeline_tag", "license"):
        assert getattr(data, key) == matter[key]
    assert {*matter["tags"], f"doi:{DOI}"} <= set(data.tags)
    assert DOI in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert data.model_name == "demo"


def test_results_are_those_of_the_committed_reports(card: ModelCard) -> None:
    found = {
        (r.task_name, r.dataset_name, r.metric_args["bits"], r.metric_args["distance"],
         r.metric_type): r.metric_value
        for r in card.data.eval_results
    }  # fmt: skip
    assert len(found) == len(card.data.eval_results)  # nothing is said twice
    expected = sorted(
        round(row[key], 4)
        for name in ("open-set.json", "orl-open-set.json")
        for row in report(name)["results"]
        if not row["rerank"]
        for key in ("map", "rank1", "tar_at_far_1e-3")
    )
    assert sorted(found.values()) == expected
    for row in report("open-set.json")["results"]:
        if not row["rerank"]:
            shown = " | ".join(f"{row[key]:.3f}" for key in ("map", "rank1", "tar_at_far_1e-3"))
            assert f"| {row['bits']} | {row['distance']} | {shown} |" in card.content


def test_the_card_of_another_model_has_the_figures_of_its_own(tmp_path: Path) -> None:
    write_repository(PATHS.checkpoints / "paper.safetensors", tmp_path / "paper")
    card = ModelCard.load(tmp_path / "paper" / "README.md")
    (row,) = report("closed-set.json")["results"]
    values = {r.metric_type: r.metric_value for r in card.data.eval_results}
    assert values == {"map": round(row["map"], 4), "rank1": round(row["rank1"], 4)}


def test_a_report_that_is_named_is_of_this_model(tmp_path: Path) -> None:
    graph = PATHS.checkpoints / "paper.onnx"
    with pytest.raises(DataError, match="is on the checkpoint 689e"):
        write_repository(graph, tmp_path, [PATHS.results / "open-set.json"])
    for text in ("{", "[]", '{"checkpoint": {}}', '{"checkpoint": {"sha256": 3}}'):
        (tmp_path / "report.json").write_text(text)
        with pytest.raises(DataError):
            write_repository(graph, tmp_path, [tmp_path / "report.json"])
    fingerprint = load_encoder(graph).fingerprint
    unknown = {"checkpoint": {"sha256": fingerprint}, "protocol": "speed", "results": []}
    (tmp_path / "report.json").write_text(json.dumps(unknown))
    with pytest.raises(DataError, match="no report of evaluate"):
        write_repository(graph, tmp_path, [tmp_path / "report.json"])
    assert {path.name for path in tmp_path.iterdir()} == {"report.json"}


def test_committed_reports_exist() -> None:
    assert [name for name in REPORTS if not (PATHS.results / name).is_file()] == []


def test_the_command_writes_it(tmp_path: Path, repository: Path) -> None:
    graph = str(PATHS.checkpoints / "demo.onnx")
    done = CliRunner().invoke(app, ["hub", "write", graph, str(tmp_path / "x")])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["files"][-1] == "README.md"
    written = (tmp_path / "x" / "README.md").read_bytes()
    assert written == (repository / "README.md").read_bytes()


def test_the_command_says_what_is_missing_before_an_upload(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["hub", "push", str(tmp_path), "someone/demo"])
    assert done.exit_code == 1
    assert "has no model.onnx and no README.md" in done.stderr
