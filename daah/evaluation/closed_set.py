"""Protocol 2: closed-set retrieval, where queries and database have the same identities.

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
    """Protocol 2 of one checkpoint.

    Attributes:
        people: identities.
        database: database images.
        queries: query images.
        seed: seed of the split.
        results: scores by code length.
    """

    people: int
    database: int
    queries: int
    seed: int
    results: dict[int, ClosedSetScores]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values."""
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
    """Evaluate an encoder by protocol 2 on prepared trees of aligned faces.

    Args:
        encoder: the encoder.
        data: the trees.
        bits: code lengths; () takes all of the encoder's.
        seed: as of `closed_split`; the same as in training.
        minimum: as of `closed_split`; the same as in training.
        maximum: as of `closed_split`; the same as in training.
        progress: called with batches done, their number, and the step.

    Returns:
        The report.

    Raises:
        ConfigError: the encoder has no codes of one of the lengths.
        DataError: a tree cannot be read, or no identity has `minimum` images.
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
    """Database and queries of protocol 2, with the same identities in the same order.

    Args:
        faces: the set.
        seed: as of `closed_split`.
        minimum: as of `closed_split`.
        maximum: as of `closed_split`.

    Returns:
        Database and queries.

    Raises:
        DataError: no identity has `minimum` images.
    """
    split = closed_split(faces, seed, minimum, maximum)
    return faces.subset(split.train), faces.subset(split.query)
