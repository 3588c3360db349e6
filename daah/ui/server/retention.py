"""What the server still holds of visitors whose time is over, in memory and on disk, and drops."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.routes import file_upload_statuses

from daah.ui.server.age_tracker import AgeTracker
from daah.ui.server.uploads import Sweeper
from daah.ui.server.visits import Visit


class Forgetter:
    """Drops, at every call, what Gradio holds of visitors for longer than `seconds`.

    A State becomes what `kept` makes of it. A session not used for `seconds` loses answers that
    nobody fetched; one whose page was closed loses all its States. So do notes of uploads: their
    progress, and names of deleted files. clock: seconds that only grow.
    """

    def __init__(
        self,
        demo: gr.Blocks,
        seconds: float,
        kept: Callable[[Any], Any],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._demo, self._seconds, self._kept = demo, seconds, kept
        self._sessions, self._uploads = AgeTracker(clock), AgeTracker(clock)

    def __call__(self) -> None:
        """Drop what is over now."""
        holder, queue = self._demo.state_holder, self._demo._queue
        answers, asked = queue.pending_messages_per_session, queue.pending_event_ids_session
        awaited = queue.event_ids_to_events  # what is not worked on yet needs its answer's place
        used = {}
        for key in {*holder.session_data, *answers, *asked}:  # answers outlast their session
            last = holder.time_last_used.get(key)
            used[key, last] = (type(last).now() - last).total_seconds() if last else float("inf")
        for (key, _), age in self._sessions.of(used).items():
            idle = age > self._seconds
            session = holder.session_data.get(key)
            if session is not None:
                self._forget(session, idle)
            if idle and not any(event in awaited for event in asked.get(key, ())):
                answers.pop(key, None)
                asked.pop(key, None)
        for files in getattr(self._demo, "temp_file_sets", ()):
            files -= {file for file in list(files) if not Path(file).exists()}
        tracked = {*file_upload_statuses._statuses, *file_upload_statuses._signals}
        for key, age in self._uploads.of(dict.fromkeys(tracked, 0.0)).items():
            if age > self._seconds:
                file_upload_statuses._statuses.pop(key, None)
                file_upload_statuses._signals.pop(key, None)

    def _forget(self, session: Visit, idle: bool) -> None:
        for component, value in list(session.state_data.items()):
            kept = self._kept(value)
            if kept is not value:
                session.replace(component, kept)
            elif idle and session.is_closed:
                session.remove(component)


def give_back() -> None:
    """Return freed memory to the system: photos are gone from it then, and it does not grow.

    Dozens of threads free pieces of a megabyte in the middle of glibc's heaps, which keep them.
    """
    with contextlib.suppress(OSError, TypeError, AttributeError):  # another system's library
        ctypes.CDLL(None).malloc_trim(0)


@contextlib.asynccontextmanager
async def retention_lifespan(
    demo: gr.Blocks, seconds: float, every: float, kept: Callable[[Any], Any]
) -> AsyncIterator[None]:
    """While this is entered: forget, in memory and on disk, every so many seconds."""

    async def work() -> None:
        sweep = Sweeper(Path(gr.utils.get_upload_folder()), seconds)
        forget = Forgetter(demo, seconds, kept)
        while True:
            # First of all: what an earlier server left when it was killed.
            await asyncio.to_thread(sweep)
            forget()
            await asyncio.to_thread(give_back)
            await asyncio.sleep(every)

    task = asyncio.create_task(work())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
