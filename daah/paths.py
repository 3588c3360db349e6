"""Where the project's own files are: models, galleries, documents and reports.

In a checkout of the repository they are in its folders. An installed package carries the models
and no documents, and its own place is not to be written to: galleries are in the user's data
folder, and models there go before its own. The environment goes before all of these:

    DAAH_HOME            the folder that holds checkpoints/, gallery/ and docs/
    DAAH_CHECKPOINT      the model that is used when none is named
    DAAH_GALLERY_FOLDER  the folder of galleries; the built-in one is `orl` in it
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs

#: What holds the package: the repository, or an environment's site-packages.
_AROUND = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Paths:
    """Places, whether or not anything is there.

    home: what all others are in unless the environment says otherwise. checkpoints: models.
    checkpoint: the default one. baselines: small models of the comparison. galleries: galleries
    that are named by a word alone. gallery: the built-in one. docs, results: committed documents
    and reports.
    """

    home: Path
    checkpoints: Path
    checkpoint: Path
    galleries: Path

    @property
    def baselines(self) -> Path:
        """The file of small models that the Methods tab compares."""
        return self.checkpoints / "baselines" / "48.safetensors"

    @property
    def gallery(self) -> Path:
        """The built-in gallery."""
        return self.galleries / "orl"

    @property
    def docs(self) -> Path:
        """Committed documents."""
        return self.home / "docs"

    @property
    def results(self) -> Path:
        """Committed reports and figures."""
        return self.docs / "results"


def locate(around: Path = _AROUND, environ: Mapping[str, str] | None = None) -> Paths:
    """The paths of a package in the folder `around`, in this environment.

    Args:
        around: the folder that holds the package; a checkout is told by its pyproject.toml.
        environ: the environment, by default the process's own.

    Returns:
        Absolute paths; nothing is made, and nothing need be there.
    """
    environ = os.environ if environ is None else environ
    home = _given(environ, "DAAH_HOME")
    if home is None and (around / "pyproject.toml").is_file():
        home = around
    home = home or platformdirs.user_data_path("daah", appauthor=False)
    checkpoints, carried = home / "checkpoints", around / "daah" / "checkpoints"
    if not checkpoints.is_dir() and carried.is_dir():
        checkpoints = carried
    return Paths(
        home,
        checkpoints,
        _given(environ, "DAAH_CHECKPOINT") or checkpoints / "demo.safetensors",
        _given(environ, "DAAH_GALLERY_FOLDER") or home / "gallery",
    )


def _given(environ: Mapping[str, str], name: str) -> Path | None:
    """The path that a variable names; None when it is unset or empty."""
    text = environ.get(name, "").strip()
    return Path(text).expanduser().absolute() if text else None


#: The paths of this process.
PATHS = locate()
