"""Photo in, matches out: the retriever, how it is loaded, and what it looks at."""

from daah.retrieval.retriever import FaceRetriever, load_retriever

__all__ = ["FaceRetriever", "load_retriever"]
