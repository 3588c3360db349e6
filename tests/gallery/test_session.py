"""The additions of one visit."""

from __future__ import annotations

import numpy as np
import pytest

from daah.errors import ConfigError, GalleryError
from daah.gallery import SessionGallery
from tests.doubles.encoder import ProjectionEncoder, encoded


def test_a_session_gallery_is_a_value(fake_encoder: ProjectionEncoder) -> None:
    empty = SessionGallery()
    one = empty.add("Eve", "eve.jpg", encoded(fake_encoder, 1))
    two = one.add("Frank", "frank.jpg", encoded(fake_encoder, 2))
    assert (len(empty), len(one), len(two)) == (0, 1, 2)
    assert two.people() == {"Eve": 1, "Frank": 1}
    assert one.people() == {"Eve": 1}
    assert len(two.add("Eve", "eve.jpg", encoded(fake_encoder, 3))) == 2
    assert two.remove("Eve").people() == {"Frank": 1}
    (entry,) = two.entries("Frank")
    assert entry.id < 0
    assert np.array_equal(two.thumbnail(entry.id), encoded(fake_encoder, 2).face.aligned)
    with pytest.raises(GalleryError):
        two.remove("nobody")
    with pytest.raises(GalleryError):
        one.thumbnail(entry.id)


def test_a_session_gallery_has_a_limit(fake_encoder: ProjectionEncoder) -> None:
    full, face = SessionGallery(), encoded(fake_encoder, 1)
    for n in range(50):
        full = full.add("Eve", str(n), face)
    with pytest.raises(ConfigError, match="50"):
        full.add("Eve", "one more", face)
    assert len(full.add("Eve", "49", face)) == 50
