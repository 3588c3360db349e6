"""Bi-half Net: unsupervised hashing in which half of a batch has each bit set."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from daah.comparison.methods.base import HashingMethod, check_features


class BihalfNet(HashingMethod):
    """Bi-half Net: a linear hash layer on frozen features, without labels.

    Source: Li and van Gemert, "Deep unsupervised image hashing by maximizing bit entropy", AAAI
    2021, section 3, and the authors' code. The bi-half layer sets each bit of the half of a batch
    with the larger outputs u to 1 and that of the others to -1, which maximises the entropy of the
    bit; its gradient is that of the codes b plus gamma times (u - b) / size, with gamma = 6. The
    loss is the squared difference between the cosine of two codes and that of the two features.

    The authors' code for images trains the hash layer alone, on features of a network that was
    trained for another purpose; so the method is listed with those that take features.
    Deviations: the loss is over all pairs of a batch, instead of pairs of its two halves; Adam with
    cosine decay for 100 epochs with batches of 128, instead of SGD with batches of 32 for 300.
    """

    lr = 1e-3
    gamma = 6.0
    epochs = 100
    batch = 128

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        generator = torch.Generator().manual_seed(self.seed)
        features = torch.from_numpy(np.ascontiguousarray(x, np.float32))
        weight = torch.randn(self.bits, x.shape[1], generator=generator) / math.sqrt(x.shape[1])
        layer = [weight.requires_grad_(), torch.zeros(self.bits, requires_grad=True)]
        optimiser = torch.optim.Adam(layer, self.lr)
        steps = max(1, len(x) // self.batch)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps * self.epochs)
        for _ in range(self.epochs):
            order = torch.randperm(len(x), generator=generator)
            for rows in order[: steps * self.batch].tensor_split(steps):
                optimiser.zero_grad()
                binary = BiHalf.apply(F.linear(features[rows], *layer), self.gamma)
                similarity_loss(binary, features[rows]).backward()
                optimiser.step()
                decay.step()
        self.weight, self.bias = (part.detach().numpy() for part in layer)

    def encode(self, x: np.ndarray) -> np.ndarray:
        return (x @ self.weight.T + self.bias).astype(np.float32)


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
