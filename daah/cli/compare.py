"""Commands of protocol 2, the paper's closed set: a checkpoint, and every method compared."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from daah.cli.console import JsonFile, Progress, emit, numbers
from daah.errors import ConfigError

Data = Annotated[
    list[Path],
    typer.Option(metavar="DIR", help="A tree of faces as prepare writes it; repeatable."),
]
Minimum = Annotated[int, typer.Option(min=2, help="People with fewer images are left out.")]
Maximum = Annotated[int, typer.Option(min=2, help="Images per person, the first by name.")]


def compare(
    data: Annotated[
        list[Path] | None,
        typer.Option(metavar="DIR", help="A tree of faces as prepare writes it; repeatable."),
    ] = None,
    layout: Annotated[
        Literal["prepared", "facescrub", "youtube-faces", "batches"],
        typer.Option(help="Layout of --data. All but prepared are one folder, split as published."),
    ] = "prepared",
    out: Annotated[Path, typer.Option(metavar="DIR", help="Output folder.")] = Path("runs/compare"),
    work: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Finished jobs, for resuming. Default: OUT/work."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="All methods on ORL, few epochs, in minutes.")
    ] = False,
    methods: Annotated[
        str | None, typer.Option(metavar="LIST", help="Such as ITQ,KSH,DDAH. Default: all.")
    ] = None,
    bits: Annotated[str | None, typer.Option(metavar="LIST", help="Default: 12,24,36,48.")] = None,
    seeds: Annotated[
        int | None, typer.Option(min=1, help="Seeds at 48 bits. Default: 3, with --quick 1.")
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Epochs of deep methods. Default: 12, with --quick 8.")
    ] = None,
    start_epochs: Annotated[
        int, typer.Option(min=1, help="Epochs of the trunk that every deep method starts from.")
    ] = 12,
    tuning: Annotated[
        float | None,
        typer.Option(help="Share of the epochs for each tuning run; 0: no tuning. Default: 0.5."),
    ] = None,
    features: Annotated[
        bool, typer.Option(help="Also run shallow methods on pixels and trunk features.")
    ] = True,
    ablation: Annotated[bool, typer.Option(help="Also run DDAH with parts removed.")] = True,
    minimum: Minimum = 20,
    maximum: Maximum = 100,
    json: JsonFile = None,
) -> None:
    """Compare DDAH, the hashing methods that it cites and later ones, with one budget (protocol 2).

    Writes compare.json, compare.md and curves to --out after every finished job.
    Resumable: the same command continues where the last one stopped.

    \b
    Examples:
      python -m daah compare --quick
      python -m daah compare --data FACES --out runs/compare
      python -m daah compare --data FACES --methods ITQ,DDAH --bits 48 --out runs/two
      python -m daah compare --layout facescrub --data FACESCRUB --out runs/facescrub
    """
    from daah.comparison.data import closed_data, orl_data, published_data
    from daah.comparison.jobs import ComparisonSettings
    from daah.comparison.methods import METHODS
    from daah.comparison.methods.base import Budget
    from daah.comparison.run import compare as run

    if quick == bool(data):
        raise ConfigError("expected --data DIR, or --quick to compare on ORL")
    settings = ComparisonSettings(
        methods=tuple(m.strip() for m in methods.split(",")) if methods else tuple(METHODS),
        bits=numbers(bits) or (12, 24, 36, 48),
        seeds=seeds or (1 if quick else 3),
        budget=Budget(epochs=epochs or (8 if quick else 12)),
        start_epochs=start_epochs,
        tuning=(0.0 if quick else 0.5) if tuning is None else tuning,
        features=features and not quick,
        ablation=ablation and not quick,
    )
    if quick:
        faces = orl_data()
    elif layout == "prepared":
        faces = closed_data(data or [], minimum, maximum)
    else:
        with Progress() as progress:
            faces = published_data(layout, data or [], progress)
    report = run(faces, settings, work or out / "work", out, _command())
    if json is not None:
        emit(report, json)
    else:
        emit({"rows": len(report["rows"]), "written": str(out / "compare.json")}, None)


def compare_models(
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Default: checkpoints/baselines/48.safetensors."),
    ] = None,
    bits: Annotated[int, typer.Option(min=1, help="Length of every code.")] = 48,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs of the deep methods.")] = 12,
    start_epochs: Annotated[
        int, typer.Option(min=1, help="Epochs of the trunk that the deep methods start from.")
    ] = 12,
    minimum: Minimum = 20,
    maximum: Maximum = 100,
    seed: Annotated[int, typer.Option(help="Random seed.")] = 0,
    json: JsonFile = None,
) -> None:
    """Fit the small models of the comparison that the app shows, and store them as float16.

    \b
    Example:
      python -m daah compare-models --data FACES
    """
    from daah.comparison.data import closed_data
    from daah.comparison.methods.base import Budget
    from daah.comparison.small_models import DEFAULT
    from daah.comparison.train_small_models import make_models

    faces = closed_data(data, minimum, maximum)
    path = out or DEFAULT
    with Progress() as progress:
        models = make_models(
            faces.train,
            faces.query,
            path,
            bits,
            Budget(epochs=epochs),
            start_epochs,
            seed,
            progress,
        )
    emit({"written": str(path), "methods": list(models.names), **models.card}, json)


def _command() -> str:
    """The command as it was given, without the folder of this package."""
    return shlex.join(["python", "-m", "daah", *sys.argv[1:]])
