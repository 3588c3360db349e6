"""The closed set, on a checkpoint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from daah import codes
from daah.comparison import run as comparison_run
from daah.data.face_set import load_faces
from daah.errors import ConfigError
from daah.evaluation.closed_set import evaluate_closed
from daah.models.encoder import FaceEncoder


def test_evaluate_closed_scores_a_checkpoint(tmp_path: Path, encoder: FaceEncoder) -> None:
    """Noise around two base pictures: a person's images agree in all bits but a few."""
    rng = np.random.default_rng(0)
    for person in ("A", "B"):
        base = rng.integers(0, 256, (224, 224, 3))
        for i in range(5):
            face = np.clip(base + rng.integers(-8, 9, base.shape), 0, 255).astype(np.uint8)
            path = tmp_path / person / f"{i}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(face).save(path)
    report = evaluate_closed(encoder, [tmp_path], bits=(16, 64), minimum=5).to_dict()
    assert (report["people"], report["database"], report["queries"]) == (2, 6, 4)
    assert [r["bits"] for r in report["results"]] == [16, 64]
    faces = load_faces([tmp_path])
    logits, _ = encoder.encode(faces.images)
    split = comparison_run.split_faces(faces, minimum=5)
    assert sorted(split[0].names + split[1].names) == sorted(faces.names)
    database, queries = (
        np.flatnonzero(np.isin(faces.names, part.names)) for part in (split[0], split[1])
    )
    packed = codes.from_logits(logits, 64)
    distance = codes.hamming(packed[queries], packed[database])
    nearest = distance == distance.min(1, keepdims=True)
    own = faces.labels[queries][:, None] == faces.labels[database]
    expected = ((nearest & own).sum(1) / nearest.sum(1)).mean()
    assert report["results"][1]["rank1"] == pytest.approx(expected)
    with pytest.raises(ConfigError, match="20"):
        evaluate_closed(encoder, [tmp_path], bits=(20,), minimum=5)
