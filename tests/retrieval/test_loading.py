"""What the app and the command line start with."""

from __future__ import annotations

from pathlib import Path

import pytest

from daah.detection.detector import FaceDetector
from daah.errors import CheckpointError, GalleryError
from daah.gallery import BuildReport, Gallery, build, renew, verify
from daah.models.encoder import FaceEncoder
from daah.retrieval import loading
from daah.types import ALIGNMENT
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


OLD = "mtcnn5-150-v1"


@pytest.fixture
def one_person(tmp_path: Path, orl_photos: list, monkeypatch: pytest.MonkeyPatch) -> None:
    """A built-in collection of one person, its gallery in a folder of its own, and a new model."""
    few = [photo for photo in orl_photos if photo.person == "s1"]
    monkeypatch.setattr("daah.data.sources.orl", lambda: iter(few))
    monkeypatch.setattr(loading, "DEFAULT_GALLERY", tmp_path / "orl")
    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint: ProjectionEncoder(0))


def aligned_otherwise(
    monkeypatch: pytest.MonkeyPatch, folder: Path, detector: FaceDetector, source: str
) -> Gallery:
    """A gallery as a version made it that aligned faces in another way, by another model."""
    with monkeypatch.context() as older:
        older.setattr("daah.gallery.location.ALIGNMENT", OLD)
        gallery = Gallery.open(folder, ProjectionEncoder(1), source=source)
    build(gallery, source, detector, ProjectionEncoder(1))
    assert gallery.provenance.alignment == OLD
    return gallery


@pytest.mark.usefixtures("one_person")
def test_a_built_in_gallery_that_is_aligned_otherwise_is_built_again(
    tmp_path: Path, detector: FaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned_otherwise(monkeypatch, tmp_path / "orl", detector, "orl").close()
    steps: list[str] = []
    for read_only in (True, False):
        built = loading.load_retriever(
            progress=lambda share, text: steps.append(text), read_only=read_only
        )
        assert built.gallery.provenance.alignment == ALIGNMENT
        assert built.gallery.people() == {"s1": 8}
        assert verify(built.gallery, built.encoder).ok
        built.gallery.close()
        assert any(text.startswith("Building the gallery") for text in steps) == read_only
        steps.clear()


@pytest.mark.usefixtures("one_person")
def test_faces_that_were_added_are_not_deleted_with_an_outdated_gallery(
    tmp_path: Path, detector: FaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    with aligned_otherwise(monkeypatch, tmp_path / "orl", detector, "orl") as old:
        id_ = old.add("Eve", "eve", encoded(ProjectionEncoder(1), 5))
    with pytest.raises(GalleryError, match=rf"{OLD}.*1 of its faces were added.*gallery add SRC"):
        loading.load_retriever()
    assert (tmp_path / "orl" / "faces" / f"{id_ % 256:02x}" / f"{id_}.png").is_file()


@pytest.mark.usefixtures("one_person")
def test_another_gallery_that_is_aligned_otherwise_says_what_to_do(
    tmp_path: Path, detector: FaceDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    aligned_otherwise(monkeypatch, tmp_path / "mine", detector, "orl").close()
    before = sorted((tmp_path / "mine").rglob("*.png"))
    with pytest.raises(GalleryError, match=rf"mine are aligned as {OLD}.*gallery build SRC"):
        loading.load_retriever(gallery=str(tmp_path / "mine"))
    with pytest.raises(GalleryError, match=rf"mine are aligned as {OLD}.*gallery build SRC"):
        renew(tmp_path / "mine", ProjectionEncoder(0))
    assert sorted((tmp_path / "mine").rglob("*.png")) == before
    assert len(before) == 8


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
    monkeypatch.setattr(loading, "DEFAULT_CHECKPOINT", tmp_path / "demo.onnx")
    with pytest.raises(CheckpointError, match="missing"):
        loading.load_retriever()
    with pytest.raises(CheckpointError):
        loading.load_retriever(tmp_path / "other.onnx")


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
