"""The script that makes the portraits and the examples, on a few photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.data.portraits import CODES, FACES, load_portraits, read_codes
from daah.data.sources import Photo
from daah.errors import DataError
from daah.models.encoder import FaceEncoder
from scripts import build_portraits

IDS = ("A000001", "B000002", "C000003")


@pytest.fixture
def source(tmp_path: Path, orl_photos: list[Photo], monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two photos each of three people, as the original portraits are stored."""
    folder = tmp_path / "source"
    photos = {photo.name: photo.rgb for photo in orl_photos}
    for kind, number in (("gallery", 1), ("queries", 2)):
        (folder / kind).mkdir(parents=True)
        for person, id_ in enumerate(IDS, 1):
            picture = Image.fromarray(photos[f"s{person}/{number}"])
            picture.save(folder / kind / f"{id_}.jpg", quality=95)
    rows = "".join(f"{id_},Person {id_},yes\n" for id_ in reversed(IDS))
    (folder / "people.csv").write_text(f"id,name,query\n{rows}")
    monkeypatch.setattr(build_portraits, "SECOND", {"another-year.jpg": IDS[0]})
    monkeypatch.setattr(build_portraits, "FIRST", {"years-older.jpg": IDS[0]})
    monkeypatch.setattr(build_portraits, "GROUP", (*IDS, *IDS[:2]))
    return folder


def test_portraits_codes_and_examples_are_made_from_the_photos(
    source: Path, tmp_path: Path, encoder: FaceEncoder
) -> None:
    out = tmp_path / "out"
    build_portraits.main([str(source), "--out", str(out)])
    portraits = load_portraits(out / "portraits")
    assert [(p.id, p.name) for p in portraits] == [(id_, f"Person {id_}") for id_ in IDS]
    files = [portrait.read() for portrait in portraits]
    made = read_codes(files, encoder.fingerprint, out / "portraits")
    aligned = np.stack([np.array(Image.open(portrait.path)) for portrait in portraits])
    assert np.array_equal(encoder.encode(aligned)[0], made.logits)
    assert {path.name for path in (out / "examples").iterdir()} == {
        "another-year.jpg", "years-older.jpg", "group.jpg", "not-in-the-gallery.jpg", "no-face.jpg",
    }  # fmt: skip
    with Image.open(out / "examples" / "another-year.jpg") as picture:
        assert picture.size == (184, 224)  # twice as large as ORL's photos

    # Codes alone, after a new model.
    (out / "portraits" / CODES).unlink()
    for path in out.rglob("*.jpg"):
        path.chmod(0o444)
    build_portraits.main(["--out", str(out)])
    again = read_codes(files, encoder.fingerprint, out / "portraits")
    assert np.array_equal(again.logits, made.logits)
    assert np.array_equal(again.xy, made.xy)


def test_a_portrait_without_a_face_is_named(source: Path, tmp_path: Path) -> None:
    Image.new("RGB", (225, 275)).save(source / "gallery" / f"{IDS[1]}.jpg")
    with pytest.raises(DataError, match=rf"Person {IDS[1]} \({IDS[1]}\) has no face"):
        build_portraits.main([str(source), "--out", str(tmp_path / "out")])
    assert not (tmp_path / "out" / "portraits" / FACES / f"{IDS[1]}.jpg").exists()
