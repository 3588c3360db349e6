"""From prepared folders to a checkpoint: what `python -m daah train` calls."""

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

#: Images per person and folder of the closed set (see `closed_set`).
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
    """Fine-tune the transferred trunk into nested codes.

    start: a checkpoint of this recipe to go on from, in place of fitting hash layer and spatial
    network to the trunk. Raises ConfigError when it is of another recipe or length.

    data: prepared trees; the first one's fold-1 people validate (`data.open_split`). trunk_path:
    a file of `import-trunk`. The teacher's embeddings are computed once and kept in `out`.
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
    """Train the published network on a closed set: people with at least `minimum` images.

    The queries of protocol 2 stay out: a further fifth of each person's training images, drawn by
    the seed, validates every epoch, so that nothing is chosen on the images reported on.
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
