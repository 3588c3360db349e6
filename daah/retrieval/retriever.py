"""Photo in, matches out: detect, align, encode, search; nothing of a request is kept.

Results travel as values, so that two visitors of one retriever can never meet.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from daah import codes
from daah.detection.alignment import aligned_face
from daah.detection.detector import FaceDetector
from daah.errors import ConfigError, GalleryError
from daah.gallery import Gallery, SessionGallery
from daah.models import encoder as models_encoder
from daah.models.encoder import Attention, FaceEncoder
from daah.types import EncodedFace, Face, FaceMatches, Match, SearchResult

#: Called with how much is done, in [0, 1], and what is being done.
Progress = Callable[[float, str], None]

#: Rows that are fetched from the store before they are put in order.
CANDIDATES = 200

#: Faces of a gallery that are kept once they were encoded again.
RECALLED = 128


def silent(_done: float, _what: str) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Comparison:
    """Two faces: `distance` in bits of `bits`, and what the calibration makes of it.

    probability, same_person and threshold are None when this length is not calibrated.
    """

    distance: int
    bits: int
    probability: float | None
    same_person: bool | None
    threshold: int | None


class FaceRetriever:
    """Finds the people of a photo in a gallery. Constructed from finished parts, never changed.

    lengths: the code lengths, ascending, that `bits` may be; the longest is `bits`.
    """

    def __init__(self, detector: FaceDetector, encoder: FaceEncoder, gallery: Gallery) -> None:
        if gallery.store.spec.fingerprint != encoder.fingerprint:
            raise GalleryError(
                f"The gallery was made by model {gallery.store.spec.fingerprint[:12]}, not by "
                f"{encoder.fingerprint[:12]}; build it again."
            )
        self.detector = detector
        self.encoder = encoder
        self.gallery = gallery
        self.bits = encoder.bits
        self.lengths = tuple(encoder.lengths)
        # Of this retriever, and gone with it: another gallery has other faces.
        self._recalled = lru_cache(maxsize=RECALLED)(self._recall)

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Faces of an upright photo (H, W, 3) uint8, largest first, in pixels of that photo."""
        return self.detector.detect(rgb)

    def encode(self, faces: Sequence[Face], attention: Attention = "model") -> list[EncodedFace]:
        """Code and mask of each face. A face's code does not depend on the others.

        Raises ValueError for a painted mask of another shape, or outside [0, 1].
        """
        return models_encoder.encode(self.encoder, faces, attention)

    def match(
        self,
        encoded: EncodedFace,
        k: int = 8,
        bits: int | None = None,
        session: SessionGallery | None = None,
    ) -> tuple[Match, ...]:
        """The k nearest entries by the first `bits` bits, without encoding again.

        Ordered by (Hamming distance, asymmetric distance, id). Entries of a visitor's own `session`
        gallery take part; their ids are negative. Raises ConfigError for a length that is no code.
        """
        bits = self._length(bits)
        if k < 1:
            raise ConfigError(f"matches to show: expected at least 1, got {k}")
        logits = encoded.code.logits[None]  # (1, K)
        hits = self.gallery.store.search(
            codes.pack(encoded.code.bits)[None],
            max(k, CANDIDATES),
            bits,
            logits=logits,
            candidates=max(k, CANDIDATES),
        )
        count = len(hits.meta[0])
        found = list(
            zip(
                hits.distances[0, :count].tolist(),
                hits.asymmetric[0, :count].tolist(),
                hits.ids[0, :count].tolist(),
                hits.meta[0],
                strict=True,
            )
        )
        if session is not None:
            found += session.distances(encoded.code, bits)
        found.sort(key=lambda row: row[:3])
        return tuple(
            self._match(id_, meta.person, meta.photo, distance, bits)
            for distance, _, id_, meta in found[:k]
        )

    def search(
        self,
        rgb: np.ndarray,
        k: int = 8,
        bits: int | None = None,
        progress: Progress = silent,
        session: SessionGallery | None = None,
        attention: Attention = "model",
    ) -> SearchResult:
        """Everything about an upright photo (H, W, 3) uint8: its faces, codes and matches.

        Of very many faces the largest are searched; `left_out` of the result says how many are not.
        `seconds` of the result has the keys detect, encode and search.
        """
        bits = self._length(bits)
        started = time.perf_counter()
        progress(0.0, "Finding faces")
        detection = self.detector.find(rgb)
        detected = time.perf_counter()
        progress(0.5, "Encoding")
        encoded = self.encode(detection.faces, attention)
        coded = time.perf_counter()
        total = self.gallery.store.count() + (len(session) if session else 0)
        progress(0.9, f"Searching {total:,} codes")
        found = tuple(FaceMatches(face, self.match(face, k, bits, session)) for face in encoded)
        ended = time.perf_counter()
        progress(1.0, "Done")
        return SearchResult(
            found,
            bits,
            {"detect": detected - started, "encode": coded - detected, "search": ended - coded},
            detection.left_out,
        )

    def compare(self, a: EncodedFace, b: EncodedFace, bits: int | None = None) -> Comparison:
        """Two encoded faces by the first `bits` bits of their codes."""
        bits = self._length(bits)
        distance = int(np.count_nonzero(a.code.bits[:bits] != b.code.bits[:bits]))
        threshold = self.threshold(bits)
        return Comparison(
            distance,
            bits,
            self.probability(distance, bits),
            None if threshold is None else distance <= threshold,
            threshold,
        )

    def recall(
        self, id: int, session: SessionGallery | None = None, attention: Attention = "model"
    ) -> EncodedFace:
        """A gallery entry's face, encoded again from its thumbnail, with its mask.

        The last ones of the gallery are kept. Raises GalleryError when there is no such entry.
        """
        if id >= 0 and isinstance(attention, str):
            return self._recalled(id, attention, self.gallery.store.generation)
        return self.encode([aligned_face(self.thumbnail(id, session))], attention)[0]

    def _recall(self, id: int, attention: str, _generation: int) -> EncodedFace:
        return self.encode([aligned_face(self.thumbnail(id))], attention)[0]

    def thumbnail(self, id: int, session: SessionGallery | None = None) -> np.ndarray:
        """The aligned face (150, 150, 3) uint8 of an entry of the gallery or of the session."""
        if id < 0:
            if session is None:
                raise GalleryError("This face was added by a visit that has ended.")
            return session.thumbnail(id)
        return self.gallery.thumbnail(id)

    def threshold(self, bits: int) -> int | None:
        """Largest distance that counts as the same person; None without a calibration."""
        calibration = self.encoder.calibration
        if calibration is None or bits not in calibration.lengths:
            return None
        return calibration.threshold(bits)

    def probability(self, distance: int, bits: int) -> float | None:
        """Chance in [0, 1] that faces at this distance are one person; None if not calibrated."""
        calibration = self.encoder.calibration
        if calibration is None or bits not in calibration.lengths:
            return None
        return calibration.probability(distance, bits)

    def _length(self, bits: int | None) -> int:
        if bits is None:
            return self.bits
        if bits not in self.lengths:
            raise ConfigError(
                f"code length: expected one of {', '.join(map(str, self.lengths))}, got {bits}"
            )
        return bits

    def _match(self, id_: int, person: str, photo: str, distance: int, bits: int) -> Match:
        threshold = self.threshold(bits)
        return Match(
            id=id_,
            person=person,
            photo=photo,
            distance=distance,
            bits=bits,
            probability=self.probability(distance, bits),
            same_person=None if threshold is None else distance <= threshold,
        )
