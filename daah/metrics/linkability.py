"""Unlinkability of protected templates across galleries, as ISO/IEC 30136 measures it.

Gomez-Barrero et al., "General framework to evaluate unlinkability in biometric template protection
systems", IEEE Transactions on Information Forensics and Security, 2018.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Linkability:
    """How far scores across two systems say whether two templates are of one person.

    Attributes:
        system: D_sys, from 0 (they say nothing) to 1 (they say it of every pair).
        score: (S,) centres of the bins of scores.
        local: (S,) D of each bin: by how much the better guess is that the pair is mated.
        mated: (S,) share of mated pairs in each bin.
        non_mated: (S,) share of non-mated pairs.
    """

    system: float
    score: np.ndarray
    local: np.ndarray
    mated: np.ndarray
    non_mated: np.ndarray


def linkability(
    mated: np.ndarray,
    non_mated: np.ndarray,
    bins: int | np.ndarray = 40,
    odds: float = 1.0,
) -> Linkability:
    """Measure D_sys from scores of pairs; no direction of the scores is assumed.

    Args:
        mated: (M,) scores of templates of one person.
        non_mated: (N,) scores of templates of different people.
        bins: edges of the bins of scores, or the number of bins between the least and the greatest
            one. Few pairs in many bins look linkable by chance.
        odds: prior odds of a pair being mated.

    Returns:
        D_sys and the curves that it is the mean of.

    Raises:
        ValueError: there are no scores of one kind.

    Example:
        >>> linkability(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]), bins=2).system
        0.0
        >>> linkability(np.array([0, 0]), np.array([1, 1]), bins=2).system
        1.0
    """
    mated, non_mated = np.asarray(mated, np.float64), np.asarray(non_mated, np.float64)
    if not len(mated) or not len(non_mated):
        raise ValueError("linkability: expected scores of mated and of non-mated pairs")
    low, high = min(mated.min(), non_mated.min()), max(mated.max(), non_mated.max())
    edges = np.histogram_bin_edges([low, high], bins)
    own = np.histogram(mated, edges)[0] / len(mated)
    others = np.histogram(non_mated, edges)[0] / len(non_mated)
    # 2 p / (p + q) - 1 where the pair is more probably mated: equation 6.
    total = odds * own + others
    local = np.divide(
        odds * own - others, total, out=np.zeros(len(edges) - 1), where=total > 0
    ).clip(0)
    return Linkability(float((own * local).sum()), (edges[:-1] + edges[1:]) / 2, local, own, others)
