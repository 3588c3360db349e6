"""The command line: each flag is one parameter of an ordinary function of the library.

Results are JSON on stdout, or in a file by --json; progress and errors go to stderr. The exit code
is 1 for an error with a reason, 2 for wrong usage. What a command needs is imported when it runs,
so that --help answers at once.
"""

from typing import Annotated

import typer

from daah import __version__
from daah.cli import compare, evaluate, gallery, hub, keys, people, search, serve, train, upkeep
from daah.cli.console import application

app = application(
    """Face image retrieval by short binary codes.

    Every command but app prints JSON to stdout, or to a file with --json, and progress to
    stderr.

    \b
    First steps:
      python -m daah search photo.jpg
      python -m daah encode photo.jpg --logits
      python -m daah gallery build PHOTOS --gallery my-gallery
      python -m daah search photo.jpg --gallery my-gallery -k 5 --bits 64
      python -m daah app
    """
)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"daah {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Options of the command line as a whole; the callback of each does its work."""


app.command()(search.encode)
app.command()(search.search)
app.command()(serve.app)
people.register(gallery.app)
upkeep.register(gallery.app)
keys.register(gallery.app)
app.add_typer(gallery.app, name="gallery")
app.add_typer(hub.app, name="hub")
app.command()(train.prepare)
app.command("import-trunk")(train.import_trunk)
app.command()(train.train)
app.command()(train.export)
app.command()(train.calibrate)
app.command()(evaluate.evaluate)
app.command("evaluate-open-set")(evaluate.evaluate_open_set)
app.command("evaluate-attention")(evaluate.evaluate_attention)
app.command("evaluate-closed")(evaluate.evaluate_closed)
app.command()(compare.compare)
app.command("compare-models")(compare.compare_models)
app.command()(evaluate.bench)
