"""Hamming distance to a probability and to a verdict: the lookup that a checkpoint carries.

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

from daah.errors import CheckpointError, ConfigError

#: Chance of "same person" before looking at the distance, for which probabilities are stated.
PRIOR = 0.5


@dataclass(frozen=True)
class LengthCalibration:
    """Calibration of one code length.

    Attributes:
        probability: bits + 1 numbers in (0, 1), never rising, indexed by distance.
        threshold: largest distance that counts as the same person; -1 when none keeps the rate.
        far: share of different-person pairs of the fit within the threshold.
        tar: share of same-person pairs of the fit within the threshold.
        genuine: same-person pairs that the fit saw.
        impostor: different-person pairs that the fit saw.

    Raises:
        ValueError: a probability that rises, a rate outside [0, 1], or no pairs of one kind.
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

    Attributes:
        target_far: false accept rate that every threshold keeps on the pairs of the fit.
        by_bits: the calibration of each length in bits.
    """

    target_far: float
    by_bits: Mapping[int, LengthCalibration]

    @property
    def lengths(self) -> tuple[int, ...]:
        """Calibrated code lengths, ascending."""
        return tuple(sorted(self.by_bits))

    def probability(self, distance: int, bits: int) -> float:
        """Chance that two faces at this distance are one person, for an even prior.

        Args:
            distance: Hamming distance, 0 to bits.
            bits: code length.

        Returns:
            A probability in (0, 1).

        Raises:
            ConfigError: the length is not calibrated.
            ValueError: there is no such distance.
        """
        table = self._length(bits).probability
        if not 0 <= distance <= bits:
            raise ValueError(f"distance: expected 0 to {bits}, got {distance}")
        return table[int(distance)]

    def threshold(self, bits: int) -> int:
        """The threshold of a code length.

        Args:
            bits: code length.

        Returns:
            Largest distance that still counts as the same person, -1 when none does.
        """
        return self._length(bits).threshold

    def probabilities(self, distances: np.ndarray, bits: int) -> np.ndarray:
        """`probability` of many distances at once.

        Args:
            distances: (N,) Hamming distances, 0 to bits.
            bits: code length.

        Returns:
            (N,) float64 in (0, 1).
        """
        return np.asarray(self._length(bits).probability)[np.asarray(distances, np.int64)]

    def _length(self, bits: int) -> LengthCalibration:
        if bits not in self.by_bits:
            raise ConfigError(f"{bits} bits are not calibrated; calibrated are {self.lengths}")
        return self.by_bits[bits]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back.

        Returns:
            The prior, the target rate, and each length's numbers.
        """
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
        """Read what `to_dict` wrote.

        Args:
            values: plain JSON values.

        Returns:
            The calibration.

        Raises:
            CheckpointError: anything else than what `to_dict` writes.
        """
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


def _keys(values: Mapping[str, Any], expected: set[str]) -> None:
    if set(values) != expected:
        raise ValueError(f"expected the keys {sorted(expected)}, got {sorted(values)}")
