"""The training loop. It is independent of the model: a recipe gives batches, gradients and scores.

Before the first epoch and after each one follow validation, a row in log.csv, learning.png and a
state file. From the state file `resume` continues bit for bit. With several devices (`accelerate
launch`) each process draws its own batches and gradients are averaged; only the main process
writes.
"""

from __future__ import annotations

import csv
import math
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn
from tqdm import tqdm

from daah.errors import CheckpointError
from daah.files import replacing
from daah.models.checkpoint import save_checkpoint
from daah.plots import learning_curve, save_figure
from daah.training.recipes.base import Recipe

STATE_FILE = "state.pt"
LOG_FILE = "log.csv"


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of the training loop.

    Attributes:
        epochs: number of epochs; 0 saves the initial weights.
        weight_decay: weight decay of AdamW.
        seed: seed of the batch order; the recipe has its own seed.
        clip: maximum gradient norm of each parameter group.

    Raises:
        ValueError: `epochs` is out of range.
    """

    epochs: int
    weight_decay: float = 1e-4
    seed: int = 0
    clip: float = 5.0

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise ValueError(f"expected epochs >= 0, got {self.epochs}")


@dataclass(frozen=True)
class TrainingReport:
    """Result of a training run.

    Attributes:
        checkpoint: file of the best checkpoint.
        best_epoch: its epoch; 0 is the initial weights.
        history: the log, one row per epoch; row 0 is the initial weights.
    """

    checkpoint: Path
    best_epoch: int
    history: list[dict[str, float]]


def check_resume(out: Path, begun: bool, resume: bool) -> None:
    """Check that a run is resumed if and only if there is one.

    Args:
        out: output folder.
        begun: whether it contains a run.
        resume: whether to resume.

    Raises:
        CheckpointError: the two differ.
    """
    if resume != begun:
        raise CheckpointError(
            f"{out} holds no run to resume"
            if resume
            else f"{out} holds a run: add --resume, or choose another folder"
        )


def write_log(path: Path, history: list[dict[str, float]]) -> None:
    """Write a log as CSV, one column for every key of its rows.

    Args:
        path: the file.
        history: the rows.
    """
    with path.open("w", newline="") as file:
        columns = list(dict.fromkeys(key for row in history for key in row))
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(history)


def train(
    recipe: Recipe,
    out: Path,
    config: TrainingConfig,
    name: str,
    accelerator: Accelerator,
    resume: bool = False,
) -> TrainingReport:
    """Train until `config.epochs`, or continue from the last epoch of `out` with `resume`.

    Writes NAME.safetensors (the best epoch by recipe.score), log.csv, learning.png and state.pt.

    Args:
        recipe: model, data and losses.
        out: output folder.
        config: settings of the loop.
        name: name of the checkpoint.
        accelerator: the devices.
        resume: whether to continue the run in `out`.

    Returns:
        The best checkpoint and the log.

    Raises:
        CheckpointError: `out` contains a run and `resume` is off, or contains none and it is on.
        FloatingPointError: a loss is not finite.
    """
    out = Path(out)
    state_path = out / STATE_FILE
    check_resume(out, state_path.is_file(), resume)
    out.mkdir(parents=True, exist_ok=True)
    groups = recipe.parameter_groups()
    optimiser = torch.optim.AdamW(groups, weight_decay=config.weight_decay)
    rates = [group["lr"] for group in groups]
    generator = np.random.default_rng([config.seed, accelerator.process_index])
    state = RunState(recipe, optimiser, generator)
    if resume:
        state.load(state_path)
    else:
        # Row 0 is the initial weights: the curve begins there, and they may be the best.
        state.history.append({"epoch": 0, **recipe.validate(recipe.model)})
        if accelerator.is_main_process:
            state.write(out, name, config)

    for epoch in range(len(state.history) - 1, config.epochs):
        started = time.perf_counter()
        recipe.model.train()
        sums: dict[str, list[float]] = {}
        # The whole epoch is drawn first, so that progress knows how long it is.
        batches = list(recipe.batches(generator))
        bar = tqdm(
            batches,
            desc=f"epoch {epoch + 1}/{config.epochs}",
            disable=not accelerator.is_main_process,
            file=sys.stderr,
        )
        for step, indices in enumerate(bar):
            progress = (epoch + step / len(batches)) / config.epochs
            factor = recipe.learning_rate(progress, epoch)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["lr"] = rate * factor
            optimiser.zero_grad(set_to_none=True)
            losses = recipe.gradients(indices, progress)
            if not all(math.isfinite(value) for value in losses.values()):
                raise FloatingPointError(f"epoch {epoch + 1}, step {step + 1}: {losses}")
            _average_gradients(optimiser, accelerator)
            for group in optimiser.param_groups:
                nn.utils.clip_grad_norm_(group["params"], config.clip)
            optimiser.step()
            for key, value in losses.items():
                sums.setdefault(key, []).append(value)
            bar.set_postfix({k: f"{v:.3f}" for k, v in losses.items()}, refresh=False)
        accelerator.wait_for_everyone()
        row = {"epoch": epoch + 1, **{k: float(np.mean(v)) for k, v in sums.items()}}
        row |= recipe.validate(recipe.model)
        row["seconds"] = time.perf_counter() - started
        state.history.append(row)
        if accelerator.is_main_process:
            tqdm.write("  ".join(f"{k} {v:.4g}" for k, v in row.items()), file=sys.stderr)
            state.write(out, name, config)
    best = int(state.best["epoch"])
    return TrainingReport(out / f"{name}.safetensors", best, state.history)


@dataclass
class RunState:
    """State that a resumed run needs, apart from its settings.

    Attributes:
        recipe: its model and state are stored.
        optimiser: its state is stored.
        generator: source of the batch order.
        history: the log, one row per epoch; row 0 is the initial weights.
    """

    recipe: Recipe
    optimiser: torch.optim.Optimizer
    generator: np.random.Generator
    history: list[dict[str, float]] = field(default_factory=list)

    @property
    def best(self) -> dict[str, float]:
        """The epoch with the best score of the recipe; the first of several."""
        return max(self.history, key=lambda row: row[self.recipe.score])

    def write(self, out: Path, name: str, config: TrainingConfig) -> None:
        """Write log, curve and state, and the checkpoint when the last epoch is the best.

        Args:
            out: output folder.
            name: name of the checkpoint.
            config: settings of the loop, for the checkpoint's metadata.
        """
        if self.best is self.history[-1]:
            save_checkpoint(
                out / f"{name}.safetensors",
                self.recipe.model,
                self.recipe.config,
                name=name,
                training=self.recipe.summary() | {"epochs": config.epochs, "seed": config.seed},
                metrics={k: v for k, v in self.history[-1].items() if k != "seconds"},
            )
        write_log(out / LOG_FILE, self.history)
        save_figure(learning_curve(self.history, self.recipe.score), out / "learning.png")
        state = {
            "model": self.recipe.model.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "recipe": self.recipe.state_dict(),
            "generator": self.generator.bit_generator.state,
            "history": self.history,
        }
        with replacing(out / STATE_FILE) as temporary:
            torch.save(state, temporary)

    def load(self, path: Path) -> None:
        """Restore what `write` stored.

        Args:
            path: the state file.
        """
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        self.recipe.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.recipe.load_state_dict(state["recipe"])
        self.generator.bit_generator.state = state["generator"]
        self.history = state["history"]


def _average_gradients(optimiser: torch.optim.Optimizer, accelerator: Accelerator) -> None:
    if accelerator.num_processes == 1:
        return
    for group in optimiser.param_groups:
        for parameter in group["params"]:
            # Every process must take part for every parameter, with or without a gradient.
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            parameter.grad = accelerator.reduce(parameter.grad, reduction="mean")
