"""Protocol 1: leave-one-out retrieval and verification of an encoder on unseen identities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daah.data.labelled_faces import LabelledFaces
from daah.evaluation.encoding import check_lengths, count_queries, encode_faces
from daah.metrics.leave_one_out import Distance, LeaveOneOutScores, leave_one_out
from daah.models.encoder import Encoder
from daah.parallel import Progress

#: Whether the first rows are re-ranked, and the distance, of each row of results.
_WAYS: tuple[tuple[bool, Distance], ...] = (
    (False, "hamming"),
    (True, "hamming"),
    (False, "asymmetric"),
)


@dataclass(frozen=True)
class Report:
    """Protocol 1 of one checkpoint on one tree.

    Attributes:
        images: images in the tree.
        people: people in the tree.
        queries: images with a mate, which are searched with.
        undetected: images without a face, which are in no other figure below `people`.
        name: name of the checkpoint.
        recipe: recipe of the checkpoint.
        sha256: fingerprint of the checkpoint's weights.
        results: scores by code length, re-ranking and distance.
        skipped: undetected images, each with the reason.
    """

    images: int
    people: int
    queries: int
    undetected: int
    name: str
    recipe: str
    sha256: str
    results: tuple[LeaveOneOutScores, ...]
    skipped: tuple[tuple[Path, str], ...] = ()

    def to_dict(self) -> dict[str, object]:
        """The report as plain JSON values, as `evaluate` prints it."""
        return {
            "protocol": "open-set",
            "images": self.images,
            "people": self.people,
            "queries": self.queries,
            "undetected": self.undetected,
            "checkpoint": {"name": self.name, "recipe": self.recipe, "sha256": self.sha256},
            "results": [scores.to_dict() for scores in self.results],
        }


def evaluate(
    encoder: Encoder,
    faces: LabelledFaces,
    bits: Sequence[int] = (),
    progress: Progress | None = None,
) -> Report:
    """Evaluate an encoder on identities that are not in the training set.

    Args:
        encoder: the encoder.
        faces: of `data.labelled_faces.read_faces`; several encoders may share one detection.
        bits: code lengths; () takes all of the encoder's.
        progress: called with batches done, their number, and the step.

    Returns:
        The scores of every length, by Hamming distance, re-ranked, and by asymmetric distance.

    Raises:
        ConfigError: the encoder has no codes of one of the lengths.
        DataError: there are no queries (see `count_queries`).
    """
    lengths = check_lengths(encoder, bits)
    queries = count_queries(faces.labels)
    logits = encode_faces(encoder, faces.aligned, progress)
    return Report(
        images=faces.photos,
        people=faces.people,
        queries=queries,
        undetected=len(faces.skipped),
        name=encoder.name,
        recipe=encoder.recipe,
        sha256=encoder.fingerprint,
        results=tuple(
            leave_one_out(logits, faces.labels, length, rerank, distance=distance)
            for length in lengths
            for rerank, distance in _WAYS
        ),
        skipped=faces.skipped,
    )
