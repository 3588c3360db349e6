"""gallery.json: source of the photos, model of the codes, and whether the build is complete."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from daah.config import from_mapping
from daah.errors import ConfigError, GalleryError
from daah.files import replace_atomically
from daah.keys import is_record, keyed_fingerprint
from daah.models.encoder import Encoder
from daah.types import ALIGNMENT

SCHEMA = 1
FILE = "gallery.json"
_CHECKSUM = "sha256"


@dataclass(frozen=True)
class ModelName:
    """Identity of a model that is not loaded, to copy, list or export stored codes.

    Attributes:
        name: name of the checkpoint.
        fingerprint: sha256 of its weights.
        bits: code length.
        key: what the gallery of the codes keeps of its key; "" without one.
    """

    name: str
    fingerprint: str
    bits: int
    key: str = ""


#: The model of a gallery's codes: itself, or its identity.
Model = Encoder | ModelName


@dataclass(frozen=True)
class Provenance:
    """Facts about a gallery as a whole.

    Attributes:
        source: a known collection ("orl", "lfw"), the name of a folder, or "" for faces added one
            by one.
        credit: credit to show with the photos.
        codes: URI of the store, or the name of its file in the gallery's folder.
        model: name of the codes' model.
        fingerprint: sha256 of the model's weights.
        bits: code length.
        alignment: name of the alignment of the faces.
        complete: whether the last build was finished.
        photos: faces in the gallery after the last finished build.
        skipped: photos of the source that the last finished build could not enrol.
        schema: version of the file.
        key: what the gallery keeps of its key (see `daah.keys`); "" without one.
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
    key: str = ""

    @property
    def codes_fingerprint(self) -> str:
        """Fingerprint of the codes: of their model, and of the key if there is one."""
        return keyed_fingerprint(self.fingerprint, self.key)


def read(folder: Path) -> Provenance | None:
    """Read the provenance of a gallery.

    Args:
        folder: the gallery's folder.

    Returns:
        The provenance; None when there is no gallery.

    Raises:
        GalleryError: the file is damaged or of another version.
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
    noted = values.pop(_CHECKSUM, None)  # missing in files of earlier versions
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
    if provenance.key and not is_record(provenance.key):
        raise _damaged(folder)
    return provenance


def write(folder: Path, provenance: Provenance) -> None:
    """Write the provenance of a gallery atomically.

    Args:
        folder: the gallery's folder.
        provenance: the provenance.

    Raises:
        GalleryError: the file cannot be written.
    """
    values = _values(provenance) | {_CHECKSUM: _checksum(provenance)}
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    try:
        replace_atomically(folder / FILE, text.encode(), sync=True)
    except OSError as error:
        raise GalleryError(
            f"The gallery {folder.name} cannot be written ({error.strerror}); it is as it was."
        ) from error


def check_alignment(folder: Path, known: Provenance) -> None:
    """Check that a gallery's faces have the alignment of this version.

    Args:
        folder: the gallery's folder, for the error.
        known: its provenance.

    Raises:
        GalleryError: they are aligned in another way.
    """
    if known.alignment != ALIGNMENT:
        raise GalleryError(
            f"The faces of the gallery {folder.name} are aligned as {known.alignment}, this "
            f"version needs {ALIGNMENT}, and one cannot be made of the other. Build a new gallery "
            "from the photos with: python -m daah gallery build SRC --gallery FOLDER"
        )


def _checksum(provenance: Provenance) -> str:
    """SHA-256 of everything else in the file, whatever its layout."""
    text = json.dumps(_values(provenance), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _values(provenance: Provenance) -> dict[str, object]:
    """All fields; the key only where there is one, as earlier versions wrote and checked them."""
    values = dataclasses.asdict(provenance)
    return values if provenance.key else {k: v for k, v in values.items() if k != "key"}


def _damaged(folder: Path) -> GalleryError:
    return GalleryError(
        f"The file {FILE} of the gallery {folder.name} is damaged; delete the gallery and build it "
        "again."
    )
