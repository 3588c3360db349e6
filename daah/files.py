"""Files that are replaced in one step: a reader finds the old content or the new, never a part."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path, sync: bool = False) -> Iterator[Path]:
    """A file to write in the block, which takes the place of `path` when the block ends.

    It is deleted when the block fails. A killed process leaves it; `leftovers` finds it.

    Args:
        path: the file to make or to replace.
        sync: whether the content reaches the disk before the name does, so that a power cut leaves
            the old file or the new one. Without it a crash of the machine may leave an empty one.

    Yields:
        A path beside `path`, of this process's own.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        if sync:
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def replace_atomically(path: Path, data: bytes, sync: bool = False) -> None:
    """Write `data` by `replacing`.

    Args:
        path: the file to make or to replace.
        data: its new content.
        sync: as of `replacing`.

    Raises:
        OSError: it cannot be written; `path` is as it was.
    """
    with replacing(path, sync) as temporary:
        temporary.write_bytes(data)


def leftovers(path: Path) -> Iterator[Path]:
    """What killed processes left beside `path` while they replaced it."""
    yield from path.parent.glob(f"{path.name}.*.tmp")
