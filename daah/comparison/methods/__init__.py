"""The hashing methods of the comparison, one file per method or family of methods.

`catalogue` lists them. It imports PyTorch for the deep ones, which those who only run the small
models of the app need not have: its names are imported when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daah.comparison.methods.catalogue import ABLATION, METHODS, Method

__all__ = ["ABLATION", "METHODS", "Method"]


def __getattr__(name: str) -> Any:
    """Import a name of the catalogue at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module("daah.comparison.methods.catalogue"), name)
