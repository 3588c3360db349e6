"""A map of a gallery in two dimensions: faces with few different bits lie close to each other."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah import codes
from daah.errors import GalleryError
from daah.files import replace_atomically

#: Most entries on a map; of a larger gallery a random choice.
LARGEST = 20_000

#: Unpacked, four times what the largest map takes; more is no map but a file that fills memory.
_MOST_BYTES = LARGEST * 2048

#: Entries that are laid out by all their mutual distances; further ones join their nearest.
LANDMARKS = 1500

#: Below so many there are no neighbourhoods to keep, and two principal axes show more.
_FEW = 50

#: Neighbours that decide where a face joins a finished map.
NEIGHBOURS = 5


@dataclass(frozen=True, eq=False)
class Projection:
    """Where each gallery entry lies on the map.

    ids (N,) int64; xy (N, 2) float32 in [0, 1], x to the right and y up; codes (N, B) uint8, by
    which others find their place; fingerprint of the model that made the codes.
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
        """The same map with entries ids (M,) int64, codes (M, B) uint8, put at their places.

        Entries that are on the map already move to where their new codes belong.
        """
        rest = self.without(ids.tolist())
        return Projection(
            np.concatenate([rest.ids, ids]),
            np.concatenate([rest.xy, rest.place(packed)]),
            np.concatenate([rest.codes, packed]),
            self.fingerprint,
        )

    def without(self, ids: Iterable[int]) -> Projection:
        """The same map without these entries."""
        keep = ~np.isin(self.ids, np.array(list(ids), np.int64))
        return Projection(self.ids[keep], self.xy[keep], self.codes[keep], self.fingerprint)

    def place(self, packed: np.ndarray) -> np.ndarray:
        """Where codes (Q, B) uint8 belong on this map: (Q, 2) float32 in [0, 1].

        Each goes to the mean of its nearest entries, near ones weighing more: a code at distance 0
        of an entry lies on it. On an empty map everything lies in the middle.
        """
        if not len(self.ids):
            return np.full((len(packed), 2), 0.5, np.float32)
        distance = codes.hamming(packed, self.codes)  # (Q, N)
        # Rows break ties, so that the same code always goes to the same place.
        keys = distance.astype(np.int64) * len(self.ids) + np.arange(len(self.ids))
        few = min(NEIGHBOURS, len(self.ids))
        nearest = np.argpartition(keys, few - 1, axis=1)[:, :few]
        close = np.take_along_axis(distance, nearest, axis=1).astype(np.float64)
        weight = 1.0 / np.maximum(close, 1e-6) ** 2
        weight /= weight.sum(1, keepdims=True)
        return np.einsum("qn,qnd->qd", weight, self.xy[nearest]).astype(np.float32)


def project(ids: np.ndarray, packed: np.ndarray, fingerprint: str, seed: int = 0) -> Projection:
    """Lay out codes (N, B) uint8 of entries `ids` (N,) int64; the same input gives the same map.

    t-SNE (van der Maaten and Hinton, JMLR 2008) of the Hamming distances, by scikit-learn; of fewer
    than 50 entries the two principal axes. Of more than LANDMARKS entries a random choice is laid
    out, and the others join it.
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
    """Write a map, replacing the old one in one step."""
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
    """Read what `save` wrote; None when there is no map, or none that can be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(part.file_size for part in archive.infolist()) > _MOST_BYTES:
                return None
        with np.load(path, allow_pickle=False) as file:
            return Projection(file["ids"], file["xy"], file["codes"], str(file["fingerprint"]))
    except Exception:  # a map is drawn again in seconds: whatever ails the file, it is no map
        return None


def _layout(distance: np.ndarray, seed: int) -> np.ndarray:
    """Mutual distances (M, M) to positions (M, 2) float32 in [0, 1]."""
    if len(distance) < _FEW:
        xy = _principal_axes(distance)
    else:
        from sklearn.manifold import TSNE  # imported late: a second that a search never needs

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
    # Eigenvectors come with either sign: let the entry farthest out be on the positive side.
    farthest = np.take_along_axis(axes, np.abs(axes).argmax(0)[None], axis=0)
    axes *= np.where(farthest < 0, -1, 1)
    return np.hstack([axes, np.zeros((count, 2 - axes.shape[1]))])
