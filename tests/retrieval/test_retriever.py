"""From photo to matches: with invented faces for the order of results, and with real parts."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah import codes, images
from daah.detection.alignment import TEMPLATE
from daah.detection.detector import FaceDetector
from daah.errors import ConfigError, GalleryError
from daah.gallery import BuildReport, Gallery, SessionGallery
from daah.models import encoder as models_encoder
from daah.retrieval.retriever import LEAD, RERANKED, FaceRetriever
from daah.types import Code, EncodedFace
from tests.doubles.encoder import ProjectionEncoder, encoded, face


@pytest.fixture
def small(
    tmp_path: Path, detector: FaceDetector, fake_encoder: ProjectionEncoder
) -> Iterator[FaceRetriever]:
    """Thirty invented people with one photo each."""
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        gallery.add_many([(f"p{n:02}", "photo", encoded(fake_encoder, n)) for n in range(30)])
        yield FaceRetriever(detector, fake_encoder, gallery)


def _coded(bits: np.ndarray, logits: np.ndarray) -> EncodedFace:
    code = Code(bits, logits.astype(np.float32))
    return dataclasses.replace(encoded(ProjectionEncoder(), 0), code=code)


@pytest.mark.parametrize("bits", ProjectionEncoder.lengths)
def test_matches_are_in_order_for_every_length(small: FaceRetriever, bits: int) -> None:
    query = encoded(small.encoder, 1000)
    rows = next(small.gallery.store.scan())
    hamming = codes.hamming(
        codes.prefix(codes.pack(query.code.bits[None]), bits), codes.prefix(rows.codes, bits)
    )[0]
    weight = codes.asymmetric(query.code.logits[None, :bits], codes.prefix(rows.codes, bits))[0]
    expected = np.lexsort([rows.ids, weight, hamming])[:12]
    found = small.match(query, k=12, bits=bits)
    assert [match.id for match in found] == rows.ids[expected].tolist()
    assert [match.distance for match in found] == hamming[expected].tolist()
    assert {match.bits for match in found} == {bits}
    for match in found:
        assert match.probability == small.probability(match.distance, bits)
        assert match.same_person == (match.distance <= small.threshold(bits))


def test_distance_comes_before_logits(small: FaceRetriever) -> None:
    """An entry that differs in many cheap bits is not nearer than one that differs in one."""
    query = encoded(small.encoder, 3)
    cheap = query.code.bits.copy()
    cheap[:4] = ~cheap[:4]
    dear = query.code.bits.copy()
    dear[127] = ~dear[127]
    logits = np.where(query.code.bits, 1.0, -1.0)
    logits[:4] *= 0.001
    logits[127] *= 100
    small.gallery.add("cheap", "x", _coded(cheap, np.where(cheap, 1.0, -1.0)))
    small.gallery.add("dear", "x", _coded(dear, np.where(dear, 1.0, -1.0)))
    found = small.match(_coded(query.code.bits, logits), k=3)
    assert [(match.person, match.distance) for match in found] == [
        ("p03", 0),
        ("dear", 1),
        ("cheap", 4),
    ]


def test_equal_distances_are_ordered_by_logits_then_id(small: FaceRetriever) -> None:
    query = encoded(small.encoder, 3)
    logits = np.where(query.code.bits, 1.0, -1.0)
    logits[5] *= 10
    for name, bit in (("sure", 5), ("unsure", 9), ("unsure too", 9)):
        bits = query.code.bits.copy()
        bits[bit] = ~bits[bit]
        small.gallery.add(name, "x", _coded(bits, np.where(bits, 1.0, -1.0)))
    found = small.match(_coded(query.code.bits, logits), k=4)
    assert [match.distance for match in found] == [0, 1, 1, 1]
    assert {found[1].person, found[2].person} == {"unsure", "unsure too"}
    assert found[1].id < found[2].id
    assert found[3].person == "sure"


@pytest.mark.parametrize("bits", [128, 32])
def test_people_are_ranked_by_the_signs_of_their_mean_logits(
    small: FaceRetriever, bits: int
) -> None:
    """Against a loop over the photos of every person."""
    own = {f"p{n:02}": [encoded(small.encoder, n).code.logits] for n in range(30)}
    for n in range(12):  # more photos of four people
        extra = encoded(small.encoder, 200 + n)
        small.gallery.add(f"p{n % 4:02}", f"extra {n}", extra, name="Named" if n == 0 else "")
        own[f"p{n % 4:02}"].append(extra.code.logits)
    query = encoded(small.encoder, 1000)
    expected = []
    for person, logits in own.items():
        mean = np.mean(np.array(logits, np.float64), axis=0)[:bits]
        differ = (mean > 0) != query.code.bits[:bits]
        weight = np.abs(query.code.logits[:bits])[differ].sum()
        expected.append((int(differ.sum()), float(weight), person))
    expected.sort()
    verdicts = [small.judge.verdict(distance, bits, 30) for distance, _, _ in expected]
    if verdicts[0] != "match":
        mine = query.code.logits[:bits].astype(np.float64)
        cosines = []
        for _, _, person in expected[:RERANKED]:
            mean = np.mean(np.array(own[person], np.float64), axis=0)[:bits]
            cosines.append(mean @ mine / np.linalg.norm(mean) / np.linalg.norm(mine))
        best = int(np.argmax(cosines))
        if cosines[best] >= cosines[0] + LEAD:
            expected.insert(0, expected.pop(best))
            verdicts = [verdicts[best]] * (best + 1) + verdicts[best + 1 :]
    found = small.match_people(query, k=30, bits=bits)
    assert [person.person for person in found] == [person for _, _, person in expected]
    assert [person.distance for person in found] == [distance for distance, _, _ in expected]
    assert [person.agree for person in found] == [bits - distance for distance, _, _ in expected]
    for person in found:
        photos = [m for m in small.match(query, 60, bits) if m.person == person.person]
        assert person.photos == len(photos) == len(own[person.person])
        assert (person.photo, person.id) in {
            (m.photo, m.id) for m in photos if m.distance == photos[0].distance
        }
        assert person.name == ("Named" if person.person == "p00" else person.person)
    assert [person.verdict for person in found] == verdicts
    assert [person.reranked for person in found[1:]] == [False] * 29
    assert found[0].reranked == (found[0].distance > found[1].distance)
    assert small.match_people(query, k=4, bits=bits) == found[:4]


def test_logits_decide_who_is_first_where_the_bits_do_not(small: FaceRetriever) -> None:
    """By hand: `near` agrees in more bits, `own` in those that are far from zero."""
    bits = small.bits
    rng = np.random.default_rng(31)
    query = rng.normal(size=bits).astype(np.float32)
    weak = np.argsort(np.abs(query))

    def person(differ: np.ndarray, scale: float) -> EncodedFace:
        logits = query.copy()
        logits[differ] *= -scale
        return _coded(logits > 0, logits)

    few = 10
    near, own = person(weak[-few:], 1.0), person(weak[: few + 3], 1.0)
    small.gallery.add("near", "1.jpg", near)
    small.gallery.add("own", "1.jpg", own)
    found = small.match_people(_coded(query > 0, query), 8)
    assert [p.person for p in found[:2]] == ["own", "near"]
    assert [p.distance for p in found[:2]] == [few + 3, few]
    assert [p.reranked for p in found[:2]] == [True, False]
    assert found[0].verdict == found[1].verdict != "match"
    # A match is a match: nobody is put before it.
    exact = small.match_people(near, 8)
    assert (exact[0].person, exact[0].distance, exact[0].reranked) == ("near", 0, False)
    # A visitor's own entry leads by its logits as anybody else does.
    small.gallery.remove("own")
    mine = SessionGallery().add("mine", "selfie", own)
    found = small.match_people(_coded(query > 0, query), 8, session=mine)
    assert (found[0].person, found[0].id < 0, found[0].reranked) == ("mine", True, True)


def test_a_visitors_people_are_searched_as_people(small: FaceRetriever) -> None:
    faces = [encoded(small.encoder, seed) for seed in (700, 701, 702)]
    mine = SessionGallery()
    for n, one in enumerate(faces):
        mine = mine.add("p03", f"selfie {n}", one)  # by chance the name of somebody else
    mean = np.mean([one.code.logits for one in faces], axis=0)
    found = small.match_people(_coded(mean > 0, mean), 40, session=mine)
    assert len(found) == 31 == small.count_people(mine)
    first = found[0]
    assert (first.person, first.distance, first.photos, first.id < 0) == ("p03", 0, 3, True)
    assert [p.id < 0 for p in found if p.person == "p03"] == [True, False]
    assert (
        first.photo
        == min(
            (m.distance, m.id, m.photo)
            for m in small.match(_coded(mean > 0, mean), 40, session=mine)
            if m.id < 0
        )[2]
    )
    assert small.count_people() == 30


def test_a_session_takes_part_and_stays_apart(small: FaceRetriever) -> None:
    mine = SessionGallery().add("me", "selfie", encoded(small.encoder, 777))
    query = encoded(small.encoder, 777)
    first = small.match(query, 3, session=mine)[0]
    assert (first.person, first.distance, first.id < 0) == ("me", 0, True)
    assert "me" not in {match.person for match in small.match(query, 30)}
    assert np.array_equal(small.recall(first.id, mine).code.bits, query.code.bits)
    with pytest.raises(GalleryError, match="visit that has ended"):
        small.recall(first.id)
    at_16 = small.match(query, 40, bits=16, session=mine)
    assert at_16[0].distance == 0
    assert len(at_16) == 31


def test_an_entry_is_recalled_from_its_thumbnail(small: FaceRetriever) -> None:
    match = small.match(encoded(small.encoder, 8), 1)[0]
    recalled = small.recall(match.id)
    assert np.array_equal(recalled.code.bits, encoded(small.encoder, 8).code.bits)
    assert np.array_equal(recalled.mask, encoded(small.encoder, 8).mask)
    assert np.array_equal(recalled.face.landmarks, TEMPLATE)
    with pytest.raises(GalleryError):
        small.recall(12345)


def test_comparing_counts_different_bits(small: FaceRetriever) -> None:
    a, b = encoded(small.encoder, 1), encoded(small.encoder, 2)
    for bits in small.lengths:
        found = small.compare(a, b, bits)
        assert found.distance == int((a.code.bits[:bits] != b.code.bits[:bits]).sum())
        assert found.threshold == small.threshold(bits)
        assert found.same_person == (found.distance <= found.threshold)
        assert found.probability == small.probability(found.distance, bits)
    assert small.compare(a, a).distance == 0
    assert small.compare(a, a).same_person is True


def test_without_a_calibration_nothing_is_claimed(tmp_path: Path, detector: FaceDetector) -> None:
    encoder = ProjectionEncoder(calibrated=False)
    with Gallery.open(tmp_path / "g", encoder) as gallery:
        gallery.add("a", "x", encoded(encoder, 1))
        retriever = FaceRetriever(detector, encoder, gallery)
        (match,) = retriever.match(encoded(encoder, 1))
        assert (match.probability, match.same_person) == (None, None)
        assert retriever.threshold(128) is None
        found = retriever.compare(encoded(encoder, 1), encoded(encoder, 2))
        assert (found.probability, found.same_person, found.threshold) == (None, None, None)


def test_wrong_arguments_say_what_is_right(small: FaceRetriever) -> None:
    query = encoded(small.encoder, 1)
    with pytest.raises(ConfigError, match="16, 24, 32, 48, 64, 96, 128, got 20"):
        small.match(query, bits=20)
    with pytest.raises(ConfigError, match="at least 1"):
        small.match(query, k=0)
    with pytest.raises(ConfigError, match="'model', 'off' or a mask"):
        small.encode([face(1)], "on")
    for mask in (np.zeros((10, 12)), np.full((224, 224), 2.0), np.full((224, 224), np.nan)):
        with pytest.raises(ValueError, match="painted mask"):
            small.encode([face(1)], mask)


def test_a_gallery_of_another_model_is_refused(small: FaceRetriever) -> None:
    with pytest.raises(GalleryError, match=r"0{12}.*1{12}"):
        FaceRetriever(small.detector, ProjectionEncoder(1), small.gallery)


def test_an_empty_gallery_has_no_matches(
    tmp_path: Path, detector: FaceDetector, fake_encoder: ProjectionEncoder
) -> None:
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        retriever = FaceRetriever(detector, fake_encoder, gallery)
        assert retriever.match(encoded(fake_encoder, 1)) == ()


def test_a_search_reports_its_steps(small: FaceRetriever, astronaut: np.ndarray) -> None:
    steps: list[tuple[float, str]] = []
    result = small.search(astronaut, k=5, progress=lambda share, text: steps.append((share, text)))
    assert [text for _, text in steps[:3]] == ["Finding faces", "Encoding", "Searching 30 codes"]
    assert [share for share, _ in steps] == sorted(share for share, _ in steps)
    assert set(result.seconds) == {"detect", "encode", "search"}
    assert len(result.faces[0].matches) == 5
    nothing = small.search(np.full((200, 200, 3), 127, np.uint8))
    assert nothing.faces == ()


def test_a_large_photo_has_its_faces_in_its_own_pixels(
    small: FaceRetriever, astronaut: np.ndarray
) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((2560, 2560), Image.Resampling.BICUBIC))
    (plain, *_), (found, *_) = small.detect(astronaut), small.detect(large)
    assert found.box == pytest.approx(5 * plain.box, abs=40)
    assert found.landmarks == pytest.approx(5 * plain.landmarks, abs=15)
    corners = found.landmarks @ found.matrix[:, :2].T + found.matrix[:, 2]
    assert corners == pytest.approx(TEMPLATE, abs=11)
    assert found.aligned.astype(int) == pytest.approx(plain.aligned.astype(int), abs=90)
    assert np.abs(found.aligned.astype(int) - plain.aligned).mean() < 8


def test_photo_10_of_each_person_finds_its_person_first(
    retriever: FaceRetriever, orl_photos: list
) -> None:
    first = {}
    for photo in orl_photos:
        if photo.name.endswith("/10"):
            result = retriever.search(photo.rgb, k=1)
            first[photo.person] = result.faces[0].matches[0].person if result.faces else None
    assert len(first) == 40
    assert sum(person == found for person, found in first.items()) >= 38, first


def test_a_stranger_is_within_nobodys_threshold(
    retriever: FaceRetriever, astronaut: np.ndarray
) -> None:
    result = retriever.search(astronaut, k=3, bits=128)
    assert not any(match.same_person for match in result.faces[0].matches)


def test_a_face_has_one_code_alone_and_in_a_batch(
    retriever: FaceRetriever, orl_photos: list
) -> None:
    faces = [found[0] for p in orl_photos[:45:3] if (found := retriever.detect(p.rgb))]
    together = retriever.encode(faces)
    for one, alone in zip(together, (retriever.encode([f])[0] for f in faces), strict=True):
        assert np.array_equal(one.code.logits, alone.code.logits)
        assert np.array_equal(one.mask, alone.mask)


#: How pixels must be stored so that the EXIF orientation turns them upright.
STORED = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def test_all_eight_orientations_give_the_same_code(
    retriever: FaceRetriever, astronaut: np.ndarray
) -> None:
    wide = astronaut[:300]  # not square, so that no turn passes unseen
    upright = retriever.encode(retriever.detect(wide)[:1])[0]
    for orientation in range(1, 9):
        image = Image.fromarray(wide)
        if orientation in STORED:
            image = image.transpose(STORED[orientation])
        exif = Image.Exif()
        exif[0x0112] = orientation
        file = io.BytesIO()
        image.save(file, "PNG", exif=exif)
        rgb = images.read_image(file.getvalue())
        again = retriever.encode(retriever.detect(rgb)[:1])[0]
        assert np.array_equal(again.code.logits, upright.code.logits), orientation


def test_a_painted_mask_decides_the_code(retriever: FaceRetriever, astronaut: np.ndarray) -> None:
    faces = retriever.detect(astronaut)[:1]
    eyes = np.zeros((224, 224), np.float32)
    eyes[80:128] = 1
    model, off, painted, blind = (
        retriever.encode(faces, attention)[0]
        for attention in ("model", "off", eyes, np.zeros_like(eyes))
    )
    grid = retriever.encoder.grid
    cells = eyes.reshape(grid, 224 // grid, grid, 224 // grid).mean((1, 3))
    np.testing.assert_allclose(painted.mask, cells, atol=1e-6)
    assert np.array_equal(retriever.encode(faces, painted.mask)[0].code.logits, painted.code.logits)
    assert (off.mask == 1).all()
    assert model.mask.std() > 0
    codes = {one.code.bits.tobytes() for one in (model, off, painted, blind)}
    assert len(codes) == 4  # where the network may look changes what it makes of the same face


def test_gallery_codes_are_those_of_their_thumbnails(
    retriever: FaceRetriever, orl_build: tuple[Gallery, BuildReport]
) -> None:
    gallery = orl_build[0]
    ids = np.array([entry.id for entry in gallery.entries("s7")])
    stored = gallery.store.get(ids).codes
    again = [retriever.recall(int(id_)).code.bits for id_ in ids]
    assert np.array_equal(codes.pack(np.stack(again)), stored)


def test_encoding_an_empty_list_is_empty(retriever: FaceRetriever) -> None:
    assert retriever.encode([]) == []
    assert models_encoder.encode(retriever.encoder, [], np.ones((224, 224))) == []
