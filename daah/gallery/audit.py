"""Checks of a gallery: integrity of its parts, and quality of its codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from daah import codes
from daah.detection.alignment import aligned_face
from daah.errors import GalleryError
from daah.gallery import journal
from daah.gallery.gallery import Entry, Gallery, packed_codes
from daah.gallery.thumbnails import Thumbnails
from daah.models.encoder import FaceEncoder, encode_many
from daah.parallel import Progress

_BATCH = 256

#: Nearest entries that are examined per entry, in search of near duplicates.
_NEIGHBOURS = 50


@dataclass(frozen=True)
class Verification:
    """Result of `verify`. Ids of entries are ascending.

    Attributes:
        entries: number of entries.
        store: damage of the store itself (counts, checksums, indexes); "" without damage.
        missing: entries without a face.
        damaged: entries whose face cannot be read.
        unfinished: entries whose removal was interrupted between their face and their row.
        orphans: faces without an entry.
        leftovers: number of temporary files left by interrupted processes.
        changed: entries whose code differs from that of their face; None if not checked.
        complete: whether the last build was finished.
        repaired: whether orphans and leftovers were deleted.
    """

    entries: int
    store: str
    missing: tuple[int, ...]
    damaged: tuple[int, ...]
    unfinished: tuple[int, ...]
    orphans: tuple[int, ...]
    leftovers: int
    changed: tuple[int, ...] | None
    complete: bool
    repaired: bool

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged; what interrupted processes left is in `strays`."""
        return not self.problems()

    @property
    def strays(self) -> str:
        """What interrupted processes left, in words; "" for nothing, or when it was repaired."""
        left = [
            _many(len(self.orphans), "face without an entry", "faces without an entry"),
            _many(self.leftovers, "half-written file", "half-written files"),
            _many(len(self.unfinished), "removal not finished", "removals not finished"),
        ]
        return "" if self.repaired else ", ".join(filter(None, left))

    def problems(self) -> tuple[str, ...]:
        """A sentence about each kind of damage, and about an unfinished build."""
        found = [
            self.store,
            _many(len(self.missing), "entry has no face.", "entries have no face."),
            _many(
                len(self.damaged),
                "entry has a face that cannot be read.",
                "entries have faces that cannot be read.",
            ),
            _many(
                len(self.changed or ()),
                "entry has another code than its face gives.",
                "entries have other codes than their faces give.",
            ),
            "" if self.complete else "A build was stopped; the same command finishes it.",
        ]
        return tuple(filter(None, found))


@dataclass(frozen=True)
class NearPair:
    """Two similar entries of different people.

    Attributes:
        a: one entry.
        b: the other entry.
        distance: their Hamming distance in bits.
    """

    a: Entry
    b: Entry
    distance: int


@dataclass(frozen=True)
class Statistics:
    """Statistics of a gallery's codes.

    Attributes:
        entries: number of entries.
        people: number of people.
        bits: code length.
        ones: share of entries in which each bit is 1, one value per bit; ideally 0.5.
        collisions: entries that share their code with another entry.
        collisions_between: entries that share their code with another person's entry.
        near: the closest pairs of entries of different people, closest first.
    """

    entries: int
    people: int
    bits: int
    ones: tuple[float, ...]
    collisions: int
    collisions_between: int
    near: tuple[NearPair, ...]


def verify(
    gallery: Gallery,
    encoder: FaceEncoder | None = None,
    repair: bool = False,
    progress: Progress | None = None,
) -> Verification:
    """Check the store and compare rows with faces.

    Args:
        gallery: the gallery.
        encoder: the model of its codes, to compute every code again; None does not compare codes.
        repair: whether faces without an entry and temporary files are deleted; nothing needs them.
        progress: called with entries done, their number, and a person's name.

    Returns:
        What was found. Damage is no exception.

    Raises:
        GalleryError: `repair` on a read-only gallery, or rows that cannot be read.
    """
    coder = None if encoder is None else gallery.encoder(encoder)
    store = ""
    try:
        gallery.store.check(progress and (lambda done, total: progress(done, total, "Rows")))
    except GalleryError as error:
        store = str(error)
    faces = Thumbnails(gallery.folder / "faces")
    total, done = gallery.count(), 0
    notes = [note for note in journal.notes(gallery.folder) if note.kind == "removing"]
    removing = {id_ for note in notes for id_ in note.ids}
    known, missing, damaged, unfinished, changed = [np.empty(0, np.int64)], [], [], [], []
    for rows in gallery.store.scan(batch=_BATCH):
        known.append(rows.ids)
        there, images = [], []
        for position, id_ in enumerate(rows.ids.tolist()):
            if not faces.path(id_).is_file():
                (unfinished if id_ in removing else missing).append(id_)
                continue
            try:
                images.append(aligned_face(faces.read(id_)))
                there.append(position)
            except GalleryError:
                damaged.append(id_)
        if coder is not None and there:
            now = packed_codes(encode_many(coder, images))
            differs = (now != rows.codes[there]).any(1)
            changed += rows.ids[there][differs].tolist()
        done += len(rows.ids)
        if progress:
            progress(done, total, rows.meta[-1].person)
    ids = np.concatenate(known)
    found = np.sort(np.fromiter(faces.ids(), np.int64))
    orphans = found[~np.isin(found, ids)].tolist()
    leftovers = list(faces.leftovers())
    if repair:
        gallery.require_writable()
        for id_ in orphans:
            faces.remove(id_)
        for path in leftovers:
            path.unlink(missing_ok=True)
    return Verification(
        entries=len(ids),
        store=store,
        missing=tuple(missing),
        damaged=tuple(damaged),
        unfinished=tuple(unfinished),
        orphans=tuple(orphans),
        leftovers=len(leftovers),
        changed=tuple(changed) if encoder is not None else None,
        complete=gallery.provenance.complete,
        repaired=repair,
    )


def statistics(gallery: Gallery, pairs: int = 20, progress: Progress | None = None) -> Statistics:
    """Balance of bits, collisions, and the closest pairs of entries of different people.

    One search per entry, for its 50 nearest entries: a second for ten thousand entries.

    Args:
        gallery: the gallery.
        pairs: number of pairs.
        progress: called with entries done, their number, and a person's name.

    Returns:
        The statistics.
    """
    bits = gallery.store.spec.bits
    total, done = gallery.count(), 0
    ones = np.zeros(bits, np.int64)
    equal, equal_between = 0, 0
    near: dict[tuple[int, int], NearPair] = {}
    for rows in gallery.store.scan(batch=_BATCH):
        ones += codes.unpack(rows.codes, bits).sum(0)
        hits = gallery.store.search(rows.codes, _NEIGHBOURS)
        for row, (id_, meta) in enumerate(zip(rows.ids.tolist(), rows.meta, strict=True)):
            mine = Entry.of(id_, meta)
            others = [
                (Entry.of(other, m), int(distance))
                for other, distance, m in zip(
                    hits.ids[row].tolist(), hits.distances[row], hits.meta[row], strict=False
                )
                if other != id_
            ]
            same_code = [other for other, distance in others if distance == 0]
            equal += bool(same_code)
            equal_between += any(other.person != mine.person for other in same_code)
            for other, distance in others:
                if other.person != mine.person:
                    pair = (min(id_, other.id), max(id_, other.id))
                    near.setdefault(pair, NearPair(mine, other, distance))
                    break
        near = dict(sorted(near.items(), key=lambda item: (item[1].distance, item[0]))[:pairs])
        done += len(rows.ids)
        if progress:
            progress(done, total, rows.meta[-1].person)
    return Statistics(
        entries=total,
        people=gallery.store.count_people(),
        bits=bits,
        ones=tuple((ones / max(total, 1)).tolist()),
        collisions=equal,
        collisions_between=equal_between,
        near=tuple(near.values()),
    )


def _many(count: int, one: str, several: str) -> str:
    """ "1 entry", "2 entries"; "" for none."""
    return f"{count:,} {one if count == 1 else several}" if count else ""
