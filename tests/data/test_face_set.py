"""Folders to faces, splits that leak nobody, draws and augmentation."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from daah.data import face_set, labelled_faces, splits
from daah.data.augmentation import Augmentation
from daah.data.face_set import FaceSet
from daah.errors import DataError
from daah.training.recipes import base

#: A few names of every fold, so that splits have something to split.
NAMES = [f"person_{i:02}" for i in range(40)]


def tree(root: Path, people: dict[str, int], size: int = 150) -> Path:
    for person, count in people.items():
        (root / person).mkdir(parents=True)
        for i in range(count):
            shade = (hash(person) + 31 * i) % 256
            Image.new("RGB", (size, size), (shade, i, 7)).save(root / person / f"{i}.png")
    return root


def fake_set(labels: list[int], names: list[str] | None = None) -> FaceSet:
    people = tuple(NAMES[i] for i in sorted(set(labels)))
    index = {name: i for i, name in enumerate(people)}
    return FaceSet(
        np.zeros((len(labels), 4, 4, 3), np.uint8),
        np.array([index[NAMES[label]] for label in labels]),
        people,
        tuple(names or (f"root/{NAMES[label]}/{i:04}" for i, label in enumerate(labels))),
    )


def test_a_person_in_two_folders_is_one_by_name(tmp_path: Path) -> None:
    first = tree(tmp_path / "first", {"ada": 2, "bob": 1})
    second = tree(tmp_path / "second", {"bob": 3, "cyd": 1})
    faces = face_set.load_faces([first, second])
    assert faces.people == ("ada", "bob", "cyd")
    assert np.bincount(faces.labels).tolist() == [2, 4, 1]
    assert faces.names[0] == "first/ada/0.png"
    assert faces.images.shape == (7, 150, 150, 3)
    assert face_set.load_faces([second], size=32, limit=2).images.shape == (3, 32, 32, 3)


def test_both_readers_of_a_prepared_tree_take_the_same_files(tmp_path: Path) -> None:
    """Training reads it into memory, evaluation names every file: of the same photos."""
    root = tree(tmp_path / "faces", {"ada": 2, "bob": 1, ".cache": 1})
    face = Image.new("RGB", (150, 150))
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
    with pytest.raises(DataError, match="expected 150x150"):
        face_set.load_faces([tree(tmp_path / "small", {"ada": 1}, size=112)])
    (tmp_path / "text" / "ada").mkdir(parents=True)
    (tmp_path / "text" / "ada" / "a.jpg").write_text("no picture")
    with pytest.raises(DataError, match="cannot be read"):
        face_set.load_faces([tmp_path / "text"])


def test_subset_drops_unused_identities() -> None:
    part = fake_set([0, 1, 1, 2]).subset(np.array([3, 1]))
    assert part.people == (NAMES[1], NAMES[2])
    assert part.labels.tolist() == [1, 0]


def test_the_fold_of_a_name_is_the_documented_md5_rule() -> None:
    assert splits.fold("Drew_Barrymore") == splits.VALIDATION_FOLD  # stated with the data
    assert {splits.fold(name) for name in NAMES} == {0, 1, 2, 3, 4}


def test_open_split_shares_nobody_and_never_looks_at_the_hidden_fold() -> None:
    labels = [i for i in range(40) for _ in range(2)]
    names = [f"lfw/{NAMES[label]}/{i}" for i, label in enumerate(labels)]
    both = next(i for i in range(40) if splits.fold(NAMES[i]) == splits.VALIDATION_FOLD)
    labels += [both, both]
    names += [f"more/{NAMES[both]}/x", f"more/{NAMES[both]}/y"]
    faces = fake_set(labels, names)
    split = splits.open_split(faces)
    train, validation = (
        {faces.people[i] for i in faces.labels[part]} for part in (split.train, split.validation)
    )
    assert not train & validation
    assert {splits.fold(p) for p in validation} == {1}
    assert {splits.fold(p) for p in train} == {1, 2, 3, 4}  # 1: whoever stands in the second folder
    assert NAMES[both] in train
    assert not any(faces.names[i].startswith(f"lfw/{NAMES[both]}/") for i in split.train)


def test_closed_split_follows_protocol_2() -> None:
    faces = fake_set([0] * 19 + [1] * 20 + [2] * 130)
    split = splits.closed_split(faces, seed=0)
    assert not set(split.train) & set(split.query)  # a query is never in the database
    people = faces.labels
    assert np.bincount(people[split.query]).tolist() == [0, 4, 20]
    assert np.bincount(people[split.train]).tolist() == [0, 16, 80]
    used = [i for i in np.r_[split.train, split.query] if people[i] == 2]
    assert max(faces.names[i] for i in used) == sorted(faces.names[39:])[99]
    again, other = splits.closed_split(faces, seed=0), splits.closed_split(faces, seed=1)
    np.testing.assert_array_equal(again.query, split.query)
    assert not np.array_equal(other.query, split.query)
    with pytest.raises(DataError, match="nobody has 20"):
        splits.closed_split(fake_set([0, 0, 1]))


def test_batches_cover_everything_once_and_never_hold_one_image() -> None:
    batches = list(base.shuffled_batches(9, 4, np.random.default_rng(0)))
    assert [len(b) for b in batches] == [4, 4]
    assert sorted(np.concatenate(list(base.shuffled_batches(8, 4, np.random.default_rng(0))))) == (
        list(range(8))
    )


def augment(strength: float = 1.0, seed: int = 0) -> Augmentation:
    return Augmentation(torch.Generator().manual_seed(seed), strength)


def test_augmentation_repeats_by_seed_and_stays_in_range() -> None:
    faces = torch.rand(32, 3, 40, 40) * 255
    once, again, other = augment()(faces), augment()(faces), augment(seed=1)(faces)
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.shape == faces.shape
    assert 0 <= once.min() <= once.max() <= 255


def test_without_strength_a_face_is_only_mirrored() -> None:
    faces = torch.rand(16, 3, 24, 24) * 255
    result = augment(0.0)(faces)
    for before, after in zip(faces, result, strict=True):
        difference = min((after - before).abs().max(), (after - before.flip(2)).abs().max())
        assert difference < 0.01


def test_each_kind_of_augmentation_does_what_it_says() -> None:
    faces = torch.rand(64, 3, 32, 32) * 255
    grey = augment().grey(faces, probability=0.5)
    is_grey = (grey[:, 0] == grey[:, 1]).flatten(1).all(1)
    assert 10 < is_grey.sum() < 54
    assert torch.equal(grey[~is_grey], faces[~is_grey])
    luma = faces[is_grey] * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    torch.testing.assert_close(grey[is_grey][:, 0], luma.sum(1))

    low = augment().low_resolution(faces, probability=0.5)
    blurred = (low != faces).flatten(1).any(1)
    assert 10 < blurred.sum() < 54
    assert low[blurred].std() < faces[blurred].std()

    covered = augment().occlude(faces, probability=0.5)
    changed = (covered != faces).any(1)
    share = changed.flatten(1).float().mean(1)
    assert 10 < (share > 0).sum() < 54
    assert share.max() <= 0.42**2

    dark = augment().colour(torch.full((64, 3, 32, 32), 100.0))
    assert dark.mean((1, 2, 3)).std() > 5
