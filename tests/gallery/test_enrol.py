"""Enrolling in bulk: resumable, idempotent, complete in what it refuses, bounded in memory."""

from __future__ import annotations

import csv
import dataclasses
import functools
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks import bulk as enrolling
from daah.errors import DataError, GalleryError
from daah.gallery import Gallery, enrol, verify
from daah.gallery import manifest as gallery_manifest
from daah.gallery.manifest import Refused
from daah.models.quality import QualityModel
from tests.doubles.encoder import ProjectionEncoder


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, orl_photos: list) -> Path:
    """Three people with three photos each; one photo more without a face, one damaged."""
    folder = tmp_path_factory.mktemp("tree")
    for photo in orl_photos:
        if photo.person in ("s1", "s2", "s3") and int(photo.name.split("/")[-1]) <= 3:
            (folder / photo.person).mkdir(exist_ok=True)
            Image.fromarray(photo.rgb).save(folder / f"{photo.name}.png")
    Image.new("RGB", (92, 112), "grey").save(folder / "s1" / "wall.png")
    (folder / "s2" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    (folder / "s2" / "notes.txt").write_text("not a photo")
    (folder / "stray.png").write_bytes(b"no person's folder")
    return folder


@pytest.fixture
def gallery(tmp_path: Path, fake_encoder: ProjectionEncoder) -> Iterator[Gallery]:
    with Gallery.open(tmp_path / "g", fake_encoder) as opened:
        yield opened


def _add(
    gallery: Gallery, source: Path, shard: tuple[int, int] = (0, 1), **options
) -> enrol.BulkReport:
    photos = gallery_manifest.listing(source).shard(*shard)
    return enrol.add(gallery, photos, ProjectionEncoder(), **{"workers": 0, **options})


def _manifest(path: Path, rows: list[dict[str, object]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def test_a_tree_is_enrolled_and_refusals_are_named(gallery: Gallery, tree: Path) -> None:
    refused: list[Refused] = []
    report = _add(gallery, tree, refused=refused.append)
    assert (report.seen, report.added, report.present, report.refused) == (11, 9, 0, 2)
    assert {what.photo: what.reason for what in refused} == {
        "s1/wall.png": "no face found",
        "s2/cut.jpg": "The photo is damaged or cut off and cannot be read; try another copy of it.",
    }
    assert report.examples == tuple(refused)
    assert gallery.people() == {"s1": 3, "s2": 3, "s3": 3}
    assert verify(gallery, ProjectionEncoder()).ok


def test_the_same_call_again_adds_nothing(gallery: Gallery, tree: Path) -> None:
    _add(gallery, tree)
    generation = gallery.store.generation
    report = _add(gallery, tree)
    assert (report.added, report.present, report.refused) == (0, 9, 2)
    assert gallery.store.generation == generation


def test_a_stopped_run_goes_on(
    gallery: Gallery, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(enrol, "WRITE_BATCH", 2)

    class Stopped(Exception):
        pass

    def stop(done: int, total: int, text: str) -> None:
        if done >= 4:
            raise Stopped

    with pytest.raises(Stopped):
        _add(gallery, tree, progress=stop)
    before = gallery.count()
    assert 0 < before < 9
    report = _add(gallery, tree)
    assert (report.added, report.present) == (9 - before, before)


@pytest.mark.slow
def test_a_manifest_with_broken_files_survives_three_kills(tmp_path: Path) -> None:
    """The manifest of benchmarks/bulk.py, at a size for every day; what is done is written."""
    broken = enrolling.write_manifest(tmp_path, 400, real=False)
    limits = (3, 133, 267)
    tests = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, tests / "gallery" / "killed_add.py", tmp_path, *map(str, limits)],
        capture_output=True,
        text=True,
        cwd=tests.parent,
        env={**os.environ, "PYTHONPATH": str(tests.parent)},
    )
    assert done.returncode == 0, done.stderr
    ends = [tuple(map(int, line.split())) for line in done.stdout.splitlines()]
    assert [left for _, left in ends] == [0, 0, 0]
    for limit, (photos, _) in zip(limits, ends, strict=True):
        assert limit <= photos < limit + 3
    last = enrolling.run(tmp_path, 0, False)
    assert last["seen"] == 400
    # Killed when so many were done, of which the broken ones among the first 267 were refused.
    assert 261 <= last["present"] <= 267
    assert last["present"] + last["added"] == 396
    found = enrolling.outcome(tmp_path, 400, broken, real=False)
    assert len(broken) == len(found["refused_by_reason"]) == 4
    assert found["refusals_exact"]
    assert found["gallery_exact"]
    assert found["ids_exact"]
    assert found["faces_missing_or_damaged"] == 0


def test_a_face_waits_a_second_at_most_and_a_batch_is_never_larger_than_said(
    gallery: Gallery, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[int] = []
    add_many = gallery.add_many
    monkeypatch.setattr(
        gallery, "add_many", lambda rows, *more: (written.append(len(rows)), add_many(rows, *more))
    )
    _add(gallery, tree, clock=lambda: 0.0)
    assert written == [9]
    gallery.remove_many(gallery.people())
    written.clear()
    _add(gallery, tree, clock=iter(np.arange(0, 100, 0.5)).__next__)
    assert sum(written) == 9
    assert max(written) <= 3
    gallery.remove_many(gallery.people())
    written.clear()
    monkeypatch.setattr(enrol, "WRITE_BATCH", 4)
    _add(gallery, tree, clock=lambda: 0.0)
    assert written == [4, 4, 1]


@pytest.mark.slow
def test_worker_processes_give_the_same_gallery(
    gallery: Gallery, tree: Path, tmp_path: Path, fake_encoder: ProjectionEncoder
) -> None:
    _add(gallery, tree)
    seen: list[tuple[int, int, str]] = []
    with Gallery.open(tmp_path / "two", fake_encoder) as other:
        report = _add(other, tree, workers=1, progress=lambda *step: seen.append(step))
        assert (report.added, report.refused) == (9, 2)
        mine, theirs = next(gallery.store.scan()), next(other.store.scan())
        assert np.array_equal(mine.ids, theirs.ids)
        assert np.array_equal(mine.codes, theirs.codes)
    assert seen[-1][:2] == (11, 11)
    assert "photos/s" in seen[-1][2]
    assert "2 refused" in seen[-1][2]


def test_shards_cover_everything_once(gallery: Gallery, tree: Path) -> None:
    reports = [_add(gallery, tree, shard=(index, 3)) for index in range(3)]
    assert [report.seen for report in reports] == [4, 4, 3]
    assert sum(report.added for report in reports) == 9
    assert sum(report.present for report in reports) == 0
    assert gallery.count() == 9
    with pytest.raises(DataError, match="below 3"):
        _add(gallery, tree, shard=(3, 3))


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_manifest_names_people_photos_and_ids(kind: str, gallery: Gallery, tree: Path) -> None:
    rows = [
        {"person": 'Jürgen, "Jo"', "photo": "s1/1.png", "id": 41},
        {"person": "Ann", "photo": str(tree / "s2" / "1.png"), "id": None},
        {"person": "Ann", "photo": "s2/2.png", "id": None},
        {"person": "Ann", "photo": "s2/2.png", "id": None},
        {"person": "", "photo": "s3/1.png", "id": None},
        {"person": "Bob", "photo": "", "id": None},
        {"person": "Bob", "photo": "s3/none.png", "id": None},
        {"person": "Bob", "photo": "s3/2.png", "id": -5},
    ]
    manifest = _manifest(tree / f"m.{kind}", rows)
    report = _add(gallery, manifest)
    assert (report.seen, report.added, report.present, report.refused) == (8, 3, 1, 4)
    assert gallery.entry(41).person == 'Jürgen, "Jo"'
    photos = {entry.photo for entry in gallery.entries("Ann")}
    assert photos == {"s2/1.png", "s2/2.png"}
    assert all(str(tree) not in entry.photo for entry in gallery.entries())
    reasons = [what.reason for what in report.examples]
    assert "The person needs a name." in reasons
    assert "the photo's path is empty" in reasons
    assert any("no such file" in reason for reason in reasons)
    assert any("'-5'" in reason or "-5" in reason for reason in reasons)
    taken = _manifest(tree / f"n.{kind}", [{"person": "Eve", "photo": "s3/1.png", "id": 41}])
    (refusal,) = _add(gallery, taken).examples
    assert refusal.reason == "the id 41 belongs to another person"
    assert gallery.entry(41).person == 'Jürgen, "Jo"'
    manifest.unlink()
    taken.unlink()


def test_a_photo_listed_twice_is_enrolled_once(
    gallery: Gallery, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever the second line stands: among those waiting, or after the first was written."""
    first, other = ({"person": "Ann", "photo": f"s1/{n}.png", "id": n} for n in (1, 2))
    thief = {"person": "Eve", "photo": "s2/1.png", "id": 1}
    manifest = _manifest(tree / "twice.csv", [first, first, thief, other, first, thief])
    for batch in (256, 1):
        monkeypatch.setattr(enrol, "WRITE_BATCH", batch)
        report = _add(gallery, manifest)
        assert (report.added, report.present, report.refused) == (2, 2, 2)
        assert {what.reason for what in report.examples} == {"the id 1 belongs to another person"}
        assert gallery.people() == {"Ann": 2}
        gallery.remove("Ann")
    manifest.unlink()


def test_reports_of_several_processes_add_up() -> None:
    one = enrol.BulkReport(3, 1, 1, 1, (Refused("a", "b"),), 10.0, 0.2)
    two = enrol.BulkReport(4, 4, 0, 0, (), 8.0, 0.5, 1, (Refused("c", "d"),))
    both = enrol.BulkReport(7, 5, 1, 1, (Refused("a", "b"),), 10.0, 0.7, 1, (Refused("c", "d"),))
    assert enrol.together([one, two]) == both


def test_photos_of_one_person_need_no_tree(gallery: Gallery, tree: Path) -> None:
    report = enrol.add(
        gallery, gallery_manifest.listing(tree / "s3", "Carol"), ProjectionEncoder(), workers=0
    )
    assert report.added == 3
    one = gallery_manifest.listing(tree / "s2" / "1.png", "Dan")
    assert enrol.add(gallery, one, ProjectionEncoder(), workers=0).added == 1
    assert gallery.people() == {"Carol": 3, "Dan": 1}


def test_a_useless_face_is_refused_unless_it_is_asked_for(tmp_path: Path, orl_photos: list) -> None:
    encoder = ProjectionEncoder()
    # A face of 64 pixels or more is good; one of 40 or less is useless, and called small.
    model = QualityModel(
        weights=(12.0, 0.0, 0.0, 0.0, 0.0),
        intercept=68.0,
        limits={"small": 45.0, "blurred": 0.0, "turned": 9.0, "partly hidden": 1.0},
    )
    encoder.calibration = dataclasses.replace(encoder.calibration, quality=model)
    photo = next(Image.fromarray(p.rgb) for p in orl_photos if p.person == "s1")
    (tmp_path / "photos").mkdir()
    photo.resize((184, 224)).save(tmp_path / "photos" / "large.png")
    photo.resize((46, 56)).save(tmp_path / "photos" / "small.png")
    listed = gallery_manifest.listing(tmp_path / "photos", "Eileen")
    with Gallery.open(tmp_path / "g", encoder) as gallery:
        report = enrol.add(gallery, listed, encoder, workers=0)
        assert (report.added, report.refused, report.doubtful) == (1, 1, 0)
        (refused,) = report.examples
        assert refused.photo == "Eileen/small.png"
        assert re.fullmatch(r"quality 0\.0\d is under 0\.1: the face is small", refused.reason)
        report = enrol.add(gallery, listed, encoder, workers=0, min_quality=0)
        assert (report.added, report.present, report.refused) == (1, 1, 0)
        assert report.doubtful == 1
        (warned,) = report.warnings
        assert warned.photo == "Eileen/small.png"
        assert warned.reason.endswith("is under 0.4: the face is small")
        assert gallery.count() == 2


def test_a_read_only_gallery_is_refused_at_once(
    tmp_path: Path, tree: Path, gallery: Gallery, fake_encoder: ProjectionEncoder
) -> None:
    with (
        Gallery.open(gallery.folder, fake_encoder, read_only=True) as opened,
        pytest.raises(GalleryError, match="read-only"),
    ):
        _add(opened, tree)


def test_a_dying_worker_is_a_named_error(gallery: Gallery, tree: Path) -> None:
    killed = functools.partial(signal.raise_signal, signal.SIGKILL)  # in place of a detector
    with pytest.raises(DataError, match="go on, with fewer workers"):
        _add(gallery, tree, workers=1, make_detector=killed)
    assert gallery.count() == 0


@pytest.mark.slow
def test_memory_does_not_grow_with_the_number_of_photos(tmp_path: Path) -> None:
    """Forty thousand lines, all refused, cost no more memory than four thousand."""
    script = textwrap.dedent(
        """
        import resource, sys
        from pathlib import Path
        from tests.doubles.encoder import ProjectionEncoder
        from daah.gallery import enrol, manifest
        from daah.gallery import Gallery

        folder = Path(sys.argv[1])
        with Gallery.open(folder / "g", ProjectionEncoder()) as gallery:
            for name in ("few.csv", "many.csv"):
                photos = manifest.listing(folder / name)
                report = enrol.add(gallery, photos, ProjectionEncoder(), workers=0)
                print(report.refused, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
        """
    )
    for name, count in (("few.csv", 4_000), ("many.csv", 40_000)):
        lines = "".join(f"person{n},photo{n}.jpg\n" for n in range(count))
        (tmp_path / name).write_text("person,photo\n" + lines)
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    (few, before), (many, after) = (map(int, line.split()) for line in done.stdout.splitlines())
    assert (few, many) == (4_000, 40_000)
    assert after - before < 16


def test_the_report_says_which_of_several_faces_was_taken(
    tmp_path: Path, orl_photos: list, fake_encoder: ProjectionEncoder
) -> None:
    left, right = (
        np.asarray(Image.fromarray(orl_photos[i].rgb).resize((184, 224))) for i in (0, 9)
    )
    small = np.asarray(Image.fromarray(left).resize((138, 168)))
    group = np.full((224, 400, 3), 127, np.uint8)
    group[20:188, 20:158], group[:, 190:374] = small, right
    folder = tmp_path / "photos" / "Ann"
    folder.mkdir(parents=True)
    Image.fromarray(group).save(folder / "group.png")
    Image.fromarray(left).save(folder / "alone.png")
    with Gallery.open(tmp_path / "g", fake_encoder) as gallery:
        report = enrol.add(
            gallery, gallery_manifest.listing(tmp_path / "photos"), fake_encoder, workers=0
        )
    assert (report.added, report.several) == (2, 1)
    (taken,) = report.taken
    assert taken.photo == "Ann/group.png"
    assert re.fullmatch(r"face 2 of 2 from the left, \d+ pixels wide, was taken", taken.reason)
