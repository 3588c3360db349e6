"""gallery.json: where the faces come from, which model coded them, whether all are there."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from daah.config import from_mapping
from daah.errors import ConfigError, GalleryError
from daah.files import replace_atomically
from daah.models.encoder import Encoder
from daah.types import ALIGNMENT

SCHEMA = 1
FILE = "gallery.json"
_CHECKSUM = "sha256"


@dataclass(frozen=True)
class ModelName:
    """A model that need not be loaded: to copy, list or export codes that are already stored."""

    name: str
    fingerprint: str
    bits: int


#: The model whose codes a gallery holds: itself, or what it is called.
Model = Encoder | ModelName


@dataclass(frozen=True)
class Provenance:
    """What is known of a gallery as a whole.

    source: a known collection ("orl", "lfw"), the name of a folder, or "" for faces added by hand.
    credit: whom to name when its photos are shown.
    codes: URI of the store, or the name of its file in the gallery's folder.
    model, fingerprint, bits, alignment: what made the codes.
    complete: False from the start of a build to its end.
    photos: faces that the last finished build left in the gallery.
    skipped: photos of the source that the last finished build could not enrol.
    """

    source: str
    credit: str
    codes: str
    model: str
    fingerprint: str
    bits: int
    alignment: str
    complete: bool = True
    photos: int = 0
    skipped: int = 0
    schema: int = SCHEMA


def read(folder: Path) -> Provenance | None:
    """The provenance of the gallery in `folder`, None when there is no gallery.

    Raises GalleryError when the file is damaged or of another version.
    """
    path = folder / FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(folder) from error
    if not isinstance(values, dict):
        raise _damaged(folder)
    noted = values.pop(_CHECKSUM, None)  # what was written before there was one has none
    if values.get("schema") != SCHEMA:
        raise GalleryError(
            f"The gallery {folder.name} has schema {values.get('schema')!r}, this program reads "
            f"schema {SCHEMA}; build it again or use the program that made it."
        )
    try:
        provenance = from_mapping(Provenance, values)
    except (ConfigError, TypeError) as error:
        raise _damaged(folder) from error
    if noted is not None and noted != _checksum(provenance):
        raise _damaged(folder)
    for field in dataclasses.fields(Provenance):
        if type(getattr(provenance, field.name)).__name__ != field.type:
            raise _damaged(folder)
    return provenance


def write(folder: Path, provenance: Provenance) -> None:
    """Replace the file in one step, so that a reader finds the old one or the new one."""
    values = dataclasses.asdict(provenance) | {_CHECKSUM: _checksum(provenance)}
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    try:
        replace_atomically(folder / FILE, text.encode(), sync=True)
    except OSError as error:
        raise GalleryError(
            f"The gallery {folder.name} cannot be written ({error.strerror}); it is as it was."
        ) from error


def check_alignment(folder: Path, known: Provenance) -> None:
    """Raise GalleryError for faces that were cut out otherwise than this program does."""
    if known.alignment != ALIGNMENT:
        raise GalleryError(
            f"The faces of the gallery {folder.name} are aligned as {known.alignment}, this "
            f"program needs {ALIGNMENT}; build it again from the photos."
        )


def _checksum(provenance: Provenance) -> str:
    """SHA-256 of everything else in the file, whatever its layout."""
    text = json.dumps(dataclasses.asdict(provenance), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(folder: Path) -> GalleryError:
    return GalleryError(
        f"The file {FILE} of the gallery {folder.name} is damaged; delete the gallery and build it "
        "again."
    )
