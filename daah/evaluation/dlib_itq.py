"""Protocol 1 of what people use today: dlib's float embedding, and ITQ codes made from it.

The embeddings are read from a cache, so the figures need no network and take a minute.
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

#: Rounds of rotation; Gong and Lazebnik find that 50 are enough.
_ROUNDS = 50


@dataclass(frozen=True)
class PeerRow:
    """One representation: its name, the bytes that it stores for a face, and its scores."""

    name: str
    bytes: int
    scores: LeaveOneOutScores

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
        return {"representation": self.name, "bytes": self.bytes, **self.scores.to_dict()}


@dataclass(frozen=True)
class PeerReport:
    """images, people, fitted: how many faces and people were searched, and faces fitted on."""

    images: int
    people: int
    fitted: int
    seed: int
    rows: tuple[PeerRow, ...]

    def to_dict(self) -> dict[str, object]:
        """Plain JSON values."""
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
    """Measure the float embedding and its ITQ codes on validation people.

    cache: .npz with `name` (N,) "folder/person/file" and `embedding` (N, D), one row an image.
    first: the folder whose people are divided as `data.open_split` does; ITQ is fitted on all
    that it calls training. Raises DataError when the cache is missing, damaged or too small.
    """
    names, embeddings = _read(cache)
    order = sorted(
        range(len(names)), key=lambda i: (not names[i].startswith(f"{first}/"), names[i])
    )
    names, embeddings = [names[i] for i in order], embeddings[order]
    owners = [name.split("/")[1] for name in names]
    people, labels = np.unique(owners, return_inverse=True)
    # The split asks for names and identities only, so the faces may have no pixels.
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
                f"ITQ to {length} bits", -(-length // 8), leave_one_out(logits, owned, length, r)
            )
            for r in (False, True)
        ]
    return PeerReport(len(owned), len(set(owned)), len(fit), seed, tuple(rows))


def itq(fit: np.ndarray, searched: np.ndarray, bits: int, seed: int = 0) -> np.ndarray:
    """Iterative quantization: rotated principal components (M, bits) of `searched` (M, D).

    Gong and Lazebnik, "Iterative quantization: a Procrustean approach to learning binary codes",
    CVPR 2011: PCA to `bits` directions, then in turn the signs for a rotation and the rotation
    for the signs, all on `fit` (N, D). Raises ValueError for more bits than dimensions.
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
