"""Draw what the paper's network and the demo's attend to, on the same public faces.

    python -m benchmarks.masks --out docs/results/masks.png

The paper's mask is min-max normalised per image, pixel by pixel; the demo's is coarse and
absolute: it may be open everywhere. Faces are of people whom neither was trained on: ORL, and one
colour photo.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from daah import plots
from daah.data import sources
from daah.detection.detector import FaceDetector, principal_face
from daah.models.encoder import load_encoder
from daah.retrieval import explain

CHECKPOINTS = Path(__file__).parents[1] / "checkpoints"

#: Every fifth person of ORL, one photo each.
PHOTOS = tuple(f"s{person}/{1 + person % 10}" for person in range(3, 40, 5))


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments and draw."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--paper", type=Path, default=CHECKPOINTS / "paper.onnx")
    parser.add_argument("--demo", type=Path, default=CHECKPOINTS / "demo.onnx")
    parser.add_argument("--out", type=Path, default=Path("docs/results/masks.png"))
    chosen = parser.parse_args(arguments)
    faces = aligned_faces()
    rows = {"aligned face": list(faces)}
    for name, path in (("paper", chosen.paper), ("demo", chosen.demo)):
        _, masks = load_encoder(path).encode(faces)
        spread = f"spread {masks.std((1, 2)).mean():.2f} within,\n{masks.std(0).mean():.2f} between"
        rows[f"{name}\n{spread}"] = [
            explain.overlay(face, mask, 0.7) for face, mask in zip(faces, masks, strict=True)
        ]
    plots.save_figure(plots.mask_page(rows), chosen.out)


def aligned_faces() -> np.ndarray:
    """The faces (N, 224, 224, 3) uint8."""
    photos = {photo.name: photo.rgb for photo in sources.orl() if photo.name in PHOTOS}
    detector = FaceDetector()
    found = [
        principal_face(detector.detect(rgb), rgb.shape)
        for rgb in [*(photos[name] for name in PHOTOS), sources.astronaut().rgb]
    ]
    return np.stack([face.aligned for face in found])


if __name__ == "__main__":
    main()
