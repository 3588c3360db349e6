"""Values passed between modules: frozen, and validated when they are built."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

#: What a search says of a person: found, perhaps, or not this one.
Verdict = Literal["match", "unclear", "no match"]

#: What makes a face hard to tell from others.
Flaw = Literal["small", "blurred", "turned", "partly hidden"]

#: Every `Flaw`, in the order in which they are named.
FLAWS: tuple[Flaw, ...] = get_args(Flaw)

#: Side of an aligned face in pixels: twice that of ArcFace's frame, which networks read. It is the
#: size that is stored and shown.
ALIGNED_SIZE = 224

#: Names this alignment in checkpoints and galleries; change it whenever the template changes.
ALIGNMENT = "arcface-224-v1"


def _expect(name: str, array: np.ndarray, shape: tuple[int | None, ...], dtype: type) -> None:
    """Raise ValueError unless `array` has `dtype` and `shape`, where None stands for any size."""
    fits = len(array.shape) == len(shape) and all(
        want is None or want == got for want, got in zip(shape, array.shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        raise ValueError(
            f"{name}: expected {np.dtype(dtype).name} {shape}, got {array.dtype} {array.shape}"
        )


@dataclass(frozen=True, eq=False)
class Face:
    """One detected face.

    Attributes:
        box: (4,) float32, x0 y0 x1 y1 in pixels of the upright photo.
        landmarks: (5, 2) float32, left eye, right eye, nose, left and right mouth corner as seen in
            the photo, in pixels of the upright photo.
        score: detection probability in [0, 1].
        aligned: (224, 224, 3) uint8 RGB, the face in the aligned frame.
        matrix: (2, 3) float32, the similarity transform photo -> aligned.

    Raises:
        ValueError: an array has another shape or dtype, or the score is out of range.
    """

    box: np.ndarray
    landmarks: np.ndarray
    score: float
    aligned: np.ndarray
    matrix: np.ndarray

    def __post_init__(self) -> None:
        _expect("box", self.box, (4,), np.float32)
        _expect("landmarks", self.landmarks, (5, 2), np.float32)
        _expect("aligned", self.aligned, (ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8)
        _expect("matrix", self.matrix, (2, 3), np.float32)
        if not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score: expected a probability in [0, 1], got {self.score}")

    @property
    def width(self) -> float:
        """Width of the box in pixels of the photo."""
        return float(self.box[2] - self.box[0])


@dataclass(frozen=True, eq=False)
class Detection:
    """The faces detected in a photo.

    Attributes:
        faces: the faces, largest first.
        left_out: lower bound on the number of smaller faces that were dropped.
    """

    faces: tuple[Face, ...]
    left_out: int = 0


@dataclass(frozen=True, eq=False)
class Code:
    """The binary code of one face.

    Attributes:
        bits: (K,) bool.
        logits: (K,) float32 that the bits are the signs of.

    Raises:
        ValueError: an array has another shape or dtype.
    """

    bits: np.ndarray
    logits: np.ndarray

    def __post_init__(self) -> None:
        _expect("logits", self.logits, (None,), np.float32)
        _expect("bits", self.bits, (len(self.logits),), np.bool_)


@dataclass(frozen=True, eq=False)
class EncodedFace:
    """A face with its code and its attention mask.

    Attributes:
        face: the face.
        code: its code.
        mask: (G, G) float32 in [0, 1], the mask that the face was encoded with.
        seen: (S, S, 3) uint8, the face as the network was given it behind the mask.
        certainty: mean absolute logit of the network, which a template of a gallery with a key does
            not keep; None takes that of the code.

    Raises:
        ValueError: an array has another shape or dtype.
    """

    face: Face
    code: Code
    mask: np.ndarray
    seen: np.ndarray
    certainty: float | None = None

    def __post_init__(self) -> None:
        if self.certainty is None:
            object.__setattr__(self, "certainty", float(np.abs(self.code.logits).mean()))
        _expect("mask", self.mask, (len(self.mask), len(self.mask)), np.float32)
        _expect("seen", self.seen, (len(self.seen), len(self.seen), 3), np.uint8)


@dataclass(frozen=True)
class Match:
    """One gallery entry near a query.

    Attributes:
        id: id of the entry; negative for one that a visitor added.
        person: identifier of the person.
        photo: name of the photo.
        distance: Hamming distance, 0 to `bits`.
        bits: number of bits that were compared.
        probability: calibrated probability in [0, 1] of being the same person; None without a
            calibration of this length.
        same_person: whether the distance is within the calibrated threshold; None without a
            calibration of this length.
        name: name of the person to show; "" takes the identifier.

    Raises:
        ValueError: the distance or the probability is out of range.
    """

    id: int
    person: str
    photo: str
    distance: int
    bits: int
    probability: float | None = None
    same_person: bool | None = None
    name: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.name or self.person)
        if not 0 <= self.distance <= self.bits:
            raise ValueError(f"distance: expected 0 to {self.bits}, got {self.distance}")
        if self.probability is not None and not 0.0 <= self.probability <= 1.0:
            raise ValueError(f"probability: expected [0, 1], got {self.probability}")

    def describe(self) -> dict[str, str | int]:
        """The photo as plain JSON values, as the command line and the endpoint give it.

        Returns:
            "id" as a text: it has 63 bits, and a JavaScript number holds 53. The probability and
            the limit of one pair of photos are left out: of the best of many they say too much. The
            verdict of a search is that of a `PersonMatch`.
        """
        return {
            "id": str(self.id),
            "person": self.person,
            "name": self.name,
            "photo": self.photo,
            "distance": self.distance,
            "bits": self.bits,
        }


@dataclass(frozen=True)
class PersonMatch:
    """One person near a query, by the template of all of their photos.

    Attributes:
        person: identifier of the person.
        name: name to show.
        distance: Hamming distance to the template, 0 to `bits`.
        bits: number of bits that were compared.
        verdict: what the distance says in a search of this size: "match", "unclear" or "no match".
        id: entry of the person's photo that is nearest to the query; negative for one that a
            visitor added.
        photo: name of that photo.
        photos: number of photos of the person.
        reranked: whether the logits put the person first, though others agree in as many bits or
            more.

    Raises:
        ValueError: the distance is out of range.
    """

    person: str
    name: str
    distance: int
    bits: int
    verdict: Verdict
    id: int
    photo: str
    photos: int
    reranked: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.distance <= self.bits:
            raise ValueError(f"distance: expected 0 to {self.bits}, got {self.distance}")

    @property
    def agree(self) -> int:
        """Number of bits in which query and template agree."""
        return self.bits - self.distance

    def describe(self) -> dict[str, str | int]:
        """The person as plain JSON values, as the command line and the endpoint give it."""
        return {
            "person": self.person,
            "name": self.name,
            "agree": self.agree,
            "bits": self.bits,
            "verdict": self.verdict,
            "photo": self.photo,
            "photos": self.photos,
        }


@dataclass(frozen=True)
class FaceQuality:
    """How far a face can be told from others.

    Attributes:
        score: estimated chance in [0, 1] that a search with this face finds its person; None for a
            model whose quality was not fitted.
        reasons: what makes it hard, in the order of `FLAWS`.

    Raises:
        ValueError: the score is out of range.
    """

    score: float | None
    reasons: tuple[Flaw, ...] = ()

    def __post_init__(self) -> None:
        if self.score is not None and not 0.0 <= self.score <= 1.0:
            raise ValueError(f"score: expected [0, 1], got {self.score}")

    @property
    def words(self) -> str:
        """The reasons as they stand in a sentence: "small, blurred and turned"."""
        *first, last = self.reasons or ("",)
        return f"{', '.join(first)} and {last}" if first else last

    def describe(self) -> dict[str, float | list[str] | None]:
        """The quality as plain JSON values, as the command line and the endpoint give it."""
        score = None if self.score is None else round(self.score, 3)
        return {"score": score, "reasons": list(self.reasons)}


@dataclass(frozen=True, eq=False)
class FaceMatches:
    """One face of a photo with its matches.

    Attributes:
        encoded: the face.
        matches: photos, nearest first.
        people: people, nearest first.
        quality: how far the face can be told from others.
    """

    encoded: EncodedFace
    matches: tuple[Match, ...]
    people: tuple[PersonMatch, ...] = ()
    quality: FaceQuality = FaceQuality(None)


@dataclass(frozen=True, eq=False)
class SearchResult:
    """Faces of one photo with their matches.

    Attributes:
        faces: the faces, largest first.
        bits: number of bits that were compared.
        seconds: duration of each step, by its name.
        left_out: lower bound on the number of smaller faces that were not searched.
    """

    faces: tuple[FaceMatches, ...]
    bits: int
    seconds: dict[str, float] = field(default_factory=dict)
    left_out: int = 0
