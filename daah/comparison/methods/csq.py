"""CSQ: central similarity quantization."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from daah.comparison.methods.deep import LossHasher
from daah.comparison.methods.hash_centres import central_codes
from daah.comparison.methods.pairwise import log_cosh


class CSQ(LossHasher):
    """Central similarity quantization.

    Source: Yuan, Wang, Zhang, Tay, Jie, Liu and Feng, "Central similarity quantization for
    efficient image and video retrieval", CVPR 2020, sections 3.1 to 3.3. Every class has a fixed
    hash centre (algorithm 1: a Hadamard matrix, or random bits where there is none). With relaxed
    codes h in (0, 1) and centres c in {0, 1}, the loss is the binary cross-entropy of h and the
    centre of its class, plus weight times the sum of log cosh(|2h - 1| - 1).

    Deviations: h = sigmoid(2z) = (tanh z + 1) / 2 of the logits z, as in published code, which also
    gives the weight of 1e-4; both terms are averaged over bits; of 20 random sets of centres the
    one with the largest least distance is taken, where published code stops at the first that is
    far enough. None of the compared lengths is a power of two, so that all centres are random here.
    """

    weight = 1e-4

    def start(self, labels: Tensor) -> None:
        centres = central_codes(int(labels.max()) + 1, self.bits, self.seed)
        self.centres = torch.from_numpy(centres)

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        return central_loss(logits, self.centres[labels], self.weight)


def central_loss(logits: Tensor, centres: Tensor, weight: float) -> Tensor:
    """Binary cross-entropy of sigmoid(2z) and centres, plus weight * log cosh(|tanh z| - 1).

    Args:
        logits: z (B, K).
        centres: centre of each image's class (B, K) in {-1, 1}.
        weight: weight of the second term.

    Returns:
        Scalar.
    """
    central = F.binary_cross_entropy_with_logits(2 * logits, (centres + 1) / 2)
    return central + weight * log_cosh(logits.tanh().abs() - 1).mean()
