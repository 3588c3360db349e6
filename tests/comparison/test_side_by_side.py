"""One face by several methods: each answers as it would alone, and additions take part."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.comparison import side_by_side
from daah.comparison.side_by_side import SideBySide
from daah.comparison.small_models import SHIPPED, ComparisonModels, load_models
from daah.gallery import Gallery, SessionGallery
from tests.doubles.encoder import ProjectionEncoder, encoded


@pytest.fixture(scope="module")
def models() -> ComparisonModels:
    """The small models that are shipped."""
    return load_models()


@pytest.fixture
def gallery(tmp_path: Path, fake_encoder: ProjectionEncoder) -> Gallery:
    """Seven people with one invented face each."""
    gallery = Gallery.open(tmp_path / "g", fake_encoder)
    gallery.add_many([(f"p{n}", f"p{n}/0", encoded(fake_encoder, n)) for n in range(7)])
    yield gallery
    gallery.close()


def test_each_method_answers_as_it_does_alone(
    models: ComparisonModels, gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    told: list[tuple[int, int]] = []
    held = SideBySide(models, gallery, lambda done, total: told.append((done, total)))
    assert told[0] == (0, 7)
    assert told[-1] == (7, 7)
    asked = encoded(fake_encoder, 3).face.aligned
    found = held.search(asked, 4)
    assert [result.name for result in found] == list(SHIPPED)
    entries = list(gallery.entries())
    faces = np.stack([gallery.thumbnail(entry.id) for entry in entries])
    logits = models.encode(asked[None])
    alone = models.gallery(faces).search(logits, 4)
    for result in found:
        rows, distances = alone[result.name]
        assert [m.person for m in result.matches] == [entries[row].person for row in rows[0]]
        assert [m.distance for m in result.matches] == distances[0].tolist()
        assert result.matches[0].person == "p3"
        assert np.array_equal(result.bits, codes.sign(logits[result.name][0]))
        assert all(m.probability is None for m in result.matches)


def test_a_visitors_additions_take_part(
    models: ComparisonModels, gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    held = SideBySide(models, gallery)
    mine = encoded(fake_encoder, 99)
    own = SessionGallery().add("me", "me/1", mine)
    for result in held.search(mine.face.aligned, 2, own):
        assert (result.matches[0].person, result.matches[0].distance) == ("me", 0)
        assert result.matches[0].id < 0


def test_a_gallery_that_changed_is_another(
    models: ComparisonModels, gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    held = SideBySide(models, gallery)
    assert held.is_of(gallery)
    gallery.remove("p3")
    assert not held.is_of(gallery)
    again = SideBySide(models, gallery)
    found = again.search(encoded(fake_encoder, 3).face.aligned, 7)
    assert all("p3" not in [m.person for m in result.matches] for result in found)


def test_an_empty_gallery_and_one_that_is_too_large(
    models: ComparisonModels,
    gallery: Gallery,
    fake_encoder: ProjectionEncoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    face = encoded(fake_encoder, 3).face.aligned
    with Gallery.open(tmp_path / "empty", fake_encoder) as empty:
        assert all(result.matches == () for result in SideBySide(models, empty).search(face, 3))
    monkeypatch.setattr(side_by_side, "MOST_FACES", 4)
    part = SideBySide(models, gallery)
    assert (part.faces, part.total) == (4, 7)
    assert all(len(result.matches) == 4 for result in part.search(face, 9))
