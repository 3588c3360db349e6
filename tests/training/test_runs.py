"""From prepared trees to a recipe: who trains, who is kept out, and which runs are resumed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from daah.data.face_set import FaceSet
from daah.data.prepare import INDEX
from daah.errors import CheckpointError, DataError
from daah.training import runs
from daah.training.recipes.demo import DemoSettings
from tests.doubles.training import LANDMARKS, StoppedError, names, write_prepared, write_trunk

SETTINGS = DemoSettings(bank=16)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two prepared trees; one person of each part is in both."""
    folder = tmp_path_factory.mktemp("trees")
    counts = {"training": 5, "kept out": 4, "validation": 2, "test": 2}
    first = {name: 2 for part, count in counts.items() for name in names(part, count)}
    second = {name: 1 for part in counts for name in names(part, 1)} | {"somebody": 2}
    return [write_prepared(folder / "first", first), write_prepared(folder / "second", second)]


@pytest.fixture(scope="module")
def trunk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_trunk(tmp_path_factory.mktemp("trunk") / "trunk.safetensors")


class Begun(StoppedError):
    """What a recipe was given."""

    def __init__(self, faces: FaceSet, landmarks: np.ndarray, kept_out: FaceSet, *rest) -> None:
        super().__init__()
        self.faces, self.landmarks, self.kept_out = faces, landmarks, kept_out


@pytest.fixture
def begin(trees: list[Path], trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Starts a run, and ends it where the recipe would begin: what that was given."""

    def stop(*arguments) -> None:
        raise Begun(*arguments)

    monkeypatch.setattr(runs, "DemoTraining", stop)

    def started(data: Sequence[Path] = tuple(trees), **more) -> Begun:
        arguments = {"settings": SETTINGS, "out": tmp_path / "run", **more}
        with pytest.raises(Begun) as begun:
            runs.train_demo(data, trunk, **arguments)
        return begun.value

    return started


def test_folds_train_and_a_tenth_of_the_first_tree_is_kept_out(begin) -> None:
    given = begin()
    both = {name for part in ("kept out", "validation", "test") for name in names(part, 1)}
    trained = {*names("training", 5), *both, "somebody"}  # whoever is in the second tree trains
    assert set(given.faces.people) == trained
    assert set(given.kept_out.people) == set(names("kept out", 4)[1:])
    assert not set(given.faces.people) & set(given.kept_out.people)
    test = names("test", 1)[0]
    assert [n for n in given.faces.names if f"/{test}/" in n] == [f"second/{test}/0.png"]


def test_faces_come_with_their_landmarks_in_pixels_of_the_network(begin) -> None:
    given = begin()
    assert given.faces.images.shape[1:] == (112, 112, 3)
    assert given.landmarks.shape == (len(given.faces), 5, 2)
    np.testing.assert_allclose(given.landmarks, np.broadcast_to(LANDMARKS, given.landmarks.shape))


def test_people_can_be_left_out(begin) -> None:
    out = {names("training", 1)[0], names("kept out", 2)[1], "nobody of that name"}
    given = begin(without=out)
    assert not out & {*given.faces.people, *given.kept_out.people}
    assert len(given.faces.people) == 8
    assert len(given.kept_out.people) == 2


def test_a_run_is_resumed_as_it_was_begun(begin, trees, trunk, tmp_path: Path) -> None:
    begin()
    begin(resume=True)

    def refused(message: str, data: Sequence[Path] = trees, **more) -> None:
        arguments = {"settings": SETTINGS, "out": tmp_path / "run", "resume": True, **more}
        with pytest.raises(CheckpointError, match=message):
            runs.train_demo(data, trunk, **arguments)

    refused("add --resume", resume=False)
    refused("no run to resume", out=tmp_path / "nothing")
    other = "other settings, seed, data or people left out"
    refused(other, settings=DemoSettings(bank=17))
    refused(other, seed=1)
    refused(other, data=trees[:1])
    refused(other, data=trees[::-1])  # the first tree is the one that is split
    refused(other, without=names("training", 1))
    (tmp_path / "run" / "demo.json").write_text("{")
    refused(r"demo\.json cannot be read")


def test_too_few_people_are_named_before_anything_is_trained(begin, trunk, tmp_path: Path) -> None:
    def refused(message: str, people: dict[str, int]) -> None:
        tree = write_prepared(tmp_path / f"tree{len([*tmp_path.iterdir()])}", people)
        with pytest.raises(DataError, match=message):
            runs.train_demo([tree], trunk, tmp_path / "run", SETTINGS)

    enough = dict.fromkeys(names("kept out", 2), 2)
    refused(r"training: .* got 0 photos of 0 people", dict.fromkeys(names("test", 3), 2))
    refused(r"training: .* got 2 photos of 1 people", {names("training", 1)[0]: 2, **enough})
    refused(
        r"training: .* got 3 photos of 3 people", dict.fromkeys(names("training", 3), 1) | enough
    )
    people = dict.fromkeys(names("training", 2), 2)
    refused(r"choosing the hash layer: .* got 0 photos", people)
    refused(r"choosing the hash layer: .* got 2 photos of 2", people | dict.fromkeys(enough, 1))
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_read_is_named(begin, trees, trunk, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="import-trunk"):
        runs.train_demo(trees, tmp_path / "none", tmp_path / "a", SETTINGS)
    tree = write_prepared(tmp_path / "tree", dict.fromkeys(names("training", 3), 2))
    index = tree / INDEX
    lines = index.read_text().splitlines(keepends=True)
    index.write_text("".join(lines[:-1]))
    missing = json.loads(lines[-1])["face"]
    with pytest.raises(DataError, match=f"tree/{missing}: not in the faces.jsonl"):
        runs.train_demo([tree], trunk, tmp_path / "b", SETTINGS)
    index.unlink()
    with pytest.raises(DataError, match=r"no faces\.jsonl that can be read"):
        runs.train_demo([tree], trunk, tmp_path / "c", SETTINGS)
