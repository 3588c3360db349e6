"""Each group of parameters gets the gradient of its own loss, and nothing else."""

import numpy as np
import pytest
import torch

from daah.data.face_set import FaceSet
from daah.models.trunk import EMBEDDING, DlibTrunk
from daah.training.losses import branch_loss
from daah.training.recipes.demo import DemoRecipe, DemoSettings, blurred, cut
from daah.training.recipes.paper import PaperRecipe, PaperSettings
from daah.training.recipes.synthetic_people import SyntheticPeople
from daah.training.teacher import embed_trunk


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


@pytest.fixture(scope="module")
def demo_parts() -> tuple[FaceSet, np.ndarray, DlibTrunk, torch.Tensor]:
    torch.manual_seed(0)
    teacher = np.random.default_rng(0).standard_normal((12, EMBEDDING)).astype(np.float32)
    return random_faces(4, 3, 150), teacher, DlibTrunk(), torch.randn(EMBEDDING, 256) / 16


def demo_recipe(parts, **settings) -> DemoRecipe:
    faces, teacher, trunk, linear = parts
    values = {"batch": 8, "spatial_batch": 8, "hash_people": 8} | settings
    recipe = DemoRecipe(
        faces, faces, teacher, trunk, linear, DemoSettings(**values), torch.device("cpu"), seed=0
    )
    recipe.model.train()
    return recipe


BATCH = np.arange(8)


def clear(recipe: DemoRecipe) -> None:
    recipe.model.zero_grad(set_to_none=True)


def norm(parameters) -> float:
    return sum(float(p.grad.norm()) for p in parameters if p.grad is not None)


def test_plain_branch_and_hinges_take_turns(demo_parts) -> None:
    recipe = demo_recipe(demo_parts)
    kinds = []
    for _ in range(8):
        clear(recipe)
        losses = recipe.gradients(BATCH, progress=0.5)
        assert norm(recipe.model.hashing.parameters()) > 0
        kinds.append(
            (norm(recipe.model.spatial.parameters()) > 0, set(losses) - {"attended", "mask_spread"})
        )
    unmasked, idle = (False, {"plain"}), (False, set())
    spatial, hidden = (True, {"spatial"}), (True, {"hidden"})
    assert kinds == [unmasked, idle, spatial, idle, unmasked, idle, hidden, idle]


def test_the_hinges_never_touch_the_hash_network(demo_parts) -> None:
    """Its gradient on a step with a hinge is that of the attended branch alone."""
    with_hinge, without = demo_recipe(demo_parts), demo_recipe(demo_parts)
    with_hinge.step, without.step = 2, 1
    for recipe in (with_hinge, without):
        recipe.gradients(BATCH, progress=1.0)
    for name, parameter in with_hinge.model.hashing.named_parameters():
        other = without.model.hashing.get_parameter(name).grad
        assert parameter.requires_grad
        if other is None:
            assert parameter.grad is None, name  # the hash layer, fitted apart
        else:
            torch.testing.assert_close(parameter.grad, other, atol=1e-4, rtol=1e-2)


def test_idle_hinges_leave_the_spatial_network_alone(demo_parts) -> None:
    recipe = demo_recipe(demo_parts, margin=-50.0, margin_complement=-50.0)
    for recipe.step in (2, 6):  # those of the two hinges
        assert {"spatial", "hidden"} & set(recipe.gradients(BATCH, progress=1.0))
    assert norm(recipe.model.spatial.parameters()) == 0


def test_a_pretrained_trunk_meets_the_plain_image_first(demo_parts) -> None:
    first = demo_recipe(demo_parts)
    losses = first.gradients(BATCH, progress=0.0)
    assert losses["attended"] == pytest.approx(losses["plain"], abs=1e-5)
    later = demo_recipe(demo_parts, unmasked_until=2.0)
    losses = later.gradients(BATCH, progress=1.0)
    assert losses["attended"] != pytest.approx(losses["plain"], abs=1e-5)


def test_the_last_epochs_learn_from_attended_faces_alone(demo_parts) -> None:
    recipe = demo_recipe(demo_parts, unmasked_until=0.5)
    assert "plain" in recipe.gradients(BATCH, progress=0.4)
    recipe.step = 0
    losses = recipe.gradients(BATCH, progress=0.6)
    assert "attended" in losses
    assert "plain" not in losses


def test_the_networks_start_as_the_teacher(demo_parts) -> None:
    """Before any training, the embedding of a plain face is what trunk and linear layer say."""
    faces, _, trunk, linear = demo_parts
    recipe = demo_recipe(demo_parts)
    pixels = torch.from_numpy(faces.images[:4]).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        hashing = recipe.model.hashing
        got = hashing.fuse(hashing.features(recipe.model.normalise(pixels)))
        torch.testing.assert_close(got, embed_trunk(trunk, linear, pixels), atol=1e-4, rtol=1e-3)


def test_fitting_the_hash_layer_keeps_people_together_and_touches_nothing_else(demo_parts) -> None:
    faces, _, trunk, linear = demo_parts
    rng = np.random.default_rng(0)
    people = rng.standard_normal((len(faces.people), EMBEDDING))
    near = 3.0 + people[faces.labels] + 0.3 * rng.standard_normal((len(faces), EMBEDDING))
    parts = (faces, near.astype(np.float32), trunk, linear)
    recipe = demo_recipe(parts, hash_starts=2, hash_steps=60)
    others = {k: v.clone() for k, v in recipe.model.state_dict().items()}
    recipe.fit_hash_layer()
    for key, value in recipe.model.state_dict().items():
        changed = key.startswith(("hashing.hash.", "hashing.embedding_"))
        assert torch.equal(value, others[key]) is not changed, key
    network = recipe.model.hashing
    bits = network.hash(network.standardise(recipe.teacher)) > 0
    distance = (bits[:, None] != bits[None]).float().mean(-1)
    same = torch.from_numpy(faces.labels[:, None] == faces.labels[None])
    assert distance[same].max() < distance[~same].min()


def test_of_several_hash_layers_the_best_on_validation_people_stays(demo_parts) -> None:
    recipe = demo_recipe(demo_parts, hash_starts=4, hash_steps=2, hash_people=8)
    drawn, scores = [], iter([0.1, 0.4, 0.9, 0.2])

    def figures(logits: np.ndarray) -> dict[str, float]:
        assert logits.shape == (len(recipe.validation), recipe.settings.bits)
        drawn.append(recipe.model.hashing.hash.weight.detach().clone())
        return {"map_64": next(scores)}

    recipe._figures = figures
    recipe.fit_hash_layer()
    assert torch.equal(recipe.model.hashing.hash.weight, drawn[2])
    assert not torch.equal(drawn[2], drawn[3])


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


def test_a_cut_shows_the_share_asked_for_and_the_most_attended_pixels() -> None:
    mask = torch.rand(2, 1, 50, 50)
    shown = cut(mask, torch.tensor([0.2, 0.7]), edge=1e-4)
    assert shown.mean((1, 2, 3)).tolist() == pytest.approx([0.2, 0.7], abs=0.01)
    for face, gate in zip(mask, shown, strict=True):
        assert face[gate > 0.5].min() >= face[gate < 0.5].max()


def test_a_blurred_face_keeps_its_light_and_none_of_its_features() -> None:
    x = torch.rand(1, 3, 150, 150) + torch.linspace(0, 5, 150)
    soft = blurred(x)
    assert soft.mean().item() == pytest.approx(x.mean().item(), abs=0.01)
    assert (x - soft).std() > 0.2
    assert soft.diff(dim=3).abs().max() < 0.1


def test_made_up_people_have_real_means_and_deviations_of_full_size() -> None:
    torch.manual_seed(0)
    people, each, spread = 200, 3, 0.5
    means = 5 * torch.randn(people, 4)
    labels = torch.arange(people).repeat_interleave(each)
    embeddings = means[labels] + spread * torch.randn(people * each, 4)
    source = SyntheticPeople(embeddings, labels)
    first, second = source.pairs(20_000).chunk(2)
    assert (first - second).std().item() == pytest.approx(spread * 2**0.5, rel=0.03)
    assert first.std().item() == pytest.approx(means.std().item(), rel=0.1)
    with pytest.raises(ValueError, match="two images"):
        SyntheticPeople(torch.zeros(3, 4), torch.arange(3))


def test_the_state_round_trip_repeats_the_next_step(demo_parts) -> None:
    recipe, other = demo_recipe(demo_parts), demo_recipe(demo_parts)
    recipe.gradients(BATCH, progress=1.0)
    other.model.load_state_dict(recipe.model.state_dict())
    other.load_state_dict(recipe.state_dict())
    expected = recipe.gradients(BATCH, progress=1.0)
    assert other.gradients(BATCH, progress=1.0) == pytest.approx(expected)
    assert other.step == 2
