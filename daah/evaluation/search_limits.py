"""Limits of a match in a search, from the nearest of many people who are somebody else.

Each photo is searched among the other people of a set. For a gallery of N people, no more than the
set has, the share of searches that find anybody within a distance is computed exactly, over all
choices of N people. Above that, N people are N / M independent sets of M. Below the distances that
the set has enough searches for, the tail of all distances takes over: a generalised Pareto
distribution of what is nearer than the nearest two in a thousand pairs (peaks over threshold,
Pickands, "Statistical inference using extreme order statistics", 1975).

Axes: P = searches, M = people, T = distances of a grid, ascending.
"""

from __future__ import annotations

import numpy as np
from scipy import stats
from scipy.special import gammaln

from daah import codes
from daah.models.calibration import FPIR_LEVELS, SIZES, SearchLimits

#: Steps of asymmetric distances per bit.
_STEPS = 8

#: Share of pairs that the tail is fitted to.
_TAIL = 2e-3

#: A rate is counted where at least so many searches support it.
_COUNTED = 30

#: Share of mated searches beyond `SearchLimits.mated`.
_MISSED = 0.05


def fit_search_limits(
    logits: np.ndarray,
    labels: np.ndarray,
    bits: int,
    distance: str = "hamming",
    probes: tuple[np.ndarray, np.ndarray] | None = None,
) -> SearchLimits:
    """Fit the limits of one code length. The first photo of each person is the template.

    Args:
        logits: (P, K) of photos of people that training never saw.
        labels: (P,) their people.
        bits: code length.
        distance: "hamming" or "asymmetric".
        probes: what is searched instead of the photos: their rows (R,), and the logits (R, K) of
            copies of them; None searches the photos.

    Returns:
        The limits.

    Raises:
        ValueError: there are fewer than two people, or no search is for one of them.
    """
    _, first, person = np.unique(labels, return_index=True, return_inverse=True)
    rows, searched = (np.arange(len(person)), logits) if probes is None else probes
    templates = logits[first]
    person = person[rows]
    mated = np.flatnonzero(~np.isin(rows, first))
    if len(first) < 2 or not len(mated):
        raise ValueError("search limits: expected two people or more, one with two photos or more")
    found = search_distances(searched, templates, bits, distance)  # (P, M)
    step = 1 if distance == "hamming" else _STEPS
    grid = np.ceil(found * step).astype(np.int64)
    own = grid[mated, person[mated]]
    others = np.ones(grid.shape, bool)
    others[np.arange(len(person)), person] = False
    near = grid[others].reshape(len(person), len(first) - 1)
    within = np.stack([np.bincount(row, minlength=bits * step + 1) for row in near]).cumsum(1)
    rates = _rates(within, near.shape[1], _tail(near))
    limits = tuple(
        tuple(float((rates[k] <= level).sum() - 1) / step for k in range(SIZES))
        for level in FPIR_LEVELS
    )
    return SearchLimits(
        limits, float(np.quantile(own, 1 - _MISSED)) / step, len(first), len(person)
    )


def search_distances(
    logits: np.ndarray, templates: np.ndarray, bits: int, distance: str
) -> np.ndarray:
    """Distances of searches to templates.

    Args:
        logits: (P, K) of the searches.
        templates: (M, K) logits that are binarised.
        bits: code length.
        distance: "hamming" or "asymmetric".

    Returns:
        (P, M) in bits.
    """
    packed = codes.from_logits(templates, bits)
    if distance == "hamming":
        return codes.hamming(codes.from_logits(logits, bits), packed)
    return codes.normalised_asymmetric(logits[:, :bits], packed)


def _tail(near: np.ndarray) -> np.ndarray:
    """Share of pairs within each distance of the grid, the tail fitted: (T,) float64, ascending."""
    counts = np.bincount(near.ravel(), minlength=near.max() + 1)
    share = counts.cumsum() / counts.sum()
    start = int(np.searchsorted(share, _TAIL))
    below = near[near <= start]
    # Distances are rounded up to the grid, so that half a step is their mean error.
    shape, _, scale = stats.genpareto.fit(start - below + 0.5, floc=0)
    tail = share[start] * stats.genpareto.sf(start - np.arange(start), shape, 0, scale)
    share[:start] = np.minimum(tail, share[start])
    return share


def _rates(within: np.ndarray, others: int, share: np.ndarray) -> np.ndarray:
    """FPIR (SIZES, T) of galleries of 2^k people, never falling with the distance.

    within: (P, T) people of the set within each distance of each search. others: M, people of the
    set. share: of pairs within each distance, as `_tail` returns it.
    """
    width = within.shape[1]
    share = np.concatenate([share, np.ones(max(0, width - len(share)))])[:width]

    def extended(rate: np.ndarray) -> np.ndarray:
        counted = int(np.searchsorted(rate, min(1.0, _COUNTED / len(within))))
        counted = min(counted, width - 1)
        ratio = share[:counted] / share[counted]
        return np.concatenate([rate[counted] * ratio, rate[counted:]])

    everybody = extended((within > 0).mean(0))
    rates = []
    for people in 2 ** np.arange(SIZES, dtype=np.float64):
        if people < others:
            rates.append(extended(_anybody(within, others, people)))
        else:
            rates.append(-np.expm1(people / others * np.log1p(-np.minimum(everybody, 1 - 1e-12))))
    return np.maximum.accumulate(np.stack(rates), axis=1)


def _anybody(within: np.ndarray, others: int, people: float) -> np.ndarray:
    """Chance (T,) that one of `people` drawn from `others` is among those within, mean over P."""
    left = others - within
    with np.errstate(invalid="ignore"):
        none = (
            gammaln(left + 1)
            - gammaln(left - people + 1)
            - gammaln(others + 1)
            + gammaln(others - people + 1)
        )
    return 1 - np.where(left >= people, np.exp(none), 0.0).mean(0)
