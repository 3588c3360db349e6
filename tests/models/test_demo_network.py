"""The demo network is the trunk where its mask is open, and treats a mirror image alike."""

import pytest
import torch
from torch.nn import functional as F

from daah.models.ddah import FULL, VISIBLE, DemoDDAH
from daah.models.layers import area_average
from daah.models.spatial_network import GRID
from daah.models.trunk import MobileFace, embed_both_views


@pytest.fixture(scope="module")
def trunk() -> MobileFace:
    torch.manual_seed(0)
    return MobileFace().eval()


@pytest.fixture
def network(trunk: MobileFace) -> DemoDDAH:
    network = DemoDDAH(bits=48)
    network.transfer(trunk)
    torch.nn.init.normal_(network.spatial.score.weight, std=0.5)
    with torch.no_grad():
        for mean in network.means:
            mean.normal_()
    return network.eval()


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    return torch.randint(
        0, 256, (3, 3, 112, 112), generator=torch.Generator().manual_seed(1)
    ).float()


def test_an_open_mask_leaves_the_trunks_embedding(network, trunk, faces) -> None:
    with torch.inference_mode():
        got = network(faces, torch.ones(3, 1, GRID, GRID))
        embedding, _ = network.embedding(faces, torch.ones_like)
        expected = F.normalize(embed_both_views(trunk, faces), dim=1)
        logits = network.hash(expected)
    torch.testing.assert_close(embedding, expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(got.logits, logits, atol=1e-5, rtol=1e-4)


def test_a_closed_mask_leaves_nothing_of_the_face(network, faces) -> None:
    with torch.inference_mode():
        logits = network(faces, torch.zeros(3, 1, GRID, GRID)).logits
    torch.testing.assert_close(logits[0], logits[1])
    torch.testing.assert_close(logits[0], logits[2])


def test_the_mask_comes_from_the_face_and_gates_what_is_encoded(network, faces) -> None:
    with torch.inference_mode():
        own = network(faces)
        given = network(faces, own.mask)
        hidden = own.mask.clone()
        hidden[..., : GRID // 2] = 0
        other = network(faces, hidden)
    assert tuple(own.mask.shape) == (3, 1, GRID, GRID)
    assert 0 < own.mask.min() < own.mask.max() < 1
    assert (own.mask[0] - own.mask[1]).abs().max() > 1e-3
    torch.testing.assert_close(given.logits, own.logits)
    assert (other.logits - own.logits).abs().max() > 1e-3


def test_the_context_keeps_gates_open_whatever_the_mask_says(trunk, faces) -> None:
    network = DemoDDAH(bits=48).eval()
    network.transfer(trunk)
    with torch.no_grad():
        for mean in network.means:
            mean.normal_()
    network.context[..., : GRID // 2] = 0.75
    gate = network.gate(torch.full((1, 1, GRID, GRID), 0.2 * FULL))
    for half, value in ((gate[..., : GRID // 2], 0.2 + 0.8 * 0.75), (gate[..., GRID // 2 :], 0.2)):
        torch.testing.assert_close(half, torch.full_like(half, value))
    network.context.fill_(1)
    closed, open_ = torch.zeros(3, 1, GRID, GRID), torch.ones(3, 1, GRID, GRID)
    with torch.inference_mode():
        torch.testing.assert_close(network(faces, closed).logits, network(faces, open_).logits)
    torch.testing.assert_close(network.seen(faces, closed), faces)


def test_a_cell_that_is_mostly_face_opens_its_gate(network) -> None:
    for share, gate in ((0.0, 0.0), (FULL / 2, 0.5), (FULL, 1.0), (1.0, 1.0)):
        got = network.gate(torch.full((1, 1, GRID, GRID), share))
        torch.testing.assert_close(got, torch.full_like(got, gate))


def test_the_share_of_the_face_opens_a_gate_whatever_the_importance(network) -> None:
    network.context.zero_()
    shares = torch.linspace(0, 1, GRID * GRID).view(1, 1, GRID, GRID)
    expected = (shares / VISIBLE).clamp(max=1)
    for importance in (None, torch.zeros_like(shares), torch.ones_like(shares)):
        mask = network.mask_of(shares, importance)
        assert mask.min() >= 0
        assert mask.max() <= 1
        torch.testing.assert_close(network.gate(mask), expected)


def test_importance_orders_cells_that_are_open(network) -> None:
    network.context.zero_()
    shares = torch.ones(1, 1, GRID, GRID)
    importance = torch.linspace(0, 1, GRID * GRID).view(1, 1, GRID, GRID)
    torch.testing.assert_close(network.mask_of(shares, importance), FULL + (1 - FULL) * importance)
    # It sets in without a jump, and says nothing of a cell that is half hidden.
    edge = VISIBLE + torch.tensor([-0.2, 0.0, 0.01, 0.2]).view(1, 1, 1, 4).expand(1, 1, GRID, 4)
    edge = torch.cat([edge, edge[..., :1].expand(1, 1, GRID, GRID - 4)], 3)
    gained = network.mask_of(edge, torch.ones_like(edge)) - network.mask_of(edge)
    assert gained[0, 0, 0, 0] == 0
    assert gained[0, 0, 0, 1] == pytest.approx(0, abs=1e-6)
    assert 0 < gained[0, 0, 0, 2] < 0.1
    assert gained[0, 0, 0, 3] == pytest.approx(1 - FULL)


def test_importance_orders_what_surrounds_a_face_and_moves_no_gate(network) -> None:
    network.context.zero_()
    network.context[..., : GRID // 2] = 1
    nothing, importance = torch.zeros(1, 1, GRID, GRID), torch.rand(1, 1, GRID, GRID)
    mask = network.mask_of(nothing, importance)
    outside, face = mask[..., : GRID // 2], mask[..., GRID // 2 :]
    torch.testing.assert_close(outside, 0.02 * importance[..., : GRID // 2])
    assert not face.any()
    assert torch.equal(network.gate(mask), network.gate(nothing))


def test_importance_changes_no_code(network, faces) -> None:
    with torch.no_grad():
        kept = torch.rand(1, 1, GRID, GRID).round()
        network.context.copy_(torch.maximum(kept, kept.flip(3)))  # faces are alike left and right
        torch.nn.init.normal_(network.importance.usual, std=3)
        before = network(faces)
        torch.nn.init.normal_(network.importance.usual, std=3)
        after = network(faces)
    assert (before.mask - after.mask).abs().max() > 1e-3
    torch.testing.assert_close(after.logits, before.logits, atol=1e-4, rtol=1e-4)


def test_without_a_mask_nothing_is_gated(network, faces) -> None:
    with torch.inference_mode():
        first = network.first_stage(network.trunk.normalise(faces))
        ungated = network.embed(first, None)
        opened = network.embed(first, torch.ones(3, 1, GRID, GRID))
    torch.testing.assert_close(ungated, opened, atol=1e-5, rtol=1e-4)


def test_a_mirrored_face_has_the_mirrored_mask_and_the_same_logits(network, faces) -> None:
    with torch.inference_mode():
        ahead, mirrored = network(faces), network(faces.flip(3))
    torch.testing.assert_close(mirrored.mask, ahead.mask.flip(3), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(mirrored.logits, ahead.logits, atol=1e-4, rtol=1e-4)


def test_what_is_shown_is_the_face_where_the_mask_is_open(network, faces) -> None:
    open_, closed = torch.ones(3, 1, GRID, GRID), torch.zeros(3, 1, GRID, GRID)
    torch.testing.assert_close(network.seen(faces, open_), faces)
    torch.testing.assert_close(network.seen(faces, closed), torch.full_like(faces, 127.5))


@pytest.mark.parametrize(("source", "target"), [(14, 4), (14, 7), (6, 4)])
def test_area_average_is_a_mean_over_equal_parts(source: int, target: int) -> None:
    pool = area_average(source, target)
    torch.testing.assert_close(pool.sum(1), torch.ones(target))
    torch.testing.assert_close(pool.sum(0), torch.full((source,), target / source))
    fine = torch.rand(source).repeat_interleave(target)  # parts of whole length
    expected = fine.view(target, -1).mean(1)
    torch.testing.assert_close(pool @ fine[::target], expected)
