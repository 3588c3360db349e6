"""A folder-per-person tree of photos to one of aligned faces, for training and measuring.

What is in the output folder: PERSON/photo.jpg for every photo with a face, `faces.jsonl` with a
line a photo (box, landmarks, score, or why it was skipped), and `report.json`. Every file is
written beside its place and then moved into it, so that a stopped run leaves nothing half-written,
and the next one goes on where it stopped.
"""

from __future__ import annotations

import collections
import io
import itertools
import json
import time
from collections.abc import Iterable, Iterator, Mapping
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

#: Photos that are not worth a process.
_FEW = 16

_ENCODINGS: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": 95, "subsampling": 0},  # colour as sharp as brightness
    "png": {"format": "PNG"},
}


@dataclass(frozen=True)
class PreparedPhoto:
    """A line of the index.

    photo: "PERSON/file" in the source tree, with its size in bytes and modification time in ns.
    face: "PERSON/file" of the aligned face in the prepared tree, or "" when skipped.
    reason: why it was skipped, or "".
    faces: how many were found; the one that the photo is about is kept.
    shape: height and width of the upright photo, None when it could not be read.
    box, landmarks, matrix, score: as of `daah.types.Face`, in plain numbers; None without a face.
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

    photos: in the source tree. saved: faces written in this run. kept: photos that an earlier run
    had dealt with. skipped: (photo, reason) of every photo without a face, old and new.
    """

    photos: int
    people: int
    saved: int
    kept: int
    skipped: tuple[tuple[str, str], ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON: the skipped by photo and reason, and how often each reason came up."""
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
    """Align the principal face of every photo of the tree src into the tree dst.

    workers: processes that detect; 0 works in this one. They are spawned, so a script that calls
    this needs the usual `if __name__ == "__main__"`. file_format: "jpg" (quality 95) or "png".
    min_face: as of FaceDetector. cropped: the images are faces already, square and aligned as
    ArcFace does, and only change their frame. progress: called with photos done, of how many, and
    what. What an earlier run did is kept unless the photo has changed since. Raises DataError for a
    tree without photos, one that holds dst, or a dst that was prepared in another way.
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
    replace_atomically(dst / REPORT, _json({"settings": settings} | report.to_dict()))
    return report


def read_index(dst: Path) -> dict[str, PreparedPhoto]:
    """The index of a prepared tree, by photo, the last line of each.

    Raises DataError when there is none or a line but the last cannot be read; the last may be cut
    off where a run was stopped.
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
    """One photo to deal with. face: where its aligned face goes, from the prepared tree."""

    photo: str
    path: Path
    face: str
    target: Path


def _jobs(listed: Iterable[tuple[str, Path]], dst: Path, file_format: str) -> Iterator[_Job]:
    """A job a photo; a.jpg and a.png of one person keep apart by their whole names."""
    for person, photos in itertools.groupby(listed, key=lambda item: item[0]):
        paths = [path for _, path in photos]
        stems = collections.Counter(path.stem for path in paths)
        for path in paths:
            name = path.stem if stems[path.stem] == 1 else path.name
            face = f"{person}/{name}.{file_format}"
            yield _Job(f"{person}/{path.name}", path, face, dst / face)


def _open(dst: Path, settings: Mapping[str, Any]) -> dict[str, PreparedPhoto]:
    """Make dst ready and read what earlier runs left; DataError if their settings were others."""
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
        # Also rids the index of a torn last line, onto which the next would be written.
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
    """Size in bytes and modification time in ns; zeros for a file that is gone or out of reach."""
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
