"""A checkpoint as one ONNX graph, which every program encodes by: written with PyTorch and onnx.

The graph holds everything between the picture of an aligned face and its logits: size, scale, both
views, the mask, the gates, and the hash layer. Inputs and outputs for N faces, K bits and G cells
per side of the mask:

- "face" (N, 224, 224, 3) uint8 RGB; "given" (N, G, G) float32, a mask in [0, 1]; "use_given"
  (N, 1, 1) float32, 1 where it replaces the network's own, else 0.
- "logits" (N, K) float32; "mask" (N, G, G) float32, what gated the network; "seen" (N, S, S, 3)
  uint8, the face as the network is given it.

The metadata key "daah" holds the checkpoint's card as JSON. The last bytes of a file are a metadata
entry with the sha256 of all bytes before it, so that a changed byte anywhere is noticed.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path

import torch
from torch import Tensor, nn

from daah.files import replacing
from daah.models.checkpoint import Checkpoint
from daah.models.ddah import DDAH
from daah.models.encoder import SEAL
from daah.models.layers import area_average
from daah.types import ALIGNED_SIZE

OPSET = 17
INPUTS = ("face", "given", "use_given")
OUTPUTS = ("logits", "mask", "seen")

#: Weights of at least so many numbers are stored as float16, as in the checkpoint.
_LARGE = 4096


class _Graph(nn.Module):
    def __init__(self, network: DDAH) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("average", area_average(ALIGNED_SIZE, network.input_size))

    def reduced(self, faces: Tensor) -> Tensor:
        """Aligned faces (N, 3, 224, 224) averaged to the network's input size."""
        parts, rest = divmod(ALIGNED_SIZE, self.network.input_size)
        if rest:
            return self.average @ faces @ self.average.T
        return nn.functional.avg_pool2d(faces, parts)  # the same, and quicker

    def forward(
        self, face: Tensor, given: Tensor, use_given: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        faces = self.reduced(face.permute(0, 3, 1, 2).float())
        encoding = self.network.encode(
            faces, lambda own: torch.lerp(own, given[:, None], use_given[:, None])
        )
        seen = self.network.seen(faces, encoding.mask).round().clamp(0, 255)
        return encoding.logits, encoding.mask[:, 0], seen.permute(0, 2, 3, 1).to(torch.uint8)


def graph_of(network: DDAH) -> bytes:
    """Export a network.

    Args:
        network: in eval mode.

    Returns:
        The serialised graph, in float32 and without metadata.
    """
    grid = network.grid
    example = (
        torch.zeros(2, ALIGNED_SIZE, ALIGNED_SIZE, 3, dtype=torch.uint8),
        torch.zeros(2, grid, grid),
        torch.zeros(2, 1, 1),
    )
    buffer = io.BytesIO()
    torch.onnx.export(
        _Graph(network).eval(),
        example,
        buffer,
        input_names=list(INPUTS),
        output_names=list(OUTPUTS),
        dynamic_axes={name: {0: "faces"} for name in (*INPUTS, *OUTPUTS)},
        opset_version=OPSET,
        dynamo=False,  # the newer exporter fixes the number of faces where views are joined
    )
    return buffer.getvalue()


def export_graph(checkpoint: Checkpoint, path: Path) -> None:
    """Write a checkpoint as a graph with its card; the file appears whole or not at all.

    Args:
        checkpoint: as `load_checkpoint` returns it.
        path: the file to write, by convention NAME.onnx.

    Raises:
        OSError: the file cannot be written.
    """
    import onnx  # writes metadata; what encodes does not need it

    graph = onnx.load_from_string(graph_of(checkpoint.model))
    _halve_weights(graph.graph)
    entry = graph.metadata_props.add()
    entry.key, entry.value = "daah", json.dumps(checkpoint.card(), sort_keys=True)
    onnx.checker.check_model(graph)
    body = graph.SerializeToString(deterministic=True)
    # Messages of one type that follow each other are read as one (protobuf, "Last One Wins").
    with replacing(path) as temporary:
        temporary.write_bytes(body + SEAL + hashlib.sha256(body).hexdigest().encode())


def _halve_weights(graph) -> None:
    """Store large float32 weights as float16 and cast them; engines do that once, at the start."""
    import onnx
    from onnx import numpy_helper

    casts = []
    for weight in list(graph.initializer):
        values = numpy_helper.to_array(weight)
        if values.dtype != "float32" or values.size < _LARGE:
            continue
        half = numpy_helper.from_array(values.astype("float16"), weight.name + ".half")
        casts.append(
            onnx.helper.make_node("Cast", [half.name], [weight.name], to=onnx.TensorProto.FLOAT)
        )
        graph.initializer.remove(weight)
        graph.initializer.append(half)
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
