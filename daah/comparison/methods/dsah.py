"""DSaH: deep saliency hashing, with spatial attention."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.deep import FEATURES, DeepHasher, HashNet, same_person
from daah.comparison.methods.pairwise import pair_cross_entropy
from daah.data.augmentation import Augmentation
from daah.models.layers import xavier_
from daah.models.spatial_network import FaceSpatialNetwork, plain_mask
from daah.training.losses import quantisation_loss


class DSaH(DeepHasher):
    """Deep saliency hashing: an attention network driven by a saliency loss over pairs.

    Source: Jin, Yao, Sun, Li, Zhang and Gao, "Deep saliency hashing", 2018 (TIP 2020). A fully
    convolutional attention network weighs the pixels, a hashing network encodes the weighed
    image. The hashing network minimises a semantic loss over pairs plus a quantisation loss; the
    attention network minimises the saliency loss: codes of the weighed images must be closer for
    the same and further for different than codes of the plain images, by a margin.

    Deviations: the attention network is DDAH's spatial network, with its min-max mask; the
    semantic loss is the pair likelihood of DHN, on both branches as in DDAH; the saliency loss is
    read as a hinge on code inner products divided by K, its margin is tuned.
    """

    margin = 0.1
    weight = 0.01

    def build(self, classes: int) -> nn.Module:
        network = HashNet(nn.Linear(FEATURES, self.bits), self.bits)
        network.spatial = FaceSpatialNetwork().apply(xavier_)
        return network

    def train_batch(self, indices: np.ndarray, augment: Augmentation, progress: float) -> None:
        labels = self.train_labels[torch.from_numpy(indices)]
        same = same_person(labels, labels)
        network = self.network
        x = network.trunk.normalise(self.faces(indices, augment))
        with self.autocast():
            mask = plain_mask(network.spatial(x))
            # A leaf in the mask's place keeps the two networks' gradients apart.
            leaf = mask.detach().float().requires_grad_()
            masked = network.head(network.trunk.features(x * leaf)).float()
            unmasked = network.head(network.trunk.features(x)).float()
        saliency = saliency_loss(masked.tanh(), unmasked.tanh().detach(), same, self.margin)
        (wish,) = torch.autograd.grad(saliency, leaf, retain_graph=True)
        semantic = sum(
            pair_cross_entropy(h.tanh(), same) + self.weight * quantisation_loss(h.tanh())
            for h in (masked, unmasked)
        )
        semantic.backward()
        mask.backward(wish.to(mask.dtype))

    def forward(self, faces: Tensor) -> Tensor:
        x = self.network.trunk.normalise(faces)
        return self.network.head(
            self.network.trunk.features(x * plain_mask(self.network.spatial(x)))
        )


def saliency_loss(masked: Tensor, unmasked: Tensor, same: Tensor, margin: float) -> Tensor:
    """Hinge max(0, margin - gain) over pairs; similar and dissimilar pairs are averaged separately.

    With inner products c of codes over K, the gain of a pair is c_attended - c_plain for the same
    person, and the reverse for different ones. The pair of a code with itself does not count.

    Args:
        masked: relaxed codes of the masked images (B, K) in [-1, 1].
        unmasked: relaxed codes of the plain images (B, K) in [-1, 1].
        same: (B, B) of zeros and ones, pairs of the same person.
        margin: margin of the hinge.

    Returns:
        Scalar.
    """
    bits = masked.shape[1]
    gain = (masked @ masked.T - unmasked @ unmasked.T) / bits
    near = same * (1 - torch.eye(len(same)))
    far = 1 - same
    return (near * F.relu(margin - gain)).sum() / near.sum().clamp(min=1) + (
        (far * F.relu(margin + gain)).sum() / far.sum().clamp(min=1)
    )
