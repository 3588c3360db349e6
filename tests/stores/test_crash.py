"""Whatever happens to a writer, the gallery opens with every acknowledged row."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daah.errors import GalleryError
from daah.stores.factory import open_store
from daah.stores.milvus import store as milvus_stores
from daah.stores.sqlite import SQLiteStore
from tests.doubles.waiting import HANG
from tests.stores import crash_child, sample

HERE = Path(__file__).parent


def environment() -> dict[str, str]:
    """For a fresh interpreter that finds the package and the tests."""
    paths = str(HERE.parent.parent)
    return {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess:
    """A program in a fresh interpreter, to its end."""
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(
        command, env=environment(), capture_output=True, text=True, timeout=HANG, **options
    )


@pytest.mark.slow
def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    done = run(HERE / "crash_child.py", "sqlite", tmp_path, 100, 1)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("100 kills")


FULL = """
import resource, sys
from pathlib import Path
import numpy as np
from tests.stores import sample
from daah.errors import GalleryError
from daah.stores.sqlite import SQLiteStore

path, rng = Path(sys.argv[1]), np.random.default_rng(3)
store = SQLiteStore(path, sample.spec(64))
before = store.search(sample.codes(np.random.default_rng(4), 2, 64), 5)
generation = store.generation
_, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
size = path.stat().st_size
for limit in (4096, size, size + 20_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    for attempt in (
        lambda: store.upsert(
            np.arange(50_000, 60_000), sample.codes(rng, 10_000, 64), sample.metas(rng, 10_000)
        ),
        lambda: store.remove(np.arange(0, 2000, 2)) if limit == 4096 else store.compact(),
    ):
        try:
            attempt()
        except GalleryError as error:
            print(error)
        after = store.search(sample.codes(np.random.default_rng(4), 2, 64), 5)
        assert (after.ids == before.ids).all() and after.meta == before.meta
        assert store.generation == generation and store.count() == 2000
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
store.upsert(np.array([77_777]), sample.codes(rng, 1, 64), sample.metas(rng, 1))
"""


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    path = tmp_path / "g.db"
    with SQLiteStore(path, sample.spec(64)) as store:
        store.upsert(np.arange(2000), sample.codes(rng, 2000, 64), sample.metas(rng, 2000))
    done = run("-c", FULL, path)
    assert done.returncode == 0, done.stdout + done.stderr
    said = done.stdout.splitlines()
    assert len(said) >= 4
    assert all("g.db" in line and "space" in line for line in said)
    with SQLiteStore(path, sample.spec(64), read_only=True) as store:
        assert store.count() == 2001
        assert 77_777 in np.concatenate([batch.ids for batch in store.scan()])


def test_a_lost_log_is_noticed(tmp_path: Path) -> None:
    """SQLite takes a log that ends early for a crash in the middle of a write."""
    path = tmp_path / "g.db"
    SQLiteStore(path, sample.spec(64)).close()
    add = "store.upsert(np.array([9]), sample.codes(rng, 1, 64), sample.metas(rng, 1))"
    opened = FULL.split("before =")[0]
    run("-c", f"{opened}\nimport os\n{add}\nos._exit(0)", path, check=True)
    log = path.with_name("g.db-wal")
    content = log.read_bytes()
    assert content
    flipped = content[:-50] + bytes([content[-50] ^ 1]) + content[-49:]
    for damaged in (b"", content[:-100], flipped):
        log.write_bytes(damaged)
        path.with_name("g.db-shm").unlink(missing_ok=True)
        with pytest.raises(GalleryError, match=r"g\.db lost its last 1 changes"):
            SQLiteStore(path, sample.spec(64), read_only=True)
    log.write_bytes(content)
    path.with_name("g.db-shm").unlink(missing_ok=True)
    with SQLiteStore(path, sample.spec(64)) as store:
        assert store.count() == 1


@pytest.mark.milvus
def test_killed_writers_leave_milvus_whole(milvus_store, milvus_server, monkeypatch) -> None:
    spec = milvus_store(crash_child.BITS).spec  # it is emptied by this
    # With bounded staleness a writer that begins may miss what the last one did, and so remove
    # other rows than this test expects of it.
    uri = milvus_server.uri("contract", consistency="strong")
    store = open_store(uri, spec)
    store.search(np.zeros((1, 6), np.uint8), 1, 16)  # a prefix is kept beside, and must agree
    monkeypatch.setattr(milvus_stores, "INTERRUPTED", 0.0)
    monkeypatch.setattr(milvus_stores, "TRUSTED", 0.0)
    state: crash_child.Rows = {}
    seen = []
    for seed, messages in ((1, 5), (3, 8)):  # the third operation begun; four done
        with subprocess.Popen(
            [sys.executable, HERE / "crash_child.py", "write", uri, str(seed)],
            env=environment(),
            stdout=subprocess.PIPE,
        ) as writer:
            said = writer.stdout.read(messages * crash_child.MESSAGE)
            writer.kill()
            said += writer.stdout.read()
        states, begun = crash_child.heard(said, state)
        # A request that was on its way may still be carried out. Reads are strong, so they see
        # all that reached the server before them; what is seen three times is what there is.
        settled = [crash_child.held(store)]
        while settled[-3:] != 3 * settled[-1:]:
            settled.append(crash_child.held(store))
        store.flush()
        state = states[crash_child.check(store, states, (crash_child.BITS, 16))]
        seen += begun
    store.close()
    assert {"upsert", "remove"} <= set(seen)
