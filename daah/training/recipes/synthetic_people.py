"""Synthetic identities, drawn without limit to keep a hash layer from overfitting.

An image of a synthetic identity is the class mean of one person plus the within-class deviation of
an image of another.
"""

from __future__ import annotations

import torch
from torch import Tensor


class SyntheticPeople:
    """Samples embeddings of synthetic identities.

    Deviations come from identities with two images or more, each identity with the same
    probability. A deviation from the mean of n images is too short by sqrt((n - 1) / n), and is
    rescaled.

    Args:
        embeddings: (N, D) float, of the training images.
        labels: (N,) int64 in [0, C).

    Raises:
        ValueError: no identity has two images.
    """

    def __init__(self, embeddings: Tensor, labels: Tensor) -> None:
        size = torch.bincount(labels)
        self.means = torch.zeros(len(size), embeddings.shape[1], device=embeddings.device)
        self.means.index_add_(0, labels, embeddings)
        self.means /= size[:, None]
        several = size[labels] > 1
        if not several.any():
            raise ValueError("nobody has two images: it is unknown how one person's images differ")
        people = labels[several]
        images = size[people].float()
        deviations = embeddings[several] - self.means[people]
        self.deviations = deviations * (images / (images - 1)).sqrt()[:, None]
        self.likelihood = (1 / images).cumsum(0) / (1 / images).sum()

    def pairs(self, count: int) -> Tensor:
        """Sample two images of each of several synthetic identities.

        Args:
            count: number of identities.

        Returns:
            (2 count, D): an image of each identity, then another of each, in the same order.
        """
        chosen = torch.randint(len(self.means), (count,), device=self.means.device)
        draw = torch.rand(2 * count, device=self.means.device)
        which = torch.searchsorted(self.likelihood, draw).clamp(max=len(self.deviations) - 1)
        return self.means[chosen].repeat(2, 1) + self.deviations[which]
