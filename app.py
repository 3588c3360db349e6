"""The web app: `python app.py`. Also what a Hugging Face Space runs."""

import sys

import torch

from daah.errors import DaahError
from daah.retrieval.loading import load_retriever
from daah.ui.app import App, build_app
from daah.ui.notice import build_notice
from daah.ui.serve import leave, serve
from daah.ui.settings import Settings


def show(fraction: float, text: str) -> None:
    """Progress of the start, for whoever watches the terminal."""
    print(f"{fraction:4.0%} {text}", file=sys.stderr)


def load() -> App:
    """The app over the shipped model and the built-in gallery. Raises DaahError."""
    return build_app(load_retriever(progress=show, read_only=settings.public), settings)


settings = Settings.from_environment()
torch.set_num_threads(settings.threads)
try:
    demo = load()
except DaahError as problem:
    demo = build_notice(problem, settings)

if __name__ == "__main__":
    serve(demo, load)
    leave()
