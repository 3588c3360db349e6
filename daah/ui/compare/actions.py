"""What happens in the Compare tab: plain typed functions, no Gradio in them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from daah.errors import ImageError
from daah.retrieval import explain
from daah.retrieval.retriever import FaceRetriever, Progress
from daah.ui.search.actions import GRID
from daah.ui.state.session import Pair

#: Faces of a photo that are offered, the largest ones.
MOST_OFFERED = 12


def pair(
    retriever: FaceRetriever, first: np.ndarray, second: np.ndarray, progress: Progress
) -> Pair:
    """Find and encode the largest face of each photo. Raises ImageError when there is none."""
    offered, counts = [], []
    for i, (photo, name) in enumerate(((first, "first"), (second, "second"))):
        progress(0.4 * i, "Finding faces")
        found = retriever.detector.find(photo)
        if not found.faces:
            raise ImageError(f"No face found in the {name} photo. Try a larger, front-facing face.")
        offered.append(tuple(found.faces[:MOST_OFFERED]))
        counts.append(len(found.faces) + found.left_out)
    progress(0.8, "Encoding")
    one, two = retriever.encode([faces[0] for faces in offered])
    return Pair((one, two), (counts[0], counts[1]), offered=(offered[0], offered[1]))


def choose(retriever: FaceRetriever, pair: Pair, photo: int, index: int) -> Pair:
    """The pair with another face of the first (0) or the second (1) photo."""
    if photo not in (0, 1) or not 0 <= index < len(pair.offered[photo]):
        return pair
    (encoded,) = retriever.encode([pair.offered[photo][index]])
    faces, chosen = list(pair.faces), list(pair.chosen)
    faces[photo], chosen[photo] = encoded, index
    return replace(pair, faces=(faces[0], faces[1]), chosen=(chosen[0], chosen[1]), regions=None)


def with_regions(retriever: FaceRetriever, pair: Pair) -> Pair:
    """The pair with what decides the bits of each face; computed once."""
    if pair.regions is not None:
        return pair
    one, two = (explain.bit_regions(retriever.encoder, face, GRID) for face in pair.faces)
    return replace(pair, regions=(one, two))
