"""What the server keeps of each visit, and how much of all of them together.

Gradio keeps, for each session, the configuration of every component with the value that it drew
last, so that a page can be shared by a link. There are no such links here, and a page weighs
megabytes: nothing of that is kept, only the values of States.
"""

from __future__ import annotations

import datetime
import itertools
import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from typing import Any

import gradio as gr
import numpy as np
from gradio.context import LocalContext
from gradio.state_holder import SessionState, StateHolder

#: Makes what is left of a value that is dropped.
Emptied = Callable[[Any], Any]


def weight(value: Any, shared: frozenset[int] = frozenset()) -> int:
    """Bytes of the arrays, texts and bytes that a value leads to, each counted once.

    shared: `id` of arrays that all visits have in common, which weigh nothing.
    """
    total = 0
    for one in _reached(value, shared):
        if isinstance(one, np.ndarray) and not isinstance(one.base, np.ndarray):
            total += one.nbytes
        elif isinstance(one, str | bytes):
            total += len(one)
    return total


def arrays(value: Any) -> frozenset[int]:
    """`id` of every array that a value leads to."""
    return frozenset(id(one) for one in _reached(value) if isinstance(one, np.ndarray))


def _reached(value: Any, known: frozenset[int] = frozenset()) -> Iterator[Any]:
    """A value and all that it leads to, each once; `id` of what is left out in known."""
    seen, waiting = set(known), [value]
    while waiting:
        one = waiting.pop()
        if id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += _parts(one)


def _parts(value: Any) -> Iterable[Any]:
    if isinstance(value, np.ndarray):  # a view keeps the whole of what it looks at
        return (value.base,) if isinstance(value.base, np.ndarray) else ()
    if isinstance(value, Mapping):
        return value.values()
    if isinstance(value, list | tuple | set | frozenset):
        return value
    return vars(value).values() if hasattr(value, "__dataclass_fields__") else ()


class Visit(SessionState):
    """A session that keeps the values of States, and components that differ from the page's own.

    changed: called with the session and the component whenever a State has another value.
    """

    def __init__(self, blocks: gr.Blocks, changed: Callable[[Visit, int], None]) -> None:
        # Not Gradio's own, which describes every component of the page again for each session.
        self.blocks_config = copy(blocks.default_config)
        self.blocks_config.visit = weakref.ref(self)
        self.config_values: dict[int, dict[str, Any]] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, tuple[int, datetime.datetime]] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = 3600
        #: Why the last event failed, in a sentence, until it was said on the page.
        self.reason = ""
        #: Bytes of the value of each State, and when it was set, by a counter.
        self.weights: dict[int, int] = {}
        self.turns: dict[int, int] = {}
        self._changed = changed

    def __setitem__(self, key: int, value: Any) -> None:
        block = self.blocks_config.blocks.get(key)
        if isinstance(block, gr.State):
            self._state_ttl[key] = block.time_to_live, datetime.datetime.now()
            self.state_data[key] = value
            self._changed(self, key)
        elif block is None or _differs(value, block):
            # An update makes a component under a number of its own; the next values of that output
            # would be kept under ever new numbers, as long as the session.
            value._id = key
            self.blocks_config.blocks[key] = value

    def replace(self, key: int, value: Any) -> None:
        """Give a State a value that weighs nothing."""
        self.weights.pop(key, None)
        self.state_data[key] = value

    def remove(self, key: int) -> None:
        """Take a State back to what it begins with."""
        self.weights.pop(key, None)
        self.state_data.pop(key, None)

    def _update_config(self, key: int) -> None:
        """Nothing of the page is kept."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Nothing of the page is kept."""


def current() -> Visit | None:
    """The session for which a function of a component is called; None outside of one."""
    config = LocalContext.blocks_config.get(None)
    held = getattr(config, "visit", None)
    return held() if held is not None else None


def reason(otherwise: str) -> str:
    """Why the event before this one failed: what the toast said, which soon goes away.

    Args:
        otherwise: what is said where nothing is known.

    Returns:
        A sentence.
    """
    visit = current()
    if visit is None or not visit.reason:
        return otherwise
    said, visit.reason = visit.reason, ""
    return said


class Visits(StateHolder):
    """All sessions, bounded in bytes: what was used least recently is dropped first.

    Of too many sessions those go first that hold nothing: whoever invents names pushes out none.

    most_each, most: bytes that the States of one session and of all of them may have. emptied:
    what is left of a value that is dropped. last: whether a value goes only when no other is left.
    """

    def __init__(
        self,
        most_each: int,
        most: int,
        emptied: Emptied,
        last: Callable[[Any], bool] = lambda value: False,
    ) -> None:
        super().__init__()
        self.most_each, self.most = most_each, most
        self._emptied, self._last = emptied, last
        self._turn = itertools.count()
        self._shared: frozenset[int] = frozenset()

    def set_blocks(self, blocks: gr.Blocks) -> None:
        """As Gradio's own. What States begin with is one value for all, and weighs nothing."""
        super().set_blocks(blocks)
        states = (block for block in blocks.blocks.values() if isinstance(block, gr.State))
        self._shared = arrays([state.value for state in states])

    def __getitem__(self, session_id: str) -> Visit:
        if session_id not in self.session_data:
            self.session_data[session_id] = Visit(self.blocks, self._bound)
        return super().__getitem__(session_id)

    def update(self, session_id: str) -> None:
        """A session is used; where there are too many, another one goes."""
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
            while len(self.session_data) > self.capacity:
                others = [(n, v) for n, v in self.session_data.items() if n != session_id]
                empty = (name for name, visit in others if not any(visit.weights.values()))
                gone = next(empty, others[0][0])
                self.session_data.pop(gone)
                self.time_last_used.pop(gone, None)

    def delete_state(self, session_id: str, expired_only: bool = False) -> None:
        """As Gradio's own."""
        super().delete_state(session_id, expired_only)
        if (visit := self.session_data.get(session_id)) is not None:
            for key in visit.weights.keys() - visit.state_data.keys():
                visit.weights.pop(key)

    @property
    def held(self) -> int:
        """Bytes of the States of all sessions."""
        return sum(sum(visit.weights.values()) for visit in list(self.session_data.values()))

    def _bound(self, visit: Visit, key: int) -> None:
        visit.weights[key] = weight(visit.state_data[key], self._shared)
        visit.turns[key] = next(self._turn)
        while sum(visit.weights.values()) > self.most_each:
            self._drop(*self._oldest([visit]))
        while self.held > self.most:
            self._drop(*self._oldest(list(self.session_data.values())))

    def _oldest(self, visits: Iterable[Visit]) -> tuple[Visit, int]:
        held = [(v, key) for v in visits for key, size in v.weights.items() if size]
        return min(
            held, key=lambda at: (self._last(at[0].state_data.get(at[1])), at[0].turns[at[1]])
        )

    def _drop(self, visit: Visit, key: int) -> None:
        visit.replace(key, self._emptied(visit.state_data[key]))


def _differs(new: gr.components.Component, old: gr.components.Component) -> bool:
    """Whether a component was made with other arguments, apart from its value."""
    ours, theirs = (
        {k: v for k, v in block.constructor_args.items() if k not in ("value", "render")}
        for block in (new, old)
    )
    return ours != theirs
