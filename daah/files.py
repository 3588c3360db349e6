"""Atomic replacement of files: a reader finds the old content or the new, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, sync: bool = False) -> Iterator[Path]:
    """Write a file within the block, and move it to `path` when the block ends.

    If the block fails, the file is deleted. A killed process leaves it behind; `leftovers` finds
    it.

    Args:
        path: the file to create or to replace.
        sync: whether the content is flushed to disk before the rename, so that a power failure
            leaves the old file or the new one. Without it a crash of the machine may leave an empty
            file.

    Yields:
        A path beside `path`, unique to this process.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if sync:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:  # an interrupt must not leave a half-written file either
        temporary.unlink(missing_ok=True)
        raise


def replace_atomically(path: Path, data: bytes, sync: bool = False) -> None:
    """Write `data` by `replacing`.

    Args:
        path: the file to create or to replace.
        data: its new content.
        sync: as of `replacing`.

    Raises:
        OSError: the file cannot be written; `path` is unchanged.
    """
    with replacing(path, sync) as temporary:
        temporary.write_bytes(data)


def leftovers(path: Path) -> Iterator[Path]:
    """Temporary files that killed processes left beside `path`.

    Args:
        path: the file that was to be replaced.

    Yields:
        Paths of the temporary files.
    """
    yield from path.parent.glob(f"{path.name}.*.tmp")
