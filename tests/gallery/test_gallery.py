"""Galleries: what is put in is found, what is taken out is gone, a stopped build is unfinished."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah import codes
from daah import gallery as galleries
from daah.detection.detector import FaceDetector
from daah.errors import ConfigError, DataError, GalleryError
from daah.gallery import Gallery, SessionGallery, build, building, location, renew
from daah.gallery.names import checked_name, entry_id
from tests.doubles.encoder import FakeEncoder, encoded

PEOPLE = ("Ada", "Björn", "Chandra", "Дарья")


@pytest.fixture
def filled(tmp_path: Path, fake_encoder: FakeEncoder) -> Gallery:
    """Four people with three photos each."""
    gallery = Gallery.open(tmp_path / "g", fake_encoder)
    for p, person in enumerate(PEOPLE):
        rows = [(person, f"{person}/{n}.jpg", encoded(fake_encoder, 10 * p + n)) for n in range(3)]
        gallery.add_many(rows)
    yield gallery
    gallery.close()


def test_what_is_added_is_there_after_opening_again(
    filled: Gallery, fake_encoder: FakeEncoder
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
    filled: Gallery, fake_encoder: FakeEncoder
) -> None:
    for rows in filled.store.scan():
        faces = np.stack([filled.thumbnail(id_) for id_ in rows.ids])
        logits, _ = fake_encoder.encode(faces)
        assert np.array_equal(codes.pack(codes.sign(logits)), rows.codes)


def test_the_same_photo_again_replaces_the_entry(
    filled: Gallery, fake_encoder: FakeEncoder
) -> None:
    first = filled.add("Ada", "Ada/0.jpg", encoded(fake_encoder, 99))
    assert filled.count() == 12
    assert np.array_equal(filled.thumbnail(first), encoded(fake_encoder, 99).face.aligned)


def test_removing_a_person_leaves_no_trace(filled: Gallery, fake_encoder: FakeEncoder) -> None:
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
    filled.remove_entry(entry.id)
    assert filled.people()["Ada"] == 2
    with pytest.raises(GalleryError, match="no entry"):
        filled.remove_entry(entry.id)


def test_people_are_found_by_part_of_their_name(filled: Gallery) -> None:
    assert filled.find_people("BJOR") == {"Björn": 3}
    assert filled.find_people("дар") == {"Дарья": 3}
    assert filled.find_people("") == filled.people()
    assert filled.find_people("zzz") == {}


@pytest.mark.parametrize("name", ["", "  ", "a\nb", "a\0b", "x" * 201, "\udce4"])
def test_names_that_cannot_be_kept_are_refused(
    name: str, filled: Gallery, fake_encoder: FakeEncoder
) -> None:
    with pytest.raises(ConfigError):
        filled.add(name, "photo", encoded(fake_encoder, 0))
    assert filled.count() == 12


def test_composed_and_decomposed_letters_are_one_name() -> None:
    assert checked_name("person", "Bjo\u0308rn ") == "Björn"


def test_a_read_only_gallery_refuses_to_change(filled: Gallery, fake_encoder: FakeEncoder) -> None:
    filled.close()
    with Gallery.open(filled.folder, fake_encoder, read_only=True) as gallery:
        for change in (
            lambda: gallery.add("Eve", "x", encoded(fake_encoder, 1)),
            lambda: gallery.remove("Ada"),
            lambda: gallery.describe(credit="mine"),
            lambda: gallery.destroy(),
        ):
            with pytest.raises(GalleryError, match="read-only"):
                change()
        assert gallery.draw_map().ids.size == 12
        assert gallery.map() is None


def test_a_missing_gallery_is_named(tmp_path: Path, fake_encoder: FakeEncoder) -> None:
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
    options: dict[str, bool], album: Path, fake_encoder: FakeEncoder
) -> None:
    before = sorted(album.rglob("*"))
    with pytest.raises(GalleryError, match="album") as refused:
        Gallery.open(album, fake_encoder, **options)
    assert ("holds other files" in str(refused.value)) == (not options)
    assert sorted(album.rglob("*")) == before


def test_a_file_is_no_gallery(album: Path, fake_encoder: FakeEncoder) -> None:
    photo = album / "ann" / "1.jpg"
    with pytest.raises(GalleryError, match=r"no gallery 1\.jpg"):
        Gallery.open(photo, fake_encoder, read_only=True)
    with pytest.raises(GalleryError, match="cannot be made"):
        Gallery.open(photo, fake_encoder)
    assert photo.read_bytes() == b"a photo"


@pytest.mark.parametrize("left", [[], [".DS_Store"], ["codes-000000000000.sqlite-lock"]])
def test_a_gallery_is_made_in_an_empty_folder(
    left: list[str], tmp_path: Path, fake_encoder: FakeEncoder
) -> None:
    """Hidden files do not count, nor what a stopped start of the same gallery left."""
    (tmp_path / "g").mkdir()
    for name in left:
        (tmp_path / "g" / name).touch()
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        assert gallery.count() == 0
    assert Gallery.exists(tmp_path / "g")


def test_opening_what_must_exist_makes_nothing(tmp_path: Path, fake_encoder: FakeEncoder) -> None:
    with pytest.raises(GalleryError, match="no gallery nowhere"):
        Gallery.open(tmp_path / "nowhere", fake_encoder, create=False)
    assert not (tmp_path / "nowhere").exists()


def test_another_models_gallery_is_refused_and_both_are_named(filled: Gallery) -> None:
    filled.close()
    with pytest.raises(GalleryError, match=r"fake0.*fake1"):
        Gallery.open(filled.folder, FakeEncoder(1))


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '{"schema": 1}', '{"schema": 99}', None],
    ids=["empty", "cut", "list", "fields", "version", "types"],
)
def test_damaged_provenance_is_a_named_error(
    text: str | None, filled: Gallery, fake_encoder: FakeEncoder
) -> None:
    filled.close()
    path = filled.folder / "gallery.json"
    if text is None:
        text = json.dumps(json.loads(path.read_text()) | {"bits": "128"})
    path.write_text(text)
    with pytest.raises(GalleryError, match="gallery"):
        Gallery.open(filled.folder, fake_encoder)


def test_provenance_cannot_name_codes_elsewhere(filled: Gallery, fake_encoder: FakeEncoder) -> None:
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


def test_renewing_encodes_every_face_with_the_new_model(filled: Gallery) -> None:
    new = FakeEncoder(1)
    before = {(entry.id, entry.person, entry.photo) for entry in filled.entries()}
    old_codes = filled.folder / filled.provenance.codes
    filled.close()
    assert renew(filled.folder, new)
    assert not renew(filled.folder, new)
    assert not old_codes.exists()
    with Gallery.open(filled.folder, new, read_only=True) as gallery:
        assert {(entry.id, entry.person, entry.photo) for entry in gallery.entries()} == before
        assert galleries.verify(gallery, new).ok
        assert not galleries.verify(gallery, FakeEncoder(0)).ok


def test_a_stopped_renewal_leaves_the_old_gallery(filled: Gallery) -> None:
    class Stopped(Exception):
        pass

    def stop(done: int, total: int, name: str) -> None:
        raise Stopped

    filled.close()
    with pytest.raises(Stopped):
        renew(filled.folder, FakeEncoder(1), stop)
    with Gallery.open(filled.folder, FakeEncoder(0)) as gallery:
        assert galleries.verify(gallery, FakeEncoder(0)).ok
    assert renew(filled.folder, FakeEncoder(1))


def test_verify_finds_each_kind_of_damage(filled: Gallery, fake_encoder: FakeEncoder) -> None:
    assert galleries.verify(filled, fake_encoder).ok
    ids = [entry.id for entry in filled.entries()]
    paths = [next(filled.folder.rglob(f"{id_}.png")) for id_ in ids]
    paths[0].unlink()
    paths[1].write_bytes(b"no picture")
    paths[2].write_bytes(paths[3].read_bytes())
    stray = filled.folder / "faces" / f"{12345 % 256:02x}" / "12345.png"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(paths[4].read_bytes())
    half = paths[4].with_name("7.png.1.tmp")
    half.write_bytes(b"half")
    found = galleries.verify(filled, fake_encoder)
    assert (found.missing, found.damaged, found.changed) == ((ids[0],), (ids[1],), (ids[2],))
    assert (found.orphans, found.leftovers, found.ok) == ((12345,), 1, False)
    assert found.strays == "1 face without an entry, 1 half-written file"
    assert [problem.split()[0] for problem in found.problems()] == ["1", "1", "1"]
    assert galleries.verify(filled).changed is None
    repaired = galleries.verify(filled, repair=True)
    assert (repaired.strays, repaired.ok) == ("", False)
    assert not stray.exists()
    assert not half.exists()


#: Where a process is killed: after the second face's file, half-way through it, when the faces are
#: there and the rows are not, and when a person's faces are gone and the rows are not.
KILLS = {
    "after a face": ("Thumbnails", "write", 2),
    "in a face": ("Path", "replace", 2),
    "before the rows": ("SQLiteStore", "upsert", 1),
    "before the rows of a copy": ("SQLiteStore", "upsert", 1),
    "in a removal": ("SQLiteStore", "remove", 1),
}

_CHILD = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from tests.doubles.encoder import FakeEncoder, encoded
from daah.gallery import Gallery, copy
from daah.gallery.thumbnails import Thumbnails
from daah.stores.sqlite import SQLiteStore

_, _, folder, kind, owner, name, calls = sys.argv
model = FakeEncoder()
with Gallery.open(folder, model, create=False) as gallery:
    whole, made = getattr(globals()[owner], name), 0

    def deadly(*arguments, **options):
        global made
        made += 1
        if made == int(calls):
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(*arguments, **options)

    if kind == "before the rows of a copy":
        with Gallery.open(Path(folder).with_name("other"), model) as other:
            other.add("Eve", "Eve/9.jpg", encoded(model, 109))
            setattr(globals()[owner], name, deadly)
            copy(other, gallery)
    setattr(globals()[owner], name, deadly)
    if kind == "in a removal":
        gallery.remove("Ada")
    gallery.add_many([("Eve", f"Eve/{n}.jpg", encoded(model, 100 + n)) for n in range(3)])
"""


@pytest.mark.parametrize("kind", KILLS)
@pytest.mark.slow
def test_what_a_kill_leaves_is_no_damage_and_goes_with_the_next_writer(
    kind: str, filled: Gallery, fake_encoder: FakeEncoder
) -> None:
    filled.close()
    arguments = [str(Path(__file__).parents[1]), str(filled.folder), kind, *map(str, KILLS[kind])]
    child = subprocess.run(
        [sys.executable, "-c", _CHILD, *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr
    with Gallery.open(filled.folder, fake_encoder, read_only=True) as gallery:
        found = galleries.verify(gallery, fake_encoder)
        assert found.strays
        assert gallery.count() == 12
        assert found.problems() == (
            ("A build was stopped; the same command finishes it.",) if "copy" in kind else ()
        )
    with Gallery.open(filled.folder, fake_encoder) as gallery:
        found = galleries.verify(gallery, fake_encoder)
        assert (found.strays, found.orphans, found.leftovers, found.missing) == ("", (), 0, ())
        assert gallery.count() == (9 if kind == "in a removal" else 12)
        assert not list(filled.folder.glob("unfinished.*"))
        assert ("Ada" in gallery.people()) == (kind != "in a removal")


def test_a_note_that_is_damaged_removes_nothing(filled: Gallery, fake_encoder: FakeEncoder) -> None:
    filled.close()
    for number, text in enumerate(("", "{", "[]", '{"kind": "x", "ids": [1]}', '{"kind": 1}')):
        (filled.folder / f"unfinished.1.{number}.json").write_text(text)
    (filled.folder / "unfinished.2.0.json").write_text('{"kind": "adding", "ids": [true, -1, "x"]}')
    with Gallery.open(filled.folder, fake_encoder) as gallery:
        assert galleries.verify(gallery, fake_encoder).ok
        assert gallery.count() == 12
    assert not list(filled.folder.glob("unfinished.*"))


def test_an_addition_that_fails_leaves_no_face_behind(
    filled: Gallery, fake_encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise GalleryError("is on a full disk")

    monkeypatch.setattr(filled.store, "upsert", fail)
    with pytest.raises(GalleryError, match="full disk"):
        filled.add("Eve", "Eve/1.jpg", encoded(fake_encoder, 100))
    filled.close()
    with Gallery.open(filled.folder, fake_encoder) as gallery:
        assert galleries.verify(gallery, fake_encoder).orphans == ()


def test_verify_tells_what_is_wrong_with_the_store(
    filled: Gallery, fake_encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.store._rows.newer.codes[0, 0] ^= 1
    found = galleries.verify(filled, fake_encoder)
    assert not found.ok
    assert "other codes than those that are searched" in found.store


def test_reading_a_large_gallery_shows_progress(
    filled: Gallery, fake_encoder: FakeEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[int, int, str]] = []
    for large, expected in ((12, [(12, 12, "Reading the gallery")]), (13, [])):
        monkeypatch.setattr(location, "_LARGE", large)
        told.clear()
        with Gallery.open(
            filled.folder, fake_encoder, read_only=True, progress=lambda *step: told.append(step)
        ):
            assert told == expected


def test_statistics_count_bits_collisions_and_near_pairs(
    tmp_path: Path, fake_encoder: FakeEncoder
) -> None:
    with Gallery.open(tmp_path / "s", fake_encoder) as gallery:
        for person, photo, seed in [("a", "1", 1), ("a", "2", 1), ("b", "1", 1), ("c", "1", 2)]:
            gallery.add(person, photo, encoded(fake_encoder, seed))
        found = galleries.statistics(gallery, pairs=2)
    bits = np.stack([encoded(fake_encoder, seed).code.bits for seed in (1, 1, 1, 2)])
    assert found.ones == pytest.approx(bits.mean(0))
    assert (found.entries, found.people, found.bits) == (4, 3, 128)
    assert (found.collisions, found.collisions_between) == (3, 3)
    assert [(pair.distance, {pair.a.person, pair.b.person}) for pair in found.near] == [
        (0, {"a", "b"})
    ] * 2


def test_copying_keeps_entries_faces_and_map(
    filled: Gallery, tmp_path: Path, fake_encoder: FakeEncoder
) -> None:
    filled.draw_map()
    filled.describe(source="orl", credit="somebody")
    with Gallery.open(tmp_path / "copy", filled.model) as target:
        assert galleries.copy(filled, target) == 12
        assert list(target.entries()) == list(filled.entries())
        assert galleries.verify(target, fake_encoder).ok
        assert np.array_equal(target.map().xy, filled.map().xy)
        assert (target.provenance.source, target.provenance.credit) == ("orl", "somebody")
        assert galleries.copy(filled, target) == 12
        assert target.count() == 12


def test_copying_between_models_is_refused(filled: Gallery, tmp_path: Path) -> None:
    with (
        Gallery.open(tmp_path / "other", FakeEncoder(1)) as target,
        pytest.raises(GalleryError, match="different models"),
    ):
        galleries.copy(filled, target)


def test_exports_hold_every_entry(filled: Gallery, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    text = io.StringIO()
    assert galleries.export_jsonl(filled, text) == 12
    lines = [json.loads(line) for line in text.getvalue().splitlines()]
    assert [line["id"] for line in lines] == [str(entry.id) for entry in filled.entries()]
    rows = next(filled.store.scan())
    assert np.array_equal(codes.from_hex(lines[5]["code"]), rows.codes[5])
    assert galleries.export_parquet(filled, tmp_path / "g.parquet") == 12
    rows = pq.read_table(tmp_path / "g.parquet").to_pylist()
    assert [row | {"id": str(row["id"])} for row in rows] == lines
    with pytest.raises(DataError, match="cannot be written"):
        galleries.export_parquet(filled, tmp_path / "no" / "g.parquet")


def test_a_session_gallery_is_a_value(fake_encoder: FakeEncoder) -> None:
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


def test_a_session_gallery_has_a_limit(fake_encoder: FakeEncoder) -> None:
    full, face = SessionGallery(), encoded(fake_encoder, 1)
    for n in range(50):
        full = full.add("Eve", str(n), face)
    with pytest.raises(ConfigError, match="50"):
        full.add("Eve", "one more", face)
    assert len(full.add("Eve", "49", face)) == 50


def _tree(folder: Path, photos: dict[str, np.ndarray | bytes]) -> Path:
    for name, photo in photos.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(photo, bytes):
            path.write_bytes(photo)
        else:
            Image.fromarray(photo).save(path)
    return folder


def test_building_from_a_folder_reports_and_goes_on(
    tmp_path: Path,
    orl_photos: list,
    astronaut: np.ndarray,
    detector: FaceDetector,
    fake_encoder: FakeEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(building, "_CHUNK", 2)
    few = {f"{p.name}.png": p.rgb for p in orl_photos[:3]}
    grey = np.full((90, 90, 3), 128, np.uint8)
    tree = _tree(
        tmp_path / "tree",
        {**few, "eileen/a.png": astronaut, "eileen/none.png": grey, "eileen/cut.jpg": b"\xff\xd8"},
    )
    seen: list[tuple[int, int]] = []
    gallery = Gallery.open(tmp_path / "g", fake_encoder)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int, person: str) -> None:
        if done == 4:
            raise Stopped

    with pytest.raises(Stopped):
        build(gallery, tree, detector, fake_encoder, stop)
    gallery.close()
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        with pytest.raises(GalleryError, match="interrupted"):
            gallery.require_complete()
        report = build(
            gallery, tree, detector, fake_encoder, lambda done, total, _: seen.append((done, total))
        )
        gallery.require_complete()
        assert (report.added, report.present) == (2, 2)
        assert sorted(name for name, _ in report.skipped) == ["eileen/cut.jpg", "eileen/none.png"]
        assert dict(report.skipped)["eileen/none.png"] == "no face found"
        assert seen[-1] == (6, 6)
        assert gallery.people() == {"eileen": 1, "s1": 3}
        assert (gallery.provenance.source, gallery.provenance.photos) == ("tree", 4)
        assert gallery.map().ids.size == 4
        again = build(gallery, tree, detector, fake_encoder)
        assert (again.added, again.present) == (0, 4)
        with pytest.raises(GalleryError, match="holds tree"):
            build(gallery, "orl", detector, fake_encoder)


def test_a_source_that_is_not_there_leaves_no_gallery_half_built(
    tmp_path: Path, detector: FaceDetector, fake_encoder: FakeEncoder
) -> None:
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        with pytest.raises(DataError):
            build(gallery, tmp_path / "missing", detector, fake_encoder)
        gallery.require_complete()
