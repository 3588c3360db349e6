"""One frame of the webcam in, what to draw over it out. Keeps nothing."""

from __future__ import annotations

import base64
import io
import threading
import time
from typing import Any

import numpy as np
from PIL import Image

from daah.errors import DaahError
from daah.gallery import SessionGallery
from daah.images import enlarged, shrink
from daah.reading import SMALL_READER
from daah.retrieval import explain
from daah.types import ALIGNED_SIZE, EncodedFace, PersonMatch
from daah.ui.page.photos import data_uri_bytes
from daah.ui.state.context import AppContext
from daah.ui.state.session import free_name

#: Longest side of a frame, as the page sends it; what is larger is reduced.
FRAME_SIDE = 640
#: Pixels of a frame at most, so that reading one never takes long.
FRAME_PIXELS = 4 * FRAME_SIDE**2
#: Share of the frame's longer side that a face must have at least: nobody sits further away, and
#: looking for smaller faces would cost most of the time.
SMALLEST = 0.1
#: Faces that are followed; more would not be drawn in time.
MOST_FACES = 4
#: Side of the heatmap that is sent: it is smooth, and enlarged again by the page.
HEAT_SIDE = 48


class Live:
    """Answers frames, a few at a time; a frame that comes while all are busy is dropped."""

    def __init__(self, context: AppContext) -> None:
        self.context = context
        self._places = threading.Semaphore(context.settings.live_workers)

    def frame(self, picture: str, additions: SessionGallery | None = None) -> dict[str, Any]:
        """What is on a frame given as a data URI, with the people whom its visitor added.

        Returns {"busy": True} when no place is free, {"error": sentence} for a bad frame, or
        {"faces": [{"box", "matrix", "heat", "label", "sentence", "same", "code"}], "width",
        "height", "milliseconds"}: pixels of the frame, matrix from the aligned face (a unit square)
        to it, code as a text of zeros and ones.
        """
        if not self._places.acquire(blocking=False):
            return {"busy": True}
        try:
            started = time.perf_counter()
            rgb = SMALL_READER.read(data_uri_bytes(picture), FRAME_PIXELS)
            rgb = shrink(rgb, FRAME_SIDE)
            faces = self._faces(rgb, additions)
            spent = 1000 * (time.perf_counter() - started)
            height, width = rgb.shape[:2]
            return {"faces": faces, "width": width, "height": height, "milliseconds": round(spent)}
        except DaahError as problem:
            return {"error": str(problem)}
        finally:
            self._places.release()

    def remember(
        self, picture: str, additions: SessionGallery | None = None
    ) -> tuple[SessionGallery | None, str]:
        """Add the largest face of a frame for this visit.

        Returns:
            The visitor's additions, and a sentence about what was done.
        """
        mine = additions or SessionGallery()
        try:
            rgb = shrink(SMALL_READER.read(data_uri_bytes(picture), FRAME_PIXELS), FRAME_SIDE)
            smallest = SMALLEST * max(rgb.shape[:2])
            found = self.context.retriever.detector.detect(rgb, min_face=smallest)[:1]
            if not found:
                return additions, "No face is in view, so nobody was added."
            (encoded,) = self.context.retriever.encode(found)
            name = free_name(mine)
            mine = mine.add(name, f"{name}/1", encoded, self.context.settings.max_additions)
        except DaahError as problem:
            return additions, str(problem)
        return mine, f'Remembered as "{name}" for this visit, on every tab.'

    def added(self, additions: SessionGallery | None) -> list[list[str]]:
        """Name and code in hexadecimal of each face that a visitor added.

        The engine in the visitor's browser compares with them too; with codes of a gallery's key it
        cannot.
        """
        keyed = self.context.retriever.gallery.key is not None
        return [] if additions is None or keyed else additions.named_codes()

    def _faces(self, rgb: np.ndarray, additions: SessionGallery | None) -> list[dict[str, Any]]:
        retriever = self.context.retriever
        smallest = SMALLEST * max(rgb.shape[:2])
        found = retriever.detector.detect(rgb, min_face=smallest)[:MOST_FACES]
        bits = retriever.bits
        drawn = []
        for encoded in retriever.encode(found):
            people = retriever.match_people(encoded, 1, bits, additions)
            best = people[0] if people else None
            label, sentence = _words(best)
            drawn.append(
                {
                    "box": [round(float(v), 1) for v in encoded.face.box],
                    "matrix": _to_frame(encoded),
                    "heat": _heat(encoded.mask),
                    "label": label,
                    "sentence": sentence,
                    "same": best is not None and best.verdict == "match",
                    "code": "".join("1" if bit else "0" for bit in encoded.code.bits[:bits]),
                }
            )
        return drawn


def _words(best: PersonMatch | None) -> tuple[str, str]:
    """What stands at a face, and what is said of it: without a number, which flickers."""
    if best is None:
        return "nobody in the gallery", "There is nobody in the gallery yet."
    agree = f"{best.agree} of {best.bits} bits agree"
    if best.verdict == "match":
        return f"{best.name}, {agree}", f"Match: this looks like {best.name}."
    if best.verdict == "unclear":
        words = f"Unclear: this may be {best.name}, or nobody in the gallery."
        return f"perhaps {best.name}, {agree}", words
    return f"no match ({agree})", "No match: this person looks like nobody in the gallery."


def _to_frame(encoded: EncodedFace) -> list[float]:
    """a, b, c, d, e, f of a canvas transform: unit square of the aligned face to the frame."""
    matrix = np.vstack([encoded.face.matrix.astype(np.float64), [0, 0, 1]])
    back = np.linalg.inv(matrix) @ np.diag([ALIGNED_SIZE, ALIGNED_SIZE, 1.0])
    return [round(float(v), 3) for v in back[:2].T.ravel()]


def _heat(mask: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(explain.colours(enlarged(mask, HEAT_SIDE))).save(buffer, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
