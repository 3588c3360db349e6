"""Copies and exports."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah import gallery as galleries
from daah.errors import DataError, GalleryError
from daah.gallery import Gallery
from tests.doubles.encoder import ProjectionEncoder

PEOPLE = ("Ada", "Björn", "Chandra", "Дарья")


def test_copying_keeps_entries_faces_and_map(
    filled: Gallery, tmp_path: Path, fake_encoder: ProjectionEncoder
) -> None:
    filled.draw_map()
    filled.describe(source="orl", credit="somebody")
    with Gallery.open(tmp_path / "copy", filled.model) as target:
        assert galleries.copy(filled, target) == 12
        assert list(target.entries()) == list(filled.entries())
        assert galleries.verify(target, fake_encoder).ok
        assert np.array_equal(target.map().xy, filled.map().xy)
        assert (target.provenance.source, target.provenance.credit) == ("orl", "somebody")
        assert galleries.copy(filled, target) == 12
        assert target.count() == 12


def test_copying_between_models_is_refused(filled: Gallery, tmp_path: Path) -> None:
    with (
        Gallery.open(tmp_path / "other", ProjectionEncoder(1)) as target,
        pytest.raises(GalleryError, match="different models"),
    ):
        galleries.copy(filled, target)


def test_exports_hold_every_entry(filled: Gallery, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    text = io.StringIO()
    assert galleries.export_jsonl(filled, text) == 12
    lines = [json.loads(line) for line in text.getvalue().splitlines()]
    assert [line["id"] for line in lines] == [str(entry.id) for entry in filled.entries()]
    rows = next(filled.store.scan())
    assert np.array_equal(codes.from_hex(lines[5]["code"]), rows.codes[5])
    assert galleries.export_parquet(filled, tmp_path / "g.parquet") == 12
    rows = pq.read_table(tmp_path / "g.parquet").to_pylist()
    assert [row | {"id": str(row["id"])} for row in rows] == lines
    with pytest.raises(DataError, match="cannot be written"):
        galleries.export_parquet(filled, tmp_path / "no" / "g.parquet")
