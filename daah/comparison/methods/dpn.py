"""DPN: deep polarized network."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from daah.comparison.methods.deep import LossHasher
from daah.comparison.methods.hash_centres import random_codes


class DPN(LossHasher):
    """Deep polarized network.

    Source: Fan, Ng, Ju, Zhang and Chan, "Deep polarized network for supervised learning of accurate
    binary hashing codes", IJCAI 2020, section 3. Every class has a random target code t, its bits
    drawn independently with equal probability. The polarization loss of an output v is the sum
    over bits of max(m - v t, 0), with m = 1 and no squashing of v.

    Deviation: of 20 random sets of targets the one with the largest least distance is taken,
    because two of 74 people can share a code of 12 bits otherwise. The paper's variants with
    adaptive targets and ternary codes are not included.
    """

    margin = 1.0

    def start(self, labels: Tensor) -> None:
        targets = random_codes(int(labels.max()) + 1, self.bits, self.seed)
        self.targets = torch.from_numpy(targets)

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        return polarization_loss(logits, self.targets[labels], self.margin)


def polarization_loss(outputs: Tensor, targets: Tensor, margin: float) -> Tensor:
    """Hinge max(margin - v t, 0), summed over bits and averaged over images.

    Args:
        outputs: v (B, K).
        targets: t (B, K) in {-1, 1}.
        margin: margin of the hinge.

    Returns:
        Scalar.
    """
    return F.relu(margin - outputs * targets).sum(1).mean()
