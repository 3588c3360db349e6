"""A store on a dictionary and numpy: short enough to be seen right, the oracle of the tests."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from daah.codes import asymmetric, hamming, pack, prefix, unpack
from daah.errors import GalleryError
from daah.stores.base import (
    Batch,
    CodeSpec,
    Filter,
    Hits,
    Meta,
    Neighbours,
    PeopleHits,
    Person,
    Progress,
)
from daah.stores.people import person_id
from daah.stores.validation import ids_argument, query_argument, radius_argument, rows_argument


class NumpyStore:
    """CodeStore in memory, by brute force."""

    def __init__(self, spec: CodeSpec) -> None:
        self.spec = spec
        self.rows: dict[int, tuple[np.ndarray, Meta]] = {}
        self.logits: dict[int, np.ndarray] = {}
        self.names: dict[str, str] = {}
        self.writes = 0
        self.closed = False

    @property
    def generation(self) -> int:
        return self.writes

    def upsert(
        self,
        ids: np.ndarray,
        codes: np.ndarray,
        meta: Sequence[Meta],
        logits: np.ndarray | None = None,
    ) -> None:
        self._check()
        ids, codes, metas, logits = rows_argument(self.spec, ids, codes, meta, logits)
        for i, (id, code, m) in enumerate(zip(ids.tolist(), codes, metas, strict=True)):
            self.rows[id] = (code.copy(), Meta(m.person, m.photo, m.added_at))
            self.logits.pop(id, None)
            if logits is not None:
                self.logits[id] = logits[i]
            self.names |= {m.person: m.name} if m.name else {}
        self._forget()
        self.writes += len(ids)

    def remove(self, ids: np.ndarray) -> int:
        self._check()
        gone = [id for id in set(ids_argument(ids).tolist()) if id in self.rows]
        for id in gone:
            del self.rows[id]
            self.logits.pop(id, None)
        self._forget()
        self.writes += len(gone)
        return len(gone)

    def search(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
        where: Filter | None = None,
    ) -> Hits:
        self._check()
        queries, bits, logits = query_argument(self.spec, codes, k, bits, logits)
        batch = self._batch(self._ids(where))
        ids = np.full((len(queries), k), -1, np.int64)
        distances = np.full((len(queries), k), -1, np.int32)
        weighted = None if logits is None else np.full((len(queries), k), np.inf, np.float32)
        meta = []
        for q, query in enumerate(queries):
            near = hamming(prefix(query[None], bits), prefix(batch.codes, bits))[0]
            rows = np.lexsort((batch.ids, near))
            if logits is not None:
                rows = rows[: max(candidates, k)]
                # Rounded: the last digits of a matrix product depend on where a row lies in it.
                far = np.round(asymmetric(logits[q][None], batch.codes[rows])[0], 4)
                far, rows = far[(by := np.lexsort((batch.ids[rows], far)))], rows[by]
                weighted[q, : len(rows[:k])] = far[:k]
            rows = rows[:k]
            ids[q, : len(rows)] = batch.ids[rows]
            distances[q, : len(rows)] = near[rows]
            meta.append(tuple(batch.meta[row] for row in rows))
        return Hits(ids, distances, weighted, tuple(meta))

    def search_people(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
    ) -> PeopleHits:
        self._check()
        length = self.spec.bits if bits is None else bits
        people = sorted({meta.person for _, meta in self.rows.values()}, key=person_id)
        templates = NumpyStore(self.spec)
        for person in people:
            own = [self.own_logits(id) for id in self._ids(Filter(frozenset({person})))]
            means = [math.fsum(column) for column in np.array(own, np.float64).T]
            code = pack(np.array(means) > 0)
            templates.rows[person_id(person)] = (code, Meta(person, "", 0.0))
        pool = max(candidates, k)
        near = templates.search(codes, k if logits is None else pool, bits, logits, candidates)
        if logits is not None:
            near = _by_distance(near, k)
        ids = np.full(near.ids.shape, -1, np.int64)
        photos = np.zeros(near.ids.shape, np.int32)
        meta = []
        for q, row in enumerate(near.meta):
            for column, person in enumerate(row):
                own = self._ids(Filter(frozenset({person.person})))
                rows = self._batch(own)
                far = hamming(prefix(codes[q][None], length), prefix(rows.codes, length))[0]
                ids[q, column] = min(zip(far.tolist(), own, strict=True))[1]
                photos[q, column] = len(own)
            meta.append(self._batch(ids[q, : len(row)].tolist()).meta)
        return PeopleHits(near.distances, near.asymmetric, ids, photos, tuple(meta))

    def mean_logits(self, people: Sequence[str]) -> np.ndarray:
        self._check()
        means = np.zeros((len(people), self.spec.bits), np.float32)
        for row, person in enumerate(people):
            own = self._ids(Filter(frozenset({person})))
            if own:
                means[row] = np.mean([self.own_logits(id) for id in own], 0, np.float64)
        return means

    def within(self, codes: np.ndarray, radius: int, bits: int | None = None) -> Neighbours:
        self._check()
        queries, bits, _ = query_argument(self.spec, codes, 1, bits, None)
        radius = radius_argument(radius)
        batch = self._batch(self._ids(None))
        near = hamming(prefix(queries, bits), prefix(batch.codes, bits))
        starts, ids, distances = [0], [], []
        for row in near:
            found = sorted(zip(row.tolist(), batch.ids.tolist(), strict=True))
            found = [pair for pair in found if pair[0] <= radius]
            distances += [pair[0] for pair in found]
            ids += [pair[1] for pair in found]
            starts.append(len(ids))
        return Neighbours(
            np.array(starts, np.int64), np.array(ids, np.int64), np.array(distances, np.int32)
        )

    def own_logits(self, id: int) -> np.ndarray:
        """Logits of a row, or -1 and 1 by its bits."""
        bits = unpack(self.rows[id][0], self.spec.bits)
        return self.logits.get(id, np.where(bits, 1.0, -1.0).astype(np.float32))

    def contains(self, ids: np.ndarray) -> np.ndarray:
        self._check()
        return np.array([id in self.rows for id in ids_argument(ids).tolist()], bool)

    def get(self, ids: np.ndarray) -> Batch:
        self._check()
        ids = ids_argument(ids)
        missing = [id for id in ids.tolist() if id not in self.rows]
        if missing:
            raise KeyError(f"no rows with ids {missing}")
        return self._batch(ids.tolist())

    def scan(
        self,
        where: Filter | None = None,
        batch: int = 10_000,
        logits: bool = False,
        after: int = -1,
    ) -> Iterator[Batch]:
        self._check()
        ids = [id for id in self._ids(where) if id > after]
        for start in range(0, len(ids), batch):
            rows = self._batch(ids[start : start + batch])
            own = np.array([self.own_logits(id) for id in rows.ids.tolist()])
            yield dataclasses.replace(rows, logits=own) if logits else rows

    def count(self, where: Filter | None = None) -> int:
        self._check()
        return len(self._ids(where))

    def people(self) -> tuple[Person, ...]:
        self._check()
        counts = Counter(meta.person for _, meta in self.rows.values())
        return tuple(Person(p, self.names.get(p, ""), n) for p, n in sorted(counts.items()))

    def count_people(self) -> int:
        return len(self.people())

    def check(self, progress: Progress | None = None) -> None:
        self._check()

    def compact(self) -> None:
        self._check()

    def flush(self) -> None:
        self._check()

    def close(self) -> None:
        self.closed = True

    def _forget(self) -> None:
        """Names of those who are there no longer."""
        there = {meta.person for _, meta in self.rows.values()}
        self.names = {person: name for person, name in self.names.items() if person in there}

    def _check(self) -> None:
        if self.closed:
            raise GalleryError("closed")

    def _ids(self, where: Filter | None) -> list[int]:
        where = where or Filter()
        return sorted(
            id
            for id, (_, meta) in self.rows.items()
            if (where.people is None or meta.person in where.people)
            and (where.since is None or meta.added_at >= where.since)
            and (where.until is None or meta.added_at < where.until)
        )

    def _batch(self, ids: list[int]) -> Batch:
        codes = [self.rows[id][0] for id in ids]
        width = (self.spec.bits + 7) // 8
        return Batch(
            np.array(ids, np.int64),
            np.array(codes, np.uint8).reshape(len(ids), width),
            tuple(
                dataclasses.replace(meta, name=self.names.get(meta.person, ""))
                for meta in (self.rows[id][1] for id in ids)
            ),
        )


def _by_distance(hits: Hits, k: int) -> Hits:
    """Hits ordered by (distance, asymmetric distance, id), cut to k."""
    order = np.lexsort((hits.ids, hits.asymmetric, np.where(hits.ids < 0, 2**30, hits.distances)))
    rows = np.arange(len(order))[:, None]
    order = order[:, :k]
    return Hits(
        hits.ids[rows, order],
        hits.distances[rows, order],
        hits.asymmetric[rows, order],
        tuple(
            tuple(meta[i] for i in row if i < len(meta))
            for meta, row in zip(hits.meta, order.tolist(), strict=True)
        ),
    )
