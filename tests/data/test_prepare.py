from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.data import prepare as prepare_module
from daah.data.prepare import INDEX, NO_FACE, REPORT, aligned_landmarks, prepare, read_index
from daah.detection.alignment import TEMPLATE, align
from daah.detection.detector import FaceDetector
from daah.errors import ConfigError, DataError
from daah.images import read_image
from daah.parallel import one_thread
from daah.types import ALIGNED_SIZE
from tests.doubles.bad_images import encoded


@pytest.fixture
def tree(tmp_path: Path, orl_photos: list) -> Path:
    """Three people of ORL with two photos each, and what one meets in real trees."""
    root = tmp_path / "photos"
    for photo in (orl_photos[i] for i in (0, 1, 10, 11, 20, 21)):
        path = root / f"{photo.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(photo.rgb, "PNG"))
    (root / "s1" / "broken.jpg").write_bytes(b"\xff\xd8\xff not much of a photo")
    (root / "s1" / "wall.png").write_bytes(encoded(np.full((90, 90, 3), 99, np.uint8), "PNG"))
    (root / "s1" / "notes.txt").write_text("not a photo")
    (root / "s2" / "1.jpg").write_bytes(encoded(orl_photos[12].rgb, "JPEG"))  # beside 1.png
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def test_a_tree_of_photos_becomes_a_tree_of_faces(tree: Path, tmp_path: Path) -> None:
    report = prepare(tree, tmp_path / "faces", workers=0)
    assert (report.photos, report.people, report.saved, report.kept) == (9, 3, 7, 0)
    assert [photo for photo, _ in report.skipped] == ["s1/broken.jpg", "s1/wall.png"]
    assert "damaged" in report.skipped[0][1]
    assert report.skipped[1][1] == NO_FACE
    assert sorted(contents(tmp_path / "faces")) == sorted(
        [INDEX, REPORT, "s1/1.jpg", "s1/2.jpg", "s2/1.jpg.jpg", "s2/1.png.jpg", "s2/2.jpg"]
        + [f"s3/{number}.jpg" for number in (1, 2)]
    )
    for path in (tmp_path / "faces").rglob("*.jpg"):
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (ALIGNED_SIZE, ALIGNED_SIZE))


def test_the_index_leads_from_photo_to_face(
    tree: Path, tmp_path: Path, detector: FaceDetector
) -> None:
    prepare(tree, tmp_path / "faces", workers=0, file_format="png")
    index = read_index(tmp_path / "faces")
    assert list(index) == sorted(index)
    assert len(index) == 9
    entry = index["s3/1.png"]
    rgb = read_image(tree / entry.photo)
    with one_thread():
        (face,) = detector.detect(rgb)
    assert (entry.faces, entry.shape, entry.reason) == (1, (112, 92), "")
    assert np.allclose(entry.box, face.box, atol=0.01)
    assert np.allclose(entry.landmarks, face.landmarks, atol=0.01)
    assert np.allclose(entry.matrix, face.matrix, atol=1e-5)
    assert entry.score == pytest.approx(face.score, abs=1e-4)
    assert np.array_equal(read_image(tmp_path / "faces" / entry.face), face.aligned)
    again, _ = align(rgb, np.array(entry.landmarks))
    assert np.abs(again.astype(int) - face.aligned).mean() < 0.5
    wall = index["s1/wall.png"]
    assert (wall.face, wall.reason, wall.landmarks, wall.shape) == ("", NO_FACE, None, (90, 90))
    assert index["s1/broken.jpg"].shape is None


def test_the_report_says_what_was_skipped_and_why(tree: Path, tmp_path: Path) -> None:
    report = prepare(tree, tmp_path / "faces", workers=0)
    written = json.loads((tmp_path / "faces" / REPORT).read_text())
    assert written["settings"]["format"] == "jpg"
    assert written["skipped"][1] == {"photo": "s1/wall.png", "reason": NO_FACE}
    assert written["reasons"][NO_FACE] == 1
    assert sum(written["reasons"].values()) == len(report.skipped) == 2
    assert written == {"settings": written["settings"]} | report.to_dict()


def test_a_second_run_changes_nothing(tree: Path, tmp_path: Path, monkeypatch) -> None:
    faces = tmp_path / "faces"
    prepare(tree, faces, workers=0)
    before = contents(faces)
    monkeypatch.setattr(prepare_module, "FaceDetector", None)  # there is nothing left to detect
    monkeypatch.setattr(prepare_module, "_prepare_one", None)
    monkeypatch.setattr(prepare_module, "ordered_map", lambda _, jobs, *__: iter(jobs))
    report = prepare(tree, faces, workers=0)
    assert (report.saved, report.kept, len(report.skipped)) == (0, 9, 2)
    after = contents(faces)
    del before[REPORT], after[REPORT]  # it tells of the last run
    assert before == after


def test_only_what_is_new_changed_or_lost_is_done_again(
    tree: Path, tmp_path: Path, orl_photos: list
) -> None:
    faces = tmp_path / "faces"
    prepare(tree, faces, workers=0)
    (faces / "s1" / "1.jpg").unlink()
    (tree / "s1" / "wall.png").write_bytes(encoded(orl_photos[3].rgb, "PNG"))
    (tree / "s3" / "1.png").write_bytes(encoded(np.zeros((80, 80, 3), np.uint8), "PNG"))
    (tree / "s3" / "9.png").write_bytes(encoded(orl_photos[28].rgb, "PNG"))
    report = prepare(tree, faces, workers=0)
    assert (report.saved, report.kept) == (3, 6)
    assert [photo for photo, _ in report.skipped] == ["s1/broken.jpg", "s3/1.png"]
    assert (faces / "s1" / "wall.jpg").is_file()
    assert not (faces / "s3" / "1.jpg").exists()


def test_two_trees_may_go_into_one(tree: Path, tmp_path: Path, orl_photos: list) -> None:
    other = tmp_path / "more" / "zoe"
    other.mkdir(parents=True)
    (other / "a.png").write_bytes(encoded(orl_photos[50].rgb, "PNG"))
    prepare(tree, tmp_path / "faces", workers=0)
    report = prepare(tmp_path / "more", tmp_path / "faces", workers=0)
    assert (report.photos, report.saved, report.skipped) == (1, 1, ())
    assert len(read_index(tmp_path / "faces")) == 10


@pytest.mark.slow
def test_worker_processes_do_the_same(tmp_path: Path, orl_photos: list) -> None:
    root = tmp_path / "photos"
    for photo in orl_photos[:20]:
        path = root / f"{photo.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(photo.rgb, "PNG"))
    calls = []
    one = prepare(root, tmp_path / "a", workers=0, progress=lambda *call: calls.append(call))
    two = prepare(root, tmp_path / "b", workers=2)
    assert (one.saved, two.saved) == (20, 20)
    assert calls[0] == (0, 20, "Aligning faces")
    assert calls[-1] == (20, 20, "Aligning faces")
    a, b = contents(tmp_path / "a"), contents(tmp_path / "b")
    del a[REPORT], b[REPORT]
    assert a == b


_RUN = """
import os, signal, sys
from pathlib import Path
from daah.data.prepare import prepare

def kill(done, total, text):
    if done >= 7:
        os.kill(os.getpid(), signal.SIGKILL)

prepare(*map(Path, sys.argv[1:]), workers=0, progress=kill)
"""


@pytest.mark.slow
def test_a_killed_run_is_gone_on_with(tmp_path: Path, orl_photos: list) -> None:
    root, faces = tmp_path / "photos", tmp_path / "faces"
    for photo in orl_photos[:30]:
        path = root / f"{photo.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(photo.rgb, "PNG"))
    command = [sys.executable, "-c", _RUN, str(root), str(faces)]
    run = subprocess.run(command, cwd=Path(prepare_module.__file__).parents[2])
    assert run.returncode == -signal.SIGKILL
    saved = [path for path in faces.rglob("*.jpg") if not path.name.startswith(".")]
    assert 7 <= len(saved) < 30
    for path in saved:
        assert read_image(path).shape == (ALIGNED_SIZE, ALIGNED_SIZE, 3)
    report = prepare(root, faces, workers=0)
    assert 7 <= report.kept < 30
    assert report.kept + report.saved == 30
    fresh = prepare(root, tmp_path / "fresh", workers=0)
    assert fresh.saved == 30
    a, b = contents(faces), contents(tmp_path / "fresh")
    del a[REPORT], b[REPORT]
    assert {k: v for k, v in a.items() if not k.endswith(".tmp")} == b


def test_a_torn_last_line_is_forgotten(tree: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    prepare(tree, faces, workers=0)
    whole = (faces / INDEX).read_bytes()
    (faces / INDEX).write_bytes(whole[:-40])
    assert len(read_index(faces)) == 8
    report = prepare(tree, faces, workers=0)
    assert (report.saved, report.kept) == (1, 8)
    assert (faces / INDEX).read_bytes() == whole


def test_a_damaged_index_is_a_named_error(tree: Path, tmp_path: Path) -> None:
    faces = tmp_path / "faces"
    prepare(tree, faces, workers=0)
    lines = (faces / INDEX).read_text().splitlines(keepends=True)
    for damage in ("not JSON\n", "[1]\n", '{"photo": "a"}\n'):
        (faces / INDEX).write_text("".join([lines[0], damage, *lines[2:]]))
        with pytest.raises(DataError, match="line 2"):
            read_index(faces)
        with pytest.raises(DataError, match="line 2"):
            prepare(tree, faces, workers=0)
    with pytest.raises(DataError, match=INDEX):
        read_index(tmp_path)


def test_landmarks_on_faces_are_near_the_template_in_the_order_asked_for(
    tree: Path, tmp_path: Path
) -> None:
    faces, more = tmp_path / "faces", tmp_path / "more"
    for folder in (faces, more):
        prepare(tree, folder, workers=0)
    names = ["more/s3/1.jpg", "faces/s1/2.jpg", "faces/s2/1.png.jpg"]
    points = aligned_landmarks([faces, more], names)
    assert points.shape == (3, 5, 2)
    # A similarity transform brings five points only near to five others.
    assert np.abs(points - TEMPLATE).max() < 25
    assert np.abs((points - TEMPLATE).mean(1)).max() < 1
    entry = read_index(faces)["s1/2.png"]
    matrix = np.array(entry.matrix)
    for found, (x, y) in zip(points[1], entry.landmarks, strict=True):
        np.testing.assert_allclose(found, matrix @ [x, y, 1])
    with pytest.raises(DataError, match=r"faces/s1/wall\.jpg: not in the faces\.jsonl.*again"):
        aligned_landmarks([faces], ["faces/s1/wall.jpg"])
    with pytest.raises(DataError, match=r"no faces\.jsonl"):
        aligned_landmarks([tmp_path], [])


def test_a_folder_prepared_in_another_way_is_refused(tree: Path, tmp_path: Path) -> None:
    prepare(tree, tmp_path / "faces", workers=0)
    with pytest.raises(DataError, match="another way"):
        prepare(tree, tmp_path / "faces", workers=0, file_format="png")
    with pytest.raises(DataError, match="another way"):
        prepare(tree, tmp_path / "faces", workers=0, min_face=60)


def test_impossible_places_and_settings_are_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder"):
        prepare(tmp_path / "nowhere", tmp_path / "faces")
    for inside in (tree, tree / "faces"):
        with pytest.raises(DataError, match="outside"):
            prepare(tree, inside)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="output folder"):
        prepare(tree, tmp_path / "file")
    with pytest.raises(ConfigError, match="bmp"):
        prepare(tree, tmp_path / "faces", file_format="bmp")
    with pytest.raises(ConfigError, match="workers"):
        prepare(tree, tmp_path / "faces", workers=-1)


def test_a_full_disk_is_a_named_error(tree: Path, tmp_path: Path, monkeypatch) -> None:
    faces = tmp_path / "faces"
    prepare(tree, faces, workers=0)
    (faces / "s1" / "1.jpg").unlink()

    def full(*_) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(prepare_module, "_prepare_one", full)
    with pytest.raises(DataError, match="No space left"):
        prepare(tree, faces, workers=0)
    assert len(read_index(faces)) == 9


def test_crops_aligned_as_arcface_does_change_their_frame_alone(tmp_path: Path) -> None:
    """Landmarks painted where ArcFace has them end up where our template has them."""
    crop = np.full((112, 112, 3), 40, np.uint8)
    for x, y in TEMPLATE / 2:
        rows, columns = np.ogrid[:112, :112]
        crop[(rows + 0.5 - y) ** 2 + (columns + 0.5 - x) ** 2 < 9] = 250
    (tmp_path / "crops" / "somebody").mkdir(parents=True)
    path = tmp_path / "crops" / "somebody" / "face.png"
    path.write_bytes(encoded(crop, "PNG"))
    prepare(tmp_path / "crops", tmp_path / "faces", workers=0, file_format="png", cropped=True)
    aligned = read_image(tmp_path / "faces" / "somebody" / "face.png")
    for x, y in TEMPLATE:
        rows, columns = np.mgrid[int(y) - 12 : int(y) + 13, int(x) - 12 : int(x) + 13]
        light = aligned[rows, columns, 0].astype(float) - 40
        assert (light * (rows + 0.5)).sum() / light.sum() == pytest.approx(y, abs=0.7)
        assert (light * (columns + 0.5)).sum() / light.sum() == pytest.approx(x, abs=0.7)
    with pytest.raises(DataError, match="another way"):
        prepare(tmp_path / "crops", tmp_path / "faces", workers=0, file_format="png")
