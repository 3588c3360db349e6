"""Enrolling many photos: a stream from files to codes whose memory does not grow with its length.

Worker processes decode and find faces; this process encodes and writes, a transaction every other
second. Enrolment is resumable: what is in the gallery already is not read again, so calling again
continues where the last run stopped. Several machines share the work by taking every n-th photo
each.
"""

from __future__ import annotations

import datetime
import itertools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.data import sources
from daah.detection.alignment import aligned_face
from daah.detection.detector import FaceDetector, principal_face
from daah.errors import DaahError, DataError, GalleryError
from daah.gallery.gallery import Gallery
from daah.gallery.manifest import Listing, Refused, Row, listing, row_of
from daah.images import read_image
from daah.models.encoder import FaceEncoder, encode_many
from daah.parallel import Progress, ordered_map

#: Faces that are written in one transaction at most.
WRITE_BATCH = 256

#: Seconds that a face waits for others to be written with: what a kill can cost. A transaction
#: takes a few milliseconds, so that even one every second costs less than a hundredth of the time.
WRITE_SECONDS = 1.0

#: Photos that are looked up in the gallery at a time.
_LOOKED_UP = 1000

#: How long processes wait for the slowest share; PyTorch's own half an hour is too short.
_PATIENCE = datetime.timedelta(days=30)

#: Refused photos that the report itself names; all of them go to the `refused` callback.
_NAMED = 100

NO_FACE = "no face found"

#: Photos 1 to 8 of each of ORL's people are enrolled; 9 and 10 stay out, to be searched with.
ORL_ENROLLED = 8

#: Known collections: whom to name.
CREDITS = {
    "orl": "The ORL Database of Faces, AT&T Laboratories Cambridge",
    "lfw": "Labeled Faces in the Wild (Huang, Ramesh, Berg, Learned-Miller, 2007)",
}


@dataclass(frozen=True)
class BulkReport:
    """What a run did.

    seen: photos of this process's share. added: enrolled now. present: enrolled before.
    refused: how many were not enrolled; examples: the first hundred of them with reasons.
    rate: photos a second, those that were present left out.
    """

    seen: int
    added: int
    present: int
    refused: int
    examples: tuple[Refused, ...]
    seconds: float
    rate: float


@dataclass(frozen=True)
class BuildReport:
    """What a build did: faces added, faces that were there before, photos skipped and why."""

    added: int
    present: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float


@dataclass(frozen=True)
class Processes:
    """This process among those that `accelerate launch` started: index of count.

    first: within this block process 0 is alone; the others enter when it has left.
    gather: wait for all, and give everyone's report to each.
    """

    index: int
    count: int
    first: Callable[[], AbstractContextManager[None]]
    gather: Callable[[BulkReport], list[BulkReport]]


def processes() -> Processes:
    """Which of the processes this is; one of one unless `accelerate launch` started it."""
    from accelerate import PartialState  # imported late: a second, for what few runs need
    from accelerate.utils import gather_object

    state = PartialState(cpu=True, timeout=_PATIENCE)
    return Processes(
        state.process_index,
        state.num_processes,
        state.main_process_first,
        lambda report: gather_object([report]),
    )


def together(reports: Sequence[BulkReport]) -> BulkReport:
    """What several processes did at the same time."""
    return BulkReport(
        seen=sum(report.seen for report in reports),
        added=sum(report.added for report in reports),
        present=sum(report.present for report in reports),
        refused=sum(report.refused for report in reports),
        examples=tuple(what for report in reports for what in report.examples)[:_NAMED],
        seconds=max(report.seconds for report in reports),
        rate=sum(report.rate for report in reports),
    )


def add(
    gallery: Gallery,
    photos: Listing,
    encoder: FaceEncoder,
    *,
    workers: int | None = None,
    make_detector: Callable[[], FaceDetector] = FaceDetector,
    progress: Progress | None = None,
    refused: Callable[[Refused], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> BulkReport:
    """Enrol a listing, whatever its length, and say what was refused.

    The principal face of each photo is taken. A photo that is listed twice is enrolled once. Faces
    are written WRITE_SECONDS after they were found, or as soon as WRITE_BATCH of them wait.

    Args:
        gallery: where the faces go.
        photos: what to enrol, of `listing`; several processes take a `shard` of it each, and need
            a gallery on a server, because a folder has one writer.
        encoder: the model that the gallery's codes are of.
        workers: processes that decode and detect; None leaves one core for encoding; 0 does it on
            threads of this process.
        make_detector: gives each process its own; of a module's top level, so that it can be
            handed to processes.
        progress: called with photos done, of how many, and the rate.
        refused: called with every photo that is not enrolled.
        clock: seconds, ascending.

    Returns:
        What the run did.

    Raises:
        DataError: a worker process died.
        GalleryError: the gallery cannot be written.
    """
    if workers is None:
        workers = max(1, (os.cpu_count() or 2) - 1)
    gallery.require_writable()
    tally = _Tally(photos.total, progress, refused)
    waiting: dict[int, tuple[Row, np.ndarray]] = {}
    since = clock()
    new = _new_rows(gallery, photos.rows(), tally)
    for row, face in ordered_map(_aligned, new, workers, make_detector):
        if isinstance(face, str):
            tally.refuse(Refused(row.photo, face))
        elif row.id in waiting:
            tally.held(row, waiting[row.id][0].person)
        else:
            since = since if waiting else clock()
            waiting[row.id] = (row, face)
        if len(waiting) >= WRITE_BATCH or (waiting and clock() - since >= WRITE_SECONDS):
            _write(gallery, encoder, waiting, tally)
    if waiting:
        _write(gallery, encoder, waiting, tally)
    gallery.flush()
    return tally.report()


class _Tally:
    """Counts of a run, and its progress."""

    def __init__(
        self, total: int, progress: Progress | None, refused: Callable[[Refused], None] | None
    ) -> None:
        self._total = total
        self._progress = progress
        self._on_refused = refused
        self._started = time.perf_counter()
        self._added = self._present = self._refused = 0
        self._examples: list[Refused] = []

    def added(self, count: int) -> None:
        self._added += count
        self._show()

    def held(self, row: Row, person: str) -> None:
        """The id of a row is taken by an entry of `person`."""
        if row.person != person:
            self.refuse(Refused(row.photo, f"the id {row.id} belongs to another person"))
            return
        self._present += 1
        if self._present % WRITE_BATCH == 0:
            self._show()

    def refuse(self, what: Refused) -> None:
        self._refused += 1
        if len(self._examples) < _NAMED:
            self._examples.append(what)
        if self._on_refused:
            self._on_refused(what)
        self._show()

    def report(self) -> BulkReport:
        seconds = time.perf_counter() - self._started
        return BulkReport(
            seen=self._seen,
            added=self._added,
            present=self._present,
            refused=self._refused,
            examples=tuple(self._examples),
            seconds=seconds,
            rate=(self._added + self._refused) / max(seconds, 1e-9),
        )

    @property
    def _seen(self) -> int:
        return self._added + self._present + self._refused

    def _show(self) -> None:
        if not self._progress:
            return
        seconds = max(time.perf_counter() - self._started, 1e-9)
        rate = (self._added + self._refused) / seconds
        left = (self._total - self._seen) / rate if rate else 0
        clock = f"{int(left) // 3600}:{int(left) // 60 % 60:02d}:{int(left) % 60:02d}"
        self._progress(
            self._seen, self._total, f"{rate:.1f} photos/s, {clock} left, {self._refused} refused"
        )


def _new_rows(gallery: Gallery, rows: Iterator[Row | Refused], tally: _Tally) -> Iterator[Row]:
    """Rows whose photo is not in the gallery yet; the others are counted."""
    while part := list(itertools.islice(rows, _LOOKED_UP)):
        people = _people(gallery, [row.id for row in part if isinstance(row, Row)])
        for row in part:
            if isinstance(row, Refused):
                tally.refuse(row)
            elif row.id in people:
                tally.held(row, people[row.id])
            else:
                yield row


def _people(gallery: Gallery, ids: Sequence[int]) -> dict[int, str]:
    """Whose entry each id is, of those that the gallery has."""
    wanted = np.unique(np.array(ids, np.int64))
    there = wanted[gallery.store.contains(wanted)]
    return dict(zip(there.tolist(), (m.person for m in gallery.store.get(there).meta), strict=True))


def _write(
    gallery: Gallery,
    encoder: FaceEncoder,
    waiting: dict[int, tuple[Row, np.ndarray]],
    tally: _Tally,
) -> None:
    # The same photo may have been listed, and written, since it was looked up.
    for id_, person in _people(gallery, list(waiting)).items():
        tally.held(waiting.pop(id_)[0], person)
    if not waiting:
        return
    encoded = encode_many(encoder, [aligned_face(aligned) for _, aligned in waiting.values()])
    gallery.add_many(
        [
            (row.person, row.photo, face)
            for (row, _), face in zip(waiting.values(), encoded, strict=True)
        ],
        list(waiting),
    )
    tally.added(len(waiting))
    waiting.clear()


def _aligned(detector: FaceDetector, row: Row) -> np.ndarray | str:
    """The aligned principal face (150, 150, 3) uint8 of a photo, or why there is none."""
    try:
        rgb = read_image(row.image) if isinstance(row.image, Path) else row.image
        face = principal_face(detector.detect(rgb), rgb.shape)
    except DaahError as error:
        return str(error)
    return NO_FACE if face is None else face.aligned


# --- whole collections ----------------------------------------------------------------------------


def build(
    gallery: Gallery,
    source: str | Path,
    detector: FaceDetector,
    encoder: FaceEncoder,
    progress: Progress | None = None,
) -> BuildReport:
    """Enrol every photo of a collection, and draw the gallery's map.

    Until the end the gallery says that it is incomplete; the same call then goes on where the
    stopped one was.

    Args:
        gallery: empty, or left by a stopped build of the same source.
        source: "orl" (photos 1 to 8 of each person), "lfw", or a folder with a folder of photos
            for each person.
        detector: used on threads of this process.
        encoder: the model that the gallery's codes are of.
        progress: as of `add`.

    Returns:
        What the build did, with every photo that it skipped.

    Raises:
        DataError: the source is not there, or no photo has a face.
        GalleryError: the gallery holds another source, or cannot be written.
    """
    started = time.perf_counter()
    name, credit = _identity(source)
    held = gallery.provenance.source
    if gallery.count() and held != name:
        raise GalleryError(
            f"The gallery {gallery.name} holds {held or 'faces added by hand'}; build {name} into "
            "another, or use: python -m daah gallery add SRC --gallery FOLDER"
        )
    photos = _collection(source)
    gallery.describe(source=name, credit=credit, complete=False)
    skipped: list[Refused] = []
    report = add(
        gallery,
        photos,
        encoder,
        workers=0,
        make_detector=lambda: detector,
        progress=progress,
        refused=skipped.append,
    )
    if not report.added + report.present:
        raise DataError(f"No face was found in any of the {len(skipped)} photos of {name}.")
    gallery.draw_map()
    gallery.describe(complete=True, photos=gallery.count(), skipped=len(skipped))
    return BuildReport(
        report.added,
        report.present,
        tuple((photo.photo, photo.reason) for photo in skipped),
        time.perf_counter() - started,
    )


def check_source(source: str | Path) -> None:
    """Raise DataError for a folder that is missing, or is not one with a folder per person."""
    if str(source) not in CREDITS:
        sources.folder(Path(source))


def _identity(source: str | Path) -> tuple[str, str]:
    """The name and credit that a gallery of this source carries."""
    if str(source) in CREDITS:
        return str(source), CREDITS[str(source)]
    return Path(source).name, ""


def _collection(source: str | Path) -> Listing:
    """The labelled photos of a source."""
    if str(source) != "orl":
        return listing(sources.lfw(download=True) if str(source) == "lfw" else Path(source))
    enrolled = [p for p in sources.orl() if int(p.name.rsplit("/", 1)[-1]) <= ORL_ENROLLED]
    return Listing(lambda: (row_of(p.person, p.name, p.rgb) for p in enrolled), len(enrolled))
