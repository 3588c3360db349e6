"""Commands of the Hugging Face Hub: write a model's repository as a folder, and upload it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daah.cli.console import JsonFile, application, emit

app = application("Publish a model on the Hugging Face Hub.")


@app.command()
def write(
    checkpoint: Annotated[
        Path, typer.Argument(metavar="NAME.onnx", help="A model; NAME.safetensors goes along.")
    ],
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where to write.")],
    report: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="JSON of evaluate or evaluate-closed, for the card; may be repeated. Default: the"
            " committed reports on this model.",
        ),
    ] = None,
    licence: Annotated[
        str, typer.Option("--license", metavar="ID", help="Licence of the weights, as the Hub's.")
    ] = "mit",
    json: JsonFile = None,
) -> None:
    """Write what a model's repository holds: the model, its card, and licences.

    The card's evaluation results are those of the reports.

    \b
    Examples:
      python -m daah hub write checkpoints/demo.onnx demo-on-the-hub
    """
    from daah.evaluation.hub_card import write_repository

    files = write_repository(checkpoint, folder, tuple(report or ()), licence)
    emit({"folder": str(folder), "files": files}, json)


@app.command()
def push(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="As hub write makes it.")],
    name: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="The repository.")],
    public: Annotated[
        bool, typer.Option("--public", help="Make a new repository a public one.")
    ] = False,
    revision: Annotated[
        str | None, typer.Option(metavar="BRANCH", help="An existing branch. Default: main.")
    ] = None,
    json: JsonFile = None,
) -> None:
    """Upload such a folder to the Hub, with the token of `hf auth login` or of HF_TOKEN.

    \b
    Examples:
      python -m daah hub push demo-on-the-hub OWNER/NAME
    """
    from daah.models.hub import push_to_hub

    emit({"commit": push_to_hub(folder, name, private=not public, revision=revision)}, json)
