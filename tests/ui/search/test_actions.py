"""What the Search and Compare tabs do, over painted squares instead of faces."""

from __future__ import annotations

import gc
import weakref
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from daah.errors import ConfigError, GalleryError, ImageError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import FaceRetriever
from daah.types import Detection
from daah.ui import endpoint
from daah.ui.page.html import data_uri
from daah.ui.search import actions as search_actions
from daah.ui.search import html as search_html
from daah.ui.search import result_json
from daah.ui.state.session import (
    ATTENTION_OFF,
    ATTENTION_ON,
    ATTENTION_PAINTED,
    SHOWN_SIDE,
    Options,
    Session,
)
from tests.doubles.retriever import PEOPLE, photo

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]
OPTIONS = Options(bits=64, count=6, threshold=12)


@pytest.fixture
def session(fake: FaceRetriever) -> Session:
    """A photo with a green face of 80 pixels and a red one of 300."""
    return search_actions.search(fake, photo((GREEN, 80), (RED, 300)), OPTIONS)


def test_a_search_orders_faces_by_size_and_matches_by_distance(
    fake: FaceRetriever, session: Session
) -> None:
    view = search_actions.look(fake, session, OPTIONS)
    assert [face.face.width for face in view.faces] == [300, 80]
    assert [matches[0].person for matches in view.matches] == ["red", "green"]
    distances = [match.distance for match in view.matches[0]]
    assert distances == sorted(distances)
    assert [m.same_person for m in view.matches[0]] == [d <= 12 for d in distances]


def test_progress_is_told_in_the_words_of_the_screen(fake: FaceRetriever) -> None:
    told: list[str] = []
    search_actions.search(fake, photo((RED, 100)), OPTIONS, None, lambda _, text: told.append(text))
    assert told[:3] == ["Finding faces", "Encoding", "Searching 6 codes"]


def test_other_lengths_limits_and_counts_encode_nothing(
    fake: FaceRetriever, session: Session
) -> None:
    before = fake.encoder.calls
    for bits in fake.lengths:
        view = search_actions.look(fake, session, replace(OPTIONS, bits=bits, count=4, threshold=3))
        assert {match.bits for match in view.matches[0]} == {bits}
        assert len(view.matches[0]) == 4
    assert fake.encoder.calls == before


def test_a_photo_is_searched_once_per_face(
    fake: FaceRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    searched = []
    search = fake.gallery.store.search

    def counting(*arguments: Any, **more: Any) -> Any:
        searched.append(arguments)
        return search(*arguments, **more)

    monkeypatch.setattr(fake.gallery.store, "search", counting)
    found = search_actions.search(fake, photo((GREEN, 80), (RED, 300)), OPTIONS)
    assert searched == []
    view = search_actions.look(fake, found, OPTIONS)
    assert len(searched) == 2
    assert set(view.session.seconds) == {"detect", "encode", "search"}


def test_a_photo_without_a_face_gives_a_session_without_faces(fake: FaceRetriever) -> None:
    session = search_actions.search(fake, photo(), replace(OPTIONS, attention=ATTENTION_OFF))
    view = search_actions.look(fake, session, replace(OPTIONS, attention=ATTENTION_OFF))
    assert view.faces == ()
    assert view.matches == ()


def test_attention_off_is_encoded_once_and_changes_the_mask(
    fake: FaceRetriever, session: Session
) -> None:
    off = search_actions.with_attention(fake, session, ATTENTION_OFF)
    before = fake.encoder.calls
    again = search_actions.with_attention(fake, off, ATTENTION_OFF)
    assert fake.encoder.calls == before
    assert (again.faces(ATTENTION_OFF)[0].mask == 1).all()
    assert again.faces(ATTENTION_ON)[0].mask.min() < 0.2


def test_a_painted_mask_replaces_the_models_and_undo_brings_it_back(
    fake: FaceRetriever, session: Session
) -> None:
    white = np.zeros((224, 224, 3), np.uint8)
    white[40:60, 40:60] = 255
    mask = search_actions.painted_mask(data_uri(white, 100))
    assert mask is not None
    assert mask[50, 50] == pytest.approx(1)
    assert mask[100, 100] == pytest.approx(0, abs=0.02)
    painted = search_actions.paint(fake, session, mask)
    own, theirs = session.faces(ATTENTION_ON)[0], painted.faces(ATTENTION_PAINTED)[0]
    assert not np.array_equal(own.code.bits, theirs.code.bits)
    assert painted.faces(ATTENTION_PAINTED)[1] is session.faces(ATTENTION_ON)[1]
    undone = search_actions.paint(fake, painted, search_actions.painted_mask(""))
    assert undone.faces(ATTENTION_PAINTED)[0] is own


@pytest.mark.parametrize(
    "picture",
    ["nonsense", "data:image/png;base64,????", data_uri(np.zeros((20, 30, 3), np.uint8))],
)
def test_a_painting_that_is_none_is_refused(picture: str) -> None:
    with pytest.raises(ImageError):
        search_actions.painted_mask(picture)


def test_a_tap_means_the_smallest_face_under_it(fake: FaceRetriever, session: Session) -> None:
    large, small = session.encoded[ATTENTION_ON]
    inside = replace(small.face, box=np.array([450, 50, 490, 90], np.float32))
    session = replace(session, encoded={ATTENTION_ON: (large, replace(small, face=inside))})
    height, width = session.photo.shape[:2]
    assert search_actions.face_at(session, 460 / width, 60 / height) == 1
    assert search_actions.face_at(session, 600 / width, 200 / height) == 0
    assert search_actions.face_at(session, 0.99, 0.99) is None


def test_choosing_a_match_twice_hides_it_and_another_face_lets_it_go(
    fake: FaceRetriever, session: Session
) -> None:
    best = search_actions.look(fake, session, OPTIONS).matches[0][0]
    chosen = search_actions.choose_match(session, best.id)
    detail = search_actions.look(fake, chosen, OPTIONS).detail
    assert detail is not None
    assert detail.match.id == best.id
    own, other = chosen.faces(ATTENTION_ON)[0].code.bits[:64], detail.encoded.code.bits[:64]
    assert (own != other).sum() == best.distance
    assert search_actions.choose_match(chosen, best.id).match is None
    assert search_actions.choose_face(chosen, 1).match is None
    assert search_actions.choose_face(chosen, 7) is chosen


def test_what_decides_a_bit_is_computed_once_a_face(fake: FaceRetriever, session: Session) -> None:
    one = search_actions.choose_bit(fake, session, OPTIONS, 3)
    before = fake.encoder.calls
    two = search_actions.choose_bit(fake, one, OPTIONS, 4)
    assert fake.encoder.calls == before
    assert two.bit == 4
    assert two.regions[(ATTENTION_ON, 0)].shape == (128, search_actions.GRID, search_actions.GRID)
    assert search_actions.choose_bit(fake, two, OPTIONS, 4).bit is None
    assert search_actions.choose_bit(fake, two, OPTIONS, 500).bit is None


def test_a_gallery_face_can_be_searched_with(fake: FaceRetriever, session: Session) -> None:
    blue = next(fake.gallery.entries("blue"))
    view = search_actions.look(fake, search_actions.search_entry(fake, blue.id, OPTIONS), OPTIONS)
    assert view.matches[0][0].person == "blue"
    assert view.matches[0][0].distance == 0


def test_a_visitors_own_faces_are_searched_beside_the_gallery(
    fake: FaceRetriever, session: Session
) -> None:
    additions = SessionGallery().add("mine", "mine/1", session.encoded[ATTENTION_ON][0])
    view = search_actions.look(fake, session, OPTIONS, additions)
    assert "mine" in [match.person for match in view.matches[0] if match.distance == 0]
    assert view.gallery == 7
    mine = next(match for match in view.matches[0] if match.person == "mine")
    detail = search_actions.look(
        fake, search_actions.choose_match(session, mine.id), OPTIONS, additions
    ).detail
    assert detail is not None
    with pytest.raises(GalleryError):
        fake.recall(mine.id, SessionGallery())


def test_a_large_photo_is_drawn_smaller_with_its_faces_in_place(fake: FaceRetriever) -> None:
    session = search_actions.search(fake, photo((RED, 900), size=1500), OPTIONS)
    shown, faces = search_actions.shown_photo(session, session.faces(ATTENTION_ON))
    assert max(shown.shape) == SHOWN_SIDE
    x0, y0, x1, y1 = (int(v) for v in faces[0].face.box)
    assert (np.abs(shown[y0 + 4 : y1 - 4, x0 + 4 : x1 - 4].astype(int) - RED).max()) < 12
    corner = faces[0].face.matrix @ np.array([x0, y0, 1], np.float32)
    assert corner == pytest.approx([0, 0], abs=1)


def test_of_very_many_faces_the_sentence_and_the_document_say_so(
    fake: FaceRetriever, session: Session
) -> None:
    view = search_actions.look(fake, replace(session, left_out=1270), OPTIONS)
    count = len(view.faces)
    words = f"{count + 1270} faces or more found; the {count} largest are searched: "
    assert search_html.sentence(view).startswith(words)
    assert result_json.document(view)["faces_left_out"] == 1270


def test_a_retriever_that_is_let_go_takes_the_faces_that_it_encoded_along(
    fake: FaceRetriever,
) -> None:
    """As when another gallery is chosen."""
    retriever = FaceRetriever(fake.detector, fake.encoder, fake.gallery)
    blue = next(retriever.gallery.entries("blue"))
    first = retriever.recall(blue.id)
    assert retriever.recall(blue.id) is first
    kept = weakref.ref(retriever), weakref.ref(first)
    del retriever, first
    gc.collect()
    assert [it() for it in kept] == [None, None]


def test_the_endpoint_answers_and_names_what_is_wrong(fake: FaceRetriever) -> None:
    made = endpoint.search_photo(fake, photo((RED, 300)), 3, 128)
    assert len(made["faces"][0]["matches"]) == 3
    assert set(made["seconds"]) == {"detect", "encode", "search"}
    with pytest.raises(ConfigError, match="1 to 100"):
        endpoint.search_photo(fake, photo((RED, 300)), 0, 128)
    with pytest.raises(ConfigError, match="16, 24"):
        endpoint.search_photo(fake, photo((RED, 300)), 3, 20)


def test_without_a_face_there_is_no_bit_to_choose(fake: FaceRetriever) -> None:
    session = search_actions.search(fake, photo(), OPTIONS)
    assert search_actions.choose_bit(fake, session, OPTIONS, 3).bit is None


def test_a_sideways_photo_is_turned_and_says_so(
    fake: FaceRetriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only where it has no face upright."""
    upright = photo((RED, 300))
    upright[-8:] = 200  # the ground, below
    find = fake.detector.find

    def only_upright(rgb: np.ndarray, min_face: float | None = None) -> Detection:
        return find(rgb[:-8]) if (rgb[-4] == 200).all() else Detection(())

    monkeypatch.setattr(fake.detector, "find", only_upright)
    for turned in (0, 90, 180, 270):
        given = np.ascontiguousarray(np.rot90(upright, -turned // 90))
        session = search_actions.search(fake, given, OPTIONS)
        assert session.turned == turned
        words = search_html.sentence(search_actions.look(fake, session, OPTIONS))
        assert words.startswith("Match: red.")
        assert (f"turned by {turned} degrees" in words) == (turned > 0)
    assert search_actions.search(fake, photo(), OPTIONS).turned == 0


def test_it_is_said_that_logits_put_a_person_first(fake: FaceRetriever, session: Session) -> None:
    view = search_actions.look(fake, session, OPTIONS)
    first, *others = view.people[view.session.face]
    assert "values behind the bits" not in search_html.best(view)
    people = list(view.people)
    people[view.session.face] = (replace(first, reranked=True), *others)
    assert "values behind the bits put this person first" in search_html.best(
        replace(view, people=tuple(people))
    )
