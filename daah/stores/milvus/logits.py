"""A Milvus collection of logits, which only writers read: templates of people follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from pymilvus import DataType

from daah.stores.milvus.client import Connection

#: Rows of one request: at most 4 MiB of 256 bits.
ROWS = 4_000

#: Seconds that loading the collection may take.
PATIENCE = 3600.0


class LogitsCollection:
    """Logits by the id of the photo. Rows of photos that were removed may be left; nobody asks.

    Args:
        connection: connection to the server.
        name: name of the collection.
        bits: code length.
    """

    def __init__(self, connection: Connection, name: str, bits: int) -> None:
        self.name = name
        self._bits = bits
        self._call = connection.call
        self._client = connection.client
        self._options = connection.address.options
        self._ready = False

    def exists(self) -> bool:
        """Whether the collection exists on the server."""
        return self._call(self._client.has_collection, self.name)

    def make_ready(self) -> None:
        """Create the collection if there is none, and load it. Idempotent."""
        if self._ready:
            return
        if not self.exists():
            schema = self._client.create_schema(description="daah: logits of photos")
            schema.add_field("id", DataType.INT64, is_primary=True)
            schema.add_field("logits", DataType.FLOAT_VECTOR, dim=self._bits)
            self._call(
                self._client.create_collection,
                self.name,
                schema=schema,
                num_shards=self._options.shards,
                consistency_level="Bounded",
            )
        if not self._call(self._client.list_indexes, self.name):
            params = self._client.prepare_index_params()
            params.add_index(field_name="logits", metric_type="L2", index_type="FLAT")
            self._call(self._client.create_index, self.name, params, seconds=PATIENCE)
        self._call(
            self._client.load_collection,
            self.name,
            replica_number=self._options.replicas,
            seconds=PATIENCE,
        )
        self._ready = True

    def upsert(self, ids: Sequence[int], logits: np.ndarray) -> None:
        """Insert or replace rows.

        Args:
            ids: N ids.
            logits: (N, K) float32.
        """
        self.make_ready()
        rows = [{"id": id, "logits": row.tolist()} for id, row in zip(ids, logits, strict=True)]
        for start in range(0, len(rows), ROWS):
            self._call(self._client.upsert, self.name, rows[start : start + ROWS])

    def delete(self, ids: Sequence[int]) -> None:
        """Delete rows.

        Args:
            ids: ids of the rows.
        """
        self.make_ready()
        for start in range(0, len(ids), ROWS):
            self._call(self._client.delete, self.name, ids=list(ids[start : start + ROWS]))

    def fetch(self, ids: Iterable[int], level: str) -> dict[int, np.ndarray]:
        """Read rows by id.

        Args:
            ids: ids of the rows.
            level: consistency level.

        Returns:
            (K,) float32 of the rows that exist, by id.
        """
        wanted = list(ids)
        found: dict[int, np.ndarray] = {}
        if not self._ready:
            if not self.exists():
                return found
            self.make_ready()
        for start in range(0, len(wanted), ROWS):
            rows = self._call(
                self._client.query,
                self.name,
                filter=f"id in {wanted[start : start + ROWS]}",
                output_fields=["id", "logits"],
                consistency_level=level,
            )
            found |= {row["id"]: np.array(row["logits"], np.float32) for row in rows}
        return found

    def compact(self) -> None:
        """Have the server rewrite the segments without their deleted rows."""
        self._call(self._client.flush, self.name)
        self._call(self._client.compact, self.name)

    def drop(self) -> None:
        """Delete the collection, if there is one."""
        if self.exists():
            self._call(self._client.drop_collection, self.name)
        self._ready = False
