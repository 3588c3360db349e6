"""The peers' rows: the split, the quantiser against a library's, and damaged caches."""

from __future__ import annotations

import faiss
import numpy as np
import pytest

from daah.data.splits import fold
from daah.errors import DataError
from daah.evaluation.dlib_itq import itq, peers
from daah.metrics.leave_one_out import leave_one_out, leave_one_out_floats


def embeddings(people: int = 400, dimensions: int = 24, seed: int = 0):
    """Names folder/person/file and embeddings (N, D) that people's photos share."""
    rng = np.random.default_rng(seed)
    owner = np.repeat(np.arange(people), rng.integers(1, 5, people))
    centre = rng.normal(size=(people, dimensions)) * np.linspace(2, 0.3, dimensions)
    vectors = centre[owner] + 0.25 * rng.normal(size=(len(owner), dimensions))
    return [f"lfw/Person_{o}/{i}.jpg" for i, o in enumerate(owner)], vectors.astype(np.float32)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with somebody of the validation fold standing in a second folder too."""
    names, vectors = embeddings()
    twice = next(n.split("/")[1] for n in names if fold(n.split("/")[1]) == 1)
    names = [f"celebrities/{twice}/0.jpg", *names]
    vectors = np.concatenate([vectors[:1], vectors])
    path = tmp_path_factory.mktemp("cache") / "teacher.npz"
    np.savez(path, name=names, embedding=vectors.astype(np.float16))
    return path, names, vectors, twice


def test_rows_are_measured_on_validation_people_alone(cache):
    path, names, vectors, twice = cache
    report = peers(path, bits=(8, 16))
    owners = np.array([name.split("/")[1] for name in names])
    searched = [i for i, o in enumerate(owners) if fold(o) == 1 and o != twice]
    assert report.images == len(searched)
    assert report.people == len({owners[i] for i in searched})
    assert report.fitted == sum(fold(o) not in (0, 1) for o in owners) + 1
    half = vectors[searched].astype(np.float16)
    expected = leave_one_out_floats(half.astype(np.float64), owners[searched])
    assert report.rows[0].scores.map == pytest.approx(expected.map)


def test_rows_say_what_they_are_and_what_they_store(cache):
    rows = [row.to_dict() for row in peers(cache[0], bits=(8, 12)).rows]
    assert [(r["representation"], r["bytes"], r["bits"], r["rerank"]) for r in rows] == [
        ("float embedding, cosine", 96, 0, False),
        ("ITQ to 8 bits", 1, 8, False),
        ("ITQ to 8 bits", 1, 8, True),
        ("ITQ to 12 bits", 2, 12, False),
        ("ITQ to 12 bits", 2, 12, True),
    ]
    assert rows[0]["map"] > rows[3]["map"] > rows[1]["map"]


def test_itq_is_no_weaker_a_peer_than_the_one_in_faiss():
    names, vectors = embeddings()
    owners = [name.split("/")[1] for name in names]
    unit = vectors - vectors.mean(0)  # faiss's version does these two steps by itself
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    library = faiss.ITQTransform(24, 16, True)
    library.max_train_per_dim = len(vectors)  # else it fits on a small sample
    library.train(vectors)
    theirs = leave_one_out(library.apply(vectors), owners, 16).map
    ours = np.mean([leave_one_out(itq(unit, unit, 16, s), owners, 16).map for s in range(3)])
    assert ours > theirs - 0.01


def test_itq_quantises_better_than_the_principal_components_it_starts_from():
    _, vectors = embeddings()
    rotated = itq(vectors, vectors, 12)
    _, directions = np.linalg.eigh(np.cov((vectors - vectors.mean(0)).T))
    plain = (vectors - vectors.mean(0)) @ directions[:, ::-1][:, :12]

    def loss(projected: np.ndarray) -> float:
        return float(((np.where(projected > 0, 1, -1) - projected) ** 2).mean())

    assert np.linalg.norm(rotated) == pytest.approx(np.linalg.norm(plain))
    assert loss(rotated) < loss(plain)
    with pytest.raises(ValueError, match="1 to 24 bits"):
        itq(vectors, vectors, 25)


def test_damaged_and_tiny_caches_are_refused(tmp_path):
    path = tmp_path / "cache.npz"
    with pytest.raises(DataError, match="with name and embedding"):
        peers(path)
    np.savez(path, name=["lfw/a/1.jpg"])
    with pytest.raises(DataError, match="with name and embedding"):
        peers(path)
    np.savez(path, name=["lfw/a/1.jpg"], embedding=np.zeros((2, 4)))
    with pytest.raises(DataError, match="1 names for embeddings"):
        peers(path)
    np.savez(path, name=["a.jpg", "b.jpg"], embedding=np.zeros((2, 4)))
    with pytest.raises(DataError, match="folder/person/file"):
        peers(path)
    np.savez(path, name=["lfw/a/1.jpg", "lfw/a/2.jpg"], embedding=np.zeros((2, 4)))
    with pytest.raises(DataError, match="too few"):
        peers(path)
