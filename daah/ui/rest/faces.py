"""Routes about faces of photos: /encode, /search and /compare."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from daah import codes
from daah.errors import ConfigError, ImageError
from daah.retrieval.retriever import FaceRetriever
from daah.types import EncodedFace
from daah.ui.rest import schemas
from daah.ui.rest.errors import ApiError
from daah.ui.rest.requests import FORM, JSON, ReadRoute
from daah.ui.rest.service import Served, Service, name_of, taken
from daah.ui.search.result_json import describe, describe_face
from daah.ui.server.api_errors import CODES

router = APIRouter(route_class=ReadRoute, tags=["faces"])

Photos = Annotated[list[UploadFile], File(description="1 to 10 photos.")]
FormBits = Annotated[
    int | None,
    Form(description="Code length in bits, one of the model's; the longest by default."),
]


def length(retriever: FaceRetriever, bits: int | None) -> int:
    """A code length that was asked for.

    Args:
        retriever: the retriever.
        bits: the length; None is the longest.

    Returns:
        The length.

    Raises:
        ConfigError: the model has no such length.
    """
    if bits is None:
        return retriever.bits
    if bits not in retriever.lengths:
        offered = ", ".join(map(str, retriever.lengths))
        raise ConfigError(f"bits: expected one of {offered}, got {bits}.")
    return bits


def encode_photo(retriever: FaceRetriever, photo: np.ndarray, bits: int) -> dict[str, Any]:
    """The faces of a photo with their codes.

    Args:
        retriever: the retriever.
        photo: upright photo (H, W, 3) uint8 RGB.
        bits: length of the codes.

    Returns:
        Plain JSON values, of `schemas.EncodedPhoto`.
    """
    found = retriever.detector.find(photo)
    faces = [
        describe_face(encoded, retriever.quality(encoded), bits)
        for encoded in retriever.encode(found.faces)
    ]
    return {**_size(photo), "faces": faces, "faces_left_out": found.left_out}


def search_photo(retriever: FaceRetriever, photo: np.ndarray, k: int, bits: int) -> dict[str, Any]:
    """The faces of a photo with the people and photos nearest to them.

    Args:
        retriever: the retriever.
        photo: upright photo (H, W, 3) uint8 RGB.
        k: number of people, and of photos, per face.
        bits: code length.

    Returns:
        Plain JSON values, of `schemas.SearchedPhoto`.
    """
    result = retriever.search(photo, k=k, bits=bits)
    faces = [describe(f.encoded, f.matches, f.people, f.quality, bits) for f in result.faces]
    return {**_size(photo), "faces": faces, "faces_left_out": result.left_out}


def search_codes(
    retriever: FaceRetriever, given: list[str], k: int, bits: int | None
) -> dict[str, Any]:
    """The people and photos nearest to codes.

    Args:
        retriever: the retriever.
        given: codes of one length in hexadecimal digits.
        k: number of people, and of photos, per code.
        bits: code length; None is that of the codes.

    Returns:
        Plain JSON values, of `schemas.Searched`.

    Raises:
        ConfigError: the codes have different lengths, or one that the model does not have.
    """
    sizes = {len(code) for code in given}
    if len(sizes) > 1 or len(given[0]) % 2:
        raise ConfigError("codes: expected codes of one length, two digits per byte.")
    whole = length(retriever, 4 * len(given[0]))
    bits = whole if bits is None else length(retriever, bits)
    if bits > whole:
        raise ConfigError(f"bits: the codes have {whole} bits, so expected at most {whole}.")
    found = []
    for code in given:
        photos, people = retriever.search_code(codes.from_hex(code), k, bits)
        matches = [match.describe() for match in photos]
        near = [person.describe() for person in people]
        found.append({"code": code.lower(), "matches": matches, "people": near})
    return {"bits": bits, "people_searched": retriever.count_people(), "codes": found}


def largest_face(retriever: FaceRetriever, photo: np.ndarray, which: str) -> EncodedFace:
    """The largest face of a photo.

    Args:
        retriever: the retriever.
        photo: upright photo (H, W, 3) uint8 RGB.
        which: name of the photo, for the error.

    Returns:
        The face with its code.

    Raises:
        ImageError: there is none.
    """
    found = retriever.detector.find(photo)
    if not found.faces:
        raise ImageError(
            f"No face found in the {which} photo. Send a photo with a larger, front-facing face."
        )
    (encoded,) = retriever.encode(found.faces[:1])
    return encoded


def compare_faces(
    retriever: FaceRetriever, first: EncodedFace, second: EncodedFace, bits: int
) -> dict[str, Any]:
    """The comparison of two faces.

    Args:
        retriever: the retriever.
        first: one face.
        second: the other face.
        bits: code length.

    Returns:
        Plain JSON values, of `schemas.Compared`.
    """
    result = retriever.compare(first, second, bits)
    return {
        "distance": result.distance,
        "bits": result.bits,
        "threshold": result.threshold,
        "same_person": result.same_person,
        "probability": result.probability,
        "first": describe_face(first, retriever.quality(first), bits),
        "second": describe_face(second, retriever.quality(second), bits),
    }


def _size(photo: np.ndarray) -> dict[str, int]:
    return {"width": photo.shape[1], "height": photo.shape[0]}


@router.post("/encode", summary="Encode the faces of photos")
async def encode(service: Served, photos: Photos, bits: FormBits = None) -> schemas.Encoded:
    """Find the faces of photos and compute their codes. Nothing is compared, and nothing kept.

    A photo that cannot be read has an `error` in place of faces; if none can be read, the call
    fails.
    """
    retriever = service.retriever
    chosen = length(retriever, bits)
    answers = await each(service, photos, lambda rgb: encode_photo(retriever, rgb, chosen))
    return schemas.Encoded(model=retriever.encoder.name, bits=chosen, photos=answers)


_SEARCH_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            FORM: {
                "schema": {
                    "type": "object",
                    "required": ["photos"],
                    "properties": {
                        "photos": {
                            "type": "array",
                            "items": {"type": "string", "format": "binary"},
                            "minItems": 1,
                            "maxItems": 10,
                            "description": "1 to 10 photos.",
                        },
                        **schemas.SearchOptions.model_json_schema()["properties"],
                    },
                }
            },
            JSON: {"schema": schemas.CodeSearch.model_json_schema()},
        },
    }
}


@router.post("/search", summary="Search by photos or by codes", openapi_extra=_SEARCH_BODY)
async def search(service: Served, request: Request) -> schemas.Searched:
    """Find the people and photos of the gallery nearest to faces, or to codes of faces.

    Send photos as a form, or codes that `/encode` gave as JSON. A code is compared by its bits
    alone, a face also by the numbers whose signs they are, which order people more exactly.
    """
    retriever = service.retriever
    if request.headers["content-type"].lower().startswith(JSON):
        asked = await _stated(schemas.CodeSearch, request.json())
        found = await service.aside(search_codes, retriever, asked.codes, asked.k, asked.bits)
        return schemas.Searched.model_validate(found)
    form = await request.form()
    photos = form.getlist("photos")
    if not photos or not all(hasattr(photo, "filename") for photo in photos):
        raise ApiError(422, "photos: expected 1 to 10 files.")
    rest = {name: value for name, value in form.items() if name != "photos"}
    options = await _stated(schemas.SearchOptions, rest)
    bits = length(retriever, options.bits)
    answers = await each(service, photos, lambda rgb: search_photo(retriever, rgb, options.k, bits))
    people = await service.aside(retriever.count_people)
    return schemas.Searched(bits=bits, people_searched=people, photos=answers)


@router.post("/compare", summary="Compare the faces of two photos")
async def compare(
    service: Served,
    first: Annotated[UploadFile, File(description="A photo.")],
    second: Annotated[UploadFile, File(description="Another photo.")],
    bits: FormBits = None,
) -> schemas.Compared:
    """Compare the largest faces of two photos. The gallery has no part in it."""
    retriever = service.retriever
    chosen = length(retriever, bits)
    faces = []
    for which, upload in (("first", first), ("second", second)):
        data = await taken(upload)
        faces.append(
            await service.with_photo(
                data, lambda rgb, which=which: largest_face(retriever, rgb, which)
            )
        )
    return schemas.Compared.model_validate(compare_faces(retriever, faces[0], faces[1], chosen))


async def each(
    service: Service, photos: list[Any], work: Callable[[np.ndarray], dict[str, Any]]
) -> list[dict[str, Any]]:
    """Read photos one after another and let work have each.

    Args:
        service: the service.
        photos: the uploads.
        work: called with each upright photo (H, W, 3) uint8 RGB.

    Returns:
        For each photo its name and what `work` returned, or why it could not be read.

    Raises:
        ImageError: none could be read; of the first one.
    """
    answers, failed = [], []
    for upload in photos:
        name, data = name_of(upload), await taken(upload)
        try:
            answers.append({"photo": name, **await service.with_photo(data, work)})
        except ImageError as problem:
            failed.append(problem)
            answers.append({"photo": name, "error": {"code": "photo", "message": str(problem)}})
    if len(failed) == len(answers):
        raise failed[0]
    return answers


async def _stated(model: Any, body: Any) -> Any:
    """A body as a model. Raises ApiError 400 and RequestValidationError."""
    try:
        value = body if isinstance(body, dict) else await body
    except (ValueError, RecursionError):  # UnicodeDecodeError is a ValueError
        raise ApiError(400, "The body is not valid JSON.", CODES[400]) from None
    try:
        return model.model_validate(value)
    except ValidationError as problem:
        raise RequestValidationError(problem.errors()) from None
