"""Pairwise-supervised deep methods: DSH, DHN and multi-label DSH.

Every loss is over all pairs of a batch. Axes: B = batch, K = hash bits, C = identities, M = other
codes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, HashNet, LossHasher, same_person
from daah.data.augmentation import Augmentation
from daah.training.losses import quantisation_loss


class DSH(LossHasher):
    """Deep supervised hashing: contrastive margin plus quantisation.

    Source: Liu, Wang, Shan and Chen, "Deep supervised hashing for fast image retrieval", CVPR
    2016, equation 4, for a pair at d = |h_i - h_j|^2: d / 2 if the same, max(m - d, 0) / 2 if
    not, plus alpha (| |h_i| - 1 |_1 + | |h_j| - 1 |_1); m = 2 K, no squashing before the sign.

    Deviation: similar and dissimilar pairs are averaged apart, so that the few similar ones of
    many identities weigh as much (with the paper's ten classes they are a tenth).
    """

    alpha = 0.01

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        return contrastive(logits, same_person(labels, labels), 2 * self.bits) + (
            self.alpha * quantisation_loss(logits)
        )


class DHN(LossHasher):
    """Deep hashing network: cross-entropy of pairs plus quantisation, on tanh codes.

    Source: Zhu, Long, Wang and Cao, "Deep hashing network for efficient similarity retrieval",
    AAAI 2016, equations 5 and 7: with z = tanh(h), theta = z_i . z_j / 2, the sum over pairs of
    log(1 + exp(theta)) - s theta, plus weight times sum log cosh(|z| - 1).

    Deviation: similar and dissimilar pairs are averaged apart, as for DSH.
    """

    weight = 0.1

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        z = logits.tanh()
        same = same_person(labels, labels)
        return pair_cross_entropy(z, same) + self.weight * log_cosh(z.abs() - 1).sum(1).mean()


class MultiLabelDSH(DSH):
    """Multi-label deep supervised hashing: DSH on a graded similarity, with an auxiliary softmax.

    Source: Wu, Lin, Li, Ye and Wang, "Deep supervised hashing for multi-label and large-scale image
    retrieval", ICMR 2017. The binary similarity is replaced by that of two label sets: here their
    intersection over union, s. A pair costs s d / 2 + (1 - s) max(m - d, 0) / 2. A softmax over
    identities from the same features is added to the loss.

    Deviation: a face has one label, so s is 0 or 1 and the graded part reduces to DSH's; the weight
    of the softmax is not published and is 1.
    """

    def build(self, classes: int) -> nn.Module:
        # The classifier reads what the hash layer reads, so it is a second head and not a code's.
        network = HashNet(nn.Linear(FEATURES, self.bits), self.bits)
        network.side = nn.Linear(FEATURES, classes)
        nn.init.xavier_normal_(network.side.weight)
        nn.init.zeros_(network.side.bias)
        return network

    def train_batch(self, indices: np.ndarray, augment: Augmentation, progress: float) -> None:
        labels = self.train_labels[torch.from_numpy(indices)]
        with self.autocast():
            features = self.network.trunk(self.faces(indices, augment))
            logits, scores = self.network.head(features), self.network.side(features)
        sets = F.one_hot(labels, scores.shape[1]).float()
        loss = contrastive(logits.float(), label_similarity(sets, sets), 2 * self.bits)
        loss = loss + self.alpha * quantisation_loss(logits.float())
        (loss + F.cross_entropy(scores.float(), labels)).backward()


def contrastive(codes: Tensor, similarity: Tensor, margin: float) -> Tensor:
    """Contrastive loss: s d / 2 and (1 - s) max(margin - d, 0) / 2 with d = |h_i - h_j|^2.

    Both terms are averaged by their own weights. The pair of a code with itself does not count.

    Args:
        codes: (B, K).
        similarity: s (B, B) in [0, 1].
        margin: margin on d.

    Returns:
        Scalar.
    """
    distance = (codes[:, None] - codes[None, :]).square().sum(2)
    other = 1 - torch.eye(len(codes))
    near, far = similarity * other, (1 - similarity) * other
    pull = (near * distance).sum() / near.sum().clamp(min=1)
    push = (far * F.relu(margin - distance)).sum() / far.sum().clamp(min=1)
    return 0.5 * (pull + push)


def pair_cross_entropy(codes: Tensor, same: Tensor, others: Tensor | None = None) -> Tensor:
    """Pair likelihood loss: log(1 + exp(theta)) - s theta with theta = u_i . u_j / 2.

    Similar and dissimilar pairs are averaged separately.

    Args:
        codes: u (B, K).
        same: s (B, M) of zeros and ones.
        others: (M, K); None takes `codes`, and then the pair of a code with itself does not count.

    Returns:
        Scalar.
    """
    usable = torch.ones_like(same)
    if others is None:
        others, usable = codes, 1 - torch.eye(len(codes))
    theta = codes @ others.T / 2
    cost = F.softplus(theta) - same * theta
    near, far = same * usable, (1 - same) * usable
    return (near * cost).sum() / near.sum().clamp(min=1) + (
        (far * cost).sum() / far.sum().clamp(min=1)
    )


def label_similarity(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of label sets.

    Args:
        a: (B, C) of zeros and ones.
        b: (M, C) of zeros and ones.

    Returns:
        (B, M) in [0, 1].
    """
    both = a @ b.T
    return both / (a.sum(1)[:, None] + b.sum(1)[None, :] - both).clamp(min=1)


def log_cosh(x: Tensor) -> Tensor:
    """log cosh(x) without overflow: |x| + log(1 + exp(-2 |x|)) - log 2.

    Args:
        x: any shape.

    Returns:
        The same shape.
    """
    size = x.abs()
    return size + F.softplus(-2 * size) - torch.log(torch.tensor(2.0))
