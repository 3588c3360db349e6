"""Data of the comparison: training images, which are also the database, and queries."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daah.data import face_benchmarks
from daah.data.face_set import FaceSet, load_faces
from daah.data.sources import orl
from daah.errors import ConfigError, DataError
from daah.evaluation.closed_set import split_faces


@dataclass(frozen=True, eq=False)
class ClosedData:
    """Closed set of 32x32 faces: training images, which are also the database, and queries.

    Attributes:
        name: name of the set.
        train: training images.
        query: queries of the same identities.

    Raises:
        DataError: database and queries have different identities.
    """

    name: str
    train: FaceSet
    query: FaceSet

    def __post_init__(self) -> None:
        if self.train.people != self.query.people:
            raise DataError(f"{self.name}: database and queries are of different people")

    @property
    def summary(self) -> dict[str, Any]:
        """Plain JSON facts, with a digest by which a stopped comparison knows its data."""
        digest = hashlib.sha256()
        for part in (self.train, self.query):
            digest.update(np.ascontiguousarray(part.images))
            digest.update(np.ascontiguousarray(part.labels))
        return {
            "name": self.name,
            "people": len(self.train.people),
            "database": len(self.train),
            "queries": len(self.query),
            "sha256": digest.hexdigest(),
        }


def closed_data(
    folders: Sequence[Path], minimum: int = 20, maximum: int = 100, seed: int = 0
) -> ClosedData:
    """Read prepared trees of aligned faces, resized to 32x32, and split them by protocol 2.

    Args:
        folders: the trees.
        minimum: as of `daah.data.splits.closed_split`.
        maximum: as of `daah.data.splits.closed_split`.
        seed: as of `daah.data.splits.closed_split`.

    Returns:
        The set.

    Raises:
        DataError: a tree cannot be read, or no identity has `minimum` images.
    """
    train, query = split_faces(load_faces(folders, size=32), seed, minimum, maximum)
    return ClosedData(" + ".join(Path(f).name for f in folders), train, query)


def published_data(
    layout: str, folders: Sequence[Path], progress: face_benchmarks.Progress | None = None
) -> ClosedData:
    """Read FaceScrub, YouTube Faces or 32x32 batches, with the split of the papers.

    See `daah.data.face_benchmarks`.

    Args:
        layout: "facescrub", "youtube-faces" or "batches".
        folders: the one folder of the set.
        progress: called with photos read, their number, and the step.

    Returns:
        The set.

    Raises:
        ConfigError: `layout` is unknown, or there is not exactly one folder.
        DataError: the set is incomplete or cannot be read.
    """
    if len(folders) != 1:
        raise ConfigError(f"layout {layout}: expected one folder, got {len(folders)}")
    if layout == "facescrub":
        return ClosedData("FaceScrub", *face_benchmarks.facescrub(folders[0], progress=progress))
    if layout == "youtube-faces":
        return ClosedData(
            "YouTube Faces", *face_benchmarks.youtube_faces(folders[0], progress=progress)
        )
    if layout == "batches":
        return ClosedData(Path(folders[0]).name, *face_benchmarks.batch_folder(folders[0]))
    raise ConfigError(f"layout: expected facescrub, youtube-faces or batches, got {layout!r}")


def orl_data() -> ClosedData:
    """ORL, the central square of each photo: 40 people, 8 database images and 2 queries each."""
    images, people, names = [], [], []
    for photo in orl():
        top = (photo.rgb.shape[0] - photo.rgb.shape[1]) // 2
        square = photo.rgb[top : top + photo.rgb.shape[1]]
        images.append(np.asarray(Image.fromarray(square).resize((32, 32), Image.Resampling.BOX)))
        people.append(photo.person)
        names.append(f"orl/{photo.name}")
    known, labels = np.unique(people, return_inverse=True)
    faces = FaceSet(np.stack(images), labels.astype(np.int64), tuple(map(str, known)), tuple(names))
    return ClosedData("ORL", *split_faces(faces, minimum=10))
