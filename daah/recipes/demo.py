"""The demo recipe: a transferred trunk fine-tuned into nested codes for people never seen."""

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
from daah.data import Augmentation, FaceSet, PairDraw, to_tensor
from daah.losses import (
    complement_loss,
    contrastive_loss,
    correlation_loss,
    face_spatial_loss,
    listwise_loss,
    nested_similarities,
    straight_through_sign,
)
from daah.models.ddah import DDAH, DemoDDAH
from daah.models.precision import autocast
from daah.models.trunk import EMBEDDING, DlibTrunk
from daah.open_set import open_set
from daah.recipes.base import encode_images


@dataclass(frozen=True)
class DemoSettings:
    """Every choice of the recipe. All of them were made on validation people.

    keep_until: share of training over which the mask takes over from the plain image; a
    pretrained trunk must not meet a random mask. memory: past codes that enlarge the lists.
    head_steps, spatial_steps: before all else, steps of the hash layer alone on features of the
    untouched trunk, and of the spatial network alone against that.
    lr_trunk is relative: a tensor's own rate is lr_trunk times the root mean square of its weights.
    Folded scales leave weights of 0.001 beside weights of 0.1, and one absolute rate for both
    destroyed what the trunk knew within a hundred steps.
    """

    bits: int = 128
    lengths: tuple[int, ...] = (16, 24, 32, 48, 64, 96, 128)
    pairs: int = 96
    strangers: int = 64
    steps: int = 75
    lr_hash: float = 5e-4
    lr_channel: float = 1e-4
    lr_head: float = 2e-3
    head_steps: int = 800
    head_batch: int = 512
    spatial_steps: int = 200
    lr_trunk: float = 1e-3
    lr_spatial: float = 1e-3
    warmup: float = 0.02
    keep_until: float = 0.1
    memory: int = 1024
    sharpness: float = 14.0
    contrastive: float = 1.0
    listwise: float = 1.0
    correlation: float = 0.1
    anchor: float = 2.0
    margin: float = 0.3
    margin_complement: float = 8.0
    augment: float = 1.0


class DemoRecipe:
    """Trains on identities with the teacher's embeddings of the clean images beside them.

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
        self.train, self.validation, self.settings, self.device = (
            train,
            validation,
            settings,
            device,
        )
        self.config = ModelConfig("demo", settings.bits, settings.lengths)
        self.draw = PairDraw(train.labels, settings.pairs, settings.strangers)
        self.augment = Augmentation(torch.Generator().manual_seed(seed), settings.augment)
        self.teacher = torch.from_numpy(teacher).to(device)
        self.linear = linear.float().to(device)
        self.teacher_unit = F.normalize(self.teacher - self.teacher.mean(0), dim=1)
        self.labels = torch.from_numpy(train.labels).to(device)
        self.model = DemoDDAH(settings.bits)
        self.model.hashing.trunk.load_state_dict(trunk.state_dict())
        self.model.to(device, memory_format=torch.channels_last)
        # Sharpness of the student's lists, one a length: short codes are noisier and want less.
        self.log_scale = nn.Parameter(
            torch.full((2, len(settings.lengths)), math.log(10.0), device=device)
        )
        self.memory_signs = torch.empty(0, settings.bits, device=device)
        self.memory_index = torch.empty(0, dtype=torch.int64, device=device)
        self.step = 0

    def _start_hash_layer(self) -> None:
        """Start as random hyperplanes through the teacher's embeddings; f3 joins from zero."""
        network, bits = self.model.hashing, self.settings.bits
        centred = self.teacher - self.teacher.mean(0)
        rotation = torch.linalg.qr(torch.randn(EMBEDDING, EMBEDDING))[0].to(centred)
        rotation = rotation.repeat(math.ceil(bits / EMBEDDING), 1)[:bits] / centred.std()
        planes = rotation @ self.linear  # (K, 256)
        with torch.no_grad():
            network.hash.weight.zero_()
            network.hash.weight[:, 128:] = planes * network.feature_std[128:]
            network.hash.bias.copy_(planes @ network.feature_mean[128:])
            network.hash.bias -= rotation @ self.teacher.mean(0)

    def fit_hash_layer(self, attended: bool) -> None:
        """Train the hash layer alone, on features of clean and mirrored faces seen once.

        attended: behind their masks, for a spatial network that is trained; else whole, as the
        start of a training.
        """
        settings, network = self.settings, self.model.hashing
        with autocast(self.device):
            features = torch.stack(
                [self._features(mirror, attended) for mirror in (False, True)], 1
            )
        network.feature_mean.copy_(features.mean((0, 1)))
        network.feature_std.copy_(features.std((0, 1)).clamp(min=1e-4))
        if not attended:
            self._start_hash_layer()
        optimiser = torch.optim.AdamW(
            [
                {"params": network.hash.parameters(), "lr": settings.lr_head},
                {"params": [self.log_scale], "lr": 2 * settings.lr_head, "weight_decay": 0.0},
            ]
        )
        decay = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(1, settings.head_steps))
        pairs = settings.head_batch // 4
        draw = PairDraw(self.train.labels, pairs, settings.head_batch - 2 * pairs)
        generator = np.random.default_rng(0)
        for _ in tqdm(range(settings.head_steps), desc="hash layer"):
            index = torch.from_numpy(draw.batch(generator)).to(self.device)
            side = torch.randint(0, 2, index.shape, generator=self.augment.generator)
            loss, _ = self._code_loss(features[index, side.to(self.device)], index)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            decay.step()

    def fit_spatial_network(self) -> None:
        """Train the spatial network alone against the hash network as it stands.

        Turn about, the face behind the mask must be coded well and the face behind its complement
        badly. Both gates are at full strength here, with nothing kept where they are 0. Trained
        together from the start, both networks settle on whatever mask chance began with, one that
        hides the face included: the hash network learns to read it, and no hinge objects.
        """
        settings = self.settings
        optimiser = torch.optim.Adam(self.model.spatial.parameters(), lr=settings.lr_spatial)
        generator = np.random.default_rng(1)
        self.model.train()
        self.model.hashing.requires_grad_(False)
        for step in tqdm(range(settings.spatial_steps), desc="spatial network"):
            indices = self.draw.batch(generator)
            faces = self.augment(to_tensor(self.train.images[indices])).to(self.device)
            x = self.model.normalise(faces).contiguous(memory_format=torch.channels_last)
            index = torch.from_numpy(indices).to(self.device)
            with autocast(self.device):
                mask = self.model.mask(x)
            shown = mask if step % 2 == 0 else 1 - mask
            loss, _ = self._branch(x * shown, index)
            optimiser.zero_grad()
            (loss if step % 2 == 0 else -loss).backward()
            optimiser.step()
        self.model.hashing.requires_grad_(True)

    @torch.inference_mode()
    def _features(self, mirror: bool, attended: bool, batch: int = 64) -> Tensor:
        """Features (N, 384) of the training faces in eval mode."""
        self.model.eval()
        parts = []
        for start in tqdm(range(0, len(self.train), batch), desc="features"):
            faces = to_tensor(self.train.images[start : start + batch]).to(self.device)
            x = self.model.normalise(faces.flip(3) if mirror else faces)
            x = x.contiguous(memory_format=torch.channels_last)
            if attended:
                x = self.model.gate(x, self.model.mask(x))
            parts.append(self.model.hashing.features(x).float())
        return torch.cat(parts)

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
                "name": "hash",
                "params": [*network.hash.parameters(), self.log_scale],
                "lr": settings.lr_hash,
            },
            {
                "name": "spatial",
                "params": list(self.model.spatial.parameters()),
                "lr": settings.lr_spatial,
            },
        ]

    def learning_rate(self, progress: float, epoch: int) -> float:
        warm = min(1.0, (progress + 1e-3) / max(self.settings.warmup, 1e-3))
        return warm * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))

    def batches(self, generator: np.random.Generator) -> Iterator[np.ndarray]:
        for _ in range(self.settings.steps):
            yield self.draw.batch(generator)

    def gradients(self, indices: np.ndarray, progress: float) -> dict[str, float]:
        """Every step trains the attended branch; every other one moves the spatial network too.

        Those alternate between its two hinges, with the plain branch beside the first. A third
        branch on every step would double the cost and was not worth it.
        """
        settings = self.settings
        keep = max(0.0, 1.0 - progress / settings.keep_until) if settings.keep_until else 0.0
        faces = self.augment(to_tensor(self.train.images[indices])).to(self.device)
        x = self.model.normalise(faces).contiguous(memory_format=torch.channels_last)
        index = torch.from_numpy(indices).to(self.device)
        spatial_turn = self.step % 2 == 0
        with autocast(self.device), torch.set_grad_enabled(spatial_turn):
            mask = self.model.mask(x)  # float32, (B, 1, 150, 150)
        leaf = mask.detach().requires_grad_(spatial_turn)
        attended, signs = self._branch(self.model.gate(x, keep + (1 - keep) * leaf), index)
        log = {"attended": attended.item(), "mask_mean": leaf.mean().item()}
        log["mask_spread"] = leaf.std(dim=(2, 3)).mean().item()
        if not spatial_turn:
            attended.backward()
        elif self.step % 4 == 0:
            plain, _ = self._branch(x, index)
            (attended + plain).backward()
            spatial = face_spatial_loss(attended.detach(), plain.detach(), settings.margin)
            # d spatial / d mask is d L_att / d mask where the hinge is active, and 0 elsewhere.
            mask.backward(leaf.grad * float(spatial > 0))
            log |= {"plain": plain.item(), "spatial": spatial.item()}
        else:
            attended.backward()
            pull, hidden = self._complement(x, mask, index, attended.detach())
            mask.backward(pull)
            log |= {"hidden": hidden}
        self._remember(signs.detach(), index)
        self.step += 1
        return log

    def _complement(
        self, x: Tensor, mask: Tensor, index: Tensor, attended: Tensor
    ) -> tuple[Tensor, float]:
        """Gradient of the second hinge by the mask, and L_inv; the hash network takes none."""
        inverse = mask.detach().requires_grad_()
        parameters = list(self.model.hashing.parameters())
        for parameter in parameters:
            parameter.requires_grad_(False)
        hidden, _ = self._branch(self.model.gate(x, 1 - inverse), index)
        hinge = complement_loss(attended, hidden, self.settings.margin_complement)
        (gradient,) = torch.autograd.grad(hinge, inverse)
        for parameter in parameters:
            parameter.requires_grad_(True)
        return gradient, hidden.item()

    def _branch(self, x: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of one branch, and the codes (B, K) as -1/+1."""
        with autocast(self.device):
            features = self.model.hashing.features(x)
        features = features.float()  # (B, 384)
        loss, signs = self._code_loss(features, index)
        # f4's channel attention is inside the features; the anchor holds what the teacher reads.
        student = features[:, 128:] @ self.linear.T
        drift = 1 - F.cosine_similarity(student, self.teacher[index], dim=1).mean()
        return loss + self.settings.anchor * drift, signs

    def _code_loss(self, features: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        """The terms on codes, mean over the prefixes, for features (B, 384)."""
        settings = self.settings
        logits = self.model.hashing.code(features)  # (B, K)
        signs = straight_through_sign(logits)
        references = torch.cat([signs, self.memory_signs])  # (M, K)
        reference_index = torch.cat([index, self.memory_index])
        positive = self.labels[index][:, None] == self.labels[reference_index]
        usable = torch.ones_like(positive)
        usable[:, : len(index)].fill_diagonal_(False)
        teacher = self.teacher_unit[index] @ self.teacher_unit[reference_index].T
        similarities = nested_similarities(signs, references, settings.lengths)
        scale = self.log_scale.clamp(max=math.log(40.0)).exp()
        total = features.new_zeros(())
        for i, length in enumerate(sorted(settings.lengths)):
            similarity = similarities[length]
            total = total + settings.contrastive * contrastive_loss(
                similarity * scale[0, i], positive, usable
            )
            total = total + settings.listwise * listwise_loss(
                similarity * scale[1, i], teacher, usable, settings.sharpness
            )
        total = total / len(settings.lengths)
        total = total + settings.correlation * correlation_loss(signs)
        return total, signs

    def _remember(self, signs: Tensor, index: Tensor) -> None:
        keep = max(0, self.settings.memory)
        self.memory_signs = torch.cat([signs, self.memory_signs])[:keep]
        self.memory_index = torch.cat([index, self.memory_index])[:keep]

    def validate(self, model: DDAH) -> dict[str, float]:
        with autocast(self.device):
            logits = encode_images(model, self.validation.images, self.device).numpy()
        people = np.array(self.validation.people)[self.validation.labels]
        figures = {}
        for length in sorted(self.settings.lengths):
            figures[f"map_{length}"] = open_set(logits, people, length).map
        return figures

    def state_dict(self) -> dict[str, Any]:
        return {
            "augmentation": self.augment.generator.get_state(),
            "log_scale": self.log_scale.detach(),
            "memory_signs": self.memory_signs,
            "memory_index": self.memory_index,
            "step": self.step,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.augment.generator.set_state(state["augmentation"].cpu())
        with torch.no_grad():
            self.log_scale.copy_(state["log_scale"])
        self.memory_signs = state["memory_signs"].to(self.device)
        self.memory_index = state["memory_index"].to(self.device)
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


def _root_mean_square(parameter: Tensor) -> float:
    return float(parameter.detach().square().mean().sqrt()) + 1e-6
