"""The exported graph says what the network says, and any damage to its file is noticed."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from daah import codes
from daah.config import ModelConfig
from daah.errors import CheckpointError
from daah.models.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from daah.models.ddah import DDAH, DemoDDAH, build_model
from daah.models.encoder import SEAL, FaceEncoder, load_encoder
from daah.models.graph import export_graph
from daah.models.layers import area_average
from daah.types import ALIGNED_SIZE

CONFIGS = (ModelConfig("demo", 36, (12, 24, 36)), ModelConfig("paper", 24, (24,)))


def trained_like(config: ModelConfig) -> DDAH:
    """A network whose every part has a say."""
    torch.manual_seed(0)
    network = build_model(config)
    if isinstance(network, DemoDDAH):
        torch.nn.init.normal_(network.spatial.score.weight, std=0.5)
        torch.nn.init.normal_(network.hash.weight, std=1.0)
        with torch.no_grad():
            for mean in network.means:
                mean.normal_()
            network.mean_face.uniform_(0, 255)
    else:
        network.standardise_by(torch.rand(8, 3, 32, 32) * 255)
        network.train()(torch.rand(8, 3, 32, 32) * 255)  # moves batch norm's running statistics
    return network.eval()


@pytest.fixture(scope="module", params=CONFIGS, ids=["demo", "paper"])
def exported(request, tmp_path_factory: pytest.TempPathFactory) -> tuple[Checkpoint, Path]:
    config = request.param
    folder = tmp_path_factory.mktemp("graph")
    source, path = folder / "network.safetensors", folder / "network.onnx"
    save_checkpoint(
        source, trained_like(config), config, name="n", training={"a": 1}, metrics={"map": 0.5}
    )
    checkpoint = load_checkpoint(source)
    export_graph(checkpoint, path)
    return checkpoint, path


@pytest.fixture(scope="module")
def encoder(exported) -> FaceEncoder:
    return load_encoder(exported[1])


def faces(count: int = 3) -> np.ndarray:
    shape = (count, ALIGNED_SIZE, ALIGNED_SIZE, 3)
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize("given", [False, True])
def test_the_graph_agrees_with_the_network(exported, encoder: FaceEncoder, given: bool) -> None:
    model = exported[0].model
    shape = (3, model.grid, model.grid)
    masks = np.random.default_rng(1).random(shape, np.float32) if given else None
    attention = masks if given else "model"
    logits, shown, seen = encoder.encode_with_pictures(faces(), attention)
    for array, same in zip(encoder.encode(faces(), attention), (logits, shown), strict=True):
        np.testing.assert_array_equal(array, same)
    reduce = area_average(ALIGNED_SIZE, model.input_size)
    x = reduce @ torch.from_numpy(faces()).permute(0, 3, 1, 2).float() @ reduce.T
    with torch.inference_mode():
        expected = model(x, None if masks is None else torch.from_numpy(masks)[:, None])
        picture = model.seen(x, expected.mask).permute(0, 2, 3, 1).numpy()
    spread = float(expected.logits.std())
    np.testing.assert_allclose(logits, expected.logits.numpy(), atol=0.01 * spread)
    assert (codes.sign(logits) == codes.sign(expected.logits.numpy())).mean() >= 0.995
    np.testing.assert_allclose(shown, expected.mask[:, 0].numpy(), atol=6e-3)
    np.testing.assert_allclose(seen.astype(float), picture, atol=1.1)
    assert seen.dtype == np.uint8


def test_a_graph_and_its_checkpoint_are_one_model(exported) -> None:
    checkpoint, path = exported
    source = path.with_suffix(".safetensors")
    graph, exported_now = load_encoder(path), load_encoder(source)
    for encoder in (graph, exported_now):
        assert encoder.fingerprint == checkpoint.fingerprint
        assert (encoder.name, encoder.bits, encoder.lengths) == (
            "n", checkpoint.config.bits, checkpoint.config.lengths,
        )  # fmt: skip
        assert encoder.card == {"training": {"a": 1}, "metrics": {"map": 0.5}}
    a, b = graph.encode(faces())[0], exported_now.encode(faces())[0]
    assert (codes.sign(a) == codes.sign(b)).mean() >= 0.995


def test_the_file_is_no_larger_than_the_checkpoint(exported) -> None:
    path = exported[1]
    assert path.stat().st_size < 1.05 * path.with_suffix(".safetensors").stat().st_size + 100_000


def test_no_faces_are_no_codes(encoder: FaceEncoder) -> None:
    logits, masks = encoder.encode(faces(0))
    assert logits.shape == (0, encoder.bits)
    assert masks.shape == (0, encoder.grid, encoder.grid)
    assert encoder.encode_with_pictures(faces(0))[2].dtype == np.uint8


def test_any_changed_or_missing_byte_is_noticed(exported, tmp_path: Path) -> None:
    data = exported[1].read_bytes()
    rng = np.random.default_rng(0)
    tail = len(SEAL) + 64
    places = [*rng.integers(0, len(data) - tail, 30), *range(len(data) - tail, len(data))]
    path = tmp_path / "damaged.onnx"
    for place in map(int, places):
        damaged = bytearray(data)
        damaged[place] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="damaged"):
            load_encoder(path)
    for length in [0, 70, tail, len(data) - 1]:
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match="damaged"):
            load_encoder(path)


def _fails(_path: Path) -> bytes:
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_other_files_are_named(exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CheckpointError, match=r"none\.onnx is missing"):
        load_encoder(tmp_path / "none.onnx")
    checkpoint, path = exported
    card = checkpoint.card()
    graph = path.read_bytes()
    with monkeypatch.context() as broken:
        broken.setattr(Path, "read_bytes", _fails)
        with pytest.raises(CheckpointError, match=r"onnx: cannot be read \(Input/output error\)"):
            load_encoder(path)
    with pytest.raises(CheckpointError, match="aligned as other"):
        FaceEncoder(graph, card | {"alignment": "other"})
    with pytest.raises(CheckpointError, match="written in schema 2, this version reads 1"):
        FaceEncoder(graph, card | {"schema": 2})
    with pytest.raises(CheckpointError, match="expected inputs and outputs"):
        FaceEncoder(graph, card | {"config": {"recipe": "paper", "bits": 8, "lengths": [8]}})
    with pytest.raises(CheckpointError, match="not a network"):
        FaceEncoder(graph, {k: v for k, v in card.items() if k != "config"})
    with pytest.raises(CheckpointError, match="not a network"):
        FaceEncoder(b"something else", card)
