"""Commands on photos: their codes, and their matches."""

from __future__ import annotations

import dataclasses
import json as json_module
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from daah.cli.console import (
    CheckpointFile,
    FacesFolder,
    GalleryUri,
    JsonFile,
    Progress,
    RefusedFile,
    Workers,
    about,
    emit,
    load_model,
    open_text,
)
from daah.errors import ConfigError

if TYPE_CHECKING:
    from daah.gallery.manifest import Refused
    from daah.retrieval import FaceRetriever
    from daah.retrieval.batch import BatchReport
    from daah.types import EncodedFace, SearchResult

Photos = Annotated[
    list[Path],
    typer.Argument(
        metavar="IMAGE...",
        help="A JPEG, PNG, WebP, AVIF or HEIC file. With --csv any number of them, and folders.",
    ),
]
Table = Annotated[
    Path | None,
    typer.Option(
        "--csv",
        metavar="FILE",
        help="Write a table of many photos; photos that it has are not done again.",
    ),
]
Strict = Annotated[
    bool, typer.Option("--strict", help="With --csv: exit code 1 when a photo cannot be read.")
]


def encode(
    images: Photos,
    logits: Annotated[bool, typer.Option("--logits", help="Add the real-valued logits.")] = False,
    attention: Annotated[
        Literal["model", "off"], typer.Option(help="With the model's mask, or without a mask.")
    ] = "model",
    table: Table = None,
    workers: Workers = None,
    refused: RefusedFile = None,
    strict: Strict = False,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Print the binary code of every face in a photo, largest face first.

    Each face has its box and landmarks in pixels of the upright photo, the detection score, the
    code as hexadecimal digits, first bit first, and its quality: the chance that a search with it
    finds its person, and what makes it hard. The 50 largest are encoded; "faces_left_out" is
    the least number of further faces.

    With --csv the faces of any number of photos are written to a table, one row for each face; a
    photo without a face has one row. Calling again continues where the last run stopped, also after
    Ctrl-C. Photos that cannot be read are named and counted, and tried again by the next run.

    \b
    Examples:
      python -m daah encode photo.jpg
      python -m daah encode photo.jpg --logits --json codes.json
      python -m daah encode PHOTOS --csv codes.csv
    """
    if table is not None:
        from daah.retrieval import batch

        photos = batch.photos_of(images)
        encoder = load_model(checkpoint)
        with _Run(refused) as run:
            report = batch.encode_photos(
                photos,
                table,
                encoder,
                logits=logits,
                attention=attention,
                workers=workers,
                progress=run.progress,
                refused=run.refuse,
            )
        _finish(table, report, strict, json)
        return
    image = _only(images)
    from daah.images import read_image

    rgb = read_image(image)  # before seconds of loading the rest
    from daah.detection.detector import FaceDetector
    from daah.models import encoder as models_encoder
    from daah.models.quality import assess

    encoder = load_model(checkpoint)
    found = FaceDetector().find(rgb)
    faces = models_encoder.encode(encoder, found.faces, attention)
    fitted = encoder.calibration.quality if encoder.calibration else None
    emit(
        {
            "image": str(image),
            "width": rgb.shape[1],
            "height": rgb.shape[0],
            "checkpoint": about(encoder),
            "bits": encoder.bits,
            "faces": [
                _face(face)
                | {"quality": assess(face, fitted).describe()}
                | (_logits(face) if logits else {})
                for face in faces
            ],
            "faces_left_out": found.left_out,
        },
        json,
    )


def search(
    images: Photos,
    k: Annotated[
        int, typer.Option("-k", metavar="N", min=1, help="People, and matches, per face.")
    ] = 8,
    bits: Annotated[
        int | None,
        typer.Option(metavar="B", help="Compare the first B bits only. Default: the whole code."),
    ] = None,
    gallery: GalleryUri = None,
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Search the photos of this folder, DIR/PERSON/photo.jpg or DIR/PERSON.jpg,"
            " in place of a gallery.",
        ),
    ] = None,
    folder: FacesFolder = None,
    table: Table = None,
    workers: Workers = None,
    refused: RefusedFile = None,
    strict: Strict = False,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Find the people of a photo in a gallery.

    Each face gets the K nearest "people", each compared by one code of all of their photos, with
    the number of bits that agree and a verdict: match, unclear or no match. "quality" is the chance
    that a search with the face finds its person, and what makes it hard. "matches" are the K
    nearest photos by Hamming distance. "id" is a string, because it has more digits than a
    JavaScript number holds. A terminal gets a table of the people; a pipe, a file or --json -
    gets the JSON.

    With --csv the people of any number of photos are written to a table, one row for each person of
    each face. Calling again continues as for encode. --against encodes a folder again by each call;
    make a gallery of a large one (gallery build).

    \b
    Examples:
      python -m daah search photo.jpg
      python -m daah search photo.jpg --json -
      python -m daah search photo.jpg -k 3 --bits 64 --gallery my-gallery
      python -m daah search photo.jpg --gallery milvus://localhost:19530/faces
      python -m daah search PARTY --csv matches.csv -k 1
      python -m daah search PARTY --against PORTRAITS --csv matches.csv
    """
    if against is not None and gallery is not None:
        raise ConfigError("--against and --gallery: expected one of them, got both")
    if table is not None:
        from daah.retrieval import batch

        photos = batch.photos_of(images)
        with (
            _Run(refused) as run,
            _searched(run, against, gallery, folder, workers, checkpoint) as retriever,
        ):
            report = batch.search_photos(
                photos,
                table,
                retriever,
                k,
                bits,
                workers=workers,
                progress=run.progress,
                refused=run.refuse,
            )
        _finish(table, report, strict, json)
        return
    image = _only(images)
    from daah.images import read_image

    rgb = read_image(image)  # before seconds of loading the rest
    with (
        _Run(refused) as run,
        _searched(run, against, gallery, folder, workers, checkpoint) as retriever,
    ):
        result = retriever.search(rgb, k, bits)
        emit(
            {
                "image": str(image),
                "gallery": {"name": retriever.gallery.name, "entries": retriever.gallery.count()},
                "checkpoint": about(retriever.encoder),
                "bits": result.bits,
                "threshold": retriever.threshold(result.bits),
                "seconds": {step: round(value, 4) for step, value in result.seconds.items()},
                "faces": [
                    _face(found.encoded)
                    | {"quality": found.quality.describe()}
                    | {"people": [person.describe() for person in found.people]}
                    | {"matches": [match.describe() for match in found.matches]}
                    for found in result.faces
                ],
                "faces_left_out": result.left_out,
            },
            json,
            _lines(result),
        )


class _Run:
    """Progress of a command on many photos, and the photos that it refuses; a context manager."""

    def __init__(self, refused: Path | None) -> None:
        self._file = refused

    def __enter__(self) -> _Run:
        self._stack = ExitStack()
        self.progress = self._stack.enter_context(Progress())
        self._log = self._stack.enter_context(open_text(self._file)) if self._file else None
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def refuse(self, photo: Refused) -> None:
        """Name a photo that was left out, on stderr and in the file of refused photos."""
        self.progress.say(f"{photo.photo}: {photo.reason}")
        if self._log is not None:
            line = json_module.dumps(dataclasses.asdict(photo), ensure_ascii=False)
            self._log.write(line + "\n")


@contextmanager
def _searched(
    run: _Run,
    against: Path | None,
    gallery: str | None,
    folder: Path | None,
    workers: int | None,
    checkpoint: Path | None,
) -> Iterator[FaceRetriever]:
    """The retriever of a gallery, or of a folder that is enrolled for the time being."""
    from daah.retrieval.loading import load_retriever

    if against is None:
        yield load_retriever(checkpoint, gallery, run.progress.share, folder=folder, read_only=True)
        return
    from daah.detection.detector import FaceDetector
    from daah.retrieval.batch import temporary_gallery
    from daah.retrieval.retriever import FaceRetriever

    encoder = load_model(checkpoint)
    with temporary_gallery(
        against, encoder, workers=workers, progress=run.progress, refused=run.refuse
    ) as opened:
        yield FaceRetriever(FaceDetector(), encoder, opened)


def _only(images: list[Path]) -> Path:
    if len(images) > 1 or images[0].is_dir():
        raise ConfigError("Several photos, or a folder of them, need a table: --csv FILE")
    return images[0]


def _finish(table: Path, report: BatchReport, strict: bool, json: Path | None) -> None:
    """Report a run; the exit code is 1 where nothing could be read, or something and `strict`."""
    emit({"table": str(table)} | dataclasses.asdict(report), json)
    if report.unreadable and (strict or not report.done + report.present):
        raise typer.Exit(1)


def _lines(result: SearchResult) -> list[str]:
    """The people of every face as a table."""
    lines = [] if result.faces else ["No face found. Try a larger, front-facing face."]
    for number, found in enumerate(result.faces, 1):
        size = round(found.encoded.face.width)
        lines.append(f"Face {number} of {len(result.faces)}, {size} pixels wide")
        if found.quality.reasons:
            lines.append(
                f"  The face is {found.quality.words}: a search may miss the right person."
            )
        width = max((len(person.name) for person in found.people), default=0)
        lines += [
            f"  {person.verdict:<8}  {person.name:<{width}}  "
            f"{person.agree:>3} of {person.bits} bits agree  {person.photo}"
            for person in found.people
        ]
    if result.left_out:
        lines.append(f"{result.left_out} smaller faces or more were left out.")
    return lines


def _face(encoded: EncodedFace) -> dict[str, Any]:
    from daah import codes

    face = encoded.face
    return {
        "box": [round(float(v), 2) for v in face.box],
        "landmarks": [[round(float(v), 2) for v in point] for point in face.landmarks],
        "score": round(float(face.score), 4),
        "code": codes.to_hex(codes.pack(encoded.code.bits)),
    }


def _logits(encoded: EncodedFace) -> dict[str, Any]:
    return {"logits": [round(float(v), 5) for v in encoded.code.logits]}
