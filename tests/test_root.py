"""The root of the package: a few public names, loaded when they are used."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import daah

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", daah.__all__)
def test_a_public_name_is_the_one_of_its_home(name: str) -> None:
    home = importlib.import_module(daah._HOMES[name])
    assert getattr(daah, name) is getattr(home, name)
    assert name in dir(daah)


def test_every_public_name_has_a_home() -> None:
    assert sorted(daah._HOMES) == daah.__all__


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'daah' has no attribute 'nothing'"):
        _ = daah.nothing


@pytest.mark.slow
def test_the_engine_keeps_and_sends_no_usage_data(tmp_path: Path) -> None:
    """It would begin with an identifier of the machine and a queue in the user's cache folder."""
    (tmp_path / "home").mkdir()
    script = (
        "import numpy as np\n"
        "from daah import load_encoder\n"
        "from daah.paths import PATHS\n"
        "faces = np.zeros((1, 224, 224, 3), np.uint8)\n"
        "print(len(load_encoder(PATHS.checkpoint).encode(faces)[0]))\n"
    )
    hidden = ("ORT_", "XDG_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(hidden)}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
        env=environment | {"HOME": str(tmp_path / "home")},
    )
    assert done.stdout == "1\n"
    assert not list((tmp_path / "home").rglob("*"))


def test_importing_the_package_alone_loads_nothing_of_weight() -> None:
    script = (
        "import sys, daah\n"
        "print(daah.__version__)\n"
        "dir(daah)\n"
        "print(*(name for name in sys.modules if name.startswith('daah.')))\n"
        "print(*{'torch', 'numpy', 'PIL', 'gradio', 'faiss', 'sklearn'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == [daah.__version__, "", ""]
