"""The Live tab: the webcam with boxes, heatmaps and best matches over it."""

from __future__ import annotations

from typing import Any

import gradio as gr

from daah.ui.live.frames import Live
from daah.ui.page.components import static
from daah.ui.server.visits import current
from daah.ui.state.context import AppContext


class LiveTab:
    """Builds the tab inside the current Blocks.

    The engine in the browser serves it unless a visitor chooses the server's. Frames for that one
    go to a server function of the part and not through the queue: Live never waits for a visitor's
    search, and no search ever waits behind a row of frames. additions: the State with the visitor's
    own SessionGallery. base: address of the engine's scripts, "" where there is none.
    """

    def __init__(self, context: AppContext, additions: gr.State, base: str = "") -> None:
        live = Live(context)

        def frame(picture: str) -> dict[str, Any]:
            visit = current()
            added = visit.state_data.get(additions._id) if visit else None
            return live.frame(picture, added)

        def remember(picture: str) -> str:
            visit = current()
            if visit is None:
                return "This visit has ended. Reload the page."
            mine, words = live.remember(picture, visit.state_data.get(additions._id))
            if mine is not None:
                visit[additions._id] = mine
            return words

        def added(_: str) -> list[list[str]]:
            visit = current()
            mine = visit.state_data.get(additions._id) if visit else None
            return live.added(mine)

        seconds = context.settings.live_seconds
        gr.HTML(
            static("live/live.html")
            + f'<span data-seconds="{seconds}" data-base="{base}" hidden></span>',
            elem_id="live",
            elem_classes="part",
            js_on_load=static("live/live.js"),
            server_functions=[frame, remember, added],
            apply_default_css=False,
        )
