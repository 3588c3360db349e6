"""A gallery: a code store, the aligned faces and their provenance, in one folder.

    gallery/orl/
        gallery.json             provenance: source, credit, model, whether complete
        codes-<model>.sqlite     codes, people and photo names (elsewhere for a Milvus gallery);
                                 codes of further models beside them
        faces/<id % 256>/<id>.png    aligned faces
        map.npz                  the gallery's map in two dimensions
        trash/                   what was removed within the last hour (see `trash`)

A row of the store is written after its face and deleted after it. So every row that exists had its
face when it was written, and a face that is to be removed is deleted first. What a killed process
left unfinished is completed when the gallery is next opened for writing (see `journal`).
"""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah import codes
from daah.errors import GalleryError, MissingPackageError
from daah.gallery import journal, location, rekeying
from daah.gallery import map as gallery_map
from daah.gallery import provenance as provenance_file
from daah.gallery.map import Projection
from daah.gallery.names import checked_name, entry_id, plain
from daah.gallery.provenance import Model, ModelName, Provenance
from daah.gallery.thumbnails import Thumbnails
from daah.gallery.trash import KEPT_SECONDS, Removal, Trash
from daah.keys import GalleryKey, Secret, is_template, new_key, operator_secret, unlock
from daah.models.encoder import Encoder
from daah.models.keyed import KeyedEncoder, unkeyed
from daah.parallel import Progress
from daah.stores.base import Batch, CodeStore, Filter, Meta, Person
from daah.types import EncodedFace

MAP = "map.npz"

#: Entries that are deleted in one transaction.
_REMOVED_AT_ONCE = 10_000

#: Entries whose people are named in one condition of a scan.
_ROWS_AT_ONCE = 500


@dataclass(frozen=True)
class Entry:
    """One face of a gallery.

    Attributes:
        id: id of the entry.
        person: identifier of the person.
        photo: name of the photo.
        added_at: time of the enrolment in seconds since 1970.
        name: name of the person to show, which is the identifier unless another one was given.
    """

    id: int
    person: str
    photo: str
    added_at: float
    name: str

    @classmethod
    def of(cls, id: int, meta: Meta) -> Entry:
        """The entry of a stored row.

        Args:
            id: id of the row.
            meta: its metadata.

        Returns:
            The entry.
        """
        return cls(int(id), meta.person, meta.photo, meta.added_at, meta.shown)


class Gallery:
    """Codes and faces of enrolled people. Use `Gallery.open` to get one.

    Args:
        store: its codes.
        folder: its folder.
        provenance: its provenance.
        read_only: whether writing is refused.
        key: its key; None without one.
    """

    def __init__(
        self,
        store: CodeStore,
        folder: Path,
        provenance: Provenance,
        read_only: bool,
        key: GalleryKey | None = None,
    ) -> None:
        self.store = store
        self.folder = folder
        self.provenance = provenance
        self.read_only = read_only
        self.key = key
        self._thumbnails = Thumbnails(folder / "faces")
        self._trash = Trash(folder)
        self._waiting: list[threading.Timer] = []

    @property
    def name(self) -> str:
        """The name of the gallery's folder."""
        return self.folder.name

    @property
    def model(self) -> ModelName:
        """The model whose codes the gallery holds."""
        known = self.provenance
        return ModelName(known.model, known.fingerprint, known.bits, known.key)

    def encoder(self, model: Encoder) -> Encoder:
        """The encoder of this gallery's codes.

        Args:
            model: a model, with or without the key of some gallery.

        Returns:
            The model with the key of this gallery, or without one if the gallery has none.
        """
        plain = unkeyed(model)
        return plain if self.key is None else KeyedEncoder(plain, self.key)

    @classmethod
    def exists(cls, uri: str | Path) -> bool:
        """Whether there is a gallery at `uri`, complete or not, of any model.

        Args:
            uri: as of `open`.

        Returns:
            Whether its provenance file exists.
        """
        return (location.gallery_folder(str(uri), None) / provenance_file.FILE).is_file()

    @classmethod
    def open(
        cls,
        uri: str | Path,
        encoder: Model | None,
        read_only: bool = False,
        *,
        create: bool = True,
        folder: Path | None = None,
        source: str = "",
        credit: str = "",
        progress: Progress | None = None,
        secret: Secret | None = None,
    ) -> Gallery:
        """Open a gallery, or create an empty one in a folder that is new or empty.

        Args:
            uri: a folder ("gallery/orl", or "sqlite:gallery/orl"), or
                "milvus://host:port/collection", whose faces are in `folder`.
            encoder: the model that the codes must be of; None accepts any.
            read_only: whether writing is refused; several processes can open a gallery so.
            create: whether a missing gallery is created; never when it is read-only or without an
                encoder.
            folder: folder of the faces for codes on a server; None is gallery/<collection>.
            source: source of a gallery that is created.
            credit: credit of a gallery that is created.
            progress: called while a large gallery is read that has no file of packed codes.
            secret: for a gallery with a key, and to create one with a key; None takes what the
                environment names (see `daah.keys.operator_secret`). A gallery without a key does
                not need it.

        Returns:
            The gallery, to be closed by the caller.

        Raises:
            ConfigError: the key file that the environment names cannot be used.
            KeyMissingError: the gallery has a key, and none was given.
            KeyMismatchError: it was made with another key.
            GalleryError: it is missing, damaged, locked, unreachable or of another model, or is to
                be created in a folder that contains other files.
        """
        uri = str(uri)
        home = location.gallery_folder(uri, folder)
        known = provenance_file.read(home)
        if known is None:
            if read_only or encoder is None or not create:
                raise GalleryError(
                    f"There is no gallery {home.name}. Check the path, or make one with: "
                    "python -m daah gallery build SRC --gallery FOLDER"
                )
            key = _key_of_new(encoder, secret or operator_secret(), home.name)
            location.make_folder(home)
            record = "" if key is None else key.record
            known = location.provenance_at(uri, unkeyed(encoder), source, credit, record)
            store = location.open_codes(home, known, read_only=False, uri=uri)
            provenance_file.write(home, known)
            return cls(store, home, known, read_only, key)
        # Before the model: what is aligned otherwise cannot be encoded again.
        provenance_file.check_alignment(home, known)
        model = encoder and unkeyed(encoder)
        if model and (known.fingerprint, known.bits) != (model.fingerprint, model.bits):
            raise GalleryError(
                f"The gallery {home.name} was made by model {known.model} "
                f"({known.fingerprint[:12]}, {known.bits} bits), not by {model.name} "
                f"({model.fingerprint[:12]}, {model.bits} bits). Encode it again with: "
                "python -m daah gallery renew --gallery FOLDER"
            )
        key = unlock(known.key, secret or operator_secret(), home.name) if known.key else None
        store = location.open_codes(home, known, read_only, uri, progress)
        opened = cls(store, home, known, read_only, key)
        try:
            opened._finish()
            if not read_only:
                opened.empty_trash(expired_only=True)
                for removal in opened._trash.removals():
                    opened._erase_later(removal)
        except BaseException:  # an interrupt must release the writer's lock too
            opened.close()
            raise
        return opened

    def add(self, person: str, photo: str, encoded: EncodedFace, name: str = "") -> int:
        """Enrol a face; the same person and photo again replace the entry.

        Args:
            person: identifier of the person.
            photo: name of the photo.
            encoded: the face with its code.
            name: display name of the person; "" keeps the one that the gallery has, or shows the
                identifier.

        Returns:
            Id of the entry, a hash of person and photo.

        Raises:
            ConfigError: a name is invalid.
            GalleryError: the gallery is read-only, or cannot be written.
        """
        (id_,) = self.add_many([(person, photo, encoded)], names={person: name} if name else None)
        self.join_map([id_], [encoded])
        return id_

    def join_map(self, ids: Sequence[int], encoded: Sequence[EncodedFace]) -> None:
        """Place entries on the gallery's map, if there is one and it has room.

        Args:
            ids: ids of the entries.
            encoded: their faces, at least one.

        Raises:
            GalleryError: the map cannot be written.
        """
        drawn = self.map()
        if drawn and len(drawn.ids) + len(ids) <= gallery_map.LARGEST:
            joined = drawn.joined(np.array(ids, np.int64), packed_codes(encoded))
            gallery_map.save(self.folder / MAP, joined)

    def add_many(
        self,
        rows: Sequence[tuple[str, str, EncodedFace]],
        ids: Sequence[int] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> list[int]:
        """Enrol several faces, all or none.

        Args:
            rows: (person, photo, face) of each entry.
            ids: ids of the entries, 0 or more; None takes hashes of person and photo.
            names: display names by identifier; people without keep the one they have.

        Returns:
            Ids of the entries.

        Raises:
            ConfigError: a name is invalid.
            GalleryError: an id is negative, the faces were encoded without the gallery's key or
                with another gallery's, or the gallery is read-only or cannot be written.
            ValueError: an id is given twice.
        """
        self.require_writable()
        if not rows:
            return []
        meta = metas(rows, names or {})
        if ids is None:
            ids = [entry_id(m.person, m.photo) for m in meta]
        ids = [int(id_) for id_ in ids]
        if len(set(ids)) != len(ids):
            raise ValueError("add_many: an id is given twice")
        faces = [encoded for _, _, encoded in rows]
        packed, logits = packed_codes(faces), all_logits(faces)
        if is_template(logits) != (self.key is not None):
            raise GalleryError(
                f"These faces were not encoded for the gallery {self.name}; encode them with "
                "Gallery.encoder(model)."
            )
        with self.noted("adding", ids):
            for id_, (_, _, encoded) in zip(ids, rows, strict=True):
                self._thumbnails.write(id_, encoded.face.aligned)
            self.store.upsert(np.array(ids, np.int64), packed, meta, logits)
        return ids

    def discard(self, people: Iterable[str] = (), ids: Iterable[int] = ()) -> int:
        """Remove people and entries so that it can be undone within an hour.

        Unknown ones are ignored. Codes and faces leave the gallery and its file at once. A copy of
        them stays in the trash, which this process empties after the hour, or else the next one
        that opens the gallery for writing.

        Args:
            people: identifiers of people.
            ids: ids of entries.

        Returns:
            Number of entries that were removed; one `undo` brings all of them back.

        Raises:
            ConfigError: a name is invalid.
            GalleryError: the gallery is read-only, or cannot be written.
        """
        self.require_writable()
        gone = self._named(people, ids)
        if not gone:
            return 0
        removal = self._trash.put(
            self.rows(gone), self._thumbnails, self.provenance.codes_fingerprint
        )
        self._erase_later(removal)
        for start in range(0, len(gone), _REMOVED_AT_ONCE):
            self._delete(gone[start : start + _REMOVED_AT_ONCE])
        return len(gone)

    def last_removal(self) -> str | None:
        """The removal that `undo` would bring back; None without one."""
        removal = None if self.read_only else self._trash.latest(time.time())
        return None if removal is None else removal.name

    def undo(self, removal: str | None = None) -> tuple[Entry, ...]:
        """Bring the last removal of the last hour back; again, the one before it.

        Entries that were added again meanwhile stay as they are, and so do names given meanwhile.

        Args:
            removal: of `last_removal`, to bring back this one only; None is the last one.

        Returns:
            The entries that were brought back.

        Raises:
            GalleryError: there is nothing to undo, the gallery was encoded by another model since,
                or it is read-only or cannot be written.
        """
        self.require_writable()
        found = self._trash.latest(time.time(), removal)
        if found is None:
            raise GalleryError(
                f"There is nothing to undo in the gallery {self.name}. People and photos can be "
                "brought back within an hour of their removal."
            )
        batch = self._trash.read(found, self.provenance.codes_fingerprint)
        faces = self._trash.faces(found)
        known = {person.person for person in self.store.people()}
        absent = ~self.store.contains(batch.ids)
        back = [i for i in np.flatnonzero(absent) if int(batch.ids[i]) in faces]
        ids = batch.ids[back]
        meta = [batch.meta[i] for i in back]
        meta = [dataclasses.replace(m, name="" if m.person in known else m.name) for m in meta]
        if len(ids):
            with self.noted("adding", ids.tolist()):
                for id_ in ids.tolist():
                    self._thumbnails.place(id_, faces[id_].read_bytes())
                self.store.upsert(ids, batch.codes[back], meta, batch.logits[back])
            location.drop_variants(self.folder, self.provenance.codes)
        self._trash.erase([found])
        return tuple(Entry.of(id_, m) for id_, m in zip(ids.tolist(), meta, strict=True))

    def empty_trash(self, expired_only: bool = False) -> int:
        """Overwrite and delete what was removed, so that it cannot be brought back.

        Args:
            expired_only: whether what was removed within the last hour is kept.

        Returns:
            Number of removals that are gone for good.

        Raises:
            GalleryError: the gallery is read-only, or its trash cannot be deleted.
        """
        self.require_writable()
        now = time.time()
        removals = self._trash.removals()
        return self._trash.erase([r for r in removals if not expired_only or r.expired(now)])

    def _erase_later(self, removal: Removal) -> None:
        """Erase a removal when its hour is over, by a clock that nobody sets."""
        left = KEPT_SECONDS - (time.time() - removal.removed_at)
        timer = threading.Timer(max(0.0, left), self._trash.erase, [[removal]])
        timer.daemon = True
        self._waiting = [t for t in self._waiting if t.is_alive()] + [timer]
        timer.start()

    def assign(self, ids: Iterable[int], person: str, name: str = "") -> int:
        """Say who is on photos: entries keep their id, code and face and get another person.

        Args:
            ids: ids of the entries.
            person: identifier of the person, known or new.
            name: display name; "" keeps the one that the gallery has.

        Returns:
            Number of entries.

        Raises:
            ConfigError: a name is invalid.
            GalleryError: the gallery is read-only or cannot be written, or has no such entry.
        """
        return self.assign_many(dict.fromkeys(ids, (person, name)))

    def assign_many(self, changes: Mapping[int, tuple[str, str]]) -> int:
        """Do what `assign` does for several people at once, all or nothing.

        Args:
            changes: identifier and display name of the person, by id of the entry.

        Returns:
            Number of entries.

        Raises:
            ConfigError: a name is invalid.
            GalleryError: as of `assign`.
        """
        self.require_writable()
        batch = self.rows(changes)
        meta = []
        for id_, old in zip(batch.ids.tolist(), batch.meta, strict=True):
            person, name = changes[id_]
            name = checked_name("person", name) if name.strip() else ""
            meta.append(dataclasses.replace(old, person=checked_name("person", person), name=name))
        if meta:
            self.store.upsert(batch.ids, batch.codes, meta, batch.logits)
            location.drop_variants(self.folder, self.provenance.codes)
        return len(meta)

    def rows(self, ids: Iterable[int]) -> Batch:
        """Rows of entries, with logits.

        Args:
            ids: ids of the entries.

        Returns:
            The rows, by ascending id.

        Raises:
            GalleryError: there is no such entry.
        """
        wanted = np.array(sorted(set(ids)), np.int64)
        bits = self.store.spec.bits
        found_ids, found_codes = [np.empty(0, np.int64)], []
        found_codes.append(np.empty((0, codes.nbytes(bits)), np.uint8))
        logits, metas_ = [np.empty((0, bits), np.float32)], {}
        for start in range(0, len(wanted), _ROWS_AT_ONCE):
            part = wanted[start : start + _ROWS_AT_ONCE]
            try:
                people = frozenset(meta.person for meta in self.store.get(part).meta)
            except KeyError as error:
                raise GalleryError(
                    f"The gallery {self.name} has not all of these entries: {error.args[0]}."
                ) from None
            for rows in self.store.scan(Filter(people=people), logits=True):
                kept = np.flatnonzero(np.isin(rows.ids, part))
                assert rows.logits is not None
                found_ids.append(rows.ids[kept])
                found_codes.append(rows.codes[kept])
                logits.append(rows.logits[kept])
                metas_ |= {int(rows.ids[i]): rows.meta[i] for i in kept}
        all_ids = np.concatenate(found_ids)
        return Batch(
            all_ids,
            np.concatenate(found_codes),
            tuple(metas_[id_] for id_ in all_ids.tolist()),
            np.concatenate(logits),
        )

    def _named(self, people: Iterable[str], ids: Iterable[int]) -> list[int]:
        """Ids of the entries of these people, and those of `ids` that there are, ascending."""
        named = frozenset(checked_name("person", person) for person in people)
        wanted = np.array(sorted({id_ for id_ in ids if 0 <= id_ < 2**63}), np.int64)
        parts = [wanted[self.store.contains(wanted)]] if len(wanted) else []
        if named:
            parts += [rows.ids for rows in self.store.scan(Filter(people=named))]
        return np.unique(np.concatenate([np.empty(0, np.int64), *parts])).tolist()

    def remove(self, person: str) -> int:
        """Delete a person permanently: faces, codes and rows.

        Args:
            person: identifier of the person.

        Returns:
            Number of entries that were deleted.

        Raises:
            ConfigError: the name is invalid.
            GalleryError: there is no such person, or the gallery is read-only.
        """
        self.require_writable()
        person = checked_name("person", person)
        ids = [entry.id for entry in self.entries(person)]
        if not ids:
            raise GalleryError(f"Nobody named {person!r} is in the gallery {self.name}.")
        return self._delete(ids)

    def remove_many(
        self,
        people: Iterable[str] = (),
        ids: Iterable[int] = (),
        progress: Progress | None = None,
    ) -> int:
        """Delete people and entries permanently; unknown ones are ignored.

        Resumable: calling again continues where the last call stopped.

        Args:
            people: identifiers of people.
            ids: ids of entries.
            progress: called with entries done, their number, and the step.

        Returns:
            Number of entries that were deleted.

        Raises:
            ConfigError: a name is invalid.
            GalleryError: the gallery is read-only, or cannot be written.
        """
        self.require_writable()
        gone = self._named(people, ids)
        for start in range(0, len(gone), _REMOVED_AT_ONCE):
            self._delete(gone[start : start + _REMOVED_AT_ONCE])
            if progress:
                progress(min(start + _REMOVED_AT_ONCE, len(gone)), len(gone), "Removing")
        return len(gone)

    def entry(self, id: int) -> Entry:
        """The entry of an id.

        Args:
            id: id of the entry.

        Returns:
            The entry.

        Raises:
            GalleryError: there is no such entry.
        """
        try:
            meta = self.store.get(np.array([id], np.int64)).meta[0]
        except (KeyError, OverflowError):
            raise GalleryError(f"There is no entry {id} in the gallery {self.name}.") from None
        return Entry.of(id, meta)

    def entries(
        self, person: str | None = None, after: int = -1, batch: int = 10_000
    ) -> Iterator[Entry]:
        """All entries, or those of one person.

        Args:
            person: identifier of the person; None for all.
            after: id after which entries begin.
            batch: number of entries that are read at a time.

        Yields:
            Entries by ascending id.
        """
        where = None if person is None else Filter(people=frozenset([person]))
        for rows in self.store.scan(where, batch, after=after):
            for id_, meta in zip(rows.ids.tolist(), rows.meta, strict=True):
                yield Entry.of(id_, meta)

    def thumbnail(self, id: int) -> np.ndarray:
        """The aligned face of an entry.

        Args:
            id: id of the entry.

        Returns:
            (224, 224, 3) uint8 RGB.

        Raises:
            GalleryError: the face is missing or damaged.
        """
        return self._thumbnails.read(int(id))

    def people(self) -> dict[str, int]:
        """Number of entries by identifier of the person, sorted."""
        return {person.person: person.photos for person in self.store.people()}

    def find_people(self, text: str = "") -> tuple[Person, ...]:
        """Find people by a part of their name or identifier; case and accents are ignored.

        Args:
            text: the part.

        Returns:
            The people, sorted by identifier.
        """
        wanted = plain(text)
        return tuple(
            person
            for person in self.store.people()
            if wanted in plain(person.person) or wanted in plain(person.name)
        )

    def count(self) -> int:
        """Number of entries."""
        return self.store.count()

    def map(self) -> Projection | None:
        """The gallery's map as it was last saved; None when it is missing, damaged or outdated."""
        drawn = gallery_map.load(self.folder / MAP)
        return drawn if drawn and drawn.fingerprint == self.provenance.codes_fingerprint else None

    def draw_map(self) -> Projection:
        """Compute the gallery's map again, and save it unless the gallery is read-only.

        It takes about two seconds for a few hundred entries, and half a minute for the largest map.

        Returns:
            The map.

        Raises:
            GalleryError: the map cannot be written.
            MissingPackageError: scikit-learn is not installed.
        """
        ids = np.concatenate([np.empty(0, np.int64), *(rows.ids for rows in self.store.scan())])
        if len(ids) > gallery_map.LARGEST:
            chosen = np.random.default_rng(0).choice(len(ids), gallery_map.LARGEST, replace=False)
            ids = ids[np.sort(chosen)]
        fingerprint = self.store.spec.fingerprint
        drawn = gallery_map.project(ids, self.store.get(ids).codes, fingerprint)
        if not self.read_only:
            gallery_map.save(self.folder / MAP, drawn)
        return drawn

    def draw_map_if_possible(self) -> None:
        """Draw the map, or none without scikit-learn: the page draws one that is missing.

        Raises:
            GalleryError: the map cannot be written.
        """
        with contextlib.suppress(MissingPackageError):
            self.draw_map()

    def require_complete(self) -> None:
        """Check that the gallery's last build was finished.

        Raises:
            GalleryError: it was not.
        """
        if not self.provenance.complete:
            raise GalleryError(
                f"Building the gallery {self.name} was interrupted. Finish it with: python -m daah "
                f"gallery build {self.provenance.source or 'SRC'} --gallery FOLDER"
            )

    def describe(self, **changes: object) -> None:
        """Change fields of the provenance, in memory and on disk.

        Args:
            changes: new values of fields of `Provenance`.

        Raises:
            GalleryError: the gallery is read-only, or cannot be written.
        """
        self.require_writable()
        changed = dataclasses.replace(self.provenance, **changes)
        provenance_file.write(self.folder, changed)
        self.provenance = changed

    def compact(self) -> None:
        """Return the space of removed entries to the disk.

        Raises:
            GalleryError: the gallery is read-only, or cannot be written.
        """
        self.require_writable()
        self.store.compact()

    def flush(self) -> None:
        """Make all added entries visible to other readers."""
        self.store.flush()

    def close(self) -> None:
        """Release the store. A closed gallery raises GalleryError on use."""
        for timer in self._waiting:  # whoever opens it next for writing takes over
            timer.cancel()
        self.store.close()

    def __enter__(self) -> Gallery:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def noted(self, kind: journal.Kind, ids: Sequence[int]) -> AbstractContextManager[None]:
        """Context of changes to faces and rows: a killed process's work is completed later.

        Args:
            kind: whether entries are added or removed.
            ids: ids of the entries.

        Returns:
            The context manager of `journal.noted`; one without effect for codes on a server.
        """
        if location.is_server(self.provenance.codes):
            return contextlib.nullcontext()
        return journal.noted(self.folder, kind, ids)

    def _finish(self) -> None:
        """Complete the work of killed processes: additions are undone, removals completed."""
        if self.read_only or location.is_server(self.provenance.codes):
            return
        rekeying.finish(self.folder)
        for note in journal.notes(self.folder):
            ids = np.unique(np.array(note.ids, np.int64))
            if note.kind == "removing":
                self._delete(ids.tolist())
            else:
                for id_ in ids[~self.store.contains(ids)].tolist():
                    self._thumbnails.remove(id_)
                for id_ in ids.tolist():
                    self._thumbnails.remove_halves(id_)
            note.path.unlink(missing_ok=True)

    def _delete(self, ids: list[int]) -> int:
        with self.noted("removing", ids):
            for id_ in ids:
                self._thumbnails.remove(id_)
            drawn = gallery_map.load(self.folder / MAP)
            if drawn:
                gallery_map.save(self.folder / MAP, drawn.without(ids))
            removed = self.store.remove(np.array(ids, np.int64))
            location.drop_variants(self.folder, self.provenance.codes)
        return removed

    def require_writable(self) -> None:
        """Check that the gallery was opened for writing.

        Raises:
            GalleryError: it was opened read-only.
        """
        if self.read_only:
            raise GalleryError(f"The gallery {self.name} is read-only here.")


def _key_of_new(model: Model, secret: Secret | None, name: str) -> GalleryKey | None:
    """The key of a gallery that is created: of its own, or of the one that it is a copy of."""
    if isinstance(model, ModelName):
        return unlock(model.key, secret, name) if model.key else None
    return None if secret is None else new_key(secret)


def metas(rows: Sequence[tuple[str, str, EncodedFace]], names: Mapping[str, str]) -> list[Meta]:
    """Metadata of faces that are enrolled now.

    Args:
        rows: (person, photo, face) of each.
        names: display names by identifier.

    Returns:
        As many Metas, with validated names.

    Raises:
        ConfigError: a name is invalid.
    """
    now = time.time()
    return [
        Meta(
            checked_name("person", person),
            checked_name("photo", photo),
            now,
            checked_name("person", names[person]) if names.get(person) else "",
        )
        for person, photo, _ in rows
    ]


def packed_codes(encoded: Sequence[EncodedFace]) -> np.ndarray:
    """Codes of faces as a store keeps them.

    Args:
        encoded: N faces, at least one.

    Returns:
        (N, B) uint8, packed.
    """
    return codes.pack(np.stack([face.code.bits for face in encoded]))


def all_logits(encoded: Sequence[EncodedFace]) -> np.ndarray:
    """Logits of faces as a store keeps them.

    Args:
        encoded: N faces, at least one.

    Returns:
        (N, K) float32.
    """
    return np.stack([face.code.logits for face in encoded])
