"""The About tab: how it works in a minute, sources, limits, and how to call it from code."""

from __future__ import annotations

import re
from pathlib import Path
from string import Template

import gradio as gr

from daah.paths import PATHS
from daah.retrieval.loading import DEFAULT_CHECKPOINT
from daah.ui.page.components import html_panel, static
from daah.ui.quality import reports
from daah.ui.quality.html import table
from daah.ui.state.context import DEFAULT_MODEL, AppContext

DOCS = PATHS.docs

#: Who the people of known galleries are; of another one nothing is known.
WHO = {
    "congress": " They are here because they hold or held a public office, their portraits are "
    "official, and the photos are in the public domain. The gallery is for trying the search, not "
    "for identifying anybody; your own face is most likely not in it.",
    "orl": " The photos show volunteers of the early nineties, so your own face is most likely not "
    "among them. The people are named s1 to s40.",
}


class AboutTab:
    """Builds the tab inside the current Blocks."""

    def __init__(self, context: AppContext) -> None:
        gallery, settings = context.retriever.gallery, context.settings
        text = Template(static("about/about.md")).substitute(
            credit=gallery.provenance.credit or "added by hand",
            who=WHO.get(gallery.provenance.source, ""),
            photos=f"{gallery.count():,}",
            people=f"{gallery.store.count_people():,}",
            bits=context.retriever.bits,
            bytes=context.retriever.bits // 8,
            shorter=", ".join(map(str, context.retriever.lengths[:-1])),
            minutes=settings.keep_words,
            additions=settings.additions_minutes,
            upload=settings.max_upload_mb,
        )
        gr.Markdown(text, elem_id="about")
        with gr.Accordion("Model card", open=False, elem_id="card"):
            if card := _card(DOCS / "MODEL_CARD.md"):
                gr.Markdown(card)
            html_panel(
                "checkpoint", table(reports.about_checkpoint(context.encoder(DEFAULT_MODEL)))
            )
        for name in (context.retriever.encoder.name, *context.others):
            if card := _card(DEFAULT_CHECKPOINT.parent / f"{Path(name).name}.md"):
                with gr.Accordion(f"Checkpoint {name}", open=False, elem_id=f"card-{name}"):
                    gr.Markdown(card)


def _card(path: Path) -> str:
    """A committed card as part of this page, or nothing: links to other files lead nowhere here."""
    if not path.is_file():
        return ""
    text = re.sub(r"\A---\n.*?\n---\n", "", path.read_text("utf-8"), flags=re.DOTALL)
    text = re.sub(r"!\[[^\]]*\]\((?!https?:)[^)]*\)", "", text)
    text = re.sub(r"\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
    return re.sub(r"^(#+ )", r"#\1", text, flags=re.MULTILINE)
