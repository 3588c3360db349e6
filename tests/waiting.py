"""Waiting for events. Deadlines end a hang and nothing else: no outcome depends on the speed."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds after which something that has not happened is taken never to happen.
HANG = 240.0

#: The same in milliseconds, as Playwright counts.
PATIENCE = 1000 * HANG


def eventually(question: Callable[[], object], *errors: type[Exception]) -> object:
    """Ask until the answer is true, and give it back; the last answer when nothing happens.

    Args:
        question: asked again and again.
        errors: exceptions of the question that count as "not yet".

    Returns:
        The first true answer, or the last one after HANG seconds.

    Raises:
        Exception: what the last question raised, after HANG seconds.
    """
    deadline = time.monotonic() + HANG
    while True:
        try:
            answer = question()
            if answer or time.monotonic() > deadline:
                return answer
        except errors:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.05)


class Clock:
    """A clock that moves when it is told to, for code that takes one as an argument."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so many seconds go by."""
        self.now += seconds
