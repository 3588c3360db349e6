"""A real Milvus server for the tests and benchmarks, installed by `milvus_install`."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import filelock
import trustme
from pymilvus import MilvusClient, MilvusException

from tests.doubles.milvus_install import cache, install

#: Seconds after which a server that does not answer, or does not end, never will.
HANG = 600.0

#: Where every server of that version notes its process, wherever its data are.
NOTES = Path("/tmp/milvus")

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
        self.alone = filelock.FileLock(cache() / "milvus-running.lock", thread_local=False)

    def uri(self, collection: str, token: str = TOKEN, **options: object) -> str:
        """Where `open_store` connects."""
        if self.guarded:
            options |= {"tls": "true", "ca": self.authority}
        asked = "&".join(f"{key}={value}" for key, value in options.items())
        who = f"{token}@" if self.guarded else ""
        return f"milvus://{who}127.0.0.1:{self.port}/{collection}" + (f"?{asked}" if asked else "")

    def start(self, seconds: float = HANG) -> None:
        """Start, and return when the server answers.

        Args:
            seconds: ends a hang; a server that does not answer by then never will.

        Raises:
            RuntimeError: the server cannot be installed, or it does not start; the last with the
                end of its log.
        """
        home = install()
        # Its embedded etcd has one port that cannot be moved: one server a machine at a time.
        self.alone.acquire(timeout=2 * HANG)
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
        for sign, seconds in ((signal.SIGTERM, 3.0), (signal.SIGKILL, HANG)):
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
        for note in NOTES.glob("server_id_*"):  # of this server: there is one at a time
            note.unlink()
        with suppress(OSError):  # never made, or not empty
            NOTES.rmdir()
        self.alone.release()

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


def _certificate(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1, and that of the authority which signed it."""
    if not folder.exists():
        folder.mkdir(parents=True)
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "ca.pem")
        server = authority.issue_cert("127.0.0.1", common_name="127.0.0.1")
        server.private_key_pem.write_to_path(folder / "server.key")
        for blob in server.cert_chain_pems:
            blob.write_to_path(folder / "server.pem", append=True)
    return folder


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
