"""Hamming distance to a probability and to a verdict, fitted on pairs of validation people.

There are hundreds of times more pairs of different people than pairs of one person, and which
proportion a visitor meets is unknown. So the probability is stated for an even prior: before
looking, both answers are equally likely. Both kinds of pairs weigh the same in the fit, and in
the calibration error.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from daah import metrics
from daah.errors import CheckpointError, ConfigError

#: Chance of "same person" before looking at the distance, for which probabilities are stated.
PRIOR = 0.5

#: No number of pairs that anybody measured supports a surer statement than this.
_SURE = 1e-4


@dataclass(frozen=True)
class LengthCalibration:
    """Calibration of one code length.

    probability: bits + 1 numbers in (0, 1), never rising, indexed by distance.
    threshold: largest distance that counts as the same person; -1 when none keeps the rate.
    far, tar: share of different-person and of same-person pairs of the fit within the threshold.
    genuine, impostor: how many pairs of each kind the fit saw.
    """

    probability: tuple[float, ...]
    threshold: int
    far: float
    tar: float
    genuine: int
    impostor: int

    def __post_init__(self) -> None:
        falling = all(a >= b for a, b in itertools.pairwise(self.probability))
        if len(self.probability) < 2 or not falling:
            raise ValueError("probability: expected one number a distance, never rising")
        if not (self.probability[-1] > 0 and self.probability[0] < 1):
            raise ValueError("probability: expected numbers strictly between 0 and 1")
        if not -1 <= self.threshold < len(self.probability):
            raise ValueError(f"threshold: {self.threshold} is no distance of this length")
        if not (0 <= self.far <= 1 and 0 <= self.tar <= 1):
            raise ValueError(f"rates: expected shares in [0, 1], got {self.far} and {self.tar}")
        if self.genuine < 1 or self.impostor < 1:
            raise ValueError(f"pairs: expected both kinds, got {self.genuine}, {self.impostor}")


@dataclass(frozen=True)
class Calibration:
    """Distance to probability and verdict for each calibrated code length.

    target_far: false accept rate that every threshold keeps on the pairs of the fit.
    """

    target_far: float
    by_bits: Mapping[int, LengthCalibration]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Calibrated code lengths, ascending."""
        return tuple(sorted(self.by_bits))

    def probability(self, distance: int, bits: int) -> float:
        """Chance in (0, 1) that two faces at this distance are one person, for an even prior.

        Raises ConfigError for a length that is not calibrated, ValueError for no such distance.
        """
        table = self._length(bits).probability
        if not 0 <= distance <= bits:
            raise ValueError(f"distance: expected 0 to {bits}, got {distance}")
        return table[int(distance)]

    def threshold(self, bits: int) -> int:
        """Largest distance that still counts as the same person, -1 when none does."""
        return self._length(bits).threshold

    def probabilities(self, distances: np.ndarray, bits: int) -> np.ndarray:
        """`probability` of many distances (N,) at once: (N,) float64."""
        return np.asarray(self._length(bits).probability)[np.asarray(distances, np.int64)]

    def _length(self, bits: int) -> LengthCalibration:
        if bits not in self.by_bits:
            raise ConfigError(f"{bits} bits are not calibrated; calibrated are {self.lengths}")
        return self.by_bits[bits]

    @classmethod
    def fit(
        cls, distances: Mapping[int, tuple[np.ndarray, np.ndarray]], far: float = 1e-3
    ) -> Calibration:
        """Fit each code length from its pairs: bits -> (same-person, different-person) distances.

        Raises ValueError for a length without pairs of both kinds.
        """
        return cls(far, {bits: _fit(bits, *pairs, far) for bits, pairs in distances.items()})

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back."""
        return {
            "prior": PRIOR,
            "target_far": self.target_far,
            "lengths": {
                str(bits): {**vars(self.by_bits[bits])}
                | {"probability": list(self.by_bits[bits].probability)}
                for bits in self.lengths
            },
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Calibration:
        """Read what `to_dict` wrote. Raises CheckpointError for anything else."""
        try:
            _keys(values, {"prior", "target_far", "lengths"})
            if values["prior"] != PRIOR:
                raise ValueError(f"prior: expected {PRIOR}, got {values['prior']}")
            by_bits = {}
            for bits, entry in values["lengths"].items():
                _keys(entry, set(LengthCalibration.__dataclass_fields__))
                by_bits[int(bits)] = LengthCalibration(
                    tuple(float(p) for p in entry["probability"]),
                    int(entry["threshold"]),
                    float(entry["far"]),
                    float(entry["tar"]),
                    int(entry["genuine"]),
                    int(entry["impostor"]),
                )
                if len(entry["probability"]) != int(bits) + 1:
                    raise ValueError(f"{bits} bits: {len(entry['probability'])} probabilities")
            return cls(float(values["target_far"]), by_bits)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"The checkpoint's calibration is damaged ({error}). Fetch the checkpoint again."
            ) from error


def calibration_error(
    calibration: Calibration, bits: int, genuine: np.ndarray, impostor: np.ndarray, bins: int = 15
) -> metrics.Reliability:
    """Reliability of the stated probabilities on other pairs, both kinds weighing the same.

    genuine, impostor: distances (any,) in bits. Its `error` is the expected calibration error.
    """
    said = calibration.probabilities(np.concatenate([genuine, impostor]), bits)
    same = np.repeat([True, False], [len(genuine), len(impostor)])
    weight = np.where(same, PRIOR / len(genuine), (1 - PRIOR) / len(impostor))
    return metrics.reliability(said, same, bins, weight)


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
    """Weights of both kinds at each distance (bits + 1,) to a falling probability (bits + 1,).

    Isotonic regression follows the pairs where there are many, but says exactly 0 and 1 beyond
    them and steps where they are few. One pseudo-pair at every distance, split as a logistic fit
    says, carries the curve through both.
    """
    # Loading it takes two seconds, which every search would pay and only a fit needs.
    from sklearn.isotonic import IsotonicRegression
    from sklearn.linear_model import LogisticRegression

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


def _keys(values: Mapping[str, Any], expected: set[str]) -> None:
    if set(values) != expected:
        raise ValueError(f"expected the keys {sorted(expected)}, got {sorted(values)}")
