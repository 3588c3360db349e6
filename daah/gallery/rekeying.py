"""What is left to do when a process was killed while it gave a gallery another key.

Before the first new code is written, a note in the gallery's folder says how the gallery was and
how it will be. `gallery.json` changes from one to the other at once. Whatever the gallery is then
not, is deleted: incomplete new codes, or the old ones with all that was made of them.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from daah.config import from_mapping
from daah.errors import ConfigError, GalleryError
from daah.files import replace_atomically
from daah.gallery import location
from daah.gallery import provenance as provenance_file
from daah.gallery.provenance import Provenance
from daah.gallery.trash import Trash

_NOTE = "rekeying.json"


def begin(home: Path, old: Provenance, new: Provenance) -> None:
    """Note what is about to be done.

    Args:
        home: the gallery's folder.
        old: the gallery as it is.
        new: the gallery as it will be.

    Raises:
        GalleryError: the note cannot be written.
    """
    values = {"old": dataclasses.asdict(old), "new": dataclasses.asdict(new)}
    try:
        replace_atomically(home / _NOTE, json.dumps(values).encode(), sync=True)
    except OSError as error:
        raise GalleryError(
            f"The gallery {home.name} cannot be written ({error.strerror}); it is as it was."
        ) from error


def pending(home: Path) -> bool:
    """Whether there is anything to finish.

    Args:
        home: the gallery's folder.

    Returns:
        Whether there is a note.
    """
    return (home / _NOTE).is_file()


def finish(home: Path, uri: str = "") -> None:
    """Delete what the gallery no longer is, or never became.

    Args:
        home: the gallery's folder, whose codes nobody else writes meanwhile.
        uri: URI of the gallery as given by the user; it may contain a token.

    Raises:
        GalleryError: something cannot be deleted; calling again continues.
    """
    if not pending(home):
        return
    known = provenance_file.read(home)
    assert known is not None
    for stale in _noted(home):
        if stale.codes_fingerprint == known.codes_fingerprint:
            continue
        if location.is_server(stale.codes):
            location.drop_codes(home, stale, uri)
    if not location.is_server(known.codes):
        location.drop_variants(home, known.codes)
    trash = Trash(home)
    trash.erase(trash.removals())
    (home / _NOTE).unlink(missing_ok=True)


def _noted(home: Path) -> list[Provenance]:
    try:
        held = json.loads((home / _NOTE).read_text(encoding="utf-8"))
        return [from_mapping(Provenance, held[name]) for name in ("old", "new")]
    except (OSError, ValueError, KeyError, TypeError, RecursionError, ConfigError):
        return []  # it is written at once, so nothing had begun
