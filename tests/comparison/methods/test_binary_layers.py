"""Methods whose codes are binary in training: their layers' values and gradients, and losses."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from daah.comparison.methods.bihalf import BiHalf, similarity_loss
from daah.comparison.methods.dagh import CascadeTrunk, clipped_sign, within_identity
from daah.comparison.methods.deep import Trunk
from daah.comparison.methods.greedy import binary_code, cubic_penalty

LOGITS = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.5, 0.25]])


def gradient_of(layer, inputs: torch.Tensor, upstream: torch.Tensor) -> torch.Tensor:
    """The gradient that a layer passes on."""
    leaf = inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(layer(leaf), leaf, upstream)
    return gradient


def test_binary_code_is_a_sign_with_the_gradient_of_the_identity() -> None:
    logits = torch.tensor([[0.3, -2.0], [0.0, 1e-30]])
    assert binary_code(logits).tolist() == [[1, -1], [-1, 1]]
    upstream = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    torch.testing.assert_close(gradient_of(binary_code, logits, upstream), upstream)


def test_cubic_penalty_by_hand() -> None:
    """| |h| - 1 |: 0, 0, 0.5, 1, 0.5, 0.75."""
    expected = (0.125 + 1 + 0.125 + 0.421875) / 6
    assert float(cubic_penalty(LOGITS)) == pytest.approx(expected)


def test_clipped_sign_stops_the_gradient_of_large_logits() -> None:
    logits = 0.9 * LOGITS
    assert clipped_sign(logits).tolist() == [[1, -1], [1, 1], [-1, 1]]
    expected = torch.tensor([[1.0, 1], [1, 0], [0, 1]])
    torch.testing.assert_close(gradient_of(clipped_sign, logits, torch.ones(3, 2)), expected)


def test_within_identity_by_hand() -> None:
    """Two of a person differ in one of two bits: 1 per image and bit there; the third is alone."""
    code = torch.tensor([[1.0, 1], [1, -1], [-1, 1]])
    loss = within_identity(code, torch.tensor([4, 4, 2]))
    assert float(loss) == pytest.approx((1 + 1) / 6)


def test_bi_half_sets_each_bit_of_half_of_a_batch() -> None:
    outputs = torch.randn(10, 6, generator=torch.Generator().manual_seed(0)) + 3
    codes = BiHalf.apply(outputs, 6.0)
    assert (codes.sum(0) == 0).all()
    for k in range(6):
        assert outputs[codes[:, k] > 0, k].min() > outputs[codes[:, k] < 0, k].max()


def test_bi_half_gradient_by_hand() -> None:
    """Upstream plus gamma (u - b) / size: codes are (1, -1) here, differences 1 and 1."""
    outputs, upstream = torch.tensor([[2.0], [0.0]]), torch.tensor([[0.5], [0.0]])
    gradient = gradient_of(lambda u: BiHalf.apply(u, 6.0), outputs, upstream)
    torch.testing.assert_close(gradient, torch.tensor([[3.5], [3.0]]))


def test_similarity_loss_compares_cosines_of_different_images() -> None:
    """Cosines of the codes 0, 1 and 0, of the features 0.6, 0.8 and 0."""
    binary = torch.tensor([[1.0, 1], [1, -1], [1, 1]])
    features = torch.tensor([[1.0, 0, 0], [0.6, 0.8, 0], [0.8, 0, 0.6]])
    codes = torch.tensor([0.0, 1.0, 0.0])
    cosines = torch.tensor([0.6, 0.8, 0.48])
    expected = F.mse_loss(codes, cosines)
    assert float(similarity_loss(binary, features)) == pytest.approx(float(expected))


def test_attention_starts_as_the_plain_trunk() -> None:
    """The cascade weighs everything by 1 at first, so that the common start is not disturbed."""
    trunk, plain = CascadeTrunk().eval(), Trunk(multi_scale=True).eval()
    plain.load_state_dict(trunk.state_dict(), strict=False)
    faces = torch.rand(2, 3, 32, 32) * 255
    torch.testing.assert_close(trunk(faces), plain(faces))
    trunk.attention3[0].score.weight.data.fill_(0.5)
    assert not torch.allclose(trunk(faces), plain(faces))
