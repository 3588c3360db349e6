"""The shipped networks encode a face the same way whatever comes with it."""

import numpy as np
import pytest
import torch

from daah import codes
from daah.errors import ConfigError
from daah.models.encoder import FaceEncoder, load_encoder
from daah.models.precision import bfloat16_is_fast, bfloat16_is_possible
from daah.retrieval.loading import DEFAULT_CHECKPOINT


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


def test_codes_in_bfloat16_are_those_in_float32_where_the_processor_has_it(
    orl_photos, detector
) -> None:
    if not bfloat16_is_possible():
        with pytest.raises(ConfigError, match="no operators"):
            load_encoder(DEFAULT_CHECKPOINT, bfloat16=True)
        return
    faces = np.stack([detector.detect(photo.rgb)[0].aligned for photo in orl_photos[::8]])
    (exact, masks), (quick, quick_masks) = (
        load_encoder(DEFAULT_CHECKPOINT, bfloat16=fast).encode(faces) for fast in (False, True)
    )
    assert not np.array_equal(exact, quick)
    assert (codes.sign(exact) == codes.sign(quick)).mean() >= 0.995
    np.testing.assert_allclose(quick_masks, masks, atol=0.05)  # nothing that an eye would see


def test_without_bfloat16_operators_it_is_refused_and_float32_is_the_default(
    faces: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An older processor, played on any: oneDNN's answer is the only thing that differs."""
    exact, _ = load_encoder(DEFAULT_CHECKPOINT, bfloat16=False).encode(faces[:1])
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    assert not bfloat16_is_fast()
    with pytest.raises(ConfigError, match="no operators"):
        load_encoder(DEFAULT_CHECKPOINT, bfloat16=True)
    chosen, _ = load_encoder(DEFAULT_CHECKPOINT).encode(faces[:1])
    np.testing.assert_array_equal(chosen, exact)


def test_a_mirrored_face_has_the_mirrored_mask_and_the_same_code(faces: np.ndarray) -> None:
    exact = load_encoder(DEFAULT_CHECKPOINT, bfloat16=False)
    logits, masks = exact.encode(faces)
    mirrored, mirrored_masks = exact.encode(faces[:, :, ::-1].copy())
    np.testing.assert_allclose(mirrored_masks[:, :, ::-1], masks, atol=1e-4)
    np.testing.assert_allclose(mirrored, logits, atol=1e-2)
    assert (codes.sign(mirrored) == codes.sign(logits)).mean() > 0.999


def test_shapes_and_ranges(encoder: FaceEncoder, faces: np.ndarray) -> None:
    logits, masks = encoder.encode(faces)
    assert logits.shape == (len(faces), encoder.bits)
    assert logits.dtype == np.float32
    assert masks.shape == (len(faces), 150, 150)
    assert 0 <= masks.min() <= masks.max() <= 1
    empty, none = encoder.encode(faces[:0])
    assert empty.shape == (0, encoder.bits)
    assert none.shape == (0, 150, 150)


def test_attention_off_and_painted(encoder: FaceEncoder, faces: np.ndarray) -> None:
    logits, masks = encoder.encode(faces)
    off, ones = encoder.encode(faces, "off")
    assert (ones == 1).all()
    assert not np.array_equal(off, logits)
    painted, shown = encoder.encode(faces, np.ones_like(masks))
    np.testing.assert_array_equal(painted, off)
    np.testing.assert_array_equal(shown, ones)
    own, _ = encoder.encode(faces, masks)
    agree = (codes.sign(own) == codes.sign(logits)).mean()
    assert agree > 0.99


@pytest.mark.parametrize(
    ("aligned", "attention", "message"),
    [
        (np.zeros((1, 112, 112, 3), np.uint8), "model", "expected uint8"),
        (np.zeros((1, 150, 150, 3), np.float32), "model", "expected uint8"),
        (np.zeros((1, 150, 150, 3), np.uint8), "some", "'model', 'off' or masks"),
        (np.zeros((1, 150, 150, 3), np.uint8), np.ones((2, 150, 150)), "expected masks"),
        (np.zeros((1, 150, 150, 3), np.uint8), np.full((1, 150, 150), 2.0), r"in \[0, 1\]"),
        (np.zeros((1, 150, 150, 3), np.uint8), np.full((1, 150, 150), np.nan), r"in \[0, 1\]"),
    ],
)
def test_wrong_arguments_are_named(encoder: FaceEncoder, aligned, attention, message) -> None:
    with pytest.raises(ValueError, match=message):
        encoder.encode(aligned, attention)
