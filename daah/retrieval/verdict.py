"""What the distance of a face to a person says in a search."""

from __future__ import annotations

from daah.models.calibration import Calibration
from daah.types import Verdict


class PairLimit:
    """Verdicts by the threshold for one pair of photos, whatever the number of people searched.

    Args:
        calibration: that of the model; None knows no verdict but "unclear".
    """

    def __init__(self, calibration: Calibration | None) -> None:
        self._calibration = calibration

    def verdict(self, distance: int, bits: int, people: int) -> Verdict:
        """Judge one person of a search.

        Args:
            distance: Hamming distance of the face to the person's template.
            bits: number of bits that were compared.
            people: number of people who were searched.

        Returns:
            "match" within the threshold; "unclear" beyond it as long as one person is more likely
            than two, and for lengths without a calibration; else "no match".
        """
        calibration = self._calibration
        if calibration is None or bits not in calibration.lengths:
            return "unclear"
        if distance <= calibration.threshold(bits):
            return "match"
        return "unclear" if calibration.probability(distance, bits) >= 0.5 else "no match"
