"""Aligned faces as files, one per entry, named by id.

They are PNG, which is lossless, so that masks and codes can be computed again from them; or JPEG,
if the face was a JPEG file before it was enrolled. The folder of a file is its id modulo 256, so
that no folder holds more than a 256th of a large gallery.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from daah.errors import GalleryError
from daah.files import leftovers, replace_atomically
from daah.types import ALIGNED_SIZE

_FORMATS = ["PNG", "JPEG"]
_SUFFIXES = (".png", ".jpg")

#: First bytes of a JPEG file.
_JPEG = b"\xff\xd8"


class Thumbnails:
    """The aligned faces under `root`, which is created by the first write.

    Args:
        root: the folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, id: int) -> Path:
        """Path of a face: of its JPEG file if there is one, else of its PNG file.

        Args:
            id: id of the entry, 0 or more.

        Returns:
            The path.

        Raises:
            GalleryError: the id is negative.
        """
        if id < 0:
            raise GalleryError(f"There is no gallery entry {id}.")
        jpeg = self.root / f"{id % 256:02x}" / f"{id}.jpg"
        return jpeg if jpeg.is_file() else jpeg.with_suffix(".png")

    def write(self, id: int, aligned: np.ndarray) -> None:
        """Save an aligned face atomically.

        Args:
            id: id of the entry.
            aligned: (224, 224, 3) uint8 RGB.

        Raises:
            GalleryError: the file cannot be written.
        """
        self._replace(id, _encode(aligned))

    def place(self, id: int, data: bytes) -> None:
        """Save an aligned face that is a file already. Only its header is read.

        Args:
            id: id of the entry.
            data: a PNG or JPEG file of 224x224 pixels.

        Raises:
            GalleryError: the header is damaged, or the file cannot be written.
        """
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                fits = image.size == (ALIGNED_SIZE, ALIGNED_SIZE)
        except Exception:  # a damaged file makes decoders raise nearly anything
            fits = False
        if not fits:
            raise GalleryError(f"The picture of gallery entry {id} is damaged; restore its file.")
        self._replace(id, data)

    def copy(self, id: int, source: Thumbnails) -> None:
        """Copy the file of a face from another gallery, after the checks of `read`.

        Args:
            id: id of the entry.
            source: faces of the other gallery.

        Raises:
            GalleryError: the face is missing or damaged, or the file cannot be written.
        """
        data = source._bytes(id)
        source._decoded(id, data)
        self._replace(id, data)

    def _replace(self, id: int, data: bytes) -> None:
        old = self.path(id)
        path = old.with_suffix(".jpg" if data.startswith(_JPEG) else ".png")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_atomically(path, data)
            if old != path:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise GalleryError(f"A thumbnail cannot be written ({error.strerror}).") from error

    def read(self, id: int) -> np.ndarray:
        """Read an aligned face.

        Args:
            id: id of the entry.

        Returns:
            (224, 224, 3) uint8 RGB.

        Raises:
            GalleryError: the face is missing or damaged.
        """
        return self._decoded(id, self._bytes(id))

    def _bytes(self, id: int) -> bytes:
        try:
            return self.path(id).read_bytes()
        except OSError:
            raise GalleryError(f"The gallery has no picture of entry {id}.") from None

    def _decoded(self, id: int, data: bytes) -> np.ndarray:
        try:
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                image.verify()  # the decoder itself stops before the last checksums
            with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
                if image.size != (ALIGNED_SIZE, ALIGNED_SIZE):
                    raise ValueError(f"size {image.size}")
                return np.array(image.convert("RGB"))
        except Exception as error:  # a damaged file makes decoders raise nearly anything
            raise GalleryError(
                f"The picture of gallery entry {id} is damaged; remove the entry and add it again."
            ) from error

    def remove(self, id: int) -> None:
        """Delete a face; a missing one is ignored.

        Args:
            id: id of the entry.

        Raises:
            GalleryError: the file cannot be deleted.
        """
        try:
            for suffix in _SUFFIXES:
                self.path(id).with_suffix(suffix).unlink(missing_ok=True)
        except OSError as error:
            raise GalleryError(f"A thumbnail cannot be deleted ({error.strerror}).") from error

    def remove_halves(self, id: int) -> None:
        """Delete temporary files of an interrupted `write`.

        Args:
            id: id of the entry.

        Raises:
            GalleryError: a file cannot be deleted.
        """
        try:
            for suffix in _SUFFIXES:
                for half in leftovers(self.path(id).with_suffix(suffix)):
                    half.unlink(missing_ok=True)
        except OSError as error:
            raise GalleryError(f"A thumbnail cannot be deleted ({error.strerror}).") from error

    def ids(self) -> Iterator[int]:
        """Ids of all faces, not sorted."""
        for path in self.root.glob("*/*"):
            if self._is_face(path):
                yield int(path.stem)

    def leftovers(self) -> Iterator[Path]:
        """Paths of other files: temporary files of interrupted writes, and misplaced ones."""
        for path in self.root.glob("*/*"):
            if not self._is_face(path):
                yield path

    def _is_face(self, path: Path) -> bool:
        return path.stem.isdecimal() and path == self.path(int(path.stem))


def _encode(aligned: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(aligned)
    if np.array_equal(aligned[..., 0], aligned[..., 1]) and np.array_equal(
        aligned[..., 1], aligned[..., 2]
    ):
        image = image.convert("L")  # a grey photo takes a third, and reads back the same
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
