"""The endpoints for other programs: `/search` and `/search_base64`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio import FileData

from daah.errors import ConfigError
from daah.reading import READER
from daah.retrieval.retriever import FaceRetriever
from daah.ui.page import photos
from daah.ui.page.events import AT_ONCE
from daah.ui.search.result_json import describe
from daah.ui.server.user_error import UserError
from daah.ui.state.context import AppContext

#: Maximum number of matches per face.
MOST_MATCHES = 100

#: The only events that other programs may call by their names: with an upload, with a text.
ENDPOINTS = ("search", "search_base64")


def search_photo(retriever: FaceRetriever, photo: np.ndarray, k: int, bits: int) -> dict[str, Any]:
    """Answer of the endpoints for one photo.

    Args:
        retriever: the retriever.
        photo: upright photo (H, W, 3) uint8 RGB.
        k: number of matches per face, 1 to `MOST_MATCHES`.
        bits: code length, one of the retriever's.

    Returns:
        Plain JSON values, as `/search` describes them.

    Raises:
        ConfigError: `k` or `bits` is invalid.
    """
    if not isinstance(k, int) or not 1 <= k <= MOST_MATCHES:
        raise ConfigError(f"k: expected 1 to {MOST_MATCHES} matches, got {k}.")
    if not isinstance(bits, int):
        raise ConfigError(f"bits: expected a whole number, got {bits}.")
    result = retriever.search(photo, k=k, bits=bits)
    return {
        "faces": [
            describe(found.encoded, found.matches, found.people, found.quality, bits)
            for found in result.faces
        ],
        "faces_left_out": result.left_out,
        "seconds": {step: round(s, 4) for step, s in result.seconds.items()},
    }


def add_endpoints(context: AppContext) -> None:
    """Add the endpoints to the page that is being built.

    Args:
        context: the page's shared state.
    """
    whole = max(context.retriever.encoder.lengths)

    def search(photo: FileData, k: int = 8, bits: int = whole) -> dict[str, Any]:
        """Find the faces of a photo, and the people and photos of the gallery nearest to them.

        photo: a JPEG, PNG, WebP, AVIF or HEIC file of at most 10 MiB. k: number of matches, and of
        people, per face, 1 to 100. bits: code length, one of 16, 24, 32, 48, 64, 96, 128, 256.

        Returns {"faces": [{"box": [x0, y0, x1, y1], "score", "landmarks": [[x, y], ...],
        "code": hex, "quality": {"score", "reasons"}, "people": [{"person", "name", "agree",
        "bits", "verdict", "photo", "photos"}], "matches": [{"id", "person", "name", "photo",
        "distance", "bits"}]}], "faces_left_out", "seconds": {"detect", "encode", "search"}}: pixels
        of the upright photo, faces largest first, people and matches nearest first. A person is
        compared by one code of all of their "photos"; "agree" of "bits" bits are the same, the
        "verdict" is "match", "unclear" or "no match", and "photo" is the nearest photo. The
        quality's "score" is the chance that a search with the face finds its person; its "reasons"
        are among "small", "blurred", "turned" and "partly hidden". At most 50 faces are searched;
        faces_left_out says how many smaller ones were found at least. An "id" is a text of digits,
        because it has more of them than a number of JavaScript holds. Wrong input answers with a
        sentence.
        """
        return search_photo(context.retriever, photo, k, bits)  # what comes in is the photo, read

    def search_base64(photo: str, k: int = 8, bits: int = whole) -> dict[str, Any]:
        """Find the faces of a photo, given as base64 text, and the nearest people and photos.

        The text may begin with "data:image/jpeg;base64,".

        Args:
            photo: JPEG, PNG, WebP, AVIF or HEIC file of at most 700 KB as base64 text; no address,
                no path.
            k: Number of matches, and of people, per face, 1 to 100.
            bits: Code length, one of 16, 24, 32, 48, 64, 96, 128, 256.

        Returns:
            As of /search: {"faces": [{"box": [x0, y0, x1, y1], "score", "landmarks", "code": hex,
            "quality": {"score", "reasons"}, "people": [{"person", "name", "agree", "bits",
            "verdict", "photo", "photos"}], "matches": [{"id": text, "person", "name", "photo",
            "distance", "bits"}]}], "faces_left_out", "seconds"}.
        """
        return search(photo, k, bits)

    for function, name in zip((search, search_base64), PHOTO_READERS, strict=True):
        gr.api(function, api_name=name, concurrency_id="model", concurrency_limit=AT_ONCE)


def _uploaded(photo: Any) -> np.ndarray:
    """An endpoint's photo that was uploaded. Raises UserError and ImageError."""
    try:
        return READER.read(Path(photo["path"]))
    except (KeyError, TypeError):
        raise UserError("photo: expected an uploaded file.") from None


def _encoded(photo: Any) -> np.ndarray:
    """An endpoint's photo that came as base64 text. Raises ImageError."""
    return READER.read(photos.base64_bytes(photo))


#: How the photo of each endpoint is read.
PHOTO_READERS = dict(zip(ENDPOINTS, (_uploaded, _encoded), strict=True))
