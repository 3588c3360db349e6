"""What keys protect and cost, on people without a network."""

from __future__ import annotations

import numpy as np
import pytest

from daah.errors import DataError
from daah.evaluation import protection

LENGTHS = (8, 16, 32, 64)


@pytest.fixture(scope="module")
def people() -> tuple[np.ndarray, np.ndarray]:
    """Sixty people with three photos each, and their names."""
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(size=(60, 64)), 3, axis=0)
    logits = means + 0.5 * rng.normal(size=means.shape)
    return logits.astype(np.float32), np.repeat([f"p{n}" for n in range(60)], 3)


def test_a_key_costs_no_accuracy_and_a_general_rotation_is_orthogonal(people) -> None:
    logits, labels = people
    (arrangement,) = protection.arrangements(LENGTHS, 1)
    for bits in LENGTHS:
        plain = protection.mean_average_precision(logits, labels, bits)
        assert protection.mean_average_precision(arrangement.template(logits), labels, bits) == (
            pytest.approx(plain)
        )
    matrix = protection.rotation(np.random.default_rng(0), LENGTHS)
    assert np.allclose(matrix @ matrix.T, np.eye(64))
    assert not matrix[:8, 8:].any()


def test_two_keys_are_unlinkable_and_known_ones_are_not(people) -> None:
    found = protection.unlinkability(*people, LENGTHS, 64, 40)
    assert found["none, codes"].system > 0.9
    assert found["keys known, codes"].system > 0.9
    assert found["keys known, logits"].system > 0.9
    for held in ("codes", "logits"):
        assert found[f"keys, {held}"].system < 0.12
    same = protection.unlinkability(*people, LENGTHS, 64, 40, same_photo=True)
    assert same["none, codes"].system > 0.99
    assert same["keys, codes"].system < 0.12


def test_enough_known_photos_give_an_arrangement_away(people) -> None:
    logits, _ = people
    (arrangement,) = protection.arrangements(LENGTHS, 1)
    template = arrangement.template(logits)
    few, all_ = (
        protection.known_photos(logits[:count], template[:count], arrangement, LENGTHS)
        for count in (1, 180)
    )
    assert few < 0.3
    assert all_ == 1.0


def test_pairs_are_of_one_person_and_of_two(people) -> None:
    _, labels = people
    mated, others = protection.pairs(labels)
    assert len(mated) == 60 * 3
    assert (labels[mated[:, 0]] == labels[mated[:, 1]]).all()
    assert (labels[others[:, 0]] != labels[others[:, 1]]).all()
    with pytest.raises(DataError, match="two photos"):
        protection.pairs(np.array(["a", "b"]))
