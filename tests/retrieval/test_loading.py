"""What the app and the command line start with."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from daah.detection.detector import FaceDetector
from daah.errors import CheckpointError, GalleryError
from daah.gallery import BuildReport, Gallery, build, renew, verify
from daah.models.encoder import FaceEncoder
from daah.paths import PATHS
from daah.retrieval import loading
from daah.types import ALIGNMENT
from tests.doubles.encoder import ProjectionEncoder, encoded, face


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


# --- known galleries ------------------------------------------------------------------------------


@pytest.fixture
def known(
    tmp_path: Path, orl_photos: list, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], None]:
    """Few photos in every collection, in folders of this test; chooses the default gallery."""
    few = [photo for photo in orl_photos if photo.person in ("s1", "s2")]
    monkeypatch.setattr("daah.data.sources.orl", lambda: iter(few))
    monkeypatch.setattr(loading, "load_default_encoder", lambda *_: ProjectionEncoder(0))
    portraits = tmp_path / "portraits"
    (portraits / "faces").mkdir(parents=True)
    (portraits / "people.csv").write_text("id,name\nA000001,Ada\n")
    Image.fromarray(face(1).aligned).save(portraits / "faces" / "A000001.jpg")
    galleries = tmp_path / "galleries"
    paths = dataclasses.replace(PATHS, portraits=portraits, galleries=galleries)
    for module in ("daah.data.portraits", "daah.gallery.location"):
        monkeypatch.setattr(f"{module}.PATHS", paths)

    def choose(name: str) -> None:
        monkeypatch.setattr(loading, "DEFAULT_GALLERY", galleries / name)

    choose("congress")
    return choose


def test_a_known_gallery_is_chosen_by_its_name(
    known: Callable[[str], None], tmp_path: Path
) -> None:
    for _ in range(2):
        with loading.load_retriever().gallery as default:
            assert default.people() == {"A000001": 1}
            assert default.folder == tmp_path / "galleries" / "congress"
        with loading.load_retriever(gallery="orl", read_only=True).gallery as orl:
            assert orl.people() == {"s1": 8, "s2": 8}
            assert orl.folder == tmp_path / "galleries" / "orl"
    known("orl")
    with loading.load_retriever().gallery as default:
        assert default.name == "orl"
    with loading.load_retriever(gallery="congress").gallery as congress:
        assert congress.find_people()[0].name == "Ada"
    with pytest.raises(GalleryError, match="no gallery lfw"):  # not without being asked
        loading.load_retriever(gallery="lfw")


def test_a_page_does_not_wait_for_a_gallery_that_takes_long(
    known: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, orl_photos: list
) -> None:
    for photo in orl_photos[:3]:
        path = tmp_path / "lfw_funneled" / photo.person / f"{photo.name.replace('/', '-')}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(photo.rgb).save(path)
    monkeypatch.setattr("daah.data.sources.lfw", lambda **_: tmp_path / "lfw_funneled")
    retriever, awaited = loading.load_for_page()
    assert (retriever.gallery.name, awaited) == ("congress", None)
    retriever.gallery.close()
    known("lfw")
    steps: list[str] = []
    for read_only in (True, False):
        retriever, awaited = loading.load_for_page(read_only=read_only)
        retriever.gallery.close()
        if read_only:
            assert retriever.gallery.name == "congress"
            with awaited.build(lambda share, text: steps.append(text)) as built:
                assert built.people() == {"s1": 3}
                assert built.read_only
                assert built.provenance.complete
            assert any(text.startswith("Building the gallery") for text in steps)
        else:  # it is there by now
            assert (retriever.gallery.name, awaited) == ("lfw", None)
    monkeypatch.setattr(loading, "load_default_encoder", lambda *_: ProjectionEncoder(1))
    retriever, awaited = loading.load_for_page(read_only=True)
    assert retriever.gallery.name == "congress"  # another model has to encode it again
    retriever.gallery.close()
    with awaited.build(lambda *_: None) as renewed:
        assert renewed.people() == {"s1": 3}


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
