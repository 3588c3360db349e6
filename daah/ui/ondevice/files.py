"""Files of the engine in the browser by address: scripts, ONNX Runtime, networks, examples.

The server computes with the same networks, from the same files. An address names the contents, so
that a browser that has them need never ask again.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from daah.models.encoder import FaceEncoder
from daah.models.keyed import unkeyed
from daah.paths import PATHS
from daah.retrieval.retriever import FaceRetriever
from daah.ui.page.examples import EXAMPLES, PAIRS
from daah.ui.page.examples import FOLDER as EXAMPLE_FOLDER

#: Where all of this is, below the address of the page.
FOLDER = "on-device"

#: Files that detect faces, of `checkpoints/detector`.
DETECTOR = ("pnet", "rnet", "onet", "nms", "warp")

_STATIC = Path(__file__).parent / "static"

#: Kinds of files in `static`; others are not served.
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".json": "application/json",
    ".wasm": "application/wasm",
    ".gz": "application/gzip",  # the engine unpacks it, so that it works on any server
}

_HEADERS = {"Cache-Control": "public, max-age=31536000, immutable"}


class DeviceFiles:
    """What a browser fetches to compute by itself.

    Args:
        retriever: whose networks the browser is given.

    Attributes:
        base: address of the folder of scripts, relative to the page.
        models: addresses of the networks by name: those of `DETECTOR`, and "encoder". Empty for a
            retriever whose encoder is not a file; the page then has no engine in the browser.
        examples: addresses of the example photos, by the names of their files.
    """

    def __init__(self, retriever: FaceRetriever) -> None:
        scripts = {
            path.relative_to(_STATIC).as_posix(): path
            for path in sorted(_STATIC.rglob("*"))
            if path.suffix in _TYPES and path.is_file()
        }
        digest = hashlib.sha256()
        for name, path in scripts.items():
            digest.update(f"{name}\0{_digest(path)}\0".encode())
        version = digest.hexdigest()[:16]
        self.base = f"{FOLDER}/{version}/"
        self._known = {f"{version}/{name}": path for name, path in scripts.items()}
        encoder = unkeyed(retriever.encoder)  # a key stays on the server
        network = encoder.file if isinstance(encoder, FaceEncoder) else None
        self.models: dict[str, str] = {}
        if network is not None:
            self.models = {name: self._add(PATHS.detector / f"{name}.onnx") for name in DETECTOR}
            self.models["encoder"] = self._add(network)
        offered = {e.file for e in EXAMPLES} | {f for p in PAIRS for f in (p.first, p.second)}
        self.examples = {name: self._add(EXAMPLE_FOLDER / name) for name in sorted(offered)}

    def route(self) -> Route:
        """What answers at these addresses."""
        return Route(f"/{FOLDER}/{{name:path}}", self._answer, methods=["GET"])

    def _add(self, path: Path) -> str:
        name = f"files/{path.stem}-{_digest(path)[:16]}{path.suffix}"
        self._known[name] = path
        return f"{FOLDER}/{name}"

    async def _answer(self, request: Request) -> Response:
        path = self._known.get(request.path_params["name"])
        if path is None or not path.is_file():
            return PlainTextResponse("Not found.", 404)
        kind = _TYPES.get(path.suffix, "image/jpeg" if path.suffix == ".jpg" else None)
        return FileResponse(path, media_type=kind or "application/octet-stream", headers=_HEADERS)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
