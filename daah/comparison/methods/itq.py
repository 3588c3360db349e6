"""ITQ, and plain signs of principal components."""

from __future__ import annotations

import faiss
import numpy as np
from sklearn.decomposition import PCA

from daah.comparison.methods.base import HashingMethod, check_features
from daah.comparison.methods.linear import LinearMethod, arrays_of


class ITQ(LinearMethod):
    """Iterative quantization: the rotation R of PCA axes V with the smallest quantisation error.

    Source: Gong and Lazebnik, "Iterative quantization: a Procrustean approach to learning binary
    codes", CVPR 2011, equation 2: min over B, R of |B - V R|^2. It alternates B = sign(V R), and R
    from the singular vectors of B^T V, for 50 iterations. It is faiss's ITQTransform.

    Deviations: faiss scales the centred rows to unit length before PCA, and its iterations converge
    to a higher quantisation loss than the paper's, which `daah.evaluation.dlib_itq.itq` implements.
    """

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        if self.bits > x.shape[1]:
            raise ValueError(f"ITQ: {self.bits} bits need as many features, got {x.shape[1]}")
        self.transform = faiss.ITQTransform(x.shape[1], self.bits, True)
        self.transform.itq.seed += self.seed
        # faiss learns from at most so many rows a dimension, and all of ours shall count.
        self.transform.max_train_per_dim = max(
            self.transform.max_train_per_dim, -(-len(x) // self.bits)
        )
        self.transform.train(np.ascontiguousarray(x, np.float32))

    def encode(self, x: np.ndarray) -> np.ndarray:
        return self.transform.apply(np.ascontiguousarray(x, np.float32))

    def state(self) -> dict[str, np.ndarray]:
        mean = faiss.vector_to_array(self.transform.mean)
        return {"mean": mean, **arrays_of(self.transform.pca_then_itq)}


class PCASigns(HashingMethod):
    """Signs of the first K principal components: the simplest reduction of a descriptor to K bits.

    The "LBP" row of the comparison is this on LBP histograms. Ahonen et al. 2006 compare float
    histograms; the comparison reports that too, as a reference without a code length.
    """

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_features(x, self.bits)
        self.pca = PCA(self.bits, svd_solver="covariance_eigh").fit(x)

    def encode(self, x: np.ndarray) -> np.ndarray:
        return self.pca.transform(x).astype(np.float32)
