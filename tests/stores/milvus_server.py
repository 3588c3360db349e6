"""A real Milvus server for the tests and benchmarks, from the wheel that carries one.

`milvus==2.3.5` on PyPI is the last version with a server inside. It is installed once, into an
environment of its own in the user's cache folder, because it pins nothing that the project needs.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import filelock
from pymilvus import MilvusClient, MilvusException

VERSION = "2.3.5"

#: Shorter beats than a cluster would use, so that a test waits tenths of a second, not seconds.
QUICK = {
    "proxy.timeTickInterval": 20,
    "queryCoord.checkInterval": 100,
    "queryCoord.distPullInterval": 50,
    "log.level": "error",
    "log.stdout": "false",
}


#: Starts a program and ends its whole group when the process that asked for it is no more.
WATCH = """
import os, signal, subprocess, sys
subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
sys.stdin.read()
os.killpg(0, signal.SIGKILL)
"""

#: The user that a new server has.
TOKEN = "root:Milvus"


class MilvusServer:
    """A standalone server with its data under `folder`, running within a `with` block.

    Its other ports are chosen by its own starter. It listens on every interface, as that version
    always does, for the time of the test; the tests talk to 127.0.0.1 alone.
    """

    def __init__(self, folder: Path, quick: bool = True, guarded: bool = False) -> None:
        """quick: shorter beats. guarded: with TLS, and a token that clients must know."""
        self.folder = folder
        self.port = _free_port()
        self.settings = QUICK if quick else {}
        self.guarded = guarded
        self.authority = folder / "tls" / "ca.pem"
        self.process: subprocess.Popen | None = None
        self.alone = filelock.FileLock(_cache() / "milvus-running.lock", thread_local=False)

    def uri(self, collection: str, token: str = TOKEN, **options: object) -> str:
        """Where `open_store` connects."""
        if self.guarded:
            options |= {"tls": "true", "ca": self.authority}
        asked = "&".join(f"{key}={value}" for key, value in options.items())
        who = f"{token}@" if self.guarded else ""
        return f"milvus://{who}127.0.0.1:{self.port}/{collection}" + (f"?{asked}" if asked else "")

    def start(self, seconds: float = 90) -> None:
        """Start, and return when the server answers. RuntimeError with its log when it does not."""
        home = install()
        # Its embedded etcd has one port that cannot be moved: one server a machine at a time.
        self.alone.acquire(timeout=600)
        self.folder.mkdir(parents=True, exist_ok=True)
        binaries = home / "server"  # the starter unpacks 250 MB here, once
        binaries.mkdir(exist_ok=True)
        if not (self.folder / "bin").exists():
            (self.folder / "bin").symlink_to(binaries)
        command = [str(home / "bin" / "milvus-server"), "--data", str(self.folder)]
        command += ["--proxy-port", str(self.port)]
        if self.guarded:
            keys = _certificate(self.authority.parent)
            command += ["--authorization-enabled", "true", "--tls-mode", "1"]
            command += ["--server-pem-path", str(keys / "server.pem")]
            command += ["--server-key-path", str(keys / "server.key")]
            command += ["--ca-pem-path", str(self.authority)]
        for key, value in self.settings.items():
            command += ["--extra-config", f"{key}={value}"]
        with (self.folder / "log").open("w") as log:
            # A session of its own, so that stopping ends the server and not only its starter.
            self.process = subprocess.Popen(
                [sys.executable, "-c", WATCH, *command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=self.folder,
            )
        deadline = time.monotonic() + seconds
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                logs = [*sorted(self.folder.glob("log*/*std*.log")), self.folder / "log"]
                tail = "\n".join(log.read_text()[-2000:] for log in logs)
                raise RuntimeError(f"Milvus did not start:\n{tail}")
            time.sleep(0.2)

    def stop(self) -> None:
        """End the starter and the server itself, and return when both are gone."""
        if self.process is None:
            return
        group = self.process.pid
        for sign, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, 10.0)):
            try:
                os.killpg(group, sign)
            except ProcessLookupError:
                break
            deadline = time.monotonic() + seconds
            while _alive(group) and time.monotonic() < deadline:
                self.process.poll()  # takes the starter's exit code, or it would stay as a zombie
                time.sleep(0.05)
        self.process.wait()
        self.process.stdin.close()
        if _alive(group):
            raise RuntimeError("the Milvus server is still running")
        self.process = None
        self.alone.release()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The server stands still within the block: it accepts connections and says nothing."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(self.process.pid, signal.SIGCONT)

    def __enter__(self) -> MilvusServer:
        self.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def _answers(self) -> bool:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", self.port)):
                return False
        scheme = "https" if self.guarded else "http"
        trust = {"server_pem_path": str(self.authority)} if self.guarded else {}
        try:
            client = MilvusClient(
                f"{scheme}://127.0.0.1:{self.port}", token=TOKEN, timeout=5, dedicated=True, **trust
            )
            client.list_collections(timeout=5)
            client.close()
        except MilvusException:
            return False
        return True


def install() -> Path:
    """The environment with the server in it, made at the first use."""
    home = _cache() / f"milvus-{VERSION}"
    with filelock.FileLock(_cache() / "milvus-install.lock"):
        if not (home / "installed").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
            pip = [home / "bin" / "python", "-m", "pip", "install", "--quiet"]
            subprocess.run([*pip, f"milvus=={VERSION}"], check=True)
            (home / "installed").touch()
    return home


def _certificate(folder: Path) -> Path:
    """A key for 127.0.0.1 and the certificate that signs itself, by the openssl program."""
    if not folder.exists():
        folder.mkdir(parents=True)
        subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
        command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        files = ["-keyout", folder / "server.key", "-out", folder / "server.pem"]
        subprocess.run([*command, *files, *subject], check=True, capture_output=True)
        (folder / "ca.pem").write_bytes((folder / "server.pem").read_bytes())
    return folder


def _cache() -> Path:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "daah"
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
