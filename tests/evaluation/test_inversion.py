"""The decoder: what it is given, and a training that can be stopped."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch

from daah.errors import DataError
from daah.evaluation import inversion
from daah.evaluation.inversion import Decoder, DecoderSettings, given, rebuild, shrink
from daah.models.ddah import DemoDDAH

BITS = 32


@pytest.fixture(scope="module")
def network() -> DemoDDAH:
    torch.manual_seed(0)
    return DemoDDAH(BITS)


@pytest.fixture(scope="module")
def sample() -> tuple[np.ndarray, np.ndarray]:
    """Faces that are one of two pictures, and logits that say which."""
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 255, (2, inversion.SIDE, inversion.SIDE, 3), dtype=np.uint8)
    logits = rng.normal(size=(40, BITS)).astype(np.float32)
    return pictures[(logits[:, 0] > 0).astype(int)], logits


def test_an_attacker_is_given_signs_or_logits_of_the_prefix_alone() -> None:
    logits = np.float32([[3, -4, 5, 6]])
    assert given(logits, 2, False).tolist() == [[1, -1, 0, 0, 1, 1, 0, 0]]
    scale = np.sqrt(12.5)
    assert np.allclose(given(logits, 2, True), [[3 / scale, -4 / scale, 0, 0, 1, 1, 0, 0]])


def test_faces_are_averaged() -> None:
    face = np.zeros((1, 224, 224, 3), np.uint8)
    face[:, :4, :4] = 100
    small = shrink(face)
    assert small.shape == (1, inversion.SIDE, inversion.SIDE, 3)
    assert small[0, 0, 0, 0] == 100
    assert small[0, 1:].max() == 0


def train(network: DemoDDAH, sample, folder: Path, seconds: float, ticks: int | None = None):
    """One step a second, and no more than `ticks`."""
    clock = itertools.count()

    def tick() -> float:
        now = next(clock) / 3  # it is looked at three times a step
        if ticks is not None and now > ticks:
            raise KeyboardInterrupt
        return now

    settings = DecoderSettings(seconds=seconds, batch=4, lr=3e-3, pixels_alone=0.8)
    return inversion.train_decoder(
        network, *sample, (8, BITS), folder, settings, clock=tick
    )  # fmt: skip


def test_it_learns_from_pixels_and_from_the_network(
    network: DemoDDAH, sample, tmp_path: Path
) -> None:
    told = train(network, sample, tmp_path, 20)
    faces, logits = sample
    rebuilt = rebuild(told, given(logits, BITS, False), inversion.SIDE).astype(float)
    error = np.abs(rebuilt - faces).mean()
    assert error < np.abs(rebuilt - faces[np.roll(np.argsort(logits[:, 0]), 20)]).mean()
    assert inversion.settings_of(tmp_path)["seconds"] == 20
    again = inversion.load_decoder(tmp_path, BITS)
    assert np.array_equal(rebuild(again, given(logits, BITS, False), inversion.SIDE), rebuilt)


def test_a_stopped_training_goes_on(
    network: DemoDDAH, sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inversion, "_SAVED_EVERY", 2.0)
    with pytest.raises(KeyboardInterrupt):
        train(network, sample, tmp_path, 8, ticks=5)
    steps = inversion.settings_of(tmp_path)["steps"]
    assert steps > 0
    train(network, sample, tmp_path, 8)
    assert inversion.settings_of(tmp_path)["steps"] > steps
    with pytest.raises(DataError, match="other settings"):
        train(network, sample, tmp_path, 9)


def test_what_is_no_decoder_is_told(tmp_path: Path) -> None:
    for wrong in (lambda: inversion.load_decoder(tmp_path, BITS),
                  lambda: inversion.settings_of(tmp_path)):  # fmt: skip
        with pytest.raises(DataError, match="no decoder"):
            wrong()
    assert Decoder(BITS)(torch.zeros(1, 2 * BITS)).shape == (1, 3, inversion.SIDE, inversion.SIDE)
