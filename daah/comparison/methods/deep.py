"""Common parts of the deep methods: the paper's 32x32 trunk, budget and training loop.

Axes: N = training images, B = batch, K = hash bits, C = identities.
"""

from __future__ import annotations

import contextlib
import io
import math
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from daah.comparison.methods.base import StoredMethod, check_images
from daah.comparison.methods.stored_network import FACES, GRAPH, LOGITS, StoredNetwork
from daah.data.augmentation import Augmentation
from daah.data.face_set import to_tensor
from daah.models.hash_network import PaperStages
from daah.models.layers import PixelStatistics, xavier_

#: Width of the layer that the convolution stages are fused into.
FEATURES = 1024
_OPSET = 17
_CLIP = 5.0


class Trunk(PixelStatistics):
    """The paper's convolution stages and fusion layer, without attention.

    The mean and standard deviation of the training pixels are frozen in it.

    Args:
        multi_scale: whether the last two stages are fused, as in DDH, DDQH and DDAH; else only the
            last one feeds the fusion layer, as in the single-scale networks of the other papers.
    """

    def __init__(self, multi_scale: bool = False) -> None:
        super().__init__()
        self.multi_scale = multi_scale
        self.stages = PaperStages()
        width = (128 * 9 if multi_scale else 0) + 256 * 4
        self.fuse = nn.Sequential(nn.Linear(width, FEATURES), nn.BatchNorm1d(FEATURES), nn.ReLU())

    def features(self, x: Tensor) -> Tensor:
        """Features of standardised faces.

        Args:
            x: (B, 3, 32, 32), standardised.

        Returns:
            (B, 1024).
        """
        f3, f4 = self.stages(x)
        parts = [f3.flatten(1), f4.flatten(1)] if self.multi_scale else [f4.flatten(1)]
        return self.fuse(torch.cat(parts, 1))

    def forward(self, faces: Tensor) -> Tensor:
        """Features of faces.

        Args:
            faces: (B, 3, 32, 32) float in [0, 255].

        Returns:
            (B, 1024).
        """
        return self.features(self.normalise(faces))


class HashNet(nn.Module):
    """A trunk and a head.

    Args:
        head: module from features (B, 1024) to hash logits (B, K).
        bits: code length K.
        classes: number of identities C of a linear classifier on the relaxed code, for methods that
            classify in training; 0 for none.
        multi_scale: as of `Trunk`.
    """

    def __init__(self, head: nn.Module, bits: int, classes: int = 0, multi_scale: bool = False):
        super().__init__()
        self.trunk = Trunk(multi_scale)
        self.head = head
        self.classifier = nn.Linear(bits, classes) if classes else None
        self.apply(xavier_)

    def forward(self, faces: Tensor) -> Tensor:
        """Compute hash logits.

        Args:
            faces: (B, 3, 32, 32) float in [0, 255].

        Returns:
            (B, K).
        """
        return self.head(self.trunk(faces))


class DeepHasher(StoredMethod):
    """A network in the common training loop; `LossHasher` is one trained by a loss of its logits.

    All are trained by Adam with 5% warm-up and cosine decay to zero.

    Attributes:
        inputs: "images": aligned faces (N, 32, 32, 3) uint8 RGB.
        lr: learning rate.
        network: the network.
        initial: initial weights of the convolution stages, as of `SoftmaxTrunk.stages`; None for
            random ones.
        report: called with epochs done and their number; None for no reports.
    """

    inputs = "images"
    lr = 1e-3
    network: nn.Module
    initial: dict[str, Tensor] | None = None
    report: Callable[[int, int], None] | None = None

    # Overridden by methods ----------------------------------------------------------------

    def build(self, classes: int) -> nn.Module:
        """Construct the network.

        Args:
            classes: number of identities C.

        Returns:
            A network from faces (B, 3, 32, 32) in [0, 255] to hash logits (B, K).
        """
        return HashNet(nn.Linear(FEATURES, self.bits), self.bits)

    @abstractmethod
    def train_batch(self, indices: np.ndarray, augment: Augmentation, progress: float) -> None:
        """Leave the gradients of a batch of training images in the parameters.

        Args:
            indices: (B,) rows of the training set.
            augment: augmentation of the faces.
            progress: share of the training that is done, in [0, 1).
        """

    def start(self, labels: Tensor) -> None:
        """Called once, before the first epoch.

        Args:
            labels: (N,) int64, identities of the training set.
        """

    def begin_epoch(self, epoch: int) -> None:
        """Called before each epoch.

        Args:
            epoch: number of the epoch, from 0.
        """

    def end_epoch(self, epoch: int) -> None:
        """Called after each epoch.

        Args:
            epoch: number of the epoch, from 0.
        """

    # The loop -----------------------------------------------------------------------------

    def fit(self, x: np.ndarray, labels: np.ndarray) -> None:
        check_images(x)
        torch.manual_seed(self.seed)
        rng = np.random.default_rng(self.seed)
        augment = Augmentation(torch.Generator().manual_seed(self.seed), self.budget.augment)
        self.train_images, self.train_labels = x, torch.from_numpy(labels)
        self.network = self.build(int(labels.max()) + 1)
        self.standardise(to_tensor(x))
        if self.initial is not None:
            self.stages_module().load_state_dict(self.initial)
        self.network = self.network.to(memory_format=torch.channels_last)
        self.start(self.train_labels)
        groups = self.parameter_groups()
        rates = [group["lr"] for group in groups]
        optimiser = torch.optim.Adam(groups, weight_decay=self.budget.weight_decay, fused=True)
        steps = max(1, len(x) // (self.budget.people * self.budget.each))
        total = steps * self.budget.epochs
        for epoch in range(self.budget.epochs):
            self.begin_epoch(epoch)
            self.network.train()
            for step, indices in enumerate(self.batches(labels, steps, rng, epoch)):
                for group, rate in zip(optimiser.param_groups, rates, strict=True):
                    group["lr"] = rate * schedule((epoch * steps + step) / total)
                optimiser.zero_grad(set_to_none=True)
                self.train_batch(indices, augment, (epoch * steps + step) / total)
                for group in groups:
                    nn.utils.clip_grad_norm_(group["params"], _CLIP)
                optimiser.step()
            self.network.eval()
            self.end_epoch(epoch)
            if self.report is not None:
                self.report(epoch + 1, self.budget.epochs)
        del self.train_images

    def stages_module(self) -> nn.Module:
        """The convolution stages in the network."""
        return self.network.trunk.stages

    def standardise(self, faces: Tensor) -> None:
        """Freeze the pixel statistics of the training faces in the network.

        Args:
            faces: (N, 3, 32, 32) float in [0, 255].
        """
        self.network.trunk.standardise_by(faces)

    def parameter_groups(self) -> list[dict]:
        """Parameter groups of the optimiser, each with its learning rate."""
        return [{"params": list(self.network.parameters()), "lr": self.lr}]

    def batches(
        self, labels: np.ndarray, steps: int, rng: np.random.Generator, epoch: int
    ) -> Iterator[np.ndarray]:
        """Draw the batches of one epoch.

        Args:
            labels: (N,) identities of the training set.
            steps: number of batches.
            rng: source of the draw.
            epoch: number of the epoch, from 0.

        Returns:
            Rows of each batch.
        """
        return people_batches(labels, self.budget.people, self.budget.each, steps, rng)

    def faces(self, indices: np.ndarray, augment: Augmentation) -> Tensor:
        """Augmented training images of a batch.

        Args:
            indices: (B,) rows of the training set.
            augment: augmentation of the faces; not used if the budget has none.

        Returns:
            (B, 3, 32, 32) float in [0, 255].
        """
        faces = to_tensor(self.train_images[indices])
        return augment(faces) if self.budget.augment else faces

    def autocast(self) -> contextlib.AbstractContextManager:
        """Context of bfloat16 autocast, if the budget has it and the processor is fast at it."""
        if self.budget.bfloat16 and _bfloat16_is_fast():
            return torch.autocast("cpu", torch.bfloat16)
        return contextlib.nullcontext()

    def encode(self, x: np.ndarray) -> np.ndarray:
        check_images(x)
        return run(self.network, x, self.forward)

    def forward(self, faces: Tensor) -> Tensor:
        """Hash logits in evaluation mode.

        Args:
            faces: (B, 3, 32, 32) float in [0, 255].

        Returns:
            (B, K).
        """
        return self.network(faces)

    def state(self) -> dict[str, np.ndarray]:
        """See `StoredMethod.state`. The classifier of training identities is left out."""
        weights = {
            key: value.numpy()
            for key, value in self.network.state_dict().items()
            if value.is_floating_point() and not key.startswith("classifier.")
        }
        graph = _graph_without_weights(self.network, self.forward)
        return weights | {GRAPH: np.frombuffer(graph, np.uint8)}

    @classmethod
    def restore(cls, bits: int, state: Mapping[str, np.ndarray]) -> StoredMethod:
        return StoredNetwork.restore(bits, state)


class LossHasher(DeepHasher):
    """A deep method that is trained by one loss of its logits."""

    @abstractmethod
    def loss(self, logits: Tensor, labels: Tensor, indices: Tensor) -> Tensor:
        """The loss of one batch.

        Args:
            logits: (B, K) float32.
            labels: (B,) int64, identities.
            indices: (B,) int64, rows of the training set.

        Returns:
            Scalar.
        """

    def train_batch(self, indices: np.ndarray, augment: Augmentation, progress: float) -> None:
        rows = torch.from_numpy(indices)
        with self.autocast():
            logits = self.network(self.faces(indices, augment))
        self.loss(logits.float(), self.train_labels[rows], rows).backward()


@torch.inference_mode()
def run(
    network: nn.Module, images: np.ndarray, forward: Callable[[Tensor], Tensor], batch: int = 256
) -> np.ndarray:
    """Apply `forward` to images in evaluation mode, in batches.

    Args:
        network: put into evaluation mode.
        images: (N, 32, 32, 3) uint8 RGB.
        forward: faces (B, 3, 32, 32) in [0, 255] to outputs (B, K).
        batch: batch size.

    Returns:
        (N, K) float32.
    """
    network.eval()
    parts = [
        forward(to_tensor(images[i : i + batch])).float().numpy()
        for i in range(0, len(images), batch)
    ]
    return np.concatenate(parts)


class _OfFaces(nn.Module):
    """A network from faces as they are stored, (B, 32, 32, 3) uint8, in evaluation mode."""

    def __init__(self, network: nn.Module, forward: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.network, self.logits = network, forward

    def forward(self, faces: Tensor) -> Tensor:
        return self.logits(faces.permute(0, 3, 1, 2).float())


def _graph_without_weights(network: nn.Module, forward: Callable[[Tensor], Tensor]) -> bytes:
    """ONNX graph of a network, with its weights as inputs."""
    buffer = io.BytesIO()
    torch.onnx.export(
        _OfFaces(network, forward).eval(),
        (torch.zeros(2, 32, 32, 3, dtype=torch.uint8),),
        buffer,
        input_names=[FACES],
        output_names=[LOGITS],
        dynamic_axes={FACES: {0: "faces"}, LOGITS: {0: "faces"}},
        opset_version=_OPSET,
        dynamo=False,  # the newer exporter always writes the weights
        export_params=False,
        # Each fuses weights into others, which then have other names and values.
        training=torch.onnx.TrainingMode.PRESERVE,
        do_constant_folding=False,
    )
    return buffer.getvalue()


def schedule(progress: float) -> float:
    """Learning-rate schedule: linear warm-up over 5%, cosine decay to zero.

    Args:
        progress: share of the training that is done, in [0, 1).

    Returns:
        Factor on the learning rate, in [0, 1].
    """
    return min(1.0, (progress + 1e-3) / 0.05) * 0.5 * (1 + math.cos(math.pi * progress))


def people_batches(
    labels: np.ndarray, people: int, each: int, steps: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Draw batches of several images of each of several identities.

    Identities are drawn in proportion to their number of images, and the images of each without
    replacement until all were drawn. So an epoch visits nearly every image once.

    Args:
        labels: (N,) identities.
        people: identities per batch.
        each: maximum number of images per identity in a batch.
        steps: number of batches.
        rng: source of the draw.

    Yields:
        Rows (B,) of each batch.
    """
    order = np.argsort(labels, kind="stable")
    groups = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    weight = np.array([len(g) for g in groups], float)
    queues = [list(rng.permutation(g)) for g in groups]
    count = min(people, len(groups))
    for _ in range(steps):
        # Weighted draw without replacement (Efraimidis and Spirakis, 2006).
        chosen = np.argsort(-(rng.random(len(groups)) ** (1 / weight)))[:count]
        batch = []
        for i in chosen:
            if len(queues[i]) < each:
                fresh = [j for j in rng.permutation(groups[i]) if j not in queues[i]]
                queues[i] = queues[i] + fresh
            batch += queues[i][:each]
            queues[i] = queues[i][each:]
        yield np.array(batch)


def same_person(labels: Tensor, others: Tensor) -> Tensor:
    """Whether pairs of images have the same identity.

    Args:
        labels: (B,) identities.
        others: (M,) identities.

    Returns:
        (B, M) float32 of zeros and ones.
    """
    return (labels[:, None] == others[None, :]).float()


def _bfloat16_is_fast() -> bool:
    """Whether the processor multiplies bfloat16 matrices natively, so that autocast pays.

    oneDNN is asked first, so an instruction set held down by ONEDNN_MAX_CPU_ISA counts.
    """
    possible = torch.backends.mkldnn.is_available() and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return possible and bool(torch.cpu.get_capabilities().get("avx512_bf16"))
