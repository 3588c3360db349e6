"""Measure how well faces without names are sorted into people, by B-cubed F.

    python -m benchmarks.clustering --train LFW --images VALIDATION --out docs/results

Both are trees of aligned faces, as `prepare` writes them. The clustering is the gallery's
(`daah/gallery/clusters.py`). Radius and number of neighbours are chosen among all faces of the
training people (folds 2 to 4), by B-cubed F of the tenth of them that the network did not learn
from: it puts photos of those it learned from closer together than photos of anybody else. The
validation people are clustered once with what was chosen.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.quality import on_stderr
from benchmarks.report import write
from daah import codes
from daah.data import splits
from daah.data.labelled_faces import read_aligned
from daah.evaluation.encoding import encode_faces
from daah.gallery.clusters import density_clusters
from daah.metrics import BCubed, bcubed, bcubed_of_faces
from daah.models.encoder import Encoder, load_encoder
from daah.stores.base import CodeSpec, CodeStore, Meta
from daah.stores.factory import open_store
from daah.types import ALIGNMENT

#: Code lengths that are measured.
LENGTHS = (64, 128, 256)

#: Radii to choose from, as shares of the code length.
SHARES = tuple(n / 64 for n in range(6, 24))

#: Numbers of neighbours to choose from.
NEIGHBOURS = (2, 3, 4)

#: Samples of the bootstrap.
_SAMPLES = 1000


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, and write clustering.json."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, metavar="DIR", help="training people")
    parser.add_argument("--images", type=Path, required=True, metavar="DIR", help="other people")
    parser.add_argument("--name", default="aligned faces", help="what the report calls the others")
    parser.add_argument("--checkpoint", type=Path, default=Path("checkpoints/demo.onnx"))
    parser.add_argument("--out", type=Path, default=Path("docs/results"))
    chosen = parser.parse_args(arguments)
    encoder = load_encoder(chosen.checkpoint)
    train, others = Sample.read(encoder, chosen.train), Sample.read(encoder, chosen.images)
    folds = np.array([splits.fold(person) for person in train.people])
    trained = ~np.isin(folds, (splits.VALIDATION_FOLD, splits.TEST_FOLD))
    report = measure(encoder, train.of(trained), others, chosen.name)
    write(report, chosen.out / "clustering.json")


@dataclass(frozen=True, eq=False)
class Sample:
    """Codes of labelled faces: people (N,) str, logits (N, K) float32."""

    people: np.ndarray
    logits: np.ndarray

    @classmethod
    def read(cls, encoder: Encoder, folder: Path) -> Sample:
        """Encode a tree of aligned faces."""
        faces = read_aligned(folder, on_stderr)
        return cls(faces.labels, encode_faces(encoder, faces.aligned, on_stderr))

    def of(self, rows: np.ndarray) -> Sample:
        """Some of the faces."""
        return Sample(self.people[rows], self.logits[rows])


def measure(encoder: Encoder, train: Sample, others: Sample, name: str) -> dict[str, object]:
    """Choose the settings on `train`, and cluster `others` with them, at each length.

    Args:
        encoder: the model of both.
        train: training people.
        others: people that training never saw.
        name: what the report calls them.

    Returns:
        The report, of plain JSON values.
    """
    kept_out = np.array([splits.is_kept_out(person) for person in train.people])
    results = []
    for bits in LENGTHS:
        score, radius, neighbours = choose(encoder, train, kept_out, bits)
        found = cluster(encoder, others, [(radius, neighbours)], bits)[0]
        results.append(
            {
                "bits": bits,
                "radius": radius,
                "neighbours": neighbours,
                "train": scores(score),
                **described(others.people, found),
            }
        )
    return {
        "data": name,
        "protocol": "clustering",
        "images": len(others.people),
        "people": len(np.unique(others.people)),
        "train": {
            "images": len(train.people),
            "people": len(np.unique(train.people)),
            "scored_images": int(kept_out.sum()),
            "scored_people": len(np.unique(train.people[kept_out])),
        },
        "checkpoint": {
            "name": encoder.name,
            "recipe": encoder.recipe,
            "sha256": encoder.fingerprint,
        },
        "results": results,
    }


def choose(
    encoder: Encoder, train: Sample, scored: np.ndarray, bits: int
) -> tuple[BCubed, int, int]:
    """Settings with the best F over the scored faces; of equal ones, the smaller radius."""
    settings = [
        (radius, neighbours)
        for radius in sorted({int(share * bits) for share in SHARES})
        for neighbours in NEIGHBOURS
    ]
    best = None
    for found, (radius, neighbours) in zip(
        cluster(encoder, train, settings, bits), settings, strict=True
    ):
        precision, recall = bcubed_of_faces(train.people, found)
        score = BCubed(float(precision[scored].mean()), float(recall[scored].mean()))
        if best is None or score.f > best[0].f:
            best = score, radius, neighbours
    assert best is not None
    return best


def cluster(
    encoder: Encoder, sample: Sample, settings: Sequence[tuple[int, int]], bits: int
) -> list[np.ndarray]:
    """Cluster of each face by the gallery's own store and clustering, for each of the settings."""
    packed, ids = codes.pack(sample.logits > 0), np.arange(len(sample.people))
    with tempfile.TemporaryDirectory() as folder:
        spec = CodeSpec(encoder.bits, encoder.fingerprint, ALIGNMENT)
        store: CodeStore = open_store(f"sqlite:{Path(folder) / 'codes.sqlite'}", spec)
        try:
            store.upsert(ids, packed, [Meta("face", str(id_), 0.0) for id_ in ids.tolist()])
            return [
                density_clusters(store, ids, packed, radius, bits, neighbours)
                for radius, neighbours in settings
            ]
        finally:
            store.close()


def scores(found: BCubed) -> dict[str, float]:
    """Precision, recall and F as a report has them."""
    return {"precision": found.precision, "recall": found.recall, "f": found.f}


def described(people: np.ndarray, clusters: np.ndarray) -> dict[str, object]:
    """Scores of a clustering, the interval of F over people, and the number of clusters."""
    _, sizes = np.unique(clusters, return_counts=True)
    return {
        **scores(bcubed(people, clusters)),
        "f_ci95": interval(*bcubed_of_faces(people, clusters), people),
        "clusters": int((sizes > 1).sum()),
        "alone": int((sizes == 1).sum()),
    }


def interval(precision: np.ndarray, recall: np.ndarray, people: np.ndarray) -> list[float]:
    """95% interval of F by a bootstrap over people, as all photos of one are correlated."""
    _, place = np.unique(people, return_inverse=True)
    sums = np.stack([np.bincount(place, weights=values) for values in (precision, recall)])
    faces = np.bincount(place)
    persons = len(faces)
    drawn = np.random.default_rng(0).multinomial(
        persons, np.full(persons, 1 / persons), size=_SAMPLES
    )
    mean_precision, mean_recall = (drawn @ sums.T / (drawn @ faces)[:, None]).T
    f = 2 * mean_precision * mean_recall / (mean_precision + mean_recall)
    return [float(value) for value in np.quantile(f, [0.025, 0.975])]


if __name__ == "__main__":
    main()
