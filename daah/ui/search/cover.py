"""Cover part of the face: what the mask does about it, and what the answer is without a mask."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape

import numpy as np

from daah.data.occlusion import KINDS, PASTED_FACE, occlude
from daah.gallery import SessionGallery
from daah.retrieval import explain
from daah.retrieval.retriever import FaceRetriever
from daah.types import EncodedFace, Match
from daah.ui.page.html import data_uri, heading
from daah.ui.state.session import ATTENTION_ON, Covered, Options, Session

#: Seed of colour, size and place: the same choice shows the same picture.
_SEED = 7


@dataclass(frozen=True, eq=False)
class CoverView:
    """A covered face and its two answers.

    Attributes:
        covered: the face, encoded twice.
        masked: nearest gallery photo with attention; None in an empty gallery.
        unmasked: nearest gallery photo without attention; None in an empty gallery.
        original: the face without a cover, with attention.
    """

    covered: Covered
    masked: Match | None
    unmasked: Match | None
    original: EncodedFace


def cover(
    retriever: FaceRetriever,
    session: Session,
    options: Options,
    kind: str,
    additions: SessionGallery | None = None,
) -> Session:
    """Put something in front of the chosen face; the same again takes it away.

    Args:
        retriever: of the session's model.
        session: one photo's faces.
        options: the controls.
        kind: of `KINDS`; anything else changes nothing.
        additions: the visitor's own faces.

    Returns:
        The session with the covered face, encoded with attention and without.
    """
    index, known = session.face, session.covered.get(session.face)
    others = {i: covered for i, covered in session.covered.items() if i != index}
    if known is not None and known.kind == kind:
        return replace(session, covered=others)
    if kind not in KINDS or not session.encoded[ATTENTION_ON]:
        return session
    encoded = session.encoded[ATTENTION_ON][index]
    face = encoded.face
    landmarks = face.landmarks @ face.matrix[:, :2].T + face.matrix[:, 2]
    pasted = None
    if kind == PASTED_FACE:
        pasted = _somebody_else(retriever, encoded, options, additions)
    drawn = occlude(face.aligned, landmarks, kind, np.random.default_rng(_SEED), pasted)
    hidden = replace(face, aligned=drawn.image)
    (masked,) = retriever.encode([hidden])
    unmasked, plain = retriever.encode([hidden, face], "off")
    return replace(session, covered={**others, index: Covered(kind, masked, unmasked, plain)})


def _somebody_else(
    retriever: FaceRetriever,
    encoded: EncodedFace,
    options: Options,
    additions: SessionGallery | None,
) -> np.ndarray:
    """A face (S, S, 3) that is not the visitor's: the last of the nearest, else a mirrored one."""
    found = retriever.match(encoded, options.count, options.bits, additions)
    if not found:
        return encoded.face.aligned[:, ::-1]
    return retriever.thumbnail(found[-1].id, additions)


def look(
    retriever: FaceRetriever,
    session: Session,
    options: Options,
    additions: SessionGallery | None = None,
) -> CoverView | None:
    """Search for the covered face, with attention and without.

    Args:
        retriever: of the session's model.
        session: one photo's faces.
        options: the controls.
        additions: the visitor's own faces.

    Returns:
        Both answers; None where nothing covers the chosen face.
    """
    covered = session.covered.get(session.face)
    if covered is None:
        return None

    def nearest(encoded: EncodedFace) -> Match | None:
        found = retriever.match(encoded, 1, options.bits, additions)
        return found[0] if found else None

    original = session.encoded[ATTENTION_ON][session.face]
    return CoverView(covered, nearest(covered.masked), nearest(covered.unmasked), original)


def panel(view: CoverView | None, bits: int, strength: float) -> str:
    """The choice of covers, and what the chosen one changes.

    Args:
        view: of `look`.
        bits: code length that is compared.
        strength: of the heatmap, 0 to 1.

    Returns:
        HTML.
    """
    chosen = view.covered.kind if view else None
    buttons = "".join(
        f'<button type="button" class="small" data-do="cover" data-kind="{escape(kind)}" '
        f'aria-pressed="{str(kind == chosen).lower()}">{escape(kind.capitalize())}</button>'
        for kind in KINDS
    )
    return (
        f"{heading('Cover part of the face', 'h-cover')}"
        '<p class="hint">Put something in front of the face and see whether the mask hides it, and '
        "what the answer is with attention and without. None of these covers was used in "
        "training.</p>"
        f'<div class="tools row" role="group" aria-label="Covers">{buttons}</div>'
        f"{_answers(view, bits, strength) if view else ''}"
    )


def _answers(view: CoverView, bits: int, strength: float) -> str:
    covered = view.covered
    heat = explain.overlay(covered.masked.face.aligned, covered.masked.mask, strength)
    kind = escape(covered.kind)
    return (
        '<div class="look even" role="status"><figure>'
        f'<img alt="The face behind: {kind}" src="{data_uri(covered.unmasked.face.aligned, 92)}">'
        f"<figcaption><b>Without attention</b><br>"
        f"{_answer(view.unmasked, covered.unmasked, covered.plain, bits)}</figcaption></figure>"
        "<figure>"
        f'<img alt="Heatmap of attention on the covered face" src="{data_uri(heat, 92)}">'
        f"<figcaption><b>With attention</b><br>"
        f"{_answer(view.masked, covered.masked, view.original, bits)}</figcaption></figure></div>"
    )


def _answer(match: Match | None, covered: EncodedFace, original: EncodedFace, bits: int) -> str:
    changed = int((covered.code.bits[:bits] != original.code.bits[:bits]).sum())
    words = f"The cover changes {changed} of {bits} bits."
    if match is None:
        return words
    agree = match.bits - match.distance
    return f"{words} Nearest: {escape(match.person)}, {agree} of {match.bits} bits agree."
