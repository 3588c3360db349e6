"""How the page says no: a sentence for the visitor, and not a word in the log."""

from __future__ import annotations

import gradio as gr


class UserError(gr.Error):
    """A `gr.Error` about what a visitor gave. Nothing failed, so no traceback is printed."""

    def __init__(self, sentence: str, title: str = "This did not work") -> None:
        super().__init__(sentence, title=title, print_exception=False)
