"""Whose photo takes long to read keeps nobody else waiting."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.visitor import Visitor
from daah.reading import READER
from daah.retrieval.retriever import FaceRetriever
from daah.ui import app, endpoint
from daah.ui.app import App, build_app
from daah.ui.live.frames import FRAME_SIDE, Live
from daah.ui.page import components
from daah.ui.page.events import AT_ONCE
from daah.ui.page.html import data_uri
from daah.ui.settings import Settings
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import HANG

RED = photo((PEOPLE["red"], 300))


def png(rgb: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


class Slow:
    """Reads photos, but one named slow.png only when it is let."""

    def __init__(self) -> None:
        self.entered, self.leave = threading.Semaphore(0), threading.Event()

    def read(self, source: Path) -> np.ndarray:
        if source.name == "slow.png":
            self.entered.release()
            assert self.leave.wait(HANG)
        return READER.read(source)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Slow:
    reader = Slow()
    monkeypatch.setattr(components, "READER", reader)
    monkeypatch.setattr(app, "READER", reader)
    monkeypatch.setattr(endpoint, "READER", reader)
    # The one that is begun with the server.
    monkeypatch.setattr(reader, "start", lambda: None, raising=False)
    return reader


def test_others_search_while_photos_are_read(
    fake: FaceRetriever, host: Callable[[App], str], slow: Slow
) -> None:
    url = host(build_app(fake, Settings(), {}))

    def search(name: str) -> str:
        visitor = Visitor(url)
        given = {"photo": visitor.photo(name, png(RED))}
        return visitor.send("photo", values=given).values["sentence"]

    def compare(name: str) -> str:
        visitor = Visitor(url)
        given = visitor.photo(name, png(RED))
        values = {"photo-first": given, "photo-second": given}
        return visitor.send("photo-first", values=values).values["verdict"]

    def ask(name: str) -> str:
        visitor = Visitor(url)
        return visitor.search(visitor.photo(name, png(RED))).text

    with ThreadPoolExecutor(3) as pool:
        for first in (search, compare, ask):
            waiting = [pool.submit(first, "slow.png") for _ in range(AT_ONCE - 1)]
            for _ in waiting:
                assert slow.entered.acquire(timeout=HANG)
            assert "Match: red." in search("red.png")
            assert compare("red.png")
            assert '"faces"' in ask("red.png")
            assert not any(job.done() for job in waiting)
            slow.leave.set()
            assert all("Try again" not in job.result(HANG) for job in waiting)
            while slow.entered.acquire(blocking=False):
                pass
            slow.leave.clear()


def test_one_photo_is_searched_at_a_time(
    fake: FaceRetriever, host: Callable[[App], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    url = host(build_app(fake, Settings(), {}))
    detect, inside, most = fake.detector.detect, threading.Semaphore(1), []
    begun = threading.Barrier(AT_ONCE)

    def alone(rgb: np.ndarray, *args: Any) -> list:
        most.append(inside.acquire(blocking=False))
        try:
            return detect(rgb, *args)
        finally:
            inside.release()

    monkeypatch.setattr(fake.detector, "detect", alone)

    def search(_: int) -> str:
        visitor = Visitor(url)
        given = {"photo": visitor.photo("red.png", png(RED))}
        begun.wait(HANG)
        return visitor.send("photo", values=given).values["sentence"]

    with ThreadPoolExecutor(AT_ONCE) as pool:
        assert all("Match: red." in said for said in pool.map(search, range(AT_ONCE)))
    assert most == [True] * AT_ONCE


def test_a_frame_larger_than_a_camera_sends_is_refused(fake: FaceRetriever) -> None:
    from daah.ui.state.context import AppContext

    live = Live(AppContext(fake, Settings()))
    assert len(live.frame(data_uri(RED))["faces"]) == 1
    large = np.full((2 * FRAME_SIDE, 2 * FRAME_SIDE + 1, 3), 255, np.uint8)
    assert "megapixels" in live.frame(data_uri(large))["error"]
