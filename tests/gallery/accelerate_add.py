"""`gallery add` with a small stand-in for the network, to be started by `accelerate launch`."""

from __future__ import annotations

import sys

from daah.cli import app
from daah.retrieval import loading
from tests.doubles.encoder import ProjectionEncoder

if __name__ == "__main__":
    loading.load_default_encoder = lambda checkpoint=None: ProjectionEncoder()
    app(["gallery", "add", *sys.argv[1:]])
