"""Covered queries: what is hidden, how much of the mask is on it, and what the mask gains."""

import json

import numpy as np
import pytest

from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.data.occlusion import KINDS
from daah.errors import ConfigError
from daah.evaluation.attention import face_regions
from daah.evaluation.occlusion import (
    SHARES,
    cover_queries,
    evaluate_occlusion,
    gaussian_masks,
    mass_ratio,
)
from daah.types import ALIGNED_SIZE
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> LabelledFaces:
    tree = write_tree(tmp_path_factory.mktemp("tree"), [3, 1, 2, 4] * 3)
    return detect_faces(tree, FramedFaceDetector())


def test_every_query_is_covered_and_kinds_take_turns(faces: LabelledFaces) -> None:
    hidden = cover_queries(faces)
    counts = dict(zip(*np.unique(faces.labels, return_counts=True), strict=True))
    assert hidden.query.tolist() == [i for i in range(len(faces)) if counts[faces.labels[i]] > 1]
    assert hidden.kinds.tolist() == [KINDS[i % len(KINDS)] for i in range(len(hidden.query))]
    inside = (hidden.share >= SHARES[0]) & (hidden.share <= SHARES[1])
    assert inside.mean() > 0.8
    for image, cover, index in zip(hidden.images, hidden.covers, hidden.query, strict=True):
        changed = (image != faces.aligned[index]).any(2)
        assert changed[cover].mean() > 0.9
        assert not changed[~cover].all()
    again = cover_queries(faces)
    np.testing.assert_array_equal(again.images, hidden.images)


def test_the_mass_ratio_by_hand() -> None:
    covers = np.zeros((4, 28, 28), bool)
    covers[:3, :14] = True  # half of the pixels
    masks = np.ones((4, 14, 14), np.float32)
    masks[1, :7] = 0  # closed on all that is covered
    masks[2] = 0
    assert mass_ratio(masks, covers).tolist() == [1, 0, 1, 1]
    masks[1, :7] = 0.5  # a third of the mass on half of the pixels
    assert mass_ratio(masks, covers)[1] == pytest.approx(2 / 3)


def test_gaussians_have_the_mass_of_the_masks() -> None:
    masks = np.full((2, 14, 14), 0.3, np.float32)
    masks[1] = 0.5
    bells = gaussian_masks(masks)
    assert bells.mean((1, 2)) == pytest.approx([0.3, 0.5], abs=0.02)
    assert bells[0, 7, 7] > bells[0, 0, 0]


class Blindfolded(CentreEncoder):
    """Looks where nothing is in front: its mask is open where the face is as `clean` knows it."""

    def __init__(self, clean: np.ndarray) -> None:
        super().__init__((64, 128))
        self.clean = clean.astype(np.float32)

    def encode(
        self, aligned: np.ndarray, attention: str | np.ndarray = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Masks from the nearest clean face, cell by cell."""
        cell = ALIGNED_SIZE // 14
        pixels = aligned.astype(np.float32)
        masks = np.ones((len(aligned), 14, 14), np.float32)
        if isinstance(attention, np.ndarray):
            masks = attention
        elif attention == "model":
            for i, face in enumerate(pixels):
                off = np.abs(self.clean - face).mean(3)
                nearest = off[np.argmin(np.median(off.reshape(len(off), -1), axis=1))]
                masks[i] = nearest.reshape(14, cell, 14, cell).mean((1, 3)) < 4
        grey = pixels.mean(3).reshape(-1, 14, cell, 14, cell).mean((2, 4)) - 128
        cells = (grey * masks).reshape(-1, 7, 2, 7, 2).mean((2, 4)).reshape(len(aligned), -1)
        return (cells @ self.directions).astype(np.float32), masks


def test_a_mask_that_hides_the_occluder_gains_by_it(faces: LabelledFaces) -> None:
    ours = Blindfolded(faces.aligned)
    control = CentreEncoder((64, 128), mask="flat")
    report = evaluate_occlusion(ours, faces, control)
    assert report.mass_ratio < 0.3
    assert report.face_ratio > 0.8
    first = report.scores[0]
    assert first.bits == 128
    assert first.occluded["mask"] > first.occluded["off"]
    assert first.occluded["mask"] > first.occluded["other"]
    assert first.gain_over_off[0] == pytest.approx(first.occluded["mask"] - first.occluded["off"])
    assert first.gain_over_off[1] <= first.gain_over_off[0] <= first.gain_over_off[2]
    assert first.gain_over_control is not None
    values = report.to_dict()
    assert values["map_occluded_with_mask"] == first.occluded["mask"]
    assert values["map_occluded_control"] == first.occluded["control"]
    json.dumps(report.details(), allow_nan=False)


def test_without_a_control_its_figures_are_none(faces: LabelledFaces) -> None:
    report = evaluate_occlusion(CentreEncoder((64,)), faces)
    assert [s.bits for s in report.scores] == [64]
    assert report.to_dict()["map_occluded_control"] is None
    assert report.scores[0].gain_over_control is None


def test_lengths_are_checked(faces: LabelledFaces) -> None:
    with pytest.raises(ConfigError, match="no codes of"):
        evaluate_occlusion(CentreEncoder((16,)), faces)
    with pytest.raises(ConfigError, match="no codes of"):
        evaluate_occlusion(CentreEncoder((64,)), faces, CentreEncoder((16,)))


def test_regions_of_the_queries_are_faces(faces: LabelledFaces) -> None:
    assert face_regions(faces.aligned_landmarks[:1]).mean() > 0.2
