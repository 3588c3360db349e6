"""How far a face can be told from others, by what its encoding shows anyway.

Five measures, none of which runs the network again: the width of the face in the photo, its
sharpness, how far the head is turned, how much of the face the attention mask leaves out, and how
far the logits are from zero. What they are worth is fitted on searches that failed
(`daah.evaluation.face_quality`), and is a part of a checkpoint's calibration.

A face that is small, blurred, turned or partly hidden has limits of its own in a search: a match is
stricter by as many bits as its measured rate of false positive identifications asks for, and
"no match" begins further out, because such a photo of an enrolled person is further from them too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from daah.types import ALIGNED_SIZE, FLAWS, EncodedFace, FaceQuality, Flaw

#: Below this score a face is enrolled with a warning.
DOUBTFUL = 0.4

#: Below this score a face is not enrolled unless that is asked for.
REFUSED = 0.1

#: From where a face is said to be turned: about 35 degrees. It is not fitted, because no copy of an
#: aligned face can be turned further.
TURNED = 0.3

#: Version of what a calibration holds of quality.
_SCHEMA = 1

#: Width in pixels of the aligned frame that a face's width is told by: the median of the detector's
#: boxes on Labeled Faces in the Wild.
_FACE_WIDTH = 159

#: Side of the frame that sharpness is measured in, which is what networks are given.
_SIDE = ALIGNED_SIZE // 2

#: Rows and columns of that frame that every face fills.
_INNER = (slice(20, 104), slice(20, 92))

#: Variance of luma that noise alone may have.
_NOISE = 25.0

#: Ellipse that a face fills in the aligned frame: centre (x, y) and half axes, in shares of it.
_ELLIPSE = ((0.5, 0.62), (0.27, 0.33))

#: Pixels of width above which more do not help.
_WIDE = 64.0

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Measures:
    """What is measured of a face.

    Attributes:
        width: of the face in pixels of the photo, by its alignment.
        sharpness: variance of the Laplacian over that of the luma (after Pech-Pacheco et al., ICPR
            2000), in the frame that networks are given.
        turn: offset of the nose from the midpoint of the eyes along their line, over their
            distance: 0 is frontal, about 0.5 a profile.
        hidden: share in [0, 1] of the face's usual place that the attention mask leaves out.
        certainty: mean distance of the logits from zero.
    """

    width: float
    sharpness: float
    turn: float
    hidden: float
    certainty: float

    def terms(self) -> np.ndarray:
        """The measures as the score weighs them, (5,) float64: the larger, the harder the face."""
        return np.array(
            [
                -math.log2(min(max(self.width, 1.0), _WIDE)),
                -math.log(max(self.sharpness, 1e-4)),
                self.turn,
                self.hidden,
                -self.certainty,
            ]
        )


def measure(encoded: EncodedFace) -> Measures:
    """Measure a face.

    Args:
        encoded: the face with code and mask.

    Returns:
        The measures.
    """
    face = encoded.face
    scale = math.sqrt(abs(float(np.linalg.det(face.matrix[:, :2].astype(np.float64)))))
    luma = face.aligned.astype(np.float32) @ _LUMA
    luma = luma.reshape(_SIDE, 2, _SIDE, 2).mean((1, 3))[_INNER]
    points = face.landmarks.astype(np.float64)
    eyes = points[1] - points[0]
    turn = abs(float((points[2] - points[:2].mean(0)) @ eyes)) / max(float(eyes @ eyes), 1e-9)
    return Measures(
        width=_FACE_WIDTH / max(scale, 1e-9),
        sharpness=float(_laplacian(luma).var() / (luma.var() + _NOISE)),
        turn=turn,
        hidden=1 - float(encoded.mask[_usual(len(encoded.mask))].mean()),
        certainty=encoded.certainty,
    )


def _laplacian(luma: np.ndarray) -> np.ndarray:
    """Second differences along rows plus those along columns; edges are mirrored."""
    padded = np.pad(luma.astype(np.float64), 1, "symmetric")
    rows = padded[:-2, 1:-1] + padded[2:, 1:-1]
    columns = padded[1:-1, :-2] + padded[1:-1, 2:]
    return (rows + columns - 4 * padded[1:-1, 1:-1]).astype(luma.dtype)


def _usual(side: int) -> np.ndarray:
    """Cells (side, side) bool of a mask that a face usually fills."""
    (x, y), (wide, high) = _ELLIPSE
    centres = (np.arange(side) + 0.5) / side
    return ((centres - x) / wide)[None] ** 2 + ((centres - y) / high)[:, None] ** 2 <= 1


@dataclass(frozen=True)
class Shift:
    """By how much the limits of a search change for a face.

    Attributes:
        match: bits by which a match is stricter, 0 or more.
        mated: bits by which "no match" begins further out, 0 or more.

    Raises:
        ValueError: a number is negative.
    """

    match: int = 0
    mated: int = 0

    def __post_init__(self) -> None:
        if self.match < 0 or self.mated < 0:
            raise ValueError(f"shift: expected 0 bits or more, got {self.match}, {self.mated}")


@dataclass(frozen=True)
class QualityModel:
    """What the measures are worth for one network.

    Attributes:
        weights: of `Measures.terms`, 0 or more, in log odds of a search that fails.
        intercept: log odds at terms of zero.
        limits: of width ("small", at least), sharpness ("blurred", at least), turn ("turned", at
            most) and hidden share ("partly hidden", at most): beyond them the odds of a search that
            fails are at least twice those of an ordinary photo.
        shifts: of the limits of searches, by flaw and code length.
        photos: searches of the fit.
        people: people who were searched.

    Raises:
        ValueError: negative weights, numbers that are not finite, or limits of other flaws.
    """

    weights: tuple[float, ...]
    intercept: float
    limits: Mapping[Flaw, float]
    shifts: Mapping[Flaw, Mapping[int, Shift]] = field(default_factory=dict)
    photos: int = 1
    people: int = 2

    def __post_init__(self) -> None:
        if len(self.weights) != 5 or min(self.weights) < 0:
            raise ValueError(f"weights: expected five of 0 or more, got {self.weights}")
        if set(self.limits) != set(FLAWS) or not set(self.shifts) <= set(FLAWS):
            raise ValueError(f"limits and shifts: expected those of {FLAWS}")
        numbers = (*self.weights, self.intercept, *self.limits.values())
        if not all(map(math.isfinite, numbers)):
            raise ValueError("weights and limits: expected finite numbers")
        if self.photos < 1 or self.people < 2:
            raise ValueError(f"expected photos and people, got {self.photos}, {self.people}")

    def score(self, measures: Measures) -> float:
        """Estimated chance that a search with a face finds its person.

        Args:
            measures: of the face.

        Returns:
            A number in (0, 1).
        """
        odds = self.intercept + float(np.asarray(self.weights) @ measures.terms())
        return 1 / (1 + math.exp(min(max(odds, -50.0), 50.0)))

    def flaws(self, measures: Measures) -> tuple[Flaw, ...]:
        """What makes a face hard.

        A small face is never called blurred as well: how sharp the photo is cannot be seen of it.

        Args:
            measures: of the face.

        Returns:
            The flaws, in the order of `FLAWS`.
        """
        small = measures.width < self.limits["small"]
        found = {
            "small": small,
            "blurred": not small and measures.sharpness < self.limits["blurred"],
            "turned": measures.turn > self.limits["turned"],
            "partly hidden": measures.hidden > self.limits["partly hidden"],
        }
        return tuple(flaw for flaw in FLAWS if found[flaw])

    def shift(self, reasons: Sequence[Flaw], bits: int) -> Shift:
        """By how much the limits of a search change.

        Args:
            reasons: flaws of the face.
            bits: code length.

        Returns:
            The largest shifts of any of them.
        """
        own = [self.shifts.get(flaw, {}).get(bits, Shift()) for flaw in reasons]
        return Shift(
            max((shift.match for shift in own), default=0),
            max((shift.mated for shift in own), default=0),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; `from_dict` reads them back.

        Returns:
            All numbers, and the version of their meaning.
        """
        return {
            "schema": _SCHEMA,
            "weights": list(self.weights),
            "intercept": self.intercept,
            "limits": dict(self.limits),
            "shifts": {
                flaw: {str(bits): [shift.match, shift.mated] for bits, shift in by_bits.items()}
                for flaw, by_bits in self.shifts.items()
            },
            "photos": self.photos,
            "people": self.people,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> QualityModel:
        """Read what `to_dict` wrote.

        Args:
            values: plain JSON values.

        Returns:
            The model.

        Raises:
            ValueError: another version, or values out of range.
            KeyError: something is missing.
            TypeError: something is of another type.
        """
        if values["schema"] != _SCHEMA:
            raise ValueError(f"quality: expected schema {_SCHEMA}, got {values['schema']}")
        return cls(
            tuple(float(weight) for weight in values["weights"]),
            float(values["intercept"]),
            {flaw: float(limit) for flaw, limit in values["limits"].items()},
            {
                flaw: {int(bits): Shift(*map(int, pair)) for bits, pair in by_bits.items()}
                for flaw, by_bits in values["shifts"].items()
            },
            int(values["photos"]),
            int(values["people"]),
        )


#: Width in pixels under which a face is called small where nothing was fitted.
_SMALL = 40.0


def assess(encoded: EncodedFace, model: QualityModel | None) -> FaceQuality:
    """Judge a face.

    Args:
        encoded: the face with code and mask.
        model: of the network's calibration; None for a network without one, of whose faces only the
            width in the photo and the turn of the head are told.

    Returns:
        The score and the reasons.
    """
    measures = measure(encoded)
    if model is not None:
        return FaceQuality(model.score(measures), model.flaws(measures))
    found = {"small": measures.width < _SMALL, "turned": measures.turn > TURNED}
    return FaceQuality(None, tuple(flaw for flaw in FLAWS if found.get(flaw)))


def complaint(quality: FaceQuality, limit: float = DOUBTFUL) -> str:
    """Why a face should not be enrolled.

    Args:
        quality: of the face.
        limit: score that is asked for.

    Returns:
        A sentence without its full stop; "" for a face that is good enough.
    """
    if quality.score is None or quality.score >= limit:
        return ""
    why = f"the face is {quality.words}" if quality.reasons else "its code is undecided"
    return f"quality {quality.score:.2f} is under {limit:g}: {why}"
