"""The notebook runs from its first cell to its last, writing nowhere but where it is told to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient

from tests.doubles.waiting import HANG

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "notebooks" / "daah.ipynb"


def test_it_is_committed_without_results() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(cells) >= 6
    for cell in cells:
        assert (cell.outputs, cell.execution_count) == ([], None)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KernelManager]:
    """A kernel over a pipe of this machine that keeps all that it writes in the test's folder."""
    for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR", "DAAH_GALLERY_FOLDER", "TMPDIR"):
        (tmp_path / name).mkdir()
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("PYDEVD_DISABLE_FILE_VALIDATION", "1")
    manager = KernelManager(
        kernel_name="python3", transport="ipc", ip=str(tmp_path / "kernel"), cache_ports=False
    )
    yield manager
    if manager.has_kernel:
        manager.shutdown_kernel(now=True)


@pytest.mark.slow
def test_it_runs(kernel: KernelManager, tmp_path: Path) -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    # What the reader's own installation may not have is not needed.
    notebook.cells.append(
        nbformat.v4.new_code_cell(
            "import sys\nprint('torch' in sys.modules, 'gradio' in sys.modules)"
        )
    )
    client = NotebookClient(
        notebook, km=kernel, timeout=HANG, resources={"metadata": {"path": str(NOTEBOOK.parent)}}
    )
    client.execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    said = "".join(output.get("text", "") for output in outputs)
    assert said.endswith("False False\n")
    assert re.search(r"match: .+, \d+ of 256 bits agree", said)
    assert "2 faces enrolled" in said
    assert re.search(r"match: Ann, \d+ of 256 bits agree", said)
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) >= 4
    assert {path.name for path in (tmp_path / "DAAH_GALLERY_FOLDER").iterdir()} == {"congress"}
    assert not list((tmp_path / "TMPDIR").glob("*/photos"))  # the example gallery is deleted
