"""A store on a dictionary and numpy: short enough to be seen right, the oracle of the tests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from daah.codes import asymmetric, hamming, prefix
from daah.errors import GalleryError
from daah.stores.base import Batch, CodeSpec, Filter, Hits, Meta, Progress
from daah.stores.validation import ids_argument, query_argument, rows_argument


class NumpyStore:
    """CodeStore in memory, by brute force."""

    def __init__(self, spec: CodeSpec) -> None:
        self.spec = spec
        self.rows: dict[int, tuple[np.ndarray, Meta]] = {}
        self.writes = 0
        self.closed = False

    @property
    def generation(self) -> int:
        return self.writes

    def upsert(self, ids: np.ndarray, codes: np.ndarray, meta: Sequence[Meta]) -> None:
        self._check()
        ids, codes, metas = rows_argument(self.spec, ids, codes, meta)
        for id, code, m in zip(ids.tolist(), codes, metas, strict=True):
            self.rows[id] = (code.copy(), m)
        self.writes += len(ids)

    def remove(self, ids: np.ndarray) -> int:
        self._check()
        gone = [id for id in set(ids_argument(ids).tolist()) if id in self.rows]
        for id in gone:
            del self.rows[id]
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

    def scan(self, where: Filter | None = None, batch: int = 10_000) -> Iterator[Batch]:
        self._check()
        ids = self._ids(where)
        for start in range(0, len(ids), batch):
            yield self._batch(ids[start : start + batch])

    def count(self, where: Filter | None = None) -> int:
        self._check()
        return len(self._ids(where))

    def people(self) -> dict[str, int]:
        self._check()
        return dict(sorted(Counter(meta.person for _, meta in self.rows.values()).items()))

    def check(self, progress: Progress | None = None) -> None:
        self._check()

    def compact(self) -> None:
        self._check()

    def flush(self) -> None:
        self._check()

    def close(self) -> None:
        self.closed = True

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
            tuple(self.rows[id][1] for id in ids),
        )
