"""Retrievers and pages for the tests of the screen."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from daah.config import PAPER
from daah.models.checkpoint import load_checkpoint, save_checkpoint
from daah.models.ddah import build_model
from daah.models.graph import export_graph
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import App, build_app
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.ui.serving import serve


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
    checkpoint = tmp_path_factory.mktemp("checkpoint") / "paper.safetensors"
    save_checkpoint(checkpoint, build_model(PAPER), PAPER, name="paper", training={}, metrics={})
    export_graph(load_checkpoint(checkpoint), checkpoint.with_suffix(".onnx"))
    return checkpoint.with_suffix(".onnx")


@pytest.fixture(scope="session")
def app(congress: FaceRetriever) -> Iterator[str]:
    """The address of the real app: shipped model, built-in gallery, settings of a public host."""
    demo = build_app(congress, Settings())
    yield serve(demo)
    demo.close()


@pytest.fixture
def launch(tmp_path: Path, host: Callable[[App], str]) -> Callable[..., str]:
    """Starts an app over painted squares with other settings or models; its address."""
    galleries = itertools.count()

    def start(others: dict[str, Path] | None = None, **settings: Any) -> str:
        retriever = fake_retriever.retriever(tmp_path / f"gallery{next(galleries)}")
        return host(build_app(retriever, Settings(**settings), others or {}))

    return start
