"""What people feel: the server's own time for a slider and a tap, and for a frame of Live.

Times are processor seconds of this process, which holds server and visitor: other programs do not
stretch them.
"""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Callable

import pytest
from staging import film

from benchmarks.visitor import Visitor
from daah.retrieval import FaceRetriever
from daah.sources import Photo
from daah.ui.desk import Desk
from daah.ui.examples import FOLDER
from daah.ui.live import Live
from daah.ui.render import data_uri
from daah.ui.settings import Settings


def processor_seconds(work: Callable[[int], object], turns: int = 7) -> float:
    """The median of some calls, each told its number; the first is left out."""
    times = []
    for turn in range(turns):
        began = time.process_time()
        work(turn)
        times.append(time.process_time() - began)
    return statistics.median(times[1:])


@pytest.fixture(scope="module")
def visitor(app: str) -> Visitor:
    """Somebody with a result of three faces on the screen."""
    visitor = Visitor(app)
    photo = visitor.photo("three.jpg", (FOLDER / "three-faces.jpg").read_bytes())
    found = visitor.send("photo", "input", {"photo": photo})
    assert "3 faces found" in found.values["sentence"]
    return visitor


@pytest.mark.parametrize("slider", ["bits", "count", "threshold", "strength"])
def test_a_slider_answers_in_150_ms(visitor: Visitor, slider: str) -> None:
    steps = {"bits": (64, 128), "count": (8, 24), "threshold": (5, 30), "strength": (0.2, 0.9)}
    part = "heatmap" if slider == "strength" else "matches"

    def move(turn: int) -> None:
        found = visitor.send(slider, "input", {slider: steps[slider][turn % 2]})
        assert found.values[part]

    assert processor_seconds(move) < 0.15


@pytest.mark.parametrize("part", ["chips", "matches", "boxes"])
def test_a_tap_answers_in_150_ms(visitor: Visitor, part: str) -> None:
    for face in (0, 1):  # the second changes something, whatever was chosen before
        shown = visitor.send("chips", "select", event_data={"do": "face", "index": face}).values
    ids = re.findall(r'data-id="(-?\d+)"', shown["matches"])
    events = {
        "chips": lambda turn: {"do": "face", "index": turn % 3},
        "boxes": lambda turn: {"do": "face", "x": 0.2 + 0.3 * (turn % 3), "y": 0.5},
        # Another match each time: none of them was encoded before.
        "matches": lambda turn: {"do": "match", "id": ids[turn]},
    }

    def tap(turn: int) -> None:
        assert not visitor.send(part, "select", event_data=events[part](turn)).error

    assert processor_seconds(tap) < 0.15


def test_a_frame_of_live_leaves_time_for_eight_a_second(
    retriever: FaceRetriever, orl_photos: list[Photo]
) -> None:
    shown = next(photo.rgb for photo in orl_photos if photo.name == "s12/9")
    frames = [data_uri(frame, 70) for frame in film(shown)]
    live = Live(Desk(retriever, Settings()))

    def look(turn: int) -> None:
        (face,) = live.frame(frames[turn % len(frames)])["faces"]
        assert face["name"] == "s12"

    assert processor_seconds(look, 13) < 1 / 8
