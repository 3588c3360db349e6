"""How long `python app.py` takes to answer, and how much memory it takes, with a ready gallery.

    python -m benchmarks.start_up --json docs/results/start-up.json

The app runs in a process of its own. The first start builds the gallery where it is missing and is
not measured; the figures are of the second. "To the first answer" ends when the page itself is
served. Memory is the most that the process ever held, after a visitor used every tab.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.report import machine, write
from benchmarks.visitor import Visitor
from daah.ui.page.examples import EXAMPLES

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Started:
    """A running app. seconds, processor_seconds: from its start to its first answer."""

    url: str
    process: int
    seconds: float
    processor_seconds: float

    def peak_megabytes(self) -> float:
        """The most memory that the process has held so far."""
        status = Path(f"/proc/{self.process}/status").read_text()
        found = re.search(r"VmHWM:\s+(\d+) kB", status)
        return int(found[1]) / 1024 if found else float("nan")


@contextmanager
def started(gallery: Path | None = None, patience: float = 300) -> Iterator[Started]:
    """`python app.py` as a fresh process, stopped at the end. gallery: served by `daah app`."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/"
    command = ["app.py"] if gallery is None else ["-m", "daah", "app", "--gallery", str(gallery)]
    with tempfile.TemporaryDirectory() as uploads:
        environment = os.environ | {
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": uploads,
            "PYTHONPATH": str(ROOT),
        }
        began = time.perf_counter()
        app = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(url, app, began + patience)
            yield Started(url, app.pid, time.perf_counter() - began, processor_seconds(app.pid))
        finally:
            app.send_signal(signal.SIGTERM)
            try:
                app.wait(30)
            except subprocess.TimeoutExpired:
                app.kill()
                app.wait()


def _wait_for(url: str, app: subprocess.Popen, deadline: float) -> None:
    while time.perf_counter() < deadline:
        if app.poll() is not None:
            raise RuntimeError(f"the app ended by itself, with code {app.returncode}")
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                if b"This page cannot search" in answer.read():
                    raise RuntimeError("the app serves a notice instead of itself")
                return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.05)
    raise TimeoutError("the app did not answer")


def processor_seconds(process: int) -> float:
    """User and system time of a process and its threads so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def use_everything(url: str) -> None:
    """What a visitor does on each tab that computes something."""
    visitor = Visitor(url)

    def do(part: str, event: str, values: dict | None = None, data: dict | None = None) -> None:
        if error := visitor.send(part, event, values, data).error:
            raise RuntimeError(f"{part} {event}: {error}")

    for example in reversed(EXAMPLES):
        photo = visitor.photo(example.file, example.path.read_bytes())
        do("photo", "input", {"photo": photo})
    do("cells", "select", data={"do": "bit", "index": 3})
    do("pairs", "select", data={"do": "pair", "index": 0})
    do("methods-examples", "select", data={"do": "example", "index": 1})


def measure(gallery: Path | None = None) -> list[dict[str, object]]:
    """The rows of the report, of one start over a gallery that is ready."""
    with started(gallery) as app:
        after_start = app.peak_megabytes()
        use_everything(app.url)
        rows = [
            (
                "From the start to the first answer",
                app.seconds,
                "s",
                "under 20 s, on a free machine",
            ),
            ("Processor time until then", app.processor_seconds, "s", "under 20 s"),
            ("Memory at the most until then", after_start, "MB", "under 2,000 MB"),
            ("Memory at the most, all tabs used", app.peak_megabytes(), "MB", "under 2,000 MB"),
        ]
    return [
        {"what": what, "value": round(value, 2), "unit": unit, "promise": promise}
        for what, value, unit, promise in rows
    ]


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--gallery", type=Path, help="a built one, instead of gallery/orl")
    parser.add_argument("--json", type=Path, help="write the report here, not to stdout")
    given = parser.parse_args()
    with started(given.gallery):
        pass  # builds the gallery, and lets the disk's cache be as it is for any later start
    report = {
        "title": "Start and memory of the app",
        "machine": machine(),
        "rows": measure(given.gallery),
    }
    write(report, given.json)


if __name__ == "__main__":
    main()
