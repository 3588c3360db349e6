"""Read the weights of MobileFace Identification V2 into `MobileFace`: a training-time command.

The authors publish them as an MXNet parameter file: a list of arrays, then a list of their names.
MXNet itself is not needed to read it. `save_trunk` and `load_trunk` keep what was read, folded, as
one safetensors file.
"""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from daah.errors import DataError
from daah.models.trunk import STAGES, MobileFace

#: The published file `MobileFace_Identification_V2-0000.params`.
SHA256 = "750057619a1eef8acb320339aebf0bbcf191497e1396a361c8aaba517bbe825e"

#: Added to the variance in batch normalisation, as in the published graph.
EPSILON = 1e-3

_LIST_MAGIC = 0x112
_ARRAY_MAGIC = 0xF993FAC9
_FLOAT32 = 0
_MAX_DIMENSIONS = 4
#: The one layer with a bias of its own before batch normalisation.
_BIASED = "conv1"
_BATCH_NORM = ("arg:{}_gamma", "arg:{}_beta", "aux:{}_moving_mean", "aux:{}_moving_var")


def import_trunk(source: Path, sha256: str | None = SHA256) -> MobileFace:
    """The trunk from the authors' parameter file, batch normalisation folded.

    Args:
        source: `MobileFace_Identification_V2-0000.params`.
        sha256: checksum that the file must have; None takes any file of the same structure.

    Raises:
        DataError: the file is missing, has another checksum, is cut, or holds other arrays.
    """
    source = Path(source)
    try:
        data = source.read_bytes()
    except OSError as error:
        raise DataError(
            f"{source}: expected MobileFace_Identification_V2-0000.params of becauseofAI/MobileFace"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256:
        raise DataError(
            f"{source}: expected MobileFace_Identification_V2-0000.params with sha256 {sha256}, "
            f"got {found}; the file is damaged or another one, so download it again"
        )
    return _trunk(read_parameters(data, str(source)), str(source))


def read_parameters(data: bytes, name: str = "parameters") -> dict[str, np.ndarray]:
    """All arrays of an MXNet parameter file by their names, "arg:" or "aux:" in front.

    Args:
        data: the file's bytes.
        name: what error messages call it.

    Returns:
        Arrays of float32, in the order of the file.

    Raises:
        DataError: the bytes are no such file, end early, go on after the end, or hold an array of
            another type than float32.
    """
    reader = _Reader(data, name)
    magic, reserved, count = reader.take("<QQQ")
    if (magic, reserved) != (_LIST_MAGIC, 0):
        raise DataError(f"{name}: no MXNet parameter file (it begins with {magic:#x})")
    arrays = [reader.array() for _ in range(reader.plausible(count))]
    (named,) = reader.take("<Q")
    if named != count:
        raise DataError(f"{name}: {count} arrays but {named} names")
    names = [reader.text() for _ in range(count)]
    if reader.offset != len(data):
        raise DataError(f"{name}: {len(data) - reader.offset} bytes follow after the last name")
    if len(set(names)) != len(names):
        raise DataError(f"{name}: a name stands for two arrays")
    return dict(zip(names, arrays, strict=True))


class _Reader:
    """Takes one field after another, and never beyond the end."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data, self.name, self.offset = data, name, 0

    def take(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self.bytes(struct.calcsize(layout)))

    def bytes(self, count: int) -> bytes:
        part = self.data[self.offset : self.offset + count]
        if len(part) < count:
            raise DataError(f"{self.name}: ends early, at byte {len(self.data)}")
        self.offset += count
        return part

    def plausible(self, count: int) -> int:
        """A count of things of one byte at least that the rest of the file can hold."""
        if count > len(self.data) - self.offset:
            raise DataError(f"{self.name}: counts {count}, more than the file can hold")
        return count

    def array(self) -> np.ndarray:
        magic, storage, dimensions = self.take("<IiI")
        if magic != _ARRAY_MAGIC or storage != 0 or not 1 <= dimensions <= _MAX_DIMENSIONS:
            raise DataError(f"{self.name}: no dense array at byte {self.offset - 12}")
        shape = self.take(f"<{dimensions}q")
        _, _, kind = self.take("<iii")  # the device that it was saved from does not matter
        if kind != _FLOAT32 or min(shape) < 1:
            raise DataError(
                f"{self.name}: expected float32 (type 0) of at least one value, "
                f"got type {kind} of {shape}"
            )
        size = 1
        for side in shape:
            size = self.plausible(size * side)
        return np.frombuffer(self.bytes(4 * size), "<f4").astype(np.float32).reshape(shape)

    def text(self) -> str:
        (length,) = self.take("<Q")
        try:
            return self.bytes(self.plausible(length)).decode()
        except UnicodeDecodeError as error:
            raise DataError(f"{self.name}: a name is no text") from error


def _trunk(arrays: dict[str, np.ndarray], name: str) -> MobileFace:
    """The network of all arrays; raises DataError for one too few, too many or of another shape."""
    trunk = MobileFace()
    expected = {key: tuple(value.shape) for key, value in trunk.state_dict().items()}
    state: dict[str, Tensor] = {}
    left = dict(arrays)

    def take(key: str, shape: tuple[int, ...]) -> np.ndarray:
        if key not in left or left[key].shape != shape:
            got = left[key].shape if key in left else "nothing"
            raise DataError(f"{name}: expected {key} {shape}, got {got}")
        return left.pop(key).astype(np.float64)

    for target, layer, norm in _layers():
        shape = expected[f"{target}.weight"]
        weight = take(f"arg:{layer}_weight", shape)
        gamma, beta, mean, variance = (take(key.format(norm), shape[:1]) for key in _BATCH_NORM)
        if layer == _BIASED:
            mean = mean - take(f"arg:{layer}_bias", shape[:1])
        # Folded in float64: scales differ by thousands between channels.
        scale = gamma / np.sqrt(variance + EPSILON)
        folded = weight * scale.reshape(-1, *[1] * (len(shape) - 1))
        state[f"{target}.weight"] = torch.from_numpy(folded).float()
        state[f"{target}.bias"] = torch.from_numpy(beta - mean * scale).float()
    if left:
        raise DataError(f"{name}: holds {min(left)}, which MobileFace Identification V2 has not")
    if not all(bool(value.isfinite().all()) for value in state.values()):
        raise DataError(f"{name}: holds numbers that are not finite")
    trunk.load_state_dict(state, strict=True)
    return trunk.eval()


def _layers() -> list[tuple[str, str, str]]:
    """Our name, the file's name, and the file's name of the batch normalisation, layer by layer."""
    layers = [("stem", "conv1", "bn1")]
    index = 0
    for stage, units in enumerate(STAGES):
        for unit in range(len(units)):
            for part in ("expand", "depthwise", "project"):
                target = f"stages.{stage}.{unit}.{part}"
                layers.append((target, f"convolution{index}", f"batchnorm{index}"))
                index += 1
    return [*layers, ("linear", "fc5", "fc5_bn")]


def save_trunk(trunk: MobileFace, path: Path) -> None:
    """Write the trunk as float32 safetensors."""
    save_file({key: value.contiguous() for key, value in trunk.state_dict().items()}, path)


def load_trunk(path: Path) -> MobileFace:
    """The reverse of `save_trunk`.

    Raises:
        DataError: the file is missing or no such trunk.
    """
    trunk = MobileFace()
    try:
        trunk.load_state_dict(load_file(path), strict=True)
    except (OSError, SafetensorError, RuntimeError) as error:
        raise DataError(
            f"{path}: expected a trunk as 'python -m daah import-trunk' writes it"
        ) from error
    return trunk.eval()
