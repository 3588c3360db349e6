"""Covered training faces, and what of each is the face: material for a mask that acts.

Covers are abstract on purpose: shapes, edges and fillings are drawn independently of one another,
so that a network has to learn what belongs to the face and not what covers look like. The kinds
that attention is tested with (`daah.data.occlusion`) are not among them. Pieces of other people's
aligned faces are, half faces in place included: without them a network takes whatever looks like a
face for the face.

Axes: S = side in pixels, M = training faces.
"""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image
from scipy.ndimage import affine_transform, distance_transform_edt, gaussian_filter
from scipy.spatial import ConvexHull
from skimage.draw import polygon2mask

from daah.models.trunk import INPUT_SIZE

#: Share of the face that a cover hides, at least and at most.
LEAST, MOST = 0.05, 0.5

#: The face is everything within this part of the distance between the eyes of the landmarks' hull,
#: and what is near it belongs to it less and less over the second part.
GROWTH, SOFTNESS = 0.45, 0.2

#: How often covers have each shape of `_shape`; the last is the pair, which is hard to tell from
#: eyes, brows and cheeks.
SHAPE_SHARES = (0.11, 0.11, 0.11, 0.11, 0.11, 0.11, 0.34)

#: How often they are filled with a surface, skin, a piece of a photo, a piece of another face, and
#: another face, eyes on eyes.
FILLING_SHARES = (0.38, 0.1, 0.1, 0.28, 0.14)

#: Pixels that are reflected beyond each edge before a face is moved.
_PAD = 16


@dataclass(frozen=True, eq=False)
class Sources:
    """What covers are filled with.

    Attributes:
        faces: (M, S, S, 3) uint8, aligned faces of training people.
        person: (M,), label of each.
    """

    faces: np.ndarray
    person: np.ndarray

    def scene(self, rng: np.random.Generator) -> np.ndarray:
        """Draw a background: a strip of a face's left or right edge, reflected side by side.

        Args:
            rng: draws face, edge, width and height.

        Returns:
            (S, S, 3) uint8.
        """
        face = self.faces[rng.integers(len(self.faces))]
        side = len(face)
        width = int(rng.integers(side // 8, side // 4))
        strip = face[:, :width] if rng.random() < 0.5 else face[:, -width:]
        tiled = np.pad(strip, ((0, 0), (0, side - width), (0, 0)), mode="symmetric")
        return np.roll(tiled, tuple(rng.integers(0, side, 2)), (0, 1))


@dataclass(frozen=True)
class Cover:
    """How often a training face gets a cover, and another background.

    Attributes:
        cover: probability of a cover.
        background: probability of another background.
    """

    cover: float = 0.75
    background: float = 0.25


@dataclass(frozen=True, eq=False)
class CoveredFace:
    """A training face for the mask.

    Attributes:
        image: (S, S, 3) uint8.
        face: (S, S) float32 in [0, 1], share of each pixel that shows the face.
        cover: (S, S) float32 in [0, 1], share of each pixel that is covered.
    """

    image: np.ndarray
    face: np.ndarray
    cover: np.ndarray


def face_region(landmarks: np.ndarray, size: int = INPUT_SIZE) -> np.ndarray:
    """The grown hull of the landmarks, with a soft edge.

    Args:
        landmarks: (5, 2) in pixels.
        size: side in pixels of the aligned face.

    Returns:
        (size, size) float32 in [0, 1].
    """
    points = np.asarray(landmarks, np.float64)
    corners = points[ConvexHull(points).vertices][:, ::-1]  # rows before columns
    outside = distance_transform_edt(~polygon2mask((size, size), corners - 0.5))
    eyes = np.linalg.norm(points[1] - points[0])
    return np.clip(1 - (outside / eyes - GROWTH) / SOFTNESS, 0, 1).astype(np.float32)


def cover_face(
    index: int,
    face: np.ndarray,
    landmarks: np.ndarray,
    sources: Sources,
    rng: np.random.Generator,
    chances: Cover,
) -> CoveredFace:
    """Make one training face: another background or none, a cover or none, and a photo's flaws.

    Args:
        index: row in `sources` of the face, whose person's other faces do not cover it.
        face: (S, S, 3) uint8, as `moved` returns it.
        landmarks: (5, 2) in pixels of it.
        sources: what covers are filled with.
        rng: draws everything.
        chances: how often.

    Returns:
        The covered face.
    """
    image = face.astype(np.float32)
    region = face_region(landmarks)
    if rng.random() < chances.background:
        image = _replace_background(image, landmarks, sources, rng)
    cover = np.zeros(image.shape[:2], np.float32)
    if rng.random() < chances.cover:
        for _ in range(1 if rng.random() < 0.75 else 2):
            alpha = _fitting_shape(region, cover, rng)
            if rng.random() < 0.1:  # glass, veils, smoke
                alpha = alpha * np.float32(rng.uniform(0.6, 0.95))
            filling = _filling(index, image, sources, rng)
            image += alpha[:, :, None] * (filling - image)
            cover = 1 - (1 - cover) * (1 - alpha)
    return CoveredFace(_flawed(image, rng), region * (1 - cover), cover)


def moved(
    face: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A face as another detector might have aligned it: shifted, turned and scaled a little.

    Args:
        face: (S, S, 3) uint8.
        landmarks: (5, 2) in pixels of it.
        rng: draws by how much: 1.3 pixels, 2 degrees, 2.5%, one standard deviation each.

    Returns:
        The face, reflected where the move reaches beyond its edge, and its landmarks.
    """
    scale, angle = np.exp(rng.normal(0, 0.025)), rng.normal(0, 0.035)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrix = np.array([[cos, -sin], [sin, cos]])  # from places in the result to places in the face
    middle = np.full(2, (face.shape[0] - 1) / 2)
    offset = middle + rng.normal(0, 1.3, 2) - matrix @ middle
    padded = Image.fromarray(np.pad(face, ((_PAD, _PAD), (_PAD, _PAD), (0, 0)), mode="reflect"))
    # Pillow counts from the corner of a pixel, landmarks from its centre.
    start = offset + _PAD + 0.5 - matrix @ np.full(2, 0.5)
    result = padded.transform(
        face.shape[1::-1],
        Image.Transform.AFFINE,
        (*matrix[0], start[0], *matrix[1], start[1]),
        Image.Resampling.BICUBIC,
    )
    return np.asarray(result), (landmarks - offset) @ np.linalg.inv(matrix).T


def cells(values: np.ndarray, grid: int) -> np.ndarray:
    """Average over the cells of a grid.

    Args:
        values: (S, S), S a multiple of `grid`.
        grid: cells per side.

    Returns:
        (grid, grid).
    """
    side = values.shape[0] // grid
    return values.reshape(grid, side, grid, side).mean((1, 3))


def _replace_background(
    image: np.ndarray, landmarks: np.ndarray, sources: Sources, rng: np.random.Generator
) -> np.ndarray:
    points = landmarks.astype(np.float64)
    eyes = np.linalg.norm(points[1] - points[0])
    centre = points.mean(0) - (0, eyes * rng.uniform(0, 0.3))
    axis = np.arange(image.shape[0]) + 0.5
    wide, high = eyes * rng.uniform(1.15, 1.6), eyes * rng.uniform(1.5, 1.9)
    radius = np.hypot((axis[None, :] - centre[0]) / wide, (axis[:, None] - centre[1]) / high)
    keep = np.clip((1 - radius) / rng.uniform(0.02, 0.3) + 0.5, 0, 1)[:, :, None]
    return image * keep + sources.scene(rng) * (1 - keep)


def _fitting_shape(region: np.ndarray, cover: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A soft-edged shape that hides more than `LEAST` and, with `cover`, less than `MOST`."""
    total = region.sum()
    best, distance = np.zeros_like(region), np.inf
    for _ in range(8):
        alpha = _shape(rng)
        if rng.random() < 0.15:  # alike on both sides of the face
            alpha = np.maximum(alpha, alpha[:, ::-1])
        hidden = float((region * (1 - (1 - cover) * (1 - alpha))).sum() / total)
        off = max(LEAST - hidden, hidden - MOST, 0.0)
        if off < distance:
            best, distance = alpha, off
        if not off:
            break
    return best


def _grid(rng: np.random.Generator, reach: float = 0.42) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of all pixels along a random direction and across it, from a random centre.

    In parts of the side, (S, S) each.
    """
    axis = (np.arange(INPUT_SIZE) + 0.5) / INPUT_SIZE - 0.5
    x = axis[None, :] - rng.uniform(-reach, reach)
    y = axis[:, None] - rng.uniform(-reach, reach) - 0.05
    angle = rng.uniform(0, 2 * np.pi)
    return np.cos(angle) * x + np.sin(angle) * y, np.cos(angle) * y - np.sin(angle) * x


def _shape(rng: np.random.Generator) -> np.ndarray:
    """(S, S) float32 in [0, 1]."""
    kind = rng.choice(7, p=SHAPE_SHARES)
    u, v = _grid(rng)
    if kind == 0:  # an ellipse, or something between it and a rectangle
        power = rng.choice([2, 2, 4, 12])
        inside = (np.abs(u) / rng.uniform(0.12, 0.35)) ** power
        inside = 1 - inside - (np.abs(v) / rng.uniform(0.12, 0.35)) ** power
    elif kind == 1:  # a band right across
        bend = rng.uniform(-0.8, 0.8)
        inside = rng.uniform(0.06, 0.18) - np.abs(v + bend * u * u)
    elif kind == 2:  # all on one side of a line, straight or bent
        u, v = _grid(rng, 0.25)
        inside = v + rng.uniform(-1, 1) * u * u - rng.uniform(0, 0.15)
    elif kind == 3:  # a star-shaped polygon with straight or round sides
        corners = rng.integers(3, 9)
        angles = np.sort(rng.uniform(-np.pi, np.pi, corners))
        radii = rng.uniform(0.12, 0.42, corners)
        around = np.interp(np.arctan2(v, u), angles, radii, period=2 * np.pi)
        inside = around - np.hypot(u, v)
    elif kind == 4:  # one to five thick strokes side by side
        inside = np.full_like(u, -1)
        width, pitch = rng.uniform(0.03, 0.1), rng.uniform(1.6, 3)
        for k in range(rng.integers(1, 6)):
            start, end = rng.uniform(-0.25, 0.1), rng.uniform(0.15, 0.7)
            along = np.clip(u, start, end)
            inside = np.maximum(inside, width - np.hypot(u - along, v - (k - 2) * width * pitch))
    elif kind == 5:  # a blob
        noise = gaussian_filter(rng.standard_normal(u.shape), rng.uniform(7, 18))
        inside = noise / noise.std() - rng.uniform(0.2, 0.9)
        inside *= 0.1
    else:  # a pair, left and right, at any height
        axis = (np.arange(INPUT_SIZE) + 0.5) / INPUT_SIZE - 0.5
        x = np.abs(axis)[None, :] - rng.uniform(0.08, 0.26)
        y = axis[:, None] - rng.uniform(-0.25, 0.35) + rng.uniform(-0.5, 0.5) * x
        power = rng.choice([2, 2, 3, 8])
        inside = (np.abs(x) / rng.uniform(0.08, 0.2)) ** power
        inside = 1 - inside - (np.abs(y) / rng.uniform(0.06, 0.18)) ** power
    edge = rng.choice([0.006, 0.012, 0.03, 0.09])
    return np.clip(inside / edge + 0.5, 0, 1).astype(np.float32)


def _filling(
    index: int, image: np.ndarray, sources: Sources, rng: np.random.Generator
) -> np.ndarray:
    """(S, S, 3) float32: a surface, skin, a piece of a photo, or a piece of another face."""
    kind = rng.choice(5, p=FILLING_SHARES)
    if kind == 0:
        colour = rng.uniform(0, 255, 3)
        if rng.random() < 0.5:  # nearly black, grey or white
            colour = rng.choice([25, 25, 60, 230]) + rng.normal(0, 12, 3)
        return _surface(colour, rng)
    if kind == 1:
        cheek = image[64:84, 30:82].reshape(-1, 3).mean(0)
        return _surface(cheek * rng.uniform(0.6, 1.3) + rng.normal(0, 14, 3), rng, plain=0.8)
    if kind == 2:
        return sources.scene(rng).astype(np.float32)
    other = index
    while sources.person[other] == sources.person[index]:
        other = int(rng.integers(len(sources.faces)))
    face = sources.faces[other].astype(np.float32)
    if rng.random() < 0.5:
        face = face[:, ::-1]
    if rng.random() < 0.5:  # as light and as colourful as the face in front of which it is
        face = (face - face.mean((0, 1))) / (face.std((0, 1)) + 1)
        face = face * image.std((0, 1)) + image.mean((0, 1))
    # kind 3: anywhere, at another size and turned; kind 4: eyes on eyes
    return _moved(face, rng) if kind == 3 else face.astype(np.float32)


def _moved(face: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    scale, angle = rng.uniform(0.7, 2.2), rng.normal(0, 0.5)
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    matrix = np.array([[cos, -sin], [sin, cos]])
    middle = np.full(2, face.shape[0] / 2)
    offset = middle - matrix @ (middle + rng.uniform(-25, 25, 2))
    moved = [
        affine_transform(face[:, :, c], matrix, offset, order=1, mode="mirror") for c in range(3)
    ]
    return np.stack(moved, -1)


def _surface(colour: np.ndarray, rng: np.random.Generator, plain: float = 0.4) -> np.ndarray:
    """A colour with light from somewhere, plain or with stripes, checks or clouds."""
    u, v = _grid(rng)
    pattern = np.zeros_like(u)
    if rng.random() > plain:
        pitch = rng.uniform(0.03, 0.3)
        kind = rng.integers(4)
        if kind == 0:
            pattern = np.sign(np.sin(2 * np.pi * u / pitch))
        elif kind == 1:
            pattern = np.sign(np.sin(2 * np.pi * u / pitch) * np.sin(2 * np.pi * v / pitch))
        elif kind == 2:
            pattern = np.sin(2 * np.pi * u / pitch)
        else:
            pattern = gaussian_filter(rng.standard_normal(u.shape), rng.uniform(1, 8))
            pattern /= pattern.std()
    second = rng.uniform(-90, 90, 3)
    light = 1 + rng.uniform(0, 0.7) * u
    grain = rng.normal(0, rng.uniform(0, 8), (*u.shape, 1))
    surface = (colour + pattern[:, :, None] * second * rng.random()) * light[:, :, None] + grain
    return surface.clip(0, 255).astype(np.float32)


def _flawed(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Light, blur and compression of a photo, over cover and face alike."""
    if rng.random() < 0.3:
        image = 127 + (image - 127) * rng.uniform(0.7, 1.2) + rng.uniform(-20, 20)
    if rng.random() < 0.1:
        image = np.repeat(image.mean(2, keepdims=True), 3, 2)
    if rng.random() < 0.3:
        image = gaussian_filter(image, (*[rng.uniform(0.4, 1.6)] * 2, 0))
    if rng.random() < 0.5:
        image = image + rng.normal(0, rng.uniform(0, 4), image.shape)
    flawed = image.round().clip(0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        buffer = BytesIO()
        Image.fromarray(flawed).save(buffer, "JPEG", quality=int(rng.integers(40, 95)))
        flawed = np.asarray(Image.open(buffer))
    return flawed
