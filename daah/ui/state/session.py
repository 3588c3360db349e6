"""What belongs to one visitor. Frozen values that live in `gr.State` and nowhere else."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from daah.gallery import SessionGallery
from daah.types import EncodedFace, Face

#: Longest side of a photo as it is drawn: a page of a megabyte is slow on a phone.
SHOWN_SIDE = 960
#: Per-bit views that are kept: those of the faces that were looked at last.
MOST_REGIONS = 8

ATTENTION_ON, ATTENTION_OFF, ATTENTION_PAINTED = "on", "off", "painted"


@dataclass(frozen=True)
class Options:
    """The controls of the Search tab as they stand.

    threshold: largest distance in bits that counts as a match. strength: of the heatmap, 0 to 1.
    attention: "on" (the model's mask), "off" (none) or "painted" (the visitor's). model: by which
    model to search, "" being the shipped one.
    """

    bits: int
    count: int
    threshold: int
    strength: float = 0.6
    attention: str = ATTENTION_ON
    model: str = ""


def free_name(additions: SessionGallery) -> str:
    """What a face that is added without a name is called: "You", or the next free number."""
    taken = additions.people()
    names = itertools.chain(["You"], (f"You {i}" for i in itertools.count(2)))
    return next(name for name in names if name not in taken)


class Expires:
    """Something of a visitor that is deleted on time. born: time.monotonic() when it was given."""

    born: float

    def expired(self, seconds: float) -> bool:
        """Whether the stated time is over."""
        return time.monotonic() - self.born > seconds


@dataclass(frozen=True, eq=False)
class Covered:
    """A face of the photo with something in front of it.

    Attributes:
        kind: what covers it, of `daah.data.occlusion.KINDS`.
        masked: the covered face behind the model's mask.
        unmasked: the covered face with attention off.
        plain: the face without the cover, with attention off.
    """

    kind: str
    masked: EncodedFace
    unmasked: EncodedFace
    plain: EncodedFace


@dataclass(frozen=True, eq=False)
class Session(Expires):
    """One photo and everything derived from it.

    photo: (H, W, 3) uint8 RGB, upright. shown: the same at the size it is drawn.
    encoded: the faces, largest first, by attention ("on", and "off" once asked for).
    painted: the chosen faces under a painted mask, by index.
    regions: `explain.bit_regions` by (attention, index), computed once per face.
    covered: the chosen faces with something in front of them, by index.
    face, match, bit: what is chosen; a match by its gallery id. born: time.monotonic() at upload.
    example: that the page started with it, and nobody asked for it. model: which one encoded it.
    size: height and width of the photo that was searched, in whose pixels faces are; the photo
    itself is kept as it is drawn, reduced to SHOWN_SIDE. left_out: faces that were found, at least,
    and are too many to search. turned: degrees to the left by which the photo was turned, because
    no face was found in it upright.
    """

    photo: np.ndarray
    encoded: Mapping[str, tuple[EncodedFace, ...]]
    seconds: Mapping[str, float]
    painted: Mapping[int, EncodedFace] = field(default_factory=dict)
    regions: Mapping[tuple[str, int], np.ndarray] = field(default_factory=dict)
    covered: Mapping[int, Covered] = field(default_factory=dict)
    face: int = 0
    match: int | None = None
    bit: int | None = None
    born: float = field(default_factory=time.monotonic)
    example: bool = False
    model: str = ""
    size: tuple[int, int] = (0, 0)
    left_out: int = 0
    turned: int = 0

    def __post_init__(self) -> None:
        if self.size == (0, 0):  # once a photo
            height, width = self.photo.shape[:2]
            object.__setattr__(self, "size", (height, width))
            object.__setattr__(self, "photo", _smaller(self.photo))
        if len(self.regions) > MOST_REGIONS:
            kept = list(self.regions.items())[-MOST_REGIONS:]
            object.__setattr__(self, "regions", dict(kept))

    def __deepcopy__(self, _memo: dict) -> Session:
        """Itself: it never changes, and Gradio copies a State's first value for every visitor."""
        return self

    def attention(self, wanted: str) -> str:
        """`wanted`, or the model's own while nothing was encoded without attention yet.

        A control may be moved while that is still waiting for its turn.
        """
        return (
            ATTENTION_ON
            if wanted == ATTENTION_OFF and ATTENTION_OFF not in self.encoded
            else wanted
        )

    def faces(self, attention: str) -> tuple[EncodedFace, ...]:
        """The faces under `attention`; those not painted yet keep the model's own mask."""
        if attention == ATTENTION_OFF:
            return self.encoded[ATTENTION_OFF]
        own = self.encoded[ATTENTION_ON]
        if attention == ATTENTION_PAINTED:
            return tuple(self.painted.get(i, face) for i, face in enumerate(own))
        return own


def _smaller(rgb: np.ndarray) -> np.ndarray:
    """The photo with no side over SHOWN_SIDE; in a third of the time that `images.shrink` takes."""
    height, width = rgb.shape[:2]
    scale = SHOWN_SIDE / max(height, width)
    if scale >= 1:
        return rgb
    size = max(1, round(scale * width)), max(1, round(scale * height))
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.HAMMING))


@dataclass(frozen=True, eq=False)
class Pair(Expires):
    """Two faces to compare, one of each photo, and how many each photo has.

    regions: what decides the bits of each face, once asked for. born: time.monotonic().
    offered: the largest faces of each photo, largest first. chosen: the place of each compared face
    among them.
    """

    faces: tuple[EncodedFace, EncodedFace]
    counts: tuple[int, int]
    regions: tuple[np.ndarray, np.ndarray] | None = None
    offered: tuple[tuple[Face, ...], tuple[Face, ...]] = ((), ())
    chosen: tuple[int, int] = (0, 0)
    born: float = field(default_factory=time.monotonic)
