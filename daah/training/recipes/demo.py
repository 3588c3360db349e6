"""The demo recipe: a transferred trunk, a mask from known covers, and a nested code.

Training has stages in place of epochs:

1. a bank of covered training faces (`bank`), with what the untouched trunk says of the clean ones;
2. the spatial network, the later stages of the trunk, the spatial network again, and its
   importance head (`gated_attention`);
3. the hash layer, constructed from the trained network's embeddings (`nested_code`), the best of
   several starts on people who were kept out of everything else.

No stage learns from identities: training that does lowers its loss and spoils the codes of people
never seen.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from daah.config import ModelConfig
from daah.data.face_set import FaceSet, to_tensor
from daah.errors import ConfigError
from daah.metrics.leave_one_out import leave_one_out
from daah.models.ddah import DemoDDAH
from daah.models.trunk import MobileFace, embed_both_views
from daah.training.recipes.bank import Bank, make_bank
from daah.training.recipes.covers import Cover, Sources
from daah.training.recipes.gated_attention import (
    AttentionSettings,
    bank_masks,
    fit_importance,
    fit_mask,
    refine_mask,
    set_means,
    tune,
)
from daah.training.recipes.nested_code import (
    BLOCKS,
    LENGTHS,
    NestedCodeSettings,
    construct,
    few_of_each,
)

#: Faces per call of the network.
_BATCH = 64


@dataclass(frozen=True)
class DemoSettings(AttentionSettings):
    """Every choice of the recipe, in addition to those of attention.

    Attributes:
        bank: number of covered faces; one takes 50 KB.
        bank_photos: maximum number of different photos of one person in it.
        cover: probability of a cover.
        background: probability of another background.
        hash_photos: maximum number of photos per person that the hash layer is constructed from.
        hash_starts: constructions, of which the best on the people who were kept out stays.

    Raises:
        ConfigError: `cover` is out of range.
    """

    bank: int = 32_000
    bank_photos: int = 60
    cover: float = 0.75
    background: float = 0.25
    hash_photos: int = 20
    hash_starts: int = 6

    def __post_init__(self) -> None:
        if not 0 < self.cover < 1:  # faces of both kinds are in every batch
            raise ConfigError(f"cover: expected more than 0 and less than 1, got {self.cover}")


class DemoTraining:
    """One run of the recipe.

    Attributes:
        model: the network.
        config: its architecture.
        history: the log, one row per 50 steps or stage.

    Args:
        faces: training people's faces (N, 112, 112, 3).
        landmarks: (N, 5, 2) in pixels of them.
        kept_out: faces (M, 112, 112, 3) of people that the hash layer is chosen on.
        trunk: as `import_trunk` returns it.
        settings: all choices.
        seed: seed of everything.
        out: folder of the bank and the stages' states.
    """

    def __init__(
        self,
        faces: FaceSet,
        landmarks: np.ndarray,
        kept_out: FaceSet,
        trunk: MobileFace,
        settings: DemoSettings,
        seed: int,
        out: Path,
    ) -> None:
        torch.manual_seed(seed)
        self.faces, self.landmarks, self.kept_out = faces, landmarks, kept_out
        self.trunk, self.settings, self.seed, self.out = trunk, settings, seed, out
        bits = sum(block.bits for block in BLOCKS)
        self.config = ModelConfig("demo", bits, LENGTHS)
        self.model = DemoDDAH(bits).eval()
        self.model.transfer(trunk)
        self.history: list[dict[str, float]] = []

    def run(self) -> dict[str, float]:
        """Run all stages, or what is left of them.

        Returns:
            Mean average precision at each length on the people who were kept out, as "map_LENGTH".

        Raises:
            CheckpointError: a file of an earlier run in the folder cannot be read.
            DataError: no person has two photos.
        """
        settings, model, seed = self.settings, self.model, self.seed
        bank = self._bank()
        centre = self._centre()
        set_means(model, bank, settings)
        masks = None
        if settings.attention:
            log = fit_mask(model.spatial, bank, settings, seed, self._state("mask"))
            self._log(log)
            masks = bank_masks(model, bank)
        else:
            model.context.fill_(1)  # a gate that is always open
        self._log(tune(model, bank, centre, settings, masks, seed + 1, self._state("trunk")))
        if settings.attention and settings.refine_steps:
            log = refine_mask(model, bank, centre, settings, seed + 2, self._state("refined"))
            self._log(log)
        if settings.attention and settings.importance_steps:
            log = fit_importance(model, bank, settings, seed + 3, self._state("importance"))
            self._log(log)
        model.eval().requires_grad_(False)
        metrics = self._fit_hash_layer()
        self._log([{"step": 1, **metrics}])
        return metrics

    def _log(self, rows: list[dict[str, float]]) -> None:
        start = self.history[-1]["step"] if self.history else 0
        self.history += [row | {"step": start + row["step"]} for row in rows]

    def _state(self, name: str) -> Path:
        return self.out / f"{name}.state"

    def _bank(self) -> Bank:
        path = self.out / "bank.npz"
        if path.exists():
            return Bank.load(path)
        generator = torch.Generator().manual_seed(self.seed)
        labels = torch.from_numpy(self.faces.labels)
        photos = few_of_each(labels, self.settings.bank_photos, generator).numpy()
        rng = np.random.default_rng(self.seed)
        # Every photo equally often, up to one time.
        turns = -(-self.settings.bank // len(photos))
        order = np.concatenate([rng.permutation(photos) for _ in range(turns)])
        bank = make_bank(
            self.model,
            self.trunk,
            Sources(self.faces.images, self.faces.labels),
            self.landmarks,
            order[: self.settings.bank],
            self.seed,
            Cover(self.settings.cover, self.settings.background),
        )
        bank.save(path)
        return bank

    @torch.no_grad()
    def _centre(self) -> Tensor:
        """Mean (256,) of the training people's embeddings by the untouched trunk."""
        generator = torch.Generator().manual_seed(self.seed)
        few = few_of_each(torch.from_numpy(self.faces.labels), 1, generator).numpy()
        parts = []
        for start in range(0, len(few), _BATCH):
            images = to_tensor(self.faces.images[few[start : start + _BATCH]])
            parts.append(F.normalize(embed_both_views(self.trunk, images), dim=1))
        return torch.cat(parts).mean(0)

    @torch.no_grad()
    def embeddings(self, images: np.ndarray) -> Tensor:
        """What the hash layer reads of faces.

        Args:
            images: (N, 112, 112, 3) uint8.

        Returns:
            (N, 256) float32, of length 1.
        """
        choose = (lambda mask: mask) if self.settings.attention else torch.ones_like
        parts = []
        for start in tqdm(range(0, len(images), _BATCH), desc="embeddings"):
            faces = to_tensor(images[start : start + _BATCH])
            parts.append(self.model.embedding(faces, choose)[0])
        return torch.cat(parts)

    def _fit_hash_layer(self) -> dict[str, float]:
        generator = torch.Generator().manual_seed(self.seed)
        labels = torch.from_numpy(self.faces.labels)
        few = few_of_each(labels, self.settings.hash_photos, generator)
        embeddings = self.embeddings(self.faces.images[few.numpy()])
        others = self.embeddings(self.kept_out.images)
        nested = NestedCodeSettings(photos=self.settings.hash_photos)
        best: tuple[float, nn.Linear, dict[str, float]] | None = None
        for start in range(self.settings.hash_starts):
            generator.manual_seed(self.seed + start)
            layer = construct(embeddings, labels[few], nested, generator)
            figures = self._figures(layer, others)
            total = sum(figures.values())
            if best is None or total > best[0]:
                best = total, layer, figures
        assert best is not None
        self.model.hash.load_state_dict(best[1].state_dict())
        return best[2]

    @torch.no_grad()
    def _figures(self, layer: nn.Linear, embeddings: Tensor) -> dict[str, float]:
        logits, people = layer(embeddings).numpy(), self.kept_out.person_names
        return {
            f"map_{length}": leave_one_out(logits, people, length).map
            for length in self.config.lengths
        }

    def summary(self) -> dict[str, Any]:
        """Facts about data and settings, for the checkpoint's card.

        Returns:
            JSON values.
        """
        return {
            "settings": asdict(self.settings),
            "seed": self.seed,
            "people": len(self.faces.people),
            "images": len(self.faces),
            "kept_out": {"people": len(self.kept_out.people), "images": len(self.kept_out)},
        }
