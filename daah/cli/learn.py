"""Commands around training: data in, checkpoint out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daah.cli.console import JsonFile, Progress, about, emit, load_model


def calibrate(
    images: Annotated[
        Path, typer.Option(metavar="DIR", help="A folder with one folder of photos a person.")
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
        typer.Option(metavar="RATE", help="Different-person pairs that the threshold lets pass."),
    ] = 1e-3,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the calibration and change nothing.")
    ] = False,
    json: JsonFile = None,
) -> None:
    """Fit what a distance means: probability of the same person, and the threshold.

    The people must be strangers to training. Codes and galleries stay valid.

    \b
    Examples:
      python -m daah calibrate --images PHOTOS --checkpoint runs/demo/demo.safetensors
      python -m daah calibrate --images CROPS --aligned --checkpoint my.safetensors --dry-run
    """
    from daah.calibrating import calibrate as fit
    from daah.models.checkpoint import set_calibration

    encoder = load_model(checkpoint)
    with Progress() as progress:
        fitted = fit(encoder, images, aligned, far, progress=progress).to_dict()
    if not dry_run:
        set_calibration(checkpoint, fitted)
    emit({"checkpoint": about(encoder), "written": not dry_run, "calibration": fitted}, json)
