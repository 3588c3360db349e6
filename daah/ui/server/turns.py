"""Whose turn it is: Gradio's queue, of which nobody can take more than a share.

Gradio bounds how many events wait, and not whose they are, nor the answers that nobody fetches.
"""

from __future__ import annotations

from typing import Any

import fastapi
from gradio.data_classes import PredictBodyInternal
from gradio.queueing import Event, Queue
from gradio.server_messages import EventMessage, ProcessCompletedMessage
from starlette.exceptions import HTTPException

from daah.ui.server.visits import weight

#: Said to a page that asks for more while what it asked for before is not done.
WAITING = "This page has {most} searches in progress already. Wait for results, then try again."
#: Said to a client, as an address that fills the queue by many sessions.
SHARE = "Your address already has half of the queue. Wait for results, then try again."
#: Said in place of an answer that was not fetched in time.
UNFETCHED = "This result was not fetched in time, and other visitors needed its place. Try again."


class Turns(Queue):
    """A queue with a share for each session and each client, and bounded unread answers.

    max_waiting: events of one session that wait, are worked on, or have an unread answer.
    max_unread: bytes of all unread answers; the oldest becomes a sentence first.
    """

    def __init__(self, max_waiting: int, max_unread: int, **more: Any) -> None:
        super().__init__(**more)
        self._max_waiting, self._max_unread = max_waiting, max_unread
        self._unread: dict[str, tuple[str, ProcessCompletedMessage, int]] = {}

    async def push(
        self, body: PredictBodyInternal, request: fastapi.Request, username: str | None
    ) -> Any:
        """As Gradio's own. Raises HTTPException 429 with a sentence when a share is taken."""
        held = self.pending_event_ids_session.get(body.session_hash or "", ())
        if len(held) >= self._max_waiting:
            raise HTTPException(429, WAITING.format(most=self._max_waiting))
        full = self.max_size is not None and len(self) >= self.max_size
        if self.max_size is not None and not full:  # of a full queue Gradio tells
            mine = client(request)
            queues = list(self.event_queue_per_concurrency_id.values())
            waiting = sum(client(event.request) == mine for q in queues for event in q.queue)
            if waiting >= max(1, self.max_size // 2):
                raise HTTPException(429, SHARE)
        return await super().push(body, request, username)

    def send_message(self, event: Event, event_message: EventMessage) -> None:
        """As Gradio's own; an answer counts until it is fetched."""
        super().send_message(event, event_message)
        if not event.alive or not isinstance(event_message, ProcessCompletedMessage):
            return
        self._unread = {
            id_: held
            for id_, held in self._unread.items()
            if id_ in self.pending_event_ids_session.get(held[0], ())
        }
        size = weight(event_message.output)
        self._unread[event._id] = event.session_hash, event_message, size
        while self.unread > self._max_unread:
            _, message, _ = self._unread.pop(next(iter(self._unread)))
            message.output, message.success = {"error": UNFETCHED, "visible": True}, False

    @property
    def unread(self) -> int:
        """Bytes of answers that were not fetched when the last one was given."""
        return sum(size for _, _, size in self._unread.values())


def client(request: fastapi.Request) -> tuple[str, str]:
    """Who sent a request: its address, and what proxies on the way say of it.

    A proxy adds the address that it saw. So nobody can pass for another client, though one who
    invents addresses passes for many.
    """
    address = request.client.host if request.client else ""
    return address, request.headers.get("x-forwarded-for", "")
