"""The wheel is the whole program: from any folder, without the repository, writing only there."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import daah
from tests.doubles.waiting import HANG, eventually

ROOT = Path(__file__).resolve().parents[2]
#: What setuptools reads.
SOURCES = (
    "daah",
    "checkpoints",
    "docs",
    "gallery/portraits",
    "gallery/examples",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, because setuptools leaves its own folders in what it builds from."""
    source = tmp_path_factory.mktemp("source")
    for name in SOURCES:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
            shutil.copytree(ROOT / name, source / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, source / name)
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
    reports = {
        f"daah/{path.relative_to(ROOT)}"
        for path in (ROOT / "docs" / "results").rglob("*.*")
        if path.is_file()
    }
    assert "daah/docs/results/open-set.json" in reports
    assert modules | static | models | photos | reports | {"daah/docs/MODEL_CARD.md"} <= held
    assert wheel.stat().st_size < 60 * 10**6


@pytest.fixture
def user(installed: Path, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody in a folder of theirs; nothing else is written."""
    (site,) = installed.glob("lib/python*/site-packages")
    before = {path: path.stat().st_mtime_ns for path in sorted(site.rglob("*"))}
    (tmp_path / "here").mkdir()
    (tmp_path / "home").mkdir()
    kept = ("DAAH", "GRADIO", "PYTHON", "XDG", "MPL")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(kept)}
    yield environment | {
        "HOME": str(tmp_path / "home"),
        "XDG_DATA_HOME": str(tmp_path / "data"),
        "TMPDIR": str(tmp_path / "tmp"),
        "MPLCONFIGDIR": str(tmp_path / "tmp"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert {path: path.stat().st_mtime_ns for path in sorted(site.rglob("*"))} == before
    assert {path.name for path in tmp_path.iterdir()} <= {"here", "home", "data", "tmp"}
    assert not list((tmp_path / "home").rglob("*"))


def test_an_installed_command_searches_from_another_folder(
    installed: Path, user: dict[str, str], tmp_path: Path, astronaut: np.ndarray
) -> None:
    here = tmp_path / "here"
    Image.fromarray(astronaut).save(here / "photo.png")
    command = str(installed / "bin" / "daah")
    assert _run(command, "--version", cwd=here, env=user).stdout == f"daah {daah.__version__}\n"
    done = _run(command, "search", "photo.png", "-k", "3", cwd=here, env=user)
    found = json.loads(done.stdout)
    assert found["gallery"] == {"name": "congress", "entries": 696}
    assert len(found["faces"][0]["matches"]) == 3
    assert (tmp_path / "data" / "daah" / "gallery" / "congress" / "gallery.json").is_file()
    listed = _run(command, "gallery", "list", cwd=here, env=user)
    assert len(json.loads(listed.stdout)["people"]) == 696
    # The README's snippet, on a photo that is here.
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    snippet = readme.split("## Use it from Python")[1].split("```python\n")[1].split("```")[0]
    script = re.sub(r'Path\(".*?"\)', 'Path("photo.png")', snippet)
    script += "\nimport sys; print({'torch', 'gradio', 'scipy'} & set(sys.modules))"
    said = _run(str(installed / "bin" / "python"), "-c", script, cwd=here, env=user).stdout
    assert "bits agree" in said
    assert said.endswith("set()\n")  # nothing that the base installation leaves out
    assert {path.name for path in here.iterdir()} == {"photo.png"}


def test_the_installed_app_answers_with_its_reports(
    installed: Path, user: dict[str, str], tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [str(installed / "bin" / "daah"), "app", "--local", "--port", str(port)]
    (tmp_path / "tmp").mkdir()
    with (tmp_path / "tmp" / "log").open("wb") as log:
        app = subprocess.Popen(
            command, cwd=tmp_path / "here", env=user, stdout=log, stderr=subprocess.STDOUT
        )

    def page() -> str:
        assert app.poll() is None, (tmp_path / "tmp" / "log").read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=HANG) as answer:
            return answer.read().decode()

    try:
        config = eventually(page, OSError)
        assert "This page cannot search" not in config
        assert "Model card" in config
        script = (
            "from daah.paths import PATHS\n"
            "from daah.models.encoder import load_encoder\n"
            "from daah.ui.quality.reports import sections\n"
            "known = sections([load_encoder(PATHS.checkpoint)])\n"
            "assert known and all(one.tables or one.pictures for one in known), known\n"
            "assert PATHS.baselines.is_file() and (PATHS.docs / 'MODEL_CARD.md').is_file()\n"
        )
        _run(str(installed / "bin" / "python"), "-c", script, cwd=tmp_path / "here", env=user)
        app.send_signal(signal.SIGTERM)
        assert app.wait(HANG) == 0
    finally:
        app.kill()
        app.wait()
    assert not list((tmp_path / "here").iterdir())
