"""Apps that the tests of safety send their worst to."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from daah.ui.app import App, build_app
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo


@pytest.fixture(scope="module")
def running() -> Iterator[list[App]]:
    """The apps that `serve` started, in order."""
    apps: list[App] = []
    yield apps
    for demo in apps:
        demo.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, running: list[App]) -> Callable[..., str]:
    """Starts an app over painted squares with the given settings; its address."""

    def start(**settings: Any) -> str:
        folder = tmp_path_factory.mktemp("gallery") / "painted"
        demo = build_app(fake_retriever.retriever(folder), Settings(**settings))
        running.append(demo)
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
        return url

    return start


@pytest.fixture(scope="module")
def public(serve: Callable[..., str]) -> str:
    """The address of an app with the settings of a public host."""
    return serve()


def painted(*colours: str, width: int = 300) -> bytes:
    """A PNG of a photo with a square of each colour, which stands for a face."""
    buffer = io.BytesIO()
    Image.fromarray(photo(*((PEOPLE[colour], width) for colour in colours))).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="session")
def red() -> bytes:
    """A photo of the person "red"."""
    return painted("red")
