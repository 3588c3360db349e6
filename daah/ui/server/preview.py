"""What a link to the page looks like elsewhere: title, sentence, picture and icon.

Gradio writes its own name and picture into the head of every page, and in front of the app's. A
preview is made of the first of them, so that they are replaced on their way out.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import FileResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from daah.ui.server.policy import NONCE, with_nonce

TITLE = "Face hash search"
DESCRIPTION = (
    "Finds the person in a photo by a code of a few bytes, and shows where the network looked and "
    "which bits agree."
)

#: What the picture shows, for who cannot see it.
ALT = (
    "A face, the heatmap of what the network sees, its code as a barcode, and the person it was "
    "found to be"
)

_FILES = Path(__file__).parent / "static"

#: Made by `scripts.make_preview`: by the address of each, its file.
PICTURES = {
    "/preview.png": _FILES / "preview.png",
    "/favicon.ico": _FILES / "favicon.png",
    "/favicon.png": _FILES / "favicon.png",
}

_FOREIGN = re.compile(rb'<meta\s+(?:property="og:|name="twitter:)[^>]*>')
_HEAD = re.compile(rb"<head[^>]*>")

#: Where the head's tags end and the app's own values begin, which are left as they are.
_VALUES = b"window.gradio_config"


def routes() -> list[Route]:
    """What answers for the picture and the icon."""
    return [Route(path, _answer, methods=["GET"]) for path in PICTURES]


async def _answer(request: Request) -> FileResponse:
    headers = {"Cache-Control": "public, max-age=86400"}
    return FileResponse(PICTURES[request.url.path], media_type="image/png", headers=headers)


class Preview:
    """ASGI middleware: the page's head names this project instead of Gradio."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and change the page itself on its way out."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            await self.app(scope, receive, send)
            return
        start: Message | None = None
        held = bytearray()

        async def changing(message: Message) -> None:
            nonlocal start
            if message["type"] == "http.response.start":
                start = message
                return
            held.extend(message.get("body", b""))
            if message.get("more_body"):
                return
            assert start is not None
            body = with_preview(bytes(held), address(Request(scope)))
            body = with_nonce(body, scope.get(NONCE, ""))
            MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            await send({"type": "http.response.body", "body": body})

        await self.app(scope, receive, changing)


def address(request: Request) -> str:
    """Where the page is for whoever asks, without a slash at the end."""
    headers = request.headers
    scheme = headers.get("x-forwarded-proto", request.url.scheme).split(",")[0].strip()
    host = headers.get("x-forwarded-host", headers.get("host", "")).split(",")[0].strip()
    scheme = scheme if scheme in ("http", "https") else "https"
    return f"{scheme}://{host}{request.scope.get('root_path', '').rstrip('/')}"


def with_preview(page: bytes, own: str) -> bytes:
    """A page whose head has this project's preview, and no other.

    Args:
        page: HTML, UTF-8.
        own: address of the page.

    Returns:
        HTML; as it was where it has no head.
    """
    head, mark, rest = page.partition(_VALUES)
    found = _HEAD.search(head)
    if found is None:
        return page
    head = head[: found.end()] + _tags(own).encode() + _FOREIGN.sub(b"", head[found.end() :])
    return head + mark + rest


def _tags(own: str) -> str:
    own = escape(own)
    open_graph = {
        "title": TITLE,
        "description": DESCRIPTION,
        "type": "website",
        "url": f"{own}/",
        "image": f"{own}/preview.png",
        "image:width": "1200",
        "image:height": "630",
        "image:alt": ALT,
    }
    twitter = {"card": "summary_large_image"} | {
        name: open_graph[name] for name in ("title", "description", "image", "image:alt")
    }
    return (
        "".join(f'<meta property="og:{name}" content="{v}">' for name, v in open_graph.items())
        + "".join(f'<meta name="twitter:{name}" content="{v}">' for name, v in twitter.items())
        + f'<meta name="description" content="{DESCRIPTION}">'
        + '<link rel="icon" type="image/png" href="favicon.png">'
    )
