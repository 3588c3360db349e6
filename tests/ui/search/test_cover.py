"""Covering part of the face: both answers, what is not touched, and words."""

from __future__ import annotations

import numpy as np
import pytest

from daah.data.occlusion import KINDS, PASTED_FACE
from daah.retrieval.retriever import FaceRetriever
from daah.ui.search import actions, cover
from daah.ui.search import html as search_html
from daah.ui.state.session import ATTENTION_ON, Options, Session
from tests.doubles.retriever import PEOPLE, photo

OPTIONS = Options(bits=64, count=6, threshold=12)


@pytest.fixture
def session(fake: FaceRetriever) -> Session:
    return actions.search(fake, photo((PEOPLE["red"], 300)), OPTIONS)


@pytest.mark.parametrize("kind", KINDS)
def test_a_cover_is_encoded_with_attention_and_without(
    fake: FaceRetriever, session: Session, kind: str
) -> None:
    after = cover.cover(fake, session, OPTIONS, kind)
    covered = after.covered[0]
    own = session.encoded[ATTENTION_ON][0].face.aligned
    assert not np.array_equal(covered.masked.face.aligned, own)
    np.testing.assert_array_equal(covered.masked.face.aligned, covered.unmasked.face.aligned)
    np.testing.assert_array_equal(covered.plain.face.aligned, own)
    assert covered.masked.mask.min() < 1 == covered.unmasked.mask.min()
    assert after.encoded is session.encoded


def test_the_same_cover_again_takes_it_away_and_an_unknown_one_changes_nothing(
    fake: FaceRetriever, session: Session
) -> None:
    after = cover.cover(fake, session, OPTIONS, "hand")
    assert cover.cover(fake, after, OPTIONS, "hand").covered == {}
    assert cover.cover(fake, after, OPTIONS, "scarf").covered[0].kind == "scarf"
    assert cover.cover(fake, session, OPTIONS, "<b>") is session


def test_a_pasted_face_is_the_last_of_the_nearest(fake: FaceRetriever, session: Session) -> None:
    after = cover.cover(fake, session, OPTIONS, PASTED_FACE)
    found = fake.match(session.encoded[ATTENTION_ON][0], OPTIONS.count, OPTIONS.bits)
    other = fake.thumbnail(found[-1].id)[112, 112].astype(int)
    middle = after.covered[0].masked.face.aligned.reshape(-1, 3).astype(int)
    assert np.abs(middle - other).sum(1).min() <= 3


def test_both_answers_stand_in_the_page(fake: FaceRetriever, session: Session) -> None:
    empty = search_html.covered(actions.look(fake, session, OPTIONS))
    assert empty.count('data-do="cover"') == len(KINDS)
    assert "With attention" not in empty
    after = cover.cover(fake, session, OPTIONS, "microphone")
    calls = fake.encoder.calls
    view = actions.look(fake, after, OPTIONS)
    assert fake.encoder.calls == calls
    html = search_html.covered(view)
    changed = int(
        (after.covered[0].masked.code.bits ^ session.encoded[ATTENTION_ON][0].code.bits)[:64].sum()
    )
    assert f"The cover changes {changed} of 64 bits." in html
    assert html.count("bits agree") == 2
    assert 'data-kind="microphone" aria-pressed="true"' in html


def test_what_the_code_depends_on_is_asked_for_once(fake: FaceRetriever, session: Session) -> None:
    asked = search_html.closer(actions.look(fake, session, OPTIONS))
    assert 'data-do="depends"' in asked
    after = actions.regions_of(fake, session, OPTIONS)
    calls = fake.encoder.calls
    assert actions.regions_of(fake, after, OPTIONS) is after
    shown = search_html.closer(actions.look(fake, after, OPTIONS))
    assert fake.encoder.calls == calls
    assert "What the code depends on: bits that flip" in shown
    assert "data-do" not in shown
