"""Galleries with a key: who can open them, what they keep, and another key for them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daah import codes, keys
from daah import gallery as galleries
from daah.detection.detector import FaceDetector
from daah.errors import GalleryError, KeyMismatchError, KeyMissingError
from daah.gallery import Gallery, open_variant, recode, rekey, rekeying, renew
from daah.models.encoder import encode
from daah.models.keyed import KeyedEncoder
from daah.retrieval.retriever import FaceRetriever
from daah.types import EncodedFace
from tests.doubles.encoder import ProjectionEncoder, encoded

SECRET, OTHER = keys.Secret(b"1" * 32), keys.Secret(b"2" * 32)
ENCODER = ProjectionEncoder()


def faces(count: int) -> list[EncodedFace]:
    return [encoded(ENCODER, n) for n in range(count)]


def fill(folder: Path, secret: keys.Secret | None, count: int = 6) -> Gallery:
    gallery = Gallery.open(folder, ENCODER, secret=secret)
    found = encode(gallery.encoder(ENCODER), [face.face for face in faces(count)])
    gallery.add_many([(f"p{n // 2}", f"{n}.jpg", face) for n, face in enumerate(found)])
    return gallery


@pytest.fixture
def keyed(tmp_path: Path) -> Path:
    with fill(tmp_path / "keyed", SECRET) as gallery:
        gallery.draw_map()
    return tmp_path / "keyed"


def stored(folder: Path, secret: keys.Secret | None) -> tuple[np.ndarray, np.ndarray]:
    with Gallery.open(folder, ENCODER, read_only=True, secret=secret) as gallery:
        (rows,) = gallery.store.scan(logits=True)
        return rows.codes, rows.logits


def test_it_is_opened_with_its_key_alone(keyed: Path) -> None:
    for model in (ENCODER, None):
        with pytest.raises(KeyMissingError, match="with its key alone"):
            Gallery.open(keyed, model)
        with pytest.raises(KeyMismatchError, match="another key"):
            Gallery.open(keyed, model, secret=OTHER)
    with Gallery.open(keyed, ENCODER, secret=SECRET) as gallery:
        assert gallery.count() == 6
        assert galleries.verify(gallery, ENCODER).ok


def test_the_environment_names_the_key(
    keyed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.new_key_file(tmp_path / "wrong.key")
    monkeypatch.setenv(keys.KEY_FILE, str(tmp_path / "wrong.key"))
    with pytest.raises(KeyMismatchError):
        Gallery.open(keyed, ENCODER)
    with Gallery.open(tmp_path / "new", ENCODER) as made:
        assert made.key is not None
    with fill(tmp_path / "plain", None) as gallery:
        assert gallery.key is not None
    monkeypatch.delenv(keys.KEY_FILE)
    with pytest.raises(KeyMissingError):
        Gallery.open(tmp_path / "new", ENCODER)


def test_a_gallery_without_a_key_opens_whatever_key_there_is(tmp_path: Path) -> None:
    fill(tmp_path / "plain", None).close()
    assert '"key"' not in (tmp_path / "plain" / "gallery.json").read_text()
    with Gallery.open(tmp_path / "plain", ENCODER, secret=SECRET) as gallery:
        assert gallery.key is None


def test_search_finds_what_it_finds_without_a_key(keyed: Path, tmp_path: Path) -> None:
    fill(tmp_path / "plain", None).close()
    answers = []
    for folder, secret in ((tmp_path / "plain", None), (keyed, SECRET)):
        with Gallery.open(folder, ENCODER, read_only=True, secret=secret) as gallery:
            retriever = FaceRetriever(FaceDetector(), ENCODER, gallery)
            (query,) = retriever.encode([encoded(ENCODER, 99).face])
            answers.append(
                [
                    {(m.id, m.distance) for m in retriever.match(query, 6, bits)}
                    for bits in retriever.lengths
                ]
                + [retriever.quality(query)]
            )
    assert answers[0] == answers[1]


def test_codes_of_two_galleries_of_the_same_secret_differ(keyed: Path, tmp_path: Path) -> None:
    fill(tmp_path / "again", SECRET).close()
    (one, _), (two, _) = stored(keyed, SECRET), stored(tmp_path / "again", SECRET)
    plain = codes.pack(np.stack([face.code.bits for face in faces(6)]))
    for other in (two, plain):
        distance = np.diag(codes.hamming(one, other))
        assert distance.min() >= 40
        assert distance.max() <= 88


def test_neither_secret_nor_code_without_it_is_in_any_file(keyed: Path) -> None:
    with Gallery.open(keyed, ENCODER, secret=SECRET) as gallery:
        assert gallery.key is not None
        hidden = [SECRET.value, gallery.key.master]
        open_variant(gallery, ProjectionEncoder(5, calibrated=False)).close()
        gallery.discard(["p0"])
    for face in faces(6):
        hidden += [codes.pack(face.code.bits).tobytes(), face.code.logits.tobytes()[:16]]
    files = [path for path in keyed.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".json", ".sqlite", ".png", ".npz"}
    for path in files:
        held = path.read_bytes()
        for secret in hidden:
            assert secret not in held
            assert secret.hex().encode() not in held


def test_codes_of_another_model_have_the_key_too(keyed: Path) -> None:
    other = ProjectionEncoder(5, calibrated=False)
    with (
        Gallery.open(keyed, ENCODER, secret=SECRET) as gallery,
        open_variant(gallery, other) as variant,
    ):
        assert variant.store.spec.fingerprint == variant.encoder(other).fingerprint
        assert variant.store.spec.fingerprint != other.fingerprint
        assert galleries.verify(variant, other).ok
        (query,) = encode(variant.encoder(other), [faces(1)[0].face])
        assert FaceRetriever(FaceDetector(), other, variant).match(query, 1)[0].distance == 0


def test_faces_that_were_encoded_for_another_gallery_are_refused(
    keyed: Path, tmp_path: Path
) -> None:
    with Gallery.open(keyed, ENCODER, secret=SECRET) as gallery:
        own = encode(gallery.encoder(ENCODER), [faces(1)[0].face])[0]
        with pytest.raises(GalleryError, match="not encoded for the gallery keyed"):
            gallery.add("p9", "9.jpg", faces(1)[0])
    with (
        Gallery.open(tmp_path / "plain", ENCODER) as gallery,
        pytest.raises(GalleryError, match="not encoded for the gallery plain"),
    ):
        gallery.add("p9", "9.jpg", own)


def test_another_key_makes_other_codes_and_the_old_key_is_not_needed(keyed: Path) -> None:
    before, _ = stored(keyed, SECRET)
    with Gallery.open(keyed, ENCODER, secret=SECRET) as gallery:
        gallery.discard(["p2"])
    rekey(keyed, ENCODER, OTHER)
    with pytest.raises(KeyMismatchError):
        Gallery.open(keyed, ENCODER, secret=SECRET)
    with Gallery.open(keyed, ENCODER, secret=OTHER) as gallery:
        assert gallery.people() == {"p0": 2, "p1": 2}
        assert galleries.verify(gallery, ENCODER).ok
        assert gallery.map() is None
        with pytest.raises(GalleryError, match="nothing to undo"):
            gallery.undo()
    assert not [p for p in keyed.iterdir() if p.name in ("trash", "rekeying.json", "map.npz")]
    held = b"".join(path.read_bytes() for path in keyed.rglob("*") if path.is_file())
    assert not any(code.tobytes() in held for code in before)


def test_the_same_secret_again_makes_other_codes(keyed: Path) -> None:
    before, _ = stored(keyed, SECRET)
    rekey(keyed, ENCODER, SECRET)
    after, _ = stored(keyed, SECRET)
    assert np.diag(codes.hamming(before, after)).min() > 40


def test_a_key_is_given_and_taken_away(tmp_path: Path) -> None:
    fill(tmp_path / "g", None).close()
    plain, logits = stored(tmp_path / "g", None)
    rekey(tmp_path / "g", ENCODER, SECRET)
    assert keys.is_template(stored(tmp_path / "g", SECRET)[1])
    rekey(tmp_path / "g", ENCODER, None)
    back, again = stored(tmp_path / "g", None)
    assert np.array_equal(back, plain)
    assert np.array_equal(again, logits)
    with pytest.raises(GalleryError, match="no key that could be taken away"):
        rekey(tmp_path / "g", ENCODER, None)


@pytest.mark.parametrize("at", ["encoding", "before the switch", "after the switch"])
def test_a_stopped_change_of_the_key_leaves_one_gallery(
    keyed: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    class Stopped(Exception):
        pass

    def stop(*_: object) -> None:
        raise Stopped

    if at == "before the switch":
        monkeypatch.setattr(recode.provenance_file, "write", stop)
    finish = rekeying.finish
    if at == "after the switch":
        monkeypatch.setattr(
            rekeying, "finish", lambda home, uri: stop() if rekeying.pending(home) else None
        )
    with pytest.raises(Stopped):
        rekey(keyed, ENCODER, OTHER, stop if at == "encoding" else None)
    monkeypatch.undo()
    assert rekeying.finish is finish
    assert rekeying.pending(keyed)
    secret = OTHER if at == "after the switch" else SECRET
    with Gallery.open(keyed, ENCODER, secret=secret) as gallery:
        assert galleries.verify(gallery, ENCODER).ok
        assert {p.name for p in keyed.glob("codes-*.sqlite")} == {gallery.provenance.codes}
    assert not rekeying.pending(keyed)
    rekey(keyed, ENCODER, OTHER)
    assert len(stored(keyed, OTHER)[0]) == 6


def test_nobody_changes_the_key_while_somebody_writes(keyed: Path) -> None:
    with (
        Gallery.open(keyed, ENCODER, secret=SECRET),
        pytest.raises(GalleryError, match="another program"),
    ):
        rekey(keyed, ENCODER, OTHER)
    assert not rekeying.pending(keyed)


def test_another_model_takes_the_key_over(keyed: Path) -> None:
    new = ProjectionEncoder(1)
    with pytest.raises(KeyMissingError):
        renew(keyed, new)
    assert renew(keyed, new, secret=SECRET)
    with Gallery.open(keyed, new, secret=SECRET) as gallery:
        assert galleries.verify(gallery, new).ok
        assert isinstance(gallery.encoder(new), KeyedEncoder)


def test_a_copy_has_the_key_of_the_original(keyed: Path, tmp_path: Path) -> None:
    fill(tmp_path / "third", OTHER, 2).close()
    with Gallery.open(keyed, None, read_only=True, secret=SECRET) as gallery:
        with Gallery.open(tmp_path / "copy", gallery.model, secret=SECRET) as copy:
            galleries.copy(gallery, copy)
            assert copy.key == gallery.key
            assert galleries.verify(copy, ENCODER).ok
        with (
            Gallery.open(tmp_path / "third", gallery.model, secret=OTHER) as third,
            pytest.raises(GalleryError, match="different keys"),
        ):
            galleries.copy(gallery, third)


def test_a_damaged_record_of_the_key_is_told(keyed: Path) -> None:
    path = keyed / "gallery.json"
    path.write_text(path.read_text().replace("hkdf:", "hkdf;"))
    with pytest.raises(GalleryError, match="damaged"):
        Gallery.open(keyed, ENCODER, secret=SECRET)
