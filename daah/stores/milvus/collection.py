"""One Milvus collection of codes of one length: reading and writing of rows, and exact search."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pymilvus import DataType
from pymilvus.client.search_result import HybridHits

from daah.codes import nbytes
from daah.stores.base import Filter, Meta
from daah.stores.milvus.client import Connection
from daah.stores.milvus.uri import MilvusOptions

#: Most hits of one query, and rows of one answer, that a server gives.
LIMIT = 16_384
#: Rows of one request: at most 16 MiB with the longest names, a quarter of what a server takes.
WRITE_ROWS = 10_000
#: Hits of one search request, over all its queries.
SEARCH_HITS = 40_000
#: Seconds that building an index and loading a collection may take.
PATIENCE = 3600.0

PERSON_BYTES, PHOTO_BYTES = 512, 1024


class Row(NamedTuple):
    """One stored row.

    Attributes:
        id: id of the row; negative for the store's own rows.
        code: packed code.
        meta: metadata.
    """

    id: int
    code: bytes
    meta: Meta


@dataclass(frozen=True, eq=False)
class Found:
    """Hits of one query, sorted by distance, ties by id.

    Attributes:
        distances: (C,) int64, Hamming distances.
        ids: (C,) int64.
        codes: (C, B) uint8, packed.
        entities: C dicts with person, photo and added_at.
    """

    distances: np.ndarray
    ids: np.ndarray
    codes: np.ndarray
    entities: Sequence[dict[str, Any]]

    def __len__(self) -> int:
        return len(self.ids)

    def metas(self) -> tuple[Meta, ...]:
        """Metadata of each hit."""
        return tuple(Meta(e["person"], e["photo"], e["added_at"]) for e in self.entities)

    def chosen(self, keep: np.ndarray) -> Found:
        """Select hits.

        Args:
            keep: (M,) int64, positions of the hits.

        Returns:
            These hits, in this order.
        """
        entities = [self.entities[i] for i in keep.tolist()]
        return Found(self.distances[keep], self.ids[keep], self.codes[keep], entities)

    def ordered(self) -> Found:
        """The hits sorted, each id once."""
        _, first = np.unique(self.ids, return_index=True)
        return self.chosen(first[np.lexsort((self.ids[first], self.distances[first]))])

    def first(self, k: int, people: frozenset[str] | None) -> Found:
        """The first k hits.

        Args:
            k: number of hits.
            people: names that hits may have; None for any. It removes people whose `person_key`
                collides with that of another.

        Returns:
            The hits.
        """
        if people is None:
            return self if len(self) <= k else self.chosen(np.arange(k))
        right = [e["person"] in people for e in self.entities]
        return self.chosen(np.flatnonzero(right)[:k])

    def holds(self, k: int, limit: int) -> bool:
        """Whether an answer certainly contains the first k hits.

        Args:
            k: number of hits.
            limit: number of hits that was requested.

        Returns:
            False if hits may be missing that tie with the k-th.
        """
        cut = len(self) >= limit
        return not cut or (len(self) > k and self.distances[k - 1] < self.distances[-1])


class Collection:
    """A collection of codes of one length. Rows with negative ids are the store's own.

    Args:
        connection: connection to the server.
        name: name of the collection.
        bits: code length.
        limit: maximum number of hits and rows per answer.
    """

    def __init__(self, connection: Connection, name: str, bits: int, limit: int = LIMIT) -> None:
        self.name = name
        self.bits = bits
        self._call = connection.call
        self._client = connection.client
        self._options: MilvusOptions = connection.address.options
        self._limit = limit
        self._written = -math.inf
        self._index: dict[str, Any] | None = None

    # --- making ---------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether the collection exists on the server."""
        return self._call(self._client.has_collection, self.name)

    def description(self) -> str:
        """The description that `create` was given."""
        return self._call(self._client.describe_collection, self.name)["description"]

    def create(self, description: str) -> None:
        """Create the collection, without rows.

        Args:
            description: text that is stored with it.
        """
        schema = self._client.create_schema(description=description)
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("code", DataType.BINARY_VECTOR, dim=8 * nbytes(self.bits))
        schema.add_field("person", DataType.VARCHAR, max_length=PERSON_BYTES)
        schema.add_field("person_key", DataType.INT64)
        schema.add_field("photo", DataType.VARCHAR, max_length=PHOTO_BYTES)
        schema.add_field("added_at", DataType.DOUBLE)
        self._call(
            self._client.create_collection,
            self.name,
            schema=schema,
            num_shards=self._options.shards,
            consistency_level="Bounded",
        )

    def make_ready(self, rows: int) -> None:
        """Build an index if there is none, load the collection, and wait until it is loaded.

        Args:
            rows: expected number of rows, which selects the index.
        """
        if not self._call(self._client.list_indexes, self.name):
            params = self._client.prepare_index_params()
            params.add_index(
                field_name="code", metric_type="HAMMING", **index_for(rows, self._options.ivf_from)
            )
            self._call(self._client.create_index, self.name, params, seconds=PATIENCE)
        state = self._call(self._client.get_load_state, self.name)["state"]
        if state.name != "Loaded":
            self._call(
                self._client.load_collection,
                self.name,
                replica_number=self._options.replicas,
                seconds=PATIENCE,
            )

    def index(self) -> dict[str, Any]:
        """Type and parameters of the index, as `index_for` returns them."""
        if self._index is None:
            (name,) = self._call(self._client.list_indexes, self.name)
            facts = self._call(self._client.describe_index, self.name, name)
            self._index = {"index_type": facts["index_type"]}
            if "nlist" in facts:
                self._index["params"] = {"nlist": int(facts["nlist"])}
        return self._index

    def reindex(self, rows: int) -> None:
        """Replace the index; no search is possible meanwhile.

        Args:
            rows: number of rows, which selects the index.
        """
        self._call(self._client.release_collection, self.name)
        for name in self._call(self._client.list_indexes, self.name):
            self._call(self._client.drop_index, self.name, name)
        self._index = None
        self.make_ready(rows)

    def compact(self) -> None:
        """Have the server rewrite the segments without their deleted rows."""
        self._call(self._client.flush, self.name)
        self._call(self._client.compact, self.name)

    def drop(self) -> None:
        """Delete the collection with all its rows."""
        self._call(self._client.drop_collection, self.name)
        self._index = None

    # --- rows -----------------------------------------------------------------------------------

    def upsert(self, ids: Iterable[int], codes: np.ndarray, metas: Sequence[Meta]) -> None:
        """Insert or replace rows. WRITE_ROWS rows and one more are one request.

        Args:
            ids: N ids.
            codes: (N, B) uint8, packed.
            metas: N Metas.
        """
        rows = [
            {
                "id": id,
                "code": code.tobytes(),
                "person": meta.person,
                "person_key": person_key(meta.person),
                "photo": meta.photo,
                "added_at": meta.added_at,
            }
            for id, code, meta in zip(ids, codes, metas, strict=True)
        ]
        step = WRITE_ROWS + 1
        for start in range(0, len(rows), step):
            self._call(self._client.upsert, self.name, rows[start : start + step])
        self._written = time.monotonic()

    def delete(self, ids: Sequence[int]) -> None:
        """Delete rows. An `upsert` must follow: only that makes the client read its own writes.

        (The answer to a deletion has no timestamp in Milvus 2.3.)

        Args:
            ids: ids of the rows.
        """
        for start in range(0, len(ids), WRITE_ROWS):
            self._call(self._client.delete, self.name, ids=list(ids[start : start + WRITE_ROWS]))

    def fetch(self, ids: Sequence[int], strong: bool = False) -> dict[int, Row]:
        """Read rows by id.

        Args:
            ids: ids of the rows.
            strong: whether writes of other processes must be visible.

        Returns:
            The rows that exist, by id.
        """
        found: dict[int, Row] = {}
        for start in range(0, len(ids), self._limit):
            part = list(ids[start : start + self._limit])
            found |= {row.id: row for row in self._query(f"id in {part}", strong)}
        return found

    def own(self, strong: bool = False) -> list[Row]:
        """The store's own rows, which have negative ids.

        Args:
            strong: whether writes of other processes must be visible.

        Returns:
            The rows.
        """
        return self._query("id < 0", strong, self._limit)

    def after(self, last: int, where: Filter | None, limit: int, strong: bool = False) -> list[Row]:
        """The next rows by ascending id.

        Args:
            last: id after which they begin.
            where: restriction of the rows; None for all.
            limit: maximum number of rows.
            strong: whether writes of other processes must be visible.

        Returns:
            The rows, ascending.
        """
        if where is not None and where.people is not None and not where.people:
            return []
        parts = [f"id > {last}", *_conditions(where)]
        rows = self._query(" and ".join(parts), strong, min(limit, self._limit))
        return sorted(rows, key=lambda row: row.id)

    def of_people(self, people: Iterable[str], strong: bool = False) -> list[Row]:
        """All rows of people.

        Args:
            people: identifiers.
            strong: whether writes of other processes must be visible.

        Returns:
            The rows, sorted by person and id.
        """
        wanted, rows = frozenset(people), []
        keys = f"person_key in {sorted(map(person_key, wanted))}"
        last = -1
        while part := self._query(f"id > {last} and {keys}", strong, self._limit):
            last = max(row.id for row in part)
            rows += [row for row in part if row.meta.person in wanted]  # keys may collide
        return sorted(rows, key=lambda row: (row.meta.person, row.id))

    def people_between(self, low: int, high: int) -> set[str]:
        """Identifiers of the people of a part of all rows.

        Args:
            low: smallest `person_key` of the part.
            high: largest `person_key` of the part.

        Returns:
            The identifiers.
        """
        people: set[str] = set()
        last = -1
        part = f"person_key >= {low} and person_key <= {high}"
        while rows := self._names(f"id > {last} and {part}", strong=True):
            last = rows[-1][0]
            people.update(name for _, name in rows)
        return people

    def names_after(self, last: int) -> list[tuple[int, str]]:
        """Ids and names of the next rows by ascending id.

        Args:
            last: id after which they begin.

        Returns:
            (id, person) of many rows, ascending.
        """
        return self._names(f"id > {last}")

    def count(self, where: Filter | None = None, strong: bool = False) -> int:
        """Number of rows.

        Args:
            where: restriction of the rows; None counts all.
            strong: whether writes of other processes must be visible.

        Returns:
            The number, without the store's own rows.
        """
        if where is not None and where.people is not None and not where.people:
            return 0
        (answer,) = self._call(
            self._client.query,
            self.name,
            filter=" and ".join(["id >= 0", *_conditions(where)]),
            output_fields=["count(*)"],
            consistency_level=self.level(strong),
        )
        return int(answer["count(*)"])

    # --- search ---------------------------------------------------------------------------------

    def nearest(self, queries: np.ndarray, k: int, where: Filter | None) -> list[Found]:
        """The nearest rows of each query, sorted by distance, ties by id.

        Milvus sorts by distance alone and cuts arbitrarily within a tie. So more rows are requested
        until the answer extends beyond the distance of the k-th row. A tie longer than the longest
        answer is split by ranges of ids.

        Args:
            queries: (Q, B) uint8, packed.
            k: number of rows per query.
            where: restriction of the rows; None searches all.

        Returns:
            The hits of each query.
        """
        people = None if where is None else where.people
        if people is not None and not people:
            nothing = np.zeros(0, np.int64)
            return [Found(nothing, nothing, queries[:0], []) for _ in queries]
        done: dict[int, Found] = {}
        limit = min(k + max(k, 20), self._limit)
        while len(done) < len(queries):
            open_ = [q for q in range(len(queries)) if q not in done]
            answers = self._search(queries[open_], limit, _conditions(where))
            for q, found in zip(open_, answers, strict=True):
                if found.holds(k, limit):
                    done[q] = found.first(k, people)
                elif limit == self._limit:
                    done[q] = self._within(queries[q : q + 1], k, where, 0, 2**63).first(k, people)
            limit = min(2 * limit, self._limit)
        return [done[q] for q in range(len(queries))]

    def _within(
        self, query: np.ndarray, k: int, where: Filter | None, low: int, high: int
    ) -> Found:
        """The nearest k rows of one query with low <= id < high, or more."""
        conditions = [*_conditions(where), f"id >= {low}"]
        if high < 2**63:
            conditions.append(f"id < {high}")
        (found,) = self._search(query, self._limit, conditions)
        if found.holds(k, self._limit):
            return found
        middle = int(np.sort(found.ids)[len(found) // 2])
        parts = [self._within(query, k, where, *ends) for ends in ((low, middle), (middle, high))]
        return Found(
            np.concatenate([part.distances for part in parts]),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.codes for part in parts]),
            [entity for part in parts for entity in part.entities],
        ).ordered()

    def _search(
        self, queries: np.ndarray, limit: int, conditions: Sequence[str]
    ) -> Iterator[Found]:
        """Up to `limit` hits of each query."""
        index = self.index()
        params: dict[str, Any] = {"metric_type": "HAMMING"}
        if "params" in index:
            clusters = index["params"]["nlist"]
            params["params"] = {"nprobe": max(1, round(clusters * self._options.nprobe))}
        step = max(1, SEARCH_HITS // limit)
        for start in range(0, len(queries), step):
            answers = self._call(
                self._client.search,
                self.name,
                data=[query.tobytes() for query in queries[start : start + step]],
                filter=" and ".join(["id >= 0", *conditions]),
                limit=limit,
                anns_field="code",
                search_params=params,
                output_fields=["code", "person", "photo", "added_at"],
                consistency_level=self.level(),
            )
            for hits in answers:
                yield self._found(hits)

    def _found(self, hits: HybridHits) -> Found:
        """An answer as arrays.

        pymilvus copies the codes of all hits for each one that is read by its name, which takes
        most of the time of a search; here they are taken as the one string that came.
        """
        width = nbytes(self.bits)
        codes = np.zeros((len(hits), width), np.uint8)
        if len(hits):
            (field,) = hits.lazy_field_data
            packed = np.frombuffer(field.vectors.binary_vector, np.uint8).reshape(-1, width)
            codes = packed[hits.start : hits.start + len(hits)]
        return Found(
            np.rint(hits.distances).astype(np.int64),
            np.array(hits.ids, np.int64),
            codes,
            [hits.get_raw_item(i)["entity"] for i in range(len(hits))],
        ).ordered()

    # --- small parts ----------------------------------------------------------------------------

    def _names(self, condition: str, strong: bool = False) -> list[tuple[int, str]]:
        rows = self._call(
            self._client.query,
            self.name,
            filter=condition,
            output_fields=["id", "person"],
            limit=self._limit,
            consistency_level=self.level(strong),
        )
        return sorted((row["id"], row["person"]) for row in rows)

    def _query(self, condition: str, strong: bool, limit: int | None = None) -> list[Row]:
        rows = self._call(
            self._client.query,
            self.name,
            filter=condition,
            output_fields=["id", "code", "person", "photo", "added_at"],
            consistency_level=self.level(strong),
            **({} if limit is None else {"limit": limit}),
        )
        return [_row(row) for row in rows]

    def level(self, strong: bool = False) -> str:
        """Consistency level of a read.

        Args:
            strong: whether writes of other processes must be visible.

        Returns:
            Strong when asked; one's own writes while they are fresh; otherwise bounded staleness.
        """
        if strong or self._options.consistency == "strong":
            return "Strong"
        # "Session" waits for the client's last write and nothing later; a minute after it, what
        # "Bounded" allows to be missing (5 seconds by default) holds no write of this client.
        return "Session" if time.monotonic() - self._written < 60 else "Bounded"


def index_for(rows: int, ivf_from: int) -> dict[str, Any]:
    """Index for a number of rows: exact scan of all codes, or of the nearest clusters only.

    The number of clusters, 4 sqrt(rows), is the recommendation of the Milvus documentation.

    Args:
        rows: number of rows.
        ivf_from: number of rows from which clusters are used.

    Returns:
        Type and parameters of the index.
    """
    if rows < ivf_from:
        return {"index_type": "BIN_FLAT"}
    nlist = min(65_536, max(1, round(4 * math.sqrt(rows))))
    return {"index_type": "BIN_IVF_FLAT", "params": {"nlist": nlist}}


def person_key(person: str) -> int:
    """Hash of a name. Filters compare it, so that no name is ever part of an expression.

    Args:
        person: name of the person.

    Returns:
        Signed 64-bit integer.
    """
    digest = hashlib.blake2b(person.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little", signed=True)


def _conditions(where: Filter | None) -> list[str]:
    """A filter as parts of a Milvus expression."""
    parts = []
    if where is not None:
        if where.people is not None:
            parts.append(f"person_key in {sorted(map(person_key, where.people))}")
        if where.since is not None:
            parts.append(f"added_at >= {float(where.since)!r}")
        if where.until is not None:
            parts.append(f"added_at < {float(where.until)!r}")
    return parts


def _row(fields: dict[str, Any]) -> Row:
    code = fields["code"]
    code = code[0] if isinstance(code, list) else code  # a query wraps it
    return Row(fields["id"], code, Meta(fields["person"], fields["photo"], fields["added_at"]))
