"""What a gallery's key protects, and what it costs (ISO/IEC 24745 and 30136).

Axes: N = photos, K = logits, P = pairs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.optimize import linear_sum_assignment

from daah import codes
from daah.errors import DataError
from daah.evaluation.open_set import enrol
from daah.keys import Arrangement, Secret, new_key
from daah.metrics.leave_one_out import query_scores
from daah.metrics.linkability import Linkability, linkability
from daah.models.calibration import Calibration

#: Non-mated pairs per key that are scored.
_NON_MATED = 20_000


def arrangements(lengths: Sequence[int], count: int) -> list[Arrangement]:
    """Arrangements of new keys.

    Args:
        lengths: code lengths.
        count: number of keys, each of a gallery of its own.

    Returns:
        The arrangements; every call draws others.
    """
    return [new_key(Secret(bytes([i]) * 32)).arrangement(lengths) for i in range(count)]


def rotation(rng: np.random.Generator, lengths: Sequence[int]) -> np.ndarray:
    """A general orthogonal matrix for each part between two code lengths: what keys do not do.

    Args:
        rng: draws the matrices, uniformly distributed.
        lengths: code lengths; the longest is the whole code.

    Returns:
        (K, K) float64, block-diagonal.
    """
    bounds = [0, *sorted(set(lengths))]
    matrix = np.zeros((bounds[-1], bounds[-1]))
    for start, stop in itertools.pairwise(bounds):
        q, r = np.linalg.qr(rng.normal(size=(stop - start, stop - start)))
        matrix[start:stop, start:stop] = q * np.sign(np.diag(r))
    return matrix


def mean_average_precision(logits: np.ndarray, labels: np.ndarray, bits: int) -> float:
    """Leave-one-out mAP by Hamming distance (protocol 1).

    Args:
        logits: (N, K).
        labels: (N,) person of each photo.
        bits: code length.

    Returns:
        Tie-averaged mAP.
    """
    return float(query_scores(codes.from_logits(logits, bits), labels).average_precision.mean())


def first_by_logits(logits: np.ndarray, labels: np.ndarray, bits: int) -> float:
    """Share of mated searches whose nearest person by the cosine of stored logits is the right one.

    This is what a search ranks by where no code matches.

    Args:
        logits: (N, K) as they are stored.
        labels: (N,) person of each photo.
        bits: code length.

    Returns:
        The share, people being enrolled by all of their photos but one, fused.
    """
    enrolment = enrol(logits, labels, "fused")
    found = [
        codes.cosine(logits[row, :bits], enrolment.templates[:, :bits]).argmax()
        for row in enrolment.mated
    ]
    return float((np.array(found) == enrolment.mate).mean())


def error_rates(
    logits: np.ndarray, labels: np.ndarray, bits: int, calibration: Calibration
) -> dict[str, float]:
    """False match and false non-match rate at the shipped threshold, over all pairs.

    Args:
        logits: (N, K).
        labels: (N,) person of each photo.
        bits: code length.
        calibration: whose threshold it is.

    Returns:
        "fmr" and "fnmr".
    """
    packed = codes.from_logits(logits, bits)
    limit, wrong, right, others, own = calibration.threshold(bits), 0, 0, 0, 0
    for row in range(len(labels) - 1):
        near = codes.hamming(packed[row : row + 1], packed[row + 1 :])[0] <= limit
        same = labels[row + 1 :] == labels[row]
        right, own = right + int(near[same].sum()), own + int(same.sum())
        wrong, others = wrong + int(near[~same].sum()), others + int((~same).sum())
    return {"fmr": wrong / max(others, 1), "fnmr": 1 - right / max(own, 1)}


def pairs(labels: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of photos of one person, and as many as are scored of different people.

    Args:
        labels: (N,) person of each photo.
        seed: of the draws.

    Returns:
        Mated (P, 2) rows, at most 20 of a person, and non-mated (P, 2) rows.

    Raises:
        DataError: nobody has two photos, or there is one person alone.
    """
    rng = np.random.default_rng(seed)
    mated: list[tuple[int, int]] = []
    for person in np.unique(labels):
        own = list(itertools.combinations(np.flatnonzero(labels == person).tolist(), 2))
        chosen = rng.permutation(len(own))[:20]
        mated += [own[i] for i in chosen]
    drawn = rng.integers(len(labels), size=(2 * _NON_MATED, 2))
    others = drawn[labels[drawn[:, 0]] != labels[drawn[:, 1]]][:_NON_MATED]
    if not mated or not len(others):
        raise DataError("unlinkability needs somebody with two photos, and somebody else")
    return np.array(mated), others


def link(
    one: np.ndarray, two: np.ndarray, mated: np.ndarray, non_mated: np.ndarray, bits: int
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Scores of pairs across two galleries, by codes and by stored logits.

    Args:
        one: (N, K) logits as the first gallery keeps them.
        two: (N, K) logits of the same photos as the second one does.
        mated: (P, 2) rows.
        non_mated: (P, 2) rows.
        bits: code length.

    Returns:
        Mated and non-mated scores of "codes" (Hamming distance) and "logits" (cosine).
    """
    found = {}
    bits_one, bits_two = one[:, :bits] > 0, two[:, :bits] > 0
    unit = [x[:, :bits] / np.linalg.norm(x[:, :bits], axis=1, keepdims=True) for x in (one, two)]
    found["codes"] = tuple(
        (bits_one[rows[:, 0]] != bits_two[rows[:, 1]]).sum(1).astype(np.float64)
        for rows in (mated, non_mated)
    )
    found["logits"] = tuple(
        np.einsum("pk,pk->p", unit[0][rows[:, 0]], unit[1][rows[:, 1]])
        for rows in (mated, non_mated)
    )
    return found


def unlinkability(
    logits: np.ndarray,
    labels: np.ndarray,
    lengths: Sequence[int],
    bits: int,
    keys: int,
    same_photo: bool = False,
) -> dict[str, Linkability]:
    """D_sys of galleries with different keys, of galleries without, and with the keys known.

    Args:
        logits: (N, K) of the network.
        labels: (N,) person of each photo.
        lengths: code lengths of the model.
        bits: code length that is attacked.
        keys: pairs of keys.
        same_photo: whether mated templates are of the very same photo.

    Returns:
        By "none", "keys" and "keys known", each followed by ", codes" or ", logits".
    """
    mated, others = pairs(labels)
    if same_photo:
        rows = np.arange(len(labels))
        mated = np.stack([rows, rows], 1)
    scores: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for name, own in link(logits, logits, mated, others, bits).items():
        scores[f"none, {name}"] = [own]
    drawn = arrangements(lengths, 2 * keys)
    for first, second in zip(drawn[:keys], drawn[keys:], strict=True):
        one, two = first.template(logits), second.template(logits)
        for name, own in link(one, two, mated, others, bits).items():
            scores.setdefault(f"keys, {name}", []).append(own)
        if first is drawn[0]:  # the same for every pair of keys
            one, two = first.undo(one), second.undo(two)
            for name, own in link(one, two, mated, others, bits).items():
                scores[f"keys known, {name}"] = [own]
    bins = min(40, bits + 1)
    return {
        name: linkability(*(np.concatenate(kind) for kind in zip(*found, strict=True)), bins=bins)
        for name, found in scores.items()
    }


def known_photos(
    known: np.ndarray,
    stored: np.ndarray,
    arrangement: Arrangement,
    lengths: Sequence[int],
) -> float:
    """Share of places and signs that an attacker finds who knows photos of a stolen gallery.

    Each stored bit is matched with the bit of the network that agrees or disagrees with it most
    often, one to one within each part.

    Args:
        known: (N, K) logits of photos that the attacker has, of the people of `stored`.
        stored: (N, K) templates of the gallery, in the same order.
        arrangement: that of the gallery.
        lengths: code lengths of the model.

    Returns:
        The share, 0 to 1; chance is near 0.
    """
    theirs, own = np.sign(stored), np.where(known > 0, 1.0, -1.0)
    truth = arrangement.undo(np.arange(1, arrangement.bits + 1, dtype=np.float32)[None])[0]
    found, bounds = 0, [0, *sorted(set(lengths))]
    for start, stop in itertools.pairwise(bounds):
        agreement = own[:, start:stop].T @ theirs[:, start:stop]
        rows, columns = linear_sum_assignment(-np.abs(agreement))
        signed = np.sign(agreement[rows, columns]) * (start + columns + 1)
        found += int((truth[start:stop] == signed).sum())
    return found / arrangement.bits
