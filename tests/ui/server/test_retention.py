"""Sessions whose time is over."""

from __future__ import annotations

import datetime
from types import SimpleNamespace

import gradio as gr

from daah.ui.server.retention import Forgetter
from daah.ui.server.visits import Visit


def test_what_is_over_is_forgotten() -> None:
    def session(value: str, minutes_ago: float) -> tuple[Visit, datetime.datetime]:
        used = datetime.datetime.now() - datetime.timedelta(minutes=minutes_ago)
        visit = Visit(gr.Blocks(analytics_enabled=False), lambda *_: None)
        visit.state_data, visit.weights = {1: value, 2: "own"}, {1: 1000, 2: 10}
        return visit, used

    made = {"over": session("old", 1), "fresh": session("new", 1), "idle": session("new", 11)}
    made["closed"] = session("new", 11)
    made["closed"][0].is_closed = True
    holder = SimpleNamespace(
        session_data={key: held for key, (held, _) in made.items()},
        time_last_used={key: used for key, (_, used) in made.items()},
    )
    unread = dict.fromkeys(made, "an answer")
    unread["evicted"] = "an answer"
    queue = SimpleNamespace(
        pending_messages_per_session=unread,
        pending_event_ids_session={"idle": {1}},
        event_ids_to_events={},
    )
    demo = SimpleNamespace(state_holder=holder, _queue=queue)
    Forgetter(demo, 600, lambda value: None if value == "old" else value)()
    assert holder.session_data["over"].state_data == {1: None, 2: "own"}
    assert holder.session_data["over"].weights == {2: 10}
    assert holder.session_data["fresh"].state_data == {1: "new", 2: "own"}
    assert holder.session_data["idle"].state_data == {1: "new", 2: "own"}
    assert holder.session_data["closed"].state_data == {}
    assert holder.session_data["closed"].weights == {}
    assert sorted(unread) == ["fresh", "over"]
    assert not queue.pending_event_ids_session
