"""What the API takes and gives, as its documentation shows it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from daah.types import Flaw, Verdict

#: Maximum number of matches per face, and of people.
MOST_MATCHES = 100

#: Rows of a page of a list: by default, and at most.
PAGE, MOST_ROWS = 50, 500

_CODE = "7c1f09a2e4d85b36"
_PERSON = "Benjamin L. Cardin"
_PHOTO = "Benjamin L. Cardin/109"
_ID = "5812345678901234567"

Count = Annotated[
    int, Field(ge=1, le=MOST_MATCHES, description="Number of people, and of photos, per face.")
]
Bits = Annotated[
    int | None,
    Field(description="Code length in bits, one of the model's; the longest by default."),
]


class Stated(BaseModel):
    """A body that names nothing that is not known."""

    model_config = ConfigDict(extra="forbid")


class ErrorDetail(BaseModel):
    """Why a call failed."""

    code: str = Field(description="A word for programs.", examples=["not_found"])
    message: str = Field(
        description="One or two sentences.", examples=["Nobody in the gallery is named 'x'."]
    )


class Error(BaseModel):
    """The answer to a call that failed."""

    error: ErrorDetail


class Quality(BaseModel):
    """How far a face can be told from others."""

    score: float | None = Field(
        description="Chance that a search with this face finds its person.", examples=[0.93]
    )
    reasons: list[Flaw] = Field(description="What makes it hard.", examples=[[]])


class Face(BaseModel):
    """A face with its code, in pixels of the upright photo."""

    box: list[float] = Field(
        description="Left, top, right and bottom.", examples=[[101.5, 80.2, 240.9, 262.4]]
    )
    score: float = Field(description="Probability of being a face.", examples=[0.9998])
    landmarks: list[list[float]] = Field(
        description="Left eye, right eye, nose, left and right corner of the mouth, as seen.",
        examples=[[[140.1, 150.0], [203.7, 149.2], [172.0, 190.5], [146.2, 222.8], [199.4, 222.1]]],
    )
    code: str = Field(description="The code in hexadecimal digits.", examples=[_CODE])
    quality: Quality


class PersonMatch(BaseModel):
    """A person near a face."""

    person: str = Field(description="Identifier.", examples=[_PERSON])
    name: str = Field(description="Name to show.", examples=[_PERSON])
    agree: int = Field(description="Bits that are the same.", examples=[61])
    bits: int = Field(description="Bits that were compared.", examples=[64])
    verdict: Verdict = Field(description="What this says in a search of this gallery.")
    photo: str = Field(description="The person's nearest photo.", examples=[_PHOTO])
    photos: int = Field(description="Number of the person's photos.", examples=[1])


class PhotoMatch(BaseModel):
    """A photo near a face."""

    id: str = Field(description="Id of the photo, as a text of digits.", examples=[_ID])
    person: str = Field(description="Identifier of the person.", examples=[_PERSON])
    name: str = Field(description="Name to show.", examples=[_PERSON])
    photo: str = Field(description="Name of the photo.", examples=[_PHOTO])
    distance: int = Field(description="Bits that differ.", examples=[3])
    bits: int = Field(description="Bits that were compared.", examples=[64])


class FoundFace(Face):
    """A face with the people and photos nearest to it."""

    matches: list[PhotoMatch] = Field(description="Photos, nearest first.")
    people: list[PersonMatch] = Field(description="People, nearest first.")


class Photo(BaseModel):
    """What is said of each photo of a call."""

    photo: str = Field(description="Name of the file.", examples=["photo.jpg"])
    width: int | None = Field(None, description="Pixels of the upright photo.", examples=[640])
    height: int | None = Field(None, description="Pixels of the upright photo.", examples=[480])
    faces_left_out: int = Field(
        0, description="Lower bound on the number of smaller faces that were left out."
    )
    error: ErrorDetail | None = Field(
        None, description="Why the photo could not be read; null when it was.", examples=[None]
    )


class EncodedPhoto(Photo):
    """A photo with the codes of its faces."""

    faces: list[Face] = Field([], description="Faces, largest first.")


class Encoded(BaseModel):
    """The answer of /encode."""

    model: str = Field(description="The model that computed the codes.", examples=["demo"])
    bits: int = Field(description="Length of the codes.", examples=[64])
    photos: list[EncodedPhoto] = Field(description="The photos in the order of the call.")


class SearchedPhoto(Photo):
    """A photo with the matches of its faces."""

    faces: list[FoundFace] = Field([], description="Faces, largest first.")


class FoundCode(BaseModel):
    """A code with the people and photos nearest to it."""

    code: str = Field(description="The code that was searched with.", examples=[_CODE])
    matches: list[PhotoMatch] = Field(description="Photos, nearest first.")
    people: list[PersonMatch] = Field(description="People, nearest first.")


class Searched(BaseModel):
    """The answer of /search."""

    bits: int = Field(description="Number of bits that were compared.", examples=[64])
    people_searched: int = Field(description="Number of people in the gallery.", examples=[384])
    photos: list[SearchedPhoto] = Field([], description="The photos in the order of the call.")
    codes: list[FoundCode] = Field([], description="The codes in the order of the call.")


class SearchOptions(Stated):
    """Options of a search by photos."""

    k: Count = 8
    bits: Bits = None


class CodeSearch(Stated):
    """A search by codes."""

    codes: Annotated[
        list[Annotated[str, Field(pattern="^[0-9a-fA-F]+$", max_length=1024)]],
        Field(
            min_length=1,
            max_length=100,
            description="Codes of one length in hexadecimal digits, as /encode gives them.",
            examples=[[_CODE]],
        ),
    ]
    k: Count = 8
    bits: Bits = None


class Compared(BaseModel):
    """The answer of /compare."""

    distance: int = Field(description="Bits that differ.", examples=[5])
    bits: int = Field(description="Bits that were compared.", examples=[64])
    threshold: int | None = Field(
        description="Largest distance of the same person; null for a length without calibration.",
        examples=[13],
    )
    same_person: bool | None = Field(
        description="Whether the distance is within the threshold.", examples=[True]
    )
    probability: float | None = Field(
        description="Calibrated probability that both are the same person.", examples=[0.998]
    )
    first: Face = Field(description="The largest face of the first photo.")
    second: Face = Field(description="The largest face of the second photo.")


class Person(BaseModel):
    """A person of the gallery."""

    person: str = Field(description="Identifier.", examples=[_PERSON])
    name: str = Field(description="Name to show.", examples=[_PERSON])
    photos: int = Field(description="Number of photos.", examples=[1])
    unnamed: bool = Field(description="Whether the person has no name yet.", examples=[False])
    hidden: bool = Field(description="Whether lists leave the person out.", examples=[False])


class People(BaseModel):
    """A page of the list of people."""

    people: list[Person] = Field(description="People by identifier.")
    total: int = Field(description="Number of people on all pages.", examples=[384])
    next: str | None = Field(
        description="The `cursor` of the next page; null on the last one.", examples=[None]
    )


class GalleryPhoto(BaseModel):
    """A photo of the gallery: one face."""

    id: str = Field(description="Id, as a text of digits.", examples=[_ID])
    person: str = Field(description="Identifier of the person.", examples=[_PERSON])
    name: str = Field(description="Name to show.", examples=[_PERSON])
    photo: str = Field(description="Name of the photo.", examples=[_PHOTO])
    added_at: float = Field(description="Seconds since 1970.", examples=[1767225600.0])


class GalleryPhotos(BaseModel):
    """A page of the list of photos."""

    photos: list[GalleryPhoto] = Field(description="Photos by ascending id.")
    next: str | None = Field(
        description="The `cursor` of the next page; null on the last one.", examples=[None]
    )


class EnrolledPhoto(BaseModel):
    """A photo that was enrolled."""

    id: str = Field(description="Id, as a text of digits.", examples=[_ID])
    photo: str = Field(description="Name of the photo.", examples=["photo.jpg"])
    quality: Quality
    warnings: list[str] = Field(
        description="What makes the face hard to tell from others, and which of several it is.",
        examples=[[]],
    )


class RefusedPhoto(BaseModel):
    """A photo that was not enrolled."""

    photo: str = Field(description="Name of the file.", examples=["cup.jpg"])
    error: ErrorDetail


class Enrolled(BaseModel):
    """The answer to an enrolment. What is in `added` is on the server's disk."""

    person: str = Field(description="Identifier of the person.", examples=[_PERSON])
    added: list[EnrolledPhoto]
    refused: list[RefusedPhoto]


class PersonChange(Stated):
    """A change of a person."""

    name: str | None = Field(None, description="The new name.", examples=["Ben Cardin"])
    hidden: bool | None = Field(
        None, description="Whether lists leave out a person without a name.", examples=[None]
    )


class Merge(Stated):
    """Several people who are one."""

    into: str = Field(description="Identifier of who stays.", examples=[_PERSON])
    others: list[str] = Field(
        min_length=1, max_length=100, description="Identifiers of the others.", examples=[["B C"]]
    )


class Merged(BaseModel):
    """The answer to a merge."""

    person: Person
    moved: int = Field(description="Number of photos that moved.", examples=[2])


class PhotoChange(Stated):
    """A change of a photo."""

    person: str = Field(
        description="Identifier of who is on it; a new one makes a new person.",
        examples=[_PERSON],
    )


class Removed(BaseModel):
    """The answer to a removal."""

    removed: int = Field(description="Number of photos that were removed.", examples=[1])
    undo: str | None = Field(
        description="What POST /undo takes to bring them back within an hour; null when they "
        "were removed for good.",
        examples=["1767225600000000000"],
    )


class Undo(Stated):
    """A removal that is taken back."""

    removal: str = Field(
        max_length=40,
        description="`undo` of the answer to the removal.",
        examples=["1767225600000000000"],
    )


class Restored(BaseModel):
    """The answer to an undo."""

    photos: list[GalleryPhoto]


class Health(BaseModel):
    """The answer of /health."""

    status: Literal["ok"]
