"""LSH: random hyperplanes."""

from __future__ import annotations

import faiss
import numpy as np

from daah.comparison.methods.base import check_features
from daah.comparison.methods.linear import LinearMethod, arrays_of

#: The seed that `faiss.IndexLSH` has built in; ours is added, so that seed 0 gives its codes.
_FAISS_SEED = 5


class LSH(LinearMethod):
    """Locality-sensitive hashing of cosine similarity: bit k = [w_k . x > 0], w_k random.

    Source: Andoni and Indyk, "Near-optimal hashing algorithms for approximate nearest neighbor in
    high dimensions", CACM 2008, section "Random projection" (after Charikar 2002): two vectors at
    angle a agree in a bit with probability 1 - a / pi.

    Deviation: the directions are orthogonal to each other while K <= D (Ji et al., "Super-bit
    LSH", 2012), because they are faiss's: seed 0 gives the codes of `faiss.IndexLSH`.
    """

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        self.rotation = faiss.RandomRotationMatrix(x.shape[1], self.bits)
        self.rotation.init(_FAISS_SEED + self.seed)

    def encode(self, x: np.ndarray) -> np.ndarray:
        return self.rotation.apply(np.ascontiguousarray(x, np.float32))

    def state(self) -> dict[str, np.ndarray]:
        return arrays_of(self.rotation)
