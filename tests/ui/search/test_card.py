"""The result as a picture."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from daah.retrieval.retriever import FaceRetriever
from daah.ui.search import actions as search_actions
from daah.ui.search import card, html
from daah.ui.search.view import View
from daah.ui.state.session import Options
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo

OPTIONS = Options(bits=128, count=6, threshold=128)
RED, NOBODY = PEOPLE["red"], (5, 5, 5)


def seen(fake: FaceRetriever, colour: tuple, options: Options = OPTIONS) -> View:
    """The screen for a photo with one face."""
    session = search_actions.search(fake, photo((colour, 300)), options)
    return search_actions.look(fake, session, options)


def test_a_card_is_made_when_it_is_asked_for(fake: FaceRetriever) -> None:
    view = seen(fake, RED)
    assert "image/png" not in html.download(view)
    drawn = html.download(view, drawn=True)
    assert "Result card. Match: red. 128 of 128 bits agree." in drawn
    link = re.search(r'download="face-hash-search.png" href="data:image/png;base64,([^"]+)"', drawn)
    assert link
    with Image.open(io.BytesIO(base64.b64decode(link[1]))) as picture:
        assert (picture.format, picture.size) == ("PNG", card.SIZE)
        pixels = np.array(picture.convert("RGB"))
    face, person = pixels[240, 177], pixels[240, 177 + 3 * 282]
    assert (abs(face.astype(int) - RED) < 20).all()
    assert (abs(person.astype(int) - RED) < 20).all()


@pytest.mark.parametrize(
    ("colour", "words"), [(RED, "Match: red"), (NOBODY, "No match"), ((250, 130, 20), "Unclear")]
)
def test_a_card_says_its_verdict(
    fake: FaceRetriever, monkeypatch: pytest.MonkeyPatch, colour: tuple, words: str
) -> None:
    view = seen(fake, colour, replace(OPTIONS, bits=64))
    assert card.words(view).startswith(f"Result card. {words}.")
    written: list[str] = []
    own = card._text
    monkeypatch.setattr(card, "_text", lambda pen, at, text, *more, **kept: (
        written.append(text), own(pen, at, text, *more, **kept)))  # fmt: skip
    card.draw(view)
    assert words in written
    assert card.PROOF in written
    assert any("of 64 bits agree" in text for text in written)
    assert any(text.startswith("Most alike") for text in written) == (colour != RED)


def test_the_bars_are_the_bits() -> None:
    bits = np.random.default_rng(0).random(128) < 0.5
    drawn = np.array(card.barcode(bits, side=256).convert("L"))
    step = 256 / 64
    for i, bit in enumerate(bits):
        row, column = divmod(i, 64)
        assert (drawn[128 * row + 40, int((column + 0.3) * step)] < 100) == bit


def test_a_long_name_stays_on_the_card_and_an_empty_gallery_has_one(tmp_path) -> None:
    long = "Maximiliana " * 16
    named = fake_retriever.retriever(tmp_path / "long", people={long.strip(): RED})
    drawn = np.array(card.draw(seen(named, RED)))
    assert (drawn[440:560, card.SIZE[0] - 40 :] == 255).all()
    empty = fake_retriever.retriever(tmp_path / "empty", people={})
    assert card.draw(seen(empty, RED)).size == card.SIZE
    assert card.words(seen(empty, RED)) == "Result card: nobody is in the gallery."
