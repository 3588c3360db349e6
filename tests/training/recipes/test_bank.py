"""A bank holds what networks read of covered faces, and reads back the same."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from daah.errors import CheckpointError
from daah.models.ddah import DemoDDAH
from daah.models.trunk import MEAN, SCALE, MobileFace, embed_both_views
from daah.training.recipes.bank import Bank, make_bank
from daah.training.recipes.covers import Cover, Sources
from tests.doubles.training import LANDMARKS, random_bank, random_trunk

COUNT = 6


@pytest.fixture(scope="module")
def sources() -> Sources:
    rng = np.random.default_rng(2)
    coarse = rng.integers(0, 256, (COUNT, 14, 14, 3), np.uint8)
    return Sources(coarse.repeat(8, 1).repeat(8, 2), np.arange(COUNT))


@pytest.fixture(scope="module")
def trunk() -> MobileFace:
    return random_trunk()


@pytest.fixture(scope="module")
def network(trunk: MobileFace) -> DemoDDAH:
    network = DemoDDAH(bits=256).eval()
    network.transfer(trunk)
    return network


@pytest.fixture(scope="module")
def make(network: DemoDDAH, trunk: MobileFace, sources: Sources):
    """Makes a bank of chosen faces."""
    landmarks = np.repeat(LANDMARKS[None], COUNT, 0)

    def made(indices: list[int], seed: int = 0, **more) -> Bank:
        order = np.array(indices)
        return make_bank(network, trunk, sources, landmarks, order, seed, **more)

    return made


ORDER = [0, 2, 5, 5, 1, 3, 4, 0, 2, 1]


@pytest.fixture(scope="module")
def bank(make) -> Bank:
    return make(ORDER, batch=4)


def test_shapes_types_and_ranges(bank: Bank) -> None:
    shapes = {field.name: getattr(bank, field.name).shape for field in fields(Bank)}
    assert shapes == {
        "first": (10, 32, 28, 28),
        "copy": (10, 28, 28, 3),
        "face": (10, 14, 14),
        "cover": (10, 14, 14),
        "target": (10, 256),
        "usual": (14, 14),
    }
    assert len(bank) == 10
    assert bank.first.dtype == bank.copy.dtype == bank.face.dtype == np.float16
    assert bank.target.dtype == bank.usual.dtype == np.float32
    assert 0 <= bank.copy.min() < bank.copy.max() <= 255
    assert 0 < bank.clean().sum() < 10
    assert (bank.clean() == ~(bank.cover > 0.01).any((1, 2))).all()


def test_what_is_covered_is_not_the_face_in_mirrored_faces_either(make) -> None:
    made = make([0] * 32, chances=Cover(cover=1.0, background=0.0))
    assert (made.face.astype(float) + made.cover).max() < 1.01
    left, right = made.cover[:, :, :7].sum((1, 2)), made.cover[:, :, 7:].sum((1, 2))
    assert (np.abs(left - right) > 10).sum() > 8  # so that a wrong side would be noticed


def test_inputs_are_what_the_network_would_read(bank: Bank) -> None:
    rows = np.array([7, 1])
    first, copy = bank.inputs(rows)
    np.testing.assert_array_equal(first.numpy(), bank.first[rows].astype(np.float32))
    assert first.is_contiguous(memory_format=torch.channels_last)
    expected = (bank.copy[rows].astype(np.float32) - MEAN) / SCALE
    np.testing.assert_allclose(copy.numpy(), expected.transpose(0, 3, 1, 2), atol=1e-6)
    assert tuple(bank.shares(rows).shape) == (2, 1, 14, 14)
    assert tuple(bank.usual_face().shape) == (1, 1, 14, 14)


def test_first_stage_and_copy_are_of_the_same_picture(network: DemoDDAH, make) -> None:
    seen: list[torch.Tensor] = []
    hook = network.trunk.stem.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    made = make([0, 1, 2], batch=2)
    hook.remove()
    pictures = torch.cat(seen)
    copies = torch.nn.functional.avg_pool2d(pictures, 4) * SCALE + MEAN
    np.testing.assert_allclose(made.copy.transpose(0, 3, 1, 2), copies, atol=0.1)
    with torch.no_grad():
        first = network.first_stage(pictures)
    np.testing.assert_allclose(made.first, first.numpy(), atol=2e-3, rtol=2e-3)


def test_targets_are_of_the_face_without_its_cover(make) -> None:
    """Faces are moved before they are covered, so with a seed per face alike."""
    always, never = (
        make([0, 1, 2, 3], batch=1, chances=Cover(cover=chance, background=0.0))
        for chance in (1.0, 0.0)
    )
    assert not always.clean().any()
    assert never.clean().all()
    np.testing.assert_array_equal(always.target, never.target)
    assert not np.isclose(always.copy, never.copy, atol=20).all((1, 2, 3)).any()


def test_targets_are_embeddings_of_moved_faces_by_the_untouched_trunk(
    make, trunk: MobileFace, sources: Sources
) -> None:
    made = make([4, 4, 4], batch=1, chances=Cover(cover=0.0, background=0.0))
    with torch.no_grad():
        images = torch.from_numpy(sources.faces).permute(0, 3, 1, 2).float()
        own = embed_both_views(trunk, images).numpy()
    cosine = made.target @ own.T / np.linalg.norm(own, axis=1)
    cosine /= np.linalg.norm(made.target, axis=1)[:, None]
    assert cosine.mean(0).argmax() == 4
    assert len(np.unique(made.target[:, 0])) == 3


def test_usual_is_the_mean_face_alike_left_and_right(make) -> None:
    made = make([0, 1, 2], chances=Cover(cover=1.0, background=0.0))
    np.testing.assert_allclose(made.usual, made.usual[:, ::-1], atol=1e-6)
    assert made.usual[0].max() < 0.2
    assert made.usual[7, 6] == pytest.approx(1, abs=1e-3)  # also where covers are
    assert (made.face.mean(0) <= made.usual + 0.3).all()


def test_a_longer_bank_begins_with_a_shorter_one(make, bank: Bank) -> None:
    shorter = make(ORDER[:6], batch=4)
    for name in ("copy", "face", "cover"):
        np.testing.assert_array_equal(getattr(shorter, name), getattr(bank, name)[:6])
    for name in ("first", "target"):  # computed in batches of other sizes
        np.testing.assert_allclose(getattr(shorter, name), getattr(bank, name)[:6], atol=5e-3)


def test_a_seed_repeats_the_bank(make, bank: Bank) -> None:
    again, other = make(ORDER, batch=4), make(ORDER, seed=1, batch=4)
    np.testing.assert_array_equal(again.first, bank.first)
    assert not np.array_equal(other.copy, bank.copy)


def test_a_saved_bank_is_the_same(bank: Bank, tmp_path: Path) -> None:
    path = tmp_path / "bank.npz"
    bank.save(path)
    loaded = Bank.load(path)
    for field in fields(Bank):
        expected, got = getattr(bank, field.name), getattr(loaded, field.name)
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected)
    assert [entry.name for entry in tmp_path.iterdir()] == ["bank.npz"]


def test_a_damaged_bank_is_a_named_error(tmp_path: Path) -> None:
    path = tmp_path / "bank.npz"
    random_bank(4).save(path)
    whole = path.read_bytes()
    middle = len(whole) // 2
    flipped = whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :]
    for data in (b"", b"something else", whole[:middle], whole[:-9], flipped):
        path.write_bytes(data)
        with pytest.raises(CheckpointError, match=r"bank\.npz: no bank .*; delete it to make it"):
            Bank.load(path)
    path.unlink()
    with pytest.raises(CheckpointError, match="no bank"):
        Bank.load(path)
    np.savez(path, first=np.zeros(3))
    with pytest.raises(CheckpointError, match="no bank"):
        Bank.load(path)
