"""Protocol 3: what happens when the gallery does not know the person who is searched for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daah import codes, metrics
from daah.evaluation.calibrate import calibration_error, fit_calibration
from daah.metrics.leave_one_out import pair_distances, query_scores
from daah.models.calibration import Calibration


@dataclass(frozen=True, eq=False)
class OpenSetIdentification:
    """Identification with half of the people enrolled and the other half strangers.

    enrolled, strangers: people. enrolled_searches: images of enrolled people with two or more,
    each searched among all other enrolled images. stranger_searches: all images of strangers.
    curve: false positive against false negative identification rate at every distance.
    threshold: the shipped one, with its fpir and fnir here.
    reliability: the shipped probabilities on all pairs of these people, an even prior.
    held_out: the same for probabilities fitted on the enrolled people's pairs and tried on the
    strangers', which tells the error of the method when the shipped fit saw these very people.
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
        """Plain JSON values, the curve included."""
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
    """Enrol a random half of the people and search for everybody.

    logits: (N, K). labels: (N,). seed: draws the half. Raises ConfigError when the length is not
    calibrated, ValueError when a half has no pair of images of one person.
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
