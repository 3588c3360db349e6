"""Time and memory of `daah search`, by the model's graph and by its checkpoint through PyTorch.

    python -m benchmarks.command_line --json docs/results/command-line.json

Each run is a process of its own, over a gallery that is ready; the first is not measured. Memory is
the most that the process ever held, without that of others; time is the median of the runs.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.report import machine, write
from daah.paths import PATHS

ROOT = Path(__file__).resolve().parent.parent

#: What is measured: the words of the report, and the model.
MODELS = {
    "by the graph in ONNX Runtime, as shipped": PATHS.checkpoint,
    "by the checkpoint, which PyTorch reads and exports first": PATHS.checkpoint.with_suffix(
        ".safetensors"
    ),
}


def run(model: Path, photo: Path, galleries: Path) -> tuple[float, float]:
    """Search a photo once.

    Args:
        model: the model.
        photo: the photo.
        galleries: folder of the built-in gallery, which is made in it where it is missing.

    Returns:
        Seconds, and the most memory in MB.

    Raises:
        RuntimeError: the command failed.
    """
    command = [sys.executable, "-m", "daah", "search", str(photo), "--checkpoint", str(model)]
    began = time.perf_counter()
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        env=os.environ | {"DAAH_GALLERY_FOLDER": str(galleries)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - began
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit code {child.returncode}")
    return seconds, usage.ru_maxrss / 1024


def measure(photo: Path, repeats: int) -> list[dict[str, object]]:
    """Measure every model.

    Args:
        photo: the photo that is searched.
        repeats: number of runs, at least 1.

    Returns:
        The rows of the report.
    """
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as galleries:
        for what, model in MODELS.items():
            run(model, photo, Path(galleries))
            runs = [run(model, photo, Path(galleries)) for _ in range(repeats)]
            seconds, megabytes = zip(*runs, strict=True)
            rows += [
                {
                    "what": f"Time, {what}",
                    "value": round(statistics.median(seconds), 2),
                    "unit": "s",
                },
                {"what": f"Peak memory, {what}", "value": round(max(megabytes)), "unit": "MB"},
            ]
    return rows


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--photo", type=Path, default=PATHS.examples / "another-year.jpg")
    parser.add_argument("--repeats", type=int, default=7, metavar="N")
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    given = parser.parse_args()
    report = {
        "title": "Time and memory of a search by the command line",
        "machine": machine(),
        "rows": measure(given.photo, given.repeats),
    }
    write(report, given.json)


if __name__ == "__main__":
    main()
