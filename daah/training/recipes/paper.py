"""DDAH as published: a closed set of identities, 32x32, one code length."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from daah import codes, metrics
from daah.config import ModelConfig
from daah.data.augmentation import Augmentation
from daah.data.face_set import FaceSet, to_tensor
from daah.models.ddah import DDAH, PaperDDAH
from daah.training.losses import branch_loss, face_spatial_loss
from daah.training.recipes.base import encode_images, shuffled_batches


@dataclass(frozen=True)
class PaperSettings:
    """Published values; `augment` is ours, off, because the paper names no augmentation.

    The switches below it exist for the ablation.
    """

    bits: int = 48
    batch: int = 256
    lr: float = 1e-3
    weight_decay: float = 1e-4
    halve_every: int = 100
    beta: float = 1e-3
    margin: float = 0.0
    augment: float = 0.0
    spatial_attention: bool = True
    channel_attention: bool = True
    fused_stages: bool = True
    spatial_loss: bool = True


class PaperRecipe:
    """`database` trains and is searched; `queries` are other images of the same people."""

    score = "map"

    def __init__(
        self,
        database: FaceSet,
        queries: FaceSet,
        settings: PaperSettings,
        device: torch.device,
        seed: int = 0,
    ) -> None:
        torch.manual_seed(seed)
        self.database, self.queries, self.settings, self.device = (
            database,
            queries,
            settings,
            device,
        )
        self.config = ModelConfig("paper", settings.bits, (settings.bits,))
        self.model = PaperDDAH(
            settings.bits,
            classes=len(database.people),
            channel_attention=settings.channel_attention,
            fused_stages=settings.fused_stages,
        )
        self.model.standardise_by(to_tensor(database.images))
        self.model.to(device)
        self.augment = Augmentation(torch.Generator().manual_seed(seed), settings.augment)

    def parameter_groups(self) -> list[dict[str, Any]]:
        spatial = list(self.model.spatial.parameters())
        theirs = {id(p) for p in spatial}
        hashing = [p for p in self.model.parameters() if id(p) not in theirs]
        return [
            {"params": hashing, "lr": self.settings.lr},
            {"params": spatial, "lr": self.settings.lr},
        ]

    def learning_rate(self, progress: float, epoch: int) -> float:
        return 0.5 ** (epoch // self.settings.halve_every)

    def batches(self, generator: np.random.Generator) -> Iterator[np.ndarray]:
        return shuffled_batches(len(self.database), self.settings.batch, generator)

    def gradients(self, indices: np.ndarray, progress: float) -> dict[str, float]:
        faces = to_tensor(self.database.images[indices])
        if self.settings.augment:
            faces = self.augment(faces)
        labels = torch.from_numpy(self.database.labels[indices]).to(self.device)
        x = self.model.normalise(faces.to(self.device))
        mask = self.model.mask(x) if self.settings.spatial_attention else torch.ones_like(x[:, :1])
        # The mask enters the hash network as a leaf: one backward pass gives the hash network its
        # gradient and, in leaf.grad, d L_att / d mask, the only path into the spatial network.
        leaf = mask.detach().requires_grad_()
        masked = self._branch(x * leaf, labels)
        unmasked = self._branch(x, labels)
        (masked + unmasked).backward()
        spatial = face_spatial_loss(masked.detach(), unmasked.detach(), self.settings.margin)
        if self.settings.spatial_attention and self.settings.spatial_loss:
            # d spatial / d mask is d L_att / d mask where the hinge is active, and 0 elsewhere.
            mask.backward(leaf.grad * float(spatial > 0))
        elif self.settings.spatial_attention:
            mask.backward(leaf.grad)  # ablation: the mask simply minimises the masked loss
        return {
            "attended": masked.item(),
            "plain": unmasked.item(),
            "spatial": spatial.item(),
            "mask_mean": leaf.mean().item(),
            "mask_spread": leaf.std(dim=(2, 3)).mean().item(),
        }

    def _branch(self, x: Tensor, labels: Tensor) -> Tensor:
        logits = self.model.hashing(x)
        return branch_loss(logits, self.model.classify(logits), labels, self.settings.beta)

    def validate(self, model: DDAH) -> dict[str, float]:
        packed = [
            codes.from_logits(self._encode(model, part.images).numpy())
            for part in (self.queries, self.database)
        ]
        same = self.queries.person_names[:, None] == self.database.person_names
        groups = metrics.tie_groups(codes.hamming(*packed), same)
        return {
            "map": float(metrics.average_precision(groups).mean()),
            "rank1": float(metrics.rank1(groups).mean()),
        }

    def _encode(self, model: DDAH, images: np.ndarray) -> Tensor:
        return encode_images(
            model, images, self.device, batch=256, attention=self.settings.spatial_attention
        )

    def state_dict(self) -> dict[str, Any]:
        return {"augmentation": self.augment.generator.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.augment.generator.set_state(state["augmentation"])

    def summary(self) -> dict[str, Any]:
        return {
            "settings": asdict(self.settings),
            "people": len(self.database.people),
            "images": len(self.database),
            "validation": {"protocol": "closed-set", "queries": len(self.queries)},
        }
