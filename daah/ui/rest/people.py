"""Routes about the people and photos of the gallery: lists for everybody, changes by token."""

from __future__ import annotations

import base64
import binascii
import bisect
import io
from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, File, Form, Path, Query, Response, UploadFile
from PIL import Image

from daah.errors import ConfigError, GalleryError, ImageError
from daah.gallery import Entry, Gallery, people
from daah.gallery.names import checked_name
from daah.retrieval.retriever import FaceRetriever
from daah.stores.base import Person
from daah.types import EncodedFace
from daah.ui.gallery.actions import main_face
from daah.ui.rest import schemas
from daah.ui.rest.errors import ApiError, conflict
from daah.ui.rest.requests import ReadRoute, WriteRoute
from daah.ui.rest.service import Served, Service, name_of, taken

reading = APIRouter(route_class=ReadRoute)
writing = APIRouter(route_class=WriteRoute)

Limit = Annotated[int, Query(ge=1, le=schemas.MOST_ROWS, description="Rows of a page.")]
Cursor = Annotated[
    str, Query(max_length=2000, description="`next` of the page before; none for the first page.")
]
Identifier = Annotated[str, Path(description="Identifier of the person.")]
Id = Annotated[str, Path(description="Id of the photo.")]
ForGood = Annotated[
    bool, Query(description="Whether nothing is kept. Otherwise it can be undone for an hour.")
]

#: Rows that are read of the gallery at a time for a page of a list.
_READ = 1000


# --- lists ----------------------------------------------------------------------------------------


@reading.get("/people", tags=["people"], summary="List people")
async def list_people(
    service: Served,
    q: Annotated[str, Query(max_length=200, description="Part of a name or identifier.")] = "",
    limit: Limit = schemas.PAGE,
    cursor: Cursor = "",
    hidden: Annotated[bool, Query(description="Whether hidden people are listed.")] = False,
) -> schemas.People:
    """People of the gallery by identifier, a page at a time."""
    after = _text(cursor)

    def read() -> schemas.People:
        found = service.retriever.gallery.find_people(q)
        found = [p for p in found if hidden or not people.is_hidden(p.person)]
        start = bisect.bisect_right(found, after, key=lambda p: p.person) if after else 0
        page = found[start : start + limit]
        more = start + limit < len(found)
        return schemas.People(
            people=[_person(p) for p in page],
            total=len(found),
            next=_cursor(page[-1].person) if more else None,
        )

    return await service.aside(read)


@reading.get("/people/{person:path}", tags=["people"], summary="Show a person")
async def show_person(service: Served, person: Identifier) -> schemas.Person:
    """One person of the gallery."""
    return await service.aside(lambda: _person(_find(service.retriever.gallery, person)))


@reading.get("/photos", tags=["photos"], summary="List photos")
async def list_photos(
    service: Served,
    person: Annotated[str | None, Query(description="Identifier of whose; of all without.")] = None,
    limit: Limit = schemas.PAGE,
    cursor: Cursor = "",
) -> schemas.GalleryPhotos:
    """Photos of the gallery by ascending id, a page at a time."""
    text = _text(cursor)
    after = _id(text) if text else -1

    def read() -> schemas.GalleryPhotos:
        gallery = service.retriever.gallery
        if person is not None:
            _find(gallery, person)
        found = list(islice(gallery.entries(person, after, _READ), limit + 1))
        return schemas.GalleryPhotos(
            photos=[_photo(entry) for entry in found[:limit]],
            next=_cursor(str(found[limit - 1].id)) if len(found) > limit else None,
        )

    return await service.aside(read)


@reading.get("/photos/{id}", tags=["photos"], summary="Show a photo")
async def show_photo(service: Served, id: Id) -> schemas.GalleryPhoto:
    """One photo of the gallery. Of a photo only the aligned face is kept (`/photos/{id}/face`)."""
    return await service.aside(lambda: _photo(_entry(service.retriever.gallery, id)))


@reading.get(
    "/photos/{id}/face",
    tags=["photos"],
    summary="Show the face of a photo",
    response_class=Response,
    responses={200: {"content": {"image/png": {}}, "description": "224 by 224 pixels."}},
)
async def show_face(service: Served, id: Id) -> Response:
    """The aligned face of a photo, as PNG."""

    def read() -> bytes:
        gallery = service.retriever.gallery
        buffer = io.BytesIO()
        Image.fromarray(gallery.thumbnail(_entry(gallery, id).id)).save(buffer, "PNG")
        return buffer.getvalue()

    return Response(await service.aside(read), media_type="image/png")


# --- changes --------------------------------------------------------------------------------------


@writing.post("/people", tags=["people"], status_code=201, summary="Enrol photos of a person")
async def enrol(
    service: Served,
    person: Annotated[str, Form(description="Identifier, known or new.", examples=["Ada"])],
    photos: Annotated[list[UploadFile], File(description="1 to 10 photos.")],
    name: Annotated[str, Form(description="Name to show; the identifier without one.")] = "",
) -> schemas.Enrolled:
    """Enrol the main face of each photo. The same person and file name again replace the photo.

    Photos without a face, with one that is of no use, or that cannot be read are `refused`; if all
    are, the call fails. When the answer comes, what it says was added is on the disk. Enrol only
    people who agreed to it.
    """
    person = checked_name("person", person)
    if name.strip():
        name = checked_name("person", name)
    names = [name_of(photo) for photo in photos]
    if len(set(names)) < len(names):
        raise ConfigError("photos: two files have the same name; give each its own.")
    retriever = service.retriever
    if people.is_unnamed(person):
        await service.aside(_find, retriever.gallery, person)
    found, refused = await _faces(service, retriever, photos, names)
    if not found:
        raise ApiError(422, f"No photo was enrolled. {refused[0].error.message}", "photo")

    def write() -> list[int]:
        gallery = retriever.gallery
        rows = [(person, photo, encoded) for photo, encoded, _ in found]
        ids = gallery.add_many(rows, names={person: name} if name else None)
        gallery.flush()
        gallery.join_map(ids, [encoded for _, encoded, _ in found])
        service.context.forget_projection()
        return ids

    ids = await service.in_turn(write)
    added = [
        schemas.EnrolledPhoto(
            id=str(id_),
            photo=photo,
            quality=retriever.quality(encoded).describe(),
            warnings=warnings,
        )
        for id_, (photo, encoded, warnings) in zip(ids, found, strict=True)
    ]
    return schemas.Enrolled(person=person, added=added, refused=refused)


@writing.post("/people/merge", tags=["people"], summary="Merge people")
async def merge(service: Served, change: schemas.Merge) -> schemas.Merged:
    """Say that several people are one: the photos of `others` become those of `into`."""

    def write(gallery: Gallery) -> schemas.Merged:
        for other in (change.into, *change.others):
            _find(gallery, other)
        moved = people.merge(gallery, change.into, change.others)
        return schemas.Merged(person=_person(_find(gallery, change.into)), moved=moved)

    return await _changed(service, write)


@writing.patch("/people/{person:path}", tags=["people"], summary="Rename or hide a person")
async def change_person(
    service: Served, person: Identifier, change: schemas.PersonChange
) -> schemas.Person:
    """Give somebody another name, or leave somebody without a name out of lists.

    Whoever has no display name gets the new name as identifier; the answer says it.
    """
    if change.name is None and change.hidden is None:
        raise ConfigError("Send a name, or whether the person is hidden.")

    def write(gallery: Gallery) -> schemas.Person:
        now = _find(gallery, person).person
        if change.hidden is not None:
            now = people.hide(gallery, now, change.hidden)
        if change.name is not None:
            now = people.rename(gallery, now, change.name)
        return _person(_find(gallery, now))

    return await _changed(service, write)


@writing.delete("/people/{person:path}", tags=["people"], summary="Remove a person")
async def remove_person(
    service: Served, person: Identifier, for_good: ForGood = False
) -> schemas.Removed:
    """Remove a person with all photos, codes and names."""
    return await _changed(
        service,
        lambda gallery: _remove(gallery, [_find(gallery, person).person], (), for_good),
    )


@writing.patch("/photos/{id}", tags=["photos"], summary="Move a photo to another person")
async def change_photo(
    service: Served, id: Id, change: schemas.PhotoChange
) -> schemas.GalleryPhoto:
    """Say who is on a photo. Its id, code and face stay as they are."""

    def write(gallery: Gallery) -> schemas.GalleryPhoto:
        entry = _entry(gallery, id)
        person = checked_name("person", change.person)
        if people.is_unnamed(person):
            _find(gallery, person)
        gallery.assign([entry.id], person)
        return _photo(gallery.entry(entry.id))

    return await _changed(service, write)


@writing.delete("/photos/{id}", tags=["photos"], summary="Remove a photo")
async def remove_photo(service: Served, id: Id, for_good: ForGood = False) -> schemas.Removed:
    """Remove a photo with its code and face."""
    return await _changed(
        service, lambda gallery: _remove(gallery, (), [_entry(gallery, id).id], for_good)
    )


@writing.post("/undo", tags=["photos"], summary="Take a removal back")
async def undo(service: Served, change: schemas.Undo) -> schemas.Restored:
    """Bring back what was removed within the last hour."""
    return await _changed(
        service,
        lambda gallery: schemas.Restored(
            photos=[_photo(entry) for entry in gallery.undo(change.removal)]
        ),
    )


# --- helpers --------------------------------------------------------------------------------------


async def _faces(
    service: Service, retriever: FaceRetriever, photos: Sequence[UploadFile], names: Sequence[str]
) -> tuple[list[tuple[str, EncodedFace, list[str]]], list[schemas.RefusedPhoto]]:
    """(name, main face, warnings) of photos, and those that are of no use."""
    found, refused = [], []
    for upload, name in zip(photos, names, strict=True):
        warnings: list[str] = []

        def face(rgb: np.ndarray, warnings: list[str] = warnings) -> EncodedFace:
            return main_face(retriever, rgb, warnings.append, warnings.append)

        try:
            checked_name("photo", name)
            encoded = await service.with_photo(await taken(upload), face)
        except (ImageError, ConfigError) as problem:
            error = schemas.ErrorDetail(code="photo", message=str(problem))
            refused.append(schemas.RefusedPhoto(photo=name, error=error))
        else:
            found.append((name, encoded, warnings))
    return found, refused


async def _changed(service: Service, write: Any) -> Any:
    """Change the gallery in its turn. Raises ApiError for what its people do not allow."""
    gallery = service.retriever.gallery

    def work() -> Any:
        answer = write(gallery)
        gallery.flush()
        service.context.forget_projection()
        return answer

    try:
        return await service.in_turn(work)
    except GalleryError as problem:
        raise conflict(problem) from None


def _remove(
    gallery: Gallery, whom: Sequence[str], ids: Sequence[int], for_good: bool
) -> schemas.Removed:
    if for_good:
        return schemas.Removed(removed=gallery.remove_many(whom, ids), undo=None)
    removed = gallery.discard(whom, ids)
    return schemas.Removed(removed=removed, undo=gallery.last_removal())


def _find(gallery: Gallery, person: str) -> Person:
    """The person of an identifier. Raises ApiError 404."""
    found = next((p for p in gallery.store.people() if p.person == person), None)
    if found is None:
        raise ApiError(404, "Nobody in the gallery has this identifier.")
    return found


def _entry(gallery: Gallery, id: str) -> Entry:
    """The entry of an id. Raises ApiError 404."""
    try:
        return gallery.entry(_id(id))
    except GalleryError as problem:
        raise _no_photo() if _is_missing(gallery, id) else problem from None


def _is_missing(gallery: Gallery, id: str) -> bool:
    return not gallery.store.contains(np.array([_id(id)], np.int64))[0]


def _id(text: str) -> int:
    """An id. Raises ApiError 404 for what cannot be one."""
    if not (text.isascii() and text.isdecimal() and len(text) <= 19 and int(text) < 2**63):
        raise _no_photo()
    return int(text)


def _no_photo() -> ApiError:
    return ApiError(404, "No photo in the gallery has this id.")


def _cursor(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode()


def _text(cursor: str) -> str:
    """What a cursor holds. Raises ConfigError for one that no list gave."""
    try:
        return base64.b64decode(cursor.encode("ascii"), b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise ConfigError("cursor: expected `next` of a list's answer.") from None


def _person(person: Person) -> schemas.Person:
    return schemas.Person(
        person=person.person,
        name=person.shown,
        photos=person.photos,
        unnamed=people.is_unnamed(person.person),
        hidden=people.is_hidden(person.person),
    )


def _photo(entry: Entry) -> schemas.GalleryPhoto:
    return schemas.GalleryPhoto(
        id=str(entry.id),
        person=entry.person,
        name=entry.name,
        photo=entry.photo,
        added_at=entry.added_at,
    )
