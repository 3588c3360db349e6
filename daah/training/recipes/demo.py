"""The demo recipe: a transferred trunk, fine-tuned behind a mask, and nested (Matryoshka) codes.

The hash layer is trained on identities, the networks by distillation, in this order:

1. `fit_hash_layer`: nested codes of the teacher's embeddings, the best of several random restarts.
2. `fit_spatial_network`: the mask, against the pretrained trunk.
3. epochs of `gradients`: distil trunk and fusion layer. The student sees one masked view; the
   target is the teacher's embedding averaged over ten unmasked views (test-time augmentation). The
   spatial network is trained further. The last epochs leave the unmasked view out.

Identities supervise the first step only. Training all parts on identities lowers the training loss
and the accuracy on unseen identities: the trunk overfits the training identities. Fitting the hash
layer again at the end does not help either: embeddings of training faces are closer to the teacher
than those of new faces.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from daah.config import ModelConfig
from daah.data.augmentation import Augmentation
from daah.data.face_set import FaceSet, to_tensor
from daah.errors import ConfigError
from daah.metrics.leave_one_out import leave_one_out
from daah.models.checkpoint import Checkpoint
from daah.models.ddah import DDAH, DemoDDAH
from daah.models.precision import autocast
from daah.models.trunk import DlibTrunk
from daah.training.losses import complement_loss, distillation_loss, face_spatial_loss
from daah.training.recipes.base import encode_images, shuffled_batches
from daah.training.recipes.hash_layer import HashLayerFit


@dataclass(frozen=True)
class DemoSettings:
    """Every choice of the recipe. All of them were made on validation people.

    spatial_steps, spatial_batch, lr_spatial: of the spatial network alone, before all else;
    lr_spatial_later: its rate in the epochs; at 0 it rests, and its hinges are not computed.
    edge: width of the soft edge of its cuts, in parts of the mask's range.
    margin, margin_complement: of the two hinges of the face spatial loss, in units of the
    distillation loss; both are nearly always active.
    mask_warmup: share of the epochs over which the mask takes over from the unmasked image; a
    pretrained trunk must not meet a mask at once.
    lr_trunk and lr_fuse are relative: a tensor's own rate is that times the root mean square of its
    weights. Folded scales leave weights of 0.001 beside weights of 0.1, and one absolute rate for
    both destroyed what the trunk knew within a hundred steps. At 1e-3, and with augment at 0.7, the
    trunk ended further from the teacher on unmasked faces than it started.
    unmasked_until: share of the epochs in which the unmasked face is learned beside the masked one.
    hash_starts, hash_steps, hash_people: starts of the hash layer, of which the best on validation
    people stays; steps of each; people a step, with two images each. Mean average precision at 64
    bits is 0.70 to 0.75 by the start alone.
    """

    bits: int = 128
    lengths: tuple[int, ...] = (16, 24, 32, 48, 64, 96, 128)
    spatial_steps: int = 300
    spatial_batch: int = 64
    lr_spatial: float = 1e-3
    lr_spatial_later: float = 3e-4
    edge: float = 0.05
    margin: float = 1.0
    margin_complement: float = 2.0
    batch: int = 128
    lr_trunk: float = 2e-4
    lr_fuse: float = 2e-4
    lr_channel: float = 1e-4
    warmup: float = 0.02
    mask_warmup: float = 0.1
    unmasked_until: float = 0.6
    augment: float = 0.3
    hash_starts: int = 10
    hash_steps: int = 600
    hash_people: int = 512
    lr_hash: float = 2e-3
    correlation: float = 0.1


class DemoRecipe:
    """Trains on faces with the teacher's embeddings of the clean images beside them.

    teacher: (N, 128) float32, row by row with `train`. trunk, linear: from `import_trunk`.
    """

    score = "map_64"

    def __init__(
        self,
        train: FaceSet,
        validation: FaceSet,
        teacher: np.ndarray,
        trunk: DlibTrunk,
        linear: Tensor,
        settings: DemoSettings,
        device: torch.device,
        seed: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        self.train, self.validation, self.settings = train, validation, settings
        self.device = device
        self.config = ModelConfig("demo", settings.bits, settings.lengths)
        self.augment = Augmentation(torch.Generator().manual_seed(seed), settings.augment)
        self.teacher = torch.from_numpy(teacher).to(device)
        self.centre = self.teacher.mean(0)
        self.model = DemoDDAH(settings.bits)
        self.model.hashing.transfer(trunk, linear)
        self.model.to(device, memory_format=torch.channels_last)
        self.step = 0

    def start_from(self, checkpoint: Checkpoint) -> None:
        """Take over all weights of a trained network.

        Raises ConfigError for one of another recipe or with other lengths.
        """
        if checkpoint.config != self.config:
            raise ConfigError(
                f"cannot start from {checkpoint.name}: it is {checkpoint.config}, not {self.config}"
            )
        self.model.load_state_dict(checkpoint.model.state_dict())

    def fit_hash_layer(self) -> None:
        """Fit the hash layer, and nothing else, to the teacher's embeddings of the training faces.

        Of its starts, the one stays whose codes find validation people best (sum over the lengths).
        """
        settings, network = self.settings, self.model.hashing
        network.embedding_mean.copy_(self.centre)
        network.embedding_std.copy_((self.teacher - self.centre).square().mean().sqrt())
        validation = self._validation_embeddings()

        def score(layer: nn.Linear) -> float:
            with torch.inference_mode():
                return sum(self._figures(layer(validation).cpu().numpy()).values())

        HashLayerFit(
            lengths=settings.lengths,
            starts=settings.hash_starts,
            steps=settings.hash_steps,
            people=settings.hash_people,
            lr=settings.lr_hash,
            correlation=settings.correlation,
        ).fit(
            network.hash,
            network.standardise(self.teacher),
            torch.from_numpy(self.train.labels).to(self.device),
            score,
        )

    @torch.inference_mode()
    def _validation_embeddings(self) -> Tensor:
        """What the network says of the plain validation faces (N, 128), standardised."""
        parts = []
        for start in range(0, len(self.validation), self.settings.batch):
            faces = to_tensor(self.validation.images[start : start + self.settings.batch])
            x = self.model.normalise(faces.to(self.device))
            with autocast(self.device):
                features = self.model.hashing.features(x)
            parts.append(self.model.hashing.fuse(features.float()))
        return self.model.hashing.standardise(torch.cat(parts))

    def fit_spatial_network(self) -> None:
        """Train the spatial network alone against the hash network as it stands.

        Trained together from the start, both networks settle on whatever mask chance began with,
        one that hides the face included: the hash network learns to read it, and no hinge objects.
        """
        settings = self.settings
        optimiser = torch.optim.Adam(self.model.spatial.parameters(), lr=settings.lr_spatial)
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(
            optimiser, max(1, settings.spatial_steps)
        )
        generator = np.random.default_rng(1)
        self.model.train()
        self.model.hashing.requires_grad_(False)
        for step in tqdm(range(settings.spatial_steps), desc="spatial network"):
            indices = generator.integers(0, len(self.train), settings.spatial_batch)
            x, index = self._faces(indices)
            optimiser.zero_grad()
            self._spatial_loss(x, index, complement=step % 2 == 1).backward()
            optimiser.step()
            decay.step()
        self.model.hashing.requires_grad_(True)

    def _spatial_loss(self, x: Tensor, index: Tensor, complement: bool) -> Tensor:
        """One of the two hinges, for the spatial network alone.

        The mask is cut: a share of the pixels, the most attended ones and a new share for each
        face, is sharp and the rest blurred, or the reverse for the complement. What is shown must
        be enough to know the face, and what is left must not be. A face behind the mask itself,
        dimmed, would be known whatever the mask, so that any mask would do.
        """
        with autocast(self.device):
            mask = self.model.mask(x)
        shown = cut(mask, self._uniform(len(x), 0.05, 0.95), self.settings.edge)
        if complement:
            shown = 1 - shown
        loss = self._branch(blurred(x).lerp(x, shown), index)
        with torch.no_grad():
            unmasked = self._branch(x, index)
        if complement:
            return complement_loss(unmasked, loss, self.settings.margin_complement)
        return face_spatial_loss(loss, unmasked, self.settings.margin)

    def parameter_groups(self) -> list[dict[str, Any]]:
        settings, network = self.settings, self.model.hashing
        channel = [*network.attention3.parameters(), *network.attention4.parameters()]
        return [
            *(
                {"name": "trunk", "params": [p], "lr": settings.lr_trunk * _root_mean_square(p)}
                for p in network.trunk.parameters()
            ),
            {"name": "channel", "params": channel, "lr": settings.lr_channel},
            {
                "name": "fuse",
                "params": list(network.fuse.parameters()),
                "lr": settings.lr_fuse * _root_mean_square(network.fuse.weight),
            },
            {
                "name": "spatial",
                "params": list(self.model.spatial.parameters()),
                "lr": settings.lr_spatial_later,
            },
        ]

    def learning_rate(self, progress: float, epoch: int) -> float:
        warm = min(1.0, (progress + 1e-3) / max(self.settings.warmup, 1e-3))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def batches(self, generator: np.random.Generator) -> Iterator[np.ndarray]:
        """Every face once."""
        yield from shuffled_batches(len(self.train), self.settings.batch, generator)

    def gradients(self, indices: np.ndarray, progress: float) -> dict[str, float]:
        """The hash network minimises L_att + L_plain; the spatial network its own two hinges.

        Plain branch and hinges take turns, and come on every fourth step each: a second and third
        branch on every step would double the cost and were not worth it. After `unmasked_until` the
        unmasked branch stays away.
        """
        settings = self.settings
        keep = max(0.0, 1.0 - progress / settings.mask_warmup) if settings.mask_warmup else 0.0
        x, index = self._faces(indices)
        with autocast(self.device), torch.no_grad():
            mask = self.model.mask(x)  # float32, (B, 1, 150, 150)
        masked = self._branch(self.model.gate(x, keep + (1 - keep) * mask), index)
        masked.backward()
        log = {"attended": masked.item(), "mask_spread": mask.std(dim=(2, 3)).mean().item()}
        turn = self.step % 8
        if turn % 4 == 0 and progress < settings.unmasked_until:
            unmasked = self._branch(x, index)
            unmasked.backward()
            log |= {"plain": unmasked.item()}
        elif settings.lr_spatial_later and turn in (2, 6):
            half = slice(0, max(2, len(x) // 2))
            log |= self._spatial_gradient(x[half], index[half], complement=turn == 6)
        self.step += 1
        return log

    def _spatial_gradient(self, x: Tensor, index: Tensor, complement: bool) -> dict[str, float]:
        """Add the gradient of one hinge to the spatial network; the hash network takes none."""
        self.model.hashing.requires_grad_(False)
        loss = self._spatial_loss(x, index, complement)
        loss.backward()
        self.model.hashing.requires_grad_(True)
        return {"hidden" if complement else "spatial": loss.item()}

    def _branch(self, x: Tensor, index: Tensor) -> Tensor:
        """Loss of one branch: how far it is from what the teacher says of the clean face."""
        with autocast(self.device):
            features = self.model.hashing.features(x)
        embeddings = self.model.hashing.fuse(features.float())
        return distillation_loss(embeddings, self.teacher[index], self.centre)

    def _faces(self, indices: np.ndarray) -> tuple[Tensor, Tensor]:
        """Augmented, normalised faces (B, 3, 150, 150) and their indices as a tensor."""
        faces = self.augment(to_tensor(self.train.images[indices])).to(self.device)
        x = self.model.normalise(faces).contiguous(memory_format=torch.channels_last)
        return x, torch.from_numpy(indices).to(self.device)

    def _uniform(self, count: int, low: float, high: float) -> Tensor:
        draw = torch.rand(count, generator=self.augment.generator)
        return (low + (high - low) * draw).to(self.device)

    def validate(self, model: DDAH) -> dict[str, float]:
        with autocast(self.device):
            logits = encode_images(model, self.validation.images, self.device).numpy()
        return self._figures(logits)

    def _figures(self, logits: np.ndarray) -> dict[str, float]:
        """Mean average precision of validation faces at each length, from logits (N, K)."""
        people = self.validation.person_names
        return {
            f"map_{length}": leave_one_out(logits, people, length).map
            for length in sorted(self.settings.lengths)
        }

    def state_dict(self) -> dict[str, Any]:
        return {"augmentation": self.augment.generator.get_state(), "step": self.step}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.augment.generator.set_state(state["augmentation"].cpu())
        self.step = state["step"]

    def summary(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "people": len(self.train.people),
            "images": len(self.train),
            "validation": {
                "protocol": "open-set",
                "people": len(self.validation.people),
                "images": len(self.validation),
            },
        }


def cut(mask: Tensor, share: Tensor, edge: float) -> Tensor:
    """Mask (B, 1, S, S) to a gate: 1 on its `share` (B,) of largest values and 0 elsewhere, nearly.

    The gate falls from 1 to 0 as a sigmoid of width `edge`, so that it has a gradient.
    """
    flat = mask.detach().flatten(1)
    ordered = flat.sort(1).values
    rank = ((1 - share) * (flat.shape[1] - 1)).long()
    level = ordered.gather(1, rank[:, None])
    return ((mask - level[:, :, None, None]) / edge).sigmoid()


def blurred(x: Tensor, cells: int = 5) -> Tensor:
    """Faces (B, 3, S, S) with no feature left, but colours and light."""
    small = F.adaptive_avg_pool2d(x, cells)
    return F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False)


def _root_mean_square(parameter: Tensor) -> float:
    return float(parameter.detach().square().mean().sqrt()) + 1e-6
