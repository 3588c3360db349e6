"""Losses against values worked out by hand or by a reference formula."""

import math

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


def test_distillation_loss_is_the_centred_cosine_distance() -> None:
    centre = torch.tensor([10.0, 0.0])
    teacher = torch.tensor([[11.0, 0.0], [10.0, 2.0]])
    student = torch.tensor([[13.0, 0.0], [12.0, 0.0]])  # the same direction; at right angles
    assert losses.distillation_loss(student[:1], teacher[:1], centre).item() == pytest.approx(0)
    assert losses.distillation_loss(student, teacher, centre).item() == pytest.approx(0.5)
