"""Shipped baselines: what is stored encodes as what was fitted, and a gallery of ORL answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from daah import codes
from daah.comparison import data as comparison_data
from daah.comparison import small_models, train_small_models
from daah.comparison.methods.base import Budget
from daah.comparison.methods.features import LBP
from daah.comparison.small_models import (
    SHIPPED,
    ComparisonModels,
    load_models,
    save_models,
)
from daah.comparison.train_small_models import make_models
from daah.errors import CheckpointError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[ComparisonModels, dict, Path]:
    """Models of ORL after one epoch, the same before they were stored, and their file."""
    data = comparison_data.orl_data()
    fitted: dict = {}
    path = tmp_path_factory.mktemp("models") / "16.safetensors"
    save = small_models.save_models

    def keep(path: Path, methods: dict, *rest: object) -> None:
        fitted.update(methods)
        save(path, methods, *rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(train_small_models, "save_models", keep)
        models = make_models(data.train, data.query, path, 16, Budget(epochs=1), start_epochs=2)
    return models, fitted, path


@pytest.mark.parametrize("name", SHIPPED)
def test_stored_methods_encode_as_fitted(made, name: str) -> None:
    models, fitted, _ = made
    images = comparison_data.orl_data().query.images
    stored = models.encode(images)[name]
    lbp = LBP()
    lbp.fit(comparison_data.orl_data().train.images, np.zeros(0))
    x = lbp.transform(images) if fitted[name].inputs == "features" else images
    agree = codes.sign(stored) == codes.sign(fitted[name].encode(x))
    assert agree.mean() > 0.985
    assert stored.shape == (80, 16)
    assert stored.dtype == np.float32


def test_the_card_says_how_good_they_are(made) -> None:
    models, _, path = made
    assert set(models.card["map"]) == set(SHIPPED)
    assert models.card["map"]["SDH"] > models.card["map"]["LSH"]
    assert (models.card["people"], models.card["images"]) == (40, 320)
    assert path.stat().st_size < 10 * 2**20


def test_a_gallery_finds_a_face_itself_first(made) -> None:
    models, _, _ = made
    faces = comparison_data.orl_data().train.images[:60]
    gallery = models.gallery(faces)
    found = gallery.search(models.encode(faces), k=3)
    assert set(found) == set(SHIPPED)
    for rows, distances in found.values():
        assert rows.shape == distances.shape == (60, 3)
        assert (distances[:, 0] == 0).all()
        assert (np.diff(distances, axis=1) >= 0).all()
    row, distance = found["ITQ"]
    packed = gallery.packed["ITQ"]
    expected = codes.hamming(packed, packed)
    np.testing.assert_array_equal(np.sort(expected, 1)[:, :3], distance)
    np.testing.assert_array_equal(np.take_along_axis(expected, row, 1), distance)


def test_aligned_faces_are_made_smaller(made) -> None:
    models, _, _ = made
    large = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), np.uint8)
    assert models.encode(large)["DSH"].shape == (2, 16)
    flat = np.full((1, 224, 224, 3), 70, np.uint8)
    small = np.full((1, 32, 32, 3), 70, np.uint8)
    np.testing.assert_allclose(models.encode(flat)["DSH"], models.encode(small)["DSH"])
    with pytest.raises(ValueError, match="32, 32, 3"):
        models.encode(large.astype(np.float32))


def test_the_shipped_file_loads_and_knows_people_it_never_saw() -> None:
    """On ORL every method beats chance at the first place by far, strangers though they are."""
    models = load_models()
    assert models.names == SHIPPED
    assert models.bits == 48
    data = comparison_data.orl_data()
    found = models.gallery(data.train.images).search(models.encode(data.query.images), k=1)
    for rows, _ in found.values():
        right = data.train.labels[rows[:, 0]] == data.query.labels
        assert right.mean() > 0.3  # chance is 1 in 40


def test_damage_is_told(made, tmp_path: Path) -> None:
    whole = made[2].read_bytes()
    for name, content in (("cut", whole[:5000]), ("empty", b""), ("text", b"x" * 100)):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match="damaged"):
            load_models(path)
    with pytest.raises(CheckpointError, match="missing"):
        load_models(tmp_path / "absent")


def test_large_files_are_not_written(made, tmp_path: Path, monkeypatch) -> None:
    models, fitted, _ = made
    monkeypatch.setattr(small_models, "MAX_BYTES", 1000)
    with pytest.raises(ValueError, match="at most 1000"):
        save_models(tmp_path / "x", fitted, models.lbp, 16, {})
    assert not list(tmp_path.iterdir())
