"""What the server keeps of visits stays within its limits, and who is refused is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import numpy as np
import pytest
from gradio.data_classes import PredictBodyInternal
from gradio.server_messages import ProcessCompletedMessage
from starlette.exceptions import HTTPException

from daah.ui.server import turns
from daah.ui.server.turns import Turns
from daah.ui.server.visits import Visit, Visits, weight
from daah.ui.state.session import MOST_REGIONS, SHOWN_SIDE, Pair, Session
from tests.doubles.waiting import awaited


def pixels(kilobytes: int) -> np.ndarray:
    """An array of so many kilobytes."""
    return np.zeros((kilobytes, 1024), np.uint8)


# ----------------------------------------------------------------------------------------- weights


def test_a_weight_counts_each_array_once_and_the_whole_behind_a_view() -> None:
    whole = pixels(100)
    assert weight({"a": whole, "b": [whole, whole[:2]], "c": "text"}) == 100 * 1024 + 4
    assert weight(whole[:1]) == 100 * 1024
    assert weight([1, None, 2.5, b"12"]) == 2
    looped: list[Any] = []
    looped.append(looped)
    assert weight(looped) == 0


def test_a_result_weighs_its_photo_as_it_is_drawn() -> None:
    session = Session(np.zeros((1200, 1600, 3), np.uint8), {}, {})
    assert session.size == (1200, 1600)
    assert session.photo.shape == (720, SHOWN_SIDE, 3)
    assert weight(session) == 720 * SHOWN_SIDE * 3


def test_a_result_keeps_the_last_views_of_bits_only() -> None:
    regions = {("on", face): np.zeros((2, 2), np.float32) for face in range(30)}
    session = Session(np.zeros((8, 8, 3), np.uint8), {}, {}, regions=regions)
    assert list(session.regions) == [("on", face) for face in range(30 - MOST_REGIONS, 30)]


# ----------------------------------------------------------------------------------------- visits


@pytest.fixture
def page() -> SimpleNamespace:
    """A page of two States, one of which begins with something that all have in common."""
    common = pixels(500)
    with gr.Blocks(analytics_enabled=False) as blocks:
        held = SimpleNamespace(
            result=gr.State(None), own=gr.State(None), shown=gr.HTML("nothing"),
            level=gr.Slider(0, 10), common=common,
        )  # fmt: skip
        held.example = gr.State(SimpleNamespace(picture=common))
    held.blocks = blocks
    return held


def visits(page: SimpleNamespace, most_each: int = 400, most: int = 1000) -> Visits:
    """Sessions of a page, with limits in kilobytes; what is dropped becomes "dropped"."""
    made = Visits(
        most_each * 1024, most * 1024, lambda value: "", last=lambda value: isinstance(value, list)
    )
    made.set_blocks(page.blocks)
    return made


def test_the_result_that_was_used_least_recently_goes_first(page: SimpleNamespace) -> None:
    made = visits(page)
    for name in ("one", "two", "three"):
        made[name][page.result._id] = pixels(300)
    made["one"][page.result._id] = made["one"][page.result._id]  # a slider was moved
    assert made.held == 900 * 1024
    made["four"][page.result._id] = pixels(300)
    names = list(made.session_data)
    assert [name for name in names if not len(made[name][page.result._id])] == ["two"]
    assert made.held == 900 * 1024


def test_what_visitors_added_goes_after_all_results(page: SimpleNamespace) -> None:
    made = visits(page)
    made["one"][page.own._id] = [pixels(300)]
    for name in ("two", "three", "four"):
        made[name][page.result._id] = pixels(300)
    assert weight(made["one"][page.own._id])
    assert not len(made["two"][page.result._id])


def test_a_session_has_a_limit_of_its_own(page: SimpleNamespace) -> None:
    made = visits(page)
    made["one"][page.result._id] = pixels(300)
    made["one"][page.own._id] = pixels(200)
    assert not len(made["one"][page.result._id])
    made["one"][page.result._id] = pixels(500)  # alone too much
    assert not len(made["one"][page.result._id])
    assert made.held == 0


def test_hundreds_of_sessions_stay_within_the_limit(page: SimpleNamespace) -> None:
    made = visits(page)
    for number in range(300):
        made[f"visitor{number}"][page.result._id] = pixels(90)
        assert made.held <= 1000 * 1024
    assert len(made.session_data) == 300


def test_invented_sessions_push_out_no_results(page: SimpleNamespace) -> None:
    made = visits(page)
    made.capacity = 10
    for number in range(5):
        made[f"visitor{number}"][page.result._id] = pixels(1)
    for number in range(200):
        made[f"invented{number}"][page.result._id] = None
    assert [f"visitor{number}" in made for number in range(5)] == [True] * 5
    assert len(made.session_data) == 10
    assert "invented199" in made
    for number in range(5, 15):
        made[f"visitor{number}"][page.result._id] = pixels(1)
    assert list(made.session_data) == [f"visitor{number}" for number in range(5, 15)]


def test_what_all_begin_with_weighs_nothing(page: SimpleNamespace) -> None:
    page.blocks.blocks[page.example._id].value = {"picture": page.common}
    made = visits(page)
    made["one"][page.example._id] = {"picture": page.common, "more": pixels(1)}
    assert made.held == 1024


def test_what_expired_weighs_nothing_any_more(page: SimpleNamespace) -> None:
    made = visits(page)
    made["one"][page.result._id] = pixels(300)
    made["one"].replace(page.result._id, None)
    assert made.held == 0
    made["one"][page.result._id] = pixels(300)
    made["one"]._state_ttl[page.result._id] = (0, made["one"]._state_ttl[page.result._id][1])
    made.delete_all_expired_state()
    assert made.held == 0


def test_of_the_page_only_what_differs_is_kept(page: SimpleNamespace) -> None:
    visit = visits(page)["one"]
    assert isinstance(visit, Visit)
    visit._update_value_in_config(page.shown._id, "a photo")
    visit[page.shown._id] = gr.HTML(value="a photo", render=False)
    assert visit.blocks_config.blocks[page.shown._id] is page.shown
    changed = gr.Slider(0, 5, render=False)
    visit[page.level._id] = changed
    assert visit[page.level._id] is changed
    assert changed._id == page.level._id
    assert page.blocks.blocks[page.level._id] is page.level
    assert not list(visit.components)


# ------------------------------------------------------------------------------------------ turns


def asked(session: str, address: str = "10.0.0.1", forwarded: str = "") -> tuple[Any, Any]:
    """An event that a page asks for, and its request."""
    request = SimpleNamespace(
        client=SimpleNamespace(host=address), headers={"x-forwarded-for": forwarded}
    )
    return PredictBodyInternal(data=[], fn_index=0, session_hash=session), request


@pytest.fixture
def queue() -> Turns:
    """A queue of eight that nobody works on; three of each session."""
    with gr.Blocks(analytics_enabled=False) as blocks:
        gr.Button().click(lambda: None, None, None)
    made = Turns(
        max_waiting=3, max_unread=1000, live_updates=False, concurrency_count=1,
        update_intervals=1, max_size=8, blocks=blocks, default_concurrency_limit=1,
    )  # fmt: skip
    holder = Visits(2**20, 2**20, lambda value: None)
    holder.set_blocks(blocks)
    return made


def test_a_session_and_a_client_have_a_share(queue: Turns) -> None:
    async def ask() -> None:
        for _ in range(3):
            await queue.push(*asked("one"), None)
        with pytest.raises(HTTPException) as refused:
            await queue.push(*asked("one"), None)
        assert refused.value.status_code == 429
        assert refused.value.detail == turns.WAITING.format(most=3)
        await queue.push(*asked("two"), None)
        with pytest.raises(HTTPException) as refused:
            await queue.push(*asked("three"), None)  # of the same address
        assert refused.value.detail == turns.SHARE
        for number in range(4):
            await queue.push(*asked(f"other{number}", forwarded=f"1.2.3.{number}"), None)
        assert (await queue.push(*asked("more", "10.0.0.2"), None))[2] == "queue_full"

    awaited(ask)


def test_answers_that_nobody_fetches_become_a_sentence(queue: Turns) -> None:
    async def ask() -> None:
        sent = []
        for name, address in (("one", "1"), ("two", "2"), ("three", "3")):
            _, id_, _ = await queue.push(*asked(name, address), None)
            event = queue.event_ids_to_events[id_]
            message = ProcessCompletedMessage(output={"data": ["x" * 400]}, success=True)
            queue.send_message(event, message)
            sent.append(message)
        assert [message.success for message in sent] == [False, True, True]
        assert sent[0].output["error"] == turns.UNFETCHED
        assert queue.unread == 800
        queue.pending_event_ids_session["two"].clear()  # fetched
        _, id_, _ = await queue.push(*asked("four", "4"), None)
        queue.send_message(
            queue.event_ids_to_events[id_],
            ProcessCompletedMessage(output={"data": ["x" * 400]}, success=True),
        )
        assert sent[2].success
        assert queue.unread == 800

    awaited(ask)


def test_a_pair_is_a_result_too() -> None:
    face = SimpleNamespace()
    assert weight(Pair((face, face), (1, 1), regions=(pixels(1), pixels(2)))) == 3 * 1024
