"""benchmarks/equal_bytes.py and benchmarks/cascade.py on invented embeddings, and their reports."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import faiss
import numpy as np
import pytest

from benchmarks import cascade, equal_bytes
from benchmarks.equal_bytes import Embedded
from daah import codes
from daah.errors import DataError
from daah.evaluation.open_set import enrol, identify
from daah.metrics.leave_one_out import leave_one_out


def invented(people: int, photos: int, seed: int, width: int = 32) -> Embedded:
    """Embeddings of people of so many photos each; half of them have one photo more."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), photos)
    labels = np.concatenate([labels, np.arange(people, people + people // 2)])
    rows = rng.normal(size=(labels.max() + 1, width))[labels] + 0.4 * rng.normal(
        size=(len(labels), width)
    )
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    turn = np.linalg.qr(np.random.default_rng(9).normal(size=(width, width)))[0]
    return Embedded(unit, (unit @ turn).astype(np.float32), np.array([f"p{i:03}" for i in labels]))


def test_scores_are_those_of_both_protocols() -> None:
    test = invented(20, 3, seed=1)
    rival = equal_bytes.binary("this project", "logits", test.logits, 32)
    assert rival.bytes == 4
    for kind, distance in (("symmetric", "hamming"), ("asymmetric", "asymmetric")):
        found = equal_bytes.scores(getattr(rival, kind), test.labels)
        one = leave_one_out(test.logits, test.labels, 32, distance=distance)
        assert found["map"] == pytest.approx(one.map, abs=1e-6)
        three = identify(
            test.logits, test.labels, enrol(test.logits, test.labels, "one"), 32, distance, "one"
        )
        assert found["fnir_at_fpir"] == pytest.approx(three.fnir_at_fpir, abs=1e-6)


def test_engines_find_what_the_scores_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    """The distances of the table are those that each timed engine orders by."""
    monkeypatch.setattr(equal_bytes, "STORED", 300)
    test = invented(90, 3, seed=1)
    x = test.floats("embedding")[:300]
    kinds = [
        equal_bytes.binary("this project", "logits", test.logits[:300], 32),
        equal_bytes.quantised("PQ", "embedding", faiss.IndexPQ(32, 4, 8), x, x),
        equal_bytes.rabitq("embedding", 32, x, x),
    ]
    for rival in kinds:
        for kind, (stored, ask) in rival.engines.items():
            assert stored == 300
            distances = getattr(rival, kind)
            for number in (0, 7):
                _, rows = ask(number)
                mine = np.sort(distances[number])[:10]
                np.testing.assert_allclose(
                    np.sort(distances[number, rows[0]]), mine, rtol=0.02, atol=0.02
                )


def test_embeddings_are_kept_for_one_network(tmp_path: Path) -> None:
    train, test = invented(4, 2, seed=2), invented(4, 2, seed=3)
    equal_bytes.write_embeddings(tmp_path / "e.npz", "abc", train, test)
    again = equal_bytes.read_embeddings(tmp_path / "e.npz", "abc")
    for kept, given in zip(again, (train, test), strict=True):
        assert np.array_equal(kept.logits, given.logits)
        assert np.array_equal(kept.labels, given.labels)
    with pytest.raises(DataError, match="another checkpoint"):
        equal_bytes.read_embeddings(tmp_path / "e.npz", "abd")


def test_the_drawn_logits_have_the_covariances_they_were_fitted_to() -> None:
    rng = np.random.default_rng(0)
    between, within = np.diag([4.0, 1.0, 0.25]), np.diag([0.5, 0.5, 2.0])
    means = rng.multivariate_normal(np.arange(3), between, 4000)
    logits = np.repeat(means, 3, axis=0) + rng.multivariate_normal(np.zeros(3), within, 12000)
    model = cascade.fit(logits, np.repeat(np.arange(4000), 3))
    np.testing.assert_allclose(model.mean, np.arange(3), atol=0.1)
    np.testing.assert_allclose(model.between @ model.between, between, atol=0.25)
    np.testing.assert_allclose(model.within @ model.within, within, atol=0.1)
    drawn = model.faces(200_000, np.random.default_rng(1))
    np.testing.assert_allclose(np.cov(drawn.T), between + within, atol=0.3)


def test_a_cascade_that_keeps_everything_is_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cascade, "QUERIES", 5)
    turn = np.eye(128, dtype=np.float32)
    model = cascade.Logits(np.zeros(128, np.float32), turn, 0.3 * turn)
    gallery = cascade.draw(model, 600)
    assert np.array_equal(gallery.first[32], gallery.whole[:, :4])
    for number, bits in itertools.product(range(5), (32, 64)):
        by_code, by_logits = cascade.exact(gallery, number)
        near = codes.hamming(gallery.queries[number : number + 1], gallery.whole)[0]
        assert np.array_equal(by_code, np.argsort(near, kind="stable")[:10])
        assert np.array_equal(cascade.cascade(gallery, number, bits, 600), by_logits)
        assert by_logits[0] == number
    ticks = itertools.count()
    report = cascade.measure(model, 1200, 0.01, queries=5, clock=lambda: next(ticks))
    json.dumps(report, allow_nan=False)
    assert {row["recall_at_10"] <= 1 for row in report["rows"]} == {True}
