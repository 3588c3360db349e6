"""Stand-ins for the Hugging Face Hub: its cache as a folder, and its HTTP interface on this host.

The server knows what the client asks for to read a file, to make a repository, and to commit small
files; what it is sent is kept in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def write_snapshot(cache: Path, repository: str, files: dict[str, Path]) -> Path:
    """Lay files out as the client's cache does: blobs, a branch, and a snapshot of links."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    for part in (folder / "blobs", folder / "refs", snapshot):
        part.mkdir(parents=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name, path in files.items():
        data = path.read_bytes()
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).symlink_to(Path("../../blobs") / blob.name)
    return snapshot


@dataclass
class HubServer:
    """What is on the server, and what it was asked.

    files: by "OWNER/NAME/file". sizes: what it says of a file instead of its size. made: bodies of
    the requests that made repositories. commits: summary and files of each. tokens: as sent.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)
    made: list[dict[str, Any]] = field(default_factory=list)
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    tokens: list[str | None] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def hub_server() -> Iterator[HubServer]:
    """A server of this kind on a free port, until the block ends."""
    state = HubServer()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Nothing to the terminal."""

        def _file(self) -> None:
            name, _, file = self.path.removeprefix("/").partition("/resolve/")
            name = f"{name}/{file.partition('/')[2]}"
            if name not in state.files:
                known = any(other.startswith(name.rsplit("/", 1)[0]) for other in state.files)
                code = "EntryNotFound" if known else "RepoNotFound"
                self._answer(404, b"", {"X-Error-Code": code})
                return
            data = state.files[name]
            size = state.sizes.get(name, len(data))
            if self.command == "GET":
                state.sent.append(name)
            self._answer(
                200,
                data,
                {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": COMMIT},
                size,
            )

        do_HEAD = do_GET = _file

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.tokens.append(self.headers.get("Authorization"))
            if self.path == "/api/repos/create":
                state.made.append(json.loads(body))
                made = state.made[-1]
                name = f"{made.get('organization')}/{made['name']}"
                self._answer(200, json.dumps({"url": f"{state.address}/{name}"}).encode())
            elif self.path == "/api/validate-yaml":
                self._answer(200, b'{"warnings": [], "errors": []}')
            elif "/preupload/" in self.path:
                files = [
                    {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for file in json.loads(body)["files"]
                ]
                self._answer(200, json.dumps({"files": files}).encode())
            elif "/commit/" in self.path:
                rows = [json.loads(line) for line in body.splitlines()]
                (summary,) = [r["value"]["summary"] for r in rows if r["key"] == "header"]
                files = {
                    r["value"]["path"]: base64.b64decode(r["value"]["content"])
                    for r in rows
                    if r["key"] == "file"
                }
                state.commits.append((summary, files))
                name = self.path.removeprefix("/api/models/").partition("/commit/")[0]
                address = f"{state.address}/{name}/commit/{COMMIT}"
                said = {"commitUrl": address, "commitOid": COMMIT}
                self._answer(200, json.dumps(said).encode())
            else:
                self._answer(404, b"{}")

        def _answer(
            self,
            code: int,
            data: bytes,
            headers: dict[str, str] | None = None,
            size: int | None = None,
        ) -> None:
            self.send_response(code)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data) if size is None else size))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(data)

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        state.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield state
        finally:
            server.shutdown()
            thread.join()
