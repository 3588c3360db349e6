"""What the Compare tab does, over painted squares."""

from __future__ import annotations

import pytest

from daah.errors import ImageError
from daah.retrieval.retriever import FaceRetriever
from daah.ui.compare import actions as compare_actions
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
