"""Rows of a gallery in memory: ids and padded codes, as immutable snapshots.

A snapshot has a large sorted segment, the dead rows of it (removed or replaced since), and a small
sorted segment of newer rows. A write makes a new snapshot that shares the large segment, so that
concurrent searches are not affected. When the small parts grow, they are merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from daah.codes import nbytes
from daah.stores.base import Filter
from daah.stores.sqlite.knn import nearest, within
from daah.stores.sqlite.schema import PersonRow

#: Newer or dead rows that are merged into the large segment: this many, or this share of it.
MERGE_ROWS = 8192
MERGE_SHARE = 1 / 64


def padded_bytes(bits: int) -> int:
    """Bytes of a code in whole 64-bit words.

    Args:
        bits: code length.

    Returns:
        A multiple of 8.
    """
    return -(-bits // 64) * 8


def padded(codes: np.ndarray) -> np.ndarray:
    """Pad codes with zero bytes to whole 64-bit words.

    faiss scans 64-bit words several times faster than other lengths; zeros never add to a distance.

    Args:
        codes: (N, B) uint8.

    Returns:
        (N, 8 W) uint8.
    """
    wide = np.zeros((len(codes), -(-codes.shape[1] // 8) * 8), np.uint8)
    wide[:, : codes.shape[1]] = codes
    return wide


def compact(ids: np.ndarray) -> np.ndarray:
    """Ascending ids as uint32 where they fit, else int64: half the memory in nearly all cases.

    Args:
        ids: (N,) ascending integers, 0 or more.

    Returns:
        (N,) uint32 or int64.
    """
    return ids.astype(np.uint32 if not len(ids) or ids[-1] < 2**32 else np.int64, copy=False)


@dataclass(frozen=True, eq=False)
class Labels:
    """Columns that filters use.

    Attributes:
        person: (N,) int32, ordinal of the person.
        added_at: (N,) float64, seconds since 1970.
    """

    person: np.ndarray
    added_at: np.ndarray


@dataclass(frozen=True, eq=False)
class Segment:
    """Rows by ascending id.

    Attributes:
        ids: (N,) uint32 or int64.
        codes: (N, 8 W) uint8, padded.
        labels: columns for filters; None until they are loaded.
    """

    ids: np.ndarray
    codes: np.ndarray
    labels: Labels | None = None

    @classmethod
    def empty(cls, bits: int, labels: bool) -> Segment:
        """A segment without rows.

        Args:
            bits: code length.
            labels: whether it has labels.

        Returns:
            The segment.
        """
        none = Labels(np.zeros(0, np.int32), np.zeros(0)) if labels else None
        return cls(
            compact(np.zeros(0, np.int64)), padded(np.zeros((0, nbytes(bits)), np.uint8)), none
        )

    def find(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find rows by id.

        Args:
            ids: (M,) int64.

        Returns:
            Row (M,) int64 of each id, and whether it exists (M,) bool.
        """
        inside = (ids >= 0) & (ids <= np.iinfo(self.ids.dtype).max)
        wanted = np.where(inside, ids, 0).astype(self.ids.dtype)
        row = np.searchsorted(self.ids, wanted)
        there = inside & (row < len(self.ids))
        there[there] = self.ids[row[there]] == wanted[there]
        return row, there

    def without(self, rows: np.ndarray) -> Segment:
        """Remove rows.

        Args:
            rows: (M,) int64.

        Returns:
            Another segment.
        """
        if not len(rows):
            return self
        keep = np.ones(len(self.ids), bool)
        keep[rows] = False
        labels = self.labels and Labels(self.labels.person[keep], self.labels.added_at[keep])
        return Segment(compact(self.ids[keep]), self.codes[keep], labels)

    def merged(self, other: Segment) -> Segment:
        """Merge two segments without common ids.

        Args:
            other: the other segment.

        Returns:
            The rows of both; labels only when both have them.
        """
        if not len(other.ids):
            return self
        kind = np.promote_types(self.ids.dtype, other.ids.dtype)  # one dtype, or numpy copies twice
        at = np.searchsorted(self.ids.astype(kind, copy=False), other.ids.astype(kind, copy=False))
        ids = np.insert(self.ids.astype(kind, copy=False), at, other.ids)
        labels = None
        if self.labels and other.labels:
            labels = Labels(
                np.insert(self.labels.person, at, other.labels.person),
                np.insert(self.labels.added_at, at, other.labels.added_at),
            )
        return Segment(compact(ids), np.insert(self.codes, at, other.codes, axis=0), labels)


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of one generation.

    Attributes:
        generation: the generation.
        bits: code length.
        base: the large segment.
        dead: (D,) int64 ascending, rows of `base` that were removed or replaced.
        newer: the small segment of newer rows.
    """

    generation: int
    bits: int
    base: Segment
    dead: np.ndarray
    newer: Segment

    @classmethod
    def of(cls, generation: int, bits: int, base: Segment) -> Rows:
        """A snapshot of one segment.

        Args:
            generation: the generation.
            bits: code length.
            base: the segment.

        Returns:
            The snapshot.
        """
        return cls(generation, bits, base, np.zeros(0, np.int64), Segment.empty(bits, labels=True))

    def __len__(self) -> int:
        return len(self.base.ids) - len(self.dead) + len(self.newer.ids)

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """Whether each of the ids is a row.

        Args:
            ids: (M,) int64.

        Returns:
            (M,) bool.
        """
        row, there = self.base.find(ids)
        there[there] &= ~np.isin(row[there], self.dead)
        return there | self.newer.find(ids)[1]

    def changed(self, generation: int, gone: np.ndarray, come: Segment) -> Rows:
        """The snapshot after a write.

        Args:
            generation: the new generation.
            gone: (M,) int64, ids that are removed.
            come: rows that are inserted or replaced.

        Returns:
            Another snapshot.
        """
        touched = np.concatenate([gone, come.ids.astype(np.int64)])
        row, there = self.base.find(touched)
        dead = np.union1d(self.dead, row[there])
        row, there = self.newer.find(touched)
        newer = self.newer.without(row[there]).merged(come)
        after = Rows(generation, self.bits, self.base, dead, newer)
        limit = max(MERGE_ROWS, int(MERGE_SHARE * len(self.base.ids)))
        return after.compacted() if max(len(dead), len(newer.ids)) > limit else after

    def compacted(self) -> Rows:
        """The same rows in one segment."""
        if not len(self.dead) and not len(self.newer.ids):
            return self
        base = self.base.without(self.dead).merged(self.newer)
        return Rows.of(self.generation, self.bits, base)

    def with_labels(self, labels: Labels) -> Rows:
        """Add labels to `base`.

        Args:
            labels: of the rows of `base`.

        Returns:
            Another snapshot.
        """
        base = Segment(self.base.ids, self.base.codes, labels)
        return Rows(self.generation, self.bits, base, self.dead, self.newer)

    def ids(
        self, where: Filter | None = None, ordinals: dict[str, int] | None = None
    ) -> np.ndarray:
        """Ids of the rows that satisfy a filter.

        Args:
            where: the filter, which needs labels; None for all rows.
            ordinals: ordinal of each person's name.

        Returns:
            (N,) int64, ascending.
        """
        base, newer = (
            segment.ids[rows].astype(np.int64)
            for segment, rows in zip(
                (self.base, self.newer), self._chosen(where, ordinals or {}), strict=True
            )
        )
        return np.sort(np.concatenate([base, newer])) if len(newer) else base

    def codes(self, ids: np.ndarray) -> np.ndarray:
        """Codes of rows.

        Args:
            ids: (M,) int64, all of them rows.

        Returns:
            (M, 8 W) uint8, padded.
        """
        row, there = self.newer.find(ids)
        codes = np.empty((len(ids), self.base.codes.shape[1]), np.uint8)
        codes[there] = self.newer.codes[row[there]]
        codes[~there] = self.base.codes[self.base.find(ids[~there])[0]]
        return codes

    def search(
        self,
        codes: np.ndarray,
        k: int,
        bits: int,
        where: Filter | None = None,
        ordinals: dict[str, int] | None = None,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest C = min(k, rows) rows of each query, sorted by distance, ties by id.

        Args:
            codes: (Q, B) uint8.
            k: number of rows per query.
            bits: length of the prefix that is compared.
            where: restriction of the rows, which needs labels; None searches all.
            ordinals: ordinal of each person's name.

        Returns:
            Distances (Q, C) int32, ids (Q, C) int64 and codes (Q, C, 8 W) uint8.
        """
        queries = padded(codes)
        mask = _mask(bits) if bits < self.bits else None
        chosen = self._chosen(where, ordinals or {}) if where else (None, None)
        base = self._alive(queries, k, mask, chosen[0])
        if not len(self.newer.ids):
            return base
        newer = _gathered(self.newer, *nearest(self.newer.codes, queries, k, mask, chosen[1]))
        distances, ids, found = (np.concatenate(p, 1) for p in zip(base, newer, strict=True))
        keep = np.lexsort((ids, distances), axis=-1)[:, :k]
        query = np.arange(len(codes))[:, None]
        return distances[query, keep], ids[query, keep], found[query, keep]

    def within(
        self, codes: np.ndarray, radius: int, bits: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """All rows up to a distance from each query, in no particular order.

        Args:
            codes: (Q, B) uint8.
            radius: the largest distance.
            bits: length of the prefix that is compared.

        Returns:
            Queries (M,) int64, ids (M,) int64 and distances (M,) int32.
        """
        queries = padded(codes)
        mask = _mask(bits) if bits < self.bits else None
        asked, rows, distances = within(self.base.codes, queries, radius, mask)
        alive = ~np.isin(rows, self.dead)
        base = asked[alive], self.base.ids[rows[alive]].astype(np.int64), distances[alive]
        asked, rows, distances = within(self.newer.codes, queries, radius, mask)
        newer = asked, self.newer.ids[rows].astype(np.int64), distances
        asked, ids, distances = (np.concatenate(part) for part in zip(base, newer, strict=True))
        return asked, ids, distances

    def _alive(
        self, queries: np.ndarray, k: int, mask: np.ndarray | None, rows: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The nearest rows of `base` that are not dead; `rows`, when given, holds no dead ones."""
        if rows is not None or not len(self.dead):
            return _gathered(self.base, *nearest(self.base.codes, queries, k, mask, rows))
        k = min(k, len(self.base.ids) - len(self.dead))
        fetch = min(k + min(len(self.dead), 32), len(self.base.ids))
        while True:  # fetch more until enough of what came is alive; at the latest, all rows
            distances, row = nearest(self.base.codes, queries, fetch, mask)
            dead = np.isin(row, self.dead)
            if dead.sum(1).max(initial=0) <= fetch - k:
                break
            fetch = min(2 * fetch, len(self.base.ids))
        keep = np.argsort(dead, axis=1, kind="stable")[:, :k]  # the living first, in their order
        return _gathered(
            self.base, np.take_along_axis(distances, keep, 1), np.take_along_axis(row, keep, 1)
        )

    def _chosen(
        self, where: Filter | None, ordinals: dict[str, int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows of `base` and of `newer`, ascending, that count and satisfy `where`."""
        base = np.ones(len(self.base.ids), bool)
        base[self.dead] = False
        newer = np.ones(len(self.newer.ids), bool)
        if where is not None:
            people = None
            if where.people is not None:
                people = np.array([ordinals[p] for p in where.people if p in ordinals], np.int32)
            for segment, counts in ((self.base, base), (self.newer, newer)):
                assert segment.labels is not None
                if people is not None:
                    counts &= np.isin(segment.labels.person, people)
                if where.since is not None:
                    counts &= segment.labels.added_at >= where.since
                if where.until is not None:
                    counts &= segment.labels.added_at < where.until
        return np.flatnonzero(base), np.flatnonzero(newer)


@dataclass(frozen=True, eq=False)
class Held:
    """What a store holds in memory of one generation.

    Attributes:
        faces: rows of photos.
        people: rows of people: numbers and templates.
        listed: rows of people by number, of a file without a table of them; None with one.
    """

    faces: Rows
    people: Rows
    listed: Mapping[int, PersonRow] | None = None

    @property
    def generation(self) -> int:
        """The generation."""
        return self.faces.generation


def _gathered(
    segment: Segment, distances: np.ndarray, rows: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return distances, segment.ids[rows].astype(np.int64), segment.codes[rows]


def _mask(bits: int) -> np.ndarray:
    """Words (V,) uint64 whose first `bits` bits, in the byte order of packed codes, are 1."""
    ones = np.zeros(-(-bits // 64) * 64, bool)
    ones[:bits] = True
    return np.packbits(ones).view(np.uint64)
