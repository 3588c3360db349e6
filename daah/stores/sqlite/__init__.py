"""The store that needs no server: SQLite keeps the truth, faiss searches a copy in memory."""

from daah.stores.sqlite.store import SQLiteStore

__all__ = ["SQLiteStore"]
