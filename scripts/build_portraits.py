"""Makes what the built-in gallery is filled from, and the example photos.

    python -m scripts.build_portraits SRC    # all of it, from the original photos
    python -m scripts.build_portraits        # codes alone, by the shipped model: after a new one

SRC has two folders of ID.jpg, `gallery` and `queries` (a second portrait of some), and people.csv
(id, name). The first form detects and aligns every portrait, and writes gallery/portraits and
gallery/examples; the second reads the aligned faces. Run `python -m scripts.make_examples` after
either of them.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image
from skimage import data

from daah import codes
from daah.data.portraits import (
    CODES,
    FACES,
    PEOPLE,
    PortraitCodes,
    load_portraits,
    write_codes,
)
from daah.data.sources import astronaut
from daah.detection.alignment import aligned_face
from daah.detection.detector import FaceDetector, principal_face
from daah.errors import DataError
from daah.gallery.gallery import all_logits
from daah.gallery.map import project
from daah.images import read_image
from daah.models.encoder import FaceEncoder, encode_many, load_encoder
from daah.paths import PATHS

#: Quality of the aligned faces: 7 MB for 700 of them.
QUALITY = 88

#: Example photos that are one second portrait, by file. They were chosen by eye: the photo is not
#: the gallery's own, its face is found, and it looks as different as the label says.
SECOND = {
    "another-year.jpg": "R000591",
    "years-younger.jpg": "P000265",
    "grayscale.jpg": "G000021",
    "another-person.jpg": "B001286",
}

#: An original portrait of the gallery, beside whose second one it is compared.
FIRST = {"years-older.jpg": "P000265"}

#: Second portraits of the group, from left to right.
GROUP = ("B001230", "E000288", "M001142", "B001286", "C000984")

#: The portraits are about 175x220; twice as large they look as a visitor's own would.
_SCALE = 2


def build_faces(source: Path, folder: Path, detector: FaceDetector) -> None:
    """Detect and align the portraits, and write them with the list of people.

    Args:
        source: folder with people.csv, and ID.jpg in its folder `gallery`.
        folder: folder of the portraits.
        detector: the detector.

    Raises:
        DataError: a portrait has no face.
    """
    with (source / PEOPLE).open(encoding="utf-8", newline="") as file:
        rows = sorted((row["id"], row["name"]) for row in csv.DictReader(file))
    (folder / FACES).mkdir(parents=True, exist_ok=True)
    for old in (folder / FACES).glob("*.jpg"):
        old.unlink()
    for id_, name in rows:
        rgb = read_image(source / "gallery" / f"{id_}.jpg")
        face = principal_face(detector.detect(rgb), rgb.shape)
        if face is None:
            raise DataError(f"The portrait of {name} ({id_}) has no face.")
        picture = Image.fromarray(face.aligned)
        picture.save(folder / FACES / f"{id_}.jpg", quality=QUALITY, optimize=True)
    with (folder / PEOPLE).open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([("id", "name"), *rows])


def build_codes(folder: Path, encoder: FaceEncoder) -> None:
    """Encode the aligned portraits, draw their map, and store both.

    Args:
        folder: folder of the portraits.
        encoder: the model.
    """
    portraits = load_portraits(folder)
    files = [portrait.read() for portrait in portraits]
    faces = [aligned_face(np.array(Image.open(io.BytesIO(file)))) for file in files]
    logits = all_logits(encode_many(encoder, faces))
    packed = codes.from_logits(logits)
    drawn = project(np.arange(len(files)), packed, encoder.fingerprint)
    write_codes(folder, files, encoder.fingerprint, PortraitCodes(logits, drawn.xy))


def build_examples(source: Path, folder: Path) -> None:
    """Write the example photos.

    Args:
        source: folder with ID.jpg in its folders `gallery` and `queries`.
        folder: folder of the examples.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {
        **{name: _larger(source / "queries" / f"{id_}.jpg") for name, id_ in SECOND.items()},
        **{name: _larger(source / "gallery" / f"{id_}.jpg") for name, id_ in FIRST.items()},
        "group.jpg": _group([source / "queries" / f"{id_}.jpg" for id_ in GROUP]),
        "not-in-the-gallery.jpg": Image.fromarray(astronaut().rgb),
        "no-face.jpg": Image.fromarray(data.coffee()),
    }
    for name, picture in pictures.items():
        picture.save(folder / name, quality=90)


def _larger(path: Path, scale: float = _SCALE) -> Image.Image:
    picture = Image.fromarray(read_image(path))
    size = (round(scale * picture.width), round(scale * picture.height))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _group(paths: list[Path]) -> Image.Image:
    """Portraits side by side, of different sizes, on grey."""
    parts = [
        _larger(path, _SCALE * size)
        for path, size in zip(paths, (1.0, 0.85, 1.1, 0.9, 0.95), strict=True)
    ]
    gap = 24
    width = sum(part.width for part in parts) + gap * (len(parts) + 1)
    height = max(part.height for part in parts) + 2 * gap
    canvas = Image.new("RGB", (width, height), (118, 118, 118))
    left = gap
    for part in parts:
        canvas.paste(part, (left, (height - part.height) // 2))
        left += part.width + gap
    return canvas


def main(arguments: list[str] | None = None) -> None:
    """Run the script."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("source", nargs="?", type=Path, metavar="SRC")
    parser.add_argument("--out", type=Path, default=PATHS.galleries, metavar="DIR")
    chosen = parser.parse_args(arguments)
    folder = chosen.out / "portraits"
    if chosen.source:
        build_faces(chosen.source, folder, FaceDetector())
        build_examples(chosen.source, chosen.out / "examples")
    build_codes(folder, load_encoder(PATHS.checkpoint))
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{folder / CODES} is of {PATHS.checkpoint.name}; {size / 1e6:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
