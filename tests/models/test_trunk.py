"""The transferred trunk is dlib's network, from either package's files."""

import importlib.util
import json
from pathlib import Path

import dlib
import numpy as np
import pytest
import torch
from skimage import data

from daah.errors import DataError
from daah.models import trunk_import
from daah.models.trunk import DlibTrunk
from daah.training.teacher import MIRRORED, View, embed_trunk, teacher_embeddings


@pytest.fixture(scope="module")
def dlib_file() -> Path:
    package = importlib.util.find_spec("face_recognition_models")
    folder = Path(package.submodule_search_locations[0])
    return folder / "models" / "dlib_face_recognition_resnet_model_v1.dat"


@pytest.fixture(scope="module")
def imported(dlib_file: Path) -> tuple[DlibTrunk, torch.Tensor]:
    return trunk_import.import_trunk(dlib_file)


def chips() -> np.ndarray:
    photo = data.astronaut()
    return np.stack([photo[y : y + 150, x : x + 150] for y, x in ((50, 150), (0, 200), (200, 80))])


def test_the_trunk_agrees_with_dlibs_own_descriptor(dlib_file: Path, imported) -> None:
    reference = dlib.face_recognition_model_v1(str(dlib_file))
    images = chips()
    expected = np.array([reference.compute_face_descriptor(chip) for chip in images])
    with torch.inference_mode():
        got = embed_trunk(*imported, torch.from_numpy(images).permute(0, 3, 1, 2).float()).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_the_teacher_is_the_mean_of_image_and_mirror(imported) -> None:
    images = chips()
    faces = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        both = (embed_trunk(*imported, faces) + embed_trunk(*imported, faces.flip(3))) / 2
    got = teacher_embeddings(*imported, images, MIRRORED, batch=2)
    # bfloat16 has 8 bits; the numbers are around 0.1.
    np.testing.assert_allclose(got, both.numpy(), atol=0.01)


def test_a_view_moves_the_face() -> None:
    faces = torch.zeros(1, 1, 100, 100)
    faces[:, :, 40:60, 70:80] = 255.0  # middle at (75, 50)
    rows, columns = torch.meshgrid(torch.arange(100.0), torch.arange(100.0), indexing="ij")

    def middle(view: View) -> tuple[float, float]:
        seen = view(faces)[0, 0]
        seen = seen / seen.sum()
        return float((seen * columns).sum()) + 0.5, float((seen * rows).sum()) + 0.5

    assert middle(View()) == pytest.approx((75, 50), abs=0.1)
    assert middle(View(mirror=True)) == pytest.approx((25, 50), abs=0.1)
    assert middle(View(right=0.1)) == pytest.approx((65, 50), abs=0.1)
    assert middle(View(down=-0.1)) == pytest.approx((75, 60), abs=0.1)
    assert middle(View(zoom=1.2)) == pytest.approx((80, 50), abs=0.1)
    assert middle(View(turn=np.pi / 2)) == pytest.approx((50, 25), abs=0.1)


def test_a_saved_trunk_loads_the_same(imported, tmp_path: Path) -> None:
    trunk, linear = imported
    trunk_import.save_trunk(trunk, linear, tmp_path / "trunk.safetensors")
    loaded, loaded_linear = trunk_import.load_trunk(tmp_path / "trunk.safetensors")
    assert torch.equal(loaded_linear, linear)
    for key, value in trunk.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value)


def test_face_api_files_are_read_tensor_by_tensor(tmp_path: Path) -> None:
    """A manifest of the same form with random numbers, 8-bit and float, against the formula."""
    rng = np.random.default_rng(0)
    entries, blob, values = [], b"", {}
    for name, convolution in trunk_import._convolutions(DlibTrunk()).items():
        out, inside, height, width = convolution.weight.shape
        for part, size in (
            ("conv/filters", (height, width, inside, out)),
            ("conv/bias", (out,)),
            ("scale/weights", (out,)),
            ("scale/biases", (out,)),
        ):
            key = f"{name.replace('.', '/')}/{part}"
            entry = {"name": key, "shape": list(size), "dtype": "float32"}
            if part == "conv/filters" and name.startswith("conv64"):
                raw = rng.standard_normal(size).astype(np.float32)
                values[key] = raw
            else:
                raw = rng.integers(0, 256, size).astype(np.uint8)
                entry["quantization"] = {"dtype": "uint8", "scale": 0.01, "min": -1.0}
                values[key] = raw.astype(np.float32) * np.float32(0.01) - 1
            entries.append(entry)
            blob += raw.tobytes()
    fc = rng.standard_normal((256, 128)).astype(np.float32)
    entries.append({"name": "fc", "shape": [256, 128], "dtype": "float32"})
    blob += fc.tobytes()
    (tmp_path / "weights.bin").write_bytes(blob)
    manifest = [{"paths": ["weights.bin"], "weights": entries}]
    (tmp_path / trunk_import.MANIFEST).write_text(json.dumps(manifest))

    trunk, linear = trunk_import.import_trunk(tmp_path)
    np.testing.assert_array_equal(linear.numpy(), fc.T)
    x = torch.rand(1, 32, 20, 20)
    filters = torch.from_numpy(values["conv32_1/conv1/conv/filters"].transpose(3, 2, 0, 1).copy())
    plain = torch.nn.functional.conv2d(
        x, filters, torch.from_numpy(values["conv32_1/conv1/conv/bias"]), padding=1
    )
    scale = torch.from_numpy(values["conv32_1/conv1/scale/weights"]).view(1, -1, 1, 1)
    shift = torch.from_numpy(values["conv32_1/conv1/scale/biases"]).view(1, -1, 1, 1)
    expected = (plain * scale + shift).relu()
    torch.testing.assert_close(trunk.conv32_1.conv1(x), expected, atol=1e-3, rtol=1e-4)

    (tmp_path / "weights.bin").write_bytes(blob[:-4])
    with pytest.raises(DataError, match="end inside fc"):
        trunk_import.import_trunk(tmp_path)


def test_wrong_sources_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="expected dlib_face"):
        trunk_import.import_trunk(tmp_path / "missing.dat")
    with pytest.raises(DataError, match="face-api"):
        trunk_import.import_trunk(tmp_path)
    other = tmp_path / "other.dat"
    other.write_bytes(b"something else")
    with pytest.raises(DataError, match="holds no tensor"):
        trunk_import.import_trunk(other)
    with pytest.raises(DataError, match="import-trunk"):
        trunk_import.load_trunk(other)
