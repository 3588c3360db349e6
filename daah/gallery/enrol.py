"""Enrolling many photos: a stream from files to codes whose memory does not grow with its length.

Worker processes decode and find faces; this process encodes and writes, a transaction every other
second. Enrolment is resumable: what is in the gallery already is not read again, so calling again
continues where the last run stopped. Several machines share the work by taking every n-th photo
each.
"""

from __future__ import annotations

import collections
import csv
import datetime
import itertools
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from daah.data.sources import SUFFIXES, folder
from daah.detection.detector import FaceDetector, principal_face
from daah.errors import DaahError, DataError
from daah.gallery.gallery import Gallery
from daah.gallery.names import checked_name, entry_id
from daah.images import read_image
from daah.models.encoder import FaceEncoder
from daah.parallel import Progress, begin_worker
from daah.pipeline import aligned_face, encode_many

#: Faces that are written in one transaction at most.
WRITE_BATCH = 256

#: Seconds that a face waits for others to be written with: what a kill can cost. A transaction
#: takes a few milliseconds, so that even one every second costs less than a hundredth of the time.
WRITE_SECONDS = 1.0

#: Photos that are looked up in the gallery at a time.
_LOOKED_UP = 1000

#: Photos that a worker process is handed at a time.
_CHUNK = 16

#: How long processes wait for the slowest share; PyTorch's own half an hour is too short.
_PATIENCE = datetime.timedelta(days=30)

#: Refused photos that the report itself names; all of them go to the `refused` callback.
_NAMED = 100

NO_FACE = "no face found"


@dataclass(frozen=True)
class Row:
    """A photo to enrol. photo: the name that the gallery keeps. id: of the entry, >= 0."""

    person: str
    photo: str
    path: Path
    id: int


@dataclass(frozen=True)
class Refused:
    """A line of the listing or a photo that was not enrolled, and why."""

    photo: str
    reason: str


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
class Listing:
    """Photos to enrol: `rows()` starts a fresh pass over them; total: how many there are."""

    rows: Callable[[], Iterator[Row | Refused]]
    total: int


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


def listing(source: Path, person: str | None = None) -> Listing:
    """What a folder with a folder for each person, or a .csv or .parquet manifest, lists.

    A manifest has the columns person and photo (a path, relative to the manifest), and may have id
    (an integer >= 0; otherwise person and photo decide the id). person: `source` is a photo, or a
    folder of photos, of this one person. Raises DataError when there is no such source, or a
    manifest lacks a column.
    """
    source = Path(source)
    if person is not None:
        return _of_person(source, person)
    if source.is_dir():
        return Listing(lambda: _of_folder(source), sum(1 for _ in folder(source)))
    if not source.is_file():
        raise DataError(f"{source}: there is no such folder or manifest")
    if source.suffix.lower() == ".parquet":
        return _of_parquet(source)
    if source.suffix.lower() == ".csv":
        return _of_csv(source)
    raise DataError(f"{source}: expected a folder, a .csv or a .parquet manifest")


def add(
    gallery: Gallery,
    photos: Listing,
    encoder: FaceEncoder,
    *,
    workers: int | None = None,
    make_detector: Callable[[], FaceDetector] = FaceDetector,
    shard: tuple[int, int] = (0, 1),
    progress: Progress | None = None,
    refused: Callable[[Refused], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> BulkReport:
    """Enrol a listing, whatever its length, and say what was refused.

    The principal face of each photo is taken. A photo that is listed twice is enrolled once. Faces
    are written WRITE_SECONDS after they were found, or as soon as WRITE_BATCH of them wait.

    Args:
        gallery: where the faces go.
        photos: what to enrol, of `listing`.
        encoder: the model that the gallery's codes are of.
        workers: processes that decode and detect; None leaves one core for encoding; 0 does all of
            it in this process.
        make_detector: gives each process its own; of a module's top level, so that it can be
            handed to them.
        shard: (index, count), to take every count-th photo only; several processes need a gallery
            on a server, a folder has one writer.
        progress: called with photos done, of how many, and the rate.
        refused: called with every photo that is not enrolled.
        clock: seconds, ascending.

    Returns:
        What the run did.

    Raises:
        DataError: a worker process died.
        GalleryError: the gallery cannot be written.
    """
    index, count = shard
    if not 0 <= index < count:
        raise DataError(f"shard: expected an index below {count}, got {index}")
    if workers is None:
        workers = max(1, (os.cpu_count() or 2) - 1)
    gallery.require_writable()
    tally = _Tally(len(range(index, photos.total, count)), progress, refused)
    rows = itertools.islice(photos.rows(), index, None, count)
    waiting: dict[int, tuple[Row, np.ndarray]] = {}
    since = clock()
    for row, face in _faces(_new_rows(gallery, rows, tally), workers, make_detector):
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


# --- finding faces, here or in worker processes ---------------------------------------------------


def _faces(
    rows: Iterator[Row], workers: int, make_detector: Callable[[], FaceDetector]
) -> Iterator[tuple[Row, np.ndarray | str]]:
    """Each row with its aligned face (150, 150, 3) uint8, or the reason why there is none."""
    if workers == 0:
        detector = make_detector()
        for row in rows:
            yield row, _face(detector, row)
        return
    # Spawned, not forked: a fork of a process that has run PyTorch may hang.
    context = multiprocessing.get_context("spawn")
    pending: collections.deque = collections.deque()
    pool = ProcessPoolExecutor(workers, context, _start_worker, (make_detector,))
    try:
        while chunk := list(itertools.islice(rows, _CHUNK)):
            pending.append((chunk, pool.submit(_faces_of_chunk, chunk)))
            if len(pending) > 3 * workers:
                done, future = pending.popleft()
                yield from zip(done, future.result(), strict=True)
        for done, future in pending:
            yield from zip(done, future.result(), strict=True)
    except BrokenProcessPool as error:
        raise DataError(
            "A worker process ended unexpectedly, perhaps for want of memory. Run the same command "
            "again to go on, with fewer --workers."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


_detector: FaceDetector | None = None  # of a worker process


def _start_worker(make_detector: Callable[[], FaceDetector]) -> None:
    global _detector
    begin_worker()
    _detector = make_detector()


def _faces_of_chunk(chunk: list[Row]) -> list[np.ndarray | str]:
    return [_face(_detector, row) for row in chunk]


def _face(detector: FaceDetector, row: Row) -> np.ndarray | str:
    try:
        rgb = read_image(row.path)
        face = principal_face(detector.detect(rgb), rgb.shape)
    except DaahError as error:
        return str(error)
    return NO_FACE if face is None else face.aligned


# --- listings ------------------------------------------------------------------------------------


def _of_person(source: Path, person: str) -> Listing:
    if source.is_dir():
        photos = sorted(path for path in source.iterdir() if path.suffix.lower() in SUFFIXES)
    elif source.is_file():
        photos = [source]
    else:
        raise DataError(f"{source}: there is no such photo or folder")
    return Listing(
        lambda: (_row(person, f"{person}/{path.name}", path) for path in photos), len(photos)
    )


def _of_folder(source: Path) -> Iterator[Row | Refused]:
    for person, path in folder(source):
        yield _row(person, f"{person}/{path.name}", path)


def _of_csv(manifest: Path) -> Listing:
    def records() -> Iterator[dict[str, str]]:
        try:
            with manifest.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, strict=True)
                _require_columns(manifest, reader.fieldnames or [])
                yield from reader
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise _unreadable(manifest, "CSV in UTF-8", error) from error

    total = sum(1 for _ in records())
    return Listing(lambda: (_manifest_row(manifest, record) for record in records()), total)


def _of_parquet(manifest: Path) -> Listing:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise DataError(
            "A Parquet manifest needs the package pyarrow (pip install pyarrow); or use CSV."
        ) from None
    try:
        with pq.ParquetFile(manifest) as file:
            _require_columns(manifest, file.schema_arrow.names)
            total = file.metadata.num_rows
            columns = [
                name for name in ("person", "photo", "id") if name in file.schema_arrow.names
            ]
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(manifest, "Parquet", error) from error

    def rows() -> Iterator[Row | Refused]:
        try:
            with pq.ParquetFile(manifest) as file:
                for batch in file.iter_batches(batch_size=1000, columns=columns):
                    for record in batch.to_pylist():
                        yield _manifest_row(manifest, record)
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(manifest, "Parquet", error) from error

    return Listing(rows, total)


def _unreadable(manifest: Path, kind: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:200]  # Arrow's takes several lines
    return DataError(f"{manifest}: cannot be read as {kind} ({reason})")


def _require_columns(manifest: Path, names: Iterable[str]) -> None:
    missing = [name for name in ("person", "photo") if name not in names]
    if missing:
        raise DataError(
            f"{manifest}: expected the columns person, photo and perhaps id; {missing} missing, "
            f"there are {str(list(names))[:200]}"
        )


def _manifest_row(manifest: Path, record: dict) -> Row | Refused:
    person, photo = str(record["person"] or ""), str(record["photo"] or "")
    if not photo.strip():
        return Refused(photo, "the photo's path is empty")
    path = Path(photo)
    inside = not path.is_absolute() and ".." not in path.parts
    # A path of the host is nobody's business: visitors see the name that the gallery keeps.
    named = [part for part in path.parts if part not in ("..", path.anchor)]
    shown = path.as_posix() if inside else "/".join(named[-2:])
    row = _row(person, shown, manifest.parent / path, photo)
    given = record.get("id")
    if given in (None, "") or isinstance(row, Refused):
        return row
    try:
        id_ = int(given)
        if id_ != given and not isinstance(given, str):  # 1.5 is no id
            id_ = -1
    except (ValueError, TypeError, OverflowError):  # a Parquet column may hold anything
        id_ = -1
    if not 0 <= id_ < 2**63:
        return Refused(shown, f"the id {str(given)[:40]!r} is not an integer from 0 to 2^63 - 1")
    return Row(row.person, row.photo, row.path, id_)


def _row(person: str, photo: str, path: Path, identity: str | None = None) -> Row | Refused:
    """A row whose id person and `identity` (default: photo) decide; Refused for unfit names."""
    try:
        person, photo = checked_name("person", person), checked_name("photo", photo)
        identity = photo if identity is None else identity
        return Row(person, photo, path, entry_id(person, identity))
    except (DaahError, UnicodeEncodeError) as error:
        return Refused(repr(photo), str(error))
