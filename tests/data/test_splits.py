"""Splits that leak nobody."""

import numpy as np
import pytest

from daah.data import splits
from daah.data.face_set import FaceSet
from daah.errors import DataError
from tests.doubles.face_sets import NAMES, fake_set
from tests.doubles.training import names


def test_the_fold_of_a_name_is_the_documented_md5_rule() -> None:
    assert splits.fold("Drew_Barrymore") == splits.VALIDATION_FOLD  # stated with the data
    assert {splits.fold(name) for name in NAMES} == {0, 1, 2, 3, 4}


def test_open_split_shares_nobody_and_never_looks_at_the_hidden_fold() -> None:
    labels = [i for i in range(40) for _ in range(2)]
    images = [f"lfw/{NAMES[label]}/{i}" for i, label in enumerate(labels)]
    both = next(i for i in range(40) if splits.fold(NAMES[i]) == splits.VALIDATION_FOLD)
    labels += [both, both]
    images += [f"more/{NAMES[both]}/x", f"more/{NAMES[both]}/y"]
    faces = fake_set(labels, images)
    split = splits.open_split(faces)
    train, validation = (
        {faces.people[i] for i in faces.labels[part]} for part in (split.train, split.validation)
    )
    assert not train & validation
    assert {splits.fold(p) for p in validation} == {1}
    assert {splits.fold(p) for p in train} == {1, 2, 3, 4}  # 1: whoever stands in the second folder
    assert NAMES[both] in train
    assert not any(faces.names[i].startswith(f"lfw/{NAMES[both]}/") for i in split.train)


def test_a_tenth_of_the_training_people_is_kept_out() -> None:
    people = tuple(f"person_{i}" for i in range(2000))
    labels = np.repeat(np.arange(2000), 2)
    images = tuple(f"lfw/{people[label]}/{i}" for i, label in enumerate(labels))
    faces = FaceSet(np.zeros((4000, 0, 0, 3), np.uint8), labels, people, images)
    train = splits.open_split(faces).train
    kept = splits.kept_out(faces, train)
    assert kept.tolist() == sorted(set(kept) & set(train))
    rest = np.setdiff1d(train, kept)
    assert not {*labels[kept]} & {*labels[rest]}  # all photos of a person, or none
    assert 0.08 < len(kept) / len(train) < 0.12
    shares = np.bincount([splits.fold(people[label]) for label in labels[kept]], minlength=5)
    assert shares[:2].tolist() == [0, 0]
    assert min(shares[2:]) > 0.2 * len(kept)  # who is kept out says nothing of the fold


def test_nobody_is_kept_out_who_trains_in_a_further_folder() -> None:
    people = (*names("kept out", 3), *names("training", 2))

    def kept(images: list[str]) -> list[str]:
        labels = np.array([people.index(image.split("/")[1]) for image in images])
        faces = FaceSet(np.zeros((len(images), 0, 0, 3), np.uint8), labels, people, tuple(images))
        return [images[row] for row in splits.kept_out(faces, splits.open_split(faces).train)]

    images = [f"lfw/{person}/{photo}" for person in people for photo in range(2)]
    assert kept(images) == images[:6]
    assert kept([*images, f"more/{people[1]}/0"]) == [*images[:2], *images[4:6]]


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
