"""Examples, and the finished result that the page starts with."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from daah.models.encoder import FaceEncoder
from daah.retrieval.retriever import FaceRetriever
from daah.ui.page.examples import EXAMPLES, PAIRS
from daah.ui.search import actions as search_actions
from daah.ui.search import start_example
from daah.ui.state.session import ATTENTION_ON, Options
from tests.doubles.retriever import PEOPLE, photo

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]


def saved(path: Path, rgb: np.ndarray) -> str:
    """A photo as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(rgb).save(path)
    return str(path)


# --------------------------------------------------------------------------- examples and landing


def test_every_example_is_there_and_named() -> None:
    labels = [example.label for example in EXAMPLES]
    assert labels == [
        "Another year", "Years younger", "Grayscale", "Five people",
        "Not in the gallery", "No face",
    ]  # fmt: skip
    for example in EXAMPLES:
        assert example.read().ndim == 3
        assert example.alt
    for pairing in PAIRS:
        assert len(pairing.read()) == 2


def test_a_landing_is_read_back_without_the_network(
    fake: FaceRetriever, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = tmp_path / "example.png"
    saved(picture, photo((RED, 300)))
    monkeypatch.setattr(start_example, "EXAMPLE", SimpleNamespace(read=lambda: photo((RED, 300))))
    file = tmp_path / "landing.npz"
    start_example.save_start_example(fake, file)
    before = fake.encoder.calls
    session = start_example.load_start_example(fake, file)
    view = search_actions.look(fake, search_actions.choose_bit(fake, session, Options(64, 4, 9), 5),
                         Options(64, 4, 9))  # fmt: skip
    assert fake.encoder.calls == before
    assert view.matches[0][0].person == "red"
    assert session.example
    assert not session.expired(0)
    fake.encoder.fingerprint = "e" * 64
    again = start_example.load_start_example(fake, file)
    assert fake.encoder.calls > before
    assert np.array_equal(
        again.encoded[ATTENTION_ON][0].code.bits, session.encoded[ATTENTION_ON][0].code.bits
    )


def test_the_shipped_landing_is_of_the_shipped_checkpoint(encoder: FaceEncoder) -> None:
    with np.load(start_example.FILE, allow_pickle=False) as held:
        made_by = str(held["fingerprint"])
    assert made_by == encoder.fingerprint, "run: python -m scripts.make_examples"
