"""Training runs from prepared folders to a checkpoint, as `python -m daah train` calls them."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from accelerate import Accelerator

from daah.data.face_set import load_faces
from daah.data.prepare import aligned_landmarks
from daah.data.splits import closed_split, kept_out, open_split
from daah.errors import CheckpointError, DataError
from daah.files import replace_atomically
from daah.models.checkpoint import save_checkpoint
from daah.models.trunk import INPUT_SIZE
from daah.models.trunk_import import load_trunk
from daah.plots import learning_curve, save_figure
from daah.training.loop import (
    LOG_FILE,
    TrainingConfig,
    TrainingReport,
    check_resume,
    train,
    write_log,
)
from daah.training.recipes.demo import DemoSettings, DemoTraining
from daah.training.recipes.paper import PaperRecipe, PaperSettings
from daah.types import ALIGNED_SIZE

#: Maximum number of images per person of the closed set (see `closed_split`).
CLOSED_LIMIT = 100


def train_demo(
    data: Sequence[Path],
    trunk_path: Path,
    out: Path,
    settings: DemoSettings,
    seed: int = 0,
    without: Collection[str] = (),
    resume: bool = False,
) -> TrainingReport:
    """Train the demo network: attention in stages, then the hash layer.

    Writes demo.safetensors, log.csv, learning.png, the bank of covered faces (bank.npz) and a state
    of every stage.

    Args:
        data: prepared trees. Of the first one, people of folds 2 to 4 train (`splits.open_split`),
            but for a tenth (`splits.kept_out`), whom the hash layer is chosen on.
        trunk_path: file written by `import-trunk`.
        out: output folder.
        settings: settings of the recipe.
        seed: seed of everything.
        without: names of people who are left out of training.
        resume: whether to continue the run in `out`.

    Returns:
        The checkpoint and the log.

    Raises:
        CheckpointError: `out` contains a run and `resume` is off, or contains none and it is on; or
            a file of the run cannot be read.
        DataError: a tree or the trunk cannot be read, or the trees have too few people.
    """
    out = Path(out)
    started = out / "demo.json"
    check_resume(out, started.is_file(), resume)
    run = {
        "settings": asdict(settings),
        "seed": seed,
        "data": [Path(path).name for path in data],
        "without": sorted(without),
    }
    if resume and _begun(started) != run:
        raise CheckpointError(
            f"{out} holds a run with other settings, seed, data or people left out: resume it with "
            "those, or choose another folder"
        )
    faces = load_faces(data, size=INPUT_SIZE)
    landmarks = aligned_landmarks(data, faces.names) / (ALIGNED_SIZE / INPUT_SIZE)
    rows = open_split(faces).train
    rows = rows[~np.isin(faces.person_names[rows], sorted(without))]
    others = kept_out(faces, rows)
    rows = np.setdiff1d(rows, others)
    _check_people("training", faces.labels[rows])
    _check_people("choosing the hash layer", faces.labels[others])
    out.mkdir(parents=True, exist_ok=True)
    replace_atomically(started, json.dumps(run, indent=2).encode())
    training = DemoTraining(
        faces.subset(rows),
        landmarks[rows],
        faces.subset(others),
        load_trunk(trunk_path),
        settings,
        seed,
        out,
    )
    metrics = training.run()
    path = out / "demo.safetensors"
    save_checkpoint(
        path,
        training.model,
        training.config,
        name="demo",
        training=training.summary(),
        metrics=metrics,
    )
    write_log(out / LOG_FILE, training.history)
    save_figure(learning_curve(training.history, "map_64", "step"), out / "learning.png")
    return TrainingReport(path, len(training.history) - 1, training.history)


def _begun(path: Path) -> object:
    """What a run that was begun in a folder says of itself."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read ({error}); choose another folder") from error


def _check_people(purpose: str, labels: np.ndarray) -> None:
    """DataError before hours of training, unless people can be told apart and recognised again."""
    sizes = np.unique(labels, return_counts=True)[1]
    if len(sizes) < 2 or sizes.max() < 2:
        raise DataError(
            f"{purpose}: expected two people or more, and two photos of one of them, got "
            f"{len(labels)} photos of {len(sizes)} people. Folds 2 to 4 of the first tree train, a "
            "tenth of them by their names is for choosing the hash layer: add people to that tree"
        )


def train_paper(
    data: Sequence[Path],
    out: Path,
    settings: PaperSettings,
    config: TrainingConfig,
    minimum: int = 20,
    resume: bool = False,
) -> TrainingReport:
    """Train the published network on a closed set.

    The queries of protocol 2 are excluded. A further fifth of each person's training images, drawn
    by the seed, validates every epoch, so that no choice is made on the images that are reported
    on.

    Args:
        data: prepared trees, resized to 32x32.
        out: output folder.
        settings: settings of the recipe.
        config: settings of the loop; its seed also draws the split.
        minimum: people with fewer images are left out.
        resume: whether to continue the run in `out`.

    Returns:
        The best checkpoint and the log.

    Raises:
        CheckpointError: as of `loop.train`.
        DataError: a tree cannot be read, or no person has `minimum` images.
    """
    accelerator = Accelerator()
    faces = load_faces(data, size=32)
    training = faces.subset(closed_split(faces, config.seed, minimum, CLOSED_LIMIT).train)
    inner = closed_split(training, config.seed, minimum=1, maximum=CLOSED_LIMIT)
    recipe = PaperRecipe(
        training.subset(inner.train),
        training.subset(inner.query),
        settings,
        accelerator.device,
        config.seed,
    )
    return train(recipe, out, config, "paper", accelerator, resume)
