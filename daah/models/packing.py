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


class PackedConvolution(nn.Module):
    """What a Conv2d computes: (B, C, H, W) to (B, C', H', W') of one dtype, no gradient.

    oneDNN wants weights in blocks whose layout depends on the sizes, and PyTorch lays them out
    anew at every call, which takes a third of the time of a trunk that sees one face. Here they are
    laid out at the first call, and again when the size of the input changes. The operator is the
    one that PyTorch's own compiler puts in place of a Conv2d; there is no public way to it without
    compiling.
    """

    def __init__(self, convolution: nn.Conv2d, dtype: torch.dtype, rectified: bool = False) -> None:
        super().__init__()
        self.stride, self.padding = convolution.stride, convolution.padding
        self.dilation, self.groups = convolution.dilation, convolution.groups
        self.after = "relu" if rectified else "none"
        self.register_buffer("weight", convolution.weight.detach().to(dtype))
        self.register_buffer("bias", convolution.bias.detach().to(dtype))
        # Sizes and layout change together, in one assignment: threads share the network.
        self._packed: tuple[torch.Size, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        packed = self._packed
        if packed is None or packed[0] != x.shape:
            packed = self._packed = x.shape, self._pack(x.shape)
        return torch.ops.mkldnn._convolution_pointwise.default(
            x,
            packed[1],
            self.bias,
            self.padding,
            self.stride,
            self.dilation,
            self.groups,
            self.after,
            [],
            None,
        )

    def _pack(self, sizes: torch.Size) -> Tensor:
        return torch._C._nn.mkldnn_reorder_conv2d_weight(
            self.weight.to_mkldnn(),
            self.padding,
            self.stride,
            self.dilation,
            self.groups,
            list(sizes),
        )


class PackedTransposedConvolution(nn.Module):
    """What a ConvTranspose2d computes, packed as a `PackedConvolution` is."""

    def __init__(self, convolution: nn.ConvTranspose2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.stride, self.padding = convolution.stride, convolution.padding
        self.dilation, self.groups = convolution.dilation, convolution.groups
        self.output_padding = convolution.output_padding
        self.register_buffer("weight", convolution.weight.detach().to(dtype))
        self.register_buffer("bias", convolution.bias.detach().to(dtype))
        self._packed: tuple[torch.Size, Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        packed = self._packed
        if packed is None or packed[0] != x.shape:
            packed = self._packed = x.shape, self._pack(x.shape)
        return torch.ops.mkldnn._convolution_transpose_pointwise.default(
            x,
            packed[1],
            self.bias,
            self.padding,
            self.output_padding,
            self.stride,
            self.dilation,
            self.groups,
            "none",
            [],
            None,
        )

    def _pack(self, sizes: torch.Size) -> Tensor:
        return torch.ops.mkldnn._reorder_convolution_transpose_weight(
            self.weight,
            self.padding,
            self.output_padding,
            self.stride,
            self.dilation,
            self.groups,
            list(sizes),
        )


def pack_convolutions(network: nn.Module, dtype: torch.dtype) -> None:
    """Put packed convolutions of this dtype in place of those of a network.

    Where batch normalisation and ReLU follow in a Sequential, it does their work as well.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Sequential):
            _fold(module, dtype)
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Conv2d):
                packed = PackedConvolution(child, dtype, isinstance(child, RectifiedConv2d))
                setattr(module, name, packed)
            elif isinstance(child, nn.ConvTranspose2d):
                setattr(module, name, PackedTransposedConvolution(child, dtype))


def _fold(steps: nn.Sequential, dtype: torch.dtype) -> None:
    for i in range(len(steps) - 2):
        match steps[i], steps[i + 1], steps[i + 2]:
            case nn.Conv2d() as convolution, nn.BatchNorm2d() as norm, nn.ReLU():
                folded = fuse_conv_bn_eval(convolution, norm)
                steps[i] = PackedConvolution(folded, dtype, rectified=True)
                steps[i + 1] = steps[i + 2] = nn.Identity()
