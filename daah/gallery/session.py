"""A visitor's own additions on a public host: a value in memory that no other visitor sees."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from daah import codes
from daah.errors import ConfigError, GalleryError
from daah.gallery.gallery import Entry
from daah.gallery.names import checked_name, entry_id
from daah.stores.base import Meta
from daah.stores.people import template
from daah.types import Code, EncodedFace

#: Default maximum number of faces per visitor, about 70 KB each.
MOST_ENTRIES = 50


@dataclass(frozen=True, eq=False)
class _Row:
    id: int
    meta: Meta
    code: Code
    aligned: np.ndarray  # (224, 224, 3) uint8


@dataclass(frozen=True, eq=False)
class SessionGallery:
    """Faces that one visitor added. Immutable: `add` and `remove` return another gallery.

    Ids are negative, so that they differ from those of a stored gallery.

    Attributes:
        rows: the entries.
        born: time.monotonic() of the last change.
    """

    rows: tuple[_Row, ...] = ()
    born: float = field(default_factory=time.monotonic)

    def add(
        self, person: str, photo: str, encoded: EncodedFace, most: int = MOST_ENTRIES
    ) -> SessionGallery:
        """Add a face; the same person and photo again replace the entry.

        Args:
            person: name of the person.
            photo: name of the photo.
            encoded: the face with its code.
            most: maximum number of faces.

        Returns:
            Another gallery.

        Raises:
            ConfigError: a name is invalid, or there are `most` faces already.
        """
        meta = Meta(checked_name("person", person), checked_name("photo", photo), time.time())
        id_ = -1 - entry_id(meta.person, meta.photo)
        kept = tuple(row for row in self.rows if row.id != id_)
        if len(kept) >= most:
            faces = f"{most} face{'s' if most != 1 else ''}"
            raise ConfigError(f"At most {faces} can be added in one visit. Remove one first.")
        return SessionGallery((*kept, _Row(id_, meta, encoded.code, encoded.face.aligned)))

    def remove(self, person: str) -> SessionGallery:
        """Remove a person.

        Args:
            person: name of the person.

        Returns:
            Another gallery.

        Raises:
            ConfigError: the name is invalid.
            GalleryError: there is no such person.
        """
        person = checked_name("person", person)
        kept = tuple(row for row in self.rows if row.meta.person != person)
        if len(kept) == len(self.rows):
            raise GalleryError(f"You have added nobody named {person!r}.")
        return SessionGallery(kept)

    def people(self) -> dict[str, int]:
        """Entries of each person, sorted by name."""
        names = [row.meta.person for row in self.rows]
        return {name: names.count(name) for name in sorted(set(names))}

    def entries(self, person: str | None = None) -> list[Entry]:
        """All entries, or those of one person.

        Args:
            person: name of the person; None for all.

        Returns:
            Entries by ascending id.
        """
        found = [
            Entry.of(row.id, row.meta) for row in self.rows if person in (None, row.meta.person)
        ]
        return sorted(found, key=lambda entry: entry.id)

    def named_codes(self) -> list[list[str]]:
        """Name of the person and code in hexadecimal of each entry."""
        return [[row.meta.shown, codes.to_hex(codes.pack(row.code.bits))] for row in self.rows]

    def thumbnail(self, id: int) -> np.ndarray:
        """The aligned face of an entry.

        Args:
            id: id of the entry.

        Returns:
            (224, 224, 3) uint8 RGB.

        Raises:
            GalleryError: there is no such entry.
        """
        for row in self.rows:
            if row.id == id:
                return row.aligned
        raise GalleryError("This face is not among those that you added.")

    def distances(self, code: Code, bits: int) -> list[tuple[int, float, int, Meta]]:
        """Distances of a code to every entry.

        Args:
            code: the query.
            bits: length of the prefix that is compared.

        Returns:
            (Hamming distance, asymmetric distance, id, Meta) of each entry, not sorted.
        """
        if not self.rows:
            return []
        stored = codes.pack(np.stack([row.code.bits[:bits] for row in self.rows]))
        hamming = codes.hamming(codes.pack(code.bits[None, :bits]), stored)[0]
        asymmetric = codes.asymmetric(code.logits[None, :bits], stored)[0]
        return [
            (int(h), float(a), row.id, row.meta)
            for h, a, row in zip(hamming, asymmetric, self.rows, strict=True)
        ]

    def people_distances(self, code: Code, bits: int) -> list[tuple[int, float, int, int, Meta]]:
        """Distances of a code to the template of every person.

        Args:
            code: the query.
            bits: length of the prefix that is compared.

        Returns:
            (Hamming distance, asymmetric distance, id of the nearest photo, number of photos, Meta
            of that photo) of each person, not sorted.
        """
        near: dict[str, list[tuple[int, int, Meta]]] = {}
        for hamming, _, id_, meta in self.distances(code, bits):
            near.setdefault(meta.person, []).append((hamming, id_, meta))
        found = []
        query, logits = codes.pack(code.bits[None, :bits]), code.logits[None, :bits]
        for person, photos in near.items():
            own = [row.code.logits[:bits] for row in self.rows if row.meta.person == person]
            packed = template(np.stack(own))[None]
            _, id_, meta = min(photos, key=lambda photo: photo[:2])
            found.append(
                (
                    int(codes.hamming(query, packed)[0, 0]),
                    float(codes.asymmetric(logits, packed)[0, 0]),
                    id_,
                    len(photos),
                    meta,
                )
            )
        return found

    def mean_logits(self, people: Sequence[str]) -> np.ndarray:
        """Mean of the logits of the entries of people.

        Args:
            people: P names, each of which has entries.

        Returns:
            (P, K) float32.
        """
        return np.stack(
            [
                np.mean([row.code.logits for row in self.rows if row.meta.person == person], 0)
                for person in people
            ]
        )

    def __len__(self) -> int:
        return len(self.rows)
