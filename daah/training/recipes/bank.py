"""A bank of covered training faces: what does not change in training is computed once.

Axes: N = faces of the bank, M = training faces, B = batch, G = 14 cells per side of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from daah.errors import CheckpointError
from daah.files import replacing
from daah.models.ddah import DemoDDAH
from daah.models.spatial_network import COPY, GRID
from daah.models.trunk import INPUT_SIZE, MEAN, SCALE, MobileFace, embed_both_views
from daah.training.recipes.covers import Cover, Sources, cells, cover_face, face_region, moved


@dataclass(frozen=True, eq=False)
class Bank:
    """Covered training faces.

    Attributes:
        first: (N, 32, 28, 28) float16, the trunk's first stage.
        copy: (N, 28, 28, 3) float16 in [0, 255], the faces, averaged.
        face: (N, G, G) float16, share of each cell that shows the face.
        cover: (N, G, G) float16, share of each cell that is covered.
        target: (N, 256) float32, embedding of the clean face by the untouched trunk.
        usual: (G, G) float32, how much of each cell is face on average, cover or not; symmetric.
    """

    first: np.ndarray
    copy: np.ndarray
    face: np.ndarray
    cover: np.ndarray
    target: np.ndarray
    usual: np.ndarray

    def __len__(self) -> int:
        return len(self.target)

    def usual_face(self) -> Tensor:
        """`usual` as a tensor.

        Returns:
            (1, 1, G, G) float32.
        """
        return torch.from_numpy(self.usual)[None, None]

    def clean(self) -> np.ndarray:
        """Which faces have no cover.

        Returns:
            (N,) bool.
        """
        return self.cover.max((1, 2)) < 0.01

    def inputs(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """What the networks read of some faces.

        Args:
            indices: (B,) int.

        Returns:
            First stage (B, 32, 28, 28) and normalised copy (B, 3, 28, 28), float32.
        """
        first = torch.from_numpy(self.first[indices]).float()
        first = first.contiguous(memory_format=torch.channels_last)
        copy = (torch.from_numpy(self.copy[indices]).float() - MEAN) / SCALE
        return first, copy.permute(0, 3, 1, 2).contiguous()

    def shares(self, indices: np.ndarray) -> Tensor:
        """Known shares of the face.

        Args:
            indices: (B,) int.

        Returns:
            (B, 1, G, G) float32.
        """
        return torch.from_numpy(self.face[indices]).float()[:, None]

    def save(self, path: Path) -> None:
        """Write the bank, which appears whole or not at all.

        Args:
            path: an .npz file, 50 KB per face.
        """
        with replacing(path) as partial, partial.open("wb") as file:
            np.savez(file, **{field.name: getattr(self, field.name) for field in fields(self)})

    @classmethod
    def load(cls, path: Path) -> Bank:
        """Read a bank.

        Args:
            path: a file of `save`.

        Returns:
            The bank.

        Raises:
            CheckpointError: the file cannot be read, or is none of `save`.
        """
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return cls(**{field.name: arrays[field.name] for field in fields(cls)})
        except (OSError, EOFError, ValueError, KeyError, BadZipFile) as error:
            raise CheckpointError(
                f"{path}: no bank ({error}); delete it to make it again"
            ) from error


@torch.no_grad()
def make_bank(
    network: DemoDDAH,
    trunk: MobileFace,
    sources: Sources,
    landmarks: np.ndarray,
    indices: np.ndarray,
    seed: int = 0,
    chances: Cover | None = None,
    batch: int = 32,
) -> Bank:
    """Cover training faces and compute what does not change.

    Each face is first moved a little; the target is the embedding of the moved face without its
    cover.

    Args:
        network: its stem and first stage are used.
        trunk: computes the targets, from both views of a face.
        sources: the training faces (M, 112, 112, 3), and what covers are filled with.
        landmarks: (M, 5, 2) of these faces, in pixels.
        indices: (N,) faces to cover, with repetitions.
        seed: seed of moves and covers; half of the faces are mirrored.
        chances: how often there is a cover, and another background.
        batch: faces per call of the networks.

    Returns:
        The bank.
    """
    chances = chances or Cover()
    parts = []
    for start in tqdm(range(0, len(indices), batch), desc="covered faces"):
        rows = indices[start : start + batch]
        # A seed per batch, so that a longer bank begins with a shorter one.
        rng = np.random.default_rng((seed, start))
        clean, images = [], []
        face, cover, whole = (np.empty((len(rows), GRID, GRID), np.float16) for _ in range(3))
        for row, index in enumerate(rows):
            own, points = moved(sources.faces[index], landmarks[index], rng)
            made = cover_face(int(index), own, points, sources, rng, chances)
            step = -1 if rng.random() < 0.5 else 1
            clean.append(own)
            images.append(made.image[:, ::step])
            face[row] = cells(made.face, GRID)[:, ::step]
            cover[row] = cells(made.cover, GRID)[:, ::step]
            whole[row] = cells(face_region(points), GRID)
        first = network.first_stage(trunk.normalise(_batch(images))).numpy().astype(np.float16)
        side = INPUT_SIZE // COPY
        copy = np.stack(images).reshape(len(rows), COPY, side, COPY, side, 3).mean((2, 4))
        target = embed_both_views(trunk, _batch(clean)).numpy()
        parts.append((first, copy.astype(np.float16), face, cover, target, whole))
    *arrays, whole = (np.concatenate(part) for part in zip(*parts, strict=True))
    usual = whole.mean(0, dtype=np.float32)
    return Bank(*arrays, (usual + usual[:, ::-1]) / 2)


def _batch(images: list[np.ndarray]) -> Tensor:
    """(S, S, 3) uint8 each to (B, 3, S, S) float32."""
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
