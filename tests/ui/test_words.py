"""Every state of the screen in its own words, and nothing of a stranger's text as markup."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from daah.errors import GalleryError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import FaceRetriever
from daah.retrieval.verdict import SearchVerdict
from daah.ui.compare import actions as compare_actions
from daah.ui.compare import html as compare_html
from daah.ui.notice import build_notice
from daah.ui.page import html as page_html
from daah.ui.search import actions as search_actions
from daah.ui.search import html as search_html
from daah.ui.search import result_json, tab
from daah.ui.search.view import View
from daah.ui.state.session import ATTENTION_OFF, ATTENTION_PAINTED, Options, Session
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo

RED, BLUE = PEOPLE["red"], PEOPLE["blue"]

#: Like red in three bits of four, and like nobody.
UNLIKE_RED, NOBODY = (250, 130, 20), (5, 5, 5)

OPTIONS = Options(bits=64, count=6, threshold=64)


def seen(fake: FaceRetriever, *marks: tuple, options: Options = OPTIONS) -> View:
    """The screen for a photo with these faces."""
    session = search_actions.search(fake, photo(*marks), options)
    return search_actions.look(fake, session, options)


def test_a_match_of_three_faces(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300), (UNLIKE_RED, 100), (NOBODY, 60))
    assert search_html.sentence(view) == (
        "3 faces found: match for face 1; unclear for face 2; no match for face 3. Face 1: "
        "Match: red. 64 of 64 bits agree."
    )
    assert (
        "Of strangers who search this gallery of 3 people, fewer than 1 in 1,000 would get a match"
    ) in search_html.best(view)


def test_unclear_and_no_match_are_never_said_to_be_somebody(fake: FaceRetriever) -> None:
    unclear = seen(fake, (UNLIKE_RED, 300))
    assert search_html.sentence(unclear) == (
        "Unclear: the nearest is red, but it may be somebody else. 49 of 64 bits agree."
    )
    nobody = seen(fake, (NOBODY, 300))
    assert search_html.sentence(nobody) == (
        "No match: this person does not seem to be in the gallery. Below, the faces that look most "
        "alike."
    )
    assert "Most alike: blue" in search_html.best(nobody)
    for view in (unclear, nobody):
        told = " ".join(tab.draw(view).values())
        assert "%" not in re.sub(r"<[^>]*>", " ", told.replace("25% of the bits", ""))
        assert "same person" not in told
        assert '<p class="verdict">Match' not in told


def test_many_faces_are_counted(fake: FaceRetriever) -> None:
    words = search_html.sentence(seen(fake, *[(RED, 60)] * 5, (NOBODY, 50)))
    assert words.startswith("6 faces found: match for 5; no match for face 6. Face 1: Match: red.")


def test_the_slider_changes_what_is_shown_and_never_the_verdict(fake: FaceRetriever) -> None:
    for colour, verdict in ((RED, "Match: red."), (NOBODY, "No match:")):
        shown = []
        for threshold in (0, 30, 64):
            view = seen(fake, (colour, 300), options=replace(OPTIONS, threshold=threshold))
            assert search_html.sentence(view).startswith(verdict)
            shown.append(search_html.people(view).count("<li>"))
        assert shown == sorted(shown)
        assert shown[0] < shown[-1] == 3


def test_no_face(fake: FaceRetriever) -> None:
    view = seen(fake)
    assert search_html.sentence(view) == "No face found. Try a larger, front-facing face."
    drawn = tab.draw(view)
    assert {name for name, html in drawn.items() if html} == {"sentence", "boxes"}


def test_a_small_face(fake: FaceRetriever) -> None:
    words = search_html.sentence(seen(fake, (RED, 30)))
    assert words.startswith("Match: ")
    assert words.endswith("This face is small, and still near enough for a match.")
    stranger = search_html.sentence(seen(fake, ((200, 200, 20), 30)))
    assert stranger.endswith("This face is small, so a search may miss the right person.")
    assert "This face is" not in search_html.sentence(seen(fake, (RED, 60)))


def test_attention_off_and_painted(fake: FaceRetriever) -> None:
    off = seen(fake, (RED, 300), options=replace(OPTIONS, attention=ATTENTION_OFF))
    assert search_html.sentence(off).endswith("Attention is off.")
    assert "every pixel" in search_html.closer(off)
    painted = replace(OPTIONS, attention=ATTENTION_PAINTED)
    session = search_actions.search(fake, photo((RED, 300)), painted)
    waiting = search_actions.look(fake, session, painted)
    assert "Until then its own mask stays" in search_html.closer(waiting)
    assert "<canvas" in search_html.paint(waiting)
    assert "data-mask" not in search_html.paint(waiting)
    session = search_actions.paint(fake, session, np.ones((224, 224), np.float32))
    view = search_actions.look(fake, session, painted)
    assert search_html.sentence(view).endswith("The model looks only where you painted.")
    assert "data-mask" in search_html.paint(view)
    assert search_html.paint(off) == ""


def test_an_empty_gallery(tmp_path) -> None:
    empty = fake_retriever.retriever(tmp_path / "empty", people={})
    view = seen(empty, (RED, 300))
    assert "The gallery is empty" in search_html.sentence(view)
    assert all(isinstance(html, str) for html in tab.draw(view).values())


def test_a_checkpoint_without_calibration_gives_no_verdict(fake: FaceRetriever) -> None:
    fake.encoder.calibration, fake.judge = None, SearchVerdict(None)
    view = seen(fake, (RED, 300))
    everything = " ".join(tab.draw(view).values())
    assert "Match" not in everything
    assert "no limits for searches" in everything
    pair = compare_actions.pair(fake, photo((RED, 90)), photo((BLUE, 90)), lambda *_: None)
    assert "there is no verdict" in compare_html.verdict(fake.compare(*pair.faces, 64))


def test_people_are_drawn_in_bands_of_their_verdict(fake: FaceRetriever) -> None:
    html = search_html.people(seen(fake, (RED, 300)))
    match, alike = html.split("No match: look-alikes, for fun, not identity")
    assert match.count("<li>") == 1
    assert ">Match</h3>" in match
    assert "64 of 64 bits agree" in match
    assert "2 photos" in match
    assert alike.count('class="card dim"') == 2


def test_the_detail_says_why_and_why_not_the_second(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300))
    session = search_actions.choose_match(view.session, view.people[0][0].id)
    waiting = search_html.detail(search_actions.look(fake, session, OPTIONS))
    assert "Show which face regions decide these bits" in waiting
    session = search_actions.regions_of(fake, session, OPTIONS)
    shown = search_html.detail(search_actions.look(fake, session, OPTIONS))
    second = view.people[0][1].name
    apart = view.people[0][1].distance - view.people[0][0].distance
    assert f"decide the {apart} bits that separate red from {second}" in shown


def test_cells_show_the_bits_and_outline_those_that_differ(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300))
    farthest = view.matches[0][-1]
    session = search_actions.choose_match(view.session, farthest.id)
    html = search_html.cells(search_actions.look(fake, session, OPTIONS))
    assert html.count('class="cell on') == int(view.chosen.code.bits[:64].sum())
    assert html.count(", differs") == farthest.distance
    assert html.count('tabindex="0"') == 1
    assert f"differs from {farthest.person}" in html


def test_a_bit_is_explained(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300))
    session = search_actions.choose_bit(fake, view.session, OPTIONS, 6)
    html = search_html.cells(search_actions.look(fake, session, OPTIONS))
    assert f"Bit 7 is {int(view.chosen.code.bits[6])}." in html
    assert "Part of the face that moves bit 7 most" in html


def test_the_download_is_the_document(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300))
    found = re.search(r"base64,([A-Za-z0-9+/=]+)", search_html.download(view))
    assert found
    assert json.loads(base64.b64decode(found[1])) == result_json.document(view)


def test_names_are_never_markup(fake: FaceRetriever, tmp_path) -> None:
    evil = '<img src=x onerror="alert(1)">'
    named = fake_retriever.retriever(tmp_path / "evil", people={evil: RED})
    session = search_actions.search(named, photo((RED, 300)), OPTIONS)
    best = search_actions.look(named, session, OPTIONS).matches[0][0]
    session = search_actions.choose_match(session, best.id)
    drawn = tab.draw(search_actions.look(named, session, OPTIONS, SessionGallery()))
    everything = " ".join(drawn.values())
    assert evil not in everything
    assert "&lt;img src=x onerror=&quot;" in everything


def test_probabilities_never_claim_certainty() -> None:
    assert page_html.percent(1.0) == "over 99%"
    assert page_html.percent(0.0) == "under 1%"
    assert page_html.percent(0.874) == "87%"


def test_every_picture_has_an_alternative_text(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300), (BLUE, 100))
    session = search_actions.choose_match(view.session, view.matches[0][0].id)
    session = search_actions.choose_bit(fake, session, OPTIONS, 2)
    for html in tab.draw(search_actions.look(fake, session, OPTIONS)).values():
        for picture in re.findall(r"<img[^>]*>", html):
            assert ' alt="' in picture


def test_the_notice_says_what_is_missing_and_shows_nothing_else() -> None:
    demo = build_notice(GalleryError("The gallery <b>orl</b> is damaged."))
    (page,) = (block for block in demo.blocks.values() if block.get_block_name() == "html")
    assert "The gallery &lt;b&gt;orl&lt;/b&gt; is damaged." in page.value
    assert "cannot search" in page.value


@pytest.mark.parametrize("count", [0, 1, 2])
def test_plurals(count: int) -> None:
    assert page_html.plural(count, "person", "people") == (
        "1 person" if count == 1 else f"{count} people"
    )


def test_a_landing_says_that_it_is_an_example(fake: FaceRetriever) -> None:
    session = replace(search_actions.search(fake, photo((RED, 300)), OPTIONS), example=True)
    html = search_html.boxes(search_actions.look(fake, session, OPTIONS))
    assert "finished example" in html
    assert "An example photo with 1 numbered face" in html
    assert isinstance(session, Session)


def test_the_number_of_a_small_face_stands_over_its_box(fake: FaceRetriever) -> None:
    session = search_actions.search(fake, photo((RED, 300), (RED, 40)), OPTIONS)
    html = search_html.boxes(search_actions.look(fake, session, OPTIONS))
    assert re.findall(r'class="box([^"]*)"', html) == [" chosen", " small"]
