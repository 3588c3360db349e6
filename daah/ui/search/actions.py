"""What happens on each event of the Search tab: plain typed functions, no Gradio in them.

Each takes the retriever and values and returns values, so that a fake retriever can test them and
two visitors can never meet. What a visitor did wrong comes as a DaahError with a sentence.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from daah import codes
from daah.errors import ConfigError, ImageError
from daah.gallery import SessionGallery
from daah.pipeline import aligned_face
from daah.reading import SMALL_READER
from daah.retrieval import explain
from daah.retrieval.retriever import FaceRetriever
from daah.types import ALIGNED_SIZE, EncodedFace, Face, Match
from daah.ui.state.session import MODEL, OFF, PAINTED, Options, Pair, Session

Progress = Callable[[float, str], None]

#: Cells on a side of the per-bit view.
GRID = 10
#: Matches of one face that the endpoint gives at most.
MOST_MATCHES = 100
#: Under this width, in pixels of the photo, a face is searched with a warning.
SMALL_FACE = 40


@dataclass(frozen=True, eq=False)
class Detail:
    """The chosen match and its gallery face, encoded."""

    match: Match
    encoded: EncodedFace


@dataclass(frozen=True, eq=False)
class View:
    """Everything the Search tab draws. matches: per face; thumbnails: of the chosen face's."""

    session: Session
    options: Options
    faces: tuple[EncodedFace, ...]
    matches: tuple[tuple[Match, ...], ...]
    thumbnails: Mapping[int, np.ndarray]
    gallery: int
    detail: Detail | None

    @property
    def chosen(self) -> EncodedFace:
        """The chosen face."""
        return self.faces[self.session.face]


def search(
    retriever: FaceRetriever,
    photo: np.ndarray,
    options: Options,
    own: SessionGallery | None = None,
    progress: Progress | None = None,
) -> Session:
    """Find and encode a photo's faces; it is (H, W, 3) uint8. Without a face nothing is encoded."""
    result = retriever.search(photo, options.count, options.bits, progress, own)
    encoded = tuple(found.encoded for found in result.faces)
    session = Session(
        photo, {MODEL: encoded}, result.seconds, model=options.model, left_out=result.left_out
    )
    return with_attention(retriever, session, options.attention)


def with_attention(retriever: FaceRetriever, session: Session, attention: str) -> Session:
    """The session with codes for this attention ready; encodes only what was never asked for."""
    session = replace(session, bit=None)
    if attention == OFF and OFF not in session.encoded:
        faces = [encoded.face for encoded in session.encoded[MODEL]]
        encoded = tuple(retriever.encode(faces, "off")) if faces else ()
        return replace(session, encoded={**session.encoded, OFF: encoded})
    return session


def with_model(retriever: FaceRetriever, session: Session, model: str, attention: str) -> Session:
    """The same faces as another model, whose retriever is given, encodes them.

    A painting stays, and so does the chosen match: the gallery's people are the same.
    """
    faces = [encoded.face for encoded in session.encoded[MODEL]]
    encoded = tuple(retriever.encode(faces)) if faces else ()
    painted = {i: retriever.encode([p.face], p.mask)[0] for i, p in session.painted.items()}
    session = replace(
        session, encoded={MODEL: encoded}, painted=painted, regions={}, bit=None, model=model
    )
    return with_attention(retriever, session, attention)


def recode(retriever: FaceRetriever, own: SessionGallery) -> SessionGallery:
    """A visitor's additions as this retriever's model encodes them."""
    made = SessionGallery()
    for entry in own.entries():
        (encoded,) = retriever.encode([aligned_face(own.thumbnail(entry.id))])
        made = made.add(entry.person, entry.photo, encoded, most=len(own))
    return made


def paint(retriever: FaceRetriever, session: Session, mask: np.ndarray | None) -> Session:
    """Encode the chosen face under a mask (150, 150) float32 in [0, 1]; None takes it back."""
    painted = {i: face for i, face in session.painted.items() if i != session.face}
    regions = {key: r for key, r in session.regions.items() if key != (PAINTED, session.face)}
    if mask is not None:
        face = session.encoded[MODEL][session.face].face
        painted[session.face] = retriever.encode([face], mask)[0]
    return replace(session, painted=painted, regions=regions, bit=None)


def painted_mask(picture: str) -> np.ndarray | None:
    """A painting, white on black in a data URI, as a mask (150, 150) float32; None when empty.

    Raises ImageError for anything else.
    """
    if not picture:
        return None
    rgb = SMALL_READER.read(data_uri_bytes(picture), most_pixels=ALIGNED_SIZE**2)
    if rgb.shape[:2] != (ALIGNED_SIZE, ALIGNED_SIZE):
        raise ImageError("The painting has another size than the face; undo it and paint again.")
    mask = rgb[..., 0].astype(np.float32) / 255
    return mask if mask.any() else None


def data_uri_bytes(uri: str) -> bytes:
    """What a `data:image/...;base64,` URI holds; nothing at all for any other text."""
    head, _, body = str(uri).partition(";base64,")
    try:
        return base64.b64decode(body if head.startswith("data:image/") else "", validate=True)
    except (binascii.Error, ValueError):
        return b""


def base64_bytes(text: str) -> bytes:
    """What base64 text holds, with or without the head of a data URI. Raises ImageError."""
    head, mark, body = str(text).partition(";base64,")
    if mark and not head.startswith("data:"):
        body = ""
    try:
        data = base64.b64decode("".join((body if mark else head).split()), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise ImageError(
            "photo: expected the bytes of a JPEG, PNG or WebP file as base64 text. Addresses and "
            "paths are not read."
        )
    return data


def search_entry(
    retriever: FaceRetriever, id: int, options: Options, own: SessionGallery | None = None
) -> Session:
    """A new search with a gallery entry's own face, which is aligned already."""
    encoded = retriever.recall(id, own)
    new = Session(encoded.face.aligned, {MODEL: (encoded,)}, {}, model=options.model)
    return with_attention(retriever, new, options.attention)


def choose_face(session: Session, index: int) -> Session:
    """Another face of the same photo; what was chosen of the old one is let go."""
    if not 0 <= index < len(session.encoded[MODEL]):
        return session
    return replace(session, face=index, match=None, bit=None)


def face_at(session: Session, x: float, y: float) -> int | None:
    """The face whose box holds the point, in shares of the photo's width and height.

    Where boxes overlap the smallest is meant: the larger one can be tapped elsewhere.
    """
    height, width = session.size
    point = np.array([x * width, y * height])
    holding = [
        i
        for i, encoded in enumerate(session.encoded[MODEL])
        if (encoded.face.box[:2] <= point).all() and (point <= encoded.face.box[2:]).all()
    ]
    return holding[-1] if holding else None  # faces are ordered largest first


def choose_match(session: Session, id: int) -> Session:
    """Show this gallery entry beside the face; the same one again hides it."""
    return replace(session, match=None if session.match == id else id, bit=None)


def choose_bit(retriever: FaceRetriever, session: Session, options: Options, bit: int) -> Session:
    """Show what decides this bit. The per-bit view of a face is computed on its first bit."""
    if session.bit == bit or not 0 <= bit < retriever.bits or not session.encoded[MODEL]:
        return replace(session, bit=None)
    attention = session.attention(options.attention)
    key = (attention, session.face)
    regions = session.regions
    if key not in regions:
        encoded = session.faces(attention)[session.face]
        regions = {**regions, key: explain.bit_regions(retriever.encoder, encoded, grid=GRID)}
    return replace(session, bit=bit, regions=regions)


def snap(lengths: tuple[int, ...], before: int, wanted: int) -> int:
    """The code length that a slider moved from `before` to `wanted` means.

    Only trained prefixes are codes; between two of them the direction of the move decides, so
    that an arrow key never gets stuck.
    """
    if wanted in lengths:
        return wanted
    if wanted > before:
        return min((n for n in lengths if n >= wanted), default=max(lengths))
    return max((n for n in lengths if n <= wanted), default=min(lengths))


def look(
    retriever: FaceRetriever,
    session: Session,
    options: Options,
    own: SessionGallery | None = None,
) -> View:
    """Rank the gallery for every face, as the options say. Encodes no face of the visitor."""
    options = replace(options, attention=session.attention(options.attention))
    if session.bit is not None and (options.attention, session.face) not in session.regions:
        session = replace(session, bit=None)  # chosen under another attention
    faces = session.faces(options.attention)
    matches = tuple(rank(retriever, face, options, own) for face in faces)
    shown = matches[session.face] if faces else ()
    chosen = next((m for m in shown if m.id == session.match), None)
    return View(
        session=session,
        options=options,
        faces=faces,
        matches=matches,
        thumbnails={m.id: retriever.thumbnail(m.id, own) for m in shown},
        gallery=retriever.gallery.store.count() + (len(own) if own else 0),
        detail=Detail(chosen, retriever.recall(chosen.id, own)) if chosen else None,
    )


def rank(
    retriever: FaceRetriever,
    encoded: EncodedFace,
    options: Options,
    own: SessionGallery | None = None,
) -> tuple[Match, ...]:
    """The nearest entries, judged by the threshold that the visitor set."""
    found = retriever.match(encoded, options.count, options.bits, own)
    return tuple(replace(m, same_person=m.distance <= options.threshold) for m in found)


def shown_photo(session: Session, faces: tuple[EncodedFace, ...]) -> tuple[np.ndarray, tuple]:
    """The photo at the size it is drawn, and the faces in its pixels."""
    small = session.photo
    scale = small.shape[1] / session.size[1]
    if scale == 1:
        return small, faces
    return small, tuple(replace(f, face=_scaled(f.face, scale)) for f in faces)


def _scaled(face: Face, scale: float) -> Face:
    matrix = face.matrix.copy()
    matrix[:, :2] /= np.float32(scale)
    scale = np.float32(scale)
    return replace(face, box=face.box * scale, landmarks=face.landmarks * scale, matrix=matrix)


def pair(
    retriever: FaceRetriever, first: np.ndarray, second: np.ndarray, progress: Progress
) -> Pair:
    """Find and encode the largest face of each photo. Raises ImageError when there is none."""
    chosen, counts = [], []
    for i, (photo, name) in enumerate(((first, "first"), (second, "second"))):
        progress(0.4 * i, "Finding faces")
        found = retriever.detector.find(photo)
        if not found.faces:
            raise ImageError(f"No face found in the {name} photo. Try a larger, front-facing face.")
        chosen.append(found.faces[0])
        counts.append(len(found.faces) + found.left_out)
    progress(0.8, "Encoding")
    one, two = retriever.encode(chosen)
    return Pair((one, two), (counts[0], counts[1]))


def with_regions(retriever: FaceRetriever, pair: Pair) -> Pair:
    """The pair with what decides the bits of each face; computed once."""
    if pair.regions is not None:
        return pair
    one, two = (explain.bit_regions(retriever.encoder, face, GRID) for face in pair.faces)
    return replace(pair, regions=(one, two))


def document(view: View) -> dict[str, Any]:
    """The result as plain JSON values, the same shape as the `/search` endpoint returns."""
    return {
        "faces": [
            describe(encoded, matches, view.options.bits)
            for encoded, matches in zip(view.faces, view.matches, strict=True)
        ],
        "faces_left_out": view.session.left_out,
        "bits": view.options.bits,
        "attention": view.options.attention,
        "seconds": {step: round(s, 4) for step, s in view.session.seconds.items()},
    }


def describe(encoded: EncodedFace, matches: tuple[Match, ...], bits: int) -> dict[str, Any]:
    """One face with its matches as plain JSON values, in pixels of the upright photo.

    Ids are texts: they have 63 bits, and a JavaScript number holds 53.
    """
    face = encoded.face
    packed = codes.prefix(codes.pack(encoded.code.bits), bits)
    return {
        "box": [round(float(v), 1) for v in face.box],
        "score": round(float(face.score), 4),
        "landmarks": [[round(float(v), 1) for v in point] for point in face.landmarks],
        "code": codes.to_hex(packed),
        "matches": [
            {
                "id": str(m.id),
                "person": m.person,
                "photo": m.photo,
                "distance": m.distance,
                "probability": m.probability,
                "same_person": m.same_person,
            }
            for m in matches
        ],
    }


def search_photo(retriever: FaceRetriever, photo: np.ndarray, k: int, bits: int) -> dict[str, Any]:
    """The `/search` endpoint on a photo (H, W, 3) uint8, upright. Raises ConfigError."""
    if not isinstance(k, int) or not 1 <= k <= MOST_MATCHES:
        raise ConfigError(f"k: expected 1 to {MOST_MATCHES} matches, got {k}.")
    if not isinstance(bits, int):
        raise ConfigError(f"bits: expected a whole number, got {bits}.")
    result = retriever.search(photo, k=k, bits=bits)
    return {
        "faces": [describe(found.encoded, found.matches, bits) for found in result.faces],
        "faces_left_out": result.left_out,
        "seconds": {step: round(s, 4) for step, s in result.seconds.items()},
    }
