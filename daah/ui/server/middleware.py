"""What the web server refuses before Gradio sees it.

Gradio's own routes stream any public address (`file=http...`), proxy addresses of Spaces, and write
a visitor's page to the disk for good (`deep_link`). None of that is wanted here.
"""

from __future__ import annotations

import errno
import ipaddress
import os
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import gradio as gr
from gradio.route_utils import FnIndexInferError
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daah.ui.server import uploads
from daah.ui.server.failures import FAILED, note

#: Parts of a path that ask the server to fetch from elsewhere.
_REFUSED = ("/file=http:", "/file=https:", "/proxy=")

#: Gradio's routes that the page never uses, and what they would do: write a session to the disk,
#: keep and convert videos, edit the app, poll for each connection twenty times a second, list all
#: routes there are.
_CLOSED = (
    "/deep_link", "/process_recording", "/vibe-", "/undo-vibe-", "/dev/reload", "/openapi.json",
)  # fmt: skip

#: Bytes of a request's body: an upload of the largest photo, and its form around it.
_SPARE = 64 * 1024

#: Bytes of any other body. A frame of Live has a tenth of this; Gradio keeps parts of a body, such
#: as a session's name, for each of hundreds of sessions.
_JSON = 2**20

#: Bytes of a body that brings no more than a code.
_CODE = 4 * 1024

#: What the system says when it takes no more bytes.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

#: What the system says of a name that no file can have.
_NO_NAME = (errno.ENAMETOOLONG, errno.EINVAL, errno.EILSEQ)

#: Methods that change nothing. What a browser asks before a request of another site is none.
_READS = ("GET", "HEAD")


class Gate:
    """ASGI application around the whole server: pages of other sites start nothing here.

    It stands before all middleware, because Gradio's own answers what a browser asks before a
    request of another site, and allows it. local: the page may change the gallery, so pages of
    other sites get nothing at all.
    """

    def __init__(self, app: ASGIApp, local: bool = False) -> None:
        self.app = app
        self.local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        if scope["type"] == "http":
            headers = Headers(scope=scope)
            foreign = _from_elsewhere(headers)
            if self._refused(scope, headers, foreign):
                text = "Open this page at the address of its own server."
                await PlainTextResponse(text, 403)(scope, receive, send)
                return
            if foreign:  # so that nothing allows the other page to read the reply
                kept = [(name, value) for name, value in scope["headers"] if name != b"origin"]
                scope = {**scope, "headers": kept}
        await self.app(scope, receive, send)

    def _refused(self, scope: Scope, headers: Headers, foreign: bool) -> bool:
        if headers.get("origin") == "null":  # a page without an origin: sandboxed, or a file
            return True
        if foreign and (self.local or scope["method"] not in _READS):
            return True
        # A name of somebody else's that leads to this computer (DNS rebinding) is not its own.
        server = (scope.get("server") or ("",))[0]
        host = _hostname(headers.get("host", ""))
        return self.local and _is_loopback(server) and not _is_loopback(host)


class RequestGuard:
    """ASGI middleware: what no page of this app ever sends is refused with a status and a word.

    max_bytes: of an upload. max_stored: bytes in the upload folder from which on no more are taken.
    endpoints: names that other programs may call; Gradio only hides the rest.

    What fails behind it unforeseen is answered with a sentence, and logged without any value.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int,
        max_stored: int = 2**40,
        endpoints: tuple[str, ...] = (),
    ) -> None:
        self.app = app
        self.max_bytes = max_bytes + _SPARE
        self.max_stored = max_stored
        self.endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse, or pass on."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                # A browser must not find a page in what a visitor uploaded as a picture.
                MutableHeaders(scope=message)["X-Content-Type-Options"] = "nosniff"
            await send(message)

        try:
            if scope["type"] == "http" and (refused := self._refused(scope)):
                status, text = refused
                await PlainTextResponse(text, status)(scope, receive, send)
                return
            await self.app(scope, receive, noting)
        except Exception as problem:  # whatever it is, the server would print it with its values
            if scope["type"] != "http":
                raise
            if not begun:
                status, text = _excused(problem, scope)
                await PlainTextResponse(text, status)(scope, receive, send)
                return
            # Gradio raises within a stream of events whose session is not there (any more), after
            # it has said so in the stream. A page that outlives its server does that.
            if not isinstance(problem.__cause__, HTTPException | KeyError):
                note(problem)
            await send({"type": "http.response.body", "body": b""})

    def _refused(self, scope: Scope) -> tuple[int, str] | None:
        headers = Headers(scope=scope)
        path = scope["path"].lower().replace("//", "/")
        route = path.removeprefix("/gradio_api")
        if any(part.replace("//", "/") in path for part in _REFUSED):
            return 403, "URLs are not fetched."
        if route.startswith(_CLOSED) or self._private(route):
            return 404, "Not found."
        if "transfer-encoding" in headers:  # no length to check before it is read
            return 411, "Send the length of the upload."
        length = headers.get("content-length", "0")
        most = self.max_bytes if route.startswith("/upload") else _JSON
        if route.startswith("/on-device/"):
            most = _CODE
        if not length.isdigit() or int(length) > most:
            return 413, "The upload is too large. Choose or export a smaller photo."
        kind = headers.get("content-type", "")
        if route.startswith("/component_server") and not kind.startswith("application/json"):
            return 415, "Only JSON is accepted here."  # Gradio would store files out of our sight
        if route.startswith("/upload") and scope["method"] == "POST" and self._full():
            return 503, "The server holds as many photos as it can. Try again in a few minutes."
        return None

    def _private(self, route: str) -> bool:
        """Whether an event is called by its name that is not for other programs."""
        kind, _, name = route.removeprefix("/").partition("/")
        if kind == "call":
            return name.removeprefix("v2/").split("/")[0] not in self.endpoints
        return kind == "api" or (kind == "run" and name.rstrip("/") != "predict")

    def _full(self) -> bool:
        return uploads.stored_bytes(Path(gr.utils.get_upload_folder())) > self.max_stored


def _excused(problem: Exception, scope: Scope) -> tuple[int, str]:
    """What is said of a request that failed, with its status."""
    if isinstance(problem, AttributeError) and "/upload" in scope.get("path", ""):
        return 400, "Only files are accepted here."  # Gradio takes every part of an upload for one
    if isinstance(problem, FnIndexInferError):
        return 400, "Say which event: fn_index is missing."
    if isinstance(problem, OSError) and problem.errno in _NO_NAME:
        return 400, "No file can have such a name."
    note(problem)
    return 500, FAILED


def _from_elsewhere(headers: Headers) -> bool:
    """Whether a page of another site makes a browser send this.

    Programs say nothing of where they come from. A browser does, and says `same-origin` of what
    this page sends, which no script can forge; behind a proxy the host alone might be another one.
    """
    origin = headers.get("origin")
    if origin is None or headers.get("sec-fetch-site") == "same-origin":
        return False
    named = (headers.get("host"), headers.get("x-forwarded-host"), os.environ.get("SPACE_HOST"))
    own = {host.strip().lower() for name in named if name for host in name.split(",")}
    return _netloc(origin) not in own


def _netloc(address: str) -> str:
    """Host and port of an address; nothing of what is none."""
    try:
        return urlsplit(address).netloc.lower()
    except ValueError:
        return ""


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def full(_request: Any, error: Exception) -> PlainTextResponse:
    """An upload that the disk has no room for. Any other OSError is a failure, and raised again."""
    if not isinstance(error, OSError) or error.errno not in _NO_ROOM:
        raise error
    return PlainTextResponse("The server's disk is full. Try again in a few minutes.", 507)


def unknown(_request: Any, _error: Exception) -> PlainTextResponse:
    """Gradio looks up what a request names without asking whether it is there.

    Also said to a visitor who left in the middle of an upload, and cannot hear it.
    """
    return PlainTextResponse("Not found.", 404)
