"""A checkpoint is what was trained, or a named error."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from daah.config import PAPER, ModelConfig
from daah.errors import CheckpointError
from daah.models import checkpoint
from daah.models.checkpoint import load_checkpoint, save_checkpoint, set_calibration
from daah.models.ddah import PaperDDAH, build_model


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, PaperDDAH, str]:
    torch.manual_seed(0)
    model = PaperDDAH(48, classes=5)
    model.standardise_by(torch.rand(8, 3, 32, 32) * 255)
    model.train()(torch.rand(8, 3, 32, 32) * 255)  # moves batch norm's running figures
    path = tmp_path_factory.mktemp("checkpoint") / "paper.safetensors"
    fingerprint = save_checkpoint(
        path, model, PAPER, name="paper", training={"seed": 0}, metrics={"map": 0.5}
    )
    return path, model.eval(), fingerprint


def test_a_loaded_checkpoint_is_the_saved_network(saved) -> None:
    path, model, fingerprint = saved
    loaded = load_checkpoint(path)
    assert loaded.fingerprint == fingerprint
    assert (loaded.name, loaded.config) == ("paper", PAPER)
    assert (loaded.training, loaded.metrics) == ({"seed": 0}, {"map": 0.5})
    assert loaded.calibration is None
    assert not loaded.model.training
    assert not any(key.startswith("classifier") for key in load_file(path))
    faces = torch.rand(16, 3, 32, 32) * 255
    with torch.inference_mode():
        torch.testing.assert_close(
            loaded.model(faces).logits, model(faces).logits, atol=0.02, rtol=0.02
        )


def test_calibration_changes_neither_weights_nor_fingerprint(saved, tmp_path: Path) -> None:
    path = tmp_path / "copy.safetensors"
    shutil.copy(saved[0], path)
    set_calibration(path, {"target_far": 1e-3})
    loaded = load_checkpoint(path)
    assert loaded.calibration == {"target_far": 1e-3}
    assert loaded.fingerprint == saved[2]


def test_other_weights_have_another_fingerprint(saved, tmp_path: Path) -> None:
    other = save_checkpoint(
        tmp_path / "other.safetensors",
        PaperDDAH(48),
        PAPER,
        name="paper",
        training={},
        metrics={},
    )
    assert other != saved[2]


def test_large_weights_are_stored_as_float16() -> None:
    weights = {"large": torch.rand(64, 100), "b": torch.ones(8)}
    stored = checkpoint.compress(weights)
    assert {k: v.dtype for k, v in stored.items()} == {"b": torch.float32, "large": torch.float16}
    torch.testing.assert_close(
        checkpoint.expand(stored)["large"], weights["large"], atol=3e-4, rtol=0
    )


def test_a_demo_network_fits_in_four_megabytes(tmp_path: Path) -> None:
    config = ModelConfig("demo", 256, (64, 256))
    path = tmp_path / "demo.safetensors"
    model = build_model(config).to(memory_format=torch.channels_last)  # as training holds it
    fingerprint = save_checkpoint(path, model, config, name="demo", training={}, metrics={})
    assert load_checkpoint(path).fingerprint == fingerprint
    assert path.stat().st_size < 4_000_000


def test_any_changed_or_missing_byte_is_noticed(saved, tmp_path: Path) -> None:
    data = saved[0].read_bytes()
    rng = np.random.default_rng(0)
    header = int.from_bytes(data[:8], "little") + 8
    places = [*range(0, 8), *rng.integers(8, header, 60), *rng.integers(header, len(data), 20)]
    path = tmp_path / "damaged.safetensors"
    for place in map(int, places):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)
    for length in [0, 7, 8, header - 1, header, len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_wrong_files_say_what_is_wrong(saved, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="missing: restore"):
        load_checkpoint(tmp_path / "none.safetensors")
    tensors = load_file(saved[0])
    path = tmp_path / "edited.safetensors"

    def write(metadata: dict, weights: dict) -> None:
        text = json.dumps(metadata, sort_keys=True)
        header = {"daah": text, "sha256": checkpoint._digest(weights, text)}
        save_file(weights, path, header)

    metadata = checkpoint._metadata(PAPER, "paper", {}, {}, None)
    write(metadata | {"schema": 99}, tensors)
    with pytest.raises(CheckpointError, match="schema 99"):
        load_checkpoint(path)
    write(metadata | {"alignment": "other"}, tensors)
    with pytest.raises(CheckpointError, match="aligned as other"):
        load_checkpoint(path)
    write(metadata | {"config": {"recipe": "demo", "bits": 8, "lengths": [8]}}, tensors)
    with pytest.raises(CheckpointError, match="not a network"):
        load_checkpoint(path)
    write(metadata, {k: v for k, v in tensors.items() if k != "hashing.hash.0.weight"})
    with pytest.raises(CheckpointError, match=r"hashing\.hash\.0\.weight"):
        load_checkpoint(path)
    save_file(tensors, path)
    with pytest.raises(CheckpointError, match="not a daah checkpoint"):
        load_checkpoint(path)


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.safetensors"
    with path.open("wb") as file:
        file.truncate(checkpoint.MAX_BYTES + 1)
    with pytest.raises(CheckpointError, match="larger than 64 MB"):
        load_checkpoint(path)
