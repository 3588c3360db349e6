"""The content security policy."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from daah.ui.server.policy import NONCE, ContentPolicy, policy, with_nonce

HEADER = "content-security-policy"


async def page(request: Any) -> HTMLResponse:
    """A page with a script of its own."""
    text = b"<head></head><script>1</script><script data-gradio-mode>2</script>"
    return HTMLResponse(with_nonce(text, request.scope[NONCE]))


async def own(request: Any) -> PlainTextResponse:
    """An answer that brings a policy."""
    return PlainTextResponse("", headers={HEADER: "default-src 'none'"})


@pytest.fixture
def client() -> TestClient:
    """A client of both."""
    app = Starlette(routes=[Route("/", page), Route("/own", own), Route("/other", page)])
    return TestClient(ContentPolicy(app))


def test_the_scripts_of_the_page_are_marked_and_no_others_run(client: TestClient) -> None:
    first, second = client.get("/"), client.get("/")
    allowed = first.headers[HEADER]
    nonce = allowed.partition("'nonce-")[2].partition("'")[0]
    assert first.text.count(f"<script nonce={nonce}") == 2
    assert nonce not in second.headers[HEADER]
    assert "'unsafe-inline'" not in allowed.partition("script-src")[2].partition(";")[0]
    assert "http" not in allowed


def test_other_answers_mark_nothing_and_keep_their_own_policy(client: TestClient) -> None:
    other = client.get("/other")
    assert other.headers[HEADER] == policy()
    assert "nonce" not in other.headers[HEADER] + other.text
    assert client.get("/own").headers[HEADER] == "default-src 'none'"


def test_only_a_space_may_be_shown_inside_of_another_page(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy().endswith("frame-ancestors 'self'")
    monkeypatch.setenv("SPACE_ID", "name/space")
    sent = TestClient(ContentPolicy(Starlette(routes=[Route("/", page)]))).get("/")
    assert sent.headers[HEADER].endswith("https://huggingface.co https://*.huggingface.co")
