"""Each group of parameters gets the gradient of its own loss, and nothing else."""

import numpy as np
import pytest
import torch

from daah.data.face_set import FaceSet
from daah.training.losses import branch_loss
from daah.training.recipes.paper import PaperRecipe, PaperSettings


def random_faces(people: int, each: int, size: int) -> FaceSet:
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(people), each)
    base = rng.integers(0, 256, (people, size, size, 3))[labels]
    images = np.clip(base + rng.integers(-20, 20, base.shape), 0, 255).astype(np.uint8)
    names = tuple(f"root/p{label}/{i}.png" for i, label in enumerate(labels))
    return FaceSet(images, labels, tuple(f"p{i}" for i in range(people)), names)


def paper_recipe(**settings) -> PaperRecipe:
    faces = random_faces(4, 6, 32)
    recipe = PaperRecipe(
        faces, faces, PaperSettings(bits=12, **settings), torch.device("cpu"), seed=0
    )
    recipe.model.train()
    return recipe


INDICES = np.arange(24)


def reference_gradients(recipe: PaperRecipe) -> tuple[dict, dict]:
    """The two losses written out plainly, each differentiated by its own parameters alone."""
    model, labels = recipe.model, torch.from_numpy(recipe.database.labels)
    x = model.normalise(torch.from_numpy(recipe.database.images).permute(0, 3, 1, 2).float())

    def branch(images: torch.Tensor) -> torch.Tensor:
        logits = model.hashing(images)
        return branch_loss(logits, model.classify(logits), labels)

    masked, unmasked = branch(x * model.mask(x)), branch(x)
    spatial = dict(model.spatial.named_parameters())
    hashing = {k: v for k, v in model.named_parameters() if not k.startswith("spatial.")}
    hinge = torch.relu(recipe.settings.margin + masked - unmasked)
    theirs = torch.autograd.grad(hinge, list(spatial.values()), retain_graph=True)
    ours = torch.autograd.grad(masked + unmasked, list(hashing.values()))
    return dict(zip(spatial, theirs, strict=True)), dict(zip(hashing, ours, strict=True))


def test_both_gradients_are_those_of_the_two_losses_at_one_moment() -> None:
    recipe = paper_recipe(margin=5.0)  # large: the hinge is certainly active
    before = [p.detach().clone() for p in recipe.model.parameters()]
    spatial, hashing = reference_gradients(recipe)
    losses = recipe.gradients(INDICES, 0.0)
    for name, gradient in spatial.items():
        got = recipe.model.spatial.get_parameter(name).grad
        torch.testing.assert_close(got, gradient, atol=1e-5, rtol=1e-3)
    for name, gradient in hashing.items():
        torch.testing.assert_close(
            recipe.model.get_parameter(name).grad, gradient, atol=1e-5, rtol=1e-3
        )
    # Nothing was stepped between the two: gradients belong to the same weights.
    for old, new in zip(before, recipe.model.parameters(), strict=True):
        assert torch.equal(old, new)
    assert losses["spatial"] == pytest.approx(5.0 + losses["attended"] - losses["plain"], rel=1e-4)


def test_an_idle_hinge_leaves_the_spatial_network_alone() -> None:
    recipe = paper_recipe(margin=-100.0)
    assert recipe.gradients(INDICES, 0.0)["spatial"] == 0
    assert not any(p.grad.any() for p in recipe.model.spatial.parameters())
    assert recipe.model.hashing.hash[0].weight.grad.any()


def test_the_ablation_switches_do_what_they_say() -> None:
    without = paper_recipe(spatial_attention=False)
    losses = without.gradients(INDICES, 0.0)
    assert losses["attended"] == pytest.approx(losses["plain"])
    assert all(p.grad is None for p in without.model.spatial.parameters())
    free = paper_recipe(spatial_loss=False, margin=-100.0)
    free.gradients(INDICES, 0.0)
    assert any(p.grad.any() for p in free.model.spatial.parameters())


def test_the_state_round_trip_repeats_the_next_step() -> None:
    recipe, other = (paper_recipe(augment=1.0) for _ in range(2))
    first = recipe.gradients(INDICES, 0.0)
    other.model.load_state_dict(recipe.model.state_dict())
    other.load_state_dict(recipe.state_dict())
    expected = recipe.gradients(INDICES, 0.0)
    assert other.gradients(INDICES, 0.0) == pytest.approx(expected)
    assert expected["attended"] != pytest.approx(first["attended"])
