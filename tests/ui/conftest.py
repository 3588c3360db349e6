"""Retrievers and pages for the tests of the screen."""

from __future__ import annotations

import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import fake_retriever
import pytest
import torch

# Gradio reads these when it is imported: uploads of a test run lie in a folder of its own.
os.environ.setdefault("GRADIO_TEMP_DIR", tempfile.mkdtemp(prefix="daah-uploads-"))
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from staging import film, motion_jpeg, serve

from daah.config import PAPER
from daah.models.checkpoint import save_checkpoint
from daah.models.ddah import build_model
from daah.retrieval import FaceRetriever
from daah.sources import Photo
from daah.ui.layout import App, build_app
from daah.ui.settings import Settings

ROOT = Path(__file__).resolve().parent.parent.parent
SCREENSHOTS = ROOT / "screenshots"
CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
)


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FaceRetriever]:
    """Painted squares instead of faces, over a gallery of three people."""
    made = fake_retriever.retriever(tmp_path / "gallery")
    yield made
    made.gallery.close()


@pytest.fixture(scope="session")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper's network with weights of chance, in place of a trained one."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("checkpoint") / "paper.safetensors"
    save_checkpoint(path, build_model(PAPER), PAPER, name="paper", training={}, metrics={})
    return path


@pytest.fixture(scope="session")
def app(retriever: FaceRetriever) -> Iterator[str]:
    """The address of the real app: shipped model, ORL's gallery, settings of a public host."""
    demo = build_app(retriever, Settings())
    yield serve(demo)
    demo.close()


@pytest.fixture
def host() -> Iterator[Callable[[App], str]]:
    """Serves an app until the test is over; its address.

    `visit` closes its pages before: a page whose server goes away rightly reports an error.
    """
    started: list[App] = []

    def start(demo: App) -> str:
        started.append(demo)
        return serve(demo)

    yield start
    for demo in started:
        demo.close()


@pytest.fixture
def launch(tmp_path: Path, host: Callable[[App], str]) -> Callable[..., str]:
    """Starts an app over painted squares with other settings or models; its address."""
    galleries = itertools.count()

    def start(others: dict[str, Path] | None = None, **settings: Any) -> str:
        retriever = fake_retriever.retriever(tmp_path / f"gallery{next(galleries)}")
        return host(build_app(retriever, Settings(**settings), others or {}))

    return start


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory, orl_photos: list[Photo]) -> Iterator[Any]:
    """Headless Chromium whose camera films somebody of ORL."""
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=30_000)  # a machine may have other things to do
    path = shutil.which("chromium") or CHROMIUM
    if not Path(path).exists():
        pytest.fail("Chromium is missing; install it with: apt-get install chromium")
    SCREENSHOTS.mkdir(exist_ok=True)
    camera = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    shown = next(photo.rgb for photo in orl_photos if photo.name == "s12/9")
    camera.write_bytes(motion_jpeg(film(shown)))
    arguments = [*ARGUMENTS, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=arguments)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Any, host: Callable[[App], str]) -> Iterator[Callable[..., Any]]:
    """Opens a page as a new visitor. At the end no page may have written errors to its console.

    Asking for `host` has it taken down later: pages are closed while their servers still run.

    forgive: texts of console errors that a test brings about on purpose.
    """
    contexts, errors = [], []

    def go(
        url: str, width: int = 1280, dark: bool = False, forgive: tuple[str, ...] = (), **more: Any
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write", "camera"],
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(30_000)

        def heard(message: Any) -> None:
            if message.type == "error" and not any(text in message.text for text in forgive):
                errors.append(message.text)

        page.on("console", heard)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(url)
        return page

    yield go
    for context in contexts:
        context.close()
    assert not errors, errors


@pytest.fixture
def keep(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Keeps a screenshot of a state under the test's name."""

    def picture(page: Any, state: str = "") -> None:
        name = request.node.name.removeprefix("test_").replace("[", "-").replace("]", "")
        end = f"-{state}" if state else ""
        page.screenshot(path=SCREENSHOTS / f"{name}{end}.png", full_page=True)

    return picture
