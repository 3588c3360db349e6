"""The result as JSON."""

from __future__ import annotations

import pytest

from daah import codes
from daah.retrieval.retriever import FaceRetriever
from daah.ui.search import actions as search_actions
from daah.ui.search import result_json
from daah.ui.state.session import ATTENTION_ON, Options, Session
from tests.doubles.retriever import PEOPLE, photo

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]
OPTIONS = Options(bits=64, count=6, threshold=12)


@pytest.fixture
def session(fake: FaceRetriever) -> Session:
    """A photo with a green face of 80 pixels and a red one of 300."""
    return search_actions.search(fake, photo((GREEN, 80), (RED, 300)), OPTIONS)


def test_the_document_has_the_shape_that_is_promised(fake: FaceRetriever, session: Session) -> None:
    made = result_json.document(search_actions.look(fake, session, OPTIONS))
    assert set(made) == {
        "faces", "turned", "faces_left_out", "bits", "attention", "seconds",
    }  # fmt: skip
    assert made["faces_left_out"] == 0
    first = made["faces"][0]
    assert set(first) == {"box", "score", "landmarks", "code", "quality", "people", "matches"}
    bits = session.encoded[ATTENTION_ON][0].code.bits[:64]
    assert first["code"] == codes.to_hex(codes.pack(bits))
    assert set(first["matches"][0]) == {"id", "person", "name", "photo", "distance", "bits"}
    assert first["people"][0]["person"] == "red"
    assert len(first["people"]) == 3
    assert set(first["people"][0]) == {
        "person", "name", "agree", "bits", "verdict", "photo", "photos",
    }  # fmt: skip
    assert first["people"][0]["photos"] == 2
    assert first["matches"][0]["id"] == str(
        search_actions.look(fake, session, OPTIONS).matches[0][0].id
    )
