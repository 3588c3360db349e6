"""Answers to codes that a browser computed, and all codes of a gallery where that is right."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from daah import codes
from daah.errors import ConfigError
from daah.models.calibration import FPIR, FPIR_LEVELS
from daah.models.keyed import KeyedEncoder
from daah.paths import BUILT_IN
from daah.retrieval.retriever import FaceRetriever
from daah.stores.people import person_id
from daah.types import FLAWS
from daah.ui.page.html import data_uri
from daah.ui.settings import Settings

#: People that one answer names at most: a page of the Search tab.
MOST_PEOPLE = 24

#: Photos of a gallery whose codes a page holds. The templates of so many people have 160 KB.
MOST_PHOTOS = 5_000


def read_query(body: Any, retriever: FaceRetriever) -> tuple[np.ndarray, int, int]:
    """The query of a browser.

    Args:
        body: parsed JSON, {"code": hex, "people": number}.
        retriever: whose codes these are.

    Returns:
        The code (B,) uint8, packed and filled up with zeros to the whole length; its length in
        bits; how many people are asked for.

    Raises:
        ConfigError: the body is something else.
    """
    if not isinstance(body, dict) or not set(body) <= {"code", "people"}:
        raise ConfigError('expected a JSON object with "code" and "people"')
    text, most = body.get("code"), body.get("people", 8)
    if not isinstance(most, int) or isinstance(most, bool) or not 1 <= most <= MOST_PEOPLE:
        raise ConfigError(f"people: expected 1 to {MOST_PEOPLE}")
    lengths = {bits: codes.nbytes(bits) for bits in retriever.lengths}
    packed = _unhex(text)
    bits = next((b for b, size in lengths.items() if size == len(packed)), None)
    if bits is None:
        expected = ", ".join(str(2 * size) for size in lengths.values())
        raise ConfigError(f"code: expected a code in hexadecimal, of {expected} digits")
    whole = np.zeros(codes.nbytes(retriever.bits), np.uint8)
    whole[: len(packed)] = np.frombuffer(packed, np.uint8)
    return whole, bits, most


def search(retriever: FaceRetriever, code: np.ndarray, bits: int, most: int) -> dict[str, Any]:
    """The people nearest to a code.

    Nothing but the code is known, so people come by Hamming distance, ties by their numbers. What a
    distance says is left to the browser, which knows how far the face can be told from others.

    Args:
        retriever: whose gallery is searched.
        code: (B,) uint8, packed, of the model without a key, which no browser has.
        bits: number of bits that are compared.
        most: number of people.

    Returns:
        {"people": [{"person", "name", "distance", "photos", "picture"}], "searched", "photos"},
        nearest first; "picture" is the person's nearest photo as a data URI.
    """
    if isinstance(retriever.encoder, KeyedEncoder):
        code = retriever.encoder.code(code)
    hits = retriever.gallery.store.search_people(code[None], most, bits)
    found = zip(
        hits.ids[0].tolist(),
        hits.distances[0].tolist(),
        hits.photos[0].tolist(),
        hits.meta[0],
        strict=False,  # fewer people than asked for have no meta
    )
    return {
        "people": [
            {
                "person": meta.person,
                "name": meta.shown,
                "distance": distance,
                "photos": photos,
                "picture": data_uri(retriever.thumbnail(id_)),
            }
            for id_, distance, photos, meta in found
        ],
        "searched": retriever.count_people(),
        "photos": retriever.gallery.count(),
    }


def shares_codes(retriever: FaceRetriever, settings: Settings) -> bool:
    """Whether a page may hold the names and codes of the gallery.

    A code is biometric data: those of a gallery that somebody made are handed out only where its
    operator says so, or looks at it alone; those of a key say nothing to a browser.

    Args:
        retriever: whose gallery it is.
        settings: the operator's settings.

    Returns:
        Whether it may.
    """
    gallery = retriever.gallery
    allowed = settings.share_codes or not settings.public or gallery.provenance.source in BUILT_IN
    return allowed and gallery.key is None and gallery.count() <= MOST_PHOTOS


def people(retriever: FaceRetriever) -> dict[str, Any]:
    """Names and codes of a gallery's people.

    Args:
        retriever: whose gallery it is.

    Returns:
        {"people": [[name, code in hexadecimal, number of photos]]} in the order of ties.
    """
    there = sorted(retriever.gallery.store.people(), key=lambda p: person_id(p.person))
    means = retriever.gallery.store.mean_logits([p.person for p in there])
    packed = codes.from_logits(means) if there else np.zeros((0, 0), np.uint8)
    return {
        "people": [
            [p.shown, codes.to_hex(code), p.photos] for p, code in zip(there, packed, strict=True)
        ]
    }


def setup(retriever: FaceRetriever, settings: Settings) -> dict[str, Any]:
    """What a browser must know to say what a distance means.

    Args:
        retriever: whose model and gallery they are.
        settings: the operator's settings.

    Returns:
        Plain JSON values: code lengths, the calibration of pairs and of searches, limits of hard
        faces, and the size of the gallery.
    """
    calibration = retriever.encoder.calibration
    pairs, searches, quality = {}, {}, None
    if calibration is not None:
        pairs = {
            bits: {
                "threshold": own.threshold,
                "probability": [round(p, 5) for p in own.probability],
            }
            for bits, own in calibration.by_bits.items()
        }
        searches = {
            bits: {"limits": own.limits, "mated": own.mated}
            for bits, own in calibration.searches.get("hamming", {}).items()
        }
        if (known := calibration.quality) is not None:
            quality = {
                "flaws": FLAWS,
                "limits": dict(known.limits),
                "shifts": {
                    flaw: {bits: asdict(shift) for bits, shift in by_bits.items()}
                    for flaw, by_bits in known.shifts.items()
                },
            }
    return {
        "bits": retriever.bits,
        "lengths": retriever.lengths,
        "pairs": pairs,
        "searches": searches,
        "levels": FPIR_LEVELS,
        "fpir": FPIR,
        "quality": quality,
        "people": retriever.count_people(),
        "photos": retriever.gallery.count(),
        "shares": shares_codes(retriever, settings),
        "shown": settings.matches,
        "additions": settings.max_additions,
    }


def _unhex(text: Any) -> bytes:
    if not isinstance(text, str) or not text.isascii() or not text.isalnum():
        return b""
    try:
        return bytes.fromhex(text)
    except ValueError:
        return b""
