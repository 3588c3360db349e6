"""Protocol 4 on masks whose faithfulness is known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from daah.data.labelled_faces import detect_faces
from daah.detection.alignment import TEMPLATE
from daah.errors import ConfigError
from daah.evaluation.attention import (
    FRACTIONS,
    encode_with_masks,
    evaluate_attention,
    face_regions,
    fidelity_curves,
    inside_mass_ratio,
)
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, person_face, write_tree

KEYS = {
    "images",
    "inside_mass_ratio",
    "deletion",
    "deletion_random",
    "deletion_gaussian",
    "insertion",
    "insertion_random",
    "insertion_gaussian",
    "mask_spread_within",
    "mask_spread_between",
    "map_with_mask",
    "map_without_mask",
}


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), [3, 2, 2, 1, 2])


def test_the_json_is_the_contracts(tree):
    faces = detect_faces(tree, FramedFaceDetector())
    report = evaluate_attention(CentreEncoder(), faces, sample=4)
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert set(values) == KEYS
    assert values["images"] == 10
    assert json.loads(json.dumps(report.details()))["sample"] == 4
    # The mask is one disc for everybody, which covers less than the face and is inside of it.
    assert values["mask_spread_between"] == pytest.approx(0, abs=1e-6)
    assert values["mask_spread_within"] > 0.3
    assert 1.5 < values["inside_mass_ratio"] < 2.5
    assert report.by_context[1.0] == pytest.approx(values["inside_mass_ratio"])
    assert report.by_context[2.0] > report.by_context[1.0]
    assert values["map_with_mask"] > 0.5
    assert values["map_without_mask"] > 0.5


def test_a_uniform_mask_has_ratio_one_and_no_spread(tree):
    faces = detect_faces(tree, FramedFaceDetector())
    report = evaluate_attention(CentreEncoder(mask="flat"), faces, sample=2)
    assert report.inside_mass_ratio == pytest.approx(1)
    assert report.mask_spread_within == pytest.approx(0, abs=1e-6)


def test_ratio_of_masks_inside_outside_and_empty():
    region = np.zeros((1, 4, 4), bool)
    region[:, :, :1] = True
    inside = region.astype(np.float32)
    assert inside_mass_ratio(inside, region) == pytest.approx(4)
    assert inside_mass_ratio(1 - inside, region) == 0
    assert inside_mass_ratio(np.full_like(inside, 0.3), region) == pytest.approx(1)
    assert inside_mass_ratio(np.zeros_like(inside), region) == pytest.approx(1)
    both = np.concatenate([inside, 1 - inside])
    assert inside_mass_ratio(both, np.repeat(region, 2, 0)) == pytest.approx(2)


def test_the_face_region_reaches_from_the_brows_to_the_chin_and_no_further():
    region = face_regions(TEMPLATE[None])[0]
    for x, y in TEMPLATE.astype(int):
        assert region[y, x]
    brow, chin, cheek = (75, 112), (215, 112), (147, 50)
    hair, neck, ear = (51, 112), (222, 112), (147, 23)
    assert all(region[place] for place in (brow, chin, cheek))
    assert not any(region[place] for place in (hair, neck, ear))
    assert 0.32 < region.mean() < 0.44


def test_the_face_region_follows_scale_and_place():
    middle = TEMPLATE.mean(0)
    whole = face_regions(TEMPLATE[None])[0]
    small = face_regions((middle + (TEMPLATE - middle) / 2)[None])[0]
    assert small.mean() == pytest.approx(whole.mean() / 4, rel=0.05)
    moved = face_regions((TEMPLATE + np.array([10, 0]))[None])[0]
    np.testing.assert_array_equal(moved, np.roll(whole, 10, axis=1))


def faces_and_mask(count: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Faces, and a mask that points at the only place that the encoder below looks at."""
    faces = np.stack([person_face(i, 0) for i in range(count)])
    mask = np.zeros((224, 224), np.float32)
    mask[134:179, 45:90] = 1
    return faces, np.repeat(mask[None], count, axis=0)


def corner_encoder(images: np.ndarray) -> np.ndarray:
    """Logits from the details of one patch, away from the middle; nothing else matters."""
    patch = images[:, 134:179, 45:90].mean(3, dtype=np.float32)
    cells = patch.reshape(-1, 15, 3, 15, 3).mean((2, 4))
    cells = cells - cells.mean((1, 2), keepdims=True)
    return cells.reshape(len(images), -1) @ np.random.default_rng(0).normal(size=(225, 64))


def test_a_mask_that_points_at_what_matters_wins_both_curves():
    faces, masks = faces_and_mask()
    curves = fidelity_curves(corner_encoder, faces, masks, np.random.default_rng(0))
    assert curves.fractions.tolist() == list(FRACTIONS)
    # The patch is 4% of the pixels: gone, or back, with the first tenth.
    assert curves.deletion[0] == pytest.approx(curves.blurred)
    assert curves.insertion[0] == 0
    assert curves.deletion.mean() > curves.deletion_random.mean() + 0.05
    assert curves.insertion.mean() < curves.insertion_random.mean() - 0.05
    assert curves.insertion.mean() < curves.insertion_gaussian.mean() - 0.05


def test_a_mask_that_points_elsewhere_loses_to_chance():
    faces, masks = faces_and_mask()
    curves = fidelity_curves(corner_encoder, faces, 1 - masks, np.random.default_rng(0))
    assert curves.deletion.mean() < curves.deletion_random.mean()
    assert curves.insertion.mean() > curves.insertion_random.mean()


def test_a_flat_mask_is_ordered_at_random_rather_than_by_rows():
    faces, masks = faces_and_mask(3)
    seen: list[np.ndarray] = []

    def watch(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return corner_encoder(images)

    fidelity_curves(watch, faces, np.ones_like(masks), np.random.default_rng(0))
    face, half_deleted = seen[0][0], seen[0][2 + 2 * 4]
    changed = (face != half_deleted).any(2)
    assert changed[:112].mean() == pytest.approx(changed[112:].mean(), abs=0.1)


def test_what_is_next_to_a_sharp_edge_is_ordered_as_its_cells_are():
    """Bicubic falls below 0 around the edge, and would put a ring behind the farthest corner."""
    face = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    distance = np.hypot(*(np.mgrid[:14, :14] - 6.5))
    mask = np.where(distance < 3, 1, 0.02 * np.exp(-distance / 5))[None]
    seen: list[np.ndarray] = []

    def watch(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.ones((len(images), 8))

    fidelity_curves(watch, face, mask, np.random.default_rng(0))
    half = (seen[0][2 + 2 * 4] != face[0]).any(2)  # half of the pixels are deleted
    pixels = np.hypot(*(np.mgrid[:224, :224] - 111.5)) / 16
    assert half[(pixels > 3.5) & (pixels < 4.5)].mean() > 0.95
    assert not half[pixels > 7].any()


def test_every_order_removes_the_same_number_of_pixels():
    face = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    seen: list[np.ndarray] = []

    def watch(images: np.ndarray) -> np.ndarray:
        seen.append(images)
        return np.ones((len(images), 8))

    mask = np.random.default_rng(1).random((1, 224, 224)).astype(np.float32)
    fidelity_curves(watch, face, mask, np.random.default_rng(0))
    face, blurred, *rest = seen[0]
    assert len(rest) == 3 * len(FRACTIONS) * 2
    differs = (face != blurred).any(2).mean()
    for order in range(3):
        for i, fraction in enumerate(FRACTIONS):
            deleted, inserted = rest[2 * (order * len(FRACTIONS) + i) :][:2]
            assert (deleted != face).any(2).mean() == pytest.approx(fraction * differs, abs=0.01)
            assert (inserted != blurred).any(2).mean() == pytest.approx(
                fraction * differs, abs=0.01
            )


def test_masks_come_back_in_the_order_of_the_faces():
    faces = np.stack([person_face(i, 0) for i in range(130)])
    encoder = CentreEncoder()
    encoder.encode = lambda aligned, attention="model": (
        np.zeros((len(aligned), 64), np.float32),
        aligned.mean(3) / 255,
    )
    _, masks = encode_with_masks(encoder, faces)
    np.testing.assert_allclose(masks, faces.mean(3) / 255)


def test_given_masks_go_with_their_faces_through_all_batches() -> None:
    count = 70  # more than one batch
    faces = np.random.default_rng(0).integers(0, 256, (count, 224, 224, 3), np.uint8)
    masks = np.linspace(0, 1, count, dtype=np.float32)[:, None, None] * np.ones((1, 14, 14))
    _, back = encode_with_masks(CentreEncoder(), faces, masks.astype(np.float32))
    np.testing.assert_array_equal(back, masks.astype(np.float32))


def test_an_encoder_without_64_bits_is_refused(tree):
    faces = detect_faces(tree, FramedFaceDetector())
    with pytest.raises(ConfigError, match=r"no codes of \[64\] bits"):
        evaluate_attention(CentreEncoder(lengths=(16, 48)), faces)
