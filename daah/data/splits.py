"""Who trains, who validates and who is searched: open and closed splits, by rule and by seed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from daah.data.face_set import FaceSet
from daah.errors import DataError

#: Fold of the people that everything is chosen on. Fold 0 is never looked at before the end.
VALIDATION_FOLD = 1
TEST_FOLD = 0


def fold(person: str) -> int:
    """Fold 0 to 4 of a person, by the md5 of the name: a split that needs no list."""
    return int(hashlib.md5(person.encode()).hexdigest(), 16) % 5


@dataclass(frozen=True, eq=False)
class OpenSplit:
    """Indices of images of people for training, and of other people for validation."""

    train: np.ndarray
    validation: np.ndarray


def open_split(faces: FaceSet) -> OpenSplit:
    """Split by person: fold 1 validates, the rest trains, fold 0 is used for neither.

    A fold-1 person who also stands in a second folder is left out of validation, and only the
    second folder's images train, so that nobody is on both sides.
    """
    roots = [name.split("/", 1)[0] for name in faces.names]
    first = roots[0]
    elsewhere = {label for label, root in zip(faces.labels, roots, strict=True) if root != first}
    train, validation = [], []
    for i, (label, root) in enumerate(zip(faces.labels, roots, strict=True)):
        part = fold(faces.people[label])
        if root != first:
            train.append(i)
        elif part == VALIDATION_FOLD and label not in elsewhere:
            validation.append(i)
        elif part not in (VALIDATION_FOLD, TEST_FOLD):
            train.append(i)
    return OpenSplit(np.array(train, np.int64), np.array(validation, np.int64))


@dataclass(frozen=True, eq=False)
class ClosedSplit:
    """Indices of database (= training) and query images that share identities."""

    train: np.ndarray
    query: np.ndarray


def closed_split(
    faces: FaceSet, seed: int = 0, minimum: int = 20, maximum: int = 100
) -> ClosedSplit:
    """The paper's closed set: people with at least `minimum` images, `maximum` each at most.

    The first `maximum` by name count; 20% of them, rounded down and at least 2, are queries drawn
    by the seed, person by person in the order of names.
    """
    generator = np.random.default_rng(seed)
    train, query = [], []
    for label in range(len(faces.people)):
        own = np.flatnonzero(faces.labels == label)
        if len(own) < minimum:
            continue
        own = np.array(sorted(own, key=lambda i: faces.names[i])[:maximum])
        shuffled = generator.permutation(own)
        count = max(2, len(own) // 5)
        query.append(shuffled[:count])
        train.append(shuffled[count:])
    if not train:
        raise DataError(f"nobody has {minimum} images or more; a closed set needs some who do")
    return ClosedSplit(np.sort(np.concatenate(train)), np.sort(np.concatenate(query)))
