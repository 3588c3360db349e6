"""Does the mask hide what is in front of a face, and does the code gain by it?

Queries have an occluder of a kind that training never used; the database is clean. Each figure with
the mask has its peers: the same network with its mask off, behind another query's mask, behind a
centred Gaussian of the same mass, and a control that was trained as long without any mask.

Axes: N faces, Q queries, S = 224 pixels per side, G cells per side of a mask, K bits.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from daah import codes
from daah.data.labelled_faces import LabelledFaces
from daah.data.occlusion import KINDS, PASTED_FACE, occlude
from daah.evaluation.attention import encode_with_masks, face_regions
from daah.evaluation.encoding import check_lengths
from daah.metrics.bootstrap import bootstrap_people
from daah.metrics.leave_one_out import queries_with_mates, query_scores
from daah.models.encoder import Attention, Encoder
from daah.parallel import Progress

#: Code lengths that are reported, as far as the encoder has them; the first stands in the summary.
LENGTHS = (128, 64, 256)

#: Share of the face that an occluder hides, at least and at most.
SHARES = (0.15, 0.45)

#: Draws of one occluder until its share fits; the nearest is taken if none does.
_DRAWS = 8

#: Spread of the centred Gaussian in parts of the mask's side.
_SPREAD = 0.32


@dataclass(frozen=True, eq=False)
class OccludedQueries:
    """Every query with something in front of it.

    Attributes:
        query: (Q,) rows of the faces.
        images: (Q, S, S, 3) uint8.
        covers: (Q, S, S) bool, the pixels that are hidden.
        kinds: (Q,) str, kind of each occluder.
        share: (Q,) part of the face that is hidden, in [0, 1].
    """

    query: np.ndarray
    images: np.ndarray
    covers: np.ndarray
    kinds: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class OcclusionScores:
    """Mean average precision of one code length, and what the mask gains.

    Differences are the mean and its 95% bootstrap interval over identities, as (mean, low, high);
    those with the control are None without one.

    Attributes:
        bits: code length.
        occluded: mAP of covered queries by what gated the network: "mask", "off" (of query and
            database alike), "other" (another query's mask), "gaussian", and "control".
        clean: mAP of clean queries, under the same names.
        by_kind: as `occluded`, by kind of occluder.
        gain_over_off: covered queries, "mask" less "off".
        gain_over_control: covered queries, "mask" less "control".
        clean_loss: clean queries, "control" less "mask".
    """

    bits: int
    occluded: dict[str, float]
    clean: dict[str, float]
    by_kind: dict[str, dict[str, float]]
    gain_over_off: tuple[float, float, float]
    gain_over_control: tuple[float, float, float] | None
    clean_loss: tuple[float, float, float] | None


@dataclass(frozen=True)
class OcclusionReport:
    """Protocol 4 on covered faces.

    Attributes:
        queries: number of covered queries.
        share: mean part of the face that is hidden.
        mass_ratio: the occluder's share of the mask's mass over its share of the area, mean over
            queries; 1 is a mask that ignores it.
        face_ratio: the same for a mask that is open on the whole face and nowhere else.
        mass_ratio_by_kind: `mass_ratio` by kind of occluder.
        scores: by code length.
    """

    queries: int
    share: float
    mass_ratio: float
    face_ratio: float
    mass_ratio_by_kind: dict[str, float]
    scores: tuple[OcclusionScores, ...]

    def to_dict(self) -> dict[str, object]:
        """The figures that `evaluate-attention` prints, at the first of `LENGTHS`."""
        first = self.scores[0]
        return {
            "map_occluded_with_mask": first.occluded["mask"],
            "map_occluded_without_mask": first.occluded["off"],
            "map_occluded_control": first.occluded.get("control"),
            "map_clean_control": first.clean.get("control"),
            "occluder_mass_ratio": self.mass_ratio,
        }

    def details(self) -> dict[str, object]:
        """All figures, as JSON values."""
        return asdict(self)


def evaluate_occlusion(
    encoder: Encoder,
    faces: LabelledFaces,
    control: Encoder | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> OcclusionReport:
    """Cover every query and search for it among the clean faces.

    Args:
        encoder: what is measured.
        faces: of `data.labelled_faces`; people with one photo are in the database alone.
        control: a network that was trained as long on the same faces without a mask.
        seed: seed of the occluders.
        progress: called with steps done, of how many, and what.

    Returns:
        The figures at those of `LENGTHS` that the encoder has.

    Raises:
        ConfigError: the encoder has none of these lengths, or the control lacks one.
    """
    lengths = tuple(bits for bits in LENGTHS if bits in encoder.lengths)
    lengths = lengths or check_lengths(encoder, LENGTHS[:1])
    if control is not None:
        check_lengths(control, lengths)
    hidden = cover_queries(faces, seed, progress)
    clean, _ = encode_with_masks(encoder, faces.aligned, "model", progress)
    occluded, masks = encode_with_masks(encoder, hidden.images, "model", progress)

    def searched(attention: Attention) -> np.ndarray:
        return encode_with_masks(encoder, hidden.images, attention, progress)[0]

    probes = {
        "mask": occluded,
        "off": searched("off"),
        "other": searched(np.roll(masks, 1, axis=0)),
        "gaussian": searched(gaussian_masks(masks)),
    }
    off = encode_with_masks(encoder, faces.aligned, "off", progress)[0]
    references = {"mask": clean, "off": off}
    databases = dict.fromkeys(probes, clean) | {"off": off}
    if control is not None:
        probes["control"] = encode_with_masks(control, hidden.images, "model", progress)[0]
        databases["control"] = encode_with_masks(control, faces.aligned, "model", progress)[0]
        references["control"] = databases["control"]
    ratios = mass_ratio(masks, hidden.covers)
    faces_only = face_regions(faces.aligned_landmarks[hidden.query]).astype(np.float32)
    return OcclusionReport(
        queries=len(hidden.query),
        share=float(hidden.share.mean()),
        mass_ratio=float(ratios.mean()),
        face_ratio=float(mass_ratio(faces_only, hidden.covers).mean()),
        mass_ratio_by_kind={k: float(ratios[hidden.kinds == k].mean()) for k in KINDS},
        scores=tuple(
            _scores(bits, faces.labels, hidden, probes, databases, references) for bits in lengths
        ),
    )


def cover_queries(
    faces: LabelledFaces, seed: int = 0, progress: Progress | None = None
) -> OccludedQueries:
    """Put one occluder in front of every face that has a mate, the kinds in turn.

    Args:
        faces: what is covered; pasted faces are other people's of the same set.
        seed: seed of kinds, colours, sizes and places.
        progress: called with queries done, of how many, and what.

    Returns:
        The covered queries, in the order of `queries_with_mates`.
    """
    person, queries = queries_with_mates(faces.labels)
    landmarks = faces.aligned_landmarks
    regions = face_regions(landmarks[queries])
    rng = np.random.default_rng(seed)
    images = np.empty((len(queries), *faces.aligned.shape[1:]), np.uint8)
    covers = np.empty((len(queries), *faces.aligned.shape[1:3]), bool)
    kinds, shares = np.empty(len(queries), dtype=object), np.empty(len(queries))
    for row, index in enumerate(queries):
        kinds[row] = KINDS[row % len(KINDS)]
        best = np.inf
        for _ in range(_DRAWS):
            other = None
            if kinds[row] == PASTED_FACE:
                other = faces.aligned[rng.choice(np.flatnonzero(person != person[index]))]
            drawn = occlude(faces.aligned[index], landmarks[index], kinds[row], rng, other)
            cover = drawn.cover >= 0.5
            share = float((cover & regions[row]).sum() / max(regions[row].sum(), 1))
            off = max(SHARES[0] - share, share - SHARES[1], 0.0)
            if off < best:
                best = off
                images[row], covers[row], shares[row] = drawn.image, cover, share
            if not off:
                break
        if progress is not None:
            progress(row + 1, len(queries), "Covering faces")
    return OccludedQueries(queries, images, covers, kinds.astype(str), shares)


def mass_ratio(masks: np.ndarray, covers: np.ndarray) -> np.ndarray:
    """The covers' share of mask mass over their share of pixels, (Q,) float64.

    Args:
        masks: (Q, G, G) in [0, 1].
        covers: (Q, S, S) bool, S a multiple of G.

    Returns:
        The ratios; 1 where a mask is closed everywhere, or nothing is covered.
    """
    count, grid = masks.shape[:2]
    cell = covers.shape[1] // grid
    area = covers.reshape(count, grid, cell, grid, cell).mean((2, 4))  # (Q, G, G)
    covered, mass = area.mean((1, 2)), masks.mean((1, 2), dtype=np.float64)
    inside = (masks * area).mean((1, 2), dtype=np.float64)
    usable = (covered > 0) & (mass > 0)
    return np.where(usable, inside / np.where(usable, mass * covered, 1), 1.0)


def gaussian_masks(masks: np.ndarray) -> np.ndarray:
    """Centred Gaussians with the mass of each mask, as far as values of at most 1 allow.

    Args:
        masks: (Q, G, G) in [0, 1].

    Returns:
        (Q, G, G) float32 in [0, 1].
    """
    grid = masks.shape[1]
    axis = (np.arange(grid) - (grid - 1) / 2) / grid
    bell = np.exp(-(axis[:, None] ** 2 + axis[None] ** 2) / (2 * _SPREAD**2))
    scale = masks.mean((1, 2)) / bell.mean()
    return np.clip(bell[None] * scale[:, None, None], 0, 1).astype(np.float32)


def _scores(
    bits: int,
    labels: np.ndarray,
    hidden: OccludedQueries,
    probes: dict[str, np.ndarray],
    databases: dict[str, np.ndarray],
    references: dict[str, np.ndarray],
) -> OcclusionScores:
    def precision(database: np.ndarray, searched: np.ndarray | None = None) -> np.ndarray:
        packed = codes.from_logits(database, bits)
        asked = packed.copy()
        if searched is not None:
            asked[hidden.query] = codes.from_logits(searched, bits)
        return query_scores(packed, labels, probes=asked).average_precision

    occluded = {name: precision(databases[name], probes[name]) for name in probes}
    clean = {name: precision(database) for name, database in references.items()}
    people = labels[hidden.query]

    def gain(ours: np.ndarray, peer: np.ndarray) -> tuple[float, float, float]:
        difference = ours - peer
        return (float(difference.mean()), *bootstrap_people(difference, people))

    controlled = "control" in occluded
    return OcclusionScores(
        bits=bits,
        occluded={name: float(values.mean()) for name, values in occluded.items()},
        clean={name: float(values.mean()) for name, values in clean.items()},
        by_kind={
            kind: {name: float(v[hidden.kinds == kind].mean()) for name, v in occluded.items()}
            for kind in KINDS
        },
        gain_over_off=gain(occluded["mask"], occluded["off"]),
        gain_over_control=gain(occluded["mask"], occluded["control"]) if controlled else None,
        clean_loss=gain(clean["control"], clean["mask"]) if controlled else None,
    )
