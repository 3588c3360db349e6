"""What belongs to one visitor."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from daah.retrieval.retriever import FaceRetriever
from daah.ui.search import actions as search_actions
from daah.ui.state.session import Options, Session
from tests.doubles.retriever import PEOPLE, photo

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]
OPTIONS = Options(bits=64, count=6, threshold=12)


@pytest.fixture
def session(fake: FaceRetriever) -> Session:
    """A photo with a green face of 80 pixels and a red one of 300."""
    return search_actions.search(fake, photo((GREEN, 80), (RED, 300)), OPTIONS)


def test_a_session_expires(session: Session) -> None:
    assert not session.expired(600)
    assert replace(session, born=time.monotonic() - 601).expired(600)
