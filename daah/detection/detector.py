"""Face detection: MTCNN's three networks, run coarse to fine, and alignment of each face.

The networks are those of facenet-pytorch with its weights (Zhang et al., "Joint Face Detection and
Alignment Using Multitask Cascaded Convolutional Networks", IEEE SPL 2016), as ONNX files. The
control flow around them is this project's, because the package's rescales the whole photo as floats
for every pyramid level and crops candidates one by one.

Coordinates refer to the edges of pixels: the photo spans 0 to W and 0 to H, and the centre of the
first pixel is (0.5, 0.5). So coordinates in a reduced copy differ by a factor only.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from daah.detection.alignment import align
from daah.detection.graphs import graph
from daah.detection.pyramid import CELL, STRIDE, ReducedPhoto, levels, smallest_face, strips
from daah.engine import Graph
from daah.images import shrink
from daah.types import Detection, Face

#: Longest side in pixels of the copy that faces are detected in.
DETECTION_SIDE = 1600

#: Maximum number of faces per photo; the largest are kept. A mosaic has thousands.
MOST_FACES = 50

#: Maximum number of candidates: the best of each pyramid level, the largest for R-Net and for
#: O-Net. Photos of textures have 900 after P-Net, photos of 80 faces 300 after R-Net. The maximum
#: takes two seconds.
_MOST_OF_LEVEL, _MOST_TO_RNET, _MOST_TO_ONET = 10_000, 2_000, 400

#: Batch sizes of R-Net and O-Net: as many crops as a processor's cache has room for.
_BATCH = 32, 8


def principal_face(faces: Sequence[Face], shape: tuple[int, ...]) -> Face | None:
    """The face that a labelled photo is about: large and near the centre.

    The score of a face is the area of its box minus twice the squared distance of its centre from
    the photo's centre.

    Args:
        faces: faces of one photo.
        shape: shape (H, W, ...) of the photo.

    Returns:
        The face with the highest score; None without faces.
    """
    middle = np.array([shape[1], shape[0]]) / 2

    def weight(face: Face) -> float:
        corner, opposite = face.box[:2].astype(float), face.box[2:].astype(float)
        return float(
            np.prod(opposite - corner) - 2 * np.sum(((corner + opposite) / 2 - middle) ** 2)
        )

    return max(faces, key=weight, default=None)


def choice_of(face: Face, faces: Sequence[Face]) -> str:
    """Say which face of a photo of several people was taken.

    Args:
        face: the face that was taken.
        faces: faces of the photo, with it.

    Returns:
        Such as "face 2 of 3 from the left, 84 pixels wide, was taken"; "" where it is the only one.
    """
    if len(faces) < 2:
        return ""
    centres = sorted(float(other.box[0] + other.box[2]) for other in faces)
    place = centres.index(float(face.box[0] + face.box[2])) + 1
    return f"face {place} of {len(faces)} from the left, {round(face.width)} pixels wide, was taken"


class FaceDetector:
    """MTCNN with the weights of facenet-pytorch; keeps no state between photos.

    Args:
        min_face: side in pixels of the smallest face to detect. None adapts it to the photo: 20 up
            to 1,100 pixels on the longer side, 40 at 1,600.
        thresholds: minimum probability of a face after P-Net, R-Net and O-Net. The last is raised
            from the package's 0.7: that loses 1 of 10,884 faces of Labeled Faces in the Wild, and
            removes many false detections.

    Raises:
        CheckpointError: a file of the detector is missing or is not this version's.
    """

    def __init__(
        self,
        min_face: float | None = None,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.85),
    ) -> None:
        self.min_face = min_face
        self.thresholds = thresholds
        self._pnet, self._rnet, self._onet = graph("pnet"), graph("rnet"), graph("onet")
        graph("nms"), graph("warp")  # so that what is missing is found now

    def detect(self, rgb: np.ndarray, min_face: float | None = None) -> list[Face]:
        """Detect and align the faces of a photo.

        Faces are detected in a copy of at most DETECTION_SIDE pixels per side, and aligned from rgb
        itself. The result is deterministic.

        Args:
            rgb: upright photo (H, W, 3) uint8.
            min_face: overrides the detector's value for this photo, in its pixels.

        Returns:
            At most MOST_FACES faces, largest first, in pixels of rgb; [] without a face.

        Raises:
            ValueError: rgb has another shape or dtype, or is empty.
        """
        return list(self.find(rgb, min_face).faces)

    def find(self, rgb: np.ndarray, min_face: float | None = None) -> Detection:
        """As `detect`, with the number of faces that were dropped.

        Args:
            rgb: as of `detect`.
            min_face: as of `detect`.

        Returns:
            The faces, and how many smaller ones were dropped.

        Raises:
            ValueError: as of `detect`.
        """
        located = self.locate(rgb, min_face)
        found = []
        for box, points, score in zip(
            located.boxes, located.landmarks, located.scores, strict=True
        ):
            aligned, matrix = align(rgb, points)
            found.append(Face(box, points, float(score), aligned, matrix))
        return Detection(tuple(found), located.left_out)

    def locate(self, rgb: np.ndarray, min_face: float | None = None) -> Located:
        """As `find`, without alignment.

        Args:
            rgb: as of `detect`.
            min_face: as of `detect`.

        Returns:
            Boxes, landmarks and scores, in pixels of rgb.

        Raises:
            ValueError: as of `detect`.
        """
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or not rgb.size:
            raise ValueError(f"photo: expected (H, W, 3) uint8, got {rgb.dtype} {rgb.shape}")
        small = shrink(rgb, DETECTION_SIDE)
        least = min_face or self.min_face
        if small is rgb:
            return self._located(rgb, least)
        scale = np.array([rgb.shape[1] / small.shape[1], rgb.shape[0] / small.shape[0]], np.float32)
        found = self._located(small, least and least / float(scale.max()))
        return Located(
            found.boxes * np.tile(scale, 2), found.landmarks * scale, found.scores, found.left_out
        )

    def _located(self, rgb: np.ndarray, least: float | None) -> Located:
        height, width = rgb.shape[:2]
        photo = ReducedPhoto(rgb)
        candidates = self._propose(photo, least or smallest_face(height, width))
        found = self._finish(photo, self._refine(photo, candidates))
        return found if len(found.scores) else self._finish(photo, self._filling(rgb))

    def _propose(self, photo: ReducedPhoto, smallest: float) -> np.ndarray:
        """Run P-Net over the pyramid: square candidate boxes (N, 4) float64."""
        boxes, scores = [], []
        for width, height in levels(photo.width, photo.height, smallest):
            probability, shift = self._windows(photo.resized(width, height))
            rows, columns = np.nonzero(probability >= self.thresholds[0])
            score = probability[rows, columns]
            if len(score) > _MOST_OF_LEVEL:
                best = np.argsort(-score, kind="stable")[:_MOST_OF_LEVEL]
                rows, columns, score = rows[best], columns[best], score[best]
            corner = np.stack([columns, rows], 1) * float(STRIDE)
            # Windows four pixels apart overlap by exactly the limit of 0.5: rounding decides which
            # of them stay. The published figures were measured with this rounding.
            ratio = np.array([photo.width / width, photo.height / height], np.float32).astype(float)
            box = np.concatenate([corner * ratio, (corner + CELL) * ratio], 1)
            keep = nms(box, score, 0.5)
            boxes.append(np.concatenate([box, shift[:, rows, columns].T], 1)[keep])
            scores.append(score[keep])
        if not boxes:
            return np.empty((0, 4))
        box = np.concatenate(boxes)
        box = box[nms(box[:, :4], np.concatenate(scores), 0.7)]
        return _squared(_shifted(box[:, :4], box[:, 4:])) if len(box) else np.empty((0, 4))

    def _windows(self, level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """P-Net on every window of a level: probabilities (h, w) and shifts (4, h, w) float32."""
        parts = [
            self._pnet(rgb=level[None, rows, columns]) for rows, columns in strips(level.shape)
        ]
        return (
            np.concatenate([probabilities[0] for _, probabilities in parts]),
            np.concatenate([shifts[0] for shifts, _ in parts], 1),
        )

    def _refine(self, photo: ReducedPhoto, boxes: np.ndarray) -> np.ndarray:
        """Run R-Net on every candidate: the square boxes (N, 4) that it accepts."""
        if not len(boxes):
            return boxes
        boxes = _largest(boxes, _MOST_TO_RNET)
        shifts, score = _in_parts(self._rnet, photo.crops(boxes, 24), _BATCH[0])
        sure = score > self.thresholds[1]
        boxes, score, shifts = boxes[sure], score[sure], shifts[sure]
        keep = nms(boxes, score, 0.7)
        return _squared(_shifted(boxes[keep], shifts[keep]))

    def _filling(self, rgb: np.ndarray) -> np.ndarray:
        """Candidates (N, 4) that exceed the photo, which P-Net's windows never do."""
        small = shrink(rgb, 200)
        border = max(small.shape) // 4
        padded = ReducedPhoto(
            np.pad(small, ((border, border), (border, border), (0, 0)), mode="edge")
        )
        smallest = max(CELL, min(small.shape[:2]) / 2)
        candidates = self._refine(padded, self._propose(padded, smallest))
        return (candidates - border) * (max(rgb.shape) / max(small.shape))

    def _finish(self, photo: ReducedPhoto, boxes: np.ndarray) -> Located:
        """Run O-Net on the remaining candidates: the faces, largest first."""
        if not len(boxes):
            empty = (np.empty(shape, np.float32) for shape in ((0, 4), (0, 5, 2), 0))
            return Located(*empty, left_out=0)
        boxes = _largest(boxes, _MOST_TO_ONET)
        shifts, score, _ = _in_parts(self._onet, photo.crops(boxes, 48), _BATCH[1])
        sure = score > self.thresholds[2]
        boxes, score = _shifted(boxes[sure], shifts[sure]), score[sure]
        keep = _distinct(boxes, score, 0.7)
        boxes, score = boxes[keep], score[keep]
        sides = [photo.width, photo.height, photo.width, photo.height]
        inside = np.clip(boxes, 0, sides).astype(np.float32)
        areas = (inside[:, 2] - inside[:, 0]) * (inside[:, 3] - inside[:, 1])
        order = np.lexsort((inside[:, 1], inside[:, 0], -areas))
        order = order[areas[order] > 0]
        kept = order[:MOST_FACES]
        return Located(
            inside[kept],
            self._landmarks(photo, _squared(boxes[kept])).astype(np.float32),
            score[kept],
            len(order) - len(kept),
        )

    def _landmarks(self, photo: ReducedPhoto, squares: np.ndarray) -> np.ndarray:
        """Landmarks (N, 5, 2) from a second pass over the final boxes and their mirror images.

        When a photo is shifted or zoomed by about a pixel, these landmarks move half as much as
        those of the first pass.
        """
        if not len(squares):
            return np.empty((0, 5, 2))
        crops = photo.crops(squares, 48)
        both = np.concatenate([crops, crops[:, :, ::-1]])
        straight, mirrored = np.split(_in_parts(self._onet, both, _BATCH[1])[2].astype(float), 2)
        mirrored = (mirrored * [-1, 1] + [1, 0])[:, [1, 0, 2, 4, 3]]
        sides = (squares[:, 2:] - squares[:, :2])[:, None]
        return squares[:, None, :2] + (straight + mirrored) / 2 * sides


class Located(NamedTuple):
    """Boxes and landmarks of the faces of a photo, largest first, in pixels of the photo.

    Attributes:
        boxes: (N, 4) float32, x0 y0 x1 y1, clipped to the photo.
        landmarks: (N, 5, 2) float32.
        scores: (N,) float32, detection probability.
        left_out: lower bound on the number of smaller faces that were dropped.
    """

    boxes: np.ndarray
    landmarks: np.ndarray
    scores: np.ndarray
    left_out: int


def nms(boxes: np.ndarray, scores: np.ndarray, limit: float) -> np.ndarray:
    """Greedy non-maximum suppression.

    Args:
        boxes: (N, 4), corner and opposite corner.
        scores: (N,) float32. Of equals, the first goes before.
        limit: largest intersection over union of two boxes that are kept.

    Returns:
        Indices (M,) int64 of the boxes that are kept, best first.
    """
    limits = np.array(limit, np.float32)
    (kept,) = graph("nms")(boxes=boxes.astype(np.float32), scores=scores, limit=limits)
    return kept


def _in_parts(network: Graph, crops: np.ndarray, size: int) -> list[np.ndarray]:
    """Outputs of a network for crops (N, S, S, 3) uint8, N > 0, in batches of `size`."""
    parts = [network(rgb=crops[start : start + size]) for start in range(0, len(crops), size)]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]


def _largest(boxes: np.ndarray, most: int) -> np.ndarray:
    """The `most` largest of square boxes (N, 4), in the order given."""
    if len(boxes) <= most:
        return boxes
    return boxes[np.sort(np.argsort(boxes[:, 0] - boxes[:, 2], kind="stable")[:most])]


def _shifted(boxes: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) refined by regressed shifts (N, 4) of the corners, in units of the sides."""
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return boxes + shifts * sides


def _squared(boxes: np.ndarray) -> np.ndarray:
    """Boxes (N, 4) extended to squares around their centres."""
    centre = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = np.maximum((boxes[:, 2:] - boxes[:, :2]).max(1, keepdims=True), 1) / 2
    return np.concatenate([centre - half, centre + half], 1)


def _distinct(boxes: np.ndarray, scores: np.ndarray, limit: float) -> np.ndarray:
    """Non-maximum suppression by intersection over the smaller area: indices to keep, best first.

    Dividing by the smaller box's area instead of the union's also drops a box inside of another.
    """
    areas = np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1)
    keep: list[int] = []
    for i in np.argsort(-scores, kind="stable"):
        low = np.maximum(boxes[keep, :2], boxes[i, :2])
        high = np.minimum(boxes[keep, 2:], boxes[i, 2:])
        shared = np.prod(np.maximum(high - low, 0), axis=1)
        if np.all(shared <= limit * np.minimum(areas[keep], areas[i])):
            keep.append(int(i))
    return np.array(keep, int)
