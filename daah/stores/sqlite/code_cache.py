"""A file of packed codes beside the gallery, so that opening ten million of them takes a second.

It only duplicates what SQLite holds: ids and padded codes of one gallery at one generation. A
reader ignores it at any mismatch, and reads the gallery in full.

Layout: 8 bytes magic, 4 bytes little-endian length of the header, the header as JSON, its SHA-256,
then the ids and the codes. The header has the SHA-256 of both, and the database has that of the
header. So a file from elsewhere is not accepted, even if it is consistent in itself.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from daah.files import leftovers, replacing
from daah.stores.sqlite.schema import Head
from daah.stores.sqlite.snapshot import Segment, padded_bytes

MAGIC = b"daahcod1"

#: Types of ids by their size in bytes, as `snapshot.compact` chooses them.
_KINDS = {4: np.dtype(np.uint32), 8: np.dtype(np.int64)}
_COUNTS = frozenset({"generation", "rows", "id_bytes", "code_bytes"})


def write(path: Path, head: Head, segment: Segment) -> bytes:
    """Write the cache of a gallery atomically.

    Args:
        path: the file of packed codes.
        head: the gallery's head.
        segment: all rows of the gallery.

    Returns:
        The digest by which `read` identifies the file, to be stored in the database.

    Raises:
        OSError: the file cannot be written.
    """
    sections = [np.ascontiguousarray(segment.ids), np.ascontiguousarray(segment.codes)]
    header = json.dumps(
        {
            **_identity(head),
            "generation": head.generation,
            "rows": len(segment.ids),
            "id_bytes": segment.ids.itemsize,
            "code_bytes": segment.codes.shape[1],
            "sha256": [hashlib.sha256(_bytes(section)).hexdigest() for section in sections],
        }
    ).encode()
    digest = hashlib.sha256(header).digest()
    with replacing(path, sync=True) as temporary, temporary.open("wb") as file:
        file.write(MAGIC + len(header).to_bytes(4, "little") + header)
        file.write(digest)
        for section in sections:
            file.write(_bytes(section))
    return digest


def read(path: Path, head: Head, digest: bytes) -> tuple[int, Segment] | None:
    """Read the cache of a gallery.

    Args:
        path: the file of packed codes.
        head: the gallery's head.
        digest: what `write` returned, as the database stored it; another file is not read.

    Returns:
        The generation and rows in the cache; None when it is missing, or wrong in any byte.
    """
    try:
        with path.open("rb") as file:
            if file.read(8) != MAGIC:
                return None
            header = file.read(min(int.from_bytes(file.read(4), "little"), 65_536))
            if file.read(32) != digest or hashlib.sha256(header).digest() != digest:
                return None
            facts = _facts(header, head)
            if facts is None:
                return None
            rows, width, kind = facts["rows"], facts["code_bytes"], _KINDS[facts["id_bytes"]]
            rest = os.fstat(file.fileno()).st_size - file.tell()
            if rest != rows * (width + kind.itemsize):
                return None
            ids = np.fromfile(file, kind, rows)
            codes = np.fromfile(file, np.uint8, rows * width).reshape(rows, width)
    except OSError:
        return None
    digests = [hashlib.sha256(_bytes(section)).hexdigest() for section in (ids, codes)]
    if digests != facts["sha256"] or not (ids[:-1] < ids[1:]).all() or (ids[:1] < 0).any():
        return None
    return facts["generation"], Segment(ids, codes)


def _facts(header: bytes, head: Head) -> dict[str, Any] | None:
    """Content of a header; None if it is malformed or of another gallery."""
    try:
        facts = json.loads(header)
    except (ValueError, RecursionError):
        return None
    identity = _identity(head)
    if not isinstance(facts, dict) or facts.keys() != identity.keys() | _COUNTS | {"sha256"}:
        return None
    numbers = [facts[name] for name in _COUNTS]
    if any(type(number) is not int or not 0 <= number < 2**62 for number in numbers):
        return None
    fits = (
        {name: facts[name] for name in identity} == identity
        and facts["code_bytes"] == padded_bytes(head.spec.bits)
        and facts["id_bytes"] in _KINDS
        and facts["generation"] <= head.generation
    )
    return facts if fits else None


def drop(path: Path) -> None:
    """Delete the cache and the temporary files of an interrupted `write`.

    Args:
        path: the file of packed codes.
    """
    path.unlink(missing_ok=True)
    for half in leftovers(path):
        half.unlink(missing_ok=True)


def _identity(head: Head) -> dict[str, object]:
    return {
        "uuid": head.uuid.hex(),
        "bits": head.spec.bits,
        "fingerprint": head.spec.fingerprint,
        "alignment": head.spec.alignment,
        "bit_order": head.spec.bit_order,
    }


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view(np.uint8)
