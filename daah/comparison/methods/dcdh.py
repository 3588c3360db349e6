"""DCDH: deep centre-based dual-constrained hashing, for faces."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, HashNet, LossHasher


class DCDH(LossHasher):
    """Deep centre-based dual-constrained hashing.

    Source: Zhang, Zhe, Chen and Yan, "Deep center-based dual-constrained hashing for discriminative
    face image retrieval", Pattern Recognition 117, 2021, and the authors' code, which gives the
    weights. With learned centres m_c and outputs h, the loss has three terms. First the mean of
    -log of exp(-sigma |h - m_y|^2 / 2) over the sum of the same for all centres. Second lambda
    times the mean over pairs of centres of log(1 + exp(K / 2 cos(m_i, m_j))). Third eta times
    |b - h|^2, where b = sign(Y W + eta h) and W is the ridge regression, with weight 1, from the
    labels Y of a batch to the signs of h. sigma = 0.25, lambda = 0.1, eta = 0.01.

    The hash layer is linear with batch normalization on fused stages, as in the authors' code.
    Deviation: their attention branch in front of the convolution stages is left out, because all
    deep methods share the trunk.
    """

    sigma = 0.25
    spread = 0.1
    eta = 0.01
    ridge = 1.0

    def build(self, classes: int) -> nn.Module:
        head = nn.Sequential(nn.Linear(FEATURES, self.bits), nn.BatchNorm1d(self.bits))
        network = HashNet(head, self.bits, multi_scale=True)
        if classes:
            # In the place of the classifier, because codes of new faces do not need the centres.
            network.classifier = nn.Embedding(classes, self.bits)
        return network

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        centres = self.network.classifier.weight
        regressed = regressed_codes(logits.detach(), labels, self.eta, self.ridge)
        return (
            centre_loss(logits, centres, labels, self.sigma)
            + self.spread * centre_spread(centres)
            + self.eta * (logits - regressed).square().sum(1).mean()
        )


def centre_loss(outputs: Tensor, centres: Tensor, labels: Tensor, sigma: float) -> Tensor:
    """Cross-entropy of a softmax over -sigma / 2 times the squared distances to the centres.

    Args:
        outputs: (B, K).
        centres: (C, K).
        labels: (B,) int64, classes.
        sigma: factor on the squared distances.

    Returns:
        Scalar.
    """
    distance = (outputs[:, None] - centres[None, :]).square().sum(2)  # (B, C)
    return F.cross_entropy(-0.5 * sigma * distance, labels)


def centre_spread(centres: Tensor) -> Tensor:
    """Mean over pairs of different centres of log(1 + exp(K / 2 cos(m_i, m_j))).

    Args:
        centres: (C, K); C is at least 2.

    Returns:
        Scalar.
    """
    unit = F.normalize(centres, dim=1)
    other = ~torch.eye(len(centres), dtype=torch.bool)
    return F.softplus(centres.shape[1] / 2 * (unit @ unit.T)[other]).mean()


def regressed_codes(outputs: Tensor, labels: Tensor, eta: float, ridge: float) -> Tensor:
    """Binary codes sign(Y W + eta h), with W from the ridge regression of the signs of h on Y.

    For one-hot labels a row of W is the sum of the signs of a class over its number plus `ridge`.

    Args:
        outputs: h (B, K).
        labels: (B,) int64, classes.
        eta: weight of the outputs.
        ridge: weight of the norm of W.

    Returns:
        (B, K) in {-1, 1}.
    """
    y = F.one_hot(labels).to(outputs.dtype)  # (B, C)
    w = (y.T @ outputs.sign()) / (y.sum(0)[:, None] + ridge)
    return torch.where(y @ w + eta * outputs > 0, 1.0, -1.0)
