"""B-cubed precision and recall of a clustering (Bagga and Baldwin, LREC 1998)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class BCubed:
    """B-cubed scores, each in (0, 1].

    Attributes:
        precision: mean over faces of the share of their cluster that is of their person.
        recall: mean over faces of the share of their person that is in their cluster.
    """

    precision: float
    recall: float

    @property
    def f(self) -> float:
        """Harmonic mean of precision and recall."""
        return 2 * self.precision * self.recall / (self.precision + self.recall)


def bcubed(people: np.ndarray, clusters: np.ndarray) -> BCubed:
    """B-cubed precision and recall of disjoint clusters.

    Each face counts the same, itself included, as Amigó et al. define it ("A comparison of
    extrinsic clustering evaluation metrics based on formal constraints", Information Retrieval
    2009). So a face alone in its cluster has precision 1.

    Args:
        people: (N,) person of each face, of any type that can be sorted.
        clusters: (N,) cluster of each face; equal values are one cluster, so faces without a
            cluster need a value each.

    Returns:
        The scores.

    Raises:
        ValueError: there are no faces, or the arrays differ in length.

    Example:
        >>> scores = bcubed(np.array(["a", "a", "a", "b"]), np.array([0, 0, 1, 1]))
        >>> round(scores.precision, 4), round(scores.recall, 4), round(scores.f, 4)
        (0.75, 0.6667, 0.7059)
    """
    precision, recall = bcubed_of_faces(people, clusters)
    return BCubed(float(precision.mean()), float(recall.mean()))


def bcubed_of_faces(people: np.ndarray, clusters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `bcubed` is the mean of, for means over some of the faces and for intervals.

    Args:
        people: (N,) as of `bcubed`.
        clusters: (N,) as of `bcubed`.

    Returns:
        Precision (N,) and recall (N,) float64 of each face.

    Raises:
        ValueError: as of `bcubed`.
    """
    people, clusters = np.ravel(people), np.ravel(clusters)
    if not len(people) or len(people) != len(clusters):
        raise ValueError(
            f"bcubed: expected a person and a cluster for each face, got {len(people)} and "
            f"{len(clusters)}"
        )
    _, person, faces = np.unique(people, return_inverse=True, return_counts=True)
    _, cluster, sizes = np.unique(clusters, return_inverse=True, return_counts=True)
    # Faces in common of each person and cluster that meet, without the table of all pairs.
    _, cell, common = np.unique(
        person.astype(np.int64) * len(sizes) + cluster, return_inverse=True, return_counts=True
    )
    shared = common[cell]
    return shared / sizes[cluster], shared / faces[person]
