"""Servers whose API the tests call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from daah.ui.app import App, build_app
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.doubles.waiting import HANG
from tests.ui.serving import serve

TOKEN = "a-secret-of-tests-0123456789"

Start = Callable[..., httpx.Client]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts an app over painted squares with the given settings; a client of its API.

    Its gallery and detector are the client's `gallery` and `detector`.
    """
    apps: list[App] = []
    clients: list[httpx.Client] = []

    def started(**settings: Any) -> httpx.Client:
        folder = tmp_path_factory.mktemp("gallery") / "painted"
        retriever = fake_retriever.retriever(folder)
        demo = build_app(retriever, Settings(**settings), {})
        apps.append(demo)
        clients.append(httpx.Client(base_url=f"{serve(demo)}api/v1", timeout=HANG))
        clients[-1].gallery = retriever.gallery
        clients[-1].detector = retriever.detector
        return clients[-1]

    yield started
    for client in clients:
        client.close()
    for demo in apps:
        demo.close()


@pytest.fixture(scope="module")
def public(start: Start) -> httpx.Client:
    """The API of a public host."""
    return start()


@pytest.fixture(scope="module")
def guarded(start: Start) -> httpx.Client:
    """The API of a server with a token, as somebody without it. Tests change nothing there."""
    return start(token=TOKEN)


@pytest.fixture
def owner(start: Start) -> httpx.Client:
    """The API of a server with a token, as whoever has it."""
    client = start(token=TOKEN)
    client.headers["Authorization"] = f"Bearer {TOKEN}"
    return client
