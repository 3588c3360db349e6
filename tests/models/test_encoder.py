"""The shipped networks encode a face the same way whatever comes with it."""

import numpy as np
import pytest

from daah import codes
from daah.models.encoder import FaceEncoder


@pytest.fixture(scope="module")
def faces(orl_photos, detector) -> np.ndarray:
    return np.stack([detector.detect(photo.rgb)[0].aligned for photo in orl_photos[:80:11]])


def test_a_face_alone_and_in_a_batch_has_the_same_logits_to_the_bit(
    encoder: FaceEncoder, faces: np.ndarray
) -> None:
    """In training mode batch norm would mix the neighbours in."""
    logits, masks = encoder.encode(faces)
    for i in range(len(faces)):
        alone, mask = encoder.encode(faces[i : i + 1])
        np.testing.assert_array_equal(alone[0], logits[i])
        np.testing.assert_array_equal(mask[0], masks[i])
    backwards, _ = encoder.encode(faces[::-1])
    np.testing.assert_array_equal(backwards[::-1], logits)


def test_a_mirrored_face_has_the_mirrored_mask_and_the_same_code(
    encoder: FaceEncoder, faces: np.ndarray
) -> None:
    logits, masks = encoder.encode(faces)
    mirrored, mirrored_masks = encoder.encode(faces[:, :, ::-1].copy())
    np.testing.assert_allclose(mirrored_masks[:, :, ::-1], masks, atol=1e-4)
    np.testing.assert_allclose(mirrored, logits, atol=1e-2)
    assert (codes.sign(mirrored) == codes.sign(logits)).mean() > 0.999


def test_shapes_and_ranges(encoder: FaceEncoder, faces: np.ndarray) -> None:
    logits, masks = encoder.encode(faces)
    assert logits.shape == (len(faces), encoder.bits)
    assert logits.dtype == np.float32
    assert masks.shape == (len(faces), encoder.grid, encoder.grid)
    assert 0 <= masks.min() <= masks.max() <= 1
    empty, none = encoder.encode(faces[:0])
    assert empty.shape == (0, encoder.bits)
    assert none.shape == (0, encoder.grid, encoder.grid)


def test_attention_off_and_painted(encoder: FaceEncoder, faces: np.ndarray) -> None:
    logits, masks = encoder.encode(faces)
    off, ones = encoder.encode(faces, "off")
    assert (ones == 1).all()
    assert not np.array_equal(off, logits)
    painted, shown = encoder.encode(faces, np.ones_like(masks))
    np.testing.assert_array_equal(painted, off)
    np.testing.assert_array_equal(shown, ones)
    own, _ = encoder.encode(faces, masks)
    np.testing.assert_array_equal(own, logits)
    large = np.repeat(np.repeat(masks, 16, 1), 16, 2)  # as a painting is: averaged to the grid
    averaged, _ = encoder.encode(faces, large)
    np.testing.assert_allclose(averaged, logits, atol=1e-4)


@pytest.mark.parametrize(
    ("aligned", "attention", "message"),
    [
        (np.zeros((1, 112, 112, 3), np.uint8), "model", "expected uint8"),
        (np.zeros((1, 224, 224, 3), np.float32), "model", "expected uint8"),
        (np.zeros((1, 224, 224, 3), np.uint8), "some", "'model', 'off' or masks"),
        (np.zeros((1, 224, 224, 3), np.uint8), np.ones((2, 14, 14)), "expected masks"),
        (np.zeros((1, 224, 224, 3), np.uint8), np.full((1, 224, 224), 2.0), r"in \[0, 1\]"),
        (np.zeros((1, 224, 224, 3), np.uint8), np.full((1, 224, 224), np.nan), r"in \[0, 1\]"),
    ],
)
def test_wrong_arguments_are_named(encoder: FaceEncoder, aligned, attention, message) -> None:
    with pytest.raises(ValueError, match=message):
        encoder.encode(aligned, attention)
