"""GreedyHash: a sign in the forward pass, the identity in the backward pass."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, HashNet, LossHasher


class GreedyHash(LossHasher):
    """Greedy hash: a classifier on codes that are binary in training too.

    Source: Su, Zhang, Han and Tian, "Greedy hash: towards fast optimization for accurate hash
    coding in CNN", NeurIPS 2018, section 3. The hash coding layer is b = sgn(h) in the forward pass
    and passes gradients unchanged in the backward pass. The loss is the cross-entropy of a linear
    classifier on b, plus alpha times |h - sgn(h)|^3, which keeps h where both agree.

    Deviations: the classifier has a bias; alpha is the 0.1 that published code has for CIFAR-10,
    on the mean over bits. The paper's unsupervised variant is not included.
    """

    alpha = 0.1

    def build(self, classes: int) -> nn.Module:
        return HashNet(nn.Linear(FEATURES, self.bits), self.bits, classes)

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        scores = self.network.classifier(binary_code(logits))
        return F.cross_entropy(scores, labels) + self.alpha * cubic_penalty(logits)


def binary_code(logits: Tensor) -> Tensor:
    """Signs whose gradient is that of the logits (straight-through estimator).

    Args:
        logits: h (B, K).

    Returns:
        (B, K) in {-1, 1}; a logit of 0 is -1, as in `daah.codes.sign`.
    """
    code = torch.where(logits > 0, 1.0, -1.0)
    return code + (logits - logits.detach())


def cubic_penalty(logits: Tensor) -> Tensor:
    """Mean of | |h| - 1 |^3.

    Args:
        logits: h (B, K).

    Returns:
        Scalar.
    """
    return (logits.abs() - 1).abs().pow(3).mean()
