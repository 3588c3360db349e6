"""A Dockerfile read as Docker does, as far as this project's needs: steps, variables, COPY, pip."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement


@dataclass(frozen=True)
class Step:
    """An instruction: its name in capitals, its options (`--interval=30s`), and the rest."""

    name: str
    options: dict[str, str]
    text: str

    @property
    def command(self) -> list[str]:
        """The words of an instruction in exec form, after CMD in that of a health check."""
        return json.loads(self.text.removeprefix("CMD "))


def steps(dockerfile: Path) -> list[Step]:
    """The instructions of a Dockerfile, lines joined and comments left out."""
    kept = [line for line in dockerfile.read_text().splitlines() if not line.startswith("#")]
    found = []
    for line in "\n".join(kept).replace("\\\n", " ").splitlines():
        if line.strip():
            name, _, rest = line.strip().partition(" ")
            options = {}
            while match := re.match(r"--([a-z-]+)=(\S+)\s+", rest):
                options[match[1]] = match[2]
                rest = rest[match.end() :]
            found.append(Step(name.upper(), options, " ".join(rest.split())))
    return found


def variables(read: list[Step]) -> dict[str, str]:
    """What ENV sets."""
    pairs = [pair for step in read if step.name == "ENV" for pair in step.text.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def copy_context(root: Path, target: Path) -> list[Path]:
    """Copy what `COPY . .` copies, and return the files' names.

    Patterns of .dockerignore: a folder takes along what is in it, `**/` stands for any folders,
    `!` brings back, and the last that fits decides.
    """
    patterns = [
        line
        for line in (root / ".dockerignore").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    copied = []
    folders = [root]
    while folders:
        for path in sorted(folders.pop().iterdir()):
            name = path.relative_to(root)
            if path.is_dir() and not path.is_symlink():
                if not _ignored(name, patterns) or any(
                    p[1:].startswith(f"{name}/") for p in patterns
                ):
                    folders.append(path)
            elif not _ignored(name, patterns):
                (target / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target / name)
                copied.append(name)
    return copied


def _ignored(name: Path, patterns: list[str]) -> bool:
    ignored = False
    above = [name, *name.parents[:-1]]
    for pattern in patterns:
        back = pattern.startswith("!")
        if any(_fits(part.as_posix(), pattern.removeprefix("!")) for part in above):
            ignored = not back
    return ignored


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        parts = name.split("/")
        return any(_fits("/".join(parts[n:]), pattern[3:]) for n in range(len(parts)))
    if name.count("/") != pattern.count("/"):
        return False
    return all(map(fnmatch.fnmatchcase, name.split("/"), pattern.split("/")))


def environment_of(requirements: Iterable[Path], folder: Path) -> Path:
    """A fresh environment with what pip would install for these files, and nothing else.

    Packages are links to those of the running environment, which has the same versions, so that it
    takes a moment and no network.

    Args:
        requirements: requirement files without options.
        folder: where to make it.

    Returns:
        Its Python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    found: dict[str, Distribution] = {}
    for path in requirements:
        for line in path.read_text(encoding="utf-8").splitlines():
            if line and not line.startswith("#"):
                wanted = Requirement(line)
                _add(found, wanted)
                assert wanted.specifier.contains(found[wanted.name].version), line
    for installed in found.values():
        for file in installed.files or ():
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (site / top).exists():
                (site / top).symlink_to(installed.locate_file(top))
    return folder / "bin" / "python"


def _add(found: dict[str, Distribution], wanted: Requirement) -> None:
    """A package, with all that it requires on this machine, by the names it is required by."""
    key = f"{wanted.name}[{','.join(sorted(wanted.extras))}]" if wanted.extras else wanted.name
    if key in found:
        return
    found[key] = distribution(wanted.name)
    found.setdefault(wanted.name, found[key])
    for line in found[key].requires or ():
        required = Requirement(line)
        marker = required.marker
        if not marker or any(marker.evaluate({"extra": e}) for e in ("", *wanted.extras)):
            _add(found, required)
