"""Checkpoint files: safetensors weights, what they are, and checksums over both.

The metadata key "daah" holds JSON: schema, name, recipe config, alignment, training summary,
validation metrics, calibration. "sha256" covers that JSON and every tensor's name, type, shape and
bytes, so that a changed byte anywhere is noticed. The fingerprint covers config and tensors only:
codes stay comparable when a checkpoint is calibrated again.

Large weights are stored as float16; "codes agree with float32 on 99.5% of bits" is a test.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from daah.config import ModelConfig, from_mapping
from daah.errors import CheckpointError, ConfigError
from daah.files import replacing
from daah.models.ddah import DDAH, build_model
from daah.models.encoder import SCHEMA
from daah.types import ALIGNMENT

#: Read before anything else: no checkpoint of ours is near these.
MAX_BYTES = 64 * 2**20
MAX_TENSORS = 2_000
#: Tensors of fewer numbers stay float32: biases and norms cost nothing and matter most.
_LARGE = 4096


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A loaded checkpoint.

    Attributes:
        model: the network, in eval mode and float32.
        config: what the network is.
        name: what reports and galleries call it by.
        fingerprint: sha256 over configuration and weights, in hexadecimal.
        training: summary of data and settings, as JSON values.
        metrics: figures on the validation part, as JSON values.
        calibration: as `Calibration.to_dict` writes it; None without one.
    """

    model: DDAH
    config: ModelConfig
    name: str
    fingerprint: str
    training: dict[str, Any]
    metrics: dict[str, Any]
    calibration: dict[str, Any] | None

    def card(self) -> dict[str, Any]:
        """All that the checkpoint says of itself: for an exported graph.

        Returns:
            JSON values: schema, name, config, alignment, training, metrics, calibration and
            fingerprint.
        """
        said = _metadata(self.config, self.name, self.training, self.metrics, self.calibration)
        return said | {"fingerprint": self.fingerprint}


def save_checkpoint(
    path: Path,
    model: DDAH,
    config: ModelConfig,
    *,
    name: str,
    training: dict[str, Any],
    metrics: dict[str, Any],
    calibration: dict[str, Any] | None = None,
) -> str:
    """Write the weights that encoding needs.

    The file appears whole or not at all. The classifier stays behind: it is for training only.

    Args:
        path: the file to write, by convention NAME.safetensors.
        model: the trained network.
        config: what the network is.
        name: what reports and galleries call it by.
        training: summary of data and settings, as JSON values.
        metrics: figures on the validation part, as JSON values.
        calibration: as `Calibration.to_dict` writes it.

    Returns:
        The fingerprint: sha256 over configuration and weights, in hexadecimal.
    """
    weights = {
        key: value.detach().float().cpu().clone(memory_format=torch.contiguous_format)
        for key, value in model.state_dict().items()
        if value.is_floating_point() and not key.startswith("classifier.")
    }
    return _write(
        Path(path), compress(weights), _metadata(config, name, training, metrics, calibration)
    )


def load_checkpoint(path: Path) -> Checkpoint:
    """Read and verify a checkpoint.

    Args:
        path: a file of `save_checkpoint`.

    Returns:
        The network and its metadata.

    Raises:
        CheckpointError: the file is missing, damaged or of another version; says what to do.
    """
    tensors, metadata, fingerprint = _read(Path(path))
    try:
        config = from_mapping(ModelConfig, metadata["config"])
        _check_card(metadata)
        model = build_model(config)
        weights = expand(tensors)
        counters = {
            key: value for key, value in model.state_dict().items() if not value.is_floating_point()
        }
        model.load_state_dict(weights | counters, strict=True)
        if metadata["alignment"] != ALIGNMENT:
            raise CheckpointError(
                f"{path}: trained on faces aligned as {metadata['alignment']}, this version aligns"
                f" as {ALIGNMENT}"
            )
        return Checkpoint(
            model.eval().requires_grad_(False),
            config,
            metadata["name"],
            fingerprint,
            metadata["training"],
            metadata["metrics"],
            metadata["calibration"],
        )
    except (
        KeyError, TypeError, ValueError, AttributeError, RuntimeError, ConfigError,
    ) as error:  # fmt: skip
        reason = " ".join(str(error).split())[:200]  # PyTorch's takes a line for each weight
        raise CheckpointError(f"{path}: not a network this version knows ({reason})") from error


def set_calibration(path: Path, calibration: dict[str, Any]) -> None:
    """Replace the calibration in a checkpoint; weights and fingerprint stay as they are.

    Args:
        path: a file of `save_checkpoint`.
        calibration: as `Calibration.to_dict` writes it.

    Raises:
        CheckpointError: the file is missing or damaged.
    """
    tensors, metadata, _ = _read(Path(path))
    _write(Path(path), tensors, metadata | {"calibration": calibration})


def compress(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Large float32 weights as float16.

    Args:
        weights: float32 tensors by name.

    Returns:
        The tensors to store.
    """
    return {k: v if v.numel() < _LARGE else v.half() for k, v in sorted(weights.items())}


def expand(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of `compress`.

    Args:
        stored: what `compress` returned.

    Returns:
        float32 tensors by name.

    Raises:
        ValueError: a weight is infinite or not a number.
    """
    weights = {key: value.float() for key, value in stored.items()}
    if broken := [key for key, value in weights.items() if not value.isfinite().all()]:
        raise ValueError(f"{broken[0]} holds infinite numbers or none")
    return weights


def _check_card(metadata: dict[str, Any]) -> None:
    """ValueError unless what is said of the network has the types of `Checkpoint`."""
    calibration = metadata["calibration"]
    kinds = {"name": str, "training": dict, "metrics": dict}
    wrong = [key for key, kind in kinds.items() if not isinstance(metadata[key], kind)]
    if wrong or not (calibration is None or isinstance(calibration, dict)):
        raise ValueError(f"{wrong or ['calibration']} of another type")


def _metadata(
    config: ModelConfig,
    name: str,
    training: dict[str, Any],
    metrics: dict[str, Any],
    calibration: dict[str, Any] | None,
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "name": name,
        "config": asdict(config),
        "alignment": ALIGNMENT,
        "training": training,
        "metrics": metrics,
        "calibration": calibration,
    }


def _write(path: Path, tensors: dict[str, Tensor], metadata: dict[str, Any]) -> str:
    text = json.dumps(metadata, sort_keys=True)
    with replacing(path) as temporary:
        save_file(tensors, temporary, {"daah": text, "sha256": _digest(tensors, text)})
        temporary.chmod(0o644)  # safetensors makes it readable by its owner alone
    return _fingerprint(tensors, metadata)


def _read(path: Path) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: restore it from the repository, or train one with"
            " 'python -m daah train'"
        )
    if path.stat().st_size > MAX_BYTES:
        raise CheckpointError(f"{path}: larger than {MAX_BYTES >> 20} MB; no checkpoint is")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            names = list(file.keys())
            if len(names) > MAX_TENSORS:
                raise CheckpointError(f"{path}: {len(names)} tensors; no checkpoint has so many")
            tensors = {name: file.get_tensor(name) for name in sorted(names)}
        text = header["daah"]
        metadata = json.loads(text)
        if metadata["schema"] != SCHEMA:
            raise CheckpointError(
                f"{path}: written in schema {metadata['schema']}, this version reads {SCHEMA}"
            )
        intact = header["sha256"] == _digest(tensors, text)
        fingerprint = _fingerprint(tensors, metadata)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"{path}: not a daah checkpoint, or a damaged one ({type(error).__name__}); restore it"
        ) from error
    if not intact:
        raise CheckpointError(f"{path}: damaged, its checksum does not match; restore it")
    return tensors, metadata, fingerprint


def _digest(tensors: dict[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        value = tensors[name]
        digest.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _fingerprint(tensors: dict[str, Tensor], metadata: dict[str, Any]) -> str:
    return _digest(tensors, json.dumps([metadata["config"], metadata["alignment"]], sort_keys=True))
