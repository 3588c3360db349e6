"""Folders to faces, splits that leak nobody, draws and augmentation."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.data import face_set, labelled_faces
from daah.errors import DataError
from tests.doubles.face_sets import NAMES, fake_set


def tree(root: Path, people: dict[str, int], size: int = 224) -> Path:
    for person, count in people.items():
        (root / person).mkdir(parents=True)
        for i in range(count):
            shade = (hash(person) + 31 * i) % 256
            Image.new("RGB", (size, size), (shade, i, 7)).save(root / person / f"{i}.png")
    return root


def test_a_person_in_two_folders_is_one_by_name(tmp_path: Path) -> None:
    first = tree(tmp_path / "first", {"ada": 2, "bob": 1})
    second = tree(tmp_path / "second", {"bob": 3, "cyd": 1})
    faces = face_set.load_faces([first, second])
    assert faces.people == ("ada", "bob", "cyd")
    assert np.bincount(faces.labels).tolist() == [2, 4, 1]
    assert faces.names[0] == "first/ada/0.png"
    assert faces.images.shape == (7, 224, 224, 3)
    assert face_set.load_faces([second], size=32, limit=2).images.shape == (3, 32, 32, 3)


def test_both_readers_of_a_prepared_tree_take_the_same_files(tmp_path: Path) -> None:
    """Training reads it into memory, evaluation names every file: of the same photos."""
    root = tree(tmp_path / "faces", {"ada": 2, "bob": 1, ".cache": 1})
    face = Image.new("RGB", (224, 224))
    for ending in ("jpg", "JPEG", "jpe", "jfif", "webp"):
        face.convert("RGB").save(
            root / "bob" / f"1.{ending}", "WEBP" if ending == "webp" else "JPEG"
        )
    face.save(root / "bob" / ".thumb.png")
    (root / "bob" / "notes.txt").write_text("not a photo")
    trained = face_set.load_faces([root])
    measured = labelled_faces.read_aligned(root)
    assert [name.split("/", 1)[1] for name in trained.names] == [
        f"{path.parent.name}/{path.name}" for path in measured.paths
    ]
    assert len(trained) == 8
    assert np.array_equal(trained.images, measured.aligned)


def test_wrong_folders_and_faces_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        face_set.load_faces([tmp_path / "missing"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no photos"):
        face_set.load_faces([tmp_path / "empty"])
    with pytest.raises(DataError, match="expected 224x224"):
        face_set.load_faces([tree(tmp_path / "small", {"ada": 1}, size=112)])
    (tmp_path / "text" / "ada").mkdir(parents=True)
    (tmp_path / "text" / "ada" / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match="cannot be read"):
        face_set.load_faces([tmp_path / "text"])


def test_subset_drops_unused_identities() -> None:
    part = fake_set([0, 1, 1, 2]).subset(np.array([3, 1]))
    assert part.people == (NAMES[1], NAMES[2])
    assert part.labels.tolist() == [1, 0]
