"""Things that cover a part of a face: for tests of attention, and for trying it out.

Each kind is placed on the face by its landmarks. None of them is used in training; see
`daah.training.recipes.covers` for what is.

Axes: S = side of an aligned face in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

#: Drawings are made so many times larger and then averaged, for smooth edges.
_FINE = 3

_Point = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Occluded:
    """A face with something in front of it.

    Attributes:
        image: (S, S, 3) uint8.
        cover: (S, S) float32 in [0, 1], the share of each pixel that is hidden.
    """

    image: np.ndarray
    cover: np.ndarray


class _Drawing:
    """A canvas in units of the distance between the eyes: (0, 0) between them, y downwards."""

    def __init__(self, size: int, landmarks: np.ndarray) -> None:
        points = np.asarray(landmarks, np.float64)
        self.size = size * _FINE
        self.origin = points[:2].mean(0) * _FINE
        across = (points[1] - points[0]) * _FINE
        self.unit = float(np.linalg.norm(across))
        self.right = across / self.unit
        self.points = (points * _FINE - self.origin) @ np.stack([self.right, self._down()], 1)
        self.points /= self.unit
        self.colour = Image.new("RGB", (self.size, self.size))
        self.alpha = Image.new("L", (self.size, self.size))
        self._pens = (ImageDraw.Draw(self.colour), ImageDraw.Draw(self.alpha))

    def _down(self) -> np.ndarray:
        return np.array([-self.right[1], self.right[0]])

    def place(self, points: Sequence[_Point]) -> list[_Point]:
        """Points in units to pixels of the canvas."""
        moved = np.asarray(points, np.float64) * self.unit
        axes = np.stack([self.right, self._down()])
        return [tuple(map(float, point)) for point in moved @ axes + self.origin]

    def polygon(
        self, points: Sequence[_Point], colour: tuple[int, ...], opacity: float = 1
    ) -> None:
        placed = self.place(points)
        self._pens[0].polygon(placed, fill=colour)
        self._pens[1].polygon(placed, fill=round(255 * opacity))

    def line(self, points: Sequence[_Point], width: float, colour: tuple[int, ...]) -> None:
        placed, thick = self.place(points), max(1, round(width * self.unit))
        for pen, fill in zip(self._pens, (colour, 255), strict=True):
            pen.line(placed, fill=fill, width=thick, joint="curve")
            for x, y in (placed[0], placed[-1]):
                pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=fill)

    def crease(self, points: Sequence[_Point], width: float, colour: tuple[int, ...]) -> None:
        """A line on what is drawn already, which hides no more of the face."""
        self._pens[0].line(
            self.place(points), fill=colour, width=max(1, round(width * self.unit)), joint="curve"
        )

    def shade(self, rng: np.random.Generator, strength: float = 0.35) -> None:
        """Light from one side, and the grain of a photo."""
        colour = np.asarray(self.colour, np.float32)
        axis = np.linspace(-1, 1, self.size, dtype=np.float32)
        angle = rng.uniform(0, 2 * np.pi)
        light = np.cos(angle) * axis[None, :] + np.sin(angle) * axis[:, None]
        colour *= 1 + strength * light[:, :, None]
        colour += rng.normal(0, 4, colour.shape).astype(np.float32)
        self.colour = Image.fromarray(colour.clip(0, 255).astype(np.uint8))

    def on(self, face: np.ndarray) -> Occluded:
        side = face.shape[0]
        alpha = np.asarray(self.alpha.resize((side, side), Image.Resampling.BOX), np.float32) / 255
        # Colours are averaged together with their opacity, so that none bleeds in from outside.
        fine = np.asarray(self.alpha, np.float32)[:, :, None] / 255
        weighted = np.asarray(self.colour, np.float32) * fine
        cells = weighted.reshape(side, _FINE, side, _FINE, 3).mean((1, 3))
        mixed = face * (1 - alpha[:, :, None]) + cells
        return Occluded(mixed.round().clip(0, 255).astype(np.uint8), alpha)


def ellipse(
    centre: _Point, width: float, height: float, turn: float = 0.0, corners: int = 40
) -> list[_Point]:
    """The outline of an ellipse.

    Args:
        centre: x and y.
        width: along x before it is turned.
        height: along y before it is turned.
        turn: angle in radians.
        corners: number of points.

    Returns:
        The points, in order.
    """
    angles = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    x, y = width / 2 * np.cos(angles), height / 2 * np.sin(angles)
    cos, sin = np.cos(turn), np.sin(turn)
    return list(
        zip(
            (centre[0] + x * cos - y * sin).tolist(),
            (centre[1] + x * sin + y * cos).tolist(),
            strict=True,
        )
    )


def _aviators(drawing: _Drawing, rng: np.random.Generator) -> None:
    tint = tuple(int(v) for v in rng.integers(5, 70, 3))
    rim = tuple(int(v) for v in rng.choice([(190, 160, 90), (170, 170, 175), (30, 30, 30)]))
    scale = rng.uniform(1.05, 1.3)
    for eye, side in zip(drawing.points[:2], (-1, 1), strict=True):
        # A drop: wider and lower on the outer side.
        drop = [
            (eye[0] + scale * side * x, eye[1] + scale * y)
            for x, y in (
                (-0.32, -0.22), (0.1, -0.27), (0.42, -0.2), (0.47, 0.05), (0.36, 0.33),
                (0.12, 0.45), (-0.12, 0.38), (-0.3, 0.12),
            )
        ]  # fmt: skip
        drawing.polygon(drop, tint, rng.uniform(0.88, 1.0))
        drawing.line([*drop, drop[0]], 0.035, rim)
        drawing.line([(eye[0] + side * 0.45, eye[1] - 0.12), (side * 1.3, eye[1])], 0.04, rim)
    drawing.line([(-0.25, -0.15), (0.25, -0.15)], 0.04, rim)
    drawing.shade(rng, 0.5)


def _surgical_mask(drawing: _Drawing, rng: np.random.Generator) -> None:
    colours = [(150, 190, 215), (235, 238, 240), (40, 42, 48), (170, 205, 190)]
    colour = np.array(colours[rng.integers(len(colours))])
    nose, chin = drawing.points[2], drawing.points[3:].mean(0) + np.array([0, 0.62])
    top = nose[1] - rng.uniform(0.05, 0.3)
    outline = [
        (-0.92, top + 0.25), (-0.4, top + 0.02), (nose[0], top - 0.1), (0.4, top + 0.02),
        (0.92, top + 0.25), (0.82, chin[1] - 0.3), (0.4, chin[1] + 0.05), (chin[0], chin[1] + 0.12),
        (-0.4, chin[1] + 0.05), (-0.82, chin[1] - 0.3),
    ]  # fmt: skip
    for side in (-1, 1):
        drawing.line([(side * 0.9, top + 0.25), (side * 1.5, top - 0.2)], 0.03, tuple(colour))
    drawing.polygon(outline, tuple(colour))
    for y in np.linspace(top + 0.25, chin[1] - 0.15, 4):
        pleat = [(-0.86, y + 0.05), (0, y), (0.86, y + 0.05)]
        drawing.crease(pleat, 0.03, tuple((colour * 0.8).astype(int)))
    drawing.shade(rng, 0.25)


_SKIN = ((224, 172, 140), (198, 134, 100), (141, 85, 60), (90, 56, 42), (240, 200, 175))


def _hand(drawing: _Drawing, rng: np.random.Generator) -> None:
    skin = np.array(_SKIN[rng.integers(len(_SKIN))]) + rng.integers(-12, 12, 3)
    side = rng.choice([-1, 1])
    tip = np.array([side * rng.uniform(-0.2, 0.35), rng.uniform(-0.1, 1.0)])
    along = rng.uniform(-0.5, 0.9)  # the fingers' direction: from the side, more or less from below
    towards = np.array([side * np.cos(along), np.sin(along)])
    across = np.array([-towards[1], towards[0]])
    wide = rng.uniform(0.21, 0.26)
    palm = tip + towards * 1.15
    drawing.polygon(
        ellipse(tuple(palm), 1.3, 4.4 * wide, float(np.arctan2(towards[1], towards[0]))),
        tuple(skin),
    )
    for finger, reach in zip((-1.5, -0.5, 0.5, 1.5), (0.12, -0.08, -0.02, 0.2), strict=True):
        start = tip + across * finger * wide + towards * reach
        end = start + towards * 0.9
        tone = (skin * rng.uniform(0.94, 1.04)).clip(0, 255).astype(int)
        drawing.line([tuple(start), tuple(end)], wide * 0.95, tuple(tone))
        edge = across * wide / 2
        dark = tuple((skin * 0.72).clip(0, 255).astype(int))
        drawing.crease([tuple(start + edge), tuple(end + edge)], 0.025, dark)
        nail = tuple((skin * 1.1 + 8).clip(0, 255).astype(int))
        drawing.polygon(ellipse(tuple(start), wide * 0.5, wide * 0.45), nail)
    drawing.shade(rng, 0.3)


def _scarf(drawing: _Drawing, rng: np.random.Generator) -> None:
    first, second = rng.integers(20, 235, (2, 3))
    top = drawing.points[3:, 1].mean() - rng.uniform(0.1, 0.45)
    sag, tilt = rng.uniform(-0.15, 0.2), rng.uniform(-0.15, 0.15)
    edge = [(x, top + sag * (1 - x * x) + tilt * x) for x in np.linspace(-1.8, 1.8, 15)]
    drawing.polygon([*edge, (1.8, 3.0), (-1.8, 3.0)], tuple(map(int, first)))
    pitch = rng.uniform(0.08, 0.16)
    for k in np.arange(-3.6, 3.6, pitch):
        drawing.crease([(k, top - 0.4), (k + 1.2, 3)], pitch / 2.5, tuple(map(int, second)))
        dark = tuple(map(int, first * 0.6))
        drawing.crease([(k + 1.2, top - 0.4), (k, 3)], pitch / 5, dark)
    fold = [(x, y + rng.uniform(0.3, 0.5)) for x, y in edge]
    drawing.crease(fold, 0.07, tuple(map(int, first * 0.4)))
    drawing.shade(rng, 0.3)


def _microphone(drawing: _Drawing, rng: np.random.Generator) -> None:
    grey = int(rng.integers(25, 120))
    side = rng.choice([-1, 1])
    shift = np.array([side * rng.uniform(0, 0.3), rng.uniform(-0.3, 0.25)])
    head = drawing.points[3:].mean(0) + shift
    lean = side * rng.uniform(0.1, 0.7)
    size = rng.uniform(0.75, 1.0)
    end = head + np.array([lean * 2.2, 2.2])
    drawing.line([tuple(head), tuple(end)], size * 0.5, (grey // 3,) * 3)
    ball = ellipse(tuple(head), size, size * 1.2, float(-np.arctan(lean)))
    drawing.polygon(ball, (grey,) * 3)
    light = (min(255, grey + 45),) * 3
    for k in np.linspace(-0.45, 0.45, 9):
        half = float(np.sqrt(0.25 - k * k))
        x, y = head
        drawing.crease(
            [(x + size * k, y - size * half), (x + size * k, y + size * half)], 0.015, light
        )
        drawing.crease(
            [(x - size * half, y + size * k), (x + size * half, y + size * k)], 0.015, light
        )
    drawing.shade(rng, 0.6)


_DRAWN: dict[str, Callable[[_Drawing, np.random.Generator], None]] = {
    "aviator glasses": _aviators,
    "surgical mask": _surgical_mask,
    "hand": _hand,
    "scarf": _scarf,
    "microphone": _microphone,
}

#: Another person's aligned face, smaller, in front of this one.
PASTED_FACE = "pasted face"

KINDS = (*_DRAWN, PASTED_FACE)


def occlude(
    face: np.ndarray,
    landmarks: np.ndarray,
    kind: str,
    rng: np.random.Generator,
    other: np.ndarray | None = None,
) -> Occluded:
    """Put something in front of an aligned face.

    Args:
        face: (S, S, 3) uint8 RGB.
        landmarks: (5, 2) in pixels of the face: eyes, nose, mouth corners.
        kind: one of `KINDS`.
        rng: draws colours, size and place.
        other: (T, T, 3) uint8, the aligned face of another person; for "pasted face" alone.

    Returns:
        The face behind it, and what is hidden.

    Raises:
        ValueError: the kind does not exist, or a face to paste is missing.
    """
    if kind == PASTED_FACE:
        if other is None:
            raise ValueError("occlude: a pasted face needs the other person's face")
        return _paste(face, np.asarray(landmarks), other, rng)
    if kind not in _DRAWN:
        raise ValueError(f"occlude: expected one of {', '.join(KINDS)}, got {kind!r}")
    drawing = _Drawing(face.shape[0], landmarks)
    _DRAWN[kind](drawing, rng)
    return drawing.on(face)


def _paste(
    face: np.ndarray, landmarks: np.ndarray, other: np.ndarray, rng: np.random.Generator
) -> Occluded:
    side = face.shape[0]
    small = round(side * rng.uniform(0.42, 0.56))
    centre = landmarks.mean(0) + rng.uniform(-0.16, 0.16, 2) * side
    x, y = np.round(centre - small / 2).astype(int)
    resized = Image.fromarray(other).resize((small, small), Image.Resampling.BICUBIC)
    shape = Image.new("L", (small * _FINE,) * 2)
    pen = ImageDraw.Draw(shape)
    whole = (0, 0, small * _FINE - 1, small * _FINE - 1)
    if rng.random() < 0.5:
        pen.ellipse(whole, fill=255)
    else:
        pen.rectangle(whole, fill=255)
    soft = shape.filter(ImageFilter.GaussianBlur(_FINE * rng.uniform(0, 0.8)))
    alpha = Image.new("L", (side, side))
    alpha.paste(soft.resize((small, small), Image.Resampling.BOX), (int(x), int(y)))
    layer = Image.new("RGB", (side, side))
    layer.paste(resized, (int(x), int(y)))
    mixed = Image.composite(layer, Image.fromarray(face), alpha)
    return Occluded(np.asarray(mixed), np.asarray(alpha, np.float32) / 255)
