"""What the comparison runs on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from daah.comparison import data as comparison_data
from daah.comparison.data import ClosedData
from daah.data.face_set import FaceSet
from daah.errors import ConfigError, DataError


def test_orl_is_split_without_a_face_on_both_sides() -> None:
    data = comparison_data.orl_data()
    assert not set(data.train.names) & set(data.query.names)
    assert np.bincount(data.train.labels).tolist() == [8] * 40
    assert np.bincount(data.query.labels).tolist() == [2] * 40
    with pytest.raises(DataError, match="different people"):
        ClosedData("x", data.train, replace(data.query, people=("a",)))


def test_compare_reads_batches(tmp_path: Path, small: ClosedData) -> None:
    for name, part in (("train", small.train), ("test", small.query)):
        np.savez(tmp_path / f"{name}.npz", images=part.images, labels=part.labels)
    data = comparison_data.published_data("batches", [tmp_path])
    np.testing.assert_array_equal(data.train.images, small.train.images)
    assert isinstance(data.query, FaceSet)
    with pytest.raises(ConfigError, match="one folder"):
        comparison_data.published_data("facescrub", [tmp_path, tmp_path])
