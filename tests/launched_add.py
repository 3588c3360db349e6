"""`gallery add` with a small stand-in for the network, to be started by `accelerate launch`."""

from __future__ import annotations

import sys

from fakes import FakeEncoder

from daah import retrieval
from daah.cli import app

if __name__ == "__main__":
    retrieval.load_default_encoder = lambda checkpoint=None: FakeEncoder()
    app(["gallery", "add", *sys.argv[1:]])
