"""Methods with hash centres: the centres, and each loss by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from daah.comparison.methods.csq import central_loss
from daah.comparison.methods.dcdh import centre_loss, centre_spread, regressed_codes
from daah.comparison.methods.dpn import polarization_loss
from daah.comparison.methods.hash_centres import central_codes, least_distance, random_codes
from daah.comparison.methods.orthohash import cosine_loss

LOGITS = torch.tensor([[1.0, -1.0], [0.5, 2.0], [-1.0, 1.0]])
TARGETS = torch.tensor([[1.0, 1.0], [1.0, -1.0]])


def test_least_distance_by_hand() -> None:
    centres = np.array([[1.0, 1, 1, 1], [1, 1, -1, -1], [1, -1, -1, -1]])
    assert least_distance(centres) == 1
    assert least_distance(centres[:2]) == 2


def test_a_power_of_two_has_hadamard_centres() -> None:
    centres = central_codes(classes=16, bits=8, seed=0)
    products = centres @ centres.T
    np.testing.assert_array_equal(products[:8, :8], 8 * np.eye(8))
    np.testing.assert_array_equal(centres[8:], -centres[:8])
    assert least_distance(centres) == 4


@pytest.mark.parametrize(("classes", "bits"), [(74, 12), (74, 48), (17, 8)])
def test_other_centres_are_balanced_and_apart(classes: int, bits: int) -> None:
    centres = central_codes(classes, bits, seed=0)
    assert centres.shape == (classes, bits)
    assert centres.dtype == np.float32
    assert set(np.unique(centres)) == {-1.0, 1.0}
    assert (centres.sum(1) == 0).all()
    # Different balanced codes differ in two bits at least; a first draw has equal ones at 12 bits.
    assert least_distance(centres) >= 2
    np.testing.assert_array_equal(centres, central_codes(classes, bits, seed=0))
    assert (centres != central_codes(classes, bits, seed=1)).any()


def test_random_centres_differ_and_repeat_by_seed() -> None:
    centres = random_codes(74, 12, seed=0)
    assert set(np.unique(centres)) == {-1.0, 1.0}
    assert 0.4 < (centres > 0).mean() < 0.6
    assert least_distance(centres) >= 1
    np.testing.assert_array_equal(centres, random_codes(74, 12, seed=0))
    assert (centres != random_codes(74, 12, seed=1)).any()


def test_one_class_has_one_centre() -> None:
    assert random_codes(1, 6, seed=0).shape == central_codes(1, 6, seed=0).shape == (1, 6)


def test_csq_is_the_papers_cross_entropy_of_h_in_0_to_1() -> None:
    """The paper's terms in its own variable h = (tanh z + 1) / 2, with centres of 0 and 1."""
    centres = torch.tensor([[1.0, -1], [1, 1], [1, -1]])
    h, c = (LOGITS.double().tanh() + 1) / 2, (centres.double() + 1) / 2
    central = -(c * h.log() + (1 - c) * (1 - h).log()).mean()
    quantisation = ((2 * h - 1).abs() - 1).cosh().log().mean()
    loss = central_loss(LOGITS, centres, weight=0.3)
    assert float(loss) == pytest.approx(float(central + 0.3 * quantisation), rel=1e-5)


def test_polarization_loss_by_hand() -> None:
    """Products with the targets: (1, -1), (0.5, -2), (-1, -1); hinges at 1: 2, 3.5 and 4."""
    targets = torch.tensor([[1.0, 1], [1, -1], [1, -1]])
    assert float(polarization_loss(LOGITS, targets, 1.0)) == pytest.approx((2 + 3.5 + 4) / 3)
    assert float(polarization_loss(2 * targets, targets, 1.0)) == 0


def test_cosine_loss_by_hand() -> None:
    """(3, 4) has cosines 7 / (5 sqrt 2) and -1 / (5 sqrt 2) with the two targets."""
    cosines = np.array([7, -1]) / (5 * np.sqrt(2))
    scores = 8 * (cosines - [0, 0.2])
    expected = np.log(np.exp(scores).sum()) - scores[1]
    loss = cosine_loss(torch.tensor([[3.0, 4.0]]), TARGETS, torch.tensor([1]), 8.0, 0.2)
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    # The length of an output does not matter.
    longer = cosine_loss(torch.tensor([[30.0, 40.0]]), TARGETS, torch.tensor([1]), 8.0, 0.2)
    assert float(longer) == pytest.approx(expected, rel=1e-5)


def test_centre_loss_by_hand() -> None:
    """Squared distances of (1, -1) to the centres: 4 and 0; of (0.5, 2): 1.25 and 9.25."""
    labels = torch.tensor([0, 0])
    loss = centre_loss(LOGITS[:2], TARGETS, labels, sigma=0.5)
    first = np.exp(-1) / (np.exp(-1) + 1)
    second = np.exp(-0.3125) / (np.exp(-0.3125) + np.exp(-2.3125))
    assert float(loss) == pytest.approx(-(np.log(first) + np.log(second)) / 2, rel=1e-5)


def test_centre_spread_by_hand() -> None:
    """Orthogonal centres cost log 2, whatever their lengths; opposite ones less, by K / 2."""
    assert float(centre_spread(3 * TARGETS)) == pytest.approx(np.log(2), rel=1e-5)
    opposite = torch.tensor([[1.0, 1.0], [-2.0, -2.0]])
    assert float(centre_spread(opposite)) == pytest.approx(np.log1p(np.exp(-1)), rel=1e-5)


def test_regressed_codes_follow_ridge_regression() -> None:
    generator = torch.Generator().manual_seed(0)
    outputs = torch.randn(20, 6, generator=generator)
    labels = torch.randint(0, 5, (20,), generator=generator)
    y = F.one_hot(labels, 5).float()
    w = torch.linalg.solve(y.T @ y + torch.eye(5), y.T @ outputs.sign())
    expected = (y @ w + 0.01 * outputs).sign()
    torch.testing.assert_close(regressed_codes(outputs, labels, 0.01, 1.0), expected)
