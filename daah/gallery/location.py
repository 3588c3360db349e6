"""Locations of a gallery's parts: its folder, and its codes there or on a server."""

from __future__ import annotations

import re
import secrets
import shutil
from fnmatch import fnmatch
from pathlib import Path

from daah.errors import GalleryError
from daah.gallery.names import checked_name
from daah.gallery.provenance import FILE, Model, Provenance
from daah.keys import keyed_fingerprint
from daah.parallel import Progress
from daah.paths import BUILT_IN, PATHS
from daah.stores.base import CodeSpec, CodeStore
from daah.stores.factory import open_store
from daah.types import ALIGNMENT

#: Number of faces from which the progress of reading is reported; smaller galleries take a moment.
_LARGE = 100_000

#: End of the name of a collection for the codes of a gallery that was given another key.
_REKEYED = re.compile(r"_k[0-9a-f]{8}$")


def is_server(uri: str) -> bool:
    """Whether codes are on a server instead of in the gallery's own folder.

    Args:
        uri: URI of the gallery or of its codes.

    Returns:
        Whether it names a server.
    """
    return "://" in uri


def known_gallery(uri: str) -> str:
    """The URI of a gallery that may be given by a known name.

    Args:
        uri: one of `BUILT_IN`, which is in the folder of galleries; or a URI. A folder of such a
            name elsewhere is given as ./NAME.

    Returns:
        URI of the gallery.
    """
    return str(PATHS.galleries / uri) if uri in BUILT_IN else uri


def gallery_folder(uri: str, folder: Path | None) -> Path:
    """The gallery's own folder.

    Args:
        uri: URI of the gallery.
        folder: the folder, for codes on a server; None derives it from the collection's name.

    Returns:
        Path of the folder.

    Raises:
        ConfigError: the name of the collection is invalid.
    """
    if not is_server(uri):
        return Path(uri.removeprefix("sqlite:"))
    if folder is not None:
        return Path(folder)
    collection = uri.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return PATHS.galleries / checked_name("collection", collection)


def codes_file(fingerprint: str) -> str:
    """Name of a file of codes in a gallery's folder.

    Args:
        fingerprint: of the codes: of their model, and of the gallery's key.

    Returns:
        Name of the file.
    """
    return f"codes-{fingerprint[:12]}.sqlite"


def without_token(uri: str) -> str:
    """Remove the token from a server's URI, so that it can be stored.

    Args:
        uri: URI of the server.

    Returns:
        The URI without its token.
    """
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def provenance_at(uri: str, model: Model, source: str, credit: str, key: str = "") -> Provenance:
    """Provenance of a new gallery.

    Args:
        uri: URI of the gallery.
        model: the model of its codes.
        source: source of its photos.
        credit: credit of its photos.
        key: what the gallery keeps of its key; "" without one.

    Returns:
        The provenance.
    """
    return Provenance(
        source=source,
        credit=credit,
        codes=(
            without_token(uri)
            if is_server(uri)
            else codes_file(keyed_fingerprint(model.fingerprint, key))
        ),
        model=model.name,
        fingerprint=model.fingerprint,
        bits=model.bits,
        alignment=ALIGNMENT,
        key=key,
    )


def open_codes(
    home: Path,
    known: Provenance,
    read_only: bool,
    uri: str = "",
    progress: Progress | None = None,
) -> CodeStore:
    """Open the store with a gallery's codes.

    Args:
        home: the gallery's folder.
        known: its provenance.
        read_only: whether writing is refused.
        uri: URI of the gallery as given by the user; it may contain a token.
        progress: called while a large gallery is read.

    Returns:
        The store, to be closed by the caller.

    Raises:
        GalleryError: the codes are outside of the folder, missing, damaged, locked or unreachable.
    """
    spec = CodeSpec(known.bits, known.codes_fingerprint, known.alignment)
    if is_server(known.codes):
        # The URI as given may carry a token, which is never written down.
        return open_store(_server_uri(uri, known), spec, read_only=read_only)
    if Path(known.codes).name != known.codes:
        raise GalleryError(f"The gallery {home.name} names codes outside of its folder.")

    def report(done: int, total: int) -> None:
        if progress and total >= _LARGE:
            progress(done, total, "Reading the gallery")

    where = f"sqlite:{home / known.codes}"
    return open_store(where, spec, read_only=read_only, progress=report)


def _server_uri(given: str, known: Provenance) -> str:
    """URI of codes on a server, with what the user said of it and nothing else knows."""
    if not is_server(given):
        return known.codes
    # A gallery that was given another key has a collection of another name.
    if not _REKEYED.search(known.codes.partition("?")[0]):
        return given
    address, mark, options = given.partition("?")
    collection = known.codes.partition("?")[0].rstrip("/").rpartition("/")[2]
    return f"{address.rstrip('/').rpartition('/')[0]}/{collection}{mark}{options}"


def rekeyed_uri(uri: str) -> str:
    """URI of a new collection for the codes of a gallery that is given another key.

    Args:
        uri: URI of the gallery, or of a collection that this function named.

    Returns:
        URI of a collection on the same server that does not exist yet.
    """
    address, mark, options = uri.partition("?")
    return f"{_REKEYED.sub('', address.rstrip('/'))}_k{secrets.token_hex(4)}{mark}{options}"


def drop_codes(home: Path, known: Provenance, uri: str) -> None:
    """Delete codes on a server.

    Args:
        home: the gallery's folder.
        known: the gallery that the codes are of.
        uri: URI of the gallery as given by the user; it may contain a token.

    Raises:
        GalleryError: the server does not answer, or cannot do it.
    """
    from daah.stores.milvus import MilvusStore  # its client takes seconds to import

    store = open_codes(home, known, read_only=False, uri=uri)
    assert isinstance(store, MilvusStore)
    store.drop()


def make_folder(home: Path) -> None:
    """Create the folder of a new gallery, unless it exists and is empty.

    Hidden files are ignored, and so are files that an interrupted creation of a gallery left.

    Args:
        home: the folder.

    Raises:
        GalleryError: it cannot be created, or contains other files: the path may be mistyped, and
            the files would be taken for the gallery's.
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
    """Whether a gallery may be created beside a file of this name."""
    return name.startswith((".", "gallery.json.")) or fnmatch(name, "codes-*.sqlite*")


def delete_codes(home: Path, name: str) -> None:
    """Delete a SQLite file with the files beside it (journal, cache).

    Args:
        home: the gallery's folder.
        name: name of the file.
    """
    for path in home.glob(f"{name}*"):
        path.unlink(missing_ok=True)


def delete_gallery(home: Path) -> None:
    """Delete a gallery's own files; what says that it is one goes last, so that none is forgotten.

    Args:
        home: the gallery's folder.

    Raises:
        GalleryError: they cannot be deleted; calling again continues.
    """
    try:
        for folder in ("faces", "trash"):
            if (home / folder).exists():
                shutil.rmtree(home / folder)
        for pattern in ("codes-*.sqlite*", "map.npz", "unfinished.*.json", "rekeying.json", FILE):
            for path in home.glob(pattern):
                path.unlink(missing_ok=True)
    except OSError as error:
        raise GalleryError(
            f"The gallery {home.name} cannot be deleted ({error.strerror})."
        ) from error


def drop_variants(home: Path, own: str) -> None:
    """Delete codes of other models (see `recode.open_variant`), which may include removed entries.

    Args:
        home: the gallery's folder.
        own: name of the file of the gallery's own codes, which is kept.
    """
    for path in home.glob("codes-*.sqlite*"):
        if not path.name.startswith(own):
            path.unlink(missing_ok=True)
