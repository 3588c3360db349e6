"""The whole network, read top-down: where to look, what is left, the code.

Two presets: `PaperDDAH` as published, `DemoDDAH` around a transferred trunk.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.config import ModelConfig
from daah.models.hash_network import DemoHashNetwork, PaperHashNetwork
from daah.models.layers import PixelStatistics, xavier_
from daah.models.spatial_network import FaceSpatialNetwork, coarse_mask, enlarged, plain_mask


@dataclass(frozen=True, eq=False)
class Encoding:
    """logits (B, K) and the mask (B, 1, S, S) in [0, 1] that gated the input."""

    logits: Tensor
    mask: Tensor


class DDAH(nn.Module, ABC):
    """Spatial attention in front of a hash network; the recipes fill in the four steps below.

    Input everywhere: RGB faces (B, 3, input_size, input_size), float, in [0, 255].
    """

    input_size: int
    spatial: FaceSpatialNetwork
    hashing: nn.Module

    @abstractmethod
    def normalise(self, x: Tensor) -> Tensor:
        """Faces in [0, 255] to the range that the hash network is fed."""

    @abstractmethod
    def mask(self, x: Tensor) -> Tensor:
        """The spatial attention mask (B, 1, input_size, input_size) of normalised faces."""

    def gate(self, x: Tensor, mask: Tensor) -> Tensor:
        """What the hash network sees of normalised faces behind a mask in [0, 1]."""
        return x * mask

    def read(self, seen: Tensor) -> Tensor:
        """Hash logits (B, K) of what the hash network sees."""
        return self.hashing(seen)

    def to_bfloat16(self) -> None:
        """Compute what costs most in bfloat16 from now on; for inference alone."""

    def forward(self, faces: Tensor, mask: Tensor | None = None) -> Encoding:
        """Encode faces behind their own mask, or behind the given one (all ones: no attention)."""
        x = self.normalise(faces)
        if mask is None:
            mask = self.mask(x)
        return Encoding(self.read(self.gate(x, mask)), mask)


class PaperDDAH(PixelStatistics, DDAH):
    """DDAH as published, 32x32.

    `classes` > 0 adds the classifier that training needs; a shipped checkpoint has none.
    """

    input_size = 32

    def __init__(
        self,
        bits: int,
        classes: int = 0,
        *,
        channel_attention: bool = True,
        fused_stages: bool = True,
    ) -> None:
        super().__init__()
        self.spatial = FaceSpatialNetwork()
        self.hashing = PaperHashNetwork(
            bits, channel_attention=channel_attention, fused_stages=fused_stages
        )
        self.classifier = nn.Linear(bits, classes) if classes else None
        self.apply(xavier_)

    def mask(self, x: Tensor) -> Tensor:
        return plain_mask(self.spatial(x))

    def classify(self, logits: Tensor) -> Tensor:
        """Hash logits (B, K) to class logits (B, C)."""
        if self.classifier is None:
            raise RuntimeError("built without classes: this network cannot classify")
        return self.classifier(logits.tanh())


class DemoDDAH(DDAH):
    """The same ideas for people that training never saw, 150x150, nested codes."""

    input_size = 150
    #: The spatial network looks at a copy of this side, and its mask has `GRID` cells a side.
    SPATIAL_SIZE = 64
    GRID = 16
    #: What passes where the mask is 0: the transferred trunk never met faces with holes. The more
    #: passes, the less a mask costs: 0.002 of validation mAP at 64 bits with 0.85 here, 0.013 with
    #: 0.75 and more with 0.5, before the trunk has learned from attended faces alone.
    MASK_FLOOR = 0.85

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.spatial = FaceSpatialNetwork()
        self.hashing = DemoHashNetwork(bits)
        self.spatial.apply(xavier_)

    def normalise(self, x: Tensor) -> Tensor:
        return self.hashing.trunk.normalise(x)

    def gate(self, x: Tensor, mask: Tensor) -> Tensor:
        return x * (self.MASK_FLOOR + (1 - self.MASK_FLOOR) * mask)

    def read(self, seen: Tensor) -> Tensor:
        """Mean of the logits of a face and of its mirror image, behind the mirrored mask.

        One person on both: what differs between the two is noise, and half of it goes.
        """
        seen = seen.to(self.hashing.trunk.dtype)  # now, while there is one of it
        both = torch.cat([seen, seen.flip(3)]).contiguous(memory_format=torch.channels_last)
        return self.hashing(both).unflatten(0, (2, -1)).mean(0)

    def to_bfloat16(self) -> None:
        self.hashing.trunk.to_bfloat16()
        self.spatial.to_bfloat16()

    def mask(self, x: Tensor) -> Tensor:
        """The mean of a face's mask and of its mirror image's, mirrored back.

        So a mirrored face has the mirrored mask and the same code.
        """
        small = F.interpolate(
            x, size=(self.SPATIAL_SIZE,) * 2, mode="bilinear", align_corners=False
        )
        both = self.spatial(torch.cat([small, small.flip(3)]))
        own, mirrored = coarse_mask(both, self.GRID).chunk(2)
        return enlarged((own + mirrored.flip(3)) / 2, self.input_size)


def build_model(config: ModelConfig, classes: int = 0) -> DDAH:
    """The network of a recipe, with fresh weights."""
    if config.recipe == "paper":
        return PaperDDAH(config.bits, classes)
    return DemoDDAH(config.bits)
