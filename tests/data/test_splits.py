"""Splits that leak nobody."""

import numpy as np
import pytest

from daah.data import splits
from daah.errors import DataError
from tests.doubles.face_sets import NAMES, fake_set


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
