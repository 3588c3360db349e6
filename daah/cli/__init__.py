"""The command line: each flag is one parameter of an ordinary function of the library.

Results are JSON on stdout, or in a file by --json; progress and errors go to stderr. The exit code
is 1 for an error with a reason, 2 for wrong usage. What a command needs is imported when it runs,
so that --help answers at once.
"""

from daah.cli import compare, evaluate, gallery, people, search, train
from daah.cli.console import application

app = application(
    """Face image retrieval by short binary codes.

    Every command prints JSON to stdout, or to a file with --json, and progress to stderr.

    \b
    First steps:
      python -m daah search photo.jpg
      python -m daah encode photo.jpg --logits
      python -m daah gallery build PHOTOS --gallery my-gallery
      python -m daah search photo.jpg --gallery my-gallery -k 5 --bits 64
    """
)
app.command()(search.encode)
app.command()(search.search)
people.register(gallery.app)
app.add_typer(gallery.app, name="gallery")
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
