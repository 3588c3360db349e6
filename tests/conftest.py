"""Parts that tests share, each made once in a run: model, detector, ORL's gallery, browser."""

from __future__ import annotations

from tests.surroundings import LEFT

# isort: split
import contextlib
import functools
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import numpy as np
import pytest
import torch
import typer.testing

from daah.data import sources
from daah.data.sources import Photo
from daah.detection.detector import FaceDetector
from daah.gallery import BuildReport, Gallery, build
from daah.models.encoder import FaceEncoder, load_encoder
from daah.retrieval.loading import DEFAULT_CHECKPOINT
from daah.retrieval.retriever import FaceRetriever
from tests.doubles.encoder import ProjectionEncoder
from tests.doubles.waiting import PATIENCE
from tests.grouping import RUNNING, group, needs_milvus

if TYPE_CHECKING:
    from daah.ui.app import App
    from tests.doubles.line import Line
    from tests.doubles.milvus_server import MilvusServer

HERE = Path(__file__).resolve().parent

SCREENSHOTS = HERE.parent / "screenshots"
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

#: Marks and fixtures of what takes long to start or to make.
LONG = {"browser", "milvus", "milvus_server", "orl_build", "process"}

# How long an example takes says something about the machine, and nothing about the program.
hypothesis.settings.register_profile("daah", deadline=None, derandomize=True)
hypothesis.settings.load_profile("daah")

# Typer builds all commands again for each call, which takes longer than most calls do.
typer.testing._get_command = functools.cache(typer.main.get_command)


def pytest_unconfigure() -> None:
    """Delete what the libraries left."""
    shutil.rmtree(LEFT, ignore_errors=True)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With DAAH_NO_SKIPS a skipped test is a failure: what cannot run must be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("DAAH_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """What needs something that takes long to make is slow; groups stay in one process."""
    for item in items:
        marks = {mark.name for mark in item.iter_markers()}
        if LONG & (marks | set(getattr(item, "fixturenames", ()))):
            item.add_marker("slow")
        item.add_marker(pytest.mark.xdist_group(group(item)))
    yield
    # In random order, but one after another: the server runs for them alone.
    items.sort(key=needs_milvus)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how to repeat the order, which pytest-randomly says only without -q."""
    seed = terminalreporter.config.getoption("randomly_seed", None)
    if isinstance(seed, int):
        terminalreporter.write_line(f"To repeat this order: pytest --randomly-seed={seed}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed PyTorch, as pytest-randomly seeds Python and NumPy: no test depends on those before."""
    seed = item.config.getoption("randomly_seed", 0)
    torch.manual_seed(seed if isinstance(seed, int) else 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Stop the Milvus server behind the tests that need it, which run one after another."""
    yield
    if RUNNING in item.session.stash and not (nextitem and needs_milvus(nextitem)):
        item.session.stash[RUNNING].close()


@pytest.fixture(scope="session")
def encoder() -> FaceEncoder:
    """The shipped checkpoint."""
    return load_encoder(DEFAULT_CHECKPOINT)


@pytest.fixture(scope="session")
def detector() -> FaceDetector:
    """The real detector."""
    return FaceDetector()


@pytest.fixture(scope="session")
def fake_encoder() -> ProjectionEncoder:
    """A small stand-in for the network, calibrated."""
    return ProjectionEncoder()


@pytest.fixture(scope="session")
def orl_photos() -> list[Photo]:
    """All 400 photos of ORL."""
    return list(sources.orl())


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """A public-domain portrait, (512, 512, 3) uint8, with one face."""
    return sources.astronaut().rgb


@pytest.fixture(scope="session")
def orl_build(
    tmp_path_factory: pytest.TempPathFactory, detector: FaceDetector, encoder: FaceEncoder
) -> Iterator[tuple[Gallery, BuildReport]]:
    """ORL's gallery, built in a folder of this run, and what its build reported.

    Tests share it: none may write to it.
    """
    folder: Path = tmp_path_factory.mktemp("gallery") / "orl"
    with Gallery.open(folder, encoder) as gallery:
        report = build(gallery, "orl", detector, encoder)
        yield gallery, report


@pytest.fixture(scope="session")
def congress(
    tmp_path_factory: pytest.TempPathFactory, detector: FaceDetector, encoder: FaceEncoder
) -> Iterator[FaceRetriever]:
    """The shipped model over the built-in gallery, filled in a folder of this run.

    Tests share it: none may write to it.
    """
    folder: Path = tmp_path_factory.mktemp("gallery") / "congress"
    with Gallery.open(folder, encoder) as gallery:
        build(gallery, "congress", detector, encoder)
        yield FaceRetriever(detector, encoder, gallery)


@pytest.fixture(scope="session")
def retriever(
    detector: FaceDetector, encoder: FaceEncoder, orl_build: tuple[Gallery, BuildReport]
) -> FaceRetriever:
    """The shipped model over ORL's gallery. Tests share it: none may write to its gallery."""
    return FaceRetriever(detector, encoder, orl_build[0])


@pytest.fixture
def host() -> Iterator[Callable[[App], str]]:
    """Serves an app until the test is over; its address.

    `visit` closes its pages before: a page whose server goes away rightly reports an error.
    """
    from tests.ui.serving import serve

    started: list[App] = []

    def start(demo: App) -> str:
        started.append(demo)
        return serve(demo)

    yield start
    for demo in started:
        demo.close()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory, orl_photos: list[Photo]) -> Iterator[Any]:
    """Headless Chromium whose camera films somebody of ORL."""
    from playwright.sync_api import expect, sync_playwright

    from tests.ui.serving import film, motion_jpeg

    expect.set_options(timeout=PATIENCE)
    path = shutil.which("chromium") or CHROMIUM
    if not Path(path).exists():
        pytest.fail("Chromium is missing; install it with: apt-get install chromium")
    SCREENSHOTS.mkdir(exist_ok=True)
    camera = tmp_path_factory.mktemp("camera") / "film.mjpeg"
    shown = next(photo.rgb for photo in orl_photos if photo.name == "s12/9")
    camera.write_bytes(motion_jpeg(film(shown)))
    arguments = [*ARGUMENTS, f"--use-file-for-fake-video-capture={camera}"]
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=path,
            args=arguments,
            env={**os.environ, "HOME": str(LEFT), "XDG_CONFIG_HOME": str(LEFT / "config")},
        )
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
        url: str,
        width: int = 1280,
        height: int = 900,
        dark: bool = False,
        forgive: tuple[str, ...] = (),
        **more: Any,
    ) -> Any:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write", "camera"],
            **more,
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)

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


@pytest.fixture(scope="session")
def milvus_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> MilvusServer:
    """A real Milvus server on a free port of this machine."""
    from tests.doubles.milvus_server import MilvusServer

    running = request.session.stash.setdefault(RUNNING, contextlib.ExitStack())
    server = MilvusServer(tmp_path_factory.mktemp("milvus"), guarded=True)
    return running.enter_context(server)


@pytest.fixture
def line(milvus_server: MilvusServer) -> Iterator[Line]:
    """A line to the server that a test may cut."""
    from tests.doubles.line import Line

    made = Line(milvus_server)
    yield made
    made.close()
