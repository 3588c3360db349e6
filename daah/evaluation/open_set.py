"""Protocol 3: open-set identification as NIST reports it (FRTE 1:N, ISO/IEC 19795-1).

People with two photos or more are enrolled, by one photo or by all but one, fused. Their other
photos are mated searches. Photos of people with one photo are non-mated searches; where everybody
has several, those of a random half of the people.

Axes: N = photos, K = logits, E = enrolled people, Q = mated searches, S = non-mated searches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daah import codes, metrics
from daah.data.labelled_faces import LabelledFaces
from daah.errors import DataError
from daah.evaluation.encoding import check_lengths
from daah.evaluation.face_quality import search_faces
from daah.evaluation.robustness import attributes
from daah.evaluation.search_limits import search_distances
from daah.evaluation.slices import (
    Decisions,
    Slice,
    SliceScores,
    quantile_slices,
    slice_scores,
)
from daah.metrics.bootstrap import bootstrap_people
from daah.models.calibration import FPIR, Calibration, SearchLimits
from daah.models.encoder import Encoder
from daah.models.quality import Shift
from daah.parallel import Progress

#: False positive identification rates that are reported.
LEVELS = (0.1, FPIR, 0.003)

#: How a person is enrolled.
TEMPLATES = ("one", "fused")

#: False positive identification rates at which curves are told by size of the gallery.
GRID = tuple(float(f"{level:.3g}") for level in np.geomspace(1e-3, 1, 25))

#: Points of a reported curve.
_POINTS = 200

#: Random galleries of each smaller size.
_DRAWS = 5

#: Samples of the bootstrap, of a whole gallery and of each of the random ones.
_SAMPLES, _SAMPLES_OF_A_DRAW = 1000, 200


@dataclass(frozen=True, eq=False)
class Enrolment:
    """Who is enrolled, and what is searched for.

    Attributes:
        templates: (E, K) float32; their signs are stored.
        mated: (Q,) rows of mated searches.
        mate: (Q,) their rows of `templates`.
        non_mated: (S,) rows of non-mated searches.
    """

    templates: np.ndarray
    mated: np.ndarray
    mate: np.ndarray
    non_mated: np.ndarray


@dataclass(frozen=True)
class GalleryRates:
    """Identification by the number of people who are enrolled.

    Attributes:
        fnir_at_fpir: false negative identification rate at each rate of `LEVELS`, mean over random
            galleries of this size.
        fnir_ci95: 95% intervals of one gallery of this size, by bootstrap over people; mean over
            the galleries.
        rank1_miss: share of mated searches whose nearest person is another one.
        fnir: false negative identification rate at each rate of `GRID`.
        fnir_low: lower end of its interval.
        fnir_high: upper end of its interval.
    """

    fnir_at_fpir: dict[str, float]
    fnir_ci95: dict[str, tuple[float, float]]
    rank1_miss: float
    fnir: tuple[float, ...]
    fnir_low: tuple[float, ...]
    fnir_high: tuple[float, ...]


@dataclass(frozen=True)
class RuleRates:
    """What the app decides in these searches.

    The limit of a match is stricter for faces that are small, blurred, turned or partly hidden, and
    between a match and no match a search is unclear.

    Attributes:
        fpir: share of the non-mated searches that are called a match.
        fpir_ci95: its 95% interval, by bootstrap over people.
        fnir: share of the mated searches whose person is not first, or not called a match.
        fnir_ci95: its 95% interval, by bootstrap over people.
        unclear_mated: share of the mated searches that are called unclear.
        unclear_non_mated: share of the non-mated searches that are called unclear.
        no_match_mated: share of the mated searches that are told "no match".
    """

    fpir: float
    fpir_ci95: tuple[float, float]
    fnir: float
    fnir_ci95: tuple[float, float]
    unclear_mated: float
    unclear_non_mated: float
    no_match_mated: float


@dataclass(frozen=True, eq=False)
class IdentificationScores:
    """Identification by one code length, distance and kind of template.

    Attributes:
        bits: code length.
        distance: "hamming" or "asymmetric".
        template: "one" photo, or all but one "fused".
        fnir_at_fpir: false negative identification rate at each rate of `LEVELS`, the threshold
            chosen on these very non-mated searches.
        fnir_ci95: 95% intervals of these rates, by bootstrap over enrolled people and strangers.
        rank1_miss: share of mated searches whose nearest person is another one.
        rank1_miss_ci95: its 95% interval, by bootstrap over people.
        threshold: the shipped limit for this number of enrolled people, in bits; None without one.
        fpir: false positive identification rate at this limit.
        fnir: false negative identification rate at this limit.
        rule: what the app decides; None without a limit, and by asymmetric distance, which it does
            not decide by.
        curve: both rates at every threshold.
        by_people: rates of random galleries of 1/8, 1/4 and 1/2 of the people, and of all, by
            their number of people.
    """

    bits: int
    distance: str
    template: str
    fnir_at_fpir: dict[str, float]
    fnir_ci95: dict[str, tuple[float, float]]
    rank1_miss: float
    rank1_miss_ci95: tuple[float, float]
    threshold: float | None
    fpir: float | None
    fnir: float | None
    rule: RuleRates | None
    curve: metrics.Identification
    by_people: dict[str, GalleryRates]

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values, the curve thinned."""
        values = asdict(self)
        rows = np.unique(np.linspace(0, len(self.curve.fpir) - 1, _POINTS).astype(int))
        values["curve"] = {
            name: np.round(getattr(self.curve, name)[rows], 6).tolist()
            for name in ("threshold", "fpir", "fnir")
        }
        for rates in values["by_people"].values():
            for name in ("fnir", "fnir_low", "fnir_high"):
                rates[name] = np.round(rates[name], 4).tolist()
        return values


@dataclass(frozen=True)
class IdentificationReport:
    """Protocol 3 of one checkpoint on one tree.

    Attributes:
        images: photos in the tree.
        undetected: photos without a face, which are in no other figure.
        enrolled: people who are enrolled.
        mated: mated searches of enrolment by one photo.
        non_mated: non-mated searches.
        name: name of the checkpoint.
        recipe: recipe of the checkpoint.
        sha256: fingerprint of the checkpoint's weights.
        results: scores by code length, distance and template.
        slice_bits: code length of the slices.
        slices: error rates by group of photos, at the shipped thresholds, people enrolled by one
            photo; empty without a calibration.
    """

    images: int
    undetected: int
    enrolled: int
    mated: int
    non_mated: int
    name: str
    recipe: str
    sha256: str
    results: tuple[IdentificationScores, ...]
    slice_bits: int
    slices: tuple[SliceScores, ...]

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values, as `evaluate-open-set` prints it."""
        return {
            "protocol": "open-set-identification",
            "images": self.images,
            "undetected": self.undetected,
            "enrolled": self.enrolled,
            "mated": self.mated,
            "non_mated": self.non_mated,
            "checkpoint": {"name": self.name, "recipe": self.recipe, "sha256": self.sha256},
            "results": [scores.to_dict() for scores in self.results],
            "fpir_grid": list(GRID),
            "slice_bits": self.slice_bits,
            "slices": [scores.to_dict() for scores in self.slices],
        }


def evaluate_identification(
    encoder: Encoder,
    faces: LabelledFaces,
    bits: Sequence[int] = (),
    progress: Progress | None = None,
    slices: Sequence[Slice] = (),
) -> IdentificationReport:
    """Evaluate open-set identification.

    Args:
        encoder: the encoder.
        faces: of `data.labelled_faces`; of each person the first photo by name is enrolled.
        bits: code lengths; () takes all of the encoder's.
        progress: called with batches done, their number, and the step.
        slices: groups of photos, beside quartiles of what is measured of them.

    Returns:
        The scores of every length, by both distances and templates, and error rates by group at the
        longest of the lengths.

    Raises:
        ConfigError: the encoder has no codes of one of the lengths.
        DataError: nobody has two photos, or there is one person alone.
    """
    lengths = check_lengths(encoder, bits)
    labels = np.asarray(faces.labels)
    searched = search_faces(encoder, faces, np.arange(len(faces)), progress=progress)
    logits = searched.logits
    enrolments = {template: enrol(logits, labels, template) for template in TEMPLATES}
    quality = None if encoder.calibration is None else encoder.calibration.quality
    flaws = [() if quality is None else quality.flaws(own) for own in searched.measures]
    ways = [(length, distance, template) for length in lengths
            for distance in ("hamming", "asymmetric") for template in TEMPLATES]  # fmt: skip
    results = []
    for done, (length, distance, template) in enumerate(ways, 1):
        shifts = [Shift() if quality is None else quality.shift(own, length) for own in flaws]
        results.append(
            identify(logits, labels, enrolments[template], length, distance, template,
                     encoder.calibration, shifts)
        )  # fmt: skip
        if progress is not None:
            progress(done, len(ways), "Searching")
    one, longest = enrolments["one"], max(lengths)
    decisions = _decisions(logits, one, longest, encoder.calibration)
    groups = [*quantile_slices(attributes(faces)), *slices]
    return IdentificationReport(
        images=faces.photos,
        undetected=len(faces.skipped),
        enrolled=len(one.templates),
        mated=len(one.mated),
        non_mated=len(one.non_mated),
        name=encoder.name,
        recipe=encoder.recipe,
        sha256=encoder.fingerprint,
        results=tuple(results),
        slice_bits=longest,
        slices=() if decisions is None else slice_scores(labels, decisions, groups),
    )


def enrol(logits: np.ndarray, labels: np.ndarray, template: str) -> Enrolment:
    """Enrol everybody with two photos or more.

    Args:
        logits: (N, K).
        labels: (N,) person of each photo; the first photo of a person is the first row.
        template: "one" enrols the first photo and searches with the others; "fused" enrols the mean
            of all but the last and searches with the last.

    Returns:
        Templates and searches.

    Raises:
        DataError: nobody has two photos, or there is one person alone.
    """
    people, person, count = np.unique(labels, return_inverse=True, return_counts=True)
    several, single = np.flatnonzero(count > 1), np.flatnonzero(count == 1)
    if not len(single):
        shuffled = np.random.default_rng(0).permutation(several)
        several, single = np.sort(shuffled[::2]), shuffled[1::2]
    if not len(several) or not len(single):
        raise DataError(
            f"{len(labels)} faces of {len(people)} people: identification needs somebody with two "
            "photos, who is enrolled, and somebody else, who is not"
        )
    non_mated = np.flatnonzero(np.isin(person, single))
    templates, mated, mate = [], [], []
    for place, label in enumerate(several):
        rows = np.flatnonzero(person == label)
        split = 1 if template == "one" else len(rows) - 1
        templates.append(logits[rows[:split]].mean(0))
        mated.extend(rows[split:])
        mate.extend([place] * (len(rows) - split))
    return Enrolment(np.stack(templates), np.array(mated), np.array(mate), non_mated)


def identify(
    logits: np.ndarray,
    labels: np.ndarray,
    enrolment: Enrolment,
    bits: int,
    distance: str,
    template: str,
    calibration: Calibration | None = None,
    shifts: Sequence[Shift] = (),
) -> IdentificationScores:
    """Search an enrolment and count what is missed and what is found wrongly.

    Args:
        logits: (N, K).
        labels: (N,) person of each photo.
        enrolment: as of `enrol`.
        bits: code length.
        distance: "hamming" or "asymmetric".
        template: the kind of `enrolment`, for the report.
        calibration: whose limit is the shipped threshold; None, or without limits of searches,
            leaves it out.
        shifts: N shifts of the limit by what is wrong with each face; () leaves it as it is.

    Returns:
        The scores.
    """
    mated = search_distances(logits[enrolment.mated], enrolment.templates, bits, distance)
    others = search_distances(logits[enrolment.non_mated], enrolment.templates, bits, distance)
    people, strangers = labels[enrolment.mated], labels[enrolment.non_mated]
    nearest, hit = nearest_people(mated, enrolment.mate)
    stranger = others.min(1)
    by_people = _by_people(mated, others, enrolment.mate, people, strangers)
    whole = by_people[str(len(enrolment.templates))]
    limits = None
    if calibration is not None and calibration.searches:
        limits = calibration.search_limits(bits, distance)
    limit = None if limits is None else limits.limit(len(enrolment.templates))
    rule = None
    if limits is not None and distance == "hamming":
        shifts = shifts or [Shift()] * len(labels)
        rule = _rule(enrolment, nearest, hit, stranger, people, strangers, limits, shifts)
    return IdentificationScores(
        bits=bits,
        distance=distance,
        template=template,
        fnir_at_fpir=whole.fnir_at_fpir,
        fnir_ci95=whole.fnir_ci95,
        rank1_miss=whole.rank1_miss,
        rank1_miss_ci95=bootstrap_people(1 - hit, people),
        threshold=limit,
        fpir=None if limit is None else float((stranger <= limit).mean()),
        fnir=None if limit is None else float(1 - (hit * (nearest <= limit)).mean()),
        rule=rule,
        curve=metrics.identification_rates(nearest, hit, stranger),
        by_people=by_people,
    )


def nearest_people(distances: np.ndarray, mate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Who is first in each mated search.

    Args:
        distances: (Q, E) to all templates.
        mate: (Q,) column of the own person.

    Returns:
        Distance of the nearest person (Q,), and the chance that it is the mate, ties shared (Q,).
    """
    nearest = distances.min(1)
    tied = (distances == nearest[:, None]).sum(1)
    own = distances[np.arange(len(mate)), mate] == nearest
    return nearest, own / tied


def _rule(
    enrolment: Enrolment,
    nearest: np.ndarray,
    hit: np.ndarray,
    stranger: np.ndarray,
    people: np.ndarray,
    strangers: np.ndarray,
    limits: SearchLimits,
    shifts: Sequence[Shift],
) -> RuleRates:
    """The app's verdict on the nearest person of every search, by the face's own limits."""
    size = len(enrolment.templates)

    def verdicts(distances: np.ndarray, rows: np.ndarray) -> np.ndarray:
        found = zip(distances.tolist(), rows.tolist(), strict=True)
        return np.array([limits.verdict(distance, size, shifts[row]) for distance, row in found])

    mated = verdicts(nearest, enrolment.mated)
    others = verdicts(stranger, enrolment.non_mated)
    missed, alarm = 1 - hit * (mated == "match"), (others == "match").astype(np.float64)
    return RuleRates(
        fpir=float(alarm.mean()),
        fpir_ci95=bootstrap_people(alarm, strangers),
        fnir=float(missed.mean()),
        fnir_ci95=bootstrap_people(missed, people),
        unclear_mated=float((mated == "unclear").mean()),
        unclear_non_mated=float((others == "unclear").mean()),
        no_match_mated=float((mated == "no match").mean()),
    )


def _by_people(
    mated: np.ndarray,
    others: np.ndarray,
    mate: np.ndarray,
    people: np.ndarray,
    strangers: np.ndarray,
) -> dict[str, GalleryRates]:
    """Rates of random galleries of 1/8, 1/4 and 1/2 of the people, and of all."""
    enrolled = mated.shape[1]
    rng = np.random.default_rng(0)
    found = {}
    for size in dict.fromkeys(max(1, enrolled // part) for part in (8, 4, 2, 1)):
        draws, samples = (_DRAWS, _SAMPLES_OF_A_DRAW) if size < enrolled else (1, _SAMPLES)
        rates, ends, missed = [], [], []
        for _ in range(draws):
            chosen = np.sort(rng.choice(enrolled, size, replace=False))
            rows = np.flatnonzero(np.isin(mate, chosen))
            nearest, hit = nearest_people(
                mated[np.ix_(rows, chosen)], np.searchsorted(chosen, mate[rows])
            )
            stranger = others[:, chosen].min(1)
            missed.append(1 - hit.mean())
            levels = (*LEVELS, *GRID)
            thresholds = [metrics.threshold_at(stranger, level) for level in levels]
            rates.append([1 - (hit * (nearest <= limit)).mean() for limit in thresholds])
            ends.append(
                metrics.fnir_intervals(
                    nearest, hit, people[rows], stranger, strangers, levels, samples
                )
            )
        fnir, (low, high) = np.mean(rates, axis=0).tolist(), np.mean(ends, axis=0).tolist()
        names = [str(level) for level in LEVELS]
        count = len(names)
        found[str(size)] = GalleryRates(
            fnir_at_fpir=dict(zip(names, fnir[:count], strict=True)),
            fnir_ci95=dict(
                zip(names, zip(low[:count], high[:count], strict=True), strict=True)
            ),
            rank1_miss=float(np.mean(missed)),
            fnir=tuple(fnir[count:]),
            fnir_low=tuple(low[count:]),
            fnir_high=tuple(high[count:]),
        )  # fmt: skip
    return found


def _decisions(
    logits: np.ndarray, enrolment: Enrolment, bits: int, calibration: Calibration | None
) -> Decisions | None:
    """What the shipped thresholds decide, by Hamming distance; None without them."""
    if calibration is None or bits not in calibration.by_bits or not calibration.searches:
        return None
    limit = calibration.search_limits(bits).limit(len(enrolment.templates))
    mated = search_distances(logits[enrolment.mated], enrolment.templates, bits, "hamming")
    others = search_distances(logits[enrolment.non_mated], enrolment.templates, bits, "hamming")
    nearest, hit = nearest_people(mated, enrolment.mate)
    return Decisions(
        packed=codes.from_logits(logits, bits),
        threshold=calibration.threshold(bits),
        mated=enrolment.mated,
        missed=1 - hit * (nearest <= limit),
        non_mated=enrolment.non_mated,
        alarm=others.min(1) <= limit,
    )
