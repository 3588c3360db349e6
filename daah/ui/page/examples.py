"""The labelled examples of the Search tab. Their files are made by `scripts.build_portraits`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.images import read_image
from daah.paths import PATHS

FOLDER = PATHS.examples


@dataclass(frozen=True)
class Example:
    """One button under the photo. file: its name in FOLDER. alt: what is to be seen."""

    label: str
    file: str
    alt: str

    @property
    def name(self) -> str:
        """What its address calls it."""
        return Path(self.file).stem

    @property
    def path(self) -> Path:
        """The picture."""
        return FOLDER / self.file

    def read(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8 RGB."""
        return read_image(self.path)


EXAMPLES = (
    Example("Another year", "another-year.jpg", "Martha Roby in another portrait"),
    Example("Years younger", "years-younger.jpg", "Thomas Petri, decades younger, in a frame"),
    Example("Grayscale", "grayscale.jpg", "Elton Gallegly in a black-and-white print"),
    Example("Five people", "group.jpg", "Two women and three men side by side"),
    Example("Not in the gallery", "not-in-the-gallery.jpg", "Astronaut Eileen Collins"),
    Example("No face", "no-face.jpg", "A cup of coffee"),
)

#: Examples with a face in them.
WITH_FACES = EXAMPLES[:-1]


@dataclass(frozen=True)
class Pairing:
    """One button of the Compare tab: two of the pictures. name: what its address calls it."""

    label: str
    first: str
    second: str
    name: str

    def read(self) -> tuple[np.ndarray, np.ndarray]:
        """Both pictures, (H, W, 3) uint8 RGB."""
        return read_image(FOLDER / self.first), read_image(FOLDER / self.second)


PAIRS = (
    Pairing("One person, years apart", "years-younger.jpg", "years-older.jpg", "years-apart"),
    Pairing("Two people", "another-year.jpg", "another-person.jpg", "two-people"),
)
