"""The base installation: what it does without any extra, and what it says of the rest."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from daah.errors import MissingPackageError
from daah.extras import EXTRAS, extra_packages

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

#: Modules whose package has another name.
PACKAGES = {
    "anyio": "gradio", "fastapi": "gradio", "pydantic": "typer", "starlette": "gradio",
    "grpc": "pymilvus",
    "PIL": "pillow", "faiss": "faiss-cpu", "facenet_pytorch": "facenet-pytorch",
    "pillow_heif": "pillow-heif", "prometheus_client": "prometheus-client",
    "skimage": "scikit-image", "sklearn": "scikit-learn",
}  # fmt: skip

#: A peer of tests and measurements, which are run in a clone.
DEVELOPMENT = {"dlib"}


def names(requirements: list[str]) -> set[str]:
    return {Requirement(text).name for text in requirements}


def imported() -> dict[str, set[str]]:
    """Third-party modules by the modules of daah that import them, also inside of functions."""
    found: dict[str, set[str]] = {}
    for path in (ROOT / "daah").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            modules = []
            if isinstance(node, ast.Import):
                modules = [name.name for name in node.names]
            elif isinstance(node, ast.ImportFrom) and not node.level:
                modules = [node.module or ""]
            for module in modules:
                top = module.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "daah":
                    found.setdefault(top, set()).add(path.relative_to(ROOT).as_posix())
    return found


def test_every_package_is_of_the_base_installation_or_of_an_extra() -> None:
    base = names(PROJECT["dependencies"])
    for module, users in imported().items():
        known = module in EXTRAS or PACKAGES.get(module, module) in base
        assert known or module in DEVELOPMENT, (module, users)


def test_extras_are_those_of_the_project() -> None:
    for module, extra in EXTRAS.items():
        wanted = names(PROJECT["optional-dependencies"][extra])
        assert PACKAGES.get(module, module) in wanted, module


def test_a_missing_package_is_named_with_its_extra() -> None:
    with (
        pytest.raises(MissingPackageError, match=r"Singing needs .* torch.*pip install 'daah\[tra"),
        extra_packages("Singing"),
    ):
        raise ModuleNotFoundError(name="torch.nn")
    with pytest.raises(ModuleNotFoundError), extra_packages("Singing"):  # nothing would bring it
        raise ModuleNotFoundError(name="throat")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> Path:
    folder = tmp_path_factory.mktemp("base")
    (folder / "people" / "Eileen").mkdir(parents=True)
    Image.fromarray(astronaut).save(folder / "people" / "Eileen" / "photo.png")
    return folder


def base(folder: Path, *commands: list[str]) -> list[tuple[int, str, str]]:
    """Commands in one process in which no package of an extra can be imported."""
    script = (
        "import json, sys\n"
        "class Absent:\n"
        "    def find_spec(name, *_):\n"
        f"        if name in {sorted(EXTRAS)}:\n"
        "            raise ModuleNotFoundError(name=name)\n"
        "sys.meta_path.insert(0, Absent)\n"
        "from typer.testing import CliRunner\n"
        "from daah.cli import app\n"
        "done = [CliRunner().invoke(app, command) for command in json.loads(sys.argv[1])]\n"
        "print(json.dumps([[one.exit_code, one.stdout, one.stderr] for one in done]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, json.dumps(commands)],
        capture_output=True,
        text=True,
        cwd=folder,
        env=os.environ | {"DAAH_GALLERY_FOLDER": str(folder), "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    return [tuple(one) for one in json.loads(done.stdout)]


@pytest.mark.slow
def test_the_base_installation_encodes_searches_and_keeps_galleries(folder: Path) -> None:
    done = base(
        folder,
        ["encode", "people/Eileen/photo.png"],
        ["search", "people/Eileen/photo.png", "-k", "1"],
        ["gallery", "build", "people", "--gallery", "mine"],
        ["search", "people", "--gallery", "mine", "--csv", "matches.csv"],
        ["gallery", "export", "mine.jsonl", "--gallery", "mine"],
    )
    assert [code for code, _, _ in done] == [0] * 5, done
    assert json.loads(done[1][1])["gallery"] == {"name": "congress", "entries": 696}
    assert json.loads(done[2][1])["added"] == 1
    assert "match,Eileen," in (folder / "matches.csv").read_text()


@pytest.mark.slow
def test_every_other_command_names_its_extra(folder: Path) -> None:
    commands = {
        "app": ["app"],
        "train": ["train", "--recipe", "paper", "--data", ".", "--out", "run"],
        "milvus": ["gallery", "build", "people", "--gallery", "milvus://localhost:1/faces"],
        "parquet": ["gallery", "add", "people.parquet", "--gallery", "new", "--create"],
    }
    (folder / "people.parquet").touch()
    checkpoint = str(ROOT / "checkpoints" / "demo.safetensors")
    done = base(
        folder,
        *commands.values(),
        ["encode", "people/Eileen/photo.png", "--checkpoint", checkpoint],
    )
    for extra, (code, out, said) in zip([*commands, "train"], done, strict=True):
        assert (code, out) == (1, ""), extra
        assert said.startswith("error: "), said
        assert f"pip install 'daah[{extra}]'" in said, said
