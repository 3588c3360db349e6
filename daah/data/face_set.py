"""Aligned faces in memory: folder-per-person trees, splits, draws and augmentation.

Axes: N = images of a set, B = batch, S = side in pixels.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from daah.data import sources
from daah.errors import DataError
from daah.types import ALIGNED_SIZE

#: Fold of the people that everything is chosen on. Fold 0 is never looked at before the end.
VALIDATION_FOLD = 1
HIDDEN_FOLD = 0


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Aligned faces with identities.

    images: (N, S, S, 3) uint8 RGB. labels: (N,) int64 into `people`. names: N times
    "folder/person/file", unique. Someone who stands in two folders is one person, by name.
    """

    images: np.ndarray
    labels: np.ndarray
    people: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: np.ndarray) -> FaceSet:
        """The same identities, some of the images; unused identities are dropped."""
        used, labels = np.unique(self.labels[indices], return_inverse=True)
        return FaceSet(
            self.images[indices],
            labels.astype(np.int64),
            tuple(self.people[i] for i in used),
            tuple(self.names[i] for i in indices),
        )


def fold(person: str) -> int:
    """Fold 0 to 4 of a person, by the md5 of the name: a split that needs no list."""
    return int(hashlib.md5(person.encode()).hexdigest(), 16) % 5


def load_faces(
    roots: Sequence[Path], size: int = ALIGNED_SIZE, limit: int | None = None
) -> FaceSet:
    """Read prepared trees into memory, as `sources.folder` lists them.

    Args:
        roots: folders with one folder of faces per person.
        size: side in pixels that faces are resized to when theirs differs.
        limit: at most so many images per person and root, the first by name.

    Raises:
        DataError: a root is missing or empty, or a face cannot be read or is not 150x150.
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
        elif part not in (VALIDATION_FOLD, HIDDEN_FOLD):
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


def shuffled_batches(
    count: int, batch: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Every index once, shuffled, in batches; batch norm cannot take a last batch of one."""
    order = generator.permutation(count)
    for start in range(0, count, batch):
        part = order[start : start + batch]
        if len(part) > 1:
            yield part


class Augmentation:
    """What uploads look like: mirrored, tilted, off colour, grey, blurred, small, partly hidden.

    Faces (B, 3, S, S) float32 in [0, 255] to the same; distances scale with S. Every random number
    comes from the generator given, so that a seed repeats a run.
    """

    def __init__(self, generator: torch.Generator, strength: float = 1.0) -> None:
        self.generator, self.strength = generator, strength

    def __call__(self, faces: Tensor) -> Tensor:
        faces = self.similarity(faces)
        faces = self.colour(faces)
        faces = self.grey(faces, probability=0.15 * self.strength)
        faces = self.low_resolution(faces, probability=0.25 * self.strength)
        return self.occlude(faces, probability=0.2 * self.strength)

    def similarity(self, faces: Tensor) -> Tensor:
        """Mirror half; rotate up to 8 degrees, scale up to 8%, shift up to 3% of the side."""
        batch = len(faces)
        angle = self._uniform(batch, -0.14, 0.14) * self.strength
        scale = 1 + self._uniform(batch, -0.08, 0.08) * self.strength
        shift = self._uniform((batch, 2), -0.06, 0.06) * self.strength
        mirror = torch.where(self._chance(batch, 0.5), -1.0, 1.0)
        cos, sin = angle.cos() * scale, angle.sin() * scale
        matrix = torch.stack(
            [
                torch.stack([mirror * cos, -sin, shift[:, 0]], 1),
                torch.stack([mirror * sin, cos, shift[:, 1]], 1),
            ],
            1,
        )  # (B, 2, 3)
        grid = F.affine_grid(matrix, list(faces.shape), align_corners=False)
        return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)

    def colour(self, faces: Tensor) -> Tensor:
        """Gain a channel, contrast, gamma of light falling from a side; clamped to [0, 255]."""
        batch, side = len(faces), faces.shape[-1]
        gain = 1 + self._uniform((batch, 3, 1, 1), -0.1, 0.1) * self.strength
        level = 1 + self._uniform((batch, 1, 1, 1), -0.25, 0.25) * self.strength
        mean = faces[:, :, ::4, ::4].mean((1, 2, 3)).view(-1, 1, 1, 1)
        contrast = 1 + self._uniform((batch, 1, 1, 1), -0.25, 0.25) * self.strength
        ramp = torch.linspace(-1, 1, side)
        slope = self._uniform((batch, 2, 1, 1), -0.4, 0.4) * self.strength
        slope = slope * self._chance(batch, 0.3).view(-1, 1, 1, 1)
        light = 1 + slope[:, :1] * ramp.view(1, 1, 1, -1) + slope[:, 1:] * ramp.view(1, 1, -1, 1)
        # ((x - mean) * contrast + mean) * gain * level * light, in two passes over the pixels.
        light = light * (gain * level)
        return torch.addcmul(mean * (1 - contrast) * light, faces, light * contrast).clamp_(0, 255)

    def grey(self, faces: Tensor, probability: float) -> Tensor:
        """Luma (ITU-R BT.601) in all three channels for some."""
        chosen = self._chance(len(faces), probability)
        luma = torch.einsum("bchw,c->bhw", faces[chosen], torch.tensor([0.299, 0.587, 0.114]))
        faces = faces.clone()
        faces[chosen] = luma[:, None].expand(-1, 3, -1, -1)
        return faces

    def low_resolution(self, faces: Tensor, probability: float) -> Tensor:
        """Shrink some to between 1/6 and 2/3 of the side and enlarge them again."""
        side = faces.shape[-1]
        chosen = torch.nonzero(self._chance(len(faces), probability)).flatten()
        faces = faces.clone()
        for part in chosen.chunk(4):  # one size for a quarter of them: fewer, larger calls
            small = max(8, int(side * float(self._uniform(1, 1 / 6, 2 / 3))))
            shrunk = F.interpolate(faces[part], size=(small, small), mode="area")
            faces[part] = F.interpolate(shrunk, size=(side, side), mode="bilinear")
        return faces

    def occlude(self, faces: Tensor, probability: float) -> Tensor:
        """Cover a box of 10% to 40% of the side each way with one random colour, in some."""
        batch, side = len(faces), faces.shape[-1]
        size = self._uniform((batch, 2), 0.1, 0.4) * side
        corner = self._uniform((batch, 2), 0, 1) * (side - size)
        x = torch.arange(side).view(1, -1)
        inside = [
            (x >= corner[:, i : i + 1]) & (x < corner[:, i : i + 1] + size[:, i : i + 1])
            for i in (0, 1)
        ]
        box = inside[1][:, None, :, None] & inside[0][:, None, None, :]
        colour = self._uniform((batch, 3, 1, 1), 0, 255)
        chosen = self._chance(batch, probability)
        faces = faces.clone()
        faces[chosen] = torch.where(box[chosen], colour[chosen], faces[chosen])
        return faces

    def _uniform(self, shape: int | tuple[int, ...], low: float, high: float) -> Tensor:
        shape = (shape,) if isinstance(shape, int) else shape
        return torch.rand(shape, generator=self.generator) * (high - low) + low

    def _chance(self, count: int, probability: float) -> Tensor:
        return torch.rand(count, generator=self.generator) < probability


def to_tensor(images: np.ndarray) -> Tensor:
    """(B, S, S, 3) uint8 to (B, 3, S, S) float32 in [0, 255], channels-last in memory."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float()
