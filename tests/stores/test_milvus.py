"""What the Milvus store promises beyond the contract, on a real server with TLS and a token."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from daah.errors import ConfigError, GalleryError
from daah.stores.base import CodeStore, Hits, Meta
from daah.stores.factory import open_store
from daah.stores.milvus import MilvusStore
from daah.stores.milvus import client as milvus_client
from daah.stores.milvus import store as store_module
from daah.stores.milvus.uri import parse
from tests.doubles.line import hurry
from tests.doubles.milvus_server import TOKEN, MilvusServer
from tests.doubles.waiting import HANG, Clock, eventually
from tests.stores import sample
from tests.stores.reference import NumpyStore

milvus = pytest.mark.milvus


@pytest.fixture
def store(milvus_store) -> MilvusStore:
    """An empty gallery of 48 bits."""
    return milvus_store(48)


def fill(store: CodeStore, n: int, kind: str = "faces") -> NumpyStore:
    """Put rows in, and give back a store on a dictionary with the same."""
    rng = np.random.default_rng(n)
    oracle = NumpyStore(store.spec)
    rows = sample.ids(rng, n), sample.codes(rng, n, store.spec.bits, kind), sample.metas(rng, n)
    store.upsert(*rows)
    oracle.upsert(*rows)
    return oracle


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses between calls that are tried again, on a clock that nothing else moves."""
    clock, slept = Clock(), []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        clock.sleep(seconds)

    monkeypatch.setattr(milvus_client, "time", SimpleNamespace(monotonic=clock, sleep=sleep))
    return slept


# --- addresses ----------------------------------------------------------------------------------


def test_addresses(monkeypatch) -> None:
    address = parse("milvus://[::1]/faces")
    assert (address.host, address.port, address.collection) == ("::1", 19530, "faces")
    assert (address.token, address.options.tls) == ("", False)
    monkeypatch.setenv("DAAH_MILVUS_TOKEN", "from the environment")
    monkeypatch.setenv("DAAH_MILVUS_TLS", "1")
    assert parse("milvus://host/faces").token == "from the environment"
    assert parse("milvus://host:1234/faces").server == "https://host:1234"
    assert parse("milvus://host:1234/faces?tls=false").server == "http://host:1234"
    address = parse("milvus://me:p%40ss@host/faces?lengths=16,32&rows=1e8&consistency=strong")
    assert address.token == "me:p@ss"
    assert address.options.lengths == (16, 32)
    assert address.options.rows == 100_000_000
    assert "p@ss" not in repr(address) + address.name


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("milvus://host", "collection"),
        ("milvus://host/", "collection"),
        ("milvus://host/9faces", "collection"),
        ("milvus://host/faces; drop", "collection"),
        ("milvus:///faces", "milvus://"),
        ("milvus://host:port/faces", "milvus://"),
        ("milvus://host/faces?consistency=sometimes", "bounded"),
        ("milvus://host/faces?shard=2", "valid options are"),
        ("milvus://host/faces?shards=two", "shards"),
        ("milvus://host/faces?shards=0", "shards"),
        ("milvus://host/faces?nprobe=0", "nprobe"),
        ("milvus://host/faces?tls=maybe", "tls"),
        ("milvus://host/faces?lengths=16,200", "lengths"),
    ],
)
def test_addresses_that_cannot_be_read(uri: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        open_store(uri, sample.spec(48))


def test_a_server_that_is_not_there_is_named(pauses: list[float]) -> None:
    with pytest.raises(GalleryError, match=r"faces at 127\.0\.0\.1:1 does not answer"):
        open_store("milvus://someone:secret@127.0.0.1:1/faces?timeout=0.5", sample.spec(48))
    assert len(pauses) >= 3  # it tried again,
    assert sum(pauses) <= 0.5  # and gave up when its time was over


# --- opening ------------------------------------------------------------------------------------


@milvus
def test_a_wrong_token_is_refused(milvus_server: MilvusServer, pauses: list[float]) -> None:
    uri = milvus_server.uri("contract", token="root:wrong", timeout=HANG)
    with pytest.raises(GalleryError, match=r"refused the token\. Set DAAH_MILVUS_TOKEN") as caught:
        open_store(uri, sample.spec(48))
    assert pauses == []  # trying again would not help
    assert "wrong" not in str(caught.value)


@milvus
def test_token_and_tls_come_from_the_environment(store, milvus_server, monkeypatch) -> None:
    fill(store, 3)
    monkeypatch.setenv("DAAH_MILVUS_TOKEN", TOKEN)
    monkeypatch.setenv("DAAH_MILVUS_TLS", "true")
    monkeypatch.setenv("DAAH_MILVUS_CA", str(milvus_server.authority))
    store.flush()
    uri = f"milvus://127.0.0.1:{milvus_server.port}/contract"
    with MilvusStore(uri, sample.spec(48), read_only=True) as other:
        assert other.count() == 3
        with pytest.raises(GalleryError, match="read-only"):
            other.remove(np.array([1]))
    monkeypatch.setenv("DAAH_MILVUS_TLS", "false")
    with pytest.raises(GalleryError, match="TLS"):
        MilvusStore(f"{uri}?timeout=0.3", sample.spec(48))


@milvus
def test_another_model_is_refused_naming_both(store, milvus_server) -> None:
    other = sample.spec(48, "another model")
    for read_only in (True, False):
        with pytest.raises(GalleryError) as caught:
            open_store(milvus_server.uri("contract"), other, read_only=read_only)
        assert str(store.spec) in str(caught.value)
        assert str(other) in str(caught.value)


@milvus
def test_a_missing_gallery_says_what_to_do(milvus_server) -> None:
    with pytest.raises(GalleryError, match=r"no Milvus gallery nowhere .* Build one first"):
        open_store(milvus_server.uri("nowhere"), sample.spec(48), read_only=True)


# --- results ------------------------------------------------------------------------------------


@milvus
def test_ties_longer_than_an_answer(store, monkeypatch) -> None:
    monkeypatch.setattr(store._main, "_limit", 16)
    oracle = fill(store, 150, "few")
    queries = np.vstack([row[0] for row in list(oracle.rows.values())[:3]])
    for k in (1, 15, 16, 40, 200):
        ours, theirs = store.search(queries, k), oracle.search(queries, k)
        assert np.array_equal(ours.ids, theirs.ids)
        assert np.array_equal(ours.distances, theirs.distances)
        assert ours.meta == theirs.meta


@milvus
def test_a_gallery_moves_from_sqlite(store, tmp_path: Path) -> None:
    with open_store(f"{tmp_path}/g.db", store.spec) as local:
        fill(local, 500)
        for batch in local.scan(batch=200):
            store.upsert(batch.ids, batch.codes, batch.meta)
        rng = np.random.default_rng(1)
        queries = sample.codes(rng, 4, 48)
        logits = rng.normal(size=(4, 48)).astype(np.float32)
        here, there = (s.search(queries, 10, logits=logits) for s in (local, store))
        assert np.array_equal(here.ids, there.ids)
        assert np.array_equal(here.asymmetric, there.asymmetric)
        assert here.meta == there.meta


@milvus
def test_other_clients_see_writes(store, milvus_server) -> None:
    uri = milvus_server.uri("contract", consistency="strong")
    with MilvusStore(uri, store.spec, read_only=True) as other:
        before = other.generation
        oracle = fill(store, 30)
        assert other.count() == 30
        assert other.generation > before
        store.remove(np.array(sorted(oracle.rows)[:10]))
        assert other.count() == 20
    with MilvusStore(milvus_server.uri("contract"), store.spec, read_only=True) as other:
        store.flush()
        assert other.count() == 20


@milvus
def test_clusters_visited_in_full_are_exact(milvus_server) -> None:
    """The index of the largest galleries; a share of 1 must find what a scan finds."""
    uri = milvus_server.uri("clusters", rows=4000, ivf_from=3000, nprobe=1)
    with MilvusStore(uri, sample.spec(48)) as store:
        clusters = {"index_type": "BIN_IVF_FLAT", "params": {"nlist": 253}}
        assert store._main.index() == clusters
        oracle = fill(store, 2000)
        store._connection.client.flush(store._main.name)  # only sealed segments are indexed
        queries = sample.codes(np.random.default_rng(2), 5, 48)
        theirs = oracle.search(queries, 10)
        ours = store.search(queries, 10)
        store.reindex()  # there are few rows, so now all are scanned
        assert store._main.index() == {"index_type": "BIN_FLAT"}
        again = store.search(queries, 10)
        assert np.array_equal(ours.ids, theirs.ids)
        assert np.array_equal(ours.distances, theirs.distances)
        assert np.array_equal(again.ids, theirs.ids)
        store.drop()
    with pytest.raises(GalleryError, match="There is no"):
        MilvusStore(uri, sample.spec(48), read_only=True)


@milvus
def test_names_that_do_not_fit_are_refused(store) -> None:
    code = np.zeros((1, 6), np.uint8)
    for meta in (Meta("ö" * 257, "f", 1.0), Meta("p", "f" * 1025, 1.0)):
        with pytest.raises(GalleryError, match="up to 512 bytes"):
            store.upsert(np.array([1]), code, [meta])
    store.upsert(np.array([1]), code, [Meta("ö" * 256, "f" * 1024, 1.0)])
    assert store.get(np.array([1])).meta[0].person == "ö" * 256


@milvus
def test_a_write_cut_short_is_noticed_and_repaired(store, milvus_server, monkeypatch) -> None:
    """A writer that dies between the collection of whole codes and that of a prefix."""
    oracle = fill(store, 60)
    queries = sample.codes(np.random.default_rng(3), 3, 48)
    store.search(queries, 5, 16)
    copy = store._copy(store._main, 16)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(copy, "delete", die)
    with pytest.raises(KeyboardInterrupt):
        store.remove(np.array(sorted(oracle.rows)[:20]))
    oracle.remove(np.array(sorted(oracle.rows)[:20]))
    monkeypatch.undo()
    monkeypatch.setattr(store_module, "INTERRUPTED", 0.0)  # for the others it was long ago
    store.flush()
    with (
        MilvusStore(milvus_server.uri("contract"), store.spec, read_only=True) as reader,
        pytest.raises(GalleryError, match="no complete index for codes of 16 bits"),
    ):
        reader.search(queries, 5, 16)
    ours, theirs = store.search(queries, 70, 16), oracle.search(queries, 70, 16)
    assert np.array_equal(ours.ids, theirs.ids)


@milvus
def test_check_finds_a_prefix_that_is_not_its_codes(store) -> None:
    fill(store, 50)
    store.search(np.zeros((1, 6), np.uint8), 1, 16)
    store.flush()
    store.check()
    copy = store._copy(store._main, 16)
    id = next(store.scan()).ids[3]
    copy.upsert([int(id)], np.zeros((1, 2), np.uint8), [Meta("p", "f", 1.0)])
    with pytest.raises(GalleryError, match=rf"Drop the collection {copy.name}"):
        store.check()
    copy.drop()
    store._trusted.pop(copy.name)
    store.search(np.zeros((1, 6), np.uint8), 1, 16)
    store.flush()
    store.check()


# --- people -------------------------------------------------------------------------------------


def same_people(store: CodeStore, oracle: NumpyStore, bits: int | None = None) -> None:
    """Fail where a search for people is not that of brute force."""
    queries = sample.codes(np.random.default_rng(6), 3, store.spec.bits)
    ours, theirs = (s.search_people(queries, 9, bits) for s in (store, oracle))
    assert np.array_equal(ours.distances, theirs.distances)
    assert np.array_equal(ours.ids, theirs.ids)
    assert ours.meta == theirs.meta
    assert store.people() == oracle.people()


@milvus
def test_a_gallery_of_an_earlier_version_gets_people(store, milvus_server) -> None:
    oracle = fill(store, 80)
    uri = milvus_server.uri("contract", consistency="strong")
    for collection in (store._crowd, store._logits):
        collection.drop()
    with MilvusStore(uri, store.spec, read_only=True) as reader:
        assert reader.people() == oracle.people()
        assert reader.count_people() == len(oracle.people())
        assert reader.search(np.zeros((1, 6), np.uint8), 1).meta[0]
        with pytest.raises(GalleryError, match="no complete index of people"):
            reader.search_people(np.zeros((1, 6), np.uint8), 1)
    with MilvusStore(uri, store.spec) as writer:
        same_people(writer, oracle)
    with MilvusStore(uri, store.spec, read_only=True) as reader:
        same_people(reader, oracle, 48)
    store._logits._ready = False


@milvus
def test_a_write_that_did_not_reach_people_is_noticed_and_repaired(
    store, milvus_server, monkeypatch
) -> None:
    oracle = fill(store, 60)
    store.search_people(np.zeros((1, 6), np.uint8), 1, 16)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    codes = sample.codes(np.random.default_rng(8), 30, 48)
    metas = [Meta(f"new {i % 4}", f"{i}", 1.0, f"Name {i % 4}") for i in range(30)]
    row = np.arange(3000, 3030), codes, metas, sample.logits_of(np.random.default_rng(9), codes, 48)
    monkeypatch.setattr(store, "_follow", die)
    with pytest.raises(KeyboardInterrupt):
        store.upsert(*row)
    with pytest.raises(KeyboardInterrupt):
        store.remove(np.array(sorted(oracle.rows)[:20]))
    oracle.upsert(row[0], codes, [Meta(m.person, m.photo, 1.0) for m in metas], row[3])
    oracle.remove(np.array(sorted(oracle.rows)[:20]))
    monkeypatch.undo()
    monkeypatch.setattr(store_module, "INTERRUPTED", 0.0)  # for the others it was long ago
    store.flush()
    with (
        MilvusStore(milvus_server.uri("contract"), store.spec, read_only=True) as reader,
        pytest.raises(GalleryError, match="no complete index of people"),
    ):
        reader.search_people(codes[:1], 5)
    same_people(store, oracle)
    same_people(store, oracle, 16)
    store.flush()
    store.check()


@milvus
def test_two_writers_of_one_person_leave_the_right_template(
    store, milvus_server, monkeypatch
) -> None:
    """The second writes between the first one's reading of photos and its writing of a template."""
    rng = np.random.default_rng(7)
    codes = sample.codes(rng, 12, 48, "random")
    logits = sample.logits_of(rng, codes, 48)
    metas = [Meta("p", f"{i}", 1.0) for i in range(12)]
    oracle = NumpyStore(store.spec)
    oracle.upsert(np.arange(12), codes, metas, logits)
    write = store._write_people
    with MilvusStore(milvus_server.uri("contract"), store.spec) as second:

        def late(*arguments: object) -> None:
            monkeypatch.undo()
            second.upsert(np.arange(5, 12), codes[5:], metas[5:], logits[5:])
            write(*arguments)

        monkeypatch.setattr(store, "_write_people", late)
        store.upsert(np.arange(5), codes[:5], metas[:5], logits[:5])
    same_people(store, oracle)
    store.check()


@milvus
def test_check_finds_a_template_that_is_not_of_its_photos(store) -> None:
    oracle = fill(store, 50)
    store.flush()
    store.check()
    (row, *_) = store._crowd.after(-1, None, 1)
    store._crowd.upsert([row.id], ~np.frombuffer(row.code, np.uint8)[None], [row.meta])
    with pytest.raises(GalleryError, match="templates that are not those of its photos"):
        store.check()
    store.remove(np.array(list(oracle.rows)))


def ask_aloud(store: MilvusStore, monkeypatch) -> threading.Event:
    """An event that is set when the store asks the server for neighbours."""
    asked = threading.Event()
    client = store._connection.client
    search = client.search

    def searching(*arguments: Any, **options: Any) -> Any:
        asked.set()
        return search(*arguments, **options)

    monkeypatch.setattr(client, "search", searching)
    return asked


@milvus
def test_closing_waits_for_a_search_under_way(store, line, monkeypatch) -> None:
    oracle = fill(store, 40)
    store.flush()
    query = sample.codes(np.random.default_rng(4), 1, 48)
    found: list[Hits] = []
    searched = MilvusStore(line.uri("contract", timeout=HANG), store.spec)
    searched.search(query, 1)  # it knows its index from here on, and asks only for neighbours
    asked = ask_aloud(searched, monkeypatch)
    searching = threading.Thread(target=lambda: found.append(searched.search(query, 50)))
    closing = threading.Thread(target=searched.close)
    with line.silent():
        searching.start()
        assert asked.wait(HANG)
        closing.start()
        assert eventually(lambda: searched._connection._closed)
        with pytest.raises(GalleryError, match="is closed"):
            searched.search(query, 1)
        assert closing.is_alive()
    closing.join(HANG)
    searching.join(HANG)
    assert np.array_equal(found[0].ids, oracle.search(query, 50).ids)


@milvus
def test_a_server_that_hangs_and_recovers(store, line, monkeypatch) -> None:
    oracle = fill(store, 40)
    store.flush()
    query = sample.codes(np.random.default_rng(4), 1, 48)
    found: list[Hits] = []
    with (
        MilvusStore(line.uri("contract", timeout=HANG), store.spec) as patient,
        MilvusStore(line.uri("contract", timeout=HANG), store.spec) as hurried,
    ):
        patient.search(query, 1)  # it knows its index from here on, and asks only for neighbours
        asked = ask_aloud(patient, monkeypatch)
        waiting = threading.Thread(target=lambda: found.append(patient.search(query, 50)))
        hurry(hurried, 0.4)
        with line.silent():
            with pytest.raises(GalleryError, match="does not answer"):
                hurried.search(query, 3)
            with pytest.raises(GalleryError, match="does not answer"):
                hurried.upsert(np.array([1]), query, [Meta("p", "f", 1.0)])
            waiting.start()
            assert asked.wait(HANG)
            assert not found
        waiting.join(HANG)
    hits = oracle.search(query, 50)
    kept = found[0].ids[found[0].ids != 1]  # what was said in vain may arrive after all
    assert np.array_equal(kept, hits.ids[hits.ids != 1])
