"""Aligned faces with identities in memory, read from folder-per-person trees.

Axes: N = images of a set, B = batch, S = side in pixels.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from daah.data import sources
from daah.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor
from daah.types import ALIGNED_SIZE


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Aligned faces with identities.

    Attributes:
        images: (N, S, S, 3) uint8 RGB.
        labels: (N,) int64 indices into `people`.
        people: names of the identities. A name that occurs in two folders is one identity.
        names: N unique names "folder/person/file".
    """

    images: np.ndarray
    labels: np.ndarray
    people: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def person_names(self) -> np.ndarray:
        """The name of the person on each image, (N,) str."""
        return np.array(self.people)[self.labels]

    def subset(self, indices: np.ndarray) -> FaceSet:
        """Select images; identities without an image are dropped.

        Args:
            indices: (M,) rows.

        Returns:
            A FaceSet of M images.
        """
        used, labels = np.unique(self.labels[indices], return_inverse=True)
        return FaceSet(
            self.images[indices],
            labels.astype(np.int64),
            tuple(self.people[i] for i in used),
            tuple(self.names[i] for i in indices),
        )


def load_faces(
    roots: Sequence[Path], size: int = ALIGNED_SIZE, limit: int | None = None
) -> FaceSet:
    """Read prepared trees into memory, as `sources.folder` lists them.

    Args:
        roots: folders with one folder of faces per person.
        size: side in pixels that faces are resized to.
        limit: maximum number of images per person and root, the first by name; None reads all.

    Returns:
        The faces (N, size, size, 3).

    Raises:
        DataError: a root is missing or empty, or a face cannot be read or is not 224x224.
    """
    files: list[tuple[Path, str, str]] = []
    for root in map(Path, roots):
        listed = itertools.groupby(sources.folder(root), key=lambda item: item[0])
        for person, faces in listed:
            files += [
                (face, person, f"{root.name}/{person}/{face.name}")
                for _, face in itertools.islice(faces, limit)
            ]
    people = tuple(sorted({person for _, person, _ in files}))
    index = {person: i for i, person in enumerate(people)}
    images = np.empty((len(files), size, size, 3), np.uint8)

    def read(i: int) -> None:
        images[i] = _read_aligned(files[i][0], size)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(read, range(len(files))))
    labels = np.array([index[person] for _, person, _ in files], np.int64)
    return FaceSet(images, labels, people, tuple(name for _, _, name in files))


def _read_aligned(path: Path, size: int) -> np.ndarray:
    try:
        with Image.open(path) as image:
            image = image.convert("RGB")
    except OSError as error:
        raise DataError(f"{path}: cannot be read as a face ({error})") from error
    if image.size != (ALIGNED_SIZE, ALIGNED_SIZE):
        raise DataError(f"{path}: expected {ALIGNED_SIZE}x{ALIGNED_SIZE}, got {image.size}")
    if size != ALIGNED_SIZE:
        image = image.resize((size, size), Image.Resampling.BOX, reducing_gap=None)
    return np.asarray(image)


def to_tensor(images: np.ndarray) -> Tensor:
    """Convert images to a tensor, channels-last in memory.

    Args:
        images: (B, S, S, 3) uint8.

    Returns:
        (B, 3, S, S) float32 in [0, 255].
    """
    import torch  # imported late: what only reads faces needs none

    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
