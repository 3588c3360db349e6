"""No flipped byte and no truncation ever gives a wrong answer: the right one, or a GalleryError."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from daah.errors import GalleryError
from daah.stores.base import Filter
from daah.stores.sqlite import SQLiteStore, code_cache, schema
from tests.stores import sample

ROWS = 250
PEOPLE = frozenset({"s1", "Ann O'Neil"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small gallery with some removed rows and a file of packed codes."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("whole") / "g.db"
    with SQLiteStore(path, sample.spec(64), cached_rows=1) as store:
        ids, codes = sample.ids(rng, ROWS), sample.codes(rng, ROWS, 64)
        metas = [replace(m, name=f"shown as {m.person}") for m in sample.metas(rng, ROWS)]
        store.upsert(ids, codes, metas, sample.logits_of(rng, codes, 64))
        store.remove(ids[::5])
    return path


def answers(path: Path, cached_rows: int, read_only: bool = True) -> list[object]:
    """Everything a gallery can be asked."""
    queries = sample.codes(np.random.default_rng(6), 3, 64)
    with SQLiteStore(path, sample.spec(64), read_only=read_only, cached_rows=cached_rows) as store:
        some = store.search(queries, 7)
        few = store.search(queries, 300, 24, where=Filter(people=PEOPLE))
        rows = [
            (int(id), code.tobytes(), meta, logits.tobytes())
            for batch in store.scan(logits=True)
            for id, code, meta, logits in zip(
                batch.ids, batch.codes, batch.meta, batch.logits, strict=True
            )
        ]
        got = store.get(some.ids[0])
        people = store.search_people(queries, 5, 40)
        means = store.mean_logits([person.person for person in store.people()])
        return [
            means.tobytes(),
            *(people.ids.tolist(), people.distances.tolist(), people.photos.tolist(), people.meta),
            *(some.ids.tolist(), some.distances.tolist(), some.meta),
            *(few.ids.tolist(), few.distances.tolist(), few.meta),
            *(rows, store.people(), store.count(), store.generation, got.codes.tobytes(), got.meta),
        ]


def outcome(path: Path, right: list[object], cached_rows: int) -> str:
    """How a damaged gallery shows; anything but an error or the right answers fails."""
    found = None
    try:
        found = answers(path, cached_rows)
    except GalleryError as error:
        message = str(error)
    if found is None:
        assert message.startswith("g.db ")
        return "error"
    assert found == right
    return "right"


def copied(whole: Path, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    for ending in ("", "-codes", "-templates"):
        shutil.copy(f"{whole}{ending}", folder / f"g.db{ending}")
    return folder / "g.db"


@pytest.mark.parametrize("cached_rows", [1, 10**9], ids=["with cache", "without cache"])
def test_flipped_bytes_of_the_gallery(whole: Path, tmp_path: Path, cached_rows: int) -> None:
    right = answers(whole, cached_rows)
    content = whole.read_bytes()
    rng = np.random.default_rng(7)
    used = np.flatnonzero(np.frombuffer(content, np.uint8))
    places = np.unique([*range(110), *rng.choice(used, 250), *rng.integers(0, len(content), 40)])
    path = copied(whole, tmp_path / "copy")
    seen = {"error": 0, "right": 0}
    for place in places:
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        try:
            seen[outcome(path, right, cached_rows)] += 1
        except Exception as error:
            raise AssertionError(f"byte {place} flipped to {damaged[place]}") from error
    assert seen["error"] > 150, seen


def test_flipped_bytes_and_a_writer(whole: Path, tmp_path: Path) -> None:
    """Writing to a damaged gallery is refused, or leaves every other row right."""
    content = whole.read_bytes()
    with SQLiteStore(whole, sample.spec(64), read_only=True) as store:
        (before,) = store.scan()
    rng = np.random.default_rng(8)
    used = np.flatnonzero(np.frombuffer(content, np.uint8))
    new = sample.codes(rng, 1, 64)
    path = copied(whole, tmp_path / "copy")
    for place in rng.choice(used, 100, replace=False):
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        path.with_name("g.db-acked").unlink(missing_ok=True)
        message = "g.db was written"
        try:
            with SQLiteStore(path, sample.spec(64)) as store:
                store.upsert(np.array([2**50]), new, sample.metas(rng, 1))
                store.remove(before.ids[:3])
                assert store.count() == len(before.ids) - 2
                (after,) = store.scan()
                assert np.array_equal(after.ids[:-1], before.ids[3:])
                assert np.array_equal(after.codes, np.vstack([before.codes[3:], new]))
                assert after.meta[:-1] == before.meta[3:]
        except GalleryError as error:
            message = str(error)
        assert message.startswith("g.db ")
        for leftover in path.parent.glob("g.db-[ws]*"):
            leftover.unlink()


def test_flipped_bytes_of_the_cache(whole: Path, tmp_path: Path) -> None:
    right = answers(whole, 1)
    path = copied(whole, tmp_path / "copy")
    cache = path.with_name("g.db-codes")
    content = cache.read_bytes()
    rng = np.random.default_rng(9)
    for place in [*range(12), *rng.choice(len(content), 150, replace=False)]:
        damaged = bytearray(content)
        damaged[place] ^= int(rng.integers(1, 256))
        cache.write_bytes(damaged)
        assert outcome(path, right, 1) == "right"


def crafted(content: bytes, change: Callable[[dict[str, Any], bytearray], object]) -> bytes:
    """A file of packed codes that agrees with itself, with other facts and other sections."""
    size = int.from_bytes(content[8:12], "little")
    facts, rest = json.loads(content[12 : 12 + size]), bytearray(content[44 + size :])
    ids = len(rest) * facts["id_bytes"] // (facts["id_bytes"] + facts["code_bytes"])
    changed = change(facts, rest)
    facts["sha256"] = [hashlib.sha256(part).hexdigest() for part in (rest[:ids], rest[ids:])]
    header = json.dumps(facts if changed is None else changed).encode()
    length = len(header).to_bytes(4, "little")
    return code_cache.MAGIC + length + header + hashlib.sha256(header).digest() + rest


def _set(**values: object) -> Callable[[dict[str, Any], bytearray], None]:
    return lambda facts, rest: facts.update(values)


def _zeros(facts: dict[str, Any], rest: bytearray) -> None:
    rest[len(rest) // 2 :] = bytes(len(rest) - len(rest) // 2)


CRAFTED = {
    "a list": lambda facts, rest: [1, 2],
    "null": lambda facts, rest: "null",
    "no rows": lambda facts, rest: {k: v for k, v in facts.items() if k != "rows"},
    "no generation": lambda facts, rest: {k: v for k, v in facts.items() if k != "generation"},
    "no uuid": lambda facts, rest: {k: v for k, v in facts.items() if k != "uuid"},
    "another key": _set(more=1),
    "rows of text": _set(rows="200"),
    "no number of rows": _set(rows=None),
    "rows below zero": _set(rows=-200),
    "rows without end": _set(rows=10**30),
    "a truth for rows": _set(rows=True),
    "half a row": _set(rows=200.0),
    "ids of three bytes": _set(id_bytes=3),
    "ids of text": _set(id_bytes="4"),
    "ids of no bytes": _set(id_bytes=0),
    "wide codes": _set(code_bytes=16),
    "codes of nothing": _set(code_bytes=None),
    "codes of a list": _set(code_bytes=[8]),
    "generation of text": _set(generation="1"),
    "a generation to come": _set(generation=10**9),
    "other bits": _set(bits=[64]),
    "zeroed codes": _zeros,
    "ids in no order": lambda facts, rest: rest.__setitem__(slice(0, 16), rest[8:16] + rest[:8]),
}


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_file_of_packed_codes_is_not_believed(
    name: str, whole: Path, tmp_path: Path
) -> None:
    """Though all of its own checksums are right; and if the database vouched for it, too."""
    right = answers(whole, 1)
    path = copied(whole, tmp_path / "copy")
    content = crafted(path.with_name("g.db-codes").read_bytes(), CRAFTED[name])
    path.with_name("g.db-codes").write_bytes(content)
    assert answers(path, 1) == right
    with sqlite3.connect(path) as connection:
        head = schema.read_head(connection, "g.db")
    size = int.from_bytes(content[8:12], "little")
    vouched = code_cache.read(path.with_name("g.db-codes"), head, content[12 + size : 44 + size])
    assert vouched is None or name == "zeroed codes"


def test_the_file_of_packed_codes_that_was_written_is_believed(whole: Path) -> None:
    with sqlite3.connect(whole) as connection:
        head = schema.read_head(connection, "g.db")
        digest = schema.read_packed(connection)
    assert digest is not None
    generation, segment = code_cache.read(whole.with_name("g.db-codes"), head, digest)
    assert (generation, len(segment.ids)) == (head.generation, head.faces)


@pytest.mark.parametrize("version", [1, 2])
def test_a_gallery_of_an_earlier_version_is_read_and_brought_up_to_date(
    version: int, tmp_path: Path
) -> None:
    rng = np.random.default_rng(5)
    path = tmp_path / "g.db"
    with SQLiteStore(path, sample.spec(64), cached_rows=1) as store:
        ids, codes = sample.ids(rng, ROWS), sample.codes(rng, ROWS, 64)
        store.upsert(ids, codes, sample.metas(rng, ROWS))
        store.remove(ids[::5])
    right = answers(path, 1)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("DROP INDEX face_person")
    for table in ("logits", "person", "people", "person_change", *["packed"][: 2 - version]):
        connection.execute(f"DROP TABLE {table}")
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert answers(path, 1) == right
    with SQLiteStore(path, sample.spec(64), read_only=True, cached_rows=1) as reader:
        reader.check()
        for _ in range(2):
            assert answers(path, 1, read_only=False) == right
        with SQLiteStore(path, sample.spec(64), cached_rows=1) as store:
            store.check()
            store.remove(ids[1:3])
            want = store.search_people(codes[:2], 5)
        assert reader.people() == store_people(path)  # it was opened before the file had any
        assert reader.search_people(codes[:2], 5).meta == want.meta
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (schema.VERSION,)
        assert schema.read_packed(connection, schema.TEMPLATES) is not None


def store_people(path: Path) -> tuple:
    """All people of a gallery that is opened for it."""
    with SQLiteStore(path, sample.spec(64), read_only=True, cached_rows=1) as store:
        return store.people()


def test_truncations(whole: Path, tmp_path: Path) -> None:
    right = answers(whole, 1)
    path = copied(whole, tmp_path / "copy")
    content, cache = whole.read_bytes(), whole.with_name("g.db-codes").read_bytes()
    for length in (0, 1, 15, 16, 99, 100, 4095, 4096, 4097, *range(5000, len(content), 3777)):
        path.write_bytes(content[:length])
        # Pages at the end may be free: then nothing is missing, but it is not written to either.
        seen = outcome(path, right, 1)
        assert seen == "error" or length > len(content) // 2
        shutil.copy(f"{whole}-acked", f"{path}-acked")
        with pytest.raises(GalleryError, match=r"g\.db"):
            SQLiteStore(path, sample.spec(64))
        assert path.read_bytes() == content[:length]
    path.write_bytes(content)
    for length in (0, 7, 8, 12, 50, *range(100, len(cache), 399)):
        path.with_name("g.db-codes").write_bytes(cache[:length])
        assert outcome(path, right, 1) == "right"


def test_text_and_other_databases_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    path.write_text("these are my photos\n" * 1000)
    for read_only in (False, True):
        with pytest.raises(GalleryError, match=r"g\.db is damaged"):
            SQLiteStore(path, sample.spec(64), read_only=read_only)
    assert path.read_text().startswith("these are my photos")
