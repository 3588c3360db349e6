"""Quality of faces: fitted on searches that failed, and checked by what it says of others.

Photos of people that training never learned from are searched as they are, and as copies that are
small, blurred or partly hidden; people are enrolled by all of their other photos, fused. How much
each measure of a face adds to the odds of a failed search is a logistic regression with weights
that cannot be negative.

Axes: N = photos, R = searches, K = logits, M = people.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from daah import codes
from daah.data.labelled_faces import LabelledFaces
from daah.data.occlusion import KINDS, PASTED_FACE, occlude
from daah.errors import DataError
from daah.evaluation.corruptions import BOX_WIDTH, blur, resize_face
from daah.evaluation.search_limits import fit_search_limits
from daah.models.calibration import FPIR, FPIR_LEVELS, SearchLimits
from daah.models.encoder import Encoder
from daah.models.quality import TURNED, Measures, QualityModel, Shift, measure
from daah.parallel import Progress, in_order
from daah.types import FLAWS, Code, EncodedFace, Face, Flaw

#: Flaws that a copy of a photo is given. Nothing turns a face after it was taken.
DRAWN: tuple[Flaw, ...] = ("small", "blurred", "partly hidden")

#: Widths in pixels, and spreads of the blur in pixels of 224, that are drawn.
_WIDTHS = (12.0, 64.0)
_SPREADS = (1.0, 8.0)

#: Photos of one person that are searched in the fit: some have hundreds.
_MOST = 8

#: Copies of each photo and flaw in the fit.
_COPIES = 2

#: A flaw's own limits are fitted from so many searches, and told of as many people.
_FEWEST = 30

#: Largest gallery whose limits a flaw's are compared with: 2^20 people.
_SIZES = 21


@dataclass(frozen=True, eq=False)
class Searches:
    """Faces that are searched.

    Attributes:
        rows: (R,) rows of the photos that they are, or are copies of.
        measures: of each.
        logits: (R, K) float32.
    """

    rows: np.ndarray
    measures: tuple[Measures, ...]
    logits: np.ndarray

    def chosen(self, keep: np.ndarray) -> Searches:
        """Some of them.

        Args:
            keep: (R,) bool.

        Returns:
            Those.
        """
        kept = np.flatnonzero(keep)
        return Searches(self.rows[kept], tuple(self.measures[i] for i in kept), self.logits[kept])

    def having(self, model: QualityModel, flaw: Flaw) -> Searches:
        """Those that have a flaw.

        Args:
            model: which says so.
            flaw: the flaw.

        Returns:
            Those.
        """
        return self.chosen(np.array([flaw in model.flaws(own) for own in self.measures], bool))


def joined(parts: Sequence[Searches]) -> Searches:
    """Several sets of searches as one.

    Args:
        parts: the sets, at least one.

    Returns:
        All of them.
    """
    return Searches(
        np.concatenate([part.rows for part in parts]),
        tuple(own for part in parts for own in part.measures),
        np.concatenate([part.logits for part in parts]),
    )


def search_faces(
    encoder: Encoder,
    faces: LabelledFaces,
    rows: np.ndarray,
    flaw: Flaw | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Searches:
    """Encode and measure photos, or copies that have a flaw.

    Args:
        encoder: the encoder.
        faces: the photos, with the size of each face.
        rows: (R,) those to search; a row may be named several times.
        flaw: one of `DRAWN`; None takes the photos as they are.
        seed: draws how small, how blurred, and what is in front.
        progress: called with faces done, their number, and the step.

    Returns:
        The searches.
    """
    rng = np.random.default_rng(seed)
    draws = rng.integers(2**32, size=len(rows)).tolist()

    def encode(place: int) -> tuple[Measures, np.ndarray]:
        face = _face(faces, int(rows[place]))
        if flaw is not None:
            face = _with_flaw(faces, int(rows[place]), face, flaw, draws[place])
        (logits,), (mask,) = encoder.encode(face.aligned[None])
        code = Code(codes.sign(logits), logits)
        return measure(EncodedFace(face, code, mask, face.aligned)), logits

    found = list(in_order(encode, range(len(rows)), f"Faces, {flaw or 'as they are'}", progress))
    return Searches(
        np.asarray(rows),
        tuple(measures for measures, _ in found),
        np.stack([logits for _, logits in found]),
    )


def _face(faces: LabelledFaces, row: int) -> Face:
    box = np.array([0, 0, faces.width[row], faces.width[row]], np.float32)
    return Face(box, faces.landmarks[row], 1.0, faces.aligned[row], faces.matrix[row])


def _with_flaw(faces: LabelledFaces, row: int, face: Face, flaw: Flaw, draw: int) -> Face:
    rng = np.random.default_rng(draw)
    if flaw == "small":
        low, high = np.log(_WIDTHS)
        width = round(math.exp(rng.uniform(low, high)))
        own = math.sqrt(abs(float(np.linalg.det(face.matrix[:, :2]))))
        factor = min(1.0, width * own / BOX_WIDTH)
        # The landmarks are told in pixels of the smaller photo.
        matrix = face.matrix / np.array([factor, factor, 1], np.float32)
        small = resize_face(width)(face.aligned)
        return replace(
            face, aligned=small, matrix=matrix, landmarks=face.landmarks * np.float32(factor)
        )
    if flaw == "blurred":
        return replace(face, aligned=blur(rng.uniform(*_SPREADS))(face.aligned))
    kind = KINDS[rng.integers(len(KINDS))]
    other = None
    if kind == PASTED_FACE:
        other = faces.aligned[rng.choice(np.flatnonzero(faces.labels != faces.labels[row]))]
    landmarks = faces.aligned_landmarks[row]
    return replace(face, aligned=occlude(face.aligned, landmarks, kind, rng, other).image)


@dataclass(frozen=True, eq=False)
class Outcome:
    """What came of searches among people who are enrolled by all of their other photos.

    Attributes:
        own: (R,) float64, distance to the own person; infinite where there is no other photo.
        others: (R,) float64, distance to the nearest other person.
    """

    own: np.ndarray
    others: np.ndarray

    @property
    def mated(self) -> np.ndarray:
        """(R,) bool: whether the person is enrolled."""
        return np.isfinite(self.own)

    def missed(self, limit: float | np.ndarray) -> np.ndarray:
        """Whether the person is not found first within a limit, (R,) bool.

        Args:
            limit: in bits; one for each search, or for all.

        Returns:
            True also where the person is not enrolled.
        """
        return (self.own > limit) | (self.own >= self.others)


def outcome(searches: Searches, logits: np.ndarray, labels: np.ndarray, bits: int) -> Outcome:
    """Search by Hamming distance.

    Args:
        searches: what is searched.
        logits: (N, K) of the photos as they are.
        labels: (N,) their people.
        bits: code length.

    Returns:
        Distances to the own and to the nearest other person.
    """
    _, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    total = np.zeros((len(count), logits.shape[1]))
    np.add.at(total, person, logits.astype(np.float64))
    probes = codes.from_logits(searches.logits, bits)
    enrolled = codes.from_logits((total / count[:, None]).astype(np.float32), bits)
    distances = codes.hamming(probes, enrolled).astype(np.float64)
    who = person[searches.rows]
    distances[np.arange(len(who)), who] = np.inf
    rest = (total[who] - logits[searches.rows]) / np.maximum(count[who] - 1, 1)[:, None]
    left = codes.from_logits(rest.astype(np.float32), bits)
    pairs = zip(probes, left, strict=True)
    own = np.array([codes.hamming(probe[None], mate[None])[0, 0] for probe, mate in pairs])
    return Outcome(np.where(count[who] > 1, own, np.inf), distances.min(1))


def fit_quality(
    encoder: Encoder,
    faces: LabelledFaces,
    searches: Mapping[int, SearchLimits],
    progress: Progress | None = None,
) -> QualityModel:
    """Fit what the measures of a face are worth.

    Args:
        encoder: the encoder.
        faces: photos of people that training never learned from, and that no result is reported on.
        searches: limits of searches by Hamming distance.
        progress: called with faces done, their number, and the step.

    Returns:
        The model, without shifts of limits.

    Raises:
        DataError: too few searches succeed or fail.
    """
    everything = search_faces(encoder, faces, np.arange(len(faces)), progress=progress)
    bits = encoder.bits
    asked = _searched(faces.labels)
    copies = [
        search_faces(encoder, faces, np.repeat(asked, _COPIES), flaw, progress=progress)
        for flaw in DRAWN
    ]
    people = len(np.unique(faces.labels))
    limit = searches[bits].limit(people)
    parts = [everything.chosen(np.isin(everything.rows, asked)), *copies]
    failed = [outcome(part, everything.logits, faces.labels, bits).missed(limit) for part in parts]
    ordinary = float(failed[0].mean()) if len(failed[0]) else 0.0
    if len(asked) < _FEWEST or not 0 < ordinary < 1:
        raise DataError(
            f"quality: {len(asked)} searches of which {ordinary:.0%} fail; at least {_FEWEST} are "
            "needed, of which some fail and some do not"
        )
    terms = [np.stack([own.terms() for own in part.measures]) for part in parts]
    weights, intercept = _logistic(np.concatenate(terms), np.concatenate(failed))
    doubled = math.log(ordinary / (1 - ordinary)) + math.log(2)
    limits: dict[Flaw, float] = {"turned": TURNED}
    for flaw, column, part in zip(DRAWN, (0, 1, 3), range(1, 4), strict=True):
        own = np.concatenate([terms[0][:, [column]], terms[part][:, [column]]])
        (weight,), start = _logistic(own, np.concatenate([failed[0], failed[part]]))
        limits[flaw] = (doubled - start) / max(weight, 1e-6)
    limits["small"] = float(np.clip(2 ** -limits["small"], 8, 64))
    limits["blurred"] = float(math.exp(-limits["blurred"]))
    limits["partly hidden"] = float(np.clip(limits["partly hidden"], 0.05, 1))
    return QualityModel(
        tuple(round(float(weight), 5) for weight in weights),
        round(float(intercept), 5),
        {flaw: round(limits[flaw], 4) for flaw in FLAWS},
        photos=sum(map(len, failed)),
        people=people,
    )


def _searched(labels: np.ndarray) -> np.ndarray:
    """Rows of photos whose person has another one, a few of each person."""
    rng = np.random.default_rng(0)
    chosen: list[int] = []
    for person in np.unique(labels):
        own = np.flatnonzero(labels == person)
        if len(own) > 1:
            chosen += rng.permutation(own)[:_MOST].tolist()
    return np.sort(np.array(chosen, np.int64))


def _logistic(terms: np.ndarray, failed: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights (T,) of 0 or more and the intercept of a logistic regression of `failed` on terms."""
    centre, spread = terms.mean(0), np.maximum(terms.std(0), 1e-9)
    scaled = (terms - centre) / spread
    sign = np.where(failed, 1.0, -1.0)

    def loss(values: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (scaled @ values[1:] + values[0])
        pull = -sign / (1 + np.exp(margin))
        ridge = np.concatenate([[0.0], values[1:]])
        value = np.logaddexp(0, -margin).sum() + 0.5 * float(ridge @ ridge)
        return value, np.concatenate([[pull.sum()], scaled.T @ pull]) + ridge

    start = np.zeros(terms.shape[1] + 1)
    bounds = [(None, None), *[(0.0, None)] * terms.shape[1]]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    weights = found[1:] / spread
    return weights, float(found[0] - weights @ centre)


def hard_searches(
    encoder: Encoder,
    faces: LabelledFaces,
    everything: Searches,
    sample: int,
    seed: int = 0,
    progress: Progress | None = None,
) -> Searches:
    """Photos as they are, and copies of some of them with each flaw.

    Args:
        encoder: the encoder.
        faces: the photos.
        everything: the photos as they are, of `search_faces`.
        sample: number of photos that are copied with each flaw.
        seed: draws them, and the flaws.
        progress: called with faces done, their number, and the step.

    Returns:
        The searches.
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(len(faces), min(sample, len(faces)), replace=False))
    drawn = [search_faces(encoder, faces, rows, flaw, seed, progress) for flaw in DRAWN]
    return joined([everything, *drawn])


def fit_shifts(
    model: QualityModel,
    searched: Searches,
    logits: np.ndarray,
    labels: np.ndarray,
    searches: Mapping[int, SearchLimits],
) -> QualityModel:
    """Fit the limits of faces that have a flaw.

    A match is made stricter where the flaw's own limit at `FPIR` is, in any gallery of up to a
    million people. "No match" begins where one in twenty photos with the flaw is beyond.

    Args:
        model: which says what has a flaw.
        searched: of `hard_searches`.
        logits: (N, K) of the photos as they are.
        labels: (N,) their people, whom training never learned from.
        searches: limits of searches by Hamming distance.

    Returns:
        The model with shifts.
    """
    own = FPIR_LEVELS.index(FPIR)
    shifts: dict[Flaw, dict[int, Shift]] = {}
    for flaw in FLAWS:
        part = searched.having(model, flaw)
        if len(part.rows) < _FEWEST:
            continue
        shifts[flaw] = {}
        for bits, usual in searches.items():
            limits = fit_search_limits(logits, labels, bits, probes=(part.rows, part.logits))
            rows = zip(usual.limits[own][:_SIZES], limits.limits[own][:_SIZES], strict=True)
            stricter = max(all_faces - hard for all_faces, hard in rows)
            shifts[flaw][bits] = Shift(
                max(0, math.ceil(stricter)), max(0, math.ceil(limits.mated - usual.mated))
            )
    return replace(model, shifts=shifts)
