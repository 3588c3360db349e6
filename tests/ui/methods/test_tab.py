"""The Methods tab without a browser: who answers, in what order, and what is said of it."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.visitor import Visitor
from daah.comparison.small_models import SHIPPED, load_models
from daah.errors import CheckpointError, ImageError
from daah.gallery import SessionGallery
from daah.retrieval.retriever import FaceRetriever
from daah.ui.app import App, build_app
from daah.ui.methods import actions as methods_actions
from daah.ui.methods import html as methods_html
from daah.ui.methods.actions import Lineup
from daah.ui.quality import html as quality_html
from daah.ui.quality import reports
from daah.ui.settings import Settings
from daah.ui.state.context import AppContext
from tests.doubles import encoder as fake_encoder
from tests.doubles import retriever as fake_retriever
from tests.doubles.retriever import PEOPLE, photo
from tests.doubles.waiting import eventually
from tests.ui.serving import age

RED, BLUE = PEOPLE["red"], PEOPLE["blue"]
NOBODY = SessionGallery()


@pytest.fixture
def context(fake: FaceRetriever) -> AppContext:
    """a context over painted squares with the small models that are shipped."""
    return AppContext(fake, Settings())


@pytest.fixture
def lineup(context: AppContext) -> Lineup:
    """A red face beside a smaller blue one."""
    return methods_actions.line_up_photo(
        context, photo((BLUE, 80), (RED, 300)), NOBODY, lambda *_: None
    )


def test_every_method_answers_for_the_largest_face(lineup: Lineup) -> None:
    assert [row.result.name for row in lineup.rows] == ["fake", *SHIPPED]
    assert lineup.count == 2
    assert (lineup.searched, lineup.total) == (6, 6)
    assert lineup.rows[0].result.matches[0].person == "red"
    for row in lineup.rows:
        assert len(row.result.bits) == 48
        assert len(row.result.matches) == methods_actions.MATCHES
        distances = [m.distance for m in row.result.matches]
        assert distances == sorted(distances)
    assert {m.id for row in lineup.rows for m in row.result.matches} == set(lineup.thumbnails)


def test_the_figures_beside_the_methods_are_those_of_their_card(lineup: Lineup) -> None:
    card = load_models().card
    assert lineup.people == card["people"]
    html = methods_html.rows(lineup)
    for name in SHIPPED:
        assert f"mAP {card['map'][name]:.3f} on its training people" in html
    assert html.count("<section") == 6
    assert html.count('class="strip"') == 6


def test_the_sentence_says_how_far_they_agree(lineup: Lineup) -> None:
    favourite, count = lineup.favourite
    person = favourite.person
    firsts = [row.result.matches[0].person for row in lineup.rows]
    assert firsts.count(person) == count == max(firsts.count(name) for name in firsts)
    said = methods_html.sentence(lineup)
    assert "6 methods at 48 bits" in said
    assert person in said
    assert "The photo has 2 faces" in said
    assert f"{person}, whom the largest number of methods put first" in methods_html.rows(lineup)


def test_the_gallery_is_encoded_once_and_again_when_it_changed(context: AppContext) -> None:
    told: list[str] = []
    picture = photo((RED, 300))

    def note(_: float, text: str) -> None:
        told.append(text)

    methods_actions.line_up_photo(context, picture, NOBODY, note)
    assert "Encoding the gallery by 5 methods: 6 of 6 faces" in told
    told.clear()
    methods_actions.line_up_photo(context, picture, NOBODY, note)
    assert told == ["Finding faces"]
    context.retriever.gallery.remove("red")
    again = methods_actions.line_up_photo(context, picture, NOBODY, note)
    assert again.total == 4
    assert all(m.person != "red" for row in again.rows for m in row.result.matches)


def test_a_visitors_additions_are_found_by_every_method(context: AppContext) -> None:
    me = fake_encoder.face(3)  # with texture: squares of one colour are all alike to most methods
    own = NOBODY.add("me", "me/1", context.retriever.encode([me])[0])
    found = methods_actions.line_up(context, me, 1, own, lambda *_: None)
    assert methods_html.rows(found).count("me · yours") == 6
    for row in found.rows:
        assert "me" in [m.person for m in row.result.matches if m.distance == 0]


def test_no_face_an_empty_gallery_and_a_missing_file_are_told(
    context: AppContext, fake: FaceRetriever, tmp_path
) -> None:
    with pytest.raises(ImageError, match="No face found"):
        methods_actions.line_up_photo(context, photo(), NOBODY, lambda *_: None)
    for person in PEOPLE:
        fake.gallery.remove(person)
    empty = methods_actions.line_up_photo(context, photo((RED, 300)), NOBODY, lambda *_: None)
    assert empty.favourite is None
    assert "nobody to compare with" in methods_html.sentence(empty)
    assert "<li" not in methods_html.rows(empty)
    broken = AppContext(fake, Settings(), baselines=tmp_path / "absent.safetensors")
    with pytest.raises(CheckpointError, match=r"absent\.safetensors is missing"):
        methods_actions.line_up_photo(broken, photo((RED, 300)), NOBODY, lambda *_: None)


def test_names_are_escaped(context: AppContext) -> None:
    own = NOBODY.add("<b>me</b>", "<i>", fake_retriever.encoded(RED))
    html = methods_html.rows(
        methods_actions.line_up_photo(context, photo((RED, 300)), own, lambda *_: None)
    )
    assert "<b>me</b>" not in html
    assert "<i>" not in html


def test_the_committed_comparison_is_shown_whole() -> None:
    found = reports.comparison()
    html = quality_html.comparison(found, str)
    text = (reports.RESULTS / "compare.md").read_text(encoding="utf-8")
    figures = [cell.strip() for line in text.splitlines() if line.startswith("| ")
               for cell in line.strip("|").split("|")]  # fmt: skip
    assert len(figures) > 200
    assert [cell for cell in figures if cell not in html] == []
    assert [table.title for table in found.tables[:2]] == ["mAP", "At 48 bits"]
    assert html.count("<figure") == 3
    assert len({picture.alt for picture in found.pictures}) == 3


def test_without_a_comparison_the_tab_says_so(tmp_path) -> None:
    html = quality_html.comparison(reports.comparison(tmp_path), str)
    assert "Not measured yet" in html
    assert "python -m daah compare" in html


def test_a_gallery_too_large_to_encode_says_which_part_was_searched(lineup: Lineup) -> None:
    part = replace(lineup, searched=5000, total=123456)
    assert "5,000 of 123,456 gallery faces" in methods_html.rows(part)
    assert np.array_equal(part.face.aligned, lineup.face.aligned)


@pytest.mark.slow
def test_a_lineup_is_forgotten_on_time(fake: FaceRetriever, host: Callable[[App], str]) -> None:
    demo = build_app(fake, Settings(keep_seconds=600, sweep_seconds=1), {})
    visitor = Visitor(host(demo))

    others = [one for one in gc.get_objects() if type(one) is Lineup]  # of other tests

    def held() -> int:
        """Line-ups of this test that somebody holds."""
        gc.collect()
        every = (one for one in gc.get_objects() if type(one) is Lineup)
        return sum(all(one is not other for other in others) for one in every)

    found = visitor.send("methods-examples", "select", event_data={"do": "e", "index": 0})
    assert "methods at 48 bits" in found.values["methods-sentence"]
    assert held()
    assert age(demo, 600) > 0
    assert eventually(lambda: not held())
