"""What an assistant can ask of the app by the Model Context Protocol, by its own client."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, Tool

from daah.errors import MissingPackageError
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import App, build_app
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.doubles.waiting import HANG, awaited
from tests.safety.conftest import painted
from tests.ui.serving import serve

pytestmark = pytest.mark.slow


def encoded(*colours: str) -> str:
    """A photo with a square of each colour, which stands for a face, as base64 text."""
    return base64.b64encode(painted(*colours)).decode()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an app that answers assistants."""
    retriever = fake_retriever.retriever(tmp_path_factory.mktemp("gallery") / "painted")
    demo = build_app(retriever, Settings(mcp=True), {})
    yield serve(demo)
    demo.close()


async def _session(url: str, work: Callable[[ClientSession], Any]) -> Any:
    async with (
        streamable_http_client(f"{url}mcp") as (reader, writer, _),
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


def values(answer: CallToolResult) -> dict[str, Any]:
    """The values that a tool answered."""
    assert not answer.isError, answer.content[0].text
    return json.loads(answer.content[0].text)


def test_the_tools_say_what_they_take(url: str) -> None:
    offered = {tool.name: tool for tool in tools(url)}
    assert list(offered) == ["search", "compare", "encode", "list_people"]
    for tool in offered.values():
        assert tool.description.endswith(".")
        assert tool.annotations.readOnlyHint
        for field in tool.inputSchema["properties"].values():
            assert field["description"].endswith(".")
        assert "url" not in str(tool.inputSchema).lower()
    assert offered["search"].inputSchema["required"] == ["photo"]
    assert offered["compare"].inputSchema["required"] == ["first", "second"]


def test_each_tool_does_what_it_says(url: str) -> None:
    for text in (encoded("red", "blue"), f"data:image/png;base64,{encoded('red', 'blue')}"):
        found = values(call(url, "search", photo=text, k=2))
        assert {face["people"][0]["person"] for face in found["faces"]} == {"red", "blue"}
    (face,) = values(call(url, "encode", photo=encoded("red"), bits=64))["faces"]
    assert len(face["code"]) == 16
    told = values(call(url, "compare", first=encoded("red"), second=encoded("red")))
    assert (told["distance"], told["same_person"]) == (0, True)
    page = values(call(url, "list_people", limit=2))
    assert [p["person"] for p in page["people"]] == ["blue", "green"]
    rest = values(call(url, "list_people", limit=2, cursor=page["next"]))
    assert [p["person"] for p in rest["people"]] == ["red"]


@pytest.mark.parametrize(
    "wrong",
    [
        "http://127.0.0.1:1/x.png", "file:///etc/passwd", "/etc/passwd", "", "?", "aGVsbG8=",
        "data:text/html;base64,aGVsbG8=", "x;base64,aGVsbG8=",
    ],
)  # fmt: skip
def test_what_is_no_photo_is_answered_with_a_sentence(
    url: str, wrong: str, capfd: pytest.CaptureFixture[str]
) -> None:
    answer = call(url, "search", photo=wrong)
    assert answer.isError
    assert answer.content[0].text.endswith(".")
    assert "/etc" not in answer.content[0].text
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err
    assert wrong == "" or wrong not in printed.err + printed.out


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("search", {}, "photo"),
        ("search", {"photo": 7}, "photo"),
        ("search", {"photo": "aGVsbG8=", "k": 0}, "k"),
        ("search", {"photo": "aGVsbG8=", "bits": 20}, "16, 24"),
        ("search", {"photo": "aGVsbG8=", "secret-word": 1}, "not known"),
        ("list_people", {"cursor": "%"}, "cursor"),
        ("remove_person", {"person": "red"}, "There is no such tool"),
    ],
)
def test_wrong_arguments(url: str, name: str, arguments: dict[str, Any], words: str) -> None:
    answer = call(url, name, **arguments)
    assert answer.isError
    assert words in answer.content[0].text
    assert "secret-word" not in answer.content[0].text


def test_calls_have_the_limits_of_the_api(url: str, capfd: pytest.CaptureFixture[str]) -> None:
    post = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
    large = httpx.post(f"{url}mcp", content=bytes(41 * 2**20), headers=post, timeout=HANG)
    assert (large.status_code, large.json()["error"]["code"]) == (413, "too_large")
    foreign = httpx.post(f"{url}mcp", headers={**post, "Origin": "https://evil.example"})
    assert (foreign.status_code, foreign.json()["error"]["code"]) == (403, "forbidden")
    for method in ("GET", "DELETE"):
        assert httpx.request(method, f"{url}mcp", headers=post, timeout=HANG).status_code == 405
    for body in (b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"\xff", b"[]", b"null"):
        answer = httpx.post(f"{url}mcp", content=body, headers=post, timeout=HANG)
        assert 400 <= answer.status_code <= 500
    printed = capfd.readouterr()
    assert "Traceback" not in printed.err
    assert 'route="/mcp",status="413"' not in httpx.get(f"{url}metrics").text  # refused before
    assert 'route="/mcp",status="200"' in httpx.get(f"{url}metrics").text


def test_without_the_setting_there_are_no_tools(
    fake: FaceRetriever, host: Callable[[App], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADIO_MCP_SERVER", "True")
    url = host(build_app(fake, Settings(), {}))
    for path in ("mcp", "gradio_api/mcp/", "gradio_api/mcp/sse"):
        assert httpx.post(f"{url}{path}", timeout=HANG).status_code in (404, 405)


def test_a_missing_package_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    retriever = fake_retriever.retriever(tmp_path / "gallery")
    for name in [name for name in sys.modules if name.partition(".")[0] == "mcp"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mcp", None)
    with pytest.raises(MissingPackageError, match="mcp"):
        build_app(retriever, Settings(mcp=True), {})
    retriever.gallery.close()
