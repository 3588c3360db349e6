"""The same faces with codes of another model: complete, up to date, and gone with the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.errors import GalleryError
from daah.gallery import Gallery, open_variant, recode
from tests.doubles.encoder import ProjectionEncoder, encoded

OTHER = ProjectionEncoder(seed=5, calibrated=False)


@pytest.fixture
def gallery(tmp_path: Path, fake_encoder: ProjectionEncoder) -> Gallery:
    """Three people with two faces each."""
    gallery = Gallery.open(tmp_path / "g", fake_encoder, source="x", credit="Somebody")
    gallery.add_many(
        [(f"p{n // 2}", f"{n}.jpg", encoded(fake_encoder, n)) for n in range(6)],
    )
    yield gallery
    gallery.close()


def test_all_faces_are_coded_by_the_other_model(gallery: Gallery) -> None:
    told: list[tuple[int, int]] = []
    with open_variant(gallery, OTHER, lambda done, total, _: told.append((done, total))) as other:
        assert told == [(0, 6), (6, 6)]
        assert other.people() == gallery.people()
        assert other.provenance.credit == "Somebody"
        assert other.model.name == OTHER.name
        for rows in other.store.scan():
            logits, _ = OTHER.encode(np.stack([other.thumbnail(i) for i in rows.ids.tolist()]))
            assert np.array_equal(rows.codes, codes.from_logits(logits))
        assert len(other.draw_map().ids) == 6
        with pytest.raises(GalleryError, match="read-only"):
            other.remove("p0")


def test_what_is_there_is_not_coded_again_and_what_changed_is(
    gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    open_variant(gallery, OTHER).close()
    told: list[tuple[int, int]] = []
    open_variant(gallery, OTHER, lambda done, total, _: told.append((done, total))).close()
    assert told == [(0, 0)]
    gallery.add("p0", "0.jpg", encoded(fake_encoder, 77))
    gallery.add("new", "1.jpg", encoded(fake_encoder, 78))
    with open_variant(gallery, OTHER, lambda done, total, _: told.append((done, total))) as other:
        assert told[-1] == (2, 2)
        assert other.people() == {"p0": 2, "p1": 2, "p2": 2, "new": 1}
        replaced = next(e.id for e in other.entries("p0") if e.photo == "0.jpg")
        logits, _ = OTHER.encode(encoded(fake_encoder, 77).face.aligned[None])
        stored = other.store.get(np.array([replaced])).codes
        assert np.array_equal(stored, codes.from_logits(logits))


def test_whoever_is_removed_is_in_no_file_of_the_folder(gallery: Gallery) -> None:
    gallery.add("Zacharias-77", "z.jpg", encoded(OTHER, 9))
    open_variant(gallery, OTHER).close()
    held = gallery.folder / f"codes-{OTHER.fingerprint[:12]}.sqlite"
    assert b"Zacharias-77" in held.read_bytes()
    gallery.remove("Zacharias-77")
    gallery.close()
    files = [path for path in gallery.folder.rglob("*") if path.is_file()]
    assert all(b"Zacharias-77" not in path.read_bytes() for path in files)


def test_a_gallery_that_is_too_large_is_refused(
    gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recode, "MOST_FACES", 5)
    with pytest.raises(GalleryError, match="6 faces"):
        open_variant(gallery, OTHER)
