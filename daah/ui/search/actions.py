"""What happens on each event of the Search tab: plain typed functions, no Gradio in them.

Each takes the retriever and values and returns values, so that a fake retriever can test them and
two visitors can never meet. What a visitor did wrong comes as a DaahError with a sentence.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from daah.errors import ImageError
from daah.gallery import SessionGallery
from daah.reading import SMALL_READER
from daah.retrieval import explain
from daah.retrieval.retriever import FaceRetriever, Progress, silent
from daah.types import ALIGNED_SIZE, Detection, EncodedFace, Face, Match, PersonMatch
from daah.ui.page.photos import data_uri_bytes
from daah.ui.search import cover
from daah.ui.search.view import Detail, View
from daah.ui.state.session import (
    ATTENTION_OFF,
    ATTENTION_ON,
    ATTENTION_PAINTED,
    Options,
    Session,
    free_name,
)

#: What the seconds of a session are told of, in this order.
STEPS = ("detect", "encode", "search")

#: Least score of a face that settles which way up a photo is. A face on its side is often found
#: too, with less: of 60 portraits, each turned three ways, 3% reached it, and all of them upright.
_SURE = 0.99

#: Cells on a side of the per-bit view.
GRID = 10


def search(
    retriever: FaceRetriever,
    photo: np.ndarray,
    options: Options,
    additions: SessionGallery | None = None,
    progress: Progress = silent,
) -> Session:
    """Find and encode a photo's faces; `look` then searches for them.

    Args:
        retriever: of the model by which the visitor searches.
        photo: (H, W, 3) uint8 RGB, upright.
        options: the controls.
        additions: the visitor's own faces, which are counted.
        progress: called with the share that is done, and what is being done.

    Returns:
        The new session, with the seconds of each step; without a face nothing is encoded.
    """
    started = time.perf_counter()
    progress(0.0, "Finding faces")
    photo, detection, turned = find_turned(retriever, photo)
    detected = time.perf_counter()
    progress(0.5, "Encoding")
    encoded = tuple(retriever.encode(detection.faces))
    seconds = {"detect": detected - started, "encode": time.perf_counter() - detected}
    progress(0.9, f"Searching {_searched(retriever, additions):,} codes")
    session = Session(
        photo,
        {ATTENTION_ON: encoded},
        seconds,
        model=options.model,
        left_out=detection.left_out,
        turned=turned,
    )
    return with_attention(retriever, session, options.attention)


def find_turned(retriever: FaceRetriever, photo: np.ndarray) -> tuple[np.ndarray, Detection, int]:
    """The faces of a photo, which is turned where a face is sure only so.

    Args:
        retriever: whose detector finds them.
        photo: (H, W, 3) uint8 RGB.

    Returns:
        The photo as it was searched, its faces, and by how many degrees it was turned to the left.
    """
    upright = retriever.detector.find(photo)
    if _surest(upright) >= _SURE:
        return photo, upright, 0
    for quarters in (1, 3, 2):
        turned = np.ascontiguousarray(np.rot90(photo, quarters))
        found = retriever.detector.find(turned)
        if _surest(found) >= _SURE:
            return turned, found, 90 * quarters
    return photo, upright, 0


def _surest(detection: Detection) -> float:
    return max((face.score for face in detection.faces), default=0.0)


def with_attention(retriever: FaceRetriever, session: Session, attention: str) -> Session:
    """The session with codes for this attention ready; encodes only what was never asked for."""
    session = replace(session, bit=None)
    if attention == ATTENTION_OFF and ATTENTION_OFF not in session.encoded:
        faces = [encoded.face for encoded in session.encoded[ATTENTION_ON]]
        encoded = tuple(retriever.encode(faces, "off")) if faces else ()
        return replace(session, encoded={**session.encoded, ATTENTION_OFF: encoded})
    return session


def with_model(retriever: FaceRetriever, session: Session, model: str, attention: str) -> Session:
    """The same faces as another model, whose retriever is given, encodes them.

    A painting stays, and so does the chosen match: the gallery's people are the same.
    """
    faces = [encoded.face for encoded in session.encoded[ATTENTION_ON]]
    encoded = tuple(retriever.encode(faces)) if faces else ()
    painted = {i: _painted(retriever, p.face, p.mask) for i, p in session.painted.items()}
    session = replace(
        session,
        encoded={ATTENTION_ON: encoded},
        painted=painted,
        regions={},
        covered={},
        bit=None,
        model=model,
    )
    return with_attention(retriever, session, attention)


def paint(retriever: FaceRetriever, session: Session, mask: np.ndarray | None) -> Session:
    """Encode the chosen face under a mask (224, 224) float32 in [0, 1]; None takes it back."""
    painted = {i: face for i, face in session.painted.items() if i != session.face}
    regions = {
        key: r for key, r in session.regions.items() if key != (ATTENTION_PAINTED, session.face)
    }
    if mask is not None:
        face = session.encoded[ATTENTION_ON][session.face].face
        painted[session.face] = _painted(retriever, face, mask)
    return replace(session, painted=painted, regions=regions, bit=None)


def _painted(retriever: FaceRetriever, face: Face, mask: np.ndarray) -> EncodedFace:
    """A face under a painting, which is shown as it was drawn and not as the network takes it."""
    (encoded,) = retriever.encode([face], mask)
    return replace(encoded, mask=mask)


def painted_mask(picture: str) -> np.ndarray | None:
    """A painting, white on black in a data URI, as a mask (224, 224) float32; None when empty.

    Raises ImageError for anything else.
    """
    if not picture:
        return None
    rgb = SMALL_READER.read(data_uri_bytes(picture), most_pixels=ALIGNED_SIZE**2)
    if rgb.shape[:2] != (ALIGNED_SIZE, ALIGNED_SIZE):
        raise ImageError("The painting does not have the face's size; undo it and paint again.")
    mask = rgb[..., 0].astype(np.float32) / 255
    return mask if mask.any() else None


def add(session: Session, options: Options, additions: SessionGallery, most: int) -> SessionGallery:
    """The visitor's additions with the chosen face, under the name "You" or the next free one."""
    face = session.faces(session.attention(options.attention))[session.face]
    name = free_name(additions)
    return additions.add(name, f"{name}/1", face, most)


def search_entry(
    retriever: FaceRetriever, id: int, options: Options, additions: SessionGallery | None = None
) -> Session:
    """A new search with a gallery entry's own face, which is aligned already."""
    encoded = retriever.recall(id, additions)
    new = Session(encoded.face.aligned, {ATTENTION_ON: (encoded,)}, {}, model=options.model)
    return with_attention(retriever, new, options.attention)


def choose_face(session: Session, index: int) -> Session:
    """Another face of the same photo; what was chosen of the old one is let go."""
    if not 0 <= index < len(session.encoded[ATTENTION_ON]):
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
        for i, encoded in enumerate(session.encoded[ATTENTION_ON])
        if (encoded.face.box[:2] <= point).all() and (point <= encoded.face.box[2:]).all()
    ]
    return holding[-1] if holding else None  # faces are ordered largest first


def choose_match(session: Session, id: int) -> Session:
    """Show this gallery entry beside the face; the same one again hides it."""
    return replace(session, match=None if session.match == id else id, bit=None)


def choose_bit(retriever: FaceRetriever, session: Session, options: Options, bit: int) -> Session:
    """Show what decides this bit. The per-bit view of a face is computed on its first bit."""
    if session.bit == bit or not 0 <= bit < retriever.bits or not session.encoded[ATTENTION_ON]:
        return replace(session, bit=None)
    return replace(regions_of(retriever, session, options), bit=bit)


def regions_of(retriever: FaceRetriever, session: Session, options: Options) -> Session:
    """The session with the per-bit view of the chosen face computed, once."""
    attention = session.attention(options.attention)
    key = (attention, session.face)
    if key in session.regions or not session.encoded[ATTENTION_ON]:
        return session
    encoded = session.faces(attention)[session.face]
    found = explain.bit_regions(retriever.encoder, encoded, grid=GRID)
    return replace(session, regions={**session.regions, key: found})


def look(
    retriever: FaceRetriever,
    session: Session,
    options: Options,
    additions: SessionGallery | None = None,
) -> View:
    """Rank the gallery for every face, as the options say. Encodes no face of the visitor."""
    options = replace(options, attention=session.attention(options.attention))
    if session.bit is not None and (options.attention, session.face) not in session.regions:
        session = replace(session, bit=None)  # chosen under another attention
    faces = session.faces(options.attention)
    started = time.perf_counter()
    matches = tuple(retriever.match(face, options.count, options.bits, additions) for face in faces)
    quality = tuple(retriever.quality(face) for face in faces)
    people = tuple(
        retriever.match_people(face, options.count, options.bits, additions, own)
        for face, own in zip(faces, quality, strict=True)
    )
    if "encode" in session.seconds:  # not of a gallery's face, for which there was nothing to do
        seconds = {"search": time.perf_counter() - started, **session.seconds}
        session = replace(session, seconds={step: seconds[step] for step in STEPS})
    shown = matches[session.face] if faces else ()
    near = people[session.face] if faces else ()
    known = {m.id: m for m in (*shown, *(_photo(p) for p in near))}
    chosen = known.get(session.match) if session.match is not None else None
    rival = None
    # Only with the regions, which it is drawn by: a gallery's face is encoded to be compared.
    if chosen is not None and (options.attention, session.face) in session.regions:
        rival = next((p for p in near if p.person != chosen.person), None)
    total = retriever.count_people(additions)
    return View(
        session=session,
        options=options,
        faces=faces,
        matches=matches,
        people=people,
        thumbnails={id: retriever.thumbnail(id, additions) for id in known},
        gallery=_searched(retriever, additions),
        detail=_detail(retriever, chosen, additions),
        cover=cover.look(retriever, session, options, additions),
        people_searched=total,
        rate=(
            retriever.judge.rate(near[0].distance, options.bits, total, quality[session.face])
            if near
            else None
        ),
        rival=_detail(retriever, _photo(rival) if rival else None, additions),
        quality=quality,
    )


def _photo(person: PersonMatch) -> Match:
    """The nearest photo of a person, at the distance of the person."""
    return Match(
        person.id, person.person, person.photo, person.distance, person.bits, name=person.name
    )


def _detail(
    retriever: FaceRetriever, match: Match | None, additions: SessionGallery | None
) -> Detail | None:
    return None if match is None else Detail(match, retriever.recall(match.id, additions))


def _searched(retriever: FaceRetriever, additions: SessionGallery | None) -> int:
    return retriever.gallery.store.count() + (len(additions) if additions else 0)


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
