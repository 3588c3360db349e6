"""People made up from embeddings, without end, so that a hash layer cannot learn anybody by heart.

What tells people apart and how one person's photos differ are taken apart and put together anew:
a person's mean, moved as another person's photo was from that one's own mean.
"""

from __future__ import annotations

import torch
from torch import Tensor


class SyntheticPeople:
    """Draws images of made-up people from embeddings (N, D) of N images.

    labels: (N,) int64 from 0 on. Deviations come from people with two images or more, everybody
    alike likely however many images they have; a deviation from a mean of n images is too short by
    sqrt((n - 1) / n), and is made longer by as much.
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
        """(2 count, D): an image of each of `count` people, then another of each, in order."""
        chosen = torch.randint(len(self.means), (count,), device=self.means.device)
        draw = torch.rand(2 * count, device=self.means.device)
        which = torch.searchsorted(self.likelihood, draw).clamp(max=len(self.deviations) - 1)
        return self.means[chosen].repeat(2, 1) + self.deviations[which]
