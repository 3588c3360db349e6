"""What is refused before a handler sees it."""

from __future__ import annotations

from typing import Any

import gradio as gr
import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from daah.ui.server import inputs, middleware


@pytest.mark.parametrize(
    "value",
    [
        {"path": "http://127.0.0.1/x.jpg", "meta": {"_type": "gradio.FileData"}},
        {"path": "/etc/passwd"},
        [{"deep": {"path": "https://example.org/x", "meta": {"_type": "gradio.FileData"}}}],
        {"path": "/tmp/x", "meta": None},
    ],
)
def test_a_photo_by_address_or_without_a_mark_is_refused(value: Any) -> None:
    with pytest.raises(gr.Error, match="uploads only"):
        inputs.refuse_addresses(value)


def test_an_upload_passes() -> None:
    inputs.refuse_addresses([{"path": "/tmp/x", "meta": {"_type": "gradio.FileData"}}, 3, "text"])


def test_the_server_fetches_no_address_and_takes_no_large_body() -> None:
    async def answer(request: Any) -> PlainTextResponse:
        return PlainTextResponse("reached")

    routes = [Route("/{path:path}", answer, methods=["GET", "POST"])]
    client = TestClient(middleware.RequestGuard(Starlette(routes=routes), 1000))
    assert client.get("/gradio_api/file=/tmp/x").text == "reached"
    for path in ("file=http://10.0.0.1/", "file=HTTPS://example.org", "proxy=https://a.hf.space/"):
        assert client.get(f"/gradio_api/{path}").status_code == 403
    assert client.post("/gradio_api/upload", content=b"x" * 900).text == "reached"
    assert client.post("/gradio_api/upload", content=b"x" * 90_000).status_code == 413
