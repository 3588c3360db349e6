"""Protocol 2: queries and database share their people. Scores of codes, and of a checkpoint.

Axes: Q = queries, N = database images, K = hash bits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daah import codes, metrics
from daah.data.face_set import FaceSet, closed_split, load_faces
from daah.errors import ConfigError
from daah.models.encoder import FaceEncoder

#: Numbers of results at which precision is reported.
AT = (1, 5, 10, 20, 50)


@dataclass(frozen=True, eq=False)
class ClosedSetScores:
    """Means over the queries, each the expectation over the orders of ties.

    precision_radius2: among results within two bits, a query that finds none counting as 0.
    precision_at: by number of results. curve: precision and recall at every distance.
    """

    map: float
    precision_radius2: float
    precision_at: dict[int, float]
    curve: metrics.PrecisionRecall

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "map": self.map,
            "rank1": self.precision_at[1],
            "precision_radius2": self.precision_radius2,
            "precision_at": {str(k): v for k, v in self.precision_at.items()},
        }


def score_codes(
    query: np.ndarray, database: np.ndarray, own: np.ndarray, theirs: np.ndarray
) -> ClosedSetScores:
    """Rank database logits (N, K) for query logits (Q, K) by the Hamming distance of their signs.

    own (Q,), theirs (N,): who is on each image, in the same numbering.
    """
    packed = [codes.pack(codes.sign(logits)) for logits in (query, database)]
    return score_distances(codes.hamming(*packed), own, theirs)


def score_distances(distance: np.ndarray, own: np.ndarray, theirs: np.ndarray) -> ClosedSetScores:
    """The same for any distance (Q, N); radius 2 has no meaning for floats."""
    groups = metrics.tie_groups(distance, own[:, None] == theirs[None, :])
    return ClosedSetScores(
        float(metrics.average_precision(groups).mean()),
        float(metrics.precision_within(groups, 2).mean()),
        {k: float(metrics.precision_at(groups, k).mean()) for k in AT},
        metrics.precision_recall(groups),
    )


@dataclass(frozen=True)
class ClosedSetReport:
    """What `evaluate_closed` found; results: bits to scores."""

    people: int
    database: int
    queries: int
    seed: int
    results: dict[int, ClosedSetScores]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "protocol": "closed-set",
            "people": self.people,
            "images": self.database + self.queries,
            "database": self.database,
            "queries": self.queries,
            "seed": self.seed,
            "results": [{"bits": b, **s.to_dict()} for b, s in self.results.items()],
        }


def evaluate_closed(
    encoder: FaceEncoder,
    data: Sequence[Path],
    bits: Sequence[int] = (),
    seed: int = 0,
    minimum: int = 20,
    maximum: int = 100,
    progress: Callable[[int, int, str], None] | None = None,
) -> ClosedSetReport:
    """Protocol 2 of a checkpoint on prepared trees of aligned faces.

    seed, minimum, maximum: of `daah.data.face_set.closed_split`, the same as in training. Raises
    ConfigError for a length the checkpoint does not have, DataError for data that does not fit.
    """
    lengths = tuple(bits) or encoder.lengths
    unknown = sorted(set(lengths) - set(encoder.lengths))
    if unknown:
        raise ConfigError(f"{encoder.name} has codes of {encoder.lengths} bits, not of {unknown}")
    faces = load_faces(data)
    split = closed_split(faces, seed, minimum, maximum)

    def encode(indices: np.ndarray, what: str) -> np.ndarray:
        parts = []
        for start in range(0, len(indices), 64):
            parts.append(encoder.encode(faces.images[indices[start : start + 64]])[0])
            if progress is not None:
                progress(min(start + 64, len(indices)), len(indices), what)
        return np.concatenate(parts)

    query, database = encode(split.query, "queries"), encode(split.train, "database")
    own, theirs = faces.labels[split.query], faces.labels[split.train]
    return ClosedSetReport(
        people=len(np.unique(theirs)),
        database=len(theirs),
        queries=len(own),
        seed=seed,
        results={b: score_codes(query[:, :b], database[:, :b], own, theirs) for b in lengths},
    )


def split_faces(
    faces: FaceSet, seed: int = 0, minimum: int = 20, maximum: int = 100
) -> tuple[FaceSet, FaceSet]:
    """Database and queries of protocol 2, with the same people in the same order."""
    split = closed_split(faces, seed, minimum, maximum)
    return faces.subset(split.train), faces.subset(split.query)
