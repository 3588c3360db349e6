"""Verifying a gallery, and its statistics."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daah import gallery as galleries
from daah.errors import GalleryError
from daah.gallery import Gallery
from tests.doubles.encoder import ProjectionEncoder, encoded

PEOPLE = ("Ada", "Björn", "Chandra", "Дарья")


def test_verify_finds_each_kind_of_damage(filled: Gallery, fake_encoder: ProjectionEncoder) -> None:
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
from tests.doubles.encoder import ProjectionEncoder, encoded
from daah.gallery import Gallery, copy
from daah.gallery.thumbnails import Thumbnails
from daah.stores.sqlite import SQLiteStore

_, _, folder, kind, owner, name, calls = sys.argv
model = ProjectionEncoder()
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
    kind: str, filled: Gallery, fake_encoder: ProjectionEncoder
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


def test_a_note_that_is_damaged_removes_nothing(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.close()
    for number, text in enumerate(("", "{", "[]", '{"kind": "x", "ids": [1]}', '{"kind": 1}')):
        (filled.folder / f"unfinished.1.{number}.json").write_text(text)
    (filled.folder / "unfinished.2.0.json").write_text('{"kind": "adding", "ids": [true, -1, "x"]}')
    with Gallery.open(filled.folder, fake_encoder) as gallery:
        assert galleries.verify(gallery, fake_encoder).ok
        assert gallery.count() == 12
    assert not list(filled.folder.glob("unfinished.*"))


def test_an_addition_that_fails_leaves_no_face_behind(
    filled: Gallery, fake_encoder: ProjectionEncoder, monkeypatch: pytest.MonkeyPatch
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
    filled: Gallery, fake_encoder: ProjectionEncoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.store._held.faces.newer.codes[0, 0] ^= 1
    found = galleries.verify(filled, fake_encoder)
    assert not found.ok
    assert "other codes than those that are searched" in found.store


def test_statistics_count_bits_collisions_and_near_pairs(
    tmp_path: Path, fake_encoder: ProjectionEncoder
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
