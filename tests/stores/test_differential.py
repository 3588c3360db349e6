"""Random operations on a store and on a dictionary, compared after each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daah.stores.base import CodeStore, Filter
from daah.stores.factory import open_store
from daah.stores.sqlite import snapshot
from tests.stores import sample
from tests.stores.reference import NumpyStore

Reopen = Callable[[CodeStore], CodeStore]


def differ(store: CodeStore, reopen: Reopen, steps: int, lengths: list[int], seed: int) -> None:
    """Fail at the first step after which the store and the dictionary do not agree."""
    rng = np.random.default_rng(seed)
    oracle = NumpyStore(store.spec)
    kinds = ["random", "faces", "few"]
    for _ in range(steps):
        match rng.choice(["upsert", "remove", "reopen"], p=[0.6, 0.3, 0.1]):
            case "upsert":
                n = int(rng.integers(1, 80))
                ids = rng.choice(1000, size=n, replace=False)
                codes = sample.codes(rng, n, store.spec.bits, rng.choice(kinds))
                named = rng.random() < 0.3
                metas = [
                    replace(m, name=f"{m.person}, shown" if named else "")
                    for m in sample.metas(rng, n)
                ]
                logits = sample.logits_of(rng, codes, store.spec.bits)
                logits = logits if rng.random() < 0.7 else None
                store.upsert(ids, codes, metas, logits)
                oracle.upsert(ids, codes, metas, logits)
            case "remove":
                ids = rng.choice(1000, size=rng.integers(1, 300), replace=False)
                assert store.remove(ids) == oracle.remove(ids)
            case "reopen":
                store = reopen(store)
        k, bits = int(rng.integers(1, 40)), int(rng.choice(lengths))
        where = None
        if rng.random() < 0.4:
            people = frozenset(rng.choice(sample.NAMES, size=2).tolist())
            where = Filter(people, *([1.7e9 + 600, None][:: rng.choice([-1, 1])]))
        logits = None
        if rng.random() < 0.5:
            # Powers of two add without rounding, so that equal distances are equal numbers.
            logits = 2.0 ** rng.integers(-6, 6, size=(2, bits)) * rng.choice([-1, 1], (2, bits))
        queries = sample.codes(rng, 2, store.spec.bits, rng.choice(kinds))
        ours = store.search(queries, k, bits, logits, 25, where)
        theirs = oracle.search(queries, k, bits, logits, 25, where)
        assert np.array_equal(ours.ids, theirs.ids)
        assert np.array_equal(ours.distances, theirs.distances)
        assert ours.meta == theirs.meta
        ours = store.search_people(queries, k, bits, logits, 5)
        theirs = oracle.search_people(queries, k, bits, logits, 5)
        assert np.array_equal(ours.ids, theirs.ids)
        assert np.array_equal(ours.distances, theirs.distances)
        assert ours.meta == theirs.meta
        assert store.count(where) == oracle.count(where)
    assert store.people() == oracle.people()
    ours, theirs = list(store.scan(batch=99)), list(oracle.scan(batch=99))
    for a, b in zip(ours, theirs, strict=True):
        assert np.array_equal(a.ids, b.ids)
        assert np.array_equal(a.codes, b.codes)
        assert a.meta == b.meta


@pytest.mark.parametrize("bits", [20, 64, 128])
@pytest.mark.slow
def test_sqlite_equals_a_dictionary(tmp_path: Path, bits: int, monkeypatch) -> None:
    monkeypatch.setattr(snapshot, "MERGE_ROWS", 40)
    uri = f"sqlite:{tmp_path}/g.db"

    def reopen(store: CodeStore) -> CodeStore:
        store.close()
        return open_store(uri, sample.spec(bits))

    lengths = [bits, bits // 2, 13, 1]
    differ(open_store(uri, sample.spec(bits)), reopen, 150, lengths, seed=bits)


@pytest.mark.milvus
def test_milvus_equals_a_dictionary(milvus_store, milvus_server) -> None:
    bits = 48

    def reopen(_: CodeStore) -> CodeStore:
        return open_store(milvus_server.uri("contract"), sample.spec(bits))

    differ(milvus_store(bits), reopen, 40, [bits, 16], seed=5)
