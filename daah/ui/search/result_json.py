"""A search result as plain JSON values: the download and the `/search` endpoint."""

from __future__ import annotations

from typing import Any

from daah import codes
from daah.types import EncodedFace, Match
from daah.ui.search.view import View


def document(view: View) -> dict[str, Any]:
    """The result as plain JSON values, the same shape as the `/search` endpoint returns."""
    return {
        "faces": [
            describe(encoded, matches, view.options.bits)
            for encoded, matches in zip(view.faces, view.matches, strict=True)
        ],
        "faces_left_out": view.session.left_out,
        "bits": view.options.bits,
        "attention": view.options.attention,
        "seconds": {step: round(s, 4) for step, s in view.session.seconds.items()},
    }


def describe(encoded: EncodedFace, matches: tuple[Match, ...], bits: int) -> dict[str, Any]:
    """One face with its matches as plain JSON values, in pixels of the upright photo.

    Ids are texts: they have 63 bits, and a JavaScript number holds 53.
    """
    face = encoded.face
    packed = codes.prefix(codes.pack(encoded.code.bits), bits)
    return {
        "box": [round(float(v), 1) for v in face.box],
        "score": round(float(face.score), 4),
        "landmarks": [[round(float(v), 1) for v in point] for point in face.landmarks],
        "code": codes.to_hex(packed),
        "matches": [
            {
                "id": str(m.id),
                "person": m.person,
                "photo": m.photo,
                "distance": m.distance,
                "probability": m.probability,
                "same_person": m.same_person,
            }
            for m in matches
        ],
    }
