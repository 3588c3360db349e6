"""The store for galleries larger than one machine: the same contract on a Milvus server."""

from daah.stores.milvus.store import MilvusStore

__all__ = ["MilvusStore"]
