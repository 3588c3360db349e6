"""What an assistant can ask of the app by the Model Context Protocol, by its own client."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable
from typing import Any

import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool
from PIL import Image

from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import awaited

pytestmark = pytest.mark.slow


def encoded(*colours: str) -> str:
    """A photo with a square of each colour, which stands for a face, as base64 text."""
    buffer = io.BytesIO()
    Image.fromarray(photo(*((PEOPLE[colour], 300) for colour in colours))).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


@pytest.fixture
def url(launch: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of an app that is started for assistants."""
    monkeypatch.setenv("GRADIO_MCP_SERVER", "True")
    return launch()


async def _session(url: str, work: Callable[[ClientSession], Any]) -> Any:
    async with (
        streamable_http_client(f"{url}gradio_api/mcp/") as (reader, writer, _),
        ClientSession(reader, writer) as session,
    ):
        await session.initialize()
        return await work(session)


def tools(url: str) -> list[Tool]:
    """What the app offers to assistants."""
    return awaited(_session, url, lambda session: session.list_tools()).tools


def call(url: str, name: str, **arguments: Any) -> CallToolResult:
    """Call one tool."""
    return awaited(_session, url, lambda session: session.call_tool(name, arguments))


def test_the_tool_that_is_offered_says_what_it_takes_and_takes_it(url: str) -> None:
    (tool,) = tools(url)
    properties = tool.inputSchema["properties"]
    assert set(properties) == {"photo", "k", "bits"}
    assert tool.inputSchema["required"] == ["photo"]
    assert "base64" in properties["photo"]["description"]
    assert "url" not in str(tool.inputSchema).lower()
    for text in (encoded("red", "blue"), f"data:image/png;base64,{encoded('red', 'blue')}"):
        answer = call(url, tool.name, photo=text, k=2)
        assert not answer.isError
        told = answer.content[0].text
        assert "'person': 'red'" in told
        assert "'person': 'blue'" in told


def test_anything_else_is_answered_with_a_sentence(
    url: str, capfd: pytest.CaptureFixture[str]
) -> None:
    capfd.readouterr()
    for wrong in (
        "http://127.0.0.1:1/x.png", "file:///etc/passwd", "/etc/passwd", "", "?", "aGVsbG8=",
        "data:text/html;base64,aGVsbG8=", "x;base64,aGVsbG8=",
    ):  # fmt: skip
        answer = call(url, "search_base64", photo=wrong)
        assert answer.isError
        assert answer.content[0].text.endswith(".")
        assert "/etc" not in answer.content[0].text
        # The endpoint that takes uploads is not offered, and fetches nothing either.
        assert call(url, "search", photo=wrong).isError
        printed = capfd.readouterr()
        assert "Traceback" not in printed.err
        assert wrong == "" or wrong not in printed.err + printed.out
