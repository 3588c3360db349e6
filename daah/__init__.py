"""Face image retrieval by short binary codes from an attention-aware hashing network.

    import daah

    retriever = daah.load_retriever()
    for face in retriever.search(daah.read_image("photo.jpg"), k=5).faces:
        print(face.matches)

These names are loaded when they are first used: importing `daah` alone loads neither PyTorch nor
anything else of weight.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daah.detection.detector import FaceDetector
    from daah.gallery import Gallery
    from daah.images import read_image
    from daah.models.encoder import FaceEncoder, load_encoder
    from daah.retrieval import FaceRetriever, load_retriever

__version__ = "0.1.0"

__all__ = [
    "FaceDetector",
    "FaceEncoder",
    "FaceRetriever",
    "Gallery",
    "load_encoder",
    "load_retriever",
    "read_image",
]

_HOMES = {
    "FaceDetector": "daah.detection.detector",
    "FaceEncoder": "daah.models.encoder",
    "FaceRetriever": "daah.retrieval",
    "Gallery": "daah.gallery",
    "load_encoder": "daah.models.encoder",
    "load_retriever": "daah.retrieval",
    "read_image": "daah.images",
}


def __getattr__(name: str) -> Any:
    """Import a public name at its first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Public names, whether or not they were used yet."""
    return sorted({*globals(), *__all__})
