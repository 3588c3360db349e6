"""Where the processor multiplies bfloat16, it is used; where not, float32 stays."""

from __future__ import annotations

import contextlib
from typing import Any

import torch


def bfloat16_is_possible() -> bool:
    """Whether oneDNN has bfloat16 operators on this processor, fast or not.

    It is oneDNN's own answer, so an instruction set held down by ONEDNN_MAX_CPU_ISA counts.
    """
    return torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()


def bfloat16_is_fast() -> bool:
    """Whether the processor multiplies bfloat16 matrices natively, so that autocast pays."""
    return bfloat16_is_possible() and bool(torch.cpu.get_capabilities().get("avx512_bf16"))


def autocast(device: torch.device) -> contextlib.AbstractContextManager[Any]:
    """bfloat16 for matrix products on a device that is fast at them, else nothing."""
    if device.type != "cpu" or bfloat16_is_fast():
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()
