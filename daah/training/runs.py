"""Training runs from prepared folders to a checkpoint, as `python -m daah train` calls them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from accelerate import Accelerator

from daah.data.face_set import load_faces
from daah.data.splits import closed_split, open_split
from daah.models.checkpoint import load_checkpoint
from daah.models.trunk_import import load_trunk
from daah.training.loop import TrainingConfig, TrainingReport, train
from daah.training.recipes.demo import DemoRecipe, DemoSettings
from daah.training.recipes.paper import PaperRecipe, PaperSettings
from daah.training.teacher import cached_embeddings

#: Maximum number of images per person of the closed set (see `closed_split`).
CLOSED_LIMIT = 100


def train_demo(
    data: Sequence[Path],
    trunk_path: Path,
    out: Path,
    settings: DemoSettings,
    config: TrainingConfig,
    resume: bool = False,
    start: Path | None = None,
) -> TrainingReport:
    """Fine-tune the transferred trunk to nested codes.

    The teacher's embeddings are computed once and cached in `out`.

    Args:
        data: prepared trees; people of fold 1 of the first one validate (`data.splits.open_split`).
        trunk_path: file written by `import-trunk`.
        out: output folder.
        settings: settings of the recipe.
        config: settings of the loop.
        resume: whether to continue the run in `out`.
        start: checkpoint of this recipe to initialise from, instead of fitting hash layer and
            spatial network to the trunk.

    Returns:
        The best checkpoint and the log.

    Raises:
        CheckpointError: `start` cannot be read, or as of `loop.train`.
        ConfigError: `start` is of another recipe or length.
        DataError: a tree, the trunk or the teacher's cache cannot be read.
    """
    accelerator = Accelerator()
    faces = load_faces(data)
    split = open_split(faces)
    trunk, linear = load_trunk(trunk_path)
    Path(out).mkdir(parents=True, exist_ok=True)
    with accelerator.main_process_first():
        teacher = cached_embeddings(trunk, linear, faces, Path(out) / "teacher.npz")
    recipe = DemoRecipe(
        faces.subset(split.train),
        faces.subset(split.validation),
        teacher[split.train],
        trunk,
        linear,
        settings,
        accelerator.device,
        config.seed,
    )
    if start is not None:
        recipe.start_from(load_checkpoint(start))
    elif not resume:
        recipe.fit_hash_layer()
        recipe.fit_spatial_network()
    return train(recipe, out, config, "demo", accelerator, resume)


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
