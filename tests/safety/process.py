"""An app in a process of its own, whose folders hold nothing else: every file can be looked at."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from benchmarks.visitor import Visitor
from tests.doubles.waiting import HANG, eventually

HERE = Path(__file__).resolve().parent


class Process:
    """`fake_app.py` over a gallery, with temporary, home and working folders under `root`.

    command: another script of this folder and its arguments. settings: as in the environment, such
    as keep_seconds=60.
    """

    def __init__(
        self,
        root: Path,
        gallery: Path | None = None,
        command: tuple[str | Path, ...] = (),
        **settings: object,
    ) -> None:
        self.root = root
        script, *arguments = command or ("fake_app.py", gallery)
        for name in ("tmp", "home", "work"):
            (root / name).mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}/"
        self.log = root / f"log-{port}.txt"
        environment = {
            **{name: value for name, value in os.environ.items() if name != "GRADIO_TEMP_DIR"},
            **{f"DAAH_{name.upper()}": str(value) for name, value in settings.items()},
            "PYTHONPATH": str(HERE.parents[1]),
            "TMPDIR": str(root / "tmp"),
            "HOME": str(root / "home"),
            "XDG_CACHE_HOME": str(root / "home" / ".cache"),
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_ANALYTICS_ENABLED": "False",
            "OMP_NUM_THREADS": "1",
        }
        with self.log.open("wb") as log:
            self.popen = subprocess.Popen(
                [sys.executable, "-W", "ignore", str(HERE / script), *map(str, arguments)],
                cwd=root / "work",
                env=environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def visitor(self) -> Visitor:
        """A new visitor; waits for the server to answer."""
        return eventually(lambda: Visitor(self.url, timeout=HANG), OSError)

    def later(self, seconds: float) -> None:
        """Put the clocks of `fake_app.py` forward."""
        self.popen.stdin.write(f"{seconds}\n".encode())
        self.popen.stdin.flush()

    def stop(self, how: int = signal.SIGTERM) -> int:
        """End the process and return its exit code."""
        self.popen.send_signal(how)
        return self.popen.wait(HANG)

    def files(self) -> list[Path]:
        """All files in its folders, and those it holds open."""
        opened = []
        for link in Path(f"/proc/{self.popen.pid}/fd").glob("*"):
            try:
                if os.path.realpath(link).startswith(str(self.root)) and link.is_file():
                    opened.append(link)
            except OSError:  # closed meanwhile
                continue
        # Unlike rglob, this passes over a folder that the server deletes meanwhile.
        there = (Path(top, name) for top, _, names in os.walk(self.root) for name in names)
        return [path for path in there if path.is_file()] + opened

    def holding(self, *traces: bytes) -> list[str]:
        """Files with one of these in their name or content."""
        found = []
        for path in self.files():
            try:
                content = path.read_bytes()
            except OSError:
                continue
            if any(trace in content or trace in str(path).encode() for trace in traces):
                found.append(str(path))
        return found

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait(HANG)
        self.popen.stdin.close()
