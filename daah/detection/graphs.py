"""What detection computes with: small ONNX files.

`scripts/export_detector.py` writes them and says what goes in and comes out of each: MTCNN's three
networks, the suppression of boxes that overlap better ones, and the sampling of an aligned face.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

from daah.engine import Graph
from daah.errors import CheckpointError
from daah.paths import PATHS

#: SHA-256 of the files that are read.
_KNOWN = {
    "pnet.onnx": "dcaca8ecdf107e210085b065a5c5db3b6858c38ee0d49b7e916bbf39290150cb",
    "rnet.onnx": "ec7b51501970df36c96981f47a4e3647bad1733aba3332b07d5b96f711363297",
    "onet.onnx": "2e39ea7ce29d301cc7393d036df0892ef7faad94e9b133ee7210bdd73f02189c",
    "nms.onnx": "fca37404a705db4294e569cfe711193dd71f3aee1a94dc49c78e81f8d6bd903f",
    "warp.onnx": "994d7993d1fe155e75d66cb933b5e3893a2418d6dfba9ee961ca0f0dce610302",
}


@functools.cache
def graph(name: str) -> Graph:
    """A graph, read once per process.

    It computes on one thread. What the networks are given at a time fits into a processor's cache,
    and is over before several threads have met; photos side by side use more processors.

    Args:
        name: such as "pnet".

    Returns:
        The graph.

    Raises:
        CheckpointError: the file is missing, or is not this version's.
    """
    return load(name, PATHS.detector)


def load(name: str, folder: Path) -> Graph:
    """Read a graph from a folder.

    Args:
        name: as of `graph`.
        folder: folder of NAME.onnx.

    Returns:
        The graph.

    Raises:
        CheckpointError: as of `graph`.
    """
    return Graph(_read(folder, f"{name}.onnx"), keep_memory=True)


def _read(folder: Path, name: str) -> bytes:
    try:
        data = (folder / name).read_bytes()
    except OSError:
        data = b""
    if hashlib.sha256(data).hexdigest() != _KNOWN[name]:
        found = "is not the one of this version" if data else "is missing or cannot be read"
        raise CheckpointError(
            f"The face detector's {name} {found}. Get the folder checkpoints/detector of this "
            "version again, or say by DAAH_DETECTOR where it is."
        )
    return data
