"""The folder that uploads lie in: a private one of this app, emptied by age.

Gradio deletes the files that it finished and remembers. Not those of an upload that broke off, nor
what a killed server left; this looks at the folder itself.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from daah.ui.server.age_tracker import AgeTracker

#: What Gradio reads the folder's path from.
VARIABLE = "GRADIO_TEMP_DIR"

#: Names that Gradio gives: a folder by the content's hash, a file while it arrives. An operator may
#: have chosen a folder that holds other things; these are left alone.
_GRADIOS = re.compile(r"[0-9a-f]{64}|tmp[0-9a-z_]{8}")


def claim_folder() -> None:
    """Let Gradio keep uploads where no other user can read them, unless the operator chose."""
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = str(_private_folder())


class Sweeper:
    """Deletes what has been in the upload folder for longer than `seconds`, at every call.

    Empty folders go too: their names are hashes of photos. A new one is left alone, because Gradio
    makes it a moment before its file. clock: seconds that only grow. wall: seconds since 1970, as
    the system notes them of files.
    """

    def __init__(
        self,
        folder: Path,
        seconds: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._folder, self._seconds, self._wall = folder, seconds, wall
        self._files, self._folders = AgeTracker(clock), AgeTracker(clock)

    def __call__(self) -> None:
        """Delete what is too old now."""
        # A number that the system gives again is told from the old one by the time of the change.
        files = {
            (path, status.st_ino, status.st_ctime_ns): status.st_ctime
            for path, status in _files(self._folder)
        }
        for path, *_ in self._old(self._files, files):
            with contextlib.suppress(OSError):  # Gradio may have been faster
                path.unlink()
        folders = {}
        for entry in _entries(self._folder):
            with contextlib.suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    folders[Path(entry), entry.inode()] = entry.stat().st_ctime
        for path, *_ in self._old(self._folders, folders):
            with contextlib.suppress(OSError):  # not empty
                path.rmdir()

    def _old(
        self, ages: AgeTracker, changed: dict[tuple[Any, ...], float]
    ) -> list[tuple[Any, ...]]:
        stated = {key: self._wall() - at for key, at in changed.items()}
        return [key for key, age in ages.of(stated).items() if age > self._seconds]


def stored_bytes(folder: Path) -> int:
    """Size of everything in the upload folder."""
    return sum(status.st_size for _, status in _files(folder))


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What Gradio made in the folder."""
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        yield from (entry for entry in entries if _GRADIOS.fullmatch(entry.name))


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for entry in _entries(folder):
        with contextlib.suppress(OSError):  # deleted meanwhile
            if entry.is_dir(follow_symlinks=False):
                with os.scandir(entry) as files:
                    for file in files:
                        yield Path(file), file.stat(follow_symlinks=False)
            elif entry.is_file(follow_symlinks=False):
                yield Path(entry), entry.stat(follow_symlinks=False)


def _private_folder() -> Path:
    """The same at each start, so that what a killed server left is found again."""
    user = getattr(os, "getuid", lambda: 0)()
    folder = Path(tempfile.gettempdir()) / f"daah-uploads-{user}"
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077:
            return folder
    return Path(tempfile.mkdtemp(prefix="daah-uploads-"))  # somebody else was there first
