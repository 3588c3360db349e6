"""The trunk is MobileFace V2 as its authors' file has it, and every wrong byte is noticed."""

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from daah.errors import DataError
from daah.models import trunk_import
from daah.models.trunk import embed_both_views

#: In, expanded, out, stride: the authors' twelve units, written down a second time.
UNITS = [
    *((32, 96, 32, s) for s in (2, 1, 1, 2, 1, 1)),
    (32, 96, 64, 2),
    (64, 192, 64, 1),
    (64, 192, 64, 1),
    (64, 192, 128, 2),
    (128, 384, 128, 1),
    (128, 384, 128, 1),
]


def random_arrays() -> dict[str, np.ndarray]:
    """What the published file holds, with random numbers: names and shapes are the same."""
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}

    def layer(name: str, norm: str, *shape: int) -> None:
        spread = 1.5 / np.sqrt(np.prod(shape[1:]))
        arrays[f"arg:{name}_weight"] = rng.normal(0, spread, shape)
        arrays[f"arg:{norm}_gamma"] = rng.uniform(0.5, 1.5, shape[0])
        arrays[f"arg:{norm}_beta"] = rng.normal(0, 0.5, shape[0])
        arrays[f"aux:{norm}_moving_mean"] = rng.normal(0, 0.2, shape[0])
        arrays[f"aux:{norm}_moving_var"] = rng.uniform(0.2, 2.0, shape[0])

    layer("conv1", "bn1", 32, 3, 3, 3)
    arrays["arg:conv1_bias"] = rng.normal(0, 0.1, 32)
    for i, (channels, expanded, out, _) in enumerate(UNITS):
        layer(f"convolution{3 * i}", f"batchnorm{3 * i}", expanded, channels, 1, 1)
        layer(f"convolution{3 * i + 1}", f"batchnorm{3 * i + 1}", expanded, 1, 3, 3)
        layer(f"convolution{3 * i + 2}", f"batchnorm{3 * i + 2}", out, expanded, 1, 1)
    layer("fc5", "fc5_bn", 256, 2048)
    # As trained: embeddings with numbers of a few units, whatever the layers before add up to.
    arrays["aux:fc5_bn_moving_var"] *= 100
    return {key: value.astype(np.float32) for key, value in arrays.items()}


def written(arrays: dict[str, np.ndarray]) -> bytes:
    """The arrays as an MXNet parameter file."""
    out = struct.pack("<QQQ", 0x112, 0, len(arrays))
    for value in arrays.values():
        out += struct.pack("<IiI", 0xF993FAC9, 0, value.ndim)
        out += struct.pack(f"<{value.ndim}q", *value.shape) + struct.pack("<iii", 1, 0, 0)
        out += value.astype("<f4").tobytes()
    out += struct.pack("<Q", len(arrays))
    for name in arrays:
        out += struct.pack("<Q", len(name)) + name.encode()
    return out


def reference(arrays: dict[str, np.ndarray], faces: np.ndarray) -> np.ndarray:
    """The published graph, operator by operator, in float64: (B, 112, 112, 3) to (B, 256)."""

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        gamma, beta = arrays[f"arg:{name}_gamma"], arrays[f"arg:{name}_beta"]
        mean, variance = arrays[f"aux:{name}_moving_mean"], arrays[f"aux:{name}_moving_var"]
        return (x - mean) / np.sqrt(variance.astype(np.float64) + 1e-3) * gamma + beta

    def patches(x: np.ndarray, stride: int) -> np.ndarray:
        """(B, H, W, C) to (B, H / stride, W / stride, C, 3, 3), zeros beyond the border."""
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (1, 2))
        return windows[:, ::stride, ::stride]

    x = (faces.astype(np.float64) - 127.5) * 0.0078125
    x = np.einsum("bhwcij,ocij->bhwo", patches(x, 2), arrays["arg:conv1_weight"])
    x = norm(x + arrays["arg:conv1_bias"], "bn1").clip(0, 6)
    for i, (_, _, _, stride) in enumerate(UNITS):
        weights = [arrays[f"arg:convolution{3 * i + k}_weight"] for k in range(3)]
        y = norm(x @ weights[0][:, :, 0, 0].T, f"batchnorm{3 * i}").clip(0, 6)
        y = np.einsum("bhwcij,cij->bhwc", patches(y, stride), weights[1][:, 0])
        y = norm(y, f"batchnorm{3 * i + 1}").clip(0, 6)
        y = norm(y @ weights[2][:, :, 0, 0].T, f"batchnorm{3 * i + 2}")
        x = x + y if stride == 1 else y
    flat = x.transpose(0, 3, 1, 2).reshape(len(x), -1)
    return norm(flat @ arrays["arg:fc5_weight"].T, "fc5_bn")


def faces(count: int = 2) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (count, 112, 112, 3), np.uint8)


def tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2).float()


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    return random_arrays()


@pytest.fixture
def file(arrays, tmp_path: Path) -> Path:
    path = tmp_path / "random.params"
    path.write_bytes(written(arrays))
    return path


def test_the_trunk_computes_what_the_published_graph_does(arrays, file: Path) -> None:
    trunk = trunk_import.import_trunk(file, sha256=None)
    with torch.inference_mode():
        got = trunk(trunk.normalise(tensor(faces()))).numpy()
    expected = reference(arrays, faces())
    assert expected.std() > 0.1
    np.testing.assert_allclose(got, expected, atol=1e-4)


def test_both_views_are_the_mean_of_face_and_mirror(file: Path) -> None:
    trunk = trunk_import.import_trunk(file, sha256=None)
    x = tensor(faces())
    with torch.inference_mode():
        expected = (trunk(trunk.normalise(x)) + trunk(trunk.normalise(x.flip(3)))) / 2
        got = embed_both_views(trunk, x)
        mirrored = embed_both_views(trunk, x.flip(3))
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(got, mirrored, atol=1e-4, rtol=1e-4)


def test_any_wrong_byte_is_a_named_error(file: Path) -> None:
    data = file.read_bytes()
    checksum = hashlib.sha256(data).hexdigest()
    trunk_import.import_trunk(file, sha256=checksum)
    changed = bytearray(data)
    changed[len(data) // 2] ^= 1  # inside of a weight, where no structure would show it
    file.write_bytes(changed)
    with pytest.raises(DataError, match=rf"sha256 {checksum}, got [0-9a-f]{{64}}; .* again"):
        trunk_import.import_trunk(file, sha256=checksum)


def test_the_published_checksum_is_asked_for_unless_told_otherwise(file: Path) -> None:
    with pytest.raises(DataError, match=trunk_import.SHA256):
        trunk_import.import_trunk(file)


def without(arrays: dict[str, np.ndarray], key: str) -> dict[str, np.ndarray]:
    return {name: value for name, value in arrays.items() if name != key}


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data, arrays: data[: len(data) // 2], "ends early|counts"),
        (lambda data, arrays: data + b"\0", "1 bytes follow"),
        (lambda data, arrays: b"\x13" + data[1:], "no MXNet parameter file"),
        (lambda data, arrays: data[:16] + struct.pack("<Q", 2**60) + data[24:], "counts"),
        (lambda data, arrays: data[:24] + b"\0" + data[25:], "no dense array"),
        (lambda data, arrays: data[:36] + struct.pack("<q", 2**50) + data[44:], "counts"),
        (lambda data, arrays: data[:76] + b"\1" + data[77:], "got type 1"),
        (lambda data, arrays: data[:-1] + b"\xff", "no text"),
        (lambda data, arrays: written(without(arrays, "arg:fc5_weight")), "arg:fc5_weight"),
        (lambda data, arrays: written(without(arrays, "arg:conv1_bias")), "arg:conv1_bias"),
        (lambda data, arrays: written(arrays | {"arg:more": np.ones(3)}), "holds arg:more"),
        (
            lambda data, arrays: written(arrays | {"arg:bn1_beta": np.ones(31)}),
            r"expected arg:bn1_beta \(32,\), got \(31,\)",
        ),
        (
            lambda data, arrays: written(arrays | {"arg:bn1_beta": np.full(32, np.nan)}),
            "not finite",
        ),
    ],
)
def test_structure_is_checked(arrays, file: Path, damage, message: str) -> None:
    file.write_bytes(damage(file.read_bytes(), arrays))
    with pytest.raises(DataError, match=message):
        trunk_import.import_trunk(file, sha256=None)


def test_a_saved_trunk_loads_the_same(file: Path, tmp_path: Path) -> None:
    trunk = trunk_import.import_trunk(file, sha256=None)
    trunk_import.save_trunk(trunk, tmp_path / "trunk.safetensors")
    loaded = trunk_import.load_trunk(tmp_path / "trunk.safetensors")
    for key, value in trunk.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_missing_and_foreign_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="MobileFace_Identification_V2-0000"):
        trunk_import.import_trunk(tmp_path / "missing.params")
    (tmp_path / "other").write_bytes(b"something else")
    with pytest.raises(DataError, match="import-trunk"):
        trunk_import.load_trunk(tmp_path / "other")
