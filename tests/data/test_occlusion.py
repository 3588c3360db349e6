"""Occluders for tests of attention: they cover what they say, and enough of the face."""

import numpy as np
import pytest

from daah.data.occlusion import KINDS, PASTED_FACE, occlude
from daah.detection.alignment import TEMPLATE
from daah.training.recipes.covers import face_region

LANDMARKS = TEMPLATE / 2  # in pixels of 112


def face() -> np.ndarray:
    return np.full((112, 112, 3), 128, np.uint8)


def other() -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (112, 112, 3), np.uint8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_changes_what_it_covers_and_nothing_else(kind: str) -> None:
    result = occlude(face(), LANDMARKS, kind, np.random.default_rng(0), other())
    changed = (result.image != face()).any(2)
    assert result.image.shape == (112, 112, 3)
    assert result.image.dtype == np.uint8
    assert result.cover.dtype == np.float32
    assert 0 <= result.cover.min() < result.cover.max() <= 1
    assert not changed[result.cover == 0].any()
    assert changed[result.cover > 0.5].mean() > 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_covers_some_of_the_face_and_not_most_of_it(kind: str) -> None:
    region = face_region(LANDMARKS)
    rng = np.random.default_rng(1)
    shares = []
    for _ in range(20):
        cover = occlude(face(), LANDMARKS, kind, rng, other()).cover
        shares.append((region * cover).sum() / region.sum())
    assert 0.12 < np.mean(shares) < 0.6
    assert np.std(shares) > 0.005


@pytest.mark.parametrize("kind", KINDS)
def test_occluders_follow_the_landmarks(kind: str) -> None:
    def middle(landmarks: np.ndarray) -> np.ndarray:
        cover = occlude(face(), landmarks, kind, np.random.default_rng(2), other()).cover
        grid = np.stack(np.meshgrid(np.arange(112), np.arange(112)), -1)
        return (grid * cover[:, :, None]).sum((0, 1)) / cover.sum()

    centre = LANDMARKS.mean(0)
    small = centre + (LANDMARKS - centre) * 0.6 - (10, 10)
    shift = middle(small) - middle(LANDMARKS)
    assert shift[0] < -3 or shift[1] < -3


def test_the_same_draw_gives_the_same_picture() -> None:
    first, second = (
        occlude(face(), LANDMARKS, "hand", np.random.default_rng(5)).image for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_unknown_kinds_and_missing_faces_are_named() -> None:
    with pytest.raises(ValueError, match=r"expected one of .*scarf.*, got 'hat'"):
        occlude(face(), LANDMARKS, "hat", np.random.default_rng(0))
    with pytest.raises(ValueError, match="other person's face"):
        occlude(face(), LANDMARKS, PASTED_FACE, np.random.default_rng(0))
