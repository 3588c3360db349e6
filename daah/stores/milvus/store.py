"""A gallery on a Milvus server: one collection of full codes, and one for each prefix in use."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from daah.codes import nbytes, prefix
from daah.errors import ConfigError, GalleryError
from daah.stores.base import Batch, CodeSpec, Filter, Hits, Meta, Progress
from daah.stores.milvus.client import Connection
from daah.stores.milvus.collection import (
    PERSON_BYTES,
    PHOTO_BYTES,
    WRITE_ROWS,
    Collection,
    Row,
)
from daah.stores.milvus.uri import parse
from daah.stores.ranking import asymmetric_each, order
from daah.stores.validation import ids_argument, query_argument, rows_argument

VERSION = 1
#: Id of the row that holds the generation; in a prefix collection it marks the copy as complete.
HEAD = -1
#: Seconds after which an announced, unfinished write to a prefix collection counts as interrupted.
INTERRUPTED = 120.0
#: Seconds for which a prefix collection that was found complete is not checked again.
TRUSTED = 5.0


class MilvusStore:
    """CodeStore on a server.

    The collection is named by the gallery, the number of bits and the model's fingerprint; its
    description holds the whole spec. Search by a prefix needs a collection of its own. It is
    created by the first search of that length, by `prepare`, or by `lengths=` in the URI.

    A write of up to 10,000 rows is one request, and so atomic; larger ones take several requests.
    Several processes may write. Their rows are visible to others within seconds, with
    `consistency=strong` at once. Results equal those of the SQLite store, except with BIN_IVF_FLAT,
    the index for 20 million rows or more (`ivf_from`), which is approximate.

    Args:
        uri: as `daah.stores.milvus.uri.parse` reads it.
        spec: what the codes are made with.
        read_only: whether writing is refused.

    Raises:
        ConfigError: the URI or one of its options is invalid.
        GalleryError: the gallery is missing or of another spec, or the server does not answer.
    """

    def __init__(self, uri: str, spec: CodeSpec, *, read_only: bool = False) -> None:
        self.spec = spec
        self.read_only = read_only
        self._address = address = parse(uri)
        self._writing = threading.RLock()
        self._known: dict[int, Collection] = {}
        self._trusted: dict[int, float] = {}
        self._cut: set[int] = set()
        self._last_generation = 0
        wrong = [bits for bits in address.options.lengths if not 1 <= bits <= spec.bits]
        if wrong:
            raise ConfigError(f"lengths: expected 1 to {spec.bits} bits, got {wrong}")
        self._connection = Connection(address)
        fingerprint = re.sub(r"\W", "_", spec.fingerprint)[:12]
        name = f"{address.collection}_{spec.bits}_{fingerprint}"
        self._main = Collection(self._connection, name, spec.bits)
        try:
            self._open()
        except BaseException:  # an interrupt must close the connection too
            self._connection.close()
            raise

    # --- the contract ---------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Nanoseconds since 1970 at the last write."""
        self._connection.check_open()
        head = self._main.fetch([HEAD])
        return int(head[HEAD].meta.photo) if HEAD in head else 0

    def upsert(self, ids: np.ndarray, codes: np.ndarray, meta: Sequence[Meta]) -> None:
        """See `CodeStore.upsert`. Atomic for up to 10,000 rows.

        Raises:
            GalleryError: also when a name is longer than a field of the collection.
        """
        ids, codes, metas = rows_argument(self.spec, ids, codes, meta)
        for m in metas:
            if len(m.person.encode()) > PERSON_BYTES or len(m.photo.encode()) > PHOTO_BYTES:
                raise GalleryError(
                    f"The {self._address.name} holds names of people up to {PERSON_BYTES} bytes "
                    f"and of photos up to {PHOTO_BYTES}. Shorten the longer ones."
                )
        self._check_writable()
        if not len(ids):
            return
        with self._writing, self._announced() as copies:
            # The generation is the last row: newer only when all rows are there.
            self._main.upsert(
                [*ids.tolist(), HEAD],
                np.concatenate([codes, self._zero(self.spec.bits)]),
                [*metas, self._head()],
            )
            for copy, _ in copies:
                copy.upsert(ids.tolist(), prefix(codes, copy.bits), metas)

    def remove(self, ids: np.ndarray) -> int:
        """See `CodeStore.remove`. The server erases deleted bytes when it compacts."""
        ids = np.unique(ids_argument(ids))
        ids = ids[ids >= 0]
        self._check_writable()
        with self._writing:
            there = sorted(self._main.fetch(ids.tolist(), strong=True)) if len(ids) else []
            if not there:
                return 0
            with self._announced() as copies:
                self._main.delete(there)
                self._main.upsert([HEAD], self._zero(self.spec.bits), [self._head()])
                for copy, ticket in copies:
                    copy.delete(there)
                    copy.upsert([ticket], self._zero(copy.bits), [_now()])
            return len(there)

    def search(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
        where: Filter | None = None,
    ) -> Hits:
        """See `CodeStore.search`."""
        codes, bits, logits = query_argument(self.spec, codes, k, bits, logits)
        self._connection.check_open()
        target = self._main if bits == self.spec.bits else self._whole_copy(bits)
        fetch = k if logits is None else max(candidates, k)
        found = target.nearest(prefix(codes, bits), fetch, where) if len(codes) else []
        ids = np.full((len(codes), k), -1, np.int64)
        distances = np.full((len(codes), k), -1, np.int32)
        weighted = None if logits is None else np.full((len(codes), k), np.inf, np.float32)
        meta = []
        for q, near in enumerate(found):
            if weighted is not None:
                far = asymmetric_each(logits[q : q + 1], near.codes[None])
                keep = order(far, near.ids[None])[0, :k]
                near = near.chosen(keep)
                weighted[q, : len(near)] = far[0, keep]
            ids[q, : len(near)] = near.ids
            distances[q, : len(near)] = near.distances
            meta.append(near.metas())
        return Hits(ids, distances, weighted, tuple(meta))

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """See `CodeStore.contains`."""
        ids = ids_argument(ids)
        self._connection.check_open()
        wanted = [id for id in np.unique(ids).tolist() if id >= 0]
        found = self._main.fetch(wanted) if wanted else {}
        return np.array([id in found for id in ids.tolist()], bool)

    def get(self, ids: np.ndarray) -> Batch:
        """See `CodeStore.get`."""
        ids = ids_argument(ids)
        self._connection.check_open()
        wanted = [id for id in np.unique(ids).tolist() if id >= 0]
        found = self._main.fetch(wanted) if wanted else {}
        missing = [id for id in ids.tolist() if id not in found]
        if missing:
            raise KeyError(f"no rows with ids {missing[:10]}")
        return self._batch([found[id] for id in ids.tolist()])

    def scan(self, where: Filter | None = None, batch: int = 10_000) -> Iterator[Batch]:
        """See `CodeStore.scan`. Concurrent writes beyond the current batch are included."""
        if batch < 1:
            raise ValueError(f"batch: expected 1 or more, got {batch}")
        self._connection.check_open()
        last = -1
        while rows := self._main.after(last, where, batch):
            last = rows[-1].id
            yield self._batch(rows)
            self._connection.check_open()

    def count(self, where: Filter | None = None) -> int:
        """See `CodeStore.count`."""
        self._connection.check_open()
        return self._main.count(where)

    def people(self) -> dict[str, int]:
        """See `CodeStore.people`. Reads the names of all rows, because Milvus cannot group them."""
        self._connection.check_open()
        counts: Counter[str] = Counter()
        last = -1
        while rows := self._main.names_after(last):
            last = rows[-1][0]
            counts.update(name for _, name in rows)
        return dict(sorted(counts.items()))

    def check(self, progress: Progress | None = None) -> None:
        """See `CodeStore.check`. Compares counts, and every prefix with its full code."""
        self._connection.check_open()
        copies = self._copies()
        for copy in copies:
            copy.make_ready(self._address.options.rows)
        total, done, last = self._main.count(strong=True), 0, -1
        while rows := self._main.after(last, None, WRITE_ROWS, strong=True):
            batch, last = self._batch(rows), rows[-1].id
            done += len(rows)
            for copy in copies:
                held = copy.fetch(batch.ids.tolist(), strong=True)
                codes = prefix(batch.codes, copy.bits)
                if any(
                    id not in held or held[id].code != code.tobytes()
                    for id, code in zip(batch.ids.tolist(), codes, strict=True)
                ):
                    raise GalleryError(self._unlike(copy))
            if progress is not None:
                progress(done, total)
        if done != total:
            raise GalleryError(
                f"The {self._address.name} counts {total} rows but gives {done}. Check again when "
                "no other program writes to it; if that stays so, restore it from a backup."
            )
        for copy in copies:
            if copy.count(strong=True) != total:
                raise GalleryError(self._unlike(copy))

    def compact(self) -> None:
        """See `CodeStore.compact`. The server does it asynchronously."""
        self._check_writable()
        for target in [self._main, *self._copies()]:
            target.compact()

    def flush(self) -> None:
        """See `CodeStore.flush`. Waits until the server has made all writes searchable."""
        self._connection.check_open()
        for target in [self._main, *self._copies()]:
            target.count(strong=True)

    def close(self) -> None:
        """See `CodeStore.close`. Waits for calls of other threads. Idempotent."""
        self._connection.close()

    # --- beyond the contract --------------------------------------------------------------------

    def prepare(self, bits: int) -> None:
        """Create the collection for search by a prefix, or create it again.

        Best while no other process writes: a write that is concurrent with the beginning can be
        missed.

        Args:
            bits: length of the prefix.

        Raises:
            GalleryError: the store is read-only, or the server cannot do it.
        """
        self._check_writable()
        with self._writing:
            copy = self._copy(bits)
            if copy.exists():
                copy.drop()
            copy.create(self._describe(bits))
            copy.make_ready(self._address.options.rows)
            last = -1
            while rows := self._main.after(last, None, WRITE_ROWS, strong=True):
                last = rows[-1].id
                batch = self._batch(rows)
                copy.upsert(batch.ids.tolist(), prefix(batch.codes, bits), batch.meta)
            copy.upsert([HEAD], self._zero(bits), [_now()])
            self._trusted[bits] = time.monotonic()
            self._cut.discard(bits)

    def reindex(self) -> None:
        """Rebuild the index for the present number of rows; no search is possible meanwhile.

        Raises:
            GalleryError: the store is read-only, or the server cannot do it.
        """
        self._check_writable()
        with self._writing:
            rows = self._main.count(strong=True)
            for target in [self._main, *self._copies()]:
                target.reindex(rows)

    def drop(self) -> None:
        """Delete the gallery with all its prefixes from the server, and close.

        Raises:
            GalleryError: the store is read-only, or the server cannot do it.
        """
        self._check_writable()
        with self._writing:
            for target in [*self._copies(), self._main]:
                target.drop()
            self.close()

    def __enter__(self) -> MilvusStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- opening --------------------------------------------------------------------------------

    def _open(self) -> None:
        if not self._main.exists():
            self._check_others()
            if self.read_only:
                raise GalleryError(
                    f"There is no {self._address.name}. Build one first, or open it for writing "
                    "to start an empty one."
                )
            self._main.create(self._describe(self.spec.bits))
        else:
            found = self._spec_of(self._main)
            if found != self.spec:
                raise GalleryError(self._mismatch(found))
        self._main.make_ready(self._address.options.rows)
        if not self.read_only:
            for bits in self._address.options.lengths:
                if bits != self.spec.bits:
                    self._whole_copy(bits)

    def _check_others(self) -> None:
        """GalleryError if this gallery exists on the server with another model."""
        pattern = re.escape(self._address.collection) + r"_\d+_\w{1,12}"
        for name in self._connection.call(self._connection.client.list_collections):
            if re.fullmatch(pattern, name):
                other = self._spec_of(Collection(self._connection, name, 1))
                if other is not None:
                    raise GalleryError(self._mismatch(other))

    def _describe(self, bits: int) -> str:
        return json.dumps({"daah": VERSION, "length": bits, **vars(self.spec)}, sort_keys=True)

    def _spec_of(self, collection: Collection) -> CodeSpec | None:
        """The spec in a description, None when the collection is not one of ours."""
        try:
            facts = json.loads(collection.description())
            if facts.pop("daah") != VERSION or facts.pop("length") != facts["bits"]:
                return None
            return CodeSpec(**facts)
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def _mismatch(self, found: CodeSpec | None) -> str:
        if found is None:
            return f"The {self._address.name} was not made by this program. Choose another name."
        return (
            f"The {self._address.name} was made with {found}, but {self.spec} "
            "is asked for. Open it with the checkpoint it was made with, or build it under another "
            "name."
        )

    # --- prefix collections ---------------------------------------------------------------------
    # They are written after the main one. Each write is announced in them first, by a row with a
    # random negative id that is deleted last; if it remains, the writer was interrupted. A row with
    # id HEAD marks that all rows were copied when the collection was created.

    def _copy(self, bits: int) -> Collection:
        """The same object at every call, because it remembers when it was last written."""
        if bits not in self._known:
            name = f"{self._main.name}_first{bits}"
            self._known[bits] = Collection(self._connection, name, bits)
        return self._known[bits]

    def _copies(self) -> list[Collection]:
        pattern = re.escape(self._main.name) + r"_first(\d+)"
        names = self._connection.call(self._connection.client.list_collections)
        found = [int(m[1]) for name in names if (m := re.fullmatch(pattern, name))]
        return [self._copy(bits) for bits in sorted(found)]

    def _whole_copy(self, bits: int) -> Collection:
        """The collection of one length, created or repaired when it is missing or incomplete."""
        copy = self._copy(bits)
        if time.monotonic() - self._trusted.get(bits, -TRUSTED) < TRUSTED:
            return copy
        if bits not in self._cut and copy.exists():
            copy.make_ready(self._address.options.rows)
            own = {row.id: row.meta.added_at for row in copy.own()}
            late = [at for id, at in own.items() if id != HEAD and time.time() - at > INTERRUPTED]
            if HEAD in own and not late:
                self._trusted[bits] = time.monotonic()
                return copy
        if self.read_only:
            raise GalleryError(
                f"The {self._address.name} has no complete index for codes of {bits} bits. Open it "
                f"for writing and search by {bits} bits once, or search by {self.spec.bits}."
            )
        self.prepare(bits)
        return copy

    @contextmanager
    def _announced(self) -> Iterator[list[tuple[Collection, int]]]:
        """The prefix collections, each with the id of the row that announces a write to it."""
        copies = [(copy, -random.randrange(2, 2**62)) for copy in self._copies()]
        try:
            for copy, ticket in copies:
                copy.upsert([ticket], self._zero(copy.bits), [_now()])
            yield copies
            for copy, ticket in copies:
                copy.delete([ticket])
        except BaseException:  # also after an interrupt the write may be incomplete
            for copy, _ in copies:
                self._cut.add(copy.bits)
                self._trusted.pop(copy.bits, None)
            raise

    def _unlike(self, copy: Collection) -> str:
        return (
            f"The {self._address.name} holds {copy.bits}-bit codes that are not those of its rows. "
            f"Drop the collection {copy.name}; the next {copy.bits}-bit search creates it again."
        )

    # --- small parts ----------------------------------------------------------------------------

    def _head(self) -> Meta:
        """The next generation: the clock, made strictly increasing."""
        self._last_generation = max(self._last_generation + 1, time.time_ns())
        return Meta("", str(self._last_generation), time.time())

    def _zero(self, bits: int) -> np.ndarray:
        return np.zeros((1, nbytes(bits)), np.uint8)

    def _batch(self, rows: Sequence[Row]) -> Batch:
        codes = np.frombuffer(b"".join(row.code for row in rows), np.uint8)
        return Batch(
            np.array([row.id for row in rows], np.int64),
            codes.reshape(len(rows), nbytes(self.spec.bits)).copy(),
            tuple(row.meta for row in rows),
        )

    def _check_writable(self) -> None:
        self._connection.check_open()
        if self.read_only:
            raise GalleryError(
                f"The {self._address.name} was opened read-only; open it for writing instead."
            )


def _now() -> Meta:
    """A Meta with the time only."""
    return Meta("", "", time.time())
