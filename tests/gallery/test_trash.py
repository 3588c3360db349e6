"""A removal can be undone for an hour; after it, or at once if asked, no trace is left."""

from __future__ import annotations

import base64
import shutil
import time
from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.errors import GalleryError
from daah.gallery import Gallery, trash
from daah.gallery.trash import KEPT_SECONDS, Removal, Trash
from tests.doubles.encoder import ProjectionEncoder, encoded


def snapshot(gallery: Gallery) -> list[tuple]:
    """Everything of every entry."""
    return [
        (id_, meta, code.tobytes(), logits.tobytes(), gallery.thumbnail(id_).tobytes())
        for rows in gallery.store.scan(logits=True)
        for id_, meta, code, logits in zip(
            rows.ids.tolist(), rows.meta, rows.codes, rows.logits, strict=True
        )
    ]


def test_a_removed_person_comes_back_as_before(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.add("Ada", "new.jpg", encoded(fake_encoder, 50), name="Ada Lovelace")
    before = snapshot(filled)
    assert filled.last_removal() is None
    assert filled.discard(["Ada", "nobody"]) == 4
    assert "Ada" not in filled.people()
    assert filled.last_removal()
    assert {entry.person for entry in filled.undo()} == {"Ada"}
    assert snapshot(filled) == before
    filled.store.check()
    assert not (filled.folder / trash.FOLDER).exists()
    with pytest.raises(GalleryError, match="nothing to undo"):
        filled.undo()


def test_removals_are_undone_from_the_last_one_on(filled: Gallery) -> None:
    (first, second, _) = filled.entries("Ada")
    filled.discard(ids=[first.id])
    filled.discard(ids=[second.id, 1])
    assert filled.people()["Ada"] == 1
    assert [entry.id for entry in filled.undo()] == [second.id]
    assert [entry.id for entry in filled.undo()] == [first.id]
    assert filled.discard(ids=[1]) == 0
    assert filled.last_removal() is None


def test_one_of_several_removals_is_undone(filled: Gallery) -> None:
    first, second, _ = filled.entries("Ada")
    filled.discard(ids=[first.id])
    earlier = filled.last_removal()
    filled.discard(ids=[second.id])
    assert [entry.id for entry in filled.undo(earlier)] == [first.id]
    with pytest.raises(GalleryError, match="nothing to undo"):
        filled.undo(earlier)
    assert filled.last_removal() not in (None, earlier)


def test_what_was_added_again_meanwhile_stays(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.discard(["Ada"])
    filled.add("Ada", "Ada/0.jpg", encoded(fake_encoder, 99), name="Countess")
    assert len(filled.undo()) == 2
    assert {entry.name for entry in filled.entries("Ada")} == {"Countess"}
    kept = next(entry for entry in filled.entries("Ada") if entry.photo == "Ada/0.jpg")
    assert np.array_equal(filled.thumbnail(kept.id), encoded(fake_encoder, 99).face.aligned)


def traces(encoder: ProjectionEncoder) -> list[bytes]:
    """What is to be found of Chandra: name, codes, logits and faces."""
    found = [b"Chandra"]
    for n in range(3):
        face = encoded(encoder, 20 + n)
        packed = codes.pack(face.code.bits).tobytes()
        logits = face.code.logits.astype("<f4").tobytes()
        found += [packed, packed.hex().encode(), logits, base64.b64encode(logits)]
    return found


def leaks(gallery: Gallery, wanted: list[bytes], ids: list[int]) -> list[str]:
    """Files of a closed gallery with any of the traces, or named by an id."""
    found = []
    for path in gallery.folder.rglob("*"):
        data = path.read_bytes() if path.is_file() else b""
        if path.suffix == ".npz":
            data = b"".join(bytes(a) for a in np.load(path).values())
        if any(trace in data for trace in wanted) or any(str(id_) in path.name for id_ in ids):
            found.append(path.name)
    return found


@pytest.mark.parametrize("how", ["at once", "after the hour", "clock set back", "opened again"])
def test_no_trace_is_left(
    filled: Gallery,
    fake_encoder: ProjectionEncoder,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    filled.draw_map()
    ids = [entry.id for entry in filled.entries("Chandra")]
    assert filled.discard(["Chandra"]) == 3
    assert leaks(filled, traces(fake_encoder), ids)
    now = time.time()
    if how == "at once":
        assert filled.empty_trash() == 1
    elif how == "after the hour":
        assert filled.empty_trash(expired_only=True) == 0
        monkeypatch.setattr(time, "time", lambda: now + KEPT_SECONDS + 1)
        assert filled.last_removal() is None
        assert filled.empty_trash(expired_only=True) == 1
    elif how == "clock set back":
        monkeypatch.setattr(time, "time", lambda: now - 7200)
        assert filled.empty_trash(expired_only=True) == 1
    filled.close()
    if how == "opened again":
        assert leaks(filled, traces(fake_encoder), ids)
        monkeypatch.setattr(time, "time", lambda: now + KEPT_SECONDS + 1)
        Gallery.open(filled.folder, fake_encoder).close()
    assert leaks(filled, traces(fake_encoder), ids) == []
    assert not (filled.folder / trash.FOLDER).exists()


def test_a_process_that_stays_erases_it_on_time(
    filled: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    filled.discard(["Ada"])
    filled.close()
    with Gallery.open(filled.folder, fake_encoder) as again:
        (waiting,) = again._waiting
        assert KEPT_SECONDS - 600 < waiting.interval <= KEPT_SECONDS
        waiting.function(*waiting.args)
        assert again.last_removal() is None
    assert not waiting.is_alive() or waiting.finished.is_set()


def test_bytes_are_overwritten_before_they_are_freed(
    filled: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.discard(["Ada"])
    seen = {}
    unlink = Path.unlink
    monkeypatch.setattr(
        Path, "unlink", lambda p, **k: (seen.update({p.name: p.read_bytes()}), unlink(p, **k))[1]
    )
    filled.empty_trash()
    assert len(seen) == 4
    assert next(iter(seen)) == "rows.json"
    assert all(data and not any(data) for data in seen.values())


def test_the_rest_of_an_unfinished_removal_is_no_removal(filled: Gallery) -> None:
    filled.discard(["Ada"])
    (removal,) = Trash(filled.folder).removals()
    (removal.folder / "rows.json").unlink()
    assert filled.last_removal() is None
    assert filled.empty_trash() == 1


def test_damage_and_other_models_are_said(
    filled: Gallery, fake_encoder: ProjectionEncoder, tmp_path: Path
) -> None:
    filled.discard(["Ada"])
    (removal,) = Trash(filled.folder).removals()
    with pytest.raises(GalleryError, match="another model"):
        Trash(filled.folder).read(removal, "other")
    (removal.folder / "rows.json").write_text('{"model": "x", "rows": [{}]}')
    with pytest.raises(GalleryError, match="damaged"):
        filled.undo()


def test_nothing_is_removed_when_there_is_no_room(
    filled: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(GalleryError, match=r"no room.*No space left.*Nothing was removed"):
        filled.discard(["Ada"])
    assert filled.people()["Ada"] == 3
    assert Trash(filled.folder).removals() == []


def test_ages() -> None:
    removal = Removal(Path("x"), 1000.0)
    assert not removal.expired(1000.0)
    assert not removal.expired(1000.0 + KEPT_SECONDS - 1)
    assert removal.expired(1000.0 + KEPT_SECONDS)
    assert removal.expired(999.0)
