"""Heatmaps against a known truth: one region of a face comes from another person's photo.

A region (eyes, nose, mouth, or a blob anywhere on the face) of one aligned face is replaced by the
same region of another person's. Whatever differs between the codes of the two pictures is due to
that region, so a heatmap that explains the difference has to point at it: its score is the area
under the ROC curve (AUC) of the region's pixels. Planted truth tests what deletion and insertion
cannot, because it does not ask the network itself where it looked.

Axes: N = faces, S = 224 pixels per side, K = hash bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata

from daah.data.labelled_faces import LabelledFaces
from daah.detection.alignment import TEMPLATE
from daah.errors import DataError
from daah.metrics.bootstrap import bootstrap_people
from daah.models.encoder import Encoder, encode
from daah.parallel import Progress
from daah.types import ALIGNED_SIZE, EncodedFace, Face

#: Kinds of regions, in the order of the report.
REGIONS = ("eyes", "nose", "mouth", "blob")

#: Semi-axes of the elliptic regions in units of the template's eye distance: across, and down.
_AXES = {"eyes": (1.0, 0.36), "nose": (0.42, 0.5), "mouth": (0.62, 0.36)}

#: Semi-axes of a blob, at least and at most, in the same units.
_BLOB = (0.3, 0.6)

#: Standard deviation in pixels of a region's edge, so that no outline marks it.
_EDGE = 4.0

#: Largest mean distance of a face's landmarks from the template's, in pixels: of faces that are
#: turned, the same pixels do not show the same part.
_FRONTAL = 9.0

#: Cells per side of the noise that is the random order.
_RANDOM_CELLS = 14


@dataclass(frozen=True, eq=False)
class Planted:
    """A face with one region of another person's.

    Attributes:
        person: name of the face's person, for the bootstrap.
        kind: one of `REGIONS`.
        before: (S, S, 3) uint8, the face.
        after: (S, S, 3) uint8, the face with the other's region.
        region: (S, S) bool, where the other's region outweighs the face.
    """

    person: str
    kind: str
    before: np.ndarray
    after: np.ndarray
    region: np.ndarray


#: A mean, and the ends of its 95% interval.
Interval = tuple[float, float, float]

#: A heatmap of the second of two faces, compared with the first: (S, S) float, of any scale.
Heatmap = Callable[[EncodedFace, EncodedFace], np.ndarray]


@dataclass(frozen=True)
class PlantedReport:
    """How well heatmaps point at a planted region.

    Attributes:
        pairs: number of pairs of people.
        seed: seed of pairs, blobs and the random order.
        flipped: mean share of bits that the region changes, by kind of region.
        auc: mean area under the ROC curve of pixels and its 95% interval over people (mean, low,
            high), by heatmap, then by kind of region and "all"; .5 is chance.
        located: share of planted eyes, noses and mouths that are, on average over their pixels, the
            hottest of the face's three, and its 95% interval, by heatmap; 1/3 is chance. Unlike the
            area it gives nothing to a map that is hot in the middle of every face.
    """

    pairs: int
    seed: int
    flipped: dict[str, float]
    auc: dict[str, dict[str, Interval]]
    located: dict[str, Interval]

    def to_dict(self) -> dict[str, object]:
        """The report as plain JSON values."""
        return {"protocol": "planted-regions", **vars(self)}


def evaluate_planted(
    encoder: Encoder,
    faces: LabelledFaces,
    heatmaps: Mapping[str, Heatmap],
    pairs: int = 60,
    seed: int = 0,
    progress: Progress | None = None,
) -> PlantedReport:
    """Score heatmaps on planted regions, beside a random and a centred order.

    Args:
        encoder: encodes the faces that the heatmaps are asked about.
        faces: of people whom it was not trained on.
        heatmaps: by name.
        pairs: number of pairs; each has one region of every kind planted.
        seed: seed of pairs, blobs and the random order.
        progress: called with planted faces done, their number, and the step.

    Returns:
        The report.

    Raises:
        DataError: fewer than two people have a frontal face.
    """
    rng = np.random.default_rng(seed)
    planted = plant(faces, pairs, rng)
    drawn_by = {
        **heatmaps,
        "random": lambda *_: _noise(rng),
        "centred Gaussian": lambda *_: -_from_middle(),
    }
    parts = {kind: _ellipse(kind, rng) for kind in _AXES}
    scores: dict[str, list[float]] = {name: [] for name in drawn_by}
    located: dict[str, list[float]] = {name: [] for name in drawn_by}
    flipped: dict[str, list[float]] = {kind: [] for kind in REGIONS}
    for done, one in enumerate(planted, 1):
        before, after = (encode(encoder, [_face(image)])[0] for image in (one.before, one.after))
        flipped[one.kind].append(float((before.code.bits != after.code.bits).mean()))
        for name, heatmap in drawn_by.items():
            drawn = heatmap(before, after)
            scores[name].append(auc(drawn, one.region))
            if one.kind in parts:
                heat = {kind: float(drawn[pixels].mean()) for kind, pixels in parts.items()}
                located[name].append(_hottest(heat, one.kind))
        if progress is not None:
            progress(done, len(planted), "Planting regions")
    return PlantedReport(
        pairs,
        seed,
        {kind: float(np.mean(values)) for kind, values in flipped.items()},
        {name: _by_kind(np.array(values), planted) for name, values in scores.items()},
        {
            name: _interval(np.array(values), [p.person for p in planted if p.kind in parts])
            for name, values in located.items()
        },
    )


def plant(faces: LabelledFaces, pairs: int, rng: np.random.Generator) -> list[Planted]:
    """Plant every kind of region in the first face of each of some pairs of people.

    Args:
        faces: the faces; only frontal ones are used.
        pairs: number of pairs, drawn with replacement.
        rng: draws pairs, photos and blobs.

    Returns:
        `len(REGIONS)` planted faces for each pair.

    Raises:
        DataError: fewer than two people have a frontal face.
    """
    away = np.linalg.norm(faces.aligned_landmarks - TEMPLATE, axis=2).mean(1)
    frontal = np.flatnonzero(away <= _FRONTAL)
    people = np.unique(faces.labels[frontal])
    if len(people) < 2:
        raise DataError("planting a region needs frontal faces of two people")
    planted = []
    for _ in range(pairs):
        first, second = (
            int(rng.choice(frontal[faces.labels[frontal] == person]))
            for person in rng.choice(people, 2, replace=False)
        )
        for kind in REGIONS:
            weight = gaussian_filter(_ellipse(kind, rng).astype(np.float32), _EDGE)[..., None]
            face, other = faces.aligned[first], _toned(faces.aligned[second], faces.aligned[first])
            mixed = np.rint(face * (1 - weight) + other * weight).clip(0, 255).astype(np.uint8)
            region = weight[..., 0] > 0.5
            planted.append(Planted(str(faces.labels[first]), kind, face, mixed, region))
    return planted


def auc(heatmap: np.ndarray, region: np.ndarray) -> float:
    """Area under the ROC curve of the pixels of a region: the chance that one of them is hotter.

    Args:
        heatmap: (S, S) float, of any scale.
        region: (S, S) bool, neither empty nor full.

    Returns:
        The area in [0, 1]; ties count half.

    Example:
        >>> auc(np.array([[3, 1], [2, 0]]), np.array([[True, False], [True, False]]))
        1.0
    """
    ranks = rankdata(heatmap.ravel())
    inside = region.ravel()
    count = int(inside.sum())
    won = ranks[inside].sum() - count * (count + 1) / 2
    return float(won / (count * (inside.size - count)))


def _ellipse(kind: str, rng: np.random.Generator) -> np.ndarray:
    """Pixels of a region (S, S) bool; a blob is a random one within the landmarks' reach."""
    left, right, nose, *mouth = TEMPLATE.astype(np.float64)
    unit = float(np.linalg.norm(right - left))
    if kind == "blob":
        across, down = rng.uniform(*_BLOB, 2)
        low, high = TEMPLATE.min(0) - 0.3 * unit, TEMPLATE.max(0) + 0.3 * unit
        middle = rng.uniform(low, high)
    else:
        across, down = _AXES[kind]
        middles = {"eyes": (left + right) / 2, "nose": nose, "mouth": np.mean(mouth, 0)}
        middle = middles[kind]
    rows, columns = np.mgrid[:ALIGNED_SIZE, :ALIGNED_SIZE] + 0.5
    x, y = (columns - middle[0]) / (across * unit), (rows - middle[1]) / (down * unit)
    return x**2 + y**2 <= 1


def _toned(other: np.ndarray, face: np.ndarray) -> np.ndarray:
    """`other` with the mean and spread of each colour of `face`: light is no part of a person."""
    wide = other.astype(np.float32)
    spread = np.maximum(wide.std((0, 1)), 1.0)
    return (wide - wide.mean((0, 1))) / spread * face.std((0, 1)) + face.mean((0, 1))


def _face(aligned: np.ndarray) -> Face:
    """An aligned face as a detector would return it."""
    box = np.array([0, 0, ALIGNED_SIZE, ALIGNED_SIZE], np.float32)
    return Face(box, TEMPLATE, 1.0, aligned, np.eye(2, 3, dtype=np.float32))


def _noise(rng: np.random.Generator) -> np.ndarray:
    noise = Image.fromarray(rng.random((_RANDOM_CELLS, _RANDOM_CELLS)).astype(np.float32))
    return np.asarray(noise.resize((ALIGNED_SIZE, ALIGNED_SIZE), Image.Resampling.BICUBIC))


def _from_middle() -> np.ndarray:
    """Squared distance of each pixel from the centre: the order of any centred Gaussian."""
    axis = np.arange(ALIGNED_SIZE) - (ALIGNED_SIZE - 1) / 2
    return axis[:, None] ** 2 + axis[None, :] ** 2


def _hottest(heat: Mapping[str, float], kind: str) -> float:
    """1 if a part is the hottest; shared among those that tie."""
    top = max(heat.values())
    return (heat[kind] == top) / sum(value == top for value in heat.values())


def _interval(values: np.ndarray, people: Sequence[str]) -> Interval:
    low, high = bootstrap_people(values, np.array(people))
    return float(values.mean()), low, high


def _by_kind(values: np.ndarray, planted: Sequence[Planted]) -> dict[str, Interval]:
    """Mean and interval of each kind of region, and of all."""
    chosen = {kind: [i for i, one in enumerate(planted) if one.kind == kind] for kind in REGIONS}
    chosen["all"] = list(range(len(planted)))
    return {
        kind: _interval(values[rows], [planted[i].person for i in rows])
        for kind, rows in chosen.items()
    }
