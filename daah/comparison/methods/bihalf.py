"""Bi-half Net: unsupervised hashing in which half of a batch has each bit set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, DeepHasher, HashNet
from daah.data.augmentation import Augmentation


class BihalfNet(DeepHasher):
    """Bi-half Net: a linear hash layer on frozen features, without labels.

    Source: Li and van Gemert, "Deep unsupervised image hashing by maximizing bit entropy", AAAI
    2021. The bi-half layer sets each bit of the half of a batch with the larger outputs to 1 and
    that of the others to -1, which maximises the entropy of the bit; its gradient is that of the
    codes plus gamma times (u - b) / size (equations of section 3). The loss is the squared
    difference between the cosine of two codes and that of the two images' features.

    As in published code gamma is 6, and only the hash layer is trained, on features of a network
    that was trained with labels: there ImageNet's, here the identities of the training images, as
    for the shallow methods on trunk features. So this row does use labels, through its features.
    Deviations: the loss is over all pairs of a batch, instead of pairs of its two halves; batches
    are drawn without regard to identities.
    """

    gamma = 6.0

    def build(self, classes: int) -> nn.Module:
        network = HashNet(nn.Linear(FEATURES, self.bits), self.bits)
        # The last stage has as many outputs as the layer that has not been trained.
        network.trunk.fuse = nn.Identity()
        return network

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.network.head.parameters()), "lr": self.lr}]

    def batches(
        self, labels: np.ndarray, steps: int, rng: np.random.Generator, epoch: int
    ) -> Iterator[np.ndarray]:
        size = self.budget.people * self.budget.each
        order = rng.permutation(len(labels))
        yield from (order[i * size : (i + 1) * size] for i in range(steps))

    def train_batch(self, indices: np.ndarray, augment: Augmentation, progress: float) -> None:
        network = self.network
        network.trunk.eval()  # Its batch normalization is as frozen as its weights.
        with self.autocast():
            with torch.no_grad():
                features = network.trunk(self.faces(indices, augment))
            outputs = network.head(features)
        binary = BiHalf.apply(outputs.float(), self.gamma)
        similarity_loss(binary, features.float()).backward()


class BiHalf(torch.autograd.Function):
    """The bi-half layer: outputs u (B, K) and gamma to codes (B, K) in {-1, 1}."""

    @staticmethod
    def forward(ctx: Any, outputs: Tensor, gamma: float) -> Tensor:
        """Set the larger half of each column to 1; of an odd number the smaller part is set.

        Args:
            ctx: context of autograd.
            outputs: u (B, K).
            gamma: weight of (u - b) / size in the gradient.

        Returns:
            (B, K) in {-1, 1}.
        """
        order = outputs.argsort(0, descending=True)
        half = torch.where(torch.arange(len(outputs)) < len(outputs) // 2, 1.0, -1.0)
        codes = torch.empty_like(outputs).scatter_(0, order, half[:, None].expand_as(outputs))
        ctx.save_for_backward(outputs - codes)
        ctx.gamma = gamma
        return codes

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Gradient of the outputs.

        Args:
            ctx: context of autograd.
            gradient: gradient of the codes (B, K).

        Returns:
            (B, K), and None for gamma.
        """
        (difference,) = ctx.saved_tensors
        return gradient + ctx.gamma * difference / difference.numel(), None


def similarity_loss(binary: Tensor, features: Tensor) -> Tensor:
    """Mean squared difference of the cosines of codes and of features, over different images.

    Args:
        binary: (B, K).
        features: (B, D).

    Returns:
        Scalar.
    """
    cosines = [rows @ rows.T for rows in (F.normalize(binary), F.normalize(features))]
    other = ~torch.eye(len(binary), dtype=torch.bool)
    return (cosines[0] - cosines[1])[other].square().mean()
