"""Linear hash functions as plain arrays: what LSH and ITQ are once they are fitted."""

from __future__ import annotations

from collections.abc import Mapping

import faiss
import numpy as np

from daah.comparison.methods.base import HashingMethod


class LinearMethod(HashingMethod):
    """A method whose fitted form is a matrix; `restore` gives it as that."""

    @classmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> HashingMethod:
        return Linear.restore(bits, state)


class Linear(HashingMethod):
    """A restored linear method: (x - mean), to unit rows for ITQ, times a matrix plus an offset."""

    arrays: Mapping[str, np.ndarray]

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        """Raises ValueError: what it was fitted to is not kept."""
        raise ValueError("a restored method cannot be fitted again")

    def encode(self, x: np.ndarray) -> np.ndarray:
        if "mean" in self.arrays:
            x = x - self.arrays["mean"]
            x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
        return (x @ self.arrays["matrix"].T + self.arrays["offset"]).astype(np.float32)

    def state(self) -> dict[str, np.ndarray]:
        return dict(self.arrays)

    @classmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> Linear:
        method = cls(bits)
        method.arrays = state
        if state["matrix"].shape[0] != bits:
            raise ValueError(f"expected {bits} rows, got {state['matrix'].shape}")
        return method


def arrays_of(transform: faiss.LinearTransform) -> dict[str, np.ndarray]:
    """Matrix (K, D) and offset (K,) of a linear transform of faiss."""
    matrix = faiss.vector_to_array(transform.A).reshape(transform.d_out, transform.d_in)
    offset = faiss.vector_to_array(transform.b)
    return {"matrix": matrix, "offset": offset if len(offset) else np.zeros(transform.d_out)}
