"""Where things are: in a checkout, in an installed package, and where the environment says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import platformdirs
import pytest

from daah.paths import PATHS, locate

ROOT = Path(__file__).resolve().parent.parent


def test_a_checkout_uses_its_own_folders() -> None:
    found = locate(ROOT, {})
    assert found.checkpoint == ROOT / "checkpoints" / "demo.onnx"
    assert found.gallery == ROOT / "gallery" / "congress"
    assert (found.portraits / "people.csv").is_file()
    assert (found.examples / "group.jpg").is_file()
    assert found.results == ROOT / "docs" / "results"
    assert found.checkpoint.is_file()
    assert found.baselines.is_file()
    assert found.detector == ROOT / "checkpoints" / "detector"
    assert PATHS.docs == ROOT / "docs"


def test_an_installed_package_uses_the_folder_of_the_user(tmp_path: Path) -> None:
    found = locate(tmp_path / "site-packages", {})
    assert found.home == platformdirs.user_data_path("daah", appauthor=False)
    assert not found.gallery.is_relative_to(tmp_path)


def test_models_that_a_package_carries_are_found_unless_the_user_has_some(tmp_path: Path) -> None:
    carried = tmp_path / "site-packages" / "daah" / "checkpoints"
    carried.mkdir(parents=True)
    environment = {"DAAH_HOME": str(tmp_path / "home")}
    found = locate(tmp_path / "site-packages", environment)
    assert found.checkpoint == carried / "demo.onnx"
    assert found.baselines == carried / "baselines" / "48.safetensors"
    assert found.gallery == tmp_path / "home" / "gallery" / "congress"
    (tmp_path / "home" / "checkpoints").mkdir(parents=True)
    found = locate(tmp_path / "site-packages", environment)
    assert found.checkpoint == tmp_path / "home" / "checkpoints" / "demo.onnx"


@pytest.mark.parametrize("carried", ["daah/checkpoints", "checkpoints"])
def test_whoever_keeps_models_elsewhere_has_the_detector_all_the_same(
    carried: str, tmp_path: Path
) -> None:
    shipped, own = tmp_path / "around" / carried / "detector", tmp_path / "home" / "checkpoints"
    shipped.mkdir(parents=True)
    own.mkdir(parents=True)
    environment = {"DAAH_HOME": str(tmp_path / "home")}
    assert locate(tmp_path / "around", environment).detector == shipped
    (own / "detector").mkdir()
    assert locate(tmp_path / "around", environment).detector == own / "detector"
    environment["DAAH_DETECTOR"] = str(tmp_path / "other")
    assert locate(tmp_path / "around", environment).detector == tmp_path / "other"


@pytest.mark.parametrize("around", ["checkout", "site-packages"])
def test_the_environment_goes_before_both(around: str, tmp_path: Path) -> None:
    folder = ROOT if around == "checkout" else tmp_path
    found = locate(folder, {"DAAH_HOME": str(tmp_path / "home"), "DAAH_CHECKPOINT": " "})
    assert found.checkpoint == tmp_path / "home" / "checkpoints" / "demo.onnx"
    assert found.gallery == tmp_path / "home" / "gallery" / "congress"
    one = {"DAAH_CHECKPOINT": "my.onnx", "DAAH_GALLERY_FOLDER": str(tmp_path / "all")}
    found = locate(folder, one)
    assert found.checkpoint == Path.cwd() / "my.onnx"
    assert found.gallery == tmp_path / "all" / "congress"


def test_a_known_name_or_a_folder_is_the_default_gallery(tmp_path: Path) -> None:
    all_of_them = {"DAAH_GALLERY_FOLDER": str(tmp_path / "all")}
    for name in ("congress", "orl", "lfw"):
        assert locate(ROOT, {**all_of_them, "DAAH_GALLERY": name}).gallery == (
            tmp_path / "all" / name
        )
    folder = str(tmp_path / "mine")
    assert locate(ROOT, {**all_of_them, "DAAH_GALLERY": folder}).gallery == tmp_path / "mine"


def test_shipped_photos_are_found_in_a_home_a_checkout_and_a_package(tmp_path: Path) -> None:
    home = {"DAAH_HOME": str(tmp_path / "home")}
    assert locate(ROOT, home).portraits == ROOT / "gallery" / "portraits"
    carried = tmp_path / "site-packages" / "daah" / "portraits"
    carried.mkdir(parents=True)
    assert locate(tmp_path / "site-packages", home).portraits == carried
    own = tmp_path / "home" / "gallery" / "portraits"
    own.mkdir(parents=True)
    assert locate(tmp_path / "site-packages", home).portraits == own


@pytest.mark.slow
def test_an_installed_package_names_what_is_missing_and_writes_beside_nothing(
    tmp_path: Path,
) -> None:
    """The package alone, as a wheel puts it into site-packages."""
    site = tmp_path / "site-packages"
    shutil.copytree(ROOT / "daah", site / "daah", ignore=shutil.ignore_patterns("__pycache__"))
    photo = tmp_path / "photo.png"
    shutil.copy(ROOT / "daah" / "ui" / "server" / "static" / "preview.png", photo)
    before = sorted(site.rglob("*"))
    environment = {name: value for name, value in os.environ.items() if "DAAH" not in name} | {
        "PYTHONPATH": str(site),
        "PYTHONDONTWRITEBYTECODE": "1",
        "XDG_DATA_HOME": str(tmp_path / "data"),
    }

    def run(*arguments: str) -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "-m", "daah", *arguments],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=environment,
        )
        return done.returncode, done.stderr

    code, said = run("search", str(photo))
    assert code == 1
    assert said.splitlines()[-1].startswith("error: The model ")
    assert "DAAH_CHECKPOINT" in said
    assert "Traceback" not in said
    code, said = run("gallery", "list")
    assert (code, said.count("\n")) == (1, 1)
    assert said.startswith("error: There is no gallery congress.")
    assert sorted(site.rglob("*")) == before
