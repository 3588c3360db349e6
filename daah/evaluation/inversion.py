"""A decoder that rebuilds an aligned face from its code: how much of a face a code gives away.

A perceptron from codes to the coefficients of eigenfaces, and on to pixels. One serves every
length: what an attacker does not have is 0, and a second half of the input says what there is. It
is trained by the pixels, then also by the network that made the codes, which an attacker has too: a
rebuilt face should have the logits of the face that it was rebuilt from (as Mai et al., "On the
reconstruction of face images from deep face templates", TPAMI 2018, with the encoder itself in
place of a perceptual network). Its weights are not shipped.

Axes: N = faces, B = batch, K = logits.
"""

from __future__ import annotations

import dataclasses
import io
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.errors import DataError
from daah.files import replace_atomically
from daah.models.ddah import DemoDDAH

#: Side of a rebuilt face in pixels: half of what the demo network reads.
SIDE = 56

#: Eigenfaces that a decoder starts from, and units of its two hidden layers.
_EIGENFACES, _HIDDEN = 256, 1024

_SNAPSHOT = "decoder.pt"

#: What a snapshot holds.
_ENTRIES = {"settings", "decoder", "optimiser", "spent", "step"}

#: Seconds between two snapshots.
_SAVED_EVERY = 60.0


@dataclass(frozen=True)
class DecoderSettings:
    """How a decoder is trained.

    Attributes:
        seconds: CPU time of training, over all runs of this folder.
        pixels_alone: share of that time in which only pixels count.
        identity: weight of the logits of a rebuilt face.
        batch: faces per step; four times as many where only pixels count.
        lr: learning rate at the start; it falls to 0 by a cosine.
        seed: seed of the weights and of the batch order.
    """

    seconds: float = 600.0
    pixels_alone: float = 0.15
    identity: float = 0.5
    batch: int = 32
    lr: float = 1e-3
    seed: int = 0


class Decoder(nn.Module):
    """Codes or logits to faces.

    Args:
        bits: K, length of the whole code.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.linear = nn.Linear(2 * bits, _EIGENFACES)
        self.hidden = nn.Sequential(
            nn.Linear(2 * bits, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _HIDDEN),
            nn.ReLU(),
            nn.Linear(_HIDDEN, _EIGENFACES),
        )
        self.faces = nn.Linear(_EIGENFACES, 3 * SIDE * SIDE)

    def start(self, faces: Tensor) -> None:
        """Take the mean and the principal components of faces as the output.

        Args:
            faces: (N, 3, SIDE, SIDE).
        """
        flat = faces.flatten(1).float()
        mean = flat.mean(0)
        _, sizes, axes = torch.pca_lowrank(flat - mean, min(_EIGENFACES, len(flat)), center=False)
        with torch.no_grad():
            self.faces.bias.copy_(mean)
            self.faces.weight.zero_()
            # Coefficients of about 1, as a perceptron gives them most easily.
            self.faces.weight[:, : len(sizes)] = axes * sizes / len(flat) ** 0.5

    def forward(self, known: Tensor) -> Tensor:
        """Rebuild faces.

        Args:
            known: (B, 2 K) of `given`.

        Returns:
            (B, 3, SIDE, SIDE), about 0 to 255.
        """
        coefficients = self.linear(known) + self.hidden(known)
        return self.faces(coefficients).view(-1, 3, SIDE, SIDE)


def given(logits: np.ndarray, bits: int, real: bool) -> np.ndarray:
    """What an attacker has, as the decoder reads it.

    Args:
        logits: (N, K).
        bits: length of the prefix that was stolen.
        real: whether the logits were, and not only their signs.

    Returns:
        (N, 2 K) float32: -1 and 1 by the signs, or the logits over their root mean square, and 0
        beyond the prefix; then 1 where something is known.
    """
    logits = np.asarray(logits, np.float32)
    own = logits[:, :bits]
    scale = np.sqrt((own**2).mean(1, keepdims=True))
    values = own / np.maximum(scale, 1e-12) if real else np.where(own > 0, 1, -1)
    known = np.zeros((len(logits), 2 * logits.shape[1]), np.float32)
    known[:, :bits] = values
    known[:, logits.shape[1] : logits.shape[1] + bits] = 1
    return known


def shrink(aligned: np.ndarray) -> np.ndarray:
    """Aligned faces at the decoder's size.

    Args:
        aligned: (N, 224, 224, 3) uint8.

    Returns:
        (N, SIDE, SIDE, 3) uint8, averaged.
    """
    parts = aligned.shape[1] // SIDE
    return np.stack(
        [f.reshape(SIDE, parts, SIDE, parts, 3).mean((1, 3)).round().astype(np.uint8)
         for f in aligned]
    )  # fmt: skip


def rebuild(decoder: Decoder, known: np.ndarray, size: int) -> np.ndarray:
    """Rebuild faces.

    Args:
        decoder: a trained decoder.
        known: (N, 2 K) of `given`.
        size: side of the faces in pixels.

    Returns:
        (N, size, size, 3) uint8 RGB.
    """
    rows = []
    with torch.inference_mode():
        for start in range(0, len(known), 64):
            faces = decoder(torch.from_numpy(known[start : start + 64]))
            faces = F.interpolate(faces, size=(size, size), mode="bilinear", align_corners=False)
            rows.append(faces.round().clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1).numpy())
    return np.concatenate(rows)


def train_decoder(
    network: DemoDDAH,
    faces: np.ndarray,
    logits: np.ndarray,
    lengths: tuple[int, ...],
    folder: Path,
    settings: DecoderSettings | None = None,
    report: Callable[[Mapping[str, float]], None] = lambda row: None,
    clock: Callable[[], float] = time.process_time,
) -> Decoder:
    """Train a decoder for a time of one thread, or go on with the training that a folder holds.

    Args:
        network: what made the logits; it is not changed.
        faces: (N, SIDE, SIDE, 3) uint8 of `shrink`.
        logits: (N, K) of the same faces.
        lengths: prefixes that are attacked, by their signs and by their logits.
        folder: of the snapshot, which is made when missing.
        settings: how to train; None takes the defaults.
        report: called with figures of each snapshot.
        clock: CPU time in seconds.

    Returns:
        The decoder, in eval mode.

    Raises:
        DataError: the folder holds the training of other settings, or cannot be read or written.
    """
    settings = settings or DecoderSettings()
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(settings.seed)
    decoder = Decoder(logits.shape[1])
    optimiser = torch.optim.AdamW(decoder.parameters(), lr=settings.lr, weight_decay=1e-4)
    targets = torch.from_numpy(faces).permute(0, 3, 1, 2)
    spent, step = _resume(folder / _SNAPSHOT, settings, decoder, optimiser)
    if not step:
        decoder.start(targets)
    network.eval().requires_grad_(False)
    torch.set_flush_denormal(True)
    wanted = torch.from_numpy(np.asarray(logits, np.float32))
    kinds = [(bits, real) for bits in lengths for real in (False, True)]
    decoder.train()
    began, saved = clock() - spent, clock()
    sums = {"pixels": 0.0, "cosine": 0.0, "steps": 0}
    while spent < settings.seconds:
        rng = np.random.default_rng([settings.seed, step])
        alone = spent < settings.pixels_alone * settings.seconds
        rows = rng.choice(len(faces), settings.batch * (4 if alone else 1))
        known = np.concatenate(
            [given(logits[row : row + 1], *kinds[rng.integers(len(kinds))]) for row in rows]
        )
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * 0.5 * (1 + math.cos(math.pi * spent / settings.seconds))
        made = decoder(torch.from_numpy(known))
        loss = ((made - targets[rows].float()) / 64).square().mean()
        sums["pixels"] += float(loss.detach())
        if not alone:
            cosine = F.cosine_similarity(_logits(network, made.clamp(0, 255)), wanted[rows]).mean()
            loss = loss + settings.identity * (1 - cosine)
            sums["cosine"] += float(cosine.detach())
        sums["steps"] += 1
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        spent = clock() - began
        if clock() - saved >= _SAVED_EVERY or spent >= settings.seconds:
            saved = clock()
            _save(folder / _SNAPSHOT, settings, decoder, optimiser, spent, step)
            means = {name: sums[name] / sums["steps"] for name in ("pixels", "cosine")}
            report({"seconds": spent, "step": step, **means})
            sums = {"pixels": 0.0, "cosine": 0.0, "steps": 0}
    return decoder.eval()


def load_decoder(folder: Path, bits: int) -> Decoder:
    """Load a decoder that `train_decoder` left in a folder.

    Args:
        folder: of the training.
        bits: K, length of the whole code.

    Returns:
        The decoder, in eval mode.

    Raises:
        DataError: there is none, or one of other codes.
    """
    decoder = Decoder(bits)
    try:
        decoder.load_state_dict(_read(folder / _SNAPSHOT)["decoder"])
    except RuntimeError as error:
        raise DataError(f"{folder}: no decoder of codes of {bits} bits") from error
    return decoder.eval()


def settings_of(folder: Path) -> dict[str, float]:
    """How the decoder of a folder was trained.

    Args:
        folder: of the training.

    Returns:
        The values of `DecoderSettings`, and the "steps" and "spent" seconds.

    Raises:
        DataError: there is none.
    """
    held = _read(folder / _SNAPSHOT)
    return held["settings"] | {"steps": held["step"], "spent": round(held["spent"])}


def _read(path: Path) -> dict[str, Any]:
    """A snapshot as `_save` writes it. Raises DataError."""
    try:
        if not is_zipfile(path):
            raise ValueError("no archive of tensors")
        held = torch.load(path, weights_only=True)
    except (RuntimeError, ValueError, OSError) as error:
        raise DataError(f"{path.parent}: no decoder that can be read") from error
    if not isinstance(held, dict) or not held.keys() >= _ENTRIES:
        raise DataError(f"{path.parent}: no decoder that can be read")
    return held


def _logits(network: DemoDDAH, faces: Tensor) -> Tensor:
    """Logits (B, K) of rebuilt faces, without the mirrored view that would take twice the time."""
    size = (network.input_size, network.input_size)
    large = F.interpolate(faces, size=size, mode="bilinear", align_corners=False)
    x = network.trunk.normalise(large)
    first = network.first_stage(x)
    mask = network.mask_of(*network.look(x, first).split(1, 1))
    return network.hash(F.normalize(network.embed(first, mask), dim=1))


def _save(
    path: Path,
    settings: DecoderSettings,
    decoder: Decoder,
    optimiser: torch.optim.Optimizer,
    spent: float,
    step: int,
) -> None:
    buffer = io.BytesIO()
    held: dict[str, Any] = {
        "settings": dataclasses.asdict(settings),
        "decoder": decoder.state_dict(),
        "optimiser": optimiser.state_dict(),
        "spent": spent,
        "step": step,
    }
    torch.save(held, buffer)
    try:
        replace_atomically(path, buffer.getvalue())
    except OSError as error:
        raise DataError(f"{path} cannot be written ({error.strerror})") from error


def _resume(
    path: Path, settings: DecoderSettings, decoder: Decoder, optimiser: torch.optim.Optimizer
) -> tuple[float, int]:
    """Seconds and steps that a snapshot was trained; (0, 0) without one."""
    if not path.is_file():
        return 0.0, 0
    held = _read(path)
    if held["settings"] != dataclasses.asdict(settings):
        raise DataError(f"{path} is of a training with other settings; delete it to start again")
    try:
        decoder.load_state_dict(held["decoder"])
        optimiser.load_state_dict(held["optimiser"])
        return float(held["spent"]), int(held["step"])
    except (RuntimeError, KeyError, ValueError) as error:
        raise DataError(f"{path} cannot be read as a decoder's training") from error
