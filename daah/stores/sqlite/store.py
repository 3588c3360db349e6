"""A gallery in one SQLite file. SQLite is the source of truth; a copy in memory serves queries."""

from __future__ import annotations

import contextlib
import io
import os
import sqlite3
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np

from daah.codes import hamming, nbytes, prefix
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
from daah.stores.people import code_logits, person_id
from daah.stores.ranking import asymmetric_each, neighbours, order
from daah.stores.sqlite import code_cache, schema
from daah.stores.sqlite.people import Change, PeopleTable
from daah.stores.sqlite.schema import CODES, DAMAGED, TEMPLATES, Head
from daah.stores.sqlite.snapshot import Held, Labels, Rows, Segment, compact, padded
from daah.stores.validation import ids_argument, query_argument, radius_argument, rows_argument

#: Rows read from SQLite at a time; few enough to stay in the cache of a core during the check.
READ_ROWS = 4_000

#: Rows fetched by id with one statement.
FETCHED_ROWS = 64
FETCH = (
    "SELECT id, code, person, photo, added_at, crc FROM face "
    f"WHERE id IN ({', '.join('?' * FETCHED_ROWS)})"
)

#: Endings of the files of packed codes.
CACHES = {CODES: "codes", TEMPLATES: "templates"}

#: Smaller galleries are read in full at each opening, which takes a tenth of a second.
CACHED_ROWS = 100_000

#: Up to this size all pages of a file are checked before the first write, within a second.
CHECKED_BYTES = 256 * 2**20


class SQLiteStore:
    """CodeStore on one file `path`, with `path`-lock, -acked, -codes, -templates, -wal, -shm.

    One process writes: the first to open without `read_only`; the next is refused. Any number of
    processes read, and notice writes by the generation. All methods are thread-safe. Every write is
    one transaction, flushed to disk before the call returns.

    In memory are codes padded to whole 64-bit words and ids, 12 bytes per face at 64 bits, and as
    much again per person. Person and time of faces (12 bytes more) are loaded when a filter is
    first used. Everything else stays in SQLite.

    Args:
        path: the file; it is created unless `read_only`.
        spec: what the codes are made with.
        read_only: whether writing is refused.
        progress: called with (rows read, rows in all) while all rows are read.
        cached_rows: from this many rows on, a file of packed codes accelerates the next opening.

    Raises:
        GalleryError: the gallery is missing, damaged, locked or of another spec.
    """

    def __init__(
        self,
        path: str | Path,
        spec: CodeSpec,
        *,
        read_only: bool = False,
        progress: Progress | None = None,
        cached_rows: int = CACHED_ROWS,
    ) -> None:
        self.spec = spec
        self.read_only = read_only
        self._path = Path(path)
        self._name = self._path.name  # errors name the file but no folder of the host
        self._table = PeopleTable(spec, self._name)
        self._cached_rows = cached_rows
        self._cached_generation = -1
        self._writing = threading.Lock()
        self._refreshing = threading.RLock()
        self._idle: list[sqlite3.Connection] = []
        self._ordinals: dict[str, int] = {}
        self._closed = False
        self._immutable = False
        self._lock: filelock.BaseFileLock | None = None
        self._acked: io.FileIO | None = None
        self._writer: sqlite3.Connection | None = None
        try:
            self._open(progress)
        except BaseException:  # an interrupt must release the writer's lock too
            self._release()
            raise

    # --- the contract -------------------------------------------------------------------------

    @property
    def generation(self) -> int:
        """Number of row changes ever committed."""
        with self._read() as (connection, _):
            return schema.read_head(connection, self._name).generation

    def upsert(
        self,
        ids: np.ndarray,
        codes: np.ndarray,
        meta: Sequence[Meta],
        logits: np.ndarray | None = None,
    ) -> None:
        """See `CodeStore.upsert`. Rows that would not change are not written."""
        ids, codes, metas, logits = rows_argument(self.spec, ids, codes, meta, logits)
        with self._write() as (connection, head):
            old = self._stored(connection, ids[self._held.faces.contains(ids)])
            names = {m.person: m.name for m in metas if m.name}
            new = [
                (id, code.tobytes(), m.person, m.photo, m.added_at)
                for id, code, m in zip(ids.tolist(), codes, metas, strict=True)
            ]
            crcs = [schema.face_crc(*row) for row in new]
            values = [b""] * len(new) if logits is None else [v.tobytes() for v in logits]
            value_crcs = [
                schema.logits_crc(row[0], value) for row, value in zip(new, values, strict=True)
            ]
            renamed = self._renamed(connection, names)
            picked = np.flatnonzero(
                [
                    old.get(row[0], (None, None, ""))[:2] != both or row[2] in renamed
                    for row, both in zip(new, zip(crcs, value_crcs, strict=True), strict=True)
                ]
            )
            if not len(picked):
                return
            connection.executemany(
                "INSERT OR REPLACE INTO face VALUES (?, ?, ?, ?, ?, ?)",
                ((*new[i], crcs[i]) for i in picked),
            )
            connection.executemany(
                "INSERT OR REPLACE INTO logits VALUES (?, ?, ?)",
                ((new[i][0], values[i], value_crcs[i]) for i in picked),
            )
            picked = picked[np.argsort(ids[picked])]
            replaced = [old[int(id)] for id in ids[picked] if int(id) in old]
            head = replace(
                head,
                generation=head.generation + len(picked),
                faces=head.faces + len(picked) - len(replaced),
                crc_sum=(head.crc_sum + sum(crcs[i] for i in picked) - sum(o[0] for o in replaced))
                % 2**62,
            )
            gone = [(old[new[i][0]][2], new[i][0]) for i in picked if new[i][0] in old]
            come = [(new[i][2], new[i][0]) for i in picked]
            change = self._table.update(connection, head, gone, come, names)
            labels = self._labels_of([metas[i] for i in picked])
            rows = Segment(compact(ids[picked]), padded(codes[picked]), labels)
            if replaced:
                self._forget_cache()
            self._finish(connection, head, ids[picked], rows, change)

    def remove(self, ids: np.ndarray) -> int:
        """See `CodeStore.remove`. Freed bytes are overwritten with zeros in file and log."""
        ids = np.unique(ids_argument(ids))
        with self._write() as (connection, head):
            ids = ids[self._held.faces.contains(ids)]
            if not len(ids):
                return 0
            old = self._stored(connection, ids)
            connection.executemany("DELETE FROM face WHERE id = ?", ((id,) for id in ids.tolist()))
            connection.executemany(
                "DELETE FROM logits WHERE id = ?", ((id,) for id in ids.tolist())
            )
            head = replace(
                head,
                generation=head.generation + len(ids),
                faces=head.faces - len(ids),
                crc_sum=(head.crc_sum - sum(crc for crc, _, _ in old.values())) % 2**62,
            )
            gone = [(person, id) for id, (_, _, person) in old.items()]
            change = self._table.update(connection, head, gone, [], {})
            self._forget_cache()
            self._finish(connection, head, ids, Segment.empty(self.spec.bits, labels=True), change)
            self._checkpoint(connection)
            return len(ids)

    def search(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
        where: Filter | None = None,
    ) -> Hits:
        """See `CodeStore.search`. A filter scans the selected rows, without an index."""
        codes, bits, logits = query_argument(self.spec, codes, k, bits, logits)
        fetch = k if logits is None else max(candidates, k)
        with self._read(labels=where is not None) as (connection, held):
            near = held.faces.search(codes, fetch, bits, where, self._ordinals)
            distances, ids, weighted = _reranked(*near, k, logits)
            found = self._fetch(connection, held, np.unique(ids).tolist())
        meta = tuple(tuple([found[id][1] for id in row]) for row in ids.tolist())
        return Hits(
            _filled(ids, k, -1),
            _filled(distances, k, -1),
            None if weighted is None else _filled(weighted, k, np.inf),
            meta,
        )

    def search_people(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
    ) -> PeopleHits:
        """See `CodeStore.search_people`. Scans one template per person."""
        codes, bits, logits = query_argument(self.spec, codes, k, bits, logits)
        fetch = k if logits is None else max(candidates, k)
        with self._read() as (connection, held):
            near = held.people.search(codes, fetch, bits)
            distances, numbers, weighted = _reranked(*near, k, logits, hamming_first=True)
            people = self._people(connection, held, np.unique(numbers).tolist())
            queries = prefix(codes, bits)
            ids = np.full(numbers.shape, -1, np.int64)
            for number, own in self._table.photos(connection, people.values()).items():
                stored = prefix(held.faces.codes(own)[:, : self._width], bits)
                asked, column = np.nonzero(numbers == number)
                ids[asked, column] = own[hamming(queries[asked], stored).argmin(1)]
            found = self._fetch(connection, held, np.unique(ids).tolist())
        counts = np.array([[people[n][4] for n in row] for row in numbers.tolist()], np.int32)
        return PeopleHits(
            _filled(distances, k, -1),
            None if weighted is None else _filled(weighted, k, np.inf),
            _filled(ids, k, -1),
            _filled(counts.reshape(numbers.shape), k, 0),
            tuple(tuple([found[id][1] for id in row]) for row in ids.tolist()),
        )

    def mean_logits(self, people: Sequence[str]) -> np.ndarray:
        """See `CodeStore.mean_logits`."""
        means = np.zeros((len(people), self.spec.bits), np.float32)
        numbers = np.array([person_id(person) for person in people], np.int64)
        with self._read() as (connection, held):
            there = np.unique(numbers[held.people.contains(numbers)]).tolist()
            rows = self._people(connection, held, there)
            for number, mean in self._table.mean_logits(connection, rows.values()).items():
                means[numbers == number] = mean
        return means

    def within(self, codes: np.ndarray, radius: int, bits: int | None = None) -> Neighbours:
        """See `CodeStore.within`. Scans all codes in memory."""
        codes, bits, _ = query_argument(self.spec, codes, 1, bits, None)
        radius = radius_argument(radius)
        with self._read() as (_, held):
            return neighbours(len(codes), *held.faces.within(codes, min(radius, bits), bits))

    def contains(self, ids: np.ndarray) -> np.ndarray:
        """See `CodeStore.contains`."""
        ids = ids_argument(ids)
        with self._read() as (_, held):
            return held.faces.contains(ids)

    def get(self, ids: np.ndarray) -> Batch:
        """See `CodeStore.get`."""
        ids = ids_argument(ids)
        with self._read() as (connection, held):
            missing = ids[~held.faces.contains(ids)]
            if len(missing):
                raise KeyError(f"no rows with ids {missing[:10].tolist()}")
            found = self._fetch(connection, held, set(ids.tolist()))
        return self._batch(ids, found)

    def scan(
        self,
        where: Filter | None = None,
        batch: int = 10_000,
        logits: bool = False,
        after: int = -1,
    ) -> Iterator[Batch]:
        """See `CodeStore.scan`. Concurrent writes beyond the current batch are included."""
        if batch < 1:
            raise ValueError(f"batch: expected 1 or more, got {batch}")
        last, before, ids = after, None, np.zeros(0, np.int64)
        while True:
            with self._read(labels=where is not None) as (connection, held):
                if held is not before:  # the same snapshot has the same ids
                    ids, before = held.faces.ids(where, self._ordinals), held
                start = np.searchsorted(ids, last, side="right")
                chosen = ids[start : start + batch]
                if not len(chosen):
                    return
                rows = self._batch(chosen, self._fetch(connection, held, chosen.tolist()))
                if logits and held.listed is None:
                    own = self._table.logits(connection, chosen, rows.codes)
                    rows = replace(rows, logits=own)
                elif logits:
                    rows = replace(rows, logits=code_logits(rows.codes, self.spec.bits))
            last = int(chosen[-1])
            yield rows

    def count(self, where: Filter | None = None) -> int:
        """See `CodeStore.count`."""
        with self._read(labels=where is not None) as (_, held):
            rows = held.faces
            return len(rows) if where is None else len(rows.ids(where, self._ordinals))

    def people(self) -> tuple[Person, ...]:
        """See `CodeStore.people`."""
        with self._read() as (connection, held):
            if held.listed is not None:
                rows = list(held.listed.values())
            else:
                head = schema.read_head(connection, self._name)
                rows = [row for batch in self._table.all_rows(connection, head) for row in batch]
        found = [Person(person, name, photos) for _, _, person, name, photos, *_ in rows]
        return tuple(sorted(found, key=lambda person: person.person))

    def count_people(self) -> int:
        """See `CodeStore.count_people`."""
        with self._read() as (_, held):
            return len(held.people)

    def check(self, progress: Progress | None = None) -> None:
        """See `CodeStore.check`. Compares pages, rows, templates and the copies in memory."""
        with self._read() as (connection, held):
            schema.check_pages(connection, self._name)
            head = schema.read_head(connection, self._name)
            faces, people = held.faces.compacted().base, held.people.compacted().base
            stored = [(self._read_all(connection, head, progress), faces, "codes")]
            if held.listed is None:
                self._table.check(connection, head)
                stored.append((self._read_people(connection, head), people, "templates"))
        for found, copy, what in stored:
            if not (
                np.array_equal(found.ids, copy.ids) and np.array_equal(found.codes, copy.codes)
            ):
                raise GalleryError(
                    f"{self._name} holds other {what} than those that are searched. Delete "
                    f"{self._name}-{what} and open the gallery again."
                )

    def compact(self) -> None:
        """See `CodeStore.compact`. Also merges the segments in memory."""
        with self._write(transaction=False) as (connection, _):
            connection.execute("VACUUM")
            self._checkpoint(connection)
            self._held = replace(
                self._held,
                faces=self._held.faces.compacted(),
                people=self._held.people.compacted(),
            )

    def flush(self) -> None:
        """See `CodeStore.flush`. Nothing to do: a committed write is visible at once."""
        self._check_open()

    def close(self) -> None:
        """See `CodeStore.close`. Writes the file of packed codes if needed. Idempotent."""
        if self._closed:
            return
        with self._writing:
            self._closed = True
            if self._writer is not None:
                self._save_cache(self._writer)
                with contextlib.suppress(sqlite3.Error):  # the log is replayed at the next opening
                    self._checkpoint(self._writer)
        self._release()

    def __enter__(self) -> SQLiteStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    # --- opening --------------------------------------------------------------------------------

    def _open(self, progress: Progress | None) -> None:
        try:
            existed = self._path.is_file()
            if not existed and not self.read_only:
                self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GalleryError(
                f"{self._name[:80]} cannot be opened ({error.strerror}). Check its path."
            ) from error
        if not existed and self.read_only:
            raise GalleryError(
                f"there is no gallery {self._name}. Build one first, or open it for writing "
                "to start an empty one."
            )
        if not self.read_only:
            self._take_lock()
        acknowledged = self._read_acked()  # before the database, which can only be newer
        with schema.named_errors(self._name):
            self._immutable = self.read_only and self._is_unwritable()
            if not self.read_only:
                self._writer = self._connect()
                if self._is_new(self._writer):
                    if existed and acknowledged and acknowledged[1]:
                        raise GalleryError(
                            f"{self._name} is empty though faces were added to it. {DAMAGED}"
                        )
                    schema.create(self._writer, self.spec)
            connection = self._writer or self._connect()
            try:
                schema.check_layout(connection, self._name)
                if not self.read_only:
                    if self._path.stat().st_size <= CHECKED_BYTES:
                        schema.check_pages(connection, self._name)
                    self._upgrade(connection)
                connection.execute("BEGIN")
                head = schema.read_head(connection, self._name)
                schema.check_spec(head.spec, self.spec, self._name)
                self._check_acknowledged(head, acknowledged)
                self._uuid = head.uuid
                self._held = self._load(connection, head, progress)
                connection.execute("COMMIT")
            finally:
                if connection is not self._writer:
                    connection.close()
        if self._writer is not None:
            self._open_acked(head)

    def _beside(self, ending: str) -> Path:
        return self._path.with_name(f"{self._name}-{ending}")

    def _take_lock(self) -> None:
        try:
            lock = filelock.FileLock(self._beside("lock"), timeout=0, thread_local=False)
            lock.acquire()
        except filelock.Timeout:
            raise GalleryError(
                f"{self._name} is being written by another program. Wait until it is done, or "
                "open the gallery read-only."
            ) from None
        except OSError as error:
            raise GalleryError(
                f"{self._name} cannot be opened for writing ({error.strerror}). Check free space "
                "and the permissions of its folder, or open the gallery read-only."
            ) from error
        self._lock = lock

    def _is_unwritable(self) -> bool:
        """Whether SQLite must take the file as immutable: it could not make its shared memory."""
        if os.access(self._path.parent, os.W_OK):
            return False
        log = self._beside("wal")
        if log.exists() and log.stat().st_size:
            raise GalleryError(
                f"{self._name} has unfinished writes and its folder is read-only. Open and close "
                "it once for writing."
            )
        return True

    def _connect(self) -> sqlite3.Connection:
        mode = "rwc" if not self.read_only else "ro&immutable=1" if self._immutable else "ro"
        connection = sqlite3.connect(
            f"{self._path.absolute().as_uri()}?mode={mode}",
            uri=True,
            timeout=10,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA secure_delete = ON")
        return connection

    def _is_new(self, connection: sqlite3.Connection) -> bool:
        """Whether the file was just made. A gallery has several pages, so a damaged one is not."""
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        return pages <= 1 and self._path.stat().st_size <= 4096

    def _upgrade(self, connection: sqlite3.Connection) -> None:
        """Bring a file of an earlier version up to date, in one transaction."""
        head = schema.read_head(connection, self._name)  # before anything is written
        if schema.version(connection) == schema.VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        try:
            schema.add_tables(connection)
            self._table.fill(connection, head)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _load(self, connection: sqlite3.Connection, head: Head, progress: Progress | None) -> Held:
        if schema.version(connection) < schema.WITH_PEOPLE:
            people, listed = self._make_people(connection)
            faces = self._read_all(connection, head, progress)
            return self._held_of(head.generation, faces, people, listed)
        if head.faces >= self._cached_rows:
            faces, people = (self._cached(connection, head, which) for which in (CODES, TEMPLATES))
            if faces is not None and people is not None and faces[0] == people[0]:
                held = self._held_of(faces[0], faces[1], people[1])
                caught = self._caught_up(connection, held, head)
                if caught is not None:
                    self._cached_generation = faces[0]
                    return caught
        faces = self._read_all(connection, head, progress)
        return self._held_of(head.generation, faces, self._read_people(connection, head))

    def _held_of(
        self,
        generation: int,
        faces: Segment,
        people: Segment,
        listed: dict[int, schema.PersonRow] | None = None,
    ) -> Held:
        bits = self.spec.bits
        return Held(Rows.of(generation, bits, faces), Rows.of(generation, bits, people), listed)

    def _cached(
        self, connection: sqlite3.Connection, head: Head, which: int
    ) -> tuple[int, Segment] | None:
        """Generation and rows of a file of packed codes; None where it cannot be used."""
        digest = schema.read_packed(connection, which)
        return code_cache.read(self._beside(CACHES[which]), head, digest) if digest else None

    def _read_people(self, connection: sqlite3.Connection, head: Head) -> Segment:
        """All rows of `person`, compared with their count and sum."""
        rows = [row for batch in self._table.all_rows(connection, head) for row in batch]
        return self._table.segment(rows)

    def _make_people(
        self, connection: sqlite3.Connection
    ) -> tuple[Segment, dict[int, schema.PersonRow]]:
        """People of a file of an earlier version, which has no table of them."""
        rows = sorted(self._table.made(connection))
        return self._table.segment(rows), {row[0]: row for row in rows}

    def _read_all(
        self, connection: sqlite3.Connection, head: Head, progress: Progress | None
    ) -> Segment:
        """All rows, from SQLite itself, compared with the counts and sums of `head`."""
        ids, codes = np.zeros(head.faces, np.int64), np.zeros(head.faces, f"V{self._width}")
        done, crc_sum = 0, 0
        for batch in self._faces(connection):
            stop = done + len(batch)
            if stop > head.faces:
                break
            ids[done:stop] = [row[0] for row in batch]
            codes[done:stop] = np.frombuffer(b"".join(row[1] for row in batch), codes.dtype)
            crc_sum += sum(row[5] for row in batch)
            done = stop
            if progress is not None:
                progress(done, head.faces)
        else:
            if done == head.faces and crc_sum % 2**62 == head.crc_sum and (np.diff(ids) > 0).all():
                packed = codes.view(np.uint8).reshape(done, self._width)
                wide = packed if self._width % 8 == 0 else padded(packed)
                return Segment(compact(ids), wide)
        raise GalleryError(f"{self._name} is damaged: rows are missing or too many. {DAMAGED}")

    def _faces(self, connection: sqlite3.Connection) -> Iterator[list[schema.Face]]:
        """All rows of `face` by id, each checked, in batches."""
        cursor = connection.execute(
            "SELECT id, code, person, photo, added_at, crc FROM face ORDER BY id"
        )
        while batch := cursor.fetchmany(READ_ROWS):
            schema.check_faces(batch, self._width, self._name)
            yield batch

    @property
    def _width(self) -> int:
        return nbytes(self.spec.bits)

    # --- reading --------------------------------------------------------------------------------

    @contextmanager
    def _read(self, labels: bool = False) -> Iterator[tuple[sqlite3.Connection, Held]]:
        """A connection in a read transaction, and the rows in memory of the same generation."""
        self._check_open()
        with schema.named_errors(self._name):
            try:
                connection = self._idle.pop()
            except IndexError:
                connection = self._connect()
            try:
                held = self._agreed(connection, labels)
                yield connection, held
            except BaseException:  # a connection within a transaction must not be reused
                connection.close()
                raise
            connection.execute("COMMIT")
            self._idle.append(connection)
        if self._closed:  # by another thread
            self._release()

    def _agreed(self, connection: sqlite3.Connection, labels: bool) -> Held:
        """Begin a read transaction whose generation is that of the rows in memory."""
        for _ in range(1000):
            connection.execute("BEGIN")
            held = self._held
            (generation,) = connection.execute("SELECT generation FROM gallery").fetchone()
            if generation == held.generation:
                return self._labelled(connection, held) if labels else held
            if generation > held.generation and self.read_only:
                with self._refreshing:
                    head = schema.read_head(connection, self._name)
                    if head.uuid != self._uuid:
                        break
                    if head.generation > self._held.generation:
                        self._held = self._caught_up(connection, self._held, head) or self._load(
                            connection, head, None
                        )
            connection.execute("ROLLBACK")
            if generation > held.generation and not self.read_only:
                with self._writing:  # waits until a write of this process is in memory too
                    pass
        raise GalleryError(f"{self._name} was replaced while it was open. Open it again.")

    def _caught_up(self, connection: sqlite3.Connection, held: Held, head: Head) -> Held | None:
        """`held` updated to the generation of `head` by the changes; None if some are missing."""
        if held.listed is not None:
            return None
        changes = self._changes(connection, "change", held.generation)
        if [c[0] for c in changes] != list(range(held.generation + 1, head.generation + 1)):
            return None
        touched = self._changes(connection, "person_change", held.generation)
        if any(schema.change_crc(*c[:2]) != c[2] for c in [*changes, *touched]):
            return None
        if not changes:
            return held
        ids = np.unique(np.array([c[1] for c in changes], np.int64))
        found = self._fetch(connection, None, ids.tolist(), partial=True)
        there = np.array([id for id in ids.tolist() if id in found], np.int64)
        batch = self._batch(there, found)
        come = Segment(compact(there), padded(batch.codes), self._labels_of(batch.meta))
        numbers = np.unique(np.array([c[1] for c in touched], np.int64))
        people = self._table.segment(sorted(self._table.rows(connection, numbers.tolist())))
        after = self._after(held, head, ids, come, Change(numbers, people))
        expected = schema.read_people(connection, head.uuid, self._name).count
        return after if (len(after.faces), len(after.people)) == (head.faces, expected) else None

    def _changes(
        self, connection: sqlite3.Connection, table: str, since: int
    ) -> list[tuple[int, int, int]]:
        """Rows of a table of changes after a generation; a damaged one stays wrong."""
        rows = connection.execute(
            f"SELECT generation, id, crc FROM {table} WHERE generation > ? ORDER BY generation",
            (since,),
        ).fetchall()
        return [row if isinstance(row[1], int) else (row[0], 0, -1) for row in rows]

    def _after(
        self, held: Held, head: Head, ids: np.ndarray, come: Segment, change: Change
    ) -> Held:
        """What is in memory after a write."""
        return Held(
            held.faces.changed(head.generation, ids, come),
            held.people.changed(head.generation, change.ids, change.come),
        )

    def _labelled(self, connection: sqlite3.Connection, held: Held) -> Held:
        """The same rows with person and time, loaded when a filter is first used."""
        rows = held.faces
        if rows.base.labels is not None:
            return held
        with self._refreshing:
            now = self._held
            if now.generation == held.generation and now.faces.base.labels is not None:
                return now
            labels = Labels(
                np.zeros(len(rows.base.ids), np.int32), np.zeros(len(rows.base.ids), np.float64)
            )
            seen = 0
            for batch in self._faces(connection):
                row, there = rows.base.find(np.array([r[0] for r in batch], np.int64))
                part = self._labels([r[2] for r in batch], [r[4] for r in batch])
                labels.person[row[there]] = part.person[there]
                labels.added_at[row[there]] = part.added_at[there]
                seen += len(batch)
            if seen != len(rows):
                raise GalleryError(f"{self._name} is damaged: rows are missing. {DAMAGED}")
            held = replace(held, faces=rows.with_labels(labels))
        # Never wait for a writer within a read transaction: it may wait for readers to finish.
        if self._writing.acquire(blocking=False):
            try:
                if self._held.generation == held.generation:  # else the next filter reads again
                    self._held = held
            finally:
                self._writing.release()
        return held

    def _labels(self, people: Sequence[str], added_at: Sequence[float]) -> Labels:
        """Ordinals of persons (new names get the next ones) with their times."""
        with self._refreshing:
            known, number = self._ordinals, self._ordinals.setdefault
            numbers = np.array([number(person, len(known)) for person in people], np.int32)
        return Labels(numbers, np.array(added_at, np.float64))

    def _labels_of(self, metas: Sequence[Meta]) -> Labels:
        return self._labels([m.person for m in metas], [m.added_at for m in metas])

    def _fetch(
        self,
        connection: sqlite3.Connection,
        held: Held | None,
        ids: Iterable[int],
        partial: bool = False,
    ) -> dict[int, tuple[bytes, Meta]]:
        """Code and Meta of rows by id, each checked; unless `partial`, all must be there.

        Without `held`, Metas have no display names.
        """
        wanted = list(ids)
        found = {}
        for start in range(0, len(wanted), FETCHED_ROWS):
            part = wanted[start : start + FETCHED_ROWS]
            part += part[-1:] * (FETCHED_ROWS - len(part))  # one statement, prepared once
            rows = connection.execute(FETCH, part).fetchall()
            schema.check_faces(rows, self._width, self._name)
            for id, code, person, photo, added_at, _ in rows:
                found[id] = (code, Meta(person, photo, added_at))
        if not partial and any(id not in found for id in wanted):
            raise GalleryError(f"{self._name} is damaged: a row is missing. {DAMAGED}")
        if held is None or held.listed is not None:
            return found
        people = {meta.person for _, meta in found.values()}
        rows = self._people(connection, held, [person_id(person) for person in people])
        names = {person: name for _, _, person, name, *_ in rows.values()}
        if not people <= names.keys():
            raise GalleryError(f"{self._name} is damaged: a person is missing. {DAMAGED}")
        return {
            id: (code, replace(meta, name=names[meta.person]) if names[meta.person] else meta)
            for id, (code, meta) in found.items()
        }

    def _people(
        self, connection: sqlite3.Connection, held: Held, numbers: list[int]
    ) -> dict[int, schema.PersonRow]:
        """Rows of people by number, each checked; all must be there."""
        if held.listed is not None:
            return {number: held.listed[number] for number in numbers}
        found = {row[0]: row for row in self._table.rows(connection, numbers)}
        if len(found) != len(numbers):
            raise GalleryError(f"{self._name} is damaged: a person is missing. {DAMAGED}")
        return found

    def _batch(self, ids: np.ndarray, found: dict[int, tuple[bytes, Meta]]) -> Batch:
        codes = b"".join(found[id][0] for id in ids.tolist())
        return Batch(
            ids,
            np.frombuffer(codes, np.uint8).reshape(len(ids), self._width).copy(),
            tuple(found[id][1] for id in ids.tolist()),
        )

    # --- writing --------------------------------------------------------------------------------

    @contextmanager
    def _write(self, transaction: bool = True) -> Iterator[tuple[sqlite3.Connection, Head]]:
        """The writing connection in a transaction, rolled back on any error, and the head."""
        self._check_open()
        if self._writer is None:
            raise GalleryError(f"{self._name} was opened read-only; open it for writing instead.")
        with self._writing, schema.named_errors(self._name):
            self._check_open()
            connection = self._writer
            try:
                if transaction:
                    connection.execute("BEGIN IMMEDIATE")
                yield connection, schema.read_head(connection, self._name)
            finally:
                if connection.in_transaction:
                    with contextlib.suppress(sqlite3.Error):  # the first error is the one to tell
                        connection.execute("ROLLBACK")

    def _stored(
        self, connection: sqlite3.Connection, ids: np.ndarray
    ) -> dict[int, tuple[int, int, str]]:
        """CRC of row and of logits, and the person, of rows that must be there."""
        found = {}
        for id in ids.tolist():
            row = connection.execute(
                "SELECT f.crc, l.crc, f.person FROM face AS f JOIN logits AS l ON l.id = f.id "
                "WHERE f.id = ?",
                (id,),
            ).fetchone()
            if row is None:
                raise GalleryError(f"{self._name} is damaged: a row is missing. {DAMAGED}")
            found[id] = row
        return found

    def _renamed(self, connection: sqlite3.Connection, names: dict[str, str]) -> set[str]:
        """Those who are in the gallery by another display name than the given one."""
        rows = self._table.rows(connection, map(person_id, names))
        return {person for _, _, person, name, *_ in rows if names.get(person, name) != name}

    def _finish(
        self,
        connection: sqlite3.Connection,
        head: Head,
        ids: np.ndarray,
        come: Segment,
        change: Change,
    ) -> None:
        """Store the head and the changed ids, commit, and update the copy in memory.

        Whatever can fail precedes the commit: after it both must agree.
        """
        after = self._after(self._held, head, ids, come, change)
        first = head.generation - len(ids) + 1
        if len(ids) > schema.CHANGES_KEPT:
            connection.execute("DELETE FROM change")
        else:
            connection.execute(
                "DELETE FROM change WHERE generation <= ?",
                (head.generation - schema.CHANGES_KEPT,),
            )
            connection.executemany(
                "INSERT INTO change VALUES (?, ?, ?)",
                (
                    (generation, id, schema.change_crc(generation, id))
                    for generation, id in enumerate(ids.tolist(), first)
                ),
            )
        schema.write_head(connection, head)
        connection.execute("COMMIT")
        self._held = after
        # If this fails, only a loss of acknowledged writes by a damaged log would not be detected.
        with contextlib.suppress(OSError):
            self._write_acked(head.generation)

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        """Write the log (WAL) into the file and truncate it, so that it keeps no removed data.

        A concurrent search delays it; after a second the next removal, or closing, tries again.
        """
        connection.execute("PRAGMA busy_timeout = 1000")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute("PRAGMA busy_timeout = 10000")

    def _forget_cache(self) -> None:
        """Delete the caches before codes are removed or replaced, because they have copies."""
        for ending in CACHES.values():
            try:
                code_cache.drop(self._beside(ending))
            except OSError as error:
                raise GalleryError(
                    f"{self._name}-{ending} holds a copy of removed codes and cannot be deleted "
                    f"({error.strerror}); nothing was changed. Check the permissions of its folder."
                ) from error
        self._cached_generation = -1

    def _save_cache(self, connection: sqlite3.Connection) -> None:
        held = self._held
        head = Head(self._uuid, self.spec, held.generation, len(held.faces), 0)
        if len(held.faces) < self._cached_rows or self._cached_generation == head.generation:
            return
        # Without the caches, for example on a full disk, the next opening reads the gallery itself.
        with contextlib.suppress(OSError, sqlite3.Error):
            for which, rows in ((CODES, held.faces), (TEMPLATES, held.people)):
                base = rows.compacted().base
                digest = code_cache.write(self._beside(CACHES[which]), head, base)
                schema.write_packed(connection, digest, which)

    # --- what was acknowledged ------------------------------------------------------------------
    # SQLite silently drops the end of its log when a byte of it is wrong. The generation of the
    # last acknowledged write is kept in a file of its own, so that such a loss is detected.

    def _read_acked(self) -> tuple[bytes, int] | None:
        try:
            data = self._beside("acked").read_bytes()
        except OSError:
            return None
        if len(data) != 28 or zlib.crc32(data[:24]) != int.from_bytes(data[24:], "little"):
            return None
        return data[:16], int.from_bytes(data[16:24], "little")

    def _check_acknowledged(self, head: Head, acknowledged: tuple[bytes, int] | None) -> None:
        if acknowledged and acknowledged[0] == head.uuid and acknowledged[1] > head.generation:
            raise GalleryError(
                f"{self._name} lost its last {acknowledged[1] - head.generation} changes: its log "
                f"is damaged, or an older copy was put back. Delete {self._name}-acked to accept "
                "the gallery as it is."
            )

    def _open_acked(self, head: Head) -> None:
        try:
            path = self._beside("acked")
            path.touch()
            self._acked = io.FileIO(path, "r+")
            self._write_acked(head.generation)
        except OSError as error:
            raise GalleryError(
                f"{self._name} cannot be opened for writing ({error.strerror}). Check free space "
                "and the permissions of its folder."
            ) from error

    def _write_acked(self, generation: int) -> None:
        assert self._acked is not None
        data = self._uuid + struct.pack("<Q", generation)
        self._acked.seek(0)
        self._acked.write(data + struct.pack("<I", zlib.crc32(data)))

    # --- the end --------------------------------------------------------------------------------

    def _check_open(self) -> None:
        if self._closed:
            raise GalleryError(f"{self._name} is closed; open it again.")

    def _release(self) -> None:
        """Close connections and files, and let the next writer in."""
        while self._idle:
            self._idle.pop().close()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        if self._acked is not None:
            self._acked.close()
            self._acked = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None


def _reranked(
    distances: np.ndarray,
    ids: np.ndarray,
    codes: np.ndarray,
    k: int,
    logits: np.ndarray | None,
    hamming_first: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """The first k of the nearest rows (Q, C), with logits re-ranked by asymmetric distance.

    hamming_first: whether only rows of equal Hamming distance are re-ranked.
    """
    if logits is None:
        return distances, ids, None
    weighted = asymmetric_each(logits, codes)
    keep = order(*([distances] if hamming_first else []), weighted, ids)[:, :k]
    query = np.arange(len(ids))[:, None]
    return distances[query, keep], ids[query, keep], weighted[query, keep]


def _filled(array: np.ndarray, k: int, empty: float) -> np.ndarray:
    """Columns (Q, C <= k) with `empty` up to (Q, k)."""
    if array.shape[1] == k:
        return array
    full = np.full((len(array), k), empty, array.dtype)
    full[:, : array.shape[1]] = array
    return full
