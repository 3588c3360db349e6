"""What the web server refuses before Gradio sees it, and what it forgets on time.

Gradio's own routes stream any public address (`file=http...`), proxy addresses of Spaces, and keep
the last page of every session in memory. None of that is wanted here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import gradio as gr
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from daah.ui.refusal import Refusal

#: Parts of a path that ask the server to fetch from elsewhere.
_REFUSED = ("/file=http:", "/file=https:", "/proxy=")

#: Bytes of a request's body: an upload of the largest photo, and its form around it.
_SPARE = 64 * 1024


class Guard:
    """ASGI middleware: no address is fetched for a visitor, no body is larger than an upload."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self.app = app
        self.max_bytes = max_bytes + _SPARE

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse with 403 or 413, or pass on."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        path = scope["path"].lower().replace("//", "/")
        if any(part.replace("//", "/") in path for part in _REFUSED):
            await PlainTextResponse("Addresses are not fetched.", 403)(scope, receive, send)
            return
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self.max_bytes:
            text = "The upload is too large. Choose or export a smaller photo."
            await PlainTextResponse(text, 413)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def refuse_addresses(inputs: Any) -> None:
    """Raise Refusal when a value of an event names a file by address or without Gradio's mark.

    Gradio checks that a marked file was uploaded; it would download one given by address.
    """
    if isinstance(inputs, dict):
        if isinstance(inputs.get("path"), str):
            marked = (inputs.get("meta") or {}).get("_type") == "gradio.FileData"
            if not marked or "://" in inputs["path"]:
                raise Refusal("Photos are taken as uploads only, not by address.")
        values: Any = inputs.values()
    elif isinstance(inputs, list | tuple):
        values = inputs
    else:
        return
    for value in values:
        refuse_addresses(value)


def forget(demo: gr.Blocks, seconds: float, is_over: Callable[[Any], bool]) -> None:
    """Drop what Gradio still holds of visitors whose time is over.

    A State for which `is_over` holds becomes None, with the page drawn from it; a session not used
    for `seconds` loses its page too.
    """
    holder = demo.state_holder
    for key, session in list(holder.session_data.items()):
        over = [i for i, value in session.state_data.items() if is_over(value)]
        for component in over:
            session.state_data[component] = None  # without a value it would start anew
        last = holder.time_last_used.get(key)
        idle = last is None or (type(last).now() - last).total_seconds() > seconds
        if over or idle:
            for config in session.config_values.values():
                if config and "props" in config:
                    config["props"].pop("value", None)


def forgetting(
    demo: gr.Blocks, seconds: float, every: float, is_over: Callable[[Any], bool]
) -> Callable[[Any], contextlib.AbstractAsyncContextManager[None]]:
    """A lifespan for the web server that calls `forget` `every` so many seconds."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Any) -> AsyncIterator[None]:
        async def work() -> None:
            while True:
                await asyncio.sleep(every)
                forget(demo, seconds, is_over)

        task = asyncio.create_task(work())
        try:
            yield
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    return lifespan
