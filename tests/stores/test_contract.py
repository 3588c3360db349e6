"""What every store must do: the same body runs on SQLite, on Milvus and on numpy brute force.

Expected results come from integers and Python's own sort, not from numpy.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from daah.codes import asymmetric, from_logits, pack, prefix
from daah.stores.base import Batch, CodeStore, Filter, Meta, Person
from tests.stores import sample
from tests.stores.reference import NumpyStore

FILTERS = [
    None,
    Filter(people=frozenset({"s1", 'quote "q" \\ back', "nobody"})),
    Filter(people=frozenset()),
    Filter(since=1.7e9 + 900.5),
    Filter(until=1.7e9 + 900.5),
    Filter(frozenset({"line\nbreak", "", "Zoë Ångström 李", "s2"}), 1.7e9 + 300, 1.7e9 + 3000),
]

KINDS = ["random", "faces", "few"]


def lengths(store: CodeStore) -> list[int]:
    """Lengths to search by: whole, half, and cuts within a byte; Milvus indexes each one apart."""
    bits = store.spec.bits
    return [bits, 16] if "Milvus" in type(store).__name__ else [bits, bits // 2, 17, 8, 1]


def filled(store: CodeStore, rng: np.random.Generator, n: int = 300, kind: str = "faces") -> Batch:
    """Put rows in, a few of them twice over, and give back what is there."""
    bits = store.spec.bits
    ids, codes = sample.ids(rng, n), sample.codes(rng, n, bits, kind)
    metas = sample.metas(rng, n)
    store.upsert(ids[: n // 2], codes[: n // 2][::-1], metas[: n // 2])
    store.upsert(ids, codes, metas)
    store.flush()
    return Batch(ids, codes, tuple(metas))


def passes(meta: Meta, where: Filter | None) -> bool:
    """Whether a row satisfies a filter."""
    return where is None or (
        (where.people is None or meta.person in where.people)
        and (where.since is None or where.since <= meta.added_at)
        and (where.until is None or meta.added_at < where.until)
    )


def nearest(rows: Batch, query: np.ndarray, bits: int, where: Filter | None) -> list[tuple]:
    """(distance, id, meta) of all rows that satisfy `where`, in order."""
    shift = 8 * len(query) - bits
    number = int.from_bytes(query.tobytes(), "big") >> shift
    found = [
        ((number ^ (int.from_bytes(code.tobytes(), "big") >> shift)).bit_count(), id, meta)
        for id, code, meta in zip(rows.ids.tolist(), rows.codes, rows.meta, strict=True)
        if passes(meta, where)
    ]
    return sorted(found, key=lambda row: row[:2])


def test_codes_of_real_photos(store: CodeStore, orl_build, rng) -> None:
    """The built-in gallery by the shipped model: codes that are neither fair nor independent."""
    bits = store.spec.bits
    (real,) = orl_build[0].store.scan()
    rows = Batch(rng.permutation(len(real.ids)), prefix(real.codes, bits), real.meta)
    store.upsert(rows.ids, rows.codes, rows.meta)
    store.flush()
    queries = rows.codes[[5, 100, 319]]
    for length in lengths(store):
        for where in (None, Filter(people=frozenset({"s1", "s7", "s40"}))):
            hits = store.search(queries, 30, length, where=where)
            for q, query in enumerate(queries):
                want = nearest(rows, query, length, where)[:30]
                padding = [-1] * (30 - len(want))
                assert hits.ids[q].tolist() == [row[1] for row in want] + padding
                assert hits.distances[q].tolist() == [row[0] for row in want] + padding
                assert list(hits.meta[q]) == [row[2] for row in want]


@pytest.mark.parametrize("kind", KINDS)
def test_search_equals_brute_force(store: CodeStore, rng, kind: str) -> None:
    rows = filled(store, rng, kind=kind)
    queries = np.vstack([rows.codes[:3], sample.codes(rng, 2, store.spec.bits, "random")])
    for bits in lengths(store):
        for where in FILTERS:
            for k in (1, 10, 400):  # 400 is more than there are
                hits = store.search(queries, k, bits, where=where)
                assert hits.ids.shape == hits.distances.shape == (len(queries), k)
                assert (hits.ids.dtype, hits.distances.dtype) == (np.int64, np.int32)
                assert hits.asymmetric is None
                for q, query in enumerate(queries):
                    want = nearest(rows, query, bits, where)[:k]
                    padding = [-1] * (k - len(want))
                    assert hits.ids[q].tolist() == [row[1] for row in want] + padding
                    assert hits.distances[q].tolist() == [row[0] for row in want] + padding
                    assert list(hits.meta[q]) == [row[2] for row in want]


@pytest.mark.parametrize("kind", ["faces", "few"])
def test_logits_reorder_the_candidates(store: CodeStore, rng, kind: str) -> None:
    rows = filled(store, rng, kind=kind)
    by_id = dict(zip(rows.ids.tolist(), rows.codes, strict=True))
    logits = rng.normal(size=(3, store.spec.bits + 5)).astype(np.float32)
    queries = rows.codes[:3]
    for bits in lengths(store):
        for candidates, k in ((40, 10), (5, 10), (1000, 1000)):
            hits = store.search(queries, k, bits, logits=logits, candidates=candidates)
            assert hits.asymmetric is not None
            assert hits.asymmetric.dtype == np.float32
            for q, query in enumerate(queries):
                pool = nearest(rows, query, bits, None)[: max(candidates, k)]
                near = {id: distance for distance, id, _ in pool}
                codes = np.array([by_id[id] for id in near])
                weight = dict(
                    zip(near, asymmetric(logits[q : q + 1, :bits], codes)[0], strict=True)
                )
                found = hits.ids[q][: len(pool)].tolist()
                assert (hits.ids[q][len(pool) :] == -1).all()
                assert np.isinf(hits.asymmetric[q][len(pool) :]).all()
                assert set(found) <= set(near)
                assert len(set(found)) == len(found) == min(k, len(pool))
                assert hits.distances[q][: len(found)].tolist() == [near[id] for id in found]
                got = hits.asymmetric[q][: len(found)]
                np.testing.assert_allclose(got, [weight[id] for id in found], atol=1e-4)
                # Ordered by (asymmetric distance, id), and nothing nearer was left out.
                assert list(zip(got, found, strict=True)) == sorted(zip(got, found, strict=True))
                rest = [w for id, w in weight.items() if id not in set(found)]
                assert not rest or got[-1] <= min(rest) + 1e-4


def test_ties_at_every_cut_go_to_the_lowest_ids(store: CodeStore, rng) -> None:
    code = sample.codes(rng, 1, store.spec.bits, "random")
    ids = sample.ids(rng, 120)
    store.upsert(ids, np.repeat(code, 120, 0), sample.metas(rng, 120))
    store.flush()
    for k in (1, 7, 50, 119, 120):
        hits = store.search(code, k)
        assert hits.ids[0].tolist() == np.sort(ids)[:k].tolist()
        assert not hits.distances.any()
    weights = rng.normal(size=(1, store.spec.bits)).astype(np.float32)
    hits = store.search(code, 30, logits=weights, candidates=60)
    assert hits.ids[0].tolist() == np.sort(ids)[:30].tolist()


def test_query_bits_beyond_the_code_do_not_count(store: CodeStore, rng) -> None:
    rows = filled(store, rng, 20)
    query = rows.codes[:1].copy()
    if store.spec.bits % 8:
        query[:, -1] |= 1
    hits = store.search(query, 1)
    assert hits.distances[0, 0] == 0


@pytest.mark.parametrize("kind", KINDS)
def test_all_rows_within_a_radius_are_found(store: CodeStore, rng, kind: str) -> None:
    """Also when there are more of them than one answer of a server holds by default."""
    rows = filled(store, rng, kind=kind)
    gone = rng.permutation(len(rows.ids))[:20]
    store.remove(rows.ids[gone])
    store.flush()
    kept = np.setdiff1d(np.arange(len(rows.ids)), gone)
    rows = Batch(rows.ids[kept], rows.codes[kept], tuple(rows.meta[row] for row in kept))
    queries = np.concatenate([rows.codes[:3], sample.codes(rng, 3, store.spec.bits, kind)])
    for length in lengths(store):
        for radius in (0, 1, length // 8, length // 2, length, 10**6):
            found = store.within(queries, radius, length)
            want = [
                [(distance, id) for distance, id, _ in nearest(rows, query, length, None)]
                for query in queries
            ]
            want = [[pair for pair in pairs if pair[0] <= radius] for pairs in want]
            assert found.starts.tolist() == [0, *np.cumsum([len(pairs) for pairs in want])]
            flat = [pair for pairs in want for pair in pairs]
            assert list(zip(found.distances.tolist(), found.ids.tolist(), strict=True)) == flat
            assert found.ids.dtype == np.int64
            assert found.distances.dtype == np.int32


def test_within_of_nothing(store: CodeStore, rng) -> None:
    codes = sample.codes(rng, 2, store.spec.bits)
    assert store.within(codes, 5).starts.tolist() == [0, 0, 0]
    assert store.within(codes[:0], 5).starts.tolist() == [0]
    for radius in (-1, 1.5):
        with pytest.raises(ValueError, match="radius"):
            store.within(codes, radius)


def test_empty_store(store: CodeStore, rng) -> None:
    queries = sample.codes(rng, 2, store.spec.bits)
    logits = rng.normal(size=(2, store.spec.bits)).astype(np.float32)
    for where in (None, Filter(people=frozenset({"s1"}))):
        hits = store.search(queries, 3, logits=logits, where=where)
        assert (hits.ids == -1).all()
        assert (hits.distances == -1).all()
        assert np.isinf(hits.asymmetric).all()
        assert hits.meta == ((), ())
        assert store.count(where) == 0
        assert list(store.scan(where)) == []
    assert store.people() == ()
    assert store.remove(np.array([1, 2])) == 0
    store.upsert(np.zeros(0, np.int64), queries[:0], [])
    assert len(store.get(np.zeros(0, np.int64)).ids) == 0
    none = store.search(queries[:0], 3)
    assert none.ids.shape == (0, 3)
    assert none.meta == ()


def test_get_scan_count_people(store: CodeStore, rng) -> None:
    rows = filled(store, rng)
    got = store.get(rows.ids[[5, 0, 5, 77]])
    assert got.ids.tolist() == rows.ids[[5, 0, 5, 77]].tolist()
    assert np.array_equal(got.codes, rows.codes[[5, 0, 5, 77]])
    assert got.meta == tuple(rows.meta[i] for i in (5, 0, 5, 77))
    unknown = int(rows.ids.max()) + 1
    with pytest.raises(KeyError, match=str(unknown)):
        store.get(np.array([rows.ids[0], unknown]))
    asked = np.array([unknown, rows.ids[3], -1, rows.ids[3]])
    assert store.contains(asked).tolist() == [False, True, False, True]
    assert store.contains(asked[:0]).tolist() == []
    order = np.argsort(rows.ids)
    for where in FILTERS:
        keep = [i for i in order if passes(rows.meta[i], where)]
        batches = list(store.scan(where, batch=70))
        assert [len(b.ids) for b in batches[:-1]] == [70] * (len(batches) - 1)
        for after in (-1, 0, *(int(i) for i in rows.ids[:2]), 2**63 - 1):
            rest = [i for b in store.scan(where, batch=70, after=after) for i in b.ids.tolist()]
            assert rest == [int(rows.ids[i]) for i in keep if rows.ids[i] > after]
        assert [id for b in batches for id in b.ids.tolist()] == rows.ids[keep].tolist()
        assert [m for b in batches for m in b.meta] == [rows.meta[i] for i in keep]
        if keep:
            assert np.array_equal(np.vstack([b.codes for b in batches]), rows.codes[keep])
        assert store.count(where) == len(keep)
    names = [meta.person for meta in rows.meta]
    assert store.people() == tuple(Person(n, "", names.count(n)) for n in sorted(set(names)))


def test_upsert_twice_is_upsert_once(store: CodeStore, rng) -> None:
    rows = filled(store, rng, 50)
    query = rows.codes[:2]
    once = store.search(query, 50)
    store.upsert(rows.ids[::-1], rows.codes[::-1], rows.meta[::-1])
    store.flush()
    again = store.search(query, 50)
    assert np.array_equal(once.ids, again.ids)
    assert once.meta == again.meta
    assert store.count() == 50


def test_upsert_replaces_every_part(store: CodeStore, rng) -> None:
    rows = filled(store, rng, 50)
    code = ~rows.codes[:1]
    if store.spec.bits % 8:
        code[:, -1] &= 0xFF << (8 - store.spec.bits % 8) & 0xFF
    store.upsert(rows.ids[:1], code, [Meta("someone new", "new.jpg", 7.25)])
    store.flush()
    got = store.get(rows.ids[:1])
    assert np.array_equal(got.codes, code)
    assert got.meta == (Meta("someone new", "new.jpg", 7.25),)
    assert store.search(code, 1).ids[0, 0] == rows.ids[0]
    only = Filter(people=frozenset({"someone new"}), until=8.0)
    assert store.search(code, 2, where=only).ids[0].tolist() == [rows.ids[0], -1]
    assert Person("someone new", "", 1) in store.people()
    assert store.count() == 50


def test_removed_rows_are_gone(store: CodeStore, rng) -> None:
    rows = filled(store, rng)
    unknown = rows.ids.max() + 1
    assert store.remove(np.concatenate([rows.ids[:100], rows.ids[:1], [unknown]])) == 100
    store.flush()
    rest = Batch(rows.ids[100:], rows.codes[100:], rows.meta[100:])
    for bits in lengths(store):
        hits = store.search(rows.codes[:3], 250, bits)
        for q in range(3):
            want = [row[1] for row in nearest(rest, rows.codes[q], bits, None)]
            assert hits.ids[q].tolist() == want + [-1] * 50
    assert store.count() == 200
    assert store.remove(rows.ids[:100]) == 0
    with pytest.raises(KeyError):
        store.get(rows.ids[:1])
    store.upsert(rows.ids[:1], rows.codes[:1], rows.meta[:1])
    store.flush()
    assert store.search(rows.codes[:1], 1).distances[0, 0] == 0
    assert store.count() == 201


def test_check_and_compact_change_nothing(store: CodeStore, rng) -> None:
    rows = filled(store, rng)
    store.search(rows.codes[:1], 1, 16)  # what a store keeps for a prefix is checked as well
    store.remove(rows.ids[:120])
    store.compact()
    store.flush()
    told: list[tuple[int, int]] = []
    store.check(lambda done, total: told.append((done, total)))
    assert told[-1:] in ([(180, 180)], [])
    assert store.count() == 180
    rest = Batch(rows.ids[120:], rows.codes[120:], rows.meta[120:])
    want = [row[1] for row in nearest(rest, rows.codes[0], store.spec.bits, None)]
    assert store.search(rows.codes[:1], 180).ids[0].tolist() == want


def test_generation_grows_with_every_write(store: CodeStore, rng) -> None:
    seen = [store.generation]
    rows = filled(store, rng, 20)
    seen.append(store.generation)
    store.remove(rows.ids[:1])
    seen.append(store.generation)
    store.upsert(rows.ids[:1], rows.codes[:1], rows.meta[:1])
    seen.append(store.generation)
    assert seen == sorted(set(seen))


def test_edge_ids_and_times(store: CodeStore, rng) -> None:
    ids = np.array([0, 2**31, 2**32, 2**62, 2**63 - 2])
    codes = sample.codes(rng, 5, store.spec.bits, "random")
    metas = [Meta("p", "f", t) for t in (0.0, -0.0, -1.5, 1e300, 5e-324)]
    store.upsert(ids, codes, metas)
    store.flush()
    assert [b.ids.tolist() for b in store.scan()] == [ids.tolist()]
    assert [m.added_at for m in store.get(ids).meta] == [0.0, 0.0, -1.5, 1e300, 5e-324]
    assert store.search(codes, 1).ids[:, 0].tolist() == ids.tolist()
    assert store.remove(ids) == 5
    store.flush()
    assert store.count() == 0


def test_wrong_arguments_are_value_errors_and_change_nothing(store: CodeStore, rng) -> None:
    bits = store.spec.bits
    rows = filled(store, rng, 10)
    ids, codes, metas = rows.ids[:2], rows.codes[:2], list(rows.meta[:2])
    logits = sample.logits_of(rng, codes, bits)
    wrong_writes = [
        (ids, codes, metas, logits[:1]),
        (ids, codes, metas, logits[:, 1:]),
        (ids, codes, metas, -logits),
        (ids, codes, metas, np.where(logits > 0, np.inf, logits)),
        (ids, codes, [metas[0], Meta("p", "f", 1.0, "\ud800")]),
        (ids.astype(float), codes, metas),
        (ids[None], codes, metas),
        (ids[[0, 0]], codes, metas),
        (np.array([-1, 5]), codes, metas),
        (np.array([2**63 - 1, 5]), codes, metas),
        (ids, codes[:1], metas),
        (ids, codes, metas[:1]),
        (ids, codes[:, :-1], metas),
        (ids, codes.astype(np.int8), metas),
        (ids, codes, [metas[0], Meta("p", "f", float("nan"))]),
        (ids, codes, [metas[0], Meta(None, "f", 1.0)]),
        (ids, codes, [metas[0], Meta("\ud800", "f", 1.0)]),
    ]
    if bits % 8:
        wrong_writes.append((ids, codes | 1, metas))
    for wrong in wrong_writes:
        with pytest.raises(ValueError, match=r"\w+"):
            store.upsert(*wrong)
    logits = np.zeros((2, bits), np.float32)
    for wrong in (
        {"codes": codes[0], "k": 1},
        {"codes": codes, "k": 0},
        {"codes": codes, "k": 1, "bits": 0},
        {"codes": codes, "k": 1, "bits": bits + 1},
        {"codes": codes, "k": 1, "logits": logits[:1]},
        {"codes": codes, "k": 1, "logits": logits[:, 1:]},
        {"codes": codes, "k": 1, "logits": logits + np.nan},
    ):
        for search in (store.search, store.search_people):
            with pytest.raises(ValueError, match=r"\w+"):
                search(**wrong)
    with pytest.raises(ValueError, match="ids"):
        store.remove(np.array([[1]]))
    with pytest.raises(ValueError, match="ids"):
        store.get(np.array([1.5]))
    assert store.count() == 10


def test_scan_into_upsert_moves_a_gallery(store: CodeStore, rng) -> None:
    rows = filled(store, rng)
    half = rows.ids[::2], rows.codes[::2], [replace(m, name="Zoë") for m in rows.meta[::2]]
    store.upsert(*half, sample.logits_of(rng, half[1], store.spec.bits))
    store.flush()
    other = NumpyStore(store.spec)
    for batch in store.scan(batch=64, logits=True):
        other.upsert(batch.ids, batch.codes, batch.meta, batch.logits)
    logits = rng.normal(size=(5, store.spec.bits)).astype(np.float32)
    here = store.search(rows.codes[:5], 12, logits=logits)
    there = other.search(rows.codes[:5], 12, logits=logits)
    assert np.array_equal(here.ids, there.ids)
    assert np.array_equal(here.distances, there.distances)
    assert here.meta == there.meta
    assert other.people() == store.people()
    assert {person.name for person in store.people()} == {"Zoë"}
    same_people(store, other, rows.codes[:5], 12)


# --- people -------------------------------------------------------------------------------------


def same_people(
    store: CodeStore,
    oracle: CodeStore,
    queries: np.ndarray,
    k: int,
    bits: int | None = None,
    **options: object,
) -> None:
    """Fail where a search for people, or a photo of one of them, is not that of brute force."""
    ours = store.search_people(queries, k, bits, **options)
    theirs = oracle.search_people(queries, k, bits, **options)
    assert np.array_equal(ours.distances, theirs.distances)
    assert ours.meta == theirs.meta
    assert np.array_equal(ours.ids, theirs.ids)
    assert np.array_equal(ours.photos, theirs.photos)
    assert (ours.ids.dtype, ours.distances.dtype) == (np.int64, np.int32)
    assert ours.photos.dtype == np.int32
    assert (ours.asymmetric is None) == (theirs.asymmetric is None)
    if ours.asymmetric is not None:
        np.testing.assert_allclose(ours.asymmetric, theirs.asymmetric, atol=1e-4)


def same_means(store: CodeStore, oracle: CodeStore) -> None:
    """Fail where the mean logits of a person are not those of the photos."""
    asked = [person.person for person in oracle.people()]
    asked = [*asked[::-1], "nobody", *asked[:1]]
    means = store.mean_logits(asked)
    assert (means.shape, means.dtype) == ((len(asked), store.spec.bits), np.float32)
    np.testing.assert_allclose(means, oracle.mean_logits(asked), rtol=1e-5, atol=1e-6)
    assert not means[len(asked) - 2].any()
    assert store.mean_logits([]).shape == (0, store.spec.bits)


def crowd(rng: np.random.Generator, bits: int, n: int = 260) -> tuple:
    """Rows of 40 people with one to many photos, whose logits agree more or less; ids in no order.

    The first ten people are the same in every photo, so that their templates are their codes.
    """
    whose = np.sort(np.concatenate([np.arange(40), rng.integers(0, 40, n - 40)]))
    centre = rng.normal(size=(40, bits))
    noise = rng.normal(size=(n, bits)) * np.where(whose < 10, 0, 1.5)[:, None]
    logits = (4 * (centre[whose] + noise)).astype(np.float32)
    metas = [Meta(f"person {p}", f"photo {i}.jpg", 1e9 + i) for i, p in enumerate(whose)]
    return sample.ids(rng, n), from_logits(logits), metas, logits


def test_people_equal_brute_force(store: CodeStore, rng) -> None:
    rows = crowd(rng, store.spec.bits)
    oracle = NumpyStore(store.spec)
    for part in (slice(0, 100), slice(90, 260)):  # ten of the rows are there already
        for each in (store, oracle):
            each.upsert(*(column[part] for column in rows))
    store.flush()
    queries = np.vstack([rows[1][::90], sample.codes(rng, 2, store.spec.bits, "random")])
    # Powers of two add without rounding, so that equal distances are equal numbers.
    size = (len(queries), store.spec.bits)
    weights = 2.0 ** rng.integers(-6, 6, size=size) * rng.choice([-1, 1], size)
    for bits in lengths(store):
        for k in (1, 7, 60):  # 60 is more than there are
            same_people(store, oracle, queries, k, bits)
            same_people(store, oracle, queries, k, bits, logits=weights, candidates=12)
    hits = store.search_people(queries, 60)
    assert (hits.distances[:, 40:] == -1).all()
    assert (hits.ids[:, 40:] == -1).all()
    assert (hits.photos[:, 40:] == 0).all()
    assert len(hits.meta[0]) == 40
    assert hits.photos[:, :40].sum(1).tolist() == [260] * len(queries)
    same_means(store, oracle)


def test_a_template_is_the_signs_of_the_mean_logits(store: CodeStore) -> None:
    """By hand: the second photo is surer of its first bit than the first and third together."""
    bits = store.spec.bits
    logits = np.full((3, bits), -1, np.float32)
    logits[:, 0] = (2, -5, 2)
    logits[:, 1] = (1, -5, 4.5)
    logits[:, 2] = (3, 0, -3)  # a mean of 0 is a 0 bit
    logits[:, 3] = (3, 0, -2.9)
    metas = [Meta("p", f"{i}", 1.0) for i in range(3)]
    store.upsert(np.arange(3), from_logits(logits), metas, logits)
    store.flush()
    want = np.zeros((1, bits), bool)
    want[0, [1, 3]] = True
    assert store.search_people(pack(want), 1).distances.tolist() == [[0]]
    # Without logits every bit weighs the same: the majority decides.
    store.upsert(np.arange(3), from_logits(logits), metas)
    store.flush()
    want[0, :4] = (True, True, False, False)
    assert store.search_people(pack(want), 1).distances.tolist() == [[0]]


def test_templates_follow_every_change(store: CodeStore, rng) -> None:
    """Photos that are added, replaced, given to another person or removed; people who go."""
    rows = crowd(rng, store.spec.bits, 120)
    oracle = NumpyStore(store.spec)
    queries = rows[1][::40]

    def both(act) -> None:
        act(store)
        act(oracle)
        store.flush()
        same_people(store, oracle, queries, 50)
        same_means(store, oracle)
        assert store.people() == oracle.people()
        assert store.count_people() == len(oracle.people())

    both(lambda s: s.upsert(*rows))
    other = crowd(rng, store.spec.bits, 120)
    both(lambda s: s.upsert(rows[0][:30], other[1][:30], rows[2][:30], other[3][:30]))
    moved = [replace(m, person="person 3") for m in rows[2][60:70]]
    both(lambda s: s.upsert(rows[0][60:70], rows[1][60:70], moved, rows[3][60:70]))
    both(lambda s: s.remove(rows[0][5:40:2]))
    gone = [i for i, m in zip(rows[0].tolist(), rows[2], strict=True) if m.person == "person 20"]
    both(lambda s: s.remove(np.array(gone)))
    assert "person 20" not in {person.person for person in store.people()}
    both(lambda s: s.upsert(rows[0][:80], rows[1][:80], rows[2][:80]))  # without logits
    both(lambda s: s.remove(rows[0]))
    assert store.people() == ()
    hits = store.search_people(queries, 2, logits=rows[3][::40])
    assert (hits.ids == -1).all()
    assert np.isinf(hits.asymmetric).all()
    assert hits.meta == ((),) * len(queries)


def test_people_have_display_names(store: CodeStore, rng) -> None:
    ids, codes, metas, logits = crowd(rng, store.spec.bits, 60)
    store.upsert(ids, codes, metas, logits)
    mine = [i for i, meta in enumerate(metas) if meta.person == "person 7"]
    store.flush()
    before = store.generation
    assert store.get(ids[mine]).meta[0].shown == "person 7"
    named = replace(metas[mine[0]], name="Ada Lovelace 李")
    store.upsert(ids[mine[:1]], codes[mine[:1]], [named], logits[mine[:1]])
    store.flush()
    assert store.generation > before  # other readers must notice a name too
    assert {meta.name for meta in store.get(ids[mine]).meta} == {"Ada Lovelace 李"}
    assert store.get(ids[mine]).meta[0].shown == "Ada Lovelace 李"
    assert Person("person 7", "Ada Lovelace 李", len(mine)) in store.people()
    # A photo that comes without a name leaves the name; another name replaces it for all photos.
    store.upsert(np.array([10**6]), codes[:1], [Meta("person 7", "new", 1.0)])
    store.flush()
    hits = store.search(codes[:1], 100)
    assert {m.name for m in hits.meta[0] if m.person == "person 7"} == {"Ada Lovelace 李"}
    assert {m.name for m in hits.meta[0] if m.person != "person 7"} == {""}
    found = store.search_people(codes[mine[:1]], 40).meta[0]
    assert [m.name for m in found if m.person == "person 7"] == ["Ada Lovelace 李"]
    store.upsert(np.array([10**6]), codes[:1], [Meta("person 7", "new", 1.0, "Ada King")])
    store.flush()
    assert {meta.name for meta in store.get(ids[mine]).meta} == {"Ada King"}
    # Whoever is removed is forgotten by name.
    store.remove(np.append(ids[mine], 10**6))
    store.upsert(ids[mine[:1]], codes[mine[:1]], [metas[mine[0]]])
    store.flush()
    assert store.get(ids[mine[:1]]).meta[0].name == ""
