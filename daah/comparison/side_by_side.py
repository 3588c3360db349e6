"""One face by several hashing methods: its code, and its nearest gallery entries, by each.

Axes: N = faces, M = faces of the gallery, K = hash bits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from daah import codes
from daah.comparison.small_models import ComparisonGallery, ComparisonModels
from daah.gallery import Entry, Gallery, SessionGallery
from daah.types import Match

#: Called with the number of gallery faces encoded, and the number of all.
Progress = Callable[[int, int], None]

#: Maximum number of faces that are searched: encoding more keeps a visitor waiting for minutes.
MOST_FACES = 5_000
_BATCH = 64


@dataclass(frozen=True, eq=False)
class MethodResult:
    """Result of one method for a face.

    Attributes:
        name: name of the method.
        bits: (K,) bool, the code.
        matches: nearest entries, nearest first.
    """

    name: str
    bits: np.ndarray
    matches: tuple[Match, ...]


class SideBySide:
    """The faces of one gallery encoded by every method. Immutable.

    Args:
        models: the methods.
        gallery: the gallery; of more than `MOST_FACES` faces a random sample is encoded.
        progress: called with faces encoded and their number.

    Attributes:
        generation: generation of the gallery's store when its faces were encoded.
        faces: number of faces that are searched.
        total: number of faces in the gallery.

    Raises:
        GalleryError: a face of the gallery cannot be read.
    """

    def __init__(
        self, models: ComparisonModels, gallery: Gallery, progress: Progress | None = None
    ) -> None:
        self.models = models
        self.gallery = gallery
        self.generation = gallery.store.generation
        entries = list(gallery.entries())
        self.total = len(entries)
        if self.total > MOST_FACES:
            chosen = np.random.default_rng(0).choice(self.total, MOST_FACES, replace=False)
            entries = [entries[i] for i in np.sort(chosen)]
        self.faces = len(entries)
        self._entries = tuple(entries)
        self._packed = self._encode_all(progress or (lambda done, total: None))

    def is_of(self, gallery: Gallery) -> bool:
        """Whether these are the present faces of a gallery.

        Args:
            gallery: the gallery.

        Returns:
            Whether it is the same gallery, unchanged.
        """
        return gallery is self.gallery and gallery.store.generation == self.generation

    def search(
        self, aligned: np.ndarray, k: int, own: SessionGallery | None = None
    ) -> tuple[MethodResult, ...]:
        """Encode a face by each method and search its nearest entries.

        Args:
            aligned: (224, 224, 3) uint8 RGB.
            k: number of matches per method.
            own: a visitor's own entries, which are included.

        Returns:
            One result per method. Probabilities are None, because no method here is calibrated.
        """
        logits = self.models.encode(aligned[None])
        mine = own.entries() if own else []
        entries = (*self._entries, *mine)
        packed = self._packed
        if own is not None and mine:
            added = self.models.gallery(np.stack([own.thumbnail(e.id) for e in mine])).packed
            packed = {name: np.concatenate([rows, added[name]]) for name, rows in packed.items()}
        found = ComparisonGallery(self.models.bits, packed).search(logits, k)
        return tuple(
            MethodResult(
                name,
                codes.sign(logits[name][0]),
                tuple(
                    self._match(entries[row], distance)
                    for row, distance in zip(rows[0].tolist(), distances[0].tolist(), strict=True)
                ),
            )
            for name, (rows, distances) in found.items()
        )

    def _match(self, entry: Entry, distance: int) -> Match:
        return Match(
            entry.id, entry.person, entry.photo, distance, self.models.bits, name=entry.name
        )

    def _encode_all(self, progress: Progress) -> dict[str, np.ndarray]:
        width = codes.nbytes(self.models.bits)
        packed = {name: [np.empty((0, width), np.uint8)] for name in self.models.names}
        for start in range(0, self.faces, _BATCH):
            progress(start, self.faces)
            part = self._entries[start : start + _BATCH]
            faces = np.stack([self.gallery.thumbnail(entry.id) for entry in part])
            for name, rows in self.models.gallery(faces).packed.items():
                packed[name].append(rows)
        progress(self.faces, self.faces)
        return {name: np.concatenate(rows) for name, rows in packed.items()}
