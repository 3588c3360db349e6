"""Linear hash functions as plain arrays: the fitted form of LSH and ITQ."""

from __future__ import annotations

from collections.abc import Mapping

import faiss
import numpy as np

from daah.comparison.methods.base import StoredMethod


class LinearMethod(StoredMethod):
    """A method whose fitted form is a matrix; `restore` returns a `Linear`."""

    @classmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> StoredMethod:
        return Linear.restore(bits, state)


class Linear(StoredMethod):
    """A restored linear method: x times a matrix plus an offset.

    For ITQ the rows are first centred and scaled to unit length.

    Attributes:
        arrays: "matrix" (K, D), "offset" (K,), and for ITQ "mean" (D,).
    """

    arrays: Mapping[str, np.ndarray]

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        """See `HashingMethod.fit`. Not possible: a restored method keeps no training state.

        Raises:
            ValueError: always.
        """
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
    """Arrays of a faiss transform.

    Args:
        transform: a linear transform from D to K dimensions.

    Returns:
        "matrix" (K, D) and "offset" (K,).
    """
    matrix = faiss.vector_to_array(transform.A).reshape(transform.d_out, transform.d_in)
    offset = faiss.vector_to_array(transform.b)
    return {"matrix": matrix, "offset": offset if len(offset) else np.zeros(transform.d_out)}
