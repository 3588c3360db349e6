"""The "How good is it" tab: what was measured, and plainly what was not."""

from __future__ import annotations

from daah.ui import quality
from daah.ui.desk import Desk
from daah.ui.parts import part
from daah.ui.render_quality import section

_INTRO = (
    '<p class="hint">Every figure below is read from the checkpoint or from a report that a '
    "command of this project wrote; each names its source. Figures are shares between 0 and 1 "
    "unless they say otherwise.</p>"
)


class QualityTab:
    """Builds the tab inside the current Blocks."""

    def __init__(self, desk: Desk) -> None:
        found = quality.sections(desk.retriever.encoder)
        part("quality", _INTRO + "".join(section(one) for one in found))
