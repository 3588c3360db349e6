"""Small things to train on: a bank of noise, a network, and a prepared tree of fake people."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from daah.data.prepare import INDEX, PreparedPhoto
from daah.detection.alignment import TEMPLATE
from daah.models.ddah import DemoDDAH
from daah.models.trunk import MobileFace
from daah.models.trunk_import import save_trunk
from daah.training.recipes import demo
from daah.training.recipes.bank import Bank
from daah.training.recipes.nested_code import NestedCodeSettings
from daah.training.steps import StageRun
from daah.types import ALIGNED_SIZE
from tests.doubles.faces import person_face

#: Where the landmarks of an aligned face are, in pixels of 112.
LANDMARKS = TEMPLATE / 2


def random_bank(count: int = 24) -> Bank:
    """Faces whose first stage is noise, and 3 more where one half of every second face is covered.

    Of four faces in a row the third has its left half covered, the fourth its right half.
    """
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1, (count, 32, 28, 28)).astype(np.float16)
    cover = np.zeros((count, 14, 14), np.float16)
    cover[2::4, :, :7] = 1
    cover[3::4, :, 7:] = 1
    first += 3 * np.kron(cover, np.ones((2, 2), np.float16))[:, None]
    copy = rng.uniform(0, 255, (count, 28, 28, 3)).astype(np.float16)
    target = rng.normal(0, 1, (count, 256)).astype(np.float32)
    return Bank(first, copy, 1 - cover, cover, target, np.ones((14, 14), np.float32))


def random_trunk() -> MobileFace:
    """A trunk with random weights that tells faces apart, as PyTorch's own initial ones do not."""
    torch.manual_seed(0)
    trunk = MobileFace().eval()
    for module in trunk.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
            nn.init.zeros_(module.bias)
    return trunk


def demo_network() -> DemoDDAH:
    """A network around such a trunk, as training starts with it."""
    trunk = random_trunk()
    network = DemoDDAH(bits=256).eval()
    network.transfer(trunk)
    return network


def changed(network: nn.Module, before: Mapping[str, torch.Tensor]) -> set[str]:
    """Names of the weights that are others than before."""
    now = network.state_dict()
    return {key for key, value in before.items() if not torch.equal(value, now[key])}


def copied(network: nn.Module) -> dict[str, torch.Tensor]:
    """The weights of a network as they are now."""
    return {key: value.clone() for key, value in network.state_dict().items()}


def names(part: str, count: int) -> list[str]:
    """Names of people of one part of the data.

    Args:
        part: "training", "kept out", "validation" or "test".
        count: how many.

    Returns:
        The names, told apart by the documented rules over their MD5.
    """
    found = []
    for number in range(1000):
        name = f"person_{number}"
        digest = int(hashlib.md5(name.encode()).hexdigest(), 16)
        fold, tenth = digest % 5, digest // 5 % 10
        kind = "test" if fold == 0 else "validation" if fold == 1 else "training"
        if kind == "training" and tenth == 0:
            kind = "kept out"
        if kind == part:
            found.append(name)
    return found[:count]


def write_prepared(root: Path, people: Mapping[str, int]) -> Path:
    """Write a tree of faces with its index, as `prepare` would.

    Args:
        root: the tree's folder.
        people: number of photos by name.

    Returns:
        The folder.
    """
    root.mkdir(parents=True)
    lines = []
    for number, (person, photos) in enumerate(people.items()):
        (root / person).mkdir()
        for photo in range(photos):
            face = f"{person}/{photo}.png"
            Image.fromarray(person_face(number, photo)).save(root / face)
            entry = PreparedPhoto(
                photo=f"{person}/{photo}.jpg",
                bytes=1,
                modified_ns=1,
                face=face,
                faces=1,
                shape=(ALIGNED_SIZE, ALIGNED_SIZE),
                box=[0.0, 0.0, 224.0, 224.0],
                landmarks=TEMPLATE.tolist(),
                matrix=[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]],
                score=0.99,
            )
            lines.append(json.dumps(asdict(entry)) + "\n")
    (root / INDEX).write_text("".join(lines))
    return root


def write_small_tree(root: Path) -> Path:
    """Write a prepared tree of twelve people: ten train, on two the hash layer is chosen."""
    return write_prepared(
        root, dict.fromkeys(names("training", 10), 3) | dict.fromkeys(names("kept out", 2), 3)
    )


def write_trunk(path: Path) -> Path:
    """Write a trunk with random weights, and give its path back."""
    save_trunk(random_trunk(), path)
    return path


def few_rounds(patch: pytest.MonkeyPatch) -> None:
    """Let the hash layer take a moment, until the patch is undone."""
    patch.setattr(demo, "NestedCodeSettings", functools.partial(NestedCodeSettings, rounds=2))


class StoppedError(Exception):
    """Ends a run in its middle, as a kill would."""


def stop_after(patch: pytest.MonkeyPatch, steps: int) -> None:
    """Let the step after so many steps of all stages fail, until the patch is undone."""
    taken, real = [], StageRun.update

    def update(run: StageRun, loss: torch.Tensor) -> None:
        if len(taken) == steps:
            raise StoppedError
        taken.append(run.stage.name)
        real(run, loss)

    patch.setattr(StageRun, "update", update)
