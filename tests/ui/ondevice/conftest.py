"""The page that needs no server: built once, served as files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.on_device import serving
from scripts.build_web import build


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's folder. Tests share it: none may write to it."""
    folder: Path = tmp_path_factory.mktemp("static") / "web"
    build(folder)
    return folder


@pytest.fixture(scope="session")
def static_page(built: Path) -> Iterator[str]:
    """The page's address."""
    with serving(built) as url:
        yield url
