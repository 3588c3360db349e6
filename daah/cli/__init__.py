"""The command line: each flag is one parameter of an ordinary function of the library.

Results are JSON on stdout, or in a file by --json; progress and errors go to stderr. The exit code
is 1 for an error with a reason, 2 for wrong usage. What a command needs is imported when it runs,
so that --help answers at once.
"""

from daah.cli import compare as closed
from daah.cli import evaluate as measure
from daah.cli import gallery
from daah.cli import search as photos
from daah.cli import train as learn
from daah.cli.console import application

app = application(
    """Face image retrieval by short binary codes.

    Every command prints JSON to stdout, or to a file with --json, and progress to stderr.

    \b
    A first walk:
      python -m daah search photo.jpg
      python -m daah encode photo.jpg --logits
      python -m daah gallery build PHOTOS --gallery my-gallery
      python -m daah search photo.jpg --gallery my-gallery -k 5 --bits 64
    """
)
app.command()(photos.encode)
app.command()(photos.search)
app.add_typer(gallery.app, name="gallery")
app.command()(learn.prepare)
app.command("import-trunk")(learn.import_trunk)
app.command()(learn.train)
app.command()(learn.calibrate)
app.command()(measure.evaluate)
app.command("evaluate-attention")(measure.evaluate_attention)
app.command("evaluate-closed")(closed.evaluate_closed)
app.command()(closed.compare)
app.command("compare-models")(closed.compare_models)
app.command()(measure.bench)
