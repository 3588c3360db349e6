"""Writes what detection runs: MTCNN's three networks and two operators, as ONNX files.

    python -m scripts.export_detector
    python -m scripts.export_detector --out FOLDER

The weights are those of facenet-pytorch 2.5.3 (MIT), read only if their SHA-256 is the known one.
The same weights give the same bytes. `daah/detection/graphs.py` reads a file only if its SHA-256 is
listed there, so whoever changes a graph puts there what this prints.

Differences from the package's networks, none of which changes what they compute:

- Pixels go in as they are, (N, H, W, 3) uint8; 127.5 is subtracted inside, and the division by 128
  is part of the first weights, exactly.
- PReLU is slope * x + (1 - slope) * relu(x). ONNX Runtime computes that in the layout of its
  convolutions, and PRelu only after changing layout twice: a third slower. In that layout channels
  come in blocks, so the first layers are filled up with channels of zeros.
- Of two classes, the softmax's second output is the sigmoid of the difference. It is spelled out,
  because ONNX Runtime's approximation is not monotonic near 1, where the best boxes are told apart.
- R-Net and O-Net flatten (width, height, channels); here weights are reordered instead.
"""

from __future__ import annotations

import argparse
import hashlib
import io
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, checker, helper, numpy_helper

from daah.errors import CheckpointError
from daah.paths import PATHS

_WEIGHTS = {
    "pnet.pt": "a2a71925e0b9996a42f63e47efc1ca19043e69558b5c523b978d611dfae49c8f",
    "rnet.pt": "bbb937de72efc9ef83b186c49f5f558467a1d7e3453a8ece0d71a886633f6a86",
    "onet.pt": "165bfbe42940416ccfb977545cf0e976d5bf321f67083ae2aaaa5c764280118d",
}

#: What ONNX Runtime and its build for browsers both read.
_OPSET, _IR_VERSION = 17, 8

#: Channels of a block in ONNX Runtime, where the processor has AVX-512; half of it elsewhere.
_BLOCK = 16

_NOTICE = "Weights of facenet-pytorch 2.5.3, MIT License, Copyright (c) 2019 Timothy Esler"

_Shape = tuple[int | str, ...]


class _Graph:
    """An ONNX graph in the making; every method gives the name of what it added."""

    def __init__(self, name: str, notice: str = "") -> None:
        self.name, self.notice = name, notice
        self._nodes: list[NodeProto] = []
        self._constants: list[TensorProto] = []
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []

    def input(self, name: str, dtype: type, shape: _Shape) -> str:
        self._inputs.append(_described(name, dtype, shape))
        return name

    def add(self, kind: str, *inputs: str | np.ndarray, **attributes: object) -> str:
        """A node. Arrays among its inputs become constants of the graph."""
        output = f"{kind.lower()}_{len(self._nodes)}"
        names = [self._named(value, f"{output}_{i}") for i, value in enumerate(inputs)]
        self._nodes.append(helper.make_node(kind, names, [output], **attributes))
        return output

    def output(self, name: str, value: str, dtype: type, shape: _Shape) -> None:
        self._nodes.append(helper.make_node("Identity", [value], [name]))
        self._outputs.append(_described(name, dtype, shape))

    def model(self) -> ModelProto:
        """The whole, checked."""
        graph = helper.make_graph(
            self._nodes, self.name, self._inputs, self._outputs, self._constants
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", _OPSET)],
            ir_version=_IR_VERSION,
            producer_name="daah",
            doc_string=self.notice,
        )
        checker.check_model(model, full_check=True)
        return model

    def _named(self, value: str | np.ndarray, name: str) -> str:
        if isinstance(value, str):
            return value
        self._constants.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name


def _described(name: str, dtype: type, shape: _Shape) -> ValueInfoProto:
    return helper.make_tensor_value_info(
        name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape
    )


def pnet(weights: dict[str, np.ndarray]) -> ModelProto:
    """rgb (1, H, W, 3) uint8 to what each window of 12x12 pixels, 2 apart, is.

    shifts (1, 4, h, w): of each side of the box, in parts of its size. probabilities (1, h, w): of
    a face.
    """
    graph = _Graph("pnet", _NOTICE)
    x = _centred(graph, graph.input("rgb", np.uint8, (1, "height", "width", 3)))
    x = _convolution(graph, x, weights, 1, follower="conv2")
    x = _pool(graph, x, 2)
    x = _convolution(graph, x, weights, 2)
    x = _convolution(graph, x, weights, 3)
    shifts = graph.add("Conv", x, weights["conv4_2.weight"], weights["conv4_2.bias"])
    weight, bias = _difference(weights, "conv4_1")
    face = _probability(graph, graph.add("Conv", x, weight, bias))
    graph.output("shifts", shifts, np.float32, (1, 4, "rows", "columns"))
    squeezed = graph.add("Squeeze", face, np.array([1]))
    graph.output("probabilities", squeezed, np.float32, (1, "rows", "columns"))
    return graph.model()


def rnet(weights: dict[str, np.ndarray]) -> ModelProto:
    """rgb (N, 24, 24, 3) uint8 to shifts (N, 4) and probabilities (N,) of a face."""
    graph = _Graph("rnet", _NOTICE)
    x = _centred(graph, graph.input("rgb", np.uint8, ("faces", 24, 24, 3)))
    x = _pool(graph, _convolution(graph, x, weights, 1, follower="conv2"), 3)
    x = _pool(graph, _convolution(graph, x, weights, 2), 3)
    x = _convolution(graph, x, weights, 3)
    x = _dense(graph, x, weights, 4)
    _heads(graph, x, weights, "dense5")
    return graph.model()


def onet(weights: dict[str, np.ndarray]) -> ModelProto:
    """rgb (N, 48, 48, 3) uint8 to shifts (N, 4), probabilities (N,) and landmarks (N, 5, 2).

    Landmarks are x and y in parts of the crop's side.
    """
    graph = _Graph("onet", _NOTICE)
    x = _centred(graph, graph.input("rgb", np.uint8, ("faces", 48, 48, 3)))
    x = _pool(graph, _convolution(graph, x, weights, 1), 3)
    x = _pool(graph, _convolution(graph, x, weights, 2), 3)
    x = _pool(graph, _convolution(graph, x, weights, 3), 2)
    x = _convolution(graph, x, weights, 4)
    x = _dense(graph, x, weights, 5)
    _heads(graph, x, weights, "dense6")
    points = graph.add(
        "Gemm", x, weights["dense6_3.weight"], weights["dense6_3.bias"], transB=1
    )  # (N, 10): every x before every y
    points = graph.add("Reshape", points, np.array([-1, 2, 5]))
    points = graph.add("Transpose", points, perm=[0, 2, 1])
    graph.output("landmarks", points, np.float32, ("faces", 5, 2))
    return graph.model()


def nms() -> ModelProto:
    """Boxes (N, 4) float32 with scores (N,) to indices kept (M,) int64, best first.

    None that is kept overlaps a better one by more than `limit`, intersection over union.
    """
    graph = _Graph("nms")
    boxes = graph.input("boxes", np.float32, ("boxes", 4))
    scores = graph.input("scores", np.float32, ("boxes",))
    limit = graph.input("limit", np.float32, ())
    chosen = graph.add(
        "NonMaxSuppression",
        graph.add("Unsqueeze", boxes, np.array([0])),
        graph.add("Unsqueeze", scores, np.array([0, 1])),
        np.array([2**31 - 1]),  # as many as there are
        limit,
    )  # (M, 3): image, class, index
    kept = graph.add("Gather", chosen, np.array(2), axis=1)
    graph.output("kept", kept, np.int64, ("kept",))
    return graph.model()


def warp() -> ModelProto:
    """A region (H, W, 3) uint8 sampled bicubically at the points of a grid: (S, S, 3) uint8.

    grid (1, S, S, 2) float32: x and y from -1 to 1 between the borders of the region; beyond them
    the pixels at the edge repeat.
    """
    graph = _Graph("warp")
    region = graph.input("region", np.uint8, ("height", "width", 3))
    grid = graph.input("grid", np.float32, (1, "side", "side", 2))
    x = graph.add("Transpose", region, perm=[2, 0, 1])
    x = graph.add("Cast", x, to=TensorProto.FLOAT)
    x = graph.add("Unsqueeze", x, np.array([0]))
    x = graph.add("GridSample", x, grid, mode="bicubic", padding_mode="border", align_corners=0)
    x = graph.add("Clip", graph.add("Round", x), np.float32(0), np.float32(255))
    x = graph.add("Squeeze", graph.add("Cast", x, to=TensorProto.UINT8), np.array([0]))
    aligned = graph.add("Transpose", x, perm=[1, 2, 0])
    graph.output("aligned", aligned, np.uint8, ("side", "side", 3))
    return graph.model()


def _centred(graph: _Graph, rgb: str) -> str:
    planes = graph.add("Transpose", rgb, perm=[0, 3, 1, 2])
    floats = graph.add("Cast", planes, to=TensorProto.FLOAT)
    return graph.add("Sub", floats, np.float32(127.5))


def _convolution(
    graph: _Graph, x: str, weights: dict[str, np.ndarray], number: int, follower: str = ""
) -> str:
    """A convolution and its PReLU. With a follower, both are filled up with channels of zeros."""
    name = f"conv{number}"
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    slopes = weights[f"prelu{number}.weight"]
    if number == 1:
        weight = weight / np.float32(128)
    if follower:
        more = -len(weight) % _BLOCK
        weight = np.pad(weight, [(0, more), (0, 0), (0, 0), (0, 0)])
        bias, slopes = np.pad(bias, (0, more)), np.pad(slopes, (0, more))
        inputs = [(0, 0), (0, more), (0, 0), (0, 0)]
        weights[f"{follower}.weight"] = np.pad(weights[f"{follower}.weight"], inputs)
    return _prelu(graph, graph.add("Conv", x, weight, bias), slopes[:, None, None])


def _prelu(graph: _Graph, x: str, slopes: np.ndarray) -> str:
    above = graph.add("Mul", graph.add("Relu", x), 1 - slopes)
    return graph.add("Add", graph.add("Mul", x, slopes), above)


def _pool(graph: _Graph, x: str, side: int) -> str:
    return graph.add("MaxPool", x, kernel_shape=[side, side], strides=[2, 2], ceil_mode=1)


def _dense(graph: _Graph, x: str, weights: dict[str, np.ndarray], number: int) -> str:
    channels = len(weights[f"conv{number - 1}.weight"])
    weight = weights[f"dense{number}.weight"]
    side = round((weight.shape[1] / channels) ** 0.5)
    weight = weight.reshape(-1, side, side, channels).transpose(0, 3, 2, 1)
    flat = graph.add("Flatten", x)
    bias = weights[f"dense{number}.bias"]
    dense = graph.add("Gemm", flat, weight.reshape(len(weight), -1), bias, transB=1)
    return _prelu(graph, dense, weights[f"prelu{number}.weight"])


def _heads(graph: _Graph, x: str, weights: dict[str, np.ndarray], name: str) -> None:
    shifts = graph.add("Gemm", x, weights[f"{name}_2.weight"], weights[f"{name}_2.bias"], transB=1)
    weight, bias = _difference(weights, f"{name}_1")
    face = _probability(graph, graph.add("Gemm", x, weight, bias, transB=1))
    graph.output("shifts", shifts, np.float32, ("faces", 4))
    squeezed = graph.add("Squeeze", face, np.array([1]))
    graph.output("probabilities", squeezed, np.float32, ("faces",))


def _probability(graph: _Graph, logit: str) -> str:
    one = np.float32(1)
    return graph.add("Div", one, graph.add("Add", graph.add("Exp", graph.add("Neg", logit)), one))


def _difference(weights: dict[str, np.ndarray], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of the second class less those of the first."""
    weight, bias = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return weight[1:] - weight[:1], bias[1:] - bias[:1]


def read_weights(name: str) -> dict[str, np.ndarray]:
    """The arrays of a weight file of facenet-pytorch, such as "pnet.pt".

    Raises:
        CheckpointError: it is not the one of version 2.5.3.
    """
    data = (resources.files("facenet_pytorch") / "data" / name).read_bytes()
    if hashlib.sha256(data).hexdigest() != _WEIGHTS[name]:
        raise CheckpointError(
            f"The face detector's {name} is not the one of facenet-pytorch 2.5.3; "
            "install that version again."
        )
    tensors = torch.load(io.BytesIO(data), weights_only=True)
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def export(folder: Path) -> dict[str, str]:
    """Write every graph.

    Args:
        folder: is made if it is not there.

    Returns:
        The SHA-256 of each file, by its name.

    Raises:
        CheckpointError: the weights are not those of facenet-pytorch 2.5.3.
    """
    graphs = {
        "pnet": pnet(read_weights("pnet.pt")),
        "rnet": rnet(read_weights("rnet.pt")),
        "onet": onet(read_weights("onet.pt")),
        "nms": nms(),
        "warp": warp(),
    }
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for name, model in graphs.items():
        data = model.SerializeToString(deterministic=True)
        (folder / f"{name}.onnx").write_bytes(data)
        sums[f"{name}.onnx"] = hashlib.sha256(data).hexdigest()
    return sums


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=PATHS.detector, help="default: %(default)s")
    given = parser.parse_args()
    for name, digest in export(given.out).items():
        print(f'    "{name}": "{digest}",')


if __name__ == "__main__":
    main()
