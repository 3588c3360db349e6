"""Committed figures by address: the only files of the working tree that the server hands out.

A tab of figures weighs nine megabytes as a page that holds them. By address each of them is sent
when it is looked at, and a browser keeps it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

#: Where figures are, below the address of the page.
FOLDER = "figures"

_TYPES = {".svg": "image/svg+xml", ".png": "image/png"}

#: A name says what is in the file, so that a browser need never ask again; an SVG opened by
#: itself runs and loads nothing.
_HEADERS = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
}


class Figures:
    """The figures that may be asked for, by names made of their contents.

    folder: whose PNG and SVG files they are; nothing below it and nothing else in it.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, Path] = {}
        self._names: dict[tuple[Path, int, int], str] = {}
        self.learn()

    def learn(self) -> None:
        """Look for figures that are new or have changed."""
        for path in sorted(self._folder.glob("*")):
            if path.suffix in _TYPES and path.is_file() and not path.is_symlink():
                self.address(path)

    def address(self, path: Path) -> str:
        """Where a figure is, relative to the page's address."""
        status = path.stat()
        key = path, status.st_mtime_ns, status.st_size
        if key not in self._names:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
            self._names[key] = f"{path.stem}-{digest}{path.suffix}"
            self._known[self._names[key]] = path
        return f"{FOLDER}/{self._names[key]}"

    def route(self) -> Route:
        """What answers at these addresses."""
        return Route(f"/{FOLDER}/{{name}}", self._answer, methods=["GET"])

    async def _answer(self, request: Request) -> Response:
        path = self._known.get(request.path_params["name"])
        if path is None or not path.is_file():
            return PlainTextResponse("Not found.", 404)
        return FileResponse(path, media_type=_TYPES[path.suffix], headers=_HEADERS)
