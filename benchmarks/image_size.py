"""Size of the container without Docker: what its steps install and copy, in a fresh environment.

    python -m benchmarks.image_size --json docs/results/image.json

Needs the Python version of the Dockerfile, and installs from the package index. The base image is
not in the figures: it has to be added (`docker image inspect` says its size).
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import tempfile
import time
from pathlib import Path

from benchmarks.report import write
from tests.project.container import Step, copy_context, steps

ROOT = Path(__file__).resolve().parent.parent


def megabytes(folder: Path) -> float:
    """Size of all files below a folder, links not followed."""
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6


def python_of(read: list[Step]) -> str:
    """The Python version of the base image."""
    (base,) = [step.text for step in read if step.name == "FROM"]
    found = re.fullmatch(r"python:(\d+\.\d+)-slim", base)
    if not found:
        raise SystemExit(f"expected python:X.Y-slim, got {base}")
    return found[1]


def measure(python: str, read: list[Step]) -> list[dict[str, object]]:
    """Run the step that installs and the step that copies. Rows of the report."""
    (install,) = [shlex.split(s.text) for s in read if s.name == "RUN" and s.text.startswith("pip")]
    with tempfile.TemporaryDirectory() as folder:
        environment, app = Path(folder) / "environment", Path(folder) / "app"
        subprocess.run([python, "-m", "venv", str(environment)], check=True)
        before = megabytes(environment)  # the base image has pip too
        began = time.perf_counter()
        subprocess.run([str(environment / "bin" / "python"), "-m", *install], cwd=ROOT, check=True)
        seconds = time.perf_counter() - began
        app.mkdir()
        copy_context(ROOT, app)
        rows = [
            ("Packages", megabytes(environment) - before, "MB"),
            ("The app with its models and photos", megabytes(app), "MB"),
            ("Time of the installation", seconds, "s"),
        ]
    return [{"what": what, "value": round(value, 1), "unit": unit} for what, value, unit in rows]


def main() -> None:
    """Read the arguments and run."""
    read = steps(ROOT / "Dockerfile")
    version = python_of(read)
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--python", default=f"python{version}", metavar="FILE", help="the Python to install with"
    )
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    given = parser.parse_args()
    asked = "import sys; print('.'.join(map(str, sys.version_info[:2])))"
    done = subprocess.run([given.python, "-c", asked], capture_output=True, text=True, check=True)
    if done.stdout.strip() != version:
        parser.error(f"the image has Python {version}, {given.python} is {done.stdout.strip()}")
    report = {
        "title": "Size of the container, without its base image",
        "python": version,
        "rows": measure(given.python, read),
    }
    write(report, given.json)


if __name__ == "__main__":
    main()
