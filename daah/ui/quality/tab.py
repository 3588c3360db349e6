"""The "How good is it" tab: what was measured, and plainly what was not."""

from __future__ import annotations

import gradio as gr

from daah.errors import CheckpointError
from daah.models.encoder import FaceEncoder
from daah.ui.page.components import html_panel
from daah.ui.page.events import REDRAWS
from daah.ui.quality import reports, summary
from daah.ui.quality.html import section
from daah.ui.state.context import DEFAULT_MODEL, AppContext


class QualityTab:
    """Builds the tab inside the current Blocks. tab: itself; it is drawn when it is turned to.

    Most visitors never look at it. What it says is the same for all of them, and made once.
    """

    def __init__(self, context: AppContext, tab: gr.Tab) -> None:
        self.context = context
        self._made: tuple[tuple, str] = ((), "")
        drawn = html_panel("quality")
        tab.select(self._drawn, None, drawn, **REDRAWS)

    def _drawn(self) -> str:
        encoders = self._encoders()
        now = (*(encoder.fingerprint for encoder in encoders), *reports.state())
        if self._made[0] != now:
            found = reports.sections(encoders)
            address = self.context.figures.address
            bits = self.context.retriever.bits
            start = summary.panel(summary.sentences(encoders[0], bits), bits)
            shown = (section(one, address) for one in found if one.title != reports.MORE)
            self._made = now, start + "".join(shown)
        return self._made[1]

    def _encoders(self) -> list[FaceEncoder]:
        """The networks that are served here; a damaged file is told to those who choose it."""
        encoders = [self.context.encoder(DEFAULT_MODEL)]
        for model in self.context.others:
            try:
                encoders.append(self.context.encoder(model))
            except CheckpointError:
                continue
        return encoders
