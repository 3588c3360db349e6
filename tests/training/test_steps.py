"""Stages of steps: a stopped one ends as if it had not been, and its average is what is left."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from daah.errors import CheckpointError
from daah.training.steps import Stage, StageRun, relative_groups
from tests.doubles.training import StoppedError, stop_after

RATE = 0.05


def small_module() -> nn.Module:
    """A module with weights, and with statistics that training changes without a gradient."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 1))


def begin(module: nn.Module, state: Path | None = None, **more) -> StageRun:
    module.train()
    stage = Stage("small", **{"steps": 12, "state": state, "save_every": 4, **more})
    return StageRun(stage, module, [{"params": list(module.parameters()), "lr": RATE}])


def go(run: StageRun) -> StageRun:
    """Train to the end, on batches that the generators of the steps draw."""
    for rng in run:
        x = torch.from_numpy(rng.standard_normal((6, 4), np.float32))
        run.update((run.module(x) - x.sum(1, keepdim=True)).square().mean())
    return run


@pytest.mark.parametrize("stopped", [0, 3, 6, 11])
def test_a_stopped_stage_ends_with_the_same_weights_to_the_bit(
    stopped: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = go(begin(small_module()))
    state = tmp_path / "small.state"
    with monkeypatch.context() as patch:
        stop_after(patch, stopped)
        with pytest.raises(StoppedError):
            go(begin(small_module(), state))
    resumed = begin(small_module(), state)
    assert resumed.step == stopped // 4 * 4
    go(resumed)
    assert resumed.losses == whole.losses
    for key, value in whole.module.state_dict().items():
        assert torch.equal(resumed.module.state_dict()[key], value), key


def test_a_finished_stage_takes_no_step_again(tmp_path: Path) -> None:
    state = tmp_path / "small.state"
    whole = go(begin(small_module(), state))
    again = begin(small_module(), state)
    assert [*again] == []
    assert again.losses == whole.losses
    for key, value in whole.module.state_dict().items():
        assert torch.equal(again.module.state_dict()[key], value), key


def test_what_is_left_is_the_average_in_evaluation_mode() -> None:
    module, seen = small_module(), []
    start = {key: value.clone() for key, value in module.state_dict().items()}
    run = begin(module, steps=20, average=0.6)
    for rng in run:
        if run.step:
            seen.append({key: value.clone() for key, value in module.state_dict().items()})
        x = torch.from_numpy(rng.standard_normal((6, 4), np.float32))
        run.update(module(x).square().mean())
        last = {key: value.clone() for key, value in module.state_dict().items()}
    seen.append(last)
    assert not module.training
    expected = start["0.weight"]
    for step, values in enumerate(seen, 1):
        keep = min(0.6, step / (step + 9))  # forgets the start faster than 0.6 ** step would
        expected = keep * expected + (1 - keep) * values["0.weight"]
    torch.testing.assert_close(module[0].weight.detach(), expected)
    assert not torch.equal(module[0].weight, last["0.weight"])
    assert module[1].num_batches_tracked == 20


def test_rates_warm_up_and_fall_to_nothing() -> None:
    run, rates = begin(small_module(), steps=100), []
    for _ in run:
        rates.append(run.optimiser.param_groups[0]["lr"])
        run.update(next(run.module.parameters()).square().sum())
    assert rates[0] == pytest.approx(RATE / 30)
    assert rates[:29] == sorted(rates[:29])
    assert rates[29:] == sorted(rates[29:], reverse=True)
    assert rates[50] == pytest.approx(RATE / 2)
    assert 0 < rates[-1] < 1e-3 * RATE


def test_steps_draw_their_own_batches_and_a_seed_repeats_them() -> None:
    def drawn(seed: int) -> list[int]:
        run = begin(small_module(), steps=5, seed=seed)
        numbers = []
        for rng in run:
            numbers.append(int(rng.integers(10**9)))
            run.update(next(run.module.parameters()).square().sum())
        return numbers

    assert len(set(drawn(0))) == 5
    assert drawn(0) == drawn(0)
    assert drawn(0) != drawn(1)


def test_the_log_has_a_mean_for_every_fifty_steps() -> None:
    run = go(begin(small_module(), steps=120))
    assert [row["step"] for row in run.log] == [50, 100]
    assert run.log[1]["small"] == pytest.approx(np.mean(run.losses[50:100]))


def test_a_loss_that_is_not_finite_ends_the_stage() -> None:
    run = begin(small_module())
    steps = iter(run)
    next(steps)
    with pytest.raises(FloatingPointError, match="small, step 1: loss nan"):
        run.update(torch.tensor(float("nan"), requires_grad=True))


def test_a_state_of_something_else_is_a_named_error(tmp_path: Path) -> None:
    state = tmp_path / "small.state"
    go(begin(small_module(), state))
    other = nn.Linear(3, 1)
    with pytest.raises(CheckpointError, match=r"small\.state: not a state of this stage.*delete"):
        begin(other, state)
    groups = [{"params": [p], "lr": RATE} for p in small_module().parameters()]
    with pytest.raises(CheckpointError, match="not a state of this stage"):
        StageRun(Stage("small", 12, state=state), small_module(), groups)


def test_a_damaged_state_is_a_named_error(tmp_path: Path) -> None:
    state = tmp_path / "small.state"
    go(begin(small_module(), state))
    whole = state.read_bytes()
    for data in (b"", b"something else", whole[: len(whole) // 2], whole[:-1]):
        state.write_bytes(data)
        with pytest.raises(CheckpointError, match="not a state of this stage"):
            begin(small_module(), state)
    torch.save([1, 2], state)
    with pytest.raises(CheckpointError, match="not a state of this stage"):
        begin(small_module(), state)


def test_relative_rates_follow_the_size_of_a_tensors_weights() -> None:
    small = nn.Parameter(torch.tensor([0.03, -0.04]))
    zero = nn.Parameter(torch.zeros(3))
    groups = relative_groups([small, zero], 0.1)
    assert groups[0]["lr"] == pytest.approx(0.1 * ((0.03**2 + 0.04**2) / 2) ** 0.5, rel=1e-3)
    assert 0 < groups[1]["lr"] < 1e-6
    assert [group["params"] for group in groups] == [[small], [zero]]
