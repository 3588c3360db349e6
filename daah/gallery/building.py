"""Filling a gallery from a collection of labelled photos, resumable."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.data import sources
from daah.detection.detector import FaceDetector, principal_face
from daah.errors import ConfigError, DaahError, DataError, GalleryError
from daah.gallery.gallery import Gallery
from daah.gallery.names import checked_name, entry_id
from daah.images import read_image
from daah.models.encoder import FaceEncoder, encode_many
from daah.parallel import Progress, in_order
from daah.types import Face

#: Photos 1 to 8 of each of ORL's people are enrolled; 9 and 10 stay out, to be searched with.
ORL_ENROLLED = 8

NO_FACE = "no face found"

#: Photos whose faces are written at a time.
_CHUNK = 32

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

    @property
    def id(self) -> int | None:
        """The id that its entry gets, None when its names cannot be kept."""
        try:
            return entry_id(checked_name("person", self.person), checked_name("photo", self.photo))
        except ConfigError:
            return None


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
    Resumable: until the end the gallery says that it is incomplete, and calling again continues
    where the last call stopped. Raises DataError for a source that is not there, GalleryError for a
    gallery of another source.
    """
    started = time.perf_counter()
    name, credit = _identity(source)
    held = gallery.provenance.source
    if gallery.count() and held != name:
        raise GalleryError(
            f"The gallery {gallery.name} holds {held or 'faces added by hand'}; build {name} into "
            "another, or use: python -m daah gallery add SRC --gallery FOLDER"
        )
    items, total = _items(source)
    gallery.describe(source=name, credit=credit, complete=False)
    present = _present(gallery)
    report = progress or (lambda done, total, text: None)
    added, kept, done, skipped = 0, 0, 0, []

    def find(item: _Item) -> Face | str:
        return _face(detector, item)

    while chunk := list(itertools.islice(items, _CHUNK)):
        new = []
        for item in chunk:
            if item.id not in present:
                new.append(item)
                present.add(item.id)
        kept += len(chunk) - len(new)
        found = dict(zip(new, in_order(find, new, "Finding faces"), strict=True))
        skipped += [(item.photo, face) for item, face in found.items() if isinstance(face, str)]
        faces = {item: face for item, face in found.items() if isinstance(face, Face)}
        encoded = encode_many(encoder, list(faces.values()))
        gallery.add_many(
            [(item.person, item.photo, face) for item, face in zip(faces, encoded, strict=True)]
        )
        added += len(faces)
        done += len(chunk)
        report(done, total, chunk[-1].person)
    if not added + kept:
        raise DataError(f"No face was found in any of the {len(skipped)} photos of {name}.")
    gallery.flush()
    gallery.draw_map()
    gallery.describe(complete=True, photos=gallery.count(), skipped=len(skipped))
    return BuildReport(added, kept, tuple(skipped), time.perf_counter() - started)


def check_source(source: str | Path) -> None:
    """Raise DataError for a folder that is missing, or is not one with a folder per person."""
    if str(source) not in CREDITS:
        sources.folder(Path(source))


def _identity(source: str | Path) -> tuple[str, str]:
    """The name and credit that a gallery of this source carries."""
    if str(source) in CREDITS:
        return str(source), CREDITS[str(source)]
    return Path(source).name, ""


def _face(detector: FaceDetector, item: _Item) -> Face | str:
    """The principal face of a photo, or why there is none."""
    try:
        checked_name("person", item.person)
        checked_name("photo", item.photo)
        rgb = read_image(item.image) if isinstance(item.image, Path) else item.image
        return principal_face(detector.detect(rgb), rgb.shape) or NO_FACE
    except DaahError as error:
        return str(error)


def _items(source: str | Path) -> tuple[Iterator[_Item], int]:
    """The labelled photos of a source, and how many there are."""
    if str(source) == "orl":
        enrolled = [p for p in sources.orl() if int(p.name.rsplit("/", 1)[-1]) <= ORL_ENROLLED]
        return (_Item(p.person, p.name, p.rgb) for p in enrolled), len(enrolled)
    tree = sources.lfw(download=True) if str(source) == "lfw" else Path(source)
    listed = list(sources.folder(tree))
    return _files(listed), len(listed)


def _files(listed: list[tuple[str, Path]]) -> Iterator[_Item]:
    for person, path in listed:
        yield _Item(person, f"{person}/{path.name}", path)


def _present(gallery: Gallery) -> set[int]:
    return {id_ for rows in gallery.store.scan() for id_ in rows.ids.tolist()}
