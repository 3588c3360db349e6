"""DAGH: deep discrete attention guided hashing, for faces."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, HashNet, LossHasher, Trunk
from daah.models.hash_network import PooledChannelAttention
from daah.models.layers import xavier_


class DAGH(LossHasher):
    """Deep discrete attention guided hashing.

    Source: Xiong, Wu, Gu, Zhang, Li and Wang, "Deep discrete attention guided hashing for face
    image retrieval", ICMR 2020, of which only the abstract was available: a discrete hash layer
    with a modified back-propagation, a discrete identity loss that separates the codes of different
    people and draws those of one person together, and a cascade of attention modules.

    Deviations, all of them readings of the abstract: a layer of signs, whose gradient is passed on
    where |h| < 1 and stopped elsewhere, after batch normalization; the cross-entropy of a linear
    classifier on the codes, plus a weight times the squared distance of a code to the mean code of
    its person in the batch, per bit; after each of the two last stages, attention over positions
    and then over channels, the first feeding the next stage.
    """

    weight = 0.1

    def build(self, classes: int) -> nn.Module:
        head = nn.Sequential(nn.Linear(FEATURES, self.bits), nn.BatchNorm1d(self.bits))
        network = HashNet(head, self.bits, classes)
        network.trunk = CascadeTrunk()
        return network

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        code = clipped_sign(logits)
        scores = self.network.classifier(code)
        return F.cross_entropy(scores, labels) + self.weight * within_identity(code, labels)


class PositionAttention(nn.Module):
    """Weigh the positions of a stage by the mean and maximum of their channels.

    Source: Woo, Park, Lee and Kweon, "CBAM: convolutional block attention module", ECCV 2018,
    equation 3, with a kernel of 3. The weights are in (0, 2) and all 1 at first, so that the common
    initialisation is not disturbed. (B, C, H, W) to the same shape.
    """

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Conv2d(2, 1, 3, padding=1)
        nn.init.zeros_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh positions.

        Args:
            x: (B, C, H, W).

        Returns:
            (B, C, H, W).
        """
        pooled = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * 2 * torch.sigmoid(self.score(pooled))


class CascadeTrunk(Trunk):
    """The common trunk with fused stages, and attention after each of the last two stages."""

    def __init__(self) -> None:
        super().__init__(multi_scale=True)
        self.apply(xavier_)
        self.attention3 = nn.Sequential(PositionAttention(), PooledChannelAttention(128, 32))
        self.attention4 = nn.Sequential(PositionAttention(), PooledChannelAttention(256, 64))

    def features(self, x: Tensor) -> Tensor:
        """See `Trunk.features`."""
        stages = self.stages
        f3 = self.attention3(stages.stage3(stages.stage2(stages.stage1(x))))
        f4 = self.attention4(stages.stage4(f3))
        return self.fuse(torch.cat([f3.flatten(1), f4.flatten(1)], 1))


def clipped_sign(logits: Tensor) -> Tensor:
    """Signs whose gradient is that of the logits where |h| < 1, and 0 elsewhere.

    Args:
        logits: h (B, K).

    Returns:
        (B, K) in {-1, 1}.
    """
    clipped = logits.clamp(-1, 1)
    return torch.where(logits > 0, 1.0, -1.0) + (clipped - clipped.detach())


def within_identity(code: Tensor, labels: Tensor) -> Tensor:
    """Squared distance of codes to the mean code of their person, averaged over images and bits.

    Args:
        code: (B, K).
        labels: (B,) int64, identities.

    Returns:
        Scalar.
    """
    y = F.one_hot(labels).to(code.dtype)  # (B, C)
    mean = y.T @ code / y.sum(0).clamp(min=1)[:, None]
    return (code - mean[labels]).square().mean()
