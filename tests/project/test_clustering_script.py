"""benchmarks/clustering.py on people without weights: what is chosen, where, and what is said."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from daah.data import splits
from tests.doubles.faces import CentreEncoder, write_tree

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "clustering.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("clustering", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def names(count: int, wanted) -> list[str]:
    return [name for name in (f"n{i}" for i in range(1000)) if wanted(name)][:count]


def sample(script, people: list[str], noise: float):
    """Four photos of each; those of one person differ the more, the more noise."""
    rows = []
    for person in people:
        rng = np.random.default_rng(list(person.encode()))
        rows.append(rng.normal(size=64) + noise * rng.normal(size=(4, 64)))
    return script.Sample(np.repeat(people, 4), np.concatenate(rows).astype(np.float32))


def test_settings_are_chosen_on_scored_training_people_only(script, monkeypatch) -> None:
    """Whom the network learned from are near and decide nothing; validation decides nothing."""
    monkeypatch.setattr(script, "LENGTHS", (64,))
    encoder = CentreEncoder()
    learned = sample(
        script, names(9, lambda n: splits.fold(n) > 1 and not splits.is_kept_out(n)), 0.01
    )
    apart = sample(script, names(9, splits.is_kept_out), 0.4)
    train = script.Sample(
        np.concatenate([learned.people, apart.people]),
        np.concatenate([learned.logits, apart.logits]),
    )
    validation = names(9, lambda n: splits.fold(n) == 1)
    report = script.measure(encoder, train, sample(script, validation, 0.4), "invented")
    (row,) = report["results"]
    assert (report["images"], report["people"]) == (36, 9)
    assert (report["train"]["people"], report["train"]["scored_people"]) == (18, 9)
    assert (row["train"]["f"], row["f"]) == (1, pytest.approx(1, abs=0.1))
    assert row["f_ci95"][0] <= row["f"] <= row["f_ci95"][1]
    everybody = np.ones(len(learned.people), bool)
    assert script.choose(encoder, learned, everybody, 64)[1] < row["radius"]
    (hard,) = script.measure(encoder, train, sample(script, validation, 3.0), "x")["results"]
    assert hard["radius"] == row["radius"]
    assert hard["f"] < row["f"]
    assert (hard["clusters"], hard["alone"]) == (0, 36)


def test_the_command_writes_a_report(script, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(script, "LENGTHS", (64,))
    monkeypatch.setattr(script, "load_encoder", lambda path: CentreEncoder())
    tree = write_tree(tmp_path / "t", [3] * 40, framed=False)
    script.main(
        ["--train", str(tree), "--images", str(tree), "--name", "them", "--out", str(tmp_path)]
    )
    report = json.loads((tmp_path / "clustering.json").read_text())
    assert (report["data"], report["images"], report["people"]) == ("them", 120, 40)
    folds = [splits.fold(f"p{n:02}") for n in range(40)]
    assert report["train"]["people"] == sum(fold > 1 for fold in folds)
    assert report["checkpoint"]["sha256"] == CentreEncoder().fingerprint
