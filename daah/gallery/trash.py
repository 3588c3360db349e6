"""The trash of a gallery: what was removed can be brought back for an hour, and then is gone.

    trash/<nanoseconds since 1970>/<id>.png   faces of one removal
    trash/<nanoseconds since 1970>/rows.json  its rows, written last: without them it is not undone

Whatever leaves the trash is overwritten with zeros before it is deleted.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.errors import GalleryError
from daah.files import replace_atomically
from daah.gallery.thumbnails import Thumbnails
from daah.stores.base import Batch, Meta

FOLDER = "trash"

#: Seconds for which a removal can be undone.
KEPT_SECONDS = 3600.0

_ROWS = "rows.json"


@dataclass(frozen=True)
class Removal:
    """One removal in the trash.

    Attributes:
        folder: its folder.
        removed_at: time of the removal in seconds since 1970.
    """

    folder: Path
    removed_at: float

    @property
    def name(self) -> str:
        """Its name in the gallery."""
        return self.folder.name

    def expired(self, now: float) -> bool:
        """Whether it may no longer be kept.

        Args:
            now: seconds since 1970. A time before the removal says that the clock was set back, and
                that its age is unknown.

        Returns:
            Whether its time is over.
        """
        return not 0 <= now - self.removed_at < KEPT_SECONDS


class Trash:
    """The trash of one gallery. The folder exists only while there is something in it.

    Args:
        home: the gallery's folder.
    """

    def __init__(self, home: Path) -> None:
        self._root = home / FOLDER
        self._name = home.name

    def put(self, batch: Batch, faces: Thumbnails, fingerprint: str) -> Removal:
        """Copy entries that are about to be removed.

        Args:
            batch: the entries, with logits.
            faces: the gallery's faces; one that is missing is left out.
            fingerprint: of the model of the codes.

        Returns:
            The removal.

        Raises:
            GalleryError: the trash cannot be written; it is as it was.
        """
        assert batch.logits is not None
        at = time.time_ns()
        while (folder := self._root / str(at)).exists():
            at += 1
        rows = [
            {
                "id": id_,
                "person": meta.person,
                "photo": meta.photo,
                "added_at": meta.added_at,
                "name": meta.name,
                "code": code.tobytes().hex(),
                "logits": base64.b64encode(logits.astype("<f4").tobytes()).decode(),
            }
            for id_, meta, code, logits in zip(
                batch.ids.tolist(), batch.meta, batch.codes, batch.logits, strict=True
            )
        ]
        try:
            folder.mkdir(parents=True)
            for id_ in batch.ids.tolist():
                face = faces.path(id_)
                if face.is_file():
                    shutil.copyfile(face, folder / face.name)
            text = json.dumps({"model": fingerprint, "rows": rows})
            replace_atomically(folder / _ROWS, text.encode(), sync=True)
        except OSError as error:
            _erase(folder)
            raise GalleryError(
                f"The gallery {self._name} has no room for what can be undone ({error.strerror}). "
                "Nothing was removed. Free some space, or remove it at once and for good."
            ) from error
        return Removal(folder, at / 1e9)

    def removals(self) -> list[Removal]:
        """All removals, the oldest first."""
        if not self._root.is_dir():
            return []
        named = [path for path in self._root.iterdir() if path.name.isdecimal()]
        return [Removal(p, int(p.name) / 1e9) for p in sorted(named, key=lambda p: int(p.name))]

    def latest(self, now: float, name: str | None = None) -> Removal | None:
        """The last removal that can be undone.

        Args:
            now: seconds since 1970.
            name: of the only one that is meant; None means any.

        Returns:
            The removal; None without one.
        """
        there = [r for r in self.removals() if not r.expired(now) and (r.folder / _ROWS).is_file()]
        there = [r for r in there if name in (None, r.name)]
        return there[-1] if there else None

    def read(self, removal: Removal, fingerprint: str) -> Batch:
        """Read the entries of a removal.

        Args:
            removal: the removal.
            fingerprint: of the model of the gallery's codes now.

        Returns:
            The entries, with logits, by ascending id.

        Raises:
            GalleryError: the trash is damaged, or its codes are of another model.
        """
        try:
            held = json.loads((removal.folder / _ROWS).read_text(encoding="utf-8"))
            model = held["model"]
            rows = sorted(held["rows"], key=lambda row: row["id"])
            codes = [np.frombuffer(bytes.fromhex(row["code"]), np.uint8) for row in rows]
            logits = [np.frombuffer(base64.b64decode(row["logits"]), "<f4") for row in rows]
            batch = Batch(
                np.array([row["id"] for row in rows], np.int64),
                np.stack(codes),
                tuple(
                    Meta(row["person"], row["photo"], row["added_at"], row["name"]) for row in rows
                ),
                np.stack(logits).astype(np.float32),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise GalleryError(
                f"What was removed from the gallery {self._name} is damaged and cannot be brought "
                "back. Add the photos again."
            ) from error
        if model != fingerprint:
            raise GalleryError(
                f"The gallery {self._name} was encoded by another model since the removal, so it "
                "cannot be undone. Add the photos again."
            )
        return batch

    def faces(self, removal: Removal) -> dict[int, Path]:
        """Files of the faces of a removal, by id.

        Args:
            removal: the removal.

        Returns:
            The files.
        """
        return {int(p.stem): p for p in removal.folder.iterdir() if p.stem.isdecimal()}

    def erase(self, removals: Sequence[Removal]) -> int:
        """Overwrite and delete removals; those that are gone already are ignored.

        Args:
            removals: the removals.

        Returns:
            Number of removals that were there.

        Raises:
            GalleryError: a file cannot be deleted; calling again continues.
        """
        count = 0
        for removal in removals:
            try:
                count += _erase(removal.folder)
            except OSError as error:
                raise GalleryError(
                    f"The trash of the gallery {self._name} cannot be emptied ({error.strerror})."
                    " Check the permissions of its folder, and empty it with: python -m daah "
                    "gallery remove --now --gallery FOLDER"
                ) from error
        with contextlib.suppress(OSError):  # another removal is in it, or there is none
            self._root.rmdir()
        return count


def _erase(folder: Path) -> bool:
    """Overwrite the files of a folder with zeros and delete it; whether it was there.

    The rows go first, so that nothing is brought back by halves.
    """
    if not folder.is_dir():
        return False
    for path in sorted(folder.iterdir(), key=lambda path: path.name != _ROWS):
        try:
            with path.open("r+b") as file:
                size = path.stat().st_size
                file.write(bytes(size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
        except FileNotFoundError:
            continue  # another process empties it too
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()
    return True
