"""Opening of any code store by its URI."""

from __future__ import annotations

from daah.extras import extra_packages
from daah.stores.base import CodeSpec, CodeStore, Progress


def open_store(
    uri: str,
    spec: CodeSpec,
    *,
    read_only: bool = False,
    progress: Progress | None = None,
) -> CodeStore:
    """Open the store at `uri`, or create an empty one there unless `read_only`.

    Args:
        uri: "sqlite:PATH" or a plain path, or "milvus://[TOKEN@]HOST:PORT/COLLECTION?OPTION=VALUE"
            (options in daah/stores/milvus/uri.py).
        spec: what the codes are made with.
        read_only: whether writing is refused.
        progress: called with (rows read, rows in all) while a large SQLite gallery is read.

    Returns:
        The store, to be closed by the caller.

    Raises:
        ConfigError: the URI is invalid.
        GalleryError: the gallery is missing, damaged, locked, unreachable or of another spec.
        MissingPackageError: the client of Milvus is not installed.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme == "milvus" and colon:
        with extra_packages("A gallery on a Milvus server"):
            from daah.stores.milvus import MilvusStore  # its client takes seconds to import

        return MilvusStore(uri, spec, read_only=read_only)
    from daah.stores.sqlite import SQLiteStore  # imports faiss

    path = rest if scheme == "sqlite" and colon else uri
    return SQLiteStore(path, spec, read_only=read_only, progress=progress)
