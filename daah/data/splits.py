"""Open-set and closed-set splits of identities into training, validation and queries."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

from daah.data.face_set import FaceSet
from daah.errors import DataError

#: Fold of the people that all choices are made on. Fold 0 is used for the final test only.
VALIDATION_FOLD = 1
TEST_FOLD = 0


def fold(person: str) -> int:
    """Fold of a person, by the MD5 hash of the name; reproducible without a list.

    Args:
        person: name of the person.

    Returns:
        0 to 4.
    """
    return _digest(person) % 5


def _digest(person: str) -> int:
    return int(hashlib.md5(person.encode()).hexdigest(), 16)


@dataclass(frozen=True, eq=False)
class OpenSplit:
    """Split into disjoint identities.

    Attributes:
        train: (N,) int64, rows of the training images.
        validation: (M,) int64, rows of the validation images.
    """

    train: np.ndarray
    validation: np.ndarray


def open_split(faces: FaceSet) -> OpenSplit:
    """Split by identity: fold 1 validates, folds 2 to 4 train, fold 0 is used for neither.

    Only the first folder is split; images of all further folders are for training. An identity of
    fold 1 that also occurs in a further folder is left out of validation, so that no identity is on
    both sides.

    Args:
        faces: the set; the first part of its names is the folder.

    Returns:
        Rows of both parts.
    """
    roots = [name.split("/", 1)[0] for name in faces.names]
    first = roots[0]
    elsewhere = _elsewhere(faces)
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


def kept_out(faces: FaceSet, rows: np.ndarray) -> np.ndarray:
    """A tenth of the training people of the first folder, by name, for choices within training.

    As in `open_split`, an identity that also occurs in a further folder is not among them.

    Args:
        faces: the set.
        rows: (N,) int64, rows of the training images.

    Returns:
        Rows of these people's images, ascending.
    """
    elsewhere = _elsewhere(faces)
    chosen = {
        label
        for label, person in enumerate(faces.people)
        if label not in elsewhere and _of_the_tenth(person)
    }
    return np.array([row for row in rows if faces.labels[row] in chosen], np.int64)


def is_kept_out(person: str) -> bool:
    """Whether a person is of the tenth of the training people that networks do not learn from.

    Args:
        person: name of the person.

    Returns:
        As of `kept_out`, for somebody who occurs in the first folder alone.
    """
    return fold(person) not in (VALIDATION_FOLD, TEST_FOLD) and _of_the_tenth(person)


def _of_the_tenth(person: str) -> bool:
    return _digest(person) // 5 % 10 == 0


def _elsewhere(faces: FaceSet) -> set[int]:
    """Labels of the identities that occur in another folder than the first."""
    roots = [name.split("/", 1)[0] for name in faces.names]
    return {int(label) for label, root in zip(faces.labels, roots, strict=True) if root != roots[0]}


@dataclass(frozen=True, eq=False)
class ClosedSplit:
    """Split into images of the same identities.

    Attributes:
        train: (N,) int64, rows of the database images, which are the training images.
        query: (Q,) int64, rows of the query images.
    """

    train: np.ndarray
    query: np.ndarray


def closed_split(
    faces: FaceSet, seed: int = 0, minimum: int = 20, maximum: int = 100
) -> ClosedSplit:
    """The paper's closed-set split.

    Of each identity's images, the first `maximum` by name are used. 20% of them, rounded down and
    at least 2, are queries drawn by the seed.

    Args:
        faces: the set.
        seed: seed of the draw.
        minimum: identities with fewer images are left out.
        maximum: maximum number of images per identity.

    Returns:
        Rows of both parts, ascending.

    Raises:
        DataError: no identity has `minimum` images.
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
