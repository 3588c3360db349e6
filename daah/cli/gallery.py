"""Commands on galleries."""

from __future__ import annotations

import dataclasses
import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    application,
    emit,
    load_model,
    open_text,
)
from daah.paths import BUILT_IN

if TYPE_CHECKING:
    from daah.gallery import BuildReport, Entry, Gallery
    from daah.gallery.enrol import BulkReport
    from daah.models.encoder import FaceEncoder

MinQuality = Annotated[
    float | None,
    typer.Option(
        "--min-quality",
        metavar="SCORE",
        min=0,
        max=1,
        help="Refuse faces of less quality. Default: 0.1; 0 enrols every face.",
    ),
]

app = application(
    """Build, fill, check and move galleries of enrolled people.

    A gallery is a folder of codes and aligned faces, or a Milvus collection of codes with a folder
    of faces. One program at a time may write to it, any number may search it.

    \b
    Examples:
      python -m daah gallery build orl
      python -m daah gallery add PHOTOS --gallery my-gallery --create
      python -m daah gallery cluster HOLIDAY --gallery album --create
      python -m daah gallery copy milvus://localhost:19530/faces --gallery my-gallery
    """
)


@app.command()
def build(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SRC", help="congress, orl, lfw, or a folder with one folder per person."
        ),
    ],
    gallery: Annotated[
        str | None,
        typer.Option(
            metavar="URI",
            help="A folder, or milvus://HOST:PORT/COLLECTION. Default for a known collection: the "
            "gallery of its name.",
        ),
    ] = None,
    min_quality: MinQuality = None,
    folder: FacesFolder = None,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Make a gallery from a collection of labelled photos.

    A new gallery needs a new or empty folder. The same command finishes a build that was stopped;
    until then the gallery cannot be searched. Faces that are hard to tell from others are listed as
    "warnings", worse ones are skipped; the reason says why. "taken" lists photos of several people
    and the face that was taken.

    \b
    Examples:
      python -m daah gallery build orl
      python -m daah gallery build PHOTOS --gallery my-gallery
    """
    from daah.detection.detector import FaceDetector
    from daah.gallery import Gallery, check_source
    from daah.gallery import build as build_gallery
    from daah.models.quality import REFUSED

    if gallery is None and source not in BUILT_IN:
        raise typer.BadParameter(
            f"name the gallery that {source} is built into", param_hint="--gallery"
        )
    check_source(source)
    encoder = load_model(checkpoint)
    uri = place(gallery or source)
    with Gallery.open(uri, encoder, folder=folder) as opened, Progress() as progress:
        least = REFUSED if min_quality is None else min_quality
        report = build_gallery(opened, source, FaceDetector(), encoder, progress, least)
        remarks(report)
        emit(facts(opened) | dataclasses.asdict(report), json)


@app.command()
def add(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SRC",
            help="A folder with one folder per person; a .csv or .parquet manifest with the columns"
            " person, photo and optionally id and name; or with --person a photo or a folder.",
        ),
    ],
    gallery: GalleryToWrite,
    person: Annotated[
        str | None, typer.Option(metavar="NAME", help="All photos of SRC are of this person.")
    ] = None,
    workers: Workers = None,
    refused: RefusedFile = None,
    draw_map: Annotated[
        bool, typer.Option("--map/--no-map", help="Redraw the gallery's map at the end.")
    ] = True,
    create: CreateGallery = False,
    min_quality: MinQuality = None,
    folder: FacesFolder = None,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Enrol any number of photos in a gallery, or with --create in a new or empty folder.

    Imports are resumable: photos that are already in the gallery are skipped. Memory does not grow
    with the number of photos. Under `accelerate launch` each process takes its share: several
    processes need a gallery on a server, and a folder of faces that all of them can write to. Each
    lists its own refusals, the first in FILE, the others in FILE.1 and so on. Faces that are hard
    to tell from others are listed as "warnings", worse ones are refused; the reason says why.
    "taken" lists photos of several people and the face that was taken.

    \b
    Examples:
      python -m daah gallery add PHOTOS --gallery my-gallery --create
      python -m daah gallery add eileen.jpg --person "Eileen Collins" --gallery my-gallery
      python -m daah gallery add people.csv --gallery my-gallery --refused refused.jsonl
      accelerate launch --multi_gpu --num_processes 4 \\
        -m daah gallery add people.parquet --gallery milvus://host:19530/faces
    """
    from contextlib import ExitStack

    from daah.gallery import enrol, manifest
    from daah.models.quality import REFUSED

    photos = manifest.listing(source, person)  # before a gallery is made for nothing
    encoder = load_model(checkpoint)
    processes = enrol.processes()
    with ExitStack() as stack:
        progress = stack.enter_context(Progress())
        with processes.first():  # it makes the gallery when there is none
            reading = None if processes.index else progress
            opened = stack.enter_context(
                open_gallery(
                    gallery, folder, reading, read_only=False, create=create, model=encoder
                )
            )
        if refused and processes.index:
            refused = refused.with_name(f"{refused.name}.{processes.index}")
        log = stack.enter_context(open_text(refused)) if refused else None

        def note(what: manifest.Refused) -> None:
            if log is not None:
                log.write(json_module.dumps(dataclasses.asdict(what), ensure_ascii=False) + "\n")

        report = enrol.add(
            opened,
            photos.shard(processes.index, processes.count),
            encoder,
            workers=workers,
            progress=None if processes.index else progress,
            refused=note,
            min_quality=REFUSED if min_quality is None else min_quality,
        )
        report = enrol.together(processes.gather(report))
        if processes.index:
            return
        if draw_map and opened.count():
            typer.echo("Drawing the map", err=True)
            opened.draw_map_if_possible()
        remarks(report)
        emit(facts(opened) | dataclasses.asdict(report), json)


@app.command("import")
def import_(
    source: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A file that the page without a server exported."),
    ],
    gallery: GalleryToWrite,
    create: CreateGallery = False,
    folder: FacesFolder = None,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Enrol the faces of a file that was exported from a browser.

    Codes are computed from the faces in it. Imports are resumable: photos that are already in the
    gallery are skipped.

    \b
    Example:
      python -m daah gallery import people.jsonl --gallery my-gallery --create
    """
    from daah.gallery import device_file

    next(device_file.read_faces(source), None)  # before a gallery is made for nothing
    encoder = load_model(checkpoint)
    with (
        Progress() as progress,
        open_gallery(
            gallery, folder, progress, read_only=False, create=create, model=encoder
        ) as opened,
    ):
        report = device_file.import_faces(opened, source, encoder, progress)
        if opened.count():
            opened.draw_map()
        emit(facts(opened) | dataclasses.asdict(report), json)


@app.command()
def remove(
    gallery: GalleryToWrite,
    people: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Whom to remove.")
    ] = None,
    ids: Annotated[
        list[int] | None,
        typer.Option("--id", metavar="ID", min=0, help="Remove this entry; may be repeated."),
    ] = None,
    list_: Annotated[
        Path | None,
        typer.Option(
            "--list",
            metavar="FILE",
            help="Remove the entries that a .jsonl or .csv file names by id, and all entries of "
            "those that it names by person only, for good; unknown ones are skipped.",
        ),
    ] = None,
    now: Annotated[
        bool,
        typer.Option("--now", help="For good; without names, what was removed before."),
    ] = False,
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """Remove people or single entries: faces, codes and rows.

    For an hour `gallery undo` brings them back from a copy in the gallery's folder. The first
    program that writes to the gallery after the hour deletes the copy. With --now, and by a --list,
    they are deleted at once and for good.

    \b
    Examples:
      python -m daah gallery remove "Eileen Collins" --gallery my-gallery
      python -m daah gallery remove "Eileen Collins" --now --gallery my-gallery
      python -m daah gallery remove --now --gallery my-gallery
      python -m daah gallery remove --id 4217 --gallery my-gallery
      python -m daah gallery remove --list withdrawn.csv --gallery my-gallery
    """
    from daah.gallery import Named, read_list
    from daah.gallery.people import find

    if not (people or ids or list_ or now):
        raise typer.BadParameter("give a NAME, an --id, a --list or --now")
    named = read_list(list_) if list_ else Named(frozenset(), frozenset())
    with Progress() as progress, open_gallery(gallery, folder, progress, read_only=False) as opened:
        # What is asked for by name is a mistake when it is not there.
        found = [find(opened, person).person for person in people or ()]
        for id_ in ids or ():
            opened.entry(id_)
        whom = named.people.union(found), named.ids.union(ids or ())
        at_once = now or list_ is not None
        removed = opened.remove_many(*whom, progress) if at_once else opened.discard(*whom)
        deleted = opened.empty_trash() if now else 0
        emit(facts(opened) | {"removed": removed, "deleted_before": deleted}, json)
    if not at_once:
        typer.echo(
            "Within an hour this can be undone: python -m daah gallery undo --gallery "
            f"{gallery}. To delete it for good: python -m daah gallery remove --now --gallery "
            f"{gallery}",
            err=True,
        )


@app.command("list")
def list_(
    gallery: GalleryUri = None,
    person: Annotated[
        str | None, typer.Option(metavar="NAME", help="List the entries of this person instead.")
    ] = None,
    ids: Annotated[
        list[int] | None,
        typer.Option("--id", metavar="ID", min=0, help="List this entry instead; may be repeated."),
    ] = None,
    find: Annotated[
        str, typer.Option(metavar="TEXT", help="Only people whose name contains this.")
    ] = "",
    folder: FacesFolder = None,
    json: JsonFile = None,
) -> None:
    """List the people of a gallery with their number of photos, or the entries of one person.

    \b
    Examples:
      python -m daah gallery list
      python -m daah gallery list --find ann --gallery my-gallery
      python -m daah gallery list --person s1
      python -m daah gallery list --id 4217
    """
    from daah.gallery.people import find as find_person

    with Progress() as progress, open_gallery(gallery, folder, progress) as opened:
        if ids:
            found = {"entries": [entry_facts(opened.entry(id_)) for id_ in ids]}
        elif person is None:
            people = opened.find_people(find)
            found = {
                "people": {person.person: person.photos for person in people},
                "names": {person.person: person.name for person in people if person.name},
            }
        else:
            who = find_person(opened, person).person
            found = {"entries": [entry_facts(e) for e in opened.entries(who)]}
        emit(facts(opened) | found, json)


def remarks(report: BulkReport | BuildReport) -> None:
    """Tell of photos that were enrolled with a warning.

    Args:
        report: of the enrolment.
    """
    for count, what in (
        (report.doubtful, "a face that is hard to tell from others; see warnings"),
        (report.several, "several faces, of which one was enrolled; see taken"),
    ):
        if count:
            photos = "1 photo shows" if count == 1 else f"{count:,} photos show"
            typer.echo(f"warning: {photos} {what}", err=True)


def place(gallery: str | None) -> str:
    """Where the gallery is that was named.

    Args:
        gallery: as of --gallery; None is the built-in one.

    Returns:
        A folder or an address.
    """
    from daah.gallery.location import known_gallery
    from daah.retrieval.loading import DEFAULT_GALLERY

    return known_gallery(gallery) if gallery else str(DEFAULT_GALLERY)


def open_gallery(
    gallery: str | None,
    folder: Path | None,
    progress: Progress | None,
    *,
    read_only: bool = True,
    create: bool = False,
    model: FaceEncoder | None = None,
) -> Gallery:
    """Open the gallery that was named, telling how far its reading is when that takes long.

    Args:
        gallery: as of --gallery; None is the built-in one.
        folder: as of --folder.
        progress: told of the reading.
        read_only: whether writing is refused.
        create: whether one is made where there is none.
        model: the model that its codes must be of; None accepts any.

    Returns:
        The gallery, to be closed by the caller.

    Raises:
        GalleryError: as of `Gallery.open`.
    """
    from daah.gallery import Gallery

    return Gallery.open(
        place(gallery), model, read_only, create=create, folder=folder, progress=progress
    )


def entry_facts(entry: Entry) -> dict[str, object]:
    """Describe an entry; its id as text, because numbers of some languages hold fewer digits.

    Args:
        entry: the entry.

    Returns:
        Plain JSON values.
    """
    return dataclasses.asdict(entry) | {"id": str(entry.id)}


def facts(gallery: Gallery) -> dict[str, object]:
    """What every result says of its gallery.

    Args:
        gallery: the gallery.

    Returns:
        Plain JSON values.
    """
    known = gallery.provenance
    return {
        "gallery": gallery.name,
        "entries": gallery.count(),
        "source": known.source,
        "credit": known.credit,
        "model": {"name": known.model, "sha256": known.fingerprint, "bits": known.bits},
        "complete": known.complete,
        "key": gallery.key is not None,
    }
