"""Error rates by group: against pairs and searches counted one by one, and files of groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.errors import DataError
from daah.evaluation.slices import (
    Decisions,
    Slice,
    quantile_slices,
    read_slices,
    slice_scores,
)
from tests.doubles.faces import FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> LabelledFaces:
    """Six photos of three people."""
    return detect_faces(write_tree(tmp_path_factory.mktemp("t"), [3, 2, 1]), FramedFaceDetector())


def test_rates_are_those_of_pairs_and_searches_counted_one_by_one() -> None:
    rng = np.random.default_rng(3)
    labels = np.repeat([f"p{i}" for i in range(12)], 3)
    packed = codes.pack(
        rng.integers(0, 2, (12, 16), bool)[np.arange(36) // 3] ^ (rng.random((36, 16)) < 0.2)
    )
    inside = rng.random(36) < 0.6
    decided = Decisions(
        packed, 5, np.arange(0, 36, 3), rng.random(12), np.arange(1, 36, 3), rng.random(12) < 0.4
    )
    (scores,) = slice_scores(labels, decided, [Slice("side", "left", inside)])
    genuine, impostor = [], []
    for i in np.flatnonzero(inside):
        for j in range(36):
            near = (codes.unpack(packed[i], 16) != codes.unpack(packed[j], 16)).sum() <= 5
            if i != j and labels[i] == labels[j]:
                genuine.append(not near)
            elif labels[i] != labels[j] and inside[j]:
                impostor.append(near)
    assert scores.fnmr == pytest.approx(np.mean(genuine))
    assert scores.fmr == pytest.approx(np.mean(impostor))
    assert scores.fnir == pytest.approx(decided.missed[inside[decided.mated]].mean())
    assert scores.fpir == pytest.approx(decided.alarm[inside[decided.non_mated]].mean())
    assert (scores.photos, scores.people) == (inside.sum(), len(set(labels[inside])))
    for rate in ("fnmr", "fmr", "fnir", "fpir"):
        low, high = getattr(scores, f"{rate}_ci95")
        assert low <= getattr(scores, rate) <= high


def test_what_cannot_be_counted_is_left_out() -> None:
    labels = np.array(["a", "a", "b"])
    decided = Decisions(np.zeros((3, 1), np.uint8), 1, np.array([1]), np.zeros(1), np.array([2]),
                        np.zeros(1, bool))  # fmt: skip
    (scores,) = slice_scores(labels, decided, [Slice("x", "y", np.array([False, False, True]))])
    assert (scores.fnmr, scores.fmr, scores.fnir, scores.fnir_ci95) == (None, None, None, None)
    assert scores.fpir == 0


def test_quartiles_have_a_quarter_each_and_one_value_is_one_group() -> None:
    found = quantile_slices({"size": np.arange(40.0), "flat": np.ones(40)})
    assert [(s.attribute, s.group, s.inside.sum()) for s in found] == [
        ("size", "0 to 9", 10),
        ("size", "10 to 19", 10),
        ("size", "20 to 29", 10),
        ("size", "30 to 39", 10),
        ("flat", "1 to 1", 40),
    ]


def test_groups_are_read_by_person_and_by_photo(faces: LabelledFaces, tmp_path: Path) -> None:
    file = tmp_path / "groups.csv"
    file.write_text("person,team,place\np00,red,\np01, blue ,north\nnobody,red,south\n")
    found = {(s.attribute, s.group): s.inside.sum() for s in read_slices(file, faces)}
    assert found == {("team", "blue"): 2, ("team", "red"): 3, ("place", "north"): 2}
    file.write_text("﻿photo,light\np00/photo1.png,dim\np02/photo0.png,dim\n", encoding="utf-8")
    (dim,) = read_slices(file, faces)
    assert faces.labels[dim.inside].tolist() == ["p00", "p02"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "expected a first line"),
        ("name,team\np00,red\n", "expected a first line"),
        ("person\np00\n", "expected a first line"),
        ("person,team,team\np00,a,b\n", "one name"),
        ("person,team\np00\n", "row 2 has 1 cells"),
        ("person,team\np00,red\np00,blue\n", "two rows"),
        ("person,team\nnobody,red\n", "none of its 1 rows"),
    ],
)
def test_another_form_is_refused(
    faces: LabelledFaces, tmp_path: Path, text: str, said: str
) -> None:
    file = tmp_path / "groups.csv"
    file.write_text(text)
    with pytest.raises(DataError, match=said):
        read_slices(file, faces)


def test_a_file_that_cannot_be_read_is_refused(faces: LabelledFaces, tmp_path: Path) -> None:
    (tmp_path / "groups.csv").write_bytes(b"person,team\n\xff\xfe,red\n")
    for name in ("groups.csv", "missing.csv"):
        with pytest.raises(DataError, match="cannot be read as CSV"):
            read_slices(tmp_path / name, faces)
