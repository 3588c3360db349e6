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

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]
OPTIONS = Options(bits=64, count=6, threshold=12)


def seen(fake: FaceRetriever, *marks: tuple, options: Options = OPTIONS) -> View:
    """The screen for a photo with these faces."""
    session = search_actions.search(fake, photo(*marks), options)
    return search_actions.look(fake, session, options)


def test_a_match(fake: FaceRetriever) -> None:
    words = search_html.sentence(seen(fake, (RED, 300), (BLUE, 100), (GREEN, 60)))
    assert re.fullmatch(
        r"3 faces found\. Face 1: best match \d+ of 64 bits differ, likely the same person\.", words
    )


def test_nobody_within_the_limit(fake: FaceRetriever) -> None:
    words = search_html.sentence(
        seen(fake, ((250, 130, 120), 300), options=replace(OPTIONS, threshold=0))
    )
    assert words == (
        "1 face found. Nobody in the gallery is within 0 bits. The nearest are shown for reference."
    )


def test_no_face(fake: FaceRetriever) -> None:
    view = seen(fake)
    assert search_html.sentence(view) == "No face found. Try a larger, front-facing face."
    drawn = tab.draw(view)
    assert [name for name, html in drawn.items() if html] == ["sentence", "boxes"]


def test_a_small_face(fake: FaceRetriever) -> None:
    assert "only 30 pixels wide, so it may be unreliable" in search_html.sentence(
        seen(fake, (RED, 30))
    )
    assert "unreliable" not in search_html.sentence(seen(fake, (RED, 41)))


def test_attention_off_and_painted(fake: FaceRetriever) -> None:
    off = seen(fake, (RED, 300), options=replace(OPTIONS, attention=ATTENTION_OFF))
    assert search_html.sentence(off).endswith("Attention is off.")
    assert "every pixel" in search_html.heatmap(off)
    painted = replace(OPTIONS, attention=ATTENTION_PAINTED)
    session = search_actions.search(fake, photo((RED, 300)), painted)
    waiting = search_actions.look(fake, session, painted)
    assert "Until then its own mask stays" in search_html.heatmap(waiting)
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
    fake.encoder.calibration = None
    view = seen(fake, (RED, 300))
    everything = " ".join(tab.draw(view).values())
    assert "likely the same person" not in everything.lower()
    assert "not calibrated" in everything
    pair = compare_actions.pair(fake, photo((RED, 90)), photo((BLUE, 90)), lambda *_: None)
    assert "there is no verdict" in compare_html.verdict(fake.compare(*pair.faces, 64))


def test_the_limit_is_drawn_between_the_matches(fake: FaceRetriever) -> None:
    html = search_html.matches(seen(fake, (RED, 300)))
    near, far = html.split("Probably different people: over 12 different bits")
    assert "Likely the same person: up to 12 different bits" in near
    assert near.count('class="card"') == 2
    assert far.count('class="card dim"') == 4
    assert "% same person" in html


def test_over_the_limit_but_more_likely_one_person_is_no_verdict(fake: FaceRetriever) -> None:
    options = replace(OPTIONS, threshold=0)
    view = seen(fake, ((250, 130, 120), 300), options=options)
    chances = [m.probability for m in view.matches[0]]
    assert chances[0] > 0.5 > chances[-1]
    html = search_html.matches(view)
    _, unsure, far = re.split("Over the limit, undecided: over 0|Probably different people", html)
    assert unsure.count('class="card dim"') == sum(chance >= 0.5 for chance in chances)
    assert far.count('class="card dim"') == sum(chance < 0.5 for chance in chances)
    session = search_actions.choose_match(view.session, view.matches[0][0].id)
    detail = search_html.detail(search_actions.look(fake, session, options))
    assert "over the limit, yet undecided" in detail
    assert "different people" not in detail


def test_cells_show_the_bits_and_outline_those_that_differ(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300))
    farthest = view.matches[0][-1]
    session = search_actions.choose_match(view.session, farthest.id)
    html = search_html.code(search_actions.look(fake, session, OPTIONS))
    assert html.count('class="cell on') == int(view.chosen.code.bits[:64].sum())
    assert html.count(", differs") == farthest.distance
    assert html.count('tabindex="0"') == 1
    assert f"differs from {farthest.person}" in html


def test_a_bit_is_explained(fake: FaceRetriever) -> None:
    view = seen(fake, (RED, 300))
    session = search_actions.choose_bit(fake, view.session, OPTIONS, 6)
    html = search_html.code(search_actions.look(fake, session, OPTIONS))
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
