"""What the SQLite store promises beyond the contract."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from daah.errors import GalleryError
from daah.stores.base import CodeSpec, Filter, Meta
from daah.stores.factory import open_store
from daah.stores.sqlite import SQLiteStore, knn, schema, snapshot
from tests.doubles.waiting import HANG
from tests.stores import sample
from tests.stores.reference import NumpyStore


def fill(store: SQLiteStore, n: int, seed: int = 1) -> np.ndarray:
    """Put n rows in with ids 0 to n - 1; gives back their codes."""
    rng = np.random.default_rng(seed)
    codes = sample.codes(rng, n, store.spec.bits)
    store.upsert(np.arange(n), codes, sample.metas(rng, n))
    return codes


def same(a, b) -> bool:
    """Whether two Hits are equal."""
    return np.array_equal(a.ids, b.ids) and np.array_equal(a.distances, b.distances)


# --- opening ------------------------------------------------------------------------------------


def test_a_missing_gallery_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(GalleryError, match=r"there is no gallery g\.db\. Build one first"):
        open_store(f"sqlite:{tmp_path}/g.db", sample.spec(64), read_only=True)
    assert list(tmp_path.iterdir()) == []


def test_another_spec_is_refused_naming_both(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    made = sample.spec(64)
    SQLiteStore(path, made).close()
    for other in (
        sample.spec(64, "another model"),
        sample.spec(48),
        CodeSpec(64, made.fingerprint, alignment="five-points-v9"),
        CodeSpec(64, made.fingerprint, bit_order="little"),
    ):
        for read_only in (False, True):
            with pytest.raises(GalleryError) as caught:
                SQLiteStore(path, other, read_only=read_only)
            assert str(made) in str(caught.value)
            assert str(other) in str(caught.value)
    SQLiteStore(path, made).close()  # a refused writer left no lock


def test_errors_name_no_folder(tmp_path: Path) -> None:
    SQLiteStore(tmp_path / "g.db", sample.spec(64)).close()
    with pytest.raises(GalleryError) as caught:
        SQLiteStore(tmp_path / "g.db", sample.spec(48))
    assert str(tmp_path) not in str(caught.value)


def test_a_version_of_tomorrow_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    SQLiteStore(path, sample.spec(64)).close()
    content = bytearray(path.read_bytes())
    content[60:64] = (schema.VERSION + 1).to_bytes(4, "big")
    path.write_bytes(content)
    with pytest.raises(GalleryError, match="version 4; this program reads versions 1 to 3"):
        SQLiteStore(path, sample.spec(64), read_only=True)


def test_a_closed_store_is_closed(tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "g.db", sample.spec(64))
    codes = fill(store, 5)
    scan = store.scan(batch=2)
    next(scan)
    store.close()
    store.close()
    for use in (
        lambda: store.search(codes, 1),
        lambda: store.get(np.array([1])),
        lambda: store.upsert(np.array([1]), codes[:1], [Meta("p", "f", 1.0)]),
        lambda: store.remove(np.array([1])),
        lambda: store.generation,
        lambda: next(scan),
        store.count,
        store.people,
        store.flush,
        store.compact,
    ):
        with pytest.raises(GalleryError, match="closed"):
            use()


def test_a_read_only_folder_can_be_read(tmp_path: Path) -> None:
    """A gallery inside a container image belongs to another user."""
    folder = tmp_path / "image"
    with SQLiteStore(folder / "g.db", sample.spec(64)) as store:
        codes = fill(store, 20)
    program = (
        "import os, sys; from tests.stores import sample\n"
        "from daah.errors import GalleryError\n"
        "from daah.stores.sqlite import SQLiteStore\n"
        "def search():\n"
        "  with SQLiteStore(sys.argv[1], sample.spec(64), read_only=True) as store:\n"
        "    return store.search(store.get([7]).codes, 1).ids[0, 0]\n"
        # Once before: that user may not read where Python is installed, and some imports are late.
        "search()\n"
        "os.setuid(65534) if os.getuid() == 0 else None  # the system lets root write anywhere\n"
        "print(search())\n"
        "try: SQLiteStore(sys.argv[1], sample.spec(64))\n"
        "except GalleryError as error: print(error)\n"
    )
    for path in (*tmp_path.parents, tmp_path):
        if path.stat().st_uid == os.getuid() and path != Path("/"):
            path.chmod(path.stat().st_mode | stat.S_IXOTH | stat.S_IXGRP)
    folder.chmod(0o555)
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(here.parents[1])}
    done = subprocess.run(
        [sys.executable, "-c", program, folder / "g.db"],
        env=environment,
        capture_output=True,
        text=True,
    )
    folder.chmod(0o755)
    said = done.stdout.splitlines()
    assert len(said) == 2, done.stderr
    assert said[0] == str(
        SQLiteStore(folder / "g.db", sample.spec(64)).search(codes[7:8], 1).ids[0, 0]
    )
    assert "open the gallery read-only" in said[1]


# --- several processes --------------------------------------------------------------------------


def test_a_second_writer_is_refused_until_the_first_closes(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with SQLiteStore(path, sample.spec(64)):
        with pytest.raises(GalleryError, match=r"g\.db is being written by another program"):
            SQLiteStore(path, sample.spec(64))
        with (
            SQLiteStore(path, sample.spec(64), read_only=True) as reader,
            pytest.raises(GalleryError, match="read-only"),
        ):
            reader.remove(np.array([1]))
    SQLiteStore(path, sample.spec(64)).close()


WRITER = """
import sys, numpy as np
from tests.stores import sample
from daah.stores.sqlite import SQLiteStore
store = SQLiteStore(sys.argv[1], sample.spec(64))
for line in sys.stdin:
    kind, seed, count = line.split()
    rng = np.random.default_rng(int(seed))
    ids = rng.choice(500, size=int(count), replace=False)
    if kind == "upsert":
        store.upsert(ids, sample.codes(rng, len(ids), 64), sample.metas(rng, len(ids)))
    else:
        store.remove(ids)
    print("done", flush=True)
store.close()
"""


@pytest.mark.parametrize("kept", [schema.CHANGES_KEPT, 30], ids=["by changes", "by reading all"])
def test_readers_see_another_process_write(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "g.db"
    oracle = NumpyStore(sample.spec(64))
    here = Path(__file__).parent
    environment = {**os.environ, "PYTHONPATH": str(here.parents[1])}
    program = f"from daah.stores.sqlite import schema; schema.CHANGES_KEPT = {kept}\n{WRITER}"
    SQLiteStore(path, sample.spec(64)).close()
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, path],
            env=environment,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as writer,
        SQLiteStore(path, sample.spec(64), read_only=True) as reader,
        SQLiteStore(path, sample.spec(64), read_only=True) as other,
    ):
        seen = [reader.generation]
        for seed in range(12):
            kind = "remove" if seed % 3 == 2 else "upsert"
            count = 1 + 17 * seed
            print(kind, seed, count, file=writer.stdin, flush=True)
            assert writer.stdout.readline() == "done\n"
            rng = np.random.default_rng(seed)
            ids = rng.choice(500, size=count, replace=False)
            if kind == "upsert":
                oracle.upsert(ids, sample.codes(rng, count, 64), sample.metas(rng, count))
            else:
                oracle.remove(ids)
            queries = sample.codes(np.random.default_rng(100 + seed), 3, 64)
            where = Filter(people=frozenset({"s1", "s2"})) if seed % 2 else None
            ours, theirs = (
                reader.search(queries, 9, where=where),
                oracle.search(queries, 9, where=where),
            )
            assert same(ours, theirs)
            assert ours.meta == theirs.meta
            assert reader.people() == oracle.people()
            seen.append(reader.generation)
        assert seen == sorted(set(seen))
        assert other.count() == oracle.count()  # a reader that slept through all of it
        writer.stdin.close()


@pytest.mark.slow
def test_threads_search_while_one_writes(tmp_path: Path) -> None:
    with SQLiteStore(tmp_path / "g.db", sample.spec(64)) as store:
        codes = fill(store, 3000)
        failures: list[BaseException] = []
        stop = threading.Event()
        searches = [0] * 4

        def search(thread: int) -> None:
            rng = np.random.default_rng(thread)
            try:
                while not stop.is_set():
                    row = int(rng.integers(0, 1000))  # these are never touched
                    where = Filter(until=2e9) if thread == 3 else None
                    hits = store.search(codes[row : row + 1], 5, where=where)
                    assert hits.distances[0, 0] == 0
                    assert (np.diff(hits.distances[0]) >= 0).all()
                    got = store.get(np.array([row]))
                    assert np.array_equal(got.codes[0], codes[row])
                    searches[thread] += 1
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=search, args=(t,)) for t in range(4)]
        for thread in threads:
            thread.start()
        rng = np.random.default_rng(9)
        deadline = time.monotonic() + HANG
        writes = 0
        while (writes < 100 or min(searches) < 20) and not failures:
            assert time.monotonic() < deadline, searches
            writes += 1
            ids = rng.integers(1000, 3000, 5)
            store.remove(ids)
            id = int(rng.integers(10_000, 20_000))
            code = sample.codes(rng, 1, 64, "random")
            store.upsert(np.array([id]), code, [Meta("new", "f", 1.0)])
            assert id in store.search(code, 3, where=Filter(people=frozenset({"new"}))).ids[0]
        stop.set()
        for thread in threads:
            thread.join(HANG)
        assert not failures, failures


# --- memory and the file of packed codes --------------------------------------------------------


def test_many_small_writes_equal_one_large(tmp_path: Path, monkeypatch) -> None:
    """Dead and newer rows are merged every few writes; results never show it."""
    monkeypatch.setattr(snapshot, "MERGE_ROWS", 20)
    rng = np.random.default_rng(3)
    oracle = NumpyStore(sample.spec(48))
    with SQLiteStore(tmp_path / "g.db", sample.spec(48)) as store:
        for step in range(150):
            ids = rng.choice(400, size=rng.integers(1, 12), replace=False)
            if step % 3 == 2:
                assert store.remove(ids) == oracle.remove(ids)
            else:
                codes = sample.codes(rng, len(ids), 48, ["faces", "few"][step % 2])
                metas = sample.metas(rng, len(ids))
                store.upsert(ids, codes, metas)
                oracle.upsert(ids, codes, metas)
            queries = sample.codes(rng, 2, 48, "few")
            k = int(rng.integers(1, 60))
            where = Filter(people=frozenset({"s2", ""})) if step % 5 == 0 else None
            for bits in (48, 31):
                assert same(
                    store.search(queries, k, bits, where=where),
                    oracle.search(queries, k, bits, where=where),
                )
        assert store.people() == oracle.people()


def test_search_beyond_one_block(tmp_path: Path, monkeypatch) -> None:
    """Prefixes and filters go block by block; ties across blocks stay in the order of ids."""
    monkeypatch.setattr(knn, "BLOCK", 1000)
    n = 5500
    rng = np.random.default_rng(11)
    codes = sample.codes(rng, n, 64, "random")
    codes[:, :2] &= 3  # few distinct prefixes
    with SQLiteStore(tmp_path / "g.db", sample.spec(64)) as store:
        metas = [Meta(f"p{i % 3}", "f", float(i)) for i in range(n)]
        store.upsert(np.arange(n) * 5, codes, metas)
        queries = codes[:2]
        near = np.bitwise_count(codes[None, :, :2] ^ queries[:, None, :2]).sum(2)
        for k in (1, 300):
            want = np.argsort(near, axis=1, kind="stable")[:, :k]
            assert np.array_equal(store.search(queries, k, 16).ids, want * 5)
            chosen = np.arange(n)[(np.arange(n) % 3 == 1) & (np.arange(n) >= 1000)]
            want = chosen[np.argsort(near[:, chosen], axis=1, kind="stable")[:, :k]]
            where = Filter(people=frozenset({"p1"}), since=1000.0)
            assert np.array_equal(store.search(queries, k, 16, where=where).ids, want * 5)


@pytest.mark.parametrize("cores", [2, 3, 7])
def test_one_query_by_several_cores_is_that_by_one(monkeypatch, cores: int) -> None:
    """Parts of the rows meet in the order of distance and row, ties across parts too."""
    monkeypatch.setattr(knn, "SHARED", 100)
    monkeypatch.setattr(knn.os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    rng = np.random.default_rng(cores)
    for n in (100, 1001):
        codes = sample.codes(rng, n, 64, "few")
        queries = np.vstack([codes[-1:], sample.codes(rng, 1, 64, "random")])
        for asked in (queries[:1], queries):
            near = np.bitwise_count(codes[None] ^ asked[:, None]).sum(2)
            for k in (1, 60, n, n + 5):
                distances, rows = knn.nearest(codes, asked, k)
                want = np.argsort(near, axis=1, kind="stable")[:, :k]
                assert np.array_equal(rows, want)
                assert np.array_equal(distances, np.take_along_axis(near, want, 1))
                assert (distances.dtype, rows.dtype) == (np.int32, np.int64)


@pytest.mark.parametrize("bits", [48, 64, 128])
def test_memory_holds_codes_and_ids_only(tmp_path: Path, bits: int) -> None:
    with SQLiteStore(tmp_path / "g.db", sample.spec(bits)) as store:
        fill(store, 5000)
        store.compact()
        held = store._held.faces
        assert held.base.labels is None
        assert held.base.ids.nbytes + held.base.codes.nbytes == 5000 * (4 + (bits + 63) // 64 * 8)


def test_the_cache_is_used_caught_up_and_dropped(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "g.db"
    beside = tmp_path / "g.db-codes"
    told: list[tuple[int, int]] = []

    def opened(**options: object) -> SQLiteStore:
        told.clear()
        return SQLiteStore(
            path, sample.spec(64), cached_rows=100, progress=lambda *n: told.append(n), **options
        )

    with opened() as store:
        codes = fill(store, 200)
    assert beside.exists()
    with opened() as store:
        assert told == []  # the gallery itself was not read
        store.upsert(np.array([500]), codes[:1], [Meta("new", "f", 1.0)])
        assert beside.exists()  # an older cache and the list of changes give the present rows
        os.link(beside, tmp_path / "older")
        with opened(read_only=True) as reader:
            assert told == []
            assert reader.search(codes[:1], 2).ids[0].tolist() == [0, 500]
        store.remove(np.array([0]))
        assert not beside.exists()  # it held a removed code
        with opened(read_only=True) as reader:
            assert told == [(200, 200)]
            assert reader.search(codes[:1], 1).ids[0].tolist() == [500]
    # A cache of another gallery, or of another model, is as good as none.
    with SQLiteStore(tmp_path / "other.db", sample.spec(64), cached_rows=100) as store:
        fill(store, 200, seed=2)
    beside.write_bytes((tmp_path / "other.db-codes").read_bytes())
    with opened(read_only=True) as reader:
        assert told == [(200, 200)]
        assert reader.search(codes[:1], 1).ids[0].tolist() == [500]
    # When the list of changes is too short for it, the gallery is read.
    monkeypatch.setattr(schema, "CHANGES_KEPT", 0)
    with opened() as store:
        store.upsert(np.array([600]), codes[1:2], [Meta("new", "f", 1.0)])
        store._closed = True  # as if it was killed: no new cache is written
        store._release()
    with opened(read_only=True) as reader:
        assert told == [(201, 201)]
        assert reader.count() == 201


def test_check_reads_the_file_and_not_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "g.db"
    with SQLiteStore(path, sample.spec(64), cached_rows=100) as store:
        codes = fill(store, 200)
    with SQLiteStore(path, sample.spec(64), cached_rows=100, read_only=True) as store:
        store.check()
        store._held.faces.base.codes[7, 0] ^= (
            1  # as a cache would be that lies with a right checksum
        )
        with pytest.raises(GalleryError, match=r"other codes .* Delete g\.db-codes"):
            store.check()
    content = bytearray(path.read_bytes())
    content[content.index(codes[150].tobytes())] ^= 1
    path.write_bytes(content)
    # From the file of packed codes alone, the damage is not seen until the row is read.
    with SQLiteStore(path, sample.spec(64), cached_rows=100, read_only=True) as store:
        with pytest.raises(GalleryError, match="a row is not as it was written"):
            store.check()
        assert store.count() == 200


def test_a_cache_that_cannot_be_written_is_done_without(tmp_path: Path, monkeypatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with SQLiteStore(tmp_path / "g.db", sample.spec(64), cached_rows=1) as store:
        fill(store, 10)
        monkeypatch.setattr(os, "fsync", full)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["g.db", "g.db-acked", "g.db-lock"]
    with SQLiteStore(tmp_path / "g.db", sample.spec(64), read_only=True, cached_rows=1) as store:
        assert store.count() == 10


# --- forgetting ---------------------------------------------------------------------------------


def test_a_removed_person_leaves_no_trace(tmp_path: Path) -> None:
    rng = np.random.default_rng(12)
    n = 1500
    ids = np.arange(n)
    codes = sample.codes(rng, n, 128, "random")
    metas = [Meta(f"person-{i:05}-", f"photo-{i:05}-", 1e9, f"name-{i:05}-") for i in range(n)]
    logits = sample.logits_of(rng, codes, 128)
    with SQLiteStore(tmp_path / "g.db", sample.spec(128), cached_rows=10) as store:
        store.upsert(ids, codes, metas, logits)
    with SQLiteStore(tmp_path / "g.db", sample.spec(128), cached_rows=10) as store:
        gone = rng.permutation(n)[:800]
        for part in np.split(gone, 8):
            store.remove(part)

        def traces() -> list[str]:
            found = []
            for file in tmp_path.iterdir():
                content = file.read_bytes()
                for i in gone:
                    names = (metas[i].person, metas[i].photo, metas[i].name)
                    what = (*names, codes[i].tobytes(), logits[i, :16].tobytes())
                    for part in (w.encode() if isinstance(w, str) else w for w in what):
                        if part in content:
                            found.append(f"{part!r} in {file.name}")
            return found

        assert traces() == []
        size = (tmp_path / "g.db").stat().st_size
        store.compact()
        assert traces() == []
        assert (tmp_path / "g.db").stat().st_size < 0.7 * size
        assert store.count() == 700
    assert traces() == []
    assert (tmp_path / "g.db-codes").exists()
    assert (tmp_path / "g.db-templates").exists()
