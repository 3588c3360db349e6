"""Commands on who is who in a gallery: clusters of faces without names, and names."""

from __future__ import annotations

import dataclasses
import json as json_module
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from daah.cli.console import (
    CheckpointFile,
    CreateGallery,
    FacesFolder,
    GalleryToWrite,
    GalleryUri,
    JsonFile,
    Progress,
    RefusedFile,
    Workers,
    emit,
    load_model,
)
from daah.cli.gallery import entry_facts, facts, open_gallery, open_text, remarks

if TYPE_CHECKING:
    from daah.gallery import Gallery
    from daah.stores.base import Person

Who = Annotated[
    str, typer.Argument(metavar="PERSON", help="A name such as 'Person 3', or an identifier.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The name.")]
Ids = Annotated[
    list[int], typer.Option("--id", metavar="ID", min=0, help="A photo's id; may be repeated.")
]


def register(app: typer.Typer) -> None:
    """Add these commands to a group.

    Args:
        app: the group.
    """
    for command in (cluster, suggest, name, rename, merge, split, move, hide, undo):
        app.command()(command)


def cluster(
    gallery: GalleryToWrite,
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="FOLDER", help="A folder of photos of anybody, with all folders in it."
        ),
    ] = None,
    radius: Annotated[
        int | None,
        typer.Option(
            metavar="BITS",
            min=0,
            help="Faces that differ in so many bits are neighbours. Default: by code length; fewer "
            "bits make more and purer clusters.",
        ),
    ] = None,
    workers: Workers = None,
    refused: RefusedFile = None,
    create: CreateGallery = False,
    folder: FacesFolder = None,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Enrol photos without names, and find out which of them show one person.

    The main face of each photo is enrolled. Faces that are alike become "Person 1", "Person 2" and
    so on, to be named, merged or split. Photos that are added later join the clusters that are
    there; what has a name is never changed. "unnamed" lists the clusters, "suggestions" pairs that
    may be one person. Without FOLDER, only what an interrupted run enrolled is clustered.

    \b
    Examples:
      python -m daah gallery cluster HOLIDAY --gallery album --create
      python -m daah gallery cluster MORE --gallery album --radius 60
      python -m daah gallery name "Person 1" "Eileen Collins" --gallery album
      python -m daah gallery merge "Eileen Collins" "Person 4" --gallery album
    """
    from daah.gallery import clusters, enrol, manifest, people

    if source is not None:
        clusters.check_folder(source)  # before a gallery is made for nothing
    encoder = load_model(checkpoint)
    with ExitStack() as stack:
        progress = stack.enter_context(Progress())
        opened = stack.enter_context(
            open_gallery(gallery, folder, progress, read_only=False, create=create, model=encoder)
        )
        result: dict[str, Any] = {}
        if source is not None:
            log = stack.enter_context(open_text(refused)) if refused else None

            def note(what: manifest.Refused) -> None:
                if log is not None:
                    text = json_module.dumps(dataclasses.asdict(what), ensure_ascii=False)
                    log.write(text + "\n")

            report = enrol.add(
                opened,
                clusters.loose_photos(opened, source),
                encoder,
                workers=workers,
                progress=progress,
                refused=note,
            )
            remarks(report)
            result |= dataclasses.asdict(report)
        result["clustered"] = dataclasses.asdict(clusters.cluster(opened, radius, progress))
        if opened.count():
            typer.echo("Drawing the map", err=True)
            opened.draw_map()
        result["unnamed"] = [_person(p) for p in people.unnamed(opened)]
        result["suggestions"] = _suggestions(opened, None)
        emit(facts(opened) | result, json)


def suggest(
    gallery: GalleryUri = None,
    radius: Annotated[
        int | None,
        typer.Option(metavar="BITS", min=0, help="Largest distance. Default: by code length."),
    ] = None,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """List people without a name, and pairs of people who may be the same.

    One of each pair is without a name. "distance" is the number of bits in which the codes of both
    differ, nearest first. Hidden people are listed apart.

    \b
    Example:
      python -m daah gallery suggest --gallery album
    """
    from daah.gallery import people

    with Progress() as progress, open_gallery(gallery, folder, progress) as opened:
        emit(
            facts(opened)
            | {
                "unnamed": [_person(p) for p in people.unnamed(opened)],
                "hidden": [_person(p) for p in people.unnamed(opened, hidden=True)],
                "suggestions": _suggestions(opened, radius),
            },
            json,
        )


def name(
    gallery: GalleryToWrite,
    person: Who,
    new: Name,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Give a name to somebody without one.

    \b
    Example:
      python -m daah gallery name "Person 3" "Eileen Collins" --gallery album
    """
    from daah.errors import GalleryError
    from daah.gallery import people

    with _changed(gallery, folder, json) as (opened, result):
        who = people.find(opened, person)
        if not people.is_unnamed(who.person):
            raise GalleryError(
                f"{who.shown} has a name. To change it: python -m daah gallery rename"
            )
        result["person"] = people.rename(opened, who.person, new)


def rename(
    gallery: GalleryToWrite,
    person: Who,
    new: Name,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Change somebody's name.

    \b
    Example:
      python -m daah gallery rename Eileen "Eileen Collins" --gallery album
    """
    from daah.gallery import people

    with _changed(gallery, folder, json) as (opened, result):
        result["person"] = people.rename(opened, person, new)


def merge(
    gallery: GalleryToWrite,
    into: Annotated[str, typer.Argument(metavar="INTO", help="Who keeps the name.")],
    others: Annotated[
        list[str], typer.Argument(metavar="PERSON...", help="Who is the same person.")
    ],
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Make one person of several; their photos move to the first.

    \b
    Example:
      python -m daah gallery merge "Eileen Collins" "Person 4" "Person 7" --gallery album
    """
    from daah.gallery import people

    with _changed(gallery, folder, json) as (opened, result):
        result["moved"] = people.merge(opened, into, others)
        result["person"] = people.find(opened, into).person


def split(
    gallery: GalleryToWrite,
    ids: Ids,
    new: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Default: another 'Person N'.")
    ] = "",
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Make another person of some photos of somebody.

    `gallery list --person NAME` has the ids.

    \b
    Examples:
      python -m daah gallery split --id 4217 --id 5308 --gallery album
      python -m daah gallery split --id 4217 --name "Sally Ride" --gallery album
    """
    from daah.gallery import people

    with _changed(gallery, folder, json) as (opened, result):
        result["person"] = people.split(opened, ids, new)
        result["moved"] = len(set(ids))


def move(
    gallery: GalleryToWrite,
    to: Annotated[str, typer.Argument(metavar="NAME", help="Who is on the photos.")],
    ids: Ids,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Move photos to somebody else, who may be new.

    \b
    Example:
      python -m daah gallery move "Sally Ride" --id 4217 --gallery album
    """
    from daah.gallery import people

    with _changed(gallery, folder, json) as (opened, result):
        result["person"] = people.move(opened, ids, to)
        result["moved"] = len(set(ids))


def hide(
    gallery: GalleryToWrite,
    person: Who,
    show: Annotated[bool, typer.Option("--show", help="Show the person again.")] = False,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Leave somebody without a name out of lists and suggestions; searches still find them.

    \b
    Examples:
      python -m daah gallery hide "Person 9" --gallery album
      python -m daah gallery hide "Person 9" --show --gallery album
    """
    from daah.gallery import people

    with _changed(gallery, folder, json) as (opened, result):
        result["person"] = people.hide(opened, person, hidden=not show)


def undo(
    gallery: GalleryToWrite,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Bring back what was last removed, within an hour; again, what was removed before that.

    \b
    Example:
      python -m daah gallery undo --gallery album
    """
    with _changed(gallery, folder, json) as (opened, result):
        result["restored"] = [entry_facts(entry) for entry in opened.undo()]


@contextmanager
def _changed(
    gallery: str, folder: Path | None, json: Path | None
) -> Iterator[tuple[Gallery, dict[str, Any]]]:
    """The gallery, open for writing, and the result, which is printed in the end."""
    with Progress() as progress, open_gallery(gallery, folder, progress, read_only=False) as opened:
        result: dict[str, Any] = {}
        yield opened, result
        opened.flush()
        emit(facts(opened) | result, json)


def _person(person: Person) -> dict[str, Any]:
    return {"person": person.person, "name": person.shown, "photos": person.photos}


def _suggestions(gallery: Gallery, radius: int | None) -> list[dict[str, Any]]:
    from daah.gallery import clusters, people

    if radius is None:
        radius = clusters.doubtful_radius(gallery.store.spec.bits)
    return [
        {"a": _person(pair.a), "b": _person(pair.b), "distance": pair.distance}
        for pair in people.suggestions(gallery, radius)
    ]
