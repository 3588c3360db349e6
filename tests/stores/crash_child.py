"""A writing process that is killed at random moments, again and again.

`crash_child.py sqlite FOLDER KILLS SEED` imports the store once, forks writers and kills them,
which makes a hundred kills cheap, and compares what is left. `crash_child.py write URI SEED` is a
writer alone, to be killed by a test. A writer says on standard output, or on a pipe, what it is
about to do and afterwards that the call returned. The gallery must then hold every acknowledged
operation, and of the last one all or nothing.
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

from daah.stores.base import CodeStore, Meta
from daah.stores.factory import open_store
from daah.stores.sqlite import SQLiteStore, snapshot
from tests.stores import sample
from tests.stores.reference import NumpyStore

BITS = 48
#: Small, so that merging in memory and the file of packed codes are part of the game.
MERGE_ROWS = 8
CACHED_ROWS = 40

#: Bytes that a writer says before and after each operation.
MESSAGE = 6

Operation = tuple[str, int]
Rows = dict[int, tuple[bytes, Meta]]


def apply(operation: Operation, state: Rows, store: CodeStore | None) -> Rows:
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
        store.upsert(ids, codes, metas, logits_of(codes))
    new = {
        id: (code.tobytes(), meta)
        for id, code, meta in zip(ids.tolist(), codes, metas, strict=True)
    }
    return state | new


def logits_of(codes: np.ndarray) -> np.ndarray:
    """Logits that follow from the codes, so that a state need not hold them."""
    rows = [
        sample.logits_of(np.random.default_rng(list(code)), code[None], BITS)[0] for code in codes
    ]
    return np.array(rows, np.float32).reshape(len(codes), BITS)


def held(store: CodeStore) -> Rows:
    """All rows of a store."""
    return {
        int(id): (code.tobytes(), meta)
        for batch in store.scan()
        for id, code, meta in zip(batch.ids, batch.codes, batch.meta, strict=True)
    }


def write(open_: Callable[[], CodeStore], seed: int, say: Callable[[bytes], object]) -> None:
    """What a writer does until it is killed."""
    random_ = random.Random(seed)
    while True:
        store = open_()
        kinds = ["upsert", "upsert", "remove"]
        if isinstance(store, SQLiteStore):  # a server compacts by itself
            kinds.append("compact")
        state = held(store)
        for _ in range(random_.randrange(1, 12)):
            operation = (random_.choice(kinds), random_.randrange(2**32))
            say(b"b" + operation[0][0].encode() + struct.pack("<I", operation[1]))
            state = apply(operation, state, store)
            say(b"a" + bytes(5))
        store.close()


def heard(said: bytes, state: Rows) -> tuple[list[Rows], list[str]]:
    """The states that a gallery may hold after a writer said this, and the operations it began.

    The first is the one with all that was acknowledged; a second has the operation in work too.
    """
    pending: Operation | None = None
    begun = []
    for start in range(0, len(said), MESSAGE):
        if said[start : start + 1] == b"a":
            assert pending is not None
            state, pending = apply(pending, state, None), None
        else:
            kind = {b"u": "upsert", b"r": "remove", b"c": "compact"}[said[start + 1 : start + 2]]
            pending = (kind, *struct.unpack("<I", said[start + 2 : start + 6]))
            begun.append(kind)
    return [state] if pending is None else [state, apply(pending, state, None)], begun


def check(store: CodeStore, states: list[Rows], bits: tuple[int, ...]) -> int:
    """Index of the one of `states` that the store holds, by scan, search and all its parts."""
    found = held(store)
    if found not in states:
        sizes = [len(state) for state in states]
        raise AssertionError(f"{len(found)} rows are none of the states of {sizes} rows")
    oracle = NumpyStore(sample.spec(BITS))
    oracle.rows = {id: (np.frombuffer(c, np.uint8), meta) for id, (c, meta) in found.items()}
    oracle.logits = {id: logits_of(row[0][None])[0] for id, row in oracle.rows.items()}
    queries = sample.codes(np.random.default_rng(len(found)), 3, BITS)
    for length in bits:
        ours, theirs = store.search(queries, 9, length), oracle.search(queries, 9, length)
        assert np.array_equal(ours.ids, theirs.ids), f"by {length} bits"
        assert ours.meta == theirs.meta
        ours, theirs = (s.search_people(queries, 9, length) for s in (store, oracle))
        assert np.array_equal(ours.distances, theirs.distances), f"people by {length} bits"
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


def kill_sqlite(folder: str, kills: int, seed: int) -> None:
    """Kill `kills` writers; exits with an error at the first wrong state."""
    snapshot.MERGE_ROWS = MERGE_ROWS
    path = Path(folder) / "g.db"
    random_ = random.Random(seed)
    open_ = functools.partial(SQLiteStore, path, sample.spec(BITS), cached_rows=CACHED_ROWS)
    open_().close()

    def check_states(states: list[Rows]) -> int:
        with open_(read_only=True) as store:
            return check(store, states, (BITS, 24))

    state: Rows = {}
    done = {"upsert": 0, "remove": 0, "compact": 0}
    for kill in range(kills):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reading)
            write(open_, random_.randrange(2**32) + kill, functools.partial(os.write, writing))
        os.close(writing)
        # Begun or done so many operations; 0 dies while it opens the gallery.
        said, heard_of = b"", MESSAGE * random_.randrange(20)
        while len(said) < heard_of:
            said += os.read(reading, heard_of - len(said))
        time.sleep(random_.uniform(0, 0.01))  # so that it dies anywhere within an operation
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        while part := os.read(reading, 65_536):
            said += part
        os.close(reading)
        states, begun = heard(said, state)
        for kind in begun:
            done[kind] += 1
        which = forked(functools.partial(check_states, states))
        if which not in range(len(states)):
            raise SystemExit(f"after kill {kill + 1} during {begun[-1:]}: see above")
        state = states[which]
    if not all(done.values()):
        raise SystemExit(f"writers were killed before they did anything: {done}")
    print(f"{kills} kills, operations begun: {done}, {len(state)} rows left")


if __name__ == "__main__":
    if sys.argv[1] == "sqlite":
        kill_sqlite(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        write(
            functools.partial(open_store, sys.argv[2], sample.spec(BITS)),
            int(sys.argv[3]),
            functools.partial(os.write, sys.stdout.fileno()),
        )
