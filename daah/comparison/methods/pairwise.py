"""Deep methods on pairs: DSH, DHN and multi-label DSH.

Every loss is over all pairs of a batch. Axes: B = batch, K = hash bits, C = identities.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, DeepHasher, HashNet, same_person
from daah.training.losses import quantisation_loss


class DSH(DeepHasher):
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


class DHN(DeepHasher):
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
    """Multi-label deep supervised hashing: DSH over a graded similarity, with a softmax beside it.

    Source: Wu, Lin, Li, Ye and Wang, "Deep supervised hashing for multi-label and large-scale
    image retrieval", ICMR 2017. The similarity of two label sets takes the place of same or not:
    here their intersection over union, s, and a pair costs s d / 2 + (1 - s) max(m - d, 0) / 2. A
    softmax over identities from the same features joins the loss.

    Deviation: a face has one label, so s is 0 or 1 and the graded part falls back to DSH's; the
    weight of the softmax is not known and is 1.
    """

    def build(self, classes: int) -> nn.Module:
        # The classifier reads what the hash layer reads, so it is a second head and not a code's.
        network = HashNet(nn.Linear(FEATURES, self.bits), self.bits)
        network.side = nn.Linear(FEATURES, classes)
        nn.init.xavier_normal_(network.side.weight)
        nn.init.zeros_(network.side.bias)
        return network

    def gradients(self, faces: Tensor, indices: Tensor) -> None:
        labels = self.train_labels[indices]
        with self.autocast():
            features = self.network.trunk(faces)
            logits, scores = self.network.head(features), self.network.side(features)
        sets = F.one_hot(labels, scores.shape[1]).float()
        loss = contrastive(logits.float(), label_similarity(sets, sets), 2 * self.bits)
        loss = loss + self.alpha * quantisation_loss(logits.float())
        (loss + F.cross_entropy(scores.float(), labels)).backward()


def contrastive(codes: Tensor, similarity: Tensor, margin: float) -> Tensor:
    """s d / 2 and (1 - s) max(margin - d, 0) / 2 with d = |h_i - h_j|^2, each averaged by weight.

    codes: (B, K). similarity: (B, B) in [0, 1]. A code's pair with itself does not count.
    """
    distance = (codes[:, None] - codes[None, :]).square().sum(2)
    other = 1 - torch.eye(len(codes))
    near, far = similarity * other, (1 - similarity) * other
    pull = (near * distance).sum() / near.sum().clamp(min=1)
    push = (far * F.relu(margin - distance)).sum() / far.sum().clamp(min=1)
    return 0.5 * (pull + push)


def pair_cross_entropy(codes: Tensor, same: Tensor, others: Tensor | None = None) -> Tensor:
    """log(1 + exp(theta)) - s theta with theta = u_i . u_j / 2, the two kinds averaged apart.

    codes: (B, K). same: (B, M) of zeros and ones. others: (M, K), by default codes themselves,
    and then a code's pair with itself does not count.
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
    """Intersection over union of label sets (B, C) and (M, C) of zeros and ones: (B, M)."""
    both = a @ b.T
    return both / (a.sum(1)[:, None] + b.sum(1)[None, :] - both).clamp(min=1)


def log_cosh(x: Tensor) -> Tensor:
    """log cosh(x) without overflow: |x| + log(1 + exp(-2 |x|)) - log 2."""
    size = x.abs()
    return size + F.softplus(-2 * size) - torch.log(torch.tensor(2.0))
