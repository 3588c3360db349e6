"""The contract of a code store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from daah.codes import BIT_ORDER
from daah.types import ALIGNMENT


@dataclass(frozen=True)
class CodeSpec:
    """What a gallery was made with; a store opened with another spec raises GalleryError.

    fingerprint: sha256 of the checkpoint's weights, so that codes of two models never mix.
    """

    bits: int
    fingerprint: str
    alignment: str = ALIGNMENT
    bit_order: str = BIT_ORDER

    def __str__(self) -> str:
        return (
            f"model {self.fingerprint[:16] or 'unnamed'} ({self.bits} bits, alignment "
            f"{self.alignment}, {self.bit_order}-endian)"
        )


@dataclass(frozen=True)
class Meta:
    """What is known of one stored face: who, which photo, when added (seconds since 1970)."""

    person: str
    photo: str
    added_at: float


@dataclass(frozen=True)
class Filter:
    """Narrows a search or scan: rows must satisfy every part that is not None.

    people: any of these names; since <= added_at < until.
    """

    people: frozenset[str] | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, eq=False)
class Hits:
    """What a search found, nearest first, for Q queries.

    ids (Q, k) int64 and distances (Q, k) int32 in bits, both -1 where the store ran out of rows;
    asymmetric (Q, k) float32, present when logits were given, inf where the store ran out;
    meta: Q tuples with the Meta of every hit.
    """

    ids: np.ndarray
    distances: np.ndarray
    asymmetric: np.ndarray | None
    meta: tuple[tuple[Meta, ...], ...]


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of a scan: ids (N,) int64, codes (N, B) uint8, and N Metas."""

    ids: np.ndarray
    codes: np.ndarray
    meta: tuple[Meta, ...]


#: Called with (rows done, rows in all).
Progress = Callable[[int, int], None]


class CodeStore(Protocol):
    """Packed codes by int64 id. Every write is durable when its call returns.

    Errors: ValueError for arrays of the wrong shape or dtype or ids given twice in one call;
    GalleryError for anything about the store itself (locked, damaged, away, of another model).
    """

    spec: CodeSpec

    @property
    def generation(self) -> int:
        """Grows with every committed write, so that a reader can tell that it is behind."""

    def upsert(self, ids: np.ndarray, codes: np.ndarray, meta: Sequence[Meta]) -> None:
        """Insert or replace rows: ids (N,) int64 >= 0, codes (N, bits / 8) uint8. All or none."""

    def remove(self, ids: np.ndarray) -> int:
        """Delete rows for good and return how many there were; unknown ids are ignored."""

    def search(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
        where: Filter | None = None,
    ) -> Hits:
        """The k nearest rows of each query code (Q, B) by the first `bits` bits (default: all).

        Ordered by (distance, id). With logits (Q, >= bits) float32 the first
        `max(candidates, k)` rows in that order are re-ordered by (asymmetric distance, id).
        """

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """Whether there is a row with each of ids (N,) int64: (N,) bool."""

    def get(self, ids: np.ndarray) -> Batch:
        """The rows with these ids, in the order asked; raises KeyError naming the missing."""

    def scan(self, where: Filter | None = None, batch: int = 10_000) -> Iterator[Batch]:
        """All rows by ascending id, in batches; `scan` into `upsert` moves a gallery."""

    def count(self, where: Filter | None = None) -> int:
        """Number of rows."""

    def people(self) -> dict[str, int]:
        """Rows per person, sorted by name."""

    def check(self, progress: Progress | None = None) -> None:
        """Read every row and compare counts and checksums; GalleryError says what is wrong."""

    def compact(self) -> None:
        """Give the space of removed and replaced rows back to the disk."""

    def flush(self) -> None:
        """Make everything acknowledged so far visible to other readers."""

    def close(self) -> None:
        """Release files and connections; a closed store raises GalleryError on use."""
