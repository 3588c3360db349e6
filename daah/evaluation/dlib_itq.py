"""Protocol 1 of a common peer: dlib's float embedding, and ITQ codes computed from it.

The embeddings are read from a cache, so no network is needed and the evaluation takes a minute.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.data.face_set import FaceSet
from daah.data.splits import open_split
from daah.errors import DataError
from daah.metrics.leave_one_out import LeaveOneOutScores, leave_one_out, leave_one_out_floats

#: Iterations of the rotation; Gong and Lazebnik find that 50 are enough.
_ROUNDS = 50


@dataclass(frozen=True)
class PeerRow:
    """Scores of one representation.

    Attributes:
        name: its name.
        bytes: bytes stored per face.
        scores: scores of protocol 1.
    """

    name: str
    bytes: int
    scores: LeaveOneOutScores

    def to_dict(self) -> dict[str, object]:
        """The row as plain JSON values."""
        return {"representation": self.name, "bytes": self.bytes, **self.scores.to_dict()}


@dataclass(frozen=True)
class PeerReport:
    """Scores of the float embedding and of its ITQ codes.

    Attributes:
        images: validation images.
        people: validation identities.
        fitted: images that ITQ was fitted on.
        seed: seed of ITQ.
        rows: one row per representation.
    """

    images: int
    people: int
    fitted: int
    seed: int
    rows: tuple[PeerRow, ...]

    def to_dict(self) -> dict[str, object]:
        """The report as plain JSON values."""
        return {
            "protocol": "open-set",
            "images": self.images,
            "people": self.people,
            "fitted": self.fitted,
            "seed": self.seed,
            "rows": [row.to_dict() for row in self.rows],
        }


def peers(
    cache: Path,
    bits: Sequence[int] = (16, 24, 32, 48, 64, 96, 128),
    first: str = "lfw",
    seed: int = 0,
) -> PeerReport:
    """Evaluate the float embedding and its ITQ codes on validation identities.

    Args:
        cache: .npz with `name` (N,) "folder/person/file" and `embedding` (N, D), one row per image.
        bits: code lengths.
        first: folder whose identities are split as by `data.splits.open_split`; ITQ is fitted on
            the training part.
        seed: seed of ITQ.

    Returns:
        The scores.

    Raises:
        DataError: the cache is missing, damaged or too small.
        ValueError: a length exceeds the number of dimensions D.
    """
    names, embeddings = _read(cache)
    order = sorted(
        range(len(names)), key=lambda i: (not names[i].startswith(f"{first}/"), names[i])
    )
    names, embeddings = [names[i] for i in order], embeddings[order]
    owners = [name.split("/")[1] for name in names]
    people, labels = np.unique(owners, return_inverse=True)
    # The split uses names and identities only, so the faces need no pixels.
    none = np.empty((len(names), 0, 0, 3), np.uint8)
    split = open_split(FaceSet(none, labels, tuple(map(str, people)), tuple(names)))
    if not len(split.validation) or len(split.train) <= max(bits):
        raise DataError(f"{cache}: {len(names)} images leave too few to fit on or to search")
    fit, searched = embeddings[split.train], embeddings[split.validation]
    owned = np.asarray(owners)[split.validation]
    size = 4 * embeddings.shape[1]
    rows = [PeerRow("float embedding, cosine", size, leave_one_out_floats(searched, owned, seed))]
    for length in bits:
        logits = itq(fit, searched, length, seed)
        rows += [
            PeerRow(
                f"ITQ to {length} bits",
                -(-length // 8),
                leave_one_out(logits, owned, length, r, seed),
            )
            for r in (False, True)
        ]
    return PeerReport(len(owned), len(set(owned)), len(fit), seed, tuple(rows))


def itq(fit: np.ndarray, searched: np.ndarray, bits: int, seed: int = 0) -> np.ndarray:
    """Iterative quantization: logits of `searched`, fitted on `fit`.

    Gong and Lazebnik, "Iterative quantization: a Procrustean approach to learning binary codes",
    CVPR 2011: PCA to `bits` directions, then alternating updates of the signs and of the rotation.

    Args:
        fit: (N, D) embeddings to fit on.
        searched: (M, D) embeddings to encode.
        bits: code length, 1 to D.
        seed: seed of the initial rotation.

    Returns:
        (M, bits) float64; the signs are the codes.

    Raises:
        ValueError: `bits` is out of range.
    """
    if not 1 <= bits <= fit.shape[1]:
        raise ValueError(f"itq: expected 1 to {fit.shape[1]} bits, got {bits}")
    centre = fit.mean(0)
    _, directions = np.linalg.eigh(np.cov((fit - centre).T))
    directions = directions[:, ::-1][:, :bits]  # eigh sorts by ascending variance
    projected = (fit - centre) @ directions
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((bits, bits)))[0]
    for _ in range(_ROUNDS):
        signs = np.where(projected @ rotation > 0, 1.0, -1.0)
        left, _, right = np.linalg.svd(projected.T @ signs)
        rotation = left @ right
    return (searched - centre) @ directions @ rotation


def _read(cache: Path) -> tuple[list[str], np.ndarray]:
    try:
        with np.load(cache, allow_pickle=False) as stored:
            names, embeddings = stored["name"].tolist(), stored["embedding"].astype(np.float64)
    except (OSError, KeyError, ValueError) as error:
        raise DataError(f"{cache}: no .npz with name and embedding ({error})") from error
    if embeddings.ndim != 2 or len(embeddings) != len(names):
        raise DataError(f"{cache}: {len(names)} names for embeddings {embeddings.shape}")
    if any(str(name).count("/") != 2 for name in names):
        raise DataError(f"{cache}: expected names as folder/person/file")
    return [str(name) for name in names], embeddings
