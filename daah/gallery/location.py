"""Where the parts of a gallery are: its folder, its codes there or on a server."""

from __future__ import annotations

from fnmatch import fnmatch
from pathlib import Path

from daah.errors import GalleryError
from daah.gallery.names import checked_name
from daah.gallery.provenance import Model, Provenance
from daah.parallel import Progress
from daah.paths import PATHS
from daah.stores.base import CodeSpec, CodeStore
from daah.stores.factory import open_store
from daah.types import ALIGNMENT

#: Galleries from this size on say how far their reading is; smaller ones take a moment.
_LARGE = 100_000


def is_server(uri: str) -> bool:
    """Whether codes at `uri` are on a server and not in the gallery's own folder."""
    return "://" in uri


def gallery_folder(uri: str, folder: Path | None) -> Path:
    """A gallery's own folder; `folder` says it for codes on a server."""
    if not is_server(uri):
        return Path(uri.removeprefix("sqlite:"))
    if folder is not None:
        return Path(folder)
    collection = uri.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return PATHS.galleries / checked_name("collection", collection)


def codes_file(model: Model) -> str:
    """The name of the file in a gallery's folder that holds this model's codes."""
    return f"codes-{model.fingerprint[:12]}.sqlite"


def without_token(uri: str) -> str:
    """A server's URI as it may be written down."""
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def provenance_at(uri: str, model: Model, source: str, credit: str) -> Provenance:
    """What a new gallery of this model's codes says of itself."""
    return Provenance(
        source=source,
        credit=credit,
        codes=without_token(uri) if is_server(uri) else codes_file(model),
        model=model.name,
        fingerprint=model.fingerprint,
        bits=model.bits,
        alignment=ALIGNMENT,
    )


def open_codes(
    home: Path,
    known: Provenance,
    read_only: bool,
    uri: str = "",
    progress: Progress | None = None,
) -> CodeStore:
    """The store with the codes of the gallery in `home`; `uri` is how it was asked for."""
    spec = CodeSpec(known.bits, known.fingerprint, known.alignment)
    if is_server(known.codes):
        # The URI as given may carry a token, which is never written down.
        return open_store(uri if is_server(uri) else known.codes, spec, read_only=read_only)
    if Path(known.codes).name != known.codes:
        raise GalleryError(f"The gallery {home.name} names codes outside of its folder.")

    def report(done: int, total: int) -> None:
        if progress and total >= _LARGE:
            progress(done, total, "Reading the gallery")

    where = f"sqlite:{home / known.codes}"
    return open_store(where, spec, read_only=read_only, progress=report)


def make_folder(home: Path) -> None:
    """Make the folder of a new gallery; nothing is done to one that is empty.

    Hidden files do not count, nor does what a process left that was stopped while it made a
    gallery. Raises GalleryError for a folder that holds anything else: its path was mistyped, or
    its files would be taken for the gallery's.
    """
    try:
        home.mkdir(parents=True, exist_ok=True)
        others = [path.name for path in home.iterdir() if not _may_be_there(path.name)]
    except OSError as error:
        raise GalleryError(
            f"The gallery folder {home.name} cannot be made ({error.strerror})."
        ) from error
    if others:
        raise GalleryError(
            f"The folder {home.name} is not a gallery and holds other files. Check the path; a new "
            "gallery is made in a folder that is empty or does not exist yet."
        )


def _may_be_there(name: str) -> bool:
    """Whether a file of this name does not keep a gallery from being made beside it."""
    return name.startswith((".", "gallery.json.")) or fnmatch(name, "codes-*.sqlite*")


def delete_codes(home: Path, name: str) -> None:
    """Delete a SQLite file with what is beside it under its name (journal, cache)."""
    for path in home.glob(f"{name}*"):
        path.unlink(missing_ok=True)


def drop_variants(home: Path, own: str) -> None:
    """Delete codes of other models (see `variants`): they may hold what was removed."""
    for path in home.glob("codes-*.sqlite*"):
        if not path.name.startswith(own):
            path.unlink(missing_ok=True)
