"""What happens in the Gallery tab: plain typed functions, no Gradio in them."""

from __future__ import annotations

import functools
import heapq
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from daah import codes
from daah.detection.detector import choice_of, principal_face
from daah.errors import GalleryError, ImageError
from daah.gallery import Entry, Gallery, SessionGallery, enrol, manifest
from daah.gallery.people import is_hidden
from daah.gallery.session import MOST_ENTRIES
from daah.models.quality import DOUBTFUL, REFUSED, complaint
from daah.reading import READER
from daah.retrieval.retriever import FaceRetriever, Progress
from daah.types import EncodedFace
from daah.ui.state.context import DEFAULT_MODEL, AppContext

#: Points that a map is drawn with at most; a phone draws more too slowly, and nobody sees them.
MOST_POINTS = 3000
#: Photos of one person that are shown.
MOST_PHOTOS = 60


@dataclass(frozen=True, eq=False)
class Map:
    """A map as it is drawn. ids: N; xy (N, 2) float32 in [0, 1], y up; people: N names.

    query: where the visitor's face belongs, (2,) float32, or None. nearest: where the nearest
    photo of the most alike person is, (2,) float32, when that person is no match of the visitor's
    face: the map puts a stranger among people whom they only resemble.
    """

    ids: np.ndarray
    xy: np.ndarray
    people: tuple[str, ...]
    query: np.ndarray | None
    nearest: np.ndarray | None = None


@dataclass(frozen=True)
class Person:
    """Someone who can be found. name: as shown. first: an entry to show. own: the visitor's."""

    name: str
    photos: int
    first: int
    own: bool


def draw_map(
    context: AppContext, query: EncodedFace | None = None, model: str = DEFAULT_MODEL
) -> Map:
    """The gallery's map by a model, with the visitor's face as it encoded it dropped in.

    Draws it when it never was.
    """
    retriever = context.retriever_for(model)
    gallery = retriever.gallery
    drawn = context.projection(model)
    kept = np.isin(drawn.ids, np.fromiter((e.id for e in gallery.entries()), np.int64))
    ids, xy = drawn.ids[kept], drawn.xy[kept]
    if len(ids) > MOST_POINTS:
        chosen = np.random.default_rng(0).choice(len(ids), MOST_POINTS, replace=False)
        ids, xy = ids[chosen], xy[chosen]
    names = tuple(meta.person for meta in gallery.store.get(ids).meta) if len(ids) else ()
    place = None if query is None else drawn.place(codes.pack(query.code.bits)[None])[0]
    nearest = None
    for person in () if query is None else retriever.match_people(query, 1):
        if person.verdict != "match" and (drawn.ids == person.id).any():
            nearest = drawn.xy[drawn.ids == person.id][0]
    return Map(ids, xy, names, place, nearest)


def nearest_point(drawn: Map, x: float, y: float) -> int | None:
    """The entry nearest to a point of the picture, in shares of its width and height, y down."""
    if not len(drawn.ids):
        return None
    away = ((drawn.xy - np.array([x, 1 - y], np.float32)) ** 2).sum(1)
    return int(drawn.ids[away.argmin()])


def find_people(
    gallery: Gallery, additions: SessionGallery, text: str, limit: int
) -> tuple[list[Person], int]:
    """People in whose name `text` stands, the visitor's own first; and how many there are.

    Hidden people are left out.
    """
    wanted = text.strip().casefold()
    mine = [
        Person(name, photos, additions.entries(name)[0].id, True)
        for name, photos in additions.people().items()
        if wanted in name.casefold()
    ]
    found = [p for p in gallery.find_people(text) if not is_hidden(p.person)]
    others = []
    for person in heapq.nsmallest(
        max(0, limit - len(mine)), found, key=lambda person: _counted(person.shown)
    ):
        first = next(gallery.entries(person.person), None)
        if first is not None:  # removed a moment ago
            others.append(Person(person.shown, person.photos, first.id, False))
    return mine + others, len(mine) + len(found)


def _counted(name: str) -> list[tuple[int, int, str]]:
    """Sorts names as people count: s2 before s10."""
    pieces = re.findall(r"[0-9]{1,18}|[^0-9]+", name.casefold())
    return [(0, int(p), "") if "0" <= p[0] <= "9" else (1, 0, p) for p in pieces]


def photos_of(gallery: Gallery, additions: SessionGallery, id: int) -> list[Entry]:
    """The entry with this id and others of the same person. Raises GalleryError."""
    if id < 0:
        mine = [entry for entry in additions.entries() if entry.id == id]
        if not mine:
            raise GalleryError("This face is not among those that you added.")
        return additions.entries(mine[0].person)
    one = gallery.entry(id)
    rest = (entry for entry in gallery.entries(one.person) if entry.id != id)
    return [one, *islice(rest, MOST_PHOTOS - 1)]


#: Called with why a face that was added is hard to tell from others, or which of several it is.
Warn = Callable[[str], None]


def unheard(_why: str) -> None:
    """A `Warn` that tells nobody."""


def add_for_visit(
    retriever: FaceRetriever,
    additions: SessionGallery,
    person: str,
    photo: np.ndarray | None,
    most: int = MOST_ENTRIES,
    warn: Warn = unheard,
    took: Warn = unheard,
) -> SessionGallery:
    """The visitor's additions with the main face of one more photo.

    Args:
        retriever: Finds and encodes the face.
        additions: The additions so far.
        person: Whose face it is.
        photo: (H, W, 3) uint8 RGB.
        most: Faces that a visitor may add.
        warn: Called when the face is hard to tell from others.
        took: Called with which face was taken, when the photo shows several.

    Returns:
        The additions with one more.

    Raises:
        DaahError: When there is no photo, no face or a useless one, no name, or no room.
    """
    if photo is None:
        raise ImageError("Add a photo of the person first.")
    encoded = main_face(retriever, photo, warn, took)
    taken = additions.people().get(person.strip(), 0)
    return additions.add(person, f"{person.strip()}/{taken + 1}", encoded, most)


def add_person(
    context: AppContext,
    person: str,
    files: Sequence[str],
    progress: Progress,
    warn: Warn = unheard,
    took: Warn = unheard,
) -> tuple[int, list[tuple[str, str]]]:
    """Enrol photos of one person in a local gallery: how many, and what was skipped and why."""
    context.require_local()
    if not files:
        raise ImageError("Choose at least one photo of the person.")
    gallery = context.retriever.gallery
    rows, skipped = [], []
    for i, file in enumerate(files):
        path = Path(file)
        progress(i / len(files), f"Photo {i + 1} of {len(files)}")
        try:
            told = [functools.partial(_tell, heard, path.name) for heard in (warn, took)]
            face = main_face(context.retriever, READER.read(path), *told)
            rows.append((person, path.name, face))
        except ImageError as problem:
            skipped.append((path.name, str(problem)))
    gallery.add_many(rows)
    gallery.flush()
    return len(rows), skipped


def _tell(warn: Warn, photo: str, why: str) -> None:
    warn(f"{photo}: {why}")


def import_folder(
    context: AppContext,
    folder: str,
    progress: Progress,
    warn: Warn = unheard,
    took: Warn = unheard,
) -> tuple[int, int, list]:
    """Enrol a folder with a folder of photos for each person: added, present, skipped."""
    context.require_local()
    if not folder.strip():
        raise GalleryError("Name a folder that holds one folder of photos for each person.")
    listed = manifest.listing(Path(folder.strip()).expanduser())
    report = enrolled(context, listed, progress, warn, took)
    return report.added, report.present, [(r.photo, r.reason) for r in report.examples]


def enrolled(
    context: AppContext, listed: manifest.Listing, progress: Progress, warn: Warn, took: Warn
) -> enrol.BulkReport:
    """Enrol a listing in a local gallery; warn and took are as of `add_for_visit`."""
    now = context.retriever
    report = enrol.add(
        now.gallery,
        listed,
        now.encoder,
        workers=0,  # worker processes would start this server once more each
        make_detector=lambda: now.detector,
        progress=lambda done, total, who: progress(
            done / max(total, 1), f"{done:,} of {total:,}: {who}"
        ),
    )
    for doubt in report.warnings:
        _tell(warn, doubt.photo, doubt.reason)
    for several in report.taken:
        _tell(took, several.photo, several.reason)
    return report


def redraw(context: AppContext) -> None:
    """Draw the map of a local gallery again after a change."""
    context.require_local()
    context.retriever.gallery.draw_map()
    context.forget_projection()


def main_face(retriever: FaceRetriever, rgb: np.ndarray, warn: Warn, took: Warn) -> EncodedFace:
    """The main face of a photo, to be enrolled.

    Args:
        retriever: Finds and encodes the face.
        rgb: (H, W, 3) uint8 RGB.
        warn: Called when the face is hard to tell from others.
        took: Called with which face was taken, when the photo shows several.

    Returns:
        The face with its code.

    Raises:
        ImageError: There is no face, or it is of no use.
    """
    faces = retriever.detect(rgb)
    face = principal_face(faces, rgb.shape)
    if face is None:
        raise ImageError("No face found. Try a larger, front-facing face.")
    (encoded,) = retriever.encode([face])
    quality = retriever.quality(encoded)
    if why := complaint(quality, REFUSED):
        raise ImageError(f"Not added: {why}. Choose a sharp, large photo from the front.")
    if why := complaint(quality, DOUBTFUL):
        warn(why)
    if choice := choice_of(face, faces):
        took(choice)
    return encoded
