"""Building a gallery from a collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah.detection.detector import FaceDetector
from daah.errors import DataError, GalleryError
from daah.gallery import Gallery, build, enrol
from tests.doubles.encoder import ProjectionEncoder


def _tree(folder: Path, photos: dict[str, np.ndarray | bytes]) -> Path:
    for name, photo in photos.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(photo, bytes):
            path.write_bytes(photo)
        else:
            Image.fromarray(photo).save(path)
    return folder


def test_building_from_a_folder_reports_and_goes_on(
    tmp_path: Path,
    orl_photos: list,
    astronaut: np.ndarray,
    detector: FaceDetector,
    fake_encoder: ProjectionEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(enrol, "WRITE_BATCH", 2)
    few = {f"{p.name}.png": p.rgb for p in orl_photos[:3]}
    grey = np.full((90, 90, 3), 128, np.uint8)
    tree = _tree(
        tmp_path / "tree",
        {**few, "eileen/a.png": astronaut, "eileen/none.png": grey, "eileen/cut.jpg": b"\xff\xd8"},
    )
    seen: list[tuple[int, int]] = []
    gallery = Gallery.open(tmp_path / "g", fake_encoder)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int, text: str) -> None:
        if done >= 4:
            raise Stopped

    with pytest.raises(Stopped):
        build(gallery, tree, detector, fake_encoder, stop)
    gallery.close()
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        with pytest.raises(GalleryError, match="interrupted"):
            gallery.require_complete()
        report = build(
            gallery, tree, detector, fake_encoder, lambda done, total, _: seen.append((done, total))
        )
        gallery.require_complete()
        assert (report.added, report.present) == (2, 2)
        assert sorted(name for name, _ in report.skipped) == ["eileen/cut.jpg", "eileen/none.png"]
        assert dict(report.skipped)["eileen/none.png"] == "no face found"
        assert seen[-1] == (6, 6)
        assert gallery.people() == {"eileen": 1, "s1": 3}
        assert (gallery.provenance.source, gallery.provenance.photos) == ("tree", 4)
        assert gallery.map().ids.size == 4
        again = build(gallery, tree, detector, fake_encoder)
        assert (again.added, again.present) == (0, 4)
        with pytest.raises(GalleryError, match="holds tree"):
            build(gallery, "orl", detector, fake_encoder)


def test_a_source_that_is_not_there_leaves_no_gallery_half_built(
    tmp_path: Path, detector: FaceDetector, fake_encoder: ProjectionEncoder
) -> None:
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        with pytest.raises(DataError):
            build(gallery, tmp_path / "missing", detector, fake_encoder)
        gallery.require_complete()
