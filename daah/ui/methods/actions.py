"""What the Methods tab shows: one face by several hashing methods, and what was measured."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import numpy as np

from daah.comparison.side_by_side import MethodResult
from daah.errors import ImageError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import FaceRetriever, Progress
from daah.types import EncodedFace, Face, Match
from daah.ui.state.context import DEFAULT_MODEL, AppContext
from daah.ui.state.session import Expires

#: Matches of each method.
MATCHES = 5


@dataclass(frozen=True, eq=False)
class Row:
    """One method's answer. known: mAP on the people it was trained on, None where not measured.

    project: whether it is one of this project's own networks and not a small model.
    """

    result: MethodResult
    known: float | None
    project: bool


@dataclass(frozen=True, eq=False)
class Lineup(Expires):
    """A face by every method. count: faces of its photo. searched, total: gallery faces.

    thumbnails: of all matches, by gallery id. people: that the small models were trained on.
    asked: which face was chosen on the Search tab when this was made. born: of the photo.
    """

    face: Face
    count: int
    rows: tuple[Row, ...]
    thumbnails: dict[int, np.ndarray]
    searched: int
    total: int
    people: int
    asked: tuple[float, int] | None = None
    born: float = field(default_factory=time.monotonic)

    @property
    def favourite(self) -> tuple[Match, int] | None:
        """A photo of whom most methods put first, and how many do; None in an empty gallery."""
        firsts = [row.result.matches[0] for row in self.rows if row.result.matches]
        if not firsts:
            return None
        people = [match.person for match in firsts]
        person = max(people, key=lambda name: (people.count(name), -people.index(name)))
        return firsts[people.index(person)], people.count(person)


def line_up_photo(
    context: AppContext, photo: np.ndarray, additions: SessionGallery, progress: Progress
) -> Lineup:
    """The largest face of a photo (H, W, 3) uint8 by every method. Raises DaahError."""
    progress(0.0, "Finding faces")
    found = context.retriever.detector.find(photo)
    if not found.faces:
        raise ImageError("No face found. Try a larger, front-facing face.")
    count = len(found.faces) + found.left_out
    return line_up(context, found.faces[0], count, additions, progress)


def line_up(
    context: AppContext, face: Face, count: int, additions: SessionGallery, progress: Progress
) -> Lineup:
    """A face by this project's networks and by every small model. Raises DaahError.

    The first time, or after the gallery changed, its faces are encoded by each of them.
    """
    held = context.side_by_side(progress)
    rows = []
    for model in (DEFAULT_MODEL, *context.others):
        retriever = context.retriever_for(model, progress)
        rows.append(_own_row(context, retriever, model, face, additions, held.models.bits))
    known = held.models.card.get("map", {})
    rows += [
        Row(result, known.get(result.name), project=False)
        for result in held.search(face.aligned, MATCHES, additions)
    ]
    ids = {match.id for row in rows for match in row.result.matches}
    return Lineup(
        face,
        count,
        tuple(rows),
        {id_: context.retriever.thumbnail(id_, additions) for id_ in ids},
        held.faces + len(additions),
        held.total + len(additions),
        int(held.models.card.get("people", 0)),
    )


def _own_row(
    context: AppContext,
    retriever: FaceRetriever,
    model: str,
    face: Face,
    additions: SessionGallery,
    wanted: int,
) -> Row:
    """One of this project's networks, at the length nearest to that of the small models."""
    bits = min(retriever.lengths, key=lambda length: abs(length - wanted))
    encoded: EncodedFace = retriever.encode([face])[0]
    matches = retriever.match(encoded, MATCHES, bits, context.additions(additions, model))
    return Row(MethodResult(retriever.encoder.name, encoded.code.bits[:bits], matches), None, True)
