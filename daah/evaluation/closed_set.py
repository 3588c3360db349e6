"""Protocol 2: queries and database share their people. Scores of codes, and of a checkpoint.

Axes: Q = queries, N = database images, K = hash bits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from daah.data.face_set import FaceSet, load_faces
from daah.data.splits import closed_split
from daah.evaluation.encoding import check_lengths, encode_faces
from daah.metrics.query_database import ClosedSetScores, score_codes
from daah.models.encoder import Encoder
from daah.parallel import Progress


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
    encoder: Encoder,
    data: Sequence[Path],
    bits: Sequence[int] = (),
    seed: int = 0,
    minimum: int = 20,
    maximum: int = 100,
    progress: Progress | None = None,
) -> ClosedSetReport:
    """Protocol 2 of a checkpoint on prepared trees of aligned faces.

    seed, minimum, maximum: of `daah.data.splits.closed_split`, the same as in training. Raises
    ConfigError for a length the checkpoint does not have, DataError for data that does not fit.
    """
    lengths = check_lengths(encoder, bits)
    faces = load_faces(data)
    split = closed_split(faces, seed, minimum, maximum)

    query, database = (
        encode_faces(encoder, faces.images[rows], progress) for rows in (split.query, split.train)
    )
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
