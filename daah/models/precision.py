"""Where bfloat16 makes training faster, it is used; where not, float32 stays."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def bfloat16_is_fast() -> bool:
    """Whether this processor multiplies bfloat16 matrices natively, so that autocast pays."""
    return torch.backends.mkldnn.is_available() and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 for matrix products on a device that is fast at them, else nothing."""
    if device.type != "cpu" or bfloat16_is_fast():
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
