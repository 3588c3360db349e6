"""The runtime for browsers: the files are those of the package that the script names."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest

from scripts import vendor_onnxruntime as script


def package(path: Path, **contents: bytes) -> Path:
    """An npm package with these files in its dist folder."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in contents.items():
            member = tarfile.TarInfo(f"package/dist/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def test_the_committed_files_are_those_of_the_description() -> None:
    described = json.loads((script.OUT / "package.json").read_text())
    assert (described["package"], described["version"]) == (script.NAME, script.VERSION)
    assert described["integrity"] == script.INTEGRITY
    held = {
        script.MODULE: (script.OUT / script.MODULE).read_bytes(),
        script.BINARY: gzip.decompress((script.OUT / f"{script.BINARY}.gz").read_bytes()),
    }
    assert {name: hashlib.sha256(data).hexdigest() for name, data in held.items()} == described[
        "sha256"
    ]
    assert script.VERSION.encode() in held[script.MODULE][:200]
    assert "MIT License" in (script.OUT / "LICENSE").read_text()


def test_files_are_taken_out_of_the_expected_package_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = package(tmp_path / "p.tgz", **{script.MODULE: b"module", script.BINARY: b"binary"})
    with pytest.raises(script.VendorError, match="has the checksum sha512-"):
        script.vendor(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    monkeypatch.setattr(script, "INTEGRITY", script.integrity(made.read_bytes()))
    script.vendor(made, tmp_path / "out")
    assert (tmp_path / "out" / script.MODULE).read_bytes() == b"module"
    packed = (tmp_path / "out" / f"{script.BINARY}.gz").read_bytes()
    assert gzip.decompress(packed) == b"binary"


def test_npms_absence_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script.shutil, "which", lambda _: None)
    with pytest.raises(script.VendorError, match="npm is missing"):
        script.fetch(tmp_path)
