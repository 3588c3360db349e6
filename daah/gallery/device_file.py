"""Files of faces that the page without a server exports from a browser.

JSON Lines: the first line is `{"format": "daah faces", "version": 1}`, each other one a face with
"person", "photo" and "face", its aligned picture as a JPEG file in base64. There are no codes in
it: they are computed from the pictures, so that a file can neither be of another model nor claim a
code that its picture does not have.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daah.detection.alignment import aligned_face
from daah.errors import ConfigError, DataError, ImageError
from daah.gallery.gallery import Gallery
from daah.gallery.names import checked_name, entry_id
from daah.images import read_image
from daah.models.encoder import Encoder, encode_many
from daah.parallel import Progress
from daah.types import ALIGNED_SIZE

#: Bytes of a line, at most.
LONGEST_LINE = 2_000_000

#: Faces per transaction.
_BATCH = 64

_KIND = {"format": "daah faces", "version": 1}


@dataclass(frozen=True)
class DeviceFace:
    """A face of a file.

    Attributes:
        person: name of the person.
        photo: name of the photo.
        aligned: (224, 224, 3) uint8 RGB.
    """

    person: str
    photo: str
    aligned: np.ndarray


@dataclass(frozen=True)
class DeviceReport:
    """Result of `import_faces`.

    Attributes:
        seen: faces of the file.
        added: faces enrolled by this run.
        present: faces of photos that the gallery had already.
    """

    seen: int
    added: int
    present: int


def read_faces(path: Path) -> Iterator[DeviceFace]:
    """Read a file face by face.

    Args:
        path: the file.

    Yields:
        The faces, in the order of the file.

    Raises:
        DataError: the file cannot be read, is of another kind, or a line is not as described above;
            the text names the line.
    """
    try:
        with path.open("rb") as file:
            for number in itertools.count(1):
                line = file.readline(LONGEST_LINE + 1)
                if not line:
                    break
                if len(line) > LONGEST_LINE:
                    raise DataError(f"{path.name}, line {number}: longer than 2 MB.")
                if number == 1:
                    _check_kind(path, line)
                elif line.strip():
                    yield _face(path, number, _object(path, number, line))
    except OSError as error:
        raise DataError(f"{path.name} cannot be read ({error.strerror}).") from error


def import_faces(
    gallery: Gallery, path: Path, encoder: Encoder, progress: Progress | None = None
) -> DeviceReport:
    """Enrol the faces of a file.

    Imports are resumable: photos that are in the gallery are skipped, and those before a line that
    is wrong are enrolled.

    Args:
        gallery: the gallery.
        path: the file.
        encoder: the gallery's model.
        progress: called with faces done, the same number, and a person's name.

    Returns:
        What was done.

    Raises:
        DataError: as of `read_faces`.
        GalleryError: the gallery is read-only or cannot be written.
    """
    gallery.require_writable()
    seen = added = 0
    waiting: list[DeviceFace] = []

    def write() -> None:
        nonlocal seen, added
        seen += len(waiting)
        unique = {entry_id(face.person, face.photo): face for face in waiting}
        present = gallery.store.contains(np.array(list(unique), np.int64))
        new = [face for face, held in zip(unique.values(), present, strict=True) if not held]
        encoded = encode_many(encoder, [aligned_face(face.aligned) for face in new])
        rows = [(f.person, f.photo, e) for f, e in zip(new, encoded, strict=True)]
        added += len(gallery.add_many(rows))
        if progress and waiting:
            progress(seen, seen, waiting[-1].person)
        waiting.clear()

    try:
        for face in read_faces(path):
            waiting.append(face)
            if len(waiting) == _BATCH:
                write()
    finally:
        write()
        gallery.flush()
    return DeviceReport(seen, added, seen - added)


def _check_kind(path: Path, line: bytes) -> None:
    found = _object(path, 1, line)
    if {key: found.get(key) for key in _KIND} != _KIND:
        raise DataError(
            f"{path.name} is not a file of faces of this version: its first line should be "
            f"{json.dumps(_KIND)}."
        )


def _object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise DataError(f"{path.name}, line {number}: not a JSON object.")
    return value


def _face(path: Path, number: int, value: dict[str, Any]) -> DeviceFace:
    texts = [value.get(key) for key in ("person", "photo", "face")]
    if not all(isinstance(text, str) for text in texts):
        raise DataError(f"{path.name}, line {number}: lacks a person, a photo or a face.")
    person, photo, face = texts
    try:
        data = base64.b64decode(face, validate=True)
        aligned = read_image(data, ALIGNED_SIZE**2)
        person, photo = checked_name("person", person), checked_name("photo", photo)
    except (binascii.Error, ValueError):
        raise DataError(f"{path.name}, line {number}: the face is not base64.") from None
    except (ImageError, ConfigError) as error:
        raise DataError(f"{path.name}, line {number}: {error}") from None
    if aligned.shape != (ALIGNED_SIZE, ALIGNED_SIZE, 3):
        raise DataError(
            f"{path.name}, line {number}: the face has {aligned.shape[1]}x{aligned.shape[0]} "
            f"pixels, expected {ALIGNED_SIZE}x{ALIGNED_SIZE}."
        )
    return DeviceFace(person, photo, aligned)
