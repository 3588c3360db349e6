"""Distance to a probability and to a verdict: the lookup tables that a checkpoint carries.

A pair of photos (Compare) is judged by `LengthCalibration`. A search is judged by `SearchLimits`:
the nearest of many people is near by chance, the nearer the more people there are, so its limit
depends on the size of the gallery.

There are hundreds of times more pairs of different people than pairs of one person, and which
proportion a visitor meets is unknown. So the probability is stated for an even prior: before
looking, both answers are equally likely. Both kinds of pairs weigh the same in the fit, and in
the calibration error.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from daah.errors import CheckpointError, ConfigError
from daah.models.quality import QualityModel, Shift
from daah.types import Verdict

#: Chance of "same person" before looking at the distance, for which probabilities are stated.
PRIOR = 0.5

#: False positive identification rate of a match.
FPIR = 0.01

#: False positive identification rates whose limits are known.
FPIR_LEVELS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)

#: Sizes of galleries whose limits are known: 2^0 to 2^30 people.
SIZES = 31

_UNCHANGED = Shift()


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
class SearchLimits:
    """Largest distance of a match in a search, by the gallery's number of people.

    Attributes:
        limits: for each false positive identification rate of `FPIR_LEVELS`, 31 distances in bits:
            in galleries of 2^0, 2^1 ... 2^30 people, at most this share of the searches for
            somebody who is not enrolled find anybody so near. -1 if no distance keeps the rate.
        mated: distance in bits that one in twenty photos of an enrolled person exceeds.
        people: number of people of the fit.
        searches: number of searches of the fit.

    Raises:
        ValueError: another number of limits, or limits that rise with the number of people.
    """

    limits: tuple[tuple[float, ...], ...]
    mated: float
    people: int
    searches: int

    def __post_init__(self) -> None:
        if len(self.limits) != len(FPIR_LEVELS) or any(len(r) != SIZES for r in self.limits):
            raise ValueError(f"limits: expected {len(FPIR_LEVELS)} rows of {SIZES}")
        if any(a < b for row in self.limits for a, b in itertools.pairwise(row)):
            raise ValueError("limits: expected distances that never rise with the gallery's size")
        if self.people < 2 or self.searches < 1:
            raise ValueError(f"expected people and searches, got {self.people}, {self.searches}")

    def limit(self, people: int, fpir: float = FPIR) -> float:
        """Largest distance at which a search counts as a match.

        Args:
            people: number of people in the gallery, 1 or more.
            fpir: false positive identification rate, one of `FPIR_LEVELS`.

        Returns:
            The distance in bits, interpolated between sizes; -1 if none keeps the rate.

        Raises:
            ValueError: no people, or another rate.
        """
        if people < 1 or fpir not in FPIR_LEVELS:
            raise ValueError(f"limit: {people} people at {fpir}; rates are {FPIR_LEVELS}")
        row = self.limits[FPIR_LEVELS.index(fpir)]
        place = min(math.log2(people), SIZES - 1)
        low = int(place)
        high = min(low + 1, SIZES - 1)
        if row[high] < 0:
            return row[low] if place == low else -1.0
        return row[low] + (place - low) * (row[high] - row[low])

    def rate(self, distance: float, people: int) -> float:
        """How often a search for somebody who is not enrolled finds anybody so near.

        Args:
            distance: in bits.
            people: number of people in the gallery, 1 or more.

        Returns:
            The smallest of `FPIR_LEVELS` whose limit the distance keeps; 1 if it keeps none.
        """
        kept = (level for level in FPIR_LEVELS if distance <= self.limit(people, level))
        return next(kept, 1.0)

    def verdict(self, distance: float, people: int, shift: Shift = _UNCHANGED) -> Verdict:
        """What a search's nearest person at this distance is called.

        Args:
            distance: in bits.
            people: number of people in the gallery, 1 or more.
            shift: of the limits, for a face that is hard to tell from others.

        Returns:
            "match" within the limit at `FPIR`, "no match" where fewer than one in twenty photos of
            an enrolled person are, "unclear" between.
        """
        limit = self.limit(people)
        if distance + shift.match <= limit:
            return "match"
        return "unclear" if distance <= max(self.mated + shift.mated, limit) else "no match"


@dataclass(frozen=True)
class Calibration:
    """Distance to probability and verdict for each calibrated code length.

    Attributes:
        target_far: false accept rate that every threshold keeps on the pairs of the fit.
        by_bits: the calibration of pairs, by length in bits.
        searches: limits of searches, by distance ("hamming", "asymmetric") and length in bits.
        quality: what is known of hard faces; None where it was not fitted.
    """

    target_far: float
    by_bits: Mapping[int, LengthCalibration]
    searches: Mapping[str, Mapping[int, SearchLimits]] = field(default_factory=dict)
    quality: QualityModel | None = None

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

    def search_limits(self, bits: int, distance: str = "hamming") -> SearchLimits:
        """The limits of searches.

        Args:
            bits: code length.
            distance: "hamming" or "asymmetric" (`daah.codes.normalised_asymmetric`).

        Returns:
            The limits.

        Raises:
            ConfigError: searches are not calibrated for this length and distance.
        """
        known = self.searches.get(distance, {})
        if bits not in known:
            raise ConfigError(
                f"searches by {distance} distance at {bits} bits are not calibrated; calibrated "
                f"are {tuple(sorted(known))}"
            )
        return known[bits]

    def _length(self, bits: int) -> LengthCalibration:
        if bits not in self.by_bits:
            raise ConfigError(f"{bits} bits are not calibrated; calibrated are {self.lengths}")
        return self.by_bits[bits]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back.

        Returns:
            The prior, the target rate, each length's numbers, and the quality where it was fitted.
        """
        return {
            "prior": PRIOR,
            "target_far": self.target_far,
            "lengths": {
                str(bits): {**vars(self.by_bits[bits])}
                | {"probability": list(self.by_bits[bits].probability)}
                for bits in self.lengths
            },
            "searches": {
                distance: {
                    str(bits): vars(limits) | {"limits": [list(row) for row in limits.limits]}
                    for bits, limits in by_bits.items()
                }
                for distance, by_bits in self.searches.items()
            },
        } | ({} if self.quality is None else {"quality": self.quality.to_dict()})

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
            known = {"prior", "target_far", "lengths", "searches"}
            _keys(values, known | ({"quality"} & set(values)))  # absent from older checkpoints
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
            searches = {
                str(distance): {int(bits): _limits(entry) for bits, entry in entries.items()}
                for distance, entries in values["searches"].items()
            }
            quality = QualityModel.from_dict(values["quality"]) if "quality" in values else None
            return cls(float(values["target_far"]), by_bits, searches, quality)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise CheckpointError(
                f"The checkpoint's calibration is damaged ({error}). Fetch the checkpoint again."
            ) from error


def _limits(entry: Mapping[str, Any]) -> SearchLimits:
    _keys(entry, set(SearchLimits.__dataclass_fields__))
    return SearchLimits(
        tuple(tuple(float(limit) for limit in row) for row in entry["limits"]),
        float(entry["mated"]),
        int(entry["people"]),
        int(entry["searches"]),
    )


def _keys(values: Mapping[str, Any], expected: set[str]) -> None:
    if set(values) != expected:
        raise ValueError(f"expected the keys {sorted(expected)}, got {sorted(values)}")
