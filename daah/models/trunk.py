"""The transferred trunk: MobileFace Identification V2, a small inverted-residual network.

The structure is the one of becauseofAI's MobileFace (MIT, 2018), whose units are those of
MobileNetV2 (Sandler et al., CVPR 2018). Every convolution there, and the last linear layer, is
followed by batch normalisation; here that is folded into the layer before it, so that the network
has no running statistics and no training mode of its own.

Axes: B = batch.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

#: Side in pixels of the aligned face, in ArcFace's template.
INPUT_SIZE = 112

#: The trunk reads RGB in [0, 255] less `MEAN`, times 1 / `SCALE`.
MEAN = 127.5
SCALE = 128.0

EMBEDDING = 256

#: Channels in, expanded and out, and stride, of the units of each stage.
STAGES: tuple[tuple[tuple[int, int, int, int], ...], ...] = (
    ((32, 96, 32, 2), (32, 96, 32, 1), (32, 96, 32, 1)),
    ((32, 96, 32, 2), (32, 96, 32, 1), (32, 96, 32, 1)),
    ((32, 96, 64, 2), (64, 192, 64, 1), (64, 192, 64, 1)),
    ((64, 192, 128, 2), (128, 384, 128, 1), (128, 384, 128, 1)),
)

#: Channels, height and width of the four stages' output.
SHAPES = ((32, 28, 28), (32, 14, 14), (64, 7, 7), (128, 4, 4))


class InvertedResidual(nn.Module):
    """conv 1x1, ReLU6, depthwise conv 3x3, ReLU6, conv 1x1; added to the input at stride 1."""

    def __init__(self, channels_in: int, expanded: int, channels_out: int, stride: int) -> None:
        super().__init__()
        self.expand = nn.Conv2d(channels_in, expanded, 1)
        self.depthwise = nn.Conv2d(expanded, expanded, 3, stride, padding=1, groups=expanded)
        self.project = nn.Conv2d(expanded, channels_out, 1)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu6(self.depthwise(F.relu6(self.expand(x))))
        y = self.project(y)
        return x + y if self.stride == 1 else y


class MobileFace(nn.Module):
    """Normalised faces (B, 3, 112, 112) to embeddings (B, 256), through four stages."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 32, 3, 2, padding=1)
        self.stages = nn.ModuleList(
            nn.Sequential(*(InvertedResidual(*unit) for unit in stage)) for stage in STAGES
        )
        channels, height, width = SHAPES[-1]
        self.linear = nn.Linear(channels * height * width, EMBEDDING)

    @staticmethod
    def normalise(x: Tensor) -> Tensor:
        """RGB in [0, 255] to the range that the weights were made for."""
        return (x - MEAN) / SCALE

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu6(self.stem(x))  # (B, 32, 56, 56)
        for stage in self.stages:
            x = stage(x)
        return self.linear(x.flatten(1))


def embed_both_views(trunk: MobileFace, faces: Tensor) -> Tensor:
    """Mean embedding of faces and of their mirror images.

    Args:
        trunk: the network.
        faces: (B, 3, 112, 112) RGB in [0, 255].

    Returns:
        (B, 256) float32.
    """
    x = trunk.normalise(faces)
    return trunk(torch.cat([x, x.flip(3)])).unflatten(0, (2, -1)).mean(0)
