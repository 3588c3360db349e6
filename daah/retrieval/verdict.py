"""What the distance of a face to a person says in a search."""

from __future__ import annotations

from daah.models.calibration import Calibration
from daah.models.quality import Shift, assess
from daah.types import EncodedFace, FaceQuality, Verdict

#: Of a face about which nothing is known.
_UNKNOWN = FaceQuality(None)


class SearchVerdict:
    """Verdicts by the limits of searches, which depend on the number of people searched.

    A face that is small, blurred, turned or partly hidden has limits of its own.

    Args:
        calibration: that of the model; None knows no verdict but "unclear".
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self._limits = {} if calibration is None else calibration.searches.get("hamming", {})
        self._quality = None if calibration is None else calibration.quality

    def quality(self, encoded: EncodedFace) -> FaceQuality:
        """Judge how far a face can be told from others.

        Args:
            encoded: the face with its code.

        Returns:
            As of `daah.models.quality.assess`.
        """
        return assess(encoded, self._quality)

    def verdict(
        self, distance: int, bits: int, people: int, quality: FaceQuality = _UNKNOWN
    ) -> Verdict:
        """Judge one person of a search.

        Args:
            distance: Hamming distance of the face to the person's template.
            bits: number of bits that were compared.
            people: number of people who were searched.
            quality: of the face.

        Returns:
            As of `SearchLimits.verdict`; "unclear" for lengths without a calibration.
        """
        limits = self._limits.get(bits)
        if limits is None:
            return "unclear"
        return limits.verdict(distance, max(people, 1), self._shift(quality, bits))

    def rate(
        self, distance: int, bits: int, people: int, quality: FaceQuality = _UNKNOWN
    ) -> float | None:
        """How often a stranger who searches this gallery finds anybody so near.

        Args:
            distance: Hamming distance of the face to the person's template.
            bits: number of bits that were compared.
            people: number of people who were searched.
            quality: of the face.

        Returns:
            As of `SearchLimits.rate`; None for lengths without a calibration.
        """
        limits = self._limits.get(bits)
        if limits is None:
            return None
        return limits.rate(distance + self._shift(quality, bits).match, max(people, 1))

    def limit(self, bits: int, people: int, quality: FaceQuality = _UNKNOWN) -> float | None:
        """Largest distance of a match.

        Args:
            bits: number of bits that were compared.
            people: number of people who are searched.
            quality: of the face.

        Returns:
            As of `SearchLimits.limit`; None for lengths without a calibration.
        """
        limits = self._limits.get(bits)
        if limits is None:
            return None
        return max(limits.limit(max(people, 1)) - self._shift(quality, bits).match, -1.0)

    def _shift(self, quality: FaceQuality, bits: int) -> Shift:
        return Shift() if self._quality is None else self._quality.shift(quality.reasons, bits)
