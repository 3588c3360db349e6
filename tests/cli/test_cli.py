"""The command line: what each command prints, and how each failure ends."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import daah
from daah.cli import app
from daah.errors import DataError
from daah.gallery import Gallery, read_list, verify
from daah.retrieval import loading
from tests.doubles.encoder import ProjectionEncoder

ROOT = Path(__file__).parents[2]

COMMANDS = {
    "encode": ["IMAGE", "--logits", "--csv", "--strict"],
    "search": ["IMAGE", "-k", "--bits", "--gallery", "--key-file", "--against", "--csv"],
    "app": ["--host", "--port", "--gallery", "--public", "--local"],
    "prepare": ["SRC", "DST", "--workers"],
    "import-trunk": ["FILE.safetensors"],
    "train": ["--recipe", "--data", "--out", "--resume", "--trunk", "--settings"],
    "calibrate": ["--images", "--checkpoint"],
    "evaluate": ["--images", "--aligned", "--checkpoint", "--bits"],
    "evaluate-attention": ["--images"],
    "bench": ["--repeats"],
    "gallery build": ["SRC", "--gallery"],
    "gallery add": ["SRC", "--gallery", "--create", "--person", "--workers", "--key-file"],
    "gallery remove": ["NAME", "--id", "--list", "--gallery", "--now"],
    "gallery cluster": ["FOLDER", "--gallery", "--radius", "--create"],
    "gallery suggest": ["--gallery", "--radius"],
    "gallery name": ["PERSON", "NAME", "--gallery"],
    "gallery rename": ["PERSON", "NAME", "--gallery"],
    "gallery merge": ["INTO", "PERSON", "--gallery"],
    "gallery split": ["--id", "--name", "--gallery"],
    "gallery move": ["NAME", "--id", "--gallery"],
    "gallery hide": ["PERSON", "--show", "--gallery"],
    "gallery undo": ["--gallery"],
    "gallery compact": ["--gallery"],
    "gallery list": ["--gallery", "--person", "--id"],
    "gallery export": ["FILE", "--gallery"],
    "gallery copy": ["TO", "--gallery"],
    "gallery verify": ["--gallery", "--codes", "--repair"],
    "gallery stats": ["--gallery"],
    "gallery renew": ["--gallery", "--checkpoint"],
    "gallery rekey": ["--gallery", "--key-file", "--no-key"],
    "gallery key new": ["FILE"],
}


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        loading, "load_default_encoder", lambda checkpoint=None: ProjectionEncoder()
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory, orl_photos: list) -> Path:
    """Three people with three photos each, and a photo without a face."""
    folder = tmp_path_factory.mktemp("photos")
    for photo in orl_photos:
        if photo.person in ("s1", "s2", "s3") and int(photo.name.split("/")[-1]) <= 3:
            (folder / photo.person).mkdir(exist_ok=True)
            Image.fromarray(photo.rgb).save(folder / f"{photo.name}.png")
    Image.new("RGB", (92, 112), "grey").save(folder / "s3" / "wall.png")
    return folder


@pytest.fixture
def built(tmp_path: Path, tree: Path) -> str:
    """URI of a gallery of these people."""
    uri = str(tmp_path / "built")
    _json("gallery", "build", str(tree), "--gallery", uri)
    return uri


@pytest.fixture(scope="module")
def portrait(tmp_path_factory: pytest.TempPathFactory, astronaut: np.ndarray) -> str:
    path = tmp_path_factory.mktemp("portrait") / "portrait.png"
    Image.fromarray(astronaut).save(path)
    return str(path)


def _run(*arguments: str, code: int = 0):
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == code, (result.exit_code, result.stdout, result.stderr)
    assert "Traceback" not in result.stderr
    return result


def _json(*arguments: str, code: int = 0) -> dict[str, Any]:
    return json.loads(_run(*arguments, code=code).stdout)


def test_help_lists_every_command() -> None:
    text = _run("--help").stdout
    for command in COMMANDS:
        assert command.split()[0] in text


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(command: str) -> None:
    text = _run(*command.split(), "--help").stdout
    assert "Example" in text
    assert f"-m daah {command}" in text
    for option in COMMANDS[command]:
        assert option in text


def test_a_length_that_the_model_lacks_is_refused_before_photos_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = str(tmp_path / "missing")
    refused = _run("evaluate", "--images", missing, "--bits", "20", code=1)
    assert "no codes of [20] bits" in refused.stderr
    monkeypatch.setattr(ProjectionEncoder, "lengths", (16, 48))
    refused = _run("evaluate-attention", "--images", missing, code=1)
    assert "no codes of [64] bits" in refused.stderr


def test_encode_prints_faces_in_pixels_of_the_photo(
    portrait: str, astronaut: np.ndarray, tmp_path: Path
) -> None:
    found = _json("encode", portrait)
    assert (found["width"], found["height"], found["bits"]) == (512, 512, 128)
    assert found["checkpoint"] == {"name": "fake0", "recipe": "demo", "sha256": "0" * 64}
    face = found["faces"][0]
    assert set(face) == {"box", "landmarks", "score", "code", "quality"}
    assert face["quality"] == {"score": None, "reasons": []}  # nothing is fitted for this model
    assert len(bytes.fromhex(face["code"])) == 16
    assert 170 < face["box"][0] < face["landmarks"][0][0] < face["box"][2] < 270
    _run("encode", portrait, "--logits", "--json", str(tmp_path / "out.json"))
    written = json.loads((tmp_path / "out.json").read_text())
    logits = np.array(written["faces"][0]["logits"])
    assert np.packbits(logits > 0).tobytes().hex() == face["code"]
    off = _json("encode", portrait, "--attention", "off")
    assert off["faces"][0]["code"] != face["code"]


def test_a_photo_without_a_face_has_an_empty_list(tree: Path) -> None:
    assert _json("encode", str(tree / "s3" / "wall.png"))["faces"] == []


def test_search_prints_the_matches_of_every_face(built: str, tree: Path) -> None:
    found = _json("search", str(tree / "s2" / "1.png"), "--gallery", built, "-k", "3")
    assert found["gallery"] == {"name": "built", "entries": 9}
    assert found["bits"] == 128
    (face,) = found["faces"]
    assert len(face["matches"]) == 3
    assert set(face["quality"]) == {"score", "reasons"}
    best = face["matches"][0]
    assert (best["person"], best["photo"], best["distance"]) == ("s2", "s2/1.png", 0)
    person = face["people"][0]
    assert set(person) == {"person", "name", "agree", "bits", "verdict", "photo", "photos"}
    assert (person["person"], person["name"], person["bits"]) == ("s2", "s2", 128)
    assert (person["photo"], person["photos"]) == ("s2/1.png", 3)
    assert [p["agree"] for p in face["people"]] == sorted(
        (p["agree"] for p in face["people"]), reverse=True
    )
    assert set(best) == {"id", "person", "name", "photo", "distance", "bits"}
    assert set(found["seconds"]) == {"detect", "encode", "search"}
    short = _json("search", str(tree / "s2" / "1.png"), "--gallery", built, "--bits", "32")
    assert {match["bits"] for match in short["faces"][0]["matches"]} == {32}


def test_a_terminal_gets_a_table_of_people(
    built: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daah.cli.console.on_terminal", lambda: True)
    photo = str(tree / "s2" / "1.png")
    first, best, *others = _run("search", photo, "--gallery", built, "-k", "2").stdout.splitlines()
    assert first.startswith("Face 1 of 1, ")
    assert re.fullmatch(r"  \w[\w ]{7}  s2 +\d+ of 128 bits agree  s2/1\.png", best)
    assert len(others) == 1
    (none,) = _run("search", str(tree / "s3" / "wall.png"), "--gallery", built).stdout.splitlines()
    assert none == "No face found. Try a larger, front-facing face."
    asked = _json("search", photo, "--gallery", built, "--json", "-")
    assert asked["faces"][0]["people"][0]["person"] == "s2"


def test_many_photos_need_a_table_which_continues(tree: Path, tmp_path: Path) -> None:
    for photos in ([str(tree)], [str(tree / "s2" / "1.png"), str(tree / "s2" / "2.png")]):
        assert "--csv FILE" in _run("encode", *photos, code=1).stderr
    table, refused = str(tmp_path / "codes.csv"), tmp_path / "refused.jsonl"
    (tmp_path / "torn.png").write_bytes(b"no photo")
    torn = str(tmp_path / "torn.png")
    options = ("--csv", table, "--workers", "0", "--refused", str(refused))
    found = _json("encode", str(tree), torn, *options)
    assert (found["photos"], found["done"], found["faces"], found["unreadable"]) == (11, 10, 9, 1)
    again = _run("encode", str(tree), torn, *options, "--strict", code=1)
    assert torn in again.stderr
    assert json.loads(again.stdout)["present"] == 10
    assert json.loads(refused.read_text())["photo"] == torn
    assert _json("encode", torn, "--csv", str(tmp_path / "none.csv"), code=1)["done"] == 0


def test_a_folder_is_searched_in_a_gallery_and_in_another_folder(
    built: str, tree: Path, tmp_path: Path
) -> None:
    options = ("--workers", "0", "-k", "1")
    for name, where in (("a.csv", ("--gallery", built)), ("b.csv", ("--against", str(tree)))):
        table = tmp_path / name
        found = _json("search", str(tree), *where, "--csv", str(table), *options)
        assert (found["photos"], found["faces"], found["without_face"]) == (10, 9, 1)
        with table.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["rank"]]
        assert len(rows) == 9
        assert all(row["person"] == row["photo"].split("/")[0] for row in rows)
    one = _json("search", str(tree / "s2" / "1.png"), "--against", str(tree))
    assert one["faces"][0]["people"][0]["person"] == "s2"
    both = _run("search", str(tree), "--against", str(tree), "--gallery", built, code=1)
    assert "--against and --gallery" in both.stderr


def test_the_version_is_printed() -> None:
    assert _run("--version").stdout == f"daah {daah.__version__}\n"


def test_build_says_what_it_did(tree: Path, tmp_path: Path) -> None:
    uri = str(tmp_path / "g")
    result = _run("gallery", "build", str(tree), "--gallery", uri)
    found = json.loads(result.stdout)
    assert (found["added"], found["present"], found["complete"]) == (9, 0, True)
    assert found["skipped"] == [["s3/wall.png", "no face found"]]
    assert "10/10" in result.stderr
    again = _json("gallery", "build", str(tree), "--gallery", uri)
    assert (again["added"], again["present"]) == (0, 9)


def test_add_list_and_remove(built: str, portrait: str, tmp_path: Path, tree: Path) -> None:
    log = tmp_path / "refused.jsonl"
    added = _json(
        "gallery", "add", portrait, "--person", "Eileen", "--gallery", built, "--workers", "0"
    )
    assert (added["added"], added["entries"]) == (1, 10)
    refused = _json(
        *("gallery", "add", str(tree), "--gallery", built),
        *("--workers", "0", "--no-map", "--refused", str(log)),
    )
    assert (refused["present"], refused["refused"]) == (9, 1)
    assert json.loads(log.read_text()) == {"photo": "s3/wall.png", "reason": "no face found"}
    assert _json("gallery", "list", "--gallery", built)["people"] == {
        "Eileen": 1,
        "s1": 3,
        "s2": 3,
        "s3": 3,
    }
    assert _json("gallery", "list", "--gallery", built, "--find", "eil")["people"] == {"Eileen": 1}
    (entry,) = _json("gallery", "list", "--gallery", built, "--person", "Eileen")["entries"]
    assert entry["photo"] == "Eileen/portrait.png"
    assert _json("gallery", "remove", "Eileen", "--gallery", built)["removed"] == 1
    error = _run("gallery", "list", "--gallery", built, "--person", "Eileen", code=1).stderr
    assert error == "error: Nobody named 'Eileen' is in the gallery built.\n"
    assert "Nobody" in _run("gallery", "remove", "Eileen", "--gallery", built, code=1).stderr


def test_people_of_a_manifest_have_display_names(tree: Path, tmp_path: Path) -> None:
    manifest = tmp_path / "people.csv"
    manifest.write_text(
        "person,photo,name\n"
        f"A1,{tree / 's1' / '1.png'},Ada Lovelace\n"
        f"A1,{tree / 's1' / '2.png'},\n"
        f"B2,{tree / 's2' / '1.png'},\n"
    )
    uri = str(tmp_path / "named")
    _json("gallery", "add", str(manifest), "--gallery", uri, "--workers", "0", "--create")
    listed = _json("gallery", "list", "--gallery", uri)
    assert listed["people"] == {"A1": 2, "B2": 1}
    assert listed["names"] == {"A1": "Ada Lovelace"}
    assert _json("gallery", "list", "--find", "lovelace", "--gallery", uri)["people"] == {"A1": 2}
    (face,) = _json("search", str(tree / "s1" / "2.png"), "--gallery", uri)["faces"]
    assert [(p["person"], p["name"], p["photos"]) for p in face["people"]] == [
        ("A1", "Ada Lovelace", 2),
        ("B2", "B2", 1),
    ]
    assert {m["name"] for m in face["matches"]} == {"Ada Lovelace", "B2"}


def test_what_writes_wants_a_gallery_by_name(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The built-in gallery is never changed by a forgotten option."""
    monkeypatch.setattr(loading, "DEFAULT_GALLERY", tmp_path / "orl")
    for arguments in (
        ["build", str(tree)],
        ["add", str(tree)],
        ["remove", "s1"],
        ["cluster", str(tree)],
        ["name", "Person 1", "Ann"],
        ["rename", "s1", "Ann"],
        ["merge", "s1", "s2"],
        ["split", "--id", "1"],
        ["move", "s1", "--id", "1"],
        ["hide", "Person 1"],
        ["undo"],
        ["compact"],
        ["renew"],
        ["verify", "--repair"],
    ):
        said = _run("gallery", *arguments, code=2).stderr
        assert "--gallery" in said, arguments
    assert not (tmp_path / "orl").exists()


def test_commands_leave_a_folder_of_photos_alone(
    tree: Path, built: str, portrait: str, tmp_path: Path
) -> None:
    before = sorted(tree.rglob("*"))
    at = ("--gallery", str(tree))
    for arguments in (
        ("gallery", "build", str(tree), *at),
        ("gallery", "add", str(tree), "--workers", "0", "--create", *at),
        ("gallery", "cluster", str(tree), "--create", *at),
        ("gallery", "copy", str(tree), "--gallery", built),
    ):
        assert "holds other files" in _run(*arguments, code=1).stderr
    for arguments in (
        ("search", portrait, *at),
        ("gallery", "list", *at),
        ("gallery", "verify", "--codes", "--repair", *at),
        ("gallery", "add", str(tree), "--workers", "0", *at),
        ("gallery", "cluster", str(tree), *at),
        ("gallery", "name", "Person 1", "Ann", *at),
        ("gallery", "undo", *at),
        ("gallery", "remove", "s1", *at),
        ("gallery", "renew", *at),
    ):
        assert "There is no gallery" in _run(*arguments, code=1).stderr
    assert sorted(tree.rglob("*")) == before


def test_a_new_gallery_is_asked_for(tree: Path, tmp_path: Path) -> None:
    uri = str(tmp_path / "albun")
    for command in ("add", "cluster"):
        arguments = ("gallery", command, str(tree), "--gallery", uri, "--workers", "0")
        said = _run(*arguments, code=1).stderr
        assert "There is no gallery albun. Check the path" in said
        assert not Path(uri).exists()
        assert _json(*arguments, "--create")["added"] == 9
        assert _json(*arguments)["present"] == 9  # it is there now
        shutil.rmtree(uri)


def test_faces_without_names_become_people(tree: Path, tmp_path: Path, portrait: str) -> None:
    """From a folder of loose photos to names, with every command on the way."""
    at = ("--gallery", str(tmp_path / "album"))
    result = _run("gallery", "cluster", str(tree), *at, "--radius", "0", "--create")
    found = json.loads(result.stdout)
    assert (found["added"], found["refused"], found["several"]) == (9, 1, 0)
    assert found["clustered"] == {"faces": 9, "people": 9, "joined": 0, "radius": 0}
    assert [p["name"] for p in found["unnamed"]] == [f"Person {n}" for n in range(1, 10)]
    assert _json("gallery", "name", "person 1", "Ann", *at)["person"] == "Ann"
    said = _run("gallery", "name", "Ann", "Anna", *at, code=1).stderr
    assert "Ann has a name" in said
    assert _json("gallery", "rename", "Ann", "Anna", *at)["person"] == "Anna"
    merged = _json("gallery", "merge", "Anna", "Person 2", "Person 3", *at)
    assert (merged["moved"], merged["person"]) == (2, "Anna")
    one, two, three = _json("gallery", "list", "--person", "Anna", *at)["entries"]
    parted = _json("gallery", "split", "--id", one["id"], *at)
    assert (parted["moved"], parted["person"]) == (1, "unnamed-10")
    assert _json("gallery", "move", "Bea", "--id", two["id"], *at)["person"] == "Bea"
    assert _json("gallery", "list", "--person", "Anna", *at)["entries"] == [three]
    _json("gallery", "hide", "Person 9", *at)
    listed = _json("gallery", "suggest", "--radius", "128", *at)
    assert [p["name"] for p in listed["hidden"]] == ["Person 9"]
    assert len(listed["unnamed"]) == 6
    assert listed["suggestions"]
    assert "Person 9" not in json.dumps(listed["suggestions"])
    assert _json("gallery", "hide", "Person 9", "--show", *at)["person"] == "unnamed-9"
    again = _json("gallery", "cluster", portrait.rsplit("/", 1)[0], *at)
    assert (again["added"], again["clustered"]["people"]) == (1, 1)
    assert _json("gallery", "list", *at)["people"]["Anna"] == 1
    assert _json("gallery", "verify", "--codes", *at)["ok"] is True


def test_a_removal_is_undone_or_made_final(built: str) -> None:
    before = _json("gallery", "list", "--gallery", built)
    removed = _run("gallery", "remove", "s1", "--gallery", built)
    assert json.loads(removed.stdout)["removed"] == 3
    assert "gallery undo --gallery" in removed.stderr
    assert "s1" not in _json("gallery", "list", "--gallery", built)["people"]
    restored = _json("gallery", "undo", "--gallery", built)["restored"]
    assert [entry["person"] for entry in restored] == ["s1"] * 3
    assert _json("gallery", "list", "--gallery", built) == before
    said = _run("gallery", "undo", "--gallery", built, code=1).stderr
    assert "nothing to undo" in said

    face = Path(built) / "faces"
    photos = {path.read_bytes()[40:140] for path in face.rglob("*.png")}
    _json("gallery", "remove", "s2", "--gallery", built)
    final = _json("gallery", "remove", "--now", "--gallery", built)
    assert (final["removed"], final["deleted_before"]) == (0, 1)
    _run("gallery", "undo", "--gallery", built, code=1)
    _json("gallery", "remove", "s3", "--now", "--gallery", built)
    _run("gallery", "undo", "--gallery", built, code=1)
    left = [path for path in Path(built).rglob("*") if path.is_file()]
    for path in left:
        held = path.read_bytes()
        assert b"s2/" not in held, path
        assert b"s3/" not in held, path
    kept = {path.read_bytes()[40:140] for path in face.rglob("*.png")}
    assert len(kept) == 3
    assert not any(gone in path.read_bytes() for gone in photos - kept for path in left)


@pytest.mark.parametrize("command", ["build", "add", "cluster"])
def test_a_mistyped_source_makes_no_gallery(command: str, tmp_path: Path) -> None:
    wanted = tmp_path / "new"
    said = _run("gallery", command, str(tmp_path / "none"), "--gallery", str(wanted), code=1).stderr
    assert "there is no such folder" in said
    assert not wanted.exists()


def test_entries_are_listed_and_removed_by_id_and_by_list(built: str, tmp_path: Path) -> None:
    exported = _run("gallery", "export", "-", "--gallery", built).stdout.splitlines()
    first, _, third = (json.loads(line) for line in exported[:3])
    assert isinstance(first["id"], str)  # JSON's numbers do not hold 63 bits everywhere
    (shown,) = _json("gallery", "list", "--id", first["id"], "--gallery", built)["entries"]
    known = ("id", "person", "photo")
    assert [shown[name] for name in known] == [first[name] for name in known]
    removed = _json("gallery", "remove", "--id", first["id"], "--gallery", built)
    assert (removed["removed"], removed["entries"]) == (1, 8)
    (tmp_path / "out.jsonl").write_text("\n".join(exported[:3]) + "\n\n")
    by_ids = ("gallery", "remove", "--list", str(tmp_path / "out.jsonl"), "--gallery", built)
    assert _json(*by_ids)["removed"] == 2  # the first is gone already, and passed over
    assert _json(*by_ids)["removed"] == 0
    left = _json("gallery", "list", "--gallery", built)["people"]
    (tmp_path / "out.csv").write_text("person,id\ns2,\nnobody,\n")
    by_people = ("gallery", "remove", "--list", str(tmp_path / "out.csv"), "--gallery", built)
    assert _json(*by_people)["removed"] == left.pop("s2")
    compacted = _json("gallery", "compact", "--gallery", built)
    assert compacted["entries"] == sum(left.values())
    assert _json("gallery", "list", "--gallery", built)["people"] == left
    verified = _json("gallery", "verify", "--codes", "--gallery", built)
    assert (verified["ok"], verified["store"], verified["orphans"]) == (True, "", [])
    for wrong in (["--id", first["id"]], ["--id", str(2**70)], ["--id", third["id"]]):
        assert (
            "There is no entry"
            in _run("gallery", "remove", *wrong, "--gallery", built, code=1).stderr
        )
    assert _run("gallery", "remove", "--gallery", built, code=2).stderr


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", "s1", r"ends in \.jsonl or \.csv"),
        ("a.csv", "person,id\n,\n", "line 2: there is neither an id nor a person"),
        ("a.csv", "person,id\n,x7\n", "line 2: 'x7' is no id"),
        ("a.jsonl", '{"id": 1}\n[2]\n', "line 2: expected a JSON object"),
        ("a.jsonl", '{"id": true}\n', "line 1: 'True' is no id"),
        ("a.jsonl", '{"id": 1e400}\n', "line 1: 'inf' is no id"),
        ("none.csv", None, "cannot be read"),
    ],
)
def test_lists_that_cannot_be_read_are_named(
    name: str, content: str | None, says: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=says):
        read_list(tmp_path / name)


def test_export_copy_verify_and_stats(built: str, tmp_path: Path) -> None:
    lines = _run("gallery", "export", "-", "--gallery", built).stdout.splitlines()
    assert len(lines) == 9
    assert set(json.loads(lines[0])) == {
        "id", "person", "name", "photo", "added_at", "bits", "code",
    }  # fmt: skip
    exported = _json("gallery", "export", str(tmp_path / "g.jsonl"), "--gallery", built)
    assert exported["exported"] == 9
    assert (tmp_path / "g.jsonl").read_text().splitlines() == lines
    assert _json("gallery", "export", str(tmp_path / "g.parquet"), "--gallery", built)["exported"]
    error = _run("gallery", "export", str(tmp_path / "g.txt"), "--gallery", built, code=1).stderr
    assert ".jsonl or .parquet" in error

    other = str(tmp_path / "other")
    assert _json("gallery", "copy", other, "--gallery", built)["copied"] == 9
    assert _json("gallery", "verify", "--gallery", other, "--codes")["ok"] is True
    next(Path(other).rglob("*.png")).unlink()
    broken = _run("gallery", "verify", "--gallery", other, code=1)
    found = json.loads(broken.stdout)
    assert (found["ok"], len(found["missing"])) == (False, 1)
    assert "error: 1 entry has no face.\n" in broken.stderr
    assert found["missing"][0].isdecimal()
    stats = _json("gallery", "stats", "--gallery", built, "--pairs", "2")
    assert (stats["people"], len(stats["ones"]), len(stats["near"])) == (3, 128, 2)


def test_verify_tells_what_a_kill_left_from_damage(built: str) -> None:
    half = next(Path(built).rglob("*.png")).with_suffix(".png.7.tmp")
    half.write_bytes(b"half")
    left = _run("gallery", "verify", "--gallery", built)
    assert json.loads(left.stdout)["ok"] is True
    assert "Left by a killed process: 1 half-written file." in left.stderr
    repaired = _run("gallery", "verify", "--repair", "--gallery", built)
    assert "Left" not in repaired.stderr
    assert not half.exists()


def test_prepare_aligns_a_tree_and_resumes(tree: Path, tmp_path: Path) -> None:
    arguments = ("prepare", str(tree), str(tmp_path / "faces"), "--workers", "0")
    first = _json(*arguments)
    assert (first["photos"], first["people"], first["saved"]) == (10, 3, 9)
    assert [photo for photo, _ in map(dict.values, first["skipped"])] == ["s3/wall.png"]
    again = _json(*arguments)
    assert (again["saved"], again["kept"]) == (0, 10)


def test_evaluate_prints_protocol_1(tree: Path) -> None:
    found = _json("evaluate", "--images", str(tree), "--bits", "16,128")
    assert {key: found[key] for key in ("protocol", "images", "people", "queries")} == {
        "protocol": "open-set",
        "images": 10,
        "people": 3,
        "queries": 9,
    }
    assert (found["undetected"], found["checkpoint"]["name"]) == (1, "fake0")
    rows = [(row["bits"], row["distance"], row["rerank"]) for row in found["results"]]
    ways = (("hamming", False), ("hamming", True), ("asymmetric", False))
    assert rows == [(bits, *way) for bits in (16, 128) for way in ways]
    assert all(0 <= row["map"] <= 1 for row in found["results"])


def test_evaluate_open_set_prints_protocol_3(tree: Path, tmp_path: Path) -> None:
    groups, figure = tmp_path / "groups.csv", tmp_path / "det.png"
    groups.write_text("person,team\ns1,red\n")
    given = ("evaluate-open-set", "--images", str(tree), "--bits", "128", "--groups", str(groups))
    found = _json(*given, "--figure", str(figure))
    assert (found["protocol"], found["enrolled"]) == ("open-set-identification", 2)
    assert [(r["bits"], r["template"]) for r in found["results"]] == [
        (128, "one"), (128, "fused"), (128, "one"), (128, "fused"),
    ]  # fmt: skip
    assert set(found["results"][0]["fnir_at_fpir"]) == {"0.1", "0.01", "0.003"}
    assert figure.read_bytes().startswith(b"\x89PNG")
    groups.write_text("person,team\nnobody,red\n")
    assert "none of its 1 rows" in _run(*given, code=1).stderr


def test_calibrate_prints_and_changes_nothing_when_asked(tree: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.safetensors"
    checkpoint.write_bytes(b"as it was")
    found = _json("calibrate", "--images", str(tree), "--checkpoint", str(checkpoint), "--dry-run")
    assert found["written"] is False
    assert set(found["calibration"]["lengths"]) == {str(n) for n in ProjectionEncoder.lengths}
    assert checkpoint.read_bytes() == b"as it was"


def test_quality_is_fitted_by_photos_only(tree: Path, tmp_path: Path) -> None:
    checkpoint = tmp_path / "model.safetensors"
    given = ("--images", str(tree), "--checkpoint", str(checkpoint), "--quality", str(tree))
    assert "--quality needs photos" in _run("calibrate", *given, "--aligned", code=1).stderr
    assert "kept out" in _run("calibrate", *given, "--dry-run", code=1).stderr


def test_a_build_takes_a_limit_of_quality(tree: Path, tmp_path: Path) -> None:
    target = str(tmp_path / "g")
    found = _json("gallery", "build", str(tree), "--gallery", target, "--min-quality", "0")
    assert (found["doubtful"], found["warnings"]) == (0, [])


def test_renew_needs_only_the_faces(built: str, monkeypatch: pytest.MonkeyPatch) -> None:
    new = ProjectionEncoder(1)
    monkeypatch.setattr(loading, "load_default_encoder", lambda checkpoint=None: new)
    error = _run("gallery", "verify", "--codes", "--gallery", built, code=1).stderr
    assert "gallery renew" in error
    assert _json("gallery", "renew", "--gallery", built)["renewed"] is True
    assert _json("gallery", "renew", "--gallery", built)["renewed"] is False
    with Gallery.open(built, new) as gallery:
        assert verify(gallery, new).ok


def test_a_gallery_with_a_key_is_used_with_its_key_file(
    built: str, tree: Path, tmp_path: Path
) -> None:
    key, other, photo = (str(tmp_path / n) for n in ("a.key", "b.key", "s1.png"))
    shutil.copy(next((tree / "s1").iterdir()), photo)
    for file in (key, other):
        assert "Keep a copy" in _run("gallery", "key", "new", file).stderr
    made = _json("gallery", "rekey", "--gallery", built, "--key-file", key)
    assert made["key"] is True
    opened = ["--gallery", built, "--key-file", key]
    assert _json("gallery", "verify", "--codes", *opened)["ok"]
    found = _run("search", photo, "--json", "-", *opened)
    assert json.loads(found.stdout)["faces"][0]["people"][0]["person"] == "s1"
    digits = Path(key).read_text().split()[1]
    for told in (made, json.loads(found.stdout), found.stderr):
        assert digits not in str(told)
    assert "with its key alone" in _run("search", photo, "--gallery", built, code=1).stderr
    wrong = _run("gallery", "list", "--gallery", built, "--key-file", other, code=1)
    assert "another key" in wrong.stderr
    # The key is forgotten with the command that it was given to, and not needed for another one.
    assert "with its key alone" in _run("gallery", "list", "--gallery", built, code=1).stderr
    assert "name the new key" in _run("gallery", "rekey", "--gallery", built, code=2).stderr
    _run("gallery", "rekey", "--gallery", built, "--key-file", key, "--no-key", code=2)
    assert _json("gallery", "rekey", "--gallery", built, "--no-key")["key"] is False
    assert _json("gallery", "list", "--gallery", built)["entries"] == made["entries"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["encode", "nothing.jpg"], "no such file"),
        (["search", "{portrait}", "--gallery", "nowhere"], "There is no gallery nowhere"),
        (["search", "{portrait}", "--gallery", "{built}", "--bits", "20"], "16, 24, 32"),
        (["gallery", "build", "nothing", "--gallery", "{built}"], "nothing"),
        (["gallery", "add", "nothing", "--gallery", "{built}"], "no such folder or manifest"),
        (["evaluate", "--images", "nothing", "--bits", "x"], "16,24,32"),
        (["evaluate", "--images", "nothing"], "nothing"),
        (["encode", "{portrait}", "--json", "no/such/folder.json"], "cannot be written"),
    ],
    ids=["photo", "gallery", "bits", "source", "listing", "numbers", "images", "json"],
)
def test_an_error_is_one_line_and_exit_code_1(
    arguments: list[str], said: str, portrait: str, built: str
) -> None:
    filled = [part.format(portrait=portrait, built=built) for part in arguments]
    result = _run(*filled, code=1)
    assert result.stdout == ""
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error:")]
    assert said in line


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["encode"],
        ["search", "x.jpg", "-k", "0"],
        ["encode", "x.jpg", "--attention", "somewhere"],
        ["gallery"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert "Usage" in "".join(_run(*arguments, code=2).output)


def test_help_answers_without_loading_the_network() -> None:
    script = (
        "import sys; from typer.testing import CliRunner; from daah.cli import app; "
        "assert CliRunner().invoke(app, ['search', '--help']).exit_code == 0; "
        "print(sorted({'torch', 'faiss', 'numpy', 'gradio', 'sklearn'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_module_runs_for_real(portrait: str) -> None:
    """The shipped model in a process of its own, without anything replaced."""
    done = subprocess.run(
        [sys.executable, "-m", "daah", "encode", portrait],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    found = json.loads(done.stdout)
    assert found["faces"][0]["score"] > 0.99
    assert len(bytes.fromhex(found["faces"][0]["code"])) == found["bits"] // 8
    failed = subprocess.run(
        [sys.executable, "-m", "daah", "encode", "nothing.jpg"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("error: ")
    assert failed.stderr.count("\n") == 1
