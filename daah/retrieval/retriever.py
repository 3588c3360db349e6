"""Face retrieval: detect, align, encode and search. Nothing of a request is kept.

Results are immutable values, so that visitors of one retriever never share state.
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
from daah.retrieval.verdict import SearchVerdict
from daah.stores.base import Meta
from daah.types import (
    EncodedFace,
    Face,
    FaceMatches,
    FaceQuality,
    Match,
    PersonMatch,
    SearchResult,
)

#: Called with the share of the work that is done, in [0, 1], and the name of the step.
Progress = Callable[[float, str], None]

#: People, nearest by their codes, whose logits are compared where nobody is a match.
RERANKED = 20

#: Cosine similarity by which the logits of another must lead before the bits are overruled. Of
#: validation people, searched among 1,134 by one photo and 256 bits, 94.7% come first with it,
#: 95.6% without a lead and 90.1% by the bits alone; the nearest of a stranger by bits is overruled
#: in 32% of searches, not in 52%.
LEAD = 0.05

#: Rows that are re-ranked by asymmetric distance.
CANDIDATES = 200

#: Number of recalled faces that are cached.
RECALLED = 128


def silent(_done: float, _what: str) -> None:
    """A `Progress` that reports nothing."""


@dataclass(frozen=True)
class Comparison:
    """Comparison of two faces.

    Attributes:
        distance: Hamming distance.
        bits: number of bits that were compared.
        probability: calibrated probability in [0, 1] of being the same person; None if this length
            is not calibrated.
        same_person: whether the distance is within the threshold; None if this length is not
            calibrated.
        threshold: the threshold in bits; None if this length is not calibrated.
    """

    distance: int
    bits: int
    probability: float | None
    same_person: bool | None
    threshold: int | None


class FaceRetriever:
    """Finds the people of a photo in a gallery. Immutable; constructed from finished parts.

    Args:
        detector: the detector.
        encoder: the encoder, with or without the gallery's key.
        gallery: the gallery; its codes are the encoder's.

    Attributes:
        encoder: the encoder with the gallery's key, if that has one.
        bits: length of the full code.
        lengths: code lengths, ascending; the longest is `bits`.
        judge: what distances say in a search.

    Raises:
        GalleryError: the gallery is of another model.
    """

    def __init__(self, detector: FaceDetector, encoder: FaceEncoder, gallery: Gallery) -> None:
        encoder = gallery.encoder(encoder)
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
        self.judge = SearchVerdict(encoder.calibration)
        # The cache belongs to this retriever: another gallery has other faces.
        self._recalled = lru_cache(maxsize=RECALLED)(self._recall)

    def detect(self, rgb: np.ndarray) -> list[Face]:
        """Detect and align the faces of a photo.

        Args:
            rgb: upright photo (H, W, 3) uint8.

        Returns:
            The faces, largest first, in pixels of the photo.

        Raises:
            ValueError: rgb has another shape or dtype.
        """
        return self.detector.detect(rgb)

    def encode(self, faces: Sequence[Face], attention: Attention = "model") -> list[EncodedFace]:
        """Encode faces. The code of a face does not depend on the other faces.

        Args:
            faces: the faces.
            attention: as of `models.encoder.encode`.

        Returns:
            Code and mask of each face.

        Raises:
            ValueError: a painted mask has another shape, or values outside [0, 1].
        """
        return models_encoder.encode(self.encoder, faces, attention)

    def match(
        self,
        encoded: EncodedFace,
        k: int = 8,
        bits: int | None = None,
        session: SessionGallery | None = None,
    ) -> tuple[Match, ...]:
        """The nearest entries of an encoded face.

        Sorted by Hamming distance, ties by asymmetric distance, then by id.

        Args:
            encoded: the face.
            k: number of entries, at least 1.
            bits: code length, one of `lengths`; None is the longest.
            session: a visitor's own entries, which are included; their ids are negative.

        Returns:
            At most k matches, nearest first.

        Raises:
            ConfigError: `k` or `bits` is invalid.
        """
        bits = self._length(bits)
        _check_count(k)
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
        return tuple(self._match(id_, meta, distance, bits) for distance, _, id_, meta in found[:k])

    def match_people(
        self,
        encoded: EncodedFace,
        k: int = 8,
        bits: int | None = None,
        session: SessionGallery | None = None,
        quality: FaceQuality | None = None,
    ) -> tuple[PersonMatch, ...]:
        """The nearest people of an encoded face, by the templates of their photos.

        Sorted by Hamming distance, ties by asymmetric distance, then by identifier. Where the
        nearest is no match, the logits of the query are compared with the mean logits of the
        nearest `RERANKED` people, and whoever leads by cosine similarity comes first. Nobody has a
        better verdict than whoever comes first.

        Args:
            encoded: the face.
            k: number of people, at least 1.
            bits: code length, one of `lengths`; None is the longest.
            session: a visitor's own entries, which are included as people of their own.
            quality: of the face, which verdicts depend on; None assesses it.

        Returns:
            At most k people, nearest first.

        Raises:
            ConfigError: `k` or `bits` is invalid.
        """
        bits = self._length(bits)
        _check_count(k)
        hits = self.gallery.store.search_people(
            codes.pack(encoded.code.bits)[None],
            max(k, RERANKED),
            bits,
            logits=encoded.code.logits[None],  # (1, K)
            candidates=max(k, CANDIDATES),
        )
        count = len(hits.meta[0])
        found = list(
            zip(
                hits.distances[0, :count].tolist(),
                hits.asymmetric[0, :count].tolist(),
                hits.ids[0, :count].tolist(),
                hits.photos[0, :count].tolist(),
                hits.meta[0],
                strict=True,
            )
        )
        if session is not None:
            found += session.people_distances(encoded.code, bits)
        found.sort(key=lambda row: (*row[:2], row[4].person, row[2]))
        total = self.count_people(session)
        if quality is None:
            quality = self.quality(encoded)
        verdicts = [self.judge.verdict(row[0], bits, total, quality) for row in found]
        first = 0
        if verdicts and verdicts[0] != "match":
            first = self._leader(encoded, [(row[2], row[4].person) for row in found], bits, session)
            found.insert(0, found.pop(first))
            # Whoever agrees in more bits has no better verdict than whoever is put first.
            verdicts = [verdicts[first]] * (first + 1) + verdicts[first + 1 :]
        return tuple(
            PersonMatch(
                person=meta.person,
                name=meta.shown,
                distance=distance,
                bits=bits,
                verdict=verdict,
                id=id_,
                photo=meta.photo,
                photos=photos,
                reranked=first > 0 and place == 0,
            )
            for place, ((distance, _, id_, photos, meta), verdict) in enumerate(
                zip(found[:k], verdicts, strict=False)
            )
        )

    def _leader(
        self,
        encoded: EncodedFace,
        people: Sequence[tuple[int, str]],
        bits: int,
        session: SessionGallery | None,
    ) -> int:
        """Which of the nearest people comes first by their logits.

        people: id of a photo, negative for one of `session`, and identifier; nearest first.
        """
        near = people[:RERANKED]
        means = np.zeros((len(near), len(encoded.code.logits)), np.float32)
        stored = np.array([id_ >= 0 for id_, _ in near])
        for rows, source in ((stored, self.gallery.store), (~stored, session)):
            if rows.any():
                chosen = [person for own, (_, person) in zip(rows, near, strict=True) if own]
                means[rows] = source.mean_logits(chosen)
        similar = codes.cosine(encoded.code.logits[:bits], means[:, :bits])
        leader = int(similar.argmax())
        return leader if similar[leader] >= similar[0] + LEAD else 0

    def search_code(
        self, code: np.ndarray, k: int = 8, bits: int | None = None
    ) -> tuple[tuple[Match, ...], tuple[PersonMatch, ...]]:
        """The nearest photos and people of a code alone.

        Without the logits that its bits are the signs of, ties are in the order of ids, and nobody
        is put first but by bits. Verdicts are those of a face of which nothing else is known.

        Args:
            code: (B,) uint8, packed; at least `bits` bits.
            k: number of photos, and of people, at least 1.
            bits: code length, one of `lengths`; None is the longest.

        Returns:
            At most k photos, and at most k people, nearest first.

        Raises:
            ConfigError: `k` or `bits` is invalid, or the code is shorter.
        """
        bits = self._length(bits)
        _check_count(k)
        if len(code) < codes.nbytes(bits):
            raise ConfigError(f"code: expected {bits} bits, got {8 * len(code)}")
        query = np.zeros((1, codes.nbytes(self.bits)), np.uint8)
        query[0, : codes.nbytes(bits)] = codes.prefix(code[: codes.nbytes(self.bits)], bits)
        hits = self.gallery.store.search(query, k, bits)
        rows = zip(hits.ids[0].tolist(), hits.meta[0], hits.distances[0].tolist(), strict=False)
        photos = tuple(self._match(id_, meta, distance, bits) for id_, meta, distance in rows)
        near = self.gallery.store.search_people(query, k, bits)
        total = self.count_people()
        people = tuple(
            PersonMatch(
                person=meta.person,
                name=meta.shown,
                distance=distance,
                bits=bits,
                verdict=self.judge.verdict(distance, bits, total),
                id=id_,
                photo=meta.photo,
                photos=count,
            )
            for distance, id_, count, meta in zip(
                near.distances[0].tolist(),
                near.ids[0].tolist(),
                near.photos[0].tolist(),
                near.meta[0],
                strict=False,
            )
        )
        return photos, people

    def count_people(self, session: SessionGallery | None = None) -> int:
        """Number of people who are searched.

        Args:
            session: a visitor's own entries, which are included.

        Returns:
            The number.
        """
        return self.gallery.store.count_people() + (len(session.people()) if session else 0)

    def quality(self, encoded: EncodedFace) -> FaceQuality:
        """How far a face can be told from others.

        Args:
            encoded: the face.

        Returns:
            As of `daah.models.quality.assess`.
        """
        return self.judge.quality(encoded)

    def search(
        self,
        rgb: np.ndarray,
        k: int = 8,
        bits: int | None = None,
        progress: Progress = silent,
        session: SessionGallery | None = None,
        attention: Attention = "model",
    ) -> SearchResult:
        """Detect, encode and search the faces of a photo.

        Args:
            rgb: upright photo (H, W, 3) uint8.
            k: number of matches, and of people, per face; at least 1.
            bits: code length, one of `lengths`; None is the longest.
            progress: called with the share of the work that is done, in [0, 1], and the step.
            session: a visitor's own entries, which are included.
            attention: as of `models.encoder.encode`.

        Returns:
            Faces with codes and matches. `left_out` counts smaller faces that were not searched;
            `seconds` has the keys detect, encode and search.

        Raises:
            ConfigError: `k` or `bits` is invalid.
            ValueError: rgb has another shape or dtype, or a painted mask is invalid.
        """
        bits = self._length(bits)
        _check_count(k)
        started = time.perf_counter()
        progress(0.0, "Finding faces")
        detection = self.detector.find(rgb)
        detected = time.perf_counter()
        progress(0.5, "Encoding")
        encoded = self.encode(detection.faces, attention)
        coded = time.perf_counter()
        total = self.gallery.store.count() + (len(session) if session else 0)
        progress(0.9, f"Searching {total:,} codes")
        found = tuple(
            FaceMatches(
                face,
                self.match(face, k, bits, session),
                self.match_people(face, k, bits, session, quality),
                quality,
            )
            for face, quality in zip(encoded, map(self.quality, encoded), strict=True)
        )
        ended = time.perf_counter()
        progress(1.0, "Done")
        return SearchResult(
            found,
            bits,
            {"detect": detected - started, "encode": coded - detected, "search": ended - coded},
            detection.left_out,
        )

    def compare(self, a: EncodedFace, b: EncodedFace, bits: int | None = None) -> Comparison:
        """Compare two encoded faces.

        Args:
            a: one face.
            b: the other face.
            bits: code length, one of `lengths`; None is the longest.

        Returns:
            Their distance, and what the calibration says of it.

        Raises:
            ConfigError: `bits` is invalid.
        """
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
        """Encode the face of a gallery entry again, from its thumbnail.

        The results for the last `RECALLED` entries are cached.

        Args:
            id: id of the entry; negative for one of `session`.
            session: a visitor's own entries.
            attention: as of `models.encoder.encode`.

        Returns:
            The face with code and mask.

        Raises:
            GalleryError: there is no such entry.
        """
        if id >= 0 and isinstance(attention, str):
            return self._recalled(id, attention, self.gallery.store.generation)
        return self.encode([aligned_face(self.thumbnail(id, session))], attention)[0]

    def _recall(self, id: int, attention: str, _generation: int) -> EncodedFace:
        return self.encode([aligned_face(self.thumbnail(id))], attention)[0]

    def thumbnail(self, id: int, session: SessionGallery | None = None) -> np.ndarray:
        """The aligned face of an entry.

        Args:
            id: id of the entry; negative for one of `session`.
            session: a visitor's own entries.

        Returns:
            (224, 224, 3) uint8 RGB.

        Raises:
            GalleryError: there is no such entry.
        """
        if id < 0:
            if session is None:
                raise GalleryError("This face was added by a visit that has ended.")
            return session.thumbnail(id)
        return self.gallery.thumbnail(id)

    def threshold(self, bits: int) -> int | None:
        """Largest distance that counts as the same person.

        Args:
            bits: code length.

        Returns:
            The distance in bits; None if this length is not calibrated.
        """
        calibration = self.encoder.calibration
        if calibration is None or bits not in calibration.lengths:
            return None
        return calibration.threshold(bits)

    def probability(self, distance: int, bits: int) -> float | None:
        """Calibrated probability that two faces are of the same person.

        Args:
            distance: Hamming distance of their codes.
            bits: code length.

        Returns:
            Probability in [0, 1]; None if this length is not calibrated.
        """
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

    def _match(self, id_: int, meta: Meta, distance: int, bits: int) -> Match:
        threshold = self.threshold(bits)
        return Match(
            id=id_,
            person=meta.person,
            name=meta.shown,
            photo=meta.photo,
            distance=distance,
            bits=bits,
            probability=self.probability(distance, bits),
            same_person=None if threshold is None else distance <= threshold,
        )


def _check_count(k: int) -> None:
    if k < 1:
        raise ConfigError(f"matches to show: expected at least 1, got {k}")
