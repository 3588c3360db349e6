"""Something is missing, locked, full or away: the page says what, stays up, and heals."""

from __future__ import annotations

import base64
import json
import os
import resource
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.visitor import Visitor
from daah.errors import DaahError, GalleryError
from daah.gallery import Gallery
from daah.models.encoder import FaceEncoder
from daah.retrieval.loading import DEFAULT_CHECKPOINT, load_retriever
from daah.retrieval.retriever import FaceRetriever
from daah.stores.base import CodeStore
from daah.ui.app import App, build_app
from daah.ui.notice import build_notice
from daah.ui.serve import serve
from daah.ui.server import uploads
from daah.ui.server.failures import FAILED
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.doubles.waiting import eventually
from tests.safety.process import Process

pytestmark = pytest.mark.slow


@contextmanager
def served(retriever: Callable[[], FaceRetriever], settings: Settings) -> Iterator[str]:
    """The address of a server that is started as `app.py` starts it."""
    built: list[App] = []

    def load() -> App:
        built.append(build_app(retriever(), settings))
        return built[-1]

    try:
        demo = load()
    except DaahError as problem:
        demo = build_notice(problem, settings)
        built.append(demo)
    thread = threading.Thread(target=serve, args=(demo, load))
    thread.start()
    try:
        assert eventually(lambda: demo.is_running and getattr(demo, "local_url", ""))
        yield demo.local_url
    finally:
        # An app that answers already may not count as running yet, and is then not closed.
        assert eventually(lambda: built[-1].close(verbose=False) or not thread.is_alive())


def told(url: str) -> str:
    """What the page at the address says, as text."""
    return eventually(lambda: Visitor(url).request("GET", "/config").text, OSError)


def says(url: str, words: str) -> bool:
    """Whether the page says this, at once or soon."""
    return bool(eventually(lambda: words in told(url), OSError))


def found(url: str, photo: bytes) -> str:
    """What a new visitor's search answers: HTML of the matches, or the sentence that refuses."""
    visitor = Visitor(url)
    outcome = visitor.send("photo", values={"photo": visitor.photo("a.png", photo)})
    return outcome.error or outcome.values["people"]


@pytest.fixture(autouse=True)
def quiet(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """No fault writes a traceback into the log."""
    yield
    printed = capfd.readouterr()
    assert "Traceback" not in printed.out + printed.err


def test_a_missing_or_damaged_model(tmp_path: Path, encoder: FaceEncoder) -> None:
    path = tmp_path / "model.onnx"
    Gallery.open(tmp_path / "g", encoder).close()
    start = lambda: load_retriever(path, str(tmp_path / "g"), read_only=True)  # noqa: E731
    whole = DEFAULT_CHECKPOINT.read_bytes()
    with served(start, Settings(retry_seconds=1)) as url:
        assert says(url, "model.onnx is missing")
        path.write_bytes(whole[:-1])
        assert says(url, "damaged")
        assert str(tmp_path) not in told(url)
        path.write_bytes(whole)
        assert says(url, '"photo"')


def test_a_missing_gallery(tmp_path: Path, red: bytes) -> None:
    fake_retriever.retriever(tmp_path / "elsewhere").gallery.close()

    def start() -> FaceRetriever:
        encoder = fake_retriever.SquareEncoder()
        gallery = Gallery.open(tmp_path / "g", encoder, read_only=True)
        return FaceRetriever(fake_retriever.SquareDetector(), encoder, gallery)

    with served(start, Settings(retry_seconds=1)) as url:
        assert says(url, "There is no gallery g.")
        shutil.copytree(tmp_path / "elsewhere", tmp_path / "g")
        assert says(url, '"photo"')
        assert "red" in found(url, red)


def test_a_locked_gallery(tmp_path: Path, red: bytes) -> None:
    writer = fake_retriever.retriever(tmp_path / "g").gallery

    def start() -> FaceRetriever:
        encoder = fake_retriever.SquareEncoder()
        gallery = Gallery.open(tmp_path / "g", encoder)
        return FaceRetriever(fake_retriever.SquareDetector(), encoder, gallery)

    with served(start, Settings(retry_seconds=1, public=False)) as url:
        assert says(url, "is being written by another program")
        writer.close()
        assert says(url, '"photo"')
        assert "red" in found(url, red)


def test_a_gallery_that_goes_away_while_it_is_searched(tmp_path: Path, red: bytes) -> None:
    """Its faces are gone, or its codes: every tab says so, until all is there again."""
    folder, away = tmp_path / "g", tmp_path / "away"
    made = fake_retriever.retriever(folder)
    made.gallery.close()
    frame = "data:image/png;base64," + base64.b64encode(red).decode()

    class Store:
        """The gallery's, until it is away."""

        away = False

        def __init__(self, store: CodeStore) -> None:
            self._store = store

        def __getattr__(self, name: str) -> Any:
            if Store.away and name != "spec":
                raise GalleryError("The gallery's server does not answer.")
            return getattr(self._store, name)

    def start() -> FaceRetriever:
        gallery = Gallery.open(folder, made.encoder, read_only=True)
        gallery.store = Store(gallery.store)
        return FaceRetriever(made.detector, made.encoder, gallery)

    with served(start, Settings()) as url:
        visitor = Visitor(url)
        photo = visitor.photo("a.png", red)
        visitor.send("photo", values={"photo": photo})
        live = {"data": frame, "fn_name": "frame", "session_hash": "x"}
        live["component_id"] = next(
            c["id"] for c in visitor.config["components"] if c["props"].get("elem_id") == "live"
        )

        def everywhere() -> list[str]:
            """What goes wrong in the tabs and in the endpoint."""
            seen = json.loads(visitor.post("/gradio_api/component_server", live).body)
            sent = [
                visitor.send("photo", values={"photo": photo}),
                visitor.send("count"),
                visitor.send("name", "change", {"name": "red"}),
                visitor.send("map", "select", event_data={"do": "map", "x": 0.5, "y": 0.5}),
            ]
            answer = visitor.search(photo).text
            refused = answer if "event: error" in answer else ""
            return [*(outcome.error for outcome in sent), seen.get("error", ""), refused]

        assert everywhere() == [""] * 6
        (folder / "faces").rename(away)
        assert "The gallery has no picture of entry" in everywhere()[0]
        away.rename(folder / "faces")
        visitor.send("photo", values={"photo": photo})
        Store.away = True
        problems = everywhere()
        assert all("does not answer" in problem for problem in problems), problems
        Store.away = False
        visitor.send("photo", values={"photo": photo})
        assert everywhere() == [""] * 6


def test_a_full_disk(tmp_path: Path) -> None:
    """Where no file can grow beyond 100 kB, a photo is refused with a word, until there is room."""
    fake_retriever.retriever(tmp_path / "g").gallery.close()
    with Process(tmp_path / "server", tmp_path / "g") as process:
        visitor = process.visitor()
        _, most = resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (100_000, most))
        large = bytes(300_000)
        reply = visitor.upload("large.jpg", large)
        assert reply.status == 507
        assert reply.text == "The server's disk is full. Try again in a few minutes."
        assert visitor.upload("small.jpg", large[:1000]).status == 200
        assert visitor.send("count").error == ""
        resource.prlimit(process.popen.pid, resource.RLIMIT_FSIZE, (most, most))
        assert visitor.upload("large.jpg", large).status == 200
        assert "Traceback" not in process.log.read_text()


def test_a_failure_that_nobody_foresaw_tells_the_log_its_place_and_no_value(
    tmp_path: Path, red: bytes, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """In an event that waits, in one that does not, in Live, in the endpoint, in an upload."""
    made = fake_retriever.retriever(tmp_path / "g")
    with served(lambda: made, Settings()) as url:
        visitor = Visitor(url)
        photo = visitor.photo("unmistakable.png", red)
        visitor.send("photo", values={"photo": photo})
        frame = "data:image/png;base64," + base64.b64encode(red).decode()
        live = {"data": frame, "fn_name": "frame", "session_hash": "x"}
        live["component_id"] = next(
            c["id"] for c in visitor.config["components"] if c["props"].get("elem_id") == "live"
        )

        def broken(*args: Any, **more: Any) -> None:
            raise ZeroDivisionError(f"of {photo['path']} and unmistakable")

        monkeypatch.setattr(made.encoder, "encode_aligned", broken, raising=False)
        monkeypatch.setattr(made, "match", broken)
        monkeypatch.setattr(made, "encode", broken)
        monkeypatch.setattr(made, "search", broken)
        assert visitor.send("photo", values={"photo": photo}).error == FAILED
        assert visitor.send("count", values={"count": 5}).error == FAILED
        assert FAILED in visitor.search(photo).text
        reply = visitor.post("/gradio_api/component_server", live)
        assert (reply.status, reply.text) == (500, FAILED)
        monkeypatch.setattr(uploads, "stored_bytes", broken)
        reply = visitor.upload("unmistakable.png", red)
        assert (reply.status, reply.text) == (500, FAILED)
    failures = [r.getMessage() for r in caplog.records if r.name == "daah.ui.server.failures"]
    assert len(failures) == 5
    assert all(text.startswith("ZeroDivisionError in ") for text in failures)
    assert all("ui/" in text for text in failures)
    printed = capfd.readouterr()
    told = "".join([*failures, printed.out, printed.err])
    assert "unmistakable" not in told
    assert "Traceback" not in told
    assert os.environ["GRADIO_TEMP_DIR"] not in told


def test_a_stop_while_the_network_is_at_work_ends_cleanly(tmp_path: Path) -> None:
    gallery = tmp_path / "gallery"
    fake_retriever.retriever(gallery).gallery.close()
    with Process(tmp_path / "app", command=("busy_app.py", gallery)) as process:
        visitor = process.visitor()
        visitor.photo("red.png", b"a photo that a stop deletes")
        assert process.stop() == 0, process.log.read_text()
        assert process.holding(b"that a stop deletes") == []
