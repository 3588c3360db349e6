"""A hash layer fitted to embeddings: nested codes, each prefix of which tells people apart."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from daah.training.losses import (
    contrastive_loss,
    correlation_loss,
    nested_similarities,
    straight_through_sign,
)
from daah.training.recipes.synthetic_people import SyntheticPeople

#: Sharpness of the similarities at first and at most.
_SHARPNESS, _SHARPEST = 12.0, 60.0


@dataclass(frozen=True)
class HashLayerFit:
    """How a hash layer is fitted.

    lengths: the prefixes that are codes. starts, steps: starts, and steps of each; people: made-up
    people a step, with two images each. lr: of Adam. correlation: weight of `correlation_loss`.
    """

    lengths: tuple[int, ...]
    starts: int
    steps: int
    people: int
    lr: float
    correlation: float

    def fit(
        self,
        layer: nn.Linear,
        embeddings: Tensor,
        labels: Tensor,
        score: Callable[[nn.Linear], float],
    ) -> None:
        """Fit a layer (D to K) to standardised embeddings (N, D) of people `labels` (N,) int64.

        Signs make the loss rugged, so that starts end far apart: of all starts, the layer with the
        largest `score` stays, which must know nothing of the people fitted to.
        """
        people = SyntheticPeople(embeddings, labels)
        scores, layers = [], []
        for start in range(self.starts):
            self._once(layer, people, f"hash layer {start + 1}/{self.starts}")
            scores.append(score(layer))
            layers.append(copy.deepcopy(layer.state_dict()))
        layer.load_state_dict(layers[int(np.argmax(scores))])

    def _once(self, layer: nn.Linear, people: SyntheticPeople, title: str) -> None:
        """From a new start; every step draws new people."""
        nn.init.orthogonal_(layer.weight)
        nn.init.zeros_(layer.bias)
        device = layer.weight.device
        # One sharpness a length: short codes are noisier and want less.
        log_scale = nn.Parameter(
            torch.full((len(self.lengths),), math.log(_SHARPNESS), device=device)
        )
        optimiser = torch.optim.Adam(
            [
                {"params": layer.parameters(), "lr": self.lr},
                {"params": [log_scale], "lr": 5 * self.lr},
            ]
        )
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, self.steps))
        person = torch.arange(self.people, device=device).repeat(2)
        positive = person[:, None] == person
        usable = ~torch.eye(len(person), dtype=torch.bool, device=device)
        for _ in tqdm(range(self.steps), desc=title):
            signs = straight_through_sign(layer(people.pairs(self.people)))
            similarities = nested_similarities(signs, signs, self.lengths)
            scales = log_scale.clamp(max=math.log(_SHARPEST)).exp()
            terms = [
                contrastive_loss(similarities[length] * scale, positive, usable)
                for length, scale in zip(sorted(self.lengths), scales, strict=True)
            ]
            loss = sum(terms) / len(terms) + self.correlation * correlation_loss(signs)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()
