"""The store without a server: SQLite is the source of truth, faiss searches a copy in memory."""

from daah.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
