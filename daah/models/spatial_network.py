"""The face spatial network: where the hash network may look.

A small fully convolutional encoder-decoder after Shelhamer et al. ("Fully convolutional networks
for semantic segmentation", 2017), ending in one mask logit a pixel. How logits become the mask is
the recipe's own choice, and the functions for it stand below.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.models.layers import min_max
from daah.models.packed_conv import RectifiedConvTranspose2d, pack_convolutions


def _down(channels_in: int, channels_out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, 2, stride=2), nn.BatchNorm2d(channels_out), nn.ReLU()
    )


class FaceSpatialNetwork(nn.Module):
    """Faces (B, 3, S, S), S a multiple of 8, to mask logits (B, 1, S, S). The paper has S = 32."""

    def __init__(self) -> None:
        super().__init__()
        self.encode1 = _down(3, 32)
        self.encode2 = _down(32, 64)
        self.encode3 = nn.Sequential(
            _down(64, 128), nn.Conv2d(128, 128, 1), nn.BatchNorm2d(128), nn.ReLU()
        )
        self.decode1 = RectifiedConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1)
        self.norm1 = nn.BatchNorm2d(64)
        self.decode2 = RectifiedConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.decode3 = RectifiedConvTranspose2d(32, 32, 3, stride=2, padding=1, output_padding=1)
        self.score = nn.Conv2d(32, 1, 1)

    def to_bfloat16(self) -> None:
        """Convolve in bfloat16 from now on; for inference alone."""
        pack_convolutions(self, torch.bfloat16)

    def forward(self, x: Tensor) -> Tensor:
        x = x.to(self.score.weight.dtype)
        e1 = self.encode1(x)  # (B, 32, S/2, S/2)
        e2 = self.encode2(e1)  # (B, 64, S/4, S/4)
        y = self.encode3(e2)  # (B, 128, S/8, S/8)
        y = self.norm1(self.decode1(y) + e2)
        y = self.norm2(self.decode2(y) + e1)
        return self.score(self.decode3(y))


def plain_mask(logits: Tensor) -> Tensor:
    """The paper's mask: logits (B, 1, S, S) scaled to [0, 1] per image, same shape."""
    return min_max(logits)


def coarse_mask(
    logits: Tensor, grid: int = 16, sharpness: float = 3.0, level: float = 0.5
) -> Tensor:
    """The demo's mask: logits (B, 1, S, S) to (B, 1, grid, grid) in (0, 1); `enlarged` shows it.

    Pooled to a coarse grid, standardised per image, squashed. Min-max lets one outlier pixel set
    the whole range, and a fine mask can be flat with a few dots; here a constant shift of the
    logits changes nothing, every image spends the same spread, and no pattern finer than a grid
    cell can be painted. A cell is half open `level` standard deviations over the mean: what stands
    out is shown, not half of every image.
    """
    pooled = F.adaptive_avg_pool2d(logits.float(), grid)
    flat = pooled.flatten(1)
    centred = flat - flat.mean(1, keepdim=True)
    spread = centred.square().mean(1, keepdim=True).add(1e-6).sqrt()
    return (sharpness * (centred / spread - level)).sigmoid().view_as(pooled)


def enlarged(coarse: Tensor, size: int) -> Tensor:
    """A coarse mask (B, 1, G, G) in [0, 1] as a smooth one (B, 1, size, size) in [0, 1]."""
    return F.interpolate(coarse, size=(size, size), mode="bicubic", align_corners=False).clamp(0, 1)
