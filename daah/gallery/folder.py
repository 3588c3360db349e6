"""A gallery: a code store, the aligned faces, and what is known of them, in one folder.

    gallery/orl/
        gallery.json             provenance: source, credit, model, whether complete
        codes-<model>.sqlite     codes, people and photo names (elsewhere for a Milvus gallery);
                                 another model's, if it was asked for, beside them
        faces/<id % 256>/<id>.png    aligned faces
        map.npz                  the gallery's map in two dimensions

A row of the store is written after its face and deleted after it. So whatever happens in between,
a row that exists was complete once, and a face that somebody asked to remove is gone first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import shutil
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from daah import codes, projection
from daah.errors import ConfigError, GalleryError
from daah.gallery import provenance as provenance_file
from daah.gallery.provenance import Provenance
from daah.gallery.thumbnails import Thumbnails
from daah.models.encoder import FaceEncoder
from daah.pipeline import aligned_face, encode_many
from daah.projection import Projection
from daah.stores.base import CodeSpec, CodeStore, Filter, Meta, open_store
from daah.types import ALIGNMENT, EncodedFace

#: Called with how many are done, of how many, and the name of the one at hand.
Progress = Callable[[int, int, str], None]

#: Where galleries live that are named by a word alone.
HOME = Path(__file__).resolve().parent.parent.parent / "gallery"

MAP = "map.npz"
_LONGEST_NAME = 200
_BATCH = 256

#: Entries that are deleted in one transaction.
_REMOVED_AT_ONCE = 10_000

#: Galleries from this size on say how far their reading is; smaller ones take a moment.
_LARGE = 100_000


@dataclass(frozen=True)
class Entry:
    """One face of a gallery; added_at in seconds since 1970."""

    id: int
    person: str
    photo: str
    added_at: float


class Model(Protocol):
    """What a gallery needs to know of the model whose codes it holds; a FaceEncoder is one."""

    name: str
    fingerprint: str
    bits: int


@dataclass(frozen=True)
class ModelName:
    """A model that need not be at hand: to copy, list or export codes that are already there."""

    name: str
    fingerprint: str
    bits: int


class Gallery:
    """Codes and faces of people that can be found. Get one from `Gallery.open`."""

    def __init__(
        self, store: CodeStore, folder: Path, provenance: Provenance, read_only: bool
    ) -> None:
        self.store = store
        self.folder = folder
        self.provenance = provenance
        self.read_only = read_only
        self._thumbnails = Thumbnails(folder / "faces")

    @property
    def name(self) -> str:
        """The name of the gallery's folder."""
        return self.folder.name

    @property
    def model(self) -> ModelName:
        """The model whose codes the gallery holds."""
        known = self.provenance
        return ModelName(known.model, known.fingerprint, known.bits)

    @classmethod
    def exists(cls, uri: str | Path) -> bool:
        """Whether there is a gallery at `uri`, complete or not, of whatever model."""
        return (_folder(str(uri), None) / provenance_file.FILE).is_file()

    @classmethod
    def open(
        cls,
        uri: str | Path,
        encoder: Model | None,
        read_only: bool = False,
        *,
        folder: Path | None = None,
        source: str = "",
        credit: str = "",
        progress: Progress | None = None,
    ) -> Gallery:
        """Open a gallery, or make an empty one there unless `read_only`.

        uri: a folder ("gallery/orl", or "sqlite:gallery/orl"), or "milvus://host:port/collection"
            whose faces then lie in `folder` (default: gallery/<collection>).
        encoder: the model that the codes must be of; None takes whatever gallery is there.
        source, credit: what a gallery made by this call says of itself.
        progress: called while a large gallery is read that has no file of packed codes.
        Raises GalleryError when it is missing, damaged, locked, away or made by another model.
        """
        uri = str(uri)
        home = _folder(uri, folder)
        known = provenance_file.read(home)
        if known is None:
            if read_only or encoder is None:
                raise GalleryError(
                    f"There is no gallery {home.name}. Build one with: "
                    "python -m daah gallery build SRC --gallery FOLDER"
                )
            known = _new(uri, encoder, source, credit)
            try:
                home.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise GalleryError(
                    f"The gallery folder {home.name} cannot be made ({error.strerror})."
                ) from error
            store = _open_codes(home, known, read_only=False, uri=uri)
            provenance_file.write(home, known)
            return cls(store, home, known, read_only)
        if encoder and (known.fingerprint, known.bits) != (encoder.fingerprint, encoder.bits):
            raise GalleryError(
                f"The gallery {home.name} was made by model {known.model} "
                f"({known.fingerprint[:12]}, {known.bits} bits), not by {encoder.name} "
                f"({encoder.fingerprint[:12]}, {encoder.bits} bits). Encode it again with: "
                "python -m daah gallery renew --gallery FOLDER"
            )
        _check_alignment(home, known)
        store = _open_codes(home, known, read_only, uri, progress)
        return cls(store, home, known, read_only)

    @classmethod
    def renew(cls, uri: str | Path, encoder: FaceEncoder, progress: Progress | None = None) -> bool:
        """Encode a gallery made by another model again, from its faces; False if none is needed.

        The old codes serve until the new ones are complete. Raises GalleryError for a gallery that
        is missing, of another alignment, or not in a folder of its own (copy that one instead).
        """
        home = _folder(str(uri), None)
        old = provenance_file.read(home)
        if old is None:
            raise GalleryError(f"There is no gallery {home.name} to encode again.")
        if (old.fingerprint, old.bits) == (encoder.fingerprint, encoder.bits):
            return False
        _check_alignment(home, old)
        if _is_server(old.codes):
            raise GalleryError(
                f"The gallery {home.name} lies on a server; copy it to a new collection instead."
            )
        new = dataclasses.replace(
            _new(str(home), encoder, old.source, old.credit),
            complete=old.complete,
            photos=old.photos,
            skipped=old.skipped,
        )
        faces = Thumbnails(home / "faces")
        # What a stopped renewal left holds other models' codes or a part: it is worth nothing.
        _delete_codes(home, new.codes)
        before = _open_codes(home, old, read_only=False)
        after = _open_codes(home, new, read_only=False)
        try:
            total, done = before.count(), 0
            for rows in before.scan(batch=_BATCH):
                images = [aligned_face(faces.read(int(id_))) for id_ in rows.ids]
                packed = _packed(encode_many(encoder, images))
                after.upsert(rows.ids, packed, rows.meta)
                done += len(rows.ids)
                if progress:
                    progress(done, total, rows.meta[-1].person)
            if after.count() != total:
                raise GalleryError(f"The gallery {home.name} changed meanwhile; try again.")
            (home / MAP).unlink(missing_ok=True)
            provenance_file.write(home, new)
        finally:
            after.close()
            before.close()
        _delete_codes(home, old.codes)
        return True

    def add(self, person: str, photo: str, encoded: EncodedFace) -> int:
        """Enrol a face and return its id, which person and photo alone decide.

        The same person and photo again replaces the entry. Raises ConfigError for a name that
        cannot be kept, GalleryError when the gallery is read-only.
        """
        (id_,) = self.add_many([(person, photo, encoded)])
        drawn = self.map()
        if drawn and len(drawn.ids) < projection.LARGEST:
            joined = drawn.joined(np.array([id_], np.int64), _packed([encoded]))
            projection.save(self.folder / MAP, joined)
        return id_

    def add_many(
        self, rows: Sequence[tuple[str, str, EncodedFace]], ids: Sequence[int] | None = None
    ) -> list[int]:
        """Enrol faces (person, photo, encoded) at once, all or none; returns their ids.

        ids: ids >= 0 to use instead of those that person and photo decide.
        """
        self.require_writable()
        if not rows:
            return []
        now = time.time()
        meta = [
            Meta(checked_name("person", person), checked_name("photo", photo), now)
            for person, photo, _ in rows
        ]
        if ids is None:
            ids = [entry_id(m.person, m.photo) for m in meta]
        ids = [int(id_) for id_ in ids]
        for id_, (_, _, encoded) in zip(ids, rows, strict=True):
            self._thumbnails.write(id_, encoded.face.aligned)
        packed = _packed([encoded for _, _, encoded in rows])
        self.store.upsert(np.array(ids, np.int64), packed, meta)
        return ids

    def remove(self, person: str) -> int:
        """Delete a person for good: faces, codes and rows. Returns how many entries there were.

        Raises GalleryError when nobody has this name or the gallery is read-only.
        """
        self.require_writable()
        person = checked_name("person", person)
        ids = [entry.id for entry in self.entries(person)]
        if not ids:
            raise GalleryError(f"Nobody named {person!r} is in the gallery {self.name}.")
        return self._delete(ids)

    def remove_entry(self, id: int) -> None:
        """Delete one entry for good. Raises GalleryError when there is none of this id."""
        self.require_writable()
        self.entry(id)
        self._delete([id])

    def remove_many(
        self,
        people: Iterable[str] = (),
        ids: Iterable[int] = (),
        progress: Progress | None = None,
    ) -> int:
        """Delete people and entries for good; unknown ones are passed over.

        Returns how many entries there were. A stopped call is gone on with by the same call.
        """
        self.require_writable()
        named = frozenset(checked_name("person", person) for person in people)
        wanted = np.array(sorted({id_ for id_ in ids if 0 <= id_ < 2**63}), np.int64)
        parts = [wanted[self.store.contains(wanted)]] if len(wanted) else []
        if named:
            parts += [rows.ids for rows in self.store.scan(Filter(people=named))]
        gone = np.unique(np.concatenate([np.empty(0, np.int64), *parts])).tolist()
        for start in range(0, len(gone), _REMOVED_AT_ONCE):
            self._delete(gone[start : start + _REMOVED_AT_ONCE])
            if progress:
                progress(min(start + _REMOVED_AT_ONCE, len(gone)), len(gone), "Removing")
        return len(gone)

    def entry(self, id: int) -> Entry:
        """The entry of an id; GalleryError when there is none."""
        try:
            meta = self.store.get(np.array([id], np.int64)).meta[0]
        except (KeyError, OverflowError):
            raise GalleryError(f"There is no entry {id} in the gallery {self.name}.") from None
        return Entry(int(id), meta.person, meta.photo, meta.added_at)

    def entries(self, person: str | None = None) -> Iterator[Entry]:
        """All entries, or those of one person, by ascending id."""
        where = None if person is None else Filter(people=frozenset([person]))
        for rows in self.store.scan(where):
            for id_, meta in zip(rows.ids.tolist(), rows.meta, strict=True):
                yield Entry(id_, meta.person, meta.photo, meta.added_at)

    def thumbnail(self, id: int) -> np.ndarray:
        """The aligned face (150, 150, 3) uint8 of an entry; GalleryError when there is none."""
        return self._thumbnails.read(int(id))

    def people(self) -> dict[str, int]:
        """Entries of each person, sorted by name."""
        return self.store.people()

    def find_people(self, text: str) -> dict[str, int]:
        """Entries of each person in whose name `text` stands; case and accents do not matter."""
        wanted = _plain(text)
        return {name: count for name, count in self.people().items() if wanted in _plain(name)}

    def count(self) -> int:
        """Number of entries."""
        return self.store.count()

    def map(self) -> Projection | None:
        """The gallery's map as it was last drawn; None when it never was or is damaged."""
        drawn = projection.load(self.folder / MAP)
        return drawn if drawn and drawn.fingerprint == self.provenance.fingerprint else None

    def draw_map(self) -> Projection:
        """Draw the map of the gallery's codes anew, and keep it unless the gallery is read-only.

        Takes about two seconds for a few hundred entries, and half a minute for the largest map.
        """
        ids = np.concatenate([np.empty(0, np.int64), *(rows.ids for rows in self.store.scan())])
        if len(ids) > projection.LARGEST:
            chosen = np.random.default_rng(0).choice(len(ids), projection.LARGEST, replace=False)
            ids = ids[np.sort(chosen)]
        fingerprint = self.store.spec.fingerprint
        drawn = projection.project(ids, self.store.get(ids).codes, fingerprint)
        if not self.read_only:
            projection.save(self.folder / MAP, drawn)
        return drawn

    def require_complete(self) -> None:
        """Raise GalleryError when a build of this gallery has been stopped before its end."""
        if not self.provenance.complete:
            raise GalleryError(
                f"Building the gallery {self.name} was interrupted. Finish it with: python -m daah "
                f"gallery build {self.provenance.source or 'SRC'} --gallery FOLDER"
            )

    def describe(self, **changes: object) -> None:
        """Change fields of the provenance, in memory and on disk."""
        self.require_writable()
        changed = dataclasses.replace(self.provenance, **changes)
        provenance_file.write(self.folder, changed)
        self.provenance = changed

    def destroy(self) -> None:
        """Close the gallery and delete it with all that is in it."""
        self.require_writable()
        if _is_server(self.provenance.codes):
            for rows in self.store.scan():
                self.store.remove(rows.ids)
        self.close()
        shutil.rmtree(self.folder)

    def compact(self) -> None:
        """Give the space of removed entries back to the disk."""
        self.require_writable()
        self.store.compact()

    def flush(self) -> None:
        """Make everything added so far visible to other readers."""
        self.store.flush()

    def close(self) -> None:
        """Release the store. A closed gallery raises GalleryError on use."""
        self.store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _delete(self, ids: list[int]) -> int:
        for id_ in ids:
            self._thumbnails.remove(id_)
        drawn = projection.load(self.folder / MAP)
        if drawn:
            projection.save(self.folder / MAP, drawn.without(ids))
        removed = self.store.remove(np.array(ids, np.int64))
        _drop_variants(self.folder, self.provenance.codes)
        return removed

    def require_writable(self) -> None:
        """Raise GalleryError when the gallery was opened read-only."""
        if self.read_only:
            raise GalleryError(f"The gallery {self.name} is read-only here.")


def entry_id(person: str, photo: str) -> int:
    """The id of a person's photo: 63 bits of a hash of both names, the same everywhere."""
    digest = hashlib.sha256(f"{person}\0{photo}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def checked_name(what: str, name: str) -> str:
    """A person's or photo's name as it is kept: trimmed, in Unicode's composed form (NFC).

    Raises ConfigError for an empty or overlong name, or one with control characters.
    """
    try:
        name = unicodedata.normalize("NFC", name.strip())
        name.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"The {what}'s name is not valid Unicode; rename it.") from None
    if not name:
        raise ConfigError(f"The {what} needs a name.")
    if len(name) > _LONGEST_NAME:
        raise ConfigError(f"The {what}'s name is longer than {_LONGEST_NAME} characters.")
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise ConfigError(f"The {what}'s name holds control characters.")
    return name


def _packed(encoded: Sequence[EncodedFace]) -> np.ndarray:
    return codes.pack(np.stack([face.code.bits for face in encoded]))  # (N, bits / 8)


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _is_server(uri: str) -> bool:
    return "://" in uri


def _folder(uri: str, folder: Path | None) -> Path:
    """The gallery's own folder."""
    if not _is_server(uri):
        return Path(uri.removeprefix("sqlite:"))
    if folder is not None:
        return Path(folder)
    collection = uri.split("?")[0].rstrip("/").rsplit("/", 1)[-1]
    return HOME / checked_name("collection", collection)


def _new(uri: str, encoder: Model, source: str, credit: str) -> Provenance:
    return Provenance(
        source=source,
        credit=credit,
        codes=_without_token(uri) if _is_server(uri) else codes_file(encoder),
        model=encoder.name,
        fingerprint=encoder.fingerprint,
        bits=encoder.bits,
        alignment=ALIGNMENT,
    )


def codes_file(encoder: Model) -> str:
    """The name of the file in a gallery's folder that holds this model's codes."""
    return f"codes-{encoder.fingerprint[:12]}.sqlite"


def _without_token(uri: str) -> str:
    scheme, _, rest = uri.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _open_codes(
    home: Path,
    known: Provenance,
    read_only: bool,
    uri: str = "",
    progress: Progress | None = None,
) -> CodeStore:
    spec = CodeSpec(known.bits, known.fingerprint, known.alignment)
    if _is_server(known.codes):
        # The URI at hand may carry a token, which is never written down.
        return open_store(uri if _is_server(uri) else known.codes, spec, read_only=read_only)
    if Path(known.codes).name != known.codes:
        raise GalleryError(f"The gallery {home.name} names codes outside of its folder.")

    def report(done: int, total: int) -> None:
        if progress and total >= _LARGE:
            progress(done, total, "Reading the gallery")

    where = f"sqlite:{home / known.codes}"
    return open_store(where, spec, read_only=read_only, progress=report)


def _delete_codes(home: Path, name: str) -> None:
    """Delete a SQLite file with what stands beside it under its name (journal, cache)."""
    for path in home.glob(f"{name}*"):
        path.unlink(missing_ok=True)


def _drop_variants(home: Path, own: str) -> None:
    """Delete codes of other models (see `variants`): they may hold what was removed."""
    for path in home.glob("codes-*.sqlite*"):
        if not path.name.startswith(own):
            path.unlink(missing_ok=True)


def _check_alignment(home: Path, known: Provenance) -> None:
    if known.alignment != ALIGNMENT:
        raise GalleryError(
            f"The faces of the gallery {home.name} are aligned as {known.alignment}, this program "
            f"needs {ALIGNMENT}; build it again from the photos."
        )
