"""The app as `python app.py` and `daah app` start it: loaded, or a notice of what is missing."""

from __future__ import annotations

import sys
from typing import NoReturn

from daah.errors import DaahError
from daah.retrieval.loading import load_for_page
from daah.ui.app import App, build_app
from daah.ui.notice import build_notice
from daah.ui.serve import leave, serve
from daah.ui.settings import Settings


def load(settings: Settings, gallery: str | None = None) -> App:
    """Build the app over the shipped model and a gallery; progress goes to stderr.

    Args:
        settings: the operator's settings.
        gallery: as of `load_for_page`.

    Returns:
        The app, ready to launch.

    Raises:
        DaahError: the model or the gallery cannot be used.
    """
    retriever, awaited = load_for_page(_say, read_only=settings.read_only, gallery=gallery)
    return build_app(retriever, settings, awaited=awaited)


def first_page(settings: Settings, gallery: str | None = None) -> App:
    """Build the app, or a `Notice` that says why it cannot search.

    Args:
        settings: the operator's settings.
        gallery: as of `load_for_page`.

    Returns:
        The app or the notice, ready for `run`.
    """
    try:
        return load(settings, gallery)
    except DaahError as problem:
        return build_notice(problem, settings)


def run(
    demo: App,
    settings: Settings,
    gallery: str | None = None,
    host: str | None = None,
    port: int | None = None,
) -> NoReturn:
    """Serve until interrupted or terminated, and end this process.

    Args:
        demo: as of `first_page`.
        settings: the operator's settings.
        gallery: as of `load_for_page`.
        host: address to listen on; None takes that of the environment, or this machine alone.
        port: port to listen on; None takes that of the environment, or the first free one from
            7860.

    Raises:
        ConfigError: the address or the port cannot be listened on.
    """
    serve(demo, lambda: load(settings, gallery), host, port)
    leave()


def _say(fraction: float, text: str) -> None:
    """Progress of the start, for whoever watches the terminal."""
    print(f"{fraction:4.0%} {text}", file=sys.stderr)
