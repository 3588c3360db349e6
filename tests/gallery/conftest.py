"""Fixtures that several files of this folder share."""

from __future__ import annotations

from pathlib import Path

import pytest

from daah.gallery import Gallery
from tests.doubles.encoder import ProjectionEncoder, encoded

PEOPLE = ("Ada", "Björn", "Chandra", "Дарья")


@pytest.fixture
def filled(tmp_path: Path, fake_encoder: ProjectionEncoder) -> Gallery:
    """Four people with three photos each."""
    gallery = Gallery.open(tmp_path / "g", fake_encoder)
    for p, person in enumerate(PEOPLE):
        rows = [(person, f"{person}/{n}.jpg", encoded(fake_encoder, 10 * p + n)) for n in range(3)]
        gallery.add_many(rows)
    yield gallery
    gallery.close()
