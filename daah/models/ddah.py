"""The whole network, read top-down: where to look, what is left, the code.

Two presets: `PaperDDAH` as published, `DemoDDAH` around a transferred trunk.

Axes: B = batch, K = hash bits, S = input size in pixels, G = cells per side of the mask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.config import ModelConfig
from daah.models.hash_network import PaperHashNetwork, PooledChannelAttention
from daah.models.layers import PixelStatistics, area_average, xavier_
from daah.models.spatial_network import (
    COPY,
    GRID,
    FaceSpatialNetwork,
    ImportanceHead,
    StageSpatialNetwork,
    plain_mask,
)
from daah.models.trunk import EMBEDDING, INPUT_SIZE, SHAPES, MobileFace


@dataclass(frozen=True, eq=False)
class Encoding:
    """logits (B, K) and the mask (B, 1, G, G) in [0, 1] that gated the network."""

    logits: Tensor
    mask: Tensor


#: Share of the face from which on a cell's gate is fully open: cells at the edge of a face, or of
#: what covers it, never show the face alone.
VISIBLE = 0.7

#: Mask from which on a gate is fully open. Above, it says how much a cell matters.
FULL = 0.35

#: Increase of the share beyond `VISIBLE` over which importance sets in: the mask has no jump.
_ONSET = 0.1

#: Weight of importance where the context keeps gates open: enough to order cells, too little to
#: matter to a gate.
_AROUND = 0.02


class DDAH(nn.Module, ABC):
    """Spatial attention and a hash network; the presets fill in the three steps below.

    Faces everywhere: RGB (B, 3, S, S), float, in [0, 255].

    input_size: S. grid: G.
    """

    input_size: int
    grid: int
    spatial: nn.Module

    @abstractmethod
    def encode(self, faces: Tensor, choose: Callable[[Tensor], Tensor]) -> Encoding:
        """Encode faces behind the mask that `choose` makes of the network's own (B, 1, G, G)."""

    @abstractmethod
    def seen(self, faces: Tensor, mask: Tensor) -> Tensor:
        """A picture (B, 3, S, S) in [0, 255] of what the hash network is given behind a mask."""

    def forward(self, faces: Tensor, mask: Tensor | None = None) -> Encoding:
        """Encode faces behind their own mask, or behind the given one (all ones: no attention)."""
        return self.encode(faces, lambda own: own if mask is None else mask)


class PaperDDAH(PixelStatistics, DDAH):
    """DDAH as published, 32x32.

    `classes` > 0 adds the classifier that training needs; a shipped checkpoint has none.
    """

    input_size = 32
    grid = 32

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
        """The mask (B, 1, 32, 32) of standardised faces."""
        return plain_mask(self.spatial(x))

    def encode(self, faces: Tensor, choose: Callable[[Tensor], Tensor]) -> Encoding:
        x = self.normalise(faces)
        mask = choose(self.mask(x))
        return Encoding(self.hashing(x * mask), mask)

    def seen(self, faces: Tensor, mask: Tensor) -> Tensor:
        """Standardised faces times the mask: the mean training colour where the mask is 0."""
        return torch.lerp(self.pixel_mean.expand_as(faces), faces, mask)

    def classify(self, logits: Tensor) -> Tensor:
        """Hash logits (B, K) to class logits (B, C)."""
        if self.classifier is None:
            raise RuntimeError("built without classes: this network cannot classify")
        return self.classifier(logits.tanh())


class DemoDDAH(DDAH):
    """The same ideas for people that training never saw: 112x112, nested codes.

    The mask m says where the network looks. Features are drawn towards their learned mean where it
    does not, after the trunk's first and after its last stage: f <- g f + (1 - g) mu. The stages
    between are told where that is by a learned map, f <- f + (1 - g) h: to gate them as well costs
    the pretrained trunk more than it gains. So does gating the image, because the trunk was never
    trained on faces with holes, whatever their colour.

    g = n + (1 - n) c with n = min(1, m / FULL): gates close where faces are. What surrounds a face
    (hair, outline) is not the face, so m is near 0 there, but says who somebody is; c, a fixed map,
    keeps gates open where no part of an aligned face ever is.

    The spatial network says two things of each cell, which make up m (`mask_of`). The share of the
    cell that shows the face decides how far its gate is open: m is FULL times that gate. Where a
    gate is fully open, m exceeds FULL by how much the cell matters, which changes no code. So does
    m exceed 0, by very little, where the context keeps gates open.
    """

    input_size = INPUT_SIZE
    grid = GRID

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.trunk = MobileFace()
        del self.trunk.linear  # fusing takes its place
        self.spatial = StageSpatialNetwork()
        self.importance = ImportanceHead()
        #: Features where nothing of the face is seen, after the first and the last stage; what is
        #: added to them there, after the stages between.
        self.means = nn.ParameterList(nn.Parameter(torch.zeros(1, *shape)) for shape in SHAPES)
        self.attention3 = PooledChannelAttention(SHAPES[2][0], hidden=32)
        self.attention4 = PooledChannelAttention(SHAPES[3][0], hidden=64)
        channels, height, width = SHAPES[3]
        self.fuse = nn.Linear(SHAPES[2][0] + channels * height * width, EMBEDDING)
        self.hash = nn.Linear(EMBEDDING, bits)
        self.register_buffer("pool4", area_average(GRID, SHAPES[3][1]), persistent=False)
        #: c, how far gates stay open whatever the mask says.
        self.register_buffer("context", torch.zeros(1, 1, GRID, GRID))
        #: The mean training face, for pictures of what the network is given.
        self.register_buffer("mean_face", torch.full((1, 3, COPY, COPY), 127.5))

    def transfer(self, trunk: MobileFace) -> None:
        """Take over a trunk; fusing starts as its linear layer, and the pooled f3 joins from 0."""
        self.trunk.stem.load_state_dict(trunk.stem.state_dict())
        self.trunk.stages.load_state_dict(trunk.stages.state_dict())
        self.spatial.transfer(trunk)
        with torch.no_grad():
            self.fuse.weight.zero_()
            self.fuse.weight[:, SHAPES[2][0] :] = trunk.linear.weight
            self.fuse.bias.copy_(trunk.linear.bias)

    def first_stage(self, x: Tensor) -> Tensor:
        """Normalised faces to the trunk's first stage (B, 32, 28, 28), before any gate."""
        return self.trunk.stages[0](F.relu6(self.trunk.stem(x)))

    def look(self, x: Tensor, first: Tensor) -> Tensor:
        """Shares of the face and importances (B, 2, 14, 14) in [0, 1] of normalised faces."""
        features = self.spatial.features(first, F.avg_pool2d(x, INPUT_SIZE // COPY))
        return torch.cat([self.spatial.score(features), self.importance(features)], 1).sigmoid()

    def mask_of(self, shares: Tensor, importance: Tensor | None = None) -> Tensor:
        """The mask (B, 1, 14, 14) that opens gates as far as shares of the face (same shape) say.

        importance: (B, 1, 14, 14) in [0, 1], what the mask says beyond that; None says nothing.
        """
        shown = (shares / VISIBLE).clamp(max=1)
        mask = FULL * shown
        if importance is None:
            return mask
        onset = ((shares - VISIBLE) / _ONSET).clamp(0, 1)
        around = _AROUND * (1 - shown) * self.context
        return mask + ((1 - FULL) * onset + around) * importance

    def gate(self, mask: Tensor) -> Tensor:
        """Masks (B, 1, 14, 14) to how far gates are open; both in [0, 1]."""
        shown = (mask / FULL).clamp(max=1)
        return shown + (1 - shown) * self.context

    def enter(self, first: Tensor, mask: Tensor | None) -> Tensor:
        """The first gate and the unit after it: (B, 32, 28, 28) to (B, 32, 14, 14).

        mask: (B, 1, 14, 14) in [0, 1]; None gates nothing.
        """
        if mask is not None:
            gate = self.gate(mask)
            own = F.interpolate(gate, scale_factor=2.0, mode="bilinear", align_corners=False)
            first = torch.lerp(self.means[0], first, own)
        return self.trunk.stages[1][0](first)

    def leave(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Everything after `enter`: (B, 32, 14, 14) to embeddings (B, 256), of any length."""
        for unit in list(self.trunk.stages[1])[1:]:
            x = unit(x)
        if mask is None:
            third = self.trunk.stages[2](x)
            fourth = self.trunk.stages[3](third)
        else:
            gate = self.gate(mask)
            x = x + (1 - gate) * self.means[1]
            third = self.trunk.stages[2](x) + (1 - F.avg_pool2d(gate, 2)) * self.means[2]
            own = self.pool4 @ gate @ self.pool4.T
            fourth = torch.lerp(self.means[3], self.trunk.stages[3](third), own)
        pooled = self.attention3(third).mean((2, 3))  # (B, 64)
        flat = self.attention4(fourth).flatten(1)  # (B, 2048)
        return self.fuse(torch.cat([pooled, flat], 1))

    def embed(self, first: Tensor, mask: Tensor | None) -> Tensor:
        """The first stage (B, 32, 28, 28) to embeddings (B, 256), of any length.

        mask: (B, 1, 14, 14) in [0, 1]; None gates nothing.
        """
        return self.leave(self.enter(first, mask), mask)

    def embedding(self, faces: Tensor, choose: Callable[[Tensor], Tensor]) -> tuple[Tensor, Tensor]:
        """Embeddings (B, 256) of length 1 that the hash layer reads, and the mask.

        Each face is read together with its mirror image behind one mask, the mean of both views':
        a mirrored face has the mirrored mask and the same code.
        """
        x = self.trunk.normalise(faces)
        both = torch.cat([x, x.flip(3)])
        first = self.first_stage(both)
        own, mirrored = self.look(both, first).chunk(2)
        mask = choose(self.mask_of(*((own + mirrored.flip(3)) / 2).split(1, 1)))
        ahead, mirrored = self.embed(first, torch.cat([mask, mask.flip(3)])).chunk(2)
        return F.normalize(ahead + mirrored, dim=1), mask

    def encode(self, faces: Tensor, choose: Callable[[Tensor], Tensor]) -> Encoding:
        embedding, mask = self.embedding(faces, choose)
        return Encoding(self.hash(embedding), mask)

    def seen(self, faces: Tensor, mask: Tensor) -> Tensor:
        """The mean face where a gate is closed.

        What the network itself is given are features that are drawn towards their means in the
        same places.
        """
        size = (INPUT_SIZE, INPUT_SIZE)
        shown = F.interpolate(self.gate(mask), size=size, mode="bilinear", align_corners=False)
        mean = F.interpolate(self.mean_face, size=size, mode="bilinear", align_corners=False)
        return torch.lerp(mean.expand_as(faces), faces, shown)


def build_model(config: ModelConfig, classes: int = 0) -> DDAH:
    """The network of a recipe, with fresh weights."""
    if config.recipe == "paper":
        return PaperDDAH(config.bits, classes)
    return DemoDDAH(config.bits)
