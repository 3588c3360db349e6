"""A Milvus server goes away in the middle of a search: the page says so, and heals."""

from __future__ import annotations

import contextlib
import io
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_server import MilvusServer

from benchmarks.visitor import Visitor
from daah.gallery import Gallery
from daah.retrieval import FaceRetriever

# The retriever of painted squares is shared with the tests of the screen.
sys.path.append(str(Path(__file__).resolve().parent.parent / "ui"))

import fake_retriever
from PIL import Image

from daah.ui.layout import build_app
from daah.ui.settings import Settings

pytestmark = pytest.mark.milvus


class Line:
    """A line to a port of this machine that can be cut, at once or in the middle of a call."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._ends: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        self.is_cut = self.cut_next = False
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Break what is connected, and connect nobody."""
        self.is_cut, self.cut_next = True, False
        for end in self._ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.clear()

    def mend(self) -> None:
        """Connect again."""
        self.is_cut = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                if self.is_cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._to))
                self._ends += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(
                        target=self._pass, args=(*pair, pair[0] is client), daemon=True
                    ).start()

    def _pass(self, source: socket.socket, target: socket.socket, asking: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if asking and self.cut_next:
                    self.cut()
                target.sendall(data)

    def close(self) -> None:
        """Cut for good."""
        self.cut()
        self._listening.close()


@pytest.fixture
def line(milvus_server: MilvusServer) -> Iterator[Line]:
    made = Line(milvus_server.port)
    yield made
    made.close()


def test_the_page_outlives_its_server(
    milvus_server: MilvusServer, line: Line, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = milvus_server.uri("page", timeout=2)
    encoder = fake_retriever.FakeEncoder()
    with Gallery.open(uri, encoder, folder=tmp_path / "faces") as made:
        made.add("red", "red/1", fake_retriever.encoded((200, 20, 20)))
        made.flush()
    buffer = io.BytesIO()
    Image.fromarray(fake_retriever.photo(((200, 20, 20), 300))).save(buffer, "PNG")
    far = uri.replace(f":{milvus_server.port}/", f":{line.port}/")
    gallery = Gallery.open(far, encoder, read_only=True, folder=tmp_path / "faces")
    demo = build_app(FaceRetriever(fake_retriever.FakeDetector(), encoder, gallery), Settings())
    try:
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
        visitor = Visitor(url)
        photo = visitor.photo("a.png", buffer.getvalue())

        def found() -> tuple[str, str]:
            outcome = visitor.send("photo", values={"photo": photo})
            return outcome.error, outcome.values.get("matches", "")

        assert "red" in found()[1]
        line.cut_next = True
        assert "does not answer" in found()[0]
        assert line.is_cut
        assert "does not answer" in found()[0]
        assert visitor.request("GET", "/config").status == 200
        line.mend()
        assert "red" in found()[1]
    finally:
        demo.close()
        gallery.close()
    assert "Traceback" not in capfd.readouterr().err
