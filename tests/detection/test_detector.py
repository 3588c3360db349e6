from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from facenet_pytorch import MTCNN
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from skimage import data

from daah.detection import detector as detection_detector
from daah.detection import pyramid
from daah.detection.alignment import TEMPLATE, align
from daah.detection.detector import DETECTION_SIDE, FaceDetector, principal_face
from daah.images import read_image, shrink
from daah.types import ALIGNED_SIZE, Face
from tests.doubles.bad_images import encoded, with_orientation


def resized(rgb: np.ndarray, scale: float) -> np.ndarray:
    height, width = rgb.shape[:2]
    size = round(width * scale), round(height * scale)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))


def head(astronaut: np.ndarray) -> np.ndarray:
    """The astronaut's head alone, 200 x 180, with a face about 87 pixels wide."""
    return astronaut[20:220, 140:320]


def on_canvas(width: int, height: int, pasted: list[tuple[np.ndarray, int, int]]) -> np.ndarray:
    canvas = np.full((height, width, 3), (96, 110, 120), np.uint8)
    for rgb, x, y in pasted:
        canvas[y : y + rgb.shape[0], x : x + rgb.shape[1]] = rgb
    return canvas


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    """Intersection over union of two boxes."""
    shared = np.prod(np.maximum(np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2]), 0))
    return float(shared / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - shared))


def mapped(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    return points @ matrix[:, :2].T + matrix[:, 2]


class TestDetect:
    def test_the_astronaut_has_one_face(
        self, detector: FaceDetector, astronaut: np.ndarray
    ) -> None:
        (face,) = detector.detect(astronaut)
        assert overlap(face.box, np.array([180, 60, 270, 175])) > 0.75
        assert face.score > 0.99
        inside = (face.landmarks > face.box[:2]) & (face.landmarks < face.box[2:])
        assert inside.all()
        left, right, nose, left_mouth, right_mouth = face.landmarks
        assert left[0] < nose[0] < right[0]
        assert left[1] < nose[1] < left_mouth[1]
        assert left_mouth[0] < right_mouth[0]

    def test_the_face_is_aligned(self, detector: FaceDetector, astronaut: np.ndarray) -> None:
        (face,) = detector.detect(astronaut)
        off = mapped(face.matrix, face.landmarks) - TEMPLATE
        assert np.sqrt((off**2).sum(1)).max() < 16  # of 224 pixels: the head is turned
        again, matrix = align(astronaut, face.landmarks)
        assert np.array_equal(again, face.aligned)
        assert np.array_equal(matrix, face.matrix)

    def test_it_finds_what_the_package_finds(
        self, detector: FaceDetector, astronaut: np.ndarray, orl_photos: list
    ) -> None:
        package = MTCNN(keep_all=True)
        # Well inside of the photo: at its border the package squeezes the face.
        people = [(p.rgb, 30 + 150 * i, 40) for i, p in enumerate(orl_photos[5:60:10])]
        for rgb in (astronaut, resized(astronaut, 2.3), on_canvas(960, 200, people)):
            boxes, _, landmarks = package.detect(Image.fromarray(rgb), landmarks=True)
            found = detector.detect(rgb)
            assert len(found) == len(boxes)
            for face in found:
                nearest = max(range(len(boxes)), key=lambda i: overlap(face.box, boxes[i]))
                assert overlap(face.box, boxes[nearest].astype(float)) > 0.7
                off = np.abs(landmarks[nearest].astype(float) - face.landmarks)
                assert off.mean() < 0.04 * face.width

    def test_a_grey_photo(self, detector: FaceDetector, astronaut: np.ndarray) -> None:
        grey = np.array(Image.fromarray(astronaut).convert("L").convert("RGB"))
        (face,) = detector.detect(grey)
        (colour,) = detector.detect(astronaut)
        assert overlap(face.box, colour.box) > 0.7

    def test_three_faces_largest_first(self, detector: FaceDetector, astronaut: np.ndarray) -> None:
        one = head(astronaut)
        places = [(0.6, 40, 60), (2.0, 300, 40), (1.0, 740, 300)]
        photo = on_canvas(1000, 560, [(resized(one, s), x, y) for s, x, y in places])
        found = detector.detect(photo)
        assert len(found) == 3
        widths = [face.width for face in found]
        assert widths == sorted(widths, reverse=True)
        (alone,) = detector.detect(one)
        for face, (scale, x, y) in zip(found, [places[1], places[2], places[0]], strict=True):
            assert overlap(face.box, alone.box * scale + [x, y, x, y]) > 0.7
            landmarks = alone.landmarks * scale + [x, y]
            assert np.abs(face.landmarks - landmarks).mean() < 0.03 * face.width

    def test_fifty_faces(self, detector: FaceDetector, astronaut: np.ndarray) -> None:
        small = resized(head(astronaut), 0.6)  # 120 x 108
        places = [(small, 10 + 118 * (i % 10), 10 + 130 * (i // 10)) for i in range(50)]
        found = detector.detect(on_canvas(1200, 680, places))
        assert len(found) == 50

    @pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket", "coins", "moon", "brick"])
    def test_a_photo_without_a_face(self, detector: FaceDetector, name: str) -> None:
        photo = np.array(Image.fromarray(getattr(data, name)()).convert("RGB"))
        assert detector.detect(photo) == []

    def test_noise_and_flat_colours_have_no_face(self, detector: FaceDetector) -> None:
        noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
        for photo in (noise, np.zeros_like(noise), np.full_like(noise, 255)):
            assert detector.detect(photo) == []

    @pytest.mark.parametrize(
        "shape", [(1, 1), (2, 3), (5, 7), (11, 11), (12, 12), (19, 19), (20000, 1), (1, 20000)]
    )
    def test_tiny_and_thin_photos(self, detector: FaceDetector, shape: tuple[int, int]) -> None:
        assert detector.detect(np.full((*shape, 3), 128, np.uint8)) == []

    @pytest.mark.parametrize("width", [22, 30, 40])
    def test_a_small_face_in_a_small_photo(
        self, detector: FaceDetector, astronaut: np.ndarray, width: int
    ) -> None:
        small = resized(head(astronaut), width / 87)
        photo = on_canvas(320, 240, [(small, 130, 90)])
        (face,) = detector.detect(photo)
        assert face.width == pytest.approx(width, rel=0.25)

    def test_a_photo_that_the_face_fills(
        self, detector: FaceDetector, astronaut: np.ndarray
    ) -> None:
        (whole,) = detector.detect(astronaut)
        x0, y0, x1, y1 = whole.box.round().astype(int)
        grow = -0.06 * whole.width
        x0, y0, x1, y1 = (int(v) for v in (x0 - grow, y0 - grow, x1 + grow, y1 + grow))
        (face,) = detector.detect(astronaut[y0:y1, x0:x1])
        off = face.landmarks + np.array([x0, y0]) - whole.landmarks
        assert np.abs(off).mean() < 0.05 * whole.width

    @pytest.mark.parametrize("side", ["left", "right", "top", "bottom"])
    def test_a_face_at_the_border(
        self, detector: FaceDetector, astronaut: np.ndarray, side: str
    ) -> None:
        (whole,) = detector.detect(astronaut)
        x0, y0, x1, y1 = whole.box.round().astype(int)
        cut = int(0.15 * whole.width)
        part, offset = {
            "left": (astronaut[:, x0 + cut :], (x0 + cut, 0)),
            "right": (astronaut[:, : x1 - cut], (0, 0)),
            "top": (astronaut[y0 + cut :], (0, y0 + cut)),
            "bottom": (astronaut[: y1 - cut], (0, 0)),
        }[side]
        (face,) = detector.detect(part)
        assert np.abs(face.landmarks + offset - whole.landmarks).mean() < 0.04 * whole.width
        height, width = part.shape[:2]
        assert face.box.min() >= 0
        assert face.box[2] <= width
        assert face.box[3] <= height

    @pytest.mark.slow
    def test_every_photo_of_orl_has_one_face(
        self, detector: FaceDetector, orl_photos: list
    ) -> None:
        assert [len(detector.locate(photo.rgb).scores) for photo in orl_photos] == [1] * 400

    def test_the_same_photo_gives_the_same_faces(
        self, detector: FaceDetector, astronaut: np.ndarray
    ) -> None:
        first, second = detector.locate(astronaut), FaceDetector().locate(astronaut.copy())
        for a, b in zip(first, second, strict=True):
            assert np.array_equal(a, b)

    def test_a_rotated_file_gives_the_same_faces(
        self, detector: FaceDetector, astronaut: np.ndarray
    ) -> None:
        (expected,) = detector.detect(astronaut)
        for orientation in range(1, 9):
            stored, exif = with_orientation(astronaut, orientation)
            photo = read_image(encoded(stored, "PNG", exif=exif, compress_level=1))
            (face,) = detector.detect(photo)
            assert np.array_equal(face.box, expected.box)
            assert np.array_equal(face.aligned, expected.aligned)

    def test_photos_at_the_same_time_do_not_mix(
        self, detector: FaceDetector, orl_photos: list
    ) -> None:
        photos = [photo.rgb for photo in orl_photos[:40:5]]
        expected = [detector.locate(photo) for photo in photos]
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(detector.locate, photos * 3))
        for got, want in zip(found, expected * 3, strict=True):
            assert np.allclose(got[0], want[0], atol=0.01)

    def test_of_many_faces_the_largest_are_found(
        self, detector: FaceDetector, astronaut: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        one = head(astronaut)
        scales = (0.6, 1.0, 0.7, 1.4, 0.8)
        photo = on_canvas(
            1500, 320, [(resized(one, s), 20 + 290 * i, 20) for i, s in enumerate(scales)]
        )
        every = detector.find(photo)
        assert (len(every.faces), every.left_out) == (5, 0)
        monkeypatch.setattr(detection_detector, "MOST_FACES", 2)
        some = detector.find(photo)
        assert (len(some.faces), some.left_out) == (2, 3)
        for kept, face in zip(some.faces, every.faces, strict=False):
            assert np.array_equal(kept.box, face.box)
            assert np.array_equal(kept.aligned, face.aligned)
        assert len(detector.detect(photo)) == 2

    def test_a_mosaic_of_more_than_a_thousand_faces(
        self, detector: FaceDetector, orl_photos: list, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor do the networks look at more than a bounded number of pieces."""
        looked: dict[int, int] = {}
        crops = pyramid.ReducedPhoto.crops

        def counted(photo: pyramid.ReducedPhoto, boxes: np.ndarray, side: int) -> np.ndarray:
            looked[side] = looked.get(side, 0) + len(boxes)
            return crops(photo, boxes, side)

        monkeypatch.setattr(pyramid.ReducedPhoto, "crops", counted)
        width, height = 40, 48
        people = [
            (np.array(Image.fromarray(photo.rgb).resize((width, height))), x, y)
            for photo, (x, y) in zip(
                itertools.cycle(orl_photos),
                itertools.product(range(0, 1600, width), range(0, 1552, height)),
                strict=False,
            )
        ]
        assert len(people) > 1300
        found = detector.find(on_canvas(1600, 1600, people))
        assert len(found.faces) == detection_detector.MOST_FACES
        assert found.left_out > 50
        assert looked[24] <= detection_detector._MOST_TO_RNET
        assert looked[48] <= detection_detector._MOST_TO_ONET + detection_detector.MOST_FACES

    def test_however_many_candidates_there_are_work_is_bounded(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, most in (("_MOST_OF_LEVEL", 40), ("_MOST_TO_RNET", 30), ("_MOST_TO_ONET", 20)):
            monkeypatch.setattr(detection_detector, name, most)
        monkeypatch.setattr(detection_detector, "_BATCH", (7, 6))
        suppressed, looked = [], []
        nms, crops = detection_detector.nms, pyramid.ReducedPhoto.crops

        def counting(boxes: np.ndarray, scores: np.ndarray, limit: float) -> np.ndarray:
            suppressed.append(len(boxes))
            return nms(boxes, scores, limit)

        def counted(photo: pyramid.ReducedPhoto, boxes: np.ndarray, side: int) -> np.ndarray:
            looked.append((side, len(boxes)))
            return crops(photo, boxes, side)

        monkeypatch.setattr(detection_detector, "nms", counting)
        monkeypatch.setattr(pyramid.ReducedPhoto, "crops", counted)
        every_window = FaceDetector(thresholds=(0, -1, -1))
        noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
        found = every_window.find(noise)
        assert found.faces
        assert suppressed[0] == 40
        assert max(count for side, count in looked if side == 24) == 30
        assert max(count for side, count in looked if side == 48) <= 20

    def test_faces_of_a_large_photo_are_cut_from_the_photo_itself(
        self, detector: FaceDetector, astronaut: np.ndarray
    ) -> None:
        one = head(astronaut)
        large = on_canvas(4000, 2400, [(resized(one, 10), 300, 100), (resized(one, 4), 2800, 700)])
        found, reduced = detector.detect(large), detector.detect(shrink(large, DETECTION_SIDE))
        assert len(found) == len(reduced) == 2
        for face, small in zip(found, reduced, strict=True):
            assert face.box == pytest.approx(2.5 * small.box, abs=0.01)
            assert face.landmarks == pytest.approx(2.5 * small.landmarks, abs=0.01)
            again, _ = align(large, face.landmarks)
            assert np.array_equal(face.aligned, again)
        (largest,) = detector.detect(large, min_face=2.4 * found[1].width)
        assert overlap(largest.box, found[0].box) > 0.9

    def test_a_mirrored_photo_gives_mirrored_landmarks(
        self, detector: FaceDetector, astronaut: np.ndarray
    ) -> None:
        (face,) = detector.detect(astronaut)
        (mirrored,) = detector.detect(np.ascontiguousarray(astronaut[:, ::-1]))
        back = (mirrored.landmarks * [-1, 1] + [512, 0])[[1, 0, 2, 4, 3]]
        assert np.abs(back - face.landmarks).mean() < 0.02 * face.width

    def test_min_face_leaves_smaller_faces_out(
        self, detector: FaceDetector, astronaut: np.ndarray
    ) -> None:
        photo = on_canvas(
            640, 480, [(head(astronaut), 20, 20), (resized(head(astronaut), 0.28), 400, 300)]
        )
        assert len(detector.detect(photo)) == 2
        (face,) = detector.detect(photo, min_face=70)
        assert face.width > 70
        assert len(FaceDetector(min_face=70).detect(photo)) == 1

    def test_a_large_photo_is_searched_for_faces_of_its_scale(self) -> None:
        assert pyramid.smallest_face(480, 640) == 20
        assert pyramid.smallest_face(1600, 1200) == pytest.approx(39.8, abs=0.1)
        assert 50 < pyramid.smallest_face(3000, 2000) <= 75

    @pytest.mark.parametrize(
        "photo",
        [
            np.zeros((9, 9), np.uint8),
            np.zeros((9, 9, 4), np.uint8),
            np.zeros((9, 9, 3), np.float32),
            np.zeros((0, 9, 3), np.uint8),
        ],
    )
    def test_other_arrays_are_refused(self, detector: FaceDetector, photo: np.ndarray) -> None:
        with pytest.raises(ValueError, match="uint8"):
            detector.detect(photo)


class TestStrips:
    @given(st.integers(12, 700), st.integers(12, 700))
    def test_each_window_of_a_level_is_in_one_of_them(self, height: int, width: int) -> None:
        starts: list[int] = []
        for rows, columns in pyramid.strips((height, width, 3)):
            assert (columns.start, columns.stop) == (0, width - width % 2)
            assert rows.stop <= height
            starts += range(rows.start, rows.stop - pyramid.CELL + 1, pyramid.STRIDE)
        assert starts == list(range(0, height - pyramid.CELL + 1, pyramid.STRIDE))

    @given(st.integers(12, 1600), st.integers(12, 1600))
    def test_they_are_as_few_as_their_size_allows(self, height: int, width: int) -> None:
        sizes = [
            (rows.stop - rows.start) * columns.stop
            for rows, columns in pyramid.strips((height, width, 3))
        ]
        least = 26 * width  # eight rows of windows
        assert max(sizes) <= max(pyramid._STRIP_PIXELS, least)
        if len(sizes) > 1:
            assert sum(sizes) > max(pyramid._STRIP_PIXELS, least)


def face_at(x: float, y: float, side: float) -> Face:
    box = np.array([x - side / 2, y - side / 2, x + side / 2, y + side / 2], np.float32)
    landmarks = TEMPLATE / ALIGNED_SIZE * side + box[:2]
    aligned = np.zeros((ALIGNED_SIZE, ALIGNED_SIZE, 3), np.uint8)
    return Face(box, landmarks.astype(np.float32), 0.9, aligned, np.eye(2, 3, dtype=np.float32))


class TestPrincipalFace:
    def test_of_equals_the_one_in_the_middle(self) -> None:
        middle, corner = face_at(125, 120, 80), face_at(30, 30, 80)
        assert principal_face([corner, middle], (250, 250)) is middle

    def test_a_much_larger_face_beats_a_central_one(self) -> None:
        large, small = face_at(160, 125, 120), face_at(125, 125, 30)
        assert principal_face([small, large], (250, 250, 3)) is large

    def test_a_larger_bystander_at_the_border_loses(self) -> None:
        subject, bystander = face_at(120, 120, 90), face_at(240, 60, 100)
        assert principal_face([bystander, subject], (250, 250, 3)) is subject

    def test_none_of_none(self) -> None:
        assert principal_face([], (10, 10)) is None
