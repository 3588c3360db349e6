"""Commands on one photo: its codes, and its matches."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from daah.cli.console import (
    CheckpointFile,
    FacesFolder,
    GalleryUri,
    JsonFile,
    Progress,
    about,
    emit,
    load_model,
)

if TYPE_CHECKING:
    from daah.types import EncodedFace, SearchResult

Photo = Annotated[
    Path, typer.Argument(metavar="IMAGE", help="A JPEG, PNG, WebP, AVIF or HEIC file.")
]


def encode(
    image: Photo,
    logits: Annotated[bool, typer.Option("--logits", help="Add the real-valued logits.")] = False,
    attention: Annotated[
        Literal["model", "off"], typer.Option(help="With the model's mask, or without a mask.")
    ] = "model",
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Print the binary code of every face in a photo, largest face first.

    Each face has its box and landmarks in pixels of the upright photo, the detection score, the
    code as hexadecimal digits, first bit first, and its quality: the chance that a search with it
    finds its person, and what makes it hard. The 50 largest are encoded; "faces_left_out" is
    the least number of further faces.

    \b
    Examples:
      python -m daah encode photo.jpg
      python -m daah encode photo.jpg --logits --json codes.json
    """
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
    image: Photo,
    k: Annotated[
        int, typer.Option("-k", metavar="N", min=1, help="People, and matches, per face.")
    ] = 8,
    bits: Annotated[
        int | None,
        typer.Option(metavar="B", help="Compare the first B bits only. Default: the whole code."),
    ] = None,
    gallery: GalleryUri = None,
    folder: FacesFolder = None,
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

    \b
    Examples:
      python -m daah search photo.jpg
      python -m daah search photo.jpg --json -
      python -m daah search photo.jpg -k 3 --bits 64 --gallery my-gallery
      python -m daah search photo.jpg --gallery milvus://localhost:19530/faces
    """
    from daah.images import read_image

    rgb = read_image(image)  # before seconds of loading the rest
    from daah.retrieval.loading import load_retriever

    with Progress() as progress:
        retriever = load_retriever(
            checkpoint, gallery, progress.share, folder=folder, read_only=True
        )
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
