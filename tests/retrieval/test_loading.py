"""What the app and the command line start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from daah.detection.detector import FaceDetector
from daah.errors import CheckpointError, GalleryError
from daah.gallery import BuildReport, Gallery, verify
from daah.models.encoder import FaceEncoder
from daah.retrieval import loading
from tests.doubles.encoder import ProjectionEncoder, encoded


def test_the_default_gallery_is_built_finished_and_renewed(
    tmp_path: Path,
    detector: FaceDetector,
    orl_photos: list,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    few = [photo for photo in orl_photos if photo.person in ("s1", "s2")]
    monkeypatch.setattr("daah.data.sources.orl", lambda: iter(few))
    monkeypatch.setattr(loading, "DEFAULT_GALLERY", tmp_path / "orl")
    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint: ProjectionEncoder(0))
    steps: list[str] = []
    built = loading.load_retriever(progress=lambda share, text: steps.append(text))
    assert built.gallery.people() == {"s1": 8, "s2": 8}
    assert any(text.startswith("Building the gallery") for text in steps)
    built.gallery.add("Eve", "eve", encoded(built.encoder, 5))
    built.gallery.describe(complete=False)
    built.gallery.close()

    steps.clear()
    finished = loading.load_retriever(progress=lambda share, text: steps.append(text))
    assert finished.gallery.provenance.complete
    finished.gallery.close()

    steps.clear()
    again = loading.load_retriever(progress=lambda share, text: steps.append(text), read_only=True)
    assert again.gallery.read_only
    assert not any(text.startswith("Building") for text in steps)
    again.gallery.close()

    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint: ProjectionEncoder(1))
    renewed = loading.load_retriever(progress=lambda share, text: steps.append(text))
    assert "Encoding the gallery again" in steps
    assert renewed.gallery.people() == {"Eve": 1, "s1": 8, "s2": 8}
    assert verify(renewed.gallery, renewed.encoder).ok
    renewed.gallery.close()


def test_a_named_gallery_must_be_there_and_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint: ProjectionEncoder(0))
    with pytest.raises(GalleryError, match="no gallery mine"):
        loading.load_retriever(gallery=str(tmp_path / "mine"))
    assert not (tmp_path / "mine").exists()
    with Gallery.open(tmp_path / "mine", ProjectionEncoder(0)) as gallery:
        gallery.describe(complete=False)
    with pytest.raises(GalleryError, match="interrupted"):
        loading.load_retriever(gallery=str(tmp_path / "mine"))


def test_a_missing_model_is_a_named_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "DEFAULT_CHECKPOINT", tmp_path / "demo.safetensors")
    with pytest.raises(CheckpointError, match="missing"):
        loading.load_retriever()
    with pytest.raises(CheckpointError):
        loading.load_retriever(tmp_path / "other.safetensors")


# --- with the shipped model -----------------------------------------------------------------------


def test_the_built_in_gallery_is_quick_and_whole(
    orl_build: tuple[Gallery, BuildReport], encoder: FaceEncoder
) -> None:
    gallery, report = orl_build
    assert report.added + len(report.skipped) == 320
    assert report.added >= 316
    assert set(gallery.people()) == {f"s{n}" for n in range(1, 41)}
    assert not [e for e in gallery.entries() if e.photo.rsplit("/")[-1] in ("9", "10")]
    assert gallery.provenance.source == "orl"
    assert "AT&T" in gallery.provenance.credit
    assert gallery.map().ids.size == report.added
