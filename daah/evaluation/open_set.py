"""Protocol 3: open-set identification as NIST reports it (FRTE 1:N, ISO/IEC 19795-1).

People with two photos or more are enrolled, by one photo or by all but one, fused. Their other
photos are mated searches. Photos of people with one photo are non-mated searches; where everybody
has several, those of a random half of the people.

Axes: N = photos, K = logits, E = enrolled people, Q = mated searches, S = non-mated searches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from daah import metrics
from daah.data.labelled_faces import LabelledFaces
from daah.errors import DataError
from daah.evaluation.encoding import check_lengths, encode_faces
from daah.evaluation.search_limits import search_distances
from daah.metrics.bootstrap import bootstrap_people
from daah.models.calibration import FPIR, Calibration
from daah.models.encoder import Encoder
from daah.parallel import Progress

#: False positive identification rates that are reported.
LEVELS = (0.1, FPIR, 0.003)

#: How a person is enrolled.
TEMPLATES = ("one", "fused")

#: Points of a reported curve.
_POINTS = 200

#: Random galleries of each smaller size.
_DRAWS = 5


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


@dataclass(frozen=True, eq=False)
class IdentificationScores:
    """Identification by one code length, distance and kind of template.

    Attributes:
        bits: code length.
        distance: "hamming" or "asymmetric".
        template: "one" photo, or all but one "fused".
        fnir_at_fpir: false negative identification rate at each rate of `LEVELS`, the threshold
            chosen on these very non-mated searches.
        fnir_ci95: 95% intervals of these rates, by bootstrap over enrolled identities.
        rank1_miss: share of mated searches whose nearest person is another one.
        threshold: the shipped limit for this number of enrolled people, in bits; None without one.
        fpir: false positive identification rate at this limit.
        fnir: false negative identification rate at this limit.
        curve: both rates at every threshold.
        by_people: `fnir_at_fpir` at `FPIR` of random galleries, by their number of people.
    """

    bits: int
    distance: str
    template: str
    fnir_at_fpir: dict[str, float]
    fnir_ci95: dict[str, tuple[float, float]]
    rank1_miss: float
    threshold: float | None
    fpir: float | None
    fnir: float | None
    curve: metrics.Identification
    by_people: dict[str, float]

    def to_dict(self) -> dict[str, Any]:
        """The scores as plain JSON values, the curve thinned."""
        values = asdict(self)
        rows = np.unique(np.linspace(0, len(self.curve.fpir) - 1, _POINTS).astype(int))
        values["curve"] = {
            name: np.round(getattr(self.curve, name)[rows], 6).tolist()
            for name in ("threshold", "fpir", "fnir")
        }
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
        }


def evaluate_identification(
    encoder: Encoder,
    faces: LabelledFaces,
    bits: Sequence[int] = (),
    progress: Progress | None = None,
) -> IdentificationReport:
    """Evaluate open-set identification.

    Args:
        encoder: the encoder.
        faces: of `data.labelled_faces`; of each person the first photo by name is enrolled.
        bits: code lengths; () takes all of the encoder's.
        progress: called with batches done, their number, and the step.

    Returns:
        The scores of every length, by both distances and templates.

    Raises:
        ConfigError: the encoder has no codes of one of the lengths.
        DataError: nobody has two photos, or there is one person alone.
    """
    lengths = check_lengths(encoder, bits)
    logits = encode_faces(encoder, faces.aligned, progress)
    labels = np.asarray(faces.labels)
    enrolments = {template: enrol(logits, labels, template) for template in TEMPLATES}
    one = enrolments["one"]
    return IdentificationReport(
        images=faces.photos,
        undetected=len(faces.skipped),
        enrolled=len(one.templates),
        mated=len(one.mated),
        non_mated=len(one.non_mated),
        name=encoder.name,
        recipe=encoder.recipe,
        sha256=encoder.fingerprint,
        results=tuple(
            identify(logits, labels, enrolments[template], length, distance, template,
                     encoder.calibration)
            for length in lengths
            for distance in ("hamming", "asymmetric")
            for template in TEMPLATES
        ),
    )  # fmt: skip


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

    Returns:
        The scores.
    """
    mated = search_distances(logits[enrolment.mated], enrolment.templates, bits, distance)
    others = search_distances(logits[enrolment.non_mated], enrolment.templates, bits, distance)
    nearest, hit = _nearest(mated, enrolment.mate)
    stranger = others.min(1)
    curve = metrics.identification_rates(nearest, hit, stranger)
    fnir, intervals = {}, {}
    for level in LEVELS:
        threshold = _threshold(stranger, level)
        missed = 1 - hit * (nearest <= threshold)
        fnir[str(level)] = float(missed.mean())
        intervals[str(level)] = bootstrap_people(missed, labels[enrolment.mated])
    limit = None
    if calibration is not None and calibration.searches:
        limit = calibration.search_limits(bits, distance).limit(len(enrolment.templates))
    return IdentificationScores(
        bits=bits,
        distance=distance,
        template=template,
        fnir_at_fpir=fnir,
        fnir_ci95=intervals,
        rank1_miss=float(1 - hit.mean()),
        threshold=limit,
        fpir=None if limit is None else float((stranger <= limit).mean()),
        fnir=None if limit is None else float(1 - (hit * (nearest <= limit)).mean()),
        curve=curve,
        by_people=dict(_by_people(mated, others, enrolment.mate)),
    )


def _nearest(distances: np.ndarray, mate: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distance of the nearest person (Q,), and the chance that it is the mate, ties shared."""
    nearest = distances.min(1)
    tied = (distances == nearest[:, None]).sum(1)
    own = distances[np.arange(len(mate)), mate] == nearest
    return nearest, own / tied


def _threshold(stranger: np.ndarray, level: float) -> float:
    """Just below the distance at which more than this share of non-mated searches find anybody."""
    values = np.unique(stranger).astype(np.float64)
    share = np.searchsorted(np.sort(stranger), values, side="right") / len(stranger)
    over = values[share > level]
    return float(np.nextafter(over[0], -np.inf)) if len(over) else np.inf


def _by_people(
    mated: np.ndarray, others: np.ndarray, mate: np.ndarray
) -> Iterator[tuple[str, float]]:
    """FNIR at `FPIR` of random galleries of 1/8, 1/4 and 1/2 of the people, and of all."""
    enrolled = mated.shape[1]
    rng = np.random.default_rng(0)
    for size in dict.fromkeys(max(1, enrolled // part) for part in (8, 4, 2, 1)):
        rates = []
        for _ in range(_DRAWS if size < enrolled else 1):
            chosen = np.sort(rng.choice(enrolled, size, replace=False))
            rows = np.flatnonzero(np.isin(mate, chosen))
            nearest, hit = _nearest(
                mated[np.ix_(rows, chosen)], np.searchsorted(chosen, mate[rows])
            )
            threshold = _threshold(others[:, chosen].min(1), FPIR)
            rates.append(float(1 - (hit * (nearest <= threshold)).mean()))
        yield str(size), float(np.mean(rates))
