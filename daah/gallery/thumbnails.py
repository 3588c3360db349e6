"""Aligned faces as files, one an entry, named by id.

They are PNG, which loses nothing: heatmap and code can be computed again from them. A file's
folder is its id modulo 256, so that no folder holds more than a 256th of a large gallery.
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


class Thumbnails:
    """The aligned faces under `root`, which is made when the first is written."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, id: int) -> Path:
        """The path of the face of `id` (>= 0), whether or not there is one."""
        if id < 0:
            raise GalleryError(f"There is no gallery entry {id}.")
        return self.root / f"{id % 256:02x}" / f"{id}.png"

    def write(self, id: int, aligned: np.ndarray) -> None:
        """Save an aligned face (150, 150, 3) uint8, replacing the old one in one step."""
        self._replace(id, _encode(aligned))

    def copy(self, id: int, source: Thumbnails) -> None:
        """Take over the face of `id` from another gallery as it is, after the checks of `read`."""
        data = source._bytes(id)
        source._decoded(id, data)
        self._replace(id, data)

    def _replace(self, id: int, data: bytes) -> None:
        path = self.path(id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_atomically(path, data)
        except OSError as error:
            raise GalleryError(f"A thumbnail cannot be written ({error.strerror}).") from error

    def read(self, id: int) -> np.ndarray:
        """The aligned face (150, 150, 3) uint8 of an entry; GalleryError when it is not there."""
        return self._decoded(id, self._bytes(id))

    def _bytes(self, id: int) -> bytes:
        try:
            return self.path(id).read_bytes()
        except OSError:
            raise GalleryError(f"The gallery has no picture of entry {id}.") from None

    def _decoded(self, id: int, data: bytes) -> np.ndarray:
        try:
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                image.verify()  # the decoder itself stops before the last checksums
            with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
                if image.size != (ALIGNED_SIZE, ALIGNED_SIZE):
                    raise ValueError(f"size {image.size}")
                return np.array(image.convert("RGB"))
        except Exception as error:  # a damaged file makes decoders raise nearly anything
            raise GalleryError(
                f"The picture of gallery entry {id} is damaged; remove the entry and add it again."
            ) from error

    def remove(self, id: int) -> None:
        """Delete the face of an entry, if there is one."""
        try:
            self.path(id).unlink(missing_ok=True)
        except OSError as error:
            raise GalleryError(f"A thumbnail cannot be deleted ({error.strerror}).") from error

    def remove_halves(self, id: int) -> None:
        """Delete what a stopped `write` of this entry left half written."""
        for half in leftovers(self.path(id)):
            half.unlink(missing_ok=True)

    def ids(self) -> Iterator[int]:
        """Ids of all faces, in no order."""
        for path in self.root.glob("*/*.png"):
            if self._is_face(path):
                yield int(path.stem)

    def leftovers(self) -> Iterator[Path]:
        """Other files: those that a stopped process left half written, and misplaced ones."""
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
