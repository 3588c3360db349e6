"""Each group of parameters gets the gradient of its own loss, and nothing else."""

import numpy as np
import pytest
import torch

from daah.data import FaceSet
from daah.losses import branch_loss
from daah.models.trunk import EMBEDDING, DlibTrunk
from daah.recipes.demo import DemoRecipe, DemoSettings
from daah.recipes.paper import PaperRecipe, PaperSettings


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

    attended, plain = branch(x * model.mask(x)), branch(x)
    spatial = dict(model.spatial.named_parameters())
    hashing = {k: v for k, v in model.named_parameters() if not k.startswith("spatial.")}
    hinge = torch.relu(recipe.settings.margin + attended - plain)
    theirs = torch.autograd.grad(hinge, list(spatial.values()), retain_graph=True)
    ours = torch.autograd.grad(attended + plain, list(hashing.values()))
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


@pytest.fixture(scope="module")
def demo_parts() -> tuple[FaceSet, np.ndarray, DlibTrunk, torch.Tensor]:
    torch.manual_seed(0)
    teacher = np.random.default_rng(0).standard_normal((12, EMBEDDING)).astype(np.float32)
    return random_faces(4, 3, 150), teacher, DlibTrunk(), torch.randn(EMBEDDING, 256) / 16


def demo_recipe(parts, **settings) -> DemoRecipe:
    faces, teacher, trunk, linear = parts
    values = {"pairs": 3, "strangers": 2, "steps": 2, "memory": 20} | settings
    recipe = DemoRecipe(
        faces, faces, teacher, trunk, linear, DemoSettings(**values), torch.device("cpu"), seed=0
    )
    recipe.model.train()
    return recipe


def clear(recipe: DemoRecipe) -> None:
    recipe.model.zero_grad(set_to_none=True)


def norm(parameters) -> float:
    return sum(float(p.grad.norm()) for p in parameters if p.grad is not None)


def test_the_spatial_network_of_the_demo_moves_on_every_other_step(demo_parts) -> None:
    recipe = demo_recipe(demo_parts, margin=50.0, margin_complement=50.0)
    indices = recipe.draw.batch(np.random.default_rng(0))
    kinds = []
    for _ in range(4):
        clear(recipe)
        losses = recipe.gradients(indices, progress=1.0)
        assert norm(recipe.model.hashing.parameters()) > 0
        kinds.append(
            (norm(recipe.model.spatial.parameters()) > 0, set(losses) & {"plain", "hidden"})
        )
    assert kinds == [(True, {"plain"}), (False, set()), (True, {"hidden"}), (False, set())]


def test_the_complement_hinge_never_touches_the_hash_network(demo_parts) -> None:
    recipe = demo_recipe(demo_parts, margin_complement=50.0)
    recipe.step = 2
    indices = recipe.draw.batch(np.random.default_rng(0))
    recipe.gradients(indices, progress=1.0)
    got = {k: v.grad.clone() for k, v in recipe.model.hashing.named_parameters()}
    other = demo_recipe(demo_parts, margin_complement=-50.0)
    other.step = 2
    other.gradients(indices, progress=1.0)
    assert norm(other.model.spatial.parameters()) == 0  # the hinge is idle
    for name, parameter in other.model.hashing.named_parameters():
        torch.testing.assert_close(parameter.grad, got[name], atol=1e-4, rtol=1e-2)
        assert parameter.requires_grad


def test_a_pretrained_trunk_meets_the_plain_image_first(demo_parts) -> None:
    """With keep = 1 the mask changes nothing, so the mask takes no gradient either."""
    recipe = demo_recipe(demo_parts, margin=50.0)
    recipe.gradients(recipe.draw.batch(np.random.default_rng(0)), progress=0.0)
    assert norm(recipe.model.spatial.parameters()) == pytest.approx(0, abs=1e-6)


def test_the_hash_layer_starts_as_hyperplanes_through_the_teachers_embeddings(demo_parts) -> None:
    _faces, teacher, _trunk, linear = demo_parts
    recipe = demo_recipe(demo_parts, head_steps=0)
    recipe.fit_hash_layer(attended=False)
    network = recipe.model.hashing
    assert not network.hash.weight[:, :128].any()
    raw = network.hash.weight[:, 128:] / network.feature_std[128:]
    planes = raw @ torch.linalg.pinv(linear)  # (K, 128)
    planes = planes / planes.norm(dim=1, keepdim=True)
    torch.testing.assert_close(planes @ planes.T, torch.eye(128), atol=1e-3, rtol=0)
    # A face whose embedding is the teacher's mean lies on every plane.
    mean = torch.linalg.pinv(linear) @ torch.from_numpy(teacher).mean(0)
    on_planes = network.code(torch.cat([torch.zeros(128), mean])[None])
    torch.testing.assert_close(on_planes, torch.zeros(1, 128), atol=1e-2, rtol=0)


def test_fitting_the_hash_layer_lowers_its_loss_and_touches_nothing_else(demo_parts) -> None:
    recipe = demo_recipe(demo_parts, head_steps=0)
    recipe.fit_hash_layer(attended=False)
    index = torch.arange(12)
    recipe.model.eval()
    features = recipe._features(mirror=False, attended=False)
    before = recipe._code_loss(features, index)[0].item()
    others = {k: v.clone() for k, v in recipe.model.state_dict().items() if "hashing.hash" not in k}
    fitted = demo_recipe(demo_parts, head_steps=60, head_batch=24)
    fitted.fit_hash_layer(attended=False)
    assert fitted._code_loss(features, index)[0].item() < before
    for key, value in others.items():
        assert torch.equal(fitted.model.state_dict()[key], value), key


def test_fitting_the_spatial_network_leaves_the_hash_network_alone(demo_parts) -> None:
    recipe = demo_recipe(demo_parts, spatial_steps=2)
    hashing = [p.detach().clone() for p in recipe.model.hashing.parameters()]
    spatial = [p.detach().clone() for p in recipe.model.spatial.parameters()]
    recipe.fit_spatial_network()
    for old, new in zip(hashing, recipe.model.hashing.parameters(), strict=True):
        assert torch.equal(old, new)
        assert new.requires_grad
    assert any(
        not torch.equal(old, new)
        for old, new in zip(spatial, recipe.model.spatial.parameters(), strict=True)
    )


def test_memory_is_bounded_and_survives_a_state_round_trip(demo_parts) -> None:
    recipe = demo_recipe(demo_parts)
    rng = np.random.default_rng(0)
    for _ in range(3):
        recipe.gradients(recipe.draw.batch(rng), progress=1.0)
    assert recipe.memory_signs.shape == (20, 128)
    assert recipe.memory_signs.abs().eq(1).all()
    other = demo_recipe(demo_parts)
    other.load_state_dict(recipe.state_dict())
    assert torch.equal(other.memory_signs, recipe.memory_signs)
    assert torch.equal(other.memory_index, recipe.memory_index)
    assert other.step == 3
