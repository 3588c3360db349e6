"""Frames of the Live tab."""

from __future__ import annotations

import base64
import io
import json
import threading

import numpy as np
import pytest
from PIL import Image

from benchmarks.visitor import Visitor
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import build_app
from daah.ui.live.frames import Live
from daah.ui.page.html import data_uri
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import HANG

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]
LOCAL = Settings(public=False)


def png(rgb: np.ndarray) -> bytes:
    """Pixels as the bytes of a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()


# ------------------------------------------------------------------------------------------ live


def test_a_frame_says_what_to_draw(fake: FaceRetriever) -> None:
    answer = Live(AppContext(fake, LOCAL)).frame(data_uri(photo((RED, 300))))
    (face,) = answer["faces"]
    assert (answer["width"], answer["height"]) == (400, 400)
    assert face["box"] == pytest.approx([20, 20, 320, 320], abs=6)
    assert face["same"]
    assert face["label"].startswith("red, ")
    assert face["label"].endswith(" of 128 bits agree")
    assert face["sentence"] == "Match: this looks like red."
    assert set(face["code"]) == {"0", "1"}
    assert len(face["code"]) == fake.bits
    a, b, c, d, e, f = face["matrix"]
    assert (a + c + e, b + d + f) == pytest.approx((320, 320), abs=6)
    heat = Image.open(io.BytesIO(base64.b64decode(face["heat"].split(",")[1])))
    assert heat.size == (48, 48)


def test_a_stranger_is_remembered_for_the_visit(fake: FaceRetriever) -> None:
    live, stranger = Live(AppContext(fake, LOCAL)), data_uri(photo(((5, 5, 5), 300)))
    (face,) = live.frame(stranger)["faces"]
    assert not face["same"]
    assert face["sentence"] == "No match: this person looks like nobody in the gallery."
    assert live.remember(data_uri(photo()))[0] is None
    mine, words = live.remember(stranger)
    assert words == 'Remembered as "You" for this visit, on every tab.'
    (face,) = live.frame(stranger, mine)["faces"]
    assert face["sentence"] == "Match: this looks like You."
    again, _ = live.remember(stranger, mine)
    assert list(again.people()) == ["You", "You 2"]
    assert live.remember("nonsense", mine)[0] is mine


def test_a_frame_without_a_face_or_without_a_picture(fake: FaceRetriever) -> None:
    live = Live(AppContext(fake, LOCAL))
    assert live.frame(data_uri(photo()))["faces"] == []
    for bad in ("", "nonsense", "data:image/png;base64,AAAA", "data:text/html;base64,AAAA"):
        assert set(live.frame(bad)) == {"error"}


def test_a_frame_is_dropped_while_another_is_at_work(fake: FaceRetriever) -> None:
    entered, leave = threading.Event(), threading.Event()

    def slow(rgb: np.ndarray, min_face: float | None = None) -> list:
        entered.set()
        leave.wait(HANG)
        return []

    live = Live(AppContext(fake, LOCAL))
    fake.detector.detect = slow
    worker = threading.Thread(target=live.frame, args=(data_uri(photo()),))
    worker.start()
    assert entered.wait(HANG)
    assert live.frame(data_uri(photo())) == {"busy": True}
    assert worker.is_alive()  # the answer came while the other is at work
    leave.set()
    worker.join()
    assert live.frame(data_uri(photo()))["faces"] == []


def test_a_frame_does_not_wait_behind_a_search(fake: FaceRetriever) -> None:
    entered, leave = threading.Event(), threading.Event()
    detect = fake.detector.detect

    def slow(rgb: np.ndarray, min_face: float | None = None) -> list:
        if min_face is None:  # a search; Live says how small a face may be
            entered.set()
            leave.wait(HANG)
        return detect(rgb)

    demo = build_app(fake, Settings(), {})
    fake.detector.detect = slow  # only now: the page is built with a search
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    try:
        visitor, other = Visitor(url), Visitor(url)
        value = visitor.photo("red.png", png(photo((RED, 300))))
        searching = threading.Thread(target=visitor.send, args=("photo", "input", {"photo": value}))
        searching.start()
        assert entered.wait(HANG)
        (live,) = (c["id"] for c in other.config["components"]
                   if c["props"].get("elem_id") == "live")  # fmt: skip
        asked = {"data": data_uri(photo((BLUE, 300))), "component_id": live, "fn_name": "frame"}
        reply = other.post("/gradio_api/component_server", asked | {"session_hash": other.session})
        assert json.loads(reply.body)["faces"][0]["sentence"] == "Match: this looks like blue."
        assert searching.is_alive()
        leave.set()
        searching.join(HANG)
    finally:
        leave.set()
        demo.close()
