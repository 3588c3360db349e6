"""Pieces of the page that several tabs use: an HTML part with its script, small inputs."""

from __future__ import annotations

from typing import Any

import gradio as gr

from daah.reading import READERS
from daah.retrieval.retriever import Progress

#: How every event is set up unless it says otherwise: hidden from the API, answered at once and
#: beside the queue, because it only draws again what is known already.
REDRAWS: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}

#: Events of one kind that are worked on at a time: one has its turn (`app.App.call_function`),
#: and the photos of others are read meanwhile.
AT_ONCE = 1 + READERS

#: Events that run the network: one after another, so that two visitors take turns.
RUNS_NETWORK: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": AT_ONCE,
    "trigger_mode": "multiple",  # what is asked for meanwhile waits its turn, and is not lost
    "api_visibility": "private",
}


def reported(progress: gr.Progress) -> Progress:
    """Gradio's progress bar, called as everything below the page calls it."""
    return lambda done, what: progress(done, desc=what)
