"""Locations of the project's own files: models, galleries, documents and reports.

In a checkout of the repository they are in its folders. An installed package carries copies of
them, and may be read-only: its galleries are in the user's data folder, and models there take
precedence over its own. The environment overrides all of these:

    DAAH_HOME            the folder that holds checkpoints/, gallery/ and docs/
    DAAH_CHECKPOINT      the model that is used when none is named
    DAAH_DETECTOR        the folder of the face detector's files
    DAAH_GALLERY_FOLDER  the folder of galleries; the built-in one is `congress` in it
    DAAH_GALLERY         the gallery that is used when none is named: congress, orl, lfw or a folder
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import platformdirs

#: Galleries that are known by their names, and made by this program. The first is the default.
BUILT_IN = ("congress", "orl", "lfw")

#: What holds the package: the repository, or an environment's site-packages.
_AROUND = Path(str(files("daah"))).resolve().parent


@dataclass(frozen=True)
class Paths:
    """Locations, whether or not anything exists there.

    Attributes:
        home: parent of the other locations, unless the environment overrides them.
        checkpoints: folder of models.
        checkpoint: the default model.
        detector: folder of the face detector's files.
        galleries: folder of galleries that are named by a word alone.
        gallery: folder of the gallery that is used when none is named.
        portraits: folder of the shipped portraits, from which the built-in gallery is filled.
        examples: folder of the example photos.
        docs: folder of the committed documents, of which a package carries those that the app
            shows.
    """

    home: Path
    checkpoints: Path
    checkpoint: Path
    detector: Path
    galleries: Path
    gallery: Path
    portraits: Path
    examples: Path
    docs: Path

    @property
    def baselines(self) -> Path:
        """The file of small models that the Methods tab compares."""
        return self.checkpoints / "baselines" / "48.safetensors"

    @property
    def results(self) -> Path:
        """Committed reports and figures."""
        return self.docs / "results"


def locate(around: Path = _AROUND, environ: Mapping[str, str] | None = None) -> Paths:
    """The paths of a package in the folder `around`, in this environment.

    Args:
        around: the folder that contains the package; a pyproject.toml in it marks a checkout.
        environ: the environment; by default that of the process.

    Returns:
        Absolute paths. Nothing is created, and nothing need exist.
    """
    environ = os.environ if environ is None else environ
    home = _given(environ, "DAAH_HOME")
    checkout = (around / "pyproject.toml").is_file()
    if home is None and checkout:
        home = around
    home = home or platformdirs.user_data_path("daah", appauthor=False)
    checkpoints, carried = home / "checkpoints", around / "daah" / "checkpoints"
    if not checkpoints.is_dir() and carried.is_dir():
        checkpoints = carried
    # Whoever keeps models elsewhere has no copy of the detector there, which there is but one of.
    folders = (folder / "detector" for folder in (checkpoints, around / "checkpoints", carried))
    detector = next((folder for folder in folders if folder.is_dir()), checkpoints / "detector")
    galleries = _given(environ, "DAAH_GALLERY_FOLDER") or home / "gallery"
    name = environ.get("DAAH_GALLERY", "").strip() or BUILT_IN[0]
    return Paths(
        home,
        checkpoints,
        _given(environ, "DAAH_CHECKPOINT") or checkpoints / "demo.onnx",
        _given(environ, "DAAH_DETECTOR") or detector,
        galleries,
        galleries / name if name in BUILT_IN else Path(name).expanduser().absolute(),
        _shipped("portraits", home, around),
        _shipped("examples", home, around),
        # Not around / "docs" of an installed package: that is another package's.
        _first(home / "docs", around / "docs" if checkout else around / "daah" / "docs"),
    )


def _shipped(name: str, home: Path, around: Path) -> Path:
    """A folder of shipped photos: of the home folder, the checkout, or the installed package."""
    return _first(home / "gallery" / name, around / "gallery" / name, around / "daah" / name)


def _first(*places: Path) -> Path:
    """The first of these folders that exists; without any, the first."""
    return next((place for place in places if place.is_dir()), places[0])


def _given(environ: Mapping[str, str], name: str) -> Path | None:
    """The path that a variable names; None when it is unset or empty."""
    text = environ.get(name, "").strip()
    return Path(text).expanduser().absolute() if text else None


#: The paths of this process.
PATHS = locate()
