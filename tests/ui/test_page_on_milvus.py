"""A Milvus server goes away in the middle of a search: the page says so, and heals."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from benchmarks.visitor import Visitor
from daah.gallery import Gallery
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import build_app
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever
from tests.doubles.line import Line, hurry
from tests.doubles.milvus_server import MilvusServer
from tests.doubles.waiting import eventually

pytestmark = pytest.mark.milvus


def test_the_page_outlives_its_server(
    milvus_server: MilvusServer, line: Line, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    uri = milvus_server.uri("page")
    encoder = fake_retriever.SquareEncoder()
    with Gallery.open(uri, encoder, folder=tmp_path / "faces") as made:
        made.add("red", "red/1", fake_retriever.encoded((200, 20, 20)))
        made.flush()
    buffer = io.BytesIO()
    Image.fromarray(fake_retriever.photo(((200, 20, 20), 300))).save(buffer, "PNG")
    far = line.uri("page")
    gallery = Gallery.open(far, encoder, read_only=True, folder=tmp_path / "faces")
    demo = build_app(FaceRetriever(fake_retriever.SquareDetector(), encoder, gallery), Settings())
    try:
        _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
        visitor = Visitor(url)
        photo = visitor.photo("a.png", buffer.getvalue())

        def found() -> tuple[str, str]:
            outcome = visitor.send("photo", values={"photo": photo})
            return outcome.error, outcome.values.get("people", "")

        assert "red" in found()[1]
        hurry(gallery.store, 2)  # what is cut stays away however long it is waited for
        line.cut_next = True
        assert "does not answer" in found()[0]
        assert line.is_cut
        assert "does not answer" in found()[0]
        assert visitor.request("GET", "/config").status == 200
        line.mend()
        assert eventually(lambda: "red" in found()[1])
    finally:
        demo.close()
        gallery.close()
    assert "Traceback" not in capfd.readouterr().err
