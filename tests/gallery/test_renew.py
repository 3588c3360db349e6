"""Encoding a gallery again by another model."""

from __future__ import annotations

import pytest

from daah import gallery as galleries
from daah.gallery import Gallery, renew
from tests.doubles.encoder import ProjectionEncoder

PEOPLE = ("Ada", "Björn", "Chandra", "Дарья")


def test_renewing_encodes_every_face_with_the_new_model(filled: Gallery) -> None:
    new = ProjectionEncoder(1)
    before = {(entry.id, entry.person, entry.photo) for entry in filled.entries()}
    old_codes = filled.folder / filled.provenance.codes
    filled.close()
    assert renew(filled.folder, new)
    assert not renew(filled.folder, new)
    assert not old_codes.exists()
    with Gallery.open(filled.folder, new, read_only=True) as gallery:
        assert {(entry.id, entry.person, entry.photo) for entry in gallery.entries()} == before
        assert galleries.verify(gallery, new).ok
        assert not galleries.verify(gallery, ProjectionEncoder(0)).ok


def test_a_stopped_renewal_leaves_the_old_gallery(filled: Gallery) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int, name: str) -> None:
        raise Stopped

    filled.close()
    with pytest.raises(Stopped):
        renew(filled.folder, ProjectionEncoder(1), stop)
    with Gallery.open(filled.folder, ProjectionEncoder(0)) as gallery:
        assert galleries.verify(gallery, ProjectionEncoder(0)).ok
    assert renew(filled.folder, ProjectionEncoder(1))
