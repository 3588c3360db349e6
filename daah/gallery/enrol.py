"""Enrolment of many photos, as a stream with memory use that does not depend on their number.

Worker processes decode and detect; this process encodes and writes, one transaction every second.
Enrolment is resumable: photos that are in the gallery are not read again, so calling again
continues where the last run stopped. Several machines share the work: each takes every n-th photo.
"""

from __future__ import annotations

import contextlib
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
from daah.detection.detector import FaceDetector, choice_of, principal_face
from daah.errors import DaahError, DataError, GalleryError
from daah.extras import extra_packages
from daah.gallery import location, portraits
from daah.gallery import provenance as provenance_file
from daah.gallery.gallery import Gallery
from daah.gallery.manifest import Listing, Refused, Row, listing, row_of
from daah.gallery.thumbnails import Thumbnails
from daah.images import read_image
from daah.models.encoder import FaceEncoder, encode_many
from daah.models.quality import DOUBTFUL, REFUSED, assess, complaint
from daah.parallel import Progress, ordered_map
from daah.types import ALIGNMENT, Face

#: Maximum number of faces per transaction.
WRITE_BATCH = 256

#: Seconds that a face waits to be written with others; a killed process loses so much work. A
#: transaction takes a few milliseconds, so that even one per second costs less than 1% of the time.
WRITE_SECONDS = 1.0

#: What `accelerate launch` and MPI's launchers set for each of several processes.
_LAUNCHED = {
    "LOCAL_RANK", "MV2_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "WORLD_SIZE",
}  # fmt: skip

#: Photos per lookup in the gallery.
_LOOKED_UP = 1000

#: How long processes wait for the slowest one; PyTorch's default of half an hour is too short.
_PATIENCE = datetime.timedelta(days=30)

#: Refused photos that the report names; the `refused` callback gets all of them.
_NAMED = 100

NO_FACE = "no face found"

#: Photos 1 to 8 of each of ORL's people are enrolled; 9 and 10 stay out, to be searched with.
ORL_ENROLLED = 8

#: Credits of known collections.
CREDITS = {
    "congress": "Official portraits of members of the United States Congress, Government Printing "
    "Office (public domain)",
    "orl": "The ORL Database of Faces, AT&T Laboratories Cambridge",
    "lfw": "Labeled Faces in the Wild (Huang, Ramesh, Berg, Learned-Miller, 2007)",
}


@dataclass(frozen=True)
class BulkReport:
    """Result of `add`.

    Attributes:
        seen: photos of this process's share.
        added: photos enrolled by this run.
        present: photos enrolled before.
        refused: photos that were not enrolled.
        examples: the first hundred of these, with reasons.
        seconds: duration of the run.
        rate: photos per second, without those that were present.
        doubtful: photos enrolled by this run whose face is hard to tell from others.
        warnings: the first hundred of these, with reasons.
        several: photos enrolled by this run that show several faces, of which one was taken.
        taken: the first hundred of these, and which face was taken.
    """

    seen: int
    added: int
    present: int
    refused: int
    examples: tuple[Refused, ...]
    seconds: float
    rate: float
    doubtful: int = 0
    warnings: tuple[Refused, ...] = ()
    several: int = 0
    taken: tuple[Refused, ...] = ()


@dataclass(frozen=True)
class BuildReport:
    """Result of `build`.

    Attributes:
        added: faces enrolled by this run.
        present: faces enrolled before.
        skipped: (photo, reason) of the photos that were not enrolled.
        seconds: duration of the run.
        doubtful: faces enrolled by this run that are hard to tell from others.
        warnings: (photo, reason) of the first hundred of these.
        several: photos enrolled by this run that show several faces, of which one was taken.
        taken: (photo, which face was taken) of the first hundred of these.
    """

    added: int
    present: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float
    doubtful: int = 0
    warnings: tuple[tuple[str, str], ...] = ()
    several: int = 0
    taken: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Processes:
    """This process among those started by `accelerate launch`.

    Attributes:
        index: number of this process, from 0.
        count: number of processes.
        first: context manager in which process 0 runs before the others enter.
        gather: waits for all processes, and returns the reports of all to each.
    """

    index: int
    count: int
    first: Callable[[], AbstractContextManager[None]]
    gather: Callable[[BulkReport], list[BulkReport]]


def processes() -> Processes:
    """This process among those of `accelerate launch`; the only one without it."""
    if not _LAUNCHED & os.environ.keys():
        return Processes(0, 1, contextlib.nullcontext, lambda report: [report])
    with extra_packages("Enrolment in several processes"):
        from accelerate import PartialState
        from accelerate.utils import gather_object

    state = PartialState(cpu=True, timeout=_PATIENCE)
    return Processes(
        state.process_index,
        state.num_processes,
        state.main_process_first,
        lambda report: gather_object([report]),
    )


def together(reports: Sequence[BulkReport]) -> BulkReport:
    """Combine the reports of concurrent processes.

    Args:
        reports: one report per process.

    Returns:
        Sums of the counts and rates, and the longest duration.
    """
    return BulkReport(
        seen=sum(report.seen for report in reports),
        added=sum(report.added for report in reports),
        present=sum(report.present for report in reports),
        refused=sum(report.refused for report in reports),
        examples=tuple(what for report in reports for what in report.examples)[:_NAMED],
        seconds=max(report.seconds for report in reports),
        rate=sum(report.rate for report in reports),
        doubtful=sum(report.doubtful for report in reports),
        warnings=tuple(what for report in reports for what in report.warnings)[:_NAMED],
        several=sum(report.several for report in reports),
        taken=tuple(what for report in reports for what in report.taken)[:_NAMED],
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
    min_quality: float = REFUSED,
) -> BulkReport:
    """Enrol a listing of any length.

    The principal face of each photo is enrolled, unless its quality is too low; low quality is
    reported, and so is which of several faces was taken. A photo that is listed twice is enrolled
    once. Faces are written WRITE_SECONDS after their detection, or as soon as WRITE_BATCH of them
    wait.

    Args:
        gallery: the gallery.
        photos: what to enrol, of `listing`. Several processes each take a `shard` of it; they need
            a gallery on a server, because a folder has one writer.
        encoder: the model of the gallery's codes.
        workers: processes that decode and detect; None leaves one core for encoding; 0 uses threads
            of this process.
        make_detector: creates the detector of each process. For processes it is at the top level of
            a module, so that it can be pickled.
        progress: called with photos done, their number, and the rate.
        refused: called with every photo that is not enrolled.
        clock: monotonic clock in seconds.
        min_quality: score in [0, 1] under which a face is refused; 0 enrols every face.

    Returns:
        What the run did.

    Raises:
        DataError: a worker process ended unexpectedly.
        GalleryError: the gallery cannot be written.
    """
    if workers is None:
        workers = max(1, (os.cpu_count() or 2) - 1)
    gallery.require_writable()
    tally = _Tally(photos.total, progress, refused)
    waiting: dict[int, _Waiting] = {}
    since = clock()
    new = _new_rows(gallery, photos.rows(), tally)
    for row, face in ordered_map(_principal, new, workers, make_detector):
        if isinstance(face, str):
            tally.refuse(Refused(row.photo, face))
        elif row.id in waiting:
            tally.held(row, waiting[row.id].row.person)
        else:
            since = since if waiting else clock()
            waiting[row.id] = _Waiting(row, *face)
        if len(waiting) >= WRITE_BATCH or (waiting and clock() - since >= WRITE_SECONDS):
            _write(gallery, encoder, waiting, tally, min_quality)
    if waiting:
        _write(gallery, encoder, waiting, tally, min_quality)
    gallery.flush()
    return tally.report()


@dataclass(frozen=True, eq=False)
class _Waiting:
    """A face to write, and which face of several it is."""

    row: Row
    face: Face
    choice: str


class _Tally:
    """Counts of a run, and its progress."""

    def __init__(
        self, total: int, progress: Progress | None, refused: Callable[[Refused], None] | None
    ) -> None:
        self._total = total
        self._progress = progress
        self._on_refused = refused
        self._started = time.perf_counter()
        self._added = self._present = self._refused = self._doubtful = self._several = 0
        self._examples: list[Refused] = []
        self._warnings: list[Refused] = []
        self._taken: list[Refused] = []

    def added(self, count: int) -> None:
        self._added += count
        self._show()

    def held(self, row: Row, person: str) -> None:
        """Count a row whose id an entry of `person` has already."""
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

    def doubt(self, what: Refused) -> None:
        """Count a photo that is enrolled with a warning."""
        self._doubtful += 1
        if len(self._warnings) < _NAMED:
            self._warnings.append(what)

    def took(self, what: Refused) -> None:
        """Count a photo of several faces, one of which is enrolled."""
        self._several += 1
        if len(self._taken) < _NAMED:
            self._taken.append(what)

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
            doubtful=self._doubtful,
            warnings=tuple(self._warnings),
            several=self._several,
            taken=tuple(self._taken),
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
    """Rows whose photo is not in the gallery; the others are counted."""
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
    """Person of each id that the gallery has."""
    wanted = np.unique(np.array(ids, np.int64))
    there = wanted[gallery.store.contains(wanted)]
    return dict(zip(there.tolist(), (m.person for m in gallery.store.get(there).meta), strict=True))


def _write(
    gallery: Gallery,
    encoder: FaceEncoder,
    waiting: dict[int, _Waiting],
    tally: _Tally,
    min_quality: float,
) -> None:
    # The same photo may have been listed, and written, since it was looked up.
    for id_, person in _people(gallery, list(waiting)).items():
        tally.held(waiting.pop(id_).row, person)
    encoder = gallery.encoder(encoder)
    model = None if encoder.calibration is None else encoder.calibration.quality
    kept = {}
    encoded = encode_many(encoder, [one.face for one in waiting.values()])
    for (id_, one), face in zip(waiting.items(), encoded, strict=True):
        row = one.row
        quality = assess(face, model)
        if why := complaint(quality, min_quality):
            tally.refuse(Refused(row.photo, why))
            continue
        if why := complaint(quality, DOUBTFUL):
            tally.doubt(Refused(row.photo, why))
        if one.choice:
            tally.took(Refused(row.photo, one.choice))
        kept[id_] = row, face
    waiting.clear()
    if not kept:
        return
    gallery.add_many(
        [(row.person, row.photo, face) for row, face in kept.values()],
        list(kept),
        {row.person: row.name for row, _ in kept.values() if row.name},
    )
    tally.added(len(kept))


def _principal(detector: FaceDetector, row: Row) -> tuple[Face, str] | str:
    """The principal face of a photo and which of several it is; or why there is none."""
    try:
        rgb = read_image(row.image) if isinstance(row.image, Path) else row.image
        faces = detector.detect(rgb)
        face = principal_face(faces, rgb.shape)
    except DaahError as error:
        return str(error)
    return NO_FACE if face is None else (face, choice_of(face, faces))


# --- whole collections ----------------------------------------------------------------------------


def build(
    gallery: Gallery,
    source: str | Path,
    detector: FaceDetector,
    encoder: FaceEncoder,
    progress: Progress | None = None,
    min_quality: float = REFUSED,
) -> BuildReport:
    """Enrol every photo of a collection, and draw the gallery's map.

    Until it is finished the gallery is marked as incomplete. Builds are resumable: calling again
    continues where the last run stopped.

    Args:
        gallery: empty, or left by an unfinished build of the same source.
        source: "congress" (the shipped portraits), "orl" (photos 1 to 8 of each person), "lfw", or
            a folder-per-person tree of photos.
        detector: used on threads of this process.
        encoder: the model of the gallery's codes.
        progress: as of `add`.
        min_quality: as of `add`; the shipped portraits are enrolled without a check.

    Returns:
        What the build did, with every photo that it skipped.

    Raises:
        DataError: the source is missing, or no photo has a face.
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
    if name == "congress":
        gallery.describe(source=name, credit=credit, complete=False)
        added = portraits.fill(gallery, encoder, progress)
        gallery.describe(complete=True, photos=gallery.count(), skipped=0)
        present = gallery.count() - added
        return BuildReport(added, present, (), time.perf_counter() - started)
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
        min_quality=min_quality,
    )
    if not report.added + report.present:
        raise DataError(f"No face was found in any of the {len(skipped)} photos of {name}.")
    gallery.draw_map_if_possible()
    gallery.describe(complete=True, photos=gallery.count(), skipped=len(skipped))
    return BuildReport(
        report.added,
        report.present,
        tuple((photo.photo, photo.reason) for photo in skipped),
        time.perf_counter() - started,
        report.doubtful,
        tuple((photo.photo, photo.reason) for photo in report.warnings),
        report.several,
        tuple((photo.photo, photo.reason) for photo in report.taken),
    )


def delete_outdated(uri: str | Path, source: str) -> bool:
    """Delete a gallery of a known collection whose faces an older version aligned otherwise.

    Args:
        uri: the gallery's folder.
        source: the collection, by which it can be built again.

    Returns:
        Whether there was one.

    Raises:
        GalleryError: faces were added to it, which nobody but their owner can enrol again; or it
            is damaged, or another process writes to it. It is as it was.
    """
    home = location.gallery_folder(str(uri), None)
    known = provenance_file.read(home)
    if known is None or known.alignment == ALIGNMENT:
        return False
    faces = Thumbnails(home / "faces")
    codes = location.open_codes(home, known, read_only=False)  # nobody else writes meanwhile
    try:
        held = {id_ for rows in codes.scan() for id_ in rows.ids.tolist()} | set(faces.ids())
    finally:
        codes.close()
    if source == "congress":
        added = held - set(portraits.portrait_ids())
    else:
        added = held - {row.id for row in _collection(source).rows() if isinstance(row, Row)}
    if added:
        raise GalleryError(
            f"An older version made the gallery {home.name}: its faces are aligned as "
            f"{known.alignment}, this version needs {ALIGNMENT}. It is not built again, because "
            f"{len(added)} of its faces were added to those of {source}. Move or delete the "
            "gallery's folder, start again, and add them from their photos with: "
            "python -m daah gallery add SRC"
        )
    location.delete_gallery(home)
    return True


def check_source(source: str | Path) -> None:
    """Check that the source of a build exists.

    Args:
        source: as of `build`.

    Raises:
        DataError: the folder is missing, or is not a folder-per-person tree of photos.
    """
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
