"""Calibration of a checkpoint on identities that are not in the training set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from daah import codes, metrics
from daah.data.labelled_faces import LabelledFaces
from daah.evaluation.encoding import count_queries, encode_faces
from daah.evaluation.face_quality import fit_quality, fit_shifts, hard_searches, search_faces
from daah.evaluation.search_limits import fit_search_limits
from daah.metrics.leave_one_out import pair_distances
from daah.models.calibration import PRIOR, Calibration, LengthCalibration
from daah.models.encoder import Encoder
from daah.parallel import Progress

#: Probabilities are clipped to [1e-4, 1 - 1e-4]; no realistic number of pairs supports a more
#: extreme estimate.
_SURE = 1e-4


def calibrate(
    encoder: Encoder,
    faces: LabelledFaces,
    far: float = 1e-3,
    progress: Progress | None = None,
    kept_out: LabelledFaces | None = None,
    sample: int = 1000,
) -> Calibration:
    """Fit probability, threshold and limits of searches of every code length, and quality.

    Args:
        encoder: the encoder.
        faces: of `data.labelled_faces.read_faces`; neither identities of the training set nor those
            that results are reported on.
        far: false accept rate that every threshold of pairs keeps.
        progress: called with batches done, their number, and the step.
        kept_out: photos of still other people, by which the quality of faces is fitted; None leaves
            it out. Then `faces` must be photos too, not aligned crops.
        sample: photos of `faces` that are copied with each flaw, for limits of their own.

    Returns:
        The calibration of all lengths of the encoder.

    Raises:
        DataError: there are fewer than two identities, or none has two photos; or the searches of
            the fit of quality are too few, or all succeed or fail.
    """
    count_queries(faces.labels)
    if kept_out is None:
        logits = encode_faces(encoder, faces.aligned, progress)
    else:
        everything = search_faces(encoder, faces, np.arange(len(faces)), progress=progress)
        logits = everything.logits
    pairs = fit_calibration(
        {
            bits: pair_distances(codes.from_logits(logits, bits), faces.labels)
            for bits in encoder.lengths
        },
        far,
    )
    searches = {
        distance: {
            bits: fit_search_limits(logits, faces.labels, bits, distance)
            for bits in encoder.lengths
        }
        for distance in ("hamming", "asymmetric")
    }
    if kept_out is None:
        return replace(pairs, searches=searches)
    quality = fit_quality(encoder, kept_out, searches["hamming"], progress)
    hard = hard_searches(encoder, faces, everything, sample, progress=progress)
    quality = fit_shifts(quality, hard, logits, faces.labels, searches["hamming"])
    return replace(pairs, searches=searches, quality=quality)


def calibration_error(
    calibration: Calibration, bits: int, genuine: np.ndarray, impostor: np.ndarray, bins: int = 15
) -> metrics.Reliability:
    """Reliability of calibrated probabilities on other pairs, weighted to the prior of `PRIOR`.

    Args:
        calibration: the calibration.
        bits: code length.
        genuine: Hamming distances of same-person pairs, (any,).
        impostor: Hamming distances of different-person pairs, (any,).
        bins: number of equal-width bins.

    Returns:
        The reliability diagram; its `error` is the expected calibration error.
    """
    said = calibration.probabilities(np.concatenate([genuine, impostor]), bits)
    same = np.repeat([True, False], [len(genuine), len(impostor)])
    weight = np.where(same, PRIOR / len(genuine), (1 - PRIOR) / len(impostor))
    return metrics.reliability_bins(said, same, bins, weight)


def fit_calibration(
    distances: Mapping[int, tuple[np.ndarray, np.ndarray]], far: float = 1e-3
) -> Calibration:
    """Fit the calibration of each code length from distances of pairs.

    Args:
        distances: Hamming distances of same-person and of different-person pairs, by code length.
        far: false accept rate that every threshold keeps on these pairs.

    Returns:
        Probability by distance and the threshold, for each length.

    Raises:
        ValueError: a length has no pairs of one kind, or a distance above its number of bits.
    """
    by_bits = {bits: _fit(bits, *pairs, far) for bits, pairs in distances.items()}
    return Calibration(far, by_bits)


def _fit(bits: int, genuine: np.ndarray, impostor: np.ndarray, far: float) -> LengthCalibration:
    genuine, impostor = np.ravel(genuine), np.ravel(impostor)
    if not len(genuine) or not len(impostor):
        raise ValueError(
            f"calibration at {bits} bits: {len(genuine)} same-person and {len(impostor)} "
            f"different-person pairs; both kinds are needed"
        )
    same = np.bincount(genuine, minlength=bits + 1).astype(np.float64)  # (bits + 1,)
    other = np.bincount(impostor, minlength=bits + 1).astype(np.float64)
    if len(same) > bits + 1 or len(other) > bits + 1:
        raise ValueError(f"calibration at {bits} bits: a distance is larger than {bits}")
    within = np.cumsum(other) / other.sum()
    threshold = int(np.searchsorted(within, far * (1 + 1e-12), side="right")) - 1
    probability = _monotone(same, other * (same.sum() / other.sum()))
    return LengthCalibration(
        probability=tuple(float(p) for p in probability),
        threshold=threshold,
        far=float(within[threshold]) if threshold >= 0 else 0.0,
        tar=float(same[: threshold + 1].sum() / same.sum()),
        genuine=len(genuine),
        impostor=len(impostor),
    )


def _monotone(same: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Weights of both kinds at each distance (bits + 1,) to a non-increasing probability.

    Isotonic regression fits well where there are many pairs, but gives exactly 0 or 1 beyond them
    and steps where they are few. One pseudo-pair at every distance, split by a logistic fit,
    regularises both.
    """
    distance = np.arange(len(same))
    column = distance[:, None] / (len(same) - 1)
    logistic = LogisticRegression(C=100.0).fit(
        np.concatenate([column, column]),
        np.repeat([1, 0], len(same)),
        sample_weight=np.concatenate([same, other]),
    )
    guess = np.minimum.accumulate(logistic.predict_proba(column)[:, 1])
    weight = same + other + 1.0
    isotonic = IsotonicRegression(increasing=False)
    fitted = isotonic.fit_transform(distance, (same + guess) / weight, sample_weight=weight)
    return np.minimum.accumulate(np.clip(np.round(fitted, 6), _SURE, 1 - _SURE))
