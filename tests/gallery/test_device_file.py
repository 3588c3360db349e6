"""Faces that a browser exported: what is read of a file, and what is refused with which words."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.errors import DataError
from daah.gallery import Gallery
from daah.gallery.device_file import LONGEST_LINE, import_faces, read_faces
from tests.doubles.encoder import ProjectionEncoder

HEAD = {"format": "daah faces", "version": 1}


def jpeg(value: int, side: int = 224) -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (value, 60, 90)).save(buffer, "JPEG", quality=95)
    return base64.b64encode(buffer.getvalue()).decode()


def face(person: str, photo: str, value: int = 120) -> dict[str, str]:
    return {"person": person, "photo": photo, "face": jpeg(value)}


def write(path: Path, *lines: object) -> Path:
    texts = (line if isinstance(line, str) else json.dumps(line) for line in lines)
    path.write_text("\n".join(texts) + "\n")
    return path


def test_faces_come_in_the_order_of_the_file(tmp_path: Path) -> None:
    path = write(tmp_path / "p.jsonl", HEAD, face("Ada", "1.jpg"), "", face(" Bo ", "2.jpg", 200))
    ada, bo = read_faces(path)
    assert (ada.person, ada.photo, bo.person) == ("Ada", "1.jpg", "Bo")
    assert abs(int(bo.aligned[0, 0, 0]) - 200) < 6
    assert bo.aligned.shape == (224, 224, 3)


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["no JSON"], "line 1: not a JSON object"),
        ([{"format": "other", "version": 1}], "first line should be"),
        ([{"format": "daah faces", "version": 2}], "first line should be"),
        ([HEAD, "[" * 100_000], "line 2: not a JSON object"),
        ([HEAD, {"person": "Ada", "photo": "1.jpg"}], "line 2: lacks a person, a photo or a face"),
        ([HEAD, face("Ada", "1.jpg") | {"face": "?"}], "line 2: the face is not base64"),
        ([HEAD, face("Ada", "1.jpg") | {"face": "AAAA"}], "line 2: "),
        ([HEAD, face("Ada", "1.jpg") | {"face": jpeg(9, 100)}], "100x100 pixels, expected 224"),
        ([HEAD, face("Ada", "1.jpg") | {"face": jpeg(9, 300)}], "line 2: "),
        ([HEAD, face(" ", "1.jpg")], "line 2: The person needs a name"),
        ([HEAD, face("a" * 201, "1.jpg")], "line 2: The person's name is longer than 200"),
        ([HEAD, face("Ada", "1.jpg") | {"more": "a" * LONGEST_LINE}], "line 2: longer than 2 MB"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, lines: list, words: str) -> None:
    with pytest.raises(DataError) as caught:
        list(read_faces(write(tmp_path / "p.jsonl", *lines)))
    assert words in str(caught.value)
    assert str(tmp_path) not in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"people\.jsonl cannot be read"):
        list(read_faces(tmp_path / "people.jsonl"))


def test_an_import_goes_on_where_a_wrong_line_stopped_it(
    tmp_path: Path, fake_encoder: ProjectionEncoder
) -> None:
    path = write(tmp_path / "p.jsonl", HEAD, face("Ada", "1.jpg"), "no JSON")
    with Gallery.open(tmp_path / "gallery", fake_encoder) as gallery:
        with pytest.raises(DataError, match="line 3"):
            import_faces(gallery, path, fake_encoder)
        assert gallery.people() == {"Ada": 1}
        write(path, HEAD, face("Ada", "1.jpg"), face("Bo", "1.jpg", 20), face("Bo", "1.jpg", 20))
        report = import_faces(gallery, path, fake_encoder)
        assert (report.seen, report.added, report.present) == (3, 1, 2)
        assert gallery.people() == {"Ada": 1, "Bo": 1}
        (entry,) = gallery.entries("Bo")
        stored = gallery.thumbnail(entry.id)
        (again,) = gallery.rows([entry.id]).codes
    logits, _ = fake_encoder.encode(stored[None])
    assert np.array_equal(again, np.packbits(logits[0] > 0))
