"""The shipped portraits: what is there, and codes that are taken for no other faces or model."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.data.portraits import (
    CODES,
    FACES,
    PEOPLE,
    PortraitCodes,
    load_portraits,
    read_codes,
    write_codes,
)
from daah.errors import DataError
from daah.models.encoder import FaceEncoder
from daah.paths import PATHS
from daah.types import ALIGNED_SIZE


def test_every_person_has_a_name_and_an_aligned_face() -> None:
    portraits = load_portraits()
    assert len(portraits) == 696
    ids = [portrait.id for portrait in portraits]
    assert ids == sorted(set(ids))
    assert all(re.fullmatch(r"[A-Z]\d{6}", id_) for id_ in ids)  # of the Biographical Directory
    assert portraits[0].name == "Gary L. Ackerman"
    assert portraits[0].photo == "A000022.jpg"
    assert {portrait.path for portrait in portraits} == set((PATHS.portraits / FACES).glob("*.jpg"))
    for portrait in portraits[::50]:
        with Image.open(io.BytesIO(portrait.read())) as image:
            assert image.size == (ALIGNED_SIZE, ALIGNED_SIZE)


def test_the_shipped_codes_are_of_the_shipped_checkpoint_and_faces(encoder: FaceEncoder) -> None:
    files = [portrait.read() for portrait in load_portraits()]
    codes = read_codes(files, encoder.fingerprint)
    assert codes is not None, "run: python -m scripts.build_portraits"
    assert codes.logits.shape == (696, encoder.bits)
    some = np.stack([np.array(Image.open(io.BytesIO(file))) for file in files[:3]])
    np.testing.assert_allclose(encoder.encode(some)[0], codes.logits[:3], rtol=1e-2, atol=1e-2)
    assert codes.xy.min() >= 0
    assert codes.xy.max() <= 1


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A folder of two portraits."""
    (tmp_path / FACES).mkdir()
    (tmp_path / PEOPLE).write_text("id,name\nB000002,Björn\nA000001,Ada\n", encoding="utf-8")
    for id_ in ("A000001", "B000002"):
        (tmp_path / FACES / f"{id_}.jpg").write_bytes(id_.encode())
    return tmp_path


def test_codes_are_taken_for_the_faces_and_the_model_that_they_are_of(two: Path) -> None:
    portraits = load_portraits(two)
    assert [(p.id, p.name) for p in portraits] == [("A000001", "Ada"), ("B000002", "Björn")]
    files = [portrait.read() for portrait in portraits]
    made = PortraitCodes(np.ones((2, 8), np.float32), np.zeros((2, 2), np.float32))
    write_codes(two, files, "f" * 64, made)
    read = read_codes(files, "f" * 64, two)
    assert np.array_equal(read.logits, made.logits)
    assert np.array_equal(read.xy, made.xy)
    assert read_codes(files, "e" * 64, two) is None
    assert read_codes([files[0], b"another face"], "f" * 64, two) is None
    assert read_codes(files[:1], "f" * 64, two) is None
    for damaged in (b"", b"text", (two / CODES).read_bytes()[:200]):
        (two / CODES).write_bytes(damaged)
        assert read_codes(files, "f" * 64, two) is None
    (two / CODES).unlink()
    assert read_codes(files, "f" * 64, two) is None


@pytest.mark.parametrize("content", [None, "id,who\nA,B\n", '"\0'])
def test_what_is_missing_is_named(two: Path, content: str | None) -> None:
    (two / FACES / "A000001.jpg").unlink()
    with pytest.raises(DataError, match=r"A000001\.jpg is missing; restore it"):
        load_portraits(two)[0].read()
    if content is None:
        shutil.rmtree(two)
    else:
        (two / PEOPLE).write_text(content)
    with pytest.raises(DataError, match=r"people\.csv is missing or damaged"):
        load_portraits(two)
