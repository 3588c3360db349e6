"""The face spatial network: where the hash network may look.

A small fully convolutional encoder-decoder after Shelhamer et al. ("Fully convolutional networks
for semantic segmentation", 2017). The published one ends in one mask logit per pixel, the demo's in
one per cell of a coarse grid.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.models.layers import min_max
from daah.models.trunk import SHAPES, STAGES, InvertedResidual, MobileFace

#: Cells per side of the demo's mask.
GRID = 14

#: Side of the copy of the face that the demo's spatial network reads beside the first stage.
COPY = 28

#: Channels of the features that the demo's mask is read from.
FEATURES = 48


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
        self.decode1 = nn.ConvTranspose2d(128, 64, 3, stride=2, padding=1, output_padding=1)
        self.norm1 = nn.BatchNorm2d(64)
        self.decode2 = nn.ConvTranspose2d(64, 32, 3, stride=2, padding=1, output_padding=1)
        self.norm2 = nn.BatchNorm2d(32)
        self.decode3 = nn.ConvTranspose2d(32, 32, 3, stride=2, padding=1, output_padding=1)
        self.score = nn.Conv2d(32, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        e1 = self.encode1(x)  # (B, 32, S/2, S/2)
        e2 = self.encode2(e1)  # (B, 64, S/4, S/4)
        y = self.encode3(e2)  # (B, 128, S/8, S/8)
        y = self.norm1(F.relu(self.decode1(y)) + e2)
        y = self.norm2(F.relu(self.decode2(y)) + e1)
        return self.score(F.relu(self.decode3(y)))


def plain_mask(logits: Tensor) -> Tensor:
    """The paper's mask: logits (B, 1, S, S) scaled to [0, 1] per image, same shape."""
    return min_max(logits)


def _convolution(channels_in: int, channels_out: int, kernel: int, stride: int = 1) -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(channels_in, channels_out, kernel, stride, padding=kernel // 2, bias=False),
        nn.BatchNorm2d(channels_out),
        nn.ReLU(),
    )


class StageSpatialNetwork(nn.Module):
    """The face spatial network: an encoder-decoder with skips, to one mask logit per cell.

    It reads the trunk's first stage, which is computed anyway and sees edges of a pixel's width,
    and a small copy of the face for its colours. Its encoder has the form of the trunk's later
    stages and starts as a copy of them, so that it knows from the first step what a face is.
    Logits are absolute: a mask may be open everywhere, or nowhere.
    """

    def __init__(self) -> None:
        super().__init__()
        (near, *_), (middle, *_), (far, *_) = SHAPES[1:]
        self.encoder = nn.ModuleList(
            nn.Sequential(*(InvertedResidual(*unit) for unit in stage)) for stage in STAGES[1:]
        )
        self.edges = _convolution(SHAPES[0][0] + 3, FEATURES, 3, stride=2)
        self.lateral1 = nn.Conv2d(near, FEATURES, 1)
        self.lateral2 = nn.Conv2d(middle, 96, 1)
        self.lateral3 = nn.Conv2d(far, 96, 1)
        self.join2 = _convolution(96, 96, 3)
        self.up1 = nn.Conv2d(96, FEATURES, 1)
        self.join1 = _convolution(FEATURES, FEATURES, 3)
        self.score = nn.Conv2d(FEATURES, 1, 1)

    def transfer(self, trunk: MobileFace) -> None:
        """Let the encoder start as the trunk's own later stages."""
        for own, stage in zip(self.encoder, trunk.stages[1:], strict=True):
            own.load_state_dict(stage.state_dict())

    def features(self, first: Tensor, copy: Tensor) -> Tensor:
        """What `score` reads of each cell.

        Args:
            first: (B, 32, 28, 28), the trunk's first stage.
            copy: (B, 3, 28, 28), the normalised face, averaged.

        Returns:
            (B, 48, 14, 14).
        """
        e1 = self.encoder[0](first)  # (B, 32, 14, 14)
        e2 = self.encoder[1](e1)  # (B, 64, 7, 7)
        e3 = self.lateral3(self.encoder[2](e2))  # (B, 96, 4, 4)
        d2 = F.interpolate(e3, size=(7, 7), mode="bilinear", align_corners=False)
        d2 = F.relu(d2 + self.lateral2(e2))
        d2 = d2 + self.join2(d2)
        d1 = F.interpolate(self.up1(d2), scale_factor=2.0, mode="nearest")
        d1 = F.relu(d1 + self.lateral1(e1) + self.edges(torch.cat([first, copy], 1)))
        return d1 + self.join1(d1)

    def forward(self, first: Tensor, copy: Tensor) -> Tensor:
        """Logits (B, 1, 14, 14) of each cell's share of the face; arguments as of `features`."""
        return self.score(self.features(first, copy))


class ImportanceHead(nn.Module):
    """How much each cell matters to the embedding, beside `StageSpatialNetwork.score`.

    A map that all faces share, which is most of it, and what differs from face to face.
    """

    def __init__(self) -> None:
        super().__init__()
        self.usual = nn.Parameter(torch.zeros(1, 1, GRID, GRID))
        self.own = nn.Sequential(
            nn.Conv2d(FEATURES, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 1, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, 48, 14, 14) of the spatial network to logits (B, 1, 14, 14)."""
        return self.usual + self.own(features)
