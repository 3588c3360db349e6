"""What the Compare tab does, over painted squares."""

from __future__ import annotations

import pytest

from daah.errors import ImageError
from daah.retrieval.retriever import FaceRetriever
from daah.ui.compare import actions as compare_actions
from daah.ui.compare import html as compare_html
from tests.doubles.retriever import PEOPLE, photo

RED, GREEN, BLUE = PEOPLE["red"], PEOPLE["green"], PEOPLE["blue"]


def test_a_pair_is_compared_by_its_largest_faces(fake: FaceRetriever) -> None:
    told: list[str] = []
    pair = compare_actions.pair(
        fake, photo((RED, 200), (BLUE, 60)), photo((RED, 100)), lambda _, text: told.append(text)
    )
    assert pair.counts == (2, 1)
    assert fake.compare(*pair.faces, 64).distance == 0
    assert "Encoding" in told
    more = compare_actions.with_regions(fake, pair)
    assert more.regions is not None
    assert compare_actions.with_regions(fake, more) is more
    with pytest.raises(ImageError, match="second photo"):
        compare_actions.pair(fake, photo((RED, 200)), photo(), lambda *_: None)


def test_any_face_of_a_photo_can_be_compared(fake: FaceRetriever) -> None:
    group, single = photo((RED, 200), (BLUE, 60)), photo((BLUE, 100))
    pair = compare_actions.pair(fake, group, single, lambda *_: None)
    assert fake.compare(*pair.faces, 64).distance > 0
    other = compare_actions.choose(fake, pair, 0, 1)
    assert other.chosen == (1, 0)
    assert fake.compare(*other.faces, 64).distance == 0
    for beyond in ((0, 2), (2, 0), (1, -1)):
        assert compare_actions.choose(fake, pair, *beyond) is pair
    drawn = compare_html.choices(other)
    assert drawn.count("<button") == 2
    assert "Faces of the first photo" in drawn
    assert "face 2 is compared" in compare_html.numbers(other, fake.compare(*other.faces, 64))


def test_the_probability_says_its_odds(fake: FaceRetriever) -> None:
    pair = compare_actions.pair(fake, photo((RED, 90)), photo((RED, 80)), lambda *_: None)
    found = fake.compare(*pair.faces, 64)
    assert "Likely the same person: 0 of 64 bits differ, 64 agree." in compare_html.verdict(found)
    numbers = compare_html.numbers(pair, found)
    assert "even odds beforehand (50:50)" in numbers
    assert "64 <small>of 64</small>" in numbers
