"""The door to a trained network: aligned faces in, logits and masks out, by ONNX Runtime."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from PIL import Image

from daah import codes
from daah.config import ModelConfig, from_mapping
from daah.engine import Graph
from daah.errors import CheckpointError, ConfigError
from daah.extras import extra_packages
from daah.models import hub
from daah.models.calibration import Calibration
from daah.models.keyed import KeyedEncoder, unkeyed
from daah.parallel import in_order
from daah.types import ALIGNED_SIZE, ALIGNMENT, Code, EncodedFace, Face

#: How the mask is made: the model's own, none (all ones), or one given for each face.
Attention = Literal["model", "off"] | np.ndarray

#: Faces that one of two threads takes at a time.
_PART = 16

#: Version of what a checkpoint, or its graph, says of itself.
SCHEMA = 1

#: The last bytes of a graph's file before the 64 digits of its sha256: a metadata entry, so that
#: the file stays a graph.
SEAL = b"rJ\n\x06sha256\x12@"


class Encoder(Protocol):
    """What the project asks of a model that encodes faces: `FaceEncoder`, or a stand-in in tests.

    It holds no state between calls, so that several threads may encode at a time.

    Attributes:
        name: what reports and galleries call it by.
        recipe: how it was trained.
        fingerprint: sha256 that galleries carry, in hexadecimal.
        bits: length of the whole code.
        lengths: prefixes that are codes.
    """

    name: str
    recipe: str
    fingerprint: str
    bits: int
    lengths: tuple[int, ...]

    def encode(
        self, aligned: np.ndarray, attention: Attention = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode faces.

        Args:
            aligned: (N, 224, 224, 3) uint8 RGB.
            attention: "model", "off", or masks (N, S, S) in [0, 1].

        Returns:
            Logits (N, K) float32, and the masks (N, G, G) float32 that gated the network.
        """

    def encode_with_pictures(
        self, aligned: np.ndarray, attention: Attention = "model"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Encode faces, and draw them as the network is given them behind the mask.

        Args:
            aligned: as of `encode`.
            attention: as of `encode`.

        Returns:
            Logits and masks as of `encode`, and pictures (N, S, S, 3) uint8.
        """


class FaceEncoder:
    """A network ready to encode, on the CPU. Holds nothing of a request.

    name, recipe: of the checkpoint. bits: length of the whole code. lengths: its usable prefixes.
    fingerprint: sha256 that galleries carry. grid: cells per side of a mask. card: training summary
    and validation metrics. calibration: None when the checkpoint has none. file: the graph's file,
    None for one that was exported in memory.

    Args:
        graph: an ONNX graph as `daah.models.graph` describes it.
        card: what the checkpoint says of itself, as `Checkpoint.card` returns it; None reads it
            from the graph's metadata.
        file: where the graph was read from.

    Raises:
        CheckpointError: no graph of this project, or one of another version.
    """

    def __init__(
        self, graph: bytes, card: Mapping[str, Any] | None = None, file: Path | None = None
    ) -> None:
        self.file = file
        try:
            self._graph = Graph(graph)
            if card is None:
                card = json.loads(self._graph.metadata["daah"])
            if card["schema"] != SCHEMA:
                raise ValueError(f"written in schema {card['schema']}, this version reads {SCHEMA}")
            config = from_mapping(ModelConfig, card["config"])
            alignment = card["alignment"]
            self.name, self.fingerprint = str(card["name"]), str(card["fingerprint"])
            self.card: dict[str, Any] = {key: dict(card[key]) for key in ("training", "metrics")}
            calibration = card["calibration"]
            self.grid = _grid(self._graph, config.bits)
        except (
            KeyError, TypeError, ValueError, AttributeError, RecursionError, ConfigError,
        ) as error:  # fmt: skip
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(f"not a network this version knows ({reason})") from error
        if alignment != ALIGNMENT:
            raise CheckpointError(
                f"trained on faces aligned as {alignment}, this version aligns as {ALIGNMENT}"
            )
        self.recipe, self.bits, self.lengths = config.recipe, config.bits, config.lengths
        self.calibration = Calibration.from_dict(calibration) if calibration else None

    @staticmethod
    def from_pretrained(
        name: str | Path,
        revision: str | None = None,
        file: str = hub.MODEL,
        cache_dir: str | Path | None = None,
    ) -> FaceEncoder:
        """Load a model from a folder, or from a repository on the Hugging Face Hub.

        A graph is a program: use repositories that you trust, and name a whole commit.

        Args:
            name: a folder, or OWNER/NAME on the Hub, for which the extra `hub` is to be installed.
            revision: a branch, a tag or a whole commit; None is the branch main.
            file: the file in it, NAME.onnx or NAME.safetensors.
            cache_dir: where downloads are kept; None is the Hub's own cache.

        Returns:
            The encoder.

        Raises:
            HubError: there is no such folder or repository, or it cannot be read.
            CheckpointError: the file is damaged, too large, or of another version.
        """
        return load_encoder(hub.fetch(name, revision, file, cache_dir))

    def encode(
        self, aligned: np.ndarray, attention: Attention = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Encode faces.

        The network sees one face at a time, so that a face's logits do not depend on the others, to
        the last bit; several at a time would be no faster on a CPU.

        Args:
            aligned: (N, 224, 224, 3) uint8 RGB.
            attention: "model", "off", or masks (N, S, S) in [0, 1]; masks of another size than the
                network's own are averaged or enlarged to it.

        Returns:
            Logits (N, K) float32, and the masks (N, G, G) float32 that gated the network.

        Raises:
            ValueError: another shape, dtype, range or name.
        """
        return self._run(("logits", "mask"), aligned, attention)

    def encode_with_pictures(
        self, aligned: np.ndarray, attention: Attention = "model"
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Encode faces, and draw them as the network is given them behind the mask.

        Args:
            aligned: as of `encode`.
            attention: as of `encode`.

        Returns:
            Logits and masks as of `encode`, and pictures (N, S, S, 3) uint8, S being the network's
            own input size.

        Raises:
            ValueError: as of `encode`.
        """
        return self._run(("logits", "mask", "seen"), aligned, attention)

    def _run(
        self, outputs: tuple[str, ...], aligned: np.ndarray, attention: Attention
    ) -> tuple[np.ndarray, ...]:
        if aligned.dtype != np.uint8 or aligned.shape[1:] != (ALIGNED_SIZE, ALIGNED_SIZE, 3):
            raise ValueError(
                f"encode: expected uint8 (N, {ALIGNED_SIZE}, {ALIGNED_SIZE}, 3), "
                f"got {aligned.dtype} {aligned.shape}"
            )
        given = self._given_masks(attention, len(aligned))
        use = np.full((1, 1, 1), float(not _is_model(attention)), np.float32)
        rows = [
            self._graph.compute(
                outputs, {"face": aligned[i : i + 1], "given": given[i : i + 1], "use_given": use}
            )
            for i in range(len(aligned))
        ]
        if not rows:
            return tuple(self._graph.empty(name) for name in outputs)
        return tuple(np.concatenate(parts) for parts in zip(*rows, strict=True))

    def _given_masks(self, attention: Attention, count: int) -> np.ndarray:
        shape = (count, self.grid, self.grid)
        if isinstance(attention, str):
            if attention not in ("model", "off"):
                raise ValueError(f"attention: expected 'model', 'off' or masks, got {attention!r}")
            return np.ones(shape, np.float32)
        masks = np.asarray(attention, np.float32)
        if masks.ndim != 3 or len(masks) != count or masks.shape[1] != masks.shape[2]:
            raise ValueError(f"attention: expected masks ({count}, S, S), got {masks.shape}")
        if not (masks.min(initial=0) >= 0 and masks.max(initial=0) <= 1):
            raise ValueError("attention: expected masks in [0, 1]")
        if masks.shape == shape:
            return masks
        size = (self.grid, self.grid)
        averaged = [Image.fromarray(mask).resize(size, Image.Resampling.BOX) for mask in masks]
        return np.stack(averaged).clip(0, 1) if averaged else np.ones(shape, np.float32)


def _grid(graph: Graph, bits: int) -> int:
    """Cells per side of the mask of a graph whose inputs and outputs are those of our graphs."""
    shapes = graph.shapes
    grid, side = int(shapes["given"][0]), int(shapes["seen"][0])
    expected = {
        "face": [ALIGNED_SIZE, ALIGNED_SIZE, 3],
        "given": [grid, grid],
        "use_given": [1, 1],
        "logits": [bits],
        "mask": [grid, grid],
        "seen": [side, side, 3],
    }
    if shapes != expected:
        raise ValueError(f"expected inputs and outputs {expected}, got {shapes}")
    return grid


def load_encoder(path: Path) -> FaceEncoder:
    """Load a model for encoding.

    Args:
        path: a graph NAME.onnx, or a checkpoint NAME.safetensors, which is exported first: that
            takes PyTorch and a few seconds.

    Returns:
        The encoder.

    Raises:
        CheckpointError: the file is missing, damaged, or of another version.
        MissingPackageError: PyTorch is not installed, and the file is no graph.
    """
    path = Path(path)
    try:
        if path.suffix == ".onnx":
            return FaceEncoder(_read_graph(path), file=path)
        with extra_packages("A checkpoint, in place of its graph NAME.onnx,"):
            from daah.models.checkpoint import load_checkpoint
            from daah.models.graph import graph_of

        checkpoint = load_checkpoint(path)
        return FaceEncoder(graph_of(checkpoint.model), checkpoint.card())
    except CheckpointError as error:
        named = str(error).startswith(str(path))
        raise error if named else CheckpointError(f"{path}: {error}") from error


def _read_graph(path: Path) -> bytes:
    """The bytes of a graph whose checksum holds."""
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: restore it from the repository, or write it from a checkpoint "
            "with 'python -m daah export'"
        )
    try:
        if path.stat().st_size > hub.MAX_BYTES:
            raise CheckpointError(f"larger than {hub.MAX_BYTES >> 20} MB; no graph is")
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"cannot be read ({error.strerror})") from error
    body, seal = data[: -len(SEAL) - 64], data[-len(SEAL) - 64 :]
    if seal != SEAL + hashlib.sha256(body).hexdigest().encode():
        raise CheckpointError(
            "damaged, or no graph of this project; restore it, or export it again"
        )
    return data


def _is_model(attention: Attention) -> bool:
    return isinstance(attention, str) and attention == "model"


def encode(
    encoder: Encoder, faces: Sequence[Face], attention: Attention = "model"
) -> list[EncodedFace]:
    """Code and mask of each face, one after another: a code does not depend on other faces.

    Args:
        encoder: the network, with or without a gallery's key.
        faces: as the detector returns them.
        attention: as in `FaceEncoder.encode`; one painted mask (S, S) is given to every face.

    Returns:
        As many encoded faces, in the same order.

    Raises:
        ConfigError: an unknown attention.
        ValueError: a painted mask of another shape or outside [0, 1].
    """
    given = _attention(attention, len(faces))
    encoded: list[EncodedFace] = []
    for i, face in enumerate(faces):
        look = given if isinstance(given, str) else given[i : i + 1]
        logits, (mask,), (seen,) = unkeyed(encoder).encode_with_pictures(face.aligned[None], look)
        certainty = float(np.abs(logits).mean())
        (own,) = encoder.template(logits) if isinstance(encoder, KeyedEncoder) else logits
        encoded.append(EncodedFace(face, Code(codes.sign(own), own), mask, seen, certainty))
    return encoded


def encode_many(encoder: Encoder, faces: Sequence[Face]) -> list[EncodedFace]:
    """As `encode`, on two threads: for the many faces of a gallery, not for one visitor's.

    Args:
        encoder: the network.
        faces: as the detector returns them.

    Returns:
        As many encoded faces, in the same order.
    """
    parts = [faces[start : start + _PART] for start in range(0, len(faces), _PART)]
    coded = in_order(lambda part: encode(encoder, part), parts, "Encoding")
    return [face for part in coded for face in part]


def _attention(attention: Attention, count: int) -> str | np.ndarray:
    """Check an attention and give a painted mask to every face: (N, S, S) float32."""
    if isinstance(attention, str):
        if attention not in ("model", "off"):
            raise ConfigError(f"attention: expected 'model', 'off' or a mask, got {attention!r}")
        return attention
    mask = np.asarray(attention, np.float32)
    if mask.ndim not in (2, 3) or mask.shape[-1] != mask.shape[-2]:
        raise ValueError(f"painted mask: expected (S, S), got {mask.shape}")
    if not np.all((mask >= 0) & (mask <= 1)):  # also refuses NaN
        raise ValueError("painted mask: expected values in [0, 1]")
    return np.array(np.broadcast_to(mask, (count, *mask.shape[-2:])))
