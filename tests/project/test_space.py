"""What a Hugging Face Space and a container read: keys, versions, files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from PIL import Image

from daah import keys
from daah.ui.settings import Settings
from tests.project.container import steps

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEPLOY = (ROOT / "docs" / "DEPLOY.md").read_text(encoding="utf-8")
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


@pytest.fixture(scope="module")
def matter() -> dict:
    """The front matter, read as Spaces do."""
    return yaml.safe_load(README.split("---\n")[1])


def pinned(name: str) -> str:
    """A version in requirements.txt."""
    text = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    found = re.search(rf"^{re.escape(name)}==(\S+)$", text, re.MULTILINE)
    assert found, name
    return found[1]


def test_every_key_is_there_with_a_value_that_spaces_take(matter: dict) -> None:
    assert set(matter) == {
        "title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version",
        "app_file", "short_description", "thumbnail", "tags", "license", "suggested_hardware",
    }  # fmt: skip
    assert matter["sdk"] == "gradio"
    assert {matter["colorFrom"], matter["colorTo"]} <= COLOURS
    assert matter["suggested_hardware"] == "cpu-basic"
    assert len(matter["short_description"]) <= 60
    assert all(re.fullmatch(r"[a-z0-9-]+", tag) for tag in matter["tags"])


def test_versions_are_those_that_are_pinned(matter: dict) -> None:
    assert matter["sdk_version"] == pinned("gradio")
    assert isinstance(matter["sdk_version"], str)
    assert isinstance(matter["python_version"], str)  # 3.1 and 3.10 would be one number
    assert f"FROM python:{matter['python_version']}-" in (ROOT / "Dockerfile").read_text()
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    wanted = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==\S+", line) for line in wanted)


def test_files_that_are_named_exist(matter: dict) -> None:
    for key in ("app_file", "thumbnail"):
        assert (ROOT / matter[key]).is_file(), key
    with Image.open(ROOT / matter["thumbnail"]) as picture:
        assert picture.size == (1200, 630)  # what sites that preview links show uncut
    assert "MIT" in (ROOT / "LICENSE").read_text()


def test_no_shipped_file_needs_large_file_storage() -> None:
    models = [path for path in (ROOT / "checkpoints").rglob("*.*") if path.suffix != ".md"]
    photos = [
        path
        for folder in ("portraits", "examples")
        for path in (ROOT / "gallery" / folder).rglob("*.*")
    ]
    assert sum(path.stat().st_size for path in photos) < 15 * 10**6
    shipped = [*models, *(ROOT / "docs").rglob("*.*"), *photos]
    assert {".onnx", ".safetensors", ".jpg", ".npz"} <= {path.suffix for path in shipped}
    assert {path.name for path in shipped if path.stat().st_size >= 10 * 10**6} == set()


def test_the_container_runs_what_a_space_runs(matter: dict) -> None:
    (started,) = [step.command for step in steps(ROOT / "Dockerfile") if step.name == "CMD"]
    assert started == ["python", matter["app_file"]]


def test_the_settings_that_are_described_exist_with_these_defaults() -> None:
    rows = re.findall(r"^\| `DAAH_(\w+)` \| (.*?) \|", DEPLOY, re.MULTILINE)
    assert len(rows) >= 7
    for name, default in rows:
        if f"DAAH_{name}" == keys.KEY_FILE:  # a secret's place, which no setting holds
            assert default.strip() == "none"
            continue
        value = getattr(Settings(), name.lower())
        shown = str(int(value) if isinstance(value, bool) else value) or "none"
        assert shown == default.strip(), name
