"""Protocol 1 from arrays, against a search written out with loops."""

from __future__ import annotations

import numpy as np
import pytest

from daah import codes, metrics
from daah.metrics.leave_one_out import (
    RERANKED,
    leave_one_out,
    leave_one_out_floats,
    pair_distances,
    queries_with_mates,
    query_scores,
)

KEYS = {
    "bits",
    "distance",
    "rerank",
    "map",
    "map_ci95",
    "rank1",
    "precision_at_10",
    "tar_at_far_1e-2",
    "tar_at_far_1e-3",
}


def sample(people: int = 40, bits: int = 32, spread: float = 1.0, seed: int = 0):
    """Logits (N, bits) of people with one to six images around a centre each, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(people), rng.integers(1, 7, people)).astype(str)
    centres = rng.normal(size=(people, bits))
    logits = centres[labels.astype(int)] + spread * rng.normal(size=(len(labels), bits))
    return logits.astype(np.float32), labels


def searched_by_hand(logits: np.ndarray, labels: np.ndarray, shuffles: int) -> tuple[float, float]:
    """mAP and rank-1 with every tie broken at random, many times over."""
    rng = np.random.default_rng(0)
    bits = logits > 0
    precisions, firsts = [], []
    for i, own in enumerate(labels):
        rest = np.flatnonzero(np.arange(len(labels)) != i)
        relevant = labels[rest] == own
        if not relevant.any():
            continue
        distance = (bits[rest] != bits[i]).sum(1)
        for _ in range(shuffles):
            order = np.lexsort((rng.random(len(rest)), distance))
            ranked = relevant[order]
            places = np.flatnonzero(ranked)
            precisions.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
            firsts.append(ranked[0])
    return float(np.mean(precisions)), float(np.mean(firsts))


def test_scores_agree_with_a_search_written_out():
    logits, labels = sample(people=15, bits=16)
    scores = leave_one_out(logits, labels, 16)
    by_hand = searched_by_hand(logits, labels, shuffles=300)
    assert scores.map == pytest.approx(by_hand[0], abs=0.005)
    assert scores.rank1 == pytest.approx(by_hand[1], abs=0.01)


def test_a_query_is_not_in_its_own_database():
    # Two people, two images each, whose codes differ from each other and equal the other's.
    logits = np.array([[1, 1], [-1, -1], [1, 1], [-1, -1]], np.float32)
    scores = leave_one_out(logits, ["a", "a", "b", "b"], 2)
    assert scores.rank1 == 0.0
    # Behind the one wrong row at distance 0 the right one ties with another: 1/2 or 1/3.
    assert scores.map == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_people_with_one_image_are_database_only():
    logits, labels = sample()
    _, counts = np.unique(labels, return_counts=True)
    found = query_scores(codes.pack(logits > 0), labels)
    assert len(found.query) == counts[counts > 1].sum()
    with pytest.raises(ValueError, match="nobody has two images"):
        leave_one_out(logits[:3], ["a", "b", "c"], 8)


def test_scores_do_not_depend_on_the_order_of_the_images():
    logits, labels = sample()
    order = np.random.default_rng(1).permutation(len(labels))
    here, there = leave_one_out(logits, labels, 32), leave_one_out(logits[order], labels[order], 32)
    for name in ("map", "rank1", "precision_at_10", "tar_at_far_1e_2", "tar_at_far_1e_3"):
        assert getattr(here, name) == pytest.approx(getattr(there, name))


def test_packed_codes_cannot_be_re_ranked():
    packed = np.zeros((4, 1), np.uint8)
    with pytest.raises(ValueError, match="needs logits"):
        leave_one_out(packed, ["a", "a", "b", "b"], 8, rerank=True)
    with pytest.raises(ValueError, match="needs logits"):
        leave_one_out(packed, ["a", "a", "b", "b"], 8, distance="asymmetric")
    with pytest.raises(ValueError, match="rank all rows"):
        leave_one_out(*sample(5, 8), 8, rerank=True, distance="asymmetric")


def test_asymmetric_distances_agree_with_a_search_written_out():
    logits, labels = sample(people=15, bits=16)
    signs = np.where(logits > 0, 1.0, -1.0)
    precisions, pairs = [], {True: [], False: []}
    for i, own in enumerate(labels):
        query = logits[i] / np.linalg.norm(logits[i])
        # The weight of the bits that differ is half of what the inner product falls short by.
        distance = (np.abs(query).sum() - signs @ query) / 2
        for j in range(i + 1, len(labels)):
            pairs[own == labels[j]].append(distance[j])
        rest = np.flatnonzero(np.arange(len(labels)) != i)
        relevant = (labels[rest] == own)[np.argsort(distance[rest], kind="stable")]
        if relevant.any():
            places = np.flatnonzero(relevant)
            precisions.append(np.mean(np.arange(1, len(places) + 1) / (places + 1)))
    scores = leave_one_out(logits, labels, 16, distance="asymmetric")
    assert scores.map == pytest.approx(np.mean(precisions), abs=1e-6)
    assert scores.distance == "asymmetric"
    expected = metrics.tar_at_far(np.array(pairs[True]), np.array(pairs[False]), 1e-2).tar
    assert scores.tar_at_far_1e_2 == pytest.approx(expected, abs=0.02)
    assert scores.map > leave_one_out(logits, labels, 16).map


def test_logits_and_packed_codes_give_the_same_hamming_scores():
    logits, labels = sample(bits=24)
    packed = codes.from_logits(logits)
    for bits in (12, 24):
        assert leave_one_out(logits, labels, bits) == leave_one_out(packed, labels, bits)


def test_verification_uses_every_pair_once():
    logits, labels = sample(people=12)
    bits = logits > 0
    genuine, impostor = pair_distances(codes.pack(bits), labels)
    expected: dict[bool, list[int]] = {True: [], False: []}
    for i in range(len(labels)):
        for j in range(i):
            expected[bool(labels[i] == labels[j])].append(int((bits[i] != bits[j]).sum()))
    assert sorted(genuine) == sorted(expected[True])
    assert sorted(impostor) == sorted(expected[False])
    assert (
        leave_one_out(logits, labels, 32).tar_at_far_1e_2
        == metrics.tar_at_far(genuine, impostor, 1e-2).tar
    )


def test_pairs_across_blocks_are_not_lost():
    rng = np.random.default_rng(2)
    packed = rng.integers(0, 256, (1100, 2), dtype=np.uint8)
    genuine, impostor = pair_distances(packed, np.repeat(np.arange(550), 2))
    assert len(genuine) == 550
    assert len(genuine) + len(impostor) == 1100 * 1099 // 2


def test_reranking_a_small_database_orders_it_by_asymmetric_distance():
    logits, labels = sample(people=20, bits=16, spread=1.5)
    assert len(labels) < RERANKED
    scores = leave_one_out(logits, labels, 16, rerank=True)
    distance = codes.asymmetric(logits, codes.pack(logits > 0))
    _, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    queries = np.flatnonzero(count[person] > 1)
    groups = metrics.tie_groups(
        distance[queries],
        person[queries][:, None] == person,
        queries[:, None] != np.arange(len(labels)),
    )
    assert scores.map == pytest.approx(metrics.average_precision(groups).mean())
    assert scores.map > leave_one_out(logits, labels, 16).map
    assert scores.rerank


def test_reranking_touches_the_first_rows_only():
    # 400 strangers are nearer than the one other image of the query's person, whose asymmetric
    # distance is the smallest of all: outside the first 200 it stays where Hamming put it.
    query = np.full(16, 0.01, np.float32)
    query[0] = 10
    mate, stranger = np.full(16, -1.0, np.float32), np.full(16, 1.0, np.float32)
    mate[0] = 1
    stranger[0] = -1
    logits = np.stack([query, mate, *[stranger] * 400])
    labels = np.array(["a", "a", *[f"s{i}" for i in range(400)]])
    packed = codes.pack(logits > 0)
    plain = query_scores(packed, labels)
    reranked = query_scores(packed, labels, logits=logits)
    assert plain.average_precision[0] == pytest.approx(1 / 401)
    assert reranked.average_precision[0] == pytest.approx(1 / 401)
    few = np.r_[0:150]
    near = query_scores(packed[few], labels[few], logits=logits[few])
    assert near.average_precision[0] == 1.0


def test_a_cut_through_ties_does_not_favour_the_first_rows():
    # Everything ties in Hamming distance; only 200 of 600 rows can be re-ordered. The right row
    # would be put first, so its chance of being among them is what rank-1 measures.
    right = np.array([2.0, -0.1, -0.1, 2.0], np.float32)
    wrong = np.array([-0.1, 2.0, 2.0, -0.1], np.float32)
    query = np.array([2.1, 2.0, -0.1, -0.1], np.float32)
    hits = []
    for seed in range(60):
        logits = np.stack([query, right, *[wrong] * 598])
        labels = np.array(["a", "a", *[f"s{i}" for i in range(598)]])
        found = query_scores(codes.pack(logits > 0), labels, logits=logits, seed=seed)
        hits.append(found.rank1[0])
    assert 0.15 < np.mean(hits) < 0.52


def test_float_embeddings_are_compared_by_cosine():
    logits, labels = sample(bits=64, spread=0.5)
    scores = leave_one_out_floats(logits * np.linspace(1, 9, len(labels))[:, None], labels)
    assert scores.bits == 0
    assert scores == leave_one_out_floats(logits, labels)
    assert scores.map > leave_one_out(logits, labels, 64).map


def test_probes_search_in_the_clean_database():
    logits, labels = sample()
    packed = codes.pack(logits > 0)
    same = query_scores(packed, labels, probes=packed)
    np.testing.assert_array_equal(
        same.average_precision, query_scores(packed, labels).average_precision
    )
    lost = query_scores(packed, labels, probes=np.zeros_like(packed))
    assert lost.average_precision.mean() < same.average_precision.mean() / 2


def test_the_interval_contains_the_figure_and_the_json_is_the_contracts():
    logits, labels = sample()
    scores = leave_one_out(logits, labels, 32)
    assert scores.map_ci95[0] < scores.map < scores.map_ci95[1]
    assert set(scores.to_dict()) == KEYS


def test_arrays_that_do_not_fit_are_refused():
    logits, labels = sample()
    with pytest.raises(ValueError, match="33 bits"):
        leave_one_out(logits, labels, 33)
    with pytest.raises(ValueError, match="labels"):
        leave_one_out(logits, labels[:-1], 32)


def test_queries_are_images_with_a_mate() -> None:
    person, queries = queries_with_mates(["b", "a", "c", "b"])
    assert person.tolist() == [1, 0, 2, 1]
    assert queries.tolist() == [0, 3]
