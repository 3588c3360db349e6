"""Alignment of a folder-per-person tree of photos, for training and evaluation.

The output folder contains PERSON/photo.jpg for every photo with a face, `faces.jsonl` with one line
per photo (box, landmarks, score, or the reason why it was skipped), and `report.json`. Every file
is written atomically, so an interrupted run leaves no partial file. Runs are resumable: calling
again continues where the last run stopped.
"""

from __future__ import annotations

import collections
import io
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from daah.data import sources
from daah.detection.alignment import TEMPLATE, CroppedFaces
from daah.detection.detector import FaceDetector, principal_face
from daah.errors import ConfigError, DataError, ImageError
from daah.files import replace_atomically
from daah.images import read_image
from daah.parallel import Progress, ordered_map
from daah.types import ALIGNMENT

INDEX = "faces.jsonl"
REPORT = "report.json"
NO_FACE = "No face was found."

#: Up to so many photos are processed without starting processes.
_FEW = 16

_ENCODINGS: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},  # colour as sharp as brightness
    "png": {"format": "PNG"},
}


@dataclass(frozen=True)
class PreparedPhoto:
    """One line of the index.

    Attributes:
        photo: "PERSON/file" in the source tree.
        bytes: size of the photo's file in bytes.
        modified_ns: modification time of that file in nanoseconds since 1970.
        face: "PERSON/file" of the aligned face in the prepared tree; "" if the photo was skipped.
        reason: why the photo was skipped; "" if it was not.
        faces: number of faces detected; the principal one is kept.
        shape: height and width of the upright photo; None if it could not be read.
        box: as of `daah.types.Face`; None without a face.
        landmarks: as of `daah.types.Face`; None without a face.
        matrix: as of `daah.types.Face`; None without a face.
        score: as of `daah.types.Face`; None without a face.
    """

    photo: str
    bytes: int
    modified_ns: int
    face: str = ""
    reason: str = ""
    faces: int = 0
    shape: tuple[int, int] | None = None
    box: list[float] | None = None
    landmarks: list[list[float]] | None = None
    matrix: list[list[float]] | None = None
    score: float | None = None


@dataclass(frozen=True)
class PrepareReport:
    """What a run of `prepare` did.

    Attributes:
        photos: photos in the source tree.
        people: people in the source tree.
        saved: faces written by this run.
        kept: photos that an earlier run had processed.
        skipped: (photo, reason) of every photo without a face, also from earlier runs.
        seconds: duration of the run.
    """

    photos: int
    people: int
    saved: int
    kept: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values, with the number of skipped photos by reason."""
        return asdict(self) | {
            "skipped": [{"photo": photo, "reason": reason} for photo, reason in self.skipped],
            "reasons": dict(collections.Counter(reason for _, reason in self.skipped)),
        }


def prepare(
    src: Path,
    dst: Path,
    workers: int = 2,
    file_format: str = "jpg",
    min_face: float | None = None,
    progress: Progress | None = None,
    cropped: bool = False,
) -> PrepareReport:
    """Align the principal face of every photo of a tree, into another tree.

    Results of an earlier run are kept unless the photo has changed since.

    Args:
        src: tree of photos, one folder per person.
        dst: output folder, outside of `src`.
        workers: number of detecting processes; 0 runs in this one. Processes are spawned, so a
            script needs the usual `if __name__ == "__main__"`.
        file_format: "jpg" (quality 95) or "png".
        min_face: as of `FaceDetector`.
        progress: called with photos done, their number, and the step.
        cropped: whether the images are square face crops aligned as ArcFace does, which are only
            warped to this project's frame.

    Returns:
        What the run did.

    Raises:
        ConfigError: `file_format` or `workers` is invalid.
        DataError: `src` has no photos or contains `dst`, or `dst` cannot be written or was prepared
            with other settings.
    """
    src, dst = Path(src), Path(dst)
    if file_format not in _ENCODINGS:
        raise ConfigError(f"format: expected one of {sorted(_ENCODINGS)}, got {file_format!r}")
    if workers < 0:
        raise ConfigError(f"workers: expected 0 or more, got {workers}")
    start = time.perf_counter()
    listed = list(sources.folder(src))
    if src.resolve() == dst.resolve() or src.resolve() in dst.resolve().parents:
        raise DataError(f"{dst} lies in the tree of photos; choose a folder outside of {src}.")
    settings = {
        "alignment": ALIGNMENT,
        "template": _plain(TEMPLATE),
        "format": file_format,
        "min_face": min_face,
        "cropped": cropped,
    }
    index = _open(dst, settings)
    jobs = [
        job
        for job in _jobs(listed, dst, file_format)
        if not _is_done(index.get(job.photo), job, dst)
    ]
    report_progress = progress or (lambda done, total, what: None)
    done = len(listed) - len(jobs)
    report_progress(done, len(listed), "Aligning faces")
    saved = 0
    try:
        with (dst / INDEX).open("a", encoding="utf-8") as journal:
            # Processes take seconds to start.
            busy = workers if len(jobs) > _FEW else 0
            for _, entry in ordered_map(_prepare_one, jobs, busy, _finder, (min_face, cropped)):
                index[entry.photo] = entry
                journal.write(_line(entry))
                journal.flush()
                saved += bool(entry.face)
                done += 1
                report_progress(done, len(listed), "Aligning faces")
        replace_atomically(
            dst / INDEX, "".join(_line(index[photo]) for photo in sorted(index)).encode()
        )
    except OSError as error:
        raise DataError(f"{dst} cannot be written to: {error}. Run again to go on.") from error
    names = [f"{person}/{path.name}" for person, path in listed]
    report = PrepareReport(
        photos=len(listed),
        people=len({person for person, _ in listed}),
        saved=saved,
        kept=len(listed) - len(jobs),
        skipped=tuple((name, index[name].reason) for name in names if index[name].reason),
        seconds=round(time.perf_counter() - start, 3),
    )
    try:
        replace_atomically(dst / REPORT, _json({"settings": settings} | report.to_dict()))
    except OSError as error:
        raise DataError(f"{dst} cannot be written to: {error}. Run again to go on.") from error
    return report


def aligned_landmarks(roots: Sequence[Path], names: Sequence[str]) -> np.ndarray:
    """Landmarks on prepared faces.

    Args:
        roots: prepared trees.
        names: N names "folder/PERSON/file" of faces in them, as of `FaceSet`.

    Returns:
        (N, 5, 2) float64 in pixels of the aligned face.

    Raises:
        DataError: an index is missing or damaged, or has no line for a face.
    """
    points: dict[str, np.ndarray] = {}
    for root in map(Path, roots):
        for entry in read_index(root).values():
            if entry.face:
                matrix = np.array(entry.matrix)
                own = np.array(entry.landmarks) @ matrix[:, :2].T + matrix[:, 2]
                points[f"{root.name}/{entry.face}"] = own
    missing = [name for name in names if name not in points]
    if missing:
        raise DataError(f"{missing[0]}: not in the {INDEX} of its tree; run prepare on it again")
    return np.stack([points[name] for name in names])


def read_index(dst: Path) -> dict[str, PreparedPhoto]:
    """Read the index of a prepared tree.

    Args:
        dst: the prepared tree.

    Returns:
        The last line of each photo, by the photo.

    Raises:
        DataError: the index is missing, or a line cannot be parsed. The last line may be
            incomplete, as an interrupted run leaves it.
    """
    try:
        lines = (Path(dst) / INDEX).read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{dst}: no {INDEX} that can be read; run prepare on it") from error
    index = {}
    for number, line in enumerate(lines[:-1], 1):
        try:
            values = json.loads(line)
            shape = tuple(values["shape"]) if values["shape"] else None
            entry = PreparedPhoto(**values | {"shape": shape})
        except (ValueError, TypeError, KeyError) as error:
            raise DataError(f"{dst}: line {number} of {INDEX} is damaged; delete it") from error
        index[entry.photo] = entry
    return index


@dataclass(frozen=True)
class _Job:
    """One photo to process. face: path of its aligned face, relative to the prepared tree."""

    photo: str
    path: Path
    face: str
    target: Path


def _jobs(listed: Iterable[tuple[str, Path]], dst: Path, file_format: str) -> Iterator[_Job]:
    """One job per photo. a.jpg and a.png of one person keep their suffixes, to stay distinct."""
    for person, photos in itertools.groupby(listed, key=lambda item: item[0]):
        paths = [path for _, path in photos]
        stems = collections.Counter(path.stem for path in paths)
        for path in paths:
            name = path.stem if stems[path.stem] == 1 else path.name
            face = f"{person}/{name}.{file_format}"
            yield _Job(f"{person}/{path.name}", path, face, dst / face)


def _open(dst: Path, settings: Mapping[str, Any]) -> dict[str, PreparedPhoto]:
    """Create dst and read the index of earlier runs; DataError if their settings differ."""
    report = dst / REPORT
    try:
        dst.mkdir(parents=True, exist_ok=True)
        if report.is_file():
            before = json.loads(report.read_text(encoding="utf-8")).get("settings")
            if before != settings:
                raise DataError(
                    f"{dst} was prepared in another way ({before}, now {dict(settings)}); "
                    "choose another folder or empty this one."
                )
        else:
            replace_atomically(report, _json({"settings": settings}))
        index = read_index(dst) if (dst / INDEX).is_file() else {}
        # Also removes an incomplete last line, to which the next one would be appended.
        replace_atomically(dst / INDEX, "".join(map(_line, index.values())).encode())
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(f"{dst} cannot be used as an output folder: {error}") from error
    return index


def _is_done(entry: PreparedPhoto | None, job: _Job, dst: Path) -> bool:
    if entry is None or entry.face not in ("", job.face):
        return False
    same = (entry.bytes, entry.modified_ns) == _stamp(job.path)
    return same and (not entry.face or (dst / entry.face).is_file())


def _stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and modification time in ns; zeros for a file that cannot be accessed."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


def _finder(min_face: float | None, cropped: bool) -> FaceDetector | CroppedFaces:
    return CroppedFaces() if cropped else FaceDetector(min_face)


def _prepare_one(detector: FaceDetector | CroppedFaces, job: _Job) -> PreparedPhoto:
    size, modified = _stamp(job.path)
    seen: dict[str, Any] = {"photo": job.photo, "bytes": size, "modified_ns": modified}
    try:
        rgb = read_image(job.path)
    except ImageError as error:
        return _skipped(job, str(error), seen)
    seen["shape"] = rgb.shape[:2]
    found = detector.detect(rgb)
    face = principal_face(found, rgb.shape)
    if face is None:
        return _skipped(job, NO_FACE, seen)
    stream = io.BytesIO()
    encoding = _ENCODINGS[job.target.suffix[1:]]
    Image.fromarray(face.aligned).save(stream, **encoding)
    job.target.parent.mkdir(exist_ok=True)
    replace_atomically(job.target, stream.getvalue())
    return PreparedPhoto(
        **seen,
        face=job.face,
        faces=len(found),
        box=_plain(face.box),
        landmarks=_plain(face.landmarks),
        matrix=np.round(face.matrix.astype(float), 6).tolist(),
        score=round(face.score, 4),
    )


def _skipped(job: _Job, reason: str, seen: Mapping[str, Any]) -> PreparedPhoto:
    job.target.unlink(missing_ok=True)  # an earlier version of the photo may have had a face
    return PreparedPhoto(**seen, reason=reason)


def _plain(values: np.ndarray) -> list:
    return np.round(values.astype(float), 2).tolist()


def _line(entry: PreparedPhoto) -> str:
    return json.dumps(asdict(entry)) + "\n"


def _json(values: Mapping[str, Any]) -> bytes:
    return (json.dumps(values, indent=1) + "\n").encode()
