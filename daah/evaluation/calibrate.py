"""Fitting a checkpoint's calibration on a tree of people that training never saw."""

from __future__ import annotations

from pathlib import Path

from daah import codes
from daah.data.labelled_faces import detect_faces, read_aligned
from daah.detection.detector import FaceDetector
from daah.evaluation.unseen_people import count_queries, encode_faces
from daah.metrics.leave_one_out import pair_distances
from daah.models.calibration import Calibration
from daah.models.encoder import FaceEncoder
from daah.parallel import Progress


def calibrate(
    encoder: FaceEncoder,
    images_dir: Path,
    aligned: bool = False,
    far: float = 1e-3,
    detector: FaceDetector | None = None,
    progress: Progress | None = None,
    fold: int | None = None,
) -> Calibration:
    """Fit distance to probability and the threshold of every code length on all pairs of a tree.

    fold: 0 to 4 takes the people of that fold alone.
    far: share of different-person pairs that the threshold lets pass. The tree's people must be
    neither those of training nor those whose figures are reported. Raises DataError for a tree
    without two people, or without two photos of somebody.
    """
    if aligned:
        faces = read_aligned(images_dir, progress, fold)
    else:
        faces = detect_faces(images_dir, detector, progress, fold)
    count_queries(faces.labels)
    logits = encode_faces(encoder, faces.aligned, progress)
    return Calibration.fit(
        {
            bits: pair_distances(codes.pack(codes.sign(logits[:, :bits])), faces.labels)
            for bits in encoder.lengths
        },
        far,
    )
