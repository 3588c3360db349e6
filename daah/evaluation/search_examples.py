"""Retrieval examples: successful and failed searches, drawn at random."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daah import codes
from daah.data.labelled_faces import LabelledFaces
from daah.metrics.leave_one_out import queries_with_mates
from daah.plots import RetrievalExample


@dataclass(frozen=True, eq=False)
class RetrievalExamples:
    """Random examples of successful and failed searches.

    Attributes:
        good: searches whose rank-1 result is a mate.
        bad: searches whose rank-1 result is not.
        good_queries: number of successful searches in all.
        bad_queries: number of failed searches in all.
    """

    good: tuple[RetrievalExample, ...]
    bad: tuple[RetrievalExample, ...]
    good_queries: int
    bad_queries: int


def retrieval_examples(
    logits: np.ndarray, faces: LabelledFaces, bits: int, k: int = 6, rows: int = 3, seed: int = 0
) -> RetrievalExamples:
    """Draw examples of successful and failed searches by the seed, not by how they look.

    Each query is searched among all other faces; ties are in random order.

    Args:
        logits: (N, K) of the faces.
        faces: the faces; those with a mate are queries.
        bits: code length.
        k: results per query.
        rows: maximum number of examples of each kind.
        seed: seed of the draw and of the order of ties.

    Returns:
        The examples, and how many searches of each kind there are.

    Raises:
        ValueError: `k` is less than 1.
    """
    if k < 1:
        raise ValueError(f"results per query: expected at least 1, got {k}")
    rng = np.random.default_rng(seed)
    packed = codes.from_logits(logits, bits)
    person, queries = queries_with_mates(faces.labels)
    found: dict[bool, list[RetrievalExample]] = {True: [], False: []}
    totals = {True: 0, False: 0}
    for query in rng.permutation(queries):
        distance = codes.hamming(packed[query : query + 1], packed)[0]
        order = np.lexsort((rng.random(len(distance)), distance))
        first = order[order != query][:k]
        right = person[first] == person[query]
        kind = bool(right[0])
        totals[kind] += 1
        if len(found[kind]) < rows:
            found[kind].append(
                RetrievalExample(
                    faces.aligned[query],
                    tuple(faces.aligned[first]),
                    tuple(map(bool, right)),
                    tuple(map(int, distance[first])),
                )
            )
    return RetrievalExamples(tuple(found[True]), tuple(found[False]), totals[True], totals[False])
