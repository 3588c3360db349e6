"""The web app: `python app.py`. Also what a Hugging Face Space runs."""

import sys

import torch

from daah.errors import DaahError
from daah.retrieval.loading import load_for_page
from daah.ui.app import App, build_app
from daah.ui.notice import build_notice
from daah.ui.serve import leave, serve
from daah.ui.settings import Settings


def show(fraction: float, text: str) -> None:
    """Progress of the start, for whoever watches the terminal."""
    print(f"{fraction:4.0%} {text}", file=sys.stderr)


def load() -> App:
    """The app over the shipped model and the default gallery. Raises DaahError."""
    retriever, awaited = load_for_page(progress=show, read_only=settings.read_only)
    return build_app(retriever, settings, awaited=awaited)


settings = Settings.from_environment()
torch.set_num_threads(settings.threads)
try:
    demo = load()
except DaahError as problem:
    demo = build_notice(problem, settings)

if __name__ == "__main__":
    serve(demo, load)
    leave()
