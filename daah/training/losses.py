"""Losses: the paper's branch loss and face spatial loss, nested-code and distillation terms.

Axes: B = batch, M = reference codes (batch and memory), K = hash bits, C = identities.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: What a masked-out similarity is set to before a softmax.
_NEVER = -1e4


def quantisation_loss(logits: Tensor) -> Tensor:
    """DDAH's quantisation term: mean over the batch of sum_k | |h_k| - 1 |, for h (B, K)."""
    return (logits.abs() - 1).abs().sum(1).mean()


def branch_loss(logits: Tensor, scores: Tensor, labels: Tensor, beta: float = 1e-3) -> Tensor:
    """DDAH's loss of one branch: cross-entropy plus beta times the quantisation term.

    logits: (B, K) hash logits. scores: (B, C) class logits. labels: (B,) int64.
    """
    return F.cross_entropy(scores, labels) + beta * quantisation_loss(logits)


def face_spatial_loss(masked: Tensor, unmasked: Tensor, margin: float = 0.0) -> Tensor:
    """DDAH's face spatial loss max(0, margin + L_att - L_plain), scalars in and out.

    Attention must not classify worse than no attention. Only the spatial network may take its
    gradient, and L_plain does not depend on the mask, so it is detached here.
    """
    return F.relu(margin + masked - unmasked.detach())


def complement_loss(masked: Tensor, complement: Tensor, margin: float = 1.5) -> Tensor:
    """max(0, margin + L_att - L_inv): the face without its attended part must not identify.

    L_inv is the loss of the branch fed `x * (1 - m)`. A second hinge to the face spatial loss; with
    the first alone a flat mask is a perfect answer, and training finds it. The masked loss is a
    yardstick here and takes no gradient: it has the first hinge for that.
    """
    return F.relu(margin + masked.detach() - complement)


def straight_through_sign(logits: Tensor) -> Tensor:
    """-1/+1 of logits (B, K); the gradient passes as if through a hard tanh (Hubara et al., 2016).

    Zero counts as -1, as in `daah.codes.sign`.
    """
    signs = torch.where(logits > 0, 1.0, -1.0)
    soft = logits.clamp(-1.5, 1.5)
    return soft + (signs - soft).detach()


def contrastive_loss(similarity: Tensor, positive: Tensor, usable: Tensor) -> Tensor:
    """Supervised contrastive loss (Khosla et al., 2020, "out" form) over scaled similarities.

    similarity: (B, M), already divided by the temperature. positive, usable: (B, M) bool; usable
    leaves out each query itself. Rows without a positive do not count; 0 when none has one.
    """
    logs = F.log_softmax(similarity.masked_fill(~usable, _NEVER), dim=1)
    weight = (positive & usable).float()
    count = weight.sum(1)
    per_row = -(logs * weight).sum(1) / count.clamp(min=1)
    return per_row.sum() / (count > 0).sum().clamp(min=1)


def distillation_loss(embeddings: Tensor, teacher: Tensor, centre: Tensor) -> Tensor:
    """1 - cosine of centred embeddings, mean over the batch: (B, D), (B, D), (D,) to a scalar.

    Centred, because the teacher's embeddings share a large mean that tells nobody apart.
    """
    return 1 - F.cosine_similarity(embeddings - centre, teacher - centre, dim=1).mean()


def correlation_loss(signs: Tensor) -> Tensor:
    """Mean squared correlation of different bits, plus their squared means; signs (B, K) in -1/+1.

    Uncorrelated, balanced bits waste no capacity (Weiss et al., "Spectral hashing", 2008).
    """
    batch, bits = signs.shape
    products = signs.T @ signs / batch  # (K, K)
    off_diagonal = products - torch.diag_embed(products.diagonal())
    return off_diagonal.square().sum() / max(1, bits * (bits - 1)) + signs.mean(0).square().mean()


def nested_similarities(
    queries: Tensor, references: Tensor, lengths: Sequence[int]
) -> dict[int, Tensor]:
    """Cosine of -1/+1 codes by each prefix: queries (B, K), references (M, K) -> {length: (B, M)}.

    1 - 2 d / length for a Hamming distance d. Prefixes share one running sum.
    """
    result: dict[int, Tensor] = {}
    start, total = 0, 0.0
    for length in sorted(lengths):
        total = total + queries[:, start:length] @ references[:, start:length].T
        result[length] = total / length
        start = length
    return result
