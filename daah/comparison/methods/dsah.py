"""Methods with spatial attention: DSaH, and DDAH through its own recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, Budget, DeepHasher, HashNet, same_person, xavier
from daah.comparison.methods.pairwise import distance_to_signs, pair_cross_entropy
from daah.data.face_set import Augmentation, FaceSet
from daah.models.spatial_network import FaceSpatialNetwork, plain_mask
from daah.training.recipes.paper import PaperRecipe, PaperSettings


class DSaH(DeepHasher):
    """Deep saliency hashing: an attention network driven by a saliency loss over pairs.

    Source: Jin, Yao, Sun, Li, Zhang and Gao, "Deep saliency hashing", 2018 (TIP 2020). A fully
    convolutional attention network weighs the pixels, a hashing network encodes the weighed
    image. The hashing network minimises a semantic loss over pairs plus a quantisation loss; the
    attention network minimises the saliency loss: codes of the weighed images must be closer for
    the same and further for different than codes of the plain images, by a margin.

    Deviations: the attention network is DDAH's spatial network, with its min-max mask; the
    semantic loss is the pair likelihood of DHN, on both branches as in DDAH; the saliency loss is
    read as a hinge on code inner products divided by K, its margin is tuned.
    """

    def __init__(
        self,
        bits: int,
        seed: int = 0,
        budget: Budget | None = None,
        *,
        lr: float = 1e-3,
        margin: float = 0.1,
        weight: float = 0.01,
    ) -> None:
        super().__init__(bits, seed, budget, lr=lr)
        self.margin, self.weight = margin, weight

    def build(self, classes: int) -> nn.Module:
        network = HashNet(nn.Linear(FEATURES, self.bits), self.bits)
        network.spatial = FaceSpatialNetwork().apply(xavier)
        return network

    def gradients(self, faces: Tensor, indices: Tensor) -> None:
        labels = self.train_labels[indices]
        same = same_person(labels, labels)
        network = self.network
        x = network.trunk.normalise(faces)
        with self.autocast():
            mask = plain_mask(network.spatial(x))
            # A leaf in the mask's place keeps the two networks' gradients apart.
            leaf = mask.detach().float().requires_grad_()
            attended = network.head(network.trunk.features(x * leaf)).float()
            plain = network.head(network.trunk.features(x)).float()
        saliency = saliency_loss(attended.tanh(), plain.tanh().detach(), same, self.margin)
        (wish,) = torch.autograd.grad(saliency, leaf, retain_graph=True)
        semantic = sum(
            pair_cross_entropy(h.tanh(), same) + self.weight * distance_to_signs(h.tanh())
            for h in (attended, plain)
        )
        semantic.backward()
        mask.backward(wish.to(mask.dtype))

    def forward(self, faces: Tensor) -> Tensor:
        x = self.network.trunk.normalise(faces)
        return self.network.head(
            self.network.trunk.features(x * plain_mask(self.network.spatial(x)))
        )


def saliency_loss(attended: Tensor, plain: Tensor, same: Tensor, margin: float) -> Tensor:
    """max(0, margin + worse by) over pairs, same and different averaged apart.

    attended, plain: relaxed codes (B, K) in [-1, 1]. same: (B, B) of zeros and ones. With inner
    products c over K, "worse by" is c_plain - c_attended for the same person, and the reverse for
    different ones. A code's pair with itself does not count.
    """
    bits = attended.shape[1]
    gain = (attended @ attended.T - plain @ plain.T) / bits
    near = same * (1 - torch.eye(len(same)))
    far = 1 - same
    return (near * F.relu(margin - gain)).sum() / near.sum().clamp(min=1) + (
        (far * F.relu(margin + gain)).sum() / far.sum().clamp(min=1)
    )


class DDAH(DeepHasher):
    """DDAH as published, by `daah.training.recipes.paper.PaperRecipe`, in the common loop and
    budget.

    Source: Xiong, Li, Gu, Gu and Wang, "Discriminative deep attention-aware hashing for face
    image retrieval", PRICAI 2019. switches: fields of `PaperSettings`, for the ablation.
    Deviation: the common schedule and batches stand in for halving every 100 of 1000 epochs.
    """

    def __init__(
        self,
        bits: int,
        seed: int = 0,
        budget: Budget | None = None,
        *,
        lr: float = 1e-3,
        **switches: Any,
    ) -> None:
        super().__init__(bits, seed, budget, lr=lr)
        self.settings = PaperSettings(bits=bits, lr=lr, augment=self.budget.augment, **switches)

    def build(self, classes: int) -> nn.Module:
        labels = self.train_labels.numpy()
        faces = FaceSet(
            self.train_images,
            labels,
            tuple(str(i) for i in range(classes)),
            tuple(str(i) for i in range(len(labels))),
        )
        self.recipe = PaperRecipe(faces, faces, self.settings, torch.device("cpu"), self.seed)
        return self.recipe.model

    def stages_module(self) -> nn.Module:
        return self.network.hashing.stages

    def standardise(self, faces: Tensor) -> None:
        """The recipe has done it."""

    def parameter_groups(self) -> list[dict]:
        return self.recipe.parameter_groups()

    def train_batch(self, indices: np.ndarray, augment: Augmentation, progress: float) -> None:
        self.recipe.augment = _in_float32(augment)
        with self.autocast():
            self.recipe.gradients(indices, progress)

    def forward(self, faces: Tensor) -> Tensor:
        mask = None if self.settings.spatial_attention else torch.ones_like(faces[:, :1])
        return self.network(faces, mask).logits


def _in_float32(augment: Augmentation) -> Callable[[Tensor], Tensor]:
    """Augmentation of pixels stays outside of the network's bfloat16."""

    def run(faces: Tensor) -> Tensor:
        with torch.autocast("cpu", enabled=False):
            return augment(faces)

    return run
