"""`gallery build lfw`: scikit-learn fetches the photos, and a gallery is built from its folders."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image
from typer.testing import CliRunner

from daah.cli import app
from daah.data.sources import Photo
from daah.gallery import Gallery
from daah.retrieval import loading
from tests.doubles.encoder import ProjectionEncoder

#: Names as the collection has them; the photos are of ORL's people.
PEOPLE = {"Aaron_Eckhart": "s1", "AJ_Cook": "s2"}


@pytest.fixture(autouse=True)
def _model_and_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        loading, "load_default_encoder", lambda checkpoint=None: ProjectionEncoder()
    )
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path / "data"))


def plant(home: Path, photos: list[Photo]) -> None:
    """What scikit-learn leaves in its data folder: JPEGs of 250x250 by person, and lists."""
    for name, person in PEOPLE.items():
        chosen = [photo.rgb for photo in photos if photo.person == person][:2]
        for number, rgb in enumerate(chosen, 1):
            path = home / "lfw_home" / "lfw_funneled" / name / f"{name}_{number:04}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = Image.new("RGB", (250, 250), (90, 90, 90))
            picture.paste(Image.fromarray(np.asarray(rgb)).resize((184, 224)), (33, 13))
            picture.save(path, quality=95)
    for name in ("pairsDevTrain.txt", "pairsDevTest.txt", "pairs.txt"):
        (home / "lfw_home" / name).write_text("")


def test_photos_are_fetched_and_a_gallery_is_built(
    tmp_path: Path, orl_photos: list[Photo], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def fetch(data_home: str, **_: object) -> None:
        asked.append(data_home)
        plant(Path(data_home), orl_photos)

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", fetch)
    command = ["gallery", "build", "lfw", "--gallery", str(tmp_path / "lfw")]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["added"] == 4
    assert asked == [str(tmp_path / "data")]
    with Gallery.open(tmp_path / "lfw", None, read_only=True) as gallery:
        assert gallery.people() == {"AJ_Cook": 2, "Aaron_Eckhart": 2}
        assert "Labeled Faces in the Wild" in gallery.provenance.credit
        assert gallery.map() is not None
    assert CliRunner().invoke(app, command).exit_code == 0
    assert len(asked) == 1  # what is there is not fetched again


def test_without_a_network_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(**_: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(sklearn.datasets, "fetch_lfw_people", fetch)
    done = CliRunner().invoke(app, ["gallery", "build", "lfw", "--gallery", str(tmp_path / "lfw")])
    assert done.exit_code != 0
    assert "could not be fetched" in done.output
