"""The attention-aware hash network: convolution stages, channel attention, fusing, hash layer.

Axes: B = batch, K = hash bits. Everything returns hash logits (B, K); the code is their sign.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.models.layers import min_max


class ChannelAttention(nn.Module):
    """Weigh the channels of a stage: flatten, FC, ReLU, FC to C weights, min-max per image.

    (B, C, H, W) to the same shape. DDAH's form: every position has a say in every weight.
    """

    def __init__(self, channels: int, height: int, width: int, hidden: int = 512) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels * height * width, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        weight = min_max(self.excite(F.relu(self.squeeze(x.flatten(1)))))  # (B, C)
        return x * weight[:, :, None, None]


class PooledChannelAttention(nn.Module):
    """Channel attention for a transferred trunk: pooled input, weights in (0, 2), first all 1.

    Min-max would zero a channel of every image at once, which a pretrained trunk does not survive;
    the last layer starts at zero, so that training begins with every weight exactly 1.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)

    def forward(self, x: Tensor) -> Tensor:
        weight = 2 * torch.sigmoid(self.excite(F.relu(self.squeeze(x.mean((2, 3))))))  # (B, C)
        return x * weight[:, :, None, None]


class PaperStages(nn.Module):
    """Four convolution stages: faces (B, 3, 32, 32) to f3 (B, 128, 3, 3), f4 (B, 256, 2, 2)."""

    def __init__(self) -> None:
        super().__init__()
        self.stage1 = self._stage(3, 32, kernel=3, pool=True)
        self.stage2 = self._stage(32, 64, kernel=2, pool=True)
        self.stage3 = self._stage(64, 128, kernel=2, pool=True)
        self.stage4 = self._stage(128, 256, kernel=2, pool=False)

    @staticmethod
    def _stage(channels_in: int, channels_out: int, kernel: int, pool: bool) -> nn.Sequential:
        steps = [
            nn.Conv2d(channels_in, channels_out, kernel),
            nn.BatchNorm2d(channels_out),
            nn.ReLU(),
        ]
        return nn.Sequential(*steps, *([nn.MaxPool2d(2)] if pool else []))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        x = self.stage2(self.stage1(x))  # (B, 64, 7, 7)
        f3 = self.stage3(x)  # (B, 128, 3, 3)
        return f3, self.stage4(f3)


class PaperHashNetwork(nn.Module):
    """DDAH's hash network: faces (B, 3, 32, 32), standardised, to hash logits (B, K)."""

    def __init__(
        self, bits: int, *, channel_attention: bool = True, fused_stages: bool = True
    ) -> None:
        super().__init__()
        self.stages = PaperStages()
        # Both switches exist for the ablation; the published network has both on.
        self.attention3 = ChannelAttention(128, 3, 3) if channel_attention else nn.Identity()
        self.attention4 = ChannelAttention(256, 2, 2) if channel_attention else nn.Identity()
        self.fused_stages = fused_stages
        width = (128 * 9 if fused_stages else 0) + 256 * 4
        self.fuse = nn.Sequential(nn.Linear(width, 1024), nn.BatchNorm1d(1024), nn.ReLU())
        self.hash = nn.Sequential(nn.Linear(1024, bits), nn.BatchNorm1d(bits))

    def forward(self, x: Tensor) -> Tensor:
        f3, f4 = self.stages(x)
        parts = [self.attention4(f4).flatten(1)]
        if self.fused_stages:
            parts.insert(0, self.attention3(f3).flatten(1))
        return self.hash(self.fuse(torch.cat(parts, 1)))  # (B, 2176) -> (B, K)
