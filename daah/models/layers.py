"""Small layers and initialisers that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class PixelStatistics(nn.Module):
    """Mean and standard deviation of training pixels per channel, frozen in the network.

    A single upload has none of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("pixel_mean", torch.zeros(1, 3, 1, 1))
        self.register_buffer("pixel_std", torch.ones(1, 3, 1, 1))

    def standardise_by(self, faces: Tensor) -> None:
        """Freeze the statistics of training faces (N, 3, H, W) in [0, 255]."""
        self.pixel_mean.copy_(faces.mean((0, 2, 3)).view(1, 3, 1, 1))
        self.pixel_std.copy_(faces.std((0, 2, 3)).clamp(min=1e-3).view(1, 3, 1, 1))

    def normalise(self, faces: Tensor) -> Tensor:
        """Faces in [0, 255] to zero mean and unit deviation of the training pixels."""
        return (faces - self.pixel_mean) / self.pixel_std


def xavier_(module: nn.Module) -> None:
    """Xavier-normal weights and zero biases for convolutions and linears, as the paper has them."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def min_max(x: Tensor) -> Tensor:
    """Scale x (B, ...) to [0, 1] per image; a constant image becomes all ones, not a division by 0.

    All ones, because a map or weight vector without contrast has nothing to suppress.
    """
    flat = x.flatten(1)
    low, high = flat.amin(1, keepdim=True), flat.amax(1, keepdim=True)
    spread = high - low
    constant = spread <= 1e-6
    scaled = (flat - low) / torch.where(constant, torch.ones_like(spread), spread)
    return torch.where(constant, torch.ones_like(flat), scaled).view_as(x)


def area_average(source: int, target: int) -> Tensor:
    """Averages of `source` cells in a row over `target` equal parts: (target, source).

    R @ x @ R.T is adaptive average pooling, or an antialiased reduction, in a form that every
    engine has.
    """
    edges = torch.linspace(0, source, target + 1)
    cells = torch.arange(source)
    ends = torch.minimum(edges[1:, None], cells + 1.0)
    starts = torch.maximum(edges[:-1, None], cells.float())
    return (ends - starts).clamp(min=0) * target / source
