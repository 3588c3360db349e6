"""Commands around training: data in, checkpoint out."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Literal

import typer

from daah.cli.console import Aligned, Fold, JsonFile, Progress, about, emit, load_model
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
            help="MobileFace_Identification_V2-0000.params of github.com/becauseofAI/MobileFace."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="FILE.safetensors", help="Output file.")],
    json: JsonFile = None,
) -> None:
    """Read the pretrained trunk that the demo recipe starts from. Only training needs it.

    \b
    Example:
      python -m daah import-trunk MobileFace_Identification_V2-0000.params runs/trunk.safetensors
    """
    from daah.models import trunk_import

    trunk = trunk_import.import_trunk(source)
    out.parent.mkdir(parents=True, exist_ok=True)
    trunk_import.save_trunk(trunk, out)
    parameters = sum(p.numel() for p in trunk.parameters())
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
        typer.Option(help="paper: number of epochs. Default: 1000, as published."),
    ] = None,
    trunk: Annotated[
        Path | None, typer.Option(metavar="FILE", help="demo: a file made by import-trunk.")
    ] = None,
    without: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="demo: people to leave out of training, one name per line."
        ),
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
    """Train a network: --out then holds NAME.safetensors, log.csv and learning.png.

    A run that was killed continues with --resume. The recipe paper validates after every epoch and
    keeps the best; several devices: accelerate launch -m daah train ... The recipe demo has stages;
    attention=false trains its control, without a mask.

    \b
    Examples:
      python -m daah train --recipe demo --data FACES --trunk runs/trunk.safetensors --out runs/demo
      python -m daah train --recipe demo --data FACES --trunk runs/trunk.safetensors \\
        --settings attention=false --out runs/control
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
        report = runs.train_demo(
            data,
            trunk,
            out,
            from_text(DemoSettings, settings),
            seed,
            _names(without) if without else (),
            resume,
        )
    best = report.history[report.best_epoch]
    emit(
        {"checkpoint": str(report.checkpoint), "best_epoch": report.best_epoch, "metrics": best},
        json,
    )


def _names(path: Path) -> list[str]:
    """The lines of a file of names."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no list of names that can be read ({error})") from error
    return [line.strip() for line in lines if line.strip()]


def export(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="NAME.safetensors", help="A trained network.")
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE.onnx", help="Default: NAME.onnx beside the checkpoint."),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Write a checkpoint as one ONNX graph, which the app, this command line and others encode by.

    Aligned face in; logits, mask, and the face as the network is given it out. The graph's metadata
    carry name, code lengths, calibration and fingerprint.

    \b
    Examples:
      python -m daah export runs/demo/demo.safetensors
      python -m daah export runs/demo/demo.safetensors --out checkpoints/demo.onnx
    """
    from daah.models.checkpoint import load_checkpoint
    from daah.models.graph import export_graph

    loaded = load_checkpoint(checkpoint)
    graph = out or checkpoint.with_suffix(".onnx")
    export_graph(loaded, graph)
    emit({"graph": str(graph), "bytes": graph.stat().st_size, "sha256": loaded.fingerprint}, json)


def calibrate(
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="A folder with one folder of photos per person.")
    ],
    checkpoint: Annotated[
        Path,
        typer.Option(
            metavar="NAME.safetensors",
            help="The checkpoint, which gets the calibration, as does NAME.onnx.",
        ),
    ],
    aligned: Aligned = False,
    far: Annotated[
        float,
        typer.Option(metavar="RATE", help="False accept rate of the threshold."),
    ] = 1e-3,
    fold: Fold = None,
    quality: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Photos by person; by the tenth of the training people that networks do not learn "
            "from, the quality of faces is fitted. Not with --aligned.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the calibration and change nothing.")
    ] = False,
    json: JsonFile = None,
) -> None:
    """Fit the probability of the same person at each distance, the limits, and the quality.

    The people must not be in the training set. Codes and galleries stay valid. Without --quality a
    fitted quality is lost, because it belongs to the limits.

    \b
    Examples:
      python -m daah calibrate --images PHOTOS --checkpoint runs/demo/demo.safetensors
      python -m daah calibrate --images LFW --fold 1 --quality LFW \\
        --checkpoint runs/demo/demo.safetensors
      python -m daah calibrate --images CROPS --aligned --checkpoint my.safetensors --dry-run
    """
    from daah.data.labelled_faces import detect_faces, read_faces
    from daah.evaluation.calibrate import calibrate as fit
    from daah.models.checkpoint import load_checkpoint, set_calibration
    from daah.models.graph import export_graph

    if checkpoint.suffix == ".onnx":
        raise ConfigError(
            f"{checkpoint}: a graph is written, not changed; name the checkpoint "
            f"{checkpoint.with_suffix('.safetensors')}, and its graph is written again"
        )
    if quality is not None and aligned:
        raise ConfigError("--quality needs photos, which tell the size of a face; not --aligned")
    encoder = load_model(checkpoint)
    with Progress() as progress:
        faces = read_faces(images, aligned, progress=progress, fold=fold)
        others = detect_faces(quality, progress=progress, kept_out=True) if quality else None
        fitted = fit(encoder, faces, far, progress, others).to_dict()
    if not dry_run:
        set_calibration(checkpoint, fitted)
        export_graph(load_checkpoint(checkpoint), checkpoint.with_suffix(".onnx"))
    emit({"checkpoint": about(encoder), "written": not dry_run, "calibration": fitted}, json)
