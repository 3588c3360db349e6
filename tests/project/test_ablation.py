"""benchmarks/ablation.py: what is compared with what."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from benchmarks import ablation
from daah.config import from_text
from daah.data.labelled_faces import LabelledFaces, detect_faces
from daah.retrieval.loading import DEFAULT_CHECKPOINT
from daah.training.recipes.demo import DemoSettings
from tests.doubles.faces import FramedFaceDetector, write_tree


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> LabelledFaces:
    tree = write_tree(tmp_path_factory.mktemp("tree"), [3, 1, 2])
    return detect_faces(tree, FramedFaceDetector())


def test_every_network_is_compared_with_the_complete_one(
    faces: LabelledFaces, tmp_path: Path
) -> None:
    for folder in ablation.VARIANTS:
        (tmp_path / folder).mkdir()
        shutil.copy(
            DEFAULT_CHECKPOINT.with_suffix(".safetensors"), tmp_path / folder / "demo.safetensors"
        )
    found = ablation.measure(faces, tmp_path)
    assert found.pop("queries") == 5  # the one without a mate is none
    assert [row["name"] for row in found.values()] == [
        name for name, _ in ablation.VARIANTS.values()
    ]
    for row in found.values():
        assert {key: row[key] for key in row if key != "name" and key != "settings"} == {
            key: found["demo"][key] for key in row if key != "name" and key != "settings"
        }
        for kind in ("clean", "covered"):
            assert row[f"{kind}_128_loss"] == [0, 0, 0]
            assert 0 < row[f"{kind}_128"] <= 1


def test_each_variant_is_one_that_train_can_make() -> None:
    plain = DemoSettings()
    for folder, (_, settings) in ablation.VARIANTS.items():
        assert (from_text(DemoSettings, settings or None) == plain) == (folder == "demo")
