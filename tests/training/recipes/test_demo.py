"""The demo recipe joins its stages: what each leaves, what a stopped run repeats."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from daah.config import DEMO
from daah.data.face_set import FaceSet
from daah.errors import CheckpointError, ConfigError
from daah.models.trunk import embed_both_views
from daah.training.recipes import demo
from daah.training.recipes.demo import DemoSettings, DemoTraining
from tests.doubles.training import (
    LANDMARKS,
    StoppedError,
    changed,
    copied,
    few_rounds,
    random_bank,
    random_trunk,
    stop_after,
)

SETTINGS = DemoSettings(
    bank=24,
    mask_steps=2,
    mask_batch=4,
    tune_steps=2,
    tune_batch=8,
    refine_steps=2,
    importance_faces=4,
    importance_steps=2,
    hash_starts=2,
)


def face_set(people: int, each: int, seed: int) -> FaceSet:
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), each)
    coarse = rng.integers(0, 200, (people, 14, 14, 3))[labels]
    coarse = coarse + rng.integers(0, 56, coarse.shape)
    images = coarse.astype(np.uint8).repeat(8, 1).repeat(8, 2)
    names = tuple(f"root/p{label}/{i}.png" for i, label in enumerate(labels))
    return FaceSet(images, labels, tuple(f"p{i}" for i in range(people)), names)


FACES, OTHERS = face_set(6, 3, 0), face_set(3, 2, 1)


def begin(out: Path, **settings) -> DemoTraining:
    landmarks = np.repeat(LANDMARKS[None], len(FACES), 0)
    chosen = replace(SETTINGS, **settings)
    return DemoTraining(FACES, landmarks, OTHERS, random_trunk(), chosen, 0, out)


@pytest.fixture(scope="module", autouse=True)
def _few_rounds() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        few_rounds(patch)
        yield


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DemoTraining:
    """A finished run."""
    training = begin(tmp_path_factory.mktemp("whole"))
    training.run()
    return training


def test_a_run_leaves_a_network_its_figures_and_its_files(whole: DemoTraining) -> None:
    assert whole.config == DEMO
    last = whole.history[-1]
    assert set(last) == {"step", *(f"map_{length}" for length in DEMO.lengths)}
    assert all(0 < last[f"map_{length}"] <= 1 for length in DEMO.lengths)
    assert sorted(path.name for path in whole.out.iterdir()) == [
        "bank.npz",
        "importance.state",
        "mask.state",
        "refined.state",
        "trunk.state",
    ]
    assert not whole.model.training
    assert not any(parameter.requires_grad for parameter in whole.model.parameters())
    usual = whole.model.context[0, 0]
    assert usual[0, 0] > 0.9  # the corner of a face is never the face
    assert usual[7, 6] < 0.1


def test_every_stage_has_its_part_of_the_network(whole: DemoTraining, tmp_path: Path) -> None:
    start = copied(begin(tmp_path).model)
    parts = {key.rpartition(".")[0] for key in changed(whole.model, start)}
    for part in (
        "spatial.score",
        "importance.own.2",
        "trunk.stages.3.2.project",
        "fuse",
        "attention4.excite",
        "hash",
    ):
        assert part in parts
    assert "trunk.stem" not in parts
    assert not [part for part in parts if part.startswith("trunk.stages.0")]


# Steps of the mask, the trunk, the mask again, and its importance; the hash layer follows.
@pytest.mark.parametrize("stopped", [0, 2, 3, 5, 7])
def test_a_stopped_run_ends_with_the_weights_of_a_whole_one(
    whole: DemoTraining, stopped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(patch, stopped)
        with pytest.raises(StoppedError):
            begin(tmp_path).run()
    monkeypatch.setattr(demo, "make_bank", None)  # the bank is read, and not made again
    resumed = begin(tmp_path)
    metrics = resumed.run()
    assert changed(resumed.model, whole.model.state_dict()) == set()
    assert resumed.history == whole.history
    assert metrics.items() <= whole.history[-1].items()


def test_another_seed_is_another_network(whole: DemoTraining, tmp_path: Path) -> None:
    training = begin(tmp_path)
    training.seed = 1
    training.run()
    assert "fuse.weight" in changed(training.model, whole.model.state_dict())


def test_a_damaged_bank_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "bank.npz").write_bytes(b"half a bank")
    with pytest.raises(CheckpointError, match="bank"):
        begin(tmp_path).run()


def test_the_control_has_no_mask_and_gates_that_are_always_open(tmp_path: Path) -> None:
    training = begin(tmp_path, attention=False)
    start = copied(training.model)
    training.run()
    others = changed(training.model, start)
    assert not [
        key for key in others if key.startswith(("spatial", "importance", "means.1", "means.2"))
    ]
    assert "fuse.weight" in others
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bank.npz", "trunk.state"]
    assert (training.model.context == 1).all()
    faces = torch.from_numpy(FACES.images[:2]).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        masks = (None, torch.zeros(2, 1, 14, 14), torch.ones(2, 1, 14, 14))
        own, hidden, shown = (training.model(faces, mask).logits for mask in masks)
    torch.testing.assert_close(hidden, shown)
    torch.testing.assert_close(own, shown)


def test_without_steps_of_refinement_the_mask_stays_as_it_was_fitted(tmp_path: Path) -> None:
    training = begin(tmp_path, refine_steps=0, importance_steps=0)
    training.run()
    assert not (tmp_path / "refined.state").exists()
    assert not (tmp_path / "importance.state").exists()
    fitted = torch.load(tmp_path / "mask.state", weights_only=True)["average"]
    assert changed(training.model.spatial, fitted) == set()


# --- the parts ------------------------------------------------------------------------------------


def chosen_faces(out: Path, monkeypatch: pytest.MonkeyPatch, **settings) -> np.ndarray:
    """Rows of the faces that a bank is made of."""
    asked = []

    def made(network, trunk, sources, landmarks, indices, seed, chances):
        asked.append(indices)
        assert (chances.cover, chances.background) == (0.6, 0.1)
        np.testing.assert_array_equal(sources.faces, FACES.images)
        return random_bank(4)

    monkeypatch.setattr(demo, "make_bank", made)
    training = begin(out, cover=0.6, background=0.1, **settings)
    assert len(training._bank()) == len(training._bank()) == 4  # the second is read
    (indices,) = asked
    return indices


def test_a_bank_shows_every_photo_equally_often(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = chosen_faces(tmp_path, monkeypatch, bank=44)
    assert len(indices) == 44
    assert sorted(np.bincount(indices)) == [2] * 10 + [3] * 8
    assert indices.tolist() != sorted(indices)


def test_a_bank_has_so_many_photos_of_a_person_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    indices = chosen_faces(tmp_path, monkeypatch, bank=48, bank_photos=2)
    shown = np.unique(indices)
    assert np.bincount(FACES.labels[shown]).tolist() == [2] * 6


def test_embeddings_are_those_behind_the_own_mask(whole: DemoTraining, tmp_path: Path) -> None:
    embeddings = whole.embeddings(FACES.images[:3])
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
    faces = torch.from_numpy(FACES.images[:3]).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        logits = whole.model(faces).logits
        torch.testing.assert_close(whole.model.hash(embeddings), logits, atol=1e-4, rtol=1e-4)
    control = begin(tmp_path, attention=False)
    with torch.inference_mode():
        expected = F.normalize(embed_both_views(control.trunk, faces), dim=1)
    torch.testing.assert_close(control.embeddings(FACES.images[:3]), expected, atol=1e-4, rtol=1e-4)


def test_the_centre_is_a_mean_over_people(tmp_path: Path) -> None:
    training = begin(tmp_path)
    faces = torch.from_numpy(FACES.images).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        embeddings = F.normalize(embed_both_views(training.trunk, faces), dim=1)
    own = torch.stack([embeddings[FACES.labels == label].mean(0) for label in range(6)])
    torch.testing.assert_close(training._centre(), own.mean(0), atol=0.02, rtol=0)


def test_of_several_hash_layers_the_best_on_others_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = begin(tmp_path, hash_starts=4)
    drawn, scores = [], iter([0.1, 0.4, 0.9, 0.2])

    def figures(layer: torch.nn.Linear, embeddings: torch.Tensor) -> dict[str, float]:
        assert len(embeddings) == len(OTHERS)
        drawn.append(layer.weight.detach().clone())
        return {"map_64": next(scores)}

    monkeypatch.setattr(training, "_figures", figures)
    assert training._fit_hash_layer() == {"map_64": 0.9}
    assert torch.equal(training.model.hash.weight, drawn[2])
    assert not torch.equal(drawn[2], drawn[3])


def test_the_summary_says_what_was_trained_on(whole: DemoTraining) -> None:
    summary = json.loads(json.dumps(whole.summary()))
    assert (summary["people"], summary["images"], summary["seed"]) == (6, 18, 0)
    assert summary["kept_out"] == {"people": 3, "images": 6}
    assert summary["settings"]["bank"] == 24
    assert summary["settings"]["attention"] is True


@pytest.mark.parametrize("cover", [0.0, 1.0, -0.1])
def test_faces_with_and_without_covers_are_needed(cover: float) -> None:
    with pytest.raises(ConfigError, match="cover: expected more than 0 and less than 1"):
        DemoSettings(cover=cover)
