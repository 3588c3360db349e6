"""What a page of this server may load and run: its own files, and nothing of any other host."""

from __future__ import annotations

import os
import re
import secrets

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Key in the scope of a request for the page: what its own scripts are marked with.
NONCE = "daah.nonce"

_HEADER = "Content-Security-Policy"
_INLINE = re.compile(rb"<script(?=>| data-gradio-mode>)")

#: Gradio compiles its event handlers and templates from text ('unsafe-eval'), and sets styles by
#: attributes ('unsafe-inline'). Its scripts in the page are marked one by one. A worker is the
#: engine's; pictures are data URIs, and blobs of what a visitor chose on this device.
_RULES = (
    "default-src 'self'",
    "script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval'{nonce}",
    "worker-src 'self' blob:",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    "connect-src 'self' data: blob:",
    "object-src 'none'",
    "frame-src 'none'",
    "base-uri 'self'",
    "form-action 'self'",
    "frame-ancestors 'self'{frames}",
)

#: Pages that show a Space inside of them.
_SPACES = " https://huggingface.co https://*.huggingface.co"


class ContentPolicy:
    """ASGI middleware: every answer has a content security policy, unless it brought its own."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self._frames = _SPACES if os.environ.get("SPACE_ID") else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and add the header on the way out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        nonce = secrets.token_urlsafe(16) if scope["path"] == "/" else ""

        async def heading(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault(_HEADER, policy(nonce, self._frames))
            await send(message)

        await self.app({**scope, NONCE: nonce}, receive, heading)


def policy(nonce: str = "", frames: str = "") -> str:
    """The policy.

    Args:
        nonce: what scripts in the page are marked with; "" allows none.
        frames: hosts whose pages may show this one, each with a space before it.

    Returns:
        Value of the header.
    """
    marked = f" 'nonce-{nonce}'" if nonce else ""
    return "; ".join(_RULES).format(nonce=marked, frames=frames)


def with_nonce(page: bytes, nonce: str) -> bytes:
    """A page whose own scripts are marked, so that the policy lets them run.

    Args:
        page: HTML.
        nonce: as of `policy`; "" marks nothing.

    Returns:
        HTML. The mark has no quotes: Gradio's values in the page are JSON, and stay so.
    """
    if not nonce:
        return page
    return _INLINE.sub(b"<script nonce=" + nonce.encode(), page)
