"""Networks as plain arrays: the fitted form of the shipped deep methods, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from daah.comparison.methods.base import StoredMethod, check_images
from daah.engine import Graph

#: Names of the graph's inputs and outputs, and of the array of its bytes.
FACES, LOGITS, GRAPH = "faces", "logits", "graph"

#: Prefix of the names of weights among the inputs of a graph.
WEIGHT = "network."

_BATCH = 256


class StoredNetwork(StoredMethod):
    """A restored deep method: an ONNX graph without weights, and the weights as its inputs.

    So weights are stored as those of other methods are, and the graph of a network takes a few
    kilobytes.

    Attributes:
        inputs: "images": aligned faces (N, 32, 32, 3) uint8 RGB.
        arrays: "graph" (bytes,) uint8, and the weights by name.
    """

    inputs = "images"
    arrays: Mapping[str, np.ndarray]

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        """See `HashingMethod.fit`. Not possible: a restored method keeps no training state.

        Raises:
            ValueError: always.
        """
        raise ValueError("a restored method cannot be fitted again")

    def encode(self, x: np.ndarray) -> np.ndarray:
        check_images(x)
        if not len(x):
            return self._graph.empty(LOGITS)
        parts = [
            self._graph.compute([LOGITS], {FACES: x[i : i + _BATCH], **self._weights})[0]
            for i in range(0, len(x), _BATCH)
        ]
        return np.concatenate(parts)

    def state(self) -> dict[str, np.ndarray]:
        return dict(self.arrays)

    @classmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> StoredNetwork:
        method = cls(bits)
        method.arrays = state
        method._graph = Graph(state[GRAPH].tobytes())
        shapes = method._graph.shapes
        if shapes[LOGITS] != [bits]:
            raise ValueError(f"expected {bits} logits, got {shapes[LOGITS]}")
        # Of arrays that were equal, the export kept one.
        method._weights = {
            name: state[name.removeprefix(WEIGHT)] for name in shapes if name.startswith(WEIGHT)
        }
        for name, value in method._weights.items():
            if list(value.shape[1:]) != shapes[name]:
                raise ValueError(f"{name}: expected shape (N, *{shapes[name]}), got {value.shape}")
        return method
