"""The teacher: the untouched trunk's embeddings, computed once and kept beside the data.

An embedding is the trunk's 128 numbers, averaged over several views of one face. Averages are what
one view alone does not give: on validation people ITQ codes of 64 bits have an mAP of 0.706 from
one view, 0.742 from a face and its mirror, 0.761 from the ten of `JITTERED`. A student that learns
to say from one view what the teacher says from ten comes nearer to the last figure.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from daah.data.face_set import FaceSet, to_tensor
from daah.errors import DataError
from daah.files import replacing
from daah.models.precision import autocast
from daah.models.trunk import DlibTrunk


@dataclass(frozen=True)
class View:
    """One way to look at an aligned face.

    zoom: more than 1 looks closer. right, down: shift of the frame in parts of its side. turn: in
    radians. mirror: left for right, before all else.
    """

    zoom: float = 1.0
    right: float = 0.0
    down: float = 0.0
    turn: float = 0.0
    mirror: bool = False

    def __call__(self, faces: Tensor) -> Tensor:
        """Faces (B, 3, S, S) to faces of the same shape; beyond the edge its pixels repeat."""
        if self.mirror:
            faces = faces.flip(3)
        if astuple(self)[:4] == (1.0, 0.0, 0.0, 0.0):
            return faces
        cos, sin = math.cos(self.turn) / self.zoom, math.sin(self.turn) / self.zoom
        # affine_grid counts from -1 to 1, so that a side is 2.
        matrix = faces.new_tensor([[cos, -sin, 2 * self.right], [sin, cos, 2 * self.down]])
        grid = F.affine_grid(matrix.expand(len(faces), 2, 3), faces.shape, align_corners=False)
        return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)


#: A face and its mirror.
MIRRORED = (View(), View(mirror=True))

#: Ten: five small shifts, turns and zooms, mirrored too.
JITTERED = tuple(
    View(zoom, right, down, turn, mirror)
    for mirror in (False, True)
    for zoom, right, down, turn in (
        (1.0, 0.0, 0.0, 0.0),
        (1.05, 0.01, 0.0, 0.05),
        (0.95, -0.01, 0.0, -0.05),
        (1.0, 0.01, 0.01, -0.05),
        (1.0, -0.01, -0.01, 0.05),
    )
)


def embed_trunk(trunk: DlibTrunk, linear: Tensor, faces: Tensor) -> Tensor:
    """Faces (B, 3, 150, 150) in [0, 255] to embeddings (B, 128); linear: (128, 256)."""
    f4 = trunk.top(trunk.stem(trunk.normalise(faces)))
    return f4.float().mean((2, 3)) @ linear.T


@torch.inference_mode()
def teacher_embeddings(
    trunk: DlibTrunk,
    linear: Tensor,
    images: np.ndarray,
    views: Sequence[View] = JITTERED,
    batch: int = 64,
) -> np.ndarray:
    """Images (N, 150, 150, 3) uint8 to (N, 128) float32, each the mean over its views."""
    trunk = trunk.eval().to(memory_format=torch.channels_last)
    parts = []
    for start in tqdm(range(0, len(images), batch), desc="teacher", unit="batch"):
        faces = to_tensor(images[start : start + batch])
        seen = [view(faces).contiguous(memory_format=torch.channels_last) for view in views]
        with autocast(faces.device):
            embedded = [embed_trunk(trunk, linear, face).float() for face in seen]
        parts.append(torch.stack(embedded).mean(0))
    return torch.cat(parts).numpy()


def cached_embeddings(
    trunk: DlibTrunk,
    linear: Tensor,
    faces: FaceSet,
    cache: Path,
    views: Sequence[View] = JITTERED,
) -> np.ndarray:
    """The same from the file `cache`, which is written when missing or made for other images."""
    key = hashlib.sha256("\n".join([*faces.names, repr(tuple(views))]).encode()).hexdigest()
    if cache.is_file():
        try:
            with np.load(cache, allow_pickle=False) as stored:
                if str(stored["key"]) == key:
                    return stored["embedding"].astype(np.float32)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(
                f"{cache}: not a teacher cache; delete it to compute it again"
            ) from error
    embedding = teacher_embeddings(trunk, linear, faces.images, views)
    with replacing(cache) as temporary, temporary.open("wb") as file:
        np.savez(file, key=key, embedding=embedding.astype(np.float16))
    return embedding
