"""ONNX Runtime, which runs every ONNX file of this package; the only file that imports it.

Its packages since 1.29 keep an identifier of the computer and a queue of events in the user's
cache, and send them to their maker, as the privacy notice in them says. Only this variable, set
before the import, keeps all of that from beginning.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# isort: split
import numpy as np
import onnxruntime
from onnxruntime.capi.onnxruntime_pybind11_state import (
    EPFail,
    Fail,
    InvalidArgument,
    InvalidGraph,
    InvalidProtobuf,
    NotImplemented,
    RuntimeException,
)

#: What ONNX Runtime raises for a file that is no graph; it has no common class for them.
_NO_GRAPH = (
    EPFail, Fail, InvalidArgument, InvalidGraph, InvalidProtobuf, NotImplemented, RuntimeException,
)  # fmt: skip


class Graph:
    """An ONNX file, ready to run on the CPU; for any number of threads at a time.

    Attributes:
        shapes: axes of every input and output by name, without the first, which is the batch.
        metadata: the file's own entries by name.

    Args:
        data: bytes of the file, whose origin is known: a graph may ask for any time and memory.
        threads: number of threads that one call computes with.
        keep_memory: whether the memory of one call is kept for the next: faster, for inputs of
            bounded size.

    Raises:
        ValueError: `data` is no graph that ONNX Runtime reads.
    """

    def __init__(self, data: bytes, threads: int = 1, keep_memory: bool = False) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.enable_cpu_mem_arena = keep_memory
        # It would keep a plan for each size of input that ever came.
        options.enable_mem_pattern = False
        try:
            self._session = onnxruntime.InferenceSession(
                data, options, providers=["CPUExecutionProvider"]
            )
        except _NO_GRAPH as error:
            raise ValueError(f"no graph ({' '.join(str(error).split())[:200]})") from error
        self._outputs = {output.name: output for output in self._session.get_outputs()}
        values = (*self._session.get_inputs(), *self._outputs.values())
        self.shapes: dict[str, list[Any]] = {value.name: value.shape[1:] for value in values}
        self.metadata: dict[str, str] = dict(self._session.get_modelmeta().custom_metadata_map)

    def __call__(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Compute all outputs, in the order of the graph.

        Args:
            inputs: arrays by name.

        Returns:
            One array for each output.
        """
        return self._session.run(None, inputs)

    def compute(self, outputs: Sequence[str], inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        """Compute some outputs, and nothing that the others alone need.

        Args:
            outputs: names.
            inputs: arrays by name.

        Returns:
            One array for each name, in their order.
        """
        return self._session.run(list(outputs), inputs)

    def empty(self, output: str) -> np.ndarray:
        """The value of an output for a batch of nothing.

        Args:
            output: its name.

        Returns:
            An array of the output's type whose first axis is empty.
        """
        kind = np.uint8 if self._outputs[output].type == "tensor(uint8)" else np.float32
        return np.empty((0, *self.shapes[output]), kind)
