"""B-cubed: by hand, against the definition's double loop, and at its ends."""

from __future__ import annotations

import numpy as np
import pytest

from daah.metrics import bcubed, bcubed_of_faces


def by_definition(people: np.ndarray, clusters: np.ndarray) -> tuple[float, float]:
    """Averages over faces and the faces in their cluster, or of their person."""
    precision, recall = [], []
    for person, cluster in zip(people, clusters, strict=True):
        mine = [p == person for p, c in zip(people, clusters, strict=True) if c == cluster]
        all_mine = [c == cluster for p, c in zip(people, clusters, strict=True) if p == person]
        precision.append(sum(mine) / len(mine))
        recall.append(sum(all_mine) / len(all_mine))
    return float(np.mean(precision)), float(np.mean(recall))


def test_an_example_by_hand() -> None:
    """Two of three faces of a in one cluster, the third with b."""
    scores = bcubed(np.array(["a", "a", "a", "b"]), np.array([7, 7, 3, 3]))
    assert scores.precision == pytest.approx((1 + 1 + 1 / 2 + 1 / 2) / 4)
    assert scores.recall == pytest.approx((2 / 3 + 2 / 3 + 1 / 3 + 1) / 4)
    assert scores.f == pytest.approx(2 / (1 / scores.precision + 1 / scores.recall))


def test_equals_the_definition() -> None:
    rng = np.random.default_rng(5)
    for faces, people, clusters in ((1, 1, 1), (40, 7, 9), (60, 3, 50), (60, 50, 3)):
        of, into = rng.integers(people, size=faces), rng.integers(clusters, size=faces)
        scores = bcubed(of, into)
        assert (scores.precision, scores.recall) == pytest.approx(by_definition(of, into))
        precision, recall = bcubed_of_faces(of, into)
        assert precision[0] == pytest.approx(np.mean(of[into == into[0]] == of[0]))
        assert recall[0] == pytest.approx(np.mean(into[of == of[0]] == into[0]))


def test_the_ends() -> None:
    """Right clusters are perfect; each face alone is pure; all in one is complete."""
    people = np.repeat(np.arange(4), 5)
    assert bcubed(people, 9 - people).f == 1
    alone, together = bcubed(people, np.arange(20)), bcubed(people, np.zeros(20))
    assert (alone.precision, alone.recall) == pytest.approx((1, 0.2))
    assert (together.precision, together.recall) == pytest.approx((0.25, 1))


def test_wrong_arguments() -> None:
    for people, clusters in (([], []), ([1, 2], [1])):
        with pytest.raises(ValueError, match="a person and a cluster"):
            bcubed(np.array(people), np.array(clusters))
