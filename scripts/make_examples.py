"""Encodes the finished result that the page starts with: `python -m scripts.make_examples`.

Run it after a new model, behind `python -m scripts.build_portraits`, which makes the photos.
"""

from __future__ import annotations

from daah.retrieval.loading import load_retriever
from daah.ui.search.start_example import save_start_example

if __name__ == "__main__":
    save_start_example(load_retriever(read_only=True))
