"""How many calls, and how many bytes of them, are in the server at a time.

A call is counted before its body is read, and refused at once where there is no room: bodies are
held in memory. Nobody takes more than half of the room.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import anyio
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daah.ui.rest.errors import ApiError
from daah.ui.server.failures import FAILED, note
from daah.ui.server.metrics import Metrics
from daah.ui.server.turns import client
from daah.ui.settings import Settings

#: Seconds after which a refused caller may try again.
_RETRY = {"Retry-After": "5"}

#: Methods that are counted by their names; callers may invent others.
_METHODS = ("GET", "POST", "PATCH", "DELETE")

_FULL = "The server is busy. Try again in a few seconds."
_SHARE = "Your address has half of the server's room already. Wait for results, then try again."
_SLOW = "The body did not arrive in time."
#: Said of a call whose time is over.
LATE = "The call took longer than it may, because the server is busy. Try again, or send less."


class Admission:
    """Counts what is in the server, by client.

    Args:
        calls: calls that may be in the server, together with events of the page that wait.
        most_bytes: bytes of their bodies.
        waiting: number of the page's events that wait.
    """

    def __init__(self, calls: int, most_bytes: int, waiting: Callable[[], int]) -> None:
        self._most, self._most_bytes, self._waiting = calls, most_bytes, waiting
        self._calls: Counter[tuple[str, str]] = Counter()
        self._bytes: Counter[tuple[str, str]] = Counter()

    @property
    def calls(self) -> int:
        """Calls in the server."""
        return self._calls.total()

    @property
    def bytes(self) -> int:
        """Bytes of their bodies."""
        return self._bytes.total()

    @contextmanager
    def admitted(self, who: tuple[str, str], size: int) -> Iterator[None]:
        """Count a call while it is in the server.

        Args:
            who: the client.
            size: bytes of the body.

        Raises:
            ApiError: there is no room, 503, or this client has its share, 429.
        """
        if self._calls[who] >= max(1, self._most // 2):
            raise ApiError(429, _SHARE, headers=_RETRY)
        if self._bytes[who] and self._bytes[who] + size > self._most_bytes // 2:
            raise ApiError(429, _SHARE, headers=_RETRY)
        if self.calls + self._waiting() >= self._most or (
            self.bytes and self.bytes + size > self._most_bytes
        ):
            raise ApiError(503, _FULL, "busy", _RETRY)
        self._calls[who] += 1
        self._bytes[who] += size
        try:
            yield
        finally:
            self._calls[who] -= 1
            self._bytes[who] -= size
            if not self._calls[who]:
                del self._calls[who], self._bytes[who]


class Limited:
    """ASGI application around the API: admits calls, ends late ones, and counts all of them.

    A failure that nobody foresaw is answered with a sentence, and logged without any value.

    Args:
        app: the API.
        admission: who is let in.
        settings: with the seconds that a call may take.
        metrics: where calls are counted.
        route: names the route of a call that was answered, for the figures.
    """

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        settings: Settings,
        metrics: Metrics,
        route: Callable[[Scope], str],
    ) -> None:
        self._app, self._admission, self._metrics = app, admission, metrics
        self._seconds, self._route = settings.api_seconds, route

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call."""
        started = time.monotonic()
        call = _Call(receive, send)
        size = int(Headers(scope=scope).get("content-length", "0"))  # RequestGuard has checked it
        scope = {**scope}  # routing writes into it
        error = None
        try:
            with (
                self._admission.admitted(client(Request(scope)), size),
                anyio.move_on_after(self._seconds) as limit,
            ):
                await self._app(scope, call.receive, call.send)
            if limit.cancelled_caught:
                waited = size > 0 and not call.arrived
                error = ApiError(408, _SLOW) if waited else ApiError(503, LATE, "busy", _RETRY)
        except ApiError as refused:
            error = refused
        except Exception as problem:  # FastAPI raises it again when its handler has answered
            note(problem)
            error = ApiError(500, FAILED)
        if error is not None and not call.status:
            await error.response()(scope, receive, call.send)
        name = self._route(scope)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        self._metrics.requests.labels(name, method, str(call.status or 0)).inc()
        self._metrics.request_seconds.labels(name).observe(time.monotonic() - started)


class _Call:
    """What has come and gone of one call."""

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self.arrived = False
        self.status = 0

    async def receive(self) -> Message:
        """The next piece of the body."""
        message = await self._receive()
        self.arrived = self.arrived or not message.get("more_body", False)
        return message

    async def send(self, message: Any) -> None:
        """A piece of the answer. Answers are kept nowhere."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message).setdefault("Cache-Control", "no-store")
        await self._send(message)
