"""Kills a writing process at random moments, again and again, and compares what is left.

Run as a program: `crash_child.py FOLDER KILLS SEED`. It imports the store once and forks, which
makes a hundred kills cheap. Each child writes to a pipe before an operation what it is about to do
and after it that the call returned. The gallery must then hold every acknowledged operation, and
of the last one all or nothing.
"""

from __future__ import annotations

import functools
import os
import random
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy as np
import sample
from reference import NumpyStore

from daah.stores.base import Meta
from daah.stores.sqlite import SQLiteStore, rows

BITS = 64
#: Small, so that merging in memory and the file of packed codes are part of the game.
rows.MERGE_ROWS = 8
CACHED_ROWS = 40

Operation = tuple[str, int]
Rows = dict[int, tuple[bytes, Meta]]


def apply(operation: Operation, state: Rows, store: SQLiteStore | None) -> Rows:
    """Do an operation on the store, if there is one, and give back the state it must lead to."""
    kind, seed = operation
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 60))
    if kind == "compact":
        if store is not None:
            store.compact()
        return state
    if kind == "remove":
        ids = rng.permutation(np.array(sorted(state), np.int64))[:count]
        if store is not None:
            assert store.remove(ids) == len(ids)
        return {id: row for id, row in state.items() if id not in set(ids.tolist())}
    ids = rng.choice(300, size=count, replace=False)
    codes, metas = sample.codes(rng, count, BITS), sample.metas(rng, count)
    if store is not None:
        store.upsert(ids, codes, metas)
    new = {
        id: (code.tobytes(), meta)
        for id, code, meta in zip(ids.tolist(), codes, metas, strict=True)
    }
    return state | new


def write(path: Path, state: Rows, seed: int, say: Callable[[bytes], int]) -> None:
    """What a child does until it is killed."""
    random_ = random.Random(seed)
    while True:
        with SQLiteStore(path, sample.spec(BITS), cached_rows=CACHED_ROWS) as store:
            for _ in range(random_.randrange(1, 12)):
                kind = random_.choice(["upsert", "upsert", "remove", "compact"])
                operation = (kind, random_.randrange(2**32))
                say(b"b" + kind[0].encode() + struct.pack("<I", operation[1]))
                state = apply(operation, state, store)
                say(b"a" + bytes(5))


def check(path: Path, states: list[Rows]) -> int:
    """Index of the one of `states` that the gallery holds, by scan, search and all its parts."""
    with SQLiteStore(path, sample.spec(BITS), read_only=True, cached_rows=CACHED_ROWS) as store:
        found = {
            int(id): (code.tobytes(), meta)
            for batch in store.scan()
            for id, code, meta in zip(batch.ids, batch.codes, batch.meta, strict=True)
        }
        if found not in states:
            sizes = [len(state) for state in states]
            raise AssertionError(f"{len(found)} rows are none of the states of {sizes} rows")
        oracle = NumpyStore(sample.spec(BITS))
        oracle.rows = {id: (np.frombuffer(c, np.uint8), meta) for id, (c, meta) in found.items()}
        queries = sample.codes(np.random.default_rng(len(found)), 3, BITS)
        for bits in (BITS, 24):
            ours, theirs = store.search(queries, 9, bits), oracle.search(queries, 9, bits)
            assert np.array_equal(ours.ids, theirs.ids)
            assert ours.meta == theirs.meta
        assert store.people() == oracle.people()
        return states.index(found)


def forked(work: Callable[[], int]) -> int:
    """Run `work` in a child and give back its small result, so that nothing leaks into this one."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except BaseException:
            traceback.print_exc()
            os._exit(255)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main(folder: str, kills: int, seed: int) -> None:
    """Kill `kills` times; exits with an error at the first wrong state."""
    path = Path(folder) / "g.db"
    random_ = random.Random(seed)
    SQLiteStore(path, sample.spec(BITS)).close()
    state: Rows = {}
    done = {"upsert": 0, "remove": 0, "compact": 0}
    for kill in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            say = functools.partial(os.write, writing)
            write(path, state, random_.randrange(2**32) + kill, say)
        os.close(writing)
        time.sleep(random_.uniform(0.002, 0.12))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = b""
        while part := os.read(reading, 65_536):
            said += part
        os.close(reading)
        pending: Operation | None = None
        for start in range(0, len(said), 6):
            if said[start : start + 1] == b"a":
                state, pending = apply(pending, state, None), None
            else:
                kind = {b"u": "upsert", b"r": "remove", b"c": "compact"}[
                    said[start + 1 : start + 2]
                ]
                pending = (kind, *struct.unpack("<I", said[start + 2 : start + 6]))
                done[kind] += 1
        states = [state] if pending is None else [state, apply(pending, state, None)]
        which = forked(lambda states=states: check(path, states))
        if which not in range(len(states)):
            raise SystemExit(f"after kill {kill + 1} during {pending}: see above")
        state = states[which]
    print(f"{kills} kills, operations begun: {done}, {len(state)} rows left")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
