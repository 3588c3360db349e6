"""Settings, one frozen dataclass a concern. Unknown keys raise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from daah.errors import ConfigError

T = TypeVar("T")

#: Longer codes are not short codes any more.
MOST_BITS = 4096


def from_mapping(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build the dataclass `kind` from plain values; ConfigError lists unknown and valid keys."""
    valid = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - valid)
    if unknown:
        raise ConfigError(f"unknown {kind.__name__} keys {unknown}; valid keys are {sorted(valid)}")
    listed = {f.name for f in dataclasses.fields(kind) if "tuple" in str(f.type)}
    return kind(**{k: tuple(v) if k in listed else v for k, v in values.items()})


def from_text(kind: type[T], text: str | None) -> T:
    """Build `kind` from "name=value,name=value"; each value is read as its field's default is.

    Only whole numbers, numbers and switches (true, false) can be given so. Raises ConfigError.
    """
    values: dict[str, Any] = {}
    defaults = {f.name: f.default for f in dataclasses.fields(kind)}
    for part in text.split(",") if text else ():
        name, separator, value = (piece.strip() for piece in part.partition("="))
        default = defaults.get(name)
        if not separator or name not in defaults:
            raise ConfigError(f"{part!r}: expected NAME=VALUE with a name of {sorted(defaults)}")
        if isinstance(default, bool):
            if value not in ("true", "false"):
                raise ConfigError(f"{name}: expected true or false, got {value!r}")
            values[name] = value == "true"
        elif isinstance(default, int | float):
            try:
                values[name] = type(default)(value)
            except ValueError:
                raise ConfigError(
                    f"{name}: expected a number like {default}, got {value!r}"
                ) from None
        else:
            raise ConfigError(f"{name} cannot be set from the command line")
    return from_mapping(kind, values)


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
        if not all(type(number) is int for number in (self.bits, *self.lengths)):
            raise ConfigError(f"bits, lengths: expected whole numbers, got {self.lengths!r}")
        if (
            self.bits > MOST_BITS
        ):  # a network of any size would be built before its weights are read
            raise ConfigError(f"bits: expected at most {MOST_BITS}, got {self.bits}")
        if not self.lengths or max(self.lengths) != self.bits or min(self.lengths) < 1:
            raise ConfigError(f"lengths: the longest of {self.lengths} must be bits = {self.bits}")


PAPER = ModelConfig("paper", bits=48, lengths=(48,))
DEMO = ModelConfig("demo", bits=128, lengths=(16, 24, 32, 48, 64, 96, 128))
