"""Galleries: what is put in is found, what is taken out is gone, a stopped build is unfinished."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.errors import ConfigError, GalleryError
from daah.gallery import Gallery, location
from daah.gallery.names import checked_name, entry_id
from daah.stores.base import Person
from tests.doubles.encoder import ProjectionEncoder, encoded

PEOPLE = ("Ada", "Björn", "Chandra", "Дарья")


def test_what_is_added_is_there_after_opening_again(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.close()
    with Gallery.open(filled.folder, fake_encoder, read_only=True) as again:
        assert again.people() == dict.fromkeys(PEOPLE, 3)
        assert again.count() == 12
        entry = next(again.entries("Ada"))
        assert entry.id == entry_id(entry.person, entry.photo)
        number = int(entry.photo[4])
        assert np.array_equal(again.thumbnail(entry.id), encoded(fake_encoder, number).face.aligned)


def test_a_thumbnail_is_enough_to_compute_the_code_again(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    for rows in filled.store.scan():
        faces = np.stack([filled.thumbnail(id_) for id_ in rows.ids])
        logits, _ = fake_encoder.encode(faces)
        assert np.array_equal(codes.from_logits(logits), rows.codes)


def test_the_same_photo_again_replaces_the_entry(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    first = filled.add("Ada", "Ada/0.jpg", encoded(fake_encoder, 99))
    assert filled.count() == 12
    assert np.array_equal(filled.thumbnail(first), encoded(fake_encoder, 99).face.aligned)


def test_removing_a_person_leaves_no_trace(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.draw_map()
    gone = [entry.id for entry in filled.entries("Chandra")]
    traces = [codes.pack(encoded(fake_encoder, 20 + n).code.bits).tobytes() for n in range(3)]
    traces += [b"Chandra", *(str(id_).encode() for id_ in gone)]
    assert filled.remove("Chandra") == 3
    assert "Chandra" not in filled.people()
    assert not set(gone) & set(filled.map().ids.tolist())
    with pytest.raises(GalleryError, match="no picture"):
        filled.thumbnail(gone[0])
    filled.close()
    for path in filled.folder.rglob("*"):
        assert not any(str(id_) in path.name for id_ in gone)
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".npz":
                data = b"".join(bytes(a) for a in np.load(path).values())
            assert not [trace for trace in traces if trace in data], path.name


def test_removing_nobody_is_said(filled: Gallery) -> None:
    with pytest.raises(GalleryError, match="Nobody named 'Eve'"):
        filled.remove("Eve")


def test_one_entry_can_be_removed(filled: Gallery) -> None:
    entry = next(filled.entries("Ada"))
    assert filled.remove_many(ids=[entry.id]) == 1
    assert filled.people()["Ada"] == 2
    assert filled.remove_many(ids=[entry.id]) == 0
    with pytest.raises(GalleryError, match="no entry"):
        filled.entry(entry.id)


def test_people_are_found_by_part_of_their_name(filled: Gallery) -> None:
    assert filled.find_people("BJOR") == (Person("Björn", "", 3),)
    assert filled.find_people("дар") == (Person("Дарья", "", 3),)
    assert {person.person: person.photos for person in filled.find_people()} == filled.people()
    assert filled.find_people("zzz") == ()


def test_people_are_shown_and_found_by_their_display_names(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    assert {entry.name for entry in filled.entries("Ada")} == {"Ada"}
    id_ = filled.add("Ada", "new.jpg", encoded(fake_encoder, 70), name="  Ada Lovelace")
    assert {entry.name for entry in filled.entries("Ada")} == {"Ada Lovelace"}
    assert filled.entry(id_).person == "Ada"
    assert filled.find_people("lovel") == (Person("Ada", "Ada Lovelace", 4),)
    filled.add("Ada", "newer.jpg", encoded(fake_encoder, 71))
    assert filled.find_people("ada") == (Person("Ada", "Ada Lovelace", 5),)
    with pytest.raises(ConfigError, match="control characters"):
        filled.add("Ada", "newest.jpg", encoded(fake_encoder, 72), name="a\nb")


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "x" * 201, "\udce4"])
def test_names_that_cannot_be_kept_are_refused(
    name: str, filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    with pytest.raises(ConfigError):
        filled.add(name, "photo", encoded(fake_encoder, 0))
    assert filled.count() == 12


def test_composed_and_decomposed_letters_are_one_name() -> None:
    assert checked_name("person", "Bjo\u0308rn ") == "Björn"


def test_a_read_only_gallery_refuses_to_change(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.close()
    with Gallery.open(filled.folder, fake_encoder, read_only=True) as gallery:
        for change in (
            lambda: gallery.add("Eve", "x", encoded(fake_encoder, 1)),
            lambda: gallery.remove("Ada"),
            lambda: gallery.describe(credit="mine"),
        ):
            with pytest.raises(GalleryError, match="read-only"):
                change()
        assert gallery.draw_map().ids.size == 12
        assert gallery.map() is None


def test_a_missing_gallery_is_named(tmp_path: Path, fake_encoder: ProjectionEncoder) -> None:
    with pytest.raises(GalleryError, match=r"no gallery nowhere.*gallery build"):
        Gallery.open(tmp_path / "nowhere", fake_encoder, read_only=True)
    assert not Gallery.exists(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """A folder of photos, which somebody may take for a gallery."""
    folder = tmp_path / "album"
    (folder / "ann").mkdir(parents=True)
    (folder / "ann" / "1.jpg").write_bytes(b"a photo")
    (folder / "list.csv").write_text("person,photo\n")
    return folder


@pytest.mark.parametrize("options", [{}, {"read_only": True}, {"create": False}])
def test_no_gallery_is_made_among_other_files(
    options: dict[str, bool], album: Path, fake_encoder: ProjectionEncoder
) -> None:
    before = sorted(album.rglob("*"))
    with pytest.raises(GalleryError, match="album") as refused:
        Gallery.open(album, fake_encoder, **options)
    assert ("holds other files" in str(refused.value)) == (not options)
    assert sorted(album.rglob("*")) == before


def test_a_file_is_no_gallery(album: Path, fake_encoder: ProjectionEncoder) -> None:
    photo = album / "ann" / "1.jpg"
    with pytest.raises(GalleryError, match=r"no gallery 1\.jpg"):
        Gallery.open(photo, fake_encoder, read_only=True)
    with pytest.raises(GalleryError, match="cannot be made"):
        Gallery.open(photo, fake_encoder)
    assert photo.read_bytes() == b"a photo"


@pytest.mark.parametrize("left", [[], [".DS_Store"], ["codes-000000000000.sqlite-lock"]])
def test_a_gallery_is_made_in_an_empty_folder(
    left: list[str], tmp_path: Path, fake_encoder: ProjectionEncoder
) -> None:
    """Hidden files do not count, nor what a stopped start of the same gallery left."""
    (tmp_path / "g").mkdir()
    for name in left:
        (tmp_path / "g" / name).touch()
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        assert gallery.count() == 0
    assert Gallery.exists(tmp_path / "g")


def test_opening_what_must_exist_makes_nothing(
    tmp_path: Path, fake_encoder: ProjectionEncoder
) -> None:
    with pytest.raises(GalleryError, match="no gallery nowhere"):
        Gallery.open(tmp_path / "nowhere", fake_encoder, create=False)
    assert not (tmp_path / "nowhere").exists()


def test_another_models_gallery_is_refused_and_both_are_named(filled: Gallery) -> None:
    filled.close()
    with pytest.raises(GalleryError, match=r"fake0.*fake1"):
        Gallery.open(filled.folder, ProjectionEncoder(1))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema": 1}', '{"schema": 99}', None],
    ids=["empty", "cut", "list", "fields", "version", "types"],
)
def test_damaged_provenance_is_a_named_error(
    text: str | None, filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.close()
    path = filled.folder / "gallery.json"
    if text is None:
        text = json.dumps(json.loads(path.read_text()) | {"bits": "128"})
    path.write_text(text)
    with pytest.raises(GalleryError, match="gallery"):
        Gallery.open(filled.folder, fake_encoder)


def test_provenance_cannot_name_codes_elsewhere(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.close()
    path = filled.folder / "gallery.json"
    values = json.loads(path.read_text()) | {"codes": "../codes.sqlite"}
    path.write_text(json.dumps(values))
    with pytest.raises(GalleryError, match="damaged"):
        Gallery.open(filled.folder, fake_encoder)
    del values["sha256"]
    path.write_text(json.dumps(values))
    with pytest.raises(GalleryError, match="outside"):
        Gallery.open(filled.folder, fake_encoder)


def test_a_damaged_thumbnail_is_a_named_error(filled: Gallery) -> None:
    id_ = next(filled.entries()).id
    path = next(filled.folder.rglob(f"{id_}.png"))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(GalleryError, match="damaged"):
        filled.thumbnail(id_)
    with pytest.raises(GalleryError, match="no gallery entry"):
        filled.thumbnail(-5)


def test_reading_a_large_gallery_shows_progress(
    filled: Gallery, fake_encoder: ProjectionEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int, str]] = []
    for large, expected in ((12, [(12, 12, "Reading the gallery")]), (13, [])):
        monkeypatch.setattr(location, "_LARGE", large)
        told.clear()
        with Gallery.open(
            filled.folder, fake_encoder, read_only=True, progress=lambda *step: told.append(step)
        ):
            assert told == expected
