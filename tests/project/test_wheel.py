"""The wheel: it holds every module and model, and searches from any folder, writing only there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
#: What setuptools reads.
SOURCES = (
    "daah",
    "checkpoints",
    "docs",
    "gallery/portraits",
    "gallery/examples",
    "pyproject.toml",
    "requirements.txt",
    "README.md",
    "LICENSE",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because setuptools leaves its own folders in what it builds from."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("wheel")
    options = ("--no-build-isolation", "--no-deps", "--no-index", "--wheel-dir", str(out))
    _run(sys.executable, "-m", "pip", "wheel", "-q", *options, str(source))
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment of its own with the wheel; everything else is that of this environment."""
    folder = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", str(folder))
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    options = ("-q", "--no-deps", "--no-index", "--no-compile")
    _run(str(folder / "bin" / "python"), "-m", "pip", "install", *options, str(wheel))
    return folder


def _run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done


def test_the_wheel_holds_every_module_and_model(wheel: Path) -> None:
    held = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "daah").rglob("*.py")}
    pages = (path for path in (ROOT / "daah/ui").glob("*/static/**/*") if path.is_file())
    static = {str(path.relative_to(ROOT)) for path in pages}
    models = {
        f"daah/{path.relative_to(ROOT)}"
        for path in (ROOT / "checkpoints").rglob("*")
        if path.suffix in (".safetensors", ".onnx") or "LICENSE" in path.name
    }
    assert len(models) >= 9
    photos = {
        f"daah/{path.relative_to(ROOT / 'gallery')}"
        for folder in ("portraits", "examples")
        for path in (ROOT / "gallery" / folder).rglob("*.*")
    }
    assert len(photos) > 700
    assert modules | static | models | photos <= held


def test_an_installed_command_searches_from_another_folder(
    installed: Path, tmp_path: Path, astronaut: np.ndarray
) -> None:
    (site,) = installed.glob("lib/python*/site-packages")
    before = {path: path.stat().st_mtime_ns for path in sorted(site.rglob("*"))}
    Image.fromarray(astronaut).save(tmp_path / "photo.png")
    environment = {name: value for name, value in os.environ.items() if "DAAH" not in name} | {
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = str(installed / "bin" / "daah")
    done = _run(command, "search", "photo.png", "-k", "3", cwd=tmp_path, env=environment)
    found = json.loads(done.stdout)
    assert found["gallery"] == {"name": "congress", "entries": 696}
    assert len(found["faces"][0]["matches"]) == 3
    assert (tmp_path / "data" / "daah" / "gallery" / "congress" / "gallery.json").is_file()
    listed = _run(command, "gallery", "list", cwd=tmp_path, env=environment)
    assert len(json.loads(listed.stdout)["people"]) == 696
    assert {path: path.stat().st_mtime_ns for path in sorted(site.rglob("*"))} == before
    assert {path.name for path in tmp_path.iterdir()} == {"photo.png", "data"}
