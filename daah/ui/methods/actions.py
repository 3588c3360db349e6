"""What the Methods tab shows: one face by several hashing methods, and what was measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from daah.comparison.side_by_side import MethodResult
from daah.errors import ImageError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import FaceRetriever
from daah.types import EncodedFace, Face
from daah.ui.state.context import SHIPPED, Desk
from daah.ui.state.session import Expires

Progress = Callable[[float, str], None]

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
    def favourite(self) -> tuple[str, int] | None:
        """Whom most methods put first, and how many do; None in an empty gallery."""
        firsts = [row.result.matches[0].person for row in self.rows if row.result.matches]
        if not firsts:
            return None
        person = max(firsts, key=lambda name: (firsts.count(name), -firsts.index(name)))
        return person, firsts.count(person)


def line_up_photo(desk: Desk, photo: np.ndarray, own: SessionGallery, progress: Progress) -> Lineup:
    """The largest face of a photo (H, W, 3) uint8 by every method. Raises DaahError."""
    progress(0.0, "Finding faces")
    found = desk.retriever.detector.find(photo)
    if not found.faces:
        raise ImageError("No face found. Try a larger, front-facing face.")
    count = len(found.faces) + found.left_out
    return line_up(desk, found.faces[0], count, own, progress)


def line_up(desk: Desk, face: Face, count: int, own: SessionGallery, progress: Progress) -> Lineup:
    """A face by this project's networks and by every small model. Raises DaahError.

    The first time, or after the gallery changed, its faces are encoded by each of them.
    """
    held = desk.side_by_side(progress)
    rows = []
    for model in (SHIPPED, *desk.others):
        retriever = desk.serving(model, progress)
        rows.append(_own_row(desk, retriever, model, face, own, held.models.bits))
    known = held.models.card.get("map", {})
    rows += [
        Row(result, known.get(result.name), project=False)
        for result in held.search(face.aligned, MATCHES, own)
    ]
    ids = {match.id for row in rows for match in row.result.matches}
    return Lineup(
        face,
        count,
        tuple(rows),
        {id_: desk.retriever.thumbnail(id_, own) for id_ in ids},
        held.faces + len(own),
        held.total + len(own),
        int(held.models.card.get("people", 0)),
    )


def _own_row(
    desk: Desk,
    retriever: FaceRetriever,
    model: str,
    face: Face,
    own: SessionGallery,
    wanted: int,
) -> Row:
    """One of this project's networks, at the length nearest to that of the small models."""
    bits = min(retriever.lengths, key=lambda length: abs(length - wanted))
    encoded: EncodedFace = retriever.encode([face])[0]
    matches = retriever.match(encoded, MATCHES, bits, desk.additions(own, model))
    return Row(MethodResult(retriever.encoder.name, encoded.code.bits[:bits], matches), None, True)
