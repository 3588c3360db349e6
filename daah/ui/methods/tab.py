"""The Methods tab: one face by several hashing methods, and how they measured up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr
import numpy as np

from daah.errors import DaahError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import Progress
from daah.ui.methods import actions, html
from daah.ui.methods.actions import Lineup
from daah.ui.page import html as page_html
from daah.ui.page.components import html_panel, upload
from daah.ui.page.events import AT_ONCE, REDRAWS, reported
from daah.ui.page.examples import WITH_FACES
from daah.ui.quality import html as quality_html
from daah.ui.quality import reports
from daah.ui.search.tab import SearchTab
from daah.ui.server.inputs import whole
from daah.ui.server.visits import reason
from daah.ui.state.context import AppContext
from daah.ui.state.session import ATTENTION_ON, Session

#: Encoding a whole gallery must not keep searches waiting, so it does not take their turn.
_TURN: dict[str, Any] = {
    "concurrency_id": "methods",
    "concurrency_limit": AT_ONCE,
    "trigger_mode": "multiple",
    "api_visibility": "private",
}


class MethodsTab:
    """Builds the tab inside the current Blocks and wires it.

    search: the Search tab, whose chosen face the tab starts with. tab: this tab.
    """

    def __init__(
        self, context: AppContext, additions: gr.State, search: SearchTab, tab: gr.Tab
    ) -> None:
        self.context, self.additions, self.search, self.tab = context, additions, search, tab
        self.lineup = gr.State(None)
        self._made: tuple[tuple, str] = ((), "")
        with gr.Row():
            with gr.Column(scale=1, min_width=300):
                self.photo = upload("Another photo", "photo-methods", 220)
                self.examples = html_panel("methods-examples", page_html.examples(WITH_FACES))
            with gr.Column(scale=2, min_width=320):
                words = page_html.say(html.WAITING)
                self.sentence = html_panel("methods-sentence", words, live=True)
                self.rows = html_panel("methods")
        self.measured = html_panel("methods-measured")
        self._wire()

    def _wire(self) -> None:
        result = [self.lineup, self.sentence, self.rows]
        loud: dict[str, Any] = {"show_progress": "full", "show_progress_on": self.sentence}
        self.tab.select(self._measured, None, self.measured, **REDRAWS)
        turned = self.tab.select(
            self._searched,
            [self.search.session, self.additions, self.lineup],
            result,
            **_TURN,
            **loud,
        )
        turned.failure(self._failed, None, result, **REDRAWS)
        known = [self.search.session, self.additions]
        # Not by `input`, as on the Search tab.
        given = self.photo.upload(self._photo, [self.photo, *known], result, **_TURN, **loud)
        given.failure(self._failed, None, result, **REDRAWS)
        # Does not write the field: the visitor may have given the next photo meanwhile.
        self.photo.clear(self._cleared, None, result, show_progress="hidden", **_TURN)
        shown = self.examples.select(self._example, known, [self.photo, *result], **_TURN, **loud)
        shown.failure(self._failed, None, result, **REDRAWS)

    def _measured(self) -> str:
        now = tuple(reports.state())
        if self._made[0] != now:
            found = reports.comparison()
            self._made = now, quality_html.comparison(found, self.context.figures.address)
        return self._made[1]

    def _searched(
        self,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        session: Session | None = None,
        additions: SessionGallery | None = None,
        before: Lineup | None = None,
    ) -> dict[Any, Any]:
        """Turned to: the face chosen on the Search tab, unless it was shown here before."""
        asked = self._asked(session)
        if asked is None or session is None or (before is not None and before.asked == asked):
            return {self.lineup: before}
        face = session.encoded[ATTENTION_ON][session.face].face
        mine = additions or SessionGallery()
        return self._drawn(
            lambda report: replace(
                actions.line_up(self.context, face, 1, mine, report), born=session.born
            ),
            progress,
            asked,
        )

    def _photo(
        self,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        photo: np.ndarray | None = None,
        session: Session | None = None,
        additions: SessionGallery | None = None,
    ) -> dict[Any, Any]:
        if photo is None:
            return {self.lineup: None, **self._words(html.WAITING)}
        return self._drawn(
            lambda report: actions.line_up_photo(
                self.context, photo, additions or SessionGallery(), report
            ),
            progress,
            self._asked(session),
        )

    def _cleared(self) -> dict[Any, Any]:
        return {self.lineup: None, **self._words(html.WAITING)}

    def _example(
        self,
        event: gr.EventData,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        session: Session | None = None,
        additions: SessionGallery | None = None,
    ) -> dict[Any, Any]:
        photo = WITH_FACES[whole(event, "index") % len(WITH_FACES)].read()
        return {self.photo: photo, **self._photo(progress, photo, session, additions)}

    def _asked(self, session: Session | None) -> tuple[float, int] | None:
        """Which face is chosen on the Search tab: of a photo of that time, and its number."""
        if session is None or session.expired(self.context.settings.keep_seconds):
            return None
        return (session.born, session.face) if session.encoded[ATTENTION_ON] else None

    def _drawn(
        self,
        work: Callable[[Progress], Lineup],
        progress: gr.Progress,
        asked: tuple[float, int] | None,
    ) -> dict[Any, Any]:
        try:
            lineup = replace(work(reported(progress)), asked=asked)
        except DaahError as problem:
            return {self.lineup: None, **self._words(str(problem), "bad")}
        return {
            self.lineup: lineup,
            self.sentence: html.sentence(lineup),
            self.rows: html.rows(lineup),
        }

    def _failed(self) -> dict[Any, Any]:
        text = reason("That photo gave no result. Choose another one.")
        return {self.lineup: None, **self._words(text, "bad")}

    def _words(self, text: str, tone: str = "") -> dict[Any, Any]:
        return {self.sentence: page_html.say(text, tone), self.rows: ""}
