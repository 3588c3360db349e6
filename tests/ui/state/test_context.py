"""Another model beside the shipped one: its own codes of the same people, nothing mixed up."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.errors import CheckpointError, DataError, GalleryError
from daah.gallery import Gallery, SessionGallery
from daah.retrieval.loading import Awaited
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import build_app
from daah.ui.gallery import actions as gallery_actions
from daah.ui.gallery import html as gallery_html
from daah.ui.methods import actions as methods_actions
from daah.ui.search import actions as search_actions
from daah.ui.settings import Settings
from daah.ui.state import context as context_module
from daah.ui.state.context import AppContext
from daah.ui.state.session import ATTENTION_ON, ATTENTION_PAINTED, Options
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import HANG, eventually

RED, GREEN = PEOPLE["red"], PEOPLE["green"]
OPTIONS = Options(bits=48, count=6, threshold=12)


@pytest.fixture
def both(fake: FaceRetriever, paper: Path) -> AppContext:
    """The fake model, and the paper's beside it."""
    return AppContext(fake, Settings(), {"paper": paper})


def test_another_model_searches_the_same_people(both: AppContext, fake: FaceRetriever) -> None:
    told: list[str] = []
    other = both.retriever_for("paper", lambda _, text: told.append(text))
    assert told == [
        "Loading paper",
        "Encoding the gallery for paper: 0 of 6",
        "Encoding the gallery for paper: 6 of 6",
    ]
    assert (other.bits, other.lengths) == (48, (48,))
    assert other.gallery.people() == fake.gallery.people()
    assert both.retriever_for("paper") is other
    assert both.retriever_for() is fake
    again = AppContext(fake, Settings(), both.others)
    told.clear()
    again.retriever_for("paper", lambda _, text: told.append(text))
    assert told == ["Loading paper", "Encoding the gallery for paper: 0 of 0"]


def test_faces_are_encoded_again_and_the_choice_stays(
    both: AppContext, fake: FaceRetriever
) -> None:
    session = search_actions.search(fake, photo((GREEN, 80), (RED, 300)), OPTIONS)
    match = search_actions.look(fake, session, OPTIONS).matches[0][0]
    session = search_actions.choose_match(search_actions.choose_face(session, 1), match.id)
    other = both.retriever_for("paper")
    moved = search_actions.with_model(other, session, "paper", ATTENTION_ON)
    assert moved.model == "paper"
    assert (moved.face, moved.match, moved.born) == (1, match.id, session.born)
    assert [len(face.code.bits) for face in moved.faces(ATTENTION_ON)] == [48, 48]
    view = search_actions.look(other, moved, OPTIONS)
    assert view.detail is not None
    assert {m.bits for matches in view.matches for m in matches} == {48}
    assert all(m.probability is None for m in view.matches[0])
    back = search_actions.with_model(fake, moved, "", ATTENTION_ON)
    for now, before in zip(back.faces(ATTENTION_ON), session.faces(ATTENTION_ON), strict=True):
        assert np.array_equal(now.code.bits, before.code.bits)


def test_a_painting_moves_along(both: AppContext, fake: FaceRetriever) -> None:
    mask = np.zeros((224, 224), np.float32)
    mask[45:134, 45:134] = 1
    session = search_actions.paint(
        fake, search_actions.search(fake, photo((RED, 300)), OPTIONS), mask
    )
    moved = search_actions.with_model(
        both.retriever_for("paper"), session, "paper", ATTENTION_PAINTED
    )
    painted = moved.faces(ATTENTION_PAINTED)[0]
    assert painted is not moved.faces(ATTENTION_ON)[0]
    assert np.array_equal(painted.mask, mask)  # as it was drawn, however coarse the network's is
    again = search_actions.with_model(fake, moved, "", ATTENTION_PAINTED)
    for before, now in ((session, again), (session, moved)):
        drawn, back = (one.faces(ATTENTION_PAINTED)[0].code.bits for one in (before, now))
        assert np.array_equal(drawn, back) == (now is again)


def test_a_change_of_the_gallery_reaches_the_other_model(
    both: AppContext, fake: FaceRetriever
) -> None:
    first = both.retriever_for("paper")
    fake.gallery.remove("red")
    second = both.retriever_for("paper")
    assert second is not first
    assert "red" not in second.gallery.people()


def test_additions_are_coded_for_the_other_model_and_kept_no_longer(both: AppContext) -> None:
    additions = SessionGallery().add("me", "me/1", fake_retriever.encoded(RED))
    assert both.additions(additions, "") is additions
    mine = both.additions(additions, "paper")
    assert both.additions(additions, "paper") is mine
    assert [(e.person, e.id) for e in mine.entries()] == [
        (e.person, e.id) for e in additions.entries()
    ]
    found = both.retriever_for("paper").match(
        both.retriever_for("paper").encode([fake_retriever.face(RED)])[0], 1, 48, mine
    )
    assert found[0].distance == 0
    assert len(both._recoded) == 1
    del additions, mine
    assert len(both._recoded) == 0


def test_the_map_is_that_of_the_model(both: AppContext) -> None:
    other = both.retriever_for("paper")
    (encoded,) = other.encode([fake_retriever.face(RED)])
    drawn = gallery_actions.draw_map(both, encoded, "paper")
    assert len(drawn.ids) == 6
    assert drawn.query is not None
    assert both.projection("paper").fingerprint == other.encoder.fingerprint
    assert both.projection().fingerprint == both.retriever.encoder.fingerprint


def test_the_other_model_is_lined_up_with_the_methods(both: AppContext) -> None:
    found = methods_actions.line_up_photo(
        both, photo((RED, 300)), SessionGallery(), lambda *_: None
    )
    assert [row.result.name for row in found.rows][:3] == ["fake", "paper", "LSH"]
    assert [row.project for row in found.rows][:3] == [True, True, False]


def test_an_unknown_model_and_a_damaged_file_are_told(fake: FaceRetriever, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    bad.write_bytes(b"x" * 100)
    made = AppContext(fake, Settings(), {"bad": bad})
    with pytest.raises(GalleryError, match="no model named 'nothing'"):
        made.retriever_for("nothing")
    with pytest.raises(CheckpointError):
        made.retriever_for("bad")


def test_checkpoints_beside_the_shipped_one_are_offered(
    fake: FaceRetriever, paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daah.retrieval.loading.DEFAULT_CHECKPOINT", paper.parent / "demo.onnx")
    assert context_module.shipped_others(fake) == {"paper": paper}
    fake.encoder.name = "paper"
    assert context_module.shipped_others(fake) == {}


def test_a_page_over_a_model_of_one_length_hides_the_choice(both: AppContext) -> None:
    demo = build_app(both.retriever_for("paper"), Settings(), {})
    parts = {block.elem_id: block for block in demo.blocks.values()}
    assert parts["bits"].visible is False
    assert parts["threshold"].maximum == 48
    assert parts["model"].visible is False
    assert "48 bits" in parts["cells"].value


def test_the_shipped_models_are_chosen_between_and_agree_with_their_cards(
    retriever: FaceRetriever,
) -> None:
    """The paper's network is a closed set's, so it does worse on strangers, but far from chance."""
    both = AppContext(retriever, Settings(), context_module.shipped_others(retriever))
    assert list(both.others) == ["paper"]
    encoder = both.encoder("paper")
    assert (encoder.recipe, encoder.bits) == ("paper", 48)
    entries = list(retriever.gallery.entries())[::4]
    faces = np.stack([retriever.gallery.thumbnail(entry.id) for entry in entries])
    packed = codes.pack(codes.sign(encoder.encode(faces)[0]))
    distance = codes.hamming(packed, packed).astype(float)
    np.fill_diagonal(distance, np.inf)
    people = np.array([entry.person for entry in entries])
    alone = np.array([(people == person).sum() == 1 for person in people])
    right = people[distance.argmin(1)] == people
    assert right[~alone].mean() > 0.3  # chance is one in forty


# --- a gallery that is built while the page serves ------------------------------------------------


def test_a_gallery_that_is_awaited_is_searched_once_it_is_built(
    fake: FaceRetriever, tmp_path: Path
) -> None:
    context = AppContext(fake, Settings())
    go, said = threading.Event(), []
    other = fake_retriever.retriever(tmp_path / "other", {"ann": (9, 9, 200)}).gallery

    def build(report: Callable[[float, str], None]) -> Gallery:
        report(0.5, "3 of 6")
        said.append(context.note)
        assert go.wait(HANG)
        return other

    thread = context.search_when_built(Awaited("The others", build))
    assert eventually(lambda: said == ["The others is being added and will replace it: 3 of 6"])
    assert context.retriever is fake  # which is searched meanwhile
    html = gallery_html.summary(fake.gallery, SessionGallery(), True, context.note)
    assert "The others is being added" in html
    go.set()
    thread.join(HANG)
    assert context.retriever.gallery is other
    assert context.note == ""
    assert context.projection().ids.size == 2


def test_a_gallery_that_cannot_be_built_is_noted_and_the_old_one_stays(
    fake: FaceRetriever, capsys: pytest.CaptureFixture[str]
) -> None:
    context = AppContext(fake, Settings())

    def build(report: Callable[[float, str], None]) -> Gallery:
        raise DataError("could not be fetched from /somewhere")

    context.search_when_built(Awaited("The others", build)).join(HANG)
    assert context.retriever is fake
    assert context.note == "The others could not be added; the server's log says why."
    assert "could not be fetched from /somewhere" in capsys.readouterr().err


def test_a_gallery_that_was_chosen_meanwhile_stays(fake: FaceRetriever, tmp_path: Path) -> None:
    context = AppContext(fake, Settings(public=False))
    go = threading.Event()
    other = fake_retriever.retriever(tmp_path / "other").gallery

    def build(report: Callable[[float, str], None]) -> Gallery:
        assert go.wait(HANG)
        return other

    thread = context.search_when_built(Awaited("The others", build))
    mine = context.choose(str(tmp_path / "mine"), create=True)
    go.set()
    thread.join(HANG)
    assert context.retriever.gallery is mine
    with pytest.raises(GalleryError, match="closed"):
        other.count()
    mine.close()
