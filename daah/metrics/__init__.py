"""Retrieval, verification, identification and calibration metrics: pure functions of arrays.

Hamming distances are small whole numbers, so most of a ranking is ties. Nothing here breaks a tie
by the order of the database: every ranking metric is the expectation over all orders of each tie
group, in closed form (McSherry and Najork, "Computing information retrieval performance measures
efficiently in the presence of tied scores", ECIR 2008).

Axes: Q queries, M database rows, G tie groups, P people, B bootstrap samples.
"""

from daah.metrics.bootstrap import bootstrap_people
from daah.metrics.clustering import BCubed, bcubed, bcubed_of_faces
from daah.metrics.identification import (
    Identification,
    fnir_intervals,
    identification_rates,
    threshold_at,
)
from daah.metrics.linkability import Linkability, linkability
from daah.metrics.ranking import (
    PrecisionRecall,
    TieGroups,
    average_precision,
    precision_at,
    precision_recall,
    precision_within,
    rank1,
    tie_groups,
)
from daah.metrics.reliability import Reliability, expected_calibration_error, reliability_bins
from daah.metrics.verification import Operating, Roc, roc, tar_at_far

__all__ = [
    "BCubed",
    "Identification",
    "Linkability",
    "Operating",
    "PrecisionRecall",
    "Reliability",
    "Roc",
    "TieGroups",
    "average_precision",
    "bcubed",
    "bcubed_of_faces",
    "bootstrap_people",
    "expected_calibration_error",
    "fnir_intervals",
    "identification_rates",
    "linkability",
    "precision_at",
    "precision_recall",
    "precision_within",
    "rank1",
    "reliability_bins",
    "roc",
    "tar_at_far",
    "threshold_at",
    "tie_groups",
]
