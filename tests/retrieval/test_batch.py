"""Many photos into a table: its rows, its continuation after any cut, and what it refuses."""

from __future__ import annotations

import csv
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from daah.errors import ConfigError, DataError
from daah.gallery.manifest import Refused
from daah.retrieval import batch
from daah.retrieval.retriever import FaceRetriever
from tests.doubles.retriever import BITS, PEOPLE, SquareDetector, SquareEncoder, photo
from tests.doubles.retriever import retriever as make_retriever


@pytest.fixture(scope="module")
def party(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photos, one in a folder and by names that tables must quote, one unreadable."""
    folder = tmp_path_factory.mktemp("party")
    (folder / "more").mkdir()
    for name, colours in {
        "a.png": ("red",),
        "b.png": ("green", "blue"),
        "nobody.png": (),
        "=1+1,x.png": ("blue",),
        "more/two\nlines.png": ("red", "green", "blue"),
        ".hidden.png": ("red",),
    }.items():
        squares = photo(*((PEOPLE[colour], 300 - 9 * i) for i, colour in enumerate(colours)))
        Image.fromarray(squares).save(folder / name)
    (folder / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    return folder


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> FaceRetriever:
    return make_retriever(tmp_path_factory.mktemp("gallery") / "squares")


Run = Callable[..., batch.BatchReport]


@pytest.fixture(params=["encode", "search"])
def run(request: pytest.FixtureRequest, retriever: FaceRetriever, party: Path) -> Run:
    """A whole run of either kind into a table."""

    def work(table: Path, photos: dict | None = None, **more: object) -> batch.BatchReport:
        photos = batch.photos_of([party]) if photos is None else photos
        options = {"workers": 0, "make_detector": SquareDetector} | more
        if request.param == "encode":
            return batch.encode_photos(photos, table, SquareEncoder(), **options)
        return batch.search_photos(photos, table, retriever, 2, **options)

    return work


def read(table: Path) -> list[dict[str, str]]:
    with table.open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        return list(csv.DictReader(file))


def test_every_face_has_a_row_with_its_code(party: Path, tmp_path: Path) -> None:
    refused: list[Refused] = []
    steps: list[tuple[int, int, str]] = []
    report = batch.encode_photos(
        batch.photos_of([party]),
        tmp_path / "codes.csv",
        SquareEncoder(),
        logits=True,
        workers=0,
        make_detector=SquareDetector,
        progress=lambda *step: steps.append(step),
        refused=refused.append,
    )
    assert (report.photos, report.present, report.done, report.faces) == (6, 0, 5, 7)
    assert (report.without_face, report.unreadable) == (1, 1)
    assert [one.photo for one in refused] == ["torn.png"] == [x.photo for x in report.examples]
    assert [step[:2] for step in steps] == [(i, 6) for i in range(7)]
    assert all(step[2].isprintable() for step in steps)
    rows = read(tmp_path / "codes.csv")
    named = [(row["photo"], row["faces"], row["face"]) for row in rows]
    assert named == [
        ("./=1+1,x.png", "1", "1"),
        ("a.png", "1", "1"),
        ("b.png", "2", "1"), ("b.png", "2", "2"),
        ("more/two\nlines.png", "3", "1"), ("more/two\nlines.png", "3", "2"),
        ("more/two\nlines.png", "3", "3"),
        ("nobody.png", "0", "0"),
    ]  # fmt: skip
    assert {row["model"] for row in rows} == {SquareEncoder.fingerprint}
    assert {row["bits"] for row in rows} == {str(BITS)}
    code = int(rows[1]["code"], 16)
    logits = [float(value) for value in rows[1]["logits"].split()]
    assert [bool(code >> (BITS - 1 - i) & 1) for i in range(BITS)] == [v > 0 for v in logits]
    assert rows[1]["code"] == rows[4]["code"] != rows[5]["code"]
    assert (rows[-1]["code"], rows[-1]["left"]) == ("", "")


def test_every_face_has_its_people_nearest_first(
    party: Path, retriever: FaceRetriever, tmp_path: Path
) -> None:
    table = tmp_path / "matches.csv"
    photos = batch.photos_of([party])
    batch.search_photos(photos, table, retriever, 2, workers=0, make_detector=SquareDetector)
    rows = read(table)
    first = [(row["photo"], row["person"], row["verdict"]) for row in rows if row["rank"] == "1"]
    assert first == [
        ("./=1+1,x.png", "blue", "match"),
        ("a.png", "red", "match"),
        ("b.png", "green", "match"), ("b.png", "blue", "match"),
        ("more/two\nlines.png", "red", "match"), ("more/two\nlines.png", "green", "match"),
        ("more/two\nlines.png", "blue", "match"),
    ]  # fmt: skip
    assert len(rows) == 2 * 7 + 1
    assert {(row["gallery"], row["gallery_photos"], row["k"]) for row in rows} == {
        ("squares", "6", "2")
    }


def test_a_cut_anywhere_is_continued_to_the_same_table(run: Run, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    run(table)
    whole = table.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == ord("\n")]
    for cut in {0, 5, *ends, *range(100, len(whole), 701)}:
        table.write_bytes(whole[:cut])
        report = run(table)
        assert table.read_bytes() == whole, cut
        assert report.present + report.done == 5
    assert run(table).done == 0  # and the unreadable photo is tried again
    assert run(table).unreadable == 1


def test_a_killed_run_keeps_what_it_had_done(run: Run, tmp_path: Path) -> None:
    whole, table = tmp_path / "whole.csv", tmp_path / "killed.csv"
    run(whole)
    child = os.fork()
    if child == 0:
        try:
            run(table, progress=lambda done, *_: done == 3 and os.kill(os.getpid(), signal.SIGKILL))
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert len(read(table)) >= 3
    report = run(table)
    assert (report.present, report.done) == (3, 2)
    assert table.read_bytes() == whole.read_bytes()


def test_photos_that_come_later_are_added(run: Run, party: Path, tmp_path: Path) -> None:
    photos = batch.photos_of([party])
    some = {name: photos[name] for name in ("a.png", "b.png")}
    assert run(tmp_path / "t.csv", some).done == 2
    assert run(tmp_path / "t.csv").done == 3
    (tmp_path / "repaired.png").write_bytes((party / "a.png").read_bytes())
    again = photos | {"torn.png": tmp_path / "repaired.png"}
    assert run(tmp_path / "t.csv", again).done == 1
    assert {row["photo"] for row in read(tmp_path / "t.csv")} == {
        name if name[0] != "=" else f"./{name}" for name in photos
    }


def test_a_name_that_is_no_text_is_kept(run: Run, party: Path, tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.png"))
    path.write_bytes((party / "a.png").read_bytes())
    assert run(tmp_path / "t.csv", {path.name: path}).done == 1
    assert run(tmp_path / "t.csv", {path.name: path}).present == 1
    torn = {path.name + "x": party / "torn.png"}
    assert run(tmp_path / "t.csv", torn).examples[0].photo == r"\udcff.pngx"


def test_other_settings_and_other_files_are_refused(
    retriever: FaceRetriever, party: Path, tmp_path: Path
) -> None:
    photos, table = batch.photos_of([party]), tmp_path / "t.csv"
    options = {"workers": 0, "make_detector": SquareDetector}
    batch.search_photos(photos, table, retriever, 2, **options)
    before = table.read_bytes()
    with pytest.raises(DataError, match=r"made with other settings \(k 2, not 3\)"):
        batch.search_photos(photos, table, retriever, 3, **options)
    with pytest.raises(DataError, match=r"settings \(bits 128, not 64\)"):
        batch.search_photos(photos, table, retriever, 2, 64, **options)
    with pytest.raises(DataError, match="not a table of this command"):
        batch.encode_photos(photos, table, SquareEncoder(), **options)
    with pytest.raises(ConfigError, match="code length"):
        batch.search_photos(photos, table, retriever, 2, 17, **options)
    with pytest.raises(ConfigError, match="at least 1"):
        batch.search_photos(photos, table, retriever, 0, **options)
    assert table.read_bytes() == before
    for damage, words in ((b'"a"b,1\n', "line"), (b"a,b\n", "expected 20 cells, got 2")):
        table.write_bytes(before + damage)
        with pytest.raises(DataError, match=words):
            batch.search_photos(photos, table, retriever, 2, **options)
        assert table.read_bytes() == before + damage
    with pytest.raises(DataError, match="cannot be written"):
        batch.search_photos(photos, tmp_path, retriever, 2, **options)


def test_paths_are_photos_and_folders(party: Path, tmp_path: Path) -> None:
    assert list(batch.photos_of([party]))[-2:] == ["nobody.png", "torn.png"]
    both = batch.photos_of([party / "a.png", party / "more"])
    assert both == {str(path): path for path in (party / "a.png", party / "more/two\nlines.png")}
    with pytest.raises(DataError, match="no such photo or folder"):
        batch.photos_of([party / "a.png", tmp_path / "absent"])
    with pytest.raises(DataError, match="no photos in it"):
        batch.photos_of([tmp_path])


def test_a_folder_is_searched_in_place_of_a_gallery(party: Path, tmp_path: Path) -> None:
    portraits = tmp_path / "portraits"
    (portraits / "Ada").mkdir(parents=True)
    for name, colour in (("Ada/1.png", "red"), ("Ada/2.png", "red"), ("-Bo.png", "blue")):
        Image.fromarray(photo((PEOPLE[colour], 300))).save(portraits / name)
    Image.fromarray(photo()).save(portraits / "wall.png")
    refused: list[Refused] = []
    encoder = SquareEncoder()
    options = {"workers": 0, "make_detector": SquareDetector}
    with batch.temporary_gallery(portraits, encoder, refused=refused.append, **options) as gallery:
        assert (gallery.count(), gallery.store.count_people(), gallery.name) == (3, 2, "portraits")
        retriever = FaceRetriever(SquareDetector(), encoder, gallery)
        photos = batch.photos_of([party])
        batch.search_photos(photos, tmp_path / "m.csv", retriever, **options)
        home = gallery.folder
    assert not home.exists()
    assert [(one.photo, one.reason) for one in refused] == [("wall.png", "no face found")]
    found = [row["person"] for row in read(tmp_path / "m.csv") if row["rank"] == "1"]
    assert found[:2] == ["'-Bo", "Ada"]
    assert {row["k"] for row in read(tmp_path / "m.csv")} == {"2"}  # as many as there are people
    (tmp_path / "walls").mkdir()
    Image.fromarray(photo()).save(tmp_path / "walls" / "wall.png")
    with (
        pytest.raises(DataError, match="none of the 1 photos can be enrolled"),
        batch.temporary_gallery(tmp_path / "walls", encoder, **options),
    ):
        pass
    with (
        pytest.raises(DataError, match="no such folder"),
        batch.temporary_gallery(tmp_path / "absent", encoder, **options),
    ):
        pass
