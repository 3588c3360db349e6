"""Journal of a gallery's writes, so that a killed process leaves nothing behind.

A row is written after its face and deleted after it. A process that is killed in between leaves
faces without a row, or rows without a face. Before the first face is changed the ids are written to
a file in the gallery's folder, which is deleted after the last row. Whoever opens the gallery for
writing next finds the file and completes the work. Galleries on a server have no journal, because
several processes write to them at once; there `verify --repair` does it.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daah.errors import GalleryError

Kind = Literal["adding", "removing"]

_numbers = itertools.count()


@dataclass(frozen=True)
class Note:
    """An unfinished operation, or one in progress in another process.

    Attributes:
        path: file of the note.
        kind: whether entries are added or removed.
        ids: ids of the entries.
    """

    path: Path
    kind: Kind
    ids: tuple[int, ...]


@contextmanager
def noted(folder: Path, kind: Kind, ids: Sequence[int]) -> Iterator[None]:
    """Keep a note in `folder` during the block, and after it if the block fails.

    Args:
        folder: the gallery's folder.
        kind: whether entries are added or removed.
        ids: ids of the entries.

    Raises:
        GalleryError: the note cannot be written; the block does not run.
    """
    path = folder / f"unfinished.{os.getpid()}.{next(_numbers)}.json"
    try:
        with path.open("w", encoding="utf-8") as file:
            json.dump({"kind": kind, "ids": list(ids)}, file)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        path.unlink(missing_ok=True)
        raise GalleryError(
            f"The gallery {folder.name} cannot be written ({error.strerror}); it is as it was."
        ) from error
    yield
    path.unlink(missing_ok=True)


def notes(folder: Path) -> Iterator[Note]:
    """Read the notes in a folder.

    Args:
        folder: the gallery's folder.

    Yields:
        The notes. An incomplete one has no ids, because its operation had not begun.
    """
    for path in sorted(folder.glob("unfinished.*.json")):
        kind, ids = "adding", ()
        try:
            held = json.loads(path.read_text(encoding="utf-8"))
            if held["kind"] in ("adding", "removing"):
                kind, ids = held["kind"], tuple(i for i in held["ids"] if _is_id(i))
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            pass
        yield Note(path, kind, ids)


def _is_id(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63
