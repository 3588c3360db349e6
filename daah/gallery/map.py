"""Map of a gallery in two dimensions: faces with a small Hamming distance are close together."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah import codes
from daah.errors import GalleryError
from daah.extras import extra_packages
from daah.files import replace_atomically

#: Maximum number of entries on a map; of a larger gallery a random sample.
LARGEST = 20_000

#: Maximum unpacked size, four times that of the largest map; a crafted file could fill the memory.
_MOST_BYTES = LARGEST * 2048

#: Maximum number of entries projected by all pairwise distances; others are placed by these.
LANDMARKS = 1500

#: With fewer entries t-SNE has no neighbourhoods to preserve; principal components show more.
_FEW = 50

#: Neighbours that determine the position of a new entry.
NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Projection:
    """Positions of a gallery's entries on its map.

    Attributes:
        ids: (N,) int64.
        xy: (N, 2) float32 in [0, 1], x to the right and y up.
        codes: (N, B) uint8, packed; new entries are placed by them.
        fingerprint: fingerprint of the codes' model.

    Raises:
        ValueError: an array has another shape or dtype.
    """

    ids: np.ndarray
    xy: np.ndarray
    codes: np.ndarray
    fingerprint: str

    def __post_init__(self) -> None:
        count = len(self.ids)
        if self.ids.dtype != np.int64 or self.ids.shape != (count,):
            raise ValueError(f"ids: expected int64 (N,), got {self.ids.dtype} {self.ids.shape}")
        if self.xy.dtype != np.float32 or self.xy.shape != (count, 2):
            raise ValueError(f"xy: expected float32 (N, 2), got {self.xy.dtype} {self.xy.shape}")
        if self.codes.dtype != np.uint8 or self.codes.ndim != 2 or len(self.codes) != count:
            raise ValueError(f"codes: expected uint8 (N, B), got {self.codes.shape}")

    def joined(self, ids: np.ndarray, packed: np.ndarray) -> Projection:
        """Add entries to the map; entries that are on it already move.

        Args:
            ids: (M,) int64.
            packed: codes (M, B) uint8.

        Returns:
            Another map.
        """
        rest = self.without(ids.tolist())
        return Projection(
            np.concatenate([rest.ids, ids]),
            np.concatenate([rest.xy, rest.place(packed)]),
            np.concatenate([rest.codes, packed]),
            self.fingerprint,
        )

    def without(self, ids: Iterable[int]) -> Projection:
        """Remove entries from the map.

        Args:
            ids: ids of entries; unknown ones are ignored.

        Returns:
            Another map.
        """
        keep = ~np.isin(self.ids, np.array(list(ids), np.int64))
        return Projection(self.ids[keep], self.xy[keep], self.codes[keep], self.fingerprint)

    def place(self, packed: np.ndarray) -> np.ndarray:
        """Positions of codes on this map.

        Each is the mean of its nearest entries, weighted by 1 / distance^2: a code at distance 0 of
        an entry is on it. On an empty map all positions are the centre.

        Args:
            packed: codes (Q, B) uint8.

        Returns:
            (Q, 2) float32 in [0, 1].
        """
        if not len(self.ids):
            return np.full((len(packed), 2), 0.5, np.float32)
        distance = codes.hamming(packed, self.codes)  # (Q, N)
        # Ties are broken by row, so that the same code always gets the same position.
        keys = distance.astype(np.int64) * len(self.ids) + np.arange(len(self.ids))
        few = min(NEIGHBOURS, len(self.ids))
        nearest = np.argpartition(keys, few - 1, axis=1)[:, :few]
        close = np.take_along_axis(distance, nearest, axis=1).astype(np.float64)
        weight = 1.0 / np.maximum(close, 1e-6) ** 2
        weight /= weight.sum(1, keepdims=True)
        return np.einsum("qn,qnd->qd", weight, self.xy[nearest]).astype(np.float32)


def project(ids: np.ndarray, packed: np.ndarray, fingerprint: str, seed: int = 0) -> Projection:
    """Compute a map; deterministic for the same input.

    t-SNE (van der Maaten and Hinton, JMLR 2008) of the Hamming distances, by scikit-learn; the
    first two principal components for fewer than 50 entries. Of more than LANDMARKS entries a
    random sample is projected, and the others are placed by it.

    Args:
        ids: (N,) integers.
        packed: codes (N, B) uint8.
        fingerprint: fingerprint of the codes' model.
        seed: seed of the sample and of t-SNE.

    Returns:
        The map.

    Raises:
        MissingPackageError: scikit-learn is not installed.
    """
    count = len(ids)
    chosen = np.arange(count)
    if count > LANDMARKS:
        chosen = np.sort(np.random.default_rng(seed).choice(count, LANDMARKS, replace=False))
    xy = _layout(codes.hamming(packed[chosen], packed[chosen]), seed)
    base = Projection(ids[chosen].astype(np.int64), xy, packed[chosen], fingerprint)
    if len(chosen) == count:
        return base
    everywhere = np.empty((count, 2), np.float32)
    for start in range(0, count, 1000):
        everywhere[start : start + 1000] = base.place(packed[start : start + 1000])
    everywhere[chosen] = xy
    return Projection(ids.astype(np.int64), everywhere, packed, fingerprint)


def save(path: Path, projection: Projection) -> None:
    """Write a map atomically.

    Args:
        path: the file.
        projection: the map.

    Raises:
        GalleryError: the file cannot be written.
    """
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        ids=projection.ids,
        xy=projection.xy,
        codes=projection.codes,
        fingerprint=np.array(projection.fingerprint),
    )
    try:
        replace_atomically(path, buffer.getvalue())
    except OSError as error:
        raise GalleryError(f"The gallery's map cannot be written ({error.strerror}).") from error


def load(path: Path) -> Projection | None:
    """Read a map.

    Args:
        path: the file.

    Returns:
        The map; None when the file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _MOST_BYTES:
                return None
        with np.load(path, allow_pickle=False) as file:
            return Projection(file["ids"], file["xy"], file["codes"], str(file["fingerprint"]))
    except Exception:  # whatever the damage: a map is computed again in seconds
        return None


def _layout(distance: np.ndarray, seed: int) -> np.ndarray:
    """Pairwise distances (M, M) to positions (M, 2) float32 in [0, 1]."""
    if len(distance) < _FEW:
        xy = _principal_axes(distance)
    else:
        with extra_packages("The map of a gallery"):  # imported late: a search never needs it
            from sklearn.manifold import TSNE

        xy = TSNE(
            metric="precomputed", init="random", perplexity=20.0, random_state=seed, n_jobs=1
        ).fit_transform(distance.astype(np.float64))
    low, high = xy.min(0, initial=np.inf), xy.max(0, initial=-np.inf)
    spread = high - low
    middle = np.full_like(xy, 0.5)
    scaled = np.divide(xy - low, spread, out=middle, where=spread > 1e-9)
    return (0.02 + 0.96 * scaled).astype(np.float32)


def _principal_axes(distance: np.ndarray) -> np.ndarray:
    """Classical scaling (Torgerson, Psychometrika 1952): (M, M) to (M, 2) float64.

    A Hamming distance is the squared Euclidean distance of the bits, so this is their PCA.
    """
    count = len(distance)
    if not count:
        return np.empty((0, 2))
    centring = np.eye(count) - 1 / count
    values, vectors = np.linalg.eigh(-0.5 * centring @ distance @ centring)
    axes = vectors[:, ::-1][:, :2] * np.sqrt(np.maximum(values[::-1][:2], 0))
    # The sign of an eigenvector is arbitrary: the outermost entry is put on the positive side.
    farthest = np.take_along_axis(axes, np.abs(axes).argmax(0)[None], axis=0)
    axes *= np.where(farthest < 0, -1, 1)
    return np.hstack([axes, np.zeros((count, 2 - axes.shape[1]))])
