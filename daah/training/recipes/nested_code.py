"""A nested (Matryoshka) code: one linear hash layer, every prefix of whose bits is a code as well.

After Kusupati et al., "Matryoshka representation learning" (NeurIPS 2022), for bits. The layer is
constructed, not trained: steps by cross-entropy over identities made codes of unseen people worse.

1. Embeddings are whitened in part: Sw^-1/4 (x - mean), Sw being the within-class covariance. That
   is halfway to linear discriminant analysis, and short codes gain from it.
2. Bits come in blocks. Each is an ITQ rotation (Gong and Lazebnik, CVPR 2011) of principal
   directions of the people's means, orthogonal to all blocks before it; only the last block, of as
   many bits as all others together, starts again from all directions.

Axes: N = images, D = dimensions of an embedding, K = bits, P = people.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from daah.errors import DataError

#: Prefixes that are codes.
LENGTHS = (16, 24, 32, 48, 64, 96, 128, 256)


@dataclass(frozen=True)
class Block:
    """Bits that are constructed together.

    Attributes:
        bits: how many.
        directions: number of leading principal directions that they are taken from.
        fresh: whether they need not be orthogonal to earlier blocks, because what is left of the
            directions would be noise.
    """

    bits: int
    directions: int
    fresh: bool = False


#: 256 bits: prefixes of 32, 64 and 128 are blocks, shorter ones parts of the first.
BLOCKS = (Block(32, 40), Block(32, 80), Block(64, 160), Block(128, 256, fresh=True))


@dataclass(frozen=True)
class NestedCodeSettings:
    """How the code is constructed.

    Attributes:
        photos: maximum number of photos per person, drawn by chance: a few people with hundreds
            would determine the covariance alone.
        blocks: in the order of the bits.
        power: of the within-class covariance.
        shrinkage: added to its diagonal, in parts of its mean eigenvalue.
        rounds: iterations of each ITQ rotation.
    """

    photos: int = 20
    blocks: tuple[Block, ...] = BLOCKS
    power: float = -0.25
    shrinkage: float = 0.1
    rounds: int = 30


def construct(
    embeddings: Tensor, labels: Tensor, settings: NestedCodeSettings, generator: torch.Generator
) -> nn.Linear:
    """Construct the hash layer from embeddings of training people.

    Args:
        embeddings: (N, D) float32, of length 1.
        labels: (N,) int64 from 0 on, the person of each.
        settings: how.
        generator: draws photos and initial rotations.

    Returns:
        A linear layer from D numbers to K logits.

    Raises:
        DataError: no person has two photos.
    """
    kept = few_of_each(labels, settings.photos, generator)
    x, labels = embeddings[kept].double(), labels[kept]
    means, sizes = people_means(x, labels)
    centre = means.mean(0)
    several = sizes[labels] > 1
    if not several.any():
        raise DataError("nobody has two photos: how one person's photos differ cannot be measured")
    deviations = x[several] - means[labels[several]]
    # A person's images scatter around their own mean with n - 1 degrees of freedom.
    freedom = several.sum() - (sizes > 1).sum()
    within = deviations.T @ deviations / freedom
    within += settings.shrinkage * within.trace() / len(within) * torch.eye(len(within))
    values, vectors = torch.linalg.eigh(within)
    whiten = vectors @ torch.diag(values**settings.power) @ vectors.T  # (D, D), symmetric
    z = (means - centre) @ whiten
    _, _, principal = torch.linalg.svd(z)  # (D, D), rows, largest first
    rows: list[Tensor] = []
    for block in settings.blocks:
        basis = principal[: block.directions]
        if rows and not block.fresh:
            taken = torch.cat(rows)
            # What of the span is orthogonal to every row so far, by its own principal directions.
            rest = basis - basis @ taken.T @ taken
            _, kept, rest = torch.linalg.svd(rest, full_matrices=False)
            basis = rest[kept > 0.5]
            _, _, inner = torch.linalg.svd(z @ basis.T)
            basis = inner @ basis
        basis = basis[: block.bits]
        rows.append(itq_rotation(z @ basis.T, settings.rounds, generator).T @ basis)
    weight = torch.cat(rows) @ whiten  # (K, D)
    scale = (z @ torch.cat(rows).T).std()
    layer = nn.Linear(weight.shape[1], len(weight))
    with torch.no_grad():
        layer.weight.copy_(weight / scale)
        layer.bias.copy_(-(weight @ centre) / scale)
    return layer


def few_of_each(labels: Tensor, most: int, generator: torch.Generator) -> Tensor:
    """Draw images of each person.

    Args:
        labels: (N,) int64 in [0, P).
        most: maximum number per person.
        generator: draws them.

    Returns:
        Indices, ascending.
    """
    order = torch.randperm(len(labels), generator=generator)
    people = labels[order]
    by_person = torch.argsort(people, stable=True)
    sizes = torch.bincount(people)
    rank = torch.arange(len(labels)) - (sizes.cumsum(0) - sizes)[people[by_person]]
    return order[by_person[rank < most]].sort().values


def people_means(embeddings: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Mean embedding of each person.

    Args:
        embeddings: (N, D).
        labels: (N,) int64 in [0, P).

    Returns:
        Means (P, D) and numbers of images (P,).
    """
    sizes = torch.bincount(labels)
    means = torch.zeros(len(sizes), embeddings.shape[1], dtype=embeddings.dtype)
    return means.index_add_(0, labels, embeddings) / sizes[:, None], sizes


def itq_rotation(projected: Tensor, rounds: int, generator: torch.Generator) -> Tensor:
    """The rotation that brings projections nearest to their own signs (ITQ).

    Args:
        projected: (P, r).
        rounds: iterations.
        generator: draws the initial rotation.

    Returns:
        (r, r), orthogonal.
    """
    size = projected.shape[1]
    start = torch.randn(size, size, generator=generator, dtype=projected.dtype)
    rotation, _ = torch.linalg.qr(start)
    for _ in range(rounds):
        signs = torch.where(projected @ rotation > 0, 1.0, -1.0).to(projected.dtype)
        u, _, vt = torch.linalg.svd(projected.T @ signs)
        rotation = u @ vt
    return rotation
