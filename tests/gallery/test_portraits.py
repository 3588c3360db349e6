"""The built-in gallery: filled from the portraits, with the shipped codes or without."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.data.portraits import FACES, PEOPLE, PortraitCodes, load_portraits, write_codes
from daah.detection.alignment import aligned_face
from daah.errors import DataError, GalleryError
from daah.gallery import Gallery, build, copy, delete_outdated, renew, verify
from daah.gallery.gallery import all_logits
from daah.gallery.portraits import fill
from daah.models import encoder as models_encoder
from daah.models.encoder import FaceEncoder
from daah.paths import PATHS
from daah.retrieval.retriever import FaceRetriever
from tests.doubles.encoder import ProjectionEncoder, encoded, face

NAMES = {"A000001": "Ada Lovelace", "B000002": "Björn", "C000003": "Chandra"}


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Three portraits, without codes."""
    folder = tmp_path / "portraits"
    (folder / FACES).mkdir(parents=True)
    rows = "".join(f"{id_},{name}\n" for id_, name in NAMES.items())
    (folder / PEOPLE).write_text(f"id,name\n{rows}", encoding="utf-8")
    for seed, id_ in enumerate(NAMES):
        picture = Image.fromarray(face(seed).aligned)
        picture.save(folder / FACES / f"{id_}.jpg", quality=90)
    return folder


@pytest.fixture
def gallery(tmp_path: Path, fake_encoder: ProjectionEncoder) -> Iterator[Gallery]:
    """An empty gallery."""
    with Gallery.open(tmp_path / "g", fake_encoder) as made:
        yield made


def stored(source: Path, encoder: ProjectionEncoder) -> np.ndarray:
    """Ship codes of this model with the portraits; their logits."""
    portraits = load_portraits(source)
    faces = [aligned_face(np.array(Image.open(portrait.path))) for portrait in portraits]
    logits = all_logits(models_encoder.encode(encoder, faces))
    xy = np.full((len(faces), 2), 0.25, np.float32)
    files = [portrait.read() for portrait in portraits]
    write_codes(source, files, encoder.fingerprint, PortraitCodes(logits, xy))
    return logits


def test_faces_are_encoded_for_a_model_without_shipped_codes(
    source: Path, gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    told: list[tuple[int, int, str]] = []
    stored(source, ProjectionEncoder(1))
    assert fill(gallery, fake_encoder, lambda *step: told.append(step), source) == 3
    assert told[-1] == (3, 3, "Chandra")
    assert gallery.people() == dict.fromkeys(NAMES, 1)
    assert {entry.person: entry.name for entry in gallery.entries()} == NAMES
    assert verify(gallery, fake_encoder).ok
    assert gallery.map() is None  # it is drawn when it is asked for


def test_shipped_codes_are_taken_as_they_are(
    source: Path, gallery: Gallery, fake_encoder: ProjectionEncoder, monkeypatch
) -> None:
    logits = stored(source, fake_encoder)
    monkeypatch.setattr(fake_encoder, "encode", None)
    assert fill(gallery, fake_encoder, folder=source) == 3
    monkeypatch.undo()
    (rows,) = gallery.store.scan(logits=True)
    by_person = {m.person: row for m, row in zip(rows.meta, rows.logits, strict=True)}
    assert np.array_equal(np.stack([by_person[id_] for id_ in NAMES]), logits)
    assert verify(gallery, fake_encoder).ok
    drawn = gallery.map()
    assert sorted(drawn.ids.tolist()) == rows.ids.tolist()
    assert (drawn.xy == 0.25).all()
    assert fill(gallery, fake_encoder, folder=source) == 0


def test_what_is_filled_partly_is_finished_and_what_was_added_stays(
    source: Path, gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    stored(source, fake_encoder)
    fill(gallery, fake_encoder, folder=source)
    gallery.remove("B000002")
    gallery.add("me", "selfie", encoded(fake_encoder, 9))
    assert fill(gallery, fake_encoder, folder=source) == 1
    assert gallery.people() == {**dict.fromkeys(NAMES, 1), "me": 1}
    assert verify(gallery, fake_encoder).ok


def test_faces_stay_the_files_that_they_were_and_can_be_replaced_copied_and_removed(
    source: Path, gallery: Gallery, fake_encoder: ProjectionEncoder, tmp_path: Path
) -> None:
    fill(gallery, fake_encoder, folder=source)
    with Gallery.open(tmp_path / "other", fake_encoder) as other:
        copy(gallery, other)
        assert {entry.name for entry in other.entries()} == set(NAMES.values())
        for here in (gallery, other):
            files = sorted(path.read_bytes() for path in here.folder.glob("faces/*/*.jpg"))
            assert files == sorted(path.read_bytes() for path in (source / FACES).iterdir())
    (entry,) = gallery.entries("A000001")
    assert gallery.add("A000001", "A000001.jpg", encoded(fake_encoder, 5)) == entry.id
    assert np.array_equal(gallery.thumbnail(entry.id), face(5).aligned)
    assert len(list(gallery.folder.glob("faces/*/*"))) == 3
    for person in NAMES:
        gallery.remove(person)
    assert not list(gallery.folder.glob("faces/*/*"))


@pytest.mark.parametrize("content", [b"", b"text", b"\xff\xd8\xff\xe0" + b"\0" * 300])
def test_a_damaged_portrait_is_named(
    source: Path, gallery: Gallery, fake_encoder: ProjectionEncoder, content: bytes
) -> None:
    (source / FACES / "B000002.jpg").write_bytes(content)
    with pytest.raises(GalleryError, match="is damaged"):
        fill(gallery, fake_encoder, folder=source)
    (source / FACES / "B000002.jpg").unlink()
    with pytest.raises(DataError, match=r"B000002\.jpg is missing"):
        fill(gallery, fake_encoder, folder=source)


def test_a_gallery_of_an_older_alignment_is_deleted_unless_somebody_was_added(
    source: Path, tmp_path: Path, fake_encoder: ProjectionEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daah.data.portraits.PATHS", _Paths(source))
    with monkeypatch.context() as older:
        older.setattr("daah.gallery.location.ALIGNMENT", "mtcnn5-150-v1")
        gallery = Gallery.open(tmp_path / "g", fake_encoder)
    assert build(gallery, "congress", None, fake_encoder).added == 3
    gallery.add("me", "selfie", encoded(fake_encoder, 9))
    gallery.close()
    with pytest.raises(GalleryError, match="1 of its faces were added to those of congress"):
        delete_outdated(tmp_path / "g", "congress")
    with Gallery.open(tmp_path / "h", fake_encoder) as gallery:
        report = build(gallery, "congress", None, fake_encoder)
        assert (report.added, report.present, report.skipped) == (3, 0, ())
        assert gallery.provenance.source == "congress"
        assert "public domain" in gallery.provenance.credit
        assert gallery.provenance.complete
        assert gallery.provenance.photos == 3
    assert not delete_outdated(tmp_path / "h", "congress")
    assert renew(tmp_path / "h", ProjectionEncoder(1))
    with Gallery.open(tmp_path / "h", ProjectionEncoder(1)) as gallery:
        assert {entry.name for entry in gallery.entries()} == set(NAMES.values())
        assert verify(gallery, ProjectionEncoder(1)).ok


class _Paths:
    def __init__(self, portraits: Path) -> None:
        self.portraits = portraits


# --- with the shipped portraits -------------------------------------------------------------------


def test_the_built_in_gallery_holds_everybody_and_finds_them(
    congress: FaceRetriever, encoder: FaceEncoder
) -> None:
    gallery = congress.gallery
    assert gallery.count() == gallery.store.count_people() == 696
    assert gallery.map().ids.size == 696
    assert gallery.find_people("ackerman")[0].name == "Gary L. Ackerman"
    for name, person in (("another-year.jpg", "R000591"), ("years-younger.jpg", "P000265")):
        photo = picture(PATHS.examples / name)
        (found,) = congress.search(photo, k=3).faces
        assert found.people[0].person == person
        assert (
            found.people[0].name == {"R000591": "Martha Roby", "P000265": "Thomas E. Petri"}[person]
        )
        assert found.people[0].photo == f"{person}.jpg"
        assert found.people[0].photos == 1


def picture(path: Path) -> np.ndarray:
    """A photo (H, W, 3) uint8."""
    return np.array(Image.open(path).convert("RGB"))
