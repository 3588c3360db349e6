"""Commands on the keys of galleries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from daah.cli.console import (
    CheckpointFile,
    FacesFolder,
    GalleryToWrite,
    JsonFile,
    Progress,
    application,
    emit,
    load_model,
)
from daah.cli.gallery import facts, place

key_app = application("Make keys of galleries.")


def register(app: typer.Typer) -> None:
    """Add these commands to a group.

    Args:
        app: the group.
    """
    app.command()(rekey)
    app.add_typer(key_app, name="key")


def rekey(
    gallery: GalleryToWrite,
    key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The new key, or the present one again for other codes. Default: DAAH_KEY_FILE or"
            " DAAH_KEY_PASSPHRASE.",
        ),
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="Leave the gallery without a key.")
    ] = False,
    folder: FacesFolder = None,
    checkpoint: CheckpointFile = None,
    json: JsonFile = None,
) -> None:
    """Give a gallery a key or another one: when it, or its key, was stolen or lost.

    Its aligned faces are encoded again, so that neither its photos nor the old key are needed. The
    old codes serve until the new ones are complete, and are then deleted. What could be undone
    cannot be undone any more. Faces in the folder stay as they are: they are pictures.

    \b
    Examples:
      python -m daah gallery key new my.key
      python -m daah gallery rekey --gallery my-gallery --key-file my.key
      python -m daah gallery rekey --gallery my-gallery --no-key
    """
    from daah import keys
    from daah.gallery import Gallery
    from daah.gallery import rekey as rekey_gallery

    if no_key and key_file is not None:
        raise typer.BadParameter("give --key-file or --no-key, not both")
    secret = None
    if not no_key:
        secret = keys.read_key_file(key_file) if key_file else keys.operator_secret()
        if secret is None:
            raise typer.BadParameter("name the new key, or --no-key", param_hint="--key-file")
    encoder = load_model(checkpoint)
    with Progress() as progress:
        rekey_gallery(place(gallery), encoder, secret, progress, folder)
        with Gallery.open(
            place(gallery), encoder, create=False, folder=folder, secret=secret
        ) as opened:
            if opened.count():
                opened.draw_map()
            emit(facts(opened), json)


@key_app.callback()
def _key() -> None:
    """Make keys of galleries.

    A gallery that is made with a key has codes of its own: neither another gallery nor anybody
    without the key can compare anything with them. Keep the file away from the gallery, and a copy
    of it: without it the gallery cannot be opened, only given another key.
    """


@key_app.command("new")
def new_key(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The file, which must not exist.")],
) -> None:
    """Write a new random key to a file that only its owner can read.

    \b
    Examples:
      python -m daah gallery key new my.key
      python -m daah gallery add PHOTOS --gallery my-gallery --create --key-file my.key
      python -m daah search photo.jpg --gallery my-gallery --key-file my.key
    """
    from daah.keys import new_key_file

    new_key_file(file)
    emit({"key_file": str(file)}, None)
    typer.echo(f"A new key is in {file}. Keep a copy of it, apart from the gallery.", err=True)
