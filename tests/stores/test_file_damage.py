"""No flipped byte and no truncation ever gives a wrong answer: the right one, or a GalleryError."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import sample

from daah.errors import GalleryError
from daah.stores.base import Filter
from daah.stores.sqlite import SQLiteStore

ROWS = 250
PEOPLE = frozenset({"s1", "Ann O'Neil"})


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small gallery with some removed rows and a file of packed codes."""
    rng = np.random.default_rng(5)
    path = tmp_path_factory.mktemp("whole") / "g.db"
    with SQLiteStore(path, sample.spec(64), cached_rows=1) as store:
        ids = sample.ids(rng, ROWS)
        store.upsert(ids, sample.codes(rng, ROWS, 64), sample.metas(rng, ROWS))
        store.remove(ids[::5])
    return path


def answers(path: Path, cached_rows: int, read_only: bool = True) -> list[object]:
    """Everything a gallery can be asked."""
    queries = sample.codes(np.random.default_rng(6), 3, 64)
    with SQLiteStore(path, sample.spec(64), read_only=read_only, cached_rows=cached_rows) as store:
        some = store.search(queries, 7)
        few = store.search(queries, 300, 24, where=Filter(people=PEOPLE))
        rows = [
            (int(id), code.tobytes(), meta)
            for batch in store.scan()
            for id, code, meta in zip(batch.ids, batch.codes, batch.meta, strict=True)
        ]
        got = store.get(some.ids[0])
        return [
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
    for ending in ("", "-codes"):
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
