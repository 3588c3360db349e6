"""Read dlib's face network from face-api's files into `DlibTrunk`: a training-time command.

npm's `@vladmandic/face-api` (MIT) carries the weights (CC0) as a JSON manifest and one file of
mostly 8-bit numbers with a scale and a minimum a tensor. Nothing of it is needed to run a trained
checkpoint. `save_trunk` and `load_trunk` keep what was read as one safetensors file.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from daah.errors import DataError
from daah.models.trunk import EMBEDDING, DlibTrunk

MANIFEST = "face_recognition_model-weights_manifest.json"


def import_trunk(folder: Path) -> tuple[DlibTrunk, Tensor]:
    """Return the trunk and its last linear layer (128, 256) from face-api's `model` folder.

    Raises DataError when the manifest or its weights are missing, cut, or of other layers.
    """
    tensors = read_tensors(Path(folder))
    trunk = DlibTrunk()
    state: dict[str, Tensor] = {}
    for name, _ in trunk.named_children():
        for unit in ("",) if name == "conv32_down" else ("conv1", "conv2"):
            source = "/".join(part for part in (name, unit) if part)
            target = ".".join(part for part in (name, unit) if part)
            weight, bias = _fold(tensors, source)
            state[f"{target}.weight"], state[f"{target}.bias"] = weight, bias
    trunk.load_state_dict(state, strict=True)
    linear = torch.from_numpy(_take(tensors, "fc", (256, EMBEDDING))).T.contiguous()
    return trunk, linear


def save_trunk(trunk: DlibTrunk, linear: Tensor, path: Path) -> None:
    """Write trunk and last layer as float32 safetensors."""
    save_file({"linear": linear.contiguous(), **trunk.state_dict()}, path)


def load_trunk(path: Path) -> tuple[DlibTrunk, Tensor]:
    """The reverse of `save_trunk`. Raises DataError for anything else."""
    trunk = DlibTrunk()
    try:
        state = load_file(path)
        linear = state.pop("linear")
        trunk.load_state_dict(state, strict=True)
    except (OSError, SafetensorError, KeyError, RuntimeError) as error:
        raise DataError(
            f"{path}: expected a trunk as 'python -m daah import-trunk' writes it"
        ) from error
    return trunk, linear


def read_tensors(folder: Path) -> dict[str, np.ndarray]:
    """All tensors of a face-api model by name, de-quantised to float32."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        raise DataError(
            f"expected {MANIFEST} in {folder}: unpack npm's @vladmandic/face-api there, "
            "and name its 'model' folder"
        )
    tensors = {}
    for group in json.loads(manifest.read_text()):
        data = b"".join((folder / Path(part).name).read_bytes() for part in group["paths"])
        offset = 0
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"], dtype=np.int64))
            quantised = entry.get("quantization")
            dtype = np.dtype(quantised["dtype"] if quantised else entry["dtype"])
            if len(data) < offset + count * dtype.itemsize:
                raise DataError(f"{folder}: the weights end inside {entry['name']}")
            values = np.frombuffer(data, dtype, count, offset).astype(np.float32)
            if quantised:
                values = values * np.float32(quantised["scale"]) + np.float32(quantised["min"])
            tensors[entry["name"]] = values.reshape(entry["shape"])
            offset += count * dtype.itemsize
    return tensors


def _fold(tensors: dict[str, np.ndarray], name: str) -> tuple[Tensor, Tensor]:
    """A convolution and the scale and shift behind it, as one convolution's weight and bias."""
    filters = _take(tensors, f"{name}/conv/filters")  # (height, width, in, out)
    scale = _take(tensors, f"{name}/scale/weights")
    weight = filters.transpose(3, 2, 0, 1) * scale[:, None, None, None]
    bias = _take(tensors, f"{name}/conv/bias") * scale + _take(tensors, f"{name}/scale/biases")
    return torch.from_numpy(np.ascontiguousarray(weight)), torch.from_numpy(bias)


def _take(
    tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    if name not in tensors or (shape and tensors[name].shape != shape):
        raise DataError(f"the face-api weights hold no {name} as dlib's face network has it")
    return tensors[name]
