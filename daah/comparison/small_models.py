"""Small baselines that are shipped: aligned faces to the codes of several methods.

One safetensors file of float16 weights holds several methods of one code length. It is read without
PyTorch; `train_small_models` makes it. None of the methods was trained on the people of ORL.
Closed-set methods are weak on unseen identities, which the comparison shows.

Axes: N = faces, M = gallery rows, K = hash bits.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daah import codes
from daah.comparison.methods.base import StoredMethod
from daah.comparison.methods.features import LBP, UnitRows
from daah.comparison.methods.kernel import SDH
from daah.comparison.methods.linear import Linear
from daah.comparison.methods.stored_network import GRAPH, StoredNetwork
from daah.errors import CheckpointError
from daah.extras import extra_packages
from daah.files import replacing
from daah.paths import PATHS
from daah.types import ALIGNED_SIZE

DEFAULT = PATHS.baselines
MAX_BYTES = 10 * 2**20
_SCHEMA = 2
#: The methods that are shipped, in the order in which they are shown, and what restores each.
_CLASSES: dict[str, type[StoredMethod]] = {
    "LSH": Linear,
    "ITQ": Linear,
    "SDH": SDH,
    "DSH": StoredNetwork,
    "DDQH": StoredNetwork,
}
SHIPPED = tuple(_CLASSES)


@dataclass(frozen=True, eq=False)
class ComparisonModels:
    """Fitted methods of one code length.

    Attributes:
        bits: code length K.
        methods: the methods by name, in the order in which they are shown.
        lbp: descriptor of the shallow methods.
        card: training data and scores of the methods, as plain JSON values.
    """

    bits: int
    methods: dict[str, StoredMethod]
    lbp: LBP
    card: dict[str, Any]

    @property
    def names(self) -> tuple[str, ...]:
        """The methods, in the order in which they are shown."""
        return tuple(self.methods)

    def encode(self, aligned: np.ndarray) -> dict[str, np.ndarray]:
        """Encode faces by every method.

        Args:
            aligned: (N, 32, 32, 3) or (N, 224, 224, 3) uint8 RGB.

        Returns:
            Hash logits (N, K) float32 by method.

        Raises:
            ValueError: the shape or dtype is another.
        """
        images = _small(aligned)
        features = self.lbp.transform(images)
        return {
            name: hasher.encode(features if hasher.inputs == "features" else images)
            for name, hasher in self.methods.items()
        }

    def gallery(self, aligned: np.ndarray) -> ComparisonGallery:
        """Encode faces to be searched.

        Args:
            aligned: M faces, as of `encode`.

        Returns:
            Their codes, in the order given.

        Raises:
            ValueError: the shape or dtype is another.
        """
        logits = self.encode(aligned)
        return ComparisonGallery(
            self.bits, {name: codes.from_logits(rows) for name, rows in logits.items()}
        )


@dataclass(frozen=True, eq=False)
class ComparisonGallery:
    """Codes of the same faces by several methods.

    Attributes:
        bits: code length K.
        packed: codes (M, ceil(K / 8)) uint8 by method.
    """

    bits: int
    packed: dict[str, np.ndarray]

    def search(
        self, logits: dict[str, np.ndarray], k: int = 8
    ) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Nearest rows of each query by every method.

        Sorted by Hamming distance, ties by asymmetric distance, then by row.

        Args:
            logits: (N, K) by method, as of `ComparisonModels.encode`.
            k: number of rows per query.

        Returns:
            Rows and Hamming distances, each (N, min(k, M)) int64, by method.
        """
        found = {}
        for name, rows in logits.items():
            stored = self.packed[name]
            distance = codes.hamming(codes.from_logits(rows), stored)
            finer = codes.asymmetric(rows, stored)
            row = np.broadcast_to(np.arange(len(stored)), distance.shape)
            order = np.lexsort((row, finer, distance), axis=1)[:, :k]
            found[name] = order, np.take_along_axis(distance, order, 1).astype(np.int64)
        return found


def save_models(
    path: Path, methods: dict[str, StoredMethod], lbp: LBP, bits: int, card: dict[str, Any]
) -> None:
    """Write fitted methods as float16, atomically.

    Args:
        path: the file.
        methods: the methods by name.
        lbp: descriptor of the shallow methods, fitted.
        bits: code length.
        card: plain JSON values that are stored with them.

    Raises:
        MissingPackageError: safetensors is not installed.
        ValueError: the arrays take more than `MAX_BYTES`.
    """
    with extra_packages("A file of baselines"):
        from safetensors.numpy import save_file

    tensors = {"lbp.mean": lbp.unit.mean}
    for name, method in methods.items():
        tensors |= {f"{name}.{key}": value for key, value in method.state().items()}
    stored = {
        key: np.ascontiguousarray(value, np.uint8 if key.endswith(f".{GRAPH}") else np.float16)
        for key, value in tensors.items()
    }
    size = sum(value.nbytes for value in stored.values())
    if size > MAX_BYTES:
        raise ValueError(f"save_models: {size} bytes, at most {MAX_BYTES} are shipped")
    text = json.dumps(
        {"schema": _SCHEMA, "bits": bits, "methods": list(methods), "card": card}, sort_keys=True
    )
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        save_file(stored, temporary, {"daah-baselines": text, "sha256": _digest(stored, text)})


def load_models(path: Path = DEFAULT) -> ComparisonModels:
    """Read methods written by `save_models`.

    Args:
        path: the file.

    Returns:
        The methods.

    Raises:
        CheckpointError: the file is missing, damaged, of another version or no file of baselines.
        MissingPackageError: safetensors is not installed.
    """
    with extra_packages("A file of baselines"):
        from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        raise CheckpointError(
            f"{path.name} is missing: restore it from the repository, or make it with"
            " 'python -m daah compare-models'"
        )
    if path.stat().st_size > 2 * MAX_BYTES:
        raise CheckpointError(f"{path.name}: larger than any file of baselines")
    try:
        with safe_open(path, "np") as file:
            header = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        if header["sha256"] != _digest(stored, header["daah-baselines"]):
            raise ValueError("its checksum does not match")
        metadata = json.loads(header["daah-baselines"])
        tensors = {
            name: value if value.dtype == np.uint8 else value.astype(np.float32)
            for name, value in stored.items()
        }
        if metadata["schema"] != _SCHEMA:
            raise CheckpointError(f"{path.name}: schema {metadata['schema']}, not {_SCHEMA}")
        bits = int(metadata["bits"])
        lbp = LBP()
        lbp.unit = UnitRows.restore(tensors["lbp.mean"])
        methods = {}
        for name in metadata["methods"]:
            own = {
                key.removeprefix(f"{name}."): value
                for key, value in tensors.items()
                if key.startswith(f"{name}.")
            }
            methods[name] = _CLASSES[name].restore(bits, own)
        return ComparisonModels(bits, methods, lbp, metadata["card"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path.name}: not a file of baselines, or a damaged one"
            f" ({type(error).__name__}); restore it"
        ) from error


def _digest(tensors: dict[str, np.ndarray], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {value.shape};".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _small(aligned: np.ndarray) -> np.ndarray:
    """Aligned faces of 32 or 224 pixels as (N, 32, 32, 3) uint8."""
    shape = aligned.shape[1:]
    if aligned.dtype != np.uint8 or shape not in ((32, 32, 3), (ALIGNED_SIZE, ALIGNED_SIZE, 3)):
        raise ValueError(
            f"expected uint8 faces (N, 32, 32, 3) or (N, {ALIGNED_SIZE}, {ALIGNED_SIZE}, 3), got"
            f" {aligned.dtype} {aligned.shape}"
        )
    if shape[0] == 32:
        return aligned
    small = np.empty((len(aligned), 32, 32, 3), np.float32)
    for i, face in enumerate(aligned.astype(np.float32)):
        for channel in range(3):  # as floats: eight bits would be rounded between rows and columns
            plane = Image.fromarray(face[..., channel])
            small[i, ..., channel] = plane.resize((32, 32), Image.Resampling.BILINEAR)
    return small.round().clip(0, 255).astype(np.uint8)
