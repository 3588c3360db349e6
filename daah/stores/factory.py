"""The one function that opens any code store by its URI."""

from __future__ import annotations

from daah.stores.base import CodeSpec, CodeStore, Progress


def open_store(
    uri: str,
    spec: CodeSpec,
    *,
    read_only: bool = False,
    progress: Progress | None = None,
) -> CodeStore:
    """Open the store at `uri`, or make an empty one there unless `read_only`.

    uri: "sqlite:PATH" or a plain path, or "milvus://[TOKEN@]HOST:PORT/COLLECTION?OPTION=..."
        (options in daah/stores/milvus/uri.py).
    progress: called with (rows read, rows in all) during a slow opening.

    Raises GalleryError when the gallery is missing, damaged, locked, away or of another spec;
    ConfigError for a URI that cannot be read.
    """
    scheme, colon, rest = uri.partition(":")
    if scheme == "milvus" and colon:
        from daah.stores.milvus import MilvusStore  # its client takes seconds to import

        return MilvusStore(uri, spec, read_only=read_only)
    from daah.stores.sqlite import SQLiteStore  # imports faiss

    path = rest if scheme == "sqlite" and colon else uri
    return SQLiteStore(path, spec, read_only=read_only, progress=progress)
