"""Protocol 5: robustness to corrupted queries, and accuracy by attributes of the photos.

Axes: N = faces, Q = queries, S = 224 pixels per side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from scipy.ndimage import laplace

from daah import codes, metrics
from daah.data.labelled_faces import LabelledFaces
from daah.evaluation.corruptions import LUMA, Corruption, blur, cover, grey, resize_face, rotate
from daah.evaluation.encoding import encode_faces
from daah.metrics.leave_one_out import pair_distances, queries_with_mates, query_scores
from daah.models.encoder import Encoder
from daah.parallel import Progress
from daah.types import ALIGNED_SIZE

# ------------------------------------------------------------------------------ damaged queries


@dataclass(frozen=True)
class CorruptionScores:
    """Scores of searches with corrupted queries in a clean database.

    Attributes:
        kind: kind of corruption; "clean" for none.
        value: its severity, in units of the kind.
        map: mean average precision.
        map_ci95: 95% bootstrap interval of `map` over identities.
        rank1: rank-1 accuracy.
        rank1_ci95: 95% bootstrap interval of `rank1` over identities.
        tar: true accept rate at a false accept rate of 0.001 over pairs of a corrupted and a clean
            face; the threshold is that of these pairs.
    """

    kind: str
    value: float
    map: float
    map_ci95: tuple[float, float]
    rank1: float
    rank1_ci95: tuple[float, float]
    tar: float


#: Corruptions by kind and severity. The bands are around the template's eyes (row 103) and mouth
#: (row 185).
CORRUPTIONS: dict[str, dict[float, Corruption]] = {
    "face_width": {width: resize_face(width) for width in (16, 24, 32, 48, 64, 96, 128)},
    "blur": {spread: blur(spread) for spread in (1.5, 3.0, 4.0, 5.5, 8.0)},
    "grey": {1: grey},
    "rotation": {degrees: rotate(degrees) for degrees in (-30, -20, -10, -5, 5, 10, 20, 30)},
    "glasses_band": {1: cover(88, 119, 40, 187, level=20)},
    "mouth_band": {1: cover(161, 221, 53, 174, level=200)},
}


def corrupted_queries(
    encoder: Encoder,
    faces: LabelledFaces,
    bits: int,
    damages: dict[str, dict[float, Corruption]] = CORRUPTIONS,
    progress: Progress | None = None,
) -> tuple[CorruptionScores, ...]:
    """Evaluate searches with each corruption applied to the queries.

    Corruptions are applied to faces aligned from the clean photo, so the loss is that of the code
    alone and not of the detector.

    Args:
        encoder: the encoder.
        faces: the set; every face with a mate is a query.
        bits: code length.
        damages: corruptions by kind and severity.
        progress: called with corruptions done, their number, and the step.

    Returns:
        Scores of each corruption, after a first row "clean" without one.

    Raises:
        ValueError: no identity has two faces, or there is only one identity.
    """
    clean = _packed(encoder, faces.aligned, bits)
    _, queries = queries_with_mates(faces.labels)
    scores = [_damage_scores("clean", 0, clean, clean, faces.labels)]
    steps = [(kind, value) for kind, by_value in damages.items() for value in by_value]
    for done, (kind, value) in enumerate(steps, 1):
        damaged = np.stack([damages[kind][value](faces.aligned[i]) for i in queries])
        probes = clean.copy()
        probes[queries] = _packed(encoder, damaged, bits)
        scores.append(_damage_scores(kind, value, clean, probes, faces.labels))
        if progress is not None:
            progress(done, len(steps), "Damaging the queries")
    return tuple(scores)


def _damage_scores(
    kind: str, value: float, clean: np.ndarray, probes: np.ndarray, labels: np.ndarray
) -> CorruptionScores:
    found = query_scores(clean, labels, probes=probes)
    people = labels[found.query]
    return CorruptionScores(
        kind=kind,
        value=value,
        map=float(found.average_precision.mean()),
        map_ci95=metrics.bootstrap_people(found.average_precision, people),
        rank1=float(found.rank1.mean()),
        rank1_ci95=metrics.bootstrap_people(found.rank1, people),
        tar=metrics.tar_at_far(*_probe_pairs(clean, labels, probes), 1e-3).tar,
    )


def _probe_pairs(
    clean: np.ndarray, labels: np.ndarray, probes: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs with a corrupted probe only: images without a mate are no probes."""
    _, order = queries_with_mates(labels)
    rest = np.setdiff1d(np.arange(len(labels)), order)
    genuine, impostor = pair_distances(clean[order], labels[order], probes[order])
    others = codes.hamming(probes[order], clean[rest]).ravel().astype(impostor.dtype)
    return genuine, np.concatenate([impostor, others])


def _packed(
    encoder: Encoder, aligned: np.ndarray, bits: int, progress: Progress | None = None
) -> np.ndarray:
    return codes.from_logits(encode_faces(encoder, aligned, progress), bits)


# --------------------------------------------------------------------------- groups of photos


@dataclass(frozen=True)
class GroupScores:
    """Scores of one quantile group of photos by one attribute measured from pixels.

    TAR and FAR are at one threshold for all groups, which keeps a false accept rate of 0.001 over
    all pairs: they show whether one verdict treats all groups alike.

    Attributes:
        attribute: key of `attributes`.
        group: number of the quantile, from 0.
        low: lowest value of the attribute in the group.
        high: highest value of the attribute in the group.
        queries: queries in the group.
        map: mean average precision of these queries.
        map_ci95: 95% bootstrap interval of `map` over identities.
        rank1: rank-1 accuracy of these queries.
        rank1_ci95: 95% bootstrap interval of `rank1` over identities.
        tar: true accept rate over same-person pairs with a query of the group.
        tar_ci95: 95% bootstrap interval of `tar` over identities.
        far: false accept rate over different-person pairs within the group.
        threshold: the threshold, in bits; -1 if none keeps the rate.
    """

    attribute: str
    group: int
    low: float
    high: float
    queries: int
    map: float
    map_ci95: tuple[float, float]
    rank1: float
    rank1_ci95: tuple[float, float]
    tar: float
    tar_ci95: tuple[float, float]
    far: float
    threshold: int

    def to_dict(self) -> dict[str, object]:
        """The scores as plain JSON values."""
        return asdict(self)


def attributes(faces: LabelledFaces) -> dict[str, np.ndarray]:
    """Measure attributes from pixels and landmarks alone.

    - face_width: width of the box in pixels of the photo; missing for aligned crops.
    - turn: offset of the nose from the midpoint of the eyes along the line of the eyes, over
      their distance; 0 is frontal, about 0.5 a profile.
    - sharpness: variance of the Laplacian of the aligned luma (Pech-Pacheco et al., ICPR
      2000).
    - brightness: mean luma of the aligned face, 0 to 255.
    - skin_luma: median luma of both cheeks, 0 to 255. It depends on light and exposure as much as
      on skin, so it is a property of the photo and not of the person.

    Args:
        faces: the faces.

    Returns:
        Values (N,) float64 by attribute.
    """
    luma = faces.aligned.astype(np.float32) @ LUMA  # (N, S, S)
    points = faces.aligned_landmarks.astype(np.float64)
    eyes = points[:, 1] - points[:, 0]
    across = np.einsum("nk,nk->n", points[:, 2] - points[:, :2].mean(1), eyes)
    measured = {
        "turn": np.abs(across) / np.einsum("nk,nk->n", eyes, eyes),
        "sharpness": np.array([laplace(face).var() for face in luma]),
        "brightness": luma.mean((1, 2)),
        "skin_luma": np.array([_skin_luma(*pair) for pair in zip(luma, points, strict=True)]),
    }
    if not np.isnan(faces.width).any():
        measured = {"face_width": faces.width.astype(np.float64), **measured}
    return {name: values.astype(np.float64) for name, values in measured.items()}


def groups(
    encoder: Encoder,
    faces: LabelledFaces,
    bits: int,
    quantiles: int = 4,
    progress: Progress | None = None,
) -> tuple[GroupScores, ...]:
    """Scores by quantile group of every attribute of `attributes`.

    Args:
        encoder: the encoder.
        faces: the set; every face with a mate is a query.
        bits: code length.
        quantiles: groups per attribute; an attribute with few distinct values has fewer.
        progress: called with batches done, their number, and the step.

    Returns:
        Scores of each group.

    Raises:
        ValueError: no identity has two faces, or there is only one identity.
    """
    packed, labels = _packed(encoder, faces.aligned, bits, progress), faces.labels
    found = query_scores(packed, labels)
    at = metrics.tar_at_far(*pair_distances(packed, labels), 1e-3)
    threshold = int(at.threshold) if np.isfinite(at.threshold) else -1
    accepted = codes.hamming(packed, packed) <= threshold  # (N, N)
    _, person = np.unique(labels, return_inverse=True)
    same = person[:, None] == person
    same_off = same & ~np.eye(len(labels), dtype=bool)
    genuine_count = same_off.sum(1)
    genuine_accepted = (accepted & same_off).sum(1)
    scores = []
    for attribute, values in attributes(faces).items():
        edges = np.quantile(values, np.linspace(0, 1, quantiles + 1))
        group_of = np.searchsorted(edges[1:-1], values, side="right")
        for group in range(quantiles):
            inside = group_of == group
            asked = inside[found.query]
            if not asked.any() or inside.sum() < 2:
                continue  # a constant attribute has fewer groups than quantiles
            people = labels[found.query][asked]
            precision, first = found.average_precision[asked], found.rank1[asked]
            chosen = found.query[asked]
            weights = genuine_count[chosen].astype(np.float64)
            rates = genuine_accepted[chosen] / weights
            strangers = ~same[np.ix_(inside, inside)]
            scores.append(
                GroupScores(
                    attribute=attribute,
                    group=group,
                    low=float(values[inside].min()),
                    high=float(values[inside].max()),
                    queries=int(asked.sum()),
                    map=float(precision.mean()),
                    map_ci95=metrics.bootstrap_people(precision, people),
                    rank1=float(first.mean()),
                    rank1_ci95=metrics.bootstrap_people(first, people),
                    tar=float((rates * weights).sum() / weights.sum()),
                    tar_ci95=metrics.bootstrap_people(rates, people, weights),
                    far=float(accepted[np.ix_(inside, inside)][strangers].mean())
                    if strangers.any()
                    else 0.0,
                    threshold=threshold,
                )
            )
    return tuple(scores)


def _skin_luma(luma: np.ndarray, points: np.ndarray) -> float:
    """Median luma of two squares on the cheeks, midway between each eye and its mouth corner."""
    reach = max(2, round(0.12 * float(np.linalg.norm(points[1] - points[0]))))
    patches: list[np.ndarray] = []
    for eye, corner in ((0, 3), (1, 4)):
        x, y = np.round((points[eye] + points[corner]) / 2).astype(int)
        x, y = np.clip([x, y], reach, ALIGNED_SIZE - reach - 1)
        patches.append(luma[y - reach : y + reach + 1, x - reach : x + reach + 1].ravel())
    return float(np.median(np.concatenate(patches)))


def kinds(scores: Sequence[CorruptionScores]) -> dict[str, list[CorruptionScores]]:
    """Group the scores of corrupted queries by kind, without the row "clean".

    Args:
        scores: of `corrupted_queries`.

    Returns:
        Scores of each kind, by ascending severity.
    """
    found: dict[str, list[CorruptionScores]] = {}
    for score in sorted(scores, key=lambda s: s.value):
        if score.kind != "clean":
            found.setdefault(score.kind, []).append(score)
    return found
