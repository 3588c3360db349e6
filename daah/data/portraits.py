"""The shipped portraits: official photos of members of the United States Congress, aligned.

    gallery/portraits/
        people.csv       id (of the Biographical Directory of Congress) and name of each person
        faces/ID.jpg     the aligned face, 224x224
        codes.npz        logits of these faces by the shipped model, and their map

Source, credits and licence are in its README.md. `scripts.build_portraits` makes the files.
"""

from __future__ import annotations

import csv
import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.errors import DataError
from daah.files import replace_atomically
from daah.paths import PATHS
from daah.types import ALIGNMENT

PEOPLE, FACES, CODES = "people.csv", "faces", "codes.npz"


@dataclass(frozen=True)
class Portrait:
    """One person's portrait.

    Attributes:
        id: id of the person.
        name: name of the person.
        path: the aligned face, a JPEG file.
    """

    id: str
    name: str
    path: Path

    @property
    def photo(self) -> str:
        """Name of the photo."""
        return self.path.name

    def read(self) -> bytes:
        """Read the file.

        Returns:
            Its bytes, a JPEG of the aligned face.

        Raises:
            DataError: the file is missing.
        """
        try:
            return self.path.read_bytes()
        except OSError:
            raise DataError(
                f"The portrait {self.photo} is missing; restore it from the repository."
            ) from None


@dataclass(frozen=True, eq=False)
class PortraitCodes:
    """What a model made of the portraits.

    Attributes:
        logits: (N, K) float32.
        xy: (N, 2) float32 in [0, 1], positions on the gallery's map.
    """

    logits: np.ndarray
    xy: np.ndarray


def load_portraits(folder: Path | None = None) -> tuple[Portrait, ...]:
    """List the portraits; faces are not read.

    Args:
        folder: their folder; None takes the shipped one (see `daah.paths`).

    Returns:
        The portraits, by id.

    Raises:
        DataError: the list is missing or damaged.
    """
    folder = folder or PATHS.portraits
    try:
        with (folder / PEOPLE).open(encoding="utf-8", newline="") as file:
            rows = [(row["id"], row["name"]) for row in csv.DictReader(file, strict=True)]
    except (OSError, UnicodeDecodeError, csv.Error, KeyError) as error:
        raise DataError(
            f"The portraits' {PEOPLE} is missing or damaged; restore gallery/portraits from the "
            "repository."
        ) from error
    found = [Portrait(id_, name, folder / FACES / f"{id_}.jpg") for id_, name in rows]
    return tuple(sorted(found, key=lambda portrait: portrait.id))


def read_codes(
    faces: list[bytes], fingerprint: str, folder: Path | None = None
) -> PortraitCodes | None:
    """What a model made of the portraits, if it is stored.

    Args:
        faces: the files of the portraits, by id.
        fingerprint: fingerprint of the model.
        folder: folder of the portraits; None takes the shipped one.

    Returns:
        The codes; None where they are missing, damaged, or of another model or other faces.
    """
    try:
        with np.load((folder or PATHS.portraits) / CODES, allow_pickle=False) as file:
            if str(file["made_with"]) != _made_with(faces, fingerprint):
                return None
            logits, xy = file["logits"], file["xy"]
    except Exception:  # whatever the damage: the faces are encoded again in seconds
        return None
    fits = logits.ndim == 2 and len(logits) == len(faces) and xy.shape == (len(faces), 2)
    if not fits or (logits.dtype, xy.dtype) != (np.float32, np.float32):
        return None
    return PortraitCodes(logits, xy)


def write_codes(folder: Path, faces: list[bytes], fingerprint: str, codes: PortraitCodes) -> None:
    """Store what a model made of the portraits.

    Args:
        folder: folder of the portraits.
        faces: the files of the portraits, by id.
        fingerprint: fingerprint of the model.
        codes: what it made of them.

    Raises:
        OSError: the file cannot be written.
    """
    buffer = io.BytesIO()
    made_with = np.array(_made_with(faces, fingerprint))
    np.savez_compressed(buffer, made_with=made_with, logits=codes.logits, xy=codes.xy)
    replace_atomically(folder / CODES, buffer.getvalue())


def _made_with(faces: list[bytes], fingerprint: str) -> str:
    """Names the model, the alignment and every byte of the faces."""
    digest = hashlib.sha256()
    for face in faces:
        digest.update(hashlib.sha256(face).digest())
    return f"{fingerprint} {ALIGNMENT} {digest.hexdigest()}"
