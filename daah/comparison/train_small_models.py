"""Training of the small baselines that are shipped."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from daah.comparison.methods.base import Budget, StoredMethod
from daah.comparison.methods.classification import DDQH
from daah.comparison.methods.deep import DeepHasher
from daah.comparison.methods.features import LBP
from daah.comparison.methods.itq import ITQ
from daah.comparison.methods.kernel import SDH
from daah.comparison.methods.lsh import LSH
from daah.comparison.methods.pairwise import DSH
from daah.comparison.methods.softmax_start import SoftmaxTrunk
from daah.comparison.small_models import SHIPPED, ComparisonModels, load_models, save_models
from daah.data.face_set import FaceSet
from daah.metrics.query_database import score_codes

#: Random anchors of the shipped SDH: fewer than in the comparison, for the file's size.
SDH_ANCHORS = 300
#: Settings other than the defaults, as tuning chose them in the comparison.
_SETTINGS: dict[str, dict[str, Any]] = {
    "SDH": {"anchors": SDH_ANCHORS, "width": 0.5},
    "DDQH": {"lr": 3e-3},
}
_METHODS: dict[str, type[StoredMethod]] = {
    "LSH": LSH,
    "ITQ": ITQ,
    "SDH": SDH,
    "DSH": DSH,
    "DDQH": DDQH,
}


def make_models(
    train: FaceSet,
    query: FaceSet,
    path: Path,
    bits: int = 48,
    budget: Budget | None = None,
    start_epochs: int = 12,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> ComparisonModels:
    """Fit the shipped methods, write them, and return them as they are read back.

    The card has the mAP of the stored models on `query` by protocol 2.

    Args:
        train: 32x32 training images, which are also the database.
        query: 32x32 queries.
        path: the file.
        bits: code length.
        budget: training budget of the deep methods; None has 12 epochs.
        start_epochs: epochs of the common initialisation.
        seed: seed of all random numbers.
        progress: called with steps done, their number, and the step.

    Returns:
        The methods.

    Raises:
        ValueError: the arrays take more than `MAX_BYTES`.
    """
    budget = budget or Budget(epochs=12)
    lbp = LBP()
    lbp.fit(train.images, train.labels)
    features = lbp.transform(train.images)
    start = SoftmaxTrunk(seed, replace(budget, epochs=start_epochs))
    steps = ("common start", *SHIPPED)
    methods: dict[str, StoredMethod] = {}
    for done, name in enumerate(steps):
        if progress is not None:
            progress(done, len(steps), name)
        if name == "common start":
            start.fit(train.images, train.labels)
            continue
        method = methods[name] = _METHODS[name](bits, seed, budget, **_SETTINGS.get(name, {}))
        if isinstance(method, DeepHasher):
            method.initial = start.stages()
        method.fit(features if method.inputs == "features" else train.images, train.labels)
    card = {
        "people": len(train.people),
        "images": len(train),
        "queries": len(query),
        "epochs": budget.epochs,
        "start_epochs": start_epochs,
        "seed": seed,
    }
    save_models(path, methods, lbp, bits, card)
    stored = load_models(path)
    asked, known = stored.encode(query.images), stored.encode(train.images)
    card["map"] = {
        name: round(score_codes(asked[name], known[name], query.labels, train.labels).map, 4)
        for name in stored.names
    }
    save_models(path, methods, lbp, bits, card)
    if progress is not None:
        progress(len(steps), len(steps), "done")
    return load_models(path)
