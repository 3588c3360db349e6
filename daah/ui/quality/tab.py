"""The "How good is it" tab: what was measured, and plainly what was not."""

from __future__ import annotations

import gradio as gr

from daah.errors import CheckpointError
from daah.models.encoder import FaceEncoder
from daah.ui.page.components import html_panel
from daah.ui.page.events import REDRAWS
from daah.ui.quality import reports
from daah.ui.quality.html import section
from daah.ui.state.context import DEFAULT_MODEL, AppContext

_INTRO = (
    '<p class="hint">Every figure below is read from the checkpoint or from a report that a '
    "command of this project wrote; each names its source. Figures are shares between 0 and 1 "
    "unless stated otherwise. This page searches at {bits} bits, {bytes} bytes per face, unless "
    "you choose another length; each figure says at which length it was measured.</p>"
)


class QualityTab:
    """Builds the tab inside the current Blocks. tab: itself; it is drawn when it is turned to.

    Most visitors never look at it. What it says is the same for all of them, and made once.
    """

    def __init__(self, context: AppContext, tab: gr.Tab) -> None:
        self.context = context
        self._made: tuple[tuple, str] = ((), "")
        bits = context.retriever.bits
        self._intro = _INTRO.format(bits=bits, bytes=bits // 8)
        drawn = html_panel("quality", self._intro)
        tab.select(self._drawn, None, drawn, **REDRAWS)

    def _drawn(self) -> str:
        encoders = self._encoders()
        now = (*(encoder.fingerprint for encoder in encoders), *reports.state())
        if self._made[0] != now:
            found = reports.sections(encoders)
            address = self.context.figures.address
            self._made = now, self._intro + "".join(section(one, address) for one in found)
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
