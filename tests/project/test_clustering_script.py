"""benchmarks/clustering.py on people without weights: what is chosen, where, and what is said."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import clustering
from daah.data import splits
from tests.doubles.faces import CentreEncoder, write_tree


def names(count: int, wanted) -> list[str]:
    return [name for name in (f"n{i}" for i in range(1000)) if wanted(name)][:count]


def sample(people: list[str], noise: float):
    """Four photos of each; those of one person differ the more, the more noise."""
    rows = []
    for person in people:
        rng = np.random.default_rng(list(person.encode()))
        rows.append(rng.normal(size=64) + noise * rng.normal(size=(4, 64)))
    return clustering.Sample(np.repeat(people, 4), np.concatenate(rows).astype(np.float32))


def test_settings_are_chosen_on_scored_training_people_only(monkeypatch) -> None:
    """Whom the network learned from are near and decide nothing; validation decides nothing."""
    monkeypatch.setattr(clustering, "LENGTHS", (64,))
    encoder = CentreEncoder()
    learned = sample(names(9, lambda n: splits.fold(n) > 1 and not splits.is_kept_out(n)), 0.01)
    apart = sample(names(9, splits.is_kept_out), 0.4)
    train = clustering.Sample(
        np.concatenate([learned.people, apart.people]),
        np.concatenate([learned.logits, apart.logits]),
    )
    validation = names(9, lambda n: splits.fold(n) == 1)
    report = clustering.measure(encoder, train, sample(validation, 0.4), "invented")
    (row,) = report["results"]
    assert (report["images"], report["people"]) == (36, 9)
    assert (report["train"]["people"], report["train"]["scored_people"]) == (18, 9)
    assert (row["train"]["f"], row["f"]) == (1, pytest.approx(1, abs=0.1))
    assert row["f_ci95"][0] <= row["f"] <= row["f_ci95"][1]
    everybody = np.ones(len(learned.people), bool)
    assert clustering.choose(encoder, learned, everybody, 64)[1] < row["radius"]
    (hard,) = clustering.measure(encoder, train, sample(validation, 3.0), "x")["results"]
    assert hard["radius"] == row["radius"]
    assert hard["f"] < row["f"]
    assert (hard["clusters"], hard["alone"]) == (0, 36)


def test_the_command_writes_a_report(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(clustering, "LENGTHS", (64,))
    monkeypatch.setattr(clustering, "load_encoder", lambda path: CentreEncoder())
    tree = write_tree(tmp_path / "t", [3] * 40, framed=False)
    clustering.main(
        ["--train", str(tree), "--images", str(tree), "--name", "them", "--out", str(tmp_path)]
    )
    report = json.loads((tmp_path / "clustering.json").read_text())
    assert (report["data"], report["images"], report["people"]) == ("them", 120, 40)
    folds = [splits.fold(f"p{n:02}") for n in range(40)]
    assert report["train"]["people"] == sum(fold > 1 for fold in folds)
    assert report["checkpoint"]["sha256"] == CentreEncoder().fingerprint
