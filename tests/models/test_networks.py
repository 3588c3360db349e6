"""Every row of the network's tables, and the sizes that checkpoints rely on."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from daah.config import DEMO, PAPER
from daah.models.ddah import DemoDDAH, PaperDDAH, build_model
from daah.models.hash_network import (
    ChannelAttention,
    PaperHashNetwork,
    PaperStages,
    PooledChannelAttention,
)
from daah.models.layers import min_max
from daah.models.spatial_network import FaceSpatialNetwork, plain_mask
from daah.models.trunk import SHAPES


def shape(x: torch.Tensor) -> tuple[int, ...]:
    return tuple(x.shape)


def test_every_row_of_the_spatial_network() -> None:
    network = FaceSpatialNetwork().eval()
    x = torch.rand(2, 3, 32, 32)
    e1 = network.encode1(x)
    e2 = network.encode2(e1)
    bottom = network.encode3(e2)
    up1 = network.norm1(F.relu(network.decode1(bottom)) + e2)
    up2 = network.norm2(F.relu(network.decode2(up1)) + e1)
    logits = network(x)
    assert [shape(t) for t in (e1, e2, bottom, up1, up2, logits)] == [
        (2, 32, 16, 16),
        (2, 64, 8, 8),
        (2, 128, 4, 4),
        (2, 64, 8, 8),
        (2, 32, 16, 16),
        (2, 1, 32, 32),
    ]
    assert [m.kernel_size for m in network.modules() if isinstance(m, nn.ConvTranspose2d)] == [
        (3, 3)
    ] * 3


def test_every_row_of_the_hash_network() -> None:
    network = PaperHashNetwork(48).eval()
    stages: PaperStages = network.stages
    x1 = stages.stage1(torch.rand(2, 3, 32, 32))
    x2 = stages.stage2(x1)
    f3 = stages.stage3(x2)
    f4 = stages.stage4(f3)
    assert [shape(t) for t in (x1, x2, f3, f4)] == [
        (2, 32, 15, 15),
        (2, 64, 7, 7),
        (2, 128, 3, 3),
        (2, 256, 2, 2),
    ]
    assert shape(network.attention3(f3)) == shape(f3)
    assert shape(network.attention4(f4)) == shape(f4)
    assert network.attention3.squeeze.in_features == 1152
    assert network.fuse[0].in_features == 2176
    assert shape(network(torch.rand(2, 3, 32, 32))) == (2, 48)


def test_the_whole_paper_network_encodes_behind_its_mask() -> None:
    model = PaperDDAH(48, classes=7).eval()
    encoding = model(torch.rand(2, 3, 32, 32) * 255)
    assert shape(encoding.logits) == (2, 48)
    assert shape(encoding.mask) == (2, 1, 32, 32)
    assert shape(model.classify(encoding.logits)) == (2, 7)
    with pytest.raises(RuntimeError, match="cannot classify"):
        PaperDDAH(48).classify(encoding.logits)


def test_convolutions_and_linears_start_xavier_normal_with_zero_biases() -> None:
    torch.manual_seed(0)
    model = PaperDDAH(48, classes=10)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert not module.bias.any()
    fuse = model.hashing.fuse[0].weight
    assert fuse.std().item() == pytest.approx((2 / (2176 + 1024)) ** 0.5, rel=0.01)


def test_every_stage_of_the_demo_network() -> None:
    model = DemoDDAH(DEMO.bits).eval()
    x = model.trunk.normalise(torch.rand(2, 3, 112, 112) * 255)
    stage = model.first_stage(x)
    shapes = [shape(stage)]
    for rest in model.trunk.stages[1:]:
        stage = rest(stage)
        shapes.append(shape(stage))
    assert shapes == [(2, *expected) for expected in SHAPES]
    assert model.fuse.in_features == 64 + 2048
    encoding = model(torch.rand(2, 3, 112, 112) * 255)
    assert shape(encoding.logits) == (2, 256)
    assert shape(encoding.mask) == (2, 1, 14, 14)


@pytest.mark.parametrize(("config", "count"), [(PAPER, 3_927_569), (DEMO, 1_504_710)])
def test_parameter_counts_are_pinned(config, count: int) -> None:
    assert sum(p.numel() for p in build_model(config).parameters()) == count


def half_hidden(size: int) -> torch.Tensor:
    mask = torch.ones(1, 1, size, size)
    mask[..., : size // 2] = 0
    return mask


@pytest.mark.parametrize("config", [PAPER, DEMO])
def test_the_mask_gates_what_the_hash_network_sees(config) -> None:
    torch.manual_seed(0)
    model = build_model(config).eval()
    faces = torch.rand(1, 3, model.input_size, model.input_size) * 255
    if isinstance(model, DemoDDAH):
        for mean in model.means:
            torch.nn.init.normal_(mean)
    whole = model(faces, torch.ones(1, 1, model.grid, model.grid)).logits
    assert not torch.equal(model(faces, half_hidden(model.grid)).logits, whole)


def test_nothing_passes_where_the_papers_mask_is_zero() -> None:
    torch.manual_seed(0)
    model = build_model(PAPER).eval()
    faces = torch.rand(1, 3, 32, 32) * 255
    changed = faces.clone()
    changed[..., :16] = 0
    hidden = half_hidden(32)
    assert torch.equal(model(faces, hidden).logits, model(changed, hidden).logits)


@pytest.mark.parametrize("config", [PAPER, DEMO])
def test_the_mask_is_a_function_of_the_input(config) -> None:
    torch.manual_seed(0)
    model = build_model(config).eval()
    masks = model(torch.rand(2, 3, model.input_size, model.input_size) * 255).mask
    assert 0 <= masks.min() <= masks.max() <= 1
    assert not torch.equal(masks[0], masks[1])


def test_min_max_spans_zero_to_one_and_a_constant_map_is_all_ones() -> None:
    x = torch.tensor([[[1.0, 3.0], [2.0, 5.0]], [[4.0, 4.0], [4.0, 4.0]]])
    scaled = min_max(x)
    torch.testing.assert_close(scaled[0], torch.tensor([[0.0, 0.5], [0.25, 1.0]]))
    assert (scaled[1] == 1).all()


def test_a_constant_map_has_finite_gradients() -> None:
    x = torch.full((1, 1, 4, 4), 2.0, requires_grad=True)
    plain_mask(x).sum().backward()
    assert torch.isfinite(x.grad).all()


def test_channel_attention_scales_whole_channels_between_zero_and_one() -> None:
    torch.manual_seed(0)
    x = torch.rand(2, 8, 3, 3) + 0.1
    ratio = ChannelAttention(8, 3, 3, hidden=4)(x) / x
    weight = ratio[..., 0, 0]
    torch.testing.assert_close(ratio, weight[..., None, None].expand_as(ratio))
    torch.testing.assert_close(weight.amin(1), torch.zeros(2))
    torch.testing.assert_close(weight.amax(1), torch.ones(2))


def test_pooled_channel_attention_starts_as_the_identity() -> None:
    x = torch.rand(2, 8, 3, 3)
    torch.testing.assert_close(PooledChannelAttention(8, 4)(x), x)
