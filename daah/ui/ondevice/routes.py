"""What a page whose engine runs in the browser asks of the server: never more than a code."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import Any

import anyio
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daah.errors import ConfigError, DaahError
from daah.ui.ondevice import people
from daah.ui.ondevice.files import FOLDER, DeviceFiles
from daah.ui.server.turns import SHARE, client
from daah.ui.state.context import AppContext

#: Said when all places of the queue are taken.
FULL = "Too many searches are waiting. Try again in a moment."

#: Said when the codes of a gallery stay on the server.
KEPT = "This gallery's codes stay on the server. Search by a code instead."

_PRIVATE = {"Cache-Control": "no-store"}


class DeviceRoutes:
    """The routes: files, what a distance means, a search by code, all codes.

    Searches have one turn at a time, and a queue as long as the page's, of which a client has half.

    Args:
        context: the page's shared state.
        files: the engine's files.
    """

    def __init__(self, context: AppContext, files: DeviceFiles) -> None:
        self._context = context
        self._files = files
        self._turn = anyio.CapacityLimiter(1)
        self._waiting: Counter[tuple[str, str]] = Counter()

    def routes(self) -> list[Route]:
        """What the server is launched with."""
        return [
            Route(f"/{FOLDER}/setup", self._setup, methods=["GET"]),
            Route(f"/{FOLDER}/people", self._people, methods=["GET"]),
            Route(f"/{FOLDER}/search", self._search, methods=["POST"]),
            self._files.route(),
        ]

    async def _setup(self, request: Request) -> Response:
        context, files = self._context, self._files
        addresses = {"models": files.models, "examples": files.examples}
        return await self._answered(
            request, lambda: people.setup(context.retriever, context.settings) | addresses
        )

    async def _people(self, request: Request) -> Response:
        context = self._context
        if not people.shares_codes(context.retriever, context.settings):
            return _refused(403, "kept", KEPT)
        return await self._answered(request, lambda: people.people(context.retriever))

    async def _search(self, request: Request) -> Response:
        retriever = self._context.retriever
        try:
            body = json.loads(await request.body())
        except (ValueError, RecursionError):
            return _refused(422, "invalid", "expected JSON")
        try:
            code, bits, most = people.read_query(body, retriever)
        except ConfigError as problem:
            return _refused(422, "invalid", str(problem))
        return await self._answered(request, lambda: people.search(retriever, code, bits, most))

    async def _answered(self, request: Request, work: Callable[[], dict[str, Any]]) -> Response:
        """What `work` returns, in its turn, or why there is no turn."""
        mine, most = client(request), self._context.settings.queue_size
        if self._waiting.total() >= most:
            return _refused(503, "busy", FULL)
        if self._waiting[mine] >= max(1, most // 2):
            return _refused(429, "share", SHARE)
        self._waiting[mine] += 1
        try:
            answer = await anyio.to_thread.run_sync(work, limiter=self._turn)
        except DaahError as problem:
            return _refused(500, "gallery", str(problem))
        finally:
            self._waiting[mine] -= 1
            self._waiting += Counter()  # clients without a search are forgotten
        return JSONResponse(answer, headers=_PRIVATE)


def _refused(status: int, code: str, message: str) -> Response:
    """An error as JSON: a word for programs, a sentence for people."""
    headers = _PRIVATE | ({"Retry-After": "1"} if status in (429, 503) else {})
    return JSONResponse({"error": {"code": code, "message": message}}, status, headers=headers)
