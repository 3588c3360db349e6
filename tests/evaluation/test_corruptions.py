"""Each damage does what its name says, to every face alike, and leaves the original alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import laplace

from daah.evaluation.corruptions import BOX_WIDTH, blur, cover, grey, resize_face, rotate
from daah.evaluation.robustness import CORRUPTIONS

RNG = np.random.default_rng(0)
FACE = RNG.integers(0, 256, (224, 224, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, values in CORRUPTIONS.items() for value in values]
)
def test_every_damage_gives_a_face_of_the_same_kind(kind, value):
    before = FACE.copy()
    damaged = CORRUPTIONS[kind][value](FACE)
    assert damaged.shape == FACE.shape
    assert damaged.dtype == np.uint8
    np.testing.assert_array_equal(FACE, before)
    assert (damaged != FACE).any()


def detail(face: np.ndarray) -> float:
    return float(laplace(face.astype(float).mean(2)).var())


@pytest.mark.parametrize("kind", ["face_width", "blur"])
def test_more_damage_leaves_less_detail(kind):
    left = [detail(damage(FACE)) for _, damage in sorted(CORRUPTIONS[kind].items())]
    assert left == sorted(left, reverse=kind == "blur")


def test_a_face_of_a_width_has_no_more_detail_than_pixels():
    stripes = np.zeros((224, 224, 3), np.uint8)
    stripes[:, ::2] = 255  # far finer than 32 pixels can show
    assert stripes.std() > 120
    assert resize_face(32)(stripes).std() < 30
    np.testing.assert_array_equal(resize_face(BOX_WIDTH)(FACE), FACE)


def test_turning_there_and_back_moves_the_eyes_as_far_as_the_angle_says():
    dot = np.zeros((224, 224, 3), np.uint8)
    dot[110:114, 160:164] = 255  # 50 pixels right of the middle
    turned = rotate(30)(dot)
    rows, columns = np.nonzero(turned[:, :, 0] > 100)
    assert rows.mean() == pytest.approx(111.5 - 25, abs=1)  # counter-clockwise, up
    assert columns.mean() == pytest.approx(111.5 + 50 * np.cos(np.pi / 6), abs=1)


def test_turning_repeats_the_edge_instead_of_black_corners():
    assert (rotate(30)(np.full((224, 224, 3), 200, np.uint8)) == 200).all()


def test_grey_has_one_luma_in_three_channels():
    luma = grey(np.full((224, 224, 3), [255, 0, 0], np.uint8))
    assert (luma == 76).all()  # 0.299 of 255


def test_cover_hides_the_band_alone():
    covered = cover(10, 20, 30, 40, level=7)(FACE)
    assert (covered[10:20, 30:40] == 7).all()
    covered[10:20, 30:40] = FACE[10:20, 30:40]
    np.testing.assert_array_equal(covered, FACE)


def test_blur_keeps_colour_and_light():
    np.testing.assert_allclose(blur(8)(FACE).mean((0, 1)), FACE.mean((0, 1)), atol=3)
