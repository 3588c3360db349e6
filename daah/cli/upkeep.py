"""Commands that keep a gallery in order: copies, checks, figures."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Annotated

import typer

from daah.cli.console import (
    CheckpointFile,
    FacesFolder,
    GalleryToWrite,
    GalleryUri,
    JsonFile,
    Progress,
    emit,
    load_model,
    open_text,
)
from daah.cli.gallery import entry_facts, facts, open_gallery, place
from daah.errors import ConfigError


def register(app: typer.Typer) -> None:
    """Add these commands to a group.

    Args:
        app: the group.
    """
    for command in (compact, export, copy, verify, stats, renew):
        app.command()(command)


def compact(
    gallery: GalleryToWrite,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Give the space of removed entries back to the disk.

    Removed entries are deleted without it; this makes the file smaller, on a server too.

    \b
    Example:
      python -m daah gallery compact --gallery my-gallery
    """
    with Progress() as progress, open_gallery(gallery, folder, progress, read_only=False) as opened:
        opened.compact()
        emit(facts(opened), json)


def export(
    target: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="Ends in .jsonl or .parquet; - is JSONL on stdout."),
    ],
    gallery: GalleryUri = None,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Write every entry: id, person, photo, time, and the code as hexadecimal digits.

    \b
    Examples:
      python -m daah gallery export codes.jsonl
      python -m daah gallery export codes.parquet --gallery my-gallery
    """
    from daah.gallery import export_jsonl, export_parquet

    with Progress() as progress, open_gallery(gallery, folder, progress) as opened:
        if str(target) == "-":
            export_jsonl(opened, sys.stdout)
            return
        if target.suffix.lower() == ".parquet":
            count = export_parquet(opened, target)
        elif target.suffix.lower() in (".jsonl", ".ndjson"):
            with open_text(target) as file:
                count = export_jsonl(opened, file)
        else:
            raise ConfigError(f"{target}: expected a name that ends in .jsonl or .parquet")
        emit(facts(opened) | {"exported": count, "file": str(target)}, json)


def copy(
    target: Annotated[str, typer.Argument(metavar="TO", help="URI of the gallery to copy to.")],
    gallery: GalleryUri = None,
    folder: FacesFolder = None,
    to_folder: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder of the faces when TO is on a server."),
    ] = None,
    json: JsonFile = None,
) -> None:
    """Copy a gallery to another place or another kind of store, without encoding again.

    \b
    Examples:
      python -m daah gallery copy milvus://localhost:19530/faces --gallery my-gallery
      python -m daah gallery copy back-again --gallery milvus://localhost:19530/faces
    """
    from daah.gallery import Gallery
    from daah.gallery import copy as copy_gallery

    with (
        Progress() as progress,
        open_gallery(gallery, folder, progress) as opened,
        Gallery.open(place(target), opened.model, folder=to_folder, progress=progress) as other,
    ):
        count = copy_gallery(opened, other, progress)
        emit(facts(other) | {"copied": count, "from": opened.name}, json)


def verify(
    gallery: GalleryUri = None,
    codes: Annotated[
        bool, typer.Option("--codes", help="Also recompute every code from its face.")
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Clear what a killed process left.")
    ] = False,
    folder: FacesFolder = None,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Check counts, checksums, faces and, with --codes, every code.

    The exit code is 1 if anything is damaged, or a build was not finished. What a killed process
    left (faces without an entry, partial files, a partial removal) is not damage: it is reported
    on stderr until the next command that writes to the gallery, or --repair, clears it.

    \b
    Examples:
      python -m daah gallery verify
      python -m daah gallery verify --codes --gallery my-gallery
    """
    from daah.gallery import verify as verify_gallery

    if repair and gallery is None:
        raise typer.BadParameter("name the gallery to repair", param_hint="--gallery")
    encoder = load_model(checkpoint) if codes else None
    with (
        Progress() as progress,
        open_gallery(gallery, folder, progress, read_only=not repair, model=encoder) as opened,
    ):
        found = verify_gallery(opened, encoder, repair, progress)
        told = {
            name: [str(id_) for id_ in value] if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(found).items()
        }
        emit(facts(opened) | told | {"ok": found.ok}, json)
    if found.strays:
        typer.echo(
            f"Left by a killed process: {found.strays}. The next command that writes to the"
            " gallery clears it, or --repair does.",
            err=True,
        )
    for problem in found.problems():
        typer.echo(f"error: {problem}", err=True)
    if not found.ok:
        raise typer.Exit(1)


def stats(
    gallery: GalleryUri = None,
    pairs: Annotated[
        int, typer.Option(metavar="N", min=0, help="Closest pairs of different people to list.")
    ] = 20,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Report the distribution of the codes: bit balance, equal codes, near duplicates.

    \b
    Example:
      python -m daah gallery stats --pairs 5
    """
    from daah.gallery import statistics

    with Progress() as progress, open_gallery(gallery, folder, progress) as opened:
        found = statistics(opened, pairs, progress)
        near = [
            {"a": entry_facts(pair.a), "b": entry_facts(pair.b), "distance": pair.distance}
            for pair in found.near
        ]
        emit(facts(opened) | dataclasses.asdict(found) | {"near": near}, json)


def renew(
    gallery: GalleryToWrite,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Re-encode a gallery of another model from its aligned faces.

    The photos are not needed. The old codes serve until the new ones are complete.

    \b
    Example:
      python -m daah gallery renew --gallery my-gallery --checkpoint runs/new/demo.safetensors
    """
    from daah.gallery import Gallery
    from daah.gallery import renew as renew_gallery

    encoder = load_model(checkpoint)
    with Progress() as progress:
        renewed = renew_gallery(place(gallery), encoder, progress)
    with Gallery.open(place(gallery), encoder, create=False) as opened:
        if renewed and opened.count():
            opened.draw_map_if_possible()
        emit(facts(opened) | {"renewed": renewed}, json)
