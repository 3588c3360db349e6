"""Losses: the paper's branch loss and face spatial loss, nested-code and distillation terms.

Axes: B = batch, M = reference codes (batch and memory), K = hash bits, C = identities, D =
dimensions of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

#: Value of a masked-out similarity before a softmax.
_NEVER = -1e4


def quantisation_loss(logits: Tensor) -> Tensor:
    """DDAH's quantisation term: mean over the batch of sum_k | |h_k| - 1 |.

    Args:
        logits: h (B, K).

    Returns:
        Scalar.
    """
    return (logits.abs() - 1).abs().sum(1).mean()


def branch_loss(logits: Tensor, scores: Tensor, labels: Tensor, beta: float = 1e-3) -> Tensor:
    """DDAH's loss of one branch: cross-entropy plus beta times the quantisation term.

    Args:
        logits: hash logits (B, K).
        scores: class logits (B, C).
        labels: (B,) int64.
        beta: weight of the quantisation term.

    Returns:
        Scalar.
    """
    return F.cross_entropy(scores, labels) + beta * quantisation_loss(logits)


def face_spatial_loss(masked: Tensor, unmasked: Tensor, margin: float = 0.0) -> Tensor:
    """DDAH's face spatial loss max(0, margin + L_att - L_plain).

    Classification with attention must not be worse than without. Only the spatial network should
    receive its gradient, and L_plain does not depend on the mask, so it is detached here.

    Args:
        masked: scalar L_att, loss of the masked branch.
        unmasked: scalar L_plain, loss of the unmasked branch.
        margin: margin of the hinge.

    Returns:
        Scalar.
    """
    return F.relu(margin + masked - unmasked.detach())


def complement_loss(masked: Tensor, complement: Tensor, margin: float = 1.5) -> Tensor:
    """Hinge on the complementary mask: max(0, margin + L_att - L_inv).

    L_inv is the loss of the branch on `x * (1 - m)`: the face without its attended part must not be
    identifiable. It complements the face spatial loss, for which a flat mask is already optimal and
    is what training converges to. The masked loss is detached here, because the face spatial loss
    already trains it.

    Args:
        masked: scalar L_att, loss of the masked branch.
        complement: scalar L_inv, loss of the branch with the inverted mask.
        margin: margin of the hinge.

    Returns:
        Scalar.
    """
    return F.relu(margin + masked.detach() - complement)


def straight_through_sign(logits: Tensor) -> Tensor:
    """Sign with a straight-through gradient: that of a hard tanh (Hubara et al., 2016).

    Args:
        logits: (B, K).

    Returns:
        -1/+1 (B, K); zero maps to -1, as in `daah.codes.sign`. The gradient is 1 for logits in
        [-1.5, 1.5] and 0 elsewhere.
    """
    signs = torch.where(logits > 0, 1.0, -1.0)
    soft = logits.clamp(-1.5, 1.5)
    return soft + (signs - soft).detach()


def contrastive_loss(similarity: Tensor, positive: Tensor, usable: Tensor) -> Tensor:
    """Supervised contrastive loss over scaled similarities (Khosla et al., 2020, "out" form).

    Args:
        similarity: (B, M), already divided by the temperature.
        positive: (B, M) bool, pairs of one identity.
        usable: (B, M) bool, False for a query paired with itself.

    Returns:
        Scalar, the mean over the rows with a positive; 0 when none has one.
    """
    logs = F.log_softmax(similarity.masked_fill(~usable, _NEVER), dim=1)
    weight = (positive & usable).float()
    count = weight.sum(1)
    per_row = -(logs * weight).sum(1) / count.clamp(min=1)
    return per_row.sum() / (count > 0).sum().clamp(min=1)


def distillation_loss(embeddings: Tensor, teacher: Tensor, centre: Tensor) -> Tensor:
    """Distillation: mean over the batch of 1 - cosine similarity of centred embeddings.

    They are centred because the teacher's embeddings have a large common mean, which does not
    discriminate identities.

    Args:
        embeddings: student's (B, D).
        teacher: teacher's (B, D).
        centre: mean of the teacher's embeddings (D,).

    Returns:
        Scalar.
    """
    return 1 - F.cosine_similarity(embeddings - centre, teacher - centre, dim=1).mean()


def correlation_loss(signs: Tensor) -> Tensor:
    """Mean squared correlation of different bits, plus mean squared bias of each bit.

    Uncorrelated, balanced bits carry the most information (Weiss et al., "Spectral hashing", 2008).

    Args:
        signs: (B, K) in -1/+1.

    Returns:
        Scalar.
    """
    batch, bits = signs.shape
    products = signs.T @ signs / batch  # (K, K)
    off_diagonal = products - torch.diag_embed(products.diagonal())
    return off_diagonal.square().sum() / max(1, bits * (bits - 1)) + signs.mean(0).square().mean()


def nested_similarities(
    queries: Tensor, references: Tensor, lengths: Sequence[int]
) -> dict[int, Tensor]:
    """Cosine similarity of -1/+1 codes at each prefix length (nested, or Matryoshka, codes).

    It is 1 - 2 d / length for a Hamming distance d. All lengths share one running sum.

    Args:
        queries: (B, K) in -1/+1.
        references: (M, K) in -1/+1.
        lengths: prefix lengths, 1 to K.

    Returns:
        Similarities (B, M) in [-1, 1] by length.
    """
    result: dict[int, Tensor] = {}
    start, total = 0, 0.0
    for length in sorted(lengths):
        total = total + queries[:, start:length] @ references[:, start:length].T
        result[length] = total / length
        start = length
    return result
