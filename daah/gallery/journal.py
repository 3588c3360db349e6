"""What a gallery is about to write or delete, so that a kill in between leaves nothing behind.

A row is written after its face and deleted after it. A process that is killed in between leaves
faces without a row, or rows without a face. The ids are in a file of the gallery's folder from
before the first face is touched until the last row is done; whoever opens the gallery for writing
next finds the file and finishes the work. Galleries on a server, which several processes write to
at once, have none: `verify --repair` does it there.
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
    """Work that was begun and is not done, or being done by another process at this moment."""

    path: Path
    kind: Kind
    ids: tuple[int, ...]


@contextmanager
def noted(folder: Path, kind: Kind, ids: Sequence[int]) -> Iterator[None]:
    """Keep a note in `folder` while the body runs, and beyond it when the body fails.

    Raises GalleryError when the note cannot be written; then the body does not run.
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
    """The notes in a folder. One that was cut short tells of nothing: it came before the work."""
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
