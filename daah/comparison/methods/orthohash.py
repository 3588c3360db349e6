"""OrthoHash: one cosine similarity loss."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, HashNet, LossHasher
from daah.comparison.methods.hash_centres import random_codes


class OrthoHash(LossHasher):
    """Deep hashing with a single learning objective.

    Source: Hoe, Ng, Zhang, Chan, Song and Xiang, "One loss for all: deep hashing with a single
    cosine similarity based learning objective", NeurIPS 2021, section 3. The hash layer is linear
    without a bias, followed by batch normalization, which balances the bits. Every class has a
    fixed binary target code; the loss is the cross-entropy of the cosines between outputs and the
    targets, times a scale, less a margin for the own class.

    Scale 8, margin 0.2 and independently drawn bits of the targets are those of published code.
    Deviation: of 20 random sets of targets the one with the largest least distance is taken. More
    classes than bits cannot have orthogonal targets, here as in the paper.
    """

    scale = 8.0
    margin = 0.2

    def build(self, classes: int) -> nn.Module:
        linear = nn.Linear(FEATURES, self.bits, bias=False)
        return HashNet(nn.Sequential(linear, nn.BatchNorm1d(self.bits)), self.bits)

    def start(self, labels: Tensor) -> None:
        targets = random_codes(int(labels.max()) + 1, self.bits, self.seed)
        self.targets = torch.from_numpy(targets)

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        return cosine_loss(logits, self.targets, labels, self.scale, self.margin)


def cosine_loss(
    outputs: Tensor, targets: Tensor, labels: Tensor, scale: float, margin: float
) -> Tensor:
    """Cross-entropy of scale * (cosine - margin of the own class).

    Args:
        outputs: (B, K).
        targets: code of every class (C, K) in {-1, 1}.
        labels: (B,) int64, classes.
        scale: scale of the cosines.
        margin: what the cosine with the own class's target is lowered by.

    Returns:
        Scalar.
    """
    cosine = F.normalize(outputs, dim=1) @ F.normalize(targets, dim=1).T  # (B, C)
    own = F.one_hot(labels, len(targets))
    return F.cross_entropy(scale * (cosine - margin * own), labels)
