"""Heatmaps lie where the mask is, and a bit's regions are those that move its logit."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from daah.detection.detector import FaceDetector
from daah.models.encoder import encode
from daah.retrieval import explain
from daah.types import Code, EncodedFace
from tests.doubles.encoder import ProjectionEncoder, encoded


def test_the_key_and_the_overlay_use_the_same_colours() -> None:
    key = explain.colour_key(256, 4)
    assert key.shape == (4, 256, 3)
    black = np.zeros((2, 2, 3), np.uint8)
    mask = np.array([[0, 1], [0.5, 0.25]])
    drawn = explain.overlay(black, mask, strength=1.0)
    assert np.array_equal(drawn, explain.colours(mask))
    assert np.array_equal(drawn[0, 0], key[0, 0])
    assert np.array_equal(drawn[0, 1], key[0, -1])


def test_the_key_gets_lighter_all_the_way() -> None:
    """Read in grey, or by any colour vision, more attention is always lighter."""
    lightness = explain.colour_key(256, 1)[0].astype(float) @ [0.2126, 0.7152, 0.0722]
    assert np.all(np.diff(lightness) > -1)
    assert lightness[-1] - lightness[0] > 150


def test_strength_mixes_photo_and_colour() -> None:
    rgb = np.full((3, 3, 3), 100, np.uint8)
    mask = np.ones((3, 3))
    assert np.array_equal(explain.overlay(rgb, mask, 0.0), rgb)
    half = explain.overlay(rgb, mask, 0.5).astype(float)
    assert half[0, 0] == pytest.approx(50 + explain.colours(mask)[0, 0] / 2, abs=0.51)
    for wrong in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="strength"):
            explain.overlay(rgb, mask, wrong)
    with pytest.raises(ValueError, match="square"):
        explain.overlay(rgb[:2], mask, 0.5)


def test_a_coarse_mask_is_drawn_smoothly_over_all_of_the_image() -> None:
    black = np.zeros((224, 224, 3), np.uint8)
    mask = np.zeros((14, 14), np.float32)
    mask[:, 7:] = 1
    drawn = explain.overlay(black, mask, 1.0)
    cold, hot = explain.colours(np.array([0.0, 1.0]))
    assert np.array_equal(drawn[5, 20], cold)
    assert np.array_equal(drawn[200, 200], hot)
    across = drawn[100].astype(int).mean(1)
    steps = np.abs(np.diff(across))
    assert steps.max() < np.abs(hot.astype(int).mean() - cold.astype(int).mean()) / 4


def test_a_mask_is_drawn_back_where_the_face_is(
    astronaut: np.ndarray, detector: FaceDetector, fake_encoder: ProjectionEncoder
) -> None:
    face = encode(fake_encoder, detector.detect(astronaut))[0]
    left_eye, right_eye = face.face.landmarks[:2]
    spot = np.zeros((224, 224), np.float32)
    spot[90:117, 63:90] = 1  # around the template's left eye
    drawn = explain.overlay_photo(astronaut, [dataclasses.replace(face, mask=spot)], 1.0)
    hot, cold = explain.colours(np.array([1.0, 0.0]))

    def colour_at(point: np.ndarray) -> np.ndarray:
        return drawn[int(point[1]), int(point[0])]

    assert colour_at(left_eye) == pytest.approx(hot, abs=8)
    assert colour_at(right_eye) == pytest.approx(cold, abs=8)
    assert np.array_equal(drawn[300:], astronaut[300:])
    assert np.array_equal(explain.overlay_photo(astronaut, [face], 0.0), astronaut)
    assert np.array_equal(explain.overlay_photo(astronaut, []), astronaut)


def test_faces_at_and_beyond_the_border_are_drawn(fake_encoder: ProjectionEncoder) -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    face = encoded(fake_encoder, 1)
    for shift, changed in ((-60.0, True), (500.0, False)):
        matrix = np.array([[1, 0, -shift], [0, 1, -shift]], np.float32)
        moved = dataclasses.replace(face, face=dataclasses.replace(face.face, matrix=matrix))
        drawn = explain.overlay_photo(rgb, [moved], 0.8)
        assert drawn.any() == changed


def test_the_smaller_of_two_faces_is_on_top(fake_encoder: ProjectionEncoder) -> None:
    rgb = np.zeros((224, 224, 3), np.uint8)
    low, high = np.zeros((224, 224), np.float32), np.ones((224, 224), np.float32)
    face = encoded(fake_encoder, 1)
    eye = np.eye(2, 3, dtype=np.float32)
    box = np.array([0, 0, 224, 224], np.float32)
    large = dataclasses.replace(
        face, face=dataclasses.replace(face.face, matrix=eye, box=box), mask=low
    )
    box = np.array([0, 0, 50, 50], np.float32)
    small = dataclasses.replace(
        face, face=dataclasses.replace(face.face, matrix=eye * 3, box=box), mask=high
    )
    for order in ([large, small], [small, large]):
        drawn = explain.overlay_photo(rgb, order, 1.0)
        assert drawn[25, 25] == pytest.approx(explain.colours(np.ones(1))[0], abs=2)
        assert drawn[100, 100] == pytest.approx(explain.colours(np.zeros(1))[0], abs=2)


class _Quadrants:
    """Bit k is the brightness of quadrant k of the masked face, less a half."""

    def encode(self, aligned: np.ndarray, masks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        shown = aligned.mean(3) / 255 * masks
        parts = shown.reshape(len(shown), 2, 112, 2, 112).mean((2, 4)).reshape(-1, 4)
        return (parts - 0.5).astype(np.float32), masks


def _quadrant_face() -> EncodedFace:
    """Black, with a white patch in quadrant 0: blurring the patch changes that quadrant alone."""
    base = encoded(ProjectionEncoder(), 1)
    aligned = np.zeros((224, 224, 3), np.uint8)
    aligned[22:67, 22:67] = 255
    ones = np.ones((224, 224), np.float32)
    logits, _ = _Quadrants().encode(aligned[None], ones[None])
    return EncodedFace(
        dataclasses.replace(base.face, aligned=aligned),
        Code(logits[0] > 0, logits[0]),
        ones,
        aligned,
    )


def test_a_bit_is_moved_by_the_region_that_it_reads() -> None:
    face = _quadrant_face()
    regions = explain.bit_regions(_Quadrants(), face, grid=10)
    assert regions.shape == (4, 10, 10)
    assert regions.dtype == np.float32
    inside = np.abs(regions[0, :5, :5]).max()
    outside = np.abs(regions[0, 6:, :]).max()
    assert inside > 5 * outside
    row, column = np.unravel_index(np.abs(regions[0]).argmax(), (10, 10))
    assert (row, column) in {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_the_sign_of_a_region_is_towards_flipping() -> None:
    """Blurring the white patch darkens quadrant 0, whose bit is 0 here: away from flipping."""
    face = _quadrant_face()
    assert not face.code.bits[0]
    patch = explain.bit_regions(_Quadrants(), face, grid=10)[0, 1:3, 1:3]
    assert (patch < 0).all()
    high = dataclasses.replace(
        face.code, bits=np.ones(4, np.bool_), logits=np.abs(face.code.logits)
    )
    turned = dataclasses.replace(face, code=high)
    assert np.array_equal(explain.bit_regions(_Quadrants(), turned, grid=10)[0, 1:3, 1:3], -patch)


def test_the_grid_is_limited() -> None:
    for grid in (1, 31):
        with pytest.raises(ValueError, match="grid"):
            explain.bit_regions(_Quadrants(), _quadrant_face(), grid=grid)


def test_pair_regions_add_the_bits_that_agree() -> None:
    regions = np.zeros((3, 2, 2), np.float32)
    regions[0, 0, 0], regions[1, 1, 1], regions[2, 0, 1] = 2, 4, -3
    mine, theirs = np.array([True, False, True]), np.array([True, True, True])
    assert explain.pair_regions(regions, mine, theirs).tolist() == [[1, 0], [0, 0]]
    assert explain.pair_regions(regions, mine, mine).tolist() == [[0.5, 0], [0, 1]]
    assert explain.pair_regions(regions, mine, mine, length=1).tolist() == [[1, 0], [0, 0]]
    assert not explain.pair_regions(regions, mine, ~mine).any()


def test_a_region_becomes_a_smooth_mask() -> None:
    region = np.full((10, 10), -1.0, np.float32)
    region[2, 7] = 0.3
    mask = explain.region_mask(region)
    assert mask.shape == (224, 224)
    assert mask.dtype == np.float32
    assert (mask.min(), mask.max()) == (0, pytest.approx(1, abs=0.1))
    row, column = np.unravel_index(mask.argmax(), mask.shape)
    assert (row * 10 // 224, column * 10 // 224) == (2, 7)
    assert not explain.region_mask(np.zeros((10, 10), np.float32)).any()


def test_the_share_of_flipped_bits_counts_those_that_a_region_can_flip() -> None:
    regions = np.array([[[0.5, -1.0]], [[0.2, 3.0]], [[0.0, 2.0]]], np.float32)  # (K, 1, 2)
    logits = np.array([-0.5, 0.3, 2.5], np.float32)
    np.testing.assert_allclose(explain.code_regions(regions, logits), [[1 / 3, 1 / 3]])
    np.testing.assert_allclose(explain.code_regions(regions, logits, 2), [[0.5, 0.5]])
