"""Losses against values worked out by hand or by a reference formula."""

import math

import numpy as np
import pytest
import torch

from daah.training import losses


def test_quantisation_counts_how_far_logits_are_from_plus_or_minus_one() -> None:
    logits = torch.tensor([[1.0, -1.0], [0.0, 3.0]])
    assert losses.quantisation_loss(logits) == pytest.approx((0 + (1 + 2)) / 2)


def test_branch_loss_is_cross_entropy_plus_beta_quantisation() -> None:
    logits, scores = torch.tensor([[0.5, -2.0]]), torch.tensor([[0.0, 0.0, 0.0]])
    got = losses.branch_loss(logits, scores, torch.tensor([1]), beta=0.1)
    assert got == pytest.approx(math.log(3) + 0.1 * (0.5 + 1.0))


def test_face_spatial_loss_is_a_hinge_that_only_the_attended_branch_feels() -> None:
    masked = torch.tensor(2.0, requires_grad=True)
    unmasked = torch.tensor(1.5, requires_grad=True)
    loss = losses.face_spatial_loss(masked, unmasked, margin=0.25)
    assert loss.item() == pytest.approx(0.75)
    loss.backward()
    assert masked.grad == 1
    assert unmasked.grad is None
    assert losses.face_spatial_loss(torch.tensor(1.0), torch.tensor(2.0)) == 0


def test_complement_loss_wants_the_hidden_part_to_be_useless() -> None:
    masked = torch.tensor(1.0, requires_grad=True)
    hidden = torch.tensor(2.0, requires_grad=True)
    loss = losses.complement_loss(masked, hidden, margin=1.5)
    assert loss.item() == pytest.approx(0.5)
    loss.backward()
    assert hidden.grad == -1
    assert masked.grad is None
    assert losses.complement_loss(torch.tensor(1.0), torch.tensor(2.6), margin=1.5) == 0


def test_straight_through_sign_is_the_codes_sign_and_lets_gradients_pass() -> None:
    logits = torch.tensor([[0.3, -0.2, 0.0, 5.0]], requires_grad=True)
    signs = losses.straight_through_sign(logits)
    assert signs.tolist() == [[1.0, -1.0, -1.0, 1.0]]
    signs.sum().backward()
    assert logits.grad.tolist() == [[1.0, 1.0, 1.0, 0.0]]  # none where the hard tanh is flat


def test_contrastive_loss_is_the_mean_log_share_of_the_positives() -> None:
    similarity = torch.tensor([[9.0, 1.0, 0.0], [1.0, 9.0, 2.0], [0.0, 2.0, 9.0]])
    labels = torch.tensor([0, 0, 1])
    usable = ~torch.eye(3, dtype=torch.bool)
    got = losses.contrastive_loss(similarity, labels[:, None] == labels, usable)
    first = -math.log(math.e / (math.e + 1))
    second = -math.log(math.e / (math.e + math.e**2))
    assert got.item() == pytest.approx((first + second) / 2)  # the third row has no positive


def test_contrastive_loss_without_positives_is_zero() -> None:
    usable = ~torch.eye(2, dtype=torch.bool)
    positive = torch.eye(2, dtype=torch.bool)
    assert losses.contrastive_loss(torch.zeros(2, 2), positive, usable) == 0


def test_distillation_loss_is_the_centred_cosine_distance() -> None:
    centre = torch.tensor([10.0, 0.0])
    teacher = torch.tensor([[11.0, 0.0], [10.0, 2.0]])
    student = torch.tensor([[13.0, 0.0], [12.0, 0.0]])  # the same direction; at right angles
    assert losses.distillation_loss(student[:1], teacher[:1], centre).item() == pytest.approx(0)
    assert losses.distillation_loss(student, teacher, centre).item() == pytest.approx(0.5)


def test_correlation_loss_is_zero_for_balanced_independent_bits_and_one_for_copies() -> None:
    table = torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    assert losses.correlation_loss(table) == 0
    copies = table[:, :1].repeat(1, 2)
    assert losses.correlation_loss(copies) == pytest.approx(1.0)


def test_nested_similarities_are_the_hamming_cosines_of_every_prefix() -> None:
    rng = np.random.default_rng(0)
    signs = torch.from_numpy(np.where(rng.random((5, 24)) > 0.5, 1.0, -1.0))
    nested = losses.nested_similarities(signs, signs[:3], (8, 24, 12))
    assert sorted(nested) == [8, 12, 24]
    for length, similarity in nested.items():
        differing = (signs[:, None, :length] != signs[None, :3, :length]).sum(-1).double()
        torch.testing.assert_close(similarity, 1 - 2 * differing / length)
