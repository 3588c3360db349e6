"""Losses: the paper's branch loss and face spatial loss, and distillation.

Axes: B = batch, K = hash bits, C = identities, D = dimensions of an embedding.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


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
