"""Settings, one frozen dataclass a concern. Unknown keys raise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from daah.errors import ConfigError

T = TypeVar("T")


def from_mapping(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build the dataclass `kind` from plain values; ConfigError lists unknown keys and the valid."""
    valid = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - valid)
    if unknown:
        raise ConfigError(f"unknown {kind.__name__} keys {unknown}; valid keys are {sorted(valid)}")
    listed = {f.name for f in dataclasses.fields(kind) if "tuple" in str(f.type)}
    return kind(**{k: tuple(v) if k in listed else v for k, v in values.items()})


@dataclass(frozen=True)
class ModelConfig:
    """What the network is; enough to build it again from a checkpoint.

    recipe: "paper" (section 3 of the paper, 32x32, closed set) or "demo" (transferred trunk).
    bits: length of the whole code. lengths: prefixes that are codes by themselves.
    """

    recipe: str
    bits: int
    lengths: tuple[int, ...]

    def __post_init__(self) -> None:
        if self.recipe not in ("paper", "demo"):
            raise ConfigError(f"recipe: expected 'paper' or 'demo', got {self.recipe!r}")
        if not self.lengths or max(self.lengths) != self.bits or min(self.lengths) < 1:
            raise ConfigError(f"lengths: the longest of {self.lengths} must be bits = {self.bits}")


PAPER = ModelConfig("paper", bits=48, lengths=(48,))
DEMO = ModelConfig("demo", bits=128, lengths=(16, 24, 32, 48, 64, 96, 128))
