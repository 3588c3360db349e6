"""The page that is shown while something is missing."""

from __future__ import annotations

import os
import re
from html import escape

import gradio as gr

from daah.errors import DaahError
from daah.paths import PATHS
from daah.ui.app import App
from daah.ui.page.theme import TITLE
from daah.ui.settings import Settings

_FOLDERS = re.compile(r"(?<![\w:/\\])(?:[A-Za-z]:)?[/\\](?:[^\s/\\:]+[/\\])+")


class Notice(App):
    """The page while something is missing, instead of an app that would have to guess."""

    def __init__(self, problem: DaahError, settings: Settings) -> None:
        self._problem = self._said(problem)
        super().__init__(settings, problem=lambda: self._problem)
        with self:
            self.words = gr.HTML(self._html(problem), apply_default_css=False)

    def say(self, problem: DaahError) -> None:
        """Show another problem from now on, on pages that are opened after this."""
        self._problem = self._said(problem)
        self.words.value = self._html(problem)
        self.config = self.get_config_file()

    @staticmethod
    def _said(problem: DaahError) -> str:
        text = str(problem).replace(f"{PATHS.home}{os.sep}", "")
        return _FOLDERS.sub("", text)  # where on the host, nobody need know

    def _html(self, problem: DaahError) -> str:
        return (
            f'<main id="notice" role="alert"><h1>{TITLE}</h1>'
            f"<h2>This page cannot search at the moment.</h2><p>{escape(self._said(problem))}</p>"
            "<p>Nothing is shown instead of a real result.</p></main>"
        )


def build_notice(problem: DaahError, settings: Settings | None = None) -> Notice:
    """A full page that says what is missing."""
    return Notice(problem, settings or Settings.from_environment())
