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
from collections.abc import Iterator
from pathlib import Path

#: What Gradio reads the folder's path from.
VARIABLE = "GRADIO_TEMP_DIR"

#: Names that Gradio gives: a folder by the content's hash, a file while it arrives. An operator may
#: have chosen a folder that holds other things; these are left alone.
_GRADIOS = re.compile(r"[0-9a-f]{64}|tmp[0-9a-z_]{8}")


def claim_folder() -> None:
    """Let Gradio keep uploads where no other user can read them, unless the operator chose."""
    if not os.environ.get(VARIABLE):
        os.environ[VARIABLE] = str(_private_folder())


def sweep(folder: Path, seconds: float) -> None:
    """Delete what has been in the upload folder for longer than `seconds`.

    Empty folders go too: their names are hashes of photos. A new one is left alone, because Gradio
    makes it a moment before its file.
    """
    born_before = time.time() - seconds
    for path, status in _files(folder):
        with contextlib.suppress(OSError):  # Gradio may have been faster
            if status.st_ctime < born_before:
                path.unlink()
    for entry in _entries(folder):
        with contextlib.suppress(OSError):  # not empty
            if entry.is_dir(follow_symlinks=False) and entry.stat().st_ctime < born_before:
                Path(entry).rmdir()


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
