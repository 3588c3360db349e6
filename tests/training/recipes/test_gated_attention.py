"""Attention learns where the face is, and the network to do with what is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from daah.models.ddah import FULL, DemoDDAH
from daah.training.recipes import gated_attention
from daah.training.recipes.bank import Bank
from daah.training.recipes.gated_attention import (
    AttentionSettings,
    bank_masks,
    embedding_loss,
    face_spatial_step,
    fit_importance,
    fit_mask,
    looking_pays,
    mask_loss,
    refine_mask,
    set_means,
    tune,
)
from daah.training.steps import Stage
from tests.doubles.training import (
    StoppedError,
    changed,
    copied,
    demo_network,
    random_bank,
    stop_after,
)

SETTINGS = AttentionSettings(
    mask_steps=30,
    mask_batch=8,
    tune_steps=8,
    tune_batch=8,
    refine_steps=6,
    importance_faces=8,
    importance_steps=6,
    lr=5e-3,
)
CENTRE = torch.zeros(256)


@pytest.fixture(scope="module")
def bank() -> Bank:
    return random_bank()


@pytest.fixture
def network(bank: Bank) -> DemoDDAH:
    network = demo_network()
    set_means(network, bank, SETTINGS)
    return network


def shares(bank: Bank) -> Tensor:
    """The known shares of all faces as masks."""
    return bank.shares(np.arange(len(bank)))


# --- the mask -------------------------------------------------------------------------------------


def test_the_mask_learns_the_known_shares(network: DemoDDAH, bank: Bank) -> None:
    def loss() -> float:
        with torch.no_grad():
            logits = network.spatial(*bank.inputs(everyone))
            return float(mask_loss(logits, bank, everyone, SETTINGS))

    everyone = np.arange(len(bank))
    network.spatial.eval()
    before = loss()
    log = fit_mask(network.spatial, bank, replace(SETTINGS, mask_steps=60, mask_batch=4))
    assert loss() < 0.5 * before
    assert not network.spatial.training
    assert [row["step"] for row in log] == [50]
    assert log[0]["spatial network"] < before
    masks = bank_masks(network, bank)
    assert tuple(masks.shape) == (24, 1, 14, 14)
    own = masks[:, 0].numpy()
    gates = own / FULL
    assert gates[bank.cover > 0].mean() < 0.4
    assert gates[bank.cover == 0].mean() > 0.9


def test_masks_of_a_bank_are_those_of_its_faces_one_by_one(network: DemoDDAH, bank: Bank) -> None:
    torch.nn.init.normal_(network.spatial.score.weight)
    network.spatial.train()
    masks = bank_masks(network, bank)
    with torch.no_grad():
        shares_of_one = network.spatial(*bank.inputs(np.array([5]))).sigmoid()
        alone = network.mask_of(shares_of_one)
    torch.testing.assert_close(masks[5:6], alone, atol=1e-5, rtol=1e-4)


def logits_of(masks: Tensor) -> Tensor:
    return torch.logit(masks.clamp(0.01, 0.99))


def test_the_masks_loss_falls_towards_the_known_shares(bank: Bank) -> None:
    everyone, known = np.arange(len(bank)), shares(bank)
    right, flat, wrong = (
        float(mask_loss(logits_of(masks), bank, everyone, SETTINGS))
        for masks in (known, torch.full_like(known, 0.5), 1 - known)
    )
    assert 0 < right < 0.1 < flat < wrong


def test_a_covered_cell_of_the_face_counts_for_more(bank: Bank) -> None:
    """The same mistake, once in a covered cell and once in an open one."""

    def cost(row: int, column: int, **more) -> float:
        masks = shares(bank)[2:3].clone()  # its left half is covered
        right = float(mask_loss(logits_of(masks), given, index, replace(SETTINGS, **more)))
        masks[0, 0, row, column] = 1 - masks[0, 0, row, column]
        return float(mask_loss(logits_of(masks), given, index, replace(SETTINGS, **more))) - right

    given, index = bank, np.array([2])
    assert cost(7, 3) == pytest.approx(3 * cost(7, 10), rel=0.01)  # covered=2 is added
    assert cost(7, 3, covered=0.0) == pytest.approx(cost(7, 10, covered=0.0), rel=0.01)
    # Where no face ever is, a cover does not count for more.
    given = replace(bank, usual=np.zeros((14, 14), np.float32))
    assert cost(7, 3) == pytest.approx(cost(7, 10), rel=0.01)


def test_a_cell_with_little_of_the_face_counts_as_none(bank: Bank) -> None:
    def best(share: float) -> float:
        """The mask that costs least for a share."""
        given = replace(bank, face=np.full_like(bank.face, share), cover=np.zeros_like(bank.cover))
        candidates = torch.linspace(0.01, 0.99, 99)
        costs = [
            float(mask_loss(logits_of(torch.full((1, 1, 14, 14), c)), given, index, SETTINGS))
            for c in candidates.tolist()
        ]
        return float(candidates[int(np.argmin(costs))])

    index = np.array([0])
    assert best(0.4) == pytest.approx(0.01, abs=0.005)
    assert best(1.0) == pytest.approx(0.99, abs=0.005)
    assert best(0.725) == pytest.approx(0.5, abs=0.02)


# --- means and context ----------------------------------------------------------------------------


def test_outer_means_are_those_of_faces_without_a_cover_alike_left_and_right(
    network: DemoDDAH, bank: Bank
) -> None:
    clean = bank.first[np.arange(24) % 4 < 2].astype(np.float32)
    expected = (clean.mean(0) + clean.mean(0)[:, :, ::-1]) / 2
    np.testing.assert_allclose(network.means[0][0].detach().numpy(), expected, atol=1e-3)
    with torch.no_grad():
        x = torch.from_numpy(clean)
        for stage in network.trunk.stages[1:]:
            x = stage(x)
    last = x.mean(0, keepdim=True)
    torch.testing.assert_close(
        network.means[3].detach(), (last + last.flip(3)) / 2, atol=1e-4, rtol=1e-4
    )
    assert not network.means[1].any()
    assert not network.means[2].any()
    face = bank.copy[np.arange(24) % 4 < 2].astype(np.float32).mean(0).transpose(2, 0, 1)
    np.testing.assert_allclose(network.mean_face[0], (face + face[:, :, ::-1]) / 2, atol=0.1)


def test_gates_stay_open_where_no_part_of_a_face_ever_is(network: DemoDDAH, bank: Bank) -> None:
    usual = np.zeros((14, 14), np.float32)
    usual[3:11, 3:11] = 1
    set_means(network, replace(bank, usual=usual), replace(SETTINGS, context=0.8))
    torch.testing.assert_close(network.context[0, 0], 0.8 * torch.from_numpy(1 - usual))
    gate = network.gate(torch.zeros(1, 1, 14, 14))[0, 0]
    assert gate[0, 0] == pytest.approx(0.8)
    assert gate[7, 7] == 0


# --- tuning ---------------------------------------------------------------------------------------


def test_the_loss_is_zero_for_the_clean_embedding_and_grows_with_the_angle() -> None:
    generator = torch.Generator().manual_seed(0)
    target, other = (torch.randn(8, 256, generator=generator) for _ in range(2))
    same, near, far = (
        float(embedding_loss(embedding, target, CENTRE, SETTINGS))
        for embedding in (3 * target, target + 0.3 * other, target + 2 * other)
    )
    assert same == pytest.approx(0, abs=1e-5)
    assert same < near < far


def test_the_loss_compares_ranks_within_the_batch() -> None:
    """Two embeddings that changed places are as near to the clean ones as any, and ranked wrong."""
    generator = torch.Generator().manual_seed(0)
    target = torch.randn(4, 256, generator=generator)
    swapped = target[[1, 0, 2, 3]]
    cosine = float(embedding_loss(swapped, target, CENTRE, replace(SETTINGS, kl=0.0)))
    both = float(embedding_loss(swapped, target, CENTRE, SETTINGS))
    assert both > cosine + 0.1


@pytest.mark.parametrize("masked", [True, False])
def test_tuning_comes_nearer_to_the_clean_faces_and_leaves_the_rest(
    network: DemoDDAH, bank: Bank, masked: bool
) -> None:
    masks = shares(bank) if masked else None
    first, _ = bank.inputs(np.arange(24))
    target = torch.from_numpy(bank.target)

    def loss() -> float:
        with torch.no_grad():
            return float(embedding_loss(network.embed(first, masks), target, CENTRE, SETTINGS))

    before, state = loss(), copied(network)
    tune(network, bank, CENTRE, replace(SETTINGS, tune_steps=20), masks)
    assert loss() < before
    others = changed(network, state)
    resting = ("trunk.stem", "trunk.stages.0.", "trunk.stages.1.0.", "spatial", "hash", "mean_face")
    assert not [key for key in others if key.startswith((*resting, "context", "means.0"))]
    parts = ("trunk.stages.1.1.", "trunk.stages.3.", "fuse", "attention3", "attention4")
    for part in parts:
        assert [key for key in others if key.startswith(part)], part
    assert {key for key in others if key.startswith("means")} == (
        {"means.1", "means.2", "means.3"} if masked else set()
    )
    assert all(parameter.requires_grad for parameter in network.parameters())


def test_without_its_training_channel_attention_stays_the_identity(
    network: DemoDDAH, bank: Bank
) -> None:
    state = copied(network)
    tune(network, bank, CENTRE, replace(SETTINGS, channel_attention=False), shares(bank))
    assert not [key for key in changed(network, state) if key.startswith("attention")]
    x = torch.rand(2, 64, 7, 7)
    torch.testing.assert_close(network.attention3(x), x)
    x = torch.rand(2, 128, 4, 4)
    torch.testing.assert_close(network.attention4(x), x)


def test_without_fused_stages_the_third_stays_out(network: DemoDDAH, bank: Bank) -> None:
    separate = replace(SETTINGS, fused_stages=False)
    before = network.fuse.weight.detach().clone()
    tune(network, bank, CENTRE, separate, shares(bank))
    assert not network.fuse.weight[:, :64].any()
    assert not torch.equal(network.fuse.weight[:, 64:], before[:, 64:])
    tune(network, bank, CENTRE, SETTINGS, shares(bank))  # nothing is left of the restriction
    assert network.fuse.weight[:, :64].any()


# --- the face spatial loss ------------------------------------------------------------------------


def frozen_but_for_the_mask(network: DemoDDAH) -> DemoDDAH:
    network.requires_grad_(False)
    network.spatial.requires_grad_(True)
    return network


def test_the_face_spatial_loss_reaches_the_spatial_network_alone(
    network: DemoDDAH, bank: Bank
) -> None:
    frozen_but_for_the_mask(network)
    face_spatial_step(network, bank, np.arange(8), CENTRE, SETTINGS).backward()
    assert network.spatial.score.weight.grad.abs().max() > 0
    reached = {name for name, p in network.named_parameters() if p.grad is not None}
    assert {name.split(".")[0] for name in reached} == {"spatial"}


def test_the_face_spatial_loss_is_a_hinge_beside_the_known_shares(
    network: DemoDDAH, bank: Bank
) -> None:
    indices = np.arange(8)
    target = torch.from_numpy(bank.target[indices])
    first, copy = bank.inputs(indices)
    network.spatial.eval()

    def step(margin: float) -> float:
        with torch.no_grad():
            chosen = replace(SETTINGS, margin=margin)
            return float(face_spatial_step(network, bank, indices, CENTRE, chosen))

    with torch.no_grad():
        logits = network.spatial(first, copy)
        known = float(mask_loss(logits, bank, indices, SETTINGS))
        masked, unmasked = (
            float(embedding_loss(network.embed(first, mask), target, CENTRE, SETTINGS))
            for mask in (network.mask_of(logits.sigmoid()), None)
        )
    assert step(-100.0) == pytest.approx(known, rel=1e-5)
    assert step(5.0) == pytest.approx(5 + masked - unmasked + known, rel=1e-4)


def test_an_idle_hinge_leaves_the_known_shares(network: DemoDDAH, bank: Bank) -> None:
    frozen_but_for_the_mask(network).spatial.eval()
    indices = np.arange(8)
    first, copy = bank.inputs(indices)
    mask_loss(network.spatial(first, copy), bank, indices, SETTINGS).backward()
    expected = network.spatial.score.weight.grad.clone()
    network.zero_grad()
    idle = replace(SETTINGS, margin=-100.0)
    face_spatial_step(network, bank, indices, CENTRE, idle).backward()
    torch.testing.assert_close(network.spatial.score.weight.grad, expected, atol=1e-7, rtol=1e-4)


def test_refining_changes_the_spatial_network_alone(network: DemoDDAH, bank: Bank) -> None:
    state = copied(network)
    refine_mask(network, bank, CENTRE, SETTINGS)
    others = changed(network, state)
    assert {key.split(".")[0] for key in others} == {"spatial"}
    assert "spatial.score.weight" in others
    assert not network.spatial.training
    assert all(parameter.requires_grad for parameter in network.parameters())


# --- importance -----------------------------------------------------------------------------------


def looks_at(row: int, column: int) -> DemoDDAH:
    """A network whose embedding is the features of one of 7 x 7 parts, as far as its gate is open.

    Its mean features are 0, and so is the embedding where nothing is seen.
    """
    network = demo_network()
    cells = slice(2 * row, 2 * row + 2), slice(2 * column, 2 * column + 2)
    fine = slice(4 * row, 4 * row + 4), slice(4 * column, 4 * column + 4)

    def embed(first: Tensor, mask: Tensor) -> Tensor:
        gate = network.gate(mask)[:, :, cells[0], cells[1]].mean((2, 3))
        constant = torch.ones(len(first), 1)  # without which a cosine knows no size
        return torch.cat([gate * first[:, :, fine[0], fine[1]].mean((2, 3)), constant], 1)

    network.embed = embed
    return network


def test_looking_pays_where_the_network_looks() -> None:
    worth = looking_pays(looks_at(2, 4), torch.ones(3, 32, 28, 28), torch.ones(3, 1, 14, 14))
    assert tuple(worth.shape) == (3, 1, 14, 14)
    assert worth.amax((2, 3)) == pytest.approx(1)
    assert worth[:, 0, 4:6, 8:10].min() > 0.5
    # The neighbouring parts get something by smoothing, others nothing.
    assert not worth[:, 0, 8:].any()
    assert not worth[:, 0, :, :6].any()


def test_looking_at_a_covered_part_does_not_pay() -> None:
    masks = torch.ones(1, 1, 14, 14)
    masks[..., 4:6, 8:10] = 0
    worth = looking_pays(looks_at(2, 4), torch.ones(1, 32, 28, 28), masks)
    assert not worth.any()


def test_both_hiding_and_showing_count() -> None:
    """Of two parts that say the same, neither is missed; each is enough."""
    network = looks_at(2, 4)
    one, other = network.embed, looks_at(5, 1).embed
    network.embed = lambda first, mask: torch.maximum(one(first, mask), other(first, mask))
    worth = looking_pays(network, torch.ones(1, 32, 28, 28), torch.ones(1, 1, 14, 14))[0, 0]
    assert worth[5, 9] == pytest.approx(1)
    assert worth[10, 2] == pytest.approx(1)


def test_the_importance_head_learns_what_looking_is_worth(network: DemoDDAH, bank: Bank) -> None:
    network.embed = looks_at(2, 4).embed
    steps = replace(SETTINGS, importance_faces=24, importance_steps=100, lr_importance=0.01)
    state = copied(network)
    log = fit_importance(network, bank, steps)
    assert log[1]["importance"] < log[0]["importance"]
    assert {key.split(".")[0] for key in changed(network, state)} == {"importance"}
    assert not network.importance.training
    with torch.no_grad():
        features = network.spatial.features(*bank.inputs(np.arange(4)))
        said = network.importance(features).sigmoid()[:, 0]
    assert said[:, 4:6, 8:10].mean() > 3 * said.mean()


def test_importance_is_measured_on_clean_and_covered_faces(
    network: DemoDDAH, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[np.ndarray] = []
    real = Bank.inputs

    def inputs(self: Bank, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        asked.append(indices)
        return real(self, indices)

    monkeypatch.setattr(Bank, "inputs", inputs)
    fit_importance(network, bank, SETTINGS)
    chosen = np.concatenate(asked)
    assert len(set(chosen)) == 8
    assert bank.clean()[chosen].sum() == 4


def test_a_finished_stage_measures_nothing_again(
    network: DemoDDAH, bank: Bank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "importance.state"
    fit_importance(network, bank, SETTINGS, 0, state)
    learned = copied(network)
    monkeypatch.setattr(gated_attention, "looking_pays", None)
    fit_importance(network, bank, SETTINGS, 0, state)
    assert changed(network, learned) == set()


# --- stopped and resumed --------------------------------------------------------------------------


def fit(network: DemoDDAH, bank: Bank, state: Path | None) -> None:
    fit_mask(network.spatial, bank, replace(SETTINGS, mask_steps=6), 3, state)


def tuned(network: DemoDDAH, bank: Bank, state: Path | None) -> None:
    tune(network, bank, CENTRE, SETTINGS, shares(bank), 3, state)


def refined(network: DemoDDAH, bank: Bank, state: Path | None) -> None:
    refine_mask(network, bank, CENTRE, SETTINGS, 3, state)


def weighed(network: DemoDDAH, bank: Bank, state: Path | None) -> None:
    fit_importance(network, bank, SETTINGS, 3, state)


@pytest.mark.parametrize("stage", [fit, tuned, refined, weighed])
def test_a_stopped_stage_ends_as_a_whole_one(
    stage: Callable[[DemoDDAH, Bank, Path | None], None],
    bank: Bank,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def begin() -> DemoDDAH:
        network = demo_network()
        set_means(network, bank, SETTINGS)
        return network

    monkeypatch.setattr(gated_attention, "Stage", partial(Stage, save_every=2))
    whole, state = begin(), tmp_path / "a.state"
    stage(whole, bank, None)
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(StoppedError):
            stage(begin(), bank, state)
    resumed = begin()
    stage(resumed, bank, state)
    assert changed(resumed, whole.state_dict()) == set()
    assert torch.load(state, weights_only=True)["step"] in (6, 8)
