"""Protocol 1 on a folder of photos: any encoder to a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from daah.data.labelled_faces import LabelledFaces, detect_faces, read_aligned
from daah.detection.detector import FaceDetector
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
    images_dir: Path,
    aligned: bool = False,
    bits: Sequence[int] = (),
    detector: FaceDetector | None = None,
    progress: Progress | None = None,
    fold: int | None = None,
) -> Report:
    """Measure an encoder on a folder-per-person tree of people that training never saw.

    aligned: the tree holds 150x150 crops, not photos. bits: code lengths, default all of the
    encoder's. fold: 0 to 4 takes the people of that fold alone. Raises ConfigError for a length
    that it does not have, DataError for a tree that holds nothing to measure.
    """
    check_lengths(encoder, bits)  # before minutes of detection
    if aligned:
        faces = read_aligned(images_dir, progress, fold)
    else:
        faces = detect_faces(images_dir, detector, progress, fold)
    return evaluate_faces(encoder, faces, bits, progress)


def evaluate_faces(
    encoder: Encoder,
    faces: LabelledFaces,
    bits: Sequence[int] = (),
    progress: Progress | None = None,
) -> Report:
    """The same for faces that are read already, so that several encoders share one detection."""
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
