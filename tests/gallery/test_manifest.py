"""Listings: folders and manifests, and what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from daah.errors import DataError
from daah.gallery import manifest as gallery_manifest


def test_listings_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder or manifest"):
        gallery_manifest.listing(tmp_path / "none")
    with pytest.raises(DataError, match="no such photo or folder"):
        gallery_manifest.listing(tmp_path / "none", "Ann")
    (tmp_path / "m.txt").write_text("x")
    with pytest.raises(DataError, match=r"\.csv or a \.parquet"):
        gallery_manifest.listing(tmp_path / "m.txt")
    (tmp_path / "m.csv").write_text("name,file\na,b\n")
    with pytest.raises(DataError, match="'person', 'photo'"):
        gallery_manifest.listing(tmp_path / "m.csv")
    (tmp_path / "b.csv").write_bytes(b"person,photo\n\xff\xfe,b\n")
    with pytest.raises(DataError, match="UTF-8"):
        gallery_manifest.listing(tmp_path / "b.csv")
    (tmp_path / "m.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DataError, match="Parquet"):
        gallery_manifest.listing(tmp_path / "m.parquet")
