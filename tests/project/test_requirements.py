"""Ranges of dependencies, their exact versions, and what the program imports agree."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]


def ranges() -> dict[str, list[Requirement]]:
    """Requirements by package: of the base installation and of every extra."""
    found: dict[str, list[Requirement]] = {}
    for text in (*PROJECT["dependencies"], *(text for extra in EXTRAS.values() for text in extra)):
        requirement = Requirement(text)
        if requirement.name != PROJECT["name"]:
            found.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return found


def pins(name: str) -> dict[str, str]:
    """Exact versions by package, of a file and of those that it names."""
    found: dict[str, str] = {}
    for line in (ROOT / name).read_text(encoding="utf-8").splitlines():
        if line.startswith("-r "):
            found |= pins(line.removeprefix("-r "))
        elif match := re.match(r"([\w.-]+)==([\w.]+)", line):
            found[canonicalize_name(match[1])] = match[2]
    return found


def packages(*extras: str) -> set[str]:
    """Packages of the base installation and of extras, with the extras that these name."""
    wanted = [*PROJECT["dependencies"], *(text for extra in extras for text in EXTRAS[extra])]
    found: set[str] = set()
    for requirement in map(Requirement, wanted):
        if requirement.name == PROJECT["name"]:
            found |= packages(*requirement.extras)
        else:
            found.add(canonicalize_name(requirement.name))
    return found


def test_every_exact_version_is_inside_its_range() -> None:
    known = pins("requirements-dev.txt")
    for package, wanted in ranges().items():
        for requirement in wanted:
            assert requirement.specifier.contains(known[package]), (requirement, known[package])


def test_the_space_and_training_install_what_their_extras_name() -> None:
    assert set(pins("requirements.txt")) == packages("app", "heif")
    assert set(pins("requirements-milvus.txt")) == {
        canonicalize_name(Requirement(text).name) for text in EXTRAS["milvus"]
    }
    assert set(pins("requirements-train.txt")) == packages("train", "heif")


def test_pytorch_is_in_neither_the_base_installation_nor_the_app() -> None:
    assert not {"torch", "torchvision", "accelerate"} & packages("app", "heif", "hub", "mcp")


def test_all_means_every_extra() -> None:
    (every,) = map(Requirement, EXTRAS["all"])
    assert every.extras == set(EXTRAS) - {"all"}
