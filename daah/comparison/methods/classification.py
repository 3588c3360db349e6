"""Classification-supervised deep methods: softmax over relaxed codes. DDH and DDQH."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, HashNet, LossHasher
from daah.training.losses import quantisation_loss


class DivideAndEncode(nn.Module):
    """Divide-and-encode layer: each bit is computed from its own slice of the features.

    Source: Lai, Pan, Liu and Yan, "Simultaneous feature learning and hash coding with deep neural
    networks", CVPR 2015, section 3.3. The slices are equal; the remainder of W / K features is not
    used.

    Args:
        width: number of features W.
        bits: code length K.
    """

    def __init__(self, width: int, bits: int) -> None:
        super().__init__()
        self.bits, self.slice = bits, width // bits
        self.score = nn.Conv1d(bits, bits, self.slice, groups=bits)
        nn.init.xavier_normal_(self.score.weight)
        nn.init.zeros_(self.score.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Compute hash logits.

        Args:
            x: features (B, W).

        Returns:
            (B, K).
        """
        slices = x[:, : self.bits * self.slice].view(-1, self.bits, self.slice)
        return self.score(slices).squeeze(2)


class DDH(LossHasher):
    """Discriminative deep hashing: multi-scale features, divide-and-encode, softmax.

    Source: Lin, Li and Tang, "Discriminative deep hashing for scalable face image retrieval",
    IJCAI 2017: the last two stages are fused, each bit reads its own slice, the relaxed code is
    tanh(h), and the loss is the cross-entropy of a linear classifier on it plus alpha times the
    distance of the relaxed code to its signs.

    Deviation: the weight of the second term is not known and is tuned.
    """

    alpha = 0.01

    def head(self) -> nn.Module:
        """The layer from the trunk's features (B, 1024) to hash logits (B, K)."""
        return DivideAndEncode(FEATURES, self.bits)

    def build(self, classes: int) -> nn.Module:
        return HashNet(self.head(), self.bits, classes, multi_scale=True)

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        z = logits.tanh()
        return F.cross_entropy(self.network.classifier(z), labels) + (
            self.alpha * quantisation_loss(z)
        )


class DDQH(DDH):
    """Discriminative deep quantization hashing: DDH with a quantising hash layer.

    Source: Tang, Lin, Li and Tang, "Discriminative deep quantization hashing for face image
    retrieval", TNNLS 2018. Batch normalisation between the slices and tanh (the "batch
    normalization quantization" module) centres and scales each bit, so that it is balanced and
    outside of the saturated part of tanh. The quantisation loss draws it to -1 and +1.

    Deviation: the quantisation loss is taken to be | |z| - 1 |_1, and its weight is tuned.
    """

    def head(self) -> nn.Module:
        """See `DDH.head`."""
        return nn.Sequential(super().head(), nn.BatchNorm1d(self.bits))
