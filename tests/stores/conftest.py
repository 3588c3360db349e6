"""One fixture that gives every kind of store, empty, by the same name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from daah.stores.base import CodeStore
from daah.stores.factory import open_store
from tests.doubles.milvus_server import MilvusServer
from tests.grouping import RUNNING
from tests.stores.reference import NumpyStore
from tests.stores.sample import spec

#: Kind of store and bits of a code; 48 and 20 are no whole number of words, 20 not even of bytes.
STORES = [
    pytest.param(("numpy", 48), id="numpy-48"),
    pytest.param(("sqlite", 20), id="sqlite-20"),
    pytest.param(("sqlite", 48), id="sqlite-48"),
    pytest.param(("sqlite", 64), id="sqlite-64"),
    pytest.param(("sqlite", 128), id="sqlite-128"),
    pytest.param(("milvus", 48), id="milvus-48", marks=pytest.mark.milvus),
]


@pytest.fixture(scope="session")
def milvus_store(
    request: pytest.FixtureRequest, milvus_server: MilvusServer
) -> Callable[[int], CodeStore]:
    """An empty Milvus store by bits; making a collection takes seconds, so each is used again."""
    opened: dict[int, CodeStore] = {}

    def give(bits: int) -> CodeStore:
        if bits not in opened:
            store = open_store(milvus_server.uri("contract"), spec(bits))
            request.session.stash[RUNNING].callback(store.close)
            opened[bits] = store
        store = opened[bits]
        for batch in list(store.scan()):
            store.remove(batch.ids)
        return store

    return give


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path) -> Iterator[CodeStore]:
    """An empty store of each kind."""
    kind, bits = request.param
    if kind == "milvus":
        yield request.getfixturevalue("milvus_store")(bits)
        return
    store = (
        NumpyStore(spec(bits))
        if kind == "numpy"
        else open_store(f"sqlite:{tmp_path}/g.db", spec(bits))
    )
    yield store
    store.close()


@pytest.fixture
def rng() -> np.random.Generator:
    """Random numbers, the same at every run."""
    return np.random.default_rng(20)
