"""The page of searches is drawn, not picked, and says how many there are of each kind."""

from __future__ import annotations

import numpy as np
import pytest

from daah.data.labelled_faces import detect_faces
from daah.evaluation.search_examples import retrieval_examples
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = write_tree(tmp_path_factory.mktemp("tree"), [3, 1, 2] * 6, noise=60.0)
    return detect_faces(folder, FramedFaceDetector())


def test_good_searches_begin_right_and_bad_ones_wrong(faces):
    logits = CentreEncoder().encode(faces.aligned)[0]
    found = retrieval_examples(logits, faces, 16, k=5, rows=3)
    assert found.good_queries + found.bad_queries == 30
    assert len(found.good) == 3
    assert all(example.right[0] for example in found.good)
    assert not any(example.right[0] for example in found.bad)
    assert min(found.bad_queries, 3) == len(found.bad) > 0
    for example in (*found.good, *found.bad):
        assert list(example.distances) == sorted(example.distances)
        assert len(example.found) == len(example.right) == 5
        assert not any((face == example.query).all() for face in example.found)


def test_the_same_seed_draws_the_same_searches(faces):
    logits = CentreEncoder().encode(faces.aligned)[0]

    def queries(seed: int) -> list[bytes]:
        page = retrieval_examples(logits, faces, 64, seed=seed)
        return [example.query.tobytes() for example in page.good]

    assert queries(0) == queries(0) != queries(1)


def test_right_means_the_same_person(faces):
    logits = CentreEncoder().encode(faces.aligned)[0]
    by_picture = {
        face.tobytes(): label for face, label in zip(faces.aligned, faces.labels, strict=True)
    }
    for example in retrieval_examples(logits, faces, 16).good:
        own = by_picture[np.ascontiguousarray(example.query).tobytes()]
        for face, right in zip(example.found, example.right, strict=True):
            assert (by_picture[np.ascontiguousarray(face).tobytes()] == own) == right
