"""The Compare tab: are these two photos of one person?"""

from __future__ import annotations

from typing import Any

import gradio as gr
import numpy as np

from daah.errors import DaahError
from daah.ui.compare import actions, html
from daah.ui.page import html as page_html
from daah.ui.page.components import html_panel, upload
from daah.ui.page.events import REDRAWS, RUNS_NETWORK, reported
from daah.ui.page.examples import PAIRS
from daah.ui.server.inputs import whole
from daah.ui.server.visits import reason
from daah.ui.state.context import AppContext
from daah.ui.state.session import Pair

#: Strength of the heatmaps; the Search tab has a control for it.
STRENGTH = 0.6


class CompareTab:
    """Builds the tab inside the current Blocks and wires it."""

    def __init__(self, context: AppContext) -> None:
        self.context = context
        self.pair = gr.State(None)
        with gr.Row():
            self.first = upload("First photo", "photo-first", 260, "The first photo")
            self.second = upload("Second photo", "photo-second", 260, "The second photo")
        self.examples = html_panel("pairs", page_html.pairs(PAIRS))
        lengths = context.retriever.lengths
        self.length = gr.Radio(
            list(lengths), value=lengths[-1], label="Code length", elem_id="compare-bits"
        )
        self.verdict = html_panel("verdict", page_html.say(html.WAITING), live=True)
        self.numbers = html_panel("numbers")
        self.choices = html_panel("pair-faces")
        self.faces = html_panel("pair-heatmaps")
        self.bits = html_panel("pair-bits")
        self._wire()

    def _wire(self) -> None:
        result = [
            self.pair, self.verdict, self.numbers, self.choices, self.faces, self.bits
        ]  # fmt: skip
        photos = [self.first, self.second]
        loud: dict[str, Any] = {"show_progress": "full", "show_progress_on": self.verdict}
        for photo in photos:
            # Not by `input`, as on the Search tab.
            done = photo.upload(
                self._compare, [*photos, self.length], result, **RUNS_NETWORK, **loud
            )
            done.failure(self._failed, None, result, **REDRAWS)
            # Does not write the field: the visitor may have given the next photo meanwhile.
            photo.clear(self._cleared, None, result, show_progress="hidden", **RUNS_NETWORK)
        done = self.examples.select(
            self._example, self.length, [*photos, *result], **RUNS_NETWORK, **loud
        )
        done.failure(self._failed, None, result, **REDRAWS)
        chosen = self.choices.select(
            self._choose, [self.pair, self.length], result, **RUNS_NETWORK, **loud
        )
        chosen.failure(self._failed, None, result, **REDRAWS)
        self.length.input(self._again, [self.pair, self.length], result, **REDRAWS)
        self.bits.select(
            self._regions,
            [self.pair, self.length],
            result,
            show_progress="minimal",
            show_progress_on=self.bits,
            **RUNS_NETWORK,
        )

    def _compare(
        self,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        first: np.ndarray | None = None,
        second: np.ndarray | None = None,
        length: int = 0,
    ) -> dict[Any, Any]:
        if first is None or second is None:
            return self._clear(page_html.say(html.WAITING))
        try:
            pair = actions.pair(self.context.retriever, first, second, reported(progress))
        except DaahError as problem:
            return self._clear(page_html.say(str(problem), "bad"))
        return self._drawn(pair, length)

    def _cleared(self) -> dict[Any, Any]:
        return self._clear(page_html.say(html.WAITING))

    def _example(
        self,
        event: gr.EventData,
        progress: gr.Progress = gr.Progress(),  # noqa: B008
        length: int = 0,
    ) -> dict[Any, Any]:
        pair = PAIRS[whole(event, "index") % len(PAIRS)]
        first, second = pair.read()
        return {
            self.first: first,
            self.second: second,
            **self._compare(progress, first, second, length),
        }

    def _again(self, pair: Pair | None, length: int) -> dict[Any, Any]:
        if pair is None:
            return {self.pair: None}
        return self._drawn(pair, length) if self._here(pair) else self._expired()

    def _choose(self, event: gr.EventData, pair: Pair | None, length: int) -> dict[Any, Any]:
        """Another face of one of the photos."""
        if pair is None or not self._here(pair):
            return self._expired()
        photo, index = whole(event, "photo"), whole(event, "index")
        return self._drawn(actions.choose(self.context.retriever, pair, photo, index), length)

    def _regions(self, pair: Pair | None, length: int) -> dict[Any, Any]:
        if pair is None or not self._here(pair):
            return self._expired()
        return self._drawn(actions.with_regions(self.context.retriever, pair), length)

    def _failed(self) -> dict[Any, Any]:
        text = reason("One of the photos gave no result. Choose another one.")
        return self._clear(page_html.say(text, "bad"))

    def _drawn(self, pair: Pair, length: int) -> dict[Any, Any]:
        found = self.context.retriever.compare(*pair.faces, length)
        return {
            self.pair: pair,
            self.verdict: html.verdict(found),
            self.numbers: html.numbers(pair, found),
            self.choices: html.choices(pair),
            self.faces: html.faces(pair, STRENGTH),
            self.bits: html.bits(pair, length, STRENGTH),
        }

    def _here(self, pair: Pair) -> bool:
        return not pair.expired(self.context.settings.keep_seconds)

    def _expired(self) -> dict[Any, Any]:
        text = page_html.EXPIRED.format(after=self.context.settings.keep_words)
        return self._clear(page_html.say(text, "bad"))

    def _clear(self, sentence: str) -> dict[Any, Any]:
        empty = dict.fromkeys((self.numbers, self.choices, self.faces, self.bits), "")
        return {self.pair: None, self.verdict: sentence, **empty}
