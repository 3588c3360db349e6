"""What keeps the page quick: a slider, a tap and a frame of Live compute nothing that is known.

How long they take depends on the machine: `python -m benchmarks.interaction` and `benchmarks.live`.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from benchmarks.visitor import Visitor
from daah.data.sources import Photo
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import build_app
from daah.ui.live.frames import Live
from daah.ui.page.html import data_uri
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo
from tests.ui.serving import film, serve


class Networks:
    """How often the detector and the network of a retriever are asked."""

    def __init__(self, retriever: FaceRetriever) -> None:
        self.retriever = retriever
        self.before = self._asked()

    def asked(self) -> tuple[int, int]:
        """Photos that were looked at and faces that were encoded, since the last question."""
        before, self.before = self.before, self._asked()
        return self.before[0] - before[0], self.before[1] - before[1]

    def _asked(self) -> tuple[int, int]:
        return self.retriever.detector.calls, self.retriever.encoder.calls


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Visitor, Networks]]:
    """Somebody with a result of three faces on the screen."""
    retriever = fake_retriever.retriever(tmp_path_factory.mktemp("gallery") / "painted")
    demo = build_app(retriever, Settings(), {})
    visitor = Visitor(serve(demo))
    three = io.BytesIO()
    Image.fromarray(photo(*((colour, 300) for colour in PEOPLE.values()))).save(three, "PNG")
    value = visitor.photo("three.png", three.getvalue())
    networks = Networks(retriever)
    found = visitor.send("photo", "input", {"photo": value})
    assert "3 faces found" in found.values["sentence"]
    assert networks.asked() == (1, 3)
    yield visitor, networks
    demo.close()
    retriever.gallery.close()


@pytest.mark.parametrize(
    ("slider", "ends", "part"),
    [
        ("bits", (64, 128), "people"),
        ("threshold", (0, 128), "people"),
        ("strength", (0.2, 0.9), "heatmap"),
    ],
)
def test_a_slider_asks_no_network(
    page: tuple[Visitor, Networks], slider: str, ends: tuple[float, float], part: str
) -> None:
    visitor, networks = page
    networks.asked()
    shown = [visitor.send(slider, "input", {slider: end}).values[part] for end in ends]
    assert shown[0] != shown[1]
    assert networks.asked() == (0, 0)


@pytest.mark.parametrize("part", ["chips", "boxes"])
def test_another_face_is_shown_without_a_network(page: tuple[Visitor, Networks], part: str) -> None:
    visitor, networks = page
    networks.asked()
    for face in range(3):
        event: dict[str, Any] = {"do": "face", "index": face}
        if part == "boxes":
            event = {"do": "face", "x": (face + 0.4) / 3, "y": 0.4}
        found = visitor.send(part, "select", event_data=event)
        assert not found.error
    assert networks.asked() == (0, 0)


def test_a_match_is_encoded_when_it_is_opened_and_no_other(
    page: tuple[Visitor, Networks],
) -> None:
    visitor, networks = page
    for face in (0, 1):  # the second changes something, whatever was chosen before
        shown = visitor.send("chips", "select", event_data={"do": "face", "index": face}).values
    first = re.findall(r'data-id="(-?\d+)"', shown["people"])[0]
    networks.asked()
    assert not visitor.send("people", "select", event_data={"do": "match", "id": first}).error
    assert networks.asked() == (0, 1)


def test_a_frame_of_live_is_looked_at_once_and_each_face_encoded_once(
    retriever: FaceRetriever, orl_photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked, encoded = [], []
    detect, encode = retriever.detector.detect, retriever.encoder.encode_with_pictures

    def detecting(rgb: Any, *arguments: Any, **options: Any) -> Any:
        looked.append(rgb.shape)
        return detect(rgb, *arguments, **options)

    def encoding(aligned: Any, *arguments: Any, **options: Any) -> Any:
        encoded.append(len(aligned))
        return encode(aligned, *arguments, **options)

    monkeypatch.setattr(retriever.detector, "detect", detecting)
    monkeypatch.setattr(retriever.encoder, "encode_with_pictures", encoding)
    shown = next(photo.rgb for photo in orl_photos if photo.name == "s12/9")
    live = Live(AppContext(retriever, Settings()))
    for frame in film(shown)[:3]:
        (face,) = live.frame(data_uri(frame, 70))["faces"]
        assert "s12" in face["label"]
    assert len(looked) == 3
    assert encoded == [1, 1, 1]
