"""Convolutions for inference, their weights laid out for the processor beforehand."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval


class RectifiedConv2d(nn.Conv2d):
    """A Conv2d and the ReLU after it, which a `PackedConvolution` does in one."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(super().forward(x))


class RectifiedConvTranspose2d(nn.ConvTranspose2d):
    """A ConvTranspose2d and the ReLU after it, which the packed one does in one."""

    def forward(self, x: Tensor) -> Tensor:
        return F.relu_(super().forward(x))


class JoiningConv2d(nn.Conv2d):
    """A Conv2d, what it is added to, and the ReLU after; a `PackedJoiningConvolution` does all."""

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        return F.relu_(beside + super().forward(x))


class _Packed(nn.Module):
    """A convolution without a gradient, in one dtype, its weights laid out beforehand.

    oneDNN expects weights in blocks whose layout depends on the input size. PyTorch reorders them
    at every call, which takes a third of the trunk's time at batch size 1. Here they are reordered
    at the first call, and again when the input size changes. The operators are those that PyTorch's
    own compiler emits; they have no public interface.
    """

    def __init__(self, convolution: nn.Conv2d | nn.ConvTranspose2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.stride, self.padding = convolution.stride, convolution.padding
        self.dilation, self.groups = convolution.dilation, convolution.groups
        self.register_buffer("weight", convolution.weight.detach().to(dtype))
        self.register_buffer("bias", convolution.bias.detach().to(dtype))
        # Sizes and layout change together, in one assignment: threads share the network.
        self._kept: tuple[torch.Size, Tensor] | None = None

    def packed(self, sizes: torch.Size) -> Tensor:
        """The weights as laid out for inputs of these sizes."""
        kept = self._kept
        if kept is None or kept[0] != sizes:
            kept = self._kept = sizes, self._pack(list(sizes))
        return kept[1]

    def _pack(self, sizes: list[int]) -> Tensor:
        return torch._C._nn.mkldnn_reorder_conv2d_weight(
            self.weight.to_mkldnn(), *self._geometry(), sizes
        )

    def _geometry(self) -> tuple:
        """In the order of the operators' arguments."""
        return self.padding, self.stride, self.dilation, self.groups


class PackedConvolution(_Packed):
    """What a Conv2d computes, and the ReLU after it if rectified: (B, C, H, W) to the output's."""

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype, rectified: bool = False) -> None:
        super().__init__(convolution, dtype)
        self.after = "relu" if rectified else "none"

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._convolution_pointwise.default(
            x, self.packed(x.shape), self.bias, *self._geometry(), self.after, [], None
        )


class PackedJoiningConvolution(_Packed):
    """What a JoiningConv2d computes: (B, C, H, W) and the output's sizes to the output's."""

    def forward(self, x: Tensor, beside: Tensor) -> Tensor:
        weight, geometry = self.packed(x.shape), self._geometry()
        return torch.ops.mkldnn._convolution_pointwise.binary(
            x, beside, weight, self.bias, *geometry, "add", 1.0, "relu", [], None
        )


class PackedTransposedConvolution(_Packed):
    """What a RectifiedConvTranspose2d computes: (B, C, H, W) to (B, C', H', W')."""

    def __init__(self, convolution: RectifiedConvTranspose2d, dtype: torch.dtype) -> None:
        super().__init__(convolution, dtype)
        self.output_padding = convolution.output_padding

    def forward(self, x: Tensor) -> Tensor:
        return torch.ops.mkldnn._convolution_transpose_pointwise.default(
            x, self.packed(x.shape), self.bias, *self._geometry(), "relu", [], None
        )

    def _pack(self, sizes: list[int]) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_transpose_weight(
            self.weight, *self._geometry(), sizes
        )

    def _geometry(self) -> tuple:
        return self.padding, self.output_padding, self.stride, self.dilation, self.groups


def pack_convolutions(network: nn.Module, dtype: torch.dtype) -> None:
    """Put packed convolutions of this dtype in place of those of a network.

    Where batch normalisation and ReLU follow in a Sequential, it does their work as well.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            _fold(module, dtype)
        for name, child in list(module.named_children()):
            if isinstance(child, JoiningConv2d):
                setattr(module, name, PackedJoiningConvolution(child, dtype))
            elif isinstance(child, nn.Conv2d):
                packed = PackedConvolution(child, dtype, isinstance(child, RectifiedConv2d))
                setattr(module, name, packed)
            elif isinstance(child, RectifiedConvTranspose2d):
                setattr(module, name, PackedTransposedConvolution(child, dtype))


def _fold(steps: nn.Sequential, dtype: torch.dtype) -> None:
    for i in range(len(steps) - 2):
        match steps[i], steps[i + 1], steps[i + 2]:
            case nn.Conv2d() as convolution, nn.BatchNorm2d() as norm, nn.ReLU():
                folded = fuse_conv_bn_eval(convolution, norm)
                steps[i] = PackedConvolution(folded, dtype, rectified=True)
                steps[i + 1] = steps[i + 2] = nn.Identity()
