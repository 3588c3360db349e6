"""Training of the demo network's attention, in four stages.

1. `fit_mask`: the spatial network alone learns the known share of each cell that shows the face.
2. `tune`: the trunk's later stages learn to say of a covered face behind its mask what the
   untouched trunk says of the clean one. The stem and the first stage stay as they are, so that
   their output is computed once; so does the spatial network, because the retrieval loss alone
   opens a mask again. `tune` without masks trains the control that any gain is measured against.
3. `refine_mask`: the spatial network learns from the tuned network what its masks are worth, by the
   paper's face spatial loss max(0, margin + L_att - L_plain): covered faces behind their mask are
   compared with the same faces without one. The known shares stay in the loss, and keep the mask
   where the face is.
4. `fit_importance`: the importance head learns what looking at each part of a face is worth to the
   tuned network: how much its embedding changes when that part alone is hidden, and how near that
   part alone brings it. Everything else stays as it is, and so does every code.

Axes: N = faces of a bank, B = batch, G = 14 cells per side of the mask.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from tqdm import tqdm

from daah.models.ddah import DemoDDAH
from daah.models.spatial_network import StageSpatialNetwork
from daah.models.trunk import SHAPES
from daah.training.losses import distillation_loss, face_spatial_loss
from daah.training.recipes.bank import Bank
from daah.training.steps import Stage, StageRun, relative_groups

#: Value of a masked-out similarity before a softmax.
_NEVER = -1e4

#: Faces per call of a network where nothing is learned.
_BATCH = 64

#: Parts per side that a face is divided into where importance is measured.
_PARTS = 7

#: Quantile of a face's cells whose importance counts as 1. Faces have their best cells in different
#: places: what is learned of importances relative to the very best would be far from 1 everywhere.
_BEST = 0.975


@dataclass(frozen=True)
class AttentionSettings:
    """How attention is trained.

    Attributes:
        mask_steps: steps of the spatial network.
        mask_batch: its batch size.
        lr_mask: its learning rate.
        lr_encoder: that of its encoder, relative as `lr`.
        colour: standard deviation of changes of the copy's colours.
        covered: added weight of covered cells of the face.
        sharp_low: shares of a cell below count as 0.
        sharp_high: shares of a cell above count as 1.
        context: how far gates stay open where no part of an aligned face ever is.
        tune_steps: steps of the trunk.
        tune_batch: its batch size.
        clean: share of a batch without a cover.
        lr: relative learning rate of the trunk (`steps.relative_groups`).
        lr_channel: learning rate of channel attention.
        kl: weight of the KL term of `embedding_loss`.
        sharpness: factor of the cosines in it.
        refine_steps: steps of the spatial network at the end.
        lr_refine: relative learning rate there.
        margin: margin of the face spatial loss.
        importance_faces: faces on which importance is measured, half of them covered; one takes
            0.2 s.
        importance_steps: steps of the importance head.
        lr_importance: its learning rate; that of the map that all faces share is ten times as high.
        attention: whether there is a mask; without one the network is the control.
        channel_attention: whether channel attention is trained, or stays the identity.
        fused_stages: whether the third stage joins the fusing layer, or stays out.
    """

    mask_steps: int = 2000
    mask_batch: int = 48
    lr_mask: float = 2e-3
    lr_encoder: float = 4e-3
    colour: float = 0.2
    covered: float = 2.0
    sharp_low: float = 0.45
    sharp_high: float = 1.0
    context: float = 1.0
    tune_steps: int = 3000
    tune_batch: int = 64
    clean: float = 0.45
    lr: float = 2e-3
    lr_channel: float = 1e-3
    kl: float = 0.5
    sharpness: float = 25.0
    refine_steps: int = 150
    lr_refine: float = 5e-4
    margin: float = 0.0
    importance_faces: int = 1000
    importance_steps: int = 800
    lr_importance: float = 3e-3
    attention: bool = True
    channel_attention: bool = True
    fused_stages: bool = True


def fit_mask(
    spatial: StageSpatialNetwork,
    bank: Bank,
    settings: AttentionSettings,
    seed: int = 0,
    state: Path | None = None,
) -> list[dict[str, float]]:
    """Train the spatial network on known shares; it is left in eval mode, as its EMA.

    Args:
        spatial: starts as `DemoDDAH.transfer` leaves it.
        bank: covered training faces.
        settings: how.
        seed: seed of batches and colours.
        state: file to resume from.

    Returns:
        The log.
    """
    inside = set(map(id, spatial.encoder.parameters()))
    groups = relative_groups(spatial.encoder.parameters(), settings.lr_encoder)
    rest = [p for p in spatial.parameters() if id(p) not in inside]
    groups.append({"params": rest, "lr": settings.lr_mask})
    spatial.to(memory_format=torch.channels_last).train()
    stage = Stage("spatial network", settings.mask_steps, seed, state)
    run = StageRun(stage, spatial, groups, weight_decay=1e-3)
    for rng in run:
        indices = rng.integers(0, len(bank), settings.mask_batch)
        first, copy = bank.inputs(indices)
        tint = rng.standard_normal((len(copy), 3, 1, 1), np.float32)
        # Most faces keep their colours: a cover often differs from the face by them alone.
        tint *= rng.random((len(copy), 1, 1, 1)) < 0.3
        logits = spatial(first, copy + settings.colour * torch.from_numpy(tint))
        run.update(mask_loss(logits, bank, indices, settings))
    return run.log


def mask_loss(
    logits: Tensor, bank: Bank, indices: np.ndarray, settings: AttentionSettings
) -> Tensor:
    """Cross-entropy of masks to the known shares.

    Covered cells of the face count for more than the rest: they are few, and what a mask is for.

    Args:
        logits: (B, 1, G, G) of the masks.
        bank: covered training faces.
        indices: (B,) of them.
        settings: weights and edges.

    Returns:
        Scalar.
    """
    low, high = settings.sharp_low, settings.sharp_high
    goal = ((bank.shares(indices) - low) / (high - low)).clamp(0, 1)
    cover = torch.from_numpy(bank.cover[indices]).float()[:, None]
    weight = 1 + settings.covered * cover * bank.usual_face()
    return F.binary_cross_entropy_with_logits(logits, goal, weight)


@torch.no_grad()
def bank_masks(network: DemoDDAH, bank: Bank) -> Tensor:
    """The masks of all faces of a bank, each of one view and without importance.

    Args:
        network: its spatial network is used.
        bank: covered training faces.

    Returns:
        (N, 1, G, G) in [0, 1].
    """
    network.spatial.eval()
    parts = []
    for start in range(0, len(bank), _BATCH):
        indices = np.arange(start, min(start + _BATCH, len(bank)))
        parts.append(network.mask_of(network.spatial(*bank.inputs(indices)).sigmoid()))
    return torch.cat(parts)


@torch.no_grad()
def set_means(network: DemoDDAH, bank: Bank, settings: AttentionSettings, count: int = 300) -> None:
    """Initialise what gates draw features towards, and the context where faces are not.

    The maps after the first and the last stage start as mean features of faces without a cover,
    alike left and right; those of the stages between, which are added, start as 0.

    Args:
        network: is changed.
        bank: covered training faces.
        settings: the context.
        count: number of faces without a cover.
    """
    clean = np.flatnonzero(bank.clean())[:count]
    x, _ = bank.inputs(clean)
    face = torch.from_numpy(bank.copy[clean].mean(0, dtype=np.float32)).permute(2, 0, 1)[None]
    network.mean_face.copy_((face + face.flip(3)) / 2)
    network.context.copy_(settings.context * (1 - bank.usual_face()))
    for index, (stage, mean) in enumerate(zip(network.trunk.stages, network.means, strict=True)):
        if index:
            x = stage(x)
        if index in (0, len(network.means) - 1):
            features = x.mean(0, keepdim=True)
            mean.copy_((features + features.flip(3)) / 2)
        else:
            mean.zero_()


def embedding_loss(
    embedding: Tensor, target: Tensor, centre: Tensor, settings: AttentionSettings
) -> Tensor:
    """1 - cosine similarity to the clean face, and KL divergence of the ranking within the batch.

    Args:
        embedding: (B, 256) of the covered faces.
        target: (B, 256), embeddings of the clean faces by the untouched trunk.
        centre: (256,), mean of the training people's embeddings of length 1.
        settings: weight and sharpness.

    Returns:
        Scalar.
    """
    embedding, target = F.normalize(embedding, dim=1), F.normalize(target, dim=1)
    loss = distillation_loss(embedding, target, centre)
    ours, theirs = F.normalize(embedding - centre, dim=1), F.normalize(target - centre, dim=1)
    own = torch.eye(len(target), dtype=torch.bool)
    goal = F.softmax((settings.sharpness * theirs @ theirs.T).masked_fill(own, _NEVER), 1)
    said = F.log_softmax((settings.sharpness * ours @ theirs.T).masked_fill(own, _NEVER), 1)
    return loss + settings.kl * F.kl_div(said, goal, reduction="batchmean")


def tune(
    network: DemoDDAH,
    bank: Bank,
    centre: Tensor,
    settings: AttentionSettings,
    masks: Tensor | None,
    seed: int = 0,
    state: Path | None = None,
) -> list[dict[str, float]]:
    """Train the later stages, channel attention and fusing on covered faces.

    The first gate and the unit after it stay as they are too: that unit is by far the most
    expensive, and its output is computed once.

    Args:
        network: starts as `DemoDDAH.transfer` and `set_means` leave it; is left as its EMA.
        bank: covered training faces.
        centre: as of `embedding_loss`.
        settings: how.
        masks: (N, 1, G, G) of the bank's faces; None trains the control without any mask.
        seed: seed of the batches.
        state: file to resume from.

    Returns:
        The log.
    """
    entered = _entered(network, bank, masks)
    groups = _tuned(network, settings, masks is not None)
    network.requires_grad_(False)
    for group in groups:
        for parameter in group["params"]:
            parameter.requires_grad_(True)
    network.to(memory_format=torch.channels_last)
    hook = None
    if not settings.fused_stages:
        hook = network.fuse.weight.register_hook(_without_third)
    run = StageRun(Stage("trunk", settings.tune_steps, seed, state), network, groups)
    clean, covered = np.flatnonzero(bank.clean()), np.flatnonzero(~bank.clean())
    count = round(settings.clean * settings.tune_batch)
    for rng in run:
        drawn = rng.choice(clean, count), rng.choice(covered, settings.tune_batch - count)
        indices = np.concatenate(drawn)
        x = torch.from_numpy(entered[indices]).float().contiguous(memory_format=torch.channels_last)
        mask = None if masks is None else masks[torch.from_numpy(indices)]
        target = torch.from_numpy(bank.target[indices])
        run.update(embedding_loss(network.leave(x, mask), target, centre, settings))
    if hook is not None:
        hook.remove()
    network.requires_grad_(True)
    return run.log


def _tuned(network: DemoDDAH, settings: AttentionSettings, masked: bool) -> list[dict[str, Any]]:
    """The AdamW groups of `tune`."""
    units = [unit for stage in network.trunk.stages[1:] for unit in stage][1:]
    groups = relative_groups(
        [p for part in (*units, network.fuse) for p in part.parameters()], settings.lr
    )
    if settings.channel_attention:
        channel = [*network.attention3.parameters(), *network.attention4.parameters()]
        groups.append({"params": channel, "lr": settings.lr_channel})
    if masked:
        groups += relative_groups([network.means[3]], settings.lr)
        # These start as 0, and features are near 1.
        groups.append({"params": [network.means[1], network.means[2]], "lr": settings.lr / 2})
    return groups


def _without_third(gradient: Tensor) -> Tensor:
    """The gradient of the fusing layer's weight, 0 where it reads the third stage."""
    kept = gradient.clone()
    kept[:, : SHAPES[2][0]] = 0
    return kept


@torch.no_grad()
def _entered(network: DemoDDAH, bank: Bank, masks: Tensor | None) -> np.ndarray:
    """What `DemoDDAH.leave` gets of all faces of a bank: (N, 32, 14, 14) float16."""
    parts = []
    for start in range(0, len(bank), _BATCH):
        indices = np.arange(start, min(start + _BATCH, len(bank)))
        mask = None if masks is None else masks[start : start + _BATCH]
        parts.append(network.enter(bank.inputs(indices)[0], mask).numpy().astype(np.float16))
    return np.concatenate(parts)


def refine_mask(
    network: DemoDDAH,
    bank: Bank,
    centre: Tensor,
    settings: AttentionSettings,
    seed: int = 0,
    state: Path | None = None,
) -> list[dict[str, float]]:
    """Train the spatial network by the face spatial loss and known shares, and nothing else.

    Args:
        network: as `tune` left it.
        bank: covered training faces.
        centre: as of `embedding_loss`.
        settings: how.
        seed: seed of the batches.
        state: file to resume from.

    Returns:
        The log.
    """
    network.requires_grad_(False)
    network.spatial.requires_grad_(True)
    network.to(memory_format=torch.channels_last)
    network.spatial.train()
    groups = relative_groups(network.spatial.parameters(), settings.lr_refine)
    covered = np.flatnonzero(~bank.clean())
    run = StageRun(
        Stage("face spatial loss", settings.refine_steps, seed, state), network.spatial, groups
    )
    for rng in run:
        indices = rng.choice(covered, settings.mask_batch)
        run.update(face_spatial_step(network, bank, indices, centre, settings))
    network.requires_grad_(True)
    return run.log


def face_spatial_step(
    network: DemoDDAH,
    bank: Bank,
    indices: np.ndarray,
    centre: Tensor,
    settings: AttentionSettings,
) -> Tensor:
    """The spatial network's loss on covered faces, for its own parameters alone.

    Args:
        network: its hash network's parameters should not require gradients.
        bank: covered training faces.
        indices: (B,) of them.
        centre: as of `embedding_loss`.
        settings: margin, weight and sharpness.

    Returns:
        Scalar: the paper's hinge plus the cross-entropy of the known shares.
    """
    first, copy = bank.inputs(indices)
    logits = network.spatial(first, copy)
    target = torch.from_numpy(bank.target[indices])
    mask = network.mask_of(logits.sigmoid())
    masked = embedding_loss(network.embed(first, mask), target, centre, settings)
    with torch.no_grad():
        unmasked = embedding_loss(network.embed(first, None), target, centre, settings)
    known = mask_loss(logits, bank, indices, settings)
    return face_spatial_loss(masked, unmasked, settings.margin) + known


def fit_importance(
    network: DemoDDAH,
    bank: Bank,
    settings: AttentionSettings,
    seed: int = 0,
    state: Path | None = None,
) -> list[dict[str, float]]:
    """Train the importance head on what looking is worth, and nothing else.

    Args:
        network: as `refine_mask` left it.
        bank: covered training faces.
        settings: how.
        seed: seed of the faces and the batches.
        state: file to resume from.

    Returns:
        The log.
    """
    head = network.importance.train()
    groups = [
        {"params": list(head.own.parameters()), "lr": settings.lr_importance},
        {"params": [head.usual], "lr": 10 * settings.lr_importance},
    ]
    run = StageRun(Stage("importance", settings.importance_steps, seed, state), head, groups)
    measured: tuple[Tensor, Tensor] | None = None
    for rng in run:
        if measured is None:  # a finished stage measures nothing
            measured = _importances(network, bank, settings.importance_faces, seed)
        features, importance = measured
        rows = torch.from_numpy(rng.integers(0, len(features), settings.mask_batch))
        logits = head(features[rows])
        run.update(F.binary_cross_entropy_with_logits(logits, importance[rows]))
    return run.log


@torch.no_grad()
def _importances(network: DemoDDAH, bank: Bank, count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Features (F, 48, 14, 14) and importances (F, 1, 14, 14) of F <= `count` faces."""
    rng = np.random.default_rng(seed)
    clean = rng.permutation(np.flatnonzero(bank.clean()))[: count // 2]
    covered = rng.permutation(np.flatnonzero(~bank.clean()))[: count - count // 2]
    chosen = np.concatenate([clean, covered])
    network.eval().to(memory_format=torch.channels_last)
    parts = []
    for start in tqdm(range(0, len(chosen), _BATCH), desc="hidden parts"):
        first, copy = bank.inputs(chosen[start : start + _BATCH])
        features = network.spatial.features(first, copy)
        mask = network.mask_of(network.spatial.score(features).sigmoid())
        parts.append((features, looking_pays(network, first, mask)))
    features, importance = (torch.cat(part) for part in zip(*parts, strict=True))
    return features, importance


@torch.no_grad()
def looking_pays(network: DemoDDAH, first: Tensor, mask: Tensor) -> Tensor:
    """What looking at each part of a face is worth to the network, relative to its best parts.

    As the face spatial loss does, it compares embeddings of one face behind two masks. Two pairs
    are compared of each part, by their cosine similarities to the embedding of the whole face
    behind its own mask: the whole face and the face without that part (what hiding it costs), and
    that part alone and nothing at all (what showing it gains). Hidden is a part whose features are
    the mean ones and whose gates are closed, so that hair and outline, where the context keeps
    gates open, are measured as well. Both are shares of their sum over the face, and are added.

    Args:
        network: in eval mode.
        first: (B, 32, 28, 28), the trunk's first stage.
        mask: (B, 1, 14, 14) in [0, 1].

    Returns:
        (B, 1, 14, 14) in [0, 1], measured on 7 x 7 parts.
    """
    mean = network.means[0].expand_as(first)
    whole = F.normalize(network.embed(first, mask), dim=1)

    def similarity(features: Tensor, given: Tensor) -> Tensor:
        return F.cosine_similarity(network.embed(features, given), whole, dim=1)

    nothing = similarity(mean, torch.zeros_like(mask))
    cost, gain = (first.new_empty(len(first), 1, _PARTS, _PARTS) for _ in range(2))
    for row in range(_PARTS):
        for column in range(_PARTS):
            part = first.new_zeros(1, 1, _PARTS, _PARTS)
            part[..., row, column] = 1
            cells = F.interpolate(part, mask.shape[2:])
            own = F.interpolate(part, first.shape[2:])
            without = similarity(torch.lerp(first, mean, own), mask * (1 - cells))
            alone = similarity(torch.lerp(mean, first, own), mask * cells)
            cost[..., row, column] = (1 - without).clamp(min=0)[:, None]
            gain[..., row, column] = (alone - nothing).clamp(min=0)[:, None]
    total = sum(part / part.sum((2, 3), keepdim=True).clamp(min=1e-6) for part in (cost, gain))
    worth = F.interpolate(total, mask.shape[2:], mode="bilinear", align_corners=False)
    best = worth.flatten(1).quantile(_BEST, 1).view(-1, 1, 1, 1)
    return (worth / best.clamp(min=1e-6)).clamp(max=1)
