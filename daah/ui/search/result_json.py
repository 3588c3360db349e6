"""A search result as plain JSON values: the download and the `/search` endpoint."""

from __future__ import annotations

from typing import Any

from daah import codes
from daah.types import EncodedFace, FaceQuality, Match, PersonMatch
from daah.ui.search.view import View


def document(view: View) -> dict[str, Any]:
    """The result as plain JSON values, the same shape as the `/search` endpoint returns."""
    return {
        "faces": [
            describe(encoded, matches, people, quality, view.options.bits)
            for encoded, matches, people, quality in zip(
                view.faces, view.matches, view.people, view.quality, strict=True
            )
        ],
        "turned": view.session.turned,
        "faces_left_out": view.session.left_out,
        "bits": view.options.bits,
        "attention": view.options.attention,
        "seconds": {step: round(s, 4) for step, s in view.session.seconds.items()},
    }


def describe(
    encoded: EncodedFace,
    matches: tuple[Match, ...],
    people: tuple[PersonMatch, ...],
    quality: FaceQuality,
    bits: int,
) -> dict[str, Any]:
    """One face with its matches and people as plain JSON values, in pixels of the upright photo."""
    return {
        **describe_face(encoded, quality, bits),
        "matches": [match.describe() for match in matches],
        "people": [person.describe() for person in people],
    }


def describe_face(encoded: EncodedFace, quality: FaceQuality, bits: int) -> dict[str, Any]:
    """One face with its code as plain JSON values, in pixels of the upright photo."""
    face = encoded.face
    packed = codes.prefix(codes.pack(encoded.code.bits), bits)
    return {
        "box": [round(float(v), 1) for v in face.box],
        "score": round(float(face.score), 4),
        "landmarks": [[round(float(v), 1) for v in point] for point in face.landmarks],
        "code": codes.to_hex(packed),
        "quality": quality.describe(),
    }
