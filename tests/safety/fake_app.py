"""The app over painted squares as a process of its own: `python fake_app.py GALLERY`.

All but the network and the time is real: the gallery in a folder, settings from the environment,
and `serve`. `clocks` is moved by standard input.
"""

from __future__ import annotations

from tests.safety import clocks

# isort: split
import sys

from daah.errors import DaahError
from daah.gallery import Gallery
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import App, build_app
from daah.ui.notice import build_notice
from daah.ui.serve import leave, serve
from daah.ui.settings import Settings
from tests.doubles import retriever as fake_retriever

settings = Settings.from_environment()


def load() -> App:
    """As in app.py, with a painter for a model."""
    encoder = fake_retriever.SquareEncoder()
    gallery = Gallery.open(sys.argv[1], encoder, read_only=settings.read_only)
    return build_app(FaceRetriever(fake_retriever.SquareDetector(), encoder, gallery), settings)


try:
    demo = load()
except DaahError as problem:
    demo = build_notice(problem, settings)
clocks.follow()
serve(demo, load)
leave()
