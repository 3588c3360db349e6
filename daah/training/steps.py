"""Training by steps, for stages that are too short for epochs: schedule, average, log, and resume.

A stage draws its batches from (seed, step), so that a run that was stopped and resumed ends with
the weights of one that was not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from daah.errors import CheckpointError
from daah.files import replacing

#: Steps of the linear warm-up.
_WARMUP = 30

#: Steps between two rows of the log.
_LOGGED = 50


@dataclass(frozen=True)
class Stage:
    """What a stage is called and how long it takes.

    Attributes:
        name: in the progress bar and the log.
        steps: number of steps.
        seed: seed of its batches.
        state: file to resume from; None keeps no state.
        average: decay per step of the exponential moving average (EMA) of the weights.
        save_every: steps between two writes of `state`.
    """

    name: str
    steps: int
    seed: int = 0
    state: Path | None = None
    average: float = 0.995
    save_every: int = 100


class StageRun:
    """One stage: an AdamW optimiser with its schedule, and the EMA of a module.

    Attributes:
        log: {"step", name of the stage: mean loss} every 50 steps.

    Args:
        stage: its name and length.
        module: what is trained.
        groups: AdamW groups with "params" and "lr", the rate after the warm-up.
        weight_decay: of AdamW.

    Raises:
        CheckpointError: the state file is of another module.
    """

    def __init__(
        self,
        stage: Stage,
        module: nn.Module,
        groups: list[dict[str, Any]],
        weight_decay: float = 0.0,
    ) -> None:
        self.stage, self.module = stage, module
        self.optimiser = torch.optim.AdamW(groups, weight_decay=weight_decay)
        self.rates = [group["lr"] for group in groups]
        self.average = {key: value.clone() for key, value in module.state_dict().items()}
        self.step = 0
        self.losses: list[float] = []
        if stage.state is not None and stage.state.exists():
            self._load(stage.state)

    @property
    def log(self) -> list[dict[str, float]]:
        """The log, one row every 50 steps."""
        ends = range(_LOGGED, len(self.losses) + 1, _LOGGED)
        name = self.stage.name
        return [
            {"step": end, name: float(np.mean(self.losses[end - _LOGGED : end]))} for end in ends
        ]

    def __iter__(self) -> Iterator[np.random.Generator]:
        """A random generator for each step; the body of the loop ends with `update`."""
        bar = tqdm(desc=self.stage.name, total=self.stage.steps, initial=self.step)
        with bar:
            while self.step < self.stage.steps:
                factor = _schedule(self.step, self.stage.steps)
                for group, rate in zip(self.optimiser.param_groups, self.rates, strict=True):
                    group["lr"] = rate * factor
                yield np.random.default_rng((self.stage.seed, self.step))
                self.step += 1
                self._remember()
                bar.update()
                bar.set_postfix(loss=f"{np.mean(self.losses[-_LOGGED:]):.4f}", refresh=False)
        if self.stage.state is not None:
            self._save(self.stage.state)
        self.module.load_state_dict(self.average)
        self.module.eval()

    def update(self, loss: Tensor) -> None:
        """Take one step against a loss.

        Args:
            loss: scalar.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        value = loss.item()
        if not np.isfinite(value):
            raise FloatingPointError(f"{self.stage.name}, step {self.step + 1}: loss {value}")
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        self.losses.append(value)

    def _remember(self) -> None:
        # The average of the first steps would be the initial weights: it forgets faster at first.
        keep = min(self.stage.average, self.step / (self.step + 9))
        with torch.no_grad():
            for key, value in self.module.state_dict().items():
                if value.is_floating_point():
                    self.average[key].lerp_(value, 1 - keep)
                else:
                    self.average[key].copy_(value)
        if self.stage.state is not None and self.step % self.stage.save_every == 0:
            self._save(self.stage.state)

    def _save(self, path: Path) -> None:
        with replacing(path) as partial:
            torch.save(
                {
                    "module": self.module.state_dict(),
                    "optimiser": self.optimiser.state_dict(),
                    "average": self.average,
                    "step": self.step,
                    "losses": self.losses,
                },
                partial,
            )

    def _load(self, path: Path) -> None:
        try:
            if not is_zipfile(path):
                raise ValueError("no archive of tensors")
            saved = torch.load(path, weights_only=True)
            self.module.load_state_dict(saved["module"])
            self.optimiser.load_state_dict(saved["optimiser"])
            self.average, self.step = saved["average"], saved["step"]
            self.losses = saved["losses"]
        except (RuntimeError, KeyError, TypeError, ValueError, OSError) as error:
            raise CheckpointError(
                f"{path}: not a state of this stage ({type(error).__name__}); delete it to start "
                "the stage again"
            ) from error


def relative_groups(parameters: Iterable[nn.Parameter], lr: float) -> list[dict[str, Any]]:
    """One AdamW group per tensor, at `lr` times the root mean square of its weights.

    Folded batch normalisation leaves weights of 0.001 beside weights of 0.1: one absolute rate for
    both destroys what a pretrained network knows.

    Args:
        parameters: the tensors.
        lr: relative rate.

    Returns:
        The groups.
    """
    return [
        {"params": [p], "lr": lr * (float(p.detach().square().mean().sqrt()) + 1e-6)}
        for p in parameters
    ]


def _schedule(step: int, steps: int) -> float:
    """Factor on the rates: linear warm-up, then a cosine to 0."""
    return min(1.0, (step + 1) / _WARMUP) * (0.5 + 0.5 * float(np.cos(np.pi * step / steps)))
