"""Descriptors against histograms counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from daah.comparison.methods.features import LBP, Pixels, chi_square, lbp_histograms

RNG = np.random.default_rng(0)
FACES = RNG.integers(0, 256, (20, 32, 32, 3), np.uint8)
LABELS = np.zeros(20, np.int64)


def test_lbp_of_a_flat_face_is_one_pattern() -> None:
    """Every neighbour equals the centre: all ones inside, one bin; borders see the outside as 0."""
    rows = lbp_histograms(np.full((1, 32, 32, 3), 90, np.uint8)).reshape(4, 4, 59)
    np.testing.assert_allclose(rows.sum(-1), 1)
    np.testing.assert_allclose(np.sort(rows[1, 1])[-2:], [0, 1])  # an inner cell
    assert np.argmax(rows[1, 1]) == np.argmax(rows[2, 2])


def test_lbp_ignores_brightness_and_sees_structure() -> None:
    dark = FACES // 4
    grey = np.repeat(dark[..., :1], 3, -1)
    brighter = np.abs(lbp_histograms(grey) - lbp_histograms(grey + 100)).reshape(20, 4, 4, 59)
    # Outside of the face counts as black, so border cells may change; the inner ones stay.
    assert brighter[:, 1:3, 1:3].sum(-1).mean() < 0.05
    assert not np.allclose(lbp_histograms(grey[:1]), lbp_histograms(grey[1:2]))


def test_chi_square_by_hand() -> None:
    a, b = np.array([[0.5, 0.5, 0.0]]), np.array([[0.5, 0.0, 0.5], [0.5, 0.5, 0.0]])
    np.testing.assert_allclose(chi_square(a, b), [[1.0, 0.0]])


@pytest.mark.parametrize("features", [LBP(), Pixels(8)])
def test_features_are_centred_unit_rows_that_stand_alone(features) -> None:
    features.fit(FACES, LABELS)
    rows = features.transform(FACES)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(features.transform(FACES[:1]), rows[:1], atol=1e-5)


def test_pixels_keep_what_varies() -> None:
    """Faces on one line in pixel space: one component says where."""
    scale = np.linspace(0, 1, 20)
    faces = np.round(scale[:, None, None, None] * np.full((32, 32, 3), 200)).astype(np.uint8)
    features = Pixels(1)
    features.fit(faces, LABELS)
    rows = features.transform(faces)[:, 0]
    assert (np.sign(rows[:10]) == -np.sign(rows[-1])).all()
    assert (np.sign(rows[10:]) == np.sign(rows[-1])).all()
