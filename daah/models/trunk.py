"""The transferred trunk: the 29-layer residual network of dlib's face recogniser, in PyTorch.

The structure is dlib's `anet_type` (Davis King, "High Quality Face Recognition with Deep Metric
Learning", 2017; weights public domain, CC0). Each convolution there is followed by a learned scale
and shift, the inference form of batch normalisation; here they are folded into the convolution, so
that a step is a plain convolution and the network has no training mode of its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.models.packed_conv import JoiningConv2d, RectifiedConv2d, pack_convolutions

#: dlib's mean colour, RGB in [0, 255], and the divisor that follows it.
MEAN = (122.782, 117.001, 104.298)
SCALE = 256.0

EMBEDDING = 128


class Residual(nn.Module):
    """conv 3x3, ReLU, conv 3x3, added to the input, ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = RectifiedConv2d(channels, channels, 3, padding=1)
        self.conv2 = JoiningConv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv2(self.conv1(x), x)


class ResidualDown(nn.Module):
    """conv 3x3 stride 2 without padding, ReLU, conv 3x3, added to a 2x2 average pool of the input.

    The pool has fewer channels and, for some sizes, one row and column more or less than the
    convolution: the smaller is padded with zeros, as dlib's `add_prev` does.
    """

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv1 = RectifiedConv2d(channels_in, channels_out, 3, stride=2)
        self.conv2 = nn.Conv2d(channels_out, channels_out, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv2(self.conv1(x))
        pooled = F.avg_pool2d(x, 2)
        missing = pooled.shape[2] - y.shape[2], pooled.shape[3] - y.shape[3]
        if max(missing) > 0:
            y = F.pad(y, (0, max(missing[1], 0), 0, max(missing[0], 0)))
        # Adding where both are is adding zeros elsewhere, without making the zeros.
        y[:, : x.shape[1], : pooled.shape[2], : pooled.shape[3]].add_(pooled)
        return F.relu_(y)


class DlibTrunk(nn.Module):
    """RGB faces (B, 3, 150, 150) in [0, 255] to f3 (B, 128, 8, 8), f4 (B, 256, 2, 2)."""

    F3 = (128, 8, 8)
    F4 = (256, 2, 2)

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.conv32_down = RectifiedConv2d(3, 32, 7, stride=2)
        self.conv32_1, self.conv32_2, self.conv32_3 = (Residual(32) for _ in range(3))
        self.conv64_down = ResidualDown(32, 64)
        self.conv64_1, self.conv64_2, self.conv64_3 = (Residual(64) for _ in range(3))
        self.conv128_down = ResidualDown(64, 128)
        self.conv128_1, self.conv128_2 = (Residual(128) for _ in range(2))
        self.conv256_down = ResidualDown(128, 256)
        self.conv256_1, self.conv256_2 = (Residual(256) for _ in range(2))
        self.conv256_down_out = ResidualDown(256, 256)

    def to_bfloat16(self) -> None:
        """Convolve in bfloat16 from now on; for inference alone. The mean colour stays exact."""
        pack_convolutions(self, torch.bfloat16)

    @property
    def dtype(self) -> torch.dtype:
        """What its convolutions compute in."""
        return self.conv32_down.weight.dtype

    def stem(self, x: Tensor) -> Tensor:
        """Normalised faces (B, 3, 150, 150) to f3 (B, 128, 8, 8), the last 128-channel stage."""
        x = x.to(self.dtype)
        x = F.max_pool2d(self.conv32_down(x), 3, 2)  # (B, 32, 35, 35)
        x = self.conv32_3(self.conv32_2(self.conv32_1(x)))
        x = self.conv64_3(self.conv64_2(self.conv64_1(self.conv64_down(x))))  # (B, 64, 17, 17)
        return self.conv128_2(self.conv128_1(self.conv128_down(x)))  # (B, 128, 8, 8)

    def top(self, f3: Tensor) -> Tensor:
        """f3 (B, 128, 8, 8) to f4 (B, 256, 2, 2), the 256-channel output before global pooling."""
        x = self.conv256_2(self.conv256_1(self.conv256_down(f3)))  # (B, 256, 4, 4)
        return self.conv256_down_out(x)

    def normalise(self, x: Tensor) -> Tensor:
        """RGB in [0, 255] to the range that the weights were made for."""
        return (x - self.mean) / SCALE
