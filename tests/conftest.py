"""Parts that tests share, each made once in a run: the model, the detector, ORL's gallery."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fakes import FakeEncoder

from daah import sources
from daah.faces import FaceDetector
from daah.gallery import BuildReport, Gallery, build
from daah.models.encoder import FaceEncoder, load_encoder
from daah.retrieval import DEFAULT_CHECKPOINT, FaceRetriever
from daah.sources import Photo


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With DAAH_NO_SKIPS a skipped test is a failure: what cannot run must be installed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if os.environ.get("DAAH_NO_SKIPS") and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture(scope="session")
def encoder() -> FaceEncoder:
    """The shipped checkpoint."""
    return load_encoder(DEFAULT_CHECKPOINT)


@pytest.fixture(scope="session")
def detector() -> FaceDetector:
    """The real detector."""
    return FaceDetector()


@pytest.fixture(scope="session")
def fake_encoder() -> FakeEncoder:
    """A small stand-in for the network, calibrated."""
    return FakeEncoder()


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
    """The built-in gallery, built in a folder of this run, and what its build reported.

    Tests share it: none may write to it.
    """
    folder: Path = tmp_path_factory.mktemp("gallery") / "orl"
    with Gallery.open(folder, encoder) as gallery:
        report = build(gallery, "orl", detector, encoder)
        yield gallery, report


@pytest.fixture(scope="session")
def retriever(
    detector: FaceDetector, encoder: FaceEncoder, orl_build: tuple[Gallery, BuildReport]
) -> FaceRetriever:
    """The shipped model over ORL's gallery. Tests share it: none may write to its gallery."""
    return FaceRetriever(detector, encoder, orl_build[0])
