"""The teacher: the untouched trunk's embeddings, computed once and kept beside the data.

An embedding is the mean over an image and its mirror of the trunk's 128 numbers.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from daah.data import FaceSet, to_tensor
from daah.errors import DataError
from daah.models.trunk import DlibTrunk


def embed_trunk(trunk: DlibTrunk, linear: Tensor, faces: Tensor) -> Tensor:
    """Faces (B, 3, 150, 150) in [0, 255] to embeddings (B, 128); linear: (128, 256)."""
    f4 = trunk.top(trunk.stem(trunk.normalise(faces)))
    return f4.mean((2, 3)) @ linear.T


@torch.inference_mode()
def teacher_embeddings(
    trunk: DlibTrunk, linear: Tensor, images: np.ndarray, batch: int = 64
) -> np.ndarray:
    """Images (N, 150, 150, 3) uint8 to (N, 128) float32, each the mean of image and mirror."""
    trunk = trunk.eval().to(memory_format=torch.channels_last)
    parts = []
    for start in tqdm(range(0, len(images), batch), desc="teacher", unit="batch"):
        faces = to_tensor(images[start : start + batch])
        both = embed_trunk(trunk, linear, faces) + embed_trunk(trunk, linear, faces.flip(3))
        parts.append(both / 2)
    return torch.cat(parts).numpy()


def cached_embeddings(trunk: DlibTrunk, linear: Tensor, faces: FaceSet, cache: Path) -> np.ndarray:
    """The same from the file `cache`, which is written when missing or made for other images."""
    key = hashlib.sha256("\n".join(faces.names).encode()).hexdigest()
    if cache.is_file():
        try:
            with np.load(cache, allow_pickle=False) as stored:
                if str(stored["key"]) == key:
                    return stored["embedding"].astype(np.float32)
        except (OSError, KeyError, ValueError) as error:
            raise DataError(f"{cache}: not a teacher cache; delete it to compute anew") from error
    embedding = teacher_embeddings(trunk, linear, faces.images)
    partial = cache.with_suffix(".partial.npz")
    np.savez(partial, key=key, embedding=embedding.astype(np.float16))
    partial.replace(cache)
    return embedding
