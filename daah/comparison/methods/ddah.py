"""DDAH as published, through the recipe that trains it."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from daah.comparison.methods.base import Budget
from daah.comparison.methods.deep import DeepHasher
from daah.data.augmentation import Augmentation
from daah.data.face_set import FaceSet
from daah.training.recipes.paper import PaperRecipe, PaperSettings


class DDAH(DeepHasher):
    """DDAH as published, in the common loop and budget.

    The network, losses and gradients are those of `daah.training.recipes.paper.PaperRecipe`.
    Source: Xiong, Li, Gu, Gu and Wang, "Discriminative deep attention-aware hashing for face image
    retrieval", PRICAI 2019.

    Deviation: the common schedule and batches replace halving the learning rate every 100 of 1000
    epochs.

    Args:
        bits: code length K.
        seed: seed of all random numbers.
        budget: training budget.
        lr: learning rate.
        switches: fields of `PaperSettings`, for the ablation.
    """

    def __init__(
        self,
        bits: int,
        seed: int = 0,
        budget: Budget | None = None,
        *,
        lr: float = DeepHasher.lr,
        **switches: Any,
    ) -> None:
        super().__init__(bits, seed, budget, lr=lr)
        self.paper = PaperSettings(bits=bits, lr=lr, augment=self.budget.augment, **switches)

    def build(self, classes: int) -> nn.Module:
        labels = self.train_labels.numpy()
        faces = FaceSet(
            self.train_images,
            labels,
            tuple(str(i) for i in range(classes)),
            tuple(str(i) for i in range(len(labels))),
        )
        self.recipe = PaperRecipe(faces, faces, self.paper, torch.device("cpu"), self.seed)
        return self.recipe.model

    def stages_module(self) -> nn.Module:
        return self.network.hashing.stages

    def standardise(self, faces: Tensor) -> None:
        """See `DeepHasher.standardise`. The recipe has done it."""

    def parameter_groups(self) -> list[dict]:
        return self.recipe.parameter_groups()

    def train_batch(self, indices: np.ndarray, augment: Augmentation, progress: float) -> None:
        self.recipe.augment = augment
        with self.autocast():
            self.recipe.gradients(indices, progress)

    def forward(self, faces: Tensor) -> Tensor:
        mask = None if self.paper.spatial_attention else torch.ones_like(faces[:, :1])
        return self.network(faces, mask).logits
