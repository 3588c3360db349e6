"""Protocol 1: leave-one-out retrieval and verification, from codes or embeddings and their labels.

Every image of an identity with two or more images is a query. Its database is every other image of
the set, so identities with one image are in the database only. Verification uses each pair once.

Axes: N = images, Q = queries, K = logits, B = bytes of a code, D = dimensions of an embedding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from daah import codes
from daah.metrics import bootstrap, ranking, verification

#: Rows that are re-ranked by asymmetric distance after the Hamming search, as in a gallery search.
RERANKED = 200

#: How a query is compared with stored codes.
Distance = Literal["hamming", "asymmetric"]

#: Queries ranked at a time; bounds the memory to a few hundred megabytes for ten thousand images.
_BLOCK = 512


@dataclass(frozen=True)
class LeaveOneOutScores:
    """Scores of protocol 1 at one code length.

    Verification is by Hamming distance with and without re-ranking: re-ranking orders one search
    and defines no distance between two stored codes.

    Attributes:
        bits: code length; 0 for float embeddings.
        rerank: whether the first `RERANKED` rows were re-ranked by asymmetric distance.
        map: mean average precision in [0, 1].
        map_ci95: 95% bootstrap interval of `map` over identities.
        rank1: rank-1 accuracy in [0, 1].
        precision_at_10: mean precision at 10 in [0, 1].
        tar_at_far_1e_2: true accept rate at a false accept rate of 0.01.
        tar_at_far_1e_3: true accept rate at a false accept rate of 0.001.
        distance: what ranks and verifies: Hamming distance, or asymmetric distance with the query's
            logits divided by their norm.
    """

    bits: int
    rerank: bool
    map: float
    map_ci95: tuple[float, float]
    rank1: float
    precision_at_10: float
    tar_at_far_1e_2: float
    tar_at_far_1e_3: float
    distance: Distance = "hamming"

    def to_dict(self) -> dict[str, object]:
        """The scores as plain JSON values, under the keys that `evaluate` prints."""
        return {
            "bits": self.bits,
            "distance": self.distance,
            "rerank": self.rerank,
            "map": self.map,
            "map_ci95": list(self.map_ci95),
            "rank1": self.rank1,
            "precision_at_10": self.precision_at_10,
            "tar_at_far_1e-2": self.tar_at_far_1e_2,
            "tar_at_far_1e-3": self.tar_at_far_1e_3,
        }


@dataclass(frozen=True, eq=False)
class QueryScores:
    """Scores of each query.

    Attributes:
        query: (Q,) int64, rows of the set.
        average_precision: (Q,) float64.
        rank1: (Q,) float64.
        precision_at_10: (Q,) float64.
        nearest: (Q,) float64, distance of the nearest other row.
    """

    query: np.ndarray
    average_precision: np.ndarray
    rank1: np.ndarray
    precision_at_10: np.ndarray
    nearest: np.ndarray


def leave_one_out(
    features: np.ndarray,
    labels: Sequence[str] | np.ndarray,
    bits: int,
    rerank: bool = False,
    seed: int = 0,
    distance: Distance = "hamming",
) -> LeaveOneOutScores:
    """Score the first `bits` bits of codes of identities that are not in the training set.

    Args:
        features: logits (N, K) of any float type, or packed codes (N, B) uint8; re-ranking needs
            logits.
        labels: (N,) identity of each image.
        bits: length of the prefix that is scored.
        rerank: whether to re-rank the first `RERANKED` rows by asymmetric distance.
        seed: seed of the bootstrap, and of the choice among rows that tie at the cut of the
            re-ranked list.
        distance: "asymmetric" compares the query's logits with the stored codes, in ranking and
            verification.

    Returns:
        The scores.

    Raises:
        ValueError: no identity has two images, there is only one identity, shapes do not fit,
            packed codes are given where logits are needed, or asymmetric distances are to be
            re-ranked.
    """
    features, labels = np.asarray(features), np.asarray(labels)
    if (rerank or distance == "asymmetric") and features.dtype == np.uint8:
        raise ValueError("leave_one_out: re-ranking needs logits, got packed codes")
    if rerank and distance == "asymmetric":
        raise ValueError("leave_one_out: asymmetric distances rank all rows, not the first alone")
    packed = _packed(features, bits)
    probes = normalised(features[:, :bits]) if distance == "asymmetric" else packed
    scores = query_scores(
        packed, labels, logits=features[:, :bits] if rerank else None, probes=probes, seed=seed
    )
    genuine, impostor = pair_distances(packed, labels, probes)
    return replace(
        _scores(bits, rerank, scores, labels, genuine, impostor, seed), distance=distance
    )


def normalised(logits: np.ndarray) -> np.ndarray:
    """Logits divided by their Euclidean norm, so that one threshold serves all queries.

    Args:
        logits: (N, K) of any float type.

    Returns:
        (N, K) float32 of norm 1; zeros stay zeros.
    """
    logits = np.asarray(logits, np.float32)
    return logits / np.maximum(np.linalg.norm(logits, axis=1, keepdims=True), 1e-12)


def leave_one_out_floats(
    embeddings: np.ndarray, labels: Sequence[str] | np.ndarray, seed: int = 0
) -> LeaveOneOutScores:
    """The same for float embeddings ranked by cosine similarity, as a reference for codes.

    Args:
        embeddings: (N, D) of any float type; rows are normalised here.
        labels: (N,) identity of each image.
        seed: seed of the bootstrap.

    Returns:
        The scores, with `bits` 0.

    Raises:
        ValueError: as of `leave_one_out`.
    """
    unit = np.asarray(embeddings, np.float32)
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    labels = np.asarray(labels)
    scores = query_scores(unit, labels, seed=seed)
    genuine, impostor = pair_distances(unit, labels)
    return _scores(0, False, scores, labels, genuine, impostor, seed)


def query_scores(
    features: np.ndarray,
    labels: np.ndarray,
    logits: np.ndarray | None = None,
    probes: np.ndarray | None = None,
    seed: int = 0,
) -> QueryScores:
    """Rank the rest of the set for every query.

    Args:
        features: packed codes (N, B) uint8, ranked by Hamming distance, or unit vectors (N, D)
            float32, ranked by cosine similarity.
        labels: (N,) identity of each image.
        logits: (N, bits) to re-rank the first `RERANKED` rows with; for codes only.
        probes: (N, ...) that replace the features as queries: of the same images corrupted, or
            logits (N, K) float32 that are compared with codes by asymmetric distance.
        seed: seed of the choice among rows that tie at the cut of the re-ranked list.

    Returns:
        The scores of each query.

    Raises:
        ValueError: no identity has two images, or features and labels differ in number.
    """
    probes = features if probes is None else probes
    person, queries = queries_with_mates(labels)
    if len(person) != len(features):
        raise ValueError(f"open set: {len(features)} images with {len(labels)} labels")
    if not len(queries):
        raise ValueError("open set: nobody has two images, so there is nothing to search for")
    shuffle = np.random.default_rng(seed)
    rows: list[np.ndarray] = []
    for start in range(0, len(queries), _BLOCK):
        chosen = queries[start : start + _BLOCK]
        keys = distances(probes[chosen], features)
        nearest = keys.astype(np.float64)
        valid = chosen[:, None] != np.arange(len(features))
        nearest[~valid] = np.inf
        if logits is not None:
            keys = _rerank(keys, valid, codes.asymmetric(logits[chosen], features), shuffle)
        groups = ranking.tie_groups(keys, person[chosen][:, None] == person, valid)
        rows.append(
            np.stack(
                [
                    ranking.average_precision(groups),
                    ranking.rank1(groups),
                    ranking.precision_at(groups, 10),
                    nearest.min(1),
                ]
            )
        )
    return QueryScores(queries, *np.concatenate(rows, axis=1))


def queries_with_mates(labels: Sequence[str] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Number the identities, and list the images that have a mate.

    Args:
        labels: (N,) names or numbers of people.

    Returns:
        The identity of each image (N,) int64, numbered in ascending order of the labels, and the
        rows (Q,) int64 of images whose identity has at least one other image.
    """
    _, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    return person, np.flatnonzero(count[person] > 1)


def distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Distance of every pair of rows.

    Args:
        a: packed codes (N, B) uint8, unit vectors (N, D), or logits (N, K).
        b: M rows of the same, but codes for logits.

    Returns:
        (N, M) int32 Hamming distances, float32 asymmetric distances, or 1 - cosine similarity.
    """
    if b.dtype != np.uint8:
        return 1.0 - a @ b.T
    return codes.hamming(a, b) if a.dtype == np.uint8 else codes.asymmetric(a, b)


def pair_distances(
    features: np.ndarray, labels: np.ndarray, probes: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Distances of genuine and of impostor pairs, each pair of images once.

    Args:
        features: as of `query_scores`.
        labels: (N,) identity of each image.
        probes: as of `query_scores`; the earlier image of a pair is the probe.

    Returns:
        Distances of same-person and of different-person pairs, two flat arrays; uint16 between
        codes, else float32.
    """
    probes = features if probes is None else probes
    _, person = np.unique(labels, return_inverse=True)
    small = np.uint16 if probes.dtype == np.uint8 else np.float32
    genuine, impostor = [], []
    for start in range(0, len(features), _BLOCK):
        block = probes[start : start + _BLOCK]
        between = distances(block, features[start:]).astype(small)
        rows, columns = np.arange(len(block)), np.arange(len(features) - start)
        once = columns > rows[:, None]
        same = person[start : start + _BLOCK][:, None] == person[start:]
        genuine.append(between[once & same])
        impostor.append(between[once & ~same])
    return np.concatenate(genuine), np.concatenate(impostor)


def _rerank(
    hamming: np.ndarray, valid: np.ndarray, asymmetric: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Sort keys that rank the first `RERANKED` rows by asymmetric distance, before all others.

    A cut through rows of equal Hamming distance takes a random part of them. A store takes those
    with the smallest ids, which are independent of the identity. An evaluation set that is stored
    identity by identity must not profit from its order.
    """
    keys = hamming + asymmetric.max(initial=0.0) + 1.0
    if hamming.shape[1] > RERANKED:
        order = hamming + rng.random(hamming.shape)  # whole bits plus less than one
        order[~valid] = np.inf
        top = np.argpartition(order, RERANKED - 1, axis=1)[:, :RERANKED]
        np.put_along_axis(keys, top, np.take_along_axis(asymmetric, top, axis=1), axis=1)
        return keys
    return asymmetric


def _packed(features: np.ndarray, bits: int) -> np.ndarray:
    if features.dtype == np.uint8:
        return codes.prefix(features, bits)
    if features.ndim != 2 or not 1 <= bits <= features.shape[1]:
        raise ValueError(f"open set: {bits} bits of logits {features.shape}")
    return codes.from_logits(features, bits)


def _scores(
    bits: int,
    rerank: bool,
    scores: QueryScores,
    labels: np.ndarray,
    genuine: np.ndarray,
    impostor: np.ndarray,
    seed: int,
) -> LeaveOneOutScores:
    return LeaveOneOutScores(
        bits=bits,
        rerank=rerank,
        map=float(scores.average_precision.mean()),
        map_ci95=bootstrap.bootstrap_people(
            scores.average_precision, labels[scores.query], seed=seed
        ),
        rank1=float(scores.rank1.mean()),
        precision_at_10=float(scores.precision_at_10.mean()),
        tar_at_far_1e_2=verification.tar_at_far(genuine, impostor, 1e-2).tar,
        tar_at_far_1e_3=verification.tar_at_far(genuine, impostor, 1e-3).tar,
    )
