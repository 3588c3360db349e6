"""The web app: `python app.py`. Also what a Hugging Face Space runs."""

import sys

import torch

from daah.errors import DaahError
from daah.retrieval import load_retriever
from daah.ui.layout import build_app, build_notice
from daah.ui.settings import Settings


def show(fraction: float, text: str) -> None:
    """Progress of the start, for whoever watches the terminal."""
    print(f"{fraction:4.0%} {text}", file=sys.stderr)


settings = Settings.from_environment()
torch.set_num_threads(settings.threads)
try:
    demo = build_app(load_retriever(progress=show, read_only=settings.public), settings)
except DaahError as problem:
    demo = build_notice(problem, settings)

if __name__ == "__main__":
    demo.launch()
