"""Common initialisation of the deep methods: a softmax classifier on the plain trunk."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn import functional as F

from daah.comparison.methods.base import Budget
from daah.comparison.methods.deep import FEATURES, HashNet, LossHasher, check_images, run
from daah.comparison.methods.features import UnitRows


class SoftmaxTrunk(LossHasher):
    """The trunk with a linear classifier on its 1024 features, trained by cross-entropy.

    Its convolution stages initialise every deep method of a comparison. (The papers start from
    networks trained on ImageNet, or train for a thousand epochs.) Its features are one of the
    descriptors for shallow methods. It has no codes: `encode` returns features (N, 1024).

    Args:
        seed: seed of all random numbers.
        budget: training budget.
    """

    def __init__(self, seed: int = 0, budget: Budget | None = None) -> None:
        super().__init__(FEATURES, seed, budget)

    def build(self, classes: int) -> nn.Module:
        return HashNet(nn.Identity(), FEATURES, classes, multi_scale=True)

    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        return F.cross_entropy(self.network.classifier(logits), labels)

    def stages(self) -> dict[str, Tensor]:
        """A copy of the weights of the convolution stages."""
        return {k: v.clone() for k, v in self.network.trunk.stages.state_dict().items()}


class TrunkFeatures:
    """Features of a trained `SoftmaxTrunk`, as a descriptor (`features.Features`).

    Args:
        trunk: fitted.
    """

    def __init__(self, trunk: SoftmaxTrunk) -> None:
        self.trunk = trunk

    def fit(self, images: np.ndarray, labels: np.ndarray) -> None:
        """See `Features.fit`."""
        self.unit = UnitRows().fit(self._raw(images))

    def transform(self, images: np.ndarray) -> np.ndarray:
        """See `Features.transform`."""
        return self.unit(self._raw(images))

    def _raw(self, images: np.ndarray) -> np.ndarray:
        check_images(images)
        return run(self.trunk.network, images, self.trunk.network.trunk)
