"""Commands around training: data in, checkpoint out."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Literal

import typer

from daah.cli.console import Fold, JsonFile, Progress, about, emit, load_model
from daah.errors import ConfigError


def prepare(
    src: Annotated[
        Path, typer.Argument(metavar="SRC", help="A folder with one folder of photos per person.")
    ],
    dst: Annotated[Path, typer.Argument(metavar="DST", help="Output folder of the aligned faces.")],
    workers: Annotated[int, typer.Option(metavar="N", min=0, help="Worker processes.")] = 2,
    file_format: Annotated[
        Literal["jpg", "png"], typer.Option("--format", help="png is lossless, and larger.")
    ] = "jpg",
    min_face: Annotated[
        float | None,
        typer.Option(metavar="PIXELS", help="Smallest face. Default: depends on the photo's size."),
    ] = None,
    cropped: Annotated[
        bool,
        typer.Option(
            "--cropped",
            help="The images are faces that are already aligned, as for ArcFace (112x112).",
        ),
    ] = False,
    json: JsonFile = None,
) -> None:
    """Detect, align and save the face of every photo in a folder tree.

    Resumable: photos that were processed are not read again. Photos
    without a face, or that cannot be read, are reported with the reason.

    \b
    Examples:
      python -m daah prepare PHOTOS FACES
      python -m daah prepare CROPS FACES --cropped
      python -m daah prepare PHOTOS FACES --format png --workers 8 --json report.json
    """
    from daah.data.prepare import prepare as prepare_faces

    with Progress() as progress:
        report = prepare_faces(src, dst, workers, file_format, min_face, progress, cropped)
    emit(report.to_dict(), json)


def import_trunk(
    source: Annotated[
        Path,
        typer.Argument(
            help="dlib_face_recognition_resnet_model_v1.dat of PyPI's face-recognition-models, or"
            " the model folder of npm's @vladmandic/face-api."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="FILE.safetensors", help="Output file.")],
    json: JsonFile = None,
) -> None:
    """Read the pretrained trunk that the demo recipe starts from. Only training needs it.

    \b
    Example:
      python -m daah import-trunk dlib_face_recognition_resnet_model_v1.dat runs/trunk.safetensors
    """
    from daah.models import trunk_import

    trunk, linear = trunk_import.import_trunk(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    trunk_import.save_trunk(trunk, linear, out)
    parameters = sum(p.numel() for p in trunk.parameters()) + linear.numel()
    emit({"trunk": str(out), "parameters": parameters}, json)


class RecipeName(enum.StrEnum):
    """What `train` knows to train."""

    paper = "paper"
    demo = "demo"


def train(
    recipe: Annotated[RecipeName, typer.Option(help="The published network, or the demo's.")],
    data: Annotated[
        list[Path],
        typer.Option(metavar="DIR", help="A tree of faces as prepare writes it; repeatable."),
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of this run.")],
    epochs: Annotated[
        int | None,
        typer.Option(
            help="Default: 1000 for paper, as published; 12 for demo, after hash layer and spatial"
            " network were trained separately."
        ),
    ] = None,
    trunk: Annotated[
        Path | None, typer.Option(metavar="FILE", help="demo: a file made by import-trunk.")
    ] = None,
    start: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="demo: a checkpoint of this recipe to start from."),
    ] = None,
    settings: Annotated[
        str | None,
        typer.Option(
            metavar="NAME=VALUE,...",
            help="Settings of the recipe that differ from its defaults, such as bits=24,batch=64.",
        ),
    ] = None,
    minimum: Annotated[
        int, typer.Option(help="paper: people with fewer images are left out.")
    ] = 20,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue after the last epoch in --out.")
    ] = False,
    json: JsonFile = None,
) -> None:
    """Train a network; validate, log, draw the curve and save the best after every epoch.

    --out then holds NAME.safetensors, log.csv, learning.png and state.pt. A run that was killed
    continues with --resume. Several devices: accelerate launch -m daah train ...

    \b
    Examples:
      python -m daah train --recipe demo --data FACES --trunk runs/trunk.safetensors --out runs/demo
      python -m daah train --recipe demo --data FACES --trunk runs/trunk.safetensors \\
        --start runs/demo/demo.safetensors --settings unmasked_until=0,mask_warmup=0 --out runs/on
      python -m daah train --recipe paper --data FACES --out runs/paper --settings bits=24
    """
    from daah.config import from_text
    from daah.training import runs
    from daah.training.loop import TrainingConfig
    from daah.training.recipes.demo import DemoSettings
    from daah.training.recipes.paper import PaperSettings

    if recipe is RecipeName.paper:
        report = runs.train_paper(
            data,
            out,
            from_text(PaperSettings, settings),
            TrainingConfig(1000 if epochs is None else epochs, seed=seed),
            minimum,
            resume,
        )
    else:
        if trunk is None:
            raise ConfigError("recipe demo needs --trunk FILE; 'import-trunk' makes one")
        if resume and start:
            raise ConfigError("--resume continues a run, --start begins one: give only one of them")
        report = runs.train_demo(
            data,
            trunk,
            out,
            from_text(DemoSettings, settings),
            TrainingConfig(12 if epochs is None else epochs, average=0.99, seed=seed),
            resume,
            start,
        )
    best = report.history[report.best_epoch]
    emit(
        {"checkpoint": str(report.checkpoint), "best_epoch": report.best_epoch, "metrics": best},
        json,
    )


def calibrate(
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="A folder with one folder of photos per person.")
    ],
    checkpoint: Annotated[
        Path, typer.Option(metavar="FILE", help="The checkpoint, which gets the calibration.")
    ],
    aligned: Annotated[
        bool,
        typer.Option("--aligned", help="The tree holds aligned crops, as prepare writes them."),
    ] = False,
    far: Annotated[
        float,
        typer.Option(metavar="RATE", help="False accept rate of the threshold."),
    ] = 1e-3,
    fold: Fold = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the calibration and change nothing.")
    ] = False,
    json: JsonFile = None,
) -> None:
    """Fit the probability of the same person at each distance, and the threshold.

    The people must not be in the training set. Codes and galleries stay valid.

    \b
    Examples:
      python -m daah calibrate --images PHOTOS --checkpoint runs/demo/demo.safetensors
      python -m daah calibrate --images LFW --fold 1 --checkpoint runs/demo/demo.safetensors
      python -m daah calibrate --images CROPS --aligned --checkpoint my.safetensors --dry-run
    """
    from daah.data.labelled_faces import read_faces
    from daah.evaluation.calibrate import calibrate as fit
    from daah.models.checkpoint import set_calibration

    encoder = load_model(checkpoint)
    with Progress() as progress:
        faces = read_faces(images, aligned, progress=progress, fold=fold)
        fitted = fit(encoder, faces, far, progress).to_dict()
    if not dry_run:
        set_calibration(checkpoint, fitted)
    emit({"checkpoint": about(encoder), "written": not dry_run, "calibration": fitted}, json)
