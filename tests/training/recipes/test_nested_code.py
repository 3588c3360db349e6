"""The nested code: blocks that do not repeat one another, and prefixes that tell people apart."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from daah.errors import DataError
from daah.metrics.leave_one_out import leave_one_out
from daah.training.recipes.nested_code import (
    BLOCKS,
    LENGTHS,
    Block,
    NestedCodeSettings,
    construct,
    few_of_each,
    itq_rotation,
    people_means,
)

#: 32 bits of 32 dimensions, for what does not depend on how many there are.
SMALL = NestedCodeSettings(blocks=(Block(8, 12), Block(8, 24), Block(16, 32, fresh=True)))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def people(
    count: int, seed: int, each: int = 4, dimensions: int = 32, noise: float = 0.25
) -> tuple[Tensor, Tensor]:
    """Embeddings (N, D) of length 1 with a common mean, `each` per person."""
    generator = seeded(seed)
    means = 1 + torch.randn(count, dimensions, generator=generator) * torch.linspace(
        1.5, 0.5, dimensions
    )
    deviations = noise * torch.randn(count * each, dimensions, generator=generator)
    labels = torch.arange(count).repeat_interleave(each)
    return F.normalize(means[labels] + deviations, dim=1), labels


def within_class(x: Tensor, labels: Tensor, shrinkage: float = 0.1) -> np.ndarray:
    """Covariance of embeddings around their person's mean, plus a share of its mean eigenvalue."""
    rows, owners = x.double().numpy(), labels.numpy()
    own = np.stack([rows[owners == label].mean(0) for label in range(owners.max() + 1)])
    scattered = rows - own[owners]
    covariance = scattered.T @ scattered / (len(rows) - len(own))
    return covariance + shrinkage * np.trace(covariance) / len(covariance) * np.eye(len(covariance))


def figures(layer: nn.Linear, x: Tensor, labels: Tensor, lengths: tuple[int, ...]) -> list[float]:
    with torch.no_grad():
        logits = layer(x).numpy()
    return [leave_one_out(logits, labels.numpy(), bits).map for bits in lengths]


def test_itq_finds_a_rotation_that_is_nearer_to_its_signs() -> None:
    x, _ = people(100, 0)
    x = (x - x.mean(0)).double()

    def loss(rotation: Tensor) -> float:
        y = x @ rotation / x.std()
        return float((y.sign() - y).square().mean())

    start, rotation = itq_rotation(x, 0, seeded()), itq_rotation(x, 30, seeded())
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(32, dtype=torch.float64))
    assert loss(rotation) < loss(start)


def test_all_bits_and_their_prefixes() -> None:
    assert sum(block.bits for block in BLOCKS) == max(LENGTHS) == 256
    assert list(LENGTHS) == sorted(LENGTHS)
    ends = np.cumsum([block.bits for block in BLOCKS])
    assert set(ends) <= set(LENGTHS)
    x, labels = people(300, 0, each=3, dimensions=256)
    layer = construct(x, labels, NestedCodeSettings(), seeded())
    assert (layer.in_features, layer.out_features) == (256, 256)
    assert layer.weight.dtype == layer.bias.dtype == torch.float32
    means, _ = people_means(x, labels)
    with torch.no_grad():
        logits = layer(means)
    assert logits.mean(0).abs().max() < 1e-3  # balanced over people, however many photos each has
    assert 0.5 < logits.std() < 2


def test_blocks_are_orthogonal_in_the_whitened_space_but_for_the_last() -> None:
    x, labels = people(300, 1, each=3, dimensions=256)
    layer = construct(x, labels, NestedCodeSettings(), seeded())
    values, vectors = np.linalg.eigh(within_class(x, labels))
    unwhiten = vectors @ np.diag(values**0.25) @ vectors.T
    rows = layer.weight.detach().double().numpy() @ unwhiten
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    products = rows @ rows.T
    np.testing.assert_allclose(products[:128, :128], np.eye(128), atol=1e-3)
    np.testing.assert_allclose(products[128:, 128:], np.eye(128), atol=1e-3)
    assert np.abs(products[:128, 128:]).max() > 0.1


def test_without_a_power_nothing_is_whitened() -> None:
    x, labels = people(200, 1)
    settings = NestedCodeSettings(blocks=SMALL.blocks, power=0.0)
    layer = construct(x, labels, settings, seeded())
    rows = F.normalize(layer.weight.detach(), dim=1)
    torch.testing.assert_close(rows[:16] @ rows[:16].T, torch.eye(16), atol=1e-4, rtol=0)
    assert (rows[:16] @ rows[16:].T).abs().max() > 0.1


def test_every_prefix_finds_people_never_seen() -> None:
    layer = construct(*people(300, 2), SMALL, seeded())
    found = figures(layer, *people(60, 3), (8, 16, 32))
    assert found[0] > 0.15  # chance is 0.01
    assert found == sorted(found)
    assert found[2] > 0.6


def test_whitening_helps_where_photos_of_a_person_differ_most() -> None:
    """Photos that differ in ways that say nothing of the person, light for example."""

    def lit(seed: int) -> tuple[Tensor, Tensor]:
        x, labels = people(200, seed)
        light = torch.randn(len(x), 4, generator=seeded(seed + 100))
        return F.normalize(x + 0.6 * F.pad(light, (0, 28)), dim=1), labels

    plain = NestedCodeSettings(blocks=SMALL.blocks, power=0.0)
    whitened = figures(construct(*lit(4), SMALL, seeded()), *lit(5), (8, 16, 32))
    unwhitened = figures(construct(*lit(4), plain, seeded()), *lit(5), (8, 16, 32))
    assert all(a > b for a, b in zip(whitened, unwhitened, strict=True))


def test_a_seed_repeats_the_layer() -> None:
    x, labels = people(80, 4)
    first, second, other = (construct(x, labels, SMALL, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(first.weight, second.weight)
    assert torch.equal(first.bias, second.bias)
    assert not torch.equal(first.weight, other.weight)


def test_fewer_people_than_directions_are_enough() -> None:
    x, labels = people(12, 5, each=2, dimensions=256)
    layer = construct(x, labels, NestedCodeSettings(), seeded())
    assert layer.out_features == 256
    assert layer.weight.isfinite().all()
    assert layer.bias.isfinite().all()
    assert figures(layer, x, labels, (256,))[0] > 0.9


def test_one_photo_of_everybody_is_a_named_error() -> None:
    x, labels = people(20, 6, each=1)
    with pytest.raises(DataError, match="nobody has two photos"):
        construct(x, labels, SMALL, seeded())
    again = torch.cat([x, x[:1] + 0.1]), torch.cat([labels, labels[:1]])
    assert construct(*again, SMALL, seeded()).weight.isfinite().all()


def test_a_person_with_many_photos_counts_as_others_do() -> None:
    """Hundreds of photos of one person hardly move the layer, because few of them are drawn."""
    x, labels = people(100, 7)
    generator = seeded(8)
    more = F.normalize(x[0] + 0.5 * torch.randn(900, 32, generator=generator), dim=1)
    crowded = torch.cat([x, more]), torch.cat([labels, torch.zeros(900, dtype=torch.int64)])
    few = NestedCodeSettings(blocks=SMALL.blocks, photos=4)
    layer = construct(*crowded, few, seeded())
    found = figures(layer, *people(60, 3), (8, 16, 32))
    assert found[2] > 0.6


def test_few_of_each_person_are_drawn_and_of_nobody_none() -> None:
    labels = torch.tensor([2, 0, 0, 2, 1, 0, 0, 0, 2, 0])
    kept = few_of_each(labels, 2, seeded())
    assert torch.bincount(labels[kept]).tolist() == [2, 1, 2]
    assert kept.tolist() == sorted(set(kept.tolist()))
    assert torch.equal(few_of_each(labels, 2, seeded()), kept)
    drawn = {tuple(few_of_each(labels, 2, seeded(seed)).tolist()) for seed in range(20)}
    assert len(drawn) > 5
    assert len(few_of_each(labels, 100, seeded())) == len(labels)


def test_people_means_are_means_of_their_own_images() -> None:
    embeddings = torch.tensor([[1.0, 0.0], [3.0, 2.0], [5.0, 5.0]])
    means, sizes = people_means(embeddings, torch.tensor([1, 1, 0]))
    assert means.tolist() == [[5.0, 5.0], [2.0, 1.0]]
    assert sizes.tolist() == [1, 2]
