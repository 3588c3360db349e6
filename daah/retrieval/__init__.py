"""Photo in, matches out: the retriever, how it is loaded, and what it looks at."""

from daah.retrieval.loading import load_retriever
from daah.retrieval.retriever import FaceRetriever

__all__ = ["FaceRetriever", "load_retriever"]
