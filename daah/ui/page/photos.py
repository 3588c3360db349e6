"""Photos as the page sends them: uploads, and pictures in data URIs."""

from __future__ import annotations

import base64
import binascii

from daah.errors import ImageError


def data_uri_bytes(uri: str) -> bytes:
    """What a `data:image/...;base64,` URI holds; nothing at all for any other text."""
    head, _, body = str(uri).partition(";base64,")
    try:
        return base64.b64decode(body if head.startswith("data:image/") else "", validate=True)
    except (binascii.Error, ValueError):
        return b""


def base64_bytes(text: str) -> bytes:
    """What base64 text holds, with or without the head of a data URI. Raises ImageError."""
    head, mark, body = str(text).partition(";base64,")
    if mark and not head.startswith("data:"):
        body = ""
    try:
        data = base64.b64decode("".join((body if mark else head).split()), validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if not data:
        raise ImageError(
            "photo: expected the bytes of a photo's file as base64 text. Addresses and "
            "paths are not read."
        )
    return data
