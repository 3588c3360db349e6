"""A file of packed codes beside the gallery, so that opening ten million of them takes a second.

It only ever repeats what SQLite holds: ids and padded codes at one generation of one gallery. A
reader drops it at any mismatch, and the gallery is then read in full.

Layout: 8 bytes magic, 4 bytes little-endian length of the header, the header as JSON, its SHA-256,
then the ids and the codes. The header carries the SHA-256 of both.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import numpy as np

from daah.stores.sqlite.rows import Segment
from daah.stores.sqlite.schema import Head

MAGIC = b"daahcod1"


def write(path: Path, head: Head, segment: Segment) -> None:
    """Replace the cache at `path` in one step. Raises OSError when it cannot be written."""
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
    temporary = path.with_name(path.name + ".tmp")
    try:
        with temporary.open("wb") as file:
            file.write(MAGIC + len(header).to_bytes(4, "little") + header)
            file.write(hashlib.sha256(header).digest())
            for section in sections:
                file.write(_bytes(section))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def read(path: Path, head: Head) -> tuple[int, Segment] | None:
    """The generation and rows in the cache, or None when it is absent or wrong in any byte."""
    try:
        with path.open("rb") as file:
            if file.read(8) != MAGIC:
                return None
            header = file.read(min(int.from_bytes(file.read(4), "little"), 65_536))
            if file.read(32) != hashlib.sha256(header).digest():
                return None
            facts = json.loads(header)
            if any(facts[key] != value for key, value in _identity(head).items()):
                return None
            rows, width, kind = facts["rows"], facts["code_bytes"], f"u{facts['id_bytes']}"
            rest = os.fstat(file.fileno()).st_size - file.tell()
            if rest != rows * (width + np.dtype(kind).itemsize):
                return None
            ids = np.fromfile(file, kind, rows)
            codes = np.fromfile(file, np.uint8, rows * width).reshape(rows, width)
    except (OSError, ValueError):
        return None
    digests = [hashlib.sha256(_bytes(section)).hexdigest() for section in (ids, codes)]
    if digests != facts["sha256"]:
        return None
    return facts["generation"], Segment(ids if kind == "u4" else ids.view(np.int64), codes)


def drop(path: Path) -> None:
    """Delete the cache and what an interrupted `write` left."""
    path.unlink(missing_ok=True)
    path.with_name(path.name + ".tmp").unlink(missing_ok=True)


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
