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
    """What a gallery was made with. A store opened with another spec raises GalleryError.

    Attributes:
        bits: code length.
        fingerprint: sha256 of the checkpoint's weights, so that codes of two models never mix.
        alignment: name of the alignment of the faces.
        bit_order: order of bits within a byte.
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
    """Metadata of one stored face.

    Attributes:
        person: identifier of the person.
        photo: name of the photo.
        added_at: time of the enrolment in seconds since 1970.
        name: display name of the person, the same for all of their photos; "" where the identifier
            is the name. In a write, "" keeps the name that the store has.
    """

    person: str
    photo: str
    added_at: float
    name: str = ""

    @property
    def shown(self) -> str:
        """The name to show: the display name, or the identifier without one."""
        return self.name or self.person


@dataclass(frozen=True)
class Person:
    """A person of a store.

    Attributes:
        person: identifier, as in `Meta`.
        name: display name; "" where the identifier is the name.
        photos: number of stored photos.
    """

    person: str
    name: str
    photos: int

    @property
    def shown(self) -> str:
        """The name to show: the display name, or the identifier without one."""
        return self.name or self.person


@dataclass(frozen=True)
class Filter:
    """Restriction of a search or scan: rows must satisfy every part that is not None.

    Attributes:
        people: names of people, any of which a row may have.
        since: earliest `added_at`, inclusive.
        until: latest `added_at`, exclusive.
    """

    people: frozenset[str] | None = None
    since: float | None = None
    until: float | None = None


@dataclass(frozen=True, eq=False)
class Hits:
    """Results of a search for Q queries, nearest first.

    Where a store has fewer than k rows, ids and distances are -1 and asymmetric distances inf.

    Attributes:
        ids: (Q, k) int64.
        distances: (Q, k) int32, Hamming distance in bits.
        asymmetric: (Q, k) float32, asymmetric distance; None without logits.
        meta: Q tuples with the Meta of every hit.
    """

    ids: np.ndarray
    distances: np.ndarray
    asymmetric: np.ndarray | None
    meta: tuple[tuple[Meta, ...], ...]


@dataclass(frozen=True, eq=False)
class PeopleHits:
    """Results of a search for people with Q queries, nearest first.

    Where a store has fewer than k people, ids and distances are -1, photos 0 and asymmetric
    distances inf.

    Attributes:
        distances: (Q, k) int32, Hamming distance in bits to the template of the person.
        asymmetric: (Q, k) float32, asymmetric distance to the template, which orders equal
            distances; None without logits.
        ids: (Q, k) int64, the photo of the person that is nearest to the query, ties by id.
        photos: (Q, k) int32, number of photos of the person.
        meta: Q tuples with the Meta of every such photo, which has identifier and name.
    """

    distances: np.ndarray
    asymmetric: np.ndarray | None
    ids: np.ndarray
    photos: np.ndarray
    meta: tuple[tuple[Meta, ...], ...]


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Rows within a radius of Q queries: those of query q are `starts[q]` to `starts[q + 1]`.

    Attributes:
        starts: (Q + 1,) int64, ascending from 0 to M.
        ids: (M,) int64, of each query by distance, ties by id.
        distances: (M,) int32, Hamming distance in bits.
    """

    starts: np.ndarray
    ids: np.ndarray
    distances: np.ndarray


@dataclass(frozen=True, eq=False)
class Batch:
    """Rows of a scan.

    Attributes:
        ids: (N,) int64.
        codes: (N, B) uint8, packed.
        meta: N Metas.
        logits: (N, K) float32, where they were asked for: those that were stored, and -1 or 1 by
            the code's bits for rows without; else None.
    """

    ids: np.ndarray
    codes: np.ndarray
    meta: tuple[Meta, ...]
    logits: np.ndarray | None = None


#: Called with (rows done, rows in all).
Progress = Callable[[int, int], None]


class CodeStore(Protocol):
    """Packed codes by int64 id. Every write is durable when its call returns.

    A person's photos are fused into one template: the signs of the mean of their logits. Templates
    follow every write: they are those of the rows that are there.

    Every method raises GalleryError when the store is locked, damaged, unreachable or closed.
    """

    spec: CodeSpec

    @property
    def generation(self) -> int:
        """Grows with every committed write, so that a reader can tell that it is behind."""

    def upsert(
        self,
        ids: np.ndarray,
        codes: np.ndarray,
        meta: Sequence[Meta],
        logits: np.ndarray | None = None,
    ) -> None:
        """Insert or replace rows, all or none.

        Args:
            ids: (N,) int64, 0 or more.
            codes: (N, B) uint8, packed.
            meta: N Metas.
            logits: (N, K) float32 that the bits are the signs of; None weighs every bit of a code
                the same in the template, as -1 or 1.

        Raises:
            GalleryError: the store is read-only, or cannot be written.
            ValueError: shapes, dtypes or values are invalid, or an id is given twice.
        """

    def remove(self, ids: np.ndarray) -> int:
        """Delete rows permanently; unknown ids are ignored.

        Args:
            ids: (N,) int64.

        Returns:
            Number of rows that were deleted.

        Raises:
            GalleryError: the store is read-only, or cannot be written.
            ValueError: the ids are not (N,) integers.
        """

    def search(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
        where: Filter | None = None,
    ) -> Hits:
        """The k nearest rows of each query by Hamming distance, ties by id.

        With logits the first `max(candidates, k)` rows are re-ranked by asymmetric distance, ties
        by id.

        Args:
            codes: query codes (Q, B) uint8, packed.
            k: number of rows per query, at least 1.
            bits: length of the prefix that is compared; None compares all bits.
            logits: (Q, K) float32 with K at least `bits`; None does not re-rank.
            candidates: number of rows that are re-ranked.
            where: restriction of the rows; None searches all.

        Returns:
            The rows, nearest first.

        Raises:
            GalleryError: the store cannot be read.
            ValueError: shapes, dtypes or values are invalid.
        """

    def search_people(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
    ) -> PeopleHits:
        """The k people whose templates are nearest to each query.

        By Hamming distance, ties by `people.person_id`. With logits, ties among the first
        `max(candidates, k)` people are ordered by asymmetric distance first.

        Args:
            codes: query codes (Q, B) uint8, packed.
            k: number of people per query, at least 1.
            bits: length of the prefix that is compared; None compares all bits.
            logits: (Q, K) float32 with K at least `bits`; None orders ties by number alone.
            candidates: number of people among whom ties are ordered by asymmetric distance.

        Returns:
            The people, nearest first.

        Raises:
            GalleryError: the store cannot be read.
            ValueError: shapes, dtypes or values are invalid.
        """

    def mean_logits(self, people: Sequence[str]) -> np.ndarray:
        """Mean of the logits of the photos of people: what the signs of templates are taken from.

        A photo that came without logits counts as -1 and 1 by the bits of its code.

        Args:
            people: P identifiers.

        Returns:
            (P, K) float32; zeros for people who are not there.

        Raises:
            GalleryError: the store cannot be read.
        """

    def within(self, codes: np.ndarray, radius: int, bits: int | None = None) -> Neighbours:
        """All rows whose Hamming distance to a query is at most a radius.

        Args:
            codes: query codes (Q, B) uint8, packed.
            radius: the largest distance in bits, 0 or more.
            bits: length of the prefix that is compared; None compares all bits.

        Returns:
            The rows of each query, nearest first, ties by id.

        Raises:
            GalleryError: the store cannot be read.
            ValueError: shapes, dtypes or values are invalid.
        """

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """Whether there is a row with each of the ids.

        Args:
            ids: (N,) int64.

        Returns:
            (N,) bool.

        Raises:
            ValueError: the ids are not (N,) integers.
        """

    def get(self, ids: np.ndarray) -> Batch:
        """The rows with the given ids.

        Args:
            ids: (N,) int64.

        Returns:
            The rows, in the order of the ids.

        Raises:
            KeyError: there is no row with one of the ids; the text names the missing ones.
            ValueError: the ids are not (N,) integers.
        """

    def scan(
        self,
        where: Filter | None = None,
        batch: int = 10_000,
        logits: bool = False,
        after: int = -1,
    ) -> Iterator[Batch]:
        """All rows in batches; `scan` with logits into `upsert` copies a gallery.

        Args:
            where: restriction of the rows; None scans all.
            batch: maximum number of rows per batch, at least 1.
            logits: whether the batches have logits.
            after: id after which rows begin.

        Yields:
            Rows by ascending id.

        Raises:
            ValueError: `batch` is below 1.
        """

    def count(self, where: Filter | None = None) -> int:
        """Number of rows.

        Args:
            where: restriction of the rows; None counts all.

        Returns:
            The number.
        """

    def people(self) -> tuple[Person, ...]:
        """All people, sorted by identifier."""

    def count_people(self) -> int:
        """Number of people."""

    def check(self, progress: Progress | None = None) -> None:
        """Read every row and compare counts and checksums.

        Args:
            progress: called with (rows done, rows in all).

        Raises:
            GalleryError: something is damaged; the text says what.
        """

    def compact(self) -> None:
        """Return the space of removed and replaced rows to the disk."""

    def flush(self) -> None:
        """Make all acknowledged writes visible to other readers."""

    def close(self) -> None:
        """Release files and connections; a closed store raises GalleryError on use."""
