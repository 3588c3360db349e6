"""A gallery on a Milvus server: collections of codes, of templates, of prefixes, and of logits."""

from __future__ import annotations

import itertools
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from daah.codes import from_logits, nbytes, prefix
from daah.errors import ConfigError, GalleryError
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
from daah.stores.milvus.client import Connection
from daah.stores.milvus.collection import (
    PERSON_BYTES,
    PHOTO_BYTES,
    WRITE_ROWS,
    Collection,
    Found,
    Row,
)
from daah.stores.milvus.logits import LogitsCollection
from daah.stores.milvus.uri import parse
from daah.stores.people import code_logits, person_id, sums
from daah.stores.ranking import asymmetric_each, neighbours, order
from daah.stores.validation import ids_argument, query_argument, radius_argument, rows_argument

VERSION = 1
#: Id of the row that holds the generation; in a prefix collection it marks the copy as complete.
HEAD = -1
#: Seconds after which an announced, unfinished write to a prefix collection counts as interrupted.
INTERRUPTED = 120.0
#: Seconds for which a prefix collection that was found complete is not checked again.
TRUSTED = 5.0
#: Photos whose logits are read at a time, about, when all templates are computed again.
PHOTOS_AT_ONCE = 20_000
#: People whose photos are read with one request.
PEOPLE_AT_ONCE = 500
#: Rows that are first asked for in a search by radius.
NEIGHBOURS = 64


@dataclass(frozen=True, eq=False)
class _Write:
    """A write in progress.

    codes: the prefix collections of codes. people: that of people and its prefixes. tickets: the
    row that announces the write in each of them, by its name.
    """

    codes: list[Collection]
    people: list[Collection]
    tickets: dict[str, int]


class MilvusStore:
    """CodeStore on a server.

    The collection is named by the gallery, the number of bits and the model's fingerprint; its
    description holds the whole spec. Search by a prefix needs a collection of its own. It is
    created by the first search of that length, by `prepare`, or by `lengths=` in the URI.

    Templates of people are a collection of their own, and logits of photos another one, which only
    writers read. After every write the templates of the people whom it touches are computed again
    from what is on the server, until what they were computed from is what is there: so the last of
    several processes that write to one person leaves the right template.

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
        self._known: dict[str, Collection] = {}
        self._trusted: dict[str, float] = {}
        self._cut: set[str] = set()
        self._there: set[str] = set()
        self._last_generation = 0
        wrong = [bits for bits in address.options.lengths if not 1 <= bits <= spec.bits]
        if wrong:
            raise ConfigError(f"lengths: expected 1 to {spec.bits} bits, got {wrong}")
        self._connection = Connection(address)
        fingerprint = re.sub(r"\W", "_", spec.fingerprint)[:12]
        name = f"{address.collection}_{spec.bits}_{fingerprint}"
        self._main = Collection(self._connection, name, spec.bits)
        self._crowd = Collection(self._connection, f"{name}_people", spec.bits)
        self._logits = LogitsCollection(self._connection, f"{name}_logits", spec.bits)
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

    def upsert(
        self,
        ids: np.ndarray,
        codes: np.ndarray,
        meta: Sequence[Meta],
        logits: np.ndarray | None = None,
    ) -> None:
        """See `CodeStore.upsert`. Atomic for up to 10,000 rows; their people follow at once.

        Raises:
            GalleryError: also when a name is longer than a field of the collection.
        """
        ids, codes, metas, logits = rows_argument(self.spec, ids, codes, meta, logits)
        for m in metas:
            if (
                len(m.person.encode()) > PERSON_BYTES
                or max(len(m.photo.encode()), len(m.name.encode())) > PHOTO_BYTES
            ):
                raise GalleryError(
                    f"The {self._address.name} holds names of people up to {PERSON_BYTES} bytes, "
                    f"and of photos and to show up to {PHOTO_BYTES}. Shorten the longer ones."
                )
        self._check_writable()
        if not len(ids):
            return
        listed = ids.tolist()
        with self._writing, self._announced() as write:
            before = {row.meta.person for row in self._main.fetch(listed).values()}
            known = code_logits(codes, self.spec.bits) if logits is None else logits
            self._logits.upsert(listed, known)
            # The generation is the last row: newer only when all rows are there.
            self._main.upsert(
                [*listed, HEAD],
                np.concatenate([codes, self._zero(self.spec.bits)]),
                [*metas, self._head()],
            )
            for copy in write.codes:
                copy.upsert(listed, prefix(codes, copy.bits), metas)
            names = {m.person: m.name for m in metas if m.name}
            self._follow(write, before | {m.person for m in metas}, names)

    def remove(self, ids: np.ndarray) -> int:
        """See `CodeStore.remove`. The server erases deleted bytes when it compacts."""
        ids = np.unique(ids_argument(ids))
        ids = ids[ids >= 0]
        self._check_writable()
        with self._writing:
            found = self._main.fetch(ids.tolist(), strong=True) if len(ids) else {}
            there = sorted(found)
            if not there:
                return 0
            with self._announced() as write:
                self._main.delete(there)
                self._main.upsert([HEAD], self._zero(self.spec.bits), [self._head()])
                for copy in write.codes:
                    self._delete(copy, there, write)
                self._logits.delete(there)
                self._follow(write, {row.meta.person for row in found.values()}, {})
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
        with self._connection.operation():
            return self._search(codes, k, bits, logits, candidates, where)

    def _search(
        self,
        codes: np.ndarray,
        k: int,
        bits: int,
        logits: np.ndarray | None,
        candidates: int,
        where: Filter | None,
    ) -> Hits:
        target = self._target(self._main, bits)
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
        return Hits(ids, distances, weighted, self._named(meta))

    def search_people(
        self,
        codes: np.ndarray,
        k: int,
        bits: int | None = None,
        logits: np.ndarray | None = None,
        candidates: int = 200,
    ) -> PeopleHits:
        """See `CodeStore.search_people`."""
        codes, bits, logits = query_argument(self.spec, codes, k, bits, logits)
        with self._connection.operation():
            return self._search_people(codes, k, bits, logits, candidates)

    def _search_people(
        self,
        codes: np.ndarray,
        k: int,
        bits: int,
        logits: np.ndarray | None,
        candidates: int,
    ) -> PeopleHits:
        self._require_people()
        target = self._target(self._crowd, bits)
        fetch = k if logits is None else max(candidates, k)
        found = target.nearest(prefix(codes, bits), fetch, None) if len(codes) else []
        distances = np.full((len(codes), k), -1, np.int32)
        weighted = None if logits is None else np.full((len(codes), k), np.inf, np.float32)
        ids = np.full((len(codes), k), -1, np.int64)
        photos = np.zeros((len(codes), k), np.int32)
        meta = []
        for q, near in enumerate(found):
            if weighted is not None:
                far = asymmetric_each(logits[q : q + 1], near.codes[None])
                keep = order(near.distances[None], far, near.ids[None])[0, :k]
                near = near.chosen(keep)
                weighted[q, : len(near)] = far[0, keep]
            people = [_person(row) for row in near.metas()]
            best = self._nearest_photos(codes[q : q + 1], bits, [p.person for p in people])
            # Whoever was removed since has no photo, and goes.
            there = [i for i, person in enumerate(people) if person.person in best]
            if weighted is not None:
                weighted[q, : len(there)] = weighted[q, there]
                weighted[q, len(there) :] = np.inf
            distances[q, : len(there)] = near.distances[there]
            ids[q, : len(there)] = [best[people[i].person][0] for i in there]
            photos[q, : len(there)] = [people[i].photos for i in there]
            meta.append(
                tuple(replace(best[people[i].person][1], name=people[i].name) for i in there)
            )
        return PeopleHits(distances, weighted, ids, photos, tuple(meta))

    def mean_logits(self, people: Sequence[str]) -> np.ndarray:
        """See `CodeStore.mean_logits`."""
        means = np.zeros((len(people), self.spec.bits), np.float32)
        with self._connection.operation():
            rows = self._main.of_people(set(people)) if people else []
            logits = self._logits_of(rows)
        found = {
            person: total / (own.stop - own.start)
            for person, total, own in sums([row.meta.person for row in rows], logits)
        }
        for row, person in enumerate(people):
            if person in found:
                means[row] = found[person]
        return means

    def within(self, codes: np.ndarray, radius: int, bits: int | None = None) -> Neighbours:
        """See `CodeStore.within`. Asks for more rows until one is beyond the radius.

        The server's own range search cuts its answer like any other; this one does not.
        """
        codes, bits, _ = query_argument(self.spec, codes, 1, bits, None)
        radius = radius_argument(radius)
        with self._connection.operation():
            target = self._target(self._main, bits)
            cut = prefix(codes, bits)
            done: dict[int, Found] = {}
            k = NEIGHBOURS
            while len(done) < len(codes):
                open_ = [q for q in range(len(codes)) if q not in done]
                for q, found in zip(open_, target.nearest(cut[open_], k, None), strict=True):
                    if len(found) < k or found.distances[-1] > radius:
                        done[q] = found.chosen(np.flatnonzero(found.distances <= radius))
                k *= 4
        near = [done[q] for q in range(len(codes))]
        empty = np.zeros(0, np.int64)
        return neighbours(
            len(codes),
            np.repeat(np.arange(len(codes)), [len(found) for found in near]),
            np.concatenate([empty, *(found.ids for found in near)]),
            np.concatenate([empty, *(found.distances for found in near)]),
        )

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
        wanted = [id for id in np.unique(ids).tolist() if id >= 0]
        with self._connection.operation():
            found = self._main.fetch(wanted) if wanted else {}
            missing = [id for id in ids.tolist() if id not in found]
            if missing:
                raise KeyError(f"no rows with ids {missing[:10]}")
            return self._batch([found[id] for id in ids.tolist()])

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
        self._connection.check_open()
        last = after
        while rows := self._main.after(last, where, batch):
            last = rows[-1].id
            made = self._batch(rows)
            yield replace(made, logits=self._logits_of(rows)) if logits else made
            self._connection.check_open()

    def count(self, where: Filter | None = None) -> int:
        """See `CodeStore.count`."""
        self._connection.check_open()
        return self._main.count(where)

    def people(self) -> tuple[Person, ...]:
        """See `CodeStore.people`. Reads all rows of people."""
        self._connection.check_open()
        found = []
        last = -1
        if self._has_people():
            while rows := self._crowd.after(last, None, WRITE_ROWS):
                last = rows[-1].id
                found += [_person(row.meta) for row in rows]
        else:
            counts: Counter[str] = Counter()
            while names := self._main.names_after(last):
                last = names[-1][0]
                counts.update(name for _, name in names)
            found = [Person(person, "", photos) for person, photos in counts.items()]
        return tuple(sorted(found, key=lambda person: person.person))

    def count_people(self) -> int:
        """See `CodeStore.count_people`."""
        self._connection.check_open()
        return self._crowd.count() if self._has_people() else len(self.people())

    def check(self, progress: Progress | None = None) -> None:
        """See `CodeStore.check`. Compares counts, templates, and prefixes with their full codes."""
        self._connection.check_open()
        bases = [self._main, *([self._crowd] if self._has_people() else [])]
        copies = {base.name: self._copies(base) for base in bases}
        for copy in [copy for found in copies.values() for copy in found]:
            copy.make_ready(self._address.options.rows)
        total, done = self._main.count(strong=True), 0
        for rows in self._rows(self._main):
            done += len(rows)
            self._compare(rows, copies[self._main.name])
            if progress is not None:
                progress(done, total)
        if done != total:
            raise GalleryError(
                f"The {self._address.name} counts {total} rows but gives {done}. Check again when "
                "no other program writes to it; if that stays so, restore it from a backup."
            )
        for copy in copies[self._main.name]:
            if copy.count(strong=True) != total:
                raise GalleryError(self._unlike(copy))
        if self._has_people():
            self._check_people(copies[self._crowd.name])

    def compact(self) -> None:
        """See `CodeStore.compact`. The server does it asynchronously."""
        self._check_writable()
        for target in [*self._all(), *([self._logits] if self._logits.exists() else [])]:
            target.compact()

    def flush(self) -> None:
        """See `CodeStore.flush`. Waits until the server has made all writes searchable."""
        self._connection.check_open()
        for target in self._all():
            target.count(strong=True)

    def close(self) -> None:
        """See `CodeStore.close`. Waits for calls of other threads. Idempotent."""
        self._connection.close()

    # --- beyond the contract --------------------------------------------------------------------

    def prepare(self, bits: int) -> None:
        """Create the collections for search by a prefix, or create them again.

        Best while no other process writes: a write that is concurrent with the beginning can be
        missed.

        Args:
            bits: length of the prefix.

        Raises:
            GalleryError: the store is read-only, or the server cannot do it.
        """
        self._check_writable()
        with self._writing:
            for base in (self._main, self._crowd):
                self._make_copy(base, bits)

    def reindex(self) -> None:
        """Rebuild the index for the present number of rows; no search is possible meanwhile.

        Raises:
            GalleryError: the store is read-only, or the server cannot do it.
        """
        self._check_writable()
        with self._writing:
            rows = self._main.count(strong=True)
            for target in self._all():
                target.reindex(rows)

    def drop(self) -> None:
        """Delete the gallery with all its prefixes from the server, and close.

        Raises:
            GalleryError: the store is read-only, or the server cannot do it.
        """
        self._check_writable()
        with self._writing:
            for target in reversed(self._all()):
                target.drop()
            self._logits.drop()
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
            self._logits.make_ready()
            self._require_people()
            for bits in self._address.options.lengths:
                for base in (self._main, self._crowd):
                    self._target(base, bits)
        elif self._has_people():
            self._crowd.make_ready(self._address.options.rows)

    def _check_others(self) -> None:
        """GalleryError if this gallery exists on the server with another model."""
        pattern = re.escape(self._address.collection) + r"_\d+_\w{1,12}"
        for name in self._connection.call(self._connection.client.list_collections):
            if re.fullmatch(pattern, name):
                other = self._spec_of(Collection(self._connection, name, 1))
                if other is not None:
                    raise GalleryError(self._mismatch(other))

    def _describe(self, bits: int, **more: str) -> str:
        facts = {"daah": VERSION, "length": bits, **vars(self.spec), **more}
        return json.dumps(facts, sort_keys=True)

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

    # --- collections that follow from the main one ----------------------------------------------
    # Prefixes and people are written after the main one. Each write is announced in them first, by
    # a row with a random negative id that is deleted last; if it remains, the writer was
    # interrupted. A row with id HEAD marks that all rows were there when the collection was made.

    def _copy(self, base: Collection, bits: int) -> Collection:
        """The same object at every call, because it remembers when it was last written."""
        name = f"{base.name}_first{bits}"
        if name not in self._known:
            self._known[name] = Collection(self._connection, name, bits)
        return self._known[name]

    def _copies(self, base: Collection) -> list[Collection]:
        """The prefix collections of codes or templates."""
        pattern = re.escape(base.name) + r"_first(\d+)"
        names = self._connection.call(self._connection.client.list_collections)
        found = [int(m[1]) for name in names if (m := re.fullmatch(pattern, name))]
        return [self._copy(base, bits) for bits in sorted(found)]

    def _all(self) -> list[Collection]:
        """All collections of codes."""
        crowd = [self._crowd] if self._has_people() else []
        return [self._main, *self._copies(self._main), *crowd, *self._copies(self._crowd)]

    def _target(self, base: Collection, bits: int) -> Collection:
        """The collection to search, made or repaired when it is missing or incomplete."""
        if bits == self.spec.bits:
            return base
        copy = self._copy(base, bits)
        if not self._is_whole(copy):
            if self.read_only:
                raise GalleryError(
                    f"The {self._address.name} has no complete index for codes of {bits} bits. "
                    f"Open it for writing and search by {bits} bits once, or search by "
                    f"{self.spec.bits}."
                )
            self._make_copy(base, bits)
        return copy

    def _make_copy(self, base: Collection, bits: int) -> None:
        with self._writing:
            copy = self._copy(base, bits)
            if copy.exists():
                copy.drop()
            copy.create(self._describe(bits))
            copy.make_ready(self._address.options.rows)
            for rows in self._rows(base):
                batch = self._raw_batch(rows)
                copy.upsert(batch.ids.tolist(), prefix(batch.codes, bits), batch.meta)
            self._mark_whole(copy)

    def _is_whole(self, derived: Collection) -> bool:
        """Whether a collection has all that it should, as far as is known."""
        name = derived.name
        if time.monotonic() - self._trusted.get(name, -TRUSTED) < TRUSTED:
            return True
        if name in self._cut or not derived.exists():
            return False
        derived.make_ready(self._address.options.rows)
        own = {row.id: row.meta.added_at for row in derived.own()}
        late = [at for id, at in own.items() if id != HEAD and time.time() - at > INTERRUPTED]
        if HEAD not in own or late:
            return False
        self._trusted[name] = time.monotonic()
        return True

    def _mark_whole(self, derived: Collection) -> None:
        derived.upsert([HEAD], self._zero(derived.bits), [_now()])
        self._trusted[derived.name] = time.monotonic()
        self._cut.discard(derived.name)

    @contextmanager
    def _announced(self) -> Iterator[_Write]:
        """A write that is announced to all collections that follow from the main one."""
        codes, people = self._copies(self._main), [self._crowd, *self._copies(self._crowd)]
        tickets = {each.name: -random.randrange(2, 2**62) for each in [*codes, *people]}
        try:
            for each in [*codes, *people]:
                each.upsert([tickets[each.name]], self._zero(each.bits), [_now()])
            yield _Write(codes, people, tickets)
            for each in [*codes, *people]:
                each.delete([tickets[each.name]])
        except BaseException:  # also after an interrupt the write may be incomplete
            for name in tickets:
                self._cut.add(name)
                self._trusted.pop(name, None)
            raise

    def _delete(self, derived: Collection, ids: list[int], write: _Write) -> None:
        """Delete rows so that this client reads its deletion."""
        derived.delete(ids)
        derived.upsert([write.tickets[derived.name]], self._zero(derived.bits), [_now()])

    # --- people ---------------------------------------------------------------------------------
    # A row of theirs has the display name in place of a photo's, and the number of photos in place
    # of the time.

    def _has_people(self) -> bool:
        """Whether there is a collection of people; a gallery of an earlier version has none."""
        if self._crowd.name not in self._there and self._crowd.exists():
            self._there.add(self._crowd.name)
        return self._crowd.name in self._there

    def _require_people(self) -> None:
        """Make or repair the collection of people."""
        if self._is_whole(self._crowd):
            return
        if self.read_only:
            raise GalleryError(
                f"The {self._address.name} has no complete index of people. Open it once for "
                "writing, for example with: python -m daah gallery compact --gallery URI"
            )
        with self._writing:
            if not self._crowd.exists():
                self._crowd.create(self._describe(self.spec.bits, of="people"))
            self._crowd.make_ready(self._address.options.rows)
            tickets = [row.id for row in self._crowd.own() if row.id != HEAD]
            there = [np.zeros(0, np.int64)]
            for people, packed in self._made():
                there.append(np.array([person_id(p.person) for p in people], np.int64))
                self._write_people([self._crowd], people, packed, {})
            known = np.concatenate(there)
            for rows in self._rows(self._crowd):
                ids = np.array([row.id for row in rows], np.int64)
                self._crowd.delete(ids[~np.isin(ids, known)].tolist())
            self._crowd.delete(tickets)
            self._mark_whole(self._crowd)
            for copy in self._copies(self._crowd):
                self._make_copy(self._crowd, copy.bits)

    def _follow(self, write: _Write, people: set[str], names: dict[str, str]) -> None:
        """Bring the rows of people up to date with their photos."""
        while people:
            read: dict[str, set[tuple[int, float]]] = {person: set() for person in people}
            for part in _parts(sorted(people), PEOPLE_AT_ONCE):
                rows = self._main.of_people(part)
                for row in rows:
                    read[row.meta.person].add((row.id, row.meta.added_at))
                made, packed = self._templates(rows)
                self._write_people(write.people, made, packed, names)
                there = {person.person for person in made}
                gone = [person_id(person) for person in part if person not in there]
                if gone:
                    for each in write.people:
                        self._delete(each, gone, write)
            # Another process may have written to the same people meanwhile.
            now: dict[str, set[tuple[int, float]]] = {person: set() for person in people}
            for part in _parts(sorted(people), PEOPLE_AT_ONCE):
                for row in self._main.of_people(part, strong=True):
                    now[row.meta.person].add((row.id, row.meta.added_at))
            people = {person for person in people if now[person] != read[person]}

    def _write_people(
        self,
        targets: list[Collection],
        people: list[Person],
        packed: np.ndarray,
        names: dict[str, str],
    ) -> None:
        """Write people to their collection and its prefixes; those without a name keep theirs."""
        if not people:
            return
        ids = [person_id(person.person) for person in people]
        held = self._crowd.fetch(ids)
        metas = []
        for id, person in zip(ids, people, strict=True):
            old = held.get(id)
            if old is not None and old.meta.person != person.person:
                raise GalleryError(
                    f"The {self._address.name} cannot hold {person.person!r} beside "
                    f"{old.meta.person!r}: the two identifiers have the same number. Choose "
                    "another identifier."
                )
            name = names.get(person.person) or (old.meta.photo if old else "")
            metas.append(Meta(person.person, name, float(person.photos)))
        for each in targets:
            each.upsert(ids, prefix(packed, each.bits), metas)

    def _templates(self, rows: list[Row]) -> tuple[list[Person], np.ndarray]:
        """People of rows that are sorted by person, without names, and their packed templates."""
        logits = self._logits_of(rows)
        found = list(sums([row.meta.person for row in rows], logits))
        people = [Person(person, "", own.stop - own.start) for person, _, own in found]
        totals = np.array([total for _, total, _ in found]).reshape(len(found), self.spec.bits)
        return people, from_logits(totals)

    def _logits_of(self, rows: Sequence[Row]) -> np.ndarray:
        """Logits (N, K) float32 of rows: the stored ones, or -1 and 1 by their bits.

        Logits are written before their row, so a strong read has those of every row that was seen.
        """
        codes = self._raw_batch(rows).codes
        logits = code_logits(codes, self.spec.bits)
        left = list(range(len(rows)))
        for level in dict.fromkeys([self._main.level(), "Strong"]):
            known = self._logits.fetch([rows[i].id for i in left], level) if left else {}
            # Logits of other signs are those of the row that this one replaced, or will be.
            fits = [
                i
                for i in left
                if rows[i].id in known and np.array_equal(from_logits(known[rows[i].id]), codes[i])
            ]
            for i in fits:
                logits[i] = known[rows[i].id]
            left = sorted(set(left) - set(fits))
        return logits

    def _made(self) -> Iterator[tuple[list[Person], np.ndarray]]:
        """All people with their templates, computed again, a part at a time."""
        total = self._main.count(strong=True)
        parts = max(1, -(-total // PHOTOS_AT_ONCE))
        # The server does not read the least int64, which one key in 2^64 would be.
        ends = [-(2**63) + 1 + (2**64 - 1) * i // parts for i in range(parts + 1)]
        for low, high in itertools.pairwise(ends):
            people = sorted(self._main.people_between(low, high - 1))
            for part in _parts(people, PEOPLE_AT_ONCE):
                yield self._templates(self._main.of_people(part, strong=True))

    def _check_people(self, copies: list[Collection]) -> None:
        count = 0
        for people, packed in self._made():
            ids = [person_id(person.person) for person in people]
            held = self._crowd.fetch(ids, strong=True)
            for id, person, code in zip(ids, people, packed, strict=True):
                row = held.get(id)
                if (
                    row is None
                    or row.code != code.tobytes()
                    or (row.meta.person, row.meta.added_at) != (person.person, person.photos)
                ):
                    raise GalleryError(self._strange_people())
            self._compare([held[id] for id in ids], copies)
            count += len(people)
        if self._crowd.count(strong=True) != count:
            raise GalleryError(self._strange_people())
        for copy in copies:
            if copy.count(strong=True) != count:
                raise GalleryError(self._unlike(copy))

    def _strange_people(self) -> str:
        return (
            f"The {self._address.name} holds templates that are not those of its photos. Drop the "
            f"collection {self._crowd.name}; the next opening for writing creates it again."
        )

    def _compare(self, rows: Sequence[Row], copies: list[Collection]) -> None:
        """Raise GalleryError where a prefix collection has other codes than these rows."""
        batch = self._raw_batch(rows)
        for copy in copies:
            held = copy.fetch(batch.ids.tolist(), strong=True)
            codes = prefix(batch.codes, copy.bits)
            if any(
                id not in held or held[id].code != code.tobytes()
                for id, code in zip(batch.ids.tolist(), codes, strict=True)
            ):
                raise GalleryError(self._unlike(copy))

    def _nearest_photos(
        self, query: np.ndarray, bits: int, people: list[str]
    ) -> dict[str, tuple[int, Meta]]:
        """The photo of each person that is nearest to a query (1, B), ties by id."""
        best: dict[str, tuple[int, Meta]] = {}
        target = self._target(self._main, bits)
        k = max(64, 4 * len(people))
        left = list(people)
        while left:
            (near,) = target.nearest(prefix(query, bits), k, Filter(frozenset(left)))
            for id, meta in zip(near.ids.tolist(), near.metas(), strict=True):
                best.setdefault(meta.person, (id, meta))
            if len(near) < k:  # all photos of these people
                break
            left, k = [person for person in left if person not in best], 4 * k
        return best

    def _named(self, metas: Sequence[Sequence[Meta]]) -> tuple[tuple[Meta, ...], ...]:
        """The same rows of Metas with the display names of their people."""
        people = {meta.person for row in metas for meta in row}
        names: dict[str, str] = {}
        if people and self._has_people():
            rows = self._crowd.fetch([person_id(person) for person in people])
            names = {row.meta.person: row.meta.photo for row in rows.values()}
        return tuple(
            tuple(
                replace(meta, name=names[meta.person]) if names.get(meta.person) else meta
                for meta in row
            )
            for row in metas
        )

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

    def _rows(self, base: Collection) -> Iterator[list[Row]]:
        """All rows of a collection, as every process wrote them."""
        last = -1
        while rows := base.after(last, None, WRITE_ROWS, strong=True):
            last = rows[-1].id
            yield rows

    def _batch(self, rows: Sequence[Row]) -> Batch:
        batch = self._raw_batch(rows)
        return replace(batch, meta=self._named([batch.meta])[0])

    def _raw_batch(self, rows: Sequence[Row]) -> Batch:
        """Rows as they are stored, without display names."""
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


def _person(meta: Meta) -> Person:
    """The person of a row of people."""
    return Person(meta.person, meta.photo, int(meta.added_at))


def _parts(items: list, size: int) -> Iterator[list]:
    for start in range(0, len(items), size):
        yield items[start : start + size]
