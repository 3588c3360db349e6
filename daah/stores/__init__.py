"""Where codes are kept and searched: one contract, a SQLite file or a Milvus cluster."""
