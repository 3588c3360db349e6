"""Distances of pairs as codes of 48 bits give them, and a calibration fitted to them."""

import numpy as np

from daah.evaluation.calibrate import fit_calibration
from daah.models.calibration import Calibration

BITS = 48


def pairs(seed: int, genuine: int = 3000, impostor: int = 60_000) -> tuple[np.ndarray, np.ndarray]:
    """Distances of same-person pairs, around 10, and of others, around 24."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(3, 11, genuine)
    return rng.binomial(BITS, chance), rng.binomial(BITS, 0.5, impostor)


def fitted() -> Calibration:
    """The calibration of `pairs(0)`."""
    return fit_calibration({BITS: pairs(0)})
