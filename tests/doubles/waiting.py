"""Waiting for events and coroutines. A deadline ends a hang: no outcome depends on the speed."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from anyio.from_thread import start_blocking_portal

Answer = TypeVar("Answer")

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


def awaited(work: Callable[..., Awaitable[Answer]], *arguments: object) -> Answer:
    """Run a coroutine function to its end, in an event loop of another thread.

    The browser of the tests keeps a loop running in the main thread, where `asyncio.run` then
    refuses to start a second one.

    Args:
        work: what is awaited.
        arguments: what it is called with.

    Returns:
        What it returned.

    Raises:
        Exception: what it raised.
    """
    with start_blocking_portal() as portal:
        return portal.call(work, *arguments)


class Clock:
    """A clock that moves when it is told to, for code that takes one as an argument."""

    def __init__(self, start: float = 1000.0) -> None:
        self.now = start

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        """Let so many seconds go by."""
        self.now += seconds
