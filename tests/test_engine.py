"""The one engine: it reports to nobody, and nothing else in the project loads it otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from daah import engine
from daah.paths import PATHS
from tests.doubles.imports import imported

ROOT = Path(__file__).resolve().parents[1]


def test_a_graph_gives_its_outputs_in_order() -> None:
    rnet = engine.Graph((PATHS.detector / "rnet.onnx").read_bytes(), threads=2)
    shifts, probabilities = rnet(rgb=np.zeros((3, 24, 24, 3), np.uint8))
    assert shifts.shape == (3, 4)
    assert probabilities.shape == (3,)


def test_it_leaves_no_identifier_and_no_reports(tmp_path: Path) -> None:
    """Where reports are on, loading a model writes an identifier and a queue of them."""
    # The engine's own tests and builds are exempt from reports, by these.
    exempt = ("CI", "ORT_", "GITHUB", "TF_BUILD", "BUILD", "JENKINS", "XDG")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(exempt)}
    script = "from daah.detection.detector import FaceDetector; FaceDetector()"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment | {"HOME": str(tmp_path), "ORT_DISABLE_TELEMETRY": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert list(tmp_path.rglob("*")) == []


def test_nothing_else_imports_onnx_runtime() -> None:
    """Whoever imports it first decides for the whole process."""
    importing = {
        path.relative_to(ROOT).as_posix()
        for folder in ("daah", "scripts", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if "onnxruntime" in imported(path)
    }
    assert importing == {"daah/engine.py"}
