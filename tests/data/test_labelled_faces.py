"""Trees of photos to labelled faces."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from daah.data.labelled_faces import detect_faces, read_aligned
from daah.data.splits import fold
from daah.detection.alignment import TEMPLATE
from daah.errors import DataError
from tests.doubles.faces import FramedFaceDetector, person_face, write_tree


def test_faces_come_in_order_with_what_is_known_of_them(tmp_path):
    steps = []
    write_tree(tmp_path, [2, 1])
    faces = detect_faces(tmp_path, FramedFaceDetector(), lambda *step: steps.append(step))
    assert faces.labels.tolist() == ["p00", "p00", "p01"]
    assert [path.name for path in faces.paths] == ["photo0.png", "photo1.png", "photo0.png"]
    np.testing.assert_array_equal(faces.aligned[1], person_face(0, 1))
    np.testing.assert_allclose(faces.aligned_landmarks, np.repeat(TEMPLATE[None], 3, 0), atol=1e-4)
    assert faces.width.tolist() == [160.0] * 3
    assert (len(faces), faces.photos, faces.people) == (3, 3, 2)
    assert steps == [(1, 3, "Finding faces"), (2, 3, "Finding faces"), (3, 3, "Finding faces")]


def test_photos_without_a_face_and_broken_files_are_named(tmp_path):
    write_tree(tmp_path, [2, 2])
    Image.new("RGB", (300, 300)).save(tmp_path / "p00" / "photo0.png")
    (tmp_path / "p01" / "photo1.png").write_bytes(b"\x89PNG\r\n\x1a\n and no more")
    faces = detect_faces(tmp_path, FramedFaceDetector())
    assert (len(faces), faces.photos, faces.people) == (2, 4, 2)
    reasons = {path.parent.name: reason for path, reason in faces.skipped}
    assert reasons["p00"] == "no face was found"
    assert "damaged" in reasons["p01"]


def test_trees_with_nothing_in_them_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        detect_faces(tmp_path / "missing", FramedFaceDetector())
    (tmp_path / "somebody").mkdir()
    with pytest.raises(DataError, match="no photos in it"):
        read_aligned(tmp_path)
    Image.new("RGB", (300, 300)).save(tmp_path / "somebody" / "black.png")
    with pytest.raises(DataError, match="no face was found in any of 1 photos"):
        detect_faces(tmp_path, FramedFaceDetector())


def test_aligned_crops_are_taken_as_they_are(tmp_path):
    write_tree(tmp_path, [1, 2], framed=False)
    faces = read_aligned(tmp_path)
    np.testing.assert_array_equal(faces.aligned[0], person_face(0, 0))
    np.testing.assert_array_equal(faces.aligned_landmarks[2], TEMPLATE)
    assert np.isnan(faces.width).all()
    assert faces.skipped == ()


def test_a_crop_of_another_size_is_refused_with_what_to_do(tmp_path):
    write_tree(tmp_path, [2])
    with pytest.raises(DataError, match=r"224x224 pixels, got 344x304; for photos leave --aligned"):
        read_aligned(tmp_path)


def test_torch_keeps_its_threads_for_the_caller(tmp_path):
    write_tree(tmp_path, [2])
    before = torch.get_num_threads()
    detect_faces(tmp_path, FramedFaceDetector())
    assert torch.get_num_threads() == before


def test_one_fold_of_the_people_can_be_read_alone(tmp_path):
    write_tree(tmp_path, [1] * 12)
    people = sorted(folder.name for folder in tmp_path.iterdir())
    parts = [sorted(person for person in people if fold(person) == part) for part in range(5)]
    present = next(part for part in range(5) if parts[part])
    assert (
        detect_faces(tmp_path, FramedFaceDetector(), fold=present).labels.tolist() == parts[present]
    )
    (tmp_path / "lonely").mkdir()
    write_tree(tmp_path / "lonely", [1])
    absent = next(part for part in range(5) if part != fold("p00"))
    with pytest.raises(DataError, match=f"in fold {absent}"):
        read_aligned(tmp_path / "lonely", fold=absent)
