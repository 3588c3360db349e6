"""Protocol 3: open-set identification, with searches for identities that are not enrolled."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daah import codes, metrics
from daah.evaluation.calibrate import calibration_error, fit_calibration
from daah.metrics.leave_one_out import pair_distances, query_scores
from daah.models.calibration import Calibration


@dataclass(frozen=True, eq=False)
class OpenSetIdentification:
    """Open-set identification with a random half of the identities enrolled.

    Attributes:
        bits: code length.
        enrolled: enrolled identities.
        strangers: identities that are not enrolled.
        enrolled_searches: mated searches: images of enrolled identities that have a mate, each
            searched among all other enrolled images.
        stranger_searches: non-mated searches: all images of the other identities.
        curve: FPIR and FNIR at every distance.
        threshold: the shipped threshold, in bits.
        fpir: false positive identification rate at this threshold.
        fnir: false negative identification rate at this threshold.
        reliability: reliability of the shipped probabilities on all pairs of these identities.
        held_out: reliability of probabilities fitted on the enrolled half and tested on the other.
            It estimates the error of the method when the shipped calibration was fitted on these
            very identities.
    """

    bits: int
    enrolled: int
    strangers: int
    enrolled_searches: int
    stranger_searches: int
    curve: metrics.Identification
    threshold: int
    fpir: float
    fnir: float
    reliability: metrics.Reliability
    held_out: metrics.Reliability

    def to_dict(self) -> dict[str, object]:
        """The report as plain JSON values, with the curve."""
        return {
            "protocol": "unknown-people",
            "bits": self.bits,
            "enrolled": self.enrolled,
            "strangers": self.strangers,
            "enrolled_searches": self.enrolled_searches,
            "stranger_searches": self.stranger_searches,
            "threshold": self.threshold,
            "fpir": self.fpir,
            "fnir": self.fnir,
            "calibration_error": self.reliability.error,
            "calibration_error_held_out": self.held_out.error,
            "curve": {
                "threshold": self.curve.threshold.astype(int).tolist(),
                "fpir": self.curve.fpir.tolist(),
                "fnir": self.curve.fnir.tolist(),
            },
        }


def open_set_identification(
    logits: np.ndarray, labels: np.ndarray, bits: int, calibration: Calibration, seed: int = 0
) -> OpenSetIdentification:
    """Enrol a random half of the identities and search with all images.

    Args:
        logits: (N, K).
        labels: (N,) identity of each face.
        bits: code length.
        calibration: the shipped calibration.
        seed: seed of the choice of the half.

    Returns:
        The rates.

    Raises:
        ConfigError: the length is not calibrated.
        ValueError: one half has no pair of images of one identity, or only one identity.
    """
    packed, labels = codes.from_logits(logits, bits), np.asarray(labels)
    threshold = calibration.threshold(bits)
    people = np.random.default_rng(seed).permutation(np.unique(labels))
    half = people[: len(people) // 2]
    inside = np.isin(labels, half)
    searches = query_scores(packed[inside], labels[inside])
    stranger_nearest = codes.hamming(packed[~inside], packed[inside]).min(1)
    curve = metrics.identification_rates(searches.nearest, searches.rank1, stranger_nearest)
    own = pair_distances(packed[inside], labels[inside])
    return OpenSetIdentification(
        bits=bits,
        enrolled=len(half),
        strangers=len(people) - len(half),
        enrolled_searches=len(searches.query),
        stranger_searches=len(stranger_nearest),
        curve=curve,
        threshold=threshold,
        fpir=float((stranger_nearest <= threshold).mean()),
        fnir=float(1 - (searches.rank1 * (searches.nearest <= threshold)).mean()),
        reliability=calibration_error(calibration, bits, *pair_distances(packed, labels)),
        held_out=calibration_error(
            fit_calibration({bits: own}), bits, *pair_distances(packed[~inside], labels[~inside])
        ),
    )
