"""Protocol 1 on a folder of photos: any hasher to a report. One path for ours and the baselines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from daah.data.labelled_faces import LabelledFaces, detect_faces, read_aligned
from daah.detection.detector import FaceDetector
from daah.errors import ConfigError, DataError
from daah.metrics.leave_one_out import OpenSetScores, open_set, open_set_floats
from daah.parallel import Progress, in_order

__all__ = [
    "Hasher",
    "OpenSetScores",
    "Report",
    "encode_faces",
    "evaluate",
    "evaluate_faces",
    "open_set",
    "open_set_floats",
]

#: Faces encoded at once; larger batches are no faster on one core.
BATCH = 64


class Hasher(Protocol):
    """Whatever turns aligned faces into logits: `FaceEncoder`, or a baseline in its place.

    name, recipe, fingerprint: what the report calls it. lengths: prefixes that are codes.
    """

    name: str
    recipe: str
    fingerprint: str
    lengths: tuple[int, ...]

    def encode(self, aligned: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Faces (B, 150, 150, 3) uint8 to logits (B, K) float32, and masks (B, 150, 150)."""


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
    results: tuple[OpenSetScores, ...]
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
    encoder: Hasher,
    images_dir: Path,
    aligned: bool = False,
    bits: Sequence[int] = (),
    detector: FaceDetector | None = None,
    progress: Progress | None = None,
    fold: int | None = None,
) -> Report:
    """Measure a hasher on a folder-per-person tree of people that training never saw.

    aligned: the tree holds 150x150 crops, not photos. bits: code lengths, default all of the
    hasher's. fold: 0 to 4 takes the people of that fold alone. Raises ConfigError for a length that
    it does not have, DataError for a tree that holds nothing to measure.
    """
    _check_lengths(encoder, bits)  # before minutes of detection
    if aligned:
        faces = read_aligned(images_dir, progress, fold)
    else:
        faces = detect_faces(images_dir, detector, progress, fold)
    return evaluate_faces(encoder, faces, bits, progress)


def evaluate_faces(
    encoder: Hasher,
    faces: LabelledFaces,
    bits: Sequence[int] = (),
    progress: Progress | None = None,
) -> Report:
    """The same for faces that are read already, so that several hashers share one detection."""
    lengths = _check_lengths(encoder, bits)
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
            open_set(logits, faces.labels, length, rerank)
            for length in lengths
            for rerank in (False, True)
        ),
        skipped=faces.skipped,
    )


def encode_faces(
    encoder: Hasher, aligned: np.ndarray, progress: Progress | None = None
) -> np.ndarray:
    """Aligned faces (N, 150, 150, 3) uint8 to logits (N, K) float32.

    Two batches are encoded at a time, so the encoder must hold no state.
    """
    batches = [aligned[start : start + BATCH] for start in range(0, len(aligned), BATCH)]

    def encode(batch: np.ndarray) -> np.ndarray:
        return encoder.encode(batch)[0]

    return np.concatenate(list(in_order(encode, batches, "Encoding", progress)))


def count_queries(labels: np.ndarray) -> int:
    """Faces of people with two or more; DataError when there are none, or nobody else."""
    _, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    queries = int((count[person] > 1).sum())
    if not queries or len(count) < 2:
        raise DataError(
            f"{len(labels)} faces of {len(count)} people: a search needs somebody with two faces, "
            "and somebody else to be told from"
        )
    return queries


def _check_lengths(encoder: Hasher, bits: Sequence[int]) -> tuple[int, ...]:
    lengths = tuple(dict.fromkeys(bits)) or encoder.lengths
    unknown = [length for length in lengths if length not in encoder.lengths]
    if unknown:
        raise ConfigError(
            f"{encoder.name} has no codes of {unknown} bits; its lengths are {encoder.lengths}"
        )
    return lengths
