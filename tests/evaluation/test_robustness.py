"""Protocol 5: damaged queries in a clean database, and groups measured from pixels."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from daah import codes, metrics
from daah.data.labelled_faces import detect_faces, read_aligned
from daah.evaluation.corruptions import LUMA, blur, cover
from daah.evaluation.robustness import attributes, corrupted_queries, groups, kinds
from daah.metrics.leave_one_out import leave_one_out, pair_distances
from tests.doubles.faces import CentreEncoder, FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    counts = [3, 1, 2, 4] * 6
    return detect_faces(write_tree(tmp_path_factory.mktemp("tree"), counts), FramedFaceDetector())


DAMAGES = {
    "blur": {20.0: blur(20.0), 1.0: blur(1.0)},
    "covered": {1: cover(0, 224, 0, 224, level=0)},
}


def test_the_clean_row_is_protocol_one_and_damage_costs(faces):
    encoder = CentreEncoder()
    scores = corrupted_queries(encoder, faces, 64, DAMAGES)
    assert [(s.kind, s.value) for s in scores] == [
        ("clean", 0),
        ("blur", 20.0),
        ("blur", 1.0),
        ("covered", 1),
    ]
    clean, strong, weak, covered = scores
    assert clean.map == leave_one_out(encoder.encode(faces.aligned)[0], faces.labels, 64).map
    assert clean.map - weak.map < 0.02
    assert strong.map < weak.map
    assert covered.map < 0.3
    assert covered.tar <= clean.tar
    assert clean.rank1_ci95[0] <= clean.rank1 <= clean.rank1_ci95[1]


def test_damage_pairs_a_damaged_face_with_clean_ones_only(faces):
    # Everything damaged is one picture: pairs of damaged faces would all be at distance 0, and the
    # false accepts among them would leave no threshold.
    encoder = CentreEncoder()
    *_, covered = corrupted_queries(encoder, faces, 64, {"covered": DAMAGES["covered"]})
    packed = codes.pack(codes.sign(encoder.encode(faces.aligned)[0]))
    black = codes.pack(codes.sign(encoder.encode(np.zeros_like(faces.aligned[:1]))[0]))
    labels, counts = np.unique(faces.labels, return_counts=True)
    with_mates = np.isin(faces.labels, labels[counts > 1])
    to_black = codes.hamming(packed, black)[:, 0]
    genuine, impostor = [], []
    for i in np.flatnonzero(with_mates):
        for j in range(len(faces)):
            if with_mates[j] and j <= i:
                continue
            (genuine if faces.labels[i] == faces.labels[j] else impostor).append(to_black[j])
    assert covered.tar == metrics.tar_at_far(np.array(genuine), np.array(impostor), 1e-3).tar


def test_damage_scores_are_sorted_by_kind_and_value(faces):
    by_kind = kinds(corrupted_queries(CentreEncoder(), faces, 16, DAMAGES))
    assert {kind: [s.value for s in rows] for kind, rows in by_kind.items()} == {
        "blur": [1.0, 20.0],
        "covered": [1],
    }


def test_attributes_are_what_was_painted(faces):
    measured = attributes(faces)
    assert set(measured) == {"face_width", "turn", "sharpness", "brightness", "skin_luma"}
    luma = faces.aligned.astype(float) @ LUMA
    np.testing.assert_allclose(measured["brightness"], luma.mean((1, 2)), rtol=1e-4)
    assert (measured["face_width"] == 160).all()
    assert measured["turn"] == pytest.approx(np.full(len(faces), 0.0), abs=0.01)
    # Half-way between the template's eyes and mouth corners.
    cheeks = np.r_["1", luma[:, 136:153, 72:89], luma[:, 136:153, 136:153]].reshape(len(faces), -1)
    np.testing.assert_allclose(measured["skin_luma"], np.median(cheeks, axis=1), atol=6)


def test_a_turned_face_and_a_blurred_one_are_told(faces):
    turned = faces.landmarks.copy()
    turned[:, 2, 0] += 35.2  # half of the distance between the eyes
    moved = attributes(type(faces)(**{**vars(faces), "landmarks": turned}))
    assert moved["turn"] == pytest.approx(np.full(len(faces), 0.5), abs=0.01)
    soft = np.stack([blur(5.5)(face) for face in faces.aligned])
    blurred = attributes(type(faces)(**{**vars(faces), "aligned": soft}))
    assert (blurred["sharpness"] < attributes(faces)["sharpness"]).all()


def test_groups_divide_the_queries_and_their_mean_is_the_whole(faces):
    encoder = CentreEncoder()
    rows = [row for row in groups(encoder, faces, 64) if row.attribute == "brightness"]
    assert [row.group for row in rows] == [0, 1, 2, 3]
    whole = leave_one_out(encoder.encode(faces.aligned)[0], faces.labels, 64)
    queries = sum(row.queries for row in rows)
    assert sum(row.map * row.queries for row in rows) / queries == pytest.approx(whole.map)
    assert sum(row.rank1 * row.queries for row in rows) / queries == pytest.approx(whole.rank1)
    assert all(a.high <= b.low for a, b in itertools.pairwise(rows))


def test_groups_are_judged_by_one_threshold_for_all(faces):
    encoder = CentreEncoder()
    packed = codes.pack(codes.sign(encoder.encode(faces.aligned)[0]))
    threshold = metrics.tar_at_far(*pair_distances(packed, faces.labels), 1e-3).threshold
    rows = groups(encoder, faces, 64, quantiles=2)
    assert {row.threshold for row in rows} == {threshold}
    row = next(row for row in rows if row.attribute == "skin_luma")
    inside = attributes(faces)["skin_luma"] <= row.high
    accepted = codes.hamming(packed, packed) <= threshold
    same = faces.labels[:, None] == faces.labels
    others = same & ~np.eye(len(faces), dtype=bool)
    assert row.tar == pytest.approx(accepted[inside][others[inside]].mean())
    within = np.ix_(inside, inside)
    assert row.far == pytest.approx(accepted[within][~same[within]].mean())
    assert row.tar_ci95[0] <= row.tar <= row.tar_ci95[1]
    json.dumps(row.to_dict(), allow_nan=False)


def test_an_attribute_that_never_varies_is_one_group(faces):
    rows = [row for row in groups(CentreEncoder(), faces, 16) if row.attribute == "face_width"]
    assert len(rows) == 1
    assert rows[0].low == rows[0].high == 160


def test_aligned_crops_have_no_width_to_be_grouped_by(tmp_path):
    crops = read_aligned(write_tree(tmp_path, [2, 2], framed=False))
    assert "face_width" not in attributes(crops)
