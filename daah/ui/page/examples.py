"""The labelled examples of the Search tab. Their files are made by `scripts.make_examples`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.images import read_image

FOLDER = Path(__file__).parent / "static" / "examples"


@dataclass(frozen=True)
class Example:
    """One button under the photo. file: its name in FOLDER. alt: what is to be seen."""

    label: str
    file: str
    alt: str

    @property
    def path(self) -> Path:
        """The picture."""
        return FOLDER / self.file

    def read(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8 RGB."""
        return read_image(self.path)


EXAMPLES = (
    Example("One face", "one-face.jpg", "A smiling woman with long hair"),
    Example("Three faces", "three-faces.jpg", "Two men and a woman side by side"),
    Example("Glasses", "glasses.jpg", "A bearded man with glasses"),
    Example("Turned head", "turned-head.jpg", "A woman who looks to the side"),
    Example("Not in the gallery", "not-in-the-gallery.jpg", "Astronaut Eileen Collins"),
    Example("No face", "no-face.jpg", "A cup of coffee"),
)


@dataclass(frozen=True)
class Pairing:
    """One button of the Compare tab: two of the pictures."""

    label: str
    first: str
    second: str

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Both pictures, (H, W, 3) uint8 RGB."""
        return read_image(FOLDER / self.first), read_image(FOLDER / self.second)


PAIRS = (
    Pairing("One person, with and without glasses", "without-glasses.jpg", "glasses.jpg"),
    Pairing("Two people", "one-face.jpg", "turned-head.jpg"),
)
