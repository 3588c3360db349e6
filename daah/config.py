"""Settings: one frozen dataclass per concern. Unknown keys raise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from daah.errors import ConfigError

T = TypeVar("T")

#: Upper limit of the code length.
MOST_BITS = 4096


def from_mapping(kind: type[T], values: Mapping[str, Any]) -> T:
    """Build a settings dataclass from plain values.

    Args:
        kind: the dataclass.
        values: values of its fields by name; lists become tuples where the field is a tuple.

    Returns:
        An instance of `kind`.

    Raises:
        ConfigError: a key is not a field of `kind`, or a value is out of range.
        TypeError: a field without a default is missing.
    """
    valid = {f.name for f in dataclasses.fields(kind)}
    unknown = sorted(set(values) - valid)
    if unknown:
        raise ConfigError(f"unknown {kind.__name__} keys {unknown}; valid keys are {sorted(valid)}")
    listed = {f.name for f in dataclasses.fields(kind) if "tuple" in str(f.type)}
    return kind(**{k: tuple(v) if k in listed else v for k, v in values.items()})


def from_text(kind: type[T], text: str | None) -> T:
    """Build a settings dataclass from "name=value,name=value".

    Each value is parsed as the type of its field's default. Only integers, floats and booleans
    (true, false) can be given.

    Args:
        kind: the dataclass.
        text: comma-separated settings; None or "" gives the defaults.

    Returns:
        An instance of `kind`.

    Raises:
        ConfigError: a name is unknown, or a value cannot be parsed or is out of range.
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
    """Architecture of the network: enough to rebuild it from a checkpoint.

    Attributes:
        recipe: "paper" (section 3 of the paper, 32x32, closed set) or "demo" (transferred trunk).
        bits: length of the full code, at most `MOST_BITS`.
        lengths: lengths of the prefixes that are codes by themselves; the longest is `bits`.

    Raises:
        ConfigError: a value has another type or is out of range.
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
DEMO = ModelConfig("demo", bits=256, lengths=(16, 24, 32, 48, 64, 96, 128, 256))
