"""The container without Docker: its steps are read and run in a folder, as its user would."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.doubles.waiting import HANG, eventually
from tests.project.container import Step, copy_context, environment_of, steps, variables

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ("requirements.txt", "requirements-milvus.txt")


@pytest.fixture(scope="module")
def read() -> list[Step]:
    return steps(ROOT / "Dockerfile")


def only(read: list[Step], name: str) -> Step:
    (step,) = [step for step in read if step.name == name]
    return step


def test_a_user_of_its_own_serves_and_may_write_to_the_gallery_alone(read: list[Step]) -> None:
    user = only(read, "USER").text
    names = [step.name for step in read]
    runs = [step.text for step in read if step.name == "RUN"]
    assert user not in ("root", "0")
    assert any(run.startswith("useradd ") and run.endswith(f" {user}") for run in runs)
    assert names.index("USER") < names.index("CMD")
    assert not [step for step in read if step.name == "COPY" and "chown" in step.options]
    assert [run for run in runs if "chown" in run or run.startswith("install ")] == [
        f"install -d -o {user} -g {user} galleries"
    ]
    assert not [run for run in runs if "python" in run]  # no gallery is built as root


def test_only_what_the_app_needs_is_installed(read: list[Step]) -> None:
    (step,) = [step for step in read if step.name == "RUN" and "pip" in step.text]
    assert step.text == (
        "pip install --no-cache-dir -r requirements.txt -r requirements-milvus.txt"
    )
    copied = next(step.text for step in read if step.name == "COPY")
    assert copied == f"{' '.join(REQUIREMENTS)} ."


def test_what_is_copied_is_what_the_app_needs(read: list[Step], tmp_path: Path) -> None:
    assert [step.text for step in read if step.name == "COPY"][1:] == [". ."]
    for name in (
        "gallery/mine/gallery.json",
        "daah/__pycache__/x.pyc",
        "tests/x.py",
        "tests/__pycache__/y",
    ):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for name in (
        ".dockerignore",
        "app.py",
        "gallery/README.md",
        "gallery/portraits/faces/A000022.jpg",
        "gallery/examples/group.jpg",
        "docs/tests/kept.md",
        "daah/runs/kept.py",
    ):
        path = tmp_path / "root" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / name).read_bytes() if (ROOT / name).exists() else b"")
    copied = {str(name) for name in copy_context(tmp_path / "root", tmp_path / "copy")}
    assert copied == {
        ".dockerignore", "app.py", "gallery/README.md", "gallery/portraits/faces/A000022.jpg",
        "gallery/examples/group.jpg", "docs/tests/kept.md", "daah/runs/kept.py"
    }  # fmt: skip


@pytest.mark.slow
def test_the_app_starts_from_the_copy_and_its_health_is_told(
    read: list[Step], tmp_path: Path
) -> None:
    app = tmp_path / "app"
    app.mkdir()
    copy_context(ROOT, app)
    (app / "galleries").mkdir()
    python = str(environment_of([app / name for name in REQUIREMENTS], tmp_path / "environment"))
    # What makes up most of an image where it is installed: 6 GB with CUDA.
    torch = subprocess.run([python, "-c", "import torch"], capture_output=True, text=True)
    assert "No module named 'torch'" in torch.stderr
    before = {path: path.stat().st_mtime_ns for path in app.rglob("*") if path.is_file()}
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert variables(read)["GRADIO_SERVER_NAME"] == "0.0.0.0"
    assert variables(read)["GRADIO_SERVER_PORT"] == only(read, "EXPOSE").text
    hidden = ("DAAH", "GRADIO", "PYTHON", "MPL")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(hidden)},
        **variables(read),
        "GRADIO_SERVER_NAME": "127.0.0.1",  # a test listens on this machine alone
        "GRADIO_SERVER_PORT": str(port),
        "MPLCONFIGDIR": str(tmp_path / "matplotlib"),
        "TMPDIR": str(tmp_path),
        "HOME": str(tmp_path / "home"),
    }

    def healthy() -> bool:
        command = only(read, "HEALTHCHECK").command
        assert command[0] == "python"
        run = [python, *command[1:]]
        return subprocess.run(run, env=environment, capture_output=True).returncode == 0

    assert not healthy()
    command = only(read, "CMD").command
    assert command[0] == "python"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [python, *command[1:]], cwd=app, env=environment, stdout=log, stderr=log
        )
    try:
        eventually(lambda: healthy() or process.poll() is not None)
        assert process.poll() is None, (tmp_path / "log").read_text()
        assert healthy()
        process.send_signal(signal.SIGTERM)  # as a container is stopped
        assert process.wait(HANG) == 0
    finally:
        process.kill()
        process.wait()
    assert not healthy()
    after = {path: path.stat().st_mtime_ns for path in app.rglob("*") if path.is_file()}
    new = {path.relative_to(app) for path in after.keys() - before.keys()}
    # Gradio tries to write an interface file beside a component's module, and can do without.
    new.discard(Path("daah/ui/page/components.pyi"))
    assert {path.parts[0] for path in new} == {"galleries"}
    assert {path: after[path] for path in before} == before
    assert not list((tmp_path / "home").glob("*"))
