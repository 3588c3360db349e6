"""Searches to look at: some that went well, and some that did not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daah import codes
from daah.data.labelled_faces import LabelledFaces
from daah.metrics.leave_one_out import queries_with_mates
from daah.plots import RetrievalExample


@dataclass(frozen=True, eq=False)
class RetrievalExamples:
    """good: searches whose first row is right. bad: whose first row is wrong.

    good_queries, bad_queries: how many of each there are in all, so that a page of failures
    cannot pass for the rule or for the exception.
    """

    good: tuple[RetrievalExample, ...]
    bad: tuple[RetrievalExample, ...]
    good_queries: int
    bad_queries: int


def retrieval_examples(
    logits: np.ndarray, faces: LabelledFaces, bits: int, k: int = 6, rows: int = 3, seed: int = 0
) -> RetrievalExamples:
    """Draw up to `rows` searches of either kind by the seed, not by how they look.

    logits: (N, K) of the faces. Each query is searched among all other faces; ties are in random
    order. Only people with two or more faces are searched for.
    """
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
