"""Pieces of the page that several tabs use: an HTML part with its script, small inputs."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import gradio as gr

from daah.reading import READERS

_UI = Path(__file__).parents[1]

#: How every event is set up unless it says otherwise: hidden from the API, answered at once and
#: beside the queue, because it only draws again what is known already.
QUICK: dict[str, Any] = {
    "queue": False,
    "show_progress": "hidden",
    "api_visibility": "private",
}

#: Events of one kind that are worked on at a time: one has its turn (`layout.App.call_function`),
#: and the photos of others are read meanwhile.
AT_ONCE = 1 + READERS

#: Events that run the network: one after another, so that two visitors take turns.
MODEL: dict[str, Any] = {
    "concurrency_id": "model",
    "concurrency_limit": AT_ONCE,
    "trigger_mode": "multiple",  # what is asked for meanwhile waits its turn, and is not lost
    "api_visibility": "private",
}


@cache
def static(name: str) -> str:
    """The text of a file in the `static` folder of a part of the page: `live/live.js`."""
    folder, _, file = name.partition("/")
    return (_UI / folder / "static" / file).read_text(encoding="utf-8")


def part(
    elem_id: str, value: str = "", live: bool = False, script: str = "page/panel.js", **more: Any
) -> gr.HTML:
    """A piece of the page drawn by `render`; its buttons arrive as `select` events.

    live: screen readers announce what changes in it. script: the file in `static` that it runs.
    """
    template = '<div role="status" aria-live="polite">${value}</div>' if live else "${value}"
    return gr.HTML(
        value,
        elem_id=elem_id,
        elem_classes="part",
        html_template=template,
        js_on_load=static(script),
        apply_default_css=False,
        **more,
    )
