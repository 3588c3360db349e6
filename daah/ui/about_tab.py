"""The About tab: how it works in a minute, sources, limits, and how to call it from code."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

import gradio as gr

from daah.ui import quality
from daah.ui.desk import Desk
from daah.ui.parts import part, static
from daah.ui.render_quality import table

DOCS = Path(__file__).resolve().parent.parent.parent / "docs"


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
            minutes=settings.keep_words,
            additions=settings.additions_minutes,
            upload=settings.max_upload_mb,
        )
        gr.Markdown(text, elem_id="about")
        card = _model_card()
        with gr.Accordion("Model card", open=False, elem_id="card"):
            if card:
                gr.Markdown(card)
            part("checkpoint", table(quality.about_checkpoint(desk.retriever.encoder)))


def _model_card() -> str:
    """The committed card without its front matter, or nothing."""
    for path in sorted(DOCS.glob("*.md")):
        if re.sub(r"[^a-z]", "", path.stem.lower()) == "modelcard":
            return re.sub(r"\A---\n.*?\n---\n", "", path.read_text("utf-8"), flags=re.DOTALL)
    return ""
