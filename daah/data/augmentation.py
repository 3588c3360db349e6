"""Random augmentation of faces in training.

Axes: B = batch, S = side in pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


class Augmentation:
    """Augmentation that resembles uploaded photos.

    Mirroring, similarity transforms, colour, greyscale, low resolution and partial occlusion. It
    maps faces (B, 3, S, S) float32 in [0, 255] to the same; distances scale with S. Every random
    number comes from the given generator, so a seed reproduces a run.

    Args:
        generator: source of all random numbers.
        strength: factor on the magnitude or the probability of every change but mirroring.
    """

    def __init__(self, generator: torch.Generator, strength: float = 1.0) -> None:
        self.generator, self.strength = generator, strength

    def __call__(self, faces: Tensor) -> Tensor:
        # Pixels stay float32 in a network that is trained in bfloat16, which has 8 bits.
        with torch.autocast(faces.device.type, enabled=False):
            faces = self.similarity(faces)
            faces = self.colour(faces)
            faces = self.grey(faces, probability=0.15 * self.strength)
            faces = self.low_resolution(faces, probability=0.25 * self.strength)
            return self.occlude(faces, probability=0.2 * self.strength)

    def similarity(self, faces: Tensor) -> Tensor:
        """Mirror half of the faces; rotate up to 8 degrees, scale up to 8%, shift up to 3%.

        Args:
            faces: (B, 3, S, S) float32.

        Returns:
            (B, 3, S, S) float32; edge pixels are repeated.
        """
        batch = len(faces)
        angle = self._uniform(batch, -0.14, 0.14) * self.strength
        scale = 1 + self._uniform(batch, -0.08, 0.08) * self.strength
        shift = self._uniform((batch, 2), -0.06, 0.06) * self.strength
        mirror = torch.where(self._chance(batch, 0.5), -1.0, 1.0)
        cos, sin = angle.cos() * scale, angle.sin() * scale
        matrix = torch.stack(
            [
                torch.stack([mirror * cos, -sin, shift[:, 0]], 1),
                torch.stack([mirror * sin, cos, shift[:, 1]], 1),
            ],
            1,
        )  # (B, 2, 3)
        grid = F.affine_grid(matrix, list(faces.shape), align_corners=False)
        return F.grid_sample(faces, grid, padding_mode="border", align_corners=False)

    def colour(self, faces: Tensor) -> Tensor:
        """Change channel gains, brightness and contrast; in 30% also add a linear light gradient.

        Args:
            faces: (B, 3, S, S) float32 in [0, 255].

        Returns:
            (B, 3, S, S) float32, clamped to [0, 255].
        """
        batch, side = len(faces), faces.shape[-1]
        gain = 1 + self._uniform((batch, 3, 1, 1), -0.1, 0.1) * self.strength
        level = 1 + self._uniform((batch, 1, 1, 1), -0.25, 0.25) * self.strength
        mean = faces[:, :, ::4, ::4].mean((1, 2, 3)).view(-1, 1, 1, 1)
        contrast = 1 + self._uniform((batch, 1, 1, 1), -0.25, 0.25) * self.strength
        ramp = torch.linspace(-1, 1, side)
        slope = self._uniform((batch, 2, 1, 1), -0.4, 0.4) * self.strength
        slope = slope * self._chance(batch, 0.3).view(-1, 1, 1, 1)
        light = 1 + slope[:, :1] * ramp.view(1, 1, 1, -1) + slope[:, 1:] * ramp.view(1, 1, -1, 1)
        # ((x - mean) * contrast + mean) * gain * level * light, in two passes over the pixels.
        light = light * (gain * level)
        return torch.addcmul(mean * (1 - contrast) * light, faces, light * contrast).clamp_(0, 255)

    def grey(self, faces: Tensor, probability: float) -> Tensor:
        """Convert some faces to greyscale: luma (ITU-R BT.601) in all three channels.

        Args:
            faces: (B, 3, S, S) float32.
            probability: share of the faces, in [0, 1].

        Returns:
            (B, 3, S, S) float32.
        """
        chosen = self._chance(len(faces), probability)
        luma = torch.einsum("bchw,c->bhw", faces[chosen], torch.tensor([0.299, 0.587, 0.114]))
        faces = faces.clone()
        faces[chosen] = luma[:, None].expand(-1, 3, -1, -1)
        return faces

    def low_resolution(self, faces: Tensor, probability: float) -> Tensor:
        """Downscale some faces to between 1/6 and 2/3 of the side and enlarge them again.

        Args:
            faces: (B, 3, S, S) float32.
            probability: share of the faces, in [0, 1].

        Returns:
            (B, 3, S, S) float32.
        """
        side = faces.shape[-1]
        chosen = torch.nonzero(self._chance(len(faces), probability)).flatten()
        faces = faces.clone()
        for part in chosen.chunk(4):  # one size per quarter of them: fewer, larger calls
            small = max(8, int(side * float(self._uniform(1, 1 / 6, 2 / 3))))
            shrunk = F.interpolate(faces[part], size=(small, small), mode="area")
            faces[part] = F.interpolate(shrunk, size=(side, side), mode="bilinear")
        return faces

    def occlude(self, faces: Tensor, probability: float) -> Tensor:
        """Cover a box of 10% to 40% of the side each way with one random colour, in some faces.

        Args:
            faces: (B, 3, S, S) float32.
            probability: share of the faces, in [0, 1].

        Returns:
            (B, 3, S, S) float32.
        """
        batch, side = len(faces), faces.shape[-1]
        size = self._uniform((batch, 2), 0.1, 0.4) * side
        corner = self._uniform((batch, 2), 0, 1) * (side - size)
        x = torch.arange(side).view(1, -1)
        inside = [
            (x >= corner[:, i : i + 1]) & (x < corner[:, i : i + 1] + size[:, i : i + 1])
            for i in (0, 1)
        ]
        box = inside[1][:, None, :, None] & inside[0][:, None, None, :]
        colour = self._uniform((batch, 3, 1, 1), 0, 255)
        chosen = self._chance(batch, probability)
        faces = faces.clone()
        faces[chosen] = torch.where(box[chosen], colour[chosen], faces[chosen])
        return faces

    def _uniform(self, shape: int | tuple[int, ...], low: float, high: float) -> Tensor:
        shape = (shape,) if isinstance(shape, int) else shape
        return torch.rand(shape, generator=self.generator) * (high - low) + low

    def _chance(self, count: int, probability: float) -> Tensor:
        return torch.rand(count, generator=self.generator) < probability
