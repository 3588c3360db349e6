"""The aligned frame: the same face in it, wherever it was in the photo."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from daah.detection import alignment
from daah.detection.alignment import TEMPLATE, align
from daah.types import ALIGNED_SIZE


def mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


coordinate = st.floats(-300, 700, allow_nan=False)
transforms = st.builds(
    lambda scale, turn, x, y: SimilarityTransform(scale=scale, rotation=turn, translation=(x, y)),
    st.floats(0.05, 8),
    st.floats(-3.1, 3.1),
    coordinate,
    coordinate,
)
PHOTO = np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)


class TestAlign:
    def test_a_face_in_the_frame_already_is_left_as_it_is(self, astronaut: np.ndarray) -> None:
        chip = astronaut[50:274, 150:374]
        aligned, matrix = align(chip, TEMPLATE)
        assert np.allclose(matrix, np.eye(2, 3), atol=1e-5)
        assert np.abs(aligned.astype(int) - chip).max() <= 1

    def test_whole_pixels_move_as_they_are(self, astronaut: np.ndarray) -> None:
        aligned, matrix = align(astronaut, TEMPLATE + np.array([150, 50]))
        assert np.allclose(matrix, [[1, 0, -150], [0, 1, -50]], atol=1e-3)
        assert np.abs(aligned.astype(int) - astronaut[50:274, 150:374]).max() <= 1

    @given(transforms)
    @settings(max_examples=60)
    def test_the_matrix_of_a_similarity_is_found_and_inverts(
        self, moved: SimilarityTransform
    ) -> None:
        landmarks = moved(TEMPLATE)
        aligned, matrix = align(PHOTO, landmarks)
        assert aligned.shape == (ALIGNED_SIZE, ALIGNED_SIZE, 3)
        assert aligned.dtype == np.uint8
        assert matrix.dtype == np.float32
        assert np.allclose(mapped(matrix, landmarks), TEMPLATE, atol=0.05)
        inverse = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
        assert np.allclose(mapped(inverse, TEMPLATE.astype(float)), landmarks, rtol=1e-3, atol=0.5)

    @given(st.lists(st.tuples(coordinate, coordinate), min_size=5, max_size=5, unique=True))
    @settings(max_examples=60)
    def test_any_landmarks_give_an_invertible_similarity(
        self, points: list[tuple[float, float]]
    ) -> None:
        landmarks = np.array(points)
        try:
            _, matrix = align(PHOTO, landmarks)
        except ValueError:  # no direction in common with the template, as for mirrored points
            assert np.std(landmarks) < 1e-3 or abs(_slope(landmarks)) < 1e-6
            return
        turn = matrix[:, :2].astype(float)
        scale = np.sqrt(np.linalg.det(turn))
        assert scale > 0
        assert np.allclose(turn @ turn.T, scale**2 * np.eye(2), rtol=1e-3, atol=1e-9)

    @given(
        transforms.filter(lambda t: t.scale > 0.2),
        st.lists(st.floats(-6, 6), min_size=10, max_size=10),
    )
    @settings(max_examples=60)
    def test_it_is_the_least_squares_fit(
        self, moved: SimilarityTransform, noise: list[float]
    ) -> None:
        landmarks = moved(TEMPLATE + np.reshape(noise, (5, 2)))
        matrix = alignment._similarity(landmarks, TEMPLATE.astype(float))
        reference = SimilarityTransform.from_estimate(landmarks, TEMPLATE)
        assert np.allclose(matrix, reference.params[:2], rtol=1e-4, atol=1e-4)

    def test_a_smooth_picture_is_seen_through_the_matrix(self) -> None:
        y, x = np.mgrid[:600, :800] + 0.5
        photo = np.stack([x / 4, y / 3, (x + y) / 7], -1).round().astype(np.uint8)
        for scale, turn in ((0.3, 0.4), (1.0, -0.7), (2.7, 0.2)):
            moved = SimilarityTransform(scale=scale, rotation=turn)
            moved += SimilarityTransform(translation=np.array([400, 300]) - moved([[112, 112]])[0])
            aligned, _ = align(photo, moved(TEMPLATE))
            j, i = np.mgrid[:224, :224] + 0.5
            px, py = (
                moved(np.stack([i.ravel(), j.ravel()], 1)).reshape(224, 224, 2).transpose(2, 0, 1)
            )
            inside = (px > 3) & (py > 3) & (px < 797) & (py < 597)
            expected = np.stack([px / 4, py / 3, (px + py) / 7], -1)
            assert np.abs(aligned - expected)[inside].max() < 1.6

    def test_shrinking_averages(self) -> None:
        board = np.indices((1200, 1200)).sum(0) % 2 * 255
        photo = np.repeat(board[..., None], 3, 2).astype(np.uint8)
        aligned, _ = align(photo, TEMPLATE * 7.3 + [20, 30])
        assert aligned.std() < 6
        assert aligned.mean() == pytest.approx(127.5, abs=2)

    def test_edge_pixels_repeat_outside_of_the_photo(self) -> None:
        flat = np.full((60, 80, 3), (10, 200, 90), np.uint8)
        for shift in ([-60, -40], [70, 50], [-900, 4000]):
            aligned, _ = align(flat, TEMPLATE + shift)
            assert (aligned == flat[0, 0]).all()

    @pytest.mark.parametrize(
        "landmarks",
        [
            np.full((5, 2), np.nan),
            np.full((5, 2), np.inf),
            np.full((5, 2), 7.0),
            np.zeros((4, 2)),
            np.zeros((5, 3)),
        ],
    )
    def test_landmarks_that_are_no_face_are_refused(self, landmarks: np.ndarray) -> None:
        with pytest.raises(ValueError, match="landmarks"):
            align(PHOTO, landmarks)


def _slope(landmarks: np.ndarray) -> complex:
    z, w = landmarks @ [1, 1j], TEMPLATE @ [1, 1j]
    return np.vdot(z - z.mean(), w - w.mean()) / np.vdot(z - z.mean(), z - z.mean())
