"""Filling a gallery from a collection of labelled photos, so that a stopped build can go on."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.errors import DaahError, DataError, GalleryError
from daah.faces import FaceDetector, principal_face
from daah.gallery.folder import Gallery, Progress, checked_name, entry_id
from daah.images import read_image
from daah.models.encoder import FaceEncoder
from daah.pipeline import BATCH, detect, encode

#: Photos 1 to 8 of each of ORL's people are enrolled; 9 and 10 stay out, to be searched with.
ORL_ENROLLED = 8

NO_FACE = "no face found"

#: Known collections: whom to name.
CREDITS = {
    "orl": "The ORL Database of Faces, AT&T Laboratories Cambridge",
    "lfw": "Labeled Faces in the Wild (Huang, Ramesh, Berg, Learned-Miller, 2007)",
}


@dataclass(frozen=True)
class BuildReport:
    """What a build did: faces added, faces that were there before, photos skipped and why."""

    added: int
    present: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float


@dataclass(frozen=True, eq=False)
class _Item:
    """A labelled photo, as a file or decoded."""

    person: str
    photo: str
    image: Path | np.ndarray


def build(
    gallery: Gallery,
    source: str | Path,
    detector: FaceDetector,
    encoder: FaceEncoder,
    progress: Progress | None = None,
) -> BuildReport:
    """Enrol every photo of `source`, and draw the gallery's map.

    source: "orl" (photos 1 to 8 of each person), "lfw", or a folder with a folder of photos for
        each person, of which the principal face is taken.
    Until the end the gallery says that it is incomplete; the same call then goes on where the
    stopped one was. Raises DataError for a source that is not there, GalleryError for a gallery of
    another source.
    """
    started = time.perf_counter()
    name, credit = _identity(source)
    held = gallery.provenance.source
    if gallery.count() and held != name:
        raise GalleryError(
            f"The gallery {gallery.name} holds {held or 'faces added by hand'}; build {name} into "
            "another, or use: python -m daah gallery add"
        )
    items, total = _items(source)
    gallery.describe(source=name, credit=credit, complete=False)
    present = _present(gallery)
    report = progress or (lambda done, total, text: None)
    added, kept, skipped, waiting = 0, 0, [], []

    def enrol() -> int:
        encoded = encode(encoder, [face for _, face in waiting])
        gallery.add_many(
            [
                (item.person, item.photo, face)
                for (item, _), face in zip(waiting, encoded, strict=True)
            ]
        )
        count = len(waiting)
        waiting.clear()
        return count

    for done, item in enumerate(items, 1):
        try:
            person = checked_name("person", item.person)
            photo = checked_name("photo", item.photo)
            if entry_id(person, photo) in present:
                kept += 1
            else:
                rgb = read_image(item.image) if isinstance(item.image, Path) else item.image
                face = principal_face(detect(detector, rgb), rgb.shape)
                if face is None:
                    skipped.append((item.photo, NO_FACE))
                else:
                    waiting.append((item, face))
        except GalleryError:
            raise
        except DaahError as error:
            skipped.append((item.photo, str(error)))
        if len(waiting) == BATCH:
            added += enrol()
        report(done, total, item.person)
    if waiting:
        added += enrol()
    if not added + kept:
        raise DataError(f"No face was found in any of the {len(skipped)} photos of {name}.")
    gallery.flush()
    gallery.draw_map()
    gallery.describe(complete=True, photos=gallery.count(), skipped=len(skipped))
    return BuildReport(added, kept, tuple(skipped), time.perf_counter() - started)


def _identity(source: str | Path) -> tuple[str, str]:
    """The name and credit that a gallery of this source carries."""
    if str(source) in CREDITS:
        return str(source), CREDITS[str(source)]
    return Path(source).name, ""


def _items(source: str | Path) -> tuple[Iterable[_Item], int]:
    """The labelled photos of a source, and how many there are."""
    from daah import sources

    if str(source) == "orl":
        enrolled = [p for p in sources.orl() if int(p.name.rsplit("/", 1)[-1]) <= ORL_ENROLLED]
        return (_Item(p.person, p.name, p.rgb) for p in enrolled), len(enrolled)
    listed = list(sources.folder(sources.lfw() if str(source) == "lfw" else Path(source)))
    return _files(listed), len(listed)


def _files(listed: list[tuple[str, Path]]) -> Iterator[_Item]:
    for person, path in listed:
        yield _Item(person, f"{person}/{path.name}", path)


def _present(gallery: Gallery) -> set[int]:
    return {id_ for rows in gallery.store.scan() for id_ in rows.ids.tolist()}
