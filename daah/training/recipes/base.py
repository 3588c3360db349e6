"""What the training loop asks of a recipe."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from daah.config import ModelConfig
from daah.models.ddah import DDAH


class Recipe(Protocol):
    """One way to train a `DDAH`. The loop owns optimiser, schedule, average, files and devices."""

    model: DDAH
    config: ModelConfig
    #: The validation figure by which the best epoch is chosen; larger is better.
    score: str

    def parameter_groups(self) -> list[dict[str, Any]]:
        """AdamW groups, each with "params" and "lr"."""

    def learning_rate(self, progress: float, epoch: int) -> float:
        """Factor on every group's rate; progress runs from 0 to 1 over the whole training."""

    def batches(self, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Index batches of one epoch."""

    def gradients(self, indices: np.ndarray, progress: float) -> dict[str, float]:
        """Leave in every parameter's .grad the gradient of its own group's loss.

        Both groups' gradients are complete when this returns and nothing has been stepped: a step
        between two backward passes over one graph would mix weights of two moments. Returns the
        losses to log.
        """

    def validate(self, model: DDAH) -> dict[str, float]:
        """Figures on the validation part, in eval mode."""

    def state_dict(self) -> dict[str, Any]:
        """What resuming needs beyond the model: tensors and plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The reverse of `state_dict`."""

    def summary(self) -> dict[str, Any]:
        """Plain JSON facts about data and settings, for the checkpoint's card."""


@torch.inference_mode()
def encode_images(
    model: DDAH, images: np.ndarray, device: torch.device, batch: int = 64, attention: bool = True
) -> Tensor:
    """Logits (N, K) of faces (N, S, S, 3) uint8 in eval mode, whatever mode the model is in.

    A code must not depend on its batch, so batch norm uses its running figures here.
    """
    was_training = model.training
    model.eval()
    parts = []
    for start in range(0, len(images), batch):
        faces = torch.from_numpy(np.ascontiguousarray(images[start : start + batch]))
        faces = faces.to(device).permute(0, 3, 1, 2).float()
        mask = None if attention else torch.ones_like(faces[:, :1])
        parts.append(model(faces, mask).logits.float().cpu())
    model.train(was_training)
    return torch.cat(parts)


def shuffled_batches(
    count: int, batch: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    """Every index once, shuffled, in batches; batch norm cannot take a last batch of one."""
    order = generator.permutation(count)
    for start in range(0, count, batch):
        part = order[start : start + batch]
        if len(part) > 1:
            yield part
