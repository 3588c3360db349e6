"""Code stores: one contract, implemented on a SQLite file and on a Milvus server."""
