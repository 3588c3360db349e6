"""What the distance of a face to a person says in a search."""

from __future__ import annotations

from daah.models.calibration import Calibration
from daah.types import Verdict


class SearchVerdict:
    """Verdicts by the limits of searches, which depend on the number of people searched.

    Args:
        calibration: that of the model; None knows no verdict but "unclear".
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self._limits = {} if calibration is None else calibration.searches.get("hamming", {})

    def verdict(self, distance: int, bits: int, people: int) -> Verdict:
        """Judge one person of a search.

        Args:
            distance: Hamming distance of the face to the person's template.
            bits: number of bits that were compared.
            people: number of people who were searched.

        Returns:
            As of `SearchLimits.verdict`; "unclear" for lengths without a calibration.
        """
        limits = self._limits.get(bits)
        return "unclear" if limits is None else limits.verdict(distance, max(people, 1))

    def rate(self, distance: int, bits: int, people: int) -> float | None:
        """How often a stranger who searches this gallery finds anybody so near.

        Args:
            distance: Hamming distance of the face to the person's template.
            bits: number of bits that were compared.
            people: number of people who were searched.

        Returns:
            As of `SearchLimits.rate`; None for lengths without a calibration.
        """
        limits = self._limits.get(bits)
        return None if limits is None else limits.rate(distance, max(people, 1))

    def limit(self, bits: int, people: int) -> float | None:
        """Largest distance of a match.

        Args:
            bits: number of bits that were compared.
            people: number of people who are searched.

        Returns:
            As of `SearchLimits.limit`; None for lengths without a calibration.
        """
        limits = self._limits.get(bits)
        return None if limits is None else limits.limit(max(people, 1))
