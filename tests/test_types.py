"""Values are validated when they are built."""

from dataclasses import replace

import numpy as np
import pytest

from daah.types import Code, EncodedFace, Face, Match

FACE = Face(
    box=np.array([1, 2, 31, 42], np.float32),
    landmarks=np.zeros((5, 2), np.float32),
    score=0.9,
    aligned=np.zeros((224, 224, 3), np.uint8),
    matrix=np.zeros((2, 3), np.float32),
)
CODE = Code(bits=np.zeros(8, np.bool_), logits=np.zeros(8, np.float32))
SEEN = np.zeros((112, 112, 3), np.uint8)


def test_a_face_knows_its_width() -> None:
    assert FACE.width == 30


@pytest.mark.parametrize(
    "wrong",
    [
        {"box": np.zeros(4)},
        {"landmarks": np.zeros((4, 2), np.float32)},
        {"aligned": np.zeros((112, 112, 3), np.uint8)},
        {"matrix": np.zeros((3, 3), np.float32)},
        {"score": 1.5},
    ],
)
def test_a_face_of_wrong_parts_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        replace(FACE, **wrong)


def test_a_code_has_a_logit_for_every_bit() -> None:
    with pytest.raises(ValueError, match="bits"):
        Code(bits=np.zeros(7, np.bool_), logits=np.zeros(8, np.float32))


@pytest.mark.parametrize(
    "wrong", [np.zeros((14, 16), np.float32), np.zeros((14, 14)), np.zeros((1, 1, 1), np.float32)]
)
def test_a_mask_has_one_grid_of_cells(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="mask"):
        EncodedFace(FACE, CODE, wrong, SEEN)
    for grid in (14, 32):
        mask = np.zeros((grid, grid), np.float32)
        assert EncodedFace(FACE, CODE, mask, SEEN).mask.shape[0] == grid


@pytest.mark.parametrize("wrong", [SEEN[:-1], SEEN[..., 0], SEEN.astype(np.float32)])
def test_what_the_network_is_given_is_a_square_picture(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="seen"):
        EncodedFace(FACE, CODE, np.zeros((14, 14), np.float32), wrong)


@pytest.mark.parametrize("wrong", [{"distance": 9}, {"distance": -1}, {"probability": 1.2}])
def test_a_match_is_within_its_range(wrong: dict) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Match(**({"id": 1, "person": "s1", "photo": "s1/1", "distance": 3, "bits": 8} | wrong))
