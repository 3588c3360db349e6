"""Small layers and initialisers that several networks share."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def xavier_(module: nn.Module) -> None:
    """Xavier-normal weights and zero biases for convolutions and linears, as the paper has them."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
        nn.init.xavier_normal_(module.weight)
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
