"""Many photos at once: their codes, or their people, as a CSV table that grows photo by photo.

Calling again continues where the last run stopped. The rows of a photo are appended by one write;
what a killed process left of a photo is removed and the photo done again. Every row also has the
settings that it was made with, so that rows of two models or galleries are never mixed.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from daah import codes
from daah.data.sources import photos_below
from daah.detection.detector import FaceDetector
from daah.errors import ConfigError, DaahError, DataError
from daah.gallery import Gallery, enrol
from daah.gallery.manifest import Listing, Refused, row_of
from daah.images import read_image
from daah.models import encoder as models_encoder
from daah.models.encoder import FaceEncoder
from daah.models.quality import assess
from daah.parallel import Progress, ordered_map
from daah.retrieval.retriever import FaceRetriever
from daah.types import EncodedFace, Face, FaceQuality

#: Unreadable photos that a report names; the `refused` callback gets all of them.
_NAMED = 100

#: With fewer photos, starting processes takes longer than they save.
_FEW = 100

#: A cell that begins with one of these is a formula to a spreadsheet.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

_PHOTO = ("photo", "faces", "face", "left", "top", "right", "bottom")
_CODES = (*_PHOTO, "score", "quality", "flaws", "code")
_MATCHES = (
    *_PHOTO, "quality", "flaws", "rank", "verdict", "person", "name", "agree", "matched",
)  # fmt: skip


@dataclass(frozen=True)
class BatchReport:
    """What a run did.

    Attributes:
        photos: number of photos that were asked for.
        present: number of these that the table had already.
        done: number of photos that were added to it.
        faces: number of faces in these.
        without_face: number of these that have no face.
        unreadable: number of photos that could not be read; the next run tries them again.
        examples: the first of the unreadable ones, with the reasons.
    """

    photos: int
    present: int
    done: int
    faces: int
    without_face: int
    unreadable: int
    examples: tuple[Refused, ...]


def photos_of(paths: Sequence[Path]) -> dict[str, Path]:
    """List photos by the names that tables have for them.

    Args:
        paths: photos, and folders of photos with all folders in them.

    Returns:
        Files by name, in order: of one folder relative to it, else the path as it was given.

    Raises:
        DataError: a path does not exist, or a folder has no photo.
    """
    if len(paths) == 1 and paths[0].is_dir():
        return {file.relative_to(paths[0]).as_posix(): file for file in photos_below(paths[0])}
    found = {}
    for path in paths:
        if path.is_dir():
            found |= {str(file): file for file in photos_below(path)}
        elif path.exists():
            found[str(path)] = path
        else:
            raise DataError(f"{path}: there is no such photo or folder")
    return found


def encode_photos(
    photos: Mapping[str, Path],
    table: Path,
    encoder: FaceEncoder,
    *,
    logits: bool = False,
    attention: str = "model",
    workers: int | None = None,
    make_detector: Callable[[], FaceDetector] = FaceDetector,
    progress: Progress | None = None,
    refused: Callable[[Refused], None] | None = None,
) -> BatchReport:
    """Write the code of every face of many photos to a table, one row for each face.

    Args:
        photos: as of `photos_of`.
        table: the CSV file; photos that it has are not read again.
        encoder: the model.
        logits: whether there is a column of the real-valued logits, separated by spaces.
        attention: "model" or "off".
        workers: processes that read photos and find faces; 0 uses threads of this process; None
            chooses by the number of photos.
        make_detector: creates the detector of each process, as of `enrol.add`.
        progress: called with photos done, their number, and the name of the last.
        refused: called with every photo that cannot be read.

    Returns:
        What the run did.

    Raises:
        DataError: the table is of other settings, is no such table, or cannot be written.
    """
    settings = {"attention": attention, "bits": str(encoder.bits), "model": encoder.fingerprint}
    fitted = encoder.calibration.quality if encoder.calibration else None

    def rows(faces: list[Face]) -> Iterator[list[list[str]]]:
        for encoded in models_encoder.encode(encoder, faces, attention):
            cells = [
                *_box(encoded.face),
                f"{encoded.face.score:.4f}",
                *_quality(assess(encoded, fitted)),
                codes.to_hex(codes.pack(encoded.code.bits)),
            ]
            yield [[*cells, _logits(encoded)] if logits else cells]

    columns = (*_CODES, "logits") if logits else _CODES
    with _Table(table, columns, settings, lambda row: row["face"] == row["faces"]) as opened:
        return _fill(opened, photos, rows, workers, make_detector, progress, refused)


def search_photos(
    photos: Mapping[str, Path],
    table: Path,
    retriever: FaceRetriever,
    k: int = 8,
    bits: int | None = None,
    *,
    workers: int | None = None,
    make_detector: Callable[[], FaceDetector] = FaceDetector,
    progress: Progress | None = None,
    refused: Callable[[Refused], None] | None = None,
) -> BatchReport:
    """Write the nearest people of every face of many photos to a table, one row for each person.

    Args:
        photos: as of `photos_of`.
        table: the CSV file; photos that it has are not read again.
        retriever: searches its gallery.
        k: number of people per face, at least 1.
        bits: code length; None is the longest.
        workers: as of `encode_photos`.
        make_detector: as of `encode_photos`.
        progress: as of `encode_photos`.
        refused: as of `encode_photos`.

    Returns:
        What the run did.

    Raises:
        ConfigError: `k` or `bits` is invalid.
        DataError: the gallery is empty; the table is of other settings, is no such table, or cannot
            be written.
    """
    people = min(k, retriever.count_people())
    if k < 1:
        raise ConfigError(f"people per face: expected at least 1, got {k}")
    if bits is not None and bits not in retriever.lengths:
        offered = ", ".join(map(str, retriever.lengths))
        raise ConfigError(f"code length: expected one of {offered}, got {bits}")
    if not people:
        raise DataError(f"The gallery {retriever.gallery.name} is empty.")
    settings = {
        "bits": str(bits or retriever.bits),
        "k": str(people),
        "gallery": _plain(retriever.gallery.name),
        "gallery_photos": str(retriever.gallery.count()),
        "model": retriever.encoder.fingerprint,
    }

    def rows(faces: list[Face]) -> Iterator[list[list[str]]]:
        for encoded in retriever.encode(faces):
            quality = retriever.quality(encoded)
            found = retriever.match_people(encoded, people, bits, quality=quality)
            yield [
                [
                    *_box(encoded.face),
                    *_quality(quality),
                    str(rank),
                    person.verdict,
                    _plain(person.person),
                    _plain(person.name),
                    str(person.agree),
                    _plain(person.photo),
                ]
                for rank, person in enumerate(found, 1)
            ]

    def is_last(row: Mapping[str, str]) -> bool:
        return row["face"] == row["faces"] and row["rank"] in ("", row["k"])

    with _Table(table, _MATCHES, settings, is_last) as opened:
        return _fill(opened, photos, rows, workers, make_detector, progress, refused)


@contextmanager
def temporary_gallery(
    folder: Path,
    encoder: FaceEncoder,
    *,
    workers: int | None = None,
    make_detector: Callable[[], FaceDetector] = FaceDetector,
    progress: Progress | None = None,
    refused: Callable[[Refused], None] | None = None,
) -> Iterator[Gallery]:
    """Enrol a folder of photos for as long as the block lasts.

    Args:
        folder: photos in folders of people, folder/PERSON/photo.jpg, or directly in it: such a
            photo is of a person of its own, who is named as its file is.
        encoder: the model.
        workers: as of `encode_photos`.
        make_detector: as of `encode_photos`.
        progress: as of `encode_photos`.
        refused: called with every photo that is not enrolled.

    Yields:
        The gallery, which is deleted at the end.

    Raises:
        DataError: there is no such folder, or none of its photos can be enrolled.
    """
    photos = photos_of([folder]) if folder.is_dir() else None
    if photos is None:
        raise DataError(f"{folder}: there is no such folder; expected one of photos")

    def person_of(name: str) -> str:
        first, inner, _ = name.partition("/")
        return first if inner else Path(name).stem

    listing = Listing(
        lambda: (row_of(person_of(name), name, path) for name, path in photos.items()),
        len(photos),
    )
    with tempfile.TemporaryDirectory(prefix="daah-") as place:
        home = Path(place) / (folder.resolve().name or "photos")
        with Gallery.open(str(home), encoder, create=True) as gallery:
            enrol.add(
                gallery,
                listing,
                encoder,
                workers=_workers(workers, len(photos)),
                make_detector=make_detector,
                progress=progress,
                refused=refused,
            )
            if not gallery.count():
                raise DataError(f"{folder}: none of the {len(photos)} photos can be enrolled")
            yield gallery


# --- the table ------------------------------------------------------------------------------------


class _Table:
    """A CSV file that photos are appended to, with what earlier runs left in it.

    done: photos that it has whole, by the names of `_photo_cell`. settings: columns that are the
    same in each row. is_last: whether a row is the last of its photo.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        settings: Mapping[str, str],
        is_last: Callable[[Mapping[str, str]], bool],
    ) -> None:
        self.columns = (*columns, *settings)
        self._path, self._settings, self._is_last = Path(path), settings, is_last
        self.done: set[str] = set()

    def __enter__(self) -> _Table:
        try:
            # Unbuffered: the rows of a photo are one write.
            self._file = self._path.open("r+b" if self._path.exists() else "w+b", buffering=0)
            try:
                kept = self._read()
                self._file.truncate(kept)
                self._file.seek(kept)
                if not kept:
                    self._file.write(_line(self.columns))
            except BaseException:  # an interrupt must not leave the file open either
                self._file.close()
                raise
        except OSError as error:
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, photo: str, rows: Sequence[Sequence[str]], faces: int) -> None:
        """Append a photo: `rows` begin with the number of the face; none stands for no face."""
        lines = rows or [["0", *[""] * (len(self.columns) - len(self._settings) - 3)]]
        tail = self._settings.values()
        data = b"".join(_line((photo, str(faces), *row, *tail)) for row in lines)
        try:
            self._file.write(data)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> DataError:
        return DataError(f"{self._path} cannot be written ({error.strerror}).")

    def _read(self) -> int:
        """Note the photos that are there, and return the number of bytes that hold whole ones."""
        start = self._file.read(len(_line(self.columns)))
        if start != _line(self.columns):
            if _line(self.columns).startswith(start):
                return 0  # empty, or killed while its first line was written
            raise DataError(
                f"{self._path} is not a table of this command: expected the columns "
                f"{', '.join(self.columns)}. Name another file."
            )
        position = kept = len(start)

        def lines() -> Iterator[str]:
            nonlocal position
            with open(self._file.fileno(), "rb", closefd=False) as buffered:
                for line in buffered:
                    if not line.endswith(b"\n"):
                        return
                    position += len(line)
                    yield line.decode("utf-8", "surrogateescape")

        reader = csv.reader(lines(), strict=True)
        try:
            for cells in reader:
                row = self._checked(cells, reader.line_num + 1)
                if self._is_last(row):
                    self.done.add(row["photo"])
                    kept = position
        except csv.Error as error:
            if "unexpected end" not in str(error):
                raise DataError(f"{self._path}, line {reader.line_num + 1}: {error}") from error
        return kept

    def _checked(self, cells: list[str], line: int) -> dict[str, str]:
        if len(cells) != len(self.columns):
            raise DataError(
                f"{self._path}, line {line}: expected {len(self.columns)} cells, got {len(cells)}"
            )
        row = dict(zip(self.columns, cells, strict=True))
        for name, value in self._settings.items():
            if row[name] != value:
                raise DataError(
                    f"{self._path} was made with other settings ({name} {row[name][:40]}, not "
                    f"{value[:40]}). Name another file, or delete this one."
                )
        return row


def _line(cells: Sequence[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue().encode("utf-8", "surrogateescape")


def _fill(
    table: _Table,
    photos: Mapping[str, Path],
    rows: Callable[[list[Face]], Iterator[list[list[str]]]],
    workers: int | None,
    make_detector: Callable[[], FaceDetector],
    progress: Progress | None,
    refused: Callable[[Refused], None] | None,
) -> BatchReport:
    """Append the photos that the table does not have. rows: those of each face."""
    new = [(name, path) for name, path in photos.items() if _photo_cell(name) not in table.done]
    present, done, total = len(photos) - len(new), 0, 0
    without_face = 0
    unreadable: list[Refused] = []
    if progress:
        progress(present, len(photos), "")
    for (name, _), faces in ordered_map(_faces, new, _workers(workers, len(new)), make_detector):
        shown = _printable(name)
        if isinstance(faces, str):
            unreadable.append(Refused(shown, faces))
            if refused:
                refused(unreadable[-1])
        else:
            numbered = enumerate(rows(faces), 1)
            cells = [[str(face), *row] for face, part in numbered for row in part]
            table.add(_photo_cell(name), cells, len(faces))
            done, total, without_face = done + 1, total + len(faces), without_face + (not faces)
        if progress:
            progress(present + done + len(unreadable), len(photos), shown)
    return BatchReport(
        len(photos), present, done, total, without_face, len(unreadable), tuple(unreadable[:_NAMED])
    )


def _faces(detector: FaceDetector, photo: tuple[str, Path]) -> list[Face] | str:
    """The faces of a photo, or why it cannot be read."""
    try:
        return list(detector.find(read_image(photo[1])).faces)
    except DaahError as error:
        return str(error)


def _workers(given: int | None, photos: int) -> int:
    if given is not None:
        return given
    return 0 if photos < _FEW else max(1, (os.cpu_count() or 2) - 1)


def _printable(name: str) -> str:
    """A name of a file for a terminal and for JSON: control characters and bytes as escapes."""
    return "".join(char if char.isprintable() else repr(char)[1:-1] for char in name)


def _photo_cell(name: str) -> str:
    """The name of a file as a cell that is no formula, and still names the file."""
    return f"./{name}" if name.startswith(_FORMULA) else name


def _plain(text: str) -> str:
    """A text as a cell that is no formula: a spreadsheet shows what follows the apostrophe."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _box(face: Face) -> list[str]:
    return [f"{float(value):.2f}" for value in face.box]


def _quality(quality: FaceQuality) -> list[str]:
    return ["" if quality.score is None else f"{quality.score:.3f}", " ".join(quality.reasons)]


def _logits(encoded: EncodedFace) -> str:
    return " ".join(f"{float(value):.5f}" for value in encoded.code.logits)
