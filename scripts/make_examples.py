"""Makes what the page ships: the pictures of the examples, and the finished result of the first.

    python -m scripts.make_examples

The pictures come from photos that the packages of requirements.txt carry: ORL's photos 9 and 10
(credit AT&T Laboratories Cambridge), which the built-in gallery leaves out, and two pictures of
scikit-image, the astronaut in the public domain (NASA) and a cup of coffee (CC0).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from daah.data.sources import orl
from daah.retrieval.loading import load_retriever
from daah.ui.page.examples import FOLDER
from daah.ui.search.start_example import save_start_example

#: ORL photos are 92x112; three times as large they look as a visitor's own would.
_SCALE = 3


def make(folder: Path = FOLDER) -> None:
    """Write every example's picture. Raises DataError when the ORL photos are not installed."""
    photos = {photo.name: photo.rgb for photo in orl()}
    folder.mkdir(parents=True, exist_ok=True)
    pictures: Mapping[str, np.ndarray] = {
        "one-face.jpg": _larger(photos["s12/10"]),
        "three-faces.jpg": _row([photos["s3/10"], photos["s10/10"], photos["s22/9"]]),
        "glasses.jpg": _larger(photos["s7/10"]),
        "without-glasses.jpg": _larger(photos["s7/9"]),
        "turned-head.jpg": _larger(photos["s8/10"]),
        "not-in-the-gallery.jpg": data.astronaut(),
        "no-face.jpg": data.coffee(),
    }
    for name, rgb in pictures.items():
        Image.fromarray(rgb).save(folder / name, quality=90)


def _larger(rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    size = (width * _SCALE, height * _SCALE)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def _row(photos: list[np.ndarray]) -> np.ndarray:
    """Photos (112, 92, 3) side by side, each of another size, on grey."""
    sizes = (1.25, 1.0, 0.85)
    canvas = Image.new("RGB", (_SCALE * 330, _SCALE * 150), (118, 118, 118))
    left = 8 * _SCALE
    for rgb, size in zip(photos, sizes, strict=True):
        part = Image.fromarray(_larger(rgb))
        part = part.resize((round(part.width * size), round(part.height * size)))
        canvas.paste(part, (left, (canvas.height - part.height) // 2))
        left += part.width + 12 * _SCALE
    return np.array(canvas)


if __name__ == "__main__":
    make()
    save_start_example(load_retriever())
