"""Face sets without faces, for what reads names and identities only."""

import numpy as np

from daah.data.face_set import FaceSet

#: A few names of every fold, so that splits have something to split.
NAMES = [f"person_{i:02}" for i in range(40)]


def fake_set(labels: list[int], names: list[str] | None = None) -> FaceSet:
    """Black faces of the people `labels`, indices into NAMES."""
    people = tuple(NAMES[i] for i in sorted(set(labels)))
    index = {name: i for i, name in enumerate(people)}
    return FaceSet(
        np.zeros((len(labels), 4, 4, 3), np.uint8),
        np.array([index[NAMES[label]] for label in labels]),
        people,
        tuple(names or (f"root/{NAMES[label]}/{i:04}" for i, label in enumerate(labels))),
    )
