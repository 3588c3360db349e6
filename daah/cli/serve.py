"""The command that serves the web app."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import typer

from daah.cli.console import GalleryUri


def app(
    host: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen on; 0.0.0.0 lets other machines in. Default: 127.0.0.1.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            min=1,
            max=65535,
            help="Port to listen on. Default: 7860, or the next that is free.",
        ),
    ] = None,
    gallery: GalleryUri = None,
    public: Annotated[
        bool | None,
        typer.Option(
            "--public/--local",
            help="For strangers, who cannot change the gallery, or for yourself, who can."
            " Default: --public.",
        ),
    ] = None,
    mcp: Annotated[
        bool | None,
        typer.Option(
            "--mcp/--no-mcp",
            help="Also answer assistants (Model Context Protocol) at /mcp. Default: --no-mcp.",
        ),
    ] = None,
) -> None:
    """Serve the web app until it is stopped by Ctrl-C.

    It is the same as `python app.py` in a clone of the repository, and reads the same environment
    variables (DAAH_PUBLIC, DAAH_GALLERY, GRADIO_SERVER_NAME, GRADIO_SERVER_PORT, ...), which the
    options override. docs/DEPLOY.md lists them.

    \b
    Examples:
      python -m daah app
      python -m daah app --local --gallery my-gallery
      python -m daah app --host 0.0.0.0 --port 8080
      python -m daah app --mcp
    """
    from daah.ui.settings import Settings
    from daah.ui.start import first_page, run

    settings = Settings.from_environment()
    given = {"public": public, "mcp": mcp}
    settings = dataclasses.replace(
        settings, **{name: value for name, value in given.items() if value is not None}
    )
    run(first_page(settings, gallery), settings, gallery, host, port)
