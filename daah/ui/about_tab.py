"""The About tab: how it works in a minute, sources, limits, and how to call it from code."""

from __future__ import annotations

from string import Template

import gradio as gr

from daah.ui.desk import Desk
from daah.ui.parts import static


class AboutTab:
    """Builds the tab inside the current Blocks."""

    def __init__(self, desk: Desk) -> None:
        gallery, settings = desk.retriever.gallery, desk.settings
        text = Template(static("about.md")).substitute(
            credit=gallery.provenance.credit or "added by hand",
            photos=f"{gallery.count():,}",
            people=f"{len(gallery.people()):,}",
            bits=desk.retriever.bits,
            bytes=desk.retriever.bits // 8,
            minutes=settings.keep_minutes,
            additions=settings.additions_minutes,
            upload=settings.max_upload_mb,
        )
        gr.Markdown(text, elem_id="about")
