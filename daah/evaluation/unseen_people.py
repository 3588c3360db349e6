"""Protocol 1: any encoder on labelled faces to a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daah.data.labelled_faces import LabelledFaces
from daah.evaluation.encoding import check_lengths, count_queries, encode_faces
from daah.metrics.leave_one_out import LeaveOneOutScores, leave_one_out
from daah.models.encoder import Encoder
from daah.parallel import Progress


@dataclass(frozen=True)
class Report:
    """Protocol 1 of one checkpoint on one tree.

    images, people: of the whole tree. undetected: images without a face; they are in no figure
    below. queries: images that were searched with. name, recipe, sha256: of the checkpoint.
    skipped: every undetected image with the reason, for the person who runs it.
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
        """What `evaluate` prints as JSON."""
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
    """Measure an encoder on people that training never saw.

    Args:
        encoder: what is measured.
        faces: of `data.labelled_faces.read_faces`; several encoders may share one detection.
        bits: code lengths; by default all of the encoder's.
        progress: called with batches done, of how many, and what.

    Returns:
        The scores of every length, ranked by Hamming distance and re-ranked.

    Raises:
        ConfigError: the encoder has no codes of such a length.
        DataError: there is nobody to search for.
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
            leave_one_out(logits, faces.labels, length, rerank)
            for length in lengths
            for rerank in (False, True)
        ),
        skipped=faces.skipped,
    )
